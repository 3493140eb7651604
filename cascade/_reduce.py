"""From the trajectories of some runs to their readouts: each run gets the same number whichever runs are with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError, CascadeError
from cascade.readouts import readout
from cascade.simulate import Asked, time_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

EXAMPLE = 1e9
"""Size of the states of the made-up run. Readouts by organ tell from the sum of all runs which organs are distant; the
hazard of this run is so large that a block of runs without metastasis gets the answer that all runs get."""

_RUN = "run"


class Reducer:
    """Computes readouts of some runs; the trajectories are not kept."""

    def __init__(self, asked: Asked, readouts: dict[str, str], series: dict[str, str]) -> None:
        """Find out what the readouts look like, before anything runs.

        Parameters
        ----------
        asked : Asked
            What is run and recorded.
        readouts, series : dict of str to str
            Name in the result to name of the readout, or to flat id of the variable.
        """
        self._asked, self._readouts = asked, readouts
        self._place = {symbol.id: place for place, symbol in enumerate(asked.symbols)}
        self.series = {name: (self._place[flat], asked.symbols[self._place[flat]]) for name, flat in series.items()}
        example: list[tuple[NDArray[np.float64] | None, str]] = [(asked.plan.example(EXAMPLE), "ok")]
        try:
            self._templates = self._computed(example)
            self._example = example
        except AnalysisError:  # made-up states do not fit together in a model whose sums are states themselves
            self._templates, self._example = self._computed([(None, "not run")]), []
        self.labels = _union(self._templates.values())
        self.templates = {name: self._aligned(name, value) for name, value in self._templates.items()}

    def __call__(
        self, block: Sequence[tuple[NDArray[np.float64] | None, str]]
    ) -> dict[str, tuple[NDArray[np.float64], NDArray[Any]]]:
        """Return values and reasons of every readout, runs x its own dimensions.

        Parameters
        ----------
        block : sequence of (array or None, str)
            Symbols x rows and status of each run.
        """
        extra = self._example if self._asked.plan.runs > 1 else []
        found = self._computed([*block, *extra])
        cut = {name: self._aligned(name, value).isel({_RUN: slice(len(block))}) for name, value in found.items()}
        return {name: (value.values.astype(float), value["reason"].values) for name, value in cut.items()}

    def _computed(self, block: Sequence[tuple[NDArray[np.float64] | None, str]]) -> dict[str, xr.DataArray]:
        dataset = self._dataset(block)
        with np.errstate(all="ignore"):  # a NaN has its reason; the made-up run overflows
            found = {name: readout(dataset, known) for name, known in self._readouts.items()}
        return {name: value.transpose(_RUN, ...) for name, value in found.items()}

    def _dataset(self, block: Sequence[tuple[NDArray[np.float64] | None, str]]) -> xr.Dataset:
        import xarray as xr

        data = np.full((len(self._place), len(block), self._asked.plan.job.points), np.nan)
        for number, (found, _) in enumerate(block):
            if found is not None:
                data[:, number] = found
        variables: dict[str, Any] = {
            symbol.id: ((_RUN, "time"), data[place], {"units": symbol.unit, "long_name": symbol.name})
            for place, symbol in enumerate(self._asked.symbols)
        }
        variables["status"] = (_RUN, np.array([status for _, status in block], dtype=str))
        return xr.Dataset(variables, coords={"time": time_of(self._asked.plan.job)})

    def _aligned(self, name: str, value: xr.DataArray) -> xr.DataArray:
        """Return a readout over the labels of all readouts: NaN for those that it was found not to have at first."""
        for dim in self._templates[name].dims[1:]:
            own = self._templates[name][dim].values
            if list(value[dim].values) != list(own):
                if not set(own) <= set(value[dim].values):
                    raise AnalysisError(
                        f"readout {name!r} has other values of {dim} in some runs: {list(value[dim].values)}, and not"
                        f" {list(own)}; ask for one of them, such as '{name}:{own[0]}', or use simulate()"
                    )
                value = value.sel({dim: own})
            if len(own) < len(self.labels[dim]):
                value = value.reindex({dim: self.labels[dim].values})
                words = [
                    name_of if isinstance(name_of, str) else f"not reported for this {dim}"
                    for name_of in value["reason"].values.reshape(-1)
                ]
                value = value.assign_coords(reason=(value.dims, np.reshape(words, value.shape)))
        return value


def _union(values: Iterable[xr.DataArray]) -> dict[Any, xr.DataArray]:
    """Return the labels of every dimension but the first: those of the readout that has most, then the others."""
    import xarray as xr

    found: dict[Any, xr.DataArray] = {}
    for value in sorted(values, key=lambda each: -each.size):
        for dim in value.dims[1:]:
            known = [] if dim not in found else list(found[dim].values)
            new = [label for label in value[dim].values if label not in known]
            if new:
                found[dim] = xr.DataArray(np.array([*known, *new]), dims=[dim], attrs=value[dim].attrs)
    return found


def named(kind: str, names: Any, known: Any) -> dict[str, str]:
    """Check a list of names; return what each stands for (`known(name)`)."""
    if isinstance(names, str):
        raise AnalysisError(f"{kind} is the text {names!r}; give a list of names, {kind}=[{names!r}]")
    if not isinstance(names, Iterable):
        raise AnalysisError(f"{kind} is {names!r}; give a list of names")
    given = list(names)
    double = sorted({name for name in given if given.count(name) > 1})
    if double:
        raise CascadeError(f"{kind} names {', '.join(double)} twice; give each once")
    return {str(name): known(name) for name in given}
