"""Reads, checks and writes parameter tables: one row per constant, with unit, uncertainty and source."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from cascade._files import written
from cascade._tables import named, read_lines, to_number
from cascade.errors import TableError
from cascade.specs import Issue, Parameter
from cascade.units import parse_unit

COLUMNS = (
    "parameterId",
    "parameterName",
    "lowerBound",
    "upperBound",
    "nominalValue",
    "estimate",
    "priorDistribution",
    "priorParameters",
    "unit",
    "evidence",
    "system",
    "source",
    "where",
    "conversion",
    "gene",
    "target",
    "note",
)
"""The columns of `parameters.tsv`: PEtab v2 parameter columns first, then cascade's."""

EVIDENCE = ("measured", "fitted", "inferred", "assumed")
PRIORS = {"log-normal": 2, "log-uniform": 2, "uniform": 2, "normal": 2}
_PART = r"(?:[a-z0-9]+|\{[a-z](?:_?[a-z0-9]+)*\})"
_TEMPLATE = rf"(?![0-9]){_PART}(?:_?{_PART})*"
_ID = re.compile(rf"^{_TEMPLATE}(?:\.[a-z](?:_?[a-z0-9]+)*)?$")


def read_parameters(path: Path) -> tuple[Parameter, ...]:
    """Read a `parameters.tsv`.

    Parameters
    ----------
    path : Path
        A tab-separated file with the columns of `COLUMNS`.

    Returns
    -------
    tuple of Parameter

    Raises
    ------
    TableError
        With every malformed cell of the table, its line and what it should hold.
    """
    rows, issues = _read_rows(path)
    if issues:
        raise TableError("\n".join(str(issue) for issue in issues))
    return rows


def check_parameters(path: Path, sources: Iterable[str] | None = None) -> list[Issue]:
    """Check a parameter table and return every finding at once.

    Parameters
    ----------
    path : Path
        The table.
    sources : iterable of str, optional
        Known bibliography keys; when given, every source of the table must be among them.
    """
    rows, issues = _read_rows(path)
    known = None if sources is None else set(sources)
    for row in rows:
        issues += _check_row(row, f"{path.name}: {row.id}", known)
    return issues


def _read_rows(path: Path) -> tuple[tuple[Parameter, ...], list[Issue]]:
    rows: list[Parameter] = []
    issues: list[Issue] = []
    seen: set[str] = set()
    for number, cells in read_lines(path, COLUMNS, "parameter"):
        where = f"{path.name}, line {number}"
        try:
            row = _parse_row(named(cells, COLUMNS))
        except (TableError, ValueError) as error:
            issues.append(Issue(severity="error", where=where, what=str(error)))
            continue
        if row.id.lower() in seen:
            issues.append(Issue(severity="error", where=where, what=f"{row.id!r} stands twice (ids ignore case)"))
        seen.add(row.id.lower())
        rows.append(row)
    return tuple(rows), issues


def _number(text: str, column: str) -> float | None:
    if not text:
        return None
    try:
        value = to_number(text)
    except TableError as error:
        raise TableError(f"{column} {error}") from None
    # libSBML writes 15 digits: hold the value that survives a round trip.
    return float(f"{value:.15g}")


def _parse_row(row: dict[str, str]) -> Parameter:
    nominal = _number(row["nominalValue"], "nominalValue")
    if nominal is None:
        raise TableError(f"{row['parameterId']!r} has no nominalValue")
    if row["estimate"] not in ("true", "false"):
        raise TableError(f"{row['parameterId']!r}: estimate is {row['estimate']!r}; write true or false")
    prior = tuple(_number(part, "priorParameters") or 0.0 for part in row["priorParameters"].split(";") if part)
    return Parameter(
        id=row["parameterId"],
        name=row["parameterName"],
        lower=_number(row["lowerBound"], "lowerBound"),
        upper=_number(row["upperBound"], "upperBound"),
        nominal=nominal,
        estimate=row["estimate"] == "true",
        prior=row["priorDistribution"],
        prior_parameters=prior,
        unit=row["unit"],
        evidence=row["evidence"],
        system=row["system"],
        source=tuple(key.strip() for key in row["source"].split(";") if key.strip()),
        where=row["where"],
        conversion=row["conversion"],
        gene=row["gene"],
        target=row["target"],
        note=row["note"],
    )


def _check_row(row: Parameter, where: str, sources: set[str] | None) -> list[Issue]:
    issues: list[Issue] = []

    def find(what: str, fix: str = "") -> None:
        issues.append(Issue(severity="error", where=where, what=what, fix=fix))

    if not _ID.match(row.id):
        find("the id is not lower snake case", "use letters, digits and single underscores, for example k_bind")
    if not row.name:
        find("no parameterName", "say in a few words what the number is")
    try:
        parse_unit(row.unit)
    except TableError as error:
        find(str(error))
    if row.evidence not in EVIDENCE:
        find(f"evidence is {row.evidence!r}", "write one of " + ", ".join(EVIDENCE))
    if row.evidence != "assumed" and not row.source:
        find(f"{row.evidence} without a source", "name a key of references.bib")
    if row.evidence in ("measured", "fitted") and not row.where:
        find(f"{row.evidence} without `where`", "name the table, figure or page")
    if row.evidence == "assumed" and not row.note:
        find("assumed without a reason", "say why this value in `note`")
    if sources is not None:
        for key in row.source:
            if key not in sources:
                find(f"source {key!r} is not in references.bib", "add the entry or mend the key")
    issues += _check_prior(row, where)
    return issues


def _check_prior(row: Parameter, where: str) -> list[Issue]:
    if not row.estimate:
        return []
    issues = []

    def find(what: str, fix: str = "") -> None:
        issues.append(Issue(severity="error", where=where, what=what, fix=fix))

    if row.lower is None or row.upper is None:
        find("estimate is true but a bound is missing", "give lowerBound and upperBound")
    elif row.lower >= row.upper:
        find(f"the bounds [{row.lower:g}, {row.upper:g}] are empty or reversed")
    elif row.prior in ("log-normal", "log-uniform") and row.lower <= 0:
        find(f"a {row.prior} prior with lower bound {row.lower:g}", "a logarithm needs a bound above 0")
    if row.prior not in PRIORS:
        find(f"priorDistribution is {row.prior!r}", "write one of " + ", ".join(PRIORS))
    elif len(row.prior_parameters) != PRIORS[row.prior]:
        find(f"priorParameters has {len(row.prior_parameters)} numbers", f"a {row.prior} prior needs two: a;b")
    elif row.prior in ("log-normal", "normal") and row.prior_parameters[1] <= 0:
        find(f"the prior's standard deviation is {row.prior_parameters[1]:g}", "give a number above 0")
    return issues


def count_evidence(parameters: Iterable[Parameter], inputs: Collection[str] = ()) -> dict[str, int]:
    """Count constants by evidence; `inputs` of a module are left out, since their values come from other modules."""
    return dict(sorted(Counter(row.evidence for row in parameters if row.id not in inputs).items()))


def write_parameters(path: Path, parameters: Sequence[Parameter]) -> None:
    """Write a parameter table with the columns of `COLUMNS`."""
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in parameters:
            writer.writerow(_cells(row))


def _cells(row: Parameter) -> list[str]:
    def text(value: float | None) -> str:
        return "" if value is None else f"{value:.15g}"

    return [
        row.id,
        row.name,
        text(row.lower),
        text(row.upper),
        text(row.nominal),
        "true" if row.estimate else "false",
        row.prior,
        ";".join(text(value) for value in row.prior_parameters),
        row.unit,
        row.evidence,
        row.system,
        ";".join(row.source),
        row.where,
        row.conversion,
        row.gene,
        row.target,
        row.note,
    ]
