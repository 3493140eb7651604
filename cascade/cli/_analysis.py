"""Commands that ask why: sensitivity, why, combine, gene."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import cascade
from cascade._files import write_dataset, written
from cascade.cli._options import Index, Json, Name, Plot, Structure, check_suffix, cluster, model_of, say
from cascade.cli._stopping import keep_runs
from cascade.errors import CascadeError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

commands = typer.Typer()

_FIGURES = (".png", ".svg", ".pdf")
Target = Annotated[list[str], typer.Option("--target", metavar="ID", help="A target of the table (repeat the option).")]
Window = Annotated[str | None, typer.Option(help="adjuvant, neoadjuvant, prevention, metastatic or lifelong.")]
Readout = Annotated[str, typer.Option(help="The readout; an unknown name lists all.")]
Years = Annotated[
    float | None,
    typer.Option(help="Simulated time from the first tumor cell; by default that of the composition, else 25."),
]
Workers = Annotated[int | None, typer.Option(help="Worker processes; chosen by the size of the job if left out.")]
Out = Annotated[Path | None, typer.Option(help="Write the result: .nc")]


def _quiet() -> None:
    """Draw without a window."""
    import matplotlib

    matplotlib.use("Agg")


def _save(axis: Axes, path: Path) -> None:
    with written(path) as beside:
        axis.figure.savefig(beside, dpi=150, bbox_inches="tight")  # type: ignore[union-attr]
    typer.echo(f"wrote {path}", err=True)


def _keep(found: xr.Dataset, out: Path | None) -> None:
    if out is not None:
        write_dataset(out, found)
        typer.echo(f"wrote {out}", err=True)


@commands.command(
    epilog="Examples: `cascade sensitivity breast_lite --method morris --by pathways`, "
    "`cascade sensitivity breast_lite --method chaos --transform log --readout h_since_surgery_5y`, "
    "`cascade sensitivity breast --method sobol --by modules --plot st.png`, "
    "`cascade sensitivity emt --readout final:a_emt --method morris --years 1`, "
    "`cascade sensitivity breast_lite --settle 5 --budget 5000`, "
    "`cascade sensitivity breast_lite --readout h_since_surgery_5y --settle 5 --method chaos --transform log`"
)
def sensitivity(
    context: typer.Context,
    name: Name,
    readout: Annotated[
        list[str] | None, typer.Option("--readout", help="A readout (repeat the option); by default p_overt_5y.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="local, morris, sobol, dgsm, chaos (default), delta, pawn, rbd_fast or regional; with --settle sobol "
            "(default), morris or chaos."
        ),
    ] = None,
    by: Annotated[str | None, typer.Option(help="Judge groups: pathways or modules.")] = None,
    samples: Annotated[int | None, typer.Option(help="Size of the design; each method has its usual one.")] = None,
    transform: Annotated[
        str | None, typer.Option(help="log or logit of the readout, with --method chaos; often needed.")
    ] = None,
    settle: Annotated[
        int | None, typer.Option(metavar="K", help="Extend the design until the K largest are settled.")
    ] = None,
    budget: Annotated[int, typer.Option(help="Runs at most, with --settle.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    years: Years = None,
    top: Annotated[int, typer.Option(help="Rows that are printed.")] = 20,
    workers: Workers = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Make the runs on a Dask cluster.")] = None,
    store: Annotated[Path | None, typer.Option(help="Keep the runs in this folder.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the runs of --store.")] = False,
    out: Out = None,
    plot: Plot = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell on which uncertain parameters, modules or pathways a readout depends, with intervals and floor of noise."""
    check_suffix(out, (".nc",))
    check_suffix(plot, _FIGURES)
    model = model_of(name, index, structure)
    names = readout or ["p_overt_5y"]
    solver = cascade.Solver(relative_tolerance=1e-5)
    with cluster(scheduler) as executor:
        common: dict[str, Any] = {"seed": seed, "years": years, "solver": solver, "workers": workers}
        common |= {"executor": executor, "progress": not as_json}
        if settle is not None:
            if len(names) > 1:
                raise CascadeError("--settle extends a design for one readout; give --readout once")
            search: dict[str, Any] = {"method": method or "sobol", "groups": by or "modules", "transform": transform}
            how = cascade.settle_top(model, names[0], budget=budget, top=settle, **search, **common)
            found, verdict = how.indices, str(how.indices.attrs["settled_verdict"])
            found.attrs["ranking_index"] = found.attrs["index"]
        else:
            keep_runs(context, store)
            options: dict[str, Any] = {"samples": samples, "groups": by, "store": store, "resume": resume}
            options |= {} if transform is None else {"transform": transform}
            found = cascade.analyze(model, names, method or "chaos", **options, **common)
            verdict = f"{found.attrs['verdict']}. {found.attrs['failure_region']}"
    _keep(found.drop_vars(["output", "reason"], errors="ignore"), out)
    _print_indices(found, verdict, top, as_json)
    if plot is not None:
        _quiet()
        from cascade.plot_sensitivity import indices

        _save(indices(found, top=top), plot)


def _print_indices(found: xr.Dataset, verdict: str, top: int, as_json: bool) -> None:
    """Print the largest indices of every readout."""
    name = str(found.attrs["ranking_index"])
    tables = {
        str(readout): _largest(found[[name, f"{name}_lower", f"{name}_upper"]].sel(readout=readout), name)
        for readout in (found["readout"].values if "readout" in found.dims else [])
    } or {"": _largest(found[[name, f"{name}_lower", f"{name}_upper"]], name)}
    lines = []
    for readout, rows in tables.items():
        lines.append(f"{name} of {readout or 'the readout'}, with 95 % limits")
        lines += [
            f"  {row['name']:<44}{row['index']:>9.4f}  {row['lower']:.4f} to {row['upper']:.4f}" for row in rows[:top]
        ]
    say({"verdict": verdict, "indices": tables}, as_json, "\n".join([*lines, verdict]))


def _largest(table: xr.Dataset, name: str) -> list[dict[str, Any]]:
    import numpy as np

    if table[name].ndim > 1:
        raise CascadeError(f"{name} is over {', '.join(map(str, table[name].dims))}; write it with --out and select")
    order = np.argsort(-np.abs(np.nan_to_num(table[name].values)), kind="stable")
    return [
        {
            "name": str(table["name"].values[row]),
            "index": float(table[name][row]),
            "lower": float(table[f"{name}_lower"][row]),
            "upper": float(table[f"{name}_upper"][row]),
        }
        for row in order
    ]


@commands.command(
    epilog="Examples: `cascade why breast --target tgfbr1 --target kdr`, "
    "`cascade why breast_lite --target cxcr4 --window lifelong --plot why.png`"
)
def why(
    name: Name,
    target: Target,
    readout: Readout = "h_since_surgery_5y",
    fraction: Annotated[float, typer.Option(help="How much of a target's effect is blocked, 0 to 1.")] = 0.9,
    window: Annotated[str | None, typer.Option(help="adjuvant (from surgery on) or lifelong.")] = None,
    years: Years = None,
    out: Out = None,
    plot: Plot = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell why a target works: its effect on the hazard of metastasis split by the stages of the cascade."""
    check_suffix(out, (".nc",))
    check_suffix(plot, _FIGURES)
    model = model_of(name, index, structure)
    drugs = cascade.target_treatments(model, target, fraction=fraction, window=window)
    found = cascade.waterfall(model, drugs, readout, years=years)
    _keep(found, out)
    parts = {
        str(drug): {str(stage): float(value) for stage, value in zip(found["stage"].values, row.values, strict=True)}
        for drug, row in zip(found["treatment"].values, found["log_hazard_ratio"], strict=True)
    }
    say(parts, as_json, "\n".join(_stage_lines(found)))
    if plot is not None:
        _quiet()
        from cascade.plot_waterfall import waterfall

        _save(waterfall(found, treatment=target[0]), plot)


def _stage_lines(found: xr.Dataset) -> list[str]:
    lines = ["parts of the log hazard ratio, treated to untreated"]
    for drug in found["treatment"].values:
        row = found.sel(treatment=drug)
        reason = str(row["reason"].item())
        lines.append(
            f"{drug}: {float(row['log_hazard_ratio_total']):+.4f}" + ("" if reason == "ok" else f" ({reason})")
        )
        pairs = zip(found["stage_name"].values, row["log_hazard_ratio"].values, strict=True)
        lines += [f"  {stage:<38}{part:>+9.4f}" for stage, part in pairs]
    return lines


@commands.command(
    epilog="Examples: `cascade combine breast_lite --target kdr --target mek --target mdm2`, "
    "`cascade combine breast --target pd1 --target kdr --samples 20 --plot pairs.png`"
)
def combine(
    name: Name,
    target: Target,
    readout: Readout = "h_since_surgery_5y",
    order: Annotated[int, typer.Option(help="2 for pairs, 3 for triples too.")] = 2,
    samples: Annotated[int, typer.Option(help="Virtual patients; 0 for the nominal one only.")] = 32,
    window: Window = None,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    years: Years = None,
    workers: Workers = None,
    out: Out = None,
    plot: Plot = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Give targets in pairs and triples: effect, and synergy by Bliss, the best single drug, and Loewe."""
    check_suffix(out, (".nc",))
    check_suffix(plot, _FIGURES)
    model = model_of(name, index, structure)
    found = cascade.combine_targets(
        model, target, readout=readout, order=order, samples=samples, window=window, seed=seed, years=years,
        workers=workers, progress=not as_json,
    )  # fmt: skip
    _keep(found, out)
    if samples:
        table = cascade.combination_table(found)
        say(table.reset_index().to_dict("records"), as_json, table.round(4).to_string())
    if plot is not None:
        _quiet()
        from cascade.plot_synergy import synergy_map, synergy_matrix

        pair = str(found["pair"].values[0])
        _save(synergy_matrix(found) if found.sizes["pair"] > 1 and samples else synergy_map(found, pair), plot)


@commands.command(epilog="Examples: `cascade gene breast KDR`, `cascade gene breast_lite CXCR4 --readout p_overt_10y`")
def gene(
    name: Name,
    symbol: Annotated[str, typer.Argument(help="HGNC symbol.")],
    readout: Readout = "h_since_surgery_5y",
    window: Window = None,
    years: Years = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell what a model knows of a gene: its parameters, how much they matter, and the targets that reach it."""
    found = cascade.gene_view(model_of(name, index, structure), symbol, readout=readout, window=window, years=years)
    parameters = found[["coefficient"]].reset_coords().to_dataframe()
    lines = [parameters.to_string()]
    data: dict[str, Any] = {"parameters": parameters.reset_index().to_dict("records")}
    if "target" in found.dims:
        effects = found[["effect"]].to_dataframe()
        lines.append(effects.to_string())
        data["targets"] = effects.reset_index().to_dict("records")
    say(data, as_json, "\n\n".join(lines))
