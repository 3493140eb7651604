"""Units as they compare: powers of base units and one factor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import libsbml


@dataclass(frozen=True, eq=False)
class Scale:
    """A unit, reduced: exponents of the base units of SBML, and the factor to them."""

    factor: float
    powers: tuple[tuple[str, float], ...]
    text: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scale):
            return NotImplemented
        return self.powers == other.powers and math.isclose(self.factor, other.factor, rel_tol=1e-9)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.text


def reduced(definition: libsbml.UnitDefinition | None) -> Scale | None:
    """Reduce a unit definition; None if it says nothing."""
    if definition is None or definition.getNumUnits() == 0:
        return None
    standard = libsbml.UnitDefinition.convertToSI(definition)
    factor, powers = 1.0, dict[str, float]()
    for unit in standard.getListOfUnits():
        exponent = unit.getExponentAsDouble()
        factor *= (unit.getMultiplier() * 10.0 ** unit.getScale()) ** exponent
        kind = libsbml.UnitKind_toString(unit.getKind())
        if kind == "(Invalid UnitKind)":
            return None
        if kind != "dimensionless":
            powers[kind] = powers.get(kind, 0.0) + exponent
    kept = tuple(sorted((kind, exponent) for kind, exponent in powers.items() if exponent))
    return Scale(factor, kept, libsbml.UnitDefinition.printUnits(definition, True))


def scale_of(element: libsbml.SBase) -> Scale | None:
    """Return the unit of a species, a parameter or a compartment; None if it is not declared."""
    return reduced(element.getDerivedUnitDefinition())


def model_scale(model: libsbml.Model, kind: str) -> Scale | None:
    """Return the unit of `time`, `extent` or `substance` that a model declares."""
    name = getattr(model, f"get{kind.capitalize()}Units")()
    if not name:
        return None
    definition = model.getUnitDefinition(name)
    return reduced(definition if definition is not None else base_unit(name, model))


def base_unit(name: str, model: libsbml.Model) -> libsbml.UnitDefinition:
    """Make the definition of a base unit of SBML."""
    definition = libsbml.UnitDefinition(model.getLevel(), model.getVersion())
    unit = definition.createUnit()
    unit.setKind(libsbml.UnitKind_forName(name))
    unit.setExponent(1)
    unit.setScale(0)
    unit.setMultiplier(1)
    return definition
