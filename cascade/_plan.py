"""From a model, values and a wish what to record to a job: the values of every run, and what is made of its outcome."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._canonical import Canonical, Symbol, canonicalize, symbol_table
from cascade._lean import lean
from cascade._starts import constants, observed, states_of, trajectories, with_starts
from cascade.engine import Job, Run, not_finite
from cascade.specs import Solver

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE_SCALE = {"cell": 1.0, "cluster": 1.0, "molecule": 1.0}
"""Factor on the absolute tolerance of a state by unit. Counts are resolved to 1e-9 of a cell; expected lesions,
concentrations and activities, where 1e-6 can matter, to a thousandth of that (`_FINE`)."""

_FINE = 1e-3

BLOCK = 64
"""Runs whose values are computed together."""

KEPT = 4
"""Blocks of values that are kept: some for the runs that start, some for those that end."""


class Plan:
    """What is to be run: a job, and the values of every run, which are computed when they are asked for."""

    def __init__(
        self,
        flat: str,
        recorded: tuple[str, ...],
        keys: tuple[str, ...],
        columns: Sequence[NDArray[np.float64]],
        how: tuple[float, int, Solver],
    ) -> None:
        """Prepare a study.

        Parameters
        ----------
        flat : str
            Flat SBML.
        recorded : tuple of str
            Flat ids of what is wanted of every run.
        keys : tuple of str
            Flat ids of what is set.
        columns : sequence of array
            The values of each key, of one shape: that of the study.
        how : tuple
            Days, rows and solver.
        """
        self._flat, self._columns = flat, columns
        self.shape: tuple[int, ...] = columns[0].shape if columns else ()
        self.runs = int(np.prod(self.shape, dtype=int))
        self._blocks: OrderedDict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = OrderedDict()
        symbols = symbol_table(flat)
        every, _ = with_starts(flat, keys, self.given(0, 1))
        self._view = _View(flat, recorded, every, symbols)
        canonical = canonicalize(flat, every)
        self.job = job_of(canonical, symbols, every, self._view.direct, how)
        self._used: list[int] | None = None
        self._held: Mapping[str, str] = {}
        self._keys, self._every = keys, every
        if not canonical.reload:
            short = lean(self.job.sbml, self._view.keep, frozenset(self.job.keys))
            self._used = [index for index, key in enumerate(self.job.keys) if key in short.symbols]
            self._held = short.held
            names = (*(self.job.keys[index] for index in self._used), *short.held)
            self.job = replace(self.job, sbml=short.sbml, keys=names)

    def __len__(self) -> int:
        return self.runs

    def __getitem__(self, index: int) -> NDArray[np.float64]:
        """Return the values that the simulator takes for one run, in the order of `job.keys`."""
        number, place = divmod(index, BLOCK)
        row: NDArray[np.float64] = self._block(number)[1][place]
        return row

    def given(self, first: int, last: int) -> NDArray[np.float64]:
        """Return the values that the user gave for some runs, runs x keys."""
        if not self._columns:
            return np.empty((last - first, 0))
        if not self.shape:
            return np.array([[float(column) for column in self._columns]])
        place = np.unravel_index(np.arange(first, last), self.shape)
        return np.ascontiguousarray(np.stack([column[place] for column in self._columns], axis=1))

    def digest(self, runs: int | None = None) -> str:
        """Return the SHA-256 of the values that the user gave, of all runs or of the first."""
        found = sha256()
        end = self.runs if runs is None else runs
        for first in range(0, end, BLOCK):
            found.update(self.given(first, min(end, first + BLOCK)).tobytes())
        return found.hexdigest()

    def outcome(self, index: int, run: Run) -> tuple[NDArray[np.float64] | None, int, str]:
        """Return what was asked for of one run (symbols x rows, or None), the attempt that worked, and the status."""
        if run.rows is None:
            return None, run.rung, run.status
        number, place = divmod(index, BLOCK)
        found = self._view.of(lambda: self._block(number)[0][place], run.rows)
        fault = self._view.fault(found, self.job.days)
        return (None, -1, fault) if fault else (found, run.rung, run.status)

    def example(self, number: float) -> NDArray[np.float64]:
        """Return made-up data of one run (symbols x rows) that fit together: states are constant, of the size given."""
        states = number * (1.0 + np.arange(len(self._view.direct)) / 7)
        rows = np.broadcast_to(states, (self.job.points, len(states)))
        return self._view.of(lambda: self._block(0)[0][0], rows)

    def _block(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        first = number * BLOCK
        _, every = with_starts(self._flat, self._keys, self.given(first, min(self.runs, first + BLOCK)))
        rows = every
        if self._used is not None:
            held = constants(self._flat, self._held, self._every, every)
            rows = np.ascontiguousarray(np.hstack([every[:, self._used], held]))
        self._blocks[number] = every, rows
        while len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)
        return self._blocks[number]


def job_of(
    canonical: Canonical,
    symbols: Mapping[str, Symbol],
    keys: tuple[str, ...],
    recorded: tuple[str, ...],
    how: tuple[float, int, Solver],
) -> Job:
    """Return the job that records these symbols."""
    days, points, solver = how
    species = [s for s in symbols.values() if s.kind == "species" and s.role == "integrated"]
    return Job(
        sbml=canonical.sbml,
        keys=tuple(canonical.keys[key] for key in keys),
        record=tuple(_selection(symbols[name]) for name in recorded),
        watch=tuple(_selection(s) for s in species),
        scales={
            s.id: TOLERANCE_SCALE.get(s.unit, _FINE) for s in symbols.values() if s.kind in ("species", "parameter")
        },
        days=days,
        points=int(points),
        solver=solver,
        reload=canonical.reload,
    )


def _selection(symbol: Symbol) -> str:
    """Return libRoadRunner's name of a symbol: `[s]` is a concentration, `s` an amount."""
    return f"[{symbol.id}]" if symbol.kind == "species" and not symbol.amount else symbol.id


class _View:
    """What is recorded of a run, and what is computed from it; the simulator need not know the latter."""

    def __init__(
        self, flat: str, recorded: tuple[str, ...], keys: tuple[str, ...], symbols: Mapping[str, Symbol]
    ) -> None:
        self._flat, self._recorded, self._keys = flat, recorded, keys
        known = observed(flat)
        self._computed = tuple(name for name in recorded if name in known)
        others = (name for name in recorded if name not in known)
        self.direct = tuple(dict.fromkeys((*others, *states_of(flat, self._computed))))
        self.keep = tuple(
            sorted(name for name in self.direct if symbols[name].role in ("constant", "computed", "rate"))
        )

    def of(self, values: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what was asked for, symbols x rows, from what was recorded in one run; `values()` are those given."""
        found: dict[str, Any] = dict(zip(self.direct, rows.T, strict=True))
        if self._computed:
            given = dict(zip(self._keys, values(), strict=True))
            found |= trajectories(self._flat, self._computed, given | found)
        data = np.empty((len(self._recorded), len(rows)))
        for place, name in enumerate(self._recorded):
            data[place] = found[name]
        return data

    def fault(self, data: NDArray[np.float64], days: float) -> str:
        """Return what is wrong with computed numbers, or an empty text."""
        bad = ~np.isfinite(data)
        if not bad.any():
            return ""
        column, row = (int(place) for place in np.argwhere(bad)[0])
        time = np.linspace(0.0, days, data.shape[1])[row]
        return not_finite(self._recorded[column], float(data[column, row]), float(time))
