"""Patients of known hazards, for tests of survival and trials: no run of a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr


def outcomes(
    ratio: float = 1.0,
    n: int = 200,
    spread: float = 0.0,
    rate: float = 0.06,
    months: int = 120,
    before: float = 0.0,
    weight: Any = None,
) -> xr.Dataset:
    """Return hazards that are constant in time, `rate` per year in the median patient; 70 % in bone, 30 % in lung."""
    potential = np.exp(spread * np.random.default_rng(5).normal(size=n))
    month = np.arange(months + 1)
    hazard = ratio * potential[:, None] * rate / 12 * month
    data: dict[str, Any] = {
        "h_distant": (("patient", "month"), hazard),
        "h_organ": (("patient", "organ", "month"), np.stack([0.7 * hazard, 0.3 * hazard], axis=1)),
        "h_before": ("patient", before * potential),
        "h_before_organ": (("patient", "organ"), np.outer(before * potential, [0.7, 0.3])),
    }
    if weight is not None:
        data["weight"] = ("patient", np.asarray(weight, dtype=float), {"role": "weight"})
    ids = [f"p{number}" for number in range(n)]
    return xr.Dataset(data, coords={"patient": ids, "month": month, "organ": ["bone", "lung"]})


def arms(*ratios: float, **options: Any) -> xr.Dataset:
    """Return the same patients in several arms, the first with the hazard as it is."""
    found = [outcomes(ratio, **options) for ratio in (1.0, *ratios)]
    shared = [name for name in ("weight",) if name in found[0]]
    joined = xr.concat([each.drop_vars(shared) for each in found], dim="arm")
    names = ["control", *(f"drug {i + 1}" for i in range(len(ratios)))]
    return joined.assign_coords(arm=names).merge(found[0][shared])


def events(
    rng: np.random.Generator, n: int, rate: float = 0.1, censor: float = 120.0, weight: Any = None, first: int = 0
) -> xr.Dataset:
    """Return events of a constant hazard per year, censored evenly between half of `censor` months and `censor`."""
    when, end = rng.exponential(12 / rate, n), rng.uniform(censor / 2, censor, n)
    event = when <= end
    organ = np.where(event, np.where(rng.random(n) < 0.7, "bone", "lung"), "")
    data: dict[str, Any] = {
        "time": ("patient", np.minimum(when, end)),
        "event": ("patient", event),
        "organ": ("patient", organ),
    }
    if weight is not None:
        data["weight"] = ("patient", np.asarray(weight, dtype=float))
    return xr.Dataset(data, coords={"patient": [f"p{number + first}" for number in range(n)]})
