"""A loaded tellurium instance of a model, for those who live there."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import libsbml

from cascade._capture import captured
from cascade.engine import load_roadrunner
from cascade.errors import CascadeError, SimulationError
from cascade.export.compact import compact, is_large
from cascade.specs import Model


def to_tellurium(model: Model, keep: Iterable[str] | None = None) -> Any:
    """Load a model in tellurium.

    Parameters
    ----------
    model : Model
        Treated or not; doses are events.
    keep : iterable of str, optional
        Variables of a large model to have beside its states; by default all that the readouts need. A small model has
        all of its variables.

    Returns
    -------
    tellurium.ExtendedRoadRunner
        Ids are flat ids; `[s]` is a concentration, `s` an amount. Tolerances are those of cascade.

    Raises
    ------
    CascadeError
        If tellurium is not installed.
    SimulationError
        If libRoadRunner cannot load the model.

    Notes
    -----
    libRoadRunner writes formulas into each other; a composition such as `breast` would compile for minutes, so that it
    is loaded in its compact form (`cascade.export.compact`): the same states, constants and numbers.

    The import of tellurium takes seconds. It brings libsedml, which takes over types of libSBML in the process; they
    are given back, so that cascade goes on working. Who imports tellurium after cascade without this function has to
    call `restore_libsbml`.
    """
    text = compact(model, keep) if keep is not None or is_large(model) else model.flat
    load_roadrunner()
    tellurium = _import()
    with captured():
        try:
            runner = tellurium.loadSBMLModel(text)
        except RuntimeError as error:
            raise SimulationError(f"tellurium cannot load {model.name!r}: {error}") from None
    runner.integrator.setValue("stiff", True)
    runner.integrator.setValue("relative_tolerance", 1e-6)
    runner.integrator.setValue("absolute_tolerance", 1e-12)
    runner.integrator.setValue("maximum_num_steps", 20_000)
    return runner


def _import() -> Any:
    fresh = "tellurium" not in sys.modules
    try:
        with captured():
            import tellurium
    except ImportError as error:
        raise CascadeError(f"tellurium cannot be imported: {error}; install it: pip install tellurium six") from None
    finally:
        if fresh:
            restore_libsbml()
    return tellurium


def restore_libsbml() -> None:
    """Give libSBML its own types back after libsedml or tellurium was imported behind it in one process.

    Without this `document.getModel().getListOfSpecies()` is a bare `SBase` and formulas have no type. Both libraries
    work afterwards.
    """
    wrappers = libsbml._libsbml
    for name in dir(wrappers):
        if name.endswith("_swigregister"):
            getattr(wrappers, name)(getattr(libsbml, name.removesuffix("_swigregister")))
