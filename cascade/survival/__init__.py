"""Survival of followed patients: Kaplan-Meier, competing risks, and two arms compared; weights of a cohort are honored.

All take what `cascade.draw_events` returns: `time` (months since surgery), `event`, `organ` of the first overt
metastasis and `metastatic_at_diagnosis` over `patient`, and `weight` if patients count differently. What a sample of
patients cannot tell from chance, `cascade.survival.exact` computes from their hazards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError
from cascade.survival._compared import compared, enrolled_by_control, survival_interval
from cascade.survival._cox import Z
from cascade.survival._followed import Followed, followed, month_grid, provenance
from cascade.survival._other_deaths import DEATH, with_deaths
from cascade.survival._risk_sets import at_risk, incidence, restricted_mean, risk_sets, survival
from cascade.survival._words import describe

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

YEARS = (5.0, 10.0)
"""Years after surgery at which risks are compared."""


def kaplan_meier(
    events: xr.Dataset,
    by: str | xr.DataArray | None = None,
    *,
    weights: xr.DataArray | None = None,
    months: Sequence[float] | None = None,
) -> xr.Dataset:
    """Estimate the share of patients without overt distant metastasis.

    Parameters
    ----------
    events : xarray.Dataset
        Result of `cascade.draw_events`. Patients who were metastatic at diagnosis are not at risk; they and
        those without a run are left out and counted.
    by : str or DataArray over patient, optional
        Groups: labels, a variable of `events` or values for its patients (matched by id). Patients without a label are
        in no group.
    weights : DataArray over patient, optional
        By default the variable `weight`, else all count alike. The variance is then robust.
    months : sequence of float, optional
        By default every whole month that was observed.

    Returns
    -------
    xarray.Dataset
        Over `group` and `month`: `survival` with its 95 % interval `lower` and `upper` (log-log), and `at_risk`, the
        number of patients still followed; NaN after the last of them. Over `group`: `patients`, `events`,
        `restricted_mean` (months without metastasis, up to the last month) and `median` (month; NaN if not reached).

    Raises
    ------
    AnalysisError
        If nobody can be followed, or groups or weights cannot be used.
    """
    import xarray as xr

    everyone, groups = followed(events, weights, by)
    grid = month_grid(months, float(everyone.time.max()))
    found = [_course(rows, grid) for rows in groups.values()]
    data = {name: (dims, np.stack([each[name] for each in found])) for name, dims in _COURSE.items()}
    result = xr.Dataset(data, coords={"group": list(groups), "month": grid})
    return _described(result, everyone, events)


_COURSE = {
    **dict.fromkeys(("survival", "lower", "upper", "at_risk"), ("group", "month")),
    **dict.fromkeys(("patients", "events", "restricted_mean", "median"), ("group",)),
}


def _course(rows: Followed, grid: Numbers) -> dict[str, Any]:
    sets = risk_sets(rows)
    share, lower, upper = survival_interval(sets, grid)
    last = float(min(grid[-1], rows.time.max()))
    return {
        "survival": share,
        "lower": lower,
        "upper": upper,
        "at_risk": at_risk(rows, grid),
        "patients": rows.size,
        "events": int(rows.event.sum()),
        "restricted_mean": restricted_mean(sets, last)[0] if last > 0 else 0.0,
        "median": float(sets.time[np.argmax(sets.survival <= 0.5)]) if (sets.survival <= 0.5).any() else math.nan,
    }


def competing_risks(
    events: xr.Dataset,
    by: str | xr.DataArray | None = None,
    *,
    death: float | xr.DataArray = 0.0,
    weights: xr.DataArray | None = None,
    months: Sequence[float] | None = None,
    seed: int = 1,
) -> xr.Dataset:
    """Estimate the cumulative incidence of the first metastasis by organ, and of death before it.

    Parameters
    ----------
    events, by, weights, months
        As of `kaplan_meier`.
    death : float or DataArray over patient
        Hazard of death from other causes per year, the same for all or of each patient (from age, say); 0 for none.
    seed : int
        Of the times of death: one number for each patient id.

    Returns
    -------
    xarray.Dataset
        Over `group`, `cause` (organs, and "death" if there is any) and `month`: `incidence` (Aalen-Johansen) with its
        95 % interval `lower` and `upper`. Over `group` and `month`: `free`, the share without any event, which is
        1 - the sum of all incidences, and `at_risk`.

    Raises
    ------
    AnalysisError
        As of `kaplan_meier`, or if the hazard of death cannot be used.
    """
    import xarray as xr

    dying = with_deaths(events, death, seed)
    causes = _causes(dying)
    everyone, groups = followed(dying, weights, by)
    grid = month_grid(months, float(everyone.time.max()))
    place = {name: i for i, name in enumerate(causes)}
    cause = {str(p): place.get(_cause(o), -1) for p, o in zip(_ids(dying), dying["organ"].values, strict=True)}
    found = [_incidences(_caused(rows, cause), len(causes), grid) for rows in groups.values()]
    data = {name: (dims, np.stack([each[name] for each in found])) for name, dims in _INCIDENCE.items()}
    result = xr.Dataset(data, coords={"group": list(groups), "cause": causes, "month": grid})
    return _described(result, everyone, events)


_INCIDENCE = {
    **dict.fromkeys(("incidence", "lower", "upper"), ("group", "cause", "month")),
    **dict.fromkeys(("free", "at_risk"), ("group", "month")),
}


def _ids(events: xr.Dataset) -> NDArray[Any]:
    n = events.sizes["patient"]
    return events["patient"].values.astype(str) if "patient" in events.coords else np.arange(n).astype(str)


def _cause(organ: object) -> str:
    return str(organ) or "unknown"


def _causes(events: xr.Dataset) -> list[str]:
    """Return the causes that occur, the most frequent organ first, death last."""
    if "organ" not in events:
        raise AnalysisError("events hold no 'organ', the first site; give what cascade.draw_events() returns")
    seen, count = np.unique([_cause(o) for o in events["organ"].values[events["event"].values]], return_counts=True)
    order = sorted(zip(-count, map(str, seen), strict=True))
    names = [name for _, name in order if name != DEATH]
    return [*names, *([DEATH] if DEATH in seen else [])] or ["none"]


def _caused(rows: Followed, cause: dict[str, int]) -> Followed:
    from dataclasses import replace

    own = np.array([cause[patient] for patient in rows.patient], dtype=np.int64)
    return replace(rows, cause=np.where(rows.event, own, -1))


def _incidences(rows: Followed, count: int, grid: Numbers) -> dict[str, Any]:
    sets = risk_sets(rows)
    unseen = (grid > rows.time.max()) & (survival(sets, grid)[0] > 0)
    share, lower, upper = (np.zeros((count, grid.size)) for _ in range(3))
    for cause in range(count):
        share[cause], influence = incidence(sets, cause, grid)
        free = 1 - share[cause]
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt((influence**2).sum(axis=0)) / np.abs(free * np.log(free))
            ends = 1 - free ** np.exp(-Z * error), 1 - free ** np.exp(Z * error)
        sure = (free >= 1) | (free <= 0)
        lower[cause], upper[cause] = (np.where(sure, share[cause], end) for end in ends)
    found = {"incidence": share, "lower": lower, "upper": upper, "free": survival(sets, grid)[0]}
    return {n: np.where(unseen, math.nan, v) for n, v in found.items()} | {"at_risk": at_risk(rows, grid)}


def compare_arms(
    control: xr.Dataset,
    arm: xr.Dataset,
    *,
    years: Sequence[float] = YEARS,
    weights: xr.DataArray | None = None,
    restricted_to: float | None = None,
) -> xr.Dataset:
    """Compare the events of an arm with those of the control.

    Parameters
    ----------
    control, arm : xarray.Dataset
        Events of each, of different patients or of the same (who are then paired by their ids).
    years : sequence of float
        Years after surgery at which the risk is compared.
    weights : DataArray over patient, optional
        For the patients of both; by default their variable `weight`.
    restricted_to : float, optional
        Month up to which mean times without metastasis are compared; by default the last that both arms observed.

    Returns
    -------
    xarray.Dataset
        `hazard_ratio` of the arm over the control (Cox), `p_log_rank`, `restricted_mean_difference` (months gained by
        `restricted_to`), and over `year`: `risk_control`, `risk_arm`, `risk_reduction` (control - arm; above 0 the arm
        is better) and `nnt`, the number needed to treat (below 0: to harm); each with its 95 % interval `*_lower` and
        `*_upper`. An `nnt_upper` that is infinite says that the interval reaches no difference at all. `reason` says
        why there is no hazard ratio; a `year` that was not observed in both is NaN. `p_proportional` tests that the
        ratio is the same early and late (score test of its slope in the rank of the events, Grambsch and Therneau
        1994); where it is small, read `restricted_mean_difference` instead. NaN for weighted or paired patients.
        Attribute `metastatic`: rows left out of both arms, since they were metastatic at diagnosis.

    Raises
    ------
    AnalysisError
        If an arm has fewer than two patients.

    Notes
    -----
    With weights, or with the same patients in both arms, all variances and the test are robust and by patient. The same
    patients are enrolled by the control: whom the arm alone makes metastatic at diagnosis has the event at month 0.
    """
    import xarray as xr

    both = [followed(each, weights)[0] for each in (control, enrolled_by_control(control, arm))]
    found = compared(*both, years=years, restricted_to=restricted_to)
    result = xr.Dataset(found, coords={"year": np.asarray(years, dtype=float)})
    describe(result)
    result.attrs = provenance(control, arm) | {
        name: sum(getattr(rows, name) for rows in both) for name in ("metastatic", "missing")
    }
    return result


def _described(found: xr.Dataset, everyone: Followed, events: xr.Dataset) -> xr.Dataset:
    describe(found)
    found.attrs = provenance(events) | {
        "patients": everyone.size,
        "metastatic": everyone.metastatic,
        "missing": everyone.missing,
        "weighted": int(everyone.weighted),
    }
    return found
