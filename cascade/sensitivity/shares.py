"""Shares of the variance that a sparse polynomial gives to parameters and groups, and how sure they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.sensitivity.polynomials import Expansion, find_terms, fit_terms

if TYPE_CHECKING:
    import numpy as np

HELD = 0.5
"""Share of what the polynomial leaves unexplained that one parameter may hold: it widens the intervals. Chosen by
measured coverage (tests/test_chaos.py): 0 gives 11 to 95 %, 0.25 gives 88 to 99 %, 0.5 gives 90 to 99 %."""


def shares(fit: Expansion, sets: list[tuple[int, ...]], generator: np.random.Generator, draws: int) -> np.ndarray:
    """Return total and first-order shares of sets of columns: 2 x sets x (estimate, lower, upper)."""
    import numpy as np

    members = members_of(fit, sets)
    values, vectors = np.linalg.eigh(fit.covariance)
    scatter = generator.standard_normal((draws, len(values))) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    drawn = (fit.coefficients + scatter) ** 2
    part = variances_of(fit)
    left = HELD * (1 - fit.q2)
    result = np.empty((2, len(sets), 3))
    for row, member in enumerate(members):
        estimate = np.minimum(part @ member / part.sum(), 1.0)
        half = 1.96 * (drawn @ member / drawn.sum(axis=1, keepdims=True)).std(axis=0)
        lower = np.maximum(estimate - left * estimate - half, 0.0)
        upper = np.minimum(estimate + left * (1 - estimate) + half, 1.0)
        result[row] = np.stack([estimate, lower, upper], axis=-1)
    return result


def members_of(fit: Expansion, sets: list[tuple[int, ...]]) -> np.ndarray:
    """Say which terms touch each set, and which lie inside it: 2 x terms x sets, 0 or 1."""
    import numpy as np

    result = np.zeros((2, len(fit.terms), len(sets)))
    for place, term in enumerate(fit.terms):
        columns = {column for column, _ in term}
        result[0, place] = [not columns.isdisjoint(chosen) for chosen in sets]
        result[1, place] = [columns.issubset(chosen) for chosen in sets]
    return result


def variances_of(fit: Expansion) -> np.ndarray:
    """Return the variance of each term: the square of an estimate is too large by its variance."""
    import numpy as np

    part = np.maximum(fit.coefficients**2 - np.diag(fit.covariance), 0.0)
    return part if part.any() else np.asarray(fit.coefficients**2)


def total_without_blocks(
    basis: np.ndarray, y: np.ndarray, fit: Expansion, sets: list[tuple[int, ...]], blocks: np.ndarray, replicates: int
) -> np.ndarray:
    """Return the total shares from a new search without each replicate, a part of the blocks: replicates x sets."""
    import numpy as np

    result = np.full((replicates, len(sets)), np.nan)
    for replicate in range(replicates):
        kept = blocks % replicates != replicate
        inside = basis[:, kept]
        terms = find_terms(inside, y[kept], len(fit.terms))
        again = fit_terms(inside, y[kept], terms, np.unique(blocks[kept], return_inverse=True)[1], q2=fit.q2)
        if again.terms:
            part = variances_of(again)
            result[replicate] = np.minimum(part @ members_of(again, sets)[0] / part.sum(), 1.0)
    return result
