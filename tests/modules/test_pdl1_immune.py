"""Behavior of the module `pdl1_immune`: checkpoint binding, killing, resistance, and its normalized outputs.

Densities are in 1e6 cells/ml, drugs and cytokines in nM, time in days.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import cascade

SATURATING = 100.0
"""nM of free antibody, above every apparent affinity of the table."""

STARTS = {
    "init_priming": "a_priming",
    "init_cd8": "d_cd8",
    "init_cd8_exhausted": "d_cd8_exhausted",
    "init_treg": "d_treg",
    "init_ifng": "c_ifng",
    "init_pdl1": "d_pdl1",
}
"""Initial-value parameter of each state."""


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    """Return the module as a runnable model."""
    return cascade.compose(cascade.load_module("pdl1_immune"))


def nominal(model: cascade.Model, name: str) -> float:
    """Return a number of the parameter table."""
    return {row.id: row.nominal for row in model.parameters}[name]


def settle(model: cascade.Model, **context) -> xr.Dataset:
    """Return the steady state of a tumor of constant density in its context (last day of 15 years)."""
    values = {"f_coupled": 1.0, **context}
    return cascade.simulate(model, days=5475, values=values, points=3).isel(time=-1, drop=True)


def grow(model: cascade.Model, days: float, context: dict | None = None, **treatment) -> xr.Dataset:
    """Run an own tumor, established untreated in its context, under a treatment from day 0."""
    context = context or {}
    rest = settle(model, **context)
    starts = {start: rest[state] for start, state in STARTS.items()}
    values = {**context, **starts, **treatment}
    return cascade.simulate(model, days=days, values=values, points=int(days) + 1)


def size(ds: xr.Dataset) -> xr.DataArray:
    """Return the tumor relative to its start."""
    return ds["d_tumor_own"] / ds["d_tumor_own"].isel(time=0, drop=True)


def doses(*values: float) -> xr.DataArray:
    """Return drug concentrations (nM) along a `dose` dimension."""
    return xr.DataArray(list(values), dims="dose")


# -- PD-L1 and PD-1


def pdl1_fold(model: cascade.Model, ifng: xr.DataArray, **values) -> xr.DataArray:
    """Return PD-L1 over basal in a normoxic culture without immune cells' IFN-gamma, held at `ifng` (nM)."""
    culture = {"k_secrete_ifng": 0.0, "c_hif": 0.0, "v_ifng_supply": ifng * nominal(model, "k_clear_ifng")}
    ds = cascade.simulate(model, days=60, values={**culture, **values}, points=2).isel(time=-1)
    return ds["d_pdl1"] / nominal(model, "d_pdl1_basal")


def test_pdl1_is_half_induced_by_three_picomolar_ifng_and_sixfold_at_most(model):
    ifng = doses(0.0, 0.0024, 0.0036, 10.0)
    fold = pdl1_fold(model, ifng).values
    assert fold[0] == pytest.approx(1, rel=1e-6)
    assert fold[3] == pytest.approx(6, rel=0.1)
    half = (1 + fold[3]) / 2
    assert fold[1] < half < fold[2]


def test_loss_of_jak1_abolishes_reactive_pdl1(model):
    assert pdl1_fold(model, doses(10.0), f_jak1=0.0).values == pytest.approx(1, rel=1e-6)


def test_engaged_pd1_obeys_the_binding_equilibrium(model):
    drug = doses(0.0, 0.1, 1.0, 10.0, 1000.0)
    ds = cascade.simulate(model, days=1, values={"c_anti_pd1": drug}, points=2)
    free_pd1 = ds["d_pd1_free"] - ds["d_pd1_bound"]
    free_ligand = ds["d_ligand_free"] - ds["d_pd1_bound"]
    bound = free_pd1 * free_ligand / nominal(model, "kd_pd1_pdl1")
    np.testing.assert_allclose(ds["d_pd1_bound"], bound, rtol=1e-9)
    assert float(free_pd1.min()) > 0 and float(free_ligand.min()) > 0


@pytest.mark.parametrize("drug", ["c_anti_pd1", "c_anti_pdl1"])
def test_pd1_inhibition_falls_with_either_antibody(model, drug):
    values = {drug: doses(0, 0.01, 0.1, 0.3, 1, 3, 10, 30, 100)}
    ds = cascade.simulate(model, days=1, values=values, points=2).isel(time=0)
    assert (ds["a_pd1"].diff("dose") < 0).all()


def test_pdl2_leaves_a_floor_that_only_anti_pd1_removes(model):
    share = xr.DataArray([0.0, 0.07, 0.5], dims="pdl2")
    values = {"f_pdl2": share, "f_coupled": 1.0}
    pd1 = cascade.simulate(model, days=1, values={**values, "c_anti_pd1": 1e4}, points=2).isel(time=0)["a_pd1"]
    pdl1 = cascade.simulate(model, days=1, values={**values, "c_anti_pdl1": 1e4}, points=2).isel(time=0)["a_pd1"]
    assert (pdl1.diff("pdl2") > 0).all()
    assert (pdl1.isel(pdl2=slice(1, None)) > 100 * pd1.isel(pdl2=slice(1, None))).all()
    assert float(pdl1.isel(pdl2=0)) < 1e-6


# -- response to checkpoint blockade


def test_without_pdl2_the_design_run_is_reproduced(model):
    """The numbers of the design calculation: effectors, PD-1 inhibition, killing, and N(90)/N0 by dose."""
    rest = settle(model, f_pdl2=0.0, n_tumor=1e12)
    assert float(rest["d_cd8"]) == pytest.approx(6.2, rel=0.02)
    assert float(rest["a_pd1"]) == pytest.approx(0.36, rel=0.02)
    assert float(rest["k_kill"]) == pytest.approx(0.0026, rel=0.02)
    drug = doses(0, 0.01, 0.3, 1, 3, 10, 30, 100)
    end = size(grow(model, 90, {"f_pdl2": 0.0, "n_tumor": 1e12}, c_anti_pd1=drug)).isel(time=-1)
    np.testing.assert_allclose(end, [4.40, 4.39, 4.19, 3.58, 1.77, 0.35, 0.18, 0.16], rtol=0.02)


def test_tumor_falls_with_dose_and_thirty_nanomolar_is_nearly_maximal(model):
    end = size(grow(model, 90, c_anti_pd1=doses(0, 0.01, 0.3, 1, 3, 10, 30, 100, 300))).isel(time=-1)
    assert (end.diff("dose") < 0).all()
    effect = end.isel(dose=0) - end
    assert float(effect.isel(dose=6)) >= 0.9 * float(effect.isel(dose=-1))


def test_response_comes_after_growth(model):
    """Pseudo-progression: the tumor grows before it shrinks, with its peak between days 10 and 40."""
    tumor = size(grow(model, 180, c_anti_pd1=SATURATING))
    assert 10 <= int(tumor.argmax("time")) <= 40
    assert float(tumor.max()) > 1.1
    assert float(tumor.isel(time=-1)) < 0.05


def test_blockade_raises_effectors_over_tregs_and_adaptive_pdl1(model):
    ds = grow(model, 180, c_anti_pd1=SATURATING)
    ratio = ds["d_cd8"] / ds["d_treg"]
    assert (ratio.diff("time").isel(time=slice(0, 60)) > 0).all()
    assert float(ratio.isel(time=-1)) > 5 * float(ratio.isel(time=0))
    assert float(ds["d_pdl1"].isel(time=-1)) >= 1.5 * float(ds["d_pdl1"].isel(time=0))
    assert float(ds["f_immune"].isel(time=-1)) > 10


def test_excluded_tumor_does_not_respond(model):
    end = size(grow(model, 180, {"f_excluded": 0.95}, c_anti_pd1=doses(0, SATURATING))).isel(time=-1)
    assert float(end.isel(dose=1)) == pytest.approx(float(end.isel(dose=0)), rel=0.05)


def test_tgfb_makes_resistant(model):
    tgfb = xr.DataArray([0.05, 0.3], dims="tgfb")
    end = size(grow(model, 180, {"c_tgfb": tgfb}, c_anti_pd1=SATURATING)).isel(time=-1)
    assert float(end.isel(tgfb=1)) >= 10 * float(end.isel(tgfb=0))


def test_loss_of_b2m_leaves_only_nk_killing(model):
    rest = settle(model, f_b2m=0.0, c_anti_pd1=SATURATING)
    assert float(rest["k_kill_cd8"]) == 0
    assert float(rest["k_kill"]) == pytest.approx(float(rest["k_kill_nk"]))


@pytest.mark.parametrize(
    ("target", "factor"),
    [("d_pd1", 0.1), ("v_recruit_cd8", 2.0), ("k_die_treg", 3.0), ("k_exhaust", 0.1), ("k_lyse_nk", 3.0)],
)
def test_each_immune_target_raises_killing(model, target, factor):
    """PD-1, CTLA-4 (priming), Treg depletion, exhaustion, NK activation."""
    treated = settle(model, **{target: factor * nominal(model, target)})
    assert float(treated["f_immune"]) > 1.05


# -- coupled to other modules


def test_normalized_outputs_are_one_at_the_untreated_reference(model):
    """Recompute the references and the initial values of the table from a start far away from them."""
    rest = settle(model, init_cd8=1.0, init_cd8_exhausted=0.1, init_priming=0.5, init_treg=3.0, init_pdl1=10.0)
    assert float(rest["k_kill"]) == pytest.approx(nominal(model, "k_kill_reference"), rel=1e-5)
    assert float(rest["k_kill_nk"]) == pytest.approx(nominal(model, "k_kill_nk_reference"), rel=1e-5)
    assert float(rest["f_immune"]) == pytest.approx(1, rel=1e-5)
    assert float(rest["f_nk"]) == pytest.approx(1, rel=1e-5)
    for start, state in STARTS.items():
        assert float(rest[state]) == pytest.approx(nominal(model, start), rel=1e-5), state


def test_coupled_mode_rests_at_its_start(model):
    ds = cascade.simulate(model, days=730, values={"f_coupled": 1.0}, points=25)
    for name in [*STARTS.values(), "d_nk", "d_tumor_own", "k_kill", "f_immune", "f_nk", "v_tgfb_treg"]:
        np.testing.assert_allclose(ds[name], ds[name].isel(time=0), rtol=1e-5, err_msg=name)


def test_denser_tumor_is_killed_more_slowly(model):
    density = xr.DataArray([20.0, 100.0, 200.0], dims="density")
    assert (settle(model, d_tumor_external=density)["k_kill_cd8"].diff("density") < 0).all()


def test_small_tumor_is_ignored_by_t_cells_but_not_by_nk_cells(model):
    cells = xr.DataArray([1.0, 1e4, 1e6, 1e8, 1e10], dims="cells")
    rest = settle(model, n_tumor=cells)
    assert (rest["f_immune"].diff("cells") > 0).all()
    assert float(rest["k_kill_cd8"].isel(cells=0)) < 1e-6 * float(rest["k_kill_cd8"].isel(cells=-1))
    np.testing.assert_allclose(rest["f_nk"], 1, rtol=1e-5)


def test_nk_output_follows_nk_supply_and_tgfb(model):
    assert float(settle(model, v_recruit_nk=0.0)["f_nk"]) == pytest.approx(0, abs=1e-9)
    tgfb = xr.DataArray([0.0, 0.05, 0.3], dims="tgfb")
    assert (settle(model, c_tgfb=tgfb)["f_nk"].diff("tgfb") < 0).all()


def test_tgfb_supply_is_a_modest_share_and_follows_tregs(model):
    """At a clearance of 14.3 per day the untreated supply makes 10-50 % of 0.05 nM."""
    rest = settle(model, k_die_treg=nominal(model, "k_die_treg") * xr.DataArray([1.0, 4.0], dims="depletion"))
    supply = rest["v_tgfb_treg"].values
    assert 0.1 < supply[0] / 14.3 / 0.05 < 0.5
    assert supply[1] < supply[0]


def test_nothing_is_negative(model):
    extremes = {
        "c_anti_pd1": xr.DataArray([0.0, 1e4], dims="dose"),
        "c_tgfb": xr.DataArray([0.0, 5.0], dims="tgfb"),
        "c_lactate": xr.DataArray([0.0, 40.0], dims="lactate"),
        "n_tumor": xr.DataArray([0.0, 1e12], dims="cells"),
    }
    fixed = {"f_mdsc": 0.9, "f_excluded": 1.0, "v_recruit_nk": 0.0}
    ds = cascade.simulate(model, days=400, values={**extremes, **fixed}, points=41)
    for name in [*STARTS.values(), "d_nk", "d_tumor_own", "k_kill", "a_pd1", "v_tgfb_treg"]:
        assert np.isfinite(ds[name]).all(), name
        assert float(ds[name].min()) >= -1e-9, name
