"""Lean models give the numbers of the models that they come from."""

from __future__ import annotations

import re

import libsbml
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import cascade
from cascade._canonical import canonicalize, symbol_table
from cascade._lean import lean
from cascade._starts import observed, with_starts
from cascade.engine import OK, Engine
from cascade.simulate import single_job

EXACT = cascade.Solver(relative_tolerance=1e-10, absolute_tolerance=1e-14)

SMALL = """
  compartment c = 2; species S in c, T in c; species $B in c;
  k = 0.4; h = 3; ec = 1.5; p = 2; unused = 7; twice := 2*p; f_open = 1;
  S = 3*p; T = 0.5;
  hill := (S/ec)^h/(1 + (S/ec)^h); other := S^h/(ec^h + S^h) + T^2; alias := hill; deep := hill*other + hill^2 + alias;
  B := deep/(1 + deep);
  make: => S; c*k*p*(1 + B)*twice; waste: B => ; c*k*B; lose: S => ; c*k*S*deep*(1 + deep)/(2 + deep);
  turn: S => T; c*k*hill*S*f_open; leak: 2 S => ; c*0.1*S; drain: T => ; c*(k + ec*p)*T;
  r = 1; r' = -k*h*r + sqrt(T^2 + 0.01); clock := time*r; seen := exp(-r)*k + abs(S - T);
  E: at time >= 3, t0=false: f_open = 0.2;
"""
"""One of everything: a power used often, squares, aliases, an event, a variable of time, an idle reaction."""


def plain(model, names, days=6.0, points=13, values=None):
    """Run the canonical model as it is."""
    values = values or {}
    keys, table = with_starts(model.flat, tuple(values), np.array([list(values.values())], dtype=float))
    job = single_job(model, keys, names, days, points, EXACT)
    run = Engine(job.sbml).run(job, table[0].tolist())
    assert run.status == OK
    return dict(zip(names, run.rows.T, strict=True))


def everything(model):
    return tuple(symbol for symbol, found in symbol_table(model.flat).items() if found.kind != "compartment")


@pytest.mark.parametrize("values", [{}, {"k": 0.7, "ec": 0.8}, {"S": 1.0, "p": 3.0}])
def test_numbers_stay_the_same(make_model, values):
    model = make_model(SMALL)
    names = everything(model)
    run = cascade.simulate(model, days=6, points=13, record=names, values=values, solver=EXACT)
    for name, expected in plain(model, names, values=values).items():
        np.testing.assert_allclose(run[name], expected, rtol=1e-7, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("name", ["emt", "pdl1_immune", "hypoxia_vegf", "drivers"])
def test_shipped_modules_keep_their_numbers(name):
    model = cascade.compose(cascade.load_module(name))
    names = tuple(s.id for s in symbol_table(model.flat).values() if s.role in ("integrated", "computed"))
    run = cascade.simulate(model, days=30, points=7, record=names, solver=EXACT)
    for symbol, expected in plain(model, names, days=30.0, points=7).items():
        np.testing.assert_allclose(run[symbol], expected, rtol=1e-6, atol=1e-9, err_msg=symbol)


@given(k=st.floats(0.1, 2), p=st.floats(0.5, 4), start=st.floats(0.1, 5))
def test_each_run_of_a_sweep_has_its_own_constants(make_model, k, p, start):
    """Constants that are computed once are computed for each run."""
    model = make_model(SMALL)
    values = {"k": xr.DataArray([0.4, k], dims="run"), "p": p, "S": start}
    swept = cascade.simulate(model, days=6, points=4, values=values, record=["S", "deep"], solver=EXACT)
    alone = cascade.simulate(
        model, days=6, points=4, values={"k": k, "p": p, "S": start}, record=["S", "deep"], solver=EXACT
    )
    for name in ("S", "deep"):
        np.testing.assert_array_equal(swept[name].isel(run=1), alone[name])


def test_what_is_recorded_does_not_change_the_run(make_model):
    model = make_model(SMALL)
    whole = cascade.simulate(model, days=6, record=everything(model))
    for name in ("S", "seen", "waste", "clock", "twice"):
        np.testing.assert_allclose(cascade.simulate(model, days=6, record=[name])[name], whole[name], rtol=1e-5)


def test_what_no_rate_needs_is_left_out(make_model):
    model = make_model(SMALL)
    short = lean(canonicalize(model.flat, ()).sbml)
    reduced = libsbml.readSBMLFromString(short.sbml).getModel()
    assert short.symbols.isdisjoint({"unused", "seen", "clock"})
    assert reduced.getReaction("waste") is None, "changes no state"
    assert reduced.getReaction("turn") is not None, "moves cells from one state to another"
    assert {r.getId() for r in reduced.getListOfReactions()} == {"turn", "net_S", "drain"}
    asked = libsbml.readSBMLFromString(lean(canonicalize(model.flat, ()).sbml, ("waste",)).sbml).getModel()
    assert asked.getReaction("waste") is not None


def test_a_power_is_computed_once_in_a_formula(make_model):
    short = lean(canonicalize(make_model(SMALL).flat, ()).sbml)
    model = libsbml.readSBMLFromString(short.sbml).getModel()
    assert model.getNumFunctionDefinitions() > 0
    law = libsbml.formulaToL3String(model.getReaction("net_S").getKineticLaw().getMath())
    assert law.startswith("shared_") and law.count("^") <= 2
    assert not any("deep" in libsbml.formulaToL3String(rule.getMath()) for rule in model.getListOfRules())


def test_a_variable_of_time_stays_with_the_simulator(make_model):
    model = make_model(SMALL)
    assert "clock" not in observed(model.flat) and {"seen", "deep", "B", "twice", "k"} <= observed(model.flat)
    run = cascade.simulate(model, days=6, points=4, record=["clock", "r"], solver=EXACT)
    np.testing.assert_allclose(run["clock"], run["time"] * run["r"])


def test_a_computed_variable_that_is_not_finite_fails_the_run(make_model):
    run = cascade.simulate(make_model("x = 1; x' = -x; y := 1/(x - x); k = 2"), days=1, points=3)
    assert run["status"].item() == "not finite: y is inf at day 0; look for a division by zero in its formula"
    assert np.isnan(run["x"]).all() and run["rung"].item() == -1


def test_nothing_divided_by_nothing_is_as_before(make_model):
    """`x^h/(k + x^h)` is 0 at x = 0, also where it is written as `1/(1 + k/x^h)`."""
    model = make_model("x = 0; h = 2.5; k = 3; x' = 0.1 - x^h/(k^h + x^h); y = 0; y' = (y/k)^h/(1 + (y/k)^h);")
    run = cascade.simulate(model, days=5, points=6, solver=EXACT)
    assert run["status"].item() == OK and (run["y"] == 0).all()
    np.testing.assert_allclose(run["x"], plain(model, ("x",), 5.0, 6)["x"], rtol=1e-8)


@pytest.mark.parametrize("text", ["x = 1; x' = -k*piecewise(x, x > 0.5, 2*x); k = 1", "x = 1; x' = sin(time)*k; k = 1"])
def test_what_is_no_arithmetic_stays_as_it_is(make_model, text):
    model = make_model(text)
    run = cascade.simulate(model, days=3, points=4, values={"k": 0.5}, solver=EXACT)
    np.testing.assert_allclose(run["x"], plain(model, ("x",), 3.0, 4, {"k": 0.5})["x"], rtol=1e-7)


@pytest.mark.parametrize("exponent", [*range(2, 17), 2.5, -2, 0, 17])
@pytest.mark.parametrize("given", [False, True])
def test_a_power_is_the_same_as_products(make_model, exponent, given):
    """A constant exponent that is a whole number becomes products; one that is given with the run stays a power."""
    model = make_model("y = 0; x := a + b; y' = (x/ec)^h; a = 0.4; b = 0.8; ec = 1.5; h = 3; h = " + str(exponent))
    values = {"h": exponent} if given else {}
    run = cascade.simulate(model, days=2, points=3, values=values, solver=EXACT)
    np.testing.assert_allclose(run["y"], 0.8**exponent * run["time"], rtol=1e-9)


def test_constants_that_no_run_changes_become_numbers(make_model):
    canonical = canonicalize(make_model(SMALL).flat, ("k",)).sbml
    given = " ".join(lean(canonical, (), frozenset({"k"})).held.values())
    assert "k" in given and "p" not in given and "ec" not in given
    assert not lean(canonical).held and lean(canonical).symbols.isdisjoint({"k", "ec", "h"})


def test_a_constant_that_is_no_number_fails_the_run(make_model):
    """What cannot be computed beforehand is left to the simulator, which fails with a reason."""
    run = cascade.simulate(make_model("x = 1; x' = -x*k/(p - q); k = 1; p = 2; q = 2"), days=1, points=3)
    assert run["status"].item() != OK and np.isnan(run["x"]).all()


def test_what_an_absent_drug_does_is_left_out(make_model):
    """A product with 0, a factor 1 and a summand 0 need not be computed."""
    text = """
    x = 1; x' = -k*x*(1 - u) - kill*x + z*x; k = 0.3; dose = 0;
    u := 0*dose; r := 2*u; kill := r*(k*x + k*abs(x))/2; z := 0*x
    """
    model = make_model(text)
    short = lean(canonicalize(model.flat, ()).sbml, keep=()).sbml
    rate = short[short.index("<rateRule") : short.index("</rateRule>")]
    assert set(re.findall(r"<ci> (\w+) </ci>", rate)) == {"x"}
    run = cascade.simulate(model, days=2, points=3, record=["x"])
    assert run["x"].values[-1] == pytest.approx(np.exp(-0.6), rel=1e-5)  # at the default tolerance


def test_a_product_with_0_that_hides_what_is_no_number_stays(make_model):
    run = cascade.simulate(make_model("y = 1; y' = -y + dose*ln(y - 1); dose = 0"), days=2, points=3)
    assert run["status"].item() != OK
