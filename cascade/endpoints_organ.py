"""Endpoints by organ: site of the first metastasis, organs involved at death, lesions and burden."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from cascade._organs import by_organ, distant_hazards
from cascade.endpoints import Readout, last, value_at
from cascade.endpoints_time import time_of

if TYPE_CHECKING:
    import xarray as xr

_BURDEN = "endpoints__f_lethal"


def first_site(dataset: xr.Dataset) -> xr.DataArray:
    """Return the probability that by each moment an overt metastasis has appeared, first in each organ.

    Returns
    -------
    xarray.DataArray
        Over `organ`, the sample dimensions and `time`; the sum over organs is the probability of metastasis.

    Notes
    -----
    The integral of hazard_j x S, S = exp(-cumulative hazard of all distant organs). Within a row of the output the
    drop of S is shared in proportion to what each organ adds to the hazard, so that nothing is lost.
    """
    import numpy as np

    hazards = distant_hazards(dataset)
    total = hazards.sum("organ", skipna=False)
    before = {"time": 1}
    steps = (hazards - hazards.shift(before, fill_value=0.0)).clip(min=0)
    step = steps.sum("organ", skipna=False)
    drop = np.exp(-total.shift(before, fill_value=0.0)) - np.exp(-total)
    share = (steps / step.where(step > 0)).fillna(0.0).where(total.notnull())
    return (share * drop.clip(min=0)).cumsum("time", skipna=False)


def _first(dataset: xr.Dataset) -> xr.DataArray:
    return last(first_site(dataset)).transpose(..., "organ")


def _first_share(dataset: xr.Dataset) -> xr.DataArray:
    found = _first(dataset)
    total = found.sum("organ", skipna=False)
    return (found / total.where(total > 0)).transpose(..., "organ")


def lethal_day(dataset: xr.Dataset) -> xr.DataArray:
    """Return the day on which the burden of patients with overt metastasis becomes lethal; NaN if it does not."""
    return time_of(dataset[_BURDEN], 1.0)


def _when(dataset: xr.Dataset) -> xr.DataArray:
    """Day of the autopsy: of lethal burden, else the end of the simulated time."""
    return lethal_day(dataset).fillna(float(dataset["time"].values[-1]))


def _involved(dataset: xr.Dataset) -> xr.DataArray:
    """Probability that an organ holds a lesion that an autopsy finds: lesions of one organ are taken as Poisson."""
    import numpy as np

    number = value_at(by_organ(dataset, "n_lesions_involved"), _when(dataset))
    return cast("xr.DataArray", -np.expm1(-number)).transpose(..., "organ")


def _number_involved(dataset: xr.Dataset) -> xr.DataArray:
    return _involved(dataset).sum("organ", skipna=False)


def _lethal(dataset: xr.Dataset) -> xr.DataArray:
    import numpy as np

    when = lethal_day(dataset)
    words = "the overt burden stays below the lethal one within the horizon"
    return when.assign_coords(reason=(when.dims, np.where(np.isnan(when.values), words, "ok")))


def _at_end(variable: str) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda dataset: last(by_organ(dataset, variable)).transpose(..., "organ")


_HAZARDS = ("*__h_cumulative", "endpoints__h_cumulative")
_AUTOPSY = ("*__n_lesions_involved", _BURDEN)
_COUNTS = (
    ("n_overt", "lesion", "overt lesions (expected number)"),
    ("n_micrometastases", "lesion", "lesions below the detection limit (expected number)"),
    ("n_burden", "cell", "cells in overt lesions (expected number)"),
)
_ALL = (
    Readout(
        name="p_first_site",
        unit="dimensionless",
        needs=_HAZARDS,
        compute=_first,
        meaning="probability that the first overt distant metastasis has appeared in this organ by the end of the"
        " simulated time",
        dims=("organ",),
    ),
    Readout(
        name="f_first_site",
        unit="dimensionless",
        needs=_HAZARDS,
        compute=_first_share,
        meaning="share of first overt distant metastases that appear in this organ",
        dims=("organ",),
    ),
    Readout(
        name="p_involved",
        unit="dimensionless",
        needs=_AUTOPSY,
        compute=_involved,
        meaning="probability that the organ is involved at autopsy, on the day of lethal burden or at the end of the"
        " simulated time",
        dims=("organ",),
    ),
    Readout(
        name="n_organs_involved",
        unit="dimensionless",
        needs=_AUTOPSY,
        compute=_number_involved,
        meaning="expected number of organs involved at autopsy",
        scale="log_ratio",
    ),
    Readout(
        name="t_lethal_burden",
        unit="day",
        needs=(_BURDEN,),
        compute=_lethal,
        meaning="age of the tumor at which the mean burden of patients with overt distant metastasis becomes lethal",
        better="higher",
    ),
    *(
        Readout(
            name=f"{variable}_by_organ",
            unit=unit,
            needs=(f"*__{variable}",),
            compute=_at_end(variable),
            meaning=f"{words} in this organ at the end of the simulated time",
            scale="log_ratio",
            dims=("organ",),
        )
        for variable, unit, words in _COUNTS
    ),
)
NAMED: dict[str, Readout] = {spec.name: spec for spec in _ALL}
"""The named readouts of this file."""
