"""Opens COMBINE archives of strangers: names, sizes and ratios are checked, nothing is unpacked beside or above."""

from __future__ import annotations

import errno
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from cascade._files import path_of, told
from cascade._limits import MAX_BYTES, check_root, glance
from cascade.errors import SBMLError, unknown_name

if TYPE_CHECKING:
    from cascade.opening import Opened

MAX_ENTRIES = 1_000
MAX_TOTAL = 4 * MAX_BYTES
"""Bytes of all entries together, unpacked; one entry may have `_limits.MAX_BYTES`."""

MAX_RATIO = 200
"""Text shrinks to a tenth or a fiftieth; what shrinks further than this, and is not small, is a bomb."""

SMALL = 100_000
"""Bytes below which the ratio says nothing."""

MAX_NAME = 255
"""Bytes of the name of an entry."""

MAX_DIRECTORY = 2_000_000
"""Bytes of the directory; `zipfile` keeps a kilobyte for each entry of 47 bytes, before it can be asked how many."""

_END = 22
"""Bytes of the record at the end of a zip file, which says where the directory is."""

_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SBML_FORMAT = "combine.specifications/sbml"
_FAILURES = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError)
"""What `zipfile` raises for a file that is damaged, encrypted or made to harm."""


def read_archive(path: str | Path) -> Mapping[str, str]:
    """Return the SBML of a COMBINE archive, and unpack nothing.

    Parameters
    ----------
    path : str or Path
        An archive, `.omex`; the manifest may be missing.

    Returns
    -------
    mapping of str to str
        SBML text by its place in the archive; first what the manifest calls master, else in the order of the manifest.
        Each has passed `cascade._limits.glance`; archives inside the archive are not opened.

    Raises
    ------
    SBMLError
        If it is no archive, is damaged or encrypted; if an entry has a name that leads out of its folder (`..`, an
        absolute path, a drive letter, a backslash), is a link, stands twice, or is too large or packed too densely; if
        there are too many entries; if no entry is SBML.
    FileError
        If the file cannot be read.
    """
    where = path_of(path, "an archive (.omex)")
    with told("read", where):
        if not where.is_file():
            raise SBMLError(f"cannot read {where}: there is no such regular file; give the path of an archive (.omex)")
        try:
            with where.open("rb") as file:
                _check_directory(file, where)
                with zipfile.ZipFile(file) as archive:
                    entries = _checked(archive, where)
                    texts = dict(_sbml_of(archive, entries, where))
        except (*_FAILURES, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is a place before the beginning
                raise
            raise SBMLError(
                f"cannot read {where}: it is no whole zip file ({str(error)[:200] or type(error).__name__});"
                " get the archive again"
            ) from None
    if not texts:
        raise SBMLError(f"{where} holds no SBML; its entries are {', '.join(sorted(entries)[:10]) or 'none'}")
    return MappingProxyType(texts)


def open_archive(path: str | Path, *, model: str | None = None, time_limit: float = 60.0) -> Opened:
    """Open a model of a COMBINE archive that may come from anybody.

    Its SBML files are put into a temporary folder, so that one may use model definitions of another; nothing else of
    the archive is unpacked.

    Parameters
    ----------
    path : str or Path
        The archive.
    model : str, optional
        Place of the SBML file in the archive; by default the first of `read_archive`.
    time_limit : float
        Seconds that reading the model may take.

    Raises
    ------
    SBMLError
        As `read_archive` and `cascade.opening.open_sbml`.
    UnknownNameError
        If the archive has no such SBML file.
    """
    from cascade.opening import open_sbml

    texts = read_archive(path)
    chosen = next(iter(texts)) if model is None else str(model).removeprefix("./")
    if chosen not in texts:
        raise unknown_name("SBML file", chosen, texts, str(path))
    with tempfile.TemporaryDirectory(prefix="cascade_") as folder, told("unpack", path):
        for name, text in texts.items():
            target = Path(folder, *PurePosixPath(name).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8", newline="")
        return open_sbml(Path(folder, *PurePosixPath(chosen).parts), time_limit=time_limit, folder=folder)


def _check_directory(file: BinaryIO, where: Path) -> None:
    """Refuse a directory that is too large, before `zipfile` reads it, as it does."""
    size = file.seek(0, 2)
    file.seek(max(size - (1 << 16) - _END, 0))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < _END:
        raise zipfile.BadZipFile("it has no directory")
    if tail[max(place - 20, 0) :].startswith(b"PK\x06\x07"):
        raise SBMLError(f"{where}: is in the form for archives above 4 GB (ZIP64); pack it again without")
    (length,) = struct.unpack_from("<L", tail, place + 12)
    if length > MAX_DIRECTORY:
        raise SBMLError(f"{where}: a directory of {length} bytes; the limit is {MAX_DIRECTORY}; pack fewer files")
    file.seek(0)


def _checked(archive: zipfile.ZipFile, where: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the files of an archive by name, after looking at what the directory says of each."""
    found: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise SBMLError(f"{where}: {len(entries)} entries; the limit is {MAX_ENTRIES}")
    for entry in entries:
        fault = _fault(entry)
        name = "/".join(part for part in PurePosixPath(entry.filename).parts if part != ".")
        if not fault and name.casefold() in seen:
            fault = "the name stands twice (names ignore case)"
        if fault:
            raise SBMLError(f"{where}: entry {entry.filename[:MAX_NAME]!r} is not safe: {fault}")
        seen.add(name.casefold())
        if not entry.is_dir():
            found[name] = entry
    _refuse_both(found, where)
    total = sum(entry.file_size for entry in found.values())
    if total > MAX_TOTAL:
        raise SBMLError(f"{where}: {total} bytes unpacked; the limit is {MAX_TOTAL}")
    if sum(entry.compress_size for entry in found.values()) > where.stat().st_size:
        raise SBMLError(f"{where}: its entries overlap, as in a zip bomb; get the archive again")
    return found


def _refuse_both(names: Iterable[str], where: Path) -> None:
    """Refuse a file that is also a folder of other files: it cannot be unpacked."""
    files = {name.casefold() for name in names}
    for name in names:
        if any(str(above).casefold() in files for above in PurePosixPath(name).parents):
            raise SBMLError(f"{where}: entry {name!r} is not safe: it lies in a folder that is also a file")


def _fault(entry: zipfile.ZipInfo) -> str:
    """Return what is dangerous about an entry, or an empty text."""
    name = entry.orig_filename
    if not name or len(name.encode()) > MAX_NAME or _CONTROL.search(name):
        return f"the name is empty, longer than {MAX_NAME} bytes, or has control characters"
    if name.startswith("/") or _DRIVE.match(name) or "\\" in name or ".." in PurePosixPath(name).parts:
        return "the name leads out of the archive's folder; names must be relative, with / and without .."
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a link or a device, not a file"
    if entry.flag_bits & 0x1:
        return "it is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"compression method {entry.compress_type}; COMBINE archives use deflate"
    if entry.file_size > MAX_BYTES:
        return f"{entry.file_size} bytes unpacked; the limit is {MAX_BYTES}"
    if entry.file_size > SMALL and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return f"{entry.file_size} bytes out of {entry.compress_size}; the limit is {MAX_RATIO} to 1"
    return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, where: Path) -> bytes:
    """Return the bytes of an entry, and never more than its directory says: that may lie."""
    with archive.open(entry) as stream:
        data = stream.read(entry.file_size + 1)
    if len(data) > entry.file_size:
        raise SBMLError(f"{where}: entry {entry.filename!r} is larger than the archive says; get it again")
    return data


def _sbml_of(
    archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], where: Path
) -> Iterator[tuple[str, str]]:
    """Yield place and text of every SBML file."""
    formats = _manifest(archive, entries, where)
    named = [name for name, kind in formats.items() if _SBML_FORMAT in kind and name in entries]
    lost = sorted(name for name, kind in formats.items() if _SBML_FORMAT in kind and name not in entries)
    if lost:
        shown = ", ".join(name[:MAX_NAME] or "itself" for name in lost[:5])
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise SBMLError(f"{where}: the manifest names {shown}{more}, which the archive does not hold; get it again")
    for name in named or [name for name in entries if name.endswith((".xml", ".sbml"))]:
        data = _read(archive, entries[name], where)
        if not named and _root(data) != "sbml":
            continue
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SBMLError(f"{where}: entry {name!r} is not UTF-8 text; save the model as UTF-8") from None
        check_root(glance(text, f"{where}: {name}"), f"{where}: {name}")
        yield name, text


def _manifest(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], where: Path) -> dict[str, str]:
    """Return the format of each place that the manifest names, masters first; empty if there is none."""
    if "manifest.xml" not in entries:
        return {}
    data = _read(archive, entries["manifest.xml"], where)
    found: list[tuple[bool, str, str]] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if tag.rpartition(":")[2] == "content":
            place = attributes.get("location", "").removeprefix("./").removeprefix("/")
            found.append((attributes.get("master") != "true", place, attributes.get("format", "")))

    def doctype(*_: object) -> None:
        raise SBMLError(f"{where}: manifest.xml has a DOCTYPE, which can hide attacks; remove it")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # of an encoding that expat does not know
        raise SBMLError(f"{where}: manifest.xml is not well-formed XML: {error}") from None
    return {place: kind for _, place, kind in sorted(found, key=lambda each: each[0])}


def _root(data: bytes) -> str:
    """Return the local name of the root element, or an empty text if it is no XML."""
    found: list[str] = []
    parser = expat.ParserCreate()

    def start(tag: str, _: dict[str, str]) -> None:
        found.append(tag.rpartition(":")[2])
        parser.StartElementHandler = None

    parser.StartElementHandler = start
    with suppress(expat.ExpatError, ValueError, LookupError):  # who reads it as SBML is told what is wrong
        parser.Parse(data[:SMALL], False)
    return found[0] if found else ""
