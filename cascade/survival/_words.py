"""What results of survival are called, their units, and the number needed to treat."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_WORDS = {
    "survival": ("dimensionless", "share without overt distant metastasis"),
    "free": ("dimensionless", "share without any event"),
    "incidence": ("dimensionless", "cumulative incidence of the first event"),
    "at_risk": ("dimensionless", "patients still followed"),
    "restricted_mean": ("month", "mean time without metastasis"),
    "median": ("month", "median time to metastasis"),
    "hazard_ratio": ("dimensionless", "hazard of metastasis, arm over control"),
    "half_month": ("month", "month by which half of the metastases are expected"),
    "hazard_ratio_early": ("dimensionless", "hazard ratio without chance in the first half of the metastases"),
    "hazard_ratio_late": ("dimensionless", "hazard ratio without chance in the second half of the metastases"),
    "p_log_rank": ("dimensionless", "p of the log-rank test"),
    "p_proportional": ("dimensionless", "p of the test that the hazard ratio does not change with time"),
    "restricted_mean_difference": ("month", "mean time without metastasis that the arm gains"),
    "restricted_to": ("month", "end of the mean times"),
    "risk_control": ("dimensionless", "probability of metastasis, control"),
    "risk_arm": ("dimensionless", "probability of metastasis, arm"),
    "risk_reduction": ("dimensionless", "absolute risk reduction"),
    "nnt": ("dimensionless", "number needed to treat"),
}


def describe(found: xr.Dataset) -> None:
    """Give units and names to the variables of a result."""
    for name in found.data_vars:
        stem = str(name).removesuffix("_lower").removesuffix("_upper")
        if stem in _WORDS:
            side = {"_lower": ", lower end of 95 %", "_upper": ", upper end of 95 %"}.get(str(name)[len(stem) :], "")
            found[name].attrs = {"units": _WORDS[stem][0], "long_name": _WORDS[stem][1] + side}
    for name, unit in (("month", "month"), ("year", "year")):
        if name in found.coords:
            found[name].attrs = {"units": unit, "long_name": f"{unit}s since surgery"}


def needed_to_treat(reduction: Any, lower: Any, upper: Any) -> tuple[Numbers, Numbers, Numbers]:
    """Return the number needed to treat and its interval, whose upper end is infinite if no difference is within."""
    with np.errstate(divide="ignore"):
        middle, first, last = (1 / np.asarray(each, dtype=float) for each in (reduction, upper, lower))
    within = (np.asarray(lower) <= 0) & (np.asarray(upper) >= 0)
    return np.abs(middle) * np.where(np.asarray(reduction) < 0, -1, 1), first, np.where(within, math.inf, last)
