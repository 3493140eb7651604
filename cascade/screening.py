"""On what a readout depends: the untreated model under a design of its uncertain parameters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.evaluate import evaluate
from cascade.readouts import find_readout
from cascade.sensitivity import groups_of, morris_design, morris_indices, sample_design
from cascade.sensitivity.chaos import chaos_indices
from cascade.sensitivity.failures import solver_noise
from cascade.specs import Model, Parameter

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Runs:
    """How the runs of a study are made (`cascade.evaluate`), and in which folder they are kept."""

    options: Mapping[str, Any]
    store: Path | None = None

    def __call__(self, model: Model, values: Any, readouts: Sequence[str], part: str) -> xr.Dataset:
        where = None if self.store is None else self.store / f"{part}.zarr"
        return evaluate(model, values, readouts, store=where, **self.options)


def screen(
    model: Model,
    parameters: tuple[Parameter, ...],
    readout: str,
    trajectories: int,
    seed: int,
    run: Runs,
    *,
    by_module: bool = False,
) -> xr.Dataset:
    """Screen the uncertain parameters of the untreated model, or its modules, by the method of Morris.

    Returns
    -------
    xarray.Dataset
        Over `parameter`; with unit, evidence and note of every parameter, unless modules were screened.
    """

    groups = groups_of(model, parameters, "modules") if by_module else None
    design = morris_design(parameters, trajectories, seed=seed, groups=groups)
    outputs = run(model, design, [readout], "screening")
    output = outputs[readout].values
    noise = solver_noise(output, float(outputs.attrs["relative_tolerance"]))
    effects = morris_indices(design, output, noise=noise, draws=0).rename(name="parameter")
    reasons = Counter(str(reason) for reason in outputs[f"reason_{readout}"].values if reason != "ok")
    attrs = {f"morris_{key}": value for key, value in effects.attrs.items()}
    attrs |= {"morris_runs": int(output.size), "morris_reasons": json.dumps(dict(reasons.most_common()))}
    effects.attrs = attrs
    if by_module:
        return effects
    known = {p.id: p for p in parameters}
    rows = [known.get(str(name)) for name in effects["parameter"].values]
    columns = {
        "evidence": [row.evidence if row else "" for row in rows],
        "parameter_name": [
            row.name if row else str(name) for row, name in zip(rows, effects["parameter"].values, strict=True)
        ],
        "parameter_unit": [row.unit if row else "" for row in rows],
        "parameter_note": [row.note if row else "" for row in rows],
    }
    return effects.assign_coords({key: ("parameter", column) for key, column in columns.items()})


def total_indices(
    model: Model,
    parameters: tuple[Parameter, ...],
    sets: Mapping[str, Sequence[str]],
    readout: str,
    samples: int,
    seed: int,
    run: Runs,
) -> xr.Dataset:
    """Estimate the total Sobol index of sets of constants of the untreated model, which may overlap, from one sample.

    Parameters
    ----------
    sets : mapping of str to sequence of str
        Flat ids by name; ids that are not uncertain are left out, and a set without any has no index.
    readout : str
        Of one number. One that is compared by ratios is analyzed on the log scale, where a polynomial describes it.

    Returns
    -------
    xarray.Dataset
        Over `target`: `total_index` with `_lower` and `_upper`; NaN if the polynomial predicts too little.
    """
    import numpy as np

    known = {p.id for p in parameters}
    chosen = {name: [flat for flat in ids if flat in known] for name, ids in sets.items()}
    judged = {name: ids for name, ids in chosen.items() if ids}
    logarithmic = find_readout(readout).scale == "log_ratio"
    design = sample_design(parameters, samples, seed=seed, groups=judged)
    outputs = run(model, design, [readout], "sample")
    output = outputs[readout].values
    if logarithmic:
        output = np.where(output > 0, output, np.nan)
    noise = solver_noise(output, float(outputs.attrs["relative_tolerance"]))
    found = chaos_indices(design, output, transform="log" if logarithmic else None, noise=noise)
    table = found[["ST", "ST_lower", "ST_upper"]].reindex(name=list(sets)).rename(name="target")
    table = table.rename(ST="total_index", ST_lower="total_index_lower", ST_upper="total_index_upper")
    scale = "the logarithm of the " if logarithmic else "the "
    table["total_index"].attrs["long_name"] = f"total Sobol index of the uncertain constants, of {scale}readout"
    table.attrs = {"total_index_q2": float(found["Q2"]), "total_index_verdict": str(found.attrs["verdict"])}
    table.attrs |= {"total_index_runs": design.runs, "total_index_readout": readout}
    return table
