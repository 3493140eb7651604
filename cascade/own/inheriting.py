"""What a composition gives to a module in the place of another one: which of its values stay, which go with the old.

An edited copy of a shipped module is the same biology and keeps them; a stranger's module has its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cascade._canonical import symbol_table
from cascade.joins import resolve
from cascade.specs import Composition, Join, Module, Parameter

_WORD = re.compile(r"[A-Za-z]\w*")


def assembled(
    composition: Composition,
    members: tuple[str, ...],
    module: Module,
    joins: tuple[Join, ...],
    parameters: Sequence[Parameter],
) -> Composition:
    """Return the composition with the new module and joins, and with what still means something in it.

    Parameters
    ----------
    composition : Composition
    members : tuple of str
        Instances that are replaced.
    module : Module
        What takes their place.
    joins : tuple of Join
        All joins.
    parameters : sequence of Parameter
        Constants of the composition, and values of the new module.
    """
    instances = {name: module if name in members else other for name, other in composition.instances.items()}
    olds = [composition.instances[name] for name in members]
    gone = {other.name for other in composition.instances.values()}
    gone -= {other.name for name, other in composition.instances.items() if name not in members}
    start = _start(composition, olds, module, gone)
    gone -= {other.name for other in olds if (other.sbml, other.parameters) == (module.sbml, module.parameters)}
    whole = {group for group, places in composition.groups.items() if set(places) <= set(members)}
    # constants that only the joins of the old module used go with them
    before = {word for join in composition.joins for word in _WORD.findall(join.formula)}
    after = {word for join in joins for word in _WORD.findall(join.formula)}
    own = [row for row in composition.parameters if row.id in after or row.id not in before]
    values = {row.id: row for row in parameters if "." in row.id}
    shared = {key: row for key, row in values.items() if key.partition(".")[0] in composition.groups}
    given = [row for row in parameters if "." not in row.id]
    own = [row for row in own if row.id not in {each.id for each in given}] + given
    found = replace(
        composition,
        instances=instances,
        joins=joins,
        parameters=tuple(own),
        overrides=_kept(composition.overrides, composition, module, {*members})
        | {key: row for key, row in values.items() if key not in shared},
        group_values=_kept(composition.group_values, composition, module, whole) | shared,
        quasi_steady={name: states for name, states in composition.quasi_steady.items() if name not in gone},
        start=start,
    )
    resolve(found)
    return found


def _titles(module: Module) -> dict[str, tuple[str, str]]:
    return {row.id: (row.name, row.unit) for row in module.parameters}


def _kept(
    values: Mapping[str, Parameter], composition: Composition, module: Module, places: set[str]
) -> dict[str, Parameter]:
    """Leave out what the old module got in these places, except constants that the new one has under the same name."""
    found = {}
    for key, row in values.items():
        place, _, constant = key.partition(".")
        old = _titles(composition.instances[composition.groups.get(place, (place,))[0]])
        if place not in places or (constant in old and old[constant] == _titles(module).get(constant)):
            found[key] = row
    return found


def _is_copy(old: Module, new: Module) -> bool:
    """Tell whether a module is an edited copy: most of its constants are those of the other."""
    return len(_titles(old).items() & _titles(new).items()) > len(_titles(old)) / 2


def _start(
    composition: Composition, olds: list[Module], module: Module, gone: set[str]
) -> dict[str, Mapping[str, float]]:
    """Return the start by module: an edited copy begins where the composition lets the original begin."""
    found = {name: states for name, states in composition.start.items() if name not in gone}
    copied = [other.name for other in olds if other.name in composition.start and _is_copy(other, module)]
    if copied and module.name not in found:
        table = symbol_table(module.sbml)
        states = composition.start[copied[0]].items()
        found[module.name] = {
            name: value for name, value in states if name in table and table[name].role == "integrated"
        }
    return found
