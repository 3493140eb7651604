"""A Python module with the equations of a model, written by sbmlode; it runs where there is no SBML tool.

Of what was tried (`primary_tumor` with a dose, `pdl1_immune`), sbmlode alone keeps events. Left out: COPASI's C, XPPAUT
and Berkeley Madonna exports drop every event without a word; sbml2matlab (and with it `getMatlab` of tellurium) is not
installable on Python 3.11; sbmltoodepy 1.0.4 knows no events.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from cascade import _sbml
from cascade._files import written
from cascade.errors import CascadeError
from cascade.specs import Model


def write_python(model: Model, path: Path) -> Path:
    """Write a model as a Python module with `simulate(t_end, points)`; events and doses included.

    Parameters
    ----------
    model : Model
        Treated or not.
    path : Path

    Returns
    -------
    Path

    Raises
    ------
    CascadeError
        If sbmlode is not installed, or cannot write the model.
    """
    try:
        from sbmlode import OdeSystem
    except ImportError:
        raise CascadeError("Python code is written by sbmlode; install it: pip install sbmlode") from None
    try:
        text = str(OdeSystem.from_sbml(_with_plain_names(model.flat, model.name)).render("python"))
        ast.parse(text)
    except (ValueError, NotImplementedError, SyntaxError) as error:
        raise CascadeError(f"{model.name}: cannot be written as Python: {error}; write SBML instead") from error
    with written(path) as beside:
        beside.write_bytes(text.encode())
    return path


_UNSAFE = re.compile(r"""["'\\\x00-\x1f\x7f-\x9f\u2028\u2029]+""")


def _with_plain_names(flat: str, where: str) -> str:
    """Take from names and notes what could end a comment or a text: they stand in the code as such."""
    document = _sbml.read_document(flat, where)
    for element in [document.getModel(), *document.getModel().getListOfAllElements()]:
        if element.isSetNotes():
            element.unsetNotes()
        if element.isSetName() and _UNSAFE.search(element.getName()):
            element.setName(_UNSAFE.sub(" ", element.getName()))
    return _sbml.write_document(document)
