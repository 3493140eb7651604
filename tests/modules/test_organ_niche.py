"""Behavior of `organ_niche`: losses stage by stage, dormancy, growth of lesions, and the hazard of overt metastasis.

Reference numbers come from closed forms, from Luzzi et al. 1998 (recalled) and from an independent implementation of
the same equations; the Poisson claim is checked against a stochastic simulation written here.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import cumulative_trapezoid, trapezoid

import cascade

YEAR = 365.25
NO_INFLOW = {
    "v_arrest_single": 0.0,
    "v_arrest_cloaked": 0.0,
    "v_arrest_cluster": 0.0,
    "v_retained_single": 0.0,
    "v_retained_cluster": 0.0,
    "v_node": 0.0,
    "a_vesicle": 0.0,
}
NO_LESION_DORMANCY = {"f_immune_dormant": 0.0, "f_angiogenic_dormant": 0.0}
NO_LESION_LOSS = {"k_eliminate": 0.0, "k_clear_immune_dormant": 0.0, "k_lose_angiogenic_dormant": 0.0}
STRICT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)
LESION_STATES = [f"n_lesion_{i}" for i in range(1, 9)] + ["n_immune_dormant", "n_angiogenic_dormant"]
CELL_STATES = [
    "n_arrested",
    "n_arrested_cloaked",
    "n_arrested_cluster",
    "n_extravasated",
    "n_extravasated_cluster",
    "n_dormant",
    "n_awakened",
]


@pytest.fixture(scope="module")
def model():
    return cascade.compose(cascade.load_module("organ_niche"))


def run(model, days, values=None, points=201, record=None):
    """Simulate with strict tolerances and require that every run succeeded."""
    dataset = cascade.simulate(model, days=days, values=values or {}, points=points, record=record, solver=STRICT)
    assert (dataset["status"] == "ok").all()
    return dataset


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize(
    ("f_nk", "f_platelet", "survival"), [(1, 1, 0.230), (0, 1, 0.896), (1, 0, 0.095), (0, 0, 0.741)]
)
def test_survival_of_arrested_cells_after_a_day(model, f_nk, f_platelet, survival):
    """Platelets protect from NK cells: without NK cells the platelet effect mostly vanishes (Palumbo et al. 2005)."""
    values = NO_INFLOW | {"n_arrested": 1e4, "f_nk": f_nk, "f_platelet": f_platelet}
    values |= {"k_settle": 0.0, "k_die_extravasated": 0.0, "k_found": 0.0}
    end = run(model, 1, values).isel(time=-1)
    alive = end["n_arrested"] + end["n_arrested_cloaked"] + end["n_extravasated"]
    assert float(alive) / 1e4 == pytest.approx(survival, abs=1e-3)


def test_cells_are_conserved(model):
    """Arrived cells are in transit, dead, or founders; clusters count as their cells."""
    data = run(model, 20 * YEAR)
    accounted = data["n_in_transit"] + data["n_died"] + data["n_founded"]
    arrived = data["n_arrived"]
    assert float(arrived[-1]) > 1e6
    assert float((abs(accounted - arrived) / arrived).isel(time=slice(1, None)).max()) < 1e-9


def test_lesions_are_conserved(model):
    """Without losses every single founder is a lesion: occult or overt."""
    values = NO_INFLOW | NO_LESION_LOSS | {"v_arrest_single": 1e6}
    data = run(model, 10 * YEAR, values)
    lesions = data["n_micrometastases"] + data["n_overt"]
    assert float(lesions[-1]) > 0.1
    np.testing.assert_allclose(lesions, data["n_founded"], rtol=1e-9, atol=1e-12)


def test_losses_come_late(model):
    """Colonization is the inefficient step: few founders per extravasated cell, far fewer overt lesions per arrival."""
    end = run(model, 20 * YEAR).isel(time=-1)
    assert float(end["n_founded"] / end["n_arrived"]) < 1e-5
    assert 0 < float(end["n_overt"] / end["n_founded"]) < 0.2


def test_mouse_liver_after_a_bolus(model):
    """Luzzi et al. 1998 (recalled numbers): a bolus of B16F1 cells in the liver, as shares of the injected cells.

    Eight rates are fitted to four numbers, so this shows that the structure can hold them together, not more.
    """
    mouse = {"f_nk": 0.0, "f_platelet": 0.0, "k_wake": 0.0, "n_founder": 4.0, "n_detectable": 1e5}
    mouse |= {"k_extravasate": 1.972, "k_die_arrested": 0.0495, "k_settle": 0.2738, "k_die_extravasated": 0.0495}
    mouse |= {"k_die_dormant": 0.0813, "k_found": 0.0252, "k_grow": 0.0160, "k_eliminate": 0.5142}
    record = ["n_in_transit", "n_micrometastases", "n_overt"]
    values = NO_INFLOW | NO_LESION_DORMANCY | mouse | {"n_arrested": 1e4}
    share = run(model, 13, values, points=14, record=record)[record] / 1e4
    day3, day13 = share.sel(time=3.0), share.sel(time=13.0)
    alive = day3["n_in_transit"] + day3["n_micrometastases"] + day3["n_overt"]
    assert float(alive) == pytest.approx(0.83, rel=0.12)
    assert float(day3["n_micrometastases"]) == pytest.approx(0.83 / 40, rel=0.12)
    assert float(day13["n_in_transit"]) == pytest.approx(0.36, rel=0.12)
    assert float(day13["n_overt"]) == pytest.approx(1.8e-4, rel=0.12)


def test_niche_fills_and_relaxes(model):
    """The primed share settles where priming and relaxation balance, and stays 0 without vesicles."""
    table = model.table
    prime = table["k_prime"].nominal * 4.2 / (4.2 + table["ec50_vesicle"].nominal)
    data = run(model, 1000, {"a_vesicle": xr.DataArray([0.0, 4.2], dims="sample")})
    assert float(data["f_niche"].isel(time=-1, sample=0)) == 0.0
    expected = prime / (prime + table["k_relax"].nominal)
    assert float(data["f_niche"].isel(time=-1, sample=1)) == pytest.approx(expected, rel=1e-6)


# ---------------------------------------------------------------- lesions


def test_growth_chain_meets_gompertz(model):
    """Eight classes from 10 cells to 1 cm: mean 926 d, standard deviation 344 d; a Gompertz lesion takes 928 d."""
    values = NO_INFLOW | NO_LESION_DORMANCY | NO_LESION_LOSS | {"n_lesion_1": 1.0}
    data = run(model, 6000, values, points=6001)
    t, left = data["time"].values, 1 - data["h_cumulative"].values
    mean = trapezoid(left, t)
    deviation = np.sqrt(2 * trapezoid(t * left, t) - mean**2)
    assert mean == pytest.approx(926, abs=1)
    assert deviation == pytest.approx(344, abs=1)
    row = {name: model.table[name].nominal for name in ("k_grow", "cap_lesion", "n_founder", "n_detectable")}
    room = np.log(row["cap_lesion"] / np.array([row["n_founder"], row["n_detectable"]]))
    exact = np.log(room[0] / room[1]) / row["k_grow"]
    assert exact == pytest.approx(928, abs=1)
    assert mean == pytest.approx(exact, rel=0.005)


def test_overt_lesion_follows_gompertz(model):
    """One overt lesion grows from the detection limit along the exact Gompertz curve, and stops with the host."""
    values = NO_INFLOW | {"n_overt": 1.0, "n_burden": 5.2e8}
    data = run(model, 1500, values | {"f_host": xr.DataArray([1.0, 0.0], dims="host")})
    row = {name: model.table[name].nominal for name in ("k_grow", "cap_lesion", "n_detectable")}
    room = np.log(row["cap_lesion"] / row["n_detectable"])
    exact = row["cap_lesion"] * np.exp(-room * np.exp(-row["k_grow"] * data["time"].values))
    np.testing.assert_allclose(data["n_burden"].isel(host=0), exact, rtol=1e-6)
    np.testing.assert_allclose(data["n_burden"].isel(host=1), 5.2e8, rtol=1e-9)


def test_mean_size_of_overt_lesions_is_bounded(model):
    """Overt lesions are on average larger than the detection limit and smaller than the plateau."""
    data = run(model, 30 * YEAR).isel(time=slice(1, None))
    assert (np.diff(data["n_burden"]) > 0).all()
    size = (data["n_burden"] / data["n_overt"]).where(data["n_overt"] > 1e-6, drop=True)
    assert float(size.min()) >= 0.99 * 5.2e8
    assert float(size.max()) < 3.1e12


def test_immune_dormant_share_stays_below_one(model):
    """The share entering immune dormancy rises with immune pressure, is the table's value at 1, and never passes 1."""
    pressure = xr.DataArray([0.0, 1.0, 5.0, 1000.0], dims="pressure")
    share = run(model, 1, {"f_immune": pressure})["f_to_immune_dormant"].isel(time=0).values
    assert share[0] == 0.0
    assert share[1] == pytest.approx(model.table["f_immune_dormant"].nominal, rel=1e-12)
    assert (np.diff(share) > 0).all() and share[-1] < 1


# ---------------------------------------------------------------- hazard


def test_hazard_is_the_slope_of_the_cumulative_hazard(model):
    """`h_cumulative` never falls, and `k_hazard` is its derivative."""
    data = run(model, 20 * YEAR, points=2001)
    h, t = data["h_cumulative"].values, data["time"].values
    assert (np.diff(h) >= 0).all()
    area = cumulative_trapezoid(data["k_hazard"].values, t, initial=0)
    np.testing.assert_allclose(area, h, rtol=1e-4, atol=1e-6 * h[-1])


def test_cascade_is_linear_after_shedding(model):
    """Three times the inflow gives three times the hazard: the condition for Poisson counts."""
    ports = [name for name in NO_INFLOW if name.startswith("v_")]
    nominal = {name: model.table[name].nominal for name in ports}
    once = run(model, 10 * YEAR, nominal)["h_cumulative"].isel(time=-1)
    thrice = run(model, 10 * YEAR, {name: 3 * value for name, value in nominal.items()})["h_cumulative"].isel(time=-1)
    assert float(thrice) == pytest.approx(3 * float(once), rel=1e-7)


@pytest.mark.parametrize(
    ("name", "values", "sign"),
    [
        ("f_soil", [0.2, 1.0], 1),
        ("f_founder", [0.2, 1.0], 1),
        ("a_vesicle", [0.0, 4.2], 1),
        ("f_nk", [1.0, 3.0], -1),
        ("f_platelet", [0.0, 1.0], 1),
        ("f_immune", [0.5, 1.0], -1),
        ("f_angiogenic", [0.3, 1.0], 1),
        ("a_systemic_inhibition", [0.0, 0.8], -1),
        ("a_wound", [0.0, 1.0], 1),
        ("f_cytostatic", [0.5, 1.0], 1),
        ("f_host", [0.5, 1.0], 1),
    ],
)
def test_direction_of_each_input(model, name, values, sign):
    """Each input moves the ten-year hazard in the direction that its biology says."""
    data = run(model, 10 * YEAR, {name: xr.DataArray(values, dims="level")}, points=3, record=["h_cumulative"])
    low, high = data["h_cumulative"].isel(time=-1).values
    assert sign * (high - low) > 0.01 * high


def late_share(model, values):
    """Return the share of the 20-year hazard that falls in years 10 to 20 after an inflow that lasted one year."""
    record = CELL_STATES + LESION_STATES
    pulse = run(model, YEAR, {"a_vesicle": 0.0} | values, points=2, record=record).isel(time=-1)
    start = {name: float(pulse[name]) for name in record}
    data = run(model, 20 * YEAR, NO_INFLOW | values | start, points=21)
    h = data["h_cumulative"]
    return float(1 - h.sel(time=10 * YEAR, method="nearest") / h.isel(time=-1))


def test_dormancy_carries_the_late_hazard(model):
    """Late recurrences need dormancy: at least 15 % of the hazard with it, under 3 % without."""
    assert late_share(model, {}) >= 0.15
    assert late_share(model, NO_LESION_DORMANCY | {"k_settle": 1e-9}) < 0.03


def test_hazard_peaks_then_declines_after_the_inflow_ends(model):
    """Without new arrivals the hazard peaks in the second or third year and is lower ten and twenty years later."""
    pulse = run(model, YEAR, {"a_vesicle": 0.0}, points=2, record=CELL_STATES + LESION_STATES).isel(time=-1)
    start = {name: float(pulse[name]) for name in CELL_STATES + LESION_STATES}
    hazard = run(model, 20 * YEAR, NO_INFLOW | start, points=241)["k_hazard"]
    peak = float(hazard["time"][int(np.argmax(hazard.values))]) / YEAR
    late = hazard.sel(time=[10 * YEAR, 19 * YEAR], method="nearest") / hazard.max()
    assert 1 < peak < 2.5
    assert 0.01 < float(late[1]) < float(late[0]) < 0.5


# ---------------------------------------------------------------- stochastic cross-check


def transitions(p):
    """Return state -> [(rate, next state)] of one cell, cluster or lesion, written from the biology (per day)."""
    lose = p["k_die_arrested"] + p["k_kill_nk"] * p["f_nk"]
    step = np.log(p["n_detectable"] / p["n_founder"]) / 8
    sizes = p["n_founder"] * np.exp((np.arange(8) + 0.5) * step)
    grow = p["k_grow"] * np.log(p["cap_lesion"] / sizes) / step
    immune, angio = p["f_immune_dormant"], p["f_angiogenic_dormant"]
    found, extravasate = p["k_found"], p["k_extravasate"]
    settle, die = p["k_settle"], p["k_die_extravasated"]
    table = {
        "A": [(p["k_cloak"], "AP"), (extravasate, "X"), (lose, "dead")],
        "AP": [(extravasate * p["f_extravasate_cloaked"], "X"), (p["f_unprotected"] * lose, "dead")],
        "AC": [(extravasate, "XC"), (p["f_unprotected"] * lose, "dead")],
        "X": [(settle, "D"), (die, "dead"), (found, "L1")],
        "XC": [(settle, "scatter"), (die, "dead"), (found * p["w_found_cluster"], "L1")],
        "D": [(p["k_wake"], "W"), (p["k_die_dormant"], "dead")],
        "W": [(settle, "D"), (die, "dead"), (found * p["w_found_awakened"], "L1")],
        "MI": [(p["k_escape_immune"], "L4"), (p["k_clear_immune_dormant"], "dead")],
        "MA": [(p["k_switch_angiogenic"], "L6"), (p["k_lose_angiogenic_dormant"], "dead")],
    }
    for i in range(1, 9):
        onward = f"L{i + 1}" if i < 8 else "overt"
        split = {3: (immune, "MI"), 5: (angio, "MA")}.get(i)
        table[f"L{i}"] = [(grow[i - 1], onward)]
        if split:
            table[f"L{i}"] = [(grow[i - 1] * (1 - split[0]), onward), (grow[i - 1] * split[0], split[1])]
        if i <= 3:
            table[f"L{i}"].append((p["k_eliminate"], "dead"))
    return table


def sample_detections(rng, p, runs, horizon):
    """Simulate every particle's jumps exactly; return the run and the day of each detection.

    Particles are independent given their arrival, so each may be followed alone: this is Gillespie's direct method
    particle by particle. A cluster that settles leaves its cells as siblings of the same run.
    """
    table = transitions(p)
    names = list(table)
    number = {name: i for i, name in enumerate([*names, "dead", "scatter", "overt"])}
    total = np.array([sum(rate for rate, _ in table[name]) for name in names])
    share = np.ones((len(names), 3))
    target = np.full((len(names), 3), number["dead"])
    for i, name in enumerate(names):
        share[i, : len(table[name])] = np.cumsum([rate for rate, _ in table[name]]) / total[i]
        target[i, : len(table[name])] = [number[to] for _, to in table[name]]

    who, day, state = [], [], []
    for port, first in (("v_arrest_single", "A"), ("v_arrest_cluster", "AC")):
        count = rng.poisson(p[port] * horizon, runs)
        who.append(np.repeat(np.arange(runs), count))
        day.append(rng.uniform(0, horizon, count.sum()))
        state.append(np.full(count.sum(), number[first]))
    who, day, state = (np.concatenate(part) for part in (who, day, state))
    found_who, found_day = [], []
    while len(who):
        day = day + rng.exponential(1 / total[state])
        draw = (rng.uniform(size=len(who))[:, None] > share[state]).sum(axis=1).clip(max=2)
        state = target[state, draw]
        overt = (state == number["overt"]) & (day <= horizon)
        found_who.append(who[overt])
        found_day.append(day[overt])
        copies = np.where(state == number["scatter"], int(p["n_cells_per_cluster"]), 1)
        copies[(day > horizon) | (state == number["overt"]) | (state == number["dead"])] = 0
        state[state == number["scatter"]] = number["D"]
        who, day, state = (np.repeat(part, copies) for part in (who, day, state))
    return np.concatenate(found_who), np.concatenate(found_day)


def test_lesion_counts_are_poisson(model):
    """Stochastic runs have the mean of the equations, exp(-H) of them are free of metastasis, and variance = mean."""
    runs, horizon = 20_000, 7300.0
    values = NO_INFLOW | {"f_systemic": 1.0, "v_arrest_single": 0.02, "v_arrest_cluster": 0.0005, "f_nk": 0.0}
    values |= {"k_found": 0.01, "f_angiogenic_dormant": 0.5, "k_switch_angiogenic": 5e-4}
    days = [1500.0, 2500.0, 4000.0, 5500.0, 7300.0]
    h = run(model, horizon, values, points=74)["h_cumulative"].sel(time=days, method="nearest")
    p = {name: row.nominal for name, row in model.table.items()} | values
    who, day = sample_detections(np.random.default_rng(20240229), p, runs, horizon)
    for expected, limit in zip(h.values, h["time"].values, strict=True):
        counts = np.bincount(who[day <= limit], minlength=runs)
        free = np.exp(-expected)
        assert abs(counts.mean() - expected) < 4 * np.sqrt(expected / runs)
        assert abs((counts == 0).mean() - free) < 4 * np.sqrt(free * (1 - free) / runs)
        assert 0.95 < counts.var() / counts.mean() < 1.05
    assert h.values[-1] > 0.1
