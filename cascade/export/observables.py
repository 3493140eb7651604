"""What a clinic or an assay sees at one moment, as formulas over the ids of a model: the observables of PEtab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cascade._canonical import symbol_table
from cascade._organs import organs_of
from cascade.specs import Model

if TYPE_CHECKING:
    import xarray as xr

Form = Literal["value", "log10", "probability"]

_FORMULAS: Mapping[str, str] = {"value": "{sum}", "log10": "log10({sum} + 1)", "probability": "1 - exp(-({sum}))"}
_WHOLE = (
    ("n_primary", "log10", "primary_tumor__n_cells", "cells of the primary tumor, log10(n + 1)"),
    ("diameter", "value", "primary_tumor__diameter", "diameter of the primary tumor"),
    ("ctc_per_tube", "value", "endpoints__ctc_per_tube", "expected circulating tumor cells in a 7.5 mL tube"),
    ("p_ctc_positive", "value", "endpoints__p_ctc_positive", "probability of a circulating tumor cell in a tube"),
    ("n_ctc", "log10", "endpoints__n_ctc", "circulating tumor cells in the blood, log10(n + 1)"),
    ("vaf_ctdna", "value", "endpoints__vaf_ctdna", "allele fraction of circulating tumor DNA"),
    ("p_dtc_positive", "value", "endpoints__p_dtc_positive", "probability of disseminated cells in a marrow sample"),
    ("h_cumulative", "value", "endpoints__h_cumulative", "cumulative hazard of overt distant metastasis"),
    ("p_overt", "probability", "endpoints__h_cumulative", "probability of overt distant metastasis so far"),
    ("h_since_surgery", "value", "endpoints__h_since_surgery", "cumulative hazard since surgery"),
    ("p_overt_since_surgery", "probability", "endpoints__h_since_surgery", "probability of metastasis since surgery"),
    ("f_lethal", "value", "endpoints__f_lethal", "burden of patients with metastasis, share of the lethal one"),
)
_BY_ORGAN = (
    ("n_burden", "log10", "n_burden", "cells in overt lesions, log10(n + 1)"),
    ("n_overt", "value", "n_overt", "overt lesions (expected number)"),
    ("n_micrometastases", "value", "n_micrometastases", "lesions below the detection limit (expected number)"),
    ("p_involved", "probability", "n_lesions_involved", "probability that an autopsy finds a lesion"),
)


@dataclass(frozen=True, kw_only=True)
class Observable:
    """One observable: a form (value, log10 of one more, or probability of at least one) of a sum of symbols."""

    id: str
    name: str
    unit: str
    form: Form
    symbols: tuple[str, ...]

    @property
    def formula(self) -> str:
        """The formula over flat ids, in the grammar of PEtab."""
        return _FORMULAS[self.form].format(sum=" + ".join(self.symbols))

    def compute(self, runs: xr.Dataset) -> xr.DataArray:
        """Return its values in simulated runs."""
        import numpy as np

        total: xr.DataArray = sum((runs[name] for name in self.symbols[1:]), start=runs[self.symbols[0]])
        if self.form == "log10":
            return total.copy(data=np.log10(total.values + 1.0))
        return total.copy(data=-np.expm1(-total.values)) if self.form == "probability" else total


def observables(model: Model) -> tuple[Observable, ...]:
    """Return the observables of a model: its endpoints at a moment; of a model without any, its states or variables."""
    table = symbol_table(model.flat)
    lesions = organs_of(name for name, module in model.instances.items() if module == "lesions")
    wanted: list[tuple[str, str, str, tuple[str, ...]]] = [
        (name, words, form, (one,)) for name, form, one, words in _WHOLE
    ]
    for organ, instances in lesions.items():
        wanted += [
            (f"{name}_{organ}", f"{words} in {organ}", form, tuple(f"{each}__{one}" for each in instances))
            for name, form, one, words in _BY_ORGAN
        ]
    found = [each for each in wanted if all(one in table for one in each[3])]
    if not found:
        states = [name for name, symbol in table.items() if symbol.role == "integrated"]
        variables = [name for name, symbol in table.items() if symbol.kind == "parameter" and symbol.role != "constant"]
        found = [(name, table[name].name, "value", (name,)) for name in states or variables]
    return tuple(
        Observable(
            id=f"obs_{name}",
            name=words,
            unit=table[symbols[0]].unit if form == "value" else "dimensionless",
            form=form,  # type: ignore[arg-type]
            symbols=symbols,
        )
        for name, words, form, symbols in found
    )
