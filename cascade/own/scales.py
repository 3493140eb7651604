"""Rewrites formulas for quantities in other units, so that they mean exactly the same.

A change of units multiplies every quantity by a factor. A formula whose terms agree stays as it is, since all its terms
take the same factor (it is homogeneous); numbers that stand beside a quantity take the factor of that quantity. Where
terms do not agree, each quantity is divided by its old unit inside the formula: right for any formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import libsbml

from cascade.errors import ModuleError
from cascade.own.measure import Dimensions, Measure, combined
from cascade.own.terms import (
    NONE,
    Log,
    Mixed,
    Term,
    applied,
    divided,
    finite,
    is_count,
    log_of,
    multiplied,
    node_of,
    number_of,
    raised,
    rebuilt,
    rooted,
    same,
    sum_of,
    symbol_node,
)

TIME = ""
"""Name of the simulation time among the quantities."""

READINGS = ("pure", "thresholds", "any")
"""What numbers without units in a formula may be: pure in products and beside 1; `x/number` a threshold in the unit of
x; or whatever makes the terms agree. Each reading gives the same values; they differ in the units of the constants."""


@dataclass(frozen=True)
class Quantity:
    """A symbol of the source: its unit there, its unit in the module, and the factor between the numbers."""

    source: Measure
    target: Measure
    factor: float

    @property
    def log(self) -> Log:
        """The logarithm of the factor."""
        return log_of([("", math.log(self.factor))])


@dataclass
class Rewriter:
    """Rewrites the formulas of one model.

    Attributes
    ----------
    quantities : mapping of str to Quantity
        Every symbol, and the time under `TIME`.
    constants : collection of str
        Symbols that may be exponents of a quantity: they do not vary.
    name_number : callable
        Makes a parameter for a number with a unit: (value in the module, factor, dimensions, what) -> id.
    name_factor : callable
        Makes a parameter for one old unit in the new one: (quantity) -> id.
    """

    quantities: Mapping[str, Quantity]
    constants: Collection[str]
    name_number: Callable[[float, float, Dimensions], str]
    name_factor: Callable[[Quantity], str]
    read_unit: Callable[[str], Measure | None]
    target_of: Callable[[Measure], Quantity]
    rewritten: list[str] = field(default_factory=list)
    _reading: str = "pure"
    _new: list[tuple[str, float, float, Dimensions]] = field(default_factory=list)

    def convert(self, formula: libsbml.ASTNode, wanted: Quantity, where: str) -> Term:
        """Return the formula of the quantity `wanted` in the units of the module."""
        return self.homogeneous(formula, wanted) or self.substituted(formula, wanted, where)

    def homogeneous(self, formula: libsbml.ASTNode, wanted: Quantity | None) -> Term | None:
        """Return the formula with numbers in the units of the module if its terms agree, else None."""
        for reading in READINGS:
            found = self._read(formula, wanted, reading)
            if found is not None:
                return found
        return None

    def _read(self, formula: libsbml.ASTNode, wanted: Quantity | None, reading: str) -> Term | None:
        """Return the formula if its terms agree under a reading of its numbers; makes their constants only then."""
        self._reading, self._new = reading, []
        try:
            term = self.scaled(formula)
            if wanted is not None and not (term.free and term.value == 0):
                term = self._agree([term], wanted.log, wanted.target.dimensions)[0]
        except Mixed:
            return None
        if wanted is not None and not term.free and not same(term.log, wanted.log):
            return None
        if wanted is not None and not term.free and term.dimensions != wanted.target.dimensions:
            return None
        for node, value, factor, dimensions in self._new:
            _rename(term.node, node, self.name_number(value, factor, dimensions))
        return term

    def substituted(self, formula: libsbml.ASTNode, wanted: Quantity | None, where: str) -> Term:
        """Return the formula with every quantity turned back into its old unit, and its value into the new one."""
        self.rewritten.append(where)
        node = self._in_old_units(formula)
        if wanted is not None and not _is_pure(wanted):
            node = node_of(libsbml.AST_TIMES, symbol_node(self.name_factor(wanted)), node)
        return Term(node)

    def condition(self, formula: libsbml.ASTNode, where: str) -> libsbml.ASTNode:
        """Return a trigger or another formula that is true or false."""
        return (self.homogeneous(formula, None) or self.substituted(formula, None, where)).node

    def _in_old_units(self, node: libsbml.ASTNode) -> libsbml.ASTNode:
        kind = node.getType()
        if kind in (libsbml.AST_NAME, libsbml.AST_NAME_TIME):
            quantity = self._quantity(node)
            if _is_pure(quantity):
                return node.deepCopy()
            return node_of(libsbml.AST_DIVIDE, node.deepCopy(), symbol_node(self.name_factor(quantity)))
        if node.isNumber():
            plain = node.deepCopy()
            plain.unsetUnits()
            return plain
        made = node.deepCopy()
        for index in range(node.getNumChildren()):
            made.replaceChild(index, self._in_old_units(node.getChild(index)))
        return made

    def _quantity(self, node: libsbml.ASTNode) -> Quantity:
        name = TIME if node.getType() == libsbml.AST_NAME_TIME else node.getName()
        if name not in self.quantities:
            raise ModuleError(f"a formula uses {name!r}, which has no value of its own")
        return self.quantities[name]

    def scaled(self, node: libsbml.ASTNode) -> Term:
        """Return the formula with its numbers in the units of the module, or raise `Mixed`."""
        kind = node.getType()
        if kind in (libsbml.AST_NAME, libsbml.AST_NAME_TIME):
            quantity = self._quantity(node)
            return Term(node.deepCopy(), quantity.log, quantity.target.dimensions)
        if node.isNumber():
            return self._number(node)
        parts = [self.scaled(node.getChild(index)) for index in range(node.getNumChildren())]
        if kind == libsbml.AST_FUNCTION_PIECEWISE:
            return self._piecewise(node, parts)
        if kind in _SUMS or node.isRelational():
            return self._sum(node, parts)
        if kind == libsbml.AST_TIMES:
            return multiplied(node, parts)
        if kind == libsbml.AST_DIVIDE:
            return divided(node, self._with_threshold(node, parts))
        if kind in (libsbml.AST_POWER, libsbml.AST_FUNCTION_POWER):
            return self._power(node, *parts)
        if kind == libsbml.AST_FUNCTION_ROOT:
            return rooted(node, parts)
        if node.isLogical() or kind in _CONSTANTS:
            return Term(rebuilt(node, parts))
        return applied(node, parts)

    def _number(self, node: libsbml.ASTNode) -> Term:
        value = number_of(node)
        unit = self.read_unit(node.getUnits()) if node.isSetUnits() else None
        plain = node.deepCopy()
        plain.unsetUnits()
        if unit is None or (not unit.dimensions and unit.size == 1):
            return Term(plain, value=value, free=unit is None)
        quantity = self.target_of(unit)
        return self._named(value, quantity.log, quantity.target.dimensions)

    def _named(self, value: float, log: Log, dimensions: Dimensions) -> Term:
        factor = math.exp(dict(log).get("", 0.0))
        number = float(f"{value * factor:.15g}")
        name = f"@{len(self._new)}"
        self._new.append((name, number, factor, dimensions))
        return Term(symbol_node(name), log, dimensions)

    def _sum(self, node: libsbml.ASTNode, parts: list[Term]) -> Term:
        if node.getNumChildren() == 1:
            (part,) = parts
            value = part.value
            if value is not None and node.getType() != libsbml.AST_PLUS:
                value = -value if node.getType() == libsbml.AST_MINUS else abs(value)
            return Term(rebuilt(node, parts), part.log, part.dimensions, value, part.free)
        if all(part.free for part in parts):
            return Term(rebuilt(node, parts), value=sum_of(node, parts), free=not node.isRelational())
        parts = self._agree(parts)
        made = rebuilt(node, parts)
        if node.isRelational():
            return Term(made)
        return Term(made, parts[0].log, parts[0].dimensions)

    def _agree(self, parts: list[Term], log: Log | None = None, dimensions: Dimensions = ()) -> list[Term]:
        """Give free numbers the unit of the others, and check that all take the same factor and mean the same."""
        measured = [part for part in parts if not part.free]
        if log is None:
            log, dimensions = measured[0].log, measured[0].dimensions
        if not all(same(part.log, log) and part.dimensions == dimensions for part in measured):
            raise Mixed
        return [self._like(part, log, dimensions) if part.free else part for part in parts]

    def _like(self, part: Term, log: Log, dimensions: Dimensions) -> Term:
        if not dimensions and same(log, NONE):
            return part
        if part.value is None or set(dict(log)) - {""} or any("^" in base for base, _ in dimensions):
            raise Mixed
        if part.value == 1 and dimensions and self._reading != "any":
            raise Mixed
        return self._named(part.value, log, dimensions)

    def _with_threshold(self, node: libsbml.ASTNode, parts: list[Term]) -> list[Term]:
        """Read the number of `x/number` as a threshold in the unit of x."""
        above, below = parts
        if self._reading != "thresholds" or above.free or not below.free or is_count(node.getChild(1)):
            return parts
        return [above, self._like(below, above.log, above.dimensions)]

    def _piecewise(self, node: libsbml.ASTNode, parts: list[Term]) -> Term:
        count = len(parts)
        places = [index for index in range(count) if index % 2 == 0]
        chosen = [parts[index] for index in places]
        if not all(part.free for part in chosen):
            for index, part in zip(places, self._agree(chosen), strict=True):
                parts[index] = part
        chosen = [parts[index] for index in places]
        if all(part.free for part in chosen):
            return Term(rebuilt(node, parts))
        return Term(rebuilt(node, parts), chosen[0].log, chosen[0].dimensions)

    def _power(self, node: libsbml.ASTNode, base: Term, exponent: Term) -> Term:
        made = rebuilt(node, [base, exponent])
        if not same(exponent.log, NONE) or exponent.dimensions:
            raise Mixed
        if exponent.value is not None:
            power, number = exponent.value, base.value
            known = number is not None and (number > 0 or power == round(power))
            value = finite(lambda: math.pow(number or 0.0, power)) if known else None
            log = log_of((name, own * power) for name, own in base.log)
            return Term(made, log, raised(base, power), value, base.free)
        if same(base.log, NONE) and not base.dimensions:
            return Term(made)
        symbol = node.getChild(1).getName() if node.getChild(1).getType() == libsbml.AST_NAME else None
        if symbol is None or symbol not in self.constants or set(dict(base.log)) - {""}:
            raise Mixed
        dimensions = combined((f"{kind}^{symbol}", power) for kind, power in base.dimensions)
        return Term(made, log_of((symbol, power) for _, power in base.log), dimensions)


_SUMS = {libsbml.AST_PLUS, libsbml.AST_MINUS, libsbml.AST_FUNCTION_MIN, libsbml.AST_FUNCTION_MAX,
         libsbml.AST_FUNCTION_ABS}  # fmt: skip
_CONSTANTS = {libsbml.AST_CONSTANT_E, libsbml.AST_CONSTANT_PI, libsbml.AST_CONSTANT_TRUE, libsbml.AST_CONSTANT_FALSE}


def _rename(node: libsbml.ASTNode, old: str, new: str) -> None:
    if node.getType() == libsbml.AST_NAME and node.getName() == old:
        node.setName(new)
    for index in range(node.getNumChildren()):
        _rename(node.getChild(index), old, new)


def _is_pure(quantity: Quantity) -> bool:
    return not quantity.log and not quantity.target.dimensions
