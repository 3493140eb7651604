"""Subgroups: who is in them, and nothing found where there is nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import kstest
from worlds import people

from cascade.errors import AnalysisError, UnknownNameError
from cascade.permutation import holm, permutation_test
from cascade.personal_ranking import best_counts, personal_ranking
from cascade.sensitivity.ranks import bootstrap_means, summarize_ranks, weighted_mean, weighted_median
from cascade.subgroup_effects import number_needed, subgroup_effects
from cascade.subgroups import subgroups_of


@pytest.fixture(scope="module")
def cohort() -> xr.Dataset:
    return people(36)


def test_number_needed_tells_when_nothing_is_sure() -> None:
    reduction, low, high = (np.array(x) for x in ([0.1, 0.02, -0.1, np.nan, 0.0], [0.05, -0.01, -0.2, np.nan, 0.0],
                                                  [0.2, 0.05, -0.05, np.nan, 0.0]))  # fmt: skip
    number, lower, upper = number_needed(reduction, low, high)
    assert number.tolist()[:3] == pytest.approx([10, 50, -10]) and np.isnan(number[3]) and number[4] == math.inf
    assert lower.tolist()[:3] == pytest.approx([5, 20, -20])
    assert upper.tolist()[:3] == pytest.approx([20, math.inf, -5])


def test_weighted_statistics() -> None:
    random = np.random.default_rng(3)
    values, weights = random.standard_normal((50, 4)), random.integers(1, 4, 50).astype(float)
    values[3, 1] = np.nan
    wide = np.repeat(values, weights.astype(int), axis=0)
    assert weighted_mean(values, weights) == pytest.approx(np.nanmean(wide, axis=0))
    assert weighted_median(values, weights) == pytest.approx(np.nanmedian(wide, axis=0))
    unit = np.ones(50)
    assert np.allclose(bootstrap_means(values, seed=1), bootstrap_means(values, seed=1, weights=unit))
    first, second = (summarize_ranks(values, seed=1, weights=each) for each in (None, unit))
    for name in ("mean", "median", "lower", "rank", "p_first", "patients_top"):
        assert getattr(first, name) == pytest.approx(getattr(second, name))


def test_weighted_intervals_cover() -> None:
    random, hits, rounds = np.random.default_rng(0), 0, 400
    for seed in range(rounds):
        weights = random.exponential(size=40)
        means = bootstrap_means(random.standard_normal((40, 1)), seed=seed, resamples=300, weights=weights)
        low, high = np.percentile(means, [2.5, 97.5])
        hits += bool(low <= 0 <= high)
    assert 0.92 <= hits / rounds <= 0.98


@pytest.mark.parametrize("kind", ["normal", "unequal", "skewed", "weighted", "constant"])
def test_nothing_is_found_where_there_is_nothing(kind: str) -> None:
    """Of many worlds without a difference at most one in twenty has any subgroup that is called different."""
    called, first, rounds = 0, [], 120
    for seed in range(rounds):
        random = np.random.default_rng([5, seed])
        chances = []
        values = random.standard_normal((60, 3)) if kind != "skewed" else random.exponential(size=(60, 3)) ** 2
        weights = random.exponential(size=60) + 0.1 if kind == "weighted" else None
        for share in (0.5, 0.3):
            member = random.random(60) < share
            each = values * np.where(member, 4, 1)[:, None] if kind == "unequal" else values
            each = np.zeros((60, 3)) if kind == "constant" else each
            chances.append(permutation_test(each, member, random, permutations=199, weights=weights))
        called += bool((holm(np.array(chances)) < 0.05).any())
        first.append(chances[0][0])
    if kind != "constant":  # then every chance is 1
        assert kstest(first, "uniform").pvalue > 0.01, "one test alone has a uniform chance"
    assert called / rounds <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / rounds)


def test_permutation_agrees_with_all_shuffles() -> None:
    from itertools import combinations

    values = np.array([[0.1], [1.9], [2.2], [0.4], [1.1], [3.0], [2.5], [2.9], [1.7], [3.3]])
    member = np.arange(10) < 5

    def statistic(inside: NDArray[np.bool_]) -> float:
        one, two = values[inside, 0], values[~inside, 0]
        return float(abs(one.mean() - two.mean()) / math.sqrt(one.var(ddof=1) / 5 + two.var(ddof=1) / 5))

    every = [statistic(np.isin(np.arange(10), chosen)) for chosen in combinations(range(10), 5)]
    exact = np.mean(np.array(every) >= statistic(member) - 1e-12)
    found = permutation_test(values, member, np.random.default_rng(1), permutations=20_000)
    assert found[0] == pytest.approx(exact, abs=0.01)


def test_holm() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])).tolist()[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm(np.array([np.nan])))[0]


def test_subgroups_by_genotype_cut_and_truth(cohort: xr.Dataset) -> None:
    young = xr.DataArray(np.arange(36) < 10, coords={"patient": cohort["patient"].values[::-1]}, dims="patient")
    found = subgroups_of(
        cohort,
        {"gene gain": "gene gain", "small": "diameter_mm <= median", "last ten": young, "value": "k_one > 4e-5",
         "list": [True] * 35 + [None], "flag": "a_gene"},
    )  # fmt: skip
    assert found.sel(subgroup="gene gain").equals(found.sel(subgroup="flag").assign_coords(subgroup="gene gain"))
    assert found.sel(subgroup="small").sum() == 18
    assert found.sel(subgroup="last ten").values[-10:].all() and found.sel(subgroup="last ten").sum() == 10
    assert np.isnan(found.sel(subgroup="list").values[-1])


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ("gene gain", AnalysisError, "give a list"),
        ([], AnalysisError, "empty"),
        (["KRAS"], UnknownNameError, "KRAS"),
        (["age > 50"], UnknownNameError, "age"),
        (["diameter_mm > big"], AnalysisError, "no finite number"),
        (["diameter_mm"], AnalysisError, "neither true nor false"),
        ({"x": [1, 0]}, AnalysisError, "2 entries for 36"),
        ({"x": 3}, AnalysisError, "true or false"),
    ],
)
def test_wrong_subgroups_are_refused(cohort: xr.Dataset, wanted: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        subgroups_of(cohort, wanted)


def ranking_of(hazard: NDArray[np.float64], ratio: NDArray[np.float64], seed: int, weight: Any = 1.0) -> xr.Dataset:
    """A ranking without simulations: hazards by patient, log hazard ratios by patient and target."""
    before, after = -np.expm1(-hazard), -np.expm1(-hazard[:, None] * np.exp(ratio))

    def with_nominal(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([values[:1], values])

    cube, names = ("patient", "target", "window"), ["a", "b", "c"]
    return xr.Dataset(
        {
            "untreated": ("patient", with_nominal(before)),
            "treated": (cube, with_nominal(after)[:, :, None]),
            "log_hazard_ratio": (cube, with_nominal(ratio)[:, :, None]),
            "risk_untreated": (("patient", "horizon"), with_nominal(before)[:, None]),
            "risk_treated": ((*cube, "horizon"), with_nominal(after)[:, :, None, None]),
        },
        coords={
            "patient": ["nominal", *(f"P{k}" for k in range(len(hazard)))], "target": names, "window": ["adjuvant"],
            "horizon": [5], "target_name": ("target", names),
            "weight": ("patient", with_nominal(np.broadcast_to(weight, hazard.shape))),
        },
        attrs={"seed": seed, "readout": "p_overt_5y", "better": "lower", "window": "adjuvant",
               "effect_scale": "difference", "effect_label": "", "readout_unit": "dimensionless"},
    )  # fmt: skip


def drawn_ranking(seed: int, shift: float) -> tuple[xr.Dataset, xr.DataArray]:
    """Three targets, of which the second helps carriers by `shift` more."""
    random = np.random.default_rng([11, seed])
    count = 80
    hazard = np.exp(random.standard_normal(count) - 1)
    carrier = random.random(count) < 0.3
    ratio = -np.abs(0.3 + 0.2 * random.standard_normal((count, 3)))
    ratio[:, 1] -= shift * carrier
    ranking = ranking_of(hazard, ratio, seed, random.exponential(size=count) + 0.2)
    groups = {"gene": carrier, "coin": random.random(count) < 0.5, "large": hazard * random.random(count) > 0.2}
    return ranking, subgroups_of(xr.Dataset(coords={"patient": ranking["patient"].values[1:]}), groups)


def test_one_target_for_each_of_two_subgroups_none_for_the_third_and_harm() -> None:
    """Also subgroups that overlap, hold one patient, nobody or everybody, and who is not known."""
    third = np.arange(90) % 3
    hazard = np.exp(0.3 * np.random.default_rng(1).standard_normal(90) - 1)
    ratio = np.stack([np.where(third == 0, -1.0, 0), np.where(third == 1, -1.0, 1e-9), np.full(90, 0.2)], axis=1)
    ranking = ranking_of(hazard, ratio, 1)
    ranking.attrs["relative_tolerance"] = 1e-4  # so that a ratio of 1e-9 is noise of the solver, and no effect
    groups = {
        "first": third == 0, "second": third == 1, "third": third == 2, "two": third < 2, "one": np.arange(90) == 0,
        "nobody": np.zeros(90, bool), "every": np.ones(90, bool),
        "half": np.where(np.arange(90) < 45, np.nan, third == 0),
    }  # fmt: skip
    found = subgroup_effects(ranking, groups)
    planted = found["different_effect"].sel(subgroup=["first", "second"], target=["a", "b"])
    assert planted.all() and found["effect_p_holm"].sel(subgroup="first", target="a") < 0.01
    assert not found["different"].sel(target="c").any()
    needed = found["nnt"].sel(side="in", horizon=5)
    mine = hazard[third == 0]
    assert needed.sel(subgroup="first", target="a") == pytest.approx(
        1 / (np.exp(-mine / math.e) - np.exp(-mine)).mean()
    )
    assert needed.sel(subgroup="third", target=["a", "b"]).values.tolist() == [math.inf, math.inf]
    harm = (np.exp(-hazard * math.exp(0.2)) - np.exp(-hazard)).mean()
    assert needed.sel(subgroup="all", target="c") == pytest.approx(1 / harm) and harm < 0
    assert "harm" in found["nnt"].attrs["long_name"]
    assert np.isnan(found["effect_p"].sel(subgroup=["one", "nobody", "every"])).all()
    assert np.isnan(needed.sel(subgroup=["one", "nobody"])).all() and found["not_known"].sel(subgroup="half") == 45
    assert found.attrs["tests"] == 5 * 3 * 2, "those that were made, for Holm"
    personal = personal_ranking(ranking)
    assert best_counts(personal) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "none": 1 / 3})
    assert (personal["best"].values == np.array(["a", "b", "none"])[third]).all()


@pytest.mark.slow
def test_a_null_world_is_left_alone_and_a_planted_truth_found() -> None:
    """What helps by the same ratio helps more where the risk is: only the ratio and the coin are null here."""
    rounds, coin, ratio, found = 80, 0, 0, 0
    for seed in range(rounds):
        null = subgroup_effects(*drawn_ranking(seed, 0.0))
        coin += bool((null["effect_p_holm"].sel(subgroup=["gene", "coin"]) < 0.05).any())
        ratio += bool((null["log_hazard_ratio_p_holm"] < 0.05).any())
        if seed < 25:
            planted = subgroup_effects(*drawn_ranking(seed, 0.6))["different"]
            found += bool(planted.sel(subgroup="gene", target="b"))
    limit = 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / rounds)
    assert coin / rounds <= limit and ratio / rounds <= limit
    assert found >= 22
