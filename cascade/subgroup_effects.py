"""Who benefits: effects of every target by subgroup, differences tested against noise, and numbers needed to treat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import require_whole
from cascade.effects import change
from cascade.errors import AnalysisError, unknown_name
from cascade.permutation import FEWEST, holm, permutation_test
from cascade.readouts import find_readout
from cascade.sensitivity.priors import stream
from cascade.sensitivity.ranks import bootstrap_means, summarize_ranks, weighted_mean
from cascade.subgroups import subgroups_of

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

ALL = "all"
"""The subgroup of everybody."""

LEVEL = 0.05
"""A subgroup is called different if the corrected chance is below this."""

_SIDES = ("in", "out")
_LABELS = {
    "patients": "patients on this side of the subgroup",
    "people_share": "share of the people (by weight) on this side, of those of whom it is known",
    "not_known": "patients of whom it is not known whether they belong to the subgroup",
    "effect": "mean effect over the patients of this side",
    "log_hazard_ratio": "mean log hazard ratio over the patients of this side",
    "effect_rank": "rank of the mean effect on this side (1 helps most; ties share the average)",
    "effect_p_first": "share of the bootstrap resamples in which the target is the best on this side",
    "effect_difference": "mean effect in the subgroup less that outside",
    "log_hazard_ratio_difference": "mean log hazard ratio in the subgroup less that outside",
    "effect_p": "chance of such a difference if the subgroup meant nothing (permutation test)",
    "effect_p_holm": "the same, corrected for all tests made (Holm)",
    "different": f"the corrected chance of either difference is below {LEVEL}",
    "different_effect": f"that of the effect is below {LEVEL}, and not only that of the log hazard ratio",
    "risk": "mean risk of overt distant metastasis without treatment",
    "risk_reduction": "mean absolute reduction of that risk by the treatment",
    "nnt": "number needed to treat so that one metastasis less is overt; negative: to harm",
}


def subgroup_effects(
    ranking: xr.Dataset,
    subgroups: xr.DataArray | Mapping[str, Any],
    *,
    window: str | None = None,
    permutations: int | None = None,
) -> xr.Dataset:
    """Tell the effect of every target by subgroup, whether subgroups differ, and how many must be treated for one.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets(patients=cohort)`.
    subgroups : xarray.DataArray, or mapping of str to array
        What `cascade.subgroups_of` returns of the cohort, or names with true or false by patient of the ranking (an
        array without the nominal patient, or a DataArray or Series by id).
    window : str, optional
        By default the one by which the ranking is sorted.
    permutations : int, optional
        Shuffles behind each test; by default as many as Holm's correction of all tests needs, at least 2,000.

    Returns
    -------
    xarray.Dataset
        Over `subgroup` (the first is "all"), `side` ("in" and "out"), `target` and `horizon` (years after surgery):
        mean `effect` and `log_hazard_ratio` with bootstrap limits, `effect_rank`; their `_difference`, in less out,
        with limits, `_p` and `_p_holm`; `different` (either) and `different_effect`; `risk`, `risk_reduction` and `nnt`
        with limits. NaN on a side of fewer than 2 patients; nothing is tested below 5 on each side. `nnt` is infinite
        where nothing changes beyond the noise of the solver and negative where the treatment harms (number needed to
        harm); `nnt_upper` is infinite if the limits of the risk reduction hold 0.

    Notes
    -----
    Differences are tested twice: of the effect in the unit of the readout, which is larger where the risk is, and of
    the log hazard ratio, which is not. Holm's correction counts both kinds together. Intervals and tests are over
    patients; what chance makes of equal patients is not in them, nor are the numbers that are wrong for all.
    """
    if "weight" not in ranking.coords:
        raise AnalysisError("this ranking has no cohort; make it with rank_targets(model, patients=cohort)")
    people = ranking.isel(patient=slice(1, None))
    chosen = _window(ranking, window)
    member = _members(people, subgroups)
    benefit = _Columns(people.sel(window=chosen))
    parts = [_one(benefit, member[:, place], place, name) for place, name in enumerate(member["subgroup"].values)]
    found = _stacked(parts, member, people)
    found = _tested(found, benefit, member, permutations, int(ranking.attrs["seed"]))
    for name, each in found.data_vars.items():
        stem = str(name).removesuffix("_lower").removesuffix("_upper")
        each.attrs["long_name"] = _LABELS.get(stem, _LABELS.get(stem.replace("log_hazard_ratio", "effect"), stem))
    keys = ("readout", "readout_meaning", "readout_unit", "effect_scale", "effect_label", "better", "seed", "model")
    found.attrs |= {key: ranking.attrs[key] for key in keys if key in ranking.attrs} | {"window": chosen}
    texts = ("target_name", "kind")
    return found.assign_coords({key: ranking[key] for key in texts if key in ranking.coords})


class _Columns:
    """What is averaged over patients: effects and log hazard ratios by target, risks by target and horizon."""

    def __init__(self, table: xr.Dataset) -> None:
        self.seed = int(table.attrs["seed"])
        self.weights = np.asarray(table["weight"].values, dtype=float)
        self.targets = [str(name) for name in table["target"].values]
        scale = find_readout(str(table.attrs["readout"])).scale
        noise = 10 * float(table.attrs.get("relative_tolerance", 0.0))
        paired = change(table["untreated"], table["treated"], scale, noise)
        self.effect = paired.transpose("patient", "target").values
        self.ratio = table["log_hazard_ratio"].transpose("patient", "target").values
        self.helps = -1.0 if table.attrs["better"] == "lower" else 1.0
        self.horizons: list[float] = []
        self.risk = np.zeros((len(self.effect), 0))
        self.reduction = np.zeros((len(self.effect), len(self.targets), 0))
        if "risk_treated" in table:
            self.horizons = [float(year) for year in table["horizon"].values]
            self.risk = table["risk_untreated"].transpose("patient", "horizon").values
            found = 0.0 - change(table["risk_untreated"], table["risk_treated"], "difference", noise)
            self.reduction = found.transpose("patient", "target", "horizon").values


def _window(ranking: xr.Dataset, window: str | None) -> str:
    known = [str(name) for name in ranking["window"].values]
    chosen = window or str(ranking.attrs["window"])
    if chosen not in known:
        raise unknown_name("window", chosen, known, "this ranking")
    return chosen


def _members(people: xr.Dataset, subgroups: xr.DataArray | Mapping[str, Any]) -> xr.DataArray:
    """Return the members among the patients of a ranking, in their order, with everybody first."""
    import xarray as xr

    ids = [str(name) for name in people["patient"].values]
    if isinstance(subgroups, Mapping):
        subgroups = subgroups_of(xr.Dataset(coords={"patient": ids}), subgroups)
    known = {str(name) for name in subgroups["patient"].values}
    if missing := [name for name in ids if name not in known]:
        raise AnalysisError(f"the subgroups do not tell of patient {missing[0]!r}; make them of the same cohort")
    if ALL in subgroups["subgroup"].values:
        raise AnalysisError(f"a subgroup is called {ALL!r}, which is everybody; rename it")
    mine = subgroups.assign_coords(patient=[str(name) for name in subgroups["patient"].values]).sel(patient=ids)
    everybody = xr.ones_like(mine.isel(subgroup=[0])).assign_coords(subgroup=[ALL])
    return xr.concat([everybody, mine], dim="subgroup", join="exact").transpose("patient", "subgroup")


def _one(columns: _Columns, member: xr.DataArray, place: int, name: str) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of both sides of a subgroup, side first."""
    sides = [_side(columns, member.values == wanted, 2 * place + k) for k, wanted in enumerate((1.0, 0.0))]
    found = {key: np.stack([side[key] for side in sides]) for key in sides[0] if not key.startswith("resampled")}
    for kind in ("effect", "log_hazard_ratio"):
        resampled = sides[0][f"resampled_{kind}"] - sides[1][f"resampled_{kind}"]
        found[f"{kind}_difference"] = found[kind][0] - found[kind][1]
        found[f"{kind}_difference_lower"], found[f"{kind}_difference_upper"] = _limits(resampled)
    return found


def _side(columns: _Columns, who: NDArray[np.bool_], number: int) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of some patients; `number` gives every side a bootstrap of its own."""
    weights, targets = columns.weights[who], len(columns.targets)
    enough = who.sum() >= 2 and (weights > 0).sum() >= 2
    found: dict[str, NDArray[np.float64]] = {"patients": np.array(float(who.sum())), "weight": np.array(weights.sum())}
    seed = columns.seed + 7919 * number
    for kind, values in (("effect", columns.effect), ("log_hazard_ratio", columns.ratio)):
        mine = values[who]
        resampled = bootstrap_means(mine, seed=seed, weights=weights) if enough else np.full((1, targets), np.nan)
        found[f"resampled_{kind}"] = resampled
        found[kind] = weighted_mean(mine, weights) if enough else np.full(targets, np.nan)
        found[f"{kind}_lower"], found[f"{kind}_upper"] = _limits(resampled)
    ranks = summarize_ranks(columns.helps * columns.effect[who], seed=seed, weights=weights) if enough else None
    found["effect_rank"] = ranks.rank if ranks else np.full(targets, np.nan)
    found["effect_p_first"] = ranks.p_first if ranks else np.full(targets, np.nan)
    return found | _needed(columns, who, seed, bool(enough))


def _needed(columns: _Columns, who: NDArray[np.bool_], seed: int, enough: bool) -> dict[str, NDArray[np.float64]]:
    """Return risks, their reduction and the number needed to treat, with limits."""
    shape = columns.reduction.shape[1:]
    if not enough or not shape[1]:
        names = [f"{name}{end}" for name in ("risk_reduction", "nnt") for end in ("", "_lower", "_upper")]
        return {"risk": np.full(shape[1], np.nan)} | {name: np.full(shape, np.nan) for name in names}
    weights = columns.weights[who]
    mine = columns.reduction[who].reshape(int(who.sum()), -1)
    mean = weighted_mean(mine, weights).reshape(shape)
    low, high = (limit.reshape(shape) for limit in _limits(bootstrap_means(mine, seed=seed, weights=weights)))
    nnt, nnt_low, nnt_high = number_needed(mean, low, high)
    return {
        "risk": weighted_mean(columns.risk[who], weights),
        "risk_reduction": mean,
        "risk_reduction_lower": low,
        "risk_reduction_upper": high,
        "nnt": nnt,
        "nnt_lower": nnt_low,
        "nnt_upper": nnt_high,
    }


def number_needed(
    reduction: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Turn an absolute risk reduction with its limits into a number needed to treat with its limits.

    Limits that hold 0 leave open whether any number is enough: the upper limit of the number is then infinite, and the
    lower one is that of the largest benefit that the data allow (Altman 1998, BMJ 317:1309-1312,
    doi 10.1136/bmj.317.7168.1309). Negative numbers are numbers needed to harm.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        number = np.where(reduction == 0, np.inf, 1 / reduction)
        sure = (lower > 0) | (upper < 0)
        low = np.where(upper == 0, np.inf, 1 / upper)
        high = np.where(sure, 1 / lower, np.inf)
    missing = ~np.isfinite(reduction)
    return tuple(np.where(missing, np.nan, each) for each in (number, low, high))  # type: ignore[return-value]


def _limits(resampled: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known = np.isfinite(resampled).any(axis=0)
    low, high = (np.full(resampled.shape[1], np.nan) for _ in range(2))
    if known.any():
        low[known], high[known] = np.nanpercentile(resampled[:, known], [2.5, 97.5], axis=0)
    return low, high


def _stacked(parts: list[dict[str, NDArray[np.float64]]], member: xr.DataArray, people: xr.Dataset) -> xr.Dataset:
    import xarray as xr

    names = [str(name) for name in member["subgroup"].values]
    horizons = [float(year) for year in people["horizon"].values] if "horizon" in people.dims else []
    data: dict[str, Any] = {}
    for key in parts[0]:
        dims: tuple[str, ...] = ("subgroup",) if "_difference" in key else ("subgroup", "side")
        if key == "risk":
            dims += ("horizon",)
        elif key not in ("patients", "weight"):
            dims += ("target",)
            dims += ("horizon",) if key.startswith(("risk", "nnt")) else ()
        data[key] = (dims, np.stack([part[key] for part in parts]))
    targets = [str(name) for name in people["target"].values]
    found = xr.Dataset(data, coords={"subgroup": names, "side": list(_SIDES), "target": targets, "horizon": horizons})
    whole = found["weight"].sum("side")
    found["people_share"] = (found["weight"] / whole.where(whole > 0)).transpose("subgroup", "side")
    found["not_known"] = ("subgroup", np.isnan(member.values).sum(axis=0))
    return found.drop_vars("weight").drop_dims(() if horizons else "horizon")


def _tested(
    found: xr.Dataset, columns: _Columns, member: xr.DataArray, permutations: int | None, seed: int
) -> xr.Dataset:
    """Add the tests of every subgroup but everybody."""
    names = [str(name) for name in member["subgroup"].values]
    tests = 2 * (len(names) - 1) * len(columns.targets)
    if permutations is None:
        permutations = max(2_000, int(np.ceil(4 * tests / LEVEL)))
    require_whole("permutations", permutations, 19, 10_000_000)
    chances = np.full((2, len(names), len(columns.targets)), np.nan)
    both = np.concatenate([columns.effect, columns.ratio], axis=1)
    for place, name in enumerate(names[1:], start=1):
        known = np.isfinite(member.values[:, place]) & (columns.weights > 0)
        generator = stream(f"permutation of {name}", seed)
        p = permutation_test(
            both[known], member.values[known, place] == 1, generator,
            permutations=permutations, weights=columns.weights[known],
        )  # fmt: skip
        chances[:, place] = p.reshape(2, -1)
    corrected = holm(chances)
    dims = ("subgroup", "target")
    for kind, chance, fixed in zip(("effect", "log_hazard_ratio"), chances, corrected, strict=True):
        found[f"{kind}_p"], found[f"{kind}_p_holm"] = (dims, chance), (dims, fixed)
    beyond = np.nan_to_num(corrected, nan=1.0) < LEVEL
    found["different_effect"], found["different"] = (dims, beyond[0]), (dims, beyond.any(axis=0))
    found.attrs |= {"permutations": permutations, "tests": int(np.isfinite(chances).sum()), "fewest": FEWEST}
    return found
