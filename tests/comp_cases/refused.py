"""Hierarchical models that must be refused, and the words in which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from comp_cases.builder import (
    assign,
    compartment,
    definition,
    document,
    external,
    initial,
    model,
    parameter,
    rate,
    replaced_by,
    replaces,
    species,
    submodel,
    unit,
)
from comp_cases.cases import decaying, growing


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A document, the files beside it, and the message, as a regular expression."""

    name: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    message: str


def joined(kept: str, gone: str, *more: str, words: dict[str, str] | None = None) -> str:
    """The top keeps one element for another in submodel A."""
    return document(model("top", kept, submodel("A", "m"), **(words or {})), definition("m", gone, *more))


def outside(source: str, model_id: str | None = None) -> str:
    return document(model("top", submodel("A", "ext")), external("ext", source, model_id))


SECOND = unit("minute", ("second", 1, 0, 60))

REFERENCES = [
    Refused(
        name="a model that holds itself",
        text=document(model("top", submodel("A", "m")), definition("m", submodel("B", "m"))),
        message=r"models hold each other in a circle: m -> m",
    ),
    Refused(
        name="models that hold each other",
        text=document(
            model("top", submodel("A", "a")), definition("a", submodel("B", "b")), definition("b", submodel("A", "a"))
        ),
        message=r"models hold each other in a circle: a -> b -> a",
    ),
    Refused(
        name="a missing model",
        text=document(model("top", submodel("A", "lost")), decaying()),
        message=r"submodel 'A' refers to the model 'lost', which the document does not hold; it holds m",
    ),
    Refused(
        name="a missing submodel",
        text=document(model("top", parameter("P", 1, replaces(("B", "id:k"))), submodel("A", "m")), decaying()),
        message=r"parameter 'P' of the top model 'top' refers to the submodel 'B', which is not there; there are A",
    ),
    Refused(
        name="a missing port",
        text=document(model("top", parameter("P", 1, replaces(("A", "port:rate"))), submodel("A", "m")), decaying()),
        message=r"the port 'rate' of submodel 'A' \(model 'm'\), which is not there",
    ),
    Refused(
        name="a missing element",
        text=document(model("top", parameter("P", 1, replaces(("A", "id:kk"))), submodel("A", "m")), decaying()),
        message=r"the id 'kk' of submodel 'A' \(model 'm'\), which is not there; there are k, S",
    ),
    Refused(
        name="a missing element deep inside",
        text=document(
            model("top", parameter("P", 1, replaces(("A", "id:B", {"deeper": "id:kk"}))), submodel("A", "mid")),
            definition("mid", submodel("B", "m")),
            decaying(),
        ),
        message=r"the id 'kk' of submodel 'A.B'",
    ),
    Refused(
        name="a deletion of nothing",
        text=document(model("top", submodel("A", "m", "id:lost")), decaying()),
        message=r"a deletion in submodel 'A' refers to the id 'lost'",
    ),
    Refused(
        name="a parameter looked into",
        text=document(
            model("top", parameter("P", 1, replaces(("A", "id:k", {"deeper": "id:x"}))), submodel("A", "m")), decaying()
        ),
        message=r"looks into parameter 'k' of submodel 'A', which is no submodel",
    ),
    Refused(
        name="replaced twice",
        text=document(
            model(
                "top",
                parameter("P", 1, replaces(("A", "id:k"))),
                parameter("Q", 2, replaces(("A", "id:k"))),
                submodel("A", "m"),
            ),
            decaying(),
        ),
        message=r"parameter 'k' of submodel 'A' is replaced twice",
    ),
]

MEANING = [
    Refused(
        name="a species for a parameter",
        text=joined(species("S", 1, replaces(("A", "id:k"))) + "", parameter("k", 1), words={}).replace(
            "<listOfSpecies>", f"<listOfCompartments>{compartment('C', 1)}</listOfCompartments><listOfSpecies>"
        ),
        message=r"one is a species, the other a parameter",
    ),
    Refused(
        name="a parameter for a species",
        text=joined(parameter("P", 1, replaces(("A", "id:S"))), compartment("C", 1), species("S", 1)),
        message=r"one is a parameter, the other a species",
    ),
    Refused(
        name="units that differ",
        text=document(
            model("top", parameter("P", 1, replaces(("A", "id:k")), units="second"), submodel("A", "m")),
            definition("m", SECOND, parameter("k", 1, units="minute")),
        ),
        message=r"parameter 'P' .* replaces parameter 'k' of submodel 'A': the units are .*second.*, and .*60 second",
    ),
    Refused(
        name="an amount for a concentration",
        text=document(
            model(
                "top",
                compartment("C", 2, replaces(("A", "id:C"))),
                species("S", 1, replaces(("A", "id:S")), amounts=True),
                submodel("A", "m"),
            ),
            decaying(),
        ),
        message=r"mean an amount by the first and a concentration by the second \(hasOnlySubstanceUnits\)",
    ),
    Refused(
        name="a constant that a rule of the submodel changes",
        text=document(model("top", parameter("P", 1, replaces(("A", "id:x"))), submodel("A", "m")), growing()),
        message=r"parameter 'P' of the top model 'top' is constant, but a rule in submodel 'A' changes it",
    ),
    Refused(
        name="two rules",
        text=document(
            model(
                "top", parameter("P", 1, replaces(("A", "id:x")), constant=False), assign("P", "3"), submodel("A", "m")
            ),
            growing(),
        ),
        message=r"parameter 'P' of the top model 'top' has one rule in the top model 'top' and one in submodel 'A'",
    ),
    Refused(
        name="two initial assignments, replaced by",
        text=document(
            model("top", parameter("P", 1, replaced_by("A", "id:k")), initial("P", "3"), submodel("A", "m")),
            definition("m", parameter("k", 1), initial("k", "4")),
        ),
        message=r"parameter 'k' of submodel 'A' has one initial assignment in the top model 'top' and one in",
    ),
    Refused(
        name="minutes in seconds",
        text=document(
            model("top", submodel("A", "m"), timeUnits="second"),
            definition("m", SECOND, parameter("x", 0, constant=False), rate("x", "1"), timeUnits="minute"),
        ),
        message=r"'top' counts time in .*second.*, and submodel 'A' in .*60 second.*; give",
    ),
    Refused(
        name="moles in items",
        text=document(
            model("top", submodel("A", "m"), extentUnits="item"), definition("m", parameter("k", 1), extentUnits="mole")
        ),
        message=r"counts extent in .*item.*, and submodel 'A' in .*mole",
    ),
    Refused(
        name="a rate under a factor of time",
        text=document(
            model("top", parameter("f", 2), submodel("A", "m", time="f")),
            growing("m", parameter("y", 0, constant=False), assign("y", "rateOf(x)")),
        ),
        message=r"submodel 'A' uses rateOf",
    ),
    Refused(
        name="a factor that is not there",
        text=document(
            model("top", parameter("P", 1, replaces(("A", "id:k", {"factor": "c"}))), submodel("A", "m")), decaying()
        ),
        message=r"libSBML",
    ),
]


def doubled(levels: int) -> str:
    """Each model holds the one before twice."""
    names = [f"m{number}" for number in range(levels)]
    held = [definition(name, submodel("A", below), submodel("B", below)) for below, name in pairwise(names)]
    return document(model("top", submodel("A", names[-1])), definition("m0", parameter("k", 1)), *held)


SIZES = [
    Refused(name="models that double", text=doubled(23), message=r"more than 2,000 submodels or 1,000,000 elements"),
]

FILES = [
    Refused(name="a path that leaves", text=outside("../secret.xml"), message=r"'\.\./secret\.xml' leaves the folder"),
    Refused(name="a path that leaves and comes back", text=outside("sub/../top.xml"), message=r"leaves the folder"),
    Refused(name="an absolute path", text=outside("/etc/hostname"), message=r"'/etc/hostname' leaves the folder"),
    Refused(name="a path of Windows", text=outside("..\\secret.xml"), message=r"leaves the folder"),
    Refused(name="a drive of Windows", text=outside("C:\\secret.xml"), message=r"is an address"),
    Refused(
        name="an address", text=outside("https://example.org/m.xml"), message=r"is an address, and nothing is fetched"
    ),
    Refused(name="an address of a file", text=outside("file:///etc/hostname"), message=r"is an address"),
    Refused(name="a name resource", text=outside("urn:miriam:biomodels.db:BIOMD1"), message=r"is an address"),
    Refused(name="no file", text=outside("lost.xml"), message=r"there is no file 'lost.xml' in the folder"),
    Refused(name="no name", text=outside(" "), message=r"names no file"),
    Refused(name="a zero in a name", text=outside("a%00.xml"), message=r"there is no file"),
    Refused(
        name="no such model in the file",
        text=outside("other.xml", "lost"),
        files={"other.xml": document(model("inside", parameter("k", 1)), decaying())},
        message=r"other.xml: holds no model 'lost'; it holds inside, m",
    ),
    Refused(
        name="a file that is hostile",
        text=outside("other.xml"),
        files={"other.xml": "<!DOCTYPE sbml [<!ENTITY a 'x'>]><sbml/>"},
        message=r"other.xml: has a DOCTYPE",
    ),
    Refused(
        name="a file that is no SBML",
        text=outside("other.xml"),
        files={"other.xml": "<html/>"},
        message=r"other.xml: is not SBML: its root element is <html>",
    ),
    Refused(
        name="a file of level 2",
        text=outside("other.xml"),
        files={
            "other.xml": '<sbml xmlns="http://www.sbml.org/sbml/level2/version4" level="2" version="4"><model/></sbml>'
        },
        message=r"other.xml: is level 2",
    ),
    Refused(
        name="definitions that lead to each other",
        text=outside("a.xml", "there"),
        files={
            "a.xml": document(model("a", parameter("k", 1)), external("there", "b.xml", "back")),
            "b.xml": document(model("b", parameter("k", 1)), external("back", "a.xml", "there")),
        },
        message=r"go in a circle: top.xml#ext -> a.xml#there -> b.xml#back -> a.xml#there",
    ),
    Refused(
        name="files that hold each other",
        text=outside("a.xml"),
        files={
            "a.xml": document(model("a", submodel("B", "there")), external("there", "b.xml")),
            "b.xml": document(model("b", submodel("A", "back")), external("back", "a.xml")),
        },
        message=r"models hold each other in a circle",
    ),
    Refused(
        name="a file that holds the one that was opened",
        text=outside("a.xml"),
        files={"a.xml": document(model("a", submodel("T", "back")), external("back", "top.xml"))},
        message=r"a circle",
    ),
]

REFUSED = [*REFERENCES, *MEANING, *SIZES, *FILES]
