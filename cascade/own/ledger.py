"""The constants that a conversion makes, each with a name of its own, and the notes of what it changed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from cascade.own.measure import Dimensions, Measure, target
from cascade.own.quantities import Quantities
from cascade.own.report import Converted
from cascade.own.scales import Quantity
from cascade.specs import Parameter


@dataclass
class Ledger:
    """Rows of the table by name in the source, and notes; `where` is the formula that is being converted."""

    origin: str
    scale: Quantities
    rows: dict[str, Parameter]
    notes: list[Converted] = field(default_factory=list)
    where: str = ""
    _numbers: int = 0
    _factors: dict[tuple[str, str, float], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._taken = {element.getId() for element in self.scale.model.getListOfAllElements()}

    def row(self, name: str, title: str, value: float, quantity: Quantity, genes: str = "") -> Parameter:
        """Return the row of a constant of the source."""
        nominal = float(f"{value * quantity.factor:.15g}")
        same = quantity.factor == 1 and quantity.source.word in ("", quantity.target.word)
        text = "" if same else f"{value:.15g} {quantity.source.word or 'of the file'} x {quantity.factor:.15g}"
        return Parameter(id=name, name=one_line(title), nominal=nominal, unit=quantity.target.word, evidence="assumed",
                         conversion=text, gene=genes, note=f"from {one_line(self.origin)}")  # fmt: skip

    def name_number(self, value: float, factor: float, dimensions: Dimensions) -> str:
        """Make a constant for a number with a unit that stands in a formula."""
        self._numbers += 1
        name = self.free_name(f"number_{self._numbers}")
        unit = target(Measure(dimensions, 1.0, ""), "a number")
        original = float(f"{value / factor:.12g}")
        text = "" if factor == 1 else f"{original:.12g} x {factor:.15g}"
        self.rows[name] = Parameter(
            id=name, name=f"number in the {self.where}", nominal=value, unit=unit.word, evidence="assumed",
            conversion=text, note=f"a number of the formula in {one_line(self.origin)}",
        )  # fmt: skip
        self.notes.append(Converted(symbol=f"{original:.12g} in the {self.where}", id=name, kind="number",
                                    from_unit="that of its neighbors", to_unit=unit.word, factor=factor))  # fmt: skip
        return name

    def name_factor(self, quantity: Quantity) -> str:
        """Make a constant for one old unit in the new one, one for each pair of units."""
        above, below = quantity.target.word, quantity.source.word or "unit of the file"
        key = (above, below, quantity.factor)
        if key not in self._factors:
            name = self.free_name("unit_" + re.sub(r"\W+", "_", below.lower()))
            self.rows[name] = Parameter(
                id=name, name=one_line(f"one {below}"), nominal=quantity.factor, evidence="assumed", unit=above,
                note="a unit of the source, not biology: a formula whose terms disagree is computed in its old units",
            )  # fmt: skip
            self._factors[key] = name
        return self._factors[key]

    def free_name(self, wish: str) -> str:
        """Return a name that nothing has yet."""
        name, number = wish, 2
        while name in self._taken:
            name, number = f"{wish}_{number}", number + 1
        self._taken.add(name)
        return name

    def note(self, name: str, kind: str, value: float | None, how: str = "") -> None:
        """Note a symbol with its units."""
        quantity = self.scale.of[name]
        origin = self.scale.stated.how.get(name, "")
        known = {"you": "unit said by you", "derived": "unit derived from its formula",
                 "port": "the unit of the port"}.get(origin, "")  # fmt: skip
        if origin.startswith("any"):
            known = "unit " + origin
        self.notes.append(
            Converted(
                symbol=name, id=name, kind=kind, from_unit=self.scale.stated.units[name].word or "?",
                to_unit=quantity.target.word, factor=quantity.factor / self.scale.done.get(name, ("", 1.0))[1],
                value=value, how="; ".join(filter(None, (known, how))),
            )
        )  # fmt: skip

    def note_text(self, name: str, how: str) -> None:
        """Note what was done to a rate."""
        quantity = self.scale.of[name]
        self.notes.append(Converted(symbol=name, id=name, kind="rate", from_unit=quantity.source.word or "?",
                                    to_unit=quantity.target.word, factor=quantity.factor, how=how))  # fmt: skip

    def note_rewritten(self, places: Iterable[str]) -> None:
        """Note formulas that are computed in the old units."""
        for where in places:
            self.notes.append(
                Converted(symbol=where, id="", kind="formula", from_unit="", to_unit="", factor=None,
                          how="its terms disagree in their units: computed in the old units inside the formula")
            )  # fmt: skip


def one_line(text: str) -> str:
    """Return text that fits into one cell of a table."""
    return " ".join(text.split())
