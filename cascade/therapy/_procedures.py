"""Writes operations and radiation into a flat model."""

from __future__ import annotations

from collections.abc import Iterator

import libsbml

from cascade import _sbml
from cascade._elements import add_parameter, free_id, set_at
from cascade.errors import DrugError, unknown_name
from cascade.specs import Model, Parameter
from cascade.therapy._moments import NEVER, moment_id
from cascade.therapy.procedures import Radiotherapy, Surgery


def put_surgery(document: libsbml.Model, model: Model, surgery: Surgery) -> list[Parameter]:
    """Let the tumor be operated on a day of its own; return the row of that day.

    The event of the size waits for the day; a patient who is not operated (`f_surgery` 0) stays so.
    """
    owner = _primary(model, surgery.label)
    event = document.getEvent(f"{owner}operate")
    if event is None:
        raise DrugError(f"{surgery.label}: model {model.name!r} has no event {owner}operate; it has been changed")
    origin, rows = (None, []) if surgery.origin is None else moment_id(document, model, surgery.origin, surgery.label)
    day = _constant(document, "t_operation", surgery.day, "day", "day of surgery, after its origin", surgery.label)
    begin = day.id if origin is None else f"{origin} + {day.id}"
    never = f"(1 dimensionless - {owner}f_surgery)*{NEVER!r} day"
    event.getTrigger().setMath(libsbml.parseL3Formula(f"time >= {begin} + {never}"))
    return [*rows, day]


def put_radiotherapy(document: libsbml.Model, model: Model, course: Radiotherapy) -> list[Parameter]:
    """Write one event a fraction that leaves the surviving share of the cells in the field; return the new rows."""
    origin, rows = (None, []) if course.origin is None else moment_id(document, model, course.origin, course.label)
    share = _constant(
        document, "f_surviving", course.surviving, "dimensionless", "cells that survive a fraction", course.label
    )
    start = _constant(document, "t_radiation", course.start, "day", "first fraction, after its origin", course.label)
    begin = start.id if origin is None else f"{origin} + {start.id}"
    changes = dict(_killed(document, model, course, share.id))
    for number, day in enumerate(course.days, 1):
        when = f"time >= {begin}" + (f" + {day!r} day" if day else "")
        set_at(document, f"{share.id}_{number}", when, changes, title=f"{course.label}: fraction {number}")
    return [*rows, share, start]


def _primary(model: Model, label: str) -> str:
    """Return the prefix of the flat ids of the primary tumor."""
    owners = [instance for instance, module in model.instances.items() if module == "primary_tumor"]
    if not owners:
        raise DrugError(f"{label}: model {model.name!r} has no primary_tumor; give it to a composition that has one")
    flat = model.ids[f"{owners[0]}.t_surgery"]
    return flat.removesuffix("t_surgery")


def _killed(document: libsbml.Model, model: Model, course: Radiotherapy, share: str) -> Iterator[tuple[str, str]]:
    """Yield what a fraction changes: numbers of cells are multiplied, lesions lose size."""
    organs = [instance for instance, module in model.instances.items() if module == "organ_niche"]
    unknown = [site for site in course.sites if site not in organs]
    if unknown:
        raise unknown_name("organ", unknown[0], organs, f"model {model.name!r}")
    owners = [
        name
        for name, module in model.instances.items()
        if module in ("disseminated_cells", "lesions") and any(name.startswith(f"{site}_") for site in course.sites)
    ]
    if not course.sites:
        owners = [name for name, module in model.instances.items() if module == "clone"]
        if not owners:
            raise DrugError(f"{course.label}: model {model.name!r} has no cells of a primary tumor; name sites")
    for owner in owners:
        if model.instances[owner] == "lesions":
            yield from _shrunk(document, model, owner, share)
        else:
            yield from ((state, f"{state}*{share}") for _, state in _states(document, model, owner))


def _states(document: libsbml.Model, model: Model, owner: str) -> Iterator[tuple[str, str]]:
    """Yield local and flat ids of the counts of an instance that are integrated."""
    for name, flat in model.ids.items():
        at, _, local = name.partition(".")
        integrated = document.getSpecies(flat) is not None and document.getAssignmentRuleByVariable(flat) is None
        if at == owner and local.startswith("n_") and integrated:
            yield local, flat


def _shrunk(document: libsbml.Model, model: Model, owner: str, share: str) -> Iterator[tuple[str, str]]:
    """Yield the lesions of an organ after a fraction.

    A lesion whose cells fall to a share loses -ln(share) of its log size. Of each class that part of a class width
    moves down, all of it at the most; out of the first class lesions are gone. Dormant ones stand at the end of their
    segment.
    """
    states = dict(_states(document, model, owner))
    classes = {int(name.removeprefix("n_lesion_")): name for name in states if name.startswith("n_lesion_")}
    widths = {number: _width(document, model, owner, number) for number in classes}
    first, second = (max(n for n, width in widths.items() if width.endswith(end)) for end in ("first", "second"))

    def moved(number: int) -> str:
        down = f"(-ln({share})/{widths[number]})"
        return f"(1 dimensionless + {down} - abs(1 dimensionless - {down}))/2 dimensionless"  # the smaller of it and 1

    after = {name: f"{states[name]}*(1 dimensionless - {moved(number)})" for number, name in classes.items()}
    for number, name in classes.items():
        if number > 1:
            after[classes[number - 1]] += f" + {states[name]}*{moved(number)}"
    for dormant, number in (("n_immune_dormant", first), ("n_angiogenic_dormant", second)):
        after[dormant] = f"{states[dormant]}*(1 dimensionless - {moved(number)})"
        after[classes[number]] += f" + {states[dormant]}*{moved(number)}"
    after["n_burden"] = f"{states['n_burden']}*{share}"
    yield from ((states[name], formula) for name, formula in after.items())


def _width(document: libsbml.Model, model: Model, owner: str, number: int) -> str:
    """Return the flat id of the width of a size class, which its rate of advance is divided by."""
    rate = document.getAssignmentRuleByVariable(model.ids[f"{owner}.k_class_{number}"])
    return next(name for name in _sbml.symbols(rate.getMath()) if "log_step_" in name)


def _constant(document: libsbml.Model, name: str, value: float, unit: str, title: str, label: str) -> Parameter:
    flat = free_id(document, name)
    add_parameter(document, flat, unit, value, title=title)
    return Parameter(id=flat, name=title, nominal=value, unit=unit, note=f"therapy: {label}")
