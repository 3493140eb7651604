"""Pages of genotypes and of expression scores: what each sets, which way it goes, and where that is from."""

from __future__ import annotations

import cascade  # noqa: F401  (its files are found through the package)
from cascade.patients.expression import read_scores
from cascade.patients.genotype_table import Genotype, read_genotypes
from cascade_pages.tables import code, plain, sources, table


def genotype_pages() -> dict[str, str]:
    """Return the page of `genotypes.tsv` and `expression.tsv`."""
    known = read_genotypes()
    expressed = [each for each in known if each.sets]
    parts = [
        "(genotype-table)=\n# Genotypes\n\nThe rows of `sbml_models/genotypes.tsv`: what they set in a"
        " model. `=` sets a value, `*` multiplies it, `>=` and `<=` raise and lower it to that at least. Genotypes"
        " combine in any order. The direction was checked in the module alone.",
        table(("genotype", "name", "sets", "effect", "direction", "source", "note"), map(_expressed, expressed)),
        "## Known, without a parameter\n\nThese are listed for a patient, and change nothing.",
        table(
            ("genotype", "name", "effect", "why not"),
            ([code(g.id), plain(g.name), plain(g.effect), plain(g.note)] for g in known if not g.sets),
        ),
        "(expression-table)=\n## Expression scores\n\nThe rows of `sbml_models/expression.tsv`: each point of a z-score"
        " multiplies the constant by 2 to the power of the slope, within the bounds.",
        table(
            ("score", "name", "parameter", "slope", "bounds", "effect", "source", "note"),
            (
                [
                    code(s.id),
                    plain(s.name),
                    code(f"{s.module}.{s.parameter}"),
                    f"{s.slope:g}",
                    f"{s.lower:g} to {s.upper:g}",
                    plain(s.effect),
                    sources(s.source),
                    plain(s.note),
                ]
                for s in read_scores()
            ),
        ),
    ]
    return {"genotypes.md": "\n\n".join(parts)}


def _expressed(each: Genotype) -> list[str]:
    return [
        code(each.id),
        plain(each.name),
        "; ".join(code(str(setting)) for setting in each.sets),
        plain(each.effect),
        "; ".join(code(str(expected)) for expected in each.direction),
        sources(each.source),
        plain(each.note),
    ]
