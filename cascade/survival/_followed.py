"""Patients as survival analysis takes them: time, event, weight; who counts, and in which group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

ALL = "all"
"""Name of the only group where none was asked for."""

MOST_GROUPS = 30
MONTHS_PER_YEAR = 12


@dataclass(frozen=True, kw_only=True)
class Followed:
    """Patients at risk from month 0 on.

    `cause` is the place of the first event within the causes that are told apart, -1 without one. `metastatic` and
    `missing` count those who were left out: metastatic at diagnosis, or without a run that worked.
    """

    patient: NDArray[Any]
    time: Numbers
    event: NDArray[np.bool_]
    cause: NDArray[np.int64]
    weight: Numbers
    metastatic: int = 0
    missing: int = 0

    def take(self, chosen: NDArray[Any]) -> Followed:
        """Return some of the patients."""
        own = ("patient", "time", "event", "cause", "weight")
        return replace(self, **{name: getattr(self, name)[chosen] for name in own})

    @property
    def size(self) -> int:
        """How many patients."""
        return int(self.time.size)

    @property
    def weighted(self) -> bool:
        """Whether patients count differently."""
        return bool(np.ptp(self.weight) > 0)


def followed(
    events: xr.Dataset, weights: xr.DataArray | None = None, by: str | xr.DataArray | None = None
) -> tuple[Followed, dict[str, Followed]]:
    """Return the patients of events, all and by group."""
    _require(events)
    n = events.sizes["patient"]
    weight = _weights(events, weights)
    time = events["time"].values.astype(float)
    if (time[np.isfinite(time)] < 0).any():
        raise AnalysisError("a time is negative; give months since surgery")
    before = (
        events["metastatic_at_diagnosis"].values.astype(bool)
        if "metastatic_at_diagnosis" in events
        else np.zeros(n, dtype=bool)
    )
    missing = ~np.isfinite(time) | ~np.isfinite(weight)
    left = ~missing & ~before & (weight > 0)
    if not left.any():
        raise AnalysisError(
            f"no patient can be followed: of {n}, {int((missing & ~before).sum())} have no time and "
            f"{int(before.sum())} were metastatic at diagnosis"
        )
    everyone = Followed(
        patient=events["patient"].values.astype(str) if "patient" in events.coords else np.arange(n).astype(str),
        time=time,
        event=events["event"].values.astype(bool),
        cause=np.where(events["event"].values.astype(bool), 0, -1),
        weight=weight,
        metastatic=int(before.sum()),
        missing=int((missing & ~before).sum()),
    )
    return everyone.take(left), _groups(everyone, left, labels_of(events, by))


def _require(events: Any) -> None:
    import xarray as xr

    if not isinstance(events, xr.Dataset) or "patient" not in events.dims:
        raise AnalysisError(f"events are {str(events)[:80]!r}; give what cascade.draw_events() returns")
    for name in ("time", "event"):
        if name not in events or events[name].dims != ("patient",):
            raise AnalysisError(f"events hold no {name!r} over patient; give what cascade.draw_events() returns")


def _weights(events: xr.Dataset, weights: xr.DataArray | None) -> Numbers:
    found = weights if weights is not None else events.get("weight")
    if found is None:
        return np.ones(events.sizes["patient"])
    given = over_patients(found, events, "weights").astype(float)
    finite = given[np.isfinite(given)]
    if (finite < 0).any() or np.isinf(given).any() or not finite.any():
        raise AnalysisError("weights must be finite, 0 or more, and not all 0")
    return cast("Numbers", given / finite.mean())


def over_patients(given: Any, events: xr.Dataset, what: str) -> NDArray[Any]:
    """Return values in the order of the patients of `events`; those with ids are matched by id."""
    import xarray as xr

    n = events.sizes["patient"]
    if not isinstance(given, xr.DataArray):
        given = np.asarray(given)
        if given.shape != (n,):
            raise AnalysisError(f"{what} have the shape {given.shape} for {n} patients; give one value for each")
        return cast("NDArray[Any]", given)
    if given.dims != ("patient",):
        raise AnalysisError(f"{what} are over {', '.join(map(str, given.dims)) or 'nothing'}; give them over patient")
    if "patient" in given.coords and "patient" in events.coords:
        try:
            given = given.sel(patient=events["patient"].values)
        except (KeyError, ValueError) as error:
            raise AnalysisError(f"{what} lack patients of the events: {str(error)[:120]}") from None
    if given.sizes["patient"] != n:
        raise AnalysisError(f"{what} are for {given.sizes['patient']} patients, the events for {n}")
    return cast("NDArray[Any]", given.values)


def labels_of(events: xr.Dataset, by: str | xr.DataArray | None) -> NDArray[Any] | None:
    """Return the group of every patient as a text; empty for none."""
    if by is None:
        return None
    if isinstance(by, str):
        if by not in events:
            raise unknown_name("variable", by, map(str, events.data_vars), "the events (give a DataArray over patient)")
        by = events[by]
    values = over_patients(by, events, "groups")
    missing = np.zeros(values.size, dtype=bool)
    if values.dtype.kind == "f":
        missing = np.isnan(values)
    texts = np.array([f"{each:g}" if values.dtype.kind == "f" else str(each) for each in values], dtype=object)
    texts[missing] = ""
    count = len(set(texts) - {""})
    if not 1 <= count <= MOST_GROUPS:
        raise AnalysisError(f"{count} groups; give 1 to {MOST_GROUPS}: cut a measure into classes first")
    return texts


def _groups(everyone: Followed, left: NDArray[np.bool_], labels: NDArray[Any] | None) -> dict[str, Followed]:
    if labels is None:
        return {ALL: everyone.take(left)}
    names = sorted({str(each) for each in labels} - {""})
    found = {name: everyone.take(left & (labels == name)) for name in names}
    empty = [name for name, rows in found.items() if not rows.size]
    if empty:
        raise AnalysisError(f"nobody of group {empty[0]!r} can be followed; leave it out or join it with another")
    return found


def month_grid(months: Any, last: float) -> Numbers:
    """Return the months at which a result is told: those given, else every whole month that was observed."""
    grid = np.arange(int(np.floor(last + 1e-9)) + 1, dtype=float) if months is None else np.asarray(months, dtype=float)
    if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all() or (grid < 0).any() or (np.diff(grid) <= 0).any():
        raise AnalysisError("months must be numbers of 0 or more that rise")
    return grid


def provenance(*sources: xr.Dataset) -> dict[str, Any]:
    """Return what tells where data came from, the first that says it."""
    found: Mapping[str, Any] = {}
    for source in reversed(sources):
        found = {
            **found,
            **{k: source.attrs[k] for k in ("model", "model_sha256", "seed", "preset") if k in source.attrs},
        }
    return dict(found)
