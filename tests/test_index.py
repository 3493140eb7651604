"""Index sets: one file stands for any number of clones and organs; who is left out takes along what belongs to it."""

from __future__ import annotations

import re
import time
from pathlib import Path

import libsbml
import numpy as np
import pytest
from folders import make_module, number
from hypothesis import given, settings
from hypothesis import strategies as st

import cascade
from cascade import _sbml
from cascade.assembly import assemble
from cascade.composition_file import read_composition
from cascade.empty_sums import without_empty_sums
from cascade.errors import CascadeError, CompositionError, UnknownNameError, ValueSettingError
from cascade.evidence import check_parameters, write_parameters
from cascade.expansion import expand, placeholders, resolve_sets
from cascade.target_table import Target, parse_acts, resolve_acts

BODY = """
[index]
organ = ["bone", "lung"]
clone = ["one", "two"]
extra = ["late"]
lineage = ["{clone}", "{extra}"]
[instances]
"{lineage}" = "../source"
"{organ}_{lineage}" = "../sink"
whole = "../sink"
[groups]
sources = ["{lineage}"]
extras = ["{extra}"]
"{organ}_cells" = ["{organ}_{lineage}"]
cells = ["{organ}_{lineage}"]
[joins]
"{organ}_{lineage}.c_in" = "{lineage}.c_a"
"{organ}_cells.a_in" = "w_{organ}*sum(sources.a_full)"
"whole.c_in" = "sum(sources.c_a) + sum(extras.c_a)"
"whole.a_in" = "sum(extras.a_full)"
"""
WEIGHTS = [number("w_bone", 2, "dimensionless"), number("w_lung", 3, "dimensionless")]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """A folder with the modules, built once."""
    folder = tmp_path_factory.mktemp("modules")
    for name in ("source", "sink"):
        make_module(folder, name)
    return folder


@pytest.fixture
def write(modules, tmp_path):
    """Return a function that writes a composition beside links to the modules."""
    for name in ("source", "sink"):
        (tmp_path / name).symlink_to(modules / name, target_is_directory=True)

    def write(text: str = BODY, rows=(), name: str = "body") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "composition.toml").write_text(text)
        (folder / "parameters.tsv").unlink(missing_ok=True)
        if rows:
            write_parameters(folder / "parameters.tsv", list(rows))
        return folder

    return write


def joins(composition) -> dict[str, str]:
    return {join.reader: join.formula for join in composition.joins}


def test_placeholders_run_over_their_sets_and_bind_across_a_join(write):
    composition = cascade.load_composition(write(BODY, WEIGHTS))
    lineages = ("one", "two", "late")
    assert composition.index["lineage"] == lineages
    cells = tuple(f"{organ}_{lineage}" for organ in ("bone", "lung") for lineage in lineages)
    assert tuple(composition.instances) == (*lineages, *cells, "whole")
    assert composition.groups["cells"] == cells and composition.groups["lung_cells"] == cells[3:]
    found = joins(composition)
    assert [found[f"{cell}.c_in"] for cell in cells] == [f"{lineage}.c_a" for lineage in lineages] * 2
    assert found["lung_cells.a_in"] == "w_lung*sum(sources.a_full)"


def test_an_expanded_composition_is_the_one_written_by_hand(write):
    by_hand = """
    [instances]
    one = "../source"
    bone_one = "../sink"
    lung_one = "../sink"
    whole = "../sink"
    [joins]
    "bone_one.c_in" = "one.c_a"
    "lung_one.c_in" = "one.c_a"
    "bone_one.a_in" = "w_bone*one.a_full"
    "lung_one.a_in" = "w_lung*one.a_full"
    "whole.c_in" = "one.c_a"
    """
    short = cascade.load_composition(write(BODY, WEIGHTS), index={"clone": ["one"], "extra": []})
    there = cascade.compose(cascade.load_composition(write(by_hand, WEIGHTS, "hand")))
    here = cascade.compose(short)
    assert set(here.table) == set(there.table)
    for text in (here.flat, here.hierarchical):
        assert _sbml.check_document(libsbml.readSBMLFromString(text), "body") == []
    record = ["lung_one__c_b", "whole__c_b"]
    first, second = (cascade.simulate(model, days=9, points=4, record=record) for model in (here, there))
    for name in record:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-6)


def test_members_that_are_left_out_take_their_values_and_joins_with_them(write):
    text = BODY.replace('"{organ}_cells.a_in" = "w_{organ}*sum(sources.a_full)"', '"bone_cells.a_in" = "one.a_full"')
    text += '"lung_two.a_in" = "one.a_full"\n"one.k_make" = "lung_two.c_b"\n'
    rows = [number("lung_two.k_lose", 9, "per_day"), number("{organ}_one.k_lose", 8, "per_day")]
    rows += [number("lung_cells.k_gain", 7, "per_day"), number("two.v_make", 6, "nM_per_day")]
    folder = write(text, rows)
    whole = cascade.load_composition(folder)
    assert whole.overrides["lung_two.k_lose"].nominal == 9 and whole.overrides["lung_late.k_gain"].nominal == 7
    part = cascade.load_composition(folder, index={"organ": ["bone"]})
    assert set(part.overrides) == {"bone_one.k_lose", "two.v_make"}
    assert not {"lung_two.a_in", "one.k_make", "lung_cells.a_in"} & set(joins(part))
    assert "lung_cells" not in part.groups
    fewer = cascade.load_composition(folder, index={"clone": ("one",)})
    assert set(fewer.overrides) == {"bone_one.k_lose", "lung_one.k_lose", "lung_one.k_gain", "lung_late.k_gain"}


def test_a_formula_of_several_terms_does_not_lose_one_silently(write):
    folder = write(BODY.replace("sum(extras.c_a)", "two.c_a"), WEIGHTS)
    assert joins(cascade.load_composition(folder))["whole.c_in"] == "sum(sources.c_a) + two.c_a"
    with pytest.raises(CompositionError, match=r"'two' is left out by an index set; put it into a group and write sum"):
        cascade.load_composition(folder, index={"clone": ["one"]})


def test_a_constant_goes_with_the_join_that_alone_used_it_and_no_other(write):
    folder = write(BODY, [*WEIGHTS, number("w_idle", 1, "dimensionless")])
    part = cascade.load_composition(folder, index={"organ": ["lung"]})
    assert [row.id for row in part.parameters] == ["w_lung", "w_idle"], "w_idle was never used: a finding of the check"


def test_a_constant_for_each_member(write):
    composition = cascade.load_composition(write(BODY, [number("w_{organ}", 2, "dimensionless")]))
    assert [row.id for row in composition.parameters] == ["w_bone", "w_lung"]
    with pytest.raises(CompositionError, match=r"parameter 'w_bone' is there twice"):
        rows = [number("w_{organ}", 2, "dimensionless"), *WEIGHTS]
        _ = cascade.load_composition(write(BODY, rows)).parameters


def test_a_new_member_comes_with_the_values_of_the_module(write):
    composition = cascade.load_composition(write(BODY, WEIGHTS), index={"clone": ["one", "three"]})
    assert "lung_three" in composition.instances and "two" not in composition.instances
    assert cascade.compose(composition).parameter("lung_three.k_gain").nominal == 0.3


@pytest.mark.parametrize(
    ("formula", "left"),
    [
        ("sum(extras.c_a)", None),
        ("w_bone*sum(extras.c_a)", None),
        ("one.c_a + sum(extras.c_a)", "one.c_a"),
        ("sum(sources.c_a) - w*sum(extras.c_a)", "sum(sources.c_a)"),
        ("sum(extras.c_a) - one.c_a", "-one.c_a"),
        ("-(one.c_a + sum(extras.c_a))", "-one.c_a"),
        ("w*(one.c_a + sum(extras.c_a))/(two.c_a + sum(extras.a_b))", "w * one.c_a / two.c_a"),
        ("exp(one.c_a) + sum(extras.c_a)", "exp(one.c_a)"),
        ("sum(sources.c_a)", "sum(sources.c_a)"),
    ],
)
def test_the_sum_over_nobody_is_no_term(formula, left):
    assert without_empty_sums(formula, {"extras"}, "join") == left


@pytest.mark.parametrize("formula", ["one.c_a/sum(extras.c_a)", "exp(sum(extras.c_a))", "one.a_b^sum(extras.a_b)"])
def test_the_sum_over_nobody_as_anything_else_says_what_to_do(formula):
    with pytest.raises(CompositionError, match=r"is neither a term nor a factor; keep a member in the index set"):
        without_empty_sums(formula, {"extras"}, "join")


def test_an_input_without_writers_keeps_its_default(write):
    folder = write(BODY, WEIGHTS)
    assert joins(cascade.load_composition(folder))["whole.a_in"] == "sum(extras.a_full)"
    part = cascade.load_composition(folder, index={"extra": []})
    assert "whole.a_in" not in joins(part) and joins(part)["whole.c_in"] == "sum(sources.c_a)"
    assert "whole__a_in" in cascade.compose(part).table


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"{organ}_{lineage}" = "../sink"', '"{organs}_{lineage}" = "../sink"', "no index set 'organs'"),
        ("w_{organ}*sum(", "w_{clone}*sum(", "{clone} stands on the right side only"),
        ('"{lineage}.c_a"', '"{tissue}.c_a"', "no index set 'tissue'"),
        ('"{lineage}.c_a"', '"{lineage}}.c_a"', "a brace stands alone"),
        ('["bone", "lung"]', '["bone", "bone"]', "index set 'organ' has bone twice"),
        ('["bone", "lung"]', '["Bone"]', "has the member 'Bone'; use lower snake case"),
        ('["bone", "lung"]', '["bone__a"]', "has the member 'bone__a'; use lower snake case"),
        ('["bone", "lung"]', '"bone"', "[index] organ must be a list of texts"),
        ('["bone", "lung"]', '["{organ}"]', "contain each other in a circle: organ in organ"),
        ('["bone", "lung"]', '["{nowhere}"]', "no index set 'nowhere'"),
        ("organ = [", "Organ_ = ['bone']\norgan = [", "the name of an index set is 'Organ_'"),
        ('["late"]', '["one"]', "index set 'lineage' has one twice"),
        ("whole = ", "organ = ", "'organ' is an index set and an instance"),
        ("whole = ", 'bone_one = "../sink"\nwhole = ', "instance 'bone_one' is there twice"),
        ('sources = ["{lineage}"]', 'sources = ["{lineage}", "one"]', "lists one twice"),
        ('sources = ["{lineage}"]', 'sources = ["{lineage}", "three"]', "must list instances and not be one"),
        ('cells = ["{organ}_{lineage}"]', 'bone_cells = ["bone_one"]', "group 'bone_cells' is there twice"),
        ("[joins]", "[structure]\nsink = 3\n[joins]", "[structure] sink must be a table"),
        ("[joins]", "[structure]\nnowhere = {n = 3}\n[joins]", "no module 'nowhere'"),
        ("[joins]", "[structure]\nsink = {n = 3}\n[joins]", "no option 'n' in sink.ant"),
        ("[joins]", "[quasi_steady]\nsinks = ['n_x']\n[joins]", "no module 'sinks'"),
        ("[joins]", "[quasi_steady]\nsink = 'n_x'\n[joins]", "[quasi_steady] sink must be a list"),
        ("\n[index]", "shared = ['cels']\n[index]", "shared group 'cels' must be a group"),
    ],
)
def test_a_faulty_set_says_what_is_wrong(write, old, new, message):
    assert old in BODY
    with pytest.raises(CascadeError, match=re.escape(message)):
        cascade.load_composition(write(BODY.replace(old, new), WEIGHTS))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"index": {"organs": ["bone"]}}, "no index set 'organs' in composition 'body'; did you mean 'organ'"),
        ({"index": {"organ": "bone"}}, "index set 'organ' is 'bone'; give a list of names"),
        ({"index": {"organ": [3]}}, "give a list of names"),
        ({"index": {"organ": ["bone", "bone"]}}, "has bone twice"),
        ({"structure": {"lesions": {"n": 3}}}, "no module 'lesions' in composition 'body'"),
        ({"structure": {"sink": {"n": 3}}}, "no option 'n' in sink.ant"),
        ({"structure": {"sink": 3}}, "structure of 'sink' is 3; give a mapping"),
    ],
)
def test_what_a_caller_gives_is_checked(write, given, message):
    with pytest.raises(CascadeError, match=re.escape(message)):
        cascade.load_composition(write(BODY, WEIGHTS), **given)


@pytest.mark.parametrize("name", ["brain_one.k_gain", "{clone}_bone.k_gain", "{organ}.k_gain"])
def test_a_value_for_an_instance_that_never_was_stays_an_error(write, name):
    composition = cascade.load_composition(write(BODY, [*WEIGHTS, number(name, 1, "per_day")]))
    with pytest.raises(CompositionError, match="no instance"):
        cascade.compose(composition)


def test_the_closest_value_wins(write):
    rows = [number("cells.k_gain", 1, "per_day"), number("lung_cells.k_gain", 2, "per_day")]
    rows += [number("{organ}_cells.k_grow", 1, "per_day"), number("{organ}_{lineage}.k_grow", 2, "per_day")]
    rows += [number("lung_{lineage}.k_lose", 3, "per_day"), number("lung_two.k_lose", 4, "per_day")]
    composition = cascade.load_composition(write(BODY, WEIGHTS + rows))
    value = {name: row.nominal for name, row in composition.overrides.items()}
    assert value["bone_one.k_gain"] == 1 and value["lung_one.k_gain"] == 2
    assert value["lung_one.k_grow"] == 1, "the group of one organ speaks of fewer instances than the row for all"
    assert value["lung_one.k_lose"] == 3 and value["lung_two.k_lose"] == 4
    alone = cascade.load_composition(write(BODY, WEIGHTS + rows), index={"organ": ["lung"]})
    assert alone.overrides["lung_one.k_gain"].nominal == 2, "who wins does not depend on how many members are there"


def test_values_that_cross_ask_for_a_decision(write):
    rows = [number("{organ}_one.k_gain", 1, "per_day"), number("lung_{lineage}.k_gain", 2, "per_day")]
    with pytest.raises(CompositionError, match=r"both give 'lung_one.k_gain' a value; write a row 'lung_one.k_gain'"):
        cascade.load_composition(write(BODY, WEIGHTS + rows))
    decided = [*rows, number("lung_one.k_gain", 3, "per_day")]
    assert cascade.load_composition(write(BODY, WEIGHTS + decided)).overrides["lung_one.k_gain"].nominal == 3


def test_a_shared_group_takes_a_value_for_all_its_members(write):
    rows = [number("cells.k_gain", 0.7, "per_day"), number("lung_two.k_gain", 0.9, "per_day")]
    folder = write("shared = ['cells', 'sources']\n" + BODY, WEIGHTS + rows)
    model = cascade.compose(cascade.load_composition(folder))
    assert model.id("bone_one.k_gain") == model.id("lung_late.k_gain") == "cells__k_gain"
    assert model.parameter("bone_one.k_gain").nominal == 0.7 and model.parameter("lung_two.k_gain").nominal == 0.9
    assert model.parameter("whole.k_gain").nominal == 0.3
    target = Target(target="t", name="t", acts_on=parse_acts("sink.k_gain:-"))
    assert {flat for flat, _ in resolve_acts(target, model)} == {"cells__k_gain", "lung_two__k_gain", "whole__k_gain"}
    alone = cascade.load_composition(folder, index={"organ": ["bone"], "clone": ["one"], "extra": []})
    lonely = cascade.compose(alone)
    assert lonely.id("bone_one.k_gain") == "cells__k_gain", "ids do not depend on the number of members"
    assert resolve_acts(Target(target="t", name="t", acts_on=parse_acts("bone_one.k_gain:-")), lonely)


def test_what_several_share_is_not_set_by_the_name_of_one(write):
    """It would change in the others too; the name of the group and that of an instance of its own value are fine."""
    rows = [number("cells.k_gain", 0.7, "per_day"), number("lung_two.k_gain", 0.9, "per_day")]
    model = cascade.compose(cascade.load_composition(write("shared = ['cells', 'sources']\n" + BODY, WEIGHTS + rows)))
    for name in ("bone_one.k_gain", "bone_one__k_gain"):
        with pytest.raises(ValueSettingError, match=r"instances share 'cells__k_gain' \(bone_one\.k_gain, "):
            cascade.simulate(model, days=1, values={name: 1.0})
        with pytest.raises(ValueSettingError, match="use 'cells__k_gain' for all of them"):
            cascade.treat(model, cascade.inhibit(name, by=0.5))
    for name in ("cells.k_gain", "cells__k_gain", "lung_two.k_gain"):
        assert (cascade.simulate(model, days=1, values={name: 1.0})["status"] == "ok").all()
        cascade.treat(model, cascade.inhibit(name, by=0.5))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (number("cells.k_gone", 1, "per_day"), "module 'sink' has no parameter 'k_gone'"),
        (number("cells.k_gain", 1, "nM"), "value of 'cells.k_gain' is in nM, but module 'sink' has per_day"),
        (number("cells.c_in", 1, "nM"), "cells.c_in is given a value and is also joined"),
    ],
)
def test_a_wrong_value_of_a_shared_group_is_refused(write, row, message):
    composition = cascade.load_composition(write("shared = ['cells']\n" + BODY, [*WEIGHTS, row]))
    with pytest.raises(CompositionError, match=re.escape(message)):
        cascade.compose(composition)


def test_a_composition_takes_over_what_it_extends(write):
    write('abstract = true\ntitle = "Base"\n' + BODY, [*WEIGHTS, number("{organ}_one.k_lose", 1, "per_day")], "base")
    own = """
    title = "Own"
    extends = "../base"
    [index]
    organ = ["lung", "skin"]
    [instances]
    more = "../source"
    [groups]
    whole_group = ["whole"]
    [joins]
    "whole.c_in" = "more.c_a"
    "whole.a_in" = ""
    """
    rows = [number("{organ}_one.k_lose", 2, "per_day"), number("w_skin", 4, "dimensionless")]
    composition = cascade.load_composition(write(own, rows, "own"))
    assert composition.title == "Own" and composition.bases == ("base",)
    assert "bone_one" not in composition.instances and "skin_late" in composition.instances
    assert joins(composition)["whole.c_in"] == "more.c_a" and "whole.a_in" not in joins(composition)
    assert composition.overrides["skin_one.k_lose"].nominal == 2
    assert {row.id for row in composition.parameters} == {"w_lung", "w_skin"}, "w_bone went with the organ"
    model = cascade.compose(composition)
    act = Target(target="t", name="t", acts_on=parse_acts("base.w_lung:-"))
    assert resolve_acts(act, model) == (("w_lung", "-"),), "targets may name the base"
    assert cascade.check(composition.path).ok


def test_structure_and_quasi_steady_species_are_taken_over(write):
    write("[structure]\nsink = {}\n[quasi_steady]\nsink = ['c_b']\nsource = ['c_a']\n" + BODY, WEIGHTS, "base")
    own = 'extends = "../base"\n[quasi_steady]\nsink = []\n'
    composition = cascade.load_composition(write(own, name="own"))
    assert composition.quasi_steady == {"sink": (), "source": ("c_a",)}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../body", "extend each other in a circle: body extends body"),
        ("../nowhere", "there is no such composition"),
        ("../../elsewhere", "which lies elsewhere"),
        ("/etc", "which lies elsewhere"),
    ],
)
def test_a_wrong_base_is_refused(write, name, message):
    with pytest.raises(CompositionError, match=re.escape(message)):
        cascade.load_composition(write(f'extends = "{name}"\n' + BODY))


def test_a_long_chain_of_bases_is_refused(write):
    write(BODY, WEIGHTS, "b0")
    for step in range(1, 7):
        last = write(f'extends = "../b{step - 1}"', name=f"b{step}")
    assert cascade.load_composition(last.parent / "b4").bases == ("b0", "b1", "b2", "b3")
    with pytest.raises(CompositionError, match=r"more than 4 compositions extend each other"):
        cascade.load_composition(last)


def test_a_base_is_not_listed_but_can_be_loaded_and_extended_by_name(write, monkeypatch, tmp_path):
    from cascade import library

    (tmp_path / "compositions").mkdir()
    write('title = "Base"\nabstract = true\n' + BODY.replace("../", "../../"), WEIGHTS, "compositions/base")
    write('extends = "base"\n', name="compositions/own")
    monkeypatch.setattr(library, "library_folder", lambda: tmp_path)
    assert library.composition_names() == ("own",)
    assert not library.is_module("base") and cascade.load_composition("base").title == "Base"
    own = cascade.load_composition("own")
    assert own.title == "" and own.bases == ("base",) and "bone_one" in own.instances


def test_templates_are_valid_ids_of_a_table(tmp_path):
    path = tmp_path / "parameters.tsv"
    write_parameters(path, [number("{organ}_{clone}.k_a", 1, "per_day"), number("w_{organ}", 1, "per_day")])
    assert check_parameters(path) == []
    write_parameters(path, [number("{Organ}.k_a", 1, "per_day"), number("a.k_{organ}", 1, "per_day")])
    assert len(check_parameters(path)) == 2


NAMES = st.lists(st.from_regex(r"[a-z]{1,3}(_[a-z0-9]{1,2})?", fullmatch=True), unique=True, max_size=4)


@given(sets=st.dictionaries(st.sampled_from("abcd"), NAMES, min_size=1), data=st.data())
def test_a_text_stands_for_the_product_of_its_sets(sets, data):
    used = data.draw(st.lists(st.sampled_from(sorted(sets)), min_size=1, max_size=3))
    text = "x_" + "_".join(f"{{{name}}}" for name in used)
    resolved = resolve_sets(sets, "here")
    found = list(expand(text, resolved, "here"))
    assert len(found) == np.prod([len(sets[name]) for name in placeholders(text)])
    for name, bound in found:
        assert name == "x_" + "_".join(bound[each] for each in used)
        assert list(expand(text, resolved, "here", bound)) == [(name, bound)]


@settings(max_examples=40, deadline=None)
@given(size=st.integers(0, 4), other=st.integers(0, 3))
def test_renaming_members_renames_ids_and_nothing_else(tmp_path_factory, size, other):
    folder = tmp_path_factory.getbasetemp() / "renamed"
    folder.mkdir(exist_ok=True)
    (folder / "composition.toml").write_text(BODY)
    written = read_composition(folder)

    def names(mark):
        return {"clone": [f"{mark}{i}" for i in range(size)], "organ": [f"o{mark}{i}" for i in range(other)]}

    first, second = (assemble(written, names(mark)) for mark in ("p", "q"))

    def renamed(text):
        return re.sub(r"(?<![A-Za-z])(o?)p(?=\d)", r"\1q", text)

    assert [renamed(name) for name in first.instances] == list(second.instances)
    assert len(second.instances) == (size + 1) * (other + 1) + 1
    assert [(renamed(j.reader), renamed(j.formula)) for j in first.joins] == [
        (j.reader, j.formula) for j in second.joins
    ]
    groups = {renamed(name): tuple(map(renamed, members)) for name, members in first.groups.items() if members}
    assert groups == {name: members for name, members in second.groups.items() if members}


def test_many_instances_are_assembled_in_a_moment(write):
    organs, clones = [f"o{i}" for i in range(12)], [f"c{i}" for i in range(12)]
    start = time.perf_counter()
    composition = cascade.load_composition(write(BODY, WEIGHTS), index={"organ": organs, "clone": clones})
    assert len(composition.instances) == 13 + 13 * 12 + 1
    assert len({id(module) for module in composition.instances.values()}) == 2, "each module is read once"
    assert time.perf_counter() - start < 2


def test_unknown_names_are_named(write):
    with pytest.raises(UnknownNameError, match="known: clone, extra, lineage, organ"):
        cascade.load_composition(write(BODY, WEIGHTS), index={"zzz": []})
