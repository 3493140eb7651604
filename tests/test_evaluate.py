"""Runs reduced as they end: the same bits as all at once, wherever they are made, in little memory."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cohorts import FEW, READOUTS, cohort, cohort_model

from cascade import _executors, _reduce, _workers, ensemble
from cascade._starts import with_starts
from cascade.engine import Job
from cascade.errors import AnalysisError, CascadeError, SimulationError, UnknownNameError, ValueSettingError
from cascade.evaluate import evaluate
from cascade.readouts import readout, variables_for
from cascade.sensitivity.design import Design
from cascade.simulate import simulate
from cascade.specs import Model, Parameter, Solver

Make = Callable[..., Model]
MODULE = sys.modules["cascade.evaluate"]
"""The file; the package shows the verb of that name."""

YEARS = {"years": 20, "points": 101}


def at_once(model: Model, values: Any, **options: Any) -> dict[str, xr.DataArray]:
    record = list(dict.fromkeys(flat for name in READOUTS for flat in variables_for(name, model)))
    runs = simulate(model, values=values, record=record, **options)
    return {name: readout(runs, name) for name in READOUTS}


def check_same(found: xr.Dataset, expected: dict[str, xr.DataArray]) -> None:
    for name, value in expected.items():
        own = {dim: value[dim].values for dim in value.dims if dim in found.dims and dim in found.coords}
        np.testing.assert_array_equal(found[name].sel(own).values, value.values, err_msg=name)
        assert found[name].attrs == value.attrs
        assert (found[f"reason_{name}"].sel(own).values == value["reason"].values).all()


def test_readouts_are_those_of_a_simulation_to_the_last_bit(make_model: Make) -> None:
    model, values = cohort_model(make_model), cohort(40)
    found = evaluate(model, values, READOUTS, series=["x"], **YEARS)
    expected = at_once(model, values, **YEARS)
    assert expected["p_first_site"].sizes["organ"] == 9
    check_same(found, expected)
    runs = simulate(model, values=values, record=["x"], **YEARS)
    np.testing.assert_array_equal(found["x"].values, runs["x"].values)
    assert found["x"].dims == ("run", "time")
    assert list(found["status"].values) == list(runs["status"].values)
    assert list(found["rung"].values) == list(runs["rung"].values)
    assert {str(text).split(":")[0] for text in found["reason_p_overt_5y"].values} == {
        "ok",
        "run failed",
        "not operated within the horizon",
    }
    assert found.attrs["values_sha256"] == runs.attrs["values_sha256"]


def test_dimensions_of_the_values_carry_through(make_model: Make) -> None:
    model = cohort_model(make_model)
    dose = xr.DataArray([0.5, 1.0, 2.0], dims="dose", coords={"dose": ["low", "mid", "high"]})
    values = {**cohort(6), "k": cohort(6)["k"] * dose}
    found = evaluate(model, values, READOUTS, chunk=4, **YEARS)
    assert found["p_first_site"].dims == ("run", "dose", "organ")
    check_same(found, at_once(model, values, **YEARS))
    single = evaluate(model, {"z": 1e-3}, READOUTS, **YEARS)
    assert single["n_organs_involved"].dims == ()
    check_same(single, at_once(model, {"z": 1e-3}, **YEARS))


@pytest.fixture(scope="module")
def expected(make_model: Make) -> xr.Dataset:
    return evaluate(cohort_model(make_model), cohort(70), FEW, workers=1, **YEARS)


@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_and_chunks_change_no_bit(
    workers: int, chunk: int, make_model: Make, expected: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "HOLD", 0.0)
    model = cohort_model(make_model)
    options: dict[str, Any] = {"workers": workers, "chunk": chunk, "store": tmp_path / "runs.zarr"}
    assert evaluate(model, cohort(70), FEW, **options, **YEARS).identical(expected)


def test_a_run_has_its_numbers_whatever_runs_are_with_it(make_model: Make, expected: xr.Dataset) -> None:
    model = cohort_model(make_model)
    few = {key: column[[5, 12, 60]] for key, column in cohort(70).items()}  # the first fails, none is regional
    found = evaluate(model, few, FEW, **YEARS)
    xr.testing.assert_identical(found.drop_attrs(), expected.isel(run=[5, 12, 60]).drop_attrs())


def test_start_values_do_not_depend_on_the_block(make_model: Make) -> None:
    model = make_model("k = 1; y = 1; y' = 0; a = exp(k)/ln(1 + k) + k^2.3; b = tanh(a)*sin(k); y = b^0.7")
    table = np.random.default_rng(1).uniform(0.1, 0.8, (37, 1))
    _, whole = with_starts(model.flat, ("k",), table)
    single = np.vstack([with_starts(model.flat, ("k",), row[None])[1] for row in table])
    np.testing.assert_array_equal(whole, single)


def pools() -> list[Any]:
    spawn = multiprocessing.get_context("spawn")
    fork = multiprocessing.get_context("fork")
    return [
        lambda: ThreadPoolExecutor(2),
        lambda: ProcessPoolExecutor(2, mp_context=spawn),
        lambda: ProcessPoolExecutor(2, mp_context=fork),
    ]


@pytest.mark.parametrize("pool", pools(), ids=["threads", "spawned", "forked"])
def test_any_executor_makes_the_same_bits(pool: Any, make_model: Make, expected: xr.Dataset) -> None:
    model = cohort_model(make_model)
    with pool() as executor:
        assert evaluate(model, cohort(70), FEW, executor=executor, **YEARS).identical(expected)
        runs = simulate(model, values=cohort(9), executor=executor, **YEARS)
    assert runs.identical(simulate(model, values=cohort(9), workers=1, **YEARS))


class Unreliable(Executor):
    """An executor of which chosen tasks end with an error."""

    def __init__(self, bad: Callable[[int, int], Exception | None]) -> None:
        self.bad, self.asked = bad, 0
        self.given: list[tuple[int, int, bool]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.asked += 1
        self.given.append((len(args[1]), *args[2:]))
        error = self.bad(self.asked, args[2])
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_lost_tasks_are_retried_and_then_run_here(
    make_model: Make, expected: xr.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = cohort_model(make_model)
    once = Unreliable(lambda number, attempt: EOFError("gone") if number == 2 else None)
    assert evaluate(model, cohort(70), FEW, executor=once, workers=1, **YEARS).identical(expected)
    first, again, clocked = (16, 0, False), (16, 1, False), (4, 0, True)
    assert once.given == [first, first, again, first, first, (6, 0, False), clocked]
    started = []
    start = _workers.start_worker
    monkeypatch.setattr(_workers, "start_worker", lambda *given: started.append(1) or start(*given))
    killed = type("KilledWorker", (Exception,), {})
    always = Unreliable(lambda number, attempt: killed("gone") if number == 2 else None)
    assert evaluate(model, cohort(70), FEW, executor=always, workers=1, **YEARS).identical(expected)
    assert always.given == [first] * 4 + [(6, 0, False), (3, 0, True)]
    assert len(started) == 2  # for the runs that were lost, and for those that need a clock


def test_a_pool_whose_worker_is_killed_costs_nothing(make_model: Make, expected: xr.Dataset) -> None:
    model = cohort_model(make_model)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:

        def kill() -> None:
            while not executor._processes:
                time.sleep(0.01)
            time.sleep(0.3)
            os.kill(next(iter(executor._processes)), 9)

        killer = threading.Thread(target=kill)
        killer.start()
        found = evaluate(model, cohort(70), FEW, executor=executor, **YEARS)
        killer.join()
    assert found.identical(expected)


def test_an_executor_that_cannot_run_at_all_is_an_error(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = cohort_model(make_model)
    broken = Unreliable(lambda number, attempt: ModuleNotFoundError("No module named 'cascade'"))
    with pytest.raises(SimulationError, match=r"cannot make runs: ModuleNotFoundError.*same version of cascade"):
        evaluate(model, cohort(3), FEW, executor=broken, **YEARS)
    other = ensemble.run_task(("digest", b"", ("cascade 0.0.1",)), [], 0, False)
    assert isinstance(other, str) and "cascade 0.0.1" in other
    with pytest.raises(ValueSettingError, match=r"executor is 3; give a concurrent\.futures\.Executor"):
        evaluate(model, cohort(3), FEW, executor=3, **YEARS)  # type: ignore[arg-type]


def test_few_tasks_are_under_way_at_a_time(make_model: Make) -> None:
    job, report = Job(sbml="", days=1, points=2, solver=Solver()), []
    with ThreadPoolExecutor(3) as pool:
        lock, open_now, most = threading.Lock(), [0], [0]

        def task(what: Any, rows: Any, attempt: int, clocked: bool) -> Any:
            time.sleep(0.002)
            return ["done"] * len(rows)

        class Counted(Executor):
            _max_workers = 3

            def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
                future = pool.submit(fn, *args, **kwargs)
                with lock:
                    open_now[0] += 1
                    most[0] = max(most[0], open_now[0])
                future.add_done_callback(lambda _: open_now.__setitem__(0, open_now[0] - 1))
                return future

        table = np.zeros((200, 1))
        lost = _executors.finish_on(
            Counted(), task, job, table, np.arange(200), lambda index, run: report.append(index), 2, None
        )
    assert sorted(report) == list(range(200)) and not lost.rows
    assert most[0] <= 3 * _executors.AHEAD


SLOW = "x = 1; x' = -1e6*s*(x - sin(1e5*time)) - k*x; s = 0; k = 0.1"


def test_a_run_without_end_is_stopped_in_the_worker_of_an_executor(make_model: Make) -> None:
    model = make_model(SLOW)
    values = {"s": xr.DataArray([0, 1, 0], dims="run"), "k": xr.DataArray([0.1, 0.1, 0.3], dims="run")}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        solver = Solver(maximum_steps=10**8, time_limit=1.5)
        found = evaluate(model, values, ["final:x"], days=10, points=11, solver=solver, executor=executor)
    assert [str(text).split(" after")[0] for text in found["status"].values] == ["ok", "time limit: stopped", "ok"]


def test_a_design_is_evaluated_as_it_is(make_model: Make) -> None:
    parameter = Parameter(
        id="k", name="k", nominal=1e-4, unit="per_day", lower=1e-6, upper=1e-2, estimate=True, prior="log-uniform"
    )
    quantiles = np.linspace(0, 1, 5)[:, None]
    design = Design(
        method="sample",
        parameters=(parameter,),
        columns=("k",),
        sets={"k": (0,)},
        quantiles=quantiles,
        samples=5,
        seed=3,
    )
    model = cohort_model(make_model)
    found = evaluate(model, design, ["p_overt_5y"], **YEARS)
    assert found.equals(evaluate(model, design.values(), ["p_overt_5y"], **YEARS))
    assert (found.attrs["design"], found.attrs["seed"]) == ("sample", 3)
    assert found["p_overt_5y"].dims == ("run",)


def test_labels_that_only_some_readouts_have_are_missing_with_a_reason(make_model: Make) -> None:
    found = evaluate(cohort_model(make_model), cohort(4), ["p_first_site", "p_involved"], **YEARS)
    assert found.sizes["organ"] == 10
    region = found.sel(organ="region")
    assert np.isnan(region["p_first_site"]).all() and np.isfinite(region["p_involved"]).all()
    assert set(region["reason_p_first_site"].values) == {"not reported for this organ"}


def test_sums_that_are_states_are_read_as_they_come(make_model: Make) -> None:
    text = "a_lesions__h_cumulative = 0; b_lesions__h_cumulative = 0; endpoints__h_cumulative = 0; k = 1e-4\n"
    text += "a_lesions__h_cumulative' = k; b_lesions__h_cumulative' = 2*k; endpoints__h_cumulative' = 3*k"
    model, values = make_model(text), {"k": cohort(5)["k"]}
    found = evaluate(model, values, ["p_first_site"], **YEARS)
    runs = simulate(model, values=values, **YEARS)
    np.testing.assert_array_equal(found["p_first_site"].values, readout(runs, "p_first_site").values)


def test_what_cannot_be_asked_is_refused(make_model: Make) -> None:
    model, values = cohort_model(make_model), cohort(3)
    cases: list[tuple[type[CascadeError], str, dict[str, Any]]] = [
        (UnknownNameError, "no readout 'p_overt_5'", {"readouts": ["p_overt_5"]}),
        (AnalysisError, "readouts is the text 'p_overt'", {"readouts": "p_overt"}),
        (AnalysisError, "name at least one readout", {"readouts": []}),
        (CascadeError, "names p_overt twice", {"readouts": ["p_overt", "p_overt"]}),
        (UnknownNameError, "no symbol 'nothing'", {"series": ["nothing"]}),
        (ValueSettingError, "chunk is 0", {"chunk": 0}),
        (ValueSettingError, "resume needs the folder", {"resume": True}),
        (AnalysisError, "needs 'endpoints__vaf_ctdna'", {"readouts": ["vaf_ctdna_at_surgery"]}),
        (ValueSettingError, "organ is both", {"values": {"k": xr.DataArray([1e-4], dims="organ")}}),
        (ValueSettingError, "status is both", {"values": {"k": values["k"].assign_coords(status=("run", [1, 2, 3]))}}),
    ]
    for kind, text, change in cases:
        given = {"values": values, "readouts": ["p_first_site"], **YEARS, **change}
        with pytest.raises(kind, match=text):
            evaluate(model, **given)


def test_a_block_is_small(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "HELD_NUMBERS", 5_000)
    sizes = []
    call = _reduce.Reducer.__call__
    monkeypatch.setattr(_reduce.Reducer, "__call__", lambda self, block: sizes.append(len(block)) or call(self, block))
    found = evaluate(cohort_model(make_model), cohort(70), ["p_overt_5y"], **YEARS)
    assert sum(sizes) == 70
    assert max(sizes) <= 5_000 // (101 * 2)
    assert found.sizes["run"] == 70


MEMORY = """
import sys
from pathlib import Path
import numpy as np, xarray as xr
from cascade.evaluate import evaluate
from cascade.specs import Model
model = Model(name="m", flat=Path(sys.argv[1]).read_text(), parameters=(), ids={"k": "k", "S": "S", "T": "T"})
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
def study(runs):
    values = {"k": xr.DataArray(np.linspace(0.1, 2, runs), dims="run")}
    found = evaluate(model, values, ["final:S", "max:T"], days=10, points=21, workers=1)
    assert (found.status == "ok").all()
study(2_000)
before = resident()
study(int(sys.argv[2]))
print(resident() - before)
"""

SMALL = (
    "compartment c = 1; species S in c, T in c; S = a*3; T = 0; a = 2; S -> T; c*k*S; k = 0.4; T -> ; c*f*T; f = 0.1;"
    " E: at time >= 4, t0=false: f = 10*f; D: at time >= 0, t0=false: S = S + a"
)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_fifty_thousand_runs_take_less_than_five_megabytes(make_model: Make, tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text(make_model(SMALL).flat)
    (tmp_path / "memory.py").write_text(MEMORY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "memory.py"), str(tmp_path / "model.xml"), "50000"],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5.0


def test_the_progress_bar_tells_rate_failures_and_time_left(
    make_model: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    from cascade._progress import _pace

    assert _pace(50, 100, 3, 10.0) == "5/s, 3 failed, 0:00:20 left"
    assert _pace(2, 10, 0, 60.0) == "30 s each, 0:05:00 left"
    assert _pace(100, 0, 0, 10.0) == "10/s"
    evaluate(cohort_model(make_model), cohort(20), ["p_overt_5y"], progress=True, **YEARS)
    shown = capsys.readouterr().err
    assert "20/20" in shown and "1 failed" in shown
