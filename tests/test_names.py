"""One map of names across tools, and results of other tools that come back with the labels of cascade."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import libsbml
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from folders import make_composition, number
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cli import run

import cascade
from cascade._canonical import symbol_table
from cascade.engine import load_roadrunner
from cascade.errors import AnalysisError, FileError, UnknownNameError, ValueSettingError
from cascade.names import COLUMNS, copasi_names, id_map
from cascade.results import TOOLS, read_results

ONE_TO_ONE = ("name", "flat", "antimony", "copasi", "amici", "petab")
TIGHT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    rows = [number("f_x", 0.5, "dimensionless"), number("up.k_lose", 0.7, "per_day")]
    joins = {"down.c_in": "up.c_a", "down.a_in": "f_x*up.a_full"}
    folder = make_composition(tmp_path_factory.mktemp("pair"), joins, rows)
    return cascade.compose(cascade.load_composition(folder))


def test_the_map_says_where_each_symbol_lives(pair):
    table = id_map(pair).set_index("name")
    assert tuple(id_map(pair).columns) == COLUMNS
    assert table.loc["up.c_a", "hierarchical"] == "up:c_a" and table.loc["up.c_a", "port"] == "c_a"
    assert table.loc["up.c_a", "also"] == ("down.c_in", "down__c_in"), "the input that it drives leads here"
    assert table.loc["down.a_in", "hierarchical"] == "input_down__a_in", "driven by a formula of the top"
    assert table.loc["up.k_lose", "hierarchical"] == "value_up__k_lose", "a value of the composition"
    assert table.loc["f_x", "hierarchical"] == "f_x"
    assert table.loc["down.grow", "kind"] == "reaction" and table.loc["down.grow", "copasi"] == "(down__grow)"
    assert table.loc["up.tissue", "copasi"] == "Compartments[up__tissue]"


def assert_leads_back(model: cascade.Model) -> None:
    table = id_map(model)
    for column in (*ONE_TO_ONE, *(["hierarchical"] if model.hierarchical else [])):
        assert not table[column].duplicated().any() and (table[column] != "").all(), column
    back = {name: row.flat for row in table.itertuples() for name in (row.name, row.flat, *row.also)}
    assert {name: back[name] for name in model.ids} == dict(model.ids)
    assert set(table["flat"]) == set(symbol_table(model.flat))
    if model.hierarchical is not None:
        _assert_addresses(model, table)


def _assert_addresses(model: cascade.Model, table: pd.DataFrame) -> None:
    """Every address of the map is an element of the hierarchical document, in a submodel or at the top."""
    document = libsbml.readSBMLFromString(model.hierarchical)
    top, comp = document.getModel(), document.getPlugin("comp")
    for address in table["hierarchical"]:
        submodel, mark, local = address.rpartition(":")
        inside = comp.getModelDefinition(top.getPlugin("comp").getSubmodel(submodel).getModelRef()) if mark else top
        assert inside.getElementBySId(local) is not None, address


NAMES = st.sampled_from(["", "x", "x", "x_2", "x_1", " x", "y z", "a{b}", "a[b]", 'a"b', "c\\d", "µ m²", "Values[x]"])
READERS = {"down.c_in": ["up.c_a", "2*up.c_a", "up.c_a + more.c_a"], "down.a_in": ["up.a_full", "f_x*more.a_full"]}


@settings(max_examples=12)
@given(st.data())
def test_every_name_of_a_random_composition_leads_back(data):
    joined = [reader for reader in READERS if data.draw(st.booleans())]
    joins = {reader: data.draw(st.sampled_from(READERS[reader])) for reader in joined}
    rows = [number("f_x", 0.5, "dimensionless")] if any("f_x" in formula for formula in joins.values()) else []
    for name, unit in (("up.k_lose", "per_day"), ("more.v_make", "nM_per_day"), ("down.k_grow", "per_day")):
        if data.draw(st.booleans()):
            rows.append(number(name, 0.7, unit))
    shared = 'groups = {makers = ["up", "more"]}\nshared = ["makers"]' if data.draw(st.booleans()) else ""
    if shared:
        rows = [row for row in rows if row.id not in ("up.k_lose", "more.v_make")]
    instances = {"up": "source", "more": "source", "down": "sink"}
    with tempfile.TemporaryDirectory() as folder:
        path = make_composition(Path(folder), joins, rows, instances, shared)
        assert_leads_back(cascade.compose(cascade.load_composition(path)))


@pytest.mark.parametrize("name", ["primary_tumor", "wnt", "pdl1_immune"])
def test_every_name_of_a_module_leads_back(name):
    assert_leads_back(cascade.compose(cascade.load_module(name)))


def test_a_treated_model_is_mapped():
    model = cascade.treat(
        cascade.compose(cascade.load_module("primary_tumor")), cascade.inhibit("k_growth_rate", 0.5, start=30)
    )
    table = id_map(model).set_index("flat")
    assert table.loc["start_on_k_growth_rate", "copasi"] == "Values[start on Gompertz rate]"


def test_the_map_wants_a_model():
    with pytest.raises(ValueSettingError, match="give a Model"):
        id_map("wnt")


def named_model(titles: list[str], places: list[int]) -> str:
    """Return SBML with three compartments, and species, parameters and reactions of these names."""
    document = libsbml.SBMLDocument(3, 2)
    model = document.createModel()
    model.setId("m")
    for index in range(3):
        compartment = model.createCompartment()
        compartment.setId(f"c{index}")
        compartment.setName("cell" if index else "")
        compartment.setSize(2)
        compartment.setConstant(True)
        compartment.setSpatialDimensions(3)
    for index, (title, place) in enumerate(zip(titles, places, strict=True)):
        species, parameter, reaction = model.createSpecies(), model.createParameter(), model.createReaction()
        for element, start in ((species, "s"), (parameter, "p"), (reaction, "r")):
            element.setId(f"{start}{index}")
            if title:
                element.setName(title)
        species.setCompartment(f"c{place}")
        species.setInitialConcentration(1)
        species.setHasOnlySubstanceUnits(False)
        species.setBoundaryCondition(False)
        species.setConstant(False)
        parameter.setValue(1)
        parameter.setConstant(True)
        reaction.setReversible(False)
        side = reaction.createReactant()
        side.setSpecies(species.getId())
        side.setStoichiometry(1)
        side.setConstant(True)
        reaction.createKineticLaw().setMath(libsbml.parseL3Formula(f"{parameter.getId()}*{species.getId()}"))
    return libsbml.writeSBMLToString(document)


def display_names(sbml: str) -> dict[str, str]:
    """Return the display name of every object that COPASI makes, by SBML id."""
    basico = pytest.importorskip("basico")
    model = basico.load_model_from_string(sbml)
    tables = [basico.get_compartments(), basico.get_species(), basico.get_parameters(), basico.get_reactions()]
    found = {row.sbml_id: row.display_name for table in tables if table is not None for row in table.itertuples()}
    basico.remove_datamodel(model)
    return found


@settings(max_examples=15)
@given(st.lists(st.tuples(NAMES, st.integers(0, 2)), min_size=1, max_size=7))
def test_copasi_gives_the_names_of_the_map(pairs):
    sbml = named_model([title for title, _ in pairs], [place for _, place in pairs])
    document = libsbml.readSBMLFromString(sbml)
    assert copasi_names(document.getModel()) == display_names(sbml)


@pytest.mark.parametrize("name", ["wnt", "pdl1_immune", "primary_tumor"])
def test_copasi_gives_the_names_of_the_map_for_modules(name):
    model = cascade.compose(cascade.load_module(name))
    table = id_map(model)
    assert dict(zip(table["flat"], table["copasi"], strict=True)) == display_names(model.flat)


# Results of other tools.


VOLUME = """
compartment c = 2.5;
species s in c; substanceOnly species n in c;
s = 4; n = 3; k = 0.3; make: -> s; c*k; lose: s -> ; c*k*s; turn: n -> ; k*n; y := 2*s + n
"""


@pytest.fixture(scope="module")
def volume(make_model):
    return make_model(VOLUME)


@pytest.fixture(scope="module")
def expected(volume):
    return cascade.simulate(volume, days=10, points=11, solver=TIGHT)


def assert_same(found: xr.Dataset, expected: xr.Dataset, names: list[str], relative: float = 1e-5) -> None:
    assert set(found.data_vars) == {*names, "status", "rung"}
    for name in names:
        assert found[name].attrs == expected[name].attrs, name
        assert np.allclose(found[name], expected[name], rtol=relative), name
    assert found["time"].identical(expected["time"])
    assert found.attrs["model_sha256"] == expected.attrs["model_sha256"] and str(found["status"].item()) == "ok"


def roadrunner_rows(model: cascade.Model, columns: list[str]) -> np.ndarray:
    runner = load_roadrunner().RoadRunner(model.flat)
    runner.integrator.setValue("relative_tolerance", 1e-9)
    runner.integrator.setValue("absolute_tolerance", 1e-12)
    runner.timeCourseSelections = columns
    return np.array(runner.simulate(0, 10, 11))


@pytest.mark.parametrize("columns", [["time", "[s]", "[n]", "y"], ["time", "s", "n", "y", "make"]])
def test_roadrunner_amounts_and_concentrations_become_right(volume, expected, columns):
    """Bare names are amounts there, brackets concentrations; cascade has the concentration of s, the amount of n."""
    table = pd.DataFrame(roadrunner_rows(volume, columns), columns=columns)
    found = read_results(table, volume, tool="roadrunner")
    both = cascade.simulate(volume, days=10, points=11, solver=TIGHT, record=["s", "n", "y", "make"])
    assert_same(found, both, ["s", "n", "y", *(["make"] if "make" in columns else [])])


def test_a_named_array_of_roadrunner_is_read(volume, expected):
    class NamedArray(np.ndarray):
        colnames: list[str]

    rows = roadrunner_rows(volume, ["time", "[s]", "[n]"]).view(NamedArray)
    rows.colnames = ["time", "[s]", "[n]"]
    assert_same(read_results(rows, volume), expected, ["s", "n"])


@pytest.mark.parametrize("by_id", [False, True])
def test_copasi_results_come_back(volume, expected, by_id):
    basico = pytest.importorskip("basico")
    model = basico.load_model_from_string(volume.flat)
    table = basico.run_time_course(
        duration=10, intervals=10, use_sbml_id=by_id, r_tol=1e-10, a_tol=1e-14, update_model=False
    )
    basico.remove_datamodel(model)
    assert_same(read_results(table, volume, tool="copasi"), expected, ["s", "n", "y"])


def test_copasi_names_of_a_module_come_back_without_saying_so():
    basico = pytest.importorskip("basico")
    module = cascade.compose(cascade.load_module("pdl1_immune"))
    model = basico.load_model_from_string(module.flat)
    table = basico.run_time_course(duration=10, intervals=10, r_tol=1e-9, a_tol=1e-12, update_model=False)
    basico.remove_datamodel(model)
    found = read_results(table, module)
    expected = cascade.simulate(module, days=10, points=11, solver=TIGHT)
    assert found.attrs["computed_by"] == "copasi"
    names = [str(name) for name in found.data_vars if name not in ("status", "rung")]
    assert len(names) > 20
    for name in names:
        # without a drug the share of PD-1 that it holds is 0: a difference of nearly equal numbers
        floor = 1e-11 if name == "f_pd1_occupied" else 0.0
        peak = float(np.abs(expected[name]).max())
        assert np.allclose(found[name], expected[name], rtol=1e-4, atol=1e-6 * peak + floor), name
        assert found[name].attrs == expected[name].attrs


def test_files_and_tables_of_cascade_amici_and_petab_are_read(volume, expected, tmp_path):
    own = expected[["s", "n", "y"]].to_dataframe()
    own.to_csv(tmp_path / "own.csv")
    assert_same(read_results(tmp_path / "own.csv", volume, tool="cascade"), expected, ["s", "n", "y"])
    assert_same(read_results(own.reset_index(), volume, tool="amici"), expected, ["s", "n", "y"])
    long = own.reset_index().melt("time", var_name="observableId", value_name="simulation")
    both = pd.concat([long.assign(simulationConditionId=name) for name in ("control", "drug")])
    both.to_csv(tmp_path / "simulations.tsv", sep="\t", index=False)
    found = read_results(tmp_path / "simulations.tsv", volume)
    assert found["s"].dims == ("condition", "time") and found["condition"].values.tolist() == ["control", "drug"]
    one = long.assign(simulationConditionId="control")
    assert_same(read_results(one, volume), expected, ["s", "n", "y"])


def test_joined_inputs_lead_to_their_writer(pair):
    run = cascade.simulate(pair, days=2, points=3)
    table = pd.DataFrame({"time": [0.0, 1.0, 2.0], "down.c_in": run["up__c_a"].values})
    assert np.allclose(read_results(table, pair)["up__c_a"], run["up__c_a"])


TIME = {"time": [0.0, 1.0]}


@pytest.mark.parametrize(
    "table, tool, error, message",
    [
        ({**TIME, "z": [1, 2]}, "cascade", UnknownNameError, "no symbol 'z'"),
        ({**TIME, "[y]": [1, 2]}, "roadrunner", UnknownNameError, r"no symbol '\[y\]'"),
        ({**TIME, "s": [1, 2], "[s]": [1, 2]}, "roadrunner", AnalysisError, "are both 's'"),
        ({**TIME, "s": [1, 2]}, None, AnalysisError, "say which tool wrote them"),
        ({"s": [1, 2]}, "cascade", AnalysisError, "no column or index is called time"),
        ({**TIME, "Time": [0, 1], "s": [1, 2]}, "cascade", AnalysisError, "several columns are a time"),
        ({"time": [0, 0], "s": [1, 2]}, "cascade", AnalysisError, "rise from row to row"),
        ({"time": [0, np.nan], "s": [1, 2]}, "cascade", AnalysisError, "must be finite"),
        ({**TIME, "s": ["a", "b"]}, "cascade", AnalysisError, "something else than numbers"),
        ({**TIME, "s": [1, 2]}, "vcell", UnknownNameError, "no tool 'vcell'"),
    ],
)
def test_unknown_and_ambiguous_columns_raise(volume, table, tool, error, message):
    with pytest.raises(error, match=message):
        read_results(pd.DataFrame(table), volume, tool=tool)


def test_other_sources_are_refused(volume, tmp_path):
    with pytest.raises(AnalysisError, match="array with column names"):
        read_results(np.zeros((2, 2)), volume)
    with pytest.raises(FileError, match="cannot read"):
        read_results(tmp_path / "none.csv", volume)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(AnalysisError, match="as a table with a header"):
        read_results(tmp_path / "empty.csv", volume)
    with pytest.raises(ValueSettingError, match="give a Model"):
        read_results(pd.DataFrame(TIME), "wnt")


def test_numbers_that_are_not_finite_fail_with_a_reason(volume):
    found = read_results(pd.DataFrame({**TIME, "s": [1, np.inf]}), volume, tool="cascade")
    assert str(found["status"].item()).startswith("not finite: s is inf at day 1") and np.isnan(found["s"]).all()
    assert found["rung"] == -1


def test_a_changing_compartment_is_needed_as_a_column(make_model):
    model = make_model("compartment c = 2; c' = 0.1; species s in c; s = 4; k = 1; J: s -> ; k*s")
    table = pd.DataFrame({"time": [0.0, 1.0], "s": [8.0, 4.2]})
    with pytest.raises(AnalysisError, match="give it as a column"):
        read_results(table, model, tool="roadrunner")
    found = read_results(table.assign(c=[2.0, 2.1]), model, tool="roadrunner")
    assert np.allclose(found["s"], [4.0, 2.0])


def test_every_tool_has_a_column_of_the_map():
    assert {column for column, _ in TOOLS.values()} <= set(COLUMNS)


def test_the_commands_print_names_and_read_results(tmp_path):
    found = json.loads(run("names", "primary_tumor", "--json").stdout)
    assert {row["flat"]: row["copasi"] for row in found}["n_tumor"] == "Values[primary tumor cells]"
    (tmp_path / "run.csv").write_text("Time,Values[primary tumor cells]\n0,1\n1,2\n")
    done = run("results", "run.csv", "primary_tumor", "--out", "run.nc", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as result:
        assert result["n_tumor"].attrs["units"] == "cell" and result["n_tumor"].values.tolist() == [1.0, 2.0]
