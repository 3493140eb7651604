"""Drugs as changes of a model: an activity multiplies the target inside a window of time, and events switch it.

A treated model is a plain model: simulation and export need to know nothing of drugs, and a patient's own value of the
target survives, because it is multiplied and never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from numbers import Real

import libsbml

from cascade import _sbml
from cascade._canonical import Symbol, symbol_table
from cascade._multiply import multiply
from cascade._tables import is_number
from cascade._values import check_own
from cascade.errors import ValueSettingError, unknown_name
from cascade.specs import Intervention, Model, Parameter, require_model

_SBO_PARAMETER = 2  # quantitative systems description parameter
_SBO_TIME = 346  # temporal measure


def inhibit(
    target: str, by: float, start: float = 0.0, stop: float | None = None, origin: str | None = None
) -> Intervention:
    """Lower what a target does, for example by a drug.

    Parameters
    ----------
    target : str
        Name of a parameter, of a variable with a formula, or of a reaction.
    by : float
        Share of the effect that is lost: above 0, and 1 for a complete block.
    start, stop : float
        Window in days; without `stop` it never ends.
    origin : str, optional
        Name of a variable in days, for example the day of surgery; the window counts from there.

    Returns
    -------
    Intervention
        For `treat`.

    Raises
    ------
    ValueSettingError
        If a number cannot be used.
    """
    share = _number("by", by)
    if not 0 < share <= 1:
        raise ValueSettingError(
            f"inhibit({target!r}): by is {by!r}; give a share above 0 and at most 1 (0.8 loses 80 %)"
        )
    return _intervention(target, 1.0 - share, start, stop, origin, f"inhibit {target} by {share:g}")


def activate(
    target: str, by: float, start: float = 0.0, stop: float | None = None, origin: str | None = None
) -> Intervention:
    """Raise what a target does: it is multiplied by 1 + `by` inside the window.

    Parameters
    ----------
    target : str
        Name of a parameter, of a variable with a formula, or of a reaction.
    by : float
        Gain above 0; 1 doubles the effect.
    start, stop : float
        Window in days; without `stop` it never ends.
    origin : str, optional
        Name of a variable in days, for example the day of surgery; the window counts from there.

    Returns
    -------
    Intervention
        For `treat`.

    Raises
    ------
    ValueSettingError
        If a number cannot be used.
    """
    gain = _number("by", by)
    if gain <= 0:
        raise ValueSettingError(f"activate({target!r}): by is {by!r}; give a gain above 0 (1 doubles the effect)")
    return _intervention(target, 1.0 + gain, start, stop, origin, f"activate {target} by {gain:g}")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueSettingError(f"{name} is {value!r}; give a number")
    if not is_number(value):
        raise ValueSettingError(f"{name} is {value!r}; give a finite number")
    return float(value)


def _intervention(
    target: str, factor: float, start: float, stop: float | None, origin: str | None, label: str
) -> Intervention:
    begin = _number("start", start)
    end = None if stop is None else _number("stop", stop)
    if origin is None and begin < 0:
        raise ValueSettingError(f"{label}: start is day {begin:g}, before the simulation begins; give 0 or later")
    if end is not None and end <= begin:
        raise ValueSettingError(f"{label}: stop (day {end:g}) is not after start (day {begin:g})")
    return Intervention(target=target, factor=factor, start=begin, stop=end, origin=origin, label=label)


def treat(model: Model, *interventions: Intervention) -> Model:
    """Write interventions into a model.

    Several interventions on one target multiply. Start values that are computed from the target keep its untreated
    value: the patient was not treated before.

    Parameters
    ----------
    model : Model
    *interventions : Intervention
        Made by `inhibit` and `activate`.

    Returns
    -------
    Model
        With the new constants `factor_on_<target>`, `start_on_<target>` and `stop_on_<target>`, which can be set and
        swept like any other; without a hierarchical document.

    Raises
    ------
    UnknownNameError
        If a target or an origin is not in the model.
    ValueSettingError
        If the target cannot be treated: a species, a compartment, or something that nothing uses.
    """
    require_model(model, "treat")
    for each in interventions:
        if not isinstance(each, Intervention):
            raise ValueSettingError(
                f"treat() was given {each!r}; give what inhibit() and activate() return, one by one"
            )
    if not interventions:
        return model
    document = _sbml.read_document(model.flat, model.name)
    symbols = symbol_table(model.flat)
    rows: list[Parameter] = []
    new: list[str] = []
    for intervention in interventions:
        activity, constants = _apply(document.getModel(), model, symbols, intervention)
        rows += constants
        new += [activity, *(row.id for row in constants)]
    return replace(
        model,
        flat=_sbml.write_document(document),
        hierarchical=None,
        parameters=(*model.parameters, *rows),
        ids={**model.ids, **{name: name for name in new}},
        interventions=(*model.interventions, *interventions),
    )


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


def _apply(
    document: libsbml.Model, model: Model, symbols: Mapping[str, Symbol], intervention: Intervention
) -> tuple[str, list[Parameter]]:
    """Write one intervention; return the id of its activity and the rows of its constants."""
    target = _find(model, symbols, intervention.target, "target")
    check_own(model, intervention.target, target)
    _check_target(document, intervention, target)
    origin = None if intervention.origin is None else _find(model, symbols, intervention.origin, "time variable").id
    if origin is not None and symbols[origin].unit != "day":
        raise ValueSettingError(
            f"{intervention.label}: origin {origin!r} is in {symbols[origin].unit}; it must be in day"
        )
    names = _names(document, target.id)
    if not multiply(document, target, names.activity):
        raise ValueSettingError(
            f"{intervention.label}: no rate or formula uses {target.id!r} (start values are not treated), so nothing"
            " would change; target a parameter of the process itself"
        )
    _sbml.add_units(document, {"day"})
    return names.activity, list(_write(document, intervention, target, names, origin))


def _write(
    document: libsbml.Model, intervention: Intervention, target: Symbol, names: _Names, origin: str | None
) -> Iterator[Parameter]:
    """Write activity, constants and events; yield the rows of the constants."""
    label = intervention.label or f"change {target.id}"
    at_once = origin is None and intervention.start <= 0
    activity = _parameter(document, names.activity, f"activity of {target.name}", "dimensionless", _SBO_PARAMETER)
    activity.setConstant(False)
    activity.setValue(1.0)
    yield _constant(document, names.factor, f"factor on {target.name}", intervention.factor, "dimensionless", label)
    if at_once:
        assignment = document.createInitialAssignment()
        assignment.setSymbol(names.activity)
        assignment.setMath(libsbml.parseL3Formula(names.factor))
    else:
        yield _constant(document, names.start, f"start on {target.name}", intervention.start, "day", label)
        _event(
            document, f"begin_{names.activity}", f"{label}: begin", names.start, origin, names.activity, names.factor
        )
    if intervention.stop is not None:
        yield _constant(document, names.stop, f"stop on {target.name}", intervention.stop, "day", label)
        _event(
            document, f"end_{names.activity}", f"{label}: end", names.stop, origin, names.activity, "1 dimensionless"
        )


def _parameter(document: libsbml.Model, name: str, title: str, unit: str, sbo: int) -> libsbml.Parameter:
    parameter = document.createParameter()
    parameter.setId(name)
    parameter.setName(title)
    parameter.setUnits(unit)
    parameter.setSBOTerm(sbo)
    return parameter


def _constant(document: libsbml.Model, name: str, title: str, value: float, unit: str, label: str) -> Parameter:
    parameter = _parameter(document, name, title, unit, _SBO_TIME if unit == "day" else _SBO_PARAMETER)
    parameter.setConstant(True)
    parameter.setValue(value)
    note = f"therapy: {label}"
    return Parameter(
        id=name, name=title, nominal=value, unit=unit, lower=0.0 if unit == "dimensionless" else None, note=note
    )


def _event(
    document: libsbml.Model, name: str, title: str, moment: str, origin: str | None, variable: str, value: str
) -> None:
    """Write `at (time >= moment): variable = value`; the only form of a dose that all engines treat alike."""
    event = document.createEvent()
    event.setId(name)
    event.setName(title)
    event.setUseValuesFromTriggerTime(True)
    trigger = event.createTrigger()
    trigger.setInitialValue(False)
    trigger.setPersistent(True)
    trigger.setMath(libsbml.parseL3Formula(f"time >= {moment}" if origin is None else f"time >= {origin} + {moment}"))
    assignment = event.createEventAssignment()
    assignment.setVariable(variable)
    assignment.setMath(libsbml.parseL3Formula(value))


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
