"""The page of a virtual trial: who wins, by how much, in whom, and how many patients it takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade import plot_survival
from cascade._files import make_folder, write_dataset, write_table, write_text
from cascade._style import embed, new_figure, render
from cascade._words import number, percent
from cascade.survival.exact import exact_survival
from cascade.therapy.tables import dose_rows

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from cascade.specs import Model
    from cascade.therapy import Treatment


def write_trial(
    folder: str | Path,
    model: Model,
    arms: Mapping[str, Sequence[Treatment]],
    outcomes: xr.Dataset,
    trial: xr.Dataset,
    command: str,
) -> Path:
    """Write `report.html`, `trial.nc`, `outcomes.nc`, `patients.csv` and `figures/*.png` into a folder.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist; files of these names are replaced.
    model : Model
        Untreated.
    arms : mapping of str to sequence of treatments
        As given to `cascade.run_trial`.
    outcomes : xarray.Dataset
        Result of `cascade.trial.arms.follow_arms`.
    trial : xarray.Dataset
        Result of `cascade.trial_of` of the same.
    command : str
        What made the page.

    Returns
    -------
    Path
        The page. It needs no network and no other file.
    """
    folder = Path(folder)
    make_folder(folder / "figures")
    write_dataset(folder / "trial.nc", trial)
    write_dataset(folder / "outcomes.nc", outcomes)
    write_table(folder / "patients.csv", patient_table(trial))
    figures = {
        name: embed(figure, folder / "figures" / f"{name}.png") for name, figure in _figures(outcomes, trial).items()
    }
    context = {
        "title": " against ".join([*map(str, trial["comparison"].values), str(trial["arm"].values[0])]),
        "subtitle": f"Virtual trial in {model.name}, {trial.attrs['patients']} patients"
        + (", each in every arm" if trial.attrs["paired"] else ", randomized"),
        "verdict": str(trial.attrs["verdict"]).split("\n"),
        "arms": [{"label": label, "given": dose_rows(plan)} for label, plan in arms.items()],
        "facts": _facts(trial),
        "rows": _rows(trial),
        "looks": _looks(trial),
        "subgroups": _subgroups(trial),
        "figures": figures,
        "command": command,
        "provenance": [(key, str(trial.attrs[key])) for key in sorted(trial.attrs) if key not in ("verdict", "arms")],
    }
    return write_text(folder / "report.html", render("trial.html.j2", context))


def patient_table(trial: xr.Dataset) -> Any:
    """Return a row for each patient (and arm, if all are in every arm) as a pandas table."""
    names = [n for n in ("source", "assigned", "entry", "time", "event", "organ", "end", "weight") if n in trial]
    return trial[names].to_dataframe()


def _figures(outcomes: xr.Dataset, trial: xr.Dataset) -> dict[str, Figure]:
    survival = new_figure(9, 5.2)
    plot_survival.survival_curves(trial, survival.subplots())
    sites = new_figure(11, 3.8)
    labels = [str(each) for each in outcomes["arm"].values]
    axes = sites.subplots(1, len(labels), squeeze=False, sharey=True)[0]
    for label, axis in zip(labels, axes, strict=True):
        single = outcomes.sel(arm=label, drop=True)
        plot_survival.incidence_stack(exact_survival(single, death=float(trial.attrs["death"])), axis)
        axis.set_title(label, fontsize=9)
        if axis is not axes[0]:
            axis.set_ylabel("")
            axis.get_legend().remove()
    top = max(axis.dataLim.ymax for axis in axes)
    axes[0].set_ylim(0, max(0.05, 1.05 * top))
    rows = trial.sizes["comparison"] * (1 + trial.sizes.get("subgroup", 0))
    ratios = new_figure(9.5, 1.4 + 0.36 * rows)
    plot_survival.forest(trial, ratios.subplots())
    return {"survival": survival, "first_sites": sites, "hazard_ratios": ratios}


def _facts(trial: xr.Dataset) -> list[tuple[str, str]]:
    attrs = trial.attrs
    found = [
        ("patients of the cohort", f"{attrs['cohort']}"),
        ("effective number of different patients", number(float(attrs["effective_patients"]))),
        *((f"cannot enter: {reason}", str(count)) for reason, count in json.loads(attrs["missing_reasons"]).items()),
        ("metastatic at diagnosis, not randomized", f"{number(float(attrs['metastatic']))}"),
        ("the same, by weight", percent(float(attrs["metastatic_share"]))),
        ("months from the first surgery to the analysis", number(float(attrs["months"]))),
        ("months of accrual", number(float(attrs["accrual_months"]))),
        ("lost per year", percent(float(attrs["dropout"]))),
        ("death from another cause per year", percent(float(attrs["death"]))),
    ]
    return [(label, text) for label, text in found if text not in ("0", "0 %")]


def _rows(trial: xr.Dataset) -> list[dict[str, Any]]:
    found = []
    for label in map(str, trial["comparison"].values):
        row = trial.sel(comparison=label)
        cells = [
            ("hazard ratio", _interval(row, "hazard_ratio"), number(float(row["hazard_ratio_exact"]))),
            (
                f"hazard ratio until and after month {number(float(row['half_month']))}, half of the metastases",
                "",
                f"{number(float(row['hazard_ratio_early']))}, {number(float(row['hazard_ratio_late']))}",
            ),
            (
                "p that the hazard ratio does not change with time",
                number(float(row["p_proportional"]), 2),
                "",
            ),
            ("p of the log-rank test, adjusted for the number of arms", number(float(row["p_adjusted"]), 2), ""),
            (
                f"months without metastasis gained in {number(float(row['restricted_to']))}",
                _interval(row, "restricted_mean_difference"),
                "",
            ),
        ]
        for year in row["year"].values:
            one = row.sel(year=year)
            exact = float(one["risk_reduction_exact"])
            cells.append(
                (
                    f"risk at {year:g} years: control, arm",
                    f"{percent(float(one['risk_control']))}, {percent(float(one['risk_arm']))}",
                    "",
                )
            )
            cells.append((f"risk reduction at {year:g} years", _interval(one, "risk_reduction"), number(exact)))
            cells.append((f"number needed to treat at {year:g} years", _interval(one, "nnt"), _nnt(one)))
        if "n_needed" in row:
            cells.append(
                (
                    f"patients needed for {percent(float(trial.attrs['power_asked']))} power",
                    number(float(row["n_needed"]), 6),
                    f"Schoenfeld: {number(float(row['n_needed_schoenfeld']), 6)}",
                )
            )
            cells.append(("power of a trial of this size", percent(float(row["power"])), ""))
        found.append({"label": label, "reason": str(row["reason"].item()), "cells": cells})
    return found


def _nnt(one: Any) -> str:
    return number(float(one["nnt_exact"]))


def _interval(row: Any, name: str) -> str:
    middle, low, high = (float(row[f"{name}{end}"]) for end in ("", "_lower", "_upper"))
    if not math.isfinite(middle):
        return "–"
    return f"{number(middle)} ({number(low)} to {'∞' if high == math.inf else number(high)})"


def _looks(trial: xr.Dataset) -> list[dict[str, str]]:
    if "look" not in trial.dims:
        return []
    return [
        {
            "arm": str(row["comparison"].item()),
            "share": percent(float(row["look"])),
            "month": number(float(row["look_month"])),
            "events": f"{float(row['look_events']):.0f}",
            "z": number(float(row["look_z"])),
            "bound": number(float(row["look_bound"])),
            "passed": "yes" if bool(row["look_passed"]) else "no",
        }
        for row in (
            trial.sel(comparison=arm, look=share)
            for arm in trial["comparison"].values
            for share in trial["look"].values
        )
    ]


def _subgroups(trial: xr.Dataset) -> list[dict[str, str]]:
    if "subgroup" not in trial.dims:
        return []
    return [
        {"label": str(arm), "p": number(float(trial["p_interaction"].sel(comparison=arm)), 2)}
        for arm in trial["comparison"].values
    ]
