"""Monte Carlo filtering against distributions of two groups that are known exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr
from known_functions import unit_parameters
from scipy.special import ndtri
from scipy.stats import ks_2samp

from cascade.errors import AnalysisError
from cascade.sensitivity.dgsm import dgsm_design
from cascade.sensitivity.failures import holm
from cascade.sensitivity.given_data import sample_design
from cascade.sensitivity.regional import distances, regional


def test_weighted_groups_have_the_separation_and_shift_of_their_densities() -> None:
    design = sample_design(unit_parameters(3), 8000, seed=1)
    found = regional(design, design.quantiles[:, 0])
    # With p = x the densities with and without the event are 2 x and 2 (1 - x): means 2/3 and 1/3, distance 1/2.
    assert found["separation"].sel(name="x0") == pytest.approx(0.5, abs=0.015)
    assert found["shift"].sel(name="x0") == pytest.approx(1 / 3, abs=0.01)
    assert found["separation"].sel(name="x1") < 0.03
    assert list(found["direction"].values[:1]) == [1.0]


def test_a_threshold_parts_the_groups_and_above_turns_the_event() -> None:
    design = sample_design(unit_parameters(3), 500, seed=2)
    output = 10 - 9 * design.quantiles[:, 1]
    high, low = (regional(design, output, threshold=5.0, above=above) for above in (True, False))
    assert high["separation"].sel(name="x1") == pytest.approx(1, abs=1e-9)
    assert low["separation"].sel(name="x1") == pytest.approx(1, abs=1e-9)
    assert high["direction"].sel(name="x1") == -1 and low["direction"].sel(name="x1") == 1
    assert "1 parameters separate the groups" in high.attrs["verdict"]
    np.testing.assert_allclose(high["shift"], -low["shift"], atol=1e-12)
    probability = np.clip(output / 10, 0, 1)
    absent = regional(design, probability, above=False)
    np.testing.assert_allclose(absent["shift"], -regional(design, probability)["shift"], atol=1e-12)


def test_distances_of_whole_patients_are_those_of_scipy() -> None:
    generator = np.random.default_rng(4)
    x, event = generator.random((300, 4)), (generator.random(300) < 0.3).astype(float)
    theirs = [ks_2samp(column[event == 1], column[event == 0]).statistic for column in x.T]
    np.testing.assert_allclose(distances(x, event)[0], theirs, atol=1e-12)


def test_an_event_in_the_middle_separates_without_a_direction() -> None:
    design = sample_design(unit_parameters(2), 1000, seed=3)
    found = regional(design, np.exp(-20 * (design.quantiles[:, 0] - 0.5) ** 2))
    assert found["p_holm"].sel(name="x0") < 0.01
    assert found["direction"].sel(name="x0") == 0


def test_a_parameter_may_separate_through_another() -> None:
    rho = 0.6
    pairs = {("x0", "x1"): rho}
    design = sample_design(unit_parameters(3), 6000, seed=1, correlation=pairs, correlation_kind="normal")
    found = regional(design, ndtri(design.quantiles[:, 0]), threshold=0.0)
    # Sheppard (1899): two normal scores have the same sign with probability 1/2 + arcsin(rho) / pi.
    assert found["separation"].sel(name="x1") == pytest.approx(2 * math.asin(rho) / math.pi, abs=0.02)
    assert found["p_holm"].sel(name="x1") < 0.01 < found["p"].sel(name="x2")


def test_intervals_hold_the_truth() -> None:
    held = {"separation": [], "shift": []}
    # p = (x0 + x1) / 2: densities 1/2 + x and 3/2 - x of both, distance 1/4, means 7/12 and 5/12.
    truth = {"separation": np.array([0.25, 0.25, 0, 0]), "shift": np.array([1 / 6, 1 / 6, 0, 0])}
    for seed in range(60):
        design = sample_design(unit_parameters(3), 300, seed=seed)
        found = regional(design, design.quantiles[:, :2].mean(axis=1))
        for index, values in held.items():
            low, high = found[f"{index}_lower"].values, found[f"{index}_upper"].values
            values.append((low <= truth[index]) & (truth[index] <= high))
    assert 0.90 <= np.mean(held["shift"]) <= 0.98
    assert 0.90 <= np.mean(held["separation"]) <= 0.995


def test_p_values_are_uniform_without_an_effect() -> None:
    p, family = [], []
    for seed in range(60):
        design = sample_design(unit_parameters(10), 100, seed=seed)
        found = regional(design, np.random.default_rng(seed).random(100), resamples=4)
        p.extend(found["p"].values[:-1])
        family.append(float(found["p_holm"].min()))
    counts = np.histogram(p, np.linspace(0, 1, 6))[0]
    assert ((counts - 120) ** 2 / 120).sum() < 13.3  # chi-squared, 4 degrees of freedom, 1 %
    assert np.mean(np.array(family) < 0.05) <= 0.12  # 5 % of 60, upper end of the binomial


def test_holm_is_a_stepwise_correction() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("clustered", [False, True])
def test_failed_runs_are_dropped_and_time_is_kept(clustered: bool) -> None:
    design = sample_design(unit_parameters(3), 1000, seed=1)
    p = design.quantiles[:, 0]
    failed = np.argsort(p)[:50] if clustered else np.arange(50)
    broken = p.copy()
    broken[failed] = np.nan
    output = xr.DataArray(np.stack([broken, p], axis=1), dims=("run", "days"), coords={"days": [0.0, 5.0]})
    found = regional(design, output)
    assert found["separation"].dims == ("name", "days")
    expected = 0.475 if clustered else 0.5  # p from 0.05 to 1: densities of p and 1 - p on that interval
    assert found["separation"].sel(name="x0", days=0) == pytest.approx(expected, abs=0.04)
    assert "950 to 1000 of 1000 runs used; up to 50 dropped" in found.attrs["verdict"]


def test_groups_that_are_too_small_and_constant_outputs_have_their_reason() -> None:
    design = sample_design(unit_parameters(2), 300, seed=1)
    few = regional(design, design.quantiles[:, 0], threshold=np.sort(design.quantiles[:, 0])[-4])
    assert np.isnan(few["separation"]).all() and "a group is smaller than 5 patients" in few.attrs["verdict"]
    same = regional(design, np.full(300, 0.2))
    assert (same["separation"] == 0).all() and (same["p"] == 1).all() and "do not vary" in same.attrs["verdict"]


def test_wrong_outputs_and_designs_are_refused() -> None:
    design = sample_design(unit_parameters(2), 100, seed=1)
    with pytest.raises(AnalysisError, match="100 outputs are not probabilities"):
        regional(design, 2 + design.quantiles[:, 0])
    blocks = dgsm_design(unit_parameters(2), 30, seed=1)
    with pytest.raises(AnalysisError, match="not a design of dgsm"):
        regional(blocks, blocks.quantiles[:, 0])
