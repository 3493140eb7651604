"""Drugs at their clinical doses as arms of a study: one model for each drug, in which a window says when it is given.

One model with all drugs would have all their states and doses in every run: with ten drugs a run of the small breast
model takes twice as long, while a model of its own costs a drug some seconds once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade._switch import END, FROM, UNTIL, windowed
from cascade.arms import SURGERY, Arm, Window, arm_values
from cascade.errors import AnalysisError
from cascade.sensitivity import uncertain
from cascade.specs import Model, Parameter
from cascade.target_table import Target, read_targets
from cascade.therapy import treat
from cascade.therapy.regimens import Regimen, regimen

if TYPE_CHECKING:
    import xarray as xr

DAILY = 1.0
"""Days between doses up to which a drug that is swallowed is given as its mean rate."""

BEFORE = 1e-6
"""Days before the end of a window at which a drug ends: a dose that falls on the last day is not given, everywhere."""

KINDS = ("target", "drug")


def regimens_of(drugs: Sequence[str | Regimen], averaged: bool | None) -> dict[str, Regimen]:
    """Return what is given in every arm by its name: that of the drug, with the regimen where a drug has several.

    Parameters
    ----------
    drugs : sequence of str or Regimen
    averaged : bool, optional
        Give the mean rate instead of doses: by default of what is swallowed at least daily.

    Raises
    ------
    UnknownNameError
        If there is no such drug.
    AnalysisError
        If a regimen says itself from when it counts, or two have one name.
    """
    if isinstance(drugs, str | Regimen) or not isinstance(drugs, Sequence):
        raise AnalysisError(f"drugs is {drugs!r}; give a list of names of drugs and of what regimen() returns")
    plans = [each if isinstance(each, Regimen) else regimen(each) for each in drugs]
    for plan in plans:
        if plan.origin is not None or plan.until is not None:
            raise AnalysisError(
                f"{plan.label}: the windows of a ranking say when a drug is given; leave out origin and until"
            )
    drugs_by_name = {plan.drug.name: plan.drug for plan in plans}
    for plan in plans:
        if plan.drug != drugs_by_name[plan.drug.name]:
            raise AnalysisError(f"drug {plan.drug.name!r} is given with two sets of numbers; give one another name")
    several = {name for name, count in Counter(plan.drug.name for plan in plans).items() if count > 1}
    names = [f"{p.drug.name}:{p.name}" if p.drug.name in several else p.drug.name for p in plans]
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise AnalysisError(
            f"drug {double[0]!r} is given twice; give each once, or name them: dataclasses.replace(regimen, name=...)"
        )
    return {name: _averaged(plan, averaged) for name, plan in zip(names, plans, strict=True)}


def _averaged(plan: Regimen, averaged: bool | None) -> Regimen:
    if averaged is None:
        averaged = plan.route == "oral" and plan.every is not None and plan.every <= DAILY
    return replace(plan, averaged=True) if averaged and plan.route != "stated" and plan.every is not None else plan


def drug_model(model: Model, plan: Regimen) -> Model:
    """Return a model that holds a drug whose course begins and ends with a window (see `drug_values`)."""
    timed = windowed(model, SURGERY if SURGERY in model.ids.values() else None)
    return treat(timed, replace(plan, origin=FROM, until=END))


def own_parameters(model: Model, treated: Model) -> tuple[Parameter, ...]:
    """Return the uncertain numbers of a drug: they differ between patients as those of the model do."""
    return tuple(row for row in uncertain(treated) if row.id not in model.table)


def arms_of_drugs(names: Sequence[str], windows: Sequence[Window]) -> tuple[Arm, ...]:
    """Return the arms of drugs: each in every window."""
    return tuple(Arm(target=name, window=window, fraction=math.nan, drug=True) for name in names for window in windows)


def drug_values(arms: Sequence[Arm], origins: Mapping[str, xr.DataArray], model: Model) -> dict[str, Any]:
    """Return the values that make the arms of one drug, over `arm` and where they differ over `patient`."""
    values = arm_values(arms, (), origins, model)
    return values | {UNTIL: values[UNTIL] - BEFORE}


def in_words(plan: Regimen) -> str:
    """Say how a drug is given, without the day on which a window begins."""
    if plan.route == "stated":
        often = "at its stated concentration" + (f" x {plan.dose:g}" if plan.dose != 1 else "")
    else:
        often = f"{plan.dose:g} {plan.unit} {plan.route}" + (f" every {plan.every:g} d" if plan.every else "")
    cycle = f", {plan.days_on:g} days on and {plan.days_off:g} off" if plan.days_on else ""
    later = f", from day {plan.start:g} of the window" if plan.start else ""
    return f"{often}{cycle}{later}, for {_course(plan)}" + (", as its mean rate" if plan.averaged else "")


def _course(plan: Regimen) -> str:
    if plan.doses is not None and plan.stop is None:
        return f"{plan.doses} doses"
    days = plan.end - plan.start
    return f"{days:g} days" if math.isfinite(days) else "as long as the window lasts"


def drug_columns(name: str, plan: Regimen) -> dict[str, str]:
    """Return what a ranking tells of a drug, in the columns that it has of targets."""
    table: dict[str, Target] = {target.target: target for target in read_targets()}
    hit = [table[action.target] for action in plan.drug.actions if action.target in table]
    potency = [plan.drug.table[key] for a in plan.drug.actions for key in (a.affinity, a.ec50) if key]
    kinetics = "" if plan.drug.tier == "pharmacokinetics" else "concentration stated, kinetics not modeled"
    return {
        "target_name": plan.drug.title + (f" ({plan.name})" if ":" in name else ""),
        "drug_class": plan.drug.drug_class,
        "stage": hit[0].stage if hit else "",
        "genes": "",  # genes are ranked by the targets that act on them
        "example_drugs": "",
        "potency": "; ".join(f"{row.id} {row.nominal:g} {row.unit}" for row in potency),
        "source": ", ".join(plan.source),
        "target_note": "; ".join(text for text in (plan.drug.note, kinetics) if text),
        "acts_on": "; ".join(target.target for target in hit),
        "kind": "drug",
        "regimen": in_words(plan),
    }
