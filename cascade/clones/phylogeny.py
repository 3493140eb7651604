"""The clones of a tumor and who descends from whom: read from a table, and checked before anything is composed."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cascade._files import path_of, read_text
from cascade._tables import is_number, to_number
from cascade.catalogue import load_module
from cascade.errors import TableError, unknown_name
from cascade.patients._cells import is_missing
from cascade.patients.genotype_table import shipped_genotypes

if TYPE_CHECKING:
    import pandas as pd

MOST_CLONES = 24
"""Clones of a phylogeny: each has its own blood and its own cells in every organ, about 70 states in a large model."""

MOST_MUTATIONS = 0.1
"""Mutation probability per division from which on a clone is no rare descendant of its parent any more."""

WORDS = ("clone", "parent", "prevalence", "cancer_cell_fraction", "lesions", "genotypes")
"""Columns of a phylogeny that are no constants of the module `clone`."""

_COMMON = {
    "f_polyclonal": "say polyclonal=... to with_clones, since clusters are shared",
    "n_single": "it is a unit of counting",
    "v_collective_floor": "it is a guard of the arithmetic",
}
_NOT_INHERITED = ("f_mutation", "init_n_epithelial_stem")
_NOT_ABOVE_ONE = ("f_sensitive_kill", "f_sensitive_block", "f_kill_immune_stem", "w_founder_stem", "f_stem_founders")

Lesions = Literal["own", "pooled", ""]

_ID = re.compile(r"^[a-z](?:_?[a-z0-9]+)*$")


@dataclass(frozen=True, kw_only=True)
class Clone:
    """One clone of a tumor.

    Attributes
    ----------
    name : str
    parent : str
        The clone from which it arose by mutation; empty for the founder.
    prevalence : float or None
        Share of the tumor cells at diagnosis that are of this clone and of none of its descendants.
    lesions : {"own", "pooled", ""}
        Whether its metastases are counted apart; by default only where it answers to drugs unlike the founder.
    values : mapping of str to float
        Constants of the module `clone`; what is not said is as in the parent, but `f_mutation`.
    genotypes : tuple of str
        Ids of genotypes that it has beside those of its parent; see `cascade.with_clones`.
    """

    name: str
    parent: str = ""
    prevalence: float | None = None
    lesions: Lesions = ""
    values: Mapping[str, float] = field(default_factory=dict)
    genotypes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Phylogeny:
    """Clones, parents before children.

    Raises
    ------
    TableError
        If a clone is there twice, descends from itself or from nobody known, there is no founder or more than one,
        there are more than `MOST_CLONES`, or shares add up to more than 1.
    """

    clones: tuple[Clone, ...]
    where: str = "phylogeny"

    def __post_init__(self) -> None:
        where = self.where
        names = [clone.name for clone in self.clones]
        if not names:
            raise TableError(f"{where}: there is no clone in it")
        if len(names) > MOST_CLONES:
            raise TableError(
                f"{where}: {len(names)} clones; the limit is {MOST_CLONES}. Each has cells of its own in blood and in"
                " every organ: keep those above a few percent, or that differ in what they do, and merge the others"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TableError(f"{where}: clone {', '.join(map(repr, twice))} is there twice; a clone has one parent")
        for clone in self.clones:
            if not _ID.match(clone.name):
                raise TableError(
                    f"{where}: clone {clone.name!r}; names are lower snake case that starts with a letter, such as"
                    f" clone_{'_'.join(re.findall('[a-z0-9]+', clone.name.lower())) or 'a'}"
                )
            if clone.parent and clone.parent not in names:
                raise TableError(
                    f"{where}: clone {clone.name!r} descends from {clone.parent!r}, which is no clone of the table;"
                    f" add a row for {clone.parent!r} (the founder has an empty parent)"
                )
        object.__setattr__(self, "clones", self._in_order())
        shares = sum(clone.prevalence or 0.0 for clone in self.clones)
        if shares > 1 + 1e-9:
            raise TableError(f"{where}: the prevalences add up to {shares:.4g}, which is more than all tumor cells")

    def _in_order(self) -> tuple[Clone, ...]:
        where = self.where
        roots = [clone.name for clone in self.clones if not clone.parent]
        if len(roots) > 1:
            raise TableError(
                f"{where}: {', '.join(map(repr, roots))} have no parent; one clone founds the tumor, give the others"
                " one (a common ancestor that is hardly found any more can be a clone of small prevalence)"
            )
        found = [clone for clone in self.clones if not clone.parent]
        for each in found:
            found += [clone for clone in self.clones if clone.parent == each.name]
        if len(found) < len(self.clones):
            circle = sorted({clone.name for clone in self.clones} - {clone.name for clone in found})
            raise TableError(
                f"{where}: {', '.join(map(repr, circle))} descend from each other in a circle; one clone founds the"
                " tumor and has an empty parent"
            )
        return tuple(found)

    @property
    def founder(self) -> Clone:
        """The clone from which all others descend."""
        return self.clones[0]

    def children(self, name: str) -> tuple[Clone, ...]:
        """Return the clones that arose from one."""
        return tuple(clone for clone in self.clones if clone.parent == name)

    def values_of(self, name: str) -> dict[str, float]:
        """Return the constants of a clone, with those that it has from its ancestors."""
        clone = next(clone for clone in self.clones if clone.name == name)
        inherited = self.values_of(clone.parent) if clone.parent else {}
        return {key: value for key, value in inherited.items() if key not in _NOT_INHERITED} | dict(clone.values)

    def genotypes_of(self, name: str) -> tuple[str, ...]:
        """Return the genotypes of a clone, with those of its ancestors."""
        clone = next(clone for clone in self.clones if clone.name == name)
        inherited = self.genotypes_of(clone.parent) if clone.parent else ()
        return tuple(dict.fromkeys((*inherited, *clone.genotypes)))


def read_phylogeny(path: str | Path) -> Phylogeny:
    """Read a phylogeny from a file separated by tabs, or by the commas or semicolons of its header.

    Columns: `clone` and `parent` (empty for the founder); optionally `prevalence` (share of the tumor cells at
    diagnosis that are of this clone alone) or `cancer_cell_fraction` (the clone and its descendants, as sequencing
    gives it), `lesions` (`own` or `pooled`), `genotypes` (ids of `genotypes.tsv` that the clone has beside those of
    its parent, separated by `|` or `;`; they multiply its constants), and any constant of the module `clone`, such as
    `f_mutation`, `f_potential`, `f_plasticity`, `f_fitness`, `f_sensitive_kill`, `f_sensitive_block`. An empty cell
    is the value of the parent. Lines that start with `#` are skipped.

    Raises
    ------
    TableError
        If the file cannot be read, has unknown columns, or is no tree; the message says which line.
    UnknownNameError
        If a genotype is unknown; the message tells the closest.
    """
    path = path_of(path, "a table of clones")
    lines = [line for line in read_text(path, TableError).splitlines() if line.strip() and not line.startswith("#")]
    mark = "\t" if not lines or "\t" in lines[0] else max(";,", key=lines[0].count)
    try:
        rows = list(csv.reader(lines, delimiter=mark, quoting=csv.QUOTE_NONE))
    except csv.Error as error:
        raise TableError(f"cannot read the phylogeny {path}: {error}") from None
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    while header and not header[-1] and not any(any(cells[len(header) - 1 :]) for cells in rows[1:]):
        header.pop()  # a spreadsheet keeps columns that were emptied
    if len(set(header)) < len(header):
        raise TableError(f"{path}: a column is there twice: {', '.join(header)}")
    for cells in rows[1:]:
        if any(cells[len(header) :]):
            raise TableError(
                f"{path}: {cells[0]!r} has {len(cells)} cells for {len(header)} columns; separate by single tabs"
            )
    return _phylogeny([dict(zip(header, map(str.strip, cells), strict=False)) for cells in rows[1:]], header, str(path))


def phylogeny_of(given: Phylogeny | Mapping[str, Any] | pd.DataFrame | str | Path) -> Phylogeny:
    """Return a phylogeny from whatever holds one.

    Parameters
    ----------
    given : Phylogeny, mapping, pandas.DataFrame, or path
        A mapping has the parent by clone (None for the founder), or the columns of `read_phylogeny` by clone; a
        table has them as columns.
    """
    if isinstance(given, Phylogeny):
        return given
    if isinstance(given, str | Path):
        return read_phylogeny(given)
    if isinstance(given, Mapping):
        rows = [
            {"clone": name, **(entry if isinstance(entry, Mapping) else {"parent": entry})}
            for name, entry in given.items()
        ]
    elif hasattr(given, "to_dict"):
        rows = list(given.reset_index().to_dict("records") if "clone" not in given else given.to_dict("records"))
    else:
        raise TableError(
            f"a phylogeny was given as {str(given)[:80]!r}; give a mapping of clone to parent, a table or a path"
        )
    columns = list(dict.fromkeys(str(key) for row in rows for key in row))
    return _phylogeny([{str(key): value for key, value in row.items()} for row in rows], columns, "phylogeny")


def _phylogeny(rows: list[dict[str, Any]], columns: list[str], where: str) -> Phylogeny:
    if "clone" not in columns or "parent" not in columns:
        raise TableError(f"{where}: it needs the columns clone and parent; found {', '.join(columns) or 'nothing'}")
    constants = clone_constants()
    for column in columns:
        if column in _COMMON:
            raise TableError(f"{where}: {column!r} is the same for all clones: {_COMMON[column]}")
        if column not in WORDS and column not in constants:
            hint = str(unknown_name("column", column, (*WORDS, *constants), where)).rstrip("?")
            raise TableError(
                f"{hint}. A clone differs by constants of the module clone and by genotypes; signaling (drivers, emt,"
                " notch, ...) is the state of a tissue that all clones share"
            )
    if "prevalence" in columns and "cancer_cell_fraction" in columns:
        raise TableError(f"{where}: give prevalence or cancer_cell_fraction, not both")
    clones = [_clone(row, constants, where) for row in rows]
    if "cancer_cell_fraction" in columns:
        clones = list(_without_descendants(Phylogeny(clones=tuple(clones), where=where), rows, where))
    return Phylogeny(clones=tuple(clones), where=where)


@lru_cache(maxsize=1)
def clone_constants() -> tuple[str, ...]:
    """Return the constants of the module `clone` in which clones may differ."""
    module = load_module("clone")
    ports = {port.id for port in module.ports}
    return tuple(row.id for row in module.parameters if row.id not in ports and row.id not in _COMMON)


def _clone(row: Mapping[str, Any], constants: tuple[str, ...], where: str) -> Clone:
    name = _text(row.get("clone"))
    lesions = _lesions(_text(row.get("lesions")), name, where)
    values = {key: _number(row[key], key, name, where) for key in constants if not _is_unknown(row.get(key))}
    share = row.get("prevalence")
    prevalence = None if _is_unknown(share) else _number(share, "prevalence", name, where)
    if prevalence is not None and "f_mutation" in values:
        raise TableError(f"{where}: clone {name!r} has a prevalence and an f_mutation; give one, the other follows")
    if not _text(row.get("parent")) and values.get("f_mutation"):
        raise TableError(
            f"{where}: clone {name!r} founds the tumor, so it arises by no mutation; leave f_mutation empty"
        )
    return Clone(
        name=name,
        parent=_text(row.get("parent")),
        prevalence=prevalence,
        lesions=lesions,
        values=values,
        genotypes=_genotypes(row.get("genotypes"), name, where),
    )


def _genotypes(cell: object, name: str, where: str) -> tuple[str, ...]:
    """Return the ids in a cell, or in a list of them."""
    if _is_unknown(cell):
        return ()
    parts = re.split("[|;]", cell) if isinstance(cell, str) else cell if isinstance(cell, Iterable) else [cell]
    ids = tuple(dict.fromkeys(filter(None, (re.sub(r"[\s-]+", "_", str(part).strip().lower()) for part in parts))))
    for each in ids:
        if each not in shipped_genotypes():
            raise unknown_name("genotype", each, shipped_genotypes(), f"{where}, clone {name!r}")
    return ids


def _lesions(text: str, name: str, where: str) -> Lesions:
    known: dict[str, Lesions] = {"own": "own", "pooled": "pooled", "": ""}
    if text not in known:
        raise TableError(f"{where}: lesions of clone {name!r} is {text!r}; write own, pooled or nothing")
    return known[text]


def _number(cell: object, key: str, name: str, where: str) -> float:
    try:
        value = to_number(cell.strip()) if isinstance(cell, str) else float(cell) if is_number(cell) else math.nan
    except TableError:
        value = math.nan
    most = MOST_MUTATIONS if key == "f_mutation" else 1.0 if key in (*_NOT_ABOVE_ONE, "prevalence") else math.inf
    if key == "cancer_cell_fraction":
        most = 1.0
    if not (math.isfinite(value) and 0 <= value <= most) or (key in ("f_fitness", "f_plasticity") and value == 0):
        limit = "a finite number of at least 0" if math.isinf(most) else f"a number from 0 to {most:g}"
        raise TableError(f"{where}: {key} of clone {name!r} is {str(cell)[:40]!r}; give {limit}")
    return value


def _without_descendants(tree: Phylogeny, rows: list[dict[str, Any]], where: str) -> Iterator[Clone]:
    """Take from the cells of a clone those of its descendants (which must fit into it)."""
    cell = {_text(row["clone"]): row.get("cancer_cell_fraction") for row in rows}
    share = {
        clone.name: 1.0 if not clone.parent and _is_empty(cell[clone.name]) else
        _number(cell[clone.name], "cancer_cell_fraction", clone.name, where)
        for clone in tree.clones
    }  # fmt: skip
    for clone in tree.clones:
        below = sum(share[child.name] for child in tree.children(clone.name))
        if below > share[clone.name] + 1e-9:
            raise TableError(
                f"{where}: {below:.4g} of the tumor cells are of the children of clone {clone.name!r}, but only"
                f" {share[clone.name]:.4g} of itself and its descendants; the tree or a fraction is wrong"
            )
        if "f_mutation" in clone.values:
            raise TableError(f"{where}: clone {clone.name!r} has a cancer_cell_fraction and an f_mutation; give one")
        yield replace(clone, prevalence=share[clone.name] - below)


def _is_unknown(cell: object) -> bool:
    return _is_empty(cell) or (isinstance(cell, str) and is_missing(cell.strip()))


def _text(cell: object) -> str:
    return "" if _is_empty(cell) else str(cell).strip()


def _is_empty(cell: object) -> bool:
    return (
        cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and math.isnan(cell))
    )
