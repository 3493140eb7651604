"""Composition: joined rightly it is the model one would write by hand; joined wrongly it fails before anything runs."""

from __future__ import annotations

import re
from dataclasses import replace

import libsbml
import numpy as np
import pytest
from folders import make_composition, make_module, number
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import cascade
from cascade import _sbml
from cascade.errors import CompositionError, SBMLError
from cascade.opening import open_sbml

JOINS = {"down.c_in": "up.c_a", "down.a_in": "w_full*up.a_full"}
OWN = [number("w_full", 2, "dimensionless"), number("down.k_lose", 0.25, "per_day")]


def load(folder, joins=None, rows=OWN, **more):
    return cascade.load_composition(make_composition(folder, JOINS if joins is None else joins, rows, **more))


def test_the_composed_model_is_the_model_written_by_hand(tmp_path):
    model = cascade.compose(load(tmp_path))

    def rates(_, state):
        a, b = state
        return [2 - 0.5 * a, 0.3 * a - 0.25 * (1 + 2 * a / (a + 3)) * b]

    result = cascade.simulate(model, days=20, points=21, solver=cascade.Solver(relative_tolerance=1e-9))
    by_hand = solve_ivp(rates, (0, 20), [0, 1], t_eval=result["time"], rtol=1e-10, atol=1e-12).y
    np.testing.assert_allclose(result["up__c_a"], by_hand[0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(result["down__c_b"], by_hand[1], rtol=1e-7, atol=1e-9)


def test_one_map_of_names(tmp_path):
    model = cascade.compose(load(tmp_path))
    assert model.id("up.c_a") == model.id("up__c_a") == "up__c_a"
    assert model.id("down.c_in") == "up__c_a", "a joined input is its writer"
    assert model.id("down.a_in") == "down__a_in", "an input driven by a formula keeps its own name"
    assert model.parameter("down.k_lose").nominal == 0.25
    assert model.parameter("up.k_lose").nominal == 0.5
    with pytest.raises(cascade.CascadeError, match=r"no symbol 'up.c_aa'.*did you mean"):
        model.id("up.c_aa")
    assert {row.id for row in model.parameters} == set(model.table)
    assert "down__c_in" not in model.table, "a joined input is no constant any more"


def test_both_documents_have_no_finding(tmp_path):
    model = cascade.compose(load(tmp_path))
    for text in (model.flat, model.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "pair") == []


def test_the_flat_document_has_its_units_once(tmp_path):
    flat = libsbml.readSBMLFromString(cascade.compose(load(tmp_path)).flat).getModel()
    units = [definition.getId() for definition in flat.getListOfUnitDefinitions()]
    assert len(units) == len(set(units)) and not [unit for unit in units if "__" in unit]
    assert flat.getTimeUnits() == "day" and flat.getExtentUnits() == "nmole"


@pytest.mark.parametrize(
    ("joins", "message"),
    [
        ({"down.c_in": "up.c_x"}, "no port 'c_x' in 'up' (module 'source')"),
        ({"down.c_on": "up.c_a"}, "no port 'c_on' in 'down'"),
        ({"below.c_in": "up.c_a"}, "no instance 'below'"),
        ({"down.c_in": "above.c_a"}, "no instance 'above'"),
        ({"down.c_b": "up.c_a"}, "port 'c_b' of 'down' is an output; it cannot be written"),
        ({"down.c_in": "up.k_make"}, "port 'k_make' of 'up' is an input; a formula may only read outputs"),
        ({"down.a_in": "up.c_a"}, "port 'c_a' of 'up' is in nM, but 'a_in' of 'down' expects dimensionless"),
        ({"down.a_in": "w_full*up.c_a"}, "but 'a_in' of 'down' expects dimensionless"),
        ({"down.c_in": "3.5*up.c_a"}, "put the number into the composition's parameters.tsv"),
        ({"down.c_in": "w_lost*up.c_a"}, "'w_lost' is neither an output (instance.port) nor a parameter"),
        ({"down.c_in": "up.c_a*(1 +"}, "cannot read the formula"),
        ({"down": "up.c_a"}, "the left side must be instance.port or group.port"),
        ({"down.c_in": "sum(all.c_a)"}, "no group 'all'"),
    ],
)
def test_a_wrong_join_speaks_the_language_of_the_model(tmp_path, joins, message):
    with pytest.raises(cascade.CascadeError, match=re.escape(message)):
        cascade.compose(load(tmp_path, joins))


def test_all_wrong_joins_come_at_once(tmp_path):
    with pytest.raises(CompositionError, match=r"'c_x'[\s\S]*'a_on'"):
        cascade.compose(load(tmp_path, {"down.c_in": "up.c_x", "down.a_on": "up.a_full"}))


def test_a_second_writer_is_refused(tmp_path):
    joins = {"down.c_in": "up.c_a", "sinks.c_in": "up.c_a"}
    with pytest.raises(CompositionError, match=r"input down.c_in has two writers"):
        cascade.compose(load(tmp_path, joins, more="groups = {sinks = ['down']}"))


def test_a_value_for_a_joined_input_is_refused(tmp_path):
    rows = [*OWN, number("down.c_in", 1, "nM")]
    with pytest.raises(CompositionError, match=r"down.c_in is given a value and is also joined"):
        cascade.compose(load(tmp_path, rows=rows))


@pytest.mark.parametrize("name", ["down.k_nothing", "below.k_lose"])
def test_a_value_for_nothing_is_refused(tmp_path, name):
    with pytest.raises(CompositionError, match=re.escape(f"value of {name!r}")):
        cascade.compose(load(tmp_path, rows=[*OWN, number(name, 1, "per_day")]))


def test_a_value_in_another_unit_is_refused(tmp_path):
    with pytest.raises(CompositionError, match=r"value of 'down.k_gain' is in nM, but module 'sink' has per_day"):
        cascade.compose(load(tmp_path, rows=[*OWN, number("down.k_gain", 1, "nM")]))


def test_a_verb_says_what_it_wants(tmp_path):
    composition = load(tmp_path)
    with pytest.raises(CompositionError, match=r"compose\(\) was given 'pair'; give what load_module"):
        cascade.compose("pair")
    with pytest.raises(cascade.CascadeError, match=r"give a Model, made by compose"):
        cascade.simulate(composition, days=1)
    with pytest.raises(cascade.CascadeError, match=r"give a shipped name or the path of a folder"):
        cascade.check(composition)


def test_a_group_shares_what_no_instance_has_of_its_own(tmp_path):
    composition = load(
        tmp_path,
        {"sinks.c_in": "up.c_a", "down.a_in": "up.a_full"},
        [number("left.k_gain", 0.6, "per_day")],
        instances={"up": "source", "down": "sink", "left": "sink"},
        more="shared = ['sinks']\ngroups = {sinks = ['down', 'left']}",
    )
    model = cascade.compose(composition)
    assert model.id("down.k_lose") == model.id("left.k_lose") == "sinks__k_lose"
    assert model.parameter("down.k_gain").nominal == 0.3 and model.parameter("left.k_gain").nominal == 0.6
    result = cascade.simulate(model, days=5, values={"sinks__k_grow": 0.4}, record=["down__n_x", "left__n_x"])
    np.testing.assert_allclose(result["down__n_x"][-1], 5 * np.exp(2), rtol=1e-5)
    np.testing.assert_allclose(result["left__n_x"][-1], 5 * np.exp(2), rtol=1e-5)


def test_a_sum_over_a_group(tmp_path):
    composition = load(
        tmp_path,
        {"down.c_in": "sum(makers.c_a)"},
        [],
        instances={"one": "source", "two": "source", "down": "sink"},
        more="groups = {makers = ['one', 'two']}",
    )
    model = cascade.compose(composition)
    result = cascade.simulate(model, days=5, record=["down__c_in", "one__c_a", "two__c_a"])
    np.testing.assert_allclose(result["down__c_in"], result["one__c_a"] + result["two__c_a"], rtol=1e-12)


def test_a_missing_port_in_the_document_is_refused_not_left_unconnected(tmp_path):
    folder = make_composition(tmp_path, JOINS, OWN)
    path = tmp_path / "sink/sink.xml"
    composition = cascade.load_composition(folder)
    broken = re.sub(r"<comp:port [^>]*comp:idRef=\"c_in\"[^>]*/>", "", path.read_text())
    sink = replace(composition.instances["down"], sbml=broken)
    composition = replace(composition, instances={**composition.instances, "down": sink})
    with pytest.raises(SBMLError, match=r"c_in"):
        cascade.compose(composition)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instances = 3", "must be a dict"),
        ("[instances]\nup = 3", "must be text"),
        ("[instances]\n", "names no [instances]"),
        ("nonsense = 1\n[instances]\nup = '../source'", "unknown entry 'nonsense'"),
        ("not toml", "cannot read"),
        ("[instances]\nup = '../source'\n[groups]\nall = ['down']", "group 'all' must list instances"),
        ("[instances]\nup = '../nowhere'", "no module '../nowhere'"),
        ("years = -1\n[instances]\nup = '../source'", "'years' must be a finite number above 0, found -1"),
        ("years = true\n[instances]\nup = '../source'", "'years' must be a finite number above 0, found True"),
    ],
)
def test_a_faulty_composition_file_says_what_is_wrong(tmp_path, text, message):
    make_module(tmp_path, "source")
    folder = tmp_path / "pair"
    folder.mkdir()
    (folder / "composition.toml").write_text(text)
    with pytest.raises(cascade.CascadeError, match=re.escape(message)):
        cascade.load_composition(folder)


def test_a_model_can_be_copied_to_other_processes(tmp_path):
    import pickle

    model = cascade.compose(load(tmp_path))
    assert pickle.loads(pickle.dumps(model)) == model


def test_the_hierarchical_file_and_the_flat_text_are_one_model(tmp_path):
    """A simulator that flattens for itself gets the same numbers; cascade never hands it the document as text."""
    import roadrunner

    model = cascade.compose(load(tmp_path))
    path = cascade.export(model, tmp_path / "pair.xml", comp=True)
    runner = roadrunner.RoadRunner(str(path))
    runner.integrator.relative_tolerance = 1e-9
    runner.timeCourseSelections = ["time", "[down__c_b]"]
    there = runner.simulate(0, 20, 21)[:, 1]
    here = cascade.simulate(model, days=20, points=21, solver=cascade.Solver(relative_tolerance=1e-9))["down__c_b"]
    np.testing.assert_allclose(there, here, rtol=1e-7)


@pytest.mark.parametrize("name", ["source", "sink", "2 pairs", "my-pair", "down__c", "_", "対"])
def test_a_composition_may_be_called_as_its_folder_is(tmp_path, name):
    """As one of its modules, as a submodel's element, or by what is no id of SBML: the numbers do not change."""
    composition = load(tmp_path)
    plain, model = (cascade.compose(each) for each in (composition, replace(composition, name=name)))
    assert model.name == name
    document = libsbml.readSBMLFromString(model.hierarchical)
    assert document.getModel().isSetId()
    for text in (model.flat, model.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), name) == []
    here, there = (cascade.simulate(each, days=20, points=5) for each in (model, plain))
    assert list(here) == list(there)
    np.testing.assert_array_equal(here["down__c_b"], there["down__c_b"])
    cascade.export(model, tmp_path / "archive.omex")
    opened = open_sbml(cascade.export(model, tmp_path / "comp.xml", comp=True))
    assert opened.issues == (), opened.issues


def test_the_id_of_a_composed_model_is_its_name_where_it_can_be(tmp_path):
    assert libsbml.readSBMLFromString(cascade.compose(load(tmp_path)).flat).getModel().getId() == "pair"


@settings(max_examples=12, deadline=None)
@given(
    makes=st.lists(st.floats(0.1, 10), min_size=1, max_size=4),
    weights=st.lists(st.floats(0.1, 3), min_size=4, max_size=4),
    shared=st.booleans(),
)
def test_any_number_of_sources_adds_up(tmp_path_factory, makes, weights, shared):
    """Random compositions of linear modules against their closed form."""
    folder = tmp_path_factory.mktemp("random")
    names = [f"from_{index}" for index in range(len(makes))]
    rows = [number(f"w_{name}", round(weights[i], 6), "dimensionless") for i, name in enumerate(names)]
    rows += [number(f"{name}.v_make", round(makes[i], 6), "nM_per_day") for i, name in enumerate(names)]
    composition = load(
        folder,
        {"down.c_in": " + ".join(f"w_{name}*{name}.c_a" for name in names)},
        rows,
        instances={**dict.fromkeys(names, "source"), "down": "sink"},
        more=f"{'shared = [`all`]' if shared else ''}\ngroups = {{all = {names}}}".replace("`", "'"),
    )
    model = cascade.compose(composition)
    result = cascade.simulate(model, days=30, points=4, solver=cascade.Solver(relative_tolerance=1e-9))
    time = result["time"].values
    total = sum(rows[i].nominal * rows[len(names) + i].nominal for i in range(len(names)))
    fed = 0.3 * total / 0.5 * ((1 - np.exp(-0.2 * time)) / 0.2 - (np.exp(-0.2 * time) - np.exp(-0.5 * time)) / 0.3)
    np.testing.assert_allclose(result["down__c_b"], np.exp(-0.2 * time) + fed, rtol=1e-6)
    assert ("all__k_lose" in model.table) == shared
