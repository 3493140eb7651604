"""Solves the equations of a model with SciPy: smooth pieces between decisions, and the events of SBML between them.

Within a piece every decision (comparison, rounding) is held, so that the solver sees a smooth function. A piece ends
where a decision changes: at times that are computed exactly where they depend on time alone, by bisection otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.certify._emit import on_arrays, write_code
from cascade.certify._formulas import number, symbol
from cascade.certify._moment import Moment
from cascade.certify._system import System
from cascade.errors import SimulationError

MAX_INSTANTS = 200_000
"""Moments of decision that a run may have."""

MAX_CROWD = 500
"""Moments of decision that may follow each other within a hair of time."""

SAMPLES = 5
"""Moments within a step at which decisions are looked at."""

IDLE = "idle state"


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How exactly to solve: tolerances (`absolute` one a state), and the longest step."""

    relative: float = 1e-8
    absolute: float | NDArray[np.float64] = 1e-12
    longest: float = math.inf
    method: str = "LSODA"


class Integration(Moment):
    """One run of a system."""

    def __init__(
        self, system: System, times: NDArray[np.float64], precision: Precision, *, keep_states: bool = False
    ) -> None:
        if not system.states:
            system.states[IDLE], system.starts[IDLE] = number(0), number(0)
        super().__init__(system, float(times[0]), 1e-12 * float(times[-1]))
        self.times, self.precision = times, precision
        self.rate = self._function(list(system.states.values()))
        self.observe = on_arrays(write_code(system, system.defined, [symbol(name) for name in system.output]))
        self.instants = self.crowd = self.steps = 0
        self.keep_states = keep_states
        self.kept: list[tuple[float, NDArray[np.float64], list[float], list[float]]] = []
        self.rows = np.full((len(times), len(system.output)), np.nan)
        self.next_row = 0

    def run(self) -> NDArray[np.float64]:
        """Return the values of `system.output` at every time, rows x symbols.

        Raises
        ------
        SimulationError
            If the solver fails, or decisions never come to rest.
        """
        end = float(self.times[-1])
        self.settle({})
        while True:
            self._record_instant()
            if self.t >= end - self.tiny:
                return self.rows
            stop = min(end, self.next_time())
            before = self.t
            crossed = self._advance(stop)
            self._count(self.t - before)
            self.settle(crossed)

    def _count(self, passed: float) -> None:
        """Count a moment of decision; refuse a model whose decisions never come to rest."""
        self.instants += 1
        self.crowd = self.crowd + 1 if passed < 1e3 * self.tiny else 0
        if self.instants > MAX_INSTANTS or self.crowd > MAX_CROWD:
            raise SimulationError(f"events or decisions follow each other without end at time {self.t:g}")

    def _advance(self, stop: float) -> dict[int, float]:
        """Integrate to `stop` or the first change of a decision; return the switches that cross there."""
        if stop - self.t <= self.tiny:
            self.t = stop
            return {}
        solver = self._solver(stop)
        while solver.status == "running":
            message = solver.step()
            self.steps += 1
            if solver.status == "failed" or not np.all(np.isfinite(solver.y)):
                raise SimulationError(f"the solver failed at time {solver.t:g}: {message or 'not a finite number'}")
            dense = solver.dense_output()
            changed = self._first_change(dense, solver.t_old, solver.t)
            reached = solver.t if changed is None else changed
            self._record(dense, reached)
            if changed is not None:
                self.t, self.y = changed, dense(changed).tolist()
                live = self._live_at(self.t, self.y)
                return {
                    place: 0.0 for place in self.signs if place in self.watched and live[place] != self.flags[place]
                }
        self.t, self.y = stop, solver.y.tolist()
        return {}

    def _solver(self, stop: float) -> Any:
        from scipy import integrate

        kind = getattr(integrate, self.precision.method)
        options: dict[str, Any] = {
            "rtol": self.precision.relative,
            "atol": self.precision.absolute,
            "max_step": min(self.precision.longest, stop - self.t),
            "jac": self._jacobian,
        }
        return kind(self._rate, self.t, np.array(self.y), stop, **options)

    def _rate(self, t: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array(self.rate(t, y.tolist(), self.p, self.flags))

    def _jacobian(self, t: float, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the exact derivative of the rates by complex steps: one evaluation on all columns."""
        count, step = len(y), 1e-100
        columns = np.repeat(y[:, None].astype(complex), count, axis=1)
        columns[np.diag_indices(count)] += 1j * step
        found = np.zeros((count, count))
        with np.errstate(all="ignore"):
            rates = self.rate.safe(t, list(columns), self.p, self.flags)
        for place, rate in enumerate(rates):
            found[place] = np.imag(rate) / step
        found[~np.isfinite(found)] = 0.0
        return found

    def _live_at(self, t: float, y: Sequence[float]) -> Sequence[float]:
        asked = [self.flags[place] if place in self.lines else None for place in range(len(self.flags))]
        return self.live(t, y, self.p, asked)[len(self.signs) :]

    def _differs(self, dense: Any, t: float) -> bool:
        live = self._live_at(t, dense(t).tolist())
        return any(live[place] != self.flags[place] and live[place] == live[place] for place in self.watched)

    def _first_change(self, dense: Any, begin: float, end: float) -> float | None:
        """Return the first time in a step, to a hair after it, at which a watched decision has changed."""
        if not self.watched:
            return None
        moments = np.linspace(begin, end, SAMPLES + 1)
        low = begin
        for moment in moments[1:]:
            if self._differs(dense, moment):
                return self._bisected(dense, low, float(moment))
            low = float(moment)
        grazing = self._grazing(dense, moments)
        return None if grazing is None else self._bisected(dense, *grazing)

    def _bisected(self, dense: Any, low: float, high: float) -> float:
        while high - low > self.tiny:
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (low, middle) if self._differs(dense, middle) else (middle, high)
        return high

    def _grazing(self, dense: Any, moments: NDArray[np.float64]) -> tuple[float, float] | None:
        """Look between the samples for a decision that changes and changes back."""
        from scipy.optimize import minimize_scalar

        asked = [self.flags[place] if place in self.lines else None for place in range(len(self.flags))]
        table = np.array([self.live(t, dense(t).tolist(), self.p, asked)[: len(self.signs)] for t in moments])
        for column, place in enumerate(self.signs):
            values = np.abs(table[:, column])
            if place not in self.watched or not np.all(np.isfinite(values)):
                continue
            for middle in range(1, len(moments) - 1):
                left, here, right = values[middle - 1 : middle + 2]
                bend = left - 2 * here + right
                if (
                    not (here <= left and here <= right and bend > 0)
                    or here - (right - left) ** 2 / 8 / bend > 0.3 * here
                ):
                    continue
                sign = self.flags[place]

                def height(t: float, column: int = column, sign: float = sign) -> float:
                    return sign * float(self.live(t, dense(t).tolist(), self.p, asked)[column])

                found = minimize_scalar(height, bounds=(moments[middle - 1], moments[middle + 1]), method="bounded")
                if found.fun < 0:
                    return float(moments[middle - 1]), float(found.x)
        return None

    def _record(self, dense: Any, reached: float) -> None:
        """Fill the rows before `reached`."""
        last = self.next_row
        while last < len(self.times) and self.times[last] < reached - self.tiny:
            last += 1
        if last > self.next_row:
            times = self.times[self.next_row : last]
            self._fill(slice(self.next_row, last), times, np.atleast_2d(dense(times)))
            self.next_row = last

    def _record_instant(self) -> None:
        """Fill the row at this time, with what events have made of it."""
        while self.next_row < len(self.times) and self.times[self.next_row] <= self.t + self.tiny:
            row = slice(self.next_row, self.next_row + 1)
            self._fill(row, self.times[row], np.array(self.y)[:, None])
            self.next_row += 1

    def _fill(self, rows: slice, times: NDArray[np.float64], states: NDArray[np.float64]) -> None:
        if self.keep_states:
            held = list(self.p)
            self.kept += [(float(t), states[:, place], held, self.flags) for place, t in enumerate(times)]
        with np.errstate(all="ignore"):
            held = [np.float64(value) for value in self.p]
            for column, values in enumerate(self.observe(times, list(states), held, self.flags)):  # type: ignore[arg-type]
                self.rows[rows, column] = np.real(values)

    def sensitivity(
        self, t: float, y: NDArray[np.float64], p: Sequence[float], flags: Sequence[float]
    ) -> NDArray[np.float64]:
        """Return, for every symbol of the output, the sum over the states of |derivative x state|."""
        count, step = len(y), 1e-100
        columns = np.repeat(y[:, None].astype(complex), count, axis=1)
        columns[np.diag_indices(count)] += 1j * step
        found = np.zeros(len(self.system.output))
        with np.errstate(all="ignore"):
            values = self.observe(t, list(columns), [np.float64(value) for value in p], flags)
            for place, value in enumerate(values):
                found[place] = np.sum(np.abs(np.imag(value) / step * y)) if np.ndim(value) else 0.0
        return np.nan_to_num(found, posinf=0.0)
