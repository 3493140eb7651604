"""Who is at risk, what is known of them, and what became of them: the rows that a risk is learned from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of
from cascade.errors import AnalysisError, UnknownNameError
from cascade.risk._site import make_sites
from cascade.risk._target import Target, make_target, require_both
from cascade.risk.biomarkers import Noise, measure_biomarkers

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

SIZE = "diameter_mm"

_SAME = 1e-3
"""Patients who differ by less, relative to the mean, are the same to every test."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """Patients at risk: what is known of them, what became of them."""

    target: Target
    table: xr.DataArray
    against: xr.DataArray | None
    exact: NDArray[np.float64] | None
    sites: tuple[list[str], NDArray[np.float64]] | str
    attrs: dict[str, Any]


def gather(
    cohort: xr.Dataset,
    outcomes: xr.Dataset | None,
    events: xr.Dataset | None,
    horizon: float,
    features: Sequence[str] | None,
    against: Sequence[str] | None,
    noise: Mapping[str, Noise | None] | None,
    seed: int,
) -> Study:
    """Collect the patients that are at risk and followed, with biomarkers that differ between them.

    Raises
    ------
    AnalysisError
        If there are too few, one class only, or no biomarker.
    """
    outcomes, events = aligned(cohort, outcomes, "outcomes"), aligned(cohort, events, "events")
    table = measure_biomarkers(cohort, outcomes, features=features, noise=noise, seed=seed)
    target, usable = make_target(outcomes, events, weights_of(cohort), float(horizon))
    usable &= table.notnull().any("feature").values
    rows = np.flatnonzero(usable)
    target = target.take(rows)
    require_both(target)
    constant = constants(table[rows])
    kept = [name for name in table["feature"].values.tolist() if name not in constant]
    if not kept:
        raise AnalysisError(f"no biomarker differs between the {len(rows)} patients: {', '.join(constant)}")
    exact = None
    if outcomes is not None and "h_distant" in outcomes and float(outcomes["month"].max()) >= 12 * horizon:
        exact = 1 - np.exp(-outcomes["h_distant"].sel(month=12 * horizon, method="nearest").values[rows].astype(float))
    rival, reason = _rival(cohort, outcomes, against, noise, seed, rows)
    attrs = {
        "against_reason": reason,
        "n_left_out": int(len(usable) - len(rows)),
        "constant_features": json.dumps(constant),
        "target": "exact probabilities" if target.exact else "drawn events",
    }
    return Study(
        target=target,
        table=table[rows].sel(feature=kept),
        against=rival,
        exact=exact,
        sites=make_sites(outcomes, events, target, rows),
        attrs=attrs,
    )


def aligned(cohort: xr.Dataset, other: xr.Dataset | None, what: str) -> xr.Dataset | None:
    """Return a dataset with the patients of the cohort, in their order."""
    if other is None:
        return None
    patients_of(cohort)
    patients_of(other)
    ids = cohort["patient"].values
    lacking = np.setdiff1d(ids.astype(str), other["patient"].values.astype(str))
    if lacking.size:
        raise AnalysisError(f"the {what} lack {lacking.size} patients of the cohort, first {str(lacking[0])!r}")
    return other.sel(patient=ids)


def weights_of(cohort: xr.Dataset) -> NDArray[np.float64]:
    """Return the weights of the patients, 1 if the cohort has none."""
    if "weight" not in cohort:
        return np.ones(cohort.sizes["patient"])
    weight: NDArray[np.float64] = cohort["weight"].values.astype(float)
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum():
        raise AnalysisError("weights of the cohort must be finite, 0 or above, and not all 0")
    weight /= weight.mean()
    return weight


def constants(table: xr.DataArray) -> dict[str, float | None]:
    """Return what does not differ between patients, with its one value; None where nothing was measured."""
    found: dict[str, float | None] = {}
    for name in table["feature"].values.tolist():
        known = table.sel(feature=name).values
        known = known[np.isfinite(known)]
        if not len(known) or np.std(known) <= _SAME * np.abs(known.mean()):
            found[name] = float(known.mean()) if len(known) else None
    return found


def _rival(
    cohort: xr.Dataset,
    outcomes: xr.Dataset | None,
    against: Sequence[str] | None,
    noise: Mapping[str, Noise | None] | None,
    seed: int,
    rows: NDArray[np.int64],
) -> tuple[xr.DataArray | None, str]:
    """Return what the biomarkers must beat, without the argument size alone, or why there is none."""
    if against is not None and not len(against):
        return None, "not asked for"
    names = (SIZE,) if against is None else tuple(against)
    try:
        table = measure_biomarkers(cohort, outcomes, features=names, noise=noise, seed=seed)[rows]
    except UnknownNameError:
        if against is None:
            return None, f"{SIZE} is not known"
        raise
    constant = constants(table)
    kept = [name for name in table["feature"].values.tolist() if name not in constant]
    if not kept:
        return None, f"{', '.join(constant)}: no difference between patients"
    return table.sel(feature=kept), ""
