"""When does a decision that depends on time alone change? Exactly, where its formula is a straight line in time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cascade.certify._emit import SCALAR
from cascade.certify._formulas import Node, Switch
from cascade.certify._system import System, needs

Line = tuple[float, float]
"""Value at time 0 and slope."""

_RELATIONS: dict[str, Callable[[float], bool]] = {
    "lt": lambda x: x < 0,
    "leq": lambda x: x <= 0,
    "gt": lambda x: x > 0,
    "geq": lambda x: x >= 0,
    "eq": lambda x: x == 0,
    "neq": lambda x: x != 0,
    "not": lambda x: not x,
}


def timed_switches(system: System) -> list[int]:
    """Return the switches whose formula mentions no state, however far one follows it."""
    return [place for place, switch in enumerate(system.switches) if not _moves(system, switch.node)]


def _moves(system: System, node: Node) -> bool:
    stack, seen = list(needs(node)), set()
    while stack:
        key = stack.pop()
        if key in system.states:
            return True
        if key in seen:
            continue
        seen.add(key)
        if key in system.defined or key.startswith("switch "):
            stack.extend(needs(system.node(key, system.defined)))
    return False


class Lines:
    """Formulas as straight lines in time while held values and switches stay as they are."""

    def __init__(self, system: System, held: Mapping[str, float], switches: Sequence[float]) -> None:
        self.system, self.held, self.switches = system, held, switches
        self.known: dict[str, Line | None] = {}

    def line(self, node: Node) -> Line | None:
        """Return the line of a formula, or None if it is none."""
        op = node.op
        if op == "number":
            return node.value, 0.0
        if op == "time":
            return 0.0, 1.0
        if op == "switch":
            return float(self.switches[node.value]), 0.0
        if op == "symbol":
            return self._symbol(node.value)
        if op == "piecewise":
            return self._chosen(node)
        found = [self.line(arg) for arg in node.args]
        lines = [each for each in found if each is not None]
        if len(lines) < len(found):
            return None
        try:
            return _combined(op, lines)
        except (ValueError, ZeroDivisionError, OverflowError):
            return math.nan, 0.0

    def _symbol(self, key: str) -> Line | None:
        if key in self.held:
            return self.held[key], 0.0
        if key not in self.known:
            node = self.system.defined.get(key)
            self.known[key] = None if node is None else self.line(node)
        return self.known[key]

    def _chosen(self, node: Node) -> Line | None:
        """Return the line of the branch that holds now."""
        for place in range(0, len(node.args) - 1, 2):
            condition = self.line(node.args[place + 1])
            if condition is None:
                return None
            if condition[0]:
                return self.line(node.args[place])
        return self.line(node.args[-1]) if len(node.args) % 2 else (math.nan, 0.0)


def _combined(op: str, lines: list[Line]) -> Line | None:
    (a, p), (b, q) = lines[0], lines[-1]
    if op == "add":
        return a + b, p + q
    if op == "subtract":
        return a - b, p - q
    if op == "negative":
        return -a, -p
    if op == "multiply" and (p == 0 or q == 0):
        return a * b, p * b + a * q
    if op == "divide" and q == 0:
        return a / b, p / b
    if any(slope for _, slope in lines):
        return None
    values: list[Any] = [value for value, _ in lines]
    if op in _RELATIONS:
        return float(_RELATIONS[op](values[0])), 0.0
    if op in ("and", "or", "xor"):
        truths = [bool(value) for value in values]
        return float({"and": all(truths), "or": any(truths), "xor": truths[0] != truths[1]}[op]), 0.0
    return float(SCALAR[op](*values)), 0.0


def decided(switch: Switch, line: Line, time: float, tiny: float, after: bool) -> float:
    """Return what a switch is at a time, or just after it.

    A change within `tiny` of the time counts as being at it.
    """
    value, slope = line[0] + line[1] * time, line[1]
    near = abs(slope) * tiny
    if switch.kind == "sign":
        if slope and abs(value) <= near:
            value = slope if after else 0.0
        return math.nan if value != value else float((value > 0) - (value < 0))
    if not math.isfinite(value):
        return value
    whole = float(round(value))
    if slope and abs(value - whole) <= near:
        value = whole + math.copysign(0.5, slope) if after else whole
    return float(math.floor(value) if switch.kind == "floor" else math.trunc(value))


def next_change(switch: Switch, line: Line, time: float, tiny: float) -> float:
    """Return the first time after `time` at which a switch changes, or infinity."""
    value, slope = line[0] + line[1] * time, line[1]
    if not slope or not math.isfinite(value):
        return math.inf
    if switch.kind == "sign":
        change = -line[0] / slope
        return change if change > time + tiny else math.inf
    level = math.floor(value) + 1.0 if slope > 0 else math.ceil(value) - 1.0
    change = (level - line[0]) / slope
    return change if change > time + tiny else (level + math.copysign(1.0, slope) - line[0]) / slope
