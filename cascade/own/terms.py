"""What is known of the parts of a formula when units change: factor, dimensions, value; and how parts combine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import libsbml

from cascade.own.measure import Dimensions, combined

Log = tuple[tuple[str, float], ...]
"""Logarithm of a factor: a number (""), and multiples of exponents that are symbols (`hill`)."""

NONE: Log = ()
_SAME = 1e-9


class Mixed(Exception):
    """Terms of a formula do not take the same factor."""


@dataclass(frozen=True)
class Term:
    """What is known of a part of a formula: its factor, its dimensions, its value if it is a number.

    A power whose exponent is a symbol has dimensions such as `mole^hill`.
    `free` numbers carry no unit and take that of what they are added to or compared with.
    """

    node: libsbml.ASTNode
    log: Log = NONE
    dimensions: Dimensions = ()
    value: float | None = None
    free: bool = False


def is_count(node: libsbml.ASTNode) -> bool:
    """Tell whether a number is a small integer, which is a pure number in a product."""
    return bool(node.isNumber() and number_of(node) in range(1, 11))


def number_of(node: libsbml.ASTNode) -> float:
    """Return the value of a number of any MathML type."""
    return float(node.getInteger()) if node.getType() == libsbml.AST_INTEGER else float(node.getReal())


def log_of(powers: Iterable[tuple[str, float]]) -> Log:
    """Return the logarithm of a factor without what is zero."""
    return tuple((name, power) for name, power in combined(powers) if abs(power) > 1e-13)


def same(one: Log, other: Log) -> bool:
    """Tell whether two factors are the same, whatever the exponents that are symbols."""
    left, right = dict(one), dict(other)
    return all(abs(left.get(name, 0.0) - right.get(name, 0.0)) < _SAME for name in left.keys() | right.keys())


def raised(base: Term, power: float) -> Dimensions:
    """Return the dimensions of a power."""
    return combined((kind, own * power) for kind, own in base.dimensions)


def finite(compute: Callable[[], float]) -> float | None:
    """Return what is computed, or None if it is no finite number."""
    try:
        value = compute()
    except (ArithmeticError, ValueError):
        return None
    return value if math.isfinite(value) else None


def multiplied(node: libsbml.ASTNode, parts: list[Term]) -> Term:
    """Return a product."""
    log = log_of(pair for part in parts for pair in part.log)
    dimensions = combined(pair for part in parts for pair in part.dimensions)
    values = [part.value for part in parts]
    value = None if None in values else finite(lambda: math.prod(v for v in values if v is not None))
    return Term(rebuilt(node, parts), log, dimensions, value, all(part.free for part in parts))


def divided(node: libsbml.ASTNode, parts: list[Term]) -> Term:
    """Return a quotient."""
    above, below = parts
    log = log_of([*above.log, *((name, -power) for name, power in below.log)])
    dimensions = combined([*above.dimensions, *raised(below, -1)])
    value = None
    if above.value is not None and below.value:
        value = finite(lambda: above.value / below.value)  # type: ignore[operator]
    return Term(rebuilt(node, parts), log, dimensions, value, above.free and below.free)


def rooted(node: libsbml.ASTNode, parts: list[Term]) -> Term:
    """Return a root."""
    degree = parts[0].value if len(parts) == 2 else 2.0
    inner = parts[-1]
    if not degree:
        raise Mixed
    log = log_of((name, power / degree) for name, power in inner.log)
    return Term(rebuilt(node, parts), log, raised(inner, 1 / degree), None, False)


def applied(node: libsbml.ASTNode, parts: list[Term]) -> Term:
    """A function of pure numbers: exp, ln, sin, floor, ..."""
    if not all(same(part.log, NONE) and not part.dimensions for part in parts):
        raise Mixed
    return Term(rebuilt(node, parts))


def sum_of(node: libsbml.ASTNode, parts: list[Term]) -> float | None:
    """Return the value of a sum of numbers."""
    values = [part.value for part in parts]
    if None in values:
        return None
    numbers = [value for value in values if value is not None]
    if node.getType() == libsbml.AST_PLUS:
        return finite(lambda: math.fsum(numbers))
    if node.getType() == libsbml.AST_MINUS:
        return numbers[0] - numbers[1]
    return None


def rebuilt(node: libsbml.ASTNode, parts: list[Term]) -> libsbml.ASTNode:
    """Return a formula with other parts."""
    made = node.deepCopy()
    for index, part in enumerate(parts):
        made.replaceChild(index, part.node.deepCopy())
    return made


def node_of(kind: int, *children: libsbml.ASTNode) -> libsbml.ASTNode:
    """Return a formula of an operator."""
    node = libsbml.ASTNode(kind)
    for child in children:
        node.addChild(child)
    return node


def times(symbol: str, node: libsbml.ASTNode) -> libsbml.ASTNode:
    """Return `symbol*node`."""
    return node_of(libsbml.AST_TIMES, symbol_node(symbol), node.deepCopy())


def symbol_node(symbol: str) -> libsbml.ASTNode:
    """Return a formula that is a symbol."""
    node = libsbml.ASTNode(libsbml.AST_NAME)
    node.setName(symbol)
    return node
