"""Results in a Zarr store, chunk by chunk: readable at any time, and the same bytes however often a study was killed.

A chunk is done when its part of `status` is written, which comes last. Zarr writes each file under another name first,
so that no file is ever half there; what is left of that is removed when a study goes on. Each file has a checksum: a
chunk that is damaged or lacks a file is made again. Nothing in it tells the time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cascade._chunks import Chunks, intact
from cascade._files import is_path, told
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

FORMAT = 2
"""Version of the layout."""

_TORN = re.compile(r"\.[0-9a-f]{32}\.partial$")


class Growing(Protocol):
    """A result that grows."""

    @property
    def chunk(self) -> int: ...
    @property
    def chunks(self) -> Chunks: ...
    @property
    def asked(self) -> Any: ...
    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]: ...
    def dataset(self) -> xr.Dataset: ...
    def restore(self, known: Mapping[str, NDArray[Any]]) -> None: ...


class Store:
    """An open store that takes chunks."""

    def __init__(self, path: Path) -> None:
        import zarr

        self._path = path
        group = zarr.open_group(path, mode="r+", zarr_format=2, use_consolidated=False)
        # a chunk that is done has every file, so that a lost one is noticed
        self._arrays = {name: array.with_config({"write_empty_chunks": True}) for name, array in group.arrays()}

    def write(self, region: tuple[slice, ...], part: Mapping[str, NDArray[Any]]) -> None:
        """Write one chunk of every array, `status` last."""
        with told("write the runs to", self._path):
            for name in sorted(part, key=lambda each: each == "status"):
                array = self._arrays[name]
                array[(*region, *(slice(None),) * (array.ndim - len(region)))] = part[name]


@contextmanager
def open_store(where: str | Path | None, results: Growing, resume: bool) -> Iterator[Store | None]:
    """Make a store for a result, or go on with one: what it holds is put into the result.

    Raises
    ------
    AnalysisError
        If there is a store and `resume` is false, if it holds another study, if another process works on it, or if the
        folder holds something else.
    """
    if where is None:
        yield None
        return
    if not (isinstance(where, str | Path) and Path(where).name and is_path(str(where))):
        raise AnalysisError(f"store is {where!r}; give the path of a folder that is to be made")
    path = Path(where)
    _check_dimensions(results)
    with told("use the store", path):
        _prepare(path, results, resume)
    with _locked(path):
        with told("use the store", path):
            store = Store(path)
        yield store


def _prepare(path: Path, results: Growing, resume: bool) -> None:
    """Make the store, or take what it holds."""
    _tidy(path)
    grown = True
    if path.exists():
        if not resume:
            raise AnalysisError(f"{path} exists; continue it with resume=True, or give another folder")
        if not (path / ".zgroup").exists():
            raise AnalysisError(f"{path} exists and is no store of a study; give another folder")
        with _locked(path):
            _clean(path)
            grown = _read(path, results)
    if grown:
        _create(path, results)


def _check_dimensions(results: Growing) -> None:
    if not results.chunks.shape:
        raise AnalysisError("a store is for many runs, and the values are of one; leave store out")
    if any(" MultiIndex" in repr(type(index)) or index.nlevels > 1 for index in results.asked.sample.indexes.values()):
        raise AnalysisError("a store cannot keep a dimension with several levels; use reset_index() on the values")


def _create(path: Path, results: Growing) -> None:
    """Write a whole store beside its place and move it there."""
    import numcodecs

    new, old = _beside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = results.dataset()
    dataset.attrs = dataset.attrs | {"chunk": results.chunk, "store_format": FORMAT}
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.variables.items():
        own = variable.shape[len(results.chunks.sizes) :]
        cut = (*results.chunks.sizes, *own) if name in results.arrays else variable.shape
        encoding[str(name)] = {"chunks": cut, "compressors": (numcodecs.Zstd(level=1, checksum=True),)} if cut else {}
        if variable.dtype.kind != "f":
            encoding[str(name)]["write_empty_chunks"] = True
    dataset.to_zarr(new, mode="w-", zarr_format=2, consolidated=False, encoding=encoding)
    if path.exists():
        path.rename(old)
    new.rename(path)
    shutil.rmtree(old, ignore_errors=True)


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f".{path.name}.new"), path.with_name(f".{path.name}.old")


def _tidy(path: Path) -> None:
    """End what a killed process began: a store that was to take the place of another, or was not complete."""
    new, old = _beside(path)
    if not path.exists() and old.exists():
        (new if new.exists() else old).rename(path)
    for left in (new, old):
        if left.exists():
            shutil.rmtree(left)


def _clean(path: Path) -> None:
    """Remove the files that Zarr had begun to write."""
    for file in path.rglob("*.partial"):
        if _TORN.search(file.name):
            file.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from working on a store; the system frees the lock when this process ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (path / ".zgroup").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnalysisError(f"another process works on {path}; wait for it, or give another folder") from None
        except OSError:  # a file system without locks
            pass
        yield


def _read(path: Path, results: Growing) -> bool:
    """Put what a store holds into the result; return whether the result has more runs than the store.

    Raises
    ------
    AnalysisError
        If the store holds another study, or what says which study it holds is damaged.
    """
    try:
        return _restored(path, results)
    except (KeyError, ValueError, TypeError, RuntimeError, FileNotFoundError) as error:
        raise AnalysisError(
            f"{path} is damaged and cannot be continued ({type(error).__name__}: {str(error)[:300]}); remove it or give"
            " another folder"
        ) from error


def _restored(path: Path, results: Growing) -> bool:
    import xarray as xr

    expected = results.dataset()
    with xr.open_zarr(path, consolidated=False, chunks=None) as stored:
        same = dict(expected.attrs) | {"chunk": results.chunk, "store_format": FORMAT}
        differing = {
            key: (stored.attrs.get(key), same.get(key))
            for key in sorted({*stored.attrs, *same} - {"values_sha256"})
            if stored.attrs.get(key) != same.get(key)
        }
        if differing:
            shown = "; ".join(f"{key} is {old!r} there and {new!r} here" for key, (old, new) in differing.items())
            raise AnalysisError(f"{path} holds another study ({shown[:900]}); give another folder")
        _check_runs(path, stored, expected, results)
        shape = tuple(stored.sizes[dim] for dim in results.asked.sample.dims)
        results.restore(intact(path, stored, Chunks(shape, results.chunk), list(results.arrays)))
        return bool(stored.sizes != expected.sizes)


def _check_runs(path: Path, stored: xr.Dataset, expected: xr.Dataset, results: Growing) -> None:
    """Check that the runs of a store are those of the study, or its first."""
    dims = results.asked.sample.dims
    shape = tuple(stored.sizes[dim] for dim in dims)
    more = len(dims) == 1 and shape[0] < results.chunks.shape[0]
    if shape != results.chunks.shape and not more:
        raise AnalysisError(
            f"{path} holds another study: {dict(zip(dims, shape, strict=True))} runs there and"
            f" {dict(zip(dims, results.chunks.shape, strict=True))} here; only more runs along one dimension can be"
            " added"
        )
    if stored.attrs["values_sha256"] != results.asked.plan.digest(shape[0] if more else None):
        raise AnalysisError(
            f"{path} holds another study: the values of its {int(np.prod(shape))} runs differ from those given"
            f"{' first' if more else ''}; give another folder"
        )
    part = expected.isel({dims[0]: slice(shape[0])}) if more else expected
    other = [str(key) for key in expected.coords if key not in stored.coords or not stored[key].equals(part[key])]
    if other:
        raise AnalysisError(
            f"{path} holds another study: the coordinates {', '.join(other)} differ; give another folder"
        )
