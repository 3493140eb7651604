"""What lesions do by organ: how they grow, and what each of their cells adds to the blood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._organs import organs_of
from cascade._patients import patients_of, values_of
from cascade.detection._lesion_growth import DAYS_PER_MONTH, MONTHS_BEFORE, since_surgery, with_clocks
from cascade.errors import AnalysisError
from cascade.evaluate import evaluate, time_grid
from cascade.specs import Model, require_model

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

SIGNALS = {
    "k_growth": ("per_day", "Gompertz constant of lesions"),
    "cap_lesion": ("cell", "plateau of a lesion"),
    "n_start": ("cell", "size from which on a lesion grows without waiting"),
    "n_detectable": ("cell", "size at which the model counts a lesion as overt"),
    "ctc_per_cell": ("per_ml", "circulating tumor cells per ml of blood, per cell of the lesion"),
    "ctdna_per_cell": ("copy_per_ml_per_cell", "tumor genome copies per ml of plasma, per cell of the lesion"),
    "d_cfdna": ("copy_per_ml", "normal genome copies per ml of plasma"),
    "rho_cells": ("cell_per_ml", "cells per volume of tumor"),
    "k_lose_dtc": ("per_day", "loss of disseminated cells from the marrow"),
    "n_screened": ("cell", "marrow cells of the sample that p_dtc is about"),
}
"""Variables of the signals: unit and meaning."""


def lesion_signals(
    model: Model, cohort: xr.Dataset | None = None, *, years: float | None = None, workers: int | None = None
) -> xr.Dataset:
    """Return by organ how lesions grow and what each of their cells adds to the blood.

    Parameters
    ----------
    model : Model
        A composition with lesions and endpoints.
    cohort : xarray.Dataset, optional
        Patients whose constants differ; without, the patient of the model.
    years : float, optional
        Length of the runs from whose last moment growth and death in blood are taken; by default that of an analysis.
    workers : int, optional
        As in `cascade.evaluate`.

    Returns
    -------
    xarray.Dataset
        Over `patient` (if there is a cohort) and `organ`; see the `long_name` of each variable. Of a treated model also
        `growth` over `growth_month` (months since surgery): the integral of the Gompertz constant since surgery, which
        drugs lower, and below 0 where they kill more than grows; `k_growth` is then that of the last month.

    Notes
    -----
    What a cell sheds is that of the end of the runs, also while a drug acts. Growth is read off monthly rows: it is
    right to a tenth of a month where a treatment begins or ends. Radiation acts at once and not through growth: what it
    takes from a lesion is in the hazards and not in the courses.

    Cells in blood are in balance with what is shed within hours (`circulation`): single cells become cloaked, die or
    arrest. DNA likewise (`endpoints`). Both are linear in the size of the lesion.
    """
    import xarray as xr

    require_model(model, "lesion_signals")
    organs = _organs(model)
    clocked, clocks = with_clocks(model, organs) if model.interventions else (model, {})
    values = {} if cohort is None else values_of(cohort)
    rows = 1 if cohort is None else len(patients_of(cohort))
    ends, growth = _ends(clocked, values, organs, years, workers, rows, clocks)
    constant = _Constants(model, values, rows)
    data: dict[str, list[Numbers]] = {name: [] for name in SIGNALS}
    for organ in organs:
        for name, each in _signals_of(model, constant, ends, organ).items():
            data[name].append(np.broadcast_to(each, (rows,)))
    coords: dict[str, Any] = {"organ": list(organs)}
    if cohort is not None:
        coords["patient"] = cohort["patient"].values
    found = xr.Dataset(
        {
            name: (
                ("patient", "organ"),
                np.stack(each, axis=1),
                dict(zip(("units", "long_name"), SIGNALS[name], strict=True)),
            )
            for name, each in data.items()
        },
        coords=coords,
        attrs={"model": model.name, "model_hash": model.hash},
    )
    if growth is not None:
        found = _with_growth(found, *growth)
    return found if cohort is not None else found.isel(patient=0)


class _Constants:
    """The constants of every patient: of the cohort, else of the model."""

    def __init__(self, model: Model, values: Mapping[str, xr.DataArray], rows: int) -> None:
        self._model, self._rows = model, rows
        self._values = {model.id(name): each.values.astype(float) for name, each in values.items()}

    def __call__(self, name: str) -> Numbers:
        flat = self._model.id(name)
        if flat in self._values:
            return self._values[flat]
        return np.full(self._rows, self._model.parameter(name).nominal)


def _organs(model: Model) -> tuple[str, ...]:
    needs = ("endpoints.h_cumulative", "endpoints.copies_per_death", "blood_clone_1.k_arrest_single")
    wires = [wire for wire in model.wiring if wire.reader == needs[0]]
    missing = [name for name in needs[1:] if name not in model.ids]
    if not wires or missing:
        raise AnalysisError(
            f"model {model.name!r} has no lesions that the endpoints count ({', '.join(missing or needs[:1])});"
            " use a composition such as 'breast_lite'"
        )
    return tuple(organs_of(writer.split(".")[0] for writer in wires[0].writers))


def _with_growth(found: xr.Dataset, months: Numbers, whole: Numbers, rate: Numbers) -> xr.Dataset:
    """Return the signals with the growth of treated lesions (patient, organ, month), and its rate at the end."""
    words = {"units": "dimensionless", "long_name": "growth of lesions since surgery (Gompertz constant times time)"}
    data = {
        "growth": (("patient", "organ", "growth_month"), whole, words),
        "k_growth": (("patient", "organ"), rate, found["k_growth"].attrs),
    }
    return found.assign(data).assign_coords(growth_month=("growth_month", months, {"units": "month"}))


def _ends(
    model: Model,
    values: Any,
    organs: Sequence[str],
    years: float | None,
    workers: int | None,
    rows: int,
    clocks: Mapping[str, str],
) -> tuple[dict[str, Numbers], tuple[Numbers, Numbers, Numbers] | None]:
    """Return growth in every organ and death rate in blood at the end of the runs; and growth over time by clocks."""
    import xarray as xr

    names = [*(f"{organ}_lesions.f_growth" for organ in organs), "blood_clone_1.k_die"]
    asked = {name: f"final:{model.id(name)}" for name in names}
    if not values:
        first = model.parameters[0]
        values = {first.id: xr.DataArray([first.nominal], dims="patient")}
    alone = 1 if rows == 1 else workers
    readouts = [*sorted(set(asked.values())), *(["t_surgery"] if clocks else [])]
    grid = time_grid(model, years)
    found = evaluate(model, values, readouts, workers=alone, series=list(clocks.values()), **grid)
    ends = {name: np.broadcast_to(found[readout].values, (rows,)) for name, readout in asked.items()}
    return ends, _growth(found, organs, clocks) if clocks else None


def _growth(found: xr.Dataset, organs: Sequence[str], clocks: Mapping[str, str]) -> tuple[Numbers, Numbers, Numbers]:
    """Return months, growth since surgery (patient, organ, month), and the last rate per day (patient, organ)."""
    time, surgery = found["time"].values, found["t_surgery"].values
    # the earliest surgery has the longest follow-up; NaN where nobody is operated
    last = (time[-1] - np.nanmin(surgery, initial=time[-1])) / DAYS_PER_MONTH
    months = np.arange(-MONTHS_BEFORE, max(1, int(last)) + 1, dtype=float)
    courses = [found[clocks[organ]].transpose("patient", "time").values for organ in organs]
    rates = [(course[:, -1] - course[:, -2]) / (time[-1] - time[-2]) for course in courses]
    whole = [since_surgery(time, c, surgery, months, r) for c, r in zip(courses, rates, strict=True)]
    return months, np.stack(whole, axis=1), np.stack(rates, axis=1)


def _signals_of(model: Model, constant: _Constants, ends: Mapping[str, Numbers], organ: str) -> dict[str, Numbers]:
    lesions = f"{organ}_lesions"
    arrest, cloak = constant("blood_clone_1.k_arrest_single"), constant("blood_clone_1.k_cloak")
    cloak = cloak * constant(_platelet(model))
    die = ends["blood_clone_1.k_die"]
    residence = 1 / (die + arrest + cloak) * (1 + cloak / (constant("blood_clone_1.f_unprotected") * die + arrest))
    arterial = lesions in model.groups.get("pulmonary_lesions", ())
    passing = 1.0 if arterial else constant("blood_clone_1.f_escape")
    release = constant("endpoints.copies_per_death") * constant("endpoints.k_death_lesion")
    marrow = f"{organ}_clone_1"
    return {
        "k_growth": constant(f"{lesions}.k_grow") * ends[f"{lesions}.f_growth"],
        "cap_lesion": constant(f"{lesions}.cap_lesion"),
        "n_start": constant(f"{lesions}.n_angiogenic_checkpoint"),
        "n_detectable": constant(f"{lesions}.n_detectable"),
        "ctc_per_cell": constant(f"{lesions}.k_shed_lesion") * passing * residence / constant("endpoints.vol_blood"),
        "ctdna_per_cell": release / (constant("endpoints.k_clear_ctdna") * constant("endpoints.vol_plasma")),
        "d_cfdna": constant("endpoints.d_cfdna"),
        "rho_cells": constant("primary_tumor.rho_cells"),
        "k_lose_dtc": constant(f"{marrow}.k_die_dormant") + constant(f"{marrow}.k_wake"),
        "n_screened": constant("endpoints.n_screened"),
    }


def _platelet(model: Model) -> str:
    return "f_platelet" if "f_platelet" in model.table else "blood_clone_1.f_platelet"
