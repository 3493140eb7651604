"""What a single cell or lesion can become, and how fast: read out of a flat model, reaction by reaction.

After arrest nothing interacts: every reaction is first order in one kind of cell or lesion, so each individual has
fates of its own (a linear birth-death process with several types). The rates are differences of the model's own
reaction rates with and without the individual; no formula is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._canonical import Symbol, canonicalize, symbol_table
from cascade._capture import captured
from cascade._sbml import read_document
from cascade._starts import with_starts
from cascade.engine import load_roadrunner
from cascade.errors import AnalysisError, SimulationError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from cascade.specs import Model

OVERT = "n_overt"
"""Local id of the lesions that are detected: what every fate is followed to."""

DETECTED = -1
"""Stands for a detected lesion among the products of an event."""

_AFTER = ("n_burden",)
"""Local ids of what is counted only after detection: the size of overt lesions is a number of cells, no individual."""

_MANY = 1e9
"""Individuals added to read a rate: so many that the rounding of other flows does not matter."""


@dataclass(frozen=True)
class Event:
    """One thing that can happen to an individual of a type.

    Attributes
    ----------
    source : int
        Type that it happens to.
    products : tuple of int
        Types that it becomes (or makes); `DETECTED` for a detected lesion.
    consumed : bool
        Whether the individual itself is gone.
    rates : array
        Per day, at the times of `Fates.time`.
    """

    source: int
    products: tuple[int, ...]
    consumed: bool
    rates: NDArray[np.float64]


@dataclass(frozen=True)
class Fates:
    """Types of individuals (flat ids) and their events; `time` in days since the start of the cohort."""

    types: tuple[str, ...]
    events: tuple[Event, ...]
    time: NDArray[np.float64]

    @property
    def constant(self) -> bool:
        """True if no rate changes with time."""
        return all(np.ptp(event.rates) <= 1e-12 * event.rates.max(initial=0.0) for event in self.events)


def read_fates(
    model: Model,
    starts: tuple[str, ...],
    time: NDArray[np.float64],
    values: Mapping[str, float],
    run: xr.Dataset | None,
    begin: float,
) -> Fates:
    """Follow the given types through every first-order reaction to detection.

    Parameters
    ----------
    model : Model
    starts : tuple of str
        Flat ids of the species of the cohort.
    time : array
        Days since the start of the cohort at which the rates are read.
    values : mapping
        Constants that differ from those of the model, by flat id.
    run : Dataset, optional
        Run of the model from which everything else is taken; else its start values.
    begin : float
        Day of the run on which the cohort starts.

    Raises
    ------
    AnalysisError
        If an individual interacts with others, or `run` does not hold all states.
    """
    reader = _Reader(model, values)
    states = reader.states(run, begin + time) if run is not None else None
    types, events = list(starts), []
    place = {name: index for index, name in enumerate(types)}
    position = 0
    while position < len(types):
        source = types[position]
        for reaction, rates in reader.rates(source, states, len(time)).items():
            change = {k: v for k, v in reader.changes[reaction].items() if _local(k) not in _AFTER}
            if not change:
                continue
            own = change.pop(source, 0.0)
            _check(source, reaction, own, change, rates)
            products: list[int] = []
            for name, number in [(source, max(own, 0.0)), *change.items()]:
                if _local(name) != OVERT and name not in place and number:
                    place[name] = len(types)
                    types.append(name)
                products += [DETECTED if _local(name) == OVERT else place[name]] * round(number)
            events.append(Event(position, tuple(products), own < 0, rates))
        position += 1
    return Fates(tuple(types), tuple(events), time)


def _check(source: str, reaction: str, own: float, change: Mapping[str, float], rates: NDArray[np.float64]) -> None:
    numbers = [own, *change.values()]
    if own < -1 or any(number < 0 for number in change.values()) or (rates < 0).any():
        raise AnalysisError(
            f"reaction {reaction!r} lets {source!r} act on others; only independent fates can be followed"
        )
    if any(number != round(number) for number in numbers):
        raise AnalysisError(f"reaction {reaction!r} makes {numbers} individuals; only whole numbers can be followed")


class _Reader:
    """Reaction rates of a model at chosen states."""

    def __init__(self, model: Model, values: Mapping[str, float]) -> None:
        self.name = model.name
        self.symbols: Mapping[str, Symbol] = symbol_table(model.flat)
        self.changes = _changes(model.flat)
        given = np.array([[float(value) for value in values.values()]])
        keys, rows = with_starts(model.flat, tuple(values), given)
        canonical = canonicalize(model.flat, keys)
        with captured():
            try:
                self._runner: Any = load_roadrunner().RoadRunner(canonical.sbml)
            except RuntimeError as error:
                raise SimulationError(
                    f"libRoadRunner cannot load the model: {error}; check it with cascade.check"
                ) from None
        for name, value in zip(keys, rows[0], strict=True):
            self._runner.model[f"init({canonical.keys[name]})"] = float(value)
        self._runner.resetAll()
        self._reactions = list(self._runner.model.getReactionIds())

    def states(self, run: xr.Dataset, days: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return what determines the state of the model at the given days, by libRoadRunner's names."""
        wanted = [
            s
            for s in self.symbols.values()
            if s.role in ("integrated", "switched") and s.kind in ("species", "parameter")
        ]
        missing = [s.id for s in wanted if s.id not in run]
        if missing:
            raise AnalysisError(f"the run does not hold {', '.join(missing[:5])}; simulate without `record`")
        if any(run[s.id].dims != ("time",) for s in wanted):
            raise AnalysisError("the run has sample dimensions; choose one run, such as run.isel(sample=0)")
        time = run["time"].values
        if days[0] < time[0] or days[-1] > time[-1] * (1 + 1e-12):
            raise AnalysisError(f"the cohort lives from day {days[0]:g} to {days[-1]:g}, the run only to {time[-1]:g}")
        found = {"time": days}
        for s in wanted:
            key = s.id if s.kind == "parameter" or s.amount else f"[{s.id}]"
            found[key] = np.interp(days, time, run[s.id].values)
        return found

    def rates(
        self, source: str, states: Mapping[str, NDArray[np.float64]] | None, rows: int
    ) -> dict[str, NDArray[np.float64]]:
        """Return the rate per individual of every reaction that an individual takes part in."""
        symbol = self.symbols[source]
        if symbol.role != "integrated" or not symbol.amount:
            raise AnalysisError(
                f"{source!r} is no number of individuals that reactions change (a quasi-steady species is not followed:"
                " start from another one, or compose without `quasi_steady`)"
            )
        found = []
        for row in range(rows if states is not None else 1):
            if states is not None:
                self._put({key: float(series[row]) for key, series in states.items()})
            found.append(self._difference(source))
        table = np.array(found) if states is not None else np.repeat(np.array(found), rows, axis=0)
        return {name: table[:, i] for i, name in enumerate(self._reactions) if table[:, i].any()}

    def _put(self, state: Mapping[str, float]) -> None:
        self._runner.model.setTime(state["time"])
        for key, value in state.items():
            if key != "time":
                self._runner.model[key] = value

    def _difference(self, source: str) -> NDArray[np.float64]:
        model = self._runner.model
        before = float(model[source])
        rates = []
        for number in (0.0, 1.0, 2.0):
            model[source] = before + number * _MANY
            rates.append(np.array(model.getReactionRates(), dtype=float))
        model[source] = before
        once, twice = rates[1] - rates[0], rates[2] - rates[0]
        noise = 1e-13 * np.abs(rates[0])
        bent = np.abs(twice - 2 * once) > 1e-6 * np.abs(twice) + 10 * noise
        bent &= [bool({k for k in self.changes[name] if _local(k) not in _AFTER}) for name in self._reactions]
        if bent.any():
            name = self._reactions[int(np.argmax(bent))]
            raise AnalysisError(f"reaction {name!r} is not first order in {source!r}; its individuals interact")
        return np.where(np.abs(once) > noise, once, 0.0) / _MANY


def _changes(flat: str) -> dict[str, dict[str, float]]:
    """Return what every reaction adds to the species that reactions change."""
    model = read_document(flat, "flat model").getModel()
    found: dict[str, dict[str, float]] = {}
    for reaction in model.getListOfReactions():
        net: dict[str, float] = {}
        for side, sign in ((reaction.getListOfReactants(), -1), (reaction.getListOfProducts(), 1)):
            for reference in side:
                name = reference.getSpecies()
                if not model.getSpecies(name).getBoundaryCondition():
                    net[name] = net.get(name, 0.0) + sign * reference.getStoichiometry()
        found[reaction.getId()] = {name: number for name, number in net.items() if number}
    return found


def _local(name: str) -> str:
    return name.rpartition("__")[2]
