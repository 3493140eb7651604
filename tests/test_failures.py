"""Failed runs: indices stay near, bounds hold what was not seen, and the region that fails is named."""

from __future__ import annotations

from collections.abc import Callable

import known_functions as known
import numpy as np
import pytest

from cascade.sensitivity.design import Design
from cascade.sensitivity.failures import failure_region
from cascade.sensitivity.morris import morris_design, morris_indices
from cascade.sensitivity.sobol import sobol_design, sobol_indices

LIMITS = {0.001: 0.005, 0.01: 0.01, 0.05: 0.03}
"""How far a total index may move when this share of the runs fails at random."""


def fail(design: Design, output: np.ndarray, share: float, seed: int, *, clustered: bool) -> np.ndarray:
    """Put NaN and infinity at random, or in a corner of the space of the first two parameters."""
    corner = (design.quantiles[:, :2] > 1 - np.sqrt(share)).all(axis=1)
    hit = corner if clustered else np.random.default_rng(seed).random(output.size) < share
    result = output.copy()
    result[hit] = np.where(np.arange(hit.sum()) % 2, np.inf, np.nan)
    return result


@pytest.mark.parametrize("function", [known.ishigami(), known.sobol_g()], ids=lambda f: f.name)
@pytest.mark.parametrize("share", list(LIMITS))
def test_random_failures_move_total_indices_little(function: known.KnownFunction, share: float) -> None:
    for seed in range(3):
        design = sobol_design(function.parameters, 16, rows=256, seed=seed)
        output = function.of(design)
        full, part = (
            sobol_indices(design, y, draws=0) for y in (output, fail(design, output, share, seed, clustered=False))
        )
        assert abs(part["ST"] - full["ST"]).max() <= LIMITS[share]
        assert abs(part["S1"] - full["S1"]).max() <= 2 * LIMITS[share]
        assert part.attrs["failed_runs"] == pytest.approx(share * design.runs, rel=0.4)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("share", list(LIMITS))
def test_bounds_hold_the_index_without_failures(share: float, clustered: bool) -> None:
    """In every one of 40 seeds: failed runs lie inside the range of the others, so the bounds are strict."""
    function = known.ishigami()
    for seed in range(40):
        design = sobol_design(function.parameters, 8, rows=32, seed=seed)
        output = function.of(design)
        full = sobol_indices(design, output, draws=0)
        part = sobol_indices(design, fail(design, output, share, seed, clustered=clustered), draws=0)
        for index in ("S1", "ST"):
            assert (part[f"{index}_bound_lower"] <= full[index] + 1e-9).all()
            assert (full[index] <= part[f"{index}_bound_upper"] + 1e-9).all()


def test_bounds_of_one_failed_run_by_trying_all_values() -> None:
    function = known.linear((2, 1))
    design = sobol_design(function.parameters, 2, rows=4, seed=3)
    output = function.of(design)
    low, high = output.min(), output.max()
    for run in range(4):  # A, B and both AB of the first row
        holed = output.copy()
        holed[run] = np.nan
        found = sobol_indices(design, holed, draws=0)
        tried = []
        for value in np.linspace(low, high, 41):
            holed[run] = value
            tried.append(sobol_indices(design, holed, draws=0))
        for index in ("S1", "ST"):
            values = np.array([one[index].values for one in tried])
            assert (found[f"{index}_bound_lower"].values <= values.min(axis=0) + 1e-3).all()
            assert (values.max(axis=0) - 1e-3 <= found[f"{index}_bound_upper"].values).all()
        touched = found["ST_bound_upper"] - found["ST_bound_lower"] > 1e-12
        assert touched.values.tolist() == ([True, True] if run < 2 else [run == 2, run == 3])


def test_without_failures_bounds_are_the_estimate() -> None:
    function = known.ishigami()
    design = sobol_design(function.parameters, 4, seed=1)
    found = sobol_indices(design, function.of(design))
    for index in ("S1", "ST"):
        assert found[f"{index}_bound_lower"].values == pytest.approx(found[index].values)
        assert found[f"{index}_bound_upper"].values == pytest.approx(found[index].values)
    assert (found["blocks"] == 64).all() and "failed" not in found.attrs["verdict"]


def test_a_failed_run_costs_only_the_indices_that_need_it() -> None:
    function = known.linear()
    design = sobol_design(function.parameters, 4, rows=16, seed=1)
    output = function.of(design)
    holed = output.copy()
    holed[7 * 10 + 2 + 3] = np.nan  # row 10, AB of x3
    full, part = sobol_indices(design, output), sobol_indices(design, holed)
    assert part["blocks"].values.tolist() == [64, 64, 64, 63, 64]
    same = ["x0", "x1", "x2", "x4"]
    assert part["ST"].sel(name=same).values == pytest.approx(full["ST"].sel(name=same).values)
    assert "1 failed, which leaves between 63 and 64 of 64 rows" in part.attrs["verdict"]


def test_nothing_is_zero_without_a_result() -> None:
    design = sobol_design(known.unit_parameters(3), 4, seed=1)
    found = sobol_indices(design, np.full(design.runs, np.nan))
    for index in ("S1", "ST", "ST_lower", "ST_bound_upper", "rank", "p_top"):
        assert np.isnan(found[index]).all(), index
    assert "is missing (NaN)" in found.attrs["verdict"]
    output = known.linear((1, 1, 1)).of(design)
    output.reshape(-1, 5)[:, 3] = np.inf  # every AB of x1
    found = sobol_indices(design, output)
    assert np.isnan(found["ST"].sel(name="x1")) and np.isfinite(found["ST"].sel(name=["x0", "x2"])).all()
    assert np.isnan(found["ST_upper"].sel(name="x1")) and np.isnan(found["rank"].sel(name="x1"))


@pytest.mark.parametrize("kind", ["radial", "trajectories"])
def test_morris_keeps_the_same_share_of_effects_in_both_kinds(kind: str) -> None:
    """An effect needs two runs, however they are arranged: 0.85 squared of them are left at 15 % failed runs."""
    function = known.oakley_ohagan()
    left = []
    for seed in range(60):
        design = morris_design(function.parameters, 12, seed=seed, kind=kind)
        output = fail(design, function.of(design), 0.15, seed, clustered=False)
        left.append(morris_indices(design, output, draws=0)["effects"].sum().item() / 180)
    assert np.mean(left) == pytest.approx(0.85**2, abs=0.04)


def test_morris_bounds_hold_the_effect_without_failures() -> None:
    function = known.sobol_g()
    for seed in range(20):
        design = morris_design(function.parameters, 8, seed=seed)
        output = function.of(design)
        full = morris_indices(design, output, draws=0)["mu_star"]
        part = morris_indices(design, np.where(np.arange(output.size) % 11 == 3, np.nan, output), draws=0)
        reached = np.nanmax(np.delete(output, np.s_[3::11])) >= output.max()
        assert (part["mu_star_bound_lower"] <= full + 1e-9).all()
        assert not reached or (full <= part["mu_star_bound_upper"] + 1e-9).all()


# ---- the region that fails


@pytest.mark.parametrize(("make", "samples"), [(sobol_design, 16), (morris_design, 100)])
def test_the_region_that_fails_is_named(make: Callable[..., Design], samples: int) -> None:
    design = make(known.unit_parameters(6), samples, seed=1)
    output = np.where((design.quantiles[:, 2] > 0.7) & (design.quantiles[:, 4] < 0.5), np.nan, 1.0)
    report = failure_region(design, output)
    by_distance = report["parameter"].values[np.argsort(-report["distance"].values)]
    assert by_distance[0] == "x2"
    first = report.sel(parameter="x2")
    assert first["p_holm"].item() < 1e-3
    assert 0.69 < first["quantile_lower"].item() < first["quantile_upper"].item() <= 1
    assert first["lower"].item() == pytest.approx(first["quantile_lower"].item())
    assert first["share_of_successful"].item() < 0.25
    failed = int(np.isnan(output).sum())
    assert report.attrs["verdict"].startswith(f"{failed} of {design.runs} runs failed")
    assert "mostly where x2 is between 0.7" in report.attrs["verdict"]
    inside = np.isnan(output) & (design.quantiles[:, 2] >= first["quantile_lower"].item())
    assert inside.sum() >= 0.9 * failed


def test_random_failures_name_no_parameter() -> None:
    """Runs of a block share values; counted as independent they would name a parameter far too often."""
    named = 0
    for seed in range(100):
        design = sobol_design(known.unit_parameters(8), 8, rows=16, seed=seed)
        failing = design.quantiles.reshape(128, 10, 8).copy()
        output = failing.sum(axis=2)
        output[np.random.default_rng(seed).random(128) < 0.05] = np.nan  # whole blocks fail together
        report = failure_region(design, output.reshape(-1))
        named += bool((report["p_holm"] < 0.05).any())
    assert named <= 10


def test_no_or_only_failures_have_no_region() -> None:
    design = sobol_design(known.unit_parameters(2), 2, seed=1)
    for output, words in (
        (np.ones(design.runs), "none of 128 runs failed"),
        (np.full(design.runs, np.nan), "nothing tells"),
    ):
        report = failure_region(design, output)
        assert words in report.attrs["verdict"]
        assert np.isnan(report["distance"]).all() and np.isnan(report["p_holm"]).all()
