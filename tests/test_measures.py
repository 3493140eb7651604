"""Measures read off closed-form curves, and expressions that cannot do harm."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cascade.errors import AnalysisError
from cascade.measures import Variables, evaluate, evaluate_number

TIME = np.linspace(0, 10, 1001)
DOSE = np.geomspace(1e-6, 1e6, 481)  # wide: a flat curve must have ended at both ends


def names(**variables: object) -> dict[str, Variables]:
    return {"run": Variables("run", xr.Dataset(variables, coords={"time": TIME, "scan": DOSE}))}


def over_time(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims="time", coords={"time": TIME})


def over_dose(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims="scan", coords={"scan": DOSE})


def value(expression: str, **variables: object) -> float:
    return evaluate_number(expression, names(**variables), {})


@given(rate=st.floats(0.1, 5))
def test_half_lives_and_rates_of_a_decay(rate):
    y = over_time(7 * np.exp(-rate * TIME))
    assert value("half_life(run.y)", y=y) == pytest.approx(np.log(2) / rate, rel=1e-2)
    assert value("half_life(run.y)/hour", y=y) == pytest.approx(24 * np.log(2) / rate, rel=1e-2)
    assert value("growth(run.y, 1, 3)", y=y) == pytest.approx(-rate, rel=1e-3)
    assert value("start(run.y)/at(run.y, 2)", y=y) == pytest.approx(np.exp(2 * rate), rel=1e-3)


@given(place=st.floats(1, 9), width=st.floats(0.3, 3))
def test_peaks_and_troughs(place, width):
    bell = np.exp(-(((TIME - place) / width) ** 2))
    assert value("peak_time(run.y)", y=over_time(bell)) == pytest.approx(place, abs=1e-3)
    assert value("peak(run.y)", y=over_time(bell)) == pytest.approx(1, abs=1e-3)
    assert value("trough_time(run.y)", y=over_time(-bell)) == pytest.approx(place, abs=1e-3)


def test_crossings_of_a_ramp_and_of_nothing():
    assert value("time_to(run.y, 0.25)", y=over_time(TIME / 10)) == pytest.approx(2.5)
    assert value("half_time(run.y)", y=over_time(1 - np.exp(-TIME))) == pytest.approx(np.log(2), abs=1e-3)
    assert np.isnan(value("time_to(run.y, 2)", y=over_time(TIME / 10)))
    assert np.isnan(value("period(run.y)", y=over_time(TIME)))
    assert np.isnan(value("peak_time(run.y)", y=over_time(TIME))), "a curve that still rises has no peak"


def test_period_of_a_damped_wave():
    y = over_time(np.exp(-TIME / 10) * np.cos(2 * np.pi * TIME / 1.7))
    assert value("period(run.y)", y=y) == pytest.approx(1.7, rel=0.01)


@given(ec50=st.floats(0.05, 20), hill=st.floats(0.8, 4))
def test_dose_response(ec50, hill):
    y = over_dose(3 + 2 * DOSE**hill / (ec50**hill + DOSE**hill))
    assert value("ec50(run.y)", y=y) == pytest.approx(ec50, rel=0.01)
    assert value("hill(run.y)", y=y) == pytest.approx(hill, rel=0.01)
    assert value("threshold(run.y, 4)", y=y) == pytest.approx(ec50, rel=0.02)
    assert value(f"pick(run.y, {ec50})", y=y) == pytest.approx(4, rel=0.02)


def test_measures_keep_the_scanned_dimension():
    y = over_time(np.exp(-TIME)) * over_dose(DOSE)
    found = evaluate("peak(run.y)", names(y=y), {})
    np.testing.assert_allclose(found, DOSE)
    assert value("pick(end(run.y), 1)*1000", y=y) == pytest.approx(1000 * np.exp(-10), rel=1e-2)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("run.z", "no variable 'z'"),
        ("run.y", "not one"),
        ("at(run.y, 11)", "runs from day 0 to 10"),
        ("peak(3)", "no curve"),
        ("ec50(run.y)", "scanned"),
        ("fold(run, 'up')", "bifurcation"),
        ("open('x')", "cannot be evaluated"),
        ("run.__class__", "cannot be evaluated"),
        ("peak(", "cannot be evaluated"),
        ("elsewhere.y", "cannot be evaluated"),
        ("9**9**9**9", "cannot be evaluated"),
    ],
)
def test_a_wrong_expression_is_one_sentence(expression, text):
    with pytest.raises(AnalysisError, match=text):
        evaluate_number(expression, names(y=over_time(TIME)), {})
