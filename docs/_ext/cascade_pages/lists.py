"""Pages of what can be named in a call: readouts, targets, units."""

from __future__ import annotations

import cascade  # noqa: F401  (its files are found through the package)
from cascade.readouts import known_readouts
from cascade.target_table import read_targets
from cascade.units import known_units
from cascade_pages.tables import code, plain, sources, table


def list_pages() -> dict[str, str]:
    """Return the pages of readouts, targets and units."""
    return {"readouts.md": _readouts(), "targets.md": _targets(), "units.md": _units()}


def _readouts() -> str:
    rows = [
        [code(spec.name), plain(spec.meaning), code(spec.unit), ", ".join(map(code, spec.dims)) or "one number"]
        for spec in known_readouts()
    ]
    return (
        "(readout-table)=\n# Readouts\n\nWhat `cascade.readout(runs, NAME)` computes. `final:<id>` and `max:<id>` of"
        " any variable come in addition. Of a readout by `organ`, `year` or `quantile`, `NAME:<member>` is one"
        " number, such as `p_first_site:bone`; analyses need one number.\n\n"
        + table(("name", "meaning", "unit", "by"), rows)
    )


def _targets() -> str:
    rows = [
        [
            code(t.target),
            plain(t.name),
            plain(t.drug_class),
            plain(", ".join(t.genes)),
            plain(t.stage),
            plain(t.example_drugs),
            sources(t.source),
            plain(t.note),
        ]
        for t in read_targets()
    ]
    header = ("target", "what it is", "drug class", "genes", "stage", "example drugs", "source", "note")
    return (
        "(target-table)=\n# Targets\n\nThe rows of `sbml_models/targets.tsv`: what `cascade.rank_targets` ranks when"
        " it is not told otherwise. Which constants each acts on stands in the table itself, and in the ranking"
        " (`acts_on`).\n\n" + table(header, rows)
    )


def _units() -> str:
    listed = ", ".join(map(code, known_units()))
    return (
        "(unit-table)=\n# Units\n\nA unit is a product of factors joined by `_`; factors after each `per` divide; a"
        " trailing digit is a power. So `nM_per_day` is nanomolar per day, and `molecule_per_um2` molecules per"
        f" square micrometer. The factors are:\n\n{listed}.\n\nTime is in days everywhere in a model.\n"
    )
