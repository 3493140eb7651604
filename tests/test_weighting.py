"""Weights: planted mixtures and tilts recovered, marginals met or said to be out of reach, few patients left."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.cohort.distributions import Marginal
from cascade.cohort.stage import STAGE_NAMES, STAGES, stage_chances
from cascade.cohort.summary import moved_by_weights, population_course, weighted_percentiles
from cascade.cohort.weighting import effective_size, verdict_of, weight_cohort
from cascade.errors import AnalysisError, CascadeWarning, TableError, UnknownNameError


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


def test_three_groups_are_recovered_by_correlated_marginals() -> None:
    centers = np.array([[0.0, 0, 0], [3, 2.25, 0], [0, 3, 3]])
    random = np.random.default_rng(0)

    def people(group: np.ndarray) -> np.ndarray:
        found = random.normal(size=(len(group), 3)) * 0.6
        found[:, 1] += 0.5 * found[:, 0]  # inside a group the first two go together, by a rank of about 0.45
        return centers[group] + found

    group, share = random.choice(3, 3000), np.array([0.6, 0.1, 0.3])
    cohort, truth = people(group), people(random.choice(3, 100_000, p=share))
    wanted = []
    for name, mine in zip("abc", truth.T, strict=True):
        wanted += bins(name, name, mine, np.quantile(mine, np.linspace(0, 1, 13)[1:-1]).tolist())
    weights = weight_cohort(cloud(a=cohort[:, 0], b=cohort[:, 1], c=cohort[:, 2]), wanted)
    assert total_variation(np.bincount(group).astype(float), share) > 0.25
    assert total_variation(np.bincount(group, weights.values), share) < 0.05


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


def test_marginals_that_contradict_each_other_are_named_though_each_could_be_met() -> None:
    random = np.random.default_rng(8)
    x = random.uniform(0, 1, 300)
    wanted = [
        Marginal(name="mean", kind="mean", of="x", value=0.9, error=0.01),
        Marginal(name="other", kind="mean", of="y", value=0.4, error=0.05),
        Marginal(name="low", kind="share", of="x", upper=0.5, value=0.8, error=0.01),
    ]
    with pytest.warns(CascadeWarning) as caught:
        weights = weight_cohort(cloud(x=x, y=random.uniform(0, 1, 300)), wanted)
    text = str(caught[0].message)
    assert "together, though each could be met alone: mean (published 0.9, reached" in text
    assert "low (published 0.8, reached" in text
    assert "other" not in text
    rows = told(weights)
    assert {name: row["conflict"] for name, row in rows.items()} == {"mean": ["low"], "other": [], "low": ["mean"]}
    assert [verdict_of(rows[name]) for name in rows] == ["contradicts low", "met", "contradicts mean"]


@pytest.mark.parametrize("error", [0.0, 0.1])
def test_what_is_the_same_in_all_patients_is_outside_and_moves_nothing(error: float) -> None:
    x = np.random.default_rng(11).normal(size=200)
    wanted = [
        Marginal(name="same", kind="mean", of="c", value=2.0, error=error),
        Marginal(name="true", kind="mean", of="c", value=1.0),
        Marginal(name="x", kind="mean", of="x", value=0.3),
    ]
    with pytest.warns(CascadeWarning, match="outside the cloud of the 200 patients: same: published 2, reached 1"):
        weights = weight_cohort(cloud(c=np.ones(200), x=x), wanted)
    rows = told(weights)
    assert [rows[name]["outside"] for name in rows] == [True, False, False]
    assert rows["x"]["weighted"] == pytest.approx(0.3, abs=1e-3)
    with pytest.warns(CascadeWarning, match="of the 1 patients: same"):
        assert weight_cohort(cloud(c=[1.0]), wanted[:1]).values.tolist() == [1.0]


def test_a_marginal_on_the_edge_of_the_cloud_is_met() -> None:
    x = np.random.default_rng(12).normal(size=200)
    with pytest.warns(CascadeWarning, match="effective sample size of 1.0 of 200"):
        weights = weight_cohort(cloud(x=x), [Marginal(name="x", kind="mean", of="x", value=float(x.max()))])
    assert verdict_of(told(weights)["x"]) == "met"
    assert weights.values.argmax() == x.argmax()


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


def staged(sizes: np.ndarray, nodes: np.ndarray, before: np.ndarray) -> xr.Dataset:
    return cloud(diameter_mm=sizes, p_node=nodes, h_before=before)


def test_the_classes_of_the_stage_are_those_of_the_ajcc() -> None:
    chances = stage_chances([20.0, 20.1, 50.0, 50.1, np.nan], [0.25] * 5, [0.0, 0.0, 0.2, 0.0, 0.0])
    expected = np.zeros((4, 7))
    expected[0, :2] = expected[1, 2:4] = expected[3, 4:6] = [0.75, 0.25]
    expected[2, [2, 3, 6]] = [0.6, 0.2, 0.2]
    np.testing.assert_allclose(chances[:4], expected)
    assert np.isnan(chances[4]).all()
    groups = [STAGE_NAMES[name] for name in ("I", "II", "III", "IV")]
    assert sorted(stage for group in groups for stage in group) == sorted(STAGES)


def test_planted_stages_are_recovered() -> None:
    """Patients of a truth where large tumors with nodes are common, in a cohort where they are rare."""
    random = np.random.default_rng(13)
    sizes = random.lognormal(3.0, 0.6, 4000)
    nodes = np.clip(sizes / 60 * random.lognormal(0, 0.4, 4000), 0, 0.95)
    before = 0.002 * sizes * random.lognormal(0, 0.5, 4000)
    truth = np.exp(0.5 * np.log(sizes / 20) + 1.0 * nodes)
    truth /= truth.mean()
    outcomes = staged(sizes, nodes, before)
    share = truth @ stage_chances(sizes, nodes, -np.expm1(-before)) / truth.sum()
    wanted = [
        Marginal(
            name=name, kind="stage", of=name, value=float(share[[STAGES.index(n) for n in STAGE_NAMES[name]]].sum())
        )
        for name in ("T1 N0", "T1 N+", "T2 N0", "T2 N+", "T3 N0", "M1")
    ]
    weights = weight_cohort(outcomes, wanted)
    found = weights.values @ stage_chances(sizes, nodes, -np.expm1(-before)) / weights.values.sum()
    np.testing.assert_allclose(found, share, atol=2e-3)
    # what was not given follows too, since the truth is nearly a function of size and nodes
    for of in (sizes, nodes):
        assert weights.values @ of / 4000 == pytest.approx(truth @ of / 4000, rel=0.05)
    among = Marginal(name="n", kind="stage", of="N+", among=("T1", "T2", "T3"), value=0.5, error=0.01)
    row = told(weight_cohort(outcomes, [among]))["n"]
    assert row["weighted"] == pytest.approx(0.5, abs=0.02)
    clinic = staged(sizes * 2, nodes, before)  # the size that a clinic knows goes before that of the model
    assert (
        told(weight_cohort(outcomes, [wanted[0]], cohort=outcomes))["T1 N0"]["unweighted"]
        > 2 * (told(weight_cohort(outcomes, [wanted[0]], cohort=clinic, least_share=0))["T1 N0"]["unweighted"])
    )


def test_a_stage_without_nodes_is_of_size_and_metastasis_alone() -> None:
    data = staged(np.array([10.0, 30.0, 60.0, 15.0]), np.zeros(4), np.array([0.0, 0.0, 0.0, 700.0]))
    data = data.drop_vars("p_node")
    weights = weight_cohort(
        data, [Marginal(name="T1", kind="stage", of="T1", among=("M0",), value=0.5)], tolerance=1e-5
    )
    assert weights.values == pytest.approx([1.5, 0.75, 0.75, 1.0], rel=0.2)
    assert weights.values[0] == pytest.approx(2 * weights.values[1], rel=1e-3)
    with pytest.raises(AnalysisError, match=r"'n' needs the lymph nodes .* such as 'breast'"):
        weight_cohort(data, [Marginal(name="n", kind="stage", of="N+", value=0.5)])
    with pytest.raises(UnknownNameError, match="T9"):
        Marginal(name="n", kind="stage", of="T9", value=0.5)


def test_patients_without_an_answer_have_no_weight() -> None:
    outcomes = survivors([0.1, 0.2, 0.05, 0.1], [0.0] * 4)
    outcomes["h_distant"][1, 60:] = np.nan
    weights = weight_cohort(outcomes, [Marginal(name="free", kind="free", years=(10,), value=0.45, error=0.05)])
    assert float(weights[1]) == 0
    assert float(weights.mean()) == pytest.approx(1.0)
    assert (weights.attrs["patients"], weights.attrs["left_out"]) == (3, 1)
    assert population_course(outcomes, weights).attrs == {"patients": 3, "left_out": 1}
    outcomes["h_distant"][:, 60:] = np.nan
    outcomes["reason"] = ("patient", ["run failed: nan", "not operated", "not operated", "not operated"])
    told_why = r"\(3 patients: not operated; 1 patients: run failed: nan\)"
    with pytest.raises(AnalysisError, match=f"no patient has a whole follow-up {told_why}"):
        population_course(outcomes)
    with pytest.raises(AnalysisError, match=f"numbers that the marginals need {told_why}"):
        weight_cohort(outcomes, [Marginal(name="free", kind="free", years=(10,), value=0.45)])


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


def test_what_the_weights_move_besides_is_told() -> None:
    data = cloud(size=np.arange(1, 11), age=[50, 60] * 5)
    for each in data.data_vars.values():
        each.attrs["role"] = "measure"
    data["has_genotype"] = (("patient", "genotype"), (np.arange(10) < 5)[:, None], {"role": "genotype"})
    data = data.assign_coords(genotype=["tp53_loss"])
    assert moved_by_weights(data, np.ones(10)) == []
    assert moved_by_weights(data, np.where(np.arange(10) < 3, 3.0, 0.5)) == [
        "median of size 5.5 to 2.58",
        "tp53_loss 50 to 80 %",
    ]


def test_percentiles_count_weights() -> None:
    assert weighted_percentiles([1, 2, 3, np.nan], np.array([0, 1, 0, 5.0]), (5, 50, 95)) == [2, 2, 2]
    assert weighted_percentiles(np.arange(101), np.ones(101), (50,)) == pytest.approx([50])
