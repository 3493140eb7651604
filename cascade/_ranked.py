"""What a study of targets says, put together: the ranking, other doses and readouts, and what it rests on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cascade._asked import Asked
from cascade.arms import beyond
from cascade.drug_arms import drug_columns, in_words
from cascade.effects import Study, also_effects, dose_effects, main_places, opposite_effects, organ_effects
from cascade.endpoints import DAYS_PER_YEAR
from cascade.grounds import flips, partners, shares
from cascade.ranking import Outcomes, rank_outcomes
from cascade.screening import Runs, screen, total_indices
from cascade.specs import Model
from cascade.study import BY_ORGAN, run_study
from cascade.target_table import Signs, Target

if TYPE_CHECKING:
    import xarray as xr

LEADING = 10
"""Targets of which it is told how far their effect rests on assumed numbers."""


def ranked(study: Study, ask: Asked, fraction: float, opposite: float | None) -> xr.Dataset:
    """Return the ranking by the arms of the main fraction, with all that the other arms tell."""
    return _with_effects(_ranking(study, ask, fraction), study, ask, fraction, opposite)


def _with_effects(ranking: xr.Dataset, study: Study, ask: Asked, fraction: float, opposite: float | None) -> xr.Dataset:
    """Add other doses, the reverse, other readouts, organs, the table of targets and what the windows mean."""
    order = [str(target) for target in ranking["target"].values]
    names = [window.name for window in ask.windows]
    reasons = [_reason(ask, target, opposite) for target in order]
    extra = dose_effects(study, ask.told.main, names[0], order)
    extra |= opposite_effects(study, ask.told.main, order, reasons)
    extra |= also_effects(study, ask.told.also, names, order, fraction) if ask.told.also else {}
    extra |= organ_effects(study, BY_ORGAN, names, order, fraction) if ask.told.organs else {}
    ranking = ranking.assign(extra).set_coords([name for name in extra if name.endswith("_reason")])
    ranking = _with_columns(ranking, ask)
    return ranking.assign_coords(window_meaning=("window", [window.meaning for window in ask.windows]))


def with_totals(ranking: xr.Dataset, ask: Asked, samples: int, seed: int, run: Runs) -> xr.Dataset:
    """Add the total Sobol index of the constants of each target."""
    sets: dict[str, list[str]] = {row: [] for row in ask.rows}  # a drug has no constants of the untreated model
    sets |= {target.target: [name for name, _ in acts] for target, acts in ask.targets.items()}
    total = total_indices(ask.model, ask.parameters, sets, ask.told.hazard, samples, seed, run)
    return ranking.assign(total.data_vars).assign_attrs(total.attrs)


def with_screening(
    ranking: xr.Dataset, ask: Asked, trajectories: int, seed: int, run: Runs, *, by_module: bool
) -> xr.Dataset:
    """Add the Morris screening of the untreated model."""
    found = screen(ask.model, ask.parameters, ask.told.main, trajectories, seed, run, by_module=by_module)
    attrs = ranking.attrs | found.attrs
    ranking = ranking.merge(found)
    ranking.attrs = attrs
    return ranking


def _reason(ask: Asked, row: str, opposite: float | None) -> str:
    if opposite is None:
        return "not computed"
    if row in ask.drugs:
        return "a drug has no reverse"
    acts = next(acts for known, acts in ask.targets.items() if known.target == row)
    return beyond(acts, ask.model, opposite) or "ok"


def with_grounds(
    ranking: xr.Dataset, study: Study, ask: Asked, patients: dict[str, xr.DataArray], pairs: int, run: Runs
) -> xr.Dataset:
    """Add the share of the effects of the leading targets that rests on assumed numbers."""
    import numpy as np
    import xarray as xr

    leading = [str(name) for name in ranking["target"].values[:LEADING]]
    first = [study.arms[place] for place in main_places(study, ranking.attrs["window"], ranking.attrs["fraction"])]
    arms = tuple(arm for arm in first if arm.target in leading)
    kept = study.untreated["patient"].values[: pairs + 1]
    chosen = {key: value.sel(patient=kept) for key, value in patients.items()}
    others = partners(chosen, ask.drawn, study.seed)
    others = {key: xr.concat([chosen[key][:1], value], dim="patient") for key, value in others.items()}
    second, _ = run_study(
        ask.model, arms, others, ask.told, study.seed, run, drugs=ask.models, part="_partners", fewest=0
    )
    arms = second.arms
    mine = study.change(ask.told.main, [study.arms.index(arm) for arm in arms]).sel(patient=kept).values[1:]
    theirs = second.change(ask.told.main, range(len(arms))).reindex(patient=kept).values[1:]
    weights = study.drawn_weights
    found = shares(mine, theirs, study.seed, None if weights is None else weights[:pairs])
    helps = -1 if ranking.attrs["better"] == "lower" else 1
    order = [arm.target for arm in arms]
    for name, values in found.items():
        column = np.full(ranking.sizes["target"], np.nan)
        column[[list(ranking["target"].values).index(target) for target in order]] = values
        ranking[name] = ("target", column)
    ranking.attrs |= flips(helps * mine, helps * theirs)
    return ranking


def _ranking(study: Study, ask: Asked, fraction: float) -> xr.Dataset:
    """Rank by the arms of the main fraction, and those of drugs."""
    import numpy as np
    import xarray as xr

    told = ask.told
    names, ids = [window.name for window in ask.windows], ask.rows
    found = {(study.arms[p].target, name): p for name in names for p in main_places(study, name, fraction)}
    places = [found[row, name] for name in names for row in ids]

    def cube(readout: str) -> xr.DataArray:
        flat = study.after(readout, places)
        shape = (flat.sizes["patient"], len(names), len(ids))
        dims = ("patient", "window", "target")
        coords = {"patient": flat["patient"].values, "window": names, "target": ids}
        reasons = np.reshape(flat["reason"].values, shape)
        return xr.DataArray(np.reshape(flat.values, shape), coords, dims, attrs=flat.attrs).assign_coords(
            reason=(dims, reasons)
        )

    outcomes = Outcomes(
        readout=told.main,
        untreated=study.before(told.main),
        treated=cube(told.main),
        hazard_untreated=study.before(told.hazard),
        hazard_treated=cube(told.hazard),
        weights=study.weights,
    )
    return rank_outcomes(outcomes, window=names[0], seed=study.seed, noise=study.noise)


def _with_columns(ranking: xr.Dataset, ask: Asked) -> xr.Dataset:
    """Add the columns of the target table and what each target or drug acts on, and how drugs are given."""
    columns = {target.target: _target_columns(target, acts) for target, acts in ask.targets.items()}
    columns |= {name: drug_columns(name, plan) for name, plan in ask.drugs.items()}
    rows = [columns[str(name)] for name in ranking["target"].values]
    ranking = ranking.assign_coords({key: ("target", [row[key] for row in rows]) for key in rows[0]})
    if ask.drugs:
        plans = {name: {"regimen": in_words(p), "tier": p.drug.tier} for name, p in ask.drugs.items()}
        models = {name: {"model_sha256": ask.models[name].hash} for name in ask.drugs}
        ranking.attrs["drugs"] = json.dumps({name: plans[name] | models[name] for name in ask.drugs})
        ranking.attrs["averaged"] = ", ".join(name for name, plan in ask.drugs.items() if plan.averaged)
    return ranking


def _target_columns(target: Target, acts: Signs) -> dict[str, str]:
    return {
        "target_name": target.name,
        "drug_class": target.drug_class,
        "stage": target.stage,
        "genes": ", ".join(target.genes),
        "example_drugs": target.example_drugs,
        "potency": target.potency,
        "source": ", ".join(target.source),
        "target_note": target.note,
        "acts_on": "; ".join(f"{name} {sign}" for name, sign in acts),
        "kind": "target",
        "regimen": "",
    }


def provenance(model: Model, *parts: xr.Dataset) -> dict[str, Any]:
    from importlib.metadata import version

    kept = {key: value for key, value in parts[0].attrs.items() if not key.startswith("values")}
    return kept | {
        "model": model.name,
        "model_sha256": model.hash,
        "screening_model_sha256": parts[0].attrs["model_sha256"],
        "salib_version": version("SALib"),
        "days_per_year": DAYS_PER_YEAR,
        "runs": sum(int(runs["status"].size) for runs in parts),
        "failed_runs": sum(int((runs["status"] != "ok").sum()) for runs in parts),
    }
