"""Runs one engine in a process of its own, under a clock: whatever a file does to it, the caller survives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MEMORY_SHARE = 0.8
"""Share of the memory of the machine that an engine may take."""

MAX_FILE = 2 << 30
"""Bytes of a file that an engine may write, be it noise on its way out."""

MODULES = {
    "roadrunner": "cascade.certify._roadrunner",
    "copasi": "cascade.certify._copasi",
    "scipy": "cascade.certify._scipy",
    "cascade": "cascade.certify._cascade",
}
"""Where each engine is run; every module has `run(ask) -> Answer`."""


@dataclass
class Answer:
    """What an engine found: rows x symbols, and how; `resolution` is what a variable can be known to."""

    values: NDArray[np.float64]
    version: str
    options: dict[str, Any] = field(default_factory=dict)
    resolution: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Outcome:
    """An answer, or the reason why there is none."""

    answer: Answer | None
    status: str
    seconds: float


def run_engine(engine: str, ask: Mapping[str, Any], time_limit: float, python: str | None = None) -> Outcome:
    """Run an engine and wait for it, but not longer than `time_limit` seconds."""
    with tempfile.TemporaryDirectory(prefix="cascade_certify_") as place:
        folder = Path(place)
        question = {**ask, "folder": place, "time_limit": time_limit}
        (folder / "ask.json").write_text(json.dumps(question), encoding="utf-8")
        begin = time.monotonic()
        words = _wait(_command(engine, folder, python), folder, time_limit, python)
        seconds = time.monotonic() - begin
        if words:
            return Outcome(None, words, seconds)
        try:
            said = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
            if said["error"]:
                return Outcome(None, str(said["error"]), seconds)
            resolution = folder / "resolution.npy"
            answer = Answer(
                values=np.load(folder / "values.npy", allow_pickle=False),
                version=str(said["version"]),
                options=said["options"],
                resolution=np.load(resolution, allow_pickle=False) if resolution.exists() else None,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            return Outcome(None, f"its answer cannot be read: {error}", seconds)
    shape = (int(ask["points"]), len(ask["names"]))
    if answer.values.shape != shape:
        return Outcome(None, f"gave {answer.values.shape} numbers, rows x symbols, instead of {shape}", seconds)
    return Outcome(answer, "ok", seconds)


def _command(engine: str, folder: Path, python: str | None) -> list[str]:
    if engine == "amici":  # its environment need not have this library
        return [python or sys.executable, "-I", str(Path(__file__).with_name("_amici.py")), str(folder)]
    code = f"import sys; sys.path[:] = {[str(path) for path in sys.path]}; from cascade.certify._child import serve; "
    return [sys.executable, "-c", f"{code}serve({engine!r}, sys.argv[1])", str(folder)]


def _wait(command: list[str], folder: Path, time_limit: float, python: str | None) -> str:
    """Run a command; return why there is no answer, or an empty text."""
    environment = dict(os.environ)
    if python:  # AMICI finds the compiler tools of its own environment by the path of programs
        environment["PATH"] = f"{Path(python).parent}{os.pathsep}{environment.get('PATH', '')}"
    with (folder / "said.txt").open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=time_limit)
        except subprocess.TimeoutExpired:
            return f"stopped after {time_limit:g} s; allow more with time_limit"
        finally:
            _end(process)
    if code == 0 or (folder / "answer.json").exists():
        return ""
    lines = (folder / "said.txt").read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"its process ended by {how}" + (f": {lines[-1][:300]}" if lines else "")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and what it has started, such as a compiler."""
    if process.poll() is None or hasattr(os, "killpg"):
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()


def serve(engine: str, place: str) -> None:
    """Work in the child process: read the question of a folder, write the answer into it."""
    folder = Path(place)
    ask = json.loads((folder / "ask.json").read_text(encoding="utf-8"))
    _limit(float(ask["time_limit"]))
    sys.setrecursionlimit(20_000)  # formulas may be nested 500 deep
    said: dict[str, Any] = {"error": "", "version": "", "options": {}}
    try:
        answer: Answer = import_module(MODULES[engine]).run(ask)
        np.save(folder / "values.npy", answer.values, allow_pickle=False)
        if answer.resolution is not None:
            np.save(folder / "resolution.npy", answer.resolution, allow_pickle=False)
        said |= {"version": answer.version, "options": answer.options}
    except MemoryError:
        said["error"] = "needs more memory than this machine can give"
    except Exception as error:
        said["error"] = " ".join(str(error).split())[:500] or type(error).__name__
    (folder / "answer.json").write_text(json.dumps(said), encoding="utf-8")


def _limit(seconds: float) -> None:
    """Limit memory, files and, should the parent be gone, time; only where the platform can."""
    try:
        import resource

        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limits = {"AS": int(MEMORY_SHARE * whole), "FSIZE": MAX_FILE, "CPU": int(4 * seconds) + 60}
        for name, limit in limits.items():
            hardest = resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1]
            if hardest == resource.RLIM_INFINITY or hardest > limit:
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    except (ImportError, ValueError, OSError):
        return
