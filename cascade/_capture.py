"""Catches what native code prints: libRoadRunner writes solver noise to stdout and stderr whatever its logger says."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

_sinks: dict[int, int] = {}
"""The file that takes the text, by process."""

_one_at_a_time = threading.Lock()
"""File descriptors belong to the process: two threads that swap them at once would lose stdout for good."""


@contextmanager
def captured() -> Iterator[list[str]]:
    """Catch what native code writes to the file descriptors of stdout and stderr.

    Yields
    ------
    list of str
        Receives the text when the block ends.
    """
    caught: list[str] = []
    with _one_at_a_time:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
            saved = [os.dup(1), os.dup(2)]
        except (OSError, ValueError, AttributeError):  # no such streams, as in a windowed application
            yield caught
            return
        sink = _sink()
        try:
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            yield caught
        finally:
            _flush_native()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            caught.append(_drained(sink))


def _sink() -> int:
    """Return the file of this process that takes the text; a new one costs as much as a short simulation."""
    process = os.getpid()
    if process not in _sinks:  # a forked child must not write into its parent's
        with tempfile.TemporaryFile() as file:
            _sinks[process] = os.dup(file.fileno())
    return _sinks[process]


def _drained(sink: int) -> str:
    size = os.lseek(sink, 0, os.SEEK_CUR)
    if not size:
        return ""
    os.lseek(sink, 0, os.SEEK_SET)
    text = b"".join(iter(lambda: os.read(sink, 1 << 20), b""))
    os.lseek(sink, 0, os.SEEK_SET)
    os.ftruncate(sink, 0)
    return text.decode(errors="replace")


def _flush_native() -> None:
    flush = _native_flush()
    if flush is not None:
        flush(None)


@lru_cache(maxsize=1)
def _native_flush() -> Any:
    try:
        return ctypes.CDLL(None).fflush
    except (TypeError, AttributeError, OSError):  # Windows has no global symbol table
        return None
