"""Drugs are folders of data: the structure of their kinetics, numbers with sources, potencies on targets, regimens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from cascade._tables import is_number, read_toml
from cascade.catalogue import library_folder, load_module
from cascade.errors import DrugError, unknown_name
from cascade.evidence import read_parameters
from cascade.library import place
from cascade.specs import Module, Parameter
from cascade.units import dimension, magnitude

Tier = Literal["pharmacokinetics", "exposure"]
TIERS = ("pharmacokinetics", "exposure")
ROUTES = ("infusion", "bolus", "oral", "subcutaneous", "stated")
UNITS = ("mg", "mg/kg", "mg/m2")
DALTON = "mg_per_mmole"
"""Grams per mole in the words of the vocabulary."""
CONCENTRATIONS = ("c_tumor", "c_unbound", "c_plasma")
WEIGHT, SURFACE = 70.0, 1.73
"""A typical patient, in kg and square meters: the reference of most published kinetics."""

_ENTRIES = {
    "title": str,
    "drug_class": str,
    "tier": str,
    "structure": str,
    "carrier": bool,
    "body": dict,
    "joins": dict,
    "actions": list,
    "regimens": dict,
    "note": str,
}
_ACTION = ("target", "port", "affinity", "port_affinity", "ec50", "maximum", "hill", "concentration", "note")
_REGIMEN: dict[str, type | tuple[type, ...]] = {
    "title": str,
    "dose": (int, float),
    "unit": str,
    "route": str,
    "infusion_hours": (int, float),
    "every": (int, float),
    "days_on": (int, float),
    "days_off": (int, float),
    "doses": int,
    "loading": list,
    "status": str,
    "source": list,
    "where": str,
}
STATUS = ("approved", "trial", "experimental")


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a drug does to one target.

    With `affinity` the concentration enters the mechanism of a module through its `port`, as that of a drug with the
    affinity `port_affinity`. Without, a share `maximum*c^hill/(ec50^hill + c^hill)` is lost by what the target blocks
    and gained by what it boosts, or, with a `port`, added to that.

    Attributes
    ----------
    target : str
        Id in the table of targets.
    port : str
        `module.port`, several joined by `;`, or empty.
    affinity, ec50, maximum, hill : str
        Ids of constants of the drug.
    port_affinity : str
        Formula of constants of the module of the port.
    concentration : str
        `c_tumor`, `c_unbound` or `c_plasma` of the drug.
    """

    target: str
    port: str = ""
    affinity: str = ""
    port_affinity: str = ""
    ec50: str = ""
    maximum: str = ""
    hill: str = ""
    concentration: str = "c_tumor"
    note: str = ""

    @property
    def ports(self) -> tuple[str, ...]:
        """The ports one by one."""
        return tuple(port.strip() for port in self.port.split(";") if port.strip())


@dataclass(frozen=True, kw_only=True)
class Written:
    """A regimen as it stands in the folder of a drug: fields of `cascade.Regimen`."""

    name: str
    entries: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Drug:
    """A drug: kinetics, potency, regimens.

    Attributes
    ----------
    name, title, drug_class : str
    path : Path
    tier : str
        `pharmacokinetics`: full kinetics with sources; `exposure`: a stated concentration, kinetics not modeled.
    structure : Module
        The shipped module that holds the equations of its kinetics.
    parameters : tuple of Parameter
        Constants of the structure with the values of the drug, its molar mass (`m_molar`) and its potencies.
    actions : tuple of Action
    joins : mapping of str to str
        Inputs of the structure that follow a variable of the model: `f_delivery` -> `hypoxia_vegf.f_perfusion`.
    regimens : mapping of str to Written
    carrier : bool
        True for what carries other drugs (see `carry`).
    weight, surface : float
        Of the patient to whom the numbers belong, in kg and square meters.
    """

    name: str
    path: Path
    title: str
    drug_class: str
    tier: Tier
    structure: Module
    parameters: tuple[Parameter, ...] = field(repr=False)
    actions: tuple[Action, ...] = field(repr=False)
    joins: Mapping[str, str] = field(default_factory=dict, repr=False)
    regimens: Mapping[str, Written] = field(default_factory=dict, repr=False)
    carrier: bool = False
    weight: float = WEIGHT
    surface: float = SURFACE
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("joins", "regimens"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _restore, ({k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in state.items()},)

    @cached_property
    def table(self) -> Mapping[str, Parameter]:
        """The constants by id."""
        return {row.id: row for row in self.parameters}

    def value(self, name: str) -> float:
        """Return the value of a constant."""
        if name not in self.table:
            raise unknown_name("constant", name, self.table, f"drug {self.name!r}")
        return self.table[name].nominal

    @property
    def routes(self) -> tuple[str, ...]:
        """Routes that its kinetics take."""
        ports = {port.id for port in self.structure.ports if port.direction == "in"}
        if "a_given" in ports:
            return ("stated",)
        depot = ("oral", "subcutaneous") if "v_depot" in ports else ()
        return ("infusion", "bolus", *depot)

    @property
    def molar_mass(self) -> float:
        """Grams per mole."""
        return self.value("m_molar") * magnitude(self.table["m_molar"].unit) / magnitude(DALTON)


def _restore(state: dict[str, Any]) -> Drug:
    return Drug(**state)


def drug_names() -> tuple[str, ...]:
    """Return the names of the shipped drugs and carriers."""
    return tuple(sorted(file.parent.name for file in (library_folder() / "drugs").glob("*/drug.toml")))


def drug_folder(name: str | Path) -> Path:
    """Return the folder of a drug given by a shipped name or a path.

    Raises
    ------
    UnknownNameError
        If there is neither such a name nor such a folder.
    """
    if str(name) in drug_names():
        return library_folder() / "drugs" / str(name)
    path = place(name)
    if path is not None and (path / "drug.toml").is_file():
        return path.resolve()
    raise unknown_name("drug", str(name), drug_names(), "the catalog, and no folder with a drug.toml has this path")


def load_drug(name: str | Path) -> Drug:
    """Load a drug.

    Parameters
    ----------
    name : str or Path
        Name of a shipped drug, or the path of a folder with `drug.toml` and `parameters.tsv`.

    Returns
    -------
    Drug

    Raises
    ------
    UnknownNameError
        If there is no such drug; the message names the closest ones.
    DrugError
        With everything that is wrong in the folder.
    TableError
        If the table cannot be read.
    """
    folder = drug_folder(name)
    data = _read(folder / "drug.toml")
    structure = load_module(data["structure"])
    body = data.get("body", {})
    drug = Drug(
        name=folder.name,
        path=folder,
        title=data["title"],
        drug_class=data.get("drug_class", ""),
        tier=data["tier"],
        structure=structure,
        parameters=read_parameters(folder / "parameters.tsv"),
        actions=tuple(Action(**entry) for entry in data.get("actions", ())),
        joins=data.get("joins", {}),
        regimens={name: _regimen(name, entry) for name, entry in data.get("regimens", {}).items()},
        carrier=data.get("carrier", False),
        weight=float(body.get("weight", WEIGHT)),
        surface=float(body.get("surface", SURFACE)),
        note=data.get("note", ""),
    )
    problems = check_drug(drug)
    if problems:
        raise DrugError(f"{folder / 'drug.toml'}: " + "; ".join(problems))
    return drug


def check_drug(drug: Drug) -> list[str]:
    """Tell what does not fit together in a drug: constants of its structure, of its actions, of its joins."""
    return [*_wrong_constants(drug), *_wrong_actions(drug), *_wrong_joins(drug)]


def carry(drug: str | Drug, carrier: str | Drug = "nanoparticle") -> Drug:
    """Put a small molecule into a carrier.

    Parameters
    ----------
    drug : str or Drug
        With full kinetics; released, it has one compartment with its clearance and central volume, and its potency.
    carrier : str or Drug

    Returns
    -------
    Drug
        Called `<drug>_in_<carrier>`, with no regimen of its own; give it with `Regimen`, or with
        `regimen(..., route="infusion", ...)` after `dataclasses.replace`.

    Raises
    ------
    DrugError
        If the one is no carrier, or the other brings no kinetics.
    """
    drug = drug if isinstance(drug, Drug) else load_drug(drug)
    carrier = carrier if isinstance(carrier, Drug) else load_drug(carrier)
    if not carrier.carrier:
        raise DrugError(
            f"{carrier.name!r} is no carrier; give nanoparticle, or a folder whose drug.toml says carrier = true"
        )
    if drug.carrier or drug.tier != "pharmacokinetics":
        raise DrugError(f"{drug.name!r} cannot be carried: its kinetics are not modeled (tier {drug.tier!r})")
    rows = {**{row.id: row for row in carrier.parameters}, **_released(drug, carrier)}
    return replace(
        drug,
        name=f"{drug.name}_in_{carrier.name}",
        path=carrier.path,
        title=f"{drug.title} in {carrier.title[:1].lower()}{carrier.title[1:]}",
        structure=carrier.structure,
        parameters=tuple(rows.values()),
        joins=carrier.joins,
        regimens=dict(carrier.regimens),
    )


def _released(drug: Drug, carrier: Drug) -> dict[str, Parameter]:
    """Return the constants of the released drug: those of the new structure that it has, its mass and potencies."""
    needed = set(_constants(carrier.structure)) - set(carrier.table)
    missing = sorted(needed - set(drug.table))
    if missing:
        raise DrugError(f"{drug.name!r} cannot be carried: its table has no {', '.join(missing)}")
    own = set(drug.table) - set(_constants(drug.structure))
    return {name: drug.table[name] for name in (*sorted(needed), *sorted(own))}


def _constants(structure: Module) -> tuple[str, ...]:
    """Return the constants of a structure that are no ports."""
    ports = {port.id for port in structure.ports}
    return tuple(row.id for row in structure.parameters if row.id not in ports)


def _read(path: Path) -> dict[str, Any]:
    data = read_toml(path, DrugError)
    problems = [f"unknown entry {entry!r}; known: {', '.join(_ENTRIES)}" for entry in data if entry not in _ENTRIES]
    problems += [
        f"{entry!r} must be a {kind.__name__}, found {data[entry]!r}"
        for entry, kind in _ENTRIES.items()
        if entry in data and not isinstance(data[entry], kind)
    ]
    problems += [f"{entry!r} is missing" for entry in ("title", "tier", "structure") if entry not in data]
    if not problems:
        problems = [*_wrong_entries(data), *_wrong_tables(data)]
    if problems:
        raise DrugError(f"{path}: " + "; ".join(problems))
    return data


def _wrong_entries(data: Mapping[str, Any]) -> list[str]:
    found = [] if data["tier"] in TIERS else [f"tier is {data['tier']!r}; write {' or '.join(TIERS)}"]
    for name, value in data.get("body", {}).items():
        if name not in ("weight", "surface") or not (is_number(value) and value > 0):
            found.append(f"body.{name} is {value!r}; write weight in kg and surface in m2, above 0")
    for name, value in data.get("joins", {}).items():
        if not isinstance(value, str):
            found.append(f"joins.{name} is {value!r}; write module.variable")
    return found


def _wrong_tables(data: Mapping[str, Any]) -> list[str]:
    found = []
    for number, action in enumerate(data.get("actions", ()), 1):
        if not isinstance(action, dict) or "target" not in action:
            found.append(f"action {number} names no target")
            continue
        found += [
            f"action {number}: unknown entry {key!r}; known: {', '.join(_ACTION)}"
            for key in action
            if key not in _ACTION
        ]
        found += [
            f"action {number}: {key} is {value!r}; write text"
            for key, value in action.items()
            if not isinstance(value, str)
        ]
    for name, entry in data.get("regimens", {}).items():
        if not isinstance(entry, dict):
            found.append(f"regimen {name!r} is no table; write [regimens.{name}]")
            continue
        for key, value in entry.items():
            if key not in _REGIMEN:
                found.append(f"regimen {name!r}: unknown entry {key!r}; known: {', '.join(_REGIMEN)}")
            elif not isinstance(value, _REGIMEN[key]) or isinstance(value, bool):
                found.append(f"regimen {name!r}: {key} is {value!r}, of the wrong kind")
        if entry.get("status", STATUS[0]) not in STATUS:
            found.append(f"regimen {name!r}: status is {entry['status']!r}; write one of {', '.join(STATUS)}")
    return found


def _regimen(name: str, entry: Mapping[str, Any]) -> Written:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return Written(name=name, entries=MappingProxyType(fields))


def _wrong_constants(drug: Drug) -> list[str]:
    if drug.carrier:
        known = set(_constants(drug.structure))
        return [
            f"parameters.tsv has {name!r}, which {drug.structure.name} has not"
            for name in drug.table
            if name not in known
        ]
    needed = set(_constants(drug.structure)) | ({"m_molar"} if drug.tier == "pharmacokinetics" else set())
    used = {getattr(action, name) for action in drug.actions for name in ("affinity", "ec50", "maximum", "hill")}
    found = [f"parameters.tsv has no {name!r}" for name in sorted(needed - set(drug.table))]
    found += [
        f"parameters.tsv has {name!r}, which nothing uses"
        for name in drug.table
        if name not in needed | used | {"m_molar"}
    ]
    found += [
        f"{row.id!r} is in {row.unit}, its structure needs {unit}"
        for row in drug.parameters
        if (unit := _unit(drug.structure, row.id)) not in ("", row.unit)
    ]
    mass = drug.table.get("m_molar")
    if mass is not None and not (dimension(mass.unit) == dimension(DALTON) and mass.nominal > 0):
        found.append(
            f"m_molar is {mass.nominal:g} {mass.unit}; give it above 0 in {DALTON} (or g_per_mmole, kilodalton)"
        )
    return found


def _unit(structure: Module, name: str) -> str:
    return next((row.unit for row in structure.parameters if row.id == name), "")


def _wrong_actions(drug: Drug) -> list[str]:
    found = [] if drug.actions or drug.carrier else ["it has no [[actions]]; a drug acts on something"]
    count = Counter(action.target for action in drug.actions)
    found += [f"the target {target!r} stands in {n} actions; join them" for target, n in count.items() if n > 1]
    for action in drug.actions:
        where = f"action on {action.target!r}"
        by_affinity = bool(action.affinity)
        if by_affinity != bool(action.port_affinity) or (by_affinity and (not action.port or action.ec50)):
            found.append(f"{where}: affinity, port_affinity and port go together, without ec50")
        if not by_affinity and not (action.ec50 and action.maximum and action.hill):
            found.append(f"{where}: write ec50, maximum and hill, or affinity with a port")
        for name in ("affinity", "ec50", "maximum", "hill"):
            constant = getattr(action, name)
            if constant and constant not in drug.table:
                found.append(f"{where}: {name} {constant!r} is not in parameters.tsv")
        if any(port.count(".") != 1 for port in action.ports) or (by_affinity and len(action.ports) != 1):
            found.append(
                f"{where}: port is {action.port!r}; write module.port, or without affinity several, joined by ;"
            )
        if action.concentration not in CONCENTRATIONS:
            found.append(
                f"{where}: concentration is {action.concentration!r}; write one of {', '.join(CONCENTRATIONS)}"
            )
    return found


def _wrong_joins(drug: Drug) -> list[str]:
    inputs = {port.id for port in drug.structure.ports if port.direction == "in"}
    return [f"joins: {name!r} is no input of {drug.structure.name}" for name in drug.joins if name not in inputs]
