"""Morris screening: which uncertain parameters move the output, at a cost of (parameters + 1) runs a trajectory.

Elementary effects of Morris (1991, Technometrics 33:161-174, doi 10.1080/00401706.1991.10484804) with the mean of
absolute effects, mu*, of Campolongo, Cariboni and Saltelli (2007, Environ Model Softw 22:1509-1518,
doi 10.1016/j.envsoft.2006.10.004), computed by SALib.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.design import from_quantile, stream

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.specs import Parameter

LEVELS = 4
"""Levels of the Morris grid; SALib's and the literature's usual choice."""


@dataclass(frozen=True, kw_only=True)
class MorrisDesign:
    """A Morris design that knows its own layout, so that nobody repeats it when analyzing.

    Attributes
    ----------
    parameters : tuple of Parameter
        The uncertain parameters, one column each.
    quantiles : numpy.ndarray
        Quantiles of the priors, runs x parameters; runs are `trajectories` blocks of (parameters + 1).
    trajectories : int
    quantile_range : tuple of float
        Lowest and highest quantile of the grid.
    seed : int
    """

    parameters: tuple[Parameter, ...]
    quantiles: np.ndarray = field(repr=False)
    trajectories: int
    quantile_range: tuple[float, float]
    seed: int

    def values(self) -> dict[str, np.ndarray]:
        """Return the value of every parameter (flat id) in every run."""
        columns = zip(self.parameters, self.quantiles.T, strict=True)
        return {parameter.id: from_quantile(parameter, column) for parameter, column in columns}


def morris_design(
    parameters: tuple[Parameter, ...],
    trajectories: int,
    *,
    seed: int,
    quantile_range: tuple[float, float] = (0.05, 0.95),
) -> MorrisDesign:
    """Make the trajectories of a Morris screening in the space of prior quantiles.

    Parameters
    ----------
    parameters : tuple of Parameter
        Uncertain parameters, with unique ids.
    trajectories : int
        At least 2; 10 to 30 are usual. Cost: `trajectories * (len(parameters) + 1)` runs.
    seed : int
        0 or above; 0 is as reproducible as any other.
    quantile_range : tuple of float
        The grid spans these quantiles, so that no run has its parameters at their very bounds.

    Returns
    -------
    MorrisDesign
    """
    from SALib.sample import morris

    names = [parameter.id for parameter in parameters]
    _check_layout(names, trajectories, quantile_range)
    low, high = quantile_range
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
    unit = morris.sample(problem, trajectories, num_levels=LEVELS, seed=stream("morris design", seed))
    return MorrisDesign(
        parameters=tuple(parameters),
        quantiles=low + (high - low) * unit,
        trajectories=trajectories,
        quantile_range=(low, high),
        seed=seed,
    )


def _check_layout(names: list[str], trajectories: int, quantile_range: tuple[float, float]) -> None:
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise AnalysisError(f"Morris design: the names {', '.join(double)} occur twice; make them unique")
    if not names:
        raise AnalysisError(
            "Morris design: there is no uncertain parameter; set `estimate` to true for some parameters"
        )
    if trajectories < 2:
        raise AnalysisError(f"Morris design: {trajectories} trajectories; take at least 2, better 10 or more")
    low, high = quantile_range
    if not 0 <= low < high <= 1:
        raise AnalysisError(f"Morris design: quantile range {quantile_range} must lie inside 0 to 1, lower one first")


def morris_effects(design: MorrisDesign, output: np.ndarray, *, noise: float = 0.0) -> xr.Dataset:
    """Estimate mu*, mu and sigma of every parameter from the outputs of a design.

    Parameters
    ----------
    design : MorrisDesign
    output : numpy.ndarray
        One number per run, in the order of the design; NaN or infinite where the run failed. A trajectory with a
        failed run is dropped as a whole: SALib never sees it.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.

    Returns
    -------
    xarray.Dataset
        Over `parameter`: `mu_star`, `mu`, `sigma` in units of the output per full quantile range, and
        `mu_star_confidence`, the half width of the 95 % bootstrap interval of mu*. Attributes count trajectories
        and `verdict` says in words what the numbers stand on.

    Raises
    ------
    AnalysisError
        If the output has the wrong length, or fewer than two trajectories are complete.
    """
    import numpy as np

    size = len(design.parameters) + 1
    values = np.asarray(output, dtype=float)
    if values.shape != (design.trajectories * size,):
        raise AnalysisError(
            f"Morris: the output has shape {values.shape}, the design has "
            f"{design.trajectories * size} runs; give one number per run, in its order"
        )
    complete = np.isfinite(values.reshape(design.trajectories, size)).all(axis=1)
    if complete.sum() < 2:
        raise AnalysisError(
            f"Morris: only {int(complete.sum())} of {design.trajectories} trajectories have no failed "
            "run; at least 2 are needed: look at the status of the runs or narrow the priors"
        )
    kept = np.repeat(complete, size)
    constant = bool(np.ptp(values[kept]) <= max(noise, 1e-12 * np.abs(values[kept]).max()))
    if constant:
        statistics = {name: np.zeros(size - 1) for name in ("mu_star", "mu", "sigma", "mu_star_confidence")}
    else:
        statistics = _salib(design, kept, values)
    return _as_dataset(design, statistics, dropped=int((~complete).sum()), constant=constant)


def _salib(design: MorrisDesign, kept: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """Call SALib on finite numbers only, with a problem of our own that it may change."""
    import numpy as np
    from SALib.analyze import morris

    names = [parameter.id for parameter in design.parameters]
    low, high = design.quantile_range
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
    unit = (design.quantiles[kept] - low) / (high - low)
    found: dict[str, Any] = morris.analyze(
        problem, unit, values[kept], num_levels=LEVELS, num_resamples=1000, seed=stream("morris bootstrap", design.seed)
    )
    keys = {"mu_star": "mu_star", "mu": "mu", "sigma": "sigma", "mu_star_confidence": "mu_star_conf"}
    return {ours: np.ma.filled(np.ma.asarray(found[theirs], dtype=float), np.nan) for ours, theirs in keys.items()}


def _as_dataset(design: MorrisDesign, statistics: dict[str, np.ndarray], *, dropped: int, constant: bool) -> xr.Dataset:
    import xarray as xr

    used = design.trajectories - dropped
    verdict = f"{used} of {design.trajectories} trajectories used"
    if dropped:
        verdict += f"; {dropped} dropped because a run in them failed"
    if constant:
        verdict += "; the output does not vary by more than the solver's noise, so every effect is given as 0"
    labels = {
        "mu_star": "mean absolute elementary effect",
        "mu": "mean elementary effect",
        "sigma": "standard deviation of the elementary effects",
        "mu_star_confidence": "half width of the 95 % bootstrap interval of mu*",
    }
    data = {name: ("parameter", statistics[name], {"long_name": label}) for name, label in labels.items()}
    names = [parameter.id for parameter in design.parameters]
    attrs = {
        "trajectories": design.trajectories,
        "trajectories_used": used,
        "levels": LEVELS,
        "seed": design.seed,
        "verdict": verdict,
        "constant_output": int(constant),
    }
    return xr.Dataset(data, coords={"parameter": names}, attrs=attrs)
