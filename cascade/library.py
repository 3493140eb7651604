"""Where models are: finds the folders of shipped modules and compositions and of those that a user brings."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

from cascade._files import read_text
from cascade.errors import CascadeError, CompositionError, unknown_name

_BIB_KEY = re.compile(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", re.MULTILINE)


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
    """Return the names of the shipped compositions that can be run; one that only others extend is left out."""
    files = (library_folder() / "compositions").glob("*/composition.toml")
    return tuple(sorted(file.parent.name for file in files if not _is_abstract(file)))


def _is_abstract(file: Path) -> bool:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8")).get("abstract") is True
    except (OSError, ValueError):
        return False  # who loads it is told what is wrong


def evidence_names() -> tuple[str, ...]:
    """Return the shipped modules, compositions and drugs that have a table of published facts."""
    folders = {name: module_folder(name) for name in module_names()}
    folders |= {name: composition_folder(name) for name in composition_names()}
    # a drug may be called like the module of its kinetics, which has no facts of its own
    folders |= {file.parent.name: file.parent for file in sorted((library_folder() / "drugs").glob("*/drug.toml"))}
    return tuple(name for name, folder in folders.items() if (folder / "evidence.tsv").is_file())


def module_folder(name: str | Path) -> Path:
    """Return the folder of a module given by a shipped name or a path.

    Raises
    ------
    UnknownNameError
        If there is neither such a name nor such a folder.
    """
    if str(name) in module_names():
        return library_folder() / str(name)
    path = place(name)
    if path is not None and path.is_dir():
        return path.resolve()
    raise unknown_name("module", str(name), module_names(), "the catalog, and no folder has this path")


def shipped_composition(name: str) -> Path | None:
    """Return the folder of a shipped composition, or None."""
    return library_folder() / "compositions" / name if name in _composition_folders() else None


def _composition_folders() -> set[str]:
    return {file.parent.name for file in (library_folder() / "compositions").glob("*/composition.toml")}


def composition_folder(name: str | Path) -> Path:
    """Return the folder of a composition given by a shipped name or a path."""
    shipped = shipped_composition(str(name))
    if shipped is not None:
        return shipped
    path = place(name)
    if path is not None and path.name == "composition.toml":
        path = path.parent
    if path is not None and (path / "composition.toml").is_file():
        return path.resolve()
    if path is not None and path.is_dir():
        raise CompositionError(
            f"{path} is neither a module (it has no {path.resolve().name}.ant) nor a composition (no composition.toml)"
        )
    raise unknown_name("composition", str(name), composition_names(), "the catalog, and no folder has this path")


def is_module(name: str | Path) -> bool:
    """Tell whether a name or path means a module (and not a composition)."""
    if shipped_composition(str(name)) is not None:
        return False
    path = place(name)
    return str(name) in module_names() or (path is not None and (path / f"{path.resolve().name}.ant").is_file())


def place(name: str | Path) -> Path | None:
    """Return the path that a name means; None if it cannot be one (no such user, a null byte, far too long)."""
    try:
        if not str(name).strip():
            return None
        path = Path(name).expanduser()
        path.stat()
    except FileNotFoundError:
        return path
    except (OSError, ValueError, RuntimeError, TypeError):
        return None
    return path


def require_known(name: str | Path) -> None:
    """Refuse a name that means neither a module nor a composition, with the closest names of both.

    Raises
    ------
    UnknownNameError
    """
    where = place(name)
    if str(name) in (*module_names(), *_composition_folders()) or (where is not None and where.exists()):
        return
    known = (*module_names(), *composition_names())
    raise unknown_name("module or composition", str(name), known, "the catalog, and no folder has this path")


def module_title(name: str) -> str:
    """Return what a module's README says after the name in its first line (`# name: title`)."""
    path = module_folder(name) / "README.md"
    first = read_text(path).splitlines()[:1] if path.is_file() else []
    return first[0].partition(":")[2].strip() if first else ""


def bibliography_keys(folder: Path | None = None) -> set[str]:
    """Return the keys of the shipped `references.bib`, and of one in `folder` or beside it."""
    keys: set[str] = set()
    folders = [library_folder()] + ([folder, folder.parent] if folder else [])
    for path in {f / "references.bib" for f in folders}:
        if path.is_file():
            keys |= set(_BIB_KEY.findall(read_text(path)))
    return keys
