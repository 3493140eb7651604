"""How far lesions have grown by a month: the integral of their Gompertz constant, which treatments lower or reverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import libsbml
import numpy as np

from cascade import _sbml
from cascade._elements import add_parameter, free_id
from cascade.endpoints import DAYS_PER_YEAR
from cascade.specs import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

DAYS_PER_MONTH = DAYS_PER_YEAR / 12

MONTHS_BEFORE = 60
"""Months before surgery from which on the growth of a treated patient is known; earlier it is that of the end."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Growth since surgery, over (patient, month): ln(plateau/n) of a lesion falls by exp(-growth).

    `rate` is the Gompertz constant per day (patient) that holds before and after the months; with a single month it
    holds always, as without treatment.
    """

    month: Numbers
    whole: Numbers
    rate: Numbers

    def at(self, months: Numbers) -> Numbers:
        """Return the growth since surgery by months (patient, any)."""
        inside = np.clip(months, self.month[0], self.month[-1])
        if self.month.size == 1:
            known = np.broadcast_to(self.whole, months.shape)
        else:
            place = np.clip(np.searchsorted(self.month, inside, side="right") - 1, 0, self.month.size - 2)
            left, right = (np.take_along_axis(self.whole, place + k, axis=1) for k in (0, 1))
            share = (inside - self.month[place]) / (self.month[place + 1] - self.month[place])
            known = left + share * (right - left)
        return np.asarray(known + self.rate[:, None] * (months - inside) * DAYS_PER_MONTH)

    def before(self, month: Numbers, amount: Numbers) -> Numbers:
        """Return the last month before one (patient) at which lesions had that much less growth behind them."""
        if self.month.size == 1:
            return np.asarray(month - amount / (self.rate * DAYS_PER_MONTH))
        return np.array([self._last(row, *each) for row, each in enumerate(zip(month, amount, strict=True))])

    def after(self, month: Numbers, amount: Numbers) -> Numbers:
        """Return the first month from one on (patient) at which that much has been added; infinite if never."""
        if self.month.size == 1:
            return np.asarray(month + amount / (self.rate * DAYS_PER_MONTH))
        return np.array([self._first(row, *each) for row, each in enumerate(zip(month, amount, strict=True))])

    def _here(self, row: int, month: float) -> float:
        one = Growth(month=self.month, whole=self.whole[row : row + 1], rate=self.rate[row : row + 1])
        return float(one.at(np.array([[month]]))[0, 0])

    def _last(self, row: int, month: float, amount: float) -> float:
        now = self._here(row, month)
        target, slope = now - amount, float(self.rate[row]) * DAYS_PER_MONTH
        below = np.flatnonzero((self.month < month) & (self.whole[row] <= target))
        if not below.size:
            start = min(float(self.month[0]), month)
            return start + (target - self._here(row, start)) / slope if slope > 0 else -math.inf
        k = int(below[-1])
        end = month if k + 1 == self.month.size else min(float(self.month[k + 1]), month)
        return _between(float(self.month[k]), end, float(self.whole[row, k]), self._here(row, end), target)

    def _first(self, row: int, month: float, amount: float) -> float:
        if not amount > 0:
            return month
        target, slope = self._here(row, month) + amount, float(self.rate[row]) * DAYS_PER_MONTH
        above = np.flatnonzero((self.month > month) & (self.whole[row] >= target))
        if not above.size:
            end = max(float(self.month[-1]), month)
            return end + (target - self._here(row, end)) / slope if slope > 0 else math.inf
        k = int(above[0])
        start = month if k == 0 else max(float(self.month[k - 1]), month)
        return _between(start, float(self.month[k]), self._here(row, start), float(self.whole[row, k]), target)


def _between(first: float, last: float, low: float, high: float, target: float) -> float:
    return first + (last - first) * (target - low) / (high - low) if high > low else last


def with_clocks(model: Model, organs: Sequence[str]) -> tuple[Model, dict[str, str]]:
    """Return the model with a variable by organ that integrates how fast treated lesions grow, and their ids."""
    document = _sbml.read_document(model.flat, model.name)
    inside, ids = document.getModel(), {}
    for organ in organs:
        name = ids[organ] = free_id(inside, f"{organ}_growth_clock")
        add_parameter(inside, name, "dimensionless", 0.0, title=f"growth of lesions in {organ}", constant=False)
        rule = inside.createRateRule()
        rule.setVariable(name)
        rule.setMath(libsbml.parseL3Formula(_rate(model, f"{organ}_lesions")))
    flat = _sbml.write_document(document)
    return replace(model, flat=flat, hierarchical=None, ids={**model.ids, **{i: i for i in ids.values()}}), ids


def _rate(model: Model, lesions: str) -> str:
    """Return the Gompertz constant that moves lesions: from the last size class, since that knows every treatment."""
    last = max(int(name.rpartition("_")[2]) for name in model.ids if name.startswith(f"{lesions}.k_class_"))
    local = ("f_advance", "f_shrink", "log_step_third", "cap_lesion", "n_detectable", f"k_class_{last}")
    advance, shrink, width, cap, overt, crossing = (model.id(f"{lesions}.{name}") for name in local)
    return f"({advance} - {shrink})*{crossing}*{width}/(ln({cap}/{overt}) + {width}/2)"


def since_surgery(time: Numbers, clock: Numbers, surgery: Numbers, months: Numbers, rate: Numbers) -> Numbers:
    """Return the growth since surgery (patient, month) from clocks over time (patient, row; days)."""
    found = np.empty((len(clock), months.size))
    for row, (course, day) in enumerate(zip(clock, surgery, strict=True)):
        # who is not operated has no month after surgery; nobody follows him
        when = (day if math.isfinite(day) else 0.0) + months * DAYS_PER_MONTH
        inside = np.clip(when, time[0], time[-1])
        found[row] = np.interp(inside, time, course) + rate[row] * (when - inside)
    zero = int(np.flatnonzero(months == 0)[0])
    return np.asarray(found - found[:, zero : zero + 1])


def growth_of(own: Any, month: Any) -> Growth:
    """Return the growth of patients from their signals or courses: `k_growth`, and `growth` where they are treated."""
    rate = np.asarray(own["k_growth"], dtype=float)
    if "growth" not in own:
        return Growth(month=np.zeros(1), whole=np.zeros((rate.size, 1)), rate=rate)
    return Growth(month=np.asarray(month, dtype=float), whole=np.asarray(own["growth"], dtype=float), rate=rate)
