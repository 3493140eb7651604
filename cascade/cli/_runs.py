"""Commands that run one model and read it off: bifurcation, simulate, endpoints, extinction."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cascade
from cascade._files import write_dataset, write_table, written
from cascade.cli._options import (
    Index,
    Json,
    Name,
    Plot,
    Settings,
    Structure,
    check_suffix,
    model_of,
    pairs_of,
    say,
)
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.specs import Intervention

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade bifurcation emt a_drive_basal a_emt --from 0.1 --to 2 --plot emt.png`, "
    "`cascade bifurcation ./my_tissue left__a_drive_basal left__a_emt --from 0.1 --to 2 --index cell=left,right`"
)
def bifurcation(
    name: Name,
    parameter: Annotated[str, typer.Argument(help="The constant that is scanned up and down.")],
    output: Annotated[str, typer.Argument(help="The variable that shows the state.")],
    lower: Annotated[float, typer.Option("--from", help="Lower end of the scan.")],
    upper: Annotated[float, typer.Option("--to", help="Upper end of the scan.")],
    points: Annotated[int, typer.Option(help="Values of the parameter.")] = 41,
    hold: Annotated[float, typer.Option(help="First holding time in days; about the slowest time constant.")] = 50.0,
    settings: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Write the result: .nc")] = None,
    plot: Plot = None,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Find the tipping points of a switch: where a state is lost when a parameter rises, and when it falls again."""
    check_suffix(out, (".nc",))
    check_suffix(plot, (".png", ".svg", ".pdf"))
    found = cascade.bifurcation(
        model_of(name, index, structure),
        parameter,
        output,
        lower=lower,
        upper=upper,
        points=points,
        hold=hold,
        values=pairs_of(settings, "--set"),
        progress=True,
    )
    for number in range(found.sizes["fold"]):
        fold = found.isel(fold=number)
        typer.echo(
            f"{fold['fold_direction'].item()!s:<5} {parameter} = {float(fold['fold_value']):.6g}: {output} "
            f"{float(fold['fold_before']):.4g} -> {float(fold['fold_after']):.4g}"
        )
    if not found.sizes["fold"]:
        typer.echo("no fold point in this range")
    if out:
        write_dataset(out, found)
        typer.echo(f"wrote {out}")
    if plot:
        import matplotlib

        from cascade.plot import bifurcation as draw

        matplotlib.use("Agg")
        _save(draw(found), plot)
        typer.echo(f"wrote {plot}")


@commands.command(
    epilog="Examples: `cascade simulate breast --years 10 --plot run.png`, `cascade simulate tgf_beta --days 1 "
    "--set init_tgfb=0.05 --out run.csv`, `cascade simulate breast --inhibit tgf_beta__k_phosphorylate=0.8`, "
    "`cascade simulate breast --index organ=bone,lung,liver --structure lesions.n_classes=16`"
)
def simulate(
    name: Name,
    years: Annotated[float | None, typer.Option(help="Time to simulate, in years of 365.25 days.")] = None,
    days: Annotated[float | None, typer.Option(help="Time to simulate, in days.")] = None,
    points: Annotated[int, typer.Option(help="Rows of the output grid.")] = 201,
    settings: Settings = None,
    inhibited: Annotated[
        list[str] | None, typer.Option("--inhibit", metavar="ID=FRACTION", help="Block a target's effect.")
    ] = None,
    start: Annotated[float, typer.Option(help="Day on which the inhibition starts.")] = 0.0,
    stop: Annotated[float | None, typer.Option(help="Day on which the inhibition stops.")] = None,
    record: Annotated[list[str] | None, typer.Option(metavar="ID", help="Record only these; all if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result: .nc or .csv")] = None,
    plot: Plot = None,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Simulate a module or composition, treated or not."""
    check_suffix(out, (".nc", ".csv"))
    check_suffix(plot, (".png", ".svg", ".pdf"))
    if years is None and days is None:
        years = 10.0
    therapies: list[Intervention] = [
        cascade.inhibit(target, by=value, start=start, stop=stop)
        for target, value in pairs_of(inhibited, "--inhibit").items()
    ]
    model = model_of(name, index, structure)
    if therapies:
        model = cascade.treat(model, *therapies)
    result = cascade.simulate(
        model, years=years, days=days, points=points, values=pairs_of(settings, "--set"), record=record or None
    )
    status = str(result["status"].item())
    if status != "ok":
        raise CascadeError(f"the run failed: {status}")
    if out:
        _write_result(result, out)
        typer.echo(f"wrote {out}")
    if plot:
        # the result has flat ids; `record` has any names, of which a reaction has one only
        shown = list(dict.fromkeys(model.ids.get(each, each) for each in record or ()))
        _write_plot(result, plot, shown or None)
        typer.echo(f"wrote {plot}")
    if not out and not plot:
        last = result.isel(time=-1)
        for variable in last.data_vars:
            if "time" in result[variable].dims:
                typer.echo(f"{variable:<44} {float(last[variable]):<14.6g} {last[variable].attrs.get('units', '')}")


@commands.command(
    epilog="Examples: `cascade endpoints breast`, `cascade endpoints prostate --readout f_first_site`, "
    "`cascade endpoints breast --set f_metastatic_potential=5 --json`"
)
def endpoints(
    name: Name,
    years: Annotated[
        float | None,
        typer.Option(
            help="Time to simulate, from the first tumor cell on; by default that of the composition, else 35."
        ),
    ] = None,
    readouts: Annotated[
        list[str] | None, typer.Option("--readout", metavar="READOUT", help="Only these; an unknown name lists all.")
    ] = None,
    settings: Settings = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Show the clinical endpoints of one untreated patient: by organ, by year after surgery, and as single numbers."""
    from cascade.readouts import find_readout, known_readouts

    specs = [find_readout(each) for each in readouts] if readouts else list(known_readouts())
    model = model_of(name, index, structure)
    length = years or model.years or 35.0
    run = cascade.simulate(model, years=length, points=int(length * 24) + 1, values=pairs_of(settings, "--set"))
    if run["status"].item() != "ok":
        raise CascadeError(f"the run failed: {run['status'].item()}")
    found = {spec.name: cascade.readout(run, spec.name) for spec in specs}
    data = {key: {"unit": value.attrs["units"], "value": _numbers(value)} for key, value in found.items()}
    lines = [f"{key:<28} {_short(data[key]['value'])}  {value.attrs['units']}" for key, value in found.items()]
    say({"model": model.name, "years": length, "readouts": data}, as_json, "\n".join(lines))


@commands.command(
    epilog="Examples: `cascade extinction breast bone_clone_1 n_dormant=10000 --years 20`, "
    "`cascade extinction breast lung_lesions n_angiogenic_dormant=2 --runs 2000 --seed 1`"
)
def extinction(
    name: Name,
    organ: Annotated[str, typer.Argument(help="The instance that holds the cohort, such as bone_clone_1.")],
    cohort: Annotated[list[str], typer.Argument(metavar="STATE=NUMBER...", help="Cells or lesions of each state.")],
    years: Annotated[float, typer.Option(help="How long the cohort is followed.")] = 10.0,
    runs: Annotated[int, typer.Option(help="Cohorts that are sampled as well, event by event.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell the chance that a cohort of disseminated cells leaves no detectable lesion, and when the first one shows."""
    model = model_of(name, index, structure)
    law = cascade.extinction(
        model, pairs_of(cohort, "cohort"), organ=organ, years=years, points=201, runs=runs, seed=seed
    )
    none, first = float(law["p_no_lesion"][-1]), law["t_first"]
    data = {"p_no_lesion": none, "n_lesions": float(law["n_lesions"][-1]), "t_first": _numbers(first)}
    lines = [
        f"no lesion within {years:g} years: {none:.4g}",
        f"lesions expected: {data['n_lesions']:.4g}",
        f"day of the first lesion, by share of cohorts: {_short(data['t_first'])}",
    ]
    if runs:
        low, high = (float(law[f"p_no_lesion_{side}"][-1]) for side in ("lower", "upper"))
        data |= {"p_no_lesion_lower": low, "p_no_lesion_upper": high}
        lines.append(f"no lesion in {runs} sampled cohorts: 95 % interval {low:.4g} to {high:.4g}")
    say(data, as_json, "\n".join(lines))


def _numbers(value: Any) -> Any:
    """Return a readout as a number, or as numbers by organ, year or quantile; null where there is none."""
    if not value.dims:
        return float(value) if math.isfinite(float(value)) else None
    return {str(key): _numbers(value.sel({value.dims[0]: key})) for key in value[value.dims[0]].values}


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(part)}" for key, part in value.items())
    return "-" if value is None else f"{value:.4g}"


def _write_result(result: Any, path: Path) -> None:
    if path.suffix == ".nc":
        write_dataset(path, result)
        return
    timed = [name for name in result.data_vars if "time" in result[name].dims]
    write_table(path, result[timed].to_dataframe())


def _write_plot(result: Any, path: Path, record: list[str] | None) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from cascade.plot import trajectories

    _save(trajectories(result, record, axis=plt.subplots(figsize=(9, 5), layout="constrained")[1]), path)


def _save(axis: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    with written(path) as beside:
        axis.figure.savefig(beside, dpi=150)
    plt.close(axis.figure)
