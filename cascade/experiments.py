"""Experiments, written as data: steps of constant conditions, drugs, a scan of one value, or a bifurcation scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._canonical import symbol_table
from cascade._tables import is_number, read_toml
from cascade._values import flat_id
from cascade.bifurcation import bifurcation
from cascade.engine import OK
from cascade.errors import AnalysisError, TableError
from cascade.simulate import simulate
from cascade.specs import Model, Solver
from cascade.therapy.prescriptions import Prescription, give, read_prescriptions

if TYPE_CHECKING:
    import xarray as xr

    from cascade.therapy.drugs import Drug

SOLVER = Solver(relative_tolerance=1e-8)
"""Qualification measures small differences, so it runs tighter than the default."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A length of time under constant conditions; `values` are constants, or states that are set at its start.

    A value is a number or the id of a constant of the model that holds it.
    """

    days: float
    values: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is done to a model: preparation steps, then the measured step, or a bifurcation scan.

    `scan` gives one constant or state several values, one run each, in the measured step, or from the start on. Drugs
    that are `given` are given in the measured step, whose days they count: to the model in hand, or to the module or
    composition `on`; in the folder of a drug without `on` to nobody, that is, their kinetics alone.
    """

    name: str
    title: str = ""
    prepare: tuple[Step, ...] = ()
    measured: Step | None = None
    points: int = 201
    scan: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    scan_from_start: bool = False
    bifurcation: Mapping[str, Any] = field(default_factory=dict)
    given: tuple[Prescription, ...] = ()
    on: str = ""


_ENTRIES = {
    "title": str,
    "prepare": list,
    "values": dict,
    "days": (int, float),
    "points": int,
    "scan": dict,
    "scan_from_start": bool,
    "bifurcation": dict,
    "given": list,
    "on": str,
}
_BIFURCATION = ("parameter", "output", "lower", "upper", "points", "values", "hold", "settled", "longest")


def read_experiments(path: Path) -> dict[str, Experiment]:
    """Read an `experiments.toml`.

    Raises
    ------
    TableError
        If the file cannot be read or an entry is unknown, missing or of the wrong kind.
    """
    data = read_toml(path, TableError)
    return {name: _experiment(f"{path.name} [{name}]", name, entries) for name, entries in data.items()}


def _experiment(where: str, name: str, entries: Any) -> Experiment:
    if not isinstance(entries, dict):
        raise TableError(f"{where} is {entries!r}; write a table of entries")
    for entry, value in entries.items():
        if entry not in _ENTRIES:
            raise TableError(f"{where}: unknown entry {entry!r}; known: {', '.join(_ENTRIES)}")
        if not isinstance(value, _ENTRIES[entry]):  # type: ignore[arg-type]
            raise TableError(f"{where}: {entry} is {value!r}, a value of the wrong kind")
    if "bifurcation" in entries:
        unknown = [key for key in entries["bifurcation"] if key not in _BIFURCATION]
        missing = [key for key in _BIFURCATION[:4] if key not in entries["bifurcation"]]
        if unknown or missing:
            raise TableError(f"{where}: bifurcation has unknown {unknown} and lacks {missing}")
        if "given" in entries:
            raise TableError(f"{where}: a bifurcation is of steady states, which doses do not have; leave given out")
        return Experiment(name=name, title=entries.get("title", ""), bifurcation=entries["bifurcation"])
    return Experiment(
        name=name,
        title=entries.get("title", ""),
        prepare=tuple(_step(f"{where} prepare", step) for step in entries.get("prepare", ())),
        measured=_step(where, {key: entries[key] for key in ("days", "values") if key in entries}),
        points=entries.get("points", 201),
        scan=_scan(where, entries.get("scan", {})),
        scan_from_start=entries.get("scan_from_start", False),
        given=read_prescriptions(where, entries.get("given", ())),
        on=entries.get("on", ""),
    )


def _step(where: str, entries: Any) -> Step:
    days = entries.get("days") if isinstance(entries, dict) else None
    if not isinstance(days, (int, float)) or not days > 0:
        raise TableError(f"{where}: needs days above 0, found {days!r}")
    values = entries.get("values", {})
    if not isinstance(values, dict) or not all(is_number(v) or isinstance(v, str) for v in values.values()):
        raise TableError(f"{where}: values is {values!r}; write names and numbers, or the id of a constant")
    return Step(days=float(days), values={k: v if isinstance(v, str) else float(v) for k, v in values.items()})


def _scan(where: str, entries: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    if len(entries) > 1:
        raise TableError(f"{where}: scans {len(entries)} quantities; one experiment scans one")
    for key, values in entries.items():
        if not isinstance(values, list) or not values or not all(is_number(value) for value in values):
            raise TableError(f"{where}: scan of {key} is {values!r}; write a list of numbers")
    return {key: tuple(float(value) for value in values) for key, values in entries.items()}


def run_experiment(
    model: Model | None, experiment: Experiment, values: Mapping[str, float] | None = None, own: Drug | None = None
) -> xr.Dataset:
    """Carry out an experiment; `values` hold where it sets none itself.

    Parameters
    ----------
    model : Model, optional
        Without it the kinetics of the drugs that are given.
    experiment : Experiment
    values : mapping of str to float, optional
    own : Drug, optional
        The drug that is given where the experiment names none.

    Returns
    -------
    xarray.Dataset
        Of the measured step, time in days from its start, with the scanned quantity as a dimension; or the Dataset of
        `cascade.bifurcation`.

    Raises
    ------
    AnalysisError
        If a run fails; the message says in which experiment and step.
    """
    import xarray as xr

    if model is None and (experiment.prepare or not experiment.given):
        raise AnalysisError(f"experiment {experiment.name!r}: there is no model; say on what it is done, on = ...")
    treated = give(model, experiment.given, own) if experiment.given else model
    assert treated is not None
    if experiment.bifurcation:
        found = bifurcation(treated, **experiment.bifurcation)
        found.attrs["title"] = experiment.title
        return found
    if experiment.measured is None:
        raise AnalysisError(f"experiment {experiment.name!r} measures nothing; give days")
    scan = {
        key: xr.DataArray(list(values), dims="scan", coords={"scan": list(values)})
        for key, values in experiment.scan.items()
    }
    held: dict[str, Any] = dict(values or {})
    for number, step in enumerate(experiment.prepare, start=1):
        assert model is not None
        held |= {**_numbers(model, step, values or {}), **(scan if experiment.scan_from_start else {})}
        run = _run(model, experiment, step.days, 2, held, f", preparation step {number}")
        held |= _end_state(model, run)
    held |= {**_numbers(treated, experiment.measured, values or {}), **scan}
    run = _run(treated, experiment, experiment.measured.days, experiment.points, held)
    if scan:
        scanned = symbol_table(treated.flat)[flat_id(treated, symbol_table(treated.flat), next(iter(scan)))]
        run["scan"].attrs = {"units": scanned.unit, "long_name": scanned.name}
    run.attrs["title"] = experiment.title
    return run


def _numbers(model: Model, step: Step, values: Mapping[str, float]) -> dict[str, float]:
    """Return the values of a step, a named constant with the number it holds."""
    return {
        key: values.get(value, model.parameter(value).nominal) if isinstance(value, str) else value
        for key, value in step.values.items()
    }


def _run(
    model: Model, experiment: Experiment, days: float, points: int, values: Mapping[str, Any], step: str = ""
) -> xr.Dataset:
    run = simulate(model, days=days, points=points, values=values, solver=SOLVER)
    failed = run["status"].values[run["status"].values != OK]
    if failed.size:
        raise AnalysisError(
            f"experiment {experiment.name!r}{step}: {failed.size} of {run['status'].size} runs failed: {failed.flat[0]}"
        )
    return run


def _end_state(model: Model, run: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the states at the end of a run, to start the next step from."""
    end = run.isel(time=-1).drop_vars("time")
    return {
        # The solver leaves -1e-12 of a species that is gone.
        s.id: end[s.id].clip(min=0) if s.kind == "species" else end[s.id]
        for s in symbol_table(model.flat).values()
        if s.role in ("integrated", "switched")
    }
