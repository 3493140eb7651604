"""The command that writes models for other tools: export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import cascade
from cascade.cli._options import Index, Name, Structure, model_of

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade export breast --out breast.xml`, `cascade export breast --comp --out breast_comp.xml`, "
    "`cascade export breast --index organ=bone,lung --out two_organs.xml`"
)
def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="File to write: .xml")],
    comp: Annotated[bool, typer.Option("--comp", help="Hierarchical SBML (comp) instead of flat SBML.")] = False,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Write SBML that other tools read."""
    typer.echo(f"wrote {cascade.export(model_of(name, index, structure), out, comp=comp)}")
