"""Lateral inhibition by Delta and Notch alone: Collier et al. 1996 (J Theor Biol 183:429), BioModels BIOMD0000001047.

Dimensionless: each cell has an activity of Notch, raised by the Delta of its neighbor, and one of Delta, lowered by its
own Notch. No cis-inhibition, no Jagged.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

A, B, NU, POWER_NOTCH, POWER_DELTA = 0.01, 100.0, 1.0, 2, 2


def rates(_: float, y: np.ndarray) -> np.ndarray:
    """Time derivative of (notch, delta) of the first and of the second cell."""
    notch, delta = y[[0, 2]], y[[1, 3]]
    seen = delta[::-1] ** POWER_NOTCH
    d_notch = seen / (A + seen) - notch
    d_delta = NU * (1 / (1 + B * notch**POWER_DELTA) - delta)
    return np.array([d_notch[0], d_delta[0], d_notch[1], d_delta[1]])


def pair(first: tuple[float, float], second: tuple[float, float], time: float = 50.0) -> np.ndarray:
    """State of two neighbors at `time`, dims (cell, species)."""
    run = solve_ivp(rates, (0, time), [*first, *second], method="LSODA", rtol=1e-9, atol=1e-12)
    return run.y[:, -1].reshape(2, 2)


def uniform() -> tuple[float, float]:
    """The steady state that two equal cells share; unstable."""
    run = solve_ivp(rates, (0, 200), [0.5, 0.5, 0.5, 0.5], method="LSODA", rtol=1e-10, atol=1e-13)
    return float(run.y[0, -1]), float(run.y[1, -1])
