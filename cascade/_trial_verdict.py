"""What a virtual trial says in words: who wins, by how much, how many patients it takes, and whether hazards cross."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cascade._words import number, percent

if TYPE_CHECKING:
    import xarray as xr


def verdict(trial: xr.Dataset) -> list[str]:
    """Say who wins, by how much, and how many patients it takes: a sentence or two for each arm."""
    control = str(trial["arm"].values[0])
    lines = []
    for label in map(str, trial["comparison"].values):
        row = trial.sel(comparison=label)
        p = float(row["p_adjusted"])
        ratio, low, high = (float(row[f"hazard_ratio{s}"]) for s in ("", "_lower", "_upper"))
        if not math.isfinite(ratio):
            lines.append(f"{label} against {control}: no hazard ratio ({row['reason'].item()}).")
        else:
            better = label if ratio < 1 else control
            who = f"{better} is better" if p < trial.attrs["alpha"] else "this trial finds no difference"
            lines.append(
                f"{label} against {control}: {who}; hazard ratio {number(ratio)} ({number(low)} to {number(high)}),"
                f" p {_p(p)}; without chance {number(float(row['hazard_ratio_exact']))}."
            )
        lines.append(_risk_words(row) + _size_words(row, trial) + _crossing(row))
    return lines


def _crossing(row: xr.Dataset) -> str:
    """Say when the better arm becomes the worse one: a single hazard ratio then tells little."""
    course, month = row["hazard_ratio_course"].values, row["month"].values
    known = np.isfinite(course)
    if not known.any() or not (course[known].min() < 0.95 and course[known].max() > 1.05):
        return ""
    low, high = int(np.nanargmin(course)), int(np.nanargmax(course))
    return (
        f" The hazards cross: without chance their ratio is {number(float(course[low]))} in month {month[low]:g} and"
        f" {number(float(course[high]))} in month {month[high]:g}, so that one ratio depends on the follow-up."
    )


def _risk_words(row: xr.Dataset) -> str:
    seen = np.flatnonzero(np.isfinite(row["risk_arm"].values + row["risk_control"].values))
    last = row.isel(year=seen[-1] if seen.size else -1)
    text = (
        f"At {float(last['year']):g} years {percent(float(last['risk_arm']))} have metastasis instead of"
        f" {percent(float(last['risk_control']))}; without chance one is"
    )
    nnt = float(last["nnt_exact"])
    if not math.isfinite(nnt):
        return text + " neither spared nor harmed."
    return text + f" {'spared' if nnt > 0 else 'harmed'} for {number(abs(nnt))} who are treated."


def _size_words(row: xr.Dataset, trial: xr.Dataset) -> str:
    if "n_needed" not in row:
        return ""
    asked = percent(float(trial.attrs["power_asked"]))
    if not math.isfinite(float(row["n_needed"])):
        return f" No trial finds this with {asked} power: {row['n_reason'].item()}."
    return (
        f" A trial needs {float(row['n_needed']):.0f} patients for {asked} power (Schoenfeld:"
        f" {float(row['n_needed_schoenfeld']):.0f}); of the size of this one it has {percent(float(row['power']))}."
    )


def _p(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else number(p, 2)
