"""Designs and estimators against functions with known answers; SALib's silent traps stay closed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import known_functions as known
import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError, TableError, UnknownNameError
from cascade.sensitivity import from_quantile, morris_design, morris_indices, sample, uncertain
from cascade.sensitivity.ranks import summarize_ranks
from cascade.specs import Parameter


def parameter(name: str, low: float = 0.0, high: float = 1.0, prior: str = "uniform", **more: object) -> Parameter:
    numbers = (low, high)
    nominal = (low + high) / 2
    if prior == "log-normal":
        nominal = math.sqrt(low * high)
        numbers = (math.log(nominal), math.log(high / low) / 4)
    fields = {"nominal": nominal, "prior_parameters": numbers, "unit": "dimensionless", **more}
    return Parameter(id=name, name=name, lower=low, upper=high, estimate=True, prior=prior, **fields)  # type: ignore[arg-type]


def model(*parameters: Parameter) -> SimpleNamespace:
    return SimpleNamespace(name="test", parameters=parameters)


# ---- priors and streams


@pytest.mark.parametrize("prior", ["uniform", "log-uniform", "log-normal"])
def test_priors_fill_their_bounds_and_no_more(prior: str) -> None:
    row = parameter("k", 0.1, 10.0, prior=prior)
    values = from_quantile(row, np.linspace(0, 1, 101))
    assert values[0] == pytest.approx(0.1)
    assert values[-1] == pytest.approx(10.0)
    assert (np.diff(values) > 0).all()
    assert values[50] == pytest.approx(5.05 if prior == "uniform" else 1.0)


def test_log_normal_is_truncated_not_clipped() -> None:
    row = parameter("k", 0.1, 10.0, prior="log-normal")
    values = sample([row], 20_000, seed=3)["k"]
    logs = np.log(values)
    assert logs.std() == pytest.approx(0.8796 * row.prior_parameters[1], rel=0.02)  # truncated at 2 sigma: 0.8796
    assert (values == 0.1).sum() + (values == 10.0).sum() == 0


def test_adding_a_parameter_or_samples_does_not_reshuffle() -> None:
    few = sample([parameter("a"), parameter("b")], 10, seed=7)
    more = sample([parameter("zz"), parameter("b"), parameter("a")], 25, seed=7)
    assert np.array_equal(few["a"], more["a"][:10])
    assert np.array_equal(few["b"], more["b"][:10])
    assert not np.array_equal(few["a"], sample([parameter("a")], 10, seed=8)["a"])
    many = sample([parameter("a"), parameter("b")], 4000, seed=0)
    assert abs(np.corrcoef(many["a"], many["b"])[0, 1]) < 0.05


def test_wrong_priors_are_refused_in_words() -> None:
    with pytest.raises(AnalysisError, match="occurs twice"):
        uncertain(model(parameter("a"), parameter("a")))
    with pytest.raises(TableError, match="needs a lower bound above 0"):
        from_quantile(parameter("a", 0.0, 1.0, prior="log-uniform"), np.array([0.5]))
    with pytest.raises(TableError, match="use one of log-normal"):
        from_quantile(parameter("a", 0.1, 1.0, prior="beta"), np.array([0.5]))
    with pytest.raises(TableError, match="two finite bounds"):
        uncertain(model(Parameter(id="a", name="a", nominal=1.0, unit="nM", estimate=True, prior="uniform")))
    with pytest.raises(AnalysisError, match="seed is -1"):
        sample([parameter("a")], 3, seed=-1)


# ---- Morris


def test_morris_is_exact_on_a_linear_function() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(4)), 10, seed=1, quantile_range=(0.0, 1.0))
    x = design.values()
    effects = morris_indices(design, 3 * x["x0"] - 2 * x["x1"] + 0.5 * x["x2"])
    assert effects["mu_star"].values == pytest.approx([3, 2, 0.5, 0], abs=1e-9)
    assert effects["mu"].values == pytest.approx([3, -2, 0.5, 0], abs=1e-9)
    assert effects["sigma"].values == pytest.approx([0] * 4, abs=1e-9)
    assert effects["mu_star_confidence"].values == pytest.approx([0] * 4, abs=1e-9)


def test_morris_on_the_ishigami_function() -> None:
    columns = tuple(parameter(f"x{i}", -math.pi, math.pi) for i in range(3))
    design = morris_design(columns, 400, seed=2, quantile_range=(0.0, 1.0), kind="trajectories")
    x = design.values()
    effects = morris_indices(design, np.sin(x["x0"]) + 7 * np.sin(x["x1"]) ** 2 + 0.1 * x["x2"] ** 4 * np.sin(x["x0"]))
    star = effects["mu_star"].values
    # On the grid of 4 levels with delta 2/3 the values of x1 and x2 are exact: 7.875 and 6.25.
    assert star[1] == pytest.approx(7.875, rel=1e-6)
    assert star[2] == pytest.approx(6.25, rel=0.15)
    assert effects["sigma"].values[2] > 0.5 * star[2]  # x2 acts through x0 only
    assert effects["mu"].values[2] == pytest.approx(0, abs=1.0)


def test_seed_zero_is_a_seed() -> None:
    columns = tuple(parameter(f"x{i}") for i in range(3))
    results = []
    for _ in range(2):
        design = morris_design(columns, 8, seed=0)
        x = design.values()
        results.append((design.quantiles, morris_indices(design, np.exp(3 * x["x0"] * x["x1"]) + x["x2"])))
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1].identical(results[1][1])
    assert not np.array_equal(results[0][0], morris_design(columns, 8, seed=1).quantiles)


def test_failed_runs_drop_their_effects_and_are_counted() -> None:
    columns = tuple(parameter(f"x{i}") for i in range(3))
    design = morris_design(columns, 10, seed=1, quantile_range=(0.0, 1.0), kind="trajectories")
    x = design.values()
    output = 3 * x["x0"] - 2 * x["x1"]
    output[5], output[6], output[32] = np.nan, np.inf, np.nan  # inside trajectory 1, at the start of trajectory 8
    effects = morris_indices(design, output)
    assert effects["mu_star"].values == pytest.approx([3, 2, 0], abs=1e-9)
    assert effects["effects"].sum() == 30 - 3 - 1
    assert "26 of 30 elementary effects used; 4 dropped because one of 3 runs" in effects.attrs["verdict"]
    radial = morris_design(columns, 10, seed=1, quantile_range=(0.0, 1.0))
    output = 3 * radial.values()["x0"].values
    output[5], output[6], output[32] = np.nan, np.inf, np.nan  # two steps of trajectory 1, the base of trajectory 8
    assert morris_indices(radial, output)["effects"].values.tolist() == [8, 8, 9]


def test_without_any_result_everything_is_missing_not_zero() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(3)), 4, seed=1)
    effects = morris_indices(design, np.full(16, np.nan))
    assert np.isnan(effects["mu_star"].values).all()
    assert "0 of 12 elementary effects used" in effects.attrs["verdict"]


def test_one_effect_gives_a_mean_and_no_spread() -> None:
    design = morris_design((parameter("x"),), 2, seed=1, quantile_range=(0.0, 1.0))
    output = 3 * design.values()["x"]
    output[0] = np.nan
    effects = morris_indices(design, output)
    assert effects["mu"].item() == pytest.approx(3)
    assert np.isnan(effects["sigma"].item()) and np.isnan(effects["mu_star_confidence"].item())


def test_parameter_by_parameter_equals_salib_on_the_whole_design() -> None:
    from SALib.analyze import morris as analyze

    names = [f"x{i}" for i in range(5)]
    columns = tuple(parameter(name) for name in names)
    design = morris_design(columns, 12, seed=4, quantile_range=(0.0, 1.0), kind="trajectories")
    x = design.values()
    output = (np.exp(x["x0"] * x["x1"]) + x["x2"] ** 2 - 0.3 * x["x3"]).values
    problem = {"num_vars": 5, "names": names, "bounds": [[0, 1]] * 5}
    whole = analyze.analyze(problem, design.quantiles, output, num_levels=4, num_resamples=20_000, seed=1)
    ours = morris_indices(design, output)
    for name in ("mu_star", "mu", "sigma"):
        assert ours[name].values == pytest.approx(np.asarray(whole[name], dtype=float), rel=1e-9)
    # SALib: 1.96 bootstrap standard deviations of the mean of 12, which lack the factor 12/11; ours: t of 11 degrees.
    expected = np.asarray(whole["mu_star_conf"], float) * 2.2010 / 1.9600 * math.sqrt(12 / 11)
    assert ours["mu_star_confidence"].values == pytest.approx(expected, rel=0.03, abs=1e-12)


def test_constant_output_and_solver_noise_are_not_effects() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(3)), 6, seed=1)
    noise = 1e-9 * np.random.default_rng(0).standard_normal(24)
    for output, level in ((np.full(24, 0.3), 0.0), (np.zeros(24), 0.0), (0.3 + noise, 1e-7)):
        effects = morris_indices(design, output, noise=level)
        assert (effects["mu_star"].values == 0).all()
        assert "does not vary" in effects.attrs["verdict"]


def test_morris_refuses_what_salib_accepts() -> None:
    with pytest.raises(AnalysisError, match="x occur twice"):
        morris_design((parameter("x"), parameter("x")), 4, seed=1)
    with pytest.raises(AnalysisError, match="1 trajectories; take at least 2"):
        morris_design((parameter("x"),), 1, seed=1)
    with pytest.raises(AnalysisError, match="no uncertain parameter"):
        morris_design((), 4, seed=1)
    with pytest.raises(AnalysisError, match=r"shape \(3,\), the morris design has 8 runs"):
        morris_indices(morris_design((parameter("x"),), 4, seed=1), np.zeros(3))
    with pytest.raises(UnknownNameError, match="no kind of Morris design 'star'"):
        morris_design((parameter("x"),), 4, seed=1, kind="star")


def test_canary_salib_hides_failed_runs() -> None:
    """If this fails SALib has changed what it does with NaN: the guard in morris_indices may be simplified."""
    from SALib.analyze import morris as analyze
    from SALib.sample import morris as draw

    problem = {"num_vars": 2, "names": ["a", "b"], "bounds": [[0, 1], [0, 1]]}
    x = draw.sample(dict(problem), 4, seed=1)
    y = x.sum(axis=1)
    y[0] = np.nan
    found = analyze.analyze(dict(problem), x, y, seed=1)
    assert np.ma.getmaskarray(np.ma.asarray(found["mu_star"])).any() or not np.isfinite(found["mu_star"]).all()


@pytest.mark.parametrize("kind", ["radial", "trajectories"])
def test_a_larger_morris_design_begins_with_the_smaller_one(kind: str) -> None:
    columns = tuple(parameter(f"x{i}") for i in range(5))
    few, many = (morris_design(columns, n, seed=3, kind=kind) for n in (4, 9))
    assert np.array_equal(many.quantiles[: few.runs], few.quantiles)
    assert many.runs == 9 * 6 and many.quantiles.min() >= 0.05 and many.quantiles.max() <= 0.95
    assert np.unique(many.quantiles[::6], axis=0).shape[0] == 9


def test_radial_steps_move_one_set_by_a_quarter_to_a_half() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(6)), 200, seed=1, quantile_range=(0.0, 1.0))
    runs = design.quantiles.reshape(200, 7, 6)
    change = runs[:, 1:] - runs[:, :1]
    own = np.diagonal(change, axis1=1, axis2=2)
    assert (np.abs(change).sum(axis=2) == np.abs(own)).all()
    assert np.abs(own).min() >= 0.25 and np.abs(own).max() <= 0.5
    assert runs.min() >= 0 and runs.max() <= 1
    assert np.abs((own > 0).mean() - 0.5) < 0.05


def test_radial_mu_star_of_ishigami() -> None:
    """Against the mean over a grid of bases and steps, which is exact up to its fineness."""
    columns = tuple(parameter(f"x{i}", -math.pi, math.pi) for i in range(3))
    design = morris_design(columns, 4000, seed=2, quantile_range=(0.0, 1.0))
    x = design.values()
    effects = morris_indices(design, np.sin(x["x0"]) + 7 * np.sin(x["x1"]) ** 2 + 0.1 * x["x2"] ** 4 * np.sin(x["x0"]))
    base, length = np.meshgrid((np.arange(800) + 0.5) / 800, 0.25 + 0.25 * (np.arange(200) + 0.5) / 200)
    value = [7 * np.sin(math.pi * (2 * q - 1)) ** 2 for q in (base, base + length, base - length)]
    up, down = (np.abs(v - value[0]) / length for v in value[1:])
    mean = np.where(base < length, up, np.where(base > 1 - length, down, (up + down) / 2)).mean()
    assert effects["mu_star"].values[1] == pytest.approx(mean, rel=0.02)
    limits = effects["mu_star_lower"].values[1], effects["mu_star_upper"].values[1]
    assert limits[0] < mean < limits[1]


def test_morris_of_several_outputs_is_that_of_each() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(4)), 8, seed=5)
    x = design.values()
    one, two = np.exp(x["x0"] * x["x1"]) + x["x2"], xr.full_like(x["x0"], 3.0)
    one[3] = np.nan
    output = xr.concat([one, two], dim="readout").assign_coords(readout=["risk", "flat"])
    found = morris_indices(design, output)
    alone = morris_indices(design, one)
    for name in (
        "mu_star",
        "sigma",
        "mu_star_lower",
        "mu_star_upper",
        "effects",
        "rank",
        "p_top",
        "mu_star_bound_upper",
    ):
        assert found[name].sel(readout="risk").values == pytest.approx(alone[name].values), name
    assert (found["mu_star"].sel(readout="flat") == 0).all() and np.isnan(found["rank"].sel(readout="flat")).all()
    assert "1 outputs do not vary" in found.attrs["verdict"]


def test_the_dummy_of_morris_is_exactly_zero_and_has_no_rank() -> None:
    for kind in ("radial", "trajectories"):
        design = morris_design(tuple(parameter(f"x{i}") for i in range(3)), 6, seed=1, dummy=True, kind=kind)
        found = morris_indices(design, design.values()["x0"] + 2 * design.values()["x1"])
        assert found["mu_star"].sel(name="dummy").item() == 0 == found["mu_star_floor"].item()
        assert found["rank"].values[:3].tolist() == [2, 1, 3] and np.isnan(found["rank"].values[3])


def test_groups_of_morris_may_overlap_only_if_radial() -> None:
    columns = tuple(parameter(f"x{i}") for i in range(4))
    groups = {"a": ["x0", "x1"], "b": ["x1", "x2"]}
    design = morris_design(columns, 20, seed=1, quantile_range=(0.0, 1.0), groups=groups)
    x = design.values()
    found = morris_indices(design, x["x1"] + 5 * x["x3"])
    assert found["mu_star"].values == pytest.approx([1, 1]), "both move x1; x3 is in no group and cancels"
    with pytest.raises(AnalysisError, match='each must be in exactly one group; use kind="radial"'):
        morris_design(columns, 20, seed=1, groups=groups, kind="trajectories")


@pytest.mark.slow
def test_intervals_of_mu_star_hold_the_truth() -> None:
    """Nominal 95 %, measured over 200 seeds with 20 trajectories."""
    function = known.sobol_g((0, 1, 4.5, 9))
    large = morris_design(function.parameters, 40_000, seed=99)
    truth = morris_indices(large, function.of(large), draws=0)["mu_star"].values
    inside = []
    for seed in range(200):
        design = morris_design(function.parameters, 20, seed=seed)
        found = morris_indices(design, function.of(design), draws=0)
        inside.append((found["mu_star_lower"].values <= truth) & (truth <= found["mu_star_upper"].values))
    assert 0.90 <= np.mean(inside) <= 0.98


# ---- ranks


def test_ranks_of_a_known_order() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(size=(200, 1))  # patients differ much, targets little: pairing must help
    benefit = 5 * shared + np.array([3.0, 2.0, 1.0, 0.0]) + 0.5 * generator.normal(size=(200, 4))
    found = summarize_ranks(benefit[:, ::-1], seed=0)
    assert found.rank.tolist() == [4, 3, 2, 1]
    assert found.rank_lower.tolist() == found.rank_upper.tolist() == [4, 3, 2, 1]
    assert found.group.tolist() == [4, 3, 2, 1]
    assert (found.lower < found.mean).all() and (found.mean < found.upper).all()
    assert found.p_better[3, 0] == 1.0


def test_equal_targets_are_tied() -> None:
    generator = np.random.default_rng(2)
    one = generator.normal(size=60)
    benefit = np.stack([one, one, one - 3, generator.normal(size=60)], axis=1)
    found = summarize_ranks(benefit, seed=0)
    assert found.rank[:2].tolist() == [found.rank[0]] * 2
    assert found.group[0] == found.group[1] == found.group[3] == 1
    assert found.group[2] == 2
    assert found.p_better[0, 1] == 0.5


def test_missing_results_are_not_zero_benefit() -> None:
    benefit = np.ones((10, 3)) * np.array([1.0, 2.0, 3.0])
    benefit[0, 1] = np.nan
    benefit[:6, 2] = np.nan
    found = summarize_ranks(benefit, seed=0)
    assert found.mean[1] == 2.0
    assert found.rank[:2].tolist() == [2, 1]
    assert np.isnan(found.rank[2]) and np.isnan(found.group[2])


def test_bootstrap_is_reproducible_and_seeded() -> None:
    benefit = np.random.default_rng(0).normal(size=(30, 4))
    assert np.array_equal(summarize_ranks(benefit, seed=0).lower, summarize_ranks(benefit, seed=0).lower)
    assert not np.array_equal(summarize_ranks(benefit, seed=0).lower, summarize_ranks(benefit, seed=1).lower)


@pytest.mark.slow
def test_rank_intervals_cover_the_true_rank() -> None:
    """95 % intervals of separated targets hold the true rank in at least 93 % of 300 replicates."""
    truth = np.array([1.0, 0.7, 0.45, 0.25, 0.1, 0.0])
    inside = []
    for replicate in range(300):
        generator = np.random.default_rng(replicate)
        benefit = truth + generator.normal(size=(60, 1)) + generator.normal(size=(60, 6))
        found = summarize_ranks(benefit, seed=replicate, resamples=400)
        inside.append((found.rank_lower <= np.arange(1, 7)) & (np.arange(1, 7) <= found.rank_upper))
    assert np.mean(inside) >= 0.93


def test_morris_of_groups_moves_each_group_at_once() -> None:
    columns = tuple(parameter(f"x{i}") for i in range(5))
    groups = ("a", "b", "a", "c", "c")
    design = morris_design(columns, 30, seed=3, quantile_range=(0.0, 1.0), groups=groups)
    assert design.names == ("a", "b", "c") and len(design.quantiles) == 30 * 4
    x = {p.id: q for p, q in zip(columns, design.quantiles.T, strict=True)}
    effects = morris_indices(design, 3 * x["x1"] + x["x0"] + x["x2"])
    star = dict(zip(effects["name"].values, effects["mu_star"].values, strict=True))
    assert star["b"] == pytest.approx(3) and star["c"] == pytest.approx(0, abs=1e-12)
    assert 0 < star["a"] < 2, "the two move together in half of the trajectories, and against each other in the rest"
    assert np.isnan(effects["sigma"].values).tolist() == [True, False, True], "a group of one has a direction"
    assert (effects["effects"] == 30).all()
    with pytest.raises(AnalysisError, match="2 groups for 5 parameters"):
        morris_design(columns, 4, seed=1, groups=("a", "b"))
