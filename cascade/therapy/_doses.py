"""Writes the doses of a regimen into a flat model that holds the drug: one event for each."""

from __future__ import annotations

from itertools import count

import libsbml

from cascade._elements import add_parameter, compute, set_at
from cascade.specs import Model, Parameter
from cascade.therapy._moments import begin_watch, moment_id
from cascade.therapy._schedule import schedule
from cascade.therapy.regimens import Regimen

_PORT = {
    "infusion": "v_infusion",
    "bolus": "v_infusion",
    "oral": "v_depot",
    "subcutaneous": "v_depot",
    "stated": "a_given",
}
_ENTRY = {"v_infusion": "infuse", "v_depot": "infuse_depot"}
"""The reaction of the structures by which a port fills a species; a dose at once goes into that species."""


def put_doses(document: libsbml.Model, model: Model, regimen: Regimen) -> list[Parameter]:
    """Write the doses of a regimen; return the rows of the constants by which it can be changed.

    They are `t_start_<n>` (day after the origin) and `n_dose_<n>` (nmol) or `a_level_<n>`, under the name of the drug.
    """
    return _Course(document, model, regimen).write()


class _Course:
    """One regimen on its way into a document."""

    def __init__(self, document: libsbml.Model, model: Model, regimen: Regimen) -> None:
        self.document, self.model, self.regimen = document, model, regimen
        self.plan = schedule(regimen)
        dose = "a_level" if self.plan.kind == "level" else "n_dose"
        self.number = next(n for n in count(1) if document.getParameter(f"{regimen.drug.name}__{dose}_{n}") is None)
        self.port = f"{regimen.drug.name}__{_PORT[regimen.route]}"
        self.start, self.amount, self.open = (self._id(name) for name in ("t_start", dose, "a_open"))
        # what other simulators do with an event that could fire at time 0 differs; a start value is the same everywhere
        self.at_once = regimen.origin is None and regimen.start == 0
        self.rows: list[Parameter] = []
        self.factor = ""

    def _id(self, name: str) -> str:
        return f"{self.regimen.drug.name}__{name}_{self.number}"

    def write(self) -> list[Parameter]:
        plan, level = self.plan, self.plan.kind == "level"
        origin = self._moment(self.regimen.origin)
        until = self._moment(self.regimen.until)
        if not self.at_once:
            self._constant(self.start, self.regimen.start, "day", "first day, after its origin")
        value = self.regimen.amount(self.regimen.dose)
        self._constant(self.amount, value, "dimensionless" if level else "nmole", "level" if level else "dose")
        begin = " + ".join(part for part in (origin, "" if self.at_once else self.start) if part)
        if until is not None:
            self._variable(self.open, 1.0, "dimensionless", "1 until treatment is ended")
            self.factor = f"*{self.open}"
        held = None if plan.kind == "bolus" else self._held(level)
        self._begin(begin)
        for number, (day, share) in enumerate(plan.steps, 1):
            self._dose(number, begin, day, self._changes(held, share))
        if until is not None:
            none = "0 dimensionless" if level else "0 nmole_per_day"
            stop = {self.open: "0 dimensionless"} | ({held: none} if held else {})
            set_at(self.document, self._event("end"), f"time >= {until}", stop, title=f"{self.regimen.label}: end")
        return self.rows

    def _moment(self, name: str | None) -> str | None:
        if name is None:
            return None
        flat, rows = moment_id(self.document, self.model, name, self.regimen.label)
        self.rows += rows
        return flat

    def _begin(self, begin: str) -> None:
        """Note the first dose: clearance may change in the course of treatment, and progression counts from here."""
        changes = begin_watch(self.document, self.model, self.regimen.label)
        treated = f"{self.regimen.drug.name}__a_treated"
        if self.document.getParameter(treated) is not None:
            changes[treated] = "1 dimensionless"
        if changes and self.at_once:
            self._set_start(changes)
        elif changes:
            title = f"{self.regimen.label}: begin"
            set_at(self.document, self._event("begin"), f"time >= {begin}", changes, title=title)

    def _held(self, level: bool) -> str:
        """Write the rate (or level) that this regimen holds; the port is the sum over regimens. Return its id."""
        held = self._id(_PORT[self.regimen.route])
        self._variable(held, 0.0, "dimensionless" if level else "nmole_per_day", self.regimen.label)
        rule = self.document.getAssignmentRuleByVariable(self.port)
        if rule is None:
            compute(self.document, self.port, held)
        else:
            rule.setMath(libsbml.parseL3Formula(f"{libsbml.formulaToL3String(rule.getMath())} + {held}"))
        return held

    def _changes(self, held: str | None, share: float) -> dict[str, str]:
        """Return what a dose changes: what is held is set, what goes in at once is added."""
        if held is None:
            return {self._entry(): f"{share!r} dimensionless*{self.amount}{self.factor}"}
        unit = "dimensionless" if self.plan.kind == "level" else "per_day"
        return {held: f"{share!r} {unit}*{self.amount}{self.factor}"}

    def _dose(self, number: int, begin: str, day: float, changes: dict[str, str]) -> None:
        if self.at_once and day == 0:
            self._set_start(changes)
            return
        if self.plan.kind == "bolus":
            changes = {species: f"{species} + {dose}" for species, dose in changes.items()}
        when = " + ".join(part for part in (begin, f"{day!r} day" if day else "") if part)
        title = f"{self.regimen.label if number == 1 else self.regimen.drug.title}: dose {number}"
        set_at(self.document, self._event(f"dose_{number}"), f"time >= {when}", changes, title=title, at_once=False)

    def _set_start(self, changes: dict[str, str]) -> None:
        """Give start values; those of several regimens add up, but for the switches."""
        for variable, value in changes.items():
            known = self.document.getInitialAssignmentBySymbol(variable)
            if known is None:
                known = self.document.createInitialAssignment()
                known.setSymbol(variable)
            elif self.document.getSpecies(variable) is not None:
                value = f"{libsbml.formulaToL3String(known.getMath())} + {value}"
            known.setMath(libsbml.parseL3Formula(value))

    def _event(self, name: str) -> str:
        return f"{name}_of_{self.regimen.drug.name}_{self.number}"

    def _entry(self) -> str:
        """Return the species into which a dose goes at once."""
        reaction = self.document.getReaction(f"{self.regimen.drug.name}__{_ENTRY[_PORT[self.regimen.route]]}")
        return str(reaction.getProduct(0).getSpecies())

    def _variable(self, name: str, value: float, unit: str, title: str) -> None:
        add_parameter(self.document, name, unit, value, title=title, constant=False)

    def _constant(self, name: str, value: float, unit: str, title: str) -> None:
        title = f"{title} ({self.regimen.drug.title})"
        add_parameter(self.document, name, unit, value, title=title)
        lower = None if unit == "day" else 0.0
        note = f"therapy: {self.regimen.label}"
        self.rows.append(Parameter(id=name, name=title, nominal=value, unit=unit, lower=lower, note=note))
