"""Notch with Delta and Jagged in one cell and in two: Boareto et al. 2015 (PNAS 112:E402) and 2016.

Time in hours, molecules per cell. The receptor is spent in cis by ligands of its own cell and in trans by those of
neighbors; only trans binding releases the intracellular domain (NICD). NICD raises receptor and Jagged and represses
Delta; Fringe, a target of NICD, favors Delta over Jagged. The paper of 2016 adds microRNAs, which act on the messages
(J R Soc Interface 13:20151106).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

NAMES = ("notch", "delta", "jagged", "nicd")

PNAS2015 = {
    "k": 0.1,
    "k_nicd": 0.5,
    "cis": 5e-4,
    "trans": 5e-5,
    "threshold": 200.0,
    "notch": 1400.0,
    "delta": 1600.0,
    "jagged": 1200.0,
    "fold_notch": 2.0,
    "fold_delta": 0.0,
    "fold_jagged": 2.0,
    "power": 2.0,
    "power_jagged": 5.0,
    "fringe_delta": 3.0,
    "fringe_jagged": 0.3,
}
"""Constants of the Notch-Delta-Jagged-Fringe model of 2015; the three syntheses are molecules per hour."""

# Limit points of Delta outside at 500 receptors and 3,000 Jagged outside (Figure S5D, published with the code).
LIMIT_POINTS = (327.57785910515065, 375.7483985232692, 128.40687710842519, 177.21892282863118)

TRANSLATION = (1, 0.6, 0.3, 0.1, 0.05, 0.05, 0.05)
MRNA_LOSS = (0, 0.04, 0.2, 1, 1, 1, 1)
MIR_THRESHOLD = 10_000


def translated(mir: float, sites: int) -> float:
    """Protein per message made, in units of the translation rate, at `mir` microRNAs per cell.

    Messages decay with 0.5 per hour, and faster with bound microRNAs.
    """
    x = mir / MIR_THRESHOLD
    share = [comb(sites, i) * x**i / (1 + x) ** sites for i in range(sites + 1)]
    return sum(w * s for w, s in zip(TRANSLATION, share, strict=False)) / (
        sum(w * s for w, s in zip(MRNA_LOSS, share, strict=False)) + 0.5
    )


def interface2016(mir34: float = 20_000.0, mir200: float = 20_000.0) -> dict[str, float]:
    """Constants of the Notch circuit of 2016 at fixed microRNAs (molecules per cell)."""
    return PNAS2015 | {
        "cis": 1e-4,
        "trans": 1e-5,
        "threshold": 100.0,
        "notch": 100 * 8 * translated(mir34, 2),
        "delta": 100 * 70 * translated(mir34, 3),
        "jagged": 100 * 20 * translated(mir200, 5),
        "fold_notch": 7.0,
        "power_jagged": 2.0,
    }


def hill(x: float, threshold: float, power: float, fold: float) -> float:
    """Shifted Hill function: 1 without the factor, `fold` at saturation."""
    return fold + (1 - fold) / (1 + (x / threshold) ** power)


def rates(
    y: np.ndarray, c: Mapping[str, float], delta_out: float = 0.0, jagged_out: float = 0.0, notch_out: float = 0.0
) -> np.ndarray:
    """Time derivative of one cell (order of `NAMES`) among the given neighbors."""
    n, d, j, i = y
    fringe_d = hill(i, c["threshold"], 1, c["fringe_delta"])
    fringe_j = hill(i, c["threshold"], 1, c["fringe_jagged"])
    released = c["trans"] * n * (delta_out * fringe_d + jagged_out * fringe_j)
    cis_d, cis_j = c["cis"] * n * d * fringe_d, c["cis"] * n * j * fringe_j
    return np.array(
        [
            c["notch"] * hill(i, c["threshold"], c["power"], c["fold_notch"]) - cis_d - cis_j - released - c["k"] * n,
            c["delta"] * hill(i, c["threshold"], c["power"], c["fold_delta"])
            - cis_d
            - c["trans"] * d * notch_out
            - c["k"] * d,
            c["jagged"] * hill(i, c["threshold"], c["power_jagged"], c["fold_jagged"])
            - cis_j
            - c["trans"] * j * notch_out
            - c["k"] * j,
            released - c["k_nicd"] * i,
        ]
    )


def course(y: np.ndarray, hours: np.ndarray, c: Mapping[str, float], **outside: float) -> np.ndarray:
    """States at `hours`, dims (time, species)."""
    run = solve_ivp(
        lambda _, y: rates(y, c, **outside), (0, hours[-1]), y, method="LSODA", t_eval=hours, rtol=1e-9, atol=1e-9
    )
    return run.y.T


def two_cells(first: np.ndarray, second: np.ndarray, hours: np.ndarray, c: Mapping[str, float]) -> np.ndarray:
    """States of two neighbors, each the only surroundings of the other: dims (time, cell, species)."""

    def slopes(_: float, y: np.ndarray) -> np.ndarray:
        a, b = y[:4], y[4:]
        return np.concatenate([rates(a, c, b[1], b[2], b[0]), rates(b, c, a[1], a[2], a[0])])

    run = solve_ivp(
        slopes, (0, hours[-1]), np.concatenate([first, second]), method="LSODA", t_eval=hours, rtol=1e-9, atol=1e-9
    )
    return run.y.T.reshape(len(hours), 2, 4)


def delta_for(nicd: np.ndarray, c: Mapping[str, float], jagged_out: float = 0.0, notch_out: float = 0.0) -> np.ndarray:
    """Delta outside at which each level of NICD is a steady state: the branch of steady states, read from its side.

    Steady NICD gives what is released in trans, the balance of the receptor then gives its own level, and both together
    the ligand outside. Extremes of the curve are the limit points.
    """

    def one(i: float) -> float:
        fringe_d = hill(i, c["threshold"], 1, c["fringe_delta"])
        fringe_j = hill(i, c["threshold"], 1, c["fringe_jagged"])
        made_n = c["notch"] * hill(i, c["threshold"], c["power"], c["fold_notch"])
        made_d = c["delta"] * hill(i, c["threshold"], c["power"], c["fold_delta"])
        made_j = c["jagged"] * hill(i, c["threshold"], c["power_jagged"], c["fold_jagged"])
        lost = c["trans"] * notch_out + c["k"]

        def balance(n: float) -> float:
            cis_d, cis_j = c["cis"] * n * fringe_d, c["cis"] * n * fringe_j
            bound = made_d * cis_d / (cis_d + lost) + made_j * cis_j / (cis_j + lost)
            return made_n - bound - c["k_nicd"] * i - c["k"] * n

        n = brentq(balance, 1e-9, made_n / c["k"])
        return (c["k_nicd"] * i / (c["trans"] * n) - jagged_out * fringe_j) / fringe_d

    return np.array([one(i) for i in nicd])
