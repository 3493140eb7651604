"""Which unit every symbol of a user's model has: what the file says, what the user says, what follows from both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import libsbml

from cascade._sbml import symbols as symbols_of
from cascade._tables import is_number
from cascade.errors import ModuleError, TableError, unknown_name
from cascade.own.inference import PURE, Inference
from cascade.own.measure import Measure, from_file, from_word, product, spelled
from cascade.own.scales import TIME
from cascade.own.source import Source, formulas


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the user says of units: of the time, of concentrations without a unit, of symbols; sizes in litres."""

    time: str | None = None
    concentration: str | None = None
    units: Mapping[str, str]
    volumes: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Stated:
    """Units by symbol (the time under ""), how each is known, and what is not known, with a proposal or ""."""

    units: Mapping[str, Measure]
    how: Mapping[str, str]
    missing: Mapping[str, str]
    places: frozenset[str] = frozenset()

    def require(self, origin: str) -> None:
        """Raise `ModuleError` with everything that is missing and what it may be."""
        if not self.missing:
            return
        lines = []
        for symbol, proposal in self.missing.items():
            argument = f"units={{{symbol!r}: ...}}"
            if symbol == TIME or symbol in self.places:
                argument = "time_unit=..." if symbol == TIME else f"volumes={{{symbol!r}: litres}}"
            hint = f" (proposed from the formulas: {proposal})" if proposal else ""
            lines.append(f"{symbol or 'time'}: say {argument}{hint}")
        raise ModuleError(
            f"{origin} does not state all of its units, and none is guessed; propose_units() returns the proposals:\n  "
            + "\n  ".join(lines)
        )


def state_units(source: Source, model: libsbml.Model, said: Said) -> Stated:
    """Find the unit of every symbol of a plain model."""
    known, how = _said(model, said, source.origin)
    for symbol, unit in _written(source, model, known, said).items():
        if symbol not in known:
            known[symbol] = unit
            how[symbol] = "file"
    symbols = [TIME, *(each.getId() for each in _elements(model))]
    timed = TIME in known
    if not timed:
        known[TIME] = from_word("second")  # for what can be derived; what depends on it is not proposed
    places = {place.getId() for place in model.getListOfCompartments()}
    litres = {place: from_word("litre") for place in places if place not in known}  # what they become below
    derived = _derived(model, {**known, **litres}, [s for s in symbols if s not in known and s not in places])
    if not timed:
        derived = {s: Measure((), 1.0, "") if unit.exponent("second") else unit for s, unit in derived.items()}
    constant = {p.getId() for p in model.getListOfParameters()} - _variables(model)
    used = set().union(*(symbols_of(formula) for formula, _ in formulas(model)))
    missing = {} if timed else {TIME: ""}
    for symbol in symbols:
        if symbol in known:
            continue
        if symbol in constant and symbol not in used:
            known[symbol] = PURE  # left out later
        elif symbol in derived and symbol not in constant and model.getParameter(symbol) is not None:
            known[symbol] = replace(derived[symbol], word=spelled(derived[symbol]))
            how[symbol] = "derived"
        elif model.getCompartment(symbol) is not None:
            if any(unit.extensive and name not in places for name, unit in known.items()):
                missing[symbol] = ""
            known[symbol] = from_word("litre")
            how[symbol] = "any: concentrations do not depend on it"
        elif timed or symbol in constant or model.getSpecies(symbol) is not None:
            missing[symbol] = spelled(derived[symbol]) if symbol in derived and (timed or derived[symbol].word) else ""
    return Stated(units=known, how=how, missing=missing, places=frozenset(places))


def _elements(model: libsbml.Model) -> list[libsbml.SBase]:
    lists = (model.getListOfCompartments(), model.getListOfSpecies(), model.getListOfParameters())
    return [element for elements in lists for element in elements]


def _variables(model: libsbml.Model) -> set[str]:
    found = {rule.getVariable() for rule in model.getListOfRules()}
    return found | {each.getVariable() for event in model.getListOfEvents()
                    for each in event.getListOfEventAssignments()}  # fmt: skip


def _said(model: libsbml.Model, said: Said, origin: str) -> tuple[dict[str, Measure], dict[str, str]]:
    known: dict[str, Measure] = {}
    symbols = {each.getId() for each in _elements(model)}
    for symbol, word in {**said.units, **({TIME: said.time} if said.time else {})}.items():
        if not word:  # a proposal that says nothing
            continue
        if symbol != TIME and symbol not in symbols:
            raise unknown_name("symbol", symbol, symbols, origin)
        if not isinstance(word, str):
            raise ModuleError(
                f"{origin}: the unit of {symbol or 'the time'} is {word!r}; give a word such as 'uM_per_hour'"
            )
        try:
            known[symbol] = from_word(word)
        except TableError as error:
            raise ModuleError(f"{origin}: unit of {symbol or 'the time'}: {error}") from None
    if TIME in known and known[TIME].dimensions != (("second", 1.0),):
        raise ModuleError(f"{origin}: time_unit is {said.time!r}; give second, minute, hour or day")
    for compartment, size in said.volumes.items():
        if model.getCompartment(compartment) is None:
            names = [each.getId() for each in model.getListOfCompartments()]
            raise unknown_name("compartment", compartment, names, origin)
        if not is_number(size) or size <= 0:
            raise ModuleError(f"{origin}: the volume of {compartment} is {size}; give litres, a number above 0")
        known[compartment] = from_word("litre")
    if said.concentration:
        _say_concentration(model, known, said.concentration, origin)
    return known, dict.fromkeys(known, "you")


def _say_concentration(model: libsbml.Model, known: dict[str, Measure], word: str, origin: str) -> None:
    try:
        unit = from_word(word)
    except TableError as error:
        raise ModuleError(f"{origin}: concentration_unit: {error}") from None
    for species in model.getListOfSpecies():
        if not species.getHasOnlySubstanceUnits():
            known.setdefault(species.getId(), unit)


def _written(source: Source, model: libsbml.Model, known: Mapping[str, Measure], said: Said) -> dict[str, Measure]:
    """Read what the file states; what SBML before Level 3 means where nothing is written does not count."""

    def read(word: str, builtin: str) -> Measure | None:
        return None if not word or (word == builtin and builtin in source.silent) else from_file(model, word)

    found: dict[str, Measure | None] = {TIME: None if "time" in source.silent else read(model.getTimeUnits(), "time")}
    for compartment in model.getListOfCompartments():
        found[compartment.getId()] = read(compartment.getUnits() or model.getVolumeUnits(), "volume")
    for parameter in model.getListOfParameters():
        found[parameter.getId()] = read(parameter.getUnits(), "")
    for species in model.getListOfSpecies():
        substance = read(species.getSubstanceUnits() or model.getSubstanceUnits(), "substance")
        volume = known.get(species.getCompartment()) or found.get(species.getCompartment())
        found[species.getId()] = _species_unit(species, substance, volume)
    return {symbol: unit for symbol, unit in found.items() if unit is not None}


def _species_unit(species: libsbml.Species, substance: Measure | None, volume: Measure | None) -> Measure | None:
    if substance is None or species.getHasOnlySubstanceUnits():
        return substance
    if substance.exponent("metre") < 0:  # Antimony's `S has nM` without a definition of nM
        return substance
    return product((substance, 1), (volume, -1)) if volume is not None else None


def _derived(model: libsbml.Model, known: Mapping[str, Measure], open_symbols: list[str]) -> dict[str, Measure]:
    """Derive units from formulas."""
    inference = Inference(known=dict(known), wanted=set(open_symbols))
    per_time = (known[TIME], -1.0)
    given: list[tuple[libsbml.ASTNode, str | Measure | None]] = []
    for rule in model.getListOfRules():
        unit = known.get(rule.getVariable())
        if rule.isRate():
            given.append((rule.getMath(), product((unit, 1), per_time) if unit is not None else None))
        else:
            given.append((rule.getMath(), rule.getVariable()))
    given += [(each.getMath(), each.getSymbol()) for each in model.getListOfInitialAssignments()]
    for reaction in model.getListOfReactions():
        given.append((reaction.getKineticLaw().getMath(), _rate_unit(model, reaction, known)))
    for event in model.getListOfEvents():
        given.append((event.getTrigger().getMath(), None))
        if event.getDelay() is not None:
            given.append((event.getDelay().getMath(), known[TIME]))
        given += [(each.getMath(), each.getVariable()) for each in event.getListOfEventAssignments()]
    inference.learn(given)
    return {symbol: unit for symbol, unit in inference.known.items() if symbol in inference.wanted}


def _rate_unit(model: libsbml.Model, reaction: libsbml.Reaction, known: Mapping[str, Measure]) -> Measure | None:
    """Return the unit of a rate: amount per time, or concentration per time where a file leaves out a volume of 1."""
    references = [*reaction.getListOfProducts(), *reaction.getListOfReactants()]
    for reference in references:
        species = model.getSpecies(reference.getSpecies())
        unit, volume = known.get(species.getId()), known.get(species.getCompartment())
        if unit is None or species.getBoundaryCondition():
            continue
        if species.getHasOnlySubstanceUnits():
            return product((unit, 1), (known[TIME], -1))
        if not symbols_of(reaction.getKineticLaw().getMath()) & {c.getId() for c in model.getListOfCompartments()}:
            return product((unit, 1), (known[TIME], -1))
        return product((unit, 1), (volume or from_word("litre"), 1), (known[TIME], -1))
    return None
