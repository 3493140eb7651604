"""SBML: flat in three levels, or hierarchical with the comp package."""

from __future__ import annotations

from pathlib import Path

from cascade._files import written
from cascade.errors import CascadeError, SBMLError
from cascade.export._levels import VERSIONS, converted
from cascade.export.compact import compact
from cascade.specs import Model


def write_sbml(model: Model, path: Path, version: str = "L3V2") -> Path:
    """Write the flat SBML of a model.

    Parameters
    ----------
    model : Model
    path : Path
    version : str
        `L3V2`, `L3V1` or `L2V4`. Level 2 drops the units of literal numbers and the initial values of triggers; a
        model to which these matter is refused.

    Returns
    -------
    Path

    Raises
    ------
    SBMLError
        If the level cannot hold the model, with every element that it cannot hold.
    """
    if version not in VERSIONS:
        raise CascadeError(f"SBML version is {version!r}; give one of {', '.join(VERSIONS)}")
    return _write(path, converted(model.flat, version, model.name))


def write_comp(model: Model, path: Path) -> Path:
    """Write the hierarchical SBML of a model (L3V2 with the comp package).

    Raises
    ------
    CascadeError
        If there is none: for a single module and a treated model.
    """
    if model.hierarchical is None:
        reason = "is a treated model" if model.interventions else "is a single module"
        raise CascadeError(f"{model.name!r} has no hierarchical SBML: it {reason}; leave out comp to write flat SBML")
    return _write(path, model.hierarchical)


def write_compact(model: Model, path: Path) -> Path:
    """Write the compact SBML of a model (`cascade.export.compact.compact`)."""
    return _write(path, compact(model))


def _write(path: Path, text: str) -> Path:
    with written(path) as beside:
        beside.write_bytes(text.encode())
        if beside.read_bytes() != text.encode():
            raise SBMLError(f"{path}: the disk gives back another text than was written; write elsewhere")
    return path
