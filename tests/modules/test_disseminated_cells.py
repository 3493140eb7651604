"""Behavior of `disseminated_cells`: early survival, balance of cells, losses stage by stage, dormancy, linearity.

Reference numbers come from closed forms and from Luzzi et al. 1998 (recalled).
"""

from __future__ import annotations

import libsbml
import numpy as np
import pytest
import xarray as xr
from folders import make_shipped_composition

import cascade

YEAR = 365.25
NO_INFLOW = {
    "v_arrest_single": 0.0,
    "v_arrest_cloaked": 0.0,
    "v_arrest_cluster": 0.0,
    "v_retained_single": 0.0,
    "v_retained_cluster": 0.0,
    "v_node": 0.0,
}
STATES = (
    "n_arrested",
    "n_arrested_cloaked",
    "n_arrested_cluster",
    "n_extravasated",
    "n_extravasated_cluster",
    "n_dormant",
    "n_awakened",
)
STRICT = cascade.Solver(relative_tolerance=1e-10, absolute_tolerance=1e-13)


@pytest.fixture(scope="module")
def model():
    return cascade.compose(cascade.load_module("disseminated_cells"))


def composed(folder, instances, joins, more=""):
    return cascade.compose(cascade.load_composition(make_shipped_composition(folder, instances, joins, more)))


def run(model, days, values=None, points=201, record=None):
    """Simulate with strict tolerances and require that every run succeeded."""
    data = cascade.simulate(model, days=days, values=values or {}, points=points, record=record, solver=STRICT)
    assert (data["status"] == "ok").all()
    return data


def nominal(model):
    return {name: row.nominal for name, row in model.table.items()}


# ---------------------------------------------------------------- early survival


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
    assert float(alive) == pytest.approx(float(end["n_in_transit"]), rel=1e-9)


# ---------------------------------------------------------------- balance of cells


@pytest.fixture(scope="module")
def balance(tmp_path_factory):
    """A lineage in an organ with ledgers of what arrives, dies and founds."""
    fluxes = {"arrived": "v_arrived", "died": "v_die", "used": "v_founders"}
    return composed(
        tmp_path_factory.mktemp("balance"),
        {"cells": "disseminated_cells"} | dict.fromkeys(fluxes, "ledger"),
        {f"{ledger}.v_in": f"cells.{flux}" for ledger, flux in fluxes.items()},
    )


@pytest.mark.parametrize("wake", [1.0, 50.0])
def test_cells_are_conserved(balance, wake):
    """Arrived cells are in transit, dead, or founders; clusters count as their cells."""
    data = run(balance, 20 * YEAR, {"cells__f_wake": wake, "cells__k_found": 2.3e-5, "cells__f_arrest_node": 0.1})
    arrived = data["arrived__n_total"]
    accounted = data["cells__n_in_transit"] + data["died__n_total"] + data["used__n_total"]
    assert float(arrived[-1]) > 1e6
    assert float(data["used__n_total"][-1]) > 100
    assert float((abs(accounted - arrived) / arrived).isel(time=slice(1, None)).max()) < 1e-9


def test_losses_come_late(balance):
    """Arrest and extravasation are efficient, founding is not (Chambers et al. 2002)."""
    end = run(balance, 20 * YEAR).isel(time=-1)
    assert 0 < float(end["used__n_total"] / end["arrived__n_total"]) < 1e-5
    early = run(balance, 3, {f"cells__{port}": 0.0 for port in NO_INFLOW} | {"cells__n_arrested": 1e4}).isel(time=-1)
    assert float(early["cells__n_dtc"]) > 100
    assert float(early["used__n_total"]) < 0.01


# ---------------------------------------------------------------- linearity


def test_every_step_is_first_order(model):
    """Three times the inflow gives three times every state and flux: the condition for Poisson counts."""
    ports = {name: nominal(model)[name] for name in NO_INFLOW}
    names = [*STATES, "v_found", "v_die"]
    once = run(model, 5 * YEAR, ports)[names].isel(time=-1)
    thrice = run(model, 5 * YEAR, {name: 3 * value for name, value in ports.items()})[names].isel(time=-1)
    for name in names:
        assert float(once[name]) > 0
        assert float(thrice[name]) == pytest.approx(3 * float(once[name]), rel=1e-8), name


def test_fast_states_can_be_replaced_by_their_balance(model):
    """Production over loss rate reproduces every state but the dormant cells once the inflow has settled."""
    p = nominal(model)
    end = {name: float(value) for name, value in run(model, 20 * YEAR).isel(time=-1).items() if name != "status"}
    lose = p["k_die_arrested"] + p["k_kill_nk"] * p["f_nk"]
    found = p["k_found"] * p["f_founder"] * p["f_found"]
    leave = p["k_settle"] + p["k_die_extravasated"]
    extravasate, cloaked = p["k_extravasate"], p["k_extravasate"] * p["f_extravasate_cloaked"]
    expected = {"n_arrested": end["v_in_single"] / (p["k_cloak"] * p["f_platelet"] + extravasate + lose)}
    cloak = p["k_cloak"] * p["f_platelet"] * expected["n_arrested"]
    expected["n_arrested_cloaked"] = (end["v_in_cloaked"] + cloak) / (cloaked + p["f_unprotected"] * lose)
    expected["n_arrested_cluster"] = end["v_in_cluster"] / (extravasate + p["f_unprotected"] * lose)
    gain = extravasate * expected["n_arrested"] + cloaked * expected["n_arrested_cloaked"]
    expected["n_extravasated"] = gain / (leave + found)
    cluster = extravasate * expected["n_arrested_cluster"]
    expected["n_extravasated_cluster"] = cluster / (leave + found * p["w_found_cluster"])
    expected["n_awakened"] = p["k_wake"] * p["f_wake"] * end["n_dormant"] / (leave + found * p["w_found_awakened"])
    for name, value in expected.items():
        assert end[name] == pytest.approx(value, rel=1e-3), name


def test_each_loss_is_proportional_to_its_species(model):
    """No rate law divides by a species or takes its power: a species is a factor, so its balance is a ratio."""
    sbml = libsbml.readSBMLFromString(model.flat).getModel()
    for reaction in sbml.getListOfReactions():
        if not reaction.getNumReactants():
            continue
        species = reaction.getReactant(0).getSpecies()
        formula = libsbml.formulaToL3String(reaction.getKineticLaw().getMath())
        assert formula.endswith(f"* {species}") and formula.count(species) == 1, reaction.getId()
        assert "/" not in formula and "^" not in formula


# ---------------------------------------------------------------- inputs


def test_shares_route_the_inflow(model):
    """Systemic arrests and the node flux enter with the share of the organ, first-pass retention as it comes."""
    given = {"f_arrest_systemic": 0.2, "f_arrest_node": 0.3, "v_retained_single": 3e5, "v_retained_cluster": 2e4}
    p = nominal(model) | given
    data = run(model, 1, given).isel(time=0)
    single = 0.2 * p["v_arrest_single"] + p["v_retained_single"] + 0.3 * p["v_node"]
    cluster = 0.2 * p["v_arrest_cluster"] + p["v_retained_cluster"]
    assert float(data["v_in_single"]) == pytest.approx(single)
    assert float(data["v_in_cluster"]) == pytest.approx(cluster)
    total = single + 0.2 * p["v_arrest_cloaked"] + p["n_cells_per_cluster"] * cluster
    assert float(data["v_arrived"]) == pytest.approx(total)


@pytest.mark.parametrize(
    ("name", "values", "sign"),
    [
        ("f_found", [0.2, 1.0], 1),
        ("f_founder", [0.2, 1.0], 1),
        ("f_nk", [1.0, 3.0], -1),
        ("f_platelet", [0.0, 1.0], 1),
        ("f_wake", [1.0, 1000.0], 1),
        ("f_arrest_systemic", [0.1, 0.3], 1),
        ("w_found_cluster", [1.0, 30.0], 1),
    ],
)
def test_direction_of_each_input(model, name, values, sign):
    """Each input moves the number of lesions founded in the direction that its biology says."""
    data = run(model, 5 * YEAR, {name: xr.DataArray(values, dims="level")}, points=3)
    low, high = data["v_found"].isel(time=-1).values
    assert sign * (high - low) > 0.005 * high


def test_dormant_cells_found_late(model):
    """Years after the last arrival only awakened cells found; no dormancy, no late founding."""
    start = run(model, YEAR, points=2).isel(time=-1)
    values = NO_INFLOW | {name: float(start[name]) for name in STATES}
    late = run(model, 10 * YEAR, values).isel(time=-1)
    assert float(late["n_extravasated"]) < 1e-9
    assert float(late["v_found"]) > 0
    awake = run(model, 10 * YEAR, values | {"f_wake": 6.0}).isel(time=-1)
    assert float(awake["v_found"]) > 4 * float(late["v_found"])
    assert float(awake["n_dormant"]) < float(late["n_dormant"])
    without = run(model, 10 * YEAR, values | {"n_dormant": 0.0, "k_settle": 0.0}).isel(time=-1)
    assert float(without["v_found"]) < 1e-6 * float(late["v_found"])


def test_clusters_found_more_than_their_cells(model):
    """A cluster founds as often as tens of single cells (Aceto et al. 2014): 23 to 50."""
    values = NO_INFLOW | {"k_wake": 0.0}
    ledgers = {}
    for start in ("n_extravasated", "n_extravasated_cluster"):
        data = run(model, 60, values | {start: 1e6}, points=6001)
        ledgers[start] = float(np.trapezoid(data["v_found"], data["time"]))
    assert 23 < ledgers["n_extravasated_cluster"] / ledgers["n_extravasated"] < 50


def test_identical_organs_are_identical(tmp_path):
    """Two organs with the same numbers cannot be told apart."""
    twins = composed(tmp_path, {"left": "disseminated_cells", "right": "disseminated_cells"}, {})
    data = run(twins, 10 * YEAR)
    for name in (*STATES, "v_found", "v_die"):
        np.testing.assert_allclose(data[f"left__{name}"], data[f"right__{name}"], rtol=1e-9)


# ---------------------------------------------------------------- the mouse liver


def test_mouse_liver_after_a_bolus(tmp_path):
    """Luzzi et al. 1998 (recalled numbers): a bolus of B16F1 cells in the liver, as shares of the injected cells.

    Eight rates are fitted to four numbers, so this shows that the structure can hold them together, not more.
    """
    mouse = composed(
        tmp_path, {"cells": "disseminated_cells", "lesions": "lesions"}, {"lesions.v_found": "cells.v_found"}
    )
    cells = NO_INFLOW | {"n_arrested": 1e4, "f_nk": 0.0, "f_platelet": 0.0, "k_wake": 0.0, "f_found": 1.0}
    cells |= {"k_extravasate": 1.972, "k_die_arrested": 0.0495, "k_settle": 0.2738, "k_die_extravasated": 0.0495}
    cells |= {"k_die_dormant": 0.0813, "k_found": 0.0252}
    lesions = {"n_founder": 4.0, "n_immune_checkpoint": 178.0, "n_angiogenic_checkpoint": 2240.0, "n_detectable": 1e5}
    lesions |= {"f_immune_dormant": 0.0, "f_angiogenic_dormant": 0.0, "k_grow": 0.0160, "k_eliminate": 0.5142}
    values = {f"cells__{name}": value for name, value in cells.items()}
    values |= {f"lesions__{name}": value for name, value in lesions.items()}
    record = ["cells__n_in_transit", "lesions__n_micrometastases", "lesions__n_overt"]
    share = run(mouse, 13, values, points=14, record=record)[record] / 1e4
    day3, day13 = share.sel(time=3.0), share.sel(time=13.0)
    assert float(sum(day3[name] for name in record)) == pytest.approx(0.83, rel=0.12)
    assert float(day3["lesions__n_micrometastases"]) == pytest.approx(0.83 / 40, rel=0.12)
    assert float(day13["cells__n_in_transit"]) == pytest.approx(0.36, rel=0.12)
    assert float(day13["lesions__n_overt"]) == pytest.approx(1.8e-4, rel=0.12)
