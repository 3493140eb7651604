"""Reads mutation tables (MAF and the like): which genotypes each patient has, and what the library does not know."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import TableError
from cascade.patients._cells import (
    Cells,
    is_date,
    is_missing,
    number_of,
    patient_id,
    read_cells,
    require_unbroken,
    shown,
)
from cascade.patients.genotype_table import CLASSES, Genotype, genes_of, shipped_genotypes, symbol_of

if TYPE_CHECKING:
    import pandas as pd

AMPLIFIED = 5.0
"""Copies of a gene from which on it counts as amplified (two are normal)."""

DELETED = 0.5
"""Copies of a gene below which it counts as deleted."""

UNKNOWN = ("patient", "gene", "consequence", "change", "reason", "line")
"""Columns of what is not known."""

ROLES = {
    "patient": ("patient", "patient_id", "tumor_sample_barcode", "sample_id", "sample"),
    "gene": ("hugo_symbol", "gene", "symbol"),
    "consequence": ("variant_classification", "consequence", "classification"),
    "change": ("hgvsp_short", "protein_change", "amino_acid_change", "hgvsp"),
    "copies": ("copy_number", "copies", "total_copy_number"),
}
"""Columns that are read, by what they hold: the first of these names that the table has, in any case."""

_SILENT = ("Silent", "Intron", "3'UTR", "5'UTR", "3'Flank", "5'Flank", "IGR", "RNA", "lincRNA", "Splice_Region")
_UNCLEAR = (  # what they do to the protein cannot be told: listed, never taken
    "De_novo_Start_InFrame", "De_novo_Start_OutOfFrame", "Start_Codon_SNP", "Start_Codon_Ins", "Start_Codon_Del",
    "Stop_Codon_Ins", "Stop_Codon_Del", "Targeted_Region", "frameshift_variant", "protein_altering_variant",
    "coding_sequence_variant", "regulatory_region_variant",
)  # fmt: skip
_SAME = {"frameshift_variant": ("Frame_Shift_Del", "Frame_Shift_Ins")}
_OTHER = {  # Ensembl VEP and cBioPortal
    "missense_variant": "Missense_Mutation",
    "stop_gained": "Nonsense_Mutation",
    "splice_acceptor_variant": "Splice_Site",
    "splice_donor_variant": "Splice_Site",
    "inframe_deletion": "In_Frame_Del",
    "inframe_insertion": "In_Frame_Ins",
    "start_lost": "Translation_Start_Site",
    "stop_lost": "Nonstop_Mutation",
    "synonymous_variant": "Silent",
    "stop_retained_variant": "Silent",
    "start_retained_variant": "Silent",
    "intron_variant": "Intron",
    "splice_region_variant": "Splice_Region",
    "splice_polypyrimidine_tract_variant": "Splice_Region",
    "splice_donor_region_variant": "Splice_Region",
    "splice_donor_5th_base_variant": "Splice_Region",
    "3_prime_utr_variant": "3'UTR",
    "5_prime_utr_variant": "5'UTR",
    "downstream_gene_variant": "3'Flank",
    "upstream_gene_variant": "5'Flank",
    "intergenic_variant": "IGR",
    "non_coding_transcript_exon_variant": "RNA",
    "non_coding_transcript_variant": "RNA",
    "nmd_transcript_variant": "RNA",
    "amp": "Amplification",
    "homdel": "Deletion",
    "deep_deletion": "Deletion",
    "structural_variant": "Fusion",
    "methylation": "Hypermethylation",
}
_LEVELS = ("gain", "hetloss", "shallow_deletion", "diploid")
_KNOWN = {name.lower(): name for name in (*CLASSES, *_SILENT, *_UNCLEAR)} | _OTHER | {name: name for name in _LEVELS}
_LETTERS = {
    "Ala": "A", "Arg": "R", "Asn": "N", "Asp": "D", "Cys": "C", "Gln": "Q", "Glu": "E", "Gly": "G", "His": "H",
    "Ile": "I", "Leu": "L", "Lys": "K", "Met": "M", "Phe": "F", "Pro": "P", "Ser": "S", "Thr": "T", "Trp": "W",
    "Tyr": "Y", "Val": "V", "Ter": "*",
}  # fmt: skip
_THREE = re.compile("|".join(_LETTERS))


@dataclass(frozen=True, kw_only=True)
class Mutations:
    """What a mutation table says.

    Attributes
    ----------
    genotypes : mapping of str to tuple of str
        Ids of `genotypes.tsv` by patient; a patient of whom nothing is known has none.
    unknown : pandas.DataFrame
        One row for each line that means no genotype, with the columns of `UNKNOWN`.
    """

    genotypes: Mapping[str, tuple[str, ...]]
    unknown: pd.DataFrame


def read_mutations(path: str | Path, *, table: Sequence[Genotype] | None = None) -> Mutations:
    """Read a mutation table, such as a MAF file of the GDC or of cBioPortal.

    Parameters
    ----------
    path : path
        A table with a header (see `ROLES` for the names of its columns; others are not read): the patient or sample,
        the gene (HGNC), and what happened: a class of MAF files or of Ensembl, `Amplification`, `Deletion`,
        `Hypermethylation`, or a number of copies; and the change of the protein (`p.G12D`), which hotspots need.
    table : sequence of Genotype, optional
        By default the shipped one.

    Returns
    -------
    Mutations

    Raises
    ------
    TableError
        With every wrong line at once.

    Notes
    -----
    One truncated allele of a suppressor counts as its loss, since the table does not tell of the other. From
    `AMPLIFIED` copies on a gene is amplified, below `DELETED` it is deleted.
    """
    import pandas as pd

    known = shipped_genotypes() if table is None else {each.id: each for each in table}
    by_gene = genes_of(known)
    cells = read_cells(path, "a mutation table")
    places = _places(cells)
    found: dict[str, dict[str, None]] = {}
    unknown: list[dict[str, Any]] = []
    spelled: dict[str, str] = {}
    copies: dict[tuple[str, str], dict[str, int]] = {}
    for line, row in cells.lines:
        here = {role: row[place] for role, place in places.items()}
        try:
            patient, gene, kinds = _patient(here["patient"], spelled), _gene(here["gene"]), _kinds(here)
            _check_copies(copies.setdefault((patient, gene), {}), kinds, line)
        except TableError as error:
            cells.find(line, str(error))
            continue
        mine = found.setdefault(patient, {})
        change = protein_change(here.get("change", ""))
        for kind in kinds:
            ids, reason = meaning(by_gene.get(gene, ()), gene, kind, change)
            mine |= dict.fromkeys(ids)
            if reason:
                numbers = {"patient": patient, "gene": gene, "consequence": kind, "change": change}
                unknown.append(numbers | {"reason": reason, "line": line})
    cells.require_sound()
    genotypes = {patient: tuple(name for name in known if name in ids) for patient, ids in found.items()}
    return Mutations(genotypes=genotypes, unknown=pd.DataFrame(unknown, columns=list(UNKNOWN)))


def _places(cells: Cells) -> dict[str, int]:
    names = {name.lower(): place for place, name in reversed(list(enumerate(cells.header)))}
    found: dict[str, int] = {}
    for role, known in ROLES.items():
        for name in known:
            if name in names:
                found.setdefault(role, names[name])
    lacking = [role for role in ("patient", "gene") if role not in found]
    lacking += [] if {"consequence", "copies"} & found.keys() else ["consequence"]
    for role in lacking:
        cells.find(cells.head, f"no column of the {role}", "name it " + " or ".join(ROLES[role][:3]))
    if lacking:
        cells.require_sound()
    return found


def _patient(cell: str, spelled: dict[str, str]) -> str:
    if is_missing(cell):
        raise TableError("no patient; fill the cell in")
    name = patient_id(cell)
    other = spelled.setdefault(name.casefold(), name)
    if other != name:
        raise TableError(f"patient {name!r} differs from {other!r} only in case; write both alike")
    return name


def _check_copies(seen: dict[str, int], kinds: Sequence[str], line: int) -> None:
    """Refuse that a gene of a patient is amplified in one line and deleted in another."""
    for kind, other in (("Amplification", "Deletion"), ("Deletion", "Amplification")):
        if kind in kinds:
            seen.setdefault(kind, line)
            if other in seen:
                raise TableError(f"{kind} of a gene, but its {other} stands in line {seen[other]}; leave one of them")


def _gene(cell: str) -> str:
    if is_missing(cell) and cell.lower() != "unknown":  # as the GDC calls what lies between genes
        raise TableError("no gene; write its HGNC symbol")
    require_unbroken(cell)
    if is_date(cell):
        raise TableError(f"gene {shown(cell)} is a date: a spreadsheet made it of a symbol such as MARCHF2 or SEPTIN7")
    return symbol_of(cell)


def _kinds(here: Mapping[str, str]) -> list[str]:
    """Return what happened to a gene in one line: a class, or what its copies mean, or both."""
    kinds = []
    written = here.get("consequence", "")
    if not is_missing(written):
        kinds.append(_class(written))
    copies = here.get("copies", "")
    if not is_missing(copies):
        number = number_of(copies)
        if number < 0:
            raise TableError(
                f"{number:g} copies; for levels from -2 to 2 write Deletion for -2 and Amplification for 2"
            )
        level = "Amplification" if number >= AMPLIFIED else "Deletion" if number < DELETED else ""
        if level or not kinds:
            kinds.append(level or f"{number:g} copies")
    if not kinds:
        raise TableError("neither a class of change nor a number of copies; give one")
    return list(dict.fromkeys(kinds))


def _class(cell: str) -> str:
    require_unbroken(cell)
    names = [re.sub(r"[\s-]+", "_", part.strip()) for part in re.split("[&,;]", cell.lower())]
    for name in names:
        if name not in _KNOWN:
            close = [_KNOWN[each] for each in get_close_matches(name, _KNOWN, n=3, cutoff=0.5)]
            hint = " or ".join(map(repr, dict.fromkeys(close))) or ", ".join(CLASSES)
            raise TableError(f"no class of change {shown(cell)}; did you mean {hint}?")
    # Ensembl names all effects on a transcript together; the one that changes the protein counts
    return min((_KNOWN[name] for name in names), key=lambda kind: kind in _SILENT)


def protein_change(cell: str) -> str:
    """Return a change of a protein as `G12D`, from `p.G12D`, `p.Gly12Asp` or `ENSP00000256078.4:p.Gly12Asp`."""
    if is_missing(cell):
        return ""
    text = cell.rpartition(":")[2].removeprefix("p.").strip("()")
    text = text.upper() if re.fullmatch(r"[a-z]\d+[a-z]", text) else text
    return _THREE.sub(lambda match: _LETTERS[match[0]], text)


def meaning(genotypes: Sequence[Genotype], gene: str, kind: str, change: str) -> tuple[tuple[str, ...], str]:
    """Return which genotypes of a gene a change means, the most specific, or the reason why none."""
    if kind in _SILENT:
        return (), "does not change the protein"
    if not genotypes:
        return (), f"no genotype of the library has {gene}"
    best = 0
    found: list[str] = []
    asked: list[str] = []
    for each in genotypes:
        for consequence in each.consequences:
            if consequence.kind not in _SAME.get(kind, (kind,)):
                continue
            asked += consequence.places
            rank = max((_fit(place, change) for place in consequence.places), default=1)
            if rank and rank >= best:
                found, best = [*(found if rank == best else []), each.id], rank
    if found:
        return tuple(dict.fromkeys(found)), ""
    if asked and not change:
        return (), f"the change of the protein is not given, and only some mean something ({', '.join(asked)})"
    if asked:
        return (), f"not one of the places that mean something ({', '.join(dict.fromkeys(asked))})"
    if kind in _LEVELS or "copies" in kind:
        return (), "neither amplified nor deleted: one copy more or less has no genotype"
    return (), f"{kind} of {gene} has no genotype"


def _fit(place: str, change: str) -> int:
    """Return how well a change is at a place (`G12D`, `G12`, or residues `1-2300`): 0 for not at all."""
    first, mark, last = place.partition("-")
    if mark and first.isdigit() and last.isdigit():
        number = re.search(r"\d+", change)
        return 2 if number and int(first) <= int(number[0]) <= int(last) else 0
    rest = change.removeprefix(place)
    if rest == change or (rest and place[-1].isdigit() and rest[0].isdigit()):
        return 0
    if rest and place[-1].isalpha() and rest[0].isalnum():
        return 0
    return 3 + len(place)
