"""Writes an intervention into a flat model: an activity multiplies the target inside a window, and events switch it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libsbml

from cascade import _sbml
from cascade._canonical import Symbol
from cascade._elements import add_parameter, set_at
from cascade._multiply import multiply
from cascade._values import check_own
from cascade.errors import ValueSettingError, unknown_name
from cascade.specs import Intervention, Model, Parameter
from cascade.therapy._moments import WITHOUT_DOSES, moment_id

_SBO_PARAMETER = 2  # quantitative systems description parameter
_SBO_TIME = 346  # temporal measure


@dataclass(frozen=True)
class _Names:
    """Ids of what one intervention adds."""

    activity: str
    factor: str
    start: str
    stop: str


def _names(model: libsbml.Model, target: str) -> _Names:
    number = 1
    while True:
        end = target if number == 1 else f"{target}_{number}"
        names = _Names(f"activity_of_{end}", f"factor_on_{end}", f"start_on_{end}", f"stop_on_{end}")
        if all(model.getElementBySId(name) is None for name in vars(names).values()):
            return names
        number += 1


def _find(model: Model, symbols: Mapping[str, Symbol], name: str, kind: str) -> Symbol:
    flat = model.ids.get(name, name) if isinstance(name, str) else None
    if flat is None or flat not in symbols:
        raise unknown_name(kind, name, [*model.ids, *symbols], f"model {model.name!r}")
    return symbols[flat]


def apply(
    document: libsbml.Model, model: Model, symbols: Mapping[str, Symbol], intervention: Intervention
) -> tuple[str, list[Parameter]]:
    """Write one intervention; return the id of its activity and the rows of its constants."""
    target = _find(model, symbols, intervention.target, "target")
    check_own(model, intervention.target, target)
    _check_target(document, intervention, target)
    origin, rows = _origin(document, model, symbols, intervention)
    names = _names(document, target.id)
    if not multiply(document, target, names.activity):
        raise ValueSettingError(
            f"{intervention.label}: no rate or formula uses {target.id!r} (start values are not treated), so nothing"
            " would change; target a parameter of the process itself"
        )
    return names.activity, [*rows, *_write(document, intervention, target, names, origin)]


def _origin(
    document: libsbml.Model, model: Model, symbols: Mapping[str, Symbol], intervention: Intervention
) -> tuple[str | None, list[Parameter]]:
    """Return the flat id of the day from which a window counts, and the rows of what had to be written for it."""
    name = intervention.origin
    rows: list[Parameter] = []
    if name is None:
        return None, []
    if name in WITHOUT_DOSES and name not in model.ids:
        origin, rows = moment_id(document, model, name, intervention.label)
    else:
        origin = _find(model, symbols, name, "time variable").id
        if symbols[origin].unit != "day":
            raise ValueSettingError(
                f"{intervention.label}: origin {origin!r} is in {symbols[origin].unit}; it must be in day"
            )
    if (origin not in symbols or symbols[origin].role == "switched") and intervention.start < 0:
        raise ValueSettingError(
            f"{intervention.label}: start is {-intervention.start:g} days before {origin!r}, which is not known before"
            " it comes; give 0 or later, or count from an earlier moment"
        )
    return origin, rows


def _write(
    document: libsbml.Model, intervention: Intervention, target: Symbol, names: _Names, origin: str | None
) -> Iterator[Parameter]:
    """Write activity, constants and events; yield the rows of the constants."""
    label = intervention.label or f"change {target.id}"
    at_once = origin is None and intervention.start <= 0
    title = f"activity of {target.name}"
    activity = add_parameter(document, names.activity, "dimensionless", 1.0, title=title, constant=False)
    activity.setSBOTerm(_SBO_PARAMETER)
    yield _constant(document, names.factor, f"factor on {target.name}", intervention.factor, "dimensionless", label)
    if at_once:
        assignment = document.createInitialAssignment()
        assignment.setSymbol(names.activity)
        assignment.setMath(libsbml.parseL3Formula(names.factor))
    else:
        yield _constant(document, names.start, f"start on {target.name}", intervention.start, "day", label)
        when = _when(names.start, origin)
        set_at(document, f"begin_{names.activity}", when, {names.activity: names.factor}, title=f"{label}: begin")
    if intervention.stop is not None:
        yield _constant(document, names.stop, f"stop on {target.name}", intervention.stop, "day", label)
        when = _when(names.stop, origin)
        set_at(document, f"end_{names.activity}", when, {names.activity: "1 dimensionless"}, title=f"{label}: end")


def _constant(document: libsbml.Model, name: str, title: str, value: float, unit: str, label: str) -> Parameter:
    parameter = add_parameter(document, name, unit, value, title=title)
    parameter.setSBOTerm(_SBO_TIME if unit == "day" else _SBO_PARAMETER)
    note = f"therapy: {label}"
    return Parameter(
        id=name, name=title, nominal=value, unit=unit, lower=0.0 if unit == "dimensionless" else None, note=note
    )


def _when(moment: str, origin: str | None) -> str:
    return f"time >= {moment}" if origin is None else f"time >= {origin} + {moment}"


def _check_target(document: libsbml.Model, intervention: Intervention, target: Symbol) -> None:
    if target.kind == "compartment":
        raise ValueSettingError(
            f"{intervention.label}: {target.id!r} is a compartment; target a parameter or a reaction"
        )
    if target.kind == "species" and target.role != "computed":
        makers = [
            reaction
            for reaction in document.getListOfReactions()
            if any(product.getSpecies() == target.id for product in reaction.getListOfProducts())
        ]
        constants = sorted({name for reaction in makers for name in _constants(document, reaction)})
        instead = ", ".join(constants[:8]) or "the parameters of the reactions that use it"
        raise ValueSettingError(
            f"{intervention.label}: {target.id!r} is a species, and a drug acts on a process; to have less or more of"
            f" it, target what makes it: {instead}"
        )


def _constants(document: libsbml.Model, reaction: libsbml.Reaction) -> Iterator[str]:
    """Yield the reaction and the constants of its rate law."""
    yield reaction.getId()
    if not reaction.isSetKineticLaw():
        return
    for name in _sbml.symbols(reaction.getKineticLaw().getMath()):
        parameter = document.getParameter(name)
        if parameter is not None and parameter.getConstant():
            yield name
