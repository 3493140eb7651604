"""Polynomial chaos: first-order and total indices of parameters and groups from runs that are there already.

A sparse polynomial in the quantiles of the priors is fitted, and its squared coefficients are shares of the variance
(Sudret 2008, doi 10.1016/j.ress.2007.04.002). Any design serves, groups may overlap, and hundreds of parameters need
hundreds of runs, not tens of thousands; how well the polynomial predicts runs that it has not seen (Q2) tells how far
to believe it. The search for the terms is in `cascade.sensitivity.polynomials`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError, unknown_name
from cascade.sensitivity.correlation import refuse_correlated
from cascade.sensitivity.design import DUMMY
from cascade.sensitivity.failures import Outputs, is_constant, outputs_of
from cascade.sensitivity.given_data import finish, say_runs, tabulate
from cascade.sensitivity.intervals import rank_intervals
from cascade.sensitivity.lacking import missed
from cascade.sensitivity.polynomials import FOLDS, HIGHEST, fit_expansion, legendre
from cascade.sensitivity.priors import stream
from cascade.sensitivity.ranks import TOP
from cascade.sensitivity.shares import shares, total_without_blocks

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.sensitivity.design import Design

MINIMUM = 40
"""Fewest runs with a result."""

REFUSED = 0.3
"""Below this Q2 there are no indices: they would be those of another function."""

WEAK = 0.7
"""Below this Q2 the verdict warns."""

LEAST = 0.01
"""Share of the variance from which the verdict tells of terms that are missing."""

TRANSFORMS = ("log", "logit")

RANKS = {
    "rank": "rank of the total index (1 is the largest; ties share the average)",
    "rank_lower": "lower 95 % limit of the rank",
    "rank_upper": "upper 95 % limit of the rank",
    "p_top": "probability of being among the largest total indices",
}

INDICES = {"ST": "total Sobol index", "S1": "first-order Sobol index (of a group: all effects inside it)"}


def chaos_indices(
    design: Design,
    output: np.ndarray | xr.DataArray,
    *,
    transform: str | None = None,
    noise: float = 0.0,
    draws: int = 500,
    replicates: int = 0,
    top: int = TOP,
) -> xr.Dataset:
    """Estimate total and first-order indices of parameters or groups by sparse polynomial chaos.

    Parameters
    ----------
    design : Design
        Of any method, without correlations; `sample_design` is the cheapest.
    output : numpy.ndarray or xarray.DataArray
        Runs x any other dimensions; not finite where a run failed.
    transform : {"log", "logit"}, optional
        The indices are then those of the logarithm (of an output above 0) or log odds (of a probability inside 0 to
        1), which a short polynomial often describes much better than the output itself.
    noise : float
        Spread of the output that the solver alone produces, in its unit; a smaller spread counts as constant.
    draws : int
        Draws of the coefficients behind the intervals.
    replicates : int
        Blocks of runs to leave out one by one, for the ranks and for `settle.verdict`; 10 are enough, 0 leaves out
        everything about ranks.
    top : int
        Size of the short list for `p_top`.

    Returns
    -------
    xarray.Dataset
        Over `name` (sets of the design, incl. the dummy) and the dimensions of the output: `ST` and `S1` with `_lower`
        and `_upper` (95 %), as shares of the variance that the polynomial explains; and `Q2`, `terms` over the
        dimensions of the output. Indices are NaN where Q2 is below 0.3. Intervals hold the error of the coefficients
        and half of the variance that the polynomial leaves unexplained. Cost in time: about 0.3 s per output for 400
        runs and 200 parameters.

        With `replicates` also: `rank`, `rank_lower`, `rank_upper` and `p_top` by `ST` (the dummy has no rank);
        `ST_jackknife` over `replicate` x `name`, from searches for as many terms without each block of runs;
        `ST_missed`, what terms that the polynomial lacks, but its residuals show, may add to `ST`; and `constant`.

    Raises
    ------
    AnalysisError
        If priors are correlated, the design has fewer than five independent blocks of runs, or the output has values
        that the transformation does not take.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    refuse_correlated(design, "polynomial chaos")
    if replicates == 1 or replicates < 0:
        raise AnalysisError(
            f"replicates is {replicates}; give 0, or at least 2 blocks of runs to leave out, such as 10"
        )
    outputs = outputs_of(design, output)
    matrix = _transformed(outputs.matrix, transform)
    blocks = _blocks(design)
    used = np.isfinite(matrix).sum(axis=0)
    constant = is_constant(outputs.matrix, noise) & (used >= MINIMUM)
    found = np.full((matrix.shape[1], 2, len(design.names), 3), np.nan)
    found[constant] = 0.0
    quality = np.full((2, matrix.shape[1]), np.nan)
    sets = list(design.sets.values())
    left_out = np.where(constant[:, None, None], 0.0, np.full((matrix.shape[1], replicates + 1, len(sets)), np.nan))
    # Small matrices: threads of BLAS cost up to forty times what they save where the cores are busy (measured).
    with threadpool_limits(limits=1, user_api="blas"):
        for cell in np.flatnonzero((used >= MINIMUM) & ~constant):
            finite = np.isfinite(matrix[:, cell])
            generator = stream("chaos", design.seed)
            fit = fit_expansion(design.quantiles[finite], matrix[finite, cell], blocks[finite], generator)
            quality[:, cell] = fit.q2, len(fit.terms)
            if fit.q2 >= REFUSED:
                found[cell] = shares(fit, sets, generator, draws)
                if replicates:
                    basis, rest = legendre(design.quantiles[finite], HIGHEST), matrix[finite, cell]
                    left_out[cell, 1:] = total_without_blocks(basis, rest, fit, sets, blocks[finite], replicates)
                    left_out[cell, 0] = missed(basis, rest, fit, sets)
    of = "" if transform is None else f" of the {transform} of the output"
    result = tabulate(found, design.names, outputs, {name: label + of for name, label in INDICES.items()})
    for name, label, row in (("Q2", "cross-validated share of the variance", 0), ("terms", "terms of the fit", 1)):
        attrs = {"long_name": label, "units": "dimensionless"}
        result[name] = (*outputs.restore(quality[row]), attrs)
    words = f"{say_runs(design.runs, used, MINIMUM, constant)}; {_say_quality(quality[0])}"
    if replicates:
        _add_ranks(result, design, outputs, left_out, constant, top)
        words += _say_missed(result)
    finish(result, words, method="chaos", index="ST", seed=design.seed)
    result.attrs |= {"index": "ST", "transform": transform or "none", "top": top, "replicates": replicates}
    return result


def _add_ranks(
    result: xr.Dataset, design: Design, outputs: Outputs, left_out: np.ndarray, constant: np.ndarray, top: int
) -> None:
    """Add ranks and what they stand on; `left_out` is outputs x (missed, then one per replicate) x names."""
    import numpy as np

    judged = [place for place, name in enumerate(design.names) if name != DUMMY]
    jackknife = left_out[:, 1:].transpose(1, 2, 0)
    estimate = result["ST"].values.reshape(len(design.names), -1)[judged]
    known = np.where(constant, np.nan, estimate)
    rows = {
        "ST_missed": (left_out[:, 0].T, "upper limit of what terms that the polynomial lacks add to the total index")
    }
    for key, values in rank_intervals(known, jackknife[:, judged], top=top, seed=design.seed).items():
        full = np.full((len(design.names), values.shape[1]), np.nan)
        full[judged] = values
        rows[key] = (full, RANKS[key])
    for key, (values, label) in rows.items():
        result[key] = (*outputs.restore(values, "name"), {"long_name": label, "units": "dimensionless"})
    attrs = {"long_name": "total index without each block of runs", "units": "dimensionless"}
    result["ST_jackknife"] = (*outputs.restore(jackknife, "replicate", "name"), attrs)
    result["constant"] = (*outputs.restore(constant), {"long_name": "whether the output does not vary"})


def _transformed(matrix: np.ndarray, transform: str | None) -> np.ndarray:
    import numpy as np

    if transform is None:
        return matrix
    if transform not in TRANSFORMS:
        raise unknown_name("transformation", transform, TRANSFORMS, "the transformations")
    finite = np.isfinite(matrix)
    high = np.inf if transform == "log" else 1.0
    wrong = int((finite & ((matrix <= 0) | (matrix >= high))).sum())
    if wrong:
        limits = "above 0" if transform == "log" else "inside 0 to 1"
        raise AnalysisError(
            f"polynomial chaos: {wrong} outputs are not {limits}, where the {transform} exists; leave the "
            "transformation out, or use a readout that stays there"
        )
    result = np.where(finite, matrix, np.nan)
    return np.log(result) if transform == "log" else np.log(result / (1 - result))


def _blocks(design: Design) -> np.ndarray:
    """Number the independent blocks of runs: single runs of a sample, base rows of a pick-freeze design."""
    import numpy as np

    rows: Any = design.details.get("rows", 1)
    count = max(design.samples * int(rows), 1)
    if count < FOLDS:
        raise AnalysisError(
            f"polynomial chaos: the {design.method} design has {count} independent blocks of runs; take a design of at "
            f"least {FOLDS}, better one of sample_design"
        )
    return np.arange(design.runs) * count // design.runs


def _say_quality(q2: np.ndarray) -> str:
    import numpy as np

    known = q2[np.isfinite(q2)]
    if not known.size:
        return "nothing was fitted"
    words = f"the polynomial predicts {known.min():.0%} of the variance of unseen runs (Q2)"
    if known.size > 1:
        words = f"the polynomials predict {known.min():.0%} to {known.max():.0%} of the variance of unseen runs (Q2)"
    refused, weak = int((known < REFUSED).sum()), int((known < WEAK).sum())
    if refused:
        words += (
            f"; for {refused} of {q2.size} outputs that is below {REFUSED:.0%}, and there are no indices: add runs, "
            "transform the output or use Sobol"
        )
    if weak > refused:
        words += f"; below {WEAK:.0%} in {weak - refused} of {q2.size} outputs: take the order only, or add runs"
    return words


def _say_missed(result: xr.Dataset) -> str:
    """Name what takes part in terms that the polynomial lacks, where they hold a hundredth of the variance."""
    extra = [dim for dim in result["ST_missed"].dims if dim != "name"]
    most = result["ST_missed"].max(extra)
    names = [str(name) for name in result["name"].values[(most >= LEAST).values]]
    if not names:
        return ""
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"; {shown} act in ways that the polynomial lacks (up to {float(most.max()):.0%} of the variance)"
