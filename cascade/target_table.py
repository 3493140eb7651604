"""Reads the table of drug targets: which drug class acts on which constants of which modules, and which way."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from cascade._tables import named, read_lines
from cascade.errors import TableError, unknown_name
from cascade.library import module_names

if TYPE_CHECKING:
    from cascade.specs import Model

COLUMNS = ("target", "name", "drug_class", "genes", "acts_on", "stage", "example_drugs", "potency", "source", "note")
"""The columns of `targets.tsv`, tab separated, in this order."""

STAGES = (
    "signaling",
    "vessels",
    "immunity",
    "invasion",
    "intravasation",
    "circulation",
    "niche",
    "dormancy",
    "colonization",
)
"""Where in the cascade a target acts, from the primary tumor to the overt metastasis."""

Signs = tuple[tuple[str, Literal["-", "+"]], ...]
"""Flat ids of constants and what happens to them."""

_ID = re.compile(r"^[a-z](?:_?[a-z0-9]+)*$")
_ACT = re.compile(r"^(?:([a-z](?:_?[a-z0-9]+)*)\.)?([a-z][a-z0-9_]*):([+-])$")


@dataclass(frozen=True, kw_only=True)
class Act:
    """One constant that a drug changes: `-` blocks it, `+` boosts it.

    `owner` is a module (every instance of it), an instance (only that one), a composition or one that it extends (a
    constant of its own), or empty (`parameter` is a flat id).
    """

    owner: str
    parameter: str
    sign: Literal["-", "+"]

    def __str__(self) -> str:
        return f"{self.owner}.{self.parameter}:{self.sign}" if self.owner else f"{self.parameter}:{self.sign}"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A drug target of the model; the fields are the columns of `targets.tsv`."""

    target: str
    name: str
    drug_class: str = ""
    genes: tuple[str, ...] = ()
    acts_on: tuple[Act, ...]
    stage: str = ""
    example_drugs: str = ""
    potency: str = ""
    source: tuple[str, ...] = ()
    note: str = ""


def parse_acts(text: str) -> tuple[Act, ...]:
    """Read `module.parameter:-;module.parameter:+`.

    Raises
    ------
    TableError
        If there is nothing, or an entry has another form.
    """
    acts = []
    for part in (part.strip() for part in text.split(";") if part.strip()):
        match = _ACT.match(part)
        if match is None:
            raise TableError(f"acts_on entry {part!r} is not module.parameter:- or module.parameter:+")
        sign = cast('Literal["-", "+"]', match[3])
        acts.append(Act(owner=match[1] or "", parameter=match[2], sign=sign))
    if not acts:
        raise TableError("acts_on is empty; write module.parameter:- (block) or module.parameter:+ (boost)")
    return tuple(acts)


def read_targets(path: Path | None = None) -> tuple[Target, ...]:
    """Read a table of targets.

    Parameters
    ----------
    path : Path, optional
        A tab-separated file with the columns of `COLUMNS`; by default the shipped `sbml_models/targets.tsv`.

    Returns
    -------
    tuple of Target

    Raises
    ------
    TableError
        With every finding at once: line, what was found, what to write.
    """
    if path is None:
        from cascade.catalogue import library_folder

        path = library_folder() / "targets.tsv"
    targets: list[Target] = []
    problems: list[str] = []
    for number, cells in read_lines(path, COLUMNS, "target"):
        try:
            target = _parse(cells)
            if target.target in {known.target for known in targets}:
                raise TableError(f"target {target.target!r} stands twice")
            targets.append(target)
        except TableError as error:
            problems.append(f"{path.name}, line {number}: {error}")
    if problems:
        raise TableError("\n".join(problems))
    return tuple(targets)


def _parse(cells: list[str]) -> Target:
    row = named(cells, COLUMNS)
    if not _ID.match(row["target"]):
        raise TableError(f"target id {row['target']!r} is not lower snake case")
    if not row["name"]:
        raise TableError(f"target {row['target']!r} has no name")
    if row["stage"] not in STAGES:
        raise TableError(f"target {row['target']!r}: stage is {row['stage']!r}; write one of " + ", ".join(STAGES))
    return Target(
        target=row["target"],
        name=row["name"],
        drug_class=row["drug_class"],
        genes=_list(row["genes"]),
        acts_on=parse_acts(row["acts_on"]),
        stage=row["stage"],
        example_drugs=row["example_drugs"],
        potency=row["potency"],
        source=_list(row["source"]),
        note=row["note"],
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def resolve_acts(target: Target, model: Model) -> Signs:
    """Find the constants of a model on which a target acts.

    Parameters
    ----------
    target : Target
    model : Model

    Returns
    -------
    tuple of (flat id, sign)
        Empty if the model has none of the modules on which the target acts.

    Raises
    ------
    UnknownNameError
        If a module is in the model but the parameter is not one of its constants.
    """
    found: dict[str, Literal["-", "+"]] = {}
    for act in target.acts_on:
        for flat in _ids(act, target, model):
            if found.get(flat, act.sign) != act.sign:
                raise TableError(f"target {target.target!r} both blocks and boosts {flat!r}; keep one sign")
            found[flat] = act.sign
    return tuple(found.items())


def _ids(act: Act, target: Target, model: Model) -> list[str]:
    if not act.owner or (act.owner in (model.name, *model.bases) and act.parameter in model.table):
        return [model.parameter(act.parameter).id]
    owners = [instance for instance, module in model.instances.items() if module == act.owner]
    if not owners and act.owner in model.instances:
        owners = [act.owner]
    flat = []
    for owner in owners:
        name = f"{owner}.{act.parameter}"
        if model.ids.get(name) not in model.table:
            if model.instances[owner] != act.owner and act.owner in module_names():
                continue  # a module of the user's own in the place of the shipped one: it has no such process
            local = [known for known in model.ids if known.startswith(f"{owner}.") and model.ids[known] in model.table]
            raise unknown_name("constant", name, local, f"model {model.name!r} (target {target.target!r})")
        flat.append(model.ids[name])
    if act.owner not in model.instances.values() and flat and _is_shared(act.owner, act.parameter, model):
        raise TableError(
            f"target {target.target!r}: {flat[0]!r} is shared by several instances, so {act.owner!r} cannot be treated "
            f"alone; name the module {model.instances[act.owner]!r}, or give the instance a value of its own"
        )
    return flat


def _is_shared(instance: str, parameter: str, model: Model) -> bool:
    flat = model.ids[f"{instance}.{parameter}"]
    return any(model.ids.get(f"{other}.{parameter}") == flat for other in model.instances if other != instance)
