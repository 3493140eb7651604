"""Sobol' indices from pick-freeze designs: shares of the output's variance, of parameters or groups that may overlap.

First order: Saltelli et al. (2010, Comput Phys Commun 181:259-270, doi 10.1016/j.cpc.2009.09.018); total: Jansen (1999,
Comput Phys Commun 117:35-43, doi 10.1016/S0010-4655(98)00154-4); second order: Saltelli (2002, Comput Phys Commun
145:280-297, doi 10.1016/S0010-4655(02)00280-1). They are the estimators of SALib, and a test holds the two equal; here
they are sums over replicates, because every output and every set has its own failed runs, because intervals leave out
one replicate after the other, and because SALib gives 0 for an output whose variance is below 2e-16 or that has a NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.blocks import overlap, second_order_sums, set_sums, split, variance_sums
from cascade.sensitivity.design import DUMMY, Design
from cascade.sensitivity.failures import Outputs, is_constant, outputs_of
from cascade.sensitivity.intervals import DRAWS, jackknife_limits, rank_intervals
from cascade.sensitivity.pick_freeze import sobol_design
from cascade.sensitivity.ranks import TOP

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

__all__ = ["sobol_design", "sobol_indices"]

_CELLS = 4_000_000
"""Most numbers in one block of outputs that are worked on at once."""


def sobol_indices(
    design: Design,
    output: xr.DataArray | np.ndarray,
    *,
    noise: float = 0.0,
    top: int = TOP,
    draws: int = DRAWS,
) -> xr.Dataset:
    """Estimate first-order, total and second-order indices, each with 95 % limits.

    Parameters
    ----------
    design : Design
        Of `sobol_design`.
    output : xarray.DataArray or numpy.ndarray
        One value per run along the dimension `run` (the first of an array) and any others, such as time, organ or
        readout; NaN or infinite where a run failed. Each output has its own indices.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.
    top : int
        Size of the short list for `p_top`.
    draws : int
        Joint draws of the total indices behind `p_top`; 0 leaves out everything about ranks.

    Returns
    -------
    xarray.Dataset
        Over `name` and the other dimensions of the output:

        - `S1`, `ST` and, over `name` x `other`, `S2`, with `_lower` and `_upper` 95 % limits. `S1` of a group is its
          closed index (all that its parameters do alone and among themselves). `S2` is NaN for sets that share a
          parameter: there the pairs of runs do not give it.
        - `S1_bound_lower` ... `ST_bound_upper`: between these the estimate lies, whatever the failed runs would have
          given within the range of the others. Equal to the estimate if no run failed.
        - `rank`, `rank_lower`, `rank_upper` and `p_top` by `ST`; the dummy has no rank.
        - `ST_jackknife` over `replicate` x `name`: `ST` without each replicate, from which `settle.verdict` and others
          draw the indices jointly.
        - `blocks`: rows behind `ST`; `mean`, `variance` of the output; `constant`.
        - `S1_floor`, `ST_floor`: noise floors, see below.

        `verdict` says in words what the numbers stand on.

    Raises
    ------
    AnalysisError
        If the design is not of this method, or the output has the wrong number of runs.

    Notes
    -----
    A failed run costs the row of those indices that need it: `ST` of a set needs A and AB, `S1` needs B too. Dropping
    whole blocks would select rows by the success of all sets: with 20 sets and 5 % failed runs two thirds of the rows
    go, and those that stay lie far from where runs fail.

    Noise floor: a parameter that does nothing leaves its runs as they are, so its `ST` is the noise of the simulation
    over the variance of the output, `noise^2 / variance`. Its `S1` is estimated as 0 for the same reason. What the
    sample itself leaves in a first-order index is seen in A and B, which share nothing: `S1_floor` is the absolute
    correlation of their outputs. Runs of a dummy in the design replace the computed floor of `ST` by a measured one,
    the index of the dummy.
    """
    import numpy as np

    if design.method != "sobol":
        raise AnalysisError(f"this design is of method {design.method!r}; sobol_indices needs one of sobol_design")
    outputs = outputs_of(design, output)
    matrix = outputs.matrix
    width = max(1, _CELLS // design.runs)
    parts = [_estimate(design, matrix[:, at : at + width], noise) for at in range(0, matrix.shape[1], width)]
    found = {key: np.concatenate([part[key] for part in parts], axis=-1) for key in parts[0]}
    if draws:
        found |= _ranking(design, found, top, draws)
    result = _as_dataset(design, found, outputs)
    result.attrs = {
        "method": "sobol",
        "index": "ST",
        "replicates": design.samples,
        "rows": design.details["rows"],
        "runs": design.runs,
        "failed_runs": int(np.isnan(matrix).any(axis=1).sum()),
        "seed": design.seed,
        "top": top,
        "noise": noise,
        "verdict": _verdict(design, matrix, found),
    }
    return result


def _estimate(design: Design, matrix: np.ndarray, noise: float) -> dict[str, np.ndarray]:
    """Estimate everything for some outputs: arrays whose last axis is the output."""
    import numpy as np

    blocks = split(design, matrix)
    constant = is_constant(matrix, noise)
    spread = variance_sums(blocks)
    sums = set_sums(blocks)
    found: dict[str, np.ndarray] = {"mean": blocks.center, "constant": constant}
    found["variance"] = spread.variance() * blocks.scale**2
    found["blocks"] = sums["ST"].count.sum(axis=0).astype(float)
    for index in ("S1", "ST"):
        found |= _with_limits(index, sums[index].over(spread), sums[index].over(spread, leave_out=True), constant)
        found |= {f"{index}_bound_{end}": _zero(value, constant) for end, value in sums[index].bounds(spread).items()}
    found["ST_jackknife"] = _zero(sums["ST"].over(spread, leave_out=True), constant)
    if design.details["second_order"]:
        closed = second_order_sums(blocks)
        single = [sums["S1"].over(spread, leave_out=out) for out in (False, True)]
        pairs = [closed.over(spread, leave_out=out) for out in (False, True)]
        pairs = [p - s[..., :, None, :] - s[..., None, :, :] for p, s in zip(pairs, single, strict=True)]
        apart = ~overlap(design)[:, :, None]
        limits = _with_limits("S2", pairs[0], pairs[1], constant)
        found |= {key: np.where(apart, value, np.nan) for key, value in limits.items()}
    with np.errstate(invalid="ignore", divide="ignore"):
        found["S1_floor"] = _zero(np.abs(blocks.product_of_a_and_b() / spread.variance()), constant)
        found["ST_floor"] = _zero(noise**2 / found["variance"], constant)
    if DUMMY in design.names:
        found["ST_floor"] = found["ST"][design.names.index(DUMMY)]
    return found


def _with_limits(index: str, estimate: np.ndarray, left_out: np.ndarray, constant: np.ndarray) -> dict[str, np.ndarray]:
    lower, upper = jackknife_limits(estimate, left_out, positive=index == "ST")
    values = {index: estimate, f"{index}_lower": lower, f"{index}_upper": upper}
    return {name: _zero(value, constant) for name, value in values.items()}


def _zero(values: np.ndarray, constant: np.ndarray) -> np.ndarray:
    """Put 0 where the output is constant; the verdict says so."""
    import numpy as np

    return np.where(constant, 0.0, values)


def _ranking(design: Design, found: Mapping[str, np.ndarray], top: int, draws: int) -> dict[str, np.ndarray]:
    import numpy as np

    judged = [place for place, name in enumerate(design.names) if name != DUMMY]
    known = np.where(found["constant"], np.nan, found["ST"])[judged]
    ranks = rank_intervals(known, found["ST_jackknife"][:, judged], top=top, seed=design.seed, draws=draws)
    result = {}
    for key, values in ranks.items():
        result[key] = np.full(found["ST"].shape, np.nan)
        result[key][judged] = values
    return result


_LABELS = {
    "S1": "first-order index",
    "ST": "total index",
    "S2": "second-order index",
    "rank": "rank of the total index (1 is the largest; ties share the average)",
    "rank_lower": "lower 95 % limit of the rank",
    "rank_upper": "upper 95 % limit of the rank",
    "p_top": "probability of being among the largest total indices",
    "blocks": "rows behind the total index",
    "mean": "mean output",
    "variance": "variance of the output",
    "constant": "whether the output varies by no more than the solver's noise",
    "S1_floor": "correlation of outputs that share nothing",
    "ST_floor": "share of the variance that is noise of the simulation",
    "ST_jackknife": "total index without each replicate",
}
_ENDS = {
    "_bound_lower": "least {} that the failed runs allow",
    "_bound_upper": "greatest {} that the failed runs allow",
    "_lower": "lower 95 % limit of the {}",
    "_upper": "upper 95 % limit of the {}",
}


def _label(key: str) -> str:
    if key in _LABELS:
        return _LABELS[key]
    end = next(end for end in _ENDS if key.endswith(end))
    return _ENDS[end].format(_LABELS[key.removesuffix(end)])


def _as_dataset(design: Design, found: Mapping[str, np.ndarray], outputs: Outputs) -> xr.Dataset:
    import xarray as xr

    leading = {1: (), 2: ("name",), 3: ("name", "other")}
    data: dict[str, Any] = {}
    for key, values in found.items():
        dims = ("replicate", "name") if key == "ST_jackknife" else leading[values.ndim]
        data[key] = (*outputs.restore(values, *dims), {"long_name": _label(key)})
    coords: dict[Any, Any] = {"name": list(design.names), **outputs.coords}
    if design.details["second_order"]:
        coords["other"] = list(design.names)
    return xr.Dataset(data, coords=coords)


def _verdict(design: Design, matrix: np.ndarray, found: Mapping[str, np.ndarray]) -> str:
    """Say in words what the indices stand on."""
    import numpy as np

    planned = design.samples * int(design.details["rows"])
    text = f"{design.runs} runs: {design.samples} replicates of {design.details['rows']} rows"
    failed = int(np.isnan(matrix).any(axis=1).sum())
    if failed:
        least = int(found["blocks"].min())
        text += f"; {failed} failed, which leaves between {least} and {int(found['blocks'].max())} of {planned} rows"
    if bool(np.isnan(found["ST"]).any()):
        text += "; an index without a row, or of an output without a variance, is missing (NaN)"
    constant = int(found["constant"].sum())
    if constant:
        which = "the output does" if matrix.shape[1] == 1 else f"{constant} of {matrix.shape[1]} outputs do"
        text += f"; {which} not vary by more than the solver's noise, so every index of it is given as 0"
    if design.details["second_order"] and (np.tril(overlap(design), -1)).any():
        text += "; sets that share a parameter have no second-order index (NaN)"
    return text
