"""What is certified: the text of a file and the model behind it, what is compared, and what it shows without a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import libsbml

from cascade import _sbml
from cascade.certify._against import differences
from cascade.errors import ValueSettingError
from cascade.evaluate import USUAL_YEARS
from cascade.opening import open_sbml
from cascade.portable import check_portable
from cascade.simulate import DAYS_PER_YEAR
from cascade.specs import Issue, Model


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is certified: SBML text, what opening it found, and the model that it must reproduce, if there is one."""

    name: str
    text: str
    model: Model | None = None
    issues: tuple[Issue, ...] = ()


def subject_of(source: Model | str | Path, file: str | Path | None) -> Subject:
    """Return what is certified; a file is opened as one from a stranger."""
    if isinstance(source, Model):
        if file is None:
            return Subject(name=source.name, text=source.flat, model=source)
        opened = open_sbml(file)
        return Subject(name=opened.name, text=opened.flat, model=source, issues=opened.issues)
    if not isinstance(source, str | Path):
        raise ValueSettingError(f"certify() was given {source!r}; give a Model or the path of an SBML file")
    if file is not None:
        raise ValueSettingError("file=... compares a file with a model; give the model, not its path, as the first")
    opened = open_sbml(source)
    return Subject(name=opened.name, text=opened.flat, issues=opened.issues)


def length_of(subject: Subject, end: float | None) -> float:
    """Return how long to run, in the time unit of the file."""
    if end is not None:
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not (math.isfinite(end) and end > 0):
            raise ValueSettingError(f"end is {end!r}; give a finite number above 0")
        return float(end)
    years = USUAL_YEARS if subject.model is None else subject.model.years or USUAL_YEARS
    if subject.model is None:
        unit = _sbml.read_document(subject.text, subject.name).getModel().getTimeUnits()
        if unit != "day":
            raise ValueSettingError(
                f"{subject.name}: time is in {unit or 'no unit'}; say how long to run it: end=..., in that unit"
            )
    return years * DAYS_PER_YEAR


def findings_of(subject: Subject) -> tuple[Issue, ...]:
    """Look at the file without running it: libSBML's checks, the portable profile, and what the model has more."""
    document = _sbml.read_document(subject.text, subject.name)
    found = [*subject.issues, *_sbml.check_document(document, subject.name), *check_portable(subject.text)]
    if subject.model is not None and subject.model.flat != subject.text:
        found += differences(subject.model.flat, subject.text, subject.name)
    return tuple(dict.fromkeys(sorted(found, key=lambda issue: issue.severity)))


def compared(subject: Subject) -> list[tuple[str, bool]]:
    """Return what is compared: ids, and whether they mean what is stored (else a concentration)."""
    model = _sbml.read_document(subject.text, subject.name).getModel()
    moved = {rule.getVariable() for rule in model.getListOfRules() if not rule.isAlgebraic()}
    for event in model.getListOfEvents():
        moved |= {assignment.getVariable() for assignment in event.getListOfEventAssignments()}
    found = []
    for species in model.getListOfSpecies():
        compartment = model.getCompartment(species.getCompartment())
        pointlike = compartment is not None and compartment.getSpatialDimensionsAsDouble() == 0
        found.append((species.getId(), bool(species.getHasOnlySubstanceUnits()) or pointlike))
    quantities = [*model.getListOfCompartments(), *model.getListOfParameters()]
    found += [(each.getId(), True) for each in quantities if each.getId() in moved]
    return found


def lacking(subject: Subject, names: list[str]) -> list[str]:
    """Return the symbols of the file that the model does not have."""
    if subject.model is None or subject.model.flat == subject.text:
        return []
    known = libsbml.readSBMLFromString(subject.model.flat).getModel()
    return [name for name in names if known.getElementBySId(name) is None]
