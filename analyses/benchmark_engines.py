"""How long does an answer take, against the ways that people have without this library?

Four comparisons, each within one run on one machine, printed as ratios of medians; seconds depend on the machine,
ratios hardly do.

(a) A sensitivity study of a composed model on one core, against the loop that a tellurium user writes: `resetToOrigin`,
    parameters set by name, `simulate`, one number kept.
(b) One run of the same SBML at the same tolerances, against COPASI, and of one module against AMICI, if `--amici`
    names the interpreter of an environment that has it (it needs a C++ compiler).
(c) Runs until the ten most important parameters stand in their order, against a Saltelli design of fixed size.
(d) Two worker processes against one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import kendalltau

import cascade
from cascade import evaluate
from cascade.export.compact import compact
from cascade.sensitivity import Design, sample_design, uncertain
from cascade.sensitivity.chaos import chaos_indices
from cascade.sensitivity.sobol import sobol_design, sobol_indices

YEARS, ROWS = 15.0, 181
READOUT, VARIABLE = "final:endpoints__h_since_surgery", "endpoints__h_since_surgery"
PATIENCE = 2700.0
"""Seconds after which a competitor is stopped."""

SOLVER = cascade.Solver(relative_tolerance=1e-6, absolute_tolerance=1e-9)

TELLURIUM = """
import json, sys, time
import numpy as np
import tellurium as te
ask = json.load(open(sys.argv[1]))
table = np.load(ask["table"])
begin = time.perf_counter()
r = te.loadSBMLModel(ask["sbml"])
load = time.perf_counter() - begin
r.integrator.relative_tolerance = ask["rtol"]
r.integrator.absolute_tolerance = ask["atol"]
found = {"load": load}
for way, runs in ask["runs"].items():
    target = r.model if way == "r.model" else r
    output = []
    begin = time.perf_counter()
    for row in table[:runs]:
        r.resetToOrigin()
        for name, value in zip(ask["ids"], row):
            target[name] = value
        try:
            output.append(r.simulate(0, ask["days"], ask["points"], ["time", ask["variable"]])[-1, 1])
        except RuntimeError:
            output.append(float("nan"))
    found[way] = {"seconds": time.perf_counter() - begin, "output": output}
print(json.dumps(found))
"""

COPASI = """
import json, sys, time
import basico
ask = json.load(open(sys.argv[1]))
basico.load_model(ask["sbml"])
known = basico.get_parameters()
name = f"Values[{known.index[known['sbml_id'] == ask['variable']][0]}]"
times = []
for _ in range(ask["repeats"] + 1):
    begin = time.perf_counter()
    basico.run_time_course_with_output(["Time", name], duration=ask["days"], intervals=ask["points"] - 1,
                                       r_tol=ask["rtol"], a_tol=ask["atol"], max_steps=1000000, use_initial_values=True)
    times.append(time.perf_counter() - begin)
print(json.dumps({"times": times[1:]}))
"""

AMICI = """
import json, sys, time
import amici, amici.sim.sundials as sundials
from amici.importers.sbml import SbmlImporter
ask = json.load(open(sys.argv[1]))
folder = ask["sbml"] + "_amici"
begin = time.perf_counter()
SbmlImporter(ask["sbml"]).sbml2amici("compared", folder, generate_sensitivity_code=False)
build = time.perf_counter() - begin
model = amici.import_model_module("compared", folder).get_model()
model.set_timepoints([ask["days"] * i / (ask["points"] - 1) for i in range(ask["points"])])
solver = model.create_solver()
solver.set_relative_tolerance(ask["rtol"])
solver.set_absolute_tolerance(ask["atol"])
solver.set_max_steps(1000000)
times = []
for _ in range(ask["repeats"] + 1):
    begin = time.perf_counter()
    if sundials.run_simulation(model, solver).status:
        raise SystemExit("the run failed")
    times.append(time.perf_counter() - begin)
print(json.dumps({"times": times[1:], "build": build}))
"""


def child(code: str, ask: dict[str, Any], folder: Path, python: str = sys.executable) -> dict[str, Any] | None:
    """Run a competitor in a process of its own; None if it fails or takes too long, with the reason printed."""
    question = folder / "ask.json"
    question.write_text(json.dumps(ask))
    # AMICI finds the SWIG of its own environment by the path of programs.
    places = {**os.environ, "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [python, "-c", code, str(question)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=places, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        print(f"  stopped after {PATIENCE / 60:.0f} minutes")
        return None
    if done.returncode:
        print(f"  failed: {done.stderr.strip().splitlines()[-1][:200] if done.stderr.strip() else done.returncode}")
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def asked(model: cascade.Model, folder: Path, sbml: str | None = None) -> dict[str, Any]:
    """Write the flat SBML, or another text of the model, and what all competitors are asked."""
    path = folder / "model.xml"
    path.write_text(sbml or model.flat, encoding="utf-8")
    return {
        "sbml": str(path),
        "variable": VARIABLE,
        "days": YEARS * 365.25,
        "points": ROWS,
        "rtol": SOLVER.relative_tolerance,
        "atol": SOLVER.absolute_tolerance,
    }


def against_tellurium(name: str, runs: int, repeats: int, folder: Path, *, small: bool = False) -> None:
    """(a) The same sample of all uncertain parameters; both loops in one process, each with the time of loading.

    `small` gives them compact SBML: as a whole, libRoadRunner compiles even `breast_lite` for two minutes.
    """
    model = cascade.compose(cascade.load_composition(name))
    design = sample_design(uncertain(model), runs, seed=1)
    values = design.values()
    table = np.stack([values[p.id].values for p in design.parameters], axis=1)
    np.save(folder / "table.npy", table)
    ask = asked(model, folder, compact(model, [VARIABLE]) if small else None)
    ask |= {"ids": [p.id for p in design.parameters], "table": str(folder / "table.npy")}
    evaluate(model, {}, [READOUT], years=YEARS, points=ROWS, solver=SOLVER, workers=1)  # imports are not counted
    ours: list[float] = []
    few = max(1, runs // 20)  # by name, whose time per run is multiplied up: it took up to half a minute a run
    ask["runs"] = {"r.model": runs, "r": few}
    theirs: dict[str, list[float]] = {way: [] for way in ask["runs"]}
    for _ in range(repeats):
        spent, found = seconds(
            lambda: evaluate(model, design, [READOUT], years=YEARS, points=ROWS, solver=SOLVER, workers=1)
        )
        ours.append(spent)
        other = child(TELLURIUM, ask, folder)
        if other is None:
            return
        for way, times in theirs.items():
            times.append(other["load"] + other[way]["seconds"] * runs / ask["runs"][way])
        compare(found[READOUT].values, np.array(other["r.model"]["output"]))
    mine = statistics.median(ours)
    ratios = {way: statistics.median(times) / mine for way, times in theirs.items()}
    print(
        f"(a) {name}, {runs} runs of {len(design.parameters)} parameters, one core, loading included:"
        f" {ratios['r']:.1f} times as fast as the loop with r[name] = value, {ratios['r.model']:.1f} times as fast as"
        f" with r.model[name] = value ({1e3 * mine / runs:.0f} ms a run here)"
        + (", which both read compact SBML" if small else "")
    )


def compare(mine: np.ndarray, loop: np.ndarray) -> None:
    """Say in how many runs the loop got another number: it leaves start values as they were."""
    both = np.isfinite(mine) & np.isfinite(loop) & (mine > 1e-9)
    apart = np.abs(loop[both] / mine[both] - 1)
    print(
        f"    runs without a result: {np.isnan(mine).sum()} here, {np.isnan(loop).sum()} in the loop; of {both.sum()}"
        f" hazards {np.sum(apart > 1e-3)} differ by more than 0.1 %, at most {100 * apart.max(initial=0.0):.2g} %"
    )


def against_copasi(name: str, repeats: int, folder: Path) -> None:
    """(b) One run of the same SBML in COPASI."""
    model = cascade.compose(cascade.load_composition(name))
    ask = asked(model, folder) | {"repeats": repeats}
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        evaluate(model, {}, [READOUT], years=YEARS, points=ROWS, solver=SOLVER, workers=1)
        times.append(time.perf_counter() - begin)
    report("COPASI", name, times[1:], COPASI, ask, folder)


def against_others(name: str, repeats: int, folder: Path, amici: str | None) -> None:
    """(b) COPASI, and AMICI if its environment is named."""
    against_copasi(name, repeats, folder)
    if amici:
        against_amici("pdl1_immune", repeats, folder, amici)


def against_amici(name: str, repeats: int, folder: Path, python: str) -> None:
    """(b) Runs of one module in AMICI, which works hours on the formulas of a whole composition before it compiles."""
    model = cascade.compose(cascade.load_module(name))
    ask = asked(model, folder) | {"repeats": repeats}
    values = {model.parameters[0].id: xr.DataArray(np.full(100, model.parameters[0].nominal), dims="run")}
    readout = f"final:{next(iter(model.ids.values()))}"
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        evaluate(model, values, [readout], years=YEARS, points=ROWS, solver=SOLVER, workers=1)
        times.append((time.perf_counter() - begin) / 100)
    report("AMICI", name, times[1:], AMICI, ask, folder, python)


def report(
    engine: str,
    name: str,
    ours: list[float],
    code: str,
    ask: dict[str, Any],
    folder: Path,
    python: str = sys.executable,
) -> None:
    """Run a competitor and print the ratio of the medians."""
    found = child(code, ask, folder, python)
    if found:
        ratio = statistics.median(found["times"]) / statistics.median(ours)
        built = f"; it took {found['build']:.0f} s to build the model" if "build" in found else ""
        print(f"(b) {name}, one run: {ratio:.2g} times as fast as {engine}{built}")


TAU = 0.9
"""Agreement of the order of the ten largest indices with the reference that counts as the same ranking."""


def settled_runs(
    name: str, readout: str, reference: tuple[int, int], seeds: int, rows: Sequence[int], sizes: Sequence[int]
) -> None:
    """(c) Runs until the ten largest total indices of a module stand in their order, of the readout and its log.

    The largest of a readout over decades hang on few extreme runs; those of its logarithm say what moves it by a
    factor. Both are asked, and every method gets the same. `reference` are samples and rows of the reference.
    """
    model = cascade.compose(cascade.load_module(name))
    parameters = uncertain(model)

    def outputs(design: Design) -> np.ndarray:
        found = evaluate(model, design.values(), [readout], years=1, points=26)
        values: np.ndarray = found[f"final:{model.id(readout.partition(':')[2])}"].values
        return values

    exact = sobol_design(parameters, reference[0], rows=reference[1], seed=12345)
    known = outputs(exact)
    fixed = {size: [sobol_design(parameters, 2, rows=size // 2, seed=seed) for seed in range(seeds)] for size in rows}
    fixed_outputs = {size: [outputs(design) for design in designs] for size, designs in fixed.items()}
    samples = [sample_design(parameters, max(sizes), seed=seed, dummy=False) for seed in range(seeds)]
    sample_outputs = [outputs(sample) for sample in samples]
    for scale in ("log", None):
        change = np.log if scale == "log" else np.asarray
        best = sobol_indices(exact, change(known), draws=0)["ST"].to_series().nlargest(10)
        print(
            f"(c) {name}, {scale or 'value'} of {readout}, {len(parameters)} parameters; reference of {exact.runs}"
            f" runs: first {best.index[0]} with {best.iloc[0]:.2f}, tenth {best.iloc[-1]:.3f}"
        )

        def agreement(indices: pd.Series, best: pd.Series = best) -> float:
            return float(kendalltau(best, indices.reindex(best.index)).statistic)

        chaos = {}
        for size in sizes:
            parts = [replace(sample, quantiles=sample.quantiles[:size], samples=size) for sample in samples]
            fits = [chaos_indices(p, y[:size], transform=scale) for p, y in zip(parts, sample_outputs, strict=True)]
            chaos[size] = [agreement(fit["ST"].to_series()) for fit in fits]
        saltelli = {
            designs[0].runs: [
                agreement(sobol_indices(design, change(y), draws=0)["ST"].to_series())
                for design, y in zip(designs, fixed_outputs[size], strict=True)
            ]
            for size, designs in fixed.items()
        }
        few, many = say_tau("polynomial chaos", chaos), say_tau("fixed Saltelli design", saltelli)
        if few and many:
            print(f"    tau {TAU} or more with {many / few:.1f} times fewer runs than a fixed Saltelli design")


def say_tau(method: str, found: dict[int, list[float]]) -> int | None:
    """Print the agreement by number of runs; return from which number on its median is high enough."""
    middle = {runs: statistics.median(taus) for runs, taus in found.items()}
    print(f"    {method}: " + "; ".join(f"{runs} runs, tau {tau:.2f}" for runs, tau in middle.items()))
    last_low = max((runs for runs, tau in middle.items() if tau < TAU), default=0)
    return min((runs for runs in middle if runs > last_low), default=None)


def two_workers(name: str, runs: int, repeats: int) -> None:
    """(d) The same cohort with one and two processes."""
    model = cascade.compose(cascade.load_composition(name))
    cohort = {"f_metastatic_potential": xr.DataArray(np.geomspace(0.2, 5, runs), dims="patient")}

    def study(workers: int) -> xr.Dataset:
        return evaluate(model, cohort, [READOUT], years=YEARS, points=ROWS, solver=SOLVER, workers=workers)

    study(1)
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(repeats):
        results = []
        for workers in times:
            spent, result = seconds(lambda count=workers: study(count))  # type: ignore[misc]
            times[workers].append(spent)
            results.append(result)
        if not results[0].identical(results[1]):
            raise SystemExit("the numbers of one and two workers differ")
    ratio = statistics.median(times[1]) / statistics.median(times[2])
    print(f"(d) {name}, {runs} runs: two workers are {ratio:.2f} times as fast as one, their start included")


def seconds(work: Callable[[], xr.Dataset]) -> tuple[float, xr.Dataset]:
    """Time one piece of work."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def main(arguments: list[str] | None = None) -> int:
    """Print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="breast", help="name of a composition")
    quick = "the small composition, few runs, once; the loops of (a) get compact SBML"
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--amici", metavar="PYTHON", help="the interpreter of an environment with AMICI 1.0 or later")
    parser.add_argument("--only", choices=list("abcd"), action="append", help="only this comparison")
    options = parser.parse_args(arguments)
    name, runs, repeats = ("breast_lite", 2, 1) if options.quick else (options.model, 100, 3)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        jobs = {
            "a": lambda: against_tellurium(name, runs, repeats, folder, small=options.quick),
            "b": lambda: against_others(name, 1 if options.quick else 5, folder, options.amici),
            "c": lambda: (
                settled_runs("pdl1_immune", "final:k_kill", (2, 16), 1, (32,), (256, 512))
                if options.quick
                else settled_runs(
                    "pdl1_immune",
                    "final:k_kill",
                    (64, 64),
                    5,
                    (64, 128, 256, 512, 1024, 2048),
                    (256, 512, 1024, 2048, 4096),
                )
            ),
            "d": lambda: two_workers(name, 6 if options.quick else 300, repeats),
        }
        for letter, job in jobs.items():
            if letter in (options.only or jobs):
                job()
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
