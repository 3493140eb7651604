"""Ranking of targets on small models whose order is known by construction."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import antimony
import numpy as np
import pytest
import xarray as xr

import cascade
from cascade.arms import beyond
from cascade.catalogue import library_folder
from cascade.errors import AnalysisError, TableError, UnknownNameError
from cascade.ranking import ranking_table
from cascade.specs import Model, Parameter
from cascade.target_table import COLUMNS, Target, parse_acts, read_targets, resolve_acts
from cascade.targets import rank_targets

# A hazard that is a weighted sum: blocking 90 % of w_a removes 0.9 w_a / (w_a + w_b + w_c + w_d) of it, exactly.
SUM = """
model risk()
  h' = w_a + w_b + w_c + w_d; h = 0;
  w_a = 4; w_b = 2; w_c = 2; w_d = 0.1; k_unused = 1; x' = k_unused; x = 0;
end
"""

# Surgery at day 100; afterwards the hazard runs with k_after. k_before matters only until then.
SURGERY = """
model patient()
  primary_tumor__n' = k_before; primary_tumor__n = 0;
  primary_tumor__t_surgery = 1e6; f_resected = 0;
  at (primary_tumor__n >= n_operable), t0=false: f_resected = 1, primary_tumor__t_surgery = time;
  endpoints__h_since_surgery' = f_resected*k_after; endpoints__h_since_surgery = 0;
  k_before = 1; k_after = 1e-4; n_operable = 100;
end
"""


def build(text: str, uncertain: dict[str, float], units: dict[str, str] | None = None) -> Model:
    """A model from Antimony; `uncertain` gives the fold range of log-normal priors around the nominal value."""
    antimony.clearPreviousLoads()
    assert antimony.loadAntimonyString(text) >= 0, antimony.getLastError()
    sbml = antimony.getSBMLString(antimony.getMainModuleName())
    import libsbml

    document = libsbml.readSBMLFromString(sbml)
    model = document.getModel()
    model.setTimeUnits("day")
    day = model.createUnitDefinition()
    day.setId("day")
    unit = day.createUnit()
    unit.setKind(libsbml.UNIT_KIND_SECOND)
    unit.setMultiplier(86400)
    unit.setExponent(1)
    unit.setScale(0)
    rows, ids = [], {}
    for parameter in model.getListOfParameters():
        name = parameter.getId()
        parameter.setUnits((units or {}).get(name, "dimensionless"))
        ids[name] = name
        if parameter.getConstant():
            rows.append(row(name, parameter.getValue(), uncertain.get(name, 0.0)))
    flat = libsbml.writeSBMLToString(document)
    return Model(name=model.getId(), flat=flat, parameters=tuple(rows), ids=ids, instances={"risk": "risk"})


def row(name: str, value: float, fold: float) -> Parameter:
    if not fold:
        return Parameter(id=name, name=name, nominal=value, unit="dimensionless")
    return Parameter(
        id=name, name=name, nominal=value, lower=value / fold, upper=value * fold, estimate=True, prior="log-normal",
        prior_parameters=(math.log(value), math.log(fold) / 2), unit="dimensionless", evidence="assumed",
    )  # fmt: skip


def block(*names: str, sign: str = "-") -> list[Target]:
    return [Target(target=f"t_{name}", name=f"block {name}", acts_on=parse_acts(f"{name}:{sign}")) for name in names]


@pytest.fixture(scope="module")
def risk() -> Model:
    return build(SUM, {"w_a": 1.3, "w_b": 1.3, "w_c": 1.3, "w_d": 1.3})


@pytest.fixture(scope="module")
def ranking(risk: Model) -> xr.Dataset:
    targets = block("w_d", "w_c", "w_a", "w_b")
    return rank_targets(risk, "final:h", targets=targets, samples=60, years=1, seed=3, workers=1)


def test_known_order_is_found_with_confidence(ranking: xr.Dataset) -> None:
    assert list(ranking["target"].values[[0, 3]]) == ["t_w_a", "t_w_d"]
    main = ranking.sel(window="lifelong")
    assert main["rank"].values[[0, 3]].tolist() == [1, 4]
    assert main["rank_lower"].values[0] == main["rank_upper"].values[0] == 1
    assert main["group"].values.tolist() == [1, 2, 2, 3]  # b and c have the same weight: tied
    assert main["rank_upper"].values[1] == 3 and main["rank_lower"].values[2] == 2
    assert ranking.attrs["window"] == "lifelong"  # without a surgery there is no adjuvant window


def test_table_reads_in_the_order_of_the_ranks(ranking: xr.Dataset) -> None:
    table = ranking_table(ranking)
    assert list(table.index) == sorted(table.index) and len(table) == ranking.sizes["target"]
    assert (table["95 % from"] <= table["effect"]).all() and (table["effect"] <= table["95 % to"]).all()
    best = ranking["rank"].sel(window=ranking.attrs["window"]).argmin("target")
    assert table.iloc[0]["target"] == str(ranking["target_name"][int(best)].item())
    with pytest.raises(UnknownNameError, match="no window 'never'"):
        ranking_table(ranking, "never")


def test_effect_of_a_block_is_exact(ranking: xr.Dataset) -> None:
    nominal = ranking["nominal_effect"].sel(target="t_w_a", window="lifelong").item()
    assert nominal == pytest.approx(math.log(1 - 0.9 * 4 / 8.1), rel=1e-5)
    assert ranking["failed_share"].max() == 0
    main = ranking.sel(window="lifelong")
    assert (main["effect_lower"] <= main["effect_mean"]).all() and (main["effect_mean"] <= main["effect_upper"]).all()
    assert main["p_relevant"].values.tolist() == [1.0, 1.0, 1.0, 0.0]


def test_morris_agrees_with_the_weights(ranking: xr.Dataset) -> None:
    star = ranking["mu_star"]
    assert list(star["parameter"].values) == ["w_a", "w_b", "w_c", "w_d"]
    assert star.sel(parameter="w_a") > star.sel(parameter="w_b") > star.sel(parameter="w_d")
    assert list(ranking["evidence"].values) == ["assumed"] * 4
    assert ranking.attrs["morris_effects_used"] == 8 * 4


def test_a_target_that_does_nothing_has_exactly_no_effect(risk: Model) -> None:
    found = rank_targets(
        risk, "final:h", targets=block("w_a", "k_unused"), samples=10, years=1, morris_trajectories=0, workers=1
    )
    none = found.sel(target="t_k_unused", window="lifelong")
    assert none["effect_mean"] == 0 and none["effect_upper"] == 0 and none["p_relevant"] == 0
    assert "mu_star" not in found


def test_boost_multiplies_by_one_plus_fraction(risk: Model) -> None:
    targets = [*block("w_a", sign="+"), *block("w_b")]
    found = rank_targets(
        risk, "final:h", targets=targets, fraction=0.5, samples=10, years=1, morris_trajectories=0, workers=1
    )
    assert found["target"].values.tolist() == ["t_w_b", "t_w_a"]  # boosting a hazard harms: last
    boost = found["nominal_effect"].sel(target="t_w_a", window="lifelong").item()
    assert boost == pytest.approx(math.log(1 + 0.5 * 4 / 8.1), rel=1e-5)


def test_one_target_may_act_on_several_constants(risk: Model) -> None:
    both = Target(target="both", name="both", acts_on=parse_acts("w_b:-;w_c:-"))
    found = rank_targets(
        risk, "final:h", targets=[both, *block("w_a")], samples=40, years=1, morris_trajectories=0, workers=1
    )
    assert found["nominal_effect"].sel(window="lifelong").values == pytest.approx(
        [math.log(1 - 3.6 / 8.1)] * 2, rel=1e-5
    )
    assert found["group"].sel(window="lifelong").values.tolist() == [1, 1]


def test_same_seed_same_numbers_and_seed_zero_counts(risk: Model) -> None:
    options = {"targets": block("w_a", "w_b"), "samples": 12, "years": 1, "morris_trajectories": 3, "workers": 1}
    first, again = (rank_targets(risk, "final:h", seed=0, **options) for _ in range(2))
    assert first.identical(again)
    other = rank_targets(risk, "final:h", seed=1, **options)
    assert not np.array_equal(first["untreated"].values, other["untreated"].values)


@pytest.fixture(scope="module")
def operated() -> xr.Dataset:
    units = {"primary_tumor__t_surgery": "day"}
    model = build(SURGERY, {"k_before": 4.0, "k_after": 2.0}, units)
    return rank_targets(
        model, "p_overt_5y", targets=block("k_before", "k_after"), samples=40, years=6, seed=1, workers=1,
        morris_trajectories=6, fraction=0.8,
        windows=["lifelong", "prevention", "metastatic", (0, 300, "primary_tumor__t_surgery")],
    )  # fmt: skip


def test_adjuvant_treatment_acts_after_surgery_only(operated: xr.Dataset) -> None:
    assert operated.attrs["window"] == "adjuvant"
    adjuvant = operated.sel(window="adjuvant")
    assert adjuvant["nominal_effect"].sel(target="t_k_before") == 0
    hazard = 1e-4 * 5 * 365.25
    change = math.exp(-hazard) - math.exp(-0.2 * hazard)
    assert adjuvant["nominal_effect"].sel(target="t_k_after").item() == pytest.approx(change, rel=1e-3)
    ratio = adjuvant["hazard_ratio_median"].sel(target="t_k_after").item()
    assert ratio == pytest.approx(0.2, rel=1e-3)


def test_windows_act_when_they_say(operated: xr.Dataset) -> None:
    after = operated["nominal_effect"].sel(target="t_k_after")
    assert after.sel(window="prevention") == 0  # it ends with the operation, before the hazard begins
    assert after.sel(window="lifelong").item() == pytest.approx(after.sel(window="adjuvant").item(), rel=1e-3)
    hazard = 1e-4 * 5 * 365.25
    early = math.exp(-hazard) - math.exp(-hazard + 0.8 * 1e-4 * 300)
    assert after.sel(window="day 0 to 300 after primary_tumor__t_surgery").item() == pytest.approx(early, rel=1e-3)
    # Of the recurrences within the horizon, half have come by the start of the metastatic window.
    horizon = 1e-4 * (6 * 365.25 - 100)
    start = -math.log1p(-0.5 * -math.expm1(-horizon)) / 1e-4
    late = math.exp(-hazard) - math.exp(-hazard + 0.8 * 1e-4 * (5 * 365.25 - start))
    assert after.sel(window="metastatic").item() == pytest.approx(late, rel=2e-3)


def test_prevention_ends_at_the_own_operation(operated: xr.Dataset) -> None:
    # Growth at a fifth puts surgery off to day 500 in the nominal patient: five years later is day 2,326 of 2,191.
    reason = operated["reason"].sel(window="prevention", target="t_k_before", patient=0)
    assert "horizon ends" in str(reason.item())


def test_other_doses_and_the_reverse_are_told(operated: xr.Dataset) -> None:
    main = operated.sel(target="t_k_after")
    assert operated["fraction"].values.tolist() == [0.5, 0.8]
    assert main["dose_effect"].values[0] > main["dose_effect"].values[1]  # a larger dose averts more
    assert main["dose_effect"].values[1] == main["effect_mean"].sel(window="adjuvant").item()
    assert main["opposite_effect"] > 0 and main["opposite_reason"] == "ok"
    assert operated["opposite_effect"].sel(target="t_k_before") == 0


def test_the_share_of_assumed_numbers_is_told(operated: xr.Dataset) -> None:
    share = operated["assumed_share"].sel(target="t_k_after")  # k_after alone decides, and it is assumed
    assert (
        operated["assumed_share_lower"].sel(target="t_k_after")
        <= 1
        <= operated["assumed_share_upper"].sel(target="t_k_after")
    )
    assert share == pytest.approx(1, abs=0.5)
    assert operated.attrs["verdict_pairs"] > 20


def test_patients_without_surgery_are_missing_with_a_reason(operated: xr.Dataset) -> None:
    lifelong = operated.sel(window="lifelong", target="t_k_before")
    # 80 % slower growth postpones surgery from day 100 to day 500 or later: too late for five years of follow-up.
    assert lifelong["missing_share"] > 0.5
    assert np.isnan(lifelong["rank"])
    reasons = json.loads(operated.attrs["reasons"])
    assert reasons["the horizon ends less than 5 years after surgery"] == int(
        (operated["reason"].isel(patient=slice(1, None)) == "the horizon ends less than 5 years after surgery").sum()
    )


def test_result_can_be_written_and_read(operated: xr.Dataset, tmp_path: Path) -> None:
    operated.to_netcdf(tmp_path / "ranking.nc")
    with xr.open_dataset(tmp_path / "ranking.nc") as back:
        assert back["target"].values.tolist() == operated["target"].values.tolist()
        assert back.attrs["seed"] == 1


def test_wrong_questions_are_answered_in_words(risk: Model) -> None:
    ask = {"targets": block("w_a", "w_b"), "samples": 10, "years": 1, "workers": 1}
    with pytest.raises(AnalysisError, match="fraction is 90"):
        rank_targets(risk, "final:h", **ask, fraction=90)
    with pytest.raises(AnalysisError, match="at least 10 patients"):
        rank_targets(risk, "final:h", **(ask | {"samples": 3}))
    with pytest.raises(UnknownNameError, match="no readout 'final'"):
        rank_targets(risk, "final", **ask)
    with pytest.raises(UnknownNameError, match="no symbol 'w_z'"):
        rank_targets(risk, "final:h", **(ask | {"targets": block("w_z")}))
    with pytest.raises(UnknownNameError, match="no window 'adjuvant'"):
        rank_targets(risk, "final:h", **ask, window="adjuvant")
    with pytest.raises(AnalysisError, match="given twice"):
        rank_targets(risk, "final:h", **(ask | {"targets": block("w_a", "w_a")}))


# ---- the table


def write(path: Path, *rows: str) -> Path:
    file = path / "targets.tsv"
    file.write_text("\n".join(["\t".join(COLUMNS), *rows]) + "\n")
    return file


def test_table_reports_every_mistake_with_its_line(tmp_path: Path) -> None:
    good = "a\tA\tdrug\tG1;G2\tmod.k_x:-;mod.k_y:+\tvessels\t\t\tkey2020\t"
    assert read_targets(write(tmp_path, good))[0].genes == ("G1", "G2")
    with pytest.raises(TableError) as caught:
        read_targets(
            write(tmp_path, good, good, "b\tB\t\t\tmod.k_x\tvessels\t\t\t\t", "c\tC\t\t\tm.k:-\theart\t\t\t\t")
        )
    assert "line 3: target 'a' stands twice" in str(caught.value)
    assert "line 4: acts_on entry 'mod.k_x'" in str(caught.value)
    assert "line 5: target 'c': stage is 'heart'" in str(caught.value)
    with pytest.raises(TableError, match="the header must be"):
        (tmp_path / "x.tsv").write_text("target\n")
        read_targets(tmp_path / "x.tsv")


def test_module_means_all_its_instances(risk: Model) -> None:
    ids = {"bone.k": "bone__k", "lung.k": "lung__k", "bone__k": "bone__k", "lung__k": "lung__k"}
    rows = tuple(row(name, 1.0, 0.0) for name in ("bone__k", "lung__k"))
    model = Model(name="m", flat="", parameters=rows, ids=ids, instances={"bone": "organ", "lung": "organ"})

    def acts(text: str) -> list[str]:
        return [name for name, _ in resolve_acts(Target(target="t", name="t", acts_on=parse_acts(text)), model)]

    assert acts("organ.k:-") == ["bone__k", "lung__k"]
    assert acts("lung.k:-") == ["lung__k"]
    assert acts("kidney.k:-") == []
    with pytest.raises(UnknownNameError, match=r"no constant 'bone\.q'"):
        acts("organ.q:-")
    with pytest.raises(TableError, match="both blocks and boosts"):
        acts("organ.k:-;bone.k:+")


@pytest.mark.skipif(not (library_folder() / "targets.tsv").is_file(), reason="table not shipped")
def test_shipped_table_covers_the_cascade() -> None:
    targets = read_targets()
    assert len(targets) >= 27
    assert {"signaling", "vessels", "immunity", "circulation", "niche", "dormancy"} <= {t.stage for t in targets}


@pytest.fixture(scope="module")
def breast() -> Model:
    import cascade

    return cascade.compose(cascade.load_composition("breast"))


def test_every_shipped_target_acts_on_the_breast_model(breast: Model) -> None:
    acts = {target.target: resolve_acts(target, breast) for target in read_targets()}
    assert [name for name, found in acts.items() if not found] == []
    assert acts["cxcr4"] == (("organs__r_cxcr4", "-"),)
    assert ("bone__l_rankl", "-") in acts["rankl"]


def test_every_source_of_the_shipped_table_is_in_the_bibliography() -> None:
    path = library_folder() / "references.bib"
    if not path.is_file():
        pytest.skip("bibliography not shipped")
    known = set(re.findall(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", path.read_text(), re.MULTILINE))
    assert {key for target in read_targets() for key in target.source} <= known


@pytest.mark.slow
def test_breast_model_ranks_vessels_above_lymphatic_entry(breast: Model) -> None:
    found = rank_targets(breast, targets=["kdr", "flt4"], samples=10, years=15, morris_trajectories=0, seed=1)
    assert found["target"].values.tolist() == ["kdr", "flt4"]
    assert found.attrs["failed_runs"] == 0
    after = found.sel(window="adjuvant")
    assert after["effect_upper"].sel(target="kdr") < 0
    assert after["effect_mean"].sel(target="flt4") == 0  # nothing enters the lymph once the tumor is out


def test_a_share_of_a_whole_is_not_raised_above_one() -> None:
    """1.5 times 96 % of methyl groups kept in a division grew without bound, and every such run hit the time limit."""
    breast = cascade.compose(cascade.load_composition("breast_lite"))
    targets = {target.target: target for target in read_targets()}
    assert "cannot rise" in beyond(resolve_acts(targets["dnmt"], breast), breast, 0.5)
    assert beyond(resolve_acts(targets["kdr"], breast), breast, 0.5) == ""
