"""The qualification as a page: the table of facts, and the model's curves over the published points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._files import make_folder, write_text
from cascade._style import GREY, clean, embed, new_figure, render, unit_label, wrap
from cascade.measures import UNITS_OF_TIME
from cascade.validation import Finding, Qualification

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PASS, MISS = "#0072B2", "#D55E00"
_COLUMNS = 3


def write_validation(folder: str | Path, *qualifications: Qualification) -> Path:
    """Write `validation.json` and `validation.html` into a folder, which is made if it does not exist.

    Returns
    -------
    Path
        The page; it needs no network and no other file.
    """
    folder = make_folder(folder)
    text = json.dumps([each.to_json() for each in qualifications], indent=2, allow_nan=False) + "\n"
    write_text(folder / "validation.json", text)
    return write_text(folder / "validation.html", render("validation.html.j2", _context(qualifications)))


def _context(qualifications: Sequence[Qualification]) -> dict[str, Any]:
    pages = [
        {
            "name": each.name,
            "changed": each.changed,
            "rows": [_row(finding) for finding in each.findings],
            "passed": each.passed,
            "predicted": _predicted(each),
            "sourced": "–" if np.isnan(each.sourced) else f"{each.sourced:.0%}",
            "figure": _figure(each),
        }
        for each in qualifications
    ]
    return {
        "pages": pages,
        "passed": sum(each.passed for each in qualifications),
        "total": sum(len(each.findings) for each in qualifications),
    }


def _predicted(qualification: Qualification) -> str:
    predicted = [finding for finding in qualification.findings if finding.fact.role == "predicted"]
    return f"{sum(finding.passed for finding in predicted)} of {len(predicted)}"


def _row(finding: Finding) -> dict[str, Any]:
    fact = finding.fact
    unit = unit_label(fact.unit)
    return {
        "quantity": fact.quantity,
        "conditions": fact.conditions,
        "note": fact.note,
        "error": finding.error,
        "published": short(fact.value, unit) or fact.spread or "direction only",
        "spread": fact.spread if fact.value is not None else "",
        "model": short(finding.value, unit) or ("–" if finding.error else "never"),
        "accepted": accepted(finding),
        "passed": finding.passed,
        "role": fact.role,
        "basis": fact.basis,
        "source": ", ".join(fact.source),
        "where": fact.where,
        "compute": fact.compute,
    }


def short(value: float | None, unit: str = "") -> str:
    """Write a number with three digits and its unit; nothing for no number."""
    return "" if value is None or not np.isfinite(value) else f"{value:.3g} {unit}".strip()


def accepted(finding: Finding) -> str:
    """Write the accepted interval of a fact."""
    lower, upper = finding.fact.lower, finding.fact.upper
    if lower is None or upper is None:
        return f"≥ {short(lower)}" if upper is None else f"≤ {short(upper)}"
    return f"{short(lower)} to {short(upper)}"


def _figure(qualification: Qualification) -> str:
    """Draw one panel per curve, with all facts that lie on it; return the picture, or nothing without curves."""
    panels: dict[str, list[Finding]] = {}
    for finding in qualification.findings:
        if finding.fact.curve and qualification.curve(finding.fact) is not None:
            panels.setdefault(finding.fact.curve, []).append(finding)
    if not panels:
        return ""
    rows = -(-len(panels) // _COLUMNS)
    figure: Figure = new_figure(12.6, 3.3 * rows)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axis, findings in zip(axes, panels.values(), strict=False):
        curve = qualification.curve(findings[0].fact)
        assert curve is not None
        draw_panel(axis, curve, findings)
        axis.set_title(wrap(_title(qualification, findings[0].fact.curve), 44), fontsize=9, loc="left")
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    return embed(figure)


def _title(qualification: Qualification, curve: str) -> str:
    """Return the title of the experiment that a curve is read from."""
    for name, run in qualification.runs.items():
        if f"{name}." in curve:
            return str(run.attrs.get("title", ""))
    return ""


def draw_panel(axis: Axes, curve: xr.DataArray, findings: Sequence[Finding]) -> Axes:
    """Draw a curve of the model and the published facts that lie on it.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
    curve : xarray.DataArray
        Over time, a scanned value or a bifurcation parameter; further dimensions give one line each.
    findings : sequence of Finding
        Facts whose `x` says where they lie.
    """
    across = _horizontal(curve)
    unit, scale = _time_unit(curve, findings) if across == "time" else ("", 1.0)
    grid = curve[across].values.astype(float) / scale
    lines = curve.transpose(..., across).values.reshape(-1, len(grid))
    for line, style in zip(lines, ("-", "--", ":", "-.") * len(lines), strict=False):
        axis.plot(grid, line, style, color=GREY, linewidth=1.6, zorder=2)
    for finding in findings:
        _draw_fact(axis, finding, scale)
    if across != "time" and grid.min() > 0 and grid.max() / grid.min() >= 30:
        axis.set_xscale("log")
    attrs = curve[across].attrs
    label = "time" if across == "time" else str(attrs.get("long_name", across))
    axis.set_xlabel(_labeled(label, unit or unit_label(str(attrs.get("units", "")))), fontsize=8.5)
    vertical = str(curve.attrs.get("long_name", curve.name or findings[0].fact.curve))
    axis.set_ylabel(wrap(_labeled(vertical, unit_label(str(curve.attrs.get("units", "")))), 34), fontsize=8.5)
    clean(axis)
    return axis


def _labeled(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _horizontal(curve: xr.DataArray) -> str:
    if "time" in curve.dims:
        return "time"
    return next(str(dim) for dim in reversed(curve.dims) if dim != "direction")


def _time_unit(curve: xr.DataArray, findings: Sequence[Finding]) -> tuple[str, float]:
    for finding in findings:
        for word in (finding.fact.x.split()[-1:] or [""])[0], finding.fact.unit:
            if word in UNITS_OF_TIME:
                return word, UNITS_OF_TIME[word]
    long = float(curve["time"].values[-1])
    unit = "hour" if long <= 3 else "day" if long <= 1000 else "year"
    return unit, UNITS_OF_TIME[unit]


def _draw_fact(axis: Axes, finding: Finding, scale: float) -> None:
    fact, color = finding.fact, PASS if finding.passed else MISS
    low, high = axis.get_xlim() if fact.x == "value" else axis.get_ylim()
    lower = low if fact.lower is None else fact.lower
    upper = high if fact.upper is None else fact.upper
    if fact.x == "value":
        own = UNITS_OF_TIME.get(fact.unit, scale) / scale
        axis.axvspan(lower * own, upper * own, color=color, alpha=0.15, linewidth=0, zorder=0)
        if fact.value is not None:
            axis.axvline(fact.value * own, color=color, linewidth=1, zorder=1)
        return
    place = _place(fact.x, scale)
    if place is None:
        return
    axis.plot([place, place], [lower, upper], color=color, linewidth=1.2, zorder=3)
    if fact.value is not None:
        axis.plot([place], [fact.value], "o", color=color, markersize=5, zorder=4)


def _place(text: str, scale: float) -> float | None:
    words = text.split()
    try:
        value = float(words[0])
    except (IndexError, ValueError):
        return None
    return value * UNITS_OF_TIME[words[1]] / scale if len(words) > 1 and words[1] in UNITS_OF_TIME else value
