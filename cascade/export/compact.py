"""Compact SBML: the same states and numbers in formulas that libRoadRunner compiles at once.

libRoadRunner writes an assignment rule out wherever it is used, and then that rule's own rules; a composed model
becomes a million operations and compiles for minutes. What `cascade.simulate` does against that is written down here.
"""

from __future__ import annotations

from collections.abc import Iterable

import libsbml

from cascade._canonical import START, canonicalize, symbol_table
from cascade._elements import compute
from cascade._lean import lean
from cascade._sbml import read_document, symbols, write_document
from cascade._size import written_out
from cascade.errors import AnalysisError, CascadeError, UnknownNameError
from cascade.readouts import known_readouts, variables_for
from cascade.specs import Model

LARGE = 100_000
"""Nodes of all formulas, written out, above which a model is too large for libRoadRunner as it stands; it compiles
about 30,000 in a second."""


def is_large(model: Model) -> bool:
    """Tell whether libRoadRunner and tellurium would compile a model for long."""
    return written_out(read_document(model.flat, model.name).getModel()) > LARGE


def compact(model: Model, keep: Iterable[str] | None = None) -> str:
    """Return compact SBML of a model.

    Parameters
    ----------
    model : Model
        Any model, also a treated one.
    keep : iterable of str, optional
        Names of variables and reactions to keep beside the states; by default all that the readouts need.

    Returns
    -------
    str
        SBML L3V2 with every species, every variable with a rate, every constant of the parameter table, events, and
        `keep`, all under their flat ids. Other variables, which follow from these, are left out, and so are units of
        numbers inside formulas. Constants may be changed in the other tool: what is computed from them follows.

    Raises
    ------
    CascadeError
        If the model computes stoichiometries or delays events.
    UnknownNameError
        If a name is not in the model.
    """
    canonical = canonicalize(model.flat, ())
    if canonical.reload:
        raise CascadeError(f"{model.name!r} computes stoichiometries or delays events; it cannot be made compact")
    wanted = readable(model) if keep is None else {model.id(name) for name in keep}
    varying = {
        s.id for s in symbol_table(model.flat).values() if s.role in ("computed", "rate") or s.kind == "reaction"
    }
    found = lean(canonical.sbml, tuple(sorted(wanted & varying)), frozenset(model.table))
    document = read_document(found.sbml, model.name)
    inner = document.getModel()
    for name, formula in found.held.items():
        _compute(inner, name, libsbml.parseL3Formula(formula))
    _bring_back(inner, read_document(model.flat, model.name).getModel(), set(model.table))
    _restore_starts(inner)
    _name_modifiers(inner)
    return write_document(document)


def readable(model: Model) -> set[str]:
    """Return the flat ids that the readouts of a model need."""
    found: set[str] = set()
    for spec in known_readouts():
        try:
            found |= set(variables_for(spec.name, model))
        except (AnalysisError, UnknownNameError):  # a readout of another kind of model
            continue
    return found


def _compute(model: libsbml.Model, name: str, math: libsbml.ASTNode) -> None:
    """Let a rule compute a variable: an initial assignment would not follow when a constant is changed later."""
    model.removeInitialAssignment(name)
    compute(model, name, math)


def _bring_back(model: libsbml.Model, source: libsbml.Model, wanted: set[str]) -> None:
    """Give back the rules of what is computed from constants, and the constants that are wanted or needed by them."""
    for assignment in list(model.getListOfInitialAssignments()):
        rule = source.getAssignmentRuleByVariable(assignment.getSymbol())
        if rule is not None:
            _compute(model, rule.getVariable(), rule.getMath())
    formulas = [*model.getListOfRules(), *model.getListOfInitialAssignments()]
    left = [*wanted, *(name for each in formulas for name in symbols(each.getMath()))]
    while left:
        name = left.pop()
        parameter = source.getParameter(name)
        if parameter is None or model.getElementBySId(name) is not None:
            continue
        model.addParameter(parameter)
        rule, start = source.getAssignmentRuleByVariable(name), source.getInitialAssignmentBySymbol(name)
        if rule is not None:
            model.addRule(rule)
        if start is not None:
            model.addInitialAssignment(start)
        left += [each for formula in (rule, start) if formula is not None for each in symbols(formula.getMath())]


def _restore_starts(model: libsbml.Model) -> None:
    """Give species their start values back, which `canonicalize` keeps in parameters to set them quickly."""
    for species in model.getListOfSpecies():
        assignment = model.getInitialAssignmentBySymbol(species.getId())
        math = None if assignment is None else assignment.getMath()
        if math is None or not math.isName() or not math.getName().startswith(START):
            continue
        value = model.getParameter(math.getName()).getValue()
        model.removeParameter(math.getName())
        model.removeInitialAssignment(species.getId())
        if species.getHasOnlySubstanceUnits():
            species.setInitialAmount(value)
        else:
            species.setInitialConcentration(value)


def _name_modifiers(model: libsbml.Model) -> None:
    """Name the species that a rate needs and the reaction does not change, as SBML asks."""
    species = {each.getId() for each in model.getListOfSpecies()}
    for reaction in model.getListOfReactions():
        references = (*reaction.getListOfReactants(), *reaction.getListOfProducts())
        for name in sorted(
            (species & symbols(reaction.getKineticLaw().getMath())) - {r.getSpecies() for r in references}
        ):
            reaction.createModifier().setSpecies(name)
