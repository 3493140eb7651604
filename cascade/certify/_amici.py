"""The file in AMICI: imported, compiled to C++ and run. A script of its own: AMICI's environment may be another one.

It imports nothing of this library: any environment with AMICI 1.0 or later can run `python _amici.py FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

STEPS = 1_000_000


def run(ask: dict[str, Any]) -> tuple[Any, str, dict[str, Any]]:
    """Import, compile and run; every compared symbol is an observable, so that AMICI itself says what an id means."""
    import amici
    import numpy as np
    from amici.importers.sbml import SbmlImporter
    from amici.importers.utils import symbol_with_assumptions
    from amici.sim import sundials

    folder = str(Path(ask["folder"]) / "compiled")
    observed = [
        amici.MeasurementChannel(id_=f"observed_{place}", formula=symbol_with_assumptions(name))
        for place, (name, _) in enumerate(ask["names"])
    ]
    SbmlImporter(ask["file"]).sbml2amici(
        "certified",
        folder,
        observation_model=observed,
        generate_sensitivity_code=False,
        compute_conservation_laws=False,
    )
    model = amici.import_model_module("certified", folder).get_model()
    times = np.linspace(0.0, ask["end"], ask["points"])
    model.set_timepoints(times)
    solver = model.create_solver()
    solver.set_relative_tolerance(ask["relative_tolerance"])
    solver.set_absolute_tolerance(ask["absolute_tolerance"])
    solver.set_max_steps(STEPS)
    found = sundials.run_simulation(model, solver)
    if found.status:
        raise RuntimeError(f"AMICI stopped with status {found.status}")
    options = {
        "solver": "CVODES, BDF, analytic Jacobian",
        "relative_tolerance": ask["relative_tolerance"],
        "absolute_tolerance": ask["absolute_tolerance"],
        "maximum_steps": STEPS,
    }
    return np.asarray(found.y, dtype=float), amici.__version__, options


def main(place: str) -> None:
    """Read the question of a folder, write the answer into it."""
    import numpy as np

    folder = Path(place)
    ask = json.loads((folder / "ask.json").read_text(encoding="utf-8"))
    said: dict[str, Any] = {"error": "", "version": "", "options": {}}
    try:
        values, said["version"], said["options"] = run(ask)
        np.save(folder / "values.npy", values, allow_pickle=False)
    except Exception as error:
        said["error"] = " ".join(str(error).split())[:500] or type(error).__name__
    (folder / "answer.json").write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
