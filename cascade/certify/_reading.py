"""Reads an SBML model as a system of differential equations.

Species are amounts where reactions change them, whatever their id means in formulas; an id that means a concentration
is the formula amount / volume. So changing volumes, events on volumes and any unit of substance come out right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import libsbml

from cascade.certify._formulas import Node, Reader, number, rate_of, symbol
from cascade.certify._system import Happening, System, amount_of, needs
from cascade.errors import SBMLError


def read_system(model: Any) -> System:
    """Read the equations of a flat SBML L3 model.

    Raises
    ------
    SBMLError
        For what this reading refuses: algebraic rules, `delay()`, fast reactions, a reaction without a rate.
    """
    return _Reading(model).system()


class _Reading:
    """Reads one model; a class because everything needs the model and its formulas."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.reader = Reader({f.getId(): f for f in model.getListOfFunctionDefinitions()})
        self.found = System(switches=self.reader.switches)
        self.rules: dict[str, Node] = {}
        self.rates: dict[str, Node] = {}
        self.flows: dict[str, list[Node]] = {}
        self.assigned: dict[str, Node] = {}

    def system(self) -> System:
        self._read_rules()
        self._read_events()
        for compartment in self.model.getListOfCompartments():
            self._quantity(compartment.getId(), compartment.getSize() if compartment.isSetSize() else math.nan)
        for parameter in self.model.getListOfParameters():
            self._quantity(parameter.getId(), parameter.getValue() if parameter.isSetValue() else math.nan)
        for reaction in self.model.getListOfReactions():
            self._read_reaction(reaction)
        for species in self.model.getListOfSpecies():
            self._read_species(species)
        self._define_rates_of_change()
        self._name_output()
        return self.found

    def _read_rules(self) -> None:
        for rule in self.model.getListOfRules():
            if rule.isAlgebraic():
                raise SBMLError(
                    "an algebraic rule: this solver has no equation to solve for; write it as an assignment"
                )
            table = self.rules if rule.isAssignment() else self.rates
            table[rule.getVariable()] = self.reader.read(rule.getMath(), f"rule of {rule.getVariable()!r}")
        for assignment in self.model.getListOfInitialAssignments():
            name = assignment.getSymbol()
            self.assigned[name] = self.reader.read(assignment.getMath(), f"initial assignment of {name!r}")

    def _read_events(self) -> None:
        for place, event in enumerate(self.model.getListOfEvents()):
            where = f"event {event.getId() or place + 1}"
            trigger = event.getTrigger()
            if trigger is None or not trigger.isSetMath():
                continue  # SBML L3V2: an event without a trigger never happens
            sets = tuple(
                (each.getVariable(), self.reader.read(each.getMath(), where))
                for each in event.getListOfEventAssignments()
                if each.isSetMath()
            )
            self.found.events.append(
                Happening(
                    id=event.getId() or f"event {place + 1}",
                    trigger=self.reader.read(trigger.getMath(), where),
                    delay=self.reader.read(event.getDelay().getMath(), where) if _has(event.getDelay()) else None,
                    priority=self.reader.read(event.getPriority().getMath(), where)
                    if _has(event.getPriority())
                    else None,
                    sets=sets,
                    starts_true=not trigger.isSetInitialValue() or bool(trigger.getInitialValue()),
                    persistent=not trigger.isSetPersistent() or bool(trigger.getPersistent()),
                    early_values=not event.isSetUseValuesFromTriggerTime() or bool(event.getUseValuesFromTriggerTime()),
                )
            )

    def _quantity(self, name: str, value: float) -> None:
        """Place a compartment, a parameter or a stoichiometry among formulas, states or held values."""
        if name in self.rules:
            self.found.defined[name] = self.rules[name]
            return
        if name in self.rates:
            self.found.states[name] = self.rates[name]
        else:
            self.found.held.append(name)
        self.found.starts[name] = self.assigned.get(name) or number(value)

    def _read_reaction(self, reaction: Any) -> None:
        name, law = reaction.getId(), reaction.getKineticLaw()
        if reaction.isSetFast() and reaction.getFast():
            raise SBMLError(f"reaction {name!r} is fast: it is an equation and not a rate; this solver has none")
        if law is None or not law.isSetMath():
            raise SBMLError(f"reaction {name!r} has no rate law; give it one")
        local = {}
        for parameter in law.getListOfLocalParameters():
            key = f"{parameter.getId()} of {name}"
            local[parameter.getId()] = symbol(key)
            self._quantity(key, parameter.getValue() if parameter.isSetValue() else math.nan)
        self.found.defined[name] = self.reader.read(law.getMath(), f"rate of {name!r}", local)
        for sign, references in ((-1.0, reaction.getListOfReactants()), (1.0, reaction.getListOfProducts())):
            for reference in references:
                flow = Node("multiply", (self._stoichiometry(reference), symbol(name)))
                signed = flow if sign > 0 else Node("negative", (flow,))
                self.flows.setdefault(reference.getSpecies(), []).append(signed)

    def _stoichiometry(self, reference: Any) -> Node:
        value = reference.getStoichiometry() if reference.isSetStoichiometry() else math.nan
        if not reference.isSetId():
            return number(1.0 if math.isnan(value) and reference.getLevel() < 3 else value)
        self._quantity(reference.getId(), value)
        return symbol(reference.getId())

    def _read_species(self, species: Any) -> None:
        name, place = species.getId(), species.getCompartment()
        compartment = self.model.getCompartment(place)
        pointlike = compartment is not None and compartment.getSpatialDimensionsAsDouble() == 0
        amounts = bool(species.getHasOnlySubstanceUnits()) or pointlike
        if name in self.rules:
            self.found.defined[name] = self.rules[name]
            self.found.species[name] = (name, place, amounts)
            return
        if name in self.rates:
            self.found.states[name] = self.rates[name]
            self.found.starts[name] = self._start(species, amounts)
            self.found.species[name] = (name, place, amounts)
            return
        key = name if amounts else amount_of(name)
        if not amounts:
            self.found.defined[name] = Node("divide", (symbol(key), symbol(place)))
        start = self._start(species, amounts)
        self.found.starts[key] = start if amounts else Node("multiply", (start, symbol(place)))
        self.found.species[name] = (key, place, amounts)
        flows = self.flows.get(name, [])
        if flows and not species.getBoundaryCondition() and not species.getConstant():
            self.found.states[key] = self._converted(species, _sum(flows))
        else:
            self.found.held.append(key)

    def _start(self, species: Any, amounts: bool) -> Node:
        """Return the start value in the meaning that the id has in formulas."""
        name, size = species.getId(), symbol(species.getCompartment())
        if name in self.assigned:
            return self.assigned[name]
        if species.isSetInitialConcentration():
            value = number(species.getInitialConcentration())
            return Node("multiply", (value, size)) if amounts else value
        value = number(species.getInitialAmount() if species.isSetInitialAmount() else math.nan)
        return value if amounts else Node("divide", (value, size))

    def _converted(self, species: Any, flow: Node) -> Node:
        if species.isSetConversionFactor():
            return Node("multiply", (symbol(species.getConversionFactor()), flow))
        if self.model.isSetConversionFactor():
            return Node("multiply", (symbol(self.model.getConversionFactor()), flow))
        return flow

    def _define_rates_of_change(self) -> None:
        """Write the formulas that `rateOf` asks for; those of no use stay unused."""
        found = self.found
        asked = {
            each.removeprefix("rate of ") for node in self._all() for each in needs(node) if each.startswith("rate of ")
        }
        for name in asked:
            key, place, amounts = found.species.get(name, (name, "", True))
            if name in found.states:
                found.defined[rate_of(name)] = found.states[name]
            elif name in found.held or (key in found.held and place in found.held):
                found.defined[rate_of(name)] = number(0)
            elif not amounts and name not in self.rules and place not in self.rules:
                change = found.states.get(key, number(0))
                growth = Node("multiply", (symbol(name), found.states.get(place, number(0))))
                found.defined[rate_of(name)] = Node("divide", (Node("subtract", (change, growth)), symbol(place)))
            else:
                raise SBMLError(f"rateOf({name}): the rate of what a rule or a reaction defines is not supported")

    def _all(self) -> Iterable[Node]:
        found = self.found
        yield from (*found.states.values(), *found.defined.values(), *found.starts.values())
        yield from (switch.node for switch in found.switches)
        for event in found.events:
            yield from (event.trigger, *(node for _, node in event.sets))
            yield from (node for node in (event.delay, event.priority) if node is not None)

    def _name_output(self) -> None:
        moved = {name for event in self.found.events for name, _ in event.sets} | self.rules.keys() | self.rates.keys()
        quantities = [*self.model.getListOfCompartments(), *self.model.getListOfParameters()]
        self.found.output = list(self.found.species)
        self.found.output += [each.getId() for each in quantities if each.getId() in moved]


def _has(part: Any) -> bool:
    return part is not None and part.isSetMath()


def _sum(nodes: list[Node]) -> Node:
    if len(nodes) == 1:
        return nodes[0]
    middle = len(nodes) // 2
    return Node("add", (_sum(nodes[:middle]), _sum(nodes[middle:])))


def first_system(text: str) -> System:
    """Read the equations of SBML text of any level, which must be flat and safe to read.

    Raises
    ------
    SBMLError
        If libSBML cannot read it, or see `read_system`.
    """
    document = libsbml.readSBMLFromString(text)
    if document.getModel() is None or document.getNumErrors(libsbml.LIBSBML_SEV_FATAL):
        raise SBMLError("the document holds no model that libSBML can read")
    if (document.getLevel(), document.getVersion()) != (3, 2):
        converted = document.setLevelAndVersion(3, 2, False, True)
        if not converted and document.getNumErrors(libsbml.LIBSBML_SEV_ERROR):
            raise SBMLError(f"cannot be read as SBML L3V2: {document.getError(0).getMessage().strip()}")
    return read_system(document.getModel())
