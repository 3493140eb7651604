"""The command that compares models with published facts: validate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cascade
from cascade._style import unit_label
from cascade.cli._options import Index, Json, Structure, check_folder, model_of
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.validation import Qualification

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade validate`, `cascade validate wnt --out validation`, `cascade validate emt --json`, "
    "`cascade validate lesions --structure lesions.n_classes=16`, "
    "`cascade validate breast --index secondary= --fact doubling_time --fact autopsy_bone`"
)
def validate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Modules or compositions; all if left out.")
    ] = None,
    facts: Annotated[
        list[str] | None, typer.Option("--fact", metavar="ID", help="Only this fact; may be given again.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for validation.html and validation.json.")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Compare models with published facts: what is reproduced, and what is not. Misses are shown, with a reason."""
    from cascade.catalogue import evidence_names
    from cascade.validation_page import write_validation

    if (index or structure or facts) and len(names or ()) != 1:
        raise CascadeError(
            "--index, --structure and --fact are about one model; say which: cascade validate NAME --index ..."
        )
    if out:
        check_folder(out)
    found = [
        cascade.validate(
            name,
            # a model as it is shipped is left to `validate`, which first looks whether there are facts at all
            model=model_of(name, index, structure) if index or structure else None,
            facts=facts or None,
            progress=not as_json,
        )
        for name in names or evidence_names()
    ]
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in found], indent=2))
    else:
        for each in found:
            _print_qualification(each)
        total = sum(len(each.findings) for each in found)
        typer.echo(f"{sum(each.passed for each in found)} of {total} facts reproduced")
    if out:
        typer.echo(f"wrote {write_validation(out, *found)}", err=as_json)


def _print_qualification(found: Qualification) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cascade.validation_page import accepted, short

    name = f"{found.name} ({found.changed})" if found.changed else found.name
    title = f"{name}: {found.passed} of {len(found.findings)} facts; {found.sourced:.0%} of its constants sourced"
    table = Table("published fact", "source", "published", "model", "accepted", "", title=title, title_justify="left")
    for finding in found.findings:
        fact = finding.fact
        table.add_row(
            escape(f"{fact.quantity} [{fact.role}]"),
            ", ".join(fact.source),
            short(fact.value) or fact.spread or "direction",
            short(finding.value) or ("none" if finding.error else "never"),
            f"{accepted(finding)} {unit_label(fact.unit)}".strip(),
            "pass" if finding.passed else "[bold red]MISS[/]",
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    console.print(table)
    for finding in found.findings:
        if not finding.passed:
            why = finding.error or finding.fact.note
            console.print(f"[bold red]MISS[/] {escape(finding.fact.quantity)}: {escape(why)}\n")
