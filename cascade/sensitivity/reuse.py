"""Runs are never made twice: a new design takes what an earlier one has already run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.design import Design

if TYPE_CHECKING:
    import numpy as np


def known_runs(old: Design, new: Design) -> np.ndarray:
    """Return for each run of a new design the run of an old one with the same values, or -1.

    The designs must be of the same columns; their sets may differ. Two Sobol designs of one seed share A and B, so
    that sets of the new one cost only their own rows AB.
    """
    import numpy as np

    if old.columns != new.columns:
        raise AnalysisError("runs can be reused only between designs of the same parameters, in the same order")
    place = {row.tobytes(): number for number, row in enumerate(old.quantiles)}
    return np.array([place.get(row.tobytes(), -1) for row in new.quantiles])


def evaluate_new(
    evaluate: Callable[[Design, int], Any], old: Design | None, output: Any, new: Design, allowed: int
) -> tuple[int, Any]:
    """Evaluate what is new in a design and put it together with what is known.

    Parameters
    ----------
    evaluate : callable
        `evaluate(design, first)` returns the outputs of the runs from `first` on.
    old : Design, optional
        Of which `output` is the output.
    output : xarray.DataArray or numpy.ndarray, optional
    new : Design
    allowed : int
        New runs at most.

    Returns
    -------
    int, and xarray.DataArray or numpy.ndarray or None
        Number of new runs, and the outputs of all runs of the new design; None if more are needed than are allowed.
    """
    import numpy as np

    if old is None:
        return new.runs, None if new.runs > allowed else _checked(evaluate(new, 0), new.runs)
    if new.runs >= old.runs and np.array_equal(new.quantiles[: old.runs], old.quantiles):
        count = new.runs - old.runs
        if count > allowed:
            return count, None
        return count, _join(output, _checked(evaluate(new, old.runs), count)) if count else output
    known = known_runs(old, new)
    missing = np.flatnonzero(known < 0)
    if missing.size > allowed:
        return int(missing.size), None
    where = known.copy()
    where[missing] = old.runs + np.arange(missing.size)
    if missing.size:
        part = replace(new, quantiles=new.quantiles[missing], details={**new.details, "part": True})
        output = _join(output, _checked(evaluate(part, 0), missing.size))
    return int(missing.size), _take(output, where)


def _checked(output: Any, runs: int) -> Any:
    """Return the output with the run as first dimension and without coordinates of the run."""
    import numpy as np
    import xarray as xr

    if isinstance(output, xr.DataArray):
        if "run" not in output.dims:
            raise AnalysisError(f"the output has the dimensions {output.dims}, none is `run`; give one value per run")
        output = output.transpose("run", ...)
        output = output.drop_vars([name for name, c in output.coords.items() if "run" in c.dims])
    else:
        output = np.asarray(output, dtype=float)
    if not output.ndim or output.shape[0] != runs:
        raise AnalysisError(
            f"evaluate returned an output of shape {output.shape} for {runs} new runs; return one value for each run "
            "of the design from `first` on"
        )
    return output


def _join(before: Any, after: Any) -> Any:
    import numpy as np
    import xarray as xr

    if isinstance(before, xr.DataArray):
        return xr.concat([before, after], dim="run", coords="minimal", compat="override")
    return np.concatenate([before, after])


def _take(output: Any, where: np.ndarray) -> Any:
    import xarray as xr

    return output.isel(run=where) if isinstance(output, xr.DataArray) else output[where]
