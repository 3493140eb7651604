"""Compact SBML: the same numbers in plain libRoadRunner, also when a constant is changed there."""

from __future__ import annotations

import libsbml
import numpy as np
import pytest

import cascade
from cascade.engine import load_roadrunner
from cascade.errors import CascadeError, UnknownNameError
from cascade.export.compact import compact, is_large
from cascade.specs import Model

PRECISE = cascade.Solver(relative_tolerance=1e-8)


def checked(text: str) -> libsbml.SBMLDocument:
    document = libsbml.readSBMLFromString(text)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, False)
    document.checkConsistency()
    assert not document.getNumErrors(libsbml.LIBSBML_SEV_ERROR), document.getErrorLog().toString()
    return document


def compare(model: Model, text: str, days: float, changed: dict[str, float], tolerance: float) -> set[str]:
    """Compare every variable of a text, run by plain libRoadRunner, with the model; return which they were."""
    runner = load_roadrunner().RoadRunner(text)
    for name, value in changed.items():
        runner.setValue(name, value)
    runner.reset()
    sbml = checked(text).getModel()
    expected = cascade.simulate(model, days=days, points=51, solver=PRECISE, values=changed)
    selections = {}
    for name in expected.data_vars:
        species = sbml.getSpecies(name)
        if species is not None:
            selections[name] = name if species.getHasOnlySubstanceUnits() else f"[{name}]"
        elif sbml.getParameter(name) is not None:
            selections[name] = name
    runner.timeCourseSelections = ["time", *selections.values()]
    runner.integrator.setValue("relative_tolerance", 1e-8)
    runner.integrator.setValue("absolute_tolerance", 1e-12)
    found = np.array(runner.simulate(0, days, 51))
    for column, name in enumerate(selections, start=1):
        values = expected[name].values
        scale = max(np.abs(values).max(), 1e-9)
        assert np.abs(found[:, column] - values).max() / scale < tolerance, name
    return set(selections)


@pytest.fixture(scope="module")
def emt() -> Model:
    return cascade.compose(cascade.load_module("emt"))


def test_a_small_model_keeps_what_is_asked_and_its_constants_stay_live(emt: Model) -> None:
    text = compact(emt, ["a_emt"])
    document = checked(text)
    assert {row.id for row in emt.parameters} <= {p.getId() for p in document.getModel().getListOfParameters()}
    names = compare(emt, text, 30, {}, 1e-6)
    assert "a_emt" in names and {s.getId() for s in document.getModel().getListOfSpecies()} <= names
    compare(emt, text, 30, {"a_drive_basal": 1.7 * emt.parameter("a_drive_basal").nominal}, 1e-6)


def test_doses_stay_in_the_compact_form() -> None:
    module = cascade.compose(cascade.load_module("primary_tumor"))
    treated = cascade.treat(module, cascade.inhibit("k_growth_rate", by=0.5, start=200, stop=900))
    text = compact(treated, ["n_tumor"])
    assert checked(text).getModel().getNumEvents() == libsbml.readSBMLFromString(treated.flat).getModel().getNumEvents()
    assert "n_tumor" in compare(treated, text, 4000, {}, 1e-5)


def test_what_cannot_be_is_refused(emt: Model, make_model) -> None:
    with pytest.raises(UnknownNameError, match="no symbol 'a_nothing'"):
        compact(emt, ["a_nothing"])
    with pytest.raises(CascadeError, match="delays events; it cannot be made compact"):
        compact(make_model("x = 1; x' = -x; E: at 2 after time >= 1, t0=false: x = 2"))
    with pytest.raises(CascadeError, match="compact is a form of flat SBML L3V2; found antimony"):
        cascade.export(emt, "emt.ant", compact=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["breast_lite", "breast"])
def test_a_composition_compiles_in_seconds_and_keeps_its_numbers(name: str) -> None:
    model = cascade.compose(cascade.load_composition(name))
    drug = cascade.inhibit("tgf_beta.k_phosphorylate", by=0.8, origin="primary_tumor.t_surgery")
    treated = cascade.treat(model, drug)
    assert is_large(model)
    text = compact(treated)
    breach = "invasion__k_breach"
    names = compare(treated, text, 25 * 365.25, {breach: 1.3 * treated.table[breach].nominal}, 1e-4)
    assert {"endpoints__h_since_surgery", "primary_tumor__t_surgery"} <= names
    checked_model = checked(text).getModel()
    assert {row.id for row in treated.parameters} <= {p.getId() for p in checked_model.getListOfParameters()}
