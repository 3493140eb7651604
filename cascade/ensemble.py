"""Many runs of one job: in this process while that is quick, in worker processes under a clock when it is not.

A run in this process cannot be interrupted, so it gets a budget of solver steps; a run that needs more goes to a worker
process, which is killed when the run exceeds its time limit. Where a run is made never changes its numbers. Any
executor of `concurrent.futures` can make the runs too; each of its tasks works as this process would.

Why no library does this: multiprocessing and pebble can end a worker, but run the user's script again in each unless
it has a `__main__` guard; joblib (loky) needs no guard, but cannot stop a single run.
"""

from __future__ import annotations

import os
import pickle
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Executor
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._executors import finish_on
from cascade._workers import Crew, Report, Rows
from cascade.engine import Engine, Job, Run, StepBudgetError
from cascade.errors import SimulationError, ValueSettingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATIENCE = 4.0
"""Seconds of remaining work, plus twice the time to compile, above which worker processes are worth their start."""

SLOW = 8
"""Runs over the budget of steps from which on worker processes are worth their start."""

KEPT = 4
"""Compiled models that a thread keeps for the next call."""

TASK = 16
"""Runs in one task of an executor at most."""

TASK_NUMBERS = 1_000_000
"""Numbers that the results of one task may hold (8 MB): they wait in memory until they are taken."""

_local = threading.local()


def run_all(
    job: Job,
    table: Rows,
    report: Report,
    workers: int | None = None,
    executor: Executor | None = None,
    todo: NDArray[np.int64] | None = None,
) -> None:
    """Make one run per row of `table`.

    Parameters
    ----------
    job : Job
        What the runs share.
    table : sequence of array, each of shape (len(job.keys),)
        The values of every run.
    report : callable
        Called in this thread with the index and the outcome of each run, in any order.
    workers : int, optional
        1 stays in this process as far as possible, 2 and more start that many worker processes. By default decided by
        the time that the first runs take and the processors that are there.
    executor : concurrent.futures.Executor, optional
        Makes the runs instead. What it loses twice is run by worker processes.
    todo : array of int, optional
        Indices of the runs to make; all by default.
    """
    count = workers or processors()
    indices = np.arange(len(table)) if todo is None else np.asarray(todo)
    if executor is not None:
        rest: Iterable[int] = _run_there(job, table, indices, report, executor, workers)
    elif workers is None or workers == 1:
        rest = _run_here(job, table, indices, report, may_stop=count > 1)
    else:
        rest = indices.tolist()
    if rest:
        with Crew(job, table, report) as crew:
            crew.work(rest, count)


def check_workers(workers: int | None, executor: object = None) -> None:
    """Refuse a number of workers that makes no sense, and what is no executor."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 1024):
        raise ValueSettingError(
            f"workers is {workers!r}; give a whole number from 1 to 1024, or None to let cascade decide"
        )
    if executor is not None and not isinstance(executor, Executor) and not callable(getattr(executor, "submit", None)):
        raise ValueSettingError(
            f"executor is {executor!r}; give a concurrent.futures.Executor, such as ProcessPoolExecutor(), or that of a"
            " Dask cluster: cascade.cluster.connect(address)"
        )


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def step_budget(job: Job) -> int:
    """Return the steps between two rows that a run may take without a clock."""
    return max(1_000, 40_000 // job.points)


def _mine() -> dict[str, Any]:
    """Return what this thread keeps; a forked child begins anew, for native code does not survive a fork."""
    if _local.__dict__.get("process") != os.getpid():
        _local.__dict__.setdefault("inherited", []).append(_local.__dict__.pop("engines", None))
        _local.process, _local.engines, _local.jobs = os.getpid(), OrderedDict(), OrderedDict()
    return _local.__dict__


def _engine(sbml: str) -> Engine:
    """Return the compiled model of this thread, compiling it if needed."""
    kept: OrderedDict[str, Engine] = _mine()["engines"]
    if sbml in kept:
        kept.move_to_end(sbml)
        return kept[sbml]
    kept[sbml] = Engine(sbml)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[sbml]


def _run_here(job: Job, table: Rows, todo: NDArray[np.int64], report: Report, may_stop: bool) -> list[int]:
    """Run in this process, with one worker process for the runs that need a clock; return what is better shared."""
    engine = _engine(job.sbml)
    budget = step_budget(job)
    patience = PATIENCE + 2 * engine.seconds_to_load
    slow: list[int] = []
    begin = time.monotonic()
    with Crew(job, table, report) as clocked:
        for done, index in enumerate(map(int, todo), start=1):
            try:
                report(index, engine.run(job, table[index].tolist(), budget))
            except StepBudgetError:
                if may_stop:
                    slow.append(index)
                else:
                    clocked.work([index], 1)
            late = (time.monotonic() - begin) / done * (len(todo) - done) > patience
            if may_stop and (late or len(slow) >= SLOW):
                return [*slow, *todo[done:].tolist()]
    return slow


def _run_there(
    job: Job, table: Rows, todo: NDArray[np.int64], report: Report, executor: Executor, workers: int | None
) -> list[int]:
    """Run on an executor; return what it has lost."""
    packed = zlib.compress(pickle.dumps(job, protocol=pickle.HIGHEST_PROTOCOL), 1)
    what = (sha256(packed).hexdigest(), packed, _versions())
    size = max(1, min(TASK, TASK_NUMBERS // (job.points * max(1, len(job.record))), -(-len(todo) // (workers or 8))))
    lost = finish_on(executor, run_task, what, table, todo, report, size, workers)
    if lost.reason:
        raise SimulationError(lost.reason)
    return lost.rows


def run_task(
    what: tuple[str, bytes, tuple[str, ...]], rows: list[NDArray[np.float64]], attempt: int, clocked: bool
) -> list[Run | None] | str:
    """Make some runs in a worker of an executor; return their outcomes, or why none can be made there.

    The job travels with every task, packed, and is unpacked once: nothing need be known of the worker: it may be new.
    A run that needs a clock is None; when there are some they come back together, `clocked`, to a process of their own.
    The number of the attempt keeps a cluster from answering with what it remembers of the last one.
    """
    del attempt
    digest, packed, versions = what
    if versions != _versions():
        return (
            f"the workers of the executor have {', '.join(_versions())}, and this process has {', '.join(versions)};"
            " install the same versions on both sides, or the numbers differ"
        )
    jobs: OrderedDict[str, Job] = _mine()["jobs"]
    if digest not in jobs:
        jobs[digest] = pickle.loads(zlib.decompress(packed))
        while len(jobs) > KEPT:
            jobs.popitem(last=False)
    job = jobs[digest]
    found: list[Run | None] = [None] * len(rows)
    try:
        if clocked:
            with Crew(job, rows, found.__setitem__) as crew:
                crew.work(range(len(rows)), 1)
            return found
        engine = _engine(job.sbml)
    except SimulationError as error:
        return str(error)
    for index, values in enumerate(rows):
        with suppress(StepBudgetError):
            found[index] = engine.run(job, values.tolist(), step_budget(job))
    return found


def _versions() -> tuple[str, ...]:
    return tuple(f"{name} {version(name)}" for name in ("metastatic-cascade", "libroadrunner", "numpy"))
