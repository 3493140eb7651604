"""Multiplies a symbol of a flat model by an activity, or adds to it, wherever it acts."""

from __future__ import annotations

from collections.abc import Iterator

import libsbml

from cascade._canonical import Symbol
from cascade._sbml import symbols


def multiply(document: libsbml.Model, target: Symbol, activity: str) -> int:
    """Multiply the target by its activity wherever it acts; return in how many formulas."""
    if target.kind == "reaction":
        return _scale(document.getReaction(target.id).getKineticLaw(), activity)
    if target.role == "computed":
        return _scale(document.getAssignmentRuleByVariable(target.id), activity)
    product = libsbml.parseL3Formula(f"{target.id}*{activity}")
    return sum(_substitute(element, target.id, product) for element in _readers(document, target.id))


def _scale(element: libsbml.SBase | None, activity: str) -> int:
    return _put(element, libsbml.AST_TIMES, activity)


def _put(element: libsbml.SBase | None, operator: int, name: str) -> int:
    """Put `<operator> name` behind the formula of an element; return 1 if it has one."""
    if element is None or not element.isSetMath():
        return 0
    result = libsbml.ASTNode(operator)
    result.addChild(element.getMath().deepCopy())
    result.addChild(libsbml.parseL3Formula(name))
    element.setMath(result)
    return 1


def _readers(document: libsbml.Model, name: str) -> Iterator[libsbml.SBase]:
    """Yield what has a formula in which a symbol acts: not its own rule, not start values."""
    for rule in document.getListOfRules():
        if rule.getVariable() != name:
            yield rule
    for reaction in document.getListOfReactions():
        law = reaction.getKineticLaw()
        if law is not None and law.getLocalParameter(name) is None:
            yield law
    for event in document.getListOfEvents():
        parts = (event.getTrigger(), event.getDelay(), event.getPriority())
        yield from (part for part in parts if part is not None)
        yield from (part for part in event.getListOfEventAssignments() if part.getVariable() != name)


def _substitute(element: libsbml.SBase, name: str, product: libsbml.ASTNode) -> int:
    """Replace a symbol in one formula by a product; return 1 if it was there."""
    if not element.isSetMath() or name not in symbols(element.getMath()):
        return 0
    element.setMath(_replaced(element.getMath().deepCopy(), name, product))
    return 1


def _replaced(node: libsbml.ASTNode, name: str, product: libsbml.ASTNode) -> libsbml.ASTNode:
    if node.getType() == libsbml.AST_NAME and node.getName() == name:
        return product.deepCopy()
    for index in range(node.getNumChildren()):
        child = node.getChild(index)
        if child.getType() == libsbml.AST_NAME and child.getName() == name:
            node.replaceChild(index, product.deepCopy(), True)
        else:
            _replaced(child, name, product)
    return node


def add(document: libsbml.Model, target: Symbol, addend: str) -> int:
    """Add a variable to the target, a parameter, wherever that acts; return in how many formulas."""
    if target.role == "computed":
        return _put(document.getAssignmentRuleByVariable(target.id), libsbml.AST_PLUS, addend)
    total = libsbml.parseL3Formula(f"{target.id} + {addend}")
    return sum(_substitute(element, target.id, total) for element in _readers(document, target.id))
