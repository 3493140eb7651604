"""Hahnfeldt et al. 1999 (Cancer Res 59:4770): Lewis lung tumors and their vascular capacity under inhibitors.

V' = -l V ln(V/K), K' = b V - d K V^(2/3) - e K g, g' = dose - clr g; volumes in mm3, doses in mg/kg per day, days.
Constants and data as in the R package canceR of T. Radivoyevitch (`hahnfeldt99.R`, `hahnfeldtMRG.R`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

GROWTH = 0.192  # l, per day
STIMULATION = 5.85  # b, per day
INHIBITION = 0.00873  # d, per day and mm2
PLATEAU = (STIMULATION / INHIBITION) ** 1.5  # mm3


@dataclass(frozen=True)
class Drug:
    """Effect on the vascular capacity (kg/mg per day) and clearance (per day)."""

    effect: float
    clearance: float


ANGIOSTATIN = Drug(0.15, 0.38)
ENDOSTATIN = Drug(0.66, 1.7)
NO_DRUG = Drug(0.0, 1.0)

# Mean volumes (mm3) by day: untreated, angiostatin 20, endostatin 20 and endostatin 4 mg/kg per day.
DATA = {
    "untreated": ([0, 4, 7, 10, 13, 16, 19], [192, 728, 2319, 3590, 5852, 8591, 10438]),
    "angiostatin": ([0, 4, 7, 10, 13], [176, 246, 265, 136, 207]),
    "endostatin": ([0, 4, 7, 10], [186, 157, 135, 76]),
    "endostatin_low": ([0, 4, 7, 10, 13, 16], [291, 429, 859, 2420, 3120, 4100]),
}


def simulate(
    days: np.ndarray,
    drug: Drug = NO_DRUG,
    dose: float = 0.0,
    until: float = np.inf,
    start: tuple[float, float] = (180.0, 625.0),
    bolus: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return tumor volume and vascular capacity; `dose` is infused daily until `until`, `bolus` given once on day 0."""

    def rates(time: float, state: np.ndarray, infused: float) -> list[float]:
        volume, capacity, level = state
        return [
            -GROWTH * volume * np.log(volume / capacity),
            STIMULATION * volume - INHIBITION * capacity * volume ** (2 / 3) - drug.effect * capacity * level,
            infused - drug.clearance * level,
        ]

    stop = min(until, days[-1])
    state = np.array([*start, bolus])
    volumes, capacities = [], []
    for begin, end, infused in ((days[0], stop, dose), (stop, days[-1], 0.0)):
        if begin < end:
            inside = days[(days >= begin) & (days < end)]
            run = solve_ivp(rates, (begin, end), state, "LSODA", [*inside, end], args=(infused,), rtol=1e-8)
            volumes.extend(run.y[0][:-1])
            capacities.extend(run.y[1][:-1])
            state = run.y[:, -1]
    return np.array([*volumes, state[0]]), np.array([*capacities, state[1]])
