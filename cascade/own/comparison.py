"""Compares a converted module with the model that it came from: both are simulated, each in its own units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade._canonical import symbol_table
from cascade._sbml import is_word, read_document, write_document
from cascade.compose import compose
from cascade.errors import AnalysisError, ModuleError
from cascade.own.module import OwnModule
from cascade.simulate import simulate
from cascade.specs import Model, Solver

if TYPE_CHECKING:
    import pandas as pd


def compare_with_source(
    module: OwnModule, *, days: float = 10.0, points: int = 51, solver: Solver | None = None
) -> pd.DataFrame:
    """Simulate a module and the model that it came from, and compare every symbol that varies.

    Parameters
    ----------
    module : OwnModule
        What `read_module` returned.
    days : float
        Length of the comparison in days.
    points : int
        Rows that are compared.
    solver : Solver, optional
        Tolerances; by default far below those of analyses, so that a difference is one of the models.

    Returns
    -------
    pandas.DataFrame
        One row a symbol with `symbol`, `id`, `factor` and `deviation`: the largest difference over the largest value.

    Raises
    ------
    AnalysisError
        If one of the two cannot be simulated; the message says which and why.
    """
    import pandas as pd

    if not isinstance(module, OwnModule):
        raise ModuleError(f"compare_with_source() was given {module!r}; give what read_module() returned")
    tight = solver or Solver(relative_tolerance=1e-10, absolute_tolerance=1e-12, maximum_steps=200_000)
    conversion = module.conversion
    text, names = _without_words(conversion.source, conversion.origin)
    symbols = symbol_table(text)
    ids = {name: name for name, found in symbols.items() if found.kind != "reaction"}
    before = Model(name=conversion.origin, flat=text, parameters=(), ids=ids)
    after = compose(module)
    own = {symbol: names.get(symbol, symbol) for symbol in conversion.factors}
    # what was a constant species is a constant of the table now; it does not vary
    pairs = {s: pair for s, pair in conversion.factors.items() if symbols[own[s]].role != "constant"}
    pairs = {s: pair for s, pair in pairs.items() if pair[0] not in after.table}
    length = days / conversion.time_factor
    one = simulate(before, days=length, points=points, record=[own[s] for s in pairs], solver=tight, workers=1)
    other = simulate(after, days=days, points=points, record=[i for i, _ in pairs.values()], solver=tight, workers=1)
    for name, run in (("the source", one), ("the module", other)):
        if run["status"].item() != "ok":
            raise AnalysisError(
                f"{name} ({conversion.origin}) cannot be simulated for {days} days: {run['status'].item()}"
            )
    rows = [(s, i, f, _deviation(one[own[s]].values * f, other[i].values)) for s, (i, f) in pairs.items()]
    return pd.DataFrame(rows, columns=["symbol", "id", "factor", "deviation"])


def _without_words(source: str, origin: str) -> tuple[str, dict[str, str]]:
    """Give symbols of the source that are called `time`, `pi` and the like other ids; return the text and these ids."""
    document = read_document(source, origin)
    model = document.getModel()
    lists = (model.getListOfCompartments(), model.getListOfSpecies(), model.getListOfParameters(),
             model.getListOfReactions())  # fmt: skip
    everything = model.getListOfAllElements()
    names = {}
    for element in [each for elements in lists for each in elements if is_word(each.getId())]:
        old = new = element.getId()
        while model.getElementBySId(new) is not None:
            new = f"own_{new}"
        element.setId(new)
        for each in everything:
            each.renameSIdRefs(old, new)
        names[old] = new
    return (write_document(document) if names else source), names


def _deviation(expected: np.ndarray, found: np.ndarray) -> float:
    size = float(np.max(np.abs(expected)))
    return float(np.max(np.abs(found - expected))) / size if size else float(np.max(np.abs(found)))
