"""From formulas to fast functions: Python syntax trees with numbered names, compiled once, run on numbers or arrays.

No text of the file takes part: a name in the code is a letter and a number, so that no id can become code.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

import numpy as np

from cascade.certify._formulas import Node
from cascade.certify._system import System, needs

Compiled = Callable[[float, Any, Any, Any], tuple[Any, ...]]
"""From time, states, held values and switches to the values that were asked for."""

_BINARY: dict[str, ast.operator] = {
    "add": ast.Add(),
    "subtract": ast.Sub(),
    "multiply": ast.Mult(),
    "divide": ast.Div(),
}
_RELATION: dict[str, ast.cmpop] = {
    "lt": ast.Lt(),
    "leq": ast.LtE(),
    "gt": ast.Gt(),
    "geq": ast.GtE(),
    "eq": ast.Eq(),
    "neq": ast.NotEq(),
}


def _name(text: str) -> ast.expr:
    return ast.Name(text, ast.Load())


def _item(vector: str, place: int) -> ast.expr:
    return ast.Subscript(_name(vector), ast.Constant(place), ast.Load())


def _boolean(condition: ast.expr) -> ast.expr:
    return ast.IfExp(condition, ast.Constant(True), ast.Constant(False))


class _Writer:
    """Writes one function: a statement for each operation, and none twice."""

    def __init__(self, system: System, live: bool) -> None:
        self.live = live
        self.switches = system.switches
        self.states = {key: place for place, key in enumerate(system.states)}
        self.held = {key: place for place, key in enumerate(system.held)}
        self.body: list[ast.stmt] = []
        self.known: dict[str, str] = {}
        self.made: dict[tuple[Any, ...], str] = {}

    def keep(self, key: tuple[Any, ...], expression: ast.expr) -> str:
        """Give an expression a name, or find the one it has."""
        if key not in self.made:
            self.made[key] = f"x{len(self.made)}"
            self.body.append(ast.Assign([ast.Name(self.made[key], ast.Store())], expression))
        return self.made[key]

    def write(self, node: Node) -> str:
        """Write a formula and return the name of its value."""
        done: dict[int, str] = {}
        stack = [(node, False)]
        while stack:
            each, ready = stack.pop()
            if id(each) in done:
                continue
            if ready or not each.args:
                done[id(each)] = self._one(each, [done[id(arg)] for arg in each.args])
            else:
                stack.append((each, True))
                stack.extend((arg, False) for arg in each.args)
        return done[id(node)]

    def _one(self, node: Node, args: list[str]) -> str:
        if node.op == "symbol":
            return self._symbol(node.value)
        if node.op == "number":
            return self.keep(("number", repr(node.value)), ast.Constant(node.value))
        if node.op == "time":
            return "t"
        if node.op == "switch":
            if self.live:
                return self.known[f"switch {node.value}"]
            return self.keep(("switch", node.value), _item("f", node.value))
        return self.keep((node.op, *args), _expression(node, [_name(arg) for arg in args]))

    def _symbol(self, key: str) -> str:
        if key in self.known:
            return self.known[key]
        if key in self.states:
            return self.keep(("state", self.states[key]), _item("y", self.states[key]))
        return self.keep(("held", self.held[key]), _item("p", self.held[key]))

    def define(self, key: str, node: Node) -> None:
        """Write the formula of a key, or decide a switch unless its value is given."""
        value = self.write(node)
        if key.startswith("switch "):
            place = int(key.removeprefix("switch "))
            decided = ast.Call(_name(self.switches[place].kind), [_name(value)], [])
            given = ast.Compare(_item("f", place), [ast.Is()], [ast.Constant(None)])
            value = self.keep(("decided", place), ast.IfExp(given, decided, _item("f", place)))
        self.known[key] = value


def _expression(node: Node, args: list[ast.expr]) -> ast.expr:
    op = node.op
    if op in _BINARY:
        return ast.BinOp(args[0], _BINARY[op], args[1])
    if op in _RELATION:
        return ast.Compare(args[0], [_RELATION[op]], [ast.Constant(0)])
    if op == "negative":
        return ast.UnaryOp(ast.USub(), args[0])
    if op in ("and", "or"):
        return _boolean(ast.BoolOp(ast.And() if op == "and" else ast.Or(), args))
    if op == "not":
        return ast.UnaryOp(ast.Not(), args[0])
    if op == "xor":
        return ast.Compare(ast.UnaryOp(ast.Not(), args[0]), [ast.NotEq()], [ast.UnaryOp(ast.Not(), args[1])])
    if op == "power":
        exponent = node.args[1]
        if exponent.op == "number" and exponent.value == int(exponent.value) and 0 <= exponent.value <= 16:
            return ast.BinOp(args[0], ast.Pow(), ast.Constant(int(exponent.value)))
    if op == "piecewise":
        otherwise: ast.expr = args[-1] if len(args) % 2 else ast.Constant(math.nan)
        for place in range(2 * (len(args) // 2) - 2, -1, -2):
            otherwise = ast.IfExp(args[place + 1], args[place], otherwise)
        return otherwise
    return ast.Call(_name(op), args, [])


def write_code(system: System, formulas: Mapping[str, Node], wanted: Sequence[Node], *, live: bool = False) -> CodeType:
    """Write a function of time `t`, states `y`, held values `p` and switches `f` that returns the wanted formulas.

    Parameters
    ----------
    formulas : mapping
        Formulas of keys that are neither states nor held; only those that are needed are written.
    live : bool
        Decide every switch that is None in `f`, and return all switches after the wanted formulas; otherwise take the
        switches from `f`.
    """
    writer = _Writer(system, live)
    for key in _pruned(system, formulas, wanted, live):
        writer.define(key, system.node(key, formulas))
    names = [writer.write(node) for node in wanted]
    if live:
        names += [writer.known[f"switch {place}"] for place in range(len(system.switches))]
    result = ast.Return(ast.Tuple([_name(name) for name in names], ast.Load()))
    arguments = ast.arguments([], [ast.arg(letter) for letter in "typf"], None, [], [], None, [])
    function = ast.FunctionDef("compute", arguments, [*writer.body, result], [])
    module = ast.fix_missing_locations(ast.Module([function], []))
    return compile(module, "<equations of the model>", "exec")


def _pruned(system: System, formulas: Mapping[str, Node], wanted: Sequence[Node], live: bool) -> Iterator[str]:
    """Yield the keys that are needed, in the order of evaluation."""
    needed: set[str] = set()
    stack = [key for node in wanted for key in needs(node)]
    if live:
        stack += [f"switch {place}" for place in range(len(system.switches))]
    while stack:
        key = stack.pop()
        if key in needed or not (key in formulas or (live and key.startswith("switch "))):
            continue
        needed.add(key)
        stack.extend(needs(system.node(key, formulas)))
    yield from (key for key in system.order(formulas) if key in needed)


def on_numbers(code: CodeType) -> Compiled:
    """Return the function on Python floats; it raises where an operation has no number."""
    return _loaded(code, SCALAR)


def on_arrays(code: CodeType) -> Compiled:
    """Return the function on NumPy arrays, real or complex, one column a state vector."""
    return _loaded(code, _ARRAY)


def _loaded(code: CodeType, functions: Mapping[str, Any]) -> Compiled:
    space: dict[str, Any] = {"__builtins__": {}, **functions}
    exec(code, space)
    function: Compiled = space["compute"]
    return function


def _sign(value: Any) -> float:
    if value != value:
        return math.nan
    return float(value > 0) - float(value < 0)


_DECISIONS = {"sign": _sign, "floor": np.floor, "truncate": np.trunc}

SCALAR: dict[str, Any] = _DECISIONS | {
    "abs": abs,
    "ln": math.log,
    "power": math.pow,
    "factorial": lambda x: math.gamma(x + 1),
    "max": lambda a, b: b if b > a or b != b else a,
    "min": lambda a, b: b if b < a or b != b else a,
}
"""What the names of functions mean on numbers."""
SCALAR |= {
    name: getattr(math, name)
    for name in "sqrt exp sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split()  # noqa: SIM905
}


def _pick(first: bool) -> Callable[[Any, Any], Any]:
    def choose(a: Any, b: Any) -> Any:
        smaller = np.real(a) < np.real(b)
        return np.where(smaller if first else ~smaller, a, b)

    return choose


def _absolute(x: Any) -> Any:
    return np.where(np.real(x) < 0, -x, x)


def _factorial(x: Any) -> Any:
    from scipy.special import gamma

    return gamma(np.asarray(x) + 1)


_ARRAY: dict[str, Any] = _DECISIONS | {
    "abs": _absolute,
    "ln": np.log,
    "power": np.power,
    "factorial": _factorial,
    "max": _pick(False),
    "min": _pick(True),
}
_ARRAY |= {name: getattr(np, name) for name in "sqrt exp sin cos tan sinh cosh tanh".split()}  # noqa: SIM905
_ARRAY |= {name: getattr(np, "arc" + name[1:]) for name in "asin acos atan asinh acosh atanh".split()}  # noqa: SIM905
