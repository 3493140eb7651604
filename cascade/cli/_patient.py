"""The command of one patient: patient."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli._options import Index, Json, Structure, check_folder, model_of, plan_of, say
from cascade.errors import CascadeError, unknown_name

if TYPE_CHECKING:
    import xarray as xr

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade patient patients.tsv --id P7 --model breast_lite --drug letrozole --drug palbociclib "
    "--out P7`, `cascade patient patients.tsv --id P7 --mutations mutations.maf --model breast --drug denosumab "
    "--target kdr`"
)
def patient(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Table of patients; see `cascade.read_patients`.")],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Composition that is the patient.")],
    who: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Which patient; not needed if the table has one.")
    ] = None,
    mutations: Annotated[Path | None, typer.Option(help="Table of mutations, MAF or alike.")] = None,
    drug: Annotated[
        list[str] | None,
        typer.Option("--drug", metavar="NAME[:REGIMEN]", help="A drug that might be given (repeat the option)."),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="ID", help="A target that might be blocked (repeat the option)."),
    ] = None,
    window: Annotated[str | None, typer.Option(help="adjuvant (from surgery on), neoadjuvant, prevention, ...")] = None,
    draws: Annotated[int, typer.Option(help="How often what is not known is drawn anew.")] = 150,
    years: Annotated[
        float | None, typer.Option(help="Simulated time from the first tumor cell; by default 40.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 1,
    workers: Annotated[int | None, typer.Option(help="Worker processes; chosen by the size of the job.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html, outlook.nc, figures.")] = Path("patient"),
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell the risk of one patient, what would change it, how sure that is and what to measure next, on one page."""
    check_folder(out)
    if not (drug or target):
        raise CascadeError("nothing is given: name at least one --drug (`cascade drugs`) or --target")
    from cascade.outlook import patient_outlook
    from cascade.patients import read_patients
    from cascade.personal import write_patient

    composed = model_of(model, index, structure)
    one = _one(read_patients(table, composed, mutations=mutations), who, table)
    outlook = patient_outlook(
        composed, one, drugs=[plan_of(each) for each in drug or []], targets=target or [], window=window, draws=draws,
        years=years, seed=seed, workers=workers, progress=not as_json,
    )  # fmt: skip
    import matplotlib

    matplotlib.use("Agg")
    page = write_patient(out, one, outlook, f"cascade {shlex.join(sys.argv[1:])}")
    data = _data(outlook) | {"report": str(page)}
    say(data, as_json, "\n".join([*_lines(data), f"wrote {page}"]))


def _one(cohort: xr.Dataset, who: str | None, table: Path) -> xr.Dataset:
    names = [str(name) for name in cohort["patient"].values]
    if who is None:
        if len(names) > 1:
            raise CascadeError(f"{table} has {len(names)} patients; say which one: --id {names[0]}")
        who = names[0]
    if who not in names:
        raise unknown_name("patient", who, names, str(table))
    return cohort.isel(patient=[names.index(who)])


def _data(outlook: xr.Dataset) -> dict[str, Any]:
    weight = outlook["weight"].values
    return {
        "patient": str(outlook.attrs["patient"]),
        "model": str(outlook.attrs["model"]),
        "effective_draws": float(outlook.attrs["effective_draws"]),
        "risk": {str(year): float(weight @ outlook["risk"].sel(year=year).values) for year in outlook["year"].values},
        "effects": [
            {
                "name": str(name),
                "year": int(outlook.attrs["sorted_year"]),
                **{
                    key: _finite(outlook[key].values[place])
                    for key in ("reduction", "reduction_lower", "reduction_upper", "hazard_ratio", "nnt", "p_best")
                },
            }
            for place, name in enumerate(outlook["target"].values)
        ],
        "p_none": float(outlook.attrs["p_none"]),
        "assumed_share": _finite(outlook.attrs["assumed_share"]),
        "tests": {
            str(name): {key: float(outlook[key].values[place]) for key in ("narrowing", "noise")}
            for place, name in enumerate(outlook["test"].values)
        },
    }


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if abs(number) < float("inf") else None


def _lines(data: dict[str, Any]) -> list[str]:
    shown = [year for year in ("5", "10", "15") if year in data["risk"]]
    risks = ", ".join(f"{data['risk'][year]:.1%} at {year} years" for year in shown)
    lines = [f"{data['patient']} in {data['model']}: overt distant metastasis {risks}"]
    for row in data["effects"]:
        low, high = row["reduction_lower"], row["reduction_upper"]
        lines.append(
            f"  {row['name']:<24} averts {100 * row['reduction']:.1f} points at {row['year']} years"
            f" ({100 * low:.1f} to {100 * high:.1f}), best in {row['p_best']:.0%} of the draws"
        )
    return lines
