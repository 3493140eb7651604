"""Designs and estimators against functions with known answers; SALib's silent traps stay closed."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cascade.errors import AnalysisError, TableError
from cascade.sensitivity import from_quantile, morris_design, morris_effects, sample, uncertain
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
    effects = morris_effects(design, 3 * x["x0"] - 2 * x["x1"] + 0.5 * x["x2"])
    assert effects["mu_star"].values == pytest.approx([3, 2, 0.5, 0], abs=1e-9)
    assert effects["mu"].values == pytest.approx([3, -2, 0.5, 0], abs=1e-9)
    assert effects["sigma"].values == pytest.approx([0] * 4, abs=1e-9)
    assert effects["mu_star_confidence"].values == pytest.approx([0] * 4, abs=1e-9)


def test_morris_on_the_ishigami_function() -> None:
    columns = tuple(parameter(f"x{i}", -math.pi, math.pi) for i in range(3))
    design = morris_design(columns, 400, seed=2, quantile_range=(0.0, 1.0))
    x = design.values()
    effects = morris_effects(design, np.sin(x["x0"]) + 7 * np.sin(x["x1"]) ** 2 + 0.1 * x["x2"] ** 4 * np.sin(x["x0"]))
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
        results.append((design.quantiles, morris_effects(design, np.exp(3 * x["x0"] * x["x1"]) + x["x2"])))
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1].identical(results[1][1])
    assert not np.array_equal(results[0][0], morris_design(columns, 8, seed=1).quantiles)


def test_failed_runs_drop_their_effects_and_are_counted() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(3)), 10, seed=1, quantile_range=(0.0, 1.0))
    x = design.values()
    output = 3 * x["x0"] - 2 * x["x1"]
    output[5], output[6], output[32] = np.nan, np.inf, np.nan  # inside trajectory 1, at the start of trajectory 8
    effects = morris_effects(design, output)
    assert effects["mu_star"].values == pytest.approx([3, 2, 0], abs=1e-9)
    assert effects["effects"].sum() == 30 - 3 - 1
    assert "26 of 30 elementary effects used; 4 dropped because one of 3 runs" in effects.attrs["verdict"]


def test_without_any_result_everything_is_missing_not_zero() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(3)), 4, seed=1)
    effects = morris_effects(design, np.full(16, np.nan))
    assert np.isnan(effects["mu_star"].values).all()
    assert "0 of 12 elementary effects used" in effects.attrs["verdict"]


def test_one_effect_gives_a_mean_and_no_spread() -> None:
    design = morris_design((parameter("x"),), 2, seed=1, quantile_range=(0.0, 1.0))
    output = 3 * design.values()["x"]
    output[0] = np.nan
    effects = morris_effects(design, output)
    assert effects["mu"].item() == pytest.approx(3)
    assert np.isnan(effects["sigma"].item()) and np.isnan(effects["mu_star_confidence"].item())


def test_parameter_by_parameter_equals_salib_on_the_whole_design() -> None:
    from SALib.analyze import morris as analyze

    names = [f"x{i}" for i in range(5)]
    design = morris_design(tuple(parameter(name) for name in names), 12, seed=4, quantile_range=(0.0, 1.0))
    x = design.values()
    output = np.exp(x["x0"] * x["x1"]) + x["x2"] ** 2 - 0.3 * x["x3"]
    problem = {"num_vars": 5, "names": names, "bounds": [[0, 1]] * 5}
    whole = analyze.analyze(problem, design.quantiles, output, num_levels=4, seed=1)
    ours = morris_effects(design, output)
    for name in ("mu_star", "mu", "sigma"):
        assert ours[name].values == pytest.approx(np.asarray(whole[name], dtype=float), rel=1e-9)
    assert ours["mu_star_confidence"].values == pytest.approx(np.asarray(whole["mu_star_conf"], float), rel=0.25)


def test_constant_output_and_solver_noise_are_not_effects() -> None:
    design = morris_design(tuple(parameter(f"x{i}") for i in range(3)), 6, seed=1)
    noise = 1e-9 * np.random.default_rng(0).standard_normal(24)
    for output, level in ((np.full(24, 0.3), 0.0), (np.zeros(24), 0.0), (0.3 + noise, 1e-7)):
        effects = morris_effects(design, output, noise=level)
        assert (effects["mu_star"].values == 0).all()
        assert "does not vary" in effects.attrs["verdict"]


def test_morris_refuses_what_salib_accepts() -> None:
    with pytest.raises(AnalysisError, match="x occur twice"):
        morris_design((parameter("x"), parameter("x")), 4, seed=1)
    with pytest.raises(AnalysisError, match="1 trajectories; take at least 2"):
        morris_design((parameter("x"),), 1, seed=1)
    with pytest.raises(AnalysisError, match="no uncertain parameter"):
        morris_design((), 4, seed=1)
    with pytest.raises(AnalysisError, match=r"shape \(3,\), the design has 8 runs"):
        morris_effects(morris_design((parameter("x"),), 4, seed=1), np.zeros(3))


def test_canary_salib_hides_failed_runs() -> None:
    """If this fails SALib has changed what it does with NaN: the guard in morris_effects may be simplified."""
    from SALib.analyze import morris as analyze
    from SALib.sample import morris as draw

    problem = {"num_vars": 2, "names": ["a", "b"], "bounds": [[0, 1], [0, 1]]}
    x = draw.sample(dict(problem), 4, seed=1)
    y = x.sum(axis=1)
    y[0] = np.nan
    found = analyze.analyze(dict(problem), x, y, seed=1)
    assert np.ma.getmaskarray(np.ma.asarray(found["mu_star"])).any() or not np.isfinite(found["mu_star"]).all()


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
    effects = morris_effects(design, 3 * x["x1"] + x["x0"] + x["x2"])
    star = dict(zip(effects["parameter"].values, effects["mu_star"].values, strict=True))
    assert star["b"] == pytest.approx(3) and star["c"] == pytest.approx(0, abs=1e-12)
    assert 0 < star["a"] < 2, "the two move together in half of the trajectories, and against each other in the rest"
    assert np.isnan(effects["sigma"]).all() and (effects["effects"] == 30).all()
    with pytest.raises(AnalysisError, match="2 groups for 5 parameters"):
        morris_design(columns, 4, seed=1, groups=("a", "b"))
