"""Evaluates candidates of a search over regimens: each once, those that differ in start and dose alone together."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cascade._candidates import FREE, Space
from cascade._progress import Advance
from cascade.errors import DrugError
from cascade.evaluate import evaluate
from cascade.specs import Model
from cascade.therapy import treat
from cascade.therapy._schedule import schedule
from cascade.therapy.regimens import Regimen

_KEPT_MODELS = 4


@dataclass(frozen=True)
class Looked:
    """One candidate and what came out."""

    plans: tuple[Regimen, ...] | None
    point: tuple[float, ...]
    stage: str
    outcome: Any = None
    reason: str = "ok"


class Search:
    """Candidates as they are evaluated; each is simulated once, and what is beyond the budget not at all."""

    def __init__(
        self,
        *,
        model: Model,
        space: Space,
        readout: str,
        sign: float,
        values: dict[str, Any],
        options: dict[str, Any],
        store: Path | None,
        budget: int,
        advance: Advance,
    ) -> None:
        self.model, self.space, self.readout, self.sign = model, space, readout, sign
        self.values, self.options, self.store = values, options, store
        self.budget, self.advance = budget, advance
        self.looked: list[Looked] = []
        self.known: dict[tuple[Any, ...], int] = {}
        self.ran, self.batches, self.stage = 0, 0, "given"
        self.attrs: dict[str, Any] = {}
        self.models: OrderedDict[Any, Arm] = OrderedDict()

    @property
    def left(self) -> int:
        """Candidates that may still be simulated."""
        return self.budget - self.ran

    def __call__(self, points: Sequence[Sequence[float]]) -> list[float]:
        """Return what is to be made small at every point; infinite where there is no result."""
        places = [self._place(tuple(float(x) for x in point)) for point in points]
        waiting = [place for place in dict.fromkeys(places) if place is not None and self.looked[place].reason == ""]
        groups: dict[Any, list[int]] = {}
        for place in waiting:
            groups.setdefault(_structure(self.looked[place].plans or ()), []).append(place)
        for number, (structure, members) in enumerate(groups.items()):
            self._run(structure, members, f"{self.batches:04d}_{number:03d}")
        self.batches += bool(waiting)
        return [math.inf if place is None else self.cost(self.looked[place]) for place in places]

    def _place(self, point: tuple[float, ...]) -> int | None:
        """Return where a candidate stands; a new one has an empty reason until it has run."""
        try:
            plans: tuple[Regimen, ...] | None = self.space.plans(point)
            reason = ""
        except DrugError as error:
            plans, reason = None, f"cannot be given: {error}"
        key: tuple[Any, ...] = point if plans is None else tuple(getattr(p, name) for p in plans for name in FREE)
        if key in self.known:
            return self.known[key]
        if not reason and self.left < 1:
            return None
        self.ran += not reason
        self.known[key] = len(self.looked)
        there = point if plans is None else tuple(self.space.point(plans))
        self.looked.append(Looked(plans, there, self.stage, reason=reason))
        return self.known[key]

    def cost(self, looked: Looked) -> float:
        return math.inf if looked.reason != "ok" else self.sign * float(looked.outcome.mean())

    def _run(self, structure: Any, members: list[int], part: str) -> None:
        """Simulate candidates that differ in start and dose alone."""
        import xarray as xr

        arm = self._arm(structure, members[0])
        rows = [self.looked[place].plans or () for place in members]
        columns = {
            name: xr.DataArray([number(plans) for plans in rows], dims="candidate") for name, number in arm.set.items()
        }
        where = None if self.store is None else self.store / f"{part}.zarr"
        found = evaluate(arm.model, {**self.values, **columns}, [self.readout], store=where, **self.options)
        self.attrs = self.attrs or dict(found.attrs)
        for index, place in enumerate(members):
            outcome = found[self.readout].isel(candidate=index)
            reasons = Counter(str(r) for r in found[f"reason_{self.readout}"].isel(candidate=index).values.reshape(-1))
            reason = next((text for text, _ in reasons.most_common() if text != "ok"), "ok")
            self.looked[place] = replace(self.looked[place], outcome=outcome, reason=reason)
            self.advance(reason != "ok")

    def _arm(self, structure: Any, place: int) -> Arm:
        if structure not in self.models:
            self.models[structure] = Arm(self.model, self.looked[place].plans or ())
            if len(self.models) > _KEPT_MODELS:
                self.models.popitem(last=False)
        self.models.move_to_end(structure)
        return self.models[structure]


class Arm:
    """A model with regimens whose start and dose are values."""

    def __init__(self, model: Model, plans: tuple[Regimen, ...]) -> None:
        self.set: dict[str, Any] = {}
        for place, plan in enumerate(plans):
            before = set(model.table)
            model = treat(model, _movable(plan))
            for row in model.parameters:
                local = row.id.removeprefix(f"{plan.drug.name}__")
                if row.id not in before and local.startswith("t_start_"):
                    self.set[row.id] = lambda given, at=place: given[at].start
                elif row.id not in before and local.startswith(("n_dose_", "a_level_")):
                    self.set[row.id] = lambda given, at=place: given[at].amount(given[at].dose)
        self.model = model


def _movable(plan: Regimen) -> Regimen:
    """Return a regimen that does not begin with the simulation: then its start is a constant of the model."""
    if plan.origin is not None or plan.start:
        return plan
    return replace(plan, start=1.0, stop=None if plan.stop is None else plan.stop + 1.0)


def _structure(plans: tuple[Regimen, ...]) -> tuple[Any, ...]:
    """Return what must be equal for schedules to be one model."""
    return tuple((schedule(plan).kind, schedule(plan).steps) for plan in plans)
