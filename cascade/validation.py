"""Qualification: does a model reproduce published facts? One table per module, composition or drug, misses included."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._progress import progress_bar
from cascade._subjects import Subject, composed_model, subject_folder, subject_of
from cascade.dose_measures import DOSE_MEASURES
from cascade.errors import CascadeError, unknown_name
from cascade.experiments import Experiment, read_experiments, run_experiment
from cascade.facts import Fact, read_facts
from cascade.measures import Variables, evaluate, evaluate_number
from cascade.population import population_risk
from cascade.readouts import readout
from cascade.specs import Model

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A published fact beside the model's value: NaN if the curve never does what is asked; `error` if it failed."""

    fact: Fact
    value: float
    error: str = ""

    @property
    def passed(self) -> bool:
        """Tell whether the model's value lies in the accepted interval."""
        return not self.error and self.fact.accepts(self.value)


@dataclass(frozen=True, kw_only=True)
class Qualification:
    """What `validate` found: the findings in the order of `evidence.tsv`, and the runs that they rest on."""

    name: str
    model_sha256: str
    findings: tuple[Finding, ...]
    runs: Mapping[str, xr.Dataset] = field(repr=False)
    evidence: Mapping[str, int] = field(default_factory=dict)
    changed: str = ""
    """What differs from the shipped model and its whole table, in words; empty if nothing does."""

    @property
    def passed(self) -> int:
        """Number of facts that the model reproduces."""
        return sum(finding.passed for finding in self.findings)

    @property
    def sourced(self) -> float:
        """Share of the constants (inputs from other modules not counted) with a source other than an assumption."""
        total = sum(self.evidence.values())
        return 1 - self.evidence.get("assumed", 0) / total if total else float("nan")

    def curve(self, fact: Fact) -> xr.DataArray | None:
        """Return the curve on which a fact lies, or None if it names none or cannot be drawn."""
        import xarray as xr

        try:
            names = {name: Variables(name, run) for name, run in self.runs.items()}
            found = evaluate(fact.curve, names, _FUNCTIONS) if fact.curve else None
        except CascadeError:
            return None
        return found if isinstance(found, xr.DataArray) and found.ndim else None

    def to_json(self) -> dict[str, Any]:
        """Return the table as plain data; numbers that do not exist are null."""
        return {
            "name": self.name,
            "model_sha256": self.model_sha256,
            "changed": self.changed,
            "facts": len(self.findings),
            "passed": self.passed,
            "share_not_assumed": None if np.isnan(self.sourced) else self.sourced,
            "constants_by_evidence": dict(self.evidence),
            "findings": [_row(finding) for finding in self.findings],
        }


def _row(finding: Finding) -> dict[str, Any]:
    fact = finding.fact
    return {
        "id": fact.id,
        "quantity": fact.quantity,
        "conditions": fact.conditions,
        "published": fact.value,
        "spread": fact.spread,
        "accepted": [fact.lower, fact.upper],
        "unit": fact.unit,
        "model": finding.value if np.isfinite(finding.value) else None,
        "passed": finding.passed,
        "error": finding.error,
        "role": fact.role,
        "basis": fact.basis,
        "source": list(fact.source),
        "where": fact.where,
        "note": fact.note,
        "compute": fact.compute,
    }


def validate(
    name: str | Path,
    *,
    model: Model | None = None,
    values: Mapping[str, float] | None = None,
    facts: Collection[str] | None = None,
    progress: bool = False,
) -> Qualification:
    """Compare a module, a composition or a drug with the published facts in its `evidence.tsv`.

    Parameters
    ----------
    name : str or Path
        A shipped name or the path of a folder. Where a drug and the module of its kinetics have one name, the drug.
    model : Model, optional
        What to compare, if not the model as it is shipped: one with other organs or classes, or one at hand already.
        The experiments of a drug name their own models.
    values : mapping of str to float, optional
        Constants that hold other values than those of the tables, in every experiment that does not set them itself;
        for calibration, and for asking which facts another number would miss.
    facts : collection of str, optional
        Ids of the facts to look at; only the experiments that they name are carried out. All if left out.
    progress : bool
        Show a progress bar over the experiments.

    Returns
    -------
    Qualification
        Every fact with the model's value and whether it lies in the accepted interval; misses stay in the table.

    Raises
    ------
    CascadeError
        If there is no such model, it has no `evidence.tsv`, or its files cannot be read.

    Examples
    --------
    >>> cascade.validate("tgf_beta").passed
    """
    folder = subject_folder(name)
    if not (folder / "evidence.tsv").is_file():
        raise CascadeError(f"{folder.name} has no evidence.tsv: no published facts to compare with; see README")
    subject = subject_of(folder, model)
    asked = _asked(read_facts(folder / "evidence.tsv"), facts)
    experiments = {
        key: experiment
        for key, experiment in read_experiments(folder / "experiments.toml").items()
        if facts is None or any(re.search(rf"\b{key}\b", f"{fact.compute} {fact.curve}") for fact in asked)
    }
    runs, failures = _run_all(subject, experiments, values or {}, progress)
    names: dict[str, Any] = {key: Variables(key, run) for key, run in runs.items()} | failures
    return Qualification(
        name=folder.name,
        model_sha256=subject.hash(run.attrs.get("model_sha256", "") for run in runs.values()),
        findings=tuple(_find(fact, subject.constants(values or {}) | names) for fact in asked),
        runs=runs,
        evidence=subject.evidence(),
        changed=_changed(model, values, facts),
    )


def _changed(model: Model | None, values: Mapping[str, float] | None, facts: Collection[str] | None) -> str:
    words = {"a changed model": model, "other values": values, "a choice of the facts": facts}
    return ", ".join(word for word, given in words.items() if given)


def _asked(known: Sequence[Fact], ids: Collection[str] | None) -> tuple[Fact, ...]:
    names = [fact.id for fact in known]
    for name in ids or ():
        if name not in names:
            raise unknown_name("fact", name, names, "evidence.tsv")
    return tuple(fact for fact in known if ids is None or fact.id in ids)


def _of(array: Any, label: Any) -> Any:
    """Pick one organ, year or quantile of a readout that has several."""
    dims = [str(dim) for dim in getattr(array, "dims", ()) if dim in ("organ", "year", "quantile")]
    if len(dims) != 1:
        raise CascadeError(f"of() needs a readout by organ, year or quantile, found {list(getattr(array, 'dims', ()))}")
    known = array[dims[0]].values.tolist()
    if label not in known:
        raise CascadeError(f"of(.., {label!r}): no such {dims[0]}; known: {known}")
    return array.sel({dims[0]: label}, drop=True)


_FUNCTIONS = {
    **DOSE_MEASURES,
    "readout": lambda run, name: readout(run.dataset, name),
    "of": _of,
    "cohort": lambda hazard, sigma: population_risk(hazard, float(sigma))["p_overt"],
}
"""Functions of expressions beside the measures of any curve: those of repeated doses,
`of(readout(patient, "p_involved"), "bone")`, and `cohort(hazard, sigma)`, the share of a cohort with lognormal
potential that has metastasis at a cumulative hazard of its median."""


class _Failed:
    """An experiment that could not be carried out: whoever reads it learns why."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __getattr__(self, variable: str) -> Any:
        raise CascadeError(self.__dict__["_reason"])


def _run_all(
    subject: Subject, experiments: Mapping[str, Experiment], values: Mapping[str, float], progress: bool
) -> tuple[dict[str, xr.Dataset], dict[str, _Failed]]:
    """Carry out every experiment; one that fails spoils only its own facts."""
    runs: dict[str, xr.Dataset] = {}
    failures: dict[str, _Failed] = {}
    composed = cache(composed_model)
    with progress_bar(f"validating {subject.folder.name}", len(experiments), progress) as advance:
        for name, experiment in experiments.items():
            try:
                on = composed(experiment.on) if experiment.on else subject.model
                runs[name] = run_experiment(on, experiment, values, subject.drug)
            except CascadeError as error:
                failures[name] = _Failed(str(error))
            advance()
    return runs, failures


def _find(fact: Fact, names: Mapping[str, Any]) -> Finding:
    try:
        value = evaluate_number(fact.compute, names, _FUNCTIONS)
    except CascadeError as error:
        return Finding(fact=fact, value=float("nan"), error=str(error))
    return Finding(fact=fact, value=value)
