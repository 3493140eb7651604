"""Interim looks: bounds of the test statistic that keep the error of a trial that may stop early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

SHAPES = ("obrien_fleming", "pocock")
MOST_LOOKS = 10
_NODES = 241


def looks_of(looks: Sequence[float]) -> tuple[float, ...]:
    """Return the looks as shares of the expected events; the last is 1."""
    found = tuple(looks) if not isinstance(looks, str) else ()
    good = all(is_number(each) and 0 < each <= 1 for each in found)
    if not (found and good and list(found) == sorted(set(found)) and found[-1] == 1 and len(found) <= MOST_LOOKS):
        raise AnalysisError(
            f"looks are {looks!r}; give up to {MOST_LOOKS} shares of the events that rise to 1: (0.5, 1)"
        )
    return tuple(float(each) for each in found)


def bounds(looks: Sequence[float], alpha: float = 0.05, shape: str = "obrien_fleming") -> Numbers:
    """Return what |z| must pass at every look so that without any effect some look passes with probability alpha.

    Parameters
    ----------
    looks : sequence of float
        Share of the events at each.
    alpha : float
        Two-sided error.
    shape : str
        "obrien_fleming" (hard to pass early) or "pocock" (the same at every look).
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if shape not in SHAPES:
        raise AnalysisError(f"no shape of bounds {shape!r}; known: {', '.join(SHAPES)}")
    if not (is_number(alpha) and 0 < alpha < 0.5):
        raise AnalysisError(f"alpha is {alpha!r}; give a number above 0 and below 0.5")
    share = np.asarray(looks_of(looks))
    form = np.ones(share.size) if shape == "pocock" else share**-0.5
    single = float(norm.isf(alpha / 2))
    if share.size == 1:
        return np.array([single])
    height = brentq(lambda c: passing(c * form, share) - alpha, single, single * 2 + 1, xtol=1e-7)
    found: Numbers = height * form
    return found


def passing(limits: Numbers, share: Numbers, drift: float = 0.0) -> float:
    """Return the probability that z passes +-limits at some look; its mean at the end is `drift` (Armitage 1969)."""
    from scipy.stats import norm

    edge = float(limits[0] * np.sqrt(share[0]))
    nodes, weight = _simpson(edge)
    density = norm.pdf(nodes, loc=drift * share[0], scale=np.sqrt(share[0]))
    start = drift * np.sqrt(share[0])
    out = float(norm.sf(limits[0] - start) + norm.cdf(-limits[0] - start))
    for i in range(1, share.size):
        spread, ahead = float(np.sqrt(share[i] - share[i - 1])), nodes + drift * (share[i] - share[i - 1])
        edge = float(limits[i] * np.sqrt(share[i]))
        beyond = norm.sf((edge - ahead) / spread) + norm.cdf((-edge - ahead) / spread)
        out += float((weight * density) @ beyond)
        nodes, following = _simpson(edge)
        away = (nodes[:, None] - ahead[None, :]) / spread
        density = np.exp(-0.5 * away**2) @ (weight * density) / (spread * np.sqrt(2 * np.pi))
        weight = following
    return out


def drift_for(power: float, limits: Numbers, share: Numbers) -> float:
    """Return the mean of z at the end with which some look passes with probability `power`."""
    from scipy.optimize import brentq

    if power <= passing(limits, share):
        return 0.0
    return float(brentq(lambda drift: passing(limits, share, drift) - power, 0.0, limits[-1] + 8.0, xtol=1e-6))


def _simpson(edge: float) -> tuple[Any, Any]:
    nodes = np.linspace(-edge, edge, _NODES)
    weight = np.full(_NODES, 2.0)
    weight[1::2], weight[[0, -1]] = 4.0, 1.0
    return nodes, weight * (nodes[1] - nodes[0]) / 3
