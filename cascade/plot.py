"""Plots: functions of a Dataset (or a Model) and an optional axis that return the axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cascade._style import COLORS, EVIDENCE_COLORS, GREY, STAGE_COLORS, clean, legend, new_axis, unit_label, wrap
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def trajectories(
    dataset: xr.Dataset,
    variables: Sequence[str] | str | None = None,
    axis: Axes | None = None,
    *,
    log: bool | None = None,
    decades: float = 12,
) -> Axes:
    """Draw variables against time; over sample dimensions the median and the 5 to 95 % band.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`, time in days.
    variables : str or sequence of str, optional
        Names of variables that share a unit. By default the cells of primary tumor and metastases if they are there,
        else the first eight variables with the unit of the first.
    axis : matplotlib.axes.Axes, optional
    log : bool, optional
        Logarithmic scale; values of zero or below are left out. By default for counts of cells and lesions.
    decades : float
        A logarithmic axis ends this many powers of ten below the largest value.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    names = [variables] if isinstance(variables, str) else list(_default(dataset) if variables is None else variables)
    for name in names:
        if name not in dataset:
            raise unknown_name("variable", name, map(str, dataset.data_vars), "the dataset")
    units = sorted({str(dataset[name].attrs.get("units", "")) for name in names})
    if len(units) > 1:
        raise AnalysisError(f"the variables have different units ({', '.join(units)}); draw them on separate axes")
    axis = new_axis(axis, (6.4, 3.6))
    log = units[0] in _COUNTS if log is None else log
    days = dataset["time"].values
    long = days[-1] - days[0] > 730.5
    time = days / 365.25 if long else days
    labels = _labels(dataset, names)
    for name, color in zip(names, COLORS * (1 + len(names) // len(COLORS)), strict=False):
        values = dataset[name].transpose(..., "time").values.reshape(-1, len(days))
        values = np.where(values > 0, values, np.nan) if log else values
        label = labels[name]
        if len(values) == 1:
            axis.plot(time, values[0], color=color, linewidth=1.8, label=label)
        elif np.isfinite(values).any():
            low, middle, high = _percentiles(values)
            axis.fill_between(time, low, high, color=color, alpha=0.18, linewidth=0)
            axis.plot(time, middle, color=color, linewidth=1.8, label=label)
    if log:
        _scale_log(axis, dataset, names, decades)
    axis.set_xlabel("time (year)" if long else "time (day)", fontsize=10)
    _label_values(axis, dataset, names, units[0])
    clean(axis)
    axis.margins(x=0.01)
    return axis


_COUNTS = ("cell", "cluster", "lesion")
_HEADLINE = ("primary_tumor__n_tumor", "endpoints__n_burden")


def _default(dataset: xr.Dataset) -> list[str]:
    """Choose what to draw when nothing is asked for."""
    if all(name in dataset for name in _HEADLINE):
        return list(_HEADLINE)
    moving = [str(name) for name, values in dataset.data_vars.items() if "time" in values.dims]
    if not moving:
        raise AnalysisError("the dataset holds no trajectory to draw; record at least one variable")
    return [name for name in moving if dataset[name].attrs.get("units") == dataset[moving[0]].attrs.get("units")][:8]


def _labels(dataset: xr.Dataset, names: list[str]) -> dict[str, str]:
    """Return the display names; where two are the same, with the instance that each belongs to."""
    plain = {name: str(dataset[name].attrs.get("long_name", name)) for name in names}
    shown = list(plain.values())
    return {
        name: f"{label} ({name.partition('__')[0]})" if shown.count(label) > 1 and "__" in name else label
        for name, label in plain.items()
    }


def _scale_log(axis: Axes, dataset: xr.Dataset, names: list[str], decades: float) -> None:
    """Make the axis logarithmic; what decays to nothing must not stretch it."""
    axis.set_yscale("log")
    largest = max(float(dataset[name].max()) for name in names)
    if largest > 0:
        axis.set_ylim(largest * 10.0**-decades, largest * 3)


def _percentiles(values: Any) -> Any:
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanpercentile(values, [5, 50, 95], axis=0)


def _label_values(axis: Axes, dataset: xr.Dataset, names: list[str], unit: str) -> None:
    shown = unit_label(unit)
    if len(names) == 1:
        title = str(dataset[names[0]].attrs.get("long_name", names[0]))
        axis.set_ylabel(wrap(title, 34) + (f"\n({shown})" if shown else ""), fontsize=10)
    else:
        axis.set_ylabel(shown, fontsize=10)
        axis.legend(frameon=False, fontsize=9)


def forest(
    ranking: xr.Dataset,
    axis: Axes | None = None,
    *,
    window: str | None = None,
    top: int = 40,
    measure: str = "effect",
) -> Axes:
    """Draw the ranking: every target with its 95 % interval over patients, best at the top.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    axis : matplotlib.axes.Axes, optional
    window : str, optional
        Window of treatment; by default the one that the ranking was made for.
    top : int
        Number of targets drawn.
    measure : {"effect", "hazard_ratio"}
        Mean effect on the readout, or geometric mean of the hazard ratio on a logarithmic axis.

    Returns
    -------
    matplotlib.axes.Axes
        Bands mark groups of targets that the patients do not tell apart; the numbers on the right of the effects are
        the 95 % interval of the rank.
    """
    import numpy as np

    if measure not in _MEASURES:
        raise AnalysisError(f"measure is {measure!r}; use 'effect' or 'hazard_ratio'")
    window = window or str(ranking.attrs["window"])
    table = ranking.sel(window=window)
    table = table.isel(target=np.argsort(table["rank"].values, kind="stable")[:top])
    table = table.isel(target=np.isfinite(table["rank"].values))
    count = table.sizes["target"]
    if count == 0:
        raise AnalysisError(f"no target is ranked in window {window!r}; look at `missing_share` of the ranking")
    axis = new_axis(axis, (7.4, 1.3 + 0.27 * count))
    stages = [str(stage) for stage in table["stage"].values]
    _group_bands(axis, table["group"].values)
    _intervals(axis, table, measure, [STAGE_COLORS.get(stage, GREY) for stage in stages])
    axis.set_yticks(range(count), [str(name) for name in table["target_name"].values])
    axis.set_ylim(count - 0.4, -1.5)
    if measure == "effect":
        _rank_intervals(axis, table)
        axis.set_xlabel(wrap(str(ranking.attrs["effect_label"]), 46), fontsize=10)
    else:
        axis.set_xlabel("hazard ratio, treated to untreated", fontsize=10)
    clean(axis, grid="x")
    axis.tick_params(axis="y", length=0)
    legend(axis, {stage: STAGE_COLORS.get(stage, GREY) for stage in dict.fromkeys(stages) if stage})
    return axis


_MEASURES = {"effect": "effect_{}", "hazard_ratio": "log_hazard_ratio_{}"}


def _intervals(axis: Axes, table: xr.Dataset, measure: str, colors: list[str]) -> None:
    import numpy as np

    mean, low, high = (table[_MEASURES[measure].format(k)].values for k in ("mean", "lower", "upper"))
    if measure == "hazard_ratio":
        mean, low, high = np.exp(mean), np.exp(low), np.exp(high)
        axis.set_xscale("log")
    for row, color in enumerate(colors):
        axis.plot([low[row], high[row]], [row, row], color=color, linewidth=2.2, solid_capstyle="butt")
        axis.plot(mean[row], row, "o", color=color, markersize=5.5, markeredgecolor="white", markeredgewidth=0.7)
    axis.axvline(1 if measure == "hazard_ratio" else 0, color="#333333", linewidth=0.9)
    if measure == "hazard_ratio":
        _plain_log_ticks(axis, float(np.nanmin(low)), float(np.nanmax(high)))


def _plain_log_ticks(axis: Axes, low: float, high: float) -> None:
    """Label a logarithmic axis with plain numbers."""
    steps = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 100)
    if low < 1e-3:
        return
    shown = [s for s in steps if low / 1.5 <= s <= high * 1.5]
    axis.set_xticks(shown, [f"{s:g}" for s in shown])
    axis.minorticks_off()


def _rank_intervals(axis: Axes, table: xr.Dataset) -> None:
    place: dict[str, Any] = {
        "transform": axis.get_yaxis_transform(),
        "va": "center",
        "fontsize": 8.5,
        "color": "#333333",
    }
    lower, upper = table["rank_lower"].values, table["rank_upper"].values
    for row in range(table.sizes["target"]):
        axis.text(1.02, row, f"{lower[row]:.0f}–{upper[row]:.0f}", **place)
    axis.text(1.02, -1.0, "rank", **(place | {"color": GREY}))


def _group_bands(axis: Axes, group: Any) -> None:
    for row, number in enumerate(group):
        if number == number and int(number) % 2 == 1:
            axis.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", linewidth=0, zorder=0)


def morris(ranking: xr.Dataset, axis: Axes | None = None, *, top: int = 20, kind: str = "bars") -> Axes:
    """Draw the Morris screening of the uncertain parameters.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`, or of its screening alone.
    axis : matplotlib.axes.Axes, optional
    top : int
        Number of parameters drawn (bars) or named (scatter), largest mu* first.
    kind : {"bars", "scatter"}
        Bars of mu* with 95 % intervals, or sigma against mu*: above the dashed line (sigma = mu*) a parameter acts
        mostly through interactions or nonlinearity.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    if "mu_star" not in ranking:
        raise AnalysisError("the dataset holds no Morris screening; run rank_targets with morris_trajectories above 1")
    if kind not in ("bars", "scatter"):
        raise AnalysisError(f"kind of Morris plot is {kind!r}; use 'bars' or 'scatter'")
    order = np.argsort(-ranking["mu_star"].values, kind="stable")
    table = ranking.isel(parameter=order)
    evidence = [str(e) for e in table["evidence"].values] if "evidence" in table else [""] * len(order)
    colors = [EVIDENCE_COLORS.get(e, GREY) for e in evidence]
    shown = min(top, int(np.isfinite(table["mu_star"].values).sum()))
    if not shown:
        raise AnalysisError(f"no parameter has an elementary effect: {ranking.attrs.get('morris_verdict', '')}")
    axis = new_axis(axis, (7.0, 1.2 + 0.25 * shown) if kind == "bars" else (6.0, 4.6))
    if kind == "bars":
        _morris_bars(axis, table, colors, shown)
    else:
        _morris_scatter(axis, table, colors, shown)
    clean(axis, grid="x" if kind == "bars" else "both")
    used = [e for e in EVIDENCE_COLORS if e in evidence[: shown if kind == "bars" else None]]
    legend(axis, {e: EVIDENCE_COLORS[e] for e in used})
    return axis


def _morris_bars(axis: Axes, table: xr.Dataset, colors: list[str], shown: int) -> None:
    rows = range(shown)
    star = table["mu_star"].values[:shown]
    half = table["mu_star_confidence"].values[:shown]
    axis.barh(
        rows,
        star,
        color=colors[:shown],
        height=0.66,
        xerr=half,
        error_kw={"elinewidth": 1.1, "ecolor": "#333333", "capsize": 2},
    )
    axis.set_yticks(rows, [str(name) for name in table["parameter"].values[:shown]])
    axis.set_ylim(shown - 0.4, -0.6)
    axis.set_xlim(left=0)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("μ*: mean absolute change of the readout over the prior's range", fontsize=10)


def _morris_scatter(axis: Axes, table: xr.Dataset, colors: list[str], shown: int) -> None:
    import numpy as np

    star, sigma = table["mu_star"].values, table["sigma"].values
    axis.scatter(star, sigma, c=colors, s=26, edgecolors="white", linewidths=0.6, zorder=3)
    limit = 1.08 * float(np.nanmax([*star, *sigma, 1e-300]))
    axis.plot([0, limit], [0, limit], color=GREY, linewidth=0.9, linestyle="--")
    for row in range(min(shown, 8)):
        axis.annotate(
            str(table["parameter"].values[row]),
            (star[row], sigma[row]),
            xytext=(5, 3),
            textcoords="offset points",
            fontsize=8,
        )
    axis.set_xlim(0, limit)
    axis.set_ylim(0, limit)
    axis.set_xlabel("μ* (mean absolute elementary effect)", fontsize=10)
    axis.set_ylabel("σ (spread of elementary effects)", fontsize=10)


def bifurcation(found: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw the branches of a bifurcation scan and mark where a state is lost.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.bifurcation`.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    axis = new_axis(axis, (5.6, 3.8))
    curve = next(v for v in found.data_vars.values() if "direction" in v.dims)
    across = next(str(dim) for dim in curve.dims if dim != "direction")
    colors = {"up": COLORS[0], "down": COLORS[1]}
    for direction, color in colors.items():
        axis.plot(
            found[across], curve.sel(direction=direction), color=color, linewidth=1.8, label=f"{direction}ward scan"
        )
    for index in range(found.sizes["fold"]):
        fold = found.isel(fold=index)
        value, before, after = (float(fold[name]) for name in ("fold_value", "fold_before", "fold_after"))
        color = colors[str(fold["fold_direction"].item())]
        axis.annotate("", (value, after), (value, before), arrowprops={"arrowstyle": "->", "color": color})
        axis.annotate(
            f"{value:.3g}", (value, (before + after) / 2), (4, 0), textcoords="offset points", color=color, fontsize=8.5
        )
    for name, label in ((across, axis.set_xlabel), (str(curve.name), axis.set_ylabel)):
        attrs = found[name].attrs
        unit = unit_label(str(attrs.get("units", "")))
        label(f"{attrs.get('long_name', name)}" + (f" ({unit})" if unit else ""))
    axis.legend(frameon=False, fontsize=9)
    clean(axis)
    return axis
