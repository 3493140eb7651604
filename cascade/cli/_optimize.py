"""The command that searches schedules: optimize."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade._files import write_dataset
from cascade.cli._options import (
    Index,
    Json,
    Name,
    Settings,
    Structure,
    check_suffix,
    cluster,
    model_of,
    pairs_of,
    plan_of,
    say,
)
from cascade.cli._stopping import keep_runs
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.optimize import Optimum
    from cascade.therapy.regimens import Regimen

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade optimize breast_lite --drug bevacizumab --from surgery --free start=0:180`, "
    "`cascade optimize breast_lite --drug bevacizumab:q2w --free every=7:28 --free dose=1:15 --total-dose 120`, "
    "`cascade optimize breast_lite --drug bevacizumab --drug atezolizumab --from surgery "
    "--free atezolizumab.start=0:90 --readout p_overt_5y --store search`, and with --resume after a stop"
)
def optimize(
    context: typer.Context,
    name: Name,
    drug: Annotated[
        list[str],
        typer.Option("--drug", metavar="NAME[:REGIMEN]", help="A drug, by its first regimen or a named one (repeat)."),
    ],
    free: Annotated[
        list[str],
        typer.Option(
            "--free",
            metavar="FIELD=LOW:HIGH",
            help="start, dose, every, doses, days_on, days_off, stop or infusion_hours; DRUG.FIELD with several drugs.",
        ),
    ],
    readout: Annotated[str, typer.Option(help="What a schedule should improve; an unknown name lists all.")] = (
        "p_overt_5y"
    ),
    origin: Annotated[
        str | None,
        typer.Option("--from", help="Day from which start counts: surgery, diagnosis, or a variable in days."),
    ] = None,
    total_dose: Annotated[
        list[str] | None,
        typer.Option(
            "--total-dose", metavar="[DRUG=]DOSE", help="The most in all, in the unit of the dose (repeat by drug)."
        ),
    ] = None,
    maximize: Annotated[
        bool | None, typer.Option("--maximize/--minimize", help="By default as the readout is better.")
    ] = None,
    budget: Annotated[int, typer.Option(help="Schedules that are simulated, at most.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    settings: Settings = None,
    years: Annotated[
        float | None,
        typer.Option(help="Simulated time from the first tumor cell; by default that of the composition, else 25."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Worker processes; chosen by the size of the job if left out.")
    ] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Make the runs on a Dask cluster.")] = None,
    store: Annotated[Path | None, typer.Option(help="Keep the runs in this folder.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the runs of --store.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write every schedule that was looked at: .nc")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Search the schedule of drugs that does most for a readout, under a limit of the total dose."""
    from cascade.optimize import optimize_regimen

    check_suffix(out, (".nc",))
    keep_runs(context, store)
    plans = [replace(plan_of(each), origin=origin) for each in drug]
    with cluster(scheduler) as executor:
        found = optimize_regimen(
            model_of(name, index, structure),
            plans,
            readout,
            free=dict(_bounds(each) for each in free),
            total_dose=_limits(total_dose, plans),
            maximize=maximize,
            values=pairs_of(settings, "--set"),
            budget=budget,
            seed=seed,
            years=years,
            workers=workers,
            executor=executor,
            store=store,
            resume=resume,
            progress=not as_json,
        )
    if out is not None:
        write_dataset(out, found.evaluated)
        typer.echo(f"wrote {out}", err=True)
    say(_data(found), as_json, _text(found))


def _bounds(text: str) -> tuple[str, tuple[float, float]]:
    key, _, bounds = (part.strip() for part in text.partition("="))
    low, _, high = bounds.partition(":")
    try:
        return key, (float(low), float(high))
    except ValueError:
        raise CascadeError(f"--free {text!r}: write it as FIELD=LOW:HIGH, for example --free start=0:90") from None


def _limits(items: list[str] | None, plans: list[Regimen]) -> dict[str, float] | None:
    if not items:
        return None
    if len(plans) == 1:
        items = [item if "=" in item else f"{plans[0].drug.name}={item}" for item in items]
    return pairs_of(items, "--total-dose")


def _data(found: Optimum) -> dict[str, Any]:
    """Return what a program reads of a search."""
    runs = found.evaluated
    best = runs.isel(candidate=int(runs.attrs["best"]))
    free = [str(n) for n in runs.data_vars if n not in ("total_dose", "objective", "reason", "stage", "outcome")]
    totals = zip(runs["regimen"].values, best["total_dose"].values, strict=True)
    counts = ("simulated", "failed", "refused", "seed", "budget", "optimizer")
    return {
        "readout": runs.attrs["readout"],
        "value": found.value,
        "first_value": None if runs["objective"][:1].isnull() else float(runs["objective"][0]),
        "regimens": json.loads(runs.attrs["regimens"]),
        "best": {name: float(best[name]) for name in free},
        "total_dose": {str(name): float(dose) for name, dose in totals},
        **{name: runs.attrs[name] for name in counts},
    }


def _text(found: Optimum) -> str:
    data, units = _data(found), found.evaluated
    first = "no result" if data["first_value"] is None else f"{data['first_value']:.6g}"
    lines = [f"{data['readout']}: {data['value']:.6g} with the best schedule; {first} as given, inside the bounds"]
    lines += [f"  {label}" for label in data["regimens"]]
    lines += [f"  {name} = {value:.6g} {units[name].attrs['units']}" for name, value in data["best"].items()]
    lines += [f"  in all {value:.6g} of {name}" for name, value in data["total_dose"].items()]
    lines.append(
        f"{data['simulated']} schedules simulated, {data['failed']} failed; {data['refused']} cannot be given;"
        f" seed {data['seed']}"
    )
    return "\n".join(lines)
