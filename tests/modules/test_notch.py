"""Notch module: cis-inhibition, trans-activation and patterning of neighbors.

Compared with Boareto 2015, 2016 and Collier 1996 (`tests/reference`) and with what Sprinzak 2010 and others measured.
Sender: much Delta, little receptor, no NICD. Receiver: much receptor, NICD, no Delta. Hybrid: receptor, NICD and Jagged
but no Delta, in both neighbors.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from reference import boareto2015, collier1996

import cascade
from cascade.specs import Composition, Join

PER_NM = 2000  # molecules
HOUR = 1 / 24
STATES = ("c_notch", "c_dll", "c_jag", "c_nicd")
SPECIES = (*STATES, "c_hes1_mrna", "c_hes1")
SOLVER = cascade.Solver(relative_tolerance=1e-8)
RECEIVER = {"c_notch": 8.0, "c_dll": 0.1}
EXTERNAL = {"delta_out": "c_dll_external", "jagged_out": "c_jag_external", "notch_out": "c_notch_external"}
# receptor and Delta from foreign promoters, no Jagged, no Fringe: the cells of Sprinzak 2010
FOREIGN = {
    "fold_nicd_notch": 1.0,
    "fold_nicd_dll": 1.0,
    "fold_nicd_jag": 1.0,
    "f_fringe": 0.0,
    "v_synthesize_jag": 0.0,
}


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    return cascade.compose(cascade.load_module("notch"))


@pytest.fixture(scope="module")
def pair() -> cascade.Model:
    """Two cells, each the only surroundings of the other."""
    module = cascade.load_module("notch")
    seen = {"c_dll_external": "c_dll", "c_jag_external": "c_jag", "c_notch_external": "c_notch"}
    joins = tuple(
        Join(reader=f"{cell}.{port}", formula=f"{other}.{ligand}")
        for cell, other in (("left", "right"), ("right", "left"))
        for port, ligand in seen.items()
    )
    return cascade.compose(
        Composition(name="pair", path=Path(), instances={"left": module, "right": module}, joins=joins)
    )


@pytest.fixture(scope="module")
def receiver(model: cascade.Model) -> dict[str, float]:
    """The steady state of a receiver beside 1.2 nM of Delta."""
    held = hold(model, days=60, c_dll_external=1.2, **RECEIVER)
    return {name: float(held[name]) for name in SPECIES}


def simulate(model: cascade.Model, days: float, points: int = 2, **values: object) -> xr.Dataset:
    return cascade.simulate(model, days=days, points=points, values=values, solver=SOLVER)


def hold(model: cascade.Model, days: float = 60.0, **values: object) -> xr.Dataset:
    return simulate(model, days, **values).isel(time=-1)


def scan(values: object) -> xr.DataArray:
    return xr.DataArray(np.asarray(values, dtype=float), dims="scan")


def constants(c: dict[str, float]) -> dict[str, float]:
    """Constants of the published circuit (molecules, hours) as those of the module; microRNAs are in the syntheses."""
    made = 24 / PER_NM
    bound = 24 * PER_NM
    return {
        "c_mir34": 0.0,
        "c_mir200": 0.0,
        "v_synthesize_notch": c["notch"] * made,
        "v_synthesize_dll": c["delta"] * made,
        "v_synthesize_jag": c["jagged"] * made,
        "k_degrade_surface": c["k"] * 24,
        "k_degrade_nicd": c["k_nicd"] * 24,
        "k_bind_cis": c["cis"] * bound,
        "k_activate_dll": c["trans"] * bound,
        "k_activate_jag": c["trans"] * bound,
        "ec50_nicd": c["threshold"] / PER_NM,
        "hill_nicd": c["power"],
        "hill_nicd_jag": c["power_jagged"],
        "fold_nicd_notch": c["fold_notch"],
        "fold_nicd_dll": c["fold_delta"],
        "fold_nicd_jag": c["fold_jagged"],
        "fold_fringe_dll": c["fringe_delta"],
        "fold_fringe_jag": c["fringe_jagged"],
    }


def paired(**values: object) -> dict[str, object]:
    """Give both cells of the pair the same values."""
    return {f"{cell}.{name}": value for cell in ("left", "right") for name, value in values.items()}


def cells(run: xr.Dataset) -> dict[str, np.ndarray]:
    """The states of the pair, left and right."""
    return {name: np.array([run[f"left__{name}"].values, run[f"right__{name}"].values]) for name in STATES}


# --- the references reproduce what was published ---


def test_reference_has_the_published_limit_points() -> None:
    nicd = np.linspace(40, 600, 4001)
    delta = boareto2015.delta_for(nicd, boareto2015.PNAS2015, jagged_out=3000, notch_out=500)
    rising = np.sign(np.diff(delta))
    turns = delta[np.flatnonzero(rising[1:] != rising[:-1]) + 1]
    np.testing.assert_allclose(sorted(turns), sorted(boareto2015.LIMIT_POINTS), rtol=1e-5)


def test_reference_pair_of_collier_is_patterned_from_nearly_equal_cells() -> None:
    notch, delta = collier1996.uniform()
    first, second = collier1996.pair((notch, delta), (notch, 1.01 * delta))
    assert first[0] > 0.95 > 0.05 > first[1]
    assert second[1] > 0.95 > 0.05 > second[0]


# --- the module is the published circuit ---


@pytest.mark.parametrize("c", [boareto2015.PNAS2015, boareto2015.interface2016()], ids=["2015", "2016"])
@pytest.mark.parametrize(
    "outside",
    [{}, {"delta_out": 1000.0, "notch_out": 500.0}, {"jagged_out": 6000.0}, {"delta_out": 300.0, "jagged_out": 3000.0}],
    ids=["isolated", "delta", "jagged", "both"],
)
def test_courses_are_those_of_the_reference(
    model: cascade.Model, c: dict[str, float], outside: dict[str, float]
) -> None:
    start = np.array([3000.0, 6000.0, 1000.0, 10.0])
    hours = np.linspace(0, 240, 61)
    expected = boareto2015.course(start, hours, c, **outside) / PER_NM
    values = constants(c) | dict(zip(STATES, start / PER_NM, strict=True))
    values |= {EXTERNAL[name]: amount / PER_NM for name, amount in outside.items()}
    run = simulate(model, 10, points=61, **values)
    for name, column in zip(STATES, expected.T, strict=True):
        np.testing.assert_allclose(run[name], column, rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_three_states_of_boareto_2015_end_at_the_published_limit_points(model: cascade.Model) -> None:
    values = constants(boareto2015.PNAS2015) | {"c_notch_external": 500 / PER_NM, "c_jag_external": 3000 / PER_NM}
    found = cascade.bifurcation(model, "c_dll_external", "c_nicd", lower=0, upper=0.3, points=31, values=values)
    hybrid_up, receiver_up = sorted(found["fold_value"].values[found["fold_direction"].values == "up"])
    sender_down, hybrid_down = sorted(found["fold_value"].values[found["fold_direction"].values == "down"])
    lost = [hybrid_down, receiver_up, sender_down, hybrid_up]
    np.testing.assert_allclose(np.array(lost) * PER_NM, boareto2015.LIMIT_POINTS, rtol=1e-4)


@pytest.mark.parametrize("jagged", [0.0, 1200.0])
def test_pair_follows_the_reference(pair: cascade.Model, jagged: float) -> None:
    c = boareto2015.PNAS2015 | {"jagged": jagged}
    first = np.array([3000.0, 6000.0, 1000.0, 10.0])
    second = first * [1, 1.02, 1, 1]
    hours = np.linspace(0, 120, 31)
    expected = boareto2015.two_cells(first, second, hours, c) / PER_NM
    values = paired(**constants(c))
    for cell, start in (("left", first), ("right", second)):
        values |= {f"{cell}.{name}": amount / PER_NM for name, amount in zip(STATES, start, strict=True)}
    found = cells(cascade.simulate(pair, days=5, points=31, values=values, solver=SOLVER))
    for i, name in enumerate(STATES):
        np.testing.assert_allclose(found[name], expected[:, :, i].T, rtol=2e-4, atol=1e-5, err_msg=name)


# --- one cell ---


def test_isolated_cell_starts_and_stays_a_sender(model: cascade.Model) -> None:
    run = simulate(model, 100, points=11)
    for name in SPECIES:
        np.testing.assert_allclose(run[name], run[name][0].broadcast_like(run[name]), rtol=1e-6, err_msg=name)
    last = run.isel(time=-1)
    assert float(last["c_dll"]) > 10 * float(last["c_notch"])
    assert float(last["c_nicd"]) == 0 == float(last["c_hes1"])


def test_receptor_and_ligands_annihilate_one_to_one_in_cis(model: cascade.Model) -> None:
    run = hold(model, k_bind_cis=scan([0, 0.96, 4.8, 24, 240]))
    excess = run["c_notch"] - run["c_dll"] - run["c_jag"]
    np.testing.assert_allclose(excess, excess[0].broadcast_like(excess), rtol=1e-5)
    assert np.all(np.diff(run["c_notch"]) < 0)


def test_delta_outside_turns_a_cell_into_a_receiver(model: cascade.Model) -> None:
    # design values from the start NOTCH 8, DLL 4, JAG 1
    run = hold(model, c_dll_external=scan([0.3, 1.0]), c_notch=8.0, c_dll=4.0, c_jag=1.0)
    sender, receiver = run.isel(scan=0), run.isel(scan=1)
    assert float(sender["c_dll"]) > 10 > 0.01 > float(sender["c_nicd"])
    assert float(receiver["c_notch"]) == pytest.approx(6.6, rel=0.02)
    assert float(receiver["c_nicd"]) == pytest.approx(0.76, rel=0.02)
    assert float(receiver["c_dll"]) < 0.01


def test_the_switch_by_delta_is_single_and_hysteretic(model: cascade.Model) -> None:
    found = cascade.bifurcation(model, "c_dll_external", "c_nicd", lower=0, upper=2, points=21)
    assert list(found["fold_direction"].values) == ["up", "down"]
    up, down = found["fold_value"].values
    assert 2100 <= up * PER_NM <= 2400  # Boareto 2016: epithelial cell
    assert down < 0.5 * up


def test_jagged_outside_needs_more_than_delta(model: cascade.Model) -> None:
    # Fringe favors Delta: Boareto 2016, 3,600 to 4,100 Jagged against 2,100 to 2,400 Delta
    folds = [
        cascade.bifurcation(model, ligand, "c_nicd", lower=0, upper=4, points=21)["fold_value"].values[0]
        for ligand in ("c_jag_external", "c_dll_external")
    ]
    assert 1.5 < folds[0] / folds[1] < 2.3


@pytest.mark.parametrize(("ligand", "molecules"), [("c_dll_external", (2100, 2400)), ("c_jag_external", (3600, 4100))])
def test_thresholds_of_boareto_2016_at_its_constants(
    model: cascade.Model, ligand: str, molecules: tuple[float, float]
) -> None:
    values = constants(boareto2015.interface2016(22_700, 38_400))  # its epithelial microRNAs
    found = cascade.bifurcation(model, ligand, "c_nicd", lower=0, upper=4, points=21, values=values)
    assert molecules[0] <= found["fold_value"].values[0] * PER_NM <= molecules[1]


def test_receptor_on_neighbors_only_spends_ligands(model: cascade.Model) -> None:
    run = hold(model, c_notch_external=scan([0, 2, 10]))
    assert np.all(np.diff(run["c_dll"]) < 0) and np.all(np.diff(run["c_jag"]) < 0)
    assert np.all(np.diff(run["c_notch"]) > 0)
    assert np.all(run["c_nicd"] == 0)


def test_signal_never_exceeds_the_synthesis_of_receptor(model: cascade.Model, receiver: dict[str, float]) -> None:
    run = hold(model, c_dll_external=scan([0.1, 1, 10, 100]), c_jag_external=1.0, **receiver)
    made = 2 * 23.04 / (1 + (15 / 30) ** 2)
    assert np.all(12 * run["c_nicd"] < made)
    balance = run["v_nicd_dll"] + run["v_nicd_jag"] - 12 * run["c_nicd"]
    np.testing.assert_allclose(balance, 0, atol=1e-4)


# --- two cells ---


def test_nearly_equal_neighbors_become_sender_and_receiver(pair: cascade.Model) -> None:
    end = hold(pair, 200, **{"left.c_dll": 11.0, "right.c_dll": 11.1})
    found = cells(end)
    assert found["c_dll"][1] > 10 * found["c_dll"][0]  # a start ahead by 1 % decides, as in Collier 1996
    assert found["c_nicd"][0] > 4 * found["c_nicd"][1]
    assert found["c_notch"][0] > 1.5 * found["c_notch"][1]
    mirrored = cells(hold(pair, 200, **{"left.c_dll": 11.1, "right.c_dll": 11.0}))
    for name in STATES:
        np.testing.assert_allclose(mirrored[name], found[name][::-1], rtol=1e-4)


def test_the_winner_is_that_of_collier_1996(pair: cascade.Model) -> None:
    notch, delta = collier1996.uniform()
    for ahead in (0.9, 1.1):
        expected = collier1996.pair((notch, delta), (notch, ahead * delta))
        found = cells(hold(pair, 200, **{"left.c_dll": 11.0, "right.c_dll": ahead * 11.0}))
        assert np.argmax(found["c_dll"]) == np.argmax(expected[:, 1])
        assert np.argmax(found["c_nicd"]) == np.argmax(expected[:, 0])


def test_without_feedback_and_cis_inhibition_neighbors_stay_equal(pair: cascade.Model) -> None:
    values = paired(**FOREIGN, k_bind_cis=0.0)
    found = cells(hold(pair, 200, **values, **{"left.c_dll": 11.0, "right.c_dll": 12.0}))
    for name in ("c_notch", "c_dll", "c_nicd"):
        assert found[name][0] == pytest.approx(found[name][1], rel=1e-5)


def test_jagged_makes_both_neighbors_hybrid(pair: cascade.Model) -> None:
    # Boareto 2015: with Jagged both cells receive and send; without it, one of each
    c = boareto2015.PNAS2015
    start = paired(c_notch=1.5, c_jag=0.5, c_nicd=0.005) | {"left.c_dll": 3.0, "right.c_dll": 3.06}
    both = cells(hold(pair, 120, **paired(**constants(c)), **start))
    one = cells(hold(pair, 120, **paired(**constants(c | {"jagged": 0.0})), **start))
    assert both["c_nicd"][0] == pytest.approx(both["c_nicd"][1], rel=1e-3)
    assert np.all(both["c_jag"] > 10 * both["c_dll"]) and np.all(both["c_nicd"] > 0.1)
    assert one["c_dll"][1] > 100 * one["c_dll"][0] and one["c_nicd"][0] > 100 * one["c_nicd"][1]


@pytest.mark.parametrize("driver", [{"c_mir200": 1.1}, {"c_psmad": 9.1}, {"c_mir200": 1.1, "c_mir34": 1.4}])
def test_cells_in_transition_become_hybrid_through_jagged(pair: cascade.Model, driver: dict[str, float]) -> None:
    # loss of miR-200, TGF-beta, a mesenchymal cell: Jagged spreads the signal instead of restricting it
    found = cells(hold(pair, 200, **paired(**driver), **{"left.c_dll": 11.0, "right.c_dll": 11.1}))
    assert found["c_nicd"][0] == pytest.approx(found["c_nicd"][1], rel=1e-3)
    assert np.all(found["c_nicd"] > 0.1) and np.all(found["c_jag"] > 10 * found["c_dll"])


@pytest.fixture(scope="module")
def field() -> cascade.Model:
    """One cell that stands for all: its neighbors have what it has itself."""
    seen = {"c_dll_external": "c_dll", "c_jag_external": "c_jag", "c_notch_external": "c_notch"}
    joins = tuple(Join(reader=f"notch.{port}", formula=f"notch.{ligand}") for port, ligand in seen.items())
    module = cascade.load_module("notch")
    return cascade.compose(Composition(name="field", path=Path(), instances={"notch": module}, joins=joins))


def test_a_tissue_of_one_kind_signals_more_through_jagged_the_further_it_is_in_transition(field: cascade.Model) -> None:
    microrna = {"notch.c_mir200": scan([13.9, 7.5, 1.1]), "notch.c_mir34": scan([15.0, 4.0, 1.4])}
    wild = hold(field, 200, **microrna)
    assert np.all(np.diff(wild["notch__c_nicd"]) > 0) and float(wild["notch__c_nicd"][0]) > 0.05
    for antibody in ("k_activate_jag", "k_activate_dll"):
        blocked = hold(field, 200, **microrna, **{f"notch.{antibody}": 0.05 * 0.48})
        assert np.all(blocked["notch__c_nicd"] < wild["notch__c_nicd"])
        if antibody == "k_activate_jag":
            jagged_share = 1 - blocked["notch__c_nicd"].values / wild["notch__c_nicd"].values
    assert np.all(np.diff(jagged_share) > 0)  # epithelial cells signal through both, mesenchymal cells through Jagged


# --- cis against trans: Sprinzak 2010 ---


def slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.diff(np.log(y)) / np.diff(np.log(x))


def test_response_to_delta_in_trans_is_graded(model: cascade.Model) -> None:
    outside = np.geomspace(0.01, 100, 41)
    nicd = hold(model, c_dll_external=scan(outside), v_synthesize_dll=0.0, **FOREIGN)["c_nicd"].values
    steep = slope(outside, nicd)
    assert steep.min() > 0
    assert steep.max() <= 1.001
    assert nicd[-1] / nicd[0] > 100


@pytest.mark.parametrize(("binding", "least"), [(4.8, 1.5), (24.0, 3.0)], ids=["2016", "2015"])
def test_response_to_delta_in_cis_is_sharp_at_a_threshold_that_trans_does_not_move(
    model: cascade.Model, binding: float, least: float
) -> None:
    permitted = 1 / (1 + (15 / 15) ** 2)
    made = np.geomspace(2, 200, 81)
    steepest = []
    for outside in (0.1, 0.3, 1.0, 3.0):
        values = {"c_dll_external": outside, "k_bind_cis": binding, **FOREIGN}
        nicd = hold(model, v_synthesize_dll=scan(made / permitted), **values)["c_nicd"].values
        steep = -slope(made, nicd)
        steepest.append(np.sqrt(made[1:] * made[:-1])[int(np.argmax(steep))])
        assert steep.max() > least  # a ligand in trans cannot exceed 1
        assert steep[made[1:] < 9].max() < 1  # flat while receptor is in excess
    assert max(steepest) / min(steepest) < 1.15
    if binding > 20:  # tight binding titrates: the threshold is where as much Delta as receptor is made
        np.testing.assert_allclose(steepest, 23.04 / (1 + (15 / 30) ** 2), rtol=0.1)


def test_native_delta_promoter_switches_and_a_foreign_one_does_not(model: cascade.Model) -> None:
    native = cascade.bifurcation(model, "c_dll_external", "c_nicd", lower=0, upper=4, points=21)
    foreign = cascade.bifurcation(model, "c_dll_external", "c_nicd", lower=0, upper=4, points=21, values=FOREIGN)
    assert native.sizes["fold"] == 2 and foreign.sizes["fold"] == 0


# --- time courses ---


def test_nicd_half_life_after_a_block_of_gamma_secretase(model: cascade.Model, receiver: dict[str, float]) -> None:
    run = simulate(model, 0.5, points=721, c_dll_external=1.2, f_gamma_secretase=0.0, **receiver)
    half = float(run["time"][run["c_nicd"] < receiver["c_nicd"] / 2][0]) / HOUR
    assert half == pytest.approx(1.39, rel=0.02)
    assert 1.0 <= half <= 1.9


def test_pest_mutant_stabilizes_nicd(model: cascade.Model, receiver: dict[str, float]) -> None:
    run = simulate(
        model, 1, points=721, c_dll_external=1.2, f_gamma_secretase=0.0, k_degrade_nicd=scan([12.0, 3.6]), **receiver
    )
    below = run["c_nicd"] < receiver["c_nicd"] / 2
    halves = [float(run["time"][below.isel(scan=i)][0]) / HOUR for i in (0, 1)]
    assert halves[1] / halves[0] == pytest.approx(1 / 0.3, rel=0.02)
    steady = hold(model, c_dll_external=1.2, k_degrade_nicd=scan([12.0, 3.6]), **receiver)["c_nicd"].values
    assert 2 < steady[1] / steady[0] < 4  # Weng 2004: 2-fold alone, 4-fold beside a mutation that activates


def test_withdrawal_of_the_ligand_makes_the_receiver_a_sender_again(
    model: cascade.Model, receiver: dict[str, float]
) -> None:
    run = simulate(model, 10, points=2401, **receiver)
    half = float(run["time"][run["c_nicd"] < receiver["c_nicd"] / 2][0]) / HOUR
    assert 1.0 <= half <= 1.9
    assert float(run["c_hes1"].sel(time=1, method="nearest")) < 0.01 * receiver["c_hes1"]
    alone = hold(model)
    for name in ("c_notch", "c_dll", "c_jag"):
        assert float(run[name][-1]) == pytest.approx(float(alone[name]), rel=0.02)
    rise = float(run["time"][run["c_dll"] > float(alone["c_dll"]) / 2][0])
    assert 0.25 < rise < 3  # Delta has to outgrow the receptor first


def test_contact_raises_nicd_before_hes1_without_oscillation(model: cascade.Model) -> None:
    run = simulate(model, 2, points=2881, c_dll_external=1.2, v_synthesize_dll=0.0, c_dll=0.0, c_notch=7.7, c_jag=0.0)

    def half_rise(name: str) -> float:
        return float(run["time"][run[name] > float(run[name][-1]) / 2][0])

    assert half_rise("c_nicd") < half_rise("c_hes1") < 0.5
    swings = np.diff(np.sign(np.diff(run["c_hes1"].values[:1441])))
    assert np.count_nonzero(swings) <= 2  # no rhythm of 2 hours


def test_brief_contact_gives_a_pulse_and_long_contact_a_switch(model: cascade.Model) -> None:
    for hours, switched in ((2, False), (96, True)):
        first = hold(model, days=hours * HOUR, c_dll_external=3.0)
        start = {name: float(first[name]) for name in SPECIES}
        after = hold(model, days=30, c_dll_external=0.6, **start)  # between the two ends of the hysteresis
        assert (float(after["c_nicd"]) > 0.2) is switched


def test_half_lives_of_hes1(model: cascade.Model, receiver: dict[str, float]) -> None:
    # Hirata 2002: 24.1 +- 1.7 and 22.3 +- 3.1 min
    for stopped, name, minutes, spread in (
        ("v_transcribe_hes1", "c_hes1_mrna", 24.1, 1.7),
        ("k_translate_hes1", "c_hes1", 22.3, 3.1),
    ):
        run = simulate(model, 0.1, points=1441, c_dll_external=1.2, **{stopped: 0.0}, **receiver)
        half = float(run["time"][run[name] < receiver[name] / 2][0]) * 1440
        assert half == pytest.approx(minutes, abs=spread)


def test_hes1_represses_its_own_transcription(model: cascade.Model, receiver: dict[str, float]) -> None:
    silenced = cascade.treat(model, cascade.inhibit("k_translate_hes1", by=0.95))
    treated = hold(silenced, days=5, c_dll_external=1.2, **receiver)
    assert float(treated["c_hes1"]) < 0.5 * receiver["c_hes1"]
    assert float(treated["c_hes1_mrna"]) > 1.5 * receiver["c_hes1_mrna"]


# --- drugs ---


def test_gamma_secretase_inhibitor_at_its_published_potency(model: cascade.Model, receiver: dict[str, float]) -> None:
    # RO4929097: 5 nM for Notch in cells (Luistro 2009); semagacestat 14 nM
    for potency in (5.0, 14.0):
        doses = np.geomspace(0.01, 100, 41) * potency
        run = simulate(
            model,
            1,
            c_dll_external=1.2,
            c_gamma_secretase_inhibitor=scan(doses),
            ic50_gamma_secretase=potency,
            **receiver,
        ).isel(time=-1)
        left = run["c_nicd"].values / receiver["c_nicd"]
        assert np.all(np.diff(left) < 0)
        assert np.interp(0.5, left[::-1], doses[::-1]) == pytest.approx(potency, rel=0.25)
        assert left[-1] < 0.02
        assert np.all(np.diff(run["c_hes1"]) < 0) and float(run["c_hes1"][-1]) < 0.01 * receiver["c_hes1"]


def test_receptor_is_still_spent_under_the_inhibitor(model: cascade.Model, receiver: dict[str, float]) -> None:
    # the inhibitor blocks cleavage to NICD, not the shedding that ligands trigger
    run = simulate(model, 0.01, c_dll_external=1.2, c_gamma_secretase_inhibitor=1e4, **receiver).isel(time=-1)
    assert float(run["v_nicd_dll"]) == pytest.approx(12 * receiver["c_nicd"], rel=0.02)


def test_washout_of_the_inhibitor_restores_the_receiver_where_it_is_the_only_state(
    model: cascade.Model, receiver: dict[str, float]
) -> None:
    blocked = hold(model, days=10, c_dll_external=1.2, c_gamma_secretase_inhibitor=500.0, **receiver)
    start = {name: float(blocked[name]) for name in SPECIES}
    assert start["c_dll"] > 5
    washed = hold(model, days=60, c_dll_external=scan([0.8, 1.2]), **start)
    assert float(washed["c_nicd"][0]) < 0.02  # bistable: the sender that the drug made stays
    assert float(washed["c_nicd"][1]) == pytest.approx(receiver["c_nicd"], rel=0.02)


@pytest.mark.parametrize(
    ("antibody", "blocked", "spared"),
    [("k_activate_dll", "c_dll_external", "c_jag_external"), ("k_activate_jag", "c_jag_external", "c_dll_external")],
    ids=["DLL4", "JAG1"],
)
def test_antibody_blocks_its_own_ligand(model: cascade.Model, antibody: str, blocked: str, spared: str) -> None:
    treated = cascade.treat(model, cascade.inhibit(antibody, by=0.95))
    for ligand, kept in ((blocked, False), (spared, True)):
        before = hold(model, **{ligand: 4.0}, **RECEIVER)
        after = hold(treated, **{ligand: 4.0}, **{name: float(before[name]) for name in SPECIES})
        assert float(before["c_nicd"]) > 0.3
        if kept:
            assert float(after["c_nicd"]) == pytest.approx(float(before["c_nicd"]), rel=1e-3)
        else:
            assert float(after["c_nicd"]) < 0.1 * float(before["c_nicd"])


def test_antibody_against_jagged_turns_a_hybrid_pair_into_sender_and_receiver(pair: cascade.Model) -> None:
    # Boareto 2015: Jagged keeps neighbors alike; Delta alone inhibits laterally
    treated = cascade.treat(
        pair, cascade.inhibit("left.k_activate_jag", by=0.95), cascade.inhibit("right.k_activate_jag", by=0.95)
    )
    start = paired(c_mir200=1.1, c_mir34=1.4) | {"left.c_dll": 11.0, "right.c_dll": 11.1}
    before, after = (cells(hold(m, 200, **start)) for m in (pair, treated))
    assert before["c_nicd"][0] == pytest.approx(before["c_nicd"][1], rel=1e-3)
    assert after["c_nicd"][0] > 10 * after["c_nicd"][1]
    assert after["c_dll"][1] > 10 * after["c_dll"][0]


# --- genes ---


def test_fringe_knock_out_favors_jagged_over_delta(model: cascade.Model) -> None:
    # Hicks 2000, Kuintzle 2025: lunatic Fringe strengthens Delta and weakens Jagged on Notch1
    own = {"v_synthesize_dll": 0.0, "v_synthesize_jag": 0.0, "c_dll": 0.0, "c_jag": 0.0}
    delta = hold(model, c_dll_external=1.0, f_fringe=scan([1, 0]), **own)["c_nicd"].values
    jagged = hold(model, c_jag_external=1.0, f_fringe=scan([1, 0]), **own)["c_nicd"].values
    assert delta[1] < 0.6 * delta[0]
    assert jagged[1] > 1.7 * jagged[0]
    assert delta[1] == pytest.approx(jagged[1], rel=1e-6)  # without Fringe the ligands are alike


def test_notch_knock_out_and_overexpression(model: cascade.Model) -> None:
    made = 23.04 * np.array([0, 1, 4])
    run = hold(model, c_dll_external=0.8, v_synthesize_notch=scan(made))
    nicd = run["c_nicd"].values
    assert nicd[0] == 0 and nicd[1] < 0.02  # knock-out; wild type still a sender
    assert nicd[2] > 1  # receptor in excess over its own ligands receives


def test_delta_overexpression_inhibits_in_cis(model: cascade.Model) -> None:
    made = 85.6 * np.array([0, 1, 3])
    run = hold(model, c_dll_external=2.0, v_synthesize_dll=scan(made), v_synthesize_jag=0.0)
    nicd = run["c_nicd"].values
    assert nicd[0] > 0.9 and nicd[1] > 0.9  # the receiver represses its own Delta
    assert nicd[2] < 0.05  # a threefold excess keeps it a sender


def test_ligand_independent_mutant(model: cascade.Model) -> None:
    # 0.5 nM per hour gives 1.0 nM NICD in an isolated cell; gamma-secretase inhibitors block it (Sulis 2008)
    run = hold(model, v_nicd_mutant=12.0, c_gamma_secretase_inhibitor=scan([0, 1000]))
    assert float(run["c_nicd"][0]) == pytest.approx(1.0, rel=1e-3)
    assert float(run["c_dll"][0]) < 0.05  # NICD represses Delta
    assert float(run["c_nicd"][1]) < 0.01


def test_mutations_of_both_domains_act_together(model: cascade.Model) -> None:
    # Weng 2004: 40-fold for both against 10-fold for the heterodimerization domain and 2-fold for PEST
    alone, both = hold(model, v_nicd_mutant=2.4, k_degrade_nicd=scan([12, 3.6]))["c_nicd"].values
    assert 2 < both / alone <= 4


def test_micrornas_hold_receptor_and_ligands_down(model: cascade.Model) -> None:
    low = hold(model, c_mir34=scan([15.0, 1.4]))
    assert float(low["c_dll"][1]) > float(low["c_dll"][0])
    jagged = hold(model, c_mir200=scan([13.9, 5.0, 1.1]))["c_jag"].values
    assert np.all(np.diff(jagged) > 0) and jagged[-1] / jagged[0] > 3


def test_tgf_beta_induces_jagged(model: cascade.Model) -> None:
    jagged = hold(model, c_psmad=scan([0.0, 3.0, 9.1, 50.0]))["c_jag"].values
    assert np.all(np.diff(jagged) > 0)
    assert 1.2 < jagged[2] / jagged[0] < 2


def test_states_stay_positive_and_bounded_within_the_prior_bounds(model: cascade.Model) -> None:
    rng = np.random.default_rng(3)
    rows = [row for row in cascade.load_module("notch").parameters if row.estimate]
    draws = {r.id: scan(r.lower * (r.upper / r.lower) ** rng.random(8)) for r in rows}
    run = simulate(model, 60, points=121, c_dll_external=2.0, c_jag_external=1.0, **draws)
    for name in SPECIES:
        assert float(run[name].min()) >= -1e-9
    limit = draws["v_synthesize_notch"] * draws["fold_nicd_notch"] / draws["k_degrade_nicd"]
    assert np.all(run["c_nicd"].max("time") <= limit * (1 + 1e-6))
    assert float(run["a_notch"].max()) <= 1
