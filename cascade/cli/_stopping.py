"""Ctrl-C: what a command that was stopped has kept, and how to go on."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

_RUNS = "cascade.runs"


class Stopped(Exception):
    """The user stopped a command; the message says what is kept."""


class Commands(TyperGroup):
    """Commands of which each says what it kept when it is stopped."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # another one would end the sentence
            raise Stopped(_said(ctx.meta)) from None


def leave() -> None:
    """End at once with exit code 130; all blocks were left before.

    The usual end of Python was seen to write tracebacks of tasks that Zarr gave up, and now and then to end by SIGINT.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(130)


def keep_runs(context: Any, folder: Path | None) -> None:
    """Remember where a command keeps its runs; None if `--store` would be asked for to keep them."""
    context.meta[_RUNS] = folder  # click shares it between the command and its group


def _said(meta: dict[str, Any]) -> str:
    folder = meta.get(_RUNS)
    if folder is not None and folder.exists():
        again = [each for each in sys.argv[1:] if each not in ("--resume", "--restart")]
        return (
            f"stopped. Its runs are kept in {folder}, up to the last full block. To go on:"
            f" cascade {shlex.join([*again, '--resume'])}"
        )
    more = " With --store FOLDER it keeps its runs, and --resume goes on." if folder is None and _RUNS in meta else ""
    return f"stopped. Nothing is kept but what it said it wrote; give the command again.{more}"
