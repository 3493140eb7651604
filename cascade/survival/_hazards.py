"""Patients of known hazards: who can be enrolled, and what the model of Cox converges to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError
from cascade.survival._followed import MONTHS_PER_YEAR, over_patients

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Hazards:
    """Patients of known hazards at enrolment: cumulative over `month`, by organ, and the weight of each patient.

    `before` is the hazard up to surgery of the arm by which patients are enrolled, `whole` the weight of each with his
    chance to be metastatic at diagnosis, `missing` how many have no complete hazard.
    """

    month: Numbers
    patient: NDArray[Any]
    total: Numbers
    organ: Numbers
    organs: tuple[str, ...]
    weight: Numbers
    before: Numbers
    known: NDArray[np.bool_]
    whole: Numbers
    missing: int


def hazards_of(
    outcomes: xr.Dataset,
    weights: xr.DataArray | None = None,
    *,
    months: float | None = None,
    enrolled: xr.Dataset | None = None,
) -> Hazards:
    """Return the hazards of the patients who can be enrolled, up to a month.

    Parameters
    ----------
    outcomes : xarray.Dataset
        Result of `cascade.follow_cohort`.
    weights : DataArray over patient, optional
    months : float, optional
        Last month that is needed; by default all.
    enrolled : xarray.Dataset, optional
        Outcomes of the arm by which patients are enrolled (the control); what the arm changes before surgery then
        counts from month 0.
    """
    month, total = _course(outcomes, months)
    base = outcomes if enrolled is None else enrolled
    before = _before(base)
    extra = 0.0 if enrolled is None else _before(outcomes) - before
    if enrolled is not None:
        total = np.maximum(total + np.asarray(extra)[:, None], 0.0)
    given = weights if weights is not None else base.get("weight")
    weight = np.ones(len(total)) if given is None else over_patients(given, base, "weights").astype(float)
    known = np.isfinite(total).all(axis=1) & np.isfinite(before) & np.isfinite(weight)
    if (weight[known] < 0).any() or not weight[known].sum() > 0:
        raise AnalysisError(
            f"of {known.size} patients {int(known.sum())} have hazards up to month {month[-1]:g} and weights of 0 or"
            " more; follow them longer (years_after), or look at their `reason`"
        )
    free = np.where(known, weight * np.exp(-np.where(known, before, 0.0)), 0.0)
    organ, organs = _by_organ(outcomes, month, total)
    return Hazards(
        month=month, patient=outcomes["patient"].values.astype(str), total=np.where(known[:, None], total, 0.0),
        organ=np.where(known[:, None, None], organ, 0.0), organs=organs, weight=free,
        before=np.where(known, before, 0.0), known=known,
        whole=np.where(known, weight, 0.0), missing=int((~known).sum()),
    )  # fmt: skip


def _course(outcomes: Any, months: float | None) -> tuple[Numbers, Numbers]:
    import xarray as xr

    if not isinstance(outcomes, xr.Dataset) or "h_distant" not in outcomes or "h_before" not in outcomes:
        raise AnalysisError("outcomes hold no h_distant and h_before; give what follow_cohort() returns")
    if set(outcomes["h_distant"].dims) != {"patient", "month"}:
        raise AnalysisError("h_distant must be over patient and month; of several arms, choose one with .sel(arm=...)")
    month = outcomes["month"].values.astype(float)
    total = outcomes["h_distant"].transpose("patient", "month").values.astype(float)
    if months is None:
        return month, total
    if not 0 < months <= month[-1]:
        raise AnalysisError(f"month {months:g} is not within the {month[-1]:g} months that were followed")
    last = int(np.searchsorted(month, months - 1e-9)) + 1
    return month[:last], total[:, :last]


def _before(outcomes: xr.Dataset) -> Numbers:
    found: Numbers = outcomes["h_before"].values.astype(float)
    return found


def _by_organ(outcomes: xr.Dataset, month: Numbers, total: Numbers) -> tuple[Numbers, tuple[str, ...]]:
    if "h_organ" not in outcomes:
        return total[:, None, :], ("metastasis",)
    organ = outcomes["h_organ"].transpose("patient", "organ", "month").values.astype(float)[..., : month.size]
    return organ, tuple(str(each) for each in outcomes["organ"].values)


def enrolled_pair(
    control: xr.Dataset, arm: xr.Dataset, weights: xr.DataArray | None = None, *, months: float | None = None
) -> tuple[Hazards, Hazards]:
    """Return the hazards of the same patients in two arms; who lacks one of them counts in neither."""
    if not np.array_equal(control["patient"].values, arm["patient"].values):
        raise AnalysisError("the arms hold other patients, or in another order; follow one cohort in every arm")
    if not np.array_equal(control["month"].values, arm["month"].values):
        raise AnalysisError("the arms were followed for other months; use the same years_after")
    first = hazards_of(control, weights, months=months)
    second = hazards_of(arm, weights, months=months, enrolled=control)
    known = first.known & second.known
    if not first.weight[known].sum() > 0:
        raise AnalysisError("no patient has hazards in both arms; look at `reason` of their outcomes")
    weight = np.where(known, first.weight, 0.0)
    missing = int((~known).sum())
    return (
        replace(first, known=known, weight=weight, missing=missing),
        replace(second, known=known, weight=weight, missing=missing),
    )


def least_false_ratio(
    control: Numbers, arm: Numbers, observed: Numbers | None = None, allocation: float = 0.5
) -> float:
    """Return the hazard ratio that Cox's model converges to, from survival in two arms over the same months.

    Parameters
    ----------
    control, arm : numpy.ndarray
        Survival, falling from 1.
    observed : numpy.ndarray, optional
        Share of patients who are still followed in the middle of every interval; by default all.
    allocation : float
        Share of the patients who are in the arm.
    """
    from scipy.optimize import brentq

    seen = np.ones(control.size - 1) if observed is None else observed
    events = [-np.diff(control) * (1 - allocation) * seen, -np.diff(arm) * allocation * seen]
    left = [(each[1:] + each[:-1]) / 2 for each in (control * (1 - allocation), arm * allocation)]
    if not (events[0].sum() > 0 and events[1].sum() > 0):
        return float("nan")

    def score(log_ratio: float) -> float:
        arm_left = left[1] * np.exp(log_ratio)
        whole = left[0] + arm_left
        share = np.divide(arm_left, whole, out=np.zeros_like(whole), where=whole > 0)
        return float((events[1] - (events[0] + events[1]) * share).sum())

    return float(np.exp(brentq(score, -30.0, 30.0, xtol=1e-12)))


def ratio_by_half(
    control: Numbers, arm: Numbers, observed: Numbers, allocation: float = 0.5
) -> tuple[int, float, float]:
    """Return where half of the expected events have been seen, and the ratio of `least_false_ratio` before and after.

    The place is that of the month that ends the first half; ratios are NaN where an arm has no event.
    """
    falls = -np.diff(control) * (1 - allocation) - np.diff(arm) * allocation
    seen = np.cumsum(falls * observed)
    half = int(np.clip(np.searchsorted(seen, seen[-1] / 2) + 1, 1, control.size - 1))
    parts = (slice(0, half + 1), slice(0, half)), (slice(half, None), slice(half, None))
    early, late = (least_false_ratio(control[s], arm[s], observed[i], allocation) for s, i in parts)
    return half, early, late


def population_hazard(share: Numbers, month: Numbers) -> Numbers:
    """Return the mean hazard per year in the month that ends; NaN at month 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = -np.diff(np.log(share)) / np.diff(month) * MONTHS_PER_YEAR
    return np.concatenate([[np.nan], rate])
