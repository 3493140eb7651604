"""Patients enter a virtual trial: enrolled by the control, given to an arm, followed until something ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import uniform
from cascade._tables import is_number, require_whole
from cascade.errors import AnalysisError
from cascade.survival._hazards import Hazards, enrolled_pair
from cascade.trial._boundaries import bounds, looks_of
from cascade.trial._enroll import ENDS, Conduct, choose, first_events, first_site

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

FEWEST = 4
MOST = 200_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A trial as asked for; months from the first surgery to the analysis, allocation as shares of the arms."""

    months: float
    n: int | None
    allocation: tuple[float, ...]
    paired: bool
    accrual: float
    dropout: float
    death: float
    seed: int
    looks: tuple[float, ...]
    alpha: float
    bounds_shape: str
    power: float | None
    replicates: int

    def __post_init__(self) -> None:
        if self.n is not None:
            require_whole("n", self.n, FEWEST, MOST)
        require_whole("replicates", self.replicates, 100, 1_000_000)
        require_whole("seed", self.seed, 0, 2**63 - 1)
        if self.power is not None and not (is_number(self.power) and 0 < self.power < 1):
            raise AnalysisError(f"power is {self.power!r}; give a number above 0 and below 1, or None")
        looks_of(self.looks)
        # every number is checked before a run is spent on it
        assert self.conduct and self.limits.size
        if self.paired and len(self.looks) > 1:
            raise AnalysisError("looks need randomized patients; do not pair them")
        if self.n is not None and not self.paired:
            _numbered(self.n, self.allocation)

    @property
    def conduct(self) -> Conduct:
        """How patients are followed."""
        return Conduct(months=self.months, accrual=self.accrual, dropout=self.dropout, death=self.death)

    @property
    def limits(self) -> Any:
        """Bounds of |z| at the looks."""
        return bounds(self.looks, self.alpha, self.bounds_shape)

    def rng(self, purpose: int) -> np.random.Generator:
        """Return a stream for one purpose."""
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, purpose])))


def enroll(outcomes: xr.Dataset, labels: Sequence[str], plan: Plan, weights: xr.DataArray | None) -> dict[str, Hazards]:
    """Return the hazards of the patients who can enter, by arm; who lacks a run in one arm enters none."""
    control = outcomes.isel(arm=0)
    found: dict[str, Hazards] = {}
    for i, label in enumerate(labels):
        first, found[label] = enrolled_pair(control, outcomes.isel(arm=i), weights, months=plan.months)
    known = np.logical_and.reduce([each.known for each in found.values()])
    if not known.any():
        raise AnalysisError("no patient has hazards in all arms; look at `reason` of their outcomes")
    weight = np.where(known, first.weight, 0.0)
    return {label: replace(h, known=known, weight=weight, missing=int((~known).sum())) for label, h in found.items()}


def assign(enrolled: dict[str, Hazards], plan: Plan) -> xr.Dataset:
    """Draw the patients, their arms, and what happens to each."""
    import xarray as xr

    control = next(iter(enrolled.values()))
    who, fate, luck, weight, names = _patients(control, plan)
    labels = list(enrolled)
    arm = _arms(len(who), plan)
    entry, end, why = plan.conduct.censoring(plan.rng(3), (len(who),))
    parts = [_fates(each, who, fate, luck, end, why) for each in enrolled.values()]
    data: dict[str, Any] = {"source": ("patient", control.patient[who]), "entry": ("patient", entry)}
    if not plan.paired:
        data["assigned"] = ("patient", np.array(labels)[arm])
    if np.ptp(weight) > 0:
        data["weight"] = ("patient", weight / weight.mean())
    for name in parts[0]:
        stacked = np.stack([part[name] for part in parts])
        one = stacked[arm, np.arange(len(who))]
        data[name] = (("arm", "patient"), stacked) if plan.paired else ("patient", one)
    return xr.Dataset(data, coords={"patient": names, "arm": labels})


def _patients(control: Hazards, plan: Plan) -> tuple[Any, Any, Any, Any, Any]:
    """Return who enters: place in the cohort, hazard left to live through, luck of the organ, weight, id."""
    if plan.n is not None:
        rng = plan.rng(1)
        who = choose(control, rng, (plan.n,))
        names = np.array([f"t{number:06d}" for number in range(plan.n)])
        return who, rng.exponential(size=plan.n), rng.random(plan.n), np.ones(plan.n), names
    # everybody once, with the luck that draw_events() gives him
    fate = -np.log(uniform(plan.seed, "first metastasis", control.patient)) - control.before
    luck = uniform(plan.seed, "first organ", control.patient)
    who = np.flatnonzero((control.weight > 0) & (fate > 0))
    if who.size < FEWEST:
        raise AnalysisError(f"{who.size} patients of the cohort can enter; {FEWEST} are the least (or give n)")
    return who, fate[who], luck[who], control.whole[who], control.patient[who]


def _arms(count: int, plan: Plan) -> NDArray[np.int64]:
    """Return the arm of every patient: the numbers as planned, the order by chance."""
    if plan.paired:
        return np.zeros(count, dtype=np.int64)
    found: NDArray[np.int64] = plan.rng(2).permutation(_numbered(count, plan.allocation))
    return found


def _numbered(count: int, allocation: tuple[float, ...]) -> NDArray[np.int64]:
    """Return the arm of every patient in the order of the arms."""
    edges = np.round(np.cumsum(allocation) * count).astype(int)
    arm = np.searchsorted(edges, np.arange(count), side="right")
    smallest = np.bincount(arm, minlength=len(allocation)).min()
    if smallest < 2:
        raise AnalysisError(f"{count} patients leave an arm with {smallest}; every arm needs two at least")
    return arm


def _fates(hazards: Hazards, who: Any, fate: Any, luck: Any, end: Any, why: Any) -> dict[str, Any]:
    when, row = first_events(hazards, who, fate)
    event = when <= end
    organ = np.where(event, first_site(hazards, who, row, luck), "")
    return {
        "time": np.minimum(when, end),
        "event": event,
        "organ": organ,
        "end": np.array(ENDS)[np.where(event, len(ENDS) - 1, why)],
    }
