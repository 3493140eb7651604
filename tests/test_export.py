"""Exports mean the same as the model: in every level of SBML, as Antimony, as Python; else nothing is written."""

from __future__ import annotations

import errno
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import antimony
import libsbml
import numpy as np
import pytest
import xarray as xr
from folders import make_composition, number
from hypothesis import given, settings
from hypothesis import strategies as st

import cascade
from cascade._reserved import ANTIMONY
from cascade._sbml import is_word
from cascade.engine import load_roadrunner
from cascade.errors import CascadeError, FileError, SBMLError, UnknownNameError
from cascade.export import FORMATS, export
from cascade.export._proof import prove_same
from cascade.export.antimony import read_antimony

TIGHT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)


@pytest.fixture(scope="module")
def treated():
    """Two drugs in a module with events of its own, a state trigger and a rate rule."""
    model = cascade.compose(cascade.load_module("primary_tumor"))
    return cascade.treat(
        model,
        cascade.inhibit("k_growth_rate", 0.5, start=30, stop=100),
        cascade.inhibit("k_secrete_vesicle", 0.9, start=0, stop=40),
        cascade.activate("k_kill", 2.0, start=60),
    )


@pytest.fixture(scope="module")
def treated_signaling():
    """Species and reactions, concentrations, start values that are formulas, and a dose."""
    model = cascade.compose(cascade.load_module("wnt"))
    return cascade.treat(model, cascade.inhibit("v_synthesize_axin1", 0.8, start=2, stop=5))


def simulated(sbml: str, names: list[str], days: float, points: int = 41) -> np.ndarray:
    """Simulate SBML text with plain libRoadRunner, from scratch; columns in the order of the names."""
    runner = load_roadrunner().RoadRunner(sbml)
    runner.integrator.setValue("relative_tolerance", 1e-9)
    runner.integrator.setValue("absolute_tolerance", 1e-12)
    runner.timeCourseSelections = names
    return np.array(runner.simulate(0, days, points))


def assert_same_run(sbml: str, model: cascade.Model, days: float) -> None:
    """The written file, simulated again, gives what cascade gives: every species and variable at every time."""
    expected = expected_run(model, days)
    document = libsbml.readSBMLFromString(model.flat).getModel()
    names = [str(name) for name in expected.data_vars]
    kinds = [document.getSpecies(name) for name in names]
    columns = [
        f"[{name}]" if kind is not None and not kind.getHasOnlySubstanceUnits() else name
        for name, kind in zip(names, kinds, strict=True)
    ]
    found = simulated(sbml, columns, days)
    for place, name in enumerate(names):
        values = expected[name].values
        # what is 0 may be below the absolute tolerance
        assert np.allclose(found[:, place], values, rtol=1e-5, atol=1e-5 * np.abs(values).max() + 1e-12), name


RUNS: dict[str, xr.Dataset] = {}


def expected_run(model: cascade.Model, days: float) -> xr.Dataset:
    if model.hash not in RUNS:
        run = cascade.simulate(model, days=days, points=41, solver=TIGHT)
        RUNS[model.hash] = run.drop_vars(["status", "rung"])
    return RUNS[model.hash]


def moved(model: cascade.Model, days: float, name: str) -> bool:
    """Tell whether the doses change a variable, so that a lost dose is seen."""
    untreated = cascade.simulate(small(model.name), days=days, points=41, record=[name])[name]
    runs = [expected_run(model, days)[name], untreated]
    return bool(np.abs(runs[0] - runs[1]).max() > 1e-2 * np.abs(runs[1]).max())


def text_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return read_antimony(text, path.name) if path.suffix == ".ant" else text


@pytest.mark.parametrize(
    "name, options", [("m.xml", {}), ("m.sbml", {"version": "L3V1"}), ("m.xml", {"version": "L2V4"}), ("m.ant", {})]
)
def test_doses_survive_in_every_format(treated, treated_signaling, tmp_path, name, options):
    assert_same_run(text_of(export(treated, tmp_path / name, **options)), treated, 120)
    assert_same_run(text_of(export(treated_signaling, tmp_path / name, **options)), treated_signaling, 10)


def test_the_doses_of_these_tests_matter(treated, treated_signaling):
    assert moved(treated, 120, "a_vesicle") and moved(treated_signaling, 10, "c_axin_total")


@pytest.mark.parametrize("version, level", [("L3V2", (3, 2)), ("L3V1", (3, 1)), ("L2V4", (2, 4))])
def test_sbml_has_the_level_that_was_asked_for_and_is_valid(treated, tmp_path, version, level):
    document = libsbml.readSBMLFromFile(str(export(treated, tmp_path / "m.xml", version=version)))
    assert (document.getLevel(), document.getVersion()) == level
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, level != (2, 4))
    assert not document.checkConsistency()
    assert document.getModel().getNumEvents() == 6


def test_flat_sbml_is_the_text_of_the_model(treated, tmp_path):
    assert export(treated, tmp_path / "m.xml").read_text() == treated.flat


TOO_NEW = {
    "max": ("x := max(k, 2); k = 1", "L3V1", "the rule of 'x' uses max"),
    "rateOf": ("y' = 1; y = 0; x := rateOf(y)", "L3V1", "the rule of 'x' uses rateOf"),
    "implies": ("k = 1; x = 1; at implies(k > 2, k < 1), t0=false: x = 2", "L3V1", "uses implies"),
    "avogadro": ("x := avogadro*2", "L2V4", "uses avogadro"),
    "priority": ("x = 1; E: at time > 2, priority=3, t0=false: x = 2", "L2V4", "event 'E' has a priority"),
    "persistent": ("x = 1; E: at time > 2, persistent=false, t0=false: x = 2", "L2V4", "'E' is not persistent"),
    "at once": ("x = 1; E: at time >= 0, t0=false: x = 2", "L2V4", "trigger time >= 0, which may hold at time 0"),
    "computed": (
        "k = 3; x = 1; E: at k*2 > 5 && k < 9, t0=false: x = 2",
        "L2V4",
        "event 'E' has the trigger",
    ),
    "unknown": (
        "k = 3; x = 1; E: at piecewise(1, k > 2, 0) > 0.5, t0=false: x = 2",
        "L2V4",
        "which may hold at time 0",
    ),
}


@pytest.mark.parametrize("case", TOO_NEW)
def test_what_an_older_level_cannot_say_is_refused_by_name(make_model, tmp_path, case):
    text, version, message = TOO_NEW[case]
    model = make_model(text)
    with pytest.raises(SBMLError) as caught:
        export(model, tmp_path / "m.xml", version=version)
    assert message in str(caught.value) and version in str(caught.value)
    assert not list(tmp_path.iterdir())
    assert export(model, tmp_path / "m.xml").is_file(), "L3V2 holds everything"


def test_a_trigger_that_is_false_at_the_start_is_kept_in_level_2(make_model, tmp_path):
    model = make_model("k = 3; x = 1; x' = 0*x; E: at time >= k, t0=false: x = 2")
    path = export(model, tmp_path / "m.xml", version="L2V4")
    assert simulated(path.read_text(), ["x"], 6, 7)[:, 0].tolist() == [1, 1, 1, 2, 2, 2, 2]


def test_all_that_differs_is_named(make_sbml):
    text = make_sbml(
        "compartment c = 2; species S in c; S = 3; k = 1; J: S -> ; k*S; x := k*2; E: at time > 1, t0=false: k = 2"
    )
    changes = {
        'size="2"': ('size="3"', "size of compartment 'c'"),
        'initialConcentration="3"': ('initialConcentration="4"', "initial concentration of species 'S'"),
        'initialValue="false"': ('initialValue="true"', "initialValue of event 'E'"),
        'hasOnlySubstanceUnits="false"': ('hasOnlySubstanceUnits="true"', "hasOnlySubstanceUnits of species 'S'"),
        "<ci> S </ci>": ("<ci> c </ci>", "rate of reaction 'J'"),
        '<cn type="integer"> 1 </cn>': ('<cn type="integer"> 9 </cn>', "trigger of event 'E'"),
        'stoichiometry="1"': ('stoichiometry="2"', "reactants of reaction 'J'"),
    }
    prove_same(text, text, "here")
    for old, (new, message) in changes.items():
        assert old in text
        with pytest.raises(SBMLError, match=message):
            prove_same(text, text.replace(old, new), "here")


def test_antimony_keeps_nested_powers_units_names_and_amounts(tmp_path):
    """Antimony 3.3.0 writes `(a^b)^c` as `a^b^c` and reads `a^(b^c)`; multipliers of units lose digits."""
    model = cascade.compose(cascade.load_module("primary_tumor"))
    antimony.clearPreviousLoads()
    antimony.loadSBMLString(model.flat)
    plain = antimony.getAntimonyString("primary_tumor")
    antimony.clearPreviousLoads()
    assert "(vol_tumor/vol_one)^2 dimensionless^(1/6)" in plain and "1.66054e-24" in plain, "still needed"
    text = export(model, tmp_path / "m.ant").read_text()
    assert "((vol_tumor/vol_one)^2 dimensionless)^(1/6)" in text
    assert "unit cell = 1.66053906717e-24 mole;" in text
    assert 'diameter is "primary tumor diameter";' in text
    assert "substanceOnly species" in export(small("lesions"), tmp_path / "m.ant").read_text()


def small(name: str) -> cascade.Model:
    return cascade.compose(cascade.load_module(name))


@pytest.mark.parametrize(
    "name", ["microenvironment", "clone", *(pytest.param(n, marks=pytest.mark.slow) for n in ("lesions", "drivers"))]
)
def test_modules_go_through_antimony(tmp_path, name):
    """Units in multiples of particles, powers of powers, lesions, formulas of start values."""
    back = read_antimony(export(small(name), tmp_path / "m.ant").read_text(), name)
    prove_same(small(name).flat, back, name)


NUMBERS = st.floats(0.01, 100).map(lambda value: float(f"{value:.4g}"))
FORMULAS = st.recursive(
    st.sampled_from(["a", "b", "c"]) | NUMBERS.map(repr),
    lambda part: (
        st.tuples(part, st.sampled_from("+-*/^^"), part).map(lambda p: f"({p[0]} {p[1]} {p[2]})")
        | part.map(lambda p: f"(-{p})")
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(formula=FORMULAS)
def test_any_formula_survives_antimony_or_is_refused(formula):
    model = flat_model(("a", "b", "c"), formula)
    path = Path(__file__)  # only its name is used
    from cascade.export.antimony import _prepared, _text

    document = _prepared(model)
    back = read_antimony(_text(document, path.name), path.name)
    try:
        prove_same(libsbml.writeSBMLToString(document), back, "formula")
    except SBMLError as error:  # Antimony loses the parentheses of a negative number that is raised to a power
        assert re.search(r"\(-[\d.e+-]+\)\^", str(error)), error


def flat_model(names: tuple[str, ...], formula: str) -> cascade.Model:
    """Return a model with these constants and the variable `outcome`."""
    document = libsbml.SBMLDocument(3, 2)
    model = document.createModel()
    model.setId("small")
    for name in names:
        parameter = model.createParameter()
        assert parameter.setId(name) == libsbml.LIBSBML_OPERATION_SUCCESS
        parameter.setValue(1.5)
        parameter.setConstant(True)
        parameter.setUnits("dimensionless")
    outcome = model.createParameter()
    outcome.setId("outcome")
    outcome.setConstant(False)
    outcome.setUnits("dimensionless")
    rule = model.createAssignmentRule()
    rule.setVariable("outcome")
    math = libsbml.parseL3Formula(formula)
    assert math is not None, libsbml.getLastParseL3Error()
    rule.setMath(math)
    text = libsbml.writeSBMLToString(document)
    return cascade.Model(name="small", flat=text, parameters=(), ids={name: name for name in (*names, "outcome")})


def test_words_of_antimony_are_renamed_and_mapped(tmp_path):
    from cascade.names import id_map

    words = tuple(sorted(word for word in ANTIMONY if not is_word(word)))
    model = flat_model((*words, "at_"), "at_*2")
    text = read_antimony(export(model, tmp_path / "m.ant").read_text(), "words")
    document = libsbml.readSBMLFromString(text)
    found = {each.getId() for each in document.getModel().getListOfParameters()}
    table = id_map(model).set_index("flat")["antimony"]
    assert found == set(table)
    assert table["at"] == "at__" and table["at_"] == "at_" and table["outcome"] == "outcome"


def test_what_antimony_cannot_hold_is_refused(make_sbml, tmp_path):
    document = libsbml.readSBMLFromString(make_sbml("k = 2; x := k*2"))
    document.getModel().getParameter("k").setName("back\\slash")
    flat = libsbml.writeSBMLToString(document)
    with pytest.raises(SBMLError, match="name of parameter 'k'"):
        export(cascade.Model(name="small", flat=flat, parameters=(), ids={}), tmp_path / "m.ant")
    assert not list(tmp_path.iterdir())


def test_hierarchical_sbml_is_written_only_where_there_is_one(treated, tmp_path):
    folder = make_composition(tmp_path, {"down.c_in": "up.c_a"}, [number("up.k_lose", 0.7, "per_day")])
    model = cascade.compose(cascade.load_composition(folder))
    assert export(model, tmp_path / "c.xml", format="comp").read_text() == model.hierarchical
    assert export(model, tmp_path / "d.xml", comp=True).read_text() == model.hierarchical
    with pytest.raises(CascadeError, match="is a treated model"):
        export(treated, tmp_path / "c.xml", comp=True)


def test_antimony_still_drops_replacements_of_hierarchical_sbml(tmp_path):
    """Why Antimony is written from the flat model: if this fails, look again."""
    folder = make_composition(tmp_path, {"down.c_in": "up.c_a"})
    model = cascade.compose(cascade.load_composition(folder))
    antimony.clearPreviousLoads()
    assert antimony.loadSBMLString(model.hierarchical) >= 0
    flattened = antimony.getSBMLString("pair")
    antimony.clearPreviousLoads()
    assert libsbml.readSBMLFromString(flattened).getModel().getParameter("down_c_in").getConstant()
    assert " is up.c_a" not in flattened


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"path": "m.foo"}, CascadeError, "the suffix must be one of .xml"),
        ({"path": "m.ant", "format": "sbml"}, CascadeError, "must be .xml or .sbml"),
        ({"path": "m.xml", "format": "matlab"}, UnknownNameError, "no format 'matlab'"),
        ({"path": "m.ant", "comp": True, "format": "antimony"}, CascadeError, "give one of them"),
        ({"path": "m.xml", "version": "L1V2"}, CascadeError, "give one of L3V2, L3V1, L2V4"),
        ({"path": "m.ant", "version": "L3V1"}, CascadeError, "antimony has no versions"),
        ({"path": "folder", "version": "3"}, CascadeError, "give 1 or 2"),
        ({"path": "missing/m.xml"}, FileError, "does not exist; make it first"),
    ],
)
def test_what_does_not_fit_is_refused(treated, tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        export(treated, tmp_path / arguments.pop("path"), **arguments)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(treated, tmp_path, monkeypatch):
    old = export(small("emt"), tmp_path / "m.xml")
    before = old.read_bytes()

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(FileError, match="No space left on device; free some space"):
        export(treated, old)
    assert old.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["m.xml"]


def test_export_wants_a_model(tmp_path):
    with pytest.raises(CascadeError, match="give a Model"):
        export("breast", tmp_path / "m.xml")


def test_every_format_is_documented_with_what_is_proved_of_it():
    proof = export.__doc__.partition("Parameters\n")[0].partition("What is proved")[2]
    assert all(f"`{name}`" in proof for name in FORMATS)


def test_python_code_keeps_doses_and_numbers(treated, treated_signaling, tmp_path):
    pytest.importorskip("sbmlode")
    for model, days in ((treated, 120), (treated_signaling, 10)):
        path = export(model, tmp_path / f"{model.name}_code.py")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
        found = code.simulate(t_end=float(days), points=41, rtol=1e-9, atol=1e-12)
        expected = expected_run(model, days)
        for name, values in expected.items():
            assert np.allclose(found[name], values, rtol=1e-5, atol=1e-5 * float(np.abs(values).max()) + 1e-12), name


def test_names_stay_text_in_python_code(make_sbml, tmp_path):
    pytest.importorskip("sbmlode")
    document = libsbml.readSBMLFromString(make_sbml("x' = -k*x; x = 1; k = 2"))
    trap = '"""\nimport pathlib; pathlib.Path("trapped").touch()\n"""\\'
    document.getModel().setName(trap)
    document.getModel().getParameter("k").setName(trap + "'" * 3 + "\u2028raise SystemExit")
    model = cascade.Model(name="small", flat=libsbml.writeSBMLToString(document), parameters=(), ids={})
    path = export(model, tmp_path / "m.py")
    done = subprocess.run([sys.executable, str(path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "trapped").exists()


@pytest.mark.slow
def test_tellurium_gets_the_model_and_cascade_goes_on():
    """In a process of its own: tellurium brings libsedml, which takes over the types of libSBML."""
    code = """
import numpy as np, libsbml, cascade
from cascade.export.tellurium import to_tellurium
model = cascade.compose(cascade.load_module("wnt"))
treated = cascade.treat(model, cascade.inhibit("v_synthesize_axin1", 0.8, start=2, stop=5))
before = cascade.simulate(treated, days=10, points=21)
runner = to_tellurium(treated)
assert type(runner).__name__ == "ExtendedRoadRunner", type(runner)
runner.timeCourseSelections = ["time", "[c_axin]", "c_bcat"]
rows = np.array(runner.simulate(0, 10, 21))
assert np.allclose(rows[:, 1], before["c_axin"], rtol=1e-5), np.abs(rows[:, 1] / before["c_axin"].values - 1).max()
assert np.allclose(rows[:, 2], before["c_bcat"], rtol=1e-5)
assert isinstance(libsbml.readSBMLFromString(model.flat).getModel().getListOfSpecies(), libsbml.ListOfSpecies)
other = cascade.compose(cascade.load_module("emt"))
after = cascade.simulate(treated, days=10, points=21)
assert after.identical(before)
cascade.simulate(other, days=1, points=2)
to_tellurium(other)
import libsedml
document = libsedml.SedDocument(1, 4)
document.createUniformTimeCourse().setId("run")
assert type(document.getSimulation(0)) is libsedml.SedUniformTimeCourse
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_composition_goes_through_every_format(tmp_path):
    model = cascade.compose(cascade.load_composition("breast_lite"))
    drug = cascade.inhibit("emt.k_translate_snai1", 0.5, start=100, stop=900)
    treated = cascade.treat(model, drug)
    assert export(model, tmp_path / "c.xml", comp=True).is_file()
    for version in ("L3V1", "L2V4"):
        text = export(treated, tmp_path / f"{version}.xml", version=version).read_text()
        assert libsbml.readSBMLFromString(text).getModel().getNumEvents() == 4
    prove_same(treated.flat, read_antimony(export(treated, tmp_path / "m.ant").read_text(), "lite"), "lite")
