"""Weights that give a cohort the published marginals and change it as little as they can: maximum entropy."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of
from cascade._tables import is_number
from cascade.cohort._conflicts import out_of_reach
from cascade.cohort._moments import Moment, moments, reasons_told
from cascade.cohort.distributions import Marginal
from cascade.errors import AnalysisError, CascadeWarning

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

LEAST_SHARE = 0.1
"""A cohort whose effective size is below this share of its patients says little of its own."""

TOLERANCE = 1e-3
"""Standard error of what was published without one, in standard deviations of the number between patients."""

_WIDE = 3.0

_SAME = 1e-12
"""A moment that differs by less between patients, relative to its size, is the same in all of them."""

MISS = 2.0
"""Standard errors from which a marginal counts as missed."""


def weight_cohort(
    outcomes: xr.Dataset,
    marginals: Iterable[Marginal],
    *,
    cohort: xr.Dataset | None = None,
    tolerance: float = TOLERANCE,
    least_share: float = LEAST_SHARE,
) -> xr.DataArray:
    """Weight patients so that they meet published marginals within their standard errors.

    Parameters
    ----------
    outcomes : xarray.Dataset
        Result of `follow_cohort`, or a cohort if the marginals are of its variables alone. A `weight` that it has is
        where the tilting starts.
    marginals : iterable of Marginal
    cohort : xarray.Dataset, optional
        The same patients: variables that the outcomes lack are looked up here.
    tolerance : float
        Smallest standard error, in standard deviations of the number between patients.
    least_share : float
        Effective sample size over patients below which there is a warning.

    Returns
    -------
    xarray.DataArray
        Over `patient`, mean 1, of role "weight"; 0 for whom a number is missing (not operated, a failed run).
        In the attributes: `patients` with a weight, `ess` (effective sample size, (sum w)^2 / sum w^2), `left_out`,
        and, as JSON, `marginals`: for each name, published, error, unweighted, weighted, range (what single patients
        allow), miss (standard errors by which the weighted number is too large), `outside` if no weights of these
        patients can meet it within three standard errors, and `conflict`: the others with which it cannot be met
        together, if it could be alone.

    Raises
    ------
    AnalysisError
        If there is no marginal, a variable is missing, or no patient can be weighted.

    Warns
    -----
    CascadeWarning
        If published numbers lie outside the cloud of patients (which, and how far), contradict each other in it
        (which), are missed, or if the effective sample size is small.

    Notes
    -----
    Of all weights that meet the marginals, those of least relative entropy are an exponential tilt w0 exp(lambda g) of
    the moments g; lambda is the minimum of the convex dual log sum w0 exp(lambda g) + 1/2 sum (error lambda)^2, whose
    last term lets each marginal be missed by its standard error. Marginals are linear in the weights: an annual hazard
    v from year a to b is sum w (exp(-h_b) - exp(-v (b - a)) exp(-h_a)) = 0.

    Hidden groups of patients are recovered as far as the marginals tell them apart, and beyond that stay as drawn: of
    three groups that lie 5 standard deviations from each other the shares come out within a total variation of 0.02 by
    12 classes of each of 3 variables, 0.04 by 6 and 0.1 by 3; of groups at 2.5 standard deviations 0.1 by any of these.
    """
    wanted = tuple(marginals)
    if not wanted or not all(isinstance(each, Marginal) for each in wanted):
        raise AnalysisError("weight_cohort needs marginals: Marginal(...), or those of a preset")
    names = [each.name for each in wanted]
    if len(set(names)) < len(names):
        raise AnalysisError(f"the marginal {next(n for n in names if names.count(n) > 1)!r} is given twice")
    if not (is_number(tolerance) and tolerance > 0):
        raise AnalysisError(f"tolerance is {tolerance!r}; give a number above 0")
    found = moments(outcomes, wanted, cohort)
    start = _start(outcomes)
    known = np.all([np.isfinite(each.part) & np.isfinite(each.whole) for each in found], axis=0) & (start > 0)
    if not known.any():
        told = reasons_told(outcomes) or "see `reason` of the outcomes"
        raise AnalysisError(f"no patient has all the numbers that the marginals need ({told})")
    used = [each.take(known) for each in found]
    base = start[known] / start[known].sum()
    share = _tilted(base, used, tolerance)
    room = np.array([_WIDE * _slack(each, base, tolerance) for each in used])
    # weights that meet all are there already: nothing is out of reach
    met = all(abs(float(share @ each.gap)) <= much for each, much in zip(used, room, strict=True))
    alone, conflicts = (set(), []) if met else out_of_reach(used, room)
    weight = np.zeros(len(start))
    weight[known] = share * len(start)
    rows = _told(used, base, share, tolerance)
    for name in rows:
        others = next((each for each in conflicts if name in each), ())
        rows[name]["outside"] = name in alone or bool(others)
        rows[name]["conflict"] = [other for other in others if other != name]
    ess = float(1.0 / np.sum(share**2))
    _warn(rows, alone, conflicts, ess, int(known.sum()), least_share)
    return _described(outcomes, weight, rows, ess, int(known.sum()))


def effective_size(weights: Any) -> float:
    """Return the effective sample size (sum w)^2 / sum w^2 of weights."""
    w = np.asarray(weights, dtype=float)
    return float(w.sum() ** 2 / np.sum(w**2))


def _start(outcomes: xr.Dataset) -> Numbers:
    count = len(patients_of(outcomes))
    if "weight" not in outcomes:
        return np.ones(count)
    given = np.asarray(outcomes["weight"].values, dtype=float)
    if not np.isfinite(given).all() or given.min() < 0 or given.sum() <= 0:
        raise AnalysisError("the weights of the cohort must be 0 or more, and not all 0")
    return given


def _tilted(base: Numbers, used: list[Moment], tolerance: float) -> Numbers:
    """Return the weights, which sum to 1."""
    from scipy.optimize import minimize

    # what is the same in all patients no weights move
    used = [each for each in used if np.ptp(each.gap) > _SAME * np.abs(each.gap).max()]
    if not used:
        return base
    room = np.array([_slack(each, base, tolerance) for each in used])
    scale = np.hypot([_spread(each, base) for each in used], room)
    columns = np.stack([each.gap for each in used], axis=1) / scale
    slack = room / scale

    def weigh(at: Numbers) -> tuple[float, Numbers]:
        height = np.log(base) + columns @ at
        top = float(height.max())
        raw = np.exp(height - top)
        return top + float(np.log(raw.sum())), raw / raw.sum()

    def value(at: Numbers) -> float:
        return weigh(at)[0] + 0.5 * float(np.sum((slack * at) ** 2))

    def slope(at: Numbers) -> Numbers:
        return np.asarray(weigh(at)[1] @ columns + slack**2 * at)

    def curve(at: Numbers) -> Numbers:
        share = weigh(at)[1]
        mean = share @ columns
        return np.asarray((columns * share[:, None]).T @ columns - np.outer(mean, mean) + np.diag(slack**2))

    found = minimize(
        value, np.zeros(len(used)), jac=slope, hess=curve, method="trust-exact",
        options={"gtol": 1e-9, "maxiter": 2000, "max_trust_radius": 1e6},
    )  # fmt: skip
    rest = np.abs(slope(found.x)).max()
    if rest > 1e-5:
        raise AnalysisError(
            f"the weights were not found (the slope of the dual is still {rest:.2g}); give fewer marginals"
        )
    return weigh(found.x)[1]


def _spread(moment: Moment, base: Numbers) -> float:
    mean = float(base @ moment.gap)
    # a moment that is the same for all patients cannot be moved; any scale will do
    return max(float(np.sqrt(base @ (moment.gap - mean) ** 2)), 1e-9 * max(abs(mean), 1e-3))


def _slack(moment: Moment, base: Numbers, tolerance: float) -> float:
    """Return the standard error of a marginal in the unit of its moment."""
    return max(moment.error * float(base @ moment.whole), tolerance * _spread(moment, base))


def _told(
    used: list[Moment],
    base: Numbers,
    share: Numbers,
    tolerance: float,
) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for each in used:
        before, after = each.read(base), each.read(share)
        whole = float(share @ each.whole)
        error = max(each.error, tolerance * _spread(each, base) / max(float(base @ each.whole), 1e-300))
        lowest, highest = each.reach()
        rows[each.name] = {
            "published": each.published,
            "error": each.published_error,
            "unweighted": before,
            "weighted": after,
            "range": [lowest, highest],
            "miss": math.copysign(abs(float(share @ each.gap)) / max(whole * error, 1e-300), after - each.published),
        }
    return rows


def verdict_of(row: Mapping[str, Any]) -> str:
    """Return in words whether weights meet a marginal, from its row of `marginals`."""
    if row["outside"]:
        return f"contradicts {', '.join(row['conflict'])}" if row["conflict"] else "outside the cloud"
    return "missed" if abs(row["miss"]) > MISS else "met"


def _warn(
    rows: Mapping[str, Mapping[str, Any]],
    alone: set[str],
    conflicts: list[tuple[str, ...]],
    ess: float,
    patients: int,
    least_share: float,
) -> None:
    missed = [name for name, row in rows.items() if verdict_of(row) == "missed"]
    texts = []
    if alone:
        told = "; ".join(_far(name, rows[name]) for name in rows if name in alone)
        texts.append(
            f"outside the cloud of the {patients} patients: {told}; no weights meet it: widen what differs between the"
            " patients, or judge the model"
        )
    texts += [
        f"outside the cloud of the {patients} patients together, though each could be met alone:"
        f" {_reached(rows, names)}; see whether they were published of the same people, or widen what differs between"
        " the patients"
        for names in conflicts
    ]
    if missed:
        texts.append(
            f"missed by more than {MISS:g} standard errors, since the marginals pull against each other:"
            f" {_reached(rows, missed)}"
        )
    if ess < least_share * patients:
        texts.append(
            f"the weights leave an effective sample size of {ess:.1f} of {patients} patients; sample more, or patients"
            " who are closer to what was published"
        )
    for text in texts:
        warnings.warn(text, CascadeWarning, stacklevel=3)


def _reached(rows: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> str:
    return ", ".join(
        f"{name} (published {rows[name]['published']:.4g}, reached {rows[name]['weighted']:.4g})" for name in names
    )


def _far(name: str, row: Mapping[str, Any]) -> str:
    # without a published error there is no standard error that would say anything
    far = f"{abs(row['miss']):.3g} standard errors away; " if row["error"] > 0 else ""
    return (
        f"{name}: published {row['published']:.4g}, reached {row['weighted']:.4g} ({far}single patients have"
        f" {row['range'][0]:.4g} to {row['range'][1]:.4g})"
    )


def _described(
    outcomes: xr.Dataset, weight: Numbers, rows: Mapping[str, Mapping[str, Any]], ess: float, used: int
) -> xr.DataArray:
    import xarray as xr

    attrs = {
        "role": "weight",
        "units": "dimensionless",
        "long_name": "weight of the patient",
        "patients": used,
        "left_out": int(len(weight) - used),
        "ess": ess,
        "marginals": json.dumps(rows),
    }
    return xr.DataArray(weight, dims="patient", coords={"patient": outcomes["patient"]}, name="weight", attrs=attrs)
