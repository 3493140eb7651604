"""Files from strangers: whatever they hold, the caller gets flat SBML or an error that says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import libsbml
import numpy as np
import psutil
import pytest
from comp_cases.builder import (
    COMP,
    assign,
    compartment,
    document,
    event,
    function,
    math,
    model,
    parameter,
    reaction,
    species,
    submodel,
)
from hypothesis import given
from hypothesis import strategies as st

import cascade
from cascade import _limits
from cascade._child import ask_child
from cascade._limits import decode, glance, precheck
from cascade._reading import read_bundle
from cascade._size import refuse_expansion
from cascade.engine import Engine, Job
from cascade.errors import FileError, SBMLError, ValueSettingError
from cascade.opening import open_sbml
from cascade.specs import Solver


def core(*parts: str, version: int = 2, **words: object) -> str:
    """A document without comp."""
    text = document(model("small", *parts, **words), version=version)
    return text.replace(f' xmlns:comp="{COMP}"', "").replace(' comp:required="true"', "")


def decay(k: float = 0.5) -> str:
    return core(compartment("C", 2), species("S", 10), parameter("k", k), reaction("J", "S ->", "k*S*C"))


def ruled(mathml: str) -> str:
    """A document with one assignment rule of this MathML."""
    rule = assign("y", "1").replace(math("1"), f'<math xmlns="{_limits.MATHML}">{mathml}</math>')
    return core(parameter("y", 0, constant=False), rule)


def nested(depth: int) -> str:
    return ruled("<apply><minus/>" * depth + "<cn>1</cn>" + "</apply>" * depth)


def noted(depth: int) -> str:
    text = f'<notes><p xmlns="http://www.w3.org/1999/xhtml">{"<b>" * depth}x{"</b>" * depth}</p></notes>'
    return decay().replace("<listOfCompartments>", text + "<listOfCompartments>")


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]>'
THIEF = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
XINCLUDE = '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/hostname" parse="text"/>'
SUM = "<apply><plus/>" + "<cn>1</cn>" * 10_000 + "</apply>"
PIECES = "<piecewise>" + "<piece><cn>1</cn><true/></piece>" * 1_000 + "</piecewise>"
ATTRIBUTES = " ".join(f'a{number}="1"' for number in range(200))
TWENTY_SIX = range(1, 26)

HOSTILE: dict[str, tuple[bytes | str, str]] = {
    "empty": ("", "the file is empty"),
    "blank": (" \n\t ", "the file is empty"),
    "zero bytes": (b"\x00" * 500, "holds zero bytes"),
    "binary": (bytes(range(256)) * 4, r"is not UTF-8 text: byte 0x80 at position 128; save it as UTF-8|zero bytes"),
    "picture": (b"\x89PNG\r\n\x1a\n" + b"\x00" * 20, "is not UTF-8 text: byte 0x89 at position 0"),
    "archive": (b"PK\x03\x04" + b"\x00" * 40, "is a ZIP or COMBINE archive, not SBML"),
    "gzip": (b"\x1f\x8b\x08\x00", r"is compressed \(gzip\)"),
    "text": ("hello", "is not XML: it begins with 'hello'"),
    "page": ("<html><body/></html>", "is not SBML: its root element is <html>"),
    "unclosed page": ("<html><br></html>", "not well-formed XML: mismatched tag"),
    "other root namespace": (
        '<sbml xmlns="http://example.org" level="3" version="2"/>',
        "which no version of SBML uses",
    ),
    "no namespace": ('<sbml level="3" version="2"/>', "in the namespace ''"),
    "future level": (
        '<sbml xmlns="http://www.sbml.org/sbml/level4/version1/core" level="4" version="1"/>',
        "which no version of SBML uses",
    ),
    "truncated": (decay()[:-40], "not well-formed XML"),
    "truncated in a tag": (decay()[:300], "not well-formed XML"),
    "two roots": (decay() + "<sbml/>", "not well-formed XML: junk after document element"),
    "latin-1 bytes": (decay().replace("small", "größe").encode("latin-1"), "is not UTF-8 text: byte 0xf6"),
    "latin-1 declared": (decay().replace("UTF-8", "ISO-8859-1", 1), "declares the encoding 'ISO-8859-1'"),
    "UTF-16 declared": (decay().replace("UTF-8", "UTF-16", 1), "declares UTF-16 but has no byte order mark"),
    "half UTF-16": (decay().encode("utf-16")[:-1], "is not UTF-16 text"),
    "UTF-32": (decay().encode("utf-32"), "is UTF-32"),
    "DOCTYPE": (decay().replace(HEAD, HEAD + "<!DOCTYPE sbml>"), "has a DOCTYPE"),
    "entity bomb": (decay().replace(HEAD, HEAD + BOMB).replace("small", "&c;"), "has a DOCTYPE"),
    "external entity": (decay().replace(HEAD, HEAD + THIEF).replace("small", "&a;"), "has a DOCTYPE"),
    "unknown entity": (decay().replace("small", "&a;"), "not well-formed XML: undefined entity"),
    "XInclude": (decay().replace("<listOfCompartments>", XINCLUDE + "<listOfCompartments>"), r"\(XInclude\)"),
    "id of a megabyte": (decay().replace("small", "x" * 1_000_000), "an id of 1000000 characters; the limit is 256"),
    "id of comp of a megabyte": (
        document(model("top", submodel("x" * 1_000_000, "m"))),
        "an id of 1000000 characters; the limit is 256",
    ),
    "MathML 5,000 deep": (nested(5_000), "nested deeper than 500"),
    "MathML 7,000 deep": (nested(7_000), "nested deeper than 500"),
    "notes 100,000 deep": (noted(100_000), "nested deeper than 500"),
    "sum of 10,000": (ruled(SUM), "an operator with 10001 operands; the limit is 1000"),
    "piecewise of 1,000": (ruled(PIECES), "a piecewise with 1000 pieces; the limit is 400"),
    "element of 200 attributes": (decay().replace("<model ", f"<model {ATTRIBUTES} "), "200 attributes|201 attributes"),
    "prefix without a namespace": (decay().replace("<model ", "<a:model ", 1), "not well-formed XML: unbound prefix"),
}

WRONG: dict[str, tuple[str, str]] = {
    "no model": ('<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"/>', "no model"),
    "level and namespace": (decay().replace('version="2"', 'version="1"'), r"libSBML \d+"),
    "functions that double": (
        core(
            function("f0", "lambda(x, x + 1)"),
            *(function(f"f{n}", f"lambda(x, f{n - 1}(x) + f{n - 1}(x))") for n in TWENTY_SIX),
            parameter("y", 0, constant=False),
            assign("y", "f25(1)"),
        ),
        r"its formulas have [\d,]+ parts when functions and rules are written out; the limit is 2,000,000",
    ),
    "arguments that double": (
        core(
            function("f", "lambda(x, x + x)"),
            parameter("y", 0, constant=False),
            assign("y", "f(" * 25 + "1" + ")" * 25),
        ),
        "parts when functions and rules are written out",
    ),
    "rules that double": (
        core(
            *(parameter(f"x{n}", 0, constant=False) for n in range(26)),
            assign("x0", "time"),
            *(assign(f"x{n}", f"x{n - 1} + x{n - 1}") for n in TWENTY_SIX),
        ),
        "parts when functions and rules are written out; .*the largest is 'x24'",
    ),
    "functions in a circle": (
        core(
            function("f", "lambda(x, g(x))"),
            function("g", "lambda(x, f(x))"),
            parameter("y", 0, constant=False),
            assign("y", "f(1)"),
        ),
        "definitions go in a circle: f -> g -> f",
    ),
    "rules in a circle": (
        core(
            parameter("a", 0, constant=False), parameter("b", 0, constant=False), assign("a", "b"), assign("b", "a + 1")
        ),
        "definitions go in a circle: b -> a -> b",
    ),
    "an id twice": (core(parameter("k", 1), parameter("k", 2)), r"libSBML 10301.*'k'"),
    "an unknown symbol": (core(parameter("k", 1, constant=False), assign("k", "lost")), r"libSBML 10215.*lost"),
    "a rule on a constant": (core(parameter("k", 1), assign("k", "2")), r"libSBML 20903"),
    "an unknown compartment": (core(species("S", 1)), r"libSBML 20[56]01|libSBML 20601|libSBML 20501"),
    "a unit that is not there": (core(parameter("k", 1, units="furlong")), r"libSBML 10313.*furlong"),
    "a package that is required": (
        decay().replace(
            "<sbml ",
            '<sbml xmlns:fbc="http://www.sbml.org/sbml/level3/version1/fbc/version2" fbc:required="true" ',
        ),
        "needs the SBML package fbc",
    ),
    "an unknown package that is required": (
        decay().replace("<sbml ", '<sbml xmlns:zz="http://example.org/zz" zz:required="true" '),
        "needs the SBML package http://example.org/zz",
    ),
}


def put(folder, text: bytes | str, name: str = "model.xml"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def simulate(flat: str, name: str) -> np.ndarray:
    solver = Solver(relative_tolerance=1e-10, absolute_tolerance=1e-12)
    run = Engine(flat).run(Job(sbml=flat, record=(name,), days=4.0, points=5, solver=solver), ())
    assert run.status == "ok"
    return run.rows[:, 0]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_reaches_no_sbml_tool(name, tmp_path, monkeypatch):
    monkeypatch.setattr("cascade.opening.ask_child", lambda *_, **__: pytest.fail("a child was asked"))
    data, message = HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(SBMLError, match=message) as caught:
        open_sbml(put(tmp_path, data))
    assert time.monotonic() - began < 5
    assert str(caught.value).startswith("model.xml: ") and len(str(caught.value)) < 600


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_refused_in_words(name, tmp_path, monkeypatch):
    monkeypatch.setattr("cascade.opening.ask_child", lambda work, question, where, time_limit: read_bundle(question))
    text, message = WRONG[name]
    with pytest.raises(SBMLError, match=message) as caught:
        open_sbml(put(tmp_path, text))
    assert "model.xml" in str(caught.value)


def test_errors_of_the_child_are_those_of_the_caller(tmp_path, capfd):
    with pytest.raises(SBMLError, match=r"model.xml, line \d+: \[libSBML 10301\].*'k'"):
        open_sbml(put(tmp_path, WRONG["an id twice"][0]))
    with pytest.raises(SBMLError, match="definitions go in a circle"):
        open_sbml(put(tmp_path, WRONG["rules in a circle"][0]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_tools_write_are_read(encoding, tmp_path):
    text = decay().replace("small", "small").replace("UTF-8", "UTF-16" if encoding == "utf-16" else "UTF-8", 1)
    text = text.replace('id="small"', 'id="small" name="Größe μ"')
    opened = open_sbml(put(tmp_path, text.encode(encoding), "a.b.xml"))
    assert (opened.name, opened.level, opened.version, opened.hierarchical) == ("a.b", 3, 2, None)
    assert libsbml.readSBMLFromString(opened.flat).getModel().getName() == "Größe μ"
    np.testing.assert_allclose(simulate(opened.flat, "S"), 10 * np.exp(-0.5 * np.arange(5)), rtol=1e-6)


def test_a_file_above_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(_limits, "MAX_BYTES", 1_000)
    path = put(tmp_path, decay() + " " * 2_000)
    with pytest.raises(SBMLError, match=rf"{path.stat().st_size} bytes of SBML; the limit is 1000"):
        open_sbml(path)
    huge = tmp_path / "huge.xml"
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing: reading it would take the memory
    with pytest.raises(SBMLError, match="the limit is 1000"):
        open_sbml(huge)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.xml")
    (tmp_path / "link.xml").symlink_to(tmp_path / "pipe.xml")
    (tmp_path / "circle.xml").symlink_to(tmp_path / "circle.xml")
    for path in (tmp_path / "pipe.xml", tmp_path / "link.xml", tmp_path, "/dev/zero", "/dev/null"):
        with pytest.raises(FileError, match=r"no regular file|folder"):
            open_sbml(path)
    for path in (tmp_path / "lost.xml", tmp_path / "circle.xml", "a\0b.xml"):
        with pytest.raises(FileError, match="cannot read"):
            open_sbml(path)
    with pytest.raises(FileError, match="cannot read"):
        open_sbml(put(tmp_path, decay()), folder=tmp_path / "lost")


def test_the_file_itself_lies_in_the_folder_that_is_allowed(tmp_path):
    (tmp_path / "inner").mkdir()
    with pytest.raises(SBMLError, match="lies outside the folder"):
        open_sbml(put(tmp_path, decay()), folder=tmp_path / "inner")


def test_a_file_that_takes_too_long_is_given_up(tmp_path):
    path = put(tmp_path, decay())
    with pytest.raises(SBMLError, match=r"model.xml: not read within 0.001 s.*raise time_limit"):
        open_sbml(path, time_limit=0.001)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueSettingError, match="time_limit"):
            open_sbml(path, time_limit=wrong)


@pytest.mark.parametrize("work", ["sleep", "spin"])
def test_a_child_that_hangs_is_stopped_and_gone(work):
    began = time.monotonic()
    with pytest.raises(SBMLError, match=r"m.xml: not read within 1\.5 s"):
        ask_child(f"child_work:{work}", {}, "m.xml", time_limit=1.5)
    assert time.monotonic() - began < 10
    left = [each.cmdline() for each in psutil.Process().children(recursive=True)]
    assert not [line for line in left if "cascade._child" in " ".join(line)]


@pytest.mark.parametrize(
    ("work", "message"),
    [
        ("crash", "ended by itself.*signal SIGSEGV"),
        ("eat", "ended by itself.*out of memory"),
        ("fail", "ended by itself.*exit code 1: RuntimeError: no such luck"),
        ("lost", "ended by itself.*exit code 1: AttributeError"),
    ],
)
def test_the_caller_survives_the_child(work, message):
    with pytest.raises(SBMLError, match=message):
        ask_child(f"child_work:{work}", {}, "m.xml", time_limit=60)


def test_what_native_code_prints_does_not_spoil_the_answer(capfd):
    assert ask_child("child_work:chatter", {"a": [1, "é"]}, "m.xml", time_limit=60) == {"a": [1, "é"]}
    assert capfd.readouterr() == ("", "")


def test_the_child_writes_no_file(tmp_path):
    with pytest.raises(SBMLError, match="ended by itself"):
        ask_child("child_work:write", {"path": str(tmp_path / "x")}, "m.xml", time_limit=60)
    assert not (tmp_path / "x").exists() or (tmp_path / "x").read_text() == ""


def test_files_are_opened_from_several_threads_at_once(tmp_path):
    paths = [put(tmp_path, decay(k), f"{number}.xml") for number, k in enumerate((0.1, 0.2, 0.3))]
    found: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n, path=path: found.update({n: open_sbml(path).flat}))
        for n, path in enumerate(paths)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, k in enumerate((0.1, 0.2, 0.3)):
        np.testing.assert_allclose(simulate(found[number], "S"), 10 * np.exp(-k * np.arange(5)), rtol=1e-6)


OLD = {
    (1, 2): """<sbml xmlns="http://www.sbml.org/sbml/level1" level="1" version="2"><model name="old">
        <listOfCompartments><compartment name="C" volume="2"/></listOfCompartments>
        <listOfSpecies><species name="S" compartment="C" initialAmount="10"/></listOfSpecies>
        <listOfParameters><parameter name="k" value="0.5"/></listOfParameters>
        <listOfReactions><reaction name="J" reversible="false">
        <listOfReactants><speciesReference species="S"/></listOfReactants><kineticLaw formula="k*S*C"/>
        </reaction></listOfReactions></model></sbml>""",
    (2, 4): """<sbml xmlns="http://www.sbml.org/sbml/level2/version4" level="2" version="4"><model id="old">
        <listOfCompartments><compartment id="C" size="2"/></listOfCompartments>
        <listOfSpecies><species id="S" compartment="C" initialConcentration="5"/></listOfSpecies>
        <listOfParameters><parameter id="k" value="0.5"/></listOfParameters>
        <listOfReactions><reaction id="J" reversible="false">
        <listOfReactants><speciesReference species="S"/></listOfReactants><kineticLaw>
        <math xmlns="http://www.w3.org/1998/Math/MathML"><apply><times/><ci>k</ci><ci>S</ci><ci>C</ci></apply></math>
        </kineticLaw></reaction></listOfReactions></model></sbml>""",
}


@pytest.mark.parametrize("level", OLD)
def test_old_levels_become_level_3(level, tmp_path):
    opened = open_sbml(put(tmp_path, OLD[level]))
    assert (opened.level, opened.version) == level
    assert 'level="3" version="2"' in opened.flat
    np.testing.assert_allclose(simulate(opened.flat, "S"), 10 * np.exp(-0.5 * np.arange(5)), rtol=1e-6)


def test_what_engines_cannot_solve_stays_and_is_told(tmp_path):
    text = core(
        compartment("C", 1),
        species("S", 1),
        parameter("p", None),
        parameter("y", 0, constant=False),
        parameter("z", 0, constant=False),
        assign("y", "delay(time, 1)"),
        f"<algebraicRule>{math('z - 2*y')}</algebraicRule>",
        reaction("J", "S ->", "S", fast=True),
        event("E", "time > 1", {"S": "2"}),
        version=1,
    )
    opened = open_sbml(put(tmp_path, text))
    said = "\n".join(str(issue) for issue in opened.issues if issue.severity == "error")
    for part in ("algebraic rule", "uses delay()", "reaction 'J' is fast"):
        assert part in said
    assert "parameter 'p' has no value" in "\n".join(map(str, opened.issues))
    kept = libsbml.readSBMLFromString(opened.flat)
    # version 2 has no word for a fast reaction
    assert (kept.getVersion(), kept.getModel().getReaction(0).getFast()) == (1, True)
    assert (kept.getModel().getNumRules(), kept.getModel().getNumEvents()) == (2, 1)


def test_packages_that_need_not_be_understood_are_left_out(tmp_path):
    text = decay().replace(
        "<sbml ",
        '<sbml xmlns:fbc="http://www.sbml.org/sbml/level3/version1/fbc/version2" fbc:required="false"'
        ' xmlns:zz="http://example.org/zz" zz:required="false" ',
    )
    text = text.replace("<model ", '<model fbc:strict="false" ')
    opened = open_sbml(put(tmp_path, text))
    said = "\n".join(map(str, opened.issues))
    assert "package fbc is left out" in said and "package http://example.org/zz is left out" in said
    assert "fbc" not in opened.flat and "zz:required" not in opened.flat
    np.testing.assert_allclose(simulate(opened.flat, "S"), 10 * np.exp(-0.5 * np.arange(5)), rtol=1e-6)


@pytest.mark.slow
def test_a_shipped_composition_comes_back_as_it_went(tmp_path):
    """Written as hierarchical SBML and opened like a stranger's: same ids, same course, nothing to say."""
    model = cascade.compose(cascade.load_composition("carcinoma_cell"))
    opened = open_sbml(put(tmp_path, model.hierarchical))
    assert opened.issues == ()
    models = [libsbml.readSBMLFromString(flat).getModel() for flat in (model.flat, opened.flat)]
    names, again = ([each.getId() for each in found.getListOfSpecies()] for found in models)
    assert names == again
    solver = Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)
    runs = [
        Engine(flat).run(Job(sbml=flat, record=tuple(names), days=20.0, points=5, solver=solver), ())
        for flat in (model.flat, opened.flat)
    ]
    assert [run.status for run in runs] == ["ok", "ok"]
    np.testing.assert_allclose(runs[1].rows, runs[0].rows, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_the_limit_of_formulas_has_room_for_the_largest_shipped_model():
    flat = cascade.compose(cascade.load_composition("breast_lite")).flat
    precheck(flat, "breast_lite")
    refuse_expansion(libsbml.readSBMLFromString(flat).getModel(), "breast_lite")


def test_libsbml_can_open_no_file_in_the_child(tmp_path):
    """The registry of resolvers is empty, so that not even an overlooked reference is followed."""
    code = (
        "import libsbml; from cascade import _reading; _reading.forget_resolvers();"
        "print(libsbml.SBMLResolverRegistry.getInstance().getNumResolvers())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0"


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_an_error(data):
    try:
        text = decode(data, "m.xml")
        glance(text, "m.xml")
    except SBMLError as error:
        assert str(error).startswith("m.xml: ")


@given(st.data())
def test_a_damaged_document_is_read_or_refused(data):
    """Cut, doubled or with bytes of another kind: the precheck does not fail in another way."""
    whole = decay().encode()
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    middle = data.draw(st.one_of(st.binary(max_size=20), st.just(whole[start:stop] * 2)))
    damaged = whole[:start] + middle + whole[stop:]
    try:
        seen = glance(decode(damaged, "m.xml"), "m.xml")
    except SBMLError as error:
        assert str(error).startswith("m.xml: ")
    else:
        assert seen.root
