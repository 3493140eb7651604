"""Opens what a user brings, SBML or Antimony, and gives one plain SBML model: no functions, no local parameters."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import libsbml

from cascade import _sbml
from cascade._files import read_text
from cascade.errors import ModuleError
from cascade.opening import open_sbml
from cascade.own.foreign import sbml_of_antimony
from cascade.own.terms import number_of

_SUFFIXES = (".xml", ".sbml")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A user's model as core SBML L3V2 text, its name, and where it came from.

    `silent` are the built-in units of SBML before Level 3 that the file did not write itself.
    """

    name: str
    origin: str
    path: Path
    sbml: str
    silent: frozenset[str] = frozenset()

    def document(self) -> libsbml.SBMLDocument:
        """Return a fresh document."""
        return _sbml.read_document(self.sbml, self.origin)


def open_source(source: str | Path, name: str | None = None) -> Source:
    """Open an SBML file, an `.ant` file or Antimony text.

    Parameters
    ----------
    source : str or Path
        Path of a file, or the text of an Antimony or SBML model.
    name : str, optional
        Name of the module; by default that of the file or of the model.

    Raises
    ------
    ModuleError
        If there is no such file, or the model has what a module cannot have.
    SBMLError
        If the SBML is malformed or unsafe.
    """
    path, text = _text_of(source)
    origin = path.name if path is not None else "text"
    if _is_sbml(text):
        flat, silent = _opened(path, text)
    else:
        flat, silent = sbml_of_antimony(text, origin), frozenset()
    document = _upgraded(flat, origin)
    plain = _plain(document, origin)
    own = name or (path.stem if path is not None else plain.getModel().getId())
    return Source(
        name=name or snake(own) or "own_module",
        origin=origin,
        path=(path or Path(f"{snake(own) or 'own_module'}.ant")).absolute(),
        sbml=_sbml.write_document(plain),
        silent=silent,
    )


def snake(text: str) -> str:
    """Return a name in lower snake case; "" if nothing of it can stay."""
    made = re.sub(r"_+", "_", re.sub(r"[^a-z0-9]+", "_", text.lower())).strip("_")
    return f"s_{made}" if made[:1].isdigit() else made


def _text_of(source: str | Path) -> tuple[Path | None, str]:
    if not isinstance(source, str | Path):
        raise ModuleError(f"a model was expected, but {source!r} was given; give a path or the text of a model")
    if isinstance(source, str) and ("\n" in source or "<" in source or ";" in source):
        return None, source
    path = Path(source).expanduser()
    if not path.is_file():
        raise ModuleError(f"there is no file {source}; give an .xml, .sbml or .ant file, or the text of a model")
    if path.suffix.lower() in _SUFFIXES:
        return path, "<"  # `open_sbml` reads it, whatever its encoding
    return path, read_text(path, ModuleError)


def _is_sbml(text: str) -> bool:
    return text.lstrip().startswith("<")


def _opened(path: Path | None, text: str) -> tuple[str, frozenset[str]]:
    """Return flat SBML, and which of time, substance and volume a file leaves to the default of its level."""
    if path is None:
        with TemporaryDirectory() as place:
            file = Path(place) / "text.xml"
            file.write_text(text, encoding="utf-8")
            return _opened(file, text)
    opened = open_sbml(path)
    if opened.level > 2:
        return opened.flat, frozenset()
    written = set(re.findall(r"<(?:\w+:)?unitDefinition\b[^>]*?\b(?:id|name)\s*=\s*[\"'](\w+)",
                             path.read_bytes().decode("utf-8", errors="replace")))  # fmt: skip
    return opened.flat, frozenset({"time", "substance", "volume"} - written)


def _upgraded(text: str, origin: str) -> libsbml.SBMLDocument:
    document = _sbml.read_document(text, origin)
    for plugin in range(document.getNumPlugins()):
        package = document.getPlugin(plugin).getPackageName()
        if package != "l3v2extendedmath" and document.getPackageRequired(package):
            raise ModuleError(f"{origin} needs the SBML package {package!r}, which modules do not use; "
                              "export the model without it")  # fmt: skip
    fast = [each.getId() for each in document.getModel().getListOfReactions() if each.isSetFast() and each.getFast()]
    if fast:  # version 2 of Level 3 has no word for it
        raise ModuleError(f"{origin}: {', '.join(fast)} is fast, so without a rate of its own; give it a rate")
    if (document.getLevel(), document.getVersion()) != (3, 2):
        document.setLevelAndVersion(3, 2, False, True)
        if (document.getLevel(), document.getVersion()) != (3, 2):
            raise ModuleError(f"{origin} cannot be turned into SBML Level 3 Version 2; convert it with another tool")
    return document


def _plain(document: libsbml.SBMLDocument, origin: str) -> libsbml.SBMLDocument:
    for option in ("promoteLocalParameters", "expandFunctionDefinitions"):
        properties = libsbml.ConversionProperties()
        properties.addOption(option, True)
        if document.convert(properties) != libsbml.LIBSBML_OPERATION_SUCCESS:
            raise ModuleError(f"{origin}: libSBML cannot {option}; write the model without them")
    model = document.getModel()
    _drop_empty(model)
    problems = _unsupported(model)
    if problems:
        raise ModuleError(f"{origin} cannot become a module:\n  " + "\n  ".join(problems))
    for formula, where in formulas(model):
        check_formula(formula, f"{origin}: {where}")
    return document


def _drop_empty(model: libsbml.Model) -> None:
    """Leave out compartments that hold nothing and stand in no formula; Antimony makes one."""
    held = {species.getCompartment() for species in model.getListOfSpecies()}
    held |= {rule.getVariable() for rule in model.getListOfRules()}
    for formula, _ in formulas(model):
        held |= _sbml.symbols(formula) if formula is not None else set()
    for name in [place.getId() for place in model.getListOfCompartments() if place.getId() not in held]:
        model.removeCompartment(name)


def _unsupported(model: libsbml.Model) -> list[str]:
    found = [f"it has the algebraic rule {libsbml.formulaToL3String(rule.getMath())} = 0; solve it for one symbol"
             for rule in model.getListOfRules() if rule.isAlgebraic()]  # fmt: skip
    if model.isSetConversionFactor() or any(each.isSetConversionFactor() for each in model.getListOfSpecies()):
        found.append("it has a conversion factor; write the factor into the rates")
    for reaction in model.getListOfReactions():
        if reaction.getKineticLaw() is None or reaction.getKineticLaw().getMath() is None:
            found.append(f"reaction {reaction.getId()} has no rate; give it one or remove it")
        for reference in [*reaction.getListOfReactants(), *reaction.getListOfProducts()]:
            if reference.isSetStoichiometryMath() or not reference.getConstant() or not reference.isSetStoichiometry():
                found.append(f"reaction {reaction.getId()} has a stoichiometry that is not a number; write a number")
            elif reference.isSetId() and model.getInitialAssignmentBySymbol(reference.getId()) is not None:
                found.append(f"reaction {reaction.getId()} has a computed stoichiometry; write a number")
    for compartment in model.getListOfCompartments():
        if compartment.isSetSpatialDimensions() and compartment.getSpatialDimensionsAsDouble() in (1, 2):
            found.append(f"compartment {compartment.getId()} is an area or a length; give its species in a volume")
    return found


def formulas(model: libsbml.Model) -> list[tuple[libsbml.ASTNode, str]]:
    """Return every formula of a model and where it stands."""
    found = [(rule.getMath(), f"the rule of {rule.getVariable()}") for rule in model.getListOfRules()]
    found += [(each.getMath(), f"the start of {each.getSymbol()}") for each in model.getListOfInitialAssignments()]
    found += [(each.getKineticLaw().getMath(), f"the rate of {each.getId()}") for each in model.getListOfReactions()
              if each.getKineticLaw() is not None]  # fmt: skip
    for event in model.getListOfEvents():
        parts = [(event.getTrigger(), "trigger"), (event.getDelay(), "delay"), (event.getPriority(), "priority")]
        found += [(part.getMath(), f"the {what} of event {event.getId()}") for part, what in parts if part is not None]
        for each in event.getListOfEventAssignments():
            found.append((each.getMath(), f"event {event.getId()} on {each.getVariable()}"))
    return found


_REFUSED = {libsbml.AST_FUNCTION_DELAY: "a delayed value", libsbml.AST_FUNCTION_RATE_OF: "the rate of a symbol",
            libsbml.AST_FUNCTION: "a function that the file does not define",
            libsbml.AST_NAME_AVOGADRO: "the Avogadro constant as a symbol"}  # fmt: skip


def check_formula(node: libsbml.ASTNode, where: str) -> None:
    """Refuse what no module may have: delays, rates of symbols, functions without a definition, infinite numbers."""
    if node is None:
        raise ModuleError(f"{where} has no formula; give it one")
    found = _REFUSED.get(node.getType())
    if found:
        raise ModuleError(f"{where} uses {found} ({node.getName()}); write the model without it")
    if node.isNumber() and not math.isfinite(number_of(node)):
        raise ModuleError(f"{where} holds the number {number_of(node)}; give a finite number")
    for index in range(node.getNumChildren()):
        check_formula(node.getChild(index), where)
