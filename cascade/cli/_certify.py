"""The command that proves a file in several simulators: certify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import cascade
from cascade.cli._options import Index, Json, Structure, check_folder, model_of, pairs_of
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.certify import Certificate
    from cascade.specs import Model

commands = typer.Typer()

_SUFFIXES = (".xml", ".sbml")


@commands.command(
    epilog="Examples: `cascade certify wnt --out certificate`, `cascade certify model.xml --end 1000`, "
    "`cascade certify emt --file exported.xml` (is this file still that model?), "
    "`cascade certify pdl1_immune --inhibit k_kill=0.5 --start 30 --stop 100`, `cascade certify wnt --json`"
)
def certify(
    source: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="An SBML file (.xml, .sbml), or a module or composition.")
    ],
    file: Annotated[
        Path | None, typer.Option(help="A file that claims to be the model NAME; it is run instead.")
    ] = None,
    end: Annotated[float | None, typer.Option(help="Length of the run, in the time unit of the file.")] = None,
    points: Annotated[int, typer.Option(help="Rows, evenly spaced from 0 to the end.")] = 201,
    engines: Annotated[
        list[str] | None, typer.Option("--engine", help="roadrunner, copasi, scipy or amici; may be given again.")
    ] = None,
    amici: Annotated[Path | None, typer.Option(help="Python of an environment that has AMICI.")] = None,
    tolerance: Annotated[float, typer.Option(help="Largest relative deviation that counts as agreement.")] = 1e-4,
    time_limit: Annotated[float, typer.Option(help="Seconds that each simulator may take.")] = 1800.0,
    inhibited: Annotated[
        list[str] | None, typer.Option("--inhibit", metavar="ID=SHARE", help="Treat the model first: lower a target.")
    ] = None,
    start: Annotated[float, typer.Option(help="Day on which the treatment begins.")] = 0.0,
    stop: Annotated[float | None, typer.Option(help="Day on which it ends; never if left out.")] = None,
    origin: Annotated[
        str | None, typer.Option(help="Variable from which these days count, such as that of surgery.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for certificate.html, certificate.json and the file.")
    ] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Run one SBML file in several simulators and compare every symbol at every time; exit code 1 unless all agree."""
    from cascade.certify import certify as prove

    if out:
        check_folder(out)
    subject: Model | Path = Path(source)
    if Path(source).suffix not in _SUFFIXES:
        drugs = [cascade.inhibit(key, by, start, stop, origin) for key, by in pairs_of(inhibited, "--inhibit").items()]
        subject = cascade.treat(model_of(source, index, structure), *drugs)
    elif inhibited or index or structure or file:
        raise CascadeError("--inhibit, --index, --structure and --file are about a model; give its name, not a file")
    found = prove(
        subject,
        file=file,
        end=end,
        points=points,
        engines=engines or None,
        amici=amici,
        tolerance=tolerance,
        time_limit=time_limit,
        out=out,
    )
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, allow_nan=False))
    else:
        _print(found)
    if out:
        typer.echo(f"wrote {out / 'certificate.html'}", err=as_json)
    if not found.ok:
        raise typer.Exit(1)


def _print(found: Certificate) -> None:
    for sentence in found.sentences():
        typer.echo(sentence)
    for run in found.engines:
        typer.echo(f"  {run.label}: {run.status}, {run.seconds:.1f} s")
    for pair in found.pairs:
        typer.echo(f"  {pair.first} and {pair.second}: {pair.largest:.2g} ({pair.symbol} at {pair.time:.6g})")
    for issue in found.findings:
        typer.echo(f"  {issue}")
