"""Who benefits: planted truths in a small world with closed forms, and nothing found where there is nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

from cascade.errors import AnalysisError, CascadeError, UnknownNameError
from cascade.narrowing import narrowing
from cascade.outlook import patient_outlook, weighted_quantile
from cascade.permutation import holm, permutation_test
from cascade.personal import patient_report
from cascade.personal_ranking import best_counts, personal_ranking
from cascade.sensitivity.ranks import bootstrap_means, summarize_ranks, weighted_mean, weighted_median
from cascade.specs import Model
from cascade.subgroup_effects import number_needed, subgroup_effects
from cascade.subgroups import subgroups_of
from cascade.target_table import Target, parse_acts
from cascade.targets import rank_targets

Make = Callable[..., Model]
FIVE, TEN = 5 * 365.25, 10 * 365.25

# Surgery at day 100. The hazard after it comes from two processes, of which the second runs only in carriers of a gene.
WORLD = """
primary_tumor__n' = k_grow; primary_tumor__n = 0; primary_tumor__t_surgery = 1e6; operated = 0;
E1: at (primary_tumor__n >= n_operable), t0=false: operated = 1, primary_tumor__t_surgery = time;
k_one = 4e-5; k_two = 4e-5; a_gene = 0; k_idle = 1; n_operable = 100; k_grow = 1;
endpoints__h_since_surgery = 0; endpoints__h_since_surgery' = operated*(k_one + a_gene*k_two); idle' = k_idle; idle = 0;
endpoints__ctc_per_tube := 1e5*k_one; emt__a_emt := 0.3*k_three; k_three = 1;
"""
RUN: dict[str, Any] = {"years": 11, "seed": 1, "workers": 1, "morris_trajectories": 0, "assumed_pairs": 0, "doses": (),
                       "opposite": None, "windows": ()}  # fmt: skip


@pytest.fixture(scope="module")
def world(make_model: Make) -> Model:
    model = make_model(WORLD)
    names = {name.replace("__", ".", 1): name for name in model.ids if "__" in name}
    rows = tuple(
        replace(
            row, lower=row.nominal / 20, upper=row.nominal * 20, estimate=True, prior="log-normal",
            evidence="assumed" if row.id == "k_two" else "measured", prior_parameters=(math.log(row.nominal), 0.5),
        )
        if row.id in ("k_one", "k_two", "k_three", "k_grow")
        else row
        for row in model.parameters
    )  # fmt: skip
    model = replace(model, parameters=rows, ids={**model.ids, **names})
    return replace(model, instances={"primary_tumor": "primary_tumor", "endpoints": "endpoints"})


def ideal(*names: str) -> list[Target]:
    return [
        Target(target=f"t_{n}", name=f"block {n}", stage="colonization", acts_on=parse_acts(f"{n}:-")) for n in names
    ]


TARGETS = ideal("k_one", "k_two", "k_idle")


def people(count: int, seed: int = 0, **more: Any) -> xr.Dataset:
    """A cohort: carriers of a gene in whom the second process runs, a measure that means nothing, rates that differ."""
    random = np.random.default_rng(seed)
    gene = np.arange(count) % 3 == 0
    columns = {
        "a_gene": (gene.astype(float), "value"),
        "k_one": (4e-5 * np.exp(0.4 * random.standard_normal(count)), "value"),
        "diameter_mm": (random.uniform(5, 40, count), "measure"),
    }
    columns |= {name: (np.asarray(values), "measure") for name, values in more.items() if name != "weight"}
    data: dict[str, Any] = {name: ("patient", values, {"role": role}) for name, (values, role) in columns.items()}
    data["carries"] = (("patient", "genotype"), np.stack([gene, ~gene], axis=1), {"role": "genotype"})
    if "weight" in more:
        data["weight"] = ("patient", np.asarray(more["weight"], dtype=float), {"role": "weight"})
    ids = [f"P{number}" for number in range(count)]
    return xr.Dataset(data, coords={"patient": ids, "genotype": ["gene gain", "wild type"]})


@pytest.fixture(scope="module")
def cohort() -> xr.Dataset:
    return people(36)


@pytest.fixture(scope="module")
def ranking(world: Model, cohort: xr.Dataset) -> xr.Dataset:
    subgroups = ["gene gain", "diameter_mm > 20"]
    return rank_targets(world, "p_overt_5y", targets=TARGETS, patients=cohort, subgroups=subgroups, n_draws=24, **RUN)


def risk(k_one: Any, k_two: Any, days: float) -> Any:
    return -np.expm1(-(k_one + k_two) * days)


def test_the_people_are_those_of_the_cohort(ranking: xr.Dataset, cohort: xr.Dataset) -> None:
    assert ranking["patient"].values.tolist() == ["nominal", *cohort["patient"].values]
    two = 4e-5 * cohort["a_gene"].values
    for days, year in ((FIVE, 5), (TEN, 10)):
        expected = risk(cohort["k_one"].values, two, days)
        assert ranking["risk_untreated"].sel(horizon=year).values[1:] == pytest.approx(expected, rel=2e-4)
        treated = ranking["risk_treated"].sel(horizon=year, window="adjuvant", target="t_k_two").values[1:]
        assert treated == pytest.approx(risk(cohort["k_one"].values, 0.1 * two, days), rel=2e-4)
    assert json.loads(ranking.attrs["left_out"]) == {}
    assert ranking.attrs["patients"] == 36 and set(ranking["target"].values) == {"t_k_one", "t_k_two", "t_k_idle"}


def test_a_drug_that_works_in_one_genotype_is_found(ranking: xr.Dataset, cohort: xr.Dataset) -> None:
    gene = cohort["a_gene"].values == 1
    expected = (risk(cohort["k_one"].values, 4e-6, FIVE) - risk(cohort["k_one"].values, 4e-5, FIVE))[gene].mean()
    found = ranking.sel(subgroup="gene gain", target="t_k_two")
    assert found["subgroup_effect"].sel(side="in").item() == pytest.approx(expected, rel=1e-3)
    assert found["subgroup_effect"].sel(side="out").item() == 0
    assert found["subgroup_effect_difference_upper"].item() < 0
    assert found["subgroup_effect_p_holm"].item() < 0.01 and bool(found["subgroup_different"])
    assert ranking["subgroup_effect_rank"].sel(subgroup="gene gain", target="t_k_two", side="out").item() == 2.5
    assert not ranking["subgroup_different"].sel(subgroup="diameter_mm > 20").any()
    assert not ranking["subgroup_different"].sel(target="t_k_idle").any()
    # Everybody, and who belongs to what.
    everybody = ranking.sel(subgroup="all")
    assert everybody["subgroup_effect"].sel(side="in", target="t_k_one").item() == pytest.approx(
        float(ranking["effect_mean"].sel(target="t_k_one", window="adjuvant")), rel=1e-12
    )
    assert np.isnan(everybody["subgroup_effect_p"]).all()
    assert ranking["member"].sel(subgroup="gene gain").values[1:].tolist() == gene.astype(float).tolist()


def test_number_needed_to_treat_is_one_over_the_reduction(ranking: xr.Dataset, cohort: xr.Dataset) -> None:
    gene = cohort["a_gene"].values == 1
    for year, days in ((5, FIVE), (10, TEN)):
        found = ranking.sel(subgroup="gene gain", side="in", target="t_k_two", horizon=year)
        one = cohort["k_one"].values[gene]
        reduction = (risk(one, 4e-5, days) - risk(one, 4e-6, days)).mean()
        assert found["subgroup_risk_reduction"].item() == pytest.approx(reduction, rel=1e-3)
        assert found["subgroup_nnt"].item() == pytest.approx(1 / reduction, rel=1e-3)
        assert found["subgroup_nnt_lower"].item() < 1 / reduction < found["subgroup_nnt_upper"].item()
        assert found["subgroup_nnt_upper"].item() == pytest.approx(1 / found["subgroup_risk_reduction_lower"].item())
    idle = ranking.sel(subgroup="all", side="in", target="t_k_idle", horizon=5)
    assert idle["subgroup_nnt"].item() == math.inf == idle["subgroup_nnt_upper"].item()


def test_number_needed_tells_when_nothing_is_sure() -> None:
    reduction, low, high = (np.array(x) for x in ([0.1, 0.02, -0.1, np.nan, 0.0], [0.05, -0.01, -0.2, np.nan, 0.0],
                                                  [0.2, 0.05, -0.05, np.nan, 0.0]))  # fmt: skip
    number, lower, upper = number_needed(reduction, low, high)
    assert number.tolist()[:3] == pytest.approx([10, 50, -10]) and np.isnan(number[3]) and number[4] == math.inf
    assert lower.tolist()[:3] == pytest.approx([5, 20, -20])
    assert upper.tolist()[:3] == pytest.approx([20, math.inf, -5])


def test_every_patient_is_ranked(ranking: xr.Dataset, cohort: xr.Dataset, world: Model) -> None:
    found = personal_ranking(ranking)
    gene = cohort["a_gene"].values == 1
    # What the draws leave open is k_two, which matters in carriers only.
    assert ranking.attrs["redrawn"] == 3
    sure = found["p_best"].sel(target="t_k_one").values
    assert (sure[~gene] == 1).all() and (found["best"].values[~gene] == "t_k_one").all()
    assert 0.02 < sure[gene].mean() < 0.98
    total = found["p_best"].sum("target") + found["p_none"]
    assert total.values == pytest.approx(1)
    # The chance that the second process is the stronger one, log-normal with spread 0.5 about its nominal value.
    ratio = np.log(cohort["k_one"].values[gene] / 4e-5)
    expected = np.array([0.5 * math.erfc(each / 0.5 / math.sqrt(2)) for each in ratio])
    mine = found["p_best"].sel(target="t_k_two").values[gene]
    assert abs(mine - expected).mean() < 0.1 and mine.mean() == pytest.approx(expected.mean(), abs=0.06)
    assert (found["rank"].sel(target="t_k_one").values[~gene] == 1).all()
    share = best_counts(found)
    assert sum(share.values()) == pytest.approx(1) and share["t_k_one"] > 0.6
    none = personal_ranking(ranking, floor=0.9)
    assert (none["best"] == "none").all() and (none["p_none"] == 1).all() and (none["p_best"] == 0).all()


def test_a_patient_does_not_depend_on_the_others(ranking: xr.Dataset, cohort: xr.Dataset, world: Model) -> None:
    chosen = ["P30", "P3", "P7", "P9", "P12", "P0"]  # fewer, in another order
    alone = rank_targets(
        world, "p_overt_5y", targets=TARGETS[1::-1], patients=cohort.sel(patient=chosen), n_draws=9, **RUN
    )
    few, many = personal_ranking(alone), personal_ranking(ranking)
    for name in ("effect", "floor"):
        same = many[name].sel(patient=chosen)
        same = same.sel(target=few["target"].values) if "target" in same.dims else same
        assert few[name].values == pytest.approx(same.values, rel=1e-12)
    names = ("untreated_draw", "treated_draw")
    for name in names:
        first = ranking[name].isel(draw=slice(0, 9)).sel(patient=chosen)
        mine = alone[name].sel(patient=chosen)
        if "target" in first.dims:
            first = first.sel(target=mine["target"].values)
        assert mine.transpose(*first.dims).values == pytest.approx(first.values, rel=1e-12)


def test_weights_are_people(world: Model) -> None:
    """Two people of weight 1 are one of weight 2, in means, medians, shares, subgroups and numbers needed."""
    weights = np.tile([1.0, 2.0, 3.0], 8)
    light = people(24, weight=weights)
    heavy = light.isel(patient=np.repeat(np.arange(24), weights.astype(int))).drop_vars("weight")
    heavy = heavy.assign_coords(patient=[f"Q{number}" for number in range(heavy.sizes["patient"])])
    options = RUN | {"targets": TARGETS, "subgroups": ["gene gain", "diameter_mm > 20"]}
    one, two = (rank_targets(world, "p_overt_5y", patients=each, **options) for each in (light, heavy))
    for name in ("effect_mean", "effect_median", "log_hazard_ratio_mean", "p_relevant", "rank", "subgroup_effect",
                 "subgroup_nnt", "subgroup_risk", "subgroup_people_share", "subgroup_effect_difference"):  # fmt: skip
        left, right = one[name], two[name]
        if "target" in right.dims:
            right = right.sel(target=left["target"].values)
        assert left.values == pytest.approx(right.transpose(*left.dims).values, rel=1e-6, nan_ok=True), name
    equal = people(24)
    plain = rank_targets(world, "p_overt_5y", patients=equal, **options)
    assert (plain["effect_mean"].sel(target="t_k_two") != one["effect_mean"].sel(target="t_k_two")).all()
    scaled = rank_targets(world, "p_overt_5y", patients=people(24, weight=np.full(24, 7.0)), **options)
    xr.testing.assert_allclose(
        plain.drop_vars("weight")[["effect_mean", "effect_lower", "subgroup_effect_p"]],
        scaled.drop_vars("weight")[["effect_mean", "effect_lower", "subgroup_effect_p"]],
    )
    zero = people(24, weight=np.where(np.arange(24) < 12, 1.0, 0.0))
    half = rank_targets(world, "p_overt_5y", patients=zero, **options)
    first = rank_targets(world, "p_overt_5y", patients=equal.isel(patient=slice(0, 12)), **options)
    assert half["effect_mean"].values == pytest.approx(first["effect_mean"].sel(target=half["target"].values).values)


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
    called, rounds = 0, 120
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


def test_missing_values(world: Model, cohort: xr.Dataset) -> None:
    """Who does not know a measure is on neither side; who lacks a value has the nominal one, drawn anew."""
    partly = cohort.copy(deep=True)
    partly["diameter_mm"][:5] = np.nan
    partly["k_one"][:3] = np.nan
    found = rank_targets(world, "p_overt_5y", targets=TARGETS, patients=partly, subgroups=["diameter_mm > 20"],
                         n_draws=5, **RUN)  # fmt: skip
    side = found["subgroup_patients"].sel(subgroup="diameter_mm > 20")
    assert side.sum() == 31 and found["subgroup_not_known"].sel(subgroup="diameter_mm > 20") == 5
    assert np.isnan(found["member"].sel(subgroup="diameter_mm > 20").values[1:6]).all()
    assert found["untreated"].sel(patient="P1").item() == pytest.approx(risk(4e-5, 0, FIVE), rel=1e-3)
    assert found["untreated_draw"].sel(patient="P1").std() > 0.01  # k_one is not known
    assert found["untreated_draw"].sel(patient="P4").std() < 1e-12  # it is, and there is no second process
    # One who is never operated is told by name and is part of nothing.
    never = cohort.assign(n_operable=("patient", np.where(np.arange(36) == 6, 1e9, 100.0), {"role": "value"}))
    found = rank_targets(world, "p_overt_5y", targets=TARGETS, patients=never, n_draws=2, **RUN)
    assert list(json.loads(found.attrs["left_out"])) == ["P6"] and "P6" not in found["patient"].values
    assert found.attrs["patients"] == 35


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


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda c: c.assign(k_zero=("patient", np.ones(36), {"role": "value"})), {}, "k_zero"),
        (lambda c: c.assign(weight=("patient", np.full(36, -1.0))), {}, "weight"),
        (lambda c: c.assign_coords(patient=["P"] * 36), {}, "twice"),
        (lambda c: c.assign_coords(patient=["nominal", *c["patient"].values[1:]]), {}, "nominal"),
        (lambda c: c.assign(k_one=c["k_one"] * np.inf), {}, "infinite"),
        (
            lambda c: c.assign(
                {n: ("patient", np.ones(36) / 2, {"role": "value"}) for n in ("k_two", "k_three", "k_grow")}
            ),
            {"n_draws": 2},
            "nothing is left",
        ),
        (lambda c: c, {"n_draws": 2, "redraw": "nobody"}, "nobody"),
        (lambda c: c, {"n_draws": 2, "redraw": ["a_gene"]}, "a_gene"),
        (lambda c: c, {"n_draws": -1}, "n_draws"),
        (lambda c: None, {"subgroups": ["gene gain"]}, "people of a cohort"),
    ],
)
def test_wrong_cohorts_are_refused(
    world: Model, cohort: xr.Dataset, change: Callable[[xr.Dataset], Any], options: dict[str, Any], words: str
) -> None:
    attrs = {name: each.attrs for name, each in cohort.data_vars.items()}
    changed = change(cohort)
    for name in attrs if changed is not None else ():
        changed[name].attrs = attrs[name]
    with pytest.raises(CascadeError, match=words):
        rank_targets(world, "p_overt_5y", targets=TARGETS, patients=changed, **(RUN | options))


def test_a_ranking_without_a_cohort_is_refused(world: Model) -> None:
    plain = rank_targets(world, "p_overt_5y", targets=TARGETS, samples=10, **RUN)
    with pytest.raises(AnalysisError, match="no cohort"):
        personal_ranking(plain)
    with pytest.raises(AnalysisError, match="no cohort"):
        subgroup_effects(plain, {"x": [True] * 10})


def test_a_ranking_of_people_survives_a_file(ranking: xr.Dataset, tmp_path: Path) -> None:
    ranking.to_netcdf(tmp_path / "ranking.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "ranking.nc", engine="h5netcdf") as again:
        xr.testing.assert_equal(personal_ranking(again)["p_best"], personal_ranking(ranking)["p_best"])


ONE: dict[str, Any] = {"targets": TARGETS[:2], "years": 24, "seed": 2, "workers": 1, "draws": 200}


def alone(**measures: float) -> xr.Dataset:
    """A patient who carries the gene, with measures."""
    data: dict[str, Any] = {"a_gene": ("patient", [1.0], {"role": "value"})}
    data |= {name: ("patient", [value], {"role": "measure"}) for name, value in measures.items()}
    return xr.Dataset(data, coords={"patient": ["P7"]}, attrs={"unexpressed": "{}"})


@pytest.fixture(scope="module")
def outlook(world: Model) -> xr.Dataset:
    return patient_outlook(world, alone(), **ONE)


def test_outlook_is_the_prior_where_nothing_is_known(outlook: xr.Dataset) -> None:
    weight = outlook["weight"].values
    assert weight == pytest.approx(1 / 200) and outlook.attrs["effective_draws"] == pytest.approx(200)
    random = np.random.default_rng(0)
    one, two = (4e-5 * np.exp(0.5 * random.standard_normal(100_000)) for _ in range(2))
    expected = risk(one, two, TEN)
    assert float(weight @ outlook["risk"].sel(year=10).values) == pytest.approx(expected.mean(), abs=0.025)
    for q in (0.05, 0.5, 0.95):
        mine = weighted_quantile(outlook["risk"].sel(year=10).values, weight, q)
        assert mine == pytest.approx(float(np.quantile(expected, q)), abs=0.05)
    # Both processes are alike, so each is the better target in half of the draws; the gene is there.
    assert outlook["p_best"].values == pytest.approx([0.5, 0.5], abs=0.11)
    assert float(outlook["p_best"].sum() + outlook.attrs["p_none"]) == pytest.approx(1)
    reduction = float((risk(one, two, TEN) - risk(0.1 * one, two, TEN)).mean())
    assert outlook["reduction"].sel(target="t_k_one").item() == pytest.approx(reduction, abs=0.02)
    assert outlook["nnt"].values == pytest.approx(1 / outlook["reduction"].values)
    # Half of the variance of the logarithm of the sum is the second process', which is the assumed one.
    assert outlook.attrs["assumed_share"] == pytest.approx(0.5, abs=0.15)
    assert outlook.attrs["assumed_share_lower"] < 0.5 < outlook.attrs["assumed_share_upper"]


def test_what_tells_of_the_risk_narrows_it(outlook: xr.Dataset) -> None:
    tests = outlook["test"].values.tolist()
    assert tests == ["ctc_per_tube", "emt__a_emt"]
    ctc, emt = outlook["narrowing"].values
    assert ctc > 0.15 > emt and ctc > outlook["noise"].values[0] and emt <= outlook["noise"].values[1] + 0.02


def test_a_count_of_tumor_cells_moves_the_risk_as_bayes_says(world: Model, outlook: xr.Dataset) -> None:
    found = patient_outlook(world, alone(ctc_per_tube=12, n_nodes=3), **ONE)
    random = np.random.default_rng(0)
    one, two = (4e-5 * np.exp(0.5 * random.standard_normal(200_000)) for _ in range(2))
    chance = np.exp(12 * np.log(1e5 * one) - 1e5 * one)
    expected = float(np.average(risk(one, two, TEN), weights=chance))
    before, after = (float(o["weight"].values @ o["risk"].sel(year=10).values) for o in (outlook, found))
    assert after == pytest.approx(expected, abs=0.03) and after > before + 0.07
    assert json.loads(found.attrs["used"]) == ["ctc_per_tube"] and json.loads(found.attrs["unused"]) == ["n_nodes"]
    assert "ctc_per_tube" not in found["test"].values
    assert 10 < found.attrs["effective_draws"] < 150
    assert found["p_best"].sel(target="t_k_one").item() > 0.8  # that process is now known to be strong


def test_age_rules_out_old_tumors(world: Model, outlook: xr.Dataset) -> None:
    limit = float(np.median(outlook["t_surgery"]))
    found = patient_outlook(world, alone(age_years=limit / 365.25), **ONE)
    assert found.sizes["draw"] == 100 and float(found["t_surgery"].max()) <= limit
    with pytest.raises(AnalysisError, match="none of 200 draws agrees"):
        patient_outlook(world, alone(age_years=0.001), **ONE)


def test_outlook_does_not_depend_on_the_table(world: Model, outlook: xr.Dataset) -> None:
    other = alone().assign_coords(patient=["P1"])
    both = xr.concat([other, alone()], dim="patient", join="outer")
    again = patient_outlook(world, both.sel(patient="P7"), **(ONE | {"draws": 40}))
    assert again["risk"].values == pytest.approx(outlook["risk"].values[:40], rel=1e-9)
    different = patient_outlook(world, other, **(ONE | {"draws": 40}))
    assert (different["risk"].values[:, 9] != again["risk"].values[:, 9]).all()


@pytest.mark.parametrize(
    ("patient", "options", "words"),
    [
        (people(3), {}, "3 patients"),
        (xr.Dataset(), {}, "no cohort"),
        (alone(), {"targets": []}, "nothing is given"),
        (alone(), {"draws": 3}, "draws"),
        (alone(), {"years": 3}, "at least 10"),
        (alone(), {"fraction": 0}, "fraction"),
    ],
)
def test_wrong_outlooks_are_refused(world: Model, patient: xr.Dataset, options: dict[str, Any], words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        patient_outlook(world, patient, **(ONE | options))


def test_narrowing_of_a_known_share() -> None:
    """A reading that holds the target with noise takes away the square of their correlation, less what groups lose."""
    random = np.random.default_rng(1)
    target = random.standard_normal(4000)
    weight = np.ones(4000)
    for noise, expected in ((0.5, 0.8), (2.0, 0.2)):
        share, chance = narrowing(target + noise * random.standard_normal(4000), target, weight, random, groups=20)
        assert share == pytest.approx(expected, abs=0.04) and chance < 0.02
    share, chance = narrowing(random.standard_normal(4000), target, weight, random)
    assert share <= chance + 0.005
    assert narrowing(np.ones(50), target[:50], weight[:50], random) == (0.0, 0.0)


def test_the_page_says_what_is_known_and_what_is_not(world: Model, tmp_path: Path) -> None:
    patient = alone(ctc_per_tube=5, n_nodes=math.nan, age_years=60)
    patient = patient.assign_coords(patient=["<b>P7</b>"])
    page = patient_report(world, patient, folder=tmp_path / "P7", command="cascade patient x", **(ONE | {"draws": 40}))
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;P7&lt;/b&gt;" in text and "<b>P7" not in text
    for words in ("not for treatment decisions", "block k_one", "not told in the table: n_nodes", "weights the draws",
                  "rests on numbers that are assumed", "What to measure next", "cascade patient x"):  # fmt: skip
        assert words in text, words
    assert "http" not in text.replace("http://www.w3.org", "")
    assert "nan" not in text.lower().split("<pre>")[0].replace("base64", "").split("data:image")[0]
    with xr.open_dataset(tmp_path / "P7" / "outlook.nc", engine="h5netcdf") as kept:
        assert float(kept["weight"].sum()) == pytest.approx(1)
    assert {path.name for path in (tmp_path / "P7" / "figures").iterdir()} == {
        "risk.png",
        "reductions.png",
        "tests.png",
    }


def test_plots_of_who_benefits(ranking: xr.Dataset, cohort: xr.Dataset) -> None:
    from cascade import plot_personal

    effects = subgroup_effects(ranking, subgroups_of(cohort, ["gene gain"]))
    axis = plot_personal.effect_map(effects)
    # Carriers have the planted effect; and since their hazard has a second part, blocking the first changes less of it.
    assert len(axis.patches) == 2 and effects["different"].sel(subgroup="gene gain").sum() == 2
    assert effects["effect_p_holm"].sel(subgroup="gene gain", target="t_k_one") > 0.05
    assert plot_personal.subgroups(effects, "t_k_two").get_title(loc="left") == "block k_two"
    best = plot_personal.best_targets(personal_ranking(ranking))
    assert sum(bar.get_width() for bar in best.patches) == pytest.approx(100)
    with pytest.raises(UnknownNameError, match="t_three"):
        plot_personal.subgroups(effects, "t_three")


def drawn_ranking(seed: int, shift: float) -> tuple[xr.Dataset, xr.DataArray]:
    """A ranking without simulations: three targets, of which the second helps carriers by `shift` more."""
    random = np.random.default_rng([11, seed])
    count = 80
    hazard = np.exp(random.standard_normal(count) - 1)
    carrier = random.random(count) < 0.3
    ratio = -np.abs(0.3 + 0.2 * random.standard_normal((count, 3)))
    ratio[:, 1] -= shift * carrier
    before, after = -np.expm1(-hazard), -np.expm1(-hazard[:, None] * np.exp(ratio))
    names = ["a", "b", "c"]

    def with_nominal(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([values[:1], values])

    ranking = xr.Dataset(
        {
            "untreated": ("patient", with_nominal(before)),
            "treated": (("patient", "target", "window"), with_nominal(after)[:, :, None]),
            "log_hazard_ratio": (("patient", "target", "window"), with_nominal(ratio)[:, :, None]),
        },
        coords={
            "patient": ["nominal", *(f"P{k}" for k in range(count))], "target": names, "window": ["adjuvant"],
            "weight": ("patient", with_nominal(random.exponential(size=count) + 0.2)),
        },
        attrs={"seed": seed, "readout": "p_overt_5y", "better": "lower", "window": "adjuvant",
               "effect_scale": "difference", "effect_label": "", "readout_unit": "dimensionless"},
    )  # fmt: skip
    groups = {"gene": carrier, "coin": random.random(count) < 0.5, "large": hazard * random.random(count) > 0.2}
    return ranking, subgroups_of(xr.Dataset(coords={"patient": ranking["patient"].values[1:]}), groups)


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


@pytest.mark.slow
def test_the_command_writes_a_page_of_a_patient_of_a_table(tmp_path: Path) -> None:
    import typer
    from typer.testing import CliRunner

    from cascade.cli._patient import commands

    app = typer.Typer()
    app.registered_commands += commands.registered_commands
    lines = [
        "patient\tgenotypes\tdiameter_mm\tage_years\tn_nodes",
        "P7\tpik3ca_mutation\t22\t61\t3",
        "P8\trb1_loss\t30\tNA\tNA",
    ]
    (tmp_path / "table.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = [str(tmp_path / "table.tsv"), "--model", "breast_lite", "--drug", "letrozole", "--target", "kdr"]
    words += ["--draws", "24", "--workers", "1", "--out", str(tmp_path / "P8"), "--json"]
    done = CliRunner().invoke(app, [*words, "--id", "P8"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout[done.stdout.index("{") :])
    averted = {row["name"]: row["reduction"] for row in told["effects"]}
    assert told["patient"] == "P8" and averted["kdr"] > 0 and abs(averted["letrozole"]) < 1e-3  # no RB1, no answer
    assert (tmp_path / "P8" / "report.html").read_text(encoding="utf-8").count("rb1_loss") == 1
    wrong = CliRunner().invoke(app, words)
    assert wrong.exit_code != 0 and "2 patients" in str(wrong.exception)
    wrong = CliRunner().invoke(app, [*words, "--id", "P9"])
    assert wrong.exit_code != 0 and "'P9'" in str(wrong.exception)
