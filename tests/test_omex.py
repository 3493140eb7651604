"""COMBINE archives: the same bytes each time, valid, and executed elsewhere with the same numbers."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pytest
import xarray as xr

import cascade
from cascade.archive import read_archive
from cascade.errors import UnknownNameError, ValueSettingError
from cascade.export.citations import citations
from cascade.export.omex import PRECISE, write_omex
from cascade.export.sedml import ambiguous, report_symbols, scan_values, scanned_constant, standard_analyses, starts
from cascade.simulate import DAYS_PER_YEAR
from cascade.specs import Model

YEARS, POINTS = 2.0, 25

TELLURIUM = """
import json, sys
import libsedml, libcombine
import matplotlib
matplotlib.use("Agg")
import numpy as np
import tellurium
from tellurium.sedml.tesedml import executeCombineArchive
tellurium.setDefaultPlottingEngine("matplotlib")
report = {}
for path in sys.argv[1:]:
    archive = libcombine.CombineArchive()
    assert archive.initializeFromArchive(path), path
    about = archive.getMetadataForLocation(".")
    document = libsedml.readSedMLFromString(archive.extractEntryToString("./simulation.sedml"))
    results = executeCombineArchive(path, createOutputs=False)
    (run,) = results.values()
    np.savez(path + ".npz", **run["dataGenerators"])
    report[path] = {
        "faults": [document.getError(i).getMessage() for i in range(document.getNumErrors())],
        "level": [document.getLevel(), document.getVersion()],
        "master": archive.getMasterFile().getLocation(),
        "entries": [archive.getEntry(i).getLocation() for i in range(archive.getNumEntries())],
        "created": about.getCreated().getDateAsString(),
        "creators": [about.getCreator(i).getOrganization() for i in range(about.getNumCreators())],
    }
    archive.cleanUp()
print(json.dumps(report))
"""

COPASI = """
import json, os, sys
import COPASI
report = {}
for path in sys.argv[1:]:
    data = COPASI.CRootContainer.addDatamodel()
    assert data.openCombineArchive(path), COPASI.CCopasiMessage.getAllMessageText()
    method = data.getTask("Time-Course").getMethod()
    report[path] = [method.getParameter(f"{kind} Tolerance").getDblValue() for kind in ("Relative", "Absolute")]
    for name in ("Time-Course", "Scan"):
        task = data.getTask(name)
        task.getReport().setTarget(f"{path}.{name}.csv")
        task.getReport().setAppend(False)
        assert task.initialize(COPASI.CCopasiTask.OUTPUT_UI) and task.process(True), name
        task.restore()
print(json.dumps(report))
"""


def child(script: str, paths: list[Path]) -> dict[str, object]:
    """Run a script in a process of its own: libSEDML must not meet our libSBML."""
    ran = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return found


def module(name: str) -> Model:
    return cascade.compose(cascade.load_module(name))


def dosed() -> Model:
    """A model with a drug in a window, one from the beginning on, and one that never stops."""
    return cascade.treat(
        module("pdl1_immune"),
        cascade.inhibit("k_die_cd8", by=0.5, start=30.0, stop=200.0),
        cascade.activate("k_prime", by=1.0, start=0.0, stop=100.0),
        cascade.inhibit("k_die_treg", by=0.3, start=0.0),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, tuple[Model, Path]]:
    folder = tmp_path_factory.mktemp("archives")
    models = {"plain": module("circulation"), "starts": module("wnt"), "dosed": dosed()}
    return {
        name: (model, write_omex(model, folder / f"{name}.omex", years=YEARS, points=POINTS))
        for name, model in models.items()
    }


@pytest.fixture(scope="module")
def told(made) -> dict[str, dict[str, object]]:
    return child(TELLURIUM, [path for _, path in made.values()])


@pytest.fixture(scope="module")
def tolerances(made) -> dict[str, list[float]]:
    return child(COPASI, [path for _, path in made.values()])


def ours(model: Model, names: list[str], **values: object) -> xr.Dataset:
    return cascade.simulate(model, years=YEARS, points=POINTS, record=names, solver=PRECISE, values=values)


def agree(runs: xr.DataArray, found: np.ndarray, tolerance: float) -> None:
    """Compare; a share is computed from numbers of order 1, so that it has their error, whatever is left of it."""
    expected = runs.values
    error = PRECISE.relative_tolerance if runs.attrs["units"] == "dimensionless" else PRECISE.absolute_tolerance
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=error + 1e-3 * tolerance * np.abs(expected).max())


CASES = ("plain", "starts", "dosed")


@pytest.mark.parametrize("name", CASES)
def test_libsedml_and_libcombine_read_the_archive_without_a_fault(made, told, name):
    model, path = made[name]
    found = told[str(path)]
    assert found["faults"] == []
    assert found["level"] == [1, 4]
    assert found["master"] == "./simulation.sedml"
    assert set(found["entries"]) >= {f"./{model.name}.xml", "./README.md", "./simulation.sedml"}
    assert found["created"] == "1980-01-01T00:00:00Z"
    assert found["creators"] == ["The cascade developers"]


@pytest.mark.parametrize("name", CASES)
def test_tellurium_executes_the_time_course_with_our_numbers(made, told, name):
    model, path = made[name]
    names = list(report_symbols(model))
    runs, theirs = ours(model, names), np.load(f"{path}.npz")
    np.testing.assert_allclose(theirs["course_time"][:, 0], runs["time"].values)
    for each in names:
        agree(runs[each], theirs[f"course_{each}"][:, 0], 1e-5)


@pytest.mark.parametrize("name", CASES)
def test_tellurium_executes_the_scan_with_our_numbers(made, told, name):
    model, path = made[name]
    constant = scanned_constant(model)
    values = scan_values(model, constant)
    theirs = np.load(f"{path}.npz")
    names = [key.removeprefix("scan_") for key in theirs if key.startswith("scan_") and key != "scan_time"]
    assert names
    runs = ours(model, names, **{constant: xr.DataArray(list(values), dims="value")})
    for each in names:
        agree(runs[each].transpose("time", "value"), theirs[f"scan_{each}"], 1e-5)
    if name == "starts":  # a module at rest, whose only constant without start values is its speed
        return
    changed = max(float(runs[each].std("value").max() / (abs(runs[each]).max() + 1e-30)) for each in names)
    assert changed > 1e-6, "the scan changes nothing, so its test proves nothing"


@pytest.mark.parametrize("name", CASES)
def test_copasi_opens_and_runs_the_archive_with_our_numbers(made, tolerances, name):
    model, path = made[name]
    assert tolerances[str(path)] == [PRECISE.relative_tolerance, PRECISE.absolute_tolerance]
    names = list(report_symbols(model))
    runs = ours(model, names)
    lines = Path(f"{path}.Time-Course.csv").read_text().splitlines()
    assert [word.strip() for word in lines[0].split(",")][:-1] == ["time", *names]
    table = np.array([[float(cell) for cell in line.split(",")[:-1]] for line in lines[1:] if line])
    np.testing.assert_allclose(table[:, 0], runs["time"].values, rtol=1e-5)
    for column, each in enumerate(names, start=1):
        agree(runs[each], table[:, column], 1e-4)


def test_copasi_scans_with_our_numbers(made, tolerances):
    model, path = made["dosed"]
    constant = scanned_constant(model)
    lines = Path(f"{path}.Scan.csv").read_text().splitlines()
    names = [word.strip() for word in lines[0].split(",")][1:-1]
    rows = [line for line in lines if line and not line.startswith("time")]
    table = np.array([[float(cell) for cell in line.split(",")[:-1]] for line in rows])
    runs = ours(model, names, **{constant: xr.DataArray(list(scan_values(model, constant)), dims="value")})
    for column, each in enumerate(names, start=1):
        agree(runs[each].transpose("value", "time"), table[:, column].reshape(-1, POINTS), 1e-4)


def test_the_scan_of_a_treated_model_is_the_strength_of_its_first_treatment_that_can_be_scanned():
    assert scanned_constant(dosed()) == "factor_on_k_die_cd8"
    at_once = cascade.treat(module("circulation"), cascade.inhibit("f_escape", by=0.5))
    assert not scanned_constant(at_once).startswith("factor_on_")


def test_a_constant_on_which_start_values_depend_is_not_scanned():
    model = module("emt")
    fixed = next(row.id for row in model.parameters if row.id in starts(model.flat))
    with pytest.raises(ValueSettingError, match="start values of 'emt' depend on it"):
        scanned_constant(model, fixed)
    assert scanned_constant(model) not in starts(model.flat)
    with pytest.raises(UnknownNameError):
        scanned_constant(model, "no_such_constant")


def test_the_same_model_makes_the_same_bytes(tmp_path, monkeypatch):
    model = module("circulation")
    first = write_omex(model, tmp_path / "a.omex").read_bytes()
    assert write_omex(module("circulation"), tmp_path / "b.omex").read_bytes() == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = write_omex(model, tmp_path / "c.omex")
    assert dated.read_bytes() != first
    with zipfile.ZipFile(dated) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}
        assert b"2023-11-14T22:13:20Z" in archive.read("metadata.rdf")


@pytest.mark.parametrize("wrong", ["", "today", "-1", "1e9"])
def test_a_date_that_is_none_is_refused(tmp_path, monkeypatch, wrong):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
    with pytest.raises(ValueSettingError, match="SOURCE_DATE_EPOCH"):
        write_omex(module("circulation"), tmp_path / "a.omex")
    assert list(tmp_path.iterdir()) == []


def test_the_archive_holds_the_model_that_was_simulated_and_says_so(made):
    model, path = made["dosed"]
    assert read_archive(path) == {"pdl1_immune.xml": model.flat}
    with zipfile.ZipFile(path) as archive:
        text = archive.read("metadata.rdf").decode()
        readme = archive.read("README.md").decode()
    assert f"sha256:{model.hash}" in text
    assert "apache.org/licenses/LICENSE-2.0" in text
    assert "inhibit k_die_cd8 by 0.5" in text and "inhibit k_die_cd8 by 0.5" in readme
    cited = citations(model)
    assert {source.key for source in cited} == {key for row in model.parameters for key in row.source}
    assert all(f"https://doi.org/{source.doi}" in text for source in cited if source.doi)
    assert sum(bool(source.title) for source in cited) == len(cited)


def test_every_reference_of_the_sedml_is_there():
    model = module("primary_tumor")
    root = xml.fromstring(standard_analyses(model, "model.xml", days=DAYS_PER_YEAR, points=13, solver=PRECISE))
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    for name in ("taskReference", "modelReference", "simulationReference", "dataReference", "xDataReference", "task"):
        assert {each.get(name) for each in root.iter() if each.get(name)} <= set(ids), name
    targets = [each.get("target") for each in root.iter() if each.get("target")]
    document = xml.fromstring(model.flat)
    space = {"sbml": "http://www.sbml.org/sbml/level3/version2/core"}
    assert targets
    assert all(document.find(target.replace("/sbml:sbml/", "./"), space) is not None for target in targets)


def test_amounts_that_tools_read_as_concentrations_are_left_out(make_model, tmp_path):
    model = make_model("""
        compartment box = 5;
        substanceOnly species x in box; x = 10;
        species y in box; y = 3;
        k = 0.1; J1: x -> ; k*x; J2: y -> ; k*y*box;
    """)
    assert ambiguous(model) == ("x",)
    assert report_symbols(model) == ("y",)
    with zipfile.ZipFile(write_omex(model, tmp_path / "a.omex", years=1, points=3)) as archive:
        assert "- `x`" in archive.read("README.md").decode()


@pytest.mark.slow
def test_a_composition_runs_in_tellurium_and_copasi_with_our_numbers_treated_and_not(tmp_path):
    """Its compact form is run: libRoadRunner needs minutes to compile the whole."""
    whole = cascade.compose(cascade.load_composition("breast_lite"))
    drug = cascade.inhibit("emt.v_transcribe_zeb1", by=0.5, start=100.0, stop=500.0)
    models = {tmp_path / "whole.omex": whole, tmp_path / "treated.omex": cascade.treat(whole, drug)}
    for path, model in models.items():
        write_omex(model, path, years=YEARS, points=POINTS)
    with zipfile.ZipFile(tmp_path / "whole.omex") as archive:
        assert archive.read("breast_lite_comp.xml").decode() == whole.hierarchical
        assert archive.read("breast_lite.xml").decode() == whole.flat
    assert list(read_archive(tmp_path / "treated.omex")) == ["breast_lite.xml", "breast_lite_compact.xml"]
    # COPASI takes seconds for a run of the compact form, libRoadRunner milliseconds; its scan is tested above.
    child(COPASI.replace('("Time-Course", "Scan")', '("Time-Course",)'), list(models))
    child(TELLURIUM, list(models))
    for path, model in models.items():
        names = list(report_symbols(model))
        runs, theirs = ours(model, names), np.load(f"{path}.npz")
        lines = Path(f"{path}.Time-Course.csv").read_text().splitlines()
        table = np.array([[float(cell) for cell in line.split(",")[:-1]] for line in lines[1:] if line])
        for column, name in enumerate(names, start=1):
            agree(runs[name], table[:, column], 1e-4)
            agree(runs[name], theirs[f"course_{name}"][:, 0], 1e-5)
