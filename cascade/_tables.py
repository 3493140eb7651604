"""The door of tables: tab-separated ones (a fixed header, no quoting, one row a line), and numbers in others."""

from __future__ import annotations

import csv
import math
import re
import tomllib
from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeGuard

from cascade._files import read_text
from cascade.errors import AnalysisError, CascadeError, TableError


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


MAX_KEY = 50
"""Parts of a dotted key; Python's reader takes a time that grows with their square."""


def read_toml(path: Path, kind: type[CascadeError]) -> dict[str, Any]:
    """Return what a TOML file holds; an error is of the given kind."""
    text = read_text(path, kind)
    deepest = max(word.count(".") for word in _WORDS.split(_DOT.sub(".", text)))
    if deepest > MAX_KEY:
        raise kind(f"cannot read {path}: a key of {deepest + 1} parts; the limit is {MAX_KEY}")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits is a plain ValueError
        raise kind(f"cannot read {path}: {str(error) or 'nested too deeply'}") from None


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether something is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer above the largest float
        return False


_DOT = re.compile(r"[ \t]*\.[ \t]*")
_WORDS = re.compile(r"[^\w.\-\"']+")

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|infinity|nan)", re.ASCII | re.IGNORECASE)


def to_number(text: str) -> float:
    """Turn a text into a number, as every other tool reads it.

    Python takes more for a number than those: `1_5` and digits of other scripts.

    Raises
    ------
    TableError
        If it is none, or too large for one.
    """
    if not _NUMBER.fullmatch(text):
        raise TableError(f"{text!r} is not a number; write it as 0.5 or 5e-1")
    value = float(text)
    if not math.isfinite(value):
        raise TableError(f"{text!r} is not finite")
    return value


def real_number(cell: object) -> float:
    """Turn a cell, a number or its text, into a number; it may be infinite or NaN, but not true or false.

    Raises
    ------
    TableError
        If it is none, or an integer too large for one.
    """
    if isinstance(cell, str) and _NUMBER.fullmatch(cell.strip()):
        return float(cell)
    if isinstance(cell, bool) or not isinstance(cell, Real | Decimal):
        raise TableError(f"{cell!r} is not a number; write it as 0.5 or 5e-1")
    try:
        return float(cell)
    except (OverflowError, ValueError):
        raise TableError(f"{type(cell).__name__} is too large for a number") from None


def require_whole(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is no whole number in a range.

    Raises
    ------
    AnalysisError
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise AnalysisError(f"{name} is {value!r}; give a whole number")
    if not least <= int(value) <= most:
        raise AnalysisError(f"{name} is {value}; give {least} to {most}")
