"""What is asked of a ranking, resolved and checked before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade._tables import is_number, require_whole
from cascade.arms import Window, WindowSpec, windows_of
from cascade.drug_arms import drug_model, own_parameters
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import time_grid
from cascade.readouts import resolve_readout
from cascade.sensitivity import uncertain
from cascade.sensitivity.priors import MOST_SAMPLES
from cascade.specs import Model, Parameter
from cascade.study import Told, told_of
from cascade.target_table import Signs, Target, read_targets, resolve_acts
from cascade.therapy.regimens import Regimen


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked, checked: targets with the constants on which they act, those that the model has not, and more."""

    model: Model
    targets: dict[Target, Signs]
    missing: list[str]
    drugs: dict[str, Regimen]
    models: dict[str, Model]
    windows: list[Window]
    parameters: tuple[Parameter, ...]
    grid: dict[str, Any]
    told: Told

    @property
    def rows(self) -> list[str]:
        """Names of what is ranked."""
        return [*(target.target for target in self.targets), *self.drugs]

    @property
    def drawn(self) -> tuple[Parameter, ...]:
        """Everything that differs between patients: numbers of the model, then those of each drug."""
        own = {row.id: row for treated in self.models.values() for row in own_parameters(self.model, treated)}
        return (*self.parameters, *own.values())


def asked_of(
    model: Model,
    readout: str,
    targets: Sequence[str | Target] | None,
    drugs: dict[str, Regimen],
    windows: tuple[WindowSpec | None, Sequence[WindowSpec] | None],
    also: Sequence[str] | None,
    years: float | None,
) -> Asked:
    """Resolve the names, and refuse what is not known before anything runs."""
    name = resolve_readout(readout, model)
    nothing = targets is not None and not isinstance(targets, str) and not len(targets) and drugs
    chosen, missing = ({}, []) if nothing else _resolve(model, targets)
    _check_names(chosen, drugs)
    when = windows_of(model, *windows)
    parameters = uncertain(model)
    if not parameters:
        raise AnalysisError(f"model {model.name!r} has no uncertain parameter; set `estimate` to true for some")
    grid = time_grid(model, years)
    return Asked(
        model=model,
        targets=chosen,
        missing=missing,
        drugs=drugs,
        models={name: drug_model(model, plan) for name, plan in drugs.items()},
        windows=when,
        parameters=parameters,
        grid=grid,
        told=told_of(model, name, also),
    )


def _check_names(targets: Mapping[Target, Signs], drugs: Mapping[str, Regimen]) -> None:
    both = [target.target for target in targets if target.target in drugs]
    if both:
        raise AnalysisError(f"{both[0]!r} names a target and a drug; rename the folder of the drug")


def check_fractions(fraction: float, doses: Sequence[float], opposite: float | None) -> None:
    if not isinstance(doses, Sequence):
        raise AnalysisError(f"doses is {doses!r}; give a list of fractions")
    for each in (fraction, *doses, *(() if opposite is None else (opposite,))):
        if not (is_number(each) and 0 < each <= 1):
            raise AnalysisError(f"fraction is {each!r}; give a share above 0 and at most 1 (0.9 blocks 90 %)")


def check_sizes(samples: int, morris_trajectories: int, assumed_pairs: int, total_samples: int) -> None:
    require_whole("samples", samples, 0, MOST_SAMPLES)
    if samples < 10:
        raise AnalysisError(f"samples is {samples}; a ranking needs at least 10 patients, better 50 or more")
    require_whole("morris_trajectories", morris_trajectories, 0, MOST_SAMPLES)
    if morris_trajectories == 1 or morris_trajectories < 0:
        raise AnalysisError(f"morris_trajectories is {morris_trajectories}; give 0 (none) or at least 2")
    require_whole("assumed_pairs", assumed_pairs, 0, MOST_SAMPLES)
    require_whole("total_samples", total_samples, 0, MOST_SAMPLES)


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
