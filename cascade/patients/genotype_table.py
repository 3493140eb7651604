"""Reads the table of genotypes: what each mutation, epigenetic state or receptor status sets, and what it should do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar, cast

from cascade._tables import named, read_lines, to_number
from cascade.errors import TableError
from cascade.evidence import EVIDENCE
from cascade.library import library_folder

COLUMNS = (
    "genotype",
    "name",
    "kind",
    "gene",
    "consequences",
    "sets",
    "excludes",
    "effect",
    "direction",
    "source",
    "evidence",
    "note",
)
"""The columns of `genotypes.tsv`, tab separated, in this order."""

KINDS = ("mutation", "amplification", "deletion", "methylation", "mark", "receptor")

CLASSES = (
    "Missense_Mutation",
    "Nonsense_Mutation",
    "Frame_Shift_Del",
    "Frame_Shift_Ins",
    "In_Frame_Del",
    "In_Frame_Ins",
    "Splice_Site",
    "Translation_Start_Site",
    "Nonstop_Mutation",
    "Fusion",
    "Amplification",
    "Deletion",
    "Hypermethylation",
)
"""What may happen to a gene: classes of mutation tables (MAF) that change the protein, and changes of copies."""

OLD_SYMBOLS = {
    "HER2": "ERBB2", "HER-2": "ERBB2", "HER2/NEU": "ERBB2", "NEU": "ERBB2", "P53": "TP53", "P21": "CDKN1A",
    "P16": "CDKN2A", "PD-L1": "CD274", "PDL1": "CD274", "PD-L2": "PDCD1LG2", "C-MYC": "MYC", "CMYC": "MYC",
    "K-RAS": "KRAS", "KRAS2": "KRAS", "B-RAF": "BRAF", "LKB1": "STK11", "DPC4": "SMAD4", "MADH4": "SMAD4",
    "HDM2": "MDM2", "MMAC1": "PTEN",
}  # fmt: skip
"""HGNC symbols by names that are still written."""

Operator = Literal["=", "*", ">=", "<="]

_NAME = r"[a-z](?:_?[a-z0-9]+)*"
_ID = re.compile(rf"^{_NAME}$")
_SETTING = re.compile(rf"^({_NAME})\.({_NAME})(>=|<=|=|\*)(\S+)$")
_EXPECTED = re.compile(rf"^({_NAME})\.({_NAME}):([+-])(?:@(\S+))?$")
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What happens to a constant or a start value: it is set (`=`), multiplied (`*`), or bounded (`>=`, `<=`)."""

    module: str
    parameter: str
    operator: Operator
    number: float

    def __str__(self) -> str:
        return f"{self.module}.{self.parameter}{self.operator}{self.number:g}"


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Which way a symbol of a module goes, alone, under the conditions `given` (parameters of that module)."""

    module: str
    symbol: str
    sign: Literal["+", "-"]
    given: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ",".join(f"{self.module}.{name}={value:g}" for name, value in self.given.items())
        return f"{self.module}.{self.symbol}:{self.sign}" + (f"@{given}" if given else "")


@dataclass(frozen=True, kw_only=True)
class Consequence:
    """A class of change that means the genotype; with `places` (`G12`, `G12C`) only there in the protein."""

    kind: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Genotype:
    """A mutation, an epigenetic state or a receptor status; the fields are the columns of `genotypes.tsv`.

    One without `sets` is known, but no parameter of the library expresses it: `note` says why.
    """

    id: str
    name: str
    kind: str
    genes: tuple[str, ...] = ()
    consequences: tuple[Consequence, ...] = ()
    sets: tuple[Setting, ...] = ()
    excludes: tuple[str, ...] = ()
    effect: str = ""
    direction: tuple[Expectation, ...] = ()
    source: tuple[str, ...] = ()
    evidence: str = "assumed"
    note: str = ""


@lru_cache(maxsize=1)
def shipped_genotypes() -> dict[str, Genotype]:
    """Return the shipped genotypes by id."""
    return {each.id: each for each in read_genotypes()}


def read_genotypes(path: str | Path | None = None) -> tuple[Genotype, ...]:
    """Read a table of genotypes.

    Parameters
    ----------
    path : path, optional
        A tab-separated file with the columns of `COLUMNS`; by default the shipped `sbml_models/genotypes.tsv`.

    Returns
    -------
    tuple of Genotype

    Raises
    ------
    TableError
        With every finding at once: line, what was found, what to write.
    """
    path = library_folder() / "genotypes.tsv" if path is None else Path(path)
    found: dict[str, Genotype] = {}
    problems: list[str] = []
    for number, cells in read_lines(path, COLUMNS, "genotype"):
        try:
            genotype = _genotype(named(cells, COLUMNS))
            if genotype.id in found:
                raise TableError(f"genotype {genotype.id!r} stands twice; leave one")
            found[genotype.id] = genotype
        except TableError as error:
            problems.append(f"{path.name}, line {number}: {error}")
    for each in found.values():
        for other in each.excludes:
            if other not in found or other == each.id:
                problems.append(f"{path.name}: {each.id!r} excludes {other!r}; name another genotype of the table")
    if problems:
        raise TableError("\n".join(problems))
    return tuple(found.values())


def _genotype(row: dict[str, str]) -> Genotype:
    where = f"genotype {row['genotype']!r}"
    if not _ID.match(row["genotype"]):
        raise TableError(f"{where}: the id is not lower snake case; write it as kras_g12")
    if not row["name"]:
        raise TableError(f"{where}: no name; say in a few words what it is")
    if row["kind"] not in KINDS:
        raise TableError(f"{where}: kind is {row['kind']!r}; write one of {', '.join(KINDS)}")
    if row["evidence"] not in EVIDENCE:
        raise TableError(f"{where}: evidence is {row['evidence']!r}; write one of {', '.join(EVIDENCE)}")
    if not row["source"]:
        raise TableError(f"{where}: no source; name a key of references.bib")
    if not row["note"] and (row["evidence"] == "assumed" or not row["sets"]):
        raise TableError(f"{where}: no note; say why these values, or why no parameter expresses it")
    try:
        genotype = Genotype(
            id=row["genotype"],
            name=row["name"],
            kind=row["kind"],
            genes=_parts(row["gene"], str),
            consequences=_parts(row["consequences"], _consequence),
            sets=_parts(row["sets"], parse_setting),
            excludes=_parts(row["excludes"], str),
            effect=row["effect"],
            direction=parse_directions(row["direction"]),
            source=_parts(row["source"], str),
            evidence=row["evidence"],
            note=row["note"],
        )
    except TableError as error:
        raise TableError(f"{where}: {error}") from None
    if bool(genotype.sets) != bool(genotype.direction):
        raise TableError(f"{where}: what sets something needs a direction that can be checked, and only that")
    places = [(each.module, each.parameter) for each in genotype.sets]
    if len(set(places)) < len(places):
        raise TableError(f"{where}: sets names one parameter twice; leave one")
    return genotype


def _parts(text: str, parse: Callable[[str], _T]) -> tuple[_T, ...]:
    return tuple(parse(part.strip()) for part in text.split(";") if part.strip())


def parse_setting(text: str) -> Setting:
    """Read `module.parameter=0.25`, or with `*`, `>=`, `<=`.

    Raises
    ------
    TableError
        If it has another form.
    """
    match = _SETTING.match(text)
    if match is None:
        raise TableError(f"{text!r} sets nothing; write module.parameter=value, or *factor, >=value, <=value")
    number = to_number(match[4])
    if match[3] == "*" and number <= 0:
        raise TableError(f"{text!r}: a factor must be above 0; write <=0 for what is lost")
    return Setting(module=match[1], parameter=match[2], operator=cast("Operator", match[3]), number=number)


def parse_directions(text: str) -> tuple[Expectation, ...]:
    """Read `module.symbol:+;module.symbol:-@module.parameter=value,...`.

    Raises
    ------
    TableError
        If an entry has another form, or conditions of another module.
    """
    return _parts(text, _expectation)


def _expectation(text: str) -> Expectation:
    match = _EXPECTED.match(text)
    if match is None:
        raise TableError(f"direction {text!r} is not module.symbol:+ or module.symbol:-, @module.parameter=value")
    given = {}
    for part in filter(None, (match[4] or "").split(",")):
        setting = parse_setting(part)
        if setting.module != match[1] or setting.operator != "=":
            raise TableError(
                f"direction {text!r}: {part!r} sets no parameter of {match[1]!r}; write {match[1]}.x=value"
            )
        given[setting.parameter] = setting.number
    sign = cast("Literal['+', '-']", match[3])
    return Expectation(module=match[1], symbol=match[2], sign=sign, given=given)


def _consequence(text: str) -> Consequence:
    kind, _, places = text.partition(":")
    if kind not in CLASSES:
        raise TableError(f"consequence {kind!r} is no class of change; write one of {', '.join(CLASSES)}")
    return Consequence(kind=kind, places=tuple(part for part in places.split("|") if part))


def symbol_of(gene: str) -> str:
    """Return the HGNC symbol of a gene as people write it."""
    return OLD_SYMBOLS.get(gene.upper(), gene.upper())


def genes_of(table: Mapping[str, Genotype] | Sequence[Genotype]) -> dict[str, tuple[Genotype, ...]]:
    """Return the genotypes of each gene."""
    found: dict[str, tuple[Genotype, ...]] = {}
    for each in table.values() if isinstance(table, Mapping) else table:
        for gene in each.genes:
            found[gene] = (*found.get(gene, ()), each)
    return found
