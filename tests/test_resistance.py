"""Resistance to shipped drugs emerges from mechanism; every one of them with the knock-out that removes it.

Doses, kinetics and potencies are those of the drug folders. Progression is a volume 1.73 times the smallest (RECIST).
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from folders import make_shipped_composition
from tumors import tumor_model

import cascade
from cascade._canonical import symbol_table

YEAR = 365.25
PRECISE = cascade.Solver(relative_tolerance=1e-8, absolute_tolerance=1e-12)


def arms(*values):
    return xr.DataArray(list(values), dims="arm")


def states_of(model):
    return [each.id for each in symbol_table(model.flat).values() if each.role in ("integrated", "switched")]


def run(model, days, values, points=None, **more):
    data = cascade.simulate(model, days=days, points=points or int(days) + 1, values=values, **more)
    assert (data["status"] == "ok").all()
    return data


def progression(size):
    """Day on which a tumor has 1.2^3 times its smallest volume so far; infinite if never."""
    relative = size.values / np.minimum.accumulate(size.values)
    late = np.flatnonzero(relative > 1.2**3)
    return float(size["time"][late[0]]) if late.size else np.inf


# ---------------------------------------------------------------- bypass angiogenesis under bevacizumab

DRUG = "bevacizumab__n_dose_1"
ANTI_VEGF = {  # dose of bevacizumab, weight of bypass factors, HIF-1 activity left
    "untreated": (0, 1.0, 1.0),
    "bevacizumab": (1, 1.0, 1.0),
    "no bypass": (1, 0.0, 1.0),
    "no HIF": (1, 1.0, 0.2),
}


@pytest.fixture(scope="module")
def vessels():
    """The vascularized tumor of `hypoxia_vegf` under 10 mg/kg of bevacizumab every two weeks, for two years."""
    model = cascade.compose(cascade.load_module("hypoxia_vegf"))
    model = cascade.treat(model, cascade.regimen("bevacizumab", stop=730))
    columns = zip(*ANTI_VEGF.values(), strict=True)
    dose, bypass, hif = (arms(*column).assign_coords(arm=list(ANTI_VEGF)) for column in columns)
    values = {
        DRUG: dose * model.parameter(DRUG).nominal,
        "w_bypass": bypass * model.parameter("w_bypass").nominal,
        "u_hif": 1 - hif,
    }
    return run(model, 730, values)


def test_bevacizumab_slows_the_tumor_and_the_tumor_escapes(vessels):
    """Growth falls to two fifths and recovers, as in Yang 2003 (progression after 4.8 against 2.5 months)."""
    untreated, treated = (vessels.sel(arm=arm) for arm in ("untreated", "bevacizumab"))
    growth = treated["k_growth_own"].rolling(time=14, center=True).mean() / untreated["k_growth_own"]
    least, later = float(growth.min()), float(growth.sel(time=slice(300, 700)).mean())
    assert least < 0.45 and 1.3 * least < later < 0.8
    assert growth.idxmin("time") < 150
    assert 1.5 < progression(treated["n_own"]) / progression(untreated["n_own"]) < 4
    assert treated["bevacizumab__c_tumor"].sel(time=slice(30, 700)).min() > 100, "not for lack of drug"


def test_hypoxia_precedes_the_bypass_factors_which_precede_the_regrowth_of_vessels(vessels):
    treated = vessels.sel(arm="bevacizumab")
    oxygen, hif, vessel = (treated[name] for name in ("p_o2", "c_hif", "f_vessel"))
    assert float(oxygen.sel(time=slice(0, 5)).max()) > 1.1 * float(oxygen[0]), "normalization comes first"
    assert float(oxygen.min()) < 0.5 * float(oxygen[0]) and float(hif.max()) > 1.5 * float(hif[0])
    assert float(treated["a_vegfr2"].sel(time=slice(20, 700)).mean()) < 0.25 * float(treated["a_vegfr2"][0])
    assert float(vessel.sel(time=700)) > 1.05 * float(vessel.min())
    assert 20 < float(oxygen.idxmin("time")) < float(treated["a_bypass"].idxmax("time"))


@pytest.mark.parametrize("knocked", ["no bypass", "no HIF"])
def test_without_bypass_or_hif_the_tumor_does_not_progress(vessels, knocked):
    """Casanovas 2005. The drug acts as well: vessels are lost all the same."""
    size = vessels["n_own"].sel(arm=knocked)
    assert progression(size) == np.inf and size[-1] < size.max()
    assert float(vessels["f_vessel"].sel(arm=knocked, time=700)) < 0.9 * float(
        vessels["f_vessel"].sel(arm="bevacizumab", time=700)
    )


# ---------------------------------------------------------------- hypoxia-driven EMT and invasion under bevacizumab


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    """Vessels, the EMT switch and matrix of a tumor edge; pSMAD of the breast cancer at diagnosis."""
    joins = {"emt.c_hif": "vessels.c_hif"}
    folder = make_shipped_composition(tmp_path_factory.mktemp("edge"), {"vessels": "hypoxia_vegf", "emt": "emt"}, joins)
    model = cascade.compose(cascade.load_composition(folder))
    return cascade.treat(
        model, cascade.regimen("bevacizumab", start=60, stop=YEAR), cascade.inhibit("emt.a_drive_hif", by=1.0)
    )


def test_anti_vegf_raises_the_drive_to_emt_through_hif(edge):
    """Knock-out: HIF has no weight on EMT, from the begin."""
    values = {
        "emt.c_psmad": 2.64,
        DRUG: arms(0.0, 1.0, 0.0, 1.0) * edge.parameter(DRUG).nominal,
        "factor_on_emt__a_drive_hif": arms(1.0, 1.0, 0.0, 0.0),
    }
    data = run(edge, YEAR, values).isel(time=slice(60, None))
    drive, score = (data[name].transpose("arm", "time").values for name in ("emt__a_emt_drive", "emt__a_emt"))
    assert drive[1].max() > 1.08 * drive[0].max() and score[1].max() > score[0].max() + 0.03
    np.testing.assert_allclose(drive[3], drive[2], rtol=1e-4)
    np.testing.assert_allclose(score[3], score[2], rtol=1e-3)


@pytest.mark.slow
def test_a_breast_cancer_under_bevacizumab_invades_more_per_cell_and_escapes():
    """Pàez-Ribes 2009: vessels are pruned, HIF rises, cells turn mesenchymal and walk; knock-outs from diagnosis on.

    What reaches the blood falls nevertheless, since leaky vessels are lost: against Ebos 2009, where metastases rise.
    """
    model = cascade.compose(cascade.load_composition("breast_lite"))
    since = {"origin": "t_diagnosis"}
    model = cascade.treat(
        model,
        cascade.regimen("bevacizumab", origin="diagnosis", stop=2 * YEAR),
        cascade.inhibit("emt.a_drive_hif", by=1.0, **since),
        cascade.inhibit("hypoxia_vegf.v_synthesize_hif", by=0.6, **since),
        cascade.inhibit("hypoxia_vegf.w_bypass", by=1.0, **since),
    )
    given = arms(0.0, 1.0, 0.0, 1.0, 1.0, 1.0).assign_coords(
        arm=["none", "drug", "none, HIF weight 0", "drug, HIF weight 0", "drug, HIF held", "drug, no bypass"]
    )
    values = {
        "primary_tumor.f_surgery": 0.0,
        DRUG: given * model.parameter(DRUG).nominal,
        "factor_on_emt__a_drive_hif": given.copy(data=[1.0, 1.0, 0.0, 0.0, 1.0, 1.0]),
        "factor_on_hypoxia_vegf__v_synthesize_hif": given.copy(data=[1.0, 1.0, 1.0, 1.0, 0.4, 1.0]),
        "factor_on_hypoxia_vegf__w_bypass": given.copy(data=[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
    }
    record = [
        *("t_diagnosis", "primary_tumor__n_tumor", "primary_tumor__f_surface", "hypoxia_vegf__c_hif"),
        *("clone_1__f_mesenchymal", "clone_1__v_invade_single", "clone_1__v_invade_cluster", "clone_1__v_shed_single"),
    ]
    data = run(model, 2560, values, record=record)
    found = float(data["t_diagnosis"].isel(time=-1, arm=0))
    data = data.sel(time=slice(found, None))
    data["walk"] = (data["clone_1__v_invade_single"] + data["clone_1__v_invade_cluster"]) / (
        data["primary_tumor__n_tumor"] * data["primary_tumor__f_surface"]
    )
    data["shed"] = data["clone_1__v_shed_single"] / data["primary_tumor__n_tumor"]
    day = data.sel(time=found + 183, method="nearest")

    def ratio(name, treated, untreated):
        return float(day[name].sel(arm=treated) / day[name].sel(arm=untreated))

    assert ratio("hypoxia_vegf__c_hif", "drug", "none") > 1.5
    assert ratio("clone_1__f_mesenchymal", "drug", "none") > 1.15 and ratio("walk", "drug", "none") > 1.15
    assert ratio("shed", "drug", "none") < 0.5
    for name in ("clone_1__f_mesenchymal", "walk"):
        through_emt = ratio(name, "drug, HIF weight 0", "none, HIF weight 0") - 1
        assert through_emt < 0.5 * (ratio(name, "drug", "none") - 1), name
        assert ratio(name, "drug, HIF held", "none") < 1.05, name
    days = {arm: progression(data["primary_tumor__n_tumor"].sel(arm=arm)) - found for arm in ("none", "drug")}
    assert 1.5 < days["drug"] / days["none"] < 4
    for arm in ("drug, no bypass", "drug, HIF held"):
        assert progression(data["primary_tumor__n_tumor"].sel(arm=arm)) == np.inf, arm


# ---------------------------------------------------------------- PD-L1, exhaustion and exclusion under pembrolizumab


@pytest.fixture(scope="module")
def immune():
    """The module alone, and under 200 mg of pembrolizumab every three weeks for a year."""
    model = cascade.compose(cascade.load_module("pdl1_immune"))
    return model, cascade.treat(model, cascade.regimen("pembrolizumab", stop=YEAR))


DOSE = "pembrolizumab__n_dose_1"


def blockade(immune, days=360, given=(0.0, 1.0), **context):
    """Run a tumor, established untreated in its context, without and with the drug."""
    plain, treated = immune
    start = run(plain, 5475, {"f_coupled": 1.0, **context}, points=3, solver=PRECISE).isel(time=-1, drop=True)
    values = context | {name: start[name] for name in states_of(plain)}
    values |= {DOSE: xr.DataArray(list(given), dims="dose") * treated.parameter(DOSE).nominal}
    return run(treated, days, values).transpose("dose", "time", ...)


@pytest.mark.parametrize("knocked", [{"fold_pdl1_ifng": 1.0}, {"f_jak1": 0.0}], ids=["no induction", "no JAK1"])
def test_adaptive_pdl1_takes_back_part_of_the_relief(immune, knocked):
    """PD-L1 rises 1.5-fold or more, PD-1 is engaged more between doses and exhausts more cells (Ribas 2015)."""
    wild, without = (blockade(immune, 105, **context) for context in ({}, knocked))
    pdl1 = wild["d_pdl1"][1] / wild["d_pdl1"][0]
    assert float(pdl1.max()) > 1.5
    np.testing.assert_allclose(without["d_pdl1"][1], without["d_pdl1"][0], rtol=1e-6)
    trough = {"time": 104}  # before the sixth dose
    assert float(wild["a_pd1"][1].sel(trough)) > 2 * float(without["a_pd1"][1].sel(trough))
    assert float(wild["d_cd8_exhausted"][1].sel(trough)) > 2 * float(without["d_cd8_exhausted"][1].sel(trough))


def test_adaptive_pdl1_costs_response_where_the_drug_is_scarce(immune):
    """At a twentieth of the dose induction leaves two to four times the tumor; the shipped dose has room for it."""
    doses = (0.0, 0.05, 1.0)
    wild, without = (blockade(immune, 180, doses, **context) for context in ({}, {"fold_pdl1_ifng": 1.0}))
    left = [(data["d_tumor_own"][1:, -1] / data["d_tumor_own"][0, -1]).values for data in (wild, without)]
    assert 2 < left[0][0] / left[1][0] < 4, "scarce"
    assert left[0][1] < 0.05 and left[1][1] < 0.05, "enough"


def test_cells_that_lost_jak1_are_selected_and_relapse_under_the_drug(immune):
    """Zaretsky 2016: response, then growth of cells that IFN-gamma no longer reveals; intact JAK1 holds them down."""
    lost, intact = blockade(immune, f_jak1=0.0), blockade(immune)
    size = lost["d_tumor_own"][1]
    assert float(size.min()) < 0.5 * float(size[0]) and progression(size) < 360
    assert float(lost["f_hidden"][1, -1]) > 0.9 > 0.1 > float(intact["f_hidden"][1].max())
    assert (np.diff(intact["d_tumor_own"][1, 60:]) < 0).all()


def test_exhaustion_holds_killing_down_and_returns_after_the_drug(immune):
    """Untreated exhaustion costs half of the killing; after the last dose it comes back. Knock-out: no exhaustion."""
    wild, without = (blockade(immune, 720, k_exhaust=rate) for rate in (immune[0].parameter("k_exhaust").nominal, 0.0))
    assert float(without["k_kill"][0, 0]) > 2 * float(wild["k_kill"][0, 0])
    share = wild["d_cd8_exhausted"][1] / (wild["d_cd8"][1] + wild["d_cd8_exhausted"][1])
    assert float(share[0]) > 0.6 and float(share.sel(time=360)) < 0.15, "the drug revives"
    assert float(share[-1]) > 0.6, "and they exhaust again"
    assert float(wild["a_pd1"][1, -1]) > 0.8
    assert (without["d_cd8_exhausted"] == 0).all()
    assert float(without["k_kill"][1, -1] / wild["k_kill"][1, -1]) > 1.3


def test_an_excluded_tumor_does_not_respond_and_an_infiltrated_one_does(immune):
    """Mariathasan 2018: T cells kept out by the stroma; treated over untreated within 5 % after half a year."""
    excluded, shipped, open_ = (blockade(immune, 180, f_excluded=share) for share in (0.95, 0.3, 0.0))
    left = [float(data["d_tumor_own"][1, -1] / data["d_tumor_own"][0, -1]) for data in (excluded, shipped, open_)]
    assert 0.95 < left[0] < 1
    assert left[1] < 0.05 and left[2] < left[1]
    assert float(excluded["f_pd1_occupied"][1].sel(time=slice(1, 180)).min()) > 0.9, "the drug is there"


# ---------------------------------------------------------------- clones, phenotypes and dormancy under chemotherapy

CLONES = ("clone_1", "clone_2")
SHARE = 1e-4
DRUGS = {"paclitaxel": ("q3w", "f_sensitive_kill"), "palbociclib": ("three_one", "f_sensitive_block")}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return tumor_model(tmp_path_factory.mktemp("pair"), clones=2, joins={"tumor.v_drug": "sum(clones.v_drug)"})


@pytest.mark.parametrize("drug", DRUGS)
def test_a_resistant_clone_of_one_in_ten_thousand_takes_over(pair, drug):
    """Five years of the shipped regimen; knock-out: the clone is as sensitive as the others, and keeps its share."""
    name, trait = DRUGS[drug]
    treated = cascade.treat(pair, cascade.regimen(drug, name, stop=5 * YEAR, averaged=drug == "palbociclib"))
    values = {
        "clone_1.n_grown": 1e9 * (1 - SHARE),
        "clone_2.n_grown": 1e9 * SHARE,
        "clone_2.f_mutation": 0.0,
        f"clone_2.{trait}": xr.DataArray([0.0, 1.0], dims="clone_2"),
    }
    data = run(treated, 5 * YEAR, values, points=366)
    share = (data["clone_2__n_tumor"] / data["tumor__n_tumor"]).isel(time=-1).values
    size = data["tumor__n_tumor"].transpose("clone_2", "time").values
    assert share[1] == pytest.approx(SHARE, rel=1e-4)
    assert share[0] > 10 * SHARE
    if drug == "paclitaxel":
        assert share[0] > 0.9 and size[0].min() < 0.1 * size[0, 0] < size[0, -1] and size[1, -1] < size[1, 0]


def test_mesenchymal_cells_tolerate_paclitaxel():
    """Fischer 2015; knock-out: no phenotype tolerates."""
    model = cascade.compose(cascade.load_module("clone"))
    model = cascade.treat(model, cascade.regimen("paclitaxel", "adjuvant"))
    score = {"a_emt": xr.DataArray([0.05, 0.9], dims="emt")}
    none = {f"f_kill_{name}": 1.0 for name in ("hybrid", "mesenchymal", "stem")}
    left = run(model, 100, score)["n_tumor"].isel(time=-1).values
    knocked = run(model, 100, score | none)["n_tumor"].isel(time=-1).values
    assert left[1] > 1.5 * left[0]
    np.testing.assert_allclose(knocked, knocked[0], rtol=1e-5)


def test_dormant_cells_and_lesions_are_spared_by_paclitaxel_and_growing_ones_are_not():
    """Naumov 2003; knock-out: the same lesion, growing."""
    model = cascade.compose(cascade.load_module("lesions"))
    model = cascade.treat(model, cascade.regimen("paclitaxel", "adjuvant"))
    dose = arms(0.0, 1.0) * model.parameter("paclitaxel__n_dose_1").nominal
    names = [f"n_lesion_{number}" for number in range(1, 9)]
    start = {"v_found": 0.0, "paclitaxel__n_dose_1": dose, "f_immune_dormant": 0.0, "f_angiogenic_dormant": 0.0}
    asleep = run(model, 84, start | {"n_immune_dormant": 1.0})["n_immune_dormant"].isel(time=-1).values
    growing = sum(run(model, 84, start | {"n_lesion_4": 1.0})[name] for name in names).isel(time=-1).values
    assert asleep[1] == pytest.approx(asleep[0], rel=1e-6)
    assert growing[1] < 0.9 * growing[0]


@pytest.mark.slow
def test_paclitaxel_selects_a_resistant_clone_in_a_patient(tmp_path):
    """Index set `resistant` of the composition; the sensitive twin of the clone stays rare."""
    (tmp_path / "composition.toml").write_text(
        'extends = "breast_lite"\n[index]\nresistant = ["clone_r"]\n', encoding="utf-8"
    )
    model = cascade.compose(cascade.load_composition(tmp_path))
    treated = cascade.treat(model, cascade.regimen("paclitaxel", "weekly", origin="diagnosis", stop=YEAR))
    values = {
        "primary_tumor.f_surgery": 0.0,
        "clone_r.f_sensitive_kill": xr.DataArray([0.0, 1.0], dims="clone_r"),
    }
    record = ["t_diagnosis", "primary_tumor__n_tumor", "clone_r__n_tumor", "clone_r__f_kill_response"]
    data = run(treated, 2300, values, record=record)
    found = float(data["t_diagnosis"].max("clone_r")[-1])
    before, after = (data.sel(time=day, method="nearest") for day in (found, found + YEAR))
    share = [(day["clone_r__n_tumor"] / day["primary_tumor__n_tumor"]).values for day in (before, after)]
    np.testing.assert_allclose(share[0][0], share[0][1], rtol=1e-3)
    assert share[0][0] < 1e-3 and share[1][0] > 0.99
    assert float(after["primary_tumor__n_tumor"][0]) > 100 * max(float(after["primary_tumor__n_tumor"][1]), 1.0)
