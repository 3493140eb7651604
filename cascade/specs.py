"""The nouns: frozen, keyword-only, self-checking."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from cascade._tables import is_number
from cascade.errors import TableError, ValueSettingError, unknown_name

Evidence = Literal["measured", "fitted", "inferred", "assumed"]
Direction = Literal["in", "out"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One constant of a model, with its unit, its uncertainty and where it comes from.

    The fields are the columns of `parameters.tsv`; see the README, "The module format".
    """

    id: str
    name: str
    nominal: float
    unit: str
    lower: float | None = None
    upper: float | None = None
    estimate: bool = False
    prior: str = ""
    prior_parameters: tuple[float, ...] = ()
    evidence: str = "assumed"
    system: str = ""
    source: tuple[str, ...] = ()
    where: str = ""
    conversion: str = ""
    gene: str = ""
    target: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.nominal):
            raise TableError(f"parameter {self.id!r}: nominal value {self.nominal} is not a finite number")
        low = -math.inf if self.lower is None else self.lower
        high = math.inf if self.upper is None else self.upper
        if not low <= self.nominal <= high:
            raise TableError(
                f"parameter {self.id!r}: nominal value {self.nominal:g} lies outside its bounds [{low:g}, {high:g}]"
            )


@dataclass(frozen=True, kw_only=True)
class Port:
    """A symbol through which a module speaks with others: it reads an `in` and writes an `out`."""

    id: str
    direction: Direction
    unit: str
    name: str = ""
    is_species: bool = False


@dataclass(frozen=True, kw_only=True)
class Module:
    """A cited SBML module: its document, its ports and its table of numbers.

    `options` are the options of a structure template that differ from their defaults.
    """

    name: str
    path: Path
    sbml: str = field(repr=False)
    ports: tuple[Port, ...] = field(repr=False)
    parameters: tuple[Parameter, ...] = field(repr=False)
    options: Mapping[str, int] = field(default_factory=dict)

    def port(self, name: str) -> Port:
        """Return the port called `name`."""
        for port in self.ports:
            if port.id == name:
                return port
        raise unknown_name("port", name, (port.id for port in self.ports), f"module {self.name!r}")

    def _repr_html_(self) -> str:
        from cascade._html import module_html

        return module_html(self)


@dataclass(frozen=True, kw_only=True)
class Join:
    """One written connection: the reader `instance.port` takes the value of `formula`."""

    reader: str
    formula: str


@dataclass(frozen=True, kw_only=True)
class Composition:
    """Which modules, which instances, how joined, with which values of their own.

    `parameters` are the composition's own constants (used in join formulas); `overrides` replace the values of
    single instances and are keyed `instance.parameter`. The instances of a `shared` group have one common value of
    every other constant, since it is one fact of biology and not one per place: `group__parameter`; `group_values`
    replace it and are keyed `group.parameter`. `index` are the index sets that were written out, `quasi_steady` the
    species by module whose balance is at rest, `start` the start values of states by module, `bases` the compositions
    that this one extends, `years` the simulated time of its analyses unless told otherwise.
    """

    name: str
    path: Path
    title: str = ""
    instances: Mapping[str, Module] = field(repr=False)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    joins: tuple[Join, ...] = field(default=(), repr=False)
    parameters: tuple[Parameter, ...] = field(default=(), repr=False)
    overrides: Mapping[str, Parameter] = field(default_factory=dict, repr=False)
    group_values: Mapping[str, Parameter] = field(default_factory=dict, repr=False)
    index: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    quasi_steady: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    start: Mapping[str, Mapping[str, float]] = field(default_factory=dict, repr=False)
    bases: tuple[str, ...] = ()
    years: float | None = None

    def _repr_html_(self) -> str:
        from cascade._html import composition_html

        return composition_html(self)


@dataclass(frozen=True, kw_only=True)
class Wire:
    """One resolved coupling of a model: `writers` drive `reader` through `formula`."""

    reader: str
    writers: tuple[str, ...]
    formula: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """A change of one target's effect by a factor inside a window of time (see `cascade.inhibit`)."""

    target: str
    factor: float
    start: float = 0.0
    stop: float | None = None
    origin: str | None = None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model that runs: flat SBML, the hierarchical document that it came from, and one map of names.

    Attributes
    ----------
    flat : str
        SBML L3V2 core; ids are `instance__local`, or the local ids for a single module.
    hierarchical : str or None
        SBML L3V2 with the comp package; None for a single module and for a treated model.
    parameters : tuple of Parameter
        Every constant under its flat id, with the value that the document holds.
    ids : mapping of str to str
        Any name of a symbol (`emt.c_psmad`, `emt__c_psmad`) to its flat id; a joined input maps to its writer.
    bases : tuple of str
        Names of the compositions that this one extends.
    years : float or None
        How long analyses simulate it unless told otherwise; without, `cascade.evaluate.USUAL_YEARS`.
    interventions : tuple
        What it is treated with: `Intervention` and `cascade.Regimen`, in the order of `treat`.
    """

    name: str
    flat: str = field(repr=False)
    hierarchical: str | None = field(default=None, repr=False)
    parameters: tuple[Parameter, ...] = field(repr=False)
    ids: Mapping[str, str] = field(repr=False)
    wiring: tuple[Wire, ...] = field(default=(), repr=False)
    instances: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bases: tuple[str, ...] = ()
    years: float | None = None
    interventions: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        for name in ("ids", "instances", "groups"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the flat SBML text."""
        return sha256(self.flat.encode()).hexdigest()

    @cached_property
    def table(self) -> Mapping[str, Parameter]:
        """The parameters by flat id."""
        return {parameter.id: parameter for parameter in self.parameters}

    def id(self, name: str) -> str:
        """Return the flat id of any name of a symbol of this model.

        Raises
        ------
        UnknownNameError
            If the model has no such symbol; the message names the closest ones.
        """
        try:
            return self.ids[name]
        except KeyError:
            raise unknown_name("symbol", name, self.ids, f"model {self.name!r}") from None

    def parameter(self, name: str) -> Parameter:
        """Return the table row of a constant."""
        flat = self.id(name)
        if flat not in self.table:
            raise unknown_name("constant parameter", name, self.table, f"model {self.name!r}")
        return self.table[flat]

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return _restore_model, ({k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in state.items()},)

    def _repr_html_(self) -> str:
        from cascade._html import model_html

        return model_html(self)


def require_model(model: object, verb: str) -> None:
    """Refuse what is no model, before a verb looks into it.

    Raises
    ------
    ValueSettingError
    """
    if not isinstance(model, Model):
        raise ValueSettingError(f"{verb}() was given {str(model)[:80]!r}; give a Model, made by compose()")


def _restore_model(state: dict[str, object]) -> Model:
    return Model(**state)  # type: ignore[arg-type]


LOOSEST = 0.1
"""Largest relative tolerance."""

MOST_STEPS = 100_000_000
"""Largest number of steps between two rows; CVODE counts in 32 bits, and a retry takes ten times as many."""


@dataclass(frozen=True, kw_only=True)
class Solver:
    """Settings of the CVODE integrator.

    Parameters
    ----------
    relative_tolerance : float
        Relative tolerance of every state.
    absolute_tolerance : float
        Absolute tolerance of a cell, cluster or molecule count; lesions, concentrations and dimensionless states get a
        thousandth of it (one vector entry each).
    maximum_steps : int
        Internal steps allowed between two output rows.
    time_limit : float
        Wall-clock limit of one run in seconds; enforced by stopping the worker process.
    """

    relative_tolerance: float = 1e-6
    absolute_tolerance: float = 1e-9
    maximum_steps: int = 20_000
    time_limit: float = 60.0

    def __post_init__(self) -> None:
        for name in ("relative_tolerance", "absolute_tolerance", "maximum_steps", "time_limit"):
            value = getattr(self, name)
            if not (is_number(value) and value > 0):
                raise ValueSettingError(f"solver setting {name} is {value!r}; give a finite number above 0")
        if self.relative_tolerance > LOOSEST:
            raise ValueSettingError(
                f"solver setting relative_tolerance is {self.relative_tolerance:g}; with more than {LOOSEST:g} nothing"
                " that comes out is a solution"
            )
        if self.maximum_steps != int(self.maximum_steps) or self.maximum_steps > MOST_STEPS:
            raise ValueSettingError(
                f"solver setting maximum_steps is {self.maximum_steps!r}; give a whole number up to {MOST_STEPS}"
            )


@dataclass(frozen=True, kw_only=True)
class Issue:
    """One finding of a check."""

    severity: Literal["error", "warning"]
    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}" + (f" -> {self.fix}" if self.fix else "")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a check found.

    Attributes
    ----------
    issues : tuple of Issue
        Errors and warnings, worst first.
    grades : dict of str to float
        Shares between 0 and 1, by what they measure.
    counts : dict of str to int
        Sizes: species, reactions, parameters, ...
    """

    name: str
    issues: tuple[Issue, ...]
    grades: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if nothing is an error."""
        return not any(issue.severity == "error" for issue in self.issues)

    def _repr_html_(self) -> str:
        from cascade._html import report_html

        return report_html(self)
