"""Candidates of a search over regimens: what is free, within which bounds, and under which limit of the total dose."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cascade._tables import is_number
from cascade.errors import AnalysisError, DrugError, unknown_name
from cascade.therapy._schedule import MOST_DOSES, schedule
from cascade.therapy.regimens import Regimen

WHOLE = ("doses",)
FREE = ("start", "dose", "every", "doses", "days_on", "days_off", "stop", "infusion_hours")
"""Fields of a regimen that a search may change."""

_SAME = 1e-9
"""Relative excess of a total dose that rounding makes."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A field of one of the regimens that is free between two bounds."""

    name: str
    place: int
    field: str
    low: float
    high: float

    @property
    def whole(self) -> bool:
        """True for a number of doses."""
        return self.field in WHOLE

    @property
    def unit(self) -> str:
        """Unit of the field; that of a dose is told by its regimen."""
        return {"dose": "", "doses": "dimensionless", "infusion_hours": "hour"}.get(self.field, "day")


@dataclass(frozen=True, kw_only=True)
class Space:
    """Regimens, what is free of them, and the most that may be given of each (infinite without a limit)."""

    given: tuple[Regimen, ...]
    labels: tuple[str, ...]
    variables: tuple[Variable, ...]
    limits: tuple[float, ...]

    @property
    def start(self) -> list[float]:
        """The regimens as they were given, inside the bounds."""
        found = []
        for each in self.variables:
            value = getattr(self.given[each.place], each.field)
            value = (each.low + each.high) / 2 if value is None else min(max(value, each.low), each.high)
            found.append(float(round(value)) if each.whole else float(value))
        return found

    def plans(self, point: Sequence[float]) -> tuple[Regimen, ...]:
        """Return the regimens at a point: lowered to the limit if the dose is free, else without the doses beyond it.

        Raises
        ------
        DrugError
            If they cannot be given.
        """
        changes: list[dict[str, Any]] = [{} for _ in self.given]
        for each, value in zip(self.variables, point, strict=True):
            changes[each.place][each.field] = int(value) if each.whole else float(value)
        found = []
        for place, (plan, change) in enumerate(zip(self.given, changes, strict=True)):
            lowest = next((v.low for v in self.variables if v.place == place and v.field == "dose"), None)
            found.append(_within(replace(plan, **change), self.limits[place], lowest))
        return tuple(found)

    def point(self, plans: Sequence[Regimen]) -> list[float]:
        """Return the values of what is free."""
        return [float(getattr(plans[each.place], each.field)) for each in self.variables]


def space_of(
    given: Sequence[Regimen], free: Mapping[str, Any], total_dose: float | Mapping[str, float] | None
) -> Space:
    """Return the space of a search.

    Raises
    ------
    UnknownNameError
        If something free, or a limit, belongs to no regimen.
    AnalysisError
        If bounds or limits cannot be used.
    """
    labels = _labels(given)
    variables = tuple(_variable(name, bounds, labels) for name, bounds in _mapping("free", free).items())
    double = [name for name, count in Counter((v.place, v.field) for v in variables).items() if count > 1]
    if double:
        raise AnalysisError(f"free names {labels[double[0][0]]}.{double[0][1]} twice; give it once")
    for each in variables:
        _check_field(each, given[each.place])
    limits = _limits(total_dose, labels)
    return Space(given=tuple(given), labels=labels, variables=variables, limits=limits)


def total_of(plan: Regimen) -> float:
    """Return the total dose of a regimen in its unit (days at the stated concentration); infinite without an end."""
    return schedule(plan).total * plan.dose if plan.dose else 0.0


def _labels(given: Sequence[Regimen]) -> tuple[str, ...]:
    """Name regimens by their drugs, and number those of one drug from the second on."""
    seen: Counter[str] = Counter()
    found = []
    for plan in given:
        seen[plan.drug.name] += 1
        count = seen[plan.drug.name]
        found.append(plan.drug.name if count == 1 else f"{plan.drug.name}_{count}")
    return tuple(found)


def _mapping(name: str, given: Any) -> Mapping[str, Any]:
    if not isinstance(given, Mapping) or not given:
        raise AnalysisError(f"{name} is {given!r}; give what is free with its bounds, such as {{'start': (0, 90)}}")
    return given


def _variable(name: Any, bounds: Any, labels: tuple[str, ...]) -> Variable:
    owner, _, field = str(name).rpartition(".")
    if not owner and len(labels) > 1:
        raise AnalysisError(f"free names {name!r}, but there are {len(labels)} regimens; write {labels[0]}.{name}")
    if owner and owner not in labels:
        raise unknown_name("regimen", owner, labels, "this search")
    if field not in FREE:
        raise unknown_name("free field", field, FREE, "a regimen")
    try:
        low, high = bounds
    except (TypeError, ValueError):
        raise AnalysisError(f"free[{name!r}] is {bounds!r}; give (lowest, highest)") from None
    if not (is_number(low) and is_number(high) and low < high):
        raise AnalysisError(f"free[{name!r}] is {bounds!r}; give two finite numbers, the lower first")
    if field in WHOLE:
        low, high = math.ceil(low), math.floor(high)
        if low < 1 or low >= high:
            raise AnalysisError(f"free[{name!r}] is {bounds!r}; give whole numbers of doses, 1 or more")
    place = labels.index(owner) if owner else 0
    return Variable(name=str(name), place=place, field=field, low=float(low), high=float(high))


def _check_field(variable: Variable, plan: Regimen) -> None:
    """Refuse what means nothing for the route, before anything runs."""
    middle = (variable.low + variable.high) / 2
    change: dict[str, Any] = {variable.field: round(middle) if variable.whole else middle}
    try:
        replace(plan, **change)
    except DrugError as error:
        if "means nothing" in str(error) or "route is" in str(error):
            raise AnalysisError(f"{variable.name} cannot be free: {error}") from None


def _limits(given: Any, labels: tuple[str, ...]) -> tuple[float, ...]:
    if given is None:
        return tuple(math.inf for _ in labels)
    if not isinstance(given, Mapping):
        if len(labels) > 1:
            raise AnalysisError(f"total_dose is {given!r}, but there are {len(labels)} regimens; give one by drug")
        given = {labels[0]: given}
    for name, value in given.items():
        if name not in labels:
            raise unknown_name("regimen", name, labels, "this search")
        if not (is_number(value) and value > 0):
            raise AnalysisError(f"total_dose of {name} is {value!r}; give a number above 0, in the unit of its dose")
    return tuple(float(given.get(label, math.inf)) for label in labels)


def _within(plan: Regimen, limit: float, lowest: float | None) -> Regimen:
    total = total_of(plan)  # tells of what cannot be scheduled, with a limit or without
    if total <= limit * (1 + _SAME):
        return plan
    if lowest is not None:
        lower = replace(plan, dose=plan.dose * limit / total)
        if lower.dose >= lowest * (1 - _SAME) and total_of(lower) <= limit * (1 + _SAME):
            return lower
    elif plan.route != "stated" and plan.every is not None:
        most = min(plan.doses or MOST_DOSES, MOST_DOSES)
        fits = bisect_right(range(1, most + 1), limit * (1 + _SAME), key=lambda n: total_of(replace(plan, doses=n)))
        if fits:
            return replace(plan, doses=fits)
    raise DrugError(f"{plan.label}: {total:g} in all, above the limit of {limit:g}")
