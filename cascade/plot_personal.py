"""Plots of patients: one patient's risk and what would change it; who benefits among many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade._style import COLORS, GREY, clean, new_axis, wrap
from cascade._words import effect_text, percent
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def risk_course(outlook: xr.Dataset, axis: Axes | None = None, *, treated: int = 2) -> Axes:
    """Draw the risk of one patient by year after surgery, with the ranges that hold half and 90 % of the draws.

    Parameters
    ----------
    outlook : xarray.Dataset
        Result of `cascade.patient_outlook`.
    axis : matplotlib.axes.Axes, optional
    treated : int
        How many of the best targets are drawn beside it, by their mean.
    """
    import numpy as np

    from cascade.outlook_effects import weighted_quantile

    axis = new_axis(axis, (6.4, 4.0))
    weight = outlook["weight"].values
    years = np.concatenate([[0], outlook["year"].values])
    risk = np.concatenate([np.zeros((len(weight), 1)), outlook["risk"].values], axis=1)
    for low, high, alpha in ((0.05, 0.95, 0.13), (0.25, 0.75, 0.22)):
        lower, upper = ([100 * weighted_quantile(column, weight, q) for column in risk.T] for q in (low, high))
        axis.fill_between(
            years, lower, upper, color=COLORS[0], alpha=alpha, linewidth=0, label=f"{high - low:.0%} of draws"
        )
    axis.plot(years, 100 * (weight @ risk), color=COLORS[0], linewidth=2, label="mean, untreated")
    for place, name in enumerate(outlook["target_name"].values[:treated]):
        known = np.isfinite(outlook["risk_treated"].values[:, place]).all(axis=1)
        share = weight * known / max((weight * known).sum(), 1e-300)
        mean = share @ np.nan_to_num(outlook["risk_treated"].values[:, place])
        color = (COLORS[1], COLORS[2], COLORS[3])[place % 3]
        axis.plot(years, 100 * np.concatenate([[0], mean]), color=color, linewidth=1.6, label=wrap(f"mean, {name}", 34))
    axis.set(xlabel="years after surgery", ylabel="overt distant metastasis (%)", xlim=(0, years[-1]), ylim=(0, None))
    axis.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)  # it hides no draws
    clean(axis)
    return axis


def reductions(outlook: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw by how much each target or drug lowers the risk of one patient, with the range of 95 % of the draws."""
    import numpy as np

    count = outlook.sizes["target"]
    axis = new_axis(axis, (6.4, 1.1 + 0.34 * count))
    mean, low, high = (100 * outlook[f"reduction{end}"].values for end in ("", "_lower", "_upper"))
    spread = [np.clip(mean - low, 0, None), np.clip(high - mean, 0, None)]
    axis.errorbar(mean, range(count), xerr=spread, fmt="o", color=COLORS[0], markersize=6, elinewidth=1.6)
    for row, (chance, right) in enumerate(zip(outlook["p_best"].values, np.fmax(mean, high), strict=True)):
        axis.annotate(f"best {percent(float(chance))}", (right, row), (6, 0), textcoords="offset points", va="center",
                      fontsize=8.5, color=GREY)  # fmt: skip
    axis.axvline(0, color="#333333", linewidth=0.9)
    axis.set_yticks(range(count), [wrap(str(name), 30) for name in outlook["target_name"].values], fontsize=9)
    axis.set_ylim(count - 0.4, -0.6)
    axis.margins(x=0.16)
    axis.set_xlabel(f"risk at {outlook.attrs['sorted_year']} years averted (percentage points)", fontsize=10)
    clean(axis, grid="x")
    return axis


def tests(outlook: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw how much of what is not known of the risk each test would take away; chance alone reaches the gray mark."""
    import numpy as np

    table = outlook.isel(test=np.argsort(-outlook["narrowing"].values, kind="stable"))
    count = table.sizes["test"]
    axis = new_axis(axis, (6.4, 1.1 + 0.3 * count))
    share, noise = 100 * table["narrowing"].values, 100 * table["noise"].values
    axis.barh(range(count), share, color=[COLORS[2] if s > n else "#c9ced6" for s, n in zip(share, noise, strict=True)])
    axis.plot(noise, range(count), "|", color=GREY, markersize=13, markeredgewidth=2)
    axis.set_yticks(range(count), [wrap(str(name), 34) for name in table["test_name"].values], fontsize=9)
    axis.set_ylim(count - 0.4, -0.6)
    axis.set(xlabel="share of the variance of the log hazard (%)", xlim=(0, None))
    clean(axis, grid="x")
    return axis


def subgroups(effects: xr.Dataset, target: str, axis: Axes | None = None) -> Axes:
    """Draw the effect of one target in every subgroup and outside of it; where it differs beyond chance, in color.

    Parameters
    ----------
    effects : xarray.Dataset
        Result of `cascade.subgroup_effects`.
    target : str
    axis : matplotlib.axes.Axes, optional
    """
    import numpy as np

    names = [str(name) for name in effects["target"].values]
    if target not in names:
        raise unknown_name("target", target, names, "these effects")
    table = effects.sel(target=target)
    rows = [str(name) for name in table["subgroup"].values]
    axis = new_axis(axis, (6.8, 1.2 + 0.36 * len(rows)))
    for offset, side in ((-0.13, "in"), (0.13, "out")):
        part = table.sel(side=side)
        mean, low, high = (part[f"effect{end}"].values for end in ("", "_lower", "_upper"))
        for row in np.flatnonzero(np.isfinite(mean)):
            color = COLORS[1 if side == "in" else 0] if bool(table["different_effect"].values[row]) else GREY
            color = "#000000" if rows[row] == "all" else color
            axis.plot([low[row], high[row]], [row + offset] * 2, color=color, linewidth=1.5)
            axis.plot(mean[row], row + offset, "o", color=color, markersize=6,
                      markerfacecolor=color if side == "in" else "white")  # fmt: skip
    axis.axvline(0, color="#333333", linewidth=0.9)
    axis.set_yticks(range(len(rows)), [wrap(name, 32) for name in rows], fontsize=9)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    label = str(table["target_name"].item()) if "target_name" in table.coords else target
    axis.set_title(label, fontsize=10, loc="left")
    axis.set_xlabel(wrap(str(effects.attrs["effect_label"]), 60), fontsize=9)
    clean(axis, grid="x")
    return axis


def best_targets(personal: xr.Dataset, axis: Axes | None = None, *, top: int = 12) -> Axes:
    """Draw for which share of the people each target is the best, or none is.

    Parameters
    ----------
    personal : xarray.Dataset
        Result of `cascade.personal_ranking`.
    axis : matplotlib.axes.Axes, optional
    top : int
        Rows that are drawn.
    """
    from cascade.personal_ranking import NONE, UNKNOWN, best_counts

    shares = sorted(best_counts(personal).items(), key=lambda pair: -pair[1])[:top]
    if not shares:
        raise AnalysisError("there is no patient in this ranking")
    titles = dict(zip(map(str, personal["target"].values), map(str, personal["target_name"].values), strict=True))
    axis = new_axis(axis, (6.0, 1.0 + 0.32 * len(shares)))
    colors = [GREY if name in (NONE, UNKNOWN) else COLORS[0] for name, _ in shares]
    drawn = axis.barh(range(len(shares)), [100 * share for _, share in shares], color=colors)
    axis.bar_label(drawn, labels=[percent(share) for _, share in shares], padding=4, fontsize=9)
    axis.set_yticks(range(len(shares)), [wrap(titles.get(name, name), 30) for name, _ in shares], fontsize=9)
    axis.set_ylim(len(shares) - 0.4, -0.6)
    axis.margins(x=0.12)
    axis.set_xlabel("people whom this helps most (%)", fontsize=10)
    clean(axis, grid="x")
    return axis


def effect_map(effects: xr.Dataset, axis: Axes | None = None) -> Axes:
    """Draw the mean effect of every target in every subgroup; what differs from the rest beyond chance is framed.

    A dashed frame: only the hazard ratio differs, and the effect does not, or not beyond chance.
    """
    import numpy as np
    from matplotlib.patches import Rectangle

    table = effects.sel(side="in")
    mean = table["effect"].transpose("subgroup", "target").values
    rows, columns = mean.shape
    axis = new_axis(axis, (3.0 + 1.15 * columns, 1.4 + 0.34 * rows))
    good = -mean if effects.attrs["better"] == "lower" else mean
    largest = float(np.nanmax(np.abs(mean), initial=0.0)) or 1.0
    axis.imshow(good, cmap="RdBu", vmin=-1.3 * largest, vmax=1.3 * largest, aspect="auto")
    framed, solid = (effects[name].transpose("subgroup", "target").values for name in ("different", "different_effect"))
    scale, unit = str(effects.attrs["effect_scale"]), str(effects.attrs["readout_unit"])
    for row, column in np.ndindex(rows, columns):
        dark = abs(mean[row, column]) > 0.85 * largest
        axis.text(column, row, effect_text(float(mean[row, column]), scale, unit), ha="center", va="center",
                  fontsize=8.5, color="white" if dark else "#222222")  # fmt: skip
        if framed[row, column]:
            line = "-" if solid[row, column] else (0, (3, 2))
            axis.add_patch(
                Rectangle(
                    (column - 0.48, row - 0.46), 0.96, 0.92, fill=False, edgecolor="black", lw=1.6, linestyle=line
                )
            )
    names = [str(name) for name in table["target_name"].values]
    axis.set_xticks(range(columns), [wrap(name, 16) for name in names], fontsize=9, rotation=20 if columns > 4 else 0)
    axis.set_yticks(range(rows), [wrap(str(name), 34) for name in table["subgroup"].values], fontsize=9)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return axis
