"""The value of information: true where it has a closed form, nothing where nothing is told, honest if few are there."""

from __future__ import annotations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from planted import benefit
from scipy.stats import norm

from cascade import plot_risk
from cascade.errors import AnalysisError, CascadeWarning, UnknownNameError
from cascade.risk.biomarkers import Noise
from cascade.risk.information import value_of_measurement


def three(fit, name, **at):
    return [float(fit[name + end].sel(**at)) for end in ("", "_lower", "_upper")]


MEAN, SPREAD, NOISE, THRESHOLD = 0.01, 0.05, 0.05, 0.03


@pytest.fixture(scope="module")
def decided():
    cohort, arms, gain = benefit(4000, mean=MEAN, spread=SPREAD, noise=NOISE, threshold=THRESHOLD)
    panels = {"x": "x", "useless": "useless", "both": ["x", "useless"], "true": "true"}
    return value_of_measurement(cohort, arms, panels, threshold=[THRESHOLD, 0.0, 0.1]), gain


def normal_value(spread):
    """Expected maximum of 0 and a normal gain, less that of deciding without."""
    return spread * norm.pdf(MEAN / spread) + MEAN * norm.cdf(MEAN / spread) - max(MEAN, 0)


def test_the_value_of_sample_information_is_that_of_the_closed_form(decided):
    found = decided[0].sel(threshold=THRESHOLD)
    truth = normal_value(SPREAD**2 / np.hypot(SPREAD, NOISE))
    for name, true in (("x", truth), ("both", truth), ("true", normal_value(SPREAD))):
        value, low, high = three(found, "value", measurement=name)
        assert low < true < high and value == pytest.approx(true, rel=0.12)
        assert float(found["value_fitted"].sel(measurement=name)) == pytest.approx(true, rel=0.12)
    assert abs(three(found, "value", measurement="useless")[0]) < 0.03 * truth
    assert float(found["perfect_value"]) == pytest.approx(normal_value(SPREAD), rel=0.1)
    assert float(found["p_best"].sel(measurement="true")) == 1


def test_net_benefit_and_needless_treatments_are_counted(decided):
    dataset, gain = decided
    found = dataset.sel(threshold=THRESHOLD)
    everybody = found.sel(strategy="all: drug")
    assert float(everybody["net_benefit"]) == pytest.approx(float((gain - THRESHOLD).mean()))
    assert float(everybody["unnecessary"]) == pytest.approx(float((gain <= THRESHOLD).mean()))
    assert float(found["missed"].sel(strategy="all: none")) == pytest.approx(float((gain > THRESHOLD).mean()))
    # With what is known, nothing, everybody is treated; the measurement spares some of those who need no drug.
    needless = everybody["unnecessary"] - found["unnecessary"].sel(strategy="x")
    value, low, _ = three(found, "avoided_per_100", measurement="x")
    assert value == pytest.approx(100 * float(needless)) and low > 5
    chosen = found["choice"].sel(measurement="x").values == "drug"
    assert float(found["net_benefit"].sel(strategy="x")) == pytest.approx(
        float((gain - THRESHOLD)[chosen].sum()) / 4000
    )
    # A measurement says most where the decision is closest.
    values = dataset["value"].sel(measurement="x")
    assert float(values.sel(threshold=THRESHOLD)) > float(values.sel(threshold=0.1))


def test_groups_give_the_exact_value():
    """Half of the patients gain 0.2, half lose 0.1: knowing the group is worth 0.5 x 0.1."""
    ids = [f"p{number}" for number in range(200)]
    group = np.arange(200) % 2
    cohort = xr.Dataset({"g": ("patient", group.astype(float), {"role": "measure"})}, coords={"patient": ids})
    empty = xr.Dataset(coords={"patient": ids})
    gain = xr.DataArray(np.where(group, 0.2, -0.1), dims="patient", coords={"patient": ids})
    arms = {"a": empty, "b": empty, "c": empty}
    utility = {"a": 0 * gain, "b": gain, "c": 0.5 * gain - 0.3}
    for method in ("bins", "spline"):
        found = value_of_measurement(cohort, arms, ["g"], utility=utility, method=method)
        assert float(found["value"][0, 0]) == pytest.approx(0.05, abs=1e-6)
        assert set(found["choice"].values.ravel()) == {"a", "b"}
    after = value_of_measurement(cohort, arms, {"again": "g"}, utility=utility, known=["g"])
    assert float(after["value"][0, 0]) == pytest.approx(0, abs=1e-9)
    turned = {arm: each.isel(patient=slice(None, None, -1)) for arm, each in utility.items()}
    again = value_of_measurement(cohort, arms, ["g"], utility=turned)
    assert float(again["value"][0, 0]) == pytest.approx(0.05, abs=1e-6)


def test_noise_of_a_test_lowers_its_value():
    cohort, arms, _ = benefit(1500, mean=MEAN, spread=SPREAD, noise=NOISE, threshold=THRESHOLD)
    noise = {"true": Noise(kind="normal", size=NOISE)}
    found = value_of_measurement(cohort, arms, ["true"], threshold=THRESHOLD, noise=noise)
    value, low, high = three(found.isel(threshold=0), "value", measurement="true")
    assert low < normal_value(SPREAD**2 / np.hypot(SPREAD, NOISE)) < high and value < 0.8 * normal_value(SPREAD)


def test_decisions_that_cannot_be_compared_are_refused():
    cohort, arms, _ = benefit(60, mean=MEAN, spread=SPREAD, noise=NOISE, threshold=THRESHOLD)
    with pytest.raises(AnalysisError, match="one of the two"):
        value_of_measurement(cohort, arms, ["x"])
    with pytest.raises(AnalysisError, match="two arms or more"):
        value_of_measurement(cohort, {"none": arms["none"]}, ["x"], threshold=0.1)
    with pytest.raises(AnalysisError, match="at least 40"):
        value_of_measurement(cohort.isel(patient=slice(30)), arms, ["x"], threshold=0.1)
    with pytest.raises(AnalysisError, match="too many for method 'bins'"):
        value_of_measurement(cohort, arms, ["x"], threshold=0.1, method="bins")
    with pytest.raises(UnknownNameError, match="'drugs'"):
        value_of_measurement(cohort, arms, ["x"], threshold=0.1, harm={"drugs": 1.0})


def test_a_cohort_too_small_for_a_rule_says_so():
    """Of chance 45 patients teach a rule that harms in others; the regression itself believes that it gains."""
    cohort, arms, _ = benefit(45, mean=0.0, spread=0.1, noise=0.1, threshold=THRESHOLD, seed=8)
    with pytest.warns(CascadeWarning, match="45 patients are too few"):
        found = value_of_measurement(cohort, arms, ["useless"], threshold=0.0, folds=3, resamples=200)
    assert float(found["value_upper"][0, 0]) < 0 <= float(found["value_fitted"][0, 0])


def test_plots_draw_values_and_decision_curves(decided):
    axis = plot_risk.value(decided[0])
    assert axis.get_yticklabels()[0].get_text() == "true"
    assert len(plot_risk.net_benefit(decided[0]).lines) == decided[0].sizes["strategy"]
    with pytest.raises(AnalysisError, match="several thresholds"):
        plot_risk.net_benefit(decided[0].isel(threshold=[0]))
    plt.close("all")
