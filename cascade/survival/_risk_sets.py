"""Kaplan-Meier, Aalen-Johansen and restricted means of weighted patients, each with its influence functions.

The variance of an estimate is the sum of squares of what every patient contributes to it (infinitesimal jackknife):
with equal weights the formula of Greenwood, with weights the robust variance; and patients that are in two arms are
paired by adding up their contributions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cascade.survival._followed import Followed

    Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RiskSets:
    """Events and numbers at risk at every distinct time of an event, by weight.

    `survival` holds after each of them; `variance` is the sum of Greenwood up to each, per unit of weight; `own` is
    what a patient's own event takes from the logarithm of survival.
    """

    rows: Followed
    time: Numbers
    at_risk: Numbers
    deaths: Numbers
    survival: Numbers
    variance: Numbers
    own: Numbers


def risk_sets(rows: Followed) -> RiskSets:
    """Count who is at risk."""
    times, place = np.unique(rows.time[rows.event], return_inverse=True)
    deaths = np.bincount(place, weights=rows.weight[rows.event], minlength=times.size).astype(float)
    order = np.argsort(rows.time)
    left = np.append(np.cumsum(rows.weight[order][::-1])[::-1], 0.0)
    at_risk = left[np.searchsorted(rows.time[order], times, side="left")]
    after = np.maximum(at_risk - deaths, 0.0)
    after[after < 1e-12 * at_risk] = 0.0
    with np.errstate(divide="ignore"):
        own = np.zeros(rows.size)
        own[rows.event] = (1 / after)[place]
        variance = np.cumsum(deaths / (at_risk * after))
    return RiskSets(
        rows=rows, time=times, at_risk=at_risk, deaths=deaths, survival=np.cumprod(after / at_risk),
        variance=variance, own=own,
    )  # fmt: skip


def step(sets: RiskSets, heights: Numbers, when: Numbers, start: float = 0.0) -> Numbers:
    """Return a step function of the events at some times."""
    return np.concatenate([[start], heights])[np.searchsorted(sets.time, when, side="right")]


def survival(sets: RiskSets, grid: Numbers) -> tuple[Numbers, Numbers]:
    """Return survival at the grid, and what every patient contributes to its logarithm (patient, grid)."""
    rows = sets.rows
    until = np.minimum(step(sets, sets.variance, grid)[None, :], step(sets, sets.variance, rows.time)[:, None])
    # who has no event has no own term, also where the last one at risk makes that infinite
    had = rows.event[:, None] & (rows.time[:, None] <= grid[None, :])
    with np.errstate(invalid="ignore"):
        influence = rows.weight[:, None] * (until - np.where(had, sets.own[:, None], 0.0))
    return step(sets, sets.survival, grid, 1.0), influence


def incidence(sets: RiskSets, cause: int, grid: Numbers) -> tuple[Numbers, Numbers]:
    """Return the cumulative incidence of one cause at the grid, and what every patient contributes (patient, grid)."""
    rows = sets.rows
    mine = rows.event & (rows.cause == cause)
    place = np.searchsorted(sets.time, rows.time[mine])
    deaths = np.bincount(place, weights=rows.weight[mine], minlength=sets.time.size)
    before = np.concatenate([[1.0], sets.survival[:-1]]) if sets.time.size else sets.survival
    rise = before * deaths / sets.at_risk
    total = np.cumsum(rise)
    per_risk = np.cumsum(rise / sets.at_risk)
    greenwood = np.concatenate([[0.0], sets.variance[:-1]]) if sets.time.size else sets.variance
    with np.errstate(invalid="ignore"):
        carried = np.cumsum(np.where(rise > 0, rise * greenwood, 0.0))
    when, own = grid[None, :], rows.time[:, None]
    reached = step(sets, total, np.minimum(when, own))
    later = step(sets, total, np.broadcast_to(when, reached.shape)) - reached
    variance = step(sets, sets.variance, rows.time)[:, None]
    value = np.zeros(rows.size)
    value[mine] = (before / sets.at_risk)[place]
    with np.errstate(invalid="ignore"):
        fall = np.where(later > 0, (variance - np.where(rows.event, sets.own, 0.0)[:, None]) * later, 0.0)
    direct = value[:, None] * (own <= when) - step(sets, per_risk, np.minimum(when, own))
    influence = rows.weight[:, None] * (direct + fall + step(sets, carried, np.minimum(when, own)))
    return step(sets, total, grid), influence


def restricted_mean(sets: RiskSets, last: float) -> tuple[float, Numbers]:
    """Return the mean time without event up to `last`, and what every patient contributes to it."""
    rows = sets.rows
    inner = sets.time[sets.time < last]
    edges = np.concatenate([[0.0], inner, [last]])
    height = np.concatenate([[1.0], sets.survival[: inner.size]])
    area = np.concatenate([[0.0], np.cumsum(height * np.diff(edges))])
    greenwood = np.concatenate([[0.0], sets.variance[: inner.size]])
    with np.errstate(invalid="ignore"):
        carried = np.concatenate([[0.0], np.cumsum(np.where(height > 0, height * greenwood, 0.0) * np.diff(edges))])
    end = np.minimum(rows.time, last)
    later = area[-1] - np.interp(end, edges, area)
    with np.errstate(invalid="ignore"):
        slope = step(sets, sets.variance, rows.time) - np.where(rows.event, sets.own, 0.0)
        fall = np.where(later > 0, slope * later, 0.0)
    return float(area[-1]), rows.weight * (fall + np.interp(end, edges, carried))


def at_risk(rows: Followed, grid: Numbers) -> NDArray[np.int64]:
    """Return how many patients are still followed at the grid."""
    times = np.sort(rows.time)
    return rows.size - np.searchsorted(times, grid, side="left")
