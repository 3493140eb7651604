"""Rows of PEtab's parameter table, and which constants cannot be in it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

from cascade import _sbml
from cascade._files import safe_cell
from cascade.specs import Model, Parameter

OWN = ("unit", "evidence", "system", "source", "where", "conversion", "gene", "target", "note")
"""Columns of cascade; PEtab allows more than its own."""

_V2 = ("lowerBound", "upperBound", "nominalValue", "estimate", "priorDistribution", "priorParameters")
_V1_PRIOR = (
    "initializationPriorType",
    "initializationPriorParameters",
    "objectivePriorType",
    "objectivePriorParameters",
)
_V1 = ("parameterScale", "lowerBound", "upperBound", "nominalValue", "estimate", *_V1_PRIOR)
_V1_PRIORS = {"normal": "normal", "log-normal": "logNormal", "uniform": "uniform"}


def parameter_rows(rows: Iterable[Parameter], version: int) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Return the columns and the rows of the parameter table of a version of PEtab."""
    columns, cells = (_V2, _second) if version == 2 else (_V1, _first)
    return ("parameterId", "parameterName", *columns, *OWN), [
        (row.id, safe_cell(row.name), *cells(row), *_own(row)) for row in rows
    ]


def excluded(model: Model, targets: Collection[str]) -> dict[str, str]:
    """Return the constants of a model that PEtab cannot have in its parameter table, with the reason."""
    flat = _sbml.read_document(model.flat, model.name).getModel()
    ruled = {rule.getVariable() for rule in flat.getListOfRules()}
    started = {each.getSymbol() for each in flat.getListOfInitialAssignments()}
    switched = {
        assignment.getVariable() for event in flat.getListOfEvents() for assignment in event.getListOfEventAssignments()
    }
    found: dict[str, str] = {}
    for row in model.parameters:
        if row.id in targets:
            found[row.id] = "a constant of a treatment: its values are in the condition table"
        elif flat.getParameter(row.id) is None:
            found[row.id] = "no parameter of the SBML; PEtab estimates parameters only"
        elif row.id in ruled:
            found[row.id] = "a rule of the SBML computes it"
        elif row.id in started:
            found[row.id] = "an initial assignment of the SBML computes it"
        elif row.id in switched:
            found[row.id] = "an event of the SBML changes it"
    return found


def _second(row: Parameter) -> tuple[object, ...]:
    low, high = _blank(row.lower), _blank(row.upper)
    prior = row.prior if row.estimate else ""
    numbers = _joined(_prior_numbers(row)) if prior else ""
    return low, high, row.nominal, "true" if row.estimate else "false", prior, numbers


def _first(row: Parameter) -> tuple[object, ...]:
    logarithmic = row.estimate and row.prior.startswith("log")
    bounds = (_blank(row.lower), _blank(row.upper))
    kind, numbers = "", ""
    if row.estimate and row.prior == "log-uniform":  # version 1 has it as uniform on the scale of the parameter
        kind, numbers = "parameterScaleUniform", _joined([math.log10(each) for each in _prior_numbers(row)])
    elif row.estimate and row.prior:
        kind, numbers = _V1_PRIORS[row.prior], _joined(_prior_numbers(row))
    scale = "log10" if logarithmic else "lin"
    return scale, *bounds, row.nominal, int(row.estimate), kind, numbers, kind, numbers


def _prior_numbers(row: Parameter) -> Sequence[float]:
    if row.prior in ("uniform", "log-uniform") and row.lower is not None and row.upper is not None:
        return row.lower, row.upper  # these priors fill the bounds
    return row.prior_parameters


def _own(row: Parameter) -> tuple[object, ...]:
    texts = (row.unit, row.evidence, row.system, "; ".join(row.source), row.where, row.conversion)
    return tuple(safe_cell(text) for text in (*texts, row.gene, row.target, row.note))


def _blank(value: float | None) -> object:
    return "" if value is None else value


def _joined(numbers: Iterable[float]) -> str:
    return ";".join(repr(float(each)) for each in numbers)
