"""Reads patients: a table of what is known of each, and their mutations, become a cohort for a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import warn

import numpy as np

from cascade.errors import CascadeError, CascadeWarning, TableError
from cascade.patients._cells import Cells, read_cells
from cascade.patients._rows import EXPRESSION, MEASURES, Known, Measure, Row, extra_measures, read_rows
from cascade.patients.expression import Score, plan_scores, scored
from cascade.patients.genotype_table import Genotype
from cascade.patients.genotypes import combine, plan_genotypes
from cascade.patients.mutations import UNKNOWN, Mutations, read_mutations
from cascade.specs import Model, require_model

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["MEASURES", "read_mutations", "read_patients"]


SMALL = {"diameter_mm": (10.0, 10, "centimeters"), "ki67_percent": (1.0, 100, "fractions")}
"""Numbers of patients that are all below the first number look like another unit: factor, and its name."""


HINTS = 5
"""Unknown patients for whom the closest id is looked up, which takes long among many."""


def read_patients(
    path: str | Path | None,
    model: Model,
    *,
    mutations: str | Path | Mutations | None = None,
    measures: Sequence[str] = (),
    genotypes: Sequence[Genotype] | None = None,
    scores: Sequence[Score] | None = None,
) -> xr.Dataset:
    """Read patients from a table, their mutations from another, or only these.

    Parameters
    ----------
    path : path or None
        A table (tabs, commas or semicolons) with a column `patient` and any of: `genotypes`, ids of `genotypes.tsv`
        separated by `;` or `|`; a genotype's id, with yes or no; `er`, `pr`, `her2`; any constant or start value of the
        model by dotted or flat name; `expression_<score>`, z-scores by the ids of `expression.tsv`; the `MEASURES` and
        `measures`; `weight`. `diameter_mm` also sets the size at which the tumor is operated
        (`primary_tumor.n_surgery`), if the model has it and the table does not. Cells may be empty, NA, NaN, null,
        missing or unknown. None if there are only mutations.
    model : Model
    mutations : path or Mutations, optional
        A mutation table (see `read_mutations`); its patients must be those of the first table.
    measures : sequence of str
        Further columns of numbers that are kept as measures.
    genotypes, scores : optional
        Tables in the place of the shipped ones.

    Returns
    -------
    xarray.Dataset
        A cohort over `patient`: a variable with role "value" for each constant or start value that differs from the
        model in any patient, by flat id (the model's own where a patient has none); measures (NaN where missing), with
        `er`, `pr` and `her2` as 0 and 1; `has_genotype` (patient, genotype), role "genotype", for those that any
        patient has; `weight`, of mean 1, if the table has it. Attributes as JSON: `unexpressed`, reasons by genotype or
        score of what the model cannot set; `unknown`, the lines of the mutation table that mean no genotype; `held`,
        the patients whose score stopped at a bound, by flat id; `without_mutations`, patients who are not in the
        mutation table.

    Raises
    ------
    TableError
        With everything that is wrong, by line, at once.
    """
    import xarray as xr

    require_model(model, "read_patients")
    activities, lacking = plan_scores(model, scores)
    plan = plan_genotypes(model, genotypes)
    extra = extra_measures(measures, model, plan)
    known = Known(model=model, plan=plan, activities=activities, lacking=lacking, measures=extra | dict(MEASURES))
    if mutations is not None and not isinstance(mutations, Mutations):
        mutations = read_mutations(mutations, table=genotypes)
    if path is None:
        if mutations is None:
            raise TableError("read_patients() was given neither a table nor mutations; give one")
        cells = Cells(path=Path("mutations"), header=["patient"], lines=[])
        rows = [Row(line=0, patient=name, from_mutations=True) for name in mutations.genotypes]
    else:
        cells = read_cells(path, "a table of patients")
        rows = read_rows(cells, known)
    if mutations is not None:
        _add_mutations(cells, rows, mutations)
    if not rows and not cells.issues:
        cells.find(cells.head, "no patient", "give a line for each")
    settled = _settle(cells, rows, known)
    cells.require_sound()
    _warn_of_units(rows)
    attrs: dict[str, Any] = settled.attrs | {
        "model": model.name,
        "model_hash": model.hash,
        "source": str(path or "mutations"),
    }
    attrs |= {"preset": "", "drawn": len(rows), "refused": "{}"} | _mutation_attrs(rows, mutations)
    return xr.Dataset(_data(rows, settled, known), coords=_coords(rows, known), attrs=attrs)


def _add_mutations(cells: Cells, rows: list[Row], mutations: Mutations) -> None:
    here = {row.patient: row for row in rows}
    for name, found in mutations.genotypes.items():
        if name in here:
            here[name].genotypes += found
            here[name].from_mutations = bool(found)
        else:
            close = get_close_matches(name, here, n=1, cutoff=0.6) if len(cells.issues) < HINTS else []
            hint = f"is it {close[0]!r}? " if close else ""
            cells.find(
                cells.head,
                f"the mutation table has a patient {name!r} who is not in this one",
                f"{hint}name both alike",
            )


@dataclass(frozen=True, kw_only=True)
class _Settled:
    """The values of each patient, and what could not be."""

    values: list[dict[str, float]]
    attrs: dict[str, str]


def _settle(cells: Cells, rows: list[Row], known: Known) -> _Settled:
    """Turn genotypes and scores of each patient into values."""
    found: list[dict[str, float]] = []
    lacking: dict[str, tuple[str, ...]] = {}
    held: dict[str, list[str]] = {}
    for row in rows:
        both = [name for name in dict.fromkeys(row.genotypes) if name in row.absent]
        if both:
            what = f"patient {row.patient!r} has and has not: {', '.join(both)}"
            cells.find(row.line, what, "mend one of the columns")
            continue
        expressed, stopped = scored(known.activities, row.scores, row.values)
        for flat in stopped:
            held.setdefault(flat, []).append(row.patient)
        own = _size(row, known) | row.values | expressed
        try:
            values, missing = combine(known.plan, row.genotypes, own)
        except CascadeError as error:
            fix = "drop the line of one of them from the mutation table" if row.from_mutations else ""
            cells.find(row.line, f"patient {row.patient!r}: {error}", fix)
            continue
        found.append(own | values)
        lacking |= missing | {f"{EXPRESSION}{s}": known.lacking[s] for s in row.scores if s in known.lacking}
    return _Settled(values=found, attrs={"unexpressed": json.dumps(lacking), "held": json.dumps(held)})


def _size(row: Row, known: Known) -> dict[str, float]:
    """Return the cells at which a patient is operated, from the diameter."""
    diameter = row.measures.get("diameter_mm")
    names = ("n_surgery", "rho_cells", "vol_one", "diameter_one_ml")
    flats = [known.model.ids.get(f"primary_tumor.{name}") for name in names]
    if diameter is None or not all(flat in known.plan.rows for flat in flats):
        return {}
    surgery, *rest = (str(flat) for flat in flats)
    density, volume, one = (row.values.get(flat, known.plan.nominal(flat)) for flat in rest)
    return {surgery: density * volume * (diameter / one) ** 3}


def _warn_of_units(rows: Sequence[Row]) -> None:
    for name, (least, factor, unit) in SMALL.items():
        numbers = [row.measures[name] for row in rows if name in row.measures]
        if len(numbers) > 2 and 0 < max(numbers) < least:
            text = f"no {name} of {len(numbers)} patients reaches {least:g}; multiply by {factor} if they are {unit}"
            warn(text, CascadeWarning, stacklevel=3)


def _mutation_attrs(rows: Sequence[Row], mutations: Mutations | None) -> dict[str, str]:
    if mutations is None:
        return {}
    unknown = mutations.unknown[list(UNKNOWN)].to_dict(orient="records")
    without = [row.patient for row in rows if row.patient not in mutations.genotypes]
    return {"unknown": json.dumps(unknown), "without_mutations": json.dumps(without)}


def _data(rows: Sequence[Row], settled: _Settled, known: Known) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for flat in sorted({flat for values in settled.values for flat in values}):
        nominal, symbol = known.plan.nominal(flat), known.plan.symbols[flat]
        column = np.array([values.get(flat, nominal) for values in settled.values])
        attrs = {"units": symbol.unit, "long_name": symbol.name, "role": "value"}
        if (column != nominal).any():
            data[flat] = ("patient", column, attrs)
    for name in sorted({name for row in rows for name in row.measures}):
        measure = known.measures.get(name, Measure(name=f"{name.upper()} status, 1 positive", unit="dimensionless"))
        column = np.array([row.measures.get(name, np.nan) for row in rows])
        data[name] = ("patient", column, {"units": measure.unit, "long_name": measure.name, "role": "measure"})
    ids = _ids(rows, known)
    if ids:
        has = np.array([[name in row.genotypes for name in ids] for row in rows])
        data["has_genotype"] = (("patient", "genotype"), has, {"role": "genotype"})
    if any(row.weight is not None for row in rows):
        weights = np.array([row.weight for row in rows], dtype=float)
        weights /= weights.max()  # the sum of the largest numbers would overflow
        data["weight"] = ("patient", weights / weights.mean(), {"units": "dimensionless", "role": "weight"})
    return data


def _ids(rows: Sequence[Row], known: Known) -> list[str]:
    there = {name for row in rows for name in row.genotypes}
    return [name for name in known.plan.table if name in there]


def _coords(rows: Sequence[Row], known: Known) -> dict[str, Any]:
    ids = _ids(rows, known)
    coords: dict[str, Any] = {"patient": [row.patient for row in rows]}
    return coords | ({"genotype": ids} if ids else {})
