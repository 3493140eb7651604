"""PAWN: how far the distribution of the output moves when a parameter is held in a slice of its prior.

Pianosi and Wagener (2015, doi 10.1016/j.envsoft.2015.01.004; for given data 2018, doi 10.1016/j.envsoft.2018.07.019):
the median over slices of the Kolmogorov-Smirnov distance between the outputs in the slice and all outputs, by SALib.
Correlated priors are taken as they are: the index is then of the parameter and of what goes along with it.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.given_data import WIDER, analyze_sample, half_samples
from cascade.sensitivity.salib import asking_salib

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.sensitivity.design import Design

SLICES = 10
"""Slices of the prior, of equal probability; the literature's and SALib's usual choice."""

RUNS_PER_SLICE = 10
"""Fewest runs in a slice of the whole sample."""


def pawn_indices(
    design: Design,
    output: np.ndarray | xr.DataArray,
    *,
    slices: int = SLICES,
    noise: float = 0.0,
    resamples: int = 50,
) -> xr.Dataset:
    """Estimate the PAWN index (median over slices) of every parameter from a sample.

    Parameters
    ----------
    design : Design
        Of `sample_design`; correlations are allowed.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions; not finite where a run failed.
    slices : int
        2 to 50; the sample must have 10 runs in each.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.
    resamples : int
        Half samples behind the intervals.

    Returns
    -------
    xarray.Dataset
        Over `name` (parameters) and the dimensions of the output: `pawn`, `pawn_lower`, `pawn_upper` (95 %), 0 to 1.

    Notes
    -----
    The index is biased upwards by nature, by about 0.8 (slices / runs)^0.5 for a parameter without effect; the dummy
    has the same bias and is the floor. The bias falls with the root of the runs, so that halves of the sample tell how
    large it is: the lower limit leaves it out, the upper one does not.
    """
    if not 2 <= slices <= 50:
        raise AnalysisError(f"PAWN: slices is {slices}; take 2 to 50")

    def one(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        estimate = _salib_medians(x, y, slices)
        halves = half_samples(lambda a, b: slice_medians(a, b, slices), x, y, generator, resamples)
        half = 1.96 * halves.std(axis=0, ddof=1)
        bias = np.maximum(halves.mean(axis=0) - estimate, 0.0) / (math.sqrt(2) - 1)
        lower = np.clip(estimate - bias - WIDER * half, 0.0, 1.0)
        return np.stack([estimate, lower, np.clip(estimate + half, 0.0, 1.0)], axis=-1)[None]

    minimum = RUNS_PER_SLICE * slices
    indices = {"pawn": "PAWN index (median over slices)"}
    return analyze_sample(design, output, one, method="pawn", indices=indices, minimum=minimum, noise=noise)


@asking_salib("PAWN")
def _salib_medians(x: np.ndarray, y: np.ndarray, slices: int) -> np.ndarray:
    """Let SALib compute the medians; it asks scipy for p values that may warn and that nobody reads."""
    import numpy as np
    from SALib.analyze import pawn

    names = [f"x{column}" for column in range(x.shape[1])]
    problem = {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(pawn.analyze(problem, x, y, S=slices)["median"], dtype=float)


def slice_medians(x: np.ndarray, y: np.ndarray, slices: int) -> np.ndarray:
    """Return the same medians as SALib ten times faster, without p values: for the resamples."""
    import numpy as np

    order = np.argsort(y, kind="stable")
    ordered, inputs = y[order], x[order]
    last = np.append(ordered[1:] != ordered[:-1], True)
    everyone = (np.arange(1, len(y) + 1) / len(y))[last]
    edges = np.quantile(x, np.linspace(0, 1, slices + 1), axis=0)
    medians = np.empty(x.shape[1])
    for column, (values, edge) in enumerate(zip(inputs.T, edges.T, strict=True)):
        here = np.searchsorted(edge[1:], values, side="right")[:, None] == np.arange(slices)
        count = here.sum(axis=0)
        share = np.cumsum(here, axis=0)[last] / np.maximum(count, 1)
        distance = np.abs(share - everyone[:, None]).max(axis=0)
        medians[column] = np.median(distance[count > 0])
    return medians
