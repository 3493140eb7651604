"""Faults of the machine: a damaged store, a full disk, a clock that jumps, Ctrl-C. Nothing computed is lost."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import FEW, cohort, cohort_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store import YEARS, command, files, finish, start

import cascade
from cascade import _files
from cascade.errors import AnalysisError, CascadeWarning, FileError
from cascade.evaluate import evaluate
from cascade.specs import Model

Make = Callable[..., Model]
RUNS, CHUNK = 20, 6
KINDS = ("flip", "cut", "lose", "zero")


@pytest.fixture(scope="module")
def study(make_model: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path, dict[str, bytes]]:
    """A finished study: model, store and its bytes."""
    model = cohort_model(make_model)
    path = tmp_path_factory.mktemp("whole") / "runs.zarr"
    evaluate(model, cohort(RUNS), FEW, store=path, chunk=CHUNK, workers=1, **YEARS)
    return model, path, files(path)


def resumed(model: Model, path: Path) -> Any:
    return evaluate(model, cohort(RUNS), FEW, store=path, chunk=CHUNK, workers=1, resume=True, **YEARS)


def data_files(path: Path) -> list[Path]:
    """Return the chunks of runs, not the coordinates and not what describes the arrays."""
    names = ["status", "rung", *FEW, *(f"reason_{name}" for name in FEW)]
    return [file for name in names for file in sorted((path / name).iterdir()) if not file.name.startswith(".")]


def restored(path: Path, content: dict[str, bytes]) -> None:
    for name, data in content.items():
        (path.parent / name).write_bytes(data)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    choice=st.integers(0, 10_000), place=st.integers(0, 10_000), kind=st.sampled_from(["flip", "cut", "lose", "zero"])
)
def test_a_damaged_chunk_is_noticed_and_made_again(
    choice: int, place: int, kind: str, study: tuple[Model, Path, dict[str, bytes]]
) -> None:
    model, path, content = study
    restored(path, content)
    chunks = data_files(path)
    file = chunks[choice % len(chunks)]
    data = bytearray(file.read_bytes())
    if kind == "flip":
        data[place % len(data)] ^= 1 << (place % 8)
    elif kind == "cut":
        del data[place % len(data) :]
    elif kind == "zero":
        data[:] = bytes(len(data))
    file.unlink() if kind == "lose" else file.write_bytes(bytes(data))
    import warnings

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = resumed(model, path)
    assert found.identical(evaluate(model, cohort(RUNS), FEW, workers=1, **YEARS))
    # A bit of the header of a frame may say the same in another way; then nothing is damaged.
    if caught:
        assert [w.category for w in caught] == [CascadeWarning]
        assert "1 of 4 chunks of runs are damaged" in str(caught[0].message)
        assert files(path) == content
    else:
        assert kind == "flip"
        restored(path, content)


@pytest.mark.parametrize("name", [".zgroup", ".zattrs", "status/.zarray", "k/0", "organ/0", "rung/.zattrs"])
def test_a_store_that_does_not_say_what_it_holds_is_refused(
    name: str, study: tuple[Model, Path, dict[str, bytes]]
) -> None:
    model, path, content = study
    restored(path, content)
    if not (path / name).exists():
        name = "run/0"
    (path / name).write_bytes(b"{ not json")
    with pytest.raises(AnalysisError, match=r"is damaged and cannot be continued|holds another study|is no store"):
        resumed(model, path)
    restored(path, content)
    resumed(model, path)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Let no file grow above some bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_disk_that_is_full_loses_nothing(make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, path = cohort_model(make_model), tmp_path / "runs.zarr"
    module, store = sys.modules["cascade.evaluate"], sys.modules["cascade._store"]
    monkeypatch.setattr(module, "HOLD", 0.0)
    write, written = store.Store.write, []

    def full_later(self: Any, *given: Any) -> None:
        written.append(1)
        with small_files(40 if len(written) > 2 else 10**6):
            write(self, *given)

    monkeypatch.setattr(store.Store, "write", full_later)
    with pytest.raises(FileError, match=r"cannot write the runs to .*runs.zarr: File too large; .*"):
        evaluate(model, cohort(RUNS), FEW, store=path, chunk=CHUNK, workers=1, **YEARS)
    monkeypatch.undo()
    made: list[int] = []
    run_all = module.run_all
    monkeypatch.setattr(module, "run_all", lambda *g, todo, **m: made.extend(todo) or run_all(*g, todo=todo, **m))
    found = resumed(model, path)
    assert made == list(range(2 * CHUNK, RUNS))
    assert found.identical(evaluate(model, cohort(RUNS), FEW, workers=1, **YEARS))


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("kind", ["text", "dataset", "table", "figure"])
def test_a_file_is_written_whole_or_the_old_one_stays(kind: str, tmp_path: Path) -> None:
    import pandas as pd
    import xarray as xr

    path = tmp_path / {"text": "a.xml", "dataset": "a.nc", "table": "a.csv", "figure": "a.png"}[kind]
    path.write_bytes(b"old")
    numbers = np.random.default_rng(1).random(100_000)

    def write() -> None:
        if kind == "text":
            _files.write_text(path, "x" * 100_000)
        elif kind == "dataset":
            _files.write_dataset(path, xr.Dataset({"a": ("x", numbers)}))
        elif kind == "table":
            _files.write_table(path, pd.DataFrame({"a": numbers}))
        else:
            from cascade._style import embed, new_figure

            embed(new_figure(4, 3), path)

    with small_files(1000), pytest.raises(FileError, match=rf"cannot write {re.escape(str(path))}: .*; \w+"):
        write()
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == [path.name]
    write()
    assert path.stat().st_size > 1000


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, reason in (
        (tmp_path / "none" / "a.xml", "No such file or directory"),
        (tmp_path / "file" / "a.xml", "Not a directory"),
        (tmp_path, "Is a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/proc/none.xml"), "No such file|Permission|not permitted"),
        (Path("/dev/full"), "No space left on device; free some space"),
    ):
        with pytest.raises(FileError, match=reason):
            _files.write_text(path, "text" * 10_000)
    with pytest.raises(FileError, match="cannot make the folder"):
        _files.make_folder(tmp_path / "file" / "folder")


def test_the_clock_may_jump(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Durations come from a clock that only goes forward; nothing reads the clock on the wall."""
    jumps = random.Random(1)
    monkeypatch.setattr(time, "time", lambda: jumps.uniform(-1e9, 4e9))
    monkeypatch.setattr(time, "time_ns", lambda: jumps.randrange(10**19))
    model = cohort_model(make_model)
    found = [evaluate(model, cohort(RUNS), FEW, workers=workers, **YEARS) for workers in (1, 2)]
    assert found[0].identical(found[1])
    for file in Path(cascade.__file__).parent.rglob("*.py"):
        assert not re.search(r"\btime\.time\(|datetime\.now\(|date\.today\(", file.read_text()), file.name


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_at_random_moments_loses_no_run_that_was_stored(make_model: Make, tmp_path: Path) -> None:
    model, runs = cohort_model(make_model), 300
    whole = tmp_path / "whole" / "runs.zarr"
    seconds = finish(start(command(tmp_path, model, whole, runs)))
    moments = random.Random(20261126)
    for number in range(3):
        path = tmp_path / f"stopped_{number}" / "runs.zarr"
        study = command(tmp_path, model, path, runs, workers=1 + number % 2)
        process = start(study)
        time.sleep(moments.uniform(0, seconds))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode in (0, 1, -signal.SIGINT)
        finish(start(study))
        assert files(path) == files(whole), number


def test_an_interrupted_command_says_so_without_a_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "cascade.cli", "rank", "breast_lite", "--quick", "--out", "rank"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell in the background ignores it
    )
    while not (tmp_path / "rank" / "runs" / "untreated.zarr").exists():
        assert process.poll() is None
        time.sleep(0.05)
    for _ in range(20):  # as a person does: Python drops an interruption that meets a finalizer
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            _, errors = process.communicate(timeout=10)
            break
    assert process.returncode == 130 and "Traceback" not in errors, errors
    kept = f"kept in {Path('rank') / 'runs'}, up to the last full block."
    assert f"{kept} To go on: cascade rank breast_lite --quick --out rank --resume" in errors
