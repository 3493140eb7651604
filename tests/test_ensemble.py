"""Many runs: the same numbers wherever they are made, a clock on every run, and nothing lost when a worker goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from cascade import _workers, ensemble
from cascade.errors import SimulationError, ValueSettingError
from cascade.simulate import simulate
from cascade.specs import Model, Solver

Make = Callable[..., Model]

SMALL = (
    "compartment c = 1; species S in c, T in c; S = a*3; T = 0; a = 2; S -> T; c*k*S; k = 0.4; T -> ; c*f*T; f = 0.1;"
    " E: at time >= 4, t0=false: f = 10*f; D: at time >= 0, t0=false: S = S + a"
)
SLOW = "x = 1; x' = -1e6*s*(x - sin(1e5*time)) - k*x; s = 0; k = 0.1"
"""With s = 1 a run takes minutes; with s = 0 a millisecond."""

PATIENT = Solver(maximum_steps=10**8, time_limit=1.5)


def sweep(*numbers: float) -> xr.DataArray:
    return xr.DataArray(list(numbers), dims="sample")


def test_one_and_two_workers_agree_to_the_last_bit(make_model: Make) -> None:
    model = make_model(SMALL)
    values = {"k": sweep(*np.linspace(0.1, 2, 23)), "a": xr.DataArray([1.0, 5.0], dims="dose")}
    one = simulate(model, days=10, values=values, workers=1)
    two = simulate(model, days=10, values=values, workers=2)
    assert one.identical(two)
    backwards = {name: array.isel({array.dims[0]: slice(None, None, -1)}) for name, array in values.items()}
    other = simulate(model, days=10, values=backwards, workers=1)
    assert other.isel(sample=slice(None, None, -1), dose=slice(None, None, -1)).equals(one)


def test_long_work_moves_to_worker_processes(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(SMALL)
    values = {"k": sweep(*np.linspace(0.1, 2, 9))}
    here = simulate(model, days=10, values=values, workers=1)
    monkeypatch.setattr(ensemble, "PATIENCE", -100.0)
    monkeypatch.setattr(ensemble, "processors", lambda: 2)
    started = count_workers(monkeypatch)
    assert simulate(model, days=10, values=values).identical(here)
    assert len(started) == 2


def count_workers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    started: list[Any] = []
    start = _workers.start_worker

    def counted(*arguments: Any) -> Any:
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(_workers, "start_worker", counted)
    return started


def test_small_jobs_start_no_process(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    started = count_workers(monkeypatch)
    simulate(make_model(SMALL), days=10, values={"k": sweep(0.1, 0.2)})
    assert started == []


@pytest.mark.parametrize("workers", [None, 2])
def test_a_run_that_takes_too_long_is_stopped_and_the_others_are_kept(workers: int | None, make_model: Make) -> None:
    model = make_model(SLOW)
    values = {"s": sweep(0, 1, 0, 0), "k": sweep(0.1, 0.1, 0.2, 0.3)}
    found = simulate(model, days=10, points=11, values=values, solver=PATIENT, workers=workers)
    assert list(found.status.values[[0, 2, 3]]) == ["ok"] * 3
    assert str(found.status.values[1]).startswith("time limit: stopped after 1.5 s")
    assert list(found.rung.values) == [0, -1, 0, 0]
    assert np.isnan(found.x.values[1]).all()
    alone = simulate(model, days=10, points=11, values={"k": 0.3})
    np.testing.assert_array_equal(found.x.values[3], alone.x.values)


@pytest.mark.parametrize(("deaths", "lost"), [(1, 0), (2, 1)])
def test_a_worker_that_dies_costs_at_most_its_run(
    deaths: int, lost: int, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, killed = _workers._Worker.send, []

    def deadly(self: Any, message: Any) -> None:
        if isinstance(message, list) and 0.66 in message and self.held[0] == 1 and len(killed) < deaths:
            killed.append(self.process.pid)
            self.process.kill()
            self.process.wait()
        send(self, message)

    monkeypatch.setattr(_workers._Worker, "send", deadly)
    monkeypatch.setattr(_workers, "AHEAD", 1)
    values = {"k": sweep(0.1, 0.66, 0.3, 0.4, 0.5)}
    found = simulate(make_model(SMALL), days=10, values=values, workers=2)
    assert len(killed) == deaths
    status = [str(text) for text in found.status.values]
    assert status.count("ok") == 5 - lost
    assert lost == 0 or status[1].startswith("worker died: exit code -9")
    monkeypatch.undo()
    whole = simulate(make_model(SMALL), days=10, values=values)
    kept = found.status.values == "ok"
    np.testing.assert_array_equal(found.S.values[kept], whole.S.values[kept])


def test_workers_that_keep_dying_are_an_error(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_workers, "DEATHS", 0)
    send = _workers._Worker.send

    def deadly(self: Any, message: Any) -> None:
        send(self, message)
        if isinstance(message, list):
            self.process.kill()

    monkeypatch.setattr(_workers._Worker, "send", deadly)
    with pytest.raises(SimulationError, match="worker processes end by themselves"):
        simulate(make_model(SMALL), days=10, values={"k": sweep(0.1, 0.2)}, workers=2)


def test_a_model_that_workers_cannot_load_is_an_error(make_model: Make) -> None:
    model = make_model("x = 1; x' = -k*x; k = 1")
    broken = Model(
        name="broken",
        flat=model.flat.replace('<parameter id="k" value="1" constant="true"/>', '<parameter id="k" constant="true"/>'),
        parameters=(),
        ids=model.ids,
    )
    for workers in (1, 2):
        with pytest.raises(SimulationError, match="cannot load the model"):
            simulate(broken, days=1, workers=workers)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True, 10**6])
def test_senseless_numbers_of_workers_are_refused(workers: Any, make_model: Make) -> None:
    with pytest.raises(ValueSettingError, match="workers is"):
        simulate(make_model(SMALL), days=1, workers=workers)


def test_solver_noise_of_workers_is_not_shown(make_model: Make, capfd: pytest.CaptureFixture[str]) -> None:
    model = make_model("x = 1; x' = k*x^2; k = 1")
    found = simulate(model, days=10, values={"k": sweep(1.0, 2.0, 0.01)}, workers=2)
    assert [str(text).split(":")[0].split(" at")[0] for text in found.status.values] == ["no convergence"] * 2 + ["ok"]
    assert capfd.readouterr() == ("", "")


SCRIPT = """
import signal
import sys
import numpy as np, xarray as xr
from cascade.simulate import simulate
from cascade.specs import Model, Solver
model = Model(name="m", flat=open(sys.argv[1]).read(), parameters=(), ids={{"k": "k", "s": "s", "x": "x"}})
# A shell that starts the tests in the background has them ignore the interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("begin", flush=True)
found = simulate(model, days=10, points=11, workers=2, solver=Solver(maximum_steps=10**8, time_limit={limit}),
                 values={{"s": {s}, "k": xr.DataArray(np.linspace(0.1, 0.2, 6), dims="sample")}})
print(int((found.status == "ok").sum()))
"""


def script(folder: Path, model: Model, limit: float, s: float) -> list[str]:
    (folder / "model.xml").write_text(model.flat)
    (folder / "script.py").write_text(SCRIPT.format(limit=limit, s=s))
    return [sys.executable, str(folder / "script.py"), str(folder / "model.xml")]


def test_a_plain_script_needs_no_main_guard(make_model: Make, tmp_path: Path) -> None:
    command = script(tmp_path, make_model(SLOW), limit=60, s=0)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert (done.stdout, done.stderr) == ("begin\n6\n", "")


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_interrupting_ends_at_once_and_leaves_no_process(make_model: Make, tmp_path: Path) -> None:
    command = script(tmp_path, make_model(SLOW), limit=600, s=1)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(4)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert errors.count("Traceback") == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_compiled_models_are_kept_for_the_next_call(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []

    class Counted(ensemble.Engine):
        def __init__(self, sbml: str) -> None:
            compiled.append(sbml)
            super().__init__(sbml)

    monkeypatch.setattr(ensemble, "Engine", Counted)
    model = make_model(SMALL + "; x_counted = 1; x_counted' = -0.1*x_counted")
    first = simulate(model, days=10)
    for _ in range(5):
        assert simulate(model, days=10).identical(first)
    assert len(compiled) == 1
    assert len(ensemble._local.engines) <= ensemble.KEPT


def test_threads_keep_their_numbers_and_the_streams(make_model: Make, capfd: pytest.CaptureFixture[str]) -> None:
    model = make_model("x = 1; x' = k*x^2 - x; k = 0")
    values = {"k": sweep(0, 5, 0.1, 7, 0.2)}
    expected = simulate(model, days=10, values=values)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: simulate(model, days=10, values=values), range(8)))
    assert all(one.identical(expected) for one in found)
    print("still here", flush=True)
    assert capfd.readouterr() == ("still here\n", "")


def test_endless_events_end(make_model: Make) -> None:
    flip = "E1: at (time >= 1 && a <= 0): a = 1; E2: at (time >= 1 && a >= 1): a = 0"
    found = simulate(make_model(f"a = 0; x = 0; x' = 1; {flip}"), days=3)
    assert str(found.status.item()).startswith("endless events")
