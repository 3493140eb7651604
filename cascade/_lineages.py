"""Lineages of independent individuals: the law of the first detected lesion, exactly and by sampling."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._fates import DETECTED, Fates
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 2_000_000
"""Individuals sampled at a time."""

_STEPS = 4
"""Steps between two rows of rates."""

_CERTAIN = 1e-15
"""A risk this close to 1 is 1 to the last bit; its logarithm must stay finite."""


@dataclass(frozen=True)
class _Equations:
    """The backward equations of the risk and of the mean, event by event."""

    source: NDArray[np.int64]
    others: NDArray[np.float64]
    lesions: NDArray[np.float64]

    @classmethod
    def of(cls, fates: Fates) -> _Equations:
        leaves = np.zeros((len(fates.events), len(fates.types) + 1))  # the last column counts detected lesions
        for row, event in enumerate(fates.events):
            for product in (*event.products, *(() if event.consumed else (event.source,))):
                leaves[row, product] += 1
        return cls(np.array([event.source for event in fates.events]), leaves[:, :-1], leaves[:, -1])

    def gathered(self, flows: NDArray[Any]) -> NDArray[Any]:
        """Sum the last axis from events to their sources."""
        matrix = np.zeros((len(self.source), self.others.shape[1]))
        matrix[np.arange(len(self.source)), self.source] = 1.0
        total: NDArray[Any] = flows @ matrix
        return total

    def linear(self, rates: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the matrix of the expected numbers; it has no negative entry off the diagonal."""
        matrix = self.gathered((rates[:, None] * self.others).T).T
        np.add.at(matrix, (self.source, self.source), -rates)
        return matrix

    def risk(self, rates: NDArray[np.float64], risk: NDArray[Any], gone: Any) -> NDArray[Any]:
        """Return the slope of 1 - E[s^lesions], `gone` = 1 - s: an event leaves others of independent fate."""
        none = log_none(risk) @ self.others.T
        kept = (1.0 - np.asarray(gone)[..., None]) ** self.lesions
        return self.gathered(rates * ((1.0 - kept) - kept * np.expm1(none) - risk[..., self.source]))


def log_none(risk: NDArray[Any]) -> NDArray[Any]:
    """Return log(1 - risk), finite where a risk is 1 to the last bit."""
    if np.iscomplexobj(risk):
        risk = np.where(np.abs(1.0 - risk) < _CERTAIN, 1.0 - _CERTAIN, risk)
    else:
        risk = np.minimum(risk, 1.0 - _CERTAIN)
    return np.asarray(np.log1p(-risk))


def solve(fates: Fates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve the backward (Kolmogorov) equations for one individual of each type.

    Returns
    -------
    tuple of arrays over time and type
        Probability of a detected lesion, and the expected number of detected lesions.
    """
    if fates.constant:
        return _at_constant_rates(fates)
    return _march(fates, np.ones(len(fates.time))), _march(fates, np.ones(len(fates.time)), mean=True)


def generating(fates: Fates, marks: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return 1 - E[mark^lesions] at the last time, over marks and types."""
    found: NDArray[np.complex128] = _march(fates, 1.0 - marks, together=True)
    return found


def _at_constant_rates(fates: Fates) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.integrate import solve_ivp

    size = len(fates.types)
    equations = _Equations.of(fates)
    rates = np.array([event.rates[0] for event in fates.events])
    matrix, inflow = equations.linear(rates), equations.gathered(rates * equations.lesions)

    def slope(_: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([equations.risk(rates, state[:size], 1.0), matrix @ state[size:] + inflow])

    found = solve_ivp(
        slope, (0.0, fates.time[-1]), np.zeros(2 * size), "LSODA", t_eval=fates.time, rtol=1e-9, atol=1e-24
    )
    if not found.success:
        raise AnalysisError(f"the equations of the lineages could not be solved: {found.message}")
    return found.y[:size].T, found.y[size:].T


def _march(fates: Fates, gone: NDArray[Any], *, mean: bool = False, together: bool = False) -> NDArray[Any]:
    """Go back from the last row to the first, for all horizons (or marks, `together`) at once.

    Exponential Runge-Kutta steps of order 2 (Cox and Matthews 2002): what is linear is exact at the rates in the middle
    of each step, however fast; only the product of several risks is approximated.
    """
    equations = _Equations.of(fates)
    rates = np.array([event.rates for event in fates.events])
    state = np.zeros((len(gone), len(fates.types)), dtype=complex if np.iscomplexobj(gone) else float)
    for row in range(len(fates.time) - 2, -1, -1):
        active = slice(None) if together else slice(row + 1, None)
        step = (fates.time[row + 1] - fates.time[row]) / _STEPS
        for part in range(_STEPS - 1, -1, -1):
            share = (part + 0.5) / _STEPS
            now = (1 - share) * rates[:, row] + share * rates[:, row + 1]
            state[active] = _step(equations, now, state[active], gone[active], step, mean)
    return state


def _step(
    equations: _Equations, rates: NDArray[np.float64], state: NDArray[Any], gone: NDArray[Any], step: float, mean: bool
) -> NDArray[Any]:
    matrix = equations.linear(rates)
    whole, first, second = _exponentials(matrix, step)
    lesions = equations.gathered(rates * equations.lesions)
    if mean:
        return state @ whole.T + lesions @ first.T

    def rest(risk: NDArray[Any]) -> NDArray[Any]:
        return equations.risk(rates, risk, gone) - risk @ matrix.T

    begin = rest(state)
    guess = state @ whole.T + begin @ first.T
    found: NDArray[Any] = guess + (rest(guess) - begin) @ second.T / step
    return found


def _exponentials(matrix: NDArray[np.float64], step: float) -> tuple[NDArray[np.float64], ...]:
    """Return exp(hA), its integral over the step and the integral of that, to full relative precision.

    The matrix has no negative entry off the diagonal: once the diagonal is shifted, nothing cancels.
    """
    size = len(matrix)
    big = np.zeros((3 * size, 3 * size))
    big[:size, :size] = matrix
    big[:size, size : 2 * size] = big[size : 2 * size, 2 * size :] = np.eye(size)
    shift = max(0.0, -float(matrix.diagonal().min()))
    halvings = max(0, math.ceil(math.log2(max(step * (shift + np.abs(big).sum(axis=1).max()), 1.0))))
    small = (big + shift * np.eye(3 * size)) * (step / 2**halvings)
    term = total = np.eye(3 * size)
    for order in range(1, 20):
        term = term @ small / order
        total = total + term
    total = total * math.exp(-shift * step / 2**halvings)
    for _ in range(halvings):
        total = total @ total
    return total[:size, :size], total[:size, size : 2 * size], total[:size, 2 * size :]


def sample(
    fates: Fates, cells: NDArray[np.int64], runs: int, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Follow every individual of `runs` cohorts, event by event; rates are constant between the rows of `fates.time`.

    Returns
    -------
    tuple of arrays over runs and detection
        Days of all detected lesions, and the cohort that each belongs to.
    """
    days: list[NDArray[np.float64]] = []
    cohorts: list[NDArray[np.int64]] = []
    size = max(1, int(_BATCH // max(1, cells.sum())))
    for begin in range(0, runs, size):
        number = min(size, runs - begin)
        kind = np.tile(np.repeat(np.arange(len(cells)), cells), number)
        cohort = np.repeat(np.arange(begin, begin + number), int(cells.sum()))
        alive = (kind, np.zeros(len(kind)), cohort)
        while alive[0].size:
            alive = _advance(fates, alive, generator, days, cohorts)
    return np.concatenate([*days, np.empty(0)]), np.concatenate([*cohorts, np.empty(0, dtype=np.int64)])


_Alive = tuple["NDArray[np.int64]", "NDArray[np.float64]", "NDArray[np.int64]"]


def _advance(
    fates: Fates,
    alive: _Alive,
    generator: np.random.Generator,
    days: list[NDArray[np.float64]],
    cohorts: list[NDArray[np.int64]],
) -> _Alive:
    """Bring every individual to its next event; note detections, return who is alive before the horizon."""
    kind, age, cohort = alive
    following: list[_Alive] = []
    for number in range(len(fates.types)):
        chosen = [event for event in fates.events if event.source == number]
        mine = kind == number
        if not chosen or not mine.any():
            continue
        rates = np.array([(event.rates[1:] + event.rates[:-1]) / 2 for event in chosen])
        when = _next(fates.time, rates.sum(axis=0), age[mine], generator)
        inside = when < fates.time[-1]
        when, whose = when[inside], cohort[mine][inside]
        row = np.searchsorted(fates.time, when, side="right") - 1
        edges = np.cumsum(rates, axis=0)[:, row]
        which = (generator.random(len(when)) * edges[-1] >= edges[:-1]).sum(axis=0)
        for index, event in enumerate(chosen):
            hit = which == index
            for product in (*event.products, *(() if event.consumed else (number,))):
                if product == DETECTED:
                    days.append(when[hit])
                    cohorts.append(whose[hit])
                else:
                    following.append((np.full(int(hit.sum()), product), when[hit], whose[hit]))
    if not following:
        return np.empty(0, dtype=np.int64), np.empty(0), np.empty(0, dtype=np.int64)
    return tuple(np.concatenate(part) for part in zip(*following, strict=True))  # type: ignore[return-value]


def _next(
    time: NDArray[np.float64],
    total: NDArray[np.float64],
    age: NDArray[np.float64],
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Draw the time of the next event: where the integrated rate has grown by an exponential number."""
    whole = np.concatenate([[0.0], np.cumsum(total * np.diff(time))])
    wanted = np.interp(age, time, whole) + generator.exponential(size=len(age))
    return np.where(wanted < whole[-1], np.interp(wanted, whole, time), np.inf)
