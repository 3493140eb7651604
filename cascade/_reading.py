"""Reads SBML text from outside, in a child process: merge, judge, flatten, convert, check. Plain data in and out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import libsbml

from cascade import _sbml
from cascade._findings import fewer, lacks, losses, unit_issues
from cascade._instances import Tree, grow
from cascade._limits import precheck
from cascade._merge import as_comp, merge
from cascade._repairs import free_local_parameters, spell_out_units
from cascade._replacements import check_joints, check_model_units, check_rate_of
from cascade._size import refuse_expansion
from cascade.errors import SBMLError
from cascade.specs import Issue

_PACKAGE_NOTES = (99107, 99108)
"""libSBML's findings on packages that it does not know; required ones are refused before."""


def read_bundle(question: dict[str, Any]) -> dict[str, Any]:
    """Turn a document and those that it refers to into flat SBML.

    Parameters
    ----------
    question : dict
        `main`, `texts` and `links` of a `cascade._external.Bundle`.

    Returns
    -------
    dict
        `flat`, `hierarchical`, `level`, `version` and `issues`.

    Raises
    ------
    SBMLError
        For whatever makes the document unusable.
    """
    forget_resolvers()
    name = question["main"]
    documents = {key: _read(text, key) for key, text in question["texts"].items()}
    main = documents[name]
    level, version = main.getLevel(), main.getVersion()
    hierarchical, issues = None, list[Issue]()
    if main.getPlugin("comp") is not None:
        main, found = _flattened(documents, question["links"], name)
        issues += found
        hierarchical = _sbml.write_document(documents[name])
    flat, found = _flat(main, name)
    issues += found
    return {
        "flat": flat,
        "hierarchical": hierarchical,
        "level": level,
        "version": version,
        "issues": [asdict(issue) for issue in fewer(issues, name)],
    }


def forget_resolvers() -> None:
    """Take from libSBML every way to open another file; it keeps what is in memory only."""
    registry = libsbml.SBMLResolverRegistry.getInstance()
    while registry.getNumResolvers():
        registry.removeResolver(0)


def _read(text: str, where: str) -> libsbml.SBMLDocument:
    document = libsbml.readSBMLFromString(text)
    _refuse(_issues(document, where))
    if document.getModel() is None:
        raise SBMLError(f"{where}: the document holds no model")
    for number in reversed(range(document.getNumPlugins())):
        plugin = document.getPlugin(number)
        if plugin is not None and plugin.getPackageName() not in ("comp", "l3v2extendedmath"):
            document.disablePackage(plugin.getURI(), plugin.getPrefix())
    document.getErrorLog().clearLog()
    return document


def _issues(document: libsbml.SBMLDocument, where: str) -> list[Issue]:
    notes = tuple(f"[libSBML {number}]" for number in _PACKAGE_NOTES)
    return [issue for issue in _sbml._issues(document, where) if not issue.what.startswith(notes)]


def _refuse(issues: list[Issue]) -> None:
    errors = [issue for issue in issues if issue.severity == "error"]
    if errors:
        more = [f"and {len(errors) - 20} errors more"] if len(errors) > 20 else []
        raise SBMLError("\n".join([*map(str, errors[:20]), *more]))


def _flattened(
    documents: dict[str, libsbml.SBMLDocument], links: dict[str, dict[str, tuple[str, str]]], name: str
) -> tuple[libsbml.SBMLDocument, list[Issue]]:
    version = max(document.getVersion() for document in documents.values() if document.getLevel() == 3)
    for key, document in documents.items():
        as_comp(document, version, key)
    document = merge(documents, links, name)
    tree = grow(document, name)
    issues = _judge(document, tree, name)
    _repair(tree)
    edited = _fresh(document, name)  # the tree refers to what is in `document`, which must live as long
    documents[name] = edited
    _check(edited, name)
    flat = _sbml.flatten(edited, name)
    if flat.getPlugin("comp") is not None:
        flat.disablePackage(flat.getPlugin("comp").getURI(), flat.getPlugin("comp").getPrefix())
    _check_nothing_lost(tree, flat.getModel(), name)
    return _fresh(flat, name), issues


def _fresh(document: libsbml.SBMLDocument, where: str) -> libsbml.SBMLDocument:
    """Read an edited document anew: what libSBML says about it is then about its text."""
    text = _sbml.write_document(document)
    precheck(text, where)
    return _read(text, where)


def _judge(document: libsbml.SBMLDocument, tree: Tree, where: str) -> list[Issue]:
    copies: dict[int, int] = {}
    models = {int(each.model.this): each.model for each in tree.instances.values()}
    for instance in tree.instances.values():
        copies[int(instance.model.this)] = copies.get(int(instance.model.this), 0) + 1
    for key, model in models.items():
        refuse_expansion(model, f"{where}: model {model.getId()!r}", copies[key])
    issues = check_joints(tree, where)
    check_model_units(tree, where)
    check_rate_of(tree, where)
    return issues


def _repair(tree: Tree) -> None:
    models = list({int(each.model.this): each.model for each in tree.instances.values()}.values())
    joined = {joint.keeps.getId() for joint in tree.joints} | {joint.goes.getId() for joint in tree.joints}
    joined |= {joint.factor for joint in tree.joints}
    for instance in tree.instances.values():
        if instance.submodel is not None:
            joined |= {instance.submodel.getTimeConversionFactor(), instance.submodel.getExtentConversionFactor()}
    free_local_parameters(models, joined)
    for model in models:
        if model is not tree.instances[()].model:
            spell_out_units(model)


def _check(document: libsbml.SBMLDocument, where: str) -> list[Issue]:
    """Refuse what libSBML finds wrong; units and style are no errors."""
    for category in (libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, libsbml.LIBSBML_CAT_MODELING_PRACTICE):
        document.setConsistencyChecks(category, False)
    document.checkConsistency()
    issues = _issues(document, where)
    document.getErrorLog().clearLog()
    _refuse(issues)
    return issues


def _flat(document: libsbml.SBMLDocument, where: str) -> tuple[str, list[Issue]]:
    """Bring a flat document to L3V2 and check it."""
    model = document.getModel()
    refuse_expansion(model, where)
    issues = _check(document, where)
    issues += lacks(model, where)
    # version 2 has no word for it
    version = 1 if any(each.getFast() for each in model.getListOfReactions()) else 2
    before = _sbml.counts(model)
    if (document.getLevel(), document.getVersion()) != (3, version):
        issues += losses(document, where)
        if not document.setLevelAndVersion(3, version, True):
            _refuse([*_issues(document, where), _no_conversion(document, where)])
        document = _fresh(document, where)
    after = _sbml.counts(document.getModel())
    for kind in ("species", "compartments", "reactions", "events"):
        if before[kind] != after[kind]:
            raise SBMLError(f"{where}: the conversion to level 3 made {after[kind]} {kind} of {before[kind]}")
    _check(document, where)
    issues += unit_issues(document, where)
    text = _sbml.write_document(document)
    precheck(text, where)
    return text, issues


def _no_conversion(document: libsbml.SBMLDocument, where: str) -> Issue:
    what = f"libSBML cannot convert level {document.getLevel()} version {document.getVersion()} to level 3"
    return Issue(
        severity="error", where=where, what=what, fix="convert the file with another tool and look at the loss"
    )


_COUNTED = {
    "species": libsbml.Model.getListOfSpecies,
    "compartments": libsbml.Model.getListOfCompartments,
    "reactions": libsbml.Model.getListOfReactions,
    "events": libsbml.Model.getListOfEvents,
    "rules": libsbml.Model.getListOfRules,
}


def _check_nothing_lost(tree: Tree, flat: libsbml.Model, where: str) -> None:
    """Refuse a flat model that has not exactly what its instances hold less what is deleted or replaced."""
    for kind, listed in _COUNTED.items():
        expected = sum(
            instance.key(element) not in tree.removed
            for instance in tree.living()
            for element in listed(instance.model)
        )
        found = len(listed(flat))
        if found != expected:
            raise SBMLError(
                f"{where}: {found} {kind} after flattening instead of {expected}; libSBML lost or doubled something"
            )
