"""Survival of followed patients: Kaplan-Meier, competing risks, and two arms compared; weights of a cohort are honored.

All take what `cascade.outcomes.draw_events` returns: `time` (months since surgery), `event`, `organ` of the first overt
metastasis and `metastatic_at_diagnosis` over `patient`, and `weight` if patients count differently. What a sample of
patients cannot tell from chance, `cascade.survival_exact` computes from their hazards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._cox import Z, hazard_ratio, require_both
from cascade._followed import MONTHS_PER_YEAR, Followed, followed, month_grid, provenance
from cascade._other_deaths import DEATH, with_deaths
from cascade._risk_sets import RiskSets, at_risk, incidence, restricted_mean, risk_sets, survival
from cascade._survival_words import describe, needed_to_treat
from cascade._tables import is_number
from cascade.errors import AnalysisError

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
        Result of `cascade.outcomes.draw_events`. Patients who were metastatic at diagnosis are not at risk; they and
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


def survival_interval(sets: RiskSets, grid: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Return survival at the grid with its 95 % interval on the log-log scale; NaN after the last patient."""
    share, influence = survival(sets, grid)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt((influence**2).sum(axis=0)) / np.abs(np.log(share))
        lower, upper = share ** np.exp(Z * error), share ** np.exp(-Z * error)
    sure = (share == 0) | (share == 1)
    lower, upper = np.where(sure, share, lower), np.where(sure, share, upper)
    unseen = (grid > sets.rows.time.max()) & (share > 0)
    return tuple(np.where(unseen, math.nan, each) for each in (share, lower, upper))  # type: ignore[return-value]


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
        raise AnalysisError("events hold no 'organ', the first site; give what cascade.outcomes.draw_events() returns")
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
        why there is no hazard ratio; a `year` that was not observed in both is NaN.

    Raises
    ------
    AnalysisError
        If an arm has fewer than two patients.

    Notes
    -----
    With weights, or with the same patients in both arms, all variances and the test are robust and by patient.
    """
    import xarray as xr

    both = [followed(each, weights)[0] for each in (control, arm)]
    found = compared(*both, years=years, restricted_to=restricted_to)
    result = xr.Dataset(found, coords={"year": np.asarray(years, dtype=float)})
    describe(result)
    result.attrs = provenance(control, arm) | {
        name: sum(getattr(rows, name) for rows in both) for name in ("metastatic", "missing")
    }
    return result


def compared(
    control: Followed, arm: Followed, *, years: Sequence[float], restricted_to: float | None = None
) -> dict[str, Any]:
    """Return what `compare_arms` tells, as variables."""
    require_both(control, arm)
    ratio = hazard_ratio(control, arm)
    last = float(min(control.time.max(), arm.time.max()))
    if restricted_to is not None:
        if not (is_number(restricted_to) and 0 < restricted_to <= last):
            raise AnalysisError(f"restricted_to is {restricted_to!r}; give a month up to {last:g}, the last observed")
        last = float(restricted_to)
    sets = risk_sets(control), risk_sets(arm)
    means = [restricted_mean(each, last) for each in sets]
    difference = means[1][0] - means[0][0]
    error = _paired_error(control, arm, means[0][1], means[1][1])
    found: dict[str, Any] = dict(zip(_names("hazard_ratio"), ratio.interval, strict=True))
    found |= {"log_hazard_ratio_error": ratio.error, "p_log_rank": ratio.p, "reason": ratio.reason}
    found |= dict(zip(_names("restricted_mean_difference"), _around(difference, error), strict=True))
    return found | {"restricted_to": last} | _risks(control, arm, sets, np.asarray(years, dtype=float))


def _names(name: str) -> tuple[str, str, str]:
    return name, f"{name}_lower", f"{name}_upper"


def _around(value: Any, error: Any) -> tuple[Any, Any, Any]:
    return value, value - Z * error, value + Z * error


def _paired_error(control: Followed, arm: Followed, of_control: Numbers, of_arm: Numbers) -> Any:
    """Return the standard error of arm - control from the contributions of patients, who may be in both."""
    _, person = np.unique(np.concatenate([control.patient, arm.patient]), return_inverse=True)
    total = np.zeros((person.max() + 1, *of_arm.shape[1:]))
    np.add.at(total, person, np.concatenate([-of_control, of_arm]))
    return np.sqrt((total**2).sum(axis=0))


def _risks(control: Followed, arm: Followed, sets: tuple[RiskSets, RiskSets], years: Numbers) -> dict[str, Any]:
    grid = month_grid(years * MONTHS_PER_YEAR, 0.0)
    courses = [survival_interval(each, grid) for each in sets]
    parts = [survival(each, grid) for each in sets]
    found: dict[str, Any] = {}
    for name, (share, lower, upper) in zip(("risk_control", "risk_arm"), courses, strict=True):
        found |= dict(zip(_names(name), (1 - share, 1 - upper, 1 - lower), strict=True))
    with np.errstate(invalid="ignore"):
        scaled = [np.where(share > 0, share * influence, 0.0) for share, influence in parts]
    reduction = courses[1][0] - courses[0][0]
    ends = _around(reduction, _paired_error(control, arm, *scaled))
    found |= dict(zip(_names("risk_reduction"), ends, strict=True))
    found |= dict(zip(_names("nnt"), needed_to_treat(*ends), strict=True))
    return {name: ("year", value) for name, value in found.items()}


def _described(found: xr.Dataset, everyone: Followed, events: xr.Dataset) -> xr.Dataset:
    describe(found)
    found.attrs = provenance(events) | {
        "patients": everyone.size,
        "metastatic": everyone.metastatic,
        "missing": everyone.missing,
        "weighted": int(everyone.weighted),
    }
    return found
