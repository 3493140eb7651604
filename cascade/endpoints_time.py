"""Endpoints over time: when the first metastasis shows, and what every year after surgery brings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from cascade.endpoints import (
    AFTER,
    DAYS_PER_YEAR,
    NOT_OPERATED,
    SAMPLES,
    SURGERY,
    Readout,
    after_surgery,
    last,
    surgery_time,
    value_at,
)

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

YEARS = tuple(range(1, 26))
"""Years after surgery that the readouts by year report."""

QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
"""Quantiles of the time to the first metastasis."""

_TOTAL = ("endpoints__h_cumulative",)
_LATE = 5


def _by_year(value: Callable[[float], xr.DataArray], years: tuple[int, ...] = YEARS) -> xr.DataArray:
    """Join the values of several years after surgery, each with its reason, along the dimension `year`."""
    import numpy as np
    import xarray as xr

    found = xr.concat([value(float(year)) for year in years], dim="year", coords="minimal", compat="override")
    reasons = np.stack([value_of["reason"].values for value_of in map(value, map(float, years))])
    found = found.assign_coords(year=list(years), reason=(found.dims, reasons))
    return found.transpose(..., "year")


def hazard_since_surgery(dataset: xr.Dataset) -> xr.DataArray:
    """Return the cumulative hazard after every year since surgery, over `year`."""
    return _by_year(lambda year: after_surgery(dataset, year))


def _hazard(dataset: xr.Dataset) -> xr.DataArray:
    """Return what each year adds to the cumulative hazard: the mean hazard of that year, per year."""
    total = hazard_since_surgery(dataset)
    return total - total.shift(year=1, fill_value=0.0)


def _free(dataset: xr.Dataset) -> xr.DataArray:
    import numpy as np

    return cast("xr.DataArray", np.exp(-hazard_since_surgery(dataset)))


def _in_year(dataset: xr.Dataset) -> xr.DataArray:
    free = _free(dataset)
    return free.shift(year=1, fill_value=1.0) - free


def _late_hazard(years: int) -> Callable[[xr.Dataset], xr.DataArray]:
    def compute(dataset: xr.Dataset) -> xr.DataArray:
        return after_surgery(dataset, years) - after_surgery(dataset, _LATE, needed=years)

    return compute


def _late_probability(years: int) -> Callable[[xr.Dataset], xr.DataArray]:
    import numpy as np

    return lambda dataset: cast("xr.DataArray", -np.expm1(-_late_hazard(years)(dataset)))


def _sample_by_year(name: str) -> Callable[[xr.Dataset], xr.DataArray]:
    def compute(dataset: xr.Dataset) -> xr.DataArray:
        import numpy as np

        surgery = surgery_time(dataset)

        def value(year: float) -> xr.DataArray:
            found = value_at(dataset[f"endpoints__{name}"], surgery + year * DAYS_PER_YEAR)
            words = f"the horizon ends less than {year:g} years after surgery"
            reason = np.select([np.isnan(surgery.values), np.isnan(found.values)], [NOT_OPERATED, words], "ok")
            return found.assign_coords(reason=(found.dims, reason))

        return _by_year(value)

    return compute


def time_of(series: xr.DataArray, level: xr.DataArray | float) -> xr.DataArray:
    """Return when a series that never falls reaches a level (linear between rows); NaN if it does not."""
    import numpy as np
    import xarray as xr

    time = series["time"].values

    def one(row: NDArray[np.float64], wanted: float) -> float:
        rising = np.maximum.accumulate(row)
        return float(np.interp(wanted, rising, time, right=np.nan)) if np.isfinite(wanted) else float("nan")

    found: xr.DataArray = xr.apply_ufunc(one, series, level, input_core_dims=[["time"], []], vectorize=True)
    return found


def _quantiles() -> xr.DataArray:
    import xarray as xr

    return xr.DataArray(list(QUANTILES), dims="quantile", coords={"quantile": list(QUANTILES)})


def _first(dataset: xr.Dataset) -> xr.DataArray:
    """Age at which the probability of overt metastasis reaches each quantile."""
    import numpy as np

    when = time_of(dataset[_TOTAL[0]], cast("xr.DataArray", -np.log1p(-_quantiles())))
    short = "fewer than this share have an overt metastasis by the end of the simulated time"
    return when.assign_coords(reason=(when.dims, np.where(np.isnan(when.values), short, "ok")))


def _recurrence(dataset: xr.Dataset) -> xr.DataArray:
    """Time from surgery to the first overt metastasis, among those that have one by the end of the simulated time."""
    import numpy as np

    series, surgery = dataset[AFTER[0]], surgery_time(dataset)
    share = -np.expm1(-last(series)) * _quantiles()
    when = (time_of(series, cast("xr.DataArray", -np.log1p(-share))) - surgery).where(share > 0)
    words = np.where(np.isnan(surgery.values), NOT_OPERATED, "no overt metastasis is expected after surgery")
    reason = surgery.copy(data=words).broadcast_like(when).transpose(*when.dims)
    return when.assign_coords(reason=(when.dims, np.where(np.isnan(when.values), reason.values, "ok")))


def _median(compute: Callable[[xr.Dataset], xr.DataArray]) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda dataset: compute(dataset).sel(quantile=0.5).drop_vars("quantile")


_HAZARDS = (
    ("h_since_surgery_by_year", "cumulative hazard of overt distant metastasis", "dimensionless", hazard_since_surgery),
    ("hazard_by_year", "hazard of overt distant metastasis in each year", "per_year", _hazard),
)
_SURVIVAL = (
    ("p_recurrence_by_year", "probability that the first overt distant metastasis appears", _in_year, "lower"),
    ("p_metastasis_free_by_year", "probability of no overt distant metastasis", _free, "higher"),
)
_TIMES = (
    (
        "t_first_metastasis",
        "age of the tumor at which this share of patients like this one has an overt distant metastasis",
        _TOTAL,
        _first,
    ),
    (
        "t_recurrence",
        "time from surgery to the first overt distant metastasis of those who have one within the simulated time",
        AFTER,
        _recurrence,
    ),
)
_ALL = (
    *(
        Readout(
            name=name,
            unit=unit,
            needs=AFTER,
            compute=compute,
            meaning=f"{words}, by year after surgery",
            hazard=name,
            scale="log_ratio",
            dims=("year",),
        )
        for name, words, unit, compute in _HAZARDS
    ),
    *(
        Readout(
            name=name,
            unit="dimensionless",
            needs=AFTER,
            compute=compute,
            meaning=f"{words}, by year after surgery",
            hazard=_HAZARDS[1 if better == "lower" else 0][0],
            better="higher" if better == "higher" else "lower",
            dims=("year",),
        )
        for name, words, compute, better in _SURVIVAL
    ),
    *(
        Readout(
            name=f"{name}_by_year",
            unit=unit,
            needs=(f"endpoints__{name}", *SURGERY),
            compute=_sample_by_year(name),
            meaning=f"{words}, by year after surgery",
            scale="log_ratio",
            dims=("year",),
        )
        for name, unit, words in SAMPLES
    ),
    *(
        Readout(name=name, unit="day", needs=needs, compute=compute, meaning=words, better="higher", dims=("quantile",))
        for name, words, needs, compute in _TIMES
    ),
    *(
        Readout(
            name=f"{name}_median",
            unit="day",
            needs=needs,
            compute=_median(compute),
            meaning=f"{words} (median)",
            better="higher",
        )
        for name, words, needs, compute in _TIMES
    ),
    *(
        Readout(
            name=f"p_late_{years}y",
            unit="dimensionless",
            needs=AFTER,
            compute=_late_probability(years),
            meaning=f"probability of overt distant metastasis in years {_LATE} to {years} after surgery,"
            f" given none by year {_LATE}",
            hazard=f"h_late_{years}y",
        )
        for years in (10, 20)
    ),
    *(
        Readout(
            name=f"h_late_{years}y",
            unit="dimensionless",
            needs=AFTER,
            compute=_late_hazard(years),
            meaning=f"cumulative hazard of overt distant metastasis in years {_LATE} to {years} after surgery",
            hazard=f"h_late_{years}y",
            scale="log_ratio",
        )
        for years in (10, 20)
    ),
)
NAMED: dict[str, Readout] = {spec.name: spec for spec in _ALL}
"""The named readouts of this file."""
