"""A model as equations: states, held values, formulas, switches, events; and the order in which formulas are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from cascade.certify._formulas import Node, Switch, walk
from cascade.errors import SBMLError


def amount_of(species: str) -> str:
    """Return the key of the amount of a species whose id means a concentration."""
    return f"amount of {species}"


def switch_key(switch: int) -> str:
    """Return the key of a switch in the order of evaluation."""
    return f"switch {switch}"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: formulas by what they set, and the attributes that say when and how."""

    id: str
    trigger: Node
    delay: Node | None
    priority: Node | None
    sets: tuple[tuple[str, Node], ...]
    starts_true: bool
    persistent: bool
    early_values: bool


@dataclass
class System:
    """A model as equations.

    Attributes
    ----------
    states : dict
        Key of each state to the formula of its rate of change.
    held : list
        Keys of values that change at events only, or never.
    defined : dict
        Key to formula: rules, concentrations, rates of reactions.
    starts : dict
        Key to formula of the value at time 0, of all states and held values.
    species : dict
        Id to (key of its amount, compartment, whether the id means an amount).
    output : list
        Ids that are compared: species, and all else that changes.
    """

    states: dict[str, Node] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    defined: dict[str, Node] = field(default_factory=dict)
    starts: dict[str, Node] = field(default_factory=dict)
    switches: list[Switch] = field(default_factory=list)
    events: list[Happening] = field(default_factory=list)
    species: dict[str, tuple[str, str, bool]] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)

    def order(self, formulas: Mapping[str, Node]) -> list[str]:
        """Return keys of formulas and switches so that each comes after what it needs.

        Raises
        ------
        SBMLError
            If formulas need each other in a circle.
        """
        graph: dict[str, set[str]] = {}
        todo = [*formulas, *(switch_key(place) for place in range(len(self.switches)))]
        for key in todo:
            node = self.node(key, formulas)
            graph[key] = {need for need in needs(node) if need in formulas or need.startswith("switch ")}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = " -> ".join(str(key) for key in error.args[1])
            raise SBMLError(f"formulas need each other in a circle: {circle}; such a model has no order") from None

    def node(self, key: str, formulas: Mapping[str, Node]) -> Node:
        """Return the formula of a key, be it a switch."""
        if key in formulas:
            return formulas[key]
        return self.switches[int(key.removeprefix("switch "))].node


def needs(node: Node) -> set[str]:
    """Return the keys that a formula mentions."""
    found = set()
    for each in walk(node):
        if each.op == "symbol":
            found.add(each.value)
        elif each.op == "switch":
            found.add(switch_key(each.value))
    return found
