"""Pictures of treatments: a clustered heat map of what they change, and courses of drug, target, pathway and tumor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._style import COLORS, GREY, clean, new_axis, unit_label, wrap
from cascade.errors import AnalysisError, unknown_name
from cascade.quantities import GROUPS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_MISSING = "#d9d9d9"
_TIGHT = 0.02
"""Changes of less than this many doublings are drawn as none: the color scale never ends below it."""
MOST_DOUBLINGS = 4.0
"""A color scale ends here; what is beyond (a quantity that a treatment leaves nothing of) has the last color."""


def heat_map(
    effects: xr.Dataset,
    axis: Axes | None = None,
    *,
    time: float | None = None,
    groups: Sequence[str] = ("pathway", "gene"),
    top: int = 40,
    limit: float | None = None,
) -> Axes:
    """Draw what treatments change as colors, rows that change alike beside each other.

    Parameters
    ----------
    effects : xarray.Dataset
        Result of `cascade.treatment_effects`.
    axis : matplotlib.axes.Axes, optional
    time : float, optional
        Days since the start of treatment. Columns are then the treatments, clustered too. By default, of several
        treatments the moment of the largest changes is drawn; of one treatment all moments, in order.
    groups : sequence of str
        Groups of quantities that are drawn.
    top : int
        Rows that are drawn, of the largest changes.
    limit : float, optional
        End of the color scale, in doublings; by default that of the largest change, at most `MOST_DOUBLINGS`.

    Returns
    -------
    matplotlib.axes.Axes
        Blue is less and red is more than without treatment, gray has no value; numbers are fold changes.
    """
    table, columns, title = _columns(effects, time)
    names, values = _rows(effects, table, groups, top)
    rows = cluster_order(values)
    across = cluster_order(values.T) if "treatment" in title else np.arange(len(columns))
    names, values = [names[k] for k in rows], values[np.ix_(rows, across)]
    columns = [columns[k] for k in across]
    axis = new_axis(axis, (3.4 + 0.72 * len(columns), 1.4 + 0.24 * len(names)))
    largest = np.abs(values[~np.isnan(values)]).max(initial=_TIGHT)
    limit = min(MOST_DOUBLINGS, float(largest)) if limit is None else limit
    _paint(axis, values, limit)
    axis.set_xticks(range(len(columns)), columns, rotation=40, ha="right", rotation_mode="anchor", fontsize=9)
    axis.set_yticks(range(len(names)), names, fontsize=8.5)
    axis.set_title(title, fontsize=9.5, loc="left")
    return axis


def cluster_order(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the order of rows in which neighbors are alike: hierarchical clustering, average linkage.

    A missing value counts as no change, one without end as `MOST_DOUBLINGS`.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(values) < 3:
        return np.arange(len(values))
    known = np.clip(np.nan_to_num(values, nan=0.0), -MOST_DOUBLINGS, MOST_DOUBLINGS)
    return np.asarray(leaves_list(linkage(known, "average", optimal_ordering=True)))


def _columns(effects: xr.Dataset, time: float | None) -> tuple[NDArray[np.float64], list[str], str]:
    """Return log2 folds over quantity and column, the names of the columns, and what they are."""
    with np.errstate(divide="ignore"):
        table = np.log2(effects["fold"].transpose("quantity", "treatment", "time").values)
    labels = [str(each) for each in effects["treatment"].values]
    days = effects["time"].values
    if time is None and len(labels) == 1:
        columns, table = [f"day {day:g}" for day in days], table[:, 0]
        if "fold_after_surgery" in effects:
            with np.errstate(divide="ignore"):
                later = np.log2(effects["fold_after_surgery"].transpose("quantity", "treatment", "year").values)[:, 0]
            columns += [f"surgery + {year:g} y" for year in effects["year"].values]
            table = np.concatenate([table, later], axis=1)
        return table, columns, wrap(f"{labels[0]}, by time since its start", 60)
    if time is None:
        sizes = np.clip(np.abs(np.nan_to_num(table, nan=0.0)), 0, MOST_DOUBLINGS).sum(axis=(0, 1))
        at = int(sizes.argmax())
    else:
        close = np.flatnonzero(np.isclose(days, time))
        if not close.size:
            raise unknown_name("time", f"{time:g}", [f"{day:g}" for day in days], "these effects")
        at = int(close[0])
    return table[:, :, at], [wrap(label, 24) for label in labels], f"by treatment, day {days[at]:g} since its start"


def _rows(
    effects: xr.Dataset, table: NDArray[np.float64], groups: Sequence[str], top: int
) -> tuple[list[str], NDArray[np.float64]]:
    """Return names and values of the quantities that change most."""
    for group in groups:
        if group not in GROUPS:
            raise unknown_name("group", group, GROUPS, "the quantities")
    size = np.where(np.isnan(table), -1.0, np.abs(table)).max(axis=1, initial=-1.0)
    size[~np.isin(effects["group"].values, list(groups))] = -1.0
    chosen = [k for k in np.argsort(-size, kind="stable")[:top] if size[k] > 0]
    if not chosen:
        raise AnalysisError("nothing that has a fold change differs from untreated; look at difference and reason")
    return [_row_name(effects, k) for k in chosen], table[chosen]


def _row_name(effects: xr.Dataset, place: int) -> str:
    group, _, own = str(effects["quantity"].values[place]).partition(":")
    name = str(effects["quantity_name"].values[place])
    if group != "gene":
        return wrap(name, 48)
    gene, _, where = own.partition("@")
    return f"{gene} ({where})" if where else gene


def _paint(axis: Axes, values: NDArray[np.float64], limit: float) -> None:
    """Color the cells, blue for less and red for more, and write the fold changes into them."""
    import matplotlib as mpl

    colors = mpl.colormaps["RdBu_r"].with_extremes(bad=_MISSING)
    image = axis.imshow(np.zeros(values.shape), cmap=colors, vmin=-limit, vmax=limit, aspect="auto")
    image.set_array(np.ma.masked_where(np.isnan(values), np.clip(values, -limit, limit)))
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            continue
        color = "white" if abs(value) > 0.65 * limit else "#333333"
        axis.text(column, row, fold_text(2.0**value), ha="center", va="center", fontsize=7.5, color=color)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xticks(np.arange(values.shape[1] - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(values.shape[0] - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1)
    axis.tick_params(which="minor", length=0)
    bar = axis.figure.colorbar(image, ax=axis, shrink=min(1.0, 16 / max(len(values), 16)), aspect=24)
    bar.outline.set_visible(False)  # type: ignore[operator]
    bar.ax.yaxis.set_major_formatter(lambda value, _: fold_text(2.0**value))
    bar.ax.tick_params(labelsize=8)
    bar.set_label("fold change against untreated", fontsize=9)


def fold_text(fold: float) -> str:
    """Write a fold change in few characters; one that rounds to 1 is 1."""
    if not np.isfinite(fold):
        return "–"
    if fold == 0:
        return "0"
    if 0.1 <= fold < 10:
        return f"{fold:.2f}"
    return f"{fold:.0e}" if fold < 1e-4 or fold >= 1e4 else f"{fold:.2g}" if fold >= 0.01 else f"{fold:.1g}"


def concentration(
    runs: xr.Dataset, drug: str, axis: Axes | None = None, *, doses: Sequence[float] = (), log: bool = True
) -> Axes:
    """Draw the concentration of a drug in plasma and tumor, with its doses.

    Parameters
    ----------
    runs : xarray.Dataset
        Result of `cascade.treatment_runs.kinetics`, or of `cascade.simulate` for a treated model.
    drug : str
        Name of the instance.
    axis : matplotlib.axes.Axes, optional
    doses : sequence of float
        Days of doses, marked below the curve.
    log : bool
        Logarithmic scale over four decades.
    """
    shown = {"c_plasma": "plasma", "c_unbound": "unbound in plasma", "c_tumor": "unbound in the tumor"}
    names = {f"{drug}__{local}": label for local, label in shown.items() if f"{drug}__{local}" in runs}
    if not names:
        raise unknown_name(
            "drug", drug, {str(n).partition("__")[0] for n in runs.data_vars if "__c_" in str(n)}, "the runs"
        )
    axis = new_axis(axis, (6.0, 3.4))
    time = runs["time"].values
    before: list[NDArray[np.float64]] = []
    for (name, label), color in zip(names.items(), (COLORS[0], COLORS[5], COLORS[1]), strict=False):
        values = runs[name].values
        if any(np.allclose(values, each, rtol=1e-6, atol=1e-12) for each in before):
            continue  # all of an antibody is unbound: one line would hide another
        before.append(values)
        axis.plot(
            time, np.where(values > 0, values, np.nan) if log else values, color=color, linewidth=1.6, label=label
        )
    most = max(float(each.max()) for each in before)
    if log and most > 0:
        axis.set_yscale("log")
        axis.set_ylim(most * 1e-4, most * 2)
    inside = [day for day in doses if time[0] <= day <= time[-1]]
    axis.plot(inside, [0.02] * len(inside), "^", color=GREY, markersize=4, transform=axis.get_xaxis_transform())
    axis.set_xlabel("days since the first dose (▲ doses)" if inside else "days since the first dose", fontsize=9)
    axis.set_ylabel("concentration (nM)", fontsize=9)
    axis.legend(frameon=False, fontsize=8.5)
    clean(axis)
    return axis


def engagement(runs: xr.Dataset, treatment: str, axis: Axes | None = None, *, until: float | None = None) -> Axes:
    """Draw what the drugs of a treatment hold or block of each target, against days since the first dose.

    Parameters
    ----------
    runs : xarray.Dataset
        Result of `cascade.treatment_runs.run_treatments`.
    treatment : str
    axis : matplotlib.axes.Axes, optional
    until : float, optional
        Last day that is drawn.
    """
    run, time = _since_start(runs, treatment, until)
    names = [str(n) for n in run.data_vars if "__u_" in str(n) and run[n].notnull().any()]
    if not names:
        raise AnalysisError(f"treatment {treatment!r} has no drug with a target; draw against_untreated instead")
    axis = new_axis(axis, (6.0, 3.4))
    for name, color in zip(names, COLORS * (1 + len(names) // len(COLORS)), strict=False):
        axis.plot(time, run[name], color=color, linewidth=1.6, label=wrap(str(run[name].attrs["long_name"]), 40))
    axis.set_ylim(0, max(1.05, 1.05 * max(float(run[name].max()) for name in names)))
    axis.set_xlabel("days since the first dose", fontsize=9)
    axis.set_ylabel("share held, lost or gained", fontsize=9)
    axis.legend(frameon=False, fontsize=8.5)
    clean(axis)
    return axis


def against_untreated(
    runs: xr.Dataset,
    names: str | Sequence[str],
    axis: Axes | None = None,
    *,
    treatments: Sequence[str] | None = None,
    title: str = "",
    log: bool = False,
    since: float = -365.0,
    until: float | None = None,
) -> Axes:
    """Draw the sum of variables in every treatment and without, against days since the first dose of the first.

    Parameters
    ----------
    runs : xarray.Dataset
        Result of `cascade.treatment_runs.run_treatments`.
    names : str or sequence of str
        Flat ids; several are added.
    axis : matplotlib.axes.Axes, optional
    treatments : sequence of str, optional
        By default all.
    title : str
        Of the vertical axis, with the unit; by default the name of the variable.
    log : bool
        Logarithmic scale; values of 0 or below are left out.
    since, until : float
        First and last day that are drawn; by default a year before and all that was simulated after.
    """
    names = [names] if isinstance(names, str) else list(names)
    for name in names:
        if name not in runs:
            raise unknown_name("variable", name, map(str, runs.data_vars), "the runs")
    shown = [str(e) for e in runs["treatment"].values[1:]] if treatments is None else list(treatments)
    axis = new_axis(axis, (6.0, 3.4))
    day = _start(runs, shown[0])
    last = float(runs["time"][-1]) - day if until is None else until
    scale, unit = (365.25, "years") if last > 1461 else (1.0, "days")
    window = runs.sel(time=slice(day + since, day + last))
    time = (window["time"].values - day) / scale
    for label, color in zip(["untreated", *shown], ("#999999", *COLORS * (1 + len(shown) // 8)), strict=False):
        values = sum(window[name].sel(treatment=label).values for name in names)
        values = np.where(values > 0, values, np.nan) if log else values
        axis.plot(time, values, color=color, linewidth=2.4 if label == "untreated" else 1.5, label=label)
    if log and any(np.isfinite(line.get_ydata()).any() for line in axis.lines):
        axis.set_yscale("log")
    axis.axvline(0, color=GREY, linewidth=0.9, linestyle=":")
    axis.set_xlabel(f"{unit} since the first dose", fontsize=9)
    attrs = runs[names[0]].attrs
    shown_unit = unit_label(str(attrs.get("units", "")))
    text = wrap(title or str(attrs.get("long_name", names[0])), 36) + (f"\n({shown_unit})" if shown_unit else "")
    axis.set_ylabel(text, fontsize=9)
    axis.legend(frameon=False, fontsize=8.5)
    clean(axis)
    return axis


def fold_courses(effects: xr.Dataset, quantities: Sequence[str], treatment: str, axis: Axes | None = None) -> Axes:
    """Draw fold changes of some quantities against days since the start of a treatment, on a scale of doublings.

    Parameters
    ----------
    effects : xarray.Dataset
        Result of `cascade.treatment_effects`, best with many days.
    quantities : sequence of str
    treatment : str
    axis : matplotlib.axes.Axes, optional
    """
    known = [str(each) for each in effects["quantity"].values]
    for each in quantities:
        if each not in known:
            raise unknown_name("quantity", each, known, "these effects")
    axis = new_axis(axis, (6.4, 3.6))
    styles = ("-", "--", ":")
    for place, each in enumerate(quantities):
        fold = effects["fold"].sel(treatment=treatment, quantity=each).values
        name = _row_name(effects, known.index(each)).replace("\n", " ")
        color, style = COLORS[place % len(COLORS)], styles[place // len(COLORS) % len(styles)]
        axis.plot(effects["time"], np.where(fold > 0, fold, np.nan), style, color=color, linewidth=1.6, label=name)
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:.2g}")
    axis.axhline(1, color="#333333", linewidth=0.9)
    axis.set_xlabel("days since the first dose", fontsize=9)
    axis.set_ylabel("fold change against untreated", fontsize=9)
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    clean(axis)
    return axis


def _start(runs: xr.Dataset, treatment: str) -> float:
    known = [str(each) for each in runs["treatment"].values]
    if treatment not in known:
        raise unknown_name("treatment", treatment, known, "the runs")
    day = float(runs["start"].sel(treatment=treatment))
    if not np.isfinite(day):
        raise AnalysisError(f"treatment {treatment!r} never begins within the simulated time; simulate more years")
    return day


def _since_start(runs: xr.Dataset, treatment: str, until: float | None) -> tuple[Any, NDArray[np.float64]]:
    """Return one run from its first dose on, and the days since then."""
    day = _start(runs, treatment)
    end = float(runs["time"][-1]) if until is None else day + until
    run = runs.sel(treatment=treatment, time=slice(day, end))
    return run, run["time"].values - day
