"""Runs of one patient with each treatment and without, on one grid: what treatment effects and their pictures read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._canonical import symbol_table
from cascade._tables import is_number
from cascade.errors import AnalysisError, CascadeError
from cascade.evaluate import time_grid
from cascade.simulate import DAYS_PER_YEAR, simulate
from cascade.specs import Model, Solver, require_model
from cascade.therapy import Treatment, pharmacokinetics, treat
from cascade.therapy._schedule import schedule
from cascade.therapy.procedures import Radiotherapy, Surgery
from cascade.therapy.regimens import Regimen

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

UNTREATED = "untreated"
SURGERY = "primary_tumor.t_surgery"
SOLVER = Solver(relative_tolerance=1e-8)
"""Tight, so that what a treatment does not touch is told from what it hardly touches."""

ROWS_PER_DOSE = 4
MOST_ROWS = 40_000
"""Rows of the grid: one a day, more where doses come more often, up to this many."""

Plans = Mapping[str, "Treatment | Sequence[Treatment]"]


def plans_of(regimens: Plans) -> dict[str, tuple[Treatment, ...]]:
    """Return the treatments by label, as tuples.

    Raises
    ------
    AnalysisError
        If there is none, a label cannot be used, or something is no treatment.
    """
    if not isinstance(regimens, Mapping) or not regimens:
        raise AnalysisError(
            f"regimens is {str(regimens)[:80]!r}; give a mapping of labels to what regimen(), inhibit() and activate()"
            " return, or to lists of them"
        )
    found: dict[str, tuple[Treatment, ...]] = {}
    for label, given in regimens.items():
        if not isinstance(label, str) or not label.strip() or label == UNTREATED:
            raise AnalysisError(f"label {label!r} cannot name a treatment; give a text other than {UNTREATED!r}")
        each = (given,) if isinstance(given, Treatment) else given
        parts = tuple(each) if isinstance(each, Iterable) and not isinstance(each, str) else (each,)
        if not parts or not all(isinstance(part, Treatment) for part in parts):
            raise AnalysisError(
                f"treatment {label!r} is {str(given)[:80]!r}; give what regimen(), inhibit() or activate() return, or a"
                " list of them"
            )
        found[label] = parts
    return found


def run_treatments(
    model: Model,
    regimens: Plans,
    *,
    years: float | None = None,
    record: Sequence[str] | None = None,
    values: Mapping[str, float] | None = None,
    step: float = 1.0,
    solver: Solver | None = None,
) -> xr.Dataset:
    """Simulate a patient without treatment and with each, on the same days.

    Parameters
    ----------
    model : Model
        Untreated.
    regimens : mapping of str to treatment or list of treatments
        What `cascade.treat` takes: regimens and interventions; a list is given together.
    years : float, optional
        Simulated time from day 0 on; by default that of the composition, else 25, or, in a model without surgery, until
        the last dose and a year.
    record : sequence of str, optional
        Names of the symbols of the untreated model to keep; by default all species and variables. Those of drugs are
        kept in any case.
    values : mapping, optional
        Values of constants of the untreated model: another patient.
    step : float
        Days between rows, at most; less in short runs and where doses come more often (up to `MOST_ROWS` rows).
    solver : Solver, optional
        By default `Solver(relative_tolerance=1e-8)`.

    Returns
    -------
    xarray.Dataset
        One variable per flat id over `treatment` ("untreated" first) and `time` (day), NaN where a treatment has no
        such symbol; over `treatment` the coordinate `start`, the day on which it begins (NaN: never), and `status`.

    Raises
    ------
    AnalysisError
        If the untreated run fails, or regimens are wrong.
    DrugError
        If a treatment cannot be given to this model; the message names it.
    """
    require_model(model, "run_treatments")
    plans = plans_of(regimens)
    models = {UNTREATED: model} | {label: _treated(model, label, plan) for label, plan in plans.items()}
    grid = _grid(model, plans, years, step)
    solver = solver or SOLVER
    runs = {
        label: simulate(each, **grid, values=values, solver=solver, record=_kept(model, each, record))
        for label, each in models.items()
    }
    if (status := str(runs[UNTREATED]["status"].item())) != "ok":
        raise AnalysisError(f"the untreated run failed: {status}")
    starts = [math.nan] + [_start(models[label], plan, runs[label]) for label, plan in plans.items()]
    return _joined(runs, starts)


def _treated(model: Model, label: str, plan: Sequence[Treatment]) -> Model:
    try:
        return treat(model, *plan)
    except CascadeError as error:
        error.args = (f"treatment {label!r}: {error}",)
        raise


def _kept(model: Model, treated: Model, record: Sequence[str] | None) -> list[str] | None:
    """Return what is recorded: what was asked for, what tells the days, and all that treatment adds."""
    if record is None:
        return None
    symbols = symbol_table(treated.flat)
    own = [name for name, s in symbols.items() if name not in symbol_table(model.flat) and s.kind != "compartment"]
    own = [name for name in own if symbols[name].role not in ("rate", "constant")]
    days = [treated.ids[SURGERY]] if SURGERY in treated.ids else []
    origins = [flat for flat in (origin_id(treated, each.origin) for each in treated.interventions) if flat]
    return list(dict.fromkeys([*(model.id(name) for name in record), *days, *origins, *own]))


def _grid(model: Model, plans: Mapping[str, Sequence[Treatment]], years: float | None, step: float) -> dict[str, Any]:
    """Return length and rows of the runs."""
    if years is None and SURGERY not in model.ids and model.years is None:
        ends = [_end(each) for plan in plans.values() for each in plan]
        years = (max(ends) + DAYS_PER_YEAR) / DAYS_PER_YEAR
    years = time_grid(model, years)["years"]
    days = years * DAYS_PER_YEAR
    if not (is_number(step) and step > 0):
        raise AnalysisError(f"step is {step!r}; give the days between rows, above 0")
    often = [each.every for plan in plans.values() for each in plan if isinstance(each, Regimen) and each.every]
    step = min([step, days / 200, *(gap / ROWS_PER_DOSE for gap in often)])
    return {"years": years, "points": min(MOST_ROWS, round(days / step)) + 1}


def _end(each: Treatment) -> float:
    """Return the last day of a treatment, as far as it is known without the patient."""
    if isinstance(each, Surgery):
        return each.day
    if isinstance(each, Radiotherapy):
        return max(each.start + each.days[-1], 0.0)
    if not isinstance(each, Regimen):
        return each.stop or each.start
    if math.isfinite(each.end):
        return max(each.end, 0.0)
    last = schedule(each).steps[-1][0] if each.doses is not None else 0.0
    return max(each.start + last, 0.0)


def origin_id(model: Model, origin: str | None) -> str | None:
    """Return the flat id of the day from which a treatment of this (treated) model counts; None for day 0."""
    if origin is None:
        return None
    if origin == "surgery":
        return model.ids[SURGERY]
    return model.ids.get(origin) or next(flat for flat in (f"t_{origin}", origin) if flat in symbol_table(model.flat))


def _start(model: Model, plan: Sequence[Treatment], run: xr.Dataset) -> float:
    """Return the day of the first dose of a treatment, of its operation if there is none; NaN if it never comes."""
    given = [each for each in plan if not isinstance(each, Surgery)] or plan
    days = []
    for each in given:
        flat = origin_id(model, each.origin)
        begin = 0.0 if flat is None else float(run[flat].values.reshape(-1)[-1])
        days.append(max(begin + _first(each), 0.0))
    inside = [day for day in days if day <= float(run["time"][-1])]
    return min(inside, default=math.nan)


def _first(each: Treatment) -> float:
    """Return the first day of a treatment after its origin."""
    if isinstance(each, Surgery):
        return each.day
    steps = schedule(each).steps if isinstance(each, Regimen) else ()
    return each.start + (steps[0][0] if steps else 0.0)


def _joined(runs: Mapping[str, xr.Dataset], starts: Sequence[float]) -> xr.Dataset:
    """Put the runs over `treatment`."""
    import xarray as xr

    first = runs[UNTREATED]
    rows = first.sizes["time"]
    names = dict.fromkeys(str(n) for run in runs.values() for n, v in run.data_vars.items() if "time" in v.dims)
    data: dict[str, Any] = {}
    for name in names:
        have = [run.get(name) for run in runs.values()]
        table = np.stack([np.full(rows, np.nan) if each is None else each.values for each in have])
        attrs = next(each.attrs for each in have if each is not None)
        data[name] = (("treatment", "time"), table, dict(attrs))
    data["status"] = ("treatment", [str(run["status"].item()) for run in runs.values()])
    coords = {
        "treatment": list(runs),
        "time": first["time"],
        "start": ("treatment", np.array(starts), {"units": "day", "long_name": "day of the first dose"}),
    }
    return xr.Dataset(data, coords, dict(first.attrs))


def kinetics(regimens: Sequence[Regimen], *, days: float | None = None, points: int = 2001) -> xr.Dataset:
    """Simulate the kinetics of drugs alone on a fine grid, from the first dose on: what a daily grid cannot show.

    Parameters
    ----------
    regimens : sequence of Regimen
        Of one or more drugs; moments of a patient are left out, each begins with its first dose.
    days : float, optional
        By default eight intervals of the regimen that is given most rarely, or a month.
    points : int

    Returns
    -------
    xarray.Dataset
        Result of `cascade.simulate`.
    """
    if days is None:
        days = max([8 * (each.every or 0) for each in regimens] + [28.0])
    if not (is_number(days) and days > 0):
        raise AnalysisError(f"days is {days!r}; give a number above 0")
    alone = [
        replace(each, origin=None, until=None, start=0.0, stop=None if each.stop is None else each.stop - each.start)
        for each in regimens
    ]
    return simulate(pharmacokinetics(*alone), days=days, points=points)


def at_days(runs: xr.Dataset, ids: Sequence[str], treatment: str, days: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of variables of one run on given days, interpolated; NaN beyond the run."""
    time = runs["time"].values
    series = np.sum([runs[flat].sel(treatment=treatment).values for flat in ids], axis=0)
    return np.asarray(np.interp(days, time, series, left=np.nan, right=np.nan))
