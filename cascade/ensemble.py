"""Many runs of one job: in this process while that is quick, in worker processes under a clock when it is not.

A run in this process cannot be interrupted, so it gets a budget of solver steps; a run that needs more goes to a worker
process, which is killed when the run exceeds its time limit. Where a run is made never changes its numbers.

Why no library does this: multiprocessing and pebble can end a worker, but run the user's script again in each unless
it has a `__main__` guard; joblib (loky) needs no guard, but cannot stop a single run.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from cascade.engine import Engine, Job, Run, StepBudgetError
from cascade.errors import SimulationError, ValueSettingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PATIENCE = 4.0
"""Seconds of remaining work, plus twice the time to compile, above which worker processes are worth their start."""

START_LIMIT = 300.0
"""Seconds that a worker may take to start and compile the model."""

AHEAD = 2
"""Runs that a worker holds: one to work on, one so that it never waits."""

LARGE = 2_000
"""Values in one run above which a message may not fit into a pipe, so that a worker holds one run only."""

DEATHS = 10
"""Workers that may die in a row, without one finished run between, before the study is given up."""

KEPT = 4
"""Compiled models that a thread keeps for the next call."""

_local = threading.local()

Report = Callable[[int, Run], None]


def run_all(job: Job, table: NDArray[np.float64], report: Report, workers: int | None = None) -> None:
    """Make one run per row of `table`.

    Parameters
    ----------
    job : Job
        What the runs share.
    table : array, shape (runs, len(job.keys))
        The values.
    report : callable
        Called in this thread with the index and the outcome of each run, in any order.
    workers : int, optional
        1 stays in this process as far as possible, 2 and more start that many worker processes. By default decided by
        the time that the first runs take and the processors that are there.
    """
    count = workers or processors()
    if workers is not None and workers > 1:
        _Crew(job, table, deque(range(len(table))), report).work(workers)
        return
    rest = _run_here(job, table, report, may_stop=workers is None and count > 1)
    if rest:
        _Crew(job, table, rest, report).work(count)


def check_workers(workers: int | None) -> None:
    """Refuse a number of workers that makes no sense."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or not 1 <= workers <= 1024):
        raise ValueSettingError(
            f"workers is {workers!r}; give a whole number from 1 to 1024, or None to let cascade decide"
        )


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def step_budget(job: Job) -> int:
    """Return the steps between two rows that a run may take without a clock."""
    return max(1_000, 40_000 // job.points)


def _engine(sbml: str) -> Engine:
    """Return the compiled model of this thread, compiling it if needed."""
    kept: OrderedDict[str, Engine] = _local.__dict__.setdefault("engines", OrderedDict())
    if sbml in kept:
        kept.move_to_end(sbml)
        return kept[sbml]
    kept[sbml] = Engine(sbml)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[sbml]


def _run_here(job: Job, table: NDArray[np.float64], report: Report, may_stop: bool) -> deque[int]:
    """Run in this process; return what is left for worker processes."""
    engine = _engine(job.sbml)
    budget = step_budget(job)
    patience = PATIENCE + 2 * engine.seconds_to_load
    rest: deque[int] = deque()
    begin = time.monotonic()
    for index, values in enumerate(table):
        try:
            report(index, engine.run(job, values.tolist(), budget))
        except StepBudgetError:
            rest.append(index)
        spent = time.monotonic() - begin
        if may_stop and spent / (index + 1) * (len(table) - index - 1) > patience:
            rest.extend(range(index + 1, len(table)))
            break
    return rest


@dataclass(eq=False)
class _Worker:
    """A process that makes runs, and the indices that it holds, oldest first."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    held: deque[int] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)
    ready: bool = False

    def send(self, message: Any) -> None:
        """Write a message; if the process has ended, the listener notices and says so."""
        stream = self.process.stdin
        with suppress(OSError, ValueError):
            pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)  # type: ignore[arg-type]
            stream.flush()  # type: ignore[union-attr]

    def stop(self) -> None:
        """Kill the process and close its streams."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.errors):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def last_words(self) -> str:
        """Return the last line that the process wrote to stderr."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "no message"


def _start_worker(job: Job, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> _Worker:
    """Start a fresh interpreter that imports the engine only; a user's script needs no `__main__` guard."""
    code = f"import sys; sys.path[:] = {[str(path) for path in sys.path]}; from cascade.ensemble import serve; serve()"
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
    )
    worker = _Worker(process, errors)
    threading.Thread(target=_listen, args=(worker, job, inbox), daemon=True).start()
    return worker


def _listen(worker: _Worker, job: Job, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
    """Send the job, then pass on what the worker says; None when it has ended."""
    worker.send(job)
    stream = worker.process.stdout
    assert stream is not None
    with stream:
        while True:
            try:
                inbox.put((worker, pickle.load(stream)))
            except (EOFError, OSError, pickle.UnpicklingError):
                inbox.put((worker, None))
                return


class _Crew:
    """Worker processes that finish the runs `todo`; one that is killed or dies is replaced."""

    def __init__(self, job: Job, table: NDArray[np.float64], todo: deque[int], report: Report) -> None:
        self.job, self.table, self.todo, self.report = job, table, todo, report
        self.left = len(todo)
        self.deaths = 0
        self.suspects: set[int] = set()
        self.inbox: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self.workers: list[_Worker] = []

    def work(self, count: int) -> None:
        """Finish all runs with `count` processes; none outlives this call."""
        try:
            while self.left:
                while len(self.workers) < min(count, self.left):
                    self.workers.append(_start_worker(self.job, self.inbox))
                self._hear()
                for worker in list(self.workers):
                    self._feed(worker)
                    self._watch(worker)
        finally:
            for worker in self.workers:
                worker.stop()

    def _hear(self) -> None:
        """Take what has arrived; wait a moment if nothing has."""
        try:
            worker, message = self.inbox.get(timeout=0.1)
            while True:
                self._take(worker, message)
                worker, message = self.inbox.get_nowait()
        except queue.Empty:
            return

    def _take(self, worker: _Worker, message: Any) -> None:
        if worker not in self.workers:
            return
        if isinstance(message, str):
            raise SimulationError(message)
        if message is None:
            self._mourn(worker)
            return
        worker.since = time.monotonic()
        if worker.ready:
            self._finish(worker.held.popleft(), message)
            self.deaths = 0
        worker.ready = True
        self._feed(worker)

    def _feed(self, worker: _Worker) -> None:
        ahead = AHEAD if len(self.job.keys) < LARGE else 1
        while worker.ready and self.todo and len(worker.held) < ahead:
            if not worker.held:
                worker.since = time.monotonic()
            worker.held.append(self.todo.popleft())
            worker.send(self.table[worker.held[-1]].tolist())

    def _finish(self, index: int, run: Run) -> None:
        self.left -= 1
        self.report(index, run)

    def _watch(self, worker: _Worker) -> None:
        """Kill a worker whose run exceeds its time."""
        waited = time.monotonic() - worker.since
        if not worker.ready and waited > START_LIMIT:
            raise SimulationError(f"a worker process did not start within {START_LIMIT:g} s; try workers=1")
        if worker.held and waited > self.job.solver.time_limit:
            self._dismiss(
                worker,
                f"time limit: stopped after {self.job.solver.time_limit:g} s; raise Solver(time_limit=...), loosen"
                " Solver(relative_tolerance=...), or look for a rate that is far too fast",
            )

    def _mourn(self, worker: _Worker) -> None:
        """Deal with a worker that ended by itself; the run it died of gets a second chance."""
        code = worker.process.wait()
        words = worker.last_words()
        self.deaths += 1
        if not worker.ready or self.deaths > DEATHS:
            raise SimulationError(f"worker processes end by themselves (exit code {code}: {words}); try workers=1")
        if worker.held and worker.held[0] not in self.suspects:
            self.suspects.add(worker.held[0])
            self._dismiss(worker, "")
        else:
            self._dismiss(worker, f"worker died: exit code {code}: {words}; run these values alone to see more")

    def _dismiss(self, worker: _Worker, verdict: str) -> None:
        """End a worker: the run that it was at has failed if there is a verdict, the others go back."""
        worker.stop()
        self.workers.remove(worker)
        if worker.held and verdict:
            self._finish(worker.held.popleft(), Run(None, -1, verdict))
        self.todo.extendleft(reversed(worker.held))


def serve() -> None:
    """Work in a worker process: a job, then values, arrive on stdin; outcomes leave on what was stdout."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source = sys.stdin.buffer
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(message: Any) -> None:
        pickle.dump(message, sink, protocol=pickle.HIGHEST_PROTOCOL)
        sink.flush()

    job: Job = pickle.load(source)
    try:
        engine = Engine(job.sbml)
    except SimulationError as error:
        answer(str(error))
        return
    answer(True)
    while True:
        try:
            values = pickle.load(source)
        except EOFError:
            return
        answer(engine.run(job, values))
