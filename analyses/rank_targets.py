"""Which targets lower the risk of overt metastasis after surgery, in breast and in prostate cancer, and how sure is it?

Ranks all targets of the table in each model: 90 and 50 % of the activity blocked in patients drawn from the priors,
adjuvant, neoadjuvant, as prevention and in metastatic disease, with what the reverse of each drug would do, the effect
by organ, the stages of the cascade on which the leading targets act, and how far all that rests on assumed numbers.
Prints the leading targets of both, what they have in common, and what the ranking says with other patients. Writes a
report for each model; a run that was stopped goes on with `--resume`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import cascade

SAMPLES = {"breast": 100, "prostate": 200}
"""Parameter sets: about half of those of prostate cancer are operated within its 60 years (see its composition)."""

OTHERS = 100
"""Of every other model."""

QUICK = ("breast_lite",)
FEW = ("proliferation", "kdr", "mek", "angiogenic_switch", "pd1", "tgfbr1", "rankl")
"""Targets of the quick run."""

LEADING = 10


def rank(model: cascade.Model, out: Path, quick: bool, resume: bool, seed: int = 1) -> xr.Dataset:
    """Rank the targets of one model."""
    samples = SAMPLES.get(model.name, OTHERS)
    options: dict[str, Any] = {"samples": samples, "total_samples": 10 * samples, "morris_trajectories": 4}
    if quick:
        options = {
            "samples": 14,
            "targets": FEW,
            "morris_trajectories": 0,
            "assumed_pairs": 0,
            "windows": ["neoadjuvant"],
        }
    store = None if quick else out / "runs"
    return cascade.rank_targets(
        model, "p_overt_5y", seed=seed, store=store, resume=resume, progress=not quick, **options
    )


def show(name: str, ranking: xr.Dataset) -> None:
    """Print the leading targets and the verdict."""
    table = cascade.ranking_table(ranking).head(LEADING)
    columns = [
        "target",
        "effect",
        "95 % from",
        "95 % to",
        "P(first)",
        "P(top 5)",
        "rank 95 % from",
        "rank 95 % to",
        "group of ties",
    ]
    print(f"\n{name}: {ranking.attrs['patients']} patients of {ranking.attrs['samples']} parameter sets, "
          f"{ranking.attrs['runs']} runs, {ranking.attrs['failed_runs']} failed")  # fmt: skip
    print(table[columns].round(4).to_string())
    best = {
        str(window): str(ranking["target"].values[int(np.nanargmin(ranking["effect_mean"].sel(window=window)))])
        for window in ranking["window"].values
    }
    print("best by window: " + ", ".join(f"{window} {target}" for window, target in best.items()))
    if "assumed_share" in ranking:
        share, flips = np.nanmedian(ranking["assumed_share"].values[:LEADING]), ranking.attrs["verdict_flips"]
        print(
            f"share on assumed numbers of the leading targets: median {share:.0%}; if those are drawn anew, another is"
            f" the best in {flips:.0%} of the patients"
        )


def halves(ranking: xr.Dataset) -> str:
    """Compare the rankings of the first and the second half of the patients: Kendall's tau of the leading targets."""
    from scipy.stats import kendalltau

    treated = ranking["treated"].sel(window=ranking.attrs["window"]).isel(target=slice(LEADING))
    change = (treated - ranking["untreated"]).transpose("patient", "target").values[1:]
    middle = len(change) // 2
    first, second = np.nanmean(change[:middle], axis=0), np.nanmean(change[middle:], axis=0)
    return (
        f"tau of the leading {len(first)} between two halves of the patients: {kendalltau(first, second).statistic:.2f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Rank, print, and write the reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the small breast model, few targets and patients")
    parser.add_argument("--model", action="append", help="name of a composition (repeat the option)")
    parser.add_argument("--out", type=Path, default=Path("rank_targets"), help="folder of the reports")
    parser.add_argument("--resume", action="store_true", help="go on with the runs in the folder")
    chosen = parser.parse_args(arguments)
    leading: dict[str, list[str]] = {}
    for name in chosen.model or (QUICK if chosen.quick else SAMPLES):
        model = cascade.compose(cascade.load_composition(name))
        out = chosen.out / name
        ranking = rank(model, out, chosen.quick, chosen.resume)
        show(name, ranking)
        print(halves(ranking))
        leading[name] = [str(target) for target in ranking["target"].values[:LEADING]]
        if chosen.quick:
            continue
        years, points = float(ranking.attrs["years"]), int(ranking.attrs["points"])
        drugs = cascade.target_treatments(model, leading[name][:3], fraction=0.9, window="adjuvant")
        stages = cascade.waterfall(model, drugs, "p_overt_5y", years=years)
        untreated = cascade.simulate(model, years=years, points=points)
        command = f"python analyses/rank_targets.py --model {name}"
        print(f"wrote {cascade.write_report(out, model, ranking, untreated, command, stages=stages)}")
    if len(leading) > 1:
        common = set.intersection(*(set(names) for names in leading.values()))
        print(f"\namong the leading {LEADING} of all: {', '.join(sorted(common)) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
