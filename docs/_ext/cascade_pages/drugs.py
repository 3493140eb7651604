"""The drug reference: a page for every shipped drug, from its folder: targets, regimens, numbers, published facts."""

from __future__ import annotations

from cascade.evidence import count_evidence
from cascade.therapy.drugs import Action, Drug, drug_names, load_drug
from cascade.therapy.regimens import regimen
from cascade.therapy.tables import dose_text, list_drugs
from cascade_pages.modules import facts_section, prose, toctree
from cascade_pages.tables import code, number, numbers_table, plain, sources, table

_TIERS = {
    "pharmacokinetics": "**Full kinetics**: concentration follows from doses, with numbers that have sources.",
    "exposure": "**Exposure at a stated concentration**: the potency has a source, the kinetics are not modeled.",
    "carrier": "**A carrier**: `cascade.carry(DRUG)` puts a small molecule into it, which brings its own potency.",
}
_SHORT = {"pharmacokinetics": "full kinetics", "exposure": "stated concentration", "carrier": "carrier"}
_CONCENTRATION = {
    "c_tumor": "unbound in the tumor",
    "c_unbound": "unbound in plasma",
    "c_plasma": "in plasma",
}


def drug_pages() -> dict[str, str]:
    """Return the pages of the drug reference by path."""
    pages = {f"drugs/{name}.md": _drug(load_drug(name)) for name in drug_names()}
    return pages | {"drugs/index.md": _index()}


def _tier(drug: Drug) -> str:
    return "carrier" if drug.carrier else drug.tier


def _index() -> str:
    rows = []
    for row in list_drugs():
        drug = load_drug(row["name"])
        assumed = count_evidence(drug.parameters).get("assumed", 0)
        rows.append(
            [
                f"[{drug.name}](#drug-{drug.name})",
                plain(drug.drug_class),
                _SHORT[row["tier"]],
                ", ".join(map(code, row["targets"])),
                ", ".join(map(code, row["regimens"])),
                f"{len(drug.parameters)} ({assumed})",
            ]
        )
    header = ("drug", "class", "tier", "acts on", "regimens", "numbers (assumed)")
    return (
        "(drug-reference)=\n# Drugs\n\nEvery shipped drug, from its folder in `sbml_models/drugs/`. The"
        " [guide](../../guides/give_drug.md) shows how to give one, and how to write a folder of your own. What each"
        " acts on are rows of the [table of targets](#target-table); a target that a model does not have is passed"
        " over.\n\n"
        + "\n".join(f"- {text}" for text in _TIERS.values())
        + "\n\n"
        + table(header, rows)
        + "\n"
        + toctree(list(drug_names()))
    )


def _drug(drug: Drug) -> str:
    parts = [f"(drug-{drug.name})=", *prose(drug.path, drug.name, _given(drug)), "## Numbers"]
    parts += [f"{len(drug.parameters)} constants, from `parameters.tsv`, for a patient of {_patient(drug)}."]
    parts += [numbers_table(drug.parameters), *facts_section(drug.path, drug.name)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _patient(drug: Drug) -> str:
    return f"{drug.weight:g} kg and {drug.surface:g} m²"


def _given(drug: Drug) -> str:
    """Return the tier, what the drug acts on and how it is given."""
    structure = f"Kinetics: [{drug.structure.name}](#module-{drug.structure.name})."
    parts = [f"{_TIERS[_tier(drug)]} {structure}", plain(drug.note)]
    if drug.joins:
        rows = [[code(name), code(source)] for name, source in drug.joins.items()]
        parts.append(table(("input of its kinetics", "follows, where the model has it"), rows))
    if drug.actions:
        rows = [_acts(drug, action) for action in drug.actions]
        parts += ["## What it acts on", table(("target", "by", "potency", "concentration", "note"), rows)]
    if drug.regimens:
        rows = [_regimen(drug, name) for name in drug.regimens]
        first = next(iter(drug.regimens))
        parts += [
            "## Regimens",
            f'`cascade.regimen("{drug.name}")` gives the first; `cascade.regimen("{drug.name}", "{first}")` names it.',
            table(("regimen", "what it is", "given", "status", "source"), rows),
        ]
    return "\n\n".join(part for part in parts if part)


def _acts(drug: Drug, action: Action) -> list[str]:
    by = "; ".join(map(code, action.ports)) if action.ports else "what the target blocks or boosts"
    own = {"affinity": action.affinity, "EC50": action.ec50, "maximum": action.maximum, "Hill": action.hill}
    potency = ", ".join(f"{words} {number(drug.value(name))}{_unit(drug, name)}" for words, name in own.items() if name)
    return [code(action.target), by, potency, _CONCENTRATION[action.concentration], plain(action.note)]


def _unit(drug: Drug, name: str) -> str:
    unit = drug.table[name].unit
    return "" if unit == "dimensionless" else f" {code(unit)}"


def _regimen(drug: Drug, name: str) -> list[str]:
    written = drug.regimens[name].entries
    where = f" ({plain(str(written['where']))})" if written.get("where") else ""
    given = dose_text(regimen(drug, name))
    ends = f", {written['doses']} doses" if "doses" in written else ""
    cited = sources(written.get("source", ())) + where
    return [code(name), plain(str(written.get("title", ""))), plain(given) + ends, written.get("status", ""), cited]
