"""Builds a module: structure (`.ant`) and numbers (`parameters.tsv`) become one SBML document.

Antimony supplies the structure; everything that a number needs (value, unit, name, gene) comes from the table, and
libSBML writes both together. This is the only file that imports antimony.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import libsbml

from cascade import _sbml, _terms
from cascade._files import read_text, write_text
from cascade.errors import CascadeError, ModuleError
from cascade.evidence import read_parameters
from cascade.specs import Issue, Parameter
from cascade.template import render, template_options
from cascade.units import SUBSTANCE_OF, parse_unit


@dataclass(frozen=True)
class _Source:
    """What Antimony makes of a structure file."""

    name: str
    sbml: str
    ports: tuple[str, ...]


def build_module(folder: Path, options: Mapping[str, int] | None = None) -> str:
    """Make the SBML text of a module folder.

    Parameters
    ----------
    folder : Path
        A folder with `<name>.ant` and `parameters.tsv`, where `<name>` is the folder's name.
    options : mapping of str to int, optional
        Options of a structure that is a template, such as `{"n_classes": 16}`; the others keep their defaults.

    Returns
    -------
    str
        SBML L3V2 with comp ports, units, SBO terms and annotations.

    Raises
    ------
    ModuleError
        With every mismatch between structure and table.
    """
    structure = folder / f"{folder.name}.ant"
    text = render(_read_structure(folder), options or {}, structure.name)
    table = {row.id: row for row in read_parameters(folder / "parameters.tsv")}
    source = _load_antimony(text, structure)
    document = libsbml.readSBMLFromString(source.sbml)
    model = document.getModel()
    _require_same_ids(model, table, folder.name)
    _write_units(model, table, folder.name)
    _write_numbers(model, table)
    _write_literal_units(model)
    _write_terms(model, table)
    _write_ports(document, source.ports)
    return _sbml.write_document(document)


def module_options(folder: Path) -> dict[str, int]:
    """Return the options of a module's structure with their defaults; none unless it is a template."""
    return template_options(_read_structure(folder), f"{folder.name}.ant")


def _read_structure(folder: Path) -> str:
    path = folder / f"{folder.name}.ant"
    if not path.is_file():
        raise ModuleError(f"{folder} has no {path.name}; a module folder holds <name>.ant and parameters.tsv")
    return read_text(path, ModuleError)


def check_build(folder: Path) -> list[Issue]:
    """Build a module in memory and return everything that libSBML finds wrong with it."""
    try:
        text = build_module(folder)
    except CascadeError as error:
        return [Issue(severity="error", where=folder.name, what=str(error))]
    return _sbml.check_document(libsbml.readSBMLFromString(text), folder.name)


def write_module(folder: Path) -> Path:
    """Build a module and write `<name>.xml` beside its sources."""
    return write_text(folder / f"{folder.name}.xml", build_module(folder))


def _load_antimony(text: str, path: Path) -> _Source:
    import antimony

    _refuse_bombs(text, path.name)
    antimony.clearPreviousLoads()
    try:
        if antimony.loadAntimonyString(text) < 0:
            raise ModuleError(f"{path.name}: {_last_error()}")
        name = path.stem
        if name not in antimony.getModuleNames():
            raise ModuleError(f"{path.name}: has no `model {name}(...)`; the model is named as its folder")
        ports = tuple(antimony.getSymbolNamesInInterfaceOf(name))
        return _Source(name=name, sbml=antimony.getSBMLString(name), ports=ports)
    finally:
        antimony.clearPreviousLoads()


def _last_error() -> str:
    import antimony

    try:
        return str(antimony.getLastError())
    except UnicodeDecodeError:  # it quotes a part of a letter
        return "cannot be read near a letter that is not ASCII; write ids in ASCII"


_SILENT = re.compile(r'//[^\n]*|#[^\n]*|/\*.*?\*/|"""[\s\S]*?"""|```[\s\S]*?```|"[^"\n]*"', re.DOTALL)
_MODEL = re.compile(r"\b(?:model|module)\s+\*?\w+")

MAX_STRUCTURE = 300_000
"""Characters of a structure with its template written out; the largest shipped one has 90,000 with 200 classes."""

MAX_STATEMENT = 8_000
"""Characters of a statement; Antimony takes a time that grows with their square, some seconds for these."""


def _refuse_bombs(text: str, name: str) -> None:
    """Refuse a structure on which Antimony never comes back, or that reads other files."""
    code = _SILENT.sub(" ", text)
    longest = max(map(len, re.split(r"[;\n]", code)))
    if len(text) > MAX_STRUCTURE or longest > MAX_STATEMENT:
        raise ModuleError(
            f"{name}: {len(text)} characters, the longest statement {longest}; the limits are {MAX_STRUCTURE} and"
            f" {MAX_STATEMENT}: split formulas and modules"
        )
    if re.search(r"\bimport\b", code):
        raise ModuleError(f"{name}: imports another file; a module folder holds all of its structure")
    if len(_MODEL.findall(code)) > 1:
        raise ModuleError(f"{name}: holds {len(_MODEL.findall(code))} models; a module folder holds one: compose them")


def _constants(model: libsbml.Model) -> set[str]:
    """Return the parameters that only a table can give a value: no rule, no event, no structural number."""
    ruled = {rule.getVariable() for rule in model.getListOfRules()}
    started = {assignment.getSymbol() for assignment in model.getListOfInitialAssignments()}
    return {
        p.getId()
        for p in model.getListOfParameters()
        if p.getId() not in ruled and p.getId() not in started and not p.isSetValue()
    }


def _require_same_ids(model: libsbml.Model, table: dict[str, Parameter], name: str) -> None:
    constants = _constants(model)
    problems = [
        f"{i} is used in the structure but has no row in parameters.tsv" for i in sorted(constants - set(table))
    ]
    problems += [
        f"{i} has a row in parameters.tsv but the structure does not use it" for i in sorted(set(table) - constants)
    ]
    valued = [p.getId() for p in model.getListOfParameters() if p.getConstant() and p.isSetValue()]
    problems += [f"{i} has a number in the structure; numbers live in parameters.tsv" for i in valued]
    if problems:
        raise ModuleError(f"module {name!r}:\n  " + "\n  ".join(problems))


def _write_units(model: libsbml.Model, table: dict[str, Parameter], name: str) -> None:
    used = set(_sbml.MODEL_UNITS.values())
    problems = []
    for compartment in model.getListOfCompartments():
        compartment.setUnits("litre")
    for species in model.getListOfSpecies():
        unit = species.getSubstanceUnits().removesuffix("_volume")
        if not unit:
            problems.append(f"species {species.getId()} has no unit; write `{species.getId()} has nM;`")
            continue
        if not species.getHasOnlySubstanceUnits():
            if unit not in SUBSTANCE_OF:
                problems.append(
                    f"species {species.getId()} is a concentration in {unit}; use " + ", ".join(SUBSTANCE_OF)
                )
                continue
            unit = SUBSTANCE_OF[unit]
        species.setSubstanceUnits(unit)
        used.add(unit)
    for parameter in model.getListOfParameters():
        if parameter.getId() in table:
            parameter.setUnits(table[parameter.getId()].unit)
        if not parameter.isSetUnits():
            problems.append(f"{parameter.getId()} has no unit; write `{parameter.getId()} has dimensionless;`")
        used.add(parameter.getUnits())
    if problems:
        raise ModuleError(f"module {name!r}:\n  " + "\n  ".join(problems))
    # Antimony leaves empty definitions under the same ids.
    while model.getNumUnitDefinitions():
        model.removeUnitDefinition(0)
    for unit in used:
        parse_unit(unit)
    _sbml.add_units(model, used)
    _sbml.set_model_units(model)


def _write_numbers(model: libsbml.Model, table: dict[str, Parameter]) -> None:
    for parameter in model.getListOfParameters():
        row = table.get(parameter.getId())
        if row is not None:
            parameter.setValue(row.nominal)
            parameter.setName(row.name)
    for reaction in model.getListOfReactions():
        reaction.setReversible(False)


def _write_literal_units(model: libsbml.Model) -> None:
    """Give every number of a formula a unit: dimensionless, or its variable's where it is the whole formula."""
    for formula in _formulas(model):
        for number in _sbml.literals(formula):
            number.setUnits("dimensionless")
    for event in model.getListOfEvents():
        for assignment in event.getListOfEventAssignments():
            math = assignment.getMath()
            if math.isNumber():
                math.setUnits(_unit_of(model, assignment.getVariable()))
                assignment.setMath(math)
    for start in model.getListOfInitialAssignments():
        math = start.getMath()
        if math.isNumber():
            math.setUnits(_unit_of(model, start.getSymbol()))


def _unit_of(model: libsbml.Model, variable: str) -> str:
    species = model.getSpecies(variable)
    if species is None:
        return str(model.getParameter(variable).getUnits())
    if species.getHasOnlySubstanceUnits():
        return str(species.getSubstanceUnits())
    concentration = {substance: unit for unit, substance in SUBSTANCE_OF.items()}[species.getSubstanceUnits()]
    _sbml.add_units(model, {concentration})
    return concentration


def _formulas(model: libsbml.Model) -> list[libsbml.ASTNode]:
    found = [rule.getMath() for rule in model.getListOfRules()]
    found += [start.getMath() for start in model.getListOfInitialAssignments()]
    found += [r.getKineticLaw().getMath() for r in model.getListOfReactions() if r.getKineticLaw()]
    for event in model.getListOfEvents():
        found.append(event.getTrigger().getMath())
        found += [assignment.getMath() for assignment in event.getListOfEventAssignments()]
    return found


def _write_terms(model: libsbml.Model, table: dict[str, Parameter]) -> None:
    for compartment in model.getListOfCompartments():
        compartment.setSBOTerm(_terms.COMPARTMENT)
    for species in model.getListOfSpecies():
        if not species.isSetSBOTerm():
            species.setSBOTerm(_terms.MATERIAL_ENTITY)
    for parameter in model.getListOfParameters():
        if not parameter.isSetSBOTerm():
            parameter.setSBOTerm(_terms.parameter_term(parameter.getId()))
        if not parameter.isSetMetaId():
            parameter.setMetaId(f"{model.getId()}.{parameter.getId()}")
        if parameter.getId() in table:
            _terms.annotate_genes(parameter, table[parameter.getId()].gene)
    for reaction in model.getListOfReactions():
        if not reaction.isSetSBOTerm():
            reaction.setSBOTerm(_terms.reaction_term(reaction))


def _write_ports(document: libsbml.SBMLDocument, ports: tuple[str, ...]) -> None:
    model = document.getModel()
    document.enablePackage("http://www.sbml.org/sbml/level3/version1/comp/version1", "comp", True)
    document.setPackageRequired("comp", True)
    plugin = model.getPlugin("comp")
    inputs = {p.getId() for p in model.getListOfParameters() if p.getConstant()}
    for port_id in ports:
        port = plugin.createPort()
        port.setId(port_id)
        port.setIdRef(port_id)
        port.setSBOTerm(_terms.PORT["in" if port_id in inputs else "out"])
