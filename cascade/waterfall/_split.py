"""Runs of one model with and without treatment, and the hazard when only some stages are as under treatment."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._organs import organs_of
from cascade._stages import STAGES, read_chain
from cascade._starts import with_starts
from cascade.endpoints import DAYS_PER_YEAR, SURGERY, surgery_time
from cascade.errors import AnalysisError, ValueSettingError
from cascade.readouts import RESOLUTION, find_readout, readout
from cascade.simulate import simulate
from cascade.specs import Intervention, Model
from cascade.therapy import treat
from cascade.waterfall._coalitions import Base, Hazards, Patient, Split, no_parts, parts_of, steps_of
from cascade.waterfall._flows import History, Reader
from cascade.waterfall._worth import Memory, Mesh, Worth

if TYPE_CHECKING:
    import xarray as xr

TOLERANCE = 0.01
"""Share by which the hazard of the chain may differ from the simulated one; beyond it, no split is given."""

ROW_DAYS = 2.0
"""Days between the rows of a run."""

SPACING = 10.0
"""Days between the points at which rates are read; less next to jumps."""

_BATCH = 16
"""Treatments that are simulated at a time."""

_START = 180.0
"""The clock begins a multiple of so many days before surgery, so that treatments share what is computed."""


@dataclass
class Study:
    """One model with the activities of all treatments, and its untreated run."""

    model: Model
    reader: Reader
    hazard: str
    days: float
    factors: Mapping[str, Mapping[str, float]]
    moments: tuple[Intervention, ...]
    values: Mapping[str, float]
    _untreated: Patient | None = None
    _bases: dict[tuple[float, ...], Base] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Model,
        named: Mapping[str, tuple[Intervention, ...]],
        hazard: str,
        values: Mapping[str, float],
        years: float,
        stages: Mapping[str, str] | None,
    ) -> Study:
        """Write every treatment into the model, switched off, and find the chain."""
        treated, factors, moments = _with_activities(model, named)
        moments = (*model.interventions, *moments)
        for name, value in values.items():
            if np.ndim(value):
                raise ValueSettingError(f"the value of {name!r} is an array; the stages are those of one patient")
        own = {model.id(name): float(value) for name, value in values.items()}
        reader = Reader(read_chain(treated, stages))
        return cls(treated, reader, hazard, years * DAYS_PER_YEAR, factors, moments, own)

    @property
    def untreated(self) -> Patient:
        """The untreated run."""
        if self._untreated is None:
            raise AnalysisError("the untreated run has not been made")
        return self._untreated

    @property
    def organs(self) -> dict[str, tuple[str, ...]]:
        """Organs and the instances that detect lesions in them."""
        found = set(self.reader.chain.organs.values())
        return organs_of([owner for owner in self.model.instances if owner in found] or sorted(found))

    def splits(self, order: str, options: Mapping[str, Any]) -> dict[str, Split]:
        """Simulate every treatment and split its effect."""
        none = dict.fromkeys(next(iter(self.factors.values())), 1.0)
        self._untreated = first = self._simulated([none], options)[0]
        if first.reason != "ok":
            raise AnalysisError(f"without treatment there is no {self.hazard!r} to split: {first.reason}")
        names = list(self.factors)
        found: dict[str, Split] = {}
        for begin in range(0, len(names), _BATCH):
            batch = names[begin : begin + _BATCH]
            patients = self._simulated([self.factors[name] for name in batch], options)
            found |= {name: self._split(name, patient, order) for name, patient in zip(batch, patients, strict=True)}
        return found

    def _simulated(self, arms: Sequence[Mapping[str, float]], options: Mapping[str, Any]) -> list[Patient]:
        import xarray as xr

        keys = (*self.values, *arms[0])
        table = np.array([[*self.values.values(), *arm.values()] for arm in arms])
        columns = {key: xr.DataArray(table[:, place], dims="treatment") for place, key in enumerate(keys)}
        origins = (self.model.id(moment.origin) for moment in self.moments if moment.origin is not None)
        surgery = [name for name in SURGERY if name in self.model.ids.values()]
        record = dict.fromkeys((*self.reader.states, *find_readout(self.hazard).needs, *origins, *surgery))
        points = round(self.days / ROW_DAYS) + 1
        runs = simulate(self.model, days=self.days, points=points, values=columns, record=list(record), **options)
        every, rows = with_starts(self.model.flat, keys, table)
        measured = readout(runs, self.hazard)
        return [
            self._patient(
                runs.isel(treatment=place), dict(zip(every, row, strict=True)), measured.isel(treatment=place)
            )
            for place, row in enumerate(rows.tolist())
        ]

    def _patient(self, run: xr.Dataset, given: Mapping[str, float], measured: xr.DataArray) -> Patient:
        surgery = float(surgery_time(run)) if SURGERY[0] in run else math.nan
        operated = math.isfinite(surgery)
        origin, jumps = (surgery, {surgery}) if operated else (0.0, set())
        for moment in self.moments:
            begin = 0.0 if moment.origin is None else float(run[self.model.id(moment.origin)].values[-1])
            jumps |= {begin + day for day in (moment.start, moment.stop) if day is not None}
        states = {name: run[name].values for name in self.reader.states}
        constants = {name: value for name, value in given.items() if name not in states}
        inside = tuple(sorted(day for day in jumps if 0 < day < self.days))
        if self.hazard == "h_cumulative":
            window = (-math.inf, self.days - origin)
        else:
            window = (0.0, float(self.hazard.removeprefix("h_since_surgery_").removesuffix("y")) * DAYS_PER_YEAR)
        history = History(run["time"].values, states, constants, origin, inside)
        return Patient(history, window, float(measured), str(measured["reason"].values))

    def _base(self, pair: tuple[Patient, Patient]) -> tuple[Base, Mesh]:
        """Return what the untreated run says on the mesh that it shares with a treated one."""
        untreated = pair[0]
        start = -math.ceil(max(patient.history.origin for patient in pair) / _START) * _START
        stop = max(patient.window[1] for patient in pair)
        near = {day - patient.history.origin for patient in pair for day in patient.history.jumps}
        near |= {edge for patient in pair for edge in patient.window if math.isfinite(edge)}
        jumps = sorted({round(jump, 6) for jump in near})
        mesh = Mesh.of(start, stop, jumps, SPACING)
        key = (untreated.history.origin, start, stop, *jumps)
        if key not in self._bases:
            history, clock = untreated.history, mesh.points
            if not self._bases:
                self.reader.check_sources(history, clock)
            burden = self.reader.burden(history, clock)
            rates = self.reader.rates(history, burden, clock)
            worth = Worth(self.reader.chain, mesh, rates)
            self._bases[key] = Base(worth, burden, rates, mesh.within(*untreated.window), Memory())
        return self._bases[key], mesh

    def _split(self, name: str, treated: Patient, order: str) -> Split:
        if treated.reason != "ok":
            return no_parts(treated.reason, len(self.organs))
        pair = _on_one_clock(self.untreated, treated, self.days)
        hazards = Hazards.of(*self._base(pair), self.reader, pair)
        steps = steps_of(order)
        coalitions = dict.fromkeys(each for step in steps for each in step[2:])
        values = {each: hazards.of_stages(each) for each in coalitions}
        untreated, whole = (float(values[each].sum()) for each in (frozenset(), frozenset(STAGES)))
        errors = [
            self._error(name, "without treatment", untreated, self.untreated.hazard),
            self._error(name, "under treatment", whole, treated.hazard),
        ]
        columns = hazards.base.worth.columns
        owned = np.array([[column in owners for column in columns] for owners in self.organs.values()], dtype=float)
        return parts_of(steps, values, owned, (self.untreated.hazard, treated.hazard), errors)

    def _error(self, name: str, arm: str, chain: float, simulated: float) -> float:
        error = (chain - simulated) / max(simulated, RESOLUTION)
        if abs(chain - simulated) > TOLERANCE * simulated + RESOLUTION:
            raise AnalysisError(
                f"treatment {name!r}: the hazard of the chain of cells {arm} is {chain:.6g}, the simulated one"
                f" {simulated:.6g} ({100 * error:+.2g} %); the limit is {100 * TOLERANCE:g} %. Either cells start or"
                " act outside of the chain, or something changes within days that no intervention or surgery tells of"
            )
        return error


def _on_one_clock(untreated: Patient, treated: Patient, days: float) -> tuple[Patient, Patient]:
    """Count from surgery; if only one of the two is operated on, from the first tumor cell."""
    pair = (untreated, treated)
    if all(patient.history.origin for patient in pair):
        return pair
    first, second = (
        replace(patient, history=replace(patient.history, origin=0.0), window=(-math.inf, days)) for patient in pair
    )
    return first, second


def _with_activities(
    model: Model, named: Mapping[str, tuple[Intervention, ...]]
) -> tuple[Model, dict[str, dict[str, float]], tuple[Intervention, ...]]:
    """Write one activity for each constant and time, and say which factor each treatment gives it."""
    slots: dict[tuple[Any, ...], Intervention] = {}
    chosen: dict[str, dict[tuple[Any, ...], float]] = {}
    for name, interventions in named.items():
        seen: Counter[tuple[Any, ...]] = Counter()
        chosen[name] = {}
        for each in interventions:
            what = (model.ids.get(each.target, each.target), each.start, each.stop, each.origin)
            seen[what] += 1
            slot = (*what, seen[what])
            slots.setdefault(slot, Intervention(**(vars(each) | {"factor": 1.0})))
            chosen[name][slot] = each.factor
    treated = treat(model, *slots.values())
    added = [row.id for row in treated.parameters[len(model.parameters) :] if row.id.startswith("factor_on_")]
    factors = {
        name: {factor: given.get(slot, 1.0) for slot, factor in zip(slots, added, strict=True)}
        for name, given in chosen.items()
    }
    return treated, factors, tuple(slots.values())
