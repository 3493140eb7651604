"""Counts how large formulas become when functions and rules are put into each other, before a tool does so.

libSBML writes out function calls when it checks a document, libRoadRunner writes out assignment rules when it compiles
one; twenty definitions that mention the one before twice keep either busy for longer than anybody waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import libsbml

from cascade.errors import SBMLError

MAX_EXPANDED = 2_000_000
"""Nodes of all formulas of a model, written out. libRoadRunner compiles about 30,000 in a second; `breast_lite`, the
largest shipped model by this measure, has 1,500,000."""

MAX_CHAIN = 200
"""Functions and rules that mention each other in a row."""

_TOO_LARGE = 1e18


@dataclass(frozen=True)
class Extent:
    """Size of a written-out formula: `own` nodes, and how often each argument of a function appears in it."""

    own: float
    uses: Mapping[str, float]


def refuse_expansion(model: libsbml.Model, where: str, copies: int = 1) -> None:
    """Refuse a model whose formulas become too large when functions and rules are written out.

    Parameters
    ----------
    model : libsbml.Model
        Any model, as read; nothing has to be checked before.
    where : str
        For messages.
    copies : int
        How often the model is used.

    Raises
    ------
    SBMLError
        If the formulas are too large, or functions or assignment rules go in a circle.
    """
    functions = {each.getId(): each for each in model.getListOfFunctionDefinitions()}
    sizes = _Sizes(functions, _definitions(model), where)
    total = copies * sum(sizes.formula(math) for math in _formulas(model))
    if total > MAX_EXPANDED:
        largest = max(sizes.known, key=lambda name: sizes.known[name].own, default="")
        hint = f"; the largest is {largest!r}" if largest else ""
        raise SBMLError(
            f"{where}: its formulas have {_count(total)} parts when functions and rules are written out; the limit is"
            f" {MAX_EXPANDED:,}{hint}; let definitions mention each other less often"
        )


def written_out(model: libsbml.Model) -> float:
    """Return how many nodes the formulas of a model have when functions and rules are written out."""
    functions = {each.getId(): each for each in model.getListOfFunctionDefinitions()}
    sizes = _Sizes(functions, _definitions(model), model.getId())
    return sum(sizes.formula(math) for math in _formulas(model))


def _count(total: float) -> str:
    return f"{total:,.0f}" if total < 1e12 else f"{total:.0e}"


def _definitions(model: libsbml.Model) -> dict[str, libsbml.ASTNode]:
    """Return what stands for a symbol wherever it is mentioned: assignment rules."""
    return {
        rule.getVariable(): rule.getMath()
        for rule in model.getListOfRules()
        if rule.isAssignment() and rule.isSetMath()
    }


class _Sizes:
    """Sizes of written-out formulas; each function and each rule is measured once."""

    def __init__(
        self, functions: dict[str, libsbml.FunctionDefinition], rules: dict[str, libsbml.ASTNode], where: str
    ) -> None:
        self.functions, self.rules, self.where = functions, rules, where
        self.known: dict[str, Extent] = {}
        self.chain: list[str] = []

    def formula(self, math: libsbml.ASTNode) -> float:
        """Return how many nodes a formula has, written out."""
        return self.extent(math, frozenset()).own

    def extent(self, root: libsbml.ASTNode, arguments: frozenset[str]) -> Extent:
        """Measure a formula; no recursion by depth, which a stranger chooses."""
        done: list[Extent] = []
        todo: list[tuple[libsbml.ASTNode, bool]] = [(root, False)]
        while todo:
            node, ready = todo.pop()
            number = node.getNumChildren()
            if ready:
                inside = done[len(done) - number :] if number else []
                del done[len(done) - number :]
                done.append(self.node(node, inside, arguments))
            else:
                todo.append((node, True))
                todo += [(node.getChild(index), False) for index in reversed(range(number))]
        return done[0]

    def node(self, node: libsbml.ASTNode, inside: list[Extent], arguments: frozenset[str]) -> Extent:
        name = node.getName() if node.getType() in (libsbml.AST_NAME, libsbml.AST_FUNCTION) else None
        if name is None or (not self.functions.get(name) and name not in self.rules and name not in arguments):
            return _sum(1.0, ((1.0, each) for each in inside))
        if node.getType() == libsbml.AST_FUNCTION:
            if name not in self.functions:
                return _sum(1.0, ((1.0, each) for each in inside))
            body, order = self.function(name)
            return _sum(body.own, ((body.uses.get(each, 0.0), size) for each, size in zip(order, inside, strict=False)))
        if name in arguments:
            return Extent(1.0, {name: 1.0})
        return self.rule(name) if name in self.rules else Extent(1.0, {})

    def function(self, name: str) -> tuple[Extent, list[str]]:
        definition = self.functions[name]
        order = [definition.getArgument(index).getName() for index in range(definition.getNumArguments())]
        body = definition.getBody()
        if name not in self.known:
            with_arguments = frozenset(order)
            self.known[name] = self.walk(name, body, with_arguments)
        return self.known[name], order

    def rule(self, name: str) -> Extent:
        if name not in self.known:
            self.known[name] = self.walk(name, self.rules[name], frozenset())
        return self.known[name]

    def walk(self, name: str, body: libsbml.ASTNode | None, arguments: frozenset[str]) -> Extent:
        if name in self.chain:
            steps = " -> ".join([*self.chain[self.chain.index(name) :], name])
            raise SBMLError(f"{self.where}: definitions go in a circle: {steps}; let one of them be a state")
        if body is None:
            return Extent(1.0, {})
        if len(self.chain) > MAX_CHAIN:
            raise SBMLError(
                f"{self.where}: more than {MAX_CHAIN} definitions that mention each other in a row, at {name!r}"
            )
        self.chain.append(name)
        found = self.extent(body, arguments)
        self.chain.pop()
        return found


def _sum(own: float, terms: Iterator[tuple[float, Extent]]) -> Extent:
    uses: dict[str, float] = {}
    for factor, term in terms:
        own += factor * term.own
        for name, count in term.uses.items():
            uses[name] = min(uses.get(name, 0.0) + factor * count, _TOO_LARGE)
    return Extent(min(own, _TOO_LARGE), uses)


def _formulas(model: libsbml.Model) -> Iterator[libsbml.ASTNode]:
    """Yield every formula of a model but those of functions."""
    for element in model.getListOfAllElements():
        if isinstance(element, libsbml.FunctionDefinition) or not hasattr(element, "isSetMath"):
            continue
        if element.isSetMath() and element.getMath() is not None:
            yield element.getMath()
