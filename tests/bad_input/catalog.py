"""The catalog of bad input, and what the child does with a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bad_input import analyses, compositions, modules, opened, runs, tables
from bad_input.case import Case

CASES: dict[str, Case] = {
    f"{area.__name__.rpartition('.')[2]}: {case.name}": case
    for area in (modules, compositions, runs, analyses, opened, tables)
    for case in area.CASES
}
"""Every case by its area and name."""


def enter(question: tuple[str, str]) -> Any:
    """Let a case in through its verb: (name, folder); return the status of the run, or what came out, in words."""
    name, folder = question
    found = CASES[name].door(Path(folder))
    return found if isinstance(found, str) else f"accepted: {found!r}"[:300]
