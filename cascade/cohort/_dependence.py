"""What of a patient goes together: genotypes that exclude each other, and correlated numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade._tables import is_number
from cascade.errors import AnalysisError, unknown_name
from cascade.patients.genotypes import Plan
from cascade.sensitivity.correlation import score_correlation
from cascade.specs import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def excluding_groups(plan: Plan, genotypes: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return the genotypes in groups of those that exclude each other.

    Raises
    ------
    AnalysisError
        If more than all patients would have one of a group.
    """
    for name in genotypes:
        if name not in plan.table:
            raise unknown_name("genotype", name, plan.table, "genotypes.tsv")
    left = [name for name in plan.table if name in genotypes]
    groups: list[tuple[str, ...]] = []
    while left:
        group = [left.pop(0)]
        for one in group:
            bound = [n for n in left if n in plan.table[one].excludes or one in plan.table[n].excludes]
            group += bound
            left = [n for n in left if n not in bound]
        total = sum(genotypes[name] for name in group)
        if total > 1 + 1e-9:
            raise AnalysisError(
                f"the genotypes {', '.join(group)} exclude each other, and {total:g} of the patients would have one of"
                " them; lower their frequencies to 1 in all"
            )
        groups.append(tuple(sorted(group)))
    return groups


def copula(
    model: Model,
    columns: list[str],
    correlations: Mapping[tuple[str, str], float],
    genotypes: Mapping[str, float],
    single: Sequence[str],
) -> tuple[list[str], Numbers]:
    """Return the columns that are correlated and the Cholesky factor of their normal scores."""
    if not correlations:
        return [], np.eye(0)
    named: dict[tuple[str, str], float] = {}
    for pair, value in correlations.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise AnalysisError(f"correlation of {pair!r}: give a pair of two names")
        if not is_number(value):
            raise AnalysisError(f"correlation of {pair[0]} and {pair[1]} is {value!r}; give a number between -1 and 1")
        for name in pair:
            if name in genotypes and name not in single:
                raise AnalysisError(f"genotype {name!r} excludes another of the cohort, so it cannot be correlated too")
        first, second = (model.ids.get(name, name) for name in pair)
        named[first, second] = value
    places, matrix = score_correlation(columns, named)
    return [columns[place] for place in places], np.linalg.cholesky(matrix)
