"""Oxygen, HIF-1, VEGF and vessels against published responses; published numbers stand first in each comparison.

1 % O2 is 7.6 mmHg. Anti-VEGF antibody is held at 300 nM (about 45 ug/mL, 10 mg/kg every two weeks) in the tumor from
day 0. The VEGFR inhibitor is held at a multiple of its Ki.
"""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import xarray as xr
from reference import hahnfeldt1999, schmierer2010

import cascade

HOUR = 1 / 24  # day
MINUTE = 1 / 1440  # day
MONTH = 30.44  # day
MMHG_PER_PERCENT = 7.6
AIR = 160.0  # mmHg, 21 % O2
ANTIBODY = 300.0  # nM
BLOCK = 900.0  # nM of VEGFR inhibitor, 100 times its Ki
OUTPUTS = (
    "f_vessel",
    "f_perfusion",
    "f_intravasation",
    "f_growth_oxygen",
    "f_capacity",
    "f_angiogenic",
)
REFERENCE_OF = {
    "p_o2_reference": "p_o2",
    "c_hif_reference": "c_hif",
    "a_leak_reference": "a_leak",
    "a_drive_reference": "a_drive",
    "f_vessel_reference": "f_endothelial",
    "f_supply_reference": "f_supply",
}
DISH = ("c_hif_alpha", "a_phd", "a_vegf_mrna", "c_vegf")
STATES = (
    *DISH,
    "c_vegf_antibody",
    "a_bypass",
    "f_endothelial_immature",
    "f_endothelial_mature",
    "a_leak",
    "p_o2",
    "f_angiogenic",
)
COUPLED = """
title = "a Gompertz tumor and its vessels"
[instances]
tumor = "primary_tumor"
cells = "clone"
vessels = "hypoxia_vegf"
[joins]
"tumor.n_cells" = "cells.n_tumor"
"cells.k_gompertz" = "tumor.k_gompertz"
"vessels.n_tumor_external" = "tumor.n_tumor"
"vessels.k_growth_external" = "tumor.k_growth"
"""


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    return cascade.compose(cascade.load_module("hypoxia_vegf"))


def carry(run: xr.Dataset, names: tuple[str, ...] = STATES) -> dict[str, float | xr.DataArray]:
    """Start values that continue a run from its last row."""
    return {name: run[name].isel(time=-1, drop=True) for name in names}


def clamp(p_o2: float | xr.DataArray, start: xr.Dataset | None = None) -> dict[str, float | xr.DataArray]:
    """Values of a dish at fixed oxygen (mmHg), begun from the last row of another run."""
    values: dict[str, float | xr.DataArray] = {"f_clamp_o2": 1.0, "p_o2_clamp": p_o2}
    return values if start is None else values | carry(start, DISH)


@pytest.fixture(scope="module")
def air(model: cascade.Model) -> xr.Dataset:
    """Steady state at 21 % O2."""
    return cascade.simulate(model, days=40, points=3, values=clamp(AIR))


@pytest.fixture(scope="module")
def titration(model: cascade.Model, air: xr.Dataset) -> xr.Dataset:
    """Four hours after a step from 21 % to the given percentage of O2, as in Jiang 1996."""
    percent = xr.DataArray(np.array([0.1, 0.5, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 5, 10, 21]), dims="percent")
    run = cascade.simulate(model, days=4 * HOUR, points=3, values=clamp(percent * MMHG_PER_PERCENT, air))
    return run.isel(time=-1).assign_coords(percent=percent.values)


@pytest.fixture(scope="module")
def one_percent(model: cascade.Model, air: xr.Dataset) -> xr.Dataset:
    """A day at 1 % O2 after 21 %, a row every 3 minutes."""
    return cascade.simulate(model, days=1, points=481, values=clamp(MMHG_PER_PERCENT, air))


@pytest.fixture(scope="module")
def therapy(model: cascade.Model) -> xr.Dataset:
    """A course of 800 days: untreated, antibody (alone, low dose, with a second block), inhibitor, HIF inhibitor."""
    settings: dict[str, dict[str, float]] = {
        "untreated": {},
        "antibody": {"c_anti_vegf": ANTIBODY},
        "low_dose": {"c_anti_vegf": 0.3 * ANTIBODY},
        "no_bypass": {"c_anti_vegf": ANTIBODY, "w_bypass": 0},
        "half_bypass": {"c_anti_vegf": ANTIBODY, "w_bypass": 0.35},
        "anti_ang2": {"c_anti_vegf": ANTIBODY, "f_sprout_mature": 0.06},
        "antibody_hif": {"c_anti_vegf": ANTIBODY, "u_hif": 0.8},
        "inhibitor": {"c_vegfr_inhibitor": 36},
        "hif": {"u_hif": 0.8},
        "hif_complete": {"u_hif": 1},
    }
    nominal = {row.id: row.nominal for row in model.parameters}
    names = {name for setting in settings.values() for name in setting}
    arms = list(settings)
    values = {
        name: xr.DataArray([settings[arm].get(name, nominal[name]) for arm in arms], dims="arm", coords={"arm": arms})
        for name in sorted(names)
    }
    return cascade.simulate(model, days=800, points=8001, values=values)


def progression(size: xr.DataArray) -> float:
    """Day on which a tumor has 1.73 times its smallest volume so far (RECIST: 20 % in diameter); inf if never."""
    relative = size.values / np.minimum.accumulate(size.values)
    late = np.flatnonzero(relative > 1.2**3)
    return float(size["time"][late[0]]) if late.size else np.inf


# HIF-1 in a dish


def test_hif_is_half_maximal_between_the_published_oxygen_levels(titration: xr.Dataset) -> None:
    low, high = 1.5, 2.0  # %, Jiang 1996, HeLa cells
    hif = titration["c_hif_alpha"]
    half = float(np.interp(-0.5, -hif / hif.max(), hif["percent"]))
    assert low <= half <= high
    # The other reading of "half-maximal": halfway between the level at 21 % and the maximum.
    floor = hif.sel(percent=21)
    excess = (hif - floor) / (hif.max() - floor)
    assert low <= float(np.interp(-0.5, -excess, hif["percent"])) <= high


def test_hif_is_maximal_at_half_a_percent_and_falls_with_oxygen(titration: xr.Dataset) -> None:
    published = 0.5  # %, maximal response, Jiang 1996
    hif = titration["c_hif_alpha"]
    assert float(hif.sel(percent=published) / hif.sel(percent=0.1)) >= 0.90
    assert np.all(np.diff(hif) < 0)
    assert np.all(np.diff(titration["c_hif"]) < 0)


def test_hif_overshoots_and_its_own_phd_pulls_it_down(model: cascade.Model, one_percent: xr.Dataset) -> None:
    """Maximal after 4 h (Jaskiewicz 2022); the size of the fall is discussed in evidence.tsv."""
    published = 4  # h
    hif = one_percent["c_hif_alpha"]
    assert float(hif.idxmax("time")) / HOUR == pytest.approx(published, abs=1)
    assert 0.5 < float(hif[-1] / hif.max()) < 0.9
    assert float(one_percent["a_phd"][-1] / one_percent["a_phd"][0]) > 2
    alone = carry(one_percent.isel(time=[0]), DISH) | {"f_phd_induction": 0.0, "a_phd": 1.0}
    run = cascade.simulate(model, days=1, points=97, values=clamp(MMHG_PER_PERCENT) | alone)["c_hif_alpha"]
    assert float(run[-1] / run.max()) > 0.999


def test_feedback_needs_oxygen(model: cascade.Model, air: xr.Dataset) -> None:
    """Nguyen 2013, run with catalytic transcription: 24 h over 4 h 0.36 at 1 %, 0.39 at 0.5 %, 0.67 at 0.1 % O2."""
    percent = xr.DataArray([1.0, 0.5, 0.1], dims="percent")
    hif = cascade.simulate(model, days=1, points=25, values=clamp(percent * MMHG_PER_PERCENT, air))["c_hif_alpha"]
    ratio = (hif.isel(time=-1) / hif.isel(time=4)).values
    assert np.all(np.diff(ratio) > 0)
    assert ratio[0] < 0.9


@pytest.mark.parametrize("hours", [4, 24])
def test_hif_is_lost_within_minutes_of_reoxygenation(
    model: cascade.Model, one_percent: xr.Dataset, hours: float
) -> None:
    published = 5  # min, half-life up to about 8 min (Wang 1995, Jewell 2001)
    start = one_percent.sel(time=[hours * HOUR], method="nearest")
    hif = cascade.simulate(model, days=60 * MINUTE, points=601, values=clamp(AIR, start))["c_hif_alpha"]
    half = float(np.interp(-0.5, -hif / hif[0], hif["time"])) / MINUTE
    assert half == pytest.approx(published, abs=3)
    assert half < 10


def test_hif_is_lost_faster_after_longer_hypoxia(model: cascade.Model, one_percent: xr.Dataset) -> None:
    """PHD made during hypoxia waits for oxygen: less HIF-1alpha after reoxygenation than before hypoxia."""
    run = cascade.simulate(model, days=2 * HOUR, points=121, values=clamp(AIR, one_percent))
    assert float(run["c_hif_alpha"][-1]) < float(one_percent["c_hif_alpha"][0])


def test_phd_inhibition_mimics_hypoxia_in_air(model: cascade.Model, air: xr.Dataset, one_percent: xr.Dataset) -> None:
    """HIF stabilizers raise HIF-1alpha and its targets in air, with dose; FIH, which they spare, holds the activity."""
    nominal = {row.id: row.nominal for row in model.parameters}["k_hydroxylate_hif"]
    activity = xr.DataArray([1.0, 0.3, 0.1, 0.03, 0.0], dims="dose")
    run = cascade.simulate(model, days=1, points=97, values=clamp(AIR, air) | {"k_hydroxylate_hif": nominal * activity})
    last = run.isel(time=-1)
    assert np.all(last["c_hif_alpha"].diff("dose") > 0)
    assert np.all(last["a_vegf_mrna"].diff("dose") > 0)
    hypoxia = one_percent.isel(time=-1)
    assert float(last["c_hif_alpha"][-1]) > float(hypoxia["c_hif_alpha"])
    assert float(last["c_hif"][0]) < float(last["c_hif"][-1]) < float(hypoxia["c_hif"])


def test_loss_of_vhl_is_constitutive(model: cascade.Model, air: xr.Dataset, one_percent: xr.Dataset) -> None:
    """Without VHL messenger is made in air as in hypoxia; wild-type VHL restores regulation (Iliopoulos 1996)."""
    lost = clamp(xr.DataArray([AIR, MMHG_PER_PERCENT], dims="dish")) | {"k_hydroxylate_hif": 0.0}
    run = cascade.simulate(model, days=40, points=3, values=lost).isel(time=-1)
    np.testing.assert_allclose(run["c_hif_alpha"][0], run["c_hif_alpha"][1], rtol=1e-4)
    wild = one_percent["a_vegf_mrna"]
    assert float(run["a_vegf_mrna"][0] / wild[0]) > 2
    assert float(run["a_vegf_mrna"][1] / run["a_vegf_mrna"][0]) < 0.7 * float(wild[-1] / wild[0])


def test_fih_silences_hif_in_air_more_than_in_hypoxia(model: cascade.Model) -> None:
    """As in the re-implemented Schmierer 2010; there FIH also falls silent only below the oxygen that halves PHD."""
    knocked = xr.DataArray([67.0, 1e9], dims="fih")
    dish = xr.DataArray([AIR, MMHG_PER_PERCENT], dims="dish")
    run = cascade.simulate(model, days=40, points=3, values=clamp(dish) | {"ec50_fih_oxygen": knocked}).isel(time=-1)
    gain = (run["c_hif"].isel(fih=1) / run["c_hif"].isel(fih=0)).values
    total, active = np.transpose([schmierer2010.steady_state(oxygen) for oxygen in (1.0, 0.01)])
    published = total / active  # gain of activity without FIH: 5.3 in air, 1.3 in severe hypoxia
    assert published[0] > 2 * published[1]
    assert gain[0] > 2 * gain[1] > 2
    assert gain[0] == pytest.approx(published[0], rel=0.6)
    assert gain[1] == pytest.approx(published[1], rel=0.25)
    assert np.all(run["c_hif_alpha"].isel(fih=1) < run["c_hif_alpha"].isel(fih=0))  # more PHD is induced


def test_schmierer_reference_reproduces_its_encoding() -> None:
    """Total HIF-alpha and active share of BIOMD0000000300, simulated in another program."""
    encoding = {0.01: (0.641, 0.497), 0.03: (0.339, 0.059), 0.1: (0.126, 0.017), 1.0: (0.024, 0.0045)}
    for oxygen, levels in encoding.items():
        np.testing.assert_allclose(schmierer2010.steady_state(oxygen), levels, rtol=0.03)


def test_hif_inhibitor_scales_activity(model: cascade.Model, air: xr.Dataset) -> None:
    values = clamp(MMHG_PER_PERCENT, air) | {"u_hif": xr.DataArray([0.0, 0.8, 1.0], dims="dose")}
    run = cascade.simulate(model, days=4 * HOUR, points=3, values=values).isel(time=-1)
    np.testing.assert_allclose(run["c_hif"] / run["c_hif"][0], [1, 0.2, 0], atol=0.05)
    assert np.all(run["c_hif_alpha"].diff("dose") > 0)  # less PHD is induced


# VEGF in a dish


def test_vegf_messenger_and_protein_rise_in_hypoxia(model: cascade.Model, one_percent: xr.Dataset) -> None:
    names = ["a_vegf_mrna", "c_vegf"]
    fold = one_percent[names].isel(time=-1) / one_percent[names].isel(time=0)
    assert 4 <= float(fold["a_vegf_mrna"]) <= 9  # 7-fold in cardiomyocytes, 12-fold in PC12 (Levy 1995)
    transcription = 1 + {row.id: row.nominal for row in model.parameters}["f_vegf_induction"] * one_percent["a_hif"]
    assert float(transcription[-1] / transcription[0]) == pytest.approx(3.1, abs=0.6)  # 3.1 +- 0.6, Levy 1995
    assert float(fold["c_vegf"]) > float(fold["a_vegf_mrna"])


def test_vegf_messenger_half_life(model: cascade.Model) -> None:
    normoxia, hypoxia = 43, 106  # min, +- 6 and 9, Levy 1996
    run = cascade.simulate(model, days=1, points=3, values=clamp(xr.DataArray([AIR, 0.5], dims="dish"))).isel(time=-1)
    half = np.log(2) / run["k_decay_mrna"] / MINUTE
    np.testing.assert_allclose(half, [normoxia, hypoxia], rtol=0.02)


def test_vegf_has_a_floor_without_hif(model: cascade.Model, air: xr.Dataset) -> None:
    """HIF-deficient tumors keep VEGF (Maxwell 1997): basal transcription stays, and hypoxia still stabilizes."""
    values = clamp(xr.DataArray([AIR, MMHG_PER_PERCENT], dims="dish"), air) | {"u_hif": 1.0}
    run = cascade.simulate(model, days=2, points=3, values=values).isel(time=-1)
    assert float(run["a_vegf_mrna"][0]) == pytest.approx(1, abs=0.02)
    assert 1.2 < float(run["a_vegf_mrna"][1]) < 2.5
    assert np.all(run["c_vegf"] > 0.01)


def test_total_vegf_rises_under_antibody_while_free_vegf_falls(therapy: xr.Dataset) -> None:
    """The counterintuitive rise in patients, modeled by Stefanini 2010."""
    run = therapy.sel(arm="antibody")
    total = run["c_vegf"] + run["c_vegf_antibody"]
    assert float(total.sel(time=7) / total[0]) > 2
    assert float(run["c_vegf"].sel(time=7) / run["c_vegf"][0]) < 0.1


def test_inhibitor_raises_free_vegf_and_antibody_lowers_it(therapy: xr.Dataset) -> None:
    """Receptor inhibitors raise VEGF through hypoxia, antibodies bind it; both silence the receptor."""
    late = therapy.sel(time=60)
    assert float(late["c_vegf"].sel(arm="inhibitor")) > 1.1 * float(late["c_vegf"].sel(arm="untreated"))
    assert float(late["c_vegf"].sel(arm="antibody")) < 0.2 * float(late["c_vegf"].sel(arm="untreated"))
    for arm in ("antibody", "inhibitor"):
        assert float(late["a_vegfr2"].sel(arm=arm)) < 0.4 * float(late["a_vegfr2"].sel(arm="untreated"))


# The untreated tumor


def test_references_are_the_untreated_steady_state(model: cascade.Model) -> None:
    run = cascade.simulate(model, days=3000, points=3, values={"init_n_own": 1e15})
    nominal = {row.id: row.nominal for row in model.parameters}
    for constant, variable in REFERENCE_OF.items():
        assert float(run[variable][-1]) == pytest.approx(nominal[constant], rel=1e-4), constant
    for name in STATES[:-1]:
        assert float(run[name][0]) == pytest.approx(float(run[name][-1]), rel=0.01, abs=1e-12), name


def test_outputs_of_the_untreated_tumor_are_one(therapy: xr.Dataset) -> None:
    run = therapy.sel(arm="untreated")
    for name in OUTPUTS:
        np.testing.assert_allclose(run[name], 1, atol=0.01, err_msg=name)
    assert float(run["k_death_hypoxia"].max()) < 1e-4


def test_untreated_tumor_has_the_oxygen_of_human_tumors(therapy: xr.Dataset) -> None:
    published = 10.0  # mmHg, median of 212 breast cancers (McKeown 2014); renal cancers also 10
    run = therapy.sel(arm="untreated").isel(time=-1)
    assert float(run["p_o2"]) == pytest.approx(published, rel=0.1)


def test_endothelium_turns_over_in_days(therapy: xr.Dataset) -> None:
    low, high = 2.4, 13  # days, potential doubling time in five mouse tumors (Hobson 1984)
    run = therapy.sel(arm="untreated").isel(time=-1)
    born = run["k_sprout_now"] * run["f_sprouting"] / run["f_endothelial"]
    assert low <= float(np.log(2) / born) <= high


def test_share_of_covered_vessels(therapy: xr.Dataset) -> None:
    published = 0.45  # of endothelial cells with pericytes, Hutchinson 2016, own run of MODEL1911130007
    assert float(therapy["f_mature"].sel(arm="untreated")[0]) == pytest.approx(published, abs=0.1)


def test_normal_tissue_has_normal_oxygen(model: cascade.Model) -> None:
    published = 45.8  # mmHg, mean of normal tissues (McKeown 2014)
    values = {"f_coupled": 1.0, "n_tumor_external": 1.0, "k_growth_external": 0.0}
    run = cascade.simulate(model, days=200, points=3, values=values).isel(time=-1)
    assert float(run["p_o2"]) == pytest.approx(published, rel=0.05)
    assert float(run["a_hif"]) < 0.1
    assert float(run["f_vessel"]) < 0.01


def test_vessels_take_over_at_the_avascular_limit(model: cascade.Model) -> None:
    """Below 1e5 cells host tissue feeds the tumor, which has no vessels; by 1e7 (2.7 mm) it lives on its own."""
    sizes = xr.DataArray([1.0, 1e3, 1e5, 1e6, 1e7, 1e9, 1e12], dims="size")
    values = {"f_coupled": 1.0, "n_tumor_external": sizes, "k_growth_external": 0.01}
    run = cascade.simulate(model, days=400, points=3, values=values).isel(time=-1)
    oxygen, vessel = run["p_o2"].values, run["f_vessel"].values
    assert np.all(oxygen[:3] > 35)
    assert np.all(np.diff(oxygen) < 1e-3)
    assert np.all(vessel[:3] < 0.1)
    assert vessel[3] < 0.5 < vessel[4]
    assert np.all(run["f_growth_oxygen"][:4] > 1)


def test_growth_rate_dilutes_the_vessels(model: cascade.Model) -> None:
    """At equal size a fast tumor is less oxygenated than a slow one."""
    rates = xr.DataArray([-0.02, 0.0, 0.007, 0.02, 0.05], dims="rate")
    values = {"f_coupled": 1.0, "k_growth_external": rates}
    run = cascade.simulate(model, days=400, points=3, values=values).isel(time=-1)
    assert np.all(np.diff(run["p_o2"]) < 0)
    # A slow human tumor (0.007 per day at 1 mL) is the reference.
    for name in OUTPUTS:
        assert float(run[name][2]) == pytest.approx(1, abs=0.05), name


@pytest.mark.parametrize("rate", [-1.0, -0.3, -0.1, 0.5, 1.0])
def test_vessels_stay_bounded_in_shrinking_and_bursting_tumors(model: cascade.Model, rate: float) -> None:
    values = {"f_coupled": 1.0, "k_growth_external": rate, "c_anti_vegf": xr.DataArray([0.0, ANTIBODY], dims="drug")}
    run = cascade.simulate(model, days=300, points=31, values=values)
    assert np.all(run["status"] == "ok")
    for name in ("f_endothelial_immature", "f_endothelial_mature", "p_o2", "c_hif", "c_vegf"):
        assert float(run[name].min()) > -1e-9, name
    assert float(run["f_endothelial"].max()) < 2
    assert float(run["p_o2"].max()) < 70


def test_follows_a_gompertz_tumor_from_one_cell_to_lethal_size(tmp_path: Path) -> None:
    folder = tmp_path / "duo"
    folder.mkdir()
    (folder / "composition.toml").write_text(COUPLED, encoding="utf-8")
    model = cascade.compose(cascade.load_composition(folder))
    run = cascade.simulate(model, years=12, points=1201, values={model.ids["vessels.f_coupled"]: 1.0})
    assert run["status"] == "ok"
    size = run["tumor__n_tumor"]
    assert float(size[0]) == pytest.approx(1)
    assert float(size[-1]) > 1e12
    for name in run.data_vars:
        if str(name).startswith("vessels__"):
            assert np.all(np.isfinite(run[name])), name
    oxygen = run["vessels__p_o2"]
    assert float(oxygen.where((size > 1e2) & (size < 1e5)).min()) > 35
    # Tumors of the sizes at which oxygen was measured. One that hardly grows any more has more vessels per cell.
    measured = oxygen.where((size > 1e8) & (size < 1e11), drop=True)
    assert 7 < float(measured.min()) < float(measured.max()) < 15
    assert float(oxygen.where(size > 1e11).max()) < 18
    for name in OUTPUTS:
        large = run[f"vessels__{name}"].where((size > 1e8) & (size < 1e11), drop=True)
        np.testing.assert_allclose(large, 1, atol=0.25, err_msg=name)


# Therapy: vessels


def test_oxygen_rises_in_the_normalization_window_and_then_collapses(therapy: xr.Dataset) -> None:
    """Up during the first four days, below control from day five on (Dings 2007, three mouse tumors)."""
    published = slice(0.5, 4)  # days
    relative = therapy["p_o2"].sel(arm="antibody") / therapy["p_o2"].sel(arm="antibody")[0]
    assert 1.05 < float(relative.sel(time=published).max()) < 1.5
    assert published.start <= float(relative.sel(time=slice(0, 20)).idxmax("time")) <= published.stop
    closed = relative.where(relative["time"] > 3).time[np.flatnonzero((relative < 1) & (relative["time"] > 3))[0]]
    assert float(closed) == pytest.approx(5, abs=1.5)
    assert float(relative.min()) < 0.5
    inhibited = therapy["p_o2"].sel(arm="inhibitor") / therapy["p_o2"].sel(arm="inhibitor")[0]
    assert float(inhibited.sel(time=published).max()) > 1.05
    assert float(inhibited.min()) < 0.5


def test_pericyte_coverage_rises_and_vessels_fall_by_day_12(therapy: xr.Dataset) -> None:
    """Bevacizumab in rectal cancer (Willett 2004): vessels down by 25 to 59 % (recalled), covered fraction up."""
    low, high = 0.41, 0.75
    run = therapy.sel(arm="antibody")
    assert low <= float(run["f_vessel"].sel(time=12)) <= high
    assert float(run["f_mature"].sel(time=12)) > 1.5 * float(run["f_mature"][0])
    assert float(run["a_leak"].sel(time=12)) < 0.3 * float(run["a_leak"][0])
    assert float(run["f_intravasation"].sel(time=12)) < 0.3


@pytest.fixture(scope="module")
def courses(model: cascade.Model) -> list[xr.Dataset]:
    """Complete VEGFR block for 7 days, withdrawal for 14 days, a second block after 7 days of rest."""
    first = cascade.simulate(model, days=7, points=71, values={"c_vegfr_inhibitor": BLOCK})
    rest = cascade.simulate(model, days=14, points=141, values=carry(first))
    week = rest.sel(time=slice(0, 7))
    second = cascade.simulate(model, days=7, points=71, values=carry(week) | {"c_vegfr_inhibitor": BLOCK})
    return [first, rest, second]


def test_a_week_of_vegfr_block_removes_half_of_the_vessels(courses: list[xr.Dataset]) -> None:
    low, high = 0.40, 0.50  # left after 7 days in mouse tumors (Mancuso 2006)
    assert low <= float(courses[0]["f_vessel"][-1]) <= high


def test_vessels_regrow_within_a_week_of_withdrawal(courses: list[xr.Dataset]) -> None:
    """Sprouts after a day, fully revascularized by day 7, and no less vulnerable after that (Mancuso 2006)."""
    first, rest, second = courses
    assert float(rest["f_vessel"].sel(time=1) / rest["f_vessel"][0]) > 1.1
    assert float(rest["f_vessel"].sel(time=7)) == pytest.approx(1, abs=0.15)
    # The rebound does not run away: the vessels settle.
    assert float(rest["f_vessel"].max()) < 1.2
    loss = float(second["f_vessel"][-1] / second["f_vessel"][0])
    assert loss == pytest.approx(float(first["f_vessel"][-1]), rel=0.15)


def test_loss_of_vegf_spares_covered_vessels(courses: list[xr.Dataset]) -> None:
    """Selective loss of vessels without periendothelial cells (Benjamin 1999)."""
    first = courses[0]
    left = {
        name: float(first[name][-1] / first[name][0]) for name in ("f_endothelial_immature", "f_endothelial_mature")
    }
    assert left["f_endothelial_immature"] < 0.1
    assert left["f_endothelial_mature"] > 0.85


@pytest.mark.parametrize(("production", "published"), [(0.5, 0.77), (0.2, 0.58), (0.1, 0.59), (0.05, 0.53)])
def test_less_vegf_leaves_the_plateau_of_covered_vessels(
    model: cascade.Model, plateau: xr.DataArray, production: float, published: float
) -> None:
    """Vessels after 4000 h in Hutchinson 2016 (own runs of MODEL1911130007); constant tumor and oxygen, no bypass."""
    assert float(plateau.sel(production=production)) == pytest.approx(published, abs=0.1)


@pytest.fixture(scope="module")
def plateau(model: cascade.Model) -> xr.DataArray:
    nominal = {row.id: row.nominal for row in model.parameters}
    still = {
        "f_coupled": 1.0,
        "k_growth_external": 0.0,
        "w_bypass": 0.0,
        **clamp(nominal["p_o2_reference"] or 0.0),
    }
    settled = cascade.simulate(model, days=400, points=3, values=still)
    production = xr.DataArray([1, 0.5, 0.2, 0.1, 0.05], dims="production")
    values = still | carry(settled) | {"v_secrete_vegf": production * (nominal["v_secrete_vegf"] or 0.0)}
    vessels = cascade.simulate(model, days=4000 * HOUR, points=3, values=values)["f_endothelial"].isel(time=-1)
    return (vessels / vessels[0]).assign_coords(production=production.values)


# Therapy: the tumor


def test_progression_without_drug(therapy: xr.Dataset) -> None:
    published = 2.5  # months, placebo arm of renal cancer (Yang 2003)
    assert progression(therapy["n_own"].sel(arm="untreated")) / MONTH == pytest.approx(published, rel=0.05)


def test_progression_under_antibody(therapy: xr.Dataset) -> None:
    published = 4.8  # months, bevacizumab 10 mg/kg (Yang 2003)
    assert progression(therapy["n_own"].sel(arm="antibody")) / MONTH == pytest.approx(published, rel=0.05)


@pytest.mark.parametrize(
    ("arm", "published", "tolerance"),
    [
        ("antibody", 11.8 / 5.9, 0.2),  # E2100, Miller 2007
        ("antibody", 10.6 / 6.2, 0.2),  # AVF2107, Hurwitz 2004
        ("inhibitor", 11 / 5, 0.25),  # sunitinib, Motzer 2007: short by a fifth, see evidence.tsv
        ("low_dose", 1.26, 0.25),  # 3 mg/kg, hazard ratio (Yang 2003)
    ],
)
def test_progression_is_delayed_about_twofold(
    therapy: xr.Dataset, arm: str, published: float, tolerance: float
) -> None:
    delay = progression(therapy["n_own"].sel(arm=arm)) / progression(therapy["n_own"].sel(arm="untreated"))
    assert delay == pytest.approx(published, rel=tolerance)


def test_progression_free_shares_follow_from_the_spread_of_growth(model: cascade.Model) -> None:
    """Log-normal growth rates that leave 20 % of the placebo arm progression-free at 4 months (Yang 2003) predict the
    other points of that abstract: placebo 5 % at 8 months, antibody 64 % at 4 months. Of the 30 % at 8 months under
    antibody less than half is explained: long responders are a known miss.
    """
    nominal = {row.id: row.nominal for row in model.parameters}
    pace = xr.DataArray(np.geomspace(0.2, 4, 25), dims="patient")
    growth = {name: pace * (nominal[name] or 0.0) for name in ("k_divide", "k_die_hypoxia")}
    settled = cascade.simulate(model, days=1500, points=3, values=growth)
    days = {}
    for arm, dose in {"placebo": 0.0, "antibody": ANTIBODY}.items():
        run = cascade.simulate(model, days=700, points=1401, values=growth | carry(settled) | {"c_anti_vegf": dose})
        days[arm] = np.array([progression(run["n_own"].isel(patient=i)) for i in range(pace.size)])
        assert np.all(np.diff(days[arm]) < 0)

    def score(arm: str, months: float) -> float:
        return float(np.interp(-months * MONTH, -days[arm], np.log(pace)))

    spread = score("placebo", 4) / NormalDist().inv_cdf(0.20)
    for arm, months, published in (("placebo", 8, 0.05), ("antibody", 4, 0.64)):
        share = NormalDist().cdf(score(arm, months) / spread)
        assert share == pytest.approx(published, abs=0.1), (arm, months)
    assert score("antibody", 8) > score("placebo", 8)


def test_response_is_followed_by_regrowth_through_bypass(therapy: xr.Dataset) -> None:
    run = therapy.sel(arm="antibody")
    untreated = float(therapy["k_growth_own"].sel(arm="untreated")[-1])
    assert float(run["k_growth_own"].min()) < 0.4 * untreated
    assert 0.4 < float(run["k_growth_own"][-1]) / untreated < 0.8
    assert float(run["c_hif"].max() / run["c_hif"][0]) >= 1.5
    assert float(run["a_bypass"].max()) > 5 * float(run["a_bypass"][0])
    # No clock: oxygen falls first, then HIF rises, then bypass and vessels.
    lowest = float(run["p_o2"].idxmin("time"))
    assert float(run["f_vessel"].idxmin("time")) < float(run["a_bypass"].idxmax("time"))
    assert float(run["f_vessel"].sel(time=300) / run["f_vessel"].sel(time=lowest)) > 1.2


@pytest.mark.parametrize("arm", ["no_bypass", "antibody_hif"])
def test_blocking_bypass_or_hif_removes_resistance(therapy: xr.Dataset, arm: str) -> None:
    """FGF blockade impairs the progression under VEGFR2 blockade (Casanovas 2005)."""
    size = therapy["n_own"].sel(arm=arm)
    assert progression(size) == np.inf
    assert float(size[-1]) < float(size.sel(time=100))


def test_partial_blocks_of_the_bypass_delay_progression(therapy: xr.Dataset) -> None:
    alone = progression(therapy["n_own"].sel(arm="antibody"))
    for arm in ("half_bypass", "anti_ang2"):
        assert progression(therapy["n_own"].sel(arm=arm)) > 1.05 * alone, arm


def test_hif_inhibitor_alone_leaves_vegf_and_vessels(therapy: xr.Dataset) -> None:
    run = therapy.sel(arm="hif")
    assert 0.4 < float(run["c_vegf"].sel(time=14) / run["c_vegf"][0]) < 0.9
    # HIF-null tumors grow more slowly, with vessels (Ryan 2000); their density is a known miss (evidence.tsv).
    complete = therapy.sel(arm="hif_complete").isel(time=-1)
    untreated = float(run["k_growth_own"][0])
    assert 0 < float(complete["k_growth_own"]) < 0.5 * untreated < float(run["k_growth_own"][-1]) < untreated
    assert float(complete["f_vessel"]) > 0.4


def test_bypass_is_out_of_reach_of_the_antibody_in_small_lesions(model: cascade.Model) -> None:
    """The drive of small lesions is independent of the primary tumor and falls with dose, but not below its bypass."""
    dose = xr.DataArray([0.0, 1.0, 10.0, 100.0, 1000.0], dims="dose")
    values = {"c_anti_vegf": dose, "f_coupled": 1.0, "n_tumor_external": xr.DataArray([0.0, 1e9], dims="size")}
    drive = cascade.simulate(model, days=30, points=3, values=values)["f_angiogenic"]
    nominal = {row.id: row.nominal for row in model.parameters}
    np.testing.assert_allclose(drive.isel(dose=0), 1, rtol=1e-3)
    np.testing.assert_allclose(drive.isel(size=0), drive.isel(size=1), rtol=1e-9)
    assert np.all(drive.isel(size=0, time=-1).diff("dose") < 0)
    ratio = (nominal["c_hif_reference"] / nominal["ec50_bypass_hif"]) ** nominal["hill_bypass"]
    floor = nominal["w_bypass"] * ratio / (1 + ratio) / nominal["a_drive_reference"]
    assert float(drive.min()) > 0.99 * floor


@pytest.mark.parametrize(
    ("name", "antibody"),
    [("f_vegfr2", 30), ("v_secrete_vegf", 30), ("v_synthesize_hif", 30), ("w_bypass", 300), ("k_sprout", 300)],
)
def test_targets_add_to_the_antibody(model: cascade.Model, name: str, antibody: float) -> None:
    """Blocked by 80 % each leaves fewer vessels: VEGF and HIF beside a low dose, the bypass where VEGF is gone."""
    nominal = {row.id: row.nominal for row in model.parameters}[name]
    values = {name: xr.DataArray([nominal, 0.2 * nominal], dims="block"), "c_anti_vegf": float(antibody)}
    vessels = cascade.simulate(model, days=200, points=3, values=values)["f_vessel"].isel(time=-1)
    assert float(vessels[1]) < 0.9 * float(vessels[0])


# The angiogenic carrying capacity of Hahnfeldt 1999


def test_hahnfeldt_reference_reproduces_the_paper() -> None:
    assert pytest.approx(17347, abs=1) == hahnfeldt1999.PLATEAU  # mm3, (b/d)^1.5
    arms = {
        "untreated": (hahnfeldt1999.NO_DRUG, 0.0, 0.25),
        "angiostatin": (hahnfeldt1999.ANGIOSTATIN, 20.0, 0.5),
        "endostatin": (hahnfeldt1999.ENDOSTATIN, 20.0, 0.65),
    }
    for name, (drug, dose, tolerance) in arms.items():
        days, volumes = hahnfeldt1999.DATA[name]
        found, _ = hahnfeldt1999.simulate(np.array(days, float), drug, dose)
        np.testing.assert_allclose(found, volumes, rtol=tolerance, err_msg=name)
    long, capacity = hahnfeldt1999.simulate(np.array([0.0, 400.0]))
    np.testing.assert_allclose([long[-1], capacity[-1]], hahnfeldt1999.PLATEAU, rtol=1e-3)


def test_growth_slows_as_vessels_become_limiting(model: cascade.Model) -> None:
    """In Hahnfeldt 1999 the capacity per tumor volume falls as the tumor grows, and growth with it; so do supply and
    oxygen-limited growth here. The module's own tumor settles at a constant rate: its plateau is left to the
    population model, through `f_capacity`.
    """
    volume, capacity = hahnfeldt1999.simulate(np.arange(0, 61.0))
    rate = -hahnfeldt1999.GROWTH * np.log(volume / capacity)
    assert np.all(np.diff(rate[3:]) < 0)
    assert np.all(np.diff((capacity / volume)[3:]) < 0)
    sizes = xr.DataArray(np.geomspace(1e3, 1e11, 17), dims="size")
    values = {"f_coupled": 1.0, "n_tumor_external": sizes, "k_growth_external": 0.0072}
    run = cascade.simulate(model, days=600, points=3, values=values).isel(time=-1)
    for name in ("f_perfusion", "f_growth_oxygen", "f_capacity"):
        assert np.all(np.diff(run[name]) < 1e-4), name
        assert float(run[name][0]) > 1.2 * float(run[name][-1])
        assert float(run[name][-1]) == pytest.approx(1, abs=0.02)


def test_dose_and_duration_order_the_response(model: cascade.Model) -> None:
    """More inhibitor, or longer, leaves a smaller tumor; a single dose buys little (both models)."""
    days = np.arange(0, 31.0)
    drug = hahnfeldt1999.ENDOSTATIN
    published = [
        hahnfeldt1999.simulate(days)[0][-1],
        hahnfeldt1999.simulate(days, drug, bolus=20)[0][-1],
        hahnfeldt1999.simulate(days, drug, 4.0)[0][-1],
        hahnfeldt1999.simulate(days, drug, 20.0, until=10)[0][-1],
        hahnfeldt1999.simulate(days, drug, 20.0)[0][-1],
    ]
    assert published[1] > 0.8 * published[0]
    assert published[1] > published[2] > published[4] < published[3]
    dose = xr.DataArray([0.0, BLOCK, 9.0, BLOCK, BLOCK], dims="arm")
    stop = np.array([60, 1, 60, 20, 60])
    sizes = []
    for arm, until in enumerate(stop):
        run = cascade.simulate(model, days=until, points=3, values={"c_vegfr_inhibitor": float(dose[arm])})
        growth = float(np.log(run["n_own"][-1] / run["n_own"][0]))
        if until < 60:
            rest = cascade.simulate(model, days=60 - until, points=3, values=carry(run))
            growth += float(np.log(rest["n_own"][-1] / rest["n_own"][0]))
        sizes.append(np.exp(growth))
    assert sizes[1] > 0.8 * sizes[0]
    assert sizes[1] > sizes[4] and sizes[3] > sizes[4] and sizes[2] > sizes[4]


def test_regrowth_after_stop_starts_with_the_vessels(model: cascade.Model) -> None:
    """Hahnfeldt 1999: after the inhibitor the capacity returns first and the tumor follows, at its untreated pace."""
    volume, capacity = hahnfeldt1999.simulate(np.arange(0, 41.0), hahnfeldt1999.ENDOSTATIN, 20.0, until=20)
    after = slice(20, None)
    assert capacity[22] / capacity[20] > 5 * volume[22] / volume[20]
    fresh, _ = hahnfeldt1999.simulate(np.arange(0, 41.0))
    fastest = [np.diff(np.log(series)).max() for series in (volume[after], fresh)]
    assert fastest[0] == pytest.approx(fastest[1], rel=0.6)
    treated = cascade.simulate(model, days=80, points=81, values={"c_vegfr_inhibitor": BLOCK, "w_bypass": 0.0})
    free = cascade.simulate(model, days=120, points=121, values=carry(treated))
    untreated = cascade.simulate(model, days=1, points=3)["k_growth_own"]
    vessels = free["f_vessel"] / free["f_vessel"][0]
    size = free["n_own"] / free["n_own"][0]
    assert float(vessels.sel(time=7)) > 1.5 > float(size.sel(time=7))
    assert float(treated["k_growth_own"].min()) < 0.4 * float(untreated[0])
    assert float(free["k_growth_own"][-1]) == pytest.approx(float(untreated[0]), rel=0.1)


def test_without_bypass_continuous_inhibition_holds_in_both_models(therapy: xr.Dataset) -> None:
    """Hahnfeldt 1999 has no resistance: the tumor shrinks to a lower plateau. So does the module without bypass."""
    days = np.linspace(0, 400, 401)
    volume, _ = hahnfeldt1999.simulate(days, hahnfeldt1999.ANGIOSTATIN, 10.0, start=(17000.0, 17000.0))
    lower = ((hahnfeldt1999.STIMULATION - 0.15 * 10 / 0.38) / hahnfeldt1999.INHIBITION) ** 1.5
    assert volume[-1] == pytest.approx(lower, rel=0.01)
    assert lower < 0.5 * hahnfeldt1999.PLATEAU
    size = therapy["n_own"].sel(arm="no_bypass")
    assert float(size[-1]) < float(size[0])
    assert float(np.log(size[-1] / size.sel(time=700))) > -0.2
