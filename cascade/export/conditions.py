"""Therapies as conditions: one model that holds every drug, and the values of its constants under each treatment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import libsbml

from cascade import _sbml
from cascade._elements import add_parameter, compute, free_id
from cascade.errors import ValueSettingError
from cascade.specs import Intervention, Model, Parameter
from cascade.therapy import treat

UNTREATED, TREATED = "untreated", "treated"
"""The condition without any drug, and that of a model which was treated before."""

_FACTOR, _ACTIVITY, _WINDOW = "factor_on_", "activity_of_", "window_of_"
_CONSTANTS = (_FACTOR, "start_on_", "stop_on_")
_ID = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """A model and its treatments: `values` are those of the constants of all drugs, by treatment; may be empty."""

    model: Model
    values: Mapping[str, Mapping[str, float]]

    @property
    def targets(self) -> tuple[str, ...]:
        """Ids of the constants that a treatment sets."""
        return tuple(dict.fromkeys(name for values in self.values.values() for name in values))


def conditions(model: Model, treatments: Mapping[str, Intervention | Sequence[Intervention]] | None) -> Conditions:
    """Put the drugs of all treatments into one model, of which each treatment is a set of values.

    A treatment leaves the factors of drugs that it does not give at 1. What a treated model was given is the treatment
    `treated`. No start value of the model returned depends on a constant of a drug (see `_without_starts`).

    Raises
    ------
    ValueSettingError
        If a treatment has no name that can be an id, is taken, or holds no interventions.
    """
    given: dict[str, tuple[Parameter, ...]] = {}
    own = tuple(row for row in model.parameters if _is_drug(row))
    if own:
        given[TREATED] = own
    if not isinstance(treatments or {}, Mapping):
        raise ValueSettingError(f"treatments is {treatments!r}; give a mapping of names to interventions")
    for name, what in (treatments or {}).items():
        interventions = _interventions(name, what, taken={UNTREATED, *given})
        before = len(model.parameters)
        model = treat(model, *interventions)
        given[name] = model.parameters[before:]
    if not given:
        return Conditions(model=model, values={})
    every = [row for rows in given.values() for row in rows]
    neutral = {row.id: 1.0 if row.id.startswith(_FACTOR) else row.nominal for row in every}
    values = {UNTREATED: neutral} | {
        name: neutral | {row.id: row.nominal for row in rows} for name, rows in given.items()
    }
    return Conditions(model=_without_starts(model, every), values=values)


def _is_drug(row: Parameter) -> bool:
    return row.note.startswith("therapy: ") and row.id.startswith(_CONSTANTS)


def _interventions(name: str, what: object, taken: set[str]) -> tuple[Intervention, ...]:
    if not isinstance(name, str) or not _ID.match(name):
        raise ValueSettingError(f"treatment {name!r}: the name becomes an id; use letters, digits and underscores")
    if name in taken:
        raise ValueSettingError(f"treatment {name!r}: this name stands for another condition; choose another")
    found = (what,) if isinstance(what, Intervention) else tuple(what) if isinstance(what, Sequence) else ()
    if not found or not all(isinstance(each, Intervention) for each in found):
        raise ValueSettingError(
            f"treatment {name!r} is {what!r}; give an intervention or a list of them (inhibit, activate)"
        )
    return found


def _without_starts(model: Model, rows: Sequence[Parameter]) -> Model:
    """Rewrite drugs that are given from the beginning, so that no start value depends on their strength.

    `treat` starts the activity of such a drug at its factor. PEtab sets the values of a condition when start values are
    computed already, so that the activity would keep the factor of the file. Here it becomes a formula of the factor,
    with a window that an event closes if the drug is stopped.
    """
    document = _sbml.read_document(model.flat, model.name)
    flat = document.getModel()
    for row in rows:
        activity = _ACTIVITY + row.id.removeprefix(_FACTOR)
        if row.id.startswith(_FACTOR) and flat.getInitialAssignmentBySymbol(activity) is not None:
            _as_formula(flat, activity, row.id)
    return replace(model, flat=_sbml.write_document(document))


def _as_formula(flat: libsbml.Model, activity: str, factor: str) -> None:
    flat.removeInitialAssignment(activity)
    ends = [
        assignment
        for event in flat.getListOfEvents()
        for assignment in event.getListOfEventAssignments()
        if assignment.getVariable() == activity
    ]
    formula = factor
    if ends:
        window = free_id(flat, _WINDOW + activity.removeprefix(_ACTIVITY))
        add_parameter(flat, window, "dimensionless", 1.0, title=f"window of {activity}", constant=False)
        for assignment in ends:
            assignment.setVariable(window)
            assignment.setMath(libsbml.parseL3Formula("0 dimensionless"))
        formula = f"1 dimensionless + {window} * ({factor} - 1 dimensionless)"
    compute(flat, activity, formula)
