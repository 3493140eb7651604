"""Which targets to hit together: pairs and triples over doses and patients, with their synergy."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._combine import MEASURES, in_patients, on_grid, with_statistics
from cascade._tables import is_number, require_whole
from cascade.arms import WindowSpec, windows_of
from cascade.dosing import Drugs, drugs_of
from cascade.endpoints import DAYS_PER_YEAR
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import time_grid
from cascade.readouts import find_readout, resolve_readout
from cascade.screening import Runs
from cascade.sensitivity.priors import MOST_SAMPLES
from cascade.specs import Model, Solver, require_model
from cascade.synergy import OK
from cascade.target_table import Target

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

GRID = tuple(3.0**power for power in range(-2, 3))
"""Doses of the grid: 10, 25, 50, 75 and 90 % of the activity are blocked."""

IN_PATIENTS = (1.0, 9.0)
"""Doses in sampled patients: 50 and 90 %."""

_ACTIONS = {frozenset("-"): "blocked", frozenset("+"): "boosted", frozenset("-+"): "blocked or boosted"}


def combine_targets(
    model: Model,
    targets: Sequence[str | Target],
    *,
    readout: str = "h_since_surgery_5y",
    order: int = 2,
    doses: Sequence[float] = GRID,
    patient_doses: Sequence[float] = IN_PATIENTS,
    window: WindowSpec | None = None,
    samples: int = 32,
    seed: int = 1,
    margin: float = 0.01,
    years: float | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    solver: Solver | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Combine targets in pairs and triples, and tell synergy from independence.

    A drug at dose d leaves 1 / (1 + d) of the activity of what it blocks, and multiplies what it boosts by
    1 + d / (1 + d). Drugs that act on one constant in the same direction compete for it and their doses add; others act
    independently (`cascade.synergy.activity`). The effect is the share of the readout that is taken away, of its hazard
    if it has one: independent drugs multiply what is left of a hazard, not of a probability.

    Parameters
    ----------
    model : Model
    targets : sequence of str or Target
        Two or more, for example the leading ones of `rank_targets`; three or more for triples.
    readout : str
        A name of `cascade.readouts.known_readouts()` with a hazard, or of a number that is never negative.
    order : int
        2 for pairs; 3 for pairs and triples.
    doses : sequence of float
        Doses of the grid of every pair in the nominal patient, in units of the half-maximal dose.
    patient_doses : sequence of float
        Doses in sampled patients; all drugs of a combination get the same.
    window : str or tuple, optional
        When all drugs act, as in `rank_targets`; by default adjuvant if the model has a surgery, else lifelong.
    samples : int
        Patients drawn from the priors, at least 10; 0 leaves them out, and with them intervals and verdicts.
    seed : int
        0 or above; fixes patients and bootstrap.
    margin : float
        An excess effect below this is of no interest.
    years : float
        Simulated time from the first tumor cell; by default that of the composition, else 25.
    workers, executor, store, resume, solver, progress : optional
        As in `rank_targets`.

    Returns
    -------
    xarray.Dataset
        In the nominal patient `grid_effect`, `grid_bliss`, `grid_hsa`, `grid_loewe` over `pair`, `dose_first`,
        `dose_second`, and `curve` over `target`, `curve_dose`. Over `patient` (0 is nominal), `combination` and `dose`:
        `effect`, `bliss`, `hsa`, `gain`, `loewe`; their means over the sampled patients with 95 % bootstrap limits
        (`bliss_mean`, `bliss_lower`, `bliss_upper`, ...; the mean of `loewe` is geometric), `missing_share` and
        `loewe_share` (patients without result, and with an index), `verdict` by Bliss and `verdict_loewe`. What is
        missing is NaN, with `grid_reason`, `grid_reason_loewe`, `reason`, `reason_parts` (of bliss, hsa and gain) and
        `reason_loewe`. A mean is NaN if fewer than 80 % of the patients have a value.

    Raises
    ------
    UnknownNameError
        If a readout, target, constant or window is not known.
    AnalysisError
        If there is nothing to combine or a number cannot be used.

    Notes
    -----
    Cost: targets x 41 + pairs x doses² runs of the nominal patient, and (samples + 1) x (targets x 12 + combinations x
    patient doses + 1) of the others. The verdicts may differ: two drugs that each close nearly all of one route
    do less than independent ones (Bliss), and yet may need less of both than of either alone (Loewe).
    """
    require_model(model, "combine_targets")
    drugs = drugs_of(model, targets)
    grid, shared = _checked_doses("doses", doses), _checked_doses("patient_doses", patient_doses)
    _check(len(drugs.names), order, samples, margin)
    found = resolve_readout(readout, model)
    name = find_readout(found).hazard or found
    when = (name, windows_of(model, window, ())[0])
    length = time_grid(model, years)
    run = Runs(
        length
        | {"solver": solver or Solver(), "workers": workers, "executor": executor}
        | {"progress": progress, "resume": resume},
        None if store is None else Path(store),
    )
    result = on_grid(model, drugs, grid, when, seed, run)
    if samples:
        patients = in_patients(model, drugs, range(2, order + 1), shared, when, samples, seed, run)
        attrs = _joined(result.attrs, patients.attrs)
        result = result.merge(with_statistics(patients, seed, margin))
        result.attrs = attrs
    result.attrs |= {"readout": name, "better": find_readout(name).better, "window": when[1].name, "order": order}
    result.attrs |= {"samples": samples, "seed": seed, "margin": margin, "years": length["years"], "model": model.name}
    result.attrs |= {"days_per_year": DAYS_PER_YEAR, "window_meaning": when[1].meaning}
    return _labeled(result, drugs)


def _check(targets: int, order: int, samples: int, margin: float) -> None:
    if order not in (2, 3):
        raise AnalysisError(f"order is {order!r}; give 2 for pairs or 3 for pairs and triples")
    if targets < order:
        raise AnalysisError(f"{targets} targets make no combination of {order}; give at least {order}")
    require_whole("samples", samples, 0, MOST_SAMPLES)
    if samples and samples < 10:
        raise AnalysisError(f"samples is {samples}; intervals need at least 10 patients (0 leaves them out)")
    if not (is_number(margin) and 0 < margin < 1):
        raise AnalysisError(f"margin is {margin!r}; give an excess effect above 0 and below 1 (0.01 is a percent)")


def _checked_doses(name: str, doses: Sequence[float]) -> NDArray[np.float64]:
    try:
        given = np.array(list(doses), dtype=float)
    except (TypeError, ValueError):
        raise AnalysisError(f"{name} are {doses!r}; give a list of numbers") from None
    if not given.size or not np.isfinite(given).all() or (given <= 0).any():
        raise AnalysisError(f"{name} are {list(doses)}; give finite doses above 0 (1 blocks a half, 9 blocks 90 %)")
    return np.unique(given)


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of both parts; runs are added up."""
    both = {key: int(first[key]) + int(second[key]) for key in ("runs", "failed_runs")}
    return first | second | both


def _labeled(found: xr.Dataset, drugs: Drugs) -> xr.Dataset:
    """Add names, units and the count of reasons."""
    for name in found.data_vars:
        base = str(name).removeprefix("grid_").split("_")[0]
        if base in MEASURES:
            found[name].attrs = {"long_name": MEASURES[base], "units": "dimensionless"}
    for name in ("dose", "dose_first", "dose_second", "curve_dose"):
        if name in found.coords:
            label = "dose in units of the half-maximal dose"
            found[name].attrs = {"long_name": label, "units": "dimensionless"}
    counts = {}
    for name in ("grid_reason", "grid_reason_loewe", "reason", "reason_loewe"):
        if name in found:
            texts = Counter(str(text) for text in found[name].values.reshape(-1) if text != OK)
            counts[name] = dict(texts.most_common())
            found[name] = found[name].astype(str)
    found.attrs["reasons"] = json.dumps(counts)
    columns = {
        "target_name": [target.name for target in drugs.acts],
        "stage": [target.stage for target in drugs.acts],
        "action": [_ACTIONS[frozenset(sign for _, sign in acts)] for acts in drugs.acts.values()],
    }
    return found.assign_coords({key: ("target", values) for key, values in columns.items()})


def combination_table(found: xr.Dataset, dose: float | None = None) -> pd.DataFrame:
    """Return combinations as a table to read, the most effective first.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `combine_targets` with sampled patients.
    dose : float, optional
        One of its patient doses; by default the largest.

    Returns
    -------
    pandas.DataFrame
        Means over the sampled patients, with 95 % limits, indexed by combination.

    Raises
    ------
    AnalysisError
        If no patients were sampled.
    UnknownNameError
        If the dose was not computed.
    """
    import pandas

    if "effect_mean" not in found:
        raise AnalysisError("the dataset holds no sampled patients; run combine_targets with samples above 0")
    known = [float(value) for value in found["dose"].values]
    chosen = known[-1] if dose is None else float(dose)
    near = [value for value in known if math.isclose(value, chosen, rel_tol=1e-9)]
    if not near:
        raise unknown_name("dose", f"{chosen:g}", [f"{value:g}" for value in known], "this result")
    table = found.sel(dose=near[0])
    columns: dict[str, Any] = {}
    for name in MEASURES:
        columns[name] = table[f"{name}_mean"].values
        if name != "gain":
            columns |= {f"{name} from": table[f"{name}_lower"].values, f"{name} to": table[f"{name}_upper"].values}
    columns |= {"verdict": table["verdict"].values, "verdict by Loewe": table["verdict_loewe"].values}
    columns["Loewe in"] = table["loewe_share"].values
    index = pandas.Index(table["combination"].values, name="combination")
    return pandas.DataFrame(columns, index=index).sort_values("effect", ascending=False, kind="stable")
