"""The command that ranks therapeutic targets: rank."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

import cascade
from cascade.cli._options import Index, Json, Name, Structure, check_folder, model_of

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade rank breast --quick --out rank`, `cascade rank breast --readout p_overt_10y`, "
    "`cascade rank breast --quick --index organ=bone,lung,liver`"
)
def rank(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder for ranking.csv, ranking.nc, figures and report.html.")] = Path(
        "rank"
    ),
    readout: Annotated[str, typer.Option(help="What a target should lower; an unknown name lists all.")] = "p_overt_5y",
    quick: Annotated[bool, typer.Option("--quick", help="A first answer within minutes on two cores.")] = False,
    fraction: Annotated[float, typer.Option(help="How much of a target's effect is blocked, 0 to 1.")] = 0.9,
    samples: Annotated[int | None, typer.Option(help="Virtual patients (parameter sets).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    window: Annotated[
        str | None, typer.Option(help="adjuvant (from surgery on) or lifelong: what sorts; --quick computes only this.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; chosen by the size of the job if left out.")
    ] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Rank therapeutic targets by the risk of overt metastasis that they avert, with intervals, and write a report."""
    check_folder(out)
    model = model_of(name, index, structure)
    effort = _QUICK if quick else _FULL
    ranking = cascade.rank_targets(
        model,
        readout,
        fraction=fraction,
        samples=samples or effort.samples,
        seed=seed,
        window=window,
        all_windows=effort.all_windows,
        morris_trajectories=effort.trajectories,
        morris_groups=effort.groups,
        workers=workers,
        solver=cascade.Solver(relative_tolerance=effort.tolerance, absolute_tolerance=effort.resolution),
        progress=not as_json,
    )
    untreated = cascade.simulate(model, years=float(ranking.attrs["years"]), points=int(ranking.attrs["points"]))
    page = cascade.write_report(out, model, ranking, untreated, "cascade " + shlex.join(sys.argv[1:]))
    if as_json:
        typer.echo(json.dumps({"report": str(page), "ranking": _rows(out / "ranking.csv")}, indent=2))
    else:
        typer.echo(f"wrote {page}")


class _Effort(NamedTuple):
    samples: int
    trajectories: int
    tolerance: float
    resolution: float
    all_windows: bool
    groups: bool


# The effect of a target is judged to a percent; a run at 1e-4 is good to about 1e-4 of its value.
_QUICK = _Effort(samples=20, trajectories=8, tolerance=1e-4, resolution=1e-6, all_windows=False, groups=True)
_FULL = _Effort(samples=200, trajectories=20, tolerance=1e-5, resolution=1e-9, all_windows=True, groups=False)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
