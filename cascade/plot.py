"""Plots: functions of a Dataset (or a Model) and an optional axis that return the axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

# The palette of Okabe and Ito: told apart by readers with any form of color blindness.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
STAGE_COLORS = {
    "signaling": "#0072B2",
    "vessels": "#D55E00",
    "immunity": "#009E73",
    "invasion": "#E69F00",
    "intravasation": "#A6761D",
    "circulation": "#CC79A7",
    "niche": "#56B4E9",
    "dormancy": "#7570B3",
    "colonization": "#444444",
}
EVIDENCE_COLORS = {"measured": "#0072B2", "fitted": "#56B4E9", "inferred": "#E69F00", "assumed": "#D55E00"}
_GREY = "#666666"
_POWERS = str.maketrans("23456789", "²³⁴⁵⁶⁷⁸⁹")


def unit_label(unit: str) -> str:
    """Write a unit id as a reader expects it: `per_nM2_per_day` becomes `1/(nM² day)`, `dimensionless` nothing."""
    over: list[str] = []
    under: list[str] = []
    side = over
    for word in unit.split("_"):
        if word == "per":
            side = under
        elif word and word != "dimensionless":
            power = word[-1].translate(_POWERS) if word[-1].isdigit() else ""
            base = word.rstrip("23456789")
            side.append({"um": "µm", "uM": "µM"}.get(base, base) + power)
    if not under:
        return " ".join(over)
    below = under[0] if len(under) == 1 else "(" + " ".join(under) + ")"
    return f"{' '.join(over) or '1'}/{below}"


def _new_axis(axis: Axes | None, size: tuple[float, float]) -> Axes:
    if axis is not None:
        return axis
    import matplotlib.pyplot as plt

    return cast("Axes", plt.subplots(figsize=size, layout="constrained")[1])


def _clean(axis: Axes, *, grid: str = "y") -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis=grid, color="#e6e6e6", linewidth=0.8)  # type: ignore[arg-type]
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=9)


def trajectories(
    dataset: xr.Dataset, variables: Sequence[str] | str, axis: Axes | None = None, *, log: bool = False
) -> Axes:
    """Draw variables against time; over sample dimensions the median and the 5 to 95 % band.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`, time in days.
    variables : str or sequence of str
        Names of variables that share a unit.
    axis : matplotlib.axes.Axes, optional
    log : bool
        Logarithmic scale; values of zero or below are left out.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    names = [variables] if isinstance(variables, str) else list(variables)
    for name in names:
        if name not in dataset:
            raise unknown_name("variable", name, map(str, dataset.data_vars), "the dataset")
    units = sorted({str(dataset[name].attrs.get("units", "")) for name in names})
    if len(units) > 1:
        raise AnalysisError(f"the variables have different units ({', '.join(units)}); draw them on separate axes")
    axis = _new_axis(axis, (6.4, 3.6))
    days = dataset["time"].values
    long = days[-1] - days[0] > 730.5
    time = days / 365.25 if long else days
    for name, color in zip(names, COLORS * (1 + len(names) // len(COLORS)), strict=False):
        values = dataset[name].transpose(..., "time").values.reshape(-1, len(days))
        values = np.where(values > 0, values, np.nan) if log else values
        label = str(dataset[name].attrs.get("long_name", name))
        if len(values) == 1:
            axis.plot(time, values[0], color=color, linewidth=1.8, label=label)
        elif np.isfinite(values).any():
            low, middle, high = _percentiles(values)
            axis.fill_between(time, low, high, color=color, alpha=0.18, linewidth=0)
            axis.plot(time, middle, color=color, linewidth=1.8, label=label)
    axis.set_yscale("log" if log else "linear")
    axis.set_xlabel("time (year)" if long else "time (day)", fontsize=10)
    _label_values(axis, dataset, names, units[0])
    _clean(axis)
    axis.margins(x=0.01)
    return axis


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
        axis.set_ylabel(_wrap(title, 34) + (f"\n({shown})" if shown else ""), fontsize=10)
    else:
        axis.set_ylabel(shown, fontsize=10)
        axis.legend(frameon=False, fontsize=9)


def _wrap(text: str, width: int) -> str:
    from textwrap import fill

    return fill(text, width)


def forest(ranking: xr.Dataset, axis: Axes | None = None, *, window: str | None = None, top: int = 40) -> Axes:
    """Draw the ranking: mean effect of every target with its 95 % interval, best at the top.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    axis : matplotlib.axes.Axes, optional
    window : str, optional
        Window of treatment; by default the one that the ranking was made for.
    top : int
        Number of targets drawn.

    Returns
    -------
    matplotlib.axes.Axes
        Bands mark groups of targets that the patients do not tell apart; the numbers on the right are the 95 %
        interval of the rank.
    """
    import numpy as np

    window = window or str(ranking.attrs["window"])
    table = ranking.sel(window=window)
    table = table.isel(target=np.argsort(table["rank"].values, kind="stable")[:top])
    table = table.isel(target=np.isfinite(table["rank"].values))
    count = table.sizes["target"]
    if count == 0:
        raise AnalysisError(f"no target is ranked in window {window!r}; look at `missing_share` of the ranking")
    axis = _new_axis(axis, (7.4, 1.3 + 0.27 * count))
    mean = table["effect_mean"].values
    stages = [str(stage) for stage in table["stage"].values]
    low, high = table["effect_lower"].values, table["effect_upper"].values
    _group_bands(axis, table["group"].values)
    for row in range(count):
        color = STAGE_COLORS.get(stages[row], _GREY)
        axis.plot([low[row], high[row]], [row, row], color=color, linewidth=2.2, solid_capstyle="butt")
        axis.plot(mean[row], row, "o", color=color, markersize=5.5, markeredgecolor="white", markeredgewidth=0.7)
        text = f"{table['rank_lower'].values[row]:.0f}–{table['rank_upper'].values[row]:.0f}"
        axis.text(1.02, row, text, transform=axis.get_yaxis_transform(), va="center", fontsize=8.5, color="#333333")
    axis.text(1.02, -1.0, "rank", transform=axis.get_yaxis_transform(), va="center", fontsize=8.5, color=_GREY)
    axis.axvline(0, color="#333333", linewidth=0.9)
    axis.set_yticks(range(count), [str(name) for name in table["target_name"].values])
    axis.set_ylim(count - 0.4, -1.5)
    axis.set_xlabel(_wrap(str(ranking.attrs["effect_label"]), 70), fontsize=10)
    _clean(axis, grid="x")
    axis.tick_params(axis="y", length=0)
    _legend(axis, {stage: STAGE_COLORS.get(stage, _GREY) for stage in dict.fromkeys(stages) if stage})
    return axis


def _group_bands(axis: Axes, group: Any) -> None:
    for row, number in enumerate(group):
        if number == number and int(number) % 2 == 1:
            axis.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", linewidth=0, zorder=0)


def _legend(axis: Axes, colors: dict[str, str]) -> None:
    """Put a legend of colors above the axis, where it hides nothing."""
    from matplotlib.patches import Patch

    if colors:
        handles = [Patch(color=color, label=label) for label, color in colors.items()]
        axis.legend(
            handles=handles,
            frameon=False,
            fontsize=8.5,
            ncols=min(5, len(handles)),
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            handlelength=1.0,
            handleheight=1.0,
            columnspacing=1.2,
            borderaxespad=0.2,
        )


def morris(ranking: xr.Dataset, axis: Axes | None = None, *, top: int = 20, kind: str = "bars") -> Axes:
    """Draw the Morris screening of the uncertain parameters.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`, or of `morris_effects` with a coordinate `evidence`.
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
    colors = [EVIDENCE_COLORS.get(e, _GREY) for e in evidence]
    shown = min(top, len(order))
    axis = _new_axis(axis, (7.0, 1.2 + 0.25 * shown) if kind == "bars" else (6.0, 4.6))
    if kind == "bars":
        _morris_bars(axis, table, colors, shown)
    else:
        _morris_scatter(axis, table, colors, shown)
    _clean(axis, grid="x" if kind == "bars" else "both")
    used = [e for e in EVIDENCE_COLORS if e in evidence[: shown if kind == "bars" else None]]
    _legend(axis, {e: EVIDENCE_COLORS[e] for e in used})
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
    star, sigma = table["mu_star"].values, table["sigma"].values
    axis.scatter(star, sigma, c=colors, s=26, edgecolors="white", linewidths=0.6, zorder=3)
    limit = 1.08 * float(max(star.max(), sigma.max(), 1e-300))
    axis.plot([0, limit], [0, limit], color=_GREY, linewidth=0.9, linestyle="--")
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
