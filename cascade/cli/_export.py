"""Commands that write models for other tools, and read what these computed: export, names, results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import cascade
from cascade.cli._options import Index, Json, Name, Structure, check_suffix, model_of, pairs_of, say
from cascade.errors import CascadeError

commands = typer.Typer()

Inhibit = Annotated[
    list[str] | None, typer.Option("--inhibit", metavar="ID=SHARE", help="Export a treated model: lower a target.")
]
Activate = Annotated[list[str] | None, typer.Option("--activate", metavar="ID=GAIN", help="Raise a target.")]


@commands.command(
    epilog="Examples: `cascade export breast --out breast.xml`, `cascade export breast --comp --out breast_comp.xml`, "
    "`cascade export wnt --version L2V4 --out wnt.xml`, `cascade export breast --out breast.ant`, "
    "`cascade export breast --compact --out breast.xml`, "
    "`cascade export breast --out breast.omex`, `cascade export breast --format petab --out breast_petab`, "
    "`cascade export breast --index organ=bone,lung --out two_organs.xml`, "
    "`cascade export primary_tumor --inhibit k_growth_rate=0.5 --start 30 --stop 100 --out treated.xml`"
)
def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="What to write: .xml, .sbml, .ant, .omex, .py, or a folder (PEtab)")],
    format: Annotated[
        str | None, typer.Option(help="sbml, comp, antimony, omex, petab or python; by default as the suffix says.")
    ] = None,
    comp: Annotated[bool, typer.Option("--comp", help="Hierarchical SBML (comp) instead of flat SBML.")] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="SBML that tellurium loads in seconds: states, constants, readouts.")
    ] = False,
    version: Annotated[str | None, typer.Option(help="L3V2, L3V1 or L2V4 of SBML; 1 or 2 of PEtab.")] = None,
    inhibit: Inhibit = None,
    activate: Activate = None,
    start: Annotated[float, typer.Option(help="Day on which the treatment begins.")] = 0.0,
    stop: Annotated[float | None, typer.Option(help="Day on which it ends; never if left out.")] = None,
    origin: Annotated[
        str | None, typer.Option(metavar="ID", help="Count days from this one, such as primary_tumor.t_surgery.")
    ] = None,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Write a model for other tools; the file is compared with the model before it takes its place."""
    drugs = [
        *(cascade.inhibit(key, by, start, stop, origin) for key, by in pairs_of(inhibit, "--inhibit").items()),
        *(cascade.activate(key, by, start, stop, origin) for key, by in pairs_of(activate, "--activate").items()),
    ]
    model = cascade.treat(model_of(name, index, structure), *drugs)
    kind: Any = format
    typer.echo(f"wrote {cascade.export(model, out, format=kind, comp=comp, version=version, compact=compact)}")


@commands.command(
    epilog="Examples: `cascade names emt`, `cascade names breast --out names.csv`, `cascade names breast --json`"
)
def names(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="Write the table: .csv")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell what each symbol of a model is called here, in SBML, COPASI, AMICI, PEtab and Antimony."""
    from cascade._files import write_table
    from cascade.names import id_map

    check_suffix(out, (".csv",))
    table = id_map(model_of(name, index, structure))
    if out is not None:
        typer.echo(f"wrote {write_table(out, table.assign(also=table['also'].map(' '.join)).set_index('name'))}")
        return
    shown = table[["name", "unit", "hierarchical", "antimony", "copasi", "amici"]]
    say(table.to_dict("records"), as_json, shown.to_string(index=False))


@commands.command(
    epilog="Examples: `cascade results run.csv breast --tool copasi --out run.nc`, "
    "`cascade results tellurium.csv wnt --tool tellurium`"
)
def results(
    file: Annotated[
        Path, typer.Argument(help="Time course of another tool: .csv, or .tsv (a PEtab simulation table).")
    ],
    name: Name,
    tool: Annotated[
        str | None, typer.Option(help="cascade, roadrunner, tellurium, copasi, amici or petab; seen if left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result: .nc")] = None,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Read what another tool computed from an exported model, with the names, units and quantities of cascade."""
    from cascade._files import write_dataset
    from cascade.results import read_results

    check_suffix(out, (".nc",))
    wanted: Any = tool
    found = read_results(file, model_of(name, index, structure), tool=wanted)
    bad = [str(status) for status in found["status"].values.ravel() if status != "ok"]
    if bad:
        raise CascadeError(f"{file}: {bad[0]}")
    if out is not None:
        typer.echo(f"wrote {write_dataset(out, found)}")
        return
    for key, values in found.drop_vars(["status", "rung"]).isel(time=-1).items():
        typer.echo(f"{key} = {values.values} {values.attrs['units']}")
