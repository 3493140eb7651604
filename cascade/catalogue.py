"""What is shipped and what the user adds: finds module and composition folders and reads them."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from cascade import _sbml, _terms
from cascade.errors import CascadeError, CompositionError, ModuleError, unknown_name
from cascade.evidence import read_parameters
from cascade.specs import Composition, Direction, Join, Module, Parameter, Port
from cascade.units import SUBSTANCE_OF

_BIB_KEY = re.compile(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", re.MULTILINE)
_DIRECTION_OF_TERM: dict[int, Direction] = {term: direction for direction, term in _terms.PORT.items()}


@lru_cache(maxsize=1)
def library_folder() -> Path:
    """Return the folder of the shipped models: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    for folder in (package / "sbml_models", package.parent / "sbml_models"):
        if folder.is_dir():
            return folder
    raise CascadeError(f"the shipped models are missing: no sbml_models in {package} or beside it; reinstall cascade")


def module_names() -> tuple[str, ...]:
    """Return the names of the shipped modules."""
    return tuple(sorted(f.name for f in library_folder().iterdir() if (f / f"{f.name}.ant").is_file()))


def composition_names() -> tuple[str, ...]:
    """Return the names of the shipped compositions."""
    folder = library_folder() / "compositions"
    return tuple(sorted(f.name for f in folder.iterdir() if (f / "composition.toml").is_file()))


def evidence_names() -> tuple[str, ...]:
    """Return the shipped modules and compositions that have a table of published facts."""
    folders = {name: module_folder(name) for name in module_names()}
    folders |= {name: composition_folder(name) for name in composition_names()}
    return tuple(name for name, folder in folders.items() if (folder / "evidence.tsv").is_file())


def module_folder(name: str | Path) -> Path:
    """Return the folder of a module given by a shipped name or a path.

    Raises
    ------
    UnknownNameError
        If there is neither such a name nor such a folder.
    """
    shipped = library_folder() / str(name)
    if "/" not in str(name) and (shipped / f"{shipped.name}.ant").is_file():
        return shipped
    path = Path(name).expanduser()
    if path.is_dir():
        return path.resolve()
    raise unknown_name("module", str(name), module_names(), "the catalog, and no folder has this path")


def composition_folder(name: str | Path) -> Path:
    """Return the folder of a composition given by a shipped name or a path."""
    shipped = library_folder() / "compositions" / str(name)
    if "/" not in str(name) and (shipped / "composition.toml").is_file():
        return shipped
    path = Path(name).expanduser()
    if path.name == "composition.toml":
        path = path.parent
    if (path / "composition.toml").is_file():
        return path.resolve()
    if path.is_dir():
        raise CompositionError(
            f"{path} is neither a module (it has no {path.resolve().name}.ant) nor a composition (no composition.toml)"
        )
    raise unknown_name("composition", str(name), composition_names(), "the catalog, and no folder has this path")


def is_module(name: str | Path) -> bool:
    """Tell whether a name or path means a module (and not a composition)."""
    if str(name) in composition_names():
        return False
    path = Path(name).expanduser()
    return str(name) in module_names() or (path / f"{path.resolve().name}.ant").is_file()


def load_module(name: str | Path) -> Module:
    """Load a module.

    Parameters
    ----------
    name : str or Path
        The name of a shipped module, or the path of a module folder.

    Returns
    -------
    Module

    Raises
    ------
    UnknownNameError
        If there is no such module; the message names the closest ones.
    ModuleError
        If the folder is incomplete, or its SBML does not belong to its table.
    """
    folder = module_folder(name)
    path = folder / f"{folder.name}.xml"
    if not path.is_file():
        raise ModuleError(f"{folder} has no {path.name}; run `cascade build {name}` first")
    text = path.read_text(encoding="utf-8")
    document = _sbml.read_document(text, path.name)
    parameters = read_parameters(folder / "parameters.tsv")
    _require_same_numbers(document.getModel(), parameters, folder.name)
    return Module(
        name=folder.name, path=folder, sbml=text, ports=_read_ports(document, folder.name), parameters=parameters
    )


def _require_same_numbers(model: Any, parameters: tuple[Parameter, ...], name: str) -> None:
    for row in parameters:
        parameter = model.getParameter(row.id)
        if parameter is None or parameter.getValue() != row.nominal:
            raise ModuleError(
                f"module {name!r}: {row.id!r} differs between {name}.xml and parameters.tsv; run `cascade build {name}`"
            )


def _read_ports(document: Any, name: str) -> tuple[Port, ...]:
    model = document.getModel()
    plugin = model.getPlugin("comp")
    ports = []
    for port in plugin.getListOfPorts() if plugin is not None else ():
        symbol = port.getIdRef()
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


def bibliography_keys(folder: Path | None = None) -> set[str]:
    """Return the keys of the shipped `references.bib`, and of one in `folder` or beside it."""
    keys: set[str] = set()
    folders = [library_folder()] + ([folder, folder.parent] if folder else [])
    for path in {f / "references.bib" for f in folders}:
        if path.is_file():
            keys |= set(_BIB_KEY.findall(path.read_text(encoding="utf-8")))
    return keys


def load_composition(name: str | Path) -> Composition:
    """Load a composition.

    Parameters
    ----------
    name : str or Path
        The name of a shipped composition, or the path of a folder with `composition.toml` and, if values differ from
        those of the modules, `parameters.tsv`.

    Returns
    -------
    Composition

    Raises
    ------
    UnknownNameError
        If there is no such composition or it names a module that does not exist.
    CompositionError
        If `composition.toml` cannot be read or has unknown entries.
    """
    folder = composition_folder(name)
    data = _read_toml(folder / "composition.toml")
    rows = read_parameters(folder / "parameters.tsv") if (folder / "parameters.tsv").is_file() else ()
    instances = {
        instance: load_module(folder / module if (folder / module).is_dir() else module)
        for instance, module in data["instances"].items()
    }
    _require_one_folder_per_name(instances)
    return Composition(
        name=folder.name,
        path=folder,
        title=data.get("title", ""),
        instances=instances,
        groups={group: tuple(members) for group, members in data.get("groups", {}).items()},
        shared=tuple(data.get("shared", ())),
        joins=tuple(Join(reader=reader, formula=formula) for reader, formula in data.get("joins", {}).items()),
        parameters=tuple(row for row in rows if "." not in row.id),
        overrides={row.id: row for row in rows if "." in row.id},
    )


_TOML_ENTRIES = {"title": str, "description": str, "instances": dict, "groups": dict, "shared": list, "joins": dict}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CompositionError(f"cannot read {path}: {error}") from error
    for entry, value in data.items():
        if entry not in _TOML_ENTRIES:
            raise CompositionError(f"{path}: unknown entry {entry!r}; known: {', '.join(_TOML_ENTRIES)}")
        if not isinstance(value, _TOML_ENTRIES[entry]):
            raise CompositionError(f"{path}: {entry!r} must be a {_TOML_ENTRIES[entry].__name__}")
    if not data.get("instances"):
        raise CompositionError(f'{path}: names no [instances]; write for example: bone = "organ_niche"')
    for table in ("instances", "joins"):
        for key, value in data.get(table, {}).items():
            if not isinstance(value, str):
                raise CompositionError(f"{path}: [{table}] {key} must be text, found {value!r}")
    for group, members in data.get("groups", {}).items():
        unknown = [m for m in members if m not in data["instances"]] if isinstance(members, list) else [members]
        if unknown or group in data["instances"]:
            raise CompositionError(f"{path}: group {group!r} must list instances and not be one; wrong: {unknown}")
    for group in data.get("shared", []):
        modules = {data["instances"][member] for member in data.get("groups", {}).get(group, [])}
        if len(modules) != 1:
            raise CompositionError(f"{path}: shared group {group!r} must be a group of instances of one module")
    return data


def _require_one_folder_per_name(instances: dict[str, Module]) -> None:
    folders: dict[str, Path] = {}
    for module in instances.values():
        if folders.setdefault(module.name, module.path) != module.path:
            raise CompositionError(
                f"two modules are called {module.name!r}: {folders[module.name]} and {module.path}; rename one folder"
            )


def module_title(name: str) -> str:
    """Return what a module's README says after the name in its first line (`# name: title`)."""
    path = module_folder(name) / "README.md"
    first = path.read_text(encoding="utf-8").splitlines()[:1] if path.is_file() else []
    return first[0].partition(":")[2].strip() if first else ""
