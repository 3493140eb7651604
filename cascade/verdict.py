"""A ranking in words and in cells: the sentences and the rows of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cascade._words import effect_text, number, percent

if TYPE_CHECKING:
    import xarray as xr

    from cascade.specs import Model

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def effect_header(ranking: xr.Dataset) -> str:
    """Name the column of effects with what its numbers are."""
    if ranking.attrs["effect_scale"] == "log_ratio":
        return "effect (ratio treated / untreated)"
    if ranking.attrs["readout_unit"] == "dimensionless":
        return "effect (percentage points)"
    return f"effect ({ranking.attrs['readout_unit']})"


def rows(ranking: xr.Dataset) -> list[dict[str, Any]]:
    """Return what the table of the report shows, best target first, in the main window of the ranking."""
    scale, unit = str(ranking.attrs["effect_scale"]), str(ranking.attrs["readout_unit"])
    main = ranking.sel(window=ranking.attrs["window"])
    found = []
    for index in range(ranking.sizes["target"]):
        row = main.isel(target=index)
        value = {name: float(row[name]) for name in row.data_vars if row[name].ndim == 0}
        low, high = (effect_text(value[name], scale, unit) for name in ("effect_lower", "effect_upper"))
        found.append(
            {
                "rank": f"{value['rank']:g}" if math.isfinite(value["rank"]) else "–",
                "ranks": f"{number(value['rank_lower'], 2)}–{number(value['rank_upper'], 2)}",
                "group": f"{value['group']:g}" if math.isfinite(value["group"]) else "–",
                "name": str(row["target_name"].item()),
                "stage": str(row["stage"].item()),
                "drug_class": str(row["drug_class"].item()),
                "example_drugs": str(row["example_drugs"].item()),
                "acts_on": str(row["acts_on"].item()),
                "note": str(row["target_note"].item()),
                "kind": _text(row, "kind", "target"),
                "regimen": _text(row, "regimen", ""),
                "source": str(row["source"].item()),
                "effect": effect_text(value["effect_mean"], scale, unit),
                "interval": f"{low} to {high}",
                "sort": value["effect_mean"],
                "hazard_ratio": number(value["hazard_ratio_median"], 2),
                "p_relevant": percent(value["p_relevant"]),
                "patients_top": percent(value["patients_top"]),
                "p_first": percent(value["p_first"]),
                "p_top": percent(value["p_top"]),
                "assumed_share": percent(min(value.get("assumed_share", math.nan), 1.0)),
                "total_index": _limits(value, "total_index"),
                "missing": percent(value["missing_share"]),
            }
        )
    return found


def _text(row: xr.Dataset, name: str, other: str) -> str:
    """Return a text of a row; another where a ranking of older days has none."""
    return str(row[name].item()) if name in row.coords else other


def _limits(value: Mapping[Any, float], name: str) -> str:
    """Return the 95 % limits: an estimate alone would look sure."""
    low, high = value.get(f"{name}_lower", math.nan), value.get(f"{name}_upper", math.nan)
    return f"{number(low, 2)}–{number(high, 2)}" if math.isfinite(high) else "–"


def sentences(ranking: xr.Dataset) -> list[str]:
    """Say in words which targets come first, with what effect, and how sure that is."""
    table = ranking.sel(window=ranking.attrs["window"])
    helps = -1 if ranking.attrs["better"] == "lower" else 1
    ranked = table.isel(target=[i for i, rank in enumerate(table["rank"].values) if math.isfinite(rank)])
    if not ranked.sizes["target"]:
        return [
            f"No {_rows(ranking)} could be ranked: too few patients have a result with treatment. Simulate more years."
        ]
    best = ranked.isel(target=0)
    if helps * float(best["effect_mean"]) <= 0:
        return [f"No {_rows(ranking)} improves the readout on average over the patients."]
    said = [_first(ranking, best)]
    tied = ranked.isel(target=ranked["group"].values == 1)
    others = [str(name) for name in tied["target_name"].values[1:]]
    if others:
        said.append(f"It is tied with {_join(others)}: {ranking.attrs['patients']} patients do not tell them apart.")
    else:
        said.append(f"The first place is settled: it is better than every other {_rows(ranking)} with 95 % confidence.")
    share = percent(float(best["patients_top"]))
    said.append(f"It is among the best {ranking.attrs['top']} {_rows(ranking, 's')} in {share} of the patients.")
    said.append(top_settled(ranking, ranked))
    said += _ideal(ranking, best)
    said += _best_drug(ranking, ranked)
    following = [str(name) for name in ranked["target_name"].values[ranked["group"].values == 2]]
    if following:
        said.append(f"Next {'comes' if len(following) == 1 else 'come, tied with each other,'} {_join(following)}.")
    said += _other_windows(ranking)
    said += _assumed_share(ranking, best)
    harmful = ranked.isel(target=helps * ranked["effect_upper" if helps > 0 else "effect_lower"].values < 0)
    if harmful.sizes["target"]:
        said.append(f"Treatment makes it worse for {_join([str(n) for n in harmful['target_name'].values[::-1]])}.")
    return said


def _rows(ranking: xr.Dataset, more: str = "") -> str:
    """Name what is ranked: targets, drugs, or both."""
    kinds = dict.fromkeys(str(kind) for kind in ranking["kind"].values) if "kind" in ranking.coords else ["target"]
    return " or ".join(f"{kind}{more}" for kind in sorted(kinds, reverse=True))


def _ideal(ranking: xr.Dataset, best: xr.Dataset) -> list[str]:
    """Say what the effect of a target leaves out."""
    if _text(best, "kind", "target") == "drug":
        return []
    share = percent(float(ranking.attrs["fraction"]))
    return [
        f"A target stands for an ideal drug, which acts at {share} on every cell all the time, side effects aside;"
        " what patients tolerate may be far less."
    ]


def _best_drug(ranking: xr.Dataset, ranked: xr.Dataset) -> list[str]:
    """Say which drug comes first where targets stand before it: no drug blocks as much as is asked of a target."""
    kinds = [str(kind) for kind in ranked["kind"].values] if "kind" in ranked.coords else []
    if "drug" not in kinds or kinds[0] == "drug":
        return []
    best = ranked.isel(target=kinds.index("drug"))
    scale, unit = str(ranking.attrs["effect_scale"]), str(ranking.attrs["readout_unit"])
    effect = effect_text(float(best["effect_mean"]), scale, unit)
    return [
        f"Of the drugs as they are given {best['target_name'].item()} comes first, on rank {float(best['rank']):g}"
        f" ({effect}; {_text(best, 'regimen', '')})."
    ]


def _first(ranking: xr.Dataset, best: xr.Dataset) -> str:
    scale, unit = str(ranking.attrs["effect_scale"]), str(ranking.attrs["readout_unit"])
    mean, low, high = (effect_text(float(best[f"effect_{k}"]), scale, unit) for k in ("mean", "lower", "upper"))
    is_probability = scale == "difference" and unit == "dimensionless"
    untreated = float(ranking["untreated"][1:].mean())
    before = percent(untreated) if is_probability else number(untreated)
    in_points = " percentage points" if is_probability else ""
    return (
        f"{_action(best, float(ranking.attrs['fraction']))} ({ranking.attrs['window']}) changes the "
        f"{ranking.attrs['readout_meaning']} most: by {mean}{in_points} on average "
        f"(95 % interval {low} to {high}), from an untreated mean of {before}; "
        f"median hazard ratio {number(float(best['hazard_ratio_median']), 2)}."
    )


def top_settled(ranking: xr.Dataset, ranked: xr.Dataset, confidence: float = 0.95) -> str:
    """Say whether the set of the best targets is settled: every one of them is among the best with this confidence."""
    top = min(int(ranking.attrs["top"]), ranked.sizes["target"])
    chances = ranked["p_top"].values[:top]
    weakest = int(chances.argmin())
    if (chances >= confidence).all():
        return f"The best {top} are settled: each is among them with at least {percent(confidence)}."
    name = str(ranked["target_name"].values[weakest])
    return (
        f"The best {top} are not settled: {name} is among them with {percent(float(chances[weakest]))} only; more"
        " patients may tell."
    )


def _assumed_share(ranking: xr.Dataset, best: xr.Dataset) -> list[str]:
    """Say how far the verdict rests on numbers that nobody has measured."""
    if "assumed_share" not in best or not math.isfinite(float(best["assumed_share"])):
        return []
    share, low, high = (percent(min(float(best[f"assumed_share{end}"]), 1.0)) for end in ("", "_lower", "_upper"))
    said = f"Assumed numbers make {share} of the variance of its effect between patients ({low} to {high})"
    flips = float(ranking.attrs.get("verdict_flips", math.nan))
    if math.isfinite(flips):
        said += f"; when they are drawn anew, another target is the best in {percent(flips)} of the patients"
    return [said + "."]


def _other_windows(ranking: xr.Dataset) -> list[str]:
    """Say which target comes first when treatment is given at another time."""
    said = []
    for window in (str(name) for name in ranking["window"].values if name != ranking.attrs["window"]):
        table = ranking.sel(window=window)
        ranks = [rank if math.isfinite(rank) else math.inf for rank in table["rank"].values]
        best = table.isel(target=ranks.index(min(ranks)))
        if math.isfinite(min(ranks)):
            scale, unit = str(ranking.attrs["effect_scale"]), str(ranking.attrs["readout_unit"])
            effect = effect_text(float(best["effect_mean"]), scale, unit)
            said.append(f"Under {window} treatment {best['target_name'].item()} comes first ({effect}).")
    return said


def direction(acts_on: str) -> str:
    """Say what a drug does to its constants: block, boost, or both."""
    signs = {text.strip()[-1:] for text in acts_on.split(";")}
    return {frozenset("-"): "block", frozenset("+"): "boost"}.get(frozenset(signs), "both")


def _action(best: xr.Dataset, fraction: float) -> str:
    """Say what is done to a target: blocked, boosted, or both."""
    name, done = str(best["target_name"].item()), direction(str(best["acts_on"].item()))
    if _text(best, "kind", "target") == "drug":
        return f"{name}, {_text(best, 'regimen', '')},"
    if done == "block":
        return f"Blocking {percent(fraction)} of {name}"
    if done == "boost":
        return f"Boosting {name} by {percent(fraction)}"
    return f"Acting on {name} (by {percent(fraction)})"


def _join(names: list[str], most: int = 6) -> str:
    shown = names[:most]
    if len(names) > most:
        rest = len(names) - most
        return ", ".join(shown) + f" and {_WORDS[rest] if rest < len(_WORDS) else rest} more"
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1]


def evidence_counts(model: Model) -> list[dict[str, Any]]:
    """Count the parameters of a model by class of evidence; interventions are left out."""
    from cascade.evidence import EVIDENCE

    known = [p for p in model.parameters if not p.note.startswith("therapy:")]
    return [
        {
            "evidence": kind,
            "all": sum(p.evidence == kind for p in known),
            "uncertain": sum(p.evidence == kind and p.estimate for p in known),
        }
        for kind in EVIDENCE
    ]


def assumed(ranking: xr.Dataset, top: int = 10) -> list[dict[str, str]]:
    """Return the assumed parameters on which the readout depends most (largest mu*)."""
    import numpy as np

    if "mu_star" not in ranking or "evidence" not in ranking:
        return []
    order = np.argsort(-ranking["mu_star"].values, kind="stable")
    place = {int(index): rank for rank, index in enumerate(order, start=1)}
    chosen = [int(i) for i in order if str(ranking["evidence"].values[i]) == "assumed" and ranking["mu_star"][i] > 0]
    return [
        {
            "parameter": str(ranking["parameter"].values[i]),
            "name": str(ranking["parameter_name"].values[i]),
            "place": str(place[i]),
            "mu_star": number(float(ranking["mu_star"][i]), 2),
            "half": number(float(ranking["mu_star_confidence"][i]), 2),
            "note": str(ranking["parameter_note"].values[i]),
        }
        for i in chosen[:top]
    ]


def reasons(ranking: xr.Dataset) -> list[dict[str, Any]]:
    """Return why results are missing, and how often, in the ranking and in the screening."""
    found = []
    for where, key in (
        ("samples that are no patients", "reasons_untreated"),
        ("ranking, treated", "reasons"),
        ("Morris screening", "morris_reasons"),
    ):
        counts = json.loads(ranking.attrs.get(key, "{}"))
        found += [{"where": where, "reason": text, "count": count} for text, count in counts.items()]
    return found
