"""Who enters a virtual trial, when, and what ends the time of each: chance given the hazards of the patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade._tables import is_number
from cascade.errors import AnalysisError
from cascade.survival._followed import MONTHS_PER_YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cascade.survival._hazards import Hazards

    Numbers = NDArray[np.float64]

_MOST = 64.0
"""No hazard above this is told apart: nobody is free with probability exp(-64)."""


@dataclass(frozen=True, kw_only=True)
class Conduct:
    """How a trial is run.

    Attributes
    ----------
    months : float
        From the first patient to the analysis: the longest time of follow-up.
    accrual : float
        Months in which patients enter, evenly.
    dropout, death : float
        Hazards per year of being lost, and of death from other causes; both end the time of a patient without event.
    """

    months: float
    accrual: float = 0.0
    dropout: float = 0.0
    death: float = 0.0

    def __post_init__(self) -> None:
        for name in ("accrual", "dropout", "death"):
            value = getattr(self, name)
            if not (is_number(value) and value >= 0):
                raise AnalysisError(f"{name} is {value!r}; give a finite number of 0 or more")
        if not (is_number(self.months) and self.months > 0):
            raise AnalysisError(f"the trial lasts {self.months!r} months; give a number above 0")
        if self.accrual >= self.months:
            raise AnalysisError(
                f"patients enter for {self.accrual:g} months, but the analysis is {self.months:g} months after the"
                " first; give a shorter accrual or more years"
            )

    def observed(self, months: Numbers) -> Numbers:
        """Return the share of patients who are still followed that many months after they entered."""
        loss = (self.dropout + self.death) / MONTHS_PER_YEAR
        late = self.months - np.asarray(months, dtype=float)
        entered = np.clip(late / self.accrual, 0, 1) if self.accrual else (late >= 0).astype(float)
        found: Numbers = entered * np.exp(-loss * np.asarray(months))
        return found

    def censoring(self, rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Numbers, Numbers, NDArray[np.int64]]:
        """Draw when patients enter, how long each can be followed, and what ends that (place in `ENDS`)."""
        entry = rng.random(shape) * self.accrual
        end = self.months - entry
        why = np.zeros(shape, dtype=np.int64)
        for place, yearly in ((1, self.dropout), (2, self.death)):
            if yearly > 0:
                lost = rng.exponential(MONTHS_PER_YEAR / yearly, shape)
                why = np.where(lost < end, place, why)
                end = np.minimum(end, lost)
        return entry, end, why


ENDS = ("end of trial", "lost", "death from another cause", "metastasis")


def choose(hazards: Hazards, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Draw patients with replacement, each as often as he counts in the cohort after surgery."""
    rising = np.cumsum(hazards.weight)
    found: NDArray[np.int64] = np.searchsorted(rising, rng.random(shape) * rising[-1], side="right")
    last = int(np.flatnonzero(hazards.weight)[-1])
    return np.minimum(found, last).astype(np.int64)


def first_events(hazards: Hazards, who: NDArray[np.int64], fate: Numbers) -> tuple[Numbers, NDArray[np.int64]]:
    """Return the month in which the hazard of each reaches his fate (inf: never), and the row of that month.

    All curves are laid end to end, each raised above the one before, so that one search finds all.
    """
    rows, columns = hazards.total.shape
    raised = np.minimum(hazards.total, _MOST - 1) + _MOST * np.arange(rows)[:, None]
    wanted = np.minimum(fate, _MOST - 0.5) + _MOST * who
    place = np.searchsorted(raised.ravel(), wanted, side="left") - who * columns
    never = place >= columns
    after = np.clip(place, 1, columns - 1)
    low, high = hazards.total[who, after - 1], hazards.total[who, after]
    share = np.divide(fate - low, high - low, out=np.ones_like(fate), where=high > low)
    month = hazards.month
    when = month[after - 1] + np.clip(share, 0, 1) * (month[after] - month[after - 1])
    return np.where(never, np.inf, when), after - 1


def first_site(hazards: Hazards, who: NDArray[np.int64], row: NDArray[np.int64], luck: Numbers) -> NDArray[np.str_]:
    """Choose the organ of an event in proportion to what each adds to the hazard in that month."""
    steps = np.maximum(hazards.organ[who, :, row + 1] - hazards.organ[who, :, row], 0.0)
    rising = np.cumsum(steps, axis=1)
    place = (rising <= (luck * rising[:, -1])[:, None]).sum(axis=1)
    found: NDArray[np.str_] = np.array(hazards.organs)[np.minimum(place, len(hazards.organs) - 1)]
    return found
