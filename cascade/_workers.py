"""Worker processes: fresh interpreters that make runs under a clock; one that is killed or dies is replaced."""

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
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Protocol

from cascade.engine import Engine, Job, Run
from cascade.errors import SimulationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

START_LIMIT = 300.0
"""Seconds that a worker may take to start and compile the model."""

STARTS = 3
"""Workers that may die in a row while they start, before the study is given up."""

AHEAD = 2
"""Runs that a worker holds: one to work on, one so that it never waits."""

LARGE = 2_000
"""Values in one run above which a message may not fit into a pipe, so that a worker holds one run only."""

DEATHS = 40
"""Workers that may die in a row, without one finished run between, before the study is given up. Neighbors in a design
may all kill their worker, each twice."""

Report = Callable[[int, Run], None]


class Rows(Protocol):
    """The values of every run."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> NDArray[np.float64]: ...


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


def start_worker(job: Job, inbox: queue.SimpleQueue[tuple[_Worker, Any]]) -> _Worker:
    """Start a fresh interpreter that imports the engine only; a user's script needs no `__main__` guard."""
    code = f"import sys; sys.path[:] = {[str(path) for path in sys.path]}; from cascade._workers import serve; serve()"
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


class Crew:
    """Worker processes that are kept from one piece of work to the next; one that is killed or dies is replaced."""

    def __init__(self, job: Job, table: Rows, report: Report) -> None:
        self.job, self.table, self.report = job, table, report
        self.todo: deque[int] = deque()
        self.left = 0
        self.deaths = 0
        self.starts = 0
        self.suspects: set[int] = set()
        self.inbox: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self.workers: list[_Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            worker.stop()
        self.workers = []

    def work(self, todo: Iterable[int], count: int) -> None:
        """Finish the runs `todo` with `count` processes; they wait for more until the crew is left."""
        self.todo.extend(todo)
        self.left = len(self.todo)
        while self.left:
            while len(self.workers) < min(count, self.left):
                self.workers.append(start_worker(self.job, self.inbox))
            for worker in list(self.workers):
                self._feed(worker)
            self._hear()
            for worker in list(self.workers):
                self._watch(worker)

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
        worker.ready, self.starts = True, 0
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
        self.starts += not worker.ready
        if self.starts >= STARTS or self.deaths > DEATHS:
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
