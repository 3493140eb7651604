"""The package as a whole: public names, a fast import, errors of one tree, hostile files, and the wheel."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from folders import make_module

import cascade
from cascade import _sbml, errors
from cascade.errors import SBMLError

ROOT = Path(__file__).parents[1]
HEAVY = {"numpy", "scipy", "matplotlib", "pandas", "xarray", "roadrunner", "libsbml", "antimony", "SALib", "tellurium"}


def test_public_names_are_sorted_and_exist():
    assert cascade.__all__ == sorted(cascade.__all__)
    for name in cascade.__all__:
        assert getattr(cascade, name).__doc__, name


def test_a_verb_is_not_hidden_by_the_file_of_its_name():
    code = "import cascade.simulate, cascade.compose, cascade.check, cascade; assert callable(cascade.simulate)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_loads_nothing_heavy():
    code = "import sys, cascade; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert HEAVY.isdisjoint(loaded)


def test_tellurium_can_be_imported_where_it_is_used():
    """Its undeclared dependency (six) is declared here."""
    from importlib.metadata import requires

    names = {requirement.split(">")[0] for requirement in requires("metastatic-cascade")}
    assert {"tellurium", "six"} <= names
    import six  # noqa: F401


# Errors that never leave their file, where the text of the error is made; and what typer and Python themselves ask for.
KEPT_INSIDE = {
    "_amici.py": {"RuntimeError"},
    "_stopping.py": {"Stopped"},
    "clinical_tests.py": {"NotImplementedError"},
    "archive.py": {"BadZipFile"},
    "_certify.py": {"Exit"},
    "_external.py": {"file_error"},
    "measures.py": {"TypeError"},
    "scales.py": {"Mixed"},
    "terms.py": {"Mixed"},
    "_files.py": {"IsADirectoryError", "kind", "file_error"},
    "_tables.py": {"kind"},
    "_flows.py": {"TypeError", "_bent"},
    "__init__.py": {"AttributeError"},
    "_starts.py": {"_UnknownError"},
    "_models.py": {"Exit"},
    "empty_sums.py": {"_UnknownError"},
    "engine.py": {"StepBudgetError"},
    "quasi_steady.py": {"_NotLinearError"},
    "template.py": {"TypeError", "ValueError"},
}


def test_every_error_that_is_raised_on_purpose_is_of_one_tree():
    tree = {name for name in dir(errors) if isinstance(getattr(errors, name), type)} | {"unknown_name"}
    for path in sorted((ROOT / "cascade").rglob("*.py")):
        allowed = tree | KEPT_INSIDE.get(path.name, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                name = getattr(raised, "id", getattr(raised, "attr", ""))
                assert name in allowed, f"{path.name}:{node.lineno} raises {name}"


HOSTILE = {
    "doctype": ("<!DOCTYPE sbml [<!ENTITY a 'x'>]><sbml/>", "DOCTYPE"),
    "deep": ("<a>" * 600 + "</a>" * 600, "nested deeper than 500"),
    "long id": (f'<sbml><model id="{"x" * 300}"/></sbml>', "an id of 300 characters"),
    "not xml": ("hello", "not well-formed"),
    "truncated": ("<sbml><model>", "not well-formed"),
    "external": ('<sbml><comp:externalModelDefinition xmlns:comp="x" source="../x.xml"/></sbml>', "another file"),
    "empty": ("", "not well-formed"),
    "no model": ('<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"/>', "no model"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_never_reaches_a_parser_that_it_could_crash(name):
    text, message = HOSTILE[name]
    with pytest.raises(SBMLError, match=message):
        _sbml.read_document(text, "file.xml")


def test_an_id_that_stands_twice_is_an_error_not_a_crash(tmp_path):
    """libRoadRunner 2.10 ends the process on such a document."""
    folder = make_module(tmp_path, "source")
    path = folder / "source.xml"
    path.write_text(path.read_text().replace('id="lose"', 'id="make"'))
    with pytest.raises(SBMLError, match="make"):
        cascade.compose(cascade.load_module(folder))


@pytest.mark.slow
def test_the_wheel_works_outside_the_repository(tmp_path):
    """Built, unpacked into an empty folder and run from there: the models are inside."""
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True)
    wheel = next(tmp_path.glob("*.whl"))
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    assert "cascade/sbml_models/tgf_beta/tgf_beta.xml" in names
    assert not [name for name in names if name.startswith("tests/")]
    code = (
        "import cascade, pathlib;"
        f"assert pathlib.Path(cascade.__file__).is_relative_to({str(site)!r});"
        "from cascade.catalogue import library_folder;"
        f"assert library_folder().is_relative_to({str(site)!r});"
        "print(cascade.simulate(cascade.compose(cascade.load_module('tgf_beta')), days=1)['status'].item())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(site)},
    )
    assert done.stdout.strip() == "ok"
