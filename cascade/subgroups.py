"""Subgroups of a cohort: who is in them, by genotype, by a cut of a measure, or by anything that is true or false."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_CUT = re.compile(r"^\s*(.+?)\s*(<=|>=|<|>)\s*(\S+)\s*$")
_COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def subgroups_of(cohort: xr.Dataset, wanted: Sequence[str] | Mapping[str, Any]) -> xr.DataArray:
    """Tell who is in which subgroup.

    Parameters
    ----------
    cohort : xarray.Dataset
        Over `patient`; see `cascade.sample_cohort` and `cascade.read_patients`.
    wanted : sequence of str, or mapping of str to str or array
        Each a genotype of the cohort ("KRAS G12"), a measure or value that is true or false, or a cut of one
        ("diameter_mm > 20", "age_years <= median"). In a mapping of names also true or false for every patient: an
        array in the order of the cohort, or a DataArray or pandas.Series by id; NaN is not known.

    Returns
    -------
    xarray.DataArray
        Over `patient` and `subgroup`: 1 in it, 0 not, NaN not known (such a patient is on neither side).

    Raises
    ------
    UnknownNameError
        If the cohort has no such genotype, measure or value.
    AnalysisError
        If a cut cannot be read, or an array has not one entry for each patient.

    Examples
    --------
    >>> subgroups_of(cohort, ["TP53 loss", "diameter_mm > 20"])
    >>> subgroups_of(cohort, {"large and mutated": (cohort["diameter_mm"] > 20) & mutated})
    """
    import xarray as xr

    ids = patients_of(cohort)
    if isinstance(wanted, str) or not isinstance(wanted, (Mapping, Sequence)):
        raise AnalysisError(f"subgroups is {wanted!r}; give a list of genotypes and cuts, or a mapping of names")
    named = wanted if isinstance(wanted, Mapping) else {name: name for name in wanted}
    if not named:
        raise AnalysisError("subgroups is empty; name at least one, or leave it out")
    columns = [
        _by_text(cohort, rule) if isinstance(rule, str) else _by_array(name, rule, ids) for name, rule in named.items()
    ]
    coords = {"patient": ids, "subgroup": [str(name) for name in named]}
    return xr.DataArray(np.stack(columns, axis=1), coords, ("patient", "subgroup"), name="member")


def _by_text(cohort: xr.Dataset, rule: str) -> NDArray[np.float64]:
    genotypes = [str(name) for name in cohort["genotype"].values] if "genotype" in cohort.coords else []
    if rule in genotypes:
        return _genotype(cohort, genotypes.index(rule))
    known = [str(name) for name, each in cohort.data_vars.items() if each.dims == ("patient",)]
    match = _CUT.match(rule)
    if match is None:
        if rule not in known:
            raise unknown_name(
                "subgroup", rule, [*genotypes, *known], "the genotypes, measures and values of the cohort"
            )
        return _truth(rule, _numbers(cohort, rule))
    name, sign, limit = match.groups()
    if name not in known:
        raise unknown_name("measure", name, known, f"the cohort (subgroup {rule!r})")
    numbers = _numbers(cohort, name)
    level = _level(rule, limit, numbers)
    return np.where(np.isfinite(numbers), _COMPARE[sign](numbers, level), np.nan)


def _genotype(cohort: xr.Dataset, place: int) -> NDArray[np.float64]:
    for each in cohort.data_vars.values():
        if set(each.dims) == {"patient", "genotype"}:
            return np.asarray(each.transpose("patient", "genotype").values[:, place], dtype=float)
    raise AnalysisError("the cohort has the coordinate `genotype`, but no variable over `patient` and `genotype`")


def _numbers(cohort: xr.Dataset, name: str) -> NDArray[np.float64]:
    values = cohort[name].values
    if values.dtype.kind not in "fiub":
        raise AnalysisError(f"{name!r} of the cohort holds no numbers; a subgroup needs numbers, or true and false")
    return np.asarray(values, dtype=float)


def _level(rule: str, limit: str, numbers: NDArray[np.float64]) -> float:
    if limit == "median":
        if not np.isfinite(numbers).any():
            raise AnalysisError(f"subgroup {rule!r}: nobody has a value, so that there is no median")
        return float(np.nanmedian(numbers))
    try:
        level = float(limit)
    except ValueError:
        level = np.nan
    if not np.isfinite(level):
        raise AnalysisError(f"subgroup {rule!r}: {limit!r} is no finite number; write a cut as 'diameter_mm > 20'")
    return level


def _truth(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    other = np.isfinite(values) & (values != 0) & (values != 1)
    if other.any():
        raise AnalysisError(
            f"subgroup {name!r} has the value {values[other][0]:g}, neither true nor false; write a cut: '{name} > 20'"
        )
    return np.where(np.isfinite(values), values, np.nan)


def _by_array(name: str, rule: Any, ids: Sequence[str]) -> NDArray[np.float64]:
    """Read an array in the order of the patients, or something labeled in any order."""
    if hasattr(rule, "to_series"):
        rule = rule.to_series()
    if hasattr(rule, "index") and hasattr(rule, "reindex"):
        labels = [str(label) for label in rule.index]
        found = dict(zip(labels, rule.to_numpy(), strict=True))
        if missing := [each for each in ids if each not in found]:
            raise AnalysisError(f"subgroup {name!r} does not say whether patient {missing[0]!r} belongs to it")
        rule = [found[each] for each in ids]
    try:
        values = np.array([np.nan if each is None else float(each) for each in rule])
    except (TypeError, ValueError):
        raise AnalysisError(f"subgroup {name!r} is {str(rule)[:60]!r}; give true or false for every patient") from None
    if values.shape != (len(ids),):
        raise AnalysisError(f"subgroup {name!r} has {values.size} entries for {len(ids)} patients")
    return _truth(name, values)


def genotypes_of(patient: xr.Dataset) -> list[str]:
    """Return the genotypes that the first patient of a cohort has."""
    if "genotype" not in patient.coords:
        return []
    names = [str(name) for name in patient["genotype"].values]
    return [name for place, name in enumerate(names) if _genotype(patient, place)[0] == 1]
