"""What is done to a patient besides drugs: operations and radiation, as events of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cascade._tables import is_number
from cascade.errors import DrugError

ALPHA, BETA = 0.3, 0.03
"""Radiosensitivity per Gy and per square Gy: a carcinoma with alpha/beta of 10 Gy; assumed, textbook scale. Breast
cancer may be nearer to 4 Gy."""

MOST_FRACTIONS = 200


@dataclass(frozen=True, kw_only=True)
class Surgery:
    """An operation of the primary tumor on a day of its own, instead of as soon as it has the operable size.

    Attributes
    ----------
    day : float
        Days after `origin`.
    origin : str or None
        `diagnosis` (the tumor has the operable size), the name of a variable in days, or None: the simulation begins.
    """

    day: float
    origin: str | None = "diagnosis"

    def __post_init__(self) -> None:
        if not is_number(self.day) or self.day < 0 or (self.day == 0 and self.origin is not None):
            raise DrugError(
                f"surgery on day {self.day!r} after {self.origin or 'the begin'}: give a finite number"
                f" {'of 0 or more' if self.origin is None else 'above 0, since a tumor is found before it is operated'}"
            )

    @property
    def label(self) -> str:
        """One line for reports."""
        return f"surgery {self.day:g} days after {self.origin or 'the begin'}"

    @property
    def target(self) -> str:
        """What it acts on."""
        return "primary_tumor"


@dataclass(frozen=True, kw_only=True)
class Radiotherapy:
    """Fractions of radiation that kill a share of the tumor cells in the field: the primary tumor, and organs if asked.

    Attributes
    ----------
    dose : float
        Gy per fraction.
    fractions : int
    start : float
        Day of the first fraction after `origin`.
    origin : str or None
        As in `Regimen`.
    weekdays : int
        Fractions in a week, on its first days.
    alpha, beta : float
        A fraction d leaves exp(-alpha*d - beta*d^2) of the cells (linear-quadratic law).
    sites : tuple of str
        Organs in the field, such as `lymph_node`: cells and lesions there. Without any, the primary tumor. The models
        have no tumor left in the bed after surgery, so that radiation of it shows in no readout.
    """

    dose: float = 2.0
    fractions: int = 25
    start: float = 0.0
    origin: str | None = "diagnosis"
    weekdays: int = 5
    alpha: float = ALPHA
    beta: float = BETA
    sites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {value!r}; give a finite number, 0 or more"
            for name, value in (("dose", self.dose), ("alpha", self.alpha), ("beta", self.beta))
            if not is_number(value) or value < 0
        ]
        for name, value, most in (("fractions", self.fractions, MOST_FRACTIONS), ("weekdays", self.weekdays, 7)):
            if type(value) is not int or not 1 <= value <= most:
                problems.append(f"{name} is {value!r}; give a whole number from 1 to {most}")
        if not is_number(self.start) or (self.origin is None and self.start < 0):
            problems.append(f"start is {self.start!r}; give a finite day, 0 or later without an origin")
        if problems:
            raise DrugError("radiotherapy: " + "; ".join(problems))
        object.__setattr__(self, "sites", tuple(self.sites))

    @property
    def days(self) -> tuple[float, ...]:
        """Days of the fractions after `start`."""
        return tuple(float(7 * (n // self.weekdays) + n % self.weekdays) for n in range(self.fractions))

    @property
    def surviving(self) -> float:
        """Share of the cells that survive one fraction."""
        return math.exp(-self.alpha * self.dose - self.beta * self.dose**2)

    @property
    def label(self) -> str:
        """One line for reports."""
        begin = f"from day {self.start:g}" + (f" after {self.origin}" if self.origin else "")
        return f"radiotherapy {self.fractions} x {self.dose:g} Gy {begin}"

    @property
    def target(self) -> str:
        """What it acts on."""
        return "primary_tumor"
