"""How sure is a ranking? Bootstrap of paired benefits over patients: intervals, ranks, ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.priors import stream

if TYPE_CHECKING:
    import numpy as np

TOP = 5
"""Size of the short list for which probabilities are given."""

MINIMUM_SHARE = 0.8
"""A target is ranked if at least this share of the patients has a result for it: means over unlike patients do not
compare, and those without a result (no surgery under treatment) are not a random part."""


@dataclass(frozen=True, kw_only=True)
class RankSummary:
    """Confidence of a ranking; arrays have one entry per target, in the order given.

    Attributes
    ----------
    mean, median, lower, upper : numpy.ndarray
        Benefit over patients and the bootstrap interval of the mean.
    rank : numpy.ndarray
        1 is the largest mean benefit; ties share the average; NaN for a target that is not ranked.
    rank_lower, rank_upper : numpy.ndarray
        Limits of the rank: 1 plus the number of targets that are better with confidence `level`, and the number of
        ranked targets less those that are worse with it, both by paired differences. Percentiles of resampled ranks
        miss the true rank too often where many targets are nearly tied.
    p_first, p_top : numpy.ndarray
        Share of the resamples in which the target has the best mean (equal ones share it), and in which it is among
        the `TOP` best.
    patients_top : numpy.ndarray
        Share of the patients in whom the target is among the `TOP` best; the wider statement, because every
        patient is one possible truth about the uncertain parameters.
    p_better : numpy.ndarray
        Targets x targets: share of the resamples in which the row has the larger mean benefit (equal counts half).
    group : numpy.ndarray
        Groups that the data do not tell apart: 1 holds the best target and those tied with it; NaN if not ranked.
    """

    mean: np.ndarray
    median: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    rank: np.ndarray
    rank_lower: np.ndarray
    rank_upper: np.ndarray
    p_first: np.ndarray
    p_top: np.ndarray
    patients_top: np.ndarray
    p_better: np.ndarray
    group: np.ndarray


def summarize_ranks(
    benefit: np.ndarray,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    weights: np.ndarray | None = None,
) -> RankSummary:
    """Rank targets by their mean benefit and say how far the ranking can be trusted.

    Parameters
    ----------
    benefit : numpy.ndarray
        Patients x targets; larger is better; NaN where there is no result.
    seed : int
        Seed of the bootstrap.
    resamples : int
        Bootstrap resamples of the patients; each resample is used for all targets, so that differences are paired.
    level : float
        Confidence of the intervals.
    weights : numpy.ndarray, optional
        How many people each patient stands for, in any unit; by default as many each.

    Returns
    -------
    RankSummary
    """
    import numpy as np

    patients, targets = benefit.shape
    if patients < 2 or targets < 1:
        raise AnalysisError(f"a ranking needs at least 2 patients and 1 target, not {patients} and {targets}")
    valid = np.isfinite(benefit)
    ranked = np.average(valid, axis=0, weights=weights) >= MINIMUM_SHARE
    if weights is None:
        mean = np.where(valid.any(axis=0), _column(np.nanmean, benefit), np.nan)
    else:
        mean = weighted_mean(benefit, weights)
    tail = 50 * (1 - level)
    means = bootstrap_means(benefit, seed=seed, resamples=resamples, level=level, weights=weights)
    ranks = _ranks(np.where(ranked, means, np.nan))
    lower, upper = _column(np.nanpercentile, means, q=[tail, 100 - tail])
    rank_lower, rank_upper = _rank_limits(np.where(ranked, means, np.nan), level)
    p_better = _p_better(means)
    per_patient = _ranks(np.where(ranked, benefit, np.nan))
    return RankSummary(
        mean=mean,
        median=_column(np.nanmedian, benefit) if weights is None else weighted_median(benefit, weights),
        lower=lower,
        upper=upper,
        rank=_ranks(np.where(ranked, mean, np.nan)[None, :])[0],
        rank_lower=rank_lower,
        rank_upper=rank_upper,
        p_first=_share_first(ranks),
        p_top=_share_at_most(ranks, TOP),
        patients_top=_share_at_most(per_patient, TOP, weights),
        p_better=p_better,
        group=_groups(np.where(ranked, mean, np.nan), means, level),
    )


def _column(statistic: object, values: np.ndarray, **options: object) -> np.ndarray:
    """Apply a NaN-aware statistic down the columns; a column without any number gives NaN without a warning."""
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(statistic(values, axis=0, **options))  # type: ignore[operator]


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean of every column over its numbers; NaN for a column without any."""
    import numpy as np

    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((weights @ np.where(known, values, 0.0)) / (weights @ known))


def weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return where half of the weight lies on each side, for every column; NaN for a column without any number."""
    import numpy as np

    def one(column: np.ndarray) -> float:
        known = np.isfinite(column) & (weights > 0)
        if not known.any():
            return float("nan")
        order = np.argsort(column[known], kind="stable")
        sorted_values, below = column[known][order], np.cumsum(weights[known][order])
        half = below[-1] / 2
        place = int(np.searchsorted(below, half * (1 - 1e-12)))
        exactly = abs(below[place] - half) <= 1e-12 * half
        return float(sorted_values[place : place + 2].mean() if exactly else sorted_values[place])

    return np.array([one(column) for column in values.T])


def effective_size(weights: np.ndarray) -> float:
    """Return how many patients of equal weight tell as much (Kish): the squared sum over the sum of squares."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def bootstrap_means(
    benefit: np.ndarray,
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Mean over patients of every column in every resample of the patients: resamples x columns.

    Means of as many patients as there are lie too close together: their spread lacks the factor n/(n - 1) of the
    variance and the heavy tails of Student's t. A resample therefore has somewhat fewer patients, just so many that
    percentiles at `level` have the right width; it never leaves the range of the patients, so that what helps all of
    them has no interval that says it may harm. With `weights` the size that counts is the effective one.
    """
    import numpy as np

    patients = benefit.shape[0]
    valid = np.isfinite(benefit)
    filled = np.where(valid, benefit, 0.0)
    generator = stream("bootstrap over patients", seed)
    drawn = _resample_size(patients if weights is None else effective_size(weights), level, patients)
    counts = generator.multinomial(drawn, np.full(patients, 1 / patients), size=resamples).astype(float)
    if weights is not None:
        counts *= weights
    total = counts @ valid
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, counts @ filled / total, np.nan))


def _resample_size(effective: float, level: float, patients: int) -> int:
    """Return how many patients a resample has, so that its mean varies as widely as Student's t says."""
    from scipy.special import ndtri, stdtrit

    freedom = max(effective - 1, 1e-3)  # one patient alone tells nothing of the spread
    narrower = float(ndtri((1 + level) / 2) / stdtrit(freedom, (1 + level) / 2)) ** 2
    return max(1, round(freedom * narrower * patients / effective))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank each row, 1 for the largest; equal values share the average rank; NaN stays NaN."""
    import numpy as np
    from scipy.stats import rankdata

    return np.asarray(rankdata(-values, axis=1, nan_policy="omit"), dtype=float)


def _rank_limits(means: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks that remain when every other target is placed before, behind, or beside each target."""
    import numpy as np

    ranked = np.isfinite(means).any(axis=0)
    behind = np.zeros((means.shape[1], means.shape[1]), dtype=bool)
    for index in np.flatnonzero(ranked):
        lead = _column(np.nanquantile, means[:, [index]] - means, q=1 - level)
        behind[index] = np.nan_to_num(lead) > 0
    lower, upper = 1.0 + behind.sum(axis=0), ranked.sum() - behind.sum(axis=1).astype(float)
    return np.where(ranked, lower, np.nan), np.where(ranked, upper, np.nan)


def _share_first(ranks: np.ndarray) -> np.ndarray:
    """Share of the rows in which each column has the smallest rank; those that tie for it share it."""
    import numpy as np

    known = np.isfinite(ranks)
    best = known & (ranks == np.fmin.reduce(ranks, axis=1)[:, None])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (best / best.sum(axis=1, keepdims=True)).sum(axis=0) / known.sum(axis=0)
    return np.asarray(share)


def _share_at_most(ranks: np.ndarray, top: int, weights: np.ndarray | None = None) -> np.ndarray:
    import numpy as np

    known = np.isfinite(ranks)
    each = np.ones(len(ranks)) if weights is None else weights
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (each @ ((ranks <= top) & known)) / (each @ known)
    return np.asarray(share)


def _p_better(means: np.ndarray) -> np.ndarray:
    import numpy as np

    first, second = means[:, :, None], means[:, None, :]
    result = (first > second).mean(axis=0) + 0.5 * (first == second).mean(axis=0)
    return np.asarray(np.where(np.isnan(means).all(axis=0)[:, None] | np.isnan(means).all(axis=0), np.nan, result))


def _groups(mean: np.ndarray, means: np.ndarray, level: float) -> np.ndarray:
    """Group the best target with all that it does not beat with confidence `level`, then the best of the rest, ..."""
    import numpy as np

    group = np.full(mean.shape, np.nan)
    left = [int(i) for i in np.argsort(-mean, kind="stable") if np.isfinite(mean[i])]
    number = 0
    while left:
        number += 1
        lead = _column(np.nanquantile, means[:, [left[0]]] - means, q=1 - level)
        tied = [index for index in left if index == left[0] or not lead[index] > 0]
        group[tied] = number
        left = [index for index in left if index not in tied]
    return group
