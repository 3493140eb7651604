"""The moments of a model: values, decisions and the events of SBML at one time, brought to rest.

Nothing moves here; `cascade.certify._integrate` moves the states from one moment to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from cascade.certify._affine import Line, Lines, decided, next_change, timed_switches
from cascade.certify._emit import on_arrays, on_numbers, write_code
from cascade.certify._formulas import Node, number, symbol
from cascade.certify._system import Happening, System
from cascade.errors import SimulationError

MAX_CASCADE = 1_000
"""Events that may follow each other at one moment."""


class Function:
    """Formulas to evaluate: fast on numbers, and with infinities on arrays where numbers raise."""

    def __init__(self, code: CodeType) -> None:
        self.fast, self.safe = on_numbers(code), on_arrays(code)

    def __call__(self, t: float, y: Sequence[float], p: Sequence[float], f: Sequence[Any]) -> tuple[float, ...]:
        try:
            return self.fast(t, y, p, f)
        except (ZeroDivisionError, OverflowError, ValueError):
            with np.errstate(all="ignore"):
                found = self.safe(np.float64(t), [np.float64(v) for v in y], [np.float64(v) for v in p], f)
            return tuple(float(value) for value in found)


@dataclass
class _Pending:
    """An event that was triggered and waits for its time."""

    time: float
    place: int
    values: tuple[float, ...] | None


class Moment:
    """The state of a model at one time: states `y`, held values `p`, decisions `flags`, events that wait."""

    def __init__(self, system: System, begin: float, tiny: float) -> None:
        """Compute the values at the beginning; times that differ by less than `tiny` are one."""
        self.system, self.t, self.tiny = system, begin, tiny
        self.signs = [place for place, switch in enumerate(system.switches) if switch.kind == "sign"]
        self.live = self._function([system.switches[place].node for place in self.signs], live=True)
        self.triggers = self._function([event.trigger for event in system.events])
        self.places = sorted({place for _, place, _ in system.species.values()})
        self.sizes = self._function([symbol(place) for place in self.places])
        self.timed = timed_switches(system)
        self.effects: dict[int, Function] = {}
        self.index = {key: place for place, key in enumerate(system.states)}
        self.held_index = {key: place for place, key in enumerate(system.held)}
        self.pending: list[_Pending] = []
        self.executed = 0
        self.flags: list[float] = []
        self.lines: dict[int, Line] = {}
        self.watched: list[int] = []
        self._start()

    def _function(self, nodes: list[Node], *, live: bool = False) -> Function:
        return Function(write_code(self.system, self.system.defined, nodes, live=live))

    def _start(self) -> None:
        """Compute the values at time 0, in the order that the formulas ask for."""
        system = self.system
        first = System(switches=system.switches)
        formulas = {**system.starts, **system.defined}
        keys = [*system.states, *system.held]
        code = write_code(first, formulas, [symbol(key) for key in keys], live=True)
        values = Function(code)(self.t, [], [], [None] * len(system.switches))[: len(keys)]
        self.y = [float(value) for value in values[: len(system.states)]]
        self.p = [float(value) for value in values[len(system.states) :]]
        missing = [key for key, value in zip(system.states, self.y, strict=True) if not math.isfinite(value)]
        if missing:
            raise SimulationError(f"{missing[0]} has no start value, or one that is not finite; give it one")
        self.was = [event.starts_true for event in system.events]

    def _held(self) -> dict[str, float]:
        return dict(zip(self.system.held, self.p, strict=True))

    def _decisions(self, after: bool, given: dict[int, float]) -> tuple[list[float], dict[int, Line]]:
        """Return all switches at this time or just after it, and the lines of those that follow a line in time."""
        count = len(self.system.switches)
        if not count:
            return [], {}
        asked: list[float | None] = [None] * count
        for place, value in given.items():
            asked[place] = value
        lines: dict[int, Line] = {}
        found = list(self.live(self.t, self.y, self.p, asked)[len(self.signs) :])
        held = self._held() if self.timed else {}
        for place in self.timed:
            switch = self.system.switches[place]
            line = Lines(self.system, held, found).line(switch.node)
            if line is not None:
                lines[place] = line
                asked[place] = decided(switch, line, self.t, self.tiny, after)
                if asked[place] != found[place]:
                    found = list(self.live(self.t, self.y, self.p, asked)[len(self.signs) :])
        return found, lines

    def next_time(self) -> float:
        changes = [
            next_change(self.system.switches[place], line, self.t, self.tiny) for place, line in self.lines.items()
        ]
        return min([math.inf, *changes, *(each.time for each in self.pending)])

    def settle(self, crossed: dict[int, float]) -> None:
        """Bring decisions and events to rest, first exactly at this time and then just after it."""
        self.flags, self.lines = self._decisions(False, crossed)
        self._fire(False, crossed)
        self.flags, self.lines = self._decisions(True, {})
        self._fire(True, {})
        self.watched = [place for place in range(len(self.flags)) if place not in self.lines]

    def _fire(self, after: bool, given: dict[int, float]) -> None:
        """Trigger and execute events until none is due."""
        for _ in range(MAX_CASCADE):
            if not self.system.events:
                return
            now = [bool(value) for value in self.triggers(self.t, self.y, self.p, self.flags)]
            for place, event in enumerate(self.system.events):
                if now[place] and not self.was[place]:
                    self._trigger(place, event)
            self.pending = [
                each for each in self.pending if now[each.place] or self.system.events[each.place].persistent
            ]
            self.was = now
            due = [each for each in self.pending if each.time <= self.t + self.tiny]
            if not due:
                return
            chosen = min(due, key=lambda each: (-self._priority(each.place), each.time, each.place))
            self.pending.remove(chosen)
            self._execute(chosen)
            self.flags, self.lines = self._decisions(after, {})
        raise SimulationError(f"endless events at time {self.t:g}: events trigger each other without end")

    def _effect(self, place: int) -> Function:
        """Return the function of an event: delay, priority, values to set."""
        if place not in self.effects:
            event = self.system.events[place]
            first: list[Node] = [event.delay or number(0), event.priority or number(-math.inf)]
            nodes = first + [node for _, node in event.sets]
            self.effects[place] = self._function(nodes)
        return self.effects[place]

    def _priority(self, place: int) -> float:
        if self.system.events[place].priority is None:
            return -math.inf
        return float(self._effect(place)(self.t, self.y, self.p, self.flags)[1])

    def _trigger(self, place: int, event: Happening) -> None:
        delay, _, *values = self._effect(place)(self.t, self.y, self.p, self.flags)
        if not delay >= 0:
            raise SimulationError(f"event {event.id!r} has a delay of {delay:g} at time {self.t:g}")
        self.pending.append(_Pending(self.t + delay, place, tuple(values) if event.early_values else None))

    def _execute(self, chosen: _Pending) -> None:
        self.executed += 1
        event = self.system.events[chosen.place]
        values = chosen.values
        if values is None:
            values = tuple(self._effect(chosen.place)(self.t, self.y, self.p, self.flags)[2:])
        sets = dict(zip((key for key, _ in event.sets), values, strict=True))
        for key in sets.keys() & set(self.places):
            self._resize(key, sets[key])
        for key, value in sets.items():
            amount, place, amounts = self.system.species.get(key, (key, "", True))
            if key in self.places and key not in self.system.species:
                continue
            if amount != key and not amounts:
                sizes = dict(zip(self.places, self.sizes(self.t, self.y, self.p, self.flags), strict=True))
                value *= sizes[place]
            self._set(amount, value)

    def _resize(self, compartment: str, size: float) -> None:
        """Change a volume; what is in it stays, so that concentrations change."""
        old = (
            self.p[self.held_index[compartment]] if compartment in self.held_index else self.y[self.index[compartment]]
        )
        self._set(compartment, size)
        for name, (key, place, amounts) in self.system.species.items():
            if place == compartment and key == name and not amounts and key in self.index:
                self._set(key, self.y[self.index[key]] * old / size)

    def _set(self, key: str, value: float) -> None:
        if not math.isfinite(value):
            raise SimulationError(f"an event sets {key} to {value} at time {self.t:g}")
        if key in self.index:
            self.y[self.index[key]] = value
        elif key in self.held_index:
            self.p[self.held_index[key]] = value
        else:
            raise SimulationError(f"an event sets {key}, which a rule or a formula defines")
