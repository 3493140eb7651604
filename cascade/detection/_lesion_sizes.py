"""The size of lesions at any month, and what of it the blood and the marrow show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.detection._lesion_growth import DAYS_PER_MONTH, growth_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_COURSE = {
    "n_lesion": ("cell", "cells of the first metastasis"),
    "diameter_mm": ("mm", "diameter of the first metastasis"),
    "d_ctc": ("cell_per_ml", "circulating tumor cells of the metastasis"),
    "d_ctdna": ("copy_per_ml", "circulating tumor DNA of the metastasis"),
    "d_cfdna": ("copy_per_ml", "normal cell-free DNA"),
    "vaf_ctdna": ("dimensionless", "variant allele fraction"),
    "f_dtc": ("dimensionless", "disseminated tumor cells per cell of the marrow"),
}


def gompertz_size(time: Any, size: Any, rate: Any, plateau: Any) -> Any:
    """Return the size a time after (or before) a lesion had `size`: ln(plateau/n) falls by exp(-rate*time)."""
    return plateau * np.exp(np.log(np.asarray(size) / plateau) * np.exp(-np.asarray(rate) * time))


def gompertz_time(first: Any, second: Any, rate: Any, plateau: Any) -> Any:
    """Return the time in which a lesion grows from the first to the second size, both below the plateau."""
    return np.log(np.log(plateau / np.asarray(first)) / np.log(plateau / np.asarray(second))) / rate


def sphere_mm(cells: Any, rho: Any) -> Any:
    """Return the diameter in mm of a ball of cells with `rho` cells per ml."""
    return 10 * np.cbrt(6 * np.asarray(cells) / (math.pi * np.asarray(rho)))


def sphere_cells(diameter_mm: Any, rho: Any) -> Any:
    """Return the cells in a ball of a diameter in mm with `rho` cells per ml."""
    return math.pi / 6 * (np.asarray(diameter_mm) / 10) ** 3 * np.asarray(rho)


def size_in(courses: xr.Dataset, months: Numbers) -> Numbers:
    """Return the cells of every metastasis by months (patient, any), as if it had always been growing.

    Before it is overt it is at most as large as then, whatever a treatment did later.
    """
    own = {name: courses[name].values for name in ("k_growth", "time", "n_detectable", "cap_lesion")}
    if "growth" in courses:
        own["growth"] = courses["growth"].values
    growth = growth_of(own, courses.coords.get("growth_month"))
    when = own["time"][:, None]
    grown = growth.at(months) - growth.at(when)
    over, cap = own["n_detectable"][:, None], own["cap_lesion"][:, None]
    size = gompertz_size(grown, over, 1.0, cap)
    return np.asarray(np.where(months < when, np.minimum(size, over), size))


def course_at(courses: xr.Dataset, months: Any) -> xr.Dataset:
    """Return what the bodies of the patients show in the months after surgery.

    Parameters
    ----------
    courses : xarray.Dataset
        Result of `follow_lesions`.
    months : sequence of float
        Months since surgery.

    Returns
    -------
    xarray.Dataset
        Over `patient` and `month`: `n_lesion`, `diameter_mm`, `d_ctc`, `d_ctdna`, `d_cfdna`, `vaf_ctdna`, `f_dtc`.
    """
    import xarray as xr

    when = np.atleast_1d(np.asarray(months, dtype=float))
    own = {str(name): each.values[:, None] for name, each in courses.data_vars.items() if each.dims == ("patient",)}
    growing = own["event"] & (when >= own["t_start"])
    size = np.where(growing, size_in(courses, np.where(growing, when, own["time"])), 0.0)
    dna = size * own["ctdna_per_cell"]
    normal = np.broadcast_to(own["d_cfdna"], size.shape)
    values = {
        "n_lesion": size,
        "diameter_mm": sphere_mm(size, own["rho_cells"]),
        "d_ctc": size * own["ctc_per_cell"],
        "d_ctdna": dna,
        "d_cfdna": normal,
        "vaf_ctdna": np.divide(dna, dna + normal, out=np.zeros(size.shape), where=dna > 0),
        "f_dtc": own["f_dtc"] * np.exp(-own["k_lose_dtc"] * when * DAYS_PER_MONTH),
    }
    return xr.Dataset(
        {
            name: (("patient", "month"), each, dict(zip(("units", "long_name"), _COURSE[name], strict=True)))
            for name, each in values.items()
        },
        coords={"patient": courses["patient"], "month": ("month", when, {"units": "month"}), "organ": courses["organ"]},
    )
