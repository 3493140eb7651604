"""The miR-200/ZEB switch with self-activating ZEB: Lu et al. 2013 (PNAS 110:18144).

SNAIL is the input. Time in hours, molecules per cell. Translation and degradation by microRNA follow the published
chimera: six binding sites of miR-200 on the ZEB mRNA.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
from scipy.integrate import solve_ivp

NAMES = ("mir200", "zeb_mrna", "zeb")
SITES = 6
TRANSLATION = (1, 0.6, 0.3, 0.1, 0.05, 0.05, 0.05)
MRNA_LOSS = (0, 0.04, 0.2, 1, 1, 1, 1)
MIR_LOSS = (0, 0.005, 0.05, 0.5, 0.5, 0.5, 0.5)  # per bound microRNA
MIR_THRESHOLD = 10_000
EPITHELIAL = np.array([20_000.0, 60.0, 4_000.0])


def hill(x: float, threshold: float, power: float, fold: float) -> float:
    """Shifted Hill function: 1 without the factor, `fold` at saturation."""
    return fold + (1 - fold) / (1 + (x / threshold) ** power)


def bound(mir: float, weights: Sequence[float]) -> float:
    """Mean of `weights` over the number of sites that the microRNA occupies."""
    x = mir / MIR_THRESHOLD
    return sum(comb(SITES, i) * w * x**i for i, w in enumerate(weights)) / (1 + x) ** SITES


def rates(_: float, y: np.ndarray, snail: float, self_activation: float) -> np.ndarray:
    """Time derivative of the state (order of `NAMES`) at `snail` molecules."""
    mir, mrna, zeb = y
    per_mrna = bound(mir, [i * w for i, w in enumerate(MIR_LOSS)])
    return np.array(
        [
            2100 * hill(zeb, 220_000, 3, 0.1) * hill(snail, 180_000, 2, 0.1) - mrna * per_mrna - 0.05 * mir,
            11 * hill(zeb, 25_000, 2, self_activation) * hill(snail, 180_000, 2, 10)
            - mrna * bound(mir, MRNA_LOSS)
            - 0.5 * mrna,
            100 * mrna * bound(mir, TRANSLATION) - 0.1 * zeb,
        ]
    )


def hold(y: np.ndarray, snail: float, hours: float = 3000.0, self_activation: float = 7.5) -> np.ndarray:
    """State after `hours` at `snail`."""
    run = solve_ivp(rates, (0, hours), y, method="LSODA", args=(snail, self_activation), rtol=1e-6, atol=1e-3)
    return run.y[:, -1]


def scan(levels: Sequence[float], y: np.ndarray, **constants: float) -> np.ndarray:
    """States held at each level of SNAIL in turn, dims (level, species)."""
    found = []
    for level in levels:
        y = hold(y, float(level), **constants)
        found.append(y)
    return np.array(found)
