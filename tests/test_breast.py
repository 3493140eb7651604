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
TIGHT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)


@pytest.fixture(scope="module")
def composition():
    return cascade.load_composition("breast")


@pytest.fixture(scope="module")
def model(composition):
    return cascade.compose(composition)


@pytest.fixture(scope="module")
def untreated(model):
    return cascade.simulate(model, years=16, points=16 * 24 + 1)


def late_hazard(model, **values):
    """Return the cumulative hazard of distant metastasis ten years after surgery and the CTC count before it."""
    names = [
        "endpoints__h_since_surgery",
        "primary_tumor__t_surgery",
        "endpoints__ctc_per_tube",
        "primary_tumor__n_tumor",
    ]
    run = cascade.simulate(model, years=25, points=25 * 24 + 1, values=values, record=names)
    assert (run["status"] == "ok").all()
    surgery = run["primary_tumor__t_surgery"].isel(time=-1)
    hazard = run["endpoints__h_since_surgery"].interp(time=surgery + 10 * 365.25)
    return hazard.values, run["endpoints__ctc_per_tube"].interp(time=surgery - 16).values


def states_of(sbml):
    """Return the ids that a module integrates: species and rate-rule variables."""
    found = libsbml.readSBMLFromString(sbml).getModel()
    rates = [rule.getVariable() for rule in found.getListOfRules() if rule.isRate()]
    return [species.getId() for species in found.getListOfSpecies()] + rates


def test_no_finding_in_either_document(model):
    for text in (model.flat, model.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "breast") == []


def test_frozen_coupling_gives_the_modules_back(composition):
    """Without joins, every instance runs as its module does alone."""
    frozen = cascade.compose(replace(composition, joins=(), overrides={}, shared=()))
    together = cascade.simulate(frozen, days=400, points=41, solver=TIGHT)
    for instance in (
        "tgf_beta",
        "emt",
        "hypoxia_vegf",
        "pdl1_immune",
        "microenvironment",
        "wnt",
        "notch",
        "csc_epi",
        "drivers",
        "primary_tumor",
        "circulation",
        "bone",
        "endpoints",
    ):
        module = composition.instances[instance]
        alone = cascade.simulate(cascade.compose(module), days=400, points=41, solver=TIGHT)
        for name in states_of(module.sbml):
            scale = max(float(np.abs(alone[name]).max()), 1e-6)
            np.testing.assert_allclose(
                together[f"{instance}__{name}"], alone[name], rtol=1e-6, atol=1e-9 * scale, err_msg=f"{instance}.{name}"
            )


def test_cells_that_leave_the_blood_arrive_somewhere(model, untreated):
    """Delivered cells arrive in the five organs, but for the systemic arrests in organs that are not modeled."""
    per_cluster = model.parameter("n_cells_per_cluster").nominal
    arrests = (
        untreated["circulation__v_arrest_single"]
        + untreated["circulation__v_arrest_cloaked"]
        + per_cluster * untreated["circulation__v_arrest_cluster"]
    )
    before = untreated["time"] < float(untreated["primary_tumor__t_surgery"][-1])
    arrested = float(arrests.where(before, drop=True).integrate("time"))
    last = untreated.where(before, drop=True).isel(time=-1)
    arrived = sum(float(last[f"{organ}__n_arrived"]) for organ in (*DISTANT, "lymph_node"))
    elsewhere = 1 - sum(model.parameter(f"{organ}.f_systemic").nominal for organ in DISTANT)
    assert 0 < elsewhere < 1
    assert float(last["circulation__n_delivered"]) - arrived == pytest.approx(elsewhere * arrested, rel=0.01)


def test_tumor_size_feeds_back_on_oxygen_antigen_and_tgf_beta(untreated):
    size = untreated["primary_tumor__n_tumor"]
    small = int(np.argmin(np.abs(size.values[:60] - 1e4)))
    large = int(size.argmax("time"))
    assert untreated["hypoxia_vegf__p_o2"][small] > 1.3 * untreated["hypoxia_vegf__p_o2"][large]
    assert untreated["microenvironment__c_tgfb"][large] > 2 * untreated["microenvironment__c_tgfb"][small]
    assert untreated["emt__a_emt"][large] > 0.25 > untreated["emt__a_emt"][small]


def test_surgery_ends_growth_for_good(untreated):
    after = untreated.sel(time=slice(float(untreated["primary_tumor__t_surgery"][-1]) + 30, None))
    assert float(np.abs(after["primary_tumor__n_tumor"]).max()) < 1e-6
    assert float(after["endpoints__ctc_per_tube"].max()) < 1e-3 * float(untreated["endpoints__ctc_per_tube"].max())


def test_metastasis_free_probability_falls_from_one(untreated):
    free = untreated["endpoints__p_metastasis_free"].values
    assert free[0] == 1 and (np.diff(free) <= 1e-12).all() and free[-1] > 0
    np.testing.assert_allclose(free, np.exp(-untreated["endpoints__h_since_surgery"].values), rtol=1e-12)


DIRECTIONS = {
    "tgf_beta__k_phosphorylate": (0.1, -1),
    "emt__k_translate_snai1": (0.1, -1),
    "hypoxia_vegf__f_vegfr2": (0.2, -1),
    "circulation__k_nk": (3.0, -1),
    "primary_tumor__k_invade_hybrid": (0.3, -1),
    "primary_tumor__f_cluster": (0.1, -1),
    "organs__k_extravasate": (0.3, -1),
    "organs__w_niche": (0.1, -1),
    "organs__k_switch_angiogenic": (0.2, -1),
    "organs__k_grow": (0.7, -1),
    "f_metastatic_potential": (0.5, -1),
    "f_platelet": (3.0, 1),
    "pdl1_immune__d_pdl1_basal": (10.0, 1),
    "bone__f_soil": (3.0, 1),
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
    assert count["primary_tumor__f_cluster"] > 1, "fewer clusters: more cells counted, fewer metastases"
    for name in ("bone__f_soil", "organs__w_niche", "organs__k_switch_angiogenic", "f_metastatic_potential"):
        assert count[name] == pytest.approx(1, rel=1e-4), f"{name} acts after the blood"


def test_hazard_is_linear_in_the_founding_rate(model):
    """Everything after shedding is first order below lethal burden, so a cohort's spread of potential costs one run."""
    potential = xr.DataArray([1.0, 2.0, 4.0], dims="patient")
    hazard, _ = late_hazard(model, f_metastatic_potential=potential, endpoints__n_lethal=1e18)
    np.testing.assert_allclose(hazard / hazard[0], [1, 2, 4], rtol=1e-4)


def test_a_tgf_beta_receptor_inhibitor_acts_through_emt(model):
    treated = cascade.treat(model, cascade.inhibit("tgf_beta.k_phosphorylate", by=0.9))
    ends = [
        cascade.simulate(
            each, days=1300, points=27, record=["emt__a_emt", "primary_tumor__f_hybrid", "circulation__n_ctc"]
        )
        for each in (model, treated)
    ]
    free, blocked = (end.isel(time=-1) for end in ends)
    assert blocked["emt__a_emt"] < 0.1 < 0.25 < free["emt__a_emt"]
    assert blocked["primary_tumor__f_hybrid"] < 0.5 * free["primary_tumor__f_hybrid"]
    assert blocked["circulation__n_ctc"] < 0.5 * free["circulation__n_ctc"]
