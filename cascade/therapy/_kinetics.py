"""Puts a drug into a flat model: its kinetics as an instance of their structure, and what its concentration does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import libsbml

from cascade import _sbml
from cascade._canonical import Symbol
from cascade._elements import add_parameter, compute
from cascade._multiply import add, multiply
from cascade.compose import compose
from cascade.errors import DrugError, unknown_name
from cascade.specs import Model, Parameter, Wire
from cascade.target_table import read_targets, resolve_acts
from cascade.therapy.drugs import Action, Drug

_WORD = re.compile(r"[A-Za-z_]\w*")
SWITCHED = ("v_infusion", "v_depot", "a_given", "a_treated")
"""Inputs of the structures that doses set; constants where a structure stands alone."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """What a drug adds to a model: rows of its constants, names of its symbols, and wires to where it acts."""

    parameters: tuple[Parameter, ...]
    ids: Mapping[str, str]
    wires: tuple[Wire, ...]


def put_drug(document: libsbml.Model, model: Model, symbols: Mapping[str, Symbol], drug: Drug) -> Instance:
    """Write the kinetics and the actions of a drug.

    Parameters
    ----------
    document : libsbml.Model
        Flat; it is changed.
    model : Model
        What the document was read from, with its names.
    symbols : mapping
        Its symbols.
    drug : Drug

    Raises
    ------
    DrugError
        If nothing of the model is a target of the drug, or a name is taken.
    """
    kinetics = compose(drug.structure)
    names = _append(document, kinetics, drug)
    rows = _set_numbers(document, drug)
    wires = [*_follow(document, model, drug), *_act(document, model, symbols, drug)]
    # beside other drugs alone there is nothing to act on
    if not wires and drug.actions and model.instances.keys() - {each.target for each in model.interventions}:
        targets = ", ".join(action.target for action in drug.actions)
        raise DrugError(
            f"drug {drug.name!r} acts on {targets}, which model {model.name!r} has not; give it to another model"
        )
    for name in _switches(document, drug):
        names.append(name)
    own = [each for each in _effects(document, drug) if each not in names]
    ids = {f"{drug.name}{mark}{local}": f"{drug.name}__{local}" for local in (*names, *own) for mark in (".", "__")}
    return Instance(parameters=tuple(rows), ids=ids, wires=tuple(wires))


def _append(document: libsbml.Model, kinetics: Model, drug: Drug) -> list[str]:
    """Copy the elements of the structure under the name of the drug; return their local ids."""
    part = _sbml.read_document(kinetics.flat, drug.structure.name)
    flat = part.getModel()
    units = {definition.getId() for definition in flat.getListOfUnitDefinitions()}
    while flat.getNumUnitDefinitions():
        flat.removeUnitDefinition(0)
    elements = [each for each in flat.getListOfAllElements() if each.getId() and each.getElementName() != "kineticLaw"]
    for element in elements:
        element.unsetMetaId()
    names = {each.getId(): f"{drug.name}__{each.getId()}" for each in elements if each.isSetIdAttribute()}
    taken = sorted(new for new in (*names.values(), drug.name) if document.getElementBySId(new) is not None)
    if taken:
        raise DrugError(f"drug {drug.name!r}: the model already has {taken[0]!r}; rename the folder of the drug")
    for old, new in names.items():
        for element in flat.getListOfAllElements():
            element.renameSIdRefs(old, new)
    for element in elements:
        if element.getId() in names:
            element.setIdAttribute(names[element.getId()])
            element.setName(f"{element.getName() or element.getId()} ({drug.title})")
    if document.appendFrom(flat) != libsbml.LIBSBML_OPERATION_SUCCESS:
        raise DrugError(f"drug {drug.name!r} does not fit into the model; is the model SBML L3V2 core?")
    _sbml.add_units(document, units | {"day", "per_day", "nmole", "nmole_per_day", "nM", "dimensionless"})
    return [local for local, new in names.items() if _is_symbol(document, new)]


def _is_symbol(document: libsbml.Model, name: str) -> bool:
    lists = (document.getSpecies, document.getParameter, document.getCompartment)
    return any(find(name) is not None for find in lists)


def _set_numbers(document: libsbml.Model, drug: Drug) -> list[Parameter]:
    """Give the constants the values of the drug, write its potencies; return their rows."""
    rows = []
    for row in (*_inputs(drug), *drug.parameters):
        name = f"{drug.name}__{row.id}"
        if row.id == "m_molar" or row.id in SWITCHED:
            continue
        parameter = document.getParameter(name)
        if parameter is None:
            parameter = add_parameter(document, name, row.unit, title=f"{row.name} ({drug.title})")
        parameter.setConstant(True)
        parameter.setValue(row.nominal)
        if row.id not in drug.joins:
            rows.append(replace(row, id=name))
    return rows


def _inputs(drug: Drug) -> Iterator[Parameter]:
    """Yield the inputs of the structure, with their values where nothing is joined."""
    ports = {port.id for port in drug.structure.ports}
    return (row for row in drug.structure.parameters if row.id in ports)


def _follow(document: libsbml.Model, model: Model, drug: Drug) -> Iterator[Wire]:
    """Let inputs follow a variable of the model, where it has it."""
    for local, source in drug.joins.items():
        name = f"{drug.name}__{local}"
        found = _of_module(model, source)
        if not found:
            continue
        compute(document, name, found[0])
        yield Wire(
            reader=f"{drug.name}.{local}",
            writers=(source,),
            formula=source,
            unit=document.getParameter(name).getUnits(),
        )


def _of_module(model: Model, name: str) -> list[str]:
    """Return the flat ids of `module.symbol` in every instance of the module, or of `instance.symbol`."""
    owner, _, local = name.partition(".")
    owners = [instance for instance, module in model.instances.items() if module == owner] or [owner]
    return list(dict.fromkeys(model.ids[f"{each}.{local}"] for each in owners if f"{each}.{local}" in model.ids))


def _switches(document: libsbml.Model, drug: Drug) -> Iterator[str]:
    """Let doses set the inputs that they set: 0 until then."""
    for local in SWITCHED:
        parameter = document.getParameter(f"{drug.name}__{local}")
        if parameter is not None:
            parameter.setConstant(False)
            parameter.setValue(0.0)
            yield local


def _act(document: libsbml.Model, model: Model, symbols: Mapping[str, Symbol], drug: Drug) -> Iterator[Wire]:
    table = {target.target: target for target in read_targets()}
    for action in drug.actions:
        if action.target not in table:
            raise unknown_name("target", action.target, table, f"the table of targets (drug {drug.name!r})")
        engaged = _engagement(document, drug, action)
        if action.affinity:
            yield from _into_port(document, model, symbols, drug, action)
        elif action.port:
            for port in action.ports:
                yield from _added(document, symbols, drug, engaged, _of_module(model, port), port)
        else:
            acts = resolve_acts(table[action.target], model)
            yield from _on_target(document, symbols, drug, action, engaged, acts)


def _engagement(document: libsbml.Model, drug: Drug, action: Action) -> str:
    """Write the share of the target that is held or lost (of what the drug can reach); return its id."""
    name = f"{drug.name}__u_{action.target}"
    own = {key: f"{drug.name}__{getattr(action, key)}" for key in ("affinity", "ec50", "maximum", "hill")}
    c = f"{drug.name}__{action.concentration}"
    if action.affinity:
        formula, title = f"{c}/({own['affinity']} + {c})", f"share of {action.target} held by {drug.title}"
    else:
        # the square keeps a concentration that the solver leaves just below 0 from NaN
        two = "2 dimensionless"
        term = f"(({c}/{own['ec50']})^{two})^({own['hill']}/{two})"
        formula, title = (
            f"{own['maximum']}*{term}/(1 dimensionless + {term})",
            f"effect of {drug.title} on {action.target}",
        )
    add_parameter(document, name, "dimensionless", title=title)
    compute(document, name, formula)
    return name


def _into_port(
    document: libsbml.Model, model: Model, symbols: Mapping[str, Symbol], drug: Drug, action: Action
) -> Iterator[Wire]:
    """Let the concentration enter a module, in amounts of a drug with the affinity that the module has."""
    owner, _, local = action.port.partition(".")
    instances = [name for name, module in model.instances.items() if module == owner] or [owner]
    for instance in instances:
        if f"{instance}.{local}" not in model.ids:
            continue
        name = f"{drug.name}__{local}" + ("" if len(instances) == 1 else f"_in_{instance}")
        affinity = _WORD.sub(lambda word, at=instance: model.id(f"{at}.{word[0]}"), action.port_affinity)  # type: ignore[misc]
        formula = f"{drug.name}__{action.concentration}*({affinity})/{drug.name}__{action.affinity}"
        add_parameter(document, name, "nM", title=f"{drug.title} that {instance} sees")
        compute(document, name, formula)
        yield from _added(document, symbols, drug, name, [model.ids[f"{instance}.{local}"]], f"{instance}.{local}")


def _added(
    document: libsbml.Model, symbols: Mapping[str, Symbol], drug: Drug, addend: str, ports: list[str], reader: str
) -> Iterator[Wire]:
    for flat in ports:
        if add(document, symbols[flat], addend):
            yield Wire(reader=reader, writers=(addend.replace("__", ".", 1),), formula=addend, unit=symbols[flat].unit)


def _on_target(
    document: libsbml.Model,
    symbols: Mapping[str, Symbol],
    drug: Drug,
    action: Action,
    engaged: str,
    acts: tuple[tuple[str, str], ...],
) -> Iterator[Wire]:
    """Multiply what the target blocks by 1 minus the effect, and what it boosts by 1 plus the effect."""
    most = drug.value(action.maximum)
    if most > 1 and any(sign == "-" for _, sign in acts):
        raise DrugError(
            f"drug {drug.name!r}: {action.maximum} is {most:g}, but what {action.target!r} blocks cannot lose more than"
            " all of it; give at most 1"
        )
    for sign in "-+":
        constants = [flat for flat, each in acts if each == sign]
        if not constants:
            continue
        name = f"{drug.name}__{'left' if sign == '-' else 'boost'}_of_{action.target}"
        add_parameter(document, name, "dimensionless", title=f"factor of {drug.title} on {action.target}")
        compute(document, name, f"1 dimensionless {sign} {engaged}")
        for flat in constants:
            if multiply(document, symbols[flat], name):
                yield Wire(
                    reader=flat,
                    writers=(f"{drug.name}.u_{action.target}",),
                    formula=name.replace("__", ".", 1),
                    unit="dimensionless",
                )


def _effects(document: libsbml.Model, drug: Drug) -> Iterator[str]:
    """Yield the local ids of all parameters that stand under the name of the drug."""
    prefix = f"{drug.name}__"
    return (p.getId().removeprefix(prefix) for p in document.getListOfParameters() if p.getId().startswith(prefix))
