"""Runs that failed: what they hide at most, and where in the space of the parameters they lie."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.priors import from_quantile

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.sensitivity.design import Design

HOLD = 0.9
"""Share of the failed runs that the reported interval of a parameter holds."""

SIGNIFICANT = 0.05
"""A parameter is named as separating the failed runs below this p, after Holm's correction."""


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Outputs of all runs of a design as a matrix, and how to get back from its columns.

    Attributes
    ----------
    matrix : numpy.ndarray
        Runs x columns; what is not finite is NaN: the run failed for this output.
    dims : tuple of str
        Other dimensions than the run, such as time or readout.
    shape : tuple of int
        Their sizes.
    coords : mapping
        Their coordinates.
    """

    matrix: np.ndarray = field(repr=False)
    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    coords: dict[Any, Any] = field(repr=False)

    def restore(self, values: np.ndarray, *leading: str) -> tuple[tuple[Hashable, ...], np.ndarray]:
        """Return (dimensions, array) of leading dimensions x columns, for an `xarray.Dataset`."""
        return (*leading, *self.dims), values.reshape((*values.shape[: len(leading)], *self.shape))


def outputs_of(design: Design, output: xr.DataArray | np.ndarray) -> Outputs:
    """Check and flatten the outputs of a design.

    Parameters
    ----------
    design : Design
    output : xarray.DataArray or numpy.ndarray
        One value per run, in the order of the design, along the dimension `run` (the first of an array), and any other
        dimensions. NaN or infinite where a run failed.

    Raises
    ------
    AnalysisError
        If the number of runs is not that of the design.
    """
    import numpy as np
    import xarray as xr

    dims: tuple[Hashable, ...]
    coords: dict[Any, Any] = {}
    if isinstance(output, xr.DataArray):
        if "run" not in output.dims:
            raise AnalysisError(f"the output has the dimensions {output.dims}, none is `run`; give one value per run")
        output = output.transpose("run", ...)
        dims = output.dims[1:]
        coords = {name: c for name, c in output.coords.items() if "run" not in c.dims and c.dims}
        values = np.asarray(output.values, dtype=float)
    else:
        values = np.asarray(output, dtype=float)
        dims = tuple(f"output_{axis}" for axis in range(1, values.ndim))
    if values.ndim == 0 or values.shape[0] != design.runs:
        raise AnalysisError(
            f"the output has shape {values.shape}, the {design.method} design has {design.runs} runs; "
            "give one value per run, in its order"
        )
    matrix = values.reshape(design.runs, -1)
    return Outputs(
        matrix=np.where(np.isfinite(matrix), matrix, np.nan), dims=dims, shape=values.shape[1:], coords=coords
    )


def is_constant(matrix: np.ndarray, noise: float) -> np.ndarray:
    """Say for each column whether what is finite varies by no more than the solver's noise or rounding."""
    import numpy as np

    finite = np.isfinite(matrix)
    high = np.where(finite, matrix, -np.inf).max(axis=0)
    low = np.where(finite, matrix, np.inf).min(axis=0)
    largest = np.maximum(np.abs(high), np.abs(low))
    with np.errstate(invalid="ignore"):
        return np.asarray(finite.any(axis=0) & (high - low <= np.maximum(noise, 1e-12 * largest)))


def extremes(
    function: Callable[..., np.ndarray], outputs: tuple[np.ndarray, ...], low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and greatest value of a function over what failed runs may have given.

    Parameters
    ----------
    function : callable
        Of as many arrays as there are outputs; linear or convex in each, so that it is greatest at extremes.
    outputs : tuple of numpy.ndarray
        NaN where a run failed.
    low, high : numpy.ndarray
        Least and greatest valid output; what failed is put to either, in all combinations.
    """
    import numpy as np

    failed = [np.isnan(y) for y in outputs]
    least = greatest = function(*(np.where(f, low, y) for f, y in zip(failed, outputs, strict=True)))
    if not any(f.any() for f in failed):
        return least, greatest
    for choice in product((low, high), repeat=len(outputs)):
        value = function(*(np.where(f, c, y) for f, c, y in zip(failed, choice, outputs, strict=True)))
        least, greatest = np.minimum(least, value), np.maximum(greatest, value)
    return least, greatest


def failure_region(design: Design, output: xr.DataArray | np.ndarray) -> xr.Dataset:
    """Report where in the space of the parameters the failed runs lie.

    Parameters
    ----------
    design : Design
        Of any method.
    output : xarray.DataArray or numpy.ndarray
        As for the estimators; a run failed if any of its outputs is not finite.

    Returns
    -------
    xarray.Dataset
        Over `parameter`: `distance`, the Kolmogorov-Smirnov distance between the quantiles of failed and successful
        runs; `p_value` and `p_holm`, after Holm's correction for the number of parameters; `quantile_lower` and
        `quantile_upper`, the shortest interval of quantiles that holds 90 % of the failed runs, the same as values of
        the parameter in `lower` and `upper`, and `share_of_successful`, the share of the successful runs in it.
        NaN if no run or every run failed. `verdict` says it in a sentence.

    Notes
    -----
    Runs of a design share values: a parameter has the same value in many runs of a block. The p value counts
    distinct values, not runs (Kish's effective sample size, (sum n)^2 / sum n^2), and asks the asymptotic
    distribution of the Kolmogorov-Smirnov statistic.
    """
    import numpy as np
    import xarray as xr

    failed = np.isnan(outputs_of(design, output).matrix).any(axis=1)
    ids = [p.id for p in design.parameters]
    rows = np.full((8, len(ids)), np.nan)
    if failed.any() and not failed.all():
        rows = np.array([_separation(design, column, failed) for column in range(len(ids))]).T
        rows[2] = holm(rows[1])
    data = {name: ("parameter", row) for name, row in zip(_LABELS, rows, strict=True)}
    result = xr.Dataset(data, coords={"parameter": ids, "unit": ("parameter", [p.unit for p in design.parameters])})
    for name, label in _LABELS.items():
        result[name].attrs["long_name"] = label
    result.attrs = {"runs": design.runs, "failed_runs": int(failed.sum()), "verdict": _sentence(result, failed)}
    return result


_LABELS = {
    "distance": "Kolmogorov-Smirnov distance between failed and successful runs",
    "p_value": "p value of that distance",
    "p_holm": "p value after Holm's correction for the number of parameters",
    "quantile_lower": "lower quantile of the shortest interval with 90 % of the failed runs",
    "quantile_upper": "upper quantile of the shortest interval with 90 % of the failed runs",
    "lower": "value at the lower quantile",
    "upper": "value at the upper quantile",
    "share_of_successful": "share of the successful runs inside the interval",
}


def _separation(design: Design, column: int, failed: np.ndarray) -> list[float]:
    """Return one parameter's numbers in the order of `_LABELS`; the corrected p is filled in later."""
    import numpy as np
    from scipy.stats import kstwobign

    quantile = design.quantiles[:, column]
    value, place = np.unique(quantile, return_inverse=True)
    bad, good = (np.bincount(place, weights=which, minlength=value.size) for which in (failed, ~failed))
    gap = np.cumsum(bad) / bad.sum() - np.cumsum(good) / good.sum()
    distance = float(np.abs(gap).max())
    sizes = [count.sum() ** 2 / (count**2).sum() for count in (bad, good)]
    effective = sizes[0] * sizes[1] / (sizes[0] + sizes[1])
    root = np.sqrt(effective)
    # The correction of Stephens makes the asymptotic distribution usable from a handful of values on.
    p_value = float(kstwobign.sf((root + 0.12 + 0.11 / root) * distance))
    low, high = _shortest(np.sort(quantile[failed]))
    inside = (quantile >= low) & (quantile <= high) & ~failed
    ends = from_quantile(design.parameters[column], np.array([low, high]))
    return [distance, p_value, np.nan, low, high, float(ends[0]), float(ends[1]), float(inside.sum() / good.sum())]


def _shortest(ordered: np.ndarray) -> tuple[float, float]:
    """Return the shortest interval that holds the share `HOLD` of the values."""
    import numpy as np

    count = int(np.ceil(HOLD * ordered.size))
    first = int(np.argmin(ordered[count - 1 :] - ordered[: ordered.size - count + 1]))
    return float(ordered[first]), float(ordered[first + count - 1])


def solver_noise(output: np.ndarray, relative_tolerance: float) -> float:
    """Return the spread of an output that the solver alone can make: ten times its tolerance of the largest value."""
    import numpy as np

    return 10 * relative_tolerance * float(np.abs(output[np.isfinite(output)]).max(initial=0.0))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p values for their number, step by step (Holm 1979, Scand J Stat 6:65-70)."""
    import numpy as np

    order = np.argsort(p_values, kind="stable")
    corrected = np.empty_like(p_values)
    corrected[order] = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return np.asarray(np.minimum(corrected, 1.0))


def _sentence(report: xr.Dataset, failed: np.ndarray) -> str:
    import numpy as np

    count = int(failed.sum())
    if not count:
        return f"none of {failed.size} runs failed"
    start = f"{count} of {failed.size} runs failed ({count / failed.size:.2g} of all)"
    if count == failed.size:
        return start + "; nothing tells where the model would run"
    order = np.argsort(-report["distance"].values)
    named = [i for i in order if report["p_holm"].values[i] < SIGNIFICANT][:3]
    if not named:
        return start + "; no parameter separates them from the others"
    parts = [_part(report.isel(parameter=int(index))) for index in named]
    return f"{start}, mostly where " + " and where ".join(parts)


def _part(row: xr.Dataset) -> str:
    low, high = float(row["quantile_lower"]), float(row["quantile_upper"])
    unit = str(row["unit"].item())
    unit = "" if unit == "dimensionless" else f" {unit}"
    return (
        f"{row['parameter'].item()} is between {float(row['lower']):.3g} and {float(row['upper']):.3g}{unit} "
        f"(its quantiles {low:.2f} to {high:.2f}; {float(row['share_of_successful']):.0%} of the successful runs)"
    )
