"""The file in COPASI: its own reader, its own right-hand side, deterministic LSODA on the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cascade.certify._child import Answer
from cascade.errors import SimulationError

STEPS = 1_000_000


def run(ask: Mapping[str, Any]) -> Answer:
    """Load and run; COPASI has its own names, so that symbols are found by the SBML id that it remembers."""
    import basico
    import COPASI

    model = basico.load_model(ask["file"])
    if model is None:
        raise SimulationError(f"COPASI cannot read the file: {_words(COPASI)}")
    found = dict(_references(model.getModel()))
    missing = [name for name, _ in ask["names"] if name not in found]
    if missing:
        raise SimulationError(f"COPASI lost {len(missing)} symbols, the first is {missing[0]}")
    names = ["CN=Root,Model=" + COPASI.CCommonName.escape(model.getModel().getObjectName()) + ",Reference=Time"]
    names += [(found[name][0] if amount else found[name][1]).getCN().getString() for name, amount in ask["names"]]
    COPASI.CCopasiMessage.clearDeque()
    table = basico.run_time_course_with_output(
        names,
        model=model,
        start_time=0.0,
        duration=ask["end"],
        intervals=ask["points"] - 1,
        automatic=False,
        output_event=False,
        use_initial_values=True,
        method="deterministic",
        r_tol=ask["relative_tolerance"],
        a_tol=ask["absolute_tolerance"],
        max_steps=STEPS,
    ).to_numpy(dtype=float)
    grid = np.linspace(0.0, ask["end"], ask["points"])
    if table.shape != (len(grid), len(names)) or np.any(np.abs(table[:, 0] - grid) > 1e-9 * ask["end"]):
        raise SimulationError(f"COPASI gave {len(table)} of {len(grid)} rows: {_words(COPASI)}")
    scale = np.array([found[name][2] if amount else 1.0 for name, amount in ask["names"]])
    options = {
        "solver": "LSODA (deterministic)",
        "relative_tolerance": ask["relative_tolerance"],
        "absolute_tolerance": ask["absolute_tolerance"],
        "maximum_steps": STEPS,
        "basico": basico.__version__,
    }
    return Answer(table[:, 1:] * scale, str(COPASI.__version__), options)


def _references(model: Any) -> Iterator[tuple[str, tuple[Any, Any, float]]]:
    """Yield for each symbol its amount or value, its concentration, and what turns the first into the file's unit."""
    per_number = 1.0 / model.getQuantity2NumberFactor()
    for place in range(model.getMetabolites().size()):
        species = model.getMetabolites().get(place)
        yield species.getSBMLId(), (species.getValueReference(), species.getConcentrationReference(), per_number)
    for objects in (model.getModelValues(), model.getCompartments()):
        for place in range(objects.size()):
            each = objects.get(place)
            yield each.getSBMLId(), (each.getValueReference(), each.getValueReference(), 1.0)


def _words(copasi: Any) -> str:
    text = copasi.CCopasiMessage.getAllMessageText(True)
    return " ".join(str(text).split())[:400] or "it does not say why"
