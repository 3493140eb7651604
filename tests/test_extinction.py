"""Extinction: exact against closed forms, against its own sampling, and against libRoadRunner's Gillespie."""

from __future__ import annotations

import json
from pathlib import Path

import libsbml
import numpy as np
import pytest
from folders import make_shipped_composition
from typer.testing import CliRunner

import cascade
from cascade.cli import app
from cascade.engine import load_roadrunner
from cascade.errors import AnalysisError

W, D, G = 2e-3, 1e-3, 5e-3
CHAIN = f"""
  compartment body = 1;
  substanceOnly species n_dormant in body, n_lesion_1 in body, n_overt in body;
  n_dormant = 0; n_lesion_1 = 0; n_overt = 0;
  k_wake = {W}; k_die = {D}; k_grow = {G}; v_in = 3; a_wound = 0; w_wound = 0;
  arrive: => n_dormant; v_in;
  wake: n_dormant => n_lesion_1; k_wake*(1 + w_wound*a_wound)*n_dormant;
  die: n_dormant => ; k_die*n_dormant;
  detect: n_lesion_1 => n_overt; k_grow*n_lesion_1;
"""


def detected(time):
    """P(a dormant cell is a detected lesion by t): wakes before it dies, then grows."""
    total = W + D
    late = (total * np.exp(-G * time) - G * np.exp(-total * time)) / (G - total)
    return W / total * (1 + late)


# ---- closed forms


def test_a_cohort_is_extinct_with_the_power_of_its_cells(make_model):
    law = cascade.extinction(make_model(CHAIN), {"n_dormant": 40}, days=1500, points=31)
    single = detected(law["time"].values)
    np.testing.assert_allclose(law["p_no_lesion"], (1 - single) ** 40, rtol=1e-7)
    np.testing.assert_allclose(law["n_lesions"], 40 * single, rtol=1e-7, atol=1e-12)
    assert law.attrs["rates"] == "constant"


def test_the_number_of_lesions_of_independent_cells_is_binomial(make_model):
    from scipy.stats import binom

    law = cascade.extinction(make_model(CHAIN), {"n_dormant": 40}, days=400, points=5)
    expected = binom.pmf(law["lesions"], 40, detected(400.0))
    np.testing.assert_allclose(law["p_count"], expected, atol=1e-9)
    assert float(law["p_count"][0]) == pytest.approx(float(law["p_no_lesion"][-1]), abs=1e-9)


def test_quantiles_of_the_first_lesion_and_missing_ones(make_model):
    law = cascade.extinction(make_model(CHAIN), {"n_dormant": 1}, days=4000, points=4001)
    first = law["t_first"].sel(quantile=0.5).item()
    assert detected(first) == pytest.approx(0.5, rel=1e-5)
    assert np.isnan(law["t_first"].sel(quantile=0.75).item()), "only two thirds ever wake"


def test_tiny_risks_keep_their_digits(make_model):
    """A cell in 1e12 succeeds: 1 - P would lose it, exp(n log1p(-p)) does not."""
    model = make_model(CHAIN)
    law = cascade.extinction(model, {"n_dormant": 1e11}, days=1000, points=3, values={"k_wake": 1e-14, "k_die": 1e-3})
    grown = (1 - np.exp(-1.0)) / D - (np.exp(-1.0) - np.exp(-5.0)) / (G - D)
    assert float(law["n_lesions"][-1]) == pytest.approx(1e-3 * grown, rel=1e-6)
    assert float(law["p_no_lesion"][-1]) == pytest.approx(np.exp(-1e-3 * grown), rel=1e-9)


def test_several_kinds_of_individuals(make_model):
    law = cascade.extinction(make_model(CHAIN), {"n_dormant": 10, "n_lesion_1": 2}, days=300, points=4)
    growing = 1 - np.exp(-G * law["time"].values)
    expected = (1 - detected(law["time"].values)) ** 10 * (1 - growing) ** 2
    np.testing.assert_allclose(law["p_no_lesion"], expected, rtol=1e-7)


def test_branching_is_followed(make_model):
    """Birth b, death d, detection g of one kind: u' = d - (b + d + g) u + b u^2 (Riccati)."""
    from scipy.integrate import solve_ivp

    text = """
      compartment body = 1; substanceOnly species n_cell in body, n_overt in body;
      n_cell = 0; n_overt = 0; b = 0.02; d = 0.015; g = 0.001;
      split: n_cell => 2 n_cell; b*n_cell; die: n_cell => ; d*n_cell; detect: n_cell => n_overt; g*n_cell;
    """
    law = cascade.extinction(make_model(text), {"n_cell": 3}, days=400, points=9)
    u = solve_ivp(
        lambda t, u: 0.015 - 0.036 * u + 0.02 * u**2, (0, 400), [1.0], t_eval=law["time"], rtol=1e-11, atol=1e-13
    ).y[0]
    np.testing.assert_allclose(law["p_no_lesion"], u**3, rtol=1e-7)
    mean = 3 * 0.001 * np.expm1(0.004 * law["time"]) / 0.004
    np.testing.assert_allclose(law["n_lesions"], mean, rtol=1e-7)
    assert float(law["p_count"].sum()) == pytest.approx(1.0, abs=1e-6)


# ---- rates that change with time


WOUND = CHAIN.replace(
    "a_wound = 0; w_wound = 0;", "w_wound = 4; a_wound = 1; k_heal = 0.01; a_wound' = -k_heal*a_wound;"
)


def test_rates_follow_a_run(make_model):
    from scipy.integrate import solve_ivp

    model = make_model(WOUND)
    run = cascade.simulate(model, days=3000, points=3001)
    law = cascade.extinction(model, {"n_dormant": 5}, days=600, points=121, run=run, start=100)

    def forward(t, p):
        wake = W * (1 + 4 * np.exp(-0.01 * (t + 100)))
        return [-(wake + D) * p[0], wake * p[0] - G * p[1], G * p[1]]

    found = solve_ivp(forward, (0, 600), [1.0, 0, 0], t_eval=law["time"], rtol=1e-10, atol=1e-13).y[2]
    np.testing.assert_allclose(law["p_no_lesion"], (1 - found) ** 5, rtol=3e-4)
    assert law.attrs["rates"] == "from the run"
    still = cascade.extinction(model, {"n_dormant": 5}, days=600, points=121)
    assert float(still["p_no_lesion"][-1]) < float(law["p_no_lesion"][-1]), "without a run the wound stays open"


def test_constants_of_the_run_are_kept(make_model):
    model = make_model(CHAIN)
    run = cascade.simulate(model, days=1000, points=11, values={"k_grow": 0.02})
    law = cascade.extinction(model, {"n_lesion_1": 1}, days=100, points=3, run=run)
    assert float(law["p_no_lesion"][-1]) == pytest.approx(np.exp(-2.0), rel=1e-6)


# ---- sampling


@pytest.mark.parametrize("start", [None, 50.0])
def test_sampling_agrees_with_the_exact_law(make_model, start):
    model = make_model(WOUND)
    run = None if start is None else cascade.simulate(model, days=3000, points=3001)
    law = cascade.extinction(
        model, {"n_dormant": 30}, days=500, points=101, run=run, start=start or 0, runs=20_000, seed=3
    )
    inside = (law["p_no_lesion_lower"] <= law["p_no_lesion"]) & (law["p_no_lesion"] <= law["p_no_lesion_upper"])
    assert float(inside.mean()) > 0.8
    error = np.sqrt(law["p_no_lesion"] * (1 - law["p_no_lesion"]) / 20_000)
    z = ((law["p_no_lesion_sampled"] - law["p_no_lesion"]) / error.where(error > 0)).fillna(0)
    assert float(abs(z).max()) < 4
    known = law["t_first"].notnull()
    assert known.any()
    np.testing.assert_allclose(law["t_first_sampled"][known], law["t_first"][known], rtol=0.04)
    assert ((law["t_first_lower"] <= law["t_first_sampled"]) | ~known).all()
    np.testing.assert_allclose(law["p_count_sampled"], law["p_count"], atol=0.015)
    assert float(abs(law["n_lesions_sampled"][-1] - law["n_lesions"][-1])) < 0.05
    again = cascade.extinction(
        model, {"n_dormant": 30}, days=500, points=101, run=run, start=start or 0, runs=20_000, seed=3
    )
    assert law.identical(again)


# ---- refusals


def test_what_interacts_is_refused(make_model):
    model = make_model(CHAIN.replace("k_die*n_dormant;", "k_die*n_dormant^2;"))
    with pytest.raises(AnalysisError, match="'die' is not first order in 'n_dormant'"):
        cascade.extinction(model, {"n_dormant": 1}, days=10)
    model = make_model(CHAIN + "steal: n_lesion_1 => ; k_die*n_dormant;")
    with pytest.raises(AnalysisError, match="'steal' lets 'n_dormant' act on others"):
        cascade.extinction(model, {"n_dormant": 1}, days=10)


def test_wrong_requests_say_what_to_do(make_model):
    model = make_model(CHAIN)
    for options, words in (
        ({"cells": {"n_dormant": 1}}, "give the length of time once"),
        ({"cells": {}, "days": 1}, "cohort is empty"),
        ({"cells": {"n_dormant": -1}, "days": 1}, "not negative"),
        ({"cells": {"n_dormant": 1.5}, "days": 1, "runs": 100}, "whole number"),
        ({"cells": {"n_dormant": 1}, "days": 1, "points": 1}, "points is 1"),
        ({"cells": {"n_dormant": 1}, "days": 1, "runs": 3}, "at least 20"),
        ({"cells": {"n_dormant": 1e7}, "days": 1, "runs": 1000}, "exact law needs no sampling"),
        ({"cells": {"n_overt": 1}, "days": 1}, "can become 'n_overt'"),
        ({"cells": {"k_wake": 1}, "days": 1}, "no number of individuals"),
    ):
        with pytest.raises(AnalysisError, match=words):
            cascade.extinction(model, **options)
    run = cascade.simulate(model, days=10, record=["n_dormant"])
    with pytest.raises(AnalysisError, match="the run does not hold"):
        cascade.extinction(model, {"n_dormant": 1}, days=5, run=run)
    run = cascade.simulate(model, days=10)
    with pytest.raises(AnalysisError, match="the run only to 10"):
        cascade.extinction(model, {"n_dormant": 1}, days=15, run=run)


# ---- the shipped modules

INFLOW, INFLOW_DAYS = 2.0, 200.0
BENCH = {
    "bone_seed.f_arrest_systemic": 1.0,
    "bone_seed.v_arrest_single": INFLOW,
    "bone_seed.v_arrest_cloaked": 0.0,
    "bone_seed.v_arrest_cluster": 0.0,
    "bone_seed.v_retained_single": 0.0,
    "bone_seed.v_retained_cluster": 0.0,
    "bone_seed.v_node": 0.0,
    "bone_seed.f_found": 1.0,
    "bone_seed.k_found": 4e-3,
    "bone_lesions.f_angiogenic_dormant": 0.5,
    "bone_lesions.k_switch_angiogenic": 5e-4,
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory) -> cascade.Model:
    """One lineage of cells and its lesions in one organ, under constant conditions."""
    folder: Path = tmp_path_factory.mktemp("bench")
    path = make_shipped_composition(
        folder,
        {"bone_seed": "disseminated_cells", "bone_lesions": "lesions"},
        {"bone_lesions.v_found": "bone_seed.v_found"},
    )
    return cascade.compose(cascade.load_composition(path))


def test_expected_lesions_of_a_cohort_are_those_of_the_equations(bench):
    """The mean of the lineages is the solution of the ordinary differential equations."""
    closed = BENCH | {"bone_seed.v_arrest_single": 0.0}
    law = cascade.extinction(bench, {"n_arrested": 1000}, organ="bone", years=20, points=41, values=closed)
    run = cascade.simulate(
        bench,
        years=20,
        points=41,
        values=closed | {"bone_seed.n_arrested": 1000.0},
        solver=cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12),
    )
    np.testing.assert_allclose(law["n_lesions"], run["bone_lesions__n_overt"], rtol=1e-5, atol=1e-9)
    poisson = np.exp(-run["bone_lesions__h_cumulative"].values)
    np.testing.assert_allclose(law["p_no_lesion"], poisson, rtol=5e-3)


def test_local_names_are_found_by_organ(bench):
    found = [
        cascade.extinction(bench, cells, organ=organ, days=3000, points=5, values=BENCH)["p_no_lesion"].values
        for cells, organ in (({"n_dormant": 50}, "bone"), ({"n_dormant": 50}, ""), ({"bone_seed.n_dormant": 50}, ""))
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert 0 < found[0][-1] < 1


def without_burden(model: cascade.Model) -> str:
    """Return the flat SBML without the size of overt lesions, which counts cells by the billion and feeds nothing."""
    document = libsbml.readSBMLFromString(model.flat)
    for reaction in ("enter_burden", "grow_burden"):
        assert document.getModel().removeReaction(f"bone_lesions__{reaction}") is not None
    return libsbml.writeSBMLToString(document)


def gillespie(sbml: str, values: dict[str, float], inflow: str, times: np.ndarray, runs: int) -> np.ndarray:
    """Return detected lesions over runs and times; the inflow ends between two segments, as Gillespie needs it."""
    runner = load_roadrunner().RoadRunner(sbml)
    runner.setIntegrator("gillespie")
    runner.timeCourseSelections = ["time", "bone_lesions__n_overt"]
    runner.integrator.setValue("variable_step_size", False)
    runner.integrator.setValue("nonnegative", True)
    seeds = np.random.default_rng(20260101).choice(2**31 - 2, size=runs, replace=False) + 1
    segments = list(zip([INFLOW_DAYS, *times[:-1]], times, strict=True))
    counts = np.zeros((runs, len(times)))
    for row, seed in enumerate(seeds):
        runner.resetToOrigin()
        for key, value in values.items():
            runner.model[key] = value
        runner.integrator.setValue("seed", int(seed))
        runner.simulate(0, INFLOW_DAYS, 2)
        runner.model[inflow] = 0.0
        for column, (begin, end) in enumerate(segments):
            counts[row, column] = runner.simulate(begin, end, 2)[-1, 1]
    return counts


@pytest.mark.slow
def test_survival_is_exact_against_gillespie(bench):
    """S = exp(-H) and Fano 1 in 10,000 stochastic runs of the same SBML; extinction gives the same law."""
    runs = 10_000
    times = np.array([600, 1000, 1400, 1800, 2400, 3000, 3800, 5000, 6200, 7300.0])
    values = {bench.id(name): value for name, value in BENCH.items()}
    counts = gillespie(without_burden(bench), values, bench.id("bone_seed.v_arrest_single"), times, runs)
    law = cascade.extinction(bench, {"n_arrested": 1}, organ="bone", days=7300, points=7301, values=BENCH)
    # Poisson arrivals for 200 days: the hazard is the sum over arrivals of each cell's risk.
    risk = np.concatenate([[0.0], np.cumsum(1 - law["p_no_lesion"].values)[:-1]])
    days = law["time"].values
    hazard = INFLOW * (np.interp(times, days, risk) - np.interp(times - INFLOW_DAYS, days, risk))
    strict = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)
    first = cascade.simulate(bench, days=INFLOW_DAYS, points=2, values=BENCH, solver=strict).isel(time=-1)
    document = libsbml.readSBMLFromString(bench.flat)
    states = [species.getId() for species in document.getModel().getListOfSpecies()]
    later = BENCH | {"bone_seed.v_arrest_single": 0.0} | {name: float(first[name]) for name in states}
    second = cascade.simulate(bench, days=7100, points=7101, values=later, solver=strict)["bone_lesions__h_cumulative"]
    total = second.sel(time=times - INFLOW_DAYS).values
    np.testing.assert_allclose(hazard, total, rtol=0.02)
    none, mean = (counts == 0).mean(axis=0), counts.mean(axis=0)
    for expected in (np.exp(-total), np.exp(-hazard)):
        z = (none - expected) / np.sqrt(expected * (1 - expected) / runs)
        assert np.abs(z).max() < 4, z
    z = (mean - total) / np.sqrt(total / runs)
    assert np.abs(z).max() < 4, z
    fano = counts.var(axis=0, ddof=1) / mean
    # of counts as rare as the first ones the ratio itself is uncertain: its variance is (2 + 1/mean)/runs
    assert (np.abs(fano - 1) < 4 * np.sqrt((2 + 1 / mean) / runs)).all(), fano
    assert ((fano > 0.95) & (fano < 1.05))[3:].all(), fano


def test_the_command_takes_other_organs_and_classes(tmp_path):
    """Any member of an index set, any number of size classes: the same law as from Python."""
    path = make_shipped_composition(tmp_path, {"'{site}_lesions'": "lesions"}, {}, more="[index]\nsite = ['bone']")
    for options, index, structure in (
        ([], None, None),
        (
            ["--index", "site=skin", "--structure", "lesions.n_classes=4"],
            {"site": ["skin"]},
            {"lesions": {"n_classes": 4}},
        ),
    ):
        organ = "skin_lesions" if index else "bone_lesions"
        model = cascade.compose(cascade.load_composition(path, index=index, structure=structure))
        law = cascade.extinction(model, {"n_angiogenic_dormant": 3}, organ=organ, years=10, points=201)
        command = ["extinction", str(path), organ, "n_angiogenic_dormant=3", "--json", *options]
        found = CliRunner().invoke(app, command)
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["p_no_lesion"] == pytest.approx(float(law["p_no_lesion"][-1]), rel=1e-9)
