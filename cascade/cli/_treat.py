"""Commands of drugs: treat, drugs, drug."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

import cascade
from cascade.cli._options import Index, Json, Name, Structure, check_folder, model_of, say
from cascade.errors import CascadeError, DrugError
from cascade.therapy.procedures import Surgery

if TYPE_CHECKING:
    import xarray as xr

    from cascade.therapy.drugs import Drug
    from cascade.therapy.regimens import Regimen

commands = typer.Typer()

_T = TypeVar("_T")
_EACH = "Repeat it for several drugs, in the order of --drug; given once it holds for all."


@commands.command(
    epilog="Examples: `cascade treat breast_lite --drug bevacizumab --from surgery --start 28 --stop 365 --out bev`, "
    "`cascade treat breast --drug pembrolizumab --regimen q3w --drug bevacizumab --regimen q3w --from surgery "
    "--stop 365 --out both`, `cascade treat breast --drug pembrolizumab --from diagnosis --stop 84 "
    "--surgery-after 84`, `cascade treat pdl1_immune --drug atezolizumab --doses 6 --years 1 --json`, "
    "`cascade treat breast --drug sunitinib --from surgery --stop 365 --dose-factor 0.75 --averaged "
    "--export treated.xml`"
)
def treat(
    name: Name,
    drug: Annotated[
        list[str],
        typer.Option("--drug", metavar="DRUG", help="A drug (`cascade drugs`) or a folder; repeat to combine."),
    ],
    regimen: Annotated[
        list[str] | None,
        typer.Option("--regimen", metavar="REGIMEN", help="One of its regimens; by default the first. " + _EACH),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="MOMENT",
            help="surgery, diagnosis, metastasis, progression or a variable in days, from which --start counts; by "
            "default day 0, the first tumor cell. " + _EACH,
        ),
    ] = None,
    start: Annotated[list[float] | None, typer.Option(help="First day after --from; by default 0. " + _EACH)] = None,
    stop: Annotated[
        list[float] | None, typer.Option(help="Last day after --from; by default a year of treatment. " + _EACH)
    ] = None,
    until: Annotated[
        list[str] | None, typer.Option("--until", metavar="MOMENT", help="Ends it whenever that comes. " + _EACH)
    ] = None,
    doses: Annotated[list[int] | None, typer.Option(help="Number of doses. " + _EACH)] = None,
    dose_factor: Annotated[
        list[float] | None, typer.Option(help="Multiplies every dose: 0.5 halves them. " + _EACH)
    ] = None,
    every: Annotated[list[float] | None, typer.Option(help="Days between doses. " + _EACH)] = None,
    averaged: Annotated[
        bool, typer.Option("--averaged", help="Give doses as a constant rate of the same mean: fast, without peaks.")
    ] = False,
    surgery_after: Annotated[
        float | None,
        typer.Option(
            metavar="DAYS",
            help="Operate that many days after diagnosis, treated or not: leaves time for treatment before surgery.",
        ),
    ] = None,
    years: Annotated[
        float | None, typer.Option(help="Time to simulate; by default that of the composition, else 25.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, effects.csv, effects.nc, figures.")] = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Also write the treated model with its doses: .xml, .ant, .omex, .py or a PEtab folder."),
    ] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Give drugs as they are given; tell what they do to pathways, genes, tumor and endpoints, against untreated."""
    if out is not None:
        check_folder(out)
    count = len(drug)
    columns: dict[str, list[Any]] = {
        "origin": _each("--from", origin, count),
        "start": _each("--start", start, count),
        "stop": _each("--stop", stop, count),
        "until": _each("--until", until, count),
        "doses": _each("--doses", doses, count),
        "every": _each("--every", every, count),
        "averaged": [averaged or None] * count,
    }
    changes = [{key: values[k] for key, values in columns.items() if values[k] is not None} for k in range(count)]
    names = _each("--regimen", regimen, count)
    factors = _each("--dose-factor", dose_factor, count)
    plans = [_plan(*each) for each in zip(drug, names, factors, changes, strict=True)]
    regimens = _labeled(plans)
    model = model_of(name, index, structure)
    if surgery_after is not None:
        model = cascade.treat(model, Surgery(day=surgery_after))
    from cascade.treatment_effects import treatment_effects
    from cascade.treatment_runs import run_treatments

    runs = run_treatments(model, regimens, years=years)
    effects = treatment_effects(model, regimens, runs=runs)
    _check_runs(effects, runs)
    if out is not None:
        import matplotlib

        from cascade.treatment_report import write_treatment

        matplotlib.use("Agg")
        page = write_treatment(out, model, regimens, runs, effects, f"cascade {shlex.join(sys.argv[1:])}")
        typer.echo(f"wrote {page}", err=True)
    if export is not None:
        cascade.export(cascade.treat(model, *next(iter(regimens.values()))), export)
        typer.echo(f"wrote {export}", err=True)
    data = _data(effects, regimens)
    say(data, as_json, "\n".join(_lines(data)))


def _each(option: str, given: list[_T] | None, count: int) -> list[_T | None]:
    """Return one value for every drug."""
    values: list[_T | None] = [*given] if given else [None]
    if len(values) not in (1, count):
        raise CascadeError(f"{option} is given {len(values)} times for {count} drugs; give it once, or once for each")
    return values if len(values) == count else values * count


def _plan(drug: str, name: str | None, factor: float | None, changes: dict[str, Any]) -> Regimen:
    """Return a regimen as asked; a dose factor also holds for loading doses."""
    plan = cascade.regimen(drug, name)
    if "origin" in changes and changes.get("start", 0) < 0:
        raise DrugError(
            f"--start {changes['start']:g} is before {changes['origin']}, which nobody knows before it comes; count"
            " from an earlier moment (--from diagnosis with --surgery-after, or no --from: day 0)"
        )
    if "stop" in changes and "start" not in changes and changes["stop"] <= plan.start:
        raise DrugError(f"--stop {changes['stop']:g} is not after --start {plan.start:g}")
    if plan.route == "stated":
        wrong = [option for option in ("every", "doses") if option in changes]
        if wrong:
            raise DrugError(
                f"--{wrong[0]} means nothing for {plan.drug.name}, which is given at a stated concentration; "
                "use --start, --stop and --dose-factor"
            )
    if factor is not None:
        if not factor >= 0 or factor == float("inf"):
            raise DrugError(f"--dose-factor is {factor:g}; give a finite number of 0 or more (0.5 halves the dose)")
        changes |= {"dose": plan.dose * factor, "loading": tuple((day, dose * factor) for day, dose in plan.loading)}
    return replace(plan, **changes)


def _labeled(plans: list[Regimen]) -> dict[str, list[Regimen]]:
    """Return all drugs together first, then each alone to compare."""
    names = [plan.drug.title for plan in plans]
    single = dict.fromkeys(names)
    together = " + ".join(single)
    found = {together: plans}
    if len(single) > 1:
        found |= {title: [plan for plan in plans if plan.drug.title == title] for title in single}
    return found


def _check_runs(effects: xr.Dataset, runs: xr.Dataset) -> None:
    for label in effects["treatment"].values:
        status = str(runs["status"].sel(treatment=label).item())
        if status != "ok":
            raise CascadeError(f"the run with {label} failed: {status}")
        if not float(runs["start"].sel(treatment=label)) >= 0:
            raise CascadeError(f"{label} never begins within the simulated time; simulate longer with --years")


def _data(effects: xr.Dataset, regimens: dict[str, list[Regimen]]) -> dict[str, Any]:
    """Return what is printed: doses, endpoints, and the largest changes of each treatment."""
    from cascade.therapy.tables import dose_rows
    from cascade.treatment_effects import largest

    found: dict[str, Any] = {"model": str(effects.attrs["model"]), "treatments": {}}
    for label, plan in regimens.items():
        table = effects.sel(treatment=label)
        found["treatments"][label] = {
            "given": dose_rows(plan),
            "first_dose": float(table["start"]),
            "endpoints": _endpoints(table),
            "changes": [_change(table, each) for each in largest(effects.sel(treatment=[label]), top=25)],
        }
    return found


def _endpoints(table: xr.Dataset) -> dict[str, Any]:
    if "readout" not in table.dims:
        return {}
    keys = ("untreated", "treated", "difference", "fold")
    found: dict[str, Any] = {}
    for name in map(str, table["readout"].values):
        row = table.sel(readout=name)
        found[name] = {key: _finite(row[f"readout_{key}"]) for key in keys}
        found[name] |= {"scale": str(row["readout_scale"].item()), "reason": str(row["readout_reason"].item())}
    return found


def _change(table: xr.Dataset, name: str) -> dict[str, Any]:
    row = table.sel(quantity=name)
    found: dict[str, Any] = {key: str(row[key].item()) for key in ("quantity_name", "group", "genes", "scale")}
    found["fold"] = {f"{day:g}": _finite(row["fold"].sel(time=day)) for day in row["time"].values}
    if "year" in row.dims:
        later = row["fold_after_surgery"]
        found["fold_after_surgery"] = {f"{year:g}": _finite(later.sel(year=year)) for year in row["year"].values}
    return {"quantity": name} | found


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if abs(number) < float("inf") else None


def _lines(data: dict[str, Any]) -> list[str]:
    from cascade.plot_treatment import fold_text

    def text(value: float | None) -> str:
        return fold_text(float("nan") if value is None else value)

    lines = []
    for label, found in data["treatments"].items():
        lines.append(f"{label}: first dose on day {found['first_dose']:.0f}")
        lines += [f"  {row['title']}: {row['dose']}, {row['course']}; {row['tier']}" for row in found["given"]]
        rows: dict[str, Any] = {
            k: v for k, v in found["endpoints"].items() if v["untreated"] is not None and v["treated"] is not None
        }
        lines += ["  endpoint                         untreated     treated   fold"] if rows else []
        lines += [
            f"    {k:<28} {v['untreated']:>11.4g} {v['treated']:>11.4g} {text(v['fold']):>6}" for k, v in rows.items()
        ]
        if not found["changes"]:
            lines.append("  no pathway or gene that is followed changes")
            continue
        days = list(found["changes"][0]["fold"])
        lines.append(f"  {'fold change on day':<42}" + "".join(f"{day:>8}" for day in days))
        for row in found["changes"]:
            shown = row["quantity"].partition(":")[2] if row["group"] == "gene" else row["quantity_name"]
            lines.append(f"    {shown[:40]:<40}" + "".join(f"{text(row['fold'][day]):>8}" for day in days))
    return lines


@commands.command(epilog="Example: `cascade drugs --json`")
def drugs(as_json: Json = False) -> None:
    """List the shipped drugs: class, tier, targets and regimens."""
    from cascade.therapy.tables import list_drugs

    rows = list_drugs()
    width = max((len(row["name"]) for row in rows), default=0)
    lines = []
    for row in rows:
        lines.append(f"{row['name']:<{width}}  {row['drug_class']} ({row['tier']})")
        targets = f"targets {', '.join(row['targets'])}; " if row["targets"] else ""
        regimens = f"regimens {', '.join(row['regimens'])}" if row["regimens"] else "carries small molecules"
        lines.append(f"{'':<{width}}  {targets}{regimens}")
    say(rows, as_json, "\n".join(lines))


@commands.command(epilog="Examples: `cascade drug bevacizumab`, `cascade drug ./my_drug --json`")
def drug(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shipped drug (`cascade drugs`), or path of a folder.")],
    as_json: Json = False,
) -> None:
    """Show a drug: what it acts on, its regimens, and every number with its unit and source."""
    show_drug(cascade.load_drug(name), as_json)


def show_drug(found: Drug, as_json: bool) -> None:
    """Print a drug."""
    from cascade.therapy.tables import describe_drug

    data = describe_drug(found)
    lines = [f"{data['title']}: {data['drug_class']}", f"  {data['meaning_of_tier']} ({data['structure']})"]
    for action in data["actions"]:
        numbers = ", ".join(
            f"{key} {action[key]:g}" for key in ("affinity", "ec50", "maximum", "hill") if key in action
        )
        port = f" through {action['port']}" if action["port"] else ""
        lines.append(f"  acts on {action['target']}{port}: {numbers}, by {action['concentration']}")
    lines += [
        f"  regimen {row['name']}: {row['title'] or row['dose']}"
        f" [{row['status']}; {', '.join(row['source'])} {row['where']}]"
        for row in data["regimens"]
    ]
    lines += [
        f"  {row['id']:<24} {row['value']:<12.6g} {row['unit']:<16} {row['evidence']:<9} {', '.join(row['source'])}"
        for row in data["parameters"]
    ]
    say(data, as_json, "\n".join(lines))
