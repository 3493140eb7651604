"""Two arms compared: hazard ratio, time without metastasis, risks; the same patients in both are paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.errors import AnalysisError
from cascade.survival._cox import Z, hazard_ratio, proportional, require_both
from cascade.survival._followed import MONTHS_PER_YEAR, Followed, month_grid
from cascade.survival._risk_sets import RiskSets, restricted_mean, risk_sets, survival
from cascade.survival._words import needed_to_treat

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


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


def enrolled_by_control(control: xr.Dataset, arm: xr.Dataset) -> xr.Dataset:
    """Return the arm as a trial sees it that enrolls by the control: a treatment before surgery chooses nobody.

    Of patients who are in both, those who are metastatic at diagnosis in the control are left out, and those who are so
    in the arm alone have the event at month 0.
    """
    name = "metastatic_at_diagnosis"
    if not all(name in each and "patient" in each.coords for each in (control, arm)):
        return arm
    ids = arm["patient"].values.astype(str)
    early = dict(zip(control["patient"].values.astype(str), control[name].values.astype(bool), strict=True))
    own = arm[name].values.astype(bool)
    before = np.array([early.get(each, mine) for each, mine in zip(ids, own, strict=True)], dtype=bool)
    return arm.assign({name: ("patient", before)})


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
    found["p_proportional"] = proportional(control, arm, ratio.log)
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
