"""The smallest tumor that a test shows: of a metastasis in closed form, of the primary along its growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.detection.clinical_test_table import chosen_tests
from cascade.detection.clinical_tests import PRIMARY, ClinicalTest
from cascade.detection.lesion_courses import sphere_mm
from cascade.errors import AnalysisError
from cascade.evaluate import time_grid
from cascade.simulate import simulate
from cascade.specs import Model, require_model

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_PRIMARY = {
    "n": "primary_tumor.n_tumor",
    "day": "primary_tumor.t_surgery",
    "rho": "primary_tumor.rho_cells",
    "ctc": "endpoints.n_ctc",
    "dna": "endpoints.d_ctdna",
    "blood": "endpoints.vol_blood",
    "cfdna": "endpoints.d_cfdna",
}


def detectable_size(tests: Sequence[ClinicalTest | str], signals: xr.Dataset, *, p: float = 0.5) -> xr.Dataset:
    """Return the smallest lesion that a test finds with probability p, in closed form.

    Parameters
    ----------
    tests : sequence of test or str
    signals : xarray.Dataset
        Result of `lesion_signals`: what a cell of a lesion adds to the blood, by organ.
    p : float
        Probability of a positive result.

    Returns
    -------
    xarray.Dataset
        Over `test` and the dimensions of the signals: `n_cells` and `diameter_mm`; 0 where errors alone make it as
        often positive, infinite where no size does, or only one beyond the plateau of lesions.

    Notes
    -----
    Poisson counts: the expected count is the inverse of the incomplete gamma function; molecules: the allele fraction
    is the inverse of the incomplete beta function; scans: the inverse of the sensitivity.
    """
    import xarray as xr

    _probability(p)
    chosen = chosen_tests(tests)
    shape = signals["k_growth"].shape
    organ = np.broadcast_to(signals["organ"].broadcast_like(signals["k_growth"]).values.astype(str), shape)
    normal, rho = signals["d_cfdna"].values, signals["rho_cells"].values
    sizes = []
    for test in chosen:
        name, need = test.needed(p, {"organ": organ, "d_cfdna": normal})
        if name == "f_dtc":
            raise AnalysisError(
                f"test {test.name!r} looks at disseminated cells, which do not depend on a lesion's size"
            )
        if name == "diameter_mm":
            with np.errstate(over="ignore"):
                cells = np.pi / 6 * (need / 10) ** 3 * rho
        else:
            cells = need / signals[{"d_ctc": "ctc_per_cell", "d_ctdna": "ctdna_per_cell"}[name]].values
        sizes.append(np.where(cells > signals["cap_lesion"].values, np.inf, cells))
    dims = ("test", *signals["k_growth"].dims)
    cells = np.stack(sizes)
    data = {
        "n_cells": (dims, cells, {"units": "cell"}),
        "diameter_mm": (dims, sphere_mm(cells, rho), {"units": "mm"}),
    }
    coords = {"test": [test.name for test in chosen]} | {name: signals[name] for name in signals["k_growth"].dims}
    return xr.Dataset(data, coords=coords, attrs={"p": float(p)})


def screen_primary(
    model: Model,
    tests: Sequence[ClinicalTest | str],
    *,
    p: float = 0.5,
    values: Mapping[str, float] | None = None,
    years: float | None = None,
    points: int = 200,
) -> xr.Dataset:
    """Return what tests would find of the primary tumor before it is operated, by its size.

    Parameters
    ----------
    model : Model
        A composition; the tumor grows as in it.
    tests : sequence of test or str
        Of a scan, the organ `primary`.
    p : float
        Probability for `diameter_found`.
    values : mapping of str to float, optional
        Constants of the patient that differ.
    years, points : optional
        Length of the simulation; sizes of the result.

    Returns
    -------
    xarray.Dataset
        `p_positive` over `test` and `diameter_mm` (1 mm to the size at surgery), what the blood holds (`d_ctc`,
        `d_ctdna`), and `diameter_found` by test: the diameter that is found with probability p (0: errors alone are as
        often positive; infinite: not before surgery).
    """
    import xarray as xr

    require_model(model, "screen_primary")
    _probability(p)
    chosen = chosen_tests(tests)
    body = _before_surgery(model, values or {}, years, points)
    grid, normal = body["diameter_mm"], body["d_cfdna"][:1]
    found, limits = [], []
    for test in chosen:
        if "f_dtc" in test.needs:
            raise AnalysisError(
                f"test {test.name!r} looks at disseminated cells; it does not screen for a primary tumor"
            )
        name, need = test.needed(p, {"organ": np.array([PRIMARY]), "d_cfdna": normal})
        found.append(test.chance(body))
        limits.append(_where(grid, body[name], float(np.ravel(need)[0])))
    labels = [test.name for test in chosen]
    return xr.Dataset(
        {
            "p_positive": (("test", "diameter_mm"), np.stack(found), {"units": "dimensionless"}),
            "diameter_found": ("test", np.array(limits), {"units": "mm"}),
            "d_ctc": ("diameter_mm", body["d_ctc"], {"units": "cell_per_ml"}),
            "d_ctdna": ("diameter_mm", body["d_ctdna"], {"units": "copy_per_ml"}),
        },
        coords={"test": labels, "diameter_mm": ("diameter_mm", grid, {"units": "mm"})},
        attrs={"model": model.name, "p": float(p)},
    )


def _before_surgery(
    model: Model, values: Mapping[str, float], years: float | None, points: int
) -> dict[str, NDArray[Any]]:
    """Return what the body shows while the primary grows, over a grid of its diameters up to surgery."""
    flat = {key: model.id(name) for key, name in _PRIMARY.items()}
    given = {model.id(name): float(each) for name, each in values.items()}
    rho, blood, normal = (given.get(flat[key], model.parameter(flat[key]).nominal) for key in ("rho", "blood", "cfdna"))
    record = [flat[key] for key in ("n", "ctc", "dna", "day")]
    run = simulate(model, values=given, record=record, **time_grid(model, years))
    before = run["time"].values < run[flat["day"]].values[-1]
    size = np.maximum.accumulate(run[flat["n"]].values[before])
    keep = np.flatnonzero(np.diff(size, prepend=-1.0) > 0)
    diameter = np.log(sphere_mm(size[keep], rho))
    if not len(keep) or not diameter[-1] > 0:
        raise AnalysisError("the primary tumor does not reach 1 mm before surgery in this simulation; give more years")
    grid = np.linspace(0.0, diameter[-1], points)

    def along(key: str) -> Numbers:
        value = np.log(np.maximum(run[flat[key]].values[before][keep], 1e-300))
        return np.asarray(np.exp(np.interp(grid, diameter, value)))

    body: dict[str, NDArray[Any]] = {"d_ctc": along("ctc") / blood, "d_ctdna": along("dna")}
    body |= {"d_cfdna": np.full(points, normal), "diameter_mm": np.exp(grid), "organ": np.full(points, PRIMARY)}
    return body


def _where(grid: Numbers, signal: NDArray[Any], need: float) -> float:
    """Return the diameter at which a signal that rises with size reaches what is needed; a power law between points."""
    if need <= 0:
        return 0.0
    signal = np.maximum.accumulate(signal.astype(float))
    if need > signal[-1]:
        return float("inf")
    if need <= signal[0]:  # below the smallest diameter: by the power law of its first points
        slope = np.log(signal[1] / signal[0]) / np.log(grid[1] / grid[0])
        return float(grid[0] * (need / signal[0]) ** (1 / slope)) if slope > 0 else float(grid[0])
    return float(np.exp(np.interp(np.log(need), np.log(signal), np.log(grid))))


def _probability(p: float) -> None:
    if not (is_number(p) and 0 < p < 1):
        raise AnalysisError(f"p is {p!r}; give a probability between 0 and 1")
