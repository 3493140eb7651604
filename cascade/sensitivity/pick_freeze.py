"""Pick-freeze designs: pairs of independent samples, and the same with the columns of each set exchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.design import Design, layout
from cascade.sensitivity.priors import check_prior, stream

if TYPE_CHECKING:
    import numpy as np

    from cascade.specs import Parameter

REPLICATES = 16
"""Replicates by default: intervals have 15 degrees of freedom."""

ROWS = 16
"""Base rows of a replicate by default."""


def sobol_design(
    parameters: Sequence[Parameter],
    replicates: int = REPLICATES,
    *,
    rows: int = ROWS,
    seed: int,
    groups: Mapping[str, Sequence[str]] | None = None,
    second_order: bool = False,
    dummy: bool = False,
) -> Design:
    """Make a pick-freeze design of independently scrambled Sobol' samples.

    Parameters
    ----------
    parameters : sequence of Parameter
    replicates : int
        Independent replicates, at least 2; the limits of the indices come from the differences between them. More are
        appended: a larger design begins with the runs of the smaller one.
    rows : int
        Base rows of a replicate, a power of two. Cost: `replicates * rows * (sets + 2)` runs, or (2 sets + 2).
    seed : int
        0 or above.
    groups : mapping of str to sequence of str, optional
        Ids of the parameters of each group; groups may share parameters. None judges every parameter.
    second_order : bool
        Whether pairs are judged too.
    dummy : bool
        Whether a column without a parameter is judged. Its runs repeat others: its total index is exactly the noise of
        the simulation, which is 0 for a deterministic one and worth its runs only if the model is stochastic.

    Returns
    -------
    Design
        Method "sobol". Runs are ordered by replicate, row and member of a block: A, B, then A with the columns of each
        set from B, then (`second_order`) B with the columns of each set from A.
    """
    import numpy as np

    if replicates < 2:
        raise AnalysisError(f"replicates is {replicates}; intervals need at least 2, better {REPLICATES}")
    if rows < 1 or rows & (rows - 1):
        raise AnalysisError(f"rows is {rows}; a Sobol' sample is balanced for powers of two, such as {ROWS} or 64")
    columns, sets = layout(parameters, groups, dummy=dummy)
    for parameter in parameters:
        check_prior(parameter)
    size = len(parameters)
    base = np.stack([_replicate(2 * size, rows, seed, number) for number in range(replicates)])
    # The dummy takes no part in the sequence, so that the runs are the same with and without it.
    spare = np.stack([stream(f"sobol dummy {n}", seed).random((rows, 2)) for n in range(replicates)])
    spare = spare if dummy else spare[..., :0]
    # A and B of a parameter are neighbors in the sequence: their pairs fill the square best, and errors are smaller.
    a = np.concatenate([base[..., ::2], spare[..., :1]], axis=-1)
    b = np.concatenate([base[..., 1::2], spare[..., 1:]], axis=-1)
    members = [a, b, *(_swap(a, b, chosen) for chosen in sets.values())]
    if second_order:
        members += [_swap(b, a, chosen) for chosen in sets.values()]
    return Design(
        method="sobol",
        parameters=tuple(parameters),
        columns=columns,
        sets=sets,
        quantiles=np.stack(members, axis=2).reshape(-1, len(columns)),
        samples=replicates,
        seed=seed,
        details={"rows": rows, "second_order": second_order},
    )


def _replicate(size: int, rows: int, seed: int, number: int) -> np.ndarray:
    """Sample one replicate: rows x size, independent of all others."""
    import numpy as np
    from scipy.stats import qmc

    digits = stream(f"sobol replicate {number}", seed).integers(2**32)
    return np.asarray(qmc.Sobol(size, scramble=True, rng=int(digits)).random(rows))


def _swap(into: np.ndarray, source: np.ndarray, columns: tuple[int, ...]) -> np.ndarray:
    result = into.copy()
    result[..., list(columns)] = source[..., list(columns)]
    return result
