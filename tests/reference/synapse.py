"""PD-1 synapse at equilibrium: two ligands compete for PD-1, bivalent antibodies bind either partner.

Constants of QSP-IO (Jafarnejad 2019, Wang 2022; repository QSPIO-TNBC): affinities of Cheng 2013 across a gap of 3 nm,
antibody arms of 4 and 0.4 nM, second arm 100 times more readily. Surface densities in molecules/um2, antibodies in nM.
The free densities are found by bracketing (SciPy `brentq`), nested: for a given free PD-1 the free ligands are found,
then the balance of PD-1 is closed. `three_species` is the closed form of the case without antibodies: the cubic of
competitive binding by its trigonometric solution (Wang 1995, FEBS Letters 360:111).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.optimize import brentq

PER_UM3 = 6.02214076e8
"""Molecules per um3 at 1 M."""
GAP = 3e-3
"""Width of the synapse (um)."""
CROSS = 100.0
"""Preference of the second arm (QSP-IO: Chi)."""


def across_gap(kd: float) -> float:
    """Return a two-dimensional dissociation constant (molecules/um2) for one in solution (M)."""
    return kd * PER_UM3 * GAP


class Constants(NamedTuple):
    """Densities (molecules/um2), affinities (molecules/um2 and nM), and the PD-1 that inhibits half."""

    pd1: float = 184.0
    pdl1: float = 132.0
    pdl2: float = 0.07 * 132.0
    kd_pdl1: float = across_gap(8.2e-6)
    kd_pdl2: float = across_gap(2.3e-6)
    kd_anti_pd1: float = 4.0
    kd_anti_pdl1: float = 0.4
    cross_anti_pd1: float = across_gap(4e-9) / CROSS
    cross_anti_pdl1: float = across_gap(0.4e-9) / CROSS
    half: float = 6.0
    hill: float = 2.0


class Synapse(NamedTuple):
    """Free and bound densities, the share of PD-1 held by antibody, and the inhibition of the T cell."""

    free_pd1: float
    pd1_pdl1: float
    pd1_pdl2: float
    occupancy: float
    inhibition: float


def solve(anti_pd1: float = 0.0, anti_pdl1: float = 0.0, constants: Constants | None = None) -> Synapse:
    """Return the equilibrium at given free antibody concentrations (nM)."""
    c = constants or Constants()

    def held(free: float, drug: float, kd: float, cross: float) -> float:
        """Return what antibodies hold by one arm (two of them can bind) and by two."""
        return 2 * free * drug / kd + 2 * free**2 * drug / (kd * cross)

    def ligands(free_pd1: float) -> tuple[float, float]:
        def balance(free: float) -> float:
            return free * (1 + free_pd1 / c.kd_pdl1) + held(free, anti_pdl1, c.kd_anti_pdl1, c.cross_anti_pdl1) - c.pdl1

        free_pdl1 = brentq(balance, 0.0, c.pdl1, xtol=1e-300, rtol=1e-14) if c.pdl1 else 0.0
        return free_pd1 * free_pdl1 / c.kd_pdl1, c.pdl2 * free_pd1 / (c.kd_pdl2 + free_pd1)

    def surplus(free_pd1: float) -> float:
        return free_pd1 + held(free_pd1, anti_pd1, c.kd_anti_pd1, c.cross_anti_pd1) + sum(ligands(free_pd1)) - c.pd1

    free_pd1 = brentq(surplus, 0.0, c.pd1, xtol=1e-300, rtol=1e-14)
    first, second = ligands(free_pd1)
    engaged = ((first + second) / c.half) ** c.hill
    occupancy = held(free_pd1, anti_pd1, c.kd_anti_pd1, c.cross_anti_pd1) / c.pd1
    return Synapse(free_pd1, first, second, occupancy, engaged / (1 + engaged))


def three_species(pd1: float, pdl1: float, pdl2: float, kd_pdl1: float, kd_pdl2: float) -> float:
    """Return free PD-1 without antibodies in closed form: the largest root of the cubic of competitive binding."""
    a = kd_pdl1 + kd_pdl2 + pdl1 + pdl2 - pd1
    b = kd_pdl2 * (pdl1 - pd1) + kd_pdl1 * (pdl2 - pd1) + kd_pdl1 * kd_pdl2
    c = -kd_pdl1 * kd_pdl2 * pd1
    spread = math.sqrt(a**2 - 3 * b)
    angle = math.acos((-2 * a**3 + 9 * a * b - 27 * c) / (2 * spread**3))
    return -a / 3 + 2 / 3 * spread * math.cos(angle / 3)
