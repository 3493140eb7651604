"""Regimens: how much of a drug, by which route, how often, from when until when. Plain facts, no model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from cascade._tables import is_number
from cascade.errors import DrugError, unknown_name
from cascade.therapy.drugs import ROUTES, UNITS, Drug, Written, load_drug

COURSE = 365.0
"""Days of a course whose end nobody gave: a year, the length of common adjuvant treatments."""

MOMENTS = ("diagnosis", "surgery", "metastasis", "progression")
"""Days of the patient from which a regimen may count, or until which it may last; any variable in days does as well."""


@dataclass(frozen=True, kw_only=True)
class Regimen:
    """A drug as it is given.

    Attributes
    ----------
    drug : Drug
    name, title : str
        Of the regimen in the folder of the drug.
    dose : float
        In `unit`; of a drug at a stated concentration, multiples of that.
    unit : str
        `mg`, `mg/kg` or `mg/m2`; empty for a stated concentration.
    route : str
        `infusion` and `bolus` (into a vein), `oral`, `subcutaneous`, or `stated`.
    infusion_hours : float
        Length of an infusion.
    every : float or None
        Days between doses; None for a stated concentration.
    days_on, days_off : float
        Cycle: given for `days_on` days, then not for `days_off`; without `days_on` always.
    doses : int or None
        Number of doses after which it ends.
    loading : tuple of (float, float)
        Day and dose of what is given first; the regular doses begin one interval after the last of them.
    start : float
        First day, counted from `origin`.
    origin : str or None
        Day from which `start` counts: `diagnosis`, `surgery`, `metastasis`, the first `progression` under treatment, or
        the name of a variable in days; without it the begin of the simulation.
    stop : float or None
        Last day, counted from `origin`; without it after `doses`, else after `COURSE` days. `math.inf` never ends.
    until : str or None
        A moment as in `origin` that ends treatment whenever it comes.
    reductions : tuple of (float, float)
        Day since `start` and share of the dose given from then on.
    averaged : bool
        Give each stretch of doses as a constant rate of the same mean: far faster for daily tablets, without peaks.
    weight, surface : float
        Of the patient, in kg and square meters.
    status, source, where
        `approved`, `trial` or `experimental`, and keys of `references.bib`.

    Raises
    ------
    DrugError
        With everything that is wrong.
    """

    drug: Drug
    name: str = ""
    title: str = ""
    dose: float = 1.0
    unit: str = ""
    route: str = "stated"
    infusion_hours: float = 0.0
    every: float | None = None
    days_on: float | None = None
    days_off: float = 0.0
    doses: int | None = None
    loading: tuple[tuple[float, float], ...] = ()
    start: float = 0.0
    origin: str | None = None
    stop: float | None = None
    until: str | None = None
    reductions: tuple[tuple[float, float], ...] = ()
    averaged: bool = False
    weight: float = field(default=math.nan)
    surface: float = field(default=math.nan)
    status: str = ""
    source: tuple[str, ...] = ()
    where: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.drug, Drug):
            raise DrugError(f"drug is {self.drug!r}; give what load_drug() returns, or call regimen() with a name")
        for name in ("weight", "surface"):
            value = getattr(self, name)
            if isinstance(value, float) and math.isnan(value):
                object.__setattr__(self, name, getattr(self.drug, name))
        for name in ("loading", "reductions"):
            object.__setattr__(self, name, _pairs(getattr(self, name)))
        problems = _wrong_numbers(self) or _wrong_route(self) or _wrong_order(self)
        if problems:
            raise DrugError(f"regimen of {self.drug.name}: " + "; ".join(problems))

    @property
    def label(self) -> str:
        """One line for reports."""
        amount = f"{self.dose:g} {self.unit}".strip() if self.unit else f"{self.dose:g} x the stated concentration"
        often = f" every {self.every:g} days" if self.every else ""
        cycle = f", {self.days_on:g} days on and {self.days_off:g} off" if self.days_on else ""
        begin = f", from day {self.start:g}" + (f" after {self.origin}" if self.origin else "")
        end = f" until {self.until}" if self.until else ""
        return f"{self.drug.title} {amount}{often}{cycle}{begin}{end}"

    @property
    def target(self) -> str:
        """Name of the drug, as `Intervention.target` is that of the target."""
        return self.drug.name

    @property
    def end(self) -> float:
        """Last day, counted from `origin`; infinite if it ends with its doses or never."""
        if self.stop is not None:
            return self.stop
        return math.inf if self.doses is not None else self.start + COURSE

    def amount(self, dose: float) -> float:
        """Return a dose in nmol; a stated concentration in multiples of it."""
        if self.route == "stated":
            return dose
        milligrams = dose * {"mg": 1.0, "mg/kg": self.weight, "mg/m2": self.surface}[self.unit]
        return milligrams * 1e6 / self.drug.molar_mass


def regimen(drug: str | Drug, name: str | None = None, **changes: Any) -> Regimen:
    """Return a regimen of a drug, changed as asked.

    Parameters
    ----------
    drug : str or Drug
        Name of a shipped drug, path of a folder of your own, or what `load_drug` returned.
    name : str, optional
        One of the regimens of the drug; by default the first.
    **changes
        Fields of `Regimen` that replace those of the folder, such as `origin="surgery", start=28, stop=365, dose=5`.

    Returns
    -------
    Regimen

    Raises
    ------
    UnknownNameError
        If there is no such drug, regimen or field.
    DrugError
        If the regimen cannot be given.

    Examples
    --------
    >>> import cascade
    >>> cascade.regimen("bevacizumab", origin="surgery", start=28).label  # doctest: +SKIP
    """
    drug = drug if isinstance(drug, Drug) else load_drug(drug)
    written = _written(drug, name)
    known = tuple(field for field in Regimen.__dataclass_fields__ if field not in ("drug", "name"))
    for change in changes:
        if change not in known:
            raise unknown_name("field", change, known, "Regimen")
    return replace(_plain(drug, written), **changes) if changes else _plain(drug, written)


def _written(drug: Drug, name: str | None) -> Written:
    if not drug.regimens:
        raise DrugError(f"drug {drug.name!r} has no regimen; make one with Regimen(drug=..., dose=..., ...)")
    if name is None:
        return next(iter(drug.regimens.values()))
    if name not in drug.regimens:
        raise unknown_name("regimen", name, drug.regimens, f"drug {drug.name!r}")
    return drug.regimens[name]


def _plain(drug: Drug, written: Written) -> Regimen:
    return Regimen(drug=drug, name=written.name, **written.entries)


def _pairs(value: object) -> tuple[tuple[float, float], ...]:
    try:
        return tuple((first, second) for first, second in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise DrugError(f"{value!r} is no list of (day, number)") from None


def _wrong_numbers(plan: Regimen) -> list[str]:
    """Name every number that is none or has a wrong sign."""
    positive = {"weight": plan.weight, "surface": plan.surface, "every": plan.every, "days_on": plan.days_on}
    not_negative = {"dose": plan.dose, "infusion_hours": plan.infusion_hours, "days_off": plan.days_off}
    days = {"start": plan.start, "stop": None if plan.stop == math.inf else plan.stop}
    days |= {f"loading[{i}]": each for i, pair in enumerate(plan.loading) for each in pair}
    days |= {f"reductions[{i}]": each for i, pair in enumerate(plan.reductions) for each in pair}
    found = []
    for name, value in {**positive, **not_negative, **days}.items():
        if value is not None and not is_number(value):
            found.append(f"{name} is {value!r}; give a finite number")
        elif value is not None and name in positive and value <= 0:
            found.append(f"{name} is {value:g}; give a number above 0")
        elif value is not None and value < 0 and name not in ("start", "stop"):
            found.append(f"{name} is {value:g}; give 0 or more")
    if plan.doses is not None and (type(plan.doses) is not int or plan.doses < 1):
        found.append(f"doses is {plan.doses!r}; give a whole number of doses, 1 or more")
    for name in ("origin", "until"):
        value = getattr(plan, name)
        if value is not None and not (isinstance(value, str) and value):
            found.append(f"{name} is {value!r}; give {', '.join(MOMENTS)} or the name of a variable in days")
    return found


def _wrong_route(plan: Regimen) -> list[str]:
    """Tell what does not go with the route."""
    if plan.route not in ROUTES:
        return [f"route is {plan.route!r}; give one of {', '.join(ROUTES)}"]
    if plan.route not in plan.drug.routes:
        return [f"route is {plan.route!r}, but its kinetics ({plan.drug.structure.name}) take {_or(plan.drug.routes)}"]
    if plan.route == "stated":
        given = [name for name in ("every", "doses") if getattr(plan, name) is not None] + ["loading"] * bool(
            plan.loading
        )
        return [
            f"{_or(given)} means nothing for a stated concentration; give start, stop, days_on and days_off"
        ] * bool(given)
    found = []
    if plan.unit not in UNITS:
        found.append(f"unit is {plan.unit!r}; give one of {', '.join(UNITS)}")
    if plan.every is None and plan.doses != 1:
        found.append("every is missing; give the days between doses, or doses=1")
    if (plan.route == "infusion") != (plan.infusion_hours > 0):
        found.append(
            f"route is {plan.route!r} with infusion_hours {plan.infusion_hours:g}; an infusion takes time, others none"
        )
    return found


def _wrong_order(plan: Regimen) -> list[str]:
    found = []
    if plan.origin is None and plan.start < 0:
        found.append(f"start is day {plan.start:g}, before the simulation begins; give 0 or later")
    if plan.origin in MOMENTS and plan.start < 0:
        found.append(
            f"start is {-plan.start:g} days before {plan.origin}, which nobody knows before it comes; count from an"
            " earlier moment (before surgery: from diagnosis, with Surgery(day=...))"
        )
    if plan.stop is not None and plan.stop <= plan.start:
        found.append(f"stop (day {plan.stop:g}) is not after start (day {plan.start:g})")
    for name in ("loading", "reductions"):
        days = [day for day, _ in getattr(plan, name)]
        if days != sorted(set(days)):
            found.append(f"the days of {name} do not rise: {', '.join(f'{day:g}' for day in days)}")
    if plan.days_off and plan.days_on is None:
        found.append("days_off without days_on; give both")
    if plan.days_on is not None and plan.every is not None and plan.every > plan.days_on + plan.days_off:
        found.append(
            f"a dose every {plan.every:g} days is rarer than the cycle of {plan.days_on + plan.days_off:g} days"
        )
    return found


def _or(words: Any) -> str:
    return " or ".join(words)
