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
        Benefit over patients and the 95 % bootstrap interval of the mean.
    rank : numpy.ndarray
        1 is the largest mean benefit; ties share the average; NaN for a target that is not ranked.
    rank_lower, rank_upper : numpy.ndarray
        2.5 and 97.5 % of the rank over bootstrap resamples of the patients.
    p_top : numpy.ndarray
        Share of the resamples in which the target is among the `TOP` best means.
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
    p_top: np.ndarray
    patients_top: np.ndarray
    p_better: np.ndarray
    group: np.ndarray


def summarize_ranks(benefit: np.ndarray, *, seed: int, resamples: int = 2000) -> RankSummary:
    """Rank targets by their mean benefit and say how far the ranking can be trusted.

    Parameters
    ----------
    benefit : numpy.ndarray
        Patients x targets; larger is better; NaN where there is no result.
    seed : int
        Seed of the bootstrap.
    resamples : int
        Bootstrap resamples of the patients; each resample is used for all targets, so that differences are paired.

    Returns
    -------
    RankSummary
    """
    import numpy as np

    patients, targets = benefit.shape
    if patients < 2 or targets < 1:
        raise AnalysisError(f"a ranking needs at least 2 patients and 1 target, not {patients} and {targets}")
    valid = np.isfinite(benefit)
    ranked = valid.mean(axis=0) >= MINIMUM_SHARE
    mean = np.where(valid.any(axis=0), _column(np.nanmean, benefit), np.nan)
    means = _bootstrap_means(benefit, valid, seed=seed, resamples=resamples)
    ranks = _ranks(np.where(ranked, means, np.nan))
    lower, upper = _column(np.nanpercentile, means, q=[2.5, 97.5])
    rank_lower, rank_upper = _column(np.nanpercentile, ranks, q=[2.5, 97.5])
    p_better = _p_better(means)
    per_patient = _ranks(np.where(ranked, benefit, np.nan))
    return RankSummary(
        mean=mean,
        median=_column(np.nanmedian, benefit),
        lower=lower,
        upper=upper,
        rank=_ranks(np.where(ranked, mean, np.nan)[None, :])[0],
        rank_lower=rank_lower,
        rank_upper=rank_upper,
        p_top=_share_at_most(ranks, TOP),
        patients_top=_share_at_most(per_patient, TOP),
        p_better=p_better,
        group=_groups(np.where(ranked, mean, np.nan), means),
    )


def _column(statistic: object, values: np.ndarray, **options: object) -> np.ndarray:
    """Apply a NaN-aware statistic down the columns; a column without any number gives NaN without a warning."""
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(statistic(values, axis=0, **options))  # type: ignore[operator]


def _bootstrap_means(benefit: np.ndarray, valid: np.ndarray, *, seed: int, resamples: int) -> np.ndarray:
    """Mean benefit of every target in every resample: resamples x targets."""
    import numpy as np

    patients = benefit.shape[0]
    generator = stream("bootstrap over patients", seed)
    counts = generator.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(float)
    total = counts @ valid
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, counts @ np.where(valid, benefit, 0.0) / total, np.nan))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank each row, 1 for the largest; equal values share the average rank; NaN stays NaN."""
    import numpy as np
    from scipy.stats import rankdata

    return np.asarray(rankdata(-values, axis=1, nan_policy="omit"), dtype=float)


def _share_at_most(ranks: np.ndarray, top: int) -> np.ndarray:
    import numpy as np

    known = np.isfinite(ranks)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = ((ranks <= top) & known).sum(axis=0) / known.sum(axis=0)
    return np.asarray(share)


def _p_better(means: np.ndarray) -> np.ndarray:
    import numpy as np

    first, second = means[:, :, None], means[:, None, :]
    result = (first > second).mean(axis=0) + 0.5 * (first == second).mean(axis=0)
    return np.asarray(np.where(np.isnan(means).all(axis=0)[:, None] | np.isnan(means).all(axis=0), np.nan, result))


def _groups(mean: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Walk down the ranking; a new group starts where the leader's 95 % paired interval excludes a tie."""
    import numpy as np

    group = np.full(mean.shape, np.nan)
    order = [int(i) for i in np.argsort(-mean, kind="stable") if np.isfinite(mean[i])]
    number, leader = 0, -1
    for index in order:
        apart = leader < 0 or np.nanpercentile(means[:, leader] - means[:, index], 2.5) > 0
        if apart:
            number, leader = number + 1, index
        group[index] = number
    return group
