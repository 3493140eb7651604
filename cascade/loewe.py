"""Loewe additivity: the doses of a combination against the doses of its drugs alone that have the same effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError
from cascade.synergy import OK, RESOLUTION, fraction_blocked

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FLAT = 10 * RESOLUTION
"""A curve that rises by less between two doses says nothing about the dose."""

Curve = tuple["NDArray[np.float64]", "NDArray[np.float64]"]
"""Ascending doses of a single drug, and its effect at each."""


def loewe_index(
    combined: ArrayLike, doses: Sequence[ArrayLike], curves: Sequence[Curve], names: Sequence[str] = ()
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the combination index: the doses, each as a share of the dose that reaches the same effect alone (Loewe).

    Parameters
    ----------
    combined : array_like
        Effect of the combination.
    doses : sequence of array_like
        Dose of each drug in the combination; they broadcast with `combined`.
    curves : sequence of (doses, effects)
        Each drug alone, finely sampled.
    names : sequence of str
        Names of the drugs for the reasons.

    Returns
    -------
    index : numpy.ndarray
        Sum of dose / equivalent dose: 1 is additive, below 1 synergy, above 1 antagonism. A drug at dose 0 adds 0.
    reason : numpy.ndarray of str
        "ok", or why there is no index (see `equivalent_dose`).
    """
    if not 2 <= len(doses) == len(curves):
        raise AnalysisError(
            f"{len(doses)} doses and {len(curves)} curves are given; give both for each drug, 2 or more"
        )
    names = names or [f"drug {number}" for number in range(1, len(curves) + 1)]
    alone = [equivalent_dose(combined, *curve, name=name) for curve, name in zip(curves, names, strict=True)]
    return dose_shares(doses, alone)


def dose_shares(
    doses: Sequence[ArrayLike], alone: Sequence[tuple[NDArray[np.float64], NDArray[Any]]]
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Add up the doses of a combination as shares of the doses that have its effect alone.

    Parameters
    ----------
    doses : sequence of array_like
        Dose of each drug in the combination.
    alone : sequence of (dose, reason)
        What `equivalent_dose` says of each drug.

    Returns
    -------
    index, reason : numpy.ndarray
        See `loewe_index`.
    """
    index, reason = np.zeros(()), np.full((), OK, dtype=object)
    for dose, (whole, why) in zip(doses, alone, strict=True):
        given = np.asarray(dose, dtype=float)
        index = index + np.where(given == 0, 0.0, given / whole)
        reason = np.where((given > 0) & (why != OK) & (reason == OK), why, reason)
    none = sum(np.abs(np.asarray(dose, dtype=float)) for dose in doses) == 0
    reason = np.where(none, "no drug is given", reason)
    return np.where(reason == OK, index, np.nan), reason


def equivalent_dose(
    effect: ArrayLike, doses: ArrayLike, curve: ArrayLike, *, name: str = "the drug"
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the dose at which a single drug has an effect.

    The effect is interpolated over the fraction blocked, dose / (1 + dose), by a monotone cubic through the sampled
    doses and through no effect at no dose. A model depends smoothly on the fraction, also at complete block, and the
    curve of a simple saturable drug is a straight line.

    Parameters
    ----------
    effect : array_like
        Effects that are to be reached.
    doses, curve : array_like
        Ascending doses above 0 and the effects of the drug alone; a missing effect leaves a gap.
    name : str
        Name of the drug for the reasons.

    Returns
    -------
    dose : numpy.ndarray
    reason : numpy.ndarray of str
        "ok", or why the dose is NaN: the effect is more than the drug reaches, several doses have it (a curve that is
        not monotone), the curve is flat there, or a run in that place is missing.
    """
    level = np.asarray(effect, dtype=float)
    x, y = _checked_curve(doses, curve, name)
    known = np.flatnonzero(np.isfinite(np.concatenate([[0.0], y])))
    if known.size < 3:
        return np.full(level.shape, np.nan), np.full(level.shape, f"{name} alone has too few results", dtype=object)
    share = np.concatenate([[0.0], fraction_blocked(x)])[known]
    nodes = np.concatenate([[0.0], y])[known]
    below = nodes[:, None] < level.reshape(-1)
    crossings = (below[1:] != below[:-1]).sum(axis=0).reshape(level.shape)
    upper = np.maximum(np.argmax(~below, axis=0), 1).reshape(level.shape)  # the first node that reaches the effect
    top = int(np.argmax(nodes))
    conditions = {
        "the combination has no result": np.isnan(level),
        "the combination has no effect": level <= RESOLUTION,
        f"{name} alone has no effect": np.full(level.shape, nodes[top] <= RESOLUTION),
        f"{name} alone does not reach the effect at any dose": level > nodes[top],
        f"several doses of {name} alone have this effect": crossings > 1,
        f"a run of {name} alone near this effect is missing": known[upper] - known[upper - 1] > 1,
        f"the effect of {name} alone hardly changes with its dose here": nodes[upper] - nodes[upper - 1] <= FLAT,
    }
    reason = np.select([*conditions.values()], [*conditions], OK).astype(object)
    usable, dose = reason == OK, np.full(level.shape, np.nan)
    found = _inverse(level[usable], share, nodes, upper[usable])
    dose[usable] = found / (1 - found)
    return dose, reason


def _checked_curve(doses: ArrayLike, curve: ArrayLike, name: str) -> Curve:
    x, y = np.asarray(doses, dtype=float), np.asarray(curve, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or not np.isfinite(x).all() or (x <= 0).any() or (np.diff(x) <= 0).any():
        raise AnalysisError(
            f"the curve of {name} has {x.size} doses and {y.size} effects; give as many, with finite,"
            " ascending doses above 0"
        )
    return x, y


def _inverse(
    level: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64], upper: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Bisect the interpolated curve between the node that reaches the effect and the one before."""
    curve = _monotone_cubic(x, y)
    low, high = x[upper - 1], x[upper]
    for _ in range(60):
        middle = (low + high) / 2
        short = curve(middle) < level
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.asarray((low + high) / 2)


def _monotone_cubic(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    """Interpolate by a cubic spline whose slopes are limited so that it is monotone where the nodes are.

    The limit is three times the smaller of the two chords (Fritsch and Carlson 1980; Hyman 1983). With the slopes of a
    spline it is more accurate than with those of PCHIP on doses that are not evenly spaced.
    """
    from scipy.interpolate import CubicHermiteSpline, CubicSpline

    chords = np.diff(y) / np.diff(x)
    left, right = np.append(chords[0], chords), np.append(chords, chords[-1])
    limit = np.where(left * right > 0, 3 * np.minimum(np.abs(left), np.abs(right)), 0.0)
    slopes = CubicSpline(x, y)(x, 1)
    slopes = np.where(slopes * left > 0, np.sign(slopes) * np.minimum(np.abs(slopes), limit), 0.0)
    return CubicHermiteSpline(x, y, slopes)
