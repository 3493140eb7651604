"""One switch for every treatment of a study: the model is compiled once, whatever is treated, how much, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import libsbml

from cascade import _sbml
from cascade._canonical import symbol_table
from cascade._multiply import multiply
from cascade.errors import AnalysisError
from cascade.specs import Model, Parameter

FROM, UNTIL, UNTIL_SURGERY = "treated_from", "treated_until", "treated_until_surgery"
"""Constants of the switch: first and last day, and 1 if the last day counts from surgery."""

END = "treated_end"
"""The last day of a window of drugs."""

NEVER = 1e6
"""A day beyond any follow-up."""


def factor_of(constant: str) -> str:
    """Return the id of the factor that treatment puts on a constant."""
    return f"treated_{constant}"


def switched(model: Model, constants: Sequence[str], surgery: str | None = None) -> Model:
    """Write a switch into a model that multiplies each constant by a factor of its own while it is on.

    Parameters
    ----------
    model : Model
    constants : sequence of str
        Flat ids.
    surgery : str, optional
        Flat id of the day of surgery; then `UNTIL_SURGERY` can be set.

    Returns
    -------
    Model
        With the constants `factor_of(...)`, 1 by default, and those of the switch, which is never on by default. Both
        events are of the form that all engines treat alike (`cascade.therapy`).

    Raises
    ------
    AnalysisError
        If nothing uses a constant.
    """
    document = _sbml.read_document(model.flat, model.name)
    flat, symbols = document.getModel(), symbol_table(model.flat)
    _sbml.add_units(flat, {"day"})
    rows, until = _window(flat, surgery)
    begin, end = _event(flat, "treatment_begins", FROM), _event(flat, "treatment_ends", until)
    for name in constants:
        activity = f"activity_of_{name}"
        if not multiply(flat, symbols[name], activity):
            raise AnalysisError(f"no rate or formula of model {model.name!r} uses {name!r}; a target cannot act on it")
        parameter = _parameter(flat, activity, 1.0, "dimensionless")
        parameter.setConstant(False)
        rows.append(_constant(flat, factor_of(name), 1.0, "dimensionless"))
        _assign(begin, activity, factor_of(name))
        _assign(end, activity, "1 dimensionless")
    return _with(model, document, rows, [row.id for row in rows])


def windowed(model: Model, surgery: str | None = None) -> Model:
    """Write the days of a window into a model, by which a regimen can be told when to begin and to end.

    Parameters
    ----------
    model : Model
    surgery : str, optional
        Flat id of the day of surgery; then `UNTIL_SURGERY` can be set.

    Returns
    -------
    Model
        With the constants of the switch, and the variable `END`.
    """
    document = _sbml.read_document(model.flat, model.name)
    flat = document.getModel()
    _sbml.add_units(flat, {"day"})
    rows, until = _window(flat, surgery)
    end = _parameter(flat, END, NEVER, "day")
    end.setConstant(False)
    end.unsetValue()
    rule = flat.createAssignmentRule()
    rule.setVariable(END)
    rule.setMath(libsbml.parseL3Formula(until))
    return _with(model, document, rows, [END, *(row.id for row in rows)])


def _window(flat: libsbml.Model, surgery: str | None) -> tuple[list[Parameter], str]:
    """Write the constants of the switch; return their rows and the formula of the last day."""
    rows = [_constant(flat, FROM, NEVER, "day"), _constant(flat, UNTIL, NEVER, "day")]
    if surgery is None:
        return rows, UNTIL
    rows.append(_constant(flat, UNTIL_SURGERY, 0.0, "dimensionless"))
    return rows, f"{UNTIL} + {UNTIL_SURGERY}*{surgery}"


def _with(model: Model, document: libsbml.SBMLDocument, rows: list[Parameter], names: list[str]) -> Model:
    return replace(
        model,
        flat=_sbml.write_document(document),
        hierarchical=None,
        parameters=(*model.parameters, *rows),
        ids={**model.ids, **{name: name for name in names}},
    )


def _parameter(flat: libsbml.Model, name: str, value: float, unit: str) -> libsbml.Parameter:
    if flat.getElementBySId(name) is not None:
        raise AnalysisError(f"the model already has a {name!r}, which a study of targets adds; rename it")
    parameter = flat.createParameter()
    parameter.setId(name)
    parameter.setUnits(unit)
    parameter.setValue(value)
    return parameter


def _constant(flat: libsbml.Model, name: str, value: float, unit: str) -> Parameter:
    _parameter(flat, name, value, unit).setConstant(True)
    return Parameter(id=name, name=name, nominal=value, unit=unit, note="therapy: arms of a study")


def _event(flat: libsbml.Model, name: str, moment: str) -> libsbml.Event:
    event = flat.createEvent()
    event.setId(name)
    event.setUseValuesFromTriggerTime(True)
    trigger = event.createTrigger()
    trigger.setInitialValue(False)
    trigger.setPersistent(True)
    trigger.setMath(libsbml.parseL3Formula(f"time >= {moment}"))
    return event


def _assign(event: libsbml.Event, variable: str, value: str) -> None:
    assignment = event.createEventAssignment()
    assignment.setVariable(variable)
    assignment.setMath(libsbml.parseL3Formula(value))
