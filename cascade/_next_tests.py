"""What to measure next in one patient: the tests that would narrow the risk, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade._words import percent

if TYPE_CHECKING:
    import xarray as xr


def tests(outlook: xr.Dataset) -> list[dict[str, str]]:
    """Return the tests that would narrow the risk by more than chance, the best first."""
    return [
        {
            "name": str(outlook["test_name"].values[k]),
            "share": percent(float(outlook["narrowing"].values[k])),
            "noise": percent(float(outlook["noise"].values[k])),
            "error": str(outlook["test_error"].values[k]),
        }
        for k in _above_chance(outlook)
    ]


def idle_tests(outlook: xr.Dataset) -> str:
    """Return the names of the tests that would not."""
    others = sorted(set(range(outlook.sizes["test"])) - set(_above_chance(outlook)))
    return "; ".join(str(outlook["test_name"].values[k]) for k in others)


def _above_chance(outlook: xr.Dataset) -> list[int]:
    shares, chances = outlook["narrowing"].values, outlook["noise"].values
    return [int(k) for k in np.argsort(-shares, kind="stable") if shares[k] > chances[k]]


def best_test(outlook: xr.Dataset) -> int | None:
    """Return the place of the test that would narrow the risk most, if any does by more than chance."""
    return next(iter(_above_chance(outlook)), None)


def next_test(outlook: xr.Dataset) -> str:
    """Return the sentence on what to measure next."""
    if not outlook.sizes["test"]:
        return "Every test of which the model can say what it would read has been made."
    place = best_test(outlook)
    if place is not None:
        return (
            f"Most would be learned from: {outlook['test_name'].values[place]}. It would take away"
            f" {percent(float(outlook['narrowing'].values[place]))} of the variance of the log hazard (by groups of the"
            " simulated readings, with the error of the test)."
        )
    first = outlook.isel(test=int(np.argmax(outlook["narrowing"].values)))
    share, chance = (percent(float(first[name])) for name in ("narrowing", "noise"))
    return (
        f"No test stands out: the best ({first['test_name'].item()}) would take away {share} of the variance of the log"
        f" hazard, and chance alone gives up to {chance} with so many draws."
    )
