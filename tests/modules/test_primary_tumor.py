"""Behavior of the primary tumor: growth law, phenotypes, shedding, surgery, balance of cells."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import cascade

GOMPERTZ = {"k_growth_rate": 8.6e-4, "cap_tumor": 3.1e12}
TUMOR_SPECIES = [
    f"n_{phenotype}_{state}"
    for phenotype in ("epithelial", "hybrid", "mesenchymal")
    for state in ("stem", "differentiated")
]
INVADING = ["n_invading_single", "n_invading_cluster"]
COUNTERS = ["n_born", "n_dead", "n_left", "n_removed"]


@pytest.fixture(scope="module")
def model():
    return cascade.compose(cascade.load_module("primary_tumor"))


@pytest.fixture(scope="module")
def natural(model):
    """Natural history until about 3.5 cm, fine enough to interpolate in size."""
    return cascade.simulate(model, days=2500, points=2501)


@pytest.fixture(scope="module")
def operated(model):
    """Ten years of a patient operated at 2 cm."""
    return cascade.simulate(model, years=10, points=7306, values={"f_surgery": 1.0})


def gompertz(time, rate=GOMPERTZ["k_growth_rate"], capacity=GOMPERTZ["cap_tumor"]):
    """Closed form of dn/dt = rate n ln(capacity/n) from one cell."""
    return capacity * np.exp(-np.log(capacity) * np.exp(-rate * np.asarray(time)))


def at_size(run, name, cells):
    """Value of a variable when the tumor has a given number of cells (log-linear in size)."""
    return float(np.interp(np.log(cells), np.log(run["n_tumor"].values), run[name].values))


def shed_per_gram(run, cells, lymph=True):
    """Cells shed per gram and day: viable, dead and, if asked, into lymph; 1 mL of tumor weighs 1 g."""
    shed = at_size(run, "v_shed_single", cells) + 4 * at_size(run, "v_shed_cluster", cells)
    shed += at_size(run, "v_shed_dead", cells) + (at_size(run, "v_lymph", cells) if lymph else 0.0)
    return shed / at_size(run, "vol_tumor", cells)


def test_growth_is_gompertz_for_any_emt_and_invasion(model):
    values = {
        "a_emt": xr.DataArray([0.0, 0.2, 0.5, 1.0, 0.5], dims="tumor"),
        "f_invasion": xr.DataArray([1.0, 1.0, 1.0, 1.0, 10.0], dims="tumor"),
    }
    run = cascade.simulate(model, days=2500, points=101, values=values, record=["n_tumor"])
    np.testing.assert_allclose(run["n_tumor"].transpose("tumor", "time"), [gompertz(run["time"])] * 5, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "rate", "capacity"),
    [
        ({"f_growth": 1.5}, 1.5, 1.0),
        ({"f_capacity": 0.01}, 1.0, 0.01),
        # A constant death rate k lowers the plateau of Gompertz growth by exp(-k/rate).
        ({"k_kill": 2e-3}, 1.0, np.exp(-2e-3 / GOMPERTZ["k_growth_rate"])),
    ],
)
def test_growth_capacity_and_killing_factors(model, values, rate, capacity):
    run = cascade.simulate(model, days=2500, points=101, values=values, record=["n_tumor"])
    expected = gompertz(run["time"], rate * GOMPERTZ["k_growth_rate"], capacity * GOMPERTZ["cap_tumor"])
    np.testing.assert_allclose(run["n_tumor"], expected, rtol=1e-4)


def test_net_growth_rate_is_the_slope_of_ln_n(model):
    values = {"k_kill": 1e-3, "f_growth": 1.2, "v_self_seed": 50.0}
    run = cascade.simulate(model, days=1500, points=3001, values=values)
    slope = np.gradient(np.log(run["n_tumor"].values), run["time"].values)
    np.testing.assert_allclose(run["k_growth"].values[200:-1], slope[200:-1], rtol=1e-3)


def test_doubling_time_age_and_diameter(natural):
    assert np.log(2) / at_size(natural, "k_growth", 1e9) == pytest.approx(100, abs=5)
    assert at_size(natural, "time", 1e9) / 365.25 == pytest.approx(4.06, abs=0.02)
    assert at_size(natural, "time", 4.19e9) / 365.25 == pytest.approx(4.69, abs=0.02)
    assert at_size(natural, "diameter", 4.19e9) == pytest.approx(20.0, abs=0.1)


def test_phenotypes_follow_the_emt_score(model):
    score = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    run = cascade.simulate(model, days=1500, points=3, values={"a_emt": xr.DataArray(score, dims="emt")}).isel(time=-1)
    hybrid, mesenchymal = run["f_hybrid"].values, run["f_mesenchymal"].values
    np.testing.assert_allclose(run["f_epithelial"].values + hybrid + mesenchymal, 1, atol=1e-9)
    assert np.all(np.diff(mesenchymal) > 0)
    assert 0.4 <= score[np.argmax(hybrid)] <= 0.7
    assert run["f_epithelial"].values[0] == pytest.approx(1, abs=1e-9)
    assert mesenchymal[-1] == pytest.approx(1, abs=1e-9)
    # Table of the equilibrium of an earlier form of the model, to its printed digits.
    printed = [0, 1, 2, 4, 6, 8, 10]
    np.testing.assert_allclose(hybrid[printed], [0, 0.045, 0.127, 0.310, 0.378, 0.258, 0], atol=6e-4)
    np.testing.assert_allclose(mesenchymal[printed], [0, 0.003, 0.021, 0.138, 0.378, 0.688, 1], atol=6e-4)
    stem = run["f_stem"].values
    assert stem.min() > 0.025 and stem.max() < 0.065
    assert 0.5 <= score[np.argmax(stem)] <= 0.8


def test_a_score_just_below_zero_is_epithelial(model):
    run = cascade.simulate(model, days=500, points=3, values={"a_emt": -1e-9}).isel(time=-1)
    assert float(run["f_epithelial"]) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("lymph", [False, True])
def test_shedding_per_gram(natural, lymph):
    """Butler & Gullino 1975: 3.2e6 cells per gram and day at 2-4 g of a rat mammary carcinoma."""
    per_gram = [shed_per_gram(natural, cells, lymph) for cells in (1e9, 2e9, 4e9)]
    assert all(1e6 < value < 4e6 for value in per_gram)
    # The surface law: the rate per cell falls as n^(alpha-1), alpha = 0.663.
    np.testing.assert_allclose(np.log2(np.array(per_gram[:-1]) / per_gram[1:]), 1 - 0.663, rtol=0.02)


def test_most_shed_cells_are_dead(natural):
    viable = at_size(natural, "v_shed_single", 4.19e9) + 4 * at_size(natural, "v_shed_cluster", 4.19e9)
    assert 0.05 < viable / (viable + at_size(natural, "v_shed_dead", 4.19e9)) < 0.2


def test_surgery_is_clean_for_good(operated):
    day = float(operated["t_surgery"].isel(time=-1))
    assert day / 365.25 == pytest.approx(4.69, abs=0.02)
    before, after = operated.where(operated["time"] < day, drop=True), operated.where(operated["time"] > day, drop=True)
    assert float(before["f_resected"].max()) == 0 and float(after["f_resected"].min()) == 1
    assert float(before["t_surgery"].min()) == 1e6
    for name in [*TUMOR_SPECIES, *INVADING, "n_tumor", "k_growth", "diameter", "f_mesenchymal", "f_stem"]:
        assert np.abs(after[name]).max() < 1e-9, name
    for name in ("v_shed_single", "v_shed_cluster", "v_shed_dead", "v_lymph", "v_death", "a_systemic_inhibition"):
        assert np.abs(after[name]).max() < 1e-9, name
    wound = np.exp(-(after["time"] - day) / 30)
    np.testing.assert_allclose(after["a_wound"], wound, rtol=1e-3, atol=1e-6)
    assert float(operated["n_removed"].isel(time=-1)) == pytest.approx(4.19e9, rel=1e-2)


def test_without_surgery_the_tumor_is_never_operated(model):
    run = cascade.simulate(model, years=20, points=21)
    assert float(run["f_resected"].max()) == 0
    assert float(run["n_tumor"].isel(time=-1)) > 1e12
    assert float(run["a_wound"].max()) == 0


def test_cells_are_balanced(operated):
    total = sum(operated[name] for name in TUMOR_SPECIES + INVADING + COUNTERS if name != "n_born")
    np.testing.assert_allclose(total, 1 + operated["n_born"], rtol=1e-9, atol=1e-5)


def test_returning_cells_are_balanced(model):
    run = cascade.simulate(model, days=1500, points=16, values={"v_self_seed": 100.0, "k_kill": 0.01})
    total = sum(run[name] for name in TUMOR_SPECIES + INVADING + COUNTERS if name != "n_born")
    np.testing.assert_allclose(total, 1 + run["n_born"] + 100.0 * run["time"], rtol=1e-9, atol=1e-5)


def test_recorded_outflow_is_what_left(natural):
    flux = natural["v_shed_single"] + 4 * natural["v_shed_cluster"] + natural["v_shed_dead"] + natural["v_lymph"]
    late = slice(1000, None)
    np.testing.assert_allclose(np.gradient(natural["n_left"], natural["time"])[late][:-1], flux[late][:-1], rtol=1e-3)
    np.testing.assert_allclose(
        np.gradient(natural["n_dead"], natural["time"])[late][:-1], natural["v_death"][late][:-1], rtol=1e-3
    )


def test_each_port_acts_on_its_step(model):
    ports = ["f_adhesion", "f_intravasation", "f_lymphatic", "f_invasion"]
    low = {
        port: xr.DataArray([1.0] + [0.5 if other == port else 1.0 for other in ports], dims="case") for port in ports
    }
    run = cascade.simulate(model, days=1700, points=2, values=low).isel(time=-1)
    single, cluster = (run[name].values / run[name].values[0] for name in ("v_shed_single", "v_shed_cluster"))
    lymph = run["v_lymph"].values / run["v_lymph"].values[0]
    odds = 0.5 * model.parameter("f_cluster").nominal
    share = odds / (1 - model.parameter("f_cluster").nominal + odds)
    assert cluster[1] == pytest.approx(share / model.parameter("f_cluster").nominal, rel=1e-5)
    assert single[1] > 1 and lymph[1] == pytest.approx(1, rel=1e-5)
    assert 0.5 < cluster[2] < 0.65 and lymph[2] > 1
    assert 0.5 < lymph[3] < 0.52 and single[3] > 1
    assert cluster[4] == pytest.approx(0.5, rel=1e-5) and lymph[4] == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_allclose(run["n_tumor"], run["n_tumor"].values[0], rtol=1e-5)
