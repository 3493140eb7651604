"""Ways to spoil an export: each takes the SBML of a treated model and returns a file that is no longer that model.

The model that they are for has one drug in a window, so two events on `ACTIVITY`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libsbml

START, STOP = 30.0, 120.0
TARGET = "k_kill"
ACTIVITY, FACTOR = f"activity_of_{TARGET}", f"factor_on_{TARGET}"

Defect = Callable[[str], str]
DEFECTS: dict[str, Defect] = {}


def _defect(change: Callable[[Any], None]) -> Defect:
    """Make a function on text from a change of the model, and list it under its name."""

    def spoil(text: str) -> str:
        document = libsbml.readSBMLFromString(text)
        change(document.getModel())
        return str(libsbml.writeSBMLToString(document))

    DEFECTS[change.__name__] = spoil
    return spoil


def _math(formula: str) -> Any:
    math = libsbml.parseL3Formula(formula)
    assert math is not None, libsbml.getLastParseL3Error()
    return math


def _begin(model: Any) -> Any:
    return model.getEvent(f"begin_{ACTIVITY}")


def _end(model: Any) -> Any:
    return model.getEvent(f"end_{ACTIVITY}")


def _first_reaction(model: Any) -> Any:
    return next(r for r in model.getListOfReactions() if r.getNumProducts() and not r.getNumReactants())


@_defect
def short_pulse(model: Any) -> None:
    """The drug is a piecewise of a hundredth of a day instead of two events."""
    model.removeEvent(f"begin_{ACTIVITY}")
    model.removeEvent(f"end_{ACTIVITY}")
    rule = model.createAssignmentRule()
    rule.setVariable(ACTIVITY)
    rule.setMath(_math(f"piecewise(1000 dimensionless, time >= {START} && time < {START + 0.01}, 1 dimensionless)"))


@_defect
def event_at_zero(model: Any) -> None:
    """The drug starts at time 0, by an event whose trigger counts as true before."""
    model.getParameter(f"start_on_{TARGET}").setValue(0.0)
    _begin(model).getTrigger().setInitialValue(True)


@_defect
def event_delay(model: Any) -> None:
    """The drug starts earlier, and its event waits."""
    model.getParameter(f"start_on_{TARGET}").setValue(START - 5)
    _begin(model).createDelay().setMath(_math("5 day"))


@_defect
def event_priority(model: Any) -> None:
    """Two events want different things at the same time, and priorities say which comes last."""
    rival = _begin(model).clone()
    rival.setId("rival")
    rival.getEventAssignment(0).setMath(_math("0.5 dimensionless"))
    rival.createPriority().setMath(_math("1"))
    _begin(model).createPriority().setMath(_math("2"))
    model.addEvent(rival)


@_defect
def amount_for_concentration(model: Any) -> None:
    """A species becomes an amount; in a volume of one litre no number changes."""
    species = model.getSpecies(0)
    species.setHasOnlySubstanceUnits(not species.getHasOnlySubstanceUnits())


@_defect
def nested_id_clash(model: Any) -> None:
    """A symbol was renumbered on a clash while flattening."""
    species = model.getSpecies(0)
    old, new = species.getId(), species.getId() + "1__x"
    species.setId(new)
    for element in model.getListOfAllElements():
        element.renameSIdRefs(old, new)


@_defect
def wrong_instance(model: Any) -> None:
    """Two constants were swapped where ids of instances looked alike."""
    first, second = "k_kill", "k_attach"
    names = [p.getId() for p in model.getListOfParameters() if p.getConstant() and p.getUnits() == "per_day"]
    second = next(name for name in names if name != first and model.getParameter(name).getValue() not in (0.0, 1.0))
    third = next(
        name
        for name in names
        if name not in (first, second) and model.getParameter(name).getValue() != model.getParameter(second).getValue()
    )
    a, b = model.getParameter(second), model.getParameter(third)
    a_value, b_value = a.getValue(), b.getValue()
    a.setValue(b_value)
    b.setValue(a_value)


@_defect
def lost_unit(model: Any) -> None:
    """A constant lost its unit."""
    model.getParameter(TARGET).unsetUnits()


@_defect
def lost_time_unit(model: Any) -> None:
    """The model no longer says what a unit of time is."""
    model.unsetTimeUnits()


@_defect
def time_equals(model: Any) -> None:
    """The drug starts when time equals its day."""
    _begin(model).getTrigger().setMath(_math(f"time == start_on_{TARGET}"))


@_defect
def overwritten_dose(model: Any) -> None:
    """The end of the drug writes the factor again instead of 1."""
    _end(model).getEventAssignment(0).setMath(_math(FACTOR))


@_defect
def lost_stoichiometry(model: Any) -> None:
    """A product has no stoichiometry, which in level 3 has no default."""
    _first_reaction(model).getProduct(0).unsetStoichiometry()


@_defect
def wrong_stoichiometry(model: Any) -> None:
    """A product counts twice."""
    _first_reaction(model).getProduct(0).setStoichiometry(2.0)


@_defect
def dropped_initial_assignment(model: Any) -> None:
    """A start value that was computed is the stored number."""
    start = next(a for a in model.getListOfInitialAssignments() if model.getSpecies(a.getSymbol()) is not None)
    species = model.getSpecies(start.getSymbol())
    model.removeInitialAssignment(start.getSymbol())
    species.setInitialConcentration(1.0)


@_defect
def lost_volume(model: Any) -> None:
    """A compartment has no size."""
    model.getCompartment(0).unsetSize()


@_defect
def wrong_volume(model: Any) -> None:
    """A compartment is a thousand times smaller."""
    model.getCompartment(0).setSize(1e-3)


@_defect
def compound_trigger(model: Any) -> None:
    """The trigger of the drug has two clauses, of which one holds for a short time only."""
    start = f"start_on_{TARGET}"
    _begin(model).getTrigger().setMath(_math(f"(time >= {start}) && (time < {start} + 0.001 day)"))


@_defect
def algebraic_rule(model: Any) -> None:
    """An assignment rule is written as an equation."""
    rule = next(r for r in model.getListOfRules() if r.isAssignment())
    name, formula = rule.getVariable(), libsbml.formulaToL3String(rule.getMath())
    model.removeRuleByVariable(name)
    model.createAlgebraicRule().setMath(_math(f"{name} - ({formula})"))


@_defect
def conversion_factor(model: Any) -> None:
    """A species has a conversion factor, which only some tools read."""
    factor = model.createParameter()
    factor.setId("factor_of_conversion")
    factor.setConstant(True)
    factor.setValue(2.0)
    factor.setUnits("dimensionless")
    product = _first_reaction(model).getProduct(0).getSpecies()
    model.getSpecies(product).setConversionFactor("factor_of_conversion")


@_defect
def event_not_persistent(model: Any) -> None:
    """The drug is called off, because its trigger holds shorter than its delay."""
    event = _begin(model)
    event.getTrigger().setPersistent(False)
    event.getTrigger().setMath(_math(f"(time >= start_on_{TARGET}) && (time < start_on_{TARGET} + 1 day)"))
    event.createDelay().setMath(_math("2 day"))


@_defect
def lost_event(model: Any) -> None:
    """The drug never starts."""
    model.removeEvent(f"begin_{ACTIVITY}")


@_defect
def lost_sign(model: Any) -> None:
    """A loss became a gain."""
    reaction = next(r for r in model.getListOfReactions() if r.getNumReactants() and not r.getNumProducts())
    product = reaction.createProduct()
    product.setSpecies(reaction.getReactant(0).getSpecies())
    product.setStoichiometry(2.0)
    product.setConstant(True)


def duplicate_id(text: str) -> str:
    """Return a file in which two parameters have one id."""
    begin = text.index("<parameter ")
    end = (
        text.index("</parameter>", begin) + len("</parameter>")
        if "</parameter>" in text
        else text.index("/>", begin) + 2
    )
    first = text[begin:end]
    if "/>" in first[: first.index(">") + 1]:
        first = first[: first.index(">") + 1]
    return text[:begin] + first + text[begin:]
