"""EMT as two coupled switches: Tian, Zhang and Xing 2013 (Biophys J 105:1079). Time in hours, uM."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.integrate import solve_ivp

NAMES = ("tgfb", "snai1", "snail", "mir34", "zeb_mrna", "zeb", "mir200", "ecad", "ncad")
CONSTANTS = {
    "k0_t": 0.06, "k_t": 1.2, "j_t": 0.06, "d_t": 0.6,
    "k0_s": 0.0006, "k_s": 0.03, "j_s": 1.6, "d_s": 0.09,
    "k_snail": 17.0, "j_snail": 0.08, "d_snail": 1.66,
    "k0_34": 0.0012, "k_34": 0.012, "j_34_snail": 0.15, "j_34_zeb": 0.36, "d_34": 0.035,
    "k0_z": 0.003, "k_z": 0.06, "j_z": 3.5, "d_z": 0.09,
    "k_zeb": 17.0, "j_zeb": 0.06, "d_zeb": 1.66,
    "k0_200": 0.0002, "k_200": 0.012, "j_200_snail": 5.0, "j_200_zeb": 0.2, "d_200": 0.035,
    "k_e1": 1.0, "j_e1": 0.2, "k_e2": 0.6, "j_e2": 0.5, "d_e": 0.5,
    "k_n1": 1.0, "j_n1": 0.2, "k_n2": 0.6, "j_n2": 0.5, "d_n": 0.5,
}  # fmt: skip
EPITHELIAL = np.array([0.1, 0.01, 0.01, 0.38, 0.03, 0.01, 0.35, 3.2, 0.0])
HOLD = 3000.0  # h at each dose of a scan


def rates(_: float, y: np.ndarray, dose: float, k: dict[str, float]) -> np.ndarray:
    """Time derivative of the state (order of `NAMES`) at `dose` of exogenous TGF-beta."""
    tgfb, snai1, snail, mir34, zeb_mrna, zeb, mir200, ecad, ncad = y
    drive = ((tgfb + dose) / k["j_s"]) ** 2
    on_zeb = (snail / k["j_z"]) ** 2
    e1, e2 = (snail / k["j_e1"]) ** 2, (zeb / k["j_e2"]) ** 2
    n1, n2 = (snail / k["j_n1"]) ** 2, (zeb / k["j_n2"]) ** 2
    free34 = 1 + (snail / k["j_34_snail"]) ** 2 + (zeb / k["j_34_zeb"]) ** 2
    free200 = 1 + (snail / k["j_200_snail"]) ** 2 + (zeb / k["j_200_zeb"]) ** 2
    return np.array(
        [
            k["k0_t"] + k["k_t"] / (1 + (mir200 / k["j_t"]) ** 2) - k["d_t"] * tgfb,
            k["k0_s"] + k["k_s"] * drive / (1 + drive) - k["d_s"] * snai1,
            k["k_snail"] * snai1 / (1 + (mir34 / k["j_snail"]) ** 2) - k["d_snail"] * snail,
            k["k0_34"] + k["k_34"] / free34 - k["d_34"] * mir34,
            k["k0_z"] + k["k_z"] * on_zeb / (1 + on_zeb) - k["d_z"] * zeb_mrna,
            k["k_zeb"] * zeb_mrna / (1 + (mir200 / k["j_zeb"]) ** 2) - k["d_zeb"] * zeb,
            k["k0_200"] + k["k_200"] / free200 - k["d_200"] * mir200,
            k["k_e1"] / (1 + e1) + k["k_e2"] / (1 + e2) - k["d_e"] * ecad,
            k["k_n1"] * n1 / (1 + n1) + k["k_n2"] * n2 / (1 + n2) - k["d_n"] * ncad,
        ]
    )


def hold(y: np.ndarray, dose: float, hours: float = HOLD, **constants: float) -> np.ndarray:
    """State after `hours` at `dose`."""
    k = CONSTANTS | constants
    return solve_ivp(rates, (0, hours), y, method="LSODA", args=(dose, k), rtol=1e-6, atol=1e-9).y[:, -1]


def course(hours: Sequence[float], dose: float, y: np.ndarray | None = None, **constants: float) -> np.ndarray:
    """States (species, time) at `hours` after a step to `dose` from the epithelial state (or from `y`)."""
    k = CONSTANTS | constants
    begin = hold(EPITHELIAL, 0.0, **constants) if y is None else y
    return solve_ivp(
        rates, (0, float(hours[-1])), begin, method="LSODA", t_eval=hours, args=(dose, k), rtol=1e-6, atol=1e-9
    ).y


def scan(
    doses: Sequence[float], y: np.ndarray, held: Callable[..., np.ndarray] = hold, **constants: float
) -> np.ndarray:
    """States held at each dose in turn, dims (dose, species): a branch of the hysteresis."""
    found = []
    for dose in doses:
        y = held(y, float(dose), **constants)
        found.append(y)
    return np.array(found)
