"""Behavior of the module `microenvironment`: stroma, myeloid cells, matrix, lactate, pH and vesicles of one tumor.

Densities in 1e6 cells/ml, cytokines in nM, lactate in mM, time in days. Drugs take 90 % of their target.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import cascade
from tests.reference import wang2022_myeloid

TIGHT = cascade.Solver(relative_tolerance=1e-9)
STATES = (
    "d_caf",
    "d_m1",
    "d_m2",
    "d_mdsc",
    "c_tgfb",
    "c_ccl2",
    "c_lactate",
    "c_proton",
    "d_vesicle",
    "a_collagen",
    "a_crosslinked",
    "f_marrow",
)
HYPOXIC = {"c_hif": 9.0, "f_perfusion": 0.6}


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    return cascade.compose(cascade.load_module("microenvironment"))


@pytest.fixture(scope="module")
def base(model: cascade.Model) -> xr.Dataset:
    """Return the oxygenated, untreated tumor at rest."""
    return settle(model)


def nominal(model: cascade.Model, name: str) -> float:
    return {row.id: row.nominal for row in model.parameters}[name]


def settle(model: cascade.Model, **values: object) -> xr.Dataset:
    """Return the steady state under constant values."""
    return cascade.simulate(model, days=3000, points=2, values=values, solver=TIGHT).isel(time=-1, drop=True)


def treated(model: cascade.Model, target: str, days: float = 1000, by: float = 0.9, **values: object) -> xr.Dataset:
    """Return the course under a drug from day 0 on, in the untreated tumor."""
    drugged = cascade.treat(model, cascade.inhibit(target, by=by))
    return cascade.simulate(drugged, days=days, points=int(2 * days) + 1, values=values)


def last(run: xr.Dataset, name: str) -> float:
    return float(run[name].isel(time=-1))


def first(run: xr.Dataset, name: str) -> float:
    return float(run[name].isel(time=0))


def scan(*values: float) -> xr.DataArray:
    return xr.DataArray(list(values), dims="dose")


# -- the untreated tumor


def test_oxygenated_tumor_is_inside_the_published_ranges(base: xr.Dataset) -> None:
    assert 5 <= float(base["c_lactate"]) <= 12
    assert 6.7 <= float(base["a_ph"]) <= 7.1
    assert 0.10 <= float(base["f_tam"]) <= 0.35
    assert 0.03 <= float(base["c_tgfb"]) <= 0.15
    assert 0.016 <= float(base["c_tgfb"]) <= 0.08  # baseline of Wang 2022, both parameter files
    assert float(base["d_mdsc"]) < 0.164  # largest density of Wang 2022
    assert float(base["f_m2"]) > 0.8
    assert float(base["a_matrix"]) > 1.5


def test_base_values_are_those_that_pdl1_immune_assumes_alone(base: xr.Dataset) -> None:
    ports = {row.id: row.nominal for row in cascade.load_module("pdl1_immune").parameters}
    for name in ("c_tgfb", "c_lactate", "f_mdsc", "f_excluded"):
        assert float(base[name]) == pytest.approx(ports[name], rel=0.15), name


def test_start_is_the_steady_state(model: cascade.Model, base: xr.Dataset) -> None:
    run = cascade.simulate(model, days=730, points=25, solver=TIGHT)
    for name in STATES:
        np.testing.assert_allclose(run[name], first(run, name), rtol=1e-6, err_msg=name)
    elsewhere = settle(model, init_tgfb=0.3, init_proton=400.0, init_m2=0.2)
    for name, found in (("init_tgfb", "c_tgfb"), ("init_proton", "c_proton"), ("init_m2", "f_m2")):
        assert float(elsewhere[found]) == pytest.approx(nominal(model, name), rel=1e-6), name
    assert float(base["f_monocyte"]) == pytest.approx(1, rel=1e-9)


# -- hypoxia


def test_hypoxia_raises_lactate_and_acid(model: cascade.Model, base: xr.Dataset) -> None:
    hypoxic = settle(model, **HYPOXIC)
    assert float(hypoxic["c_lactate"]) >= 1.8 * float(base["c_lactate"])
    assert float(hypoxic["a_ph"]) <= float(base["a_ph"]) - 0.15
    assert 6.5 <= float(hypoxic["a_ph"]) <= 6.9  # Robey 2009
    relieved = settle(model, c_hif=1.5, f_perfusion=2.0)
    assert float(relieved["c_lactate"]) < float(base["c_lactate"])
    assert float(relieved["a_ph"]) > float(base["a_ph"])


def test_hypoxia_raises_macrophages_and_mdsc_even_with_poor_perfusion(model: cascade.Model, base: xr.Dataset) -> None:
    hypoxic = settle(model, **HYPOXIC)
    for name in ("f_tam", "d_mdsc", "f_mdsc", "f_m2"):
        assert float(hypoxic[name]) > float(base[name]), name
    assert float(hypoxic["f_tam"]) >= 1.2 * float(base["f_tam"])
    assert float(hypoxic["d_mdsc"]) >= 1.2 * float(base["d_mdsc"])
    perfusion = settle(model, f_perfusion=scan(0.3, 1.0, 3.0))["d_mdsc"].values
    np.testing.assert_allclose(perfusion, perfusion[1], rtol=0.01)


def test_milieu_is_graded_over_the_span_of_tumor_oxygenation(model: cascade.Model) -> None:
    run = settle(model, c_hif=scan(0, 1, 2, 4, 6, 9))
    for name in ("c_lactate", "f_tam", "d_mdsc", "a_matrix", "d_vesicle", "c_ccl2", "c_tgfb"):
        assert (run[name].diff("dose") > 0).all(), name
    assert (run["a_ph"].diff("dose") < 0).all()


def test_hypoxic_attraction_needs_its_factors(model: cascade.Model) -> None:
    """Without SEMA3A and the like only CCL2 is left, and the difference made by hypoxia shrinks."""
    hif = scan(2, 9)
    full = settle(model, c_hif=hif)["d_mdsc"].values
    without = settle(model, c_hif=hif, w_attract_hypoxia=0.0)["d_mdsc"].values
    assert 1 < without[1] / without[0] < 0.9 * full[1] / full[0]


# -- acid and lactate


def test_ldh_inhibitor_raises_ph_and_lowers_lactate(model: cascade.Model) -> None:
    run = treated(model, "k_produce_lactate", days=60)
    assert last(run, "a_ph") >= first(run, "a_ph") + 0.2
    assert last(run, "c_lactate") < 0.4 * first(run, "c_lactate")
    assert last(run, "a_ph") < 7.4


def test_bicarbonate_raises_ph_without_changing_lactate_much(model: cascade.Model, base: xr.Dataset) -> None:
    run = settle(model, c_buffer=scan(0, 6, 12, 24, 48))
    assert (run["a_ph"].diff("dose") > 0).all()
    assert 0.05 <= float(run["a_ph"][2] - run["a_ph"][0]) <= 0.45
    assert float(run["a_ph"].max()) < 7.4
    np.testing.assert_allclose(run["c_lactate"][:4], float(base["c_lactate"]), rtol=0.1)
    for name in ("f_tam", "f_mdsc", "f_excluded"):
        np.testing.assert_allclose(run[name], float(base[name]), rtol=0.05, err_msg=name)


def test_free_protons_per_lactate_follow_from_the_bicarbonate_buffer(model: cascade.Model) -> None:
    """Titrate 12 mM bicarbonate at pH 7.2 and constant CO2 with 1 mM of acid (Henderson-Hasselbalch)."""
    before, bicarbonate, acid = 10 ** (9 - 7.2), 12.0, 1.0
    after = before * bicarbonate / (bicarbonate - acid)
    assert nominal(model, "r_proton_lactate") == pytest.approx((after - before) / acid, rel=0.15)


def test_ph_is_that_of_the_protons(model: cascade.Model, base: xr.Dataset) -> None:
    assert float(base["a_ph"]) == pytest.approx(9 - np.log10(float(base["c_proton"])), abs=1e-5)
    acid_free = settle(model, k_produce_lactate=0.0)
    assert float(acid_free["a_ph"]) == pytest.approx(7.4, abs=1e-6)
    assert float(acid_free["c_lactate"]) == pytest.approx(nominal(model, "c_lactate_blood"), rel=1e-6)


# -- macrophages and monocytes


def test_csf1r_inhibitor_removes_macrophages_and_with_them_tgf_beta(model: cascade.Model) -> None:
    run = treated(model, "f_csf1r", days=365)
    assert last(run, "f_tam") <= 0.1 * first(run, "f_tam")
    assert float(run["f_tam"].sel(time=28)) <= 0.2 * first(run, "f_tam")  # weeks, as in patients (Ries 2014)
    assert last(run, "f_m2") < 0.6 * first(run, "f_m2")
    assert last(run, "c_tgfb") < 0.9 * first(run, "c_tgfb")
    assert last(run, "c_il10") < 0.05 * first(run, "c_il10")
    assert last(run, "d_mdsc") == pytest.approx(first(run, "d_mdsc"), rel=0.05)


def test_ccr2_block_keeps_monocytes_in_marrow_and_out_of_the_tumor(model: cascade.Model) -> None:
    run = treated(model, "f_ccr2", days=365)
    assert last(run, "f_monocyte") < 0.6
    assert last(run, "f_marrow") > 1.3
    assert last(run, "f_tam") < 0.3 * first(run, "f_tam")
    assert last(run, "f_mdsc") < 0.4 * first(run, "f_mdsc")
    assert last(run, "c_tgfb") < first(run, "c_tgfb")
    assert last(run, "c_ccl2") == pytest.approx(first(run, "c_ccl2"), rel=0.05)


def test_ccl2_brings_macrophages_and_mdsc(model: cascade.Model) -> None:
    secreted = nominal(model, "k_secrete_ccl2") * scan(0, 0.3, 1, 10)
    run = settle(model, k_secrete_ccl2=secreted)
    assert (run["f_tam"].diff("dose") > 0).all()
    assert (run["f_mdsc"].diff("dose") > 0).all()
    assert float(run["f_tam"][0]) > 0  # hypoxic attractants are left


def test_end_of_ccr2_block_releases_the_stored_monocytes(model: cascade.Model) -> None:
    """Bonapace 2014: interruption of CCL2 inhibition releases monocytes from marrow, above the untreated level."""
    drugged = cascade.treat(model, cascade.inhibit("f_ccr2", by=0.9, start=1, stop=31))
    run = cascade.simulate(drugged, days=120, points=1201)
    after = run.sel(time=slice(31.1, None))
    assert float(after["f_monocyte"].max()) > 1.3
    assert float(after["f_monocyte"].isel(time=-1)) == pytest.approx(1, rel=0.01)
    assert float(after["d_mdsc"].max()) > first(run, "d_mdsc")
    week = float(after["d_mdsc"].sel(time=38, method="nearest"))
    assert week == pytest.approx(first(run, "d_mdsc"), rel=0.1)
    shorter = cascade.treat(model, cascade.inhibit("f_ccr2", by=0.9, start=1, stop=1.5))
    brief = cascade.simulate(shorter, days=10, points=1001)["f_monocyte"]
    assert float(brief.max()) < float(after["f_monocyte"].max())


def test_ifn_gamma_repolarizes_without_changing_numbers(model: cascade.Model, base: xr.Dataset) -> None:
    run = settle(model, c_ifng=scan(0, 0.00026, 0.003, 0.03, 0.3))
    assert (run["f_m2"].diff("dose") < 0).all()
    assert float(run["f_m2"][3]) < 0.6
    assert float(run["f_m2"][4]) < 0.15
    assert (run["c_il10"].diff("dose") < 0).all()
    total = (run["d_m1"] + run["d_m2"]).values
    np.testing.assert_allclose(total, total[0], rtol=0.01)


def test_m2_signals_are_redundant(model: cascade.Model, base: xr.Dataset) -> None:
    """Blocking one of TGF-beta, IL-10 and lactate leaves most macrophages M2; without all three they stay M1."""
    values = {"f_tgfbr": 0.0, "k_secrete_il10": 0.0, "k_produce_lactate": 0.0}
    for name, value in values.items():
        assert float(settle(model, **{name: value})["f_m2"]) > 0.7, name
    assert float(settle(model, **values)["f_m2"]) < 0.6 * float(base["f_m2"])


# -- fibroblasts, TGF-beta, matrix


def test_tgf_beta_inhibitor_cuts_fibroblasts_and_exclusion(model: cascade.Model) -> None:
    run = treated(model, "f_tgfbr", days=365)
    assert last(run, "d_caf") <= 0.6 * first(run, "d_caf")
    assert last(run, "f_excluded") <= 0.7 * first(run, "f_excluded")
    assert last(run, "a_matrix") < first(run, "a_matrix")
    half = 0.5 * (first(run, "d_caf") + last(run, "d_caf"))
    assert 5 < float(run["time"][run["d_caf"].values < half][0]) < 28


def test_matrix_activates_tgf_beta(model: cascade.Model, base: xr.Dataset) -> None:
    """Latent TGF-beta needs resisting matrix (Wipff 2007): a stiffer tumor has more active and less latent."""
    stiff = settle(model, k_deposit=2 * nominal(model, "k_deposit"))
    soft = settle(model, k_deposit=0.0)
    for name, order in (("c_tgfb", 1), ("c_tgfb_latent", -1), ("d_caf", 1)):
        assert order * float(soft[name]) < order * float(base[name]) < order * float(stiff[name]), name
    assert float(soft["a_matrix"]) == pytest.approx(1, abs=1e-9)


def test_supply_from_other_cells_adds_to_active_tgf_beta(model: cascade.Model) -> None:
    still = {"k_activate_tgfb": 0.0}
    run = settle(model, v_tgfb_supply=scan(0, 0.19), **still)["c_tgfb"].values
    assert run[1] - run[0] == pytest.approx(0.19 / nominal(model, "k_clear_tgfb"), rel=1e-6)
    feedback = settle(model, v_tgfb_supply=scan(0, 0.19, 5))
    assert (feedback["c_tgfb"].diff("dose") > 0).all()
    assert (feedback["d_caf"].diff("dose") > 0).all()
    assert float(feedback["d_caf"].max()) < nominal(model, "cap_caf")


def test_lox_inhibitor_lowers_matrix_and_opens_the_tumor(model: cascade.Model) -> None:
    run = treated(model, "k_crosslink", days=365)
    assert last(run, "a_matrix") < 0.9 * first(run, "a_matrix")
    assert last(run, "a_crosslinked") < 0.4 * first(run, "a_crosslinked")
    assert last(run, "f_excluded") < 0.8 * first(run, "f_excluded")
    assert last(run, "c_tgfb") < first(run, "c_tgfb")
    hypoxic = settle(model, c_hif=scan(0, 9))["a_crosslinked"].values
    assert hypoxic[1] > 1.3 * hypoxic[0]


def test_collagenase_dissolves_the_matrix_of_the_tumor_only(model: cascade.Model) -> None:
    drugged = cascade.treat(model, cascade.activate("k_degrade_matrix", by=4, start=10, stop=24))
    run = cascade.simulate(drugged, days=365, points=731)
    low = run.sel(time=24)
    assert float(low["a_matrix"]) < 0.8 * first(run, "a_matrix")
    assert float(low["f_excluded"]) < 0.7 * first(run, "f_excluded")
    assert float(run["a_matrix"].min()) > 1
    assert last(run, "a_matrix") > 0.9 * first(run, "a_matrix")  # comes back when the enzyme is gone


def test_antifibrotic_and_vesicle_inhibitor_lower_exclusion(model: cascade.Model) -> None:
    assert last(treated(model, "k_deposit"), "f_excluded") < 0.7 * first(
        treated(model, "k_deposit", days=1), "f_excluded"
    )
    run = treated(model, "k_release_vesicle")
    assert last(run, "d_caf") < first(run, "d_caf")


# -- vesicles


def test_vesicles_come_from_stem_like_hypoxic_and_acid_cells(model: cascade.Model, base: xr.Dataset) -> None:
    stem = settle(model, f_stem=0.2)
    assert 1.5 <= float(stem["v_vesicle"] / base["v_vesicle"]) <= 3
    medium = {"k_produce_lactate": 0.0, "k_wash_proton": 0.0, "c_proton": scan(39.8107, 316.0, 1000.0)}
    acid = cascade.simulate(model, days=10, points=2, values=medium).isel(time=-1)["v_vesicle"].values
    assert 1.3 <= acid[1] / acid[0] <= 6  # pH 6.5 over 7.4, Logozzi 2018
    assert acid[2] > acid[1]  # pH 6.0, Parolini 2009
    buffered = {"k_produce_lactate": 0.0, "c_hif": scan(0.0, 9.0)}
    hypoxic = settle(model, **buffered)["v_vesicle"].values
    assert 1.1 <= hypoxic[1] / hypoxic[0] <= 3  # King 2012
    assert float(settle(model, c_buffer=24.0)["v_vesicle"]) < float(base["v_vesicle"])


def test_vesicle_rate_is_that_of_single_breast_cancer_cells(model: cascade.Model) -> None:
    dish = settle(model, c_hif=0.0, f_stem=0.0, k_produce_lactate=0.0)
    per_cell_and_hour = float(dish["v_vesicle"]) * 1e9 / 200e6 / 24
    assert 60 <= per_cell_and_hour <= 65  # Chiu 2016


def test_vesicles_leave_the_blood_within_minutes(model: cascade.Model, base: xr.Dataset) -> None:
    turnover = float(base["v_vesicle"] / base["d_vesicle_blood"])
    assert 2 <= np.log(2) / turnover * 1440 <= 30
    run = treated(model, "k_release_vesicle", days=10)
    assert last(run, "v_vesicle") == pytest.approx(0.1 * first(run, "v_vesicle"), rel=0.01)


# -- the tumor goes


def test_stroma_resolves_over_weeks_without_tumor_cells(model: cascade.Model) -> None:
    start = {name: float(cascade.simulate(model, days=1, points=2)[name][0]) for name in STATES}
    run = cascade.simulate(model, days=730, points=1461, values={"d_tumor": 0.0, **start})
    for name in STATES:
        assert first(run, name) == pytest.approx(start[name], rel=1e-9), name
        assert float(run[name].min()) >= -1e-9 * start[name], name

    def half(name: str, rest: float = 0.0) -> float:
        course = run[name].values - rest
        return float(run["time"].values[course < 0.5 * course[0]][0])

    assert half("c_lactate", 1.2) < 1
    assert half("d_vesicle") < 1
    assert 3 < half("d_caf") < 28
    assert 14 < half("a_matrix", 1) < 120
    assert half("d_mdsc") < 28
    assert last(run, "a_ph") == pytest.approx(7.4, abs=1e-6)
    assert last(run, "a_matrix") == pytest.approx(1, abs=0.01)
    assert last(run, "d_caf") < 1e-3 * start["d_caf"]
    assert last(run, "c_tgfb") < 1e-3 * start["c_tgfb"]
    assert last(run, "f_excluded") < 0.1


def test_a_tissue_without_tumor_stays_normal(model: cascade.Model) -> None:
    run = cascade.simulate(
        model, days=365, points=13, values={"d_tumor": 0.0, "init_tgfb": 0.0, "init_proton": 39.8107}
    )
    for name in ("d_caf", "d_m1", "d_m2", "d_mdsc", "c_tgfb", "c_ccl2", "d_vesicle", "a_collagen", "f_mdsc", "f_tam"):
        assert float(abs(run[name]).max()) < 1e-9, name
    np.testing.assert_allclose(run["a_ph"], 7.4, atol=1e-6)
    np.testing.assert_allclose(run["f_marrow"], 1, rtol=1e-9)


# -- bounds


def test_nothing_is_negative_and_shares_stay_shares(model: cascade.Model) -> None:
    corners = {
        "d_tumor": [0.0, 1.0, 200.0, 200.0, 200.0, 250.0],
        "c_hif": [0.0, 50.0, 0.0, 9.0, 50.0, 9.0],
        "f_perfusion": [1.0, 0.1, 5.0, 0.1, 0.5, 1.0],
        "f_csf1r": [1.0, 0.0, 0.0, 1.0, 0.5, 1.0],
        "f_ccr2": [1.0, 1.0, 0.0, 0.0, 1.0, 0.5],
        "f_tgfbr": [1.0, 0.0, 1.0, 0.0, 1.0, 1.0],
        "c_ifng": [0.0, 10.0, 0.0, 1.0, 0.0, 0.0],
        "v_tgfb_supply": [0.0, 0.0, 20.0, 0.0, 5.0, 20.0],
    }
    values = {name: xr.DataArray(found, dims="corner") for name, found in corners.items()}
    run = cascade.simulate(model, days=400, points=201, values=values)
    assert set(np.atleast_1d(run["status"].values)) == {"ok"}
    for name in STATES:
        assert float(run[name].min()) >= -1e-9 * max(float(run[name].max()), 1e-6), name
    for name in ("f_mdsc", "f_excluded", "f_tam", "f_m2"):
        assert float(run[name].min()) >= -1e-5 and float(run[name].max()) <= 1, name
    assert float(run["a_ph"].min()) > 5.5 and float(run["a_ph"].max()) < 7.5


# -- against the myeloid part of a published model


def published_setting(tgfb: float, clear: float) -> dict[str, float]:
    """Reduce the module to what Wang 2022 describes: constant TGF-beta, CCL2 of the tumor cells only, no hypoxia."""
    return {
        "c_hif": 0.0,
        "k_activate_tgfb": 0.0,
        "v_tgfb_supply": tgfb * clear,
        "init_tgfb": tgfb,
        "k_activate_caf": 0.0,
        "ec50_lactate_m2": 1e9,
        "v_recruit_mac": 0.2,
        "k_die_mdsc": 0.015,
        "v_recruit_mdsc": 0.002,
        "c_ifng": 0.0,
    }


@pytest.mark.parametrize("tgfb", [0.016, 0.08, 0.3])
def test_myeloid_cells_follow_the_published_model(model: cascade.Model, tgfb: float) -> None:
    times = np.linspace(0, 400, 81)
    empty = {"d_m1": 0.0, "d_m2": 0.0, "d_mdsc": 0.0, "c_ccl2": 0.0}
    values = published_setting(tgfb, nominal(model, "k_clear_tgfb")) | empty
    run = cascade.simulate(model, days=400, points=81, values=values, solver=TIGHT)
    expected = wang2022_myeloid.run(times, tumor=200, tgfb=tgfb, secrete_il12=0.0)
    for name, found in (("ccl2", "c_ccl2"), ("mdsc", "d_mdsc"), ("m1", "d_m1"), ("m2", "d_m2")):
        # IL-10 is in quasi-steady state here (4 per day against weeks)
        np.testing.assert_allclose(
            run[found], expected[name], rtol=0.02, atol=2e-3 * expected[name].max(), err_msg=name
        )
    no, arginase = expected["no"][-1], expected["arginase"][-1]
    assert last(run, "f_mdsc") == pytest.approx(wang2022_myeloid.suppression(no, arginase), rel=0.03)


def test_il12_which_is_left_out_would_lower_the_m2_share(model: cascade.Model) -> None:
    with_il12 = wang2022_myeloid.run([0, 2000.0], tumor=200, tgfb=0.06)
    without = wang2022_myeloid.run([0, 2000.0], tumor=200, tgfb=0.06, secrete_il12=0.0)
    share = [float(found["m2"][-1] / (found["m1"][-1] + found["m2"][-1])) for found in (with_il12, without)]
    assert share[0] < share[1]
    run = settle(model, **published_setting(0.06, nominal(model, "k_clear_tgfb")))
    assert float(run["f_m2"]) == pytest.approx(share[1], rel=0.02)
