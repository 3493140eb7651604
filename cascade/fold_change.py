"""Treated against untreated: by ratio, odds or hazard, exactly 1 where nothing differs, NaN with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cascade.quantities import Scale

OK = "ok"
BOTH_ZERO = "0 with and without treatment"
ZERO = "0 without treatment: no ratio, see the difference"
NEGATIVE = "negative: no ratio, see the difference"
SIGNED = "can be negative or is a logarithm: see the difference"
NO_SHARE = "beyond 0 to 1, no share: see the difference"
CERTAIN = "so close to 1 that the solver cannot tell by how much: see the difference"
MISSING = "no finite number"
MARGIN = 100.0
"""A value below this many absolute tolerances of the solver is 0: it is resolved to no better than one percent."""
SAME = 5000.0
"""Values that differ by less than this many relative tolerances, and one absolute, are the same: two runs of
breast_lite of which one has doses of 0 differ by up to 1500 where a tumor is just leaving a state (vimentin). A share
that is as close to 1 is 1."""


def fold_change(
    treated: ArrayLike, untreated: ArrayLike, scale: Scale, *, absolute: float = 1e-12, relative: float = 1e-8
) -> tuple[NDArray[np.float64], NDArray[np.object_]]:
    """Compare values with and without treatment.

    Parameters
    ----------
    treated, untreated : array_like
        Of the same shape.
    scale : {"level", "share", "risk", "difference"}
        A level is compared by t / u. A share is compared by its odds, (t / (1 - t)) / (u / (1 - u)): a change from
        0.99 to 0.999 is as large as one from 0.01 to 0.001. A risk is compared by its cumulative hazard,
        ln(1 - t) / ln(1 - u). Of a difference there is no ratio.
    absolute, relative : float
        Tolerances of the solver that made the values.

    Returns
    -------
    fold, reason
        1 exactly where both differ by no more than `SAME` tolerances, which is what two runs of one model can differ
        by; 0 where the treatment leaves nothing; NaN with the reason where there is no ratio.
    """
    t, u = np.broadcast_arrays(np.asarray(treated, dtype=float), np.asarray(untreated, dtype=float))
    reason = np.full(t.shape, OK, dtype=object)
    floor, close = MARGIN * absolute, SAME * relative
    t, u = (np.where(np.abs(each) <= floor, 0.0, each) for each in (t, u))
    rules = {MISSING: ~(np.isfinite(t) & np.isfinite(u))}
    if scale == "difference":
        rules[SIGNED] = np.ones(t.shape, dtype=bool)
    rules[BOTH_ZERO] = (t == 0) & (u == 0)
    rules[NEGATIVE] = (t < 0) | (u < 0)
    if scale in ("share", "risk"):
        rules[NO_SHARE] = (t > 1 + close) | (u > 1 + close)
        rules[CERTAIN] = (t >= 1 - close) | (u >= 1 - close)
    rules[ZERO] = u == 0
    for words, where in reversed(rules.items()):
        reason[where] = words
    usable = reason == OK
    t, u = np.where(usable, t, 0.5), np.where(usable, u, 0.5)
    fold = _amount(t, scale) / _amount(u, scale)
    fold = np.where(np.abs(t - u) <= close * np.abs(u) + absolute, 1.0, fold)
    return np.where(usable, fold, np.nan), reason


def _amount(value: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return what is divided: the value itself, its odds, or its hazard."""
    if scale == "share":
        return np.asarray(value / (1.0 - value))
    return np.asarray(-np.log1p(-value)) if scale == "risk" else value
