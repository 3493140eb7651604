"""Many runs to their readouts: each run is reduced as soon as it is done, and a killed study goes on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._chunks import NOT_RUN, Chunks
from cascade._progress import progress_bar
from cascade._reduce import Reducer, named
from cascade._store import Store, open_store
from cascade._tables import is_number
from cascade._values import flat_id
from cascade.engine import Run
from cascade.ensemble import check_workers, run_all
from cascade.errors import AnalysisError, ValueSettingError
from cascade.readouts import NAMED, find_readout, variables_for
from cascade.simulate import MAX_NUMBERS, OUTCOME, Asked, planned, time_of
from cascade.specs import Model, Solver, require_model

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray as xr
    from numpy.typing import NDArray

HELD_RUNS = 256
"""Finished runs that wait to be reduced together, at most."""

HELD_NUMBERS = 1_000_000
"""Numbers of their trajectories, at most (8 MB)."""

HOLD = 0.5
"""Seconds that a finished chunk may wait for its place in the store."""

USUAL_YEARS = 25.0
"""Years from the first tumor cell on that an analysis simulates, if neither the user nor the composition says."""

MOST_YEARS = 1_000.0
"""Longest simulation of an analysis."""

ROWS_PER_YEAR = 12
"""Rows of the grid of an analysis; readouts interpolate between them."""


def time_grid(model: Model, years: float | None = None, points: int | None = None) -> dict[str, Any]:
    """Return `years` and `points` of an analysis of a model: as given, else as its composition says, else as usual."""
    length = years if years is not None else model.years or USUAL_YEARS
    if not (is_number(length) and 0 < length <= MOST_YEARS):
        raise ValueSettingError(f"years is {length!r}; give a finite number above 0, up to {MOST_YEARS:g}")
    return {"years": float(length), "points": points or max(2, round(length * ROWS_PER_YEAR) + 1)}


def evaluate(
    model: Model,
    values: Any,
    readouts: Sequence[str],
    *,
    days: float | None = None,
    years: float | None = None,
    points: int = 201,
    series: Sequence[str] = (),
    solver: Solver | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    chunk: int = 64,
    progress: bool = False,
) -> xr.Dataset:
    """Simulate many runs and keep only their readouts.

    Parameters
    ----------
    model : Model
        What to run.
    values : mapping of str to number or DataArray, or Design
        As in `cascade.simulate`; or a design of `cascade.sensitivity`, whose dimension is `run`.
    readouts : sequence of str
        Names of readouts (see `cascade.readout`), also those by organ, year or quantile.
    days, years : float
        Length of the simulation; give one of them.
    points : int
        Rows of the output grid; it is part of the identity of a result.
    series : sequence of str
        Variables of which the whole course is kept.
    solver : Solver, optional
        Tolerances, step and time limits.
    workers, executor : optional
        As in `cascade.simulate`.
    store : path, optional
        Folder of a Zarr store that takes the results chunk by chunk; `xarray.open_zarr(store, consolidated=False)`
        reads it at any time (status "not run" and NaN where there is nothing yet).
    resume : bool
        Go on with the store, or begin it if there is none. A store of fewer runs with the same values first is
        extended. False refuses a folder that is there.
    chunk : int
        Runs that are stored together. What is lost when the process is killed are the chunks under way.
    progress : bool
        Show a progress bar with rate, failures and time left.

    Returns
    -------
    xarray.Dataset
        A variable per readout over the dimensions of the values and its own; `reason_<readout>`, "ok" or why it is NaN
        (also for an organ that only other readouts have); a variable per name in `series`, also over `time`; `status`
        and `rung` as in `cascade.simulate`; provenance in the attributes. The numbers are those of
        `readout(simulate(...), name)` to the last bit, whatever the number of workers, the executor and the chunk.

    Raises
    ------
    UnknownNameError
        If a name is not in the model or no readout.
    ValueSettingError
        If a value, a time or a number cannot be used. Nothing has run then.
    AnalysisError
        If a readout cannot be computed, or the store holds another study, or is there and `resume` is false.

    Notes
    -----
    Memory: the result, and trajectories of some hundred runs at most. `readout` tells from all runs together which
    organs are distant; `evaluate` tells it before the runs, so that an organ whose hazard is 0 in all runs may be
    missing here and not there.

    Examples
    --------
    >>> design = cascade.sensitivity.sobol_design(parameters, 256, seed=1)
    >>> found = evaluate(model, design, ["p_overt_5y", "p_first_site"], years=25, store="breast.zarr", resume=True)
    """
    require_model(model, "evaluate")
    check_workers(workers, executor)
    _check(chunk, store, resume)
    given, notes = _given(values)
    names = named("readouts", readouts, lambda name: _resolved(name, model))
    kept = named("series", series, model.id)
    record = [flat for name in names.values() for flat in variables_for(name, model)]
    record += [flat_id(model, {}, name) for name in kept]
    if not record:
        raise AnalysisError("readouts and series are empty; name at least one readout")
    asked = planned(model, given, list(dict.fromkeys(record)), (days, years), points, solver)
    asked.attrs.update(notes | {"readouts": json.dumps(list(names)), "series": json.dumps(list(kept))})
    asked.attrs.update({"days": asked.plan.job.days, "points": int(points)})
    results = Results(asked, Reducer(asked, names, kept), int(chunk))
    with open_store(store, results, resume) as opened:
        _run(asked, results, opened, (workers, executor), progress)
    return results.dataset()


def _check(chunk: Any, store: Any, resume: bool) -> None:
    if isinstance(chunk, bool) or not isinstance(chunk, (int, np.integer)) or chunk < 1:
        raise ValueSettingError(f"chunk is {chunk!r}; give a whole number of runs, at least 1")
    if resume and store is None:
        raise ValueSettingError("resume needs the folder to go on with; give store=...")


def _given(values: Any) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the mapping of values, and what a design says of itself."""
    if isinstance(values, Mapping) or not callable(getattr(values, "values", None)):
        return values, {}
    return values.values(), {"design": str(values.method), "seed": int(values.seed)}


def _resolved(name: Any, model: Model) -> str:
    """Return the name of a readout as the recorded data know it."""
    find_readout(name)
    kind, _, variable = name.partition(":")
    return f"{kind}:{model.id(variable)}" if variable and kind not in NAMED else name


class Results:
    """The result as it grows."""

    def __init__(self, asked: Asked, reduce: Reducer, chunk: int) -> None:
        self.asked, self.reduce, self.chunk = asked, reduce, chunk
        runs = asked.plan.runs
        self._check_names()
        points = asked.plan.job.points
        if runs * points * len(reduce.series) > MAX_NUMBERS:
            raise ValueSettingError(
                f"{runs} runs x {points} points x {len(reduce.series)} series are more than {MAX_NUMBERS} numbers;"
                " name fewer series, or ask for fewer points"
            )
        self.arrays: dict[str, NDArray[Any]] = {}
        for name, template in reduce.templates.items():
            self.arrays[name] = np.full((runs, *template.shape[1:]), np.nan)
            self.arrays[f"reason_{name}"] = _not_run((runs, *template.shape[1:]))
        self.arrays |= {name: np.full((runs, points), np.nan) for name in reduce.series}
        self.arrays["rung"] = np.full(runs, -1, dtype=np.int64)
        self.arrays["status"] = _not_run((runs,))
        self.chunks = Chunks(asked.plan.shape, chunk)
        self._texts: dict[str, str] = {}

    def _check_names(self) -> None:
        sample, reduce = self.asked.sample, self.reduce
        taken = {str(name) for name in (*sample.dims, *sample.coords)}
        own = {str(dim) for template in reduce.templates.values() for dim in template.dims[1:]}
        new = [*reduce.templates, *(f"reason_{name}" for name in reduce.templates), *reduce.series, "status", "rung"]
        clash = sorted({name for name, count in Counter(new).items() if count > 1} | (taken & {*new, *own, "time"}))
        if clash:
            raise ValueSettingError(
                f"{', '.join(clash)} is both a dimension or coordinate of the values and a part of the result, or is"
                " asked for twice; rename the dimension"
            )

    def put(self, block: Sequence[tuple[int, NDArray[np.float64] | None, int, str]]) -> None:
        """Take outcomes: index, symbols x rows or None, attempt that worked, status."""
        rows = np.array([index for index, *_ in block])
        for name, (values, reasons) in self.reduce([(data, status) for _, data, _, status in block]).items():
            self.arrays[name][rows] = values
            self.arrays[f"reason_{name}"][rows] = self._shared(reasons)
        for name, (place, _) in self.reduce.series.items():
            for index, data, *_ in block:
                if data is not None:
                    self.arrays[name][index] = data[place]
        self.arrays["rung"][rows] = [rung for _, _, rung, _ in block]
        self.arrays["status"][rows] = self._shared(np.array([status for *_, status in block], dtype=object))

    def restore(self, known: Mapping[str, NDArray[Any]]) -> None:
        """Take what a store holds of the first runs."""
        for name, values in known.items():
            flat = values.reshape((-1, *self.arrays[name].shape[1:]))
            self.arrays[name][: len(flat)] = self._shared(flat) if self.arrays[name].dtype == object else flat

    def _shared(self, texts: NDArray[Any]) -> NDArray[Any]:
        """Return texts of which equal ones are one object."""
        found = np.empty(texts.shape, dtype=object)
        found.reshape(-1)[:] = [self._texts.setdefault(text, text) for text in map(str, texts.reshape(-1).tolist())]
        return found

    def todo(self) -> NDArray[np.int64]:
        """Return the indices of the runs that are still to be made."""
        return np.flatnonzero(self.arrays["status"] == NOT_RUN)

    def part(self, number: int) -> dict[str, NDArray[Any]]:
        """Return the arrays of one chunk."""
        rows = self.chunks.rows(number)
        shape = self.chunks.shape_of(number)
        return {name: array[rows].reshape((*shape, *array.shape[1:])) for name, array in self.arrays.items()}

    def dataset(self) -> xr.Dataset:
        """Return the result."""
        import xarray as xr

        sample, reduce = self.asked.sample, self.reduce
        coords: dict[Any, Any] = dict(sample.coords)
        about: dict[str, tuple[tuple[Any, ...], Mapping[str, Any]]] = {
            name: ((), attrs) for name, attrs in OUTCOME.items()
        }
        for name, template in reduce.templates.items():
            about[name] = (template.dims[1:], template.attrs)
            about[f"reason_{name}"] = (template.dims[1:], {"long_name": f"ok, or why {name} is missing"})
        coords |= {dim: labels.variable for dim, labels in reduce.labels.items()}
        for name, (_, symbol) in reduce.series.items():
            about[name] = (("time",), {"units": symbol.unit, "long_name": symbol.name})
            coords["time"] = time_of(self.asked.plan.job)
        variables = {
            name: ((*sample.dims, *about[name][0]), array.reshape((*sample.shape, *array.shape[1:])), about[name][1])
            for name, array in self.arrays.items()
        }
        return xr.Dataset(variables, coords=coords, attrs=self.asked.attrs)


def _not_run(shape: tuple[int, ...]) -> NDArray[np.object_]:
    texts = np.empty(shape, dtype=object)
    texts.fill(NOT_RUN)  # one text; np.full would make one an element
    return texts


def _run(
    asked: Asked, results: Results, store: Store | None, where: tuple[int | None, Executor | None], progress: bool
) -> None:
    todo = results.todo()
    plan = asked.plan
    most = max(1, min(HELD_RUNS, HELD_NUMBERS // (plan.job.points * len(asked.symbols))))
    left = Counter(results.chunks.of(int(index)) for index in todo) if store else Counter()
    held: list[tuple[int, NDArray[np.float64] | None, int, str]] = []
    full: list[int] = []
    written = monotonic()

    def flush() -> None:
        nonlocal written
        if held:
            block = held.copy()
            held.clear()
            results.put(block)
        while store and full:
            store.write(results.chunks.region(full[0]), results.part(full[0]))
            del full[0]
        written = monotonic()

    with progress_bar("evaluating", plan.runs, progress, plan.runs - len(todo)) as advance:

        def report(index: int, run: Run) -> None:
            data, rung, status = plan.outcome(index, run)
            held.append((index, data, rung, status))
            if store:
                number = results.chunks.of(index)
                left[number] -= 1
                if not left[number]:
                    full.append(number)
            if len(held) >= most or (full and monotonic() - written > HOLD):
                flush()
            advance(data is None)

        try:
            _make(asked, todo, report, where)
        finally:  # after an interrupt too: what is complete is kept
            flush()


def _make(asked: Asked, todo: NDArray[np.int64], report: Any, where: tuple[int | None, Executor | None]) -> None:
    if len(todo):
        run_all(asked.plan.job, asked.plan, report, *where, todo=todo)
