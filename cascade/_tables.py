"""The door of tables: tab-separated ones (a fixed header, no quoting, one row a line), and numbers in others."""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from cascade._files import read_text
from cascade.errors import CascadeError, TableError


def read_lines(path: Path, columns: Sequence[str], kind: str) -> list[tuple[int, list[str]]]:
    """Return the lines that hold anything, with their numbers.

    Raises
    ------
    TableError
        If the file cannot be read or has another header.
    """
    try:
        text = read_text(path, TableError)
        lines = list(csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE))
    except csv.Error as error:
        raise TableError(f"cannot read the {kind} table {path}: {error}") from None
    if not lines or lines[0] != list(columns):
        found = ", ".join(lines[0]) if lines else "nothing"
        raise TableError(f"{path}: the header must be the {len(columns)} columns {', '.join(columns)}; found {found}")
    return [(number, cells) for number, cells in enumerate(lines[1:], start=2) if any(cells)]


def named(cells: Sequence[str], columns: Sequence[str]) -> dict[str, str]:
    """Return the cells of a line by column, without blanks around them.

    Raises
    ------
    TableError
        If there are too few or too many.
    """
    if len(cells) != len(columns):
        raise TableError(f"{len(cells)} cells instead of {len(columns)}")
    return dict(zip(columns, (cell.strip() for cell in cells), strict=True))


def read_toml(path: Path, kind: type[CascadeError]) -> dict[str, Any]:
    """Return what a TOML file holds; an error is of the given kind."""
    text = read_text(path, kind)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise kind(f"cannot read {path}: {str(error) or 'nested too deeply'}") from None


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether an entry is a finite number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
