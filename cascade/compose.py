"""Composes modules and joins into one model: hierarchical SBML (comp), flat SBML, and one map of names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import libsbml

from cascade import _sbml
from cascade._parts import part_of
from cascade._sound import RESERVED, check_modules, check_names
from cascade.errors import CompositionError, SBMLError
from cascade.hierarchy import signal, write_hierarchical
from cascade.joins import Link, resolve, shares, token
from cascade.quasi_steady import quasi_steady
from cascade.specs import Composition, Model, Module, Parameter, Wire
from cascade.start_values import with_start

_COMP = "http://www.sbml.org/sbml/level3/version1/comp/version1"
_TOP_NAME = re.compile(rf"\b(?:{'|'.join(RESERVED)})\w+")


def compose(source: Module | Composition) -> Model:
    """Make a model that runs.

    Parameters
    ----------
    source : Module or Composition
        A module alone keeps its own ids; in a composition ids are `instance__local`.

    Returns
    -------
    Model

    Raises
    ------
    CompositionError
        If a join is wrong, in the language of the model: instance, port, unit.
    SBMLError
        If libSBML finds an error in the hierarchical or the flat document, or an element was lost.
    """
    if isinstance(source, Module):
        return _single(source)
    if isinstance(source, Composition):
        return _composed(source)
    raise CompositionError(f"compose() was given {source!r}; give what load_module() or load_composition() returned")


def _single(module: Module) -> Model:
    document = _sbml.read_document(module.sbml, module.name)
    document.disablePackage(_COMP, "comp")
    # a simulator may crash on what this finds, for example an id that stands twice
    _refuse(document, module.name)
    ids = {name: name for name in _symbols(document.getModel())}
    ids |= {f"{module.name}.{name}": name for name in ids}
    return Model(
        name=module.name,
        flat=_sbml.write_document(document),
        parameters=module.parameters,
        ids=ids,
        instances={module.name: module.name},
    )


def _composed(composition: Composition) -> Model:
    check_modules(composition)
    composition = _begun(_at_rest(composition))
    check_names(composition)
    links = resolve(composition)
    hierarchical = write_hierarchical(composition, links)
    flat = _flat(hierarchical, composition, links)
    # units of joins first: in the language of the model, not of libSBML
    _check_formula_units(flat, composition, links)
    _refuse(hierarchical, f"{composition.name} (hierarchical)")
    _refuse(flat, f"{composition.name} (flat)")
    _check_nothing_lost(hierarchical, flat, composition)
    ids = _ids(composition, links, flat.getModel())
    return Model(
        name=composition.name,
        flat=_sbml.write_document(flat),
        hierarchical=_sbml.write_document(hierarchical),
        parameters=_parameters(composition, links),
        ids=ids,
        wiring=_wiring(composition, links),
        instances={name: module.name for name, module in composition.instances.items()},
        groups=composition.groups,
        bases=composition.bases,
        years=composition.years,
    )


def _at_rest(composition: Composition) -> Composition:
    """Put the species that the composition names at their quasi-steady state, in every instance of their module."""
    chosen = composition.quasi_steady
    if not chosen:
        return composition
    modules = {
        name: quasi_steady(module, chosen.get(module.name, ())) for name, module in composition.instances.items()
    }
    return replace(composition, instances=modules)


def _begun(composition: Composition) -> Composition:
    """Start the states that the composition gives a value, in every instance; one at rest has no start."""
    if not composition.start:
        return composition
    kept = {
        module: {name: value for name, value in values.items() if name not in composition.quasi_steady.get(module, ())}
        for module, values in composition.start.items()
    }
    modules = {name: with_start(each, kept.get(each.name, {})) for name, each in composition.instances.items()}
    return replace(composition, instances=modules)


def _symbols(model: libsbml.Model) -> list[str]:
    lists = (model.getListOfSpecies(), model.getListOfParameters(), model.getListOfCompartments())
    return [element.getId() for elements in lists for element in elements]


def _refuse(document: libsbml.SBMLDocument, where: str) -> None:
    errors = [issue for issue in _sbml.check_document(document, where) if issue.severity == "error"]
    if errors:
        raise SBMLError("\n".join(str(issue) for issue in errors[:20]))


def _flat(
    hierarchical: libsbml.SBMLDocument, composition: Composition, links: tuple[Link, ...]
) -> libsbml.SBMLDocument:
    flat = _sbml.flatten(hierarchical, composition.name)
    flat.disablePackage(_COMP, "comp")
    _unify_units(flat.getModel(), composition)
    return libsbml.readSBMLFromString(_rename(_sbml.write_document(flat), composition, links))


def _unify_units(model: libsbml.Model, composition: Composition) -> None:
    """Replace the copies of unit definitions that flattening makes for each submodel by one each."""

    def base(unit: str) -> str:
        prefix, mark, rest = unit.partition("__")
        return rest if mark and prefix in composition.instances else unit

    for compartment in model.getListOfCompartments():
        compartment.setUnits(base(compartment.getUnits()))
    for species in model.getListOfSpecies():
        species.setSubstanceUnits(base(species.getSubstanceUnits()))
    for parameter in model.getListOfParameters():
        parameter.setUnits(base(parameter.getUnits()))
    for event in model.getListOfEvents():
        for assignment in event.getListOfEventAssignments():
            _unify_literals(assignment, base)
    units = {base(definition.getId()) for definition in model.getListOfUnitDefinitions()}
    while model.getNumUnitDefinitions():
        model.removeUnitDefinition(0)
    _sbml.add_units(model, units)


def _unify_literals(assignment: libsbml.EventAssignment, base: Callable[[str], str]) -> None:
    math = assignment.getMath().deepCopy()
    for number in _sbml.literals(math):
        number.setUnits(base(number.getUnits()))
    assignment.setMath(math)


def _rename(text: str, composition: Composition, links: tuple[Link, ...]) -> str:
    """Give what lived at the top its name in the owner: `joined_a__x`, `input_a__x`, `value_a__x` become `a__x`."""
    names: dict[str, str] = {}
    for link in links:
        for instance, port in link.writers:
            names[token(instance, port)] = f"{instance}__{signal(composition.instances[instance].port(port))}"
        if not link.direct:
            names["input_" + "__".join(link.reader)] = "__".join(link.reader)
    for name in composition.overrides:
        names["value_" + name.replace(".", "__")] = name.replace(".", "__")
    for share in shares(composition, links):
        name = f"{share.group}__{share.parameter.id}"
        names["value_" + name] = name
    return _TOP_NAME.sub(lambda match: names.get(match[0], match[0]), text)


def _check_formula_units(flat: libsbml.SBMLDocument, composition: Composition, links: tuple[Link, ...]) -> None:
    problems = []
    inputs = [link for link in links if not link.direct]
    part = part_of(flat, ["__".join(link.reader) for link in inputs])
    model = part.getModel()
    for link in inputs:
        instance, port = link.reader
        rule = model.getAssignmentRuleByVariable(f"{instance}__{port}")
        expected = model.getParameter(f"{instance}__{port}").getDerivedUnitDefinition()
        found = rule.getDerivedUnitDefinition()
        if not libsbml.UnitDefinition.areIdentical(found, expected):
            unit = composition.instances[instance].port(port).unit
            problems.append(
                f"join {instance}.{port} = {link.formula!r}: the formula is in "
                f"{libsbml.UnitDefinition.printUnits(found, True)}, but {port!r} of {instance!r} expects {unit}"
            )
    if problems:
        raise CompositionError(f"composition {composition.name!r}:\n  " + "\n  ".join(problems))


def _check_nothing_lost(
    hierarchical: libsbml.SBMLDocument, flat: libsbml.SBMLDocument, composition: Composition
) -> None:
    top = hierarchical.getModel()
    expected = _sbml.counts(top)
    definitions = hierarchical.getPlugin("comp").getListOfModelDefinitions()
    by_name = {definition.getId(): definition for definition in definitions}
    for module in composition.instances.values():
        for kind, count in _sbml.counts(by_name[module.name]).items():
            expected[kind] += count
    # Every replacement merges two parameters into one.
    plugins = [parameter.getPlugin("comp") for parameter in top.getListOfParameters()]
    expected["parameters"] -= sum(p.getNumReplacedElements() + p.isSetReplacedBy() for p in plugins)
    found = _sbml.counts(flat.getModel())
    if found != expected:
        lost = [f"{kind}: {found[kind]} instead of {expected[kind]}" for kind in found if found[kind] != expected[kind]]
        raise SBMLError(f"{composition.name}: flattening changed the model: " + "; ".join(lost))


def _ids(composition: Composition, links: tuple[Link, ...], model: libsbml.Model) -> dict[str, str]:
    symbols = set(_symbols(model))
    ids = {name: name for name in symbols}
    # A direct reader is its writer; a species stays a species, since both hold the same number and unit.
    alias = {link.reader: "__".join(link.writers[0]) for link in links if link.direct}
    for share in shares(composition, links):
        flat = f"{share.group}__{share.parameter.id}"
        alias |= {(member, share.parameter.id): flat for member in share.members}
        ids[f"{share.group}.{share.parameter.id}"] = flat
    for instance, module in composition.instances.items():
        for local in _local_symbols(module.sbml, module.name):
            flat = alias.get((instance, local), f"{instance}__{local}")
            if flat not in symbols:
                raise SBMLError(f"{composition.name}: {instance}.{local} is missing from the flat model as {flat}")
            ids[f"{instance}.{local}"] = flat
            ids[f"{instance}__{local}"] = flat
    return ids


@lru_cache(maxsize=256)
def _local_symbols(sbml: str, module: str) -> tuple[str, ...]:
    return tuple(_symbols(_sbml.read_document(sbml, module).getModel()))


def _parameters(composition: Composition, links: tuple[Link, ...]) -> tuple[Parameter, ...]:
    done = {link.reader for link in links}
    rows = list(composition.parameters)
    for share in shares(composition, links):
        rows.append(replace(share.parameter, id=f"{share.group}__{share.parameter.id}"))
        done |= {(member, share.parameter.id) for member in share.members}
    for instance, module in composition.instances.items():
        for row in module.parameters:
            if (instance, row.id) not in done:
                own = composition.overrides.get(f"{instance}.{row.id}", row)
                rows.append(replace(own, id=f"{instance}__{row.id}"))
    return tuple(rows)


def _wiring(composition: Composition, links: tuple[Link, ...]) -> tuple[Wire, ...]:
    return tuple(
        Wire(
            reader=".".join(link.reader),
            writers=tuple(".".join(writer) for writer in link.writers),
            formula=link.formula,
            unit=composition.instances[link.reader[0]].port(link.reader[1]).unit,
        )
        for link in links
    )
