"""The plot of a stage waterfall: why a treatment works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade._style import GREY, clean, new_axis, wrap
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_LOWER, _HIGHER, _WHOLE = "#0072B2", "#D55E00", "#555555"
_SCALES = {
    "log_hazard_ratio": ("log hazard ratio, treated to untreated", "{:+.2g}"),
    "hazard_difference": ("difference of the cumulative hazard", "{:+.2g}"),
    "risk_difference": ("difference of the probability of metastasis (percentage points)", "{:+.2g}"),
}


def waterfall(
    dataset: xr.Dataset,
    axis: Axes | None = None,
    *,
    treatment: str | None = None,
    scale: str = "log_hazard_ratio",
    orientation: str = "horizontal",
) -> Axes:
    """Draw the parts of a treatment's effect, each beginning where the one before ends, and their sum.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.waterfall`.
    axis : matplotlib.axes.Axes, optional
    treatment : str, optional
        Which treatment, if there are several.
    scale : {"log_hazard_ratio", "hazard_difference", "risk_difference"}
        What is split. On the first the bar of the sum carries the hazard ratio too.
    orientation : {"horizontal", "vertical"}
        Direction of the bars. Horizontal bars go down from the tumor to the overt metastasis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AnalysisError
        If the dataset holds no such parts, or they are missing for a reason.
    UnknownNameError
        If the treatment is not in the dataset.
    """
    if scale not in _SCALES or scale not in dataset:
        raise AnalysisError(f"scale is {scale!r}; use a result of `waterfall` and one of {', '.join(_SCALES)}")
    if orientation not in ("horizontal", "vertical"):
        raise AnalysisError(f"orientation is {orientation!r}; use 'horizontal' or 'vertical'")
    one = _chosen(dataset, treatment)
    parts = [float(part) * (100 if scale == "risk_difference" else 1) for part in one[scale].values]
    names = [wrap(str(name), 30 if orientation == "horizontal" else 14) for name in one["stage_name"].values]
    axis = new_axis(axis, (7.2, 3.9) if orientation == "horizontal" else (9.0, 4.6))
    _draw(axis, parts, [*names, "all stages"], scale, orientation == "horizontal")
    axis.set_title(wrap(str(one["treatment"].values), 70), fontsize=10, loc="left")
    return axis


def _chosen(dataset: xr.Dataset, treatment: str | None) -> xr.Dataset:
    """Return one treatment that has parts."""
    known = [str(name) for name in dataset["treatment"].values]
    if treatment is None:
        if len(known) > 1:
            raise AnalysisError(f"the dataset holds {len(known)} treatments; choose one: {', '.join(known[:8])}")
        treatment = known[0]
    if treatment not in known:
        raise unknown_name("treatment", treatment, known, "the dataset")
    one = dataset.isel(treatment=known.index(treatment))
    reason = str(one["reason"].values)
    if reason != "ok":
        raise AnalysisError(f"treatment {treatment!r} has no parts: {reason}")
    return one


def _draw(axis: Axes, parts: list[float], names: list[str], scale: str, horizontal: bool) -> None:
    import numpy as np

    edges = np.concatenate([[0.0], np.cumsum(parts)])
    label, form = _SCALES[scale]
    values = [*parts, edges[-1]]
    starts = [*edges[:-1], 0.0]
    ends = [start + value for start, value in zip(starts, values, strict=True)]
    colors = [_HIGHER if value > 0 else _LOWER for value in parts] + [_WHOLE]
    rows = range(len(values))
    (axis.barh if horizontal else axis.bar)(rows, values, 0.64, starts, color=colors, zorder=2)
    for row, edge in enumerate(edges[1:]):
        line = ([edge, edge], [row - 0.32, row + 1.32])
        axis.plot(*(line if horizontal else line[::-1]), color=GREY, linewidth=0.8, zorder=1)
    texts = ["0" if abs(value) <= _nothing(values) else form.format(value) for value in values]
    if scale == "log_hazard_ratio":
        texts[-1] += f"\nHR {np.exp(edges[-1]):.2g}"
    for row, text in zip(rows, texts, strict=True):
        _write(axis, row, (starts[row], ends[row]), text, horizontal)
    _frame(axis, names, label, (min(*edges, 0.0), max(*edges, 0.0)), horizontal)


def _nothing(values: list[float]) -> float:
    """Return the size below which a part is written as 0: a thousandth of the largest."""
    return 1e-3 * max(abs(value) for value in values)


def _write(axis: Axes, row: int, bar: tuple[float, float], text: str, horizontal: bool) -> None:
    """Put the number beyond the end of the bar."""
    up = bar[1] >= bar[0]
    style: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5, "color": "#333333"}
    if horizontal:
        style |= {"va": "center", "ha": "left" if up else "right"}
        axis.annotate(text, (bar[1], row), (4 if up else -4, 0), **style)
    else:
        style |= {"ha": "center", "va": "bottom" if up else "top"}
        axis.annotate(text, (row, bar[1]), (0, 3 if up else -3), **style)


def _frame(axis: Axes, names: list[str], label: str, span: tuple[float, float], horizontal: bool) -> None:
    # The bar of the sum carries two lines of text beyond its end.
    room = 0.26 * ((span[1] - span[0]) or 1.0)
    limits = (span[0] - room, span[1] + room)
    if horizontal:
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.45, -0.55)
        axis.set_xlim(limits)
        axis.axvline(0, color="#333333", linewidth=0.9)
        axis.set_xlabel(label, fontsize=10)
    else:
        axis.set_xticks(range(len(names)), names)
        axis.set_xlim(-0.55, len(names) - 0.45)
        axis.set_ylim(limits)
        axis.axhline(0, color="#333333", linewidth=0.9)
        axis.set_ylabel(wrap(label, 40), fontsize=10)
    clean(axis, grid="x" if horizontal else "y")
    axis.tick_params(axis="y" if horizontal else "x", length=0, labelsize=9 if horizontal else 7.5)
