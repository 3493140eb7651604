"""Commands that look at models and build them: list, show, check, build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cascade
from cascade.cli._options import Index, Json, Name, Structure, index_sets, model_of, say, structure_options
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.specs import Model

commands = typer.Typer()


@commands.command("list", epilog="Example: `cascade list --json`")
def list_models(as_json: Json = False) -> None:
    """List the shipped modules, compositions and drugs."""
    from cascade.catalogue import module_title
    from cascade.therapy.tables import list_drugs

    modules = {name: module_title(name) for name in cascade.module_names()}
    compositions = {name: cascade.load_composition(name).title for name in cascade.composition_names()}
    drugs = {row["name"]: f"{row['title']}, {row['drug_class']}" for row in list_drugs()}
    width = max(map(len, [*modules, *compositions, *drugs]), default=0)
    lines = ["compositions"] + [f"  {name:<{width}}  {title}" for name, title in compositions.items()]
    lines += ["modules"] + [f"  {name:<{width}}  {title}" for name, title in modules.items()]
    lines += ["drugs"] + [f"  {name:<{width}}  {title}" for name, title in drugs.items()]
    say({"compositions": compositions, "modules": modules, "drugs": drugs}, as_json, "\n".join(lines))


@commands.command(
    epilog="Examples: `cascade show tgf_beta`, `cascade show breast --json`, `cascade show bevacizumab`, "
    "`cascade show breast --index organ=bone,lung --index secondary=`"
)
def show(name: Name, index: Index = None, structure: Structure = None, as_json: Json = False) -> None:
    """Show ports or wiring, sizes, and every number with its unit and source; of a drug its targets and regimens."""
    from dataclasses import asdict

    from cascade.catalogue import load
    from cascade.specs import Module
    from cascade.therapy.tables import is_drug

    if is_drug(name):
        from cascade.cli._treat import show_drug

        if index or structure:
            raise CascadeError(f"{name!r} is a drug, which has no index sets and no structure; leave the options out")
        show_drug(cascade.load_drug(name), as_json)
        return
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
    "`cascade check breast --index organ=bone,lung,liver --structure lesions.n_classes=16`, "
    "`cascade check breast --portable`, `cascade check model.xml --portable`"
)
def check(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Shipped name or path; with --portable also an SBML file; all without."),
    ] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="Instead name what other tools refuse, ignore or compute wrongly.")
    ] = False,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Lint a module or composition: every finding at once, and a graded summary. Exit code 1 on errors."""
    from dataclasses import asdict

    if (index or structure) and name is None:
        raise CascadeError("--index and --structure change one model; say which: cascade check NAME --index ...")
    if portable:
        _check_portable(name, index, structure, as_json)
        return
    names = [name] if name is not None else [*cascade.module_names(), *cascade.composition_names()]
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


def _check_portable(name: str | None, index: list[str] | None, structure: list[str] | None, as_json: bool) -> None:
    """Judge models, or an SBML file of a stranger, by the portable profile."""
    from dataclasses import asdict

    from cascade.portable import check_portable

    names = [name] if name is not None else [*cascade.module_names(), *cascade.composition_names()]
    found = {each: check_portable(_portable_text(each, index, structure)) for each in names}
    if as_json:
        rows = [{"name": each, "issues": [asdict(issue) for issue in issues]} for each, issues in found.items()]
        typer.echo(json.dumps(rows if name is None else rows[0], indent=2))
    else:
        for each, issues in found.items():
            for issue in issues:
                typer.echo(str(issue))
            typer.echo(f"{each}: {f'{len(issues)} findings' if issues else 'portable'}")
    if any(issue.severity == "error" for issues in found.values() for issue in issues):
        raise typer.Exit(1)


def _portable_text(name: str, index: list[str] | None, structure: list[str] | None) -> Model | str:
    path = Path(name)
    if path.suffix in (".xml", ".sbml") and not path.is_dir():
        from cascade.opening import open_sbml

        opened = open_sbml(path)
        return opened.hierarchical or opened.flat
    return model_of(name, index, structure)


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
