"""Genotypes as values: what the mutations and epigenetic states of a tumor set in a model, one by one or together.

How genotypes combine, in any order: a constant that one of them sets (`=`) has that value, and two that set it to
different values are an error; else it is the patient's own value, or the model's; then factors (`*`) multiply; then
`>=` raises it to at least the largest that is asked, and `<=` lowers it to at most the smallest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from warnings import warn

from cascade import _sbml
from cascade._canonical import Symbol, read_symbols, symbol_table
from cascade._values import own_values
from cascade.errors import CascadeWarning, ValueSettingError, unknown_name
from cascade.patients.genotype_table import Genotype, Setting, read_genotypes, shipped_genotypes
from cascade.specs import Model, Parameter, require_model
from cascade.start_values import set_start

__all__ = ["genotype_values", "read_genotypes", "unexpressed", "with_genotype"]

NO_PARAMETER = "no parameter of the library expresses it"

IN_PART = "not all: "
"""What the note of a genotype starts with if its parameters express but a part of it."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What each genotype does in one model: constants and start values with their settings, and what it cannot do."""

    table: Mapping[str, Genotype]
    actions: Mapping[str, tuple[tuple[str, Setting], ...]]
    missing: Mapping[str, tuple[str, ...]]
    symbols: Mapping[str, Symbol]
    rows: Mapping[str, Parameter]

    def nominal(self, flat: str) -> float:
        """Return the model's own value of a constant, or its start value."""
        start = self.symbols[flat].initial
        return self.rows[flat].nominal if flat in self.rows else 0.0 if start is None else start


def plan_genotypes(model: Model, table: Sequence[Genotype] | None = None) -> Plan:
    """Find what each genotype of a table acts on in a model."""
    known = shipped_genotypes() if table is None else {each.id: each for each in table}
    symbols = symbol_table(model.flat)
    actions: dict[str, tuple[tuple[str, Setting], ...]] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for name, genotype in known.items():
        found: dict[tuple[str, str], Setting] = {}
        partly = not genotype.sets or genotype.note.startswith(IN_PART)
        reasons = [genotype.note or NO_PARAMETER] if partly else []
        for setting in genotype.sets:
            places, why = settable(model, symbols, setting.module, setting.parameter)
            if setting.operator != "=":
                places, why = _known(model, symbols, places, why)
            found |= {(flat, str(setting)): setting for flat in places}
            reasons += [f"{setting}: {why}"] if why else []
        actions[name] = tuple((flat, setting) for (flat, _), setting in found.items())
        missing[name] = tuple(reasons)
    return Plan(table=known, actions=actions, missing=missing, symbols=symbols, rows=model.table)


def _known(
    model: Model, symbols: Mapping[str, Symbol], places: tuple[str, ...], why: str
) -> tuple[tuple[str, ...], str]:
    """Leave out start values that a formula gives: there is no number to multiply or to bound."""
    found = tuple(flat for flat in places if flat in model.table or symbols[flat].initial is not None)
    return found, why if len(found) == len(places) else f"a formula gives the start of {places[0]!r}"


def settable(model: Model, symbols: Mapping[str, Symbol], module: str, parameter: str) -> tuple[tuple[str, ...], str]:
    """Return the flat ids of a parameter in every instance of a module, or none and the reason."""
    owners = [instance for instance, kind in model.instances.items() if kind == module]
    if not owners:
        return (), f"the model has no module {module!r}"
    found: dict[str, None] = {}
    driver, read = "", read_symbols(model.flat)
    for owner in owners:
        flat = model.ids.get(f"{owner}.{parameter}")
        if flat is None:
            return (), f"{owner!r} has no {parameter!r}"
        own = {parameter, f"{owner}__{parameter}"}
        own |= {f"{group}__{parameter}" for group, members in model.groups.items() if owner in members}
        idle = symbols[flat].role == "constant" and flat not in read
        if flat in own and symbols[flat].role in ("constant", "integrated") and not idle:
            found[flat] = None
        driver = f"it is computed here, by {flat!r}" if not idle else f"no formula of this model reads {flat!r}"
    return tuple(found), "" if found else driver


def chosen(plan: Plan, genotypes: Iterable[str]) -> tuple[str, ...]:
    """Return the genotypes in the order of the table, each once.

    Raises
    ------
    UnknownNameError
        If one is not in the table.
    ValueSettingError
        If two cannot go together.
    """
    if isinstance(genotypes, str):
        genotypes = (genotypes,)
    if not isinstance(genotypes, Iterable):
        raise ValueSettingError(f"genotypes is {genotypes!r}; give ids of genotypes.tsv, such as ['kras_g12']")
    given = list(genotypes)
    for name in given:
        if not isinstance(name, str) or name not in plan.table:
            raise unknown_name("genotype", name, plan.table, "genotypes.tsv")
    asked = list(dict.fromkeys(given))
    for place, first in enumerate(asked):
        for second in asked[place + 1 :]:
            if second in plan.table[first].excludes or first in plan.table[second].excludes:
                raise ValueSettingError(
                    f"genotypes {first!r} and {second!r} cannot go together in one clone; give one of them"
                )
    return tuple(name for name in plan.table if name in asked)


def combine(
    plan: Plan, genotypes: Iterable[str], values: Mapping[str, float] | None = None
) -> tuple[dict[str, float], dict[str, tuple[str, ...]]]:
    """Return the values that genotypes set, by flat id, and for each genotype what it could not do.

    Raises
    ------
    ValueSettingError
        If two genotypes, or one and the patient's own value, contradict each other, or a bound of the table is left.
    """
    names, own = chosen(plan, genotypes), dict(values or {})
    acting: dict[str, list[tuple[str, Setting]]] = {}
    for name in names:
        for flat, setting in plan.actions[name]:
            acting.setdefault(flat, []).append((name, setting))
    found = {flat: _combined(plan, flat, asked, own.get(flat)) for flat, asked in acting.items()}
    missing = {}
    for name in names:
        idle = [
            f"{setting}: the value is 0 here, so a factor changes nothing"
            for setting in plan.table[name].sets
            if setting.operator == "*" and _is_idle(setting, plan.actions[name], found)
        ]
        if plan.missing[name] or idle:
            missing[name] = (*plan.missing[name], *idle)
    return found, missing


def _is_idle(setting: Setting, actions: Iterable[tuple[str, Setting]], found: Mapping[str, float]) -> bool:
    values = [found[flat] for flat, each in actions if each == setting]
    return bool(values) and not any(values)


def _combined(plan: Plan, flat: str, asked: Sequence[tuple[str, Setting]], own: float | None) -> float:
    """Return the value of one constant."""
    fixed = {setting.number: name for name, setting in asked if setting.operator == "="}
    if own is not None and fixed:
        fixed.setdefault(own, "the patient's own value")
    if len(fixed) > 1:
        parts = " and ".join(f"{name} sets {number:g}" for number, name in sorted(fixed.items()))
        raise ValueSettingError(f"{flat!r}: {parts}; leave one of them out, or name a genotype that means both")
    value = next(iter(fixed)) if fixed else plan.nominal(flat) if own is None else own
    for _, setting in asked:
        value *= setting.number if setting.operator == "*" else 1.0
    floor = max((setting.number for _, setting in asked if setting.operator == ">="), default=None)
    ceiling = min((setting.number for _, setting in asked if setting.operator == "<="), default=None)
    if floor is not None and ceiling is not None and floor > ceiling:
        parts = " and ".join(f"{name} ({setting})" for name, setting in asked if setting.operator in (">=", "<="))
        raise ValueSettingError(f"{flat!r}: {parts} contradict each other; leave one of them out")
    value = value if floor is None else max(value, floor)
    value = value if ceiling is None else min(value, ceiling)
    _check_bounds(plan.rows.get(flat), flat, value, [name for name, _ in asked])
    return float(value)


def _check_bounds(row: Parameter | None, flat: str, value: float, names: Sequence[str]) -> None:
    """Refuse what cannot be; bounds of an uncertain constant are those of the wild type, which a mutant may leave."""
    if row is None or row.estimate:
        return
    low, high = row.lower, row.upper
    span = f"{'any' if low is None else f'{low:g}'} to {'any' if high is None else f'{high:g}'}"
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueSettingError(
            f"{flat!r} would be {value:g} with {', '.join(names)}; its table allows {span}: leave one of them out"
        )


def genotype_values(
    model: Model,
    genotypes: Sequence[str],
    values: Mapping[str, float] | None = None,
    *,
    table: Sequence[Genotype] | None = None,
) -> dict[str, float]:
    """Return what genotypes set in a model, as values of `cascade.simulate` and `cascade.evaluate`.

    Parameters
    ----------
    model : Model
    genotypes : sequence of str
        Ids of `genotypes.tsv`; their order does not matter.
    values : mapping of str to float, optional
        The patient's own values by any name; factors and limits act on these, and they are returned too.
    table : sequence of Genotype, optional
        By default the shipped one.

    Returns
    -------
    dict of str to float
        By flat id. A `CascadeWarning` lists what the model cannot express (see `unexpressed`).

    Raises
    ------
    UnknownNameError
        If a genotype or a name is unknown; the message tells the closest.
    ValueSettingError
        If genotypes exclude or contradict each other or the patient's own values, or leave the bounds of a table.
    """
    require_model(model, "genotype_values")
    plan = plan_genotypes(model, table)
    own = own_values(model, plan.symbols, values)
    found, missing = combine(plan, genotypes, own)
    if missing:
        lines = [f"{name}: {'; '.join(reasons)}" for name, reasons in missing.items()]
        warn(f"model {model.name!r} does not express all of it: " + " | ".join(lines), CascadeWarning, stacklevel=2)
    return own | found


def unexpressed(
    model: Model, genotypes: Sequence[str], *, table: Sequence[Genotype] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return what a model cannot express of genotypes: for each of them the reasons; nothing for the others.

    Raises
    ------
    UnknownNameError, ValueSettingError
        As in `genotype_values`.
    """
    require_model(model, "unexpressed")
    return combine(plan_genotypes(model, table), genotypes)[1]


def with_genotype(model: Model, *genotypes: str, table: Sequence[Genotype] | None = None) -> Model:
    """Return the model of a tumor with genotypes: its own values are theirs.

    Parameters
    ----------
    model : Model
    *genotypes : str
        Ids of `genotypes.tsv`.
    table : sequence of Genotype, optional
        By default the shipped one.

    Returns
    -------
    Model
        Without a hierarchical document. The rows of changed constants tell the genotypes; they are no longer estimated,
        so an analysis keeps them fixed. A start value that the genotype sets is only in the document.

    Raises
    ------
    UnknownNameError, ValueSettingError
        As in `genotype_values`, which also tells of the warning.
    """
    values = genotype_values(model, genotypes, table=table)
    known = shipped_genotypes() if table is None else {each.id: each for each in table}
    document = _sbml.read_document(model.flat, model.name)
    for flat, value in values.items():
        set_start(document.getModel(), flat, value)
    title = ", ".join(known[name].name for name in dict.fromkeys(genotypes))
    source = tuple(dict.fromkeys(key for name in genotypes for key in known[name].source))
    rows = tuple(_mutant(row, values[row.id], title, source) if row.id in values else row for row in model.parameters)
    return replace(model, flat=_sbml.write_document(document), hierarchical=None, parameters=rows)


def _mutant(row: Parameter, value: float, title: str, source: tuple[str, ...]) -> Parameter:
    return replace(
        row,
        nominal=value,
        lower=None if row.lower is None else min(row.lower, value),
        upper=None if row.upper is None else max(row.upper, value),
        estimate=False,
        evidence="assumed",
        source=source,
        where="genotypes.tsv",
        conversion="",
        note=f"{title}; {row.nominal:g} without",
    )
