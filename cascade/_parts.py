"""Cuts a flat SBML document into small documents that hold a few formulas each, with all that these mention.

libSBML evaluates the exponent of every power for its check of units, and for each looks at every element of the model:
the time grows with the square of the size. Units are a matter of one formula and its symbols, so small documents give
the same findings in a time that grows with the size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libsbml

from cascade.errors import SBMLError

PART = 80
"""Formulas in a part; the time hardly depends on it between 50 and 150."""

_NAME = re.compile(r"[A-Za-z_]\w*")
_INSTANCE = re.compile(r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*__(?=[A-Za-z])")
_MODEL_UNITS = ("Time", "Volume", "Area", "Length", "Substance", "Extent")


@dataclass(frozen=True)
class Part:
    """A few formulas of a flat document and the symbols that they mention."""

    whole: libsbml.SBMLDocument
    symbols: tuple[libsbml.SBase, ...]
    elements: tuple[libsbml.SBase, ...]

    @property
    def document(self) -> libsbml.SBMLDocument:
        """The part as a document of its own."""
        return _part(self.whole, self.symbols, self.elements)

    @property
    def pattern(self) -> str:
        """The text of the part with its instances numbered: the same for the instances of one module."""
        numbers: dict[str, str] = {}
        text = "".join(element.toSBML() for element in (*self.symbols, *self.elements))
        return _INSTANCE.sub(lambda match: numbers.setdefault(match[0], f"{len(numbers)}__"), text)


def parts(document: libsbml.SBMLDocument) -> Iterator[Part]:
    """Yield parts that together hold every symbol and every formula of a flat document, instance by instance."""
    model = document.getModel()
    known = {symbol.getId(): symbol for symbol in _symbols(model)}
    unused = dict(known)
    for elements in _groups(model):
        names = [name for name in dict.fromkeys(_mentioned(elements)) if name in known]
        names += [known[name].getCompartment() for name in names if isinstance(known[name], libsbml.Species)]
        yield Part(document, tuple(known[name] for name in dict.fromkeys(names) if name in known), tuple(elements))
        for name in names:
            unused.pop(name, None)
    yield Part(document, tuple(unused.values()), ())


def _groups(model: libsbml.Model) -> Iterator[list[libsbml.SBase]]:
    """Yield the formulas of one instance after the other, in portions."""
    groups: dict[str, list[libsbml.SBase]] = {}
    for element in _elements(model):
        groups.setdefault(next(_own(element), "").partition("__")[0], []).append(element)
    if all("__" not in next(_own(element), "") for element in _elements(model)):
        groups = {"": [element for group in groups.values() for element in group]}
    for group in groups.values():
        for start in range(0, len(group), PART):
            yield group[start : start + PART]


def part_of(document: libsbml.SBMLDocument, variables: Sequence[str]) -> libsbml.SBMLDocument:
    """Return a document with the assignment rules of a few variables and all that these mention."""
    model = document.getModel()
    wanted = set(variables)
    chosen = [rule for rule in model.getListOfRules() if rule.getVariable() in wanted]
    names = set(_mentioned(chosen))
    symbols = [symbol for symbol in _symbols(model) if symbol.getId() in names]
    compartments = {symbol.getCompartment() for symbol in symbols if isinstance(symbol, libsbml.Species)} - names
    return _part(document, [*symbols, *(model.getCompartment(name) for name in compartments)], chosen)


def _symbols(model: libsbml.Model) -> Iterator[libsbml.SBase]:
    yield from model.getListOfCompartments()
    yield from model.getListOfSpecies()
    yield from model.getListOfParameters()


def _elements(model: libsbml.Model) -> Iterator[libsbml.SBase]:
    yield from model.getListOfRules()
    yield from model.getListOfInitialAssignments()
    yield from model.getListOfReactions()
    yield from model.getListOfEvents()
    yield from model.getListOfConstraints()


def _part(
    document: libsbml.SBMLDocument, symbols: Sequence[libsbml.SBase], elements: Sequence[libsbml.SBase]
) -> libsbml.SBMLDocument:
    whole = document.getModel()
    part = libsbml.SBMLDocument(whole.getLevel(), whole.getVersion())
    model = part.createModel()
    for kind in _MODEL_UNITS:
        if getattr(whole, f"isSet{kind}Units")():
            getattr(model, f"set{kind}Units")(getattr(whole, f"get{kind}Units")())
    for element in (*whole.getListOfFunctionDefinitions(), *whole.getListOfUnitDefinitions(), *symbols, *elements):
        kind = "Rule" if isinstance(element, libsbml.Rule) else type(element).__name__
        if getattr(model, f"add{kind}")(element) != libsbml.LIBSBML_OPERATION_SUCCESS:
            raise SBMLError(f"cannot check the units of {kind} {element.getId()!r}: the element is incomplete")
    return part


def _own(element: libsbml.SBase) -> Iterator[str]:
    """Yield the ids of the symbols that an element changes, or its own."""
    if isinstance(element, libsbml.Reaction):
        yield element.getId()
    elif isinstance(element, libsbml.Rule):
        yield element.getVariable()
    elif isinstance(element, libsbml.InitialAssignment):
        yield element.getSymbol()
    elif isinstance(element, libsbml.Event):
        yield from (each.getVariable() for each in element.getListOfEventAssignments())


def _mentioned(elements: Sequence[libsbml.SBase]) -> Iterator[str]:
    """Yield the ids that elements mention, and words that are no ids."""
    for element in elements:
        yield from _own(element)
        if isinstance(element, libsbml.Reaction):
            references = (*element.getListOfReactants(), *element.getListOfProducts(), *element.getListOfModifiers())
            yield from (reference.getSpecies() for reference in references)
        for math in _formulas(element):
            yield from _NAME.findall(libsbml.formulaToL3String(math))


def _formulas(element: libsbml.SBase) -> Iterator[libsbml.ASTNode]:
    holders = [element]
    if isinstance(element, libsbml.Reaction):
        holders = [element.getKineticLaw()]
    elif isinstance(element, libsbml.Event):
        holders = [element.getTrigger(), element.getDelay(), element.getPriority()]
        holders += element.getListOfEventAssignments()
    return (holder.getMath() for holder in holders if holder is not None and holder.isSetMath())
