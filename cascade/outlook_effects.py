"""What each target or drug changes in the draws of one patient, how sure the order is, and what rests on assumption."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._asked import Asked
from cascade._people import People, personal_values
from cascade.drug_arms import drug_columns
from cascade.effects import Study
from cascade.errors import AnalysisError
from cascade.grounds import shares
from cascade.ranking import RELEVANT
from cascade.screening import Runs
from cascade.study import known_values

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

HAZARD = "h_since_surgery_by_year"
"""Readout that an outlook follows."""

MOST_YEARS = 15
"""Years after surgery that are followed, as far as the simulated time reaches."""

LEAST_HAZARD = 1e-12
"""Cumulative hazards below this are taken as this on the logarithmic scale: nobody of a million million."""


def hazards(runs: xr.Dataset) -> NDArray[np.float64]:
    """Return cumulative hazards since surgery over draw, (arm,) and year, without the nominal patient."""
    wanted = runs[HAZARD].sel(year=range(1, MOST_YEARS + 1)).transpose("patient", ..., "year")
    return np.asarray(wanted.values[1:], dtype=float)


def log_hazard(hazard: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of cumulative hazards, finite also where there is none."""
    return np.asarray(np.log(np.maximum(hazard, LEAST_HAZARD)))


def with_targets(found: xr.Dataset, study: Study, ask: Asked, year: int) -> xr.Dataset:
    """Add what each target or drug changes, the best first, and how sure the order is."""
    hazard = hazards(study.treated.transpose("patient", "arm", ...))[:, :, : found.sizes["year"]]
    weight, before = found["weight"].values, found["risk"].values[:, year - 1]
    reduction = before[:, None] + np.expm1(-hazard[:, :, year - 1])
    use = (weight > 0) & np.isfinite(reduction).all(axis=1)
    if not use.any():
        raise AnalysisError(_nobody_treated(study, reduction))
    share = np.where(use, weight, 0.0) / weight[use].sum()
    order = np.argsort(-(share @ np.where(use[:, None], reduction, 0.0)), kind="stable")
    reduction, hazard = reduction[:, order], hazard[:, order]
    data = _reductions(reduction[use], share[use], before[use])
    ratio = log_hazard(hazard[use, :, year - 1]) - log_hazard(found["hazard"].values[use, year - 1])[:, None]
    data |= {
        "hazard_ratio": ("target", np.exp(share[use] @ ratio)),
        "risk_treated": (("draw", "target", "year"), -np.expm1(-hazard)),
    }
    none, (p_best, p_better) = _sureness(reduction[use], share[use], before[use])
    found = found.assign(data | {"p_best": ("target", p_best), "p_better": (("target", "other"), p_better)})
    found.attrs |= {"p_none": none, "compared_draws": int(use.sum())}
    return found.assign_coords(_names(study, ask, order))


def _nobody_treated(study: Study, reduction: NDArray[np.float64]) -> str:
    known = np.atleast_1d(np.isfinite(reduction).any(axis=0))
    never = [arm.target for arm, told in zip(study.arms, known, strict=True) if not told]
    return (
        "no draw has a risk after surgery under every treatment"
        f" ({', '.join(never) or 'all together'}): a tumor that does not grow is never operated;"
        " give it from surgery on, or simulate more years"
    )


def _names(study: Study, ask: Asked, order: NDArray[np.intp]) -> dict[str, Any]:
    names = [study.arms[place].target for place in order]
    titles = {t.target: t.name for t in ask.targets} | {
        name: drug_columns(name, plan)["target_name"] for name, plan in ask.drugs.items()
    }
    return {
        "target": names,
        "other": names,
        "target_name": ("target", [titles[name] for name in names]),
        "kind": ("target", ["drug" if name in ask.drugs else "target" for name in names]),
    }


def _reductions(
    reduction: NDArray[np.float64], share: NDArray[np.float64], before: NDArray[np.float64]
) -> dict[str, Any]:
    """Return mean and range of risk reductions over draw and target, and how often each helps or harms."""
    mean = share @ reduction
    low, middle, high = (
        np.array([weighted_quantile(column, share, q) for column in reduction.T]) for q in (0.025, 0.5, 0.975)
    )
    least = RELEVANT * before[:, None]
    with np.errstate(divide="ignore"):
        needed = np.where(mean == 0, np.inf, 1 / mean)
    return {
        "reduction": ("target", mean), "reduction_lower": ("target", low), "reduction_upper": ("target", high),
        "reduction_median": ("target", middle), "nnt": ("target", needed),
        "p_helps": ("target", share @ (reduction > least)), "p_harms": ("target", share @ (reduction < -least)),
    }  # fmt: skip


def _sureness(
    reduction: NDArray[np.float64], share: NDArray[np.float64], before: NDArray[np.float64]
) -> tuple[float, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the chance that none helps, that of each to be the best, and that the row beats the column."""
    top = reduction.max(axis=1)
    helps = top > RELEVANT * before
    first = (reduction == top[:, None]) & helps[:, None]
    split = first / np.where(helps, first.sum(axis=1), 1)[:, None]
    row, column = reduction[:, :, None], reduction[:, None, :]
    better = np.tensordot(share, (row > column) + 0.5 * (row == column), axes=1)
    return float(share @ ~helps), (share @ split, better)


def weighted_quantile(values: NDArray[np.float64], weight: NDArray[np.float64], q: float) -> float:
    """Return a quantile of weighted values, linear between the middles of their weights."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(np.interp(q, (total - weight[order] / 2) / total[-1], values[order]))


def assumed_share(
    found: xr.Dataset,
    study: Study,
    ask: Asked,
    people: People,
    unknown: dict[str, NDArray[np.bool_]],
    values: dict[str, xr.DataArray],
    run: Runs,
) -> dict[str, float]:
    """Return the share of the variance of the log hazard that rests on assumed numbers, with its limits.

    It is that of the draws before the tests weight them, since a share of variance needs independent numbers.
    """
    rows = {row.id: row for row in ask.drawn}
    assumed = [name for name in unknown if rows[name].evidence == "assumed"]
    missing = dict.fromkeys(("assumed_share", "assumed_share_lower", "assumed_share_upper"), math.nan)
    if not assumed:
        return missing | {"assumed_share": 0.0}
    kept = study.untreated["patient"].values
    others = {name: column.sel(patient=kept).copy() for name, column in values.items()}
    for name in assumed:
        fresh = [personal_values(ask.model, rows[name], people.ids, study.seed, -int(draw))[0] for draw in kept[1:]]
        others[name][1:] = fresh
    again = run(ask.model, known_values(others, ask.model), ask.told.names, "partners")
    second = log_hazard(hazards(again)[:, int(found.attrs["sorted_year"]) - 1])
    pairs = shares(found["log_hazard"].values[:, None], second[:, None], study.seed)
    return {name: float(pairs[name][0]) for name in missing}
