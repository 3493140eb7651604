"""The page of a treatment: what is given, what it reaches, what it changes, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade import plot_treatment
from cascade._files import make_folder, write_dataset, write_table, write_text
from cascade._style import embed, new_figure, render, unit_label
from cascade._words import number, percent
from cascade.errors import AnalysisError
from cascade.export.citations import citations
from cascade.fold_change import OK
from cascade.quantities import quantities_of
from cascade.specs import Model, Parameter
from cascade.therapy.regimens import Regimen
from cascade.therapy.tables import dose_days, dose_rows, parameter_row
from cascade.treatment_effects import largest, treatment_effects
from cascade.treatment_runs import SURGERY, Plans, kinetics, plans_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

HEADLINES = (
    "p_overt_5y",
    "p_overt_10y",
    "h_since_surgery_5y",
    "t_recurrence_median",
    "n_organs_involved",
    "t_lethal_burden",
)
_CURVES = (
    ("pathway:vegf", False),
    ("pathway:vegfr2", False),
    ("pathway:immune_killing", False),
    ("pathway:erk", False),
    ("pathway:tgf_beta", False),
    ("endpoint:tumor", True),
    ("endpoint:own_tumor_vessels", True),
    ("endpoint:own_tumor_immune", True),
    ("endpoint:overt_lesions", False),
    ("endpoint:burden", True),
    ("endpoint:p_overt", False),
)
"""Courses that the page may show against untreated, and whether on a logarithmic scale; shown are those that change."""

SHOWN = 25
"""Rows of the table of pathways and genes on the page; the files hold all."""


def write_treatment(
    folder: str | Path, model: Model, regimens: Plans, runs: xr.Dataset, effects: xr.Dataset, command: str
) -> Path:
    """Write `report.html`, `effects.csv`, `effects.nc` and `figures/*.png` into a folder.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist; files of these names are replaced.
    model : Model
        Untreated.
    regimens : mapping of str to treatment or list of treatments
        The first is what the page is about, others are for comparison.
    runs : xarray.Dataset
        Result of `cascade.treatment_runs.run_treatments`.
    effects : xarray.Dataset
        Result of `cascade.treatment_effects` of the same.
    command : str
        What made the page; printed so that a reader can repeat it.

    Returns
    -------
    Path
        The page. It needs no network and no other file.
    """
    folder = Path(folder)
    plans = plans_of(regimens)
    main = next(iter(plans))
    if math.isnan(float(runs["start"].sel(treatment=main))):
        raise AnalysisError(f"treatment {main!r} never begins within the simulated time; simulate more years")
    make_folder(folder / "figures")
    write_table(folder / "effects.csv", effects_table(effects))
    write_dataset(folder / "effects.nc", effects)
    figures = {
        name: embed(figure, folder / "figures" / f"{name}.png")
        for name, figure in _figures(model, plans, runs, effects).items()
    }
    given = dose_rows(plans[main])
    drugs = {each.drug.name: each.drug for each in plans[main] if isinstance(each, Regimen)}
    numbers = {drug.title: [parameter_row(row) for row in drug.parameters] for drug in drugs.values()}
    context = {
        "title": f"{main} in {model.name}",
        "subtitle": "One patient with nominal parameters, simulated for "
        f"{number(float(runs['time'][-1]) / 365.25)} years with and without treatment.",
        "verdict": _sentences(main, runs, effects),
        "given": given,
        "begin": _begin_text(main, runs),
        "numbers": numbers,
        "assumed": sum(row["evidence"] == "assumed" for rows in numbers.values() for row in rows),
        "total": sum(map(len, numbers.values())),
        "reach": _reach(main, runs),
        "changed": _changed(main, effects),
        "days": [f"{day:g}" for day in effects["time"].values],
        "after": [f"{year:g}" for year in effects["year"].values] if "year" in effects.dims else [],
        "endpoints": _endpoints(effects, list(plans)),
        "labels": list(plans),
        "silent": str(effects.attrs["genes_without_level"]),
        "scales": str(effects.attrs["fold"]),
        "same": str(effects.attrs["same"]),
        "figures": figures,
        "sources": _sources([*given, *(row for rows in numbers.values() for row in rows)]),
        "command": command,
        "provenance": [
            (key, str(effects.attrs[key])) for key in _PROVENANCE if str(effects.attrs.get(key, "{}")) != "{}"
        ],
    }
    return write_text(folder / "report.html", render("treatment.html.j2", context))


_PROVENANCE = (
    "model", "model_sha256", "treatments", "cascade_version", "roadrunner_version", "libsbml_version", "solver",
    "relative_tolerance", "absolute_tolerance", "values",
)  # fmt: skip


def effects_table(effects: xr.Dataset) -> Any:
    """Return the effects as a pandas table: a row for each treatment, quantity and moment."""
    import pandas as pd

    texts = ["group", "quantity_name", "scale", "unit", "genes", "stage"]
    frames = []
    for dim, suffix, clock in (("time", "", "day since start"), ("year", "_after_surgery", "year after surgery")):
        if f"fold{suffix}" not in effects:
            continue
        own = [f"{name}{suffix}" for name in ("untreated", "treated", "difference", "fold", "reason")]
        frame = effects[own].reset_coords(texts).to_dataframe().reset_index()
        frame = frame.rename(
            columns={dim: "moment"} | {name: name.removesuffix(suffix) for name in own} if suffix else {dim: "moment"}
        )
        frame.insert(1, "clock", clock)
        frames.append(frame.drop(columns="start", errors="ignore"))
    first = ["treatment", "quantity", "clock", "moment", "untreated", "treated", "difference", "fold", "reason"]
    table = pd.concat(frames, ignore_index=True)[[*first, *texts]]
    return table.set_index(["treatment", "quantity", "clock", "moment"])


def _begin_text(main: str, runs: xr.Dataset) -> str:
    day = float(runs["start"].sel(treatment=main))
    name = SURGERY.replace(".", "__")
    surgery = float(runs[name].sel(treatment=main).values[-1]) if name in runs else math.inf
    text = f"The first dose is on day {day:,.0f} of the simulated time"
    if surgery <= float(runs["time"][-1]):
        where = "after" if day >= surgery else "before"
        text += f", {abs(day - surgery):,.0f} days {where} surgery"
    return text + "."


def _sentences(main: str, runs: xr.Dataset, effects: xr.Dataset) -> list[str]:
    """Say the main findings."""
    found = []
    if "readout" in effects.dims:
        table = effects.sel(treatment=main)
        for name in HEADLINES[:2]:
            if name in table["readout"].values and str(table["readout_reason"].sel(readout=name).item()) == OK:
                row = table.sel(readout=name)
                parts = [f"{100 * float(row[f'readout_{side}']):.2g} %" for side in ("untreated", "treated")]
                found.append(
                    f"The {row['readout_meaning'].item()} goes from {parts[0]} to {parts[1]}"
                    f" (hazard ratio {number(float(row['readout_fold']), 2)})."
                )
    held = _reach(main, runs)
    if held:
        found.append(
            "Targets, median over the time of treatment: " + "; ".join(f"{e['name']} {e['median']}" for e in held) + "."
        )
    less, more = _directions(main, effects)
    for word, names in (("less", less), ("more", more)):
        if names:
            found.append(f"What there is {word} of, at its most: {', '.join(names)}.")
    return found or ["The treatment changes nothing that is followed."]


def _directions(main: str, effects: xr.Dataset, most: int = 4) -> tuple[list[str], list[str]]:
    """Return the pathways that fall and rise most, with their largest fold change."""
    table = effects.sel(treatment=[main])
    names = largest(table, top=12, groups=("pathway",))
    found: tuple[list[str], list[str]] = ([], [])
    for name in names:
        fold = table["fold"].sel(treatment=main, quantity=name).values
        fold = fold[np.isfinite(fold)]
        with np.errstate(divide="ignore"):
            extreme = fold[np.abs(np.log2(fold)).argmax()]
        title = str(table["quantity_name"].sel(quantity=name).item())
        if abs(math.log2(extreme)) >= 0.07 if extreme > 0 else True:
            found[int(extreme > 1)].append(f"{title} ×{plot_treatment.fold_text(float(extreme))}")
    return found[0][:most], found[1][:most]


def _reach(main: str, runs: xr.Dataset) -> list[dict[str, str]]:
    """Return what each drug holds of its targets while it is given: median and range of the rows."""
    run = runs.sel(treatment=main, time=slice(float(runs["start"].sel(treatment=main)), None))
    found = []
    for name in map(str, run.data_vars):
        if "__u_" not in name or not run[name].notnull().any():
            continue
        values = run[name].values[int((run[name].values > 0).argmax()) :]
        during = values[np.arange(len(values)) <= _last_rise(values)]
        low, middle, high = np.percentile(during[1:] if len(during) > 1 else during, [5, 50, 95])
        found.append(
            {
                "name": str(run[name].attrs["long_name"]),
                "median": percent(middle),
                "range": f"{percent(low)} to {percent(high)}",
                "days": f"{float(run['time'][len(during) - 1] - run['time'][0]):,.0f}",
            }
        )
    return found


def _last_rise(values: np.ndarray) -> int:
    """Return the row after which nothing is given any more: the last one at which the engagement still rises."""
    rises = np.flatnonzero(np.diff(values) > 1e-6 * np.nanmax(np.abs(values)))
    return int(rises[-1]) + 1 if rises.size else len(values) - 1


def _changed(main: str, effects: xr.Dataset) -> list[dict[str, Any]]:
    """Return the rows of the table of pathways and genes, the largest change first."""
    table = effects.sel(treatment=main)
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    for name in largest(effects.sel(treatment=[main]), top=SHOWN, groups=("pathway", "gene", "endpoint")):
        row = table.sel(quantity=name)
        folds, reasons = list(row["fold"].values), list(row["reason"].values)
        if "year" in effects.dims:
            folds += list(row["fold_after_surgery"].values)
            reasons += list(row["reason_after_surgery"].values)
        twin = (str(row["unit"].item()), *map(str, folds))
        if twin in seen:
            continue  # a gene that is told by the same number as its pathway
        seen.add(twin)
        cells = [
            {"text": plot_treatment.fold_text(float(f)), "why": "" if r == OK else str(r)}
            for f, r in zip(folds, reasons, strict=True)
        ]
        known = row["untreated"].values[np.isfinite(row["untreated"].values)]
        unit = unit_label(str(row["unit"].item()))
        rows.append(
            {
                "name": str(row["quantity_name"].item()),
                "group": str(row["group"].item()),
                "genes": str(row["genes"].item()),
                "scale": str(row["scale"].item()),
                "untreated": f"{number(float(known[0]))} {unit}".strip() if known.size else "–",
                "cells": cells,
            }
        )
    return rows


def _endpoints(effects: xr.Dataset, labels: Sequence[str]) -> list[dict[str, Any]]:
    if "readout" not in effects.dims:
        return []
    rows = []
    for name in map(str, effects["readout"].values):
        table = effects.sel(readout=name)
        reasons = [str(table["readout_reason"].sel(treatment=label).item()) for label in labels]
        value = float(table["readout_untreated"].sel(treatment=labels[0]))
        if not math.isfinite(value) and all(reason != OK for reason in reasons):
            continue
        rows.append(
            {
                "name": name,
                "meaning": str(table["readout_meaning"].item()),
                "unit": unit_label(str(table["readout_unit"].item())),
                "scale": str(table["readout_scale"].item()),
                "untreated": _plain(value),
                "treated": [_plain(float(table["readout_treated"].sel(treatment=label))) for label in labels],
                "folds": [
                    plot_treatment.fold_text(float(table["readout_fold"].sel(treatment=label))) for label in labels
                ],
                "reasons": ["" if reason == OK else reason for reason in reasons],
            }
        )
    order = {name: place for place, name in enumerate(HEADLINES)}
    return sorted(rows, key=lambda row: order.get(row["name"], len(order)))


def _plain(value: float) -> str:
    """Write a number without an exponent where it has up to six digits before the point."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else number(value)


def _sources(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    keys = tuple(sorted({key for row in rows for key in row["source"]}))
    cited = Parameter(id="cited", name="what the page cites", nominal=0.0, unit="dimensionless", source=keys)
    found = citations(Model(name="page", flat="", parameters=(cited,), ids={}))
    return [(each.key, str(each) + (f" doi:{each.doi}" if each.doi else "")) for each in found]


def _figures(model: Model, plans: dict[str, Any], runs: xr.Dataset, effects: xr.Dataset) -> dict[str, Figure]:
    main = next(iter(plans))
    figures: dict[str, Figure] = {}
    regimens = [each for each in plans[main] if isinstance(each, Regimen)]
    if regimens:
        figures["drug"] = _draw_drug(main, regimens, runs)
    shown = largest(effects.sel(treatment=[main]), top=10, groups=("pathway",))
    if shown:
        figures["pathways"] = new_figure(10.5, 4.2)
        dense = treatment_effects(
            model, plans, days=_dense_days(main, regimens, runs), years_after_surgery=(), readouts=(),
            groups=("pathway",), runs=runs,
        )  # fmt: skip
        plot_treatment.fold_courses(dense, shown, main, figures["pathways"].subplots())
    courses = _draw_courses(model, list(plans), regimens, runs, effects)
    if courses is not None:
        figures["courses"] = courses
    if largest(effects):
        rows = min(45, len(largest(effects, top=1000)))
        figures["heat_map"] = new_figure(11.5, 1.9 + 0.23 * rows)
        plot_treatment.heat_map(effects, figures["heat_map"].subplots(), top=rows)
    return figures


def _dense_days(main: str, regimens: Sequence[Regimen], runs: xr.Dataset) -> list[float]:
    """Return days for a curve: once a day for the time of treatment and half as long after it, within the run."""
    last = float(runs["time"][-1] - runs["start"].sel(treatment=main))
    last = min([last, 1.5 * max(map(_span, regimens))] if regimens else [last])
    return [float(day) for day in np.linspace(0.0, last, min(2001, max(101, round(last) + 1)))]


def _draw_drug(main: str, regimens: Sequence[Regimen], runs: xr.Dataset) -> Figure:
    """Concentration of each drug over its first doses, and what it holds of its targets all the time."""
    drugs = list(dict.fromkeys(each.drug.name for each in regimens))
    figure = new_figure(11.5, 3.5 * len(drugs))
    axes = figure.subplots(len(drugs), 2, squeeze=False)
    for name, (left, right) in zip(drugs, axes, strict=True):
        own = [each for each in regimens if each.drug.name == name]
        days = [day for each in own for day in dose_days(each)]
        plot_treatment.concentration(kinetics(own), name, left, doses=days)
        left.set_title(f"{own[0].drug.title}: first doses", fontsize=9.5, loc="left")
        keep = [
            n
            for n in runs.data_vars
            if not str(n).partition("__")[2].startswith("u_") or str(n).startswith(f"{name}__")
        ]
        end = max(_span(each) for each in own) * 1.4
        plot_treatment.engagement(runs[keep], main, right, until=end)
        right.set_title("what it does to its targets in the tumor", fontsize=9.5, loc="left")
    return figure


def _span(each: Regimen) -> float:
    """Return the days from first to last dose, as far as they are known."""
    days = dose_days(each)
    if days:
        return float(days[-1] - days[0]) + 28
    return each.end - each.start if math.isfinite(each.end) else 730.0


def _draw_courses(
    model: Model, labels: list[str], regimens: Sequence[Regimen], runs: xr.Dataset, effects: xr.Dataset
) -> Figure | None:
    """Draw what changes most among the courses that a reader looks for, against untreated."""
    followed = {each.id: each for each in quantities_of(model, ("pathway", "endpoint"))}
    chosen = [(followed[name], log) for name, log in _CURVES if name in followed and _differs(effects, name)][:6]
    if not chosen:
        return None
    rows = -(-len(chosen) // 3)
    figure = new_figure(13, 3.3 * rows)
    axes = figure.subplots(rows, 3, squeeze=False).ravel()
    near = {"since": -60.0, "until": 1.5 * max(map(_span, regimens))} if regimens else {}
    for axis, (each, log) in zip(axes, chosen, strict=False):
        window = near if each.group == "pathway" else {}
        plot_treatment.against_untreated(runs, each.ids, axis, treatments=labels, title=each.name, log=log, **window)
    for axis in axes[len(chosen) :]:
        axis.set_visible(False)
    return figure


def _differs(effects: xr.Dataset, name: str) -> bool:
    row = effects.sel(quantity=name)
    own = [row[key].values.ravel() for key in ("fold", "fold_after_surgery") if key in row]
    fold = np.concatenate(own)
    return bool((np.abs(fold[np.isfinite(fold)] - 1) > 0.05).any())
