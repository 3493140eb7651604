"""Days of a patient from which treatment counts: found in a model, or a variable that an event sets."""

from __future__ import annotations

from collections.abc import Mapping

import libsbml

from cascade._canonical import Symbol, symbol_table
from cascade._elements import add_parameter, compute, set_at
from cascade.errors import DrugError, unknown_name
from cascade.specs import Model, Parameter

NEVER = 1e6
"""A day beyond any follow-up."""

PROGRESSION = 1.2**3
"""Volume over its smallest since treatment began that counts as progression: 20 % of a diameter (RECIST 1.1; Eisenhauer
2009, doi 10.1016/j.ejca.2008.10.026), as the volume of a sphere."""

_VISIBLE = 1e8
"""Burden in cells below which no image shows progression: a lesion of 5 mm at 1e9 cells per ml; assumed."""

_FOLLOW = 1.0
"""Per day; the smallest burden is noted within a day, far faster than tumors shrink; assumed."""

SMALLEST, _THRESHOLD = "n_smallest", "n_progression"
_WATCHED, _UNPROGRESSED = "f_watched", "f_unprogressed"
_BEYOND = 1e30
"""Cells that no patient has."""

WITHOUT_DOSES = ("surgery", "diagnosis", "metastasis")
"""Moments that are told without knowing when a drug was first given."""

_SURGERY, _SIZE, _OPERABLE = "primary_tumor.t_surgery", "primary_tumor.n_tumor", "primary_tumor.n_surgery"
_SINCE_SURGERY = "endpoints.h_since_surgery"


def moment_id(document: libsbml.Model, model: Model, name: str, label: str) -> tuple[str, list[Parameter]]:
    """Return the flat id of a day, and the rows of the constants that had to be written for it.

    Raises
    ------
    UnknownNameError
        If the model has no such variable.
    DrugError
        If it is not in days, or the model has nothing by which it could be told.
    """
    if name == "surgery":
        return _of(model, _SURGERY, name, label), []
    if name in _WRITERS:
        flat = f"t_{name}"
        if document.getElementBySId(flat) is not None:
            return flat, []
        return flat, _WRITERS[name](document, model, flat, label)
    symbols = symbol_table(model.flat)
    flat = model.ids.get(name, name)
    if flat not in symbols:
        raise unknown_name("time variable", name, [*model.ids, *symbols], f"model {model.name!r}")
    _require_days(symbols, flat, label)
    return flat, []


def _require_days(symbols: Mapping[str, Symbol], flat: str, label: str) -> None:
    if symbols[flat].unit != "day":
        raise DrugError(f"{label}: origin {flat!r} is in {symbols[flat].unit}; it must be in day")


def _of(model: Model, name: str, moment: str, label: str) -> str:
    if name not in model.ids:
        raise DrugError(
            f"{label}: model {model.name!r} has no {name}, by which the day of {moment} is told; give origin=None (the"
            " simulation begins with the patient), or the name of a variable in days"
        )
    return model.ids[name]


def _diagnosis(document: libsbml.Model, model: Model, flat: str, label: str) -> list[Parameter]:
    """The tumor is found when it has the size at which it is operated, whether it is operated or not."""
    size, operable = _of(model, _SIZE, "diagnosis", label), _of(model, _OPERABLE, "diagnosis", label)
    _day(document, flat, "day of diagnosis")
    set_at(document, f"find_{flat}", f"{size} >= {operable}", {flat: "time"})
    return []


def _metastasis(document: libsbml.Model, model: Model, flat: str, label: str) -> list[Parameter]:
    """The median patient has an overt metastasis once the cumulative hazard after surgery is ln 2."""
    hazard = _of(model, _SINCE_SURGERY, "metastasis", label)
    _day(document, flat, "day on which half of such patients have had an overt metastasis")
    set_at(document, f"find_{flat}", f"{hazard} >= ln(2 dimensionless)", {flat: "time"})
    return []


def _progression(document: libsbml.Model, model: Model, flat: str, label: str) -> list[Parameter]:
    """The burden has regrown from its smallest since treatment began; `begin_watch` says when that was.

    It comes once only: what counts from this day must not move when the burden grows again under the next drug. One
    variable crosses one threshold, which is out of reach while nobody watches: some engines miss compound conditions.
    """
    burden = _burden(model, label)
    _day(document, flat, "day of progression")
    for name, title, unit, value in (
        (SMALLEST, "smallest burden since treatment began", "cell", 0.0),
        (_WATCHED, "1 from the first dose to progression", "dimensionless", 0.0),
        (_UNPROGRESSED, "1 until progression", "dimensionless", 1.0),
        (_THRESHOLD, "burden that is progression", "cell", 0.0),
    ):
        add_parameter(document, name, unit, value, title=title, constant=False)
    fall = f"({SMALLEST} - ({burden}))"
    rule = document.createRateRule()
    rule.setVariable(SMALLEST)
    rule.setMath(libsbml.parseL3Formula(f"-k_follow_burden*({fall} + abs({fall}))/(2 dimensionless)"))
    grown = f"f_progression*{SMALLEST}"
    larger = f"({grown} + n_visible + abs({grown} - n_visible))/(2 dimensionless)"
    compute(document, _THRESHOLD, f"{larger} + (1 dimensionless - {_WATCHED})*{_BEYOND!r} cell")
    rows = [
        _constant(
            document, "f_progression", PROGRESSION, "dimensionless", "volume over its smallest that is progression"
        ),
        _constant(document, "n_visible", _VISIBLE, "cell", "burden that an image shows"),
        _constant(document, "k_follow_burden", _FOLLOW, "per_day", "how fast the smallest burden is noted"),
    ]
    told = {flat: "time", _WATCHED: "0 dimensionless", _UNPROGRESSED: "0 dimensionless"}
    set_at(document, f"find_{flat}", f"{burden} >= {_THRESHOLD}", told)
    return rows


def begin_watch(document: libsbml.Model, model: Model, label: str) -> dict[str, str]:
    """Return what a first dose sets, so that progression is told from the burden of that day."""
    if document.getParameter(SMALLEST) is None:
        return {}
    return {SMALLEST: _burden(model, label), _WATCHED: _UNPROGRESSED}


def _burden(model: Model, label: str) -> str:
    """Return the cells that an image shows: of the primary and overt metastases, or of the tumor of a module."""
    whole = [model.ids[name] for name in ("primary_tumor.n_tumor", "endpoints.n_burden") if name in model.ids]
    own = [flat for name, flat in model.ids.items() if name.split(".")[-1] == "n_tumor" and "." in name]
    if not (whole or own):
        raise DrugError(
            f"{label}: model {model.name!r} has no tumor (n_tumor, endpoints.n_burden) whose progression can be told"
        )
    return " + ".join(whole or own[:1])


_WRITERS = {"diagnosis": _diagnosis, "metastasis": _metastasis, "progression": _progression}


def _day(document: libsbml.Model, flat: str, title: str) -> None:
    add_parameter(document, flat, "day", NEVER, title=title, constant=False)


def _constant(document: libsbml.Model, name: str, value: float, unit: str, title: str) -> Parameter:
    add_parameter(document, name, unit, value, title=title)
    return Parameter(id=name, name=title, nominal=value, unit=unit, lower=0.0, note="therapy: how progression is told")
