"""Which test finds a metastasis of a breast cancer how much earlier, and when should a few visits be?

Cohorts of ER-positive and of triple-negative breast cancer are operated and followed for fifteen years. Every patient
has several fates: the month and the organ of the first metastasis; its size before and after follows the growth law of
the model, and from it what a tube of blood or a scan shows. Standard care finds it by symptoms, at a diameter of 2 cm.

First part: every test every six months: how many metastases it finds before symptoms, how long before, and how often it
is wrong. The lead of ctDNA stands beside what was published: a median of 8.9 months and 16 of 18 patients (Coombes
2019), a mean of 11 months and 86 % (Olsson 2015).

Second part: one test (ctDNA of 16 mutations) and few visits: the months that gain most lead time, against as many
evenly spaced, and the named schedules.

Prints both tables; writes `early_detection.csv` and `early_detection.png`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import cascade
from cascade.cohort import sample_cohort
from cascade.cohort.outcomes import follow_cohort
from cascade.detection import (
    detect,
    follow_courses,
    lesion_signals,
    load_clinical_test,
    performance,
    symptom_sizes,
)
from cascade.detection.followup import named_schedule, optimize_followup, simulate_followup
from cascade.plot_detection import plot_decision, plot_found_by_size, plot_lead_time, plot_roc, plot_schedules

SMALL: dict[str, list[str]] = {"subclone": [], "secondary": [], "regional": []}
SUBTYPES = {"ER-positive": ("breast", "breast_er"), "triple-negative": ("breast_tnbc", "breast_tnbc")}
YEARS = 15
VISITS = np.arange(6.0, 12 * YEARS, 6.0)
COUNTS = (3, 5, 8, 12)
CTDNA = "ctdna"


def tests() -> list[Any]:
    """Return the tests that are compared: shipped ones, and a panel that follows a whole genome."""
    whole = load_clinical_test(CTDNA, name="ctdna_1000", mutations=1000, error=1e-7, cutoff=3)
    names = ("ctc", CTDNA, "marrow", "ct_bone_scan", "pet_ct")
    return [*(load_clinical_test(name) for name in names), whole]


def follow(name: str, preset: str, patients: int, fates: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the courses of a cohort, each patient with several fates, and what lesions shed in the median patient."""
    model = cascade.compose(cascade.load_composition(name, index=SMALL))
    cohort = sample_cohort(model, patients, seed=1, preset=preset)
    outcomes = follow_cohort(model, cohort, years_after=YEARS)
    courses = follow_courses(model, cohort, outcomes, fates=fates, clinical_mm=symptom_sizes())
    return courses, lesion_signals(model)


def by_test(courses: xr.Dataset) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the results of all tests every six months, and how good they are."""
    found = detect(courses, tests(), VISITS)
    table = performance(found, within=24.0)
    lead = table["lead_time"].sel(quantile=[0.25, 0.5, 0.75]).to_pandas()
    columns = ["p_found", "p_found_lower", "p_found_upper", "sensitivity", "specificity", "auc", "p_false_alarm"]
    rows = table[columns].to_dataframe()
    rows[["lead_25", "lead_50", "lead_75"]] = lead.to_numpy()
    return found, rows


def by_schedule(courses: xr.Dataset) -> tuple[pd.DataFrame, dict[str, tuple[float, ...]]]:
    """Return what few visits gain, best and evenly spaced, and what the named schedules do."""
    test = [load_clinical_test(CTDNA)]
    rows, months = {}, {}
    for count in COUNTS:
        plan = optimize_followup(courses, test, count, months=range(3, 12 * YEARS + 1, 3))
        months[f"best {count}"] = tuple(plan["month"].values.tolist())
        rows[f"best {count}"] = {
            "visits": count,
            "lead": float(plan["value"]),
            "even": float(plan["value_even"]),
            "at most": float(plan["upper_bound"]),
        }
    for name in ("annual", "asco", "intensive"):
        schedule = named_schedule(name, years=YEARS)
        run = simulate_followup(courses, schedule, test)
        months[name] = schedule.months
        best = optimize_followup(courses, test, len(schedule.months), months=range(3, 12 * YEARS + 1, 3))
        rows[name] = {"visits": len(schedule.months), "lead": run.attrs["mean_lead_time"], "even": np.nan}
        rows[name]["at most"] = float(best["upper_bound"])
    return pd.DataFrame(rows).T, months


def report(good: dict[str, pd.DataFrame], plans: dict[str, pd.DataFrame], told: dict[str, str]) -> None:
    """Print both tables."""
    for subtype, table in good.items():
        print(f"{subtype}: {told[subtype]}")
        head = f"{'every 6 months':<16}{'found before symptoms':>26}{'lead, months':>20}{'sensitivity':>13}"
        print(f"{head}{'specificity':>13}{'AUC':>7}{'ever false':>12}")
        for test, row in table.iterrows():
            found = f"{row['p_found']:.0%} ({row['p_found_lower']:.0%} to {row['p_found_upper']:.0%})"
            lead = f"{row['lead_50']:.1f} ({row['lead_25']:.1f} to {row['lead_75']:.1f})"
            print(
                f"{test:<16}{found:>26}{lead:>20}{row['sensitivity']:>13.0%}{row['specificity']:>13.1%}{row['auc']:>7.2f}"
                f"{row['p_false_alarm']:>12.0%}"
            )
        print()
    for subtype, table in plans.items():
        print(f"{subtype + ', ctDNA':<30}{'visits':>8}{'mean lead, months':>20}{'evenly spaced':>15}{'at most':>10}")
        for name, row in table.iterrows():
            even = f"{row['even']:.2f}" if np.isfinite(row["even"]) else ""
            print(f"{name:<30}{row['visits']:>8.0f}{row['lead']:>20.2f}{even:>15}{row['at most']:>10.2f}")
        print()
    print("Published lead of ctDNA: median 8.9 months, 16 of 18 patients (Coombes 2019); mean 11, 86 % (Olsson 2015).")


def draw(
    found: dict[str, xr.Dataset],
    signals: xr.Dataset,
    plans: dict[str, pd.DataFrame],
    months: dict[str, dict[str, tuple[float, ...]]],
) -> Figure:
    """Draw what is found by size, lead times, ROC, decisions, and the gain of visits."""
    figure, axes = plt.subplots(2, 4, figsize=(19, 8.4), layout="constrained")
    plot_found_by_size(tests(), signals, axes[0, 0], organ="bone")
    plot_roc(found["ER-positive"], axes[1, 0], within=24.0)
    for column, (subtype, each) in enumerate(found.items(), start=1):
        plot_lead_time(each, axes[0, column]).set_title(f"{subtype}, visits every 6 months", fontsize=9.5)
        plot_decision(each, axes[1, column], within=24.0).set_title(subtype, fontsize=9.5)
    for color, (subtype, table) in zip(("#0072B2", "#D55E00"), plans.items(), strict=True):
        best = table[table["even"].notna()]
        axes[0, 3].plot(best["visits"], best["lead"], "-o", color=color, label=f"{subtype}, best months")
        axes[0, 3].plot(best["visits"], best["even"], ":s", color=color, label=f"{subtype}, evenly spaced")
    axes[0, 3].set(xlabel="visits with ctDNA in 15 years", ylabel="mean lead (months)")
    axes[0, 3].set_ylim(0, 1.5 * max(table["lead"].max() for table in plans.values()))
    axes[0, 3].legend(frameon=False, fontsize=8, loc="upper left")
    axes[0, 3].spines[["top", "right"]].set_visible(False)
    rows = {f"{name}, {subtype}": months[subtype][name] for name in ("best 5", "best 8") for subtype in months}
    plot_schedules(rows | {name: months["ER-positive"][name] for name in ("annual", "asco", "intensive")}, axes[1, 3])
    return figure


def main(arguments: list[str] | None = None) -> int:
    """Print the tables and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six patients of each subtype")
    parser.add_argument("--out", type=Path, default=Path("early_detection"), help="folder of the table and the figure")
    chosen = parser.parse_args(arguments)
    patients, fates = (6, 60) if chosen.quick else (200, 20)
    good, plans, found, months, told, shown = {}, {}, {}, {}, {}, []
    for subtype, (name, preset) in SUBTYPES.items():
        courses, signals = follow(name, preset, patients, fates)
        event = courses["event"] & courses["followed"]
        told[subtype] = f"{patients} patients with {fates} fates, {int(event.sum())} metastases in {YEARS} years"
        found[subtype], good[subtype] = by_test(courses)
        plans[subtype], months[subtype] = by_schedule(courses)
        shown.append(signals)
    report(good, plans, told)
    chosen.out.mkdir(parents=True, exist_ok=True)
    parts = {f"tests, {name}": each for name, each in good.items()}
    parts |= {f"schedules, {name}": each for name, each in plans.items()}
    pd.concat(parts, names=["part", "row"]).to_csv(chosen.out / "early_detection.csv", float_format="%.6g")
    figure = draw(found, shown[0], plans, months)
    figure.savefig(chosen.out / "early_detection.png", dpi=160)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
