"""From a regimen to its doses: when, and how much of the dose. Days count from the start of the regimen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from cascade.errors import DrugError
from cascade.therapy.regimens import Regimen

MOST_DOSES = 1_000
"""Doses of one regimen that are given one by one: each is an event of the model, and a run stops at each."""

MOST_AVERAGED = 100_000
"""Doses of one regimen that can be averaged."""

_SAME = 1e-9
"""Days whose relative difference is below this are one: sums of intervals differ by rounding."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What happens when: `steps` are (day, number).

    `bolus`: multiples of the dose, at once. `rate`: from that day on, multiples of the dose per day. `level`: from that
    day on, multiples of the stated concentration.
    """

    kind: Literal["bolus", "rate", "level"]
    steps: tuple[tuple[float, float], ...]

    @property
    def total(self) -> float:
        """Multiples of the dose that are given in all; infinite if it never ends."""
        if self.kind == "bolus":
            return math.fsum(share for _, share in self.steps)
        if not self.steps or self.steps[-1][1]:
            return math.inf
        return math.fsum(number * (after - day) for (day, number), (after, _) in pairwise(self.steps))


@dataclass(frozen=True)
class _Piece:
    """A number from one day to another."""

    begin: float
    end: float
    number: float


def schedule(regimen: Regimen) -> Schedule:
    """Return the doses of a regimen.

    Raises
    ------
    DrugError
        If it has no end or too many doses and is not averaged.
    """
    if regimen.route == "stated":
        return Schedule(kind="level", steps=_steps(_levels(regimen)))
    if regimen.averaged:
        return Schedule(kind="rate", steps=_steps(_averaged(regimen)))
    if math.isinf(regimen.end) and regimen.doses is None:
        raise DrugError(
            f"{regimen.label}: it never ends, which doses given one by one cannot; give stop or doses, or averaged=True"
        )
    doses = list(_doses(regimen, MOST_DOSES))
    if len(doses) > MOST_DOSES:
        raise DrugError(
            f"{regimen.label}: more than {MOST_DOSES:,} doses, each of which would be an event of the model; end it"
            " earlier (stop, doses), or give the mean rate (averaged=True)"
        )
    if regimen.route != "infusion":
        return Schedule(kind="bolus", steps=tuple(doses))
    length = regimen.infusion_hours / 24
    return Schedule(kind="rate", steps=_steps(_Piece(day, day + length, share / length) for day, share in doses))


def _doses(plan: Regimen, most: int) -> Iterator[tuple[float, float]]:
    """Yield day and share of the dose, one more than the most at the most."""
    last, limit = plan.end - plan.start, min(plan.doses or math.inf, most + 1)
    for number, (day, share) in enumerate(_planned(plan)):
        if day >= last - _SAME * max(1.0, abs(last)) or number >= limit:
            return
        yield day, share * _reduced(plan, day)


def _planned(plan: Regimen) -> Iterator[tuple[float, float]]:
    """Yield day and share of the dose without an end: loading doses, then the regular ones in their cycle."""
    for day, dose in plan.loading:
        yield day, _share(plan, dose)
    if plan.every is None:
        if not plan.loading:
            yield 0.0, 1.0
        return
    first = plan.loading[-1][0] + plan.every if plan.loading else 0.0
    if plan.days_on is None:
        yield from ((first + number * plan.every, 1.0) for number in _naturals())
    else:
        cycle, often = plan.days_on + plan.days_off, math.ceil(plan.days_on / plan.every - 1e-9)
        for number in _naturals():
            yield from ((first + number * cycle + each * plan.every, 1.0) for each in range(often))


def _naturals() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _share(plan: Regimen, dose: float) -> float:
    if not plan.dose:
        raise DrugError(f"{plan.label}: loading doses beside a dose of 0; give the loading as a regimen of its own")
    return dose / plan.dose


def _reduced(plan: Regimen, day: float) -> float:
    """Return the share of the dose that a reduction leaves on a day."""
    return next((share for begin, share in reversed(plan.reductions) if begin <= day), 1.0)


def _averaged(plan: Regimen) -> Iterator[_Piece]:
    """Yield each dose spread over its interval; one that never ends as a rate that does not."""
    if plan.every is None:
        raise DrugError(f"{plan.label}: a single dose cannot be averaged; leave averaged out")
    if math.isinf(plan.end) and plan.doses is None:
        yield from _endless(plan, 1 / plan.every, plan.loading[-1][0] + plan.every if plan.loading else 0.0)
        doses = [(day, _share(plan, dose) * _reduced(plan, day)) for day, dose in plan.loading]
    else:
        doses = list(_doses(plan, MOST_AVERAGED))
    if len(doses) > MOST_AVERAGED:
        raise DrugError(f"{plan.label}: more than {MOST_AVERAGED:,} doses; end it earlier (stop, doses)")
    for day, share in doses:
        end = min(day + plan.every, plan.end - plan.start)
        if plan.days_on is not None and not plan.loading:
            cycle = plan.days_on + plan.days_off
            end = min(end, (day // cycle) * cycle + plan.days_on)
        yield _Piece(day, end, share / (end - day))


def _endless(plan: Regimen, number: float, first: float) -> Iterator[_Piece]:
    if plan.days_on is not None:
        raise DrugError(f"{plan.label}: cycles of days on and off need an end; give stop")
    changes = [first, *(day for day, _ in plan.reductions if day > first)]
    for begin, end in zip(changes, [*changes[1:], math.inf], strict=True):
        yield _Piece(begin, end, number * _reduced(plan, begin))


def _levels(plan: Regimen) -> Iterator[_Piece]:
    """Yield the stretches in which a stated concentration is there."""
    length = plan.end - plan.start
    if math.isinf(length):
        yield from _endless(plan, 1.0, 0.0)
        return
    cycle = length if plan.days_on is None else plan.days_on + plan.days_off
    on = cycle if plan.days_on is None else plan.days_on
    if length / cycle > MOST_DOSES:
        raise DrugError(f"{plan.label}: more than {MOST_DOSES:,} cycles; end it earlier (stop)")
    for number in range(math.ceil(length / cycle - 1e-9)):
        begin, end = number * cycle, min(number * cycle + on, length)
        changes = [begin, *(day for day, _ in plan.reductions if begin < day < end), end]
        for one, other in pairwise(changes):
            yield _Piece(one, other, _reduced(plan, one))


def _steps(pieces: Iterator[_Piece] | list[_Piece]) -> tuple[tuple[float, float], ...]:
    """Add pieces that overlap; return the days on which the sum changes, exactly 0 where there is none."""
    changes: list[tuple[float, float]] = []
    for piece in pieces:
        changes += [(piece.begin, piece.number), (piece.end, -piece.number)] if piece.end > piece.begin else []
    steps: list[tuple[float, float]] = []
    active: list[float] = []
    for day, group in groupby(sorted(_joined(changes)), key=lambda change: change[0]):
        for _, number in group:
            active.remove(-number) if number < 0 else active.append(number)
        total = math.fsum(active)
        if math.isfinite(day) and (not steps or steps[-1][1] != total):
            steps.append((day, total))
    return tuple(steps)


def _joined(changes: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Let days that differ by rounding only be one, so that back-to-back doses leave no gap; drop what is 0."""
    place: dict[float, float] = {}
    last = -math.inf
    for day in sorted({day for day, _ in changes}):
        last = last if math.isfinite(day) and day - last <= _SAME * max(1.0, abs(day)) else day
        place[day] = last
    return [(place[day], number) for day, number in changes if number]
