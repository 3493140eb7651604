"""Bad compositions, and the arithmetic of tables of evidence."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from folders import make_composition, number

import cascade
from bad_input.case import STATUS, Case, Door
from bad_input.modules import built, module
from cascade.facts import COLUMNS
from cascade.specs import Parameter

JOIN = {"down.c_in": "up.c_a"}
SAFE = {"'{maker}'": "source", "down": "sink"}
MANY = ",".join(f"'m{n}'" for n in range(10_000))
GRID = ", ".join(f"{name} = [" + ",".join(f"'{name}{n}'" for n in range(100)) + "]" for name in "xyzu")


def pair(
    joins: dict[str, str] = JOIN,
    rows: list[Parameter] | None = None,
    instances: dict[str, str] | None = None,
    more: str = "",
) -> Door:
    """Return a door: a composition of two small modules is composed and run; the status comes back."""

    def door(folder: Path) -> str:
        for name in ("source", "sink"):
            shutil.copytree(built() / name, folder / name)
        path = make_composition(folder, joins, rows, instances, more)
        model = cascade.compose(cascade.load_composition(path))
        return str(cascade.simulate(model, days=1, points=3)["status"].item())

    return door


def formula(text: str, rows: list[Parameter] | None = None) -> Door:
    """Return a door: a formula drives an input without unit."""
    return pair({"down.a_in": text}, rows)


def own(name: str, unit: str = "dimensionless") -> Door:
    """Return a door: the composition has a constant of this id."""
    return formula("up.a_full", [number(name, 1, unit)])


def instance(name: str) -> Door:
    """Return a door: an instance has this name."""
    return pair({}, None, {f"'{name}'": "source", "down": "sink"})


def more(text: str) -> Door:
    """Return a door: the file of a composition begins with a text."""
    return pair(JOIN, None, None, text)


def toml(text: str | bytes) -> Door:
    """Return a door: a composition file."""

    def door(folder: Path) -> Any:
        path = folder / "pair"
        path.mkdir()
        (path / "composition.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return cascade.compose(cascade.load_composition(path))

    return door


def circle(folder: Path) -> Any:
    for name, other in (("pair", "b"), ("b", "pair")):
        (folder / name).mkdir()
        (folder / name / "composition.toml").write_text(f'extends = "../{other}"')
    return cascade.load_composition(folder / "pair")


def lite(**settings: Any) -> Door:
    """Return a door: a shipped composition is loaded with other index sets or structures."""
    return lambda folder: cascade.load_composition("breast_lite", **settings)


def evidence(compute: str) -> Door:
    """Return a door: what `compute` of a fact gives; a number that cannot be had is an error of the finding."""

    def door(folder: Path) -> str:
        path = module(folder)
        row = dict.fromkeys(COLUMNS, "x") | {"id": "fact", "value": "1", "lower": "0", "upper": "2", "unit": "nM"}
        row |= {"basis": "experiment", "role": "predicted", "compute": compute, "curve": ""}
        (path / "evidence.tsv").write_text("\t".join(COLUMNS) + "\n" + "\t".join(row.values()) + "\n")
        (path / "experiments.toml").write_text("[run]\ndays = 1\npoints = 3\n")
        return cascade.validate(path).findings[0].error

    return door


RUN = ("simulate", "{}/pair", "--days", "1")
LOAD = ("show", "{}/pair")
LITE = ("show", "breast_lite")

JOINS = (
    Case("unknown instance", pair({"down.c_in": "upp.c_a"}), "CompositionError", "no instance 'upp'.*did you mean 'up'", RUN),
    Case("unknown reader", pair({"dwn.c_in": "up.c_a"}), "CompositionError", "no instance 'dwn'.*did you mean 'down'", RUN),
    Case("missing port", pair({"down.c_in": "up.c_z"}), "CompositionError", r"no port 'c_z' in 'up' \(module 'source'\)", RUN),
    Case("input as a source", formula("down.c_in"), "CompositionError", "port 'c_in' of 'down' is an input; .*: c_b, n_x", RUN),
    Case("output as a reader", pair({"up.c_a": "down.c_b"}), "CompositionError", "is an output; it cannot be written", RUN),
    Case("unit clash", pair({"down.c_in": "up.a_full"}), "CompositionError", "'a_full' of 'up' is in dimensionless, but 'c_in'", RUN),
    Case("unit clash of a formula", pair({"down.c_in": "up.c_a*up.c_a"}), "CompositionError", r"the formula is in .*expects nM", RUN),
    Case("port joined twice", pair({"down.c_in": "up.c_a", "all.c_in": "up.c_a"}, more="[groups]\nall = ['down']\n"), "CompositionError", "down.c_in has two writers", RUN),
    Case("loop through inputs", formula("up.a_full + down.a_in"), "CompositionError", "port 'a_in' of 'down' is an input", RUN),
    Case("Python in a join", formula('__import__("os").system("true")'), "CompositionError", "cannot read the formula: .*position", RUN),
    Case("lambda in a join", formula("(lambda: 1)()"), "CompositionError", "cannot read the formula", RUN),
    Case("unfinished formula", formula("up.a_full + ("), "CompositionError", "cannot read the formula: .*end of string", RUN),
    Case("sum of 20,000", formula("+".join(["up.a_full"] * 20_000)), "CompositionError", "has 199999 characters; the limits are", RUN),
    Case("deep formula", formula("-(" * 3000 + "up.a_full" + ")" * 3000), "CompositionError", "nested deeper than 100; simplify", RUN),
    Case("number in a join", formula("up.a_full*3.5"), "CompositionError", "put the number into the composition's parameters.tsv", RUN),
    Case("huge number in a join", formula("up.a_full*1e400"), "CompositionError", "put the number into", RUN),
    Case("delay in a join", formula("delay(up.a_full, w)", [number("w", 1, "day")]), "CompositionError", "'delay' cannot stand in a join", RUN),
    Case("unknown function", formula("frobnicate(up.a_full)"), "CompositionError", "'frobnicate' cannot stand in a join", RUN),
    Case("letter that looks alike", formula("uр.a_full"), "CompositionError", "no instance 'uр'", RUN),
    Case("division by zero", formula("up.a_full/(up.a_full - up.a_full)"), STATUS, r"no convergence at day 0: .*division by zero", RUN),
    Case("unfinished placeholder", formula("{.a_full"), "CompositionError", "a brace stands alone", RUN),
    Case("unknown placeholder", formula("{z}.a_full"), "UnknownNameError", "no index set 'z'", RUN),
)  # fmt: skip

NAMES = (
    Case("constant called pi", own("pi"), "CompositionError", "parameter id 'pi' is a constant in formulas", RUN),
    Case("constant called Time", own("Time"), "CompositionError", "parameter id 'Time' is a constant in formulas", RUN),
    Case("constant called as an instance", own("up"), "CompositionError", "'up' is also the name of an instance", RUN),
    Case("constant with a bad id", own("1 x;"), "CompositionError", "parameter id '1 x;' is no id; use lower snake case", RUN),
    Case("constant with a long id", own("w" * 300), "CompositionError", "has 300 characters; the limit is 100", RUN),
    Case("constant of no unit", own("w", "furlong"), "TableError", "unit 'furlong' has the unknown word 'furlong'; known", RUN),
    Case("reserved instance", instance("u__p"), "CompositionError", "'u__p' is reserved", RUN),
    Case("instance with a blank", instance("u p"), "CompositionError", "instance name 'u p' is no id", RUN),
    Case("instance of markup", instance("<b>"), "CompositionError", "instance name '<b>' is no id", RUN),
    Case("instance without a name", instance(""), "CompositionError", "instance name '' is no id", RUN),
    Case("instance with a long name", instance("u" * 250), "CompositionError", "has 250 characters", RUN),
    Case("instance called as the model", instance("pair"), "CompositionError", "'pair' is that of the composition", RUN),
    Case("value of no instance", pair(JOIN, [number("upp.k_lose", 1, "per_day")]), "CompositionError", "no instance 'upp'; known: up, down", RUN),
    Case("value of no constant", pair(JOIN, [number("up.k_los", 1, "per_day")]), "CompositionError", "has no parameter 'k_los'", RUN),
    Case("value in another unit", pair(JOIN, [number("up.k_lose", 1, "nM")]), "CompositionError", "is in nM, but module 'source' has per_day", RUN),
    Case("module of nothing", toml('[instances]\na = "wntt"'), "UnknownNameError", "no module 'wntt'.*did you mean 'wnt'", LOAD),
    Case("module with a null byte", toml('[instances]\na = "b\\u0000c"'), "UnknownNameError", "no module", LOAD),
    Case("module of 5,000 letters", toml(f'[instances]\na = "{"x" * 5000}"'), "UnknownNameError", "no module 'xxx", LOAD),
    Case("module above", toml('[instances]\na = "/"'), "ModuleError", "has no .xml", LOAD),
)  # fmt: skip

FILES = (
    Case("syntax", toml("a = = 1"), "CompositionError", r"cannot read .*composition.toml: .*line 1", LOAD),
    Case("key twice", toml("title = 'a'\ntitle = 'b'"), "CompositionError", "cannot read", LOAD),
    Case("empty file", toml(""), "CompositionError", r"names no \[instances\]; write for example", LOAD),
    Case("Latin-1", toml("title = 'é'".encode("latin-1")), "CompositionError", r"not UTF-8 text \(byte 9\); save it as UTF-8", LOAD),
    Case("UTF-16", toml("title = 'x'".encode("utf-16")), "CompositionError", "not UTF-8 text", LOAD),
    Case("null byte", toml("title = 'x\0'"), "CompositionError", "holds a null byte", LOAD),
    Case("deep TOML", toml("x = " + "[" * 5000 + "]" * 5000), "CompositionError", "cannot read .*recursion", LOAD),
    Case("key of 20,000 parts", toml("a" + ".a" * 20_000 + " = 1"), "CompositionError", "a key of 20001 parts; the limit is 50", LOAD),
    Case("integer of 5,000 digits", toml("years = " + "9" * 5000), "CompositionError", "cannot read .*digits", LOAD),
    Case("unknown entry", more("foo = 1\n"), "CompositionError", "unknown entry 'foo'; known: title", LOAD),
    Case("entry of another kind", more("title = 1\n"), "CompositionError", "'title' must be a str", LOAD),
    Case("years 0", more("years = 0\n"), "CompositionError", "'years' must be a finite number above 0, found 0", LOAD),
    Case("years beyond all", more("years = " + "9" * 400 + "\n"), "CompositionError", "'years' must be a finite number", LOAD),
    Case("unknown start", more("[start.source]\nc_z = 1\n"), "UnknownNameError", "no state 'c_z' in module 'source'", RUN),
    Case("negative start", more("[start.source]\nc_a = -1\n"), "CompositionError", "start of source.c_a is -1, which is negative", RUN),
    Case("endless start", more("[start.source]\nc_a = inf\n"), "CompositionError", "must hold finite numbers by state", RUN),
    Case("start of what is computed", more("[start.source]\na_full = 1\n"), "UnknownNameError", "no state 'a_full'", RUN),
    Case("rest of no state", more("[quasi_steady]\nsource = ['c_z']\n"), "UnknownNameError", "no state 'c_z'", RUN),
    Case("rest that is not linear", more("[quasi_steady]\nsink = ['n_x']\n"), "CompositionError", "'n_x' is made by reaction 'grow'", RUN),
    Case("unknown option", more("[structure]\nsource = {n = 3}\n"), "UnknownNameError", "no option 'n' in source.ant", LOAD),
    Case("group of nobody", more("[groups]\nall = ['nobody']\n"), "CompositionError", r"wrong: \['nobody'\]", LOAD),
    Case("group with one twice", more("[groups]\nall = ['up', 'up']\n"), "CompositionError", "lists up twice", LOAD),
    Case("shared by two kinds", more("shared = ['all']\n[groups]\nall = ['up', 'down']\n"), "CompositionError", "instances of one module", LOAD),
    Case("index set of 10,000", pair({"down.c_in": "sum(all.c_a)"}, None, SAFE, f"index = {{maker = [{MANY}]}}\ngroups = {{all = ['{{maker}}']}}\n"), "CompositionError", "'maker' has 10000 members; the limit is 2000", LOAD),
    Case("index sets that multiply", pair({}, None, {"'{x}_{y}_{z}_{u}'": "source", "down": "sink"}, f"index = {{{GRID}}}\n"), "CompositionError", "stands for 100000000 names; the limit", LOAD),
    Case("index sets in a circle", more("index = {a = ['{b}'], b = ['{a}']}\n"), "CompositionError", "in a circle: a in b in a", LOAD),
    Case("member in capitals", more("index = {a = ['X']}\n"), "CompositionError", "has the member 'X'; use lower snake case", LOAD),
    Case("compositions in a circle", circle, "CompositionError", "in a circle: pair extends b extends pair", LOAD),
    Case("extends itself", toml('extends = "../pair"'), "CompositionError", "in a circle: pair extends pair", LOAD),
    Case("extends what lies elsewhere", toml('extends = "../../../etc"'), "CompositionError", "which lies elsewhere; name a shipped", LOAD),
    Case("extends a null byte", toml('extends = "a\\u0000b"'), "CompositionError", "which is no path", LOAD),
    Case("no composition", lambda folder: cascade.load_composition("breasts"), "UnknownNameError", "did you mean 'breast'", ("endpoints", "breasts")),
    Case("index that is a list", lite(index=["organ"]), "CompositionError", r"index is \['organ'\]; give a mapping"),
    Case("members that are a text", lite(index={"organ": "bone"}), "CompositionError", "index set 'organ' is 'bone'; give a list"),
    Case("members that are numbers", lite(index={"organ": [1]}), "CompositionError", "give a list of names"),
    Case("member twice", lite(index={"organ": ["bone", "bone"]}), "CompositionError", "has bone twice", (*LITE, "--index", "organ=bone,bone")),
    Case("unknown index set", lite(index={"organs": ["bone"]}), "UnknownNameError", "did you mean 'organ'", (*LITE, "--index", "organs=bone")),
    Case("option out of range", lite(structure={"lesions": {"n_classes": 10**9}}), "ModuleError", "'n_classes' is 1000000000; give an integer between", (*LITE, "--structure", "lesions.n_classes=1000000000")),
    Case("structure that is a list", lite(structure=["lesions"]), "CompositionError", r"structure is \['lesions'\]; give a mapping"),
)  # fmt: skip

EVIDENCE = (
    Case(
        "Python in evidence", evidence("__import__('os').system('true')"), STATUS, "cannot be evaluated: .*__import__"
    ),
    Case("tower of powers", evidence("9**9**9**9"), STATUS, "cannot be evaluated"),
    Case("large shift", evidence("1 << 9999999999"), STATUS, "cannot be evaluated"),
    Case("class of a run", evidence("run.__class__"), STATUS, "__class__"),
    Case("text times a number", evidence("'a'*10**9"), STATUS, "only numbers and curves can be multiplied"),
    Case("loop", evidence("[x for x in range(10**9)]"), STATUS, "cannot be evaluated"),
    Case("30,000 signs", evidence("-" * 30_000 + "1"), STATUS, "an expression of 30001 characters; the limit is 2000"),
    Case("1,900 signs", evidence("-" * 1_900 + "1"), STATUS, "cannot be evaluated"),
    Case("division by zero in evidence", evidence("1/0"), STATUS, "division by zero"),
    Case("unknown experiment", evidence("end(walk.c_a)"), STATUS, "walk"),
    Case("unknown variable", evidence("end(run.c_z)"), STATUS, "no variable 'c_z'.*did you mean 'c_a'"),
    Case("no expression", evidence(""), "TableError", "no `compute` -> write the expression"),
)

CASES = (*JOINS, *NAMES, *FILES, *EVIDENCE)
