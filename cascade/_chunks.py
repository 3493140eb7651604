"""How runs are cut into chunks, and what of a store is intact (a wrong checksum or a missing file is damage)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import CascadeWarning

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

NOT_RUN = "not run"
"""Status of a run that has not been made yet."""


class Chunks:
    """How runs of any dimensions are cut into chunks; each is a range of runs in row-major order."""

    def __init__(self, shape: tuple[int, ...], chunk: int) -> None:
        sizes, room = [1] * len(shape), chunk
        for axis in reversed(range(len(shape))):
            sizes[axis] = min(shape[axis], room)
            if sizes[axis] < shape[axis]:
                break
            room //= sizes[axis]
            if room < 1:
                break
        self.shape, self.sizes = shape, tuple(sizes)
        self._grid = tuple(-(-length // size) for length, size in zip(shape, sizes, strict=True))
        self._strides = [int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape))]

    def __len__(self) -> int:
        return int(np.prod(self._grid, dtype=int))

    def key(self, number: int) -> tuple[int, ...]:
        """Return the place of a chunk in the grid of chunks."""
        return tuple(int(place) for place in np.unravel_index(number, self._grid)) if self.shape else ()

    def of(self, index: int) -> int:
        """Return the chunk of a run."""
        number = 0
        for stride, size, count in zip(self._strides, self.sizes, self._grid, strict=True):
            place, index = divmod(index, stride)
            number = number * count + place // size
        return number

    def region(self, number: int) -> tuple[slice, ...]:
        """Return where a chunk is."""
        return tuple(
            slice(place * size, min(length, (place + 1) * size))
            for place, size, length in zip(self.key(number), self.sizes, self.shape, strict=True)
        )

    def shape_of(self, number: int) -> tuple[int, ...]:
        """Return the lengths of a chunk, which are less at the end."""
        return tuple(part.stop - part.start for part in self.region(number))

    def rows(self, number: int) -> slice:
        """Return which runs a chunk holds."""
        first = sum(part.start * stride for part, stride in zip(self.region(number), self._strides, strict=True))
        return slice(first, first + int(np.prod(self.shape_of(number), dtype=int)))


def intact(path: Path, stored: xr.Dataset, chunks: Chunks, names: list[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a store; runs of a chunk that is damaged are as if they had not been made."""
    try:
        whole = {name: stored[name].values for name in names}
    except Exception:  # whatever a codec says of bytes that it does not understand
        whole = None
    files = {name: {file.name for file in (path / name).iterdir()} for name in names}
    parts = [_part(stored, chunks, number, files, whole) for number in range(len(chunks))]
    damaged = [number for number, part in enumerate(parts) if part is None]
    if not damaged and whole is not None:
        return whole
    warnings.warn(
        f"{path}: {len(damaged)} of {len(chunks)} chunks of runs are damaged (a wrong checksum, or a file is missing);"
        " their runs are made again",
        CascadeWarning,
        stacklevel=2,
    )
    found = {name: _blank(stored[name]) for name in names}
    for number, part in enumerate(parts):
        for name, values in (part or {}).items():
            found[name][chunks.region(number)] = values
    return found


def _part(
    stored: xr.Dataset,
    chunks: Chunks,
    number: int,
    files: Mapping[str, set[str]],
    whole: Mapping[str, NDArray[Any]] | None,
) -> dict[str, NDArray[Any]] | None:
    """Return one chunk of every array, or None if it is damaged."""
    region = chunks.region(number)
    try:
        part = {name: stored[name][region].values if whole is None else whole[name][region] for name in files}
    except Exception:  # as above
        return None
    done = bool((part["status"] != NOT_RUN).any())
    for name, there in files.items():
        key = ".".join(map(str, (*chunks.key(number), *(0,) * (stored[name].ndim - len(region)))))
        if key not in there and (done or name == "status"):
            return None
    return part


def _blank(variable: xr.DataArray) -> NDArray[Any]:
    """Return an array of the shape of one in a store, as it is before any run."""
    if variable.dtype.kind == "f":
        return np.full(variable.shape, np.nan)
    if variable.dtype.kind in "iu":
        return np.full(variable.shape, -1, dtype=variable.dtype)
    return np.full(variable.shape, NOT_RUN, dtype=object)
