"""Which targets to hit, and which drugs do: each is treated or given in every sampled patient, in one study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._asked import asked_of, check_fractions, check_sizes
from cascade._people import people_of, redrawn
from cascade._ranked import provenance, ranked, with_grounds, with_screening, with_totals
from cascade.arms import WindowSpec
from cascade.cohort_ranking import check_people, people_attrs, with_draws, with_people, with_risks, with_subgroups
from cascade.drug_arms import arms_of_drugs, regimens_of
from cascade.screening import Runs
from cascade.specs import Model, Solver, require_model
from cascade.study import arms_of, run_study, sampled_patients
from cascade.target_table import Target
from cascade.therapy.regimens import Regimen

if TYPE_CHECKING:
    import xarray as xr


def rank_targets(
    model: Model,
    readout: str = "p_overt_5y",
    *,
    targets: Sequence[str | Target] | None = None,
    drugs: Sequence[str | Regimen] = (),
    patients: xr.Dataset | None = None,
    subgroups: Sequence[str] | Mapping[str, Any] | None = None,
    n_draws: int = 0,
    redraw: str | Sequence[str] = "missing",
    averaged: bool | None = None,
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
    """Rank drug targets, and drugs as they are given, by their effect on a readout, and say how sure the ranking is.

    Patients are drawn from the priors of all uncertain parameters. In each patient each target is blocked (its
    constants are multiplied by 1 - `fraction`) or boosted (by 1 + `fraction`), and each drug is given by its regimen;
    all are compared with the same patient untreated. Effects, their bootstrap intervals over patients, rank intervals
    and groups of tied targets follow; a Morris screening of the untreated model tells which uncertain parameters the
    readout depends on.

    Parameters
    ----------
    model : Model
    readout : str
        A name of `cascade.readouts.known_readouts()`, or `final:<id>` or `max:<id>`.
    targets : sequence of str or Target, optional
        By default all shipped targets that act on a module of the model. With `drugs` it may be empty.
    drugs : sequence of str or Regimen, optional
        Drugs to rank beside the targets: names (their first regimen), or what `cascade.regimen` returns, without
        `origin` and `until`: in every window its course begins with the window's first day, lasts as the regimen says
        (a year unless it says else) and is cut at the window's last day, while a target is treated for the whole
        window. Numbers of the drug that differ between patients are drawn for each.
    patients : xarray.Dataset, optional
        A cohort (`cascade.sample_cohort`, `cascade.read_patients`): the patients are these people, with their weights,
        instead of draws from the priors. Numbers of the model that the cohort does not tell are nominal.
    subgroups : sequence of str, or mapping of str to str or array, optional
        Subgroups of the cohort, see `cascade.subgroups_of`: their effects, tests and numbers needed to treat come as
        variables that begin with `subgroup_` (`cascade.subgroup_effects`).
    n_draws : int
        Runs of every person of the cohort in which what is not known is drawn anew, for `cascade.personal_ranking`.
    redraw : str or sequence of str
        What is drawn anew: "missing" (uncertain numbers that the cohort does not tell), "assumed" (those and all whose
        evidence is assumed), "all", or ids.
    averaged : bool, optional
        Give drugs as their mean rate instead of doses, which is far faster for many doses: by default those that are
        swallowed at least daily; true for all with doses, false for none that is not so already.
    fraction : float
        Share of the activity that a block removes or a boost adds, above 0 and at most 1.
    doses : sequence of float
        Other fractions, computed in the window that sorts.
    opposite : float, optional
        Fraction at which the reverse of each drug is computed too, where it makes sense: what happens if the target
        is activated that the drug blocks. None leaves it out.
    samples : int
        Parameter sets, at least 10; not used with a cohort. The first n do not change when more are asked for. Sets
        that have no readout without treatment (no surgery within `years`) are no patients; they are counted and not
        treated.
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
        Looser ones save time where the readout is a mean over many patients. For single patients, and for drugs, leave
        it: at 1e-4 (absolute 1e-6) the risk under letrozole was wrong by up to 18 points in single patients.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        See `cascade.ranking.rank_outcomes`; `target` holds targets and drugs, told apart by the coordinate `kind`
        ("target" or "drug"), a drug with its `regimen`. With the columns of the target table as coordinates, effects
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
    DrugError
        If a regimen cannot be given, or a drug acts on nothing that the model has.

    Notes
    -----
    Cost: at most (samples + 1) x (targets x (windows + doses + 1) + drugs x windows + 1) + assumed_pairs x (10 + 1)
    + total_samples + morris_trajectories x (parameters + 1) runs, or (modules + 1) with `morris_groups`. Each drug
    is a model of its own. With a cohort, patients stand for samples, and `n_draws` adds
    patients x n_draws x (targets + drugs + 1).
    """
    require_model(model, "rank_targets")
    check_fractions(fraction, doses, opposite)
    check_sizes(samples, morris_trajectories, assumed_pairs, total_samples)
    member = check_people(patients, subgroups, n_draws)
    also = also if patients is None else with_risks(model, also)
    ask = asked_of(model, readout, targets, regimens_of(drugs, averaged), (window, windows), also, years)
    run = Runs(
        ask.grid
        | {"solver": solver or Solver(), "workers": workers, "executor": executor}
        | {"progress": progress, "resume": resume},
        None if store is None else Path(store),
    )
    arms = arms_of(model, ask.targets, ask.windows, fraction, doses, opposite)
    arms += arms_of_drugs(list(ask.drugs), ask.windows)
    people = None if patients is None else people_of(model, patients, ask.drawn, seed)
    values = sampled_patients(ask.drawn, samples, seed) if people is None else people.values
    weights = None if people is None else people.all_weights
    unknown = redrawn(people, ask.drawn, redraw) if people is not None and n_draws else {}
    study, left_out = run_study(model, arms, values, ask.told, seed, run, drugs=ask.models, weights=weights)
    ranking = ranked(study, ask, fraction, opposite)
    ranking.attrs |= provenance(model, study.untreated, study.treated) | left_out
    ranking.attrs |= {"fraction": fraction, "samples": samples, "seed": seed} | ask.grid
    ranking.attrs |= {"not_in_model": ", ".join(ask.missing), "morris_trajectories": morris_trajectories}
    ranking = with_grounds(ranking, study, ask, values, assumed_pairs, run) if assumed_pairs else ranking
    ranking = with_totals(ranking, ask, total_samples, seed, run) if total_samples else ranking
    if morris_trajectories:
        ranking = with_screening(ranking, ask, morris_trajectories, seed, run, by_module=morris_groups)
    if people is None or patients is None:
        return ranking
    ranking.attrs |= people_attrs(people, patients, redraw)
    ranking = with_people(ranking, study, ask, people, fraction)
    ranking = with_draws(ranking, study, ask, people, unknown, n_draws, run) if n_draws else ranking
    return ranking if member is None else with_subgroups(ranking, member)
