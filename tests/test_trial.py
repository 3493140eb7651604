"""Virtual trials: error and power against theory, who enters and what ends it, weights, the page and the command."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
import xarray as xr
from followed import arms, outcomes
from scipy.stats import binom

import cascade
from cascade import plot_survival
from cascade.cli._arms import arm_from, arms_from
from cascade.cli._trial import classes, summary
from cascade.cohort.outcomes import draw_events
from cascade.errors import AnalysisError, CascadeError, UnknownNameError, ValueSettingError
from cascade.survival import compare_arms, kaplan_meier
from cascade.survival._followed import followed
from cascade.survival.exact import exact_survival
from cascade.therapy import Intervention
from cascade.therapy.regimens import Regimen
from cascade.trial import events_of_arm, run_trial, trial_of
from cascade.trial._boundaries import bounds, drift_for, passing
from cascade.trial._replicates import log_rank, log_ratios
from cascade.trial._results import holm
from cascade.trial.arms import arms_of, follow_arms
from cascade.trial.size import power_of_trial, sample_size, schoenfeld_events, schoenfeld_power

matplotlib.use("Agg")


def within(hits: float, count: int, share: float) -> bool:
    """Tell whether hits are what chance allows, but for 1 in 10,000."""
    low, high = binom.ppf((5e-5, 1 - 5e-5), count, share)
    return bool(low <= hits <= high)


@pytest.mark.parametrize("looks", [(1.0,), (0.4, 0.7, 1.0)])
def test_a_trial_of_nothing_finds_something_in_one_of_twenty(looks: tuple[float, ...]) -> None:
    same = outcomes(spread=1.0)
    found = power_of_trial(same, same, 300, looks=looks, accrual_months=24, dropout=0.02, replicates=3000).isel(n=0)
    assert within(round(3000 * float(found["power"])), 3000, 0.05), float(found["power"])
    assert within(round(3000 * float(found["wins"])), 3000, 0.025)
    assert float(found["power_schoenfeld"]) == pytest.approx(0.05)
    assert float(found["hazard_ratio"]) == pytest.approx(1, abs=0.02)


def test_so_does_the_trial_of_one_sample() -> None:
    same = arms(1.0, n=100, rate=0.15)
    p = [float(trial_of(same, n=80, power=None, seed=seed)["p_log_rank"][0]) for seed in range(25)]
    assert within(sum(each < 0.05 for each in p), 25, 0.05)
    assert within(sum(each < 0.5 for each in p), 25, 0.5)


def test_power_is_that_of_schoenfeld_where_his_formula_holds() -> None:
    """Proportional hazards, patients alike, half of them in each arm."""
    control, arm = outcomes(rate=0.1), outcomes(0.65, rate=0.1)
    found = power_of_trial(control, arm, [120, 300], accrual_months=24, dropout=0.03, replicates=3000)
    assert float(found["expected_hazard_ratio"]) == pytest.approx(0.65, rel=1e-4)
    for n in (120, 300):
        row = found.sel(n=n)
        assert float(row["power"]) == pytest.approx(float(row["power_schoenfeld"]), abs=0.035)
        assert float(row["events"]) == pytest.approx(n * float(found["event_share"]), rel=0.01)
        assert float(row["hazard_ratio"]) == pytest.approx(0.65, rel=0.04)
    assert float(found["wins"].sel(n=300)) == pytest.approx(float(found["power"].sel(n=300)), abs=0.001)


def test_the_share_of_events_is_the_integral() -> None:
    """Constant hazards of event a and loss b, entry even over 24 of 120 months: a/(a+b) (1 - E exp(-(a+b) T))."""
    found = power_of_trial(outcomes(rate=0.1), outcomes(rate=0.1), 100, accrual_months=24, dropout=0.03, replicates=100)
    both = 0.13
    mean = (math.exp(-both * 8) - math.exp(-both * 10)) / (both * 2)
    assert float(found["event_share"]) == pytest.approx(0.1 / both * (1 - mean), rel=1e-3)


def test_a_trial_of_the_size_that_was_found_has_the_power() -> None:
    control, arm = outcomes(rate=0.1), outcomes(0.6, rate=0.1)
    found = sample_size(control, arm, power=0.9, replicates=2000)
    assert float(found["n"]) == pytest.approx(float(found["n_schoenfeld"]), rel=0.06)
    assert float(found["power"]) == pytest.approx(0.9, abs=0.03)
    unequal = sample_size(control, arm, power=0.9, replicates=2000, allocation=0.8)
    assert float(unequal["n"]) > 1.3 * float(found["n"])
    # an arm that loses its effect early needs more looks, not more patients: the formula knows the last look alone
    for other, reason in ((control, "nothing to find"), (outcomes(0.997, rate=0.1), "more than 200000 patients")):
        nothing = sample_size(control, other)
        assert float(nothing["n"]) == math.inf and reason in str(nothing["reason"].item())


def test_schoenfeld_is_the_formula() -> None:
    assert schoenfeld_events(0.7, power=0.8) == pytest.approx(
        4 * (1.959964 + 0.841621) ** 2 / math.log(0.7) ** 2, rel=1e-6
    )
    assert schoenfeld_power(0.7, schoenfeld_events(0.7, power=0.8)) == pytest.approx(0.8, abs=1e-4)
    assert schoenfeld_events(1.0) == math.inf
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(AnalysisError, match="hazard_ratio is"):
            schoenfeld_events(wrong)


def test_an_arm_without_any_event_is_found_with_few_patients() -> None:
    """There is no hazard ratio, and all the more a difference, whichever arm it is."""
    cured = arms(0.0, n=60, rate=0.1)
    for sides, better in ((cured, "drug 1"), (cured[{"arm": [1, 0]}].assign_coords(arm=["control", "d"]), "control")):
        found = trial_of(sides, n=60, replicates=300).isel(comparison=0)
        assert 8 <= float(found["n_needed"]) <= 40 and math.isnan(float(found["n_needed_schoenfeld"]))
        assert float(found["power"]) == 1 and f"{better} is better; p below 0.0001" in found.attrs["verdict"]
        assert ("drawn from 60 different ones" in found.attrs["verdict"]) == (found.sizes["patient"] > 60)


def test_an_effect_that_comes_late_is_told() -> None:
    """No effect for three years, then a third of the hazard: no crossing, and yet no proportional hazards."""
    cohort, month = arms(1.0, 0.65, n=50, rate=0.1), np.arange(121)
    late = 0.1 / 12 * np.where(month < 36, month, 36 + 0.3 * (month - 36))
    cohort["h_distant"][1] = np.broadcast_to(late, (50, 121))
    found = trial_of(cohort, n=1200, power=None)
    row, same = (found.isel(comparison=i) for i in (0, 1))
    assert [float(row[f"hazard_ratio_{part}"]) for part in ("early", "late")] == pytest.approx([1.0, 0.3], abs=0.02)
    assert [float(same[f"hazard_ratio_{part}"]) for part in ("early", "late")] == pytest.approx([0.65] * 2, rel=1e-3)
    assert float(row["p_proportional"]) < 0.001 < float(same["p_proportional"])
    assert found.attrs["verdict"].count("The hazards are not proportional") == 1


def test_bounds_are_those_of_the_tables() -> None:
    """Jennison and Turnbull 1999, tables 2.1 and 2.3."""
    np.testing.assert_allclose(bounds((0.5, 1)), [2.797, 1.977], atol=6e-4)
    np.testing.assert_allclose(bounds((1 / 3, 2 / 3, 1)), [3.471, 2.454, 2.004], atol=6e-4)
    fifths = [k / 5 for k in range(1, 6)]
    np.testing.assert_allclose(bounds(fifths, shape="pocock"), 2.413, atol=6e-4)
    np.testing.assert_allclose(bounds(fifths)[-1], 2.040, atol=6e-4)
    np.testing.assert_allclose(bounds((1,)), 1.959964, atol=1e-6)
    limits, share = bounds((0.5, 1)), np.array([0.5, 1])
    assert passing(limits, share, drift_for(0.9, limits, share)) == pytest.approx(0.9, abs=1e-5)
    # the table 2.4: 1.007 times the information of the fixed trial for two looks and power 0.9
    assert (drift_for(0.9, limits, share) / (1.959964 + 1.281552)) ** 2 == pytest.approx(1.007, abs=1e-3)


def test_many_trials_are_tested_as_one() -> None:
    from lifelines.statistics import logrank_test

    from cascade.survival._cox import _quiet, hazard_ratio

    drawn = [draw_events(outcomes(r, n=90, rate=0.15), seed=s) for r, s in ((1, 1), (0.6, 2))]
    rows = [followed(d.assign_coords(patient=[f"{k}{p}" for p in range(90)]))[0] for k, d in enumerate(drawn)]
    time, event = (np.concatenate([getattr(r, name) for r in rows])[None, :] for name in ("time", "event"))
    z, events, counts = log_rank(time, event, np.arange(180) >= 90)
    with _quiet():
        theirs = logrank_test(rows[0].time, rows[1].time, rows[0].event, rows[1].event)
    assert z[0] ** 2 == pytest.approx(theirs.test_statistic) and events[0] == event.sum()
    assert log_ratios(*counts)[0] == pytest.approx(hazard_ratio(*rows).log, abs=1e-5)


def test_everybody_once_has_the_fate_that_is_drawn_for_him() -> None:
    cohort = arms(0.5, n=300, spread=1.0, before=0.2, weight=np.linspace(0.5, 1.5, 300))
    found = trial_of(cohort, power=None, paired=True, seed=3)
    drawn = draw_events(cohort.sel(arm="control"), seed=3)
    drawn = drawn.isel(patient=np.flatnonzero(~drawn["metastatic_at_diagnosis"]))
    one = events_of_arm(found, "control")
    assert found.attrs["metastatic"] == 300 - one.sizes["patient"] > 20
    assert f"{300 - one.sizes['patient']} of the 300 of the cohort" in found.attrs["verdict"]
    assert list(one["patient"].values) == list(drawn["patient"].values)
    np.testing.assert_allclose(one["time"], drawn["time"], atol=1e-9)
    np.testing.assert_array_equal(one["organ"], drawn["organ"])
    other = events_of_arm(found, "drug 1")
    assert (other["time"] >= one["time"] - 1e-9).all() and int(other["event"].sum()) < int(one["event"].sum())
    xr.testing.assert_allclose(
        compare_arms(one, other)["hazard_ratio"], found["hazard_ratio"].isel(comparison=0, drop=True)
    )


def test_patients_are_randomized_and_followed_as_planned() -> None:
    cohort = arms(0.7, 0.5, n=150, rate=0.1)
    plan: dict[str, Any] = {"n": 600, "accrual_months": 24, "dropout": 0.05, "death": 0.02, "power": None}
    found = trial_of(cohort, allocation={"control": 2, "drug 1": 1, "drug 2": 1}, **plan)
    assert [int((found["assigned"] == a).sum()) for a in found["arm"].values] == [300, 150, 150]
    assert float(found["entry"].max()) < 24 and float((found["entry"] + found["time"]).max()) <= 120 + 1e-9
    assert set(found["end"].values) == {"metastasis", "lost", "death from another cause", "end of trial"}
    assert ((found["end"] == "metastasis") == found["event"]).all()
    assert ((found["organ"] != "") == found["event"]).all()
    assert (found["end"] == "lost").sum() > 1.3 * (found["end"] == "death from another cause").sum()
    again = trial_of(cohort, allocation={"control": 2, "drug 1": 1, "drug 2": 1}, **plan)
    xr.testing.assert_identical(found, again)
    assert not found["time"].equals(trial_of(cohort, **plan, seed=2)["time"])
    # two comparisons with one control
    np.testing.assert_allclose(found["p_adjusted"], holm(found["p_log_rank"].values))
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])


def test_weights_are_the_cohort_that_is_meant() -> None:
    """Half of the patients have three times the hazard, and count three times or not at all."""
    weight = np.tile([3.0, 1.0], 150)
    cohort = arms(0.5, n=300, rate=0.05, weight=weight)
    fold = np.tile([3.0, 1.0], 150)
    for name in ("h_distant", "h_organ"):
        cohort[name] = cohort[name] * xr.DataArray(fold, dims="patient", coords={"patient": cohort["patient"]})
    truth = (3 * math.exp(-1.5) + math.exp(-0.5)) / 4
    exact = exact_survival(cohort.sel(arm="control"))
    assert float(exact["survival"].sel(month=120)[0]) == pytest.approx(truth)
    once = trial_of(cohort, power=None, paired=True).sel(arm="control", month=120)
    many = trial_of(cohort, n=2000, power=None).sel(arm="control", month=120)
    for found in (once, many):
        assert float(found["survival_exact"]) == pytest.approx(truth)
        assert float(found["survival"]) == pytest.approx(truth, abs=4 * float(found["upper"] - found["lower"]) / 3.92)
    drawn = trial_of(cohort, n=2000, power=None)["source"].values
    # weights 3 and 1 by turns, times who is free at diagnosis (all): 4^2/(9 + 1) of two
    assert trial_of(cohort, n=2000, power=None).attrs["effective_patients"] == pytest.approx(300 * 0.8)
    heavy = set(cohort["patient"].values[::2])
    assert within(sum(each in heavy for each in drawn), 2000, 0.75)
    none = trial_of(cohort.drop_vars("weight"), power=None, paired=True).sel(arm="control", month=120)
    assert float(none["survival_exact"]) == pytest.approx((math.exp(-1.5) + math.exp(-0.5)) / 2)


def test_what_treatment_does_before_surgery_counts() -> None:
    """Enrolled by the control; an arm with less hazard before surgery has that much in store."""
    cohort = arms(1.0, n=200, rate=0.1, before=0.3)
    cohort["h_before"] = cohort["h_before"] * xr.DataArray([1.0, 0.5], dims="arm")
    found = trial_of(cohort, n=400, power=None)
    month = found["month"].values
    np.testing.assert_allclose(found["survival_exact"].sel(arm="control"), np.exp(-0.1 / 12 * month))
    later = np.exp(-np.maximum(0.1 / 12 * month - 0.15, 0))
    np.testing.assert_allclose(found["survival_exact"].sel(arm="drug 1"), later)
    assert float(found["survival"].sel(arm="drug 1", month=17)) == 1
    worse = cohort.assign(h_before=cohort["h_before"] * xr.DataArray([1.0, 4.0], dims="arm"))
    start = trial_of(worse, n=2000, power=None).sel(arm="drug 1", month=0)
    assert float(start["survival"]) == pytest.approx(float(start["survival_exact"]), abs=0.05)
    assert float(start["survival_exact"]) == pytest.approx(math.exp(-0.3))
    # the same of events that are drawn: whom the arm saves from metastasis at diagnosis is no patient of the trial
    for sides in (cohort, worse):
        paired = trial_of(sides, power=None, paired=True, seed=4).isel(comparison=0)
        own = compare_arms(*(draw_events(sides.sel(arm=a), seed=4) for a in ("control", "drug 1")))
        assert float(own["hazard_ratio"]) == pytest.approx(float(paired["hazard_ratio"]), rel=1e-9)
        assert float(own["risk_arm"][1]) == pytest.approx(float(paired["risk_arm"][1]), abs=1e-12)


def test_looks_and_subgroups() -> None:
    cohort = arms(0.4, n=200, rate=0.12)
    group = xr.DataArray(["young", "old"] * 100, dims="patient", coords={"patient": cohort["patient"]})
    found = trial_of(cohort, n=400, by=group, looks=(0.5, 1), accrual_months=12, replicates=200)
    row = found.isel(comparison=0)
    assert (np.diff(row["look_month"]) > 0).all() and bool(row["look_passed"].all())
    assert float(row["look_events"][-1]) == int(found["event"].sum())
    assert float(row["look_z"][-1]) < -float(row["look_bound"][-1])
    labels = group.sel(patient=found["source"].values).values
    by_hand = [found.isel(patient=np.flatnonzero(labels == "old")), found]
    old = compare_arms(*(events_of_arm(by_hand[0], a) for a in found["arm"].values))
    assert float(row["subgroup_ratio"].sel(subgroup="old")) == pytest.approx(float(old["hazard_ratio"]))
    assert int(row["subgroup_patients"].sum()) == 400 and int(row["subgroup_events"].sum()) == int(found["event"].sum())
    assert 0.001 < float(row["p_interaction"]) <= 1
    assert float(row["n_needed"]) < 400 and float(row["power"]) > 0.9
    words = found.attrs["verdict"]
    assert "drug 1 is better" in words and f"{float(row['n_needed']):.0f} patients" in words
    axis = plot_survival.forest(found)
    assert [t.get_text().strip() for t in axis.get_yticklabels()] == ["drug 1", "old", "young"]
    plot_survival.survival_curves(found)
    matplotlib.pyplot.close("all")


def test_hazards_that_cross_are_told() -> None:
    cohort = arms(1.0, n=50, rate=0.1)
    bent = 0.1 / 12 * np.where(np.arange(121) < 36, 0.4 * np.arange(121), 0.4 * 36 + 1.5 * (np.arange(121) - 36))
    cohort["h_distant"][1] = np.broadcast_to(bent, (50, 121))
    words = trial_of(cohort, n=200, power=None).attrs["verdict"]
    assert (
        "not proportional" not in words
        and "The hazards cross" in words
        and "0.4 in month" in words
        and "1.5 in month" in words
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 3}, "n is 3; give 4 to"),
        ({"years_after": 20}, "these patients were followed for 10 years"),
        ({"accrual_months": 120}, "patients enter for 120 months, but the analysis is 120 months"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"allocation": {"control": 1}}, "give a number for each of control, drug 1"),
        ({"allocation": {"control": 1, "drug 1": 1e-9}}, "leave an arm with 0"),
        ({"looks": (1, 0.5)}, "shares of the events that rise to 1"),
        ({"looks": (0.5, 1), "paired": True}, "looks need randomized patients"),
        ({"power": 1.0}, "power is 1.0"),
        ({"by": "stage"}, "no variable 'stage'"),
        ({"bounds_shape": "flat"}, "no shape of bounds 'flat'"),
    ],
)
def test_a_trial_that_cannot_be_is_told(change: dict[str, Any], message: str) -> None:
    with pytest.raises((AnalysisError, UnknownNameError), match=message):
        trial_of(arms(0.5, n=40), **{"power": None, **change})


@pytest.mark.parametrize(
    ("design", "message"),
    [
        ({"n": 1}, "n is 1"),
        ({"n": 5, "allocation": {"a": 1, "b": 99}}, "an arm with 0"),
        ({"years_after": -1}, "years"),
    ],
)
def test_a_design_is_checked_before_any_run(design: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        run_trial("no model", None, {"a": (), "b": ()}, **design)  # type: ignore[arg-type]


def test_runs_that_failed_are_counted() -> None:
    cohort = arms(0.5, n=40)
    cohort["h_distant"][1, 3] = np.nan
    reason = np.full((2, 40), "ok", dtype=object)
    reason[1, 3] = "run failed: stiff"
    cohort["reason"] = (("arm", "patient"), reason.astype(str))
    found = trial_of(cohort, power=None, paired=True)
    assert "p3" not in found["source"].values and found.attrs["missing"] == 1
    assert json.loads(found.attrs["missing_reasons"]) == {"run failed: stiff": 1}
    with pytest.raises(AnalysisError, match="not over two arms"):
        trial_of(outcomes())
    with pytest.raises(AnalysisError, match="two arms are called 'a'"):
        trial_of(cohort.assign_coords(arm=["a", "a"]))
    with pytest.raises(UnknownNameError, match="no arm 'drug'"):
        events_of_arm(found, "drug")


def test_arms_are_read_as_they_are_written() -> None:
    found = arms_from(
        ["control", "bevacizumab:q2w@surgery+28..365", "half=bevacizumab*0.5@surgery,inhibit:a.b=0.8@28..60"]
    )
    assert list(found) == ["control", "Bevacizumab", "half"] and found["control"] == ()
    (whole,) = found["Bevacizumab"]
    assert isinstance(whole, Regimen)
    assert (whole.name, whole.origin, whole.start, whole.stop) == ("q2w", "surgery", 28, 365)
    half, ideal = found["half"]
    assert isinstance(half, Regimen) and half.dose == whole.dose / 2 and half.origin == "surgery"
    assert ideal == cascade.inhibit("a.b", by=0.8, start=28, stop=60)
    _, (late,) = arm_from("inhibit:a.b=0.8@surgery..365")
    assert isinstance(late, Intervention) and late.origin == "primary_tumor.t_surgery" and late.stop == 365
    for text, message in (
        ("bevacizumab@", "is not understood"),
        ("bevacizumab@surgery+x", "is not understood"),
        ("inhibit:a.b", "write inhibit:TARGET=NUMBER"),
        ("inhibit:a.b=much", "'much' is not a number"),
        ("bevacizumab*two", "'two' is not a number"),
        ("name=", "is empty"),
        ("bevacizumabb", "no drug 'bevacizumabb'"),
    ):
        with pytest.raises(CascadeError, match=message):
            arm_from(text)
    with pytest.raises(CascadeError, match="two arms or more"):
        arms_from(["control"])
    with pytest.raises(CascadeError, match="two arms are called 'Bevacizumab'"):
        arms_from(["bevacizumab", "bevacizumab@surgery"])
    for wrong in ({"a": ()}, {"a": (), "b": "drug"}, {"a": (), "": ()}, ["a", "b"]):
        with pytest.raises(AnalysisError):
            arms_of(wrong)  # type: ignore[arg-type]


def test_a_measure_is_cut_at_its_median() -> None:
    size = xr.DataArray([10.0, 20, 30, 40, 50, 60, 70, np.nan], dims="patient", name="size", attrs={"units": "mm"})
    assert list(classes(size).values) == ["size up to 40 mm"] * 4 + ["size above 40 mm"] * 3 + [""]
    stage = xr.DataArray([1, 2, 2], dims="patient")
    assert classes(stage) is stage


def test_the_page_and_its_files(tmp_path: Path) -> None:
    from cascade.trial_report import write_trial

    cohort = arms(0.5, n=60, rate=0.1)
    found = trial_of(cohort, n=100, looks=(0.5, 1), replicates=100, death=0.01)
    model = cascade.compose(cascade.load_module("circulation"))
    plans = {"control": (), "drug 1": (cascade.regimen("bevacizumab", origin="surgery"),)}
    page = write_trial(tmp_path / "page", model, plans, cohort, found, "cascade trial x")
    text = page.read_text(encoding="utf-8")
    for part in (
        "drug 1 against control",
        "cascade trial x",
        "Interim looks",
        "Bevacizumab",
        "not for treatment decisions",
    ):
        assert part in text
    back = xr.load_dataset(tmp_path / "page" / "trial.nc", engine="h5netcdf")
    assert float(back["hazard_ratio"][0]) == float(found["hazard_ratio"][0])
    assert len((tmp_path / "page" / "patients.csv").read_text().splitlines()) == 101
    data = json.dumps(summary(found), allow_nan=False)
    assert json.loads(data)["comparisons"]["drug 1"]["hazard_ratio"] == float(found["hazard_ratio"][0])


@pytest.mark.slow
def test_a_trial_from_cohort_to_page(tmp_path: Path) -> None:
    from test_cli import run

    out = tmp_path / "out"
    asked = ["--arm", "control", "--arm", "slow=inhibit:lesions__k_grow=0.5@surgery+0", "--patients", "12"]
    done = run(
        "trial",
        "breast_lite",
        *asked,
        "--n",
        "60",
        "--replicates",
        "100",
        "--workers",
        "1",
        "--out",
        str(out),
        "--json",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["control"] == "control" and (out / "report.html").is_file()
    kept = xr.load_dataset(out / "outcomes.nc", engine="h5netcdf")
    curve = kaplan_meier(draw_events(kept.sel(arm="control")))
    assert 0 < float(curve["survival"].min()) <= 1
    assert (
        (kept["h_distant"].sel(arm="slow") <= kept["h_distant"].sel(arm="control") + 1e-9)
        .where(kept["h_distant"].notnull(), True)
        .all()
    )
    model = cascade.compose(cascade.load_composition("breast_lite"))
    with pytest.raises(AnalysisError, match="give at least two"):
        follow_arms(model, kept, {"control": ()})
    with pytest.raises(ValueSettingError, match=r"arm 'lung': 'lung_lesions\.k_grow' is not a value of its own"):
        follow_arms(model, kept, {"control": (), "lung": cascade.inhibit("lung_lesions.k_grow", by=0.5)})
