"""Writes a model in the formats of other tools; one format a file."""

from __future__ import annotations

from pathlib import Path

from cascade.errors import CascadeError
from cascade.export.sbml import write_sbml
from cascade.specs import Model


def export(model: Model, path: str | Path, *, comp: bool = False) -> Path:
    """Write a model to a file; the format follows the suffix.

    Parameters
    ----------
    model : Model
        Any model; a treated model is written with its interventions.
    path : str or Path
        `.xml` or `.sbml`: SBML L3V2.
    comp : bool
        Write hierarchical SBML (comp package) instead of flat SBML.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    CascadeError
        If the suffix is unknown, the folder is missing, or the model has no hierarchical form.
    """
    target = Path(path)
    if target.suffix not in (".xml", ".sbml"):
        raise CascadeError(f"cannot export to {target.name!r}: the suffix must be .xml or .sbml")
    if not target.parent.is_dir():
        raise CascadeError(f"cannot export to {target}: the folder {target.parent} does not exist; make it first")
    return write_sbml(model, target, comp=comp)
