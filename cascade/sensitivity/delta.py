"""Delta: how far the whole density of the output moves when a parameter is known; and first-order indices beside it.

Borgonovo (2007, doi 10.1016/j.ress.2006.04.015), from given data by Plischke, Borgonovo and Smith (2013,
doi 10.1016/j.ejor.2012.11.047), with the kernels of SALib. Correlated priors are taken as they are: an index is then of
the parameter and of what goes along with it.

Three things are not left to SALib. Delta does not change when the output is transformed monotonically, so that it is
computed on normal scores, for which the band width of the density is right however skewed the output is. The
first-order index has more classes (with SALib's five or six it loses a third of a wavy effect) and the correction for
their number. Intervals come from half samples and a seed of ours: SALib draws from the global random state and changes
how Python prints warnings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from cascade.sensitivity.given_data import analyze_sample, half_samples
from cascade.sensitivity.salib import asking_salib

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.sensitivity.design import Design

MINIMUM = 100
"""Fewest runs: half of them still fill ten classes."""

GRID = 100
"""Points at which densities are compared."""

WIDEST = 3.5
"""The grid of normal scores goes from -3.5 to 3.5."""

NARROWEST, LADDER, RUNGS = 0.04, 1.08, 50
"""Widths of kernels for the resamples: 0.04 to 1.7 in steps of 8 %."""


def delta_indices(
    design: Design, output: np.ndarray | xr.DataArray, *, noise: float = 0.0, resamples: int = 50
) -> xr.Dataset:
    """Estimate delta and the first-order index of every parameter from a sample.

    Parameters
    ----------
    design : Design
        Of `sample_design`; correlations are allowed.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions; not finite where a run failed.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.
    resamples : int
        Half samples behind the intervals.

    Returns
    -------
    xarray.Dataset
        Over `name` (parameters) and the dimensions of the output: `delta` (0 to 1) and `S1` with `_lower` and `_upper`
        (95 %). With correlations S1 is the correlation ratio Var(E(output | parameter)) / Var(output).

    Notes
    -----
    Delta is biased by nature: upwards by the chance differences of densities (the dummy has them too and is the floor;
    the lower limit leaves them out), downwards by their smoothing, most where a class has several peaks. Its interval
    is that of the smoothed index. Cost in time: about 1 ms x parameters x resamples / 3 per output of 1000 runs.
    """

    def one(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        scores = normal_scores(y, generator)
        distance = _salib_deltas(x, scores)
        halves = half_samples(quick_deltas, x, scores, generator, resamples)
        half = 1.96 * halves.std(axis=0, ddof=1)
        bias = np.maximum(halves.mean(axis=0) - quick_deltas(x, scores), 0.0) / (math.sqrt(2) - 1)
        low, high = np.maximum(distance - bias - half, 0.0), np.minimum(distance + half, 1.0)
        first = first_order(x, y)
        width = 1.96 * half_samples(first_order, x, y, generator, resamples).std(axis=0, ddof=1)
        limits = [[distance, low, high], [first, first - width, first + width]]
        return np.moveaxis(np.array(limits), 1, -1)

    indices = {"delta": "delta index of the density", "S1": "first-order Sobol index"}
    return analyze_sample(design, output, one, method="delta", indices=indices, minimum=MINIMUM, noise=noise)


def normal_scores(y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the normal quantiles of the ranks, equal outputs in random order.

    The random order has nothing to do with any parameter and leaves every distance of distributions as it is, while a
    density of equal outputs (probabilities of 0 or 1) would have no width.
    """
    import numpy as np
    from scipy.special import ndtri

    scores = np.empty(len(y))
    scores[np.lexsort((generator.random(len(y)), y))] = ndtri((np.arange(len(y)) + 0.5) / len(y))
    return scores


@asking_salib("delta")
def _salib_deltas(x: np.ndarray, scores: np.ndarray) -> np.ndarray:
    import numpy as np
    from SALib.analyze.delta import calc_delta

    edges = _edges(len(scores))
    return np.array([calc_delta(scores, _grid(), column, edges) for column in x.T])


def _grid() -> np.ndarray:
    import numpy as np

    return np.linspace(-WIDEST, WIDEST, GRID)


def _edges(runs: int) -> np.ndarray:
    """Return the edges of the classes of a parameter, in ranks: 8 to 20 classes of the same size."""
    import numpy as np

    return np.linspace(0, runs, min(max(runs // 40, 8), 20) + 1)


def quick_deltas(x: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return delta of every column from outputs counted on the grid: thirty times faster, for the resamples."""
    import numpy as np

    size = len(scores)
    edges = _edges(size)
    classes = len(edges) - 1
    bins = np.rint((np.clip(scores, -WIDEST, WIDEST) + WIDEST) / (2 * WIDEST) * (GRID - 1)).astype(int)
    everyone = _smooth(np.bincount(bins, minlength=GRID)[None] / size, scores.std(ddof=1, keepdims=True), [size])[0]
    label = np.empty(size, dtype=int)
    result = np.empty(x.shape[1])
    for place, column in enumerate(x.T):
        label[np.argsort(column, kind="stable")] = np.searchsorted(edges[1:], np.arange(1, size + 1))
        count = np.bincount(label, minlength=classes)
        mean = np.bincount(label, weights=scores, minlength=classes) / count
        square = np.bincount(label, weights=(scores - mean[label]) ** 2, minlength=classes)
        counted = np.bincount(label * GRID + bins, minlength=classes * GRID).reshape(classes, GRID)
        density = _smooth(counted / count[:, None], np.sqrt(square / np.maximum(count - 1, 1)), count)
        result[place] = count / size @ np.abs(density - everyone).sum(axis=1) / 2
    return result


def _smooth(share: np.ndarray, spread: np.ndarray, count: Sequence[int] | np.ndarray) -> np.ndarray:
    """Smooth shares on the grid with Gaussian kernels of Silverman's width, to the nearest of a ladder of widths."""
    import numpy as np

    width = np.maximum(spread * (0.75 * np.asarray(count)) ** -0.2, NARROWEST)
    step = np.rint(np.log(width / NARROWEST) / math.log(LADDER)).astype(int)
    return np.asarray(np.einsum("cg,cgk->ck", share, _kernels()[np.minimum(step, RUNGS - 1)]))


@lru_cache(maxsize=1)
def _kernels() -> np.ndarray:
    import numpy as np

    width = NARROWEST * LADDER ** np.arange(RUNGS)
    distance = _grid()[:, None] - _grid()
    kernel = np.exp(-0.5 * (distance / width[:, None, None]) ** 2)
    return np.asarray(kernel / kernel.sum(axis=-1, keepdims=True))


@asking_salib("first-order shares")
def first_order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the correlation ratio of every column, corrected for the number of classes as an adjusted R2 is."""
    import numpy as np
    from SALib.analyze.delta import sobol_first

    classes = min(max(len(y) // 12, 10), 50)
    edges = np.linspace(0, len(y), classes + 1)
    raw = np.array([sobol_first(y, column, edges) for column in x.T])
    return raw - (classes - 1) / (len(y) - classes) * (1 - raw)
