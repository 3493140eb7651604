"""One patient: the risk with what is known, how unsure that is, what would change it, and what to measure next."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._asked import Asked, asked_of
from cascade._measured import tests_of
from cascade._people import drawn_people, own_value, people_of, redrawn
from cascade._tables import is_number, require_whole
from cascade.arms import WindowSpec
from cascade.drug_arms import arms_of_drugs, regimens_of
from cascade.effects import Study
from cascade.errors import AnalysisError
from cascade.evaluate import USUAL_YEARS
from cascade.narrowing import SIZE, weights_of_draws, with_tests
from cascade.outlook_effects import HAZARD, MOST_YEARS, assumed_share, hazards, log_hazard, with_targets
from cascade.screening import Runs
from cascade.sensitivity.ranks import effective_size
from cascade.specs import Model, Solver, require_model
from cascade.study import Told, arms_of, present, run_study
from cascade.target_table import Target
from cascade.therapy.regimens import Regimen

if TYPE_CHECKING:
    import xarray as xr

DRAWS = 150
"""Draws of what is not known."""

FEWEST = 20
"""Effective draws below which an outlook says that it is not to be trusted."""

SOONEST = 5
"""Years after surgery that are followed at least."""

BEFORE = "at_operation:endpoints__h_cumulative"
"""Cumulative hazard of a metastasis that is overt already when the tumor is operated."""

SORTS = 10
"""Year after surgery by which targets are sorted, if the simulated time reaches it."""


def patient_outlook(
    model: Model,
    patient: xr.Dataset,
    *,
    drugs: Sequence[str | Regimen] = (),
    targets: Sequence[str | Target] = (),
    fraction: float = 0.9,
    window: WindowSpec | None = None,
    draws: int = DRAWS,
    redraw: str | Sequence[str] = "missing",
    years: float | None = None,
    seed: int = 1,
    solver: Solver | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Follow one patient many times, each with other values of what is not known.

    Parameters
    ----------
    model : Model
    patient : xarray.Dataset
        A cohort of one: `cohort.sel(patient="P7")`.
    drugs, targets : sequence
        What is given, as in `cascade.rank_targets`; targets are blocked by `fraction`.
    window : str or tuple, optional
        When it is given; by default from surgery on.
    draws : int
        Times that what is not known is drawn anew, at least 20. The first n do not change when more are asked for, nor
        with other patients in the table.
    redraw : str or sequence of str
        What is not known: "missing" (what the patient does not tell), "assumed", "all", or ids.
    years : float, optional
        Simulated time from the first tumor cell, at least 10; by default 40: tumors of up to 25 years, and 15 years
        after surgery.
    seed : int

    Returns
    -------
    xarray.Dataset
        Over `draw`: `weight`, `t_surgery`, `log_hazard`, and `risk` over `year` after surgery, `risk_treated` over
        `target`; `risk_before`, of a metastasis that is overt before surgery and not part of `risk`; `first_site` over
        `organ`; `reading` over `test`. Over `target`: `reduction` (mean absolute reduction of the risk by
        `sorted_year`) with the range of 95 % of the draws, `hazard_ratio`, `p_best`, `nnt` (one over the reduction;
        negative: number needed to harm), `p_helps` and `p_harms` (shares of the draws in which the risk changes by more
        than a tenth of itself); `p_better` over `other`. Over `test`: `narrowing`, the share of the variance of the log
        hazard that its result would take away, and `noise`, what chance alone would give. Attributes: `assumed_share`
        with limits, `effective_draws`, `used` (measures that were learned from), `unused`.

    Notes
    -----
    What is known acts in three ways. Genotypes and values are set. The diameter sets the size at which the tumor is
    operated. A draw whose tumor does not reach that size in time, or not within the patient's age, is not this one and
    has the weight 0; tumor cells in blood, allele fraction and marrow weight the others by the chance of the result.

    Raises
    ------
    AnalysisError
        If there is not one patient, no draw agrees with what is known, or none is operated under every treatment.
    """
    require_model(model, "patient_outlook")
    require_whole("draws", draws, 20, 100_000)
    if not (is_number(fraction) and 0 < fraction <= 1):
        raise AnalysisError(f"fraction is {fraction!r}; give a share above 0 and at most 1 (0.9 blocks 90 %)")
    one = sized(model, only_patient(patient))
    years = USUAL_YEARS + MOST_YEARS if years is None else years
    if not (is_number(years) and years >= 2 * SOONEST):
        raise AnalysisError(f"years is {years!r}; give at least {2 * SOONEST}: half of it is after surgery")
    ask = _asked(model, drugs, targets, window, years)
    people = people_of(model, one, ask.drawn, seed)
    unknown = redrawn(people, ask.drawn, redraw)
    run = Runs(
        ask.grid | {"solver": solver or Solver(), "workers": workers, "executor": executor, "progress": progress}
    )
    arms = arms_of(model, ask.targets, ask.windows, fraction, (), None)
    arms += arms_of_drugs(list(ask.drugs), ask.windows)
    values = drawn_people(model, people, ask.drawn, unknown, draws, seed)
    study, told = run_study(model, arms, values, ask.told, seed, run, drugs=ask.models, fewest=0)
    found = _outlook(study, one, ask, draws, seed)
    found.attrs |= assumed_share(found, study, ask, people, unknown, values, run)
    found = found.isel(draw=found["weight"].values > 0)
    found.attrs |= {key: study.untreated.attrs[key] for key in _KEPT if key in study.untreated.attrs}
    found.attrs |= {"model": model.name, "model_sha256": model.hash, "seed": seed, "draws": draws, "fraction": fraction}
    found.attrs |= {"redrawn": len(unknown), "window": ask.windows[0].name, "window_meaning": ask.windows[0].meaning}
    found.attrs["set"] = json.dumps([name for name, who in people.given.items() if who.any()])
    found.attrs |= {"reasons": told["reasons_untreated"], "patient": people.ids[0]} | ask.grid
    found.attrs["redrawn_assumed"] = sum(row.evidence == "assumed" for row in ask.drawn if row.id in unknown)
    return found


_KEPT = (
    "cascade_version",
    "roadrunner_version",
    "libsbml_version",
    "solver",
    "relative_tolerance",
    "absolute_tolerance",
)


def only_patient(patient: xr.Dataset) -> xr.Dataset:
    """Return a cohort of one, whether or not its dimension was dropped by `sel`."""
    if not hasattr(patient, "data_vars") or "patient" not in patient.coords:
        raise AnalysisError('the patient is no cohort; give one row, for example cohort.sel(patient="P7")')
    one = patient if "patient" in patient.dims else patient.expand_dims("patient")
    if one.sizes["patient"] != 1:
        raise AnalysisError(f"there are {one.sizes['patient']} patients; give one: cohort.sel(patient=...)")
    return one


def sized(model: Model, one: xr.Dataset) -> xr.Dataset:
    """Set the size at which the tumor is operated by the diameter, if that is known and the size is not."""
    name, density, volume, base = SIZE
    if any(key not in model.table for key in SIZE) or name in one or "diameter_mm" not in one:
        return one
    diameter = float(one["diameter_mm"].values[0])
    if not math.isfinite(diameter):
        return one
    cells = own_value(model, density) * own_value(model, volume) * (diameter / own_value(model, base)) ** 3
    return one.assign({name: ("patient", [cells], {"role": "value", "units": "cell"})})


def _asked(
    model: Model,
    drugs: Sequence[str | Regimen],
    targets: Sequence[str | Target],
    window: WindowSpec | None,
    years: float,
) -> Asked:
    """Resolve what is given, and name all that is read of every run."""
    plans = regimens_of(drugs, None)
    if not present(model, ("h_since_surgery_5y",)):
        raise AnalysisError(f"model {model.name!r} has no surgery and no metastases; an outlook needs a composition")
    wanted: Sequence[str | Target] | None = list(targets)
    if not targets and not drugs:
        raise AnalysisError("nothing is given; name at least one drug or target")
    ask = asked_of(model, "h_since_surgery_5y", wanted, plans, (window, ()), (), years)
    names = [HAZARD]
    names += [f"at_operation:{flat}" for _, flat in tests_of(set(model.ids.values())).values()]
    names += ["t_surgery", *present(model, (BEFORE, "f_first_site"))]
    return replace(ask, told=Told("t_surgery", "t_surgery", tuple(names), False))


def _outlook(study: Study, one: xr.Dataset, ask: Asked, draws: int, seed: int) -> xr.Dataset:
    import xarray as xr

    last = min(MOST_YEARS, int(ask.grid["years"] // 2))
    hazard = hazards(study.untreated)[:, :last]
    tests = tests_of(set(ask.model.ids.values()))
    expected = {name: study.untreated[f"at_operation:{flat}"].values[1:] for name, (_, flat) in tests.items()}
    weight, attrs = weights_of_draws(study, one, expected)
    weight = weight * np.isfinite(hazard[:, -1])
    if not weight.sum() > 0:
        raise AnalysisError(_nobody(draws, attrs))
    attrs["sorted_year"] = min(SORTS, last)
    numbers = study.untreated["patient"].values[1:]
    found = xr.Dataset(
        {
            "weight": ("draw", weight / weight.sum()),
            "t_surgery": ("draw", study.untreated["t_surgery"].values[1:], {"units": "day"}),
            "hazard": (("draw", "year"), hazard),
            "risk": (("draw", "year"), -np.expm1(-hazard)),
            "log_hazard": ("draw", log_hazard(hazard[:, attrs["sorted_year"] - 1])),
        },
        coords={"draw": numbers, "year": np.arange(1, last + 1)},
    )
    attrs["effective_draws"] = effective_size(weight)
    if BEFORE in study.untreated:
        found["risk_before"] = ("draw", -np.expm1(-study.untreated[BEFORE].values[1:]))
    if "f_first_site" in study.untreated:
        sites = study.untreated["f_first_site"]
        found["first_site"] = (("draw", "organ"), sites.transpose("patient", "organ").values[1:])
        found = found.assign_coords(organ=[str(name) for name in sites["organ"].values])
    known = json.loads(attrs["used"])
    found = with_tests(found, one, {k: v for k, v in expected.items() if k not in known}, tests, seed)
    found = with_targets(found, study, ask, attrs["sorted_year"])
    found.attrs |= attrs
    return found


def _nobody(draws: int, attrs: dict[str, Any]) -> str:
    known = ", ".join([*json.loads(attrs["used"]), "operated within the simulated time"])
    return (
        f"none of {draws} draws agrees with what is known of the patient ({known}); look at the values, simulate more"
        " years, or draw more"
    )
