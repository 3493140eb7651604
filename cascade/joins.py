"""Resolves joins: expands groups, finds writers and readers, and refuses what cannot be joined.

A join is `"reader.port" = "formula"`. The formula speaks of `instance.port` outputs, of the composition's own
parameters and of `sum(group.port)`. A group name on the left joins every member.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import libsbml

from cascade import _sbml
from cascade._limits import MAX_TERMS
from cascade.errors import CompositionError, unknown_name
from cascade.expansion import REFERENCE, SUM
from cascade.specs import Composition, Join, Parameter, Port
from cascade.units import same_unit


@dataclass(frozen=True)
class Link:
    """A resolved join: one reader, the outputs that its formula mentions, and the formula over their tokens."""

    reader: tuple[str, str]
    writers: tuple[tuple[str, str], ...]
    formula: str
    direct: bool

    @property
    def math(self) -> libsbml.ASTNode:
        """The formula with every `instance.port` written as `token(instance, port)`."""
        return libsbml.parseL3Formula(REFERENCE.sub(lambda m: token(m[1], m[2]), self.formula))


@dataclass(frozen=True)
class Share:
    """One constant that several instances of a module have in common."""

    group: str
    parameter: Parameter
    members: tuple[str, ...]


def shares(composition: Composition, links: tuple[Link, ...]) -> tuple[Share, ...]:
    """Return the constants that the shared groups of a composition have in common.

    A constant that a join drives or an instance overrides is not shared. What a single member keeps is its own, unless
    the group has a value for it or no other member: an id does not change when an index set has one member only.
    """
    joined = {link.reader for link in links}
    found: list[Share] = []
    taken: set[str] = set()
    for group in composition.shared:
        instances = [name for name in composition.groups[group] if name not in taken]
        taken |= set(instances)
        for row in composition.instances[instances[0]].parameters if instances else ():
            members = tuple(
                name
                for name in instances
                if (name, row.id) not in joined and f"{name}.{row.id}" not in composition.overrides
            )
            value = composition.group_values.get(f"{group}.{row.id}")
            if len(members) > 1 or (members and (value or len(composition.groups[group]) == 1)):
                found.append(Share(group, replace(value, id=row.id) if value else row, members))
    return tuple(found)


def token(instance: str, port: str) -> str:
    """Return the id under which the top model knows an output of an instance."""
    return f"joined_{instance}__{port}"


def resolve(composition: Composition) -> tuple[Link, ...]:
    """Resolve and check every join of a composition.

    Raises
    ------
    CompositionError
        With every wrong join at once: unknown instance or port, wrong direction, a second writer, clashing units, a
        formula that cannot be parsed, a number that belongs into the parameter table.
    """
    links: list[Link] = []
    problems: list[str] = []
    written: dict[tuple[str, str], str] = {}
    for join in composition.joins:
        try:
            resolved = _resolve_join(composition, join)
        except CompositionError as error:
            problems.append(str(error))
            continue
        for link in resolved:
            if link.reader in written:
                problems.append(
                    f"join {join.reader!r}: input {'.'.join(link.reader)} has two writers, "
                    f"{written[link.reader]!r} and {join.formula!r}; keep one, or add them in one formula"
                )
            written[link.reader] = join.formula
        links += resolved
    for name in composition.overrides:
        instance, _, parameter = name.partition(".")
        if (instance, parameter) in written:
            problems.append(f"{name} is given a value and is also joined; remove one of the two")
    for name, row in composition.group_values.items():
        problems += _group_value_problems(composition, name, row, set(written))
    if problems:
        raise CompositionError(f"composition {composition.name!r}:\n  " + "\n  ".join(problems))
    return tuple(links)


def _group_value_problems(
    composition: Composition, name: str, row: Parameter, written: Collection[tuple[str, str]]
) -> list[str]:
    group, _, parameter = name.partition(".")
    members = composition.groups[group]
    module = composition.instances[members[0]]
    units = {own.id: own.unit for own in module.parameters}
    if parameter not in units:
        return [f"value of {name!r}: module {module.name!r} has no parameter {parameter!r}"]
    if not same_unit(row.unit, units[parameter]):
        return [f"value of {name!r} is in {row.unit}, but module {module.name!r} has {units[parameter]}"]
    if any((member, parameter) in written for member in members):
        return [f"{name} is given a value and is also joined; remove one of the two"]
    return []


def _resolve_join(composition: Composition, join: Join) -> list[Link]:
    where = f"join {join.reader!r} = {join.formula!r}"
    match = REFERENCE.fullmatch(join.reader)
    if match is None:
        raise CompositionError(f"{where}: the left side must be instance.port or group.port")
    formula = _expand_sums(composition.groups, join.formula, where)
    writers = tuple(dict.fromkeys((m[1], m[2]) for m in REFERENCE.finditer(formula)))
    for instance, port in writers:
        found = _port(composition, instance, port, where)
        if found.direction != "out":
            raise CompositionError(
                f"{where}: port {port!r} of {instance!r} is an input; a formula may only read outputs: "
                + ", ".join(p.id for p in composition.instances[instance].ports if p.direction == "out")
            )
    direct = len(writers) == 1 and formula.strip() == ".".join(writers[0])
    if not direct:
        _check_formula(composition, formula, where)
    members = composition.groups.get(match[1], (match[1],))
    links = [Link((member, match[2]), writers, formula, direct) for member in members]
    for link in links:
        _check_reader(composition, link, where)
    return links


def _expand_sums(groups: Mapping[str, tuple[str, ...]], formula: str, where: str) -> str:
    def expand(match: re.Match[str]) -> str:
        if match[1] not in groups:
            raise unknown_name("group", match[1], groups, where)
        return "(" + " + ".join(f"{member}.{match[2]}" for member in groups[match[1]]) + ")"

    return SUM.sub(expand, formula)


def _port(composition: Composition, instance: str, port: str, where: str) -> Port:
    if instance in composition.groups:
        raise CompositionError(f"{where}: {instance!r} is a group; on the right write sum({instance}.{port})")
    if instance not in composition.instances:
        raise CompositionError(str(unknown_name("instance", instance, composition.instances, where)))
    module = composition.instances[instance]
    for found in module.ports:
        if found.id == port:
            return found
    known = (p.id for p in module.ports)
    raise CompositionError(str(unknown_name("port", port, known, f"{instance!r} (module {module.name!r}), in {where}")))


def _check_reader(composition: Composition, link: Link, where: str) -> None:
    reader = _port(composition, *link.reader, where)
    if reader.direction != "in":
        raise CompositionError(f"{where}: port {reader.id!r} of {link.reader[0]!r} is an output; it cannot be written")
    if not link.direct:
        return
    instance, port = link.writers[0]
    writer = _port(composition, instance, port, where)
    if not same_unit(writer.unit, reader.unit):
        raise CompositionError(
            f"{where}: port {port!r} of {instance!r} is in {writer.unit}, "
            f"but {reader.id!r} of {link.reader[0]!r} expects {reader.unit}; convert in a formula"
        )


MAX_FORMULA = 50_000
"""Characters of a formula with its sums written out; libSBML checks the units of a sum in the cube of its length."""

MAX_DEPTH = 100
"""Operators inside each other."""


def _check_formula(composition: Composition, formula: str, where: str) -> None:
    if len(formula) > MAX_FORMULA or len(REFERENCE.findall(formula)) > MAX_TERMS:
        raise CompositionError(
            f"{where[:200]}: the formula has {len(formula)} characters; the limits are {MAX_FORMULA} and {MAX_TERMS}"
            " ports"
        )
    node = libsbml.parseL3Formula(REFERENCE.sub(lambda m: token(m[1], m[2]), formula))
    if node is None:
        reason = " ".join(libsbml.getLastParseL3Error().split())
        raise CompositionError(f"{where}: cannot read the formula: {reason}")
    if _depth(node) > MAX_DEPTH:
        raise CompositionError(f"{where[:200]}: the formula is nested deeper than {MAX_DEPTH}; simplify it")
    own = {parameter.id for parameter in composition.parameters}
    for name in _sbml.symbols(node):
        if not name.startswith("joined_") and name not in own:
            raise CompositionError(
                f"{where}: {name!r} is neither an output (instance.port) nor a parameter of the composition; known: "
                + (", ".join(sorted(own)) or "none")
            )
    for number in _sbml.literals(node):
        # with units comes what cannot be read as a number, such as `1e400`
        if number.getUnits() or not (number.isInteger() and number.getInteger() in (0, 1, 2)):
            raise CompositionError(f"{where}: put the number into the composition's parameters.tsv and use its id")
    for part, _ in _nodes(node):
        if part.getType() in _FOREIGN:
            raise CompositionError(f"{where}: {part.getName() or 'rateOf'!r} cannot stand in a join; use arithmetic")


_FOREIGN = (
    libsbml.AST_FUNCTION,
    libsbml.AST_FUNCTION_DELAY,
    libsbml.AST_FUNCTION_RATE_OF,
    libsbml.AST_NAME_AVOGADRO,
)
"""Functions that no document of a composition defines, and what engines do not have."""


def _nodes(node: libsbml.ASTNode) -> Iterator[tuple[libsbml.ASTNode, int]]:
    """Yield the operators and operands of a formula and how deep they stand, without recursion."""
    todo = [(node, 1)]
    while todo:
        node, depth = todo.pop()
        yield node, depth
        todo += [(node.getChild(index), depth + 1) for index in range(node.getNumChildren())]


def _depth(node: libsbml.ASTNode) -> int:
    return max(depth for _, depth in _nodes(node))
