"""Epigenetic memory of the miR-200/ZEB switch: Jain et al. 2023 (J R Soc Interface; bioRxiv 10.1101/2022.08.23.504814).

The circuit of Lu et al. 2013, in which the ZEB threshold on miR-200 is a slow variable that ZEB lowers (the silencing
of miR-200), and SNAIL relaxes to a level that the inducer sets. Deterministic: the noise of the published program is
left out. Time in hours, molecules per cell; results in days.
"""

from __future__ import annotations

from math import comb, log

import numpy as np
from scipy.integrate import solve_ivp

SITES = 6
TRANSLATION = (1, 0.6, 0.3, 0.1, 0.05, 0.05, 0.05)
MRNA_LOSS = (0, 0.04, 0.2, 1, 1, 1, 1)
MIR_LOSS = (0, 0.005, 0.05, 0.5, 0.5, 0.5, 0.5)  # per bound microRNA
THRESHOLD = 220_000  # ZEB on miR-200, without memory
SNAIL_EPITHELIAL, SNAIL_INDUCED = 100_000, 350_000
HALF_TIME_SNAIL = 120
GAIN, LOSS = 240, 720  # hours: memory during the induction and after withdrawal
ZEB_MRNA_EPITHELIAL, ZEB_MRNA_MESENCHYMAL = 160, 568


def hill(x: float, threshold: float, power: float, fold: float) -> float:
    """Shifted Hill function: 1 without the factor, `fold` at saturation."""
    return fold + (1 - fold) / (1 + (x / threshold) ** power)


def bound(mir: float, weights: tuple[float, ...] | list[float]) -> float:
    """Mean of `weights` over the number of sites that the microRNA occupies."""
    x = mir / 10_000
    return sum(comb(SITES, i) * w * x**i for i, w in enumerate(weights)) / (1 + x) ** SITES


def rates(_: float, y: np.ndarray, target: float, beta: float, alpha: float) -> list[float]:
    """Time derivative of miR-200, ZEB mRNA, ZEB, SNAIL and the threshold."""
    mir, mrna, zeb, snail, threshold = y
    taken = bound(mir, [i * w for i, w in enumerate(MIR_LOSS)])
    return [
        2100 * hill(zeb, threshold, 3, 0.1) * hill(snail, 180_000, 2, 0.1) - mrna * taken - 0.05 * mir,
        11 * hill(zeb, 25_000, 2, 7.5) * hill(snail, 180_000, 2, 10) - mrna * bound(mir, MRNA_LOSS) - 0.5 * mrna,
        100 * mrna * bound(mir, TRANSLATION) - 0.1 * zeb,
        log(2) / HALF_TIME_SNAIL * (target - snail),
        (THRESHOLD - threshold - alpha * zeb) / beta,
    ]


def run(y: np.ndarray, days: float, target: float, beta: float, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Time (day) and states, dims (state, time)."""
    times = np.linspace(0, 24 * days, round(days * 50) + 1)
    found = solve_ivp(rates, (0, times[-1]), y, "LSODA", times, args=(target, beta, alpha), rtol=1e-6, atol=1e-3)
    return times / 24, found.y


def epithelial() -> np.ndarray:
    """Steady state before the induction."""
    start = np.array([20_000.0, 60.0, 4_000.0, SNAIL_EPITHELIAL, THRESHOLD])
    return run(start, 60, SNAIL_EPITHELIAL, LOSS, 0)[1][:, -1]


def induction(days: float, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Time (day) and states during the induction."""
    return run(epithelial(), days, SNAIL_INDUCED, GAIN, alpha)


def recovery(days: float, alpha: float) -> float:
    """Days from the end of an induction of `days` until the cell is epithelial again."""
    times, states = run(induction(days, alpha)[1][:, -1], 120, SNAIL_EPITHELIAL, LOSS, alpha)
    return float(times[states[1] < ZEB_MRNA_EPITHELIAL][0])
