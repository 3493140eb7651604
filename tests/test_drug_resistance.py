"""Drugs on populations: selection of resistant clones, EMT-driven tolerance, spared dormancy; each with its knock-out.

References are closed forms and six populations in NumPy; the drug is a constant of the modules, whatever sets it.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from folders import make_shipped_composition
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from tumors import CAPACITY, tumor_model

import cascade
from cascade.target_table import read_targets, resolve_acts

YEAR = 365.25
STRICT = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)
PHENOTYPES = ("hybrid", "mesenchymal", "stem")
NO_TOLERANCE = {f"f_kill_{name}": 1.0 for name in PHENOTYPES}
SHARE = 1e-4
KILLED, BLOCKED = {"r_kill_division": 3.0}, {"f_unblocked": 0.1}


def of(instances, values):
    """Give the same values to several instances."""
    return {f"{instance}.{name}": value for instance in instances for name, value in values.items()}


def run(model, days, values=None, points=101, solver=STRICT):
    data = cascade.simulate(model, days=days, points=points, values=values or {}, solver=solver)
    assert (data["status"] == "ok").all()
    return data


@pytest.fixture(scope="module")
def clone():
    return cascade.compose(cascade.load_module("clone"))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A tumor of two clones; the drug's effect on growth is told to the whole."""
    return tumor_model(tmp_path_factory.mktemp("pair"), clones=2, joins={"tumor.v_drug": "sum(clones.v_drug)"})


@pytest.fixture(scope="module")
def lesions():
    return cascade.compose(cascade.load_module("lesions"))


@pytest.fixture(scope="module")
def cells():
    return cascade.compose(cascade.load_module("disseminated_cells"))


CLONES = ("clone_1", "clone_2")
DIAGNOSED = {
    "clone_1.n_grown": 1e9 * (1 - SHARE),
    "clone_2.n_grown": 1e9 * SHARE,
    "clone_2.f_mutation": 0.0,
}


# ---------------------------------------------------------------- selection among clones


@pytest.mark.parametrize(
    ("drug", "sensitivity"), [(BLOCKED, "f_sensitive_block"), (KILLED, "f_sensitive_kill")], ids=["block", "kill"]
)
def test_a_resistant_clone_takes_over_and_an_equally_sensitive_one_does_not(pair, drug, sensitivity):
    """The odds of the clones rise as exp(effect x integral of the growth rate); knock-out: equal sensitivity."""
    sensitive = xr.DataArray([0.0, 0.5, 1.0], dims="clone_2")
    values = DIAGNOSED | of(CLONES, drug | NO_TOLERANCE) | {f"clone_2.{sensitivity}": sensitive}
    data = run(pair, 30 * YEAR, values, points=3001)
    odds = data["clone_2__n_tumor"] / data["clone_1__n_tumor"]
    effect = drug.get("r_kill_division", 1 - drug.get("f_unblocked", 1.0))
    area = data["tumor__k_gompertz"].integrate("time")
    expected = np.log(SHARE / (1 - SHARE)) + effect * (1 - sensitive) * area
    np.testing.assert_allclose(np.log(odds.isel(time=-1)), expected, rtol=1e-3)
    share = (data["clone_2__n_tumor"] / data["tumor__n_tumor"]).isel(time=-1).values
    assert share[0] > 0.5 > share[2]
    assert share[2] == pytest.approx(SHARE, rel=1e-6), "equally sensitive: no selection"


def test_response_then_relapse_by_the_resistant_clone(pair):
    """A cytotoxic shrinks the tumor tenfold, and it comes back as the resistant clone; without one it does not."""
    values = DIAGNOSED | of(CLONES, KILLED | NO_TOLERANCE)
    values |= {"clone_2.f_sensitive_kill": xr.DataArray([0.0, 1.0], dims="clone_2")}
    size = run(pair, 10 * YEAR, values)["tumor__n_tumor"].transpose("clone_2", "time").values
    assert size.min(axis=1)[0] < 1e8 and size[0, -1] > 1e9
    assert (np.diff(size[1]) < 0).all()


def test_the_whole_tumor_grows_as_its_clones_do(pair):
    """`k_growth`, which vessels read, is the slope of ln n whatever the drugs do."""
    values = DIAGNOSED | of(CLONES, KILLED | {"f_unblocked": 0.6}) | {"clone_2.f_sensitive_kill": 0.0}
    data = run(pair, 2 * YEAR, values, points=2001)
    slope = np.gradient(np.log(data["tumor__n_tumor"]), data["time"])
    np.testing.assert_allclose(data["tumor__k_growth"][100:-5], slope[100:-5], rtol=1e-3, atol=1e-6)


def test_mutation_founds_the_resistant_clone(pair):
    """A subclone that arises by mutation takes over under the drug: nothing resistant has to be there at the start."""
    values = {"clone_2.init_n_epithelial_stem": 0.0, "clone_2.f_mutation": 5e-8, "clone_2.f_sensitive_kill": 0.0}
    grown = run(pair, 1800, values, points=2).isel(time=-1)
    share = float(grown["clone_2__n_tumor"] / grown["tumor__n_tumor"])
    assert 1e-6 < share < 1e-4
    start = {name: float(grown[name]) for name in pair.ids.values() if name in grown and name.endswith("n_grown")}
    data = run(pair, 10 * YEAR, values | start | of(CLONES, KILLED | NO_TOLERANCE))
    assert float((data["clone_2__n_tumor"] / data["tumor__n_tumor"])[-1]) > 0.9


def test_a_tumor_that_is_extinct_stays_so_and_solver_noise_regrows_without_the_guard(pair):
    """Two years of an overwhelming dose, then none for twenty; knock-out: the guard."""
    values = DIAGNOSED | {"clone_2.n_grown": 0.0}
    treated = run(pair, 2 * YEAR, values | of(CLONES, {"r_kill_division": 20.0} | NO_TOLERANCE)).isel(time=-1)
    assert 0 <= float(treated["tumor__n_tumor"]) < 0.05
    start = {"clone_1.n_grown": float(treated["clone_1__n_grown"]), "clone_2.n_grown": 0.0, "clone_2.f_mutation": 0.0}
    later = run(pair, 20 * YEAR, start | {"tumor.n_extinct": xr.DataArray([0.01, 1e-9], dims="guard")})
    end = later["tumor__n_tumor"].isel(time=-1).values
    assert end[0] < 1 and end[1] > 1e9


# ---------------------------------------------------------------- phenotypes of a clone


def six_populations(p, days, kill):
    """Epithelial, hybrid, mesenchymal stem-like cells, then differentiated ones: the chain of `clone` with killing."""
    a, rates = p["a_emt"], np.zeros((6, 6))

    def move(source, target, rate):
        rates[target, source] += rate
        rates[source, source] -= rate

    for shift in (0, 3):
        move(shift, 1 + shift, p["k_eh"] * a ** p["hill_emt"])
        move(1 + shift, shift, p["k_he"] * (1 - a))
        move(1 + shift, 2 + shift, p["k_hm"] * a)
        move(2 + shift, 1 + shift, p["k_mh"] * (1 - a))
    for state, weight in enumerate((1.0, p["f_plasticity_hybrid"], p["f_plasticity_mesenchymal"])):
        move(state, state + 3, p["k_differentiate"])
        move(state + 3, state, p["k_dedifferentiate"] * weight)
    tolerance = np.array([1.0, p["f_kill_hybrid"], p["f_kill_mesenchymal"]])
    killed = kill * p["k_gompertz"] * np.concatenate([p["f_kill_stem"] * tolerance, tolerance])
    rates += np.diag(p["k_gompertz"] - killed)
    return expm(rates * days) @ np.array([1e9, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("kill", [0.0, 3.0, 20.0])
@pytest.mark.parametrize("score", [0.1, 0.5])
def test_killing_by_phenotype_is_that_of_six_populations(clone, kill, score):
    """Cells and shares against a matrix exponential; at zero dose that is growth without a drug."""
    p = {name: row.nominal for name, row in clone.table.items()} | {"a_emt": score}
    start = {"a_emt": score, "init_n_epithelial_stem": 1e9}
    data = run(clone, 200, start | {"r_kill_division": kill}, points=5)
    for moment in data["time"].values[1:]:
        counts, here = six_populations(p, moment, kill), data.sel(time=moment)
        assert float(here["n_tumor"]) == pytest.approx(counts.sum(), rel=1e-6)
        for name, part in (("f_hybrid", [1, 4]), ("f_mesenchymal", [2, 5]), ("f_stem", [0, 1, 2])):
            assert float(here[name]) == pytest.approx(counts[part].sum() / counts.sum(), rel=1e-5), name


def test_mesenchymal_tumors_tolerate_and_the_knock_out_of_tolerance_makes_them_equal(clone):
    """Fischer 2015, Zheng 2015: cells after EMT survive chemotherapy; without tolerance EMT changes nothing."""
    score = {"a_emt": xr.DataArray([0.05, 0.5, 0.9], dims="emt")}
    left = run(clone, 180, score | KILLED)["n_tumor"].isel(time=-1).values
    assert (np.diff(left) > 0).all() and left[2] > 3 * left[0]
    knocked = run(clone, 180, score | KILLED | NO_TOLERANCE)["n_tumor"].isel(time=-1).values
    np.testing.assert_allclose(knocked, knocked[0], rtol=1e-6)


@pytest.mark.parametrize(("share", "constant"), [("f_mesenchymal", "f_kill_mesenchymal"), ("f_stem", "f_kill_stem")])
def test_the_drug_selects_what_it_spares(clone, share, constant):
    """Tolerant phenotypes become more frequent under the drug; without the tolerance of that phenotype they do not."""
    dose = {"r_kill_division": xr.DataArray([0.0, 10.0], dims="dose"), "a_emt": 0.3} | NO_TOLERANCE
    free, treated = run(clone, 400, dose)[share].isel(time=-1).values
    assert treated == pytest.approx(free, rel=1e-5)
    free, treated = run(clone, 400, dose | {constant: 0.2})[share].isel(time=-1).values
    assert treated > 1.1 * free


def test_no_growth_no_killing(clone):
    """Norton and Simon: a resting or shrinking tumor is spared, and so are cells on their way to the vessels."""
    rate = {"k_gompertz": xr.DataArray([0.0, -0.01], dims="rate"), "init_n_epithelial_stem": 1e6}
    untreated, treated = run(clone, 100, rate), run(clone, 100, rate | KILLED)
    np.testing.assert_allclose(treated["n_tumor"], untreated["n_tumor"], rtol=1e-8)
    before, after = (
        run(clone, 1, {"n_invading_single": 1e3, "init_n_epithelial_stem": 0.0} | drug)
        for drug in ({}, {"r_kill_division": 20.0})
    )
    np.testing.assert_allclose(after["n_invading_single"], before["n_invading_single"], rtol=1e-8)


# ---------------------------------------------------------------- lesions and single cells in organs

OCCULT = {"v_found": 0.0, "f_immune_dormant": 0.0, "f_angiogenic_dormant": 0.0, "k_eliminate": 0.0}


def test_less_than_one_kill_per_division_slows_lesions_as_a_block_does(lesions):
    """Half a kill per division, half of the growth blocked, half the growth: all one; a whole kill holds them still."""
    start = OCCULT | {"n_lesion_1": 1.0}
    slow = run(lesions, 2000, start | {"f_growth": 0.5})
    for drug in ({"r_kill_division": 0.5}, {"f_unblocked": 0.5}, {"f_survive_division": 0.75}):
        np.testing.assert_allclose(run(lesions, 2000, start | drug)["h_cumulative"], slow["h_cumulative"], rtol=1e-9)
    still = run(lesions, 2000, start | {"r_kill_division": 1.0})
    np.testing.assert_allclose(still["n_lesion_1"], 1.0, rtol=1e-12)


def test_killed_lesions_move_down_and_out_at_the_rate_of_the_classes(lesions):
    """The mean time from a class to elimination is the sum of the times in the classes below."""
    start = OCCULT | {"n_lesion_4": 1.0, "r_kill_division": 3.0}
    data = run(lesions, 4000, start, points=8001)
    rates = [2 * float(data[f"k_class_{i}"][0]) for i in range(1, 5)]
    mean = float(data["n_micrometastases"].integrate("time"))
    assert mean == pytest.approx(sum(1 / rate for rate in rates), rel=1e-4)
    assert float(data["n_overt"].max()) == 0


def test_overt_burden_shrinks_along_gompertz_backwards(lesions):
    start = {"v_found": 0.0, "n_overt": 1.0, "n_burden": 1e10, "r_kill_division": 2.5}
    data = run(lesions, 600, start)
    p = {name: row.nominal for name, row in lesions.table.items()}
    room = np.log(p["cap_lesion"] / 1e10) * np.exp(1.5 * p["k_grow"] * data["time"])
    np.testing.assert_allclose(data["n_burden"], p["cap_lesion"] * np.exp(-room), rtol=1e-6)
    np.testing.assert_allclose(data["h_cumulative"], 1.0, rtol=1e-12)


@pytest.mark.parametrize("state", ["n_immune_dormant", "n_angiogenic_dormant"])
def test_dormant_lesions_are_spared_and_return(lesions, state):
    """Two years of a drug that eliminates growing lesions leave dormant ones as they were: they relapse later."""
    drug = {"r_kill_division": 10.0}
    untreated, treated = (run(lesions, 2 * YEAR, {"v_found": 0.0, state: 1.0} | d) for d in ({}, drug))
    np.testing.assert_allclose(treated[state], untreated[state], rtol=1e-8)
    growing = run(lesions, 2 * YEAR, OCCULT | {"n_lesion_7": 1.0} | drug).isel(time=-1)
    assert float(growing["n_micrometastases"]) < 1e-3
    left = {"v_found": 0.0, state: float(treated[state][-1])}
    assert float(run(lesions, 20 * YEAR, left)["h_cumulative"][-1]) > 0.1


def test_lesions_under_a_drug_stay_first_order(lesions):
    """Three times the founding, three times every number: counts stay Poisson at any dose."""
    flux = {"v_found": xr.DataArray([1e-3, 3e-3], dims="flux"), "f_unblocked": 0.8}
    for kill in (0.6, 1.7):
        data = run(lesions, 10 * YEAR, flux | {"r_kill_division": kill}).isel(time=-1)
        for name in ("n_lesion_1", "n_lesion_2", "n_micrometastases", "n_immune_dormant"):
            once, thrice = data[name].values
            assert thrice == pytest.approx(3 * once, rel=1e-7), name


def test_dormant_cells_are_spared_and_awakened_ones_hit(cells):
    """Naumov 2003: doxorubicin does not reduce solitary dormant cells; those that divide to found are killed."""
    inflow = [name for name in cells.ids if name.startswith(("v_arrest", "v_retained", "v_node"))]
    start = dict.fromkeys(inflow, 0.0) | {"n_dormant": 1e5, "f_wake": 10.0, "k_found": 1e-6}
    kill = np.array([0.0, 0.4, 1.0, 20.0])
    data = run(cells, YEAR, start | {"r_kill_division": xr.DataArray(kill, dims="dose")})
    for name in ("n_dormant", "n_awakened"):
        np.testing.assert_allclose(data[name].std("dose"), 0.0, atol=1e-9 * float(data[name].max()))
    found = data["v_found"].isel(time=-1).values
    assert found[0] > 0
    np.testing.assert_allclose(found / found[0], np.clip(1 - kill, 0, None), rtol=1e-9, atol=1e-12)
    spared = run(cells, YEAR, start | {"r_kill_division": 20.0, "f_sensitive_kill": 0.0})["v_found"][-1]
    assert float(spared) == pytest.approx(found[0], rel=1e-9)


def test_founders_that_are_killed_are_counted_as_deaths(cells):
    """Arrived = died + founders + change of the cells held, under a drug that kills a part of the founders."""
    values = {"k_found": 0.05, "r_kill_division": xr.DataArray([0.0, 0.5, 3.0], dims="dose")}
    data = run(cells, 30, values, points=6001)
    flux = data["v_arrived"] - data["v_die"] - data["v_founders"]
    change = data["n_in_transit"].isel(time=-1) - data["n_in_transit"].isel(time=0)
    np.testing.assert_allclose(flux.integrate("time"), change, rtol=1e-4)


# ---------------------------------------------------------------- no drug, any dose


def test_without_a_drug_neither_sensitivity_nor_tolerance_matters(pair, lesions, cells):
    """Untreated growth is Gompertz whatever the clone would answer; so are lesions and founding."""
    traits = {"f_sensitive_kill": 0.3, "f_sensitive_block": 0.1, "f_kill_hybrid": 0.2, "f_kill_stem": 0.9}
    plain, odd = (run(pair, 2000, DIAGNOSED | of(CLONES, more)) for more in ({}, traits))
    for name in ("tumor__n_tumor", "clone_1__f_stem", "clone_1__v_shed_single", "tumor__k_growth", "clone_1__v_births"):
        np.testing.assert_allclose(odd[name], plain[name], rtol=1e-12)
    assert (plain["clone_1__v_drug"] == 0).all()
    room = np.log(CAPACITY / 1e9) * np.exp(-8.6e-4 * plain["time"])
    np.testing.assert_allclose(plain["tumor__n_tumor"], CAPACITY * np.exp(-room), rtol=1e-6)
    a, b = (run(lesions, 10 * YEAR, {"f_sensitive_kill": s, "f_sensitive_block": s}) for s in (1.0, 0.0))
    np.testing.assert_allclose(a["n_burden"], b["n_burden"], rtol=1e-12)
    a, b = (run(cells, YEAR, {"f_sensitive_kill": s}) for s in (1.0, 0.0))
    np.testing.assert_allclose(a["v_found"], b["v_found"], rtol=1e-12)


DOSES = {
    "r_kill_division": st.floats(0, 20),
    "f_unblocked": st.floats(0, 1),
    "f_survive_division": st.floats(0, 1),
    "f_sensitive_kill": st.floats(0, 1),
}
PHENOTYPE = {f"f_kill_{name}": st.floats(0, 1) for name in PHENOTYPES} | {"a_emt": st.floats(0, 1)}
LOOSE = cascade.Solver(relative_tolerance=1e-6)


@settings(max_examples=25)
@given(first=st.fixed_dictionaries(DOSES | PHENOTYPE), second=st.fixed_dictionaries(DOSES | PHENOTYPE))
def test_no_dose_makes_a_tumor_negative(pair, first, second):
    values = DIAGNOSED | of(["clone_1"], first) | of(["clone_2"], second)
    data = run(pair, 10 * YEAR, values, points=51, solver=LOOSE)
    for name in ("n_tumor", "n_epithelial", "n_hybrid", "n_mesenchymal", "v_shed_single", "v_death", "v_births"):
        for instance in CLONES:
            scale = float(data[f"{instance}__{name}"].max())
            assert float(data[f"{instance}__{name}"].min()) >= -1e-6 * max(scale, 1e-6), name
    for instance in CLONES:
        for share in ("f_epithelial", "f_hybrid", "f_mesenchymal", "f_stem"):
            assert (
                -1e-5 < float(data[f"{instance}__{share}"].min()) <= float(data[f"{instance}__{share}"].max()) < 1.00001
            )


@settings(max_examples=25)
@given(dose=st.fixed_dictionaries(DOSES), sensitive_block=st.floats(0, 1), overt=st.floats(0, 10))
def test_no_dose_makes_lesions_negative(lesions, dose, sensitive_block, overt):
    start = {"n_overt": overt, "n_burden": 5.2e9 * overt, "n_lesion_5": 1.0, "f_sensitive_block": sensitive_block}
    data = run(lesions, 20 * YEAR, start | dose, points=41, solver=LOOSE)
    names = [f"n_lesion_{i}" for i in range(1, 9)] + ["n_immune_dormant", "n_angiogenic_dormant", "n_burden"]
    for name in names:
        assert float(data[name].min()) >= -1e-9 * max(float(data[name].max()), 1.0), name
    assert (np.diff(data["h_cumulative"]) >= -1e-9).all()


# ---------------------------------------------------------------- targets and compositions


def test_an_ideal_block_of_division_or_growth_is_a_target(pair):
    """Half of the divisions failing holds a tumor still; all of its growth blocked does too."""
    rows = {row.target: row for row in read_targets()}
    for name, by in (("dividing", 0.5), ("proliferation", 1.0)):
        acts = resolve_acts(rows[name], pair)
        assert {sign for _, sign in acts} == {"-"} and len(acts) == 2
        treated = cascade.treat(pair, *(cascade.inhibit(flat, by=by, start=10.0) for flat, _ in acts))
        size = run(treated, 500, DIAGNOSED | of(CLONES, NO_TOLERANCE))["tumor__n_tumor"]
        np.testing.assert_allclose(size[5:], size[5], rtol=1e-6)


def resistant_breast(folder):
    (folder / "composition.toml").write_text(
        'extends = "breast_lite"\n[index]\nresistant = ["clone_r"]\n', encoding="utf-8"
    )
    return cascade.compose(cascade.load_composition(folder))


@pytest.mark.slow
def test_a_resistant_clone_carries_metastases_through_therapy(tmp_path):
    """Index set `resistant`: its clone takes over primary and lesions under a cytotoxic; knock-out: it is sensitive."""
    model = resistant_breast(tmp_path)
    plain = cascade.compose(cascade.load_composition("breast_lite"))
    names = ["endpoints__h_cumulative", "endpoints__n_burden_distant", "primary_tumor__n_tumor"]
    base = {"f_metastatic_potential": 20.0, "primary_tumor.f_surgery": 0.0}
    never = run(model, 12 * YEAR, base | {"clone_r.f_mutation": 0.0}, solver=LOOSE)
    alone = run(plain, 12 * YEAR, base, solver=LOOSE)
    for name in names:
        np.testing.assert_allclose(never[name], alone[name], rtol=1e-3, atol=1e-3, err_msg="no mutants, no difference")
    kill = {name: 4.0 for name in model.table if name.endswith("__r_kill_division") or name == "r_kill_division"}
    begun = run(model, 1800, base, points=2, solver=LOOSE).isel(time=-1)
    states = {name: float(begun[name]) for name in begun.data_vars if name in states_of(model)}
    sensitive = xr.DataArray([0.0, 1.0], dims="clone_r")
    data = run(model, 15 * YEAR, base | states | kill | {"clone_r.f_sensitive_kill": sensitive}, solver=LOOSE)
    end = data.isel(time=-1)
    share = (end["clone_r__n_tumor"] / end["primary_tumor__n_tumor"]).values
    assert share[0] > 0.9 and float(end["primary_tumor__n_tumor"][1]) < 1e3
    burden = [
        sum(end[f"{organ}_{kind}"] for organ in ("bone", "lung", "liver")).values
        for kind in ("clone_r_lesions__n_burden", "lesions__n_burden")
    ]
    assert burden[0][0] > 10 * burden[1][0] and burden[0][0] > 100 * burden[0][1]


def states_of(model):
    from cascade._canonical import symbol_table

    return {s.id for s in symbol_table(model.flat).values() if s.role in ("integrated", "switched")}


def test_cells_in_organs_answer_as_the_clone_that_shed_them(tmp_path):
    """The founders of a resistant clone are spared where those of a sensitive one are killed."""
    instances = {
        "left": "clone",
        "right": "clone",
        "left_cells": "disseminated_cells",
        "right_cells": "disseminated_cells",
    }
    joins = {f"{side}_cells.f_sensitive_kill": f"{side}.f_kill_response" for side in ("left", "right")}
    model = cascade.compose(cascade.load_composition(make_shipped_composition(tmp_path, instances, joins)))
    data = run(
        model,
        10,
        {"left_cells.r_kill_division": 2.0, "right_cells.r_kill_division": 2.0, "right.f_sensitive_kill": 0.0},
    )
    assert float(data["left_cells__v_found"][-1]) == 0 < float(data["right_cells__v_found"][-1])
