"""Schmierer et al. 2010 (BMC Syst Biol 4:139): HIF-alpha, PHD and FIH, which proteins with ankyrin repeats sequester.

Dimensionless: oxygen in units of the Michaelis constant of PHD, HIF-alpha in units of its level without hydroxylation.
Equations and constants of the encoding BIOMD0000000300.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

FIH_MICHAELIS = 0.33  # relative to PHD
CATALYSIS = 500.0  # of PHD; FIH the same
PHD = 0.2
ANKYRIN = 100.0
ANKYRIN_LIFETIME = 5.0


def bound(substrate: float, enzyme: float, constant: float) -> float:
    """Return the free substrate that saturates the enzyme (tight binding)."""
    difference = substrate - enzyme - constant
    return 0.5 * (difference + np.sqrt(difference**2 + 4 * substrate * constant))


def steady_state(oxygen: float, fih: float = 1.0) -> tuple[float, float]:
    """Return total HIF-alpha and the part of it that FIH has not silenced."""
    phd_oxygen = CATALYSIS * PHD * oxygen / (1 + oxygen)
    fih_oxygen = CATALYSIS * fih * oxygen / (FIH_MICHAELIS + oxygen)

    def rates(time: float, state: np.ndarray) -> list[float]:
        total, active, ankyrin = np.maximum(state, 0)
        loss = phd_oxygen / (1 + PHD + bound(total, PHD, 1.0))
        inhibition = 1 + ankyrin
        free = bound(active, fih, inhibition)
        silence = fih_oxygen / (inhibition + fih + free)
        shield = fih_oxygen / (1 + free + ankyrin)
        return [
            1 - total - loss * total,
            1 - active - loss * active - silence * active,
            (ANKYRIN - ankyrin) / ANKYRIN_LIFETIME - shield * ankyrin,
        ]

    run = solve_ivp(rates, (0, 300), [0.0, 0.0, ANKYRIN], "LSODA", [300], rtol=1e-8, atol=1e-10)
    return float(run.y[0, -1]), float(run.y[1, -1])
