"""Which symbols of a user's model can serve which ports of a shipped module: by identifier, by name, by role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import libsbml

from cascade import _sbml
from cascade.catalogue import load_module
from cascade.errors import ModuleError, unknown_name
from cascade.own.annotations import identifiers_of
from cascade.own.measure import from_file
from cascade.own.source import Source, check_formula, open_source
from cascade.specs import Module, Port

if TYPE_CHECKING:
    import pandas as pd

_ROLES = ("c", "n", "a", "f", "d", "k", "v", "u", "p")
_GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "κ": "kappa"}
_LONG = (("alpha", "a"), ("beta", "b"), ("gamma", "g"), ("kappa", "k"))
CLEAR, LIKELY = 0.8, 0.5
"""Scores from which a match is taken (if it is the only one) or listed."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A port that a module shall have: a symbol or a formula of the source, and the unit that it must have."""

    port: str
    symbol: str
    formula: str = ""
    unit: str = ""
    direction: str = ""
    reason: str = "you said so"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A symbol that could serve a port; `score` from 0 to 1."""

    port: Port
    symbol: str
    score: float
    why: str


def propose_ports(source: str | Path, like: str | Path | Module) -> pd.DataFrame:
    """Say for each port of a module which symbol of a user's model could serve it.

    Parameters
    ----------
    source : str or Path
        As in `read_module`.
    like : str, Path or Module
        The module whose ports are looked for, such as `"emt"`.

    Returns
    -------
    pandas.DataFrame
        One row a candidate, best first within a port, with `port`, `direction`, `unit`, `symbol`, `score` (0 to 1: an
        identifier in common 0.9, the same name 0.8, a part of it 0.5), `clear` (taken by `read_module(like=...)`) and
        `why`. A port without candidate has one row with the symbol "".
    """
    import pandas as pd

    module = load_module(like) if isinstance(like, str | Path) else like
    opened = open_source(source)
    document = opened.document()  # its model lives no longer than this name
    found = _candidates(document.getModel(), module)
    clear = _clear(found)
    rows = []
    for port in module.ports:
        own = sorted((c for c in found if c.port == port), key=lambda c: (-c.score, c.symbol))
        rows += [
            (port.id, port.direction, port.unit, c.symbol, c.score, clear.get(port.id) == c.symbol, c.why) for c in own
        ]
        if not own:
            rows.append((port.id, port.direction, port.unit, "", 0.0, False, "no symbol of this name or identifier"))
    return pd.DataFrame(rows, columns=["port", "direction", "unit", "symbol", "score", "clear", "why"])


def wishes(
    source: Source, model: libsbml.Model, ports: Mapping[str, str], like: Module | None
) -> tuple[list[Wish], list[str]]:
    """Return the ports that a module shall get, and the ports of `like` that nothing serves clearly.

    Formulas are added to the model as variables.
    """
    known = {port.id: port for port in like.ports} if like is not None else {}
    symbols = _symbols(model)
    found = []
    for port, text in ports.items():
        if not re.fullmatch(r"[a-z](?:_?[a-z0-9]+)*", port):
            raise ModuleError(f"port {port!r} is not in lower snake case; write for example 'c_tgfb'")
        unit, direction = (known[port].unit, known[port].direction) if port in known else ("", "")
        if text in symbols:
            found.append(Wish(port=port, symbol=text, unit=unit, direction=direction))
            continue
        add_formula(model, port, text, source.origin)
        found.append(Wish(port=port, symbol=port, formula=text, unit=unit, direction=direction))
    if like is None:
        return found, []
    taken = {wish.symbol for wish in found}
    candidates = [c for c in _candidates(model, like) if c.port.id not in ports and c.symbol not in taken]
    clear = _clear(candidates)
    for c in candidates:
        if clear.get(c.port.id) == c.symbol:
            found.append(
                Wish(port=c.port.id, symbol=c.symbol, unit=c.port.unit, direction=c.port.direction, reason=c.why)
            )
    return found, _unserved(like, ports, candidates, clear)


def _unserved(like: Module, ports: Mapping[str, str], found: list[Candidate], clear: Mapping[str, str]) -> list[str]:
    lines = []
    for port in like.ports:
        if port.id in ports or port.id in clear:
            continue
        names = [f"{c.symbol} ({c.why})" for c in found if c.port == port]
        lines.append(f"{port.id} ({port.direction}, {port.unit}): " + ("; ".join(names) or "no candidate"))
    return lines


def add_formula(model: libsbml.Model, port: str, text: str, origin: str = "") -> None:
    """Add a variable with a formula to a model, in the units of the model."""
    symbols = _symbols(model)
    math = libsbml.parseL3FormulaWithModel(text, model)  # a species called `Time` would be the time
    if math is None:
        raise ModuleError(f"{origin}: {text!r} (port {port!r}) is neither a symbol nor a formula: "
                          + " ".join(libsbml.getLastParseL3Error().split()))  # fmt: skip
    for name in sorted(_sbml.symbols(math)):
        if name not in symbols:
            raise unknown_name("symbol", name, symbols, f"{origin or 'the source'}, formula of port {port!r}")
    check_formula(math, f"{origin}: the formula of port {port!r}")
    _check_units(model, math, f"{origin}: the formula of port {port!r}")
    if model.getElementBySId(port) is not None:
        raise ModuleError(f"{origin}: the formula of port {port!r} has the name of a symbol; rename the port")
    parameter = model.createParameter()
    parameter.setId(port)
    parameter.setConstant(False)
    rule = model.createAssignmentRule()
    rule.setVariable(port)
    rule.setMath(math)


def _check_units(model: libsbml.Model, node: libsbml.ASTNode, where: str) -> None:
    """Refuse numbers with a unit that is none: libSBML reads `1e400` as 1 with the unit e400."""
    if node.isSetUnits() and from_file(model, node.getUnits()) is None:
        number = libsbml.formulaToL3String(node)
        raise ModuleError(f"{where} has the number {number!r}, whose unit is unknown; leave the unit out")
    for index in range(node.getNumChildren()):
        _check_units(model, node.getChild(index), where)


def _symbols(model: libsbml.Model) -> set[str]:
    lists = (model.getListOfSpecies(), model.getListOfParameters(), model.getListOfCompartments())
    return {element.getId() for elements in lists for element in elements}


def _candidates(model: libsbml.Model, like: Module) -> list[Candidate]:
    document = _sbml.read_document(like.sbml, like.name)
    shipped = document.getModel()
    genes = {row.id: row.gene for row in like.parameters}
    varies = _varying(model)
    found = []
    for port in like.ports:
        element = shipped.getElementBySId(port.id)
        identifiers = identifiers_of(element)
        names = {_plain(port.id, strip=True), _plain(port.name or port.id)}
        names |= {_plain(gene) for gene in genes.get(port.id, "").split(";") if gene}
        for own in [*model.getListOfSpecies(), *model.getListOfParameters()]:
            if (port.direction == "out") != (own.getId() in varies):
                continue
            score, why = _score(own, identifiers, names - {""})
            if score >= LIKELY:
                found.append(Candidate(port=port, symbol=own.getId(), score=score, why=why))
    return found


def _varying(model: libsbml.Model) -> set[str]:
    found = {rule.getVariable() for rule in model.getListOfRules()}
    for event in model.getListOfEvents():
        found |= {each.getVariable() for each in event.getListOfEventAssignments()}
    for reaction in model.getListOfReactions():
        for reference in [*reaction.getListOfReactants(), *reaction.getListOfProducts()]:
            species = model.getSpecies(reference.getSpecies())
            if species is not None and not species.getBoundaryCondition() and not species.getConstant():
                found.add(species.getId())
    return found


def _score(own: libsbml.SBase, identifiers: frozenset[str], names: set[str]) -> tuple[float, str]:
    shared = sorted(identifiers & identifiers_of(own))
    mine = {_plain(own.getId()), _plain(own.getId(), strip=True), _plain(own.getName())} - {""}
    same = sorted(names & mine)
    if shared and same:
        return 1.0, f"identifier {shared[0]} and name {same[0]!r}"
    if shared:
        return 0.9, f"identifier {shared[0]}"
    if same:
        return 0.8, f"name {same[0]!r}"
    part = sorted(min(a, b, key=len) for a in names for b in mine if min(len(a), len(b)) >= 3 and (a in b or b in a))
    return (0.5, f"part of the name {part[0]!r}") if part else (0.0, "")


def _clear(found: list[Candidate]) -> dict[str, str]:
    """Return the symbol of every port that has one clear candidate, which serves no other port as well."""
    best: dict[str, str] = {}
    for port in {c.port.id for c in found}:
        own = sorted((c for c in found if c.port.id == port), key=lambda c: -c.score)
        if own[0].score >= CLEAR and (len(own) == 1 or own[1].score < min(own[0].score, CLEAR)):
            best[port] = own[0].symbol
    return {port: symbol for port, symbol in best.items() if list(best.values()).count(symbol) == 1}


def _plain(text: str, strip: bool = False) -> str:
    """Return a name without case, signs and long Greek, so that TGF-beta, TGFb and tgf_beta are the same."""
    words = text.lower()
    for letter, name in _GREEK.items():
        words = words.replace(letter, name)
    head, _, rest = words.partition("_")
    if strip and rest and head in _ROLES:
        words = rest
    words = re.sub(r"[^a-z0-9]", "", words)
    for long, short in _LONG:
        words = words.replace(long, short)
    return words
