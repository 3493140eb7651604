"""Start values and rates of a flat model at time 0, computed from its text; no simulator is asked.

libRoadRunner writes formulas of start values into each other and compiles for minutes where modules begin at their
steady states; here every value is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator

import libsbml
import numpy as np

from cascade import _sbml
from cascade._canonical import symbol_table
from cascade._starts import constants

_COMPARE = {
    libsbml.AST_RELATIONAL_GEQ: lambda first, second: first >= second,
    libsbml.AST_RELATIONAL_GT: lambda first, second: first > second,
    libsbml.AST_RELATIONAL_LEQ: lambda first, second: first <= second,
    libsbml.AST_RELATIONAL_LT: lambda first, second: first < second,
    libsbml.AST_RELATIONAL_EQ: lambda first, second: first == second,
    libsbml.AST_RELATIONAL_NEQ: lambda first, second: first != second,
}


def at_start(flat: str) -> dict[str, float]:
    """Return the value of every symbol and the rate of every reaction and rate rule at time 0.

    What needs functions beyond plain arithmetic is left out.
    """
    formulas = {name: name for name, symbol in symbol_table(flat).items() if symbol.kind != "reaction"}
    formulas |= dict(_rates(_sbml.read_document(flat, "flat model").getModel()))
    together = _values(flat, formulas)
    if together is not None:
        return together
    each = {name: _values(flat, {name: formula}) for name, formula in formulas.items()}
    return {name: value for found in each.values() if found is not None for name, value in found.items()}


def _rates(model: libsbml.Model) -> Iterator[tuple[str, str]]:
    for reaction in model.getListOfReactions():
        law = reaction.getKineticLaw()
        if law is not None and law.isSetMath():
            yield f"rate of {reaction.getId()}", libsbml.formulaToL3String(law.getMath())
    for rule in model.getListOfRules():
        if rule.isRate() and rule.isSetMath():
            yield f"rate of {rule.getVariable()}", libsbml.formulaToL3String(rule.getMath())


def _values(flat: str, formulas: dict[str, str]) -> dict[str, float] | None:
    keys = {f" {name}": formula for name, formula in formulas.items()}  # no symbol of the model is called like this
    try:
        row = constants(flat, keys, (), np.empty((1, 0)))[0]
    except Exception:  # the evaluator says with many errors that a formula is beyond it
        return None
    return dict(zip(formulas, map(float, row), strict=True))


def true_at_start(flat: str, trigger: libsbml.ASTNode) -> bool | None:
    """Tell whether a trigger holds at time 0; None if that cannot be said."""
    kind = trigger.getType()
    if kind in (libsbml.AST_CONSTANT_TRUE, libsbml.AST_CONSTANT_FALSE):
        return bool(kind == libsbml.AST_CONSTANT_TRUE)
    parts = [trigger.getChild(index) for index in range(trigger.getNumChildren())]
    if kind in _COMPARE and len(parts) == 2:
        texts = [libsbml.formulaToL3String(part) for part in parts]
        sides = _values(flat, dict(zip("lr", texts, strict=True)))
        if sides is None or not np.isfinite(list(sides.values())).all():
            return None
        return bool(_COMPARE[kind](sides["l"], sides["r"]))
    held = [true_at_start(flat, part) for part in parts]
    if kind == libsbml.AST_LOGICAL_AND:
        return False if False in held else (None if None in held else True)
    if kind == libsbml.AST_LOGICAL_OR:
        return True if True in held else (None if None in held else False)
    if kind == libsbml.AST_LOGICAL_NOT and held[0] is not None:
        return not held[0]
    return None
