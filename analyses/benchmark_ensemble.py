"""What do worker processes and a compiled model that is kept save?

Runs the same cohort of the breast model three ways, in turn and several times, and prints ratios of medians: with one
and with two workers, and one run at a time on a model that is compiled anew for each run. Ratios hold on noisy machines
where seconds do not. The numbers of the runs are compared too: they are the same to the last bit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import xarray as xr

import cascade
from cascade import ensemble

RECORD = ["endpoints__h_since_surgery"]


def seconds(work: Callable[[], xr.Dataset]) -> tuple[float, xr.Dataset]:
    """Time one piece of work."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def main(arguments: list[str] | None = None) -> int:
    """Print the ratios; exit code 1 if the numbers differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small cohort, once")
    quick = parser.parse_args(arguments).quick
    runs, repeats = (12, 1) if quick else (120, 3)
    model = cascade.compose(cascade.load_composition("breast"))
    cohort = xr.DataArray(np.geomspace(0.2, 5, runs), dims="patient")

    def study(workers: int, values: xr.DataArray = cohort) -> xr.Dataset:
        return cascade.simulate(
            model, years=12, points=145, values={"f_metastatic_potential": values}, record=RECORD, workers=workers
        )

    def anew() -> xr.Dataset:
        ensemble._local.engines.clear()
        return study(1, cohort[:1])

    study(1, cohort[:1])
    times: dict[str, list[float]] = {"one": [], "two": [], "anew": []}
    same = True
    for _ in range(repeats):
        one, first = seconds(lambda: study(1))
        two, second = seconds(lambda: study(2))
        times["one"].append(one / runs)
        times["two"].append(two / runs)
        times["anew"].append(seconds(anew)[0])
        same = same and first.identical(second)
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"{runs} runs, {repeats} times")
    print(f"two workers against one: {median['one'] / median['two']:.2f} times as fast, start of the workers included")
    print(f"kept against compiled anew: {median['anew'] / median['one']:.1f} times as fast per run")
    print("the numbers are the same to the last bit" if same else "THE NUMBERS DIFFER")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
