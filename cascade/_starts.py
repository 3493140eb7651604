"""Start values that formulas give, computed for all runs at once.

libRoadRunner writes out the formula of a start value wherever another start value uses it, so a chain of modules that
all begin at their steady state compiles for minutes. Here each start value is computed once, in the order in which they
depend on each other, and set like a value that the user gave. What cannot be computed here stays with the simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import CodeType
from typing import TYPE_CHECKING, Any

import libsbml
import numpy as np

from cascade._canonical import Symbol, symbol_table
from cascade._sbml import is_time, read_document, symbols

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OPERATORS = {libsbml.AST_PLUS: "+", libsbml.AST_TIMES: "*"}
_FUNCTIONS: dict[int, str] = {
    libsbml.AST_FUNCTION_EXP: "np.exp",
    libsbml.AST_FUNCTION_LN: "np.log",
    libsbml.AST_FUNCTION_ABS: "np.abs",
    libsbml.AST_FUNCTION_FLOOR: "np.floor",
    libsbml.AST_FUNCTION_CEILING: "np.ceil",
    libsbml.AST_FUNCTION_SIN: "np.sin",
    libsbml.AST_FUNCTION_COS: "np.cos",
    libsbml.AST_FUNCTION_TAN: "np.tan",
    libsbml.AST_FUNCTION_TANH: "np.tanh",
    libsbml.AST_FUNCTION_ARCCOS: "np.arccos",
    libsbml.AST_FUNCTION_ARCTAN: "np.arctan",
}
_CONSTANTS = {libsbml.AST_CONSTANT_E: "np.e", libsbml.AST_CONSTANT_PI: "np.pi", libsbml.AST_NAME_TIME: "0.0"}


class _UnknownError(Exception):
    """A value that is not computed here."""


def with_starts(
    flat: str, keys: tuple[str, ...], table: NDArray[np.float64]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Add the start values that formulas give to the values of the runs.

    Parameters
    ----------
    flat : str
        Flat SBML.
    keys : tuple of str
        Ids that are given.
    table : array of shape (runs, keys)
        Their values.

    Returns
    -------
    tuple of str, array
        All ids and all values; the given ones come first, unchanged.
    """
    start = _Starts(symbol_table(flat), _formulas(flat), dict(zip(keys, table.T, strict=True)))
    found: dict[str, NDArray[np.float64]] = {}
    with np.errstate(all="ignore"):  # what is not finite fails in its own run, with a reason
        for name in _assigned(flat):
            if name not in keys:
                try:
                    found[name] = np.broadcast_to(start[name], len(table))
                except _UnknownError:
                    continue
    return (*keys, *found), np.ascontiguousarray(np.column_stack([table, *found.values()]))


def observed(flat: str) -> frozenset[str]:
    """Return the variables and constants that can be computed from the states of a run; no simulator records them."""
    return frozenset(name for name, needs in _observed(flat).items() if needs is not None)


def states_of(flat: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return what the simulator has to record so that `trajectories` can compute the variables `names`."""
    found: dict[str, None] = {}
    for name in names:
        found |= dict.fromkeys(_observed(flat).get(name) or (), None)
    return tuple(found)


def trajectories(flat: str, names: Iterable[str], known: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    """Compute variables of one run at every row.

    Parameters
    ----------
    flat : str
        Flat SBML.
    names : iterable of str
        Variables of `observed`.
    known : mapping
        What was recorded of `states_of(flat, names)`, and the values that were given or computed for this run.
    """
    values = _Starts(symbol_table(flat), _formulas(flat), dict(known))
    with np.errstate(all="ignore"):  # what is not finite fails this run, with a reason
        return {name: values[name] for name in names}


def constants(
    flat: str, formulas: Mapping[str, str], keys: tuple[str, ...], table: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute constants that are given by formulas over the constants of a model, for all runs at once."""
    compiled = {name: _compiled(libsbml.parseL3Formula(text)) for name, text in formulas.items()}
    values = _Starts(symbol_table(flat), {**_formulas(flat), **compiled}, dict(zip(keys, table.T, strict=True)))
    with np.errstate(all="ignore"):
        found = [np.broadcast_to(values[name], len(table)) for name in formulas]
    return np.ascontiguousarray(np.column_stack(found)) if found else np.empty((len(table), 0))


class _Starts:
    """The value of every symbol at time 0, computed when it is asked for."""

    def __init__(
        self,
        symbols: Mapping[str, Symbol],
        formulas: Mapping[str, CodeType | None],
        given: dict[str, NDArray[np.float64]],
    ) -> None:
        self._symbols, self._formulas, self._known = symbols, formulas, given
        self._open: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self._known:
            self._known[name] = self._compute(name)
        return self._known[name]

    def _compute(self, name: str) -> Any:
        if name in self._formulas:
            formula = self._formulas[name]
            if formula is None or name in self._open:
                raise _UnknownError(name)
            self._open.add(name)
            try:
                return eval(formula, {"__builtins__": {}, "np": np, "v": self, "nan": np.nan, "inf": np.inf})
            finally:
                self._open.discard(name)
        symbol = self._symbols.get(name)
        if symbol is None or symbol.initial is None:
            raise _UnknownError(name)
        return symbol.initial


@lru_cache(maxsize=16)
def _assigned(flat: str) -> tuple[str, ...]:
    """Return the species and parameters whose start value is a formula."""
    model = read_document(flat, "flat model").getModel()
    named = [assignment.getSymbol() for assignment in model.getListOfInitialAssignments()]
    return tuple(name for name in named if model.getSpecies(name) or model.getParameter(name))


@lru_cache(maxsize=16)
def _formulas(flat: str) -> Mapping[str, CodeType | None]:
    """Return compiled formulas of start values and of rules; None for one that cannot be computed here."""
    model = read_document(flat, "flat model").getModel()
    found = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isAssignment()}
    found |= {each.getSymbol(): each.getMath() for each in model.getListOfInitialAssignments()}
    return {name: _compiled(math) for name, math in found.items()}


@lru_cache(maxsize=16)
def _observed(flat: str) -> Mapping[str, frozenset[str] | None]:
    """Return variables and constants and the states behind each; None for one that cannot be computed here."""
    model = read_document(flat, "flat model").getModel()
    rules = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isAssignment()}
    varying = {name for name, symbol in symbol_table(flat).items() if symbol.role in ("integrated", "switched", "rate")}
    unknown = {name for name, formula in _formulas(flat).items() if formula is None}
    unknown |= {name for name, math in rules.items() if is_time(math)}
    unknown |= {name for name, symbol in symbol_table(flat).items() if symbol.role == "rate"}
    formulas = _names_by_formula(flat)
    found: dict[str, frozenset[str] | None] = {}

    def behind(name: str) -> frozenset[str] | None:
        if name not in found:
            found[name] = None
            parts = [frozenset({each}) if each in varying else behind(each) for each in formulas.get(name, ())]
            known = name not in unknown and None not in parts
            found[name] = frozenset().union(*(part for part in parts if part)) if known else None
        return found[name]

    constant = (name for name, symbol in symbol_table(flat).items() if symbol.role == "constant")
    return {name: behind(name) for name in (*rules, *constant)}


def _names_by_formula(flat: str) -> Mapping[str, frozenset[str]]:
    model = read_document(flat, "flat model").getModel()
    found = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isAssignment()}
    found |= {each.getSymbol(): each.getMath() for each in model.getListOfInitialAssignments()}
    return {name: frozenset(symbols(math)) for name, math in found.items()}


def _compiled(math: libsbml.ASTNode) -> CodeType | None:
    try:
        return compile(_text(math), "<formula>", "eval")
    except (_UnknownError, RecursionError, SyntaxError, MemoryError):
        return None


def _text(node: libsbml.ASTNode) -> str:
    """Write a formula as Python; only numbers, symbols, arithmetic and the functions above."""
    kind = node.getType()
    parts = [_text(node.getChild(index)) for index in range(node.getNumChildren())]
    if kind in (libsbml.AST_INTEGER, libsbml.AST_REAL, libsbml.AST_REAL_E, libsbml.AST_RATIONAL):
        return repr(float(node.getValue()))
    if kind == libsbml.AST_NAME:
        return f"v[{node.getName()!r}]"
    if kind in _CONSTANTS:
        return _CONSTANTS[kind]
    if kind in _OPERATORS and parts:
        return "(" + _OPERATORS[kind].join(parts) + ")"
    if kind in _FUNCTIONS:
        return f"{_FUNCTIONS[kind]}({parts[0]})"
    write = _SPECIAL.get(kind)
    if write is None:
        raise _UnknownError(node.getName() or str(kind))
    return write(parts)


def _root(parts: list[str]) -> str:
    if len(parts) == 1 or parts[0] == "2.0":
        return f"np.sqrt({parts[-1]})"
    # of plain floats Python makes complex numbers and errors
    return f"np.power({parts[1]},1/np.asarray({parts[0]},np.float64),dtype=np.float64)"


_SPECIAL: dict[int, Callable[[list[str]], str]] = {
    libsbml.AST_MINUS: lambda parts: f"(-{parts[0]})" if len(parts) == 1 else f"({parts[0]}-{parts[1]})",
    libsbml.AST_DIVIDE: lambda parts: f"({parts[0]}/np.asarray({parts[1]},np.float64))",
    libsbml.AST_POWER: lambda parts: f"np.power({parts[0]},{parts[1]},dtype=np.float64)",
    libsbml.AST_FUNCTION_POWER: lambda parts: f"np.power({parts[0]},{parts[1]},dtype=np.float64)",
    libsbml.AST_FUNCTION_ROOT: _root,
    libsbml.AST_FUNCTION_LOG: lambda parts: (
        f"np.log10({parts[-1]})"
        if len(parts) == 1 or parts[0] == "10.0"
        else f"(np.log({parts[1]})/np.log({parts[0]}))"
    ),
}
