"""The file in an independent right-hand side: our own reading of SBML, integrated by SciPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cascade.certify._child import Answer
from cascade.certify._integrate import Integration, Precision
from cascade.certify._reading import first_system
from cascade.errors import SimulationError

ACCUMULATED = 10.0
"""Errors of single steps add up over a run: a state is taken to be known to this many relative tolerances."""


def run(ask: Mapping[str, Any]) -> Answer:
    """Read and integrate; also measure what each variable can be known to."""
    import scipy

    system = first_system(Path(ask["file"]).read_text(encoding="utf-8"))
    system.output = [name for name, _ in ask["names"]]
    wrong = [name for name, amount in ask["names"] if name in system.species and system.species[name][2] != amount]
    if wrong:
        raise SimulationError(f"{wrong[0]} stands in a compartment without dimensions, so it cannot be a concentration")
    times = np.linspace(0.0, ask["end"], ask["points"])
    precision = Precision(
        relative=ask["relative_tolerance"],
        absolute=ask["absolute_tolerance"],
        longest=ask["end"] / (ask["points"] - 1),
    )
    integration = Integration(system, times, precision, keep_states=True)
    values = integration.run()
    options = {
        "solver": f"{precision.method}, exact Jacobian, restarted at every decision",
        "relative_tolerance": precision.relative,
        "absolute_tolerance": precision.absolute,
        "steps": integration.steps,
        "moments of decision": integration.instants,
        "events": integration.executed,
    }
    return Answer(values, scipy.__version__, options, _resolution(integration, ask["relative_tolerance"]))


def _resolution(integration: Integration, relative: float) -> NDArray[np.float64]:
    """Return how exactly a variable is known if every state is known to ten relative tolerances, rows x symbols.

    A variable may be a small difference of large terms; then no solver knows it to that tolerance.
    """
    found = np.empty_like(integration.rows)
    for row, (t, y, p, flags) in enumerate(integration.kept):
        found[row] = ACCUMULATED * relative * integration.sensitivity(t, y, p, flags)
    return found
