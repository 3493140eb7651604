"""Reads `composition.toml` with its parameter table, and takes over what it extends; expands nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cascade._files import is_path
from cascade._tables import is_number, read_toml
from cascade.errors import CompositionError
from cascade.evidence import read_parameters
from cascade.expansion import resolve_sets
from cascade.library import composition_names, shipped_composition
from cascade.specs import Parameter

DEEPEST = 4
"""How many compositions may extend each other in a row."""

_ENTRIES = {
    "title": str,
    "description": str,
    "abstract": bool,
    "years": float,
    "extends": str,
    "index": dict,
    "instances": dict,
    "groups": dict,
    "shared": list,
    "joins": dict,
    "structure": dict,
    "quasi_steady": dict,
    "start": dict,
}
_TEXTS = ("instances", "joins")
_LISTS = ("index", "groups", "quasi_steady")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What stands in a composition file and in those that it extends, with placeholders as written.

    `ever` holds the instances and `formulas` the joins of all of them, also those that were replaced or removed;
    `members` holds every member that an index set has in any of them. They tell what is left out from what is wrong.
    """

    path: Path
    title: str = ""
    bases: tuple[Path, ...] = ()
    years: float | None = None
    index: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instances: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    joins: Mapping[str, str] = field(default_factory=dict)
    structure: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    quasi_steady: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    ever: tuple[str, ...] = ()
    formulas: tuple[tuple[str, str], ...] = ()
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file, for messages."""
        return str(self.path / "composition.toml")


def read_composition(folder: Path) -> Written:
    """Read the composition in a folder.

    Raises
    ------
    CompositionError
        If a file cannot be read, has unknown or malformed entries, or extends what it may not.
    """
    written = _read(folder, ())
    if not written.instances:
        raise CompositionError(f'{written.file}: names no [instances]; write for example: bone = "organ_niche"')
    return written


def _read(folder: Path, above: tuple[Path, ...]) -> Written:
    path = folder / "composition.toml"
    data = _read_toml(path)
    base = Written(path=folder)
    if "extends" in data:
        parent = _base_folder(folder, data["extends"])
        _require_no_circle(parent, (*above, folder))
        base = _read(parent, (*above, folder))
    table = folder / "parameters.tsv"
    return _merge(base, folder, data, read_parameters(table) if table.is_file() else ())


def _base_folder(folder: Path, name: str) -> Path:
    shipped = shipped_composition(name)
    if shipped is not None:
        return shipped.resolve()
    if not is_path(name):
        raise CompositionError(f"{folder / 'composition.toml'}: extends {name!r}, which is no path")
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve().parent) or Path(name).is_absolute():
        raise CompositionError(
            f"{folder / 'composition.toml'}: extends {name!r}, which lies elsewhere; "
            "name a shipped composition or a folder beside this one, such as ../base"
        )
    if not (path / "composition.toml").is_file():
        raise CompositionError(
            f"{folder / 'composition.toml'}: extends {name!r}, but there is no such composition; shipped: "
            + ", ".join(composition_names())
        )
    return path


def _require_no_circle(parent: Path, above: tuple[Path, ...]) -> None:
    chain = [folder.resolve() for folder in (*above, parent)]
    names = " extends ".join(folder.name for folder in chain)
    if len(set(chain)) < len(chain):
        raise CompositionError(f"compositions extend each other in a circle: {names}")
    if len(above) > DEEPEST:
        raise CompositionError(f"more than {DEEPEST} compositions extend each other in a row: {names}")


def _merge(base: Written, folder: Path, data: Mapping[str, Any], rows: tuple[Parameter, ...]) -> Written:
    own = {key: _module(folder, module) for key, module in data.get("instances", {}).items()}
    joins = data.get("joins", {})
    index = {**base.index, **_tuples(data.get("index", {}))}
    sets = resolve_sets(index, str(folder / "composition.toml"))
    table = {row.id: row for row in base.parameters} | {row.id: row for row in rows}
    return Written(
        path=folder,
        title=data.get("title", ""),
        bases=(*base.bases, base.path) if base.path != folder else (),
        years=data.get("years", base.years),
        index=index,
        instances=_kept({**base.instances, **own}),
        groups={**base.groups, **_tuples(data.get("groups", {}))},
        shared=tuple(dict.fromkeys((*base.shared, *data.get("shared", ())))),
        joins=_kept({**base.joins, **joins}),
        structure=_by_module(base.structure, data.get("structure", {})),
        quasi_steady={**base.quasi_steady, **_tuples(data.get("quasi_steady", {}))},
        start=_by_module(base.start, data.get("start", {})),
        parameters=tuple(table.values()),
        ever=tuple(dict.fromkeys((*base.ever, *own))),
        formulas=(*base.formulas, *joins.items()),
        members={name: tuple(dict.fromkeys((*base.members.get(name, ()), *found))) for name, found in sets.items()},
    )


def _module(folder: Path, module: str) -> str:
    """Return a module as whoever extends this composition finds it too."""
    found = bool(module) and is_path(module) and (folder / module).is_dir()
    return str((folder / module).resolve()) if found else module


def _by_module(base: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {module: {**base.get(module, {}), **own.get(module, {})} for module in (*base, *own)}


def _kept(entries: Mapping[str, str]) -> dict[str, str]:
    """Leave out what an empty text removes."""
    return {key: text for key, text in entries.items() if text.strip()}


def _tuples(entries: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(items) for key, items in entries.items()}


def _read_toml(path: Path) -> dict[str, Any]:
    data = read_toml(path, CompositionError)
    for entry, value in data.items():
        if entry not in _ENTRIES:
            raise CompositionError(f"{path}: unknown entry {entry!r}; known: {', '.join(_ENTRIES)}")
        if entry == "years":
            _require_years(value, path)
        elif not isinstance(value, _ENTRIES[entry]):
            raise CompositionError(f"{path}: {entry!r} must be a {_ENTRIES[entry].__name__}")
    for table in _TEXTS:
        for key, value in data.get(table, {}).items():
            if not isinstance(value, str):
                raise CompositionError(f"{path}: [{table}] {key} must be text, found {value!r}")
    for table in _LISTS:
        for key, value in data.get(table, {}).items():
            _require_texts(value, f"{path}: [{table}] {key}")
    _require_texts(data.get("shared", []), f"{path}: shared")
    for module, options in data.get("structure", {}).items():
        if not isinstance(options, dict):
            raise CompositionError(f"{path}: [structure] {module} must be a table such as {{ n_classes = 8 }}")
    for module, values in data.get("start", {}).items():
        if not (isinstance(values, dict) and all(map(is_number, values.values()))):
            raise CompositionError(f"{path}: [start.{module}] must hold finite numbers by state, found {values!r}")
    return data


def _require_years(value: object, path: Path) -> None:
    if not (is_number(value) and value > 0):
        raise CompositionError(f"{path}: 'years' must be a finite number above 0, found {value!r}")


def _require_texts(value: object, where: str) -> None:
    if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise CompositionError(f"{where} must be a list of texts, found {value!r}")
