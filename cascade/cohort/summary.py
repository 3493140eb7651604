"""A cohort in numbers: what the whole population shows, under its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of
from cascade.cohort._moments import first_site, reasons_told
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

PERCENTILES = (5.0, 50.0, 95.0)


def weights_of(data: xr.Dataset, weights: xr.DataArray | None = None) -> Numbers:
    """Return the weights of the patients: those given, else `weight` of the Dataset, else 1 for everybody.

    Raises
    ------
    AnalysisError
        If they are of other patients or cannot be weights.
    """
    names = patients_of(data)
    given = weights if weights is not None else data.data_vars.get("weight")
    if given is None:
        return np.ones(len(names))
    if [str(name) for name in given["patient"].values] != names:
        raise AnalysisError(
            "the weights are not of these patients in this order; take those of weight_cohort(outcomes)"
        )
    found = np.asarray(given.values, dtype=float)
    if not np.isfinite(found).all() or found.min() < 0 or found.sum() <= 0:
        raise AnalysisError("the weights must be 0 or more, and not all 0")
    return found


def population_course(outcomes: xr.Dataset, weights: xr.DataArray | None = None) -> xr.Dataset:
    """Return what a population shows: metastasis-free share, hazard by year and first sites.

    Parameters
    ----------
    outcomes : xarray.Dataset
        Result of `follow_cohort`.
    weights : xarray.DataArray, optional
        By default the `weight` of the outcomes, else 1.

    Returns
    -------
    xarray.Dataset
        Of those without metastasis at diagnosis, whose follow-up is known: `p_free` over `month`; `hazard` over `year`
        (per year; year 1 is the first after surgery): it falls in a mixed population even if that of every patient is
        constant; `p_first_site` over `organ`, until the end of follow-up. Of all whose follow-up is known:
        `p_at_diagnosis`, the share with overt metastasis at surgery, and `p_stage` over `stage`, if it is in the
        outcomes. In the attributes the number of patients counted and left out.
    """
    import xarray as xr

    share = weights_of(outcomes, weights)
    hazard = outcomes["h_distant"].transpose("patient", "month").values
    known = np.isfinite(hazard[:, -1]) & (share > 0)
    if not known.any():
        told = reasons_told(outcomes) or "see `reason` of the outcomes"
        raise AnalysisError(f"no patient has a whole follow-up ({told}); follow for fewer years, or mend what differs")
    before = outcomes["h_before"].values[known]
    share = share[known] / share[known].sum()
    without = share * np.exp(-before)
    free = (without / without.sum()) @ np.exp(-hazard[known])
    years = np.arange(1, (hazard.shape[1] - 1) // 12 + 1)
    length = float(outcomes["month"].values[-1]) / 12
    site = (without / without.sum()) @ first_site(outcomes, length)[known]
    found = xr.Dataset(
        {
            "p_free": ("month", free, {"units": "dimensionless", "long_name": "free of overt distant metastasis"}),
            "hazard": ("year", np.log(free[12 * (years - 1)] / free[12 * years]), {"units": "per_year"}),
            "p_first_site": ("organ", site, {"units": "dimensionless", "long_name": "first metastasis in this organ"}),
            "p_at_diagnosis": ((), float(share @ -np.expm1(-before)), {"units": "dimensionless"}),
        },
        coords={"month": outcomes["month"], "year": years, "organ": outcomes["organ"]},
    )
    if "p_stage" in outcomes:
        stages = share @ outcomes["p_stage"].transpose("patient", "stage").values[known]
        found["p_stage"] = ("stage", stages, {"units": "dimensionless", "long_name": "stage at diagnosis"})
        found = found.assign_coords(stage=outcomes["stage"])
    found.attrs = {"patients": int(known.sum()), "left_out": int((~known).sum())}
    return found


def moved_by_weights(cohort: xr.Dataset, weights: Numbers) -> list[str]:
    """Tell which measures and genotypes weights have moved: what is not among the marginals is not held by them.

    A genotype of which 10 % more or fewer patients have it, and a measure whose weighted median is a percentile below
    the 30th or above the 70th of the patients as drawn.
    """
    found = []
    for name, each in cohort.data_vars.items():
        role = each.attrs.get("role")
        if role == "measure" and each.dims == ("patient",) and each.dtype.kind in "fiu":
            plain, moved = (weighted_percentiles(each.values, w, (50.0,))[0] for w in (np.ones(len(weights)), weights))
            if np.mean(each.values <= moved) < 0.3 or np.mean(each.values < moved) > 0.7:
                found.append(f"median of {name} {plain:.3g} to {moved:.3g}")
        elif role == "genotype" and each.ndim == 2:
            other = next(dim for dim in each.dims if dim != "patient")
            held = each.transpose("patient", other).values.astype(float)
            for label, before, after in zip(
                cohort[other].values, held.mean(axis=0), weights @ held / weights.sum(), strict=True
            ):
                if abs(after - before) >= 0.1:
                    found.append(f"{label} {100 * before:.0f} to {100 * after:.0f} %")
    return found


def weighted_percentiles(values: Any, weights: Numbers, at: tuple[float, ...] = PERCENTILES) -> list[float]:
    """Return percentiles of values under weights; what is NaN or has no weight does not count."""
    found = np.asarray(values, dtype=float)
    some = np.isfinite(found) & (weights > 0)
    if not some.any():
        return [float("nan")] * len(at)
    order = np.argsort(found[some], kind="stable")
    sorted_values, sorted_weights = found[some][order], weights[some][order]
    middle = (np.cumsum(sorted_weights) - 0.5 * sorted_weights) / sorted_weights.sum()
    return [float(each) for each in np.interp(np.asarray(at) / 100, middle, sorted_values)]
