"""The command: what works, works as documented; what cannot, says what to do, without a traceback."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import xarray as xr
from folders import make_composition, make_module, number

import cascade
from cascade.cli import main
from cascade.facts import COLUMNS

TOGGLE = """
model toggle(s, y)
  y has dimensionless;
  y = init_y;
  y' = k_turn*(s + y^2/(1 + y^2) - f_lose*y);
end
"""
SCAN = ["bifurcation", "emt", "a_drive_basal", "a_emt", "--from", "0.1", "--to", "2"]


def run(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cascade.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=300,
    )


@pytest.fixture
def module(tmp_path):
    return make_module(tmp_path, "source")


def test_list_names_everything_that_is_shipped():
    found = json.loads(run("list", "--json").stdout)
    assert set(found["modules"]) == set(cascade.module_names())
    assert set(found["compositions"]) == set(cascade.composition_names())
    assert all(found["modules"].values()), "every module has a title"
    assert "breast" in run("list").stdout


def test_show_gives_ports_and_numbers_with_units(module):
    found = json.loads(run("show", str(module), "--json").stdout)
    assert {port["id"]: port["direction"] for port in found["ports"]} == {"k_make": "in", "c_a": "out", "a_full": "out"}
    assert {row["id"]: row["unit"] for row in found["parameters"]}["v_make"] == "nM_per_day"


def test_check_passes_and_fails_with_its_exit_code(module):
    passed = run("check", "tgf_beta")
    assert passed.returncode == 0 and "tgf_beta: passed, 0 findings" in passed.stdout
    (module / "README.md").unlink()
    failed = run("check", str(module), "--json")
    report = json.loads(failed.stdout)
    assert failed.returncode == 1 and not report["ok"]
    assert any("README.md is missing" in issue["what"] for issue in report["issues"])


def test_check_of_a_composition_names_the_wrong_join(tmp_path):
    folder = make_composition(tmp_path, {"down.c_in": "up.c_x"})
    failed = run("check", str(folder))
    assert failed.returncode == 1
    assert "no port 'c_x' in 'up' (module 'source'), in join 'down.c_in' = 'up.c_x'" in failed.stdout


def test_check_finds_a_constant_that_no_join_uses(tmp_path):
    folder = make_composition(tmp_path, {"down.c_in": "up.c_a"}, [number("w_idle", 1, "dimensionless")])
    failed = run("check", str(folder))
    assert failed.returncode == 1 and "w_idle is used in no join" in failed.stdout


def test_build_writes_the_document_and_fails_on_errors(module):
    (module / "source.xml").unlink()
    assert run("build", str(module)).returncode == 0
    assert (module / "source.xml").is_file()
    structure = module / "source.ant"
    structure.write_text(structure.read_text().replace("c_a has nM; ", ""))
    failed = run("build", str(module))
    assert failed.returncode == 1 and "species c_a has no unit" in failed.stdout


def test_simulate_writes_csv_and_netcdf(module, tmp_path):
    done = run(
        "simulate", str(module), "--days", "10", "--points", "11", "--set", "v_make=4", "--inhibit", "v_make=0.5",
        "--out", "run.nc", "--plot", "run.png", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as result:
        assert result["c_a"].attrs["units"] == "nM"
        assert float(result["c_a"][-1]) == pytest.approx(4 * (1 - 2.718281828459045**-5), rel=1e-5)
    assert (tmp_path / "run.png").read_bytes()[:4] == b"\x89PNG"
    done = run("simulate", str(module), "--days", "1", "--record", "c_a", "--out", "run.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.csv").read_text().splitlines()[0] == "time,c_a"


@pytest.mark.parametrize("names", [["source.c_a"], ["source.c_a", "c_a"], ["make"]])
def test_simulate_draws_what_it_records_by_any_name(module, tmp_path, names):
    recorded = [text for name in names for text in ("--record", name)]
    done = run("simulate", str(module), "--days", "1", *recorded, "--plot", "run.svg", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "run.svg").read_text()
    assert drawn.count("stroke-width: 1.8") == 1, "one line, however often it is named"


def test_simulate_without_a_file_prints_the_last_row(module):
    assert "c_a" in run("simulate", str(module), "--days", "1").stdout


def test_export_writes_flat_and_hierarchical_sbml(tmp_path):
    folder = make_composition(tmp_path, {"down.c_in": "up.c_a"})
    assert run("export", str(folder), "--out", "flat.xml", folder=tmp_path).returncode == 0
    assert "comp:" not in (tmp_path / "flat.xml").read_text()
    assert run("export", str(folder), "--comp", "--out", "comp.xml", folder=tmp_path).returncode == 0
    assert "listOfSubmodels" in (tmp_path / "comp.xml").read_text()


def test_index_sets_are_chosen_on_the_command_line(tmp_path):
    more = "index = {maker = ['one', 'two']}\ngroups = {makers = ['{maker}']}"
    instances = {"'{maker}'": "source", "down": "sink"}
    folder = make_composition(tmp_path, {"down.c_in": "sum(makers.c_a)"}, instances=instances, more=more)
    shown = json.loads(run("show", str(folder), "--json", "--index", "maker=one,three").stdout)
    assert set(shown["instances"]) == {"one", "three", "down"}
    none = run("check", str(folder), "--index", "maker=")
    assert none.returncode == 0, none.stdout
    refused = run("simulate", str(folder), "--index", "makers=one")
    assert refused.returncode == 2 and "no index set 'makers'" in refused.stderr


@pytest.fixture
def makers(tmp_path):
    """As many sources as one likes feed one sink: at rest each gives 4 nM, and the sink holds 6 nM for each."""
    more = "index = {maker = ['one', 'two']}\ngroups = {makers = ['{maker}']}"
    instances = {"'{maker}'": "source", "down": "sink"}
    folder = make_composition(tmp_path, {"down.c_in": "sum(makers.c_a)"}, instances=instances, more=more)
    fact = {
        "quantity": "what the sink holds", "value": "12", "lower": "11.5", "upper": "12.5", "unit": "nM",
        "basis": "experiment", "source": "tian2013", "where": "recalled", "role": "predicted",
    }  # fmt: skip
    rows = [
        fact | {"id": "at_rest", "compute": "end(rest.down__c_b)"},
        fact | {"id": "after_a_day", "compute": "end(day.down__c_b)"},
    ]
    lines = ["\t".join(COLUMNS)] + ["\t".join(row.get(column, "") for column in COLUMNS) for row in rows]
    (folder / "evidence.tsv").write_text("\n".join(lines) + "\n")
    (folder / "experiments.toml").write_text("[rest]\ndays = 100\n[day]\ndays = 1\n")
    return folder


def validated(*arguments: str) -> dict[str, object]:
    done = run("validate", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    return found


def test_validate_compares_the_model_with_other_members(makers):
    levels = {}
    for index in (["--index", "maker=only"], [], ["--index", "maker=one,two,three"]):
        found = {row["id"]: row for row in validated(str(makers), *index)["findings"]}
        assert set(found) == {"at_rest", "after_a_day"}
        levels[found["at_rest"]["model"]] = found["at_rest"]["passed"]
    assert list(levels) == pytest.approx([6, 12, 18], rel=1e-4)
    assert list(levels.values()) == [False, True, False]


def test_validate_looks_only_at_the_facts_that_were_asked(makers):
    whole = validated(str(makers))["findings"]
    for row in whole:
        assert validated(str(makers), "--fact", row["id"])["findings"] == [row]
    both = validated(str(makers), "--fact", "after_a_day", "--fact", "at_rest", "--index", "maker=only")
    assert [row["id"] for row in both["findings"]] == ["at_rest", "after_a_day"]
    assert both["findings"][0]["model"] == pytest.approx(6, rel=1e-4)
    assert "0 of 1 facts reproduced" in run("validate", str(makers), "--fact", "after_a_day").stdout


def test_validate_takes_another_structure_of_a_module():
    found = validated("lesions", "--structure", "lesions.n_classes=16", "--fact", "early_peak")
    fine = cascade.compose(cascade.load_module("lesions", n_classes=16))
    assert found["model_sha256"] == fine.hash != cascade.compose(cascade.load_module("lesions")).hash
    assert found["findings"] == cascade.validate("lesions", model=fine, facts=["early_peak"]).to_json()["findings"]


def test_bifurcation_takes_other_members(tmp_path):
    """Two makers push the switch as hard as one does at twice the dose: its tipping points halve."""
    rows = [
        number("s", 0, "dimensionless"),
        number("k_turn", 1, "per_day"),
        number("f_lose", 0.5, "dimensionless"),
        number("init_y", 0, "dimensionless"),
    ]
    make_module(tmp_path, "toggle", TOGGLE, rows)
    folder = make_composition(
        tmp_path,
        {"switch.s": "f_dose*sum(makers.c_a)"},
        [number("f_dose", 0.01, "per_nM")],
        instances={"'{maker}'": "source", "switch": "toggle"},
        more="index = {maker = ['one', 'two']}\ngroups = {makers = ['{maker}']}",
    )
    scan = ["bifurcation", str(folder), "f_dose", "switch__y", "--from", "0.0001", "--to", "0.06", "--points", "21"]
    folds = []
    for index in ([], ["--index", "maker=only"]):
        done = run(*scan, *index)
        assert done.returncode == 0, done.stderr
        folds.append({way: float(value) for way, value in re.findall(r"^(\w+) +f_dose = (\S+):", done.stdout, re.M)})
    two, one = folds
    assert {"up"} <= set(two) == set(one)
    assert one == pytest.approx({way: 2 * value for way, value in two.items()}, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "tgf_bta"], "no module or composition 'tgf_bta' in the catalog"),
        (["check", "nowhere"], "no module or composition 'nowhere'"),
        (["build", "nowhere"], "no module 'nowhere'"),
        (["simulate", "tgf_beta", "--set", "k_cleer=1"], "did you mean 'k_clear'"),
        (["simulate", "tgf_beta", "--set", "k_clear"], "write it as ID=NUMBER"),
        (["simulate", "tgf_beta", "--set", "k_clear=nan"], "nan"),
        (["simulate", "tgf_beta", "--set", "k_clear=1", "--set", "k_clear=2"], "gives 'k_clear' twice"),
        (["show", "."], "is neither a module (it has no"),
        (["rank", "tgf_beta"], "ask for final:<id> or max:<id>"),
        (["simulate", "tgf_beta", "--set", "k_bind=-1"], "-1"),
        (["simulate", "tgf_beta", "--days", "-5"], "days"),
        (["simulate", "tgf_beta", "--days", "nan"], "days"),
        (["simulate", "tgf_beta", "--points", "1"], "points"),
        (["simulate", "tgf_beta", "--days", "1", "--years", "1"], "years"),
        (["simulate", "tgf_beta", "--inhibit", "k_bind=2"], "give a share above 0 and at most 1"),
        (["simulate", "tgf_beta", "--inhibit", "c_tgfb=0.5"], "c_tgfb"),
        (["simulate", "tgf_beta", "--record", "c_nothing"], "c_nothing"),
        (["simulate", "tgf_beta", "--out", "run.txt"], "the suffix must be one of .nc, .csv"),
        (["simulate", "tgf_beta", "--out", "no_such_folder/run.nc"], "does not exist; make it first"),
        (["rank", "tgf_beta", "--out", "no_such_folder/rank"], "does not exist; make it first"),
        (["export", "tgf_beta", "--out", "model.docx"], "the suffix must be one of .xml"),
        (["export", "tgf_beta", "--comp", "--out", "model.xml"], "is a single module"),
        (["show", "tgf_beta", "--index", "organ=bone"], "'tgf_beta' is a module, which has no index sets"),
        (["show", "tgf_beta", "--index", "organ"], "write it as SET=MEMBERS"),
        (["show", "tgf_beta", "--index", "organ=a", "--index", "organ=b"], "gives 'organ' twice"),
        (["show", "tgf_beta", "--structure", "tgf_beta.n=4"], "no option 'n' in tgf_beta.ant"),
        (["show", "tgf_beta", "--structure", "n=4"], "write it as MODULE.OPTION=INTEGER"),
        (["show", "tgf_beta", "--structure", "wnt.n=4"], "no module 'wnt' in module 'tgf_beta'"),
        (["show", "tgf_beta", "--structure", "a.n=4", "--structure", "a.n=5"], "gives 'a.n' twice"),
        (["check", "--index", "organ=bone"], "change one model; say which"),
        (["validate", "--index", "organ=bone"], "are about one model; say which"),
        (["validate", "wnt", "lesions", "--structure", "lesions.n_classes=16"], "are about one model; say which"),
        (["validate", "wnt", "emt", "--fact", "hysteresis"], "are about one model; say which"),
        (["validate", "lesions", "--fact", "early_peek"], "no fact 'early_peek' in evidence.tsv; did you mean"),
        (["validate", "tgf_beta", "--index", "organ=bone"], "'tgf_beta' is a module, which has no index sets"),
        (["validate", "tgf_beta", "--structure", "tgf_beta.n=4"], "no option 'n' in tgf_beta.ant"),
        (["validate", "tgf_beta", "--structure", "n=4"], "write it as MODULE.OPTION=INTEGER"),
        ([*SCAN, "--index", "organ=bone"], "'emt' is a module, which has no index sets"),
        ([*SCAN, "--structure", "emt.n=4"], "no option 'n' in emt.ant"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_exit_code_2(arguments, message, tmp_path):
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2, done
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_missing_or_spoiled_file_is_named(module):
    (module / "source.xml").write_text("<sbml")
    done = run("simulate", str(module))
    assert done.returncode == 2 and "source.xml: not well-formed XML" in done.stderr
    (module / "parameters.tsv").write_text("nothing")
    done = run("build", str(module))
    assert done.returncode == 1 and "the header must be the 17 columns" in done.stdout


@pytest.fixture
def stopped(monkeypatch, tmp_path, capsys):
    """Return what stops a command, given as arguments, with Ctrl-C in a verb of `cascade`, and tells what it says."""
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(os, "_exit", sys.exit)
    monkeypatch.chdir(tmp_path)

    def stop(verb: str, *arguments: str, store: bool = False) -> tuple[str, dict[str, object]]:
        asked: dict[str, object] = {}

        def interrupted(*_: object, **options: object) -> None:
            asked.update(options)
            if store:
                Path(options["store"]).mkdir(parents=True, exist_ok=True)
            raise KeyboardInterrupt

        monkeypatch.setattr(cascade, verb, interrupted)
        monkeypatch.setattr(sys, "argv", ["cascade", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 130
        output = capsys.readouterr()
        assert not output.out and output.err.count("\n") == 1 and output.err.startswith("cascade: stopped. ")
        return output.err.strip(), asked

    yield stop
    signal.signal(signal.SIGINT, handler)


RANK = ["rank", "wnt", "--readout", "final:c_bcat", "--out", "my rank", "--quick"]
ANALYZE = ["sensitivity", "wnt", "--readout", "final:c_bcat", "--method", "morris"]
AGAIN = "Nothing is kept but what it said it wrote; give the command again."


@pytest.mark.parametrize(
    ("verb", "arguments", "folder"),
    [
        ("rank_targets", RANK, Path("my rank") / "runs"),
        ("rank_targets", [*RANK, "--restart"], Path("my rank") / "runs"),
        ("analyze", [*ANALYZE, "--store", "runs.zarr"], Path("runs.zarr")),
    ],
)
def test_a_stopped_study_says_where_its_runs_are_and_how_to_go_on(stopped, verb, arguments, folder):
    said, _ = stopped(verb, *arguments, store=True)
    assert f"Its runs are kept in {folder}, up to the last full block. To go on: cascade " in said
    again = shlex.split(said.partition("To go on: cascade ")[2])
    _, asked = stopped(verb, *again)
    assert asked["resume"] is True and Path(asked["store"]) == folder


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("rank_targets", RANK, AGAIN),
        ("simulate", ["simulate", "wnt", "--days", "1"], AGAIN),
        ("compose", ["export", "wnt", "--out", "wnt.xml"], AGAIN),
        ("analyze", ANALYZE, f"{AGAIN} With --store FOLDER it keeps its runs, and --resume goes on."),
        ("settle_top", [*ANALYZE, "--settle", "3"], AGAIN),
    ],
)
def test_a_stopped_command_that_kept_nothing_says_so(stopped, verb, arguments, message):
    said, _ = stopped(verb, *arguments)
    assert said == f"cascade: stopped. {message}"
