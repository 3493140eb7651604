"""Wnt/beta-catenin pathway in Xenopus egg extract: Lee et al. 2003 (PLoS Biol 1:e10, BIOMD0000000658).

Written from the published equations and constants: Dishevelled, cycle of the destruction complex, turnover of axin and
of beta-catenin, binding of beta-catenin to APC and to TCF; the version without the effect of APC on the degradation of
axin. Time in minutes, nM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import solve_ivp

CONSTANTS = {
    "k1": 0.182,  # Dishevelled activated by Wnt
    "k2": 0.0182,  # and inactivated
    "k3": 0.05,  # active Dishevelled takes GSK3 off the complex
    "k4": 0.267,  # scaffold phosphorylated
    "k5": 0.133,  # and dephosphorylated
    "k6": 0.0909,  # GSK3 binds APC-axin
    "k_6": 0.909,
    "K7": 50.0,  # axin to APC
    "K8": 120.0,  # beta-catenin to the active complex
    "k9": 206.0,  # beta-catenin phosphorylated in the complex
    "k10": 206.0,  # and released
    "k11": 0.417,  # phosphorylated beta-catenin degraded
    "k12": 0.423,  # beta-catenin made
    "k13": 0.000257,  # degraded without the complex
    "k14": 8.22e-5,  # axin made
    "k15": 0.167,  # free axin degraded
    "K16": 30.0,  # beta-catenin to TCF
    "K17": 1200.0,  # beta-catenin to APC
    "on": 500.0,  # association in the four fast bindings, per nM and min
    "dsh": 100.0,
    "apc": 100.0,
    "tcf": 15.0,
    "gsk3": 50.0,
}
NAMES = (
    "dsh_active",
    "complex_active",  # APC*/axin*/GSK3
    "complex_inactive",  # APC/axin/GSK3
    "gsk3",
    "apc_axin",
    "apc",
    "bound",  # beta-catenin in the active complex
    "bound_phospho",
    "phospho",  # released, to be degraded
    "bcat",
    "axin",
    "tcf",
    "bcat_tcf",
    "bcat_apc",
)
"""State; inactive Dishevelled is what is left of the total, and Wnt is an input."""

Wnt = float | Callable[[float], float]


def rates(t: float, y: np.ndarray, k: dict[str, float], wnt: Callable[[float], float]) -> np.ndarray:
    """Time derivative of the state."""
    s = dict(zip(NAMES, y, strict=True))
    on = k["on"]
    v1 = k["k1"] * wnt(t) * (k["dsh"] - s["dsh_active"])
    v2 = k["k2"] * s["dsh_active"]
    v3 = k["k3"] * s["dsh_active"] * s["complex_inactive"]
    v4 = k["k4"] * s["complex_inactive"]
    v5 = k["k5"] * s["complex_active"]
    v6 = k["k6"] * s["gsk3"] * s["apc_axin"] - k["k_6"] * s["complex_inactive"]
    v7 = on * (s["apc"] * s["axin"] - k["K7"] * s["apc_axin"])
    v8 = on * (s["complex_active"] * s["bcat"] - k["K8"] * s["bound"])
    v9 = k["k9"] * s["bound"]
    v10 = k["k10"] * s["bound_phospho"]
    v11 = k["k11"] * s["phospho"]
    v13 = k["k13"] * s["bcat"]
    v15 = k["k15"] * s["axin"]
    v16 = on * (s["bcat"] * s["tcf"] - k["K16"] * s["bcat_tcf"])
    v17 = on * (s["bcat"] * s["apc"] - k["K17"] * s["bcat_apc"])
    change = {
        "dsh_active": v1 - v2,
        "complex_active": v4 - v5 - v8 + v10,
        "complex_inactive": v5 + v6 - v3 - v4,
        "gsk3": v3 - v6,
        "apc_axin": v3 - v6 + v7,
        "apc": -v7 - v17,
        "bound": v8 - v9,
        "bound_phospho": v9 - v10,
        "phospho": v10 - v11,
        "bcat": k["k12"] - v8 - v13 - v16 - v17,
        "axin": k["k14"] - v7 - v15,
        "tcf": -v16,
        "bcat_tcf": v16,
        "bcat_apc": v17,
    }
    return np.array([change[name] for name in NAMES])


def settle(minutes: float = 1e5, wnt: float = 0.0, **constants: float) -> np.ndarray:
    """State that is held at a constant Wnt signal."""
    k = CONSTANTS | constants
    y = dict.fromkeys(NAMES, 0.0) | {"gsk3": k["gsk3"], "apc": k["apc"], "tcf": k["tcf"]}
    return _solve((0, minutes), np.array([y[name] for name in NAMES]), k, lambda _: wnt, [minutes])[:, -1]


def simulate(
    minutes: Sequence[float],
    wnt: Wnt = 1.0,
    *,
    before: dict[str, float] | None = None,
    wnt_before: float = 0.0,
    **constants: float,
) -> dict[str, np.ndarray]:
    """Simulate from the steady state at `wnt_before` and the constants `before`; then `wnt` and `constants` hold.

    Returns the species and the sums `total` (beta-catenin) and `total_axin` at `minutes`.
    """
    y = settle(wnt=wnt_before, **(before or {}))
    signal = wnt if callable(wnt) else lambda _: wnt
    asked = np.asarray(minutes, dtype=float)
    found = _solve((0.0, max(asked[-1], 1e-9)), y, CONSTANTS | constants, signal, asked)
    result = dict(zip(NAMES, found, strict=True))
    bcat = ("bound", "bound_phospho", "phospho", "bcat", "bcat_tcf", "bcat_apc")
    axin = ("complex_active", "complex_inactive", "apc_axin", "bound", "bound_phospho", "axin")
    result["total"] = sum(result[name] for name in bcat)
    result["total_axin"] = sum(result[name] for name in axin)
    return result


def held(wnt: float = 1.0, **constants: float) -> dict[str, float]:
    """Return what is held at a constant Wnt signal."""
    run = simulate([0.0], wnt, before=constants, wnt_before=wnt, **constants)
    return {name: float(values[0]) for name, values in run.items()}


def _solve(span: tuple[float, float], y: np.ndarray, k: dict, wnt: Callable, at: Sequence[float]) -> np.ndarray:
    run = solve_ivp(rates, span, y, method="LSODA", t_eval=at, args=(k, wnt), rtol=1e-7, atol=1e-12, max_step=span[1])
    if not run.success:
        raise RuntimeError(run.message)
    return run.y
