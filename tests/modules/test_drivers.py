"""Drivers module: RAS and ERK (Stites 2007), MYC (Lee 2008), p53 and MDM2 (Geva-Zatorsky 2006), p21."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from reference import geva_zatorsky2006, lee_t2008
from scipy.signal import find_peaks

import cascade
from cascade.catalogue import load_module
from cascade.patients.genotypes import genotype_values

MINUTE, HOUR = 1 / 1440, 1 / 24  # day
STATES = (
    "c_ras_wild_gtp", "c_ras_mutant_gtp", "c_pperk", "a_dusp", "c_myc_new", "c_myc_s62", "c_myc_t58", "c_p53",
    "c_mdm2_mrna", "c_mdm2", "c_p21",
)  # fmt: skip
BASAL = {"c_ras_gtp": 15.4, "c_pperk": 108.4, "c_myc": 6.8, "c_p53": 19.0, "c_p21": 2.65}


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    return cascade.compose(load_module("drivers"))


@pytest.fixture(scope="module")
def basal(model: cascade.Model) -> dict[str, float]:
    """States of wild-type cells, to start an experiment from."""
    return end_state(cascade.simulate(model, days=30, points=2))


def end_state(run: xr.Dataset) -> dict[str, float]:
    return {name: max(float(run[name][-1]), 0.0) for name in STATES}


def hold(model: cascade.Model, days: float = 20, **values: object) -> xr.Dataset:
    return cascade.simulate(model, days=days, points=2, values=values).isel(time=-1)


def over(name: str, values: list[float]) -> xr.DataArray:
    return xr.DataArray(values, dims=name)


def fold(model: cascade.Model, variable: str, days: float = 20, **values: float) -> float:
    """Steady level at `values` over the wild-type basal one."""
    return float(hold(model, days, **values)[variable] / hold(model, days)[variable])


def follow(model: cascade.Model, start: dict[str, float], hours: float, step: float, **values: float) -> xr.Dataset:
    """Simulate `hours` from given states, one row each `step` hours; time in hours."""
    points = round(hours / step) + 1
    run = cascade.simulate(model, days=hours * HOUR, points=points, values={**start, **values})
    return run.assign_coords(time=run["time"] / HOUR)


def half_life(run: xr.Dataset, variable: str) -> float:
    """Hours until a falling curve passes half of its start."""
    values = run[variable].values
    return float(np.interp(-values[0] / 2, -values, run["time"].values))


# --- basal state ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "level"), BASAL.items())
def test_basal_levels(model: cascade.Model, name: str, level: float) -> None:
    assert float(hold(model)[name]) == pytest.approx(level, rel=0.02)


def test_the_start_is_the_steady_state_and_the_reference_of_the_outputs(model: cascade.Model) -> None:
    run = cascade.simulate(model, days=60, points=11)
    for name in STATES:
        np.testing.assert_allclose(run[name], float(run[name][0]), rtol=1e-3, err_msg=name)
    np.testing.assert_allclose(run["f_p53"], 1, atol=1e-3)
    np.testing.assert_allclose(run["f_proliferation"], 1, atol=1e-3)


@pytest.mark.parametrize(
    "genotype", [{"f_ras_mutant": 0.25}, {"f_ras_mutant": 1.0, "a_akt": 0.8}, {"f_myc": 4.0, "c_bcat_tcf": 13.0}]
)
def test_ras_erk_and_myc_start_at_their_steady_state_in_every_genotype(
    model: cascade.Model, genotype: dict[str, float]
) -> None:
    run = cascade.simulate(model, days=30, points=3, values=genotype)
    for name in ("c_ras_gtp", "c_pperk", "a_dusp", "c_myc"):
        np.testing.assert_allclose(run[name], float(run[name][0]), rtol=1e-6, err_msg=name)


# --- RAS and ERK ------------------------------------------------------------------------------------------------------


def test_erk_peaks_within_minutes_after_growth_factor_and_settles_on_a_plateau(
    model: cascade.Model, basal: dict[str, float]
) -> None:
    run = follow(model, basal, 12, 0.005, a_growth_factor=2.0)
    peak = int(np.argmax(run["c_pperk"].values))
    assert 3 <= float(run["time"][peak]) * 60 <= 15
    assert float(run["c_pperk"][-1] / run["c_pperk"][peak]) == pytest.approx(0.80, abs=0.05)


def test_feedback_by_phosphatases_makes_the_peak(model: cascade.Model) -> None:
    start = end_state(cascade.simulate(model, days=5, points=2, values={"k_dephosphorylate_erk_dusp": 0.0}))
    run = follow(model, start, 12, 0.005, a_growth_factor=2.0, k_dephosphorylate_erk_dusp=0.0)
    assert float(run["c_pperk"][-1] / run["c_pperk"].max()) > 0.999


def test_erk_returns_after_a_pulse_of_growth_factor(model: cascade.Model, basal: dict[str, float]) -> None:
    pulse = follow(model, basal, 1, 0.01, a_growth_factor=2.0)
    after = follow(model, end_state(pulse), 12, 0.01)
    assert float(after["c_pperk"].min()) < 0.95 * BASAL["c_pperk"]  # phosphatases outlast the pulse
    assert float(after["c_pperk"][-1]) == pytest.approx(BASAL["c_pperk"], rel=0.01)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_mutant_ras_raises_ppERK_two_to_three_fold_although_ras_gtp_rises_much_more(
    model: cascade.Model, share: float
) -> None:
    assert 2 <= fold(model, "c_pperk", f_ras_mutant=share) <= 3
    assert fold(model, "c_ras_gtp", f_ras_mutant=share) > 5


def test_mutants_of_very_different_hydrolysis_have_similar_erk(model: cascade.Model) -> None:
    # Gillies 2020: cells whose only RAS is one mutant; G12R, G12V, G12D, G12C of Hunter 2015
    erk = hold(model, f_ras_mutant=1.0, f_hydrolyze_mutant=over("allele", [0.03, 0.06, 0.28, 0.72]))["c_pperk"]
    assert float(erk.max() / erk.min()) < 1.3


def test_ras_is_conserved(model: cascade.Model) -> None:
    shares = over("share", [0.0, 0.25, 0.5, 1.0])
    strong = hold(model, a_growth_factor=2.0, f_ras_mutant=shares, f_hydrolyze_mutant=0.03)
    assert np.all(strong["c_ras_wild_gtp"] <= 400 * (1 - shares) + 1e-9)
    assert np.all(strong["c_ras_mutant_gtp"] <= 400 * shares + 1e-9)
    assert float(strong["c_pperk"].max()) < 960


def test_growth_factor_dose_response_is_monotonic_and_saturates(model: cascade.Model) -> None:
    erk = hold(model, a_growth_factor=over("dose", [0.0, 0.1, 0.2, 0.5, 1.0, 2.0]))["c_pperk"].values
    assert np.all(np.diff(erk) > 0)
    assert erk[-1] - erk[-2] < erk[2] - erk[0]


def test_mek_inhibitor_acts_around_its_ic50(model: cascade.Model, basal: dict[str, float]) -> None:
    doses = np.geomspace(0.01, 1000, 26)
    run = cascade.simulate(
        model, days=HOUR, points=2, values={**basal, "c_mek_inhibitor": xr.DataArray(doses, dims="dose")}
    )
    erk = run["c_pperk"].isel(time=-1).values / BASAL["c_pperk"]
    ic50 = float(np.interp(-0.5, -erk, doses))
    assert 0.3 <= ic50 <= 3  # trametinib: about 1 nM in cells
    assert np.all(np.diff(erk) < 0) and erk[-1] < 0.01


def test_loss_of_the_phosphatases_raises_basal_erk(model: cascade.Model) -> None:
    # Maillet 2008 (DUSP6-null tissues), Zhang 2010 (knock-down in lung cancer): direction
    assert fold(model, "c_pperk", k_dephosphorylate_erk_dusp=0.0) > 1.2
    assert fold(model, "c_pperk", k_dephosphorylate_erk_dusp=2 * 5342.0) < 0.85


def test_kras_inhibitor_acts_on_mutant_ras_only(model: cascade.Model) -> None:
    assert fold(model, "c_pperk", c_kras_inhibitor=1000.0) == pytest.approx(1, abs=1e-9)
    g12c = {"f_ras_mutant": 0.5, "f_hydrolyze_mutant": 0.72}
    mutant = hold(model, **g12c, c_kras_inhibitor=over("dose", [0.0, 1000.0]))
    assert float(mutant["c_pperk"][1]) < 0.4 * float(mutant["c_pperk"][0])
    assert float(mutant["c_ras_wild_gtp"][1]) == pytest.approx(float(mutant["c_ras_wild_gtp"][0]))
    assert float(mutant["c_ras_mutant_gtp"][1]) < 0.02 * float(mutant["c_ras_mutant_gtp"][0])


def test_kras_inhibitor_needs_mutant_ras_to_run_down(model: cascade.Model) -> None:
    # a covalent inhibitor of RAS-GDP acts with the hydrolysis of the mutant: ln 2/(0.72 x 30.24 per day) = 46 min
    genotype = {"f_ras_mutant": 0.5, "f_hydrolyze_mutant": 0.72}
    start = end_state(cascade.simulate(model, days=5, points=2, values=genotype))
    run = follow(model, start, 6, 0.01, **genotype, c_kras_inhibitor=1e6)
    assert half_life(run, "c_ras_mutant_gtp") * 60 == pytest.approx(46, rel=0.05)


# --- MYC --------------------------------------------------------------------------------------------------------------


def test_myc_lives_twenty_to_thirty_minutes(model: cascade.Model, basal: dict[str, float]) -> None:
    run = follow(model, basal, 6, 0.01, f_myc=0.0)
    assert 20 <= half_life(run, "c_myc") * 60 <= 30


def test_myc_at_serine_62_lives_two_hours_unless_gsk3_is_active(model: cascade.Model) -> None:
    only = dict.fromkeys(STATES, 0.0) | {"c_myc_s62": 10.0}
    blocked = follow(model, only, 8, 0.01, f_myc=0.0, a_akt=1.0)
    active = follow(model, only, 8, 0.01, f_myc=0.0, a_akt=0.0)
    assert half_life(blocked, "c_myc") == pytest.approx(2.0, rel=0.05)
    assert half_life(active, "c_myc") < 1.2


def test_myc_that_gsk3_cannot_mark_lives_two_to_six_times_longer(model: cascade.Model) -> None:
    # Gregory 2000: Burkitt lines, many with mutated Thr58
    lives = []
    for k in (28.8, 0.0):
        start = end_state(
            cascade.simulate(model, days=5, points=2, values={"a_growth_factor": 2.0, "k_phosphorylate_t58": k})
        )
        run = follow(model, start, 12, 0.01, f_myc=0.0, a_growth_factor=2.0, k_phosphorylate_t58=k)
        lives.append(half_life(run, "c_myc"))
    assert 2 <= lives[1] / lives[0] <= 6


def test_myc_needs_both_erk_and_akt(model: cascade.Model) -> None:
    without_erk = hold(model, c_mek_inhibitor=1e6, a_akt=over("akt", [0.1, 1.0]))["c_myc"].values
    assert without_erk[1] == pytest.approx(without_erk[0], rel=1e-3)  # Lee 2008, Figure 2E: PI3K does nothing
    erk, akt = fold(model, "c_myc", a_growth_factor=2.0), fold(model, "c_myc", a_akt=1.0)
    both = fold(model, "c_myc", a_growth_factor=2.0, a_akt=1.0)
    assert 1 < erk < akt < both and both > erk * akt


def test_mek_inhibition_lowers_myc_most_in_cells_that_depend_on_ras(model: cascade.Model) -> None:
    left = []
    for share, akt in ((0.0, 0.2), (0.5, 0.2), (0.5, 1.0)):
        run = hold(model, f_ras_mutant=share, a_akt=akt, c_mek_inhibitor=over("dose", [0.0, 300.0]))["c_myc"]
        left.append(float(run[1] / run[0]))
    assert 1 > left[0] > left[1] > left[2]
    assert left[0] < 0.85 and left[1] < 0.7 and left[2] < 0.5


def test_loss_of_myc_after_mek_inhibition_takes_less_than_two_hours(
    model: cascade.Model, basal: dict[str, float]
) -> None:
    run = follow(model, basal, 12, 0.01, c_mek_inhibitor=1000.0)
    middle = (float(run["c_myc"][0]) + float(run["c_myc"][-1])) / 2
    time = float(np.interp(-middle, -run["c_myc"].values, run["time"].values))
    assert 0.25 < time < 2


def test_myc_follows_beta_catenin_and_copies(model: cascade.Model) -> None:
    assert fold(model, "c_myc", c_bcat_tcf=13.4) == pytest.approx(1.7, rel=0.05)  # APC truncation
    assert fold(model, "c_myc", c_bcat_tcf=0.0) < 0.6
    assert fold(model, "c_myc", f_myc=4.0) == pytest.approx(4.0, rel=1e-3)


def serum(model: cascade.Model, step: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Carry out the base case of Lee 2008: growth factor without MYC at the start; total MYC over hours."""
    levels = {1.0: {"a_growth_factor": 2.0}, 0.1: {"a_growth_factor": 0.2, "c_mek_inhibitor": 8.2}}
    first = cascade.simulate(model, days=5, points=2, values=levels[1.0])
    state = end_state(first) | {"c_myc_new": 0.0, "c_myc_s62": 0.0, "c_myc_t58": 0.0}
    times, found = [], []
    for number, (begin, erk, pi3k) in enumerate(lee_t2008.SERUM):
        stop = [1.0, 4.0, 6.0, 12.0][number]
        run = follow(model, state, stop - begin, step, a_akt=pi3k, **levels[erk])
        times.append(begin + run["time"].values)
        found.append(run["c_myc"].values)
        state = end_state(run)
    return np.concatenate(times), np.concatenate(found)


def test_erk_of_the_serum_experiment_is_the_input_of_the_reference(model: cascade.Model) -> None:
    high = float(hold(model, a_growth_factor=2.0)["c_pperk"])
    low = float(hold(model, c_mek_inhibitor=8.2)["c_pperk"])
    assert low / high == pytest.approx(0.1, abs=0.01)


def test_lee_2008_gives_the_published_base_case() -> None:
    total = lee_t2008.total_myc(np.array([0.0, 2.0, 4.0, 6.0, 12.0]))
    np.testing.assert_allclose(total[[1, 4]], [0.995, 0.54], atol=0.01)
    assert total[1] > total[3] > total[2] > total[4]  # peak, dip, hump with the second PI3K pulse, end


def test_myc_follows_serum_as_in_lee_2008(model: cascade.Model) -> None:
    # the course agrees; the deeper fall over 12 hours of the reference is in evidence.tsv as a miss
    hours, found = serum(model)
    grid = np.arange(0.5, 12.01, 0.1)
    module, reference = np.interp(grid, hours, found), lee_t2008.total_myc(grid)
    assert found[0] == 0

    def at(curve: np.ndarray, hour: float) -> float:
        return float(np.interp(hour, grid, curve))

    for curve in (module, reference):
        assert at(curve, 0.5) < 0.9 * at(curve, 1.0)  # MYC builds up over the first hour ...
        assert at(curve, 3.9) < at(curve, 1.5)  # ... falls with ERK and PI3K ...
        assert at(curve, 5.9) > 1.05 * at(curve, 4.0)  # ... rises with the second PI3K pulse alone ...
        assert at(curve, 12.0) < 0.95 * at(curve, 5.9)  # ... and falls after it
        late = grid > 4.5
        assert float(grid[late][np.argmax(curve[late])]) == pytest.approx(6, abs=0.5)  # the hump ends with the pulse


# --- p53, MDM2 and p21 ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def damaged(model: cascade.Model, basal: dict[str, float]) -> xr.Dataset:
    """Wild-type cells under held damage 3; time in hours."""
    return follow(model, basal, 60, 0.01, a_dna_damage=3.0)


def peaks(run: xr.Dataset, variable: str) -> np.ndarray:
    """Hours of the maxima."""
    values = run[variable].values
    return run["time"].values[find_peaks(values, prominence=2e-3 * np.ptp(values))[0]]


def test_p53_pulses_after_damage(damaged: xr.Dataset) -> None:
    times = peaks(damaged, "c_p53")
    assert 2 <= times[0] <= 3
    assert np.all((np.diff(times)[:2] >= 4) & (np.diff(times)[:2] <= 7))  # 5.5 (SD 1.5) h, Geva-Zatorsky 2006
    assert 1.5 <= peaks(damaged, "c_mdm2")[0] - times[0] <= 2.5  # 2 (SD 0.5) h


def test_p53_pulses_are_damped_and_end_at_three_times_the_basal_level(damaged: xr.Dataset) -> None:
    p53 = damaged["c_p53"]
    heights = [float(p53.sel(time=hour, method="nearest")) for hour in peaks(damaged, "c_p53")[:3]]
    assert heights[0] == pytest.approx(83, rel=0.15)
    assert heights[0] > heights[1] > heights[2]
    assert float(p53[-1]) == pytest.approx(64, rel=0.1)
    assert float(p53[-1] / p53[0]) == pytest.approx(3.4, rel=0.1)


@pytest.mark.parametrize("reference", [geva_zatorsky2006.model_iv, geva_zatorsky2006.model_v])
def test_timing_of_the_loop_agrees_with_geva_zatorsky_2006(damaged: xr.Dataset, reference: object) -> None:
    hours = np.linspace(0, 60, 6001)
    p53, _, mdm2 = geva_zatorsky2006.simulate(reference, hours)  # type: ignore[arg-type]
    tops, lagging = (hours[find_peaks(y, prominence=0.05)[0]] for y in (p53, mdm2))
    spacing = float(np.mean(np.diff(tops[:5])))
    lag = float(np.mean([lagging[lagging > top][0] - top for top in tops[1:5]]))
    ours = peaks(damaged, "c_p53")
    assert 6.4 <= spacing <= 7.0  # the encoded models, slower than the 5.5 h of the cells
    assert float(np.mean(np.diff(ours[:3]))) == pytest.approx(spacing, rel=0.15)
    assert peaks(damaged, "c_mdm2")[0] - ours[0] == pytest.approx(lag, abs=0.5)
    # single cells of model IV keep their amplitude, a population does not
    if reference is geva_zatorsky2006.model_iv:
        heights = p53[find_peaks(p53, prominence=0.05)[0]]
        assert heights[4] / heights[1] > 0.98


def test_p53_without_synthesis_halves_in_about_a_quarter_of_an_hour(
    model: cascade.Model, basal: dict[str, float]
) -> None:
    run = follow(model, basal, 3, 0.005, v_synthesize_p53=0.0)
    assert 6 <= half_life(run, "c_p53") * 60 <= 25
    nutlin = follow(model, basal, 3, 0.005, v_synthesize_p53=0.0, c_mdm2_inhibitor=9000.0)
    assert half_life(nutlin, "c_p53") > 3 * half_life(run, "c_p53")  # MDM2 is what makes p53 short-lived


def test_mdm2_inhibitor_raises_p53_mdm2_and_p21(model: cascade.Model) -> None:
    assert fold(model, "c_p53", c_mdm2_inhibitor=900.0) == pytest.approx(3.6, rel=0.1)
    assert fold(model, "c_mdm2", c_mdm2_inhibitor=900.0) > 2  # p53 induces it
    assert fold(model, "c_p21", c_mdm2_inhibitor=900.0) > 3
    assert fold(model, "c_p21", c_mdm2_inhibitor=900.0, f_tp53=0.02) < 0.2  # nothing without p53
    doses = hold(model, c_mdm2_inhibitor=over("dose", [0.0, 30.0, 90.0, 300.0, 900.0, 3000.0]))["c_p53"].values
    assert np.all(np.diff(doses) > 0)


def test_a_pulse_of_damage_is_forgotten_within_a_day(model: cascade.Model, basal: dict[str, float]) -> None:
    pulse = follow(model, basal, 4, 0.02, a_dna_damage=3.0)
    after = follow(model, end_state(pulse), 24, 0.02)
    assert float(after["c_p53"].min()) < 0.7 * BASAL["c_p53"]  # MDM2 overshoots
    assert float(after["c_p53"][-1]) == pytest.approx(BASAL["c_p53"], rel=0.02)


def test_tp53_loss_abolishes_the_response_to_damage_and_lowers_mir34(model: cascade.Model) -> None:
    wild, lost = (hold(model, f_tp53=f, a_dna_damage=over("damage", [0.0, 3.0])) for f in (1.0, 0.02))
    assert float(wild["c_p21"][1] / wild["c_p21"][0]) > 4
    assert float(lost["c_p21"][1] / lost["c_p21"][0]) == pytest.approx(1, abs=0.1)
    assert float(lost["c_p53"][0]) == pytest.approx(0.2, abs=0.05)
    assert float(lost["c_p21"][0]) == pytest.approx(0.36, rel=0.05)
    assert float(lost["f_p53"][0]) == pytest.approx(0.27, abs=0.01)
    assert float(wild["f_p53"][0]) == pytest.approx(1, abs=1e-3)
    assert float(lost["f_proliferation"][1]) > 0.95 * float(lost["f_proliferation"][0])  # no arrest


def test_mdm2_dose_sets_p53(model: cascade.Model) -> None:
    p53 = hold(model, f_mdm2=over("copies", [0.0, 0.5, 1.0, 4.0, 20.0]))["c_p53"].values
    assert np.all(np.diff(p53) < 0)
    assert p53[0] > 10 * p53[2]  # MDM2-null cells die of p53
    assert p53[3] < 0.3 * p53[2]
    assert fold(model, "c_p21", f_mdm2=4.0, a_dna_damage=3.0) < fold(model, "c_p21", a_dna_damage=3.0)


# --- proliferation and genotypes --------------------------------------------------------------------------------------


def test_proliferation_needs_erk_rises_with_myc_and_stops_with_p21(model: cascade.Model) -> None:
    def growth(**values: float) -> float:
        return fold(model, "f_proliferation", **values)

    assert growth(c_mek_inhibitor=1e6) < 0.02
    assert growth(f_myc=0.0) == pytest.approx(0.38, abs=0.04)  # Mateyak 1997
    assert growth(a_dna_damage=3.0) < 0.4 < 0.95 < growth(a_dna_damage=3.0, f_cdkn1a=0.0)
    assert growth(f_cdkn1a=0.0) < 1.15  # p21 restrains unstressed cells little
    assert 1 < growth(f_myc=4.0) < growth(f_myc=4.0, f_ras_mutant=0.25) < 3
    assert growth(f_ras_mutant=0.25) > 1.2


EFFECTS = {  # variables and their levels
    "kras_g12": {"c_ras_gtp": 96, "c_pperk": 2.1 * 108.4},
    "kras_g12_amplified": {"c_ras_gtp": 336, "c_pperk": 2.7 * 108.4, "c_myc": 1.2 * 6.8},
    "myc_amplification": {"c_myc": 27, "f_proliferation": 1.4},
    "tp53_loss": {"c_p53": 0.22, "c_p21": 0.36, "f_p53": 0.27},
    "mdm2_amplification": {"c_p53": 3.2, "c_p21": 0.42},
    "cdkn1a_loss": {"c_p21": 0, "f_proliferation": 1.07},
}


@pytest.mark.parametrize("genotype", EFFECTS)
def test_genotypes_have_the_stated_effect(model: cascade.Model, genotype: str) -> None:
    """The levels that `effect` of `genotypes.tsv` tells."""
    run = hold(model, **genotype_values(model, [genotype]))
    for variable, level in EFFECTS[genotype].items():
        assert float(run[variable]) == pytest.approx(level, rel=0.05, abs=1e-9), variable


def test_inhibiting_a_constant_equals_the_drug_port(model: cascade.Model) -> None:
    for constant, drug, ic50 in (
        ("k_phosphorylate_erk", "c_mek_inhibitor", 0.9),
        ("k_degrade_p53_mdm2", "c_mdm2_inhibitor", 90.0),
    ):
        treated = cascade.treat(model, cascade.inhibit(constant, by=0.9))
        both = [hold(treated), hold(model, **{drug: 9 * ic50})]
        for name in ("c_pperk", "c_myc", "c_p53", "c_p21"):
            assert float(both[0][name]) == pytest.approx(float(both[1][name]), rel=1e-4), name
