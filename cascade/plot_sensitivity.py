"""Plots of sensitivity indices: bars with limits and the floor of noise, and indices over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade._style import COLORS, EVIDENCE_COLORS, GREY, clean, legend, new_axis
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

DAYS_PER_YEAR = 365.25


def indices(
    found: xr.Dataset, axis: Axes | None = None, *, index: str | None = None, readout: str | None = None, top: int = 20
) -> Axes:
    """Draw the largest indices with their 95 % limits; the dotted line is the floor of noise.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.analyze` or of an estimator of `cascade.sensitivity`.
    axis : matplotlib.axes.Axes, optional
    index : str, optional
        Name of the index; by default the one by which the method ranks.
    readout : str, optional
        By default the first.
    top : int
        Number of names drawn.

    Returns
    -------
    matplotlib.axes.Axes
        Single parameters have the color of the evidence for their value.
    """
    import numpy as np

    name = index or str(found.attrs["ranking_index"])
    table = _of_readout(found, name, readout)
    if table[name].ndim > 1:
        raise AnalysisError(
            f"{name} is over {', '.join(map(str, table[name].dims))}; draw it with over_time, or select"
        )
    size = np.nan_to_num(np.abs(table[name].values))
    table = table.isel(name=np.argsort(-size, kind="stable")[:top])
    count = table.sizes["name"]
    axis = new_axis(axis, (7.2, 1.2 + 0.27 * count))
    kinds = [str(kind) for kind in table["evidence"].values] if "evidence" in table.coords else [""] * count
    value, low, high = (table[f"{name}{end}"].values for end in ("", "_lower", "_upper"))
    rows = np.arange(count)
    axis.barh(rows, value, height=0.62, color=[EVIDENCE_COLORS.get(kind, COLORS[0]) for kind in kinds])
    spread = [np.clip(value - low, 0, None), np.clip(high - value, 0, None)]
    axis.errorbar(value, rows, xerr=spread, fmt="none", ecolor="#333333", elinewidth=1.1, capsize=2)
    floor = _floor(found, name, readout)
    if floor is not None:
        axis.axvline(floor, color=GREY, linestyle=":", linewidth=1.1)
        axis.text(floor, count - 0.45, " floor of noise", va="bottom", color=GREY, fontsize=8.5)
    axis.set_yticks(rows, [str(label) for label in table["name"].values])
    axis.set_ylim(count - 0.4, -0.6)
    widest = float(np.nanmax(np.abs(value), initial=0.0))
    if widest > 0 and np.nanmax(high, initial=0.0) > 3 * widest:  # limits of a few runs can be thousands of times wider
        axis.set_xlim(right=3 * widest)
    axis.set_xlabel(str(table[name].attrs.get("long_name", name)), fontsize=10)
    clean(axis, grid="x")
    axis.tick_params(axis="y", length=0)
    legend(axis, {kind: EVIDENCE_COLORS[kind] for kind in EVIDENCE_COLORS if kind in kinds})
    return axis


def _of_readout(found: xr.Dataset, name: str, readout: str | None) -> xr.Dataset:
    """Take the index, its limits and the labels of one readout."""
    table = found[[name, f"{name}_lower", f"{name}_upper"]]
    if "readout" in table.dims:
        table = table.sel(readout=readout) if readout else table.isel(readout=0)
    return table


def _floor(found: xr.Dataset, name: str, readout: str | None) -> float | None:
    """Return the floor of noise of one readout, as a variable or attribute of the result gives it."""
    import numpy as np

    value = found.get(f"{name}_floor", found.attrs.get("noise_floor"))
    if value is None:
        return None
    if hasattr(value, "dims") and "readout" in value.dims:
        value = value.sel(readout=readout) if readout else value.isel(readout=0)
    numbers = np.asarray(value, dtype=float).reshape(-1)
    return float(numbers[0]) if len(numbers) == 1 and np.isfinite(numbers[0]) else None


def over_time(found: xr.Dataset, axis: Axes | None = None, *, index: str | None = None, top: int = 8) -> Axes:
    """Draw how indices change over the life of the tumor.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.analyze` of one series.
    axis : matplotlib.axes.Axes, optional
    index : str, optional
        Name of the index; by default the one by which the method ranks.
    top : int
        Number of names drawn, by their largest index.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    name = index or str(found.attrs["ranking_index"])
    table = _of_readout(found, name, None)
    if "time" not in table[name].dims:
        raise AnalysisError(f"{name} is not over time; analyze a series, series=['endpoints.h_cumulative']")
    axis = new_axis(axis, (7.0, 4.0))
    years = table["time"].values / DAYS_PER_YEAR
    largest = np.nan_to_num(np.abs(table[name].transpose("name", "time").values)).max(axis=1)
    for place, row in enumerate(np.argsort(-largest, kind="stable")[:top]):
        line = table.isel(name=int(row))
        color = COLORS[place % len(COLORS)]
        axis.fill_between(years, line[f"{name}_lower"], line[f"{name}_upper"], color=color, alpha=0.15, linewidth=0)
        axis.plot(years, line[name], color=color, label=str(table["name"].values[row]))
    axis.set_xlabel("time (years)", fontsize=10)
    axis.set_ylabel(str(table[name].attrs.get("long_name", name)), fontsize=10)
    axis.legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.01, 0.5))
    clean(axis)
    return axis
