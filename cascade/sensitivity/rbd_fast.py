"""RBD-FAST: first-order Sobol indices from any plain sample, by the spectrum of the outputs ordered by a parameter.

Random balance designs of Tarantola, Gatelli and Mara (2006, doi 10.1016/j.ress.2005.06.003) in the given-data form of
Plischke (2010, doi 10.1016/j.ress.2009.11.005), with the bias correction of Tissot and Prieur (2012,
doi 10.1016/j.ress.2012.06.010); all three by SALib.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.sensitivity.correlation import refuse_correlated
from cascade.sensitivity.given_data import analyze_sample, half_samples
from cascade.sensitivity.salib import asking_salib

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.sensitivity.design import Design

HARMONICS = 10
"""Harmonics that count as the effect of a parameter; SALib's choice."""

MINIMUM = 100
"""Fewest runs: the bias correction and half samples need several runs per harmonic."""


def rbd_fast_indices(
    design: Design, output: np.ndarray | xr.DataArray, *, noise: float = 0.0, resamples: int = 50
) -> xr.Dataset:
    """Estimate the first-order index of every parameter from a sample.

    Parameters
    ----------
    design : Design
        Of `sample_design`, without correlations.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions; not finite where a run failed.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.
    resamples : int
        Half samples behind the intervals.

    Returns
    -------
    xarray.Dataset
        Over `name` (parameters) and the dimensions of the output: `S1`, `S1_lower`, `S1_upper` (95 %). Corrected for
        bias, so that an index of 0 comes out negative as often as not. Cost in time: 0.2 ms x parameters x
        (resamples + 1) per output.
    """
    refuse_correlated(design, "RBD-FAST")

    def one(x: np.ndarray, y: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        import numpy as np

        estimate = _first_order(x, y)
        half = 1.96 * half_samples(_first_order, x, y, generator, resamples).std(axis=0, ddof=1)
        return np.stack([estimate, estimate - half, estimate + half], axis=-1)[None]

    indices = {"S1": "first-order Sobol index"}
    return analyze_sample(design, output, one, method="rbd_fast", indices=indices, minimum=MINIMUM, noise=noise)


@asking_salib("RBD-FAST")
def _first_order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    import numpy as np
    from SALib.analyze.rbd_fast import compute_first_order, permute_outputs, unskew_S1

    raw = [compute_first_order(permute_outputs(column, y), HARMONICS) for column in x.T]
    return np.array([unskew_S1(index, HARMONICS, len(y)) for index in raw])
