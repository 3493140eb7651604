"""Gives states of a module other start values: a composition may begin elsewhere than its modules do alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import libsbml

from cascade._sbml import read_document, write_document
from cascade.errors import CompositionError, unknown_name
from cascade.specs import Module


def with_start(module: Module, values: Mapping[str, float]) -> Module:
    """Return a module whose states start at other values.

    Parameters
    ----------
    module : Module
        A module with species or rate rules.
    values : mapping of str to float
        Start values by id, in the unit of the state; of a species a concentration, or an amount if it counts one. They
        replace numbers and initial assignments.

    Returns
    -------
    Module
        The same module from another start.

    Raises
    ------
    UnknownNameError
        If the module has no such state.
    CompositionError
        If a rule computes it, so that it has no start of its own, or a species would start below 0.
    """
    if not values:
        return module
    document = read_document(module.sbml, module.name)
    model = document.getModel()
    changing = [rule.getVariable() for rule in model.getListOfRules() if rule.isRate()]
    known = [species.getId() for species in model.getListOfSpecies()] + changing
    for name, value in values.items():
        if name not in known:
            raise unknown_name("state", name, known, f"module {module.name!r}")
        if model.getSpecies(name) is not None and value < 0:
            raise CompositionError(f"start of {module.name}.{name} is {value:g}, which is negative; give 0 or more")
        if model.getAssignmentRuleByVariable(name) is not None:
            raise CompositionError(f"start of {module.name}.{name}: a rule computes it; leave it out")
        set_start(model, name, value)
    return replace(module, sbml=write_document(document))


def set_start(model: libsbml.Model, name: str, value: float) -> None:
    """Give a species or a parameter a number as its start, whatever computed it before."""
    model.removeInitialAssignment(name)
    species = model.getSpecies(name)
    if species is None:
        model.getParameter(name).setValue(value)
    elif species.getHasOnlySubstanceUnits():
        species.unsetInitialConcentration()
        species.setInitialAmount(value)
    else:
        species.unsetInitialAmount()
        species.setInitialConcentration(value)
