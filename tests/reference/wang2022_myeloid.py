"""Myeloid part of a systems model of triple-negative breast cancer: Wang et al. 2022 (iScience 25:104702).

Written from the published rate laws and constants (repository HanwenWang95/QSPIO-TNBC): CCL2, MDSC with nitric oxide
and arginase, macrophages with IL-10 and IL-12. Per ml of a tumor of constant size; time in days, nM, 1e6 cells per ml.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.integrate import solve_ivp

NAMES = ("ccl2", "mdsc", "no", "arginase", "m1", "m2", "il10", "il12")
NMOL = 1e6 * 1e3  # nmole/cell/day to nM ml/Mcell/day

CONSTANTS = {
    "secrete_ccl2": 1.7e-12 * NMOL,
    "degrade_ccl2": 0.06 * 24,
    "ccl2_50": 0.23,
    "recruit_mdsc": 2e3 / 1e6,
    "die_mdsc": 0.015,
    "secrete_no": 4.8e-7 * NMOL,
    "degrade_no": 135.0,
    "no_50": 0.75,
    "secrete_arginase": 1.4e-2 * 1e6 * 1e-3,  # mU microlitre/cell to mU ml/Mcell
    "degrade_arginase": 0.173,
    "arginase_50": 61.7,
    "recruit_mac": 2e5 / 1e6,
    "die_mac": 0.02,
    "to_m2": 0.25,
    "to_m1": 0.02,
    "tgfb_50": 0.07,
    "il10_50": 0.008,
    "il12_50": 0.14e-3,
    "ifng_50": 0.0029,
    "secrete_il10": 3e-12 * NMOL,
    "degrade_il10": 4.0,
    "secrete_il12": 5e-13 * NMOL,
    "degrade_il12": 0.0231 * 24,
}


def suppression(no: float, arginase: float, c: dict[str, float] = CONSTANTS) -> float:
    """T cell function that nitric oxide and arginase take."""
    return 1 - c["no_50"] / (c["no_50"] + no) * (1 - arginase / (c["arginase_50"] + arginase))


def run(
    times: Sequence[float],
    tumor: float,
    tgfb: float,
    ifng: float = 0.0,
    start: Sequence[float] | None = None,
    **constants,
) -> dict[str, np.ndarray]:
    """Integrate from a tissue without myeloid cells (or from `start`) at constant tumor, TGF-beta and IFN-gamma."""
    c = CONSTANTS | constants

    def slope(_: float, y: np.ndarray) -> list[float]:
        ccl2, mdsc, no, arginase, m1, m2, il10, il12 = y
        pull = ccl2 / (ccl2 + c["ccl2_50"])
        to_m2 = c["to_m2"] * m1 * (tgfb / (tgfb + c["tgfb_50"]) + il10 / (il10 + c["il10_50"]))
        to_m1 = c["to_m1"] * m2 * (il12 / (il12 + c["il12_50"]) + ifng / (ifng + c["ifng_50"]))
        return [
            c["secrete_ccl2"] * tumor - c["degrade_ccl2"] * ccl2,
            c["recruit_mdsc"] * pull - c["die_mdsc"] * mdsc,
            c["secrete_no"] * mdsc - c["degrade_no"] * no,
            c["secrete_arginase"] * mdsc - c["degrade_arginase"] * arginase,
            c["recruit_mac"] * pull - to_m2 + to_m1 - c["die_mac"] * m1,
            to_m2 - to_m1 - c["die_mac"] * m2,
            c["secrete_il10"] * m2 - c["degrade_il10"] * il10,
            c["secrete_il12"] * m1 - c["degrade_il12"] * il12,
        ]

    begin = np.zeros(len(NAMES)) if start is None else np.asarray(start, dtype=float)
    found = solve_ivp(slope, (0, times[-1]), begin, "LSODA", t_eval=times, rtol=1e-9, atol=1e-12)
    return dict(zip(NAMES, found.y, strict=True))
