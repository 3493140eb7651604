"""Rewrites canonical SBML so that the simulator has less to compute; the numbers stay the same but for rounding.

libRoadRunner writes an assignment rule out wherever it is used, and then that rule's own rules: a model of 60 instances
becomes a right-hand side of 100,000 operations. Six steps shorten it:

1. reactions that change no state, and whose rate nobody asked for, are left out;
2. reactions that change one and the same state become one;
3. constants that no run changes become numbers, and what else consists of constants is computed once, before the run;
4. powers: whole ones become products, and a quotient `a/(b + a)` with a power `a` needs it once;
5. what a formula needs several times becomes the argument of a function: libRoadRunner computes an argument once;
6. variables that no rate needs are left to `cascade._starts`, which computes them from the states of a run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import libsbml

from cascade._elements import free_id
from cascade._nodes import (
    POWER_COST,
    Node,
    cost,
    is_readable,
    names_in,
    node_text,
    products,
    read_node,
    renamed,
    save_powers,
    scaled,
    to_math,
    with_values,
)
from cascade._sbml import read_document, write_document
from cascade._sbml import symbols as symbols_of

HELD, NET, SHARED, POWER = "held_", "net_", "shared_", "power_"
"""Prefixes of constants computed once, of merged reactions, and of functions: those that bind what is used several
times, and those that multiply."""

WORTH = 40
"""Additions that must be saved for a function to be worth its compilation."""

_WORDS = frozenset(
    {"time", "avogadro", "pi", "exponentiale", "e", "inf", "infinity", "nan", "notanumber", "true", "false"}
)
_BY_NAME = (libsbml.AssignmentRule, libsbml.InitialAssignment)
"""What has a formula that matters only if something needs its variable."""

_NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Lean:
    """Lean SBML; `held` are constants to be given with every run, by formula; `symbols` all that is left."""

    sbml: str
    held: Mapping[str, str]
    symbols: frozenset[str]


@lru_cache(maxsize=16)
def lean(sbml: str, keep: tuple[str, ...] = (), given: frozenset[str] = frozenset()) -> Lean:
    """Make canonical SBML quicker to compile and to run.

    Parameters
    ----------
    sbml : str
        Canonical SBML.
    keep : tuple of str
        Ids of reactions and variables that the simulator shall know.
    given : frozenset of str
        Ids of constants whose values come with every run; others keep the value they have in the model.
    """
    document = read_document(sbml, "canonical model")
    model = document.getModel()
    _drop_idle(model, set(keep))
    _merge(model, set(keep))
    formulas = _Formulas(model, given)
    formulas.simplify()
    formulas.share()
    held = formulas.write()
    _drop_unused(model, set(keep))
    symbols = frozenset(symbol.getId() for symbol in (*model.getListOfParameters(), *model.getListOfCompartments()))
    wanted = {name: formula for name, formula in held.items() if name in symbols}
    return Lean(sbml=write_document(document), held=MappingProxyType(wanted), symbols=symbols)


def _drop_idle(model: libsbml.Model, keep: set[str]) -> None:
    """Remove reactions that change no state and that nobody mentions."""
    needed = keep | set(_mentioned(model))
    for reaction in list(model.getListOfReactions()):
        if reaction.getId() not in needed and not _effect(model, reaction):
            model.removeReaction(reaction.getId())
    for reaction in model.getListOfReactions():
        reaction.getListOfModifiers().clear()
        for references in (reaction.getListOfReactants(), reaction.getListOfProducts()):
            for index in reversed(range(len(references))):
                species = model.getSpecies(references.get(index).getSpecies())
                if _is_fixed(species) and not references.get(index).isSetId():
                    references.remove(index)


def _is_fixed(species: libsbml.Species) -> bool:
    """Tell whether reactions leave a species as it is."""
    return bool(species.getBoundaryCondition() or species.getConstant())


def _merge(model: libsbml.Model, keep: set[str]) -> None:
    """Make one reaction of those that change one and the same state."""
    needed = keep | set(_mentioned(model))
    groups: dict[str, list[tuple[float, libsbml.Reaction]]] = {}
    for reaction in model.getListOfReactions():
        effect = _effect(model, reaction)
        law = reaction.getKineticLaw()
        plain = law is not None and not law.getNumLocalParameters() and not model.isSetConversionFactor()
        if len(effect) == 1 and plain and reaction.getId() not in needed and None not in effect.values():
            ((species, change),) = effect.items()
            if not model.getSpecies(species).isSetConversionFactor():
                groups.setdefault(species, []).append((change or 0.0, reaction))
    for species, members in groups.items():
        if len(members) > 1:
            _merge_into_one(model, species, members)


def _merge_into_one(model: libsbml.Model, species: str, members: list[tuple[float, libsbml.Reaction]]) -> None:
    terms = [scaled(change, read_node(reaction.getKineticLaw().getMath())) for change, reaction in members]
    total: Node = terms[0] if len(terms) == 1 else ("+", tuple(terms), "")
    math = to_math(total)
    for _, reaction in members:
        model.removeReaction(reaction.getId())
    merged = model.createReaction()
    merged.setId(free_id(model, NET + species))
    merged.setReversible(True)
    product = merged.createProduct()
    product.setSpecies(species)
    product.setStoichiometry(1.0)
    product.setConstant(True)
    merged.createKineticLaw().setMath(math)


def _effect(model: libsbml.Model, reaction: libsbml.Reaction) -> dict[str, float | None]:
    """Return by how much a reaction changes each state; None if that is not a plain number."""
    effect: dict[str, float | None] = {}
    for sign, references in ((-1.0, reaction.getListOfReactants()), (1.0, reaction.getListOfProducts())):
        for reference in references:
            species = model.getSpecies(reference.getSpecies())
            if _is_fixed(species):
                continue
            plain = reference.getConstant() and reference.isSetStoichiometry() and not reference.isSetId()
            before = effect.get(species.getId(), 0.0)
            known = plain and before is not None
            effect[species.getId()] = (before or 0.0) + sign * reference.getStoichiometry() if known else None
    return {name: change for name, change in effect.items() if change != 0}


def _holders(model: libsbml.Model) -> Iterator[libsbml.SBase]:
    """Yield every element that has a formula, but for functions."""
    yield from model.getListOfRules()
    yield from model.getListOfInitialAssignments()
    yield from (reaction.getKineticLaw() for reaction in model.getListOfReactions() if reaction.isSetKineticLaw())
    for event in model.getListOfEvents():
        yield from (part for part in (event.getTrigger(), event.getDelay(), event.getPriority()) if part is not None)
        yield from event.getListOfEventAssignments()


def _mentioned(model: libsbml.Model) -> Iterator[str]:
    for holder in _holders(model):
        if holder.isSetMath():
            yield from _NAME.findall(libsbml.formulaToL3String(holder.getMath()))


class _Formulas:
    """The formulas that the simulator evaluates again and again, and the constants computed once for them."""

    def __init__(self, model: libsbml.Model, given: Collection[str]) -> None:
        self.model = model
        self.values = _values(model, given)
        read = [(holder, read_node(holder.getMath())) for holder in _holders(model) if _again(holder)]
        self.holders = [holder for holder, node in read if is_readable(node)]
        self.nodes = [node for _, node in read if is_readable(node)]
        self.varying = _varying(model)
        self.held: dict[Node, str] = {}
        self.functions: dict[str, str] = {}

    def simplify(self) -> None:
        """Compute constants once and save powers."""
        saved = (self._constants(save_powers(node, self._cheap)) for node in self._with_known())
        self.nodes = [products(node, self._power) for node in saved]

    def _with_known(self) -> list[Node]:
        """Put in the values of constants, and of variables that turn out to be numbers (what an absent drug does)."""
        new, known, nodes = self.values, set(self.values), self.nodes
        while new:
            nodes = [with_values(node, new) for node in nodes]
            new = {
                holder.getVariable(): float(node[2])
                for holder, node in zip(self.holders, nodes, strict=True)
                if isinstance(holder, libsbml.AssignmentRule)
                and node[0] == "number"
                and holder.getVariable() not in known
            }
            known |= set(new)
        return nodes

    def _power(self, exponent: int) -> str:
        """Return the function that raises its argument to a whole power; libRoadRunner computes an argument once."""
        half, odd = divmod(exponent, 2)
        if exponent <= 3:
            body = "*".join("x" * exponent)
        elif odd:
            body = f"x*{self._power(exponent - 1)}(x)"
        else:
            body = f"{self._power(half)}({self._power(2)}(x))"
        return self.functions.setdefault(f"lambda(x,{body})", free_id(self.model, f"{POWER}{exponent}"))

    def _cheap(self, node: Node) -> bool:
        """Tell whether computing a formula twice is quicker than a power."""
        return all(name not in self._computed for name in names_in(node)) and 2 * cost(node) < POWER_COST

    @property
    def _computed(self) -> Collection[str]:
        return {holder.getVariable() for holder in self.holders if isinstance(holder, libsbml.AssignmentRule)}

    def _constants(self, node: Node) -> Node:
        operator, operands, _ = node
        if not operands:
            return node
        if self._constant(node):
            return self._hold(node)
        fixed = tuple(operand for operand in operands if self._constant(operand))
        if operator in ("+", "*") and len(fixed) > 1:
            rest = tuple(self._constants(operand) for operand in operands if not self._constant(operand))
            return (operator, (self._hold((operator, fixed, "")), *rest), "")
        return (operator, tuple(self._constants(operand) for operand in operands), "")

    def _constant(self, node: Node) -> bool:
        operator, operands, text = node
        if operator in ("name", "number"):
            return text not in self.varying
        return all(map(self._constant, operands))

    def _hold(self, node: Node) -> Node:
        """Return the number that a formula of constants is, or a constant that holds it."""
        node = with_values(node, {})
        if node[0] == "number":
            return node
        if node not in self.held:
            self.held[node] = f"{HELD}{len(self.held)}"
        return ("name", (), self.held[node])

    def share(self) -> None:
        """Bind what a formula needs several times, in formulas where that saves enough."""
        rules = {
            holder.getVariable(): node
            for holder, node in zip(self.holders, self.nodes, strict=True)
            if isinstance(holder, libsbml.AssignmentRule)
        }
        sharing = _Sharing(rules)
        self.nodes = [sharing.shared(node) for node in sharing.resolved(self.nodes)]
        self.functions |= sharing.functions

    def write(self) -> dict[str, str]:
        """Write the formulas back; return those of the constants that are to be given."""
        for holder, node in zip(self.holders, self.nodes, strict=True):
            holder.setMath(to_math(node))
        for formula, name in self.functions.items():
            function = self.model.createFunctionDefinition()
            function.setId(name)
            function.setMath(libsbml.parseL3Formula(formula))
        unknown = _unknown(self.model)
        for node, name in self.held.items():
            parameter = self.model.createParameter()
            parameter.setId(name)
            parameter.setConstant(True)
            parameter.setValue(1.0)
            if unknown & set(names_in(node)):
                start = self.model.createInitialAssignment()
                start.setSymbol(name)
                start.setMath(to_math(node))
        return {name: node_text(node) for node, name in self.held.items() if not unknown & set(names_in(node))}


def _values(model: libsbml.Model, given: Collection[str]) -> dict[str, float]:
    """Return the constants that are the same in all runs; those with a formula once all that it needs is known."""
    starts = {each.getSymbol(): each.getMath() for each in model.getListOfInitialAssignments()}
    constants = {each.getId(): each for each in model.getListOfParameters() if each.getConstant()}
    known = {
        name: each.getValue()
        for name, each in constants.items()
        if each.isSetValue() and name not in given and name not in starts
    }
    known |= {
        each.getId(): each.getSize()
        for each in model.getListOfCompartments()
        if each.getConstant() and each.isSetSize() and each.getId() not in given and each.getId() not in starts
    }
    waiting = {name: read_node(math) for name, math in starts.items() if name in constants and name not in given}
    found = True
    while found:
        found = False
        for name in list(waiting):
            waiting[name] = with_values(waiting[name], known)
            if waiting[name][0] == "number":
                known[name] = float(waiting.pop(name)[2])
                found = True
    return known


def _unknown(model: libsbml.Model) -> set[str]:
    """Return the constants whose start value only the simulator can compute."""
    starts = {each.getSymbol(): each.getMath() for each in model.getListOfInitialAssignments()}
    unknown = {each.getId() for each in model.getListOfParameters() if each.getConstant() and not each.isSetValue()}
    unknown |= {each.getId() for each in model.getListOfCompartments() if not each.isSetSize()}
    unknown -= starts.keys()
    found = True
    while found:
        found = False
        for name, math in starts.items():
            if name not in unknown and (not is_readable(read_node(math)) or unknown & symbols_of(math)):
                unknown.add(name)
                found = True
    return unknown


def _drop_unused(model: libsbml.Model, keep: set[str]) -> None:
    """Remove variables and constants that no rate and no event needs."""
    rules = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isAssignment()}
    starts = {each.getSymbol(): each.getMath() for each in model.getListOfInitialAssignments()}
    needed = keep | {species.getCompartment() for species in model.getListOfSpecies()}
    needed |= {species.getId() for species in model.getListOfSpecies() if species.getId() not in rules}
    needed |= {rule.getVariable() for rule in model.getListOfRules() if not rule.isAssignment()}
    needed |= {model.getConversionFactor()}
    todo = [each.getMath() for each in _holders(model) if each.isSetMath() and not isinstance(each, _BY_NAME)]
    for event in model.getListOfEvents():
        needed |= {each.getVariable() for each in event.getListOfEventAssignments()}
    for reaction in model.getListOfReactions():
        needed |= {each.getId() for each in (*reaction.getListOfReactants(), *reaction.getListOfProducts())}
    for name in needed:
        todo += [each[name] for each in (rules, starts) if name in each]
    while todo:
        for name in symbols_of(todo.pop()) - needed:
            needed.add(name)
            todo += [each[name] for each in (rules, starts) if name in each]
    for name in rules.keys() - needed:
        model.removeRuleByVariable(name)
    for name in starts.keys() - needed:
        model.removeInitialAssignment(name)
    for listing in (model.getListOfParameters(), model.getListOfSpecies()):
        for index in reversed(range(len(listing))):
            if listing.get(index).getId() not in needed:
                listing.remove(index)


class _Sharing:
    """Assignment rules, and formulas in which each of them is computed once.

    `let x = a, y = b(x) in c(x, y)` is written as `f(a)` with `f(x) = g(x, b(x))` and `g(x, y) = c(x, y)`.
    """

    def __init__(self, rules: dict[str, Node]) -> None:
        self._aliases = {name: node[2] for name, node in rules.items() if node[0] == "name"}
        self._rules = dict(zip(rules, self.resolved(rules.values()), strict=True))
        self._full: dict[str, int] = {}
        self.functions: dict[str, str] = {}

    def resolved(self, nodes: Iterable[Node]) -> list[Node]:
        """Replace symbols that are but other names of symbols."""
        return [renamed(node, self._target) for node in nodes]

    def _target(self, name: str) -> str:
        while name in self._aliases:
            name = self._aliases[name]
        return name

    def shared(self, node: Node) -> Node:
        """Return a formula that computes every rule that it needs once, if that saves enough."""
        needed = self._needed(node)
        once = cost(node) + sum(cost(self._rules[name]) for name in needed)
        if self._expanded(node) - once < WORTH:
            return node
        uses = Counter(names_in(node))
        for name in needed:
            uses.update(names_in(self._rules[name]))
        bound = {name for name in needed if uses[name] > 1}
        written = {name: self._inlined(self._rules[name], bound) for name in bound}
        return self._bind(self._inlined(node, bound), _levels(written))

    def _needed(self, node: Node) -> list[str]:
        found: dict[str, None] = {}
        todo = [node]
        while todo:
            for name in names_in(todo.pop()):
                if name in self._rules and name not in found:
                    found[name] = None
                    todo.append(self._rules[name])
        return list(found)

    def _expanded(self, node: Node) -> int:
        return cost(node) + sum(self._behind(name) for name in names_in(node))

    def _behind(self, name: str) -> int:
        if name not in self._full:
            self._full[name] = self._expanded(self._rules[name]) if name in self._rules else 0
        return self._full[name]

    def _inlined(self, node: Node, bound: Collection[str]) -> Node:
        operator, operands, text = node
        if operator == "name" and text in self._rules and text not in bound:
            return self._inlined(self._rules[text], bound)
        return (operator, tuple(self._inlined(operand, bound) for operand in operands), text)

    def _bind(self, body: Node, levels: list[dict[str, Node]]) -> Node:
        """Wrap a formula into functions, from the last level to the first."""
        for level in reversed(levels):
            symbols = list(dict.fromkeys(names_in(body)))
            given = {name: f"x{index}" for index, name in enumerate(symbols)}
            inside = node_text(renamed(body, lambda name, given=given: given[name]))  # type: ignore[misc]
            formula = f"lambda({','.join([*given.values(), inside])})"
            function = self.functions.setdefault(formula, f"{SHARED}{len(self.functions)}")
            body = (function, tuple(level.get(name, ("name", (), name)) for name in symbols), "")
        return body


def _levels(written: dict[str, Node]) -> list[dict[str, Node]]:
    """Return bound formulas in the order in which they need each other."""
    levels: list[dict[str, Node]] = []
    rest = dict(written)
    while rest:
        ready = {name: node for name, node in rest.items() if not rest.keys() & set(names_in(node))}
        levels.append(ready)
        rest = {name: node for name, node in rest.items() if name not in ready}
    return levels


def _again(holder: libsbml.SBase) -> bool:
    """Tell whether a formula is one of the right-hand side, and one that can be read and written here."""
    if not isinstance(holder, (libsbml.Rule, libsbml.KineticLaw)) or not holder.isSetMath():
        return False
    if isinstance(holder, libsbml.AlgebraicRule) or (
        isinstance(holder, libsbml.KineticLaw) and holder.getNumLocalParameters()
    ):
        return False
    words = _NAME.findall(libsbml.formulaToL3String(holder.getMath()))
    return not any(word.lower() in _WORDS for word in words)


def _varying(model: libsbml.Model) -> set[str]:
    """Return every symbol that may change during a run."""
    varying = {rule.getVariable() for rule in model.getListOfRules()}
    varying |= {
        target.getVariable() for event in model.getListOfEvents() for target in event.getListOfEventAssignments()
    }
    varying |= {species.getId() for species in model.getListOfSpecies() if not species.getConstant()}
    varying |= {reaction.getId() for reaction in model.getListOfReactions()}
    for reaction in model.getListOfReactions():
        varying |= {each.getId() for each in (*reaction.getListOfReactants(), *reaction.getListOfProducts())}
    return varying
