"""The shipped composition: modules keep their behavior inside it, signals drive the cascade, the cascade feeds back."""

from __future__ import annotations

from dataclasses import replace

import libsbml
import numpy as np
import pytest
import xarray as xr

import cascade
from cascade import _sbml

DISTANT = ("bone", "lung", "liver", "brain")
ORGANS = (*DISTANT, "lymph_node")
TIGHT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)


@pytest.fixture(scope="module")
def composition():
    return cascade.load_composition("breast")


@pytest.fixture(scope="module")
def model(composition):
    return cascade.compose(composition)


@pytest.fixture(scope="module")
def untreated(model):
    return cascade.simulate(model, years=30, points=30 * 24 + 1)


def late_hazard(model, **values):
    """Return the hazard ten years after surgery and the cells of the primary in the blood before it."""
    names = [
        "endpoints__h_since_surgery",
        "primary_tumor__t_surgery",
        "blood_clone_1__n_ctc",
        "blood_clone_2__n_ctc",
        "primary_tumor__n_tumor",
    ]
    run = cascade.simulate(model, years=30, points=30 * 24 + 1, values=values, record=names)
    assert (run["status"] == "ok").all()
    surgery = run["primary_tumor__t_surgery"].isel(time=-1)
    hazard = run["endpoints__h_since_surgery"].interp(time=surgery + 10 * 365.25)
    return hazard.values, (run["blood_clone_1__n_ctc"] + run["blood_clone_2__n_ctc"]).interp(time=surgery - 16).values


def states_of(sbml):
    """Return the ids that a module integrates: species and rate-rule variables."""
    found = libsbml.readSBMLFromString(sbml).getModel()
    rates = [rule.getVariable() for rule in found.getListOfRules() if rule.isRate()]
    return [species.getId() for species in found.getListOfSpecies()] + rates


def test_no_finding_in_either_document(model):
    for text in (model.flat, model.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "breast") == []


@pytest.mark.slow
def test_frozen_coupling_gives_the_modules_back(composition):
    """Without joins, every instance runs as its module does alone."""
    bare = replace(composition, joins=(), overrides={}, group_values={}, shared=(), quasi_steady={}, start={})
    frozen = cascade.compose(bare)
    together = cascade.simulate(frozen, days=400, points=41, solver=TIGHT)
    one_of_each = {module.name: instance for instance, module in composition.instances.items()}
    assert {"clone", "circulation", "organ_niche", "disseminated_cells", "lesions"} < one_of_each.keys()
    for instance in one_of_each.values():
        module = composition.instances[instance]
        alone = cascade.simulate(cascade.compose(module), days=400, points=41, solver=TIGHT)
        states = states_of(module.sbml)
        assert states
        for name in states:
            scale = max(float(np.abs(alone[name]).max()), 1e-6)
            np.testing.assert_allclose(
                together[f"{instance}__{name}"], alone[name], rtol=1e-6, atol=1e-9 * scale, err_msg=f"{instance}.{name}"
            )


def test_no_cell_is_lost_between_the_blood_and_the_organs(model, untreated):
    """What the blood of a lineage delivers arrives in the organs, but for the share of organs that are not modeled."""
    per_cluster = model.parameter("n_cells_per_cluster").nominal
    before = untreated.isel(time=slice(0, int(untreated["primary_tumor__n_tumor"].argmax("time"))))
    for lineage in ("clone_1", "clone_2", "metastases"):
        blood = {
            name: before[f"blood_{lineage}__v_{name}"]
            for name in (
                "arrest_single",
                "arrest_cloaked",
                "arrest_cluster",
                "retained_single",
                "retained_cluster",
                "node",
            )
        }
        systemic = blood["arrest_single"] + blood["arrest_cloaked"] + per_cluster * blood["arrest_cluster"]
        first_bed = blood["retained_single"] + per_cluster * blood["retained_cluster"]
        arrived = sum(before[f"{organ}_{lineage}__v_arrived"] for organ in ORGANS)
        shares = sum(before[f"{organ}__f_arrest_systemic"] for organ in ORGANS)
        assert ((shares > 0) & (shares < 1)).all()
        np.testing.assert_allclose(arrived, shares * systemic + first_bed + blood["node"], rtol=1e-9)


def test_tumor_size_feeds_back_on_oxygen_antigen_and_tgf_beta(untreated):
    size = untreated["primary_tumor__n_tumor"]
    large = int(size.argmax("time"))
    small = int(np.argmin(np.abs(size.values[:large] - 1e4)))
    assert untreated["hypoxia_vegf__p_o2"][small] > 1.3 * untreated["hypoxia_vegf__p_o2"][large]
    assert untreated["microenvironment__c_tgfb"][large] > 2 * untreated["microenvironment__c_tgfb"][small]
    assert untreated["emt__a_emt"][large] > 2 * untreated["emt__a_emt"][small]


def test_surgery_ends_growth_for_good(untreated):
    after = untreated.sel(time=slice(float(untreated["primary_tumor__t_surgery"][-1]) + 30, None))
    assert float(np.abs(after["primary_tumor__n_tumor"]).max()) < 1e-6
    of_primary = sum(after[f"blood_{clone}__n_ctc"] for clone in ("clone_1", "clone_2"))
    assert float(of_primary.max()) < 1e-3 * float(untreated["blood_clone_1__n_ctc"].max())


def test_metastasis_free_probability_falls_from_one(untreated):
    free = untreated["endpoints__p_metastasis_free"].values
    assert free[0] == 1 and (np.diff(free) <= 1e-12).all() and free[-1] > 0
    np.testing.assert_allclose(free, np.exp(-untreated["endpoints__h_since_surgery"].values), rtol=1e-12)


DIRECTIONS = {
    "tgf_beta__k_phosphorylate": (0.1, -1),
    "emt__k_translate_snai1": (0.1, -1),
    "hypoxia_vegf__f_vegfr2": (0.2, -1),
    "bloods__k_nk": (3.0, -1),
    "clones__k_invade_hybrid": (0.3, -1),
    "clones__f_cluster": (0.1, -1),
    "disseminated__k_extravasate": (0.3, -1),
    "organs__w_niche": (0.1, -1),
    "lesions__k_switch_angiogenic": (0.2, -1),
    "lesions__k_grow": (0.7, -1),
    "f_metastatic_potential": (0.5, -1),
    "f_platelet": (3.0, 1),
    "pdl1_immune__d_pdl1_basal": (10.0, 1),
    "bone__w_soil": (3.0, 1),
}


def test_each_step_moves_the_hazard_the_way_it_should(model):
    names = list(DIRECTIONS)
    values = {
        name: xr.DataArray(
            [model.parameter(name).nominal * (DIRECTIONS[name][0] if other == name else 1) for other in ["", *names]],
            dims="case",
        )
        for name in names
    }
    hazard, ctc = late_hazard(model, **values)
    wrong = [
        name for name, found in zip(names, hazard[1:], strict=True) if np.sign(found - hazard[0]) != DIRECTIONS[name][1]
    ]
    assert wrong == []
    count = dict(zip(names, ctc[1:] / ctc[0], strict=True))
    assert count["clones__f_cluster"] > 1, "fewer clusters: more cells counted, fewer metastases"
    for name in ("bone__w_soil", "organs__w_niche", "lesions__k_switch_angiogenic", "f_metastatic_potential"):
        assert count[name] == pytest.approx(1, rel=1e-4), f"{name} acts after the blood"


def test_hazard_is_linear_in_the_founding_rate(model):
    """Everything from shedding to detection is first order, so a cohort's spread of potential costs one run.

    A cell that founds is used up, which costs a part of the hazard that grows with the potential: it is small here.
    """
    potential = xr.DataArray([0.05, 0.1, 0.2], dims="patient")
    hazard, _ = late_hazard(model, f_metastatic_potential=potential)
    np.testing.assert_allclose(hazard / hazard[0], [1, 2, 4], rtol=1e-4)


def test_the_host_slows_overt_metastases_and_not_the_first_one(model):
    """What is lethal to those who have metastases leaves the lesions of the others alone, whatever the burden."""
    lethal = xr.DataArray([1e9, 1e12, 1e18], dims="host")
    values = {"endpoints__n_lethal": lethal, "f_metastatic_potential": 20.0}
    record = ["endpoints__h_cumulative", "endpoints__n_burden", "endpoints__f_lethal"]
    run = cascade.simulate(model, years=25, points=26, values=values, record=record)
    hazard, burden = run["endpoints__h_cumulative"], run["endpoints__n_burden"].isel(time=-1).values
    np.testing.assert_allclose(hazard, hazard.isel(host=[2, 2, 2]).values, rtol=1e-4, atol=1e-9)
    assert burden[0] < 0.1 * burden[1] < 0.1 * burden[2]
    assert float(run["endpoints__f_lethal"].isel(host=1, time=-1)) > 1


def test_a_tgf_beta_receptor_inhibitor_acts_through_emt(model):
    treated = cascade.treat(model, cascade.inhibit("tgf_beta.k_phosphorylate", by=0.9))
    ends = [
        cascade.simulate(each, days=1300, points=27, record=["emt__a_emt", "clone_1__f_hybrid", "blood_clone_1__n_ctc"])
        for each in (model, treated)
    ]
    free, blocked = (end.isel(time=-1) for end in ends)
    assert blocked["emt__a_emt"] < 0.5 * free["emt__a_emt"]
    assert blocked["clone_1__f_hybrid"] < 0.5 * free["clone_1__f_hybrid"]
    assert blocked["blood_clone_1__n_ctc"] < 0.5 * free["blood_clone_1__n_ctc"]


def test_rankl_feeds_growth_in_bone_alone(model):
    """Without RANKL lesions that are there grow slower in bone, and as before elsewhere."""
    values = {f"{organ}__l_rankl": xr.DataArray([1.0, 0.0], dims="arm") for organ in ("bone", "lung")}
    run = cascade.simulate(model, days=1, points=2, values=values).isel(time=-1)
    weight = model.parameter("bone.w_growth_rank").nominal
    np.testing.assert_allclose(run["bone__f_growth_here"], [1, 1 - weight], rtol=1e-12)
    np.testing.assert_allclose(run["lung__f_growth_here"], 1, rtol=1e-12)
