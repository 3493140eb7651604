"""The quantities of a user's model: the unit of each in the source and in the module, and the factor between them."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import libsbml

from cascade.errors import ModuleError
from cascade.own.amounts import to_concentrations
from cascade.own.measure import Measure, product, target
from cascade.own.scales import TIME, Quantity
from cascade.own.stated import Said, Stated


@dataclass
class Quantities:
    """Units and factors of one plain model, whose amounts of molecules become concentrations.

    Attributes
    ----------
    of : dict of str to Quantity
        By symbol, rates of reactions and the time (`TIME`) included.
    done : dict of str to (str, float)
        Amounts that became concentrations: how, and what the number was divided by.
    growth : float
        By how much amounts and volumes were enlarged.
    """

    origin: str
    model: libsbml.Model
    stated: Stated
    said: Said

    def __post_init__(self) -> None:
        self.units = dict(self.stated.units)
        self.done = to_concentrations(self.model, self.units, self._volumes())
        self.growth = self._growth()
        self.of = {symbol: self.quantity(unit, symbol) for symbol, unit in self.units.items()}
        self._add_rate_quantities()

    def _volumes(self) -> dict[str, float]:
        """Return the constant volumes in litres that the file or the user states."""
        found: dict[str, float] = {}
        changed = {rule.getVariable() for rule in self.model.getListOfRules()}
        changed |= {each.getSymbol() for each in self.model.getListOfInitialAssignments()}
        for place in self.model.getListOfCompartments():
            name = place.getId()
            if name in self.said.volumes:
                if place.isSetSize() and self.stated.how.get(name) == "you":
                    self._say_volume(place)
                found[name] = self.said.volumes[name]
            elif place.getConstant() and name not in changed and place.isSetSize():
                self._require_positive(place)
                if not self.stated.how[name].startswith("any"):
                    found[name] = place.getSize() * self.units[name].size * 1e3
        return found

    def _say_volume(self, place: libsbml.Compartment) -> None:
        """Let the unit of a compartment be such that its number stands for the volume that the user said."""
        self._require_positive(place)
        size = self.said.volumes[place.getId()] / place.getSize() * 1e-3
        self.units[place.getId()] = Measure((("metre", 3.0),), size, f"{size * 1e3:g} litre")

    def _require_positive(self, place: libsbml.Compartment) -> None:
        if not (isfinite(place.getSize()) and place.getSize() > 0):
            raise ModuleError(f"{self.origin}: compartment {place.getId()} has the size {place.getSize()}")

    def _growth(self) -> float:
        """Return by how much amounts and volumes are enlarged, so that the largest compartment is one litre.

        Concentrations stay what they are. A model that counts cells keeps its volumes.
        """
        kinds = {base for unit in self.units.values() for base, _ in unit.dimensions}
        flat = any(unit.exponent("metre") % 3 for unit in self.units.values())
        sizes = [place.getSize() * self.units[place.getId()].size * 1e3 for place in self.model.getListOfCompartments()
                 if place.getConstant() and place.isSetSize()]  # fmt: skip
        kept = [s for s in self.model.getListOfSpecies() if s.getHasOnlySubstanceUnits()]
        return 1.0 if "cell" in kinds or flat or kept or not sizes else 1 / max(sizes)

    def quantity(self, unit: Measure, symbol: str) -> Quantity:
        """Return the unit that a quantity gets and its factor."""
        goal = target(unit, symbol)
        factor = unit.size / goal.size * self.growth**unit.extensive
        return Quantity(unit, goal, float(f"{factor:.15g}"))

    def amount(self, name: str) -> tuple[Measure, Measure, float]:
        """Return the unit of the amount of a species, in the source and in the module, and its factor."""
        species = self.model.getSpecies(name)
        own = self.of[name]
        if species.getHasOnlySubstanceUnits():
            return own.source, own.target, own.factor
        place = self.of[species.getCompartment()]
        return (product((own.source, 1), (place.source, 1)), product((own.target, 1), (place.target, 1)),
                own.factor * place.factor)  # fmt: skip

    def per_time(self, unit: Measure, goal: Measure, factor: float) -> Quantity:
        """Return the rate at which a quantity changes."""
        clock = self.of[TIME]
        return Quantity(product((unit, 1), (clock.source, -1)), product((goal, 1), (clock.target, -1)),
                        factor / clock.factor)  # fmt: skip

    def _add_rate_quantities(self) -> None:
        for reaction in self.model.getListOfReactions():
            taking = self.participants(reaction) or self._all_participants(reaction)
            if taking:
                self.of[reaction.getId()] = self.per_time(*self.amount(taking[0]))

    def _all_participants(self, reaction: libsbml.Reaction) -> list[str]:
        return [each.getSpecies() for each in [*reaction.getListOfReactants(), *reaction.getListOfProducts()]]

    def participants(self, reaction: libsbml.Reaction) -> list[str]:
        """Return the species that a reaction changes."""
        return [name for name in self._all_participants(reaction) if self.is_changed(self.model.getSpecies(name))]

    def is_changed(self, species: libsbml.Species) -> bool:
        """Tell whether reactions change a species."""
        ruled = self.model.getRule(species.getId()) is not None
        return not (species.getBoundaryCondition() or species.getConstant() or ruled)
