"""Writes small SBML documents from a few words, so that a case can be read at a glance."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import libsbml

CORE = "http://www.sbml.org/sbml/level3/version{}/core"
COMP = "http://www.sbml.org/sbml/level3/version1/comp/version1"

_LISTS = {
    "functionDefinition": "listOfFunctionDefinitions",
    "unitDefinition": "listOfUnitDefinitions",
    "compartment": "listOfCompartments",
    "species": "listOfSpecies",
    "parameter": "listOfParameters",
    "initialAssignment": "listOfInitialAssignments",
    "assignmentRule": "listOfRules",
    "rateRule": "listOfRules",
    "algebraicRule": "listOfRules",
    "reaction": "listOfReactions",
    "event": "listOfEvents",
    "comp:submodel": "comp:listOfSubmodels",
    "comp:port": "comp:listOfPorts",
}


def element(tag: str, *inside: str, **attributes: object) -> str:
    """Write an element; `_` in the name of an attribute of comp stands for its prefix (`comp_idRef`)."""
    words = "".join(
        f" {name.replace('comp_', 'comp:')}={quoteattr(_word(value))}"
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{words}>{''.join(inside)}</{tag}>"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def math(formula: str) -> str:
    """Write MathML of an infix formula."""
    tree = libsbml.parseL3Formula(formula)
    assert tree is not None, libsbml.getLastParseL3Error()
    return libsbml.writeMathMLToString(tree).partition("?>")[2].strip()


def ref(kind: str, submodel: str | None, target: str, *, deeper: str = "", factor: str | None = None) -> str:
    """Write a reference into a submodel: `id:x`, `port:x`, `metaid:x` or `unit:x`; `deeper` is the next reference."""
    how, _, name = target.partition(":")
    attribute = {"id": "idRef", "port": "portRef", "metaid": "metaIdRef", "unit": "unitRef", "deletion": "deletion"}[
        how
    ]
    inside = ref("sBaseRef", None, deeper.partition("/")[0], deeper=deeper.partition("/")[2]) if deeper else ""
    words: dict[str, object] = {
        "comp_submodelRef": submodel,
        f"comp_{attribute}": name,
        "comp_conversionFactor": factor,
    }
    return element(f"comp:{kind}", inside, **words)


def replaces(*targets: tuple[str, str] | tuple[str, str, dict[str, str]]) -> str:
    """Write what an element replaces: tuples (submodel, reference[, {deeper=, factor=}])."""
    return element(
        "comp:listOfReplacedElements",
        *(ref("replacedElement", each[0], each[1], **(each[2] if len(each) > 2 else {})) for each in targets),
    )


def replaced_by(submodel: str, target: str, deeper: str = "") -> str:
    """Write by what an element is replaced."""
    return ref("replacedBy", submodel, target, deeper=deeper)


def parameter(
    id: str,
    value: float | None,
    *inside: str,
    constant: bool = True,
    units: str | None = None,
    metaid: str | None = None,
) -> str:
    return element("parameter", *inside, id=id, metaid=metaid, value=value, constant=constant, units=units)


def compartment(id: str, size: float, *inside: str, constant: bool = True) -> str:
    words = {"id": id, "spatialDimensions": 3, "size": size, "constant": constant}
    return element("compartment", *inside, **words)


def species(
    id: str,
    amount: float | None,
    *inside: str,
    compartment: str = "C",
    concentration: float | None = None,
    amounts: bool = False,
    boundary: bool = False,
    units: str | None = None,
    name: str | None = None,
) -> str:
    words = {
        "id": id,
        "name": name,
        "compartment": compartment,
        "initialAmount": amount,
        "initialConcentration": concentration,
        "substanceUnits": units,
        "hasOnlySubstanceUnits": amounts,
        "boundaryCondition": boundary,
        "constant": False,
    }
    return element("species", *inside, **words)


def initial(symbol: str, formula: str, metaid: str | None = None) -> str:
    return element("initialAssignment", math(formula), symbol=symbol, metaid=metaid)


def assign(variable: str, formula: str, metaid: str | None = None) -> str:
    return element("assignmentRule", math(formula), variable=variable, metaid=metaid)


def rate(variable: str, formula: str, metaid: str | None = None, inside: str = "") -> str:
    return element("rateRule", math(formula), inside, variable=variable, metaid=metaid)


def function(id: str, formula: str) -> str:
    return element("functionDefinition", math(formula), id=id)


def reaction(
    id: str, arrow: str, formula: str, *inside: str, local: dict[str, float] | None = None, fast: bool | None = None
) -> str:
    """Write a reaction: `reaction("J", "2 A -> B", "k*A")`; names after `;` are modifiers."""
    sides, _, modifiers = arrow.partition(";")
    left, right = (_references(side) for side in sides.split("->"))
    names = "".join(element("modifierSpeciesReference", species=name) for name in modifiers.split())
    values = "".join(element("localParameter", id=name, value=value) for name, value in (local or {}).items())
    law = element("kineticLaw", math(formula), element("listOfLocalParameters", values) if values else "")
    return element(
        "reaction",
        *inside,
        element("listOfReactants", left) if left else "",
        element("listOfProducts", right) if right else "",
        element("listOfModifiers", names) if names else "",
        law,
        id=id,
        reversible=False,
        fast=fast,
    )


def _references(side: str) -> str:
    found = []
    for term in filter(None, (term.strip() for term in side.split("+"))):
        count, _, name = term.rpartition(" ")
        found.append(element("speciesReference", species=name, stoichiometry=count or 1, constant=True))
    return "".join(found)


def event(
    id: str, trigger: str, assignments: dict[str, str], *inside: str, delay: str = "", metaid: str | None = None
) -> str:
    words = {"initialValue": False, "persistent": True}
    return element(
        "event",
        *inside,
        element("trigger", math(trigger), **words),
        element("delay", math(delay)) if delay else "",
        element(
            "listOfEventAssignments",
            *(element("eventAssignment", math(formula), variable=name) for name, formula in assignments.items()),
        ),
        id=id,
        metaid=metaid,
        useValuesFromTriggerTime=True,
    )


def submodel(id: str, definition: str, *deletions: str, time: str | None = None, extent: str | None = None) -> str:
    """Write a submodel; `deletions` are references such as `id:x` or `id:B/id:x` (into the submodel B)."""
    lines = [ref("deletion", None, each.partition("/")[0], deeper=each.partition("/")[2]) for each in deletions]
    inside = element("comp:listOfDeletions", *lines) if lines else ""
    words = {"comp_timeConversionFactor": time, "comp_extentConversionFactor": extent}
    return element("comp:submodel", inside, comp_id=id, comp_modelRef=definition, **words)


def port(id: str, target: str, deeper: str = "") -> str:
    text = ref("port", None, target, deeper=deeper)
    return text.replace("<comp:port", f'<comp:port comp:id="{id}"', 1)


def unit(id: str, *factors: tuple[str, int, int, float]) -> str:
    """Write a unit definition: factors (kind, exponent, scale, multiplier)."""
    words = ("kind", "exponent", "scale", "multiplier")
    lines = [element("unit", **dict(zip(words, factor, strict=True))) for factor in factors]
    return element("unitDefinition", element("listOfUnits", *lines), id=id)


def _lists(parts: tuple[str, ...]) -> str:
    order = dict.fromkeys(_LISTS.values())
    found: dict[str, list[str]] = {name: [] for name in order}
    for part in parts:
        tag = part[1:].split(maxsplit=1)[0].split(">")[0]
        found[_LISTS[tag]].append(part)
    return "".join(element(name, *inside) for name, inside in found.items() if inside)


def model(id: str, *parts: str, tag: str = "model", **words: object) -> str:
    """Write a model; its parts come in any order. `words` are `timeUnits` and other attributes."""
    return element(tag, _lists(parts), id=id, **words)


def definition(id: str, *parts: str, **words: object) -> str:
    return model(id, *parts, tag="comp:modelDefinition", **words)


def external(id: str, source: str, model: str | None = None) -> str:
    return element("comp:externalModelDefinition", comp_id=id, comp_source=source, comp_modelRef=model)


def document(top: str, *definitions: str, version: int = 2) -> str:
    """Write a document of level 3 with comp: the top model, then model definitions, internal and external."""
    inside = [each for each in definitions if not each.startswith("<comp:external")]
    outside = [each for each in definitions if each.startswith("<comp:external")]
    lists = element("comp:listOfModelDefinitions", *inside) if inside else ""
    lists += element("comp:listOfExternalModelDefinitions", *outside) if outside else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<sbml xmlns="{CORE.format(version)}" xmlns:comp="{COMP}" level="3" version="{version}" comp:required="true">'
        f"{top}{lists}</sbml>"
    )
