"""Writes a draft as a structure file (`.ant`) with names that modules may have, and its table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import libsbml

from cascade._sbml import symbols
from cascade.own.draft import Change, Draft, Happening, State
from cascade.own.source import snake
from cascade.specs import Parameter

_WORDS = """
after and array assert at compartment const constraint delete delay end event ext extern false flat formula
from fromtrigger function gene geq has identity import in infinity inf is isnot leq maximize minimize model
module nan not notanumber operator or parameter persistent pi priority reaction species substanceonly t0 time
to true unit units var xor exp ln log log10 sqrt sin cos tan sec csc cot sinh cosh tanh abs floor ceil ceiling
factorial piecewise power pow root sqr min max rem quotient implies arcsin arccos arctan asin acos atan
avogadro exponentiale rateof uniform normal exponential gamma poisson binomial bernoulli cauchy chisquare
laplace lognormal rayleigh lt gt eq neq plus minus times divide
"""
_KEYWORDS = frozenset(_WORDS.split())
_RESERVED = ("joined_", "input_", "value_", "signal_", "start_of_")


def is_free(name: str) -> bool:
    """Tell whether a name means nothing to Antimony and to compositions."""
    return name not in _KEYWORDS and not name.startswith(_RESERVED)


def new_names(draft: Draft, wished: Mapping[str, str], module: str) -> dict[str, str]:
    """Give every symbol a name in lower snake case, each once and none that of the module.

    Parameters
    ----------
    draft : Draft
    wished : mapping of str to str
        Names of ports, by symbol.
    module : str
        Name of the module.
    """
    found = dict(wished)
    taken = {module, *wished.values()}
    for symbol in draft.names():
        if symbol in found:
            continue
        name = snake(symbol) or "symbol"
        if not is_free(name):
            name = f"own_{name}"
        wish, number = name, 2
        while name in taken:
            name, number = f"{wish}_{number}", number + 1
        found[symbol] = name
        taken.add(name)
    return found


def drop_unused(draft: Draft, kept: Iterable[str]) -> list[str]:
    """Leave out constants that no formula uses, except those in `kept`; return their names."""
    used = set(kept).union(*(symbols(formula) for formula in draft.formulas()))
    lost = [name for name in draft.rows if name not in used]
    for name in lost:
        del draft.rows[name]
    return lost


def rows_of(draft: Draft, names: Mapping[str, str]) -> tuple[Parameter, ...]:
    """Return the table under the new names."""
    return tuple(replace(row, id=names[symbol]) for symbol, row in draft.rows.items())


def structure_of(draft: Draft, name: str, ports: Iterable[str], names: Mapping[str, str], title: str) -> str:
    """Return the text of the structure file.

    Parameters
    ----------
    draft : Draft
    name : str
        Name of the module.
    ports : iterable of str
        Names of the ports, as they are in the module.
    names : mapping of str to str
        New name by symbol.
    title : str
        First line, a comment.
    """
    writer = _Writer(draft, names)
    lines = [f"// {_quoted(title)}", f"model {name}({', '.join(ports)})"]
    lines += [f"  {line}" if line else "" for line in writer.lines()]
    return "\n".join([*lines, "end", ""])


class _Writer:
    def __init__(self, draft: Draft, names: Mapping[str, str]) -> None:
        self.draft = draft
        self.names = names

    def lines(self) -> list[str]:
        states = self.draft.states.values()
        blocks = [
            [self._declare(state) for state in states if state.kind != "variable"],
            [f"{self.names[state.id]} has {state.unit};" for state in states if state.kind != "compartment"],
            [f'{self.names[s.id]} is "{_quoted(s.name)}";' for s in states if s.name and s.name != s.id],
            [f'{self.names[state.id]} {word} "{address}";' for state in states for word, address in state.annotation],
            [self._reaction(change) for change in self.draft.reactions],
            [line for state in states for line in self._decide(state)],
            [self._event(event) for event in self.draft.events],
        ]
        return [line for block in blocks if block for line in ["", *block]][1:]

    def _declare(self, state: State) -> str:
        name = self.names[state.id]
        if state.kind == "compartment":
            start = f" = {state.start:.15g}" if isinstance(state.start, float) and state.rule is None else ""
            return f"compartment {name}{start};"
        only = "substanceOnly " if state.kind == "amount" else ""
        return f"{only}species {name} in {self.names[state.place]};"

    def _decide(self, state: State) -> list[str]:
        name = self.names[state.id]
        found = []
        if state.rule is not None:
            return [f"{name} := {self._text(state.rule)};"]
        if isinstance(state.start, float):
            found += [] if state.kind == "compartment" else [f"{name} = {state.start:.15g};"]
        elif state.start is not None:
            found.append(f"{name} = {self._text(state.start)};")
        if state.rate is not None:
            found.append(f"{name}' = {self._text(state.rate)};")
        return found

    def _reaction(self, change: Change) -> str:
        def side(parts: list[tuple[float, str]]) -> str:
            return " + ".join((f"{n:.15g} " if n != 1 else "") + self.names[species] for n, species in parts)

        uses, makes = side(change.uses), side(change.makes)
        rate = self._text(change.rate)
        return f"{self.names[change.id]}: {uses} => {makes}; {rate};"

    def _event(self, event: Happening) -> str:
        delay = f"{self._text(event.delay)} after " if event.delay is not None else ""
        options = [f"t0={str(event.initial).lower()}", f"persistent={str(event.persistent).lower()}"]
        options += [f"priority={self._text(event.priority)}"] if event.priority is not None else []
        options += ["fromTrigger=false"] if not event.at_trigger else []
        sets = ", ".join(f"{self.names[variable]} = {self._text(math)}" for variable, math in event.sets)
        return f"{self.names[event.id]}: at {delay}({self._text(event.trigger)}), {', '.join(options)}: {sets};"

    def _text(self, node: libsbml.ASTNode) -> str:
        return str(libsbml.formulaToL3String(self._renamed(node)))

    def _renamed(self, node: libsbml.ASTNode) -> libsbml.ASTNode:
        made = node.deepCopy()
        if node.getType() == libsbml.AST_NAME:
            made.setName(self.names[node.getName()])
        elif node.getType() == libsbml.AST_NAME_TIME:
            made.setName("time")
        for index in range(node.getNumChildren()):
            made.replaceChild(index, self._renamed(node.getChild(index)))
        return made


def _quoted(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace('"', "'").replace("\\", "/")
