"""The model itself, as this library simulates it: what the file must reproduce."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cascade._canonical import symbol_table
from cascade.certify._child import Answer
from cascade.errors import SimulationError
from cascade.simulate import simulate
from cascade.specs import Model, Solver


def run(ask: Mapping[str, Any]) -> Answer:
    """Simulate the flat text of the model, not the file."""
    text = Path(ask["model"]).read_text(encoding="utf-8")
    known = symbol_table(text)
    model = Model(name="model", flat=text, parameters=(), ids={name: name for name in known})
    # concentrations and activities get a thousandth of the absolute tolerance
    solver = Solver(
        relative_tolerance=ask["relative_tolerance"],
        absolute_tolerance=1e3 * ask["absolute_tolerance"],
        maximum_steps=1_000_000,
    )
    names = [name for name, _ in ask["names"]]
    shared = [name for name in names if name in known]
    if not shared:
        raise SimulationError("the file and the model have no symbol in common")
    found = simulate(model, days=ask["end"], points=ask["points"], record=shared, solver=solver, workers=1)
    status = str(found["status"].values)
    if status != "ok":
        raise SimulationError(status)
    values = np.full((ask["points"], len(names)), np.nan)
    for column, name in enumerate(names):
        if name in known:
            values[:, column] = found[name].values
    options = {
        "solver": "CVODE, BDF, of the shortened model",
        "relative_tolerance": solver.relative_tolerance,
        "absolute_tolerance": solver.absolute_tolerance,
        "rung": int(found["rung"]),
    }
    return Answer(values, str(found.attrs["cascade_version"]), options)
