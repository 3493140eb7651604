"""The command of tests and follow-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli._cohort import preset_of
from cascade.cli._options import Index, Json, Structure, check_folder, model_of, say
from cascade.errors import CascadeError, unknown_name

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade followup breast_er --test ctdna --test pet_ct --visits 8 --out er`, "
    "`cascade followup breast_tnbc --n 100 --fates 20 --test ctdna --visits 5 --objective detected_oligometastatic`, "
    "`cascade followup breast_er --model breast_lite --n 50 --schedule intensive --test ctc --json`, "
    "`cascade followup breast_lite --test ctdna --visits 5`"
)
def followup(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A cohort (breast_er, breast_tnbc, ...), a .toml file of that form, or a composition."
        ),
    ],
    test: Annotated[
        list[str] | None, typer.Option("--test", metavar="TEST", help="A test (all at every visit); repeat it.")
    ] = None,
    visits: Annotated[int, typer.Option(help="Visits whose months are searched.")] = 6,
    objective: Annotated[
        str, typer.Option(help="lead_time, detected_oligometastatic or net_benefit: what the visits should gain.")
    ] = "lead_time",
    schedule: Annotated[str, typer.Option(help="Schedule to compare with: annual, asco or intensive.")] = "asco",
    n: Annotated[int, typer.Option("--n", help="Patients.")] = 200,
    fates: Annotated[int, typer.Option(help="Fates drawn for every patient.")] = 10,
    seed: Annotated[int, typer.Option(help="Another seed draws other patients, fates and results.")] = 1,
    years_after: Annotated[float, typer.Option(help="Years of follow-up after surgery.")] = 10.0,
    composition: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="Composition of the patients; by default that of the cohort."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for tests.csv, visits.csv and detection.png.")] = Path("followup"),
    workers: Annotated[int | None, typer.Option(help="Processes; by default all cores when it is worth it.")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Tell which test finds a metastasis how much earlier, and at which months few visits gain most."""
    from cascade.cohort import sample_cohort
    from cascade.cohort.outcomes import follow_cohort
    from cascade.detection import detect, follow_courses, load_clinical_test, performance, symptom_sizes
    from cascade.detection.followup import named_schedule, optimize_followup, simulate_followup
    from cascade.detection.followup_plan import OBJECTIVES

    check_folder(out)
    # what cannot be used is told before anything runs
    tests = [load_clinical_test(each) for each in test or ["ctdna"]]
    plan = named_schedule(schedule, years=years_after)
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES, "those of --objective")
    if visits < 1:
        raise CascadeError(f"--visits is {visits}; give 1 or more")
    preset = preset_of(name)
    model = model_of(composition or (preset.composition if preset else name), index, structure)
    patients = sample_cohort(model, n, seed=seed, preset=preset)
    outcomes = follow_cohort(model, patients, years_after=years_after, seed=seed, workers=workers, progress=not as_json)
    courses = follow_courses(model, patients, outcomes, fates=fates, clinical_mm=symptom_sizes(), workers=workers)
    found = detect(courses, tests, plan.months, seed=seed)
    table = performance(found)
    best = optimize_followup(courses, tests, visits, objective=objective)
    run = simulate_followup(courses, plan, tests, seed=seed)
    rows = _write(out, found, table, best)
    say(_data(table, best, run, schedule), as_json, _text(rows, best, run, schedule))


def _write(out: Path, found: xr.Dataset, table: xr.Dataset, best: xr.Dataset) -> pd.DataFrame:
    """Write the tables and the figure; return a row for each test."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from cascade._files import make_folder, write_table, written
    from cascade.plot_detection import plot_decision, plot_lead_time, plot_roc

    make_folder(out)
    rows = table.drop_dims("quantile").to_dataframe()
    for quantile in table["quantile"].values:
        rows[f"lead_time_{quantile:g}"] = table["lead_time"].sel(quantile=quantile).to_series()
    write_table(out / "tests.csv", rows)
    write_table(out / "visits.csv", best[["month"]].to_dataframe())
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.4), layout="constrained")
    for draw, axis in zip((plot_roc, plot_lead_time, plot_decision), axes, strict=True):
        draw(found, axis)
    with written(out / "detection.png") as beside:
        figure.savefig(beside, dpi=160, format="png")
    plt.close(figure)
    return rows


def _data(table: xr.Dataset, best: xr.Dataset, run: xr.Dataset, schedule: str) -> dict[str, Any]:
    names = ("mean_lead_time", "share_found_early", "share_oligometastatic", "false_per_100_visits")
    keys = ("p_found", "sensitivity", "specificity", "auc", "p_false_alarm")
    return {
        "tests": {
            str(each): {key: _number(table[key].sel(test=each)) for key in keys}
            | {"median_lead_time": _number(table["lead_time"].sel(test=each, quantile=0.5))}
            for each in table["test"].values
        },
        "best": {
            "months": best["month"].values.tolist(),
            "objective": best.attrs["objective"],
            **{key: _number(best[key]) for key in ("value", "value_even", "upper_bound")},
        },
        schedule: {key: _number(run.attrs[key]) for key in names},
        "fates": run.sizes["patient"],
        "not_followed": run.attrs["not_followed"],
    }


def _number(value: Any) -> float | None:
    """Return a number as JSON knows it."""
    found = float(value)
    return found if found == found else None


def _text(rows: pd.DataFrame, best: xr.Dataset, run: xr.Dataset, schedule: str) -> str:
    left, fates = run.attrs["not_followed"], run.sizes["patient"]
    lines = [
        f"schedule {schedule}: {run.attrs['visits_per_patient']:.1f} visits a patient; {left} of {fates} fates are"
        " metastatic at diagnosis or have no hazard, and are not followed"
    ]
    for name, row in rows.iterrows():
        lines.append(
            f"  {name}: finds {row['p_found']:.0%} of the metastases before symptoms, median lead"
            f" {row['lead_time_0.5']:.1f} months; specificity {row['specificity']:.1%} a visit,"
            f" {row['p_false_alarm']:.0%} of the others are ever falsely positive"
        )
    lines.append(f"  mean lead {run.attrs['mean_lead_time']:.2f} months, all tests together")
    months = ", ".join(f"{month:g}" for month in best["month"].values)
    lines.append(f"best {best.sizes['visit']} visits ({best.attrs['objective']}): months {months}")
    values = [float(best[key]) for key in ("value", "value_even", "upper_bound")]
    lines.append("  gain {:.3g}; evenly spaced {:.3g}; no choice gains more than {:.3g}".format(*values))
    return "\n".join(lines)
