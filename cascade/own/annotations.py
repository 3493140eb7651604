"""MIRIAM annotations of symbols: what they say, under one spelling."""

from __future__ import annotations

import re
from collections.abc import Iterator

import libsbml

QUALIFIERS = {
    libsbml.BQB_IS: "identity",
    libsbml.BQB_HAS_PART: "part",
    libsbml.BQB_HAS_VERSION: "version",
    libsbml.BQB_IS_VERSION_OF: "hypernym",
    libsbml.BQB_IS_HOMOLOG_TO: "homolog",
    libsbml.BQB_IS_ENCODED_BY: "encoder",
    libsbml.BQB_ENCODES: "encodement",
}
"""Biological qualifiers that a structure file can write, by Antimony's words."""

_ADDRESS = re.compile(r"^(?:https?://(?:www\.)?identifiers\.org/|urn:miriam:)(.+)$")
_PLAIN = re.compile(r"^[\w:/.%#+-]+$")


def annotation_of(element: libsbml.SBase) -> tuple[tuple[str, str], ...]:
    """Return (word, address) of the annotations that a structure file can write."""
    found = []
    for number in range(element.getNumCVTerms()):
        term = element.getCVTerm(number)
        if term.getQualifierType() != libsbml.BIOLOGICAL_QUALIFIER:
            continue
        word = QUALIFIERS.get(term.getBiologicalQualifierType())
        addresses = [term.getResourceURI(index) for index in range(term.getNumResources())]
        found += [(word, address) for address in addresses if word and _PLAIN.match(address)]
    return tuple(found)


def identifiers_of(element: libsbml.SBase) -> frozenset[str]:
    """Return the identifiers of an element as `uniprot:P37275`, whatever their address looks like."""
    return frozenset(_identifiers(element))


def _identifiers(element: libsbml.SBase) -> Iterator[str]:
    for number in range(element.getNumCVTerms()):
        term = element.getCVTerm(number)
        for index in range(term.getNumResources()):
            match = _ADDRESS.match(term.getResourceURI(index))
            if match:
                yield plain_identifier(match[1])


def plain_identifier(text: str) -> str:
    """Return `collection:accession` of the many spellings of MIRIAM identifiers."""
    text = text.replace("%3A", ":").replace("%3a", ":")
    collection, _, accession = text.replace("/", ":", 1).partition(":")
    accession = accession.rpartition(":")[2]
    return f"{collection.lower().removeprefix('obo.')}:{accession}"


def genes_of(element: libsbml.SBase) -> str:
    """Return the HGNC symbols of an element, separated by `;`."""
    symbols = [i.partition(":")[2] for i in sorted(identifiers_of(element)) if i.startswith("hgnc.symbol:")]
    return ";".join(symbol for symbol in symbols if re.fullmatch(r"[A-Za-z0-9-]+", symbol))
