"""The page that tells what is assumed: counts by evidence, the assumed numbers that matter, entries not verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cascade
from cascade.catalogue import library_folder
from cascade.evidence import EVIDENCE, count_evidence, read_parameters
from cascade.specs import Parameter
from cascade.therapy.drugs import drug_names, load_drug
from cascade_pages.bibliography import is_unverified, read_bibliography
from cascade_pages.modules import all_compositions
from cascade_pages.tables import code, number, plain, sources, table

_INTRO = """\
(what-is-assumed)=
# What is assumed

Every constant has one of four grades of evidence. This page counts them from the tables of the models, each time that
the site is built.

measured
: printed in a paper, or computed from a printed number by the arithmetic in the table.

fitted
: set so that a model meets published facts.

inferred
: follows from something published by an argument that the table states.

assumed
: a choice. The table says why this one.

An input of a module is not counted here: in a composition another module gives its value. A number is *uncertain* where
virtual patients differ in it; a ranking of targets says for the leading ones which share of the spread rests on
assumed numbers (`assumed_share`). A number that has no meaning for a drug, such as the absorption of one that is given
into a vein, stands in its table as assumed, and is counted.
"""


def assumed_page() -> dict[str, str]:
    """Return the page of counts by evidence."""
    rows, own, drugs, listed = [], [], [], []
    total: list[Parameter] = []
    given: list[Parameter] = []
    for name in cascade.module_names():
        module = cascade.load_module(name)
        inputs = {port.id for port in module.ports if port.direction == "in"}
        numbers = [row for row in module.parameters if row.id not in inputs]
        total += numbers
        rows.append([f"[{name}](#module-{name})", *_counts(numbers)])
        listed += _lines(f"[{name}](#module-{name})", numbers)
    rows.append(["**all modules**", *_counts(total)])
    for name in all_compositions():
        path = library_folder() / "compositions" / name / "parameters.tsv"
        if path.is_file():
            own.append([f"[{name}](#composition-{name})", *_counts(read_parameters(path))])
    for name in drug_names():
        numbers = list(load_drug(name).parameters)
        given += numbers
        drugs.append([f"[{name}](#drug-{name})", *_counts(numbers)])
        listed += _lines(f"[{name}](#drug-{name})", numbers)
    drugs.append(["**all drugs**", *_counts(given)])
    header = ("", *EVIDENCE, "all", "share assumed", "uncertain")
    parts = [_INTRO, "## Modules", table(header, rows), "## What compositions add or replace", table(header, own)]
    parts += [
        "## Drugs",
        table(header, drugs),
        "## Assumed and uncertain",
        "The assumed numbers in which virtual patients differ; their notes stand on the pages of modules and",
    ]
    parts[-1] += " drugs."
    parts += [table(("module or drug", "id", "what it is", "value"), listed), *_unverified()]
    return {"assumed.md": "\n\n".join(parts) + "\n"}


def _counts(rows: Sequence[Parameter]) -> list[str]:
    counts = count_evidence(rows)
    share = counts.get("assumed", 0) / len(rows) if rows else 0.0
    graded = [str(counts.get(grade, 0)) for grade in EVIDENCE]
    return [*graded, str(len(rows)), f"{share:.0%}", str(sum(row.estimate for row in rows))]


def _lines(link: str, rows: Sequence[Parameter]) -> Iterator[list[str]]:
    """Yield a line for each number that is assumed and uncertain."""
    for row in rows:
        if row.evidence == "assumed" and row.estimate:
            unit = "" if row.unit == "dimensionless" else f" {code(row.unit)}"
            yield [link, code(row.id), plain(row.name), number(row.nominal) + unit]


def _unverified() -> list[str]:
    entries = read_bibliography()
    keys = sorted(key for key, entry in entries.items() if is_unverified(entry))
    text = (
        f"{len(keys)} of {len(entries)} entries of the {{ref}}`bibliography <bibliography>` carry a note that"
        " something was recalled from memory, read in an abstract or a report only, or could not be verified: "
        + sources(keys)
        + "."
    )
    return ["## Sources that were not checked at the paper", text]
