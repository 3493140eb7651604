"""Loads modules and compositions, shipped or of the user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade import _sbml, _terms
from cascade._files import read_text
from cascade.assembly import Assembly, assemble
from cascade.build import build_module, module_options
from cascade.composition_file import Written, read_composition
from cascade.errors import CompositionError, ModuleError, unknown_name
from cascade.evidence import read_parameters
from cascade.library import bibliography_keys as bibliography_keys
from cascade.library import composition_folder as composition_folder
from cascade.library import composition_names as composition_names
from cascade.library import evidence_names as evidence_names
from cascade.library import is_module as is_module
from cascade.library import library_folder as library_folder
from cascade.library import module_folder as module_folder
from cascade.library import module_names as module_names
from cascade.library import module_title as module_title
from cascade.library import require_known as require_known
from cascade.specs import Composition, Direction, Module, Parameter, Port
from cascade.units import SUBSTANCE_OF

_DIRECTION_OF_TERM: dict[int, Direction] = {term: direction for direction, term in _terms.PORT.items()}


def load_module(name: str | Path, /, **options: int) -> Module:
    """Load a module.

    Parameters
    ----------
    name : str or Path
        The name of a shipped module, or the path of a module folder.
    **options : int
        Options of a module whose structure is a template, such as `n_classes=16`. A structure that differs from the
        default is built in memory.

    Returns
    -------
    Module

    Raises
    ------
    UnknownNameError
        If there is no such module or option; the message names the closest ones.
    ModuleError
        If the folder is incomplete, its SBML does not belong to its table, or an option is not an integer.
    """
    folder = module_folder(name)
    path = folder / f"{folder.name}.xml"
    changed = _changed(folder, options)
    if changed:
        text = build_module(folder, changed)
    elif path.is_file():
        text = read_text(path, ModuleError)
    else:
        raise ModuleError(f"{folder} has no {path.name}; run `cascade build {name}` first")
    document = _sbml.read_document(text, path.name)
    parameters = read_parameters(folder / "parameters.tsv")
    _require_same_numbers(document.getModel(), parameters, folder.name)
    return Module(
        name=folder.name,
        path=folder,
        sbml=text,
        ports=_read_ports(document, folder.name),
        parameters=parameters,
        options=changed,
    )


def single_options(
    name: str,
    index: Mapping[str, Sequence[str]] | None,
    structure: Mapping[str, Mapping[str, int]] | None,
) -> Mapping[str, int]:
    """Return the structure options of a module that stands alone; it has no index sets and no other module."""
    if index:
        raise CompositionError(f"{name!r} is a module, which has no index sets; give a composition")
    _require_mapping(structure or {})
    for module in structure or {}:
        if module != name:
            raise unknown_name("module", module, (name,), f"module {name!r}")
    return (structure or {}).get(name, {})


def load(
    name: str | Path,
    index: Mapping[str, Sequence[str]] | None = None,
    structure: Mapping[str, Mapping[str, int]] | None = None,
) -> Module | Composition:
    """Load a module or a composition, whichever the name means; see `load_module` and `load_composition`."""
    require_known(name)
    if not is_module(name):
        return load_composition(name, index, structure)
    folder = module_folder(name)
    return load_module(folder, **single_options(folder.name, index, structure))


def _changed(folder: Path, options: Mapping[str, int]) -> dict[str, int]:
    """Return the options that are not the defaults; what is unknown or no integer stays for the builder to refuse."""
    defaults = module_options(folder) if options else {}
    return {name: value for name, value in options.items() if type(value) is not int or value != defaults.get(name)}


def _require_same_numbers(model: Any, parameters: tuple[Parameter, ...], name: str) -> None:
    for row in parameters:
        parameter = model.getParameter(row.id)
        same = parameter is not None and (parameter.getValue(), parameter.getUnits()) == (row.nominal, row.unit)
        if not same:
            raise ModuleError(
                f"module {name!r}: {row.id!r} differs between {name}.xml and parameters.tsv; run `cascade build {name}`"
            )


def _read_ports(document: Any, name: str) -> tuple[Port, ...]:
    model = document.getModel()
    plugin = model.getPlugin("comp")
    ports = []
    for port in plugin.getListOfPorts() if plugin is not None else ():
        symbol = port.getIdRef()
        if model.getSpecies(symbol) is None and model.getParameter(symbol) is None:
            raise ModuleError(
                f"module {name!r}: port {port.getId()!r} refers to {symbol!r}, which is no species or parameter of"
                f" {name}.xml; run `cascade build {name}`"
            )
        direction = _DIRECTION_OF_TERM.get(port.getSBOTerm())
        if direction is None:
            raise ModuleError(f"module {name!r}: port {symbol!r} has no direction; run `cascade build {name}`")
        ports.append(
            Port(
                id=symbol,
                direction=direction,
                unit=symbol_unit(model, symbol),
                name=symbol_name(model, symbol),
                is_species=model.getSpecies(symbol) is not None,
            )
        )
    return tuple(ports)


def symbol_unit(model: Any, symbol: str) -> str:
    """Return the unit id of a species (its concentration unit unless it is counted) or of a parameter."""
    species = model.getSpecies(symbol)
    if species is None:
        return str(model.getElementBySId(symbol).getUnits())
    unit = str(species.getSubstanceUnits())
    if species.getHasOnlySubstanceUnits():
        return unit
    concentration = {substance: name for name, substance in SUBSTANCE_OF.items()}
    return concentration.get(unit, f"{unit}_per_litre")


def symbol_name(model: Any, symbol: str) -> str:
    """Return the display name of a symbol, or its id."""
    element = model.getElementBySId(symbol)
    return str(element.getName() or symbol)


def load_composition(
    name: str | Path,
    index: Mapping[str, Sequence[str]] | None = None,
    structure: Mapping[str, Mapping[str, int]] | None = None,
) -> Composition:
    """Load a composition.

    Parameters
    ----------
    name : str or Path
        The name of a shipped composition, or the path of a folder with `composition.toml` and, if values differ from
        those of the modules, `parameters.tsv`.
    index : mapping of str to sequence of str, optional
        Index sets that replace those of the file, such as `{"organ": ["bone", "lung"]}`. Instances, groups, joins and
        values of members that are left out are left out with them.
    structure : mapping of str to mapping of str to int, optional
        Options of modules whose structure is a template, such as `{"lesions": {"n_classes": 16}}`; the others keep
        what the file or the module says.

    Returns
    -------
    Composition

    Raises
    ------
    UnknownNameError
        If there is no such composition, index set or option, or it names a module that does not exist.
    CompositionError
        If `composition.toml` cannot be read, has unknown entries, or does not fit together.
    """
    folder = composition_folder(name)
    written = read_composition(folder)
    assembly = assemble(written, index)
    return Composition(
        name=folder.name,
        path=folder,
        title=written.title,
        instances=_load_instances(assembly, _options(written, structure or {})),
        groups={group: members for group, members in assembly.groups.items() if members},
        shared=assembly.shared,
        joins=assembly.joins,
        parameters=assembly.parameters,
        overrides=assembly.overrides,
        group_values=assembly.group_values,
        index=dict(assembly.sets),
        quasi_steady=written.quasi_steady,
        start=written.start,
        bases=tuple(base.name for base in written.bases),
        years=written.years,
    )


def _load_instances(assembly: Assembly, options: Mapping[str, Mapping[str, int]]) -> dict[str, Module]:
    """Load each module once, however many instances it has."""
    modules = {
        module: load_module(module, **options.get(Path(module).name, {}))
        for module in dict.fromkeys(assembly.instances.values())
    }
    instances = {instance: modules[module] for instance, module in assembly.instances.items()}
    _require_one_folder_per_name(instances)
    return instances


def _options(written: Written, given: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return the options by module, those of the caller over those of the file."""
    _require_mapping(given)
    modules = {Path(module).name for module in written.instances.values()}
    for module in (*written.structure, *given, *written.quasi_steady, *written.start):
        if module not in modules:
            raise unknown_name("module", module, modules, f"composition {written.path.name!r}")
    for module, options in given.items():
        if not isinstance(options, Mapping):
            raise CompositionError(f"structure of {module!r} is {options!r}; give a mapping such as {{'n_classes': 8}}")
    return {module: {**written.structure.get(module, {}), **given.get(module, {})} for module in modules}


def _require_mapping(structure: object) -> None:
    if not isinstance(structure, Mapping):
        raise CompositionError(f"structure is {structure!r}; give a mapping such as {{'lesions': {{'n_classes': 8}}}}")


def _require_one_folder_per_name(instances: dict[str, Module]) -> None:
    folders: dict[str, Path] = {}
    for module in instances.values():
        if folders.setdefault(module.name, module.path) != module.path:
            raise CompositionError(
                f"two modules are called {module.name!r}: {folders[module.name]} and {module.path}; rename one folder"
            )
