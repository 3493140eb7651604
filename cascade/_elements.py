"""Write single elements into an SBML model: a parameter, the rule of one, an event that sets values."""

from __future__ import annotations

from collections.abc import Mapping

import libsbml

from cascade._sbml import add_units
from cascade.errors import SBMLError


def free_id(model: libsbml.Model, name: str) -> str:
    """Return `name`, or `name_2`, `name_3`, ...: the first id that no element of the model has."""
    number, free = 1, name
    while model.getElementBySId(free) is not None:
        number += 1
        free = f"{name}_{number}"
    return free


def add_parameter(
    model: libsbml.Model, name: str, unit: str, value: float | None = None, *, title: str = "", constant: bool = True
) -> libsbml.Parameter:
    """Add a parameter, and the definition of its unit where the model lacks it.

    Raises
    ------
    SBMLError
        If the id is taken.
    """
    if model.getElementBySId(name) is not None:
        raise SBMLError(f"the model already has a {name!r}, which is the name of what is added to it; rename it")
    add_units(model, {unit})
    parameter = model.createParameter()
    parameter.setId(name)
    if title:
        parameter.setName(title)
    parameter.setUnits(unit)
    if value is not None:
        parameter.setValue(value)
    parameter.setConstant(constant)
    return parameter


def compute(model: libsbml.Model, name: str, formula: str | libsbml.ASTNode) -> None:
    """Let a rule compute a parameter, which is no constant and has no value of its own from then on."""
    parameter = model.getParameter(name)
    parameter.setConstant(False)
    parameter.unsetValue()
    rule = model.createAssignmentRule()
    rule.setVariable(name)
    rule.setMath(libsbml.parseL3Formula(formula) if isinstance(formula, str) else formula)


def set_at(
    model: libsbml.Model,
    name: str,
    condition: str,
    changes: Mapping[str, str],
    *,
    title: str = "",
    at_once: bool = True,
) -> None:
    """Add an event: once the condition becomes true, variables take values.

    The only form that all engines treat alike: false at the start, persistent, no delay. With `at_once` the values are
    those of the moment of the trigger; without, each event sees what the others of that moment have done, so that doses
    given at the same time add up.
    """
    event = model.createEvent()
    event.setId(name)
    if title:
        event.setName(title)
    event.setUseValuesFromTriggerTime(at_once)
    trigger = event.createTrigger()
    trigger.setInitialValue(False)
    trigger.setPersistent(True)
    trigger.setMath(libsbml.parseL3Formula(condition))
    for variable, value in changes.items():
        assignment = event.createEventAssignment()
        assignment.setVariable(variable)
        assignment.setMath(libsbml.parseL3Formula(value))
