"""What a reader of a stranger's model should know, though nothing of it is an error of SBML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libsbml

from cascade import _sbml
from cascade._parts import parts
from cascade.errors import SBMLError
from cascade.specs import Issue

MAX_ISSUES = 100


def losses(document: libsbml.SBMLDocument, where: str) -> Iterator[Issue]:
    """Yield what a rate law of an old level says and level 3 cannot."""
    for reaction in document.getModel().getListOfReactions() if document.getLevel() < 3 else ():
        law = reaction.getKineticLaw()
        if law is not None and (law.isSetTimeUnits() or law.isSetSubstanceUnits()):
            what = f"reaction {reaction.getId()!r} has units of its own in its rate law, which level 3 does not have"
            yield Issue(severity="warning", where=where, what=what, fix="look whether they are those of the model")


def lacks(model: libsbml.Model, where: str) -> Iterator[Issue]:
    """Yield what is legal SBML but cannot be simulated by every engine, or not at all."""

    def issue(severity: Any, what: str, fix: str) -> Issue:
        return Issue(severity=severity, where=where, what=what, fix=fix)

    for rule in model.getListOfRules():
        if rule.isAlgebraic():
            yield issue("error", "has an algebraic rule, which libRoadRunner cannot solve", "solve it for a symbol")
            break
    for reaction in model.getListOfReactions():
        if reaction.getFast():
            yield issue(
                "error",
                f"reaction {reaction.getId()!r} is fast, which libRoadRunner cannot solve",
                "give it a rate, or put its equilibrium into a rule",
            )
    if any(_delays(element) for element in model.getListOfAllElements()):
        yield issue("error", "uses delay(), which libRoadRunner cannot solve", "use a chain of states or an event")
    for name in _without_value(model):
        yield issue("warning", f"{name} has no value", "give it one before you simulate")


def _delays(element: libsbml.SBase) -> bool:
    math = element.getMath() if getattr(element, "isSetMath", bool)() else None
    todo = [math] if math is not None else []
    while todo:
        node = todo.pop()
        if node.getType() == libsbml.AST_FUNCTION_DELAY:
            return True
        todo += [node.getChild(index) for index in range(node.getNumChildren())]
    return False


def _without_value(model: libsbml.Model) -> Iterator[str]:
    given = {each.getSymbol() for each in model.getListOfInitialAssignments()}
    given |= {rule.getVariable() for rule in model.getListOfRules() if rule.isAssignment()}
    for each in model.getListOfParameters():
        if not each.isSetValue() and each.getId() not in given:
            yield f"parameter {each.getId()!r}"
    for each in model.getListOfSpecies():
        if not (each.isSetInitialAmount() or each.isSetInitialConcentration()) and each.getId() not in given:
            yield f"species {each.getId()!r}"
    for each in model.getListOfCompartments():
        if not each.isSetSize() and each.getId() not in given and each.getSpatialDimensions():
            yield f"compartment {each.getId()!r}"


def unit_issues(document: libsbml.SBMLDocument, where: str) -> Iterator[Issue]:
    """Yield what libSBML finds odd about units; the document in parts, which takes less time."""
    try:
        for part in parts(document):
            small = part.document
            for category in _sbml._CATEGORIES_BUT_UNITS:
                small.setConsistencyChecks(category, False)
            small.checkConsistency()
            yield from (
                Issue(severity="warning", where=where, what=issue.what) for issue in _sbml._issues(small, where)
            )
    except SBMLError as error:
        yield Issue(severity="warning", where=where, what=f"its units were not checked: {error}")


def fewer(issues: list[Issue], where: str) -> list[Issue]:
    """Return the first finding of each kind of libSBML with how many there are, and everything else."""
    found: dict[str, list[Issue]] = {}
    for issue in dict.fromkeys(issues):
        kind = issue.what.partition("]")[0] if issue.what.startswith("[libSBML") else str(issue)
        found.setdefault(kind, []).append(issue)
    kept = []
    for alike in found.values():
        first = alike[0]
        more = f" (and {len(alike) - 1} findings more of this kind)" if len(alike) > 1 else ""
        kept.append(Issue(severity=first.severity, where=first.where, what=first.what + more, fix=first.fix))
    kept.sort(key=lambda issue: issue.severity)
    if len(kept) > MAX_ISSUES:
        what = f"{len(kept) - MAX_ISSUES} findings more"
        kept = [*kept[:MAX_ISSUES], Issue(severity="warning", where=where, what=what)]
    return kept
