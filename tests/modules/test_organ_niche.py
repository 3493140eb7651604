"""Behavior of `organ_niche`: shares of the arriving cells, priming by vesicles, axes of the soil, and awakening."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from folders import make_shipped_composition, number

import cascade
from cascade.evidence import write_parameters

STRICT = cascade.Solver(relative_tolerance=1e-10, absolute_tolerance=1e-13)
SOFT = {"l_spp1": 0.0, "l_rankl": 0.0}
ORGANS = {
    "bone": {},
    "lung": SOFT | {"f_uptake_other": 0.3, "f_uptake_itga6_b4": 0.7},
    "liver": SOFT | {"f_uptake_other": 0.3, "f_uptake_itgav_b5": 0.7},
    "brain": SOFT | {"l_cxcl12": 0.3},
    "lymph_node": SOFT | {"l_ccl21": 1.0},
}
"""What makes an organ, apart from the flow that it receives and the fit of its soil."""


@pytest.fixture(scope="module")
def model():
    return cascade.compose(cascade.load_module("organ_niche"))


def run(model, values=None, days=1.0, points=3):
    """Simulate with strict tolerances and require that every run succeeded."""
    data = cascade.simulate(model, days=days, values=values or {}, points=points, solver=STRICT)
    assert (data["status"] == "ok").all()
    return data


def nominal(model):
    return {name: row.nominal for name, row in model.table.items()}


# ---------------------------------------------------------------- shares of the arriving cells


@pytest.mark.parametrize("count", [1, 3, 8])
def test_shares_of_any_number_of_organs_never_exceed_one(tmp_path, count):
    """The share of an organ is its weight over the sum of all weights, those of the rest of the body included."""
    names = [f"organ_{i}" for i in range(count)]
    path = make_shipped_composition(
        tmp_path,
        dict.fromkeys(names, "organ_niche"),
        {
            "organs.w_systemic_total": "sum(organs.w_systemic) + w_elsewhere",
            "organs.w_first_pass_total": "sum(organs.w_first_pass) + w_elsewhere",
            "organs.w_node_total": "sum(organs.w_node) + w_elsewhere",
        },
        f"[groups]\norgans = {names}".replace("'", '"'),
    )
    rows = [number("w_elsewhere", 0.2, "dimensionless")]
    rows += [number(f"{name}.f_systemic", 0.1 + i, "dimensionless") for i, name in enumerate(names)]
    rows += [number(f"{name}.f_first_pass", 0.5, "dimensionless") for name in names]
    write_parameters(path / "parameters.tsv", rows)
    data = run(cascade.compose(cascade.load_composition(path)))
    shares = np.array([data[f"{name}__f_arrest_systemic"].values[-1] for name in names])
    weights = 0.1 + np.arange(count)
    np.testing.assert_allclose(shares, weights / (weights.sum() + 0.2), rtol=1e-12)
    assert shares.sum() < 1
    first = sum(float(data[f"{name}__f_arrest_first"].values[-1]) for name in names)
    assert first == pytest.approx(0.5 * count / (0.5 * count + 0.2), rel=1e-12)
    assert float(data["organ_0__f_arrest_node"].values[-1]) == 0.0


def test_alone_the_share_is_the_weight(model):
    end = run(model).isel(time=-1)
    assert float(end["f_arrest_systemic"]) == nominal(model)["f_systemic"]


# ---------------------------------------------------------------- soil


def test_the_reference_organ_has_soil_one(model):
    """Bone of a reference breast cell, whatever the weights of the axes."""
    weights = {"w_cxcr4": [0.2, 0.6], "w_itgav_b3": [0.03, 0.15], "w_rank": [0.05, 0.22]}
    data = run(model, {name: xr.DataArray(values, dims="draw") for name, values in weights.items()})
    np.testing.assert_allclose(data["f_soil"], 1.0, rtol=1e-12)
    assert (data["w_base"] > 0).all()


def founding(model, organ, **receptors):
    """Return the founding factor of an organ under a change of receptors, relative to the reference tumor cell."""
    untreated, treated = (
        float(run(model, ORGANS[organ] | {"w_soil": 0.7} | change)["f_found"].values[0]) for change in ({}, receptors)
    )
    return treated / untreated


@pytest.mark.parametrize("organ", ORGANS)
def test_a_cxcr4_antagonist_takes_the_share_of_the_axis_in_every_organ(model, organ):
    p = nominal(model) | ORGANS[organ]
    base = 1 - p["w_cxcr4"] - p["w_itgav_b3"] - p["w_rank"]
    axes = {"w_cxcr4": "l_cxcl12", "w_ccr7": "l_ccl21", "w_itgav_b3": "l_spp1", "w_rank": "l_rankl"}
    total = base + sum(p[weight] * p[ligand] for weight, ligand in axes.items())
    expected = 1 - p["w_cxcr4"] * p["l_cxcl12"] / total
    assert founding(model, organ, r_cxcr4=0.0) == pytest.approx(expected, rel=1e-9)
    assert founding(model, organ, r_cxcr4=0.0) < 0.8


@pytest.mark.parametrize(
    ("receptor", "where"),
    [("r_ccr7", {"lymph_node"}), ("r_rank", {"bone"}), ("r_itgav_b3", {"bone"})],
)
def test_other_antagonists_act_in_their_organ_only(model, receptor, where):
    for organ in ORGANS:
        ratio = founding(model, organ, **{receptor: 0.0})
        assert ratio < 0.95 if organ in where else ratio == 1.0, organ


@pytest.mark.parametrize(("ligand", "organ"), [("l_cxcl12", "lung"), ("l_ccl21", "lymph_node"), ("l_rankl", "bone")])
def test_taking_the_ligand_is_taking_the_receptor(model, ligand, organ):
    """An antibody against the ligand acts as the antagonist of its receptor."""
    receptor = {"l_cxcl12": "r_cxcr4", "l_ccl21": "r_ccr7", "l_rankl": "r_rank"}[ligand]
    level = (nominal(model) | ORGANS[organ])[ligand]
    half = founding(model, organ, **{ligand: level / 2})
    assert half < 1
    assert half == pytest.approx(founding(model, organ, **{receptor: 0.5}), rel=1e-12)


# ---------------------------------------------------------------- niche


def test_niche_fills_and_relaxes(model):
    """The primed share settles where priming and relaxation balance, and stays 0 without vesicles."""
    p = nominal(model)
    prime = p["k_prime"] * 4.2 / (4.2 + p["ec50_vesicle"])
    data = run(model, {"a_vesicle": xr.DataArray([0.0, 4.2], dims="sample")}, days=1000)
    assert float(data["f_niche"].isel(time=-1, sample=0)) == 0.0
    assert float(data["f_found"].isel(time=-1, sample=0)) == 1.0
    expected = prime / (prime + p["k_relax"])
    assert float(data["f_niche"].isel(time=-1, sample=1)) == pytest.approx(expected, rel=1e-6)
    relaxing = run(model, {"a_vesicle": 0.0, "f_niche": 0.5}, days=100)["f_niche"]
    np.testing.assert_allclose(relaxing, 0.5 * np.exp(-p["k_relax"] * relaxing["time"]), rtol=1e-7)


@pytest.mark.parametrize(("receptor", "where"), [("r_itga6_b4", "lung"), ("r_itgav_b5", "liver")])
def test_integrins_of_vesicles_decide_which_organ_is_primed(model, receptor, where):
    """Loss of alpha-6 beta-4 lowers the niche of the lung only, loss of alpha-v beta-5 that of the liver only."""
    for organ, values in ORGANS.items():
        level = xr.DataArray([0.0, 1.0, 3.0], dims="level")
        niche = run(model, values | {"a_vesicle": 1.0, receptor: level}, days=100)["f_niche"].isel(time=-1).values
        if organ == where:
            assert niche[0] < 0.7 * niche[1] and niche[1] < niche[2] < 1
        else:
            assert niche[0] == niche[1] == niche[2]


def test_all_organs_take_up_as_much_from_a_reference_tumor(model):
    for organ, values in ORGANS.items():
        assert float(run(model, values)["f_uptake"].values[0]) == pytest.approx(1.0, rel=1e-12), organ


# ---------------------------------------------------------------- awakening, immunity, vessels


def test_each_cause_awakens_dormant_cells(model):
    """Wound and inflammation hasten awakening, less remodeling than at rest slows it; it is never negative."""
    assert float(run(model)["f_wake"].values[0]) == 1.0
    for name, low, high in (("a_wound", 0, 1), ("a_inflammation", 0, 1), ("f_remodel", 0, 2)):
        wake = run(model, {name: xr.DataArray([float(low), float(high)], dims="level")})["f_wake"].isel(time=0).values
        assert 0 < wake[0] < wake[1]
    assert float(run(model, {"a_wound": 1.0})["f_wake"].values[0]) == pytest.approx(6.0)


def test_organs_differ_in_immune_cells_vessels_and_growth(model):
    values = {"w_immune": 0.5, "w_nk": 2.0, "f_soil_growth": 1.3, "f_coopted": 0.4}
    end = run(model, values | {"f_immune": 3.0, "f_nk": 0.1, "f_angiogenic": 0.2}).isel(time=-1)
    assert float(end["f_immune_here"]) == pytest.approx(1.5)
    assert float(end["f_nk_here"]) == pytest.approx(0.2)
    assert float(end["f_growth_here"]) == pytest.approx(1.3)
    assert float(end["f_angiogenic_here"]) == pytest.approx(0.4 + 0.6 * 0.2)
    assert float(run(model, values)["f_angiogenic_here"].values[0]) == pytest.approx(1.0)


def test_growth_falls_with_rankl_where_it_has_a_weight(model):
    """At the RANKL of bone nothing changes, whatever the weight; tumor cells' receptors act on founding only."""
    levels = {
        "l_rankl": xr.DataArray([1.0, 0.1, 0.0], dims="level"),
        "w_growth_rank": xr.DataArray([0.0, 0.2, 1.0], dims="weight"),
    }
    growth = run(model, levels | {"f_soil_growth": 1.3})["f_growth_here"].isel(time=-1).transpose("weight", "level")
    expected = 1.3 * (1 - np.outer([0.0, 0.2, 1.0], [0.0, 0.9, 1.0]))
    np.testing.assert_allclose(growth, expected, rtol=1e-12)
    blocked = run(model, {"w_growth_rank": 0.5, "r_rank": 0.0}).isel(time=-1)
    assert float(blocked["f_growth_here"]) == 1.0 and float(blocked["f_found"]) < float(run(model)["f_found"][-1])


def test_identical_organs_are_identical(tmp_path):
    """Two organs with the same numbers cannot be told apart."""
    path = make_shipped_composition(tmp_path, {"left": "organ_niche", "right": "organ_niche"}, {})
    data = run(cascade.compose(cascade.load_composition(path)), days=200, points=21)
    for name in ("f_niche", "f_found", "f_arrest_systemic"):
        np.testing.assert_allclose(data[f"left__{name}"], data[f"right__{name}"], rtol=1e-9)
