"""Measures of repeated doses against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from cascade.dose_measures import DOSE_MEASURES
from cascade.errors import AnalysisError
from cascade.measures import Variables, evaluate_number

RATE, EVERY, DOSES = 0.05, 14.0, 20
TIME = np.linspace(0, DOSES * EVERY, DOSES * 400 + 1)


def curve(values: np.ndarray, time: np.ndarray = TIME) -> xr.DataArray:
    return xr.DataArray(values, dims="time", coords={"time": time})


def boluses(rate: float = RATE, at_dose: bool = True) -> xr.DataArray:
    """Superpose decays; the row of a dose holds the value after it, or before it."""
    since = TIME[:, None] - EVERY * np.arange(DOSES)
    given = since >= 0 if at_dose else (since > 0) | ((since == 0) & (TIME[:, None] == 0))
    return curve(np.where(given, np.exp(-rate * np.clip(since, 0, None)), 0).sum(axis=1))


def value(expression: str, **variables: xr.DataArray) -> float:
    return evaluate_number(expression, {"run": Variables("run", xr.Dataset(variables))}, DOSE_MEASURES)


@pytest.mark.parametrize("at_dose", [True, False])
@pytest.mark.parametrize("number", [2, 3, 12])
def test_troughs_do_not_see_the_dose_of_their_day(number: int, at_dose: bool) -> None:
    exact = sum(np.exp(-RATE * EVERY * k) for k in range(1, number))
    assert value(f"before_dose(run.y, {number}, 14)", y=boluses(at_dose=at_dose)) == pytest.approx(exact, rel=1e-9)


@given(rate=st.floats(0.005, 0.4))
def test_all_ratios_of_a_decay_are_the_same(rate: float) -> None:
    left = np.exp(-rate * EVERY)
    exact = (1 - left**DOSES) / (1 - left)
    y = boluses(rate)
    for of in ("area", "peak", "trough"):
        assert value(f"accumulation(run.y, {DOSES}, 14, '{of}')", y=y) == pytest.approx(exact, rel=1e-9)
    assert value("dose_area(run.y, 1, 14)", y=y) == pytest.approx((1 - left) / rate, rel=1e-9)
    mean = exact * (1 - left) / rate / EVERY
    assert value(f"fluctuation(run.y, {DOSES}, 14)", y=y) == pytest.approx(exact * (1 - left) / mean, rel=1e-9)


def test_time_to_steady_state() -> None:
    left = np.exp(-RATE * EVERY)
    troughs = (1 - left ** np.arange(1, DOSES + 1)) / (1 - left)
    first = int(np.argmax(troughs / troughs[-1] >= 0.9)) + 1
    assert value("steady_time(run.y, 14)", y=boluses()) == first * EVERY
    assert value("steady_time(run.y, 14, 0.99)", y=boluses()) > first * EVERY


@given(slow=st.floats(0.02, 0.2), share=st.floats(0.05, 0.95))
def test_the_last_of_two_half_lives_is_found(slow: float, share: float) -> None:
    y = curve(share * np.exp(-slow * TIME) + (1 - share) * np.exp(-30 * slow * TIME))
    late = 1 / slow
    assert value(f"terminal_half_life(run.y, {late}, {3 * late})", y=y) == pytest.approx(np.log(2) / slow, rel=1e-3)


def test_area_of_a_decay_is_exact_on_a_coarse_grid() -> None:
    time = np.linspace(0, 20, 7)
    y = curve(np.exp(-0.3 * time), time)
    assert value("area(run.y, 0, 20)", y=y) == pytest.approx((1 - np.exp(-6)) / 0.3, rel=1e-12)
    assert value("area(run.y, 2, 9)", y=curve(2 * time, time)) == pytest.approx(77, rel=1e-12)
    assert value("area(run.y, 0, 20)", y=curve(0 * time, time)) == 0


def test_peaks_and_their_time() -> None:
    since = TIME % EVERY
    y = curve(np.exp(-((since - 3) ** 2)) * (1 + TIME // EVERY))
    assert value("dose_peak(run.y, 4, 14)", y=y) == pytest.approx(4, rel=1e-3)
    assert value("dose_peak_time(run.y, 4, 14)", y=y) == pytest.approx(3, abs=0.02)


def test_a_scanned_dimension_is_kept() -> None:
    both = xr.concat([boluses(), 2 * boluses()], dim="scan")
    found = DOSE_MEASURES["before_dose"](both, 3, EVERY)
    assert found.dims == ("scan",)
    np.testing.assert_allclose(found[1], 2 * found[0])


def test_what_never_falls_has_no_half_life() -> None:
    assert np.isnan(value("terminal_half_life(run.y, 0, 10)", y=curve(1 + TIME)))
    assert np.isnan(value("terminal_half_life(run.y, 0, 10)", y=curve(0 * TIME)))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("before_dose(run.y, 1, 14)", "nothing stands before the first dose"),
        ("before_dose(run.y, 2.5, 14)", "whole number"),
        ("dose_area(run.y, 21, 14)", "runs from day 0 to 280"),
        ("area(run.y, 5, 5)", "are asked for"),
        ("accumulation(run.y, 3, 14, 'mean')", "area, peak, trough"),
        ("steady_time(run.y, 14, 2)", "between 0 and 1"),
        ("steady_time(run.y, 200)", "two intervals"),
        ("area(3, 0, 1)", "no curve"),
        ("dose_peak(run.y, 1, 0.05)", "more points"),
        ("dose_peak(run.y, 1, -14)", "above 0"),
        ("steady_time(3, 14)", "two intervals"),
        ("steady_time(run.y, 0)", "above 0"),
    ],
)
def test_what_cannot_be_measured_is_said(expression: str, text: str) -> None:
    with pytest.raises(AnalysisError, match=text):
        value(expression, y=boluses())
