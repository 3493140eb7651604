"""Pictures of combinations: a map over the doses of a pair, and an overview of all pairs."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from cascade._style import new_axis, wrap
from cascade.errors import AnalysisError, unknown_name
from cascade.synergy import OK, fraction_blocked

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from matplotlib.axes import Axes

_TITLES = {
    "bliss": "Bliss excess\n(percentage points)",
    "hsa": "excess over the best single drug\n(percentage points)",
    "gain": "gain over the best smaller combination\n(percentage points)",
    "effect": "share of the readout taken away\n(%)",
    "loewe": "combination index (Loewe)\nsynergy below 1",
}
_MISSING = "#e3e3e3"


def synergy_map(found: xr.Dataset, pair: str, axis: Axes | None = None, *, measure: str = "bliss") -> Axes:
    """Draw a measure of one pair over the doses of both drugs, in the nominal patient.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.combinations.combine_targets`.
    pair : str
        One of `found.pair`, such as "kdr + cxcr4"; either order.
    axis : matplotlib.axes.Axes, optional
    measure : {"bliss", "hsa", "loewe", "effect"}
        Blue is synergy and red antagonism, white is none: 0, or for Loewe an index of 1, on a logarithmic scale.
        Hatched cells have no value; `grid_reason` and `grid_reason_loewe` say why.

    Returns
    -------
    matplotlib.axes.Axes
    """
    name = f"grid_{measure}"
    if name not in found:
        have = [str(v).removeprefix("grid_") for v in found.data_vars if str(v).removeprefix("grid_") in _TITLES]
        raise unknown_name("measure", measure, dict.fromkeys(have), "the grid of this result")
    label, flipped = _pair(found, pair)
    table = found[name].sel(pair=label)
    first, second = (str(found[k].sel(pair=label).item()) for k in ("first", "second"))
    values = table.transpose("dose_second", "dose_first").values
    if flipped:
        first, second, values = second, first, values.T
    axis = new_axis(axis, (5.4, 4.2))
    _cells(axis, values, measure)
    _say_why(axis, found, label, measure)
    shares = [f"{100 * float(share):.0f}" for share in fraction_blocked(found["dose_first"].values)]
    axis.set_xticks(range(len(shares)), shares)
    axis.set_yticks(range(len(shares)), shares)
    axis.set_xlabel(wrap(f"{_name(found, first)}, {_action(found, first)} (%)", 48), fontsize=10)
    axis.set_ylabel(wrap(f"{_name(found, second)}, {_action(found, second)} (%)", 40), fontsize=10)
    return axis


def synergy_matrix(
    found: xr.Dataset, axis: Axes | None = None, *, measure: str = "bliss", dose: float | None = None
) -> Axes:
    """Draw a measure of all pairs at one dose of both drugs, mean over the sampled patients.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.combinations.combine_targets`; without sampled patients the nominal one is drawn.
    axis : matplotlib.axes.Axes, optional
    measure : {"bliss", "hsa", "loewe", "effect"}
        Below the diagonal. A star marks a verdict of synergy or antagonism. On the diagonal stands the effect of each
        drug alone, in percent.
    dose : float, optional
        One of the patient doses (or of the grid); by default the largest.

    Returns
    -------
    matplotlib.axes.Axes
    """
    import numpy as np

    if measure not in _TITLES:
        raise unknown_name("measure", measure, _TITLES, "the plots of synergy")
    names = [str(name) for name in found["target"].values]
    values, marks = np.full((2, len(names), len(names)), np.nan)
    numbers, settled, alone, share = _at_dose(found, measure, dose)
    for pair, number, mark in zip(found["pair"].values, numbers, settled, strict=True):
        column, row = (names.index(str(found[k].sel(pair=pair).item())) for k in ("first", "second"))
        values[row, column], marks[row, column] = number, mark
    size = 1.6 + 0.75 * len(names)
    axis = new_axis(axis, (size + 2.2, size))
    _cells(axis, values, measure, marks == 1)
    for place, effect in enumerate(alone):
        axis.text(place, place, _percent(float(effect)), ha="center", va="center", fontsize=8.5, color="#555555")
    shown = [wrap(_name(found, name), 24) for name in names]
    axis.set_xticks(range(len(names)), shown, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), shown)
    axis.set_title(f"both by {100 * share:.0f} %, {found.attrs['window']}", fontsize=10)
    return axis


def _at_dose(found: xr.Dataset, measure: str, dose: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return a measure of every pair, whether synergy or antagonism is settled, every drug alone, and the fraction."""
    import numpy as np

    sampled = f"{measure}_mean" in found
    doses = found["dose" if sampled else "dose_first"].values
    wanted = doses[-1] if dose is None else dose
    if not np.isclose(doses, wanted, rtol=1e-9).any():
        raise unknown_name("dose", f"{wanted:g}", [f"{value:g}" for value in doses], "this result")
    at = int(np.argmin(np.abs(doses - wanted)))
    share = float(fraction_blocked(doses[at]))
    if not sampled:
        if f"grid_{measure}" not in found:
            raise AnalysisError(f"{measure!r} is told of sampled patients only; run combine_targets with samples")
        alone = found["curve"].sel(curve_dose=doses[at], method="nearest").values
        grid = found[f"grid_{measure}"].isel(dose_first=at, dose_second=at).values
        return grid, np.zeros(grid.shape, dtype=bool), alone, share
    table = found.isel(dose=at).sel(combination=found["pair"].values)
    judged = table["verdict_loewe" if measure == "loewe" else "verdict"].values
    settled = np.isin(judged.astype(str), ("synergy", "antagonism")) & (measure in ("bliss", "loewe"))
    alone = found["alone"].isel(dose=at, patient=slice(1, None)).mean("patient").values
    return table[f"{measure}_mean"].values, settled, alone, share


def _pair(found: xr.Dataset, pair: str) -> tuple[str, bool]:
    """Return the label of a pair in the dataset, and whether it was asked for in the other order."""
    known = [str(name) for name in found["pair"].values]
    other = " + ".join(reversed([part.strip() for part in pair.split("+")]))
    if pair not in known and other not in known:
        raise unknown_name("pair", pair, known, "this result")
    return (pair, False) if pair in known else (other, True)


def _name(found: xr.Dataset, target: str) -> str:
    return str(found["target_name"].sel(target=target).item()) if "target_name" in found.coords else target


def _action(found: xr.Dataset, target: str) -> str:
    return str(found["action"].sel(target=target).item()) if "action" in found.coords else "changed"


def _cells(axis: Axes, values: np.ndarray, measure: str, marked: np.ndarray | None = None) -> None:
    """Draw a matrix with its numbers, missing cells hatched, and a scale of colors."""
    import numpy as np

    shown = np.log2(values) if measure == "loewe" else 100 * values
    finite = np.abs(shown[np.isfinite(shown)])
    span = max(float(finite.max(initial=0.0)), 1.0)
    # The same colors mean the same: blue is synergy, whether it is more effect or a smaller index.
    colors, low = {"loewe": ("RdBu_r", -span), "effect": ("Blues", 0.0)}.get(measure, ("RdBu", -span))
    picture = axis.imshow(shown, cmap=colors, vmin=low, vmax=span, origin="lower" if marked is None else "upper")
    for (row, column), value in np.ndenumerate(values):
        if marked is not None and row <= column:
            continue
        if not math.isfinite(value):
            _hatch(axis, row, column)
            continue
        text = f"{value:.2f}" if measure == "loewe" else _percent(float(value))
        star = "*" if marked is not None and marked[row, column] else ""
        strong = abs(float(shown[row, column])) > 0.6 * span
        color = "white" if strong else "#222222"
        axis.text(column, row, text + star, ha="center", va="center", fontsize=8.5, color=color)
    _scale(axis, picture, measure)
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axis.tick_params(length=0, labelsize=9)


def _say_why(axis: Axes, found: xr.Dataset, pair: str, measure: str) -> None:
    """Write the most common reason into a map that has no value at all."""
    reasons = "grid_reason_loewe" if measure == "loewe" else "grid_reason"
    if reasons not in found or bool(found[f"grid_{measure}"].sel(pair=pair).notnull().any()):
        return
    texts = Counter(str(text) for text in found[reasons].sel(pair=pair).values.reshape(-1) if text != OK)
    middle = (found.sizes["dose_first"] - 1) / 2
    why = wrap(texts.most_common(1)[0][0] if texts else "a drug alone has no result", 30)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 4}
    axis.text(middle, middle, why, ha="center", va="center", fontsize=9, color="#222222", bbox=box)


def _hatch(axis: Axes, row: int, column: int) -> None:
    from matplotlib.patches import Rectangle

    cell = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=_MISSING, edgecolor="white", hatch="///", linewidth=0)
    axis.add_patch(cell)


def _scale(axis: Axes, picture: Any, measure: str) -> None:
    bar = axis.figure.colorbar(picture, ax=axis, shrink=0.85)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8.5)
    bar.set_label(_TITLES[measure], fontsize=9)
    if measure == "loewe":
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{2**value:.2g}")


def _percent(value: float) -> str:
    """Write a share in percent: two digits that matter, no sign on what rounds to nothing."""
    text = f"{100 * value:.0f}" if abs(value) >= 0.1 else f"{100 * value:.1f}" if abs(value) >= 0.0005 else "0"
    return text.replace("-", "−")
