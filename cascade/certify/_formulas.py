"""From the mathematics of SBML to small trees: functions written out, local parameters resolved, decisions set apart.

Ids of the file are only ever keys of dictionaries; what is generated from a tree later uses numbers for names.
A decision (a comparison, a rounding) is a `Switch`: it is held while the solver steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import libsbml

from cascade.errors import SBMLError

MAX_NODES = 300_000
"""Nodes that the formulas of a model may have once its functions are written out."""

AVOGADRO = 6.02214179e23
"""Value of the symbol `avogadro` that SBML L3 prescribes."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A formula: an operation on formulas, a number, a symbol (`value` is its key) or a switch (its place)."""

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None


def number(value: float) -> Node:
    """Return a number as a formula."""
    return Node("number", value=float(value))


def symbol(key: str) -> Node:
    """Return a symbol as a formula."""
    return Node("symbol", value=key)


@dataclass(frozen=True, slots=True)
class Switch:
    """A decision: the sign of a formula, or the formula rounded down (`floor`) or towards zero (`truncate`)."""

    kind: str
    node: Node


_CALLS = {
    libsbml.AST_FUNCTION_ABS: "abs",
    libsbml.AST_FUNCTION_ARCCOS: "acos",
    libsbml.AST_FUNCTION_ARCCOSH: "acosh",
    libsbml.AST_FUNCTION_ARCSIN: "asin",
    libsbml.AST_FUNCTION_ARCSINH: "asinh",
    libsbml.AST_FUNCTION_ARCTAN: "atan",
    libsbml.AST_FUNCTION_ARCTANH: "atanh",
    libsbml.AST_FUNCTION_COS: "cos",
    libsbml.AST_FUNCTION_COSH: "cosh",
    libsbml.AST_FUNCTION_EXP: "exp",
    libsbml.AST_FUNCTION_FACTORIAL: "factorial",
    libsbml.AST_FUNCTION_LN: "ln",
    libsbml.AST_FUNCTION_SIN: "sin",
    libsbml.AST_FUNCTION_SINH: "sinh",
    libsbml.AST_FUNCTION_TAN: "tan",
    libsbml.AST_FUNCTION_TANH: "tanh",
}

_OVER = {
    libsbml.AST_FUNCTION_SEC: "cos",
    libsbml.AST_FUNCTION_CSC: "sin",
    libsbml.AST_FUNCTION_COT: "tan",
    libsbml.AST_FUNCTION_SECH: "cosh",
    libsbml.AST_FUNCTION_CSCH: "sinh",
    libsbml.AST_FUNCTION_COTH: "tanh",
}
"""1 over a function of the argument."""

_OF_INVERSE = {
    libsbml.AST_FUNCTION_ARCSEC: "acos",
    libsbml.AST_FUNCTION_ARCCSC: "asin",
    libsbml.AST_FUNCTION_ARCCOT: "atan",
    libsbml.AST_FUNCTION_ARCSECH: "acosh",
    libsbml.AST_FUNCTION_ARCCSCH: "asinh",
    libsbml.AST_FUNCTION_ARCCOTH: "atanh",
}
"""A function of 1 over the argument."""

_FOLDED = {
    libsbml.AST_PLUS: ("add", 0.0),
    libsbml.AST_TIMES: ("multiply", 1.0),
    libsbml.AST_FUNCTION_MAX: ("max", None),
    libsbml.AST_FUNCTION_MIN: ("min", None),
    libsbml.AST_LOGICAL_AND: ("and", 1.0),
    libsbml.AST_LOGICAL_OR: ("or", 0.0),
    libsbml.AST_LOGICAL_XOR: ("xor", 0.0),
}
"""Operations on any number of arguments, and what they are of none."""

_RELATIONS = {
    libsbml.AST_RELATIONAL_LT: "lt",
    libsbml.AST_RELATIONAL_LEQ: "leq",
    libsbml.AST_RELATIONAL_GT: "gt",
    libsbml.AST_RELATIONAL_GEQ: "geq",
    libsbml.AST_RELATIONAL_EQ: "eq",
    libsbml.AST_RELATIONAL_NEQ: "neq",
}

_NUMBERS: dict[int, Callable[[Any], float]] = {
    libsbml.AST_INTEGER: lambda tree: float(tree.getInteger()),
    libsbml.AST_REAL: lambda tree: float(tree.getReal()),
    libsbml.AST_REAL_E: lambda tree: float(tree.getReal()),
    libsbml.AST_RATIONAL: lambda tree: float(tree.getReal()),
    libsbml.AST_CONSTANT_E: lambda tree: math.e,
    libsbml.AST_CONSTANT_PI: lambda tree: math.pi,
    libsbml.AST_CONSTANT_TRUE: lambda tree: 1.0,
    libsbml.AST_CONSTANT_FALSE: lambda tree: 0.0,
    libsbml.AST_NAME_AVOGADRO: lambda tree: AVOGADRO,
}


@dataclass
class Reader:
    """Reads the formulas of one model; collects the switches that it meets."""

    functions: Mapping[str, Any]
    switches: list[Switch] = field(default_factory=list)
    nodes: int = 0

    def read(self, tree: Any, where: str, names: Mapping[str, Node] | None = None) -> Node:
        """Return the formula of a libSBML tree; `names` are local parameters or arguments of a function.

        Raises
        ------
        SBMLError
            If the formula needs what this reader refuses: `delay`, or functions that write out without end.
        """
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise SBMLError(f"{where}: the formulas have more than {MAX_NODES} terms once functions are written out")
        if tree is None:
            raise SBMLError(f"{where}: a formula is missing")
        kind = tree.getType()
        if kind in _NUMBERS:
            return number(_NUMBERS[kind](tree))
        if kind == libsbml.AST_NAME:
            name = tree.getName()
            return names[name] if names and name in names else symbol(name)
        if kind == libsbml.AST_NAME_TIME:
            return Node("time")
        if kind == libsbml.AST_FUNCTION_RATE_OF:
            return symbol(rate_of(tree.getChild(0).getName()))
        if kind == libsbml.AST_FUNCTION_DELAY:
            raise SBMLError(f"{where}: uses delay(), which needs the past of the model; this solver has none")
        return self._operation(kind, tree, where, names)

    def _operation(self, kind: int, tree: Any, where: str, names: Mapping[str, Node] | None) -> Node:
        if kind == libsbml.AST_FUNCTION:
            return self._call(tree, where, names)
        args = tuple(self.read(tree.getChild(place), where, names) for place in range(tree.getNumChildren()))
        if kind in _CALLS:
            return Node(_CALLS[kind], args)
        if kind in _OVER:
            return _divide(number(1), Node(_OVER[kind], args))
        if kind in _OF_INVERSE:
            return Node(_OF_INVERSE[kind], (_divide(number(1), args[0]),))
        if kind in _FOLDED:
            return _folded(*_FOLDED[kind], args, where)
        if kind in _RELATIONS:
            pairs = [self._compare(_RELATIONS[kind], *pair) for pair in pairwise(args)]
            return _folded("and", 1.0, tuple(pairs), where)
        return self._other(kind, tree, args, where)

    def _other(self, kind: int, tree: Any, args: tuple[Node, ...], where: str) -> Node:
        if kind == libsbml.AST_MINUS:
            return Node("negative", args) if len(args) == 1 else Node("subtract", args)
        if kind == libsbml.AST_DIVIDE:
            return _divide(*args)
        if kind in (libsbml.AST_POWER, libsbml.AST_FUNCTION_POWER):
            return Node("power", args)
        if kind == libsbml.AST_FUNCTION_ROOT:
            degree, base = args if len(args) == 2 else (number(2), args[0])
            square = degree.op == "number" and degree.value == 2
            return Node("sqrt", (base,)) if square else Node("power", (base, _divide(number(1), degree)))
        if kind == libsbml.AST_FUNCTION_LOG:
            base, value = args if len(args) == 2 else (number(10), args[0])
            return _divide(Node("ln", (value,)), Node("ln", (base,)))
        if kind == libsbml.AST_FUNCTION_PIECEWISE:
            return Node("piecewise", args)
        if kind == libsbml.AST_LOGICAL_NOT:
            return Node("not", args)
        if kind == libsbml.AST_LOGICAL_IMPLIES:
            return Node("or", (Node("not", args[:1]), args[1]))
        if kind == libsbml.AST_FUNCTION_FLOOR:
            return self._switch("floor", args[0])
        if kind == libsbml.AST_FUNCTION_CEILING:
            return Node("negative", (self._switch("floor", Node("negative", args)),))
        if kind == libsbml.AST_FUNCTION_QUOTIENT:
            return self._switch("truncate", _divide(*args))
        if kind == libsbml.AST_FUNCTION_REM:
            whole = Node("multiply", (args[1], self._switch("truncate", _divide(*args))))
            return Node("subtract", (args[0], whole))
        raise SBMLError(f"{where}: uses {tree.getOperatorName() or tree.getName() or kind}, which is not supported")

    def _call(self, tree: Any, where: str, names: Mapping[str, Node] | None) -> Node:
        """Write out a function of the model."""
        name = tree.getName()
        function = self.functions.get(name)
        count = tree.getNumChildren()
        if function is None or function.getBody() is None or function.getNumArguments() != count:
            raise SBMLError(f"{where}: calls {name!r} with {count} arguments; the model has no such function")
        args = [self.read(tree.getChild(place), where, names) for place in range(count)]
        given = {function.getArgument(place).getName(): arg for place, arg in enumerate(args)}
        return self.read(function.getBody(), f"{where}, function {name}", given)

    def _switch(self, kind: str, node: Node) -> Node:
        self.switches.append(Switch(kind, node))
        return Node("switch", value=len(self.switches) - 1)

    def _compare(self, relation: str, left: Node, right: Node) -> Node:
        return Node(relation, (self._switch("sign", Node("subtract", (left, right))),))


def rate_of(name: str) -> str:
    """Return the key of the rate of change of a symbol; ids have no spaces, so it clashes with none."""
    return f"rate of {name}"


def _divide(left: Node, right: Node) -> Node:
    if left.op == right.op == "number" and right.value == 0:  # Python raises even among arrays
        return number(left.value * math.inf)
    return Node("divide", (left, right))


def _folded(op: str, empty: float | None, args: tuple[Node, ...], where: str) -> Node:
    """Write an operation on many arguments as a balanced tree of pairs."""
    if not args:
        if empty is None:
            raise SBMLError(f"{where}: {op}() has no arguments")
        return number(empty)
    if len(args) == 1:
        return args[0]
    middle = len(args) // 2
    return Node(op, (_folded(op, empty, args[:middle], where), _folded(op, empty, args[middle:], where)))


def walk(node: Node, seen: set[int] | None = None) -> Iterator[Node]:
    """Yield every node of a formula once."""
    seen = set() if seen is None else seen
    stack = [node]
    while stack:
        found = stack.pop()
        if id(found) not in seen:
            seen.add(id(found))
            yield found
            stack.extend(found.args)
