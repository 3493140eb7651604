"""Random input: compositions, draws from priors, and shipped files with random damage; bounded in time.

Whatever comes in either runs, with finite numbers and populations that are not negative or with a reason of a known
class, or is refused in words. It is tried in a child process, whose death fails the test with the case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from bad_input.child import Child
from bad_input.fuzz import CLASSES
from bad_input.opened import SBML, manifest, packed
from folders import ROWS, STRUCTURE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cascade
from cascade.catalogue import module_folder

LIMIT = 150.0
SMALL = ("source", "sink", "invasion", "notch")
EXTREME = ("0", "-1", "1e308", "-1e308", "1e-320", "1e400", "nan", "inf", "-inf", "1,5", "٣", "0x10", "1_0", "", "true")
PORTS = {
    "source": {"in": {"k_make": "dimensionless"}, "out": {"c_a": "nM", "a_full": "dimensionless"}},
    "sink": {"in": {"c_in": "nM", "a_in": "dimensionless"}, "out": {"c_b": "nM", "n_x": "cell"}},
}
FAST = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    found = Child()
    yield found
    found.close()


def ports(module: str) -> dict[str, dict[str, str]]:
    """Return the units of the ports of a module, by direction."""
    if module not in PORTS:
        PORTS[module] = {"in": {}, "out": {}}
        for port in cascade.load_module(module).ports:
            PORTS[module][port.direction][port.id] = port.unit
    return PORTS[module]


@st.composite
def compositions(draw: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Draw instances and joins: most of them fit, some do not."""
    modules = draw(st.lists(st.sampled_from(SMALL), min_size=1, max_size=4))
    instances = {f"i_{place}": module for place, module in enumerate(modules)}
    ends = {
        direction: [(f"{i}.{port}", unit) for i, m in instances.items() for port, unit in ports(m)[direction].items()]
        for direction in ("in", "out")
    }
    fitting = [(r, w) for r, unit in ends["in"] for w, other in ends["out"] if unit == other]
    odd = [*ends["in"], *ends["out"], ("i_9.c_a", ""), ("i_0.c_z", ""), ("w_join", ""), ("up", "")]
    joins = dict(draw(st.lists(st.sampled_from(fitting), max_size=6))) if fitting else {}
    for reader in list(joins):
        joins[reader] = draw(st.sampled_from(FORMULAS)).format(joins[reader])
    if draw(st.integers(0, 3)) == 0:
        reader, formula = draw(st.sampled_from(odd))[0], draw(st.sampled_from(odd))[0]
        joins[reader] = draw(st.sampled_from([*FORMULAS, "{0}/0", "{0} +", "sin({0})", "{0}^{0}"])).format(formula)
    return instances, joins


FORMULAS = ("{0}", "w_join*{0}", "{0}/(1 + w_join)", "{0} + w_join*{0}", "min({0}, 2*{0})")


def judge_composition(child: Child, question: Any) -> None:
    found = child.ask("bad_input.fuzz:composition", question, LIMIT)
    assert found.kind in ("done", "refused"), (question, found.text)
    assert found.kind == "refused" or not found.value, (question, found.value)


@settings(FAST, max_examples=10)
@given(question=compositions())
def test_random_compositions_run_or_are_refused(question: Any, child: Child) -> None:
    judge_composition(child, question)


@pytest.mark.slow
@settings(FAST, max_examples=120)
@given(question=compositions())
def test_many_random_compositions_run_or_are_refused(question: Any, child: Child) -> None:
    judge_composition(child, question)


def judge_draws(child: Child, name: str, seed: int, days: float) -> None:
    found = child.ask("bad_input.fuzz:drawn", (name, seed, days), LIMIT)
    assert (found.kind, found.value) == ("done", []), (name, seed, found.text or found.value)


@settings(FAST, max_examples=6)
@given(name=st.sampled_from(["wnt", "pdl1_immune", "invasion"]), seed=st.integers(0, 2**32))
def test_draws_from_priors_run_or_fail_for_a_known_reason(name: str, seed: int, child: Child) -> None:
    judge_draws(child, name, seed, 30.0)


@pytest.mark.slow
@settings(FAST, max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_draws_of_a_whole_cascade_run_or_fail_for_a_known_reason(seed: int, child: Child) -> None:
    judge_draws(child, "breast_lite", seed, 3650.0)


@st.composite
def damage(draw: Any, kinds: Sequence[str] = ()) -> Callable[[bytes, bytes], bytes]:
    """Draw one to three damages of a text, of these kinds besides those of every text."""
    made = draw(st.lists(st.tuples(st.sampled_from([*DAMAGES, *kinds]), st.integers(0, 2**31), st.integers(0, 2**31)),
                         min_size=1, max_size=3))  # fmt: skip

    def apply(data: bytes) -> bytes:
        for name, first, second in made:
            data = {**DAMAGES, **OF_TABLES}[name](data, first, second) if data else data
        return data

    apply.__name__ = repr(made)
    return apply


def flip(data: bytes, first: int, second: int) -> bytes:
    place = first % len(data)
    return data[:place] + bytes([data[place] ^ (1 << second % 8)]) + data[place + 1 :]


def drop(data: bytes, first: int, second: int) -> bytes:
    lines = data.splitlines(keepends=True)
    del lines[first % len(lines)]
    return b"".join(lines)


def repeat(data: bytes, first: int, second: int) -> bytes:
    lines = data.splitlines(keepends=True)
    lines.insert(second % (len(lines) + 1), lines[first % len(lines)])
    return b"".join(lines)


def swap_lines(data: bytes, first: int, second: int) -> bytes:
    lines = data.splitlines(keepends=True)
    a, b = first % len(lines), second % len(lines)
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def swap_words(data: bytes, first: int, second: int) -> bytes:
    """Swap two cells, tags or words."""
    words = re.split(rb"([\t\n ,<>\"=]+)", data)
    places = range(0, len(words), 2)
    a, b = places[first % len(places)], places[second % len(places)]
    words[a], words[b] = words[b], words[a]
    return b"".join(words)


def renumber(data: bytes, first: int, second: int) -> bytes:
    """Put an extreme number, or what looks like one, in place of a number."""
    numbers = list(re.finditer(rb"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])", data))
    if not numbers:
        return data
    found = numbers[first % len(numbers)]
    return data[: found.start()] + EXTREME[second % len(EXTREME)].encode() + data[found.end() :]


def rename(data: bytes, first: int, second: int) -> bytes:
    """Give a word the name of another, once."""
    words = list(re.finditer(rb"[A-Za-z_]\w+", data))
    if not words:
        return data
    old, new = words[first % len(words)], words[second % len(words)][0]
    return data[: old.start()] + new + data[old.end() :]


def cut(data: bytes, first: int, second: int) -> bytes:
    start = first % len(data)
    return data[:start] + data[start + second % 200 :]


def stuff(data: bytes, first: int, second: int) -> bytes:
    place = first % len(data)
    return data[:place] + data[place : place + 300] * (1 + second % 40) + data[place:]


DAMAGES: dict[str, Callable[[bytes, int, int], bytes]] = {
    "flip": flip,
    "drop": drop,
    "repeat": repeat,
    "swap lines": swap_lines,
    "swap words": swap_words,
    "renumber": renumber,
    "rename": rename,
    "cut": cut,
    "stuff": stuff,
}


def decimal_commas(data: bytes, first: int, second: int) -> bytes:
    return data.replace(b".", b",")


def cell_more(data: bytes, first: int, second: int) -> bytes:
    """Put a cell before or behind each row, but not the header."""
    mark, cell = (b"\t" if b"\t" in data else b","), [b"", b"1", b"c_axin", b"7.5"][first % 4]
    header, *lines = data.splitlines()
    return b"\n".join([header, *(cell + mark + line if second % 2 else line + mark + cell for line in lines)]) + b"\n"


def column_twice(data: bytes, first: int, second: int) -> bytes:
    mark = b"\t" if b"\t" in data else b","
    lines = [line.split(mark) for line in data.splitlines()]
    return b"".join(mark.join([*line, line[first % len(line)]]) + b"\n" for line in lines)


OF_TABLES = {"decimal commas": decimal_commas, "cell more": cell_more, "column twice": column_twice}


def file_of(name: str, file: str) -> bytes:
    from bad_input.modules import built

    return ((built() if name in STRUCTURE else module_folder(name).parent) / name / file).read_bytes()


FILES = [
    (name, file) for name in ("source", "sink", "invasion") for file in (f"{name}.xml", "parameters.tsv", f"{name}.ant")
]
TOML = (
    b"title = 'pair'\nyears = 2\nshared = ['all']\n[index]\nmaker = ['one', 'two']\n"
    b"[instances]\n'{maker}' = '../source'\ndown = '../sink'\n[groups]\nall = ['{maker}']\n"
    b"[joins]\n'down.c_in' = 'sum(all.c_a)'\n[start.source]\nc_a = 0.5\n"
)


def judge_file(child: Child, name: str, file: str, harm: Callable[[bytes], bytes]) -> None:
    data = harm(file_of(name, file))
    found = child.ask("bad_input.fuzz:changed", (name, file, data), LIMIT)
    assert found.kind == "done", (name, file, harm.__name__, found.text)


@settings(FAST, max_examples=40)
@given(place=st.sampled_from(FILES), harm=damage())
def test_damaged_modules_run_or_are_refused(place: tuple[str, str], harm: Any, child: Child) -> None:
    judge_file(child, *place, harm)


@pytest.mark.slow
@settings(FAST, max_examples=500)
@given(place=st.sampled_from([*FILES, ("wnt", "wnt.xml"), ("wnt", "parameters.tsv")]), harm=damage())
def test_many_damaged_modules_run_or_are_refused(place: tuple[str, str], harm: Any, child: Child) -> None:
    judge_file(child, *place, harm)


@settings(FAST, max_examples=30)
@given(harm=damage())
def test_damaged_composition_files_run_or_are_refused(harm: Any, child: Child) -> None:
    data = harm(TOML)
    found = child.ask("bad_input.fuzz:composition_file", data, LIMIT)
    assert found.kind == "done", (harm.__name__, data, found.text)


CSV = b"time,c_bcat,c_axin\n0,20.5,0.125\n1,21.25,0.5\n2.5,22,1e-3\n4,23.75,2e-3\n"
LONG = b"observableId\tsimulationConditionId\ttime\tsimulation\n" + b"".join(
    b"\t".join((name, arm, day, value)) + b"\n"
    for name, arm, day, value in zip(
        [b"c_bcat", b"c_bcat_membrane"] * 4, [b"none"] * 4 + [b"drug"] * 4, [b"0", b"0", b"1.5", b"1.5"] * 2,
        [b"20.5", b"0.125", b"21.25", b"0.5", b"22", b"1e-3", b"23.75", b"2e-3"], strict=True,
    )
)  # fmt: skip
TABLES = {".csv": CSV, ".tsv": LONG}
ENTRIES = (manifest("m/whole.xml", "m/part.xml"), ("m/whole.xml", SBML), ("m/part.xml", SBML), ("readme.txt", "models"))
PLACES = st.one_of(st.none(), st.integers(0, len(ENTRIES) - 1))


def judge_archive(child: Child, place: int | None, harm: Callable[[bytes], bytes], whole: bool) -> None:
    """Damage an archive: its bytes, or those of an entry before it is packed."""
    if place is None:
        data = harm(packed(*ENTRIES))
    else:
        data = packed(
            *((name, harm(text.encode()) if place == at else text) for at, (name, text) in enumerate(ENTRIES))
        )
    found = child.ask("bad_input.fuzz:archive", (data, whole), LIMIT)
    assert found.kind == "done", (place, harm.__name__, found.text)


@settings(FAST, max_examples=150)
@given(place=PLACES, harm=damage())
def test_damaged_archives_are_read_or_refused(place: int | None, harm: Any, child: Child) -> None:
    judge_archive(child, place, harm, whole=False)


@pytest.mark.slow
@settings(FAST, max_examples=150)
@given(place=PLACES, harm=damage())
def test_damaged_archives_are_opened_or_refused(place: int | None, harm: Any, child: Child) -> None:
    judge_archive(child, place, harm, whole=True)


def judge_results(child: Child, suffix: str, harm: Callable[[bytes], bytes]) -> None:
    data = harm(TABLES[suffix])
    found = child.ask("bad_input.fuzz:results", (suffix, data), LIMIT)
    assert found.kind == "done", (suffix, harm.__name__, data, found.text)


@settings(FAST, max_examples=100)
@given(suffix=st.sampled_from(list(TABLES)), harm=damage(kinds=list(OF_TABLES)))
def test_damaged_results_are_read_as_they_stand_or_refused(suffix: str, harm: Any, child: Child) -> None:
    judge_results(child, suffix, harm)


@pytest.mark.slow
@settings(FAST, max_examples=1500)
@given(suffix=st.sampled_from(list(TABLES)), harm=damage(kinds=list(OF_TABLES)))
def test_many_damaged_results_are_read_as_they_stand_or_refused(suffix: str, harm: Any, child: Child) -> None:
    judge_results(child, suffix, harm)


def test_the_sound_files_run(child: Child) -> None:
    """So that a refusal above is one of the damage."""
    for name, file in FILES:
        assert child.ask("bad_input.fuzz:changed", (name, file, file_of(name, file)), LIMIT).value == "ran"
    assert child.ask("bad_input.fuzz:composition_file", TOML, LIMIT).value == "ran"
    assert (
        child.ask(
            "bad_input.fuzz:composition", ({"i_0": "source", "i_1": "sink"}, {"i_1.c_in": "i_0.c_a"}), LIMIT
        ).value
        == []
    )
    assert child.ask("bad_input.fuzz:archive", (packed(*ENTRIES), True), LIMIT).value == "ran"
    for suffix, table in TABLES.items():
        assert child.ask("bad_input.fuzz:results", (suffix, table), LIMIT).value == "ran"
    assert len(CLASSES) > 5 and ROWS
