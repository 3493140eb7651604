"""What helps this one: targets ranked for every patient, with the chance that the best is the best."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.effects import change
from cascade.errors import AnalysisError, unknown_name
from cascade.ranking import RELEVANT
from cascade.readouts import find_readout
from cascade.sensitivity.ranks import weighted_mean

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

NONE = "none"
"""Best target of a patient whom none helps."""

UNKNOWN = "unknown"
"""Best target of a patient without any result."""

_LABELS = {
    "effect": "effect with the numbers that the cohort gives, what is missing at its nominal value",
    "effect_mean": "mean effect over the draws of what is not known",
    "effect_lower": "2.5 % of the draws lie below",
    "effect_upper": "97.5 % of the draws lie below",
    "rank": "rank of the target in this patient (1 helps most; ties share the average)",
    "best": "target that helps most, or none if none passes the floor",
    "p_best": "share of the draws in which the target helps most and passes the floor",
    "p_none": "share of the draws in which no target passes the floor",
    "draws": "draws in which there is a result",
    "floor": "smallest improvement that counts",
}


def personal_ranking(ranking: xr.Dataset, *, floor: float | None = None, window: str | None = None) -> xr.Dataset:
    """Rank the targets for every patient of a cohort, and say how sure the best one is.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets(patients=cohort)`; with `n_draws`, what is not known of a patient was drawn anew
        as often, and the chances are told.
    floor : float, optional
        Smallest improvement that counts, in the unit of the effect (0.01: one percentage point of a probability): a
        patient whom no target helps more has the best target "none". By default a tenth of the untreated readout.
    window : str, optional
        By default the one by which the ranking is sorted; draws are of this one only.

    Returns
    -------
    xarray.Dataset
        Over `patient` and `target`: `effect`, `effect_mean` over the draws with the range that holds 95 % of them,
        `rank`, `p_best`; over `patient`: `best`, `p_none`, `draws`, `floor`. What sorts is the mean over the draws, or
        without draws the effect, and then the chances are NaN. `p_best` over targets and `p_none` sum to 1.
    """
    import xarray as xr

    if "weight" not in ranking.coords:
        raise AnalysisError("this ranking has no cohort; make it with rank_targets(model, patients=cohort)")
    if floor is not None and not (is_number(floor) and floor >= 0):
        raise AnalysisError(f"floor is {floor!r}; give a finite number of 0 or more, in the unit of the effect")
    known = [str(name) for name in ranking["window"].values]
    chosen = window or str(ranking.attrs["window"])
    if chosen not in known:
        raise unknown_name("window", chosen, known, "this ranking")
    people = ranking.isel(patient=slice(1, None)).sel(window=chosen)
    helps = -1.0 if ranking.attrs["better"] == "lower" else 1.0
    own = _paired(people, "untreated", "treated")
    drawn = _paired(people, "untreated_draw", "treated_draw") if _has_draws(ranking, chosen) else None
    least = _floors(people, floor)
    sorting = own if drawn is None else drawn[0]
    benefit = helps * sorting
    data: dict[str, Any] = {"effect": (("patient", "target"), own)}
    if drawn is not None:
        data |= {f"effect_{end}": (("patient", "target"), values) for end, values in zip(_ENDS, drawn[:3], strict=True)}
    data["rank"] = (("patient", "target"), _ranks(benefit))
    names = [str(name) for name in ranking["target"].values]
    data["best"] = ("patient", _best(benefit, least, names))
    data |= _chances(people, helps, floor, drawn is not None)
    data["floor"] = ("patient", least)
    coords = {key: ranking[key] for key in ("target", "target_name", "kind") if key in ranking.coords}
    found = xr.Dataset(data, coords | {"patient": people["patient"], "weight": people["weight"]})
    for name, each in found.data_vars.items():
        each.attrs["long_name"] = _LABELS[str(name)]
    keys = ("readout", "readout_unit", "effect_scale", "effect_label", "better", "seed", "n_draws", "redraw", "model")
    found.attrs = {key: ranking.attrs[key] for key in keys if key in ranking.attrs} | {"window": chosen}
    return found


_ENDS = ("mean", "lower", "upper")


def best_counts(personal: xr.Dataset) -> dict[str, float]:
    """Return which share of the people, by weight, each target helps most, and which none does.

    Parameters
    ----------
    personal : xarray.Dataset
        Result of `personal_ranking`.
    """
    weights = personal["weight"].values
    best = personal["best"].values.astype(str)
    names = [*(str(name) for name in personal["target"].values), NONE, UNKNOWN]
    found = {name: float(weights[best == name].sum() / weights.sum()) for name in names}
    return {name: share for name, share in found.items() if share > 0}


def _has_draws(ranking: xr.Dataset, window: str) -> bool:
    if "treated_draw" not in ranking:
        return False
    if window != str(ranking.attrs["window"]):
        raise AnalysisError(
            f"what is not known was drawn anew for the window {ranking.attrs['window']!r} only, not for {window!r}"
        )
    return True


def _change(people: xr.Dataset, before: str, after: str) -> xr.DataArray:
    scale = find_readout(str(people.attrs["readout"])).scale
    noise = 10 * float(people.attrs.get("relative_tolerance", 0.0))
    return change(people[before], people[after], scale, noise)


def _paired(people: xr.Dataset, before: str, after: str) -> Any:
    """Return effects over patient and target; of draws the mean and the range of 95 %."""
    found = _change(people, before, after)
    if "draw" not in found.dims:
        return found.transpose("patient", "target").values
    values = found.transpose("patient", "target", "draw").values
    known = np.isfinite(values).any(axis=2)
    flat = values.reshape(-1, values.shape[2]).T
    mean = weighted_mean(flat, np.ones(len(flat))).reshape(known.shape)
    low, high = (np.full(known.shape, np.nan) for _ in range(2))
    if known.any():
        low[known], high[known] = np.nanpercentile(values[known], [2.5, 97.5], axis=-1)
    return mean, low, high


def _floors(people: xr.Dataset, floor: float | None, before: str = "untreated") -> NDArray[np.float64]:
    """Return the least improvement that counts, by patient (and draw)."""
    untreated = people[before].transpose("patient", ...).values
    if floor is not None:
        return np.full(untreated.shape, float(floor))
    if str(people.attrs["effect_scale"]) == "log_ratio":
        return np.full(untreated.shape, -math.log(1 - RELEVANT))
    return np.asarray(RELEVANT * np.abs(untreated))


def _ranks(benefit: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(-benefit, axis=1, nan_policy="omit"), dtype=float)


def _best(benefit: NDArray[np.float64], least: NDArray[np.float64], names: list[str]) -> NDArray[np.str_]:
    known = np.isfinite(benefit).any(axis=1) & np.isfinite(least)
    filled = np.where(np.isfinite(benefit), benefit, -np.inf)
    place = filled.argmax(axis=1)
    passes = filled.max(axis=1) > np.where(known, least, np.inf)
    found = [UNKNOWN if not k else names[p] if ok else NONE for k, p, ok in zip(known, place, passes, strict=True)]
    return np.array(found, dtype=str)


def _chances(people: xr.Dataset, helps: float, floor: float | None, has_draws: bool) -> dict[str, Any]:
    """Return in which share of the draws each target is the best, and in which none helps."""
    shape = (people.sizes["patient"], people.sizes["target"])
    if not has_draws:
        none = np.full(shape[0], np.nan)
        return {"p_best": (("patient", "target"), np.full(shape, np.nan)), "p_none": ("patient", none),
                "draws": ("patient", np.zeros(shape[0], dtype=int))}  # fmt: skip
    change_of = _change(people, "untreated_draw", "treated_draw")
    benefit = helps * change_of.transpose("patient", "draw", "target").values
    least = _floors(people, floor, "untreated_draw")
    known = np.isfinite(benefit).any(axis=2) & np.isfinite(least)
    filled = np.where(np.isfinite(benefit), benefit, -np.inf)
    top = filled.max(axis=2)
    passes = known & (top > least)
    first = (filled == top[:, :, None]) & passes[:, :, None]
    count = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = first / np.where(passes, first.sum(axis=2), 1)[:, :, None]
        p_best = share.sum(axis=1) / count[:, None]
        p_none = (known & ~passes).sum(axis=1) / count
    return {"p_best": (("patient", "target"), p_best), "p_none": ("patient", p_none), "draws": ("patient", count)}
