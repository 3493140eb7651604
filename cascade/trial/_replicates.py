"""Thousands of trials from known hazards: no run of the model, patients and their luck drawn anew in each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade.survival._hazards import Hazards, least_false_ratio, ratio_by_half
from cascade.trial._enroll import Conduct, choose, first_events

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_CHUNK = 200_000
"""Patients in memory at once."""


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """What trials found, over (trial, look): z of the log-rank test (below 0 the arm is better), events, month.

    `log_ratio` is the logarithm of the hazard ratio at the end of each trial.
    """

    z: Numbers
    events: Numbers
    month: Numbers
    log_ratio: Numbers


def replicate(
    pair: tuple[Hazards, Hazards],
    n: int,
    conduct: Conduct,
    *,
    allocation: float = 0.5,
    looks: tuple[float, ...] = (1.0,),
    replicates: int = 2_000,
    ratios: bool = True,
    seed: int = 1,
) -> Replicates:
    """Run trials of n patients, the share `allocation` of them in the arm; NaN as ratios if these are not asked for."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 811])))
    planned = n * event_share(pair, conduct, allocation)
    guess = expected_ratio(pair, conduct, allocation) if ratios else math.nan
    found = []
    left = replicates
    while left:
        count = min(left, max(1, _CHUNK // n))
        found.append(_some(pair, (count, n), conduct, allocation, looks, planned, guess, rng))
        left -= count
    joined = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return Replicates(z=joined[0], events=joined[1], month=joined[2], log_ratio=joined[3])


def event_share(pair: tuple[Hazards, Hazards], conduct: Conduct, allocation: float) -> float:
    """Return the expected share of patients who have an event before the analysis."""
    return sum(
        share * float(((survival[:-1] - survival[1:]) * _seen(pair, conduct)).sum() + 1 - survival[0])
        for share, survival in zip((1 - allocation, allocation), mean_survival(pair), strict=True)
    )


def expected_ratio(pair: tuple[Hazards, Hazards], conduct: Conduct, allocation: float) -> float:
    """Return the hazard ratio that Cox's model converges to in this trial."""
    control, arm = mean_survival(pair)
    return least_false_ratio(control, arm, _seen(pair, conduct), allocation)


def ratios_by_half(pair: tuple[Hazards, Hazards], conduct: Conduct, allocation: float) -> tuple[float, float, float]:
    """Return the month by which half of the events are expected, and the hazard ratio until then and after it."""
    control, arm = mean_survival(pair)
    half, early, late = ratio_by_half(control, arm, _seen(pair, conduct), allocation)
    return float(pair[0].month[half]), early, late


def mean_survival(pair: tuple[Hazards, Hazards]) -> tuple[Numbers, Numbers]:
    """Return survival of the enrolled population in both arms."""
    control, arm = (h.weight @ np.exp(-h.total) / h.weight.sum() for h in pair)
    return control, arm


def _seen(pair: tuple[Hazards, Hazards], conduct: Conduct) -> Numbers:
    month = pair[0].month
    return conduct.observed((month[1:] + month[:-1]) / 2)


def _some(
    pair: tuple[Hazards, Hazards],
    shape: tuple[int, int],
    conduct: Conduct,
    allocation: float,
    looks: tuple[float, ...],
    planned: float,
    guess: float,
    rng: np.random.Generator,
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    n = shape[1]
    treated = np.arange(n) >= n - round(n * allocation)
    who, fate = choose(pair[0], rng, shape), rng.exponential(size=shape)
    when = np.empty(shape)
    for hazards, mine in zip(pair, (~treated, treated), strict=True):
        when[:, mine] = first_events(hazards, who[:, mine], fate[:, mine])[0]
    entry, end, _ = conduct.censoring(rng, shape)
    happened = np.sort(np.where(when <= end, entry + when, np.inf), axis=1) if len(looks) > 1 else when
    z, events, month = (np.empty((shape[0], len(looks))) for _ in range(3))
    for i, share in enumerate(looks):
        row = min(max(math.ceil(share * planned) - 1, 0), n - 1)
        month[:, i] = conduct.months if share == 1 else np.minimum(happened[:, row], conduct.months)
        until = month[:, i, None] - entry
        # who has not entered yet leaves before anybody is at risk
        time = np.where(until > 0, np.minimum(np.minimum(when, end), until), -1.0)
        z[:, i], events[:, i], counts = log_rank(time, (when <= end) & (when <= until) & (until > 0), treated)
    ratios = log_ratios(*counts, guess) if guess > 0 else np.full(shape[0], math.nan)
    return z, events, month, ratios


def log_rank(
    time: Numbers, event: NDArray[np.bool_], treated: NDArray[np.bool_]
) -> tuple[Numbers, Numbers, tuple[NDArray[np.bool_], NDArray[np.bool_], Numbers, Numbers]]:
    """Return z and the events of many trials (trial, patient), and the sorted events and numbers at risk."""
    order = np.argsort(time, axis=1)
    event = np.take_along_axis(event, order, axis=1)
    arm = treated[order]
    risk_all = np.arange(time.shape[1], 0, -1)[None, :].astype(float)
    risk_arm = np.cumsum(arm[:, ::-1], axis=1)[:, ::-1].astype(float)
    share = risk_arm / risk_all
    score = np.where(event, arm - share, 0.0).sum(axis=1)
    variance = np.where(event, share * (1 - share), 0.0).sum(axis=1)
    z = np.divide(score, np.sqrt(variance), out=np.zeros_like(score), where=variance > 0)
    return z, event.sum(axis=1).astype(float), (event, arm, risk_all - risk_arm, risk_arm)


def log_ratios(
    event: NDArray[np.bool_], arm: NDArray[np.bool_], control: Numbers, treated: Numbers, guess: float = 1.0
) -> Numbers:
    """Fit Cox's model to many trials by Newton's method; NaN where an arm has no event."""
    beta = np.full(event.shape[0], math.log(guess))
    both = (event & arm).any(axis=1) & (event & ~arm).any(axis=1)
    for _ in range(25):
        risk = treated * np.exp(beta)[:, None]
        share = risk / (control + risk)
        score = np.where(event, arm - share, 0.0).sum(axis=1)
        slope = np.where(event, share * (1 - share), 0.0).sum(axis=1)
        step = np.divide(score, slope, out=np.zeros_like(score), where=both & (slope > 0))
        beta = np.clip(beta + np.clip(step, -1, 1), -15, 15)
        if np.abs(step).max(initial=0.0) < 1e-6:
            break
    return np.where(both, beta, np.nan)
