"""Work that a child process of `cascade._child` does badly; imported by its name there."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def echo(question: dict[str, Any]) -> dict[str, Any]:
    return question


def sleep(question: dict[str, Any]) -> dict[str, Any]:
    time.sleep(60)
    return question


def spin(question: dict[str, Any]) -> dict[str, Any]:
    while True:
        pass


def crash(question: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return question


def eat(question: dict[str, Any]) -> dict[str, Any]:
    return {"size": len(bytearray(64 << 30))}


def fail(question: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("no such luck")


def chatter(question: dict[str, Any]) -> dict[str, Any]:
    """Print as native code does, to both file descriptors."""
    os.write(1, b"noise\n" * 1000)
    os.write(2, b"noise\n" * 1000)
    print("noise", file=sys.stdout, flush=True)
    return question


def write(question: dict[str, Any]) -> dict[str, Any]:
    Path(question["path"]).write_text("stolen")
    return {}
