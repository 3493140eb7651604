"""Risk: planted truths are recovered, nothing leaks, what is missing is said."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from planted import planted

from cascade import plot_risk
from cascade.errors import AnalysisError, CascadeWarning, UnknownNameError
from cascade.risk import fit_risk, predict_risk
from cascade.risk._target import Censoring, Target
from cascade.risk.biomarkers import ASSAY, Noise, measure_biomarkers


def score(fit, name, predictor="biomarkers"):
    return [float(fit[f"score_{end}"].sel(score=name, predictor=predictor)) for end in ("value", "lower", "upper")]


def three(fit, name, **at):
    return [float(fit[name + end].sel(**at)) for end in ("", "_lower", "_upper")]


@pytest.fixture(scope="module")
def world():
    return planted(700, censored=True)


@pytest.fixture(scope="module")
def drawn(world):
    cohort, outcomes, events, _ = world
    return fit_risk(cohort, outcomes, events)


@pytest.fixture(scope="module")
def exact(world):
    cohort, outcomes, _, _ = world
    return fit_risk(cohort, outcomes)


def test_a_planted_logistic_risk_is_recovered_from_censored_events(drawn, world):
    assert drawn.attrs["target"] == "drawn events"
    slope, low, high = score(drawn, "calibration_slope")
    assert low < 1 < high and 0.75 < slope < 1.35
    _, low, high = score(drawn, "calibration_intercept")
    assert low < 0 < high
    # What no model can beat: the true risk, in the same patients.
    assert score(drawn, "auc")[0] == pytest.approx(score(drawn, "auc", "exact")[0], abs=0.02)
    assert score(drawn, "brier")[0] == pytest.approx(score(drawn, "brier", "exact")[0], abs=0.008)
    # Six coefficients learned from 560 patients cost 6 / (2 x 560) nat on average.
    excess = score(drawn, "log_loss")[0] - score(drawn, "log_loss", "exact")[0]
    assert -0.005 < excess < 3 * 6 / (2 * 560)


def test_exact_probabilities_give_the_truth_without_the_noise_of_drawing(exact, world):
    risk = world[3]
    assert np.abs(exact["risk"].values - risk).max() < 0.02
    assert score(exact, "brier", "exact")[0] == pytest.approx(float((risk * (1 - risk)).mean()), rel=1e-9)
    assert score(exact, "brier")[0] == pytest.approx(float((risk * (1 - risk)).mean()), abs=1e-4)
    prevalence = risk.mean()
    assert score(exact, "brier", "prevalence")[0] == pytest.approx(prevalence * (1 - prevalence), abs=1e-4)
    assert score(exact, "auc", "prevalence")[0] == pytest.approx(0.5)
    ratio = float(exact["odds_ratio"].sel(feature="b"))
    column = world[0]["b"].values
    assert ratio == pytest.approx(np.exp(0.8 * np.subtract(*np.quantile(column, [0.75, 0.25]))), rel=0.05)


def test_exact_and_drawn_concordances_are_the_same_number_up_to_drawing(exact, drawn):
    for name in ("auc", "c_index"):
        value, low, high = score(drawn, name, "exact")
        assert low < score(exact, name, "exact")[0] < high, (name, value)


def test_biomarkers_beat_size_alone_where_they_tell_more_and_only_there(drawn):
    assert float(drawn["gain"].sel(score="auc")) > 0.02 and float(drawn["gain_lower"].sel(score="auc")) > 0
    assert drawn.attrs["against"] == "diameter_mm"
    cohort, outcomes, events, _ = planted(400, slopes=(1.3, 0, 0), seed=3)
    same = fit_risk(cohort, outcomes, events.drop_vars("organ"), **FEW)
    value, low, high = (float(same[f"gain{end}"].sel(score="auc")) for end in ("", "_lower", "_upper"))
    assert low < 0.01 and high > -0.01 and abs(value) < 0.03


def test_a_useless_biomarker_carries_nothing(drawn, exact):
    for fit in (drawn, exact):
        # `site` tells the organ and nothing of the risk.
        for name in ("useless_0", "useless_1", "site"):
            value, low, high = three(fit, "importance", feature=name)
            assert low <= 0 <= high or abs(value) < 1e-3
        for name in ("diameter_mm", "b"):
            value, low, _ = three(fit, "importance", feature=name)
            assert low > 0.01 and value > 0.03


FEW = {"folds": 3, "inner": 2, "permutations": 1, "resamples": 100}


@pytest.mark.parametrize(("model", "useless", "times"), [("logistic", 40, 12), ("boosting", 3, 1)])
def test_labels_by_chance_are_not_predicted_however_many_features_are_selected_from(model, useless, times):
    areas, skills = [], []
    for seed in range(times):
        cohort, _, events, _ = planted(150, slopes=(0, 0, 0), useless=useless, seed=80 + seed)
        fit = fit_risk(cohort, None, events.drop_vars("organ"), model=model, against=(), **FEW)
        areas.append(score(fit, "auc")[0])
        skills.append(score(fit, "brier_skill")[0])
    # The standard error of an area without information, 66 cases and 84 controls in pairs within three folds.
    assert abs(np.mean(areas) - 0.5) < 2.5 * 0.05 / np.sqrt(times), areas
    assert max(skills) < 0.05


def test_selection_outside_the_folds_would_have_been_seen():
    """The same labels, with the biomarkers chosen by all patients: this is the leak that the test above looks for."""
    cohort, _, events, _ = planted(200, slopes=(0, 0, 0), useless=300, seed=8)
    case = (events["event"] & (events["time"] <= 60)).values
    names = list(cohort.data_vars)
    marks = [abs(np.corrcoef(cohort[name], case)[0, 1]) for name in names]
    best = [names[place] for place in np.argsort(marks)[-8:]]
    leaked = fit_risk(cohort, None, events.drop_vars("organ"), features=best, against=(), **FEW)
    assert score(leaked, "auc")[1] > 0.6


def test_the_planted_site_is_found_and_its_biomarker(exact, drawn):
    organs = ["bone", "liver", "lung"]
    x = exact["biomarker"].sel(feature="site").values
    truth = np.exp(np.stack([2 * x, 0 * x, 0 * x + 0.5], axis=1))
    truth /= truth.sum(axis=1, keepdims=True)
    weight = exact["case"].values / exact["case"].values.sum()
    gain = float((weight[:, None] * truth * np.log(truth / (weight @ truth))).sum())
    # Two contrasts of six coefficients are learned from four fifths of the events: 12 / 2n nat are lost on average.
    cost = 12 / (2 * 0.8 * int((drawn["case"] > 0).sum()))
    for fit, true, near in ((exact, gain, 0.01), (drawn, gain - cost, 0.1)):
        value, low, high = three(fit, "site_gain")
        assert low < true < high and value == pytest.approx(true, abs=near)
        assert value == pytest.approx(float(fit["site_log_score"] - fit["site_log_score_reference"]))
        table = fit["site_importance"].to_series()
        assert table.idxmax() == "site" and three(fit, "site_importance", feature="site")[1] > 0.1
        value, low, high = three(fit, "site_importance", feature="useless_0")
        assert low <= 0 <= high or abs(value) < 2e-3
        assert three(fit, "site_importance_organ", feature="site", organ="bone")[1] > 0
        assert np.allclose(fit["site_importance_organ"].sum("organ"), fit["site_importance"])
    assert np.abs(exact["site_probability"].sel(organ=organs).values - truth).max() < 0.02


def test_no_sites_is_said():
    cohort, outcomes, events, _ = planted(150, useless=0)
    events["organ"].values[:] = np.where(events["event"], "bone", "")
    fit = fit_risk(cohort, outcomes, events, **FEW)
    assert "site_gain" not in fit and "fewer than two organs" in fit.attrs["site_reason"]
    with pytest.raises(AnalysisError, match="fewer than two organs"):
        plot_risk.importance(fit, of="site")


def test_cox_knows_the_risk_as_well():
    cohort, outcomes, events, risk = planted(250, useless=0, censored=True, seed=2)
    fit = fit_risk(cohort, outcomes, events, model="cox", features=["diameter_mm", "b"], against=(), **FEW)
    assert score(fit, "auc")[0] == pytest.approx(score(fit, "auc", "exact")[0], abs=0.03)
    assert np.corrcoef(fit["risk"], risk)[0, 1] > 0.9
    with pytest.raises(AnalysisError, match="draw_events"):
        fit_risk(cohort, outcomes, model="cox")


def test_boosting_finds_what_no_line_can():
    cohort, outcomes, _, _ = planted(300, useless=1)
    x = cohort["b"].values
    risk = np.where(np.abs(x) > 0.8, 0.7, 0.1)
    hazard = -np.log1p(-risk)[:, None] * outcomes["month"].values / 60
    outcomes = outcomes.assign(h_distant=(("patient", "month"), hazard)).drop_vars("h_organ")
    fit = fit_risk(cohort, outcomes, model="boosting", features=["b", "useless_0"], against=(), **FEW)
    assert score(fit, "brier_skill")[0] > 0.85 * score(fit, "brier_skill", "exact")[0]


def test_censoring_is_made_up_for():
    """Half of the patients are lost early: weights keep the prevalence, dropping them would not."""
    _, _, events, risk = planted(20_000, censored=True, seed=4)
    target = Target(weight=np.ones(20_000), horizon=60.0, time=events["time"].values, event=events["event"].values)
    assert target.prevalence == pytest.approx(risk.mean(), abs=0.01)
    naive = float(events["event"].values[(events["time"] > 60) | events["event"]].mean())
    assert abs(naive - risk.mean()) > 0.05
    # Closed form: of 4 patients one is lost at 2; who comes later stands for 4/3 patients.
    few = Censoring(np.array([1.0, 2, 3, 4]), np.array([True, False, True, True]), np.ones(4))
    assert few(np.array([1.0, 2.0, 2.5])) == pytest.approx([1, 1, 2 / 3])


def test_metastatic_patients_are_not_at_risk():
    cohort, outcomes, events, _ = planted(300, useless=0)
    events["metastatic_at_diagnosis"].values[:40] = True
    fit = fit_risk(cohort, outcomes, events, **FEW)
    assert fit.sizes["patient"] == 260 and fit.attrs["n_left_out"] == 40
    outcomes["h_before"].values[:] = 0.7
    assert np.allclose(fit_risk(cohort, outcomes, **FEW)["weight"], np.exp(-0.7))


def test_new_patients_are_predicted_by_what_is_known_of_them(exact, world):
    risk = 1 / (1 + np.exp(0.6 - 1.2 * 0.5 + 0.8))
    whole = {name: [0.0] for name in exact["feature"].values.tolist()} | {"diameter_mm": [0.5], "b": [-1.0]}
    found = predict_risk(exact, whole)
    assert float(found["risk"][0]) == pytest.approx(risk, abs=0.02)
    assert float(found["risk_lower"][0]) < float(found["risk"][0]) < float(found["risk_upper"][0])
    assert str(found["missing"][0].values) == ""
    assert float(found["site_probability"].sum("organ")[0]) == pytest.approx(1)
    part = predict_risk(exact, {"diameter_mm": [0.5, np.nan], "b": [np.nan, np.nan], "site": [np.nan, 0.0]})
    # Without `b` the truth is the mean over `b`.
    b = np.random.default_rng(0).normal(size=100_000)
    assert float(part["risk"][0]) == pytest.approx(float((1 / (1 + np.exp(-(0.8 * b)))).mean()), abs=0.03)
    assert "b" in str(part["missing"][0].values).split(", ")
    assert float(part["risk"][1]) == pytest.approx(float(world[3].mean()), abs=0.05)


def test_beyond_the_range_of_learning_a_prediction_warns(exact):
    with pytest.warns(CascadeWarning, match="diameter_mm"):
        found = predict_risk(exact, {"diameter_mm": [9.0], "b": [0.0]}, resamples=0)
    assert str(found["outside"][0].values) == "diameter_mm"
    with pytest.raises(AnalysisError, match="no patient has any biomarker"):
        predict_risk(exact, {"weather": [1.0]})
    with pytest.raises(AnalysisError, match="is no number"):
        predict_risk(exact, {"b": ["large"]})


def test_a_fit_from_a_file_predicts_the_same(exact, tmp_path):
    exact.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    few = {"resamples": 5}
    with xr.open_dataset(tmp_path / "fit.nc", engine="h5netcdf") as again:
        rows = {"diameter_mm": [0.1, 1.0], "b": [0.3, np.nan]}
        assert np.array_equal(
            predict_risk(again.load(), rows, **few)["risk_upper"], predict_risk(exact, rows, **few)["risk_upper"]
        )


def test_missing_values_are_learned_from_and_constants_are_left_out_aloud():
    cohort, outcomes, _, risk = planted(300, useless=0)
    cohort["b"].values[::3] = np.nan
    cohort = cohort.assign(same=("patient", np.full(300, 7.0), {"role": "measure"}))
    cohort = cohort.assign(never=("patient", np.full(300, np.nan), {"role": "measure"}))
    fit = fit_risk(cohort, outcomes, **FEW)
    assert fit.attrs["constant_features"] == '{"same": 7.0, "never": null}'
    assert np.isfinite(fit["risk"]).all() and np.corrcoef(fit["risk"], risk)[0, 1] > 0.85
    with pytest.warns(CascadeWarning, match="same"):
        predict_risk(fit, {"same": [9.0], "b": [0.0]}, resamples=0)
    with pytest.raises(AnalysisError, match="no biomarker differs"):
        fit_risk(cohort, outcomes, features=["same", "never"])


def test_what_cannot_be_learned_is_refused():
    cohort, outcomes, events, _ = planted(120, useless=0)
    everyone = events.assign(event=events["event"] & False, time=events["time"] * 0 + 120)
    with pytest.raises(AnalysisError, match="no patient has a distant metastasis within 5 years: there is one class"):
        fit_risk(cohort, outcomes, everyone)
    soon = everyone.assign(event=~everyone["event"], time=("patient", np.append(np.full(119, 3.0), 60.0)))
    with pytest.raises(AnalysisError, match="every patient has"):
        fit_risk(cohort, outcomes, soon)
    with pytest.raises(AnalysisError, match="at least 10 of each are needed"):
        fit_risk(cohort.isel(patient=slice(12)), outcomes, events)
    with pytest.raises(AnalysisError, match="followed for 120 months, the horizon is 240"):
        fit_risk(cohort, outcomes, horizon=20)
    with pytest.raises(AnalysisError, match="lack 20 patients"):
        fit_risk(cohort, outcomes, events.isel(patient=slice(100)))
    with pytest.raises(UnknownNameError, match="diameter_mm"):
        fit_risk(cohort, outcomes, features=["diameter"])
    with pytest.raises(UnknownNameError, match="boosting"):
        fit_risk(cohort, outcomes, model="bosting")


def test_order_of_patients_in_the_outcomes_does_not_matter(world):
    cohort, outcomes, events, _ = (each.isel(patient=slice(200)) if hasattr(each, "isel") else each for each in world)
    first = fit_risk(cohort, outcomes, events, **FEW)
    other = fit_risk(cohort, outcomes.isel(patient=slice(None, None, -1)), events.sortby("time"), **FEW)
    assert np.array_equal(first["risk"], other["risk"])


def test_tests_read_with_their_noise_patient_by_patient():
    ids = [f"p{number}" for number in range(4000)]
    cohort = xr.Dataset({"age": ("patient", np.linspace(30, 80, 4000), {"role": "measure"})}, coords={"patient": ids})
    outcomes = xr.Dataset(
        {name: ("patient", np.full(4000, value)) for name, value in
         {"ctc_per_tube": 1.5, "p_ctc": 1 - np.exp(-1.5), "p_dtc": 0.3, "vaf": 0.1, "c_x": 5.0}.items()},
        coords={"patient": ids},
    )  # fmt: skip
    noise = {"vaf": Noise(kind="binomial", size=1000), "c_x": Noise(kind="log-normal", size=0.2)}
    names = ["ctc_per_tube", "p_ctc", "p_dtc", "vaf", "c_x", "age"]
    read = measure_biomarkers(cohort, outcomes, features=names, noise=noise)
    column = {name: read.sel(feature=name).values for name in names}
    assert column["ctc_per_tube"].mean() == pytest.approx(1.5, abs=0.06)
    assert column["ctc_per_tube"].var() == pytest.approx(1.5, abs=0.12)
    # One tube: the finding is that of the count.
    assert np.array_equal(column["p_ctc"] == 1, column["ctc_per_tube"] > 0)
    assert column["p_dtc"].mean() == pytest.approx(0.3, abs=0.03) and set(column["p_dtc"]) == {0, 1}
    assert column["vaf"].std() == pytest.approx(np.sqrt(0.1 * 0.9 / 1000), rel=0.06)
    assert np.log(column["c_x"] / 5).std() == pytest.approx(np.sqrt(np.log(1.04)), rel=0.06)
    assert np.array_equal(column["age"], cohort["age"])
    alone = measure_biomarkers(cohort.isel(patient=[77]), outcomes, features=names, noise=noise)
    assert np.array_equal(alone.values[0], read.values[77])
    with pytest.raises(AnalysisError, match="needs 1 or below"):
        measure_biomarkers(cohort, outcomes, noise={"c_x": Noise(kind="bernoulli")})
    # Scores of the tissue are read by an assay; a biomarker of the caller exactly, and so is a score if asked for.
    assert set(measure_biomarkers(cohort, outcomes, features=["c_x"]).values[:, 0]) == {5.0}
    outcomes["c_x"].attrs["role"] = "mark"
    assay = measure_biomarkers(cohort, outcomes, features=["c_x"]).values[:, 0]
    assert np.log(assay / 5).std() == pytest.approx(np.sqrt(np.log1p(ASSAY.size**2)), rel=0.06)
    assert set(measure_biomarkers(cohort, outcomes, features=["c_x"], noise={"c_x": None}).values[:, 0]) == {5.0}


def test_plots_draw_what_the_datasets_hold(drawn):
    axis = plot_risk.calibration(drawn)
    assert len(axis.containers[0][0].get_xdata()) == drawn.sizes["bin"]
    axis = plot_risk.roc(drawn)
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert len(labels) == 3 and "diameter_mm" in labels[1]
    x, y = axis.lines[1].get_data()
    assert np.trapezoid(y, x) / 1e4 == pytest.approx(score(drawn, "auc")[0], abs=0.02)
    axis = plot_risk.importance(drawn)
    assert axis.get_yticklabels()[0].get_text() == "diameter_mm"
    assert plot_risk.importance(drawn, of="bone").get_yticklabels()[0].get_text() == "site"
    with pytest.raises(UnknownNameError):
        plot_risk.importance(drawn, of="bones")
    plt.close("all")
