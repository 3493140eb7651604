"""Tipping points: scans of a parameter up and down with continuation, and the fold points where a state is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cascade._canonical import symbol_table
from cascade._progress import progress_bar
from cascade._tables import is_number
from cascade._values import checked_values, flat_id
from cascade.engine import Engine, Job
from cascade.errors import AnalysisError, ValueSettingError
from cascade.simulate import provenance, simulate, single_job
from cascade.specs import Model, Solver, require_model

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

SOLVER = Solver(relative_tolerance=1e-9)
"""Close to a fold the drift is slow: the default asks for more than a simulation needs."""

APART = 1e-3
"""Two steady states are different if any variable differs by this share of its range over the scan."""

MOST_POINTS = 100_000
"""Values of the parameter."""

TINY = 1e-6
"""A variable below this is zero: its relative change says nothing."""


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """What a scan needs again and again: one compiled model, the order of its values, how long to hold."""

    engine: Engine
    job: Job
    fixed: tuple[float, ...]
    floor: NDArray[np.float64]
    hold: float
    settled: float
    longest: float
    span: float

    def settle(self, parameter: float, state: NDArray[np.float64]) -> NDArray[np.float64]:
        """Hold the parameter until nothing moves, for longer and longer times; return the state and the output."""
        days = self.hold
        while days <= self.longest:
            run = self.engine.run(replace(self.job, days=days), [parameter, *self.fixed, *state[: len(self.floor)]])
            if run.rows is None:
                raise AnalysisError(f"the run at {self.job.keys[0]} = {parameter:g} failed: {run.status}")
            _, before, state = run.rows
            state[: len(self.floor)] = np.maximum(state[: len(self.floor)], self.floor)
            if np.all(abs(state - before) <= self.settled * np.maximum(abs(run.rows).max(axis=0), TINY)):
                return state
            days *= 2
        raise AnalysisError(
            f"no steady state at {self.job.keys[0]} = {parameter:g} within {self.longest:g} days: the model oscillates"
            " or drifts; give `longest` more days, or look at a simulation"
        )


class _Fold(NamedTuple):
    direction: str
    value: float
    before: float
    after: float


def bifurcation(
    model: Model,
    parameter: str,
    output: str,
    *,
    lower: float,
    upper: float,
    points: int = 41,
    values: Mapping[str, float] | None = None,
    hold: float = 50.0,
    settled: float = 1e-7,
    longest: float = 1e6,
    resolution: float = 1e-6,
    solver: Solver | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Find the fold points of a switch by scanning one parameter up and down.

    Each steady state starts from that of the value before, so that the scan follows its branch until the branch ends.
    A step after which the way back does not lead to the state before holds a fold; bisection refines it.

    Parameters
    ----------
    model : Model
        A model without events or explicit time.
    parameter, output : str
        The constant that is scanned and the variable that shows the state.
    lower, upper : float
        Range of the scan. The up scan starts at `lower` from the model's initial values.
    points : int
        Values of the parameter; a hysteresis narrower than one step is missed.
    values : mapping of str to float, optional
        Other constants and start values.
    hold : float
        First holding time in days, about the slowest time constant of the model; doubled until the state is steady.
    settled : float
        A state is steady if nothing changes by more than this, relative to its size, in half a holding time.
    longest : float
        Longest holding time in days.
    resolution : float
        Width of the bracket of a fold, relative to the range.
    solver : Solver, optional
        By default a relative tolerance of 1e-9.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        `output` over `direction` ("up", "down") and the parameter; `fold_value`, `fold_direction`, `fold_before` and
        `fold_after` (output on either side of the jump) over `fold`, in the order of the scan. The direction is that
        in which the state is lost.

    Raises
    ------
    AnalysisError
        If a run fails or no steady state is reached.
    ValueSettingError
        If the range or a setting cannot be used.

    Examples
    --------
    >>> emt = cascade.compose(cascade.load_module("emt"))
    >>> folds = cascade.bifurcation(emt, "a_drive_basal", "a_emt", lower=0.1, upper=2)
    >>> from cascade import plot
    >>> plot.bifurcation(folds)
    """
    require_model(model, "bifurcation")
    _check(lower, upper, points, hold=hold, settled=settled, longest=longest, resolution=resolution)
    solver = solver or SOLVER
    scan, state = _prepare(
        model,
        parameter,
        output,
        lower,
        values or {},
        solver,
        hold=hold,
        settled=settled,
        longest=longest,
        span=upper - lower,
    )
    grid = np.linspace(lower, upper, int(points))
    paths = {"up": grid, "down": grid[::-1]}
    states = {}
    with progress_bar(f"scanning {parameter}", 2 * len(grid), progress) as advance:
        for direction, path in paths.items():
            rows = []
            for value in path:
                state = scan.settle(value, state)
                rows.append(state)
                advance()
            states[direction] = np.array(rows)
    apart = APART * np.maximum(np.ptp(np.concatenate(list(states.values())), axis=0), TINY)
    folds = [
        _Fold(direction, *_refine(scan, path[i : i + 2], states[direction][i : i + 2], apart, resolution))
        for direction, path in paths.items()
        for i in _jumps(scan, path, states[direction], apart)
    ]
    curves = np.stack([states["up"][:, -1], states["down"][::-1, -1]])
    found = _dataset(model, parameter, output, grid, curves, folds)
    found.attrs = provenance(model, solver, values or {})
    return found


def _check(lower: float, upper: float, points: int, **positive: float) -> None:
    if not (is_number(lower) and is_number(upper) and lower < upper):
        raise ValueSettingError(f"the range of the scan is [{lower}, {upper}]; give finite numbers, lower below upper")
    if not is_number(points) or int(points) != points or not 3 <= points <= MOST_POINTS:
        raise ValueSettingError(f"points is {points!r}; give a whole number from 3 to {MOST_POINTS}")
    for name, value in positive.items():
        if not (is_number(value) and value > 0):
            raise ValueSettingError(f"{name} is {value!r}; give a finite number above 0")


def _prepare(
    model: Model,
    parameter: str,
    output: str,
    lower: float,
    values: Mapping[str, float],
    solver: Solver,
    *,
    hold: float,
    settled: float,
    longest: float,
    span: float,
) -> tuple[_Scan, NDArray[np.float64]]:
    """Compile the model once and return it with the state it starts from; the output comes last in a state."""
    symbols = symbol_table(model.flat)
    if any(symbol.role == "switched" for symbol in symbols.values()):
        raise AnalysisError(f"model {model.name!r} has events: it has no steady branches to follow")
    if parameter in values:
        raise ValueSettingError(f"{parameter!r} is scanned and cannot have a value too")
    keys, arrays = checked_values(model, symbols, {**values, parameter: lower})
    if any(array.ndim for array in arrays):
        raise ValueSettingError("values of a bifurcation scan are single numbers; scan once for each")
    if symbols[keys[-1]].role != "constant":
        raise ValueSettingError(f"{parameter!r} is no constant; scan a constant of the model")
    states = [symbol.id for symbol in symbols.values() if symbol.role == "integrated"]
    fixed = {key: float(array) for key, array in zip(keys, arrays, strict=True) if key not in states}
    scanned = fixed.popitem()[0]
    # The output may be a state itself; it is recorded once more, under the same name.
    record = (*states, flat_id(model, symbols, output))
    job = single_job(model, (scanned, *fixed, *states), record, hold, 3, solver)
    start = simulate(model, days=hold, points=2, values={**values, parameter: lower}, record=states, solver=solver)
    if start["status"] != "ok":
        raise AnalysisError(f"the run at {parameter} = {lower:g} failed: {start['status'].item()}")
    scan = _Scan(
        engine=Engine(job.sbml),
        job=job,
        fixed=tuple(fixed.values()),
        floor=np.array([0.0 if symbols[name].kind == "species" else -np.inf for name in states]),
        hold=hold,
        settled=settled,
        longest=longest,
        span=span,
    )
    return scan, np.array([float(start[name][0]) for name in states])


def _same(first: NDArray[np.float64], second: NDArray[np.float64], apart: NDArray[np.float64]) -> bool:
    return bool(np.all(abs(first - second) <= apart))


def _jumps(
    scan: _Scan, path: NDArray[np.float64], states: NDArray[np.float64], apart: NDArray[np.float64]
) -> list[int]:
    """Return the steps after which the way back does not lead to the state before: a branch has ended there."""
    return [
        i
        for i in range(len(path) - 1)
        if not _same(states[i], states[i + 1], 10 * apart)
        and not _same(scan.settle(path[i], states[i + 1]), states[i], apart)
    ]


def _refine(
    scan: _Scan,
    bracket: NDArray[np.float64],
    states: NDArray[np.float64],
    apart: NDArray[np.float64],
    resolution: float,
) -> tuple[float, float, float]:
    """Bisect to the fold; return its place and the output on either side."""
    (inside, outside), (kept, lost) = bracket, states
    base, width = inside, resolution * scan.span
    home = kept
    while abs(outside - inside) > width:
        middle = (inside + outside) / 2
        state = scan.settle(middle, kept)
        if _same(scan.settle(base, state), home, apart):
            inside, kept = middle, state
        else:
            outside, lost = middle, state
    return (inside + outside) / 2, float(kept[-1]), float(lost[-1])


def _dataset(
    model: Model,
    parameter: str,
    output: str,
    grid: NDArray[np.float64],
    curves: NDArray[np.float64],
    folds: list[_Fold],
) -> xr.Dataset:
    import xarray as xr

    symbols = symbol_table(model.flat)
    scanned, shown = (symbols[flat_id(model, symbols, name)] for name in (parameter, output))
    across = {"units": scanned.unit, "long_name": scanned.name}
    along = {"units": shown.unit, "long_name": shown.name}
    return xr.Dataset(
        {
            shown.id: (("direction", scanned.id), curves, along),
            "fold_value": ("fold", [fold.value for fold in folds], across),
            "fold_before": ("fold", [fold.before for fold in folds], along),
            "fold_after": ("fold", [fold.after for fold in folds], along),
        },
        coords={
            "direction": ["up", "down"],
            scanned.id: (scanned.id, grid, across),
            "fold_direction": ("fold", [fold.direction for fold in folds]),
        },
    )
