"""Model + days + values -> Dataset: one run, a sweep, a cohort and a design matrix are the same call."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._canonical import Canonical, Symbol, canonicalize, symbol_table
from cascade._lean import lean
from cascade._starts import constants, observed, states_of, trajectories, with_starts
from cascade._values import broadcast, checked_values, flat_id
from cascade.engine import OK, Job, Run, not_finite
from cascade.ensemble import check_workers, run_all
from cascade.errors import ValueSettingError
from cascade.specs import Model, Solver

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

DAYS_PER_YEAR = 365.25
"""Julian year, the astronomical convention."""

MAX_ROWS = 1_000_000
"""Output rows that one run may have."""

MAX_NUMBERS = 500_000_000
"""Numbers that one result may hold (4 GB)."""

TOLERANCE_SCALE = {"cell": 1.0, "cluster": 1.0, "molecule": 1.0}
"""Factor on the absolute tolerance of a state by unit. Counts are resolved to 1e-9 of a cell; expected lesions,
concentrations and activities, where 1e-6 can matter, to a thousandth of that (`_FINE`)."""

_FINE = 1e-3


def simulate(
    model: Model,
    *,
    days: float | None = None,
    years: float | None = None,
    points: int = 201,
    values: Mapping[str, Any] | None = None,
    record: Sequence[str] | None = None,
    solver: Solver | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Simulate a model once or many times.

    Parameters
    ----------
    model : Model
        What to run.
    days, years : float
        Length of the simulation; give one of them. A year is 365.25 days.
    points : int
        Rows, evenly spaced from day 0 to the end. The grid is part of the identity of a result (about 1e-5 at the
        default tolerance): keep it fixed within a study.
    values : mapping of str to number or DataArray
        Values of constants and start values by name. Dimensions of the arrays carry through to the result; arrays are
        broadcast against each other by the names of their dimensions.
    record : sequence of str, optional
        Names of the symbols to keep: species, variables, constants, reactions (their rates). By default all species and
        variables.
    solver : Solver, optional
        Tolerances, step and time limits.
    workers : int, optional
        1 for this process, more for worker processes; by default worker processes are used when the work takes longer
        than a few seconds. The numbers are the same to the last bit.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        One variable per symbol over the dimensions of the values and `time` (day), with `units` and `long_name`;
        `status` ("ok" or the reason of the failure; the data of a failed run are NaN) and `rung` (which attempt worked:
        0 is the first, -1 none) over the dimensions of the values; provenance in the attributes.

    Raises
    ------
    UnknownNameError
        If a name is not in the model.
    ValueSettingError
        If a value, a time or a number of points cannot be used. Nothing has run then.
    SimulationError
        If libRoadRunner cannot load the model.

    Notes
    -----
    Costs about 0.1 to 1 s to compile a model and 1 to 100 ms per run.
    """
    if not isinstance(model, Model):
        raise ValueSettingError(f"simulate() was given {model!r}; give a Model, made by compose()")
    solver = solver or Solver()
    duration = _duration(days, years)
    _check_points(points)
    check_workers(workers)
    symbols = symbol_table(model.flat)
    recorded = _recorded(model, symbols, record)
    keys, arrays = checked_values(model, symbols, values or {})
    sample, table = broadcast(keys, arrays)
    _check_names(sample, recorded)
    _check_size(len(table), points, len(recorded))
    job, view, rows = _prepared(model.flat, recorded, keys, table, (duration, points, solver))
    data, status, rung = _run(job, view, rows, workers, progress)
    dataset = _dataset(job, [symbols[name] for name in recorded], sample, data, status, rung)
    dataset.attrs = provenance(model, solver, values or {}) | _values_used(keys, arrays, table)
    return dataset


def _duration(days: float | None, years: float | None) -> float:
    if (days is None) == (years is None):
        raise ValueSettingError("give the length of the simulation once: days=... or years=...")
    given, name = (days, "days") if days is not None else (years, "years")
    if isinstance(given, bool) or not isinstance(given, (int, float, np.integer, np.floating)):
        raise ValueSettingError(f"{name} is {given!r}; give a number")
    if not (math.isfinite(given) and given > 0):
        raise ValueSettingError(f"{name} is {given!r}; give a finite number above 0")
    return float(given) * (1.0 if days is not None else DAYS_PER_YEAR)


def _check_points(points: int) -> None:
    if isinstance(points, bool) or not isinstance(points, (int, np.integer)):
        raise ValueSettingError(f"points is {points!r}; give a whole number")
    if not 2 <= points <= MAX_ROWS:
        raise ValueSettingError(f"points is {points}; give 2 to {MAX_ROWS} (the first row is day 0, the last the end)")


def _check_names(sample: xr.DataArray, recorded: tuple[str, ...]) -> None:
    clash = sorted({str(name) for name in (*sample.dims, *sample.coords)} & set(recorded))
    if clash:
        raise ValueSettingError(
            f"{', '.join(clash)} is both a dimension or coordinate of the values and a recorded symbol; rename the"
            " dimension, or leave the symbol out of record"
        )


def _check_size(runs: int, points: int, recorded: int) -> None:
    if runs * points * recorded > MAX_NUMBERS:
        raise ValueSettingError(
            f"{runs} runs x {points} points x {recorded} symbols are {runs * points * recorded * 8 / 1e9:.1f} GB;"
            f" the limit is {MAX_NUMBERS * 8 / 1e9:.0f} GB: name fewer symbols in record=[...], ask for fewer points,"
            " or split the study"
        )


def _recorded(model: Model, symbols: Mapping[str, Symbol], record: Sequence[str] | None) -> tuple[str, ...]:
    if record is None:
        return tuple(s.id for s in symbols.values() if s.kind == "species" or s.role not in ("constant", "rate"))
    if isinstance(record, str):
        raise ValueSettingError(f"record is the text {record!r}; give a list of names, record=[{record!r}]")
    chosen = tuple(dict.fromkeys(flat_id(model, symbols, name) for name in record))
    if not chosen:
        raise ValueSettingError("record is empty; name at least one symbol, or leave it out to keep all")
    return chosen


def _job(
    canonical: Canonical,
    symbols: Mapping[str, Symbol],
    keys: tuple[str, ...],
    recorded: tuple[str, ...],
    days: float,
    points: int,
    solver: Solver,
) -> Job:
    species = [s for s in symbols.values() if s.kind == "species" and s.role == "integrated"]
    return Job(
        sbml=canonical.sbml,
        keys=tuple(canonical.keys[key] for key in keys),
        record=tuple(_selection(symbols[name]) for name in recorded),
        watch=tuple(_selection(s) for s in species),
        scales={
            s.id: TOLERANCE_SCALE.get(s.unit, _FINE) for s in symbols.values() if s.kind in ("species", "parameter")
        },
        days=days,
        points=int(points),
        solver=solver,
        reload=canonical.reload,
    )


def _selection(symbol: Symbol) -> str:
    """Return libRoadRunner's name of a symbol: `[s]` is a concentration, `s` an amount."""
    return f"[{symbol.id}]" if symbol.kind == "species" and not symbol.amount else symbol.id


def _prepared(
    flat: str,
    recorded: tuple[str, ...],
    keys: tuple[str, ...],
    table: NDArray[np.float64],
    how: tuple[float, int, Solver],
) -> tuple[Job, _View, NDArray[np.float64]]:
    """Return the job, what is to be made of its rows, and the values of every run."""
    symbols = symbol_table(flat)
    every, rows = with_starts(flat, keys, table)
    view = _View(flat, recorded, every, rows, symbols)
    canonical = canonicalize(flat, every)
    job = _job(canonical, symbols, every, view.direct, *how)
    if canonical.reload:
        return job, view, rows
    short = lean(job.sbml, view.keep, frozenset(job.keys))
    used = [index for index, key in enumerate(job.keys) if key in short.symbols]
    names = (*(job.keys[index] for index in used), *short.held)
    held = constants(flat, short.held, every, rows)
    return replace(job, sbml=short.sbml, keys=names), view, np.ascontiguousarray(np.hstack([rows[:, used], held]))


class _View:
    """What is recorded of a run, and what is computed from it; the simulator need not know the latter."""

    def __init__(
        self,
        flat: str,
        recorded: tuple[str, ...],
        keys: tuple[str, ...],
        rows: NDArray[np.float64],
        symbols: Mapping[str, Symbol],
    ) -> None:
        self._flat, self._recorded, self._keys, self._rows = flat, recorded, keys, rows
        known = observed(flat)
        self._computed = tuple(name for name in recorded if name in known)
        others = (name for name in recorded if name not in known)
        self.direct = tuple(dict.fromkeys((*others, *states_of(flat, self._computed))))
        self.keep = tuple(
            sorted(name for name in self.direct if symbols[name].role in ("constant", "computed", "rate"))
        )

    def __len__(self) -> int:
        return len(self._recorded)

    def of(self, index: int, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what was asked for, symbols x rows, from what was recorded in one run."""
        found: dict[str, Any] = dict(zip(self.direct, rows.T, strict=True))
        if self._computed:
            given = dict(zip(self._keys, self._rows[index], strict=True))
            found |= trajectories(self._flat, self._computed, given | found)
        return np.stack([np.broadcast_to(found[name], len(rows)) for name in self._recorded])

    def fault(self, data: NDArray[np.float64], days: float) -> str:
        """Return what is wrong with computed numbers, or an empty text."""
        bad = ~np.isfinite(data)
        if not bad.any():
            return ""
        column, row = (int(place) for place in np.argwhere(bad)[0])
        time = np.linspace(0.0, days, data.shape[1])[row]
        return not_finite(self._recorded[column], float(data[column, row]), float(time))


def _run(
    job: Job, view: _View, table: NDArray[np.float64], workers: int | None, progress: bool
) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.int64]]:
    from cascade._progress import progress_bar

    data = np.full((len(view), len(table), job.points), np.nan)
    status = np.full(len(table), OK, dtype=object)
    rung = np.zeros(len(table), dtype=np.int64)
    with progress_bar("simulating", len(table), progress) as advance:

        def report(index: int, run: Run) -> None:
            status[index], rung[index] = run.status, run.rung
            if run.rows is not None:
                found = view.of(index, run.rows)
                fault = view.fault(found, job.days)
                if fault:
                    status[index], rung[index] = fault, -1
                else:
                    data[:, index, :] = found
            advance()

        run_all(job, table, report, workers)
    return data, status, rung


def _dataset(
    job: Job,
    recorded: Iterable[Symbol],
    sample: xr.DataArray,
    data: NDArray[np.float64],
    status: NDArray[np.object_],
    rung: NDArray[np.int64],
) -> xr.Dataset:
    import xarray as xr

    dims: tuple[Hashable, ...] = (*sample.dims, "time")
    shape = (*sample.shape, job.points)
    time = ("time", np.linspace(0.0, job.days, job.points), {"units": "day", "long_name": "time"})
    variables: dict[str, Any] = {
        symbol.id: (dims, data[index].reshape(shape), {"units": symbol.unit, "long_name": symbol.name})
        for index, symbol in enumerate(recorded)
    }
    variables["status"] = (
        sample.dims,
        status.astype(str).reshape(sample.shape),
        {"long_name": "outcome of the run: ok, or why it failed"},
    )
    variables["rung"] = (
        sample.dims,
        rung.reshape(sample.shape),
        {"units": "dimensionless", "long_name": "attempt that worked, 0 is the first, -1 none"},
    )
    return xr.Dataset(variables, coords={**dict(sample.coords), "time": time})


def single_job(
    model: Model, keys: tuple[str, ...], record: tuple[str, ...], days: float, points: int, solver: Solver
) -> Job:
    """Return the job of an analysis that runs one engine many times itself; names are flat ids."""
    symbols = symbol_table(model.flat)
    return _job(canonicalize(model.flat, keys), symbols, keys, record, days, points, solver)


def one_run(model: Model, record: tuple[str, ...], days: float, points: int, solver: Solver) -> tuple[Job, list[float]]:
    """Return the job that `simulate` makes of a model without values, and the values of its run, to measure it."""
    job, _, rows = _prepared(model.flat, record, (), np.empty((1, 0)), (days, points, solver))
    return job, rows[0].tolist()


def provenance(model: Model, solver: Solver, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader needs to repeat a run; texts and numbers only, so that every format takes it."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "unknown"

    found: dict[str, Any] = {
        "model": model.name,
        "model_sha256": model.hash,
        "cascade_version": installed("metastatic-cascade"),
        "roadrunner_version": installed("libroadrunner"),
        "libsbml_version": installed("python-libsbml"),
        "solver": "CVODE",
        "relative_tolerance": solver.relative_tolerance,
        "absolute_tolerance": solver.absolute_tolerance,
        "maximum_steps": solver.maximum_steps,
        "time_limit": solver.time_limit,
    }
    seeds = [getattr(source, "attrs", {}).get("seed") for source in (values, *values.values())]
    for seed in seeds:
        if seed is not None:
            found["seed"] = int(seed)
    return found


def _values_used(keys: tuple[str, ...], arrays: list[xr.DataArray], table: NDArray[np.float64]) -> dict[str, str]:
    single = {
        key: float(a) if not a.ndim else f"array over {list(a.dims)}" for key, a in zip(keys, arrays, strict=True)
    }
    return {"values": json.dumps(single), "values_sha256": sha256(table.tobytes()).hexdigest()}
