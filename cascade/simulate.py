"""Model + days + values -> Dataset: one run, a sweep, a cohort and a design matrix are the same call."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._canonical import Symbol, canonicalize, symbol_table
from cascade._plan import Plan, job_of
from cascade._tables import is_number
from cascade._values import broadcast, checked_values, flat_id
from cascade.engine import OK, Job, Run
from cascade.ensemble import check_workers, run_all
from cascade.errors import ValueSettingError
from cascade.specs import Model, Solver, require_model

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray as xr
    from numpy.typing import NDArray

DAYS_PER_YEAR = 365.25
"""Julian year, the astronomical convention."""

MAX_ROWS = 1_000_000
"""Output rows that one run may have."""

LEAST_DAYS, MOST_DAYS = 1e-12, 1e12
"""Shortest and longest simulation: rows between which time still differs, whatever the solver does with it."""

MAX_NUMBERS = 500_000_000
"""Numbers that one result may hold (4 GB)."""


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
    executor: Executor | None = None,
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
    executor : concurrent.futures.Executor, optional
        Where the runs are made instead: any pool, or a cluster (`cascade.cluster.connect`). `workers` then says how
        many tasks it works on at a time, if it does not say so itself.
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
    check_workers(workers, executor)
    asked = planned(model, {} if values is None else values, record, (days, years), points, solver, whole=True)
    data, status, rung = _run(asked.plan, len(asked.symbols), workers, executor, progress)
    dataset = _dataset(asked, data, status, rung)
    dataset.attrs = asked.attrs
    return dataset


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A checked request: the plan, the dimensions of its runs, what is recorded, and what a reader must know of it."""

    plan: Plan
    sample: xr.DataArray
    symbols: tuple[Symbol, ...]
    attrs: dict[str, Any]


def planned(
    model: Model,
    values: Mapping[str, Any],
    record: Sequence[str] | None,
    length: tuple[float | None, float | None],
    points: int,
    solver: Solver | None,
    *,
    whole: bool = False,
) -> Asked:
    """Check everything about a request before anything runs; `length` is in days or in years.

    `whole`: all rows of all runs will be kept in memory.
    """
    require_model(model, "simulate")
    if solver is not None and not isinstance(solver, Solver):
        raise ValueSettingError(f"solver is {solver!r}; give a Solver, or leave it out")
    solver = solver or Solver()
    duration = _duration(*length)
    _check_points(points)
    symbols = symbol_table(model.flat)
    recorded = _recorded(model, symbols, record)
    keys, arrays = checked_values(model, symbols, values)
    sample, columns = broadcast(keys, arrays)
    _check_names(sample, recorded)
    _check_size(sample.size, *((points, len(recorded)) if whole else (1, 1)))
    plan = Plan(model.flat, recorded, keys, columns, (duration, points, solver))
    attrs = provenance(model, solver, values) | _values_used(keys, arrays, plan)
    return Asked(plan=plan, sample=sample, symbols=tuple(symbols[name] for name in recorded), attrs=attrs)


def _duration(days: float | None, years: float | None) -> float:
    if (days is None) == (years is None):
        raise ValueSettingError("give the length of the simulation once: days=... or years=...")
    given, name = (days, "days") if days is not None else (years, "years")
    if isinstance(given, bool) or not isinstance(given, Real):
        raise ValueSettingError(f"{name} is {given!r}; give a number")
    if not (is_number(given) and given > 0):
        raise ValueSettingError(f"{name} is {given!r}; give a finite number above 0")
    length = float(given) * (1.0 if days is not None else DAYS_PER_YEAR)
    if not LEAST_DAYS <= length <= MOST_DAYS:
        raise ValueSettingError(f"{name} is {given!r}; give {LEAST_DAYS:g} to {MOST_DAYS:g} days")
    return length


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
    if not isinstance(record, Iterable):
        raise ValueSettingError(f"record is {record!r}; give a list of names")
    if isinstance(record, str):
        raise ValueSettingError(f"record is the text {record!r}; give a list of names, record=[{record!r}]")
    chosen = tuple(dict.fromkeys(flat_id(model, symbols, name) for name in record))
    if not chosen:
        raise ValueSettingError("record is empty; name at least one symbol, or leave it out to keep all")
    return chosen


def _run(
    plan: Plan, symbols: int, workers: int | None, executor: Executor | None, progress: bool
) -> tuple[NDArray[np.float64], NDArray[np.object_], NDArray[np.int64]]:
    from cascade._progress import progress_bar

    try:
        data = np.full((symbols, plan.runs, plan.job.points), np.nan)
    except MemoryError:
        raise ValueSettingError(
            f"{plan.runs} runs x {plan.job.points} points x {symbols} symbols are more than this machine can hold: name"
            " fewer symbols in record=[...], ask for fewer points, or split the study"
        ) from None
    status = np.full(plan.runs, OK, dtype=object)
    rung = np.zeros(plan.runs, dtype=np.int64)
    with progress_bar("simulating", plan.runs, progress) as advance:

        def report(index: int, run: Run) -> None:
            found, rung[index], status[index] = plan.outcome(index, run)
            if found is not None:
                data[:, index, :] = found
            advance(found is None)

        run_all(plan.job, plan, report, workers, executor)
    return data, status, rung


def _dataset(
    asked: Asked, data: NDArray[np.float64], status: NDArray[np.object_], rung: NDArray[np.int64]
) -> xr.Dataset:
    import xarray as xr

    job, sample = asked.plan.job, asked.sample
    dims: tuple[Hashable, ...] = (*sample.dims, "time")
    shape = (*sample.shape, job.points)
    variables: dict[str, Any] = {
        symbol.id: (dims, data[index].reshape(shape), {"units": symbol.unit, "long_name": symbol.name})
        for index, symbol in enumerate(asked.symbols)
    }
    outcome = {"status": status.astype(str), "rung": rung}
    variables |= {key: (sample.dims, each.reshape(sample.shape), OUTCOME[key]) for key, each in outcome.items()}
    return xr.Dataset(variables, coords={**dict(sample.coords), "time": time_of(job)})


OUTCOME = {
    "status": {"long_name": "outcome of the run: ok, or why it failed"},
    "rung": {"units": "dimensionless", "long_name": "attempt that worked, 0 is the first, -1 none"},
}
"""What is said of the outcome of runs."""


def time_of(job: Job) -> tuple[str, NDArray[np.float64], dict[str, str]]:
    """Return the coordinate `time` of the results of a job."""
    return "time", np.linspace(0.0, job.days, job.points), {"units": "day", "long_name": "time"}


def single_job(
    model: Model, keys: tuple[str, ...], record: tuple[str, ...], days: float, points: int, solver: Solver
) -> Job:
    """Return the job of an analysis that runs one engine many times itself; names are flat ids."""
    symbols = symbol_table(model.flat)
    return job_of(canonicalize(model.flat, keys), symbols, keys, record, (days, points, solver))


def one_run(model: Model, record: tuple[str, ...], days: float, points: int, solver: Solver) -> tuple[Job, list[float]]:
    """Return the job that `simulate` makes of a model without values, and the values of its run, to measure it."""
    plan = Plan(model.flat, record, (), (), (days, points, solver))
    return plan.job, plan[0].tolist()


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


def _values_used(keys: tuple[str, ...], arrays: list[xr.DataArray], plan: Plan) -> dict[str, str]:
    single = {
        key: float(a) if not a.ndim else f"array over {list(a.dims)}" for key, a in zip(keys, arrays, strict=True)
    }
    return {"values": json.dumps(single), "values_sha256": plan.digest()}
