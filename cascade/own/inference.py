"""Derives units that a file does not state from those that it does: the terms of a sum have the same unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import libsbml

from cascade.own.measure import Measure, combined, product
from cascade.own.terms import is_count, number_of

PURE = Measure((), 1.0, "dimensionless")
_SAME = {libsbml.AST_PLUS, libsbml.AST_MINUS, libsbml.AST_FUNCTION_MIN, libsbml.AST_FUNCTION_MAX,
         libsbml.AST_FUNCTION_ABS}  # fmt: skip
_POWERS = {libsbml.AST_POWER, libsbml.AST_FUNCTION_POWER}


@dataclass
class Inference:
    """Units by symbol; `learn` adds to them what formulas say.

    The time is known under "". A number without a unit fits anything; it tells nothing.
    """

    known: dict[str, Measure]
    wanted: set[str]

    def learn(self, formulas: Iterable[tuple[libsbml.ASTNode, str | Measure | None]]) -> None:
        """Go through formulas (and the symbol or unit that each gives) until nothing new is learned."""
        given = list(formulas)
        before = -1
        while before != len(self.known):
            before = len(self.known)
            for node, gives in given:
                expected = self.known.get(gives) if isinstance(gives, str) else gives
                if expected is not None:
                    self._down(node, expected)
                found = self._up(node)
                if isinstance(gives, str) and gives in self.wanted and gives not in self.known and found is not None:
                    self.known[gives] = found

    def _up(self, node: libsbml.ASTNode) -> Measure | None:
        """Return the unit of a formula if it can be told, looking for what its parts say on the way."""
        kind = node.getType()
        if kind == libsbml.AST_NAME:
            return self.known.get(node.getName())
        if kind == libsbml.AST_NAME_TIME:
            return self.known[""]
        children = _children(node)
        if kind in _SAME or node.isRelational():
            units = [PURE if is_one(child) else self._up(child) for child in children]
            found = next((unit for unit in units if unit is not None), None)
            if found is not None:
                for child in children:
                    self._down(child, found)
            return PURE if node.isRelational() else found
        if kind in (libsbml.AST_TIMES, libsbml.AST_DIVIDE):
            return self._product(node, children)
        if kind in _POWERS:
            return self._power(children)
        if kind == libsbml.AST_FUNCTION_ROOT:
            inner = self._up(children[-1])
            degree = number_of(children[0]) if len(children) == 2 and children[0].isNumber() else 2.0
            return product((inner, 1 / degree)) if inner is not None and degree else None
        if kind == libsbml.AST_FUNCTION_PIECEWISE:
            for index, child in enumerate(children):
                if index % 2:
                    self._up(child)
            return next((u for u in (self._up(children[i]) for i in range(0, len(children), 2)) if u is not None), None)
        for child in children:
            if not node.isLogical():
                self._down(child, PURE)
            self._up(child)
        return PURE if children else None

    def _product(self, node: libsbml.ASTNode, children: list[libsbml.ASTNode]) -> Measure | None:
        if _is_ambiguous(node, children) and self._up(children[0]) not in (None, PURE):
            return None
        units = [PURE if child.isNumber() else self._up(child) for child in children]
        known = [(unit, sign) for unit, sign in zip(units, _signs(node), strict=True) if unit is not None]
        return product(*known) if len(known) == len(units) else None

    def _power(self, children: list[libsbml.ASTNode]) -> Measure | None:
        base, exponent = children
        self._down(exponent, PURE)
        value = _value(exponent)
        unit = self._up(base)
        if value is None and exponent.getType() != libsbml.AST_NAME:
            self._down(base, PURE)
            return PURE
        if unit is None:
            return None
        return product((unit, value)) if value is not None else _raised(unit, exponent.getName())

    def _down(self, node: libsbml.ASTNode, expected: Measure) -> None:
        """Tell a formula which unit it has."""
        kind = node.getType()
        if kind == libsbml.AST_NAME:
            if node.getName() in self.wanted and node.getName() not in self.known and not _is_symbolic(expected):
                self.known[node.getName()] = expected
            return
        children = _children(node)
        if kind in _SAME:
            for child in children:
                self._down(child, expected)
        elif kind == libsbml.AST_FUNCTION_PIECEWISE:
            for index in range(0, len(children), 2):
                self._down(children[index], expected)
        elif kind in (libsbml.AST_TIMES, libsbml.AST_DIVIDE):
            self._down_product(node, children, expected)
        elif kind in _POWERS and not children[0].isNumber():
            value = _value(children[1])
            if value:
                self._down(children[0], product((expected, 1 / value)))
            elif value is None and children[1].getType() == libsbml.AST_NAME:
                base = _root(expected, children[1].getName())
                if base is not None:
                    self._down(children[0], base)
        elif kind == libsbml.AST_FUNCTION_ROOT:
            degree = number_of(children[0]) if len(children) == 2 and children[0].isNumber() else 2.0
            self._down(children[-1], product((expected, degree)))

    def _down_product(self, node: libsbml.ASTNode, children: list[libsbml.ASTNode], expected: Measure) -> None:
        if _is_ambiguous(node, children):
            return
        units = [PURE if child.isNumber() else self._up(child) for child in children]
        if units.count(None) != 1:
            return
        signs = _signs(node)
        at = units.index(None)
        others = [(unit, -sign) for unit, sign in zip(units, signs, strict=True) if unit is not None]
        self._down(children[at], product(*((unit, power * signs[at]) for unit, power in [(expected, 1.0), *others])))


def _is_ambiguous(node: libsbml.ASTNode, children: list[libsbml.ASTNode]) -> bool:
    """Tell whether a formula is `x/number`, where the number may be a threshold in the unit of x."""
    return bool(node.getType() == libsbml.AST_DIVIDE and children[1].isNumber() and not is_count(children[1]))


def is_one(node: libsbml.ASTNode) -> bool:
    """Tell whether a formula is the number 1, beside which only pure numbers stand in practice."""
    return bool(node.isNumber() and number_of(node) == 1)


def _signs(node: libsbml.ASTNode) -> list[float]:
    below = node.getType() == libsbml.AST_DIVIDE
    return [-1.0 if below and index else 1.0 for index in range(node.getNumChildren())]


def _children(node: libsbml.ASTNode) -> list[libsbml.ASTNode]:
    return [node.getChild(index) for index in range(node.getNumChildren())]


def _value(node: libsbml.ASTNode) -> float | None:
    if node.isNumber():
        return number_of(node)
    if node.getType() == libsbml.AST_MINUS and node.getNumChildren() == 1 and node.getChild(0).isNumber():
        return -number_of(node.getChild(0))
    return None


def _is_symbolic(unit: Measure) -> bool:
    return any("^" in base for base, _ in unit.dimensions)


def _raised(unit: Measure, exponent: str) -> Measure:
    """Raise a unit to a power that is a symbol: `mole^hill`, with the logarithm of the size as one more exponent."""
    if (not unit.dimensions and unit.size == 1) or _is_symbolic(unit):
        return PURE
    powers = [(f"{base}^{exponent}", power) for base, power in unit.dimensions]
    return Measure(combined([*powers, (f"^{exponent}", math.log(unit.size))]), 1.0, "")


def _root(unit: Measure, exponent: str) -> Measure | None:
    """Undo `_raised`; None if the unit is no such power."""
    if not unit.dimensions and unit.size == 1:
        return PURE
    mark = f"^{exponent}"
    if unit.size != 1 or not all(base.endswith(mark) for base, _ in unit.dimensions):
        return None
    powers = dict(unit.dimensions)
    size = math.exp(powers.pop(mark, 0.0))
    return product((Measure(combined((base.removesuffix(mark), power) for base, power in powers.items()), size, ""), 1))
