"""What a page of a patient says: the verdict in sentences, and the rows of its tables."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._next_tests import best_test
from cascade._style import unit_label
from cascade._words import number, percent, points
from cascade.narrowing import SIZE
from cascade.outlook import FEWEST
from cascade.outlook_effects import weighted_quantile
from cascade.subgroups import genotypes_of

if TYPE_CHECKING:
    import xarray as xr

SHOWN_YEARS = (1, 2, 5, 10, 15)
"""Years after surgery in the table of risks."""

WIDE, NARROW = 0.5, 0.2
"""Width of the 90 % range of a risk from which it is hardly sure, and up to which it is fairly sure: choices."""

MOST_NEEDED = 1e5
"""Numbers needed to treat above this are none."""

TOLD = 0.05
"""Share of the draws with harm, and chance of a metastasis before surgery, that the verdict tells: a choice."""


def share_text(value: float) -> str:
    """Write a probability; nothing that is drawn is 0 or 1 for sure."""
    if 0 <= value < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if 0.999 < value <= 1 else percent(value)


def _summary(values: np.ndarray, weight: np.ndarray) -> dict[str, str]:
    low, middle, high = (weighted_quantile(values, weight, q) for q in (0.05, 0.5, 0.95))
    return {"mean": share_text(float(weight @ values)), "median": share_text(middle), "range": _range(low, high)}


def _range(low: float, high: float) -> str:
    return f"{share_text(low)} to {share_text(high)}"


def risks(outlook: xr.Dataset) -> list[dict[str, str]]:
    """Return the risk by year."""
    weight = outlook["weight"].values
    years = [year for year in SHOWN_YEARS if year in outlook["year"].values]
    return [{"year": str(year)} | _summary(outlook["risk"].sel(year=year).values, weight) for year in years]


def organs(outlook: xr.Dataset) -> list[dict[str, Any]]:
    """Return the first organ, the most likely first."""
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


def verdict(outlook: xr.Dataset) -> list[str]:
    """Return the sentences at the top: risk, how sure, why, what stands before surgery, first organ, what helps."""
    found = [*_risk_words(outlook), *_before_words(outlook)]
    rows = organs(outlook)
    if rows:
        first = rows[0]
        found.append(f"The first organ is most likely {first['name']} ({first['mean']}; {first['range']}).")
    return [*found, _help_words(outlook), *_harm_words(outlook)]


def _risk_words(outlook: xr.Dataset) -> list[str]:
    weight, year = outlook["weight"].values, int(outlook.attrs["sorted_year"])
    values = outlook["risk"].sel(year=year).values
    risk = _summary(values, weight)
    return [
        f"The risk of overt distant metastasis within {year} years after surgery is {risk['mean']}, the mean over all"
        f" that is not known of this patient; the median is {risk['median']}, and nine of ten draws lie in"
        f" {risk['range']}.",
        f"{_how_sure(outlook, values)} {_why(outlook)}",
    ]


def _how_sure(outlook: xr.Dataset, risk: np.ndarray) -> str:
    if outlook.attrs["effective_draws"] < FEWEST:
        return "How sure that is cannot be said: too few draws agree with what is known."
    low, high = (weighted_quantile(risk, outlook["weight"].values, q) for q in (0.05, 0.95))
    if high - low > WIDE:
        return "That is hardly sure."
    return "That is not very sure." if high - low > NARROW else "That is fairly sure, if the model is right."


def _why(outlook: xr.Dataset) -> str:
    """Say what makes the range wide, and what would make it narrower."""
    share = float(outlook.attrs["assumed_share"])
    found = (
        f"{outlook.attrs['redrawn']} numbers of the model were not measured in this patient and are drawn from all that"
        " they might be"
    )
    if math.isfinite(share) and share > 0:
        found += f"; {percent(min(share, 1.0))} of the spread rests on assumed ones, which no test of a patient mends"
    place = best_test(outlook)
    if place is None:
        return f"{found}. No test of which the model knows the reading would narrow it beyond chance."
    name, narrower = outlook["test_name"].values[place], float(outlook["narrowing"].values[place])
    return f"{found}. The test that would narrow it most: {name} ({percent(narrower)} of the spread)."


def _before_words(outlook: xr.Dataset) -> list[str]:
    if "risk_before" not in outlook:
        return []
    known = np.nan_to_num(outlook["risk_before"].values)
    chance = float(outlook["weight"].values @ known)
    if chance < TOLD:
        return []
    return [
        f"The chance that a metastasis is overt already at surgery is {share_text(chance)}; it is not part of the risk"
        " above. Stage the patient first."
    ]


def _help_words(outlook: xr.Dataset) -> str:
    first, none = outlook.isel(target=0), float(outlook.attrs["p_none"])
    if none > 0.5:
        return f"None of what was tried averts more than a tenth of the risk in {percent(none)} of the draws."
    alone = outlook.sizes["target"] == 1
    sure = float(first["p_helps"] if alone else first["p_best"])
    word = "surely" if sure > 0.95 else "probably" if sure > 0.7 else "perhaps"
    what = "averts more than a tenth of the risk" if alone else "helps most"
    low, high = (_plain(float(first[f"reduction_{end}"])) for end in ("lower", "upper"))
    return (
        f"{first['target_name'].item()} {word} {what} (in {percent(sure)} of the draws): in the mean it averts"
        f" {_plain(float(first['reduction']))} percentage points, in 95 % of the draws {low} to {high}."
    )


def _harm_words(outlook: xr.Dataset) -> list[str]:
    return [
        f"{name} raises the risk by more than a tenth of it in {percent(float(share))} of the draws."
        for name, share in zip(outlook["target_name"].values, outlook["p_harms"].values, strict=True)
        if share > TOLD
    ]


def _plain(reduction: float) -> str:
    return points(reduction).lstrip("+")


def warnings(outlook: xr.Dataset) -> list[str]:
    """Return what makes the numbers rough."""
    size = float(outlook.attrs["effective_draws"])
    if size >= FEWEST:
        return []
    return [
        f"Only {size:.0f} of {outlook.attrs['draws']} draws count after what is known was taken in: the numbers below"
        " are rough. Draw more, or look whether what is known is likely in this model."
    ]


def known(patient: xr.Dataset, attrs: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what is known of the patient and how it was used."""
    used = json.loads(attrs["used"])
    rows = [{"name": name, "value": "present", "use": "sets numbers of the model"} for name in genotypes_of(patient)]
    unexpressed = json.loads(str(patient.attrs.get("unexpressed", "{}")))
    for row in rows:
        if row["name"] in unexpressed:
            row["use"] = "changes nothing: " + "; ".join(unexpressed[row["name"]])
    for name, each in patient.data_vars.items():
        role = each.attrs.get("role")
        told_by_diameter = name == SIZE[0] and "diameter_mm" in used
        if role not in ("measure", "value") or each.dims != ("patient",) or told_by_diameter:
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


def missing(patient: xr.Dataset, attrs: Mapping[str, Any]) -> list[str]:
    """Return what is not known and what stands for it."""
    found = [
        f"{attrs['redrawn']} uncertain numbers of the model and of the drugs: drawn from their priors,"
        f" {attrs['redrawn_assumed']} of which are assumed; this is what makes the ranges wide"
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


def assumed(attrs: Mapping[str, Any]) -> str:
    """Return the sentence on what rests on assumption, and so on no test of this patient."""
    share, low, high = (float(attrs[f"assumed_share{end}"]) for end in ("", "_lower", "_upper"))
    if not math.isfinite(share):
        return "How much of that rests on assumed numbers could not be told: too few draws."
    limits = f" ({_range(max(low, 0), min(high, 1))})" if math.isfinite(low) else ""
    return (
        f"{percent(min(share, 1.0))}{limits} of the variance of the log hazard rests on numbers that are assumed, not"
        " measured: better data on the model, and not on the patient, would take that away."
    )


def effects(outlook: xr.Dataset) -> list[dict[str, str]]:
    """Return what each target or drug changes."""
    rows = []
    count = outlook.sizes["target"]
    for place in range(count):
        row = outlook.isel(target=place)
        beats = float(outlook["p_better"].values[place, place + 1]) if place + 1 < count else math.nan
        low, high = (_plain(float(row[f"reduction_{end}"])) for end in ("lower", "upper"))
        rows.append(
            {
                "name": str(row["target_name"].item()),
                "how": str(row["kind"].item()),
                "mean": _plain(float(row["reduction"])),
                "range": f"{low} to {high}",
                "ratio": number(float(row["hazard_ratio"]), 2),
                "nnt": _needed(float(row["nnt"])),
                "helps": percent(float(row["p_helps"])),
                "harms": percent(float(row["p_harms"])),
                "best": percent(float(row["p_best"])),
                "next": percent(beats),
            }
        )
    return rows


def _needed(number_needed: float) -> str:
    if not abs(number_needed) < MOST_NEEDED:
        return "–"
    size = f"{math.ceil(abs(number_needed)):,}"
    return size if number_needed > 0 else f"{size} to harm one"
