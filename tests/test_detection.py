"""What tests find: closed forms of chances and sizes, growth of lesions, performance with known truth, the table."""

from __future__ import annotations

import pickle
from dataclasses import replace
from math import log

import numpy as np
import pytest
import xarray as xr
from courses import cohort_courses, events, signals
from scipy import integrate, stats

from cascade._shares import auc, weighted_share
from cascade.cohort.outcomes import DAYS_PER_MONTH
from cascade.detection import (
    CtcTest,
    CtdnaPanel,
    Imaging,
    MarrowAspirate,
    clinical_test_names,
    decision_curve,
    detect,
    detectable_size,
    follow_courses,
    follow_lesions,
    lesion_signals,
    load_clinical_test,
    performance,
    roc_curve,
    screen_primary,
    symptom_sizes,
)
from cascade.detection.clinical_test_table import check_test_table, read_test_table
from cascade.detection.lesion_courses import course_at, gompertz_size, gompertz_time, sphere_cells, sphere_mm
from cascade.detection.performance import lead_times, visits_of
from cascade.errors import AnalysisError, TableError, UnknownNameError
from cascade.library import bibliography_keys, library_folder

CTC = CtcTest(volume_ml=7.5, capture=0.5, background=0.06, cutoff=2)
PANEL = CtdnaPanel(plasma_ml=4, recovery=0.5, genomes=1500, mutations=10, error=2e-5, cutoff=3)
SCAN = Imaging(limits_mm={"bone": 12, "lung": 6}, steepness=5, sensitivity=0.9, false_positive=0.04)


def results(score, case, *, weight=None, positive=None) -> xr.Dataset:
    """Results of one test at one visit of patients whose truth is known."""
    score, case = np.asarray(score, dtype=float), np.asarray(case, dtype=bool)
    positive = score > 0 if positive is None else np.asarray(positive)
    shape = ("patient", "visit", "test")
    return xr.Dataset(
        {
            "result": (shape, score[:, None, None]),
            "positive": (shape, positive[:, None, None].astype(float)),
            "event": ("patient", case),
            "t_clinical": ("patient", np.where(case, 20.0, np.inf)),
            "t_start": ("patient", np.where(case, 0.0, np.inf)),
            "t_end": ("patient", np.where(case, 20.0, 120.0)),
            "weight": ("patient", np.ones(len(score)) if weight is None else np.asarray(weight, dtype=float)),
        },
        coords={"month": ("visit", [12.0]), "test": ["t"]},
    )


class TestChances:
    def test_counts_are_poisson(self):
        density = np.array([0.0, 0.1, 2.0])
        mean = density * 7.5 * 0.5 + 0.06
        closed = 1 - np.exp(-mean) * (1 + mean)
        assert CTC.chance({"d_ctc": density}) == pytest.approx(closed, rel=1e-12)
        marrow = MarrowAspirate(n_screened=2e6, background=0.0105)
        share = np.array([0.0, 1e-6])
        assert marrow.chance({"f_dtc": share}) == pytest.approx(1 - np.exp(-(share * 2e6 + 0.0105)), rel=1e-12)

    def test_molecules_are_binomial(self):
        body = {"d_ctdna": np.array([0.0, 0.5, 5.0]), "d_cfdna": np.full(3, 953.0)}
        vaf = body["d_ctdna"] / (953 + body["d_ctdna"])
        chance = vaf + (1 - vaf) * 2e-5
        closed = 1 - sum(stats.binom.pmf(k, 15_000, chance) for k in range(3))
        assert PANEL.chance(body) == pytest.approx(closed, rel=1e-9)
        poor = {
            "d_ctdna": np.array([0.1]),
            "d_cfdna": np.array([49.9]),
        }  # 4 ml x 0.5 x 50 copies: 100 genomes, not 1,500
        assert PANEL.molecules(poor) == pytest.approx([1000])

    def test_many_molecules_are_poisson(self):
        body = {"d_ctdna": np.array([0.3]), "d_cfdna": np.array([953.0])}
        mean = PANEL.molecules(body) * PANEL.fraction(body)
        assert PANEL.chance(body) == pytest.approx(stats.poisson.sf(2, mean), rel=1e-3)

    def test_variants_of_blood_cells(self):
        clean, blood = PANEL, replace(PANEL, hematopoiesis=0.02)
        body = {"d_ctdna": np.zeros(1), "d_cfdna": np.array([953.0])}
        assert blood.chance(body) == pytest.approx(0.02 + 0.98 * clean.chance(body))

    def test_scan_by_organ_and_size(self):
        body = {
            "diameter_mm": np.array([12.0, 6.0, 0.0, 1e3, 30.0]),
            "organ": np.array(["bone", "lung", "bone", "bone", "brain"]),
        }
        seen = np.array([0.45, 0.45, 0.0, 0.9 / (1 + (12 / 1e3) ** 5), 0.0])
        assert SCAN.seen(body) == pytest.approx(seen)
        assert SCAN.chance(body) == pytest.approx(1 - (1 - seen) * 0.96)

    @pytest.mark.parametrize(
        "test", [CTC, PANEL, SCAN, replace(PANEL, mutations=1, error=0.0)], ids=lambda t: type(t).__name__
    )
    def test_draws_have_the_chance(self, test):
        luck = (np.arange(20_000) + 0.5) / 20_000
        body = {"d_ctc": np.full(1, 0.5), "d_ctdna": np.full(1, 0.4), "d_cfdna": np.full(1, 953.0)}
        body |= {"diameter_mm": np.full(1, 11.0), "organ": np.array(["bone"])}
        hits = test.is_positive(test.result(body, luck))
        assert hits.mean() == pytest.approx(float(test.chance(body)[0]), abs=1e-4)

    @pytest.mark.parametrize("p", [0.2, 0.5, 0.95])
    @pytest.mark.parametrize(
        "test", [CTC, PANEL, replace(PANEL, genomes=1e6), SCAN, MarrowAspirate(n_screened=2e6, background=0.01)]
    )
    def test_needed_is_the_inverse_of_chance(self, test, p):
        body = {"d_cfdna": np.array([953.0]), "organ": np.array(["bone"])}
        if p >= 0.9 and test is SCAN:
            assert np.isinf(test.needed(p, body)[1])
            return
        name, need = test.needed(p, body)
        assert float(np.ravel(test.chance(body | {name: need}))[0]) == pytest.approx(
            p, rel=1e-3 if test.name == "ctdna" else 1e-9
        )

    def test_wrong_numbers_are_refused(self):
        for wrong in (
            {"capture": 0},
            {"capture": 1.2},
            {"background": -1},
            {"cutoff": 0},
            {"cutoff": 1.5},
            {"volume_ml": np.nan},
        ):
            with pytest.raises(AnalysisError, match=next(iter(wrong))):
                replace(CTC, **wrong)
        for wrong in ({"error": 2}, {"error": 1}, {"mutations": 0}, {"genomes": "many"}, {"hematopoiesis": -0.1}):
            with pytest.raises(AnalysisError, match=next(iter(wrong))):
                replace(PANEL, **wrong)
        for limits in ({}, {"bone": 0}, {"bone": "1 cm"}):
            with pytest.raises(AnalysisError, match="limit"):
                Imaging(limits_mm=limits)

    def test_tests_can_be_sent_to_workers(self):
        assert pickle.loads(pickle.dumps(SCAN)) == SCAN


class TestCourses:
    def test_growth_is_that_of_the_lesions_module(self):
        def rate(time, size):
            return 1.1e-3 * size * np.log(3.1e12 / size)

        solved = integrate.solve_ivp(rate, (0, 400), [6.6e5], rtol=1e-10, atol=1e-3)
        assert gompertz_size(400, 6.6e5, 1.1e-3, 3.1e12) == pytest.approx(solved.y[0, -1], rel=1e-7)
        assert gompertz_size(-400, solved.y[0, -1], 1.1e-3, 3.1e12) == pytest.approx(6.6e5, rel=1e-7)
        assert gompertz_time(6.6e5, solved.y[0, -1], 1.1e-3, 3.1e12) == pytest.approx(400, rel=1e-7)
        assert sphere_mm(sphere_cells(12.4, 1e9), 1e9) == pytest.approx(12.4)
        assert sphere_mm(1e9, 1e9) == pytest.approx(12.40700982)  # one ml

    def test_a_lesion_is_overt_in_the_month_of_the_event(self):
        courses = follow_lesions(events([60.0, 100.0], event=[True, False]), signals())
        start = 60 - float(gompertz_time(6.6e5, 5.2e8, 1.1e-3, 3.1e12)) / DAYS_PER_MONTH
        assert courses["t_start"].values == pytest.approx([start, np.inf])
        assert courses["t_clinical"].values == pytest.approx([60.0, np.inf])
        assert courses["t_end"].values == pytest.approx([60.0, 100.0])
        at = course_at(courses, [start - 1, start + 1e-9, 60.0])
        assert at["n_lesion"].values[0] == pytest.approx([0, 6.6e5, 5.2e8], rel=1e-6)
        assert at["n_lesion"].values[1] == pytest.approx([0, 0, 0])
        assert at["d_ctdna"].values[0, -1] == pytest.approx(5.2e8 * 2.3e-10)
        assert at["vaf_ctdna"].values[0, -1] == pytest.approx(0.1196 / 953.1196)
        assert at["d_ctc"].values[0, -1] == pytest.approx(0.52)

    def test_symptoms_come_at_a_size(self):
        organs = events([60.0], organ="lung")
        later = float(gompertz_time(5.2e8, sphere_cells(20, 1e9), 1.1e-3, 3.1e12)) / DAYS_PER_MONTH
        for size in (20.0, {"bone": 12.0, "lung": 20.0}):
            courses = follow_lesions(organs, signals(), clinical_mm=size)
            assert courses["t_clinical"].values == pytest.approx([60 + later])
            assert course_at(courses, [60 + later])["diameter_mm"].values == pytest.approx(20.0)
        with pytest.raises(UnknownNameError, match="lung"):
            follow_lesions(organs, signals(), clinical_mm={"bone": 20.0})
        for wrong in (0.5, -3, np.nan, 1e6, "2 cm"):
            with pytest.raises(AnalysisError, match="clinical_mm"):
                follow_lesions(organs, signals(), clinical_mm=wrong)

    def test_marrow_cells_die_after_surgery(self):
        outcomes = xr.Dataset({"p_dtc": ("patient", [0.3])}, coords={"patient": ["p0"]})
        courses = follow_lesions(events([120.0], event=False), signals(), outcomes=outcomes)
        test = MarrowAspirate(n_screened=2e6, background=0.0)
        found = detect(courses, [test], [1e-9, log(2) / 8e-4 / DAYS_PER_MONTH])
        assert found["p_positive"].values.ravel() == pytest.approx([0.3, 1 - np.sqrt(0.7)], rel=1e-6)
        with pytest.raises(AnalysisError, match="p_dtc"):
            detect(follow_lesions(events([120.0]), signals()), [test], [12])

    def test_signals_of_a_patient_and_of_all(self):
        one = signals()
        many = xr.concat([one, one.assign(k_growth=2 * one["k_growth"])], dim="patient").assign_coords(
            patient=["p1", "p0"]
        )
        courses = follow_lesions(events([60.0, 60.0]), many)
        assert courses["k_growth"].values == pytest.approx([2.2e-3, 1.1e-3])
        with pytest.raises(AnalysisError, match="p2"):
            follow_lesions(events([60.0] * 3), many)
        with pytest.raises(UnknownNameError, match="spleen"):
            follow_lesions(events([60.0], organ="spleen"), one)


class TestTreatedGrowth:
    """Lesions under treatment: growth is the integral of a rate that a treatment lowers, or turns around."""

    MONTH = np.arange(-60.0, 121.0)
    RATE = 1.1e-3 * DAYS_PER_MONTH

    def courses(self, relative, time, **options):
        """Courses of bone metastases; `relative` is the rate in every month of the grid over that without treatment."""
        steps = np.asarray(relative(0.5 * (self.MONTH[1:] + self.MONTH[:-1])), dtype=float)
        whole = np.concatenate([[0.0], np.cumsum(steps)]) * self.RATE
        whole -= whole[self.MONTH == 0]
        own = signals(("bone",)).assign(growth=(("organ", "growth_month"), whole[None, :]))
        return follow_lesions(events(time), own.assign_coords(growth_month=self.MONTH), **options)

    def test_without_an_effect_it_is_the_untreated_growth(self):
        time, plain = [3.0, 60.5, 118.0], signals(("bone",))
        same = self.courses(np.ones_like, time, clinical_mm=20)
        other = follow_lesions(events(time), plain, clinical_mm=20)
        for name in ("t_start", "t_clinical"):
            assert same[name].values == pytest.approx(other[name].values, abs=1e-9)
        months = np.linspace(0, 150, 40)
        assert course_at(same, months)["n_lesion"].values == pytest.approx(course_at(other, months)["n_lesion"].values)

    def test_half_the_rate_takes_twice_the_time(self):
        slow = self.courses(lambda m: np.where(m > 0, 0.5, 1.0), [80.0], clinical_mm=20)
        fast = follow_lesions(events([80.0]), signals(), clinical_mm=20)
        for name in ("t_start", "t_clinical"):
            assert float(slow[name][0]) - 80 == pytest.approx(2 * (float(fast[name][0]) - 80), abs=1e-9)
        sizes = course_at(slow, [70.0])["n_lesion"].item(), course_at(fast, [75.0])["n_lesion"].item()
        assert sizes[0] == pytest.approx(sizes[1], rel=1e-9)

    def test_a_course_that_kills_sets_lesions_back(self):
        """Two months of shrinking at three times the rate: six months are lost, and two more pass."""

        def relative(month):
            return np.where((month > 30) & (month < 32), -3.0, 1.0)

        hit = self.courses(relative, [36.0, 90.0])
        plain = follow_lesions(events([36.0, 90.0]), signals())
        assert float(hit["t_start"][1]) == pytest.approx(float(plain["t_start"][1]))
        assert float(hit["t_start"][0]) == pytest.approx(float(plain["t_start"][0]) - 8)
        sizes = course_at(hit, [30.0, 32.0, 36.0, 36.5])["n_lesion"].values[0]
        assert sizes[[0, 2]] == pytest.approx([5.2e8, 5.2e8]) and sizes[1] < sizes[2] < sizes[3]
        later = self.courses(relative, [29.0], clinical_mm=20)
        lag = float(follow_lesions(events([29.0]), signals(), clinical_mm=20)["t_clinical"][0])
        assert float(later["t_clinical"][0]) == pytest.approx(lag + 8 if lag > 30 else lag)

    def test_what_never_grows_up_is_told(self):
        own = signals(("bone",), k_growth=0.0).assign(
            growth=(("organ", "growth_month"), np.minimum(self.MONTH, 10.0)[None, :] * self.RATE)
        )
        own = own.assign_coords(growth_month=self.MONTH)
        with pytest.raises(AnalysisError, match="1 metastases stop growing"):
            follow_lesions(events([9.5]), own, clinical_mm=20)
        assert np.isfinite(follow_lesions(events([9.5]), own)["t_clinical"]).all()

    @pytest.mark.slow
    def test_the_model_under_treatment(self, model):
        """Half the growth for a year costs half a year; and outcomes of another model are refused."""
        import cascade

        surgery = "primary_tumor.t_surgery"
        slow = cascade.treat(model, cascade.inhibit("lesions.k_grow", by=0.5, origin=surgery, start=0, stop=365.25))
        found = lesion_signals(slow).sel(organ="bone")
        rate = float(lesion_signals(model)["k_growth"].sel(organ="bone")) * DAYS_PER_MONTH
        assert float(found["k_growth"]) * DAYS_PER_MONTH == pytest.approx(rate, rel=1e-6)
        months = found["growth"].sel(growth_month=[-24, 6, 12, 36]) / rate
        assert months.values == pytest.approx([-24, 3, 6, 30], abs=0.1)
        outcomes = xr.Dataset(attrs={"model_sha256": model.hash, "arm": "slow"})
        with pytest.raises(AnalysisError, match="outcomes of arm 'slow': another model"):
            follow_courses(slow, None, outcomes)
        arms = outcomes.assign_attrs(arm_models=f'{{"slow": "{slow.hash}"}}').assign_coords(arm="control")
        with pytest.raises(AnalysisError, match="arm 'control': another model"):
            follow_courses(slow, None, arms)
        with pytest.raises(AnalysisError, match="several arms"):
            follow_courses(slow, None, xr.Dataset(coords={"arm": ["a", "b"]}))


class TestResults:
    TESTS = (CTC, PANEL, SCAN)

    def test_every_patient_is_drawn_alone(self):
        courses = cohort_courses(40, hazard=0.01)
        months = [12.0, 24.0, 60.0]
        whole = detect(courses, self.TESTS, months, seed=3)
        part = detect(courses.isel(patient=[31, 7]), [SCAN, CTC], [24.0, 60.0], seed=3)
        same = whole.sel(patient=part["patient"], test=part["test"]).isel(visit=[1, 2])
        xr.testing.assert_equal(part["result"], same["result"])
        other = detect(courses, self.TESTS, months, seed=4)
        assert (other["result"] != whole["result"]).any()

    def test_visits_end_with_the_metastasis_or_the_follow_up(self):
        courses = follow_lesions(events([30.0, 30.0, 0.0, np.nan], event=[1, 0, 1, 0], early=[0, 0, 1, 0]), signals())
        made = np.isfinite(detect(courses, [CTC], [12, 29, 31])["result"].values[:, :, 0])
        assert made.tolist() == [[True, True, False]] * 2 + [[False] * 3] * 2

    def test_false_positives_are_there_and_no_more(self):
        courses = follow_lesions(events(np.full(4000, 120.0), event=False), signals())
        found = detect(courses, self.TESTS, [12, 24], seed=1)
        rate = found["positive"].mean(["patient", "visit"]).values
        chance = found["p_positive"].mean(["patient", "visit"]).values
        assert (chance > 1e-3).all()
        assert (np.abs(rate - chance) < 4 * np.sqrt(chance * (1 - chance) / 8000)).all()
        table = performance(found)
        assert table["specificity"].values == pytest.approx(1 - rate)
        assert np.isnan(table["sensitivity"].values).all()
        assert (table["p_false_alarm"] >= 1 - table["specificity"]).all()

    def test_false_alarms_add_up_over_visits(self):
        """1 - (1 - f)^k of those without a metastasis, f the rate of one visit."""
        courses = follow_lesions(events(np.full(4000, 120.0), event=False), signals())
        test = CtcTest(volume_ml=7.5, capture=0.5, background=-log(0.95))
        for visits in (1, 3, 8):
            truth = 1 - 0.95**visits
            ever = float(performance(detect(courses, [test], 6.0 * np.arange(1, visits + 1)))["p_false_alarm"][0])
            assert ever == pytest.approx(truth, abs=4 * np.sqrt(truth * (1 - truth) / 4000))

    def test_a_test_that_knows_nothing(self):
        """One that never answers, and a coin: area one half, and no decision gains by either."""
        courses = cohort_courses(1500, hazard=0.01, clinical_mm=20.0)
        blind = Imaging(name="blind", limits_mm={"bone": 1.0}, sensitivity=0.0)
        found = detect(courses, [blind, replace(blind, name="coin", false_positive=0.5)], np.arange(6.0, 120.0, 6.0))
        table = performance(found)
        assert table[["sensitivity", "specificity", "auc", "p_found"]].sel(test="blind").to_array().values == (
            pytest.approx([0, 1, 0.5, 0])
        )
        coin = table.sel(test="coin")
        assert float(coin["auc_lower"]) < 0.5 < float(coin["auc_upper"]) and abs(float(coin["auc"]) - 0.5) < 0.03
        curve = decision_curve(found)["net_benefit"]
        assert (curve.sel(strategy="blind") == 0).all()
        assert (curve.sel(strategy="coin") <= np.maximum(curve.sel(strategy="all"), 0) + 0.01).all()

    def test_variants_of_blood_stay_with_a_patient(self):
        courses = follow_lesions(events(np.full(2000, 120.0), event=False), signals())
        found = detect(courses, [replace(PANEL, error=0.0, hematopoiesis=0.05)], [12, 24, 36])
        each = found["positive"].values[:, :, 0]
        assert ((each == each[:, :1]).all(axis=1)).all()
        assert each[:, 0].mean() == pytest.approx(0.05, abs=0.02)

    def test_what_cannot_be_used_is_refused(self):
        courses = cohort_courses(5)
        for visits in ([], [12, 12], [24, 12], [-1], [np.nan], ["soon"]):
            with pytest.raises(AnalysisError, match="visits"):
                detect(courses, [CTC], visits)
        for tests in ([], [3], [CTC, CTC]):
            with pytest.raises(AnalysisError, match="tests"):
                detect(courses, tests, [12])
        with pytest.raises(UnknownNameError, match="pet_ct"):
            detect(courses, ["petct"], [12])
        with pytest.raises(AnalysisError, match="courses"):
            detect(events([3.0]), [CTC], [12])
        with pytest.raises(AnalysisError, match="seed"):
            detect(courses, [CTC], [12], seed=-1)


class TestPerformance:
    def test_lead_time_of_a_gompertz_lesion(self):
        """A test that always sees 5 mm, every month: the lead is the time of growth from there, up to a visit."""
        sharp = Imaging(limits_mm={"bone": 5.0}, steepness=1000)
        courses = follow_lesions(events([50.5, 70.5]), signals(), clinical_mm=20)
        cells = sphere_cells(np.array([5.0, 20.0]), 1e9)
        growth = float(gompertz_time(*cells, 1.1e-3, 3.1e12)) / DAYS_PER_MONTH
        found = detect(courses, [sharp], np.arange(1.0, 90.0))
        lead, _, _ = lead_times(found, "imaging")
        first = np.ceil(courses["t_clinical"].values - growth)
        assert lead == pytest.approx(courses["t_clinical"].values - first)
        assert performance(found)["p_found"].values == pytest.approx([1.0])

    def test_known_table(self):
        found = results([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], [1] * 4 + [0] * 6)
        table = performance(found).isel(test=0)
        assert [float(table[name]) for name in ("sensitivity", "specificity", "ppv", "npv")] == pytest.approx(
            [3 / 4, 5 / 6, 3 / 4, 5 / 6]
        )
        assert float(table["auc"]) == pytest.approx(0.5 * (3 / 4 + 5 / 6))  # two results: the mean of both
        assert (table["sensitivity_lower"] < 0.75 < table["sensitivity_upper"]).item()
        curve = decision_curve(found, [0.2]).squeeze()["net_benefit"].to_series()
        assert curve.tolist() == pytest.approx([0.3 - 0.1 * 0.25, 0.4 - 0.6 * 0.25, 0.0])

    def test_weights_are_numbers_of_patients(self):
        score, case = [2, 1, 0, 1, 0], [1, 1, 1, 0, 0]
        weighted = performance(results(score, case, weight=[1, 2, 1, 3, 1])).isel(test=0)
        rows = np.repeat(np.arange(5), [1, 2, 1, 3, 1])
        repeated = performance(results(np.array(score)[rows], np.array(case)[rows])).isel(test=0)
        for name in ("sensitivity", "specificity", "ppv", "npv", "auc", "p_found"):
            assert float(weighted[name]) == pytest.approx(float(repeated[name])), name

    def test_who_is_a_case(self):
        courses = follow_lesions(events([30.0, 60.0, 30.0, 60.0], event=[1, 1, 0, 0]), signals())
        seen = visits_of(detect(courses, [CTC], [24.0]), "ctc", within=24.0)
        # found within 24 months; found later; follow-up ends too soon to tell; known to be free
        assert seen.patient.tolist() == [0, 1, 3]
        assert seen.case.tolist() == [True, False, False]

    def test_roc_of_known_normals(self):
        rng = np.random.default_rng(5)
        score = np.concatenate([rng.normal(1.2, 1, 3000), rng.normal(0, 1, 3000)])
        found = results(score, np.arange(6000) < 3000)
        curve = roc_curve(found, "t")
        assert curve.attrs["auc"] == pytest.approx(stats.norm.cdf(1.2 / np.sqrt(2)), abs=0.01)
        false = curve["false_positive_rate"].values
        assert curve["sensitivity"].values == pytest.approx(stats.norm.cdf(stats.norm.ppf(false) + 1.2), abs=0.05)
        area = np.trapezoid(curve["sensitivity"].values, false)
        assert area == pytest.approx(curve.attrs["auc"], abs=1e-9)
        assert (curve["sensitivity"].values[0], curve["sensitivity"].values[-1]) == (0.0, 1.0)

    @pytest.mark.parametrize("visits", [1, 4])
    def test_intervals_cover(self, visits):
        """95 % intervals of area and share hold the truth; visits of a patient are alike, and weights differ."""
        rng, truth = np.random.default_rng(11), stats.norm.cdf(1.0 / np.sqrt(2))
        inside = np.zeros(2)
        for _ in range(400):
            case = np.repeat(np.arange(120) < 50, visits)
            patient = np.repeat(np.arange(120), visits)
            own = np.repeat(rng.normal(0, np.sqrt(0.6), 120), visits)
            score = own + rng.normal(0, np.sqrt(0.4), len(own)) + case
            weight = np.repeat(rng.uniform(0.5, 1.5, 120), visits)
            _, low, high = auc(score, case, weight, patient)
            inside[0] += low <= truth <= high
            _, low, high = weighted_share(score[case] > 1, weight[case], patient[case])
            inside[1] += low <= 0.5 <= high
        assert (inside / 400 > 0.915).all(), inside / 400
        assert (inside / 400 < 0.985).all(), inside / 400

    def test_perfect_separation_is_not_certainty(self):
        area, low, high = auc(np.r_[np.ones(5), np.zeros(50)], np.arange(55) < 5, np.ones(55), np.arange(55))
        assert (area, high) == (1.0, 1.0)
        assert low == pytest.approx(5 / (5 + 3.8415), rel=1e-3)

    def test_wrong_results(self):
        found = results([1, 0], [1, 0])
        with pytest.raises(AnalysisError, match="within"):
            performance(found, within=0)
        with pytest.raises(AnalysisError, match="detect"):
            performance(found.drop_vars("positive"))
        with pytest.raises(UnknownNameError, match="pet"):
            roc_curve(found, "pet")
        with pytest.raises(AnalysisError, match="thresholds"):
            decision_curve(found, [0.0, 1.0])


class TestSizes:
    def test_of_a_lesion_in_closed_form(self):
        found = detectable_size([replace(CTC, cutoff=1, background=0.0), PANEL, SCAN], signals(), p=0.5)
        assert float(found["n_cells"].sel(test="ctc", organ="bone")) == pytest.approx(log(2) / (7.5 * 0.5) / 1e-9)
        vaf = (stats.beta.ppf(0.5, 3, 15_000 - 2) - 2e-5) / (1 - 2e-5)
        copies = 953 * vaf / (1 - vaf)
        assert float(found["n_cells"].sel(test="ctdna", organ="lung")) == pytest.approx(copies / 2.3e-10, rel=1e-9)
        assert found["diameter_mm"].sel(test="imaging").values == pytest.approx(
            found["diameter_mm"].sel(test="imaging")
        )
        share = 1 - 0.5 / 0.96
        assert float(found["diameter_mm"].sel(test="imaging", organ="bone")) == pytest.approx(
            12 * (share / (0.9 - share)) ** 0.2
        )

    def test_errors_alone_or_never(self):
        noisy = replace(CTC, cutoff=1, background=5.0)
        assert float(detectable_size([noisy], signals())["n_cells"][0, 0]) == 0
        assert np.isinf(detectable_size([SCAN], signals(("brain",)))["diameter_mm"]).all()
        assert np.isinf(detectable_size([CTC], signals(ctc_per_cell=1e-16))["n_cells"]).all()
        with pytest.raises(AnalysisError, match="disseminated"):
            detectable_size(["marrow"], signals())
        with pytest.raises(AnalysisError, match="p is"):
            detectable_size([CTC], signals(), p=1.0)


class TestTable:
    def test_numbers_have_sources(self):
        path = library_folder() / "tests.tsv"
        assert check_test_table(path, bibliography_keys()) == []
        assert {row.evidence for row in read_test_table(path)} <= {"measured", "fitted", "inferred", "assumed"}

    def test_every_test_can_be_made_and_changed(self):
        kinds = {type(load_clinical_test(name)) for name in clinical_test_names()}
        assert kinds == {CtcTest, CtdnaPanel, MarrowAspirate, Imaging}
        assert load_clinical_test("ctdna", mutations=1000).mutations == 1000
        assert set(symptom_sizes()) == {"bone", "lung", "liver", "brain"}
        with pytest.raises(UnknownNameError, match="ctdna"):
            load_clinical_test("ctDNA panel")
        with pytest.raises(UnknownNameError, match="cutoff"):
            load_clinical_test("ctdna", cut_off=1)

    def test_false_positives_are_those_of_the_sources(self):
        nobody = {"d_ctc": np.zeros(1), "d_ctdna": np.zeros(1), "d_cfdna": np.array([953.0]), "f_dtc": np.zeros(1)}
        nobody |= {"diameter_mm": np.zeros(1), "organ": np.array([""])}
        rate = {name: float(load_clinical_test(name).chance(nobody)[0]) for name in clinical_test_names()}
        two = float(load_clinical_test("ctc", cutoff=2).chance(nobody)[0])
        assert stats.binom.cdf(0, 344, two) < 0.99 and stats.binom.sf(1, 344, two) > 0.05  # Allard 2004: 1 of 344
        assert stats.binom.pmf(0, 156, rate["ctdna"]) > 0.05  # Coombes 2019: none of 156
        assert rate["pet_ct"] == pytest.approx(1 - 0.95)  # Hong 2013
        assert rate["ct_bone_scan"] == pytest.approx(1 - 0.91)

    def test_a_wrong_table_says_where(self, tmp_path):
        text = (library_folder() / "tests.tsv").read_text()
        head, *lines = text.splitlines()
        broken = [
            (lines[0].replace("CtcTest", "CtcTests"), "kind"),
            (lines[0].replace("volume_ml", "volume"), "field"),
            (lines[0].replace("7.5\tml", "7,5\tml"), "not a number"),
            (lines[0].replace("measured", "guessed"), "evidence"),
            (lines[0].replace("janni2016", ""), "source"),
            (lines[0].replace("\tml\t", "\tmililiter\t"), "mililiter"),
        ]
        for line, word in broken:
            path = tmp_path / "tests.tsv"
            path.write_text("\n".join([head, line, *lines[1:]]) + "\n")
            with pytest.raises(TableError, match=f"(?s)line 2.*{word}"):
                read_test_table(path)
        path.write_text("\n".join([head, *lines, lines[0]]) + "\n")
        with pytest.raises(TableError, match="twice"):
            read_test_table(path)


@pytest.fixture(scope="module")
def model():
    import cascade

    return cascade.compose(cascade.load_composition("breast_lite", index={"systemic": ["bone"]}))


class TestModel:
    def test_signals_are_those_of_the_modules(self, model):
        """Constants of one patient, against the model's own balance of shed cells and DNA."""
        found = lesion_signals(model)
        assert list(found["organ"].values) == ["bone", "lung"]
        assert float(found["n_detectable"][0]) == model.parameter("lesions.n_detectable").nominal
        release = 1.4e-4 * 0.15 / (33.27 * 2750)
        assert found["ctdna_per_cell"].values == pytest.approx(release, rel=1e-3)
        assert float(
            found["ctc_per_cell"].sel(organ="lung") / found["ctc_per_cell"].sel(organ="bone")
        ) == pytest.approx(25)
        assert found["k_growth"].values == pytest.approx(model.parameter("lesions.k_grow").nominal * 1.034, rel=1e-3)

    def test_blood_of_a_lesion_is_that_of_the_circulation(self):
        """The balance that `lesion_signals` uses, against the module under a constant arterial inflow."""
        import cascade

        module = cascade.compose(cascade.load_module("circulation"))
        values = {
            "v_shed_single": 0.0,
            "v_shed_cluster": 0.0,
            "v_shed_arterial": 1e4,
            "v_lymph": 0.0,
            "f_resected": 1.0,
        }
        run = cascade.simulate(module, days=30, values=values, record=["n_ctc"])
        die, arrest, cloak, spared = 4.1, 5.0, 2.0, 0.2
        residence = (1 + cloak / (spared * die + arrest)) / (die + arrest + cloak)
        assert float(run["n_ctc"][-1]) == pytest.approx(1e4 * residence, rel=1e-6)

    def test_primary_is_found_by_size(self, model):
        tests = ["ctc", "ctdna", "mammography"]
        found = screen_primary(model, tests)
        chance = found["p_positive"]
        assert (chance.diff("diameter_mm") >= -1e-12).all()
        at = found["diameter_found"].to_series()
        assert 2 < at["ctdna"] < 20 and np.isinf(at["ctc"])  # one tube in five is positive at 2 cm
        assert float(chance.sel(test="ctdna").interp(diameter_mm=at["ctdna"])) == pytest.approx(0.5, abs=0.01)
        assert float(chance.sel(test="ctc")[-1]) == pytest.approx(0.2, abs=0.06)
        with pytest.raises(AnalysisError, match="disseminated"):
            screen_primary(model, ["marrow"])


class TestPlots:
    def test_every_plot_shows_the_numbers(self):
        import matplotlib.pyplot as plt

        from cascade.plot_detection import plot_decision, plot_found_by_size, plot_lead_time, plot_roc, plot_schedules

        courses = cohort_courses(200, hazard=0.01, clinical_mm=20.0)
        found = detect(courses, [CTC, PANEL, SCAN], np.arange(6.0, 120.0, 6.0))
        table = performance(found)
        axis = plot_roc(found)
        assert f"AUC {float(table['auc'].sel(test='ctdna')):.2f}" in axis.get_legend().get_texts()[1].get_text()
        cross = [line for line in axis.lines if line.get_marker() == "x"][1]
        assert cross.get_ydata() == pytest.approx([float(table["sensitivity"].sel(test="ctdna"))])
        assert cross.get_xdata() == pytest.approx([1 - float(table["specificity"].sel(test="ctdna"))])
        lead = plot_lead_time(found)
        assert lead.lines[1].get_ydata()[-1] == pytest.approx(100 * float(table["p_found"].sel(test="ctdna")))
        decision = plot_decision(found)
        assert [text.get_text() for text in decision.get_legend().get_texts()] == [
            "ctc",
            "ctdna",
            "imaging",
            "all",
            "none",
        ]
        size = plot_found_by_size([CTC, PANEL, "marrow"], signals(), organ="lung")
        assert len(size.lines) == 2
        half = np.interp(50, size.lines[1].get_ydata(), size.lines[1].get_xdata())
        closed = detectable_size([PANEL], signals())["diameter_mm"].sel(organ="lung")
        assert half == pytest.approx(float(closed[0]), rel=0.01)
        assert len(plot_schedules({"a": (12, 24), "b": (6,)}).get_yticklabels()) == 2
        with pytest.raises(UnknownNameError, match="spleen"):
            plot_found_by_size([CTC], signals(), organ="spleen")
        plt.close("all")


class TestFates:
    def test_fates_of_a_patient_are_one_cluster(self):
        """The same patients many times: the numbers stay, and the intervals do not shrink."""
        courses = cohort_courses(60, hazard=0.01, clinical_mm=20.0)
        found = detect(courses, [SCAN], np.arange(6.0, 120.0, 6.0))
        many = xr.concat(
            [found.assign_coords(patient=[f"{p} {k}" for p in found["patient"].values]) for k in range(9)], "patient"
        )
        many["subject"] = ("patient", np.tile(np.arange(60), 9))
        one, all_fates = performance(found).isel(test=0), performance(many).isel(test=0)
        for name in ("sensitivity", "sensitivity_lower", "specificity_upper", "auc", "auc_lower", "p_found_lower"):
            assert float(all_fates[name]) == pytest.approx(float(one[name]), rel=1e-6), name
