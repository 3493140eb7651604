"""On what a verdict rests: the same patients again with all assumed numbers drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade.sensitivity.priors import from_quantile, stream
from cascade.specs import Parameter

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

RESAMPLES = 2000
"""Bootstrap resamples of the pairs."""

MINIMUM_PAIRS = 10
"""Pairs below which no share is given: the ratio of two variances of a handful of pairs says nothing."""


def partners(
    patients: dict[str, xr.DataArray], parameters: tuple[Parameter, ...], seed: int, evidence: str = "assumed"
) -> dict[str, xr.DataArray]:
    """Return patients who share all numbers but those of one class of evidence, which are drawn anew.

    Parameters
    ----------
    patients : dict of str to DataArray
        Values over `patient`; patient 0 is the nominal one and has no partner.
    parameters : tuple of Parameter
        All uncertain parameters.
    seed : int
        That of the study.
    evidence : str
        The class that is drawn anew.
    """
    found = {}
    for parameter in parameters:
        drawn = patients[parameter.id][1:]
        if parameter.evidence == evidence:
            generator = stream(f"partner of {parameter.id}", seed)
            # As many quantiles as the highest patient number: a patient's partner does not depend on the others.
            quantiles = generator.random(int(drawn["patient"].max()) + 1)[drawn["patient"].values]
            drawn = drawn.copy(data=from_quantile(parameter, quantiles))
        found[parameter.id] = drawn
    return found


def shares(first: np.ndarray, second: np.ndarray, seed: int, people: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the share of the variance between patients that the redrawn numbers make, with 95 % limits.

    The total Sobol index of the group of numbers that were drawn anew, by the estimator of Jansen (1999, Comput Phys
    Commun 117:35-43, doi 10.1016/S0010-4655(98)00154-4): half the mean square difference of partners over the variance.

    Parameters
    ----------
    first, second : array, shape (pairs, targets)
        Effects in patients and in their partners; NaN where there is none.
    seed : int
        Of the bootstrap over pairs.
    people : array, shape (pairs,), optional
        How many people each pair stands for.

    Returns
    -------
    dict
        `assumed_share`, its `_lower` and `_upper`, and `assumed_pairs`, the pairs behind them; NaN with fewer than
        `MINIMUM_PAIRS`, or where the effect is the same in all patients.
    """
    import numpy as np

    whole = np.isfinite(first) & np.isfinite(second)
    number = whole.sum(axis=0)
    one, two = (np.where(whole, side, 0.0) for side in (first, second))
    generator = stream("bootstrap over pairs", seed)
    pairs = len(first)
    counts = generator.multinomial(pairs, np.full(pairs, 1 / max(pairs, 1)), size=RESAMPLES).astype(float)
    weights = np.vstack([np.ones(pairs), counts])
    if people is not None:
        weights *= people
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights @ whole
        mean = weights @ ((one + two) / 2) / total
        square = weights @ ((one**2 + two**2) / 2) / total
        half = weights @ ((one - two) ** 2 / 2) / total
        variance = square - mean**2
        share = np.where(variance > 1e-12 * square, half / variance, np.nan)
    share[:, number < MINIMUM_PAIRS] = np.nan
    known = np.isfinite(share).any(axis=0)
    limits = np.full((2, share.shape[1]), np.nan)
    limits[:, known] = np.nanpercentile(share[1:, known], [2.5, 97.5], axis=0)
    return {
        "assumed_share": share[0],
        "assumed_share_lower": limits[0],
        "assumed_share_upper": limits[1],
        "assumed_pairs": number.astype(float),
    }


def flips(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    """Return in which share of the pairs another target is the best when the redrawn numbers change."""
    import numpy as np

    whole = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    if not whole.any():
        return {"verdict_flips": float("nan"), "verdict_pairs": 0}
    changed = np.argmax(first[whole], axis=1) != np.argmax(second[whole], axis=1)
    return {"verdict_flips": float(changed.mean()), "verdict_pairs": int(whole.sum())}
