"""Death from other causes: a hazard per year, drawn for each patient by its id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import uniform
from cascade._tables import is_number
from cascade.errors import AnalysisError
from cascade.survival._followed import MONTHS_PER_YEAR, over_patients

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

DEATH = "death"
"""Cause of an event that is no metastasis."""


def death_hazard(death: Any, events: xr.Dataset) -> Numbers:
    """Return the hazard of death from other causes of every patient, per month."""
    n = events.sizes["patient"]
    if is_number(death):
        yearly = np.full(n, float(death))
    else:
        yearly = over_patients(death, events, "hazards of death").astype(float)
    if not np.isfinite(yearly).all() or (yearly < 0).any():
        raise AnalysisError("a hazard of death is no finite number of 0 or more; give a hazard per year")
    return yearly / MONTHS_PER_YEAR


def with_deaths(events: xr.Dataset, death: Any, seed: int) -> xr.Dataset:
    """Return the events with deaths before them, as events of the cause "death"."""
    hazard = death_hazard(death, events)
    if not (hazard > 0).any() or "organ" not in events:
        return events
    patients = events["patient"].values if "patient" in events.coords else range(hazard.size)
    with np.errstate(divide="ignore"):
        when = -np.log(uniform(seed, "death from other causes", map(str, patients))) / hazard
    dead = when < events["time"].values
    organ = np.where(dead, DEATH, events["organ"].values.astype(object))
    return events.assign(
        time=("patient", np.where(dead, when, events["time"].values)),
        event=("patient", dead | events["event"].values),
        organ=("patient", organ.astype(str)),
    )
