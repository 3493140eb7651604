"""Takes sums over empty groups out of a formula: a term of nobody is zero."""

from __future__ import annotations

import re
from collections.abc import Collection

import libsbml

from cascade import _sbml
from cascade.errors import CompositionError
from cascade.expansion import REFERENCE, SUM

_NOBODY = "nobody"
_TOKEN = re.compile(r"\b(summed|joined)_([A-Za-z]\w*?)__(\w+)")


def without_empty_sums(formula: str, empty: Collection[str], where: str) -> str | None:
    """Return a formula without its sums over empty groups, or None if nothing is left of it.

    Terms are taken out and not written as 0, so that no number without a unit comes into the formula.

    Parameters
    ----------
    formula : str
        Over `instance.port` and `sum(group.port)`.
    empty : collection of str
        Groups without members.
    where : str
        The join, for messages.

    Raises
    ------
    CompositionError
        If such a sum is no term and no factor: a denominator, or the argument of a function.
    """
    if not any(match[1] in empty for match in SUM.finditer(formula)):
        return formula
    text = SUM.sub(lambda m: _NOBODY if m[1] in empty else f"summed_{m[1]}__{m[2]}", formula)
    node = libsbml.parseL3Formula(REFERENCE.sub(r"joined_\1__\2", text))
    if node is None:
        return formula  # who resolves the join says what cannot be read
    try:
        rest = _rest(node)
    except _UnknownError:
        raise CompositionError(
            f"{where}: a group of this formula is empty, and its sum is neither a term nor a factor; "
            "keep a member in the index set, or remove the join by giving it an empty text"
        ) from None
    return None if rest is None else _TOKEN.sub(_written, str(libsbml.formulaToL3String(rest)))


class _UnknownError(Exception):
    """What is left of a formula cannot be told."""


def _written(match: re.Match[str]) -> str:
    name = f"{match[2]}.{match[3]}"
    return f"sum({name})" if match[1] == "summed" else name


def _rest(node: libsbml.ASTNode) -> libsbml.ASTNode | None:
    """Return what is left of a formula, or None if it is zero."""
    if _NOBODY not in _sbml.symbols(node):
        return node.deepCopy()
    kind = node.getType()
    if node.isName():
        return None
    if kind not in (libsbml.AST_PLUS, libsbml.AST_MINUS, libsbml.AST_TIMES, libsbml.AST_DIVIDE):
        raise _UnknownError
    parts = [_rest(node.getChild(i)) for i in range(node.getNumChildren())]
    if kind == libsbml.AST_DIVIDE and parts[1] is None:
        raise _UnknownError
    if kind in (libsbml.AST_TIMES, libsbml.AST_DIVIDE) and any(part is None for part in parts):
        return None
    return _joined(kind, parts)


def _joined(kind: int, parts: list[libsbml.ASTNode | None]) -> libsbml.ASTNode | None:
    left = [part for part in parts if part is not None]
    if len(left) == 1 < len(parts) and (kind == libsbml.AST_PLUS or parts[0] is not None):
        return left[0]
    whole = libsbml.ASTNode(kind)
    for part in left:
        whole.addChild(part)
    return whole if left else None
