"""Experiments that give drugs: alone, to a model, several at once, in a carrier; their facts in `cascade validate`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import cascade
from cascade.catalogue import evidence_names
from cascade.cli import app
from cascade.errors import CascadeError, TableError, UnknownNameError
from cascade.experiments import Experiment, Step, read_experiments, run_experiment
from cascade.facts import COLUMNS
from cascade.therapy import pharmacokinetics
from cascade.therapy.drugs import drug_folder, load_drug
from cascade.therapy.prescriptions import Prescription, prescribed
from cascade.therapy.regimens import regimen

EXPERIMENTS = """
[alone]
title = "One dose"
given = [{ regimen = "q2w", doses = 1 }]
days = 80
points = 801

[both]
title = "Beside another drug"
on = "hypoxia_vegf"
given = [{ regimen = "q2w", stop = 28 }, { drug = "sunitinib", stop = 14, averaged = true }]
days = 28
points = 57

[nobody]
days = 3

[untreated]
on = "hypoxia_vegf"
days = 3
points = 4
"""
ROW = {
    "id": "half_life",
    "quantity": "half-life",
    "value": "18.9",
    "lower": "18",
    "upper": "20",
    "unit": "day",
    "basis": "clinic",
    "source": "han2016",
    "where": "abstract",
    "role": "predicted",
    "compute": "terminal_half_life(alone.bevacizumab__c_plasma, 40, 80)",
    "curve": "alone.bevacizumab__c_plasma",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A drug of one's own, with facts."""
    place = tmp_path / "bevacizumab"
    shutil.copytree(drug_folder("bevacizumab"), place)
    rows = [
        ROW,
        ROW | {"id": "own", "compute": "vol_central", "value": "", "lower": "2.8", "upper": "3", "curve": ""},
        ROW | {"id": "lost", "compute": "end(nobody.c)", "value": ""},
        ROW
        | {"id": "falls", "compute": "end(both.c_vegf)/end(untreated.c_vegf)", "value": "", "lower": "", "upper": "1"},
    ]
    lines = ["\t".join(COLUMNS)] + ["\t".join(row.get(column, "") for column in COLUMNS) for row in rows]
    (place / "evidence.tsv").write_text("\n".join(lines) + "\n")
    (place / "experiments.toml").write_text(EXPERIMENTS)
    return place


def test_a_folder_of_ones_own_is_compared(folder: Path, tmp_path: Path) -> None:
    found = cascade.validate(folder)
    by_id = {each.fact.id: each for each in found.findings}
    assert by_id["half_life"].passed and by_id["own"].passed and by_id["falls"].passed
    assert "there is no model" in by_id["lost"].error
    assert by_id["own"].value == load_drug("bevacizumab").value("vol_central")
    assert found.name == "bevacizumab" and len(found.model_sha256) == 64 and 0 < found.sourced < 1
    page = cascade.write_validation(tmp_path / "page", found).read_text()
    assert page.count("data:image/png") == 1 and "3 of 4 facts" in page
    assert cascade.validate(folder).model_sha256 == found.model_sha256


def test_other_values_reach_the_kinetics_and_the_own_constants(folder: Path) -> None:
    found = cascade.validate(folder, values={"bevacizumab.vol_central": 5.0}, facts=["half_life", "own"])
    by_id = {each.fact.id: each for each in found.findings}
    assert by_id["own"].value == 5.0 and by_id["half_life"].value > 20 and not by_id["half_life"].passed


def test_a_drug_takes_no_model(folder: Path) -> None:
    with pytest.raises(CascadeError, match="leave model out"):
        cascade.validate(folder, model=cascade.compose(cascade.load_module("emt")))
    with pytest.raises(UnknownNameError, match="bevacizumab"):
        cascade.validate("bevacizumb")


def test_the_kinetics_alone_are_those_of_the_regimen() -> None:
    experiment = Experiment(name="x", measured=Step(days=30), points=61, given=(Prescription(changes={"stop": 20}),))
    found = run_experiment(None, experiment, own=load_drug("bevacizumab"))
    direct = cascade.simulate(pharmacokinetics(regimen("bevacizumab", stop=20)), days=30, points=61)
    np.testing.assert_allclose(found.bevacizumab__c_plasma, direct.bevacizumab__c_plasma, rtol=1e-4)


def test_a_model_may_be_prepared_untreated(make_model) -> None:  # type: ignore[no-untyped-def]
    """Doses count from the begin of the measured step."""
    model = make_model("compartment c = 1; species S in c; S = 1; k = 0.3; S -> ; k*S*c;")
    given = (Prescription(drug="bevacizumab", changes={"doses": 1}),)
    experiment = Experiment(name="x", prepare=(Step(days=5),), measured=Step(days=5), points=11, given=given)
    found = run_experiment(model, experiment)
    assert float(found.S[0]) == pytest.approx(np.exp(-1.5), rel=1e-5)
    assert float(found.bevacizumab__c_plasma[0]) == 0 < float(found.bevacizumab__c_plasma[1])


def test_doses_can_be_scanned() -> None:
    scan = {"bevacizumab.n_dose_1": (100.0, 200.0)}
    experiment = Experiment(
        name="x", measured=Step(days=3), points=31, scan=scan, given=(Prescription(changes={"doses": 1}),)
    )
    found = run_experiment(None, experiment, own=load_drug("bevacizumab"))
    one, two = found.bevacizumab__c_plasma.transpose("scan", "time").values
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)


def test_a_prescription_names_a_drug_a_regimen_and_a_carrier() -> None:
    own = load_drug("bevacizumab")
    assert prescribed(Prescription(), own).name == "q2w"
    assert prescribed(Prescription(drug="nivolumab", regimen="q4w"), own).dose == 480
    fields = {"dose": 50, "unit": "mg/m2", "route": "infusion", "infusion_hours": 1, "doses": 1}
    carried = prescribed(Prescription(drug="doxorubicin", carrier="nanoparticle", changes=fields))
    assert carried.drug.name == "doxorubicin_in_nanoparticle"
    for wrong, text in (({}, "without a name"), ({"drug": "aspirin"}, "no drug 'aspirin'")):
        with pytest.raises(CascadeError, match=text):
            prescribed(Prescription(**wrong))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\ndays = 1\ngiven = ['q2w']", "write tables"),
        ("[a]\ndays = 1\ngiven = [{ regime = 'q2w' }]", "given has 'regime'"),
        ("[a]\ndays = 1\ngiven = [{ drug = 3 }]", "write a name"),
        ("[a]\ndays = 1\ngiven = 3", "wrong kind"),
        ("[a]\ndays = 1\non = 3", "wrong kind"),
        ("[a]\ngiven = []\nbifurcation = { parameter = 'x', output = 'y', lower = 0, upper = 1 }", "steady states"),
    ],
)
def test_a_wrong_prescription_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "experiments.toml"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_experiments(path)


def test_the_command_knows_drugs() -> None:
    result = CliRunner().invoke(app, ["validate", "ipilimumab", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["passed"] == 4
    full = {name for name in cascade.drug_names() if load_drug(name).tier == "pharmacokinetics"}
    assert full <= set(evidence_names())
