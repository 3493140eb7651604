"""Writes a model in the formats of other tools; one format a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from cascade.errors import CascadeError, FileError, unknown_name
from cascade.specs import Model

Format = Literal["sbml", "comp", "antimony", "omex", "petab", "python"]

FORMATS: dict[str, str] = {
    "sbml": "flat SBML, L3V2 unless another version is asked for (.xml, .sbml)",
    "comp": "hierarchical SBML with the comp package (.xml, .sbml)",
    "antimony": "text that people read and change (.ant)",
    "omex": "COMBINE archive: SBML, SED-ML of the standard analyses and metadata (.omex)",
    "petab": "PEtab problem: SBML and tables (a folder)",
    "python": "a Python module that needs numpy, pandas and scipy only (.py)",
}
"""What is written, by format."""

SUFFIXES: dict[str, Format] = {
    ".xml": "sbml",
    ".sbml": "sbml",
    ".ant": "antimony",
    ".omex": "omex",
    ".py": "python",
    "": "petab",
}
"""The format that a suffix means if none is given."""

_ALLOWED: dict[str, tuple[str, ...]] = {
    "sbml": (".xml", ".sbml"),
    "comp": (".xml", ".sbml"),
    "antimony": (".ant", ".txt"),
    "omex": (".omex",),
    "python": (".py",),
}


def export(
    model: Model,
    path: str | Path,
    *,
    format: Format | None = None,
    comp: bool = False,
    version: str | None = None,
    compact: bool = False,
) -> Path:
    """Write a model to a file that other tools read.

    A treated model is written with its doses. What is proved before a file takes its place differs by format:

    - `sbml`: L3V2 is the text of the model itself, byte for byte. L3V1 and L2V4 are read again by libSBML and compared
      with the model: elements, formulas, start values and rates.
    - `comp`: the document that was flattened into the model, byte for byte; that the two are one was checked by
      `compose`.
    - `antimony`: read again by Antimony and compared as the older levels of SBML are.
    - `omex`: read again as an archive, in which every SBML has the text that was written; for its SED-ML and for what
      other tools compute from it holds what is said of the next ones.
    - `petab`, `python` and flat SBML with `compact`: nothing is read again; of `python` only the syntax is checked. The
      tests of this library compare what other tools compute from them with some models, not with the one at hand.

    Parameters
    ----------
    model : Model
        Any model.
    path : str or Path
        The file, or the folder of a PEtab problem. An old file is replaced only when the new one is complete.
    format : str, optional
        `sbml`, `comp`, `antimony`, `omex`, `petab` or `python`; by default as the suffix of the path says, where a path
        without suffix is the folder of a PEtab problem.
    comp : bool
        Write hierarchical SBML: the same as `format="comp"`.
    version : str, optional
        Of flat SBML `L3V2` (default), `L3V1` or `L2V4`; of PEtab `2` (default) or `1`.
    compact : bool
        Flat SBML that libRoadRunner and tellurium compile in seconds where the whole takes minutes: every state,
        constant and event, and the variables that readouts need; see `cascade.export.compact`.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    CascadeError
        If format, suffix and version do not fit, or the model has no hierarchical form.
    SBMLError
        If the format cannot hold the model, with every element that it cannot hold.
    FileError
        If the file system refuses.
    """
    if not isinstance(model, Model):
        raise CascadeError(f"export() was given {model!r}; give a Model, made by compose()")
    target = Path(path)
    chosen = _format(target, format, comp)
    if not target.parent.is_dir():
        raise FileError(f"cannot export to {target}: the folder {target.parent} does not exist; make it first")
    if compact:
        return _compact(model, target, chosen, version)
    return _writer(chosen, version)(model, target)


def _compact(model: Model, target: Path, chosen: str, version: str | None) -> Path:
    from cascade.export.sbml import write_compact

    if chosen != "sbml" or version not in (None, "L3V2"):
        raise CascadeError(f"compact is a form of flat SBML L3V2; found {chosen} {version or ''}".rstrip())
    return write_compact(model, target)


def _format(target: Path, chosen: str | None, comp: bool) -> str:
    if chosen is not None and chosen not in get_args(Format):
        raise unknown_name("format", str(chosen), get_args(Format), "export()")
    if comp and chosen not in (None, "comp"):
        raise CascadeError(f"comp=True writes hierarchical SBML, but the format is {chosen!r}; give one of them")
    if comp:
        chosen = "comp"
    if chosen is None:
        chosen = SUFFIXES.get(target.suffix)
        if chosen is None:
            known = ", ".join(f"{suffix} ({kind})" for suffix, kind in SUFFIXES.items() if suffix)
            raise CascadeError(
                f"cannot export to {target.name!r}: the suffix must be one of {known}, or say the format:"
                f" {', '.join(get_args(Format))}"
            )
        if chosen == "petab" and target.is_file():
            raise CascadeError(f"cannot export to {target}: it is a file without suffix; say the format")
    allowed = _ALLOWED.get(chosen)
    if allowed is not None and target.suffix not in allowed:
        raise CascadeError(f"cannot export {chosen} to {target.name!r}: the suffix must be {' or '.join(allowed)}")
    return chosen


def _writer(chosen: str, version: str | None) -> Callable[[Model, Path], Path]:
    """Return what writes the format; the libraries behind it are imported only now."""
    if version is not None and chosen not in ("sbml", "petab"):
        raise CascadeError(f"{chosen} has no versions; leave version out")
    if chosen == "sbml":
        from cascade.export.sbml import write_sbml

        return lambda model, path: write_sbml(model, path, version or "L3V2")
    if chosen == "comp":
        from cascade.export.sbml import write_comp

        return write_comp
    if chosen == "antimony":
        from cascade.export.antimony import write_antimony

        return write_antimony
    if chosen == "python":
        from cascade.export.code import write_python

        return write_python
    if chosen == "omex":
        from cascade.export.omex import write_omex

        return write_omex
    if version not in (None, "1", "2"):
        raise CascadeError(f"PEtab version is {version!r}; give 1 or 2")
    from cascade.export.petab import write_petab

    number: Literal[1, 2] = 1 if version == "1" else 2
    return lambda model, path: write_petab(model, path, version=number)
