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
        lines.append(_winner(label, control, row, float(trial.attrs["alpha"])))
        lines.append(_risk_words(row) + _size_words(row, trial) + (_crossing(row) or _changing(row)))
    return [*lines, *_not_randomized(trial), *_few(trial)]


def _winner(label: str, control: str, row: xr.Dataset, alpha: float) -> str:
    p, gain = float(row["p_adjusted"]), float(row["restricted_mean_difference"])
    ratio, low, high = (float(row[f"hazard_ratio{s}"]) for s in ("", "_lower", "_upper"))
    told = math.isfinite(ratio)
    better = label if (ratio < 1 if told else gain > 0) else control
    who = f"{better} is better" if p < alpha else "this trial finds no difference"
    if not told:
        return f"{label} against {control}: {who}; p {_p(p)}; no hazard ratio ({row['reason'].item()})."
    return (
        f"{label} against {control}: {who}; hazard ratio {number(ratio)} ({number(low)} to {number(high)}),"
        f" p {_p(p)}; without chance {number(float(row['hazard_ratio_exact']))}."
    )


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


CHANGE = 1.25
"""Fold by which the ratio of the second half of the metastases differs from that of the first before it is told."""


def _changing(row: xr.Dataset) -> str:
    """Say that the hazards are not proportional, as with an effect that comes late or fades."""
    early, late = float(row["hazard_ratio_early"]), float(row["hazard_ratio_late"])
    if not (early > 0 and late > 0 and abs(math.log(late / early)) > math.log(CHANGE)):
        return ""
    gain, last = float(row["restricted_mean_difference"]), float(row["restricted_to"])
    return (
        f" The hazards are not proportional: without chance their ratio is {number(early)} up to month"
        f" {float(row['half_month']):g}, by which half of the metastases are expected, and {number(late)} after it; one"
        f" ratio depends on the follow-up. Months without metastasis gained by month {last:g}: {number(gain)}."
    )


def _not_randomized(trial: xr.Dataset) -> list[str]:
    share, count = float(trial.attrs["metastatic_share"]), float(trial.attrs["metastatic"])
    lost = int(trial.attrs["missing"])
    without = f" {lost} more have no complete run." if lost else ""
    if not share > 0 and not lost:
        return []
    return [
        f"Randomized are patients without metastasis at diagnosis: {number(count)} of the {trial.attrs['cohort']} of"
        f" the cohort ({percent(share)} by weight) have one and are left out.{without}"
    ]


FEW = 100
"""Different patients below which a trial says that its cohort is small."""


def _few(trial: xr.Dataset) -> list[str]:
    """Say that no interval knows which patients the cohort happens to hold."""
    count = float(trial.attrs["effective_patients"])
    if trial.attrs["paired"] or trial.sizes["patient"] <= count or count >= FEW:
        return []
    return [
        f"The {trial.sizes['patient']} patients are drawn from {number(count)} different ones (effective number). That"
        " another cohort would have other hazards is in no interval here; sample more patients."
    ]


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
    formula = float(row["n_needed_schoenfeld"])
    words = f"Schoenfeld: {formula:.0f}" if math.isfinite(formula) else "no formula without events in both"
    return (
        f" A trial needs {float(row['n_needed']):.0f} patients for {asked} power ({words}); of the size of this one it"
        f" has {percent(float(row['power']))}."
    )


def _p(p: float) -> str:
    return "below 0.0001" if p < 1e-4 else number(p, 2)
