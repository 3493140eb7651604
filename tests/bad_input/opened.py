"""Bad SBML files and COMBINE archives of strangers."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cascade
from bad_input.case import Case, Door
from cascade.archive import open_archive, read_archive

SBML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"><model id="small">'
    '<listOfParameters><parameter id="k" value="2" constant="true"/></listOfParameters></model></sbml>\n'
)
WHOLE = (
    '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1" comp:required="true"'
    ' xmlns:comp="http://www.sbml.org/sbml/level3/version1/comp/version1"><model id="whole">'
    '<comp:listOfSubmodels><comp:submodel comp:id="a" comp:modelRef="part"/></comp:listOfSubmodels></model>'
    '<comp:listOfExternalModelDefinitions><comp:externalModelDefinition comp:id="part" comp:source="{}"'
    ' comp:modelRef="part"/></comp:listOfExternalModelDefinitions></sbml>'
)
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
THIEF = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
INCLUDE = '<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="/etc/passwd" parse="text"/>'
CERTIFY = ("certify", "{}/m.xml")
IMPORT = ("import", "{}/m.xml")
PORTABLE = ("check", "--portable", "{}/m.xml")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user who may not read what others keep for themselves; the superuser may read everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def file(make: Callable[[Path], object] | bytes | str) -> Door:
    """Return a door: a file, of these bytes or made by a function, is opened."""

    def door(folder: Path) -> Any:
        path = folder / "m.xml"
        if callable(make):
            make(path)
        else:
            path.write_bytes(make.encode() if isinstance(make, str) else make)
        return cascade.open_sbml(path)

    return door


def sbml(old: str, new: str) -> Door:
    assert old in SBML
    return file(SBML.replace(old, new, 1))


def asked(path: Any, **settings: Any) -> Door:
    """Return a door: something is opened that no case makes."""
    return lambda folder: cascade.open_sbml(path, **settings)


def limited(seconds: Any) -> Door:
    def door(folder: Path) -> Any:
        (folder / "m.xml").write_text(SBML)
        return cascade.open_sbml(folder / "m.xml", time_limit=seconds)

    return door


def unreadable(folder: Path) -> Any:
    (folder / "m.xml").write_text(SBML)
    (folder / "m.xml").chmod(0)
    with as_nobody():
        return cascade.open_sbml(folder / "m.xml")


def linked(path: Path) -> None:
    """Make a document that uses a link which leaves its folder."""
    path.write_text(WHOLE.format("part.xml"))
    (path.parent / "part.xml").symlink_to("/etc/passwd")


def huge(path: Path) -> None:
    with path.open("wb") as made:
        made.truncate(1 << 40)


def packed(*entries: tuple[str | zipfile.ZipInfo, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file; what zipfile warns of is what the case is about."""
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", method) as made:
        warnings.simplefilter("ignore")
        for name, text in entries:
            made.writestr(name, text)
    return sink.getvalue()


def manifest(*places: str, head: str = "") -> tuple[str, str]:
    kind = "http://identifiers.org/combine.specifications/sbml"
    inside = "".join(f'<content location="{place}" format="{kind}"/>' for place in places)
    return "manifest.xml", f"{head}<omexManifest>{inside}</omexManifest>"


def archive(make: bytes | Callable[[Path], object], verb: Callable[..., Any] = read_archive, **settings: Any) -> Door:
    """Return a door: an archive of these bytes, or made by a function, is read."""

    def door(folder: Path) -> Any:
        path = folder / "m.omex"
        if callable(make):
            make(path)
        else:
            path.write_bytes(make)
        return verb(path, **settings)

    return door


def holding(*entries: tuple[str | zipfile.ZipInfo, str | bytes], **settings: Any) -> Door:
    return archive(packed(*entries), **settings)


def special(kind: int) -> zipfile.ZipInfo:
    """Return an entry that is a link, a pipe or a device."""
    entry = zipfile.ZipInfo("m.xml")
    entry.external_attr = (kind | 0o777) << 16
    return entry


def changed(place: int, form: str, value: int, *entries: tuple[str, str | bytes]) -> Door:
    """Return a door: a number in the directory's last entry is another."""
    data = bytearray(packed(*entries))
    struct.pack_into(form, data, data.rindex(b"PK\x01\x02") + place, value)
    return archive(bytes(data))


def of_many(count: int) -> bytes:
    """Return a zip file of nothing but a directory of so many entries."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, *[0] * 8, 1, *[0] * 6) + b"a"
    return entry * count + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, len(entry) * count, 0, 0)


ONE = ("m.xml", SBML)
TWO = packed(ONE, ("n.xml", SBML))
WIDE = TWO[:-22] + b"PK\6\7" + bytes(16) + TWO[-22:]
MANY = [(f"{number}.txt", "") for number in range(1001)]

FILES = (
    Case("nothing", file(b""), "SBMLError", "m.xml: the file is empty", CERTIFY),
    Case("truncated", file(SBML[:200]), "SBMLError", "m.xml: not well-formed XML", IMPORT),
    Case("latin-1", file(SBML.replace("small", "größe").encode("latin-1")), "SBMLError", "not UTF-8 text: byte 0xf6.*save it as UTF-8", CERTIFY),
    Case("latin-1, as it says", sbml("UTF-8", "ISO-8859-1"), "SBMLError", "declares the encoding 'ISO-8859-1'.*save it as UTF-8", IMPORT),
    Case("encoding of nobody", sbml("UTF-8", "id-8"), "SBMLError", "declares the encoding 'id-8'", PORTABLE),
    Case("half a letter of UTF-16", file(SBML.encode("utf-16")[:-1]), "SBMLError", "is not UTF-16 text.*save it as UTF-8", CERTIFY),
    Case("zeros", file(bytes(5000)), "SBMLError", "holds zero bytes", CERTIFY),
    Case("null byte in an id", sbml("small", "sm\0all"), "SBMLError", "holds zero bytes, so it is no text", IMPORT),
    Case("terabyte of nothing", file(huge), "SBMLError", "1099511627776 bytes of SBML; the limit is", CERTIFY),
    Case("archive", file(TWO), "SBMLError", "is a ZIP or COMBINE archive, not SBML; unpack it", CERTIFY),
    Case("gzip", file(gzip.compress(SBML.encode())), "SBMLError", r"is compressed \(gzip\)", IMPORT),
    Case("pickle", file(pickle.dumps({"a": 1})), "SBMLError", "is not UTF-8 text|zero bytes", CERTIFY),
    Case("page", file("<html><body/></html>"), "SBMLError", "is not SBML: its root element is <html>", CERTIFY),
    Case("expanding entities", sbml("<sbml", BOMB + "<sbml"), "SBMLError", "has a DOCTYPE.*can hide attacks; remove it", CERTIFY),
    Case("entity of another file", sbml("<sbml", THIEF + "<sbml"), "SBMLError", "has a DOCTYPE.*can hide attacks; remove it", IMPORT),
    Case("included file", sbml("<listOf", INCLUDE + "<listOf"), "SBMLError", r"includes another file \(XInclude\)", PORTABLE),
    Case("part above the folder", file(WHOLE.format("../part.xml")), "SBMLError", "leaves the folder of the document", CERTIFY),
    Case("part of an absolute path", file(WHOLE.format("/etc/passwd")), "SBMLError", "leaves the folder of the document", IMPORT),
    Case("part of the network", file(WHOLE.format("https://example.org/part.xml")), "SBMLError", "is an address, and nothing is fetched", CERTIFY),
    Case("part that is a link", file(linked), "SBMLError", "is a link that leaves the folder", PORTABLE),
    Case("part that is not there", file(WHOLE.format("part.xml")), "SBMLError", "there is no file 'part.xml'.*add it", CERTIFY),
    Case("part of itself", file(WHOLE.format("m.xml")), "SBMLError", "definitions go in a circle: m.xml#part", IMPORT),
    Case("id twice", sbml("</listOf", '<parameter id="k" value="1" constant="true"/></listOf'), "SBMLError", r"m.xml, line \d+: \[libSBML 10301\].*'k'", CERTIFY),
    Case("folder", file(Path.mkdir), "FileError", "m.xml: (Is a directory|it is no regular file)", CERTIFY),
    Case("pipe", file(os.mkfifo), "FileError", "m.xml: it is no regular file; give the path", CERTIFY),
    Case("endless device", file(lambda path: path.symlink_to("/dev/zero")), "FileError", "it is no regular file", CERTIFY),
    Case("link to itself", file(lambda path: path.symlink_to(path)), "FileError", "cannot read", CERTIFY),
    Case("lost", file(lambda path: None), "FileError", "No such file or directory; look at the path", CERTIFY),
    Case("unreadable", unreadable, "FileError", "Permission denied; choose a place that you may use"),
    Case("null byte in the path", asked("a\0b.xml"), "FileError", "cannot read a", ("certify", "a\0b.xml")),
    Case("no path", asked(None), "FileError", r"cannot read 'None' \(NoneType\); give the path of an SBML file"),
    Case("number for a path", asked(3), "FileError", r"cannot read '3' \(int\); give the path of an SBML file"),
    Case("folder that is a number", asked("m.xml", folder=3), "FileError", "give the path of a folder"),
    Case("limit of a text", limited("60"), "ValueSettingError", "time_limit is '60'; give a finite number of seconds"),
    Case("limit of nothing", limited(None), "ValueSettingError", "time_limit is None; give a finite number of seconds"),
    Case("limit that is true", limited(True), "ValueSettingError", "time_limit is True; give a finite number of seconds"),
    Case("limit of years", limited(1e9), "ValueSettingError", "time_limit is 1000000000.0; .* up to 1000000"),
    Case("limit NaN", limited(float("nan")), "ValueSettingError", "time_limit is nan; give a finite number of seconds"),
)  # fmt: skip

ARCHIVES = (
    Case("no archive", archive(b"hello"), "SBMLError", "it is no whole zip file .*get the archive again"),
    Case("empty archive", archive(b""), "SBMLError", "it is no whole zip file"),
    Case("archive cut", archive(TWO[:-30]), "SBMLError", "it is no whole zip file"),
    Case("archive without its beginning", archive(TWO[40:]), "SBMLError", "it is no whole zip file"),
    Case("terabyte for an archive", archive(huge), "SBMLError", "it is no whole zip file"),
    Case("archive of nothing", holding(), "SBMLError", "holds no SBML; its entries are none"),
    Case("name above the folder", holding(("../m.xml", SBML)), "SBMLError", r"'../m.xml' is not safe: the name leads out"),
    Case("name of an absolute path", holding(("/etc/m.xml", SBML)), "SBMLError", "the name leads out of the archive's folder"),
    Case("name with a drive", holding(("C:m.xml", SBML)), "SBMLError", "the name leads out of the archive's folder"),
    Case("name with backslashes", holding(("a\\..\\m.xml", SBML)), "SBMLError", "the name leads out of the archive's folder"),
    Case("name with a line end", holding(("a\nb.xml", SBML)), "SBMLError", "has control characters"),
    Case("long name", holding(("é" * 200, SBML)), "SBMLError", "longer than 255 bytes"),
    Case("link in an archive", holding((special(stat.S_IFLNK), "/etc/passwd")), "SBMLError", "a link or a device, not a file"),
    Case("pipe in an archive", holding((special(stat.S_IFIFO), "")), "SBMLError", "a link or a device, not a file"),
    Case("name twice", holding(ONE, ONE), "SBMLError", "the name stands twice"),
    Case("name twice but for capitals", holding(ONE, ("M.XML", SBML)), "SBMLError", "the name stands twice"),
    Case("file that is a folder", holding(ONE, ("m.xml/n.xml", SBML), verb=open_archive), "SBMLError", "'m.xml/n.xml' is not safe: .* also a file"),
    Case("bomb", holding(("m.xml", b" " * 20_000_000)), "SBMLError", "20000000 bytes out of .*; the limit is 200 to 1"),
    Case("size that lies", changed(24, "<L", 10, ONE), "SBMLError", "it is no whole zip file"),
    Case("size without end", changed(24, "<L", 0xFFFFFFF0, ONE), "SBMLError", "bytes unpacked; the limit is"),
    Case("entries that overlap", changed(42, "<L", 0, ONE, ("n.xml", SBML)), "SBMLError", "no whole zip file|overlap"),
    Case("encrypted", changed(8, "<H", 1, ONE), "SBMLError", "it is encrypted"),
    Case("other compression", archive(packed(ONE, method=zipfile.ZIP_LZMA)), "SBMLError", "compression method 14"),
    Case("1001 entries", holding(*MANY), "SBMLError", "1001 entries; the limit is 1000"),
    Case("300,000 entries", archive(of_many(300_000)), "SBMLError", "a directory of 14100000 bytes; the limit is 2000000"),
    Case("ZIP64", archive(WIDE), "SBMLError", r"for archives above 4 GB \(ZIP64\); pack it again"),
    Case("archive in an archive", holding(("inner.omex", TWO)), "SBMLError", "holds no SBML; its entries are inner.omex"),
    Case("manifest that is empty", holding(ONE, ("manifest.xml", "")), "SBMLError", "manifest.xml is not well-formed XML"),
    Case("manifest of a file not there", holding(ONE, manifest("./n.xml")), "SBMLError", "the manifest names n.xml, which the archive does not hold"),
    Case("manifest of 50,000 files not there", holding(ONE, manifest(*map(str, range(50_000)))), "SBMLError", "names 0, 1, 10, 100, 1000 and 49995 more, which"),
    Case("manifest of a file above", holding(ONE, manifest("../n.xml")), "SBMLError", "the manifest names ../n.xml, which the archive does not hold"),
    Case("manifest of itself", holding(ONE, manifest("manifest.xml")), "SBMLError", "manifest.xml: is not SBML: its root element is <omexManifest>"),
    Case("manifest with entities", holding(ONE, manifest("m.xml", head=BOMB)), "SBMLError", "manifest.xml has a DOCTYPE.*remove it"),
    Case("manifest in an unknown encoding", holding(ONE, manifest("m.xml", head='<?xml version="1.0" encoding="id-8"?>')), "SBMLError", "manifest.xml is not well-formed XML: unknown encoding"),
    Case("manifest in Big5", holding(ONE, manifest("m.xml", head='<?xml version="1.0" encoding="big5"?>')), "SBMLError", "manifest.xml is not well-formed XML: multi-byte"),
    Case("model in an unknown encoding", holding(("m.xml", SBML.replace("UTF-8", "id-8"))), "SBMLError", "holds no SBML; its entries are m.xml"),
    Case("model in latin-1", holding(("m.xml", SBML.replace("small", "größe").encode("latin-1"))), "SBMLError", "entry 'm.xml' is not UTF-8 text; save the model"),
    Case("model with entities", holding(("m.xml", BOMB + SBML[39:])), "SBMLError", "m.xml: has a DOCTYPE"),
    Case("model that steals", holding(("m.xml", WHOLE.format("../../../etc/passwd")), verb=open_archive), "SBMLError", "leaves the folder of the document"),
    Case("no such model", holding(ONE, verb=open_archive, model="n.xml"), "UnknownNameError", "no SBML file 'n.xml' in .*did you mean 'm.xml'"),
    Case("number for a model", holding(ONE, verb=open_archive, model=5), "UnknownNameError", "no SBML file '5' in"),
    Case("folder for an archive", archive(Path.mkdir), "SBMLError", "there is no such regular file; give the path of an archive"),
    Case("pipe for an archive", archive(os.mkfifo), "SBMLError", "there is no such regular file"),
    Case("endless archive", archive(lambda path: path.symlink_to("/dev/zero")), "SBMLError", "there is no such regular file"),
    Case("lost archive", archive(lambda path: None), "SBMLError", "there is no such regular file"),
    Case("no path of an archive", lambda folder: read_archive(None), "FileError", r"give the path of an archive \(.omex\)"),
)  # fmt: skip

CASES = (*FILES, *ARCHIVES)
