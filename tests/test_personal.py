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
from cascade.permutation import holm, permutation_test
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
primary_tumor__n' = 1; primary_tumor__n = 0; primary_tumor__t_surgery = 1e6; operated = 0;
E1: at (primary_tumor__n >= n_operable), t0=false: operated = 1, primary_tumor__t_surgery = time;
k_one = 4e-5; k_two = 4e-5; a_gene = 0; k_idle = 1; n_operable = 100;
endpoints__h_since_surgery = 0; endpoints__h_since_surgery' = operated*(k_one + a_gene*k_two); idle' = k_idle; idle = 0;
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
        if row.id in ("k_one", "k_two")
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
    return rank_targets(
        world, "p_overt_5y", targets=TARGETS, patients=cohort, subgroups=subgroups, n_draws=30, **RUN
    )


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
    assert ranking.attrs["redrawn"] == 1
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
    random, hits, rounds = np.random.default_rng(0), 0, 150
    for seed in range(rounds):
        weights = random.exponential(size=40)
        found = summarize_ranks(random.standard_normal((40, 1)), seed=seed, resamples=400, weights=weights)
        hits += bool(found.lower[0] <= 0 <= found.upper[0])
    assert 0.89 <= hits / rounds <= 0.99


@pytest.mark.parametrize("kind", ["normal", "unequal", "skewed", "weighted", "constant"])
def test_nothing_is_found_where_there_is_nothing(kind: str) -> None:
    """Of many worlds without a difference at most one in twenty has any subgroup that is called different."""
    called, rounds = 0, 200
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
    assert found["untreated_draw"].sel(patient="P4").std() == 0  # it is, and there is no second process
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
        (lambda c: c.assign(k_two=("patient", np.ones(36), {"role": "value"})), {"n_draws": 2}, "nothing is left"),
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
