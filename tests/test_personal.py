"""Who benefits: planted truths in a small world with closed forms."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from worlds import FIVE, RUN, TARGETS, TEN, Make, people, risk, world_of

from cascade._report_people import people_context, people_figures
from cascade.errors import AnalysisError, CascadeError, UnknownNameError
from cascade.personal_ranking import best_counts, personal_ranking
from cascade.specs import Model
from cascade.subgroup_effects import subgroup_effects
from cascade.subgroups import subgroups_of
from cascade.targets import rank_targets


@pytest.fixture(scope="module")
def world(make_model: Make) -> Model:
    return world_of(make_model)


@pytest.fixture(scope="module")
def cohort() -> xr.Dataset:
    return people(36)


@pytest.fixture(scope="module")
def ranking(world: Model, cohort: xr.Dataset) -> xr.Dataset:
    subgroups = ["gene gain", "diameter_mm > 20"]
    return rank_targets(world, "p_overt_5y", targets=TARGETS, patients=cohort, subgroups=subgroups, n_draws=24, **RUN)


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


def test_plots_of_who_benefits(ranking: xr.Dataset, cohort: xr.Dataset) -> None:
    from cascade import plot_personal

    effects = subgroup_effects(ranking, subgroups_of(cohort, ["gene gain"]))
    axis = plot_personal.effect_map(effects)
    # Carriers have the planted effect; and since their hazard has a second part, blocking the first changes less of it.
    assert len(axis.patches) == 2 and effects["different"].sel(subgroup="gene gain").sum() == 2
    assert (
        [each.get_linestyle() == "-" for each in axis.patches]
        == effects["different_effect"].sel(subgroup="gene gain", target=["t_k_one", "t_k_two"]).values.tolist()
        == [False, True]
    )
    assert effects["effect_p_holm"].sel(subgroup="gene gain", target="t_k_one") > 0.05
    assert plot_personal.subgroups(effects, "t_k_two").get_title(loc="left") == "block k_two"
    best = plot_personal.best_targets(personal_ranking(ranking))
    assert sum(bar.get_width() for bar in best.patches) == pytest.approx(100)
    with pytest.raises(UnknownNameError, match="t_three"):
        plot_personal.subgroups(effects, "t_three")


def test_a_report_over_a_cohort_says_who_the_patients_are_and_who_benefits(ranking: xr.Dataset, world: Model) -> None:
    found = people_context(world, ranking)
    assert found["sampled"].startswith("36 of 36 people of a cohort") and "drawn anew 24 times" in found["sampled"]
    assert "block k_one" in found["people"]["best"] and found["people"]["tests"] == 2 * 3 * 2
    rows = {(row["group"], row["target"]): row for row in found["people"]["subgroups"]}
    assert len(rows) == 9 and rows["gene gain", "block k_two"]["different"] == "yes"
    assert rows["gene gain", "block k_one"]["different"] == "hazard ratio only"
    assert rows["all", "block k_idle"]["needed"] == "–"
    assert set(people_figures(ranking)) == {"best", "subgroups"}
    plain = ranking.assign_attrs({"samples": 10})
    del plain.attrs["cohort"]
    assert "priors of 4 uncertain" in people_context(world, plain)["sampled"] and not people_figures(plain)
