"""Drugs at their clinical doses are ranked beside ideal targets: against closed forms, and by their timing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from drug_folders import make_drug

import cascade
from cascade import verdict
from cascade.drug_arms import BEFORE, drug_model, regimens_of
from cascade.errors import AnalysisError, DrugError, UnknownNameError
from cascade.ranking import ranking_table
from cascade.report import write_report
from cascade.specs import Model
from cascade.target_table import Target, parse_acts
from cascade.targets import rank_targets

Make = Callable[..., Model]

# Surgery at day 400; afterwards the hazard runs with k_after, before it seeds with k_before. Drugs lower the one or the
# other, as ideal targets do.
PATIENT = """
primary_tumor__n' = 1; primary_tumor__n = 0; primary_tumor__t_planned = 1e6; n_operable = 400;
primary_tumor__t_surgery = 1e6; operated = 0;
E1: at (primary_tumor__n >= n_operable), t0=false: operated = 1, primary_tumor__t_surgery = time;
E2: at (time >= primary_tumor__t_planned), t0=false: operated = 1, primary_tumor__t_surgery = time;
met__a_after = 0; met__a_before = 0; k_after = 1e-4; k_before = 1e-4;
endpoints__h_since_surgery = 0; endpoints__h_since_surgery' = operated*(k_after*(1 - met__a_after) + k_late*seeded);
seeded = 0; seeded' = (1 - operated)*k_before*(1 - met__a_before); k_late = 2e-3;
"""
RUN = {"samples": 12, "years": 7, "seed": 1, "workers": 1, "morris_trajectories": 0, "assumed_pairs": 0}
WEEKLY = '[regimens.weekly]\ntitle = "weekly"\ndose = 1\nunit = "mg"\nroute = "bolus"\nevery = 7\n'
DAILY = '[regimens.daily]\ntitle = "daily"\ndose = 1\nunit = "mg"\nroute = "oral"\nevery = 1\n'
YEAR, FIVE = 365.0, 5 * 365.25


@pytest.fixture(scope="module")
def patient(make_model: Make) -> Model:
    model = make_model(PATIENT)
    names = {name.replace("__", ".", 1): name for name in model.ids if "__" in name}
    rows = tuple(
        replace(
            row, lower=row.nominal / 2, upper=row.nominal * 2, estimate=True, prior="log-normal", evidence="assumed",
            prior_parameters=(math.log(row.nominal), 0.2),
        )
        if row.id in ("k_after", "k_before")
        else row
        for row in model.parameters
    )  # fmt: skip
    flat = model.flat.replace('timeUnits="time_unit"', "")
    model = replace(model, flat=_in_days(flat), parameters=rows, ids={**model.ids, **names})
    return replace(model, instances={"met": "met", "primary_tumor": "primary_tumor", "endpoints": "endpoints"})


def _in_days(flat: str) -> str:
    """Give the days of the model their unit: windows and regimens count from them."""
    import libsbml

    from cascade import _sbml

    document = libsbml.readSBMLFromString(flat)
    model = document.getModel()
    _sbml.add_units(model, {"day"})
    model.setTimeUnits("day")
    for name in ("primary_tumor__t_surgery", "primary_tumor__t_planned"):
        model.getParameter(name).setUnits("day")
    return str(libsbml.writeSBMLToString(document))


def ideal(*names: str) -> list[Target]:
    return [
        Target(target=f"t_{n}", name=f"block {n}", stage="colonization", acts_on=parse_acts(f"{n}:-")) for n in names
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drugs at full effect while they are given, one that works after surgery and one that works before."""
    path = tmp_path_factory.mktemp("drugs")
    make_drug(path, "late_drug", port="met.a_after", ec50=1e-6, emax=0.5)
    make_drug(path, "early_drug", port="met.a_before", ec50=1e-6, emax=0.5)
    fast = {"cl_linear": 100.0, "vol_central": 10.0, "k_tumor": 20.0, "ec50": 50.0, "k_absorb": 20.0}
    make_drug(path, "tablet", "one_compartment", port="met.a_after", regimens=DAILY, spread={"cl_linear": 0.3}, **fast)
    make_drug(path, "shot", "one_compartment", port="met.a_after", regimens=WEEKLY, **fast)
    return path


@pytest.fixture(scope="module")
def ranking(patient: Model, folder: Path) -> xr.Dataset:
    return rank_targets(
        patient, "p_overt_5y", targets=ideal("k_after", "k_before"), fraction=0.5, doses=[0.9],
        drugs=[str(folder / "late_drug"), cascade.regimen(folder / "early_drug"), str(folder / "tablet")], **RUN
    )  # fmt: skip


def test_rows_tell_targets_from_drugs(ranking: xr.Dataset) -> None:
    kinds = dict(zip(ranking["target"].values.tolist(), ranking["kind"].values.tolist(), strict=True))
    drugs = {"late_drug": "drug", "early_drug": "drug", "tablet": "drug"}
    assert kinds == {"t_k_after": "target", "t_k_before": "target", **drugs}
    assert ranking["window"].values.tolist() == ["adjuvant", "neoadjuvant", "prevention", "metastatic"]
    told = json.loads(ranking.attrs["drugs"])
    assert set(told) == set(drugs) and told["tablet"]["regimen"].endswith("for 365 days, as its mean rate")
    assert told["late_drug"] == {
        "regimen": "at its stated concentration, for 365 days",
        "tier": "exposure",
        "model_sha256": told["late_drug"]["model_sha256"],
    }
    assert ranking.attrs["averaged"] == "tablet"
    assert ranking.attrs["failed_runs"] == 0
    assert ranking.attrs["runs"] == 13 + 13 * (2 * 4 + 2 + 2 + 3 * 4)  # untreated; windows, other dose, reverse; drugs


def effect(ranking: xr.Dataset, row: str, window: str) -> float:
    return float(ranking["nominal_effect"].sel(target=row, window=window))


def hazard(treated_after: float = 0.0, treated_before: float = 0.0) -> float:
    """Five years after surgery at day 400, with so many days at half the rate."""
    seeded = 1e-4 * (400 - 0.5 * treated_before)
    return 1e-4 * (FIVE - 0.5 * treated_after) + 2e-3 * seeded * FIVE


def risk_change(**treated: float) -> float:
    return math.exp(-hazard()) - math.exp(-hazard(**treated))


def test_a_course_is_exact_in_every_window(ranking: xr.Dataset) -> None:
    assert effect(ranking, "late_drug", "adjuvant") == pytest.approx(risk_change(treated_after=YEAR), rel=1e-3)
    assert effect(ranking, "t_k_after", "adjuvant") == pytest.approx(risk_change(treated_after=FIVE), rel=1e-3)
    assert effect(ranking, "early_drug", "adjuvant") == pytest.approx(0, abs=1e-7)
    # Cut at surgery, half a year after its first day; and not begun after it.
    assert effect(ranking, "early_drug", "neoadjuvant") == pytest.approx(risk_change(treated_before=180), rel=1e-3)
    assert effect(ranking, "t_k_before", "neoadjuvant") == pytest.approx(
        effect(ranking, "early_drug", "neoadjuvant"), rel=1e-3
    )
    assert effect(ranking, "late_drug", "neoadjuvant") == pytest.approx(0, abs=1e-7)
    # A year from the first cell on, while the ideal treatment lasts for all 400 days.
    assert effect(ranking, "early_drug", "prevention") == pytest.approx(risk_change(treated_before=YEAR), rel=1e-3)
    assert effect(ranking, "t_k_before", "prevention") == pytest.approx(risk_change(treated_before=400), rel=1e-3)


def test_timing_changes_the_ranks_of_the_same_drugs(ranking: xr.Dataset) -> None:
    ranks = ranking["rank"]
    after = ranks.sel(window="adjuvant")
    before = ranks.sel(window="neoadjuvant")
    assert after.sel(target="late_drug") < after.sel(target="early_drug")
    assert before.sel(target="early_drug") < before.sel(target="late_drug")
    # the hazard after surgery is constant: a year of it is a year, while an ideal treatment without end has less to do
    late, ideal_late = (ranking["effect_mean"].sel(target=name) for name in ("late_drug", "t_k_after"))
    assert float(late.sel(window="metastatic")) == pytest.approx(float(late.sel(window="adjuvant")), rel=1e-3)
    assert ideal_late.sel(window="adjuvant") < ideal_late.sel(window="metastatic") < 0


def test_numbers_of_a_drug_differ_between_patients(patient: Model, folder: Path, ranking: xr.Dataset) -> None:
    plans = regimens_of([str(folder / "tablet")], None)
    model = drug_model(patient, plans["tablet"])
    assert model.table["tablet__cl_linear"].estimate
    averted = ranking["treated"].sel(target="tablet", window="adjuvant") - ranking["untreated"]
    stated = ranking["treated"].sel(target="late_drug", window="adjuvant") - ranking["untreated"]
    share = (averted / stated).values[1:]
    assert share.std() > 0.02  # clearance differs, and with it the share of the full effect; the other drug has none
    # The others have the same effect in a patient, whatever is ranked beside them.
    alone = rank_targets(patient, "p_overt_5y", targets=[], drugs=[str(folder / "late_drug")], windows=[], **RUN)
    np.testing.assert_allclose(
        alone["treated"].sel(target="late_drug", window="adjuvant"),
        ranking["treated"].sel(target="late_drug", window="adjuvant"),
        rtol=1e-6,
    )
    assert alone["kind"].values.tolist() == ["drug"]


def test_the_mean_rate_stands_for_the_doses(patient: Model, folder: Path) -> None:
    found, course = {}, 60.0
    plans = [cascade.regimen(folder / name, stop=course) for name in ("tablet", "shot")]
    for averaged in (True, False):
        found[averaged] = rank_targets(
            patient, "p_overt_5y", targets=[], drugs=plans, averaged=averaged, windows=[], **RUN
        )
        assert found[averaged].attrs["averaged"] == ("tablet, shot" if averaged else "")
    # Half an hour of absorption and a half-life of two hours against an Emax: the mean rate is no substitute here.
    tablet = [effect(found[averaged], "tablet", "adjuvant") for averaged in (True, False)]
    assert tablet[0] < tablet[1] < 0
    dose = 1000.0  # nmol a day; the time integral of c/(50 + c) over one day, by quadrature
    days = np.linspace(0, 1, 200_001)
    ke, ka, kt = 10.0, 20.0, 20.0
    total = np.zeros_like(days)
    for n in range(8):
        t = days + n
        total += _tumor(t, ka, ke, kt) * dose / 10.0
    mean = np.trapezoid(total / (50 + total), days)
    want = math.exp(-hazard()) - math.exp(-hazard(treated_after=2 * mean * course))
    assert tablet[1] == pytest.approx(want, rel=5e-3)


def _tumor(t: np.ndarray, ka: float, ke: float, kt: float) -> np.ndarray:
    """Concentration in the tumor after one unit dose per volume: absorption, elimination, equilibration (ka = kt)."""
    assert ka == kt
    plasma = ka / (ka - ke)
    return plasma * kt * ((np.exp(-ke * t) - np.exp(-kt * t)) / (kt - ke) - t * np.exp(-kt * t))


def test_doses_of_a_window_are_counted(patient: Model, folder: Path) -> None:
    model = drug_model(patient, cascade.regimen(folder / "shot"))

    def given(begin: float, end: float, until_surgery: float = 0.0) -> float:
        values = {"treated_from": begin, "treated_until": end - BEFORE, "treated_until_surgery": until_surgery}
        run = cascade.simulate(model, values=values, years=4)
        return float(sum(run[f"shot__n_{where}"][-1] for where in ("central", "eliminated"))) / 1000.0

    assert given(100, 170) == pytest.approx(10, rel=1e-5)  # weekly; that of the last day is left out
    assert given(100, 171) == pytest.approx(11, rel=1e-5)
    assert given(100, 1e6) == pytest.approx(53, rel=1e-5)  # a year
    assert given(0, 0, until_surgery=1) == pytest.approx(53, rel=1e-5)  # surgery comes on day 400
    assert given(200, 0, until_surgery=1) == pytest.approx(29, rel=1e-5)
    assert given(1e6, 1e6) == 0


def test_assumed_numbers_and_other_columns_go_with_drugs(patient: Model, folder: Path) -> None:
    found = rank_targets(
        patient, "p_overt_5y", targets=ideal("k_after"), drugs=[str(folder / "late_drug")], windows=[], total_samples=0,
        **(RUN | {"assumed_pairs": 11}),
    )  # fmt: skip
    assert np.isfinite(found["assumed_share"]).all()
    drug = found.sel(target="late_drug")
    assert np.isnan(drug["dose_effect"]).all() and np.isnan(drug["opposite_effect"])
    assert drug["opposite_reason"] == "a drug has no reverse"
    assert np.isfinite(found["dose_effect"].sel(target="t_k_after")).all()
    assert drug["acts_on"] == "kdr" and drug["genes"] == ""


def test_the_report_says_which_is_which(patient: Model, ranking: xr.Dataset, tmp_path: Path) -> None:
    rows = verdict.rows(ranking)
    assert {row["kind"] for row in rows} == {"target", "drug"}
    said = " ".join(verdict.sentences(ranking))
    assert "Of the drugs as they are given Late_drug comes first, on rank 2" in said
    untreated = cascade.simulate(patient, years=7)
    page = write_report(tmp_path / "report", patient, ranking, untreated, "cascade rank").read_text()
    assert "Which targets and drugs lower the" in page
    assert "drug: at its stated concentration, for 365 days" in page
    assert "As their mean rate instead of single doses: tablet." in page
    table = (tmp_path / "report" / "ranking.csv").read_text()
    assert "kind" in table.splitlines()[0] and ",drug," in table
    assert ranking_table(ranking)["target"].iloc[0] == "block k_after"


def test_a_drug_that_helps_most_comes_first_in_words(patient: Model, folder: Path) -> None:
    found = rank_targets(
        patient, "p_overt_5y", targets=ideal("k_before"), drugs=[str(folder / "late_drug")], windows=[], **RUN
    )
    assert verdict.sentences(found)[0].startswith("Late_drug, at its stated concentration, for 365 days, (adjuvant)")


def test_runs_are_kept_by_drug(patient: Model, folder: Path, tmp_path: Path) -> None:
    ask = {"targets": ideal("k_after"), "drugs": [str(folder / "late_drug")], "windows": [], **RUN}
    first = rank_targets(patient, "p_overt_5y", store=tmp_path / "runs", **ask)
    parts = {path.name for path in (tmp_path / "runs").iterdir()}
    assert parts == {"untreated.zarr", "treated.zarr", "treated_late_drug.zarr"}
    again = rank_targets(patient, "p_overt_5y", store=tmp_path / "runs", resume=True, **ask)
    assert again.identical(first)


def test_one_drug_by_two_regimens(folder: Path) -> None:
    low = cascade.regimen(folder / "shot", dose=0.5)
    with pytest.raises(AnalysisError, match=r"'shot:weekly' is given twice; .*replace\(regimen, name"):
        regimens_of([str(folder / "shot"), low], None)
    plans = regimens_of([str(folder / "shot"), replace(low, name="half")], None)
    assert list(plans) == ["shot:weekly", "shot:half"]
    other = replace(low, drug=replace(low.drug, title="another"), name="half")
    with pytest.raises(AnalysisError, match="two sets of numbers"):
        regimens_of([str(folder / "shot"), other], None)


def test_wrong_questions_are_answered_in_words(patient: Model, folder: Path) -> None:
    ask = {"targets": ideal("k_after"), **RUN}
    with pytest.raises(UnknownNameError, match="no drug 'bevacizumabb'"):
        rank_targets(patient, "p_overt_5y", drugs=["bevacizumabb"], **ask)
    with pytest.raises(AnalysisError, match="give a list of names"):
        rank_targets(patient, "p_overt_5y", drugs="bevacizumab", **ask)
    with pytest.raises(AnalysisError, match="the windows of a ranking say when"):
        plan = cascade.regimen(folder / "late_drug", origin="surgery")
        rank_targets(patient, "p_overt_5y", drugs=[plan], **ask)
    make_drug(folder, "nothing", target="pd1", ec50=1.0)
    with pytest.raises(DrugError, match="acts on pd1, which model 'small' has not"):
        rank_targets(patient, "p_overt_5y", drugs=[str(folder / "nothing")], **ask)
    with pytest.raises(AnalysisError, match="names a target and a drug"):
        same = [replace(ideal("k_after")[0], target="late_drug")]
        rank_targets(patient, "p_overt_5y", drugs=[str(folder / "late_drug")], **(ask | {"targets": same}))


@pytest.mark.slow
def test_the_same_drug_ranks_by_its_timing_in_breast_cancer(tmp_path: Path) -> None:
    """A VEGF antibody of this test and a drug on the niche, before and after surgery and in metastatic disease."""
    model = cascade.compose(cascade.load_composition("breast_lite"))
    make_drug(tmp_path, "vessels", target="kdr", ec50=1.0, emax=0.8, c_stated=100.0)
    make_drug(tmp_path, "entry", target="flt4", ec50=1.0, emax=0.8, c_stated=100.0)
    found = rank_targets(
        model, "p_overt_5y", targets=["kdr", "flt4"], doses=[], opposite=None,
        drugs=[str(tmp_path / "vessels"), str(tmp_path / "entry")], windows=["neoadjuvant", "metastatic"],
        samples=10, morris_trajectories=0, assumed_pairs=0, seed=1,
    )  # fmt: skip
    assert found.attrs["failed_runs"] == 0
    effects = found["effect_mean"]
    # Nothing enters the lymph once the tumor is out; before, both act.
    assert effects.sel(target="entry", window="adjuvant") == pytest.approx(0, abs=1e-6)
    assert effects.sel(target="vessels", window="adjuvant") < 0
    # A year is less than the whole window, at less than the ideal block.
    assert effects.sel(target="kdr", window="adjuvant") < effects.sel(target="vessels", window="adjuvant")
    places = found["rank"].sel(target=["vessels", "entry"])
    assert not np.array_equal(places.sel(window="adjuvant"), places.sel(window="neoadjuvant"))


@pytest.mark.slow
def test_the_command_ranks_drugs_beside_targets(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from cascade.cli import app

    make_drug(tmp_path, "vessels", target="kdr", ec50=1.0, emax=0.8, c_stated=100.0)
    ask = ["rank", "hypoxia_vegf", "--quick", "--samples", "10", "--years", "0.5", "--readout", "final:a_vegfr2"]
    more = ["--target", "kdr", "--drug", str(tmp_path / "vessels"), "--drug", "bevacizumab:q3w"]
    done = CliRunner().invoke(app, [*ask, *more, "--workers", "1", "--out", str(tmp_path / "rank"), "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["target"]: row for row in json.loads(done.stdout)["ranking"]}
    kinds = {name: row["kind"] for name, row in rows.items()}
    assert kinds == {"kdr": "target", "vessels": "drug", "bevacizumab": "drug"}
    assert rows["bevacizumab"]["regimen"].endswith("every 21 d, for 365 days")
    assert float(rows["kdr"]["effect_mean"]) < float(rows["vessels"]["effect_mean"]) < 0
