"""Rank sets against a known order: they contain the true rank as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from test_targets import block, build

from cascade.sensitivity import sample, uncertain
from cascade.sensitivity.ranks import summarize_ranks
from cascade.targets import rank_targets

REPLICATES = 200


def covered(benefit: np.ndarray, true_rank: np.ndarray, seed: int) -> np.ndarray:
    found = summarize_ranks(benefit, seed=seed, level=0.9)
    return (found.rank_lower <= true_rank) & (true_rank <= found.rank_upper)


@pytest.mark.parametrize(("gap", "patients", "skewed"), [(0.05, 20, False), (0.05, 20, True), (0.1, 12, False)])
def test_ninety_percent_rank_sets_contain_the_true_rank(gap: float, patients: int, skewed: bool) -> None:
    """Ten targets whose mean effects lie a fraction of their standard error apart: ranks are hard to tell."""
    truth = gap * np.arange(10)
    hits = []
    for seed in range(REPLICATES):
        generator = np.random.default_rng(seed)
        noise = generator.standard_normal((patients, 10))
        if skewed:
            noise = (np.exp(noise) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)
        hits.append(covered(truth + noise + generator.standard_normal((patients, 1)), 10.0 - np.arange(10), seed))
    assert 0.85 <= np.mean(hits) <= 0.95


def test_well_separated_targets_have_one_rank_each() -> None:
    benefit = np.arange(5.0) + 0.1 * np.random.default_rng(1).standard_normal((20, 5))
    found = summarize_ranks(benefit, seed=1, level=0.9)
    assert found.rank_lower.tolist() == found.rank_upper.tolist() == [5, 4, 3, 2, 1]
    assert found.p_first.tolist() == [0, 0, 0, 0, 1] and found.p_top.tolist() == [1] * 5


def test_equal_targets_share_every_rank_and_the_first_place() -> None:
    benefit = np.repeat(np.random.default_rng(1).standard_normal((20, 1)), 4, axis=1)
    found = summarize_ranks(benefit, seed=1)
    assert found.rank_lower.tolist() == [1] * 4 and found.rank_upper.tolist() == [4] * 4
    assert found.p_first.tolist() == [0.25] * 4


def test_interval_of_the_mean_covers_with_few_patients() -> None:
    hits = []
    for seed in range(400):
        found = summarize_ranks(np.random.default_rng(seed).standard_normal((10, 2)), seed=seed)
        hits.append((found.lower <= 0) & (found.upper >= 0))
    assert 0.93 <= np.mean(hits) <= 0.97


@pytest.mark.slow
def test_a_model_of_known_order_is_ranked_as_its_sets_say() -> None:
    """A hazard that is a weighted sum: blocking a share removes that share, so the true order is that of the means."""
    weights = {f"w_{letter}": 1 + 0.06 * place for place, letter in enumerate("abcdefgh")}
    total = " + ".join(weights)
    lines = "; ".join(f"{name} = {value}" for name, value in weights.items())
    model = build(f"model risk()\n h' = {total}; h = 0; {lines};\nend", dict.fromkeys(weights, 2.0))
    drawn = sample(uncertain(model), 400_000, seed=12345)
    table = np.stack([drawn[name] for name in weights], axis=1)
    means = np.log1p(-0.9 * table / table.sum(axis=1, keepdims=True)).mean(axis=0)
    true_rank = np.argsort(np.argsort(means)) + 1.0
    hits = []
    for seed in range(REPLICATES):
        ranking = rank_targets(
            model, "final:h", targets=block(*weights), samples=24, seed=seed, years=1, workers=1, windows=[], doses=[],
            opposite=None, assumed_pairs=0, morris_trajectories=0,
        ).sel(window="lifelong")  # fmt: skip
        effect = np.log(ranking["treated"] / ranking["untreated"]).transpose("patient", "target").values[1:]
        order = [list(weights).index(str(name)[2:]) for name in ranking["target"].values]
        hits.append(covered(-effect, true_rank[order], seed))
    assert 0.85 <= np.mean(hits) <= 0.95
