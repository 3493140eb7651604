"""Hierarchical models with answers in closed form, in the spirit of the comp cases of the SBML Test Suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comp_cases.builder import (
    assign,
    compartment,
    definition,
    document,
    event,
    external,
    function,
    initial,
    model,
    parameter,
    port,
    rate,
    reaction,
    replaced_by,
    replaces,
    species,
    submodel,
    unit,
)

Answer = Callable[[NDArray[np.float64]], Any]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A document, the files beside it, and what must come out.

    `expected` maps a flat id (or `name:` and the name of a symbol) to its value over time, an amount for a species;
    `absent` are ids that must not be there; `issue` is a part of an issue that must be reported.
    """

    name: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, Answer]
    absent: tuple[str, ...] = ()
    issue: str = ""


def constant(value: float) -> Answer:
    return lambda t: value + 0 * t


def line(start: float, slope: float) -> Answer:
    return lambda t: start + slope * t


def decay(start: float, k: float) -> Answer:
    return lambda t: start * np.exp(-k * t)


def step(at: float, before: float, after: float) -> Answer:
    return lambda t: np.where(t < at, before, after)


def decaying(name: str = "m", k: float = 0.5, *more: str) -> str:
    """A definition: S, 10 in a volume of 1, is lost at rate k."""
    return definition(
        name, compartment("C", 1), species("S", 10), parameter("k", k), reaction("J", "S ->", "k*S"), *more
    )


def growing(name: str = "m", *more: str) -> str:
    """A definition: x grows at rate k = 1."""
    return definition(name, parameter("k", 1), parameter("x", 0, constant=False), rate("x", "k"), *more)


SUBMODELS = [
    Case(
        name="a submodel alone",
        text=document(model("top", submodel("A", "m")), decaying()),
        expected={"A__S": decay(10, 0.5), "A__k": constant(0.5)},
    ),
    Case(
        name="two instances of one definition, one with another value",
        text=document(
            model("top", parameter("k", 0.2, replaces(("B", "id:k"))), submodel("A", "m"), submodel("B", "m")),
            decaying(),
        ),
        expected={"A__S": decay(10, 0.5), "B__S": decay(10, 0.2)},
        absent=("B__k",),
    ),
    Case(
        name="three levels, replaced from the top through a nested reference",
        text=document(
            model(
                "top",
                parameter("P", 0.3, replaces(("A", "id:B", {"deeper": "id:k"}))),
                submodel("A", "mid"),
            ),
            definition("mid", submodel("B", "m"), submodel("D", "m")),
            decaying(),
        ),
        expected={"A__B__S": decay(10, 0.3), "A__D__S": decay(10, 0.5)},
    ),
    Case(
        name="a replacement in the middle, itself replaced from the top",
        text=document(
            model("top", parameter("P", 0.1, replaces(("A", "id:q"))), submodel("A", "mid")),
            definition("mid", parameter("q", 0.9, replaces(("B", "id:k"))), submodel("B", "m")),
            decaying(),
        ),
        expected={"A__B__S": decay(10, 0.1)},
        absent=("A__q", "A__B__k"),
    ),
    Case(
        name="a port",
        text=document(
            model("top", parameter("P", 0.25, replaces(("A", "port:rate"))), submodel("A", "m")),
            decaying("m", 0.5, port("rate", "id:k")),
        ),
        expected={"A__S": decay(10, 0.25)},
    ),
    Case(
        name="a port of the middle that leads to the bottom",
        text=document(
            model("top", parameter("P", 0.25, replaces(("A", "port:rate"))), submodel("A", "mid")),
            definition("mid", submodel("B", "m"), port("rate", "id:B", "id:k")),
            decaying(),
        ),
        expected={"A__B__S": decay(10, 0.25)},
    ),
    Case(
        name="a reference by metaid",
        text=document(
            model(
                "top",
                parameter("P", 0.4, replaces(("A", "metaid:the_rate")), metaid="the_top_rate"),
                submodel("A", "m"),
            ),
            definition(
                "m",
                compartment("C", 1),
                species("S", 10),
                parameter("k", 0.5, metaid="the_rate"),
                reaction("J", "S ->", "k*S"),
            ),
        ),
        expected={"A__S": decay(10, 0.4)},
    ),
    Case(
        name="a species that two submodels make",
        text=document(
            model(
                "top",
                compartment("C", 1, replaces(("A", "id:C"), ("B", "id:C"))),
                species("S", 1, replaces(("A", "id:S"), ("B", "id:S"))),
                submodel("A", "two"),
                submodel("B", "three"),
            ),
            definition("two", compartment("C", 1), species("S", 7), reaction("J", "-> S", "2")),
            definition("three", compartment("C", 1), species("S", 9), reaction("J", "-> S", "3")),
        ),
        expected={"S": line(1, 5)},
        absent=("A__S", "B__S", "A__C"),
    ),
    Case(
        name="a compartment of another size",
        text=document(
            model(
                "top",
                compartment("V", 4, replaces(("A", "id:C"))),
                submodel("A", "m"),
            ),
            definition(
                "m",
                compartment("C", 1),
                species("S", None, concentration=3),
                species("Z", 0),
                reaction("J", "S ->", "0.5*S*C"),
                reaction("K", "-> Z", "2*C"),
            ),
        ),
        expected={"A__S": decay(12, 0.5), "A__Z": line(0, 8)},
    ),
    Case(
        name="replaced by a parameter of a submodel",
        text=document(
            model(
                "top",
                parameter("P", 1, replaced_by("A", "id:k")),
                parameter("x", 0, constant=False),
                rate("x", "P"),
                submodel("A", "m"),
            ),
            definition("m", parameter("k", 7)),
        ),
        expected={"x": line(0, 7), "P": constant(7)},
    ),
    Case(
        name="replaced by a species deep inside",
        text=document(
            model(
                "top",
                compartment("C", 2, replaced_by("A", "id:B", "id:C")),
                species("S", 1, replaced_by("A", "id:B", "id:S")),
                reaction("J", "S ->", "0.1*S"),
                submodel("A", "mid"),
            ),
            definition("mid", submodel("B", "low")),
            definition("low", compartment("C", 1), species("S", 4)),
        ),
        expected={"S": decay(4, 0.1), "C": constant(1)},
    ),
    Case(
        name="a reaction that replaces another, whose rate is mentioned",
        text=document(
            model(
                "top",
                compartment("C", 1, replaces(("A", "id:C"))),
                species("S", 10, replaces(("A", "id:S"))),
                reaction("R", "S ->", "0.2*S", replaces(("A", "id:J"))),
                submodel("A", "m"),
            ),
            decaying("m", 0.5, parameter("y", 0, constant=False), assign("y", "J + 1")),
        ),
        expected={"S": decay(10, 0.2), "A__y": lambda t: 1 + 2 * np.exp(-0.2 * t)},
        absent=("A__J",),
    ),
    Case(
        name="a boundary species that the top drives",
        text=document(
            model(
                "top",
                compartment("C", 1, replaces(("A", "id:C"))),
                species("L", None, replaces(("A", "id:L")), boundary=True),
                assign("L", "2*time"),
                submodel("A", "m"),
            ),
            definition(
                "m", compartment("C", 1), species("L", 1, boundary=True), species("S", 0), reaction("J", "L -> S", "L")
            ),
        ),
        expected={"A__S": lambda t: t**2, "L": line(0, 2)},
    ),
]

DELETIONS = [
    Case(
        name="a reaction is deleted",
        text=document(model("top", submodel("A", "m", "id:J"), submodel("B", "m")), decaying()),
        expected={"A__S": constant(10), "B__S": decay(10, 0.5)},
        absent=("A__J",),
    ),
    Case(
        name="a replaced parameter whose rule is deleted by metaid",
        text=document(
            model("top", parameter("P", 2, replaces(("A", "id:k"))), submodel("A", "m", "metaid:rule_k")),
            definition(
                "m",
                parameter("k", 1, constant=False),
                assign("k", "9", "rule_k"),
                parameter("x", 0, constant=False),
                rate("x", "k"),
            ),
        ),
        expected={"A__x": line(0, 2)},
    ),
    Case(
        name="a deletion through a port",
        text=document(model("top", submodel("A", "m", "port:loss")), decaying("m", 0.5, port("loss", "id:J"))),
        expected={"A__S": constant(10)},
    ),
    Case(
        name="a deletion in a submodel of a submodel",
        text=document(
            model("top", submodel("A", "mid", "id:B/id:J")),
            definition("mid", submodel("B", "m"), submodel("D", "m")),
            decaying(),
        ),
        expected={"A__B__S": constant(10), "A__D__S": decay(10, 0.5)},
    ),
    Case(
        name="a whole submodel is deleted",
        text=document(
            model("top", submodel("A", "mid", "id:B")),
            definition("mid", parameter("y", 3), submodel("B", "m")),
            decaying(),
        ),
        expected={"A__y": constant(3)},
        absent=("A__B__S", "A__B__k"),
    ),
    Case(
        name="an event is deleted by metaid",
        text=document(
            model("top", submodel("A", "m", "metaid:dose"), submodel("B", "m")),
            growing("m", event("E", "time > 2.7", {"x": "100"}, metaid="dose")),
        ),
        expected={"A__x": line(0, 1), "B__x": lambda t: np.where(t < 2.7, t, 100 + t - 2.7)},
    ),
]

FACTORS = [
    Case(
        name="a factor on a parameter with a rate rule",
        text=document(
            model(
                "top",
                parameter("P", 2, replaces(("A", "id:p", {"factor": "c"})), constant=False),
                parameter("c", 0.1),
                submodel("A", "m"),
            ),
            definition("m", parameter("p", 5, constant=False), rate("p", "3 - 0.4*p")),
        ),
        expected={"P": lambda t: 0.1 * (7.5 + (20 - 7.5) * np.exp(-0.4 * t))},
    ),
    Case(
        name="a factor on a parameter with an initial assignment",
        text=document(
            model(
                "top",
                parameter("P", None, replaces(("A", "id:p", {"factor": "c"}))),
                parameter("c", 10),
                submodel("A", "m"),
            ),
            definition("m", parameter("p", 5), initial("p", "6"), parameter("y", 0, constant=False), assign("y", "p")),
        ),
        expected={"P": constant(60), "A__y": constant(6)},
    ),
    Case(
        name="a factor on a species converts formulas and not what reactions make",
        text=document(
            model(
                "top",
                compartment("C", 1, replaces(("A", "id:C"))),
                species("S", 10, replaces(("A", "id:S", {"factor": "c"}))),
                parameter("c", 2),
                submodel("A", "m"),
            ),
            decaying(),
        ),
        expected={"S": decay(10, 0.25)},
        issue="converts formulas",
    ),
    Case(
        name="factors of two levels multiply",
        text=document(
            model(
                "top",
                parameter("P", 60, replaces(("A", "id:q", {"factor": "c"}))),
                parameter("c", 2),
                submodel("A", "mid"),
            ),
            definition(
                "mid",
                parameter("q", 1, replaces(("B", "id:k", {"factor": "d"}))),
                parameter("d", 3),
                submodel("B", "m"),
            ),
            growing(),
        ),
        expected={"A__B__x": line(0, 10)},
    ),
    Case(
        name="a factor of time on a reaction",
        text=document(model("top", parameter("f", 2), submodel("A", "m", time="f")), decaying("m", 0.6)),
        expected={"A__S": decay(10, 0.3)},
    ),
    Case(
        name="a factor of time on a rate rule and on the symbol of time",
        text=document(
            model("top", parameter("f", 2), submodel("A", "m", time="f"), submodel("B", "m")),
            definition("m", parameter("x", 0, constant=False), rate("x", "time")),
        ),
        expected={"A__x": lambda t: t**2 / 8, "B__x": lambda t: t**2 / 2},
    ),
    Case(
        name="a factor of time on an event with a delay",
        text=document(
            model("top", parameter("f", 2), submodel("A", "m", time="f")),
            definition(
                "m",
                parameter("x", 0, constant=False),
                event("E", "time > 1.05", {"x": "time"}, delay="0.75"),
            ),
        ),
        # the trigger at 2 x 1.05, the delay 2 x 0.75; values are those of the trigger time, in time of the submodel
        expected={"A__x": step(3.6, 0, 1.05)},
    ),
    Case(
        name="a factor of extent",
        text=document(
            model("top", parameter("f", 1000), submodel("A", "m", extent="f")),
            definition("m", compartment("C", 1), species("S", 1), reaction("J", "-> S", "0.002")),
        ),
        expected={"A__S": line(1, 2)},
    ),
    Case(
        name="factors of time and extent on two levels",
        text=document(
            model("top", parameter("t1", 10), parameter("x1", 3), submodel("A", "mid", time="t1", extent="x1")),
            definition("mid", parameter("t2", 6), parameter("x2", 7), submodel("B", "m", time="t2", extent="x2")),
            definition("m", compartment("C", 1), species("S", 1), reaction("J", "-> S", "5")),
        ),
        expected={"A__B__S": line(1, 5 * 21 / 60)},
    ),
]

MATHEMATICS = [
    Case(
        name="rate and assignment rules",
        text=document(
            model("top", parameter("P", 3, replaces(("A", "id:k"))), submodel("A", "m")),
            growing("m", parameter("y", 0, constant=False), assign("y", "2*x + 1")),
        ),
        expected={"A__x": line(0, 3), "A__y": line(1, 6)},
    ),
    Case(
        name="an event without a factor",
        text=document(
            model("top", parameter("P", 4.3, replaces(("A", "id:at"))), submodel("A", "m")),
            growing("m", parameter("at", 1), event("E", "time > at", {"x": "x + 10"})),
        ),
        expected={"A__x": lambda t: t + np.where(t < 4.3, 0, 10)},
    ),
    Case(
        name="an initial assignment that reads a replaced parameter",
        text=document(
            model("top", parameter("P", 4, replaces(("A", "id:k"))), submodel("A", "m")),
            definition(
                "m",
                compartment("C", 1),
                species("S", 1),
                parameter("k", 1),
                initial("S", "2*k"),
                reaction("J", "S ->", "S"),
            ),
        ),
        expected={"A__S": decay(8, 1)},
    ),
    Case(
        name="initial assignments that cross the border to and fro",
        text=document(
            model(
                "top",
                *(parameter(name, 1 if name == "a" else None, replaces(("A", f"id:{name}"))) for name in "abcd"),
                initial("c", "b + 1"),
                submodel("A", "m"),
            ),
            definition(
                "m",
                *(parameter(name, None) for name in "abcd"),
                initial("b", "a + 1"),
                initial("d", "c + 1"),
            ),
        ),
        expected={"a": constant(1), "b": constant(2), "c": constant(3), "d": constant(4)},
    ),
    Case(
        name="an initial assignment in the submodel wins over the value at the top",
        text=document(
            model("top", parameter("P", 5, replaces(("A", "id:k"))), submodel("A", "m")),
            definition("m", parameter("k", 1), initial("k", "2*3")),
        ),
        expected={"P": constant(6)},
        issue="the initial assignment in submodel 'A' sets the element that it replaces, and wins",
    ),
    Case(
        name="the same, its initial assignment deleted",
        text=document(
            model("top", parameter("P", 5, replaces(("A", "id:k"))), submodel("A", "m", "metaid:ia")),
            definition("m", parameter("k", 1), initial("k", "2*3", "ia"), parameter("y", None), initial("y", "k + 1")),
        ),
        expected={"P": constant(5), "A__y": constant(6)},
    ),
    Case(
        name="functions of one name in two submodels",
        text=document(
            model("top", submodel("A", "double"), submodel("B", "triple")),
            *(
                definition(
                    name,
                    function("f", f"lambda(x, {factor}*x)"),
                    parameter("y", 0, constant=False),
                    assign("y", "f(time) + 1"),
                )
                for name, factor in (("double", 2), ("triple", 3))
            ),
        ),
        expected={"A__y": line(1, 2), "B__y": line(1, 3)},
    ),
    Case(
        name="a function whose argument is called as what replaces, with a factor",
        text=document(
            model(
                "top",
                parameter("P", 6, replaces(("A", "id:k", {"factor": "c"}))),
                parameter("c", 2),
                submodel("A", "m"),
            ),
            definition(
                "m",
                function("f", "lambda(P, P + 1)"),
                parameter("k", 1),
                parameter("y", 0, constant=False),
                assign("y", "f(k)"),
            ),
        ),
        expected={"A__y": constant(4)},
    ),
    Case(
        name="a local parameter that is called as what replaces a symbol of its law",
        text=document(
            model("top", parameter("P", 0.25, replaces(("A", "id:k"))), submodel("A", "m")),
            definition(
                "m",
                compartment("C", 1),
                species("S", 10),
                parameter("k", 1),
                reaction("J", "S ->", "k*P*S", local={"P": 2}),
            ),
        ),
        expected={"A__S": decay(10, 0.5)},
    ),
    Case(
        name="a local parameter that is called as a factor of time",
        text=document(
            model("top", parameter("f", 4), submodel("A", "m", time="f")),
            definition("m", compartment("C", 1), species("S", 10), reaction("J", "S ->", "f*S", local={"f": 2})),
        ),
        expected={"A__S": decay(10, 0.5)},
    ),
    Case(
        name="local parameters of one name in one submodel",
        text=document(
            model("top", submodel("A", "m")),
            definition(
                "m",
                compartment("C", 1),
                species("S", 0),
                reaction("J", "-> S", "k", local={"k": 2}),
                reaction("K", "-> S", "k", local={"k": 3}),
            ),
        ),
        expected={"A__S": line(0, 5)},
    ),
    Case(
        name="an id at the top that the flattening would give",
        text=document(
            model("top", parameter("A__x", 42), submodel("A", "m")),
            definition("m", compartment("C", 1), species("x", 10, name="the inner x"), reaction("J", "x ->", "0.5*x")),
        ),
        expected={"A__x": constant(42), "name:the inner x": decay(10, 0.5)},
    ),
    Case(
        name="units of one name and another meaning, and a conversion of units by a factor",
        text=document(
            model(
                "top",
                unit("amount", ("mole", 1, 0, 1)),
                unit("per_item", ("item", 1, 0, 1), ("mole", -1, 0, 1)),
                parameter("P", 2, replaces(("A", "id:q", {"factor": "c"})), units="amount"),
                parameter("c", 0.5, units="per_item"),
                submodel("A", "m"),
            ),
            definition(
                "m",
                unit("amount", ("item", 1, 0, 1)),
                parameter("q", 1, units="amount"),
                parameter("y", 0, units="amount", constant=False),
                assign("y", "q"),
            ),
        ),
        expected={"A__y": constant(4)},
    ),
    Case(
        name="a unit definition that replaces another",
        text=document(
            model(
                "top",
                unit("per_hour", ("second", -1, 0, 3600)).replace(
                    '<unitDefinition id="per_hour">',
                    '<unitDefinition id="per_hour">' + replaces(("A", "unit:each_hour")),
                ),
                parameter("P", 1, units="per_hour"),
                submodel("A", "m"),
            ),
            definition("m", unit("each_hour", ("second", -1, 0, 3600)), parameter("k", 2, units="each_hour")),
        ),
        expected={"P": constant(1), "A__k": constant(2)},
    ),
    Case(
        name="level 3 version 1",
        text=document(
            model("top", parameter("k", 0.2, replaces(("A", "port:k"))), submodel("A", "m")),
            definition(
                "m",
                compartment("C", 1),
                species("S", 10),
                parameter("k", 1),
                reaction("J", "S ->", "k*S", fast=False),
                port("k", "id:k"),
            ),
            version=1,
        ),
        expected={"A__S": decay(10, 0.2)},
    ),
]

EXTERNAL = [
    Case(
        name="a model in another file",
        text=document(
            model("top", parameter("P", 0.2, replaces(("A", "id:k"))), submodel("A", "ext")),
            external("ext", "other.xml"),
        ),
        files={
            "other.xml": document(
                model("inside", compartment("C", 1), species("S", 10), parameter("k", 1), reaction("J", "S ->", "k*S"))
            )
        },
        expected={"A__S": decay(10, 0.2)},
    ),
    Case(
        name="two levels of files, the second named from the folder of the first",
        text=document(model("top", submodel("A", "ext")), external("ext", "parts/mid.xml")),
        files={
            "parts/mid.xml": document(
                model("mid", parameter("q", 0.3, replaces(("B", "id:k"))), submodel("B", "ext")),
                external("ext", "low.xml", "m"),
            ),
            "parts/low.xml": document(model("unused", parameter("u", 1)), decaying("m", 0.5)),
        },
        expected={"A__B__S": decay(10, 0.3)},
        absent=("A__u", "A__B__u"),
    ),
    Case(
        name="definitions of one name here and in the other file",
        text=document(
            model("top", submodel("A", "ext"), submodel("B", "m")),
            decaying("m", 0.5),
            external("ext", "other.xml", "pair"),
        ),
        files={
            "other.xml": document(
                model("top", parameter("u", 1)),
                definition("pair", submodel("D", "m"), submodel("E", "m")),
                decaying("m", 0.1),
            )
        },
        expected={"A__D__S": decay(10, 0.1), "A__E__S": decay(10, 0.1), "B__S": decay(10, 0.5)},
    ),
    Case(
        name="an external definition that leads to another",
        text=document(model("top", submodel("A", "ext"), submodel("B", "ext")), external("ext", "a.xml", "further")),
        files={
            "a.xml": document(model("a", parameter("u", 1)), external("further", "b.xml")),
            "b.xml": document(model("b", parameter("x", 0, constant=False), rate("x", "2"))),
        },
        expected={"A__x": line(0, 2), "B__x": line(0, 2)},
    ),
    Case(
        name="files of two versions",
        text=document(model("top", submodel("A", "ext")), external("ext", "b.xml"), version=1),
        files={"b.xml": document(model("b", parameter("x", 0, constant=False), rate("x", "2")), version=2)},
        expected={"A__x": line(0, 2)},
    ),
]


def tagged(k: float, event_at: float) -> str:
    """A document of one model, with metaids that other files have, too."""
    return document(
        model(
            "inside",
            parameter("k", k, metaid="tag_k"),
            parameter("j", 1, metaid="tag_j"),
            parameter("x", 0, constant=False),
            rate("x", "k*j", "tag_rule"),
            event("E", f"time > {event_at}", {"x": "100"}, metaid="tag_event"),
            port("speed", "metaid:tag_k"),
        )
    )


EXTERNAL += [
    Case(
        name="files with the same metaids, to which references lead",
        text=document(
            model(
                "top",
                parameter("P", 5, replaces(("B", "metaid:tag_j")), metaid="tag_j"),
                parameter("Q", 7, replaces(("D", "port:speed")), metaid="tag_q"),
                submodel("A", "one", "metaid:tag_event"),
                submodel("B", "two"),
                submodel("D", "two", "metaid:tag_event"),
                submodel("M", "mid", "id:N/metaid:tag_event"),
            ),
            definition("mid", submodel("N", "one")),
            external("one", "one.xml"),
            external("two", "two.xml"),
        ),
        files={"one.xml": tagged(1, 2.7), "two.xml": tagged(2, 3.3)},
        expected={
            "A__x": line(0, 1),
            "B__x": lambda t: np.where(t < 3.3, 10 * t, 100 + 10 * (t - 3.3)),
            "D__x": line(0, 7),
            "M__N__x": line(0, 1),
        },
    ),
]

CASES = [*SUBMODELS, *DELETIONS, *FACTORS, *MATHEMATICS, *EXTERNAL]
