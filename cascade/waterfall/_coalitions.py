"""The hazard when some stages are as under treatment and the others as without it, and what each stage changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._stages import STAGES, TUMOR
from cascade.readouts import RESOLUTION
from cascade.waterfall._flows import History, Rate, Reader, replace_equal
from cascade.waterfall._worth import Memory, Mesh, Worth

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORDERS = ("from_tumor", "from_lesion", "shapley")
"""Orders in which stages are switched; the last is the mean over all orders."""

Coalition = frozenset[str]
"""The stages that are as under treatment."""


@dataclass(frozen=True)
class Patient:
    """One run: its history on the clock of surgery, the window that counts, and the simulated hazard in it."""

    history: History
    window: tuple[float, float]
    hazard: float
    reason: str


@dataclass(frozen=True)
class Base:
    """What one mesh needs of the untreated run."""

    worth: Worth
    burden: Mapping[str, Any]
    rates: list[Rate]
    window: NDArray[np.float64]
    memory: Memory


@dataclass(frozen=True)
class Split:
    """Parts of one treatment's effect; see `cascade.waterfall`."""

    log_hazard_ratio: NDArray[np.float64]
    hazard_difference: NDArray[np.float64]
    risk_difference: NDArray[np.float64]
    hazard_difference_organ: NDArray[np.float64]
    hazard_treated: float
    log_hazard_ratio_total: float
    residual: float
    residual_untreated: float
    residual_treated: float
    reason: str


@dataclass
class Hazards:
    """The hazard for any coalition of stages."""

    base: Base
    reader: Reader
    untreated: History
    treated: History
    clock: NDArray[np.float64]
    burden: Mapping[str, Any]
    window: NDArray[np.float64]
    memory: Memory
    _rates: dict[tuple[bool, bool], list[Rate]]

    @classmethod
    def of(cls, base: Base, mesh: Mesh, reader: Reader, pair: tuple[Patient, Patient]) -> Hazards:
        """Prepare an untreated and a treated patient on one mesh."""
        base.worth.hazard(base.rates, base.window, base.memory)
        untreated, treated = (patient.history for patient in pair)
        window, clock = mesh.within(*pair[1].window), mesh.points
        window = base.window if np.array_equal(window, base.window) else window
        burden = reader.burden(treated, clock)
        known = {(False, False): base.rates}
        return cls(base, reader, untreated, treated, clock, burden, window, base.memory.copy(), known)

    def of_stages(self, coalition: Coalition) -> NDArray[np.float64]:
        """Return the hazard, by instance that detects, if these stages are as under treatment."""
        tumor = TUMOR in coalition
        sides = {
            side: self._read(side, tumor) for side in {flow.stage in coalition for flow in self.reader.chain.flows}
        }
        rates = [sides[flow.stage in coalition][place] for place, flow in enumerate(self.reader.chain.flows)]
        return self.base.worth.hazard(rates, self.window if tumor else self.base.window, self.memory)

    def _read(self, stage: bool, tumor: bool) -> list[Rate]:
        """Return all rates where everything, or the tumor, is as under treatment."""
        if (stage, tumor) not in self._rates:
            history = self.treated if stage else self.untreated
            rates = self.reader.rates(history, self.burden if tumor else self.base.burden, self.clock)
            for known in self._rates.values():
                rates = replace_equal(rates, known)
            self._rates[stage, tumor] = rates
        return self._rates[stage, tumor]


Step = tuple[float, int, Coalition, Coalition]
"""Weight, place of the stage that is switched, and the stages under treatment before and after."""


def steps_of(order: str) -> list[Step]:
    """Return what is switched after what in one of `ORDERS`."""
    names = list(STAGES)
    if order != "shapley":
        queue = names if order == "from_tumor" else names[::-1]
        return [
            (1.0, names.index(name), frozenset(queue[:place]), frozenset(queue[: place + 1]))
            for place, name in enumerate(queue)
        ]
    found: list[Step] = []
    for place, name in enumerate(names):
        others = [other for other in names if other != name]
        for size in range(len(names)):
            weight = 1.0 / (len(names) * math.comb(len(others), size))
            found += [
                (weight, place, frozenset(chosen), frozenset((*chosen, name))) for chosen in combinations(others, size)
            ]
    return found


def parts_of(
    steps: Sequence[Step],
    values: Mapping[Coalition, NDArray[np.float64]],
    owned: NDArray[np.float64],
    simulated: tuple[float, float],
    errors: Sequence[float],
) -> Split:
    """Add up what each stage changes, on every scale."""
    scales: dict[str, Callable[[NDArray[np.float64]], Any]] = {
        "log_hazard_ratio": lambda hazard: math.log(max(float(hazard.sum()), RESOLUTION)),
        "hazard_difference": lambda hazard: float(hazard.sum()),
        "risk_difference": lambda hazard: -math.expm1(-float(hazard.sum())),
    }
    found: dict[str, NDArray[np.float64]] = {}
    for name, scale in scales.items():
        parts = np.zeros(len(STAGES))
        for weight, place, before, after in steps:
            parts[place] += weight * (scale(values[after]) - scale(values[before]))
        ends = [scale(np.array([hazard])) for hazard in simulated]
        found[name] = _adding_to(parts, ends[1] - ends[0])
        if name == "log_hazard_ratio":
            total, residual = ends[1] - ends[0], ends[1] - ends[0] - float(parts.sum())
    organs = np.zeros((len(STAGES), len(owned)))
    for weight, place, before, after in steps:
        organs[place] += weight * (owned @ (values[after] - values[before]))
    organs = np.array([_adding_to(row, part) for row, part in zip(organs, found["hazard_difference"], strict=True)])
    return Split(
        **found,
        hazard_difference_organ=organs,
        hazard_treated=simulated[1],
        log_hazard_ratio_total=total,
        residual=residual,
        residual_untreated=errors[0],
        residual_treated=errors[1],
        reason="ok",
    )


def _adding_to(parts: NDArray[np.float64], total: float) -> NDArray[np.float64]:
    """Spread what is missing from a total over the parts, in proportion to their size."""
    size = np.abs(parts)
    share = size / size.sum() if size.sum() > 0 else np.full(len(parts), 1 / len(parts))
    found: NDArray[np.float64] = parts + (total - parts.sum()) * share
    return found


def no_parts(reason: str, organs: int) -> Split:
    """Return the result of a treatment that cannot be split."""
    none = np.full(len(STAGES), math.nan)
    number = math.nan
    return Split(none, none, none, np.full((len(STAGES), organs), math.nan), *(number,) * 5, reason=reason)
