"""The endpoints of a clinic or an assay, one number a run; more in `endpoints_time` and `endpoints_organ`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

DAYS_PER_YEAR = 365.25
"""Length of a (Julian) year in days."""

Scale = Literal["difference", "log_ratio"]

NOT_OPERATED = "not operated within the horizon"
SURGERY = ("primary_tumor__t_surgery",)
AFTER = ("endpoints__h_since_surgery", *SURGERY)
"""What a readout of the time after surgery needs."""


@dataclass(frozen=True, kw_only=True)
class Readout:
    """One named number of a run.

    Attributes
    ----------
    name, unit, meaning : str
        What it is called, its unit id and what it says in words.
    needs : tuple of str
        Flat ids that the Dataset must hold; `*` stands for any instance.
    compute : callable
        Dataset to DataArray over the sample dimensions.
    hazard : str
        The readout whose ratio is the hazard ratio that belongs to this one; empty if it has none.
    scale : {"difference", "log_ratio"}
        How a treatment's effect on it is averaged over patients.
    better : {"lower", "higher"}
        Which direction helps the patient.
    dims : tuple of str
        Dimensions that the value has beyond those of the samples; empty for one number a run.
    """

    name: str
    unit: str
    meaning: str
    needs: tuple[str, ...]
    compute: Callable[[xr.Dataset], xr.DataArray]
    hazard: str = ""
    scale: Scale = "difference"
    better: Literal["lower", "higher"] = "lower"
    dims: tuple[str, ...] = ()


def last(variable: xr.DataArray) -> xr.DataArray:
    """Return the value at the end of the simulated time."""
    return variable.isel(time=-1, drop=True) if "time" in variable.dims else variable


def surgery_time(dataset: xr.Dataset) -> xr.DataArray:
    """Day of the operation; NaN if there was none within the horizon."""
    horizon = float(dataset["time"].values[-1])
    when = last(dataset["primary_tumor__t_surgery"]).astype(float)
    return when.where((when >= 0) & (when <= horizon))


def value_at(series: xr.DataArray, when: xr.DataArray) -> xr.DataArray:
    """Interpolate linearly in time, one moment per run; NaN outside the simulated time."""
    import numpy as np
    import xarray as xr

    time = series["time"].values

    def one(row: np.ndarray, moment: float) -> float:
        return float(np.interp(moment, time, row, left=np.nan, right=np.nan))

    result: xr.DataArray = xr.apply_ufunc(one, series, when, input_core_dims=[["time"], []], vectorize=True)
    return result


def after_surgery(dataset: xr.Dataset, years: float, needed: float | None = None) -> xr.DataArray:
    """Cumulative hazard of overt distant metastasis `years` after the operation, with the reason of every NaN."""
    import numpy as np

    surgery = surgery_time(dataset)
    horizon = float(dataset["time"].values[-1])
    needed = years if needed is None else needed
    value = value_at(dataset["endpoints__h_since_surgery"], surgery + years * DAYS_PER_YEAR)
    too_short = surgery.values + needed * DAYS_PER_YEAR > horizon
    reason = np.select(
        [np.isnan(surgery.values), too_short, np.isnan(value.values)],
        [
            NOT_OPERATED,
            f"the horizon ends less than {needed:g} years after surgery",
            "the value is not a finite number",
        ],
        "ok",
    )
    return value.where(surgery + needed * DAYS_PER_YEAR <= horizon).assign_coords(reason=(value.dims, reason))


def _probability_after(years: float) -> Callable[[xr.Dataset], xr.DataArray]:
    def compute(dataset: xr.Dataset) -> xr.DataArray:
        import numpy as np

        return cast("xr.DataArray", -np.expm1(-after_surgery(dataset, years)))

    return compute


def _hazard_after(years: float) -> Callable[[xr.Dataset], xr.DataArray]:
    return lambda dataset: after_surgery(dataset, years)


def _hazard_rate(years: float) -> Callable[[xr.Dataset], xr.DataArray]:
    def compute(dataset: xr.Dataset) -> xr.DataArray:
        late = after_surgery(dataset, years + 0.5)
        return (late - after_surgery(dataset, years - 0.5, needed=years + 0.5)) / DAYS_PER_YEAR

    return compute


def at_surgery(pattern: str) -> Callable[[xr.Dataset], xr.DataArray]:
    """Sum of the matching variables at the last output row before the operation."""

    def compute(dataset: xr.Dataset) -> xr.DataArray:
        import numpy as np

        surgery = surgery_time(dataset)
        names = [str(name) for name in dataset.data_vars if fnmatchcase(str(name), pattern)]
        total = sum((dataset[name] for name in names[1:]), start=dataset[names[0]])
        row = (dataset["time"] < surgery).sum("time") - 1
        before = total.isel(time=row.clip(min=0)).drop_vars("time").where(row >= 0)
        reason = np.where(np.isnan(surgery.values), NOT_OPERATED, "ok")
        return before.where(surgery.notnull()).assign_coords(reason=(surgery.dims, reason))

    return compute


def at_operation(variable: str) -> Callable[[xr.Dataset], xr.DataArray]:
    """Return the value of a variable at the operation, carried on from the two output rows before it.

    The operation itself changes many variables between two rows. What is positive is carried on as an exponential,
    right to some thousandths for the diameter of a tumor that grows fast, with rows of a month.
    """

    def compute(dataset: xr.Dataset) -> xr.DataArray:
        import numpy as np

        surgery = surgery_time(dataset)
        if "time" not in dataset[variable].dims:
            value, reason = dataset[variable].where(surgery.notnull()), surgery.notnull()
        else:
            row = (dataset["time"] < surgery).sum("time") - 1
            late, early = (dataset[variable].isel(time=(row - back).clip(min=0)) for back in (0, 1))
            width = late["time"] - early["time"]
            share = ((surgery - late["time"]) / width.where(width > 0)).fillna(0.0)
            grown = late * (late / early.where(early > 0)) ** share
            value = grown.where((late > 0) & (early > 0), late + share * (late - early)).drop_vars(
                "time", errors="ignore"
            )
            value, reason = value.where(surgery.notnull() & (row >= 0)), surgery.notnull() & (row >= 0)
        return value.assign_coords(reason=(surgery.dims, np.where(reason.values, "ok", NOT_OPERATED)))

    return compute


def _final_probability(dataset: xr.Dataset) -> xr.DataArray:
    import numpy as np

    return cast("xr.DataArray", -np.expm1(-last(dataset["endpoints__h_cumulative"])))


SAMPLES = (
    ("ctc_per_tube", "cell", "expected circulating tumor cells in a 7.5 mL tube"),
    ("p_ctc_positive", "dimensionless", "probability of a circulating tumor cell in a 7.5 mL tube"),
    ("vaf_ctdna", "dimensionless", "allele fraction of circulating tumor DNA"),
    ("p_dtc_positive", "dimensionless", "probability that a marrow sample holds disseminated tumor cells"),
)
"""What is read in a sample of blood or marrow: variable of `endpoints`, unit, words."""

_ALL = (
    *(
        Readout(
            name=f"p_overt_{y}y",
            unit="dimensionless",
            needs=AFTER,
            compute=_probability_after(y),
            meaning=f"probability of overt distant metastasis within {y} years after surgery",
            hazard=f"h_since_surgery_{y}y",
        )
        for y in (5, 10, 20)
    ),
    *(
        Readout(
            name=f"h_since_surgery_{y}y",
            unit="dimensionless",
            needs=AFTER,
            compute=_hazard_after(y),
            meaning=f"cumulative hazard of overt distant metastasis in the {y} years after surgery",
            hazard=f"h_since_surgery_{y}y",
            scale="log_ratio",
        )
        for y in (5, 10, 20)
    ),
    *(
        Readout(
            name=f"hazard_{y}y",
            unit="per_day",
            needs=AFTER,
            compute=_hazard_rate(y),
            meaning=f"hazard rate of overt distant metastasis {y} years after surgery (mean over that year)",
            hazard=f"hazard_{y}y",
            scale="log_ratio",
        )
        for y in (2, 5, 10)
    ),
    Readout(
        name="p_overt",
        unit="dimensionless",
        needs=("endpoints__h_cumulative",),
        compute=_final_probability,
        meaning="probability of overt distant metastasis by the end of the simulated time",
        hazard="h_cumulative",
    ),
    Readout(
        name="h_cumulative",
        unit="dimensionless",
        needs=("endpoints__h_cumulative",),
        compute=lambda dataset: last(dataset["endpoints__h_cumulative"]),
        hazard="h_cumulative",
        meaning="cumulative hazard of overt distant metastasis by the end of the simulated time",
        scale="log_ratio",
    ),
    Readout(
        name="t_surgery",
        unit="day",
        needs=SURGERY,
        compute=surgery_time,
        better="higher",
        meaning="age of the primary tumor at surgery",
    ),
    Readout(
        name="diameter_at_surgery",
        unit="mm",
        needs=("primary_tumor__diameter", *SURGERY),
        compute=at_surgery("primary_tumor__diameter"),
        scale="log_ratio",
        meaning="diameter of the primary tumor at the last output row before surgery",
    ),
    *(
        Readout(
            name=f"{name}_at_surgery",
            unit=unit,
            needs=(f"endpoints__{name}", *SURGERY),
            compute=at_surgery(f"endpoints__{name}"),
            scale="log_ratio",
            meaning=f"{words} at the last output row before surgery",
        )
        for name, unit, words in SAMPLES
    ),
    Readout(
        name="n_dtc_at_surgery",
        unit="cell",
        needs=("*__n_dtc", *SURGERY),
        compute=at_surgery("*__n_dtc"),
        meaning="disseminated tumor cells in all organs at the last output row before surgery",
        scale="log_ratio",
    ),
)
NAMED: dict[str, Readout] = {spec.name: spec for spec in _ALL}
"""The named readouts."""
