"""Which targets to hit: every target is blocked or boosted in every sampled patient, in one simulate call."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from cascade.arms import WindowSpec, evaluable, outcomes, screening_model, windows_of
from cascade.endpoints import DAYS_PER_YEAR
from cascade.errors import AnalysisError, unknown_name
from cascade.ranking import rank_outcomes
from cascade.readouts import readout as compute_readout
from cascade.readouts import resolve_readout, variables_for
from cascade.sensitivity import morris_design, morris_effects, owner_of, sample, uncertain
from cascade.simulate import simulate
from cascade.specs import Model, Parameter, Solver
from cascade.target_table import Signs, Target, read_targets, resolve_acts

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

ROWS_PER_YEAR = 12
"""Output rows a year; readouts interpolate between them."""


def rank_targets(
    model: Model,
    readout: str = "p_overt_5y",
    *,
    targets: Sequence[str | Target] | None = None,
    fraction: float = 0.9,
    samples: int = 64,
    seed: int = 1,
    window: WindowSpec | None = None,
    all_windows: bool = True,
    morris_trajectories: int = 8,
    morris_groups: bool = False,
    years: float = 25,
    workers: int | None = None,
    solver: Solver | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Rank drug targets by their effect on a readout, and say how sure the ranking is.

    Patients are drawn from the priors of all uncertain parameters. In each patient each target is blocked (its
    constants are multiplied by 1 - `fraction`) or boosted (by 1 + `fraction`), and compared with the same patient
    untreated. Effects, their bootstrap intervals over patients, rank intervals and groups of tied targets follow; a
    Morris screening of the untreated model tells which uncertain parameters the readout depends on.

    Parameters
    ----------
    model : Model
    readout : str
        A name of `cascade.readouts.known_readouts()`, or `final:<id>` or `max:<id>`.
    targets : sequence of str or Target, optional
        By default all shipped targets that act on a module of the model.
    fraction : float
        Share of the activity that a block removes or a boost adds, above 0 and at most 1.
    samples : int
        Parameter sets, at least 10. The first n do not change when more are asked for. Sets that have no readout
        without treatment (no surgery within `years`) are no patients; they are counted and not treated.
    seed : int
        0 or above; fixes patients, trajectories and bootstrap.
    window : str or tuple, optional
        The window by which targets are sorted: "adjuvant" (from surgery on), "lifelong" (from day 0), or
        (start, stop) or (start, stop, origin) in days. Adjuvant and lifelong are always computed. By default adjuvant,
        if the model has a surgery.
    all_windows : bool
        False leaves out the windows that do not sort; it saves half of the time.
    morris_trajectories : int
        Trajectories of the Morris screening; 0 leaves it out.
    morris_groups : bool
        Screen the modules of the model instead of the single parameters: some tens of runs instead of hundreds.
    years : float
        Simulated time from the first tumor cell.
    workers : int, optional
        Processes; by default chosen by `simulate`.
    solver : Solver, optional
        A relative tolerance of 1e-4 halves the time and is far below the spread between patients.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        See `cascade.ranking.rank_outcomes`; with the columns of the target table as coordinates of `target`, and
        `mu_star`, `mu`, `sigma`, `mu_star_confidence` over `parameter`. Patient 0 is the nominal one and not part of
        any statistic. Results that are missing (a failed run, or no surgery within `years` under treatment) are NaN
        with a `reason`, and counted.

    Raises
    ------
    UnknownNameError
        If a readout, a target or a constant is not known.
    AnalysisError
        If there is nothing to rank or a number cannot be used.

    Notes
    -----
    Cost: at most (samples + 1) x (windows x targets + 1) + morris_trajectories x (parameters + 1) runs,
    or (modules + 1) with `morris_groups`.
    """
    _check_numbers(fraction, samples, morris_trajectories)
    name = resolve_readout(readout, model)
    chosen, missing = _resolve(model, targets)
    windows = windows_of(model, window)[: None if all_windows else 1]
    parameters = uncertain(model)
    if not parameters:
        raise AnalysisError(f"model {model.name!r} has no uncertain parameter; set `estimate` to true for some")
    points = max(2, round(years * ROWS_PER_YEAR) + 1)
    options: dict[str, Any] = {"years": years, "points": points, "record": variables_for(name, model)}
    options |= {"workers": workers, "progress": progress, "solver": solver or Solver()}
    screen, arms = screening_model(model, chosen, windows, fraction)
    patients = _patients(parameters, samples, seed)
    untreated = simulate(screen, values=patients, **options)
    keep = evaluable(untreated, name)
    treated = simulate(screen, values={key: v[keep] for key, v in patients.items()} | arms, **options)
    noise = 10 * float(untreated.attrs["relative_tolerance"])
    pairs = outcomes(untreated, treated, name, list(chosen), windows)
    ranking = _with_targets(rank_outcomes(pairs, window=windows[0].name, seed=seed, noise=noise), chosen)
    ranking.attrs |= _provenance(model, untreated, treated) | _left_out(untreated, name, keep)
    ranking.attrs |= {"fraction": fraction, "samples": samples, "seed": seed, "years": float(years), "points": points}
    ranking.attrs |= {"not_in_model": ", ".join(missing), "morris_trajectories": morris_trajectories}
    if morris_trajectories:
        groups = tuple(owner_of(p.id) for p in parameters) if morris_groups else ()
        screening = _screening(model, parameters, name, morris_trajectories, seed, options, groups)
        attrs = ranking.attrs | screening.attrs
        ranking = ranking.merge(screening)
        ranking.attrs = attrs
    return ranking


def _check_numbers(fraction: float, samples: int, morris_trajectories: int) -> None:
    if not 0 < fraction <= 1:
        raise AnalysisError(f"fraction is {fraction!r}; give a share above 0 and at most 1 (0.9 blocks 90 %)")
    if samples < 10:
        raise AnalysisError(f"samples is {samples}; a ranking needs at least 10 patients, better 50 or more")
    if morris_trajectories == 1 or morris_trajectories < 0:
        raise AnalysisError(f"morris_trajectories is {morris_trajectories}; give 0 (none) or at least 2")


def _resolve(model: Model, targets: Sequence[str | Target] | None) -> tuple[dict[Target, Signs], list[str]]:
    """Return targets with the constants on which they act, and the names of targets that the model does not have."""
    table = {} if targets and all(isinstance(t, Target) for t in targets) else {t.target: t for t in read_targets()}
    wanted: list[Target] = []
    for entry in table.values() if targets is None else targets:
        if isinstance(entry, str) and entry not in table:
            raise unknown_name("target", entry, table, "the table of targets")
        wanted.append(table[entry] if isinstance(entry, str) else entry)
    double = sorted(name for name, count in Counter(t.target for t in wanted).items() if count > 1)
    if double:
        raise AnalysisError(f"targets {', '.join(double)} are given twice; give each once")
    found = {target: resolve_acts(target, model) for target in wanted}
    missing = [target.target for target, acts in found.items() if not acts]
    if missing and targets is not None:
        raise AnalysisError(f"targets {', '.join(missing)} act on modules that model {model.name!r} does not have")
    chosen = {target: acts for target, acts in found.items() if acts}
    if not chosen:
        raise AnalysisError(f"no target of the table acts on model {model.name!r}; give your own in `targets`")
    return chosen, missing


def _patients(parameters: Iterable[Parameter], samples: int, seed: int) -> dict[str, xr.DataArray]:
    """Draw patients; patient 0 has the nominal value of every parameter."""
    import numpy as np
    import xarray as xr

    chosen = tuple(parameters)
    drawn = sample(chosen, samples, seed)
    number = {"patient": np.arange(samples + 1)}
    return {
        p.id: xr.DataArray(np.concatenate([[p.nominal], drawn[p.id]]), coords=number, dims="patient") for p in chosen
    }


def _left_out(untreated: xr.Dataset, name: str, keep: NDArray[np.bool_]) -> dict[str, Any]:
    """Count the sampled patients that were treated, and say why the others were not."""
    reasons = compute_readout(untreated, name)["reason"].values
    counts = Counter(str(reason) for reason in reasons[1:] if reason != "ok")
    return {"patients": int(keep.sum()) - 1, "reasons_untreated": json.dumps(dict(counts.most_common()))}


def _with_targets(ranking: xr.Dataset, chosen: dict[Target, Signs]) -> xr.Dataset:
    """Add the columns of the target table, and the constants of this model on which each target acts."""
    by_id = {target.target: (target, acts) for target, acts in chosen.items()}
    order = [by_id[str(name)] for name in ranking["target"].values]
    columns = {
        "target_name": [t.name for t, _ in order],
        "drug_class": [t.drug_class for t, _ in order],
        "stage": [t.stage for t, _ in order],
        "genes": [", ".join(t.genes) for t, _ in order],
        "example_drugs": [t.example_drugs for t, _ in order],
        "potency": [t.potency for t, _ in order],
        "source": [", ".join(t.source) for t, _ in order],
        "target_note": [t.note for t, _ in order],
        "acts_on": ["; ".join(f"{name} {sign}" for name, sign in acts) for _, acts in order],
    }
    return ranking.assign_coords({name: ("target", values) for name, values in columns.items()})


def _screening(
    model: Model,
    parameters: tuple[Parameter, ...],
    name: str,
    trajectories: int,
    seed: int,
    options: dict[str, Any],
    groups: tuple[str, ...] = (),
) -> xr.Dataset:
    """Morris screening of the untreated model, with unit and evidence of every parameter."""
    import numpy as np
    import xarray as xr

    design = morris_design(parameters, trajectories, seed=seed, groups=groups)
    values = {key: xr.DataArray(column, dims="run") for key, column in design.values().items()}
    runs = simulate(model, values=values, **options)
    output = compute_readout(runs, name)
    finite = np.abs(output.values[np.isfinite(output.values)])
    noise = 10 * float(runs.attrs["relative_tolerance"]) * float(finite.max(initial=0.0))
    effects = morris_effects(design, output.values, noise=noise)
    reasons = Counter(str(reason) for reason in output["reason"].values if reason != "ok")
    attrs = {f"morris_{key}": value for key, value in effects.attrs.items()}
    attrs |= {"morris_runs": int(output.size), "morris_reasons": json.dumps(dict(reasons.most_common()))}
    effects.attrs = attrs
    if groups:
        return effects
    columns = {
        "evidence": [p.evidence for p in parameters],
        "parameter_name": [p.name for p in parameters],
        "parameter_unit": [p.unit for p in parameters],
        "parameter_note": [p.note for p in parameters],
    }
    return effects.assign_coords({key: ("parameter", column) for key, column in columns.items()})


def _provenance(model: Model, *parts: xr.Dataset) -> dict[str, Any]:
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
