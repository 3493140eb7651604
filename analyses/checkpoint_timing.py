"""When should anti-VEGF start around PD-1 blockade, and should PD-1 blockade come before or after surgery?

First part: a triple-negative breast cancer gets pembrolizumab (200 mg every three weeks, eight doses) from eight weeks
after diagnosis on and is operated after the last dose; bevacizumab (10 mg/kg every two weeks, until surgery) starts up
to eight weeks before or after the first dose, at the whole dose, a tenth, or a hundredth of it. Killing by immune cells
in the first twelve weeks, T cells, oxygen, lactate, the tumor, and the probability of overt metastasis five years after
surgery (`p_overt_5y`). Then the same with one join that the composition does not have: blood flow brings T cells in (as
in Hatzikirou 2015, Mpekris 2020). It has no constant, so that nothing is fitted: it shows what the structure decides.

Second part: eight doses of pembrolizumab before surgery, after it, or both, with surgery at once or after 24 weeks; and
the same where T cells do not reach lesions, from diagnosis on, which tells whether they or the smaller tumor protect.

Prints both tables; writes `checkpoint_timing.csv` and `checkpoint_timing.png`.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import cascade

FIRST, COURSE = 56, 168
"""Days from diagnosis to pembrolizumab in the first part, and from its first dose to surgery."""

SMALL: dict[str, list[str]] = {"subclone": [], "secondary": [], "regional": []}
OFFSETS = (-56, -28, -14, -7, 0, 7, 14, 28, 56)
SHARES = (1.0, 0.1, 0.01)
QUICK_OFFSETS, QUICK_SHARES = (-28, 0, 28), (1.0, 0.01)
COLORS = {1.0: "#D55E00", 0.1: "#E69F00", 0.01: "#0072B2"}
EXCLUDED = "pdl1_immune.f_excluded"
WITH_FLOW = "1 - (1 - microenvironment.f_excluded)*hypoxia_vegf.f_perfusion"
PEMBROLIZUMAB, BEVACIZUMAB = "pembrolizumab__n_dose_1", "bevacizumab__n_dose_1"
LESIONS = ("organs__w_immune", "liver__w_immune", "brain__w_immune")
RECORD = [
    *("t_diagnosis", "primary_tumor__t_surgery", "primary_tumor__n_tumor", "hypoxia_vegf__p_o2"),
    *("microenvironment__c_lactate", "pdl1_immune__k_kill", "pdl1_immune__d_cd8", "endpoints__h_since_surgery"),
]
PLANS = {  # day of surgery, pembrolizumab before it, after it
    "surgery at once": (1, 0.0, 0.0),
    "surgery at once, then PD-1": (1, 0.0, 1.0),
    "surgery after 24 weeks": (COURSE, 0.0, 0.0),
    "surgery after 24 weeks, then PD-1": (COURSE, 0.0, 1.0),
    "PD-1, then surgery": (COURSE, 1.0, 0.0),
    "PD-1 before and after surgery": (COURSE, 1.0, 1.0),
}


def compose(name: str, *, flow: bool = False) -> cascade.Model:
    """Compose the patient; with `flow` T cells enter with the blood."""
    composition = cascade.load_composition(name, index=SMALL)
    if flow:
        joins = [replace(each, formula=WITH_FLOW) if each.reader == EXCLUDED else each for each in composition.joins]
        composition = replace(composition, joins=tuple(joins))
    return cascade.compose(composition)


def anti_vegf(model: cascade.Model, offsets: tuple[int, ...], shares: tuple[float, ...]) -> xr.Dataset:
    """Simulate every start and dose of bevacizumab, PD-1 blockade alone, and neither."""
    model = cascade.treat(
        model,
        cascade.Surgery(day=FIRST + COURSE),
        cascade.regimen("pembrolizumab", "neoadjuvant", origin="diagnosis", start=FIRST),
        cascade.regimen("bevacizumab", origin="diagnosis", start=FIRST, stop=FIRST + COURSE, until="surgery"),
    )
    plans = [(0.0, 0, 0.0), (1.0, 0, 0.0), *((1.0, day, share) for share in shares for day in offsets)]
    blockade, day, share = (np.array(column, dtype=float) for column in zip(*plans, strict=True))
    values = {
        PEMBROLIZUMAB: xr.DataArray(blockade * model.parameter(PEMBROLIZUMAB).nominal, dims="plan"),
        BEVACIZUMAB: xr.DataArray(share * model.parameter(BEVACIZUMAB).nominal, dims="plan"),
        "bevacizumab__t_start_1": xr.DataArray(FIRST + day, dims="plan"),
    }
    runs = cascade.simulate(model, days=10 * 365, points=10 * 365 + 1, values=values, record=RECORD)
    return runs.assign_coords(blockade=("plan", blockade), day=("plan", day), share=("plan", share))


def outcomes(runs: xr.Dataset) -> pd.DataFrame:
    """Return a row by plan: means and values of the weeks of PD-1 blockade, and what comes of it."""
    start = int(float(runs["t_diagnosis"].isel(time=-1).max())) + FIRST
    weeks, end = runs.isel(time=slice(start, start + 84)), runs.isel(time=start + 84)
    before = runs.isel(time=start + COURSE - 2)
    columns = {
        "kill (1/day)": weeks["pdl1_immune__k_kill"].mean("time"),
        "kill in the first week": weeks["pdl1_immune__k_kill"].isel(time=slice(7)).mean("time"),
        "CD8 (1e6/ml)": end["pdl1_immune__d_cd8"],
        "oxygen (mmHg)": weeks["hypoxia_vegf__p_o2"].mean("time"),
        "lactate (mM)": weeks["microenvironment__c_lactate"].mean("time"),
        "tumor at surgery (1e9)": before["primary_tumor__n_tumor"] / 1e9,
        "p_overt_5y": cascade.readout(runs, "p_overt_5y"),
    }
    names = [
        ("anti-PD-1 alone" if blockade else "neither") if share == 0 else f"day {day:+.0f}, dose x {share:g}"
        for blockade, day, share in zip(*(runs[name].values for name in ("blockade", "day", "share")), strict=True)
    ]
    found = pd.DataFrame({name: column.values for name, column in columns.items()}, index=pd.Index(names, name="plan"))
    return found.assign(day=runs["day"].values, share=runs["share"].values)


def surgery(model: cascade.Model) -> pd.DataFrame:
    """Return `p_overt_5y` of every plan around surgery, as shipped and where T cells do not reach lesions."""
    doses = {"origin": "diagnosis"}
    model = cascade.treat(
        model,
        cascade.Surgery(day=COURSE),
        cascade.regimen("pembrolizumab", "neoadjuvant", **doses),
        cascade.regimen("pembrolizumab", "neoadjuvant", origin="surgery", start=21),
        *(cascade.inhibit(name, by=1.0, origin="t_diagnosis") for name in LESIONS if name in model.table),
    )
    day, before, after = (
        xr.DataArray(np.array(column, dtype=float), dims="plan", coords={"plan": list(PLANS)})
        for column in zip(*PLANS.values(), strict=True)
    )
    reach = xr.DataArray([1.0, 0.0], dims="lesions", coords={"lesions": ["as shipped", "no T cells in lesions"]})
    dose = model.parameter(PEMBROLIZUMAB).nominal
    values = {"t_operation": day, PEMBROLIZUMAB: before * dose, "pembrolizumab__n_dose_2": after * dose}
    values |= {f"factor_on_{name}": reach for name in LESIONS if f"factor_on_{name}" in model.table}
    runs = cascade.simulate(model, days=10 * 365, points=10 * 365 + 1, values=values, record=RECORD)
    return cascade.readout(runs, "p_overt_5y").transpose("plan", "lesions").to_pandas()


HEAD = ("kill", "of alone", "week 1", "CD8", "O2", "lactate", "tumor", "p_overt_5y")


def report(found: dict[str, pd.DataFrame], plans: pd.DataFrame) -> None:
    """Print the tables; killing relative to PD-1 blockade alone, over twelve weeks and in the first."""
    for words, table in found.items():
        kill, week = (table[name] / table.loc["anti-PD-1 alone", name] - 1 for name in list(table)[:2])
        print(f"{'start of bevacizumab, ' + words:<36}" + "".join(f"{name:>11}" for name in HEAD))
        for name, row in table.iterrows():
            milieu = "".join(f"{row.iloc[place]:>11.1f}" for place in range(2, 6))
            changes = f"{kill[name]:>+11.0%}{week[name]:>+11.1%}"
            print(f"{name:<36}{row.iloc[0]:>11.5f}{changes}{milieu}{row.iloc[6]:>11.1%}")
        print()
    print(f"{'p_overt_5y around surgery':<36}" + "".join(f"{name:>24}" for name in plans.columns))
    for name, row in plans.iterrows():
        print(f"{name:<36}" + "".join(f"{value:>24.1%}" for value in row))


def draw(found: dict[str, pd.DataFrame], plans: pd.DataFrame) -> Figure:
    """Draw killing and outcome over the start of bevacizumab, and the plans around surgery."""
    figure, axes = plt.subplots(1, 3, figsize=(16, 4.8), layout="constrained", width_ratios=(1, 1, 1.1))
    over_start(axes[0], found, "kill (1/day)", relative=True)
    axes[0].set_ylabel("killing in 12 weeks, against pembrolizumab alone (%)")
    axes[0].legend(frameon=False, fontsize=8)
    over_start(axes[1], found, "p_overt_5y", relative=False)
    axes[1].set_ylabel("p_overt_5y (%)")
    axes[1].set_title("gray: pembrolizumab alone", fontsize=9)
    place = np.arange(len(plans))
    for offset, (name, column), color in zip((-0.2, 0.2), plans.items(), ("#009E73", "#BBBBBB"), strict=True):
        drawn = axes[2].barh(place + offset, 100 * column, height=0.38, color=color, label=str(name))
        axes[2].bar_label(drawn, fmt="%.1f", padding=3, fontsize=8)
    axes[2].set_yticks(place, list(plans.index), fontsize=9)
    axes[2].set(xlabel="p_overt_5y (%)", ylim=(len(plans) - 0.4, -0.6))
    axes[2].margins(x=0.12)
    axes[2].legend(frameon=False, fontsize=8.5, loc="upper right")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def over_start(axis: Axes, found: dict[str, pd.DataFrame], column: str, *, relative: bool) -> None:
    """Draw an outcome over the day on which bevacizumab starts, by dose; dotted where blood flow brings T cells in."""
    for (words, table), (marker, line) in zip(found.items(), (("o", "-"), ("s", ":")), strict=False):
        alone = float(table.loc["anti-PD-1 alone", column])
        for share, rows in table[table["share"] > 0].groupby("share", sort=False):
            height = 100 * (rows[column] / alone - 1 if relative else rows[column])
            style = {"marker": marker, "linestyle": line, "color": COLORS[share], "markersize": 4}
            axis.plot(rows["day"], height, label=f"dose x {share:g}, {words}", **style)
        axis.axhline(0 if relative else 100 * alone, color="#777777", linestyle=line, linewidth=0.8)
    axis.set_xlabel("start of bevacizumab, days after pembrolizumab")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three starts, two doses, as shipped only")
    parser.add_argument(
        "--model", default="breast_tnbc", help="name of a composition; it runs with one clone, no nodes"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("checkpoint_timing"), help="folder of the table and the figure"
    )
    chosen = parser.parse_args(arguments)
    offsets, shares = (QUICK_OFFSETS, QUICK_SHARES) if chosen.quick else (OFFSETS, SHARES)
    model = compose(chosen.model)
    found = {"as shipped": outcomes(anti_vegf(model, offsets, shares))}
    if not chosen.quick:
        found["with flow"] = outcomes(anti_vegf(compose(chosen.model, flow=True), offsets, shares))
    plans = surgery(model)
    report(found, plans)
    chosen.out.mkdir(parents=True, exist_ok=True)
    parts = found | {"around surgery": plans}
    pd.concat(parts, names=["part", "row"]).to_csv(chosen.out / "checkpoint_timing.csv", float_format="%.6g")
    figure = draw(found, plans)
    figure.savefig(chosen.out / "checkpoint_timing.png", dpi=160)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
