"""The runs of a study of combinations, and the measures of synergy that come out of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.arms import MINIMUM_PATIENTS, Window
from cascade.dosing import Drugs, nominal_patient, run_doses
from cascade.errors import AnalysisError
from cascade.loewe import dose_shares, equivalent_dose, loewe_index
from cascade.screening import Runs
from cascade.sensitivity import uncertain
from cascade.sensitivity.ranks import MINIMUM_SHARE, bootstrap_means
from cascade.specs import Model
from cascade.study import sampled_patients
from cascade.synergy import OK, bliss_excess, hsa_excess, verdict

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

FINE = 3.0 ** (np.arange(-12, 29) / 4)
"""Doses of single drugs in the nominal patient: 3.6 to 99.95 % of the activity are blocked."""

COARSE = 3.0 ** np.array([-2, -1, 0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6])
"""Doses of single drugs in sampled patients."""

LOEWE_MARGIN = math.log(1.1)
"""A combination that saves less than a tenth of the dose is additive."""

MEASURES = {
    "effect": "share of the readout that the combination takes away",
    "bliss": "effect beyond that of independent drugs",
    "hsa": "effect beyond that of the best single drug",
    "gain": "effect beyond that of the best smaller combination",
    "loewe": "combination index: doses as shares of the doses alone with the same effect",
}
"""What is told of every combination, in words."""


def on_grid(
    model: Model, drugs: Drugs, grid: NDArray[np.float64], when: tuple[str, Window], seed: int, run: Runs
) -> xr.Dataset:
    """Run every pair on the grid of doses, and every drug alone, in the nominal patient."""
    import xarray as xr

    single = _curve_doses(grid, FINE)
    pairs = list(itertools.combinations(range(len(drugs.names)), 2))
    units = np.eye(len(drugs.names))
    both = [a * units[i] + b * units[j] for i, j in pairs for a in grid for b in grid]
    arms = np.concatenate([_alone(drugs, single), np.array(both)])
    nominal = nominal_patient(model)
    runs = run_doses(model, drugs, arms, nominal, when, seed, run, part="_grid", fewest=0)
    cut, shape = len(drugs.names) * single.size, (len(pairs), grid.size, grid.size)
    curve = runs.effect[0, :cut].reshape(-1, single.size)
    effect, reason = runs.effect[0, cut:].reshape(shape), runs.reason[0, cut:].reshape(shape)
    data: dict[str, Any] = {
        name: (("pair", "dose_first", "dose_second"), values)
        for name, values in _grid_measures(effect, grid, single, curve, pairs, drugs.names).items()
    }
    data["grid_reason"] = (("pair", "dose_first", "dose_second"), reason)
    data["curve"] = (("target", "curve_dose"), curve)
    data["curve_reason"] = (("target", "curve_dose"), runs.reason[0, :cut].reshape(curve.shape))
    coords: dict[str, Any] = {"pair": [_label(drugs, pair) for pair in pairs], "target": drugs.names}
    coords |= {"dose_first": grid, "dose_second": grid, "curve_dose": single}
    coords |= {name: ("pair", [drugs.names[pair[k]] for pair in pairs]) for k, name in enumerate(("first", "second"))}
    return xr.Dataset(data, coords, dict(runs.attrs))


def _grid_measures(
    effect: NDArray[np.float64],
    grid: NDArray[np.float64],
    single: NDArray[np.float64],
    curve: NDArray[np.float64],
    pairs: list[tuple[int, int]],
    names: list[str],
) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {f"grid_{name}": np.full(effect.shape, np.nan) for name in ("bliss", "hsa")}
    index, reason = np.full(effect.shape, np.nan), np.full(effect.shape, OK, dtype=object)
    at = np.searchsorted(single, grid)
    for place, pair in enumerate(pairs):
        parts = (curve[pair[0], at][:, None], curve[pair[1], at][None, :])
        found["grid_bliss"][place] = bliss_excess(effect[place], parts)
        found["grid_hsa"][place] = hsa_excess(effect[place], parts)
        doses, curves = (grid[:, None], grid[None, :]), [(single, curve[k]) for k in pair]
        index[place], reason[place] = loewe_index(effect[place], doses, curves, [names[k] for k in pair])
    return found | {"grid_effect": effect, "grid_loewe": index, "grid_reason_loewe": reason}


def _curve_doses(doses: NDArray[np.float64], base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return doses at which to sample single drugs: those given, and others that are not close to any of them."""
    beyond = 20 * doses[-1:]
    base = np.concatenate([base, beyond[beyond > base[-1]]])
    apart = np.abs(np.log(base[:, None] / doses)).min(axis=1) > 0.05
    return np.sort(np.concatenate([doses, base[apart]]))


def _alone(drugs: Drugs, doses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return arms x drugs of every drug alone: the doses of the first, then those of the second, ..."""
    return np.concatenate([np.outer(doses, unit) for unit in np.eye(len(drugs.names))])


def _label(drugs: Drugs, members: Sequence[int]) -> str:
    return " + ".join(drugs.names[member] for member in members)


def in_patients(
    model: Model,
    drugs: Drugs,
    sizes: Sequence[int],
    doses: NDArray[np.float64],
    when: tuple[str, Window],
    samples: int,
    seed: int,
    run: Runs,
) -> xr.Dataset:
    """Run every combination of these sizes in every patient, each drug at the same dose."""
    import xarray as xr

    parameters = uncertain(model)
    if not parameters:
        raise AnalysisError(f"model {model.name!r} has no uncertain parameter to draw patients from; give samples=0")
    single = _curve_doses(doses, COARSE)
    units = np.eye(len(drugs.names))
    sets = [members for size in sizes for members in itertools.combinations(range(len(units)), size)]
    together = [dose * units[list(members)].sum(axis=0) for members in sets for dose in doses]
    arms = np.concatenate([_alone(drugs, single), np.array(together)])
    patients = sampled_patients(parameters, samples, seed)
    runs = run_doses(model, drugs, arms, patients, when, seed, run, part="_patients", fewest=MINIMUM_PATIENTS)
    cut, count = len(units) * single.size, runs.effect.shape[0]
    curves = runs.effect[:, :cut].reshape(count, -1, single.size)
    effect, reason = (x[:, cut:].reshape(count, len(sets), doses.size) for x in (runs.effect, runs.reason))
    alone = curves[:, :, np.searchsorted(single, doses)]
    measures = _excesses(effect, alone, sets)
    loewe, reason_loewe = _loewe(effect, single, curves, sets, doses, drugs.names)
    measures |= {"effect": effect, "loewe": loewe, "reason": reason, "reason_loewe": reason_loewe}
    lacking = (reason == OK) & np.isnan(measures["gain"])
    measures["reason_parts"] = np.where(lacking, "a part of the combination has no result", reason)
    data: dict[str, Any] = {key: (("patient", "combination", "dose"), values) for key, values in measures.items()}
    data["alone"] = (("patient", "target", "dose"), alone)
    coords: dict[str, Any] = {"patient": runs.patients, "combination": [_label(drugs, s) for s in sets], "dose": doses}
    coords |= {"target": drugs.names, "size": ("combination", [len(members) for members in sets])}
    return xr.Dataset(data, coords, dict(runs.attrs))


def _excesses(
    effect: NDArray[np.float64], alone: NDArray[np.float64], sets: list[tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Return Bliss and HSA excess and the gain over the best smaller combination, patients x combinations x doses."""
    found: dict[str, NDArray[Any]] = {name: np.full(effect.shape, np.nan) for name in ("bliss", "hsa", "gain")}
    for place, members in enumerate(sets):
        singles = [alone[:, member] for member in members]
        smaller = [effect[:, other] for other, inner in enumerate(sets) if set(inner) < set(members)]
        found["bliss"][:, place] = bliss_excess(effect[:, place], singles)
        found["hsa"][:, place] = hsa_excess(effect[:, place], singles)
        found["gain"][:, place] = hsa_excess(effect[:, place], [*singles, *smaller])
    return found


def _loewe(
    effect: NDArray[np.float64],
    single: NDArray[np.float64],
    curves: NDArray[np.float64],
    sets: list[tuple[int, ...]],
    doses: NDArray[np.float64],
    names: list[str],
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return combination index and reasons, patients x combinations x doses."""
    index, reason = np.full(effect.shape, np.nan), np.full(effect.shape, OK, dtype=object)
    for patient, combined in enumerate(effect):
        alone = [equivalent_dose(combined, single, curves[patient, k], name=name) for k, name in enumerate(names)]
        for place, members in enumerate(sets):
            parts = [(alone[member][0][place], alone[member][1][place]) for member in members]
            index[patient, place], reason[patient, place] = dose_shares([doses] * len(members), parts)
    return index, reason


def with_statistics(found: xr.Dataset, seed: int, margin: float) -> xr.Dataset:
    """Add means over the sampled patients, their limits and verdicts."""
    dims = ("combination", "dose")
    columns: dict[str, Any] = {}
    for name in MEASURES:
        values = found[name].values[1:]
        found_of = _statistics(np.log(values) if name == "loewe" else values, seed)
        for end, numbers in found_of.items():
            columns[f"{name}_{end}"] = np.exp(numbers) if name == "loewe" else numbers
        mean, low, high = (found_of[end] for end in ("mean", "lower", "upper"))
        if name == "bliss":
            columns["verdict"] = verdict(mean, low, high, margin=margin)
        if name == "loewe":  # an index below 1 is synergy
            columns["verdict_loewe"] = verdict(-mean, -high, -low, margin=LOEWE_MARGIN)
    columns["missing_share"] = np.isnan(found["effect"].values[1:]).mean(axis=0)
    columns["loewe_share"] = np.isfinite(found["loewe"].values[1:]).mean(axis=0)
    return found.assign({name: (dims, values) for name, values in columns.items()})


def _statistics(values: NDArray[np.float64], seed: int) -> dict[str, NDArray[np.float64]]:
    """Return mean, 95 % limits and median over patients; NaN where too few have a value: they are no random part."""
    flat = values.reshape(values.shape[0], -1)
    enough = np.isfinite(flat).mean(axis=0) >= MINIMUM_SHARE
    found = np.full((4, flat.shape[1]), np.nan)
    if enough.any():
        known = flat[:, enough]
        limits = np.nanpercentile(bootstrap_means(known, seed=seed), [2.5, 97.5], axis=0)
        found[:, enough] = [np.nanmean(known, axis=0), *limits, np.nanmedian(known, axis=0)]
    return dict(zip(("mean", "lower", "upper", "median"), found.reshape(4, *values.shape[1:]), strict=True))
