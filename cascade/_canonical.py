"""Flat SBML -> the same model in a form whose values can be set again and again, exactly; and a table of its symbols.

libRoadRunner evaluates initial values when it loads a model. Setting a parameter later leaves whatever was computed
from it stale, unless (a) nothing that is set has an initial assignment, and (b) every species starts from an initial
assignment, not from a stored number. `canonicalize` makes both true without changing what the model means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

import libsbml

from cascade._sbml import is_time, read_document, refuse_words, symbols, write_document
from cascade.units import SUBSTANCE_OF

Kind = Literal["species", "parameter", "compartment", "reaction"]
Role = Literal["constant", "computed", "integrated", "switched", "rate"]

START = "start_of_"
"""Prefix of the parameters that hold the initial values of species in canonical SBML."""

_CONCENTRATION = {substance: unit for unit, substance in SUBSTANCE_OF.items()}


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """One thing of a flat model that has a value.

    Attributes
    ----------
    role : str
        `constant`; `computed` by an assignment rule; `integrated` by reactions or a rate rule; `switched` by events
        only; `rate` of a reaction.
    unit : str
        Unit id; of a species, of its concentration unless it counts amounts.
    amount : bool
        True for a species that stands for an amount in formulas (`hasOnlySubstanceUnits`).
    initial : float or None
        Start value of the document, None if computed.
    """

    id: str
    name: str
    kind: Kind
    role: Role
    unit: str
    amount: bool = False
    initial: float | None = None


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """Canonical SBML; `keys` maps what is set to the element that takes the value; `reload` forbids resetting."""

    sbml: str
    keys: Mapping[str, str]
    reload: bool


@lru_cache(maxsize=16)
def symbol_table(flat: str) -> Mapping[str, Symbol]:
    """Return every symbol of a flat model by id."""
    model = read_document(flat, "flat model").getModel()
    roles = _roles(model)
    found: dict[str, Symbol] = {}
    for compartment in model.getListOfCompartments():
        found[compartment.getId()] = _symbol(compartment, "compartment", roles, compartment.getUnits())
    for species in model.getListOfSpecies():
        found[species.getId()] = _symbol(species, "species", roles, _species_unit(species))
    for parameter in model.getListOfParameters():
        found[parameter.getId()] = _symbol(parameter, "parameter", roles, parameter.getUnits())
    for reaction in model.getListOfReactions():
        found[reaction.getId()] = _symbol(reaction, "reaction", roles, _reaction_unit(model, reaction))
    refuse_words(found, "flat model")
    return MappingProxyType(found)


@lru_cache(maxsize=16)
def read_symbols(flat: str) -> frozenset[str]:
    """Return the symbols that a formula of a flat model reads: a constant that none reads changes nothing."""
    model = read_document(flat, "flat model").getModel()
    holders = [*model.getListOfRules(), *model.getListOfInitialAssignments()]
    holders += [reaction.getKineticLaw() for reaction in model.getListOfReactions()]
    for event in model.getListOfEvents():
        holders += [event.getTrigger(), event.getDelay(), event.getPriority(), *event.getListOfEventAssignments()]
    formulas = [holder.getMath() for holder in holders if holder is not None and holder.isSetMath()]
    return frozenset[str]().union(*map(symbols, formulas))


def _symbol(element: libsbml.SBase, kind: Kind, roles: Mapping[str, Role], unit: str) -> Symbol:
    amount = kind == "species" and element.getHasOnlySubstanceUnits()
    return Symbol(
        id=element.getId(),
        name=element.getName() or element.getId(),
        kind=kind,
        role="rate" if kind == "reaction" else roles.get(element.getId(), "constant"),
        unit=unit or "dimensionless",
        amount=bool(amount),
        initial=_initial(element, kind),
    )


def _initial(element: libsbml.SBase, kind: Kind) -> float | None:
    """Return the stored start value in the meaning that the id has in formulas."""
    if element.getModel().getInitialAssignmentBySymbol(element.getId()) is not None or kind == "reaction":
        return None
    if kind == "compartment":
        return float(element.getSize()) if element.isSetSize() else None
    if kind == "parameter":
        return float(element.getValue()) if element.isSetValue() else None
    compartment = element.getModel().getCompartment(element.getCompartment())
    size = compartment.getSize() if compartment is not None and compartment.isSetSize() else 1.0
    if element.isSetInitialConcentration():
        value = element.getInitialConcentration()
        return float(value * size if element.getHasOnlySubstanceUnits() else value)
    if element.isSetInitialAmount():
        value = element.getInitialAmount()
        return float(value if element.getHasOnlySubstanceUnits() else value / size)
    return None


def _roles(model: libsbml.Model) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for event in model.getListOfEvents():
        for assignment in event.getListOfEventAssignments():
            roles[assignment.getVariable()] = "switched"
    for reaction in model.getListOfReactions():
        for reference in [*reaction.getListOfReactants(), *reaction.getListOfProducts()]:
            species = model.getSpecies(reference.getSpecies())
            if species is not None and not species.getBoundaryCondition():
                roles[species.getId()] = "integrated"
    for rule in model.getListOfRules():
        roles[rule.getVariable()] = "integrated" if rule.isRate() else "computed"
    return roles


def _species_unit(species: libsbml.Species) -> str:
    substance = species.getSubstanceUnits() or species.getModel().getSubstanceUnits()
    if species.getHasOnlySubstanceUnits() or not substance:
        return str(substance)
    compartment = species.getModel().getCompartment(species.getCompartment())
    volume = compartment.getUnits() if compartment is not None else ""
    if volume in ("", "litre") and substance in _CONCENTRATION:
        return str(_CONCENTRATION[substance])
    return f"{substance}_per_{volume or 'litre'}"


def _reaction_unit(model: libsbml.Model, reaction: libsbml.Reaction) -> str:
    references = [*reaction.getListOfProducts(), *reaction.getListOfReactants()]
    species = model.getSpecies(references[0].getSpecies()) if references else None
    extent = (species.getSubstanceUnits() if species is not None else "") or model.getExtentUnits()
    return f"{extent}_per_day" if extent else "per_day"


def canonicalize(flat: str, given: tuple[str, ...]) -> Canonical:
    """Rewrite a flat model so that the values of `given` can be set exactly at run time.

    Parameters
    ----------
    flat : str
        Flat SBML.
    given : tuple of str
        Ids of the constants and start values that will be set.

    Returns
    -------
    Canonical
        `reload` is True if the model computes stoichiometries or delays events; then no reset is exact and every run
        needs an instance of its own.
    """
    return _canonicalize(flat, tuple(sorted(given)))


@lru_cache(maxsize=16)
def _canonicalize(flat: str, given: tuple[str, ...]) -> Canonical:
    document = read_document(flat, "flat model")
    model = document.getModel()
    for name in given:
        if model.getInitialAssignmentBySymbol(name) is not None:
            model.removeInitialAssignment(name)
            _give_any_value(model, name)
    keys = {name: name for name in given}
    computed = {rule.getVariable() for rule in model.getListOfRules() if rule.isAssignment()}
    for species in model.getListOfSpecies():
        if species.getId() in computed or model.getInitialAssignmentBySymbol(species.getId()) is not None:
            continue
        if species.getId() in given or _initial(species, "species") is not None:
            keys[species.getId()] = _start_from_parameter(model, species, species.getId() in given)
    _hold_constant_rules(model)
    chosen = {name: keys[name] for name in given}
    return Canonical(sbml=write_document(document), keys=MappingProxyType(chosen), reload=_needs_reload(model))


def _hold_constant_rules(model: libsbml.Model) -> None:
    """Turn assignment rules over constants into initial assignments.

    libRoadRunner evaluates a rule anew wherever it is used, so ten thousand times a run what never changes; the value
    is the same, since every reset evaluates initial assignments.
    """
    varying = set(_roles(model))
    found = True
    while found:
        found = False
        for rule in [rule for rule in model.getListOfRules() if rule.isAssignment()]:
            name, math = rule.getVariable(), rule.getMath()
            if model.getParameter(name) is None or is_time(math) or varying & symbols(math):
                continue
            start = model.createInitialAssignment()
            start.setSymbol(name)
            start.setMath(math)
            model.removeRuleByVariable(name)
            model.getParameter(name).setConstant(True)
            varying.discard(name)
            found = True


def _give_any_value(model: libsbml.Model, name: str) -> None:
    """Store a number in an element that will be set: libRoadRunner loads none without."""
    parameter, compartment = model.getParameter(name), model.getCompartment(name)
    if parameter is not None and not parameter.isSetValue():
        parameter.setValue(1.0)
    if compartment is not None and not compartment.isSetSize():
        compartment.setSize(1.0)


def _start_from_parameter(model: libsbml.Model, species: libsbml.Species, given: bool) -> str:
    """Move the start value of a species into a parameter of its own and return the parameter's id."""
    name: str = START + species.getId()
    while model.getElementBySId(name) is not None:
        name += "_"
    parameter = model.createParameter()
    parameter.setId(name)
    parameter.setConstant(True)
    formula, value = name, _initial(species, "species")
    if given:
        pass
    elif species.isSetInitialAmount() and not species.getHasOnlySubstanceUnits():
        # The stored number is an amount, and it stays one when the volume is set.
        formula, value = f"{name}/{species.getCompartment()}", species.getInitialAmount()
    elif species.isSetInitialConcentration() and species.getHasOnlySubstanceUnits():
        formula, value = f"{name}*{species.getCompartment()}", species.getInitialConcentration()
    parameter.setValue(0.0 if value is None else value)
    species.unsetInitialAmount()
    species.unsetInitialConcentration()
    assignment = model.createInitialAssignment()
    assignment.setSymbol(species.getId())
    assignment.setMath(libsbml.parseL3Formula(formula))
    return name


def _needs_reload(model: libsbml.Model) -> bool:
    if any(event.isSetDelay() for event in model.getListOfEvents()):
        return True
    varied = {rule.getVariable() for rule in model.getListOfRules()}
    varied |= {assignment.getSymbol() for assignment in model.getListOfInitialAssignments()}
    varied |= {target for event in model.getListOfEvents() for target in _targets(event)}
    for reaction in model.getListOfReactions():
        for reference in [*reaction.getListOfReactants(), *reaction.getListOfProducts()]:
            if reference.isSetStoichiometryMath() or (reference.isSetId() and reference.getId() in varied):
                return True
    return False


def _targets(event: libsbml.Event) -> Iterator[str]:
    for assignment in event.getListOfEventAssignments():
        yield assignment.getVariable()


def with_values(sbml: str, values: Mapping[str, float]) -> str:
    """Return canonical SBML in which constants hold the given values (the slow, always exact way)."""
    document = read_document(sbml, "canonical model")
    model = document.getModel()
    for name, value in values.items():
        compartment = model.getCompartment(name)
        if compartment is not None:
            compartment.setSize(value)
        else:
            model.getParameter(name).setValue(value)
    return write_document(document)
