"""Opens SBML files from outside: nothing is executed, nothing outside their folder is read, and the caller survives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cascade._child import ask_child
from cascade._external import collect, unknown_packages
from cascade._files import path_of
from cascade.errors import SBMLError
from cascade.specs import Issue

_KNOWN = {"comp", "layout", "render", "groups", "l3v2extendedmath"}
"""Packages that a document may use; all but comp and the mathematics say nothing about what is simulated."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An SBML file from outside, read and checked.

    Attributes
    ----------
    flat : str
        Core SBML L3V2, submodels written out; L3V1 if a reaction is fast, for which version 2 has no word.
    hierarchical : str or None
        The document with its submodels and, as model definitions, the external ones; None if it uses no comp.
    name : str
        Name of the file without its suffix.
    level, version : int
        What the file was written in.
    issues : tuple of Issue
        What a reader should know: errors are legal SBML that libRoadRunner cannot solve (algebraic rules, `delay`,
        fast reactions).
    """

    flat: str = field(repr=False)
    hierarchical: str | None = field(default=None, repr=False)
    name: str
    level: int
    version: int
    issues: tuple[Issue, ...] = ()


def open_sbml(path: str | Path, *, time_limit: float = 60.0, folder: str | Path | None = None) -> Opened:
    """Open an SBML file that may come from anybody.

    The bytes are looked through for what crashes or hangs SBML tools; then a process of its own, with limits on time
    and memory, reads them with libSBML, puts external model definitions in, flattens, converts and checks.

    Parameters
    ----------
    path : str or Path
        The file; UTF-8, or UTF-16 with a byte order mark; any level and version of SBML.
    time_limit : float
        Seconds that the process may take; up to 1,000,000.
    folder : str or Path, optional
        External model definitions are read from files inside this folder only; without, inside that of the file.

    Returns
    -------
    Opened

    Raises
    ------
    FileError
        If the file is missing, no regular file, or cannot be read.
    SBMLError
        If it is not SBML, goes beyond a limit, refers to a file outside its folder, needs a package that is not
        supported, is wrong, or could not be read in time; the message says what, where and what to do.
    ValueSettingError
        If the time limit is not a number above 0, or is beyond 1,000,000.
    """
    place = path_of(path, "an SBML file")
    bundle = collect(place, None if folder is None else path_of(folder, "a folder"))
    required, others = unknown_packages(bundle, _KNOWN)
    if required:
        raise SBMLError(
            f"{place.name}: needs the SBML package {', '.join(sorted(required))} to mean what its author meant, and"
            " cascade does not support it; export core SBML from the tool that wrote it"
        )
    found = ask_child("cascade._reading:read_bundle", bundle.message(), place.name, time_limit=time_limit)
    issues = [Issue(**issue) for issue in found["issues"]]
    issues += [_left_out(place.name, package) for package in sorted(others)]
    issues += [Issue(severity="warning", where=place.name, what=note) for note in bundle.notes]
    return Opened(
        flat=found["flat"],
        hierarchical=found["hierarchical"],
        name=place.stem,
        level=found["level"],
        version=found["version"],
        issues=tuple(issues),
    )


def _left_out(where: str, package: str) -> Issue:
    return Issue(severity="warning", where=where, what=f"what it says in the SBML package {package} is left out")
