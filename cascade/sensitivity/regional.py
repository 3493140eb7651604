"""Regional analysis (Monte Carlo filtering): which parameters separate patients who metastasize from those who do not.

Hornberger and Spear (1981, J Environ Manage 12:7-18); Saltelli et al. (2008), Global Sensitivity Analysis: The Primer,
doi 10.1002/9780470725184, chapter 5. The readout is a probability: a patient with p counts p in one group and 1 - p in
the other. Correlated priors are taken as they are: a parameter may separate through what goes along with it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.design import DUMMY
from cascade.sensitivity.failures import holm, outputs_of
from cascade.sensitivity.given_data import WIDER, analyze_sample, half_samples

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.sensitivity.design import Design

MINIMUM = 40
"""Fewest runs with a result."""

SMALLEST_GROUP = 5.0
"""Fewest patients in either group, as the effective number of weighted ones."""

PERMUTATIONS = 4000
"""Permutations behind p values; at least 40 for each parameter, so that Holm's correction can be passed."""


def regional(
    design: Design,
    output: np.ndarray | xr.DataArray,
    *,
    threshold: float | None = None,
    above: bool = True,
    noise: float = 0.0,
    resamples: int = 50,
) -> xr.Dataset:
    """Find the parameters whose values differ between patients with and without the event.

    Parameters
    ----------
    design : Design
        Of `sample_design`; correlations are allowed.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions; not finite where a run failed. Without a threshold: probabilities of the event.
    threshold : float, optional
        The event is an output beyond this value, in its unit.
    above : bool
        Whether the event is above the threshold, or (without one) the output is the probability of the event and not
        of its absence.
    noise : float
        Spread of the output that the solver alone produces; a smaller spread counts as constant.
    resamples : int
        Half samples behind the intervals.

    Returns
    -------
    xarray.Dataset
        Over `name` (parameters) and the dimensions of the output: `separation` (0 to 1, the largest distance between
        the distributions of the parameter's quantile in the two groups, weighted Kolmogorov-Smirnov) and `shift` (mean
        quantile with the event less that without, -1 to 1), both with `_lower` and `_upper` (95 %); `p` by permutation
        and `p_holm`, corrected for the number of parameters; `direction`: 1 if the upper end of the prior has the
        event, -1 if the lower end has it, 0 if the shift may be either (also if the event is in the middle or at both
        ends, where `separation` tells that there is something). Indices are NaN where a group has fewer than the
        equivalent of five patients.

    Notes
    -----
    The separation is biased upwards like every distance of samples; the dummy has the same bias and is the floor, and
    the lower limit leaves it out.
    """

    def one(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        return _separate(x, _weights(y, threshold, above), generator, resamples, DUMMY in design.columns)

    if threshold is None:
        _check_probabilities(design, output)
    result = analyze_sample(
        design,
        output,
        one,
        method="regional",
        indices={
            "separation": "distance of distributions with and without the event",
            "shift": "shift of the quantile",
        },
        extras={
            "direction": ("end of the prior that has the event", 0.0),
            "p": ("p value by permutation", 1.0),
            "p_holm": ("p value by permutation with Holm's correction", 1.0),
        },
        minimum=MINIMUM,
        noise=noise,
    )
    result.attrs["verdict"] += _say_groups(result)
    return result


def _check_probabilities(design: Design, output: np.ndarray | xr.DataArray) -> None:
    import numpy as np

    matrix = outputs_of(design, output).matrix
    wrong = int((np.isfinite(matrix) & ((matrix < 0) | (matrix > 1))).sum())
    if wrong:
        raise AnalysisError(
            f"regional analysis: {wrong} outputs are not probabilities (0 to 1); give a threshold that tells the event"
        )


def _weights(y: np.ndarray, threshold: float | None, above: bool) -> np.ndarray:
    """Return the weight of every patient in the group with the event."""
    import numpy as np

    event = np.clip(y, 0.0, 1.0) if threshold is None else (y > threshold).astype(float)
    return event if above else 1 - event


def _separate(
    x: np.ndarray, event: np.ndarray, generator: np.random.Generator, resamples: int, dummy: bool
) -> np.ndarray:
    import numpy as np

    result = np.full((5, x.shape[1], 3), np.nan)
    if min(_effective(event), _effective(1 - event)) < SMALLEST_GROUP:
        return result
    found = distances(x, event)
    halves = half_samples(distances, x, event, generator, resamples)
    half = 1.96 * halves.std(axis=0, ddof=1)
    bias = np.maximum(halves[:, 0].mean(axis=0) - found[0], 0.0) / (math.sqrt(2) - 1)
    result[0] = np.stack(
        [found[0], np.maximum(found[0] - bias - WIDER * half[0], 0), np.minimum(found[0] + half[0], 1)], -1
    )
    result[1] = np.stack([found[1], found[1] - half[1], found[1] + half[1]], axis=-1)
    result[2, :, 0] = np.where(np.abs(found[1]) > half[1], np.sign(found[1]), 0.0)
    chance = np.sort(_by_chance(event, generator, max(PERMUTATIONS, 40 * x.shape[1])))
    as_large = len(chance) - np.searchsorted(chance, found[0] - 1e-12)
    result[3, :, 0] = (1 + as_large) / (1 + len(chance))
    judged = x.shape[1] - dummy
    result[4, :judged, 0] = holm(result[3, :judged, 0])
    return result


def _effective(weight: np.ndarray) -> float:
    """Return how many patients of weight 1 tell as much as the weighted ones."""
    total, square = float(weight.sum()), float((weight**2).sum())
    return total**2 / square if square else 0.0


def distances(x: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Return weighted Kolmogorov-Smirnov distance and difference of means of every column: 2 x columns."""
    import numpy as np

    with_event, without = event.sum(), (1 - event).sum()
    if not with_event or not without:
        return np.zeros((2, x.shape[1]))
    contrast = event / with_event - (1 - event) / without
    order = np.argsort(x, axis=0)
    return np.stack([np.abs(np.cumsum(contrast[order], axis=0)).max(axis=0), contrast @ x])


def _by_chance(event: np.ndarray, generator: np.random.Generator, permutations: int) -> np.ndarray:
    """Return distances for patients in random order; the same law holds for every column, since ranks alone count."""
    import numpy as np

    contrast = event / event.sum() - (1 - event) / (1 - event).sum()
    chunk = max(1, 2_000_000 // len(event))
    found = []
    for start in range(0, permutations, chunk):
        rows = min(chunk, permutations - start)
        shuffled = generator.permuted(np.broadcast_to(contrast, (rows, len(event))), axis=1)
        found.append(np.abs(np.cumsum(shuffled, axis=1)).max(axis=1))
    return np.concatenate(found)


def _say_groups(result: xr.Dataset) -> str:
    import numpy as np

    p = result["p_holm"].values.reshape(result.sizes["name"], -1)
    empty = int(np.isnan(result["p"].values.reshape(p.shape)).all(axis=0).sum())
    named = int((p < 0.05).any(axis=1).sum())
    words = f"; {named} parameters separate the groups (p < 0.05 after Holm's correction)"
    if empty:
        words += (
            f"; in {empty} of {p.shape[1]} outputs there are no indices, because too few runs have a result or a group "
            f"is smaller than {SMALLEST_GROUP:g} patients"
        )
    return words
