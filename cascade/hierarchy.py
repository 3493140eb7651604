"""Writes a composition as hierarchical SBML: one model definition a module, one submodel an instance, ports joined.

Verified pattern: a top-level parameter stands for a joined output (`replacedBy` the owner's port) and replaces the
input of each direct reader; an input driven by a formula is replaced by a top-level parameter with that formula.
"""

from __future__ import annotations

import re

import libsbml

from cascade import _sbml, _terms
from cascade.catalogue import symbol_name, symbol_unit
from cascade.joins import Link, shares, token
from cascade.specs import Composition, Parameter, Port

_SIGNAL = "signal_"


def signal(port: Port) -> str:
    """Return the id of the parameter through which an output speaks.

    A species must not replace a parameter of a rate law (it would need to be a modifier there), so a joined species
    speaks through a parameter with the assignment rule `signal_<species> := <species>`.
    """
    return _SIGNAL + port.id if port.is_species else port.id


def write_hierarchical(composition: Composition, links: tuple[Link, ...]) -> libsbml.SBMLDocument:
    document = libsbml.SBMLDocument(libsbml.SBMLNamespaces(3, 2, "comp", 1))
    document.setPackageRequired("comp", True)
    model = document.createModel()
    model.setId(_model_id(composition))
    if composition.title:
        model.setName(composition.title)
    _sbml.set_model_units(model)
    _sbml.add_units(model, set(_sbml.MODEL_UNITS.values()))
    _add_definitions(document, composition, links)
    plugin = model.getPlugin("comp")
    for name, module in composition.instances.items():
        submodel = plugin.createSubmodel()
        submodel.setId(name)
        submodel.setModelRef(module.name)
    for row in composition.parameters:
        _add_constant(model, row.id, row)
    _add_outputs(model, composition, links)
    _add_inputs(model, composition, links)
    _add_values(model, composition, links)
    return document


def _model_id(composition: Composition) -> str:
    """Return an id for the model: the name of the composition, made one that nothing else in the document has.

    A folder may be called as one of its modules, or by what is no id of SBML. Double underscores belong to submodels.
    """
    taken = {*composition.instances, *(module.name for module in composition.instances.values())}
    taken |= {row.id for row in composition.parameters}
    name = re.sub(r"[\W_]+", "_", composition.name, flags=re.ASCII)
    if not name[:1].isalpha():
        name = f"model_{name.strip('_')}".rstrip("_")
    while name in taken:
        name += "_model"
    return name


def _add_definitions(document: libsbml.SBMLDocument, composition: Composition, links: tuple[Link, ...]) -> None:
    joined = {(composition.instances[instance].name, port) for link in links for instance, port in link.writers}
    for module in {module.name: module for module in composition.instances.values()}.values():
        definition = _sbml.read_document(module.sbml, module.name).getModel()
        for name, port in sorted(joined):
            if name == module.name and module.port(port).is_species:
                _add_signal(definition, port)
        document.getPlugin("comp").addModelDefinition(libsbml.ModelDefinition(definition))


def _add_signal(model: libsbml.Model, species: str) -> None:
    name = f"{symbol_name(model, species)} (signal)"
    parameter = _add_parameter(model, _SIGNAL + species, name, symbol_unit(model, species), None)
    parameter.setConstant(False)
    parameter.setSBOTerm(_terms.parameter_term(species))
    rule = model.createAssignmentRule()
    rule.setVariable(parameter.getId())
    rule.setMath(libsbml.parseL3FormulaWithModel(species, model))  # `pi` would be the number
    port = model.getPlugin("comp").createPort()
    port.setId(parameter.getId())
    port.setIdRef(parameter.getId())
    port.setSBOTerm(_terms.PORT["out"])


def _add_constant(model: libsbml.Model, name: str, row: Parameter) -> libsbml.Parameter:
    parameter = _add_parameter(model, name, row.name, row.unit, row.nominal)
    parameter.setConstant(True)
    parameter.setSBOTerm(_terms.parameter_term(row.id.rpartition(".")[2]))
    _terms.annotate_genes(parameter, row.gene)
    return parameter


def _add_variable(model: libsbml.Model, name: str, port: Port) -> libsbml.Parameter:
    # libSBML asks for a value (80702); the rule that stands for it decides.
    parameter = _add_parameter(model, name, port.name, port.unit, 0)
    parameter.setConstant(False)
    parameter.setSBOTerm(_terms.parameter_term(port.id))
    return parameter


def _add_parameter(model: libsbml.Model, name: str, display: str, unit: str, value: float | None) -> libsbml.Parameter:
    _sbml.add_units(model, {unit})
    parameter = model.createParameter()
    parameter.setId(name)
    # comp asks what replaces an element with a metaid to have one itself
    parameter.setMetaId(f"{model.getId()}.{name}")
    parameter.setName(display)
    parameter.setUnits(unit)
    if value is not None:
        parameter.setValue(value)
    return parameter


def _replace(parameter: libsbml.Parameter, instance: str, reference: str, *, port: bool) -> None:
    replaced = parameter.getPlugin("comp").createReplacedElement()
    replaced.setSubmodelRef(instance)
    if port:
        replaced.setPortRef(reference)
    else:
        replaced.setIdRef(reference)


def _add_outputs(model: libsbml.Model, composition: Composition, links: tuple[Link, ...]) -> None:
    """Add one top-level stub for each joined output; it stands for the output and for its direct readers."""
    for instance, port_id in dict.fromkeys(writer for link in links for writer in link.writers):
        port = composition.instances[instance].port(port_id)
        stub = _add_variable(model, token(instance, port_id), port)
        owner = stub.getPlugin("comp").createReplacedBy()
        owner.setSubmodelRef(instance)
        owner.setPortRef(signal(port))
        for link in links:
            if link.direct and link.writers[0] == (instance, port_id):
                _replace(stub, *link.reader, port=True)


def _add_inputs(model: libsbml.Model, composition: Composition, links: tuple[Link, ...]) -> None:
    """Add one top-level parameter with an assignment rule for each input that a formula drives."""
    for link in links:
        if link.direct:
            continue
        instance, port = link.reader
        spec = composition.instances[instance].port(port)
        parameter = _add_variable(model, f"input_{instance}__{port}", spec)
        rule = model.createAssignmentRule()
        rule.setVariable(parameter.getId())
        math = link.math
        for number in _sbml.literals(math):
            number.setUnits("dimensionless")
        rule.setMath(math)
        _replace(parameter, instance, port, port=True)


def _add_values(model: libsbml.Model, composition: Composition, links: tuple[Link, ...]) -> None:
    """Add one top-level constant for each overridden value and for each value that a group shares."""
    for name, row in composition.overrides.items():
        instance, _, local = name.partition(".")
        _replace_constant(model, composition, f"value_{instance}__{local}", row, (instance,))
    for share in shares(composition, links):
        name = f"value_{share.group}__{share.parameter.id}"
        _replace_constant(model, composition, name, share.parameter, share.members)


def _replace_constant(
    model: libsbml.Model, composition: Composition, name: str, row: Parameter, members: tuple[str, ...]
) -> None:
    local = row.id.rpartition(".")[2]
    parameter = _add_constant(model, name, row)
    for member in members:
        ports = {port.id for port in composition.instances[member].ports}
        _replace(parameter, member, local, port=local in ports)
