"""What a verdict rests on: known shares of the variance, and partners who share what is not assumed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from test_sensitivity import parameter

from cascade.grounds import flips, partners, shares


def test_partners_share_all_but_the_assumed_numbers() -> None:
    rows = (parameter("a", evidence="assumed"), parameter("m", evidence="measured"))
    number = {"patient": [0, 3, 7]}
    patients = {p.id: xr.DataArray([0.5, 0.1, 0.2], coords=number, dims="patient") for p in rows}
    other = partners(patients, rows, seed=1)
    assert other["m"].values.tolist() == [0.1, 0.2] and other["a"]["patient"].values.tolist() == [3, 7]
    assert not np.isin(other["a"].values, [0.1, 0.2]).any()
    alone = partners({key: value.isel(patient=[0, 2]) for key, value in patients.items()}, rows, seed=1)
    assert alone["a"].values[0] == other["a"].values[1]  # whoever else is in the study


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_share_of_a_linear_effect_is_known(weight: float) -> None:
    generator = np.random.default_rng(1)
    known, one, two = generator.standard_normal((3, 4000))
    effect = [np.sqrt(1 - weight) * known + np.sqrt(weight) * assumed for assumed in (one, two)]
    found = shares(effect[0][:, None], effect[1][:, None], seed=1)
    assert found["assumed_share"][0] == pytest.approx(weight, abs=0.03)
    assert found["assumed_share_lower"][0] <= weight + 1e-9 and found["assumed_share_upper"][0] >= weight - 1e-9


def test_interval_of_the_share_covers_the_truth() -> None:
    hits = []
    for seed in range(200):
        known, one, two = np.random.default_rng(seed).standard_normal((3, 60))
        found = shares((known + one)[:, None], (known + two)[:, None], seed=seed)
        hits.append(found["assumed_share_lower"][0] <= 0.5 <= found["assumed_share_upper"][0])
    assert 0.90 <= np.mean(hits) <= 0.98


def test_few_pairs_and_equal_effects_give_no_share() -> None:
    few = shares(np.ones((3, 1)), np.zeros((3, 1)), seed=1)
    assert np.isnan(few["assumed_share"][0]) and few["assumed_pairs"][0] == 3
    same = shares(np.full((50, 1), 0.3), np.full((50, 1), 0.3), seed=1)
    assert np.isnan(same["assumed_share"][0])


def test_flips_count_pairs_in_which_another_target_is_best() -> None:
    first = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [np.nan, 1.0]])
    second = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    assert flips(first, second) == {"verdict_flips": 1 / 3, "verdict_pairs": 3}
