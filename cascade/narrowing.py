"""What is known of a patient weights the draws; what is not, could be measured: how much would each test narrow?"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._measured import TESTS
from cascade._patients import uniform
from cascade.effects import Study
from cascade.endpoints import DAYS_PER_YEAR
from cascade.sensitivity.priors import stream
from cascade.sensitivity.ranks import effective_size

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

SIZE = ("primary_tumor__n_surgery", "primary_tumor__rho_cells", "primary_tumor__vol_one",
        "primary_tumor__diameter_one_ml")  # fmt: skip
"""Constants by which a diameter at diagnosis becomes the number of cells at which the tumor is operated."""


def weights_of_draws(
    study: Study, one: xr.Dataset, expected: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Weight the draws by what is known of the patient."""
    day = study.untreated["t_surgery"].values[1:]
    logs = np.where(np.isfinite(day), 0.0, -np.inf)
    used, unused = [], []
    for name, each in one.data_vars.items():
        value = float(each.values[0]) if each.dims == ("patient",) and each.dtype.kind in "fiub" else math.nan
        if each.attrs.get("role") != "measure" or not math.isfinite(value):
            continue
        test = next((test for test in TESTS if test.name == name), None)
        if name == "age_years":
            logs = np.where(day <= value * DAYS_PER_YEAR, logs, -np.inf)
        elif name == "diameter_mm" and SIZE[0] in one:
            pass  # it sets the size at which the tumor is operated
        elif test is not None and name in expected:
            reading = expected[str(name)]
            logs = logs + np.where(np.isfinite(reading), test.log_chance(value, np.nan_to_num(reading)), -np.inf)
        else:
            unused.append(str(name))
            continue
        used.append(str(name))
    top = logs.max(initial=-np.inf)
    weight = np.exp(logs - top) if np.isfinite(top) else np.zeros(logs.shape)
    return weight, {"used": json.dumps(used), "unused": json.dumps(unused)}


def with_tests(
    found: xr.Dataset, one: xr.Dataset, expected: dict[str, NDArray[np.float64]], tests: dict[str, Any], seed: int
) -> xr.Dataset:
    """Add what each test that was not made would read, and how much it would narrow the risk."""
    weight, target = found["weight"].values, found["log_hazard"].values
    who = f"{one['patient'].values[0]}"
    names = [name for name, column in expected.items() if np.isfinite(column[weight > 0]).all()]
    readings, shares_, noise = [], [], []
    for name in names:
        quantile = uniform(seed, f"test {name} of {who}", [str(number) for number in found["draw"].values])
        reading = tests[name][0].draw(np.nan_to_num(expected[name]), quantile)
        share, chance = narrowing(reading, target, weight, stream(f"narrowing {name}", seed))
        readings.append(reading)
        shares_.append(share)
        noise.append(chance)
    found = found.assign_coords(
        test=("test", names),
        test_name=("test", [tests[name][0].words for name in names]),
        test_error=("test", [tests[name][0].error for name in names]),
    )
    found["reading"] = (("test", "draw"), np.array(readings).reshape(len(names), found.sizes["draw"]))
    found["narrowing"] = ("test", np.array(shares_))
    found["noise"] = ("test", np.array(noise))
    return found


def narrowing(
    reading: NDArray[np.float64],
    target: NDArray[np.float64],
    weight: NDArray[np.float64],
    generator: np.random.Generator,
    *,
    groups: int = 5,
    shuffles: int = 200,
) -> tuple[float, float]:
    """Return the share of the variance of a target that knowing a reading takes away, and what chance alone gives.

    The draws are cut into groups of equal weight by the reading; the share is that between the groups, less what as
    many groups without meaning have in the mean. Chance is the 95 % point of shuffled readings.
    """
    use = weight > 0
    reading, target, weight = reading[use], target[use], weight[use] / weight[use].sum()
    order = np.argsort(reading, kind="stable")
    # Equal readings belong together, whatever their order.
    edges = np.searchsorted(np.cumsum(weight[order]), np.arange(1, groups) / groups)
    cuts = np.unique(reading[order][np.clip(edges, 0, len(order) - 1)])
    label = np.searchsorted(cuts, reading, side="left")
    count, size = len(np.unique(label)), effective_size(weight)
    if count < 2 or size <= count + 1:
        return 0.0, 0.0

    def share(of: NDArray[np.float64], by: NDArray[np.float64]) -> float:
        total = np.bincount(label, by, minlength=label.max() + 1)
        mean = np.bincount(label, by * of, minlength=label.max() + 1) / np.where(total > 0, total, 1)
        whole = by @ (of - by @ of) ** 2
        between = total @ (mean - by @ of) ** 2
        return float(1 - (1 - between / whole) * (size - 1) / (size - count)) if whole > 0 else 0.0

    chance = []
    for _ in range(shuffles):
        shuffled = generator.permutation(len(target))
        chance.append(share(target[shuffled], weight[shuffled]))
    return max(0.0, share(target, weight)), max(0.0, float(np.quantile(chance, 0.95)))
