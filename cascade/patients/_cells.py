"""Cells of tables from clinics: what spreadsheets do to them is told, never guessed."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cascade._files import path_of, read_text
from cascade._tables import to_number
from cascade.errors import TableError
from cascade.specs import Issue

MAX_COLUMNS = 10_000
"""More columns than any table of patients has."""

MISSING = ("", ".", "na", "n/a", "nan", "null", "missing", "unknown")
"""Cells that hold nothing, in any case."""

MOST_SHOWN = 100
"""Findings at which reading ends: a table with more has one mistake in every line."""

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff")) | {0xA0: " ", 0x202F: " ", 0x2007: " "}
_BROKEN = re.compile(r"#(?:N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|SPILL!|CALC!)$", re.IGNORECASE)
_DATE = re.compile(
    r"(?:\d{1,2}[-/. ])?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-/. ]\d{1,4}|"
    r"\d{1,2}[-/. ](?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*(?:[-/. ]\d{2,4})?|"
    r"\d{4}-\d{2}-\d{2}(?:[ T].*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}",
    re.IGNORECASE,
)


@dataclass(kw_only=True)
class Cells:
    """A table as text: its header, its lines with their numbers, and the findings of whoever reads it."""

    path: Path
    header: list[str]
    lines: list[tuple[int, list[str]]]
    head: int = 1
    issues: list[tuple[int, Issue]] = field(default_factory=list)

    def find(self, line: int, what: str, fix: str = "") -> None:
        """Note an error; line 0 is the table as a whole. From `MOST_SHOWN` on, raise TableError with all."""
        where = f"{self.path.name}, line {line}" if line else self.path.name
        issue = Issue(severity="error", where=where, what=what, fix=fix)
        self.issues.append((line, issue))
        if len(self.issues) >= MOST_SHOWN:
            self.require_sound()

    def require_sound(self) -> None:
        """Raise TableError with every finding, if there is one."""
        if self.issues:
            texts = [str(issue) for _, issue in sorted(self.issues, key=lambda pair: pair[0])]
            ended = [f"... reading ended at {MOST_SHOWN} findings"] if len(texts) >= MOST_SHOWN else []
            raise TableError("\n".join([*texts, *ended])) from None


def read_cells(path: str | Path, what: str) -> Cells:
    """Read a table with a header; cells are separated by tabs, commas or semicolons, as the header has it.

    Lines that start with `#` before the header are comments. Blanks around cells, blanks that only look like blanks and
    invisible characters are taken away; lines without anything are left out.

    Raises
    ------
    TableError
        If the file cannot be read, has no header, a column without a name or of a name that stands twice, or a line of
        another length. Of lines all findings are kept for `require_sound`.
    """
    path = path_of(path, what)
    text = read_text(path, TableError)
    stream = io.StringIO(text, newline="")
    skipped, start = _comments(stream)
    head = stream.readline()
    stream.seek(start)
    reader = csv.reader(stream, delimiter=_separator(path, head), strict=True)
    found: list[tuple[int, list[str]]] = []
    before = skipped
    try:
        for row in reader:
            line, before = before + 1, skipped + reader.line_num
            if any(cells := [clean(cell) for cell in row]):
                found.append((line, cells))
    except csv.Error as error:
        raise TableError(
            f"cannot read {path}: line {skipped + reader.line_num}: {error}; close every quote, and keep cells short"
        ) from None
    if not found:
        raise TableError(f"{path} is empty; give {what} with a header")
    table = Cells(path=path, header=found[0][1], lines=[], head=found[0][0])
    _check_header(table)
    for line, row in found[1:]:
        row = row[: len(table.header)] if not any(row[len(table.header) :]) else row
        if len(row) != len(table.header):
            table.find(
                line,
                f"{len(row)} cells under {len(table.header)} names",
                "put texts that hold the separator in quotes, write 0.5 with a point, and leave no cell out",
            )
        else:
            table.lines.append((line, row))
    return table


def _comments(stream: io.StringIO) -> tuple[int, int]:
    """Return how many lines come before the header, and where it starts."""
    count, start = 0, 0
    for line in iter(stream.readline, ""):
        if line.strip() and not line.startswith("#"):
            break
        count, start = count + 1, stream.tell()
    stream.seek(start)
    return count, start


def _separator(path: Path, head: str) -> str:
    """Return what separates cells: what the header has; of a header of one name, what the kind of the file says."""
    if "\t" in head or not {",", ";"} & set(head):
        return "," if "\t" not in head and path.suffix == ".csv" else "\t"
    return ";" if head.count(";") > head.count(",") else ","


def _check_header(cells: Cells) -> None:
    while cells.header and not cells.header[-1]:  # a spreadsheet keeps columns that were emptied
        cells.header.pop()
    if len(cells.header) > MAX_COLUMNS:
        raise TableError(f"{cells.path}: {len(cells.header)} columns; the limit is {MAX_COLUMNS}")
    seen: set[str] = set()
    for place, name in enumerate(cells.header, 1):
        if not name:
            cells.find(cells.head, f"column {place} has no name", "name it, or drop it")
        elif name.lower() in seen:
            cells.find(cells.head, f"column {shown(name)} stands twice", "leave one")
        seen.add(name.lower())


def clean(cell: str) -> str:
    """Take away what cannot be seen."""
    return cell.translate(_INVISIBLE).strip()


def is_missing(cell: str) -> bool:
    """Tell whether a cell holds nothing."""
    return cell.lower() in MISSING


def patient_id(cell: str) -> str:
    """Return the id of a patient, as the same text whatever way its accents are encoded.

    Raises
    ------
    TableError
        If there is none, or it is not what was once written.
    """
    require_unbroken(cell)
    if is_missing(cell):
        raise TableError("no id; give each patient one")
    if not cell.isprintable():
        raise TableError(f"{shown(cell)} has a line break or a character that cannot be seen; write the id without")
    mantissa, mark, exponent = cell.upper().partition("E+")
    if mark and exponent.isdigit() and re.fullmatch(r"\d+(\.\d+)?", mantissa, re.ASCII):
        raise TableError(f"{shown(cell)} is a number that a spreadsheet has shortened; format the ids as text")
    return unicodedata.normalize("NFC", cell)


def is_date(cell: str) -> bool:
    """Tell whether a spreadsheet has made a date of a cell."""
    return _DATE.fullmatch(cell) is not None


def shown(cell: str) -> str:
    """Return a cell for a message."""
    return repr(cell if len(cell) <= 60 else f"{cell[:60]}...")


def number_of(cell: str) -> float:
    """Turn a cell into a number.

    Raises
    ------
    TableError
        That tells what a spreadsheet or a laboratory has made of it.
    """
    require_unbroken(cell)
    if re.fullmatch(r"[+-]?\d+,\d+|[+-]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?", cell) and not re.fullmatch(r"\d+\.\d+", cell):
        raise TableError(f"{shown(cell)} has a comma or marks of thousands; write 1000.5 with a point, and no marks")
    if cell.endswith("%"):
        raise TableError(f"{shown(cell)} is a percentage; leave the sign out")
    if cell[:1] in "<>≤≥~":
        raise TableError(f"{shown(cell)} is a limit, not a number; write the number, or leave the cell empty")
    if is_date(cell):
        raise TableError(f"{shown(cell)} is a date; a spreadsheet may have made it of a number such as 3.4")
    if cell.lower() in ("-", "--", "?", "none", "nd", "n.d."):
        raise TableError(f"{shown(cell)} is not a number; leave the cell empty if the value is missing")
    return to_number(cell)


def require_unbroken(cell: str) -> None:
    """Refuse what a spreadsheet writes for a formula that failed, or the formula itself.

    Raises
    ------
    TableError
    """
    if _BROKEN.match(cell):
        raise TableError(f"{shown(cell)} is an error of a spreadsheet; leave the cell empty if the value is missing")
    if cell.startswith("="):
        raise TableError(f"{shown(cell)} is a formula; save the values")


def yes_or_no(cell: str) -> bool:
    """Turn a cell into yes or no.

    Raises
    ------
    TableError
        If it is neither.
    """
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if cell.lower() not in known:
        raise TableError(f"{shown(cell)} is neither yes nor no; write yes, no, or leave the cell empty")
    return known[cell.lower()]


_SIGNS = {
    "positive": True,
    "pos": True,
    "+": True,
    "yes": True,
    "negative": False,
    "neg": False,
    "-": False,
    "no": False,
}


def receptor(cell: str) -> bool:
    """Turn the status of a hormone receptor into positive (True) or negative.

    Raises
    ------
    TableError
        If it is neither.
    """
    found = (_SIGNS | {"1": True, "0": False, "true": True, "false": False}).get(cell.lower())
    if found is None:
        raise TableError(f"{shown(cell)} is no status; write positive or negative (positive from 1 % of the cells)")
    return found


def her2(cell: str) -> bool:
    """Turn a HER2 status or score (0, 1+, 2+, 3+) into positive (True) or negative.

    Raises
    ------
    TableError
        If it is equivocal, or none.
    """
    text = cell.lower().replace(" ", "")
    if text in ("2+", "++", "2", "equivocal"):
        raise TableError(f"{shown(cell)} is equivocal; write positive or negative as in situ hybridization has it")
    if text in ("1", "true", "false"):
        raise TableError(f"{shown(cell)} may be a score or a yes; write positive, negative, 1+ or 3+")
    found = (_SIGNS | {"0": False, "1+": False, "low": False, "3+": True, "+++": True, "3": True, "+": None}).get(text)
    if found is None:
        raise TableError(f"{shown(cell)} is no HER2 status; write positive or negative, or the score 0, 1+ or 3+")
    return found


RECEPTORS: Mapping[str, Callable[[str], bool]] = {"er": receptor, "pr": receptor, "her2": her2}
"""Columns of receptors, and how their cells are read."""
