"""Events and power of a log-rank test by the formula of Schoenfeld (1983)."""

from __future__ import annotations

import math

from cascade._tables import is_number
from cascade.errors import AnalysisError


def schoenfeld_events(
    hazard_ratio: float, *, power: float = 0.8, alpha: float = 0.05, allocation: float = 0.5
) -> float:
    """Return how many events a two-sided log-rank test needs (Schoenfeld 1983); infinite without a difference.

    Raises
    ------
    AnalysisError
        If the ratio is not finite and above 0, or a share is not between 0 and 1.
    """
    from scipy.stats import norm

    _check_formula(hazard_ratio, power=power, alpha=alpha, allocation=allocation)
    if hazard_ratio == 1:
        return math.inf
    z = norm.isf(alpha / 2) + norm.ppf(power)
    return float(z**2 / (allocation * (1 - allocation) * math.log(hazard_ratio) ** 2))


def schoenfeld_power(hazard_ratio: float, events: float, *, alpha: float = 0.05, allocation: float = 0.5) -> float:
    """Return the power of a two-sided log-rank test with that many events (Schoenfeld 1983).

    Raises
    ------
    AnalysisError
        As of `schoenfeld_events`, or if the number of events is not finite and 0 or more.
    """
    from scipy.stats import norm

    _check_formula(hazard_ratio, alpha=alpha, allocation=allocation)
    if not (is_number(events) and events >= 0):
        raise AnalysisError(f"events is {events!r}; give a finite number of 0 or more")
    shift = abs(math.log(hazard_ratio)) * math.sqrt(events * allocation * (1 - allocation))
    limit = norm.isf(alpha / 2)
    return float(norm.cdf(shift - limit) + norm.cdf(-shift - limit))


def _check_formula(hazard_ratio: float, **shares: float) -> None:
    if not (is_number(hazard_ratio) and hazard_ratio > 0):
        raise AnalysisError(f"hazard_ratio is {hazard_ratio!r}; give a finite number above 0")
    for name, value in shares.items():
        check_share(name, value)


def check_share(name: str, value: object) -> None:
    """Refuse what is not between 0 and 1."""
    if not (is_number(value) and 0 < value < 1):
        raise AnalysisError(f"{name} is {value!r}; give a number above 0 and below 1")
