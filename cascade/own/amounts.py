"""Turns amounts of molecules into concentrations, where the file or the user says in which volume they are.

Two ways, both exact. Where all molecules are in one volume that no formula mentions (molecules per cell), everything
per molecule is read as per molecule in that volume. Otherwise formulas keep the amount, as concentration times volume.
"""

from __future__ import annotations

from collections.abc import Iterable

import libsbml

from cascade._sbml import symbols
from cascade.own.measure import Measure, from_word, product
from cascade.own.source import formulas

Units = dict[str, Measure]
Done = dict[str, tuple[str, float]]


def to_concentrations(model: libsbml.Model, units: Units, volumes: dict[str, float]) -> Done:
    """Change a plain model and its units in place.

    Parameters
    ----------
    model : libsbml.Model
        Species that count molecules become concentrations.
    units : dict of str to Measure
        Unit of every symbol.
    volumes : dict of str to float
        Known constant volumes in litres.

    Returns
    -------
    dict of str to (str, float)
        What was done, by species, and what its number was divided by.
    """
    _settle_kinds(model, units)
    counted = [
        s for s in model.getListOfSpecies() if s.getHasOnlySubstanceUnits() and units[s.getId()].exponent("mole")
    ]
    counted = [s for s in counted if s.getCompartment() in volumes]
    places = {species.getCompartment() for species in counted}
    if len(places) == 1:
        place = places.pop()
        if _is_one_volume(model, units, place):
            return _per_volume(model, units, counted, place, volumes[place])
    return _times_volume(model, units, counted)


def _settle_kinds(model: libsbml.Model, units: Units) -> None:
    """Let a species in a volume of 1 be what its unit says; an amount and a concentration are the same number there."""
    for species in model.getListOfSpecies():
        place = model.getCompartment(species.getCompartment())
        unit = units[species.getId()]
        if not place.getConstant() or place.getSize() != 1:
            continue
        if species.getHasOnlySubstanceUnits() and unit.exponent("metre") == -3:
            species.setHasOnlySubstanceUnits(False)
        elif not species.getHasOnlySubstanceUnits() and unit.exponent("metre") == 0:
            species.setHasOnlySubstanceUnits(True)


def _is_one_volume(model: libsbml.Model, units: Units, place: str) -> bool:
    mentioned = any(place in symbols(formula) for formula, _ in formulas(model))
    own = {compartment.getId() for compartment in model.getListOfCompartments()}
    others = [s for s in model.getListOfSpecies() if not s.getHasOnlySubstanceUnits()]
    spatial = any(unit.exponent("metre") for symbol, unit in units.items() if symbol not in own)
    return not (mentioned or others or spatial)


def _per_volume(
    model: libsbml.Model, units: Units, species: Iterable[libsbml.Species], place: str, litres: float
) -> Done:
    volume = Measure((("metre", 3.0),), litres * 1e-3, f"{litres:g} litre")
    for symbol, unit in list(units.items()):
        power = unit.exponent("mole")
        if power:
            units[symbol] = product((unit, 1), (volume, -power), word=unit.word)
    units[place] = volume
    model.getCompartment(place).setSize(1)
    for each in species:
        start = _start(each, 1.0)
        each.setHasOnlySubstanceUnits(False)
        _set_start(each, start)
    return {each.getId(): (f"amount in {litres:.4g} litre", 1.0) for each in species}


def _times_volume(model: libsbml.Model, units: Units, species: Iterable[libsbml.Species]) -> Done:
    chosen = {each.getId(): each.getCompartment() for each in species}
    if not chosen:
        return {}
    _replace(model, chosen)
    for name, place in chosen.items():
        each = model.getSpecies(name)
        start = _start(each, model.getCompartment(place).getSize())
        each.setHasOnlySubstanceUnits(False)
        _set_start(each, start)
        units[name] = product((units[name], 1), (units.get(place, from_word("litre")), -1))
    sizes = {place: model.getCompartment(place).getSize() for place in chosen.values()}
    return {name: ("amount over its volume", sizes[place]) for name, place in chosen.items()}


def _start(species: libsbml.Species, size: float) -> float | None:
    """Return the start as a concentration."""
    if species.isSetInitialConcentration():
        return float(species.getInitialConcentration())
    return float(species.getInitialAmount()) / size if species.isSetInitialAmount() else None


def _set_start(species: libsbml.Species, start: float | None) -> None:
    species.unsetInitialAmount()
    if start is not None:
        species.setInitialConcentration(start)


def _replace(model: libsbml.Model, chosen: dict[str, str]) -> None:
    """Write every amount as concentration times volume, and divide what decides an amount by the volume."""
    owners: list[tuple[libsbml.SBase, str]] = [(rule, rule.getVariable()) for rule in model.getListOfRules()]
    owners += [(each, each.getSymbol()) for each in model.getListOfInitialAssignments()]
    owners += [(reaction.getKineticLaw(), "") for reaction in model.getListOfReactions()]
    for event in model.getListOfEvents():
        owners += [(p, "") for p in (event.getTrigger(), event.getDelay(), event.getPriority()) if p is not None]
        owners += [(each, each.getVariable()) for each in event.getListOfEventAssignments()]
    for owner, variable in owners:
        math = _with_volumes(owner.getMath(), chosen)
        if variable in chosen:
            math = _pair(libsbml.AST_DIVIDE, math, chosen[variable])
        owner.setMath(math)


def _with_volumes(node: libsbml.ASTNode, chosen: dict[str, str]) -> libsbml.ASTNode:
    made = node.deepCopy()
    if node.getType() == libsbml.AST_NAME and node.getName() in chosen:
        return _pair(libsbml.AST_TIMES, made, chosen[node.getName()])
    for index in range(node.getNumChildren()):
        made.replaceChild(index, _with_volumes(node.getChild(index), chosen))
    return made


def _pair(kind: int, left: libsbml.ASTNode, symbol: str) -> libsbml.ASTNode:
    name = libsbml.ASTNode(libsbml.AST_NAME)
    name.setName(symbol)
    node = libsbml.ASTNode(kind)
    node.addChild(left)
    node.addChild(name)
    return node
