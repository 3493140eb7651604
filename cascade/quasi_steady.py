"""Replaces fast states of a module by their quasi-steady value: what flows in over the rates at which it is lost.

A species whose residence time is short against everything that is asked costs a state and small steps. At rest,
`inflow - k*n = 0`, so it becomes the assignment rule `n := inflow/k`. Reactions stay, and so do the balances of
everything else; a chain of such species passes on every cell that enters it. The error is one residence time: relative
to a change at the rate g, about g/k. A variable with a rate rule `x' = a - k*x` becomes `x := a/k` in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import libsbml

from cascade._sbml import read_document, symbols, write_document
from cascade.errors import CompositionError, unknown_name
from cascade.specs import Module


def quasi_steady(module: Module, states: Iterable[str]) -> Module:
    """Return a module in which states are at their quasi-steady value.

    Parameters
    ----------
    module : Module
        A module with reactions or rate rules.
    states : iterable of str
        Ids of species and of variables with a rate rule. A species must be lost at rates `n*k` with `k` independent of
        `n`, and produced at rates that do not depend on it; a rate rule must be `a - k*x` when written out. One may be
        produced from another one of them; a circle among them is refused.

    Returns
    -------
    Module
        The same module; the states are computed by assignment rules and have no start value. An event may set such a
        species to 0 only where it also ends its production; the assignment is then left out, since the rule does it.

    Raises
    ------
    UnknownNameError
        If the module has no such state.
    CompositionError
        With every state that cannot be replaced, and why.
    """
    if not isinstance(module, Module) or isinstance(states, str):
        raise CompositionError(
            f"quasi_steady() was given {str(module)[:80]!r} and {states!r}; give a Module and a list of its states"
        )
    chosen = tuple(dict.fromkeys(states))
    return replace(module, sbml=_reduced(module.sbml, module.name, chosen)) if chosen else module


@lru_cache(maxsize=64)
def _reduced(sbml: str, module: str, chosen: tuple[str, ...]) -> str:
    document = read_document(sbml, module)
    model = document.getModel()
    rates = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isRate()}
    known = [species.getId() for species in model.getListOfSpecies()]
    known += [name for name in rates if model.getParameter(name) is not None]
    for name in chosen:
        if name not in known:
            raise unknown_name("state", name, known, f"module {module!r}")
    formulas = _Formulas(model)
    problems: list[str] = []
    rules: dict[str, libsbml.ASTNode] = {}
    for name in chosen:
        try:
            if model.getParameter(name) is not None:
                rules[name] = _rest(rates[name], name, formulas)
            else:
                rules[name] = _balance(model, formulas, name).rule
        except CompositionError as reason:
            problems.append(f"{name!r} {reason}")
    problems += _circles(formulas, rules) if not problems else []
    problems += _drop_assignments(model, formulas, rules) if not problems else []
    if problems:
        raise CompositionError(f"module {module!r}, quasi-steady states:\n  " + "\n  ".join(problems))
    for name, rule in rules.items():
        _compute(model, name, rule)
    return write_document(document)


class _Formulas:
    """Assignment rules of a model: which symbols a formula depends on, directly or through rules."""

    def __init__(self, model: libsbml.Model) -> None:
        self.rules = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isAssignment()}
        self._found: dict[str, frozenset[str]] = {}

    def needs(self, math: libsbml.ASTNode) -> set[str]:
        """Return every symbol that a formula depends on."""
        named = symbols(math)
        return named.union(*(self._behind(name) for name in named))

    def _behind(self, name: str) -> frozenset[str]:
        if name not in self._found:
            self._found[name] = frozenset()
            math = self.rules.get(name)
            self._found[name] = frozenset() if math is None else frozenset(self.needs(math))
        return self._found[name]


@dataclass(frozen=True)
class _Balance:
    """The rates at which a species is made, and the coefficients with which it is lost."""

    gains: tuple[libsbml.ASTNode, ...]
    losses: tuple[libsbml.ASTNode, ...]

    @property
    def rule(self) -> libsbml.ASTNode:
        """Inflow over the sum of the loss coefficients."""
        return _node(libsbml.AST_DIVIDE, _sum(self.gains), _sum(self.losses))


def _balance(model: libsbml.Model, formulas: _Formulas, name: str) -> _Balance:
    _check_species(model, name)
    gains, losses = [], []
    for reaction in model.getListOfReactions():
        change = _net(reaction.getListOfProducts(), name) - _net(reaction.getListOfReactants(), name)
        if not change:
            continue
        law, where = reaction.getKineticLaw(), f"reaction {reaction.getId()!r}"
        if law is None or law.getNumLocalParameters():
            raise CompositionError(f"needs a rate without local parameters in {where}")
        if change > 0:
            if name in formulas.needs(law.getMath()):
                raise CompositionError(f"is made by {where} at a rate that depends on it")
            gains.append(_times(change, law.getMath()))
        else:
            losses.append(_times(-change, _coefficient(law.getMath(), name, formulas, where)))
    if not gains or not losses:
        raise CompositionError(f"has no reaction that {'makes' if not gains else 'removes'} it")
    return _Balance(tuple(gains), tuple(losses))


class _NotLinearError(Exception):
    """A formula is not `a + k*x`."""


def _coefficient(math: libsbml.ASTNode, name: str, formulas: _Formulas, where: str) -> libsbml.ASTNode:
    """Return `k` of a rate `name*k`, found by structure: exact, and linear by construction."""
    with suppress(_NotLinearError):
        free, factors = _split(math, name, formulas)
        if free is None and any(sign > 0 for sign, _ in factors):
            return _total(factors)
    raise CompositionError(f"is lost by {where} at a rate that is not linear in it")


def _rest(math: libsbml.ASTNode, name: str, formulas: _Formulas) -> libsbml.ASTNode:
    """Return where a rate `a - k*x` is 0: `a/k`."""
    try:
        free, factors = _split(math, name, formulas)
    except _NotLinearError:
        raise CompositionError("has a rate rule that is not linear in it") from None
    if free is None or not any(sign < 0 for sign, _ in factors):
        raise CompositionError("is not lost at a rate in proportion to it, or not made at all")
    return _node(libsbml.AST_DIVIDE, free, _total([(-sign, factor) for sign, factor in factors]))


def _total(terms: list[tuple[int, libsbml.ASTNode]]) -> libsbml.ASTNode:
    """Return the sum of signed terms, one of them positive."""
    plus, minus = ([term for sign, term in terms if sign == side] for side in (1, -1))
    return _node(libsbml.AST_MINUS, _sum(plus), _sum(minus)) if minus else _sum(plus)


_Terms = tuple[libsbml.ASTNode | None, list[tuple[int, libsbml.ASTNode]]]
"""What does not depend on a symbol, and the signed factors of that symbol."""


def _split(node: libsbml.ASTNode, name: str, formulas: _Formulas) -> _Terms:
    """Write a formula as `a + k*x`."""
    kind, children = node.getType(), list(_children(node))
    if name not in formulas.needs(node):
        return node, []
    if kind == libsbml.AST_NAME:
        if node.getName() == name:
            return None, [(1, _number(1))]
        return _split(formulas.rules[node.getName()], name, formulas)
    holds = [name in formulas.needs(child) for child in children]
    if kind in (libsbml.AST_PLUS, libsbml.AST_MINUS):
        parts = [_split(child, name, formulas) for child in children]
        signs = [
            1 if kind == libsbml.AST_PLUS or (place == 0 and len(parts) > 1) else -1 for place in range(len(parts))
        ]
        free: libsbml.ASTNode | None = None
        for sign, (part, _) in zip(signs, parts, strict=True):
            if part is not None:
                free = _added(free, part, sign)
        return free, [
            (sign * own, factor) for sign, (_, terms) in zip(signs, parts, strict=True) for own, factor in terms
        ]
    if kind == libsbml.AST_TIMES and sum(holds) == 1:
        at = holds.index(True)
        others = [*children[:at], *children[at + 1 :]]
        free, factors = _split(children[at], name, formulas)
        return (
            None if free is None else _fold(kind, [*others, free]),
            [(sign, _fold(kind, [*others, *([] if _is_one(factor) else [factor])])) for sign, factor in factors],
        )
    if kind == libsbml.AST_DIVIDE and holds == [True, False]:
        free, factors = _split(children[0], name, formulas)
        return (
            None if free is None else _node(kind, free, children[1]),
            [(sign, _node(kind, factor, children[1])) for sign, factor in factors],
        )
    raise _NotLinearError


def _added(left: libsbml.ASTNode | None, right: libsbml.ASTNode, sign: int) -> libsbml.ASTNode:
    if left is None:
        return right if sign > 0 else _node(libsbml.AST_MINUS, right)
    return _node(libsbml.AST_PLUS if sign > 0 else libsbml.AST_MINUS, left, right)


def _is_one(node: libsbml.ASTNode) -> bool:
    return bool(node.isNumber() and node.getValue() == 1)


def _check_species(model: libsbml.Model, name: str) -> None:
    species = model.getSpecies(name)
    compartment = model.getCompartment(species.getCompartment())
    if species.getBoundaryCondition() or species.getConstant() or model.getRule(name) is not None:
        raise CompositionError("is not changed by reactions alone")
    if species.isSetConversionFactor() or model.isSetConversionFactor():
        raise CompositionError("has a conversion factor")
    if not species.getHasOnlySubstanceUnits() and not compartment.getConstant():
        raise CompositionError(f"is a concentration in {compartment.getId()!r}, whose size varies")


def _net(references: Iterable[libsbml.SpeciesReference], name: str) -> float:
    """Return the stoichiometry of a species on one side of a reaction."""
    total = 0.0
    for reference in references:
        if reference.getSpecies() == name:
            if not reference.getConstant() or not reference.isSetStoichiometry():
                raise CompositionError("has a stoichiometry that is not a number")
            total += reference.getStoichiometry()
    return total


def _circles(formulas: _Formulas, rules: dict[str, libsbml.ASTNode]) -> list[str]:
    """Refuse species whose quasi-steady states need each other."""
    needs = {name: formulas.needs(rule) & rules.keys() for name, rule in rules.items()}
    reached = {name: set(others) for name, others in needs.items()}
    for _ in rules:
        reached = {name: others.union(*(needs[other] for other in others)) for name, others in reached.items()}
    circle = [name for name, others in reached.items() if name in others]
    return [f"{', '.join(map(repr, circle))} need each other in a circle; keep one of them"] if circle else []


def _drop_assignments(model: libsbml.Model, formulas: _Formulas, rules: dict[str, libsbml.ASTNode]) -> list[str]:
    """Leave out event assignments that the rules make true by themselves; say which are not."""
    problems = []
    formulas.rules.update(rules)
    for event in model.getListOfEvents():
        set_to = {each.getVariable(): each.getMath() for each in event.getListOfEventAssignments()}
        zeros = {name for name, math in set_to.items() if math.isNumber() and math.getValue() == 0}
        for name in set_to.keys() & rules.keys():
            if name in zeros and _vanishes(rules[name], zeros, formulas):
                event.removeEventAssignment(name)
            else:
                problems.append(f"{name!r} is set by event {event.getId()!r}, which does not also end its production")
    return problems


def _vanishes(node: libsbml.ASTNode, zeros: Collection[str], formulas: _Formulas) -> bool:
    """Tell whether a formula is 0 by structure once the symbols `zeros` are 0."""
    kind, children = node.getType(), list(_children(node))
    if node.isNumber():
        return bool(node.getValue() == 0)
    if kind == libsbml.AST_NAME:
        math = formulas.rules.get(node.getName())
        return node.getName() in zeros or (math is not None and _vanishes(math, zeros, formulas))
    test: Callable[[Iterable[bool]], bool] | None = {
        libsbml.AST_TIMES: any,
        libsbml.AST_PLUS: all,
        libsbml.AST_MINUS: all,
    }.get(kind)
    if kind == libsbml.AST_DIVIDE:
        return _vanishes(children[0], zeros, formulas)
    return test is not None and test(_vanishes(child, zeros, formulas) for child in children)


def _compute(model: libsbml.Model, name: str, math: libsbml.ASTNode) -> None:
    """Let a rule compute what reactions or a rate rule changed."""
    species = model.getSpecies(name)
    if species is not None:
        species.setBoundaryCondition(True)
        species.unsetInitialAmount()
        species.unsetInitialConcentration()
    else:
        model.removeRuleByVariable(name)
    model.removeInitialAssignment(name)
    rule = model.createAssignmentRule()
    rule.setVariable(name)
    rule.setMath(math)


def _children(node: libsbml.ASTNode) -> Iterator[libsbml.ASTNode]:
    return (node.getChild(index) for index in range(node.getNumChildren()))


def _node(kind: int, *children: libsbml.ASTNode) -> libsbml.ASTNode:
    node = libsbml.ASTNode(kind)
    for child in children:
        node.addChild(child.deepCopy())
    return node


def _fold(kind: int, parts: Collection[libsbml.ASTNode]) -> libsbml.ASTNode:
    return reduce(lambda left, right: _node(kind, left, right), parts)


def _sum(parts: Collection[libsbml.ASTNode]) -> libsbml.ASTNode:
    return _fold(libsbml.AST_PLUS, parts)


def _times(factor: float, math: libsbml.ASTNode) -> libsbml.ASTNode:
    return math if factor == 1 else _node(libsbml.AST_TIMES, _number(factor), math)


def _number(value: float) -> libsbml.ASTNode:
    node = libsbml.ASTNode()
    node.setValue(int(value) if value == int(value) else value)
    node.setUnits("dimensionless")
    return node
