"""Plots of the clinical endpoints: functions of a Dataset and an optional axis that return the axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade._style import COLORS, GREY, clean, legend, new_axis
from cascade.endpoints import DAYS_PER_YEAR, surgery_time
from cascade.endpoints_organ import first_site
from cascade.errors import AnalysisError
from cascade.readouts import readout

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_FREE = "#e9e9e9"


def hazard_by_year(dataset: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw the hazard of overt distant metastasis in every year after surgery, in percent per year.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate` (over sample dimensions the median and the 5 to 95 % range), or of
        `cascade.population_risk`.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    hazard = dataset["hazard"] if "hazard" in dataset else readout(dataset, "hazard_by_year")
    rows = 100 * hazard.transpose(..., "year").values.reshape(-1, hazard.sizes["year"])
    low, middle, high = _range(rows)
    known = np.isfinite(middle)
    if not known.any():
        raise AnalysisError("no year after surgery lies within the simulated time; simulate longer, or operate earlier")
    year = hazard["year"].values[known]
    axis = new_axis(axis, (6.0, 3.4))
    axis.bar(year, middle[known], width=0.8, color=COLORS[0])
    if len(rows) > 1:
        spread = [middle[known] - low[known], high[known] - middle[known]]
        axis.errorbar(year, middle[known], yerr=spread, fmt="none", ecolor="#333333", elinewidth=1.1, capsize=2)
    axis.set_xlabel("year after surgery", fontsize=10)
    axis.set_ylabel("hazard of overt distant\nmetastasis (% per year)", fontsize=10)
    axis.set_xlim(0.4, year[-1] + 0.6)
    axis.set_xticks([1, *range(5, int(year[-1]) + 1, 5)])
    axis.set_ylim(bottom=0)
    clean(axis)
    return axis


def survival(dataset: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw metastasis-free survival after surgery and, stacked above it, the organ of the first metastasis.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`. Over sample dimensions the mean over the operated patients, which is the survival
        of the cohort; it ends with the shortest follow-up.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    years, sites = _sites_after_surgery(dataset)
    names = [str(name) for name in sites["organ"].values]
    bands = sites.transpose("organ", "year").values
    free = 1 - bands.sum(axis=0)
    axis = new_axis(axis, (6.4, 3.8))
    colors = dict(zip(names, COLORS * (1 + len(names) // len(COLORS)), strict=False))
    axis.stackplot(years, free, *bands, colors=[_FREE, *colors.values()], linewidth=0)
    axis.plot(years, free, color="#333333", linewidth=1.6)
    axis.set_xlim(0, float(years[-1]))
    axis.set_ylim(min(0.9 * float(free.min()), 0.9), 1)
    axis.set_xlabel("time after surgery (year)", fontsize=10)
    axis.set_ylabel("share of patients", fontsize=10)
    clean(axis, grid="x")
    axis.set_axisbelow(False)
    axis.grid(axis="x", color="white", linewidth=0.7, alpha=0.4)
    legend(axis, {"no metastasis": _FREE} | {_words(name): color for name, color in colors.items()})
    return axis


def _sites_after_surgery(dataset: xr.Dataset) -> tuple[NDArray[np.float64], xr.DataArray]:
    """Return years since surgery and the mean probability of each first site by then, given none at surgery."""
    import numpy as np
    import xarray as xr

    surgery = surgery_time(dataset)
    span = float(dataset["time"].values[-1]) - surgery.max()
    if not np.isfinite(span) or span <= 0:
        raise AnalysisError("no patient is operated within the simulated time; there is no time after surgery to draw")
    years = np.linspace(0, float(span), 241) / DAYS_PER_YEAR
    since = xr.DataArray(years, dims="year", coords={"year": years})
    sites = first_site(dataset)
    moments = surgery + since * DAYS_PER_YEAR
    found = _interpolated(sites, moments)
    start = found.isel(year=0)
    given = (found - start) / (1 - start.sum("organ"))
    return years, given.mean([dim for dim in given.dims if dim not in ("organ", "year")])


def _interpolated(series: xr.DataArray, when: xr.DataArray) -> xr.DataArray:
    import numpy as np
    import xarray as xr

    time = series["time"].values

    def one(row: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.interp(moments, time, row)

    dims = [["time"], ["year"]]
    found: xr.DataArray = xr.apply_ufunc(
        one, series, when, input_core_dims=dims, output_core_dims=[["year"]], vectorize=True
    )
    return found


def organ_pattern(dataset: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw organs: the share of first overt metastases beside the probability of involvement at autopsy.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`; over sample dimensions the mean and the 5 to 95 % range.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        An organ without a first site (a regional lymph node) has one bar.
    """
    import numpy as np

    parts = {
        "first metastasis": readout(dataset, "f_first_site"),
        "involved at autopsy": readout(dataset, "p_involved"),
    }
    *_, involved = parts.values()
    autopsy = involved.mean([d for d in involved.dims if d != "organ"])
    names = [str(name) for name in autopsy.sortby(autopsy, ascending=False)["organ"].values]
    axis = new_axis(axis, (1.8 + 0.95 * len(names), 3.4))
    for offset, color, values in zip((-0.2, 0.2), (COLORS[4], COLORS[0]), parts.values(), strict=True):
        rows = 100 * values.reindex(organ=names).transpose(..., "organ").values.reshape(-1, len(names))
        place = np.arange(len(names)) + offset
        middle = np.array([column[np.isfinite(column)].mean() if np.isfinite(column).any() else 0 for column in rows.T])
        axis.bar(place, middle, width=0.38, color=color)
        if len(rows) > 1:
            low, _, high = _range(rows)
            axis.vlines(place, low, high, color="#333333", linewidth=1.1)
    axis.set_xticks(range(len(names)), [_words(name) for name in names])
    axis.set_ylabel("first: % of those with metastasis\ninvolved: % of all, at the end", fontsize=10)
    axis.set_ylim(bottom=0)
    clean(axis)
    axis.tick_params(axis="x", length=0)
    legend(axis, dict(zip(parts, (COLORS[4], COLORS[0]), strict=True)))
    return axis


def ctc_and_risk(dataset: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw the probability of a tube with circulating tumor cells, and that of overt metastasis, against time.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`; over sample dimensions the medians.
    axis : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Both in per cent. The expected number of cells is not drawn: after surgery it is a mean over many patients with
        none and a few with many.
    """
    import numpy as np

    curves = {
        "CTC in a tube": "endpoints__p_ctc_positive",
        "overt metastasis": "endpoints__p_overt",
    }
    for name in curves.values():
        if name not in dataset:
            raise AnalysisError(f"the plot needs {name}, which the dataset does not hold; record it")
    axis = new_axis(axis, (6.6, 3.6))
    years = dataset["time"].values / DAYS_PER_YEAR
    top = 1e-6
    for name, color in zip(curves.values(), COLORS, strict=False):
        values = 100 * _median(dataset[name])
        axis.plot(years, values, color=color, linewidth=1.8)
        top = max(top, 1.12 * float(np.nanmax(values)))
    axis.set_ylim(0, top)
    axis.set_xlim(0, float(years[-1]))
    axis.set_xlabel("age of the tumor (year)", fontsize=10)
    axis.set_ylabel("probability (%)", fontsize=10)
    clean(axis)
    legend(axis, dict(zip(curves, COLORS, strict=False)))
    _mark_surgery(axis, dataset)
    return axis


def _mark_surgery(axis: Axes, dataset: xr.Dataset) -> None:
    import numpy as np

    if "primary_tumor__t_surgery" not in dataset:
        return
    days = surgery_time(dataset).values
    if np.isfinite(days).any():
        when = float(np.nanmedian(days)) / DAYS_PER_YEAR
        axis.axvline(when, color=GREY, linewidth=1, linestyle=":")
        place = axis.get_xaxis_transform()
        axis.text(when, 0.99, " surgery", transform=place, ha="left", va="top", fontsize=8.5, color=GREY)


def _median(series: xr.DataArray) -> NDArray[np.float64]:
    found: NDArray[np.float64] = _range(series.transpose(..., "time").values.reshape(-1, series.sizes["time"]))[1]
    return found


def _range(rows: Any) -> Any:
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanpercentile(rows, [5, 50, 95], axis=0)


def _words(name: str) -> str:
    return name.replace("_", " ")
