"""Weights: planted mixtures and tilts recovered, marginals met or said to be out of reach, few patients left."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.cohort_summary import population_course, weighted_percentiles
from cascade.distributions import Marginal
from cascade.errors import AnalysisError, CascadeWarning, TableError, UnknownNameError
from cascade.weighting import effective_size, weight_cohort


def cloud(**values) -> xr.Dataset:
    count = len(next(iter(values.values())))
    return xr.Dataset(
        {name: ("patient", np.asarray(each, dtype=float)) for name, each in values.items()},
        coords={"patient": [f"p{number}" for number in range(count)]},
    )


def told(weights: xr.DataArray) -> dict[str, dict]:
    return json.loads(weights.attrs["marginals"])


def bins(name: str, of: str, values: np.ndarray, edges: list[float]) -> list[Marginal]:
    """Published shares of a population in bins, but the last."""
    ends = [-np.inf, *edges, np.inf]
    return [
        Marginal(
            name=f"{name}_{i}",
            kind="share",
            of=of,
            lower=a,
            upper=b,
            value=float(((values >= a) & (values < b)).mean()),
        )
        for i, (a, b) in enumerate(pairwise(ends))
    ][:-1]


def mixture(share: float, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two kinds of patients: slow with small tumors, fast with large ones."""
    random = np.random.default_rng(seed)
    fast = random.random(count) < share
    size = np.where(fast, random.normal(3.6, 0.35, count), random.normal(2.5, 0.35, count))
    rate = np.where(fast, random.normal(1.5, 0.4, count), random.normal(0.0, 0.4, count))
    return size, rate, fast


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    return float(0.5 * np.abs(one / one.sum() - other / other.sum()).sum())


def test_a_planted_mixture_is_recovered() -> None:
    size, rate, fast = mixture(0.5, 20_000, seed=1)
    true_size, true_rate, _ = mixture(0.2, 400_000, seed=2)
    wanted = bins("size", "size", true_size, [2.0, 2.5, 3.0, 3.5, 4.0])
    wanted += bins("rate", "rate", true_rate, [-0.3, 0.3, 0.75, 1.2, 1.7])
    weights = weight_cohort(cloud(size=size, rate=rate), wanted)
    grid = [np.linspace(1.5, 5, 8), np.linspace(-1.5, 3, 7)]
    found = np.histogram2d(size, rate, bins=grid, weights=weights.values)[0]
    truth = np.histogram2d(true_size, true_rate, bins=grid)[0]
    before = np.histogram2d(size, rate, bins=grid)[0]
    assert total_variation(before, truth) > 0.25
    assert total_variation(found, truth) < 0.05
    assert float(weights.values[fast].sum() / weights.sum()) == pytest.approx(0.2, abs=0.05)
    assert float(weights.mean()) == pytest.approx(1.0)


def test_a_planted_tilt_is_recovered_exactly() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=3000)
    truth = np.exp(0.7 * x)
    truth /= truth.mean()
    mean = float((truth * x).mean())
    weights = weight_cohort(cloud(x=x), [Marginal(name="x", kind="mean", of="x", value=mean)], tolerance=1e-6)
    np.testing.assert_allclose(weights.values, truth, rtol=1e-4)
    assert weights.attrs["ess"] == pytest.approx(effective_size(truth), rel=1e-4)


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 100))
@settings(max_examples=20, deadline=None)
def test_shares_are_met_by_the_ratio_of_shares(share: float, seed: int) -> None:
    held = np.random.default_rng(seed).random(400) < 0.4
    marginal = Marginal(name="g", kind="share", of="g", value=share)
    weights = weight_cohort(cloud(g=held), [marginal], least_share=0.0, tolerance=1e-5)
    expected = np.where(held, share / held.mean(), (1 - share) / (1 - held.mean()))
    np.testing.assert_allclose(weights.values, expected, rtol=1e-3)


def test_marginals_that_hold_already_leave_the_weights_alone() -> None:
    x = np.random.default_rng(5).normal(size=500)
    weights = weight_cohort(cloud(x=x), [Marginal(name="x", kind="mean", of="x", value=float(x.mean()))])
    np.testing.assert_allclose(weights.values, 1.0, atol=1e-6)
    assert weights.attrs["ess"] == pytest.approx(500)


def test_a_published_error_leaves_room() -> None:
    x = np.random.default_rng(6).normal(size=2000)
    miss = [
        told(weight_cohort(cloud(x=x), [Marginal(name="x", kind="mean", of="x", value=1.0, error=error)]))["x"]
        for error in (0.0, 0.3, 1.0)
    ]
    reached = [row["weighted"] for row in miss]
    assert reached[0] == pytest.approx(1.0, abs=1e-3)
    # the dual: the weighted mean is -lambda error^2 away; for a standard normal both lie at 1 / (1 + error^2)
    assert reached[1] == pytest.approx(1 / 1.09, abs=0.03)
    assert reached[2] == pytest.approx(1 / 2, abs=0.03)
    assert all(abs(row["miss"]) < 1.5 for row in miss)


def test_what_lies_outside_the_cloud_is_named_with_its_distance() -> None:
    x = np.random.default_rng(7).uniform(0, 1, 300)
    wanted = [
        Marginal(name="far", kind="mean", of="x", value=3.0, error=0.5),
        Marginal(name="half", kind="share", of="x", value=1.0),
    ]
    with pytest.warns(CascadeWarning) as caught:
        weights = weight_cohort(cloud(x=x), wanted)
    text = str(caught[0].message)
    assert "outside the cloud of the 300 patients: far: published 3" in text
    assert "standard errors away" in text
    row = told(weights)["far"]
    assert row["outside"]
    assert row["miss"] == pytest.approx((row["weighted"] - 3.0) / 0.5)
    assert row["range"] == pytest.approx([x.min(), x.max()])
    assert not told(weights)["half"]["outside"]


def test_marginals_that_contradict_each_other_are_found_though_each_could_be_met() -> None:
    x = np.random.default_rng(8).uniform(0, 1, 300)
    wanted = [
        Marginal(name="mean", kind="mean", of="x", value=0.9, error=0.01),
        Marginal(name="low", kind="share", of="x", upper=0.5, value=0.8, error=0.01),
    ]
    with pytest.warns(CascadeWarning) as caught:
        weights = weight_cohort(cloud(x=x), wanted)
    assert "outside the cloud" in str(caught[0].message)
    assert sum(row["outside"] for row in told(weights).values()) == 1


def test_a_small_effective_sample_is_warned_of() -> None:
    x = np.random.default_rng(9).normal(size=300)
    with pytest.warns(CascadeWarning, match="effective sample size of .* of 300 patients"):
        weights = weight_cohort(cloud(x=x), [Marginal(name="x", kind="mean", of="x", value=2.2, error=0.02)])
    assert weights.attrs["ess"] == pytest.approx(effective_size(weights.values))
    assert weights.attrs["ess"] < 30


def survivors(rates: list[float], before: list[float], months: int = 180) -> xr.Dataset:
    """Outcomes of patients with a constant hazard a year, three quarters of it in bone."""
    yearly = np.asarray(rates)
    course = yearly[:, None, None] * np.array([0.75, 0.25])[None, :, None] * np.arange(months + 1) / 12
    data = {
        "h_organ": (("patient", "organ", "month"), course),
        "h_distant": (("patient", "month"), course.sum(axis=1)),
        "h_before": ("patient", np.asarray(before)),
    }
    names = [f"p{number}" for number in range(len(rates))]
    return xr.Dataset(data, coords={"patient": names, "organ": ["bone", "lung"], "month": np.arange(months + 1)})


def test_hazards_free_shares_and_sites_are_those_of_the_population() -> None:
    rates = np.random.default_rng(10).lognormal(-3, 1, 800)
    outcomes = survivors(rates.tolist(), (rates / 2).tolist())
    wanted = [
        Marginal(name="early", kind="hazard", years=(0, 5), value=0.07),
        Marginal(name="late", kind="hazard", years=(5, 10), value=0.05),
        Marginal(name="free", kind="free", years=(15,), value=0.42, error=0.05),
        Marginal(name="dx", kind="at_diagnosis", value=0.03, error=0.01),
        Marginal(name="bone", kind="first_site", of="bone", value=0.75, error=0.05),
    ]
    weights = weight_cohort(outcomes, wanted)
    course = population_course(outcomes, weights)
    free = course["p_free"]
    for first, last, value in ((0, 5, 0.07), (5, 10, 0.05)):
        hazard = -np.log(float(free.sel(month=12 * last)) / float(free.sel(month=12 * first))) / (last - first)
        assert hazard == pytest.approx(value, rel=0.01)
        assert float(course["hazard"].sel(year=slice(first + 1, last)).mean()) == pytest.approx(hazard, rel=1e-9)
    rows = told(weights)
    assert rows["late"]["weighted"] == pytest.approx(0.05, rel=0.01)
    assert rows["free"]["weighted"] == pytest.approx(float(free.sel(month=180)), rel=1e-9)
    assert rows["dx"]["weighted"] == pytest.approx(float(course["p_at_diagnosis"]), rel=1e-9)
    sites = course["p_first_site"]
    assert float(sites.sum()) == pytest.approx(1 - float(free.isel(month=-1)), rel=1e-9)
    assert float(sites.sel(organ="bone") / sites.sum()) == pytest.approx(0.75)
    assert rows["bone"]["weighted"] == pytest.approx(0.75)


def test_patients_without_an_answer_have_no_weight() -> None:
    outcomes = survivors([0.1, 0.2, 0.05, 0.1], [0.0] * 4)
    outcomes["h_distant"][1, 60:] = np.nan
    weights = weight_cohort(outcomes, [Marginal(name="free", kind="free", years=(10,), value=0.45, error=0.05)])
    assert float(weights[1]) == 0
    assert float(weights.mean()) == pytest.approx(1.0)
    assert (weights.attrs["patients"], weights.attrs["left_out"]) == (3, 1)
    assert population_course(outcomes, weights).attrs == {"patients": 3, "left_out": 1}


def test_weights_that_are_there_are_where_the_tilting_starts() -> None:
    x = np.array([0.0, 1.0, 1.0, 0.0])
    outcomes = cloud(x=x).assign(weight=("patient", [1.0, 3.0, 1.0, 0.0]))
    weights = weight_cohort(outcomes, [Marginal(name="x", kind="mean", of="x", value=0.5)], tolerance=1e-6)
    assert float(weights[3]) == 0
    assert float(weights[1] / weights[2]) == pytest.approx(3)
    assert float((weights * x).sum() / weights.sum()) == pytest.approx(0.5, abs=1e-4)


def test_what_a_clinic_knows_goes_before_what_the_model_expects() -> None:
    cohort, outcomes = cloud(diameter_mm=[10.0, 30.0]), cloud(diameter_mm=[5.0, 5.0])
    marginal = Marginal(name="size", kind="mean", of="diameter_mm", value=25.0)
    weights = weight_cohort(outcomes, [marginal], cohort=cohort, tolerance=1e-5)
    assert weights.values == pytest.approx([0.5, 1.5], rel=1e-3)
    with pytest.raises(AnalysisError, match="not of the same patients"):
        weight_cohort(outcomes, [marginal], cohort=cohort.isel(patient=[1, 0]))


def test_a_genotype_is_weighted_by_its_name() -> None:
    data = cloud(x=[1.0, 1.0, 1.0, 1.0]).assign_coords(genotype=["tp53_loss", "pten_loss"])
    states = [[True, False], [False, True], [False, False], [True, True]]
    data["has_genotype"] = (("patient", "genotype"), states, {"role": "genotype"})
    weights = weight_cohort(data, [Marginal(name="p53", kind="share", of="tp53_loss", value=0.25)], tolerance=1e-5)
    assert weights.values == pytest.approx([0.5, 1.5, 1.5, 0.5], rel=1e-3)


@pytest.mark.parametrize(
    ("marginal", "error", "words"),
    [
        ({"kind": "mean", "of": "y", "value": 1.0}, UnknownNameError, "'y'"),
        ({"kind": "free", "years": (5,), "value": 0.5}, AnalysisError, "needs hazards"),
        ({"kind": "at_diagnosis", "value": 0.5}, AnalysisError, "needs hazards"),
        ({"kind": "first_site", "of": "bone", "value": 0.5}, AnalysisError, "needs hazards"),
        ({"kind": "hazard", "years": (5,), "value": 0.5}, TableError, "needs 2"),
        ({"kind": "hazard", "years": (5, 5), "value": 0.5}, TableError, "rising"),
        ({"kind": "share", "of": "x", "value": 1.5}, TableError, "between 0 and 1"),
        ({"kind": "share", "of": "x", "value": 0.5, "lower": 2, "upper": 1}, TableError, "empty"),
        ({"kind": "mean", "value": 0.5}, TableError, "say of what"),
        ({"kind": "median", "of": "x", "value": 0.5}, UnknownNameError, "median"),
        ({"kind": "mean", "of": "x", "value": float("nan")}, TableError, "finite"),
    ],
)
def test_wrong_marginals_are_refused(marginal: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        weight_cohort(cloud(x=[1.0, 2.0]), [Marginal(name="m", **marginal)])


def test_wrong_questions_are_refused() -> None:
    data = cloud(x=[1.0, 2.0])
    one = Marginal(name="x", kind="mean", of="x", value=1.5)
    with pytest.raises(AnalysisError, match="needs marginals"):
        weight_cohort(data, [])
    with pytest.raises(AnalysisError, match="given twice"):
        weight_cohort(data, [one, one])
    with pytest.raises(AnalysisError, match="no patient has all the numbers"):
        weight_cohort(cloud(x=[np.nan, np.nan]), [one])
    with pytest.raises(AnalysisError, match="tolerance"):
        weight_cohort(data, [one], tolerance=0.0)
    with pytest.raises(AnalysisError, match="follow the cohort for longer"):
        weight_cohort(survivors([0.1], [0.0]), [Marginal(name="h", kind="free", years=(16,), value=0.5)])
    with pytest.raises(UnknownNameError, match="liver"):
        weight_cohort(survivors([0.1], [0.0]), [Marginal(name="s", kind="first_site", of="liver", value=0.5)])


def test_percentiles_count_weights() -> None:
    assert weighted_percentiles([1, 2, 3, np.nan], np.array([0, 1, 0, 5.0]), (5, 50, 95)) == [2, 2, 2]
    assert weighted_percentiles(np.arange(101), np.ones(101), (50,)) == pytest.approx([50])
