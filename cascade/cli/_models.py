"""Commands that look at models and build them: list, show, check, build."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

import cascade
from cascade.cli._options import Index, Json, Name, Structure, index_sets, say, structure_options
from cascade.errors import CascadeError

commands = typer.Typer()


@commands.command("list", epilog="Example: `cascade list --json`")
def list_models(as_json: Json = False) -> None:
    """List the shipped modules and compositions."""
    from cascade.catalogue import module_title

    modules = {name: module_title(name) for name in cascade.module_names()}
    compositions = {name: cascade.load_composition(name).title for name in cascade.composition_names()}
    width = max(map(len, [*modules, *compositions]), default=0)
    lines = ["compositions"] + [f"  {name:<{width}}  {title}" for name, title in compositions.items()]
    lines += ["modules"] + [f"  {name:<{width}}  {title}" for name, title in modules.items()]
    say({"compositions": compositions, "modules": modules}, as_json, "\n".join(lines))


@commands.command(
    epilog="Examples: `cascade show tgf_beta`, `cascade show breast --json`, "
    "`cascade show breast --index organ=bone,lung --index secondary=`"
)
def show(name: Name, index: Index = None, structure: Structure = None, as_json: Json = False) -> None:
    """Show ports or wiring, sizes, and every number with its unit and source."""
    from dataclasses import asdict

    from cascade.catalogue import load
    from cascade.specs import Module

    source = load(name, index_sets(index), structure_options(structure))
    model = cascade.compose(source)
    numbers = [asdict(row) for row in model.parameters]
    lines = [f"{model.name}: {len(numbers)} numbers, {sum(row.estimate for row in model.parameters)} uncertain"]
    data: dict[str, Any] = {"name": model.name, "hash": model.hash, "parameters": numbers}
    if isinstance(source, Module):
        data["ports"] = [asdict(port) for port in source.ports]
        lines += [f"  {p.direction:<3} {p.id:<28} {p.unit:<20} {p.name}" for p in source.ports]
    else:
        data |= {"instances": dict(model.instances), "wiring": [asdict(wire) for wire in model.wiring]}
        lines += [f"  {instance}: {module}" for instance, module in model.instances.items()]
        lines += [f"  {wire.reader} <- {wire.formula}  [{wire.unit}]" for wire in model.wiring]
    lines += [
        f"  {r.id:<40} {r.nominal:<12.6g} {r.unit:<24} {r.evidence:<9} {', '.join(r.source)}" for r in model.parameters
    ]
    say(data, as_json, "\n".join(lines))


@commands.command(
    epilog="Examples: `cascade check`, `cascade check breast`, `cascade check ./my_module --json`, "
    "`cascade check breast --index organ=bone,lung,liver --structure lesions.n_classes=16`"
)
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Shipped name or path; everything if left out.")
    ] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Lint a module or composition: every finding at once, and a graded summary. Exit code 1 on errors."""
    from dataclasses import asdict

    if (index or structure) and name is None:
        raise CascadeError("--index and --structure change one model; say which: cascade check NAME --index ...")
    names = [name] if name else [*cascade.module_names(), *cascade.composition_names()]
    reports = [cascade.check(each, index_sets(index), structure_options(structure)) for each in names]
    if as_json:
        rows = [asdict(report) | {"ok": report.ok} for report in reports]
        typer.echo(json.dumps(rows if name is None else rows[0], indent=2))
    else:
        for report in reports:
            for issue in report.issues:
                typer.echo(str(issue))
            verdict = "passed" if report.ok else "FAILED"
            sizes = ", ".join(f"{count} {kind}" for kind, count in report.counts.items() if count)
            typer.echo(f"{report.name}: {verdict}, {len(report.issues)} findings; {sizes}")
            typer.echo("  " + "; ".join(f"{share:.0%} {grade}" for grade, share in report.grades.items()))
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@commands.command(epilog="Examples: `cascade build`, `cascade build tgf_beta`, `cascade build ./my_module`")
def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Modules; all if left out.")] = None,
) -> None:
    """Regenerate the SBML of modules from structure (.ant) and table (parameters.tsv). Exit code 1 on errors."""
    from cascade.build import check_build, write_module
    from cascade.catalogue import module_folder

    failed = False
    for name in names or cascade.module_names():
        folder = module_folder(name)
        issues = check_build(folder)
        for issue in issues:
            typer.echo(str(issue))
        if any(issue.severity == "error" for issue in issues):
            failed = True
        else:
            typer.echo(f"wrote {write_module(folder).name} ({len(issues)} warnings)")
    if failed:
        raise typer.Exit(1)
