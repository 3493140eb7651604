"""Expands what a composition file says over its index sets, and leaves out what belongs to members left out.

A name that some index set gave before, in the file or in one that it extends, is left out silently; a name that no
set ever gave is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from cascade.composition_file import Written
from cascade.empty_sums import without_empty_sums
from cascade.errors import CompositionError, unknown_name
from cascade.expansion import REFERENCE, SUM, Sets, expand, fill, resolve_sets
from cascade.specs import Join, Parameter

_WORD = re.compile(r"(?<![\w.])[A-Za-z]\w*(?![\w.])")


@dataclass(frozen=True)
class Assembly:
    """A composition file with its index sets written out.

    `sets` are the sets in use, `ever` the same ones with every member that they had in any file.
    """

    written: Written
    sets: Sets
    ever: Sets

    @property
    def file(self) -> str:
        return self.written.file

    @cached_property
    def instances(self) -> dict[str, str]:
        """Instances and what their modules are called in the file."""
        found: dict[str, str] = {}
        for template, module in self.written.instances.items():
            for name, _ in expand(template, self.sets, f"{self.file}: instance {template!r}"):
                if name in found:
                    raise CompositionError(f"{self.file}: instance {name!r} is there twice, once as {template!r}")
                found[name] = module
        for name in self.sets:
            if name in found:
                raise CompositionError(f"{self.file}: {name!r} is an index set and an instance; rename one of them")
        return found

    @cached_property
    def known(self) -> frozenset[str]:
        """Every instance that there could be with the members that the sets ever had."""
        return frozenset(
            name
            for template in (*self.written.ever, *self.written.instances)
            for name, _ in expand(template, self.ever, f"{self.file}: instance {template!r}")
        )

    @cached_property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Groups and the instances in them; without the members that are left out, and perhaps empty."""
        return {
            name: tuple(member for member in members if member in self.instances)
            for name, members in self.all_groups.items()
        }

    @cached_property
    def all_groups(self) -> dict[str, tuple[str, ...]]:
        """Groups with every member that they could have."""
        found: dict[str, tuple[str, ...]] = {}
        for template, members in self.written.groups.items():
            for name, bound in expand(template, self.ever, f"{self.file}: group {template!r}"):
                if name in found:
                    raise CompositionError(f"{self.file}: group {name!r} is there twice, once as {template!r}")
                found[name] = self._members(name, members, bound)
        return found

    def _members(self, group: str, templates: Sequence[str], bound: Mapping[str, str]) -> tuple[str, ...]:
        where = f"{self.file}: group {group!r}"
        members = [name for text in templates for name, _ in expand(text, self.ever, where, bound)]
        unknown = [name for name in members if name not in self.known]
        if unknown or group in self.known:
            raise CompositionError(f"{where} must list instances and not be one; wrong: {unknown}")
        twice = sorted({name for name in members if members.count(name) > 1})
        if twice:
            raise CompositionError(f"{where} lists {', '.join(twice)} twice")
        return tuple(members)

    @cached_property
    def shared(self) -> tuple[str, ...]:
        """Groups whose members share their constants."""
        found = [
            name
            for template in self.written.shared
            for name, _ in expand(template, self.ever, f"{self.file}: shared group {template!r}")
        ]
        for name in found:
            modules = {self.instances[member] for member in self.groups.get(name, ())}
            if name not in self.all_groups or len(modules) > 1:
                raise CompositionError(f"{self.file}: shared group {name!r} must be a group of instances of one module")
        return tuple(dict.fromkeys(name for name in found if self.groups[name]))

    @cached_property
    def joins(self) -> tuple[Join, ...]:
        """Joins of the instances that are there."""
        return tuple(
            join
            for reader, formula in self.written.joins.items()
            for left, right in self._pairs(reader, formula, self.sets)
            if (join := self._join(left, right)) is not None
        )

    def _pairs(self, reader: str, formula: str, sets: Sets) -> Iterator[tuple[str, str]]:
        where = f"{self.file}: join {reader!r} = {formula!r}"
        for left, bound in expand(reader, sets, where):
            yield left, fill(formula, bound, self.sets, where)

    def _join(self, reader: str, formula: str) -> Join | None:
        owner = reader.partition(".")[0]
        if self._is_left_out(owner) or self.groups.get(owner) == ():
            return None
        where = f"join {reader!r} = {formula!r}"
        for match in REFERENCE.finditer(SUM.sub("", formula)):
            if not self._is_left_out(match[1]):
                continue
            if formula.strip() == match[0]:
                return None
            raise CompositionError(
                f"composition {self.written.path.name!r}: {where}: {match[1]!r} is left out by an index set; put it "
                f"into a group and write sum(group.{match[2]}), which leaves it out too, or give the join an empty text"
            )
        empty = {name for name, members in self.groups.items() if not members}
        rest = without_empty_sums(formula, empty, f"composition {self.written.path.name!r}: {where}")
        return None if rest is None else Join(reader=reader, formula=rest)

    def _is_left_out(self, instance: str) -> bool:
        return instance in self.known and instance not in self.instances

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Constants of the composition itself, without those that only joins use which are left out."""
        used = {word for join in self.joins for word in _WORD.findall(join.formula)}
        once = {
            word
            for reader, formula in self.written.formulas
            for _, filled in self._pairs(reader, formula, self.ever)
            for word in _WORD.findall(filled)
        }
        rows = [
            replace(row, id=name)
            for row in self.written.parameters
            if "." not in row.id
            for name, _ in expand(row.id, self.ever, f"{self.file}: parameter {row.id!r}")
        ]
        _require_once([row.id for row in rows], f"{self.file}: parameter")
        return tuple(row for row in rows if row.id in used or row.id not in once)

    @cached_property
    def _values(self) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
        """Values of instances by `instance.parameter`, and those that a shared group has in common."""
        offers: dict[str, list[_Offer]] = {}
        shared: dict[str, list[_Offer]] = {}
        for row in self.written.parameters:
            if "." in row.id:
                for name, offer in self._offers(row):
                    owner = name.partition(".")[0]
                    (shared if owner in self.all_groups else offers).setdefault(name, []).append(offer)
        overrides = {name: _closest(name, found) for name, found in offers.items()}
        return overrides, {name: _closest(name, found) for name, found in shared.items()}

    def _offers(self, row: Parameter) -> Iterator[tuple[str, _Offer]]:
        """Yield the values that a row offers; a name that is left out gets none."""
        template, _, parameter = row.id.partition(".")
        found = list(expand(template, self.ever, f"{self.file}: value of {row.id!r}"))
        every = frozenset(name for name, _ in found)
        for name, bound in found:
            if name not in self.all_groups:
                if not self._is_left_out(name):
                    yield f"{name}.{parameter}", _Offer(row, every, (0, len(bound)))
            elif name in self.shared:
                yield f"{name}.{parameter}", _Offer(row, every, (1, len(bound)))
            else:
                offer = _Offer(row, frozenset(self.all_groups[name]), (1, len(bound)))
                for member in self.groups[name]:
                    yield f"{member}.{parameter}", offer

    @property
    def overrides(self) -> dict[str, Parameter]:
        """Values of single instances, keyed `instance.parameter`."""
        return self._values[0]

    @property
    def group_values(self) -> dict[str, Parameter]:
        """Values that a shared group has in common, keyed `group.parameter`."""
        return self._values[1]


@dataclass(frozen=True)
class _Offer:
    """A row that gives a value: for which instances at once, and whether as an instance (0) or as a group (1)."""

    row: Parameter
    reach: frozenset[str]
    rank: tuple[int, int]


def _closest(name: str, offers: Sequence[_Offer]) -> Parameter:
    """Return the value of the row that speaks of the fewest instances; it must lie within all others."""
    best = min(offers, key=lambda offer: (len(offer.reach), offer.rank))
    for other in offers:
        if other is not best and not (
            best.reach < other.reach or (best.reach == other.reach and best.rank < other.rank)
        ):
            raise CompositionError(
                f"parameters.tsv: {best.row.id!r} and {other.row.id!r} both give {name!r} a value; "
                f"write a row {name!r} that decides"
            )
    return replace(best.row, id=name)


def _require_once(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise CompositionError(f"{what} {name!r} is there twice; keep one row")


def assemble(written: Written, index: Mapping[str, Sequence[str]] | None = None) -> Assembly:
    """Return what a composition file says with its index sets written out.

    Parameters
    ----------
    written : Written
    index : mapping of str to sequence of str, optional
        Sets that replace those of the file.

    Raises
    ------
    UnknownNameError
        If the file has no such set.
    CompositionError
        If a set is no sequence of names.
    """
    if index is not None and not isinstance(index, Mapping):
        raise CompositionError(f"index is {index!r}; give a mapping such as {{'organ': ['bone', 'lung']}}")
    for name, members in (index or {}).items():
        if name not in written.index:
            raise unknown_name("index set", name, written.index, f"composition {written.path.name!r}")
        names = isinstance(members, Iterable) and not isinstance(members, str)
        if not (names and all(isinstance(member, str) for member in members)):
            raise CompositionError(f"index set {name!r} is {members!r}; give a list of names")
    sets = resolve_sets({**written.index, **(index or {})}, written.file)
    ever = {name: tuple(dict.fromkeys((*written.members[name], *members))) for name, members in sets.items()}
    return Assembly(written, sets, ever)
