"""PEtab v2 and v1: a problem of parameter estimation that is complete, from the table of a model."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._canonical import symbol_table
from cascade._files import make_folder, write_text
from cascade.errors import CascadeError, ValueSettingError
from cascade.evaluate import time_grid
from cascade.export.conditions import UNTREATED, Conditions, conditions
from cascade.export.measurements import Measurement, given_measurements, simulated_measurements
from cascade.export.observables import Observable, observables
from cascade.export.parameter_rows import excluded, parameter_rows
from cascade.specs import Intervention, Model, Parameter

if TYPE_CHECKING:
    import pandas as pd

VERSIONS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What both versions of PEtab tell in their own ways.

    Attributes
    ----------
    conditions : Conditions
        The model with the drugs of all treatments, and the values of each treatment.
    observables : tuple of Observable
    spreads : mapping of str to float
        Standard deviation of the noise by observable.
    measurements : tuple of Measurement
    """

    name: str
    conditions: Conditions
    observables: tuple[Observable, ...]
    spreads: Mapping[str, float]
    measurements: tuple[Measurement, ...]
    simulated: bool


def write_petab(
    model: Model,
    folder: Path,
    *,
    version: int = 2,
    treatments: Mapping[str, Intervention | Sequence[Intervention]] | None = None,
    measurements: pd.DataFrame | None = None,
    years: float | None = None,
) -> Path:
    """Write a PEtab problem.

    Parameters
    ----------
    model : Model
        Any model; what a treated one was given becomes the condition `treated`, beside `untreated`.
    folder : Path
        Made if it is not there.
    version : {1, 2}
        Version of PEtab.
    treatments : mapping of str to Intervention or sequence of Intervention, optional
        More conditions, by name.
    measurements : pandas.DataFrame, optional
        Columns `observableId`, `time` (day) and `measurement`, and `treatment` if there are any; others are kept.
        By default the model simulates them, without noise and labeled as such, so that the problem is complete.
    years : float, optional
        Length of the simulation behind them; by default that of analyses of the model.

    Returns
    -------
    Path
        `problem.yaml`. Beside it lie the SBML, the tables, `simulations.tsv` (the simulated measurements again) and,
        if any, `excluded_parameters.tsv` with the reason for each.

    Raises
    ------
    CascadeError
        If the version is unknown.
    ValueSettingError
        If a treatment or a measurement cannot be used.
    FileError
        If a file cannot be written.
    """
    if not isinstance(model, Model):
        raise ValueSettingError(f"write_petab() was given the model {model!r}; give a Model, made by compose()")
    if version not in VERSIONS:
        raise CascadeError(f"PEtab version {version!r}: known are 1 and 2")
    problem = _problem(model, treatments, measurements, years)
    target = make_folder(folder)
    for name, text in _files(problem, version).items():
        write_text(target / name, text)
    return target / "problem.yaml"


def _problem(
    model: Model,
    treatments: Mapping[str, Intervention | Sequence[Intervention]] | None,
    measurements: pd.DataFrame | None,
    years: float | None,
) -> Problem:
    arms = conditions(model, treatments)
    seen = observables(arms.model)
    _check_ids(arms.model, seen)
    grid = time_grid(model, years)
    if measurements is None:
        found, spreads = simulated_measurements(arms, seen, grid["years"])
    else:
        found, spreads = given_measurements(arms, seen, measurements)
    return Problem(
        name=re.sub(r"\W+", "_", model.name, flags=re.ASCII) or "model",
        conditions=arms,
        observables=seen,
        spreads=spreads,
        measurements=found,
        simulated=measurements is None,
    )


def _check_ids(model: Model, seen: Sequence[Observable]) -> None:
    taken = set(symbol_table(model.flat)) & {name for each in seen for name in (each.id, spread_id(each))}
    if taken:
        raise ValueSettingError(f"{model.name!r} has {', '.join(sorted(taken))}, ids that PEtab needs; rename them")


def _files(problem: Problem, version: int) -> dict[str, str]:
    """Return the text of every file by its name."""
    arms = problem.conditions
    rows = [*arms.model.parameters, *(_noise(each, problem.spreads[each.id]) for each in problem.observables)]
    left_out = excluded(arms.model, arms.targets)
    rows = [row for row in rows if row.id not in left_out and row.id not in arms.targets]
    found = {
        f"{problem.name}.xml": arms.model.flat,
        "parameters.tsv": _tsv(*parameter_rows(rows, version)),
        "observables.tsv": _observables(problem),
        "measurements.tsv": _measurements(problem, version, "measurement"),
        "problem.yaml": _yaml(problem, version),
        "README.md": _readme(problem, version, left_out),
    }
    if problem.simulated:
        found["simulations.tsv"] = _measurements(problem, version, "simulation")
    if left_out:
        found["excluded_parameters.tsv"] = _tsv(("parameterId", "reason"), left_out.items())
    if version == 1:
        names = arms.values or {UNTREATED: {}}
        cells = [(name, *(values[each] for each in arms.targets)) for name, values in names.items()]
        found["conditions.tsv"] = _tsv(("conditionId", *arms.targets), cells)
    elif arms.values:
        cells = [(name, each, value) for name, values in arms.values.items() for each, value in values.items()]
        found["conditions.tsv"] = _tsv(("conditionId", "targetId", "targetValue"), cells)
        found["experiments.tsv"] = _tsv(("experimentId", "time", "conditionId"), [(n, 0, n) for n in arms.values])
    return found


def spread_id(observable: Observable) -> str:
    """Return the id of the standard deviation of an observable's noise."""
    return f"sd_{observable.id}"


def _noise(observable: Observable, value: float) -> Parameter:
    return Parameter(
        id=spread_id(observable),
        name=f"standard deviation of {observable.id}",
        nominal=value,
        unit=observable.unit,
        lower=0.0,
        note="noise of the measurement, an example; put that of the assay here, or estimate it",
    )


def _observables(problem: Problem) -> str:
    columns = ("observableId", "observableName", "observableFormula", "noiseFormula", "noiseDistribution", "unit")
    cells = [(e.id, e.name, e.formula, spread_id(e), "normal", e.unit) for e in problem.observables]
    return _tsv(columns, cells)


def _measurements(problem: Problem, version: int, kind: str) -> str:
    arm = "experimentId" if version == 2 else "simulationConditionId"
    alone = "" if version == 2 else UNTREATED
    extra = tuple(dict.fromkeys(name for each in problem.measurements for name in each.others))
    cells = [
        (each.observable, each.treatment or alone, each.value, each.day, *(each.others.get(one, "") for one in extra))
        for each in problem.measurements
    ]
    return _tsv(("observableId", arm, kind, "time", *extra), cells)


def _yaml(problem: Problem, version: int) -> str:
    model = f"{problem.name}.xml"
    if version == 1:
        lines = ["format_version: 1", "parameter_file: parameters.tsv", "problems:", f"- sbml_files: [{model}]"]
        lines += [f"  {name}_files: [{name}s.tsv]" for name in ("condition", "measurement", "observable")]
        return "\n".join(lines) + "\n"
    lines = ["format_version: 2.0.0", f"id: {problem.name}", "model_files:"]
    lines += [f"  {problem.name}:", f"    location: {model}", "    language: sbml"]
    arms = ("condition", "experiment") if problem.conditions.values else ()
    tables = ("parameter", "observable", "measurement", *arms)
    return "\n".join([*lines, *(f"{name}_files: [{name}s.tsv]" for name in tables)]) + "\n"


def _readme(problem: Problem, version: int, left_out: Mapping[str, str]) -> str:
    model = problem.conditions.model
    lines = [f"# {model.name}: PEtab {version}", "", f"SHA-256 of the SBML: {model.hash}. Time is in days.", ""]
    if problem.simulated:
        lines += [
            "**The measurements are simulated**: the model at its nominal values, without noise. They make the problem",
            "complete and are an example; they are no data of patients. Replace `measurements.tsv` by your own.",
            "`simulations.tsv` holds the same numbers as simulations, for a check of the objective.",
            "",
        ]
    if problem.conditions.values:
        lines += [f"Conditions: {', '.join(problem.conditions.values)}.", ""]
    lines += [f"- `{each.id}`: {each.name} [{each.unit}]" for each in problem.observables]
    if left_out:
        lines += ["", "`excluded_parameters.tsv` says which constants are not in the table, and why."]
    return "\n".join(lines) + "\n"


def _tsv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return sink.getvalue()


def _cell(value: object) -> object:
    """Write every digit of a number, and no line end or tab in a text."""
    if isinstance(value, float):
        return repr(value)
    return re.sub(r"\s+", " ", value) if isinstance(value, str) else value
