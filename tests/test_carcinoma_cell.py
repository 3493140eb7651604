"""One carcinoma cell in a dish: six modules joined, from TGF-beta, neighbors and genotype to the state of the cell.

TGF-beta in pM: 0.15 is below the first threshold of the wild type, 40 is 1 ng/mL, 200 saturates.
"""

from __future__ import annotations

from dataclasses import replace

import libsbml
import numpy as np
import pytest
import xarray as xr

import cascade
from cascade import _sbml
from cascade.specs import Composition

HYBRID, MESENCHYMAL = 0.25, 0.85  # limits of the EMT score
SATURATING, LOW = 0.2, 1.5e-4  # nM
NO_SILENCING = {"csc_epi.k_mark": 0.0}
TIGHT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)
GENOTYPES = {
    "wild type": {},
    "RAS": {"drivers.f_ras_mutant": 1.0},
    "TP53": {"drivers.f_tp53": 0.02},
    "MYC": {"drivers.f_myc": 4.0},
    "APC": {"wnt.f_apc": 0.1},
    "CTNNB1": {"wnt.f_bcat_mutant": 0.9},
    "NOTCH1": {"notch.v_nicd_mutant": 12.0},
    "Wnt": {"wnt.a_wnt": 1.0},
    "CDH1": {"emt.f_cdh1": 0.1},
}
RECORD = [
    "emt.a_emt",
    "emt.f_adhesion",
    "emt.c_snail",
    "emt.c_zeb1",
    "emt.c_mir34",
    "emt.c_mir200",
    "drivers.c_myc",
    "tgf_beta.c_psmad",
    "csc_epi.a_stemness",
    "csc_epi.f_stem",
]


@pytest.fixture(scope="module")
def composition() -> Composition:
    return cascade.load_composition("carcinoma_cell")


@pytest.fixture(scope="module")
def model(composition: Composition) -> cascade.Model:
    return cascade.compose(composition)


@pytest.fixture(scope="module")
def thresholds(model: cascade.Model) -> dict[str, float]:
    """TGF-beta (nM, held) at which a state is left, without silencing; the folds of the stemness switch left out."""
    scan = cascade.bifurcation(
        model, "c_tgfb_dish", "emt.a_emt", lower=0, upper=0.016, points=65, values=dict(NO_SILENCING)
    )
    jump = abs(scan["fold_after"] - scan["fold_before"]).values > 0.05
    up = scan["fold_value"].values[jump & (scan["fold_direction"].values == "up")]
    down = scan["fold_value"].values[jump & (scan["fold_direction"].values == "down")]
    assert (len(up), len(down)) == (2, 2)
    return {"E to H": up[0], "H to M": up[1], "M to H": down[0], "H to E": down[1]}


@pytest.fixture(scope="module")
def genotypes(model: cascade.Model) -> dict[str, xr.Dataset]:
    """Cells of each genotype after 90 days without and with a little TGF-beta."""
    return {name: hold(model, c_tgfb_dish=doses(0.0, LOW), **values) for name, values in GENOTYPES.items()}


@pytest.fixture(scope="module")
def exposures(model: cascade.Model) -> dict[float, xr.Dataset]:
    """Saturating TGF-beta for some days, then 60 days without; doses of a DNMT inhibitor in dimension dose."""
    treated = cascade.treat(model, cascade.inhibit("c_tgfb_dish", by=1.0, start=28))
    return {
        days: cascade.simulate(
            treated,
            days=days + 60,
            points=int(days + 60) * 4 + 1,
            values={
                "c_tgfb_dish": SATURATING,
                "start_on_c_tgfb_dish": days,
                "csc_epi.c_dnmt_inhibitor": doses(0.0, 500.0),
            },
            record=["emt.a_emt"],
        )["emt__a_emt"].transpose("dose", "time")
        for days in (7.0, 10.0, 21.0, 28.0)
    }


def doses(*values: float) -> xr.DataArray:
    return xr.DataArray(list(values), dims="dose")


def hold(model: cascade.Model, days: float = 90.0, **values: object) -> xr.Dataset:
    return cascade.simulate(model, days=days, points=2, values=values, record=RECORD).isel(time=-1, drop=True)


def first_day(run: xr.Dataset, level: float) -> float:
    return float(run["time"].values[run["emt__a_emt"].values > level][0])


def states_of(sbml: str) -> list[str]:
    """Ids that a module integrates: species and rate-rule variables."""
    found = libsbml.readSBMLFromString(sbml).getModel()
    rates = [rule.getVariable() for rule in found.getListOfRules() if rule.isRate()]
    return [species.getId() for species in found.getListOfSpecies()] + rates


# --- the wiring ---


def test_no_finding_in_either_document(model: cascade.Model) -> None:
    for text in (model.flat, model.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "carcinoma_cell") == []


def test_without_joins_every_module_runs_as_alone(composition: Composition) -> None:
    frozen = cascade.compose(replace(composition, joins=(), overrides={}, shared=()))
    together = cascade.simulate(frozen, days=60, points=13, solver=TIGHT)
    for instance, module in composition.instances.items():
        alone = cascade.simulate(cascade.compose(module), days=60, points=13, solver=TIGHT)
        for name in states_of(module.sbml):
            scale = max(float(np.abs(alone[name]).max()), 1e-6)
            np.testing.assert_allclose(
                together[f"{instance}__{name}"], alone[name], rtol=1e-6, atol=1e-9 * scale, err_msg=f"{instance}.{name}"
            )


@pytest.mark.parametrize("removed", ["tgf_beta", "wnt", "notch", "emt", "csc_epi", "drivers"])
def test_a_module_cut_off_runs_as_alone(composition: Composition, removed: str) -> None:
    """All joins that touch the module are taken out: it neither reads nor is read."""
    kept = tuple(
        join
        for join in composition.joins
        if not join.reader.startswith(f"{removed}.") and f"{removed}." not in join.formula
    )
    assert len(kept) < len(composition.joins)
    cut = cascade.compose(replace(composition, joins=kept, overrides={}))
    run = cascade.simulate(cut, days=60, points=7, solver=TIGHT)
    module = composition.instances[removed]
    alone = cascade.simulate(cascade.compose(module), days=60, points=7, solver=TIGHT)
    for name in states_of(module.sbml):
        scale = max(float(np.abs(alone[name]).max()), 1e-6)
        np.testing.assert_allclose(run[f"{removed}__{name}"], alone[name], rtol=1e-6, atol=1e-9 * scale, err_msg=name)
    # the others stay epithelial
    if removed != "emt":
        assert float(run["emt__a_emt"].max()) < 0.01


# --- TGF-beta ---


def test_two_switches_with_hysteresis_over_tgf_beta(thresholds: dict[str, float]) -> None:
    """As over the drive (Tian 2013): a hybrid state between, and each way back below the way there."""
    assert 0 < thresholds["H to E"] < thresholds["E to H"] < thresholds["H to M"]
    assert thresholds["M to H"] < 0.5 * thresholds["H to M"]
    assert thresholds["H to E"] < thresholds["M to H"]
    assert 1e-4 < thresholds["E to H"] < 1e-3  # picomolar: far below the 0.04 nM of 1 ng/mL
    assert 1e-3 < thresholds["H to M"] < 0.04


def test_saturating_tgf_beta_takes_two_steps_in_days(model: cascade.Model) -> None:
    run = cascade.simulate(
        model, days=20, points=801, values={"c_tgfb_dish": SATURATING, **NO_SILENCING}, record=["emt.a_emt"]
    )
    assert 3 <= first_day(run, HYBRID) <= 5
    assert 7 <= first_day(run, MESENCHYMAL) <= 13
    assert float(run["emt__a_emt"][-1]) > 0.95


def test_dose_decides_between_partial_and_complete_emt_in_a_dish(model: cascade.Model) -> None:
    """Zhang 2014, MCF10A: about 1 ng/mL is partial, 2 to 4 ng/mL complete in 8 to 10 days. The cells use up ligand."""
    dose = doses(0.01, 0.04, 0.08, 0.16)
    run = cascade.simulate(
        model,
        days=15,
        points=16,
        values={"c_tgfb_dish": dose, "tgf_beta.init_tgfb": dose, "k_perfuse": 0.5},
        record=["emt.a_emt", "tgf_beta.c_tgfb"],
    ).transpose("dose", "time")
    score = run["emt__a_emt"].values
    assert score[0, 10] < HYBRID
    assert np.all((score[1, [10, 15]] > HYBRID) & (score[1, [10, 15]] < MESENCHYMAL))
    assert np.all(score[2:, 11] > MESENCHYMAL)  # 85 % on day 10 to 11
    assert float(run["tgf_beta__c_tgfb"][1, 5]) < 0.25 * float(dose[1])


def test_short_exposure_is_forgotten_and_long_exposure_is_kept(exposures: dict[float, xr.DataArray]) -> None:
    """Katsuno 2019: EMT by days of TGF-beta reverts, EMT by weeks of it is stable."""
    for days in (7.0, 10.0):
        assert float(exposures[days].isel(dose=0)[-1]) < HYBRID, days
    for days in (21.0, 28.0):
        assert float(exposures[days].isel(dose=0)[-1]) > MESENCHYMAL, days


def test_a_dnmt_inhibitor_keeps_long_exposure_reversible(exposures: dict[float, xr.DataArray]) -> None:
    for days in (21.0, 28.0):
        run = exposures[days].isel(dose=1)
        assert float(run.sel(time=days)) > MESENCHYMAL  # EMT itself goes on
        assert float(run[-1]) < 0.01


def test_smad4_loss_prevents_emt_by_tgf_beta(model: cascade.Model) -> None:
    run = hold(model, 60, c_tgfb_dish=SATURATING, **{"tgf_beta.f_smad4": doses(1.0, 0.05)})
    assert float(run["emt__a_emt"][0]) > MESENCHYMAL
    assert float(run["emt__a_emt"][1]) < 0.01
    assert float(run["tgf_beta__c_psmad"][1]) < 0.1 * float(run["tgf_beta__c_psmad"][0])


def test_beta_catenin_is_released_only_while_e_cadherin_falls(model: cascade.Model) -> None:
    """Free beta-catenin turns over within hours: the loss of its membrane pool over days hardly raises it."""
    run = cascade.simulate(
        model,
        days=30,
        points=721,
        values={"c_tgfb_dish": SATURATING, **NO_SILENCING},
        record=["wnt.c_bcat", "wnt.c_bcat_membrane", "emt.f_adhesion"],
    )
    free = run["wnt__c_bcat"].values / float(run["wnt__c_bcat"][0])
    peak = int(np.argmax(free))
    assert 1.02 < free[peak] < 1.5
    assert 0.3 < float(run["emt__f_adhesion"][peak]) < 0.9  # while adhesion falls
    assert free[-1] == pytest.approx(1, abs=0.005)
    assert float(run["wnt__c_bcat_membrane"][-1]) < 0.05 * float(run["wnt__c_bcat_membrane"][0])


def test_the_hybrid_state_is_the_most_stem_like(model: cascade.Model) -> None:
    run = hold(model, 120, c_tgfb_dish=doses(0.0, 1.5e-3, SATURATING), **NO_SILENCING)
    assert HYBRID < float(run["emt__a_emt"][1]) < MESENCHYMAL < float(run["emt__a_emt"][2])
    for name in ("csc_epi__a_stemness", "csc_epi__f_stem"):
        epithelial, hybrid, mesenchymal = run[name].values
        assert epithelial < mesenchymal < hybrid, name


# --- genotype and neighbors ---


def test_no_single_driver_makes_emt_without_tgf_beta(genotypes: dict[str, xr.Dataset]) -> None:
    for name, run in genotypes.items():
        if name != "CDH1":
            assert float(run["emt__a_emt"][0]) < 0.05, name
            assert float(run["emt__f_adhesion"][0]) > 0.95, name


def test_ras_cooperates_with_little_tgf_beta(genotypes: dict[str, xr.Dataset]) -> None:
    """Janda 2002: oncogenic RAS and TGF-beta together make EMT, through RAF and MAPK."""
    assert float(genotypes["wild type"]["emt__a_emt"][1]) < 0.01
    assert float(genotypes["RAS"]["emt__a_emt"][1]) > HYBRID
    assert float(genotypes["MYC"]["emt__a_emt"][1]) < 0.01  # MYC is not in the drive


def test_notch_and_wnt_cooperate_with_little_tgf_beta(genotypes: dict[str, xr.Dataset]) -> None:
    for name in ("NOTCH1", "Wnt", "APC", "CTNNB1"):
        assert float(genotypes[name]["emt__a_emt"][1]) > HYBRID, name


def test_cdh1_loss_lowers_adhesion_with_an_epithelial_circuit(genotypes: dict[str, xr.Dataset]) -> None:
    lost, normal = genotypes["CDH1"].isel(dose=0), genotypes["wild type"].isel(dose=0)
    assert float(lost["emt__f_adhesion"]) == pytest.approx(0.1, rel=0.02)
    for name in ("emt__c_zeb1", "emt__c_snail", "emt__c_mir200"):
        assert float(lost[name]) == pytest.approx(float(normal[name]), rel=0.01), name


def test_tp53_loss_lowers_mir34_to_a_quarter(genotypes: dict[str, xr.Dataset]) -> None:
    ratio = genotypes["TP53"]["emt__c_mir34"][0] / genotypes["wild type"]["emt__c_mir34"][0]
    assert float(ratio) == pytest.approx(0.25, abs=0.03)
    # and makes the first step easier
    assert float(genotypes["TP53"]["emt__a_emt"][1]) > HYBRID


def test_apc_truncation_raises_myc(genotypes: dict[str, xr.Dataset]) -> None:
    ratio = genotypes["APC"]["drivers__c_myc"][0] / genotypes["wild type"]["drivers__c_myc"][0]
    assert float(ratio) == pytest.approx(1.7, abs=0.2)


def test_wnt_stabilizes_snail_through_gsk3(model: cascade.Model, composition: Composition) -> None:
    """Yook 2006: Wnt takes GSK3 away from SNAIL; without that join Wnt raises SNAIL less."""
    signal = doses(0.0, 1.0)
    fold = hold(model, **{"wnt.a_wnt": signal})["emt__c_snail"].values
    joins = tuple(join for join in composition.joins if join.reader != "emt.f_gsk3")
    cut = cascade.compose(replace(composition, joins=joins))
    without = hold(cut, **{"wnt.a_wnt": signal})["emt__c_snail"].values
    assert fold[1] / fold[0] > 1.5 * without[1] / without[0]


def test_a_receptor_kinase_inhibitor_reverses_ras_tgf_beta_cells(model: cascade.Model) -> None:
    """Janda 2002: EMT of RAS cells needs the TGF-beta receptor all along."""
    treated = cascade.treat(model, cascade.inhibit("tgf_beta.k_phosphorylate", by=1.0, start=7))
    run = cascade.simulate(
        treated,
        days=37,
        points=149,
        values={"c_tgfb_dish": SATURATING, "drivers.f_ras_mutant": 1.0},
        record=["emt.a_emt"],
    )["emt__a_emt"]
    assert float(run.sel(time=7)) > HYBRID
    assert float(run[-1]) < 0.1


def test_silencing_turns_the_switch_into_a_lock():
    """Gregory 2011, Katsuno 2019: held long enough at each dose, cells come back only if nothing is silenced."""
    cell = cascade.compose(cascade.load_composition("carcinoma_cell"))
    scan = {"lower": 0, "upper": 0.006, "points": 25, "hold": 200}
    locked = cascade.bifurcation(cell, "c_tgfb_dish", "emt__a_emt", **scan)
    free = cascade.bifurcation(cell, "c_tgfb_dish", "emt__a_emt", values={"csc_epi.k_mark": 0}, **scan)
    assert set(locked["fold_direction"].values) == {"up"}
    assert float(locked["emt__a_emt"].sel(direction="down")[0]) > 0.85
    assert list(free["fold_direction"].values).count("down") == 2
    assert float(free["emt__a_emt"].sel(direction="down")[0]) < 0.02
