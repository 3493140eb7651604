"""A user's model as a module that composes like a shipped one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import libsbml

from cascade import _sbml
from cascade.build import build_module
from cascade.catalogue import load_module
from cascade.errors import CascadeError, ModuleError
from cascade.evidence import write_parameters
from cascade.own.conversion import Converter
from cascade.own.draft import Draft
from cascade.own.measure import Measure, combined, from_word
from cascade.own.ports import Wish, wishes
from cascade.own.report import Conversion, Matched, renamed
from cascade.own.scales import TIME
from cascade.own.source import Source, open_source, snake
from cascade.own.stated import Said, Stated, state_units
from cascade.own.structure import drop_unused, is_free, new_names, rows_of, structure_of
from cascade.specs import Module, Parameter


@dataclass(frozen=True, kw_only=True)
class OwnModule(Module):
    """A module made from a user's file: also its structure, and the report of what was changed."""

    structure: str = field(default="", repr=False)
    conversion: Conversion = field(repr=False)

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.conversion._repr_html_()


def read_module(
    source: str | Path,
    *,
    name: str | None = None,
    ports: Mapping[str, str] | None = None,
    like: str | Path | Module | None = None,
    time_unit: str | None = None,
    concentration_unit: str | None = None,
    units: Mapping[str, str] | None = None,
    volumes: Mapping[str, float] | None = None,
) -> OwnModule:
    """Make a module from a user's SBML or Antimony: days, nM, numbers in a table, ports.

    Parameters
    ----------
    source : str or Path
        An SBML file of any level, an `.ant` file, or the text of an Antimony model.
    name : str, optional
        Name of the module in lower snake case; by default that of the file or the model.
    ports : mapping of str to str, optional
        Ports by their name: a symbol of the source (`{"c_tgfb": "TGFb"}`), which gets that name, or a formula over its
        symbols (`{"a_emt": "ZEB/(ZEB + 0.3)"}`) in the units of the source. A constant becomes an input, what varies an
        output. A formula needs a unit: from `units`; or, with `like`, what follows from its symbols (`0.1*ZEB` is in
        the unit of `ZEB`, and converted), else that of the port of `like`. Without `ports` and `like`, every symbol
        that varies becomes an output.
    like : str, Path or Module, optional
        A module whose ports are looked for in the source (see `propose_ports`); clear matches become ports, the others
        are listed in `conversion.unmatched`.
    time_unit, concentration_unit : str, optional
        Unit of the time, and of concentrations of species, where the file has none or a wrong one.
    units : mapping of str to str, optional
        Units of symbols by the words of `cascade.units`, such as `{"k1": "per_uM_per_hour"}`.
    volumes : mapping of str to float, optional
        Volumes of compartments in litres: the volume of a cell, say, in which molecules are counted.

    Returns
    -------
    OwnModule
        With `conversion`, the report of every change.

    Raises
    ------
    ModuleError
        If a unit is missing (the message lists them all, with proposals), or the model cannot become a module.
    SBMLError
        If the SBML is malformed or unsafe.
    UnknownNameError
        If a name is not in the source.

    Notes
    -----
    Volumes are scaled so that the largest is one litre, unless the model counts cells; concentrations stay the same.
    """
    opened = open_source(source, name)
    _check_names(opened.name, ports or {})
    shipped = load_module(like) if isinstance(like, str | Path) else like
    document = opened.document()
    model = document.getModel()
    chosen, unmatched = wishes(opened, model, ports or {}, shipped)
    said = Said(time=time_unit, concentration=concentration_unit, volumes=volumes or {}, units=units or {})
    stated = _with_ports(chosen, said, state_units(opened, model, said), opened)
    stated.require(opened.origin)
    converter = Converter(opened, model, stated, said)
    draft = converter.convert()
    _check_ports(chosen, draft, opened)
    lost = drop_unused(draft, [wish.symbol for wish in chosen])
    names = new_names(draft, {wish.symbol: wish.port for wish in chosen}, opened.name)
    inputs = [names[wish.symbol] for wish in chosen]
    if not chosen and not shipped and ports is None:
        inputs = [names[s.id] for s in draft.states.values() if s.kind != "compartment"]
    structure = structure_of(draft, opened.name, inputs, names, f"{opened.name}: from {opened.origin}")
    rows = rows_of(draft, names)
    built = _built(opened.name, structure, rows)
    clock = converter.quantities[TIME]
    kept = {symbol: own for symbol, own in names.items() if symbol not in lost}
    conversion = Conversion(
        origin=opened.origin,
        source=_sbml.write_document(_with_formulas(opened, chosen)),
        changes=tuple(renamed(change, kept) for change in converter.ledger.notes),
        ports=_matched(built, chosen),
        unmatched=tuple(unmatched),
        time_unit=clock.source.word,
        time_factor=clock.factor,
    )
    return OwnModule(
        name=opened.name, path=opened.path, sbml=built.sbml, ports=built.ports, parameters=built.parameters,
        structure=structure, conversion=conversion,
    )  # fmt: skip


def propose_units(
    source: str | Path,
    *,
    time_unit: str | None = None,
    concentration_unit: str | None = None,
    units: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return units for the symbols whose unit the file does not state, as far as its formulas tell them.

    Terms of a sum have one unit, and a rate has the unit of what it changes per time. Look at the answer, then give it
    to `read_module(units=...)`: nothing is taken without being said.

    Parameters
    ----------
    source, time_unit, concentration_unit, units
        As in `read_module`.

    Returns
    -------
    dict of str to str
        Unit by symbol; "" where nothing follows from the formulas.
    """
    opened = open_source(source)
    said = Said(time=time_unit, concentration=concentration_unit, units=units or {}, volumes={})
    document = opened.document()
    missing = state_units(opened, document.getModel(), said).missing
    if TIME in missing:
        raise ModuleError(f"{opened.origin} does not state its unit of time; say time_unit='hour' or another")
    return dict(missing)


def _check_names(name: str, ports: Mapping[str, str]) -> None:
    for word in (name, *ports):
        if not is_free(word) or snake(word) != word:
            raise ModuleError(f"{word!r} cannot be a name in a module: use lower snake case and no word of Antimony")
    if name in ports:
        raise ModuleError(f"module and port are both called {name!r}; rename one")
    if len(set(ports.values())) < len(ports):
        raise ModuleError("two ports are the same symbol; give one of them as a formula, such as '1*S'")


def _with_ports(chosen: list[Wish], said: Said, stated: Stated, source: Source) -> Stated:
    """Give a formula whose unit neither the user said nor its symbols tell that of the port that it serves."""
    open_ports = [wish for wish in chosen if wish.formula and wish.port not in said.units]
    lost = [wish.port for wish in open_ports if not wish.unit]
    if lost:
        raise ModuleError(
            f"{source.origin}: the formula of {', '.join(lost)} needs a unit; "
            f"say units={{{lost[0]!r}: 'dimensionless'}} or another"
        )
    units, how, missing = dict(stated.units), dict(stated.how), dict(stated.missing)
    for wish in open_ports:
        unit = from_word(wish.unit)
        if how.get(wish.port) != "derived" or not _is_alike(units[wish.port], unit):
            units[wish.port], how[wish.port] = unit, "port"
        missing.pop(wish.port, None)
    return replace(stated, units=units, how=how, missing=missing)


def _is_alike(own: Measure, wanted: Measure) -> bool:
    """Tell whether a unit becomes the other by a factor, or by a volume (molecules in a cell)."""
    thin = combined([*own.dimensions, ("metre", -3 * own.exponent("mole"))])
    return wanted.dimensions in (own.dimensions, thin)


def _check_ports(chosen: list[Wish], draft: Draft, source: Source) -> None:
    """Refuse ports whose unit is not that of the port that they shall serve."""
    from cascade.units import same_unit

    problems = []
    for wish in chosen:
        row, state = draft.rows.get(wish.symbol), draft.states.get(wish.symbol)
        if row is None and state is None:
            problems.append(f"{wish.symbol} has no value of its own; it cannot be port {wish.port!r}")
            continue
        unit = row.unit if row is not None else state.unit  # type: ignore[union-attr]
        direction = "in" if row is not None else "out"
        if wish.direction and direction != wish.direction:
            why = "is a constant" if direction == "in" else "varies"
            problems.append(f"{wish.symbol} {why}; port {wish.port!r} is an {wish.direction}put")
        if wish.unit and not same_unit(unit, wish.unit):
            problems.append(
                f"{wish.formula or wish.symbol} is in {unit}, but port {wish.port!r} is in {wish.unit}; "
                + ("change the formula" if wish.formula else "give a formula for it")
            )
    if problems:
        raise ModuleError(f"{source.origin}:\n  " + "\n  ".join(problems))


def _built(name: str, structure: str, rows: tuple[Parameter, ...]) -> Module:
    """Build the folder that `write_module_folder` would write, and load it."""
    with TemporaryDirectory() as place:
        folder = Path(place) / name
        folder.mkdir()
        (folder / f"{name}.ant").write_text(structure, encoding="utf-8")
        write_parameters(folder / "parameters.tsv", rows)
        try:
            (folder / f"{name}.xml").write_text(build_module(folder), encoding="utf-8")
            return load_module(folder)
        except CascadeError as error:
            raise ModuleError(f"module {name!r} cannot be built from the converted model: {error}") from error


def _with_formulas(source: Source, chosen: list[Wish]) -> libsbml.SBMLDocument:
    """Return the source in its own units, with the formulas of ports, for comparison."""
    from cascade.own.ports import add_formula

    document = source.document()
    for wish in chosen:
        if wish.formula:
            add_formula(document.getModel(), wish.port, wish.formula)
    return document


def _matched(module: Module, chosen: list[Wish]) -> tuple[Matched, ...]:
    by_port = {wish.port: wish for wish in chosen}
    return tuple(
        Matched(
            port=port.id,
            symbol=by_port[port.id].formula or by_port[port.id].symbol if port.id in by_port else port.id,
            direction=port.direction,
            unit=port.unit,
            reason=by_port[port.id].reason if port.id in by_port else "it varies",
        )
        for port in module.ports
    )
