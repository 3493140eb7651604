"""Synergy of drugs: what a combination does beyond independence and beyond its best part; see also `loewe`.

An effect is the share of the readout that treatment takes away, so 0 is none, 1 is all, and harm is negative. A dose is
counted in units of the half-maximal dose of a drug on what it acts upon. All functions are pure and take arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

OK = "ok"

RESOLUTION = 1e-6
"""Effects that differ by less are the same effect: the noise of the solver."""


def activity(blocking: ArrayLike, boosting: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Return the factor on a constant under drugs that block and boost it.

    Parameters
    ----------
    blocking, boosting : array_like
        Sum of the doses of all drugs that block, and that boost, the constant. Drugs that act on one constant in the
        same direction compete for one site, so that their doses add: a drug combined with itself is the same drug at a
        higher dose. Drugs on different constants, or on one constant in opposite directions, act independently.

    Returns
    -------
    numpy.ndarray
        `1 / (1 + blocking)` times `1 + boosting / (1 + boosting)`: dose 1 halves or adds a half, dose 9 leaves a tenth.
    """
    block, boost = np.asarray(blocking, dtype=float), np.asarray(boosting, dtype=float)
    return np.asarray((1 + boost / (1 + boost)) / (1 + block))


def fraction_blocked(dose: ArrayLike) -> NDArray[np.float64]:
    """Return the share `dose / (1 + dose)` of the activity that a dose takes away (or that a boost adds)."""
    given = np.asarray(dose, dtype=float)
    return np.asarray(given / (1 + given))


def fraction_affected(
    untreated: ArrayLike, treated: ArrayLike, *, better: Literal["lower", "higher"] = "lower"
) -> NDArray[np.float64]:
    """Return the effect of a treatment as the fraction affected.

    Parameters
    ----------
    untreated, treated : array_like
        A readout of the same patients that is never negative; they broadcast. Where the reference is 0 or the readout
        negative the effect is NaN.
    better : {"lower", "higher"}
        `1 - treated / untreated` for a readout that should fall, `1 - untreated / treated` for one that should rise.

    Returns
    -------
    numpy.ndarray
        At most 1; negative where treatment harms.
    """
    before, after = np.broadcast_arrays(np.asarray(untreated, dtype=float), np.asarray(treated, dtype=float))
    top, bottom = (after, before) if better == "lower" else (before, after)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((bottom > 0) & (top >= 0), 1 - top / bottom, np.nan)


def bliss_excess(combined: ArrayLike, singles: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the effect of a combination beyond that of independent drugs (Bliss).

    Parameters
    ----------
    combined : array_like
        Effect of the combination.
    singles : sequence of array_like
        Effect of each drug alone at its dose in the combination; two or more.

    Returns
    -------
    numpy.ndarray
        `combined - (1 - product of (1 - single))`; above 0 is synergy, 0 independence.
    """
    left: Any = 1.0
    for single in _parts(singles):
        left = left * (1 - single)
    return np.asarray(np.asarray(combined, dtype=float) - (1 - left))


def hsa_excess(combined: ArrayLike, parts: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the effect of a combination beyond that of its best part (highest single agent).

    Parameters
    ----------
    combined : array_like
    parts : sequence of array_like
        Effect of each drug alone, or of each smaller combination.

    Returns
    -------
    numpy.ndarray
        NaN where the effect of any part is not known.
    """
    return np.asarray(np.asarray(combined, dtype=float) - np.max(np.broadcast_arrays(*_parts(parts)), axis=0))


def _parts(parts: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    if len(parts) < 2:
        raise AnalysisError(f"a combination has two parts or more, not {len(parts)}; give the effect of each")
    return [np.asarray(part, dtype=float) for part in parts]


def verdict(
    mean: ArrayLike, lower: ArrayLike, upper: ArrayLike, *, margin: float, none: str = "no result"
) -> NDArray[Any]:
    """Judge an excess over additivity by its interval.

    Parameters
    ----------
    mean, lower, upper : array_like
        Mean excess (above 0 is synergy) and its interval.
    margin : float
        An excess of less than this is of no interest; above 0.
    none : str
        What is said where there is no number.

    Returns
    -------
    numpy.ndarray of str
        "synergy" or "antagonism" if the interval lies on one side of 0 and the mean beyond the margin; "additive" if
        the whole interval lies within the margin; else "not settled".
    """
    m, low, high = (np.asarray(x, dtype=float) for x in (mean, lower, upper))
    unknown = np.isnan(m) | np.isnan(low) | np.isnan(high)
    tests = [unknown, (low > 0) & (m > margin), (high < 0) & (m < -margin), (low >= -margin) & (high <= margin)]
    return np.select(tests, [none, "synergy", "antagonism", "additive"], "not settled").astype(object)
