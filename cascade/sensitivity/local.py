"""Local sensitivity: scaled coefficients d ln y / d ln p at the nominal values, each with its numerical error.

Central differences at the steps h and h/2, extrapolated to a step of 0 (Richardson 1911, doi 10.1098/rsta.1911.0009);
one-sided ones at a bound. The distance of the extrapolation from the better difference is the error that is reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.design import Design, layout
from cascade.sensitivity.failures import outputs_of
from cascade.sensitivity.given_data import tabulate
from cascade.sensitivity.priors import check_prior

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.specs import Parameter

STEP = 0.02
"""Largest step, as a share of the value (of the prior's range where the value is 0)."""

NARROW = 0.1
"""Below this share of the step between value and bound, differences are one-sided."""

CENTRAL = (-1.0, -0.5, 0.5, 1.0)
ONE_SIDED = (0.25, 0.5, 0.75, 1.0)

SCALINGS = ("log", "linear", "range")
"""How parameters move and what the coefficient is per: steps in ln p and d ln y / d ln p; steps in p (a linear prior)
and p d ln y / d p, which is the same; steps in p (a value of 0) and d ln y per range of the prior."""


def local_design(parameters: Sequence[Parameter], *, step: float = STEP) -> Design:
    """Make the runs for local coefficients: the nominal run, then four runs for every parameter.

    Parameters
    ----------
    parameters : sequence of Parameter
        With bounds and prior; the others stay at their nominal values.
    step : float
        Largest step as a share of the value, 1e-4 to 0.5. It is shortened where a bound is near; at a bound the
        differences are one-sided.

    Returns
    -------
    Design
        Method "local"; the runs are 1 + 4 x parameters. `details` has the scaling of every parameter, see `SCALINGS`.
    """
    import numpy as np

    if not 1e-4 <= step <= 0.5:
        raise AnalysisError(f"step is {step}; take a share of the value from 0.0001 to 0.5")
    columns, sets = layout(parameters, None, dummy=False)
    for parameter in parameters:
        check_prior(parameter)
    nominal = np.array([_quantile(p, np.array([p.nominal]))[0] for p in parameters])
    quantiles = np.repeat(nominal[None], 1 + len(CENTRAL) * len(parameters), axis=0)
    steps, sides = np.empty(len(parameters)), []
    for place, parameter in enumerate(parameters):
        steps[place], offsets = _offsets(parameter, step)
        sides.append("both" if offsets[0] == -offsets[-1] else "one")
        rows = slice(1 + len(CENTRAL) * place, 1 + len(CENTRAL) * (place + 1))
        quantiles[rows, place] = _quantile(parameter, _moved(parameter, steps[place] * np.array(offsets)))
    return Design(
        method="local",
        parameters=tuple(parameters),
        columns=columns,
        sets=sets,
        quantiles=quantiles,
        samples=1,
        seed=0,
        details={"step": tuple(steps), "sides": tuple(sides), "scaling": tuple(map(_scaling, parameters))},
    )


def local_coefficients(design: Design, output: np.ndarray | xr.DataArray, *, noise: float = 0.0) -> xr.Dataset:
    """Estimate scaled local coefficients.

    Parameters
    ----------
    design : Design
        Of `local_design`.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions, such as time; not finite where a run failed.
    noise : float
        Spread of the output that the solver alone produces, in its unit: it widens the intervals.

    Returns
    -------
    xarray.Dataset
        Over `name` and the dimensions of the output: `coefficient`, `coefficient_lower`, `coefficient_upper` (its
        numerical error, no statistical interval) and `status`: empty, or the reason why a coefficient is NaN or has no
        error. `scaling` and `sides` (differences on both sides or one) are coordinates of `name`.

    Notes
    -----
    Where the output is negative, dy / y takes the place of d ln y; where it is 0 there is no scaled coefficient.
    """
    import numpy as np

    if design.method != "local":
        raise AnalysisError(f"local coefficients need a design of local_design, not one of {design.method}")
    outputs = outputs_of(design, output)
    y0, blocks = outputs.matrix[0], outputs.matrix[1:].reshape(len(design.names), len(CENTRAL), -1)
    found = np.full((len(y0), 1, len(design.names), 3), np.nan)
    status = np.full((len(design.names), len(y0)), "", dtype=object)
    with np.errstate(divide="ignore", invalid="ignore"):
        for place, block in enumerate(blocks):
            values, reasons = _one_parameter(design, place, y0, block, noise)
            found[:, 0, place], status[place] = values.T, reasons
    label = "scaled local coefficient d ln y / d ln p (per range of the prior where the value is 0)"
    result = tabulate(found, design.names, outputs, {"coefficient": label})
    for end in ("lower", "upper"):
        result[f"coefficient_{end}"].attrs["long_name"] = f"{end} end of the numerical error of the coefficient"
    result["status"] = (*outputs.restore(status.astype(str), "name"), {"long_name": "reason of what is missing"})
    result = result.assign_coords({key: ("name", list(design.details[key])) for key in ("scaling", "sides")})
    result.attrs = _attributes(design, outputs.matrix, status, found, noise)
    return result


def _one_parameter(
    design: Design, place: int, y0: np.ndarray, block: np.ndarray, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficient, lower and upper end (3 x outputs) and reasons of one parameter."""
    import numpy as np

    step, sides = design.details["step"][place], design.details["sides"][place]
    positive = (y0 > 0) & ~(block <= 0).any(axis=0)
    z0 = np.where(positive, np.log(np.where(positive, y0, 1.0)), y0 / y0)
    z = np.where(positive, np.log(np.where(positive, block, 1.0)), block / y0)
    coarse, fine, factor = _differences(z, z0, step, sides)
    best = fine + (fine - coarse) / factor
    error = np.abs(best - fine) + 4 * noise / (np.abs(y0) * abs(step))
    known = np.isfinite(best)
    estimate = np.where(known, best, np.where(np.isfinite(fine), fine, coarse))
    estimate = np.where(np.isfinite(estimate), estimate, np.nan)
    error = np.where(known, error, np.nan)
    scale = _scale(design.parameters[place])
    failed = np.isnan(block).sum(axis=0)
    reasons = np.array([f"{count} of {len(block)} runs failed" if count else "" for count in failed], dtype=object)
    reasons = np.where((failed > 0) & np.isfinite(estimate), reasons + "; no numerical error", reasons)
    reasons = np.where(y0 == 0, "the nominal output is 0", reasons)
    reasons = np.where(np.isnan(y0), "the nominal run failed", reasons)
    ends = np.sort(scale * np.stack([estimate - error, estimate + error]), axis=0)
    return np.stack([scale * estimate, *ends]), reasons


def _differences(z: np.ndarray, z0: np.ndarray, step: float, sides: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the difference with a wide and with a narrow step, and by how much the error of the narrow is smaller.

    One-sided ones are of second order themselves: the parabolas through steps of 0, 1/2 and 1, and 0, 1/4 and 1/2.
    """
    if sides == "both":
        return (z[3] - z[0]) / (2 * step), (z[2] - z[1]) / step, 3.0
    wide = (-3 * z0 + 4 * z[1] - z[3]) / step
    narrow = (-3 * z0 + 4 * z[0] - z[1]) / (step / 2)
    return wide, narrow, 3.0


def _scaling(parameter: Parameter) -> str:
    if parameter.nominal == 0:
        return "range"
    return "log" if parameter.prior.startswith("log") else "linear"


def _scale(parameter: Parameter) -> float:
    """Return what the derivative by the coordinate of the steps is multiplied by."""
    return 1.0 if _scaling(parameter) == "log" else parameter.nominal or _range(parameter)


def _range(parameter: Parameter) -> float:
    return float(parameter.upper or 0.0) - float(parameter.lower or 0.0)


def _offsets(parameter: Parameter, step: float) -> tuple[float, tuple[float, ...]]:
    """Return the largest step in ln p or p (negative if it goes down from the upper bound) and shares of it."""
    low, high = float(parameter.lower or 0.0), float(parameter.upper or 0.0)
    if _scaling(parameter) == "log":
        below, above = math.log(parameter.nominal / low), math.log(high / parameter.nominal)
    else:
        step *= abs(parameter.nominal) or _range(parameter)
        below, above = parameter.nominal - low, high - parameter.nominal
    if min(below, above) >= NARROW * step:
        return min(step, below, above), CENTRAL
    return (min(step, above) if above > below else -min(step, below)), ONE_SIDED


def _moved(parameter: Parameter, offsets: np.ndarray) -> np.ndarray:
    import numpy as np

    if _scaling(parameter) == "log":
        return np.asarray(parameter.nominal * np.exp(offsets))
    return parameter.nominal + offsets


def _quantile(parameter: Parameter, value: np.ndarray) -> np.ndarray:
    """Turn values into quantiles: the inverse of `from_quantile`."""
    import numpy as np
    from scipy.special import ndtr

    low, high = float(parameter.lower or 0.0), float(parameter.upper or 0.0)
    if parameter.prior.startswith("log"):
        low, high, value = math.log(low), math.log(high), np.log(value)
    if parameter.prior in ("uniform", "log-uniform"):
        return np.asarray(np.clip((value - low) / (high - low), 0.0, 1.0))
    mu, sigma = parameter.prior_parameters
    first, last = ndtr((low - mu) / sigma), ndtr((high - mu) / sigma)
    return np.asarray(np.clip((ndtr((value - mu) / sigma) - first) / (last - first), 0.0, 1.0))


def _attributes(
    design: Design, matrix: np.ndarray, status: np.ndarray, found: np.ndarray, noise: float
) -> dict[str, object]:
    import numpy as np

    failed = int(np.isnan(matrix).any(axis=1).sum())
    words = f"{design.runs - failed} of {design.runs} runs have all results"
    missing = int(np.isnan(found[..., 0]).sum())
    if missing:
        words += f"; {missing} of {status.size} coefficients are NaN, `status` says why"
    sides = design.details["sides"].count("one")
    if sides:
        words += f"; {sides} parameters lie at a bound and move to one side"
    y0, step = np.abs(matrix[0]), np.abs(np.array(design.details["step"]))
    scale = np.array([abs(_scale(p)) for p in design.parameters])
    smallest = y0[y0 > 0].min() if (y0 > 0).any() else np.inf
    floor = float(4 * noise / smallest * (scale / step).max())
    words += f"; coefficients below {floor:.2g} may be the solver's noise" if floor else ""
    return {"method": "local", "verdict": words, "noise_floor": floor, "largest_step": float(step.max())}
