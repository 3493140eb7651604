"""Tasks on any executor of `concurrent.futures`: few at a time, tried twice, and what is lost is told."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cascade._workers import Report, Rows
    from cascade.engine import Run

ATTEMPTS = 2
"""How often a task is given to the executor."""

AHEAD = 2
"""Tasks per worker that are under way: one to work on, one so that it never waits."""

LOOK = 5.0
"""Seconds after which the size of a cluster is looked up again: it may grow."""

_GONE = ("KilledWorker", "CommClosedError", "FutureCancelledError", "FuturesCancelledError", "TimeoutError")
"""Names of errors by which a cluster says that a worker or the scheduler went; its package need not be there."""

Task = Callable[[Any, "list[NDArray[np.float64]]", int, bool], "list[Run | None] | str"]


@dataclass
class Lost:
    """Runs that the executor did not make, and why nothing can be made there if that is so."""

    rows: list[int] = field(default_factory=list)
    reason: str = ""


@dataclass(frozen=True)
class _Part:
    """Runs of one task, how often it was given before, and whether they need a clock."""

    rows: list[int]
    attempt: int = 0
    clocked: bool = False


def finish_on(
    executor: Executor,
    task: Task,
    what: Any,
    table: Rows,
    todo: NDArray[np.int64],
    report: Report,
    size: int,
    workers: int | None,
) -> Lost:
    """Run everything on an executor, in tasks of `size` runs.

    Returns
    -------
    Lost
        The runs of tasks whose workers died in every attempt.
    """
    tasks = _Tasks(todo, report, size)
    pending: dict[Future[Any], _Part] = {}
    width = _Width(executor, workers)
    try:
        while not tasks.lost.reason:
            while len(pending) < AHEAD * width() and (part := tasks.take(last=not pending)):
                try:
                    future = executor.submit(
                        task, what, [table[index] for index in part.rows], part.attempt, part.clocked
                    )
                except RuntimeError:  # broken or shut down: it takes nothing any more
                    tasks.lost.rows += part.rows
                else:
                    pending[future] = part
            if not pending:
                break
            for future in wait(pending, timeout=LOOK, return_when=FIRST_COMPLETED).done:
                tasks.end(future, pending.pop(future))
    finally:
        for future in pending:
            future.cancel()
    return tasks.lost


class _Tasks:
    """What is to be done: parts of the study, parts that were lost once, and runs that need a clock."""

    def __init__(self, todo: NDArray[np.int64], report: Report, size: int) -> None:
        self._todo, self._report, self._size = todo, report, size
        self._taken = 0
        self._again: deque[_Part] = deque()
        self._slow: list[int] = []
        self.lost = Lost()

    def take(self, last: bool) -> _Part | None:
        """Return what to do next; runs that need a clock when there are enough of them, or nothing else is left."""
        if self._again:
            return self._again.popleft()
        if len(self._slow) >= self._size or (self._slow and last and self._taken >= len(self._todo)):
            rows, self._slow = self._slow[: self._size], self._slow[self._size :]
            return _Part(rows, clocked=True)
        rows = self._todo[self._taken : self._taken + self._size].tolist()
        self._taken += len(rows)
        return _Part(rows) if rows else None

    def end(self, future: Future[Any], part: _Part) -> None:
        """Report the outcomes of a task, or see to it that its runs are made otherwise."""
        try:
            found = future.result()
        except (BrokenExecutor, CancelledError, OSError, EOFError) as error:
            self._missed(part, error)
        except Exception as error:
            if any(kind.__name__ in _GONE for kind in type(error).__mro__):
                self._missed(part, error)
            else:
                self.lost.reason = (
                    f"the executor cannot make runs: {type(error).__name__}: {error}; is the same version of cascade"
                    " installed for its workers?"
                )
        else:
            if isinstance(found, str):
                self.lost.reason = found
                return
            for index, run in zip(part.rows, found, strict=True):
                if run is None:
                    self._slow.append(index)
                else:
                    self._report(index, run)

    def _missed(self, part: _Part, error: BaseException) -> None:
        tried_often = type(error).__name__ == "KilledWorker"  # a cluster has tried several workers by itself
        if part.attempt + 1 < ATTEMPTS and not tried_often:
            self._again.append(replace(part, attempt=part.attempt + 1))
        else:
            self.lost.rows += part.rows


class _Width:
    """How many tasks an executor works on at a time: what it says, what the user says, or what is usual here."""

    def __init__(self, executor: Executor, workers: int | None) -> None:
        self._executor, self._workers = executor, workers
        self._looked, self._found = -LOOK, 1

    def __call__(self) -> int:
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            self._found = max(1, self._look())
        return self._found

    def _look(self) -> int:
        number = getattr(self._executor, "_max_workers", None)
        if isinstance(number, int):
            return number
        client = getattr(self._executor, "_client", None)
        if client is not None and hasattr(client, "nthreads"):
            return sum(client.nthreads().values())
        return self._workers or 4
