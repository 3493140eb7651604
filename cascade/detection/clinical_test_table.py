"""Reads the table of clinical tests: every number with its unit and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from cascade._tables import named, read_lines, to_number
from cascade.detection.clinical_tests import ClinicalTest, CtcTest, CtdnaPanel, Imaging, MarrowAspirate
from cascade.errors import AnalysisError, CascadeError, TableError, unknown_name
from cascade.library import library_folder
from cascade.specs import Issue
from cascade.units import parse_unit

COLUMNS = ("test", "kind", "field", "organ", "value", "unit", "evidence", "source", "where", "conversion", "note")
"""The columns of `tests.tsv`, tab separated, in this order."""

KINDS: dict[str, Any] = {each.__name__: each for each in (CtcTest, CtdnaPanel, MarrowAspirate, Imaging)}
SYMPTOMS = "Symptoms"
"""Kind of the rows that say at which diameter symptoms and standard care find a metastasis."""

EVIDENCE = ("measured", "fitted", "inferred", "assumed")
_WHOLE = ("cutoff", "mutations")


@dataclass(frozen=True, kw_only=True)
class ClinicalNumber:
    """One number of a test; the fields are the columns of `tests.tsv`."""

    test: str
    kind: str
    field: str
    organ: str
    value: float
    unit: str
    evidence: str
    source: tuple[str, ...]
    where: str
    conversion: str
    note: str


def read_test_table(path: Path) -> tuple[ClinicalNumber, ...]:
    """Read a table of clinical tests.

    Raises
    ------
    TableError
        With every wrong row, its line and what it should hold.
    """
    rows, issues = _read(path)
    if issues:
        raise TableError("\n".join(str(issue) for issue in issues))
    return rows


def check_test_table(path: Path, sources: Iterable[str] | None = None) -> list[Issue]:
    """Return every finding of a table of tests; with `sources`, also keys that are not among them."""
    rows, issues = _read(path)
    known = None if sources is None else set(sources)
    for row in rows:
        for key in row.source:
            if known is not None and key not in known:
                issues.append(_issue(path, f"{row.test}.{row.field}", f"source {key!r} is not in references.bib"))
    for name in dict.fromkeys(row.test for row in rows if row.kind in KINDS):
        try:
            _made(rows, name)
        except CascadeError as error:
            issues.append(_issue(path, name, str(error)))
    return issues


def clinical_test_names() -> tuple[str, ...]:
    """Return the names of the shipped tests."""
    return tuple(dict.fromkeys(row.test for row in shipped_tests() if row.kind in KINDS))


def load_clinical_test(name: str, /, **changes: Any) -> ClinicalTest:
    """Return a shipped test.

    Parameters
    ----------
    name : str
        One of `clinical_test_names()`.
    **changes
        Fields that differ from the table, such as `cutoff=1`; also another `name`.

    Examples
    --------
    >>> load_clinical_test("ctdna", mutations=1000)
    """
    if name not in clinical_test_names():
        raise unknown_name("test", name, clinical_test_names(), "tests.tsv")
    return _made(shipped_tests(), name, changes)


def symptom_sizes() -> dict[str, float]:
    """Return by organ the diameter in mm at which symptoms and standard care find a metastasis."""
    return {row.organ: row.value for row in shipped_tests() if row.kind == SYMPTOMS}


@lru_cache(maxsize=1)
def shipped_tests() -> tuple[ClinicalNumber, ...]:
    """Return the rows of the shipped table."""
    return read_test_table(library_folder() / "tests.tsv")


def _made(rows: Iterable[ClinicalNumber], name: str, changes: dict[str, Any] | None = None) -> ClinicalTest:
    own = [row for row in rows if row.test == name]
    kind = KINDS[own[0].kind]
    fields: dict[str, Any] = {"name": name}
    for row in own:
        value = int(row.value) if row.field in _WHOLE and row.value == int(row.value) else row.value
        if row.organ:
            fields.setdefault(row.field, {})[row.organ] = value
        else:
            fields[row.field] = value
    for key in changes or {}:
        if key not in _fields(kind):
            raise unknown_name("field", key, _fields(kind), f"test {name!r}")
    try:
        made: ClinicalTest = kind(**(fields | (changes or {})))
    except TypeError as error:
        raise TableError(f"test {name!r}: {error}") from None
    return made


def _fields(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _issue(path: Path, place: str, what: str) -> Issue:
    return Issue(severity="error", where=f"{path.name}: {place}", what=what)


def _read(path: Path) -> tuple[tuple[ClinicalNumber, ...], list[Issue]]:
    rows: list[ClinicalNumber] = []
    issues: list[Issue] = []
    for number, cells in read_lines(path, COLUMNS, "tests"):
        try:
            row = _row(named(cells, COLUMNS))
        except TableError as error:
            issues.append(_issue(path, f"line {number}", str(error)))
            continue
        if any((row.test, row.field, row.organ) == (each.test, each.field, each.organ) for each in rows):
            issues.append(_issue(path, f"line {number}", f"{row.test}.{row.field} {row.organ} stands twice"))
        if any(row.test == each.test and row.kind != each.kind for each in rows):
            issues.append(_issue(path, f"line {number}", f"test {row.test!r} has another kind above"))
        rows.append(row)
    return tuple(rows), issues


def _row(cells: dict[str, str]) -> ClinicalNumber:
    kind, field = cells["kind"], cells["field"]
    known = ("diameter_mm",) if kind == SYMPTOMS else _fields(KINDS[kind]) if kind in KINDS else ()
    if kind != SYMPTOMS and kind not in KINDS:
        raise TableError(f"kind is {kind!r}; write one of {', '.join((*KINDS, SYMPTOMS))}")
    if field not in known or field == "name":
        raise TableError(f"field {field!r} is none of {kind}: {', '.join(name for name in known if name != 'name')}")
    if (field in ("limits_mm", "diameter_mm")) != bool(cells["organ"]):
        raise TableError(f"organ is {cells['organ']!r}; sizes are given by organ, nothing else is")
    if cells["evidence"] not in EVIDENCE:
        raise TableError(f"evidence is {cells['evidence']!r}; write one of {', '.join(EVIDENCE)}")
    if cells["evidence"] == "assumed" and not cells["note"]:
        raise TableError("an assumed number without a note; say why")
    if cells["evidence"] != "assumed" and not (cells["source"] and cells["where"]):
        raise TableError(f"a number that is {cells['evidence']} needs source and where")
    parse_unit(cells["unit"])
    source = tuple(key.strip() for key in cells["source"].split(";") if key.strip())
    return ClinicalNumber(**(cells | {"value": to_number(cells["value"]), "source": source}))  # type: ignore[arg-type]


def chosen_tests(tests: Sequence[ClinicalTest | str]) -> tuple[ClinicalTest, ...]:
    """Return the tests, named ones loaded; refuse none at all and two of a name."""
    if isinstance(tests, str) or not isinstance(tests, Sequence):
        tests = [tests]
    chosen = tuple(load_clinical_test(each) if isinstance(each, str) else each for each in tests)
    strange = [each for each in chosen if not hasattr(each, "chance")]
    if not chosen or strange:
        raise AnalysisError(f"tests is {str(strange or tests)[:80]}; give CtcTest, CtdnaPanel, MarrowAspirate, Imaging")
    names = [each.name for each in chosen]
    if len(set(names)) < len(names):
        raise AnalysisError(f"two tests are called {max(names, key=names.count)!r}; give each a name of its own")
    return chosen
