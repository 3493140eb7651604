"""Lines of a table of patients: what each column means for a model, and what a cell may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np

from cascade._values import checked_values, flat_id
from cascade.errors import CascadeError, TableError
from cascade.patients._cells import (
    RECEPTORS,
    Cells,
    is_missing,
    number_of,
    patient_id,
    require_unbroken,
    shown,
    yes_or_no,
)
from cascade.patients.expression import Activity, check_score
from cascade.patients.genotype_table import Genotype, symbol_of
from cascade.patients.genotypes import Plan
from cascade.specs import Model


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a clinic knows at diagnosis, with the range of what can be."""

    name: str
    unit: str
    lower: float = -np.inf
    upper: float = np.inf
    whole: bool = False


MEASURES: Mapping[str, Measure] = {
    "diameter_mm": Measure(name="diameter of the primary tumor", unit="mm", lower=0.1, upper=500),
    "age_years": Measure(name="age at diagnosis", unit="year", lower=0, upper=120),
    "n_nodes": Measure(name="positive lymph nodes", unit="dimensionless", lower=0, upper=150, whole=True),
    "grade": Measure(name="histological grade", unit="dimensionless", lower=1, upper=4, whole=True),
    "ki67_percent": Measure(name="Ki-67 index", unit="percent", lower=0, upper=100),
    "psa_ng_per_ml": Measure(name="prostate-specific antigen", unit="ng/mL", lower=0, upper=1e5),
    "cea_ng_per_ml": Measure(name="carcinoembryonic antigen", unit="ng/mL", lower=0, upper=1e5),
    "ca19_9_u_per_ml": Measure(name="CA 19-9", unit="U/mL", lower=0, upper=1e7),
    "ctc_per_tube": Measure(name="circulating tumor cells in a tube", unit="dimensionless", lower=0, upper=1e6),
    "vaf_ctdna": Measure(name="variant fraction of circulating tumor DNA", unit="dimensionless", lower=0, upper=1),
}
"""Measures that a table may have; others are named in `measures`."""

_TAKEN = ("patient", "patient_id", "genotypes", "genotype", "has_genotype", "weight")

EXPRESSION = "expression_"
"""What the columns of scores start with."""


@dataclass(kw_only=True)
class Row:
    """One patient as the table has it."""

    line: int
    patient: str
    genotypes: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    weight: float | None = None
    from_mutations: bool = False


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a column or a cell may name."""

    model: Model
    plan: Plan
    activities: Mapping[str, Sequence[Activity]]
    lacking: Mapping[str, tuple[str, ...]]
    measures: Mapping[str, Measure]


def extra_measures(names: Sequence[str], model: Model, plan: Plan) -> dict[str, Measure]:
    """Return further measures by name.

    Raises
    ------
    TableError
        If a name means something else in a table or in the cohort, or cannot be written to a file.
    """
    if isinstance(names, str):
        names = (names,)
    if not isinstance(names, Sequence):
        raise TableError(f"measures is {names!r}; give the names of columns")
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or "/" in name:
            raise TableError(f"measures: {name!r} cannot be the name of a variable; rename the column, without /")
        taken = name.lower() in (*_TAKEN, *RECEPTORS) or _genotype_id(name) in plan.table
        if taken or name in model.ids or name in plan.symbols or name.lower().startswith(EXPRESSION):
            raise TableError(f"measures: {name!r} means something else in a table of patients; rename the column")
    return {name.strip(): Measure(name=name.strip(), unit="dimensionless") for name in names}


def read_rows(cells: Cells, known: Known) -> list[Row]:
    """Return the patients of a table; what is wrong is noted in `cells`.

    Raises
    ------
    TableError
        If there is no column of patients, so that no line can be read.
    """
    columns = _columns(cells, known)
    if not any(kind == "patient" for kind, _ in columns):
        cells.require_sound()
    seen: dict[str, tuple[int, str]] = {}
    rows = []
    for line, texts in cells.lines:
        row = Row(line=line, patient="")
        for (kind, name), text, title in zip(columns, texts, cells.header, strict=True):
            try:
                _put(row, kind, name, text, known)
            except CascadeError as error:
                cells.find(line, f"column {shown(title)}: {error}")
        if row.patient and row.patient.casefold() in seen:
            first, other = seen[row.patient.casefold()]
            what = "stands twice" if other == row.patient else f"differs from {other!r} only in case"
            cells.find(line, f"patient {row.patient!r} {what}, first in line {first}", "give each patient one line")
        seen.setdefault(row.patient.casefold(), (line, row.patient))
        rows.append(row)
    _check_weights(cells, rows)
    return rows


def _check_weights(cells: Cells, rows: Sequence[Row]) -> None:
    given = [row.weight for row in rows if row.weight is not None]
    if not given:
        return
    if not any(given):
        cells.find(cells.head, "every weight is 0", "give some patients a weight")
    for row in rows:
        if row.weight is None:
            cells.find(row.line, f"patient {row.patient!r} has no weight, others have", "give it, or drop the column")


def _columns(cells: Cells, known: Known) -> list[tuple[str, str]]:
    """Return the kind and the name of each column."""
    found: list[tuple[str, str]] = []
    flats: dict[tuple[str, str], str] = {}
    for title in cells.header:
        try:
            kind, name = _column(title, known)
        except CascadeError as error:
            cells.find(cells.head, str(error))
            kind, name = "wrong", title
        if kind not in ("wrong", "genotypes") and (kind, name) in flats:
            both = f"columns {shown(flats[kind, name])} and {shown(title)} are both {name!r}"
            cells.find(cells.head, both, "leave one")
        flats[kind, name] = title
        found.append((kind, name))
    if not any(kind == "patient" for kind, _ in found):
        cells.find(cells.head, "no column 'patient'", "name the column of the patients' ids so")
    return found


def _column(title: str, known: Known) -> tuple[str, str]:
    name = title.lower()
    if not name:
        return "wrong", name
    if name in ("patient", "patient_id"):
        return "patient", "patient"
    if name in ("genotypes", "weight"):
        return name, name
    if name in RECEPTORS:
        return "receptor", name
    if name in known.measures or title in known.measures:
        return "measure", title if title in known.measures else name
    if _genotype_id(title) in known.plan.table:
        return "genotype", _genotype_id(title)
    if name.startswith(EXPRESSION):
        check_score(name.removeprefix(EXPRESSION), 0.0, known.activities)
        return "score", name.removeprefix(EXPRESSION)
    if title in known.model.ids or title in known.plan.symbols:
        flat = flat_id(known.model, known.plan.symbols, title)
        checked_values(known.model, known.plan.symbols, {title: max(known.plan.nominal(flat), 0.0)})
        return "value", flat
    names = ["patient", "genotypes", "weight", *RECEPTORS, *known.measures, *known.plan.table]
    names += [f"{EXPRESSION}{score}" for score in known.activities] + list(known.model.ids)
    close = get_close_matches(name, names, n=4, cutoff=0.6)
    hint = "did you mean " + " or ".join(map(repr, close)) + "?" if close else "no known name is like it;"
    raise TableError(
        f"no column {shown(title)} is known; {hint} keep numbers by measures=[{title!r}], or drop the column"
    )


def _put(row: Row, kind: str, name: str, text: str, known: Known) -> None:
    """Take a cell into the row of its patient."""
    if kind == "patient":
        row.patient = patient_id(text)
    elif kind == "wrong" or is_missing(text):
        return
    elif kind == "genotypes":
        row.genotypes += _genotypes(text, known)
    elif kind == "genotype":
        (row.genotypes if yes_or_no(text) else row.absent).append(name)
    elif kind == "receptor":
        _put_receptor(row, name, text, known)
    elif kind == "score":
        row.scores[name] = number_of(text)
        check_score(name, row.scores[name], known.activities)
    elif kind == "measure":
        row.measures[name] = _measured(known.measures[name], number_of(text))
    elif kind == "weight":
        row.weight = _weight(number_of(text))
    else:
        row.values[name] = _value(number_of(text), name, known)


def _genotypes(text: str, known: Known) -> list[str]:
    require_unbroken(text)
    if _genotype_id(text) in ("none", "wild_type", "wildtype", "wt"):
        return []
    names = [_genotype_id(part) for part in text.replace("|", ";").split(";") if part.strip()]
    wrong = [name for name in names if name not in known.plan.table]
    if wrong:
        raise TableError("; ".join(_closest(name, known.plan.table) for name in wrong))
    return names


def _genotype_id(text: str) -> str:
    """Return the id of a genotype as people write it: `TP53 loss`, `KRAS p.G12D`."""
    return re.sub(r"[\s_-]+", "_", text.strip().lower().replace(" p.", " "))


def _closest(name: str, table: Mapping[str, Genotype]) -> str:
    """Tell that a genotype is unknown, with the closest and with those of its gene."""
    close = get_close_matches(name, table, n=3, cutoff=0.6)
    gene = symbol_of(name.partition("_")[0])
    close += [each.id for each in table.values() if gene in each.genes and each.id not in close]
    hint = "did you mean " + " or ".join(map(repr, close)) + "?" if close else "see genotypes.tsv, or read_mutations()"
    if re.search(r"[,/+]", name):
        hint = f"separate genotypes by ; ({hint})"
    elif name in ("_", "?", "n.d."):
        hint = "leave the cell empty if nothing is known, write none for the wild type"
    return f"no genotype {shown(name)}; {hint}"


def _put_receptor(row: Row, name: str, text: str, known: Known) -> None:
    require_unbroken(text)
    positive = RECEPTORS[name](text)
    row.measures[name] = float(positive)
    status = {"er": ("er_negative", "er_positive"), "her2": ("", "erbb2_amplification")}.get(name, ("", ""))
    if status[positive] in known.plan.table:
        row.genotypes.append(status[positive])
    if name == "her2" and text.lower() in ("1+", "low") and "her2_low" in known.plan.table:
        row.genotypes.append("her2_low")
    if status[not positive] in known.plan.table:
        row.absent.append(status[not positive])


def _measured(measure: Measure, value: float) -> float:
    if not measure.lower <= value <= measure.upper:
        raise TableError(
            f"{value:g} {measure.unit} cannot be; the {measure.name} is {measure.lower:g} to {measure.upper:g}"
        )
    if measure.whole and value != int(value):
        raise TableError(f"{value:g} is no whole number, as the {measure.name} must be")
    return value


def _weight(value: float) -> float:
    if value < 0:
        raise TableError(f"weight {value:g} is negative; give 0 or more")
    return value


def _value(value: float, flat: str, known: Known) -> float:
    """Check a value of the model: bounds of inputs are limits, those of uncertain constants are not."""
    checked_values(known.model, known.plan.symbols, {flat: value})
    row = known.plan.rows.get(flat)
    if row is not None and not row.estimate:
        low = -np.inf if row.lower is None else row.lower
        high = np.inf if row.upper is None else row.upper
        if not low <= value <= high:
            raise TableError(f"{value:g} {row.unit} is outside of {low:g} to {high:g} ({row.name})")
    return value
