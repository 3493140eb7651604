"""Samples of the priors and what is read from them: RBD-FAST, PAWN, delta; and DGSM, against known indices."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from known_functions import KnownFunction, ishigami, linear, sobol_g, unit_parameters
from SALib.analyze import dgsm as salib_dgsm
from SALib.analyze import pawn as salib_pawn
from SALib.analyze.delta import calc_delta
from scipy.special import ndtri
from scipy.stats import norm, spearmanr

from cascade.errors import AnalysisError, UnknownNameError
from cascade.sensitivity.correlation import refuse_correlated, score_correlation
from cascade.sensitivity.delta import delta_indices, normal_scores, quick_deltas
from cascade.sensitivity.dgsm import dgsm_bounds, dgsm_design
from cascade.sensitivity.given_data import sample_design
from cascade.sensitivity.pawn import pawn_indices, slice_medians
from cascade.sensitivity.rbd_fast import rbd_fast_indices
from cascade.specs import Parameter

METHODS = {"S1": rbd_fast_indices, "pawn": pawn_indices, "delta": delta_indices}
SEEDS = 60


def log_normal(name: str, sigma: float, cut: float = 4.0) -> Parameter:
    """A log-normal prior around 1, cut at `cut` standard deviations."""
    low, high = math.exp(-cut * sigma), math.exp(cut * sigma)
    fields = {"nominal": 1.0, "unit": "dimensionless", "lower": low, "upper": high, "estimate": True}
    return Parameter(id=name, name=name, prior="log-normal", prior_parameters=(0.0, sigma), **fields)  # type: ignore[arg-type]


def coverage(results: list[xr.Dataset], index: str, truth: np.ndarray) -> float:
    """Share of the intervals, over seeds and names, that hold the truth."""
    low, high = (np.array([r[f"{index}_{end}"].values for r in results]) for end in ("lower", "upper"))
    return float(((low <= truth + 1e-12) & (truth - 1e-12 <= high)).mean())


# ---- the sample


def test_a_longer_sample_begins_with_the_shorter_one_and_a_parameter_more_leaves_it() -> None:
    few = sample_design(unit_parameters(3), 50, seed=5)
    many = sample_design(unit_parameters(4), 80, seed=5)
    assert np.array_equal(many.quantiles[:50, [0, 1, 2, 4]], few.quantiles)
    assert few.columns == ("x0", "x1", "x2", "dummy")
    assert (few.quantiles > 0).all() and (few.quantiles < 1).all()
    assert not np.array_equal(sample_design(unit_parameters(3), 50, seed=6).quantiles, few.quantiles)


def test_a_correlated_sample_extends_too_and_has_the_correlations_and_the_margins() -> None:
    pairs = {("x0", "x1"): 0.7, ("x1", "x3"): -0.4}
    few = sample_design(unit_parameters(4), 500, seed=1, correlation=pairs)
    many = sample_design(unit_parameters(4), 20_000, seed=1, correlation=pairs)
    assert np.array_equal(few.quantiles, many.quantiles[:500])
    ranks = spearmanr(many.quantiles).statistic
    assert ranks[0, 1] == pytest.approx(0.7, abs=0.015)
    assert ranks[1, 3] == pytest.approx(-0.4, abs=0.015)
    assert abs(ranks[0, 3]) < 0.03 and abs(ranks[2, 0]) < 0.03
    assert np.abs(np.sort(many.quantiles, axis=0) - np.linspace(0, 1, 20_000)[:, None]).max() < 0.02
    free = sample_design(unit_parameters(4), 500, seed=1)
    assert np.array_equal(free.quantiles[:, [2, 4]], few.quantiles[:, [2, 4]])


def test_normal_correlations_are_those_of_the_scores() -> None:
    design = sample_design(
        unit_parameters(2), 20_000, seed=1, correlation={("x0", "x1"): 0.6}, correlation_kind="normal"
    )
    assert np.corrcoef(ndtri(design.quantiles[:, :2]).T)[0, 1] == pytest.approx(0.6, abs=0.015)


def test_correlations_that_cannot_hold_together_are_named() -> None:
    pairs = {("x0", "x1"): 0.9, ("x1", "x2"): 0.9, ("x0", "x2"): -0.9}
    with pytest.raises(AnalysisError, match=r"not positive definite.*weaken all correlations") as error:
        sample_design(unit_parameters(4), 10, seed=1, correlation=pairs)
    assert all(name in str(error.value) for name in ("x0", "x1", "x2")) and "x3" not in str(error.value)
    factor = float(str(error.value).split(" to ")[1].split(" times")[0])
    weaker = {pair: factor * 2 * math.sin(math.pi * value / 6) for pair, value in pairs.items()}
    score_correlation(("x0", "x1", "x2"), weaker, kind="normal")


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ({("x0", "x1"): 1.0}, "between -1 and 1"),
        ({("x0", "x1"): 0.5, ("x1", "x0"): 0.5}, "given twice"),
        ({("x0", "x0"): 0.5}, "two different"),
        ({("x0", "dummy"): 0.5}, "correlates with none"),
    ],
)
def test_wrong_correlations_are_refused(pairs: dict[tuple[str, str], float], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        sample_design(unit_parameters(2), 10, seed=1, correlation=pairs)


def test_an_unknown_correlated_parameter_is_named() -> None:
    with pytest.raises(UnknownNameError, match="no parameter 'x9'"):
        sample_design(unit_parameters(2), 10, seed=1, correlation={("x0", "x9"): 0.5})


def test_methods_for_independent_parameters_refuse_correlated_ones() -> None:
    design = sample_design(unit_parameters(2), 200, seed=1, correlation={("x0", "x1"): 0.5})
    with pytest.raises(AnalysisError, match=r"needs independent parameters.*delta, PAWN or regional"):
        refuse_correlated(design, "Sobol")
    with pytest.raises(AnalysisError, match="RBD-FAST needs independent"):
        rbd_fast_indices(design, design.quantiles[:, 0])


# ---- what every method does with outputs


@pytest.mark.parametrize("index", METHODS)
@pytest.mark.parametrize("share", [0.001, 0.01, 0.05])
@pytest.mark.parametrize("clustered", [False, True])
def test_failed_runs_are_dropped_and_counted(index: str, share: float, clustered: bool) -> None:
    f = sobol_g()
    design = sample_design(f.parameters, 1000, seed=2)
    output = f.of(design)
    count = round(1000 * share)
    order = np.argsort(-design.quantiles[:, 5]) if clustered else np.random.default_rng(3).permutation(1000)
    failed = order[:count]
    broken = output.copy()
    broken[failed] = np.where(np.arange(count) % 2, np.nan, np.inf)
    found, whole = METHODS[index](design, broken), METHODS[index](design, output)
    assert np.isfinite(found[index]).all()
    assert np.abs(found[index] - whole[index]).max() < 0.05
    assert f"{1000 - count} of 1000 runs used; up to {count} dropped" in found.attrs["verdict"]


@pytest.mark.parametrize("index", METHODS)
def test_outputs_over_time_are_judged_one_by_one(index: str) -> None:
    f = ishigami()
    design = sample_design(f.parameters, 300, seed=4)
    y = f.of(design)
    stacked = np.stack([np.full_like(y, 3.0), y, np.where(design.quantiles[:, 0] < 0.9, np.nan, y)], axis=1)
    output = xr.DataArray(stacked[None], dims=("organ", "run", "days"), coords={"organ": ["bone"], "days": [0, 1, 2]})
    found = METHODS[index](design, output)
    assert found[index].dims == ("name", "organ", "days")
    assert list(found["days"].values) == [0, 1, 2] and list(found["name"].values) == ["x0", "x1", "x2", "dummy"]
    assert (found[index].sel(days=0) == 0).all()
    assert np.isnan(found[index].sel(days=2)).all()
    alone = METHODS[index](design, y)
    assert np.array_equal(found[index].sel(days=1, organ="bone").values, alone[index].values)
    verdict = found.attrs["verdict"]
    assert "1 of 3 outputs do not vary by more than the solver's noise" in verdict
    assert "too few for 1 of 3 outputs (at least 100 are needed), whose indices are NaN" in verdict
    assert found[index].attrs["units"] == "dimensionless" and "95 %" in found[f"{index}_lower"].attrs["long_name"]


@pytest.mark.parametrize("index", METHODS)
def test_noise_of_the_solver_is_no_effect(index: str) -> None:
    design = sample_design(unit_parameters(3), 200, seed=1)
    output = 5 + 1e-9 * np.random.default_rng(1).random(200)
    assert (METHODS[index](design, output, noise=1e-8)[index] == 0).all()
    assert not (METHODS[index](design, output)[index] == 0).all()


@pytest.mark.parametrize("index", METHODS)
def test_only_a_plain_sample_of_the_right_length_is_taken(index: str) -> None:
    f = ishigami()
    blocks = dgsm_design(f.parameters, 50, seed=1)
    with pytest.raises(AnalysisError, match="not a design of dgsm"):
        METHODS[index](blocks, f.of(blocks))
    design = sample_design(f.parameters, 200, seed=1)
    with pytest.raises(AnalysisError, match=r"shape \(150,\).*200 runs"):
        METHODS[index](design, f.of(design)[:150])


@pytest.mark.parametrize("index", METHODS)
def test_the_floor_parts_effects_from_none_and_nothing_global_is_touched(index: str) -> None:
    f = linear((4, 3, 0, 0, 0, 0))
    design = sample_design(f.parameters, 500, seed=1, groups={"both": ["x0", "x1"]})
    state, printed = np.random.get_state()[1].copy(), warnings.formatwarning  # noqa: NPY002
    found = METHODS[index](design, f.of(design))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert warnings.formatwarning is printed
    floor = found.attrs["noise_floor"]
    assert floor == pytest.approx(float(found[f"{index}_upper"].sel(name="dummy")))
    above = set(found["name"].values[found[index].values > floor])
    assert {"x0", "x1"} <= above and len(above) <= 3
    assert f"{len(above)} of 6 are above the floor of noise" in found.attrs["verdict"]
    assert "parameters are judged" in found.attrs["verdict"]
    again = METHODS[index](design, f.of(design))
    assert found.identical(again)


# ---- first-order indices


@pytest.mark.slow
@pytest.mark.parametrize("f", [ishigami(), sobol_g((0, 1, 4.5, 9))], ids=lambda f: f.name)
@pytest.mark.parametrize("estimate", [rbd_fast_indices, delta_indices], ids=["rbd_fast", "delta"])
def test_intervals_hold_first_order_indices_and_the_expectation_of_delta(
    f: KnownFunction, estimate: Callable[..., xr.Dataset]
) -> None:
    truth = np.append(f.first, 0.0)
    results = []
    for seed in range(SEEDS):
        design = sample_design(f.parameters, 300, seed=seed)
        results.append(estimate(design, f.of(design), resamples=25))
    assert 0.90 <= coverage(results, "S1", truth) <= 0.99
    assert np.abs(np.mean([r["S1"].values for r in results], axis=0) - truth).max() < 0.025
    if "delta" in results[0]:
        expected = np.mean([r["delta"].values for r in results], axis=0)
        assert 0.92 <= coverage(results, "delta", expected) <= 0.995


def test_first_order_indices_of_correlated_parameters_are_correlation_ratios() -> None:
    design = sample_design(unit_parameters(3), 3000, seed=1, correlation={("x0", "x1"): 0.6}, correlation_kind="normal")
    found = delta_indices(design, ndtri(design.quantiles[:, 0]))["S1"]
    assert found.sel(name="x0") == pytest.approx(1.0, abs=0.01)
    assert found.sel(name="x1") == pytest.approx(0.36, abs=0.04)
    assert abs(found.sel(name="x2")) < 0.03


# ---- PAWN and delta


def test_quick_medians_are_those_of_salib() -> None:
    f = sobol_g()
    design = sample_design(f.parameters, 700, seed=3)
    y = np.round(f.of(design), 1)  # with ties
    problem = {"num_vars": 9, "names": list(design.columns), "bounds": [[0, 1]] * 9}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for slices in (5, 10):
            theirs = salib_pawn.analyze(problem, design.quantiles, y, S=slices)["median"]
            np.testing.assert_allclose(slice_medians(design.quantiles, y, slices), theirs, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("f", [ishigami(), sobol_g((0, 1, 4.5, 9))], ids=lambda f: f.name)
def test_intervals_of_pawn_hold_the_index_of_a_huge_sample(f: KnownFunction) -> None:
    huge = sample_design(f.parameters, 100_000, seed=99)
    truth = slice_medians(huge.quantiles, f.of(huge), 10)
    truth[-1] = 0.0
    results = []
    for seed in range(SEEDS):
        design = sample_design(f.parameters, 400, seed=seed)
        results.append(pawn_indices(design, f.of(design)))
    assert 0.90 <= coverage(results, "pawn", truth) <= 0.99
    assert min(np.mean([r["pawn"].values for r in results], axis=0) - truth) > -0.02  # biased upwards, never down
    assert all(r["pawn_lower"].sel(name=f"x{np.argmax(f.total)}") > 0.05 for r in results)


def delta_of_two_normals(rho: float) -> float:
    """Delta of a normal output whose correlation with a normal input is rho, by numerical integration."""
    y = np.linspace(-8, 8, 4001)
    x = norm.ppf((np.arange(2000) + 0.5) / 2000)[:, None]
    conditional = norm.pdf(y, rho * x, math.sqrt(1 - rho**2))
    return float(np.trapezoid(np.abs(conditional - norm.pdf(y)), y, axis=1).mean() / 2)


@pytest.mark.parametrize("rho", [0.4, 0.7])
def test_delta_and_pawn_see_a_parameter_that_acts_through_another(rho: float) -> None:
    pairs = {("x0", "x1"): rho}
    design = sample_design(unit_parameters(3), 2000, seed=2, correlation=pairs, correlation_kind="normal")
    huge = sample_design(unit_parameters(3), 200_000, seed=3, correlation=pairs, correlation_kind="normal")
    mix = [ndtri(d.quantiles[:, 0]) for d in (design, huge)]
    found, pawn = delta_indices(design, np.exp(mix[0])), pawn_indices(design, np.exp(mix[0]))
    exact = delta_of_two_normals(rho)
    assert 0.85 * exact < found["delta"].sel(name="x1") < 1.05 * exact  # smoothing of densities takes a part away
    larger = quick_deltas(huge.quantiles[:50_000], normal_scores(mix[1][:50_000], np.random.default_rng(1)))[1]
    assert larger == pytest.approx(exact, rel=0.06)
    reference = slice_medians(huge.quantiles, mix[1], 10)[1]
    assert pawn["pawn_lower"].sel(name="x1") < reference < pawn["pawn_upper"].sel(name="x1")
    assert pawn["pawn"].sel(name="x1") > pawn.attrs["noise_floor"] > pawn["pawn"].sel(name="x2") - 0.02


def test_delta_does_not_change_with_a_monotone_transformation() -> None:
    f = linear((5, 3, 1))
    design = sample_design(f.parameters, 600, seed=1)
    y = f.of(design)
    plain, skewed = delta_indices(design, y), delta_indices(design, np.exp(3 * y))
    np.testing.assert_allclose(plain["delta"], skewed["delta"], atol=1e-12)


def test_delta_takes_outputs_of_two_values() -> None:
    design = sample_design(unit_parameters(3), 2000, seed=1)
    # A tenth of the prior has the event: the densities differ by 1 - 0.1 there and by 0.1 elsewhere, 0.18 on average.
    found = delta_indices(design, (design.quantiles[:, 0] > 0.9).astype(float))
    assert found["delta"].sel(name="x0") == pytest.approx(0.18, abs=0.03)
    assert found["delta"].sel(name="x1") < found.attrs["noise_floor"] < 0.1


def test_quick_deltas_are_those_of_salib() -> None:
    f = ishigami()
    design = sample_design(f.parameters, 800, seed=1)
    scores = normal_scores(f.of(design), np.random.default_rng(1))
    edges, grid = np.linspace(0, 800, 21), np.linspace(-3.5, 3.5, 100)
    theirs = [calc_delta(scores, grid, column, edges) for column in design.quantiles.T]
    np.testing.assert_allclose(quick_deltas(design.quantiles, scores), theirs, atol=0.005)


# ---- DGSM


def exact_bounds(f: KnownFunction) -> np.ndarray:
    """Bounds of Ishigami (a = 7, b = 0.1) and linear functions by hand; quantiles are x / 2 pi + 1/2 of Ishigami."""
    if f.name == "linear":
        return np.append(12 / math.pi**2 * f.first, 0)
    a, b, pi = 7.0, 0.1, math.pi
    variance = 0.5 * (1 + b * pi**4 / 5) ** 2 + a**2 / 8 + b**2 * pi**8 * (1 / 18 - 1 / 50)
    squares = [0.5 * (1 + 2 * b * pi**4 / 5 + b**2 * pi**8 / 9), a**2 / 2, 8 * b**2 * pi**6 / 7]
    return np.append(np.array(squares) * (2 * pi) ** 2 / pi**2 / variance, 0)


def test_bounds_extend_hold_the_total_index_and_equal_those_of_salib() -> None:
    f = ishigami()
    design = dgsm_design(f.parameters, 400, seed=1)
    assert np.array_equal(dgsm_design(f.parameters, 20, seed=1).quantiles, design.quantiles[: 20 * 5])
    found = dgsm_bounds(design, f.of(design))
    assert (found["ST_bound"].values[:3] >= f.total).all()
    assert found["ST_bound"].sel(name="dummy") == 0
    problem = {"num_vars": 4, "names": list(design.columns), "bounds": [[0, 1]] * 4}
    theirs = salib_dgsm.analyze(problem, design.quantiles, f.of(design), num_resamples=2, seed=1)
    np.testing.assert_allclose(found["ST_bound"], theirs["dgsm"], rtol=1e-9)


@pytest.mark.parametrize("f", [ishigami(), linear()], ids=lambda f: f.name)
def test_intervals_of_bounds_hold_the_truth(f: KnownFunction) -> None:
    truth = exact_bounds(f)
    results = []
    for seed in range(100):
        design = dgsm_design(f.parameters, 60, seed=seed, step=0.005)
        results.append(dgsm_bounds(design, f.of(design)))
    assert 0.90 <= coverage([r.sel(name=list(r["name"].values[:-1])) for r in results], "ST_bound", truth[:-1]) <= 0.99


def test_a_log_normal_prior_is_bounded_by_its_normal_score() -> None:
    sigma = 0.8
    parameters = (log_normal("a", sigma), log_normal("b", sigma / 2))
    design = dgsm_design(parameters, 300, seed=1)
    values = design.values()
    # The logarithm is linear in the scores, for which the bound is sharp: total indices 0.8 and 0.2.
    found = dgsm_bounds(design, np.log(values["a"]) + np.log(values["b"]))
    np.testing.assert_allclose(found["ST_bound"].values[:2], [0.8, 0.2], rtol=0.12)
    assert np.abs(found["ST_bound"].values[0] / found["ST_bound"].values[1] - 4) < 1e-6


def test_a_failed_step_costs_one_derivative_and_a_group_has_the_sum() -> None:
    f = sobol_g()
    design = dgsm_design(f.parameters, 50, seed=1, groups={"strong": ["x0", "x1"], "x0": ["x0"], "x1": ["x1"]})
    output = f.of(design).reshape(50, 10)
    output[3, 2] = np.nan  # the step of x1
    output[7, 0] = np.inf  # a base
    found = dgsm_bounds(design, output.ravel())
    assert list(found["derivatives"].sel(name=["x0", "x1", "strong"]).values) == [49, 48, 48]
    bound = found["ST_bound"]
    assert bound.sel(name="strong") == pytest.approx(float(bound.sel(name="x0") + bound.sel(name="x1")))
    output[:, 1] = np.nan
    lost = dgsm_bounds(design, output.ravel())
    assert np.isnan(lost["ST_bound"].sel(name=["x0", "strong"])).all() and np.isfinite(lost["ST_bound"].sel(name="x1"))
    assert "2 bounds are NaN" in lost.attrs["verdict"]


def test_noise_of_the_solver_raises_the_floor() -> None:
    f = linear((5, 0.0))
    design = dgsm_design(f.parameters, 100, seed=1)
    noisy = f.of(design) + 1e-3 * np.random.default_rng(1).uniform(-0.5, 0.5, design.runs)
    found = dgsm_bounds(design, noisy, noise=1e-3)
    assert found["ST_bound"].sel(name="x1") < found.attrs["noise_floor"] < found["ST_bound"].sel(name="x0")
    constant = dgsm_bounds(design, np.full(design.runs, 2.0))
    assert (constant["ST_bound"] == 0).all() and "do not vary" in constant.attrs["verdict"]
