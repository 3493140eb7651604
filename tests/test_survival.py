"""Survival against closed forms, lifelines, coverage over seeds, and its exact counterpart."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from followed import events, outcomes
from scipy.stats import binom, chi2

from cascade import plot_survival
from cascade.cohort.outcomes import draw_events
from cascade.errors import AnalysisError, UnknownNameError
from cascade.population import population_risk
from cascade.survival import compare_arms, competing_risks, kaplan_meier
from cascade.survival._cox import _quiet, _score, hazard_ratio, log_rank, proportional
from cascade.survival._followed import followed
from cascade.survival._hazards import least_false_ratio
from cascade.survival._risk_sets import restricted_mean, risk_sets
from cascade.survival.exact import exact_comparison, exact_survival
from cascade.trial._replicates import log_rank as counted
from cascade.trial._replicates import log_ratios

matplotlib.use("Agg")


def within(hits: int, count: int, share: float = 0.95) -> bool:
    """Tell whether hits are what chance allows, but for 1 in 10,000."""
    low, high = binom.ppf((5e-5, 1 - 5e-5), count, share)
    return bool(low <= hits <= high)


def test_kaplan_meier_is_that_of_lifelines() -> None:
    from lifelines import KaplanMeierFitter

    data = events(np.random.default_rng(1), 300)
    data["time"] = data["time"].round()  # ties
    found = kaplan_meier(data).isel(group=0)
    fit = KaplanMeierFitter().fit(data["time"].values, data["event"].values)
    months = found["month"].values
    np.testing.assert_allclose(found["survival"], fit.survival_function_at_times(months), rtol=1e-12)
    ends = fit.confidence_interval_.reindex(months, method="ffill").to_numpy()
    after = found["survival"].values < 1
    np.testing.assert_allclose(found["lower"].values[after], ends[after, 0], rtol=1e-6)
    np.testing.assert_allclose(found["upper"].values[after], ends[after, 1], rtol=1e-6)
    assert float(found["median"]) == fit.median_survival_time_
    assert [int(v) for v in found["at_risk"].values[:2]] == [300, int((data["time"] >= 1).sum())]


def test_whole_weights_are_repeated_patients() -> None:
    rng = np.random.default_rng(2)
    weight = rng.integers(1, 5, 120)
    data = events(rng, 120, weight=weight)
    many = data.drop_vars("weight").isel(patient=np.repeat(np.arange(120), weight))
    many = many.assign_coords(patient=[f"q{i}" for i in range(many.sizes["patient"])])
    for name in ("survival", "restricted_mean", "median"):
        np.testing.assert_allclose(kaplan_meier(data)[name], kaplan_meier(many)[name], rtol=1e-12)
    one, other = competing_risks(data)["incidence"], competing_risks(many)["incidence"]
    np.testing.assert_allclose(one, other, rtol=1e-12)
    # a weight that is given replaces that of the events, is matched by id, and its scale means nothing
    given = (7 * data["weight"])[::-1]
    xr.testing.assert_allclose(kaplan_meier(data), kaplan_meier(data.drop_vars("weight"), weights=given))


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_intervals_cover_the_closed_forms(spread: float) -> None:
    """Survival exp(-rt), incidence and restricted mean of a constant hazard, with weights that differ and without."""
    rate, count = 0.1, 120
    free = math.exp(-5 * rate)
    hits = dict.fromkeys(("survival", "bone"), 0)
    for seed in range(count):
        rng = np.random.default_rng([seed, 3])
        weight = np.exp(spread * rng.normal(size=150)) if spread else None
        data = events(rng, 150, rate=rate, weight=weight)
        row = kaplan_meier(data, months=[60]).isel(group=0, month=0)
        hits["survival"] += float(row["lower"]) <= free <= float(row["upper"])
        bone = competing_risks(data, months=[60]).sel(cause="bone").isel(group=0, month=0)
        hits["bone"] += float(bone["lower"]) <= 0.7 * (1 - free) <= float(bone["upper"])
    assert all(within(each, count) for each in hits.values()), hits


def test_restricted_mean_and_its_error() -> None:
    """Against the integral of the closed form, and the spread over seeds; it is that of lifelines."""
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    truth = (1 - math.exp(-0.5)) * 120  # 12/rate * (1 - exp(-rate*5)), months up to 60
    found, error = [], []
    for seed in range(200):
        rows = followed(events(np.random.default_rng([seed, 1]), 100))[0]
        mean, influence = restricted_mean(risk_sets(rows), 60.0)
        found.append(mean)
        error.append(math.sqrt((influence**2).sum()))
    assert np.mean(error) == pytest.approx(np.std(found), rel=0.2)
    assert np.mean(found) == pytest.approx(truth, abs=4 * np.mean(error) / math.sqrt(200))
    data = events(np.random.default_rng(1), 2000)
    fit = KaplanMeierFitter().fit(data["time"].values, data["event"].values)
    mine = float(kaplan_meier(data, months=[60])["restricted_mean"][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lifelines, on the accuracy of its quadrature
        assert mine == pytest.approx(restricted_mean_survival_time(fit, t=60), rel=1e-3)
    assert mine == pytest.approx(truth, abs=2.0)


def test_incidences_and_survival_sum_to_one_and_are_those_of_lifelines() -> None:
    from lifelines import AalenJohansenFitter

    data = events(np.random.default_rng(4), 200)
    found = competing_risks(data, death=0.02, seed=3)
    assert [str(c) for c in found["cause"].values] == ["bone", "lung", "death"]
    np.testing.assert_allclose(found["incidence"].sum("cause") + found["free"], 1, atol=1e-12)
    alone = competing_risks(data)
    np.testing.assert_allclose(alone["free"], kaplan_meier(data)["survival"], rtol=1e-12)
    code = np.where(data["organ"].values == "bone", 1, np.where(data["organ"].values == "lung", 2, 0))
    fit = AalenJohansenFitter(calculate_variance=True).fit(data["time"].values, code, event_of_interest=1)
    months = alone["month"].values
    theirs = fit.cumulative_density_.iloc[:, 0].reindex(months, method="ffill").to_numpy()
    row = alone.sel(cause="bone").isel(group=0)
    np.testing.assert_allclose(row["incidence"], theirs, rtol=1e-10)
    ends = fit.confidence_interval_.reindex(months, method="ffill").to_numpy()
    seen = slice(12, 100)
    np.testing.assert_allclose(row["lower"][seen], ends[seen, 0], atol=0.01)
    np.testing.assert_allclose(row["upper"][seen], ends[seen, 1], atol=0.01)


def test_a_rival_that_wins_leaves_little_to_metastasis() -> None:
    """Constant hazards: Aalen-Johansen has the share a/(a+d) of what happens; without the rival it is 1 - survival."""
    data = events(np.random.default_rng(1), 3000, rate=0.1, censor=240)
    risks = competing_risks(data, death=1.0, seed=2, months=[60]).isel(group=0, month=0)
    alone = competing_risks(data, months=[60]).isel(group=0, month=0)
    met = [float(each["incidence"].sel(cause=["bone", "lung"]).sum()) for each in (risks, alone)]
    assert met == pytest.approx([0.1 / 1.1 * (1 - math.exp(-5.5)), 1 - math.exp(-0.5)], abs=0.03)
    assert float(risks["incidence"].sum() + risks["free"]) == pytest.approx(1, abs=1e-12)


def test_deaths_belong_to_the_patient() -> None:
    data = events(np.random.default_rng(6), 50)
    death = xr.DataArray(np.where(np.arange(50) < 25, 0.0, 50.0), dims="patient", coords={"patient": data["patient"]})
    found = competing_risks(data, by=xr.where(death > 0, "old", "young"), death=death)
    assert float(found["incidence"].sel(group="young", cause="death").max()) == 0
    assert float(found["incidence"].sel(group="old", cause="death", month=12)) > 0.9
    part = data.isel(patient=slice(40, 50))
    one = competing_risks(part, death=death, seed=2, months=[0.1, 0.2, 0.5, 1])["incidence"].sel(cause="death")
    inside = xr.where(death["patient"].isin(part["patient"]), "these", "others")
    whole = competing_risks(data, death=death, seed=2, by=inside, months=one["month"].values)
    np.testing.assert_allclose(one[0], whole["incidence"].sel(cause="death", group="these"))
    assert 0 < float(one[0, -1]) == float(one.max())


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_the_hazard_ratio_is_within_its_interval(spread: float) -> None:
    count, hits, passed = 25, 0, 0
    for seed in range(count):
        rng = np.random.default_rng([seed, 7])
        weight = [np.exp(spread * rng.normal(size=120)) if spread else None for _ in range(2)]
        control = events(rng, 120, rate=0.1, weight=weight[0])
        arm = events(rng, 120, rate=0.06, weight=weight[1], first=1000)
        same = events(rng, 120, rate=0.1, weight=weight[1], first=1000)
        ratio = hazard_ratio(followed(control)[0], followed(arm)[0])
        hits += ratio.interval[1] <= 0.6 <= ratio.interval[2]
        passed += log_rank(followed(control)[0], followed(same)[0]) < 0.05
    assert within(hits, count), hits
    assert within(count - passed, count), passed


def test_hazards_that_are_proportional_pass_for_it_in_nineteen_of_twenty() -> None:
    """The score test of the slope: its error, and lifelines' approximation of it."""
    from lifelines import CoxPHFitter
    from lifelines.statistics import proportional_hazard_test

    passed, arm = 0, np.arange(200) >= 100
    for seed in range(100):
        rng = np.random.default_rng([seed, 12])
        rows = [followed(events(rng, 100, rate=r, first=f))[0] for r, f in ((0.1, 0), (0.06, 1000))]
        time, event = (np.concatenate([getattr(r, name) for r in rows])[None, :] for name in ("time", "event"))
        passed += proportional(*rows, float(log_ratios(*counted(time, event, arm)[2])[0])) < 0.05
    assert within(100 - passed, 100), passed
    rows = [followed(events(np.random.default_rng(k), 400, rate=r, first=1000 * k))[0] for k, r in ((1, 0.1), (2, 0.1))]
    rows[1] = replace(rows[1], time=rows[1].time ** 1.3 / 120**0.3)
    names = ("time", "event")
    table = pd.concat([pd.DataFrame({n: getattr(r, n) for n in names} | {"arm": i}) for i, r in enumerate(rows)])
    with _quiet():
        fit = CoxPHFitter().fit(table, "time", "event")
        theirs = float(proportional_hazard_test(fit, table, time_transform="rank").test_statistic.item())
    mine = chi2.isf(proportional(*rows, hazard_ratio(*rows).log), 1)
    assert mine == pytest.approx(theirs, rel=0.1) and mine > 4
    assert math.isnan(proportional(rows[0], rows[0], 0.0))


def test_the_robust_test_is_the_log_rank_test_where_weights_are_equal() -> None:
    control, arm = (events(np.random.default_rng(k), 800, rate=r, first=1000 * k) for k, r in ((1, 0.1), (2, 0.085)))
    rows = [followed(each)[0] for each in (control, arm)]
    group = np.repeat([0.0, 1.0], 800)
    time, event, weight = (np.concatenate([getattr(r, n) for r in rows]) for n in ("time", "event", "weight"))
    score = _score(time, event, group, weight)
    from lifelines.statistics import logrank_test
    from scipy.stats import norm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = logrank_test(rows[0].time, rows[1].time, rows[0].event, rows[1].event)
    z = abs(score.sum()) / math.sqrt((score**2).sum())
    assert z == pytest.approx(math.sqrt(theirs.test_statistic), rel=0.02)
    assert log_rank(*rows) == pytest.approx(theirs.p_value)
    assert 2 * norm.sf(z) == pytest.approx(theirs.p_value, rel=0.1)


def test_the_same_patients_in_both_arms_are_paired() -> None:
    control, arm = (draw_events(outcomes(ratio, n=400, spread=1.0), seed=3) for ratio in (1.0, 0.8))
    other = arm.assign_coords(patient=[f"q{i}" for i in range(400)])
    paired, apart = compare_arms(control, arm), compare_arms(control, other)
    for name in ("hazard_ratio", "restricted_mean_difference", "risk_reduction"):
        np.testing.assert_allclose(paired[name], apart[name], rtol=1e-9)
        width = [float((d[f"{name}_upper"] - d[f"{name}_lower"]).max()) for d in (paired, apart)]
        assert width[0] < 0.6 * width[1]
    assert float(paired["p_log_rank"]) < float(apart["p_log_rank"])


def test_number_needed_to_treat_is_one_over_the_difference() -> None:
    """Without censoring the risks are shares, with the variance of shares."""

    def sure(cases: int, first: int) -> xr.Dataset:
        time = np.where(np.arange(100) < cases, np.linspace(1, 50, 100), 120.0)
        return xr.Dataset(
            {"time": ("patient", time), "event": ("patient", np.arange(100) < cases)},
            coords={"patient": [f"p{i + first}" for i in range(100)]},
        )

    row = compare_arms(sure(40, 0), sure(20, 100)).sel(year=5)
    error = math.sqrt(0.4 * 0.6 / 100 + 0.2 * 0.8 / 100)
    assert float(row["risk_control"]) == pytest.approx(0.4) and float(row["risk_arm"]) == pytest.approx(0.2)
    assert float(row["risk_reduction_lower"]) == pytest.approx(0.2 - 1.959964 * error)
    assert float(row["nnt"]) == pytest.approx(5)
    assert float(row["nnt_lower"]) == pytest.approx(1 / (0.2 + 1.959964 * error))
    assert float(row["nnt_upper"]) == pytest.approx(1 / (0.2 - 1.959964 * error))
    harm = compare_arms(sure(20, 0), sure(40, 100)).sel(year=5)
    assert float(harm["nnt"]) == pytest.approx(-5) and float(harm["nnt_upper"]) < 0
    unsure = compare_arms(sure(22, 0), sure(20, 100)).sel(year=5)
    assert float(unsure["nnt_upper"]) == math.inf and float(unsure["nnt_lower"]) > 0
    nothing = compare_arms(sure(20, 0), sure(0, 100))
    assert math.isnan(float(nothing["hazard_ratio"])) and str(nothing["reason"].item()) == "no event in the arm"
    assert float(nothing["p_log_rank"]) < 1e-4


def test_exact_survival_has_the_closed_forms() -> None:
    found = exact_survival(outcomes(rate=0.12, before=0.2), death=0.03).isel(group=0)
    t = found["month"].values / 12
    np.testing.assert_allclose(found["survival"], np.exp(-0.12 * t), rtol=1e-12)
    np.testing.assert_allclose(found["hazard"][1:], 0.12, rtol=1e-9)
    gone = 1 - np.exp(-0.15 * t)
    np.testing.assert_allclose(found["incidence"].sel(cause="bone"), 0.7 * 0.12 / 0.15 * gone, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found["incidence"].sel(cause="death"), 0.03 / 0.15 * gone, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found["incidence"].sum("cause") + found["free"], 1, atol=1e-12)
    assert float(found["metastatic"]) == pytest.approx(1 - math.exp(-0.2))


def test_exact_survival_is_the_population_risk() -> None:
    """Patients at the nodes of the quadrature, with its weights, are the population that `population_risk` mixes."""
    nodes, weight = np.polynomial.hermite_e.hermegauss(120)
    hazard = np.exp(1.2 * nodes)[:, None] * 0.004 * np.arange(121)
    cohort = xr.Dataset(
        {
            "h_distant": (("patient", "month"), hazard),
            "h_before": ("patient", np.zeros(120)),
            "weight": ("patient", weight),
        },
        coords={"patient": np.arange(120).astype(str), "month": np.arange(121)},
    )
    mixed = population_risk(xr.DataArray(0.004 * np.arange(121), dims="month"), 1.2)["p_metastasis_free"]
    np.testing.assert_allclose(exact_survival(cohort)["survival"][0], mixed, rtol=1e-12)


def test_events_drawn_from_hazards_show_the_exact_survival() -> None:
    """Who is metastatic at diagnosis is left out, in proportion to his hazard."""
    rng = np.random.default_rng(8)
    many = outcomes(n=3000, spread=1.0, before=0.3, weight=rng.uniform(0.2, 3, 3000))
    drawn = draw_events(many, seed=4)
    curve, exact = kaplan_meier(drawn).isel(group=0), exact_survival(many).isel(group=0)
    assert curve.attrs["metastatic"] == int(drawn["metastatic_at_diagnosis"].sum()) > 300
    late = curve.sel(month=[24, 60, 120])
    z = (late["survival"] - exact["survival"].sel(month=late["month"])) / ((late["upper"] - late["lower"]) / 3.92)
    assert float(abs(z).max()) < 4
    risks = competing_risks(drawn).isel(group=0).sel(month=60)
    for cause in ("bone", "lung"):
        one = risks.sel(cause=cause)
        assert float(one["lower"]) - 0.02 < float(exact["incidence"].sel(cause=cause, month=60)) < one["upper"] + 0.02


def test_exact_comparison_is_the_limit_of_the_sample() -> None:
    plain = exact_comparison(outcomes(), outcomes(0.7))
    assert float(plain["hazard_ratio"]) == pytest.approx(0.7, rel=1e-5)
    np.testing.assert_allclose(plain["hazard_ratio_course"][1:], 0.7, rtol=1e-9)
    risk = 1 - np.exp(-0.6), 1 - np.exp(-0.42)
    assert float(plain["nnt"].sel(year=10)) == pytest.approx(1 / (risk[0] - risk[1]))
    gained = 12 * ((1 - math.exp(-0.42)) / 0.042 - (1 - math.exp(-0.6)) / 0.06)
    assert float(plain["restricted_mean_difference"]) == pytest.approx(gained, rel=1e-4)
    # patients who differ: those at risk leave the control first, so that the ratio of the populations rises to 1
    sides = outcomes(n=4000, spread=1.5, rate=0.1), outcomes(0.5, n=4000, spread=1.5, rate=0.1)
    exact = exact_comparison(*sides)
    course = exact["hazard_ratio_course"].values[1:]
    assert course[0] == pytest.approx(0.5, abs=0.02) and (np.diff(course) > 0).all()
    assert float(exact["reduction_of_patient"].min()) > 0
    arm = draw_events(sides[1], seed=2).assign_coords(patient=[f"q{i}" for i in range(4000)])
    sampled = compare_arms(draw_events(sides[0], seed=1), arm)
    off = math.log(float(sampled["hazard_ratio"]) / float(exact["hazard_ratio"]))
    assert abs(off) < 4 * float(sampled["log_hazard_ratio_error"])


def test_the_limit_of_cox_is_found_with_unequal_arms_and_censoring() -> None:
    month = np.linspace(0, 120, 1201)
    control, arm = np.exp(-0.01 * month), np.exp(-0.006 * month)
    seen = np.linspace(1, 0, 1200)
    assert least_false_ratio(control, arm, seen, allocation=0.7) == pytest.approx(0.6, rel=1e-6)
    assert math.isnan(least_false_ratio(np.ones(10), control[:10]))


def test_groups_and_the_patients_who_are_left_out() -> None:
    data = events(np.random.default_rng(9), 60)
    data["time"][:5] = np.nan
    data["metastatic_at_diagnosis"] = "patient", np.arange(60) >= 55
    group = xr.DataArray(["a", "b"] * 30, dims="patient", coords={"patient": data["patient"]})[::-1]
    found = kaplan_meier(data, by=group)
    assert (found.attrs["missing"], found.attrs["metastatic"], found.attrs["patients"]) == (5, 5, 50)
    assert list(found["group"].values) == ["a", "b"] and found["patients"].values.tolist() == [25, 25]
    alone = kaplan_meier(data.isel(patient=slice(0, 60, 2)))
    np.testing.assert_allclose(found["survival"].sel(group="a", month=40), alone["survival"].sel(month=40)[0])
    late = kaplan_meier(data, months=[10, 500])
    assert np.isnan(late["survival"].values[0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": xr.DataArray(-np.ones(20), dims="patient")}, "weights must be finite, 0 or more"),
        ({"weights": xr.DataArray(np.ones(3), dims="patient")}, "weights are for 3 patients, the events for 20"),
        ({"by": "stage"}, "no variable 'stage'"),
        ({"by": xr.DataArray(np.linspace(0, 1, 40), dims="patient")}, "groups are for 40 patients"),
        ({"months": [3, 2]}, "months must be numbers of 0 or more that rise"),
    ],
)
def test_bad_input_is_told(change: dict[str, Any], message: str) -> None:
    data = events(np.random.default_rng(1), 20)
    with pytest.raises((AnalysisError, UnknownNameError), match=message):
        kaplan_meier(data, **change)


def test_other_bad_input_is_told() -> None:
    data = events(np.random.default_rng(1), 40)
    for wrong, message in (
        (data.drop_vars("event"), "no 'event' over patient"),
        (data.assign(time=data["time"] * np.nan), "no patient can be followed: of 40, 40 have no time"),
        (data.assign(time=-data["time"]), "a time is negative"),
        ({"time": 1}, "events are"),
    ):
        with pytest.raises(AnalysisError, match=message):
            kaplan_meier(wrong)
    with pytest.raises(AnalysisError, match="40 groups; give 1 to 30"):
        kaplan_meier(data, by=xr.DataArray(np.arange(40), dims="patient"))
    with pytest.raises(AnalysisError, match="hazard of death is no finite number"):
        competing_risks(data, death=-1.0)
    with pytest.raises(AnalysisError, match="the control has 1 patients"):
        compare_arms(data.isel(patient=[0]), data)
    with pytest.raises(AnalysisError, match=r"arms hold other patients"):
        exact_comparison(outcomes(n=5), outcomes(n=6))
    with pytest.raises(AnalysisError, match="hold no h_distant"):
        exact_survival(data)
    gone = outcomes(n=3)
    gone["h_distant"][:] = np.nan
    with pytest.raises(AnalysisError, match="of 3 patients 0 have hazards up to month 120"):
        exact_survival(gone)


def test_pictures_hold_what_they_are_given() -> None:
    data = events(np.random.default_rng(1), 80)
    half = xr.DataArray(["a", "b"] * 40, dims="patient", coords={"patient": data["patient"]})
    curve = kaplan_meier(data, by=half)
    axis = plot_survival.survival_curves(curve)
    assert [line.get_label() for line in axis.get_lines()] == ["a", "b"]
    np.testing.assert_allclose(axis.get_lines()[1].get_ydata(), curve["survival"].sel(group="b"))
    written = [text.get_text() for text in axis.texts]
    assert {"a", "b", "40"} <= set(written)
    stack = plot_survival.incidence_stack(competing_risks(data, death=0.05))
    assert [t.get_text() for t in stack.get_legend().get_texts()] == ["death from another cause", "lung", "bone"]
    with pytest.raises(AnalysisError, match="no 'survival' over months"):
        plot_survival.survival_curves(data)
    matplotlib.pyplot.close("all")
