"""What a file lost of the model that it was exported from, told without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from cascade import _sbml
from cascade.specs import Issue

KINDS = {
    "compartment": "getListOfCompartments",
    "species": "getListOfSpecies",
    "parameter": "getListOfParameters",
    "reaction": "getListOfReactions",
    "event": "getListOfEvents",
}


def differences(own: str, text: str, where: str) -> list[Issue]:
    """Return what the model has and the file has not: elements, units, values of what both have."""
    mine = _sbml.read_document(own, "model").getModel()
    theirs = _sbml.read_document(text, where).getModel()
    return [
        Issue(severity="error", where=where, what=what, fix="export the model again; this file is not the model")
        for what in _lost(mine, theirs)
    ]


def _lost(mine: Any, theirs: Any) -> Iterator[str]:
    if mine.getTimeUnits() != theirs.getTimeUnits():
        yield f"time is in {mine.getTimeUnits()} in the model, and in {theirs.getTimeUnits() or 'no unit'} in the file"
    for kind, listed in KINDS.items():
        here = {each.getId(): each for each in getattr(mine, listed)() if each.getId()}
        there = {each.getId(): each for each in getattr(theirs, listed)() if each.getId()}
        for name in sorted(here.keys() - there.keys()):
            yield f"{kind} {name!r} of the model is not in the file"
        for name in sorted(here.keys() & there.keys()):
            for what, own, other in _facts(kind, here[name], there[name]):
                yield f"{kind} {name!r}: {what} is {own} in the model, and {other} in the file"


def _facts(kind: str, mine: Any, theirs: Any) -> Iterator[tuple[str, object, object]]:
    """Yield what is written of one element and differs."""
    if kind in ("compartment", "parameter") and mine.getUnits() != theirs.getUnits():
        yield "its unit", mine.getUnits(), theirs.getUnits() or "not given"
    if kind == "species" and mine.getHasOnlySubstanceUnits() != theirs.getHasOnlySubstanceUnits():
        meaning = {True: "an amount", False: "a concentration"}
        yield "it", meaning[mine.getHasOnlySubstanceUnits()], meaning[theirs.getHasOnlySubstanceUnits()]
    own, other = _value(kind, mine), _value(kind, theirs)
    # libSBML writes 15 digits
    if own is not None and other is not None and not math.isclose(own, other, rel_tol=1e-12):
        yield "its value", f"{own:.15g}", f"{other:.15g}"


def _value(kind: str, element: Any) -> float | None:
    """Return the value that is stored in an element, unless a formula stands for it."""
    model = element.getModel()
    if model.getInitialAssignmentBySymbol(element.getId()) or model.getAssignmentRuleByVariable(element.getId()):
        return None
    if kind == "parameter" and element.isSetValue():
        return float(element.getValue())
    if kind == "compartment" and element.isSetSize():
        return float(element.getSize())
    return None
