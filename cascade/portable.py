"""Finds what keeps a model from meaning the same in every tool: the portable profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import libsbml

from cascade import _sbml
from cascade._at_start import true_at_start
from cascade._formulas import formulas, ids_of, nodes, references, with_math
from cascade._profile import LIMITS, MAX_ID
from cascade._reserved import keepers
from cascade.errors import SBMLError
from cascade.specs import Issue, Model

if TYPE_CHECKING:
    import pandas as pd

Finding = tuple[str, str, str]
"""Feature of the profile, where, and what was found there (empty if the feature says it)."""

Walked = list[tuple[str, list[libsbml.ASTNode]]]
"""What a formula belongs to, and its nodes."""


def check_portable(model_or_text: Model | str) -> tuple[Issue, ...]:
    """Name everything in a model that other tools refuse, ignore or compute wrongly.

    Parameters
    ----------
    model_or_text : Model or str
        A model, of which the flat SBML is judged, or SBML text.

    Returns
    -------
    tuple of Issue
        Nothing for a portable model. `error`: some tool refuses it or gets other numbers; `warning`: units or names
        suffer. Each finding names the tools; `portable_profile` says where their limits are known from.

    Raises
    ------
    SBMLError
        If the text is no SBML.
    """
    if not isinstance(model_or_text, Model | str):
        raise SBMLError(f"check_portable() was given {type(model_or_text).__name__}; give a Model or SBML text")
    text = model_or_text.flat if isinstance(model_or_text, Model) else model_or_text
    name = model_or_text.name if isinstance(model_or_text, Model) else "model"
    document = _sbml.read_document(text, name)
    model = document.getModel()
    # walking over formulas is what takes time
    walked = [(where, list(nodes(math))) for where, math in formulas(model)]
    found = [*_packages(document), *_structure(model), *_events(model, text), *_mathematics(model, walked)]
    found += [*_values(model), *_units(model, walked), *_identifiers(model)]
    issues = [_issue(name, *finding) for finding in dict.fromkeys(found)]
    return tuple(sorted(issues, key=lambda issue: issue.severity))


def portable_profile() -> pd.DataFrame:
    """Return the portable profile as a table: feature, severity, tools, source, fix."""
    from dataclasses import asdict

    import pandas as pd

    return pd.DataFrame([asdict(limit) for limit in LIMITS.values()])


def _issue(name: str, feature: str, where: str, what: str) -> Issue:
    limit = LIMITS[feature]
    return Issue(
        severity=limit.severity,
        where=f"{name}: {where}",
        what=f"{feature}{f' ({what})' if what else ''}: {limit.tools}",
        fix=limit.fix,
    )


def _packages(document: libsbml.SBMLDocument) -> Iterator[Finding]:
    model = document.getModel()
    comp = model.getPlugin("comp")
    if comp is not None and comp.getNumSubmodels():
        yield "submodels (comp)", "model", f"{comp.getNumSubmodels()} submodels"
    for index in range(document.getNumPlugins()):
        package = document.getPlugin(index).getPackageName()
        if package not in ("comp", "core", "l3v2extendedmath") and document.getPackageRequired(package):
            yield "another required package", "model", package


def _events(model: libsbml.Model, text: str) -> Iterator[Finding]:
    for event in model.getListOfEvents():
        where, trigger = f"event {event.getId()!r}", event.getTrigger()
        if event.isSetDelay():
            yield "event delay", where, ""
        if event.isSetPriority():
            yield "event priority", where, ""
        if trigger is None or not trigger.isSetMath():
            continue
        if not trigger.getPersistent():
            yield "trigger that is not persistent", where, ""
        yield from _trigger(trigger, where, text)


def _trigger(trigger: libsbml.Trigger, where: str, text: str) -> Iterator[Finding]:
    math = trigger.getMath()
    shown = libsbml.formulaToL3String(math)
    if any(node.isLogical() for node in nodes(math)) or sum(node.isRelational() for node in nodes(math)) > 1:
        yield "compound trigger", where, shown
    if any(node.getType() in _EQUALITIES for node in nodes(math)):
        yield "trigger of equality", where, shown
    if model_level(trigger) >= 3 and trigger.getInitialValue():
        yield "trigger that holds before time 0", where, shown
    elif true_at_start(text, math) is True:
        yield "trigger that may hold at time 0", where, shown


def model_level(element: libsbml.SBase) -> int:
    """Return the SBML level of an element."""
    return int(element.getLevel())


_COMPARISONS = {
    libsbml.AST_RELATIONAL_EQ,
    libsbml.AST_RELATIONAL_GEQ,
    libsbml.AST_RELATIONAL_GT,
    libsbml.AST_RELATIONAL_LEQ,
    libsbml.AST_RELATIONAL_LT,
    libsbml.AST_RELATIONAL_NEQ,
}
_EQUALITIES = (libsbml.AST_RELATIONAL_EQ, libsbml.AST_RELATIONAL_NEQ)
_NEW = {
    libsbml.AST_FUNCTION_MAX: "max",
    libsbml.AST_FUNCTION_MIN: "min",
    libsbml.AST_FUNCTION_RATE_OF: "rateOf",
    libsbml.AST_FUNCTION_QUOTIENT: "quotient",
    libsbml.AST_FUNCTION_REM: "rem",
    libsbml.AST_LOGICAL_IMPLIES: "implies",
}


def _mathematics(model: libsbml.Model, walked: Walked) -> Iterator[Finding]:
    reactions = {reaction.getId() for reaction in model.getListOfReactions()}
    for where, parts in walked:
        kinds = {node.getType() for node in parts}
        if libsbml.AST_FUNCTION_DELAY in kinds:
            yield "delay()", where, ""
        if libsbml.AST_FUNCTION_PIECEWISE in kinds:
            yield "piecewise", where, ""
        elif kinds & _COMPARISONS and not where.startswith("the trigger"):
            yield "comparison outside a trigger", where, ""
        if kinds & _COMPARISONS and any(node.isRelational() and node.getNumChildren() > 2 for node in parts):
            yield "comparison of more than two", where, ""
        if kinds & _NEW.keys():
            yield "mathematics of L3V2", where, ", ".join(sorted(_NEW[kind] for kind in kinds & _NEW.keys()))
        if where.startswith("the rate of"):
            used = {node.getName() for node in parts if node.getType() == libsbml.AST_NAME} & reactions
            if used:
                yield "reaction as a number in a rate", where, ", ".join(sorted(used))
    for where, element in with_math(model):
        if not element.isSetMath():
            yield "mathematics of L3V2", where, "no formula"


def _structure(model: libsbml.Model) -> Iterator[Finding]:
    for rule in model.getListOfRules():
        if rule.isAlgebraic():
            yield "algebraic rule", "model", libsbml.formulaToL3String(rule.getMath()) if rule.isSetMath() else ""
    if model.isSetConversionFactor():
        yield "conversionFactor", "model", ""
    for species in model.getListOfSpecies():
        if species.isSetConversionFactor():
            yield "conversionFactor", f"species {species.getId()!r}", ""
    everywhere = {each.getId() for each in (*model.getListOfParameters(), *model.getListOfSpecies())}
    varied = _varied(model)
    for reaction in model.getListOfReactions():
        where = f"reaction {reaction.getId()!r}"
        if reaction.isSetFast() and reaction.getFast():
            yield "fast reaction", where, ""
        for side in references(reaction):
            if side.isSetStoichiometryMath() or (side.isSetId() and side.getId() in varied):
                yield "computed stoichiometry", where, side.getSpecies()
        law = reaction.getKineticLaw()
        local = () if law is None else (*law.getListOfLocalParameters(), *law.getListOfParameters())
        for name in sorted({each.getId() for each in local} & everywhere):
            yield "local parameter that hides another", where, name
    functions = {function.getId() for function in model.getListOfFunctionDefinitions()}
    for function in model.getListOfFunctionDefinitions():
        called = {node.getName() for node in nodes(function.getMath())} & functions if function.isSetMath() else set()
        if called:
            yield "function that calls functions", f"function {function.getId()!r}", ", ".join(sorted(called))


def _varied(model: libsbml.Model) -> set[str]:
    varied = {rule.getVariable() for rule in model.getListOfRules()}
    varied |= {start.getSymbol() for start in model.getListOfInitialAssignments()}
    return varied | {
        each.getVariable() for event in model.getListOfEvents() for each in event.getListOfEventAssignments()
    }


def _values(model: libsbml.Model) -> Iterator[Finding]:
    computed = {rule.getVariable() for rule in model.getListOfRules() if rule.isAssignment()}
    computed |= {start.getSymbol() for start in model.getListOfInitialAssignments()}
    for each in model.getListOfCompartments():
        if not each.isSetSize() and each.getId() not in computed:
            yield "missing value", f"compartment {each.getId()!r}", "size"
    for each in model.getListOfParameters():
        if not each.isSetValue() and each.getId() not in computed:
            yield "missing value", f"parameter {each.getId()!r}", ""
    for each in model.getListOfSpecies():
        where = f"species {each.getId()!r}"
        if not (each.isSetInitialAmount() or each.isSetInitialConcentration()) and each.getId() not in computed:
            yield "missing value", where, "start"
        size = model.getCompartment(each.getCompartment())
        if size is not None and size.isSetSize() and size.getSize() == 1 and size.getId() not in computed:
            continue
        amount = each.getHasOnlySubstanceUnits()
        if amount:
            yield "amounts in a compartment not of size 1", where, each.getCompartment()
        if each.getId() not in computed and (
            each.isSetInitialAmount() if not amount else each.isSetInitialConcentration()
        ):
            yield "start in another quantity", where, ""


def _units(model: libsbml.Model, walked: Walked) -> Iterator[Finding]:
    if model_level(model) >= 3:
        for kind in ("Time", "Substance", "Extent"):
            if not getattr(model, f"isSet{kind}Units")():
                yield "missing unit", "model", kind.lower()
    defaults = {"species": model.isSetSubstanceUnits(), "compartment": model.isSetVolumeUnits()}
    old = model_level(model) < 3
    for each in model.getListOfCompartments():
        if not (each.isSetUnits() or defaults["compartment"] or old):
            yield "missing unit", f"compartment {each.getId()!r}", ""
    for each in model.getListOfSpecies():
        if not (each.isSetSubstanceUnits() or defaults["species"] or old):
            yield "missing unit", f"species {each.getId()!r}", ""
    for each in model.getListOfParameters():
        if not each.isSetUnits():
            yield "missing unit", f"parameter {each.getId()!r}", ""
    if not old:
        for where, parts in walked:
            if any(node.isNumber() and not node.isSetUnits() for node in parts):
                yield "missing unit", where, "a number"


def _identifiers(model: libsbml.Model) -> Iterator[Finding]:
    names = list(dict.fromkeys(_ids(model)))
    for name in names:
        where = f"id {name!r}"
        tools = keepers(name)
        if tools:
            yield "id that is a word of a tool", where, ", ".join(tools)
        if len(name) > MAX_ID:
            yield "long id", where, f"{len(name)} characters"
        if name.startswith("_"):
            yield "id that begins with _", where, ""
    lower: dict[str, str] = {}
    for name in names:
        other = lower.setdefault(name.lower(), name)
        if other != name:
            yield "ids that differ in case only", f"id {name!r}", other


def _ids(model: libsbml.Model) -> Iterator[str]:
    yield from ids_of(model)
    for reaction in model.getListOfReactions():
        yield from (side.getId() for side in references(reaction) if side.isSetId())
