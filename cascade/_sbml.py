"""The libSBML door: read, check, flatten, write; limits against hostile files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256

import libsbml

from cascade._limits import MAX_BYTES as MAX_BYTES
from cascade._limits import precheck as precheck
from cascade._parts import parts
from cascade.errors import SBMLError
from cascade.specs import Issue
from cascade.units import parse_unit

# Warning kinds that are allowed, each with its reason.
ALLOWED_WARNINGS: dict[int, str] = {
    1090106: "libSBML's note that it cannot report line numbers for comp models; says nothing about the model",
}


def read_document(text: str, where: str) -> libsbml.SBMLDocument:
    """Parse SBML text after `precheck`.

    Raises
    ------
    SBMLError
        If libSBML finds an error while reading.
    """
    precheck(text, where)
    document = libsbml.readSBMLFromString(text)
    _raise_on_errors(document, where)
    if document.getModel() is None:
        raise SBMLError(f"{where}: the document holds no model")
    return document


def write_document(document: libsbml.SBMLDocument) -> str:
    """Return the SBML text of a document."""
    return str(libsbml.writeSBMLToString(document))


def _raise_on_errors(document: libsbml.SBMLDocument, where: str) -> None:
    errors = [issue for issue in _issues(document, where) if issue.severity == "error"]
    if errors:
        raise SBMLError("\n".join(str(issue) for issue in errors[:20]))


def _issues(document: libsbml.SBMLDocument, where: str) -> list[Issue]:
    found = []
    for number in range(document.getNumErrors()):
        error = document.getError(number)
        severe = error.getSeverity() in (libsbml.LIBSBML_SEV_ERROR, libsbml.LIBSBML_SEV_FATAL)
        if not severe and error.getErrorId() in ALLOWED_WARNINGS:
            continue
        message = " ".join(error.getMessage().split())
        found.append(
            Issue(
                severity="error" if severe else "warning",
                where=f"{where}, line {error.getLine()}",
                what=f"[libSBML {error.getErrorId()}] {message}",
            )
        )
    return found


def check_document(document: libsbml.SBMLDocument, where: str) -> list[Issue]:
    """Run every consistency check of libSBML, strict units included.

    Units of a document without submodels are checked in parts; see `cascade._parts`.

    Returns
    -------
    list of Issue
        Errors and warnings, without the kinds of `ALLOWED_WARNINGS`.
    """
    return list(_checked(write_document(document), where))


@lru_cache(maxsize=64)
def _checked(text: str, where: str) -> tuple[Issue, ...]:
    fresh = libsbml.readSBMLFromString(text)
    if fresh.getPlugin("comp") is not None:
        fresh.checkConsistencyWithStrictUnits()
        return tuple(_issues(fresh, where))
    fresh.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, False)
    fresh.checkConsistency()
    issues = _issues(fresh, where)
    if fresh.getModel() is None:
        return tuple(issues) or (Issue(severity="error", where=where, what="the document holds no model"),)
    # the check of units crashes on formulas of wrong shape, which are among the errors
    if any(issue.severity == "error" for issue in issues):
        return tuple(issues)
    return (*issues, *_unit_issues(fresh, where))


_CATEGORIES_BUT_UNITS = (
    libsbml.LIBSBML_CAT_GENERAL_CONSISTENCY,
    libsbml.LIBSBML_CAT_IDENTIFIER_CONSISTENCY,
    libsbml.LIBSBML_CAT_MATHML_CONSISTENCY,
    libsbml.LIBSBML_CAT_SBO_CONSISTENCY,
    libsbml.LIBSBML_CAT_OVERDETERMINED_MODEL,
    libsbml.LIBSBML_CAT_MODELING_PRACTICE,
)


@lru_cache(maxsize=256)
def refuse_odd_math(text: str, where: str) -> None:
    """Refuse a document with formulas of wrong shape: libSBML crashes when it checks the units of a whole around them.

    Raises
    ------
    SBMLError
    """
    document = read_document(text, where)
    plugin = document.getPlugin("comp")
    if plugin is not None:
        document.disablePackage(plugin.getURI(), plugin.getPrefix())
    for category in (*_CATEGORIES_BUT_UNITS, libsbml.LIBSBML_CAT_UNITS_CONSISTENCY):
        document.setConsistencyChecks(category, category == libsbml.LIBSBML_CAT_MATHML_CONSISTENCY)
    document.checkConsistency()
    _raise_on_errors(document, where)


def _unit_issues(document: libsbml.SBMLDocument, where: str) -> list[Issue]:
    """Check the units of a flat document strictly, a few formulas at a time.

    What was found clean once is not checked again when it comes a second time, be it in another instance. A finding
    that comes twice counts once.
    """
    found: dict[Issue, None] = {}
    model = document.getModel()
    lists = (model.getListOfUnitDefinitions(), model.getListOfFunctionDefinitions())
    shared = "".join([*(each.toSBML() for each in lists), model.getTimeUnits(), model.getExtentUnits()])
    for part in parts(document):
        key = sha256(f"{shared}{part.pattern}".encode()).digest()
        if key in _clean:
            continue
        small = part.document
        for category in _CATEGORIES_BUT_UNITS:
            small.setConsistencyChecks(category, False)
        small.checkConsistencyWithStrictUnits()
        issues = _issues(small, where)
        found |= dict.fromkeys(issues)
        if not issues:
            _clean.add(key)
    return list(found)


_clean: set[bytes] = set()


def flatten(document: libsbml.SBMLDocument, where: str) -> libsbml.SBMLDocument:
    """Flatten a comp document with libSBML.

    The converter's own validation is off: it repeats, in several seconds, what `check_document` finds in the
    hierarchical document before and in the flat one after. Both are checked by whoever flattens.

    Raises
    ------
    SBMLError
        If libSBML refuses to flatten.
    """
    flat = document.clone()
    properties = libsbml.ConversionProperties()
    properties.addOption("flatten comp", True)
    properties.addOption("performValidation", False)
    properties.addOption("leavePorts", False)
    properties.addOption("listModelDefinitions", False)
    if flat.convert(properties) != libsbml.LIBSBML_OPERATION_SUCCESS:
        raise SBMLError(
            f"{where}: libSBML cannot flatten the composition\n"
            + "\n".join(str(issue) for issue in _issues(flat, where)[:20])
        )
    return flat


def add_units(model: libsbml.Model, units: set[str]) -> None:
    """Write unit definitions for the unit ids; `dimensionless` and base units of SBML need none."""
    for unit in sorted(units):
        if unit in ("dimensionless", "litre", "second") or model.getUnitDefinition(unit) is not None:
            continue
        definition = model.createUnitDefinition()
        definition.setId(unit)
        for factor in parse_unit(unit):
            part = definition.createUnit()
            part.setKind(libsbml.UnitKind_forName(factor.kind))
            part.setExponent(factor.exponent)
            part.setScale(factor.scale)
            part.setMultiplier(factor.multiplier)


MODEL_UNITS = {"time": "day", "volume": "litre", "substance": "nmole", "extent": "nmole"}
"""Units of every model; the flat model takes them from the top model only."""


def set_model_units(model: libsbml.Model) -> None:
    """Set the units that every cascade model has: day, litre, nanomole."""
    model.setTimeUnits(MODEL_UNITS["time"])
    model.setVolumeUnits(MODEL_UNITS["volume"])
    model.setSubstanceUnits(MODEL_UNITS["substance"])
    model.setExtentUnits(MODEL_UNITS["extent"])


def literals(node: libsbml.ASTNode) -> Iterator[libsbml.ASTNode]:
    """Yield every number of a formula."""
    if node.isNumber():
        yield node
    for index in range(node.getNumChildren()):
        yield from literals(node.getChild(index))


def symbols(node: libsbml.ASTNode) -> set[str]:
    """Return the ids that a formula mentions."""
    found = {node.getName()} if node.getType() == libsbml.AST_NAME else set()
    for index in range(node.getNumChildren()):
        found |= symbols(node.getChild(index))
    return found


def is_time(node: libsbml.ASTNode) -> bool:
    """Tell whether a formula mentions the simulation time."""
    if node.getType() == libsbml.AST_NAME_TIME:
        return True
    return any(is_time(node.getChild(index)) for index in range(node.getNumChildren()))


_WORDS = frozenset(("pi", "exponentiale", "time", "avogadro", "true", "false", "inf", "infinity", "nan", "notanumber"))


def is_word(name: str) -> bool:
    """Tell whether formulas keep an id for a constant of their own, in any case of its letters.

    `libsbml.parseL3Formula` then reads the constant and not the symbol, without a word.
    """
    return name.lower() in _WORDS


def refuse_words(names: Iterable[str], where: str) -> None:
    """Refuse ids that formulas keep for constants."""
    words = sorted(filter(is_word, names))
    if words:
        raise SBMLError(
            f"{where}: {', '.join(map(repr, words))} is the id of a symbol, but a constant in formulas; rename it"
        )


COUNTED = {
    "species": libsbml.Model.getNumSpecies,
    "parameters": libsbml.Model.getNumParameters,
    "compartments": libsbml.Model.getNumCompartments,
    "reactions": libsbml.Model.getNumReactions,
    "rules": libsbml.Model.getNumRules,
    "events": libsbml.Model.getNumEvents,
    "initial assignments": libsbml.Model.getNumInitialAssignments,
}


def counts(model: libsbml.Model) -> dict[str, int]:
    """Return how many elements of each kind a model has."""
    return {kind: int(count(model)) for kind, count in COUNTED.items()}
