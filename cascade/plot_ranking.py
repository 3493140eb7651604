"""Plots of a ranking beside the forest: when and where a target works, at which dose, and how the study converged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade._style import COLORS, GREY, clean, new_axis, wrap
from cascade._words import effect_text, percent
from cascade.errors import AnalysisError
from cascade.ranking import settling as settled

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.axes import Axes

SHOWN = 20
"""Targets that the maps show."""


def windows(ranking: xr.Dataset, axis: Axes | None = None, *, top: int = SHOWN) -> Axes:
    """Draw when a target works: its mean effect in every window of treatment.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    axis : matplotlib.axes.Axes, optional
    top : int
        Number of targets.

    Returns
    -------
    matplotlib.axes.Axes
        Effects whose 95 % interval holds 0 are gray.
    """
    table = ranking.isel(target=slice(0, top))
    names = [str(name) for name in table["window"].values]
    unit = str(ranking.attrs["readout_unit"])
    axis = new_axis(axis, (2.6 + 1.1 * len(names), 1.2 + 0.27 * table.sizes["target"]))
    three = [table[f"effect_{which}"].transpose("target", "window").values for which in ("mean", "lower", "upper")]
    _map(axis, three, str(ranking.attrs["effect_scale"]), unit, str(ranking.attrs["better"]))
    _label(axis, table, names)
    axis.set_title(wrap(str(ranking.attrs["effect_label"]), 52), fontsize=10)
    return axis


def organs(ranking: xr.Dataset, axis: Axes | None = None, *, window: str | None = None, top: int = SHOWN) -> Axes:
    """Draw where a target works: the ratio of overt lesions, treated to untreated, in every organ.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`, of a model with organs.
    axis : matplotlib.axes.Axes, optional
    window : str, optional
        By default the one that the ranking was made for.
    top : int
        Number of targets.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AnalysisError
        If the model has no organs.
    """
    if "organ_effect" not in ranking:
        raise AnalysisError("this ranking tells nothing by organ: its model has no organs with overt lesions")
    table = ranking.isel(target=slice(0, top)).sel(window=window or str(ranking.attrs["window"]))
    names = [str(name) for name in table["organ"].values]
    axis = new_axis(axis, (2.6 + 1.1 * len(names), 1.2 + 0.27 * table.sizes["target"]))
    found = ("organ_effect", "organ_effect_lower", "organ_effect_upper")
    _map(axis, [table[name].transpose("target", "organ").values for name in found], "log_ratio", "", "lower")
    _label(axis, table, [name.replace("_", " ") for name in names])
    axis.set_title("overt lesions, treated to untreated", fontsize=10)
    return axis


def _map(axis: Axes, three: list[np.ndarray], scale: str, unit: str, better: str) -> None:
    """Draw means as colors, blue where treatment helps, and as numbers, in brackets where the interval holds 0."""
    import numpy as np

    mean, lower, upper = three
    good = -mean if better == "lower" else mean
    largest = float(np.nanmax(np.abs(mean), initial=0.0)) or 1.0
    axis.imshow(good, cmap="RdBu", vmin=-1.3 * largest, vmax=1.3 * largest, aspect="auto")
    sure = (lower > 0) | (upper < 0)
    for row, column in np.ndindex(mean.shape):
        text = effect_text(float(mean[row, column]), scale, unit)
        text = text if sure[row, column] or np.isnan(mean[row, column]) else f"({text})"
        dark = abs(mean[row, column]) > 0.85 * largest
        color = "white" if dark else "#222222" if sure[row, column] else "#555555"
        axis.text(column, row, text, ha="center", va="center", fontsize=8, color=color)


def _label(axis: Axes, table: xr.Dataset, columns: list[str]) -> None:
    axis.set_xticks(range(len(columns)), columns, fontsize=9)
    axis.set_yticks(range(table.sizes["target"]), [str(n) for n in table["target_name"].values], fontsize=9)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def doses(ranking: xr.Dataset, axis: Axes | None = None, *, top: int = SHOWN) -> Axes:
    """Draw the effect at every dose, and what the reverse of the drug would do.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    axis : matplotlib.axes.Axes, optional
    top : int
        Number of targets.

    Returns
    -------
    matplotlib.axes.Axes
    """
    table = ranking.isel(target=slice(0, top))
    count = table.sizes["target"]
    axis = new_axis(axis, (7.4, 1.3 + 0.27 * count))
    fractions = [float(value) for value in table["fraction"].values]
    for index, fraction in enumerate(fractions):
        color = COLORS[0] if index == len(fractions) - 1 else COLORS[5]
        _points(axis, table, "dose_effect", {"fraction": index}, color, f"drug, {percent(fraction)}")
    if "opposite_effect" in table:
        _points(axis, table, "opposite_effect", {}, COLORS[1], "the reverse")
    axis.axvline(0, color="#333333", linewidth=0.9)
    axis.set_yticks(range(count), [str(name) for name in table["target_name"].values])
    axis.set_ylim(count - 0.4, -0.6)
    axis.set_xlabel(wrap(str(ranking.attrs["effect_label"]), 52), fontsize=10)
    clean(axis, grid="x")
    axis.tick_params(axis="y", length=0)
    axis.legend(frameon=False, fontsize=8.5, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    return axis


def _points(axis: Axes, table: xr.Dataset, name: str, at: dict[str, Any], color: str, label: str) -> None:
    import numpy as np

    mean, low, high = (table[f"{name}{end}"].isel(at).values for end in ("", "_lower", "_upper"))
    rows = np.arange(len(mean))
    known = np.isfinite(mean)
    spread = [np.clip((mean - low)[known], 0, None), np.clip((high - mean)[known], 0, None)]
    axis.errorbar(
        mean[known], rows[known], xerr=spread, fmt="o", color=color, markersize=4.5, elinewidth=1.4, label=label
    )


def settling(ranking: xr.Dataset, axis: Axes | None = None, *, top: int = 8) -> Axes:
    """Draw how the short list settled: the chance to be among the best, by the number of patients ranked.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    axis : matplotlib.axes.Axes, optional
    top : int
        Number of targets.

    Returns
    -------
    matplotlib.axes.Axes
    """
    found = settled(ranking)
    axis = new_axis(axis, (7.0, 3.6))
    names = [str(name) for name in ranking["target_name"].values[:top]]
    for place, name in enumerate(names):
        axis.plot(found["patients"], found["p_top"].isel(target=place), "o-", markersize=3.5,
                  color=COLORS[place % len(COLORS)], label=name)  # fmt: skip
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlabel("patients", fontsize=10)
    axis.set_ylabel(f"P(top {found.attrs['top']})", fontsize=10)
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    clean(axis)
    return axis


def convergence(history: xr.Dataset, axis: Axes | None = None, *, top: int = 8) -> Axes:
    """Draw how indices settled while a sequential design grew.

    Parameters
    ----------
    history : xarray.Dataset
        Over `runs` and `name`: `index`, `index_lower`, `index_upper`; and `settled` over `runs`.
    axis : matplotlib.axes.Axes, optional
    top : int
        Number of names drawn, by their last index.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    axis = new_axis(axis, (7.0, 4.0))
    last = history["index"].isel(runs=-1).values
    runs = history["runs"].values
    for place, column in enumerate(np.argsort(-np.nan_to_num(last), kind="stable")[:top]):
        line = history.isel(name=column)
        color = COLORS[place % len(COLORS)]
        axis.fill_between(runs, line["index_lower"], line["index_upper"], color=color, alpha=0.15, linewidth=0)
        axis.plot(runs, line["index"], "o-", color=color, markersize=4, label=str(history["name"].values[column]))
    settled = runs[history["settled"].values.astype(bool)]
    if settled.size:
        axis.axvline(settled[0], color=GREY, linestyle=":", linewidth=1)
        axis.text(settled[0], axis.get_ylim()[1], " settled", va="top", color=GREY, fontsize=9)
    axis.set_xlabel("runs", fontsize=10)
    axis.set_ylabel(str(history["index"].attrs.get("long_name", "index")), fontsize=10)
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    clean(axis)
    return axis
