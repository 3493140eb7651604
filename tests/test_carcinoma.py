"""Identities of the cascade as a structure: they hold for any values, so no calibrated number stands here."""

from __future__ import annotations

from dataclasses import replace

import libsbml
import numpy as np
import pytest
import xarray as xr
from folders import number

import cascade
from cascade import _sbml
from cascade.evidence import write_parameters

CLONES = ("clone_1", "clone_2")
LINEAGES = (*CLONES, "metastases")
ORGANS = ("bone", "lung", "liver", "brain", "lymph_node")
SHARES = ("f_arrest_systemic", "f_arrest_first", "f_arrest_node", "f_arrest_portal", "f_arrest_vertebral")
YEAR = 365.25
TIGHT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)

# Every way a cell of the blood can go. What lodges in organs that are not modeled is the share that no organ takes.
FATES = {
    "died_in_blood": "blood_{lineage}.v_die",
    "returned": "blood_{lineage}.v_self_seed",
    "elsewhere": "(1 - sum(organs.f_arrest_systemic))*(blood_{lineage}.v_arrest_single"
    " + blood_{lineage}.v_arrest_cloaked + n_cells_per_cluster*blood_{lineage}.v_arrest_cluster)"
    " + (1 - sum(organs.f_arrest_first))*(blood_{lineage}.v_retained_single"
    " + n_cells_per_cluster*blood_{lineage}.v_retained_cluster)"
    " + (1 - sum(organs.f_arrest_node))*blood_{lineage}.v_node"
    " + (1 - sum(organs.f_arrest_portal))*(blood_{lineage}.v_portal_single"
    " + n_cells_per_cluster*blood_{lineage}.v_portal_cluster)"
    " + (1 - sum(organs.f_arrest_vertebral))*(blood_{lineage}.v_vertebral_single"
    " + n_cells_per_cluster*blood_{lineage}.v_vertebral_cluster)",
    "died_in_organs": "sum({lineage}_anywhere.v_die)",
    "founded": "sum({lineage}_anywhere.v_founders)",
}
LEDGERS = {"entered": "blood_{lineage}.v_entered", **FATES}
# Two founders, unlike in all that a clone can have of its own; no mutation leads from one to the other.
UNLIKE = {
    "init_n_epithelial_stem": (1.0, 3.0),
    "f_fitness": (1.0, 0.97),
    "f_plasticity": (1.0, 1.5),
    "f_potential": (1.0, 20.0),
    "f_mutation": (0.0, 0.0),
}
REACHED = {"lymph_node.f_systemic": 0.01}
"""Blood reaches every organ, so that no state stays at 0, where rounding errors are all there is."""
ROUTES = {"f_portal": 0.4, "f_vertebral": 0.1, "liver.f_portal": 0.9, "bone.f_vertebral": 0.8}
"""A primary with all routes before the lung; a part of what their beds keep lodges in no organ of the model."""


@pytest.fixture(scope="module")
def composition(tmp_path_factory):
    """`breast` with a ledger for each fate of each lineage, and with values for each clone of its own; no change."""
    folder = tmp_path_factory.mktemp("ledgers")
    lines = ['extends = "breast"', "[groups]", '"{lineage}_anywhere" = ["{organ}_{lineage}"]', "[instances]"]
    lines += [f'"{name}_{{lineage}}" = "ledger"' for name in LEDGERS]
    lines += ["[joins]", *(f'"{name}_{{lineage}}.v_in" = "{flux}"' for name, flux in LEDGERS.items())]
    (folder / "composition.toml").write_text("\n".join(lines), encoding="utf-8")
    own = [row for row in cascade.load_module("clone").parameters if row.id in ("f_fitness", "f_plasticity")]
    write_parameters(
        folder / "parameters.tsv",
        [number(f"{clone}.{row.id}", row.nominal, "dimensionless") for clone in CLONES for row in own],
    )
    return cascade.load_composition(folder)


@pytest.fixture(scope="module")
def model(composition):
    return cascade.compose(composition)


@pytest.fixture(scope="module")
def runs(composition, model):
    """Thirty years with quasi-steady steps and with their full kinetics."""
    full = cascade.compose(replace(composition, quasi_steady={}))
    return {
        name: simulate(each, values=REACHED | ROUTES, solver=TIGHT)
        for name, each in (("quasi-steady", model), ("full", full))
    }


def simulate(model, years=30, **more):
    run = cascade.simulate(model, years=years, points=years * 24 + 1, **more)
    assert (run["status"] == "ok").all()
    return run


def after_surgery(run, name, years=10.0):
    """Return a variable so many years after surgery."""
    return run[name].interp(time=run["primary_tumor__t_surgery"].isel(time=-1) + years * YEAR)


def held(run, lineage, kinetics):
    """Cells of a lineage in lymph, blood and organs; a quasi-steady species holds none, it passes on what comes in."""
    in_organs = "n_dormant" if kinetics == "quasi-steady" else "n_in_transit"
    organs = sum(run[f"{organ}_{lineage}__{in_organs}"] for organ in ORGANS)
    return run[f"blood_{lineage}__n_lymph"] + run[f"blood_{lineage}__n_ctc"] + organs


@pytest.mark.slow
@pytest.mark.parametrize("kinetics", ["quasi-steady", "full"])
@pytest.mark.parametrize("lineage", LINEAGES)
def test_every_cell_that_is_shed_has_one_fate(runs, lineage, kinetics):
    run = runs[kinetics]
    entered = run[f"entered_{lineage}__n_total"]
    assert float(entered[-1]) > 0
    fates = {fate: run[f"{fate}_{lineage}__n_total"] for fate in FATES}
    for fate, cells in fates.items():
        if (fate, lineage) != ("returned", "metastases"):
            assert float(cells[-1]) > 0, fate
    found = sum(fates.values()) + held(run, lineage, kinetics)
    # far below the share of the founders, the rarest fate
    np.testing.assert_allclose(found, entered, rtol=0, atol=1e-11 * float(entered[-1]))


@pytest.mark.slow
def test_what_tumor_and_lesions_shed_enters_blood_and_lymph(model, runs):
    run, per_cluster = runs["full"], model.parameter("n_cells_per_cluster").nominal
    for clone in CLONES:
        shed = {name: run[f"{clone}__v_{name}"] for name in ("shed_single", "shed_cluster", "lymph")}
        total = shed["shed_single"] + per_cluster * shed["shed_cluster"] + shed["lymph"]
        np.testing.assert_allclose(run[f"blood_{clone}__v_entered"], total, rtol=1e-12)
    shed = sum(run[f"{organ}_{chain}__v_shed"] for organ in ORGANS for chain in ("lesions", "metastases_lesions"))
    np.testing.assert_allclose(run["blood_metastases__v_entered"], shed, rtol=1e-12)


@pytest.mark.slow
def test_lesions_are_founded_by_the_cells_that_reached_the_organ(runs):
    for run in runs.values():
        for organ in ORGANS:
            founded = sum(run[f"{organ}_{clone}__v_found"] for clone in CLONES)
            np.testing.assert_allclose(run[f"{organ}_lesions__v_found"], founded, rtol=1e-12)


@pytest.mark.slow
def test_fast_steps_at_rest_give_the_hazard_of_full_kinetics(runs):
    """The cells that a slow step keeps back are few against those that ten years pass on."""
    for name in ("endpoints__h_since_surgery", "endpoints__h_cumulative"):
        quasi_steady, full = (float(after_surgery(run, name)) for run in runs.values())
        assert quasi_steady == pytest.approx(full, rel=0.01), name


def test_clones_trade_their_names_without_a_trace(model):
    assert model.parameter("clone_1.f_fitness").id != model.parameter("clone_2.f_fitness").id
    values = {f"clone_1__{name}": xr.DataArray([a, b], dims="order") for name, (a, b) in UNLIKE.items()}
    values |= {f"clone_2__{name}": xr.DataArray([b, a], dims="order") for name, (a, b) in UNLIKE.items()}
    run = simulate(model, values=values | REACHED, solver=TIGHT)
    straight, swapped = run.isel(order=0), run.isel(order=1)
    whole = ("primary_tumor__n_tumor", "endpoints__h_cumulative", "endpoints__ctc_per_tube", "endpoints__n_burden")
    pairs = [(name, name) for name in whole]
    own = ("{}__f_hybrid", "blood_{}__n_ctc", "bone_{}__n_dtc", "founded_{}__n_total")
    pairs += [(name.format(a), name.format(b)) for name in own for a, b in (CLONES, CLONES[::-1])]
    for here, there in pairs:
        scale = float(np.abs(straight[here]).max())
        assert scale > 0, here
        np.testing.assert_allclose(swapped[there], straight[here], rtol=1e-6, atol=1e-6 * scale, err_msg=here)
    share = straight["blood_clone_1__n_ctc"].max() / straight["blood_clone_2__n_ctc"].max()
    assert abs(float(share) - 1) > 0.1, "the two clones are not told apart"


@pytest.mark.slow
def test_organs_of_the_same_values_have_the_same_hazard():
    """Bone twice, the second with every value of the first; what the second shares with others, they get too."""
    twins = cascade.compose(
        cascade.load_composition("breast", index={"systemic": ["bone", "twin", "liver", "brain"], "subclone": []})
    )
    values = {
        twins.id(row.id.replace("bone", "twin", 1)): row.nominal
        for row in twins.parameters
        if row.id.startswith(("bone__", "bone_"))
    }
    assert "twin__f_systemic" in values
    run = simulate(twins, values=values)
    for name in ("{}_lesions__h_cumulative", "{}_lesions__k_hazard", "{}_clone_1__n_dtc", "{}__f_niche"):
        bone, twin = run[name.format("bone")], run[name.format("twin")]
        scale = float(bone.max())
        assert scale > 0
        np.testing.assert_allclose(twin, bone, rtol=1e-9, atol=1e-9 * scale, err_msg=name)


def test_what_metastases_seed_leaves_the_first_metastasis_alone(model):
    alone = cascade.compose(cascade.load_composition("breast", index={"secondary": []}))
    assert not [name for name in alone.instances if "metastases" in name]
    with_them, without = simulate(model), simulate(alone)
    for years in (2, 5, 10):
        for organ in (*(f"{organ}_lesions__h_cumulative" for organ in ORGANS), "endpoints__h_since_surgery"):
            expected = float(after_surgery(with_them, organ, years))
            assert float(after_surgery(without, organ, years)) == pytest.approx(expected, rel=0.01), (organ, years)


# Changes of which the count of circulating cells tells nothing, and one of which it tells the wrong thing.
AFTER_THE_BLOOD = {
    "organs__r_cxcr4": 0.1,
    "primary_tumor__k_secrete_vesicle": 0.0,
    "bone__w_soil": 0.2,
    "liver__w_soil": 0.2,
}


def test_count_and_risk_dissociate(model):
    factors = {"": 1.0, "clones__f_cluster": 0.0, **AFTER_THE_BLOOD}
    values = {
        name: xr.DataArray(
            [model.parameter(name).nominal * (factor if name == case else 1) for case, factor in factors.items()],
            dims="case",
        )
        for name in factors
        if name
    }
    run = simulate(model, values=values)
    risk = dict(zip(factors, after_surgery(run, "endpoints__h_since_surgery").values, strict=True))
    cells = sum(run[f"blood_{clone}__n_ctc"] for clone in CLONES)
    before = run["primary_tumor__t_surgery"].isel(time=-1) - 16
    count = dict(zip(factors, cells.interp(time=before).values, strict=True))
    assert count["clones__f_cluster"] >= count[""]
    assert risk["clones__f_cluster"] < risk[""]
    for name in AFTER_THE_BLOOD:
        assert count[name] == pytest.approx(count[""], rel=1e-4), name
        assert risk[name] < (1 - 1e-4) * risk[""], name


@pytest.mark.slow
def test_ten_organs_and_four_clones(tmp_path):
    more = ["adrenal", "ovary", "skin", "pleura", "kidney"]
    index = {"systemic": ["bone", "liver", "brain", *more], "subclone": ["clone_2", "clone_3", "clone_4"]}
    large = cascade.compose(cascade.load_composition("breast", index=index))
    for text in (large.flat, large.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "breast") == []
    organs = (*ORGANS, *more)
    record = [f"{organ}__{share}" for organ in organs for share in SHARES]
    record += [f"{organ}_lesions__h_cumulative" for organ in organs]
    record += [f"clone_{number}__n_tumor" for number in (1, 2, 3, 4)] + ["primary_tumor__n_tumor"]
    run = simulate(large, record=record)
    for share in SHARES:
        shares = [run[f"{organ}__{share}"] for organ in organs]
        assert all((each >= 0).all() for each in shares)
        assert 0 < float(sum(shares).max()) <= 1 + 1e-12, share
    for organ in organs:
        assert float(run[f"{organ}_lesions__h_cumulative"][-1]) > 0, organ
    clones = sum(run[f"clone_{number}__n_tumor"] for number in (1, 2, 3, 4))
    np.testing.assert_allclose(clones, run["primary_tumor__n_tumor"], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(run["clone_3__n_tumor"], run["clone_4__n_tumor"], rtol=1e-6, atol=1e-6)
