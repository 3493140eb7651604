"""Writes MyST text: tables, escaped cells, links to sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cascade.specs import Parameter

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~^&])")


def plain(text: str) -> str:
    """Escape a text of a table, so that it is shown as it is written."""
    return _SPECIAL.sub(r"\\\1", text.replace("\n", " ")).strip()


def code(text: str) -> str:
    """Show an id or a formula as code; a bar would end the cell of a table."""
    return f"`{text}`".replace("|", r"\|") if text else ""


def number(value: float | None) -> str:
    """Show a number with six digits."""
    return "" if value is None else f"{value:.6g}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are Markdown."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def sources(keys: Iterable[str]) -> str:
    """Link bibliography keys to their entries."""
    return ", ".join(f"{{ref}}`{key} <bib-{key}>`" for key in keys)


def numbers_table(rows: Sequence[Parameter]) -> str:
    """Return the table of constants: value, unit, uncertainty, evidence, source and what is said of each."""
    return table(
        ("id", "what it is", "value", "uncertainty", "evidence", "source", "note"),
        (
            [code(row.id), plain(row.name), _value(row), _spread(row), row.evidence, _source(row), _note(row)]
            for row in rows
        ),
    )


def _value(row: Parameter) -> str:
    unit = "" if row.unit == "dimensionless" else f" {code(row.unit)}"
    return f"{number(row.nominal)}{unit}"


def _spread(row: Parameter) -> str:
    if not row.estimate:
        return "fixed"
    parts = [f"{number(row.lower)} to {number(row.upper)}"] if row.lower is not None and row.upper is not None else []
    if row.prior:
        parts.append(f"{row.prior} ({', '.join(map(number, row.prior_parameters))})")
    return ", ".join(parts)


def _source(row: Parameter) -> str:
    where = f" ({plain(row.where)})" if row.where else ""
    return sources(row.source) + where


def _note(row: Parameter) -> str:
    parts = [plain(row.note)] if row.note else []
    parts += [f"system: {plain(row.system)}"] if row.system else []
    parts += [f"conversion: {plain(row.conversion)}"] if row.conversion else []
    parts += [f"gene: {plain(row.gene)}"] if row.gene else []
    parts += [f"drug class: {plain(row.target)}"] if row.target else []
    return ". ".join(parts)
