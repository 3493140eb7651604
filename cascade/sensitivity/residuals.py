"""Terms that the residuals of a fit show: all columns alone, in pairs, and in threes to the first degree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Term = tuple[tuple[int, int], ...]
"""The (column, degree) of each factor of a term."""

PAIRS = 3
"""Degree to which the products of all pairs of columns are looked at; products of three have the first degree."""


def shown_terms(
    basis: np.ndarray, rest: np.ndarray, *, by_chance: float, threes: bool = True
) -> list[tuple[Term, float, float]]:
    """Return the terms that correlate with residuals more than chance allows.

    Parameters
    ----------
    basis : numpy.ndarray
        Of `legendre`: degrees x runs x columns.
    rest : numpy.ndarray
        Residuals, one per run.
    by_chance : float
        Terms that would be returned on average if nothing were there.
    threes : bool
        Whether products of three are looked at; with 200 columns they take ten times as long as all others.

    Returns
    -------
    list of tuple
        Term, the sum over runs of its product with the residuals, and the standard error of that sum. The error is
        that of the sample: outputs are skewed and scatter unequally.
    """
    import numpy as np
    from scipy.special import ndtri

    columns, degrees = basis.shape[2], len(basis) - 1
    tests = degrees * columns + PAIRS**2 * columns * (columns - 1) // 2
    tests += columns * (columns - 1) * (columns - 2) // 6 if threes else 0
    limit = -ndtri(min(0.5, by_chance / 2 / tests))
    found = []
    for left, right, allowed, fixed, degree in _products(basis, rest, threes):
        total, error = left.T @ right, np.sqrt((left**2).T @ right**2)
        for row, column in np.argwhere(allowed & (np.abs(total) > limit * error)):
            factors = dict([*fixed, (int(row), degree[0]), (int(column), degree[1])])
            found.append((tuple(sorted(factors.items())), float(total[row, column]), float(error[row, column])))
    return found


def _products(
    basis: np.ndarray, rest: np.ndarray, threes: bool
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Term, tuple[int, int]]]:
    """Yield factors (runs x columns) whose products are the terms of a kind times the residuals.

    Also which pairs of columns are terms, each once, the factor that all have in common, and the degrees of the pair.
    """
    import numpy as np

    columns = basis.shape[2]
    same, before = np.eye(columns, dtype=bool), np.triu(np.ones((columns, columns), dtype=bool), 1)
    for k in range(1, len(basis)):
        yield np.broadcast_to(rest[:, None], (len(rest), columns)), basis[k], same, (), (k, k)
    for k in range(1, PAIRS + 1):
        for m in range(1, k + 1):
            yield basis[k] * rest[:, None], basis[m], before if k == m else ~same, (), (k, m)
    for j in range(columns - 2 if threes else 0):
        after = before & (np.arange(columns) > j)[:, None]
        yield basis[1] * (rest * basis[1][:, j])[:, None], basis[1], after, ((j, 1),), (1, 1)
