"""p53 and Mdm2 after DNA damage, after Geva-Zatorsky et al. 2006 (Mol Syst Biol 2:2006.0033), models IV and V.

A negative feedback loop with one intermediate (Mdm2 mRNA or precursor). Equations and constants of BIOMD0000000157
(model IV, Mdm2 saturates p53 degradation) and BIOMD0000000156 (model V, p53 supports its own production); time in
hours, amounts relative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp


def model_iv(time: float, state: Sequence[float]) -> list[float]:
    """Return the rates of p53, Mdm2 precursor and Mdm2 with saturated degradation of p53."""
    p53, precursor, mdm2 = state
    return [0.9 - 1.7 * mdm2 * p53 / (p53 + 1e-4), 1.1 * p53 - 0.8 * precursor, 0.8 * precursor - 0.8 * mdm2]


def model_v(time: float, state: Sequence[float]) -> list[float]:
    """Return the rates of p53, Mdm2 precursor and Mdm2 with linear self-support of p53."""
    p53, precursor, mdm2 = state
    return [2.0 * p53 - 3.7 * mdm2 * p53, 1.5 * p53 - 1.1 * precursor, 1.1 * precursor - 0.9 * mdm2]


START: dict[Callable[..., list[float]], tuple[float, float, float]] = {
    model_iv: (0.0, 0.1, 0.8),
    model_v: (0.02, 0.5, 0.2),
}
"""Start values of the encoded models: p53, precursor, Mdm2."""


def simulate(model: Callable[..., list[float]], hours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p53, precursor and Mdm2 (rows) at `hours` after damage."""
    run = solve_ivp(model, (0.0, float(hours[-1])), START[model], method="LSODA", t_eval=hours, rtol=1e-8, atol=1e-10)
    return np.asarray(run.y)
