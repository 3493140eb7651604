"""Correlated priors: a Gaussian copula, and the refusal of the methods that need independent parameters.

A Gaussian copula keeps every prior as it is and correlates their normal scores. Rank (Spearman) correlations r become
correlations 2 sin(pi r / 6) of the scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import numpy as np

    from cascade.sensitivity.design import Design

KINDS = ("rank", "normal")
"""What a given correlation is of: ranks of the parameters, or normal scores."""

SMALLEST = 1e-8
"""Smallest eigenvalue of a correlation matrix that counts as positive definite."""


def refuse_correlated(design: Design, method: str) -> None:
    """Raise AnalysisError if the priors of a design are correlated; for methods that need independent parameters.

    Parameters
    ----------
    design : Design
    method : str
        Name of the method, for the message.
    """
    pairs = design.details.get("correlation")
    if pairs:
        first, second = next(iter(pairs))
        raise AnalysisError(
            f"{method} needs independent parameters, but the design has {len(pairs)} correlated pairs of priors "
            f"({first} and {second} first); use delta, PAWN or regional analysis, which take correlated samples, "
            "or leave the correlations out"
        )


def correlate(
    quantiles: np.ndarray, columns: Sequence[str], correlation: Mapping[tuple[str, str], float], *, kind: str = "rank"
) -> np.ndarray:
    """Give independent quantiles the dependence of a Gaussian copula; each row is changed for itself.

    Parameters
    ----------
    quantiles : numpy.ndarray
        Independent quantiles inside (0, 1), rows x columns.
    columns : sequence of str
        Ids of the columns.
    correlation : mapping of pair of str to float
        Correlation of two columns, inside (-1, 1); pairs that are not named are independent of each other.
    kind : {"rank", "normal"}
        Whether the numbers are Spearman's rank correlations or correlations of normal scores.

    Returns
    -------
    numpy.ndarray
        Quantiles; columns that no pair names are unchanged.

    Raises
    ------
    AnalysisError
        If the correlations cannot hold together (their matrix is not positive definite).
    """
    import numpy as np
    from scipy.special import ndtr, ndtri

    if not correlation:
        return quantiles
    involved, matrix = score_correlation(columns, correlation, kind=kind)
    result = quantiles.copy()
    result[:, involved] = ndtr(ndtri(quantiles[:, involved]) @ np.linalg.cholesky(matrix).T)
    return result


def score_correlation(
    columns: Sequence[str], correlation: Mapping[tuple[str, str], float], *, kind: str = "rank"
) -> tuple[list[int], np.ndarray]:
    """Return the columns that pairs name and the correlation matrix of their normal scores; see `correlate`."""
    import numpy as np

    if kind not in KINDS:
        raise unknown_name("kind of correlation", kind, KINDS, "the kinds")
    seen: set[frozenset[str]] = set()
    for pair, value in correlation.items():
        _check_pair(pair, value, columns, seen)
    involved = sorted({columns.index(name) for pair in correlation for name in pair})
    place = {columns[column]: row for row, column in enumerate(involved)}
    matrix = np.eye(len(involved))
    for (first, second), value in correlation.items():
        score = 2 * math.sin(math.pi * value / 6) if kind == "rank" else value
        matrix[place[first], place[second]] = matrix[place[second], place[first]] = score
    _check_definite(matrix, [columns[column] for column in involved])
    return involved, matrix


def _check_pair(pair: tuple[str, str], value: float, columns: Sequence[str], seen: set[frozenset[str]]) -> None:
    if not isinstance(pair, tuple) or len(pair) != 2 or pair[0] == pair[1]:
        raise AnalysisError(f"correlation of {pair!r}: give a pair of two different parameter ids")
    for name in pair:
        if name not in columns:
            raise unknown_name("parameter", name, columns, "the correlated pairs of this design")
    if not -1 < value < 1:
        raise AnalysisError(f"correlation of {pair[0]} and {pair[1]} is {value}; give a number between -1 and 1")
    if frozenset(pair) in seen:
        raise AnalysisError(f"correlation of {pair[0]} and {pair[1]} is given twice; give each pair once")
    seen.add(frozenset(pair))


def _check_definite(matrix: np.ndarray, names: list[str]) -> None:
    import numpy as np

    values, vectors = np.linalg.eigh(matrix)
    if values[0] > SMALLEST:
        return
    order = np.argsort(-np.abs(vectors[:, 0]))
    culprits = ", ".join(names[i] for i in order[:4] if abs(vectors[i, 0]) > 0.1)
    scale = math.floor(100 * (1 - 1e-6) / (1 - values[0])) / 100
    raise AnalysisError(
        f"the correlations of {culprits} cannot hold together: their matrix is not positive definite (smallest "
        f"eigenvalue {values[0]:.3g}); name the pairs that are missing between them, or weaken all correlations of "
        f"the normal scores to {scale:g} times what they are"
    )
