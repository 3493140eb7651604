"""Plots of detection: ROC and decision curves, lead times, what is found by size, and schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._style import COLORS, GREY, clean, new_axis
from cascade.detection.clinical_test_table import chosen_tests
from cascade.detection.lesion_courses import sphere_cells
from cascade.detection.performance import WITHIN, decision_curve, lead_times, roc_curve
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from cascade.detection.clinical_tests import ClinicalTest

_SIZE = (5.2, 4.2)


def plot_roc(found: xr.Dataset, axis: Axes | None = None, *, within: float = WITHIN) -> Axes:
    """Draw the ROC curve of every test, with its area and interval; a cross marks the cutoff of the test.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.detect`.
    axis : matplotlib.axes.Axes, optional
    within : float
        As in `cascade.performance`.
    """
    axis = new_axis(axis, _SIZE)
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    for color, test in zip(_colors(), found["test"].values.astype(str), strict=False):
        curve = roc_curve(found, test, within=within)
        area = "AUC {auc:.2f} ({auc_lower:.2f} to {auc_upper:.2f})".format(**curve.attrs)
        false, true = (np.append(curve[name].values, 1.0) for name in ("false_positive_rate", "sensitivity"))
        axis.plot(false, true, color=color, label=f"{test}: {area}")
        here = _operating(found, curve, test)
        if here is not None:
            axis.plot(*here, marker="x", color=color, markersize=7)
    axis.set(xlabel="false positive rate", ylabel="sensitivity", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axis.set_title(f"metastasis that standard care finds within {within:g} months", fontsize=9.5)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    clean(axis)
    return axis


def _operating(found: xr.Dataset, curve: xr.Dataset, test: str) -> tuple[float, float] | None:
    """Return the point of the curve at the cutoff at which results are called positive."""
    one = found.sel(test=test)
    positive = one["result"].values[one["positive"].values > 0]
    if not len(positive):
        return None
    row = curve.sel(cutoff=positive.min(), method="nearest")
    return float(row["false_positive_rate"]), float(row["sensitivity"])


def plot_decision(found: xr.Dataset, axis: Axes | None = None, *, within: float = WITHIN) -> Axes:
    """Draw the net benefit of acting on each test, on everybody and on nobody, over the threshold."""
    axis = new_axis(axis, _SIZE)
    curve = decision_curve(found, within=within)
    palette = {"all": GREY, "none": "#000000"}
    colors = iter(_colors())
    for strategy in curve["strategy"].values.astype(str):
        color = palette.get(strategy) or next(colors)
        line = "--" if strategy in palette else "-"
        axis.plot(curve["threshold"], curve["net_benefit"].sel(strategy=strategy), line, color=color, label=strategy)
    top = float(curve["net_benefit"].max())
    axis.set(xlabel="threshold probability", ylabel="net benefit per visit", ylim=(-0.25 * top, 1.1 * top or 1.0))
    axis.legend(frameon=False, fontsize=8)
    clean(axis)
    return axis


def plot_lead_time(found: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw which share of the metastases each test finds at least so many months before standard care."""
    axis = new_axis(axis, _SIZE)
    longest = 1.0
    for color, test in zip(_colors(), found["test"].values.astype(str), strict=False):
        lead, weight, _ = lead_times(found, test)
        known = np.isfinite(lead)
        order = np.argsort(-lead[known], kind="stable")
        months = lead[known][order]
        share = np.cumsum(weight[known][order]) / max(weight.sum(), 1e-300)
        longest = max(longest, float(months.max(initial=0)))
        found_in_all = float(share[-1]) if len(share) else 0.0
        label = f"{test}: {100 * found_in_all:.0f} % found before"
        axis.step(np.append(months, 0.0), 100 * np.append(share, found_in_all), where="pre", color=color, label=label)
    axis.set(xlabel="months before standard care", ylabel="metastases found (%)", xlim=(longest, 0), ylim=(0, 101))
    axis.locator_params("x", integer=True)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    clean(axis)
    return axis


def plot_found_by_size(
    tests: Sequence[ClinicalTest | str], signals: xr.Dataset, axis: Axes | None = None, *, organ: str | None = None
) -> Axes:
    """Draw the probability that a test finds a lesion of an organ, over its diameter.

    Parameters
    ----------
    tests : sequence of test or str
    signals : xarray.Dataset
        Result of `cascade.detection.lesion_signals`, of one patient; or of `cascade.screen_primary`, for the primary
        tumor.
    axis : matplotlib.axes.Axes, optional
    organ : str, optional
        By default the first organ.
    """
    axis = new_axis(axis, _SIZE)
    if "p_positive" in signals:
        curves = {str(t): signals["p_positive"].sel(test=t).values for t in signals["test"].values}
        diameter, title = signals["diameter_mm"].values, "primary tumor"
    else:
        diameter, curves, title = _by_size(tests, signals, organ)
    for color, (test, chance) in zip(_colors(), curves.items(), strict=False):
        if chance is not None:  # a test that size does not decide keeps its color, the same in all plots
            axis.plot(diameter, 100 * chance, color=color, label=test)
    axis.set(xscale="log", xlabel="diameter (mm)", ylabel="positive (%)", ylim=(-1, 101))
    ticks = [each for each in (1, 2, 5, 10, 20, 50, 100) if diameter[0] <= each <= diameter[-1]]
    axis.set_xticks(ticks, [str(each) for each in ticks], minor=False)
    axis.set_xticks([], minor=True)
    axis.set_title(title, fontsize=9.5)
    axis.legend(frameon=False, fontsize=8)
    clean(axis)
    return axis


def _by_size(
    tests: Sequence[ClinicalTest | str], signals: xr.Dataset, organ: str | None
) -> tuple[Any, dict[str, Any], str]:
    known = signals["organ"].values.astype(str)
    if organ is not None and organ not in known:
        raise unknown_name("organ", organ, known, "the signals")
    one = signals.sel(organ=organ if organ is not None else known[0])
    if one["k_growth"].ndim:
        raise AnalysisError("the signals are those of a cohort; give those of one patient: signals.isel(patient=0)")
    diameter = np.geomspace(1.0, 100.0, 200)
    cells = sphere_cells(diameter, float(one["rho_cells"]))
    body = {
        "d_ctc": cells * float(one["ctc_per_cell"]),
        "d_ctdna": cells * float(one["ctdna_per_cell"]),
        "d_cfdna": np.full(len(cells), float(one["d_cfdna"])),
        "diameter_mm": diameter,
        "organ": np.full(len(cells), str(one["organ"].values)),
    }
    chance = {test.name: None if "f_dtc" in test.needs else test.chance(body) for test in chosen_tests(tests)}
    return diameter, chance, f"metastasis in {one['organ'].values}"


def plot_schedules(schedules: Mapping[str, Sequence[float]], axis: Axes | None = None) -> Axes:
    """Draw the visits of schedules, a row for each; months after surgery as years."""
    axis = new_axis(axis, (6.0, 0.6 + 0.4 * len(schedules)))
    for row, months in enumerate(schedules.values()):
        axis.plot(np.asarray(months) / 12, np.full(len(months), row), "o", color=_colors()[row % len(_colors())])
        axis.axhline(row, color="#e6e6e6", linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(schedules)), list(schedules), fontsize=9)
    axis.set(xlabel="years after surgery", ylim=(len(schedules) - 0.5, -0.5))
    axis.set_xlim(left=0)
    clean(axis, grid="x")
    return axis


def _colors() -> tuple[str, ...]:
    return COLORS[:6] + COLORS[7:]
