"""What a virtual trial tells: survival by arm, comparisons with the control, looks, subgroups, and the verdict."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError, unknown_name
from cascade.survival import YEARS, kaplan_meier
from cascade.survival._compared import compared
from cascade.survival._followed import MONTHS_PER_YEAR, followed, provenance
from cascade.survival._hazards import Hazards, population_hazard
from cascade.survival._words import describe as describe_survival
from cascade.survival._words import needed_to_treat
from cascade.trial._randomize import Plan
from cascade.trial._replicates import event_share, expected_ratio, log_rank, mean_survival, ratios_by_half
from cascade.trial._verdict import verdict
from cascade.trial.size import Design, power_row, size_of

if TYPE_CHECKING:
    import xarray as xr

Enrolled = dict[str, Hazards]


def events_of(trial: xr.Dataset, arm: str) -> xr.Dataset:
    """Return the events of one arm."""
    labels = [str(each) for each in trial["arm"].values]
    if arm not in labels:
        raise unknown_name("arm", arm, labels, "the trial")
    names = [n for n in ("time", "event", "organ", "end", "weight", "source", "entry") if n in trial]
    if "assigned" in trial:
        mine = np.flatnonzero(trial["assigned"].values == arm)
        return trial[names].isel(patient=mine)
    return trial[names].sel(arm=arm, drop=True)


def courses(trial: xr.Dataset, enrolled: Enrolled) -> xr.Dataset:
    """Return survival by arm, as the trial sees it and without chance."""
    import xarray as xr

    control = next(iter(enrolled.values()))
    found = [
        kaplan_meier(events_of(trial, label), months=[float(m) for m in control.month]).isel(group=0, drop=True)
        for label in enrolled
    ]
    result = xr.concat(found, dim="arm", combine_attrs="drop").assign_coords(arm=list(enrolled))
    exact = np.stack([mean_survival((control, each))[1] for each in enrolled.values()])
    result["hazard_ratio_course"] = ("comparison", "month"), _course_of_ratio(exact, control.month)
    result["survival_exact"] = ("arm", "month"), exact, {"units": "dimensionless", "long_name": "without chance"}
    return result.assign_coords(comparison=list(enrolled)[1:])


def _course_of_ratio(exact: Any, month: Any) -> Any:
    """Return the ratio of the hazards of the populations in every month, without chance."""
    hazard = np.stack([population_hazard(each, month) for each in exact])
    return np.divide(
        hazard[1:], hazard[0], out=np.full_like(hazard[1:], math.nan), where=(hazard[0] > 0) & np.isfinite(hazard[0])
    )


def compare(trial: xr.Dataset, enrolled: Enrolled, plan: Plan) -> xr.Dataset:
    """Return every arm against the control."""
    import xarray as xr

    labels = list(enrolled)
    years = _years(plan)
    rows = []
    for i, label in enumerate(labels[1:], start=1):
        both = [followed(events_of(trial, each))[0] for each in (labels[0], label)]
        found = compared(*both, years=years) | _exact(enrolled, labels[0], label, years, plan, i)
        rows.append(xr.Dataset(found, coords={"year": years}).merge(_sizes(trial, enrolled, plan, i)))
    result = xr.concat(rows, dim="comparison").assign_coords(comparison=labels[1:])
    result["p_adjusted"] = "comparison", holm(result["p_log_rank"].values)
    describe_survival(result)
    return result


def _years(plan: Plan) -> list[float]:
    found = [year for year in YEARS if year * MONTHS_PER_YEAR <= plan.months]
    return found or [plan.months / MONTHS_PER_YEAR]


def holm(p: Any) -> Any:
    """Return p values adjusted for several comparisons (Holm 1979)."""
    order = np.argsort(p)
    m = np.isfinite(p).sum()
    raised = np.maximum.accumulate(np.asarray(p)[order] * np.maximum(m - np.arange(len(p)), 1))
    found = np.empty(len(p))
    found[order] = np.minimum(raised, 1.0)
    return found


def _design(enrolled: Enrolled, plan: Plan, place: int) -> Design:
    labels = list(enrolled)
    shares = plan.allocation[0], plan.allocation[place]
    return Design(
        pair=(enrolled[labels[0]], enrolled[labels[place]]), conduct=plan.conduct,
        allocation=shares[1] / sum(shares), alpha=plan.alpha, looks=plan.looks, limits=plan.limits,
        replicates=plan.replicates, seed=plan.seed,
    )  # fmt: skip


def _exact(enrolled: Enrolled, control: str, label: str, years: Any, plan: Plan, place: int) -> dict[str, Any]:
    pair = enrolled[control], enrolled[label]
    month = pair[0].month
    free = [np.interp(np.asarray(years) * MONTHS_PER_YEAR, month, each) for each in mean_survival(pair)]
    reduction = free[1] - free[0]
    share = _design(enrolled, plan, place).allocation
    halves = ratios_by_half(pair, plan.conduct, share)
    return {
        "hazard_ratio_exact": expected_ratio(pair, plan.conduct, share),
        **dict(zip(("half_month", "hazard_ratio_early", "hazard_ratio_late"), halves, strict=True)),
        "risk_reduction_exact": ("year", reduction),
        "nnt_exact": ("year", needed_to_treat(reduction, reduction, reduction)[0]),
    }


def _sizes(trial: xr.Dataset, enrolled: Enrolled, plan: Plan, place: int) -> xr.Dataset:
    """Return how many patients a trial of these two arms needs, and what one of this size can find."""
    import xarray as xr

    if plan.power is None:
        return xr.Dataset()
    design = _design(enrolled, plan, place)
    need = size_of(design, plan.power)
    shares = plan.allocation[0] + plan.allocation[place]
    mine = max(4, round(trial.sizes["patient"] * (1 if plan.paired else shares)))
    here = power_row(design, mine)
    return xr.Dataset(
        {
            "n_needed": need["n"],
            "n_needed_schoenfeld": need["n_schoenfeld"],
            "events_needed": need["events_schoenfeld"],
            "n_reason": need["reason"],
            "power": here["power"],
            "power_lower": here["power_lower"],
            "power_upper": here["power_upper"],
        }
    )


def interim(trial: xr.Dataset, enrolled: Enrolled, plan: Plan) -> xr.Dataset:
    """Return the log-rank test at every look; looks need patients in one arm each."""
    import xarray as xr

    if len(plan.looks) == 1:
        return xr.Dataset()
    if plan.paired or "weight" in trial:
        raise AnalysisError("looks need randomized patients who count alike; give n, and not paired")
    labels = list(enrolled)
    rows = [_looks(trial, enrolled, plan, i) for i in range(1, len(labels))]
    names = ("look_month", "look_events", "look_z")
    data: dict[str, Any] = {
        name: (("comparison", "look"), np.stack([row[i] for row in rows])) for i, name in enumerate(names)
    }
    found = xr.Dataset(data, coords={"comparison": labels[1:], "look": list(plan.looks)})
    found["look_bound"] = "look", plan.limits
    found["look_passed"] = abs(found["look_z"]) >= found["look_bound"]
    return found


def _looks(trial: xr.Dataset, enrolled: Enrolled, plan: Plan, place: int) -> tuple[Any, Any, Any]:
    labels = list(enrolled)
    mine = np.isin(trial["assigned"].values, (labels[0], labels[place]))
    rows = trial.isel(patient=np.flatnonzero(mine))
    time, event, entry = (rows[name].values for name in ("time", "event", "entry"))
    treated = rows["assigned"].values == labels[place]
    design = _design(enrolled, plan, place)
    planned = len(time) * event_share(design.pair, design.conduct, design.allocation)
    happened = np.sort(np.where(event, entry + time, np.inf))
    month, events, z = (np.empty(len(plan.looks)) for _ in range(3))
    for i, share in enumerate(plan.looks):
        row = min(max(math.ceil(share * planned) - 1, 0), len(time) - 1)
        month[i] = plan.months if share == 1 else min(happened[row], plan.months)
        until = month[i] - entry
        seen = np.where(until > 0, np.minimum(time, until), -1.0)
        found = log_rank(seen[None, :], (event & (time <= until) & (until > 0))[None, :], treated)
        z[i], events[i] = found[0][0], found[1][0]
    return month, events, z


def subgroups(trial: xr.Dataset, labels: Any) -> xr.Dataset:
    """Return the hazard ratio of every arm within every subgroup, and whether the ratios differ."""
    import xarray as xr

    names = sorted(set(labels) - {""})
    arms = [str(each) for each in trial["arm"].values]
    shape = len(arms) - 1, len(names)
    ratio, low, high, patients, events = (np.full(shape, math.nan) for _ in range(5))
    p = np.full(shape[0], math.nan)
    for i, arm in enumerate(arms[1:]):
        weighed = []
        for j, name in enumerate(names):
            part = trial.isel(patient=np.flatnonzero(labels == name))
            both = [events_of(part, each) for each in (arms[0], arm)]
            patients[i, j] = sum(each.sizes["patient"] for each in both)
            events[i, j] = sum(int(each["event"].sum()) for each in both)
            if min(each.sizes["patient"] for each in both) < 2:
                continue
            found = compared(*(followed(each)[0] for each in both), years=[0.0])
            ratio[i, j], low[i, j], high[i, j] = (found[f"hazard_ratio{s}"] for s in ("", "_lower", "_upper"))
            if found["log_hazard_ratio_error"] > 0:
                weighed.append((math.log(found["hazard_ratio"]), found["log_hazard_ratio_error"]))
        p[i] = cochran_q(weighed)
    both_dims = ("comparison", "subgroup")
    data = {"ratio": ratio, "ratio_lower": low, "ratio_upper": high, "patients": patients, "events": events}
    result = xr.Dataset({f"subgroup_{k}": (both_dims, v) for k, v in data.items()})
    return result.assign(p_interaction=("comparison", p)).assign_coords(comparison=arms[1:], subgroup=names)


def cochran_q(found: list[tuple[float, float]]) -> float:
    """Return p that logarithms of ratios, each with its standard error, are all the same."""
    from scipy.stats import chi2

    if len(found) < 2:
        return math.nan
    log, error = np.array(found).T
    weight = error**-2.0
    mean = (weight * log).sum() / weight.sum()
    return float(chi2.sf((weight * (log - mean) ** 2).sum(), len(found) - 1))


def describe(found: xr.Dataset, outcomes: xr.Dataset, enrolled: Enrolled, plan: Plan) -> xr.Dataset:
    """Give units, provenance and the verdict to a trial."""
    describe_survival(found)
    found["time"].attrs = {"units": "month", "long_name": "months from surgery to metastasis or end of follow-up"}
    found["entry"].attrs = {"units": "month", "long_name": "month of the trial in which the patient enters"}
    control = next(iter(enrolled.values()))
    found.attrs = provenance(outcomes) | {
        "arms": str(outcomes.attrs.get("arm", "")),
        "patients": int(found.sizes["patient"]),
        "cohort": int(control.known.size),
        "missing": control.missing,
        "missing_reasons": json.dumps(_reasons(outcomes, control)),
        "metastatic": _metastatic(found, control, plan),
        "metastatic_share": float(1 - control.weight.sum() / control.whole[control.known].sum()),
        "effective_patients": float(control.weight.sum() ** 2 / (control.weight**2).sum()),
        "months": plan.months,
        "accrual_months": plan.accrual,
        "dropout": plan.dropout,
        "death": plan.death,
        "paired": int(plan.paired),
        "allocation": json.dumps(dict(zip(enrolled, plan.allocation, strict=True))),
        "alpha": plan.alpha,
        "power_asked": plan.power if plan.power is not None else math.nan,
        "replicates": plan.replicates,
        "seed": plan.seed,
    }
    found.attrs["verdict"] = "\n".join(verdict(found))
    return found


def _metastatic(found: xr.Dataset, control: Hazards, plan: Plan) -> float:
    """Return how many patients of the cohort are metastatic at diagnosis: as drawn, or as expected if n were drawn."""
    if plan.n is None:
        return float(((control.whole > 0) & control.known).sum() - found.sizes["patient"])
    return float(-np.expm1(-control.before[control.known]).sum())


def _reasons(outcomes: xr.Dataset, control: Hazards) -> dict[str, int]:
    """Count why patients of the cohort cannot enter: the first reason that an arm gives."""
    if "reason" not in outcomes:
        return {}
    texts = outcomes["reason"].transpose("arm", "patient").values.astype(str)[:, ~control.known]
    found = [next((each for each in column if each != "ok"), "no weight") for column in texts.T]
    return dict(Counter(found))
