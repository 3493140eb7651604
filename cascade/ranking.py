"""From paired outcomes of many patients to a ranking of targets that says how sure it is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.effects import change
from cascade.errors import unknown_name
from cascade.readouts import find_readout
from cascade.sensitivity import summarize_ranks
from cascade.sensitivity.ranks import TOP

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr

RELEVANT = 0.10
"""A treatment matters to a patient if it improves the readout by more than this share of its untreated value."""

_LABELS = {
    "effect_mean": "mean effect over patients",
    "effect_median": "median effect over patients",
    "effect_lower": "2.5 % bootstrap limit of the mean effect",
    "effect_upper": "97.5 % bootstrap limit of the mean effect",
    "log_hazard_ratio_mean": "mean log hazard ratio over patients",
    "log_hazard_ratio_lower": "2.5 % bootstrap limit of the mean log hazard ratio",
    "log_hazard_ratio_upper": "97.5 % bootstrap limit of the mean log hazard ratio",
    "hazard_ratio_median": "median hazard ratio over patients",
    "p_relevant": f"share of patients whose readout improves by more than {RELEVANT:.0%} of its untreated value",
    "rank": "rank of the mean effect (1 helps most; ties share the average)",
    "rank_lower": "best rank that is left when those better with 95 % confidence stand before",
    "rank_upper": "worst rank that is left when those worse with 95 % confidence stand behind",
    "p_first": "share of the bootstrap resamples in which the target is the best",
    "p_top": f"share of the bootstrap resamples in which the target is among the best {TOP}",
    "patients_top": f"share of the patients in whom the target is among the best {TOP}",
    "group": "group of targets that the patients do not tell apart (1 holds the best)",
    "missing_share": "share of the patients without a result",
    "failed_share": "share of the patients in whom a run failed",
    "treated": "readout with treatment",
    "log_hazard_ratio": "log hazard ratio of each patient",
    "reason": "ok, or why there is no result",
    "p_better": "share of the bootstrap resamples in which the row helps more than the column",
    "nominal_effect": "effect in the patient whose parameters have their nominal values",
}


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Readouts of the same patients without and with treatment.

    Attributes
    ----------
    readout : str
        Name of the readout.
    untreated, treated : xarray.DataArray
        Over `patient`, and over `patient`, `target`, `window`; with the coordinate `reason`. Patient 0 has the nominal
        value of every parameter; the others are drawn from the priors.
    hazard_untreated, hazard_treated : xarray.DataArray
        The same of the hazard that belongs to the readout, or of the readout itself if it has none.
    weights : numpy.ndarray, optional
        How many people each patient stands for, patient 0 included.
    """

    readout: str
    untreated: xr.DataArray
    treated: xr.DataArray
    hazard_untreated: xr.DataArray
    hazard_treated: xr.DataArray
    weights: np.ndarray | None = None


def rank_outcomes(outcomes: Outcomes, *, window: str, seed: int, noise: float = 0.0) -> xr.Dataset:
    """Rank targets by the mean paired effect and quantify the confidence of the ranking.

    Parameters
    ----------
    outcomes : Outcomes
    window : str
        The window of treatment by which the targets are sorted.
    seed : int
        Seed of the bootstrap over patients.
    noise : float
        Relative change that the solver alone can make; a smaller effect counts as none.

    Returns
    -------
    xarray.Dataset
        Over `target` (best first in `window`), `window`, and for the raw values `patient`; `p_better` also over
        `other`. Every variable has a `long_name`.
    """
    import xarray as xr

    windows = [str(name) for name in outcomes.treated["window"].values]
    parts = [_one_window(outcomes, name, seed, noise) for name in windows]
    ranking = xr.concat(parts, dim="window", join="exact").assign_coords(window=windows)
    ranking = ranking.transpose("target", "window", "patient", "other", missing_dims="ignore")
    order = _order(ranking.sel(window=window))
    ranking = ranking.isel(target=order, other=order)
    ranking["untreated"] = outcomes.untreated.rename(reason="reason_untreated")
    spec = find_readout(outcomes.readout)
    unit = str(outcomes.untreated.attrs.get("units", ""))
    for name in ranking.data_vars:
        ranking[name].attrs.setdefault("long_name", _LABELS.get(str(name), str(name)))
    for name in ("effect_mean", "effect_median", "effect_lower", "effect_upper", "nominal_effect"):
        ranking[name].attrs["units"] = unit if spec.scale == "difference" else "dimensionless"
    change = "change of the " if spec.scale == "difference" else "log ratio, treated to untreated, of the "
    ranking.attrs |= {
        "readout": outcomes.readout,
        "readout_meaning": str(outcomes.untreated.attrs.get("long_name", "")),
        "readout_unit": unit,
        "effect_scale": spec.scale,
        "effect_label": change + str(outcomes.untreated.attrs.get("long_name", outcomes.readout)),
        "better": spec.better,
        "window": window,
        "relevant_share": RELEVANT,
        "top": TOP,
        "reasons": _count_reasons(ranking["reason"].values[:, :, 1:]),
    }
    return ranking


def _count_reasons(reasons: np.ndarray) -> str:
    """Count why results are missing; as JSON, so that every file format takes it."""
    texts = [str(reason) for reason in reasons.reshape(-1) if reason != "ok"]
    return json.dumps(dict(Counter(texts).most_common()))


def _order(table: xr.Dataset) -> np.ndarray:
    """Sort by rank, then by effect so that exact ties stand in a fixed order; unranked targets come last."""
    import numpy as np

    rank = np.where(np.isfinite(table["rank"].values), table["rank"].values, np.inf)
    return np.lexsort((table["target"].values.astype(str), rank))


def _one_window(outcomes: Outcomes, window: str, seed: int, noise: float) -> xr.Dataset:
    import numpy as np
    import xarray as xr

    spec = find_readout(outcomes.readout)
    helps = -1.0 if spec.better == "lower" else 1.0
    untreated, treated = outcomes.untreated, outcomes.treated.sel(window=window, drop=True)
    paired = change(untreated, treated, spec.scale, noise).transpose("patient", "target")
    hazard = outcomes.hazard_treated.sel(window=window, drop=True)
    ratio = change(outcomes.hazard_untreated, hazard, "log_ratio", noise).transpose("patient", "target")
    weights = None if outcomes.weights is None else outcomes.weights[1:]
    ranks = summarize_ranks(helps * paired.values[1:], seed=seed, weights=weights)
    ratios = summarize_ranks(-ratio.values[1:], seed=seed, weights=weights)
    improved = helps * (treated - untreated).transpose("patient", "target").values[1:]
    scale = np.abs(untreated.values[1:, None])
    limits = _sorted_limits(helps * ranks.lower, helps * ranks.upper)
    known = np.isfinite(paired.values[1:])
    failed = np.char.startswith(treated["reason"].transpose("patient", "target").values[1:].astype(str), "run failed")
    failed |= np.char.startswith(untreated["reason"].values[1:].astype(str), "run failed")[:, None]
    columns: dict[str, Any] = {
        "effect_mean": helps * ranks.mean,
        "effect_median": helps * ranks.median,
        "effect_lower": limits[0],
        "effect_upper": limits[1],
        "log_hazard_ratio_mean": -ratios.mean,
        "log_hazard_ratio_lower": -ratios.upper,
        "log_hazard_ratio_upper": -ratios.lower,
        "hazard_ratio_median": np.exp(-ratios.median),
        "p_relevant": _share(improved > RELEVANT * scale, known, weights),
        **{
            name: getattr(ranks, name)
            for name in ("rank", "rank_lower", "rank_upper", "p_first", "p_top", "patients_top", "group")
        },
        "missing_share": 1 - np.average(known, axis=0, weights=weights),
        "failed_share": np.average(failed, axis=0, weights=weights),
        "nominal_effect": paired.values[0],
    }
    data: dict[str, Any] = {name: ("target", values) for name, values in columns.items()}
    targets = [str(name) for name in treated["target"].values]
    data["p_better"] = (("target", "other"), ranks.p_better)
    data["treated"] = (("patient", "target"), treated.transpose("patient", "target").values)
    data["log_hazard_ratio"] = (("patient", "target"), ratio.values)
    data["reason"] = (("patient", "target"), treated["reason"].transpose("patient", "target").values.astype(str))
    coords = {"target": targets, "other": targets, "patient": untreated["patient"].values}
    return xr.Dataset(data, coords=coords)


def _sorted_limits(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two limits as lower and upper."""
    import numpy as np

    return np.fmin(first, second), np.fmax(first, second)


def _share(condition: np.ndarray, known: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    import numpy as np

    each = np.ones(len(known)) if weights is None else weights
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((each @ (condition & known)) / (each @ known))


def settling(ranking: xr.Dataset, *, looks: int = 10) -> xr.Dataset:
    """Rank with the first patients only, then with more and more: did the short list settle?

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    looks : int
        Numbers of patients at which to look.

    Returns
    -------
    xarray.Dataset
        `p_top` and `rank` over `patients` and `target`, in the window by which the targets are sorted.
    """
    import numpy as np
    import xarray as xr

    spec = find_readout(str(ranking.attrs["readout"]))
    helps = -1.0 if spec.better == "lower" else 1.0
    treated = ranking["treated"].sel(window=ranking.attrs["window"]).transpose("patient", "target")
    noise = 10 * float(ranking.attrs.get("relative_tolerance", 0.0))
    benefit = helps * change(ranking["untreated"], treated, spec.scale, noise).transpose("patient", "target").values[1:]
    counts = np.unique(np.linspace(min(5, len(benefit)), len(benefit), looks).round().astype(int))
    weights = ranking["weight"].values[1:] if "weight" in ranking.coords else None
    found = [
        summarize_ranks(
            benefit[:count], seed=int(ranking.attrs["seed"]), weights=None if weights is None else weights[:count]
        )
        for count in counts
    ]
    coords = {"patients": counts, "target": ranking["target"].values}
    data = {name: (("patients", "target"), np.stack([getattr(f, name) for f in found])) for name in ("p_top", "rank")}
    return xr.Dataset(data, coords=coords, attrs={"top": TOP})


_COLUMNS = {
    "target_name": "target",
    "drug_class": "drug class",
    "stage": "stage",
    "effect_mean": "effect",
    "effect_lower": "95 % from",
    "effect_upper": "95 % to",
    "hazard_ratio_median": "median hazard ratio",
    "p_relevant": "P(helps by 10 %)",
    "p_first": "P(first)",
    "p_top": "P(top 5)",
    "rank_lower": "rank 95 % from",
    "rank_upper": "rank 95 % to",
    "group": "group of ties",
}


def ranking_table(ranking: xr.Dataset, window: str | None = None) -> pd.DataFrame:
    """Return a ranking as a table to read, one row per target in the order of the ranks.

    Parameters
    ----------
    ranking : xarray.Dataset
        Result of `cascade.rank_targets`.
    window : str, optional
        One of `ranking.window`; by default the one by which the targets are sorted.

    Returns
    -------
    pandas.DataFrame
        Indexed by rank. `effect` is the mean over patients of the paired change of the readout, in its unit.

    Raises
    ------
    UnknownNameError
        If the window was not computed.
    """
    import pandas

    known = [str(name) for name in ranking["window"].values]
    chosen = window or str(ranking.attrs["window"])
    if chosen not in known:
        raise unknown_name("window", chosen, known, "this ranking")
    table = ranking.sel(window=chosen)
    columns = {title: table[name].values for name, title in _COLUMNS.items() if name in table.variables}
    index = pandas.Index(table["rank"].values, name="rank")
    return pandas.DataFrame(columns, index=index).sort_index()
