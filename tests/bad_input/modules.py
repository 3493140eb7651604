"""Bad module folders: SBML, table, structure, and what may stand in place of a file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from folders import make_composition, make_module

import cascade
from bad_input.case import STATUS, Case, Door
from cascade.build import build_module


@cache
def built() -> Path:
    """Return a folder with the modules `source` and `sink`, made once a process."""
    place = Path(tempfile.mkdtemp())
    for name in ("source", "sink"):
        make_module(place, name)
    return place


def module(folder: Path) -> Path:
    """Put a sound module into a folder."""
    return Path(shutil.copytree(built() / "source", folder / "source"))


def loaded(folder: Path) -> str:
    """Load, compose and run the module in a folder, as far as it goes; return the status of the run."""
    model = cascade.compose(cascade.load_module(folder / "source"))
    return str(cascade.simulate(model, days=1, points=3)["status"].item())


def changed(name: str, change: Callable[[bytes], bytes]) -> Door:
    """Return a door: the bytes of one file of a module are changed, and the module is run."""

    def door(folder: Path) -> Any:
        path = module(folder) / name
        path.write_bytes(change(path.read_bytes()))
        return loaded(folder)

    return door


def replaced(name: str, old: str, new: str) -> Door:
    """Return a door: a text in one file of a module is replaced, once."""

    def change(data: bytes) -> bytes:
        assert old.encode() in data, old
        return data.replace(old.encode(), new.encode(), 1)

    return changed(name, change)


def sbml(old: str, new: str) -> Door:
    return replaced("source.xml", old, new)


def table(old: str, new: str) -> Door:
    return replaced("parameters.tsv", old, new)


def value(text: str) -> Door:
    """Return a door: the value of `v_make` in the table is another text."""
    return table("\t2\tfalse", f"\t{text}\tfalse")


def instead(name: str, make: Callable[[Path], object]) -> Door:
    """Return a door: something else stands in place of a file of a module."""

    def door(folder: Path) -> Any:
        path = module(folder) / name
        path.unlink()
        make(path)
        return loaded(folder)

    return door


def structure(text: str, **options: Any) -> Door:
    """Return a door: another structure is built."""

    def door(folder: Path) -> Any:
        path = module(folder)
        (path / "source.ant").write_text(text)
        return cascade.load_module(path, **options) if options else build_module(path)

    return door


def called(name: str) -> Door:
    """Return a door: a constant of a module has another id, in its SBML and its table."""

    def door(folder: Path) -> Any:
        path = module(folder)
        for file in ("source.xml", "parameters.tsv"):
            (path / file).write_text((path / file).read_text().replace("v_make", name))
        return loaded(folder)

    return door


def without_ports(folder: Path) -> Any:
    """Compose modules of which one has a document without ports: libSBML crashes when it flattens them."""
    shutil.copytree(built(), folder, dirs_exist_ok=True)
    pair = cascade.load_composition(make_composition(folder, {"down.c_in": "up.c_a"}))
    sound = pair.instances["up"]
    text = sound.sbml.replace("http://www.sbml.org/sbml/level3/version1/comp", "http://www.sfml.org/comp")
    return cascade.compose(replace(pair, instances={**pair.instances, "up": replace(sound, sbml=text)}))


def named_only(name: Any) -> Door:
    return lambda folder: cascade.load_module(name)


DEEP = "<apply><plus/>" * 600 + "<cn>1</cn>" + "</apply>" * 600
RUN = ("simulate", "{}/source", "--days", "1")
COMMENT = "<!-- é --><model".encode("latin-1")
NO_MODEL = b'<sbml xmlns="http://www.sbml.org/sbml/level3/version2/core" level="3" version="2"/>'
BOMB = "".join(f"model m{n}()\n  A: m{n - 1}();\n  B: m{n - 1}();\nend\n" for n in range(1, 30))

SBML = (
    Case("malformed", sbml("<model", "<<model"), "SBMLError", r"source.xml: not well-formed XML: .*line \d+", RUN),
    Case(
        "truncated", changed("source.xml", lambda d: d[: len(d) // 2]), "SBMLError", "source.xml: not well-formed", RUN
    ),
    Case(
        "empty", changed("source.xml", lambda d: b""), "SBMLError", "source.xml: not well-formed XML: no element", RUN
    ),
    Case(
        "binary", changed("source.xml", lambda d: bytes(range(256)) * 9), "ModuleError", "not UTF-8 .*save it as", RUN
    ),
    Case("zeros", changed("source.xml", lambda d: bytes(4000)), "ModuleError", "source.xml: it holds a null byte", RUN),
    Case(
        "huge", changed("source.xml", lambda d: b" " * 60_000_000), "ModuleError", "60000000 bytes; the limit is 5000"
    ),
    Case(
        "utf-16",
        changed("source.xml", lambda d: d.decode().encode("utf-16")),
        "ModuleError",
        "it is not UTF-8 text",
        RUN,
    ),
    Case("latin-1", changed("source.xml", lambda d: d.replace(b"<model", COMMENT)), "ModuleError", "not UTF-8 text"),
    Case("doctype", sbml("<sbml", "<!DOCTYPE x [<!ENTITY a 'b'>]><sbml"), "SBMLError", "has a DOCTYPE.*remove it", RUN),
    Case("deep math", sbml("<ci> v_make </ci>", DEEP), "SBMLError", "nested deeper than 500", RUN),
    Case(
        "long id", sbml('id="make"', f'id="{"m" * 300}"'), "SBMLError", "an id of 300 characters; the limit is 256", RUN
    ),
    Case(
        "id with a blank", sbml('id="lose"', 'id="lo se"'), "SBMLError", r"source.xml, line \d+: \[libSBML 10310\]", RUN
    ),
    Case("duplicate ids", sbml('id="lose"', 'id="make"'), "SBMLError", r"\[libSBML 10301\].*'make'", RUN),
    Case("no SBML", changed("source.xml", lambda d: b"<html/>"), "SBMLError", r"source.xml, line \d+: \[libSBML", RUN),
    Case("another level", sbml('version="2"', 'version="7"'), "SBMLError", "level and version", RUN),
    Case("no model", changed("source.xml", lambda d: NO_MODEL), "SBMLError", "the document holds no model", RUN),
    Case("unknown symbol", sbml("<ci> v_make </ci>", "<ci> v_nought </ci>"), "SBMLError", "10215.*v_nought", RUN),
    Case("unknown compartment", sbml('compartment="tissue"', 'compartment="no"'), "SBMLError", "20601.*'no'", RUN),
    Case("unknown unit", sbml('units="nM_per_day"', 'units="furlong"'), "ModuleError", "'v_make' differs between", RUN),
    Case("algebraic loop", sbml("<ci> ec50_a </ci>", "<ci> a_full </ci>"), "SBMLError", "20906.*a_full", RUN),
    Case(
        "port of nothing",
        sbml('comp:idRef="c_a"', 'comp:idRef="c_z"'),
        "ModuleError",
        "port 'c_a' refers to 'c_z'",
        RUN,
    ),
    Case("value of another table", value("3"), "ModuleError", "'v_make' differs between.*run `cascade build", RUN),
    Case("unit of another table", table("nM_per_day", "uM_per_day"), "ModuleError", "'v_make' differs between", RUN),
)

FOUND = (
    Case("unknown encoding", sbml('"UTF-8"', '"id-8"'), "SBMLError", "not well-formed XML: unknown encoding", RUN),
    Case("operator for an operand", sbml("<plus/>", "<plus/><times/><divide/>"), "SBMLError", "1021[48]", RUN),
    Case("compartment of NaN", sbml('size="1"', 'size="NaN"'), STATUS, "no convergence at day 0", RUN),
    Case("symbol called pi", called("pi"), "SBMLError", "'pi' is the id of a symbol, but a constant in formulas; rename"),
    Case("symbol called True", called("True"), "SBMLError", "'True' is the id of a symbol"),
    Case("ports that its document lacks", without_ports, "SBMLError", "module 'source': its SBML has no port 'k_make'"),
    Case("letter of another script", structure("model source()\n  ـa = 1;\nend"), "ModuleError", "source.ant: "),
)  # fmt: skip
"""What the fuzz found: crashes of libSBML, errors that came out raw, and silent wrong numbers."""

FILES = (
    Case("folder for SBML", instead("source.xml", Path.mkdir), "ModuleError", "has no source.xml; run `cascade build"),
    Case("pipe for SBML", instead("source.xml", os.mkfifo), "ModuleError", "has no source.xml", RUN),
    Case("link in a circle", instead("source.xml", lambda p: p.symlink_to(p)), "ModuleError", "has no source.xml"),
    Case("folder for a table", instead("parameters.tsv", Path.mkdir), "TableError", "parameters.tsv: it is no regular file"),
    Case("pipe for a table", instead("parameters.tsv", os.mkfifo), "TableError", "no regular file; give the path of", RUN),
    Case("endless table", instead("parameters.tsv", lambda p: p.symlink_to("/dev/zero")), "TableError", "no regular file", RUN),
    Case("no table", instead("parameters.tsv", lambda p: None), "TableError", "No such file or directory; look at"),
    Case("unknown module", named_only("wntt"), "UnknownNameError", "no module .*'wntt'.*did you mean 'wnt'", ("check", "wntt")),
    Case("module in capitals", named_only("WNT"), "UnknownNameError", "did you mean 'wnt'", ("show", "WNT")),
    Case("module without a name", named_only(""), "UnknownNameError", "no module .*''", ("check", "")),
    Case("null byte in a name", named_only("a\0b"), "UnknownNameError", r"no module .*'a\\x00b'", ("check", "a\0b")),
    Case("name of 5,000 letters", named_only("x" * 5000), "UnknownNameError", "no module .*'xxx", ("check", "x" * 5000)),
    Case("home of nobody", named_only("~nobody_here/a"), "UnknownNameError", "no folder has this path", ("check", "~nobody_here")),
    Case("no name at all", named_only(None), "UnknownNameError", "no module 'None'"),
    Case("a number for a name", named_only(3), "UnknownNameError", "no module '3'"),
)  # fmt: skip

TABLES = (
    Case("empty table", changed("parameters.tsv", lambda d: b""), "TableError", "header must be .* found nothing", RUN),
    Case("table in UTF-16", changed("parameters.tsv", lambda d: d.decode().encode("utf-16")), "TableError", "not UTF-8", RUN),
    Case("other columns", table("parameterId", "id"), "TableError", "the header must be the 17 columns .*; found id", RUN),
    Case("short row", table("\tfalse\t", "\t"), "TableError", "line 2: 16 cells instead of 17", RUN),
    Case("row twice", changed("parameters.tsv", lambda d: d + d.splitlines(True)[1]), "TableError", "line 6: 'k_make' stands", RUN),
    Case("comma for a point", value("1,5"), "TableError", "line 3: nominalValue '1,5' is not a number; write", RUN),
    Case("hexadecimal", value("0x10"), "TableError", "'0x10' is not a number", RUN),
    Case("digits of another script", value("٢"), "TableError", "'٢' is not a number", RUN),
    Case("underscore in a number", value("0_2"), "TableError", "'0_2' is not a number", RUN),
    Case("truth for a number", value("True"), "TableError", "'True' is not a number", RUN),
    Case("value too large", value("1e400"), "TableError", "'1e400' is not finite", RUN),
    Case("value not a number", value("nan"), "TableError", "nominalValue 'nan' is not finite", RUN),
    Case("bounds reversed", table("\t\t\t2\tfalse", "\t3\t1\t2\tfalse"), "TableError", r"outside its bounds \[3, 1\]", RUN),
    Case("null byte in a table", table("v_make\tv_make", "v_make\tv_\0make"), "TableError", "holds a null byte", RUN),
    Case("cell of 200,000 letters", table("v_make\tv_", "v_make\t" + "x" * 200_000), "TableError", "field larger than", RUN),
)  # fmt: skip

STRUCTURES = (
    Case("syntax", structure("model source(\n"), "ModuleError", "source.ant: .*line"),
    Case("no structure", structure(""), "ModuleError", "source.ant: has no `model source"),
    Case("another model", structure("model other()\nend"), "ModuleError", "has no `model source"),
    Case("null byte", structure("model source()\n  a = 1;\0\nend"), "ModuleError", "holds a null byte"),
    Case("import", structure('import "/etc/passwd"\nmodel source()\nend'), "ModuleError", "imports another file"),
    Case("submodels that double", structure(f"model m0()\nend\n{BOMB}model source()\n  A: m29();\nend"), "ModuleError", "holds 31 models"),
    Case("sum of 100,000", structure("model source()\n  a := " + "1+" * 100_000 + "1;\nend"), "ModuleError", "the longest statement 2000"),
    Case("parentheses", structure("model source()\n  a := " + "(" * 50_000 + "1" + ")" * 50_000 + ";\nend"), "ModuleError", "the longest"),
    Case("model of itself", structure("model source()\n  A: source();\nend"), "ModuleError", "source.ant: .*"),
    Case("template: range", structure("{% for i in range(1000000000) %}x{% endfor %}"), "ModuleError", "a range of 1000000000 integers; the limit"),
    Case("template: power", structure("{% for i in range(10**9) %}x{% endfor %}"), "ModuleError", "it may not use pow"),
    Case("template: loops", structure("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}"), "ModuleError", "more than 20000 rounds"),
    Case("template: class", structure("{{ ''.__class__.__mro__ }}"), "ModuleError", "line 1: .* may not use getattr"),
    Case("template: call", structure("{{ __import__('os') }}"), "ModuleError", "may not use call '__import__'"),
    Case("template: include", structure("{% include '/etc/passwd' %}"), "ModuleError", "may not use include"),
    Case("template: long text", structure("{{ 'x' * 1000000000 }}"), "ModuleError", "only integers can be combined"),
    Case("template: deep", structure("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}"), "ModuleError", "nested too deeply"),
    Case("template: long number", structure("{{ " + "9" * 5000 + " }}"), "ModuleError", "cannot be read: Exceeds the limit"),
    Case("template: division", structure("{{ 1 // 0 }}"), "ModuleError", "cannot be rendered"),
    Case("template: no value", structure("{{ nought }}"), "ModuleError", "'nought' has no value; give the option a default"),
    Case("template: syntax", structure("{% for %}"), "ModuleError", "line 1: the template cannot be read"),
    Case("no such option", structure("{% set n = n | default(2) %}", m=3), "UnknownNameError", "no option 'm' in source.ant"),
    Case("option that is a text", structure("{% set n = n | default(2) %}", n="3"), "ModuleError", "option 'n' is '3'; give an integer"),
    Case("option too large", structure("{% set n = n | default(2) %}", n=10**9), "ModuleError", "give an integer between 0 and 200"),
)  # fmt: skip

CASES = (*SBML, *FOUND, *FILES, *TABLES, *STRUCTURES)
