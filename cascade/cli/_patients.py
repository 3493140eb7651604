"""Commands of patients from tables: genotypes, patients."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cascade.cli._options import Index, Json, Structure, model_of, say
from cascade.errors import CascadeError

if TYPE_CHECKING:
    import xarray as xr

commands = typer.Typer()


@commands.command(epilog="Examples: `cascade genotypes`, `cascade genotypes breast_lite`, `cascade genotypes --json`")
def genotypes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A model: tells what it cannot express of each genotype.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the genotypes, epigenetic states and receptors of the library: what each sets, and its effect."""
    from cascade.patients.genotype_table import read_genotypes
    from cascade.patients.genotypes import unexpressed

    table = read_genotypes()
    model = model_of(name) if name else None
    rows = [
        {
            "genotype": each.id,
            "name": each.name,
            "kind": each.kind,
            "genes": list(each.genes),
            "sets": [str(setting) for setting in each.sets],
            "excludes": list(each.excludes),
            "effect": each.effect,
            "direction": [str(expected) for expected in each.direction],
            "source": list(each.source),
            "evidence": each.evidence,
            "note": each.note,
        }
        | ({"unexpressed": list(unexpressed(model, [each.id]).get(each.id, ()))} if model else {})
        for each in table
    ]
    say(rows, as_json, "\n".join(line for row in rows for line in _lines(row)))


def _lines(row: dict[str, Any]) -> list[str]:
    lines = [f"{row['genotype']}: {row['name']} [{', '.join(row['source'])}]"]
    lines.append(f"  {'; '.join(row['sets'])}: {row['effect']}" if row["sets"] else f"  {row['note']}")
    if row["sets"]:
        lines += [f"  not here: {reason}" for reason in row.get("unexpressed", ())]
    return lines


@commands.command(
    epilog="Examples: `cascade patients clinic.tsv --model breast`, "
    "`cascade patients clinic.csv --model breast_lite --mutations tumors.maf --out cohort.nc`, "
    "`cascade patients --model breast_lite --mutations tumors.maf --json`"
)
def patients(
    table: Annotated[
        Path | None, typer.Argument(metavar="[TABLE]", help="A table with a column `patient`: .tsv, .csv or .txt.")
    ] = None,
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Composition or module.")] = "breast",
    mutations: Annotated[Path | None, typer.Option(help="A mutation table, such as a MAF file.")] = None,
    measure: Annotated[
        list[str] | None, typer.Option("--measure", metavar="COLUMN", help="A further column of numbers; repeat it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the cohort: .nc")] = None,
    index: Index = None,
    structure: Structure = None,
    as_json: Json = False,
) -> None:
    """Read patients from a table, or from their mutations, and tell what the model makes of them and what it cannot."""
    from cascade._files import write_dataset
    from cascade.patients import read_patients

    if out is not None and out.suffix != ".nc":
        raise CascadeError(f"--out {out}: the cohort is written as netCDF; name it {out.with_suffix('.nc')}")
    found = read_patients(table, model_of(model, index, structure), mutations=mutations, measures=tuple(measure or ()))
    if out is not None:
        typer.echo(f"wrote {write_dataset(out, found)}", err=True)
    data = _summary(found)
    say(data, as_json, "\n".join(_told(data)))


def _summary(found: xr.Dataset) -> dict[str, Any]:
    roles = {str(name): each.attrs.get("role", "") for name, each in found.data_vars.items()}
    counts: dict[str, int] = {}
    if "has_genotype" in found:
        counts = {str(name): int(n) for name, n in found["has_genotype"].sum("patient").to_series().items()}
    unknown = json.loads(found.attrs.get("unknown", "[]"))
    return {
        "patients": found.sizes["patient"],
        "values": [name for name, role in roles.items() if role == "value"],
        "measures": {name: int(found[name].notnull().sum()) for name, role in roles.items() if role == "measure"},
        "genotypes": counts,
        "unexpressed": json.loads(found.attrs["unexpressed"]),
        "held": json.loads(found.attrs["held"]),
        "unknown": unknown,
        "without_mutations": json.loads(found.attrs.get("without_mutations", "[]")),
    }


def _told(data: dict[str, Any]) -> list[str]:
    lines = [f"{data['patients']} patients; {len(data['values'])} values differ from the model"]
    lines += [f"  {name}: {count} known" for name, count in data["measures"].items()]
    lines += [f"  {name}: {count}" for name, count in data["genotypes"].items()]
    lines += [f"not expressed: {name}: {'; '.join(reasons)}" for name, reasons in data["unexpressed"].items()]
    lines += [f"held at a bound: {name} in {len(who)} patients" for name, who in data["held"].items()]
    reasons = Counter((row["gene"], row["consequence"], row["reason"]) for row in data["unknown"])
    lines += [f"not known: {gene} {kind} ({count}): {why}" for (gene, kind, why), count in reasons.most_common(20)]
    more = len(reasons) - 20
    lines += [f"not known: {more} more; --json lists all"] if more > 0 else []
    lines += [f"not in the mutation table: {len(data['without_mutations'])}"] if data["without_mutations"] else []
    return lines
