"""Which visits of a grid gain most: dynamic programming over consecutive visits, and exchange."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_SWEEPS = 50


@dataclass(frozen=True, kw_only=True)
class Gains:
    """What visits gain.

    Attributes
    ----------
    chance : array (patient, month)
        Probability that a visit is positive, 0 where it would be of no use.
    worth : array (patient, month)
        What the first positive visit gains there; it never rises from one useful month to the next.
    weight : array (patient)
    cost : array (month)
        What a visit costs, whoever is found.
    """

    chance: Numbers
    worth: Numbers
    weight: Numbers
    cost: Numbers

    def value(self, visits: Sequence[int]) -> float:
        """Return the expected gain of visits in rising order: of the first positive one, minus all costs."""
        missed = np.ones(len(self.weight))
        total = 0.0
        for visit in visits:
            total += float((self.weight * missed * self.chance[:, visit] * self.worth[:, visit]).sum())
            missed = missed * (1 - self.chance[:, visit])
        return total - float(self.cost[list(visits)].sum())

    def is_decided(self) -> bool:
        """Tell whether every result is certain, and what is found in a month is found in later ones too."""
        if not ((self.chance == 0) | (self.chance == 1)).all():
            return False
        useful = self.worth > 0
        seen = np.maximum.accumulate(self.chance * useful, axis=1)
        return bool((~useful | (seen == self.chance)).all())

    def pairs(self) -> tuple[Numbers, Numbers]:
        """Return the gain of a first visit (month), and of a visit after one that missed (before, month)."""
        worth = self.weight[:, None] * self.chance * self.worth
        return worth.sum(axis=0) - self.cost, (1 - self.chance).T @ worth - self.cost[None, :]


def best_visits(gains: Gains, count: int) -> tuple[tuple[int, ...], float]:
    """Return at most `count` rising places of the grid, best if only the visit before matters, and their gain then.

    That gain is a bound of what any choice gains: a patient whom several visits missed counts as missed by the last of
    them alone, which is at least as likely.
    """
    alone, after = gains.pairs()
    length = len(alone)
    after = np.where(np.tri(length, k=0).T > 0, after, -np.inf)
    after[np.diag_indices(length)] = -np.inf
    best, back = [alone], []
    for _ in range(count - 1):
        sums = best[-1][:, None] + after
        back.append(sums.argmax(axis=0))
        best.append(sums.max(axis=0))
    costly = bool((gains.cost > 0).any())
    last = max(range(count), key=lambda k: (best[k].max(), -k)) if costly else count - 1
    place = int(best[last].argmax())
    chosen = [place]
    for step in reversed(back[:last]):
        place = int(step[place])
        chosen.append(place)
    return tuple(reversed(chosen)), float(best[last].max())


def exchange(gains: Gains, chosen: Sequence[int], count: int) -> tuple[int, ...]:
    """Move, add and drop single visits as long as the exact expectation rises."""
    now = tuple(chosen)
    value = gains.value(now)
    for _ in range(_SWEEPS):
        candidate, better = _best_step(gains, now, count)
        if not better > value + 1e-12 * max(1.0, abs(value)):
            break
        now, value = candidate, better
    return now


def _best_step(gains: Gains, now: tuple[int, ...], count: int) -> tuple[tuple[int, ...], float]:
    kept = [now[:k] + now[k + 1 :] for k in range(len(now))]
    found = [(each, gains.value(each)) for each in kept if each]
    starts = kept + ([now] if len(now) < count else [])
    for each in starts:
        added = gains.value(each) + additions(gains, each)
        place = int(added.argmax())
        found.append((tuple(sorted({*each, place})), float(added[place])))
    return max(found, key=lambda one: one[1])


def additions(gains: Gains, visits: Sequence[int]) -> Numbers:
    """Return what one more visit would gain, by place on the grid; minus infinity where there is one."""
    length = len(gains.cost)
    missed = np.ones((len(gains.weight), length + 1))
    later = np.zeros((len(gains.weight), length + 1))
    there = np.zeros(length, dtype=bool)
    there[list(visits)] = True
    for month in range(length):
        missed[:, month + 1] = missed[:, month] * ((1 - gains.chance[:, month]) if there[month] else 1.0)
    for month in reversed(range(length)):  # what the later visits gain of a patient whom this one misses
        own = gains.chance[:, month] * gains.worth[:, month]
        kept = (1 - gains.chance[:, month]) * later[:, month + 1]
        later[:, month] = own + kept if there[month] else later[:, month + 1]
    rise = gains.worth - later[:, 1:]
    gained = (gains.weight[:, None] * missed[:, :-1] * gains.chance * rise).sum(axis=0) - gains.cost
    return np.asarray(np.where(there, -np.inf, gained))


def spread(length: int, count: int) -> tuple[int, ...]:
    """Return `count` places of a grid of a length, evenly spaced, the last at its end."""
    places = np.round(np.arange(1, count + 1) * length / count).astype(int) - 1
    return tuple(int(place) for place in np.unique(np.maximum(places, 0)))
