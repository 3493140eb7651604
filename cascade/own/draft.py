"""A module in the making: its parts with formulas in the units of the module, under the names of the source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import libsbml

from cascade.specs import Parameter


@dataclass(kw_only=True)
class State:
    """A compartment, a species or a variable parameter: what it is called, its unit, and what decides it.

    `start` is a number or a formula; None if a rule computes it.
    """

    id: str
    kind: str  # compartment, species, amount, variable
    unit: str
    name: str = ""
    place: str = ""
    start: libsbml.ASTNode | float | None = None
    rule: libsbml.ASTNode | None = None
    rate: libsbml.ASTNode | None = None
    annotation: tuple[tuple[str, str], ...] = ()


@dataclass(kw_only=True)
class Change:
    """A reaction: (stoichiometry, species) that it uses and makes, and its rate."""

    id: str
    uses: list[tuple[float, str]]
    makes: list[tuple[float, str]]
    rate: libsbml.ASTNode
    name: str = ""


@dataclass(kw_only=True)
class Happening:
    """An event: when it happens and what it sets."""

    id: str
    trigger: libsbml.ASTNode
    delay: libsbml.ASTNode | None
    priority: libsbml.ASTNode | None
    initial: bool
    persistent: bool
    at_trigger: bool
    sets: list[tuple[str, libsbml.ASTNode]]


@dataclass(kw_only=True)
class Draft:
    """All parts of a module; `rows` are its constants by the name in the source."""

    states: dict[str, State] = field(default_factory=dict)
    rows: dict[str, Parameter] = field(default_factory=dict)
    reactions: list[Change] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)

    def formulas(self) -> Iterator[libsbml.ASTNode]:
        """Yield every formula."""
        for state in self.states.values():
            yield from (each for each in (state.start, state.rule, state.rate) if isinstance(each, libsbml.ASTNode))
        for reaction in self.reactions:
            yield reaction.rate
        for event in self.events:
            yield from (each for each in (event.trigger, event.delay, event.priority) if each is not None)
            yield from (math for _, math in event.sets)

    def names(self) -> list[str]:
        """Return every name in use."""
        processes = [*(each.id for each in self.reactions), *(each.id for each in self.events)]
        return [*self.states, *self.rows, *processes]
