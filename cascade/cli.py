"""The `cascade` command; thin: it reads arguments, calls one verb, and prints."""

from __future__ import annotations

import csv
import json
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

import cascade
from cascade._style import unit_label
from cascade.errors import CascadeError

if TYPE_CHECKING:
    from cascade.specs import Intervention, Model
    from cascade.validation import Qualification

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The metastatic cascade of cancer as one executable SBML model. "
    "A research model, not for treatment decisions.",
    epilog="NAME is a shipped module or composition (`cascade list`) or the path of a folder of your own.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Shipped name, or path of a module or composition folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


Index = Annotated[
    list[str] | None,
    typer.Option(
        "--index", metavar="SET=MEMBERS", help="Replace an index set of a composition: organ=bone,lung; none: organ="
    ),
]
Structure = Annotated[
    list[str] | None,
    typer.Option("--structure", metavar="MODULE.OPTION=N", help="Size of a structure: lesions.n_classes=16"),
]


def _model(name: str, index: list[str] | None = None, structure: list[str] | None = None) -> Model:
    from cascade.catalogue import load

    return cascade.compose(load(name, _index(index), _structure(structure)))


def _index(items: list[str] | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in items or []:
        name, equal, members = (part.strip() for part in item.partition("="))
        if not (name and equal):
            raise CascadeError(f"--index {item!r}: write it as SET=MEMBERS, for example --index organ=bone,lung,liver")
        if name in found:
            raise CascadeError(f"--index gives {name!r} twice; give it once, with commas between its members")
        found[name] = [member.strip() for member in members.split(",")] if members else []
    return found


def _structure(items: list[str] | None) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for item in items or []:
        key, _, value = (part.strip() for part in item.partition("="))
        module, _, option = key.rpartition(".")
        if not (module and option and value.isdecimal()):
            raise CascadeError(
                f"--structure {item!r}: write it as MODULE.OPTION=INTEGER, for example --structure lesions.n_classes=16"
            )
        if option in found.setdefault(module, {}):
            raise CascadeError(f"--structure gives {key!r} twice; give it once")
        found[module][option] = int(value)
    return found


def _say(data: Any, as_json: bool, text: str) -> None:
    typer.echo(json.dumps(data, indent=2) if as_json else text)


@app.command("list", epilog="Example: `cascade list --json`")
def list_models(as_json: Json = False) -> None:
    """List the shipped modules and compositions."""
    from cascade.catalogue import module_title

    modules = {name: module_title(name) for name in cascade.module_names()}
    compositions = {name: cascade.load_composition(name).title for name in cascade.composition_names()}
    width = max(map(len, [*modules, *compositions]), default=0)
    lines = ["compositions"] + [f"  {name:<{width}}  {title}" for name, title in compositions.items()]
    lines += ["modules"] + [f"  {name:<{width}}  {title}" for name, title in modules.items()]
    _say({"compositions": compositions, "modules": modules}, as_json, "\n".join(lines))


@app.command(
    epilog="Examples: `cascade show tgf_beta`, `cascade show breast --json`, "
    "`cascade show breast --index organ=bone,lung --index secondary=`"
)
def show(name: Name, index: Index = None, structure: Structure = None, as_json: Json = False) -> None:
    """Show ports or wiring, sizes, and every number with its unit and source."""
    from dataclasses import asdict

    from cascade.catalogue import load
    from cascade.specs import Module

    source = load(name, _index(index), _structure(structure))
    model = cascade.compose(source)
    numbers = [asdict(row) for row in model.parameters]
    lines = [f"{model.name}: {len(numbers)} numbers, {sum(row.estimate for row in model.parameters)} uncertain"]
    data: dict[str, Any] = {"name": model.name, "hash": model.hash, "parameters": numbers}
    if isinstance(source, Module):
        data["ports"] = [asdict(port) for port in source.ports]
        lines += [f"  {p.direction:<3} {p.id:<28} {p.unit:<20} {p.name}" for p in source.ports]
    else:
        data |= {"instances": dict(model.instances), "wiring": [asdict(wire) for wire in model.wiring]}
        lines += [f"  {instance}: {module}" for instance, module in model.instances.items()]
        lines += [f"  {wire.reader} <- {wire.formula}  [{wire.unit}]" for wire in model.wiring]
    lines += [
        f"  {r.id:<40} {r.nominal:<12.6g} {r.unit:<24} {r.evidence:<9} {', '.join(r.source)}" for r in model.parameters
    ]
    _say(data, as_json, "\n".join(lines))


@app.command(
    epilog="Examples: `cascade check`, `cascade check breast`, `cascade check ./my_module --json`, "
    "`cascade check breast --index organ=bone,lung,liver --structure lesions.n_classes=16`"
)
def check(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Shipped name or path; everything if left out.")
    ] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Lint a module or composition: every finding at once, and a graded summary. Exit code 1 on errors."""
    from dataclasses import asdict

    if (index or structure) and name is None:
        raise CascadeError("--index and --structure change one model; say which: cascade check NAME --index ...")
    names = [name] if name else [*cascade.module_names(), *cascade.composition_names()]
    reports = [cascade.check(each, _index(index), _structure(structure)) for each in names]
    if as_json:
        rows = [asdict(report) | {"ok": report.ok} for report in reports]
        typer.echo(json.dumps(rows if name is None else rows[0], indent=2))
    else:
        for report in reports:
            for issue in report.issues:
                typer.echo(str(issue))
            verdict = "passed" if report.ok else "FAILED"
            sizes = ", ".join(f"{count} {kind}" for kind, count in report.counts.items() if count)
            typer.echo(f"{report.name}: {verdict}, {len(report.issues)} findings; {sizes}")
            typer.echo("  " + "; ".join(f"{share:.0%} {grade}" for grade, share in report.grades.items()))
    if not all(report.ok for report in reports):
        raise typer.Exit(1)


@app.command(epilog="Examples: `cascade build`, `cascade build tgf_beta`, `cascade build ./my_module`")
def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Modules; all if left out.")] = None,
) -> None:
    """Regenerate the SBML of modules from structure (.ant) and table (parameters.tsv). Exit code 1 on errors."""
    from cascade.build import check_build, write_module
    from cascade.catalogue import module_folder

    failed = False
    for name in names or cascade.module_names():
        folder = module_folder(name)
        issues = check_build(folder)
        for issue in issues:
            typer.echo(str(issue))
        if any(issue.severity == "error" for issue in issues):
            failed = True
        else:
            typer.echo(f"wrote {write_module(folder).name} ({len(issues)} warnings)")
    if failed:
        raise typer.Exit(1)


@app.command(
    epilog="Examples: `cascade validate`, `cascade validate wnt --out validation`, `cascade validate emt --json`"
)
def validate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Modules or compositions; all if left out.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for validation.html and validation.json.")] = None,
    as_json: Json = False,
) -> None:
    """Compare models with published facts: what is reproduced, and what is not. Misses are shown, with a reason."""
    from cascade.catalogue import evidence_names
    from cascade.validation_page import write_validation

    if out:
        _check_folder(out)
    found = [cascade.validate(name, progress=not as_json) for name in names or evidence_names()]
    if as_json:
        typer.echo(json.dumps([each.to_json() for each in found], indent=2))
    else:
        for each in found:
            _print_qualification(each)
        total = sum(len(each.findings) for each in found)
        typer.echo(f"{sum(each.passed for each in found)} of {total} facts reproduced")
    if out:
        typer.echo(f"wrote {write_validation(out, *found)}", err=as_json)


def _print_qualification(found: Qualification) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from cascade.validation_page import accepted, short

    title = f"{found.name}: {found.passed} of {len(found.findings)} facts; {found.sourced:.0%} of its constants sourced"
    table = Table("published fact", "source", "published", "model", "accepted", "", title=title, title_justify="left")
    for finding in found.findings:
        fact = finding.fact
        table.add_row(
            escape(f"{fact.quantity} [{fact.role}]"),
            ", ".join(fact.source),
            short(fact.value) or fact.spread or "direction",
            short(finding.value) or ("none" if finding.error else "never"),
            f"{accepted(finding)} {unit_label(fact.unit)}".strip(),
            "pass" if finding.passed else "[bold red]MISS[/]",
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    console.print(table)
    for finding in found.findings:
        if not finding.passed:
            why = finding.error or finding.fact.note
            console.print(f"[bold red]MISS[/] {escape(finding.fact.quantity)}: {escape(why)}\n")


@app.command(
    epilog="Example: `cascade bifurcation emt a_drive_basal a_emt --from 0.1 --to 2 --plot emt.png`",
)
def bifurcation(
    name: Name,
    parameter: Annotated[str, typer.Argument(help="The constant that is scanned up and down.")],
    output: Annotated[str, typer.Argument(help="The variable that shows the state.")],
    lower: Annotated[float, typer.Option("--from", help="Lower end of the scan.")],
    upper: Annotated[float, typer.Option("--to", help="Upper end of the scan.")],
    points: Annotated[int, typer.Option(help="Values of the parameter.")] = 41,
    hold: Annotated[float, typer.Option(help="First holding time in days; about the slowest time constant.")] = 50.0,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="ID=VALUE", help="Set a parameter.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result: .nc")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a figure: .png, .svg or .pdf")] = None,
) -> None:
    """Find the tipping points of a switch: where a state is lost when a parameter rises, and when it falls again."""
    _check_suffix(out, (".nc",))
    _check_suffix(plot, (".png", ".svg", ".pdf"))
    found = cascade.bifurcation(
        _model(name),
        parameter,
        output,
        lower=lower,
        upper=upper,
        points=points,
        hold=hold,
        values=_pairs(settings, "--set"),
        progress=True,
    )
    for index in range(found.sizes["fold"]):
        fold = found.isel(fold=index)
        typer.echo(
            f"{fold['fold_direction'].item()!s:<5} {parameter} = {float(fold['fold_value']):.6g}: {output} "
            f"{float(fold['fold_before']):.4g} -> {float(fold['fold_after']):.4g}"
        )
    if not found.sizes["fold"]:
        typer.echo("no fold point in this range")
    if out:
        found.to_netcdf(out, engine="h5netcdf")
        typer.echo(f"wrote {out}")
    if plot:
        import matplotlib

        from cascade.plot import bifurcation as draw

        matplotlib.use("Agg")
        _save(draw(found), plot)
        typer.echo(f"wrote {plot}")


@app.command(
    epilog="Examples: `cascade simulate breast --years 10 --plot run.png`, `cascade simulate tgf_beta --days 1 "
    "--set init_tgfb=0.05 --out run.csv`, `cascade simulate breast --inhibit tgf_beta__k_phosphorylate=0.8`, "
    "`cascade simulate breast --index organ=bone,lung,liver --structure lesions.n_classes=16`"
)
def simulate(
    name: Name,
    years: Annotated[float | None, typer.Option(help="Time to simulate, in years of 365.25 days.")] = None,
    days: Annotated[float | None, typer.Option(help="Time to simulate, in days.")] = None,
    points: Annotated[int, typer.Option(help="Rows of the output grid.")] = 201,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="ID=VALUE", help="Set a parameter.")] = None,
    inhibited: Annotated[
        list[str] | None, typer.Option("--inhibit", metavar="ID=FRACTION", help="Block a target's effect.")
    ] = None,
    start: Annotated[float, typer.Option(help="Day on which the inhibition starts.")] = 0.0,
    stop: Annotated[float | None, typer.Option(help="Day on which the inhibition stops.")] = None,
    record: Annotated[list[str] | None, typer.Option(metavar="ID", help="Record only these; all if left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the result: .nc or .csv")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write a figure: .png, .svg or .pdf")] = None,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Simulate a module or composition, treated or not."""
    _check_suffix(out, (".nc", ".csv"))
    _check_suffix(plot, (".png", ".svg", ".pdf"))
    if years is None and days is None:
        years = 10.0
    therapies: list[Intervention] = [
        cascade.inhibit(target, by=value, start=start, stop=stop)
        for target, value in _pairs(inhibited, "--inhibit").items()
    ]
    model = _model(name, index, structure)
    if therapies:
        model = cascade.treat(model, *therapies)
    result = cascade.simulate(
        model, years=years, days=days, points=points, values=_pairs(settings, "--set"), record=record or None
    )
    status = str(result["status"].item())
    if status != "ok":
        raise CascadeError(f"the run failed: {status}")
    if out:
        _write_result(result, out)
        typer.echo(f"wrote {out}")
    if plot:
        _write_plot(result, plot, record)
        typer.echo(f"wrote {plot}")
    if not out and not plot:
        last = result.isel(time=-1)
        for variable in last.data_vars:
            if "time" in result[variable].dims:
                typer.echo(f"{variable:<44} {float(last[variable]):<14.6g} {last[variable].attrs.get('units', '')}")


@app.command(
    epilog="Examples: `cascade endpoints breast`, `cascade endpoints prostate --years 60 --readout f_first_site`, "
    "`cascade endpoints breast --set f_metastatic_potential=5 --json`"
)
def endpoints(
    name: Name,
    years: Annotated[float, typer.Option(help="Time to simulate, from the first tumor cell on.")] = 35.0,
    readouts: Annotated[
        list[str] | None, typer.Option("--readout", metavar="READOUT", help="Only these; an unknown name lists all.")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="ID=VALUE", help="Set a parameter.")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Show the clinical endpoints of one untreated patient: by organ, by year after surgery, and as single numbers."""
    from cascade.readouts import find_readout, known_readouts

    specs = [find_readout(each) for each in readouts] if readouts else list(known_readouts())
    model = _model(name, index, structure)
    run = cascade.simulate(model, years=years, points=int(years * 24) + 1, values=_pairs(settings, "--set"))
    if run["status"].item() != "ok":
        raise CascadeError(f"the run failed: {run['status'].item()}")
    found = {spec.name: cascade.readout(run, spec.name) for spec in specs}
    data = {key: {"unit": value.attrs["units"], "value": _numbers(value)} for key, value in found.items()}
    lines = [f"{key:<28} {_short(data[key]['value'])}  {value.attrs['units']}" for key, value in found.items()]
    _say({"model": model.name, "years": years, "readouts": data}, as_json, "\n".join(lines))


def _numbers(value: Any) -> Any:
    """Return a readout as a number, or as numbers by organ, year or quantile; null where there is none."""
    if not value.dims:
        return float(value) if math.isfinite(float(value)) else None
    return {str(key): _numbers(value.sel({value.dims[0]: key})) for key in value[value.dims[0]].values}


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(part)}" for key, part in value.items())
    return "-" if value is None else f"{value:.4g}"


@app.command(
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
    as_json: Json = False,
) -> None:
    """Tell the chance that a cohort of disseminated cells leaves no detectable lesion, and when the first one shows."""
    law = cascade.extinction(
        _model(name), _pairs(cohort, "cohort"), organ=organ, years=years, points=201, runs=runs, seed=seed
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
    _say(data, as_json, "\n".join(lines))


def _pairs(items: list[str] | None, option: str) -> dict[str, float]:
    pairs: dict[str, float] = {}
    for item in items or []:
        key, _, value = (part.strip() for part in item.partition("="))
        try:
            number = float(value)
        except ValueError:
            raise CascadeError(f"{option} {item!r}: write it as ID=NUMBER, for example {option} k_clear=0.5") from None
        if key in pairs:
            raise CascadeError(f"{option} gives {key!r} twice; give it once")
        pairs[key] = number
    return pairs


def _check_suffix(path: Path | None, suffixes: tuple[str, ...]) -> None:
    if path is None:
        return
    if path.suffix not in suffixes:
        raise CascadeError(f"cannot write {path.name!r}: the suffix must be one of {', '.join(suffixes)}")
    if not path.parent.is_dir():
        raise CascadeError(f"cannot write {path}: the folder {path.parent} does not exist; make it first")


def _write_result(result: Any, path: Path) -> None:
    if path.suffix == ".nc":
        result.to_netcdf(path, engine="h5netcdf")
        return
    timed = [name for name in result.data_vars if "time" in result[name].dims]
    result[timed].to_dataframe().to_csv(path)


def _write_plot(result: Any, path: Path, record: list[str] | None) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from cascade.plot import trajectories

    _save(trajectories(result, record, axis=plt.subplots(figsize=(9, 5), layout="constrained")[1]), path)


def _save(axis: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    axis.figure.savefig(path, dpi=150)
    plt.close(axis.figure)


@app.command(
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
    _check_folder(out)
    model = _model(name, index, structure)
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


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CascadeError(f"cannot write into {folder}: it is a file; give a folder with --out")
    if not folder.parent.is_dir():
        raise CascadeError(f"cannot make {folder}: the folder {folder.parent} does not exist; make it first")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@app.command(
    epilog="Examples: `cascade export breast --out breast.xml`, `cascade export breast --comp --out breast_comp.xml`, "
    "`cascade export breast --index organ=bone,lung --out two_organs.xml`"
)
def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="File to write: .xml")],
    comp: Annotated[bool, typer.Option("--comp", help="Hierarchical SBML (comp) instead of flat SBML.")] = False,
    index: Index = None,
    structure: Structure = None,
) -> None:
    """Write SBML that other tools read."""
    typer.echo(f"wrote {cascade.export(_model(name, index, structure), out, comp=comp)}")


def main() -> None:
    """Run the command: what a user can mend is one line on stderr and exit code 2; no traceback."""
    try:
        app()
    except CascadeError as error:
        typer.echo(f"cascade: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        typer.echo(f"cascade: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
