"""Which targets to hit: every target is blocked or boosted in every sampled patient, in one study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._tables import is_number, require_whole
from cascade.arms import Window, WindowSpec, beyond, windows_of
from cascade.effects import Study, also_effects, dose_effects, opposite_effects, organ_effects
from cascade.endpoints import DAYS_PER_YEAR
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import time_grid
from cascade.grounds import flips, partners, shares
from cascade.ranking import Outcomes, rank_outcomes
from cascade.readouts import resolve_readout
from cascade.screening import Runs, screen, total_indices
from cascade.sensitivity import uncertain
from cascade.sensitivity.priors import MOST_SAMPLES
from cascade.specs import Model, Parameter, Solver, require_model
from cascade.study import BY_ORGAN, Told, arms_of, run_study, sampled_patients, told_of
from cascade.target_table import Signs, Target, read_targets, resolve_acts

if TYPE_CHECKING:
    import xarray as xr

LEADING = 10
"""Targets of which it is told how far their effect rests on assumed numbers."""


def rank_targets(
    model: Model,
    readout: str = "p_overt_5y",
    *,
    targets: Sequence[str | Target] | None = None,
    fraction: float = 0.9,
    doses: Sequence[float] = (0.5,),
    opposite: float | None = 0.5,
    samples: int = 64,
    seed: int = 1,
    window: WindowSpec | None = None,
    windows: Sequence[WindowSpec] | None = None,
    also: Sequence[str] | None = None,
    assumed_pairs: int = 40,
    total_samples: int = 0,
    morris_trajectories: int = 8,
    morris_groups: bool = False,
    years: float | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    resume: bool = False,
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
    doses : sequence of float
        Other fractions, computed in the window that sorts.
    opposite : float, optional
        Fraction at which the reverse of each drug is computed too, where it makes sense: what happens if the target
        is activated that the drug blocks. None leaves it out.
    samples : int
        Parameter sets, at least 10. The first n do not change when more are asked for. Sets that have no readout
        without treatment (no surgery within `years`) are no patients; they are counted and not treated.
    seed : int
        0 or above; fixes patients, trajectories and bootstrap.
    window : str or tuple, optional
        The window by which targets are sorted: "adjuvant" (from surgery on), "neoadjuvant" (half a year before it),
        "prevention" (until surgery), "metastatic" (from the first overt metastasis on), "lifelong" (from day 0), or
        (start, stop) or (start, stop, origin) in days. By default adjuvant if the model has a surgery, else lifelong.
    windows : sequence, optional
        What is computed beside it; by default all others that the model knows but lifelong. An empty one saves time.
    also : sequence of str, optional
        Readouts of one number whose effects are told too; by default the distant burden at the end, if there is one.
    assumed_pairs : int
        Patients who are treated once more with all assumed numbers drawn anew, against the leading targets: which share
        of the effect rests on those. 0 leaves it out.
    total_samples : int
        Runs of the untreated model behind the total Sobol index of each target's constants (polynomial chaos on the
        hazard); some hundred, 0 leaves it out.
    morris_trajectories : int
        Trajectories of the Morris screening; 0 leaves it out.
    morris_groups : bool
        Screen the modules of the model instead of the single parameters: some tens of runs instead of hundreds.
    years : float
        Simulated time from the first tumor cell; by default that of the composition, else 25.
    workers : int, optional
        Processes; by default chosen by `evaluate`.
    executor : concurrent.futures.Executor, optional
        Where the runs are made, for example `dask.distributed.Client(...).get_executor()`.
    store : str or Path, optional
        Folder that keeps the runs as they are made; with `resume`, a study that was stopped goes on.
    solver : Solver, optional
        A relative tolerance of 1e-4 halves the time and is far below the spread between patients.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        See `cascade.ranking.rank_outcomes`; with the columns of the target table as coordinates of `target`, effects
        by `fraction`, of the reverse, by `organ`, and on `also`, each with its 95 % limits, `total_index`, and
        `mu_star`, `mu`, `sigma`, `mu_star_confidence` over `parameter`. Patient 0 is the nominal one and not part of
        any statistic.
        Results that are missing (a failed run, or no surgery within `years` under treatment) are NaN with a `reason`,
        and counted.

    Raises
    ------
    UnknownNameError
        If a readout, a target or a constant is not known.
    AnalysisError
        If there is nothing to rank or a number cannot be used.

    Notes
    -----
    Cost: at most (samples + 1) x (targets x (windows + doses + 1) + 1) + assumed_pairs x (10 + 1)
    + total_samples + morris_trajectories x (parameters + 1) runs, or (modules + 1) with `morris_groups`.
    """
    require_model(model, "rank_targets")
    if not isinstance(doses, Sequence):
        raise AnalysisError(f"doses is {doses!r}; give a list of fractions")
    _check_numbers((fraction, *doses, *(() if opposite is None else (opposite,))), samples, morris_trajectories)
    require_whole("assumed_pairs", assumed_pairs, 0, MOST_SAMPLES)
    require_whole("total_samples", total_samples, 0, MOST_SAMPLES)
    name = resolve_readout(readout, model)
    chosen, missing = _resolve(model, targets)
    when = windows_of(model, window, windows)
    parameters = uncertain(model)
    if not parameters:
        raise AnalysisError(f"model {model.name!r} has no uncertain parameter; set `estimate` to true for some")
    grid = time_grid(model, years)
    run = Runs(
        grid
        | {"solver": solver or Solver(), "workers": workers, "executor": executor}
        | {"progress": progress, "resume": resume},
        None if store is None else Path(store),
    )
    told = told_of(model, name, also)
    arms = arms_of(model, chosen, when, fraction, doses, opposite)
    patients = sampled_patients(parameters, samples, seed)
    study, left_out = run_study(model, arms, patients, told, seed, run)
    ranking = _ranking(study, told, list(chosen), when, fraction)
    order = [str(target) for target in ranking["target"].values]
    reasons = [_reason(chosen, target, model, opposite) for target in order]
    extra = dose_effects(study, name, when[0].name, order) | opposite_effects(study, name, order, reasons)
    names = [window.name for window in when]
    extra |= also_effects(study, told.also, names, order, fraction) if told.also else {}
    extra |= organ_effects(study, BY_ORGAN, names, order, fraction) if told.organs else {}
    ranking = _with_targets(ranking.assign(extra).set_coords([n for n in extra if n.endswith("_reason")]), chosen)
    ranking.attrs |= _provenance(model, study.untreated, study.treated) | left_out
    ranking.attrs |= {"fraction": fraction, "samples": samples, "seed": seed} | grid
    ranking.attrs |= {"not_in_model": ", ".join(missing), "morris_trajectories": morris_trajectories}
    ranking = ranking.assign_coords(window_meaning=("window", [window.meaning for window in when]))
    if assumed_pairs:
        ranking = _with_grounds(ranking, study, told, patients, parameters, assumed_pairs, model, run)
    if total_samples:
        sets = {target.target: [name for name, _ in acts] for target, acts in chosen.items()}
        total = total_indices(model, parameters, sets, told.hazard, total_samples, seed, run)
        ranking = ranking.assign(total.data_vars).assign_attrs(total.attrs)
    if morris_trajectories:
        screening = screen(model, parameters, name, morris_trajectories, seed, run, by_module=morris_groups)
        attrs = ranking.attrs | screening.attrs
        ranking = ranking.merge(screening)
        ranking.attrs = attrs
    return ranking


def _reason(chosen: Mapping[Target, Signs], target: str, model: Model, opposite: float | None) -> str:
    if opposite is None:
        return "not computed"
    acts = next(acts for known, acts in chosen.items() if known.target == target)
    return beyond(acts, model, opposite) or "ok"


def _with_grounds(
    ranking: xr.Dataset,
    study: Study,
    told: Told,
    patients: dict[str, xr.DataArray],
    parameters: tuple[Parameter, ...],
    pairs: int,
    model: Model,
    run: Runs,
) -> xr.Dataset:
    """Add the share of the effects of the leading targets that rests on assumed numbers."""
    import numpy as np
    import xarray as xr

    leading = [str(name) for name in ranking["target"].values[:LEADING]]
    first = study.arms[: ranking.sizes["target"] * ranking.sizes["window"]]
    arms = tuple(arm for arm in first if arm.target in leading and arm.window.name == ranking.attrs["window"])
    kept = study.untreated["patient"].values[: pairs + 1]
    chosen = {key: value.sel(patient=kept) for key, value in patients.items()}
    others = partners(chosen, parameters, study.seed)
    others = {key: xr.concat([chosen[key][:1], value], dim="patient") for key, value in others.items()}
    second, _ = run_study(model, arms, others, told, study.seed, run, part="_partners", fewest=0)
    mine = study.change(told.main, [study.arms.index(arm) for arm in arms]).sel(patient=kept).values[1:]
    theirs = second.change(told.main, range(len(arms))).reindex(patient=kept).values[1:]
    found = shares(mine, theirs, study.seed)
    helps = -1 if ranking.attrs["better"] == "lower" else 1
    order = [arm.target for arm in arms]
    for name, values in found.items():
        column = np.full(ranking.sizes["target"], np.nan)
        column[[list(ranking["target"].values).index(target) for target in order]] = values
        ranking[name] = ("target", column)
    ranking.attrs |= flips(helps * mine, helps * theirs)
    return ranking


def _ranking(study: Study, told: Told, targets: list[Target], windows: list[Window], fraction: float) -> xr.Dataset:
    """Rank by the arms of the main fraction."""
    import numpy as np
    import xarray as xr

    names = [window.name for window in windows]
    places = list(range(len(windows) * len(targets)))  # `arms_of` begins with windows x targets
    ids = [target.target for target in targets]

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
    )
    return rank_outcomes(outcomes, window=names[0], seed=study.seed, noise=study.noise)


def _check_numbers(fractions: Sequence[float], samples: int, morris_trajectories: int) -> None:
    for fraction in fractions:
        if not (is_number(fraction) and 0 < fraction <= 1):
            raise AnalysisError(f"fraction is {fraction!r}; give a share above 0 and at most 1 (0.9 blocks 90 %)")
    require_whole("samples", samples, 0, MOST_SAMPLES)
    if samples < 10:
        raise AnalysisError(f"samples is {samples}; a ranking needs at least 10 patients, better 50 or more")
    require_whole("morris_trajectories", morris_trajectories, 0, MOST_SAMPLES)
    if morris_trajectories == 1 or morris_trajectories < 0:
        raise AnalysisError(f"morris_trajectories is {morris_trajectories}; give 0 (none) or at least 2")


def _resolve(model: Model, targets: Sequence[str | Target] | None) -> tuple[dict[Target, Signs], list[str]]:
    """Return targets with the constants on which they act, and the names of targets that the model does not have."""
    table = {} if targets and all(isinstance(t, Target) for t in targets) else {t.target: t for t in read_targets()}
    if isinstance(targets, str):
        raise AnalysisError(f"targets is the text {targets!r}; give a list, targets=[{targets!r}]")
    wanted: list[Target] = []
    for entry in table.values() if targets is None else targets:
        if not isinstance(entry, Target) and entry not in table:
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
