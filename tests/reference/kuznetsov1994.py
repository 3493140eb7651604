"""Effector cells against a growing lymphoma: Kuznetsov et al. 1994 (Bull Math Biol 56:295, BIOMD0000000762).

E' = s + p E T/(g + T) - m E T - d E,  T' = a T (1 - b T) - n E T, fitted to BCL1 lymphoma in the spleen of mice. Cells
and days. The published reading: a dormant steady state, a saddle that separates it from a large tumor, and "sneaking
through", when the immune response is too late for a tumor that was small or whose effectors were lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

CONSTANTS = {
    "s": 1.3e4,
    "p": 0.1245,
    "g": 2.019e7,
    "m": 3.422e-10,
    "n": 1.101e-7,
    "d": 0.0412,
    "a": 0.18,
    "b": 2.0e-9,
}


def rates(state: Sequence[float], constants: dict[str, float]) -> list[float]:
    """Return the change of effectors and tumor cells (cells per day)."""
    effectors, tumor = state
    c = constants
    stimulated = c["p"] * effectors * tumor / (c["g"] + tumor)
    return [
        c["s"] + stimulated - c["m"] * effectors * tumor - c["d"] * effectors,
        c["a"] * tumor * (1 - c["b"] * tumor) - c["n"] * effectors * tumor,
    ]


def run(days: float, effectors: float, tumor: float, **changes: float) -> NDArray[np.float64]:
    """Return (day, effectors, tumor) over time from a start, with some constants changed."""
    constants = {**CONSTANTS, **changes}
    times = np.linspace(0, days, 401)
    found = solve_ivp(
        lambda _, state: rates(state, constants),
        (0, days),
        [effectors, tumor],
        "LSODA",
        t_eval=times,
        rtol=1e-9,
        atol=1e-3,
    )
    return np.vstack([times, found.y])


def steady_states(**changes: float) -> list[tuple[float, float, bool]]:
    """Return the steady states with a tumor as (effectors, tumor, stable), by size of the tumor."""
    constants = {**CONSTANTS, **changes}
    a, b, n = (constants[name] for name in "abn")

    def effectors(tumor: float) -> float:
        return a * (1 - b * tumor) / n

    def balance(tumor: float) -> float:
        return rates([effectors(tumor), tumor], constants)[0]

    grid = np.geomspace(1e3, (1 - 1e-9) / b, 4000)
    signs = np.sign([balance(tumor) for tumor in grid])
    found = []
    for i in np.flatnonzero(signs[1:] != signs[:-1]):
        tumor = brentq(balance, grid[i], grid[i + 1])
        point = np.array([effectors(tumor), tumor])
        steps = 1e-6 * point
        columns = [
            np.subtract(rates(point + h, constants), rates(point - h, constants)) / (2 * h.sum())
            for h in np.diag(steps)
        ]
        stable = bool((np.linalg.eigvals(np.array(columns).T).real < 0).all())
        found.append((float(point[0]), float(tumor), stable))
    return found
