"""Refuses compositions whose names or modules libSBML would misread, take for something else, or crash on."""

from __future__ import annotations

import re
from functools import lru_cache

from cascade import _sbml
from cascade.errors import CompositionError, SBMLError
from cascade.specs import Composition
from cascade.units import same_unit

RESERVED = ("joined_", "input_", "value_")
"""Beginnings of the names of what a composition adds."""

MAX_INSTANCES = 1_000
"""Instances of a composition; libSBML takes a time that grows with their square, some minutes for these."""

MAX_NAME = 100
"""Characters of a name in a composition; the limit of an id is `_limits.MAX_ID`, and two names make one."""

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def _odd(name: str) -> str:
    """Say why a name cannot stand in a composition, or nothing."""
    if not _ID.fullmatch(name):
        return "is no id; use lower snake case: letters, digits and single underscores"
    if len(name) > MAX_NAME:
        return f"has {len(name)} characters; the limit is {MAX_NAME}"
    if "__" in name or name.startswith(RESERVED):
        return "is reserved; use snake case without double underscores"
    return ""


def check_names(composition: Composition) -> None:
    """Refuse names of instances, groups and constants that cannot stand in a composition, and values of nothing.

    Raises
    ------
    CompositionError
        With every finding.
    """
    problems = []
    if len(composition.instances) > MAX_INSTANCES:
        raise CompositionError(
            f"composition {composition.name!r} has {len(composition.instances)} instances; the limit is"
            f" {MAX_INSTANCES}: give its index sets fewer members"
        )
    for name in (*composition.instances, *composition.groups):
        if odd := _odd(name):
            problems.append(f"instance name {name[:MAX_NAME]!r} {odd}")
    if composition.name in composition.instances:
        problems.append(f"instance name {composition.name!r} is that of the composition; rename one of them")
    for name, row in composition.overrides.items():
        instance, _, parameter = name.partition(".")
        module = composition.instances.get(instance)
        units = {own.id: own.unit for own in module.parameters} if module else {}
        if module is None:
            problems.append(f"value of {name!r}: no instance {instance!r}; known: {', '.join(composition.instances)}")
        elif parameter not in units:
            problems.append(f"value of {name!r}: module {module.name!r} has no parameter {parameter!r}")
        elif not same_unit(row.unit, units[parameter]):
            problems.append(f"value of {name!r} is in {row.unit}, but module {module.name!r} has {units[parameter]}")
    for row in composition.parameters:
        if odd := _odd(row.id):
            problems.append(f"parameter id {row.id[:MAX_NAME]!r} {odd}")
        elif _sbml.is_word(row.id):
            problems.append(f"parameter id {row.id!r} is a constant in formulas; use another one")
        elif row.id in composition.instances or row.id == composition.name:
            problems.append(f"parameter id {row.id!r} is also the name of an instance or of the composition; rename it")
    if problems:
        raise CompositionError(f"composition {composition.name!r}:\n  " + "\n  ".join(problems))


def check_modules(composition: Composition) -> None:
    """Refuse modules whose document does not hold what the module says, or formulas of wrong shape.

    Raises
    ------
    SBMLError
    """
    for module in composition.instances.values():
        _sbml.refuse_odd_math(module.sbml, module.name)
        found = _ports_of(module.sbml, module.name)
        lost = [port.id for port in module.ports if found.get(port.id) is not port.is_species]
        if lost:
            raise SBMLError(
                f"module {module.name!r}: its SBML has no port {', '.join(map(repr, lost))}; load the module anew"
            )


@lru_cache(maxsize=256)
def _ports_of(sbml: str, module: str) -> dict[str, bool]:
    """Return for each port that refers to a symbol whether it is a species."""
    document = _sbml.read_document(sbml, module)  # what it holds dies with it
    model = document.getModel()
    plugin = model.getPlugin("comp")
    ports = {port.getId(): port.getIdRef() for port in plugin.getListOfPorts()} if plugin is not None else {}
    symbols = {name: model.getSpecies(symbol) or model.getParameter(symbol) for name, symbol in ports.items()}
    return {name: bool(model.getSpecies(ports[name])) for name, symbol in symbols.items() if symbol is not None}
