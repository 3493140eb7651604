"""What a sparse polynomial lacks, as its residuals show: the search for its terms does not look everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.sensitivity.polynomials import Expansion, evaluate
from cascade.sensitivity.residuals import shown_terms
from cascade.sensitivity.shares import variances_of

if TYPE_CHECKING:
    import numpy as np

CHANCE = 0.05
"""Chance that one of all terms that are looked for seems to be missing and is not (Bonferroni)."""


def missed(basis: np.ndarray, y: np.ndarray, fit: Expansion, sets: list[tuple[int, ...]]) -> np.ndarray:
    """Return what terms that the residuals show, though the polynomial lacks them, may add to total shares.

    The search looks at what a first short fit leaves over, and with many columns not at products of three.

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

    values = evaluate(basis, list(fit.terms))
    rest = y - y.mean() - (values - values.mean(axis=0)) @ fit.coefficients
    result = np.zeros(len(sets))
    for term, total, error in shown_terms(basis, rest, by_chance=CHANCE):
        touched = {column for column, _ in term}
        share = ((abs(total) + 1.96 * error) / len(y)) ** 2
        result += [share * (not touched.isdisjoint(chosen)) for chosen in sets]
    return np.asarray(result / variances_of(fit).sum())
