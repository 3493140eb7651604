"""A small model with the readouts of a patient: nine distant organs, a regional one, surgery, and runs that fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from cascade.specs import Model

ORGANS = tuple(f"o{number}" for number in range(1, 10))


def cohort_model(make_model: Callable[..., Model]) -> Model:
    """Hazards rise with `k`; the regional organ with `z`; with `b` at 1 a run blows up; `day` is that of surgery."""
    lines = ["k = 1e-4; z = 0; b = 0; day = 100; x = 1; x' = b*x^2; primary_tumor__t_surgery := day"]
    for number, organ in enumerate((*ORGANS, "region"), start=1):
        rate = f"k*{1 / number!r}" if organ != "region" else "z"
        lines += [
            f"{organ}_lesions__n_overt = 0; {organ}_lesions__n_overt' = {rate}*exp(-time/3000)",
            f"{organ}_lesions__h_cumulative := {organ}_lesions__n_overt/2",
            f"{organ}_lesions__n_lesions_involved := 1.7*{organ}_lesions__n_overt",
        ]
    lines.append("endpoints__h_cumulative := " + " + ".join(f"{organ}_lesions__h_cumulative" for organ in ORGANS))
    lines.append("endpoints__f_lethal := endpoints__h_cumulative*exp(time/2000)")
    lines.append("at_surgery = 0; E: at time >= day, t0=false: at_surgery = endpoints__h_cumulative")
    lines.append("endpoints__h_since_surgery := endpoints__h_cumulative - at_surgery")
    return make_model("\n".join(lines))


def cohort(runs: int, seed: int = 0) -> dict[str, xr.DataArray]:
    """Values of a cohort in which some runs fail, some are not operated and few reach the regional organ."""
    random = np.random.default_rng(seed)
    number = np.arange(runs)
    values = {
        "k": 10 ** random.uniform(-6, -2, runs),
        "z": np.where(number % 10 == 3, 1e-4, 0.0),
        "b": np.where(number % 17 == 5, 1.0, 0.0),
        "day": np.where(number % 13 == 7, 1e5, random.uniform(100, 3000, runs)),
    }
    return {key: xr.DataArray(column, dims="run", coords={"run": number}) for key, column in values.items()}


READOUTS = ("p_overt_5y", "p_first_site", "n_organs_involved", "hazard_by_year", "t_first_metastasis", "final:x")
FEW = ("p_overt_5y", "p_first_site", "n_organs_involved", "final:x")
