"""Combinations of targets on small models whose synergy is known by construction."""

from __future__ import annotations

import json
import math
from pathlib import Path

import antimony
import libsbml
import numpy as np
import pytest
import xarray as xr

from cascade.combinations import combination_table, combine_targets
from cascade.errors import AnalysisError, UnknownNameError
from cascade.specs import Model, Parameter
from cascade.target_table import Target, parse_acts

# Hazards: of three independent factors; of two routes of which either suffices; of two steps in series.
FACTORS = "model factors()\n h' = k_a*k_b*k_c; h = 0; k_a = 1; k_b = 2; k_c = 0.5;\nend"
ROUTES = "model routes()\n h' = k_a + k_b - k_a*k_b; h = 0; k_a = 0.9; k_b = 0.8;\nend"
SERIES = "model series()\n h' = k_a*k_b/(k_a + k_b); h = 0; k_a = 1; k_b = 1;\nend"
# Two factors, and a root that has no value once k_x has used up what there is: the run fails on day 1 / k_x.
FAILS = """
model fails()
  y' = k_x; y = 0; k_x = 0.002;
  h' = k_a*k_b*(1 + 1e-9*sqrt(1 - y)); h = 0; k_a = 1; k_b = 2;
end
"""
RUN = {"readout": "final:h", "years": 1, "workers": 1}


def build(text: str, fold: float = 1.2) -> Model:
    """A model from Antimony; every constant has a log-normal prior within this fold range of its value."""
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(text) >= 0, antimony.getLastError()
    document = libsbml.readSBMLFromString(antimony.getSBMLString(antimony.getMainModuleName()))
    model = document.getModel()
    model.setTimeUnits("day")
    day = model.createUnitDefinition()
    day.setId("day")
    unit = day.createUnit()
    unit.setKind(libsbml.UNIT_KIND_SECOND)
    unit.setMultiplier(86400)
    unit.setExponent(1)
    unit.setScale(0)
    rows = []
    for parameter in model.getListOfParameters():
        parameter.setUnits("dimensionless")
        if parameter.getConstant():
            name, value = parameter.getId(), parameter.getValue()
            rows.append(
                Parameter(
                    id=name, name=name, nominal=value, lower=value / fold, upper=value * fold, estimate=True,
                    prior="log-normal", prior_parameters=(math.log(value), math.log(fold) / 2), unit="dimensionless",
                )
            )  # fmt: skip
    ids = {parameter.getId(): parameter.getId() for parameter in model.getListOfParameters()}
    flat = libsbml.writeSBMLToString(document)
    return Model(name=model.getId(), flat=flat, parameters=tuple(rows), ids=ids, instances={})


def drug(name: str, acts: str) -> Target:
    return Target(target=name, name=f"drug {name}", acts_on=parse_acts(acts), stage="niche")


A, B, C = drug("a", "k_a:-"), drug("b", "k_b:-"), drug("c", "k_c:-")
TWIN = drug("twin", "k_a:-")


@pytest.fixture(scope="module")
def factors() -> xr.Dataset:
    """Three independent drugs and the twin of one, in pairs and triples."""
    return combine_targets(build(FACTORS), [A, B, C, TWIN], order=3, samples=12, **RUN)


def test_a_drug_with_itself_is_additive_by_loewe_everywhere(factors: xr.Dataset) -> None:
    index = factors["grid_loewe"].sel(pair="a + twin")
    assert np.abs(index - 1).max() < 1e-6
    assert (factors["grid_reason_loewe"].sel(pair="a + twin") == "ok").all()
    assert np.abs(factors["loewe"].sel(combination="a + twin") - 1).max() < 1e-6
    assert (factors["verdict_loewe"].sel(combination="a + twin") == "additive").all()
    # Doses at one site add: 1 and 1 leave a third, where independent drugs would leave a quarter.
    bliss = factors["grid_bliss"].sel(pair="a + twin", dose_first=1, dose_second=1)
    assert bliss.item() == pytest.approx(1 / 4 - 1 / 3, rel=1e-5)
    assert (factors["verdict"].sel(combination="a + twin") == "antagonism").all()


def test_a_combination_with_a_twin_is_the_drug_at_twice_the_dose(factors: xr.Dataset) -> None:
    effect = factors["grid_effect"].sel(pair="a + twin", dose_first=1, dose_second=1).item()
    assert effect == pytest.approx(1 - 1 / 3, rel=1e-6)
    curve = factors["curve"]
    assert (curve.sel(target="a").values == curve.sel(target="twin").values).all()  # the same runs


def test_independent_factors_have_no_bliss_excess(factors: xr.Dataset) -> None:
    for pair in ("a + b", "a + c", "b + c"):
        assert np.abs(factors["grid_bliss"].sel(pair=pair)).max() < 1e-6
        assert np.abs(factors["bliss"].sel(combination=pair)).max() < 1e-6
        assert (factors["verdict"].sel(combination=pair) == "additive").all()
    # Each leaves 1/(1+d), both 1/(1+d)²: the same from one drug takes d² + 2d, so the index is 2/(2 + d).
    index = factors["grid_loewe"].sel(pair="a + b", dose_first=3, dose_second=3)
    assert index.item() == pytest.approx(2 / 5, rel=1e-4)
    assert (factors["verdict_loewe"].sel(combination="a + b") == "synergy").all()


def test_three_independent_drugs(factors: xr.Dataset) -> None:
    three = factors.sel(combination="a + b + c", dose=1)
    assert three["size"] == 3
    assert np.abs(three["bliss"]).max() < 1e-6
    assert three["effect_mean"].item() == pytest.approx(7 / 8, rel=1e-5)
    assert three["hsa_mean"].item() == pytest.approx(7 / 8 - 1 / 2, rel=1e-5)
    assert three["gain_mean"].item() == pytest.approx(7 / 8 - 3 / 4, rel=1e-5)  # over the best pair
    mixed = factors.sel(combination="a + b + twin", dose=1)  # 1/3 of one factor, 1/2 of the other
    assert mixed["effect_mean"].item() == pytest.approx(5 / 6, rel=1e-5)
    assert mixed["gain_mean"].item() == pytest.approx(5 / 6 - 3 / 4, rel=1e-5)


def test_three_times_one_drug_is_additive_by_loewe() -> None:
    found = combine_targets(build(FACTORS), [A, TWIN, drug("third", "k_a:-")], order=3, samples=10, **RUN)
    three = found.sel(combination="a + twin + third")
    assert np.abs(three["loewe"] - 1).max() < 1e-6
    assert three["effect_mean"].values == pytest.approx([3 / 4, 27 / 28], rel=1e-5)


def test_two_routes_of_which_either_suffices_are_synergistic() -> None:
    found = combine_targets(build(ROUTES), [A, B], samples=12, **RUN)
    a, b = 0.9, 0.8

    def hazard(x: float, y: float) -> float:
        return a * x + b * y - a * b * x * y

    grid = found.sel(pair="a + b")
    one, two, both = hazard(0.5, 1), hazard(1, 0.5), hazard(0.5, 0.5)
    expected = one * two / hazard(1, 1) ** 2 - both / hazard(1, 1)
    assert grid["grid_bliss"].sel(dose_first=1, dose_second=1).item() == pytest.approx(expected, rel=1e-4)
    assert expected > 0.01 and (grid["grid_bliss"] > 0).all()
    assert (found["bliss_lower"] > 0).all() and (found["verdict"] == "synergy").all()
    # No dose of one drug reaches what both do: there is no index, and it is said why.
    reached = found["reason_loewe"].sel(combination="a + b", dose=9)
    assert set(reached.values) == {"a alone does not reach the effect at any dose"}
    assert np.isnan(found["loewe_mean"].sel(dose=9)).all() and (found["verdict_loewe"].sel(dose=9) == "no result").all()
    assert json.loads(found.attrs["reasons"])["reason_loewe"]


def test_two_steps_in_series_are_antagonistic() -> None:
    found = combine_targets(build(SERIES), [A, B], samples=12, **RUN)
    left = 0.1
    one, both = left / (1 + left) * 2, left
    bliss = found["grid_bliss"].sel(pair="a + b", dose_first=9, dose_second=9).item()
    assert bliss == pytest.approx(one**2 - both, rel=1e-4) and bliss < -0.06
    assert (found["bliss_upper"] < 0).all() and (found["verdict"] == "antagonism").all()


def test_boosting_what_protects_and_blocking_what_harms_are_told_apart() -> None:
    """One drug blocks a constant that another boosts: they do not compete, and the booster harms."""
    found = combine_targets(build(FACTORS), [A, drug("boost", "k_a:+")], samples=10, **RUN)
    assert found["alone"].sel(target="boost", dose=1).values == pytest.approx(-0.5, rel=1e-5)
    assert found["effect_mean"].sel(combination="a + boost", dose=1).item() == pytest.approx(1 - 0.5 * 1.5, rel=1e-5)
    assert np.abs(found["bliss"].sel(combination="a + boost")).max() < 1e-6
    assert list(found["action"].values) == ["blocked", "boosted"]
    assert set(found["reason_loewe"].sel(dose=1).values.ravel()) == {"boost alone has no effect"}


def test_failed_runs_are_missing_with_a_reason_and_poison_nothing() -> None:
    model = build(FAILS)
    found = combine_targets(model, [A, B, drug("x", "k_x:+")], samples=30, patient_doses=(0.5, 9.0), **RUN)
    assert int(found.attrs["failed_runs"]) > 0
    assert not found["missing_share"].sel(combination="a + b").any()
    assert np.abs(found["bliss"].sel(combination="a + b")).max() < 1e-6
    always = found.sel(combination="a + x", dose=9)  # 1.9 x 0.002 per day: used up before the year is over
    assert always["missing_share"] == 1 and np.isnan(always["bliss_mean"]) and always["verdict"] == "no result"
    assert all("run failed" in text for text in always["reason"].values)
    some = found.sel(combination="a + x", dose=0.5)
    share = float(some["missing_share"])
    assert 0 < share < 1
    values = some["effect"].values[1:]
    expected = np.nanmean(values) if share <= 0.2 else np.nan
    assert some["effect_mean"].item() == pytest.approx(expected, nan_ok=True)
    assert (np.isnan(some["effect"]) == (some["reason"] != "ok")).all()
    grid = found.sel(pair="a + x", dose_first=1, dose_second=9)
    assert "run failed" in grid["grid_reason"].item() and np.isnan(grid["grid_loewe"])
    assert grid["grid_reason_loewe"].item() == "the combination has no result"
    counted = json.loads(found.attrs["reasons"])
    assert sum(counted["reason"].values()) == int((found["reason"] != "ok").sum())


def test_few_failures_leave_the_mean_of_the_others() -> None:
    found = combine_targets(
        build(FAILS), [A, drug("x", "k_x:+")], samples=40, patient_doses=(0.3,), doses=(1.0,), **RUN
    )
    some = found.sel(combination="a + x").isel(dose=0)
    assert 0 < float(some["missing_share"]) < 0.2
    known = some["effect"].values[1:][np.isfinite(some["effect"].values[1:])]
    assert some["effect_mean"].item() == pytest.approx(known.mean(), rel=1e-12)
    assert some["effect_mean"].item() == pytest.approx(1 - 1 / 1.3, rel=1e-4)


def test_table_lists_the_most_effective_first(factors: xr.Dataset) -> None:
    table = combination_table(factors)
    assert list(table["effect"]) == sorted(table["effect"], reverse=True)
    assert table.index[0] == "a + b + c"
    assert (table["bliss from"] <= table["bliss"]).all() and (table["bliss"] <= table["bliss to"]).all()
    half = combination_table(factors, dose=1)
    assert half.loc["a + b", "effect"] == pytest.approx(0.75, rel=1e-5)
    with pytest.raises(UnknownNameError, match="no dose '2'"):
        combination_table(factors, dose=2)


def test_same_seed_same_numbers_and_without_patients_there_is_no_verdict(factors: xr.Dataset) -> None:
    again = combine_targets(build(FACTORS), [A, B, C, TWIN], order=3, samples=12, **RUN)
    assert again.identical(factors)
    nominal = combine_targets(build(FACTORS), [A, B], samples=0, **RUN)
    assert "verdict" not in nominal
    assert nominal["grid_effect"].sel(pair="a + b").values == pytest.approx(
        factors["grid_effect"].sel(pair="a + b").values, rel=1e-9
    )
    with pytest.raises(AnalysisError, match="no sampled patients"):
        combination_table(nominal)


def test_result_can_be_written_and_read(factors: xr.Dataset, tmp_path: Path) -> None:
    factors.to_netcdf(tmp_path / "combinations.nc")
    with xr.open_dataset(tmp_path / "combinations.nc") as back:
        assert back["verdict"].sel(combination="a + b", dose=1).item() == "additive"
        assert back.attrs["runs"] == factors.attrs["runs"]


def test_number_of_runs_is_what_is_said(factors: xr.Dataset) -> None:
    """Equal arms are one run: those of the twin, and pairs and triples in which only the twin differs."""
    said = (4 * 41 + 6 * 25 + 1) + 13 * (4 * 12 + 10 * 2 + 1)
    assert 0.6 * said < factors.attrs["runs"] < said


def test_wrong_questions_are_answered_in_words() -> None:
    model = build(FACTORS)
    ask = {**RUN, "samples": 0}
    with pytest.raises(AnalysisError, match="1 targets make no combination of 2"):
        combine_targets(model, [A], **ask)
    with pytest.raises(AnalysisError, match="order is 4"):
        combine_targets(model, [A, B], order=4, **ask)
    with pytest.raises(AnalysisError, match="given twice"):
        combine_targets(model, [A, A], **ask)
    with pytest.raises(AnalysisError, match="doses are"):
        combine_targets(model, [A, B], doses=(0.0, 1.0), **ask)
    with pytest.raises(AnalysisError, match="at least 10 patients"):
        combine_targets(model, [A, B], **(ask | {"samples": 3}))
    with pytest.raises(AnalysisError, match="margin is 1"):
        combine_targets(model, [A, B], margin=1, **ask)
    with pytest.raises(UnknownNameError, match="no target 'kdrr'"):
        combine_targets(model, ["kdrr", B], **ask)
    with pytest.raises(UnknownNameError, match="no window 'adjuvant'"):
        combine_targets(model, [A, B], window="adjuvant", **ask)
    with pytest.raises(UnknownNameError, match="no symbol 'k_z'"):
        combine_targets(model, [A, drug("z", "k_z:-")], **ask)
