"""Puts a module in the place of another one of a composition, with its joins as far as the new one has the ports."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import libsbml

from cascade._sbml import symbols
from cascade.errors import CompositionError, unknown_name
from cascade.expansion import REFERENCE, SUM
from cascade.joins import token
from cascade.own.inheriting import assembled
from cascade.specs import Composition, Join, Module, Parameter

_WORD = re.compile(r"[A-Za-z]\w*")


def replace_module(
    composition: Composition,
    instance: str,
    module: Module,
    *,
    ports: Mapping[str, str | None] | None = None,
    joins: Mapping[str, str] | None = None,
    parameters: Sequence[Parameter] = (),
) -> Composition:
    """Put a module in the place of another one.

    Parameters
    ----------
    composition : Composition
    instance : str
        The instance that is replaced, or a group: all of its members.
    module : Module
        What takes its place, from `read_module` or `load_module`.
    ports : mapping of str to str or None, optional
        What serves a port of the old module: for an input, the name of an input of the new one; for an output, an
        output of the new one or a formula over its outputs and the parameters of the composition, such as
        `{"a_emt": "c_zeb/(c_zeb + ec50_zeb)"}`. None leaves it out: the input of the new module, or the reader of the
        output, keeps its own value; in a sum the term is left out; in a product with what others write it is refused.
        Ports of the same name need no entry.
    joins : mapping of str to str, optional
        Formulas for further inputs of the new module, such as `{"c_dose": "c_scale*tgf_beta.c_psmad"}`.
    parameters : sequence of Parameter, optional
        Constants that these formulas use; a row called `instance.parameter` gives the new module a value.

    Returns
    -------
    Composition
        The values that the composition gave to constants of the old module are left out with it, except those of
        constants that the new one has as well: same id, name and unit, as in an edited copy of a shipped module. Such
        a copy also keeps the start of the composition; a module that is not the same keeps no state at rest
        (`quasi_steady`).

    Raises
    ------
    CompositionError
        With every output that others read and the new module does not write, every input that has no place, and
        every unit that clashes.
    UnknownNameError
        If the composition has no such instance.
    """
    members = composition.groups.get(instance, (instance,))
    for member in members:
        if member not in composition.instances:
            raise unknown_name("instance", member, (*composition.instances, *composition.groups),
                               f"composition {composition.name!r}")  # fmt: skip
    _check_whole(composition, members, module)
    rewiring = _Rewiring(composition, members, module, dict(ports or {}), {row.id for row in parameters})
    kept = [found for join in composition.joins if (found := rewiring.join(join)) is not None]
    new = [Join(reader=f"{instance}.{port}", formula=formula) for port, formula in (joins or {}).items()]
    rewiring.check_used()
    rewiring.check_written()
    if rewiring.problems:
        where = f"composition {composition.name!r}, {instance!r} replaced by module {module.name!r}:\n  "
        raise CompositionError(where + "\n  ".join(rewiring.problems))
    return assembled(composition, members, module, (*kept, *new), parameters)


def _check_whole(composition: Composition, members: tuple[str, ...], module: Module) -> None:
    for group in composition.shared:
        inside = [name for name in composition.groups[group] if name in members]
        if inside and len(inside) < len(composition.groups[group]):
            raise CompositionError(
                f"composition {composition.name!r}: the instances of {group!r} share their constants; replace all of "
                f"them: replace_module(composition, {group!r}, ...)"
            )
    for name, other in composition.instances.items():
        if name not in members and other.name == module.name and other.sbml != module.sbml:
            raise CompositionError(
                f"composition {composition.name!r}: {name!r} is another module called {module.name!r}; give the "
                "new one a name of its own: read_module(..., name=...)"
            )


@dataclass
class _Rewiring:
    """Rewrites joins for the new module and collects what does not fit."""

    composition: Composition
    members: tuple[str, ...]
    module: Module
    ports: dict[str, str | None]
    constants: set[str]
    problems: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    unwritten: dict[str, list[str]] = field(default_factory=dict)
    mixed: dict[str, list[str]] = field(default_factory=dict)

    def join(self, join: Join) -> Join | None:
        """Return the join as it is with the new module; None if it is left out."""
        formula = self._formula(join)
        reader = self._reader(join)
        return Join(reader=reader, formula=formula) if formula is not None and reader is not None else None

    def check_used(self) -> None:
        """Refuse ports that no join speaks of."""
        for port in self.ports.keys() - self.used:
            self.problems.append(f"ports names {port!r}, but no join reads or drives it; leave it out")

    def check_written(self) -> None:
        """Refuse outputs that others read and the new module does not write, one line a port."""
        outputs = ", ".join(self._names("out")) or "it has none"
        for port, readers in self.unwritten.items():
            self.problems.append(
                f"{readers[0]}{_more(readers)}, which module {self.module.name!r} does not write; say "
                f"ports={{{port!r}: 'FORMULA'}} with a formula over its outputs ({outputs}) and parameters, or "
                f"ports={{{port!r}: None}} to let the reader keep its own value"
            )
        for port, readers in self.mixed.items():
            self.problems.append(
                f"{readers[0]}{_more(readers)}; say ports={{{port!r}: 'FORMULA'}}, with a parameter of value 1, say"
            )

    def _names(self, direction: str) -> list[str]:
        return [port.id for port in self.module.ports if port.direction == direction]

    def _reader(self, join: Join) -> str | None:
        name, _, port = join.reader.partition(".")
        places = self.composition.groups.get(name, (name,))
        inside = [place for place in places if place in self.members]
        if not inside:
            return join.reader
        if len(inside) < len(places):
            self.problems.append(f"join {join.reader!r} also drives {', '.join(set(places) - set(inside))}; replace "
                                 f"the whole group {name!r}")  # fmt: skip
            return None
        self.used.add(port)
        new = self.ports.get(port, port)
        if new is None:
            return None
        if new not in self._names("in"):
            self.problems.append(
                f"{join.reader} is driven by {join.formula!r}, but module {self.module.name!r} has no input {new!r}; "
                f"say ports={{{port!r}: None}} to leave it out, or name one of its inputs: "
                + (", ".join(self._names("in")) or "it has none")
            )
            return None
        return f"{name}.{new}"

    def _formula(self, join: Join) -> str | None:
        found = self._shortened(SUM.sub(lambda match: self._sum(match, join), join.formula))
        read = list(REFERENCE.finditer(found))
        if read and all(map(self._is_left_out, read)):  # nothing that others write is lost with it
            self.used |= {match[2] for match in read}
            return None
        return REFERENCE.sub(lambda match: self._reference(match, join), found)

    def _is_left_out(self, match: re.Match[str]) -> bool:
        return match[1] in self.members and self.ports.get(match[2], "") is None

    def _shortened(self, formula: str) -> str:
        """Leave out the terms of a sum that read what is left out."""
        gone = {token(m[1], m[2]): m[2] for m in REFERENCE.finditer(formula) if self._is_left_out(m)}
        if not gone:
            return formula
        back = {token(m[1], m[2]): m[0] for m in REFERENCE.finditer(formula)}
        node = libsbml.parseL3Formula(REFERENCE.sub(lambda m: token(m[1], m[2]), formula))
        terms = _terms(node) if node is not None else []
        kept = [term for term in terms if not symbols(term) & gone.keys()]
        if not kept:
            return formula
        self.used |= set(gone.values())
        text = " + ".join(libsbml.formulaToL3String(term) for term in kept)
        return _WORD.sub(lambda m: back.get(m[0], m[0]), text)

    def _sum(self, match: re.Match[str], join: Join) -> str:
        places = self.composition.groups.get(match[1], ())
        if not set(places) & set(self.members):
            return match[0]
        if set(places) <= set(self.members) and self.ports.get(match[2], match[2]) in self._names("out"):
            self.used.add(match[2])
            return f"sum({match[1]}.{self.ports.get(match[2], match[2])})"
        return "(" + " + ".join(f"{place}.{match[2]}" for place in places) + ")"

    def _reference(self, match: re.Match[str], join: Join) -> str:
        place, port = match[1], match[2]
        if place not in self.members or (port in self._names("out") and port not in self.ports):
            return match[0]
        self.used.add(port)
        new = self.ports.get(port, port)
        if new in self._names("out"):
            return f"{place}.{new}"
        if new is None:
            others = sorted({m[0] for m in REFERENCE.finditer(join.formula) if not self._is_left_out(m)})
            self.mixed.setdefault(port, []).append(
                f"{join.reader} = {join.formula!r}: without {port!r} it would lose {', '.join(others)} as well"
            )
            return match[0]
        if port not in self.ports:
            reads = f"{join.reader} = {join.formula!r} reads output {port!r} of {place!r}"
            self.unwritten.setdefault(port, []).append(reads)
            return match[0]
        return self._expression(place, port, new)

    def _expression(self, place: str, port: str, text: str) -> str:
        node = libsbml.parseL3Formula(text)
        if node is None:
            self.problems.append(f"ports={{{port!r}: {text!r}}} cannot be read: "
                                 + " ".join(libsbml.getLastParseL3Error().split()))  # fmt: skip
            return text
        outputs = set(self._names("out"))
        known = outputs | self.constants | {row.id for row in self.composition.parameters}
        lost = sorted(symbols(node) - known)
        if lost:
            self.problems.append(
                f"ports={{{port!r}: {text!r}}}: {lost[0]!r} is neither an output of module {self.module.name!r} "
                f"({', '.join(sorted(outputs))}) nor a parameter; give it in parameters=[...]"
            )
        write: Callable[[re.Match[str]], str] = lambda m: f"{place}.{m[0]}" if m[0] in outputs else m[0]  # noqa: E731
        return f"({_WORD.sub(write, text)})"


def _more(readers: list[str]) -> str:
    return f" (and {len(readers) - 1} more)" if len(readers) > 1 else ""


def _terms(node: libsbml.ASTNode) -> list[libsbml.ASTNode]:
    """Return the terms of a sum."""
    if node.getType() != libsbml.AST_PLUS:
        return [node]
    return [term for index in range(node.getNumChildren()) for term in _terms(node.getChild(index))]
