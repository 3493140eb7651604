"""Morris screening: which uncertain parameters move the output, at a cost of (parameters + 1) runs a trajectory.

Elementary effects of Morris (1991, Technometrics 33:161-174, doi 10.1080/00401706.1991.10484804) with the mean of
absolute effects, mu*, of Campolongo, Cariboni and Saltelli (2007, Environ Model Softw 22:1509-1518,
doi 10.1016/j.envsoft.2006.10.004), computed by SALib.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.priors import from_quantile, stream

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
        Quantiles of the priors, runs x parameters; runs are `trajectories` blocks of (names + 1).
    trajectories : int
    quantile_range : tuple of float
        Lowest and highest quantile of the grid.
    seed : int
    groups : tuple of str
        The group of every parameter, or empty: the parameters of a group move together, each its own way.
    """

    parameters: tuple[Parameter, ...]
    quantiles: np.ndarray = field(repr=False)
    trajectories: int
    quantile_range: tuple[float, float]
    seed: int
    groups: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What moves in one step: the groups in the order of their first parameter, or the parameters."""
        return tuple(dict.fromkeys(self.groups)) or tuple(parameter.id for parameter in self.parameters)

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
    groups: tuple[str, ...] = (),
) -> MorrisDesign:
    """Make the trajectories of a Morris screening in the space of prior quantiles.

    Parameters
    ----------
    parameters : tuple of Parameter
        Uncertain parameters, with unique ids.
    trajectories : int
        At least 2; 10 to 30 are usual. Cost: `trajectories * (len(parameters) + 1)` runs, or (groups + 1).
    seed : int
        0 or above; 0 is as reproducible as any other.
    quantile_range : tuple of float
        The grid spans these quantiles, so that no run has its parameters at their very bounds.
    groups : tuple of str, optional
        The group of every parameter: its parameters move in one step, and mu* is that of the group (Campolongo,
        Cariboni and Saltelli 2007). Far fewer runs when there are hundreds of parameters.

    Returns
    -------
    MorrisDesign
    """
    from SALib.sample import morris

    names = [parameter.id for parameter in parameters]
    _check_layout(names, trajectories, quantile_range)
    if groups and len(groups) != len(names):
        raise AnalysisError(f"Morris design: {len(groups)} groups for {len(names)} parameters; give one for each")
    low, high = quantile_range
    problem = {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
    if groups:
        problem["groups"] = list(groups)
    unit = morris.sample(problem, trajectories, num_levels=LEVELS, seed=stream("morris design", seed))
    return MorrisDesign(
        parameters=tuple(parameters),
        quantiles=low + (high - low) * unit,
        trajectories=trajectories,
        quantile_range=(low, high),
        seed=seed,
        groups=tuple(groups),
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
        One number per run, in the order of the design; NaN or infinite where there is none. Elementary effects with
        such a run at either end are dropped and counted: SALib never sees it, and nothing is put in its place.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.

    Returns
    -------
    xarray.Dataset
        Over `parameter` (its names are groups if the design has groups; a group has no direction, so its `mu` and
        `sigma` are NaN): `mu_star`, `mu`, `sigma` in units of the output per full quantile range,
        `mu_star_confidence`, the half width of the 95 % bootstrap interval of mu*, and `effects`, the number of
        elementary effects behind them. Without any effect all are NaN. `verdict` says in words what the numbers
        stand on.

    Raises
    ------
    AnalysisError
        If the output has the wrong length.
    """
    import numpy as np

    size = len(design.names) + 1
    values = np.asarray(output, dtype=float)
    if values.shape != (design.trajectories * size,):
        raise AnalysisError(
            f"Morris: the output has shape {values.shape}, the design has "
            f"{design.trajectories * size} runs; give one number per run, in its order"
        )
    finite = values[np.isfinite(values)]
    constant = bool(finite.size and np.ptp(finite) <= max(noise, 1e-12 * np.abs(finite).max()))
    first = [design.groups.index(name) for name in design.names] if design.groups else range(size - 1)
    columns = [_one_parameter(design, column, values, constant) for column in first]
    if design.groups:
        columns = [[star, np.nan, np.nan, half, count] for star, _, _, half, count in columns]
    return _as_dataset(design, np.array(columns).T, missing=values.size - finite.size, constant=constant)


_STATISTICS = {
    "mu_star": "mean absolute elementary effect",
    "mu": "mean elementary effect",
    "sigma": "standard deviation of the elementary effects",
    "mu_star_confidence": "half width of the 95 % bootstrap interval of mu*",
    "effects": "elementary effects with a result at both ends",
}


def _one_parameter(design: MorrisDesign, column: int, values: np.ndarray, constant: bool) -> list[float]:
    """Statistics of one parameter, in the order of `_STATISTICS`, from the steps in which it alone moved."""
    import numpy as np

    low, high = design.quantile_range
    shape = (design.trajectories, len(design.names) + 1)
    unit = ((design.quantiles[:, column] - low) / (high - low)).reshape(shape)
    step = np.abs(np.diff(unit, axis=1)).argmax(axis=1)
    rows = np.arange(design.trajectories)[:, None], step[:, None] + np.array([0, 1])
    x, y = unit[rows], values.reshape(shape)[rows]
    whole = np.isfinite(y).all(axis=1)
    count = int(whole.sum())
    if constant and count:
        return [0.0, 0.0, 0.0, 0.0, count]
    if count < 2:
        effect = float(((y[:, 1] - y[:, 0]) / (x[:, 1] - x[:, 0]))[whole][0]) if count else np.nan
        return [abs(effect), effect, np.nan, np.nan, count]
    return [*_salib(x[whole], y[whole], stream(f"morris bootstrap {column}", design.seed)), count]


def _salib(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> list[float]:
    """Let SALib analyze the steps of one parameter: trajectories of two finite runs, in a problem of their own."""
    from SALib.analyze import morris

    problem = {"num_vars": 1, "names": ["x"], "bounds": [[0.0, 1.0]]}
    found: dict[str, Any] = morris.analyze(
        problem, x.reshape(-1, 1), y.reshape(-1), num_levels=LEVELS, num_resamples=1000, seed=generator
    )
    return [float(found[name][0]) for name in ("mu_star", "mu", "sigma", "mu_star_conf")]


def _as_dataset(design: MorrisDesign, statistics: np.ndarray, *, missing: int, constant: bool) -> xr.Dataset:
    import xarray as xr

    data = {name: ("parameter", row) for name, row in zip(_STATISTICS, statistics, strict=True)}
    result = xr.Dataset(data, coords={"parameter": list(design.names)})
    for name, label in _STATISTICS.items():
        result[name].attrs["long_name"] = label
    planned, used = design.trajectories * len(design.names), int(statistics[-1].sum())
    verdict = f"{design.trajectories} trajectories, {used} of {planned} elementary effects used"
    if missing:
        verdict += f"; {planned - used} dropped because one of {missing} runs without a result is at one end"
    if constant:
        verdict += "; the output does not vary by more than the solver's noise, so every effect is given as 0"
    result.attrs = {
        "trajectories": design.trajectories,
        "effects_used": used,
        "effects_planned": planned,
        "levels": LEVELS,
        "seed": design.seed,
        "verdict": verdict,
        "constant_output": int(constant),
    }
    return result
