"""Asks a fresh interpreter to do one piece of work on a stranger's data, under limits; the caller survives whatever
happens there. Question and answer are JSON, never pickle."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from numbers import Real
from typing import Any

from cascade.errors import CascadeError, SBMLError, ValueSettingError

MEMORY = 4 << 30
"""Bytes of address space that the child may take, where the platform keeps such a limit; reading, flattening and
checking the largest shipped model takes a tenth."""

MAX_ANSWER = 400_000_000
"""Characters of an answer."""

MAX_SECONDS = 1_000_000
"""The longest time limit: operating systems count the milliseconds of a wait in 32 bits."""

_GUARD = 5
"""Seconds of processor time above the time limit after which the system ends a child whose parent is gone."""


def ask_child(work: str, question: dict[str, Any], where: str, *, time_limit: float) -> dict[str, Any]:
    """Let a child process answer a question.

    Parameters
    ----------
    work : str
        `module:function` that takes the question and returns the answer; both are plain data.
    question : dict
        Must be JSON.
    where : str
        What is worked on, for messages.
    time_limit : float
        Seconds, start of the interpreter included.

    Raises
    ------
    SBMLError
        If the work raises an error of cascade, or the child dies or is not done in time.
    ValueSettingError
        If the time limit is not a number above 0, or is beyond `MAX_SECONDS`.
    """
    if isinstance(time_limit, bool) or not isinstance(time_limit, Real) or not 0 < time_limit <= MAX_SECONDS:
        raise ValueSettingError(
            f"time_limit is {repr(time_limit)[:40]}; give a finite number of seconds above 0, up to {MAX_SECONDS}"
        )
    path = [str(each) for each in sys.path]
    code = (
        f"import sys; sys.path[:] = {path}; sys.dont_write_bytecode = True; from cascade._child import answer; answer()"
    )
    message = json.dumps({"work": work, "question": question, "seconds": time_limit}).encode()
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as child:
        try:
            reply, words = child.communicate(message, timeout=time_limit)
        except subprocess.TimeoutExpired:
            raise SBMLError(
                f"{where}: not read within {time_limit:g} s, so the process that read it was stopped; the file may be"
                " hostile; if you trust it, raise time_limit"
            ) from None
        finally:
            child.kill()
    return _answer(reply, words, child.returncode, where)


def _answer(reply: bytes, words: bytes, code: int, where: str) -> dict[str, Any]:
    try:
        found = json.loads(reply)
        kind, value = found["kind"], found["value"]
    except (ValueError, KeyError, TypeError):
        raise SBMLError(
            f"{where}: the process that read it ended by itself ({_end(code, words)}); the file may be hostile, damaged"
            " or far too large"
        ) from None
    if kind == "error":
        raise SBMLError(str(value))
    return dict(value)


def _end(code: int, words: bytes) -> str:
    lines = words.decode(errors="replace").strip().splitlines()
    if "MemoryError" in words.decode(errors="replace") or "bad_alloc" in words.decode(errors="replace"):
        return "out of memory"
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}: {lines[-1][:200] if lines else 'no message'}"


def answer() -> None:
    """Answer the one question that arrives on stdin; the child's side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # native code prints to stdout
    message = json.loads(sys.stdin.buffer.read())
    module, _, name = message["work"].partition(":")
    work = getattr(import_module(module), name)
    _limit(message["seconds"])
    try:
        reply = {"kind": "answer", "value": work(message["question"])}
    except CascadeError as error:
        reply = {"kind": "error", "value": str(error)}
    text = json.dumps(reply)
    if len(text) > MAX_ANSWER:
        text = json.dumps({"kind": "error", "value": f"the model written out has {len(text)} characters: too large"})
    sink.write(text.encode())
    sink.flush()
    # nothing of a document that may be damaged is worth tidying up
    os._exit(0)


def _limit(seconds: float) -> None:
    """Limit memory, processor time and files of this process, where the platform can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    ceiling = math.ceil(seconds) + _GUARD
    for name, limit in (("AS", MEMORY), ("CPU", ceiling), ("FSIZE", 0), ("CORE", 0)):
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # macOS refuses a limit of the address space
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))
