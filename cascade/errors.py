"""One tree of errors: every message says what was found, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CascadeError(Exception):
    """Base of every error that cascade raises on purpose."""


class CascadeWarning(UserWarning):
    """Something was mended that the user should know of."""


class TableError(CascadeError):
    """A parameter, target or evidence table is wrong."""


class ModuleError(CascadeError):
    """A module folder is missing, incomplete or inconsistent."""


class SBMLError(CascadeError):
    """An SBML document is malformed, unsafe or inconsistent."""


class CompositionError(CascadeError):
    """Modules are joined wrongly."""


class DrugError(CascadeError):
    """A drug folder is wrong, or a regimen cannot be given."""


class UnknownNameError(CascadeError):
    """A name is not in the model, the table or the catalog."""


class ValueSettingError(CascadeError):
    """A value given to a simulation cannot be used."""


class SimulationError(CascadeError):
    """The simulator could not load or run a model."""


class FileError(CascadeError):
    """A file or a folder cannot be read or written."""


class AnalysisError(CascadeError):
    """An analysis cannot be made from the runs that it was given."""


def unknown_name(kind: str, name: object, known: Iterable[str], where: str) -> UnknownNameError:
    """Make the error for a name that does not exist, with the closest names that do.

    Parameters
    ----------
    kind : str
        What was looked for ("parameter", "module", ...).
    name : str
        The name that was given; whatever else it is, it is no name.
    known : iterable of str
        Names that exist.
    where : str
        Where it was looked for.
    """
    names = sorted({str(each) for each in known})
    written = {each.lower(): each for each in reversed(names)}
    close = [written[match] for match in get_close_matches(str(name).lower(), written, n=5, cutoff=0.5)]
    if close:
        hint = "did you mean " + " or ".join(repr(match) for match in close) + "?"
    elif len(names) <= 30:
        hint = "known: " + ", ".join(names) if names else "there is none"
    else:
        hint = f"{len(names)} names are known, the first are " + ", ".join(names[:8])
    shown = repr(name)
    return UnknownNameError(f"no {kind} {shown if len(shown) <= 120 else shown[:120] + '...'} in {where}; {hint}")
