"""Which organs a Dataset knows, whatever they are called, and what belongs to each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr

_LESIONS = "_lesions"
_NO_ORGAN = ("endpoints", "primary_tumor")


def organs_of(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Sort the instances that hold lesions by organ.

    Parameters
    ----------
    names : iterable of str
        Instances: `bone_lesions`, `bone_metastases_lesions`, ... or just `bone`, ...

    Returns
    -------
    dict of str to tuple of str
        Organ to instances, the one that the primary seeds first. Lesions of another origin carry it in their name
        (`{organ}_{origin}_lesions`) and several organs have them; so `lymph` and `lymph_node` stay two organs.
    """
    names = list(dict.fromkeys(names))
    plain = {name.removesuffix(_LESIONS): name for name in names}
    roots = [name for name in plain if not any(name.startswith(f"{other}_") for other in plain)]
    rests = {name.removeprefix(f"{root}_") for root in roots for name in plain if name.startswith(f"{root}_")}
    enough = min(2, len(roots)) if all(name.endswith(_LESIONS) for name in names) else 2
    origins = {rest for rest in rests if sum(f"{root}_{rest}" in plain for root in roots) >= enough}
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(plain, key=len):
        owner = next((name.removesuffix(f"_{o}") for o in sorted(origins) if name.endswith(f"_{o}")), name)
        owner = owner if owner in found else name
        found[owner] = (*found.get(owner, ()), plain[name])
    return {name: found[name] for name in plain if name in found}


def by_organ(dataset: xr.Dataset, variable: str, *, primary_only: bool = False) -> xr.DataArray:
    """Return a variable of the lesions over the dimension `organ`, summed over the origins of the lesions.

    Parameters
    ----------
    dataset : xarray.Dataset
    variable : str
        Local id: `h_cumulative`, `n_overt`, `n_burden`, ...
    primary_only : bool
        Leave out the lesions that metastases seeded.
    """
    import xarray as xr

    found = _instances(dataset, variable)
    parts = []
    for instances in found.values():
        chosen = [dataset[f"{name}__{variable}"] for name in instances[: 1 if primary_only else None]]
        parts.append(sum(chosen[1:], start=chosen[0]))
    organ = xr.DataArray(list(found), dims="organ", name="organ")
    return xr.concat(parts, dim=organ, coords="minimal", compat="override").transpose("organ", ...)


def _instances(dataset: xr.Dataset, variable: str) -> Mapping[str, tuple[str, ...]]:
    ends = f"__{variable}"
    names = [str(name).removesuffix(ends) for name in dataset.data_vars if str(name).endswith(ends)]
    found = organs_of(name for name in names if name not in _NO_ORGAN)
    if not found:
        raise AnalysisError(
            f"the dataset holds {variable!r} of no organ; record {ends!r} of the lesions (or leave `record` out)"
        )
    return found


def distant_hazards(dataset: xr.Dataset) -> xr.DataArray:
    """Return the cumulative hazards of the distant organs, seeded by the primary, over `organ`.

    The distant organs are those whose hazards add up to `endpoints.h_cumulative` (regional lymph nodes do not count);
    all organs if the dataset does not hold the sum.
    """
    from itertools import combinations

    import numpy as np

    hazards = by_organ(dataset, "h_cumulative", primary_only=True)
    if "endpoints__h_cumulative" not in dataset:
        return hazards
    order = [str(name) for name in hazards["organ"].values]
    total = float(np.nansum(dataset["endpoints__h_cumulative"].values))
    sums = [float(np.nansum(hazards.sel(organ=name).values)) for name in order]
    for left_out in range(len(order)):
        for away in combinations(range(len(order)), left_out):
            if np.isclose(sum(s for i, s in enumerate(sums) if i not in away), total, rtol=1e-9, atol=1e-300):
                return hazards.isel(organ=[i for i in range(len(order)) if i not in away])
    raise AnalysisError(
        "the cumulative hazards of the organs do not add up to endpoints.h_cumulative; record h_cumulative of every"
        " organ's lesions"
    )
