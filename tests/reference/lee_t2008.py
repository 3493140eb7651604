"""Myc stability under ERK and PI3K, after Lee, Yao, Nevins and You 2008 (PLoS Comput Biol 4:e1000013).

Three forms of Myc: new (half-life 20 min), phosphorylated at Ser62 by ERK (2 h) and then at Thr58 by GSK3 (20 min).
PI3K phosphorylates AKT, which inactivates GSK3. Equations and constants of BIOMD0000000818; time in hours, amounts
relative to the maximal input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

SYNTHESIS = 1.0  # per hour
K_SERINE62, K_THREONINE58 = 2.3, 0.4  # phosphorylation by ERK and by GSK3, per hour
LOSS_NEW, LOSS_SERINE62, LOSS_THREONINE58 = 2.08, 0.35, 2.08  # per hour
K_PHOSPHORYLATE, V_DEPHOSPHORYLATE = 360.0, 72.0  # AKT and GSK3, per hour
MICHAELIS = 0.01  # of every enzyme
AKT_TOTAL = GSK3_TOTAL = 0.6

Signal = Callable[[float], float]


def rates(time: float, state: Sequence[float], erk: float, pi3k: float) -> list[float]:
    """Return the rates of new Myc, Myc-S62, Myc-T58, phosphorylated AKT and phosphorylated GSK3."""
    new, serine62, threonine58, akt_p, gsk3_p = state
    akt, gsk3 = AKT_TOTAL - akt_p, GSK3_TOTAL - gsk3_p
    to_serine62 = K_SERINE62 * erk * new / (MICHAELIS + new)
    to_threonine58 = K_THREONINE58 * gsk3 * serine62 / (MICHAELIS + serine62)
    return [
        SYNTHESIS - to_serine62 - LOSS_NEW * new,
        to_serine62 - to_threonine58 - LOSS_SERINE62 * serine62,
        to_threonine58 - LOSS_THREONINE58 * threonine58,
        K_PHOSPHORYLATE * pi3k * akt / (MICHAELIS + akt) - V_DEPHOSPHORYLATE * akt_p / (MICHAELIS + akt_p),
        K_PHOSPHORYLATE * akt_p * gsk3 / (MICHAELIS + gsk3) - V_DEPHOSPHORYLATE * gsk3_p / (MICHAELIS + gsk3_p),
    ]


SERUM = ((0.0, 1.0, 1.0), (1.0, 0.1, 0.1), (4.0, 0.1, 1.0), (6.0, 0.1, 0.1))
"""The published base case: (from this hour on, ERK, PI3K); both fall after an hour, PI3K returns from 4 to 6 h."""


def total_myc(hours: NDArray[np.float64], signals: Sequence[tuple[float, float, float]] = SERUM) -> NDArray[np.float64]:
    """Return total Myc at `hours` after growth factor meets cells without Myc."""
    state = np.array([0.0, 0.0, 0.0, 0.0, 0.0])
    found = np.full(hours.shape, np.nan)
    for number, (start, erk, pi3k) in enumerate(signals):
        stop = signals[number + 1][0] if number + 1 < len(signals) else float(hours[-1])
        if stop <= start:
            break
        run = solve_ivp(
            rates, (start, stop), state, args=(erk, pi3k), method="LSODA", rtol=1e-8, atol=1e-10, dense_output=True
        )
        inside = (hours >= start) & (hours <= stop)
        found[inside] = run.sol(hours[inside])[:3].sum(axis=0)
        state = run.y[:, -1]
    return found
