"""The builder: structure and table become SBML; the committed SBML is what they give."""

from __future__ import annotations

import re

import libsbml
import pytest
from folders import ROWS, SOURCE, make_module, number

import cascade
from cascade import _sbml
from cascade.build import build_module, check_build, module_options
from cascade.catalogue import library_folder, module_folder
from cascade.errors import CascadeError, ModuleError
from cascade.template import MOST_ROUNDS, render, template_options

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
    text = render((library_folder() / name / f"{name}.ant").read_text(encoding="utf-8"), {}, name)
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


CHAIN = """{% set n_steps = n_steps | default(3) %}
{{ require(n_steps >= 2, "n_steps must be at least 2") }}
model chain(k_step, c_{{ n_steps }})
  compartment tissue = 1;
{% for i in range(1, n_steps + 1) %}
  species c_{{ i }} in tissue; c_{{ i }} has nM; c_{{ i }} = {{ "init_c" if loop.first else 0 }};
{% endfor %}
{% for i in range(1, n_steps) %}
  step_{{ i }}: c_{{ i }} => c_{{ i + 1 }}; tissue*k_step*c_{{ i }};
{% endfor %}
end
"""
CHAIN_ROWS = [number("k_step", 1, "per_day"), number("init_c", 1, "nM")]


@pytest.fixture
def chain(tmp_path):
    return make_module(tmp_path, "chain", CHAIN, CHAIN_ROWS)


def species(text):
    document = _sbml.read_document(text, "chain")
    return sorted(each.getId() for each in document.getModel().getListOfSpecies())


def test_a_template_builds_its_default_and_any_other_size_in_memory(chain):
    assert module_options(chain) == {"n_steps": 3}
    default = cascade.load_module(chain)
    assert species(default.sbml) == ["c_1", "c_2", "c_3"] and default.options == {}
    assert cascade.load_module(chain, n_steps=3) == default, "the default comes from the file"
    longer = cascade.load_module(chain, n_steps=5)
    assert species(longer.sbml)[-1] == "c_5" and longer.options == {"n_steps": 5}
    assert [port.id for port in longer.ports] == ["k_step", "c_5"]
    assert (chain / "chain.xml").read_text() == default.sbml, "nothing is written"
    assert check_build(chain) == [] and cascade.check(chain, structure={"chain": {"n_steps": 4}}).ok
    result = cascade.simulate(cascade.compose(longer), days=60, points=2)
    assert float(result["c_5"][-1]) == pytest.approx(1, abs=1e-6)


def test_a_composition_says_which_size_it_wants_and_a_caller_may_differ(chain):
    folder = chain.parent / "pair"
    folder.mkdir()
    (folder / "composition.toml").write_text('[instances]\na = "../chain"\n[structure]\nchain = {n_steps = 4}\n')
    assert cascade.load_composition(folder).instances["a"].options == {"n_steps": 4}
    given = cascade.load_composition(folder, structure={"chain": {"n_steps": 2}})
    assert "a__c_2" in cascade.compose(given).ids and "a__c_3" not in cascade.compose(given).ids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_step": 4}, "no option 'n_step' in chain.ant; did you mean 'n_steps'"),
        ({"n_steps": 4.0}, "option 'n_steps' is 4.0; give an integer"),
        ({"n_steps": 3.0}, "option 'n_steps' is 3.0; give an integer"),
        ({"n_steps": True}, "option 'n_steps' is True; give an integer"),
        ({"n_steps": "4"}, "option 'n_steps' is '4'; give an integer"),
        ({"n_steps": -1}, "give an integer between 0 and 200"),
        ({"n_steps": 10**9}, "give an integer between 0 and 200"),
        ({"n_steps": 1}, "chain.ant: n_steps must be at least 2"),
    ],
)
def test_a_wrong_option_is_refused(chain, options, message):
    with pytest.raises(CascadeError, match=re.escape(message)):
        cascade.load_module(chain, **options)


def test_a_module_without_a_template_has_no_options(tmp_path):
    folder = make_module(tmp_path, "source")
    assert module_options(folder) == {}
    with pytest.raises(CascadeError, match=r"no option 'n' in source.ant; there is none"):
        cascade.load_module(folder, n=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ n }}", "'n' has no value; give the option a default"),
        ("{% set n = n | default('a') %}", "with an integer as its default"),
        ("{% for i in range(3) %}", "line 1: the template cannot be read"),
        ("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "nested too deeply"),
        ("{% for i in range(10**9) %}{% endfor %}", "it may not use pow"),
        ("{% for i in range(1000000000) %}{% endfor %}", "a range of 1000000000 integers"),
        (
            "{% for i in range(200) %}{% for j in range(200) %}{% endfor %}{% endfor %}",
            f"more than {MOST_ROUNDS} rounds",
        ),
        ("{% for i in range(9) %}" + "x" * 999_999 + "{% endfor %}", "writes more than"),
        ("{{ 'a'*999999999 }}", "only integers can be combined"),
        ("{% set a = 999999 %}{{ a*a*a*a }}", "is larger than"),
        ("{{ 1//0 }}", "cannot be rendered"),
        ("{{ [1, 2] }}", "is neither an integer nor text"),
        ("{{ ''.__class__ }}", "it may not use getattr '__class__'"),
        ("{{ ''['__class__'] }}", "is unsafe"),
        ("{% for i in [1] %}{{ loop['__init__'] }}{% endfor %}", "cannot be rendered"),
        ("{% include '/etc/passwd' %}", "it may not use include"),
        ("{% import 'x' as y %}", "it may not use import"),
        ("{% macro f() %}{{ f() }}{% endmacro %}", "it may not use macro"),
        ("{{ 'a' | upper }}", "it may not use filter 'upper'"),
        ("{{ lipsum() }}", "it may not use call 'lipsum'"),
        ("{{ cycler }}", "'cycler' has no value"),
        ("{% set range = 3 %}", "it may not use name 'range'"),
    ],
)
def test_a_template_of_a_stranger_can_only_count(text, message):
    with pytest.raises(ModuleError, match=re.escape(message)):
        render(text, {}, "stranger.ant")


def test_a_text_without_marks_is_no_template():
    assert template_options(SOURCE, "source.ant") == {} and render(SOURCE, {}, "source.ant") == SOURCE
