"""The builder: structure and table become SBML; the committed SBML is what they give."""

from __future__ import annotations

import re

import libsbml
import pytest
from folders import ROWS, SOURCE, make_module, number

import cascade
from cascade import _sbml
from cascade.build import build_module, check_build
from cascade.catalogue import library_folder, module_folder
from cascade.errors import ModuleError

MODULES = cascade.module_names()


@pytest.mark.parametrize("name", MODULES)
def test_committed_sbml_is_what_structure_and_table_give(name):
    folder = module_folder(name)
    assert build_module(folder) == (folder / f"{name}.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODULES)
def test_shipped_module_has_no_finding(name):
    report = cascade.check(name)
    assert report.issues == ()
    assert report.grades["species with an identifier"] > 0.5


@pytest.mark.parametrize("name", MODULES)
def test_structure_holds_structural_integers_only(name):
    text = (library_folder() / name / f"{name}.ant").read_text(encoding="utf-8")
    body = re.sub(r"//.*|\"[^\"]*\"|sboTerm\s*=\s*\d+", "", text)
    found = set(re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])", body))
    assert found <= {str(integer) for integer in range(16)}, found


@pytest.mark.parametrize("name", MODULES)
def test_every_port_says_direction_and_unit(name):
    module = cascade.load_module(name)
    inputs = {row.id for row in module.parameters}
    assert {port.direction for port in module.ports} == {"in", "out"}
    for port in module.ports:
        assert port.unit
        assert (port.direction == "in") == (port.id in inputs)


def test_units_terms_and_genes_are_written(tmp_path):
    rows = [
        number("k_make", 1, "dimensionless"),
        number("v_make", 2, "nM_per_day", gene="TGFB1;TGFB2"),
        *ROWS["source"][2:],
    ]
    make_module(tmp_path, "source", rows=rows)
    model = _sbml.read_document((tmp_path / "source/source.xml").read_text(), "source").getModel()
    assert model.getTimeUnits() == "day"
    assert model.getParameter("v_make").getUnits() == "nM_per_day"
    assert model.getSpecies("c_a").getSubstanceUnits() == "nmole"
    assert model.getParameter("k_lose").getSBOTermID() == "SBO:0000009"
    genes = model.getParameter("v_make").getCVTerm(0)
    assert genes.getResourceURI(1) == "https://identifiers.org/hgnc.symbol:TGFB2"
    assert genes.getBiologicalQualifierType() == libsbml.BQB_IS_PROPERTY_OF


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("k_lose*c_a", "k_gone*c_a", "k_gone is used in the structure but has no row"),
        ("c_a has nM; ", "", "species c_a has no unit"),
        ("c_a has nM; ", "c_a has cell; ", "species c_a is a concentration in cell"),
        ("a_full has dimensionless;", "", "a_full has no unit"),
        ("k_lose*c_a", "k_lose*c_a; k_lose = 0.5", "k_lose has a number in the structure"),
        ("model source", "model other", "has no `model source"),
        ("species c_a in tissue;", "species c_a in ;", "source.ant"),
    ],
)
def test_a_faulty_structure_is_refused_with_the_reason(tmp_path, old, new, message):
    assert old in SOURCE
    with pytest.raises(ModuleError, match=re.escape(message)):
        make_module(tmp_path, "source", SOURCE.replace(old, new))


def test_a_row_that_the_structure_does_not_use_is_refused(tmp_path):
    with pytest.raises(ModuleError, match=r"k_idle has a row in parameters.tsv but"):
        make_module(tmp_path, "source", rows=[*ROWS["source"], number("k_idle", 1, "per_day")])


def test_a_unit_error_is_found_by_the_strict_check(tmp_path):
    rows = [*ROWS["source"][:2], number("k_lose", 0.5, "nM_per_day"), ROWS["source"][3]]
    make_module(tmp_path, "source", rows=rows)
    issues = check_build(tmp_path / "source")
    assert any(issue.severity == "error" and "unit" in issue.what for issue in issues)


def test_a_stale_document_is_found(tmp_path):
    folder = make_module(tmp_path, "source")
    path = folder / "source.xml"
    path.write_text(path.read_text().replace('value="0.5"', 'value="0.6"'))
    with pytest.raises(ModuleError, match=r"'k_lose' differs between source.xml and parameters.tsv"):
        cascade.load_module(folder)
    assert any("cascade build" in issue.fix for issue in cascade.check(folder).issues)


def test_a_module_needs_its_files(tmp_path):
    with pytest.raises(cascade.CascadeError, match=r"no module 'tgf_bta'.*did you mean 'tgf_beta'"):
        cascade.load_module("tgf_bta")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModuleError, match=r"has no empty.xml; run `cascade build"):
        cascade.load_module(tmp_path / "empty")
