"""Morris screening: which uncertain parameters move the output, at a cost of (names + 1) runs a trajectory.

Elementary effects of Morris (1991, Technometrics 33:161-174, doi 10.1080/00401706.1991.10484804) with the mean of
absolute effects, mu*, of Campolongo, Cariboni and Saltelli (2007, Environ Model Softw 22:1509-1518,
doi 10.1016/j.envsoft.2006.10.004). Steps all start from one base point (radial; Campolongo, Saltelli and Cariboni 2011,
Comput Phys Commun 182:978-988, doi 10.1016/j.cpc.2010.12.039), or follow each other on SALib's trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.design import DUMMY, Design
from cascade.sensitivity.failures import Outputs, extremes, is_constant, outputs_of
from cascade.sensitivity.intervals import DRAWS, half_width, jackknife_limits, rank_intervals
from cascade.sensitivity.ranks import TOP
from cascade.sensitivity.steps import LEVELS, morris_design

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["MorrisDesign", "morris_design", "morris_indices"]

MorrisDesign = Design
"""A design of method "morris"."""


def morris_indices(
    design: Design,
    output: xr.DataArray | np.ndarray,
    *,
    noise: float = 0.0,
    top: int = TOP,
    draws: int = DRAWS,
) -> xr.Dataset:
    """Estimate mu*, mu and sigma of every parameter or group from the outputs of a design.

    Parameters
    ----------
    design : Design
        Of `morris_design`.
    output : xarray.DataArray or numpy.ndarray
        One value per run along the dimension `run` (the first of an array) and any others, such as time, organ or
        readout; NaN or infinite where a run failed. Elementary effects with such a run at either end are dropped and
        counted: nothing is put in its place.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.
    top, draws : int
        See `sobol_indices`.

    Returns
    -------
    xarray.Dataset
        Over `name` and the other dimensions of the output: `mu_star`, `mu`, `sigma` in units of the output per full
        quantile range (a group has no direction, so its `mu` and `sigma` are NaN); `mu_star_lower`, `mu_star_upper`,
        the 95 % limits, and `mu_star_confidence`, the half width of the symmetric interval; `mu_star_bound_lower` and
        `_upper`, between which the estimate lies whatever the failed runs would have given within the range of the
        others; `effects`, the number of elementary effects behind them; `rank`, `rank_lower`, `rank_upper`, `p_top`
        by mu* (the dummy has no rank); `mu_star_jackknife` over `replicate` x `name`; `mu_star_floor`, the effect that
        the noise makes: that of the dummy if there is one. Without any effect all are NaN. `verdict` says in words
        what the numbers stand on.

    Raises
    ------
    AnalysisError
        If the design is not of this method, or the output has the wrong number of runs.
    """
    import numpy as np

    if design.method != "morris":
        raise AnalysisError(f"this design is of method {design.method!r}; morris_indices needs one of morris_design")
    outputs = outputs_of(design, output)
    constant = is_constant(outputs.matrix, noise)
    found = _statistics(design, _effects(design, outputs.matrix), constant)
    for end, value in _bounds(design, outputs.matrix).items():
        found[f"mu_star_bound_{end}"] = np.where(constant & (found["effects"] > 0), 0.0, value)
    found["constant"] = constant
    found["mu_star_floor"] = np.full(constant.shape, noise * float(np.mean(1 / np.abs(design.details["step"]))))
    if DUMMY in design.names:
        found["mu_star_floor"] = found["mu_star"][design.names.index(DUMMY)]
    if draws:
        found |= _ranking(design, found, top, draws)
    return _as_dataset(design, found, outputs, top)


def _ends(design: Design, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the outputs before and after every step, and the steps: trajectories x names (x outputs)."""
    import numpy as np

    runs = matrix.reshape(design.samples, -1, matrix.shape[1])
    row = np.arange(design.samples)[:, None]
    return runs[row, design.details["start"]], runs[row, design.details["end"]], design.details["step"][..., None]


def _effects(design: Design, matrix: np.ndarray) -> np.ndarray:
    """Return the elementary effects, trajectories x names x outputs; NaN where a run failed."""
    import numpy as np

    before, after, step = _ends(design, matrix)
    return np.asarray((after - before) / step)


def _bounds(design: Design, matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Return between which values mu* lies, whatever the failed runs would have given."""
    import numpy as np

    before, after, step = _ends(design, matrix)
    low, high = np.fmin.reduce(matrix), np.fmax.reduce(matrix)
    _, greatest = extremes(lambda y, z: np.abs(z - y) / np.abs(step), (before, after), low, high)
    least = np.abs(after - before) / np.abs(step)
    return {"lower": np.where(np.isfinite(least), least, 0.0).mean(axis=0), "upper": greatest.mean(axis=0)}


def _statistics(design: Design, effects: np.ndarray, constant: np.ndarray) -> dict[str, np.ndarray]:
    import numpy as np

    single = np.array([len(chosen) == 1 for chosen in design.sets.values()])[:, None]
    valid = np.isfinite(effects)
    count = valid.sum(axis=0)
    size, signed = np.where(valid, np.abs(effects), 0.0), np.where(valid, effects, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        star, mean = size.sum(axis=0) / count, signed.sum(axis=0) / count
        left_out = np.where(valid, (size.sum(axis=0) - size) / (count - 1), np.nan)
        squares = np.where(valid, (signed - mean) ** 2, 0.0).sum(axis=0)
        sigma = np.where(count > 1, np.sqrt(squares / (count - 1)), np.nan)
    lower, upper = jackknife_limits(star, left_out, positive=True)
    found = {"mu_star": star, "mu": np.where(single, mean, np.nan), "sigma": np.where(single, sigma, np.nan)}
    found |= {"mu_star_lower": lower, "mu_star_upper": upper, "mu_star_confidence": half_width(star, left_out)}
    groups_too = ("mu_star", "mu_star_lower", "mu_star_upper", "mu_star_confidence")
    flat = constant & (count > 0)
    found = {key: np.where(flat & (single | (key in groups_too)), 0.0, value) for key, value in found.items()}
    return found | {"mu_star_jackknife": np.where(flat & valid, 0.0, left_out), "effects": count.astype(float)}


def _ranking(design: Design, found: Mapping[str, np.ndarray], top: int, draws: int) -> dict[str, np.ndarray]:
    import numpy as np

    judged = [place for place, name in enumerate(design.names) if name != DUMMY]
    known = np.where(found["constant"], np.nan, found["mu_star"])[judged]
    left_out = found["mu_star_jackknife"][:, judged]
    result = {}
    for key, values in rank_intervals(known, left_out, top=top, seed=design.seed, draws=draws).items():
        result[key] = np.full(found["mu_star"].shape, np.nan)
        result[key][judged] = values
    return result


_LABELS = {
    "mu_star": "mean absolute elementary effect",
    "mu": "mean elementary effect",
    "sigma": "standard deviation of the elementary effects",
    "mu_star_lower": "lower 95 % limit of mu*",
    "mu_star_upper": "upper 95 % limit of mu*",
    "mu_star_confidence": "half width of the symmetric 95 % interval of mu*",
    "mu_star_bound_lower": "least mu* that the failed runs allow",
    "mu_star_bound_upper": "greatest mu* that the failed runs allow",
    "effects": "elementary effects with a result at both ends",
    "rank": "rank of mu* (1 is the largest; ties share the average)",
    "rank_lower": "lower 95 % limit of the rank",
    "rank_upper": "upper 95 % limit of the rank",
    "p_top": "probability of being among the largest mu*",
    "constant": "whether the output varies by no more than the solver's noise",
    "mu_star_floor": "mu* that is noise of the simulation",
    "mu_star_jackknife": "mu* without each trajectory",
}


def _as_dataset(design: Design, found: Mapping[str, np.ndarray], outputs: Outputs, top: int) -> xr.Dataset:
    import numpy as np
    import xarray as xr

    leading = {1: (), 2: ("name",), 3: ("replicate", "name")}
    data: dict[str, Any] = {
        key: (*outputs.restore(values, *leading[values.ndim]), {"long_name": _LABELS[key]})
        for key, values in found.items()
    }
    result = xr.Dataset(data, coords={"name": list(design.names), **outputs.coords})
    planned = design.samples * len(design.names)
    used = np.unique(found["effects"].sum(axis=0)).astype(int)
    missing = int(np.isnan(outputs.matrix).any(axis=1).sum())
    shown = f"{used[0]}" if used.size == 1 else f"{used[0]} to {used[-1]}"
    verdict = f"{design.samples} trajectories, {shown} of {planned} elementary effects used"
    if missing:
        verdict += f"; {planned - used[0]} dropped because one of {missing} runs without a result is at one end"
    if found["constant"].any():
        which = "the output does" if found["constant"].size == 1 else f"{int(found['constant'].sum())} outputs do"
        verdict += f"; {which} not vary by more than the solver's noise, so every effect is given as 0"
    result.attrs = {
        "method": "morris",
        "index": "mu_star",
        "kind": design.details["kind"],
        "trajectories": design.samples,
        "runs": design.runs,
        "failed_runs": missing,
        "effects_used": int(used[0]),
        "effects_planned": planned,
        "seed": design.seed,
        "top": top,
        "verdict": verdict,
        "constant_output": int(found["constant"].all()),
    }
    if design.details["kind"] == "trajectories":
        result.attrs["levels"] = LEVELS
    return result
