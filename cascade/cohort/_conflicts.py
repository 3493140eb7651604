"""Published numbers that no weights of these patients can meet: each for itself, or some of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade.cohort._moments import Moment
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_ENOUGH = 1e-4
"""Excess over the room of a marginal that is more than the rounding of the linear program."""


def out_of_reach(used: Sequence[Moment], room: Numbers) -> tuple[set[str], list[tuple[str, ...]]]:
    """Return which marginals cannot be met alone, and sets of others that cannot be met together.

    Parameters
    ----------
    used : sequence of Moment
    room : array
        By how much each moment may be missed.

    Returns
    -------
    tuple
        Names, and sets of names; every set is as small as it can be: without any one of it, the rest can be met.
    """
    alone = {
        each.name
        for each, much in zip(used, room, strict=True)
        if each.gap.min() > much * (1 + _ENOUGH) or each.gap.max() < -much * (1 + _ENOUGH)
    }
    left = [place for place, each in enumerate(used) if each.name not in alone]
    columns = np.stack([each.gap for each in used]) / room[:, None]
    found: list[tuple[str, ...]] = []
    while len(left) > 1 and not _met_together(columns[left]):
        needed = list(left)
        for place in left:
            rest = [other for other in needed if other != place]
            needed = needed if _met_together(columns[rest]) else rest
        found.append(tuple(used[place].name for place in needed))
        left = [place for place in left if place not in needed]
    return alone, found


def _met_together(columns: Numbers) -> bool:
    """Do weights exist whose means of all rows lie between -1 and 1?

    A linear program: the weights with the smallest sum of excesses.
    """
    from scipy.optimize import linprog
    from scipy.sparse import csr_array, hstack, identity, vstack

    count, patients = columns.shape
    if count < 2:
        return True
    # the unknowns: weights, excess upwards, excess downwards
    excess = identity(count, format="csr")
    moved = hstack([csr_array(columns), -excess, excess])
    answer = linprog(
        np.concatenate([np.zeros(patients), np.ones(2 * count)]),
        A_ub=vstack([moved, -moved]),
        b_ub=np.ones(2 * count),
        A_eq=csr_array(np.concatenate([np.ones(patients), np.zeros(2 * count)])[None, :]),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    if answer.status != 0:
        raise AnalysisError(f"whether the marginals can be met was not found out: {answer.message}")
    return bool(answer.x[patients:].max() <= _ENOUGH)
