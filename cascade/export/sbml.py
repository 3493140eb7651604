"""SBML L3V2: flat, or hierarchical with the comp package."""

from __future__ import annotations

from pathlib import Path

from cascade.errors import CascadeError
from cascade.specs import Model


def write_sbml(model: Model, path: Path, *, comp: bool) -> Path:
    """Write the flat or the hierarchical SBML of a model."""
    text = model.hierarchical if comp else model.flat
    if text is None:
        reason = "is a treated model" if model.interventions else "is a single module"
        raise CascadeError(f"{model.name!r} has no hierarchical SBML: it {reason}; leave out comp to write flat SBML")
    path.write_text(text, encoding="utf-8")
    return path
