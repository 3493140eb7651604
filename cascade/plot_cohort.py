"""Plots of a cohort: its hazard beside what was published, first sites, and how a number is distributed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._style import COLORS, GREY, clean, new_axis

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from cascade.cohort.distributions import Marginal


def hazard_by_year(
    course: xr.Dataset,
    axis: Axes | None = None,
    *,
    before: xr.Dataset | None = None,
    published: Iterable[Marginal] = (),
) -> Axes:
    """Draw the annual hazard of a population (`population_course`), with published ones of periods.

    Parameters
    ----------
    course : xarray.Dataset
    axis : matplotlib.axes.Axes, optional
    before : xarray.Dataset, optional
        The same population without weights, in gray.
    published : iterable of Marginal
        Those of kind "hazard" and "free" are drawn, with 95 % intervals.
    """
    axis = new_axis(axis, (6.4, 3.4))
    for each, color, label in ((before, GREY, "unweighted"), (course, COLORS[0], "weighted")):
        if each is not None:
            label = label if before is not None else "cohort"
            edges = [0.0, *each["year"].values.tolist()]
            axis.stairs(100 * each["hazard"].values, edges, baseline=None, color=color, label=label, linewidth=1.6)
    label = "published"
    for one in published:
        found = _period(one)
        if found is not None:
            (first, last), value, error = found
            axis.plot([first, last], [100 * value] * 2, color=COLORS[1], label=label)
            axis.errorbar([(first + last) / 2], [100 * value], [196 * error], color=COLORS[1], capsize=3)
            label = "_"
    axis.set(xlabel="years after surgery", ylabel="hazard of metastasis (% a year)", xlim=(0, None), ylim=(0, None))
    axis.legend(frameon=False, fontsize=8.5)
    clean(axis)
    return axis


def _period(one: Marginal) -> tuple[tuple[float, float], float, float] | None:
    if one.kind == "hazard":
        return (one.years[0], one.years[-1]), one.value, one.error
    if one.kind == "free" and 0 < one.value < 1:
        length = one.years[-1]
        return (0.0, length), -float(np.log(one.value)) / length, one.error / one.value / length
    return None


def free_share(
    course: xr.Dataset,
    axis: Axes | None = None,
    *,
    before: xr.Dataset | None = None,
    published: Iterable[Marginal] = (),
) -> Axes:
    """Draw the metastasis-free share of a population over the years after surgery, with published shares."""
    axis = new_axis(axis, (6.4, 3.4))
    for each, color in ((before, GREY), (course, COLORS[0])):
        if each is not None:
            axis.plot(each["month"] / 12, 100 * each["p_free"], color=color)
    for one in published:
        if one.kind == "free":
            axis.errorbar([one.years[-1]], [100 * one.value], [196 * one.error], color=COLORS[1], capsize=3, marker="o")
    axis.set(xlabel="years after surgery", ylabel="free of distant metastasis (%)", xlim=(0, None), ylim=(0, 100))
    clean(axis)
    return axis


def first_sites(course: xr.Dataset, axis: Axes | None = None, *, before: xr.Dataset | None = None) -> Axes:
    """Draw the shares of the organs among first metastases."""
    axis = new_axis(axis, (5.2, 3.0))
    organs = [str(name) for name in course["organ"].values]
    place = np.arange(len(organs))
    shown = [(before, GREY), (course, COLORS[0])] if before is not None else [(course, COLORS[0])]
    for number, (each, color) in enumerate(shown):
        share = each["p_first_site"].values
        share = 100 * share / share.sum() if share.sum() > 0 else share
        axis.barh(place + 0.38 * (number - (len(shown) - 1) / 2), share, height=0.36, color=color)
    axis.set_yticks(place, organs)
    axis.invert_yaxis()
    axis.set_xlabel("share of first distant metastases (%)")
    clean(axis, grid="x")
    return axis


def distribution(
    values: Any, weights: Any, axis: Axes | None = None, *, label: str = "", logarithmic: bool = True
) -> Axes:
    """Draw a histogram of a number between patients, with weights (blue) and without (gray line)."""
    axis = new_axis(axis, (4.2, 2.8))
    found, heavy = np.asarray(values, dtype=float), np.asarray(weights, dtype=float)
    some = np.isfinite(found) & ((found > 0) | (not logarithmic))
    if some.any() and np.ptp(found[some]) > 0:
        low, high = found[some].min(), found[some].max()
        edges = (np.geomspace if logarithmic else np.linspace)(low, high, 25).tolist()
        axis.hist(found[some], edges, weights=heavy[some] / heavy[some].sum(), color=COLORS[0], alpha=0.7)
        axis.hist(found[some], edges, weights=np.full(some.sum(), 1 / some.sum()), histtype="step", color=GREY)
        if logarithmic:
            axis.set_xscale("log")
    axis.set(xlabel=label, ylabel="share of patients")
    clean(axis)
    return axis
