"""From hazards to events: when the first metastasis appears, where, and in which stage a patient is diagnosed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of, uniform
from cascade.cohort.stage import STAGES, stage_chances

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


def staged(outcomes: xr.Dataset, cohort: xr.Dataset) -> xr.Dataset:
    """Add the chance of every stage; the size that a clinic knows goes before that of the model."""
    given = cohort.get("diameter_mm", outcomes.get("diameter_mm"))
    if given is None or "p_node" not in outcomes:
        return outcomes
    size = np.where(np.isfinite(outcomes["h_before"].values), given.values.astype(float), np.nan)
    chances = stage_chances(size, outcomes["p_node"].values, -np.expm1(-outcomes["h_before"].values))
    about = {"units": "dimensionless", "long_name": "chance of the stage at diagnosis"}
    return outcomes.assign(p_stage=(("patient", "stage"), chances, about)).assign_coords(stage=list(STAGES))


def drawn_stages(outcomes: xr.Dataset, metastatic: NDArray[np.bool_], seed: int) -> NDArray[Any]:
    """Return the stage of every patient, "" where it is not known."""
    chances = outcomes["p_stage"].transpose("patient", "stage").values
    node = uniform(seed, "reading of p_node", patients_of(outcomes)) > 1 - outcomes["p_node"].values
    # the class of size is the one whose stages have a chance; it is known unless everything is
    place = 2 * np.nan_to_num(chances[:, 0:6:2] + chances[:, 1:6:2]).argmax(axis=1) + node
    return np.where(metastatic, STAGES[-1], np.where(np.isfinite(chances[:, 0]), np.array(STAGES)[place], ""))


def first_time(
    total: NDArray[np.float64], level: NDArray[np.float64], months: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return the month in which the hazard reaches a level, or that of the last one known; whether it does; the row."""
    known = np.isfinite(total).sum(axis=1)
    reached = np.nan_to_num(total, nan=-np.inf) >= level[:, None]
    event = reached.any(axis=1) & (known > 0)
    after = np.clip(np.where(event, reached.argmax(axis=1), 1), 1, len(months) - 1)
    rows = np.arange(len(total))
    low, high = total[rows, after - 1], total[rows, after]
    with np.errstate(all="ignore"):
        share = np.where(high > low, (level - low) / (high - low), 1.0)
    when = months[after - 1] + np.clip(share, 0.0, 1.0) * (months[after] - months[after - 1])
    last = np.where(known > 0, months[np.maximum(known - 1, 0)], np.nan)
    return np.where(event, when, last), event, after - 1


def first_site(
    share: NDArray[np.float64], luck: NDArray[np.float64], organs: NDArray[Any], event: NDArray[np.bool_]
) -> NDArray[Any]:
    """Choose an organ in proportion to its share, by a number between 0 and 1."""
    rising = np.cumsum(np.nan_to_num(share), axis=1)
    whole = rising[:, -1]
    chosen = (rising <= (luck * whole)[:, None]).sum(axis=1)
    chosen = np.minimum(chosen, len(organs) - 1)
    return np.where(event, organs.astype(str)[chosen], "")
