"""What is read of every patient at the operation: biomarkers, scores of the tissue, regional lymph nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cascade._organs import organs_of

if TYPE_CHECKING:
    from cascade.specs import Model

_SCORES: dict[str, tuple[str, ...]] = {
    "a_emt": ("emt__a_emt",),
    "f_adhesion": ("emt__f_adhesion",),
    "f_mesenchymal": ("invasion__f_mesenchymal", "clone_1__f_mesenchymal"),
    "f_stem": ("f_stem_bulk", "clone_1__f_stem"),
    "f_invasion": ("invasion__f_invasion",),
    "f_vessel": ("hypoxia_vegf__f_vessel",),
    "p_o2": ("hypoxia_vegf__p_o2",),
    "a_hif": ("hypoxia_vegf__a_hif",),
    "c_vegf": ("hypoxia_vegf__c_vegf",),
    "d_cd8": ("pdl1_immune__d_cd8",),
    "d_treg": ("pdl1_immune__d_treg",),
    "d_pdl1": ("pdl1_immune__d_pdl1",),
    "f_immune": ("pdl1_immune__f_immune",),
    "d_caf": ("microenvironment__d_caf",),
    "f_tam": ("microenvironment__f_tam",),
    "f_mdsc": ("microenvironment__f_mdsc",),
    "c_tgfb": ("microenvironment__c_tgfb",),
    "c_lactate": ("microenvironment__c_lactate",),
}
"""Scores of the tissue at surgery, and the symbols that may hold them: the first that the model has."""

_SAMPLES: dict[str, tuple[str, ...]] = {
    "diameter_mm": ("primary_tumor__diameter",),
    "ctc_per_tube": ("endpoints__ctc_per_tube",),
    "p_ctc": ("endpoints__p_ctc_positive",),
    "vaf_ctdna": ("endpoints__vaf_ctdna",),
    "p_dtc": ("endpoints__p_dtc_positive",),
}
"""Biomarkers at diagnosis, in the same way."""

LABELS: dict[str, str] = {
    "diameter_mm": "diameter of the primary",
    "ctc_per_tube": "circulating tumor cells in a tube, expected",
    "p_ctc": "chance of a tube with a circulating tumor cell",
    "vaf_ctdna": "share of tumor DNA in plasma",
    "p_dtc": "chance of tumor cells in the marrow sample",
    "a_emt": "EMT score of the tumor front",
    "f_adhesion": "adhesion of tumor cells",
    "f_mesenchymal": "mesenchymal share of the tumor",
    "f_stem": "stem cells, share of the tumor",
    "f_invasion": "invasion through matrix",
    "f_vessel": "vessels of the tumor",
    "p_o2": "oxygen tension of the tumor",
    "a_hif": "activity of HIF",
    "c_vegf": "VEGF in the tumor",
    "d_cd8": "CD8 T cells in the tumor",
    "d_treg": "regulatory T cells in the tumor",
    "d_pdl1": "PD-L1 on tumor cells",
    "f_immune": "immune pressure on the tumor",
    "d_caf": "fibroblasts of the tumor",
    "f_tam": "macrophages, share of the tumor",
    "f_mdsc": "myeloid suppressor cells of the tumor",
    "c_tgfb": "active TGF-beta in the tumor",
    "c_lactate": "lactate in the tumor",
}

SHARES = ("p_ctc", "vaf_ctdna", "p_dtc", "f_mesenchymal", "f_stem")
"""What cannot be above 1. A value is carried on to the day of surgery from the rows before as an exponential, which a
share that saturates does not follow: it then comes out above 1 by some ten-thousandths, and is cut there."""

_INVOLVED = "__n_lesions_involved"


def marks_of(model: Model) -> dict[str, str]:
    """Return the biomarkers that the model has: name to flat id."""
    have = set(model.ids.values())
    found: dict[str, str] = {}
    for name, symbols in (_SAMPLES | _SCORES).items():
        first = next((symbol for symbol in symbols if symbol in have), None)
        if first is not None:
            found[name] = first
    return found


def nodes_of(model: Model, distant: Iterable[str]) -> tuple[str, ...]:
    """Return the counts of lesions that a pathologist finds in organs that are not distant: regional lymph nodes."""
    ends = f"_lesions{_INVOLVED}"
    names = [flat.removesuffix(_INVOLVED) for flat in model.ids.values() if flat.endswith(ends)]
    away = set(distant)
    regional = [names for organ, names in organs_of(names).items() if organ not in away]
    return tuple(f"{name}{_INVOLVED}" for names in regional for name in names)
