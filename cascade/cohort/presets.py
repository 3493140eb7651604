"""Presets of cohorts: who the patients of a published population are, and what was published of them, with sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade._tables import is_number, read_toml
from cascade.cohort.distributions import Distribution, Marginal
from cascade.errors import CascadeError, TableError, unknown_name
from cascade.facts import Fact, read_facts
from cascade.library import bibliography_keys, composition_folder, library_folder

BOTH_SIDES = 2 * 1.959964
"""Standard errors between the ends of a 95 % interval; the accepted intervals of facts are read as such."""


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """How many patients have a genotype, and who says so."""

    share: float
    source: tuple[str, ...] = ()
    where: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a plausible patient has: a variable of the cohort between two ends; `name` is the reason of a refusal."""

    name: str
    of: str
    lower: float = float("-inf")
    upper: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class CohortPreset:
    """A published population: what differs between its patients, and what is known of them.

    Attributes
    ----------
    name, title, description : str
    composition : str
        Composition that stands for a patient of it.
    parameters : tuple of str
        Constants that differ between patients as their priors say; `*` stands for any part of an id.
    distributions : mapping of str to Distribution
        Constants that differ as said here.
    scales : mapping of str to float
        What multiplies the priors of constants where the patients have genotypes: a growth rate that was measured in
        tumors with these mutations must not count them twice.
    diameter : Distribution, optional
        Diameter of the primary at surgery (mm).
    sigma, median : str
        Constants of the composition: spread and median of the metastatic potential; "" for `sigma_potential` and 1.
    factor : float
        What multiplies the median, which was fitted to one patient without genotypes; these differ around him.
    correlations : mapping of pair of str to float
        Rank correlations.
    genotypes : mapping of str to Frequency
    measures : mapping of str to Distribution
    limits : tuple of Limit
    marginals : tuple of Marginal
    """

    name: str
    title: str
    description: str
    composition: str
    parameters: tuple[str, ...]
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    diameter: Distribution | None = None
    sigma: str = ""
    median: str = ""
    factor: float = 1.0
    correlations: Mapping[tuple[str, str], float] = field(default_factory=dict)
    genotypes: Mapping[str, Frequency] = field(default_factory=dict)
    measures: Mapping[str, Distribution] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    marginals: tuple[Marginal, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of all that is cited."""
        parts: list[Frequency | Marginal | Distribution] = [*self.genotypes.values(), *self.marginals]
        parts += [*self.distributions.values(), *self.measures.values(), *([self.diameter] if self.diameter else [])]
        return tuple(sorted({key for part in parts for key in part.source}))


def preset_names() -> tuple[str, ...]:
    """Return the names of the shipped cohorts."""
    return tuple(sorted(path.stem for path in (library_folder() / "cohorts").glob("*.toml")))


def load_preset(name: str | Path) -> CohortPreset:
    """Read a shipped cohort by its name, or a file of the same form.

    Parameters
    ----------
    name : str or Path
        One of `preset_names()`, or the path of a `.toml` file.

    Raises
    ------
    UnknownNameError
        If there is neither.
    TableError
        If the file is wrong: what, and where.
    """
    path = library_folder() / "cohorts" / f"{name}.toml"
    if str(name) not in preset_names():
        path = Path(name)
        if path.suffix != ".toml" or not path.is_file():
            raise unknown_name(
                "cohort", str(name), preset_names(), "the shipped cohorts, and no .toml file has this path"
            )
    data = read_toml(path, TableError)
    try:
        return _preset(path, data)
    except CascadeError as error:
        raise TableError(f"{path.name}: {error}") from None


_KEYS = (
    "title", "description", "composition", "potential", "vary", "diameter", "correlation", "filter", "genotypes",
    "measures", "marginal",
)  # fmt: skip


def _preset(path: Path, data: dict[str, Any]) -> CohortPreset:
    _only(data, _KEYS, "the file")
    for key in ("title", "composition"):
        if not isinstance(data.get(key), str):
            raise TableError(f"{key} is missing; it is a text")
    potential, vary = _table(data, "potential"), _table(data, "vary")
    _only(potential, ("sigma", "median", "factor", "note"), "[potential]")
    factor = potential.get("factor", 1.0)
    if not (is_number(factor) and factor > 0):
        raise TableError(f"[potential] factor is {factor!r}; give a number above 0")
    _only(vary, ("parameters", "distributions", "scales", "note"), "[vary]")
    for key, scale in _table(vary, "scales").items():
        if not (is_number(scale) and scale > 0):
            raise TableError(f"[vary] scales {key!r} by {scale!r}; give a number above 0")
    facts = _facts(data["composition"])
    found = CohortPreset(
        name=path.stem,
        title=data["title"],
        description=" ".join(str(data.get("description", "")).split()),
        composition=data["composition"],
        parameters=tuple(map(str, vary.get("parameters", ()))),
        distributions={key: _distribution(key, row) for key, row in _table(vary, "distributions").items()},
        scales=_table(vary, "scales"),
        diameter=_distribution("diameter", data["diameter"]) if "diameter" in data else None,
        sigma=str(potential.get("sigma", "")),
        median=str(potential.get("median", "")),
        factor=float(factor),
        correlations=_correlations(data.get("correlation", [])),
        genotypes={key: _frequency(key, row) for key, row in _table(data, "genotypes").items()},
        measures={key: _distribution(key, row) for key, row in _table(data, "measures").items()},
        limits=tuple(_limit(row) for row in data.get("filter", [])),
        marginals=tuple(_marginal(row, facts) for row in data.get("marginal", [])),
    )
    unknown = [key for key in found.sources if key not in bibliography_keys(path.parent)]
    if unknown:
        raise TableError(f"source {unknown[0]!r} is not in references.bib; add the entry or mend the key")
    return found


def _table(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = data.get(key, {})
    if not isinstance(found, dict):
        raise TableError(f"{key} is {found!r}; write it as a table")
    return found


def _only(row: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    if not isinstance(row, Mapping):
        raise TableError(f"{where} is {row!r}; write it as a table")
    for key in row:
        if key not in known:
            raise unknown_name("key", key, known, where)


def _facts(composition: str) -> dict[str, Fact]:
    path = composition_folder(composition) / "evidence.tsv"
    return {fact.id: fact for fact in read_facts(path)} if path.is_file() else {}


_CITED = ("source", "where", "note")


def _row(row: Mapping[str, Any], lists: tuple[str, ...]) -> dict[str, Any]:
    return {key: tuple(value) if key in lists else value for key, value in row.items()}


def _distribution(name: str, row: Mapping[str, Any]) -> Distribution:
    known = ("shape", "center", "spread", "lower", "upper", "edges", "shares", "unit", "evidence", *_CITED)
    _only(row, known, f"the distribution of {name!r}")
    try:
        return Distribution(**_row(row, ("edges", "shares", "source")))
    except TypeError as error:
        raise TableError(f"the distribution of {name!r}: {error}") from None


def _frequency(name: str, row: Mapping[str, Any]) -> Frequency:
    _only(row, ("share", *_CITED), f"genotype {name!r}")
    share = row.get("share")
    if not (is_number(share) and 0 <= share <= 1):
        raise TableError(f"genotype {name!r}: share is {share!r}; give a number between 0 and 1")
    return Frequency(**_row(row, ("source",)))


def _correlations(rows: Any) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        _only(row, ("pair", "rank", "note", "source", "where"), "[[correlation]]")
        pair = row.get("pair")
        if not (isinstance(pair, list) and len(pair) == 2 and is_number(row.get("rank"))):
            raise TableError(f"[[correlation]] is {dict(row)}; give pair = [one, other] and rank")
        found[str(pair[0]), str(pair[1])] = float(row["rank"])
    return found


def _limit(row: Mapping[str, Any]) -> Limit:
    _only(row, ("name", "of", "lower", "upper"), "[[filter]]")
    try:
        return Limit(**row)
    except TypeError as error:
        raise TableError(f"[[filter]]: {error}") from None


def _marginal(row: Mapping[str, Any], facts: Mapping[str, Fact]) -> Marginal:
    known = (
        "fact", "scale", "name", "kind", "of", "lower", "upper", "years", "among", "value", "error", "quantity",
        "conditions", *_CITED,
    )  # fmt: skip
    _only(row, known, "[[marginal]]")
    given = _row(
        {key: value for key, value in row.items() if key not in ("fact", "scale")}, ("years", "among", "source")
    )
    try:
        if "fact" not in row:
            return Marginal(**given)
        return _of_fact(str(row["fact"]), given, facts, float(row.get("scale", 1.0)))
    except (TypeError, ValueError) as error:
        raise TableError(f"[[marginal]] {row.get('name', row.get('fact', ''))!r}: {error}") from None


def _of_fact(name: str, given: dict[str, Any], facts: Mapping[str, Fact], scale: float) -> Marginal:
    """Take value, interval and source of a fact of the composition, so that each number is written once."""
    if name not in facts:
        raise unknown_name("fact", name, facts, "evidence.tsv of the composition")
    fact = facts[name]
    if fact.value is None or fact.lower is None or fact.upper is None:
        raise TableError(f"fact {name!r} has no value with an interval; give value and error")
    if "value" in given or "error" in given or "source" in given:
        raise TableError(
            f"[[marginal]] of fact {name!r}: value, error and source are those of the fact; leave them out"
        )
    texts = {"name": name, "quantity": fact.quantity, "conditions": fact.conditions, "where": fact.where}
    return Marginal(
        **texts | given,
        value=fact.value * scale,
        error=(fact.upper - fact.lower) / BOTH_SIDES * abs(scale),
        source=fact.source,
    )
