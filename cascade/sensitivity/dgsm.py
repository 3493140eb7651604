"""DGSM: mean squared derivatives over the priors, and the upper bound that they give for total Sobol indices.

Sobol' and Kucherenko (2009, doi 10.1016/j.matcom.2009.01.023): the total index of a parameter is at most C nu / Var,
where nu is its mean squared derivative, Var the variance of the output and C the Poincare constant of its prior. A
parameter with a small bound can be fixed. Derivatives are taken where the prior is simple: by the quantile for uniform
priors (C = 1 / pi^2) and by the normal score for normal ones (C = 1, or (range / pi)^2 if that is smaller; Roustant,
Barthe and Iooss 2017, Electron J Stat 11:3081-3119), since the derivative by a quantile explodes in tails.

SALib's `dgsm.analyze` gives the same bounds (a test holds the two equal) but neither leaves out single failed steps nor
gives an interval of the bound: its interval is that of nu. Its sample takes steps proportional to the value, which fall
below the noise of the solver near 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.correlation import refuse_correlated
from cascade.sensitivity.design import DUMMY, Design, layout
from cascade.sensitivity.failures import is_constant, outputs_of
from cascade.sensitivity.given_data import EDGE, finish, say_runs, tabulate
from cascade.sensitivity.intervals import jackknife_limits
from cascade.sensitivity.priors import check_prior, stream

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.specs import Parameter

STEP = 0.02
"""Step as a share of the range of the quantile or normal score: large beside the solver's noise."""

MINIMUM = 5
"""Fewest derivatives of a parameter."""


def dgsm_design(
    parameters: Sequence[Parameter],
    samples: int,
    *,
    seed: int,
    groups: Mapping[str, Sequence[str]] | None = None,
    step: float = STEP,
    dummy: bool = True,
) -> Design:
    """Make blocks of one base run and one step of every parameter.

    Parameters
    ----------
    parameters : sequence of Parameter
    samples : int
        Number of blocks, at least 2; some tens. The first n blocks do not change when more are asked for. Cost:
        `samples * (parameters + 1)` runs, and one more a block for the dummy.
    seed : int
        0 or above.
    groups : mapping of str to sequence of str, optional
        Ids by group; the bound of a group is the sum of its parameters' bounds.
    step : float
        Length of the steps as a share of the range of the quantile (of the normal score for normal priors), 0.001 to
        0.2; towards the middle of the prior.
    dummy : bool
        Whether there is a step of nothing: its run repeats the base, and what it moves is the noise of the simulation.

    Returns
    -------
    Design
        Method "dgsm".
    """
    import numpy as np

    if samples < 2:
        raise AnalysisError(f"samples is {samples}; take at least 2 blocks, better some tens")
    if not 0.001 <= step <= 0.2:
        raise AnalysisError(f"step is {step}; take a share of the prior's range from 0.001 to 0.2")
    columns, sets = layout(parameters, groups, dummy=dummy)
    for parameter in parameters:
        check_prior(parameter)
    base = np.stack([stream(f"dgsm {name}", seed).random(samples) for name in columns], axis=1)
    base = np.clip(base, EDGE, 1 - EDGE)
    quantiles = np.repeat(base[:, None, :], len(columns) + 1, axis=1)
    for place, moved in enumerate(_with_dummy(parameters, columns)):
        quantiles[:, place + 1, place] = _stepped(moved, base[:, place], step)
    return Design(
        method="dgsm",
        parameters=tuple(parameters),
        columns=columns,
        sets=sets,
        quantiles=quantiles.reshape(-1, len(columns)),
        samples=samples,
        seed=seed,
        details={"step": step},
    )


def dgsm_bounds(design: Design, output: np.ndarray | xr.DataArray, *, noise: float = 0.0) -> xr.Dataset:
    """Estimate the upper bound of the total index of every parameter or group.

    Parameters
    ----------
    design : Design
        Of `dgsm_design`.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions; not finite where a run failed. A failed step costs one derivative, a failed base
        run those of its block.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.

    Returns
    -------
    xarray.Dataset
        Over `name` and the dimensions of the output: `ST_bound`, `ST_bound_lower`, `ST_bound_upper` (95 %, jackknife
        over blocks), which may exceed 1, and `derivatives`, the number behind them (of a group: of its worst
        parameter). The bound is of the total index of a parameter with independent priors.
    """
    import numpy as np

    if design.method != "dgsm":
        raise AnalysisError(f"DGSM needs a design of dgsm_design, not one of {design.method}")
    refuse_correlated(design, "DGSM")
    outputs = outputs_of(design, output)
    constant = is_constant(outputs.matrix, noise)
    steps, constants = _steps(design)
    found = np.full((outputs.matrix.shape[1], 1, len(design.names), 3), np.nan)
    count = np.zeros((len(design.names), outputs.matrix.shape[1]), dtype=int)
    for cell, values in enumerate(outputs.matrix.T):
        block = values.reshape(design.samples, -1)
        derivative = (block[:, 1:] - block[:, :1]) / steps
        known = np.isfinite(derivative).sum(axis=0)
        count[:, cell] = [known[list(chosen)].min() for chosen in design.sets.values()]
        found[cell] = 0.0
        if not constant[cell]:
            found[cell, 0] = _bounds(block[:, 0], derivative**2 * constants, list(design.sets.values()))
            found[cell, 0, count[:, cell] < MINIMUM] = np.nan
    result = tabulate(found, design.names, outputs, {"ST_bound": "upper bound of the total Sobol index"})
    attrs = {"long_name": "derivatives behind the bound", "units": "dimensionless"}
    result["derivatives"] = (*outputs.restore(count, "name"), attrs)
    used = np.isfinite(outputs.matrix).sum(axis=0)
    words = say_runs(design.runs, used, 1, constant) + _say_missing(count)
    finish(result, words, method="dgsm", index="ST_bound", seed=design.seed)
    _raise_floor(result, outputs.matrix, noise * np.sqrt(2 * constants.max()) / np.abs(steps).min())
    return result


def _bounds(base: np.ndarray, squares: np.ndarray, sets: list[tuple[int, ...]]) -> np.ndarray:
    """Return bounds and their limits from base outputs and squared derivatives, blocks x columns: sets x 3."""
    import numpy as np

    known = np.isfinite(squares)
    filled = np.where(known, squares, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = filled.sum(axis=0) / known.sum(axis=0)
        others = (filled.sum(axis=0) - filled) / (known.sum(axis=0) - known)
        finite = np.isfinite(base)
        y, n = np.where(finite, base - base[finite].mean(), 0.0), finite.sum()
        variance = (y**2).sum() / n
        total, rest = (y**2).sum() - y**2, n - finite
        variances = total / rest - ((y.sum() - y) / rest) ** 2
        bound = np.stack([mean[list(chosen)].sum() for chosen in sets]) / variance
        left_out = np.stack([others[:, list(chosen)].sum(axis=1) for chosen in sets], axis=1) / variances[:, None]
    lower, upper = jackknife_limits(bound, left_out, positive=True)
    return np.stack([bound, lower, upper], axis=-1)


def _steps(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps that were taken, blocks x columns, and the Poincare constant of every column."""
    import numpy as np

    quantiles = design.quantiles.reshape(design.samples, len(design.columns) + 1, len(design.columns))
    steps = np.empty((design.samples, len(design.columns)))
    constants = np.empty(len(design.columns))
    for place, parameter in enumerate(_with_dummy(design.parameters, design.columns)):
        first, last = _ends(parameter)
        moved = _coordinate(parameter, quantiles[:, place + 1, place])
        steps[:, place] = moved - _coordinate(parameter, quantiles[:, 0, place])
        widest = 1.0 if _is_normal(parameter) else math.inf
        constants[place] = min(widest, ((last - first) / math.pi) ** 2)
    return steps, constants


def _stepped(parameter: Parameter | None, quantile: np.ndarray, step: float) -> np.ndarray:
    """Return the quantiles after a step towards the middle."""
    import numpy as np
    from scipy.special import ndtr

    first, last = _ends(parameter)
    place = _coordinate(parameter, quantile)
    moved = place + np.where(place < (first + last) / 2, 1, -1) * step * (last - first)
    if parameter is None or not _is_normal(parameter):
        return np.asarray(moved)
    low, high = ndtr(first), ndtr(last)
    return np.asarray((ndtr(moved) - low) / (high - low))


def _coordinate(parameter: Parameter | None, quantile: np.ndarray) -> np.ndarray:
    """Return where a quantile lies in the space of the derivatives: itself, or the normal score."""
    import numpy as np
    from scipy.special import ndtr, ndtri

    if parameter is None or not _is_normal(parameter):
        return quantile
    first, last = _ends(parameter)
    return np.asarray(ndtri(ndtr(first) + quantile * (ndtr(last) - ndtr(first))))


def _ends(parameter: Parameter | None) -> tuple[float, float]:
    if parameter is None or not _is_normal(parameter):
        return 0.0, 1.0
    mu, sigma = parameter.prior_parameters
    low, high = float(parameter.lower or 0.0), float(parameter.upper or 0.0)
    if parameter.prior == "log-normal":
        low, high = math.log(low), math.log(high)
    return (low - mu) / sigma, (high - mu) / sigma


def _is_normal(parameter: Parameter | None) -> bool:
    return parameter is not None and parameter.prior in ("normal", "log-normal")


def _with_dummy(parameters: Sequence[Parameter], columns: Sequence[str]) -> list[Parameter | None]:
    return [*parameters, *([None] if DUMMY in columns else [])]


def _say_missing(count: np.ndarray) -> str:
    few = int((count < MINIMUM).sum())
    return f"; {few} bounds are NaN, since fewer than {MINIMUM} derivatives are behind them" if few else ""


def _raise_floor(result: xr.Dataset, matrix: np.ndarray, error: float) -> None:
    """Let the floor be at least what the solver's noise puts into a bound, given the error of a derivative."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        floor = error**2 / np.nanmax(np.nanvar(matrix, axis=0)) if error and np.isfinite(matrix).any() else 0.0
    if floor > 0 and not result.attrs["noise_floor"] >= floor:
        result.attrs["noise_floor"] = float(floor)
        result.attrs["verdict"] += f"; the solver's noise alone gives bounds of up to {floor:.2g}"
