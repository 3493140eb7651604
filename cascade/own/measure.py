"""Units as dimensions and a size: read from a file or from the vocabulary, and the unit that cascade has for each.

Cells and molecules are different dimensions here, though both are counted: a cell never becomes a concentration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import isclose

import libsbml

from cascade.errors import ModuleError, TableError
from cascade.units import PARTICLE, parse_unit

Dimensions = tuple[tuple[str, float], ...]
"""Sorted (base, exponent) pairs without zeros; bases are mole, cell, metre, second, gram, pascal, ..."""

_COUNTED = ("cell", "cluster", "lesion", "vesicle", "Mcell", "Gcell", "Gvesicle")
_LIKE = {"kilogram": ("gram", 1, 1e3), "litre": ("metre", 3, 1e-3), "hertz": ("second", -1, 1.0)}
_LIKE |= {"meter": ("metre", 1, 1.0), "liter": ("metre", 3, 1e-3), "becquerel": ("second", -1, 1.0)}
_NOTHING = ("dimensionless", "radian", "steradian")
_TARGETS = {"second": "day", "gram": "g", "pascal": "mmHg", "metre": "cm", "mole": "nmole", "cell": "cell"}


@dataclass(frozen=True)
class Measure:
    """A unit: its dimensions, its size in SI base units (gram instead of kilogram, cells as such), and its word."""

    dimensions: Dimensions
    size: float
    word: str

    def exponent(self, base: str) -> float:
        """Return the exponent of a base dimension."""
        return dict(self.dimensions).get(base, 0.0)

    @property
    def extensive(self) -> float:
        """Degree in which the quantity grows with the size of the system: 1 for an amount, 0 for a concentration."""
        return self.exponent("mole") + self.exponent("metre") / 3


def combined(powers: Iterable[tuple[str, float]]) -> Dimensions:
    """Add up exponents by base."""
    total: dict[str, float] = {}
    for base, power in powers:
        total[base] = total.get(base, 0.0) + power
    return tuple(sorted((base, power) for base, power in total.items() if abs(power) > 1e-9))


def product(*terms: tuple[Measure, float], word: str = "") -> Measure:
    """Multiply powers of units."""
    dimensions = combined((base, own * power) for unit, power in terms for base, own in unit.dimensions)
    size = 1.0
    for unit, power in terms:
        size *= unit.size**power
    made = Measure(dimensions, size, word)
    return made if word else Measure(dimensions, size, spelled(made))


def from_word(word: str) -> Measure:
    """Read an id of the vocabulary, such as `uM_per_hour`.

    Raises
    ------
    TableError
        If a word of it is not in the vocabulary.
    """
    powers: list[tuple[str, float]] = []
    size, sign = 1.0, 1
    for part in word.split("_"):
        sign = -1 if part == "per" else sign
        base = part.rstrip("23456789")
        for factor in parse_unit(part) if part != "per" else ():
            power = sign * factor.exponent
            kind, times, own = _LIKE.get(factor.kind, (factor.kind, 1, 1.0))
            multiplier = factor.multiplier
            if base in _COUNTED:
                kind, multiplier = "cell", multiplier / PARTICLE
            if kind not in _NOTHING:
                powers.append((kind, power * times))
            size *= (own * multiplier * 10.0**factor.scale) ** power
    parse_unit(word)
    return Measure(combined(powers), size, word)


def from_file(model: libsbml.Model, word: str) -> Measure | None:
    """Read a unit that a file names; None if the file does not say what it is.

    An id of the vocabulary whose definition is empty (Antimony's `S has uM`) or the same means what cascade means.
    """
    definition = model.getUnitDefinition(word)
    if definition is None or not definition.getNumUnits():
        return _of_vocabulary(word.removesuffix("_volume")) or _of_kind(word)
    powers: list[tuple[str, float]] = []
    size = 1.0
    for unit in definition.getListOfUnits():
        kind, times, own = _base(str(libsbml.UnitKind_toString(unit.getKind())), f"{word} {definition.getName()}")
        power = unit.getExponentAsDouble()
        if kind not in _NOTHING:
            powers.append((kind, power * times))
        size *= (own * unit.getMultiplier() * 10.0 ** unit.getScale()) ** power
    found = Measure(combined(powers), size, word)
    known = _of_vocabulary(word)
    if known is not None and _is_same(known, found):
        return known
    return Measure(found.dimensions, found.size, spelled(found) or word)


def _base(kind: str, names: str) -> tuple[str, int, float]:
    if kind == "item":
        return ("cell", 1, 1.0) if re.search("cell|lesion|cluster", names.lower()) else ("mole", 1, PARTICLE)
    return _LIKE.get(kind, (kind, 1, 1.0))


def _of_vocabulary(word: str) -> Measure | None:
    try:
        return from_word(word)
    except TableError:
        return None


def _of_kind(word: str) -> Measure | None:
    if libsbml.UnitKind_forName(word) == libsbml.UNIT_KIND_INVALID:
        return None
    kind, times, size = _base(word, "")
    return Measure(() if kind in _NOTHING else ((kind, float(times)),), size, "molecule" if word == "item" else word)


def _is_same(one: Measure, other: Measure) -> bool:
    """Tell whether two units are the same; the vocabulary's cell is a number of moles in SBML."""
    plain = [combined(("mole" if b == "cell" else b, p) for b, p in unit.dimensions) for unit in (one, other)]
    sizes = [unit.size * PARTICLE ** unit.exponent("cell") for unit in (one, other)]
    return plain[0] == plain[1] and isclose(*sizes, rel_tol=1e-6)


def target(unit: Measure, symbol: str) -> Measure:
    """Return the unit that a module has for a quantity: nM, litre, day, cell.

    Raises
    ------
    ModuleError
        If the vocabulary has no unit of these dimensions.
    """
    word = _keeps(unit)
    if word is not None:
        return from_word(word)
    powers = dict(unit.dimensions)
    unknown = sorted(set(powers) - set(_TARGETS))
    if unknown or any(power != round(power) for power in powers.values()):
        raise ModuleError(
            f"{symbol} is in {unit.word or unit.dimensions}, for which cascade has no unit; "
            f"give it one of the vocabulary: units={{{symbol!r}: ...}}"
        )
    return from_word(_join(_words(powers)))


def _keeps(unit: Measure) -> str | None:
    """Return the word of a unit that stays as it is: counted things, and what has neither time, amount nor volume."""
    powers = dict(unit.dimensions)
    if not powers:
        return "dimensionless"
    if set(powers) & {"mole", "second"} or _of_vocabulary(unit.word) is None:
        return None
    if "metre" in powers and ("cell" in powers or powers["metre"] % 3 == 0):
        return None
    return unit.word


def _words(powers: dict[str, float]) -> list[tuple[str, int]]:
    left = {base: round(power) for base, power in powers.items()}
    volume = left.get("metre", 0)
    found: list[tuple[str, int]] = []
    if volume % 3 == 0:
        litres = volume // 3
        left.pop("metre", None)
        if left.get("mole") and left["mole"] == -litres:
            found.append(("nM", left.pop("mole")))
        elif left.get("cell") and left["cell"] == -litres:
            count = left.pop("cell")
            found += [("Mcell", count), ("ml", -count)]
        elif litres:
            found.append(("litre", litres))
    found += [(_TARGETS[base], left[base]) for base in ("mole", "cell", "metre", "gram", "pascal", "second")
              if left.get(base)]  # fmt: skip
    return found


def _join(words: list[tuple[str, int]]) -> str:
    def text(word: str, power: int) -> str:
        return word if power == 1 else f"{word}{power}"

    above = [text(word, power) for word, power in words if power > 0]
    below = [f"per_{text(word, -power)}" for word, power in words if power < 0]
    return "_".join(above + below) or "dimensionless"


def spelled(unit: Measure) -> str:
    """Return a word of the vocabulary that means exactly this unit, or "" if there is none."""
    powers = dict(unit.dimensions)
    if any(power != round(power) for power in powers.values()):
        return ""
    options: list[list[list[tuple[str, int]]]] = []
    mole, metre, second = (round(powers.get(base, 0)) for base in ("mole", "metre", "second"))
    if mole and metre == -3 * mole:
        options.append([[(word, mole)] for word in ("pM", "nM", "uM", "mM")]
                       + [[("molecule", mole), (volume, -mole)] for volume in ("litre", "ml")])  # fmt: skip
        metre = 0
    elif mole:
        options.append([[(word, mole)] for word in ("molecule", "pmole", "nmole", "umole", "mmole")])
    if metre:
        lengths = [[(word, metre)] for word in ("um", "mm", "cm")]
        options.append([[(w, metre // 3)] for w in ("litre", "ml")] if metre % 3 == 0 else lengths)
    if second:
        options.append([[(word, second)] for word in ("second", "minute", "hour", "day")])
    for base, words in (("cell", ("cell",)), ("gram", ("ng", "mg", "g", "kg")), ("pascal", ("mmHg",))):
        if powers.get(base):
            options.append([[(word, round(powers[base]))] for word in words])
    return _first_of_size(options, unit)


def _first_of_size(options: list[list[list[tuple[str, int]]]], unit: Measure) -> str:
    from itertools import product as choices

    if any(abs(power) > 9 for _, power in unit.dimensions):
        return ""
    for chosen in choices(*options):
        word = _join([part for parts in chosen for part in parts])
        found = from_word(word)
        if found.dimensions == unit.dimensions and isclose(found.size, unit.size, rel_tol=1e-9):
            return word
    return ""
