"""Antimony: the model as text that people read; written from the flat SBML, mended, and read again before it counts.

The library (3.3.0) writes some things that it reads otherwise, or not at all: `(a^b)^c` without brackets, multipliers
of units with six digits or as `1e-24 e9`, ids that are its own keywords. Each is mended here. Its reading of
hierarchical SBML drops replacements, so only flat models are written.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import libsbml

from cascade import _sbml
from cascade._files import written
from cascade._formulas import nodes
from cascade.errors import SBMLError
from cascade.export._proof import BUILTIN, prove_same
from cascade.names import antimony_names
from cascade.specs import Model

MARK = 7.3219e77
"""A factor that no model holds; what it multiplies gets brackets, and then it is taken away again."""

_MARK_TEXT = re.compile(r"\b7\.3219e\+?77\s*\*\s*")
_UNIT_LINE = re.compile(r"^  unit (\w+) = .*;$", re.MULTILINE)


def write_antimony(model: Model, path: Path) -> Path:
    """Write a model as Antimony text.

    Parameters
    ----------
    model : Model
        Treated or not; doses are events.
    path : Path

    Returns
    -------
    Path

    Raises
    ------
    SBMLError
        If Antimony cannot hold the model: with every element that it would lose or change.
    """
    document = _prepared(model)
    expected = _sbml.write_document(document)
    text = _text(document, model.name)
    prove_same(expected, read_antimony(text, model.name), f"{model.name} as Antimony")
    with written(path) as beside:
        beside.write_bytes(text.encode())
        if beside.read_bytes() != text.encode():
            raise SBMLError(f"{path}: the disk gives back another text than was written; write elsewhere")
    return path


def _prepared(model: Model) -> libsbml.SBMLDocument:
    """Return the flat document with ids that Antimony can hold."""
    document = _sbml.read_document(model.flat, model.name)
    inside = document.getModel()
    if not inside.isSetId():
        inside.setId(re.sub(r"\W", "_", model.name) or "model_")
    ids = antimony_names(inside)
    inside.setId(ids.pop(inside.getId()))
    changed = {old: new for old, new in ids.items() if old != new}
    _cancel_minus(inside)
    if changed:
        properties = libsbml.ConversionProperties()
        properties.addOption("renameSIds", True)
        properties.addOption("currentIds", ",".join(changed))
        properties.addOption("newIds", ",".join(changed.values()))
        if document.convert(properties) != libsbml.LIBSBML_OPERATION_SUCCESS:
            raise SBMLError(f"{model.name}: cannot rename {', '.join(changed)}, which are words of Antimony")
    return document


def _text(document: libsbml.SBMLDocument, where: str) -> str:
    import antimony

    marked = document.clone()
    _mark_powers(marked.getModel())
    sbml = _sbml.write_document(marked)
    antimony.clearPreviousLoads()
    try:
        if antimony.loadSBMLString(sbml) < 0:
            raise SBMLError(f"{where}: Antimony cannot read the model: {antimony.getLastError()}")
        text = str(antimony.getAntimonyString(document.getModel().getId()))
    finally:
        antimony.clearPreviousLoads()
    return _with_units(_MARK_TEXT.sub("", text), document.getModel())


def read_antimony(text: str, where: str) -> str:
    """Return the SBML that Antimony makes of a text that was written here; not for texts of strangers."""
    import antimony

    antimony.clearPreviousLoads()
    try:
        if antimony.loadAntimonyString(text) < 0:
            raise SBMLError(f"{where}: Antimony cannot read what it wrote: {antimony.getLastError()}")
        return str(antimony.getSBMLString(antimony.getMainModuleName()))
    finally:
        antimony.clearPreviousLoads()


def _cancel_minus(model: libsbml.Model) -> None:
    """Take two minus signs away where one follows the other: Antimony cannot read `--a`."""
    for element in model.getListOfAllElements():
        if not (hasattr(element, "isSetMath") and element.isSetMath()):
            continue
        if not any(_negates(node) and _negates(node.getChild(0)) for node in nodes(element.getMath())):
            continue
        # the formula hangs below another node, so that its first sign can be taken away too
        math = libsbml.ASTNode(libsbml.AST_PLUS)
        math.addChild(element.getMath().deepCopy())
        for node in nodes(math):
            for place in range(node.getNumChildren()):
                child = node.getChild(place)
                while _negates(child) and _negates(child.getChild(0)):
                    child = child.getChild(0).getChild(0)
                node.replaceChild(place, child.deepCopy(), True)
        element.setMath(math.getChild(0))


def _negates(node: libsbml.ASTNode) -> bool:
    return bool(node.getType() == libsbml.AST_MINUS and node.getNumChildren() == 1)


def _mark_powers(model: libsbml.Model) -> None:
    """Multiply each power that is itself raised by `MARK`, so that it is written in brackets."""
    for element in model.getListOfAllElements():
        if not (hasattr(element, "isSetMath") and element.isSetMath()):
            continue
        math = element.getMath().deepCopy()
        raised = [node for node in nodes(math) if node.getType() in _POWERS and node.getChild(0).getType() in _POWERS]
        for node in raised:
            product = libsbml.ASTNode(libsbml.AST_TIMES)
            factor = libsbml.ASTNode(libsbml.AST_REAL)
            factor.setValue(MARK)
            product.addChild(factor)
            product.addChild(node.getChild(0).deepCopy())
            node.replaceChild(0, product, True)
        if raised:
            element.setMath(math)


_POWERS = (libsbml.AST_POWER, libsbml.AST_FUNCTION_POWER)


def _with_units(text: str, model: libsbml.Model) -> str:
    """Write the definitions of units with all digits."""

    known = {definition.getId(): _unit_text(definition) for definition in model.getListOfUnitDefinitions()}
    volumes = {each.getUnits() for each in model.getListOfCompartments()} | {model.getVolumeUnits()}
    # Antimony gives a species the unit of its concentration, by this name, and makes up others that nothing uses
    for volume in volumes - {""}:
        for substance in list(known):
            known.setdefault(f"{substance}_per_{volume}", f"{known[substance]} / ({known.get(volume, volume)})")

    def line(found: re.Match[str]) -> str:
        if found[1] in known:
            return f"  unit {found[1]} = {known[found[1]]};"
        return found[0] if found[1] in BUILTIN else ""

    return _UNIT_LINE.sub(line, text)


def _unit_text(definition: libsbml.UnitDefinition) -> str:
    above: list[str] = []
    below: list[str] = []
    for unit in definition.getListOfUnits():
        kind, power = libsbml.UnitKind_toString(unit.getKind()), unit.getExponentAsDouble()
        factor = Decimal(repr(unit.getMultiplier())).scaleb(unit.getScale())
        one = f"{float(factor):.15g} {kind}" if factor != 1 else kind
        side = below if power < 0 else above
        side.append(one if abs(power) == 1 else f"({one})^{abs(power):g}")
    if not below:
        return " * ".join(above) or "dimensionless"
    lower = " * ".join(below)
    return f"{' * '.join(above) or '1'} / {f'({lower})' if len(below) > 1 else lower}"
