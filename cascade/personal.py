"""The page of one patient: the risk, what would change it, how sure that is, and what to measure next."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade import plot_personal
from cascade._files import make_folder, write_dataset, write_text
from cascade._style import embed, new_figure, render, unit_label
from cascade._words import number, percent, points
from cascade.outlook import FEWEST, only_patient, patient_outlook, weighted_quantile
from cascade.regimens import Regimen
from cascade.specs import Model
from cascade.subgroups import genotypes_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

SHOWN_YEARS = (1, 2, 5, 10, 15)
"""Years after surgery in the table of risks."""


def patient_report(
    model: Model,
    patient: xr.Dataset,
    *,
    folder: str | Path,
    drugs: Sequence[str | Regimen] = (),
    targets: Sequence[str] = (),
    command: str = "",
    **options: Any,
) -> Path:
    """Write a page about one patient: `report.html`, `outlook.nc` and `figures/*.png` in a folder.

    Parameters
    ----------
    model : Model
    patient : xarray.Dataset
        A cohort of one: `cohort.sel(patient="P7")`, of `cascade.read_patients` or `cascade.sample_cohort`.
    folder : str or Path
        Made if it does not exist; files of these names are replaced.
    drugs, targets : sequence
        What might be given; at least one.
    command : str
        What made the page; printed so that a reader can repeat it.
    **options
        Of `cascade.patient_outlook`: draws, window, years, seed, workers, ...

    Returns
    -------
    Path
        The page. It needs no network and no other file.
    """
    one = only_patient(patient)
    outlook = patient_outlook(model, one, drugs=drugs, targets=targets, **options)
    return write_patient(folder, one, outlook, command)


def write_patient(folder: str | Path, patient: xr.Dataset, outlook: xr.Dataset, command: str) -> Path:
    """Write the page of a patient from what `cascade.patient_outlook` found; see `patient_report`."""
    folder = make_folder(folder)
    make_folder(folder / "figures")
    write_dataset(folder / "outlook.nc", outlook)
    figures = {name: embed(figure, folder / "figures" / f"{name}.png") for name, figure in _figures(outlook).items()}
    attrs = outlook.attrs
    context = {
        "title": f"Patient {attrs['patient']} in {attrs['model']}",
        "subtitle": f"Simulated {attrs['draws']} times with other values of the {attrs['redrawn']} numbers of which"
        " nothing is known for this patient.",
        "verdict": _verdict(outlook),
        "warnings": _warnings(outlook),
        "known": _known(patient, attrs),
        "missing": _missing(patient, attrs),
        "risks": _risks(outlook),
        "assumed": _assumed(attrs),
        "organs": _organs(outlook),
        "given": f"Given {attrs['window_meaning'] or attrs['window']}; a target is blocked by"
        f" {percent(float(attrs['fraction']))} for all of that time, a drug as its regimen says.",
        "year": attrs["sorted_year"],
        "effects": _effects(outlook),
        "helpless": percent(float(attrs["p_none"])),
        "next": _next(outlook),
        "tests": _tests(outlook),
        "limits": _LIMITS,
        "figures": figures,
        "command": command or "cascade.patient_report(...)",
        "provenance": [(key, str(attrs[key])) for key in _PROVENANCE if key in attrs],
    }
    return write_text(folder / "report.html", render("patient.html.j2", context))


_PROVENANCE = (
    "model", "model_sha256", "patient", "seed", "draws", "effective_draws", "years", "window", "cascade_version",
    "roadrunner_version", "libsbml_version", "solver", "relative_tolerance", "absolute_tolerance",
)  # fmt: skip

_LIMITS = (
    "This is a research model, not for treatment decisions. The ranges hold what is not known of this patient's"
    " numbers; they do not hold what the model leaves out or has wrong, and the chance of one patient cannot be"
    " checked on that patient. Drugs have no toxicity here, no dose is missed, and a drug does what its table says"
    " and nothing else. Risks are of overt distant metastasis after surgery, in a patient who dies of nothing"
    " else. Numbers that a genotype sets are taken as exact, and numbers are drawn as if they were independent."
)


def _figures(outlook: xr.Dataset) -> dict[str, Figure]:
    found = {"risk": new_figure(6.4, 4.0), "reductions": new_figure(6.4, 1.2 + 0.38 * outlook.sizes["target"])}
    plot_personal.risk_course(outlook, found["risk"].subplots())
    plot_personal.reductions(outlook, found["reductions"].subplots())
    if outlook.sizes["test"]:
        found["tests"] = new_figure(6.4, 1.2 + 0.32 * outlook.sizes["test"])
        plot_personal.tests(outlook, found["tests"].subplots())
    return found


def _summary(values: np.ndarray, weight: np.ndarray) -> dict[str, str]:
    low, middle, high = (weighted_quantile(values, weight, q) for q in (0.05, 0.5, 0.95))
    return {"mean": percent(float(weight @ values)), "median": percent(middle), "range": _range(low, high)}


def _range(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def _risks(outlook: xr.Dataset) -> list[dict[str, str]]:
    weight = outlook["weight"].values
    years = [year for year in SHOWN_YEARS if year in outlook["year"].values]
    return [{"year": str(year)} | _summary(outlook["risk"].sel(year=year).values, weight) for year in years]


def _organs(outlook: xr.Dataset) -> list[dict[str, Any]]:
    if "first_site" not in outlook:
        return []
    weight = outlook["weight"].values
    sites = outlook["first_site"].transpose("draw", "organ").values
    whole = np.isfinite(sites).all(axis=1)
    share = weight * whole / max((weight * whole).sum(), 1e-300)
    rows: list[dict[str, Any]] = []
    for name, column in zip(outlook["organ"].values, np.nan_to_num(sites).T, strict=True):
        rows.append({"name": str(name).replace("_", " "), "order": float(share @ column)} | _summary(column, share))
    return sorted(rows, key=lambda row: -row["order"])


def _verdict(outlook: xr.Dataset) -> list[str]:
    weight, year = outlook["weight"].values, int(outlook.attrs["sorted_year"])
    risk = _summary(outlook["risk"].sel(year=year).values, weight)
    found = [
        f"The risk of overt distant metastasis within {year} years after surgery is {risk['mean']};"
        f" with what is not known it may be {risk['range']}."
    ]
    organs = _organs(outlook)
    if organs:
        found.append(f"The first organ is most likely {organs[0]['name']} ({organs[0]['mean']}).")
    first = outlook.isel(target=0)
    none = float(outlook.attrs["p_none"])
    if none > 0.5:
        found.append(f"None of what was tried helps by more than a tenth of the risk in {percent(none)} of the draws.")
    else:
        sure = float(first["p_best"])
        word = "surely" if sure > 0.95 else "probably" if sure > 0.7 else "perhaps"
        found.append(
            f"{first['target_name'].item()} {word} helps most (in {percent(sure)} of the draws): it averts"
            f" {points(float(first['reduction'])).lstrip('+')} percentage points."
        )
    return found


def _warnings(outlook: xr.Dataset) -> list[str]:
    size = float(outlook.attrs["effective_draws"])
    if size >= FEWEST:
        return []
    return [
        f"Only {size:.0f} of {outlook.attrs['draws']} draws count after what is known was taken in: the numbers below"
        " are rough. Draw more, or look whether what is known is likely in this model."
    ]


def _known(patient: xr.Dataset, attrs: Mapping[str, Any]) -> list[dict[str, str]]:
    used = json.loads(attrs["used"])
    rows = [{"name": name, "value": "present", "use": "sets numbers of the model"} for name in genotypes_of(patient)]
    unexpressed = json.loads(str(patient.attrs.get("unexpressed", "{}")))
    for row in rows:
        if row["name"] in unexpressed:
            row["use"] = "changes nothing: " + "; ".join(unexpressed[row["name"]])
    for name, each in patient.data_vars.items():
        role = each.attrs.get("role")
        if role not in ("measure", "value") or each.dims != ("patient",):
            continue
        value = float(each.values[0])
        told = role == "measure" or name in json.loads(attrs["set"])
        if math.isfinite(value) and told:
            title = str(each.attrs.get("long_name") or name)
            use = "set" if role == "value" else _USES.get(str(name), "weights the draws")
            use = use if role == "value" or name in used else "not used: the model cannot say what it would read"
            shown = f"{number(value)} {unit_label(str(each.attrs.get('units', '')))}".strip()
            rows.append({"name": title, "value": shown, "use": use})
    return rows


_USES = {"diameter_mm": "size at which the tumor is operated", "age_years": "the tumor is not older"}


def _missing(patient: xr.Dataset, attrs: Mapping[str, Any]) -> list[str]:
    found = [
        f"{attrs['redrawn']} uncertain numbers of the model and of the drugs: drawn from their priors,"
        f" {attrs['redrawn_assumed']} of which are assumed"
    ]
    if "diameter_mm" not in json.loads(attrs["used"]):
        found.append("diameter: operated at the size of the model (2 cm in breast)")
    absent = [
        str(each.attrs.get("long_name") or name)
        for name, each in patient.data_vars.items()
        if each.attrs.get("role") == "measure" and each.dtype.kind == "f" and not np.isfinite(each.values).all()
    ]
    if absent:
        found.append("not told in the table: " + ", ".join(absent))
    if not genotypes_of(patient):
        found.append("genotype: that of the model, without mutations beside it")
    reasons = {k: v for k, v in json.loads(str(attrs["reasons"])).items() if k != "ok"}
    if reasons:
        count = sum(reasons.values())
        found.append(f"{count} of {attrs['draws']} draws are not this patient: no operation in the simulated time")
    return found


def _assumed(attrs: Mapping[str, Any]) -> str:
    share, low, high = (float(attrs[f"assumed_share{end}"]) for end in ("", "_lower", "_upper"))
    if not math.isfinite(share):
        return "How much of the uncertainty rests on assumed numbers could not be told: too few draws."
    limits = f" ({_range(max(low, 0), min(high, 1))})" if math.isfinite(low) else ""
    return (
        f"{percent(min(share, 1.0))}{limits} of the variance of the log hazard rests on numbers that are assumed, not"
        " measured: better data on the model, and not on the patient, would take that away."
    )


def _effects(outlook: xr.Dataset) -> list[dict[str, str]]:
    rows = []
    count = outlook.sizes["target"]
    for place in range(count):
        row = outlook.isel(target=place)
        beats = float(outlook["p_better"].values[place, place + 1]) if place + 1 < count else math.nan
        low, high = (points(float(row[f"reduction_{end}"])).lstrip("+") for end in ("lower", "upper"))
        needed = float(row["nnt"])
        rows.append(
            {
                "name": str(row["target_name"].item()),
                "how": str(row["kind"].item()),
                "mean": points(float(row["reduction"])).lstrip("+"),
                "range": f"{low} to {high}",
                "ratio": number(float(row["hazard_ratio"]), 2),
                "nnt": f"{math.ceil(needed):,}" if math.isfinite(needed) else "–",
                "best": percent(float(row["p_best"])),
                "next": percent(beats),
            }
        )
    return rows


def _tests(outlook: xr.Dataset) -> list[dict[str, str]]:
    table = outlook.isel(test=np.argsort(-outlook["narrowing"].values, kind="stable"))
    return [
        {
            "name": str(table["test_name"].values[k]),
            "share": percent(float(table["narrowing"].values[k])),
            "noise": percent(float(table["noise"].values[k])),
            "error": str(table["test_error"].values[k]),
        }
        for k in range(table.sizes["test"])
    ]


def _next(outlook: xr.Dataset) -> str:
    if not outlook.sizes["test"]:
        return "Every test of which the model can say what it would read has been made."
    shares, chances = outlook["narrowing"].values, outlook["noise"].values
    place = int(np.argmax(np.where(shares > chances, shares, shares - 2)))  # those above chance come first
    share, noise = float(outlook["narrowing"].values[place]), float(outlook["noise"].values[place])
    name = str(outlook["test_name"].values[place])
    if share <= noise:
        return (
            f"No test stands out: the best ({name}) would take away {percent(share)} of the variance of the log hazard,"
            f" and chance alone gives up to {percent(noise)} with so many draws."
        )
    return (
        f"Most would be learned from: {name}. It would take away {percent(share)} of the variance of the log hazard"
        " (by groups of the simulated readings, with the error of the test)."
    )
