"""Does a subgroup differ from the rest? Studentized permutation test of weighted means, and Holm's correction.

Shuffling who belongs where is exact if the two sides have one distribution, and, since the difference is divided by its
standard error, right for large groups also if only the means are equal (Chung and Romano 2013, Ann Stat 41:484-507,
doi 10.1214/13-AOS1090).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST = 5
"""Patients on each side below which nothing is tested."""

_BLOCK = 4_000_000
"""Entries of the table of shuffles that are held at once."""


def permutation_test(
    values: NDArray[np.float64],
    member: NDArray[np.bool_],
    generator: np.random.Generator,
    *,
    permutations: int,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the chance of a difference of means as large as that of two groups, if only chance had made the groups.

    Parameters
    ----------
    values : array, shape (patients, columns)
        NaN where there is none. Every column is tested for itself, with the same shuffles.
    member : array, shape (patients,)
        Who is in the first group.
    generator : numpy.random.Generator
    permutations : int
        Random shuffles; the smallest chance that can come out is 1/(permutations + 1).
    weights : array, shape (patients,), optional

    Returns
    -------
    array, shape (columns,)
        Two-sided; NaN where fewer than `FEWEST` patients of a side have a value.
    """
    known = np.isfinite(values)
    each = np.ones(len(values)) if weights is None else weights
    center = (each @ np.where(known, values, 0.0)) / np.where(each @ known > 0, each @ known, 1.0)
    centered = np.where(known, values - center, 0.0)
    scale = np.where(np.abs(centered).max(axis=0) > 0, np.abs(centered).max(axis=0), 1.0)
    sums = _Sums(known, centered / scale, each)
    observed = np.abs(sums.statistic(member[None, :].astype(float)))[0]
    larger = np.zeros(values.shape[1])
    rows = max(1, _BLOCK // max(1, len(values)))
    left = permutations
    while left:
        count = min(rows, left)
        shuffled = generator.permuted(np.broadcast_to(member, (count, len(member))), axis=1).astype(float)
        larger += (np.abs(sums.statistic(shuffled)) >= observed * (1 - 1e-9)).sum(axis=0)
        left -= count
    enough = (known & member[:, None]).sum(axis=0) >= FEWEST
    enough &= (known & ~member[:, None]).sum(axis=0) >= FEWEST
    return np.where(enough, (1 + larger) / (1 + permutations), np.nan)


class _Sums:
    """What the statistic needs of the patients, so that a shuffle is a product of matrices."""

    def __init__(self, known: NDArray[np.bool_], values: NDArray[np.float64], weights: NDArray[np.float64]) -> None:
        first, second = weights[:, None], weights[:, None] ** 2
        self.columns = known.shape[1]
        parts = (known, first * known, first * values, second * known, second * values, second * values**2)
        self.table = np.concatenate([np.asarray(part, dtype=float) for part in parts], axis=1)
        self.whole = self.table.sum(axis=0)

    def statistic(self, members: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the difference of the two means over its standard error, for every row of members."""
        inside = members @ self.table
        one, two = (self._mean_and_variance(side) for side in (inside, self.whole - inside))
        difference, variance = one[0] - two[0], one[1] + two[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            found = difference / np.sqrt(variance)
        # Two constant sides: infinitely far apart, or the same but for rounding.
        constant = ~(variance > 1e-24)
        return np.where(constant, np.where(np.abs(difference) > 1e-10, np.inf, 0.0), found)

    def _mean_and_variance(self, sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        count, total, mean, second, cross, square = np.split(sums, 6, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(total > 0, mean / total, 0.0)
            spread = square - 2 * mean * cross + mean**2 * second
            variance = spread / total**2 * count / (count - 1)
        return mean, np.where(count > 1, np.maximum(variance, 0.0), np.inf)


def holm(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct chances for how many were looked at, by the method of Holm; those that are NaN are no tests.

    The chance that any of them falls below a level by chance alone is then at most that level, however they depend on
    each other (Holm 1979, Scand J Stat 6:65-70).
    """
    flat = np.asarray(chances, dtype=float).reshape(-1)
    places = np.flatnonzero(np.isfinite(flat))
    order = places[np.argsort(flat[places], kind="stable")]
    found = np.full(flat.shape, np.nan)
    stepped = flat[order] * (len(order) - np.arange(len(order)))
    found[order] = np.minimum(1.0, np.maximum.accumulate(stepped)) if len(order) else stepped
    return found.reshape(np.shape(chances))
