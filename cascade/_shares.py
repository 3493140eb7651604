"""Shares and areas of weighted patients who are seen several times, with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

Z = 1.959963984540054
"""Half width of a 95 % interval of a normal distribution."""


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % interval of Wilson of a share of a count, which need not be whole."""
    if not (count > 0 and np.isfinite(share)):
        return np.nan, np.nan
    center = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    return max(0.0, center - half), min(1.0, center + half)


def weighted_share(hits: NDArray[np.bool_], weight: Numbers, patient: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return a weighted share of visits and its 95 % interval; visits of a patient are not independent.

    Notes
    -----
    Wilson, for the number of independent visits that would have the variance of the sum over patients. Where all
    visits agree no variance can be estimated: then for the effective number of patients.
    """
    whole = weight.sum()
    if not whole > 0:
        return np.nan, np.nan, np.nan
    share = float(np.clip((weight * hits).sum() / whole, 0.0, 1.0))
    by_patient = np.bincount(patient, weight)
    count = whole**2 / (by_patient**2).sum()
    if 0 < share < 1:
        parts = np.bincount(patient, weight * (hits - share)) / whole
        variance = (parts**2).sum() * count / max(count - 1, 1e-9)
        count = share * (1 - share) / variance if variance > 0 else count
    return share, *wilson(share, count)


def auc(
    score: Numbers, case: NDArray[np.bool_], weight: Numbers, patient: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return the area under the ROC curve and its 95 % interval.

    Parameters
    ----------
    score : array
        Larger speaks for a case; ties count half.
    case : array of bool
    weight : array
    patient : array of int
        Visits of one patient are one cluster.

    Notes
    -----
    The variance is that of DeLong, by clusters as in Obuchowski 1997; the interval is symmetric in the logit of the
    area. Where every case scores above every control no variance can be estimated: Wilson, for the smaller of both
    numbers of patients.
    """
    positive, negative = weight[case].sum(), weight[~case].sum()
    if not (positive > 0 and negative > 0):
        return np.nan, np.nan, np.nan
    above_control = _share_below(score[case], score[~case], weight[~case]) / negative
    above_case = 1 - _share_below(score[~case], score[case], weight[case]) / positive
    area = float(np.clip((weight[case] * above_control).sum() / positive, 0.0, 1.0))
    part = np.empty(len(score))
    part[case] = weight[case] * (above_control - area) / positive
    part[~case] = weight[~case] * (above_case - area) / negative
    counts = [_effective(weight[each], patient[each]) for each in (case, ~case)]
    variance = sum(
        (np.bincount(patient[each], part[each]) ** 2).sum() * count / max(count - 1, 1e-9)
        for each, count in zip((case, ~case), counts, strict=True)
    )
    length = int(patient.max()) + 1
    sums = [np.bincount(patient[each], part[each], length) for each in (case, ~case)]
    both = 2 * (sums[0] * sums[1]).sum()
    variance = max(float(variance + both), 0.0)
    if not (0 < area < 1) or variance <= 0:
        return area, *wilson(area, min(counts))
    logit = np.log(area / (1 - area))
    half = Z * np.sqrt(variance) / (area * (1 - area))
    return area, float(1 / (1 + np.exp(half - logit))), float(1 / (1 + np.exp(-half - logit)))


def _effective(weight: Numbers, patient: NDArray[np.int64]) -> float:
    by_patient = np.bincount(patient, weight)
    return float(weight.sum() ** 2 / (by_patient**2).sum())


def _share_below(value: Numbers, others: Numbers, weight: Numbers) -> Numbers:
    """Return for each value the weight of the others below it; those that are equal count half."""
    order = np.argsort(others, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weight[order])])
    low = np.searchsorted(others[order], value, side="left")
    high = np.searchsorted(others[order], value, side="right")
    return np.asarray((sums[low] + sums[high]) / 2)
