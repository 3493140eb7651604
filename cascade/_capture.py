"""Catches what native code prints: libRoadRunner writes solver noise to stdout and stderr whatever its logger says."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

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
        with tempfile.TemporaryFile() as sink:
            try:
                os.dup2(sink.fileno(), 1)
                os.dup2(sink.fileno(), 2)
                yield caught
            finally:
                _flush_native()
                for number, copy in zip((1, 2), saved, strict=True):
                    os.dup2(copy, number)
                    os.close(copy)
                sink.seek(0)
                caught.append(sink.read().decode(errors="replace"))


def _flush_native() -> None:
    try:
        ctypes.CDLL(None).fflush(None)
    except (TypeError, AttributeError, OSError):  # Windows has no global symbol table
        return
