"""Fold points of textbook switches, whose saddle nodes are known in closed form."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import cascade
from cascade import plot
from cascade.errors import AnalysisError, UnknownNameError, ValueSettingError

CUBIC = """
  r = -1; x = -1.3;
  x' = r + x - x^3;
"""
FOLD = 2 / (3 * np.sqrt(3))  # of r + x - x^3: both roots of 1 - 3 x^2
TOGGLE = """
  s = 0.1; k = 0.4; y = 0.1;
  y' = s + y^2/(1 + y^2) - k*y;
"""


def toggle_folds(k: float) -> list[float]:
    """Closed form: at a fold f(y) = s + y^2/(1+y^2) - k y and its slope vanish; s = k y - y^2/(1 + y^2)."""
    # slope 2 y/(1 + y^2)^2 = k, a quartic in y
    roots = np.roots([k, 0, 2 * k, -2, k])
    y = np.sort(roots[(abs(roots.imag) < 1e-12) & (roots.real > 0)].real)
    return [float(k * v - v**2 / (1 + v**2)) for v in y]


@pytest.fixture(scope="module")
def cubic(make_model):
    return cascade.bifurcation(make_model(CUBIC), "r", "x", lower=-1, upper=1, points=21)


def test_folds_of_the_cubic_lie_at_the_closed_form(cubic):
    assert list(cubic["fold_direction"].values) == ["up", "down"]
    np.testing.assert_allclose(cubic["fold_value"], [FOLD, -FOLD], rtol=1e-4)


def test_output_on_either_side_of_a_fold(cubic):
    np.testing.assert_allclose(cubic["fold_before"], [-1 / np.sqrt(3), 1 / np.sqrt(3)], atol=0.01)
    np.testing.assert_allclose(cubic["fold_after"], [2 / np.sqrt(3), -2 / np.sqrt(3)], rtol=1e-3)


def test_branches_are_roots_and_differ_only_between_the_folds(cubic):
    r, x = cubic["r"], cubic["x"]
    assert float(abs(r + x - x**3).max()) < 1e-5
    apart = abs(x.sel(direction="up") - x.sel(direction="down")) > 1e-3
    np.testing.assert_array_equal(apart, abs(r) < FOLD)


@pytest.mark.parametrize("k", [0.5, 0.6])
def test_folds_of_a_positive_feedback(make_model, k):
    down, up = sorted(toggle_folds(k))
    found = cascade.bifurcation(make_model(TOGGLE), "s", "y", lower=0.0001, upper=0.3, points=31, values={"k": k})
    expected = [up] + ([down] if down > 0.0001 else [])
    np.testing.assert_allclose(found["fold_value"], expected, rtol=1e-4)


def test_a_graded_response_has_no_fold(make_model):
    model = make_model("s = 1; y = 0; y' = s^4/(1 + s^4) - y;")
    found = cascade.bifurcation(model, "s", "y", lower=0.1, upper=5, points=11)
    assert found.sizes["fold"] == 0
    np.testing.assert_allclose(found["y"].sel(direction="up"), found["s"] ** 4 / (1 + found["s"] ** 4), rtol=1e-4)


def test_the_plot_marks_the_folds(cubic):
    axis = plot.bifurcation(cubic)
    assert {"0.385", "-0.385"} <= {text.get_text() for text in axis.texts}
    plt.close(axis.figure)


def test_what_has_no_steady_state_is_said(make_model):
    circle = make_model("w = 1; x = 1; y = 0; x' = w*y; y' = -w*x;")
    with pytest.raises(AnalysisError, match="oscillates or drifts"):
        cascade.bifurcation(circle, "w", "x", lower=1, upper=2, points=3, hold=1, longest=100)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"lower": 1, "upper": -1}, ValueSettingError, "lower below upper"),
        ({"points": 2}, ValueSettingError, "from 3 to 100000"),
        ({"hold": 0}, ValueSettingError, "hold is 0"),
        ({"parameter": "q"}, UnknownNameError, "no symbol 'q'"),
        ({"parameter": "x"}, ValueSettingError, "no constant"),
        ({"values": {"r": 1}}, ValueSettingError, "cannot have a value too"),
    ],
)
def test_wrong_arguments_are_refused(make_model, arguments, error, text):
    given = {"parameter": "r", "output": "x", "lower": -1, "upper": 1} | arguments
    with pytest.raises(error, match=text):
        cascade.bifurcation(make_model(CUBIC), **given)


def test_a_model_with_events_is_refused(make_model):
    model = make_model("r = 1; x = 0; q = 0; x' = r - x; at (time >= 1): q = 1;")
    with pytest.raises(AnalysisError, match="events"):
        cascade.bifurcation(model, "r", "x", lower=0, upper=1)
