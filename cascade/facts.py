"""Reads and checks evidence tables: published facts against which a module or a composition is qualified."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cascade._tables import named, read_lines, to_number
from cascade.errors import TableError
from cascade.specs import Issue
from cascade.units import parse_unit

COLUMNS = (
    "id",
    "quantity",
    "conditions",
    "value",
    "spread",
    "lower",
    "upper",
    "unit",
    "basis",
    "source",
    "where",
    "role",
    "compute",
    "curve",
    "x",
    "note",
)
"""The columns of `evidence.tsv`."""

BASES = ("experiment", "clinic", "model")
ROLES = ("calibrated", "predicted")
_ID = re.compile(r"^[a-z](?:_?[a-z0-9]+)*$")


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One published fact and how the model's value of it is computed.

    `value` is None where only a direction was published; `lower` and `upper` bound what is accepted of the model, None
    where open. `basis` says whether the source is an experiment, a clinical study or a published model; `role` whether
    the fact set a constant (calibrated) or not (predicted). `compute` and `curve` are expressions over experiments
    (see the README, "Qualification"), `x` is where the published point lies on the axis of the curve.
    """

    id: str
    quantity: str
    conditions: str = ""
    value: float | None = None
    spread: str = ""
    lower: float | None = None
    upper: float | None = None
    unit: str = "dimensionless"
    basis: str = "experiment"
    source: tuple[str, ...] = ()
    where: str = ""
    role: str = "predicted"
    compute: str = ""
    curve: str = ""
    x: str = ""
    note: str = ""

    def accepts(self, found: float) -> bool:
        """Tell whether a value of the model lies in the accepted interval."""
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        return math.isfinite(found) and low <= found <= high


def read_facts(path: Path) -> tuple[Fact, ...]:
    """Read an `evidence.tsv`.

    Raises
    ------
    TableError
        With every malformed row, its line and what it should hold.
    """
    facts, issues = _read(path)
    if issues:
        raise TableError("\n".join(str(issue) for issue in issues))
    return facts


def check_facts(path: Path, sources: Iterable[str] | None = None) -> list[Issue]:
    """Check an evidence table and return every finding at once.

    Parameters
    ----------
    path : Path
        The table.
    sources : iterable of str, optional
        Known bibliography keys; when given, every source must be among them.
    """
    facts, issues = _read(path)
    known = None if sources is None else set(sources)
    for fact in facts:
        for key in fact.source:
            if known is not None and key not in known:
                issues.append(_issue(path, fact.id, f"source {key!r} is not in references.bib", "add or mend the key"))
    return issues


def _issue(path: Path, place: str, what: str, fix: str = "") -> Issue:
    return Issue(severity="error", where=f"{path.name}: {place}", what=what, fix=fix)


def _read(path: Path) -> tuple[tuple[Fact, ...], list[Issue]]:
    facts: list[Fact] = []
    issues: list[Issue] = []
    for number, cells in read_lines(path, COLUMNS, "evidence"):
        place = f"line {number}"
        try:
            fact = _fact(named(cells, COLUMNS))
        except TableError as error:
            issues.append(_issue(path, place, str(error)))
            continue
        if any(fact.id == other.id for other in facts):
            issues.append(_issue(path, place, f"{fact.id!r} stands twice"))
        issues += [_issue(path, fact.id, what, fix) for what, fix in _findings(fact)]
        facts.append(fact)
    return tuple(facts), issues


def _number(row: dict[str, str], column: str) -> float | None:
    text = row[column]
    if not text:
        return None
    try:
        return to_number(text)
    except TableError as error:
        raise TableError(f"{column} {error}; leave what is open empty") from None


def _fact(row: dict[str, str]) -> Fact:
    numbers = {column: _number(row, column) for column in ("value", "lower", "upper")}
    texts = {column: row[column] for column in COLUMNS if column not in (*numbers, "source")}
    source = tuple(key.strip() for key in row["source"].split(";") if key.strip())
    return Fact(**texts, **numbers, source=source)  # type: ignore[arg-type]


def _findings(fact: Fact) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if not _ID.match(fact.id):
        found.append(("the id is not lower snake case", "use letters, digits and single underscores"))
    if not fact.quantity:
        found.append(("no quantity", "say in words what was measured"))
    if not fact.source:
        found.append(("no source", "name a key of references.bib"))
    if not fact.where:
        found.append(("no `where`", "name the figure, table or page, or say that it is recalled"))
    if not fact.compute:
        found.append(("no `compute`", "write the expression that gives the model's value"))
    if fact.basis not in BASES:
        found.append((f"basis is {fact.basis!r}", "write one of " + ", ".join(BASES)))
    if fact.role not in ROLES:
        found.append((f"role is {fact.role!r}", "write one of " + ", ".join(ROLES)))
    if fact.lower is None and fact.upper is None:
        found.append(("neither lower nor upper", "a fact that accepts every value tests nothing"))
    low = -math.inf if fact.lower is None else fact.lower
    high = math.inf if fact.upper is None else fact.upper
    if low > high:
        found.append((f"the accepted interval [{low:g}, {high:g}] is reversed", ""))
    elif fact.value is not None and not low <= fact.value <= high:
        found.append((f"the published value {fact.value:g} lies outside [{low:g}, {high:g}]", "mend the interval"))
    try:
        parse_unit(fact.unit)
    except TableError as error:
        found.append((str(error), ""))
    return found
