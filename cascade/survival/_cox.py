"""The door of lifelines: hazard ratio of two arms, and the test whether they differ."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cascade.survival._followed import Followed

    Numbers = NDArray[np.float64]

Z = 1.959964


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Hazard ratio of an arm over the control with its 95 % interval; NaN with a reason if it cannot be told."""

    log: float
    error: float
    p: float
    reason: str = ""

    @property
    def interval(self) -> tuple[float, float, float]:
        """The ratio and its 95 % interval."""
        return math.exp(self.log), math.exp(self.log - Z * self.error), math.exp(self.log + Z * self.error)


def joined(control: Followed, arm: Followed) -> tuple[Numbers, NDArray[np.bool_], Numbers, Numbers, NDArray[np.int64]]:
    """Return time, event, arm (0 or 1), weight and person of both arms together; a person may be in both."""
    _, person = np.unique(np.concatenate([control.patient, arm.patient]), return_inverse=True)
    return (
        np.concatenate([control.time, arm.time]),
        np.concatenate([control.event, arm.event]),
        np.repeat([0.0, 1.0], [control.size, arm.size]),
        np.concatenate([control.weight, arm.weight]),
        person.astype(np.int64),
    )


def hazard_ratio(control: Followed, arm: Followed) -> Ratio:
    """Fit the model of Cox with the arm as its only covariate.

    The variance is robust, by person, if patients have weights or are in both arms; p is of the log-rank test.
    """
    p = log_rank(control, arm)
    for rows, name in ((control, "the control"), (arm, "the arm")):
        if not rows.event.any():
            return Ratio(log=math.nan, error=math.nan, p=p, reason=f"no event in {name}")
    time, event, group, weight, person = joined(control, arm)
    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError, ConvergenceWarning

    table = pd.DataFrame({"time": time, "event": event, "arm": group, "weight": weight, "person": person})
    options: dict[str, object] = {}
    if robust(control, arm):
        options = {"weights_col": "weight", "cluster_col": "person", "robust": True}
    else:
        table = table.drop(columns=["weight", "person"])
    with _quiet():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            fit = CoxPHFitter().fit(table, "time", "event", **options)
        except (ConvergenceError, ConvergenceWarning) as error:
            return Ratio(log=math.nan, error=math.nan, p=p, reason=f"the fit fails: {str(error).splitlines()[0][:120]}")
    return Ratio(log=float(fit.params_["arm"]), error=float(fit.standard_errors_["arm"]), p=p)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what lifelines 0.30 provokes in pandas 3 from the user, and nothing else."""
    import pandas as pd

    with warnings.catch_warnings():
        if hasattr(pd.errors, "Pandas4Warning"):
            warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        yield


def robust(control: Followed, arm: Followed) -> bool:
    """Tell whether patients differ in weight, or some are in both arms."""
    weight = np.concatenate([control.weight, arm.weight])
    return bool(np.ptp(weight) > 0) or bool(np.isin(arm.patient, control.patient).any())


def log_rank(control: Followed, arm: Followed) -> float:
    """Return p of the log-rank test; of its robust form if patients have weights or are in both arms."""
    from scipy.stats import norm

    if not (control.event.any() or arm.event.any()):
        return math.nan
    time, event, group, weight, person = joined(control, arm)
    if not robust(control, arm):
        from lifelines.statistics import logrank_test

        with _quiet():
            return float(logrank_test(control.time, arm.time, control.event, arm.event).p_value)
    score = _score(time, event, group, weight)
    by_person = np.bincount(person, weights=score)
    spread = math.sqrt(float((by_person**2).sum()))
    return math.nan if spread == 0 else float(2 * norm.sf(abs(score.sum()) / spread))


def proportional(control: Followed, arm: Followed, log_ratio: float) -> float:
    """Return p that the hazard ratio does not change with the rank of the events (Grambsch and Therneau 1994).

    The score test of the slope; NaN without a ratio, and for patients who have weights or are in both arms.
    """
    from scipy.stats import chi2

    if not math.isfinite(log_ratio) or robust(control, arm):
        return math.nan
    time, event, group, _, _ = joined(control, arm)
    when, of_arm = time[event], group[event]
    risks = [rows.size - np.searchsorted(np.sort(rows.time), when, side="left") for rows in (control, arm)]
    share = risks[1] * math.exp(log_ratio) / (risks[0] + risks[1] * math.exp(log_ratio))
    spread = share * (1 - share)
    rank = np.argsort(np.argsort(when, kind="stable")).astype(float)
    if not spread.sum() > 0:
        return math.nan
    rank -= (spread * rank).sum() / spread.sum()
    known = (spread * rank**2).sum()
    return float(chi2.sf((rank * (of_arm - share)).sum() ** 2 / known, 1)) if known > 0 else math.nan


def _score(time: Numbers, event: NDArray[np.bool_], group: Numbers, weight: Numbers) -> Numbers:
    """Return what every patient contributes to the score of Cox at equal hazards (Lin and Wei 1989)."""
    times, place = np.unique(time[event], return_inverse=True)
    order = np.argsort(time)
    first = np.searchsorted(time[order], times, side="left")

    def left(values: Numbers) -> Numbers:
        found: Numbers = np.cumsum(values[order][::-1])[::-1][first]
        return found

    at_risk = left(weight)
    share = left(weight * group) / at_risk
    rate = np.bincount(place, weights=weight[event], minlength=times.size) / at_risk
    until = np.searchsorted(times, time, side="right")
    hazard = np.concatenate([[0.0], np.cumsum(rate)])[until]
    of_arm = np.concatenate([[0.0], np.cumsum(rate * share)])[until]
    own = np.zeros(time.size)
    own[event] = group[event] - share[place]
    found: Numbers = weight * (own - (group * hazard - of_arm))
    return found


def require_both(control: Followed, arm: Followed) -> None:
    """Refuse arms that are too small to compare."""
    for rows, name in ((control, "the control"), (arm, "the arm")):
        if rows.size < 2:
            raise AnalysisError(f"{name} has {rows.size} patients who can be followed; two are the least")
