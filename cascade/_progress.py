"""A progress bar on stderr with rate, failures and time left, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol


class Advance(Protocol):
    """Counts one step, and whether it failed."""

    def __call__(self, failed: bool = False, /) -> None: ...


@contextmanager
def progress_bar(title: str, total: int, show: bool, done: int = 0) -> Iterator[Advance]:
    """Yield a function that counts one step; draws a bar if `show`.

    Parameters
    ----------
    title : str
    total : int
        Steps in all.
    show : bool
    done : int
        Steps that were made before; they do not count for the rate.
    """
    if not show:
        yield lambda failed=False: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    # No refresh thread: it would draw while the output of native code is being caught.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task(title, total=total, completed=done, pace="")
        begin, drawn, made, failures = monotonic(), 0.0, 0, 0

        def advance(failed: bool = False, /) -> None:
            nonlocal drawn, made, failures
            made, failures = made + 1, failures + failed
            bar.advance(task)
            if monotonic() - drawn > 0.1:
                drawn = monotonic()
                bar.update(task, pace=_pace(made, total - done - made, failures, drawn - begin))
                bar.refresh()

        yield advance
        bar.update(task, pace=_pace(made, total - done - made, failures, monotonic() - begin))
        bar.refresh()


def _pace(made: int, left: int, failures: int, seconds: float) -> str:
    """Say how many steps a second are made, how long the rest takes, and how many failed."""
    rate = made / max(seconds, 1e-9)
    minutes, rest = divmod(round(left / rate) if rate else 0, 60)
    hours, minutes = divmod(minutes, 60)
    speed = f"{rate:.3g}/s" if rate >= 1 else f"{1 / max(rate, 1e-9):.3g} s each"
    failed = f", {failures} failed" if failures else ""
    return f"{speed}{failed}, {hours}:{minutes:02}:{rest:02} left" if left else f"{speed}{failed}"
