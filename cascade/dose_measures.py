"""Measures of repeated doses: what is read off a concentration in the nth interval, and how it accumulates.

The first dose is given at day 0 and the nth after n - 1 intervals of `every` days. The rows of a run should be close,
compared with an infusion; a peak is the highest row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_Row = Callable[["NDArray[np.float64]", "NDArray[np.float64]"], float]

_SAME = 1e-9
"""Days whose relative difference is below this are one."""

_LEAST = 1e-300
"""Below this a concentration has no logarithm worth taking."""


def _over(y: Any, first: float, last: float, measure: _Row) -> Any:
    """Apply a measure of (days, values) to the rows from a day to another, ends included."""
    import xarray as xr

    if not isinstance(y, xr.DataArray) or "time" not in y.dims:
        raise AnalysisError(f"{y!r} is no curve over time; write experiment.variable")
    time = y["time"].values.astype(float)
    near = _SAME * max(1.0, abs(float(last)))
    if not time[0] - near <= first < last <= time[-1] + near:
        raise AnalysisError(
            f"days {first:g} to {last:g} are asked for; the experiment runs from day {time[0]:g} to {time[-1]:g}"
        )
    keep = (time > first + near) & (time < last - near)
    days = np.concatenate([[first], time[keep], [last]])

    def of(values: NDArray[np.float64]) -> float:
        ends = np.interp([first, last], time, values)
        return measure(days, np.concatenate([ends[:1], values[keep], ends[1:]]))

    found: xr.DataArray = xr.apply_ufunc(of, y.astype(float), input_core_dims=[["time"]], vectorize=True)
    return found


def _trapezoids(time: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Integrate, linear where the curve rises and logarithmic where it falls, which is exact for a decay."""
    one, other, width = values[:-1], values[1:], np.diff(time)
    areas = width * (one + other) / 2
    falls = (other > _LEAST) & (one > other * (1 + 1e-9))
    areas[falls] = width[falls] * (one - other)[falls] / np.log(one[falls] / other[falls])
    return float(areas.sum())


def _slope(time: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the half-life of the straight line through the logarithms; NaN if it does not fall."""
    if (values <= _LEAST).any():
        return math.nan
    rate = float(np.polyfit(time - time[0], np.log(values), 1)[0])
    return math.log(2) / -rate if rate < 0 else math.nan


def area(y: Any, first: float, last: float) -> Any:
    """Return the area under a curve between two days."""
    return _over(y, float(first), float(last), _trapezoids)


def terminal_half_life(y: Any, first: float, last: float) -> Any:
    """Return the half-life between two days, by a straight line through the logarithms of all rows."""
    return _over(y, float(first), float(last), _slope)


def before_dose(y: Any, number: float, every: float) -> Any:
    """Return what is left just before the nth dose: the last two rows before it, extended as a decay.

    The row on the day of a dose may hold the value after it.
    """
    if _whole(number) < 2:
        raise AnalysisError(f"before_dose(.., {number!r}, ..): nothing stands before the first dose; ask for 2 or more")
    return _trough(y, number - 1, every)


def dose_peak(y: Any, number: float, every: float) -> Any:
    """Return the highest row of the nth interval."""
    return _interval(y, number, every, lambda time, values: float(values.max()))


def dose_peak_time(y: Any, number: float, every: float) -> Any:
    """Return the days from the nth dose to the highest row of its interval."""
    return _interval(y, number, every, lambda time, values: float(time[values.argmax()] - time[0]))


def dose_area(y: Any, number: float, every: float) -> Any:
    """Return the area under the curve over the nth interval."""
    return _interval(y, number, every, _trapezoids)


def accumulation(y: Any, number: float, every: float, of: str = "area") -> Any:
    """Return the ratio of the nth interval to the first: of `area`, `peak` or `trough`."""
    if of not in _OF:
        raise AnalysisError(f"accumulation(.., {of!r}): give one of {', '.join(_OF)}")
    return _OF[of](y, _whole(number), every) / _OF[of](y, 1, every)


def fluctuation(y: Any, number: float, every: float) -> Any:
    """Return (peak - trough)/mean of the nth interval."""
    mean = dose_area(y, number, every) / float(every)
    return (dose_peak(y, number, every) - _trough(y, number, every)) / mean


def steady_time(y: Any, every: float, share: float = 0.9) -> Any:
    """Return the end of the first interval from which on all troughs are as close to the last as `share` says."""
    if not 0 < share < 1:
        raise AnalysisError(f"steady_time(.., share={share!r}): give a share between 0 and 1")
    last = math.floor(float(y["time"].values[-1]) / _days(every) * (1 + _SAME)) if hasattr(y, "dims") else 0
    if last < 2:
        raise AnalysisError("steady_time() needs a run of two intervals and more")
    import xarray as xr

    troughs = xr.concat([_trough(y, number, every) for number in range(1, last + 1)], dim="interval")
    near = np.abs(troughs / troughs.isel(interval=-1) - 1) <= 1 - share
    # the first interval from which on all are near
    held = near.isel(interval=slice(None, None, -1)).astype(int).cumprod("interval").sum("interval")
    return (last - held + 1) * float(every)


def _trough(y: Any, number: float, every: float) -> Any:
    """Return what is left at the end of the nth interval."""
    return _interval(y, number, every, lambda time, values: float(values[-1]))


def _interval(y: Any, number: float, every: float, measure: _Row) -> Any:
    """Apply a measure to the nth interval; its last row, on the day of a dose, holds what is left before that dose."""
    begin = (_whole(number) - 1) * _days(every)

    def checked(time: NDArray[np.float64], values: NDArray[np.float64]) -> float:
        if len(time) < 4:
            raise AnalysisError("an interval between doses has fewer than 4 rows; give the experiment more points")
        return measure(time, np.append(values[:-1], _extended(time, values)))

    return _over(y, begin, begin + float(every), checked)


def _extended(time: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Extend the two rows before the last to its day, as a decay."""
    (one, two), share = values[-3:-1], (time[-1] - time[-2]) / (time[-2] - time[-3])
    return float(two * (two / one) ** share) if min(one, two) > _LEAST else float(two + (two - one) * share)


def _days(every: float) -> float:
    if not every > 0:
        raise AnalysisError(f"doses every {every!r} days; give a number above 0")
    return float(every)


def _whole(number: float) -> int:
    if number != int(number) or number < 1:
        raise AnalysisError(f"dose {number!r}; give a whole number, the first is 1")
    return int(number)


_OF: dict[str, Callable[[Any, float, float], Any]] = {"area": dose_area, "peak": dose_peak, "trough": _trough}

DOSE_MEASURES: dict[str, Callable[..., Any]] = {
    "area": area,
    "terminal_half_life": terminal_half_life,
    "before_dose": before_dose,
    "dose_peak": dose_peak,
    "dose_peak_time": dose_peak_time,
    "dose_area": dose_area,
    "accumulation": accumulation,
    "fluctuation": fluctuation,
    "steady_time": steady_time,
}
"""Functions of expressions beside the measures of any curve."""
