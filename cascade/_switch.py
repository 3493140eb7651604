"""One switch for every treatment of a study: the model is compiled once, whatever is treated, how much, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import libsbml

from cascade import _sbml
from cascade._canonical import symbol_table
from cascade._elements import add_parameter, compute, set_at
from cascade._multiply import multiply
from cascade.errors import AnalysisError
from cascade.specs import Model, Parameter
from cascade.therapy._moments import NEVER

FROM, UNTIL, UNTIL_SURGERY = "treated_from", "treated_until", "treated_until_surgery"
"""Constants of the switch: first and last day, and 1 if the last day counts from surgery."""

END = "treated_end"
"""The last day of a window of drugs."""


def factor_of(constant: str) -> str:
    """Return the id of the factor that treatment puts on a constant."""
    return f"treated_{constant}"


def switched(model: Model, constants: Sequence[str], surgery: str | None = None) -> Model:
    """Write a switch into a model that multiplies each constant by a factor of its own while it is on.

    Parameters
    ----------
    model : Model
    constants : sequence of str
        Flat ids.
    surgery : str, optional
        Flat id of the day of surgery; then `UNTIL_SURGERY` can be set.

    Returns
    -------
    Model
        With the constants `factor_of(...)`, 1 by default, and those of the switch, which is never on by default. Both
        events are of the form that all engines treat alike (`cascade.therapy`).

    Raises
    ------
    AnalysisError
        If nothing uses a constant.
    """
    document = _sbml.read_document(model.flat, model.name)
    flat, symbols = document.getModel(), symbol_table(model.flat)
    rows, until = _window(flat, surgery)
    begin, end = {}, {}
    for name in constants:
        activity = f"activity_of_{name}"
        if not multiply(flat, symbols[name], activity):
            raise AnalysisError(f"no rate or formula of model {model.name!r} uses {name!r}; a target cannot act on it")
        add_parameter(flat, activity, "dimensionless", 1.0, constant=False)
        rows.append(_constant(flat, factor_of(name), 1.0, "dimensionless"))
        begin[activity] = factor_of(name)
        end[activity] = "1 dimensionless"
    set_at(flat, "treatment_begins", f"time >= {FROM}", begin)
    set_at(flat, "treatment_ends", f"time >= {until}", end)
    return _with(model, document, rows, [row.id for row in rows])


def windowed(model: Model, surgery: str | None = None) -> Model:
    """Write the days of a window into a model, by which a regimen can be told when to begin and to end.

    Parameters
    ----------
    model : Model
    surgery : str, optional
        Flat id of the day of surgery; then `UNTIL_SURGERY` can be set.

    Returns
    -------
    Model
        With the constants of the switch, and the variable `END`.
    """
    document = _sbml.read_document(model.flat, model.name)
    flat = document.getModel()
    rows, until = _window(flat, surgery)
    add_parameter(flat, END, "day", constant=False)
    compute(flat, END, until)
    return _with(model, document, rows, [END, *(row.id for row in rows)])


def _window(flat: libsbml.Model, surgery: str | None) -> tuple[list[Parameter], str]:
    """Write the constants of the switch; return their rows and the formula of the last day."""
    rows = [_constant(flat, FROM, NEVER, "day"), _constant(flat, UNTIL, NEVER, "day")]
    if surgery is None:
        return rows, UNTIL
    rows.append(_constant(flat, UNTIL_SURGERY, 0.0, "dimensionless"))
    return rows, f"{UNTIL} + {UNTIL_SURGERY}*{surgery}"


def _with(model: Model, document: libsbml.SBMLDocument, rows: list[Parameter], names: list[str]) -> Model:
    return replace(
        model,
        flat=_sbml.write_document(document),
        hierarchical=None,
        parameters=(*model.parameters, *rows),
        ids={**model.ids, **{name: name for name in names}},
    )


def _constant(flat: libsbml.Model, name: str, value: float, unit: str) -> Parameter:
    add_parameter(flat, name, unit, value)
    return Parameter(id=name, name=name, nominal=value, unit=unit, note="therapy: arms of a study")
