"""The unit vocabulary: an id such as `nM_per_day` and the SBML unit definition that it stands for.

An id is a product of factors joined by `_`; factors after each `per` divide; a trailing digit is a power:
`per_nM2_per_day` is 1/(nM^2 day), `molecule_per_um2` is molecules per square micrometer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import log10

from cascade.errors import TableError

PARTICLE = 1.66053906717e-24
"""Moles of one particle: the inverse of the Avogadro constant (SI 2019, exact 6.02214076e23 per mole)."""


@dataclass(frozen=True)
class Factor:
    """One `kind` of SBML base unit raised to `exponent`, times ten to the `scale`, times `multiplier`."""

    kind: str
    exponent: int = 1
    scale: int = 0
    multiplier: float = 1.0


# Cells and lesions are counted in particles, so that a cell may turn into a lesion under a strict unit check.
_VOCABULARY: dict[str, tuple[Factor, ...]] = {
    "dimensionless": (Factor("dimensionless"),),
    "second": (Factor("second"),),
    "minute": (Factor("second", multiplier=60.0),),
    "hour": (Factor("second", multiplier=3600.0),),
    "day": (Factor("second", multiplier=86400.0),),
    "year": (
        Factor("second", multiplier=31557600.0),
    ),  # 365.25 days; of readouts and published hazards, never of a model
    "pM": (Factor("mole", scale=-12), Factor("litre", -1)),
    "nM": (Factor("mole", scale=-9), Factor("litre", -1)),
    "uM": (Factor("mole", scale=-6), Factor("litre", -1)),
    "mM": (Factor("mole", scale=-3), Factor("litre", -1)),
    "pmole": (Factor("mole", scale=-12),),
    "nmole": (Factor("mole", scale=-9),),
    "umole": (Factor("mole", scale=-6),),
    "mmole": (Factor("mole", scale=-3),),
    "litre": (Factor("litre"),),
    "ml": (Factor("litre", scale=-3),),
    "cell": (Factor("mole", multiplier=PARTICLE),),
    "cluster": (Factor("mole", multiplier=PARTICLE),),
    "lesion": (Factor("mole", multiplier=PARTICLE),),
    "molecule": (Factor("mole", multiplier=PARTICLE),),
    "copy": (Factor("mole", multiplier=PARTICLE),),
    "Mcell": (Factor("mole", scale=6, multiplier=PARTICLE),),
    "Gcell": (Factor("mole", scale=9, multiplier=PARTICLE),),
    "vesicle": (Factor("mole", multiplier=PARTICLE),),
    "Gvesicle": (Factor("mole", scale=9, multiplier=PARTICLE),),
    "mmHg": (Factor("pascal", multiplier=133.322387415),),
    "um": (Factor("metre", scale=-6),),
    "mm": (Factor("metre", scale=-3),),
    "cm": (Factor("metre", scale=-2),),
    "ng": (Factor("gram", scale=-9),),
    "mg": (Factor("gram", scale=-3),),
    "g": (Factor("gram"),),
    "kg": (Factor("kilogram"),),
}

SUBSTANCE_OF: dict[str, str] = {
    "pM": "pmole",
    "nM": "nmole",
    "uM": "umole",
    "mM": "mmole",
    "Mcell_per_ml": "Gcell",
}
"""Substance unit of a concentration species in a compartment measured in litres."""

_TOKEN = re.compile(r"^([A-Za-z]+?)([2-9]?)$")


def known_units() -> tuple[str, ...]:
    """Return the base words of the vocabulary."""
    return tuple(_VOCABULARY)


def parse_unit(unit: str) -> tuple[Factor, ...]:
    """Expand a unit id into SBML factors.

    Parameters
    ----------
    unit : str
        A unit id, for example `per_nM_per_day`.

    Returns
    -------
    tuple of Factor

    Raises
    ------
    TableError
        If a word of the id is not in the vocabulary.
    """
    factors: list[Factor] = []
    sign = 1
    words = unit.split("_")
    if not unit or words[-1] == "per":
        raise TableError(f"unit {unit!r} is incomplete; write for example nM_per_day or per_day")
    for word in words:
        if word == "per":
            sign = -1
            continue
        match = _TOKEN.match(word)
        base = _VOCABULARY.get(match.group(1)) if match else None
        if match is None or base is None:
            raise TableError(f"unit {unit!r} has the unknown word {word!r}; known words: " + ", ".join(_VOCABULARY))
        power = sign * int(match.group(2) or 1)
        factors += [Factor(f.kind, f.exponent * power, f.scale, f.multiplier) for f in base]
    return tuple(factors)


def dimension(unit: str) -> tuple[tuple[str, int], ...]:
    """Return the base dimensions of a unit: sorted (kind, exponent) pairs without zero exponents."""
    total: dict[str, int] = {}
    for factor in parse_unit(unit):
        kind, power = ("metre", 3 * factor.exponent) if factor.kind == "litre" else (factor.kind, factor.exponent)
        kind = "gram" if kind == "kilogram" else kind
        if kind != "dimensionless":
            total[kind] = total.get(kind, 0) + power
    return tuple(sorted((kind, power) for kind, power in total.items() if power))


def magnitude(unit: str) -> float:
    """Return the size of a unit in SBML base units (litre taken as 1e-3 cubic metre)."""
    value = 1.0
    for factor in parse_unit(unit):
        base = {"litre": 1e-3, "kilogram": 1e3}.get(factor.kind, 1.0)
        value *= (base * factor.multiplier * 10.0**factor.scale) ** factor.exponent
    return value


def same_unit(first: str, second: str) -> bool:
    """Tell whether two unit ids mean the same: equal dimension and size (to 1e-9 relative)."""
    if first == second:
        return True
    return dimension(first) == dimension(second) and abs(log10(magnitude(first) / magnitude(second))) < 1e-9
