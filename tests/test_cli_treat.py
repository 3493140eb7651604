"""The commands of drugs: a treatment from dose to page, lists and numbers of drugs, absurd regimens in one sentence."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import xarray as xr
from drug_folders import make_drug
from folders import make_module
from test_cli import run

import cascade
from cascade.cli import main

STATED = '[regimens.stated]\ntitle = "as stated"\nroute = "stated"\n'
Ask = Callable[..., tuple[int, str, str]]
PULSES = '[regimens.daily]\ntitle = "daily"\ndose = 10\nunit = "mg"\nroute = "bolus"\nevery = 1\n'


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Give a command in this process: exit code, what it printed, what it complained of."""

    def one(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cascade", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() sets its own
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return one


@pytest.fixture
def tank(tmp_path: Path) -> str:
    return str(make_module(tmp_path, "source"))


def test_a_treatment_is_told_from_dose_to_page(tmp_path: Path) -> None:
    blocker = str(make_drug(tmp_path, "blocker", regimens=STATED, emax=0.9))
    helper = str(make_drug(tmp_path, "helper", "one_compartment", regimens=PULSES, emax=0.5, target="bypass"))
    out = tmp_path / "page"
    asked = ["--drug", blocker, "--drug", helper, "--start", "20", "--start", "25", "--stop", "60", "--years", "1"]
    file = tmp_path / "treated.xml"
    done = run("treat", "hypoxia_vegf", *asked, "--out", str(out), "--export", str(file), "--json")
    assert done.returncode == 0, done.stderr
    # the file is the model with both drugs and the doses of the one that has kinetics
    assert "blocker__c_tumor" in file.read_text() and "dose_1_of_helper_1" in file.read_text()
    found = json.loads(done.stdout)["treatments"]
    assert list(found) == ["Blocker + Helper", "Blocker", "Helper"]
    assert found["Blocker"]["first_dose"] == 20 and found["Helper"]["first_dose"] == 25
    changes = {row["quantity"]: row["fold"] for row in found["Blocker"]["changes"]}
    # 0.9 * 1/2 of the signal is lost at the stated concentration ec50; the odds of a share fall a little more
    assert changes["pathway:vegfr2"]["2"] < 0.6 and "gene:KDR" in changes
    assert changes["pathway:vegf"]["2"] > 1  # free VEGF rises when its receptor is blocked: less of it is taken up
    page = (out / "report.html").read_text()
    assert "not for treatment decisions" in page and "a stated concentration" in page and "10 mg, bolus" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs no other file"
    assert "cascade treat hypoxia_vegf --drug" in page
    assert {path.name for path in (out / "figures").glob("*.png")} >= {"drug.png", "heat_map.png", "pathways.png"}
    table = pd.read_csv(out / "effects.csv")
    with xr.open_dataset(out / "effects.nc") as kept:
        row = table[(table.treatment == "Blocker") & (table.quantity == "pathway:vegfr2") & (table.moment == 2)]
        fold = float(kept["fold"].sel(treatment="Blocker", quantity="pathway:vegfr2", time=2))
        assert float(row.fold.iloc[0]) == pytest.approx(fold) == pytest.approx(changes["pathway:vegfr2"]["2"])


def test_a_dose_factor_of_0_changes_nothing_and_one_of_2_doubles(tmp_path: Path, tank: str, ask: Ask) -> None:
    path = str(make_drug(tmp_path, "booster", port="source.k_make", regimens=STATED))
    code, said, _ = ask("treat", tank, "--drug", path, "--stop", "30", "--years", "0.2", "--dose-factor", "0")
    assert code == 0 and "no pathway or gene that is followed changes" in said
    _, said, _ = ask("treat", tank, "--drug", path, "--stop", "30", "--years", "0.2", "--dose-factor", "2")
    assert "2 x the stated concentration" in said


def test_absurd_regimens_are_one_sentence(tmp_path: Path, tank: str, ask: Ask) -> None:
    stated = str(make_drug(tmp_path, "booster", port="source.k_make", regimens=STATED))
    pulses = str(make_drug(tmp_path, "pulse", "one_compartment", port="source.k_make", regimens=PULSES))
    lost = str(make_drug(tmp_path, "lost", regimens=STATED))
    for arguments, message in [
        (["--drug", "bevacizumb"], "did you mean 'bevacizumab'"),
        (["--drug", stated, "--regimen", "statd"], "did you mean 'stated'"),
        (["--drug", pulses, "--every", "0"], "every is 0"),
        (["--drug", pulses, "--every", "-7"], "every is -7"),
        (["--drug", pulses, "--every", "nan"], "every is nan"),
        (["--drug", pulses, "--doses", "0"], "doses is 0"),
        (["--drug", pulses, "--doses", "10000", "--stop", "20000"], "more than 1,000 doses"),
        (["--drug", pulses, "--every", "0.001"], "more than 1,000 doses"),
        (["--drug", pulses, "--stop", "inf"], "it never ends"),
        (["--drug", pulses, "--dose-factor", "-1"], "--dose-factor is -1"),
        (["--drug", pulses, "--start", "9", "--stop", "3"], "is not after start"),
        (["--drug", pulses, "--start", "-9"], "before the simulation begins"),
        (["--drug", pulses, "--from", "surgery"], "no primary_tumor.t_surgery"),
        (["--drug", pulses, "--from", "surgery", "--start", "-9"], "nobody knows before it comes"),
        (["--drug", pulses, "--from", "surgry"], "surgry"),
        (["--drug", stated, "--every", "2"], "--every means nothing for booster"),
        (["--drug", lost], "has not; give it to another model"),
        (["--drug", pulses, "--start", "900", "--stop", "901", "--years", "1"], "never begins within the simulated"),
        (["--drug", pulses, "--drug", stated, "--start", "1", "--start", "2", "--start", "3"], "given 3 times for 2"),
        (["--drug", stated, "--out", "no_such/folder"], "does not exist; make it first"),
    ]:
        code, said, complaint = ask("treat", tank, *arguments)
        assert (code, said) == (2, ""), (arguments, complaint)
        assert message in complaint, (arguments, complaint)
        assert complaint.startswith("cascade: ") and complaint.count("\n") == 1, complaint


def test_drugs_are_listed_and_shown_with_their_sources(tmp_path: Path, ask: Ask) -> None:
    rows = json.loads(ask("drugs", "--json")[1])
    assert [row["name"] for row in rows] == list(cascade.drug_names())
    assert all(row["targets"] or row["tier"] == "carrier" for row in rows)
    assert set(json.loads(ask("list", "--json")[1])["drugs"]) == set(cascade.drug_names())
    code, said, _ = ask("show", "bevacizumab")
    assert code == 0 and "acts on vegfa through hypoxia_vegf.c_anti_vegf" in said
    code, _, complaint = ask("show", "bevacizumab", "--index", "organ=bone")
    assert code == 2 and "is a drug, which has no index sets" in complaint
    data = json.loads(ask("drug", "bevacizumab", "--json")[1])
    drug = cascade.load_drug("bevacizumab")
    assert {row["id"]: row["value"] for row in data["parameters"]} == {r.id: r.nominal for r in drug.parameters}
    assert sum(data["evidence"].values()) == len(drug.parameters)
    own = make_drug(tmp_path, "mine", regimens=STATED)
    assert "as stated" in ask("show", str(own))[1]
    carrier = json.loads(ask("show", "nanoparticle", "--json")[1])
    assert "ports" in carrier, "a module wins over a drug of the same name; `cascade drug` shows that"


SMALL = ["breast_lite", "--index", "systemic=bone"]


@pytest.mark.slow
def test_a_patient_is_treated_after_and_before_surgery(tmp_path: Path) -> None:
    out = tmp_path / "page"
    when = ["--from", "surgery", "--start", "28", "--stop", "365", "--years", "11"]
    done = run("treat", *SMALL, "--drug", "bevacizumab", "--regimen", "q2w", *when, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["treatments"]["Bevacizumab"]
    assert found["endpoints"]["p_overt_5y"]["fold"] < 1 and found["endpoints"]["t_surgery"]["fold"] == 1
    assert found["given"][0]["doses"] == 25 and found["given"][0]["status"] == "approved"
    page = (out / "report.html").read_text()
    assert "28 days after surgery" in page and "avastin_label" in page
    early = ["--from", "diagnosis", "--stop", "84", "--surgery-after", "84", "--years", "12", "--json"]
    done = run("treat", *SMALL, "--drug", "pembrolizumab", *early)
    assert done.returncode == 0, done.stderr
    before = json.loads(done.stdout)["treatments"]["Pembrolizumab"]["endpoints"]
    assert before["diameter_at_surgery"]["fold"] < 1
