"""What a treatment is followed by: species, pathways, genes and clinical endpoints of a model, each with its scale.

The list is data: `sbml_models/pathways.tsv` says which symbols stand for the activity of a pathway, for a gene whose
product is no species, and for the clinic; `sbml_models/genes.tsv` gives the gene of each annotated protein.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import libsbml

from cascade._canonical import Symbol, symbol_table
from cascade._sbml import read_document
from cascade._tables import named, read_lines
from cascade.errors import TableError, unknown_name
from cascade.library import library_folder
from cascade.specs import Model

Scale = Literal["level", "share", "risk", "difference"]
SCALES: Mapping[str, str] = {
    "level": "ratio",
    "share": "odds ratio",
    "risk": "ratio of cumulative hazards",
    "difference": "difference only",
}
"""How treated is compared with untreated: a level by its ratio; a share of a whole, which has an end at 0 and at 1, by
its odds p/(1 - p); the probability that something has happened by its hazard -ln(1 - p); what can be negative, or is a
logarithm already, by its difference."""

GROUPS = ("endpoint", "pathway", "gene", "target", "species")
"""Groups of quantities; `target` is what drugs hold of their targets."""

PATHWAY_COLUMNS = ("id", "group", "name", "symbols", "over", "scale", "genes", "stage", "note")
GENE_COLUMNS = ("gene", "uniprot", "name")
_OVER = ("each", "sum", "alone")
_LISTED = ("pathway", "gene", "endpoint")
_UNIPROT, _HGNC = "https://identifiers.org/uniprot:", "https://identifiers.org/hgnc.symbol:"


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A line of `pathways.tsv`.

    Attributes
    ----------
    id, name, note : str
    group : {"pathway", "gene", "endpoint"}
    symbols : tuple of str
        `module.symbol`; several are added.
    over : {"each", "sum", "alone"}
        Where a module has several instances: a quantity of each, or one that adds them; `alone` only in a model that
        is this module.
    scale : {"level", "share", "risk", "difference"}
    genes : tuple of str
        Genes of which the quantity tells.
    stage : str
    """

    id: str
    group: str
    name: str
    symbols: tuple[str, ...]
    over: str
    scale: Scale
    genes: tuple[str, ...] = ()
    stage: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """What is followed in one model: the sum of `ids` (flat), in `unit`."""

    id: str
    group: str
    name: str
    ids: tuple[str, ...]
    scale: Scale
    unit: str
    genes: tuple[str, ...] = ()
    stage: str = ""


def read_pathways(path: Path | None = None) -> tuple[Followed, ...]:
    """Read a table of pathways, genes and endpoints; by default the shipped one.

    Raises
    ------
    TableError
        With every finding at once.
    """
    path = path or library_folder() / "pathways.tsv"
    rows: list[Followed] = []
    problems: list[str] = []
    for number, cells in read_lines(path, PATHWAY_COLUMNS, "pathway"):
        try:
            row = named(cells, PATHWAY_COLUMNS)
            problems += [f"{path.name}, line {number}: {each}" for each in _wrong(row, rows)]
        except TableError as error:
            problems.append(f"{path.name}, line {number}: {error}")
            continue
        texts = {name: row[name] for name in ("id", "group", "name", "over", "stage", "note")}
        scale = cast("Scale", row["scale"])
        rows.append(Followed(**texts, scale=scale, symbols=_list(row["symbols"]), genes=_list(row["genes"])))
    if problems:
        raise TableError("\n".join(problems))
    return tuple(rows)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _wrong(row: Mapping[str, str], before: Sequence[Followed]) -> Iterator[str]:
    for column, allowed in (("group", _LISTED), ("over", _OVER), ("scale", tuple(SCALES))):
        if row[column] not in allowed:
            yield f"{column} is {row[column]!r}; write one of {', '.join(allowed)}"
    if not row["id"] or not row["name"] or not _list(row["symbols"]):
        yield "id, name and symbols must be given"
    if any(symbol.count(".") != 1 for symbol in _list(row["symbols"])):
        yield f"symbols are {row['symbols']!r}; write module.symbol, several with ; between"
    if (row["group"], row["id"]) in {(each.group, each.id) for each in before}:
        yield f"{row['group']} {row['id']!r} stands twice"


@lru_cache(maxsize=1)
def gene_names() -> Mapping[str, str]:
    """Return the HGNC symbol by UniProt accession, of `genes.tsv`."""
    lines = read_lines(library_folder() / "genes.tsv", GENE_COLUMNS, "gene")
    rows = [named(cells, GENE_COLUMNS) for _, cells in lines]
    return {row["uniprot"]: row["gene"] for row in rows}


def quantities_of(model: Model, groups: Sequence[str] = GROUPS) -> tuple[Quantity, ...]:
    """Return what of a model can be followed.

    Parameters
    ----------
    model : Model
        Untreated.
    groups : sequence of str
        Of `GROUPS`; `target` is of drugs, which an untreated model has not.

    Returns
    -------
    tuple of Quantity
        Those of the tables that the model has; as genes also the products that are species or variables of the model,
        by their annotation (UniProt accession, or HGNC symbol of a messenger or microRNA); as species all of them.
    """
    for group in groups:
        if group not in GROUPS:
            raise unknown_name("group", group, GROUPS, "the quantities")
    symbols = symbol_table(model.flat)
    rows = [row for row in read_pathways() if row.group in groups]
    listed = [quantity for row in rows for quantity in _listed(row, model, symbols)]
    if "gene" in groups:
        known = {gene for quantity in listed if quantity.group == "gene" for gene in (quantity.id.split(":")[1],)}
        listed += [each for each in _annotated(model, symbols) if each.id.split(":")[1] not in known]
    if "species" in groups:
        listed += _species(model, symbols)
    return tuple(sorted(listed, key=lambda each: GROUPS.index(each.group)))


def _listed(row: Followed, model: Model, symbols: Mapping[str, Symbol]) -> Iterator[Quantity]:
    if row.over == "alone" and len(model.instances) > 1:
        return
    module = row.symbols[0].partition(".")[0]
    owners = [name for name, kind in model.instances.items() if kind == module]
    found = {owner: _ids(row, model, owner) for owner in owners}
    found = {owner: ids for owner, ids in found.items() if ids}
    if row.over == "sum" and found:
        found = {module: tuple(dict.fromkeys(flat for ids in found.values() for flat in ids))}
    for owner, ids in found.items():
        units = {symbols[flat].unit for flat in ids}
        if len(units) > 1:
            raise TableError(f"pathways.tsv: {row.id!r} adds symbols in {', '.join(sorted(units))}")
        where = "" if len(found) == 1 else f" ({owner})"
        yield Quantity(
            id=f"{row.group}:{row.id}" + (f"@{owner}" if where else ""),
            group=row.group,
            name=row.name + where,
            ids=ids,
            scale=row.scale,
            unit=units.pop(),
            genes=row.genes or ((row.id.split()[0],) if row.group == "gene" else ()),
            stage=row.stage,
        )


def _ids(row: Followed, model: Model, owner: str) -> tuple[str, ...]:
    """Return the flat ids of the symbols in an instance; nothing if it lacks one."""
    found = [model.ids.get(f"{owner}.{symbol.partition('.')[2]}") for symbol in row.symbols]
    return tuple(each for each in found if each) if all(found) else ()


def _annotated(model: Model, symbols: Mapping[str, Symbol]) -> Iterator[Quantity]:
    """Yield the level of each gene product that the model annotates: protein (is) and RNA (is encoded by), apart."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    document = read_document(model.flat, model.name).getModel()
    for element in (*document.getListOfSpecies(), *document.getListOfParameters()):
        symbol = symbols[element.getId()]
        if symbol.role == "constant" or symbol.unit.startswith("per_"):
            continue
        for gene, kind in _genes(element):
            owner = symbol.id.rpartition("__")[0]
            found.setdefault((gene, kind, owner, symbol.unit), []).append(symbol.id)
    several = [(gene, kind) for gene, kind, _, _ in found]
    for (gene, kind, owner, unit), ids in found.items():
        name = f"{gene} {kind}" if kind == "mRNA" else gene
        single = several.count((gene, kind)) == 1
        yield Quantity(
            id=f"gene:{name}" if single else f"gene:{name}@{owner}",
            group="gene",
            name=", ".join(symbols[flat].name for flat in ids) + ("" if single else f" ({owner})"),
            ids=tuple(ids),
            scale="level",
            unit=unit,
            genes=(gene,),
        )


def _genes(element: libsbml.SBase) -> Iterator[tuple[str, str]]:
    """Yield the gene of what an element is (`protein`), or of what encodes it (`mRNA`, `microRNA`)."""
    for place in range(element.getNumCVTerms()):
        term = element.getCVTerm(place)
        if term.getQualifierType() != libsbml.BIOLOGICAL_QUALIFIER:
            continue
        kind = term.getBiologicalQualifierType()
        for number in range(term.getNumResources()):
            uri = term.getResourceURI(number)
            if kind == libsbml.BQB_IS and uri.startswith(_UNIPROT):
                accession = uri.removeprefix(_UNIPROT)
                yield gene_names().get(accession, accession), "protein"
            elif kind in (libsbml.BQB_IS, libsbml.BQB_IS_ENCODED_BY) and uri.startswith(_HGNC):
                gene = uri.removeprefix(_HGNC)
                yield gene, "microRNA" if gene.startswith("MIR") else "mRNA"


def _species(model: Model, symbols: Mapping[str, Symbol]) -> Iterator[Quantity]:
    for symbol in symbols.values():
        if symbol.kind == "species" and symbol.role != "constant":
            owner, _, local = symbol.id.rpartition("__")
            name = f"{symbol.name} ({owner})" if owner and len(model.instances) > 1 else symbol.name
            yield Quantity(
                id=f"species:{owner}.{local}" if owner else f"species:{local}",
                group="species",
                name=name,
                ids=(symbol.id,),
                scale="level",
                unit=symbol.unit,
            )


def genes_without_level(model: Model, quantities: Sequence[Quantity]) -> tuple[str, ...]:
    """Return the genes that the tables of a model name, but of which no quantity tells: constants only."""
    told = {gene for quantity in quantities for gene in quantity.genes}
    return tuple(sorted({gene for row in model.parameters for gene in _list(row.gene)} - told))
