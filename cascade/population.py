"""Patients differ in metastatic potential: an outer layer over one run, as hazards are linear in the founding rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cascade._tables import is_number, require_whole
from cascade.endpoints_time import hazard_since_surgery
from cascade.errors import AnalysisError
from cascade.specs import Model

if TYPE_CHECKING:
    import xarray as xr

SIGMA = "sigma_potential"
"""Constant of a composition that holds the spread between patients."""

NODES = 120
"""Nodes of the quadrature; right to 3e-7 for a spread of 2.5 (a factor of 12 between patients), to 3e-6 for 3."""


def population_risk(
    source: xr.Dataset | xr.DataArray, sigma: float | xr.DataArray | Model, *, nodes: int = NODES
) -> xr.Dataset:
    """Mix the risk of one patient over a cohort whose metastatic potential is lognormal.

    Parameters
    ----------
    source : xarray.Dataset or xarray.DataArray
        Result of `cascade.simulate` of the median patient: the risk by year after surgery of those who have no overt
        metastasis at surgery. Or any cumulative hazard: over `time`, `year`, tumor size, arms, ...
    sigma : float, DataArray or Model
        Standard deviation of the natural logarithm of the potential between patients; of a model, its constant
        `sigma_potential`.
    nodes : int
        Nodes of the Gauss-Hermite quadrature.

    Returns
    -------
    xarray.Dataset
        `p_overt` and `p_metastasis_free` over the dimensions of the hazard; over a `year`, also `hazard`, the hazard
        that a cohort shows in that year (it falls with time even if that of every patient is constant, since the
        patients of high potential leave first).

    Notes
    -----
    The potential Z multiplies the founding rate, and the cumulative hazard is linear in it:
    P(t) = 1 - E[exp(-Z*H(t))], Z lognormal with median 1. The primary must not depend on the metastases.

    Examples
    --------
    >>> sizes = xr.DataArray([1e9, 1e10], dims="size")
    >>> runs = cascade.simulate(model, years=45, values={"primary_tumor.n_surgery": sizes})
    >>> cascade.population_risk(cascade.readout(runs, "h_since_surgery_20y"), sigma=2.1)["p_overt"]
    """
    import numpy as np
    import xarray as xr

    spread = _spread(sigma)
    hazard, before = _hazards(source)
    require_whole("nodes", nodes, 2, 1_000)
    grid, weight = np.polynomial.hermite_e.hermegauss(nodes)
    free, overt, whole = (xr.zeros_like(hazard) * spread for _ in range(3))
    for position, share in zip(grid, weight / weight.sum(), strict=True):
        potential = np.exp(spread * position)
        share = share * np.exp(-potential * before)
        free = free + share * np.exp(-potential * hazard)
        overt = overt - share * np.expm1(-potential * hazard)
        whole = whole + share
    found = xr.Dataset({"p_overt": overt / whole, "p_metastasis_free": free / whole}).transpose(*hazard.dims, ...)
    if "year" in hazard.dims:
        found["hazard"] = _by_year(found["p_metastasis_free"])
    return _described(found, spread)


def _spread(sigma: float | xr.DataArray | Model) -> float | xr.DataArray:
    if isinstance(sigma, Model):
        return sigma.parameter(SIGMA).nominal
    if not hasattr(sigma, "dims") and not (is_number(sigma) and sigma >= 0):
        raise AnalysisError(f"sigma is {sigma!r}; give a finite number of at least 0")
    return sigma


def _hazards(source: xr.Dataset | xr.DataArray) -> tuple[xr.DataArray, xr.DataArray | float]:
    """Return the cumulative hazard, and the one that the patients had survived before it began."""
    import xarray as xr

    if isinstance(source, xr.DataArray):
        if (source < 0).any():
            raise AnalysisError("the hazard is negative somewhere; give a cumulative hazard, which is 0 or more")
        return source.drop_vars("reason", errors="ignore"), 0.0
    if not isinstance(source, xr.Dataset):
        raise AnalysisError(f"the source is {str(source)[:80]!r}; give a Dataset of simulate(), or a cumulative hazard")
    for name in ("endpoints__h_since_surgery", "endpoints__h_at_surgery", "primary_tumor__t_surgery"):
        if name not in source:
            raise AnalysisError(f"the risk of a population needs {name}, which the dataset does not hold; record it")
    since = hazard_since_surgery(source).drop_vars("reason")
    return since, source["endpoints__h_at_surgery"].isel(time=-1, drop=True)


def _by_year(free: xr.DataArray) -> xr.DataArray:
    """Return the mean hazard since the last of the years given, per year; the first counts from surgery."""
    import numpy as np
    import xarray as xr

    years = free["year"].values.astype(float)
    length = xr.DataArray(np.diff(years, prepend=0.0), dims="year", coords={"year": free["year"]})
    if not (length > 0).all():
        raise AnalysisError(f"the years {list(years)} do not rise from above 0; sort them")
    before = free.shift(year=1, fill_value=1.0)
    return cast("xr.DataArray", (np.log(before) - np.log(free)) / length)


def _described(found: xr.Dataset, spread: float | xr.DataArray) -> xr.Dataset:
    words = {
        "p_overt": ("dimensionless", "probability of overt distant metastasis in the population"),
        "p_metastasis_free": ("dimensionless", "probability of no overt distant metastasis in the population"),
        "hazard": ("per_year", "hazard of overt distant metastasis in the population"),
    }
    for name in found.data_vars:
        found[name].attrs = dict(zip(("units", "long_name"), words[str(name)], strict=True))
    if isinstance(spread, float | int):
        found.attrs["sigma"] = float(spread)
    return found
