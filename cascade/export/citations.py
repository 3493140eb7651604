"""The sources that a model cites, as entries of the bibliography."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cascade._files import read_text
from cascade.library import library_folder
from cascade.specs import Model

_ENTRY = re.compile(r"^@(\w+)\s*\{\s*([^,\s]+)\s*,(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Citation:
    """One source: its key, and what the bibliography says of it."""

    key: str
    title: str = ""
    authors: str = ""
    year: str = ""
    doi: str = ""

    def __str__(self) -> str:
        words = [part for part in (self.authors, f"({self.year})" if self.year else "", self.title) if part]
        return " ".join(words) if words else self.key


def citations(model: Model) -> tuple[Citation, ...]:
    """Return the sources that the table of a model cites, by key; one that is in no bibliography is its key alone."""
    keys = sorted({key for row in model.parameters for key in row.source})
    known = _bibliography()
    return tuple(known.get(key, Citation(key=key)) for key in keys)


def _bibliography() -> dict[str, Citation]:
    text = read_text(library_folder() / "references.bib")
    found = {}
    for _, key, body in _ENTRY.findall(text):
        fields = {name.lower(): _plain(value) for name, value in _FIELD.findall(body)}
        found[key] = Citation(
            key=key,
            title=fields.get("title", ""),
            authors=fields.get("author", "").replace(" and ", "; "),
            year=fields.get("year", ""),
            doi=fields.get("doi", ""),
        )
    return found


def _plain(value: str) -> str:
    return " ".join(value.replace("{", "").replace("}", "").split())
