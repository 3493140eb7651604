"""Collects the files that a hierarchical document refers to, none of them from outside its folder."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from cascade._files import file_error
from cascade._limits import MAX_BYTES, check_root, check_size, decode, glance
from cascade.errors import FileError, SBMLError

MAX_FILES = 100
"""Files that one document may refer to, those included that its files refer to."""

MAX_CHAIN = 50
"""How many external definitions may refer to each other in a row."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")


@dataclass
class Bundle:
    """A document and the documents that it refers to.

    Attributes
    ----------
    main : str
        Key of the document that was opened.
    texts : dict of str to str
        Text by key; the key is the path relative to the folder.
    links : dict
        For each document the external model definitions: id -> (key of the other document, id of its model or "").
    packages : dict of str to bool
        Packages of level 3 that the documents use, and whether one of them requires it.
    notes : list of str
        What is odd but does no harm.
    """

    main: str
    texts: dict[str, str] = field(default_factory=dict)
    links: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    packages: dict[str, bool] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def message(self) -> dict[str, Any]:
        """Return the bundle as plain data."""
        return {"main": self.main, "texts": self.texts, "links": self.links}


def collect(path: Path, folder: Path | None) -> Bundle:
    """Read an SBML file and what it refers to.

    Parameters
    ----------
    path : Path
        The file.
    folder : Path, optional
        No file outside is read; without, the folder that holds the file.

    Raises
    ------
    FileError
        If the file cannot be read.
    SBMLError
        If a file is no SBML text, goes beyond the limits, or refers to something outside the folder, to itself, or to
        more than 100 files.
    """
    try:
        real = path.resolve(strict=True)
        root = folder.resolve(strict=True) if folder is not None else real.parent
    except (OSError, ValueError, RuntimeError) as error:  # a null byte is a ValueError, a loop of links either
        raise file_error("read", path, error) from None
    if not real.is_relative_to(root):
        raise SBMLError(f"{path}: lies outside the folder {folder}; move it there or give its own folder")
    bundle = Bundle(main=real.relative_to(root).as_posix())
    _take(bundle, root, real, path.name)
    _refuse_circles(bundle)
    return bundle


def _take(bundle: Bundle, root: Path, path: Path, where: str) -> None:
    """Read one document and, in turn, those that it refers to."""
    key = path.relative_to(root).as_posix()
    data = read_regular(path, where)
    check_size(len(data) + sum(len(text) for text in bundle.texts.values()), f"{where} and the files that it needs")
    text = decode(data, where)
    seen = glance(text, where)
    check_root(seen, where)
    bundle.texts[key] = text
    for package, required in seen.packages.items():
        bundle.packages[package] = bundle.packages.get(package, False) or required
    bundle.links[key] = {}
    for definition in seen.externals:
        _follow(bundle, root, path, where, definition)


def _follow(bundle: Bundle, root: Path, path: Path, where: str, definition: dict[str, str]) -> None:
    name, source = definition.get("id", ""), definition.get("source", "")
    label = f"{where}: external model definition {name!r}"
    target = confined(source, root, path.parent, label)
    key = target.relative_to(root).as_posix()
    bundle.links[path.relative_to(root).as_posix()][name] = (key, definition.get("modelRef", ""))
    if key not in bundle.texts:
        if len(bundle.texts) > MAX_FILES:
            raise SBMLError(f"{label}: the document needs more than {MAX_FILES} files; merge some")
        _take(bundle, root, target, key)
    if "md5" in definition:
        _compare(bundle, target, label, definition["md5"])


def _compare(bundle: Bundle, target: Path, label: str, given: str) -> None:
    found = hashlib.md5(read_regular(target, label), usedforsecurity=False).hexdigest()
    if found != given.strip().lower():
        bundle.notes.append(f"{label}: {target.name} has changed since its md5 was written ({given} then, {found} now)")


def confined(source: str, root: Path, base: Path, label: str) -> Path:
    """Return the file that a source names, if it is a regular file inside the root folder.

    Parameters
    ----------
    source : str
        What the document says: a relative path.
    root : Path
        Folder, resolved, that may not be left.
    base : Path
        Folder of the document that says so.
    label : str
        Who says so, for messages.
    """
    advice = "give a path inside the folder of the document"
    if not source.strip():
        raise SBMLError(f"{label}: names no file; {advice}")
    if _SCHEME.match(source) or source.startswith("//"):
        raise SBMLError(f"{label}: {source[:200]!r} is an address, and nothing is fetched; {advice}")
    parts = PurePosixPath(source).parts
    if "\\" in source or source.startswith("/") or ".." in parts:
        raise SBMLError(f"{label}: {source[:200]!r} leaves the folder of the document, which is not followed; {advice}")
    try:
        target = (base / source).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise SBMLError(
            f"{label}: there is no file {source[:200]!r} in the folder of the document; add it or correct `source`"
        ) from None
    if not target.is_relative_to(root):
        raise SBMLError(f"{label}: {source[:200]!r} is a link that leaves the folder, which is not followed; {advice}")
    if not target.is_file():
        raise SBMLError(f"{label}: {source[:200]!r} is no regular file; {advice}")
    return target


def read_regular(path: Path, where: str) -> bytes:
    """Return the bytes of a regular file; a pipe, a device or a folder is refused without waiting for it."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        number = os.open(path, flags)
        with os.fdopen(number, "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise FileError(f"cannot read {where}: it is no regular file; give the path of an SBML file")
            check_size(about.st_size, where)
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise file_error("read", where, error) from None
    check_size(len(data), where)
    return data


def _refuse_circles(bundle: Bundle) -> None:
    """Refuse external definitions that lead back to themselves; libSBML would follow them for ever."""
    for key, links in bundle.links.items():
        for name in links:
            chain = [(key, name)]
            while (step := _next(bundle, *chain[-1])) is not None:
                if step in chain or len(chain) > MAX_CHAIN:
                    steps = " -> ".join(f"{file}#{model}" for file, model in [*chain, step])
                    raise SBMLError(f"external model definitions go in a circle: {steps}; put a model into one of them")
                chain.append(step)


def _next(bundle: Bundle, key: str, name: str) -> tuple[str, str] | None:
    """Return the external definition that an external definition leads to, if it is not a model."""
    file, model = bundle.links[key][name]
    return (file, model) if model in bundle.links[file] else None


def unknown_packages(bundle: Bundle, known: set[str]) -> tuple[list[str], list[str]]:
    """Return the packages that are not known: those that a document requires, and the others."""
    foreign = [name for name in bundle.packages if name not in known]
    return [name for name in foreign if bundle.packages[name]], [name for name in foreign if not bundle.packages[name]]
