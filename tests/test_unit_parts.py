"""Units checked in parts: the findings of libSBML, in a time that grows with the size of the model."""

from __future__ import annotations

import random
import re

import libsbml
import pytest

import cascade
from cascade import _sbml
from cascade._parts import parts

UNITS = ("day", "nM", "per_day", "dimensionless")


@pytest.fixture(scope="module")
def flat() -> str:
    return cascade.compose(cascade.load_module("hypoxia_vegf")).flat


def findings(issues):
    return {(issue.severity, re.sub(r"line \d+", "", str(issue))) for issue in issues}


def at_once(document):
    document = libsbml.readSBMLFromString(libsbml.writeSBMLToString(document))
    document.checkConsistencyWithStrictUnits()
    return findings(_sbml._issues(document, "here"))


@pytest.mark.parametrize("seed", range(8))
def test_parts_find_what_the_whole_has(flat, seed):
    document = libsbml.readSBMLFromString(flat)
    parameters = list(document.getModel().getListOfParameters())
    for parameter in random.Random(seed).sample(parameters, 4):
        parameter.setUnits(random.Random(seed).choice(UNITS))
    assert findings(_sbml.check_document(document, "here")) == at_once(document)


def test_parts_hold_everything_once(flat):
    document = libsbml.readSBMLFromString(flat)
    model = document.getModel()
    held = list(parts(document))
    symbols = {symbol.getId() for part in held for symbol in part.symbols}
    assert symbols == {s.getId() for s in (*model.getListOfParameters(), *model.getListOfSpecies())} | {
        compartment.getId() for compartment in model.getListOfCompartments()
    }
    counted = model.getNumRules() + model.getNumReactions() + model.getNumEvents() + model.getNumInitialAssignments()
    assert sum(len(part.elements) for part in held) == counted


def test_a_wrong_unit_is_found_though_another_instance_was_clean(tmp_path):
    """What was clean once is skipped only if it comes again exactly."""
    module = cascade.load_module("wnt")
    composition = cascade.Composition(name="two", path=tmp_path, instances={"left": module, "right": module})
    document = libsbml.readSBMLFromString(cascade.compose(composition).flat)
    assert _sbml.check_document(document, "two") == []
    rates = (
        p for p in document.getModel().getListOfParameters() if p.getUnits() == "per_day" and "right__" in p.getId()
    )
    next(rates).setUnits("day")
    found = _sbml.check_document(document, "two")
    assert found and all(issue.severity == "error" for issue in found)
