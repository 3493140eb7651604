"""What differs between the patients of a cohort, and how the numbers of patient k are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import numbered
from cascade.cohort._dependence import copula, excluding_groups
from cascade.cohort.distributions import Distribution
from cascade.errors import AnalysisError
from cascade.patients.genotypes import Plan, combine, plan_genotypes
from cascade.sensitivity.priors import from_quantile, uncertain
from cascade.specs import Model, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Curve = Callable[[Numbers], Numbers]

POTENTIAL = "f_metastatic_potential"
DIAMETER = "diameter_mm"
GENOTYPE = "has_genotype"

_SURGERY = "primary_tumor__n_surgery"
_ONE_ML = 1.0


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What differs: quantile functions of constants and measures, and genotypes in groups that exclude each other."""

    model: Model
    constants: Mapping[str, Curve]
    measures: Mapping[str, tuple[Curve, str]]
    groups: Sequence[tuple[str, ...]]
    shares: Mapping[str, float]
    involved: Sequence[str]
    cholesky: Numbers
    plan: Plan | None
    unexpressed: Mapping[str, tuple[str, ...]]
    sigma: float
    factors: Mapping[str, float]

    @property
    def genotypes(self) -> list[str]:
        """Ids of the genotypes, in the order of the table."""
        return [] if self.plan is None else [name for name in self.plan.table if name in self.shares]


def traits_of(
    model: Model,
    *,
    parameters: Iterable[str] | None,
    distributions: Mapping[str, Distribution],
    diameter: Distribution | None,
    potential: tuple[float, float],
    correlations: Mapping[tuple[str, str], float],
    genotypes: Mapping[str, float],
    measures: Mapping[str, Distribution],
    all_correlations: bool = True,
    scales: Mapping[str, float] = MappingProxyType({}),
) -> Traits:
    """Check everything that `sample_cohort` was asked for before anything is drawn.

    `all_correlations`: a correlation of what does not differ is an error, and not left out. `scales` multiply what the
    priors of constants give.
    """
    factors = {model.parameter(name).id: factor for name, factor in scales.items()} if genotypes else {}
    constants: dict[str, Curve] = {
        row.id: partial(_scaled, row, factors.get(row.id, 1.0)) for row in _chosen(model, parameters)
    }
    if POTENTIAL in model.table:
        constants.pop(POTENTIAL, None)
        constants |= _of_potential(*potential)
    for name, distribution in distributions.items():
        row = model.parameter(name)
        constants[row.id] = _checked(name, distribution, row.unit).quantile
    kept = {name: (_checked(name, each).quantile, each.unit) for name, each in measures.items()}
    if diameter is not None:
        constants.pop(_SURGERY, None)
        kept[DIAMETER] = (_checked(DIAMETER, diameter, "mm").quantile, "mm")
        model.parameter(_SURGERY)
    plan = plan_genotypes(model) if genotypes else None
    groups = excluding_groups(plan, genotypes) if plan else []
    single = [group[0] for group in groups if len(group) == 1]
    columns = sorted([*constants, *kept, *single])
    double = {name for name in columns if columns.count(name) > 1}
    if double:
        raise AnalysisError(f"{', '.join(sorted(double))} is a measure and a constant or genotype at once; rename it")
    if not all_correlations:
        known = {*columns, *(name for group in groups for name in group)}
        correlations = {
            pair: value for pair, value in correlations.items() if {model.ids.get(n, n) for n in pair} <= known
        }
    involved, cholesky = copula(model, columns, correlations, genotypes, single)
    missing = combine_missing(plan, genotypes)
    return Traits(
        model=model, constants=constants, measures=kept, groups=groups, shares=genotypes, involved=involved,
        cholesky=cholesky, plan=plan, unexpressed=missing, sigma=potential[1] if POTENTIAL in model.table else 0.0,
        factors=factors,
    )  # fmt: skip


def combine_missing(plan: Plan | None, genotypes: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what a model cannot express of genotypes."""
    return {} if plan is None else {name: plan.missing[name] for name in genotypes if plan.missing[name]}


def _scaled(row: Parameter, factor: float, at: Numbers) -> Numbers:
    return factor * from_quantile(row, at)


def _checked(name: str, distribution: Distribution, unit: str = "") -> Distribution:
    """Return a distribution; one that is said to be in another unit than its number is refused, not converted."""
    if not isinstance(distribution, Distribution):
        raise AnalysisError(
            f"the distribution of {name!r} is {distribution!r}; give a cascade.cohort.distributions.Distribution"
        )
    if unit and distribution.unit not in (unit, "dimensionless"):
        raise AnalysisError(
            f"the distribution of {name!r} is in {distribution.unit}, and the number in {unit}; give it in {unit}"
        )
    return distribution


def _of_potential(median: float, sigma: float) -> dict[str, Curve]:
    if sigma > 0:
        return {POTENTIAL: Distribution(shape="log-normal", center=median, spread=sigma).quantile}
    return {} if median == 1.0 else {POTENTIAL: lambda at: np.full(len(at), median)}


def _chosen(model: Model, parameters: Iterable[str] | None) -> tuple[Parameter, ...]:
    """Return the uncertain constants that names and patterns mean."""
    rows = uncertain(model)
    if parameters is None:
        return rows
    if isinstance(parameters, str):
        raise AnalysisError(f"parameters is the text {parameters!r}; give a list of names, [{parameters!r}]")
    wanted: set[str] = set()
    for name in parameters:
        pattern = str(name).replace(".", "__")
        found = (
            {row.id for row in rows if fnmatchcase(row.id, pattern)} if "*" in pattern else {model.parameter(name).id}
        )
        fixed = [flat for flat in found if not model.table[flat].estimate]
        if fixed or not found:
            what = (
                f"is no uncertain constant of model {model.name!r} (estimate is false)" if fixed else "fits no constant"
            )
            raise AnalysisError(
                f"{name!r} {what}; say how it differs with distributions={{{name!r}: Distribution(...)}}"
            )
        wanted |= found
    return tuple(row for row in rows if row.id in wanted)


def draw(traits: Traits, seed: int, first: int, count: int) -> xr.Dataset:
    """Return the patients `first` to `first + count - 1` of a seed."""
    import xarray as xr

    at = _quantiles(traits, seed, first, count)
    measures = {name: curve(at[name]) for name, (curve, _) in traits.measures.items()}
    values = {name: curve(at[name]) for name, curve in traits.constants.items()}
    if DIAMETER in measures:
        values[_SURGERY] = _cells(traits.model, measures[DIAMETER])
    states = _states(traits, at, count)
    values |= _mutant(traits, values, states)
    data: dict[str, Any] = {}
    for name in (
        [flat for flat in traits.plan.symbols if flat in values] if traits.plan else _ordered(traits.model, values)
    ):
        row = traits.model.table.get(name)
        about = {"units": row.unit, "long_name": row.name} if row else {"units": ""}
        data[name] = ("patient", values[name], about | {"role": "value"})
    for name, value in measures.items():
        data[name] = ("patient", value, {"units": traits.measures[name][1], "role": "measure"})
    data |= _derived(traits, values, count)
    coords: dict[str, Any] = {"patient": [f"s{seed}n{number:05d}" for number in range(first, first + count)]}
    if traits.genotypes:
        data[GENOTYPE] = (("patient", "genotype"), states, {"role": "genotype", "long_name": "the tumor has it"})
        coords["genotype"] = traits.genotypes
    return xr.Dataset(data, coords=coords)


def _ordered(model: Model, values: Mapping[str, Any]) -> list[str]:
    return [flat for flat in model.table if flat in values]


def _quantiles(traits: Traits, seed: int, first: int, count: int) -> dict[str, Numbers]:
    names = [*traits.constants, *traits.measures, *("|".join(group) for group in traits.groups)]
    found = {name: numbered(seed, name, first, count) for name in names}
    if traits.involved:
        from scipy.special import ndtr, ndtri

        scores = [ndtri(found[name]) for name in traits.involved]
        for row, name in enumerate(traits.involved):
            # term by term: a matrix product may round differently in a cohort of another size
            total = np.zeros(count)
            for column in range(row + 1):
                total = total + traits.cholesky[row, column] * scores[column]
            found[name] = np.clip(ndtr(total), 2.0**-54, 1 - 2.0**-53)
    return found


def _cells(model: Model, diameter: Numbers) -> Numbers:
    """Return the cells of a primary of a diameter (mm)."""
    one_ml, density = (model.parameter(f"primary_tumor.{name}").nominal for name in ("diameter_one_ml", "rho_cells"))
    return np.asarray(density * (diameter / one_ml) ** 3)


def _states(traits: Traits, at: Mapping[str, Numbers], count: int) -> NDArray[np.bool_]:
    """Return who has which genotype; a group of exclusive ones divides the top of its one random number."""
    names = traits.genotypes
    states = np.zeros((count, len(names)), dtype=bool)
    for group in traits.groups:
        luck, top = at["|".join(group)], 1.0
        for name in group:
            states[:, names.index(name)] = (luck <= top) & (luck > top - traits.shares[name])
            top -= traits.shares[name]
    return states


def _mutant(traits: Traits, values: Mapping[str, Numbers], states: NDArray[np.bool_]) -> dict[str, Numbers]:
    """Return the constants that genotypes change, for all patients."""
    plan = traits.plan
    if plan is None:
        return {}
    count = len(states)
    flats = {flat for name in traits.genotypes for flat, _ in plan.actions[name]}
    found = {flat: np.array(values[flat]) if flat in values else np.full(count, plan.nominal(flat)) for flat in flats}
    names = np.array(traits.genotypes)
    for patient in np.flatnonzero(states.any(axis=1)):
        held = [str(name) for name in names[states[patient]]]
        fixed = {flat for name in held for flat, setting in plan.actions[name] if setting.operator == "="}
        own = {flat: float(found[flat][patient]) for flat in flats if flat in values and flat not in fixed}
        for flat, value in combine(plan, held, own)[0].items():
            found[flat][patient] = value
    return found


def _derived(traits: Traits, values: Mapping[str, Numbers], count: int) -> dict[str, Any]:
    """Return the doubling time of the primary at 1 ml, without what immunity and oxygen take from its growth.

    Where priors are scaled for what genotypes add to growth, they add that in the mean.
    """
    model = traits.model
    names = [f"primary_tumor__{name}" for name in ("k_growth_rate", "cap_tumor", "rho_cells")]
    if not all(name in model.table for name in names):
        return {}
    rate, capacity, density = (values.get(name, np.full(count, model.table[name].nominal)) for name in names)
    rate = rate / traits.factors.get(names[0], 1.0)
    days = math.log(2) / (rate * np.log(capacity / (density * _ONE_ML)))
    about = {"units": "day", "long_name": "doubling time of the primary at 1 ml, Gompertz law", "role": "derived"}
    return {"doubling_days": ("patient", np.asarray(days), about)}
