"""What one cell is worth: the lesions that are expected of it until the horizon, link by link and back in time.

The backward equations of a linear chain: `-dV/dt = sum(rate out * V of what it makes) - loss * V`. Links that depend on
each other are solved together, one group after the other, each for all times at once (a banded system) in steps of
Radau IIA of order 3 (Hairer and Wanner, Solving ODE II, IV.5), which damp what is fast. Steady links hold no cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._stages import HAZARD, Chain
from cascade.errors import AnalysisError
from cascade.waterfall._flows import Rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RADAU = ((5 / 12, -1 / 12), (3 / 4, 1 / 4))
_SMALLEST = 0.02
"""Days: the step next to a jump; steps double from there to the spacing of the mesh."""


@dataclass(frozen=True)
class Mesh:
    """Steps from `edges[k]` to `edges[k + 1]`, in days of the clock; jumps are edges."""

    edges: NDArray[np.float64]

    @classmethod
    def of(cls, start: float, stop: float, jumps: Sequence[float], spacing: float) -> Mesh:
        """Space the edges evenly, and more closely on both sides of a jump."""
        near = _SMALLEST * (2.0 ** np.arange(int(np.ceil(np.log2(max(spacing / _SMALLEST, 2.0))))) - 1)
        inside = sorted({jump for jump in jumps if start < jump < stop})
        parts: list[NDArray[Any]] = [np.linspace(start, stop, max(2, int(np.ceil((stop - start) / spacing)) + 1))]
        parts += [jump + side * near for jump in inside for side in (-1, 1)]
        fixed = np.array([start, *inside, stop])
        free = np.unique(np.concatenate(parts))
        free = free[np.abs(free[:, None] - fixed).min(axis=1) > 0.9 * _SMALLEST]
        free = free[(free > start) & (free < stop) & (np.diff(free, prepend=-np.inf) > 0.5 * _SMALLEST)]
        return cls(np.sort(np.concatenate([fixed, free])))

    @property
    def steps(self) -> NDArray[np.float64]:
        """Length of each step, the last one first."""
        found: NDArray[np.float64] = np.diff(self.edges)[::-1]
        return found

    @property
    def points(self) -> NDArray[np.float64]:
        """Times at which rates are needed, two for each step, backward in time; the second is the begin of the step."""
        begin, end = self.edges[:-1][::-1], self.edges[1:][::-1]
        return np.column_stack([end - (end - begin) / 3, begin]).ravel()

    def within(self, begin: float, end: float) -> NDArray[np.float64]:
        """Return 1 at the points of the steps that lie in a window, else 0."""
        middle = (self.edges[:-1] + self.edges[1:])[::-1] / 2
        return np.repeat(((middle > begin) & (middle < end)).astype(float), 2)


@dataclass(frozen=True)
class _Group:
    """Links that depend on each other, and the places of the flows that read or take them."""

    links: tuple[str, ...]
    flows: tuple[int, ...]
    after: tuple[str, ...]


@dataclass
class Memory:
    """Values that were solved, by the rates that they depend on; arrays are kept so that identities stay unique."""

    values: dict[tuple[int, ...], list[NDArray[np.float64]]] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)

    def copy(self) -> Memory:
        """Return a memory that can grow alone."""
        return Memory(dict(self.values), list(self.kept))


class Worth:
    """Solves a chain on a mesh."""

    def __init__(self, chain: Chain, mesh: Mesh, pattern: Sequence[Rate]) -> None:
        self.chain, self.mesh = chain, mesh
        self.columns = tuple(dict.fromkeys(chain.organs.values()))
        self._moving = frozenset(chain.species)
        self._groups = _groups(chain, pattern)

    def hazard(self, rates: Sequence[Rate], window: NDArray[np.float64], memory: Memory) -> NDArray[np.float64]:
        """Return the cumulative hazard in the window by instance that detects (`columns`).

        Parameters
        ----------
        rates : sequence of Rate
            By flow of the chain.
        window : array
            Weight of a detection at each point of the mesh.
        memory : Memory
            Filled with what is solved, and asked first.
        """
        worth: dict[str, NDArray[np.float64]] = {}
        for group in self._groups:
            used = [rates[place] for place in group.flows]
            needs = [worth[link] for link in group.after if link in worth]
            key = (*map(id, used), *map(id, needs), id(window), id(group))
            if key not in memory.values:
                memory.kept += [used, needs, window]
                memory.values[key] = self._solve(group, rates, window, worth)
            worth |= dict(zip(group.links, memory.values[key], strict=True))
        return self._total(rates, worth)

    def _total(self, rates: Sequence[Rate], worth: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        weights = (self.mesh.steps[:, None] * np.array(_RADAU[1])).ravel()
        total = np.zeros(len(self.columns))
        for place, rate in enumerate(rates):
            if rate.source.any():
                for link, number in self.chain.flows[place].makes:
                    if link in worth:
                        total += number * (weights * rate.source) @ worth[link]
        return total

    def _solve(
        self,
        group: _Group,
        rates: Sequence[Rate],
        window: NDArray[np.float64],
        worth: Mapping[str, NDArray[np.float64]],
    ) -> list[NDArray[np.float64]]:
        place = {link: number for number, link in enumerate(group.links)}
        size, points = len(place), len(window)
        loss = np.array([np.zeros(points) if link not in self.chain.fluxes else np.ones(points) for link in place])
        inner = np.zeros((size, size, points))
        gain = np.zeros((size, points, len(self.columns)))
        for number in group.flows:
            flow, rate = self.chain.flows[number], rates[number]
            if flow.takes in place:
                loss[place[flow.takes]] += rate.per_cell[flow.takes]
            for link in rate.per_cell.keys() & place.keys():
                row, coefficient = place[link], rate.per_cell[link]
                for made, times in flow.makes:
                    if made == HAZARD:
                        gain[row, :, self.columns.index(self.chain.organs[link])] += times * coefficient * window
                    elif made in place:
                        inner[row, place[made]] += times * coefficient
                    elif made in worth:
                        gain[row] += times * coefficient[:, None] * worth[made]
        moving = [link in self._moving for link in group.links]
        if size == 1 and not moving[0]:
            self._check_loss(group.links[0], loss[0])
            return [gain[0] / (loss[0] - inner[0, 0])[:, None]]
        return _banded(self.mesh.steps, moving, loss, inner, gain)

    def _check_loss(self, link: str, loss: NDArray[np.float64]) -> None:
        if not (loss > 0).all():
            raise AnalysisError(f"nothing takes {link!r}, which is at its quasi-steady value, at some time of the run")


def _groups(chain: Chain, pattern: Sequence[Rate]) -> list[_Group]:
    """Sort the links so that each comes after all that it makes; those in a circle are one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = chain.links
    place = {link: number for number, link in enumerate(links)}
    reads: dict[str, list[int]] = {link: [] for link in links}
    made: dict[str, dict[str, None]] = {link: {} for link in links}
    for number, (flow, rate) in enumerate(zip(chain.flows, pattern, strict=True)):
        for link in {*rate.per_cell, *([flow.takes] if flow.takes else [])}:
            reads[link].append(number)
            made[link] |= dict.fromkeys(each for each, _ in flow.makes if each in place)
    pairs = [(place[link], place[other]) for link in links for other in made[link]]
    rows, columns = zip(*pairs, strict=True) if pairs else ((), ())
    graph = coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(links), len(links)))
    label = connected_components(graph, connection="strong")[1]
    order: TopologicalSorter[int] = TopologicalSorter({int(each): set() for each in label})
    for row, column in pairs:
        if label[row] != label[column]:
            order.add(int(label[row]), int(label[column]))
    members: dict[int, list[str]] = {}
    for link in links:
        members.setdefault(int(label[place[link]]), []).append(link)
    return [
        _Group(
            tuple(members[group]),
            tuple(dict.fromkeys(number for link in members[group] for number in reads[link])),
            tuple(dict.fromkeys(each for link in members[group] for each in made[link] if each not in members[group])),
        )
        for group in order.static_order()
    ]


def _banded(
    steps: NDArray[np.float64],
    moving: Sequence[bool],
    loss: NDArray[np.float64],
    inner: NDArray[np.float64],
    gain: NDArray[np.float64],
) -> list[NDArray[np.float64]]:
    """Solve one group for all steps: unknowns are the links at both points of a step, step after step."""
    from scipy.linalg import solve_banded

    size, count, block = len(moving), len(steps), 2 * len(moving)
    width = block + size
    matrix = np.zeros((2 * width + 1, block * count))
    right = np.zeros((block * count, gain.shape[2]))

    def put(row: int, column: int, values: Any, shift: int = 0) -> None:
        first = max(0, -shift)
        at = block * np.arange(first + shift, count + shift)[: count - first] + column
        matrix[width + row - column - block * shift, at] += np.broadcast_to(values, count)[first:]

    for row in range(size):
        for point in range(2):
            own = size * point + row
            if not moving[row]:
                put(own, own, loss[row, point::2])
                for other in range(size):
                    put(own, size * point + other, -inner[row, other, point::2])
                right[own::block] += gain[row, point::2]
                continue
            put(own, own, 1.0)
            put(own, size + row, -1.0, shift=-1)
            for stage, weight in enumerate(_RADAU[point]):
                put(own, size * stage + row, steps * weight * loss[row, stage::2])
                for other in range(size):
                    put(own, size * stage + other, -steps * weight * inner[row, other, stage::2])
                right[own::block] += (steps * weight)[:, None] * gain[row, stage::2]
    solved = solve_banded((width, width), matrix, right).reshape(count, 2, size, -1)
    return [np.ascontiguousarray(solved[:, :, row].reshape(2 * count, -1)) for row in range(size)]
