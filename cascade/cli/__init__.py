"""The `cascade` command; thin: it reads arguments, calls one verb, and prints."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Any

import typer

from cascade.cli import (
    _analysis,
    _certify,
    _clones,
    _cohort,
    _export,
    _followup,
    _models,
    _optimize,
    _own,
    _patient,
    _patients,
    _ranking,
    _runs,
    _treat,
    _trial,
    _validation,
)
from cascade.cli._stopping import Commands, Stopped, leave
from cascade.errors import CascadeError, CascadeWarning

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="The metastatic cascade of cancer as one executable SBML model. "
    "A research model, not for treatment decisions.",
    epilog="NAME is a shipped module or composition (`cascade list`) or the path of a folder of your own.",
)
# In the order of the help. Older versions of typer cannot `add_typer` without a name.
_PARTS = (
    _models,
    _validation,
    _runs,
    _clones,
    _cohort,
    _patients,
    _patient,
    _treat,
    _trial,
    _ranking,
    _optimize,
    _analysis,
    _export,
    _followup,
    _certify,
    _own,
)
for _part in _PARTS:
    app.registered_commands += _part.commands.registered_commands


def _show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print a warning as one line; those of other libraries are not for the user of a command."""
    if issubclass(category, CascadeWarning):
        typer.echo(f"cascade: {message}", err=True)


def main() -> None:
    """Run the command: what a user can mend is one line on stderr and exit code 2, Ctrl-C one and 130; no traceback."""
    warnings.showwarning = _show
    logging.getLogger("asyncio").disabled = True  # after Ctrl-C it tells of the tasks of Zarr that were given up
    try:
        app()
    except CascadeError as error:
        typer.echo(f"cascade: {error}", err=True)
        sys.exit(2)
    except Stopped as stopped:
        typer.echo(f"cascade: {stopped}", err=True)
        leave()
    except OSError as error:
        typer.echo(f"cascade: {error}", err=True)
        sys.exit(2)
