"""The bibliography: an entry for every source of a number, with what is not yet verified and who cites it."""

from __future__ import annotations

import codecs
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cascade
from cascade.catalogue import library_folder, module_folder
from cascade.evidence import read_parameters
from cascade.facts import read_facts
from cascade.patients.expression import read_scores
from cascade.patients.genotype_table import read_genotypes
from cascade.target_table import read_targets
from cascade.therapy.drugs import drug_folder, drug_names, load_drug
from cascade_pages.modules import all_compositions
from cascade_pages.tables import plain

if TYPE_CHECKING:
    from pybtex.database import Entry

UNVERIFIED = ("recalled", "verified", "unsure", "not the paper", "abstract")
"""Words of a note that say that something of the entry was not checked in the whole paper."""


def bibliography_page() -> dict[str, str]:
    """Return the page of every entry of `references.bib`."""
    entries, users = read_bibliography(), cited_by()
    open_ones = sum(is_unverified(entry) for entry in entries.values())
    parts = [
        "(bibliography)=\n# Bibliography",
        f"The {len(entries)} entries of `sbml_models/references.bib`, to which the tables of numbers, facts, regimens"
        " and targets refer. A note says what was recalled from memory or read in an abstract only;"
        f" {open_ones} entries have such a note.",
    ]
    parts += [_entry(key, entry, users.get(key, ())) for key, entry in sorted(entries.items())]
    return {"bibliography.md": "\n\n".join(parts) + "\n"}


def read_bibliography() -> Mapping[str, Entry]:
    """Return the entries of the shipped `references.bib` by key."""
    from pybtex.database import parse_file

    return dict(parse_file(str(library_folder() / "references.bib"), bib_format="bibtex").entries)


def is_unverified(entry: Entry) -> bool:
    """Tell whether the note of an entry says that something was not checked."""
    return any(word in entry.fields.get("note", "") for word in UNVERIFIED)


def cited_by() -> dict[str, list[str]]:
    """Return by key the pages that cite it, as links."""
    found: dict[str, set[str]] = defaultdict(set)

    def add(keys: Iterable[str], link: str) -> None:
        for key in keys:
            found[key].add(link)

    for link, folder in _folders():
        for read, file in ((read_parameters, "parameters.tsv"), (read_facts, "evidence.tsv")):
            for row in read(folder / file) if (folder / file).is_file() else ():
                add(row.source, link)
    for name in drug_names():
        for written in load_drug(name).regimens.values():
            add(written.entries.get("source", ()), f"[{name}](#drug-{name})")
    for target in read_targets():
        add(target.source, "[targets](#target-table)")
    for genotype in read_genotypes():
        add(genotype.source, "[genotypes](#genotype-table)")
    for score in read_scores():
        add(score.source, "[expression scores](#expression-table)")
    return {key: sorted(links) for key, links in found.items()}


def _folders() -> Iterator[tuple[str, Path]]:
    """Yield every folder with tables, after the link to its page."""
    for name in cascade.module_names():
        yield f"[{name}](#module-{name})", module_folder(name)
    for name in all_compositions():
        yield f"[{name}](#composition-{name})", library_folder() / "compositions" / name
    for name in drug_names():
        yield f"[{name}](#drug-{name})", drug_folder(name)


def _entry(key: str, entry: Entry, users: Iterable[str]) -> str:
    field = _fields(entry)
    journal = " ".join(
        part for part in (_italic(field("journal") or field("booktitle")), plain(field("volume"))) if part
    )
    journal += f": {plain(field('pages'))}" if field("pages") else ""
    publisher = field("publisher") or field("howpublished")
    parts = [_people(entry), f"**{plain(field('title'))}**", journal, plain(publisher), plain(field("year"))]
    text = ". ".join(part.rstrip(".") for part in parts if part) + "."
    if field("doi"):
        text += f" [doi:{plain(field('doi'))}](https://doi.org/{field('doi')})"
    elif field("url"):
        text += f" <{field('url')}>"
    text += f" *Note: {plain(field('note'))}.*" if field("note") else ""
    text += f" Cited by {', '.join(users)}." if users else ""
    return f"(bib-{key})=\n`{key}`\n: {text}"


def _decoded(latex: str) -> str:
    """Turn the LaTeX of a field into text."""
    import latexcodec  # noqa: F401  (registers the codec)

    text = codecs.decode(latex, "ulatex") if "\\" in latex else latex.replace("--", "–").replace("~", " ")
    return re.sub(r"[{}$]", "", text)


def _fields(entry: Entry) -> Callable[[str], str]:
    def field(name: str) -> str:
        return _decoded(entry.fields.get(name, ""))

    return field


def _italic(text: str) -> str:
    return f"*{plain(text)}*" if text else ""


def _people(entry: Entry) -> str:
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = []
    for person in people:
        last = " ".join(map(_decoded, (*person.prelast_names, *person.last_names)))
        firsts = map(_decoded, (*person.first_names, *person.middle_names))
        initials = " ".join(part if part.endswith(".") else f"{part[:1]}." for part in firsts if part)
        names.append("et al" if last == "others" else f"{last} {initials}".strip())
    return plain(", ".join(names))
