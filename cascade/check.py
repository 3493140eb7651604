"""Grades a module or a composition: every finding at once, with where, what and what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import libsbml

from cascade import _sbml
from cascade._files import read_text
from cascade._terms import PORT
from cascade.build import build_module
from cascade.catalogue import (
    bibliography_keys,
    composition_folder,
    is_module,
    load_composition,
    load_module,
    module_folder,
    require_known,
    single_options,
)
from cascade.compose import compose
from cascade.composition_file import read_composition
from cascade.errors import CascadeError
from cascade.evidence import EVIDENCE, check_parameters, count_evidence, read_parameters
from cascade.facts import check_facts
from cascade.specs import Composition, Issue, Model, Parameter, Report


def check(
    name: str | Path,
    index: Mapping[str, Sequence[str]] | None = None,
    structure: Mapping[str, Mapping[str, int]] | None = None,
) -> Report:
    """Check a module or a composition.

    Tables, sources, agreement of structure, table and SBML, libSBML consistency with strict units, ports and joins.

    Parameters
    ----------
    name : str or Path
        A shipped name or the path of a folder.
    index, structure : mapping, optional
        Index sets and structure options to check a composition with; see `load_composition`.

    Returns
    -------
    Report

    Raises
    ------
    UnknownNameError
        If there is no such module or composition.
    """
    if not isinstance(name, str | Path):
        raise CascadeError(f"check() was given {name!r}; give a shipped name or the path of a folder")
    require_known(name)
    if not is_module(name):
        return _check_composition(composition_folder(name), index, structure)
    folder = module_folder(name)
    return _check_module(folder, single_options(folder.name, index, structure))


def _report(name: str, issues: list[Issue], parameters: Sequence[Parameter], model: libsbml.Model | None) -> Report:
    issues = sorted(issues, key=lambda issue: issue.severity)
    grades = _grade_parameters(parameters)
    counts: dict[str, int] = {"uncertain parameters": sum(row.estimate for row in parameters)}
    if model is not None:
        counts = _sbml.counts(model) | counts
        grades["species with an identifier"] = _annotated(model)
    return Report(name=name, issues=tuple(issues), grades=grades, counts=counts)


def _check_module(folder: Path, options: Mapping[str, int]) -> Report:
    issues: list[Issue] = []
    table = folder / "parameters.tsv"
    for needed in (f"{folder.name}.ant", "parameters.tsv", "README.md", f"{folder.name}.xml"):
        if not (folder / needed).is_file():
            fix = f"run `cascade build {folder.name}`" if needed.endswith(".xml") else "see README, The module format"
            issues.append(Issue(severity="error", where=folder.name, what=f"{needed} is missing", fix=fix))
    parameters: tuple[Parameter, ...] = ()
    model = None
    try:
        issues += check_parameters(table, bibliography_keys(folder))
        issues += _check_evidence(folder)
        parameters = read_parameters(table)
        text = build_module(folder)
        issues += _check_stale(folder, text)
        if options:
            text = build_module(folder, options)
        document = libsbml.readSBMLFromString(text)
        model = document.getModel()
        issues += _sbml.check_document(document, f"{folder.name}.xml")
        issues += _check_model(compose(load_module(folder, **options)))
    except CascadeError as error:
        issues.append(Issue(severity="error", where=folder.name, what=str(error)))
    report = _report(folder.name, issues, parameters, model)
    counts = count_evidence(parameters, _inputs(model))
    sourced = 1 - counts.get("assumed", 0) / max(sum(counts.values()), 1)
    return replace(report, grades=report.grades | {"constants not assumed": sourced})


def _inputs(model: libsbml.Model | None) -> set[str]:
    """Return the input ports of a built module."""
    plugin = model.getPlugin("comp") if model is not None else None
    ports = plugin.getListOfPorts() if plugin is not None else ()
    return {port.getIdRef() for port in ports if port.getSBOTerm() == PORT["in"]}


def _check_evidence(folder: Path) -> list[Issue]:
    """Check the published facts, if there are any."""
    path = folder / "evidence.tsv"
    return check_facts(path, bibliography_keys(folder)) if path.is_file() else []


def _check_stale(folder: Path, text: str) -> Iterator[Issue]:
    path = folder / f"{folder.name}.xml"
    if path.is_file() and read_text(path) != text:
        yield Issue(
            severity="error",
            where=path.name,
            what="differs from what structure and table give",
            fix=f"run `cascade build {folder.name}`",
        )


def _check_composition(
    folder: Path, index: Mapping[str, Sequence[str]] | None, structure: Mapping[str, Mapping[str, int]] | None
) -> Report:
    issues: list[Issue] = []
    parameters: tuple[Parameter, ...] = ()
    model = None
    try:
        for source in (folder, *read_composition(folder).bases):
            if (source / "parameters.tsv").is_file():
                issues += check_parameters(source / "parameters.tsv", bibliography_keys(source))
        issues += _check_evidence(folder)
        composition = load_composition(folder, index, structure)
        issues += _check_unused(composition)
        composed = compose(composition)
        parameters = composed.parameters
        model = libsbml.readSBMLFromString(composed.flat).getModel()
        issues += _check_model(composed)
    except CascadeError as error:
        issues.append(Issue(severity="error", where=folder.name, what=str(error)))
    return _report(folder.name, issues, parameters, model)


def _check_unused(composition: Composition) -> Iterator[Issue]:
    used = {name for join in composition.joins for name in re.findall(r"[A-Za-z]\w*", join.formula)}
    for row in composition.parameters:
        # a spread describes a cohort of such patients; `population_risk` and the evidence read it
        if row.id not in used and not row.id.startswith(("sigma_", "cohort_")):
            yield Issue(
                severity="error",
                where=f"{composition.name}: parameters.tsv",
                what=f"{row.id} is used in no join",
                fix="remove the row, or write instance.parameter to give an instance a value of its own",
            )


def _check_model(model: Model) -> list[Issue]:
    documents = {"flat": model.flat, "hierarchical": model.hierarchical}
    return [
        issue
        for kind, text in documents.items()
        if text is not None
        for issue in _sbml.check_document(libsbml.readSBMLFromString(text), f"{model.name} ({kind})")
    ]


def _grade_parameters(parameters: Sequence[Parameter]) -> dict[str, float]:
    """Grade what is uncertain; port defaults, switches and structural constants carry no evidence."""
    uncertain = [row for row in parameters if row.estimate]
    if not uncertain:
        return {}
    kinds = Counter(row.evidence for row in uncertain)
    grades = {f"uncertain numbers {kind}": kinds[kind] / len(uncertain) for kind in EVIDENCE}
    grades["uncertain numbers with a source"] = sum(bool(row.source) for row in uncertain) / len(uncertain)
    return grades


def _annotated(model: libsbml.Model) -> float:
    species = [s for s in model.getListOfSpecies() if not s.getHasOnlySubstanceUnits()]
    return sum(s.getNumCVTerms() > 0 for s in species) / len(species) if species else 1.0
