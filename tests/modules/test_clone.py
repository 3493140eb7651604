"""Behavior of the clones of a tumor: growth law, phenotypes, shedding, subclones, surgery, balance of cells."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from tumors import CAPACITY, SHED, TWO_CM, at_size, gompertz, total, tumor_model

import cascade

SUBCLONE = {"clone_2.init_n_epithelial_stem": 0.0, "clone_2.f_mutation": 1e-5}
BOTH = ("clone_1", "clone_2")
STATES = ("n_grown", "n_invading_single", "n_invading_cluster")
SHARES = ("f_transformed", "f_mesenchymal", "f_stem", "f_stem_transformed", "f_stem_mesenchymal")


@pytest.fixture(scope="module")
def alone():
    return cascade.compose(cascade.load_module("clone"))


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return tumor_model(tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return tumor_model(tmp_path_factory.mktemp("pair"), clones=2)


@pytest.fixture(scope="module")
def natural(single):
    """Natural history of one clone until about 3.5 cm, fine enough to interpolate in size."""
    return cascade.simulate(single, days=2500, points=2501)


def test_the_sum_of_the_clones_is_gompertz_for_any_emt_invasion_and_mix(pair):
    cases = {
        "clone_1.a_emt": [0.0, 0.2, 0.5, 1.0, 0.5, 0.2, 0.2],
        "clone_2.a_emt": [0.0, 0.2, 0.5, 1.0, 0.1, 0.2, 0.2],
        "clone_1.f_invasion": [1.0, 1.0, 1.0, 1.0, 10.0, 1.0, 1.0],
        "clone_2.f_plasticity": [1.0, 1.0, 1.0, 1.0, 5.0, 1.0, 1.0],
        "clone_2.f_mutation": [0.0, 1e-5, 1e-3, 1e-5, 1e-2, 0.0, 1e-4],
        "clone_1.init_n_epithelial_stem": [1.0, 1.0, 1.0, 1.0, 1.0, 0.3, 0.9],
        "clone_2.init_n_epithelial_stem": [0.0, 0.0, 0.0, 0.0, 0.0, 0.7, 0.1],
    }
    values = {name: xr.DataArray(numbers, dims="tumor") for name, numbers in cases.items()}
    run = cascade.simulate(pair, days=2500, points=101, values=values, record=["tumor.n_tumor"])
    np.testing.assert_allclose(run["tumor__n_tumor"].transpose("tumor", "time"), [gompertz(run["time"])] * 7, rtol=1e-4)


def test_a_subclone_reaches_its_share_at_two_centimeters(pair):
    """Mutants per division times divisions per cell and day (0.15 + net growth), over 4.7 years."""
    run = cascade.simulate(pair, days=1800, points=1801, values=SUBCLONE)
    share = at_size(run, "clone_2__n_tumor", TWO_CM) / TWO_CM
    days = at_size(run, "time", TWO_CM)
    births = 0.15 * days + np.log(TWO_CM)
    assert share == pytest.approx(1e-5 * births, rel=0.01)
    assert 0.002 < share < 0.004


def test_clones_have_no_order(pair):
    """Two founding clones that differ in everything exchange their courses with their labels."""
    mine = {"a_emt": 0.1, "f_fitness": 1.0, "init_n_epithelial_stem": 0.8, "f_plasticity": 1.0, "k_kill": 0.0}
    yours = {"a_emt": 0.4, "f_fitness": 1.05, "init_n_epithelial_stem": 0.2, "f_plasticity": 3.0, "k_kill": 2e-4}

    def course(first, second):
        values = {f"clone_1.{name}": value for name, value in first.items()}
        return cascade.simulate(
            pair, days=2000, points=21, values=values | {f"clone_2.{name}": value for name, value in second.items()}
        )

    straight, swapped = course(mine, yours), course(yours, mine)
    for name in ("n_tumor", "v_shed_single", "v_shed_cluster", "v_lymph", "v_death", "f_stem"):
        for here, there in (BOTH, BOTH[::-1]):
            np.testing.assert_allclose(straight[f"{here}__{name}"], swapped[f"{there}__{name}"], rtol=1e-5)
    assert float(straight["clone_2__n_tumor"][-1]) > 0.25 * float(straight["tumor__n_tumor"][-1])


def test_a_fitter_clone_takes_over(pair):
    values = SUBCLONE | {"clone_2.f_fitness": xr.DataArray([1.0, 1.2, 1.5], dims="fitness")}
    run = cascade.simulate(pair, years=10, points=3, values=values).isel(time=-1)
    share = (run["clone_2__n_tumor"] / run["tumor__n_tumor"]).values
    assert np.all(np.diff(share) > 0) and share[2] > 0.5


def test_phenotypes_follow_the_emt_score(alone):
    score = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    run = cascade.simulate(alone, days=1500, points=3, values={"a_emt": xr.DataArray(score, dims="emt")}).isel(time=-1)
    hybrid, mesenchymal = run["f_hybrid"].values, run["f_mesenchymal"].values
    np.testing.assert_allclose(run["f_epithelial"].values + hybrid + mesenchymal, 1, atol=1e-9)
    parts = run["n_epithelial"] + run["n_hybrid"] + run["n_mesenchymal"]
    np.testing.assert_allclose(parts, run["n_tumor"], rtol=1e-9)
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


def test_the_shares_are_those_of_six_populations(alone):
    """The same Markov chain, written as six populations in NumPy."""
    score = 0.4
    leave, back, detach, revert = 0.4 * score**1.5, 0.3 * (1 - score), 0.1 * score, 0.15 * (1 - score)
    rates = np.zeros((6, 6))  # epithelial, hybrid, mesenchymal stem-like; then differentiated

    def move(source, target, rate):
        rates[target, source] += rate
        rates[source, source] -= rate

    for shift in (0, 3):
        move(shift, 1 + shift, leave)
        move(1 + shift, shift, back)
        move(1 + shift, 2 + shift, detach)
        move(2 + shift, 1 + shift, revert)
    for phenotype, plasticity in enumerate((1, 3, 2)):
        move(phenotype, 3 + phenotype, 0.2)
        move(3 + phenotype, phenotype, 0.006 * plasticity)
    days = np.linspace(0, 40, 9)
    modes, vectors = np.linalg.eig(rates)
    weights = np.linalg.solve(vectors, np.eye(6)[0])
    shares = np.real(vectors @ (np.exp(np.outer(modes, days)) * weights[:, None]))
    run = cascade.simulate(alone, days=40, points=9, values={"a_emt": score})
    np.testing.assert_allclose(run["f_epithelial"], shares[0] + shares[3], atol=2e-5)
    np.testing.assert_allclose(run["f_hybrid"], shares[1] + shares[4], atol=2e-5)
    np.testing.assert_allclose(run["f_stem"], shares[:3].sum(axis=0), atol=2e-5)
    np.testing.assert_allclose(run["f_stem_transformed"], shares[1] + shares[2], atol=2e-5)
    np.testing.assert_allclose(run["f_stem_mesenchymal"], shares[2], atol=2e-5)


def test_a_score_just_below_zero_is_epithelial(alone):
    run = cascade.simulate(alone, days=500, points=3, values={"a_emt": -1e-9}).isel(time=-1)
    assert float(run["f_epithelial"]) == pytest.approx(1, abs=1e-6)


def test_plasticity_weighs_the_odds_of_the_score(alone):
    weight = np.array([0.2, 1.0, 3.0, 3.0, 3.0])
    score = np.array([0.2, 0.2, 0.2, 0.0, 1.0])
    values = {"f_plasticity": xr.DataArray(weight, dims="case"), "a_emt": xr.DataArray(score, dims="case")}
    run = cascade.simulate(alone, days=1500, points=3, values=values).isel(time=-1)
    np.testing.assert_allclose(run["a_emt_clone"], score / (score + (1 - score) / weight), rtol=1e-12)
    assert np.all(np.diff(run["f_mesenchymal"].values[:3]) > 0)
    assert run["f_mesenchymal"].values[3] == pytest.approx(0, abs=1e-9)


def shed_per_gram(run, cells, lymph=True):
    """Cells shed per gram and day: viable, dead and, if asked, into lymph; 1 mL of tumor weighs 1 g."""
    shed = sum((4 if name == "v_shed_cluster" else 1) * at_size(run, f"clone_1__{name}", cells) for name in SHED[:3])
    shed += at_size(run, "clone_1__v_lymph", cells) if lymph else 0.0
    return shed / at_size(run, "tumor__vol_tumor", cells)


@pytest.mark.parametrize("lymph", [False, True])
def test_shedding_per_gram(natural, lymph):
    """Butler & Gullino 1975: 3.2e6 cells per gram and day at 2-4 g of a rat mammary carcinoma."""
    per_gram = [shed_per_gram(natural, cells, lymph) for cells in (1e9, 2e9, 4e9)]
    assert all(1e6 < value < 4e6 for value in per_gram)
    # The surface law: the rate per cell falls as n^(alpha-1), alpha = 0.663.
    np.testing.assert_allclose(np.log2(np.array(per_gram[:-1]) / per_gram[1:]), 1 - 0.663, rtol=0.02)


def test_most_shed_cells_are_dead(natural):
    viable = at_size(natural, "clone_1__v_shed_single", TWO_CM) + 4 * at_size(
        natural, "clone_1__v_shed_cluster", TWO_CM
    )
    assert 0.05 < viable / (viable + at_size(natural, "clone_1__v_shed_dead", TWO_CM)) < 0.2


def test_surgery_ends_growth_for_good(pair):
    """Both clones follow the event of the whole tumor at the same instant, and stay at exactly 0 for 30 years."""
    values = SUBCLONE | {"tumor.f_surgery": 1.0, "clone_1.v_returned": 0.0}
    run = cascade.simulate(pair, years=35, points=3501, values=values)
    day = float(run["tumor__t_surgery"].isel(time=-1))
    assert day / 365.25 == pytest.approx(4.69, abs=0.02)
    before, after = run.where(run["time"] < day, drop=True), run.where(run["time"] > day, drop=True)
    assert float(after["time"][-1] - after["time"][0]) > 30 * 365
    for clone in BOTH:
        for name in ("n_tumor", "n_mesenchymal", *SHED, "v_death", "v_births", "v_founded"):
            assert float(before[f"{clone}__{name}"][-1]) > 0 or (clone, name) == ("clone_1", "v_founded")
            assert np.abs(after[f"{clone}__{name}"]).max() == 0, (clone, name)


def test_cells_are_balanced(pair):
    """Growth of the tumor = births - deaths of the clones; divisions that replace shed cells and those cells cancel."""
    values = SUBCLONE | {"clone_1.k_kill": 1e-3, "clone_2.k_kill": 2e-3, "clone_2.f_mutation": 1e-3}
    solver = cascade.Solver(relative_tolerance=1e-9)
    run = cascade.simulate(pair, days=1700, points=3401, values=values, solver=solver)
    late = slice(1000, -1)
    for clone, kill in (("clone_1", 1e-3), ("clone_2", 2e-3)):
        cells, births = run[f"{clone}__n_tumor"], run[f"{clone}__v_births"]
        moved = run["clone_2__v_founded"] * (1 if clone == "clone_2" else -1)
        net = births - (0.15 + kill) * cells + moved
        np.testing.assert_allclose(np.gradient(cells, run["time"])[late], net.values[late], rtol=1e-4)
        invading = run[f"{clone}__n_invading_single"] + run[f"{clone}__n_invading_cluster"]
        np.testing.assert_allclose(run[f"{clone}__v_death"], (0.15 + kill) * cells + 0.8 * invading, rtol=1e-9)


def test_every_cell_at_the_vessels_is_accounted_for(tmp_path):
    """Ledgers: cells that walked to the vessels = cells there + died there + entered blood and lymph."""
    books = {
        "walked": "clone_1.v_invade_single + clone_1.v_invade_cluster",
        "alone": "clone_1.v_shed_single",
        "clustered": "clone_1.v_shed_cluster",
        "drained": "clone_1.v_lymph",
        "died": "clone_1.v_death",
    }
    joins = {f"{name}.v_in": flux for name, flux in books.items()}
    model = tumor_model(tmp_path, joins=joins, **dict.fromkeys(books, "ledger"))
    # Nothing is shed passively, and only cells at the vessels die: every death and exit is of a cell that invaded.
    values = {"clone_1.k_shed": 0.0, "clone_1.k_death": 0.0}
    run = cascade.simulate(model, days=1600, points=17, values=values, solver=cascade.Solver(relative_tolerance=1e-8))
    held = run["clone_1__n_invading_single"] + run["clone_1__n_invading_cluster"]
    count = {name: run[f"{name}__n_total"] for name in books}
    out = count["alone"] + 4 * count["clustered"] + count["drained"] + count["died"]
    np.testing.assert_allclose((held + out)[1:], count["walked"][1:], rtol=1e-9)
    # Each cell at the vessels dies (0.8), enters blood (0.2) or lymph (0.02).
    np.testing.assert_allclose((count["died"] / out)[1:], 0.8 / 1.02, rtol=1e-6)


def test_each_port_acts_on_its_step(single):
    ports = ["f_adhesion", "f_intravasation", "f_lymphatic", "f_invasion"]
    low = {
        f"clone_1.{port}": xr.DataArray([1.0] + [0.5 if other == port else 1.0 for other in ports], dims="case")
        for port in ports
    }
    exact = cascade.Solver(relative_tolerance=1e-8)
    run = cascade.simulate(single, days=1700, points=2, values=low, solver=exact).isel(time=-1)
    outputs = (run[f"clone_1__{name}"].values for name in ("v_shed_single", "v_shed_cluster", "v_lymph"))
    single_cells, cluster, lymph = (values / values[0] for values in outputs)
    share = single.parameter("clone_1.f_cluster").nominal
    odds = 0.5 * share / (1 - share)
    assert cluster[1] == pytest.approx(odds / (1 + odds) / share, rel=1e-5)
    assert single_cells[1] > 1 and lymph[1] == pytest.approx(1, rel=1e-5)
    assert 0.5 < cluster[2] < 0.65 and lymph[2] > 1
    assert 0.5 < lymph[3] < 0.52 and single_cells[3] > 1
    assert cluster[4] == pytest.approx(0.5, rel=1e-5) and lymph[4] == pytest.approx(0.5, rel=1e-5)
    np.testing.assert_allclose(run["tumor__n_tumor"], run["tumor__n_tumor"].values[0], rtol=1e-5)


def test_returning_cells_add_to_the_clone(alone):
    values = {"v_returned": 100.0, "k_gompertz": 0.0, "init_n_epithelial_stem": 1e6}
    run = cascade.simulate(alone, days=100, points=11, values=values)
    np.testing.assert_allclose(run["n_tumor"], 1e6 + 100 * run["time"], rtol=1e-9)


def test_founders_carry_their_potential_and_stemness(alone):
    run = cascade.simulate(alone, days=1, points=2, values={"f_potential": 30.0, "f_stemness": 0.5})
    assert float(run["f_founder"][-1]) == pytest.approx(15)


def test_one_run_equals_ten_restarts(alone):
    solver = cascade.Solver(relative_tolerance=1e-9)
    whole = cascade.simulate(alone, days=200, points=11, solver=solver)
    values: dict[str, float] = {}
    for _ in range(10):
        part = cascade.simulate(alone, days=20, points=2, values=values, solver=solver).isel(time=-1)
        values = {name: float(part[name]) for name in (*STATES, *SHARES)}
    for name in (*STATES, *SHARES, "v_shed_single", "v_lymph"):
        assert float(part[name]) == pytest.approx(float(whole[name][-1]), rel=1e-6), name


def test_a_tumor_never_exceeds_its_plateau(pair):
    run = cascade.simulate(pair, years=60, points=61, values=SUBCLONE)
    assert float(total(run, "n_tumor", BOTH).max()) <= CAPACITY * (1 + 1e-6)
