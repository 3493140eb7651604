"""The door of the file system: whole files or none, and errors that name the file and say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cascade.errors import CascadeError, FileError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ADVICE = {
    errno.ENOSPC: "free some space, or write elsewhere; what was there before is untouched",
    errno.EDQUOT: "free some of your quota, or write elsewhere; what was there before is untouched",
    errno.EFBIG: "files may not grow as large here; write elsewhere",
    errno.EACCES: "choose a place that you may use, or change its permissions",
    errno.EPERM: "choose a place that you may use, or change its permissions",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOENT: "look at the path; a folder in it may be missing",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "this is a folder; give the path of a file",
    errno.EEXIST: "something of that name is there already; give another path",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EIO: "the disk or the network has failed; try again, or elsewhere",
}
"""What to do about an error of the file system."""


MAX_BYTES = 50_000_000
"""Larger text files are refused: no table or model of this kind is as large."""


def read_text(path: str | Path, kind: type[CascadeError] = FileError) -> str:
    """Return the text of a UTF-8 file.

    Raises
    ------
    FileError
        Or `kind`: if the file is missing, no regular file, too large, or not UTF-8.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise kind(f"cannot read {path}: it is no regular file; give the path of a text file")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise kind(f"cannot read {path}: {size} bytes; the limit is {MAX_BYTES}")
        text = path.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise kind(f"cannot read {path}: it holds a null byte, so it is binary or UTF-16; save it as UTF-8 text")
        return text
    except UnicodeDecodeError as error:
        raise kind(f"cannot read {path}: it is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a null byte in the path is a ValueError
        raise kind(str(file_error("read", path, error))) from None


def path_of(given: object, what: str) -> Path:
    """Return what was given as a path.

    Raises
    ------
    FileError
        If it is something else.
    """
    if isinstance(given, str | Path):
        return Path(given)
    raise FileError(f"cannot read {str(given)[:100]!r} ({type(given).__name__}); give the path of {what}")


def is_path(text: str) -> bool:
    """Tell whether a text can be a path at all: no null byte, no part that is too long for a name."""
    return "\0" not in text and len(text) <= 4096 and all(len(part.encode()) <= 255 for part in Path(text).parts)


def file_error(action: str, path: str | Path, error: BaseException) -> FileError:
    """Make the error for a file that cannot be read or written."""
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number is not None else f"{type(error).__name__}: {error}"
    return FileError(f"cannot {action} {path}: {reason}; {ADVICE.get(number or 0, 'try another place')}")


@contextmanager
def told(action: str, path: str | Path) -> Iterator[None]:
    """Turn an error of the file system inside the block into one of cascade's."""
    try:
        yield
    except OSError as error:
        raise file_error(action, path, error) from error


@contextmanager
def written(path: str | Path) -> Iterator[Path]:
    """Give a path to write to, beside `path` and with its suffix; the file takes its place when the block ends well.

    An error, a full disk or Ctrl-C leaves what was there before. What is no regular file is written to directly.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    target = Path(path)
    with told("write", target):
        if target.exists() and not target.is_file():
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "")
            yield target
            return
        beside = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
        try:
            yield beside
            beside.replace(target)
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole, or not at all."""
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return Path(path)


def write_dataset(path: str | Path, dataset: xr.Dataset) -> Path:
    """Write a dataset as netCDF, whole or not at all.

    It is made in memory: HDF5 ends the process if a disk is full.
    """
    data = dataset.to_netcdf(engine="h5netcdf")
    with written(path) as beside:
        beside.write_bytes(data)
    return Path(path)


def write_table(path: str | Path, frame: pd.DataFrame) -> Path:
    """Write a CSV file that is safe to open in a spreadsheet, whole or not at all."""
    texts = {name: frame[name].map(safe_cell) for name in frame.columns if frame[name].dtype.kind not in "fiub"}
    with written(path) as beside:
        frame.assign(**texts).to_csv(beside)
    return Path(path)


def make_folder(path: str | Path) -> Path:
    """Make a folder and those above it, unless they are there."""
    with told("make the folder", path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def safe_cell(value: object) -> object:
    """Keep a spreadsheet from running a text cell as a formula; numbers pass unchanged."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
