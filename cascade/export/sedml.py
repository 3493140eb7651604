"""SED-ML L1V4: the standard analyses of a model, a time course and the scan of a constant, as other tools run them.

Written as plain XML, since libSEDML must not be loaded into a process that has libSBML; the tests read it back with
libSEDML, tellurium and COPASI.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as xml

from cascade import _sbml
from cascade._canonical import Symbol, symbol_table
from cascade._organs import organs_of
from cascade.errors import AnalysisError, ValueSettingError
from cascade.readouts import known_readouts, variables_for
from cascade.specs import Model, Solver

NAMESPACE = "http://sed-ml.org/sed-ml/level1/version4"
CORE = "http://www.sbml.org/sbml/level3/version2/core"
MATH = "http://www.w3.org/1998/Math/MathML"
LANGUAGE = "urn:sedml:language:sbml.level-3.version-2"

CVODE = "KISAO:0000019"
RELATIVE, ABSOLUTE, STEPS = "KISAO:0000209", "KISAO:0000211", "KISAO:0000415"
"""Terms of the Kinetic Simulation Algorithm Ontology: the tolerances are written since every tool has its own."""

SPAN = 4.0
"""A scan goes from a fourth to the fourfold of the nominal value, inside the bounds."""

FEW = 12
"""Curves of a model that has none of the named outputs."""

_LISTS = {"species": "listOfSpecies/sbml:species", "parameter": "listOfParameters/sbml:parameter"}
_LISTS |= {"compartment": "listOfCompartments/sbml:compartment", "reaction": "listOfReactions/sbml:reaction"}


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One figure: the ids of its curves over time."""

    id: str
    title: str
    symbols: tuple[str, ...]


def standard_analyses(
    model: Model, source: str, *, days: float, points: int, solver: Solver, scan: str | None = None
) -> str:
    """Return the SED-ML of the standard analyses of a model.

    Parameters
    ----------
    model : Model
    source : str
        Where the flat SBML lies, seen from the SED-ML file.
    days : float
        Length of the time course.
    points : int
        Rows, the first at day 0.
    solver : Solver
        Tolerances and steps of CVODE; SED-ML knows one absolute tolerance for all states.
    scan : str, optional
        Name of the constant to scan; by default `scanned_constant` chooses one.

    Raises
    ------
    UnknownNameError
        If the model has no such constant.
    ValueSettingError
        If start values depend on the constant to scan: tools do not agree on whether they follow.
    """
    symbols = symbol_table(model.flat)
    constant = scanned_constant(model, scan)
    figures, recorded = plots(model), report_symbols(model)
    shown = tuple(dict.fromkeys(name for figure in figures for name in figure.symbols))
    root = xml.Element("sedML", {"xmlns": NAMESPACE, "xmlns:sbml": CORE, "level": "1", "version": "4"})
    _simulation(root, days, points, solver)
    models = xml.SubElement(root, "listOfModels")
    xml.SubElement(models, "model", {"id": "model", "name": model.name, "language": LANGUAGE, "source": source})
    tasks = xml.SubElement(root, "listOfTasks")
    generators = xml.SubElement(root, "listOfDataGenerators")
    outputs = xml.SubElement(root, "listOfOutputs")
    _task(tasks, "course", "time course")
    _generators(generators, "course", [symbols[name] for name in recorded])
    for figure in figures:
        _plot(outputs, "course", figure)
    _report(outputs, "course", "all species, and the variables that readouts need", recorded)
    if constant is not None:
        title = f"scan of {constant}"
        _scan(tasks, symbols[constant], scan_values(model, constant))
        _generators(generators, "scan", [symbols[name] for name in shown])
        _plot(outputs, "scan", Plot(id="scan", title=title, symbols=shown))
        _report(outputs, "scan", title, shown)
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def report_symbols(model: Model) -> tuple[str, ...]:
    """Return the ids of all species, and of the variables that readouts of the model need; else of all variables."""
    table = symbol_table(model.flat)
    species = [name for name, symbol in table.items() if symbol.kind == "species"]
    variables = [name for name, symbol in table.items() if symbol.kind == "parameter" and symbol.role != "constant"]
    needed: list[str] = []
    for readout in known_readouts():
        try:
            needed += variables_for(readout.name, model)
        except AnalysisError:
            continue  # a readout of parts that this model does not have
    chosen = [name for name in dict.fromkeys(needed) if name in set(variables)]
    left_out = set(ambiguous(model))
    return tuple(name for name in dict.fromkeys((*species, *(chosen or variables))) if name not in left_out)


def used_symbols(model: Model) -> set[str]:
    """Return the ids that reports and plots show."""
    return {*report_symbols(model), *(name for figure in plots(model) for name in figure.symbols)}


def ambiguous(model: Model) -> tuple[str, ...]:
    """Return the species that stand for amounts in compartments whose size is not 1.

    By SED-ML their value is the amount; tellurium and COPASI report the concentration. They are left out.
    """
    document = _sbml.read_document(model.flat, model.name)
    flat = document.getModel()
    sizes = {each.getId(): each.getSize() if each.getConstant() else None for each in flat.getListOfCompartments()}
    return tuple(
        each.getId()
        for each in flat.getListOfSpecies()
        if each.getHasOnlySubstanceUnits() and sizes[each.getCompartment()] != 1.0
    )


def plots(model: Model) -> tuple[Plot, ...]:
    """Return the standard figures of a model: tumor, circulating cells, lesions by organ and endpoints."""
    table = symbol_table(model.flat)
    lesions = organs_of(name for name, module in model.instances.items() if module == "lesions")
    instances = [instance for origins in lesions.values() for instance in origins]
    wanted = (
        ("tumor", "primary tumor", ("primary_tumor__n_cells", "primary_tumor__diameter")),
        (
            "ctc",
            "circulating tumor cells",
            ("endpoints__n_ctc", "endpoints__ctc_per_tube", "endpoints__p_ctc_positive"),
        ),
        ("lesions", "overt lesions by organ", tuple(f"{name}__n_overt" for name in instances)),
        ("burden", "cells in overt lesions by organ", tuple(f"{name}__n_burden" for name in instances)),
        ("endpoints", "endpoints", ("endpoints__h_cumulative", "endpoints__h_since_surgery", "endpoints__p_overt")),
    )
    found = [
        Plot(id=name, title=title, symbols=tuple(one for one in ids if one in table)) for name, title, ids in wanted
    ]
    found = [figure for figure in found if figure.symbols]
    if found:
        return tuple(found)
    return (Plot(id="overview", title=model.name, symbols=report_symbols(model)[:FEW]),)


def scanned_constant(model: Model, name: str | None = None) -> str | None:
    """Return the flat id of the constant that is scanned, or None if the model has none that can be.

    Without a name: the strength of the first treatment, else the first uncertain constant of the primary tumor, else of
    the model. One on which start values depend is not chosen and not accepted: tellurium keeps the start values that
    the file has, COPASI computes them anew.
    """
    fixed = starts(model.flat)
    if name is not None:
        flat = model.parameter(name).id
        if flat in fixed:
            raise ValueSettingError(
                f"cannot scan {flat!r}: start values of {model.name!r} depend on it, and tools do not agree on whether"
                " they follow; scan another constant"
            )
        return flat
    drugs = [row.id for row in model.parameters if row.id.startswith("factor_on_") and model.interventions]
    uncertain = [row.id for row in model.parameters if row.estimate]
    tumor = [row for row in uncertain if row.startswith("primary_tumor__")]
    return next((one for one in (*drugs, *tumor, *uncertain) if one not in fixed), None)


def starts(flat: str) -> frozenset[str]:
    """Return the ids on which the start values of a model depend, directly or through formulas."""
    model = _sbml.read_document(flat, "flat model").getModel()
    formulas = {rule.getVariable(): rule.getMath() for rule in model.getListOfRules() if rule.isAssignment()}
    formulas |= {each.getSymbol(): each.getMath() for each in model.getListOfInitialAssignments()}
    open_ends = [each.getSymbol() for each in model.getListOfInitialAssignments()]
    found: set[str] = set(open_ends)
    while open_ends:
        new = _sbml.symbols(formulas[open_ends.pop()]) - found
        found |= new
        open_ends += [name for name in new if name in formulas]
    return frozenset(found)


def scan_values(model: Model, constant: str) -> tuple[float, ...]:
    """Return the values of a scan: multiples of the nominal value inside the bounds."""
    row = model.table[constant]
    if not row.nominal:
        return (0.0, 0.5, 1.0) if row.upper is None else (0.0, row.upper / 2, row.upper)
    ends = sorted((row.nominal / SPAN, row.nominal * SPAN))
    low = ends[0] if row.lower is None else max(ends[0], row.lower)
    high = ends[1] if row.upper is None else min(ends[1], row.upper)
    between = [math.copysign(math.sqrt(end * row.nominal), row.nominal) if end else 0.0 for end in (low, high)]
    return tuple(sorted({low, between[0], row.nominal, between[1], high}))


def _simulation(root: xml.Element, days: float, points: int, solver: Solver) -> None:
    course = xml.SubElement(
        xml.SubElement(root, "listOfSimulations"),
        "uniformTimeCourse",
        {
            "id": "simulation",
            "initialTime": "0",
            "outputStartTime": "0",
            "outputEndTime": repr(float(days)),
            "numberOfSteps": str(points - 1),
        },
    )
    algorithm = xml.SubElement(course, "algorithm", {"name": "CVODE", "kisaoID": CVODE})
    parameters = xml.SubElement(algorithm, "listOfAlgorithmParameters")
    for kisao, name, value in (
        (RELATIVE, "relative tolerance", repr(solver.relative_tolerance)),
        (ABSOLUTE, "absolute tolerance", repr(solver.absolute_tolerance)),
        (STEPS, "maximum number of steps", str(solver.maximum_steps)),
    ):
        xml.SubElement(parameters, "algorithmParameter", {"name": name, "kisaoID": kisao, "value": value})


def _task(tasks: xml.Element, name: str, title: str) -> None:
    where = {"modelReference": "model", "simulationReference": "simulation"}
    xml.SubElement(tasks, "task", {"id": name, "name": title} | where)


def _scan(tasks: xml.Element, constant: Symbol, values: Sequence[float]) -> None:
    """Write the scan, over a task of its own: tellurium lets a scan write its last run over a task that it repeats."""
    _task(tasks, "scanned_course", "time course of the scan")
    scan = xml.SubElement(
        tasks, "repeatedTask", {"id": "scan", "name": f"scan of {constant.id}", "range": "values", "resetModel": "true"}
    )
    vector = xml.SubElement(xml.SubElement(scan, "listOfRanges"), "vectorRange", {"id": "values"})
    for value in values:
        xml.SubElement(vector, "value").text = repr(float(value))
    change = {"modelReference": "model", "target": _path(constant), "range": "values"}
    _math(xml.SubElement(xml.SubElement(scan, "listOfChanges"), "setValue", change), "values")
    xml.SubElement(xml.SubElement(scan, "listOfSubTasks"), "subTask", {"task": "scanned_course", "order": "1"})


def _path(symbol: Symbol) -> str:
    return f"/sbml:sbml/sbml:model/sbml:{_LISTS[symbol.kind]}[@id='{symbol.id}']"


def _math(parent: xml.Element, name: str) -> None:
    xml.SubElement(xml.SubElement(parent, "math", {"xmlns": MATH}), "ci").text = name


def _generators(parent: xml.Element, task: str, symbols: Sequence[Symbol]) -> None:
    """Write what is recorded of a task: the time, and one data generator a symbol."""
    if not symbols:
        return
    wanted = [("time", "time [day]", {"symbol": "urn:sedml:symbol:time"})]
    wanted += [(each.id, f"{each.name} [{each.unit}]", {"target": _path(each)}) for each in symbols]
    for name, title, where in wanted:
        generator = xml.SubElement(parent, "dataGenerator", {"id": f"{task}_{name}", "name": title})
        variables = xml.SubElement(generator, "listOfVariables")
        found = {"id": f"of_{task}_{name}", "name": title, "taskReference": task} | where
        xml.SubElement(variables, "variable", found | {"modelReference": "model"})
        _math(generator, f"of_{task}_{name}")


def _plot(outputs: xml.Element, task: str, figure: Plot) -> None:
    plot = xml.SubElement(outputs, "plot2D", {"id": f"plot_{figure.id}", "name": figure.title})
    curves = xml.SubElement(plot, "listOfCurves")
    for order, name in enumerate(figure.symbols):
        curve = {"id": f"curve_{figure.id}_{name}", "name": name, "type": "points", "order": str(order)}
        data = {"xDataReference": f"{task}_time", "yDataReference": f"{task}_{name}"}
        xml.SubElement(curves, "curve", curve | data)


def _report(outputs: xml.Element, task: str, title: str, names: Sequence[str]) -> None:
    report = xml.SubElement(outputs, "report", {"id": f"report_{task}", "name": title})
    sets = xml.SubElement(report, "listOfDataSets")
    for name in ("time", *names):
        found = {"id": f"set_{task}_{name}", "label": name, "dataReference": f"{task}_{name}"}
        xml.SubElement(sets, "dataSet", found)
