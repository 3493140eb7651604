"""Drugs and doses as rows and sentences: what the command line and the pages print of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cascade.library import composition_names, module_names, place
from cascade.specs import Intervention, Parameter
from cascade.therapy import Treatment
from cascade.therapy._schedule import schedule
from cascade.therapy.drugs import Drug, drug_names, load_drug
from cascade.therapy.procedures import Radiotherapy, Surgery
from cascade.therapy.regimens import Regimen, regimen

TIERS = {
    "pharmacokinetics": "full kinetics with sources",
    "exposure": "a stated concentration; its potency has a source, its kinetics are not modeled",
}


def is_drug(name: str) -> bool:
    """Tell whether a name means a drug: a shipped one that is no module or composition, or a folder of one."""
    if name in (*module_names(), *composition_names()):
        return False
    path = place(name)
    return name in drug_names() or (path is not None and (path / "drug.toml").is_file())


def list_drugs() -> list[dict[str, Any]]:
    """Return name, title, class, tier, targets and regimens of every shipped drug."""
    return [_listed(load_drug(name)) for name in drug_names()]


def _listed(drug: Drug) -> dict[str, Any]:
    return {
        "name": drug.name,
        "title": drug.title,
        "drug_class": drug.drug_class,
        "tier": "carrier" if drug.carrier else drug.tier,
        "targets": [action.target for action in drug.actions],
        "regimens": list(drug.regimens),
    }


def describe_drug(drug: Drug) -> dict[str, Any]:
    """Return everything that the folder of a drug says, as plain data."""
    return _listed(drug) | {
        "path": str(drug.path),
        "meaning_of_tier": TIERS[drug.tier],
        "structure": drug.structure.name,
        "routes": list(drug.routes),
        "weight": drug.weight,
        "surface": drug.surface,
        "note": drug.note,
        "joins": dict(drug.joins),
        "actions": [_action(drug, place) for place in range(len(drug.actions))],
        "regimens": [_regimen(drug, name) for name in drug.regimens],
        "evidence": dict(Counter(row.evidence for row in drug.parameters)),
        "parameters": [parameter_row(row) for row in drug.parameters],
    }


def parameter_row(row: Parameter) -> dict[str, Any]:
    """Return a number with its unit and where it comes from, and the spread it may have."""
    return {
        "id": row.id,
        "name": row.name,
        "value": row.nominal,
        "unit": row.unit,
        "lower": row.lower,
        "upper": row.upper,
        "evidence": row.evidence,
        "source": list(row.source),
        "where": row.where,
        "conversion": row.conversion,
        "note": row.note,
    }


def _action(drug: Drug, place: int) -> dict[str, Any]:
    action = drug.actions[place]
    own = {key: getattr(action, key) for key in ("affinity", "ec50", "maximum", "hill") if getattr(action, key)}
    found: dict[str, Any] = {"target": action.target, "port": action.port, "concentration": action.concentration}
    return found | {key: drug.value(name) for key, name in own.items()} | {"note": action.note}


def _regimen(drug: Drug, name: str) -> dict[str, Any]:
    written = drug.regimens[name].entries
    sources = {key: written.get(key, "") for key in ("title", "status", "where")}
    return {"name": name, **sources, "source": list(written.get("source", ())), "dose": dose_text(regimen(drug, name))}


def dose_text(plan: Regimen) -> str:
    """Say in a line how much is given, how and how often."""
    if plan.route == "stated":
        parts = ["a stated concentration" if plan.dose == 1 else f"{plan.dose:g} x the stated concentration"]
    else:
        how = f", infusion of {plan.infusion_hours:g} h" if plan.route == "infusion" else f", {plan.route}"
        parts = [f"{plan.dose:g} {plan.unit}{how}"]
    if plan.every:
        parts.append(f"every {plan.every:g} days" if plan.every > 1 else f"{1 / plan.every:g} x a day")
    if plan.days_on:
        parts.append(f"{plan.days_on:g} days on and {plan.days_off:g} off")
    if plan.loading:
        parts.append("loading " + ", ".join(f"{dose:g} on day {day:g}" for day, dose in plan.loading))
    if plan.reductions:
        parts.append("reduced to " + ", ".join(f"{share:.0%} from day {day:g}" for day, share in plan.reductions))
    return ", ".join(parts) + (" (as a constant rate of the same mean)" if plan.averaged else "")


def course_text(plan: Regimen | Intervention) -> str:
    """Say from when until when."""
    origin = f" after {plan.origin}" if plan.origin else ""
    stop = plan.stop if isinstance(plan, Intervention) else (plan.end if plan.stop is not None else None)
    if stop is None and isinstance(plan, Regimen):
        stop = None if plan.doses is not None else plan.end
    end = "" if stop is None else " on" if math.isinf(stop) else f" to {stop:g}"
    text = f"from day {plan.start:g}{end}{origin}"
    doses = plan.doses if isinstance(plan, Regimen) else None
    text += f", {doses} dose{'s' if doses != 1 else ''} at most" if doses is not None else ""
    return text + (f", until {plan.until}" if isinstance(plan, Regimen) and plan.until else "")


def dose_rows(plan: Sequence[Treatment]) -> list[dict[str, Any]]:
    """Return what a treatment gives, a row for each of its regimens, ideal drugs and procedures."""
    return [_given(each) if isinstance(each, Regimen) else _other(each) for each in plan]


def _other(each: Intervention | Surgery | Radiotherapy) -> dict[str, Any]:
    ideal = isinstance(each, Intervention)
    row: dict[str, Any] = dict.fromkeys(("drug_class", "route", "where", "regimen", "status", "total"), "")
    return row | {
        "source": [],
        "drug": each.target,
        "title": each.label or each.target,
        "tier": "an ideal drug: a constant is multiplied, no kinetics" if ideal else "a procedure: an event",
        "dose": f"x {each.factor:g}" if isinstance(each, Intervention) else "",
        "course": course_text(each) if isinstance(each, Intervention) else "",
        "doses": each.fractions if isinstance(each, Radiotherapy) else None,
    }


def _given(each: Regimen) -> dict[str, Any]:
    plan = schedule(each)
    milligrams = {"mg": 1.0, "mg/kg": each.weight, "mg/m2": each.surface}.get(each.unit)
    total = (
        ""
        if milligrams is None
        else "without end"
        if math.isinf(plan.total)
        else f"{each.dose * milligrams * plan.total:,.0f} mg"
    )
    return {
        "drug": each.drug.name,
        "title": each.drug.title,
        "drug_class": each.drug.drug_class,
        "tier": TIERS[each.drug.tier],
        "route": each.route,
        "dose": dose_text(each),
        "course": course_text(each),
        "doses": len(dose_days(each)) or None,
        "total": total,
        "regimen": each.title or each.name,
        "status": "changed from the published regimen" if _is_changed(each) else each.status,
        "source": list(each.source),
        "where": each.where,
    }


def _is_changed(each: Regimen) -> bool:
    """Tell whether dose or rhythm are not those of the folder."""
    if each.name not in each.drug.regimens:
        return True
    known = regimen(each.drug, each.name)
    fields = ("dose", "unit", "route", "infusion_hours", "every", "days_on", "days_off", "loading", "reductions")
    return any(getattr(each, name) != getattr(known, name) for name in fields)


def dose_days(plan: Regimen) -> list[float]:
    """Return the days of doses that are given one by one, counted from the first day of the regimen."""
    if plan.averaged or plan.route == "stated":
        return []
    return [day for day, share in schedule(plan).steps if share > 0]
