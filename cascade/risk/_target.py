"""What is to be predicted of a patient: how much of a case and how much of a control the patient is at the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

LEAST = 10
"""Cases, and controls, below which nothing is fitted."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """The event of patients until a horizon, as drawn events or as exact probabilities.

    Parameters
    ----------
    weight : array of patients
    horizon : float
        Months.
    survival : array of patients x months, optional
        Exact probabilities to be without an event at months 0 to the horizon.
    time, event : arrays of patients, optional
        Months to the event or to censoring, and whether it was the event.
    uncensored : array of patients, optional
        Chance not to be lost to censoring; by default estimated from these patients.
    """

    weight: NDArray[np.float64]
    horizon: float
    survival: NDArray[np.float64] | None = None
    time: NDArray[np.float64] | None = None
    event: NDArray[np.bool_] | None = None
    uncensored: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[np.int64], *, learn: bool = True) -> Target:
        """Return some patients; to learn from them, what censoring does is estimated from these patients alone."""
        parts = {name: getattr(self, name) for name in ("survival", "time", "event")}
        parts["uncensored"] = None if learn else self.known
        chosen = {name: None if part is None else part[rows] for name, part in parts.items()}
        return Target(weight=self.weight[rows], horizon=self.horizon, **chosen)

    @property
    def exact(self) -> bool:
        """Are probabilities known instead of events?"""
        return self.survival is not None

    @cached_property
    def known(self) -> NDArray[np.float64]:
        """Chance that a patient's state at the horizon, or the event before, was not lost to censoring."""
        if self.uncensored is not None:
            return self.uncensored
        if self.time is None or self.event is None:
            return np.ones(len(self.weight))
        known = Censoring(self.time, self.event, self.weight)(np.minimum(self.time, self.horizon))
        return np.maximum(known, 1e-12)

    @cached_property
    def case(self) -> NDArray[np.float64]:
        """Weight of a patient as a case."""
        if self.survival is not None:
            return self.weight * (1 - self.survival[:, -1])
        assert self.time is not None and self.event is not None
        found: NDArray[np.float64] = self.weight * (self.event & (self.time <= self.horizon)) / self.known
        return found

    @cached_property
    def control(self) -> NDArray[np.float64]:
        """Weight of a patient as a control."""
        if self.survival is not None:
            return self.weight * self.survival[:, -1]
        assert self.time is not None and self.event is not None
        seen = (self.time > self.horizon) | ((self.time == self.horizon) & ~self.event)
        found: NDArray[np.float64] = self.weight * seen / self.known
        return found

    @property
    def prevalence(self) -> float:
        """Weighted share of cases."""
        return float(self.case.sum() / (self.case.sum() + self.control.sum()))

    def earlier(self) -> NDArray[np.float64]:
        """Return the weight of each pair in which the first has its event before the second, and until the horizon.

        Pairs of exact probabilities are integrated month by month; of drawn events they are weighted by the inverse
        square of the chance not to be censored (Uno et al. 2011, doi:10.1002/sim.4154).
        """
        if self.survival is not None:
            falls = -np.diff(self.survival, axis=1) * self.weight[:, None]
            middle = (self.survival[:, 1:] + self.survival[:, :-1]) / 2 * self.weight[:, None]
            pairs = falls @ middle.T
        else:
            assert self.time is not None and self.event is not None
            later = (self.time[:, None] < self.time) | ((self.time[:, None] == self.time) & ~self.event)
            pairs = (self.case / self.known)[:, None] * (later * self.weight)
        np.fill_diagonal(pairs, 0.0)
        return pairs

    def ranked(self) -> NDArray[np.float64]:
        """Return the weight of each pair of a case and a control."""
        pairs = np.outer(self.case, self.control)
        np.fill_diagonal(pairs, 0.0)
        return pairs


class Censoring:
    """Kaplan-Meier curve of not being censored just before a time; events come before censorings of the same time."""

    def __init__(self, time: NDArray[np.float64], event: NDArray[np.bool_], weight: NDArray[np.float64]) -> None:
        self.times = np.unique(time[~event])
        lost = np.array([weight[(time == t) & ~event].sum() for t in self.times])
        under = np.array([weight[(time > t) | ((time == t) & ~event)].sum() for t in self.times])
        self.curve = np.concatenate([[1.0], np.cumprod(1 - lost / under)]) if len(self.times) else np.ones(1)

    def __call__(self, time: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance to be uncensored just before."""
        found: NDArray[np.float64] = self.curve[np.searchsorted(self.times, time, side="left")]
        return found


def make_target(
    outcomes: xr.Dataset | None, events: xr.Dataset | None, weight: NDArray[np.float64], horizon: float
) -> tuple[Target, NDArray[np.bool_]]:
    """Return the target and which patients it can be had for; the datasets have the patients of `weight`, in order.

    Metastatic patients at diagnosis are not at risk: with drawn events they are left out, with exact probabilities they
    are weighted by the chance to have none.
    """
    months = 12 * horizon
    if events is not None:
        time, event = events["time"].values.astype(float), events["event"].values.astype(bool)
        usable = np.isfinite(time) & (weight > 0)
        if "metastatic_at_diagnosis" in events:
            usable &= ~events["metastatic_at_diagnosis"].values.astype(bool)
        _check_follow_up(float(time[usable].max(initial=0.0)), months)
        return Target(weight=weight, horizon=months, time=time, event=event), usable
    if outcomes is None or "h_distant" not in outcomes:
        raise AnalysisError(
            "there are no events and no hazards ('h_distant'); give the events, or outcomes of follow_cohort"
        )
    hazard = outcomes["h_distant"].transpose("patient", "month")
    last = float(hazard["month"].max())
    _check_follow_up(last, months)
    if not np.isclose(hazard["month"].values, months).any():
        raise AnalysisError(f"the outcomes have no month {months:g}; choose a horizon of whole months")
    inside = hazard.sel(month=hazard["month"] <= months + 1e-9).values.astype(float)
    before = outcomes["h_before"].values.astype(float) if "h_before" in outcomes else np.zeros(len(weight))
    usable = np.isfinite(inside).all(axis=1) & np.isfinite(before) & (weight > 0)
    weight = weight * np.exp(-np.where(usable, before, 0.0))
    return Target(weight=weight, horizon=months, survival=np.exp(-np.where(usable[:, None], inside, 0.0))), usable


def _check_follow_up(last: float, months: float) -> None:
    if last < months - 1e-9:
        raise AnalysisError(f"patients are followed for {last:g} months, the horizon is {months:g}; follow them longer")


def require_both(target: Target, least: float = LEAST) -> None:
    """Refuse a cohort in which there is one class only, or too few of one."""
    if target.exact:
        share = target.case / np.maximum(target.case + target.control, 1e-300)
        cases, controls = float(share.sum()), float((1 - share).sum())
    else:
        cases, controls = float((target.case > 0).sum()), float((target.control > 0).sum())
    years = f"within {target.horizon / 12:g} years"
    if cases < 1e-9 or controls < 1e-9:
        which = "no patient" if cases < 1e-9 else "every patient"
        raise AnalysisError(
            f"{which} has a distant metastasis {years}: there is one class only and nothing to tell apart; "
            "take a larger or more varied cohort, or another horizon"
        )
    if min(cases, controls) < least:
        raise AnalysisError(
            f"of {len(target.weight)} patients {cases:.3g} have a distant metastasis {years}, {controls:.3g} have none;"
            f" at least {least:g} of each are needed: draw a larger cohort"
        )
