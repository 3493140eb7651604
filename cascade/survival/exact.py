"""Survival without chance: what a cohort's own hazards say, the limit of ever more patients like these.

The counterparts of `cascade.survival` on what `cascade.follow_cohort` returns. A patient is free of metastasis
at month t with probability exp(-h(t)), and counts in the cohort after surgery by his chance of not being metastatic at
diagnosis, exp(-h_before).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError
from cascade.survival import YEARS
from cascade.survival._followed import ALL, MONTHS_PER_YEAR, labels_of, provenance
from cascade.survival._hazards import Hazards, enrolled_pair, hazards_of, least_false_ratio, population_hazard
from cascade.survival._other_deaths import DEATH, death_hazard
from cascade.survival._words import describe, needed_to_treat

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def exact_survival(
    outcomes: xr.Dataset,
    by: str | xr.DataArray | None = None,
    *,
    death: float | xr.DataArray = 0.0,
    weights: xr.DataArray | None = None,
) -> xr.Dataset:
    """Compute survival without metastasis and the incidence of every first site from the hazards of the patients.

    Parameters
    ----------
    outcomes : xarray.Dataset
        Result of `cascade.follow_cohort`.
    by, weights
        As of `cascade.kaplan_meier`.
    death : float or DataArray over patient
        Hazard of death from other causes per year.

    Returns
    -------
    xarray.Dataset
        Over `group` and `month`: `survival`, what Kaplan-Meier estimates; `hazard` of the group in the month that ends
        (per year; it falls as those of high risk leave); `free`, the share without metastasis and alive. Over `group`,
        `cause` and `month`: `incidence`; with `free` they sum to 1. Over `group`: `metastatic`, the share of all who
        are metastatic at diagnosis, and `patients`.

    Raises
    ------
    AnalysisError
        If no patient has hazards, or groups or weights cannot be used.

    Notes
    -----
    Exact at the months of the outcomes if the organs share the hazard evenly within each month.
    """
    import xarray as xr

    hazards = hazards_of(outcomes, weights)
    yearly = death_hazard(death, outcomes)
    labels = labels_of(outcomes, by)
    names = [ALL] if labels is None else sorted({str(each) for each in labels} - {""})
    causes = [*hazards.organs, *([DEATH] if (yearly > 0).any() else [])]
    found = []
    for name in names:
        mine = hazards.known if labels is None else hazards.known & (labels == name)
        if not hazards.weight[mine].sum() > 0:
            raise AnalysisError(f"nobody of group {name!r} has hazards; leave it out or join it with another")
        found.append(_mixture(hazards, mine, yearly, len(causes)))
    data = {name: (dims, np.stack([each[name] for each in found])) for name, dims in _DIMS.items()}
    result = xr.Dataset(data, coords={"group": names, "cause": causes, "month": hazards.month})
    describe(result)
    result.attrs = provenance(outcomes) | {"missing": hazards.missing}
    return result


_DIMS = {
    **dict.fromkeys(("survival", "hazard", "free"), ("group", "month")),
    "incidence": ("group", "cause", "month"),
    **dict.fromkeys(("metastatic", "patients"), ("group",)),
}


def _mixture(hazards: Hazards, mine: NDArray[np.bool_], death: Numbers, causes: int) -> dict[str, Any]:
    weight = hazards.weight[mine] / hazards.weight[mine].sum()
    total, month = hazards.total[mine], hazards.month
    share = weight @ np.exp(-total)
    dying = death[mine][:, None] * month
    free = weight[:, None] * np.exp(-total - dying)
    leave = free[:, :-1] - free[:, 1:]
    steps = np.concatenate([np.diff(hazards.organ[mine], axis=2), np.diff(dying, axis=1)[:, None, :]], axis=1)
    whole = steps.sum(axis=1)
    parts = np.divide(steps, whole[:, None, :], out=np.zeros_like(steps), where=whole[:, None, :] > 0)
    incidence = np.zeros((causes, month.size))
    incidence[:, 1:] = np.cumsum((leave[:, None, :] * parts).sum(axis=0), axis=1)[:causes]
    return {
        "survival": share,
        "hazard": population_hazard(share, month),
        "free": free.sum(axis=0),
        "incidence": incidence,
        "metastatic": float(1 - hazards.weight[mine].sum() / hazards.whole[mine].sum()),
        "patients": int(mine.sum()),
    }


def exact_comparison(
    control: xr.Dataset,
    arm: xr.Dataset,
    *,
    years: Sequence[float] = YEARS,
    weights: xr.DataArray | None = None,
    restricted_to: float | None = None,
) -> xr.Dataset:
    """Compare the same patients in two arms without chance.

    Parameters
    ----------
    control, arm : xarray.Dataset
        Results of `cascade.follow_cohort` of one cohort without and with treatment.
    years : sequence of float
        Years after surgery; those that were not followed are NaN.
    weights : DataArray over patient, optional
    restricted_to : float, optional
        Last month that is compared; by default all.

    Returns
    -------
    xarray.Dataset
        `hazard_ratio`, what the model of Cox finds in ever more patients, half of them in each arm, all followed to the
        end; over `month` `hazard_ratio_course`, the ratio of the hazards of the two populations in that month;
        `restricted_mean_difference`; over `year` `risk_control`, `risk_arm`, `risk_reduction` and `nnt`; over `patient`
        `reduction_of_patient`, the risk that each loses by the last month.

    Raises
    ------
    AnalysisError
        If the patients of the arms are not the same, or none has hazards in both.

    Notes
    -----
    Patients are enrolled by the control: whom a treatment before surgery saves from, or brings, a metastasis at
    diagnosis counts from month 0 on.
    """
    import xarray as xr

    both = enrolled_pair(control, arm, weights, months=restricted_to)
    month, weight = both[0].month, both[0].weight / both[0].weight.sum()
    shares = [weight @ np.exp(-each.total) for each in both]
    risks = [1 - np.interp(np.asarray(years, float) * MONTHS_PER_YEAR, month, each, right=np.nan) for each in shares]
    reduction = risks[0] - risks[1]
    hazard = [population_hazard(each, month) for each in shares]
    with np.errstate(divide="ignore", invalid="ignore"):
        course = hazard[1] / hazard[0]
    mine = np.where(both[0].known, np.exp(-both[1].total[:, -1]) - np.exp(-both[0].total[:, -1]), np.nan)
    found = xr.Dataset(
        {
            "hazard_ratio": least_false_ratio(*shares),
            "hazard_ratio_course": ("month", course),
            "restricted_mean_difference": float(np.trapezoid(shares[1] - shares[0], month)),
            "restricted_to": float(month[-1]),
            "risk_control": ("year", risks[0]),
            "risk_arm": ("year", risks[1]),
            "risk_reduction": ("year", reduction),
            "nnt": ("year", needed_to_treat(reduction, reduction, reduction)[0]),
            "reduction_of_patient": ("patient", mine),
        },
        coords={"month": month, "year": np.asarray(years, float), "patient": control["patient"].values},
    )
    describe(found)
    found.attrs = provenance(control, arm) | {"missing": both[0].missing}
    return found
