"""The command that ranks therapeutic targets: rank."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

import cascade
from cascade.cli._options import Index, Json, Name, Structure, check_folder, cluster, model_of, plan_of
from cascade.cli._stopping import keep_runs
from cascade.errors import CascadeError

if TYPE_CHECKING:
    import xarray as xr

    from cascade.specs import Model

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade rank breast --quick --out rank`, `cascade rank breast --readout p_overt_10y`, "
    "`cascade rank breast --quick --window neoadjuvant`, `cascade rank breast --out rank --resume` (after a stop), "
    "`cascade rank breast --quick --index organ=bone,lung,liver`, "
    "`cascade rank breast --quick --drug bevacizumab --drug trametinib`"
)
def rank(
    context: typer.Context,
    name: Name,
    out: Annotated[
        Path, typer.Option(help="Folder for ranking.csv, ranking.nc, figures, report.html and the runs.")
    ] = Path("rank"),
    readout: Annotated[str, typer.Option(help="What a target should lower; an unknown name lists all.")] = "p_overt_5y",
    quick: Annotated[bool, typer.Option("--quick", help="A first answer within minutes on two cores.")] = False,
    fraction: Annotated[float, typer.Option(help="How much of a target's effect is blocked, 0 to 1.")] = 0.9,
    samples: Annotated[int | None, typer.Option(help="Virtual patients (parameter sets).")] = None,
    years: Annotated[
        float | None,
        typer.Option(help="Simulated time from the first tumor cell; by default that of the composition, else 25."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    window: Annotated[
        str | None,
        typer.Option(
            help="adjuvant (from surgery on), neoadjuvant, prevention, metastatic or lifelong: what sorts;"
            " --quick computes only this."
        ),
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="ID", help="Rank only these targets (repeat the option).")
    ] = None,
    drug: Annotated[
        list[str] | None,
        typer.Option(
            "--drug", metavar="NAME[:REGIMEN]", help="Rank this drug beside the targets, as it is given (repeat)."
        ),
    ] = None,
    doses: Annotated[
        bool, typer.Option("--doses", help="Give every dose of a daily tablet, not its mean rate (far slower).")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; chosen by the size of the job if left out.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Make the runs on a Dask cluster: tcp://HOST:PORT.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a study that was stopped.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Throw away a study that was stopped.")] = False,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Rank therapeutic targets by the risk of overt metastasis that they avert, with intervals, and write a report."""
    check_folder(out)
    model = model_of(name, index, structure)
    effort = _QUICK if quick else _FULL
    runs = _runs_folder(out, resume, restart)
    keep_runs(context, runs)
    with cluster(scheduler) as executor:
        ranking = cascade.rank_targets(
            model,
            readout,
            targets=target,
            drugs=[plan_of(each) for each in drug or []],
            averaged=False if doses else None,
            fraction=fraction,
            samples=samples or effort.samples,
            seed=seed,
            years=years,
            window=window,
            workers=workers,
            executor=executor,
            store=runs,
            resume=runs.exists(),
            progress=not as_json,
            **effort.options,
        )
    untreated = cascade.simulate(model, years=float(ranking.attrs["years"]), points=int(ranking.attrs["points"]))
    command = "cascade " + shlex.join(sys.argv[1:])
    more = {"stages": _stages(model, ranking), "pairs": _pairs(model, ranking, effort, workers, not as_json)}
    page = cascade.write_report(out, model, ranking, untreated, command, **more)
    if as_json:
        typer.echo(json.dumps({"report": str(page), "ranking": _rows(out / "ranking.csv")}, indent=2))
    else:
        typer.echo(f"wrote {page}")


def _leading(ranking: xr.Dataset, count: int) -> list[str]:
    """Return the best targets that help, but one of each group with one and the same effect."""
    table = ranking.sel(window=ranking.attrs["window"])
    upper = table["effect_upper" if ranking.attrs["better"] == "lower" else "effect_lower"].values
    helps = (upper < 0 if ranking.attrs["better"] == "lower" else upper > 0) & (table["kind"].values == "target")
    return [str(name) for name in table["target"].values[helps]][:count]


def _stages(model: Model, ranking: xr.Dataset) -> xr.Dataset | None:
    """Split the effects of the leading targets by stage, where the question has such an answer."""
    window, names = str(ranking.attrs["window"]), _leading(ranking, 3)
    if window not in ("adjuvant", "lifelong") or not names:
        return None
    try:
        drugs = cascade.target_treatments(model, names, fraction=float(ranking.attrs["fraction"]), window=window)
        return cascade.waterfall(model, drugs, str(ranking.attrs["readout"]), years=float(ranking.attrs["years"]))
    except CascadeError as error:
        typer.echo(f"no stages: {error}", err=True)
        return None


def _pairs(
    model: Model, ranking: xr.Dataset, effort: _Effort, workers: int | None, progress: bool
) -> xr.Dataset | None:
    """Combine the leading targets."""
    names = _leading(ranking, effort.combined)
    if len(names) < 2:
        return None
    try:
        return cascade.combine_targets(
            model, names, readout=str(ranking.attrs["readout"]), window=str(ranking.attrs["window"]),
            samples=20, seed=int(ranking.attrs["seed"]), years=float(ranking.attrs["years"]), workers=workers,
            progress=progress,
        )  # fmt: skip
    except CascadeError as error:
        typer.echo(f"no combinations: {error}", err=True)
        return None


def _runs_folder(out: Path, resume: bool, restart: bool) -> Path:
    """Return the folder of the runs; those of a finished study make room, those of a stopped one only if asked."""
    runs, page = out / "runs", out / "report.html"
    if resume or not runs.exists():
        return runs
    if not page.exists() and not restart:
        raise CascadeError(
            f"{runs} holds a study that was not finished: --resume goes on with it, --restart begins anew, --out gives"
            " another folder"
        )
    page.unlink(missing_ok=True)
    shutil.rmtree(runs)
    return runs


class _Effort(NamedTuple):
    samples: int
    combined: int
    options: Mapping[str, Any]


_QUICK = _Effort(
    samples=20,
    combined=0,
    options={
        "windows": [],
        "doses": [],
        "opposite": None,
        "assumed_pairs": 0,
        "morris_trajectories": 8,
        "morris_groups": True,
    },
)
_FULL = _Effort(
    samples=100,
    combined=4,
    options={
        "total_samples": 1000,
        "morris_trajectories": 4,
    },
)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
