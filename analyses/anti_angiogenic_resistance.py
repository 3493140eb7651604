"""Why and when does bevacizumab fail, and which partner delays it?

A breast cancer that is not operated gets 10 mg/kg of bevacizumab every two weeks from diagnosis on, alone, with a block
of HIF (60 % of its synthesis), of the bypass factors (90 %), or of both, and with shipped drugs that act on them; two
knock-outs from diagnosis on tell the mechanism: bypass factors without weight on vessels, HIF without weight on EMT.
Every run has the same two years. Progression is a volume 1.73 times the smallest since the first dose (RECIST).

Prints what happens in order, and the partners by time to progression, with oxygen, HIF, vessels, what drives them,
invasion per cell and shedding at the end; writes `anti_angiogenic_resistance.csv` and `anti_angiogenic_resistance.png`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import cascade

PROGRESSION = 1.2**3
SINCE = "t_diagnosis"
HIF, BYPASS, EMT = "hypoxia_vegf.v_synthesize_hif", "hypoxia_vegf.w_bypass", "emt.a_drive_hif"
LEFT = {
    "HIF blocked": (HIF, 0.4),
    "bypass blocked": (BYPASS, 0.1),
    "no bypass": (BYPASS, 0.0),
    "HIF off EMT": (EMT, 0.0),
}
"""What a switch does: target, and what is left of it."""

DRUGS = {"bevacizumab": None, "cediranib": None, "sunitinib": "continuous", "belzutifan": None}
"""Drug and regimen; tablets are given at their mean rate."""

ARMS = {
    "untreated": (),
    "bevacizumab": ("bevacizumab",),
    "+ HIF block": ("bevacizumab", "HIF blocked"),
    "+ bypass block": ("bevacizumab", "bypass blocked"),
    "+ HIF and bypass block": ("bevacizumab", "HIF blocked", "bypass blocked"),
    "+ cediranib": ("bevacizumab", "cediranib"),
    "+ sunitinib": ("bevacizumab", "sunitinib"),
    "+ belzutifan": ("bevacizumab", "belzutifan"),
    "HIF block alone": ("HIF blocked",),
    "bypass block alone": ("bypass blocked",),
    "cediranib alone": ("cediranib",),
    "sunitinib alone": ("sunitinib",),
    "knock-out: no bypass": ("bevacizumab", "no bypass"),
    "knock-out: HIF off EMT": ("bevacizumab", "HIF off EMT"),
    "untreated, HIF off EMT": ("HIF off EMT",),
}
QUICK = ("untreated", "bevacizumab", "+ HIF block", "+ bypass block")
DRAWN = {"untreated": "#333333", "bevacizumab": "#D55E00", "+ HIF block": "#0072B2", "+ bypass block": "#009E73"}
RECORD = {
    "size": "primary_tumor__n_tumor",
    "surface": "primary_tumor__f_surface",
    "oxygen": "hypoxia_vegf__p_o2",
    "HIF": "hypoxia_vegf__c_hif",
    "vessels": "hypoxia_vegf__f_vessel",
    "bypass": "hypoxia_vegf__a_bypass",
    "VEGFR2": "hypoxia_vegf__a_vegfr2",
    "drive": "hypoxia_vegf__a_drive",
    "mesenchymal": "clone_1__f_mesenchymal",
    "single": "clone_1__v_invade_single",
    "cluster": "clone_1__v_invade_cluster",
    "shed": "clone_1__v_shed_single",
    "hazard": "endpoints__h_cumulative",
}


def treated(model: cascade.Model, days: float) -> cascade.Model:
    """Return a model that holds every drug and every block of the arms."""
    course = {"origin": "diagnosis", "stop": days}
    drugs = [
        cascade.regimen(drug, name, averaged=drug in ("cediranib", "sunitinib"), **course)
        for drug, name in DRUGS.items()
    ]
    # `no bypass` and `bypass blocked` are one factor at different values.
    blocks = [cascade.inhibit(target, by=1.0, origin=SINCE, stop=days) for target in dict.fromkeys((HIF, BYPASS, EMT))]
    return cascade.treat(model, *drugs, *blocks)


def switches(model: cascade.Model, names: list[str]) -> dict[str, xr.DataArray | float]:
    """Return the values that turn each arm on."""

    def by_arm(numbers: list[float]) -> xr.DataArray:
        return xr.DataArray(numbers, dims="arm", coords={"arm": names})

    values: dict[str, xr.DataArray | float] = {"primary_tumor.f_surgery": 0.0}
    for drug in DRUGS:
        dose = next(row for row in model.parameters if row.id in (f"{drug}__n_dose_1", f"{drug}__a_level_1"))
        values[dose.id] = by_arm([dose.nominal * (drug in ARMS[name]) for name in names])
    for target in (HIF, BYPASS, EMT):
        blocks = {switch: left for switch, (acts_on, left) in LEFT.items() if acts_on == target}
        left = [min((blocks[each] for each in ARMS[name] if each in blocks), default=1.0) for name in names]
        values[f"factor_on_{target.replace('.', '__')}"] = by_arm(left)
    return values


def follow(model: cascade.Model, names: list[str], days: int) -> xr.Dataset:
    """Simulate the arms; return the course of each from diagnosis on, by day."""
    found = day_of_diagnosis(model)
    model = treated(model, days)
    runs = cascade.simulate(
        model,
        days=found + days,
        points=found + days + 1,
        values=switches(model, names),
        record=[SINCE, *RECORD.values()],
    ).isel(time=slice(found, found + days))
    course = xr.Dataset({short: runs[name] for short, name in RECORD.items()})
    course = course.assign_coords(time=np.arange(days, dtype=float))
    # Only the surface loses cells: per cell there, so that tumors of different size compare.
    at_surface = course["size"] * course["surface"]
    course["walk"] = (course["single"] + course["cluster"]) / at_surface
    course["shed"] = course["shed"] / at_surface
    course["bypass share"] = 1 - course["VEGFR2"] / course["drive"]
    course["hazard"] = course["hazard"] - course["hazard"].isel(time=0)
    return course


def day_of_diagnosis(model: cascade.Model) -> int:
    """Return the last whole day before the tumor is found; until then every arm is the same."""
    size = cascade.simulate(
        model, days=20 * 365, values={"primary_tumor.f_surgery": 0.0}, record=["primary_tumor__n_tumor"],
        points=20 * 365 + 1,
    )["primary_tumor__n_tumor"].values  # fmt: skip
    return int((size < model.parameter("primary_tumor__n_surgery").nominal).sum()) - 1


def progression(size: xr.DataArray) -> float:
    """Return the day of progression, infinite if it does not come."""
    relative = size.values / np.minimum.accumulate(size.values)
    late = np.flatnonzero(relative > PROGRESSION)
    return float(size["time"][late[0]]) if late.size else np.inf


def table(course: xr.Dataset) -> pd.DataFrame:
    """Return a row by arm; ratios are to the untreated tumor of the same day."""
    end, first = course.isel(time=-1), course.isel(time=0)
    base = end.sel(arm="untreated")
    rows = {
        "progression (days)": [progression(course["size"].sel(arm=arm)) for arm in course["arm"].values],
        "size at the end, of diagnosis": (end["size"] / first["size"]).values,
        "lowest oxygen (mmHg)": course["oxygen"].min("time").values,
        "highest HIF, of untreated": (course["HIF"].max("time") / course["HIF"].sel(arm="untreated").max()).values,
        "vessels at the end": end["vessels"].values,
        "bypass share of the drive": end["bypass share"].values,
        "mesenchymal, of untreated": (end["mesenchymal"] / base["mesenchymal"]).values,
        "invasion per cell, of untreated": (end["walk"] / base["walk"]).values,
        "shed per cell, of untreated": (end["shed"] / base["shed"]).values,
        "hazard since diagnosis, of untreated": (end["hazard"] / base["hazard"]).values,
    }
    return pd.DataFrame(rows, index=pd.Index(course["arm"].values, name="arm"))


def story(course: xr.Dataset) -> list[str]:
    """Tell what happens under bevacizumab, in order."""
    arm = course.sel(arm="bevacizumab")
    oxygen, share, start = arm["oxygen"].values, arm["bypass share"].values, arm.isel(time=0)
    best, low = int(np.argmax(oxygen)), int(np.argmin(oxygen))
    below = best + int(np.argmax(oxygen[best:] < oxygen[0]))
    vessels = float(arm["vessels"][below] / start["vessels"])
    events: dict[float, str] = {
        best: f"oxygen {oxygen[best]:.1f} mmHg, {oxygen[best] / oxygen[0] - 1:+.0%}: the window of normalization",
        below: f"oxygen below that of diagnosis, {oxygen[0]:.1f} mmHg; {vessels:.0%} of the vessels left",
        low: f"oxygen lowest, {oxygen[low]:.1f} mmHg; HIF {float(arm['HIF'][low] / start['HIF']):.1f}-fold",
        progression(arm["size"]): f"progression; untreated: day {progression(course['size'].sel(arm='untreated')):.0f}",
    }
    if (share > 0.5).any():
        events[int(np.argmax(share > 0.5))] = "bypass factors give half of the angiogenic drive that is left"
    return [f"day {day:4.0f}  {words}" for day, words in sorted(events.items())]


COLUMNS = ("size", "O2 low", "HIF", "vessels", "bypass", "mesench.", "walk", "shed", "hazard")


def report(course: xr.Dataset, found: pd.DataFrame) -> None:
    """Print the order of events and the partners."""
    print("\n".join(story(course)))
    print(f"\n{'':<24}{'progress':>9}" + "".join(f"{name:>9}" for name in COLUMNS))
    for arm, row in found.sort_values("progression (days)", kind="stable").iterrows():
        days, *numbers = row
        words = "never" if np.isinf(days) else f"{days:.0f} d"
        print(f"{arm:<24}{words:>9}" + "".join(f"{number:>9.2f}" for number in numbers))
    print(
        f"\nnever: not within {course.sizes['time']} days. Size: at the end, of that at diagnosis; bypass: share of the"
    )
    print("angiogenic drive; HIF (highest) and the last four (at the end) relative to the untreated tumor.")


PANELS = {
    "size": ("tumor cells", True),
    "oxygen": ("oxygen (mmHg)", False),
    "HIF": ("HIF-1 activity (nM)", False),
    "vessels": ("vessels per cell, of reference", False),
    "bypass share": ("bypass share of angiogenic drive", False),
    "walk": ("invasion per cell at the surface (1/day)", False),
}


def draw(course: xr.Dataset, found: pd.DataFrame) -> Figure:
    """Draw the courses, and the time to progression of every arm."""
    figure, axes = plt.subplot_mosaic(
        [["size", "oxygen", "HIF", "bars"], ["vessels", "bypass share", "walk", "bars"]],
        figsize=(17, 7.2), layout="constrained", width_ratios=(1, 1, 1, 1.15),
    )  # fmt: skip
    for name, (label, logarithmic) in PANELS.items():
        axis = axes[name]
        for arm, color in DRAWN.items():
            axis.plot(course["time"] / 30.44, course[name].sel(arm=arm), color=color, label=arm, linewidth=1.6)
        axis.set(xlabel="months since diagnosis", ylabel=label, yscale="log" if logarithmic else "linear")
        if not logarithmic:
            axis.set_ylim(bottom=0)
    axes["size"].legend(frameon=False, fontsize=9)
    bars(axes["bars"], found, int(course["time"][-1]) + 1)
    for axis in axes.values():
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def bars(axis: Axes, found: pd.DataFrame, days: int) -> None:
    """Draw the time to progression; bars that reach the end have not progressed."""
    rows = found.sort_values("progression (days)", kind="stable")
    length = np.minimum(rows["progression (days)"], days) / 30.44
    colors = [DRAWN.get(str(arm), "#BBBBBB") for arm in rows.index]
    drawn = axis.barh(np.arange(len(rows)), length, color=colors)
    words = ["no progression" if np.isinf(each) else f"{each / 30.44:.1f}" for each in rows["progression (days)"]]
    axis.bar_label(drawn, words, padding=3, fontsize=8.5)
    axis.set_yticks(np.arange(len(rows)), list(rows.index), fontsize=9)
    axis.set(xlabel="months to progression", ylim=(len(rows) - 0.4, -0.6))
    axis.margins(x=0.22)


def main(arguments: list[str] | None = None) -> int:
    """Print the table and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four arms, one year")
    parser.add_argument("--model", default="breast_lite", help="name of a composition with one clone")
    parser.add_argument(
        "--out", type=Path, default=Path("anti_angiogenic_resistance"), help="folder of table and figure"
    )
    chosen = parser.parse_args(arguments)
    model = cascade.compose(cascade.load_composition(chosen.model))
    course = follow(model, list(QUICK if chosen.quick else ARMS), 365 if chosen.quick else 730)
    found = table(course)
    report(course, found)
    chosen.out.mkdir(parents=True, exist_ok=True)
    found.to_csv(chosen.out / "anti_angiogenic_resistance.csv", float_format="%.5g")
    figure = draw(course, found)
    figure.savefig(chosen.out / "anti_angiogenic_resistance.png", dpi=160)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
