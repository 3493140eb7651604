"""The command of virtual trials: trial."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli._arms import GRAMMAR, arms_from, read_cohort
from cascade.cli._options import Index, Json, Name, Structure, check_folder, model_of, pairs_of, say
from cascade.cohort._marks import LABELS
from cascade.errors import CascadeError, unknown_name

if TYPE_CHECKING:
    import xarray as xr

commands = typer.Typer()

_FOLLOWED = (*LABELS, "p_node", "t_surgery", "h_before")
"""What the outcomes of a cohort know of patients at surgery."""


@commands.command(
    epilog='Examples: `cascade trial breast_lite --arm control --arm "bevacizumab:q2w@surgery+28..365" --n 300 '
    "--out bev`, "
    '`cascade trial breast --arm control --arm "pembrolizumab:q3w@surgery..365" --arm '
    '"both=pembrolizumab:q3w@surgery..365,bevacizumab:q2w@surgery..365" --workers 2 --store runs`, '
    "`cascade trial breast_lite --arm control --arm inhibit:primary_tumor.k_grow=0.3@surgery+0 --n 500 --accrual 24 "
    "--dropout 0.02 --by diameter_mm --look 0.5 --json`"
)
def trial(
    name: Name,
    arm: Annotated[
        list[str], typer.Option("--arm", metavar="ARM", help=f"Repeat it, the control first. Write {GRAMMAR}.")
    ],
    cohort: Annotated[
        Path | None, typer.Option(help="Cohort (.nc); by default patients are sampled from the priors of the model.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Preset of the sampled patients, such as breast_er.")] = None,
    patients: Annotated[int, typer.Option(help="How many to sample; each runs once in every arm.")] = 200,
    n: Annotated[
        int | None,
        typer.Option("--n", help="Patients of the trial, drawn from the cohort; by default each of the cohort once."),
    ] = None,
    years: Annotated[float, typer.Option(help="Years from the first surgery to the analysis.")] = 10.0,
    allocation: Annotated[
        list[str] | None, typer.Option("--allocation", metavar="ARM=NUMBER", help="As in 1 to 2; for every arm.")
    ] = None,
    accrual: Annotated[float, typer.Option(help="Months in which patients enter.")] = 0.0,
    dropout: Annotated[float, typer.Option(help="Hazard of being lost, per year.")] = 0.0,
    death: Annotated[float, typer.Option(help="Hazard of death from another cause, per year.")] = 0.0,
    paired: Annotated[
        bool, typer.Option("--paired", help="Every patient with the same luck in every arm, as no real trial can.")
    ] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="VARIABLE", help="Subgroups; a number is cut at its median."),
    ] = None,
    look: Annotated[
        list[float] | None, typer.Option("--look", help="Interim look, as a share of the expected events; repeat.")
    ] = None,
    power: Annotated[float, typer.Option(help="Power for which the number of patients is found.")] = 0.8,
    replicates: Annotated[int, typer.Option(help="Simulated trials for that.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    workers: Annotated[int | None, typer.Option(help="Processes; by default all cores.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder that keeps finished runs.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the runs of --store.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, trial.nc, outcomes.nc, ...")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Run a virtual trial of one cohort: who wins, by how much, and how many patients it takes."""
    if out is not None:
        check_folder(out)
    arms = arms_from(arm)
    shares = pairs_of(allocation, "--allocation") or None
    model = model_of(name, index, structure)
    from cascade.cohort import sample_cohort
    from cascade.trial import check_trial, trial_of
    from cascade.trial.arms import follow_arms

    design: dict[str, Any] = {
        "n": n, "allocation": shares, "accrual_months": accrual, "dropout": dropout, "death": death, "paired": paired,
        "looks": (*sorted(look or ()), 1.0), "power": power, "replicates": replicates, "seed": seed,
    }  # fmt: skip
    check_trial(list(arms), years_after=years, bounds_shape="obrien_fleming", alpha=0.05, **design)
    if cohort is not None and preset is not None:
        raise CascadeError("--cohort and --preset are two ways to give the patients; choose one")
    people = read_cohort(cohort) if cohort is not None else sample_cohort(model, patients, seed=seed, preset=preset)
    if by is not None and by not in _FOLLOWED:  # before hours of runs; what is read at surgery comes with them
        check_by(by, people)
    outcomes = follow_arms(
        model, people, arms, years_after=years, seed=seed, workers=workers, store=store, resume=resume,
        progress=not as_json,
    )  # fmt: skip
    groups = None if by is None else classes(check_by(by, people, outcomes.isel(arm=0)))
    found = trial_of(outcomes, years_after=years, by=groups, **design)
    if out is not None:
        import matplotlib

        from cascade.trial_report import write_trial

        matplotlib.use("Agg")
        page = write_trial(out, model, arms, outcomes, found, f"cascade {shlex.join(sys.argv[1:])}")
        typer.echo(f"wrote {page}", err=True)
    say(summary(found), as_json, found.attrs["verdict"])


def check_by(name: str, *sources: xr.Dataset) -> xr.DataArray:
    """Return what makes the subgroups, from the cohort or from what is known at diagnosis."""
    for source in sources:
        if name in source and source[name].dims == ("patient",):
            return source[name]
    known = {str(v) for source in sources for v in source.data_vars if source[v].dims == ("patient",)} | set(_FOLLOWED)
    raise unknown_name("variable", name, known, "the cohort and its outcomes, over patients")


def classes(values: xr.DataArray) -> xr.DataArray:
    """Return labels: those of texts and of few numbers as they are, a measure cut at its median."""
    import numpy as np

    if values.dtype.kind not in "fiu" or len(np.unique(values.values[np.isfinite(values.values)])) <= 6:
        return values
    middle = float(values.median())
    name, unit = str(values.name), str(values.attrs.get("units", ""))
    shown = f"{middle:.3g} {unit}".replace("dimensionless", "").strip()
    texts = np.where(values.values > middle, f"{name} above {shown}", f"{name} up to {shown}").astype(object)
    texts[~np.isfinite(values.values)] = ""
    return values.copy(data=texts)


def summary(found: xr.Dataset) -> dict[str, Any]:
    """Return what is printed as JSON."""
    keys = [k for k in found.data_vars if found[k].dims in (("comparison",), ("comparison", "year"))]
    rows = {}
    for label in map(str, found["comparison"].values):
        row = found.sel(comparison=label)
        rows[label] = {
            str(k): _plain(row[k].item())
            if row[k].ndim == 0
            else {f"{y:g}": _plain(row[k].sel(year=y).item()) for y in row["year"].values}
            for k in keys
        }
    facts = {k: v if not isinstance(v, float) else _plain(v) for k, v in found.attrs.items()}
    return facts | {"control": str(found["arm"].values[0]), "comparisons": rows}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
