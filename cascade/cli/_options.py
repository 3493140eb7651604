"""What the commands share: their common options, how these are read, and what is checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cascade
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.specs import Model
    from cascade.therapy.regimens import Regimen

Name = Annotated[str, typer.Argument(metavar="NAME", help="Shipped name, or path of a module or composition folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Index = Annotated[
    list[str] | None,
    typer.Option(
        "--index", metavar="SET=MEMBERS", help="Replace an index set of a composition: organ=bone,lung; none: organ="
    ),
]
Structure = Annotated[
    list[str] | None,
    typer.Option("--structure", metavar="MODULE.OPTION=N", help="Size of a structure: lesions.n_classes=16"),
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="ID=VALUE", help="Set a parameter.")]
Plot = Annotated[Path | None, typer.Option(help="Write a figure: .png, .svg or .pdf")]


def model_of(name: str, index: list[str] | None = None, structure: list[str] | None = None) -> Model:
    """Load and compose what a name means, with the index sets and structures that were asked for."""
    from cascade.catalogue import load

    return cascade.compose(load(name, index_sets(index), structure_options(structure)))


def index_sets(items: list[str] | None) -> dict[str, list[str]]:
    """Read `--index SET=MEMBERS`; no members empty the set."""
    found: dict[str, list[str]] = {}
    for item in items or []:
        name, equal, members = (part.strip() for part in item.partition("="))
        if not (name and equal):
            raise CascadeError(f"--index {item!r}: write it as SET=MEMBERS, for example --index organ=bone,lung,liver")
        if name in found:
            raise CascadeError(f"--index gives {name!r} twice; give it once, with commas between its members")
        found[name] = [member.strip() for member in members.split(",")] if members else []
    return found


def structure_options(items: list[str] | None) -> dict[str, dict[str, int]]:
    """Read `--structure MODULE.OPTION=N`."""
    found: dict[str, dict[str, int]] = {}
    for item in items or []:
        key, _, value = (part.strip() for part in item.partition("="))
        module, _, option = key.rpartition(".")
        if not (module and option and value.isdecimal()):
            raise CascadeError(
                f"--structure {item!r}: write it as MODULE.OPTION=INTEGER, for example --structure lesions.n_classes=16"
            )
        if option in found.setdefault(module, {}):
            raise CascadeError(f"--structure gives {key!r} twice; give it once")
        found[module][option] = int(value)
    return found


def pairs_of(items: list[str] | None, option: str) -> dict[str, float]:
    """Read what is written as ID=NUMBER; `option` is named in the error."""
    pairs: dict[str, float] = {}
    for item in items or []:
        key, _, value = (part.strip() for part in item.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise CascadeError(f"{option} {item!r}: write it as ID=NUMBER, for example {option} k_clear=0.5") from None
        if key in pairs:
            raise CascadeError(f"{option} gives {key!r} twice; give it once")
        pairs[key] = number
    return pairs


def plan_of(text: str) -> Regimen:
    """Read a drug with its first regimen, or NAME:REGIMEN; the path of a folder may hold a colon."""
    name, colon, chosen = text.rpartition(":")
    if not colon or Path(text).is_dir():
        name, chosen = text, ""
    plan: Regimen = cascade.regimen(name, chosen or None)
    return plan


def check_suffix(path: Path | None, suffixes: tuple[str, ...]) -> None:
    """Refuse a file that cannot be written, before the run and not after it."""
    if path is None:
        return
    if path.suffix not in suffixes:
        raise CascadeError(f"cannot write {path.name!r}: the suffix must be one of {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise CascadeError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before the run and not after it."""
    if folder.exists() and not folder.is_dir():
        raise CascadeError(f"cannot write into {folder}: it is a file; give a folder with --out")
    if not folder.parent.is_dir():
        raise CascadeError(f"cannot make {folder}: the folder {folder.parent} does not exist; make it first")


@contextmanager
def cluster(address: str | None) -> Iterator[Executor | None]:
    """Connect to a Dask cluster for the time of a command, or to nothing."""
    if address is None:
        yield None
        return
    from cascade.cluster import connect

    with connect(address) as executor:
        yield executor


def say(data: Any, as_json: bool, text: str) -> None:
    """Print data as JSON for programs, or the text for people."""
    typer.echo(json.dumps(data, indent=2) if as_json else text)
