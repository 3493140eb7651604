"""Walks over the formulas of a model and says where each stands."""

from __future__ import annotations

from collections.abc import Iterator

import libsbml


def nodes(math: libsbml.ASTNode) -> Iterator[libsbml.ASTNode]:
    """Yield every node of a formula."""
    waiting = [math]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [node.getChild(index) for index in range(node.getNumChildren())]


def formulas(model: libsbml.Model) -> Iterator[tuple[str, libsbml.ASTNode]]:
    """Yield every formula of a model and what it belongs to."""
    for where, element in with_math(model):
        if element.isSetMath():
            yield where, element.getMath()


def with_math(model: libsbml.Model) -> Iterator[tuple[str, libsbml.SBase]]:
    """Yield every element that holds a formula, and what it is called in a message."""
    for element in _holders(model):
        yield _title(element), element


def references(reaction: libsbml.Reaction) -> Iterator[libsbml.SpeciesReference]:
    """Yield the reactants and products of a reaction."""
    yield from reaction.getListOfReactants()
    yield from reaction.getListOfProducts()


def ids_of(model: libsbml.Model) -> Iterator[str]:
    """Yield the ids of functions, compartments, species, parameters, reactions and events."""
    for elements in (
        model.getListOfFunctionDefinitions(),
        model.getListOfCompartments(),
        model.getListOfSpecies(),
        model.getListOfParameters(),
        model.getListOfReactions(),
        model.getListOfEvents(),
    ):
        yield from (element.getId() for element in elements if element.isSetId())


def _holders(model: libsbml.Model) -> Iterator[libsbml.SBase]:
    yield from model.getListOfFunctionDefinitions()
    yield from model.getListOfInitialAssignments()
    yield from model.getListOfRules()
    yield from model.getListOfConstraints()
    for reaction in model.getListOfReactions():
        if reaction.isSetKineticLaw():
            yield reaction.getKineticLaw()
    for event in model.getListOfEvents():
        yield from (part for part in (event.getTrigger(), event.getDelay(), event.getPriority()) if part is not None)
        yield from event.getListOfEventAssignments()


def _title(element: libsbml.SBase) -> str:
    if isinstance(element, libsbml.InitialAssignment):
        return f"the start value of {element.getSymbol()!r}"
    if isinstance(element, libsbml.Rule):
        return f"the rule of {element.getVariable()!r}" if element.getVariable() else "an algebraic rule"
    if isinstance(element, libsbml.KineticLaw):
        return f"the rate of {element.getParentSBMLObject().getId()!r}"
    if isinstance(element, libsbml.EventAssignment):
        return f"{element.getVariable()!r} in event {element.getAncestorOfType(libsbml.SBML_EVENT).getId()!r}"
    if isinstance(element, libsbml.Trigger | libsbml.Delay | libsbml.Priority):
        return f"the {element.getElementName()} of event {element.getAncestorOfType(libsbml.SBML_EVENT).getId()!r}"
    return f"{element.getElementName()} {element.getId()!r}"
