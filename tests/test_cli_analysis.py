"""The commands that rank and ask why: numbers printed are numbers computed, and a stopped study goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import xarray as xr
from test_cli import run

SMALL = ["breast_lite", "--index", "systemic=bone"]
QUICK = ["rank", *SMALL, "--quick", "--samples", "12", "--target", "kdr", "--target", "mek", "--workers", "1"]


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rank") / "study"
    done = run(*QUICK, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.slow
def test_rank_keeps_its_runs_and_goes_on_with_them(ranked: Path, tmp_path: Path) -> None:
    assert {path.name for path in (ranked / "runs").iterdir()} >= {"untreated.zarr", "treated.zarr", "screening.zarr"}
    stopped = tmp_path / "stopped"
    shutil.copytree(ranked, stopped)
    (stopped / "report.html").unlink()  # as if it had been killed before the end
    refused = run(*QUICK, "--out", str(stopped))
    assert refused.returncode == 2 and "--resume goes on with it" in refused.stderr
    shutil.rmtree(stopped / "runs" / "treated.zarr")
    resumed = run(*QUICK, "--out", str(stopped), "--resume")
    assert resumed.returncode == 0, resumed.stderr
    with xr.open_dataset(ranked / "ranking.nc") as first, xr.open_dataset(stopped / "ranking.nc") as second:
        assert first.identical(second)
    other = run(*QUICK, "--out", str(stopped), "--resume", "--seed", "2")
    assert other.returncode == 2 and "another study" in other.stderr


def test_a_scheduler_that_does_not_answer_is_one_message(tmp_path: Path) -> None:
    done = run(*QUICK, "--out", str(tmp_path / "x"), "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 2 and "no Dask scheduler answers" in done.stderr and "Traceback" not in done.stderr


def test_sensitivity_of_a_module_prints_its_indices(tmp_path: Path) -> None:
    picture, file = tmp_path / "indices.png", tmp_path / "indices.nc"
    ask = ["sensitivity", "tgf_beta", "--readout", "final:c_psmad", "--years", "0.01", "--workers", "1"]
    done = run(*ask, "--method", "morris", "--samples", "4", "--plot", str(picture), "--out", str(file), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rows = found["indices"]["final:c_psmad"]
    sizes = [abs(row["index"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 0 and "elementary effects" in found["verdict"]
    assert picture.stat().st_size > 10_000
    with xr.open_dataset(file) as kept:
        assert float(kept["mu_star"].max()) == sizes[0]
    unknown = run(*ask, "--method", "sobl")
    assert unknown.returncode == 2 and "sobol" in unknown.stderr


@pytest.mark.slow
def test_why_splits_an_effect_and_gene_tells_its_parameters(tmp_path: Path) -> None:
    picture = tmp_path / "why.png"
    done = run("why", *SMALL, "--target", "kdr", "--json", "--plot", str(picture))
    assert done.returncode == 0, done.stderr
    parts = json.loads(done.stdout)["kdr"]
    assert sum(parts.values()) < -0.5 and parts["invasion"] == pytest.approx(0, abs=1e-3)
    assert picture.stat().st_size > 10_000
    gene = run("gene", *SMALL, "KDR", "--json")
    assert gene.returncode == 0, gene.stderr
    assert "hypoxia_vegf__f_vegfr2" in {row["parameter"] for row in json.loads(gene.stdout)["parameters"]}
    unknown = run("gene", *SMALL, "KDRX")
    assert unknown.returncode == 2 and "KDR" in unknown.stderr


@pytest.mark.slow
def test_combine_prints_the_pair(tmp_path: Path) -> None:
    done = run("combine", *SMALL, "--target", "kdr", "--target", "vegfa", "--samples", "10", "--json")
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads(done.stdout)
    assert pair["verdict"] == "antagonism" and pair["bliss"] < 0
