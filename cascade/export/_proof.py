"""Compares what was written with what was meant: every element, every formula, every start value and rate at t = 0."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import libsbml

from cascade import _sbml
from cascade._at_start import at_start
from cascade.errors import SBMLError

DIGITS = 1e-13
"""Numbers may differ by this share: SBML and Antimony texts hold 15 digits."""

Facts = Mapping[tuple[str, str], Mapping[str, Any]]

_RULES = {
    libsbml.SBML_ASSIGNMENT_RULE: "assignment",
    libsbml.SBML_RATE_RULE: "rate",
    libsbml.SBML_ALGEBRAIC_RULE: "0 =",
}


def prove_same(expected: str, written: str, where: str, *, lost: tuple[str, ...] = ()) -> None:
    """Raise unless two SBML texts mean the same.

    Parameters
    ----------
    expected, written : str
        Flat SBML: what was meant, and what another reader makes of the file.
    where : str
        Named in the message.
    lost : tuple of str
        Facts that the format cannot hold and that change no number, such as `literal units`.

    Raises
    ------
    SBMLError
        With what differs, element by element.
    """
    ours, theirs = (_sbml.read_document(text, where).getModel() for text in (expected, written))
    problems = list(_differences(_facts(ours), _facts(theirs), lost))
    if not problems:
        problems = list(_number_differences(at_start(expected), at_start(written)))
    if problems:
        shown = "\n  ".join(problems[:10])
        more = f"\n  and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise SBMLError(
            f"{where}: not written, since the file would say something else than the model:\n  {shown}{more}\n"
            "write SBML L3V2 instead, which holds everything"
        )


def _differences(ours: Facts, theirs: Facts, lost: tuple[str, ...]) -> Iterator[str]:
    for key in ours.keys() | theirs.keys():
        kind, name = key
        if key not in theirs:
            yield f"{kind} {name!r} is lost"
        elif key not in ours and kind != "unit":  # a unit that nothing uses changes nothing
            yield f"{kind} {name!r} is new"
        elif key in ours:
            for what, value in ours[key].items():
                if what not in lost and not _same(value, theirs[key].get(what)):
                    yield f"{what} of {kind} {name!r} is {value!r} and would become {theirs[key].get(what)!r}"


def _number_differences(ours: Mapping[str, float], theirs: Mapping[str, float]) -> Iterator[str]:
    for name, value in ours.items():
        other = theirs.get(name, math.nan)
        # cancellation in a rate can cost digits, a wrong formula costs them all
        if not (math.isclose(value, other, rel_tol=1e-9) or (math.isnan(value) and math.isnan(other))):
            yield f"{name} at time 0 is {value!r} and would become {other!r}"


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return (math.isnan(first) and math.isnan(second)) or math.isclose(first, second, rel_tol=DIGITS)
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(_same(a, b) for a, b in zip(first, second, strict=True))
    return bool(first == second)


def _facts(model: libsbml.Model) -> Facts:
    found: dict[tuple[str, str], dict[str, Any]] = {("model", ""): _model_facts(model)}
    for kind, elements, facts in (
        ("unit", model.getListOfUnitDefinitions(), _unit_facts),
        ("compartment", model.getListOfCompartments(), _compartment_facts),
        ("species", model.getListOfSpecies(), _species_facts),
        ("parameter", model.getListOfParameters(), _parameter_facts),
        ("reaction", model.getListOfReactions(), _reaction_facts),
        ("event", model.getListOfEvents(), _event_facts),
        ("function", model.getListOfFunctionDefinitions(), lambda each: {"formula": formula(each)}),
    ):
        for element in elements:
            found[kind, element.getId()] = facts(element)
    _forget_unused_starts(model, found)
    for rule in model.getListOfRules():
        found["rule", rule.getVariable()] = {"formula": formula(rule), "kind": _RULES.get(rule.getTypeCode(), "")}
    for start in model.getListOfInitialAssignments():
        found["start value", start.getSymbol()] = {"formula": formula(start)}
    # builtin units of Level 2 and Antimony stand for the units of the model
    return {key: value for key, value in found.items() if key[0] != "unit" or key[1] not in BUILTIN}


BUILTIN = ("substance", "volume", "area", "length", "time", "extent", "time_unit")


def _forget_unused_starts(model: libsbml.Model, found: dict[tuple[str, str], dict[str, Any]]) -> None:
    """Leave out numbers that a rule or a formula of a start value overrules."""
    computed = {rule.getVariable() for rule in model.getListOfRules() if rule.isAssignment()}
    computed |= {start.getSymbol() for start in model.getListOfInitialAssignments()}
    for (_, name), facts in found.items():
        if name in computed:
            for what in ("value", "size", "initial amount", "initial concentration"):
                facts.pop(what, None)


def _named(element: libsbml.SBase) -> dict[str, Any]:
    terms = (element.getCVTerm(index) for index in range(element.getNumCVTerms()))
    links = sorted(term.getResourceURI(each) for term in terms for each in range(term.getNumResources()))
    return {"name": element.getName(), "SBO term": element.getSBOTermID(), "annotation": tuple(links)}


def _model_facts(model: libsbml.Model) -> dict[str, Any]:
    units = {"time": model.getTimeUnits(), "substance": model.getSubstanceUnits()}
    if model.getLevel() < 3:
        # Level 2 says it by redefining the builtin units; the extent of a reaction is in substance
        units = {name: name for name in units}
    return {f"{name} unit": _magnitude(model, unit) for name, unit in units.items() if unit}


def _unit_facts(definition: libsbml.UnitDefinition) -> dict[str, Any]:
    return {"definition": _size(definition)}


def _magnitude(model: libsbml.Model, unit: str) -> Any:
    definition = model.getUnitDefinition(unit)
    return unit if definition is None else _size(definition)


def _size(definition: libsbml.UnitDefinition) -> tuple[float, tuple[tuple[str, float], ...]]:
    """Return factor and base units, however they are written."""
    factor, kinds = 1.0, dict[str, float]()
    for unit in definition.getListOfUnits():
        power = unit.getExponentAsDouble()
        factor *= (unit.getMultiplier() * 10.0 ** unit.getScale()) ** power
        kind = libsbml.UnitKind_toString(unit.getKind())
        kinds[kind] = kinds.get(kind, 0.0) + power
    return factor, tuple(sorted((kind, power) for kind, power in kinds.items() if kind != "dimensionless"))


def _compartment_facts(each: libsbml.Compartment) -> dict[str, Any]:
    size = float(each.getSize()) if each.isSetSize() else None
    return _named(each) | {"size": size, "units": each.getUnits(), "constant": each.getConstant()}


def _species_facts(each: libsbml.Species) -> dict[str, Any]:
    return _named(each) | {
        "compartment": each.getCompartment(),
        "initial amount": float(each.getInitialAmount()) if each.isSetInitialAmount() else None,
        "initial concentration": float(each.getInitialConcentration()) if each.isSetInitialConcentration() else None,
        "units": each.getSubstanceUnits(),
        "hasOnlySubstanceUnits": each.getHasOnlySubstanceUnits(),
        "boundaryCondition": each.getBoundaryCondition(),
        "constant": each.getConstant(),
        "conversionFactor": each.getConversionFactor(),
    }


def _parameter_facts(each: libsbml.Parameter) -> dict[str, Any]:
    value = float(each.getValue()) if each.isSetValue() else None
    return _named(each) | {"value": value, "units": each.getUnits(), "constant": each.getConstant()}


def _reaction_facts(each: libsbml.Reaction) -> dict[str, Any]:
    def sides(references: libsbml.ListOfSpeciesReferences) -> tuple[Any, ...]:
        return tuple(sorted((one.getSpecies(), float(one.getStoichiometry())) for one in references))

    return _named(each) | {
        "rate": formula(each.getKineticLaw()),
        "reactants": sides(each.getListOfReactants()),
        "products": sides(each.getListOfProducts()),
        "reversible": each.getReversible(),
    }


def _event_facts(each: libsbml.Event) -> dict[str, Any]:
    trigger = each.getTrigger()
    return _named(each) | {
        "trigger": formula(trigger),
        "initialValue": trigger.getInitialValue() if trigger is not None else None,
        "persistent": trigger.getPersistent() if trigger is not None else None,
        "useValuesFromTriggerTime": each.getUseValuesFromTriggerTime(),
        "delay": formula(each.getDelay()),
        "priority": formula(each.getPriority()),
        "assignments": tuple((one.getVariable(), formula(one)) for one in each.getListOfEventAssignments()),
    }


def formula(holder: libsbml.SBase | None) -> str:
    """Return a formula as text without the units of its numbers, or an empty text."""
    if holder is None or not holder.isSetMath():
        return ""
    return str(libsbml.formulaToL3StringWithSettings(holder.getMath(), _PLAIN))


def _plain() -> libsbml.L3ParserSettings:
    settings = libsbml.L3ParserSettings()
    settings.setParseUnits(False)
    return settings


_PLAIN = _plain()
