"""Whether a short list of parameters is settled: known to hold those with the largest indices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError
from cascade.sensitivity.chaos import WEAK
from cascade.sensitivity.design import DUMMY
from cascade.sensitivity.intervals import CONFIDENCE, probability_of_set
from cascade.sensitivity.ranks import TOP

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

TOLERANCE = 0.01
"""Indices closer than this share of the largest one count as equal: nobody needs to know which of them is larger."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a short list is settled.

    Attributes
    ----------
    settled : bool
    probability : float
        That the names in `top` are those with the largest indices; NaN if that cannot be said.
    top : tuple of str
        Names with the largest estimates, best first.
    text : str
        The verdict in words.
    """

    settled: bool
    probability: float
    top: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return self.text


def verdict(
    indices: xr.Dataset, top: int = TOP, confidence: float = CONFIDENCE, *, tolerance: float = TOLERANCE
) -> Verdict:
    """Say whether the `top` largest indices are known to be the largest.

    Parameters
    ----------
    indices : xarray.Dataset
        Of `sobol_indices`, `morris_indices` or, with `replicates`, `chaos_indices`, for one output; select one if
        there are several.
    top : int
        Size of the list; its inner order is not judged.
    confidence : float
        Probability that is asked for.
    tolerance : float
        Indices closer than this share of the largest one count as equal.

    Returns
    -------
    Verdict

    Notes
    -----
    A polynomial can be sure and wrong where it lacks what matters, which leaving out runs does not show. A list of
    `chaos_indices` is settled only if the polynomial predicts 70 % of the variance of unseen runs, and if no terms
    that it lacks, but its residuals show, could put another name into the list. Both are tested on functions that
    hide an effect in an interaction (tests/test_settle_chaos.py).
    """
    index = str(indices.attrs["index"])
    names = [str(name) for name in indices["name"].values if name != DUMMY]
    check_question(top, confidence, tolerance)
    table = indices.sel(name=names)
    if index == "ST" and f"{index}_jackknife" not in table:
        raise AnalysisError("the indices have no replicates; ask chaos_indices for them with replicates=10")
    if table[index].ndim != 1:
        raise AnalysisError(
            f"the indices have the dimensions {table[index].dims}; select one output, such as indices.isel(time=-1)"
        )
    constant = bool(indices["constant"])
    if "Q2" in table and not constant and float(table["Q2"]) < WEAK:
        why = f"the polynomial predicts {float(table['Q2']):.0%} of the variance of unseen runs, less than {WEAK:.0%}"
        return _unknown(top, why)
    return _verdict(
        names,
        table[index].values,
        table[f"{index}_jackknife"].transpose("replicate", "name").values,
        table["ST_missed"].values if "ST_missed" in table else None,
        constant=constant,
        question=(top, confidence, tolerance, int(indices.attrs["seed"])),
    )


def check_question(top: int, confidence: float, tolerance: float) -> None:
    """Refuse a size, a probability or a tolerance that cannot be asked for."""
    if top < 1:
        raise AnalysisError(f"top is {top}; ask for at least 1")
    if not 0 < confidence < 1:
        raise AnalysisError(f"confidence is {confidence}; give a probability between 0 and 1, such as 0.95")
    if not 0 <= tolerance < 1:
        raise AnalysisError(f"tolerance is {tolerance}; give a share of the largest index, 0 or above and below 1")


def _verdict(
    names: Sequence[str],
    estimate: np.ndarray,
    left_out: np.ndarray,
    missed: np.ndarray | None = None,
    *,
    constant: bool,
    question: tuple[int, float, float, int],
) -> Verdict:
    import numpy as np

    top, confidence, tolerance, seed = question
    known = np.isfinite(estimate)
    if constant or not known.all():
        missing = [name for name, there in zip(names, known, strict=True) if not there]
        why = "the output does not vary" if constant else f"{', '.join(missing[:5])} have no index"
        return _unknown(top, why)
    best = tuple(names[place] for place in np.argsort(-estimate, kind="stable")[:top])
    if len(names) <= top:
        return Verdict(settled=True, probability=1.0, top=best, text=f"top {top} settled: yes; there are no more names")
    if missed is not None:
        outside = np.array([name not in best for name in names])
        estimate, left_out = estimate + outside * missed, left_out + outside * missed
        rivals = np.flatnonzero(outside & (estimate > estimate[~outside].min() + tolerance * estimate.max()))
        if rivals.size:
            who = ", ".join(names[place] for place in rivals[:5])
            return _unknown(top, f"the polynomial lacks terms that may put {who} into the list")
    probability = probability_of_set(estimate, left_out, top=top, seed=seed, tolerance=tolerance)
    settled = probability >= confidence
    text = f"top {top} settled: {'yes' if settled else 'no'}; {', '.join(best)} are the largest "
    text += f"with a probability of {probability:.1%}, {confidence:.0%} is asked for"
    if tolerance:
        text += f" (indices within {tolerance:.1%} of the largest count as equal)"
    return Verdict(settled=settled, probability=probability, top=best, text=text)


def _unknown(top: int, why: str) -> Verdict:
    """Return the verdict where no list can be judged."""
    return Verdict(settled=False, probability=float("nan"), top=(), text=f"top {top} settled: no; {why}")
