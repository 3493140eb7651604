"""A Dask cluster as an executor: for studies that outgrow one machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from cascade.errors import SimulationError


def connect(address: str, *, timeout: float = 10.0) -> Executor:
    """Connect to a running Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, such as "tcp://10.0.0.5:8786", or the path of its scheduler file (ends in .json).
    timeout : float
        Seconds to wait for an answer.

    Returns
    -------
    concurrent.futures.Executor
        For `simulate(executor=...)` and `evaluate(executor=...)`. Leaving its `with` block, or `shutdown()`, ends the
        connection and leaves the cluster as it is.

    Raises
    ------
    SimulationError
        If Dask is not installed, or no scheduler answers.

    Notes
    -----
    The workers need the same versions of cascade, libRoadRunner and numpy, which is checked, and one thread each is
    best: a run holds the interpreter. On SLURM, `dask_jobqueue.SLURMCluster(cores=1, processes=1, memory="4GB")` starts
    a cluster, `cluster.scale(100)` its workers, and `cluster.scheduler_address` is the address.

    Examples
    --------
    >>> with cascade.cluster.connect("tcp://10.0.0.5:8786") as executor:
    ...     found = evaluate(model, design, ["p_overt_5y"], years=25, executor=executor, store="breast.zarr")
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import resolve_address
    except ImportError as error:
        raise SimulationError(
            f"a cluster needs Dask, which is not installed ({error}); pip install 'metastatic-cascade[dask]'"
        ) from None
    try:
        place = json.loads(Path(address).read_text())["address"] if address.endswith(".json") else address
        resolve_address(place)  # a client that finds this out itself cannot be closed
        client: Any = Client(place, timeout=timeout, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SimulationError(
            f"no Dask scheduler answers at {address!r} ({type(error).__name__}: {error}); start one with `dask"
            " scheduler` and workers with `dask worker ADDRESS --nthreads 1`, and give its address"
        ) from None
    return _Cluster(client)


class _Cluster(Executor):
    """The executor of a client, which it closes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._tasks: Executor = client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Give a task to the cluster."""
        return self._tasks.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the connection."""
        self._tasks.shutdown(wait=wait and not cancel_futures)
        self._client.close()
