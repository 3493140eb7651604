"""What was done to a user's model: every conversion, every new name, every port with its reason."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Converted:
    """One symbol of the source: its name in the module, its unit before and after, and the factor between the numbers.

    `factor` is None where a formula was rewritten; `value` is the number in the source, if it has one.
    """

    symbol: str
    id: str
    kind: str
    from_unit: str
    to_unit: str
    factor: float | None
    value: float | None = None
    how: str = ""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """One port: what of the source serves it, and why."""

    port: str
    symbol: str
    direction: str
    unit: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """How a model of a user became a module.

    Attributes
    ----------
    origin : str
        The file, or "text".
    source : str
        The model before, as flat SBML in its own units.
    changes : tuple of Converted
        Every symbol with its factor.
    ports : tuple of Matched
        The ports that were made, and why.
    unmatched : tuple of str
        Ports of the shipped module that nothing serves clearly, with the candidates.
    time_unit : str
        The unit of time of the source.
    """

    origin: str
    source: str
    changes: tuple[Converted, ...]
    ports: tuple[Matched, ...] = ()
    unmatched: tuple[str, ...] = ()
    time_unit: str = "day"
    time_factor: float = 1.0

    @property
    def factors(self) -> dict[str, tuple[str, float]]:
        """The id in the module and the factor, by symbol of the source that has a value of its own."""
        kinds = ("concentration", "amount", "variable", "constant", "volume")
        return {c.symbol: (c.id, c.factor) for c in self.changes if c.kind in kinds and c.id and c.factor is not None}

    def table(self) -> pd.DataFrame:
        """Return one row a change, with the columns of `Converted`."""
        import pandas as pd

        return pd.DataFrame([vars(change) for change in self.changes], columns=list(Converted.__dataclass_fields__))

    def lines(self) -> list[str]:
        """Return the report as text, a line a fact."""
        found = [f"{self.origin}: time in {self.time_unit} -> day (x {self.time_factor:.6g})"]
        found += [_line(change) for change in self.changes]
        found += [f"port {p.direction:<3} {p.port} [{p.unit}] <- {p.symbol}: {p.reason}" for p in self.ports]
        return found + [f"no port {text}" for text in self.unmatched]

    def _repr_html_(self) -> str:
        from cascade._html import _fold, _page, _table

        rows = [(c.symbol, c.id, c.kind, c.from_unit, c.to_unit, _number(c.factor), c.how) for c in self.changes]
        header = ("symbol", "id", "kind", "from", "to", "factor", "how")
        ports = [(p.port, p.direction, p.unit, p.symbol, p.reason) for p in self.ports]
        parts = [_table(("port", "direction", "unit", "symbol", "why"), ports)]
        if self.unmatched:
            parts.append(_table(("ports that nothing serves clearly",), [(text,) for text in self.unmatched]))
        parts.append(_fold(f"{len(rows)} symbols: units and names", _table(header, rows)))
        note = f"time in {self.time_unit} to day"
        return str(_page(f"Conversion of {self.origin}", note, *parts))


def renamed(change: Converted, names: dict[str, str]) -> Converted:
    """Return the change with the final name of the symbol."""
    return replace(change, id=names.get(change.id, "") if change.id else "")


def _line(change: Converted) -> str:
    name = change.symbol if change.symbol == change.id else f"{change.symbol} -> {change.id or 'left out'}"
    if change.factor is None:
        return f"{change.kind} {name}: {change.how}"
    how = f"  ({change.how})" if change.how else ""
    return f"{change.kind} {name}: {change.from_unit} -> {change.to_unit}, x {_number(change.factor)}{how}"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.9g}"
