"""Qualification: evidence tables, experiments written as data, and the verdict; misses stay and are explained."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from folders import make_module
from typer.testing import CliRunner

import cascade
from cascade.catalogue import evidence_names
from cascade.cli import app
from cascade.errors import CascadeError, TableError
from cascade.experiments import Experiment, Step, read_experiments, run_experiment
from cascade.facts import COLUMNS, check_facts, read_facts

EXPERIMENTS = """
[wash]
title = "Source on, then off"
prepare = [{ days = 60, values = { k_make = 3 } }]
values = { k_make = 0 }
days = 10
points = 501

[dose]
scan = { k_make = [0.25, 0.5, 1, 2, 4, 8] }
days = 60

[start]
scan = { c_a = [1, 2] }
days = 1
"""
ROW = {
    "id": "half_life_a",
    "quantity": "half-life of A",
    "conditions": "source off",
    "value": "1.4",
    "lower": "1.3",
    "upper": "1.5",
    "unit": "day",
    "basis": "experiment",
    "source": "tian2013",
    "where": "recalled",
    "role": "predicted",
    "compute": "half_life(wash.c_a)",
    "curve": "wash.c_a",
    "x": "value",
}


def write(folder: Path, *rows: dict[str, str], experiments: str = EXPERIMENTS) -> Path:
    """Write a module with an evidence table."""
    if not (folder / "source").is_dir():
        make_module(folder, "source")
    lines = ["\t".join(COLUMNS)] + ["\t".join(row.get(column, "") for column in COLUMNS) for row in rows]
    (folder / "source" / "evidence.tsv").write_text("\n".join(lines) + "\n")
    (folder / "source" / "experiments.toml").write_text(experiments)
    return folder / "source"


@pytest.fixture
def validated(tmp_path):
    miss = {"id": "too_fast", "value": "5", "lower": "4.5", "upper": "5.5", "note": "the source is slower in this test"}
    broken = {"id": "wrong", "compute": "half_life(wash.c_zzz)"}
    level = {
        "id": "level",
        "value": "",
        "lower": "2",
        "upper": "",
        "unit": "nM",
        "compute": "pick(end(dose.c_a), 1)",
        "curve": "end(dose.c_a)",
        "x": "1",
    }
    folder = write(tmp_path, ROW, ROW | miss, ROW | broken, ROW | level)
    return cascade.validate(folder)


def test_closed_forms_are_found(validated):
    found = {finding.fact.id: finding for finding in validated.findings}
    assert found["half_life_a"].value == pytest.approx(np.log(2) / 0.5, rel=1e-3)
    assert found["level"].value == pytest.approx(4, rel=1e-3)  # v_make / k_lose
    assert found["half_life_a"].passed and found["level"].passed
    assert not found["too_fast"].passed
    assert validated.passed == 2


def test_a_fact_that_cannot_be_computed_is_a_miss_with_its_reason(validated):
    wrong = validated.findings[2]
    assert not wrong.passed and "no variable 'c_zzz' in experiment 'wash'" in wrong.error


def test_an_experiment_that_fails_spoils_only_its_own_facts(tmp_path):
    folder = write(
        tmp_path,
        ROW,
        ROW | {"id": "b", "compute": "end(bad.c_a)"},
        experiments=EXPERIMENTS + "[bad]\ndays=1\nvalues={zz=1}",
    )
    first, second = cascade.validate(folder).findings
    assert first.passed
    assert not second.passed and "no symbol 'zz'" in second.error


def test_page_and_json_hold_every_fact_and_name_misses(validated, tmp_path):
    page = cascade.write_validation(tmp_path / "out", validated).read_text()
    table = json.loads((tmp_path / "out" / "validation.json").read_text())[0]
    assert [row["passed"] for row in table["findings"]] == [True, False, False, True]
    assert table["findings"][2]["model"] is None
    assert "the source is slower in this test" in page and page.count("data:image/png") == 1
    assert "2 of 4 facts" in page


def test_the_command_prints_and_writes(validated, tmp_path):
    result = CliRunner().invoke(app, ["validate", str(tmp_path / "source"), "--out", str(tmp_path / "page")])
    assert result.exit_code == 0, result.output
    assert "2 of 4 facts" in result.output and "MISS" in result.output
    assert (tmp_path / "page" / "validation.html").is_file()
    as_json = CliRunner().invoke(app, ["validate", str(tmp_path / "source"), "--json"])
    assert json.loads(as_json.stdout)[0]["facts"] == 4


def test_a_scan_of_a_start_value_sets_the_state(tmp_path):
    folder = write(tmp_path, ROW)
    model = cascade.compose(cascade.load_module(folder))
    run = run_experiment(model, read_experiments(folder / "experiments.toml")["start"])
    np.testing.assert_allclose(run["c_a"].isel(time=0), [1, 2])


def test_a_value_may_name_a_constant(tmp_path):
    """The constant's number is taken, or the one that the caller gives it."""
    folder = write(tmp_path, ROW)
    model = cascade.compose(cascade.load_module(folder))
    constant = next(row for row in model.parameters if row.nominal)
    step = Step(days=1, values={"c_a": constant.id})
    experiment = Experiment(name="named", measured=step, points=2)
    for values, start in (({}, constant.nominal), ({constant.id: 7.0}, 7.0)):
        assert float(run_experiment(model, experiment, values)["c_a"][0]) == start
    with pytest.raises(CascadeError, match="c_nowhere"):
        run_experiment(model, replace(experiment, measured=Step(days=1, values={"c_a": "c_nowhere"})))


def test_asked_facts_cost_their_experiments_alone(tmp_path):
    folder = write(tmp_path, ROW, ROW | {"id": "b", "compute": "pick(end(start.c_a), 1)", "curve": "end(start.c_a)"})
    whole = cascade.validate(folder)
    part = cascade.validate(folder, facts=["b"], model=cascade.compose(cascade.load_module(folder)))
    assert [finding.fact.id for finding in part.findings] == ["b"]
    assert part.changed == "a changed model, a choice of the facts" and not whole.changed
    page = cascade.write_validation(tmp_path / "page", part).read_text()
    assert "Not the shipped comparison: a changed model, a choice of the facts." in page
    assert set(part.runs) == {"start"} < set(whole.runs)
    np.testing.assert_equal(part.findings[0].value, whole.findings[1].value)
    with pytest.raises(CascadeError, match="no fact 'c'"):
        cascade.validate(folder, facts=["c"])


def test_a_model_without_facts_is_said(tmp_path):
    with pytest.raises(CascadeError, match=r"no evidence\.tsv"):
        cascade.validate(make_module(tmp_path, "sink"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"value": "9"}, "lies outside"),
        ({"lower": "", "upper": ""}, "tests nothing"),
        ({"lower": "2", "upper": "1", "value": ""}, "reversed"),
        ({"unit": "parsec"}, "unknown word 'parsec'"),
        ({"role": "guessed"}, "role is 'guessed'"),
        ({"basis": "rumor"}, "basis is 'rumor'"),
        ({"source": ""}, "no source"),
        ({"source": "nobody1999"}, "'nobody1999' is not in references.bib"),
        ({"compute": ""}, "no `compute`"),
        ({"value": "fast"}, "not a number"),
        ({"upper": "inf"}, "not finite"),
        ({"id": "Half Life"}, "snake case"),
    ],
)
def test_a_wrong_row_is_found(tmp_path, change, text):
    path = write(tmp_path, ROW | change) / "evidence.tsv"
    assert text in "\n".join(map(str, check_facts(path, ["tian2013"])))
    if "references" not in text:
        with pytest.raises(TableError, match=text):
            read_facts(path)


def test_facts_belong_to_the_check_of_a_module(tmp_path):
    report = cascade.check(write(tmp_path, ROW | {"source": "nobody1999"}))
    assert any("nobody1999" in str(issue) for issue in report.issues)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\ndays = 0", "days above 0"),
        ("[a]\ndays = 1\ncolour = 2", "unknown entry 'colour'"),
        ("[a]\ndays = 1\nscan = { x = 3 }", "list of numbers"),
        ("[a]\ndays = 1\nscan = { x = [1], y = [2] }", "scans one"),
        ("[a]\ndays = 1\nvalues = { x = [1] }", "names and numbers"),
        ("[a]\nbifurcation = { parameter = 'x' }", "lacks"),
        ("a = 3", "table of entries"),
        ("[a", "cannot read"),
    ],
)
def test_a_wrong_experiment_is_refused(tmp_path, text, message):
    path = tmp_path / "experiments.toml"
    path.write_text(text)
    with pytest.raises(TableError, match=message):
        read_experiments(path)


BIG = [name for name in evidence_names() if name in cascade.composition_names() and name != "carcinoma_cell"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in BIG else ()) for name in evidence_names()]
)
def test_shipped_misses_are_explained(name):
    found = cascade.validate(name)
    for finding in found.findings:
        assert not finding.error, f"{finding.fact.id}: {finding.error}"
        assert finding.passed or finding.fact.note, f"{finding.fact.id} misses without a word"
