"""Who benefits from which drug, and who from none: a cohort of operated ER-positive breast cancer.

Patients of the cohort `breast_er` (sizes, tumor growth, dormancy, TP53, PIK3CA, PTEN and CDH1 as published), in whom
loss of RB1 is drawn more often than it occurs and weighted back, so that there are enough carriers to tell. Each is
given, from surgery on and alone: letrozole for five years, palbociclib for two, bevacizumab or pembrolizumab for one,
four doses of doxorubicin or of paclitaxel, and denosumab every six months for three. Endocrine therapy and CDK4/6
inhibitors act on the growth of cells that listen to them, which those without RB1 do not; the test of the method is
that it finds so.

Subgroups are compared with all others by a studentized permutation test with Holm's correction over all drugs and
subgroups, both for the absolute effect (larger where the risk is) and for the log hazard ratio. One subgroup is of even
numbers of patients: it must not differ.

Numbers needed to treat hang on the risk without treatment. Here that is the risk of the cohort, of women operated in
1978-85, mostly node-positive (Colleoni 2016: 9.9 % a year within five years): where the risk is lower today, more must
be treated for one. An effect that the solver alone could make counts as none.

Prints effects and numbers needed to treat for one metastasis less within five and ten years, and for how many each drug
is the best or none averts a percentage point; writes `who_benefits.csv`, `best.csv` and `who_benefits.png`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import cascade
from cascade.cohort import sample_cohort
from cascade.cohort.presets import load_preset
from cascade.personal_ranking import best_counts, personal_ranking
from cascade.plot_personal import best_targets, effect_map, subgroups
from cascade.subgroup_effects import subgroup_effects
from cascade.subgroups import subgroups_of
from cascade.therapy.regimens import Regimen

PRESET = "breast_er"
RB1, RB1_DRAWN = 0.04, 0.25
"""Share of ER-positive tumors without RB1 (recalled: a few percent before treatment), and the share that is drawn."""

SUBGROUPS = ("rb1_loss", "tp53_loss", "pik3ca_mutation", "pten_loss", "cdh1_loss", "diameter_mm > 20")
FLOOR = 0.01
"""Averted risk within ten years that counts as a benefit."""

MOST_NEEDED = 1e4
"""Numbers needed to treat above this are none."""

COURSES = {
    "letrozole": ("daily", 5.0),
    "palbociclib": ("three_one", 2.0),
    "bevacizumab": ("q3w", 1.0),
    "pembrolizumab": ("q3w", 1.0),
    "doxorubicin": ("adjuvant", None),
    "paclitaxel": ("adjuvant", None),
    "denosumab": ("q6m", 3.0),
}
"""Regimen and years of each drug; those without are given as often as their regimen says."""

QUICK = ("letrozole", "denosumab")


def people(model: cascade.Model, count: int, seed: int) -> xr.Dataset:
    """Sample the cohort, carriers of RB1 loss more often than they are and with weights that take that back."""
    shares = {name: each.share for name, each in load_preset(PRESET).genotypes.items()}
    shares = {name: share for name, share in shares.items() if share < 1} | {"rb1_loss": RB1_DRAWN}
    cohort = sample_cohort(model, count, seed=seed, preset=PRESET, genotypes=shares)
    carrier = cohort["has_genotype"].sel(genotype="rb1_loss").values
    weight = np.where(carrier, RB1 / RB1_DRAWN, (1 - RB1) / (1 - RB1_DRAWN))
    return cohort.assign(weight=("patient", weight / weight.mean(), {"role": "weight"}))


def courses(names: tuple[str, ...]) -> list[Regimen]:
    """Return the drugs as they are given."""
    found = []
    for name in names:
        regimen, years = COURSES[name]
        found.append(cascade.regimen(name, regimen, **({} if years is None else {"stop": years * 365.25})))
    return found


def study(model: cascade.Model, cohort: xr.Dataset, drugs: list[Regimen], seed: int, draws: int) -> xr.Dataset:
    """Give every patient every drug; draw anew what the cohort does not tell."""
    return cascade.rank_targets(
        model, "p_overt_10y", targets=(), drugs=drugs, patients=cohort, n_draws=draws, windows=(), also=(),
        assumed_pairs=0, morris_trajectories=0, years=35, seed=seed,
    )  # fmt: skip


def groups(ranking: xr.Dataset, cohort: xr.Dataset) -> xr.DataArray:
    """Return the subgroups, with those of high risk, and even numbers, which mean nothing."""
    untreated = ranking["untreated"].isel(patient=slice(1, None)).to_series()
    high = (untreated > untreated.median()).reindex(cohort["patient"].values)
    even = pd.Series(np.arange(cohort.sizes["patient"]) % 2 == 0, index=cohort["patient"].values)
    carried = {str(name) for name in cohort["genotype"].values}
    named = {name: name for name in SUBGROUPS if name in carried or " " in name}
    return subgroups_of(cohort, named | {"risk above the median": high.astype(float), "even number": even})


def report(effects: xr.Dataset, personal: xr.Dataset) -> pd.DataFrame:
    """Print the tables and return that of effects."""
    names = [str(name) for name in effects["target"].values]
    print(
        "percentage points of risk averted within ten years\n"
        "(differs from the rest beyond chance: * these points, + only the hazard ratio)"
    )
    print(f"{'':<26}{'people':>8}{'risk':>8}" + "".join(f"{name:>16}" for name in names))
    for group in effects["subgroup"].values:
        for side in ("in", "out"):
            row = effects.sel(subgroup=group, side=side)
            if not row["patients"] > 0:
                continue
            label = str(group) if side == "in" else "  all others"
            risk = float(row["risk"].sel(horizon=10))
            line = f"{label:<26}{float(row['people_share']):>8.1%}{risk:>8.1%}"
            for name in names:
                mark = _mark(row.sel(target=name)) if side == "in" else ""
                averted = 100 * float(row["risk_reduction"].sel(target=name, horizon=10))
                line += f"{averted:.2f}{mark}".rjust(16)
            print(line)
    print("\nnumber needed to treat (95 %), within five and ten years; negative: to harm")
    print(" " * 36 + "".join(f"{name:>24}" for name in names))
    for group in effects["subgroup"].values:
        for horizon in effects["horizon"].values:
            row = effects.sel(subgroup=group, side="in", horizon=horizon)
            cells = [needed(row.sel(target=name)) for name in names]
            print(f"{group!s:<26}{f'{horizon:.0f} years':>10}" + "".join(f"{cell:>24}" for cell in cells))
    print(f"\nbest drug, by share of the people (none: no drug averts {FLOOR:.0%} of risk)")
    for name, share in sorted(best_counts(personal).items(), key=lambda pair: -pair[1]):
        print(f"{name:<26}{share:>8.1%}")
    if "effect_mean" in personal:
        sure = personal["p_best"].max("target").where(personal["best"] != "none", personal["p_none"])
        print(f"the best one is the best in {float(sure.weighted(personal['weight']).mean()):.0%} of the draws")
    return effects.drop_vars(["kind", "target_name"]).to_dataframe().reset_index()


def _mark(row: xr.Dataset) -> str:
    return "*" if bool(row["different_effect"]) else "+" if bool(row["different"]) else ""


def needed(row: xr.Dataset) -> str:
    """Write a number needed to treat with its interval."""
    number, low, high = (float(row[f"nnt{end}"]) for end in ("", "_lower", "_upper"))
    if not np.isfinite(number) or abs(number) > MOST_NEEDED:
        return "-"
    limit = f"{high:.0f}" if abs(high) < MOST_NEEDED else "no limit"
    return f"{number:.0f} ({low:.0f} to {limit})"


def draw(effects: xr.Dataset, personal: xr.Dataset) -> Figure:
    """Draw effects by drug and subgroup, one drug in detail, and the best drug."""
    figure, axes = plt.subplots(1, 3, figsize=(19, 5.2), layout="constrained", width_ratios=(1.7, 1, 0.9))
    effect_map(effects, axes[0]).set_title(
        "risk averted (points); framed: differs from all others (dashed: only the hazard ratio)", fontsize=10
    )
    subgroups(effects, str(effects["target"].values[0]), axes[1])
    best_targets(personal, axes[2]).set_title("who benefits from which, and who from none", fontsize=10, loc="left")
    return figure


def main(arguments: list[str] | None = None) -> int:
    """Print the tables and write tables and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few patients, two drugs, nothing drawn anew")
    parser.add_argument("--model", default="breast_lite", help="name of a composition")
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--draws", type=int, default=0, help="draws of what the cohort does not tell, for each patient")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("who_benefits"), help="folder of the tables and the figure")
    chosen = parser.parse_args(arguments)
    model = cascade.compose(cascade.load_composition(chosen.model))
    cohort = people(model, 24 if chosen.quick else chosen.patients, chosen.seed)
    drugs = courses(QUICK if chosen.quick else tuple(COURSES))
    ranking = study(model, cohort, drugs, chosen.seed, 0 if chosen.quick else chosen.draws)
    effects = subgroup_effects(ranking, groups(ranking, cohort))
    personal = personal_ranking(ranking, floor=FLOOR)
    table = report(effects, personal)
    chosen.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(chosen.out / "who_benefits.csv", float_format="%.6g", index=False)
    personal.drop_vars(["kind", "target_name"]).to_dataframe().to_csv(chosen.out / "best.csv", float_format="%.6g")
    figure = draw(effects, personal)
    figure.savefig(chosen.out / "who_benefits.png", dpi=160)
    plt.close(figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
