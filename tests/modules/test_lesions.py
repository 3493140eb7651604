"""Behavior of `lesions`: growth by size classes, checkpoints and their exits, the hazard of overt metastasis.

Reference numbers come from closed forms (sums of exponentials, Gompertz); the Poisson claim is checked against a
stochastic simulation written here.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from folders import make_shipped_composition
from scipy.integrate import cumulative_trapezoid, trapezoid
from scipy.signal import find_peaks

import cascade

YEAR = 365.25
MONTH = YEAR / 12
NO_DORMANCY = {"f_immune_dormant": 0.0, "f_angiogenic_dormant": 0.0}
NO_LOSS = {"k_eliminate": 0.0, "k_clear_immune_dormant": 0.0, "k_lose_angiogenic_dormant": 0.0}
ONE_LESION = NO_DORMANCY | NO_LOSS | {"v_found": 0.0, "n_lesion_1": 1.0}
STRICT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)


def segments(n_classes):
    """Return the number of classes of each segment: 3/8, 2/8 and the rest, by hand."""
    known = {4: (2, 1, 1), 5: (2, 1, 2), 8: (3, 2, 3), 11: (4, 3, 4), 16: (6, 4, 6), 24: (9, 6, 9)}
    return known[n_classes]


def build(n_classes):
    return cascade.compose(cascade.load_module("lesions", n_classes=n_classes))


@pytest.fixture(scope="module")
def model():
    return build(8)


def run(model, days, values=None, points=201, record=None):
    """Simulate with strict tolerances and require that every run succeeded."""
    data = cascade.simulate(model, days=days, values=values or {}, points=points, record=record, solver=STRICT)
    assert (data["status"] == "ok").all()
    return data


def nominal(model):
    return {name: row.nominal for name, row in model.table.items()}


# ---------------------------------------------------------------- growth


def class_rates(p, counts):
    """Return the rate of each class, from the size at its center (written from the biology)."""
    sizes = [p[name] for name in ("n_founder", "n_immune_checkpoint", "n_angiogenic_checkpoint", "n_detectable")]
    rates = []
    for count, lower, upper in zip(counts, sizes, sizes[1:], strict=False):
        width = np.log(upper / lower) / count
        centers = lower * np.exp((np.arange(count) + 0.5) * width)
        rates += list(p["k_grow"] * np.log(p["cap_lesion"] / centers) / width)
    return np.array(rates)


def gompertz_time(p, start, end):
    room = [np.log(p["cap_lesion"] / p[name]) for name in (start, end)]
    return np.log(room[0] / room[1]) / p["k_grow"]


@pytest.mark.parametrize("n_classes", [4, 5, 8, 11, 16, 24])
def test_growth_chain_meets_its_closed_form_and_gompertz(n_classes):
    """From 10 cells to 1 cm: mean and deviation of a sum of exponentials; the mean is the Gompertz time, 928 d."""
    model = build(n_classes)
    p = nominal(model)
    rates = class_rates(p, segments(n_classes))
    data = run(model, 15000, ONE_LESION, points=15001)
    t, left = data["time"].values, 1 - data["h_cumulative"].values
    mean = trapezoid(left, t)
    deviation = np.sqrt(2 * trapezoid(t * left, t) - mean**2)
    assert mean == pytest.approx((1 / rates).sum(), rel=1e-4)
    assert deviation == pytest.approx(np.sqrt((1 / rates**2).sum()), rel=1e-3)
    exact = gompertz_time(p, "n_founder", "n_detectable")
    assert exact == pytest.approx(928, abs=1)
    assert mean == pytest.approx(exact, rel={4: 0.02, 5: 0.012}.get(n_classes, 0.003))
    if n_classes == 8:
        assert mean == pytest.approx(926, abs=1) and deviation == pytest.approx(344, abs=1)


def test_checkpoints_do_not_move_with_the_detection_limit(model):
    """A sensitive scan finds lesions earlier; the time to either checkpoint stays."""
    limits = {"n_detectable": xr.DataArray([6.5e7, 5.2e8], dims="limit")}
    data = run(model, 6000, ONE_LESION | limits, points=6001)
    below = data["n_lesion_1"] + data["n_lesion_2"] + data["n_lesion_3"] + data["n_lesion_4"] + data["n_lesion_5"]
    np.testing.assert_allclose(below.isel(limit=0), below.isel(limit=1), atol=1e-9)
    time = (1 - data["h_cumulative"]).integrate("time").values
    p = nominal(model)
    for limit, found in zip([6.5e7, 5.2e8], time, strict=True):
        assert found == pytest.approx(
            gompertz_time(p | {"n_detectable": limit}, "n_founder", "n_detectable"), rel=0.005
        )


@pytest.mark.parametrize(("n_classes", "peaks"), [(8, 1), (16, 2), (24, 2)])
def test_two_waves_need_sixteen_classes(n_classes, peaks):
    """Single cells and avascular lesions that start together become overt in two waves, if classes resolve them."""
    first, second, _ = segments(n_classes)
    model = build(n_classes)
    hazard = run(model, 2500, ONE_LESION | {f"n_lesion_{first + second + 1}": 1.0}, points=2501)["k_hazard"]
    found = find_peaks(hazard.values, prominence=1e-3 * float(hazard.max()))[0]
    assert len(found) == peaks
    if n_classes == 24:
        months = hazard["time"].values[found] / MONTH
        assert months == pytest.approx([13.9, 27.7], abs=0.2)


def test_growth_scales_with_its_port_and_occult_lesions_do_not_feel_the_host(model):
    half = run(model, 2000, ONE_LESION | {"f_growth": 0.5})["h_cumulative"].values
    full = run(model, 1000, ONE_LESION)["h_cumulative"].values
    np.testing.assert_allclose(half, full, rtol=1e-6, atol=1e-10)
    dying = run(model, 1000, ONE_LESION | {"f_host": 0.0})["h_cumulative"].values
    np.testing.assert_allclose(dying, full, rtol=1e-6, atol=1e-9)


def test_lesions_are_conserved():
    """Without losses every lesion founded is there: occult or overt."""
    values = NO_LOSS | {"v_found": 0.003}
    for n_classes in (4, 8, 16):
        data = run(build(n_classes), 10 * YEAR, values)
        lesions = data["n_micrometastases"] + data["n_overt"]
        np.testing.assert_allclose(lesions, 0.003 * data["time"], rtol=1e-9, atol=1e-12)


def test_involved_lesions_are_those_above_the_immune_checkpoint(model):
    data = run(model, 5 * YEAR)
    small = data["n_lesion_1"] + data["n_lesion_2"] + data["n_lesion_3"]
    np.testing.assert_allclose(
        data["n_lesions_involved"], data["n_micrometastases"] - small + data["n_overt"], rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(data["f_involved"], 1 - np.exp(-data["n_lesions_involved"]), rtol=1e-12)


# ---------------------------------------------------------------- overt lesions


def test_overt_lesion_follows_gompertz(model):
    """One overt lesion follows the exact Gompertz curve from the detection limit, stops with the host, and sheds."""
    values = {"v_found": 0.0, "n_overt": 1.0, "n_burden": 5.2e8, "f_host": xr.DataArray([1.0, 0.0], dims="host")}
    data = run(model, 1500, values)
    p = nominal(model)
    room = np.log(p["cap_lesion"] / p["n_detectable"])
    exact = p["cap_lesion"] * np.exp(-room * np.exp(-p["k_grow"] * data["time"].values))
    np.testing.assert_allclose(data["n_burden"].isel(host=0), exact, rtol=1e-6)
    np.testing.assert_allclose(data["n_burden"].isel(host=1), 5.2e8, rtol=1e-9)
    np.testing.assert_allclose(data["v_shed"], p["k_shed_lesion"] * data["n_burden"], rtol=1e-12)


def test_mean_size_of_overt_lesions_is_bounded(model):
    """Overt lesions are on average larger than the detection limit and smaller than the plateau."""
    data = run(model, 30 * YEAR).isel(time=slice(1, None))
    assert (np.diff(data["n_burden"]) > 0).all()
    size = (data["n_burden"] / data["n_overt"]).where(data["n_overt"] > 1e-6, drop=True)
    assert float(size.min()) >= 0.99 * 5.2e8
    assert float(size.max()) < 3.1e12


# ---------------------------------------------------------------- dormancy


def test_immune_dormant_share_stays_below_one(model):
    """The share entering immune dormancy rises with immune pressure, is the table's value at 1, and never passes 1."""
    pressure = xr.DataArray([0.0, 1.0, 5.0, 1000.0], dims="pressure")
    share = run(model, 1, {"f_immune": pressure})["f_to_immune_dormant"].isel(time=0).values
    assert share[0] == 0.0
    assert share[1] == pytest.approx(nominal(model)["f_immune_dormant"], rel=1e-12)
    assert (np.diff(share) > 0).all() and share[-1] < 1


def leaving(model, state, days, values):
    """Return what is left of one dormant lesion, and what became overt later or was lost."""
    start = {"v_found": 0.0, state: 1.0} | NO_DORMANCY
    return run(model, days, start | values)


def test_immune_dormancy_is_the_tables_at_the_reference_pressure(model):
    p = nominal(model)
    left = leaving(model, "n_immune_dormant", 3000, {})["n_immune_dormant"]
    rate = p["k_escape_immune"] + p["k_clear_immune_dormant"]
    np.testing.assert_allclose(left, np.exp(-rate * left["time"]), rtol=1e-6)


def test_occult_lesions_grow_out_within_weeks_after_depletion_of_t_cells(model):
    """Koebel et al. 2007 (recalled): a stable occult tumor escapes within weeks once T cells are gone, not before."""
    for pressure, low, high in ((1.0, 0.97, 1.0), (0.0, 0.2, 0.45)):
        left = leaving(model, "n_immune_dormant", 42, {"f_immune": pressure, "k_clear_immune_dormant": 0.0})
        assert low < float(left["n_immune_dormant"][-1]) < high


def test_immune_dormancy_ends_by_escape_or_by_clearance(model):
    """Less pressure, more escapes; more pressure, fewer escapes and more clearance."""
    pressure = xr.DataArray([0.1, 0.5, 1.0, 3.0, 10.0], dims="pressure")
    data = leaving(model, "n_immune_dormant", 30 * YEAR, {"f_immune": pressure})
    overt = data["n_overt"].isel(time=-1).values
    assert (np.diff(overt) < 0).all()
    assert overt[0] > 0.95 and overt[-1] < 0.05
    left = leaving(model, "n_immune_dormant", 100, {"f_immune": pressure})["n_immune_dormant"].isel(time=-1).values
    assert left[0] < left[1] < left[2] and left[-1] < left[2]


@pytest.mark.parametrize(
    ("name", "levels"),
    [("f_angiogenic", [0.3, 1.0, 3.0]), ("a_wound", [0.0, 0.5, 1.0]), ("a_systemic_inhibition", [1.0, 0.5, 0.0])],
)
def test_angiogenic_dormancy_ends_by_each_cause(model, name, levels):
    """Drive and wound hasten the switch, the primary's inhibition holds it; losing the inhibition frees lesions."""
    data = leaving(model, "n_angiogenic_dormant", 5 * YEAR, {name: xr.DataArray(levels, dims="level")})
    left = data["n_angiogenic_dormant"].isel(time=-1).values
    overt = data["n_overt"].isel(time=-1).values
    assert (np.diff(left) < 0).all() and (np.diff(overt) > 0).all()


def test_dormancies_do_not_answer_to_each_others_exits(model):
    """Immune pressure leaves avascular lesions alone; drive, wound and inhibition leave immune-dormant ones alone."""
    immune = xr.DataArray([0.1, 1.0, 5.0], dims="level")
    avascular = leaving(model, "n_angiogenic_dormant", YEAR, {"f_immune": immune})["n_angiogenic_dormant"]
    assert float(avascular.std("level").max()) < 1e-9
    for name in ("f_angiogenic", "a_wound", "a_systemic_inhibition"):
        level = {name: xr.DataArray([0.1, 0.5, 1.0], dims="level")}
        held = leaving(model, "n_immune_dormant", YEAR, level)["n_immune_dormant"]
        assert float(held.std("level").max()) < 1e-9


def test_immunity_removes_small_lesions_only(model):
    p = nominal(model)
    for i in range(1, 9):
        values = NO_DORMANCY | {"v_found": 0.0, f"n_lesion_{i}": 1.0, "f_growth": 0.0, "f_immune": 2.0}
        left = float(run(model, 50, values)["n_micrometastases"][-1])
        assert left == pytest.approx(np.exp(-2 * p["k_eliminate"] * 50) if i <= 3 else 1.0, rel=1e-6)


# ---------------------------------------------------------------- hazard


def test_hazard_is_the_slope_of_the_cumulative_hazard(model):
    """The survival without metastasis falls, and `k_hazard` is the slope of the cumulative hazard."""
    data = run(model, 20 * YEAR, points=2001)
    h, t = data["h_cumulative"].values, data["time"].values
    survival = np.exp(-h)
    assert survival[0] == 1.0 and (np.diff(survival) <= 0).all() and survival[-1] < 0.95
    area = cumulative_trapezoid(data["k_hazard"].values, t, initial=0)
    np.testing.assert_allclose(area, h, rtol=1e-4, atol=1e-6 * h[-1])


def test_lesions_are_linear_in_founding(model):
    """Three times the founding gives three times the hazard: the condition for Poisson counts."""
    flux = {"v_found": xr.DataArray([1e-3, 3e-3], dims="flux")}
    names = ["h_cumulative", "n_micrometastases", "n_immune_dormant", "n_angiogenic_dormant", "k_hazard"]
    for name in names:
        once, thrice = run(model, 10 * YEAR, flux)[name].isel(time=-1).values
        assert thrice == pytest.approx(3 * once, rel=1e-7), name


@pytest.mark.parametrize(
    ("name", "values", "sign"),
    [
        ("v_found", [1e-3, 2e-3], 1),
        ("f_immune", [0.5, 1.0], -1),
        ("f_angiogenic", [0.3, 1.0], 1),
        ("a_systemic_inhibition", [0.0, 0.8], -1),
        ("a_wound", [0.0, 1.0], 1),
        ("f_growth", [0.5, 1.0], 1),
    ],
)
def test_direction_of_each_input(model, name, values, sign):
    """Each input moves the ten-year hazard in the direction that its biology says."""
    data = run(model, 10 * YEAR, {name: xr.DataArray(values, dims="level")}, points=3, record=["h_cumulative"])
    low, high = data["h_cumulative"].isel(time=-1).values
    assert sign * (high - low) > 0.01 * high


def test_identical_organs_are_identical(tmp_path):
    path = make_shipped_composition(tmp_path, {"left": "lesions", "right": "lesions"}, {})
    data = run(cascade.compose(cascade.load_composition(path)), 10 * YEAR)
    for name in ("h_cumulative", "n_burden", "n_micrometastases", "n_immune_dormant"):
        np.testing.assert_allclose(data[f"left__{name}"], data[f"right__{name}"], rtol=1e-9)


@pytest.fixture(scope="module")
def organ(tmp_path_factory):
    """A lineage of cells in an organ, and its lesions; the niche is unprimed."""
    instances = {"cells": "disseminated_cells", "lesions": "lesions"}
    path = make_shipped_composition(tmp_path_factory.mktemp("organ"), instances, {"lesions.v_found": "cells.v_found"})
    return cascade.compose(cascade.load_composition(path))


INFLOWS = (
    "v_arrest_single",
    "v_arrest_cloaked",
    "v_arrest_cluster",
    "v_retained_single",
    "v_retained_cluster",
    "v_node",
)
NO_INFLOW = {f"cells__{name}": 0.0 for name in INFLOWS}
UNPRIMED = {"cells__f_found": 1.0}
ARRESTED = ("n_arrested", "n_arrested_cloaked", "n_arrested_cluster")
SETTLED = ("n_extravasated", "n_extravasated_cluster", "n_dormant", "n_awakened")
OCCULT = (*(f"n_lesion_{i}" for i in range(1, 9)), "n_immune_dormant", "n_angiogenic_dormant")
STATES = [f"cells__{name}" for name in ARRESTED + SETTLED] + [f"lesions__{name}" for name in OCCULT]


def after_a_year_of_inflow(organ, values):
    """Return all states of an organ in which cells arrived for one year."""
    pulse = run(organ, YEAR, UNPRIMED | values, points=2).isel(time=-1)
    return {name: float(pulse[name]) for name in STATES}


def late_share(organ, values):
    """Return the share of the 20-year hazard that falls in years 10 to 20 after an inflow that lasted one year."""
    start = after_a_year_of_inflow(organ, values)
    h = run(organ, 20 * YEAR, NO_INFLOW | UNPRIMED | values | start, points=21)["lesions__h_cumulative"]
    return float(1 - h.sel(time=10 * YEAR, method="nearest") / h.isel(time=-1))


def test_dormancy_carries_the_late_hazard(organ):
    """Late recurrences need dormancy: at least 15 % of the hazard with it, under 3 % without."""
    without = {f"lesions__{name}": value for name, value in NO_DORMANCY.items()} | {"cells__k_settle": 1e-9}
    assert late_share(organ, {}) >= 0.15
    assert late_share(organ, without) < 0.03


def test_hazard_peaks_then_declines_after_the_inflow_ends(organ):
    """Without new arrivals the hazard peaks in the second or third year and is lower ten and twenty years later."""
    start = after_a_year_of_inflow(organ, {})
    hazard = run(organ, 20 * YEAR, NO_INFLOW | UNPRIMED | start, points=241)["lesions__k_hazard"]
    peak = float(hazard["time"][int(np.argmax(hazard.values))]) / YEAR
    late = hazard.sel(time=[10 * YEAR, 19 * YEAR], method="nearest") / hazard.max()
    assert 1 < peak < 2.5
    assert 0.01 < float(late[1]) < float(late[0]) < 0.5


# ---------------------------------------------------------------- stochastic cross-check


def transitions(p):
    """Return state -> [(rate, next state)] of one cell, cluster or lesion, written from the biology (per day)."""
    lose = p["k_die_arrested"] + p["k_kill_nk"] * p["f_nk"]
    grow = class_rates(p, segments(8))
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
    index = {name: i for i, name in enumerate([*names, "dead", "scatter", "overt"])}
    total = np.array([sum(rate for rate, _ in table[name]) for name in names])
    share = np.ones((len(names), 3))
    target = np.full((len(names), 3), index["dead"])
    for i, name in enumerate(names):
        share[i, : len(table[name])] = np.cumsum([rate for rate, _ in table[name]]) / total[i]
        target[i, : len(table[name])] = [index[to] for _, to in table[name]]

    who, day, state = [], [], []
    for port, first in (("v_arrest_single", "A"), ("v_arrest_cluster", "AC")):
        count = rng.poisson(p[port] * horizon, runs)
        who.append(np.repeat(np.arange(runs), count))
        day.append(rng.uniform(0, horizon, count.sum()))
        state.append(np.full(count.sum(), index[first]))
    who, day, state = (np.concatenate(part) for part in (who, day, state))
    found_who, found_day = [], []
    while len(who):
        day = day + rng.exponential(1 / total[state])
        draw = (rng.uniform(size=len(who))[:, None] > share[state]).sum(axis=1).clip(max=2)
        state = target[state, draw]
        overt = (state == index["overt"]) & (day <= horizon)
        found_who.append(who[overt])
        found_day.append(day[overt])
        copies = np.where(state == index["scatter"], int(p["n_cells_per_cluster"]), 1)
        copies[(day > horizon) | (state == index["overt"]) | (state == index["dead"])] = 0
        state[state == index["scatter"]] = index["D"]
        who, day, state = (np.repeat(part, copies) for part in (who, day, state))
    return np.concatenate(found_who), np.concatenate(found_day)


def test_lesion_counts_are_poisson(organ):
    """Stochastic runs have the mean of the equations, exp(-H) of them are free of metastasis, and variance = mean."""
    runs, horizon = 20_000, 7300.0
    values = NO_INFLOW | UNPRIMED | {"cells__f_arrest_systemic": 1.0, "cells__f_nk": 0.0, "cells__k_found": 0.01}
    values |= {"cells__v_arrest_single": 0.02, "cells__v_arrest_cluster": 0.0005}
    values |= {"lesions__f_angiogenic_dormant": 0.5, "lesions__k_switch_angiogenic": 5e-4}
    days = [1500.0, 2500.0, 4000.0, 5500.0, 7300.0]
    h = run(organ, horizon, values, points=74)["lesions__h_cumulative"].sel(time=days, method="nearest")
    p = {name.partition("__")[2] or name: value for name, value in ({**nominal(organ), **values}).items()}
    who, day = sample_detections(np.random.default_rng(20240229), p, runs, horizon)
    for expected, limit in zip(h.values, h["time"].values, strict=True):
        counts = np.bincount(who[day <= limit], minlength=runs)
        free = np.exp(-expected)
        assert abs(counts.mean() - expected) < 4 * np.sqrt(expected / runs)
        assert abs((counts == 0).mean() - free) < 4 * np.sqrt(free * (1 - free) / runs)
        assert 0.95 < counts.var() / counts.mean() < 1.05
    assert h.values[-1] > 0.1
