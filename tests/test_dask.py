"""A Dask cluster as an executor: the same bits, and a worker that is killed costs nothing."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import pytest
import xarray as xr
from cohorts import FEW, cohort, cohort_model

from cascade.cluster import connect
from cascade.errors import SimulationError
from cascade.evaluate import evaluate
from cascade.specs import Model

distributed = pytest.importorskip("distributed")
Make = Callable[..., Model]
YEARS: dict[str, Any] = {"years": 20, "points": 51}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as started:
        yield started


@pytest.fixture
def executor(cluster: Any) -> Iterator[Executor]:
    with connect(cluster.scheduler_address) as opened:
        yield opened


def test_a_cluster_makes_the_same_bits(executor: Executor, make_model: Make) -> None:
    model = cohort_model(make_model)
    expected = evaluate(model, cohort(70), FEW, workers=1, **YEARS)
    for _ in range(2):
        assert evaluate(model, cohort(70), FEW, executor=executor, **YEARS).identical(expected)


def test_a_worker_killed_in_the_middle_costs_nothing(cluster: Any, executor: Executor, make_model: Make) -> None:
    model = cohort_model(make_model)
    expected = evaluate(model, cohort(600), ["final:x"], workers=1, **YEARS)
    victim = next(iter(cluster.workers.values())).pid
    done: list[int] = []

    class Watched:
        """Passes tasks on, and kills a worker when the first ones are done."""

        _client = executor._client  # type: ignore[attr-defined]

        def submit(self, *given: Any) -> Any:
            future = executor.submit(*given)
            future.add_done_callback(lambda _: done.append(1))
            return future

    def kill() -> None:
        while len(done) < 3:
            time.sleep(0.005)
        os.kill(victim, 9)

    killer = threading.Thread(target=kill)
    killer.start()
    found = evaluate(model, cohort(600), ["final:x"], executor=Watched(), **YEARS)  # type: ignore[arg-type]
    killer.join()
    with pytest.raises(ProcessLookupError):
        os.kill(victim, 0)
    xr.testing.assert_identical(found, expected)


@pytest.mark.parametrize(
    ("address", "why"),
    [("tcp://127.0.0.1:9", "Timed out"), ("nowhere", "missing port"), ("no/file.json", "No such file")],
)
def test_an_address_where_nothing_listens_is_an_error(address: str, why: str) -> None:
    with pytest.raises(SimulationError, match=f"no Dask scheduler answers at '{address}'.*{why}.*dask scheduler"):
        connect(address, timeout=1)


def test_a_missing_dask_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SimulationError, match=r"needs Dask, which is not installed.*metastatic-cascade\[dask\]"):
        connect("tcp://127.0.0.1:9")
