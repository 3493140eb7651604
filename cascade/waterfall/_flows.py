"""The rates of a chain of cells per cell, read from a run at chosen times: one pass over the formulas of the model.

The cells are put into the formulas as symbols (a number plus so much of each link), so that every rate comes out as its
own coefficients, exactly; a rate that is not of the first order in the cells cannot be computed, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._stages import SOURCES, Chain, Flow
from cascade._starts import observed, states_of, trajectories
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROWTH = "n_tumor"
"""Local id of the size of a tumor among the variables of its burden."""

_MOMENT = 1e-6
"""Days: a point of a mesh this close to a jump is the jump."""

_NOTHING = 1e-9
"""Share of a flow below which a source is rounding."""


class Linear:
    """A number plus so much of each link, at several times: what formulas of the first order compute with."""

    __array_ufunc__ = None
    __slots__ = ("free", "terms")

    def __init__(self, free: Any, terms: dict[str, Any]) -> None:
        self.free, self.terms = free, terms

    def __add__(self, other: Any) -> Linear:
        if not isinstance(other, Linear):
            return Linear(self.free + other, self.terms)
        terms = dict(self.terms)
        for name, number in other.terms.items():
            terms[name] = terms[name] + number if name in terms else number
        return Linear(self.free + other.free, terms)

    def __mul__(self, other: Any) -> Linear:
        if isinstance(other, Linear):
            raise TypeError("a product of cells")
        return Linear(self.free * other, {name: number * other for name, number in self.terms.items()})

    def __truediv__(self, other: Any) -> Linear:
        return self * (1.0 / np.asarray(other, np.float64))

    def __neg__(self) -> Linear:
        return self * -1.0

    def __sub__(self, other: Any) -> Linear:
        return self.__add__(-other)

    def __rsub__(self, other: Any) -> Linear:
        return self.__neg__().__add__(other)

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True)
class Rate:
    """The coefficients of one flow over the points of a mesh: per tumor, and per cell of each link."""

    source: NDArray[np.float64]
    per_cell: Mapping[str, NDArray[np.float64]]

    def equals(self, other: Rate) -> bool:
        """Tell whether two rates are the same to the last bit."""
        return (
            self.per_cell.keys() == other.per_cell.keys()
            and np.array_equal(self.source, other.source)
            and all(np.array_equal(number, other.per_cell[name]) for name, number in self.per_cell.items())
        )


@dataclass(frozen=True)
class History:
    """One run, on a clock that starts at `origin`.

    Attributes
    ----------
    time : array
        Days of the rows.
    states : mapping of str to array
        Over the rows: what the rates depend on.
    given : mapping of str to float
        Values of constants of this run.
    origin : float
        Day of the run at which the clock is 0.
    jumps : tuple of float
        Days at which events change something.
    """

    time: NDArray[np.float64]
    states: Mapping[str, NDArray[np.float64]] = field(repr=False)
    given: Mapping[str, float] = field(repr=False)
    origin: float = 0.0
    jumps: tuple[float, ...] = ()

    def at(self, clock: NDArray[np.float64]) -> dict[str, Any]:
        """Return states and constants at these times; at a jump, what is true after it.

        Between rows states are linear, across a jump they are not: there the nearest row of the same side is taken.
        Before the run began and after it ended, its first and last row.
        """
        days = np.clip(clock + self.origin, self.time[0], self.time[-1])
        row = np.clip(np.searchsorted(self.time, days, side="right") - 1, 0, len(self.time) - 2)
        share = (days - self.time[row]) / (self.time[row + 1] - self.time[row])
        for jump in self.jumps:
            crossed = (self.time[row] <= jump) & (self.time[row + 1] >= jump)
            share = np.where(crossed, np.where(days < jump - _MOMENT, 0.0, 1.0), share)
        return {
            **self.given,
            **{name: values[row] + share * (values[row + 1] - values[row]) for name, values in self.states.items()},
        }


class Reader:
    """Reads the rates of a chain from histories."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.names = tuple(flow.id for flow in chain.flows)
        known = observed(chain.flat)
        for flow in chain.flows:
            if flow.id not in known:
                raise AnalysisError(
                    f"the rate of {flow.name!r} has a formula that cannot be followed (it reads the time, or uses a"
                    " function that is not supported); write it with states and arithmetic"
                )
        self.states = states_of(chain.flat, (*self.names, *chain.burden))

    def burden(self, history: History, clock: NDArray[np.float64]) -> dict[str, Any]:
        """Return size and presence of the primary tumor; before its first cell there is none."""
        found: dict[str, Any] = dict(trajectories(self.chain.flat, self.chain.burden, history.at(clock)))
        before = clock + history.origin < history.time[0]
        for name in self.chain.burden:
            if name.endswith(f"__{_GROWTH}"):
                found[name] = np.where(before, 0.0, found[name])
        return found

    def rates(self, history: History, burden: Mapping[str, Any], clock: NDArray[np.float64]) -> list[Rate]:
        """Return the rate of every flow where all but the primary is as in `history`.

        Raises
        ------
        AnalysisError
            If a flow is not of the first order in the cells, or cells come from outside of the chain.
        """
        known = history.at(clock) | dict(burden)
        known |= {name: Linear(0.0, {name: 1.0}) for name in self.chain.links}
        try:
            found = trajectories(self.chain.flat, self.names, known)
        except TypeError:
            raise self._bent(known) from None
        return [self._rate(flow, found[flow.id], len(clock)) for flow in self.chain.flows]

    def check_sources(self, history: History, clock: NDArray[np.float64]) -> None:
        """Make sure that without a tumor no cell starts on its way."""
        burden = self.burden(history, clock)
        whole = self.rates(history, burden, clock)
        none = {name: 0.0 * value if name.endswith(f"__{_GROWTH}") else value for name, value in burden.items()}
        for flow, rate, empty in zip(self.chain.flows, whole, self.rates(history, none, clock), strict=True):
            if np.abs(empty.source).max() > _NOTHING * np.abs(rate.source).max():
                raise AnalysisError(
                    f"{flow.name!r} goes on without {', '.join(self.chain.burden)}, so what the growth of the tumor"
                    " does cannot be told from what comes after it; let it depend on the output `n_tumor` of the clone"
                )

    def _rate(self, flow: Flow, value: Any, points: int) -> Rate:
        free, terms = (value.free, value.terms) if isinstance(value, Linear) else (value, {})
        free = np.array(np.broadcast_to(np.asarray(free, dtype=float), points))
        per_cell = {
            name: np.array(np.broadcast_to(np.asarray(number, dtype=float), points)) for name, number in terms.items()
        }
        for name, number in (("", free), *per_cell.items()):
            if not np.isfinite(number).all():
                raise AnalysisError(f"the rate of {flow.name!r} {f'per {name} ' if name else ''}is not a finite number")
        if flow.takes and (set(per_cell) - {flow.takes} or free.any()):
            others = ", ".join(sorted(set(per_cell) - {flow.takes})) or "no cell"
            raise AnalysisError(
                f"{flow.name!r} takes {flow.takes!r} at a rate that depends on {others}; only cells that act on no"
                " other can be followed"
            )
        if flow.stage not in SOURCES and free.any():
            raise AnalysisError(
                f"{flow.name!r} (stage {flow.stage}) makes cells that do not come from a link before it; a module on"
                ' the way of the cells belongs to no stage: name it, stages={"module.*": stage}'
            )
        return Rate(free, per_cell)

    def _bent(self, known: Mapping[str, Any]) -> AnalysisError:
        """Name the flow that is not of the first order."""
        for flow in self.chain.flows:
            try:
                trajectories(self.chain.flat, (flow.id,), known)
            except TypeError:
                return AnalysisError(
                    f"the rate of {flow.name!r} is not of the first order in the cells; cells that act on each other"
                    " cannot be followed through the stages"
                )
        return AnalysisError("the rates of the cells cannot be computed together, though each alone can")


def replace_equal(rates: Sequence[Rate], base: Sequence[Rate]) -> list[Rate]:
    """Return rates in which those that equal the base are the same objects, so that work on them is not repeated."""
    return [old if new.equals(old) else new for new, old in zip(rates, base, strict=True)]
