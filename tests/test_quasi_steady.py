"""Quasi-steady species: exact where they should be, close where they are used, refused where they are not possible."""

from __future__ import annotations

import re
from dataclasses import replace

import libsbml
import numpy as np
import pytest
from folders import make_module, number
from hypothesis import given, settings
from hypothesis import strategies as st

import cascade
from cascade import _sbml
from cascade.errors import CascadeError, CompositionError

HEAD = """
model line(n_kept)
  compartment body = 1;
  substanceOnly species n_source in body, n_one in body, n_two in body, n_kept in body, n_lost in body;
  n_source = init_source; n_one = 0; n_two = 0; n_kept = 0; n_lost = 0;
"""
TAIL = """
  v_in has cell_per_day; v_leave has cell_per_day;
  n_source has cell; n_one has cell; n_two has cell; n_kept has cell; n_lost has cell;
end
"""
LINE = """
  v_in := k_in*n_source;
  drain: n_source => ; k_grow*n_source;
  enter: => n_one; v_in;
  pass: n_one => 2 n_two; f_open*k_pass*n_one;
  die: n_one => n_lost; n_one*(k_die + k_kill);
  v_leave := k_leave*n_two;
  arrive: n_two => n_kept; v_leave;
"""
ROWS = [
    number("init_source", 100, "cell"),
    number("k_in", 0.5, "per_day"),
    number("k_grow", -0.01, "per_day"),
    number("f_open", 0.5, "dimensionless"),
    number("k_pass", 4, "per_day"),
    number("k_die", 1, "per_day"),
    number("k_kill", 3, "per_day"),
    number("k_leave", 6, "per_day"),
]
FAST = ("n_one", "n_two")
EXACT = cascade.Solver(relative_tolerance=1e-9)


def line(folder, reactions=LINE, rows=ROWS):
    return cascade.load_module(make_module(folder, "line", HEAD + reactions + TAIL, rows))


def rules(module):
    model = libsbml.readSBMLFromString(module.sbml).getModel()
    return {r.getVariable(): libsbml.formulaToL3String(r.getMath()) for r in model.getListOfRules()}


def run(module, days=100.0, **more):
    return cascade.simulate(cascade.compose(module), days=days, solver=EXACT, **more)


def test_rules_are_inflow_over_loss(tmp_path):
    found = rules(cascade.quasi_steady(line(tmp_path), FAST))
    assert found["n_one"] == "v_in / (f_open * k_pass + k_die + k_kill)"
    assert found["n_two"] == "2 dimensionless * f_open * k_pass * n_one / k_leave"


def test_the_closed_form_of_a_chain(tmp_path):
    result = run(cascade.quasi_steady(line(tmp_path), FAST))
    source = 100 * np.exp(0.01 * result["time"])
    np.testing.assert_allclose(result["n_one"], 0.5 * source / 6, rtol=1e-7)
    np.testing.assert_allclose(result["n_two"], 2 * 2 * 0.5 * source / 6 / 6, rtol=1e-7)
    np.testing.assert_allclose(result["n_kept"][1:], (2 * 2 * 0.5 / 6 * (source - 100) / 0.01)[1:], rtol=1e-6)


def test_a_slowly_growing_inflow_is_met_to_one_percent(tmp_path):
    module = line(tmp_path)
    full, reduced = run(module), run(cascade.quasi_steady(module, FAST))
    for name in (*FAST, "n_kept", "n_lost"):
        late = slice(100, None)
        np.testing.assert_allclose(reduced[name][late], full[name][late], rtol=0.01)


def test_every_cell_of_a_pulse_passes(tmp_path):
    """The source empties within a day; what has arrived in the end is the same to the last cell."""
    module = line(tmp_path)
    values = {"k_grow": 8.0}
    full = run(module, values=values)
    reduced = run(cascade.quasi_steady(module, FAST), values=values)
    for name in ("n_kept", "n_lost"):
        np.testing.assert_allclose(reduced[name][-1], full[name][-1], rtol=1e-7)


def test_the_document_has_no_finding(tmp_path):
    model = cascade.compose(cascade.quasi_steady(line(tmp_path), FAST))
    assert _sbml.check_document(libsbml.readSBMLFromString(model.flat), "line") == []


def test_shipped_populations_stay_without_finding():
    fast = ("n_arrested", "n_arrested_cloaked", "n_arrested_cluster", "n_extravasated", "n_extravasated_cluster")
    reduced = cascade.quasi_steady(cascade.load_module("disseminated_cells"), (*fast, "n_awakened"))
    assert _sbml.check_document(libsbml.readSBMLFromString(reduced.sbml), "disseminated_cells") == []


def test_a_composition_reduces_every_instance(tmp_path):
    module = line(tmp_path)
    composition = cascade.Composition(
        name="two", path=tmp_path, instances={"left": module, "right": module}, quasi_steady={"line": FAST}
    )
    model = cascade.compose(composition)
    for text in (model.flat, model.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "two") == []
    flat = libsbml.readSBMLFromString(model.flat).getModel()
    assert all(flat.getSpecies(f"{side}__{name}").getBoundaryCondition() for side in ("left", "right") for name in FAST)
    both = cascade.simulate(model, days=10, solver=EXACT)
    alone = run(cascade.quasi_steady(module, FAST), days=10)
    for side in ("left", "right"):
        np.testing.assert_allclose(both[f"{side}__n_kept"], alone["n_kept"], rtol=1e-7)


def test_nothing_chosen_is_nothing_done(tmp_path):
    module = line(tmp_path)
    assert cascade.quasi_steady(module, ()) is module


REFUSED = {
    "not linear": (
        LINE.replace("n_one*(k_die + k_kill)", "n_one*(k_die + k_kill*n_one/n_source)"),
        "'n_one' is lost by reaction 'die' at a rate that is not linear in it",
    ),
    "constant loss": (
        LINE.replace("n_one*(k_die + k_kill)", "(k_die + k_kill)*n_source"),
        "'n_one' is lost by reaction 'die'",
    ),
    "self-made": (
        LINE + "copy: => n_one; k_die*n_one;",
        "'n_one' is made by reaction 'copy' at a rate that depends on it",
    ),
    "self-made through a rule": (
        LINE + "v_copy := k_die*n_one; v_copy has cell_per_day; copy: => n_one; v_copy;",
        "'n_one' is made by reaction 'copy'",
    ),
    "never lost": (LINE.replace("n_two => n_kept", "=> n_kept"), "'n_two' has no reaction that removes it"),
    "circle": (LINE + "back: n_two => n_one; k_die*n_two;", "'n_one', 'n_two' need each other in a circle"),
    "set by an event": (
        LINE + "at time > t_cut, t0=false: n_one = init_source;",
        "'n_one' is set by event",
    ),
    "emptied while cells come": (LINE + "at time > t_cut, t0=false: n_one = 0;", "which does not also end its"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_replaced_is_refused(tmp_path, name):
    reactions, message = REFUSED[name]
    rows = [*ROWS, number("t_cut", 3, "day")] if "t_cut" in reactions else ROWS
    module = line(tmp_path, reactions, rows)
    with pytest.raises(CompositionError, match=re.escape(message)):
        cascade.quasi_steady(module, FAST)


FLOWS = """
model flows(a_out)
  compartment body = 1;
  x_source = 0; x_source' = k_up;
  y_drive := k_in*x_source;
  a_one = init_one; a_one' = RATE;
  a_out = 0; a_out' = a_one;
  x_source has dimensionless; y_drive has per_day; a_one has dimensionless; a_out has day;
end
"""
FLOW_ROWS = [
    number("k_up", 0.1, "per_day"),
    number("k_in", 2, "per_day"),
    number("k_lose", 30, "per_day"),
    number("f_share", 0.25, "dimensionless"),
    number("init_one", 7, "dimensionless"),
]
RESTS = {
    "k_lose*(f_share - a_one)": lambda x: 0.25 + 0 * x,
    "y_drive*(1 - a_one) - k_lose*a_one": lambda x: 2 * x / (2 * x + 30),
    "-(k_lose*a_one - y_drive)": lambda x: 2 * x / 30,
    "f_share*(y_drive - k_lose*a_one + y_drive*a_one)/2": lambda x: 2 * x / (30 - 2 * x),
    "k_lose*(x_source - (1 - f_share)*a_one) - y_drive*(a_one - 1)": lambda x: (30 * x + 2 * x) / (30 * 0.75 + 2 * x),
}


def flows(folder, rate):
    used = [row for row in FLOW_ROWS if row.id in rate + FLOWS]
    return cascade.load_module(make_module(folder, "flows", FLOWS.replace("RATE", rate), used))


@pytest.mark.parametrize("rate", RESTS)
def test_a_rate_rule_comes_to_rest(tmp_path, rate):
    """`x' = a - k*x` becomes `x := a/k`, however it is written."""
    reduced = cascade.quasi_steady(flows(tmp_path, rate), ["a_one"])
    model = cascade.compose(reduced)
    assert _sbml.check_document(libsbml.readSBMLFromString(model.flat), "flows") == []
    result = run(reduced, days=20.0, record=["a_one", "x_source"])
    np.testing.assert_allclose(result["a_one"], RESTS[rate](0.1 * result["time"]), rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(
    "rate", ["k_lose*(f_share - a_one*a_one)", "k_lose*f_share/(1 + a_one)", "k_lose*f_share", "-k_lose*a_one"]
)
def test_a_rate_rule_without_such_a_rest_is_refused(tmp_path, rate):
    with pytest.raises(CompositionError, match=r"'a_one' (has a rate rule that is not linear|is not lost at a rate)"):
        cascade.quasi_steady(flows(tmp_path, rate), ["a_one"])


def test_an_unknown_species_is_refused(tmp_path):
    with pytest.raises(CascadeError, match=r"no state 'n_on' in module 'line'; did you mean 'n_one'"):
        cascade.quasi_steady(line(tmp_path), ["n_on"])


def test_an_event_that_also_ends_the_production_needs_no_assignment(tmp_path):
    """Surgery empties the tumor and the cells on their way out; the rule of these follows by itself."""
    event = "cut: at time > t_cut, t0=false: n_source = 0, n_one = 0, n_two = 0;"
    module = line(tmp_path, LINE + event, [*ROWS, number("t_cut", 3, "day")])
    result = run(cascade.quasi_steady(module, FAST), days=10)
    after = result["time"] > 3.01
    assert (result["n_one"][after] == 0).all() and (result["n_two"][after] == 0).all()
    assert (result["n_one"][~after] > 0).all()


@settings(max_examples=10)
@given(rates=st.lists(st.floats(0.1, 20), min_size=4, max_size=4), inflow=st.floats(0.1, 10))
def test_the_steady_state_of_any_chain_is_kept(tmp_path_factory, rates, inflow):
    """With a constant source, full and reduced come to the same rest."""
    module = line(tmp_path_factory.mktemp("chain"))
    values = {"k_grow": 0.0, "k_in": inflow, **dict(zip(("k_pass", "k_die", "k_kill", "k_leave"), rates, strict=True))}
    full = run(module, days=200, points=2, values=values)
    reduced = run(cascade.quasi_steady(module, FAST), days=200, points=2, values=values)
    for name in FAST:
        np.testing.assert_allclose(full[name][-1], reduced[name][-1], rtol=1e-6)


def test_the_module_given_is_not_changed(tmp_path):
    module = line(tmp_path)
    before = module.sbml
    reduced = cascade.quasi_steady(module, FAST)
    assert module.sbml == before and replace(reduced, sbml=before) == module
