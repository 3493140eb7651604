"""EMT module: two coupled switches with a hybrid state between them (Tian 2013, Lu 2013, Hong 2015).

A scan of the drive holds each value for 4,000 hours, from an epithelial and from a mesenchymal start; the states that
the cells keep are the two branches of the hysteresis.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import cascade

HOLD = 4000 / 24  # day
HYBRID, MESENCHYMAL = 0.25, 0.85  # limits of the EMT score
DRIVE = np.round(np.arange(0.40, 1.6001, 0.01), 2)
SPECIES = ("c_snai1_mrna", "c_snail", "c_mir34", "c_zeb1_mrna", "c_zeb1", "c_mir200", "c_ovol2", "c_ecad", "c_vim")
FULL_STEP = 1.9 * 6.4  # nM pSMAD2: takes the drive from 0.1 to 2

# drive at which the state changes: design values, stand-alone scan in steps of 0.01
THRESHOLDS = {"E to H": 0.73, "H to M": 1.39, "M to H": 0.97, "H to E": 0.53}


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    return cascade.compose(cascade.load_module("emt"))


@pytest.fixture(scope="module")
def branches(model: cascade.Model) -> xr.Dataset:
    """Held states over the drive, dims (drive, start): start 0 epithelial, 1 mesenchymal."""
    run = cascade.simulate(
        model,
        days=HOLD,
        points=2,
        values={
            "a_drive_basal": xr.DataArray(DRIVE, dims="drive"),
            "init_mesenchymal": xr.DataArray([0.0, 1.0], dims="start"),
        },
        record=["a_emt", "f_adhesion", "f_vim", "c_ecad", "c_snail", "c_zeb1", "c_mir200"],
    )
    return run.isel(time=-1).assign_coords(drive=DRIVE).transpose("drive", "start", ...)


@pytest.fixture(scope="module")
def thresholds(branches: xr.Dataset) -> dict[str, float]:
    """The four drives at which a state is left (the end of its branch)."""
    rising, falling = branches["a_emt"].isel(start=0).values, branches["a_emt"].isel(start=1).values
    return {
        "E to H": float(DRIVE[rising > HYBRID][0]),
        "H to M": float(DRIVE[rising > MESENCHYMAL][0]),
        "M to H": float(DRIVE[falling < MESENCHYMAL][-1]),
        # the hybrid branch fades below a score of 0.25 before it ends: its end is where both starts meet
        "H to E": float(DRIVE[(abs(falling - rising) < 0.05) & (DRIVE < 0.7)][-1]),
    }


def hold(model: cascade.Model, days: float = HOLD, **values: object) -> xr.Dataset:
    return cascade.simulate(model, days=days, points=2, values=values).isel(time=-1)


def first_time(run: xr.Dataset, level: float) -> float:
    """First day on which the score passes `level`."""
    return float(run["time"].values[run["a_emt"].values > level][0])


@pytest.mark.parametrize("name", THRESHOLDS)
def test_threshold_is_at_the_design_value(thresholds: dict[str, float], name: str) -> None:
    assert THRESHOLDS[name] == pytest.approx(thresholds[name], rel=0.15)


def test_switches_are_ordered_and_hysteretic(thresholds: dict[str, float]) -> None:
    assert thresholds["E to H"] < thresholds["H to M"]
    assert thresholds["H to E"] <= thresholds["E to H"] - 0.1
    assert thresholds["M to H"] <= thresholds["H to M"] - 0.1


def test_hybrid_and_mesenchymal_states_coexist(branches: xr.Dataset) -> None:
    at = branches.sel(drive=1.2)
    expected = {  # epithelial start, mesenchymal start
        "a_emt": (0.69, 0.97),
        "c_snail": (68.7, 68.9),
        "c_zeb1": (5.2, 51.9),
        "c_mir200": (7.5, 1.1),
        "c_ecad": (99.0, 8.5),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(at[name], values, rtol=0.03, err_msg=name)


def test_scores_of_the_three_states(branches: xr.Dataset, thresholds: dict[str, float]) -> None:
    rising = branches["a_emt"].isel(start=0)
    hybrid = rising.where((rising > HYBRID) & (rising < MESENCHYMAL), drop=True)
    assert float(rising[0]) < 0.01
    assert float(hybrid.min()) == pytest.approx(0.40, abs=0.05)
    assert float(hybrid.max()) == pytest.approx(0.78, abs=0.05)
    assert float(rising[-1]) == pytest.approx(0.99, abs=0.02)


def test_adhesion_falls_and_vimentin_rises_with_the_drive(branches: xr.Dataset) -> None:
    for start in (0, 1):
        held = branches.isel(start=start)
        assert np.all(np.diff(held["f_adhesion"]) <= 1e-6)
        assert np.all(np.diff(held["f_vim"]) >= -1e-6)
        assert np.all(np.diff(held["a_emt"]) >= -1e-6)


def test_score_stays_between_zero_and_one(branches: xr.Dataset) -> None:
    assert float(branches["a_emt"].min()) >= 0
    assert float(branches["a_emt"].max()) <= 1


def test_strong_drive_reaches_hybrid_in_days_and_mesenchymal_in_about_a_week(model: cascade.Model) -> None:
    run = cascade.simulate(model, days=20, points=2001, values={"c_psmad": FULL_STEP}, record=["a_emt", "a_emt_drive"])
    assert float(run["a_emt_drive"][0]) == pytest.approx(2.0, abs=0.01)
    to_hybrid, to_mesenchymal = first_time(run, HYBRID), first_time(run, MESENCHYMAL)
    assert to_hybrid == pytest.approx(3.6, abs=0.3)
    assert 3 <= to_hybrid <= 5
    assert to_mesenchymal == pytest.approx(8.7, abs=0.5)
    assert 7 <= to_mesenchymal <= 11


def test_epithelial_start_is_a_steady_state(model: cascade.Model) -> None:
    # the closed form neglects what the few epithelial SNAIL and ZEB1 molecules repress: half a percent
    run = cascade.simulate(model, days=100, points=11)
    for name in SPECIES:
        np.testing.assert_allclose(run[name], run[name][0].broadcast_like(run[name]), rtol=5e-3, err_msg=name)
    np.testing.assert_allclose(run["a_emt"], 0.002, atol=1e-3)


def test_mesenchymal_cells_return_without_inducer_unless_mir200_is_silenced(model: cascade.Model) -> None:
    silenced = xr.DataArray([0.0, 0.5, 0.6, 0.8], dims="silenced")
    score = hold(model, days=365, init_mesenchymal=1.0, f_silenced_mir200=silenced)["a_emt"].values
    np.testing.assert_allclose(score[:2], 0.002, atol=1e-3)
    assert np.all(score[2:] > MESENCHYMAL)


def test_single_drivers_stay_epithelial_and_cooperate(model: cascade.Model) -> None:
    #                        Wnt   RAS   Notch  hypoxia  weak TGF-beta  hypoxia + weak TGF-beta
    drivers = {
        "c_bcat_tcf": [15.0, 6.83, 6.83, 6.83, 6.83, 6.83],
        "c_pperk": [100.0, 306.0, 100.0, 100.0, 100.0, 100.0],
        "c_nicd": [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        "c_hif": [0.0, 0.0, 0.0, 9.0, 0.0, 9.0],
        "c_psmad": [0.0, 0.0, 0.0, 0.0, 3.0, 3.0],
    }
    score = hold(model, **{name: xr.DataArray(v, dims="driver") for name, v in drivers.items()})["a_emt"].values
    assert np.all(score[:5] < 0.01)
    assert score[5] > HYBRID


def test_hif_drive_is_graded_over_the_span_of_tumor_oxygenation(model: cascade.Model) -> None:
    drive = hold(model, days=1, c_hif=xr.DataArray([0.0, 2.0, 4.0, 9.0], dims="hif"))["a_emt_drive"].values
    np.testing.assert_allclose(drive - drive[0], [0, 0.1, 0.171, 0.284], atol=2e-3)


def test_drive_is_the_basal_one_at_the_defaults_and_never_negative(model: cascade.Model) -> None:
    run = hold(
        model,
        days=1,
        c_bcat_tcf=xr.DataArray([6.83, 0.0], dims="signal"),
        c_pperk=xr.DataArray([100.0, 0.0], dims="signal"),
    )
    drive = run["a_emt_drive"].values
    assert drive[0] == pytest.approx(0.1, abs=1e-3)
    assert 0 < drive[1] < 1e-3


def test_genotypes(model: cascade.Model) -> None:
    p53_lost = 0.25 + 1.5 * 0.2 / (19 + 0.2)  # activity on the MIR34A promoter when p53 falls from 19 to 0.2 nM
    run = hold(
        model,
        f_p53=xr.DataArray([1.0, p53_lost, 1.0], dims="genotype"),
        f_cdh1=xr.DataArray([1.0, 1.0, 0.1], dims="genotype"),
    )
    np.testing.assert_allclose(run["c_mir34"].values[:2], [15.1, 3.7], rtol=0.05)  # TP53 loss
    assert float(run["a_emt"][1]) < 0.01
    assert float(run["a_emt"][2]) == pytest.approx(0.45, abs=0.02)  # CDH1 loss: adhesion gone ...
    assert float(run["f_adhesion"][2]) == pytest.approx(0.1, rel=0.01)
    assert float(run["c_zeb1"][2]) == pytest.approx(float(run["c_zeb1"][0]), rel=1e-6)  # ... circuit epithelial


def test_gsk3_loss_stabilizes_snail_and_lowers_the_threshold(model: cascade.Model) -> None:
    run = hold(model, a_drive_basal=0.65, f_gsk3=xr.DataArray([1.0, 0.5], dims="gsk3"))
    assert float(run["c_snail"][1]) > 2 * float(run["c_snail"][0])
    assert float(run["a_emt"][0]) < HYBRID < float(run["a_emt"][1])


def test_autocrine_tgf_beta_comes_from_cells_that_lost_mir200(model: cascade.Model) -> None:
    run = hold(model, c_psmad=xr.DataArray([0.0, FULL_STEP], dims="signal"))
    epithelial, mesenchymal = run["v_tgfb_autocrine"].values
    assert mesenchymal > 10 * epithelial > 0
    assert mesenchymal < 0.012
