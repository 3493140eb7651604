"""What keeps the risk of an ER-positive breast cancer alive after year 5, and what would lower it?

First part: the hazard of years 5 to 20 after surgery, split by the exits from dormancy that the lesions took: cells
that awoke, lesions that left immune dormancy, lesions that found vessels, or none (they were growing already). Each
exit is closed from a day on, alone and with the others (eight paired runs); a run with some exits closed holds exactly
the hazard of the ways that need none of them, so that differences give every way. Counted twice: from surgery on (how
the late lesions got there) and from year 5 on (what is still asleep then).

Second part: one target is cut to a fifth, or raised fivefold, from year 5 on; ranked by the change of the probability
of overt distant metastasis in years 5 to 20 given none before (`p_late_20y`), for the median patient, over patients
drawn from the priors of the constants of dormancy, and for a cohort of the spread of the IBCSG trials (Colleoni 2016).
Prints both tables; writes `late_recurrence.csv` and `late_recurrence.png`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import cascade

START, SURGERY = 5 * 365.25, "primary_tumor__t_surgery"
FOLD = 5.0
RECORD = ["endpoints__h_since_surgery", "endpoints__h_at_surgery", "endpoints__h_cumulative", SURGERY]
EXITS = {
    "cells awoke": "disseminated__k_wake",
    "left immune dormancy": "lesions__k_escape_immune",
    "found vessels": "lesions__k_switch_angiogenic",
}
IMMUNE = ("organs__w_immune", "liver__w_immune", "brain__w_immune")
INTERVENTIONS = {
    "keep dormant cells asleep": [("disseminated__k_wake", False)],
    "kill dormant cells": [("disseminated__k_die_dormant", True)],
    "wake dormant cells": [("disseminated__k_wake", True)],
    "wake, and block founding": [("disseminated__k_wake", True), ("disseminated__k_found", False)],
    "keep vessels shut": [("lesions__k_switch_angiogenic", False)],
    "clear lesions without vessels": [("lesions__k_lose_angiogenic_dormant", True)],
    "raise T-cell pressure": [(target, True) for target in IMMUNE],
    "lose T-cell pressure": [(target, False) for target in IMMUNE],
    "cytostatic, growth of lesions": [("lesions__k_grow", False)],
    "block CXCR4": [("organs__r_cxcr4", False)],
    "block RANKL": [("bone__l_rankl", False)],
    "calm remodeling of the matrix": [("organs__f_remodel", False)],
}
"""Target and direction (True: raised)."""

VARIED = (
    *EXITS.values(),
    "disseminated__k_die_dormant",
    "lesions__f_immune_dormant",
    "lesions__k_clear_immune_dormant",
    "lesions__f_angiogenic_dormant",
    "lesions__k_lose_angiogenic_dormant",
    "lesions__k_grow",
)


def run(model: cascade.Model, values: dict[str, xr.DataArray | float]) -> xr.Dataset:
    """Simulate far enough for year 20 after surgery."""
    return cascade.simulate(model, years=34, points=34 * 12 + 1, values=values, record=RECORD)


def patients(model: cascade.Model, count: int) -> dict[str, xr.DataArray]:
    """Return the constants of dormancy: the shipped patient first, then patients drawn from the priors in bounds."""
    rng = np.random.default_rng(1)
    values = {}
    for name in VARIED:
        row = model.parameter(name)
        drawn = np.exp(rng.normal(*row.prior_parameters, count))
        values[name] = xr.DataArray(np.append(row.nominal, np.clip(drawn, row.lower, row.upper)), dims="patient")
    return values


def by_way(model: cascade.Model) -> pd.DataFrame:
    """Split the late hazard by the exits that lesions took since surgery, and since year 5."""
    closed = cascade.treat(model, *(cascade.inhibit(target, by=1.0, origin=SURGERY) for target in EXITS.values()))
    kept = list(itertools.product((False, True), repeat=len(EXITS)))
    values: dict[str, xr.DataArray | float] = {}
    since = xr.DataArray([0.0, START], dims="since", coords={"since": ["surgery", "year 5"]})
    for place, target in enumerate(EXITS.values()):
        values[f"factor_on_{target}"] = xr.DataArray([float(row[place]) for row in kept], dims="open")
        values[f"start_on_{target}"] = since
    hazard = cascade.readout(run(closed, values), "h_late_20y").transpose("open", "since").to_pandas()
    table = {}
    for one in kept:
        part = 0.0
        for other, exits in enumerate(kept):
            if all(a or not b for a, b in zip(one, exits, strict=True)):
                part = part + (-1) ** (sum(one) - sum(exits)) * hazard.iloc[other]
        words = " + ".join(name for name, used in zip(EXITS, one, strict=True) if used)
        table[words or "growing already"] = part
    return pd.DataFrame(table).T


def late_in_cohort(model: cascade.Model, runs: xr.Dataset) -> xr.DataArray:
    """Return the probability of years 5 to 20 in a cohort of the level and spread of the IBCSG trials."""
    level, sigma = (model.parameter(name).nominal for name in ("cohort_ibcsg", "sigma_ibcsg"))
    hazard = level * cascade.readout(runs, "h_since_surgery_by_year").sel(year=[5, 20])
    free = cascade.population_risk(hazard, sigma)["p_metastasis_free"]
    return 1 - free.sel(year=20) / free.sel(year=5)


def ranking(model: cascade.Model, count: int) -> pd.DataFrame:
    """Rank the interventions of year 5 by the change of the late probability, in percent of the untreated."""
    values = dict(patients(model, count))
    before = run(model, values)
    base, cohort = cascade.readout(before, "p_late_20y"), late_in_cohort(model, before)
    rows = {}
    for words, targets in INTERVENTIONS.items():
        drugs = [
            cascade.activate(target, by=FOLD - 1, start=START, origin=SURGERY)
            if raised
            else cascade.inhibit(target, by=1 - 1 / FOLD, start=START, origin=SURGERY)
            for target, raised in targets
        ]
        after = run(cascade.treat(model, *drugs), values)
        late = cascade.readout(after, "p_late_20y")
        change = (100 * (late / base - 1)).values
        in_cohort = late_in_cohort(model, after)
        rows[words] = {
            "p_late_20y": float(late[0]),
            "change": change[0],
            "low": np.percentile(change[1:], 5),
            "high": np.percentile(change[1:], 95),
            "cohort": float(in_cohort[0]),
            "cohort_change": float(100 * (in_cohort[0] / cohort[0] - 1)),
        }
    rows["untreated"] = {"p_late_20y": float(base[0]), "change": 0.0, "low": 0.0, "high": 0.0}
    rows["untreated"] |= {"cohort": float(cohort[0]), "cohort_change": 0.0}
    return pd.DataFrame(rows).T.sort_values("change", kind="stable")


def draw(ways: pd.DataFrame, ranks: pd.DataFrame) -> Figure:
    """Draw the ways (left) and the ranking (right)."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.6), layout="constrained", width_ratios=(1, 1.15))
    place = np.arange(len(ways))
    for offset, since, color in ((-0.2, "surgery", "#56B4E9"), (0.2, "year 5", "#0072B2")):
        share = 100 * ways[since] / ways[since].sum()
        bars = left.barh(place + offset, share, height=0.38, color=color, label=f"exits taken since {since}")
        left.bar_label(bars, [f"{value:.1f}" for value in share], padding=3, fontsize=8)
    left.set_yticks(place, [name.replace(" + ", "\n+ ") for name in ways.index], fontsize=8.5)
    left.set(xlabel="share of the hazard of years 5 to 20 (%)", ylim=(len(ways) - 0.4, -0.6))
    left.margins(x=0.12)
    left.set_title("how the late lesions got there", fontsize=11)
    left.legend(frameon=False, fontsize=9, loc="lower right")
    ranks = ranks.drop(index="untreated")
    place = np.arange(len(ranks))
    colors = ["#009E73" if value < 0 else "#D55E00" for value in ranks["change"]]
    right.barh(place, ranks["change"], height=0.7, color=colors)
    right.hlines(place, ranks["low"], ranks["high"], color="#333333", linewidth=1.2, label="patients, 5 to 95 %")
    right.plot(ranks["cohort_change"], place, "wD", markeredgecolor="#333333", markersize=5, label="cohort")
    right.axvline(0, color="#333333", linewidth=0.8)
    right.set_yticks(place, list(ranks.index), fontsize=9)
    right.set(xlabel="change of the probability of years 5 to 20 (%)", ylim=(len(ranks) - 0.4, -0.6))
    right.set_title("from year 5 on, each target cut to a fifth or raised fivefold", fontsize=11)
    right.legend(frameon=False, fontsize=9, loc="lower left")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def report(ways: pd.DataFrame, ranks: pd.DataFrame) -> None:
    """Print both tables."""
    print(f"{'hazard of years 5 to 20 by exits taken':<58}{'since surgery':>14}{'since year 5':>14}")
    for words, row in ways.iterrows():
        shares = row / ways.sum()
        print(f"{words:<58}{shares['surgery']:>14.1%}{shares['year 5']:>14.1%}")
    total = ways["surgery"].sum()
    print(f"{'expected lesions that become overt':<58}{total:>14.4f}{ways['year 5'].sum():>14.4f}\n")
    print(f"{'started at year 5':<32}{'p_late_20y':>11}{'change':>9}{'5 to 95 %':>18}{'cohort':>9}{'change':>9}")
    for words, row in ranks.iterrows():
        span = f"{row['low']:+.1f} to {row['high']:+.1f} %"
        print(
            f"{words:<32}{row['p_late_20y']:>11.2%}{row['change']:>+8.1f}%{span:>18}"
            f"{row['cohort']:>9.1%}{row['cohort_change']:>+8.1f}%"
        )
    asleep = 1 - ways.loc["growing already", "year 5"] / total
    vessels = ways[["found vessels" in name for name in ways.index]]["year 5"].sum() / total
    print(f"\nAt year 5, {asleep:.0%} of the hazard to come is asleep; {vessels:.0%} has still to find vessels.")
    best = ranks.iloc[0]
    print(f"Largest fall: {best.name}, {best['change']:+.0f} % ({best['cohort_change']:+.0f} % in the cohort).")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two drawn patients, one clone")
    parser.add_argument("--out", type=Path, default=Path("late_recurrence"), help="folder of the table and the figure")
    chosen = parser.parse_args(arguments)
    # Without the lineage of metastases, which follows the first metastasis and does not change its hazard.
    small = {"subclone": []} if chosen.quick else {}
    model = cascade.compose(cascade.load_composition("breast", index={"secondary": [], **small}))
    ways, ranks = by_way(model), ranking(model, 2 if chosen.quick else 16)
    report(ways, ranks)
    chosen.out.mkdir(parents=True, exist_ok=True)
    parts = {"hazard by exits": ways.rename(columns=lambda name: f"since {name}"), "interventions": ranks}
    pd.concat(parts, names=["part", "row"]).to_csv(chosen.out / "late_recurrence.csv", float_format="%.6g")
    figure = draw(ways, ranks)
    figure.savefig(chosen.out / "late_recurrence.png", dpi=160)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
