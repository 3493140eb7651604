"""The outlook of one patient: Bayes in closed form, what to measure next, and the page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from worlds import TARGETS, TEN, Make, people, risk, world_of

from cascade.errors import AnalysisError
from cascade.narrowing import narrowing
from cascade.outlook import patient_outlook
from cascade.outlook_effects import weighted_quantile
from cascade.personal import patient_report, write_patient
from cascade.specs import Model
from cascade.target_table import parse_acts


@pytest.fixture(scope="module")
def world(make_model: Make) -> Model:
    return world_of(make_model)


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
    # A block of 90 % takes more than a tenth off unless the other process is far stronger.
    assert (outlook["p_helps"] >= outlook["p_best"]).all() and (outlook["p_harms"] == 0).all()
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
    with pytest.raises(AnalysisError, match="none of 20 draws agrees"):
        patient_outlook(world, alone(age_years=0.001), **(ONE | {"draws": 20}))


def test_outlook_does_not_depend_on_the_table(world: Model, outlook: xr.Dataset) -> None:
    other = alone().assign_coords(patient=["P1"])
    both = xr.concat([other, alone()], dim="patient", join="outer")
    again = patient_outlook(world, both.sel(patient="P7"), **(ONE | {"draws": 40}))
    assert again["risk"].values == pytest.approx(outlook["risk"].values[:40], rel=1e-9)
    different = patient_outlook(world, other, **(ONE | {"draws": 40}))
    assert (different["risk"].values[:, 9] != again["risk"].values[:, 9]).all()


def test_what_harms_is_told(world: Model, outlook: xr.Dataset, tmp_path: Path) -> None:
    harm = replace(TARGETS[0], target="t_harm", name="boost k_one", acts_on=parse_acts("k_one:+"))
    found = patient_outlook(world, alone(), **(ONE | {"draws": 20, "targets": [harm]}))
    assert found["nnt"].item() == pytest.approx(1 / found["reduction"].item()) and found["nnt"].item() < 0
    assert found["p_harms"].item() > 0.8 and found["p_helps"].item() == 0 and found.attrs["p_none"] == 1
    text = write_patient(tmp_path, alone(), found, "x").read_text(encoding="utf-8")
    assert "to harm one" in text and "boost k_one raises the risk by more than a tenth" in text


def test_a_patient_who_is_never_operated_is_refused(world: Model) -> None:
    """Because the tumor does not reach that size, or because the treatment stops it before."""
    never = alone().assign(n_operable=("patient", [1e9], {"role": "value"}))
    with pytest.raises(AnalysisError, match="operated within the simulated time"):
        patient_outlook(world, never, **(ONE | {"draws": 20}))
    stop = replace(TARGETS[0], target="t_grow", name="stop growth", acts_on=parse_acts("k_grow:-"))
    with pytest.raises(AnalysisError, match=r"under every treatment \(t_grow\)"):
        patient_outlook(
            world, alone(), **(ONE | {"draws": 20, "targets": [stop], "fraction": 1.0, "window": "lifelong"})
        )


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
    for words in ("not for treatment decisions", "no test of a patient mends", "not very sure", "block k_one",
                  "not told in the table: n_nodes", "weights the draws", "rests on numbers that are assumed",
                  "What to measure next", "cascade patient x"):  # fmt: skip
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
