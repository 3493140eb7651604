"""Measures: what is read off a simulated curve (a peak, a half-life, an EC50), and the expressions that combine them.

A curve is a DataArray over `time` (day, 0 at the start of the measured step) and at most one scanned dimension. Every
measure works along one dimension and keeps the other. Where a curve never does what is asked, the result is NaN.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError, CascadeError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

UNITS_OF_TIME = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1.0, "week": 7.0, "year": 365.25}
"""Lengths in days, for expressions such as `peak_time(dish.c_psmad)/minute`."""

_Curve = Callable[["NDArray[np.float64]", "NDArray[np.float64]"], float]


def _along(y: xr.DataArray, dim: str, measure: _Curve) -> xr.DataArray:
    """Apply a measure of (coordinate, values) along a dimension."""
    import xarray as xr

    if dim not in y.dims:
        raise AnalysisError(f"{y.name!r} has no dimension {dim!r}; it has {list(y.dims)}")
    grid = y[dim].values.astype(float)
    found: xr.DataArray = xr.apply_ufunc(
        lambda values: measure(grid, values), y.astype(float), input_core_dims=[[dim]], vectorize=True
    )
    return found


def _over_time(measure: _Curve) -> Callable[[Any], Any]:
    return lambda y: _along(_curve(y).sel(time=slice(0, None)), "time", measure)


def _curve(y: Any) -> xr.DataArray:
    import xarray as xr

    if not isinstance(y, xr.DataArray):
        raise AnalysisError(f"{y!r} is no curve; write experiment.variable")
    return y


def _scanned(y: xr.DataArray) -> str:
    dims = [str(dim) for dim in _curve(y).dims if dim != "time"]
    if len(dims) != 1 or "time" in y.dims:
        raise AnalysisError(
            f"this measure needs one number per scanned value, found the dimensions {list(y.dims)}; take at(), end()"
            " or peak() of a scanned experiment first"
        )
    return dims[0]


def crossing(grid: NDArray[np.float64], values: NDArray[np.float64], level: float) -> float:
    """Return where a curve first crosses a level in either direction (linear between rows), or NaN."""
    above = values >= level
    if not np.isfinite(values).all() or not math.isfinite(level):
        return math.nan
    changes = np.flatnonzero(above[1:] != above[:-1])
    if not changes.size:
        return math.nan
    i = int(changes[0])
    return float(grid[i] + (level - values[i]) / (values[i + 1] - values[i]) * (grid[i + 1] - grid[i]))


def _at(y: Any, time: float) -> Any:
    times = _curve(y)["time"].values
    if not times[0] <= float(time) <= times[-1]:
        raise AnalysisError(f"at(.., {float(time):g}): the experiment runs from day {times[0]:g} to {times[-1]:g}")
    return y.interp(time=float(time)).drop_vars("time")


def _growth(y: Any, first: float, last: float) -> Any:
    return np.log(_at(y, last) / _at(y, first)) / (last - first)


def _peak_time(time: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the time of the largest value, refined by the parabola through its neighbors; NaN if it still rises."""
    i = int(np.argmax(values))
    if i == 0:
        return float(time[0])
    if i == len(values) - 1:
        return math.nan
    left, top, right = values[i - 1 : i + 2]
    bend = left - 2 * top + right
    shift = 0.0 if bend == 0 else 0.5 * (left - right) / bend
    return float(time[i] + shift * (time[i + 1] - time[i]))


def _maxima(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return interior maxima that stand out by a thousandth of the range."""
    from scipy.signal import find_peaks

    found: NDArray[np.intp] = find_peaks(values, prominence=1e-3 * float(np.ptp(values)) or None)[0]
    return found


def _period(time: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    tops = time[_maxima(values)]
    return float(np.diff(tops).mean()) if tops.size > 1 else math.nan


def _time_to(y: Any, level: Any) -> Any:
    return _along(_curve(y).sel(time=slice(0, None)) - level, "time", lambda t, v: crossing(t, v, 0.0))


def _start(y: Any) -> Any:
    return _at(y, 0.0)


def _end(y: Any) -> Any:
    return _curve(y).isel(time=-1).drop_vars("time")


def _pick(y: Any, value: float) -> Any:
    dims = [str(dim) for dim in _curve(y).dims if dim != "time"]
    if len(dims) != 1:
        raise AnalysisError(f"pick() needs one scanned dimension, found {list(y.dims)}")
    grid = y[dims[0]].values
    if not min(grid) <= value <= max(grid):
        raise AnalysisError(f"pick(.., {value:g}): the scan runs from {min(grid):g} to {max(grid):g}")
    return y.sortby(dims[0]).interp({dims[0]: value}).drop_vars(dims[0])


def _dose(y: Any, share: float) -> float:
    """Return the scanned value at which a response has made `share` of its whole change (logarithmic grid)."""
    dim = _scanned(y)
    ordered = y.sortby(dim)
    grid, values = ordered[dim].values.astype(float), ordered.values.astype(float)
    keep = grid > 0
    level = values[0] + share * (values[-1] - values[0])
    return math.exp(crossing(np.log(grid[keep]), values[keep], level))


def _ec50(y: Any) -> float:
    return _dose(y, 0.5)


def _hill(y: Any) -> float:
    """Return the effective Hill coefficient by the 81-fold rule (Goldbeter and Koshland 1981)."""
    return math.log(81) / math.log(_dose(y, 0.9) / _dose(y, 0.1))


def _threshold(y: Any, level: float) -> float:
    dim = _scanned(y)
    ordered = y.sortby(dim)
    return crossing(ordered[dim].values.astype(float), ordered.values.astype(float), float(level))


def _fold(scan: Any, direction: str, number: int = 1) -> float:
    table = scan.dataset if isinstance(scan, Variables) else scan
    if "fold" not in getattr(table, "dims", ()):
        raise AnalysisError("fold() needs an experiment that is a bifurcation")
    points = table["fold_value"].values[table["fold_direction"].values == direction]
    return float(points[int(number) - 1]) if len(points) >= int(number) else math.nan


MEASURES: dict[str, Callable[..., Any]] = {
    "start": _start,
    "end": _end,
    "at": _at,
    "peak": _over_time(lambda t, v: float(v.max())),
    "peak_time": _over_time(_peak_time),
    "trough": _over_time(lambda t, v: float(v.min())),
    "trough_time": _over_time(lambda t, v: _peak_time(t, -v)),
    "mean": _over_time(lambda t, v: float(np.trapezoid(v, t) / (t[-1] - t[0]))),
    "time_to": _time_to,
    "half_time": _over_time(lambda t, v: crossing(t, v, (v[0] + v[-1]) / 2)),
    "half_life": _over_time(lambda t, v: crossing(t, v, v[0] / 2)),
    "growth": _growth,
    "period": _over_time(_period),
    "pick": _pick,
    "ec50": _ec50,
    "hill": _hill,
    "threshold": _threshold,
    "fold": _fold,
    "highest": lambda y: float(_curve(y).max()),
    "lowest": lambda y: float(_curve(y).min()),
    "abs": abs,
    "min": lambda *values: float(np.min([np.asarray(v, dtype=float) for v in values])),
    "max": lambda *values: float(np.max([np.asarray(v, dtype=float) for v in values])),
    "sqrt": np.sqrt,
    "log": np.log,
    "exp": np.exp,
}
"""The functions of expressions."""


class Variables:
    """An experiment as an expression sees it: its variables are attributes."""

    def __init__(self, name: str, dataset: xr.Dataset) -> None:
        self.name, self.dataset = name, dataset

    def __getattr__(self, variable: str) -> xr.DataArray:
        dataset = self.__dict__["dataset"]
        if variable not in dataset.data_vars:
            raise unknown_name("variable", variable, map(str, dataset.data_vars), f"experiment {self.name!r}")
        array: xr.DataArray = dataset[variable]
        return array


LONGEST = 2_000
"""Characters of an expression; Python's own reader gives up at some thousand operators."""


def _product(first: Any, second: Any) -> Any:
    if any(isinstance(each, (str, bytes, list, tuple)) for each in (first, second)):
        raise TypeError("only numbers and curves can be multiplied")
    return first * second


def evaluate(expression: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Evaluate an expression over experiments: arithmetic, the measures, and nothing else.

    Parameters
    ----------
    expression : str
        For example `peak_time(dish.c_psmad)/minute`.
    names : mapping
        Experiments by name.
    functions : mapping
        Functions beside the measures.

    Raises
    ------
    AnalysisError
        If the expression is malformed or asks for what is not there.
    """
    import simpleeval

    if len(expression) > LONGEST:
        raise AnalysisError(f"an expression of {len(expression)} characters; the limit is {LONGEST}")
    # The evaluator's own product and sum ask numbers for their length; powers stay guarded.
    operators = {**simpleeval.DEFAULT_OPERATORS, ast.Mult: _product, ast.Add: operator.add}
    evaluator = simpleeval.SimpleEval(operators, {**MEASURES, **functions}, {**UNITS_OF_TIME, **names})
    try:
        return evaluator.eval(expression)
    except CascadeError as error:
        raise AnalysisError(f"{expression!r}: {error}") from None
    except (simpleeval.InvalidExpression, SyntaxError, TypeError, ValueError, AttributeError, LookupError, MemoryError,
            ArithmeticError, RecursionError) as error:  # fmt: skip
        raise AnalysisError(f"{expression!r} cannot be evaluated: {error}") from None


def evaluate_number(expression: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> float:
    """Evaluate an expression that must give one number (NaN if the curve never does what is asked)."""
    value = evaluate(expression, names, functions)
    if not isinstance(value, (int, float, np.ndarray, np.generic)) and not hasattr(value, "dims"):
        raise AnalysisError(f"{expression!r} gives {str(value)[:80]!r}, which is no number")
    if np.size(value) != 1:
        dims = getattr(value, "dims", np.shape(value))
        raise AnalysisError(f"{expression!r} gives {np.size(value)} numbers over {dims}, not one; pick() one")
    return float(np.asarray(value, dtype=float).reshape(()))
