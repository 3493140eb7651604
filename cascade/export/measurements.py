"""Measurements of a PEtab problem: simulated as an example, or given by the user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade._tables import real_number
from cascade.errors import CascadeError, SimulationError, ValueSettingError, unknown_name
from cascade.export.conditions import UNTREATED, Conditions
from cascade.export.observables import Observable
from cascade.simulate import simulate
from cascade.specs import Solver

if TYPE_CHECKING:
    import pandas as pd

MOMENTS = 10
"""Evenly spaced moments at which an example is measured, the last at the end."""

SHARE = 0.05
"""Standard deviation of the noise of an example, as a share of the largest value of the observable."""

PRECISE = Solver(relative_tolerance=1e-8, absolute_tolerance=1e-12)

_COLUMNS = ("observableId", "time", "measurement")
_TAKEN = {"experimentId", "simulationConditionId"}
"""Columns that the writer makes itself."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measured number; `treatment` is empty in a problem without conditions, `others` are further columns."""

    observable: str
    treatment: str
    day: float
    value: float
    others: Mapping[str, object] = field(default_factory=dict)


def simulated_measurements(
    arms: Conditions, observables: tuple[Observable, ...], years: float
) -> tuple[tuple[Measurement, ...], dict[str, float]]:
    """Simulate every treatment and return what is measured, and the standard deviation of each observable.

    Raises
    ------
    SimulationError
        If a run fails.
    """
    record = list(dict.fromkeys(name for each in observables for name in each.symbols))
    found: list[Measurement] = []
    for treatment, values in (arms.values or {"": {}}).items():
        runs = simulate(arms.model, years=years, points=MOMENTS + 1, values=values, record=record, solver=PRECISE)
        if str(runs["status"].values) != "ok":
            raise SimulationError(
                f"cannot simulate measurements of {arms.model.name!r} ({treatment or UNTREATED}): "
                f"{runs['status'].values}; give measurements of your own"
            )
        label = {"datasetId": f"simulated_{treatment or UNTREATED}", "origin": "simulated by the model, without noise"}
        for each in observables:
            course = each.compute(runs)
            found += [
                Measurement(observable=each.id, treatment=treatment, day=float(day), value=float(value), others=label)
                for day, value in zip(runs["time"].values[1:], course.values[1:], strict=True)
            ]
    return tuple(found), _spreads(observables, found)


def given_measurements(
    arms: Conditions, observables: tuple[Observable, ...], table: pd.DataFrame
) -> tuple[tuple[Measurement, ...], dict[str, float]]:
    """Check the measurements of a user.

    Raises
    ------
    ValueSettingError
        If a column is missing, or a number is not finite or a day is before the start.
    UnknownNameError
        If an observable or a treatment is not known.
    """
    columns = [str(name) for name in getattr(table, "columns", ())]
    missing = [name for name in _COLUMNS if name not in columns]
    if missing or not len(table):
        raise ValueSettingError(
            f"measurements lack {', '.join(missing) or 'rows'}; give a table with the columns {', '.join(_COLUMNS)},"
            " and treatment"
        )
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice or _TAKEN & set(columns):
        raise ValueSettingError(
            f"measurements have the columns {', '.join(twice) or ', '.join(sorted(_TAKEN & set(columns)))}, which"
            f" {'stand twice' if twice else 'PEtab fills from the column treatment'}; leave one of each"
        )
    known = {each.id for each in observables}
    found = []
    for number, row in enumerate(table.to_dict("records")):
        found.append(_measurement(row, f"row {number}", known, arms))
    return tuple(found), _spreads(observables, found)


def _measurement(row: Mapping[Any, Any], where: str, known: set[str], arms: Conditions) -> Measurement:
    name, arm = str(row["observableId"]), str(row.get("treatment", UNTREATED if arms.values else ""))
    if name not in known:
        raise unknown_name("observable", name, known, f"the problem ({where} of the measurements)")
    if arm not in (arms.values or {"": {}}):
        raise unknown_name("treatment", arm, arms.values, f"the problem ({where} of the measurements)")
    try:
        day, value = real_number(row["time"]), real_number(row["measurement"])
    except CascadeError:
        day = value = math.nan
    if not (math.isfinite(day) and day >= 0 and math.isfinite(value)):
        raise ValueSettingError(
            f"{where} of the measurements: time {row['time']!r}, measurement {row['measurement']!r}; give finite"
            " numbers and a day from 0 on"
        )
    others = {str(key): value for key, value in row.items() if key not in (*_COLUMNS, "treatment")}
    return Measurement(observable=name, treatment=arm, day=day, value=value, others=others)


def _spreads(observables: tuple[Observable, ...], found: list[Measurement]) -> dict[str, float]:
    """Return the standard deviations of an example: 5 % of the largest value, and 1 where all values are 0."""
    largest = {each.id: 0.0 for each in observables}
    for each in found:
        largest[each.observable] = max(largest[each.observable], abs(each.value))
    return {name: float(f"{SHARE * value:.3g}") or 1.0 for name, value in largest.items()}
