"""Formulas as nested tuples: read from SBML, rewritten, counted and written back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from operator import truediv

import libsbml

POWER_COST = 20
"""Additions that take as long as a power."""

_KINDS = {
    libsbml.AST_PLUS: "+",
    libsbml.AST_TIMES: "*",
    libsbml.AST_MINUS: "-",
    libsbml.AST_DIVIDE: "/",
    libsbml.AST_POWER: "^",
    libsbml.AST_FUNCTION_POWER: "^",
    libsbml.AST_FUNCTION_LN: "ln",
    libsbml.AST_FUNCTION_EXP: "exp",
    libsbml.AST_FUNCTION_ABS: "abs",
}

_COMPUTE: dict[str, Callable[..., float]] = {
    "+": lambda *terms: sum(terms),
    "*": lambda *factors: math.prod(factors),
    "-": lambda first, *second: first - second[0] if second else -first,
    "/": truediv,
    "^": math.pow,
    "ln": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
}

Node = tuple[str, tuple["Node", ...], str]
"""A formula: operator, operands, and the text of a leaf."""


def number(value: float) -> Node:
    return ("number", (), repr(float(value)))


def read_node(formula: libsbml.ASTNode) -> Node:
    """Read a formula; what is not arithmetic stays text."""
    kind = formula.getType()
    if kind == libsbml.AST_NAME:
        return ("name", (), formula.getName())
    if formula.isNumber() and kind != libsbml.AST_RATIONAL:
        return number(formula.getValue())
    operator = _KINDS.get(kind, "")
    if kind == libsbml.AST_FUNCTION_ROOT and formula.getNumChildren() == 2 and formula.getChild(0).getValue() == 2:
        return ("sqrt", (read_node(formula.getChild(1)),), "")
    if not operator or not formula.getNumChildren():
        return ("text", (), libsbml.formulaToL3String(formula))
    operands = tuple(read_node(formula.getChild(index)) for index in range(formula.getNumChildren()))
    if operator in "+*":
        operands = tuple(part for each in operands for part in (each[1] if each[0] == operator else (each,)))
        if len(operands) == 1:
            return operands[0]
    return (operator, operands, "")


def is_readable(node: Node) -> bool:
    return node[0] != "text" and all(map(is_readable, node[1]))


def node_text(node: Node) -> str:
    operator, operands, text = node
    if not operands:
        return f"({text})" if operator != "name" else text
    if operator in "+*/^":
        return "(" + operator.join(map(node_text, operands)) + ")"
    if operator == "-":
        return (
            f"(-{node_text(operands[0])})"
            if len(operands) == 1
            else f"({node_text(operands[0])}-{node_text(operands[1])})"
        )
    return f"{operator}({','.join(map(node_text, operands))})"


def to_math(node: Node) -> libsbml.ASTNode:
    return libsbml.parseL3Formula(node_text(node))


def names_in(node: Node) -> Iterator[str]:
    """Yield the symbols of a formula, each as often as it is used."""
    operator, operands, text = node
    if operator == "name":
        yield text
    for operand in operands:
        yield from names_in(operand)


def cost(node: Node) -> int:
    """Return about how many additions a formula takes."""
    operator, operands, _ = node
    own = POWER_COST if operator in ("^", "sqrt", "ln", "exp") else len(operands)
    return own + sum(map(cost, operands))


def renamed(node: Node, rename: Callable[[str], str]) -> Node:
    operator, operands, text = node
    if operator == "name":
        return (operator, operands, rename(text))
    return (operator, tuple(renamed(operand, rename) for operand in operands), text)


def scaled(factor: float, node: Node) -> Node:
    if factor == 1:
        return node
    return ("-", (node,), "") if factor == -1 else ("*", (number(factor), node), "")


MOST = 16
"""Highest power that is written as products."""


def with_values(node: Node, values: Mapping[str, float]) -> Node:
    """Replace constants by their values, and what consists of numbers by its result."""
    operator, operands, text = node
    if operator == "name" and text in values:
        return number(values[text])
    if not operands:
        return node
    operands = tuple(with_values(operand, values) for operand in operands)
    if all(operand[0] == "number" for operand in operands):
        result = _result(operator, [float(operand[2]) for operand in operands])
        if result is not None:
            return number(result)
    return _without_neutral(operator, operands, text)


def _without_neutral(operator: str, operands: tuple[Node, ...], text: str) -> Node:
    """Leave out what changes nothing: a summand 0, a factor 1, and a product with 0 whose other factors are finite."""
    if operator == "*" and number(0) in operands and all(map(_is_finite, operands)):
        return number(0)
    if operator in ("*", "+"):
        neutral = number(1 if operator == "*" else 0)
        operands = tuple(operand for operand in operands if operand != neutral) or (neutral,)
        return operands[0] if len(operands) == 1 else (operator, operands, text)
    if len(operands) == 2 and operands[1] == number({"-": 0, "/": 1, "^": 1}.get(operator, math.nan)):
        return operands[0]
    return (operator, operands, text)


def _is_finite(node: Node) -> bool:
    """Tell whether a formula is surely finite where its names are."""
    operator, operands, _ = node
    return operator in ("number", "name", "+", "-", "*", "abs") and all(map(_is_finite, operands))


def _result(operator: str, numbers: list[float]) -> float | None:
    """Compute; None if the result is not a finite number, which the simulator then finds in its own way."""
    try:
        result = _COMPUTE[operator](*numbers)
    except (ArithmeticError, ValueError):
        return None
    return result if math.isfinite(result) else None


def products(node: Node, name: Callable[[int], str]) -> Node:
    """Write powers of whole numbers as calls of functions that multiply; `name` gives the function of an exponent."""
    operator, operands, text = node
    operands = tuple(products(operand, name) for operand in operands)
    if operator == "^" and operands[1][0] == "number":
        exponent = float(operands[1][2])
        if exponent == int(exponent) and 2 <= exponent <= MOST:
            return (name(int(exponent)), (operands[0],), "")
    return (operator, operands, text)


def save_powers(node: Node, cheap: Callable[[Node], bool]) -> Node:
    """Write squares as products, and `a/(b + a)` with a power `a` as `1/(1 + b/a)`."""
    operator, operands, text = node
    operands = tuple(save_powers(operand, cheap) for operand in operands)
    if operator == "^" and operands[1] == number(2) and cheap(operands[0]):
        return ("*", (operands[0], operands[0]), "")
    if operator == "/" and operands[1][0] == "+" and operands[0] in operands[1][1] and operands[0][0] == "^":
        power = operands[0]
        others = list(operands[1][1])
        others.remove(power)
        rest: Node = others[0] if len(others) == 1 else ("+", tuple(others), "")
        return ("/", (number(1), ("+", (number(1), _times_inverse(rest, power)), "")), "")
    return (operator, operands, text)


def _times_inverse(node: Node, power: Node) -> Node:
    """Return `node/power`; the power of a quotient is turned round instead."""
    base, exponent = power[1]
    if base[0] == "/":
        turned: Node = ("^", (("/", (base[1][1], base[1][0]), ""), exponent), "")
        return turned if node == number(1) else ("*", (node, turned), "")
    return ("/", (node, power), "")
