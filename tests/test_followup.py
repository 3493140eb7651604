"""Follow-up: what schedules find, and the visits that find most, against brute force and planted optima."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import xarray as xr
from courses import cohort_courses, events, signals
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.detection import CtcTest, CtdnaPanel, Imaging, follow_lesions
from cascade.detection._visits import Gains, additions, best_visits, exchange
from cascade.detection.followup import Schedule, named_schedule, optimize_followup, simulate_followup
from cascade.detection.followup_plan import OBJECTIVES, OLIGO_MM, _gains
from cascade.errors import AnalysisError, UnknownNameError

SHARP = Imaging(name="sharp", limits_mm={"bone": 4.0}, steepness=1000)
PANEL = CtdnaPanel(plasma_ml=4, recovery=0.6, genomes=20_000, mutations=16, error=3e-6, cutoff=2)
NOISY = Imaging(name="noisy", limits_mm={"bone": 8.0}, steepness=4, sensitivity=0.7, false_positive=0.1)


def best_by_force(gains: Gains, count: int, *, fewer: bool = False) -> float:
    """Largest value of all choices of `count` months, or of up to so many."""
    numbers = range(1 if fewer else count, count + 1)
    return max(gains.value(each) for number in numbers for each in combinations(range(len(gains.cost)), number))


def threshold_gains(rng: np.random.Generator, patients: int, months: int, *, cost: float = 0.0) -> Gains:
    """Patients who are found from a month of their own on, until standard care finds them."""
    start = rng.integers(0, months, patients)
    clinical = start + rng.integers(1, 5, patients)
    grid = np.arange(months)
    able = (grid >= start[:, None]) & (grid < clinical[:, None])
    return Gains(
        chance=able.astype(float),
        worth=np.where(able, clinical[:, None] - grid, 0.0),
        weight=rng.uniform(0.2, 2, patients) / patients,
        cost=np.full(months, cost),
    )


def random_gains(rng: np.random.Generator, patients: int, months: int, *, cost: float = 0.0) -> Gains:
    """Patients who are found by chance, more and more likely."""
    sure = threshold_gains(rng, patients, months)
    chance = np.where(sure.worth > 0, np.sort(rng.uniform(0, 1, (patients, months)), axis=1), 0.0)
    return Gains(chance=chance, worth=sure.worth, weight=sure.weight, cost=np.full(months, cost))


class TestSearch:
    @given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([0.0, 0.02, 0.2]))
    @settings(max_examples=60)
    def test_is_exact_where_size_decides(self, seed, count, cost):
        gains = threshold_gains(np.random.default_rng(seed), 12, 9, cost=cost)
        assert gains.is_decided()
        chosen, bound = best_visits(gains, count)
        assert bound == pytest.approx(gains.value(chosen), abs=1e-12)
        assert gains.value(chosen) == pytest.approx(best_by_force(gains, count, fewer=cost > 0), abs=1e-12)
        assert list(chosen) == sorted(set(chosen)) and len(chosen) <= count

    @given(st.integers(0, 10_000), st.integers(1, 3), st.sampled_from([0.0, 0.05]))
    @settings(max_examples=60)
    def test_is_near_the_best_and_below_its_bound_where_chance_decides(self, seed, count, cost):
        gains = random_gains(np.random.default_rng(seed), 12, 9, cost=cost)
        assert not gains.is_decided()
        truth = best_by_force(gains, count, fewer=cost > 0)
        begun, bound = best_visits(gains, count)
        chosen = exchange(gains, begun, count)
        assert gains.value(begun) - 1e-12 <= gains.value(chosen) <= truth + 1e-12
        assert truth <= bound + 1e-12
        if cost == 0:
            assert gains.value(chosen) >= 0.95 * truth

    @given(st.integers(0, 10_000))
    @settings(max_examples=40)
    def test_additions_are_differences(self, seed):
        gains = random_gains(np.random.default_rng(seed), 8, 7, cost=0.01)
        visits = (1, 4)
        added = additions(gains, visits)
        for month in set(range(7)) - set(visits):
            rise = gains.value(sorted({*visits, month})) - gains.value(visits)
            assert added[month] == pytest.approx(rise, abs=1e-12)
        assert np.isneginf(added[list(visits)]).all()

    def test_value_is_the_expectation_of_draws(self):
        rng = np.random.default_rng(2)
        gains = random_gains(rng, 5, 8)
        visits = (2, 4, 7)
        luck = rng.uniform(size=(40_000, 5, 3))
        positive = luck < gains.chance[:, visits]
        worth = np.where(positive, gains.worth[:, visits], 0.0).max(axis=2)
        drawn = (worth * gains.weight).sum(axis=1)
        assert drawn.mean() == pytest.approx(gains.value(visits), abs=4 * drawn.std() / 200)


class TestOptimum:
    def test_constant_hazard_gives_even_visits(self):
        """Metastases detectable at a constant rate, long before standard care: equal gaps are the optimum."""
        lead = 6.0  # months from the sharp limit to standard care in these constants, checked below
        start = np.arange(1, 61) - 0.5
        courses = follow_lesions(events(start + lead), signals(), clinical_mm=30)
        found = course_start(courses)
        assert (found < courses["t_clinical"].values - 12).all()
        courses = courses.assign(time=courses["time"] - (found - start))
        for name in ("t_clinical", "t_start", "t_end"):
            courses[name] = courses[name] - (found - start)
        plan = optimize_followup(courses, [SHARP], 5, months=range(1, 61))
        assert plan["month"].values.tolist() == [12, 24, 36, 48, 60]
        assert bool(plan["certain"])
        assert float(plan["value"]) == pytest.approx(float(plan["value_even"]))

    def test_visits_go_where_the_hazard_is(self):
        time = np.concatenate([np.linspace(10, 40, 90), np.linspace(40, 120, 10)])
        courses = follow_lesions(events(time), signals(), clinical_mm=20)
        plan = optimize_followup(courses, [PANEL], 6)
        assert (plan["month"].values < 45).sum() >= 4
        assert float(plan["value"]) > 1.1 * float(plan["value_even"])
        assert float(plan["value"]) <= float(plan["upper_bound"]) <= 1.1 * float(plan["value"])

    @pytest.mark.parametrize("objective", OBJECTIVES)
    def test_brute_force_over_the_same_patients(self, objective):
        courses = cohort_courses(150, hazard=0.01, end=60, clinical_mm=20.0)
        months = range(6, 61, 6)
        for test in (SHARP, PANEL, NOISY):
            plan = optimize_followup(courses, [test], 3, objective=objective, months=months, threshold=0.2)
            gains = _gains(courses, (test,), np.array(months, dtype=float), objective, 0.2, OLIGO_MM)
            best = best_by_force(gains, 3, fewer=objective == "net_benefit")
            assert float(plan["value"]) == pytest.approx(best, abs=1e-12)
            assert float(plan["upper_bound"]) >= float(plan["value"]) - 1e-12

    def test_value_is_what_a_simulated_follow_up_shows(self):
        courses = cohort_courses(3000, hazard=0.01, end=120, clinical_mm=20.0)
        plan = optimize_followup(courses, [PANEL], 6)
        schedule = Schedule(name="best", months=tuple(plan["month"].values))
        means = [simulate_followup(courses, schedule, [PANEL], seed=seed).attrs["mean_lead_time"] for seed in (1, 2)]
        assert np.mean(means) == pytest.approx(float(plan["value"]), rel=0.02)
        small = optimize_followup(courses, [PANEL], 6, objective="detected_oligometastatic", oligo_mm=12)
        run = simulate_followup(
            courses, Schedule(name="small", months=tuple(small["month"].values)), [PANEL], oligo_mm=12
        )
        assert run.attrs["share_oligometastatic"] == pytest.approx(float(small["value"]), abs=0.03)

    def test_false_alarms_can_forbid_visits(self):
        courses = cohort_courses(400, hazard=0.002, end=60, clinical_mm=20.0)
        many, few = (
            optimize_followup(courses, [NOISY], 8, objective="net_benefit", threshold=threshold, months=range(3, 61, 3))
            for threshold in (0.01, 0.3)
        )
        assert many.sizes["visit"] == 8 and few.sizes["visit"] < 8
        assert float(few["value"]) <= float(many["value"])

    def test_more_visits_never_gain_less(self):
        courses = cohort_courses(200, hazard=0.01, end=60, clinical_mm=20.0)
        values = [
            float(optimize_followup(courses, [PANEL], n, months=range(3, 61, 3))["value"]) for n in (1, 2, 4, 8, 20)
        ]
        assert values == sorted(values)

    def test_what_cannot_be_planned(self):
        courses = cohort_courses(20, hazard=0.01)
        for wrong in (0, -1, 1.5, True, 10_000):
            with pytest.raises(AnalysisError, match="n_visits"):
                optimize_followup(courses, [PANEL], wrong)
        with pytest.raises(UnknownNameError, match="lead_time"):
            optimize_followup(courses, [PANEL], 3, objective="lead")
        with pytest.raises(AnalysisError, match="threshold"):
            optimize_followup(courses, [PANEL], 3, objective="net_benefit", threshold=1)
        for months in ([-1, 0, 4], [4, np.inf]):
            with pytest.raises(AnalysisError, match="months"):
                optimize_followup(courses, [PANEL], 1, months=months)
        with pytest.raises(AnalysisError, match="oligo_mm"):
            optimize_followup(courses, [PANEL], 3, oligo_mm=np.nan)
        free = follow_lesions(events([100.0], event=False), signals())
        with pytest.raises(AnalysisError, match="nobody"):
            optimize_followup(free, [PANEL], 3)


def course_start(courses: xr.Dataset) -> np.ndarray:
    """Month, to a thousandth, from which on the sharp scan sees the lesion."""
    from cascade.cohort.outcomes import DAYS_PER_MONTH
    from cascade.detection.lesion_courses import gompertz_time, sphere_cells

    own = [float(courses[name][0]) for name in ("k_growth", "cap_lesion")]
    days = float(gompertz_time(5.2e8, sphere_cells(4.0, 1e9), *own))
    return courses["time"].values + days / DAYS_PER_MONTH


class TestSchedules:
    def test_named_ones(self):
        assert named_schedule("annual", years=5).months == (12, 24, 36, 48, 60)
        assert named_schedule("asco", years=5).months == (6, 12, 18, 24, 30, 36, 48, 60)
        assert len(named_schedule("intensive").months) == 8 + 6 + 5
        assert named_schedule("annual", years=15).months[-1] == 180
        with pytest.raises(UnknownNameError, match="asco"):
            named_schedule("ASCO")
        with pytest.raises(AnalysisError, match="years"):
            named_schedule("annual", years=0)

    def test_wrong_ones(self):
        for months in ((0, 12), (12, 12), (24, 12), ("a",)):
            with pytest.raises(AnalysisError, match="months"):
                Schedule(name="x", months=months)
        with pytest.raises(AnalysisError, match="no visit"):
            Schedule(name="x", months=())
        with pytest.raises(AnalysisError, match="visits"):
            Schedule(name="x", months=(12, 24), tests=(("ctdna",),))


class TestFollowUp:
    COURSES = cohort_courses(600, hazard=0.008, end=120, clinical_mm=20.0)

    def test_everybody_is_accounted_for(self):
        run = simulate_followup(self.COURSES, named_schedule("asco"), [PANEL, NOISY])
        event = run["event"].values
        found = np.isfinite(run["t_found"].values)
        assert (found == event).all()
        assert (run["t_found"].values[event] <= run["t_clinical"].values[event]).all()
        assert ((run["found_by"] == "").values == ~event).all()
        assert set(run["found_by"].values[event].tolist()) == {"ctdna", "noisy", "symptoms"}
        assert (run["lead_time"].values[event] >= 0).all() and np.isnan(run["lead_time"].values[~event]).all()
        symptoms = (run["found_by"] == "symptoms").values
        assert (run["lead_time"].values[symptoms] == 0).all()
        assert run["diameter_found"].values[symptoms] == pytest.approx(20.0)
        assert (run["n_positive"] >= run["n_false"]).all()
        # who is found by tests has exactly the positive tests of the last visit that count
        assert (run["n_tests"] == 2 * run["n_visits"]).all()
        assert (run["n_visits"].values[~event] == 12).all()  # of 13 the one in month 120 is the end of follow-up

    def test_a_schedule_with_more_visits_finds_no_later(self):
        few = simulate_followup(self.COURSES, named_schedule("annual"), [PANEL], seed=5)
        many = simulate_followup(self.COURSES, named_schedule("intensive"), [PANEL], seed=5)
        assert (many["t_found"] <= few["t_found"]).all()
        assert many.attrs["mean_lead_time"] > few.attrs["mean_lead_time"]

    def test_patient_by_patient(self):
        plan = named_schedule("asco")
        whole = simulate_followup(self.COURSES, plan, [PANEL, NOISY], seed=2)
        part = simulate_followup(self.COURSES.isel(patient=[77, 5]), plan, [PANEL, NOISY], seed=2)
        xr.testing.assert_equal(part, whole.isel(patient=[77, 5]))

    def test_tests_of_a_visit(self):
        plan = Schedule(name="mixed", months=(12, 24, 36), tests=(("ctdna",), ("ctdna", "noisy"), ()))
        run = simulate_followup(self.COURSES, plan, [PANEL, NOISY])
        free = ~run["event"].values
        assert (run["n_visits"].values[free] == 2).all() and (run["n_tests"].values[free] == 3).all()
        with pytest.raises(UnknownNameError, match="pet"):
            simulate_followup(self.COURSES, Schedule(name="x", months=(12,), tests=(("pet",),)), [PANEL])

    def test_a_scan_confirms(self):
        noisy = CtcTest(volume_ml=7.5, capture=0.5, background=0.3)
        plain = simulate_followup(self.COURSES, named_schedule("asco"), [noisy])
        checked = simulate_followup(self.COURSES, named_schedule("asco"), [noisy], confirm=SHARP)
        assert (checked["t_found"] >= plain["t_found"]).all()
        by_test = (checked["found_by"] == "ctc").values
        assert (checked["diameter_found"].values[by_test] >= 4.0 * 0.99).all()
        free = ~checked["event"].values
        assert (checked["n_false"].values[free] == checked["n_positive"].values[free]).all()
        assert checked.attrs["false_per_100_visits"] > 20

    def test_who_is_metastatic_is_not_followed(self):
        courses = follow_lesions(events([0.0, np.nan, 60.0], event=[1, 0, 1], early=[1, 0, 0]), signals())
        run = simulate_followup(courses, named_schedule("annual"), [PANEL])
        assert run["n_visits"].values.tolist() == [0, 0, 4] and run.attrs["not_followed"] == 2
        assert np.isfinite(run["t_found"].values).tolist() == [False, False, True]


class TestCommand:
    @pytest.mark.slow
    def test_followup_of_a_cohort(self, tmp_path):
        import json

        from typer.testing import CliRunner

        from cascade.cli._followup import commands

        asked = ["breast_er", "--model", "breast_lite", "--n", "6", "--fates", "20", "--visits", "3", "--test", "ctdna"]
        result = CliRunner().invoke(commands, [*asked, "--test", "pet_ct", "--out", str(tmp_path / "out"), "--json"])
        assert result.exit_code == 0, result.output
        data = json.loads(result.stdout)
        assert set(data["tests"]) == {"ctdna", "pet_ct"} and len(data["best"]["months"]) == 3
        assert data["best"]["value_even"] <= data["best"]["value"] <= data["best"]["upper_bound"]
        assert data["asco"]["mean_lead_time"] > 0
        assert {each.name for each in (tmp_path / "out").iterdir()} == {"tests.csv", "visits.csv", "detection.png"}
