"""Start values computed in Python are those that the simulator computes."""

from __future__ import annotations

import libsbml
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cascade
from cascade._starts import with_starts
from cascade.catalogue import module_names
from cascade.engine import load_roadrunner

FORMULAS = """
  a = 2; b = 0.5; q := a + b;
  x = a*b/(a + b)^2 - exp(-q); y = sqrt(x^2 + 1) + ln(a) + log10(b) + x; z = abs(-y)^0.3 + a^(1/3);
  x' = 0; y' = 0; z' = 0;
"""


def simulators(flat: str) -> dict[str, float]:
    """Return what libRoadRunner starts the assigned symbols from."""
    model = libsbml.readSBMLFromString(flat).getModel()
    names = [each.getSymbol() for each in model.getListOfInitialAssignments()]
    runner = load_roadrunner().RoadRunner(flat)
    runner.timeCourseSelections = [
        f"[{name}]" if model.getSpecies(name) and not model.getSpecies(name).getHasOnlySubstanceUnits() else name
        for name in names
    ]
    return dict(zip(names, runner.simulate(0, 1e-12, 2)[0], strict=True))


# the other primaries share the formulas of breast; the simulator needs a minute to load one with its start values
@pytest.mark.parametrize("name", [*module_names(), pytest.param("breast", marks=pytest.mark.slow)])
def test_every_shipped_start_value_agrees_with_the_simulator(name):
    load = cascade.load_module if name in module_names() else cascade.load_composition
    flat = cascade.compose(load(name)).flat
    keys, table = with_starts(flat, (), np.empty((1, 0)))
    expected = simulators(flat)
    assert set(keys) == set(expected)
    for key, value in zip(keys, table[0], strict=True):
        assert value == pytest.approx(expected[key], rel=1e-9, abs=1e-12), key


@given(a=st.floats(0.1, 10), b=st.floats(0.1, 10))
def test_formulas_follow_the_values_of_each_run(make_model, a, b):
    model = make_model(FORMULAS)
    keys, table = with_starts(model.flat, ("a", "b"), np.array([[a, b], [1.0, 1.0]]))
    row = dict(zip(keys, table[0], strict=True))
    x = a * b / (a + b) ** 2 - np.exp(-(a + b))
    assert row["x"] == pytest.approx(x)
    assert row["y"] == pytest.approx(np.sqrt(x**2 + 1) + np.log(a) + np.log10(b) + x)
    assert row["z"] == pytest.approx(abs(row["y"]) ** 0.3 + a ** (1 / 3))


def test_a_given_start_value_is_kept_and_others_follow_it(make_model):
    keys, table = with_starts(make_model(FORMULAS).flat, ("x",), np.array([[3.0]]))
    row = dict(zip(keys, table[0], strict=True))
    assert row["x"] == 3 and row["y"] == pytest.approx(np.sqrt(10) + np.log(2) + np.log10(0.5) + 3)


def test_what_cannot_be_computed_stays_with_the_simulator(make_model):
    model = make_model("a = 2; x = piecewise(1, a > 1, 0); y = 2*a; z = x + 1; x' = 0; y' = 0; z' = 0;")
    keys, _ = with_starts(model.flat, (), np.empty((1, 0)))
    assert keys == ("y",)
    run = cascade.simulate(model, days=1, points=2)
    assert [float(run[name][0]) for name in "xyz"] == [1, 4, 2]


def test_a_start_value_that_does_not_exist_fails_its_own_run(make_model):
    import xarray as xr

    model = make_model("a = 2; x = ln(a); x' = -x;")
    run = cascade.simulate(model, days=1, points=2, values={"a": xr.DataArray([-1.0, 1.0], dims="patient")})
    assert run["status"].values[0] != "ok" and run["status"].values[1] == "ok"
