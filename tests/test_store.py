"""A study in a store: readable at any time, and the same bytes however it was killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cohorts import FEW, cohort, cohort_model

from cascade import _store
from cascade._chunks import Chunks
from cascade.errors import AnalysisError
from cascade.evaluate import evaluate
from cascade.specs import Model, Solver

Make = Callable[..., Model]
MODULE = sys.modules["cascade.evaluate"]
"""The file; the package shows the verb of that name."""

YEARS: dict[str, Any] = {"years": 20, "points": 51}


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a store, hidden ones and those beside it too."""
    return {
        str(path.relative_to(folder.parent)): path.read_bytes()
        for path in sorted(folder.parent.rglob("*"))
        if path.is_file() and path.suffix not in (".xml", ".py")
    }


def read(path: Path) -> xr.Dataset:
    with xr.open_zarr(path, consolidated=False) as found:
        return found.load()


def stop_after(monkeypatch: pytest.MonkeyPatch, chunks: int) -> None:
    """Interrupt the study when it has written some chunks."""
    write, written = _store.Store.write, []
    monkeypatch.setattr(MODULE, "HOLD", 0.0)

    def counted(self: Any, *given: Any) -> None:
        if len(written) == chunks:
            raise KeyboardInterrupt
        written.append(1)
        write(self, *given)

    monkeypatch.setattr(_store.Store, "write", counted)


def test_a_store_holds_the_result_and_stays_readable_when_interrupted(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = cohort_model(make_model), tmp_path / "deep" / "runs.zarr"
    stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, cohort(20), FEW, series=["x"], store=path, chunk=6, workers=1, **YEARS)
    part = read(path)
    assert list(part["status"].values == "not run") == [False] * 12 + [True] * 8
    assert np.isnan(part["final:x"].values[12:]).all() and np.isfinite(part["final:x"].values[:5]).all()
    assert set(part["reason_p_first_site"].values[12:].ravel()) == {"not run"}
    assert (part["rung"].values[12:] == -1).all()
    monkeypatch.undo()
    found = evaluate(model, cohort(20), FEW, series=["x"], store=path, chunk=6, resume=True, **YEARS)
    assert found.identical(evaluate(model, cohort(20), FEW, series=["x"], **YEARS))
    whole = read(path)
    xr.testing.assert_equal(whole[list(found.data_vars)], found)
    assert whole["p_first_site"].attrs == found["p_first_site"].attrs


def test_runs_in_the_store_are_not_made_again(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path = cohort_model(make_model), tmp_path / "runs.zarr"
    found = evaluate(model, cohort(20), FEW, store=path, chunk=6, **YEARS)
    before = files(path)
    monkeypatch.setattr(MODULE, "run_all", lambda *given, **more: pytest.fail("it runs"))
    assert evaluate(model, cohort(20), FEW, store=path, chunk=6, resume=True, **YEARS).identical(found)
    assert files(path) == before


@pytest.mark.parametrize("done", [0, 2, 4])
def test_a_longer_design_reuses_the_runs_of_the_shorter(
    done: int, make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, path, fresh = cohort_model(make_model), tmp_path / "a" / "runs.zarr", tmp_path / "b" / "runs.zarr"
    short = {key: column[:20] for key, column in cohort(33).items()}
    stop_after(monkeypatch, done)
    if done < 4:
        with pytest.raises(KeyboardInterrupt):
            evaluate(model, short, FEW, store=path, chunk=6, workers=1, **YEARS)
    else:
        evaluate(model, short, FEW, store=path, chunk=6, workers=1, **YEARS)
    monkeypatch.undo()
    made = []
    run_all = MODULE.run_all
    monkeypatch.setattr(MODULE, "run_all", lambda *g, todo, **m: made.extend(todo) or run_all(*g, todo=todo, **m))
    found = evaluate(model, cohort(33), FEW, store=path, chunk=6, resume=True, **YEARS)
    assert made == list(range(min(20, 6 * done), 33))
    monkeypatch.undo()
    assert found.identical(evaluate(model, cohort(33), FEW, store=fresh, chunk=6, **YEARS))
    assert files(path) == files(fresh)


def test_another_study_is_refused(make_model: Make, tmp_path: Path) -> None:
    model, path = cohort_model(make_model), tmp_path / "runs.zarr"
    same: dict[str, Any] = {"values": cohort(8), "readouts": FEW, "store": path, "chunk": 4, "resume": True, **YEARS}
    evaluate(model, **same)
    before = files(path)
    shifted = {key: column.assign_coords(run=column["run"] + 1) for key, column in cohort(8).items()}
    cases = [
        ("exists; continue it with resume=True, or give another folder", {"resume": False}),
        ("points is 51 there and 52 here", {"points": 52}),
        ("days is", {"years": 19}),
        ("chunk is 4 there and 5 here", {"chunk": 5}),
        ("readouts is", {"readouts": FEW[:2]}),
        ("series is", {"series": ["x"]}),
        ("relative_tolerance is", {"solver": Solver(relative_tolerance=1e-5)}),
        ("the values of its 8 runs differ", {"values": cohort(8, seed=1)}),
        ("the values of its 8 runs differ from those given first", {"values": cohort(9, seed=1)}),
        ("runs there and", {"values": cohort(7)}),
        ("the coordinates run differ", {"values": shifted}),
    ]
    for text, change in cases:
        with pytest.raises(AnalysisError, match=text):
            evaluate(model, **same | change)
    other = make_model("x = 1; x' = -k*x; k = 1; endpoints__h_cumulative := x; y = 1")
    with pytest.raises(AnalysisError, match="model_sha256 is"):
        evaluate(other, **same | {"values": {"k": cohort(8)["k"]}, "readouts": ["p_overt"]})
    assert files(path) == before


def test_a_folder_of_something_else_is_left_alone(make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text.partial").write_text("mine")
    with pytest.raises(AnalysisError, match="is no store of a study"):
        evaluate(cohort_model(make_model), cohort(3), FEW, store=tmp_path / "notes", resume=True, **YEARS)
    assert (tmp_path / "notes" / "text.partial").read_text() == "mine"
    with pytest.raises(AnalysisError, match="a store is for many runs"):
        evaluate(cohort_model(make_model), {"k": 1e-4}, FEW, store=tmp_path / "one", **YEARS)


def test_leftovers_of_a_killed_process_are_removed(make_model: Make, tmp_path: Path) -> None:
    model, path = cohort_model(make_model), tmp_path / "runs.zarr"
    evaluate(model, cohort(8), FEW, store=path, chunk=4, **YEARS)
    before = files(path)
    (path / "status" / f"0.{'0123456789abcdef' * 2}.partial").write_bytes(b"half")
    for beside in (".runs.zarr.new", ".runs.zarr.old"):
        (tmp_path / beside).mkdir()
        (tmp_path / beside / ".zgroup").write_text("{}")
    evaluate(model, cohort(8), FEW, store=path, chunk=4, resume=True, **YEARS)
    assert files(path) == before
    path.rename(tmp_path / ".runs.zarr.old")
    evaluate(model, cohort(8), FEW, store=path, chunk=4, resume=True, **YEARS)
    assert files(path) == before


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_two_processes_do_not_share_a_store(make_model: Make, tmp_path: Path) -> None:
    model, path = cohort_model(make_model), tmp_path / "runs.zarr"
    evaluate(model, cohort(8), FEW, store=path, chunk=4, **YEARS)
    with _store._locked(path), pytest.raises(AnalysisError, match="another process works on"):
        evaluate(model, cohort(8), FEW, store=path, chunk=4, resume=True, **YEARS)


@pytest.mark.parametrize("shape", [(), (1,), (10,), (64,), (3, 4), (2, 3, 5), (4, 1, 7)])
@pytest.mark.parametrize("chunk", [1, 2, 4, 7, 64])
def test_chunks_are_ranges_that_cover_all_runs_once(shape: tuple[int, ...], chunk: int) -> None:
    chunks = Chunks(shape, chunk)
    runs = int(np.prod(shape, dtype=int))
    number = np.arange(runs).reshape(shape)
    owners = [chunks.of(index) for index in range(runs)]
    for owner in set(owners):
        inside = number[chunks.region(owner)]
        assert inside.shape == chunks.shape_of(owner)
        assert (
            list(inside.ravel())
            == list(range(runs))[chunks.rows(owner)]
            == [i for i in range(runs) if owners[i] == owner]
        )
        assert inside.size <= chunk


def test_values_of_several_dimensions_have_a_store(make_model: Make, tmp_path: Path) -> None:
    model, path = cohort_model(make_model), tmp_path / "runs.zarr"
    values = {**cohort(4), "day": xr.DataArray([300.0, 400.0, 500.0], dims="arm", coords={"arm": ["a", "bb", "c"]})}
    found = evaluate(model, values, FEW, store=path, chunk=2, **YEARS)
    assert found.identical(evaluate(model, values, FEW, **YEARS))
    xr.testing.assert_equal(read(path)[list(found.data_vars)], found)
    with pytest.raises(AnalysisError, match="only more runs along one dimension"):
        more = {**values, **cohort(5)} | {"day": values["day"]}
        evaluate(model, more, FEW, store=path, chunk=2, resume=True, **YEARS)


STUDY = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from cohorts import FEW, cohort
from cascade.evaluate import evaluate
from cascade.specs import Model
flat = Path(sys.argv[1]).read_text()
ids = {{name: name for name in {ids!r}}}
model = Model(name="m", flat=flat, parameters=(), ids=ids)
import cascade._store, zarr, xarray
print("begin", flush=True)
begin = time.monotonic()
options = dict(chunk=5, resume=True, workers={workers}, years=20, points=51)
evaluate(model, cohort(int(sys.argv[3])), FEW, store=sys.argv[2], **options)
print(time.monotonic() - begin, flush=True)
"""


def command(folder: Path, model: Model, store: Path, runs: int, workers: int = 1) -> list[str]:
    store.parent.mkdir(exist_ok=True)
    (folder / "model.xml").write_text(model.flat)
    (folder / "study.py").write_text(STUDY.format(ids=list(model.ids), workers=workers))
    tests = str(Path(__file__).parent)
    return [sys.executable, str(folder / "study.py"), str(folder / "model.xml"), str(store), str(runs), tests]


def start(given: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(given, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None and process.stdout.readline() == "begin\n"
    return process


def finish(process: subprocess.Popen[str]) -> float:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return float(out)


@pytest.mark.slow
def test_a_study_killed_at_random_moments_ends_with_the_same_bytes(make_model: Make, tmp_path: Path) -> None:
    model, runs = cohort_model(make_model), 300
    whole = tmp_path / "whole" / "runs.zarr"
    seconds = finish(start(command(tmp_path, model, whole, runs)))
    moments = random.Random(20261125)
    unfinished = 0
    for number in range(5):
        path = tmp_path / f"killed_{number}" / "runs.zarr"
        given = command(tmp_path, model, path, runs, workers=1 + number % 2)
        process = start(given)
        time.sleep(moments.uniform(0, seconds))
        process.kill()
        process.communicate()
        if path.exists():
            unfinished += bool((read(path)["status"] == "not run").any())
        else:
            unfinished += 1
        finish(start(given))
        assert files(path) == files(whole), number
    assert unfinished >= 3


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_study_killed_and_one_interrupted_go_on(make_model: Make, tmp_path: Path) -> None:
    model, runs = cohort_model(make_model), 120
    whole, path = tmp_path / "whole" / "runs.zarr", tmp_path / "killed" / "runs.zarr"
    finish(start(command(tmp_path, model, whole, runs)))
    given = command(tmp_path, model, path, runs)
    for signal_sent in (signal.SIGKILL, signal.SIGTERM):
        process = start(given)
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal_sent)
        process.communicate(timeout=20)
        read(path)
    finish(start(given))
    assert files(path) == files(whole)
