"""Converts flat SBML L3V2 to older levels, and refuses where the older level would say something else."""

from __future__ import annotations

from collections.abc import Iterator

import libsbml

from cascade import _sbml
from cascade._at_start import true_at_start
from cascade._formulas import formulas, nodes, references, with_math
from cascade.errors import SBMLError
from cascade.export._proof import formula, prove_same

VERSIONS = {"L3V2": (3, 2), "L3V1": (3, 1), "L2V4": (2, 4)}
"""SBML levels that are written."""

_NEW_IN_L3V2 = {
    libsbml.AST_FUNCTION_MAX: "max",
    libsbml.AST_FUNCTION_MIN: "min",
    libsbml.AST_FUNCTION_RATE_OF: "rateOf",
    libsbml.AST_FUNCTION_QUOTIENT: "quotient",
    libsbml.AST_FUNCTION_REM: "rem",
    libsbml.AST_LOGICAL_IMPLIES: "implies",
}
_NEW_IN_L3V1 = {libsbml.AST_NAME_AVOGADRO: "avogadro"}

LOST: dict[str, tuple[str, ...]] = {"L3V2": (), "L3V1": (), "L2V4": ("initialValue", "persistent")}
"""What a level cannot say; where it matters the model is refused. Level 2 has no units of literal numbers either."""


def converted(flat: str, version: str, where: str) -> str:
    """Return flat SBML in another level and version.

    Parameters
    ----------
    flat : str
        Flat SBML.
    version : str
        `L3V2`, `L3V1` or `L2V4`.
    where : str
        Name of the model, for messages.

    Returns
    -------
    str

    Raises
    ------
    SBMLError
        If an element means something that the level cannot say, with every such element; or if what libSBML converted
        is not the same.
    """
    document = _sbml.read_document(flat, where)
    level = VERSIONS[version]
    model = document.getModel()
    problems = list(_too_new(model, level))
    if level < (3, 1):
        problems += _beyond_level_2(model, flat)
    if problems:
        shown = "\n  ".join(problems[:20])
        raise SBMLError(f"{where} cannot be written as SBML {version}:\n  {shown}\nwrite L3V2, which holds everything")
    if (document.getLevel(), document.getVersion()) == level:
        return flat
    if level < (3, 1):
        _forget_triggers(model)
    # not strict: that repeats for seconds what was checked above and what is proved below
    if not document.setLevelAndVersion(*level, False):
        issues = [document.getError(number).getMessage().strip() for number in range(document.getNumErrors())]
        raise SBMLError(f"{where}: libSBML cannot convert it to SBML {version}:\n  " + "\n  ".join(issues[:10]))
    text = _sbml.write_document(document)
    _refuse_invalid(text, f"{where} as SBML {version}")
    prove_same(flat, text, f"{where} as SBML {version}", lost=LOST[version])
    return text


def _too_new(model: libsbml.Model, level: tuple[int, int]) -> Iterator[str]:
    new: dict[int, str] = {}
    if level < (3, 2):
        new |= _NEW_IN_L3V2
    if level < (3, 1):
        new |= _NEW_IN_L3V1
    if not new:
        return
    for element, math in formulas(model):
        for name in sorted({new[node.getType()] for node in nodes(math) if node.getType() in new}):
            yield f"{element} uses {name}, which is younger"
    for where, holder in with_math(model):
        if not holder.isSetMath():
            yield f"{where} has no formula, which L3V2 alone allows"


def _beyond_level_2(model: libsbml.Model, flat: str) -> Iterator[str]:
    for event in model.getListOfEvents():
        trigger, name = event.getTrigger(), f"event {event.getId()!r}"
        if event.isSetPriority():
            yield f"{name} has a priority"
        if trigger is None or not trigger.isSetMath():
            yield f"{name} has no trigger"
            continue
        if not trigger.getPersistent():
            yield f"{name} is not persistent, and in Level 2 every event is"
        if not trigger.getInitialValue() and true_at_start(flat, trigger.getMath()) is not False:
            yield (
                f"{name} has the trigger {formula(trigger)}, which may hold at time 0: it fires there, and in Level 2"
                " it never would; give it as a start value"
            )
    if model.isSetConversionFactor() or any(each.isSetConversionFactor() for each in model.getListOfSpecies()):
        yield "a conversionFactor is used"
    if model.getExtentUnits() != model.getSubstanceUnits():
        yield f"extents are in {model.getExtentUnits()!r}, substance in {model.getSubstanceUnits()!r}; Level 2 has one"
    varied = {rule.getVariable() for rule in model.getListOfRules()}
    varied |= {start.getSymbol() for start in model.getListOfInitialAssignments()}
    for reaction in model.getListOfReactions():
        for side in references(reaction):
            if side.isSetId() and side.getId() in varied:
                yield f"the stoichiometry {side.getId()!r} of reaction {reaction.getId()!r} is computed"
    for definition in model.getListOfUnitDefinitions():
        if any(unit.getExponentAsDouble() % 1 for unit in definition.getListOfUnits()):
            yield f"unit {definition.getId()!r} has a power that is no whole number"


def _refuse_invalid(text: str, where: str) -> None:
    """Refuse what breaks a rule of its level; units were checked in L3V2, where numbers have some."""
    document = _sbml.read_document(text, where)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_UNITS_CONSISTENCY, False)
    document.setConsistencyChecks(libsbml.LIBSBML_CAT_MODELING_PRACTICE, False)
    document.checkConsistency()
    found = [document.getError(number) for number in range(document.getNumErrors())]
    errors = [f"[libSBML {e.getErrorId()}] {e.getMessage().strip()}" for e in found if e.getSeverity() >= _ERROR]
    if errors:
        raise SBMLError(f"{where} would not be valid:\n  " + "\n  ".join(errors[:10]))


_ERROR = libsbml.LIBSBML_SEV_ERROR


def _forget_triggers(model: libsbml.Model) -> None:
    """Say of every trigger what Level 2 assumes; checked before to change nothing."""
    for event in model.getListOfEvents():
        event.getTrigger().setInitialValue(True)
        event.getTrigger().setPersistent(True)
