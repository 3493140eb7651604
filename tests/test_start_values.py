"""A composition may start its states elsewhere than their modules do alone."""

from __future__ import annotations

import numpy as np
import pytest
from folders import make_composition, make_module

import cascade
from cascade.errors import CompositionError, UnknownNameError
from cascade.start_values import with_start

ALONE = "[start.source]\nc_a = 7\n"


def compose(folder, more):
    return cascade.compose(cascade.load_composition(make_composition(folder, {}, more=more)))


def test_a_state_starts_where_the_composition_says(tmp_path):
    """And runs from there as its module does: a pool that is filled and lost has a closed form."""
    run = cascade.simulate(compose(tmp_path, ALONE), days=5, points=11, solver=cascade.Solver(relative_tolerance=1e-9))
    np.testing.assert_allclose(run["up__c_a"], 4 + (7 - 4) * np.exp(-0.5 * run["time"]), rtol=1e-7)


def test_numbers_initial_assignments_and_amounts_are_replaced(tmp_path):
    """The sink computes its start from constants; the other states of a module keep their own start."""
    before = cascade.simulate(compose(tmp_path, ""), days=1, points=2).isel(time=0)
    states = [name for name in before.data_vars if name in ("down__c_b", "down__n_x")]
    assert states
    for name in states:
        local = name.partition("__")[2]
        after = cascade.simulate(compose(tmp_path, f"[start.sink]\n{local} = 2.5\n"), days=1, points=2).isel(time=0)
        assert float(after[name]) == 2.5 != float(before[name])
        others = [other for other in states if other != name]
        assert all(float(after[other]) == float(before[other]) for other in others)


def test_who_extends_takes_over_and_replaces(tmp_path):
    make_composition(tmp_path, {}, more=ALONE)
    for name, more, start in (("same", "", 7), ("other", "[start.source]\nc_a = 1\n", 1)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "composition.toml").write_text(f'extends = "../pair"\n{more}')
        composition = cascade.load_composition(folder)
        assert composition.start == {"source": {"c_a": start}}
        run = cascade.simulate(cascade.compose(composition), days=1, points=2)
        assert float(run["up__c_a"][0]) == start


def test_a_state_at_rest_has_no_start(tmp_path):
    model = compose(tmp_path, ALONE + "[quasi_steady]\nsource = ['c_a']\n")
    run = cascade.simulate(model, days=1, points=2)
    np.testing.assert_allclose(run["up__c_a"], 4)


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ("[start.source]\nc_z = 1\n", UnknownNameError, "no state 'c_z'"),
        ("[start.sauce]\nc_a = 1\n", UnknownNameError, "no module 'sauce'"),
        ("[start.source]\nc_a = 'much'\n", CompositionError, "finite numbers"),
        ("[start.source]\nc_a = nan\n", CompositionError, "finite numbers"),
        ("[start]\nsource = 1\n", CompositionError, "finite numbers"),
    ],
)
def test_a_wrong_start_is_refused(tmp_path, more, error, text):
    with pytest.raises(error, match=text):
        compose(tmp_path, more)


def test_what_a_rule_computes_has_no_start(tmp_path):
    module = cascade.load_module(make_module(tmp_path, "source"))
    assert with_start(module, {}) is module
    ruled = cascade.quasi_steady(module, ["c_a"])
    with pytest.raises(CompositionError, match="a rule computes it"):
        with_start(ruled, {"c_a": 1.0})
