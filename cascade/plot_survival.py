"""Pictures of survival: Kaplan-Meier with numbers at risk, incidence by first site, hazard ratios by subgroup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._style import COLORS, GREY, clean, new_axis
from cascade._words import number
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def survival_curves(
    curves: xr.Dataset, axis: Axes | None = None, *, exact: bool = True, at_risk: bool = True, title: str = ""
) -> Axes:
    """Draw survival without metastasis by group or arm, with 95 % intervals and the numbers at risk.

    Parameters
    ----------
    curves : xarray.Dataset
        Result of `cascade.kaplan_meier`, `cascade.run_trial` or `cascade.exact_survival`.
    axis : matplotlib.axes.Axes, optional
    exact : bool
        Also draw what holds without chance (dotted), if it is there.
    at_risk : bool
        Write the numbers below the axis, if they are there.
    title : str
        Of the vertical axis.
    """
    dim, names = _groups(curves, "survival")
    axis = new_axis(axis, (6.6, 4.4))
    years = curves["month"].values / 12
    for place, name in enumerate(names):
        color, row = COLORS[place % len(COLORS)], curves.sel({dim: name})
        stepped = "lower" in curves
        label = None if names == ["all"] else name
        axis.plot(years, row["survival"], color=color, drawstyle="steps-post" if stepped else "default", label=label)
        if stepped:
            axis.fill_between(years, row["lower"], row["upper"], step="post", color=color, alpha=0.15, linewidth=0)
        if exact and "survival_exact" in curves:
            axis.plot(years, row["survival_exact"], color=color, linewidth=1.0, linestyle=":")
    axis.set_ylim(0, 1.02)
    axis.set_xlim(0, years[-1])
    axis.set_ylabel(title or "free of distant metastasis", fontsize=9)
    axis.set_xlabel("years since surgery", fontsize=9)
    clean(axis)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8.5, loc="lower left")
    if at_risk and "at_risk" in curves:
        _numbers_at_risk(axis, curves, dim, names)
    return axis


def _groups(curves: xr.Dataset, variable: str) -> tuple[str, list[str]]:
    if variable not in getattr(curves, "data_vars", ()) or "month" not in curves[variable].dims:
        raise AnalysisError(f"no {variable!r} over months to draw; give a result of cascade.survival or a trial")
    dim = next((str(d) for d in ("arm", "group") if d in curves[variable].dims), "")
    if not dim:
        raise AnalysisError(f"{variable!r} is not over group or arm; keep that dimension, with one name if need be")
    return dim, [str(each) for each in curves[dim].values]


def _numbers_at_risk(axis: Axes, curves: xr.Dataset, dim: str, names: Sequence[str]) -> None:
    """Write the numbers under the ticks of the axis, one line for each group."""
    last = float(curves["month"].values[-1]) / 12
    ticks = [t for t in axis.get_xticks() if 0 <= t <= last]
    axis.set_xticks(ticks)
    axis.set_xlim(0, last)
    below = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 8, "va": "top"}
    for place, name in enumerate(names):
        color, row = COLORS[place % len(COLORS)], curves["at_risk"].sel({dim: name})
        y = -34.0 - 12 * place
        shown = "at risk" if name == "all" else name
        axis.annotate(shown, (0, 0), (-30, y), color=color, ha="right", **below)  # type: ignore[arg-type]
        for tick in ticks:
            count = int(row.sel(month=tick * 12, method="nearest"))
            axis.annotate(str(count), (tick, 0), (0, y), color=color, ha="center", **below)  # type: ignore[arg-type]


def incidence_stack(risks: xr.Dataset, axis: Axes | None = None, *, group: str | None = None) -> Axes:
    """Draw the cumulative incidence of every first site, and of death before it, one upon the other.

    Parameters
    ----------
    risks : xarray.Dataset
        Result of `cascade.competing_risks` or `cascade.exact_survival`.
    axis : matplotlib.axes.Axes, optional
    group : str, optional
        By default the first.
    """
    dim, names = _groups(risks, "incidence")
    chosen = names[0] if group is None else group
    if chosen not in names:
        raise unknown_name("group", chosen, names, "these risks")
    axis = new_axis(axis, (6.0, 3.8))
    row = risks["incidence"].sel({dim: chosen})
    causes = [str(each) for each in row["cause"].values]
    others = iter(COLORS * (1 + len(causes) // len(COLORS)))
    colors = ["#bbbbbb" if cause == "death" else next(others) for cause in causes]
    labels = ["death from another cause" if cause == "death" else cause for cause in causes]
    heights = np.nan_to_num(row.transpose("cause", "month").values)
    axis.stackplot(row["month"].values / 12, heights, labels=labels, colors=colors, linewidth=0, alpha=0.85)
    axis.set_xlim(0, float(row["month"].values[-1]) / 12)
    axis.set_ylim(0, max(0.05, 1.05 * float(heights.sum(axis=0).max())))
    axis.set_xlabel("years since surgery", fontsize=9)
    axis.set_ylabel("cumulative incidence of the first event", fontsize=9)
    clean(axis)
    handles, names = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], names[::-1], frameon=False, fontsize=8.5, loc="upper left")
    return axis


def forest(trial: xr.Dataset, axis: Axes | None = None, *, comparison: str | None = None) -> Axes:
    """Draw the hazard ratios of an arm over the control: of all patients, and of every subgroup.

    Parameters
    ----------
    trial : xarray.Dataset
        Result of `cascade.run_trial`.
    axis : matplotlib.axes.Axes, optional
    comparison : str, optional
        By default all arms; one of them is drawn with its subgroups.
    """
    if "comparison" not in getattr(trial, "dims", ()):
        raise AnalysisError("there is no comparison to draw; give a result of cascade.run_trial()")
    known = [str(each) for each in trial["comparison"].values]
    if comparison is not None and comparison not in known:
        raise unknown_name("comparison", comparison, known, "the trial")
    rows = [row for name in (known if comparison is None else [comparison]) for row in _forest_rows(trial, name)]
    axis = new_axis(axis, (7.0, 1.3 + 0.34 * len(rows)))
    for place, (_, ratio, low, high, size, _) in enumerate(rows):
        if not np.isfinite(ratio):
            continue
        color = COLORS[0] if size else GREY
        axis.plot([low, high], [place, place], color=color, linewidth=1.4)
        axis.plot([ratio], [place], marker="s" if size else "D", color=color, markersize=6)
    axis.axvline(1, color="#333333", linewidth=0.9)
    axis.set_xscale("log")
    ends = [v for row in rows for v in row[1:4] if np.isfinite(v) and v > 0] + [0.5, 2.0]
    axis.set_xlim(max(min(ends) / 1.1, 0.02), min(max(ends) * 1.1, 50))
    shown = [tick for tick in (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20) if _within(axis, tick)]
    axis.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axis.minorticks_off()
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    for place, row in enumerate(rows):
        axis.annotate(row[5], (1.01, place), xycoords=("axes fraction", "data"), fontsize=8, va="center")  # type: ignore[arg-type]
    axis.set_xlabel("hazard ratio against the control (below 1 the arm is better)", fontsize=9)
    clean(axis, grid="x")
    return axis


def _within(axis: Axes, tick: float) -> bool:
    low, high = axis.get_xlim()
    return bool(low <= tick <= high)


def _forest_rows(trial: xr.Dataset, name: str) -> list[tuple[str, float, float, float, bool, str]]:
    one = trial.sel(comparison=name)

    def row(label: str, source: Any, stem: str, whole: bool, more: str) -> tuple[str, float, float, float, bool, str]:
        ratio, low, high = (float(source[f"{stem}{end}"]) for end in ("", "_lower", "_upper"))
        text = f"{number(ratio)} ({number(low)} to {number(high)}){more}"
        return label, ratio, low, high, whole, text

    found = [row(name, one, "hazard_ratio", True, "")]
    if "subgroup" not in trial.dims:
        return found
    for group in map(str, trial["subgroup"].values):
        part = one.sel(subgroup=group)
        more = f", {int(part['subgroup_events'])} of {int(part['subgroup_patients'])}"
        found.append(row(f"  {group}", part, "subgroup_ratio", False, more))
    return found
