"""Markov transitions between cell states: Gupta et al. 2011 (Cell 146:633).

Fractions of stem-like, basal and luminal cells 6 days after each state was sorted, as given in the data files of
CellTrans (Buder et al. 2017, GitHub tbuder/CellTrans, case studies). Rows: sorted state; columns: state found.
"""

from __future__ import annotations

import numpy as np

DAYS = 6
STEM, BASAL, LUMINAL = range(3)
SUM159 = np.array([[0.0434, 0.9405, 0.0161], [0.0240, 0.9709, 0.0051], [0.0250, 0.9489, 0.0261]])
SUM149 = np.array([[0.0529, 0.1675, 0.7796], [0.0260, 0.5037, 0.4703], [0.0132, 0.0073, 0.9795]])


def equilibrium(found: np.ndarray) -> np.ndarray:
    """Fractions to which every sorted population returns: the stationary distribution of the chain."""
    values, vectors = np.linalg.eig(found.T)
    vector = np.real(vectors[:, np.argmax(np.real(values))])
    return vector / vector.sum()


def return_rate(found: np.ndarray) -> float:
    """Rate (per day) at which the excess of sorted stem-like cells is lost."""
    others = equilibrium(found).copy()
    others[STEM] = 0
    left = found[STEM, STEM] - others @ found[:, STEM] / others.sum()
    return float(-np.log(left) / DAYS)


def stem_fraction(found: np.ndarray, sorted_state: int, rounds: int) -> float:
    """Stem-like fraction `rounds` times 6 days after the sorting."""
    return float(np.linalg.matrix_power(found, rounds)[sorted_state, STEM])
