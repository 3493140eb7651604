"""EMT with OVOL2: Hong et al. 2015 (PLoS Comput Biol 11:e1004569). Time in hours, uM.

OVOL2 and ZEB1 repress each other, OVOL2 represses SNAI1, and microRNAs bind their messengers explicitly (up to five
copies of miR-200 on the ZEB1 mRNA); binding is fast (rates x1000), so a stiff solver is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.integrate import solve_ivp

NAMES = (
    "snai1", "snail", "mir34", "snai1_mir34", "zeb_mrna", "zeb", "mir200", "zr1", "zr2", "zr3", "zr4", "zr5",
    "tgf_mrna", "tgfb", "tgf_mir200", "ecad", "ncad", "ovol2_mrna", "ovol2",
)  # fmt: skip
WAYS = np.array([5.0, 10.0, 10.0, 5.0, 1.0])  # of 1 to 5 copies on five sites
COPIES = np.arange(1.0, 6.0)
FAST = 1000.0
EPITHELIAL = np.array(
    [0.006, 0.06, 0.5, 0.003, 0.03, 0.001, 0.5, 1e-3, 5e-4, 3e-4, 1e-4, 6e-5, 0.1, 1.3, 0.05, 480.0, 100.0, 1.55, 1.55]
)


def rates(_: float, y: np.ndarray, dose: float, make_ovol2: float, autocrine: float) -> np.ndarray:
    """Time derivative of the state (order of `NAMES`) at `dose` of exogenous TGF-beta."""
    snai1, snail, mir34, pair34, zeb_mrna, zeb, mir200 = y[:7]
    zr = y[7:12]
    tgf_mrna, tgfb, pair_tgf, ecad, ncad, ovol2_mrna, ovol2 = y[12:]
    free_snai1, free_mir34, free_tgf = snai1 - pair34, mir34 - pair34, tgf_mrna - pair_tgf
    bound = WAYS @ zr
    bound_mir = (WAYS * COPIES) @ zr
    free_zeb, free_mir200 = zeb_mrna - bound, mir200 - bound_mir - pair_tgf
    drive = ((tgfb + dose) / 0.6) ** 2
    on_zeb = (snail / 3.0) ** 2
    e1, e2 = (snail / 0.1) ** 2, (zeb / 0.3) ** 2
    n1, n2 = (snail / 0.4) ** 2, (zeb / 0.4) ** 2
    change = np.empty(19)
    change[0] = (
        0.0005 + 0.05 * drive / (1 + drive + (ovol2 / 0.5) ** 2) / (1 + snail / 1.8) - 0.09 * free_snai1 - 0.9 * pair34
    )
    change[1] = 16 * free_snai1 - 1.6 * snail
    change[2] = 0.001 + 0.019 / (1 + (snail / 0.15) ** 2 + (zeb / 0.35) ** 2) - 0.035 * free_mir34 - 0.45 * pair34
    change[3] = FAST * (100 * free_snai1 * free_mir34 - pair34)
    change[4] = 0.003 + 0.06 * on_zeb / (1 + on_zeb + (ovol2 / 0.9) ** 6) - 0.1 * free_zeb - 0.5 * bound
    change[5] = 16 * free_zeb - 1.66 * zeb
    change[6] = (
        0.0002
        + 0.02 / (1 + (snail / 3.0) ** 3 + (zeb / 0.2) ** 2)
        - 0.035 * free_mir200
        - 0.25 * bound_mir
        - 0.2 * pair_tgf
    )
    change[7:12] = FAST * (free_mir200 * np.concatenate(([free_zeb], zr[:-1])) - zr)
    change[12] = autocrine * 0.05 - 0.1 * free_tgf - pair_tgf
    change[13] = 1.1 + 1.5 * free_tgf - 0.9 * tgfb
    change[14] = FAST * (20 * free_mir200 * free_tgf - pair_tgf)
    change[15] = 5 + 15 / (1 + e1) + 5 / (1 + e2) - 0.05 * ecad
    change[16] = 5 + 2 * n1 / (1 + n1) + 5 * n2 / (1 + n2) / (1 + ovol2 / 2) - 0.05 * ncad
    change[17] = 0.35 + make_ovol2 / (1 + (zeb / 0.918) ** 2) - ovol2_mrna
    change[18] = 10 * (ovol2_mrna - ovol2)
    return change


def hold(
    y: np.ndarray, dose: float, hours: float = 4000.0, make_ovol2: float = 1.2, autocrine: float = 1.0
) -> np.ndarray:
    """State after `hours` at `dose`; `make_ovol2` is the ZEB1-repressible synthesis (1.2 wild type)."""
    args = (dose, make_ovol2, autocrine)
    return solve_ivp(rates, (0, hours), y, method="LSODA", args=args, rtol=1e-6, atol=1e-9).y[:, -1]


def scan(doses: Sequence[float], y: np.ndarray, **constants: float) -> np.ndarray:
    """States held at each dose in turn, dims (dose, species): a branch of the hysteresis."""
    found = []
    for dose in doses:
        y = hold(y, float(dose), **constants)
        found.append(y)
    return np.array(found)
