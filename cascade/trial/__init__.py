"""Virtual trials: one cohort followed in every arm, patients randomized, and who wins, by how much, with how many."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.errors import AnalysisError
from cascade.specs import Model
from cascade.survival._followed import MONTHS_PER_YEAR, over_patients
from cascade.trial._randomize import Plan, assign, enroll
from cascade.trial._results import compare, courses, describe, interim, subgroups
from cascade.trial.arms import Arms, arms_of, follow_arms

if TYPE_CHECKING:
    import xarray as xr


def run_trial(
    model: Model,
    cohort: xr.Dataset,
    arms: Arms,
    *,
    years_after: float = 10,
    n: int | None = None,
    allocation: Mapping[str, float] | None = None,
    accrual_months: float = 0.0,
    dropout: float = 0.0,
    death: float = 0.0,
    paired: bool = False,
    by: str | xr.DataArray | None = None,
    looks: Sequence[float] = (1.0,),
    bounds_shape: str = "obrien_fleming",
    alpha: float = 0.05,
    power: float | None = 0.8,
    replicates: int = 1_000,
    seed: int = 1,
    **options: Any,
) -> xr.Dataset:
    """Run a virtual trial: who wins, by how much, and how many patients it takes.

    The model runs once for each patient and arm (`follow_arms`); everything else is drawn from the hazards of these
    runs (`trial_of`, whose arguments and results these are).

    Parameters
    ----------
    model : Model
    cohort : xarray.Dataset
        Patients (`cascade.sample_cohort`).
    arms : mapping of str to treatment or list of treatments
        The control first; () or None for no treatment.
    years_after, n, allocation, accrual_months, dropout, death, paired, by, looks, bounds_shape, alpha, power, \
    replicates, seed
        As of `trial_of`. A name given as `by` may also be a variable of the cohort.
    **options
        Of `cascade.follow_cohort`: workers, executor, store, resume, chunk, progress, solver, years.

    Returns
    -------
    xarray.Dataset
        As of `trial_of`.

    Raises
    ------
    AnalysisError
        If arms, cohort or design cannot be used.

    Examples
    --------
    >>> drug = cascade.regimen("bevacizumab", origin="surgery", start=28, stop=365)
    >>> trial = run_trial(model, cohort, {"control": (), "bevacizumab": drug}, n=300)
    >>> float(trial["hazard_ratio"].sel(comparison="bevacizumab"))
    """
    design: dict[str, Any] = {
        "n": n, "allocation": allocation, "accrual_months": accrual_months, "dropout": dropout, "death": death,
        "paired": paired, "looks": looks, "bounds_shape": bounds_shape, "alpha": alpha, "power": power,
        "replicates": replicates, "seed": seed,
    }  # fmt: skip
    check_trial(list(arms_of(arms)), years_after=years_after, **design)
    outcomes = follow_arms(model, cohort, arms, years_after=years_after, seed=seed, **options)
    if isinstance(by, str) and by not in outcomes and by in cohort:
        by = cohort[by]
    return trial_of(outcomes, years_after=years_after, by=by, **design)


def check_trial(labels: Sequence[str], *, years_after: float, **design: Any) -> None:
    """Refuse a design that `trial_of` would refuse, before any run is spent on it.

    Parameters
    ----------
    labels : sequence of str
        Of the arms, the control first.
    years_after, **design
        As of `trial_of`, but for `by` and `weights`.

    Raises
    ------
    AnalysisError
        If a number cannot be used.
    """
    if not (is_number(years_after) and years_after > 0):
        raise AnalysisError(f"years_after is {years_after!r}; give a number above 0")
    _plan(labels, years_after * MONTHS_PER_YEAR, **design)


def _plan(
    labels: Sequence[str],
    months: float,
    *,
    allocation: Mapping[str, float] | None,
    accrual_months: float,
    paired: bool,
    looks: Sequence[float],
    **others: Any,
) -> Plan:
    return Plan(
        months=months, allocation=_allocation(labels, allocation), paired=bool(paired), accrual=accrual_months,
        looks=tuple(looks), **others,
    )  # fmt: skip


def trial_of(
    outcomes: xr.Dataset,
    *,
    years_after: float | None = None,
    n: int | None = None,
    allocation: Mapping[str, float] | None = None,
    accrual_months: float = 0.0,
    dropout: float = 0.0,
    death: float = 0.0,
    paired: bool = False,
    by: str | xr.DataArray | None = None,
    weights: xr.DataArray | None = None,
    looks: Sequence[float] = (1.0,),
    bounds_shape: str = "obrien_fleming",
    alpha: float = 0.05,
    power: float | None = 0.8,
    replicates: int = 1_000,
    seed: int = 1,
) -> xr.Dataset:
    """Randomize patients of known outcomes, follow them, and compare the arms.

    Parameters
    ----------
    outcomes : xarray.Dataset
        Result of `follow_arms`; the first arm is the control.
    years_after : float, optional
        Years from the first patient's surgery to the analysis; by default all that was followed.
    n : int, optional
        Patients in all arms together, drawn with replacement as often as each counts in the cohort; by default every
        patient of the cohort once, with his weight. Who is metastatic at diagnosis is not enrolled.
    allocation : mapping of str to number, optional
        Patients of each arm in relation to the others, such as {"control": 1, "drug": 2}; by default the same number.
    accrual_months : float
        Time in which patients enter, evenly; who enters later is followed for a shorter time.
    dropout, death : float
        Hazards per year of being lost and of death from another cause: both end the time without event.
    paired : bool
        Put every patient, with the same luck, into every arm: what no real trial can do, with far less chance.
    by : str or DataArray over patient, optional
        Labels of the cohort's patients, for hazard ratios by subgroup.
    weights : DataArray over patient, optional
        By default the variable `weight`, else all count alike.
    looks : sequence of float
        Shares of the expected events at which the trial is tested; the last is 1.
    bounds_shape : str
        "obrien_fleming" or "pocock".
    alpha : float
        Two-sided error of each comparison.
    power : float, optional
        How large must a trial be to find each difference with this chance? None leaves that out.
    replicates : int
        Simulated trials for that.
    seed : int
        Of everything that is drawn.

    Returns
    -------
    xarray.Dataset
        Over `arm` and `month`: `survival` (Kaplan-Meier) with `lower`, `upper`, `at_risk`, and `survival_exact`.
        Over `comparison`, the arms other than the control: all that `cascade.compare_arms` tells (over `year`
        where it is a risk), `p_adjusted` (Holm, for all comparisons), `hazard_ratio_exact` and `risk_reduction_exact`
        without chance; `hazard_ratio_early` and `hazard_ratio_late`, the ratio without chance until and after
        `half_month`, by which half of the metastases are expected: they differ if hazards are not proportional;
        `n_needed`, `n_needed_schoenfeld`, and `power`, the chance of a trial of this size to find it.
        Over `comparison` and `look`: `look_month`, `look_events`, `look_z`, `look_bound`, `look_passed`.
        Over `comparison` and `subgroup` (with `by`): `subgroup_ratio` with its interval, `subgroup_patients`,
        `subgroup_events`; and `p_interaction`, whether the ratios differ (Cochran's Q).
        Over `patient` (and `arm` if paired): `time` (months since surgery), `event`, `organ`, `end` (what ended the
        time), `entry` (month), `source` (the patient of the cohort), `assigned` (the arm) and `weight`.
        In attrs: `verdict` says it in words; `metastatic`, how many of the cohort are metastatic at diagnosis and so
        not randomized (expected, if n are drawn), `metastatic_share` the same by weight, `missing` those without a
        run, `effective_patients` the effective number of different patients that are drawn from: what these few have
        in common is in no interval.

    Raises
    ------
    AnalysisError
        If no patient has hazards in all arms, or the design cannot be used.

    Notes
    -----
    Patients enter by the control at surgery: whom a treatment before surgery saves from, or brings, a metastasis until
    then counts from month 0 on.
    """
    import xarray as xr

    labels = _labels(outcomes)
    plan = _plan(
        labels, _months(outcomes, years_after), n=n, allocation=allocation, accrual_months=accrual_months,
        dropout=dropout, death=death, paired=paired, looks=looks, bounds_shape=bounds_shape, alpha=alpha, power=power,
        replicates=replicates, seed=seed,
    )  # fmt: skip
    enrolled = enroll(outcomes, labels, plan, weights)
    trial = assign(enrolled, plan)
    found = xr.merge([trial, courses(trial, enrolled), compare(trial, enrolled, plan), interim(trial, enrolled, plan)])
    if by is not None:
        found = found.merge(subgroups(trial, _of_source(trial, outcomes, by)))
    return describe(found, outcomes, enrolled, plan)


def events_of_arm(trial: xr.Dataset, arm: str) -> xr.Dataset:
    """Return the events of one arm of a trial, for `cascade.survival`.

    Raises
    ------
    UnknownNameError
        If there is no such arm.
    """
    from cascade.trial._results import events_of

    return events_of(trial, arm)


def _labels(outcomes: xr.Dataset) -> list[str]:
    if "arm" not in getattr(outcomes, "dims", ()) or outcomes.sizes["arm"] < 2:
        raise AnalysisError("outcomes are not over two arms or more; give what cascade.trial.follow_arms() returns")
    labels = [str(each) for each in outcomes["arm"].values]
    if len(set(labels)) < len(labels):
        raise AnalysisError(f"two arms are called {max(labels, key=labels.count)!r}; give each a name of its own")
    return labels


def _months(outcomes: xr.Dataset, years_after: float | None) -> float:
    last = float(outcomes["month"].values[-1])
    if years_after is not None and not is_number(years_after):
        raise AnalysisError(f"years_after is {years_after!r}; give a number above 0")
    months = last if years_after is None else float(years_after) * MONTHS_PER_YEAR
    if not 0 < months <= last + 1e-9:
        raise AnalysisError(f"years_after is {years_after!r}; these patients were followed for {last / 12:g} years")
    return months


def _allocation(labels: Sequence[str], given: Mapping[str, float] | None) -> tuple[float, ...]:
    if given is None:
        return tuple(1 / len(labels) for _ in labels)
    if not isinstance(given, Mapping) or set(given) != set(labels):
        raise AnalysisError(f"allocation is {given!r}; give a number for each of {', '.join(labels)}")
    numbers = [float(given[label]) for label in labels]
    if not all(math.isfinite(each) and each > 0 for each in numbers):
        raise AnalysisError(f"allocation is {given!r}; give numbers above 0")
    return tuple(each / sum(numbers) for each in numbers)


def _of_source(trial: xr.Dataset, outcomes: xr.Dataset, by: str | xr.DataArray) -> Any:
    """Return the label of every patient of the trial, from that of the patient whom it was drawn from."""
    from cascade.survival._followed import labels_of

    base = outcomes.isel(arm=0)
    if not isinstance(by, str):
        by_values = over_patients(by, base, "groups")
        base = base.assign(_group=("patient", by_values))
    texts = labels_of(base, by if isinstance(by, str) else "_group")
    assert texts is not None
    known = dict(zip(base["patient"].values.astype(str), texts, strict=True))
    return np.array([known[str(each)] for each in trial["source"].values], dtype=object)
