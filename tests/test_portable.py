"""The portable profile: every shipped model meets it, and what breaks it is named, with the tools that suffer."""

from __future__ import annotations

import json

import libsbml
import pytest
from folders import make_composition
from test_cli import run

import cascade
from cascade._profile import LIMITS
from cascade.errors import SBMLError
from cascade.portable import check_portable, portable_profile

COMMON = "x = 1; k = 2; x' = -k*x; "

BREAKS = {
    "event delay": (COMMON + "E: at 2 after time > 3, t0=false: k = 1", "event 'E'", "AMICI"),
    "event priority": (COMMON + "E: at time > 3, t0=false, priority=2: k = 1", "event 'E'", "SBMLImporter.jl"),
    "compound trigger": (COMMON + "E: at (time > 3 && x > 0), t0=false: k = 1", "event 'E'", "AMICI"),
    "trigger of equality": (COMMON + "E: at time == 3, t0=false: k = 1", "event 'E'", "every solver"),
    "trigger that holds before time 0": (COMMON + "E: at time >= 3: k = 1", "event 'E'", "libRoadRunner"),
    "trigger that may hold at time 0": (COMMON + "E: at time >= 0, t0=false: k = 1", "event 'E'", "SimBiology"),
    "trigger that is not persistent": (
        COMMON + "E: at time >= 3, t0=false, persistent=false: k = 1",
        "event 'E'",
        "AMICI",
    ),
    "delay()": (COMMON + "y := delay(x, 2)", "the rule of 'y'", "COPASI"),
    "piecewise": (COMMON + "y := piecewise(1, time < 3, 0)", "the rule of 'y'", "COPASI"),
    "comparison outside a trigger": (COMMON + "y := (time < 3)*k", "the rule of 'y'", "truth value"),
    "mathematics of L3V2": (COMMON + "y := max(x, k)", "the rule of 'y'", "max"),
    "function that calls functions": (
        "{FUNCTIONS}" + COMMON + "y := outer(x)",
        "function 'outer'",
        "AMICI issues 1997",
    ),
    "algebraic rule": ("{ALGEBRAIC}" + COMMON, "model", "COPASI"),
    "fast reaction": ("{FAST}" + COMMON, "reaction 'J'", "AMICI"),
    "conversionFactor": ("{FACTOR}" + COMMON, "species 'S'", "COPASI"),
    "computed stoichiometry": ("{STOICHIOMETRY}" + COMMON, "reaction 'J'", "COPASI"),
    "reaction as a number in a rate": (
        COMMON + "compartment c = 1; species S in c; S = 1; J: S -> ; k*S; K: S -> ; J*2",
        "the rate of 'K'",
        "AMICI",
    ),
    "local parameter that hides another": ("{LOCAL}" + COMMON, "reaction 'J'", "Antimony"),
    "missing value": (COMMON + "y := k*z", "parameter 'z'", "libRoadRunner"),
    "missing unit": (COMMON, "parameter 'k'", "guess"),
    "amounts in a compartment not of size 1": (
        COMMON + "compartment c = 2; substanceOnly species S in c; S = 1; J: S -> ; k*S",
        "species 'S'",
        "COPASI",
    ),
    "start in another quantity": ("{AMOUNT}" + COMMON, "species 'S'", "SBMLImporter.jl"),
    "id that is a word of a tool": (COMMON + "null = 3", "id 'null'", "SimBiology"),
    "long id": (COMMON + "a" * 64 + " = 3", "a" * 64, "MATLAB"),
    "ids that differ in case only": (COMMON + "K = 3", "id", "XPPAUT"),
    "id that begins with _": (COMMON + "_a = 3", "id '_a'", "MATLAB"),
    "comparison of more than two": (COMMON + "y := (1 < k < 3)*k", "the rule of 'y'", "SBMLImporter.jl"),
    "submodels (comp)": ("{COMP}", "model", "SimBiology"),
    "another required package": ("{PACKAGE}", "model", "refuse"),
}
CELL = "compartment c = 2; species S in c; S = 1; J: S -> ; k*S; "


def edited(make_sbml, text: str, folder) -> str:
    """Return the SBML of a case; what Antimony cannot say is written with libSBML."""
    kind, _, rest = text.rpartition("}")
    kind = kind.strip("{")
    if kind == "COMP":
        return cascade.compose(cascade.load_composition(make_composition(folder, {"down.c_in": "up.c_a"}))).hierarchical
    if kind == "PACKAGE":
        return _PACKAGE
    cell = CELL if kind in ("FAST", "FACTOR", "STOICHIOMETRY", "LOCAL", "AMOUNT") else ""
    functions = "" if kind != "FUNCTIONS" else "y = 1; "
    if kind == "FUNCTIONS":
        rest = rest.replace("y := outer(x)", "z := x")
    document = libsbml.readSBMLFromString(make_sbml(cell + functions + rest))
    model = document.getModel()
    if kind in _EDITS:
        _EDITS[kind](model)
    written = libsbml.writeSBMLToString(document)
    if kind == "FAST":
        written = written.replace("level3/version2", "level3/version1").replace(
            'level="3" version="2"', 'level="3" version="1"'
        )
        written = written.replace('<reaction id="J"', '<reaction fast="true" id="J"')
    return written


def _algebraic(model):
    y = model.createParameter()
    y.setId("y")
    y.setConstant(False)
    model.createAlgebraicRule().setMath(libsbml.parseL3Formula("y - 2*k"))


def _functions(model):
    for name, formula in (("inner", "lambda(a, a*2)"), ("outer", "lambda(a, inner(a) + 1)")):
        function = model.createFunctionDefinition()
        function.setId(name)
        function.setMath(libsbml.parseL3Formula(formula))


def _stoichiometry(model):
    side = model.getReaction("J").getReactant(0)
    side.setId("n_s")
    side.setConstant(False)
    rule = model.createAssignmentRule()
    rule.setVariable("n_s")
    rule.setMath(libsbml.parseL3Formula("k"))


def _local(model):
    local = model.getReaction("J").getKineticLaw().createLocalParameter()
    local.setId("k")
    local.setValue(3)


def _amount(model):
    model.getSpecies("S").unsetInitialConcentration()
    model.getSpecies("S").setInitialAmount(3)


_EDITS = {
    "ALGEBRAIC": _algebraic,
    "FUNCTIONS": _functions,
    "STOICHIOMETRY": _stoichiometry,
    "LOCAL": _local,
    "AMOUNT": _amount,
    "FACTOR": lambda model: model.getSpecies("S").setConversionFactor("k"),
}
_PACKAGE = """<?xml version="1.0" encoding="UTF-8"?>
<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"
 xmlns:distrib="http://www.sbml.org/sbml/level3/version1/distrib/version1" distrib:required="true">
<model id="m"/></sbml>"""


@pytest.mark.parametrize("feature", BREAKS)
def test_what_breaks_the_profile_is_named(make_sbml, tmp_path, feature):
    text, where, tool = BREAKS[feature]
    issues = check_portable(edited(make_sbml, text, tmp_path))
    found = [issue for issue in issues if issue.what.startswith(feature) and where in issue.where]
    assert found, [str(issue) for issue in issues]
    assert tool in found[0].what or tool in LIMITS[feature].source
    assert found[0].fix == LIMITS[feature].fix and found[0].severity == LIMITS[feature].severity


def test_every_feature_of_the_profile_has_a_case_and_a_source():
    assert set(BREAKS) == set(LIMITS)
    table = portable_profile()
    assert len(table) == len(LIMITS) and (table[["tools", "source", "fix"]] != "").all().all()


@pytest.mark.parametrize("name", cascade.module_names())
def test_every_module_is_portable(name):
    assert check_portable(cascade.compose(cascade.load_module(name))) == ()


def test_a_treated_model_is_portable():
    model = cascade.compose(cascade.load_module("primary_tumor"))
    drugs = [cascade.inhibit("k_growth_rate", 0.5, start=30, stop=90), cascade.inhibit("k_secrete_vesicle", 0.9)]
    adjuvant = cascade.inhibit("k_clear_vesicle", 0.5, start=0, stop=60, origin="t_surgery")
    assert check_portable(cascade.treat(model, *drugs, adjuvant)) == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", cascade.composition_names())
def test_every_composition_is_portable(name):
    assert check_portable(cascade.compose(cascade.load_composition(name))) == ()


def test_nothing_but_sbml_is_judged():
    with pytest.raises(SBMLError, match="not well-formed"):
        check_portable("model")
    with pytest.raises(SBMLError, match="give a Model or SBML text"):
        check_portable(3)


def test_the_command_names_what_breaks_it(make_sbml, tmp_path):
    (tmp_path / "bad.xml").write_text(make_sbml(BREAKS["event delay"][0]))
    failed = run("check", "bad.xml", "--portable", "--json", folder=tmp_path)
    assert failed.returncode == 1, failed.stderr
    found = json.loads(failed.stdout)
    assert any(issue["what"].startswith("event delay") for issue in found["issues"])
    passed = run("check", "emt", "--portable")
    assert passed.returncode == 0 and passed.stdout == "emt: portable\n"
