"""A ranking over the people of a cohort: who they are, their risks, and the same people with the unknown drawn anew."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._asked import Asked
from cascade._people import People, drawn_people
from cascade._tables import require_whole
from cascade.effects import Study, main_places
from cascade.errors import AnalysisError
from cascade.screening import Runs
from cascade.specs import Model
from cascade.study import ALSO, HORIZONS, present, run_study
from cascade.subgroup_effects import subgroup_effects
from cascade.subgroups import subgroups_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

MOST_DRAWS = 100_000
"""Draws of a patient at once."""

RISKS = tuple(f"p_overt_{year}y" for year in HORIZONS)
"""Readouts by which a number needed to treat is told."""

NOMINAL = "nominal"
"""Name of the patient with nominal values, who is no person of the cohort."""


def with_risks(model: Model, also: Sequence[str] | None) -> tuple[str, ...]:
    """Return which readouts are told beside the main one: also those of numbers needed to treat."""
    return tuple(dict.fromkeys([*(present(model, ALSO) if also is None else also), *present(model, RISKS)]))


def check_people(patients: xr.Dataset | None, subgroups: object, n_draws: int) -> xr.DataArray | None:
    """Refuse what needs a cohort where there is none, and read the subgroups before anything runs."""
    require_whole("n_draws", n_draws, 0, MOST_DRAWS)
    if patients is None:
        if subgroups is not None or n_draws:
            raise AnalysisError("subgroups and n_draws need the people of a cohort; give patients=...")
        return None
    if NOMINAL in [str(name) for name in patients["patient"].values] if "patient" in patients.coords else []:
        raise AnalysisError(f"a patient of the cohort is called {NOMINAL!r}, which is the patient of nominal values")
    return None if subgroups is None else subgroups_of(patients, subgroups)  # type: ignore[arg-type]


def with_people(ranking: xr.Dataset, study: Study, ask: Asked, people: People, fraction: float) -> xr.Dataset:
    """Name the patients, and add their weights and risks."""
    names = np.array([NOMINAL, *people.ids])
    kept = ranking["patient"].values.astype(int)
    ranking = ranking.assign_coords(weight=("patient", people.all_weights[kept]))
    ranking = _with_risks(ranking, study, ask, fraction)
    reasons = json.loads(str(ranking.attrs["left_out"]))
    ranking.attrs["left_out"] = json.dumps({str(names[int(number)]): reason for number, reason in reasons.items()})
    ranking.attrs["cohort"] = len(people.ids)
    return ranking.assign_coords(patient=names[kept])


def _with_risks(ranking: xr.Dataset, study: Study, ask: Asked, fraction: float) -> xr.Dataset:
    """Add the chance of overt metastasis of every patient, untreated and in every arm."""
    years = [year for year, name in zip(HORIZONS, RISKS, strict=True) if name in ask.told.names]
    if not years:
        return ranking
    order = [str(name) for name in ranking["target"].values]
    windows = [str(name) for name in ranking["window"].values]
    shape = (ranking.sizes["patient"], len(order), len(windows), len(years))
    treated = np.full(shape, np.nan)
    untreated = np.full((shape[0], shape[3]), np.nan)
    for layer, year in enumerate(years):
        name = f"p_overt_{year}y"
        untreated[:, layer] = study.before(name).values
        for column, window in enumerate(windows):
            places = main_places(study, window, fraction)
            rows = [order.index(study.arms[place].target) for place in places]
            treated[:, rows, column, layer] = study.after(name, places).values
    meaning = {"long_name": "chance of overt distant metastasis within these years after surgery", "units": "1"}
    ranking["risk_untreated"] = (("patient", "horizon"), untreated, meaning)
    ranking["risk_treated"] = (("patient", "target", "window", "horizon"), treated, meaning)
    return ranking.assign_coords(horizon=("horizon", years, {"units": "year"}))


def with_draws(
    ranking: xr.Dataset,
    study: Study,
    ask: Asked,
    people: People,
    unknown: Mapping[str, NDArray[np.bool_]],
    draws: int,
    run: Runs,
) -> xr.Dataset:
    """Add what is found in every patient when what is not known is drawn anew, in the window that sorts."""
    seed = study.seed
    first = main_places(study, str(ranking.attrs["window"]), float(ranking.attrs["fraction"]))
    arms = tuple(study.arms[place] for place in first)
    values = drawn_people(ask.model, people, ask.drawn, unknown, draws, seed)
    second, _ = run_study(ask.model, arms, values, ask.told, seed, run, drugs=ask.models, part="_draws", fewest=0)
    whole = np.arange(1, len(people.ids) * draws + 1)
    shape = (len(people.ids), draws)
    main = ask.told.main
    before = second.before(main).reindex(patient=whole).values.reshape(shape)
    after = second.after(main, range(len(second.arms))).reindex(patient=whole).values.reshape(*shape, -1)
    order = [[arm.target for arm in second.arms].index(str(name)) for name in ranking["target"].values]
    who = [people.ids.index(str(name)) for name in ranking["patient"].values[1:]]
    blank = np.full((1, draws), np.nan)  # the nominal patient knows everything
    ranking["untreated_draw"] = (("patient", "draw"), np.concatenate([blank, before[who]]))
    after = np.concatenate([np.full((1, draws, after.shape[2]), np.nan), after[who]])[:, :, order]
    ranking["treated_draw"] = (("patient", "draw", "target"), after)
    ranking.attrs |= {
        "n_draws": draws,
        "redrawn": len(unknown),
        "draw_runs": int(second.treated["status"].size) + len(whole) + 1,
    }
    return ranking


def with_subgroups(ranking: xr.Dataset, member: xr.DataArray) -> xr.Dataset:
    """Add the effects by subgroup: variables that begin with `subgroup_`, and who belongs to which."""
    found = subgroup_effects(ranking, member)
    renamed = found.drop_vars([name for name in found.coords if name not in ("subgroup", "side", "horizon")])
    renamed = renamed.rename({name: f"subgroup_{name}" for name in renamed.data_vars})
    mine = member.reindex(patient=ranking["patient"].values, subgroup=renamed["subgroup"].values)
    attrs = ranking.attrs | {f"subgroup_{key}": found.attrs[key] for key in ("permutations", "tests")}
    ranking = ranking.assign({name: each.variable for name, each in renamed.data_vars.items()})
    ranking = ranking.assign_coords({dim: renamed[dim].variable for dim in ("subgroup", "side")})
    ranking["member"] = mine.astype(float)
    ranking.attrs = attrs
    return ranking


def people_attrs(people: People, patients: xr.Dataset, redraw: str | Sequence[str]) -> dict[str, Any]:
    """Return what the cohort says of itself, and what was drawn anew."""
    found: dict[str, Any] = {f"cohort_{key}": str(value) for key, value in patients.attrs.items()}
    return found | {"samples": len(people.ids), "redraw": redraw if isinstance(redraw, str) else ", ".join(redraw)}
