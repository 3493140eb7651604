"""A process in which bad input is tried: whatever happens there, the test goes on and tells what it was."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any

MEMORY = 8 << 30
"""Bytes of address space that the process may take."""

START = 120.0
"""Seconds that it may take to start."""


@dataclass(frozen=True)
class Outcome:
    """What came of one piece of work.

    `kind` is `done`, `refused` (an error of cascade's tree), `raw` (any other), `died` or `hung`; `name` the class of
    the error; `text` its message or traceback, or the last words of the process; `value` what was returned.
    """

    kind: str
    name: str = ""
    text: str = ""
    value: Any = None


class Child:
    """One process, kept from one piece of work to the next, and started anew when it has died or hung."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.errors: IO[bytes] | None = None

    def ask(self, work: str, argument: Any, seconds: float) -> Outcome:
        """Let the process do `module:function` with an argument, for some seconds at most."""
        process = self._alive()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            pickle.dump((work, argument), process.stdin)
            process.stdin.flush()
        found = self._answer(seconds)
        if found.kind in ("died", "hung"):
            self.close()
        return found

    def close(self) -> None:
        """End the process."""
        if self.process is None or self.errors is None:
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        self.process = self.errors = None

    def _alive(self) -> subprocess.Popen[bytes]:
        if self.process is None or self.process.poll() is not None:
            self.close()
            self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
            path = [str(each) for each in sys.path]
            code = f"import sys; sys.path[:] = {path}; from bad_input.child import serve; serve()"
            pipe = subprocess.PIPE
            command = [sys.executable, "-X", "faulthandler", "-c", code]
            self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.errors)
            started = self._answer(START)
            assert started.kind == "done", started
        return self.process

    def _answer(self, seconds: float) -> Outcome:
        assert self.process is not None and self.process.stdout is not None and self.errors is not None
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            if not ready.select(seconds):
                self.process.send_signal(signal.SIGABRT)  # faulthandler says where it is
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(10)
                return Outcome("hung", text=f"no answer within {seconds:g} s\n{self._words()}")
        try:
            found: Outcome = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            return Outcome("died", text=f"exit code {self.process.wait()}\n{self._words()}")
        return found

    def _words(self) -> str:
        assert self.errors is not None
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")[-4000:]


def serve() -> None:
    """Work in the process: (work, argument) arrives on stdin, its outcome leaves on what was stdout."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # native code prints
    with suppress(ImportError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    import cascade
    import cascade.compose  # noqa: F401

    pickle.dump(Outcome("done"), sink)
    sink.flush()
    while True:
        try:
            work, argument = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_outcome(work, argument), sink)
        sink.flush()


def _outcome(work: str, argument: Any) -> Outcome:
    from cascade.errors import CascadeError

    module, _, name = work.partition(":")
    try:
        function: Callable[[Any], Any] = getattr(import_module(module), name)
        return Outcome("done", value=function(argument))
    except CascadeError as error:
        return Outcome("refused", type(error).__name__, str(error))
    except BaseException as error:
        return Outcome("raw", type(error).__name__, f"{error}\n{''.join(traceback.format_exception(error)[-8:])}")


def command(arguments: list[str]) -> tuple[int, str, str]:
    """Run the command in this process; return its exit code, stdout and stderr."""
    from cascade.cli import main

    out, err = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["cascade", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code: int | str | None = 0
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    return (code if isinstance(code, int) else 1), out.getvalue(), err.getvalue()
