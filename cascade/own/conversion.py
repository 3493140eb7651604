"""Converts a plain model of a user into the units of a module: days, nM in a litre, cells; every change is noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite

import libsbml

from cascade._sbml import symbols
from cascade.errors import ModuleError
from cascade.own.annotations import annotation_of, genes_of
from cascade.own.draft import Change, Draft, Happening, State
from cascade.own.inference import PURE
from cascade.own.ledger import Ledger
from cascade.own.measure import from_file, product
from cascade.own.quantities import Quantities
from cascade.own.scales import TIME, Quantity, Rewriter
from cascade.own.source import Source
from cascade.own.stated import Said, Stated
from cascade.own.terms import Term, times
from cascade.units import SUBSTANCE_OF

_NUMBER = Quantity(PURE, PURE, 1.0)


@dataclass
class Converter:
    """Turns one plain model into a draft; its `ledger` keeps what was done."""

    source: Source
    model: libsbml.Model
    stated: Stated
    said: Said
    draft: Draft = field(default_factory=Draft)

    def convert(self) -> Draft:
        """Return the draft; the notes of `ledger` then say what was done."""
        self.scale = Quantities(self.source.origin, self.model, self.stated, self.said)
        self.quantities = self.scale.of
        self.ledger = Ledger(self.source.origin, self.scale, self.draft.rows)
        self.rewriter = Rewriter(
            quantities=self.quantities,
            constants=self._constants,
            name_number=self.ledger.name_number,
            name_factor=self.ledger.name_factor,
            read_unit=lambda word: from_file(self.model, word),
            target_of=lambda unit: self.scale.quantity(unit, "a number"),
        )
        self._add_compartments()
        self._add_species()
        self._add_parameters()
        self._add_reactions()
        self._add_events()
        self.ledger.note_rewritten(self.rewriter.rewritten)
        return self.draft

    def _rule(self, name: str, state: State) -> None:
        """Write what decides a symbol: a rule, a rate rule, an initial assignment."""
        quantity = self.quantities[name]
        rule, start = self.model.getRule(name), self.model.getInitialAssignmentBySymbol(name)
        if rule is not None and rule.isAssignment():
            state.rule = self._formula(rule.getMath(), quantity, f"rule of {name}")
            state.start = None
            return
        if rule is not None:
            wanted = self.scale.per_time(quantity.source, quantity.target, quantity.factor)
            state.rate = self._formula(rule.getMath(), wanted, f"rate of {name}")
        if start is not None:
            state.start = self._formula(start.getMath(), quantity, f"start of {name}")

    def _formula(self, node: libsbml.ASTNode, wanted: Quantity, where: str) -> libsbml.ASTNode:
        self.ledger.where = where
        return self.rewriter.convert(node, wanted, where).node

    def _add_compartments(self) -> None:
        for place in self.model.getListOfCompartments():
            name = place.getId()
            quantity = self.quantities[name]
            start = float(f"{place.getSize() * quantity.factor:.15g}") if place.isSetSize() else None
            state = State(id=name, kind="compartment", unit="litre", name=place.getName(), start=start)
            self._rule(name, state)
            if state.start is None and state.rule is None:
                raise ModuleError(
                    f"{self.source.origin}: compartment {name} has no size; say volumes={{{name!r}: litres}}"
                )
            self.draft.states[name] = state
            self.ledger.note(name, "volume", place.getSize() if place.isSetSize() else None,
                       how="representative volume" if self.scale.growth != 1 else "")  # fmt: skip

    def _add_species(self) -> None:
        for species in self.model.getListOfSpecies():
            name = species.getId()
            value = self._start_of(species)
            how = self.scale.done.get(name, ("", 1.0))[0]
            if name in self._constants:
                self._add_row(species, value, how=how or "a constant species is a constant")
                continue
            self._require_kind(species)
            changed = self.scale.is_changed(species)
            kind = "amount" if species.getHasOnlySubstanceUnits() else "species"
            state = State(
                id=name, kind=kind if changed else "variable", unit=self.quantities[name].target.word,
                name=species.getName(), place=species.getCompartment(), annotation=annotation_of(species),
            )  # fmt: skip
            self._start(state, value, species)
            self._rule(name, state)
            self.ledger.note(name, "concentration" if kind == "species" else "amount", value, how=how)
            self._finish(state)

    def _require_kind(self, species: libsbml.Species) -> None:
        unit = self.quantities[species.getId()]
        if not species.getHasOnlySubstanceUnits() and unit.target.word not in SUBSTANCE_OF:
            raise ModuleError(
                f"{self.source.origin}: {species.getId()} is a concentration, but its unit is {unit.source.word}; say "
                f"units={{{species.getId()!r}: 'uM'}} or another, or let it be an amount"
            )

    def _start_of(self, species: libsbml.Species) -> float | None:
        """Return the start in the meaning that the symbol has in formulas."""
        place = self.model.getCompartment(species.getCompartment())
        amounts = species.getHasOnlySubstanceUnits()
        if species.isSetInitialConcentration():
            value = float(species.getInitialConcentration())
            return value * float(place.getSize()) if amounts else value
        if not species.isSetInitialAmount():
            return None
        value = float(species.getInitialAmount())
        if amounts:
            return value
        if place.getId() not in self._sized():
            raise ModuleError(
                f"{self.source.origin}: {species.getId()} starts with an amount in {place.getId()}, whose size is "
                "computed; give its initial concentration"
            )
        return value / float(place.getSize())

    def _sized(self) -> set[str]:
        return {place.getId() for place in self.model.getListOfCompartments()
                if place.isSetSize() and self.model.getInitialAssignmentBySymbol(place.getId()) is None
                and not (self.model.getRule(place.getId()) is not None
                         and self.model.getRule(place.getId()).isAssignment())}  # fmt: skip

    def _add_parameters(self) -> None:
        for parameter in self.model.getListOfParameters():
            name = parameter.getId()
            value = float(parameter.getValue()) if parameter.isSetValue() else None
            if name in self._constants:
                self._add_row(parameter, value)
                continue
            state = State(id=name, kind="variable", unit=self.quantities[name].target.word, name=parameter.getName(),
                          annotation=annotation_of(parameter))  # fmt: skip
            self._start(state, value, parameter)
            self._rule(name, state)
            self.ledger.note(name, "variable", value)
            self._finish(state)

    def _start(self, state: State, value: float | None, element: libsbml.SBase) -> None:
        """Start a state from a row of the table; 0 is structure."""
        if value is None or not isfinite(value) or self.model.getInitialAssignmentBySymbol(state.id) is not None:
            return
        rule = self.model.getRule(state.id)
        if rule is not None and rule.isAssignment():
            return
        if value == 0:
            state.start = 0.0
            return
        quantity = self.quantities[state.id]
        name = self.ledger.free_name(f"init_{state.id}")
        self.draft.rows[name] = self.ledger.row(name, f"start of {element.getName() or state.id}", value, quantity)
        state.start = _symbol(name)

    def _finish(self, state: State) -> None:
        if state.start is None and state.rule is None:
            raise ModuleError(f"{self.source.origin}: {state.id} has no start value; give it one")
        self.draft.states[state.id] = state

    @cached_property
    def _constants(self) -> set[str]:
        """Parameters and species that nothing changes or computes."""
        moved = {rule.getVariable() for rule in self.model.getListOfRules()}
        moved |= {each.getSymbol() for each in self.model.getListOfInitialAssignments()}
        for event in self.model.getListOfEvents():
            moved |= {each.getVariable() for each in event.getListOfEventAssignments()}
        names = {parameter.getId() for parameter in self.model.getListOfParameters()}
        names |= {s.getId() for s in self.model.getListOfSpecies() if not self.scale.is_changed(s)}
        return names - moved

    def _add_row(self, element: libsbml.SBase, value: float | None, how: str = "") -> None:
        name = element.getId()
        if value is None or not isfinite(value):
            raise ModuleError(f"{self.source.origin}: {name} has no value; give it one in the file")
        quantity = self.quantities[name]
        self.draft.rows[name] = self.ledger.row(name, element.getName() or name, value, quantity, genes_of(element))
        self.ledger.note(name, "constant", value, how=how)

    def _add_reactions(self) -> None:
        for reaction in self.model.getListOfReactions():
            taking = self.scale.participants(reaction)
            law = reaction.getKineticLaw().getMath()
            if not taking:
                continue
            wanted = self.quantities[reaction.getId()]
            self.ledger.where = f"rate of {reaction.getId()}"
            term = self._rate(reaction, law, wanted)
            unit = self.scale.amount(taking[0])[2]
            if any(abs(self.scale.amount(name)[2] / unit - 1) > 1e-12 for name in taking):
                self.ledger.note_text(
                    reaction.getId(), "its species are in different units, so the stoichiometry was converted"
                )

            def side(references: libsbml.ListOf, unit: float = unit) -> list[tuple[float, str]]:
                return [(float(f"{each.getStoichiometry() * self.scale.amount(each.getSpecies())[2] / unit:.15g}"),
                         each.getSpecies()) for each in references
                        if self.scale.is_changed(self.model.getSpecies(each.getSpecies()))]  # fmt: skip

            self.draft.reactions.append(
                Change(id=reaction.getId(), uses=side(reaction.getListOfReactants()),
                       makes=side(reaction.getListOfProducts()), rate=term.node, name=reaction.getName())
            )  # fmt: skip

    def _rate(self, reaction: libsbml.Reaction, law: libsbml.ASTNode, wanted: Quantity) -> Term:
        """Convert a rate; one that is a concentration per time, in a volume of 1, is multiplied by the volume."""
        place = self._only_place(reaction)
        if place is None or place in symbols(law):
            return self.rewriter.convert(law, wanted, self.ledger.where)
        volume = self.quantities[place]
        before, after = ((unit, 1.0) for unit in (wanted.source, wanted.target))
        thin = Quantity(product(before, (volume.source, -1)), product(after, (volume.target, -1)), wanted.factor)
        term = self.rewriter.homogeneous(law, thin)
        if term is None:
            return self.rewriter.convert(law, wanted, self.ledger.where)
        self.ledger.note_text(reaction.getId(), f"a concentration per time: multiplied by {place}, which is 1 litre")
        return Term(times(place, term.node))

    def _only_place(self, reaction: libsbml.Reaction) -> str | None:
        """Return the compartment of a reaction between concentrations if it is constant and 1, before and after."""
        taking = [self.model.getSpecies(name) for name in self.scale.participants(reaction)]
        places = {species.getCompartment() for species in taking}
        if len(places) != 1 or any(species.getHasOnlySubstanceUnits() for species in taking):
            return None
        place = self.model.getCompartment(places.pop())
        same = place.getConstant() and place.getSize() == 1 and self.quantities[place.getId()].factor == 1
        return str(place.getId()) if same and place.getId() in self._sized() else None

    def _add_events(self) -> None:
        for number, event in enumerate(self.model.getListOfEvents()):
            name = event.getId() or self.ledger.free_name(f"event_{number + 1}")
            self.ledger.where = f"event {name}"
            delay, priority, trigger = event.getDelay(), event.getPriority(), event.getTrigger()
            sets = [(each.getVariable(), self._formula(each.getMath(), self.quantities[each.getVariable()],
                                                       f"event {name} on {each.getVariable()}"))
                    for each in event.getListOfEventAssignments() if each.getMath() is not None]  # fmt: skip
            self.draft.events.append(
                Happening(
                    id=name,
                    trigger=self.rewriter.condition(trigger.getMath(), f"trigger of {name}"),
                    delay=self._formula(delay.getMath(), self.quantities[TIME], f"delay of {name}") if delay else None,
                    priority=self._formula(priority.getMath(), _NUMBER, f"priority of {name}") if priority else None,
                    initial=trigger.getInitialValue() if trigger.isSetInitialValue() else True,
                    persistent=trigger.getPersistent() if trigger.isSetPersistent() else True,
                    at_trigger=event.getUseValuesFromTriggerTime(),
                    sets=sets,
                )
            )


def _symbol(name: str) -> libsbml.ASTNode:
    node = libsbml.ASTNode(libsbml.AST_NAME)
    node.setName(name)
    return node
