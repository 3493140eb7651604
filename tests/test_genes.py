"""The view of a gene: ranks by the best target, coefficients of known exponents, and words for what is unknown."""

from __future__ import annotations

import antimony
import libsbml
import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError, UnknownNameError
from cascade.genes import gene_view, rank_genes
from cascade.specs import Model, Parameter

# A hazard of known exponents: 2 for the secretase, -1 for JAG1, 0 for what is not used, 0.25 for a share of a sum.
TEXT = """
model risk()
  h' = notch__f_gamma_secretase^2/notch__k_activate_jag*(3 + w_part)*1e-3 + 0*k_idle; h = 0;
  notch__f_gamma_secretase = 1; notch__k_activate_jag = 2; w_part = 1; k_idle = 5; k_none = 0; z' = k_none; z = 0;
end
"""
GENES = {
    "notch__f_gamma_secretase": "PSEN1;NCSTN",
    "notch__k_activate_jag": "",
    "w_part": "PSEN1",
    "k_idle": "PSEN1;FBXW7",
    "k_none": "PSEN1",
}
RUN = {"readout": "final:h", "years": 1, "workers": 1}


@pytest.fixture(scope="module")
def model() -> Model:
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(TEXT) >= 0, antimony.getLastError()
    document = libsbml.readSBMLFromString(antimony.getSBMLString("risk"))
    sbml = document.getModel()
    sbml.setTimeUnits("day")
    day = sbml.createUnitDefinition()
    day.setId("day")
    unit = day.createUnit()
    unit.setKind(libsbml.UNIT_KIND_SECOND)
    unit.setMultiplier(86400)
    unit.setExponent(1)
    unit.setScale(0)
    rows, ids = [], {}
    for parameter in sbml.getListOfParameters():
        name = parameter.getId()
        parameter.setUnits("dimensionless")
        ids |= {name: name, name.replace("__", "."): name}
        if parameter.getConstant():
            upper = 1.0 if name.startswith("notch__f") else None
            rows.append(
                Parameter(
                    id=name, name=f"constant {name}", nominal=parameter.getValue(), unit="dimensionless", upper=upper,
                    gene=GENES[name], evidence="assumed", source=("key2020",),
                )
            )  # fmt: skip
    flat = libsbml.writeSBMLToString(document)
    return Model(name="risk", flat=flat, parameters=tuple(rows), ids=ids, instances={"notch": "notch"})


def ranking() -> xr.Dataset:
    both = ("target", "window")
    effect = np.array([[-0.3, -0.1], [-0.2, -0.4], [np.nan, np.nan]])
    rank = np.array([[1.0, 2.0], [2.0, 1.0], [np.nan, np.nan]])
    data = {"effect_mean": effect, "effect_lower": effect - 0.1, "effect_upper": effect + 0.1}
    data |= {"rank": rank, "rank_lower": rank, "rank_upper": rank + 1}
    coords = {
        "target": ["gamma_secretase", "jag1", "lost"], "window": ["adjuvant", "lifelong"],
        "genes": ("target", ["PSEN1, NCSTN", "JAG1, NCSTN", "MYC"]),
        "example_drugs": ("target", ["nirogacestat", "", ""]),
    }  # fmt: skip
    return xr.Dataset({name: (both, values) for name, values in data.items()}, coords, {"window": "adjuvant"})


def test_genes_rank_by_their_best_target(model: Model) -> None:
    table = rank_genes(ranking(), model)
    assert list(table["gene"]) == ["NCSTN", "PSEN1", "JAG1", "FBXW7", "MYC"]
    assert list(table.index[:3]) == [1.5, 1.5, 3.0] and np.isnan(table.index[3:]).all()
    psen = table.set_index("gene").loc["PSEN1"]
    assert psen["best target"] == "gamma_secretase" and psen["effect"] == -0.3 and psen["95 % from"] == -0.4
    assert psen["rank of the target 95 % to"] == 2 and psen["parameters"] == 4 and psen["drugs"] == "nirogacestat"
    assert table.set_index("gene").loc["NCSTN", "targets"] == 2
    reasons = dict(zip(table["gene"], table["reason"], strict=True))
    assert reasons["MYC"] == "its targets have no rank" and reasons["FBXW7"] == "no target acts on it"
    assert reasons["JAG1"] == "ok"


def test_another_window_has_another_order(model: Model) -> None:
    table = rank_genes(ranking(), model, "lifelong")
    assert list(table["gene"][:3]) == ["JAG1", "NCSTN", "PSEN1"]
    assert table.set_index("gene").loc["NCSTN", "best target"] == "jag1"
    with pytest.raises(UnknownNameError, match="no window 'never'"):
        rank_genes(ranking(), model, "never")


def test_view_has_parameters_coefficients_and_targets(model: Model) -> None:
    view = gene_view(model, "PSEN1", **RUN)
    found = dict(zip(view["parameter"].values, view["coefficient"].values, strict=True))
    # The share cannot rise above 1, so that it is only lowered: (1 - 0.81) / 0.1.
    assert found["notch__f_gamma_secretase"] == pytest.approx(1.9, rel=1e-4)
    assert found["w_part"] == pytest.approx(0.25, rel=1e-4)
    assert found["k_idle"] == 0  # exactly: what the solver alone makes is none
    assert np.isnan(found["k_none"])
    reasons = dict(zip(view["parameter"].values, view["reason"].values, strict=True))
    assert reasons.pop("k_none") == "the value is 0, or its bounds leave no room" and set(reasons.values()) == {"ok"}
    share = view.sel(parameter="notch__f_gamma_secretase")
    assert share["through"] == "gene; blocked by gamma_secretase" and share["source"] == "key2020"
    assert share["low"] == 0.9 and share["high"] == 1 and share["evidence"] == "assumed"
    assert list(view["target"].values) == ["gamma_secretase"]
    assert view["effect"].item() == pytest.approx(1 - 0.1**2, rel=1e-5)


def test_what_only_a_target_reaches_belongs_to_the_gene(model: Model) -> None:
    view = gene_view(model, "JAG1", ranking(), **RUN)
    assert list(view["parameter"].values) == ["notch__k_activate_jag"]
    assert view["through"].item() == "blocked by jag1"
    step = (1 / 1.1 - 1 / 0.9) / 0.2
    assert view["coefficient"].item() == pytest.approx(step, rel=1e-4)
    assert view["effect"].item() == pytest.approx(-9, rel=1e-4)  # blocking it harms
    assert view["rank"].item() == 2 and view["effect_mean"].item() == -0.2


def test_a_gene_without_a_target_has_no_effects(model: Model) -> None:
    view = gene_view(model, "FBXW7", **RUN)
    assert "target" not in view.dims and list(view["parameter"].values) == ["k_idle"]


def test_unknown_genes_and_readouts_are_answered(model: Model) -> None:
    with pytest.raises(UnknownNameError, match=r"no gene 'PSEN2' in model 'risk'.*did you mean 'PSEN1'"):
        gene_view(model, "PSEN2", **RUN)
    with pytest.raises(AnalysisError, match="that is not 0 in the nominal patient"):
        gene_view(model, "PSEN1", **(RUN | {"readout": "final:z"}))


@pytest.mark.slow
def test_genes_of_the_breast_model() -> None:
    import cascade

    model = cascade.compose(cascade.load_composition("breast_lite"))
    view = gene_view(model, "KDR", workers=1)
    assert set(view["target"].values) == {"kdr", "sprouting"}
    assert (view["reason"] == "ok").all() and (view["reason_effect"] == "ok").all()
    assert view["effect"].sel(target="kdr") > 0.2
    assert "hypoxia_vegf__f_vegfr2" in view["parameter"].values
    with pytest.raises(UnknownNameError, match="did you mean 'CXCR4'"):
        gene_view(model, "CXCR5")
