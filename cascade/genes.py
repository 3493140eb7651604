"""The view of a gene: which genes matter most, and for one gene its numbers, its drugs and what they do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.arms import WindowSpec, windows_of
from cascade.dosing import drugs_of, nominal_patient, run_doses
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import time_grid
from cascade.readouts import find_readout, resolve_readout
from cascade.screening import Runs
from cascade.specs import Model, Parameter, Solver, require_model
from cascade.synergy import OK
from cascade.target_table import Target, read_targets, resolve_acts

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

STEP = 0.1
"""Every parameter is lowered and raised by this share of its value."""

DOSE = 9.0
"""Dose of a drug in the view of a gene: 90 % of the activity is blocked."""


def rank_genes(ranking: xr.Dataset, model: Model, window: str | None = None) -> pd.DataFrame:
    """Rank genes by the best target that acts on each.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    model : Model
        The model that was ranked; its parameter tables name more genes than have a target.
    window : str, optional
        One of `ranking.window`; by default the one by which targets are sorted.

    Returns
    -------
    pandas.DataFrame
        One row per gene, indexed by rank; genes with the same best target share it. `effect` and its limits, and the
        limits of the rank among the targets, are those of the best target; `reason` is "ok" or says why a gene is not
        ranked, which then comes last.

    Raises
    ------
    UnknownNameError
        If the window was not computed.
    """
    require_model(model, "rank_genes")
    import pandas

    known = [str(name) for name in ranking["window"].values]
    chosen = window or str(ranking.attrs["window"])
    if chosen not in known:
        raise unknown_name("window", chosen, known, "this ranking")
    table = ranking.sel(window=chosen)
    places: dict[str, list[int]] = {}
    for place, genes in enumerate(table["genes"].values):
        for gene in _symbols(str(genes).replace(",", ";")):
            places.setdefault(gene, []).append(place)
    numbers = _parameters_by_gene(model)
    rows = [_row(gene, table, places.get(gene, []), numbers) for gene in sorted({*places, *numbers})]
    frame = pandas.DataFrame(rows)
    frame.index = pandas.Index(frame.pop("place").rank(method="average"), name="rank")
    return frame.sort_index(kind="stable", na_position="last")


def _row(
    gene: str, table: xr.Dataset, places: list[int], numbers: Mapping[str, tuple[Parameter, ...]]
) -> dict[str, Any]:
    """Return what is told of one gene; `place` is the rank of its best target."""
    ranks = table["rank"].values
    ranked = sorted((place for place in places if np.isfinite(ranks[place])), key=lambda place: float(ranks[place]))
    row: dict[str, Any] = {"place": np.nan, "gene": gene, "best target": "", "effect": np.nan}
    limits = {"95 % from": "effect_lower", "95 % to": "effect_upper"}
    limits |= {"rank of the target 95 % from": "rank_lower", "rank of the target 95 % to": "rank_upper"}
    row |= dict.fromkeys(limits, np.nan)
    if ranked:
        best = table.isel(target=ranked[0])
        row |= {"place": float(best["rank"]), "best target": str(best["target"].item())}
        row |= {"effect": float(best["effect_mean"])} | {title: float(best[name]) for title, name in limits.items()}
    drugs = [str(table["example_drugs"].values[place]) for place in places]
    row |= {"targets": len(places), "drugs": "; ".join(dict.fromkeys(text for text in drugs if text))}
    row["parameters"] = len(numbers.get(gene, ()))
    row["reason"] = OK if ranked else "its targets have no rank" if places else "no target acts on it"
    return row


def _symbols(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _parameters_by_gene(model: Model) -> dict[str, tuple[Parameter, ...]]:
    found: dict[str, tuple[Parameter, ...]] = {}
    for parameter in model.parameters:
        for gene in _symbols(parameter.gene):
            found[gene] = (*found.get(gene, ()), parameter)
    return found


def gene_view(
    model: Model,
    gene: str,
    ranking: xr.Dataset | None = None,
    *,
    readout: str = "h_since_surgery_5y",
    window: WindowSpec | None = None,
    years: float | None = None,
    workers: int | None = None,
    solver: Solver | None = None,
) -> xr.Dataset:
    """Tell what a model knows of a gene: its parameters, how they matter, the targets that reach it, and their effect.

    Parameters
    ----------
    model : Model
    gene : str
        HGNC symbol.
    ranking : xarray.Dataset, optional
        Result of `cascade.rank_targets` on this model; adds rank and effect over its patients to the targets.
    readout : str
        A name of `cascade.readouts.known_readouts()`, or `final:<id>` or `max:<id>`.
    window : str or tuple, optional
        When the targets are treated, as in `rank_targets`.
    years : float
        Simulated time from the first tumor cell; by default that of the composition, else 25.
    workers, solver : optional
        As in `cascade.simulate`.

    Returns
    -------
    xarray.Dataset
        Over `parameter` (those of the gene in the tables, then what its targets act on besides): `coefficient`, the
        scaled change of the readout, (dy / y) / (dx / x), from a 10 % lower and a 10 % higher value (within its bounds)
        in the nominal patient without treatment, for the whole life of the tumor, with the values `low` and `high` and
        the readout at them, `readout_low` and `readout_high`; `reason`, "ok" or why it is NaN; with name, value, unit,
        evidence, source, and `through`, by which the parameter belongs to the gene. Over `target`: `effect`, the share
        of the readout (of its hazard if it has one) that 90 % of each drug takes away in the nominal patient, and
        `reason_effect`; with a ranking also `rank` and `effect_mean`, `effect_lower`, `effect_upper`.

    Raises
    ------
    UnknownNameError
        If no target and no parameter of the model has the gene; the message tells close names.
    AnalysisError
        If the readout has no value in the nominal patient.

    Notes
    -----
    Cost: 2 x parameters + targets + 2 runs.
    """
    require_model(model, "gene_view")
    table = _parameters_by_gene(model)
    targets = [target for target in read_targets() if resolve_acts(target, model)]
    reach = [target for target in targets if gene in target.genes]
    if gene not in table and not reach:
        known = {*table, *(name for target in targets for name in target.genes)}
        raise unknown_name("gene", gene, known, f"model {model.name!r} and the targets that act on it")
    through = {row.id: "gene" for row in table.get(gene, ())}
    for target in reach:
        for name, sign in resolve_acts(target, model):
            verb = "blocked by" if sign == "-" else "boosted by"
            through[name] = f"{through[name]}; {verb} {target.target}" if name in through else f"{verb} {target.target}"
    name = resolve_readout(readout, model)
    run = Runs(time_grid(model, years) | {"solver": solver or Solver(), "workers": workers})
    found = _coefficients(model, [model.table[key] for key in through], name, run)
    found = found.assign_coords(through=("parameter", list(through.values())))
    if reach:
        effects = _effects(model, reach, find_readout(name).hazard or name, window, run)
        found = found.merge(effects if ranking is None else _with_ranking(effects, ranking))
    found.attrs |= {"gene": gene, "readout": name, "step": STEP, "model": model.name, "model_sha256": model.hash}
    return found


def _coefficients(model: Model, rows: list[Parameter], name: str, run: Runs) -> xr.Dataset:
    """Return scaled coefficients of a readout, with the columns of the parameter table."""
    import xarray as xr

    values = np.array([row.nominal for row in rows])
    low, high = (np.array([_within(row, 1 + sign * STEP) for row in rows]) for sign in (-1, 1))
    runs = np.tile(values, (2 * len(rows) + 1, 1))
    for place in range(len(rows)):
        runs[2 * place + 1, place], runs[2 * place + 2, place] = low[place], high[place]
    out = run(model, {row.id: xr.DataArray(runs[:, k], dims="run") for k, row in enumerate(rows)}, [name], "gene")
    readout, reasons = out[name].values, out[f"reason_{name}"].values
    if not np.isfinite(readout[0]) or readout[0] == 0:
        why = f"({reasons[0]})" if reasons[0] != OK else "that is not 0"
        raise AnalysisError(f"readout {name!r} has no value {why} in the nominal patient; choose another")
    change = readout[2::2] - readout[1::2]
    noise = 10 * float(out.attrs["relative_tolerance"]) * abs(readout[0])
    change = np.where(np.abs(change) <= noise, 0.0, change)
    same = low == high
    reason = np.where(reasons[1::2] != OK, reasons[1::2], reasons[2::2]).astype(object)
    reason[same] = "the value is 0, or its bounds leave no room"
    width = np.where(same, 1.0, high - low)
    coefficient = np.where(reason == OK, change / width * values / readout[0], np.nan)
    columns = {
        "parameter_name": [row.name for row in rows],
        "value": values,
        "low": low,
        "high": high,
        "unit": [row.unit for row in rows],
        "evidence": [row.evidence for row in rows],
        "source": [", ".join(row.source) for row in rows],
    }
    coords: dict[str, Any] = {key: ("parameter", column) for key, column in columns.items()}
    attrs = {"long_name": f"scaled change of the {out[name].attrs.get('long_name', name)}", "units": "dimensionless"}
    data: dict[str, Any] = {
        "coefficient": ("parameter", coefficient, attrs),
        "reason": ("parameter", reason.astype(str)),
        "readout_low": ("parameter", readout[1::2], dict(out[name].attrs)),
        "readout_high": ("parameter", readout[2::2], dict(out[name].attrs)),
        "untreated": ((), float(readout[0]), dict(out[name].attrs)),
    }
    return xr.Dataset(data, coords | {"parameter": [row.id for row in rows]})


def _within(row: Parameter, factor: float) -> float:
    low = -np.inf if row.lower is None else row.lower
    high = np.inf if row.upper is None else row.upper
    return float(np.clip(row.nominal * factor, low, high))


def _effects(model: Model, targets: list[Target], name: str, window: WindowSpec | None, run: Runs) -> xr.Dataset:
    """Return the share of a readout that each target takes away in the nominal patient."""
    import xarray as xr

    drugs = drugs_of(model, targets)
    doses: NDArray[np.float64] = DOSE * np.eye(len(targets))
    when = (name, windows_of(model, window, ())[0])
    found = run_doses(model, drugs, doses, nominal_patient(model), when, 0, run, part="_gene", fewest=0)
    columns = {
        "target_name": [target.name for target in targets],
        "drug_class": [target.drug_class for target in targets],
        "example_drugs": [target.example_drugs for target in targets],
        "acts_on": ["; ".join(f"{key} {sign}" for key, sign in acts) for acts in drugs.acts.values()],
    }
    coords: dict[str, Any] = {key: ("target", column) for key, column in columns.items()}
    attrs = {"long_name": f"share of {name} that the drug takes away ({when[1].name})", "units": "dimensionless"}
    data: dict[str, Any] = {"effect": ("target", found.effect[0], attrs)}
    data["reason_effect"] = ("target", found.reason[0].astype(str))
    return xr.Dataset(data, coords | {"target": drugs.names})


def _with_ranking(effects: xr.Dataset, ranking: xr.Dataset) -> xr.Dataset:
    """Add rank and mean effect of the targets; NaN for those that were not ranked."""
    main = ranking.sel(window=ranking.attrs["window"])
    known = [str(name) for name in ranking["target"].values]
    for name in ("rank", "effect_mean", "effect_lower", "effect_upper"):
        values = [float(main[name].sel(target=t)) if t in known else np.nan for t in effects["target"].values]
        effects[name] = ("target", values, dict(main[name].attrs))
    return effects
