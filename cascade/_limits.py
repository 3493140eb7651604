"""Limits against hostile files: bytes to text, and one streaming look at XML before any SBML tool sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.parsers import expat

from cascade.errors import SBMLError

MAX_BYTES = 50_000_000
MAX_DEPTH = 500
MAX_ID = 256
MAX_TERMS = 1_000
"""Operands of one operator: libRoadRunner does not come back from a sum of 10,000, libSBML's check of units takes its
time with the cube of their number."""
MAX_PIECES = 400
"""Pieces of one piecewise: 400 take libRoadRunner 8 s, 1,000 more than can be waited for."""
MAX_ATTRIBUTES = 100

MATHML = "http://www.w3.org/1998/Math/MathML"
COMP = "http://www.sbml.org/sbml/level3/version1/comp/version1"
_XINCLUDE = "http://www.w3.org/2001/XInclude"
_SBML = re.compile(r"http://www\.sbml\.org/sbml/level(?:1|2(?:/version[1-5])?|3/version[12]/core)")
_PACKAGE = re.compile(r"http://www\.sbml\.org/sbml/level3/version1/(\w+)/version\d+")
_IDS = {"id", "metaid"}

_DECLARATION = re.compile(r"<\?xml\b[^>]*\?>")
_ENCODING = re.compile(r"""\bencoding\s*=\s*["']([^"']*)["']""")
_ARCHIVES = {b"PK\x03\x04": "a ZIP or COMBINE archive", b"\x1f\x8b": "compressed (gzip)", b"BZh": "compressed (bzip2)"}


@dataclass
class Glance:
    """What one streaming look at a document tells.

    Attributes
    ----------
    root : str
        Namespace and name of the root element, with a blank between.
    packages : dict of str to bool
        Package by name: whether the document says that it is required to understand the model.
    externals : list of dict
        Attributes of each external model definition: id, source, modelRef, md5.
    """

    root: str = ""
    packages: dict[str, bool] = field(default_factory=dict)
    externals: list[dict[str, str]] = field(default_factory=list)


def decode(data: bytes, where: str) -> str:
    """Turn the bytes of an XML file into text that declares UTF-8.

    Raises
    ------
    SBMLError
        If the file is empty, compressed or binary, or not in the encoding that it declares; SBML is UTF-8, and UTF-16
        with a byte order mark is understood, too.
    """
    if not data.strip():
        raise SBMLError(f"{where}: the file is empty")
    for magic, kind in _ARCHIVES.items():
        if data.startswith(magic):
            raise SBMLError(f"{where}: is {kind}, not SBML; unpack it and open the .xml file inside")
    text = _text(data, where)
    declaration = _DECLARATION.match(text)
    declared = _ENCODING.search(declaration[0]) if declaration else None
    if declared and declared[1].lower() not in ("utf-8", "utf8", "us-ascii", "utf-16"):
        raise SBMLError(f"{where}: declares the encoding {declared[1]!r}, but SBML must be UTF-8; save it as UTF-8")
    if declared and declared[1].lower() == "utf-16" and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise SBMLError(f"{where}: declares UTF-16 but has no byte order mark and is not; save it as UTF-8")
    body = text[declaration.end() :] if declaration else text
    if not body.lstrip().startswith("<"):
        raise SBMLError(f"{where}: is not XML: it begins with {body.lstrip()[:20]!r}; give an SBML file")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'


def _text(data: bytes, where: str) -> str:
    if data.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        raise SBMLError(f"{where}: is UTF-32, which SBML tools do not read; save it as UTF-8")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise SBMLError(
            f"{where}: is not {encoding[:6].upper().rstrip('-')} text: byte 0x{data[error.start]:02x} at position"
            f" {error.start}; save it as UTF-8"
        ) from None
    if "\x00" in text:
        raise SBMLError(f"{where}: holds zero bytes, so it is no text; give an SBML file in UTF-8")
    return text


def glance(text: str, where: str) -> Glance:
    """Look at every element once and refuse what is known to crash or hang SBML tools.

    Raises
    ------
    SBMLError
        For more than 50 MB, a DOCTYPE, an inclusion of other files, nesting deeper than 500, an id above 256
        characters, more than 1,000 operands of an operator or 400 pieces of a piecewise, or XML that is not well
        formed.
    """
    data = text.encode(errors="surrogatepass")
    check_size(len(data), where)
    looker = _Looker(where)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = looker.start
    parser.EndElementHandler = looker.end
    parser.StartDoctypeDeclHandler = looker.doctype
    with _well_formed(where):
        parser.Parse(data, True)
    return looker.seen


def check_size(size: int, where: str) -> None:
    """Refuse a document above the limit."""
    if size > MAX_BYTES:
        raise SBMLError(f"{where}: {size} bytes of SBML; the limit is {MAX_BYTES}")


def precheck(text: str, where: str) -> None:
    """Refuse text that is known to crash or hang SBML tools, before any of them sees it.

    Raises
    ------
    SBMLError
        As `glance`, and for a reference to another file.
    """
    if glance(text, where).externals:
        raise SBMLError(f"{where}: refers to another file (externalModelDefinition); put the model into this document")


@contextmanager
def _well_formed(where: str) -> Iterator[None]:
    try:
        yield
    except (expat.ExpatError, ValueError, LookupError) as error:  # LookupError: an unknown encoding
        raise SBMLError(f"{where}: not well-formed XML: {error}") from None


class _Looker:
    """Counts while the parser goes through the document."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.seen = Glance()
        self.open: list[list[int]] = []

    def refuse(self, what: str) -> None:
        raise SBMLError(f"{self.where}: {what}")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.open:
            self.open[-1][0] += 1
        else:
            self.first(tag, attributes)
        self.open.append([0])
        if len(self.open) > MAX_DEPTH:
            self.refuse(f"elements nested deeper than {MAX_DEPTH}; simplify the mathematics")
        for name, value in attributes.items():
            if len(value) > MAX_ID and name.rpartition(" ")[2] in _IDS:
                self.refuse(f"an id of {len(value)} characters; the limit is {MAX_ID}")
        if len(attributes) > MAX_ATTRIBUTES:
            self.refuse(f"an element with {len(attributes)} attributes; the limit is {MAX_ATTRIBUTES}")
        namespace, _, name = tag.rpartition(" ")
        if namespace == _XINCLUDE:
            self.refuse("includes another file (XInclude), which SBML does not use and which can hide attacks")
        # whoever reads by name alone takes it for one, whatever its namespace
        if name == "externalModelDefinition":
            self.external(attributes)

    def first(self, tag: str, attributes: dict[str, str]) -> None:
        self.seen.root = tag
        for name, value in attributes.items():
            package = _PACKAGE.fullmatch(name.rpartition(" ")[0])
            if name.endswith(" required"):
                label = package[1] if package else name.rpartition(" ")[0]
                self.seen.packages[label] = value.strip() not in ("false", "0")

    def external(self, attributes: dict[str, str]) -> None:
        self.seen.externals.append({name.rpartition(" ")[2]: value for name, value in attributes.items()})

    def end(self, tag: str) -> None:
        (inside,) = self.open.pop()
        if inside > MAX_PIECES and tag.startswith(MATHML):
            name = tag.rpartition(" ")[2]
            if name == "piecewise":
                self.refuse(f"a piecewise with {inside} pieces; the limit is {MAX_PIECES}")
            if inside > MAX_TERMS and name in ("apply", "lambda"):
                self.refuse(f"an operator with {inside} operands; the limit is {MAX_TERMS}; split the formula")

    def doctype(self, *_: object) -> None:
        self.refuse("has a DOCTYPE, which SBML does not use and which can hide attacks; remove it")


def check_root(seen: Glance, where: str) -> None:
    """Refuse a document that is not SBML."""
    namespace, _, name = seen.root.rpartition(" ")
    if name != "sbml":
        raise SBMLError(f"{where}: is not SBML: its root element is <{name}>; give an SBML file")
    if not _SBML.fullmatch(namespace):
        raise SBMLError(
            f"{where}: its root element is in the namespace {namespace!r}, which no version of SBML uses; correct it"
        )
