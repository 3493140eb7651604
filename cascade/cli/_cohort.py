"""The command of virtual cohorts."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli._options import Index, Json, Structure, check_folder, model_of, say
from cascade.errors import CascadeError

if TYPE_CHECKING:
    import xarray as xr

    from cascade.cohort.presets import CohortPreset

commands = typer.Typer()


@commands.command(
    epilog="Examples: `cascade cohort breast_er --n 1000 --out er --weight`, "
    "`cascade cohort breast_er --model breast_lite --n 200 --out quick`, "
    "`cascade cohort breast_lite --n 500 --parameter '*.w_soil' --out soils`, "
    "`cascade cohort prostate --n 1000 --out prostate --store runs.zarr --resume`"
)
def cohort(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A cohort (breast_er, breast_her2, ...), a .toml file of that form, or a composition."
        ),
    ],
    n: Annotated[int, typer.Option("--n", help="Patients.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed draws other patients.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for report.html, patients.csv, cohort.nc, outcomes.nc.")] = Path(
        "cohort"
    ),
    composition: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", help="Composition of the patients; by default that of the cohort."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="ID", help="What differs, as its prior says; `*` for any; repeat it."),
    ] = None,
    years_after: Annotated[float, typer.Option(help="Years of follow-up after surgery.")] = 15.0,
    weight: Annotated[bool, typer.Option("--weight", help="Weight the patients to what was published.")] = False,
    store: Annotated[Path | None, typer.Option(help="Folder (.zarr) that takes the runs as they are made.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the store, or begin it.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; by default all cores when it is worth it.")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Sample virtual patients, follow them from the first tumor cell to years after surgery, and show who they are."""
    from cascade.cohort import sample_cohort
    from cascade.cohort.outcomes import follow_cohort
    from cascade.cohort_report import write_cohort

    check_folder(out)
    preset = preset_of(name)
    if weight and (preset is None or not preset.marginals):
        raise CascadeError(f"--weight needs published numbers, and {name!r} has none; give a cohort such as breast_er")
    model = model_of(composition or (preset.composition if preset else name), index, structure)
    patients = sample_cohort(model, n, seed=seed, preset=preset, parameters=parameter)
    outcomes = follow_cohort(
        model,
        patients,
        years_after=years_after,
        seed=seed,
        store=store,
        resume=resume,
        workers=workers,
        progress=not as_json,
    )
    weights = None
    if weight and preset is not None:
        from cascade.cohort.weighting import weight_cohort

        weights = weight_cohort(outcomes, preset.marginals, cohort=patients)
    import matplotlib

    matplotlib.use("Agg")
    command = f"cascade {shlex.join(sys.argv[1:])}"
    page = write_cohort(out, model, patients, outcomes, command, weights=weights, preset=preset)
    typer.echo(f"wrote {page}", err=True)
    data = _data(patients, outcomes, weights)
    say(data, as_json, "\n".join(_lines(data)))


def preset_of(name: str) -> CohortPreset | None:
    """Return the cohort that a name means, or None if it is a composition that no cohort is called like."""
    from cascade.catalogue import composition_names
    from cascade.cohort.presets import load_preset, preset_names

    if name in preset_names() or name.endswith(".toml"):
        return load_preset(name)
    if name in composition_names() or Path(name).is_dir():
        return None
    from cascade.errors import unknown_name

    known = [*preset_names(), *composition_names()]
    raise unknown_name("cohort or composition", name, known, "the shipped ones, and no folder has this path")


def _data(patients: xr.Dataset, outcomes: xr.Dataset, weights: xr.DataArray | None) -> dict[str, Any]:
    import json
    from collections import Counter

    from cascade.cohort.summary import moved_by_weights, population_course

    course = population_course(outcomes, weights)
    years = [year for year in (5, 10, 15, 20) if 12 * year in course["month"].values]
    found: dict[str, Any] = {
        "patients": patients.sizes["patient"],
        "drawn": patients.attrs["drawn"],
        "refused": json.loads(patients.attrs["refused"]),
        "left_out": dict(Counter(str(reason) for reason in outcomes["reason"].values if reason != "ok")),
        "p_metastasis": {str(year): 1 - float(course["p_free"].sel(month=12 * year)) for year in years},
        "p_at_diagnosis": float(course["p_at_diagnosis"]),
        "first_site": {str(organ): float(share) for organ, share in course["p_first_site"].to_series().items()},
    }
    if "p_stage" in course:
        found["p_stage"] = {str(stage): float(share) for stage, share in course["p_stage"].to_series().items()}
    if weights is not None:
        found["moved"] = moved_by_weights(patients, weights.values)
        found |= {"ess": float(weights.attrs["ess"]), "marginals": json.loads(weights.attrs["marginals"])}
    return found


def _lines(data: dict[str, Any]) -> list[str]:
    from cascade.cohort.weighting import verdict_of

    lines = [f"{data['patients']} patients of {data['drawn']} drawn"]
    lines += [f"  refused {count}: {reason}" for reason, count in data["refused"].items() if count]
    lines += [f"  without an answer {count}: {reason}" for reason, count in data["left_out"].items()]
    lines.append(f"metastatic at diagnosis {100 * data['p_at_diagnosis']:.1f} %")
    lines += [f"metastasis within {year} years {100 * risk:.1f} %" for year, risk in data["p_metastasis"].items()]
    whole = sum(data["first_site"].values()) or 1.0
    lines.append(
        "first site " + ", ".join(f"{organ} {100 * p / whole:.0f} %" for organ, p in data["first_site"].items())
    )
    if "p_stage" in data:
        lines.append(
            "stage, by sizes of breast cancer: "
            + ", ".join(f"{stage} {100 * p:.0f} %" for stage, p in data["p_stage"].items())
        )
    for name, row in data.get("marginals", {}).items():
        lines.append(f"{name}: published {row['published']:.4g}, reached {row['weighted']:.4g}, {verdict_of(row)}")
    if "ess" in data:
        lines.append(f"effective sample size {data['ess']:.0f}")
    if data.get("moved"):
        lines.append(f"the weights also moved {', '.join(data['moved'])}")
    return lines
