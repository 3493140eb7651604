"""What a sparse polynomial lacks, as its residuals show: the search for its terms does not look everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cascade.sensitivity.polynomials import HIGHEST, SCREENED, Expansion, evaluate
from cascade.sensitivity.shares import variances_of

if TYPE_CHECKING:
    import numpy as np

CHANCE = 0.05
"""Chance that one of all terms that are looked for seems to be missing and is not (Bonferroni)."""


def missed(basis: np.ndarray, y: np.ndarray, fit: Expansion, sets: list[tuple[int, ...]]) -> np.ndarray:
    """Return what terms that the residuals show, though the polynomial lacks them, may add to total shares.

    The search for terms gives interactions to leading columns only, of two, and so never finds two columns that act
    together and not alone. Here all columns are screened: alone, in pairs, and in threes to the first degree.

    Parameters
    ----------
    basis : numpy.ndarray
        Of `legendre`: degrees x runs x columns.
    y : numpy.ndarray
        Outputs.
    fit, sets
        The polynomial, and the columns of what is judged.

    Returns
    -------
    numpy.ndarray
        One per set, in shares of the variance that the polynomial explains, by the upper 97.5 % limit of each term
        that surely is not 0; 0 where nothing shows.
    """
    import numpy as np
    from scipy.special import ndtri

    values = evaluate(basis, list(fit.terms))
    rest = y - y.mean() - (values - values.mean(axis=0)) @ fit.coefficients
    columns = basis.shape[2]
    pairs, threes = columns * (columns - 1) // 2, columns * (columns - 1) * (columns - 2) // 6
    limit = -ndtri(CHANCE / 2 / (HIGHEST * columns + SCREENED**2 * pairs + threes))
    result = np.zeros(len(sets))
    for left, right, allowed, fixed in _screened(basis, rest):
        # The scatter of each product is that of the sample: outputs are skewed and scatter unequally.
        total, spread = left.T @ right, (left**2).T @ right**2
        for row, column in np.argwhere(allowed & (np.abs(total) > limit * np.sqrt(spread))):
            touched = {*fixed, int(row), int(column)}
            share = ((np.abs(total[row, column]) + 1.96 * np.sqrt(spread[row, column])) / len(y)) ** 2
            result += [share * (not touched.isdisjoint(chosen)) for chosen in sets]
    return np.asarray(result / variances_of(fit).sum())


def _screened(
    basis: np.ndarray, rest: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]]:
    """Yield factors (runs x columns) whose products are the terms of a kind, times the residuals.

    Also which pairs of columns are terms, each once, and the column that they have in common.
    """
    import numpy as np

    columns = basis.shape[2]
    same, before = np.eye(columns, dtype=bool), np.triu(np.ones((columns, columns), dtype=bool), 1)
    for k in range(1, HIGHEST + 1):
        yield np.broadcast_to(rest[:, None], (len(rest), columns)), basis[k], same, ()
    for k in range(1, SCREENED + 1):
        for m in range(1, k + 1):
            yield basis[k] * rest[:, None], basis[m], before if k == m else ~same, ()
    for j in range(columns - 2):
        after = before & (np.arange(columns) > j)[:, None]
        yield basis[1] * (rest * basis[1][:, j])[:, None], basis[1], after, (j,)
