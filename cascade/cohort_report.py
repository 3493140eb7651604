"""The page of a cohort: who the patients are, what was published of them, what becomes of them, who was left out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade import plot_cohort
from cascade._files import make_folder, write_dataset, write_table, write_text
from cascade._style import embed, new_figure, render, unit_label
from cascade._words import number, percent
from cascade.cohort.presets import CohortPreset
from cascade.cohort.summary import moved_by_weights, population_course, weighted_percentiles, weights_of
from cascade.cohort.weighting import verdict_of
from cascade.export.citations import citations
from cascade.specs import Model, Parameter

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

SHOWN = 60
"""Rows of the table of constants on the page; `patients.csv` holds all."""

_PROVENANCE = (
    "model", "model_sha256", "preset", "seed", "years_after", "arm", "cascade_version", "roadrunner_version",
    "libsbml_version", "solver", "relative_tolerance", "absolute_tolerance", "days", "points",
)  # fmt: skip


def write_cohort(
    folder: str | Path,
    model: Model,
    cohort: xr.Dataset,
    outcomes: xr.Dataset,
    command: str,
    *,
    weights: xr.DataArray | None = None,
    preset: CohortPreset | None = None,
) -> Path:
    """Write `report.html`, `patients.csv`, `cohort.nc`, `outcomes.nc` and `figures/*.png` into a folder.

    Parameters
    ----------
    folder : str or Path
        Made if it does not exist; files of these names are replaced.
    model : Model
    cohort, outcomes : xarray.Dataset
        Results of `sample_cohort` and `follow_cohort`.
    command : str
        What made the page; printed so that a reader can repeat it.
    weights : xarray.DataArray, optional
        Result of `weight_cohort`.
    preset : CohortPreset, optional
        What the cohort stands for: its sources and published numbers.

    Returns
    -------
    Path
        The page. It needs no network and no other file.
    """
    folder = Path(folder)
    make_folder(folder / "figures")
    course = population_course(outcomes, weights)
    plain = population_course(outcomes.drop_vars("weight", errors="ignore")) if weights is not None else None
    write_table(folder / "patients.csv", patients_table(cohort, outcomes, weights))
    write_dataset(folder / "cohort.nc", cohort if weights is None else cohort.assign(weight=weights))
    write_dataset(folder / "outcomes.nc", outcomes if weights is None else outcomes.assign(weight=weights))
    heavy = weights_of(outcomes, weights)
    drawn = _figures(cohort, course, plain, heavy, preset)
    figures = {name: embed(each, folder / "figures" / f"{name}.png") for name, each in drawn.items()}
    left_out = Counter(str(reason) for reason in outcomes["reason"].values if reason != "ok")
    unexpressed = json.loads(cohort.attrs.get("unexpressed", "{}"))
    context = {
        "title": preset.title if preset else f"A cohort of {model.name}",
        "subtitle": f"{cohort.sizes['patient']:,} patients of the model {model.name}, seed {outcomes.attrs['seed']}",
        "description": preset.description.replace("`", "") if preset else "",
        "verdict": _sentences(cohort, course, weights, left_out),
        "moved": ", ".join(moved_by_weights(cohort, heavy)) if weights is not None else "",
        "measures": _rows(cohort, heavy, ("measure", "derived")),
        "marks": _rows(outcomes, heavy, ("mark",)),
        "constants": _rows(cohort, heavy, ("value",))[:SHOWN],
        "genotypes": _genotypes(cohort, heavy, preset),
        "marginals": _marginals(weights, preset),
        "stages": _stages(course, plain),
        "refused": [*_refused(cohort).items(), *left_out.items()],
        "scales": [(name, number(factor)) for name, factor in preset.scales.items()] if preset else [],
        "unexpressed": {name: "; ".join(why) for name, why in unexpressed.items()},
        "weighted": weights is not None,
        "figures": figures,
        "sources": _sources(preset),
        "command": command,
        "provenance": [(key, text) for key in _PROVENANCE if (text := str(outcomes.attrs.get(key, "")))],
    }  # fmt: skip
    return write_text(folder / "report.html", render("cohort.html.j2", context))


def patients_table(cohort: xr.Dataset, outcomes: xr.Dataset, weights: xr.DataArray | None = None) -> pd.DataFrame:
    """Return a row for each patient: constants, measures, genotypes, expected biomarkers, risk, weight, reason."""
    import pandas as pd

    found: dict[str, Any] = {"patient": cohort["patient"].values, "weight": weights_of(outcomes, weights)}
    for name, each in cohort.data_vars.items():
        if each.dims == ("patient",) and each.attrs.get("role") in ("value", "measure", "derived"):
            found[str(name)] = each.values
        elif each.attrs.get("role") == "genotype":
            other = next(dim for dim in each.dims if dim != "patient")
            found |= {str(label): each.sel({other: label}).values for label in cohort[other].values}
    for name, each in outcomes.data_vars.items():
        if each.attrs.get("role") == "mark":
            found[f"expected_{name}"] = each.values
    found["t_surgery"] = outcomes["t_surgery"].values
    found["p_metastasis_at_diagnosis"] = -np.expm1(-outcomes["h_before"].values)
    for years in (5, 10, 15):
        if 12 * years in outcomes["month"].values:
            found[f"p_metastasis_{years}y"] = -np.expm1(-outcomes["h_distant"].sel(month=12 * years).values)
    found["reason"] = outcomes["reason"].values
    return pd.DataFrame(found)


def _refused(cohort: xr.Dataset) -> dict[str, int]:
    found: dict[str, int] = json.loads(cohort.attrs.get("refused", "{}"))
    return {reason: count for reason, count in found.items() if count}


def _sentences(
    cohort: xr.Dataset, course: xr.Dataset, weights: xr.DataArray | None, left_out: Counter[str]
) -> list[str]:
    years = [year for year in (5, 10, 15) if 12 * year in course["month"].values]
    free = {year: float(course["p_free"].sel(month=12 * year)) for year in years}
    risks = ", ".join(f"{percent(1 - share)} within {year} years" for year, share in free.items())
    first = str(course["organ"].values[int(np.argmax(course["p_first_site"].values))])
    found = [f"Overt distant metastasis: {risks or 'not followed for 5 years'}; first site most often {first}."]
    drawn = int(cohort.attrs.get("drawn", cohort.sizes["patient"]))
    found.append(
        f"{drawn:,} patients were drawn, {sum(_refused(cohort).values()):,} refused as implausible and"
        f" {sum(left_out.values()):,} simulated without an answer;"
        f" {percent(float(course['p_at_diagnosis']))} have overt metastasis at diagnosis."
    )
    if weights is None:
        return [*found, "The patients are not weighted: every draw counts alike, whatever was published."]
    rows = json.loads(weights.attrs["marginals"])
    missed = [name for name, row in rows.items() if verdict_of(row) != "met"]
    found.append(
        f"Weighted to {len(rows)} published numbers, {len(rows) - len(missed)} of them met within 2 standard errors"
        + (f" (missed: {', '.join(missed)})" if missed else "")
        + f"; the effective sample size is {weights.attrs['ess']:.0f} of {weights.attrs['patients']:,} patients."
    )
    return found


def _rows(data: xr.Dataset, weights: Any, roles: tuple[str, ...]) -> list[dict[str, str]]:
    """Return percentiles of variables with and without weights."""
    rows = []
    for name, each in data.data_vars.items():
        if each.attrs.get("role") not in roles or each.dims != ("patient",):
            continue
        if roles == ("value",) and np.ptp(each.values) == 0:
            continue  # genotypes set it, and nobody has one that does
        low, middle, high = weighted_percentiles(each.values, weights)
        plain = weighted_percentiles(each.values, np.ones(len(weights)))
        rows.append(
            {
                "name": str(name),
                "meaning": str(each.attrs.get("long_name", "")),
                "unit": unit_label(str(each.attrs.get("units", ""))),
                "median": number(middle),
                "range": f"{number(low)} to {number(high)}",
                "plain": f"{number(plain[1])} ({number(plain[0])} to {number(plain[2])})",
            }
        )
    return rows


def _genotypes(cohort: xr.Dataset, weights: Any, preset: CohortPreset | None) -> list[dict[str, str]]:
    rows = []
    for each in cohort.data_vars.values():
        if each.attrs.get("role") != "genotype":
            continue
        other = next(dim for dim in each.dims if dim != "patient")
        for label in cohort[other].values:
            held = each.sel({other: label}).values.astype(float)
            asked = preset.genotypes.get(str(label)) if preset else None
            rows.append(
                {
                    "name": str(label),
                    "share": percent(float(weights @ held / weights.sum())),
                    "plain": percent(float(held.mean())),
                    "published": percent(asked.share) if asked else "–",
                    "source": ", ".join(asked.source) if asked else "",
                    "where": "; ".join(text for text in (asked.where, asked.note) if text) if asked else "",
                }
            )
    return rows


def _stages(course: xr.Dataset, plain: xr.Dataset | None) -> list[dict[str, str]]:
    """Return the share of each stage at diagnosis, with and without weights."""
    if "p_stage" not in course:
        return []
    before = course if plain is None else plain
    return [
        {
            "name": str(stage),
            "share": percent(float(course["p_stage"].sel(stage=stage))),
            "plain": percent(float(before["p_stage"].sel(stage=stage))),
        }
        for stage in course["stage"].values
    ]


def _marginals(weights: xr.DataArray | None, preset: CohortPreset | None) -> list[dict[str, Any]]:
    if weights is None:
        return []
    about = {each.name: each for each in preset.marginals} if preset else {}
    rows = []
    for name, row in json.loads(weights.attrs["marginals"]).items():
        each = about.get(name)
        rows.append(
            {
                "name": name,
                "quantity": each.quantity if each and each.quantity else name,
                "conditions": each.conditions if each else "",
                "published": number(row["published"]),
                "error": number(row["error"], 2),
                "plain": number(row["unweighted"]),
                "weighted": number(row["weighted"]),
                "verdict": verdict_of(row),
                "miss": number(row["miss"], 2),
                "source": ", ".join(each.source) if each else "",
                "where": "; ".join(text for text in (each.where, each.note) if text) if each else "",
            }
        )
    return rows


def _figures(
    cohort: xr.Dataset, course: xr.Dataset, plain: xr.Dataset | None, weights: Any, preset: CohortPreset | None
) -> dict[str, Figure]:
    published = preset.marginals if preset else ()
    figures = {"course": new_figure(9.6, 3.3), "sites": new_figure(5.4, 0.6 + 0.5 * course.sizes["organ"])}
    left, right = figures["course"].subplots(1, 2)
    plot_cohort.hazard_by_year(course, left, before=plain, published=published)
    plot_cohort.free_share(course, right, before=plain, published=published)
    plot_cohort.first_sites(course, figures["sites"].subplots(), before=plain)
    names = [name for name in ("diameter_mm", "doubling_days", "f_metastatic_potential") if name in cohort]
    if names:
        figures["patients"] = new_figure(3.3 * len(names), 2.6)
        for axis, name in zip(np.atleast_1d(figures["patients"].subplots(1, len(names))), names, strict=True):
            unit = unit_label(str(cohort[name].attrs.get("units", "")))
            plot_cohort.distribution(cohort[name].values, weights, axis, label=f"{name} {f'({unit})' if unit else ''}")
    return figures


def _sources(preset: CohortPreset | None) -> list[tuple[str, str]]:
    if preset is None:
        return []
    cited = Parameter(id="cited", name="what the page cites", nominal=0.0, unit="dimensionless", source=preset.sources)
    found = citations(Model(name="page", flat="", parameters=(cited,), ids={}))
    return [(each.key, str(each) + (f" doi:{each.doi}" if each.doi else "")) for each in found]
