"""Given-data analysis: one plain sample of the priors serves many methods, and what those methods share.

A run without a result is dropped from the sample and counted: nothing is put in its place, and SALib never sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.correlation import correlate
from cascade.sensitivity.design import DUMMY, Design, layout
from cascade.sensitivity.failures import Outputs, is_constant, outputs_of
from cascade.sensitivity.priors import check_prior, stream

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.specs import Parameter

EDGE = 2.0**-40
"""Quantiles keep this distance from 0 and 1: a copula or a normal score of 0 is infinite."""


WIDER = 1.75
"""How much more a distance of distributions scatters once its bias is taken out, as half samples tell it. Chosen by
measured coverage on four functions: with 1.25 the intervals hold 87 to 98 %, with 1.5 90 to 99 %, with 2 96 to 99 %."""


def sample_design(
    parameters: Sequence[Parameter],
    samples: int,
    *,
    seed: int,
    groups: Mapping[str, Sequence[str]] | None = None,
    dummy: bool = True,
    correlation: Mapping[tuple[str, str], float] | None = None,
    correlation_kind: str = "rank",
) -> Design:
    """Sample the priors once for every given-data method: chaos, delta, PAWN, RBD-FAST and regional analysis.

    Parameters
    ----------
    parameters : sequence of Parameter
    samples : int
        Number of runs, at least 2. The first n runs do not change when more are asked for.
    seed : int
        0 or above. Each column has a stream of its own: a parameter more leaves the others as they are.
    groups : mapping of str to sequence of str, optional
        Ids by group; used by polynomial chaos, the other methods judge single parameters.
    dummy : bool
        Whether there is a column that no parameter has, as a floor of noise.
    correlation : mapping of pair of str to float, optional
        Correlations of pairs of parameters, by a Gaussian copula; see `cascade.sensitivity.correlation`.
    correlation_kind : {"rank", "normal"}
        What the numbers in `correlation` are.

    Returns
    -------
    Design
        Method "sample"; one row of quantiles, strictly inside (0, 1), per run.

    Notes
    -----
    The sample is random on purpose. In 200 dimensions two columns of 256 scrambled Sobol' points correlate up to 0.94
    (random ones: 0.25), so that a given-data method takes one parameter for another, and in four to seven dimensions
    their structure gives RBD-FAST three to six times the error and intervals that hold the truth in 20 to 90 %.
    """
    import numpy as np

    if samples < 2:
        raise AnalysisError(f"samples is {samples}; take at least 2, some hundreds for an analysis")
    columns, sets = layout(parameters, groups, dummy=dummy)
    for parameter in parameters:
        check_prior(parameter)
    pairs = dict(correlation or {})
    if any(DUMMY in pair for pair in pairs):
        raise AnalysisError(f"the column {DUMMY!r} has no parameter and correlates with none; leave it out")
    drawn = np.stack([stream(f"sample {name}", seed).random(samples) for name in columns], axis=1)
    independent = np.clip(drawn, EDGE, 1 - EDGE)
    return Design(
        method="sample",
        parameters=tuple(parameters),
        columns=columns,
        sets=sets,
        quantiles=np.clip(correlate(independent, columns, pairs, kind=correlation_kind), EDGE, 1 - EDGE),
        samples=samples,
        seed=seed,
        details={"correlation": pairs, "correlation_kind": correlation_kind},
    )


# ---- what estimators share


def analyze_sample(
    design: Design,
    output: np.ndarray | xr.DataArray,
    one: Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray],
    *,
    method: str,
    indices: Mapping[str, str],
    minimum: int,
    noise: float,
    extras: Mapping[str, tuple[str, float]] | None = None,
) -> xr.Dataset:
    """Apply the estimator of one output to every output of a sample, with the failed runs left out.

    Parameters
    ----------
    design : Design
        Of `sample_design`.
    output : numpy.ndarray or xarray.DataArray
        Runs x extra dimensions.
    one : callable
        Takes quantiles (rows x columns), outputs (rows) and a random generator; returns an array of indices, then
        extras, x columns x (estimate, lower, upper).
    method, indices, minimum, noise
        Name of the method; long name of each index; fewest runs that it can use; spread of the solver's noise.
    extras : mapping of str to (str, float), optional
        Long name of what has no limits, and its value for a constant output.
    """
    import numpy as np

    if design.method != "sample":
        raise AnalysisError(
            f"{method} needs a plain sample of the priors, not a design of {design.method}, whose runs depend on each "
            "other; make the design with sample_design, or use chaos_indices, which takes any design"
        )
    outputs = outputs_of(design, output)
    further = dict(extras or {})
    found = np.full((outputs.matrix.shape[1], len(indices) + len(further), len(design.columns), 3), np.nan)
    used = np.isfinite(outputs.matrix).sum(axis=0)
    constant = is_constant(outputs.matrix, noise) & (used >= minimum)
    found[constant] = 0.0
    for place, (_, value) in enumerate(further.values(), start=len(indices)):
        found[constant, place] = value
    for cell, y in enumerate(outputs.matrix.T):
        if used[cell] >= minimum and not constant[cell]:
            finite = np.isfinite(y)
            generator = stream(f"{method} intervals", design.seed)
            found[cell] = one(design.quantiles[finite], y[finite], generator)
    result = tabulate(found, design.columns, outputs, indices)
    for place, (name, (label, _)) in enumerate(further.items(), start=len(indices)):
        attrs = {"long_name": label, "units": "dimensionless"}
        result[name] = (*outputs.restore(found[:, place, :, 0].T, "name"), attrs)
    words = say_runs(design.runs, used, minimum, constant)
    if design.names != design.columns:
        words += "; parameters are judged, since this method has no index of a group"
    finish(result, words, method=method, index=next(iter(indices)), seed=design.seed)
    return result


def tabulate(found: np.ndarray, names: Sequence[str], outputs: Outputs, indices: Mapping[str, str]) -> xr.Dataset:
    """Make the dataset of estimates: outputs x indices x names x (estimate, lower, upper)."""
    import xarray as xr

    data: dict[str, Any] = {}
    for place, (index, label) in enumerate(indices.items()):
        for part, (suffix, words) in enumerate(_PARTS.items()):
            dims, block = outputs.restore(found[:, place, :, part].T, "name")
            data[index + suffix] = (dims, block, {"long_name": words.format(label), "units": "dimensionless"})
    return xr.Dataset(data, coords={"name": list(names), **outputs.coords})


_PARTS = {
    "": "{}",
    "_lower": "lower end of the 95 % interval of the {}",
    "_upper": "upper end of the 95 % interval of the {}",
}


def say_runs(planned: int, used: np.ndarray, minimum: int, constant: np.ndarray) -> str:
    """Say in words how many runs the indices stand on; `used` and `constant` have one entry per output."""
    low, high = int(used.min()), int(used.max())
    words = f"{low} of {planned} runs used" if low == high else f"{low} to {high} of {planned} runs used"
    if low < planned:
        words += f"; up to {planned - low} dropped because they have no result"
    few = int((used < minimum).sum())
    if few:
        words += f"; too few for {few} of {len(used)} outputs (at least {minimum} are needed), whose indices are NaN"
    if constant.any():
        words += (
            f"; {int(constant.sum())} of {len(constant)} outputs do not vary by more than the solver's noise, so "
            "their indices are given as 0"
        )
    return words


def finish(result: xr.Dataset, words: str, *, method: str, index: str, seed: int) -> None:
    """Add attributes and compare with the floor of noise: the upper end of the dummy's interval, output by output."""
    import numpy as np

    attrs = {"method": method, "seed": seed, "noise_floor": float("nan")}
    if DUMMY in result["name"]:
        floor = result[f"{index}_upper"].sel(name=DUMMY, drop=True)
        if bool(np.isfinite(floor).any()):
            others = result[index].drop_sel(name=DUMMY)
            above = (others > floor).any([dim for dim in others.dims if dim != "name"])
            attrs["noise_floor"] = float(floor.max())
            words += (
                f"; {int(above.sum())} of {above.size} are above the floor of noise ({index} "
                f"{attrs['noise_floor']:.3g}, the upper end of the dummy)"
            )
    else:
        words += "; there is no dummy, so the floor of noise is unknown"
    result.attrs = {**attrs, "verdict": words}


def half_samples(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    generator: np.random.Generator,
    draws: int,
) -> np.ndarray:
    """Return a statistic of random halves of the sample, draws x ...

    Its spread over the halves is the standard error in the whole sample (a jackknife that deletes half of the runs:
    Politis and Romano 1994, Ann Stat 22:2031-2050). A bootstrap repeats runs, which statistics of ordered runs
    (slices, spectra, distances of distributions) take for an effect.
    """
    import numpy as np

    size = len(y) // 2
    halves = (generator.permutation(len(y))[:size] for _ in range(draws))
    return np.stack([statistic(x[half], y[half]) for half in halves])
