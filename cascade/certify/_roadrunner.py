"""The file in libRoadRunner: read as it is, CVODE with an absolute tolerance for every state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cascade._capture import captured
from cascade.certify._child import Answer
from cascade.engine import classify, load_roadrunner
from cascade.errors import SimulationError

STEPS = 1_000_000


def run(ask: Mapping[str, Any]) -> Answer:
    """Load and run; a symbol that means a concentration is asked for as one."""
    roadrunner = load_roadrunner()
    text = Path(ask["file"]).read_text(encoding="utf-8")
    names = [name if amount else f"[{name}]" for name, amount in ask["names"]]
    with captured() as noise:
        try:
            runner = roadrunner.RoadRunner(text)
            integrator = runner.integrator
            integrator.setValue("relative_tolerance", ask["relative_tolerance"])
            count = len(integrator.getAbsoluteToleranceVector())
            integrator.setValue("absolute_tolerance", [ask["absolute_tolerance"]] * count)
            integrator.setValue("maximum_num_steps", STEPS)
            integrator.setValue("stiff", True)
            table = np.array(runner.simulate(0.0, ask["end"], ask["points"], ["time", *names]))
            failure = ""
        except RuntimeError as error:
            failure = str(error)
    if failure:
        raise SimulationError(classify(failure, "".join(noise)))
    grid = np.linspace(0.0, ask["end"], ask["points"])
    if table.shape[0] != len(grid) or np.any(np.abs(table[:, 0] - grid) > 1e-9 * ask["end"]):
        raise SimulationError("the rows are not at the times that were asked for")
    options = {
        "solver": "CVODE, BDF",
        "relative_tolerance": ask["relative_tolerance"],
        "absolute_tolerance": ask["absolute_tolerance"],
        "maximum_steps": STEPS,
    }
    return Answer(table[:, 1:].astype(float), str(roadrunner.__version__), options)
