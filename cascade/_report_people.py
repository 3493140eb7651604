"""The part of a report on a ranking that tells who the patients are, who benefits from what, and who from nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cascade import plot_personal
from cascade._style import new_figure
from cascade._words import effect_text, number, percent
from cascade.personal_ranking import best_counts, personal_ranking

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from cascade.specs import Model

LEADING = 6
"""Targets and drugs in the table and the map of subgroups."""

MOST_NEEDED = 1e4
"""Numbers needed to treat above this are told as none."""

_PREFIX = "subgroup_"


def _sampled(ranking: xr.Dataset, uncertain: int) -> str:
    attrs = ranking.attrs
    if "cohort" not in attrs:
        return (
            f"{attrs['samples']} parameter sets are drawn from the priors of {uncertain} uncertain parameters;"
            f" {attrs['patients']} of them are patients with this readout."
        )
    drawn = (
        f" What is not known of each ({attrs['redrawn']} numbers at most) was drawn anew {attrs['n_draws']} times"
        " for the personal ranking."
        if "n_draws" in attrs
        else ""
    )
    return (
        f"{attrs['patients']} of {attrs['cohort']} people of a cohort are patients with this readout, each by its"
        f" weight; numbers that the cohort does not tell are nominal.{drawn}"
    )


def people_context(model: Model, ranking: xr.Dataset) -> dict[str, Any]:
    """Return who the patients are, and what the section of a cohort says (nothing without one)."""
    sampled = _sampled(ranking, sum(row.estimate for row in model.parameters))
    return {"sampled": sampled, "people": _benefits(ranking) if "cohort" in ranking.attrs else {}}


def _benefits(ranking: xr.Dataset) -> dict[str, Any]:
    found: dict[str, Any] = {"best": _best_words(ranking), "subgroups": []}
    if _PREFIX + "effect" in ranking:
        effects = leading_effects(ranking)
        found["subgroups"] = [
            _row(effects.sel(subgroup=group, target=target))
            for group in effects["subgroup"].values
            for target in effects["target"].values
        ]
        found["tests"] = ranking.attrs["subgroup_tests"]
        found["horizon"] = number(float(effects["horizon"].values[-1])) if "horizon" in effects.dims else ""
    return found


def people_figures(ranking: xr.Dataset) -> dict[str, Figure]:
    """Return the figures of that section."""
    if "cohort" not in ranking.attrs:
        return {}
    found = {"best": new_figure(7, 1.2 + 0.32 * min(12, ranking.sizes["target"] + 1))}
    plot_personal.best_targets(personal_ranking(ranking), found["best"].subplots())
    if _PREFIX + "effect" in ranking:
        effects = leading_effects(ranking)
        size = 3.4 + 1.2 * effects.sizes["target"], 1.8 + 0.36 * effects.sizes["subgroup"]
        found["subgroups"] = new_figure(*size)
        plot_personal.effect_map(effects, found["subgroups"].subplots())
    return found


def leading_effects(ranking: xr.Dataset) -> xr.Dataset:
    """Return the effects by subgroup of the leading targets, as `cascade.subgroup_effects` gives them."""
    names = [str(name) for name in ranking.data_vars if str(name).startswith(_PREFIX)]
    found = ranking[names].rename({name: name.removeprefix(_PREFIX) for name in names})
    found.attrs = dict(ranking.attrs)
    return found.isel(target=slice(0, LEADING))


def _best_words(ranking: xr.Dataset) -> str:
    titles = dict(zip(map(str, ranking["target"].values), map(str, ranking["target_name"].values), strict=True))
    shares = sorted(best_counts(personal_ranking(ranking)).items(), key=lambda pair: -pair[1])
    told = "; ".join(f"{titles.get(name, name)} {percent(share)}" for name, share in shares[:LEADING])
    return f"Of the people, by which target or drug helps most, or none by more than a tenth of the readout: {told}."


def _row(one: xr.Dataset) -> dict[str, str]:
    scale, unit = str(one.attrs["effect_scale"]), str(one.attrs["readout_unit"])
    inside, outside = (one.sel(side=side) for side in ("in", "out"))
    low, high = (effect_text(float(inside[f"effect_{end}"]), scale, unit) for end in ("lower", "upper"))
    needed = inside["nnt"].isel(horizon=-1) if "horizon" in one.dims else None
    chance = float(one["effect_p_holm"])
    return {
        "group": str(one["subgroup"].item()),
        "target": str(one["target_name"].item()),
        "patients": f"{float(inside['patients']):.0f}",
        "effect": effect_text(float(inside["effect"]), scale, unit),
        "interval": f"{low} to {high}" if math.isfinite(float(inside["effect"])) else "",
        "outside": effect_text(float(outside["effect"]), scale, unit),
        "chance": "–" if not math.isfinite(chance) else "< 0.001" if chance < 0.001 else f"{chance:.2g}",
        "different": "yes" if bool(one["different_effect"]) else "hazard ratio only" if bool(one["different"]) else "",
        "needed": "–" if needed is None or not abs(float(needed)) < MOST_NEEDED else number(float(needed)),
    }
