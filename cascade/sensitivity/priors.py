"""From the priors of the parameter tables to samples: every uncertain parameter has its own stream of randomness."""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from cascade._tables import require_whole
from cascade.errors import AnalysisError, TableError

if TYPE_CHECKING:
    import numpy as np

    from cascade.specs import Model, Parameter

MOST_SAMPLES = 1_000_000
"""Draws at once."""

PRIORS = ("log-normal", "log-uniform", "uniform", "normal")


def uncertain(model: Model, *, exclude: Iterable[str] = ()) -> tuple[Parameter, ...]:
    """Collect the uncertain parameters of a model (`estimate` is true in the parameter tables).

    Parameters
    ----------
    model : Model
    exclude : iterable of str
        Flat ids that keep their value, for example those of a patient's genotype.

    Returns
    -------
    tuple of Parameter
        In the order of the model's parameters.

    Raises
    ------
    AnalysisError
        If an id occurs twice.
    TableError
        If a prior or its bounds cannot be used.
    """
    skip = set(exclude)
    seen: set[str] = set()
    for parameter in model.parameters:
        if parameter.id in seen:
            raise AnalysisError(f"parameter {parameter.id!r} occurs twice in model {model.name!r}; make ids unique")
        seen.add(parameter.id)
    chosen = tuple(p for p in model.parameters if p.estimate and p.id not in skip)
    for parameter in chosen:
        check_prior(parameter)
    return chosen


def check_prior(parameter: Parameter) -> None:
    """Raise TableError unless the prior and the bounds of an uncertain parameter can be sampled."""
    low, high = parameter.lower, parameter.upper
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise TableError(
            f"parameter {parameter.id!r} is uncertain (estimate true) but its bounds are [{low}, {high}]; "
            "give two finite bounds, the lower below the upper"
        )
    if parameter.prior not in PRIORS:
        raise TableError(
            f"parameter {parameter.id!r} has the prior {parameter.prior!r}; use one of " + ", ".join(PRIORS)
        )
    if parameter.prior.startswith("log") and low <= 0:
        raise TableError(
            f"parameter {parameter.id!r}: a {parameter.prior} prior needs a lower bound above 0, not {low:g}"
        )
    if parameter.prior in ("log-normal", "normal"):
        _mean_and_spread(parameter)


def _mean_and_spread(parameter: Parameter) -> tuple[float, float]:
    """Mean and standard deviation of a normal prior, or of the logarithm for a log-normal one."""
    numbers = parameter.prior_parameters
    if len(numbers) != 2 or not all(math.isfinite(x) for x in numbers) or numbers[1] <= 0:
        raise TableError(
            f"parameter {parameter.id!r}: the {parameter.prior} prior needs mu;sigma with sigma above 0, "
            f"not {numbers!r}"
        )
    return numbers[0], numbers[1]


def from_quantile(parameter: Parameter, quantile: np.ndarray) -> np.ndarray:
    """Turn quantiles of a prior into values, inside the bounds.

    Parameters
    ----------
    parameter : Parameter
        `log-normal` and `normal` are truncated at the bounds; `log-uniform` and `uniform` fill them.
    quantile : numpy.ndarray
        Numbers in [0, 1].

    Returns
    -------
    numpy.ndarray
        Values in the unit of the parameter.
    """
    import numpy as np

    check_prior(parameter)
    low, high = float(parameter.lower or 0.0), float(parameter.upper or 0.0)
    logarithmic = parameter.prior.startswith("log")
    a, b = (math.log(low), math.log(high)) if logarithmic else (low, high)
    u = np.asarray(quantile, dtype=float)
    if parameter.prior in ("uniform", "log-uniform"):
        value = a + u * (b - a)
    else:
        from scipy.special import ndtr, ndtri

        mu, sigma = _mean_and_spread(parameter)
        first, last = ndtr((a - mu) / sigma), ndtr((b - mu) / sigma)
        value = mu + sigma * ndtri(first + u * (last - first))
    return np.clip(np.exp(value) if logarithmic else value, low, high)


def stream(name: str, seed: int) -> np.random.Generator:
    """Return the random stream of one named number: the same for the same name and seed, whatever else is sampled."""
    import numpy as np

    digest = sha256(name.encode()).digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.default_rng(np.random.SeedSequence([_checked_seed(seed), *words]))


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise AnalysisError(f"seed is {seed!r}; give a whole number, 0 or above")
    return seed


def sample(parameters: Iterable[Parameter], samples: int, seed: int) -> dict[str, np.ndarray]:
    """Draw independent samples of parameters from their priors.

    Parameters
    ----------
    parameters : iterable of Parameter
    samples : int
        Number of draws, at least 1. The first n draws do not change when more are asked for.
    seed : int
        0 or above.

    Returns
    -------
    dict of str to numpy.ndarray
        `samples` values of each parameter by its id.
    """
    require_whole("samples", samples, 1, MOST_SAMPLES)
    return {p.id: from_quantile(p, stream(p.id, seed).random(samples)) for p in parameters}
