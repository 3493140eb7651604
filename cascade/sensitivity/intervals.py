"""How sure is an index? Limits, ranks and joint draws from the jackknife over independent replicates of a design.

Rows inside one replicate of a Sobol' sample depend on each other, so a bootstrap of rows gives intervals that are too
wide; whole replicates are independent. Limits are the estimate plus and minus t times the jackknife error with as many
degrees of freedom as there are replicates less one, on the logarithm for indices that cannot be negative.

Everywhere here `estimate` is names x ... and `left_out` is replicates x names x ..., the estimate without one
replicate, NaN where that replicate has no part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.sensitivity.priors import stream

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
"""Confidence of all limits."""

DRAWS = 1000
"""Joint draws of the indices behind ranks and probabilities."""


def jackknife_limits(
    estimate: np.ndarray, left_out: np.ndarray, *, positive: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper 95 % limits of an estimate; NaN with fewer than two replicates behind it.

    Parameters
    ----------
    estimate, left_out : numpy.ndarray
        Names x ..., and replicates x names x ...
    positive : bool
        The index cannot be negative: the limits are computed on its logarithm wherever that exists.
    """
    center, deviation, count, logarithmic = _deviations(estimate, left_out, positive)
    half = _half(deviation, count)
    lower, upper = center - half, center + half
    return _back(lower, logarithmic), _back(upper, logarithmic)


def half_width(estimate: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Return half the width of the symmetric 95 % interval of an estimate; NaN with fewer than two replicates."""
    _, deviation, count, _ = _deviations(estimate, left_out, positive=False)
    return _half(deviation, count)


def _half(deviation: np.ndarray, count: np.ndarray) -> np.ndarray:
    import numpy as np
    from scipy.special import stdtrit

    half = stdtrit(np.maximum(count - 1, 1), 0.5 + CONFIDENCE / 2) * np.sqrt((deviation**2).sum(axis=0))
    return np.where(count > 1, half, np.nan)


def jackknife_draws(
    estimate: np.ndarray, left_out: np.ndarray, *, seed: int, draws: int = DRAWS, positive: bool = False
) -> np.ndarray:
    """Draw all indices jointly, as they would come out of other replicates: draws x names x ...

    A multivariate t distribution with the covariance of the jackknife, so that what is paired stays paired: each
    draw weights the replicates in the same way for all names.
    """
    import numpy as np

    center, deviation, _, logarithmic = _deviations(estimate, left_out, positive)
    replicates = left_out.shape[0]
    generator = stream("draws of indices", seed)
    weights = generator.standard_normal((draws, replicates))
    degrees = max(replicates - 1, 1)
    weights /= np.sqrt(generator.chisquare(degrees, size=(draws, 1)) / degrees)
    return _back(center + np.tensordot(weights, deviation, axes=1), logarithmic)


def _deviations(
    estimate: np.ndarray, left_out: np.ndarray, positive: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the estimate and how far each replicate pulls it, on the scale of the interval.

    The squares of the deviations sum to the variance of the estimate. Also the number of replicates behind each
    estimate, and where the scale is logarithmic.
    """
    import numpy as np

    taking_part = np.isfinite(left_out)
    count = taking_part.sum(axis=0)
    filled = np.where(taking_part, left_out, estimate)
    logarithmic = np.zeros(estimate.shape, dtype=bool)
    if positive:
        logarithmic = (estimate > 0) & (filled > 0).all(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        center = np.where(logarithmic, np.log(np.where(logarithmic, estimate, 1.0)), estimate)
        scaled = np.where(logarithmic, np.log(np.where(logarithmic, filled, 1.0)), filled)
        middle = np.where(taking_part, scaled, 0.0).sum(axis=0) / count
        spread = np.where(taking_part, middle - scaled, 0.0) * np.sqrt((count - 1) / count)
    return center, np.where(np.isfinite(spread), spread, 0.0), count, logarithmic


def _back(values: np.ndarray, logarithmic: np.ndarray) -> np.ndarray:
    """Undo the logarithm; an index far above its possible values is as good as any other large number."""
    import numpy as np

    return np.where(logarithmic, np.exp(np.minimum(np.where(logarithmic, values, 0.0), 700.0)), values)


def rank_intervals(
    estimate: np.ndarray, left_out: np.ndarray, *, top: int, seed: int, draws: int = DRAWS
) -> dict[str, np.ndarray]:
    """Rank names by an index that cannot be negative and say how far the ranking can be trusted.

    Parameters
    ----------
    estimate, left_out : numpy.ndarray
        Names x columns, and replicates x names x columns.
    top : int
        Size of the short list for `p_top`.
    seed, draws : int
        Of the joint draws behind `p_top`.

    Returns
    -------
    dict of str to numpy.ndarray
        Names x columns, NaN for a name without an index. `rank`: 1 is the largest; equal indices share the average.
        `rank_lower`: 1 and the number of names with a larger index, at 97.5 % by paired differences; `rank_upper`: the
        number of names less those with a smaller one. `p_top`: probability of a rank of at most `top`.
    """
    import numpy as np

    result = {name: np.full(estimate.shape, np.nan) for name in ("rank", "rank_lower", "rank_upper", "p_top")}
    for column in range(estimate.shape[1]):
        known = np.isfinite(estimate[:, column])
        if not known.any():
            continue
        here, out = estimate[known, column], left_out[:, known, column]
        larger = _surely_larger(here, out)
        drawn = jackknife_draws(here, out, seed=seed, draws=draws, positive=True)
        result["rank"][known, column] = _ranks(here[None])[0]
        result["rank_lower"][known, column] = 1 + larger.sum(axis=0)
        result["rank_upper"][known, column] = here.size - larger.sum(axis=1)
        result["p_top"][known, column] = (_ranks(drawn) <= top).mean(axis=0)
    return result


def _surely_larger(estimate: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Say whether the index of the row is larger than that of the column, by 97.5 % limits of paired differences."""
    import numpy as np
    from scipy.special import stdtrit

    center, deviation, count, _ = _deviations(estimate, left_out, positive=False)
    products = deviation.T @ deviation
    variance = np.diag(products)[:, None] + np.diag(products) - 2 * products
    degrees = np.maximum(np.minimum(count[:, None], count) - 1, 1)
    half = stdtrit(degrees, 0.5 + CONFIDENCE / 2) * np.sqrt(np.maximum(variance, 0.0))
    enough = np.minimum(count[:, None], count) > 1
    return np.asarray(enough & (center[:, None] - center > half + 1e-12 * np.abs(center).max()))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank each row, 1 for the largest; equal values share the average rank."""
    import numpy as np
    from scipy.stats import rankdata

    return np.asarray(rankdata(-values, axis=1), dtype=float)


def probability_of_set(
    estimate: np.ndarray,
    left_out: np.ndarray,
    *,
    top: int,
    seed: int,
    tolerance: float = 0.0,
    draws: int = 4 * DRAWS,
    positive: bool = True,
) -> float:
    """Return the probability that the `top` largest estimates are the `top` largest indices.

    Parameters
    ----------
    estimate, left_out : numpy.ndarray
        One per name, and replicates x names.
    top, seed, draws, positive
        See `rank_intervals`.
    tolerance : float
        Indices closer than this share of the largest estimate count as equal, so that either may be in the list.
    """
    import numpy as np

    if estimate.size <= top:
        return 1.0
    order = np.argsort(-estimate, kind="stable")
    drawn = jackknife_draws(estimate, left_out, seed=seed, draws=draws, positive=positive)
    inside, outside = drawn[:, order[:top]].min(axis=1), drawn[:, order[top:]].max(axis=1)
    return float((inside >= outside - tolerance * estimate.max()).mean())
