"""Gene expression as values: scores of pathways set their activities in a model through a table.

A score is a z-score against tumors of the same kind. Each point multiplies a constant by 2 to the power of the slope,
within the bounds of the table; two scores of one constant multiply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from warnings import warn

from cascade._canonical import symbol_table
from cascade._tables import is_number, named, read_lines, to_number
from cascade._values import own_values
from cascade.errors import CascadeWarning, TableError, ValueSettingError, unknown_name
from cascade.evidence import EVIDENCE
from cascade.library import library_folder
from cascade.patients.genotype_table import Expectation, parse_directions
from cascade.patients.genotypes import settable
from cascade.specs import Model, require_model

COLUMNS = (
    "score",
    "name",
    "parameter",
    "slope",
    "lower",
    "upper",
    "effect",
    "direction",
    "source",
    "evidence",
    "note",
)
"""The columns of `expression.tsv`, tab separated, in this order."""

LARGEST = 10.0
"""Standard deviations; what is further out is no z-score."""

_PARAMETER = re.compile(r"^([a-z](?:_?[a-z0-9]+)*)\.([a-z](?:_?[a-z0-9]+)*)$")


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a score of expression sets a constant: `slope` is the binary logarithm of its factor for each point."""

    id: str
    name: str
    module: str
    parameter: str
    slope: float
    lower: float
    upper: float
    effect: str
    direction: tuple[Expectation, ...]
    source: tuple[str, ...]
    evidence: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A constant of one model that a score sets, and its value without."""

    flat: str
    score: Score
    nominal: float


@lru_cache(maxsize=1)
def shipped_scores() -> tuple[Score, ...]:
    """Return the rows of the shipped table."""
    return read_scores()


def read_scores(path: str | Path | None = None) -> tuple[Score, ...]:
    """Read a table of expression scores; a score has a row for each constant that it sets.

    Parameters
    ----------
    path : path, optional
        A tab-separated file with the columns of `COLUMNS`; by default the shipped `sbml_models/expression.tsv`.

    Raises
    ------
    TableError
        With every finding at once: line, what was found, what to write.
    """
    path = library_folder() / "expression.tsv" if path is None else Path(path)
    found: list[Score] = []
    problems: list[str] = []
    for number, cells in read_lines(path, COLUMNS, "expression"):
        try:
            score = _score(named(cells, COLUMNS))
            if any((score.id, score.module, score.parameter) == (e.id, e.module, e.parameter) for e in found):
                raise TableError(f"score {score.id!r} sets {score.parameter!r} twice; leave one")
            found.append(score)
        except TableError as error:
            problems.append(f"{path.name}, line {number}: {error}")
    if problems:
        raise TableError("\n".join(problems))
    return tuple(found)


def _score(row: dict[str, str]) -> Score:
    match = _PARAMETER.match(row["parameter"])
    if match is None:
        raise TableError(f"parameter is {row['parameter']!r}; write module.parameter")
    slope, lower, upper = (to_number(row[name]) for name in ("slope", "lower", "upper"))
    if not slope or not 0 < lower < upper:
        raise TableError(f"score {row['score']!r}: give a slope that is not 0, and bounds 0 < lower < upper")
    if row["evidence"] not in EVIDENCE or not row["source"] or not row["note"]:
        raise TableError(
            f"score {row['score']!r}: give evidence, a source, and a note that tells where the slope is from"
        )
    return Score(
        id=row["score"],
        name=row["name"],
        module=match[1],
        parameter=match[2],
        slope=slope,
        lower=lower,
        upper=upper,
        effect=row["effect"],
        direction=parse_directions(row["direction"]),
        source=tuple(part.strip() for part in row["source"].split(";")),
        evidence=row["evidence"],
        note=row["note"],
    )


def plan_scores(
    model: Model, table: Sequence[Score] | None = None
) -> tuple[dict[str, list[Activity]], dict[str, tuple[str, ...]]]:
    """Find what each score acts on in a model, and for each what it cannot set."""
    rows = shipped_scores() if table is None else tuple(table)
    symbols = symbol_table(model.flat)
    plan: dict[str, list[Activity]] = {row.id: [] for row in rows}
    missing: dict[str, tuple[str, ...]] = {}
    for row in rows:
        places, why = settable(model, symbols, row.module, row.parameter)
        nominal = {flat: model.table[flat].nominal for flat in places if flat in model.table}
        plan[row.id] += [Activity(flat=flat, score=row, nominal=value) for flat, value in nominal.items() if value]
        why = why or ("" if any(nominal.values()) else "the value is 0 here, so a factor changes nothing")
        if why:
            missing[row.id] = (*missing.get(row.id, ()), f"{row.module}.{row.parameter}: {why}")
    return plan, missing


def scored(
    plan: Mapping[str, Sequence[Activity]], scores: Mapping[str, float], values: Mapping[str, float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the values that scores set, by flat id, and which of them stopped at a bound of the table.

    The bounds give way to the model's or patient's own value where that is outside of them.
    """
    found: dict[str, float] = {}
    limits: dict[str, tuple[float, float]] = {}
    for name, score in scores.items():
        for each in plan[name]:
            own = values.get(each.flat, each.nominal)
            found[each.flat] = found.get(each.flat, own) * 2.0 ** (each.score.slope * float(score))
            low, high = limits.get(each.flat, (own, own))
            limits[each.flat] = (min(low, each.score.lower), max(high, each.score.upper))
    held = {flat: min(max(value, limits[flat][0]), limits[flat][1]) for flat, value in found.items()}
    return held, tuple(flat for flat, value in held.items() if value != found[flat])


def expression_values(
    model: Model,
    scores: Mapping[str, float],
    values: Mapping[str, float] | None = None,
    *,
    table: Sequence[Score] | None = None,
) -> dict[str, float]:
    """Return what scores of gene expression set in a model, as values of `cascade.simulate` and `cascade.evaluate`.

    Parameters
    ----------
    model : Model
    scores : mapping of str to float
        z-scores by the ids of `expression.tsv`, against tumors of the same kind; 0 changes nothing.
    values : mapping of str to float, optional
        The patient's own values by any name; scores multiply these, and they are returned too.
    table : sequence of Score, optional
        By default the shipped one.

    Returns
    -------
    dict of str to float
        By flat id. A `CascadeWarning` lists scores that the model cannot express, and values that stopped at a bound.

    Raises
    ------
    UnknownNameError
        If a score or a name is unknown; the message tells the closest.
    ValueSettingError
        If a score is no number, or beyond `LARGEST` standard deviations.
    """
    require_model(model, "expression_values")
    plan, missing = plan_scores(model, table)
    if not isinstance(scores, Mapping):
        raise ValueSettingError(f"scores is {scores!r}; give a mapping of ids of expression.tsv to z-scores")
    for name, score in scores.items():
        check_score(name, score, plan)
    symbols = symbol_table(model.flat)
    own = own_values(model, symbols, values)
    found, stopped = scored(plan, scores, own)
    told = [f"{name}: {'; '.join(missing[name])}" for name in scores if name in missing]
    told += [f"{flat} stops at {found[flat]:g}" for flat in stopped]
    if told:
        warn(f"expression in model {model.name!r}: " + " | ".join(told), CascadeWarning, stacklevel=2)
    return own | found


def check_score(name: str, score: object, known: Mapping[str, object]) -> None:
    """Refuse a score that is unknown, or no z-score."""
    if name not in known:
        raise unknown_name("expression score", name, known, "expression.tsv")
    if not (is_number(score) and abs(score) <= LARGEST):
        raise ValueSettingError(
            f"expression score {name!r} is {score!r}; give a z-score between {-LARGEST:g} and {LARGEST:g}: the mean and"
            " standard deviation are those of tumors of the same kind"
        )
