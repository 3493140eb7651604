"""Which pairs and triples of the leading targets do more together than they should?

Ranks the targets of a model as single drugs, takes the leading ones, and gives them in pairs and triples to the same
patients, from surgery on: 50 and 90 % of the activity blocked in patients drawn from the priors, and a grid of doses in
the nominal patient. Prints the combinations by their effect, the share of the hazard of overt metastasis in the five
years after surgery that they take away, with what is beyond independence (Bliss), beyond the best drug (HSA), and the
doses that are saved (Loewe). Writes `combinations.csv`, the overview `pairs.png` and the maps of two pairs, `maps.png`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import cascade
from cascade.combinations import combination_table, combine_targets
from cascade.plot_synergy import synergy_map, synergy_matrix

READOUT = "h_since_surgery_5y"
QUICK = ("proliferation", "kdr", "angiogenic_switch")
"""Targets of the quick run, which ranks nothing."""

SIMILAR = 0.999
"""Targets whose effects agree to this share in every patient act as one; only the first of them is combined."""


def leading(model: cascade.Model, count: int, samples: int) -> list[str]:
    """Return the targets that take most of the hazard away as single drugs, best first, without doubles."""
    ranking = cascade.rank_targets(
        model, READOUT, samples=samples, windows=(), doses=(), opposite=None, also=(), assumed_pairs=0,
        morris_trajectories=0,
    ).sel(window="adjuvant")  # fmt: skip
    left = ranking["treated"] / ranking["untreated"]
    chosen: list[str] = []
    for name in ranking["target"].values[(ranking["effect_upper"] < 0).values]:
        same = [abs(left.sel(target=name) - left.sel(target=other)).max() < 1 - SIMILAR for other in chosen]
        if not any(same) and len(chosen) < count:
            chosen.append(str(name))
    return chosen


def draw_pairs(found: xr.Dataset) -> Figure:
    """Draw all pairs at the larger dose: the excess over independence, and over the best drug."""
    size = 1.6 + 0.75 * found.sizes["target"]
    figure, axes = plt.subplots(1, 2, figsize=(2 * size + 5, size + 0.4), layout="constrained")
    synergy_matrix(found, axes[0], measure="bliss")
    synergy_matrix(found, axes[1], measure="hsa")
    return figure


def extremes(found: xr.Dataset) -> list[str]:
    """Return the pairs of the largest and the smallest Bliss excess, mean over the grid."""
    excess = found["grid_bliss"].mean(("dose_first", "dose_second")).to_series()
    return list(dict.fromkeys((excess.idxmax(), excess.idxmin())))


def draw_maps(found: xr.Dataset) -> Figure:
    """Draw effect, Bliss excess and combination index of the most synergistic and the most antagonistic pair."""
    pairs = extremes(found)
    figure, axes = plt.subplots(len(pairs), 3, figsize=(15, 4.3 * len(pairs)), layout="constrained", squeeze=False)
    for row, pair in zip(axes, pairs, strict=True):
        for axis, measure in zip(row, ("effect", "bliss", "loewe"), strict=True):
            synergy_map(found, pair, axis, measure=measure)
    return figure


def report(found: xr.Dataset, table: pd.DataFrame) -> None:
    """Print the combinations of the larger dose."""
    share = 100 * float(found["dose"][-1] / (1 + found["dose"][-1]))
    print(f"{share:.0f} % of each target, {found.attrs['window']}; mean over {found.sizes['patient'] - 1} patients")
    head = f"{'effect':>9}{'95 %':>16}{'over best':>11}{'Bliss':>8}{'95 %':>18}{'Loewe':>8}"
    print(f"{'combination':<50}{head}  verdict (by Loewe)")
    for name, row in table.iterrows():
        over = 100 * row["hsa"]
        span = f"{row['effect from']:.1%} to {row['effect to']:.1%}"
        beyond = f"{100 * row['bliss from']:+.1f} to {100 * row['bliss to']:+.1f}"
        index = f"{row['loewe']:.2f}" if row["loewe"] == row["loewe"] else "–"
        print(
            f"{name:<50}{row['effect']:>9.1%}{span:>16}{over:>+11.1f}{100 * row['bliss']:>+8.1f}{beyond:>18}"
            f"{index:>8}  {row['verdict']} ({row['verdict by Loewe']})"
        )
    alone = found["alone"].isel(dose=-1, patient=slice(1, None)).mean("patient")
    print("alone: " + ", ".join(f"{name} {float(alone.sel(target=name)):.1%}" for name in found["target"].values))


def main(arguments: list[str] | None = None) -> int:
    """Print the table and write table and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three targets, few patients, two doses")
    parser.add_argument("--model", default="breast_lite", help="name of a composition")
    parser.add_argument("--out", type=Path, default=Path("combinations"), help="folder of the table and the figures")
    chosen = parser.parse_args(arguments)
    begin = time.monotonic()
    model = cascade.compose(cascade.load_composition(chosen.model))
    samples = 10 if chosen.quick else 40
    names = list(QUICK) if chosen.quick else leading(model, 6, samples)
    if len(names) < 2:
        print(f"fewer than two targets lower {READOUT} from surgery on: nothing to combine")
        return 1
    options: dict[str, Any] = {}
    if chosen.quick:
        options = {"doses": (1.0, 9.0), "patient_doses": (9.0,)}
    order = min(3, len(names))
    found = combine_targets(model, names, readout=READOUT, order=order, samples=samples, **options)
    tables = {f"{dose / (1 + dose):.0%}": combination_table(found, dose) for dose in found["dose"].values}
    report(found, list(tables.values())[-1])
    chosen.out.mkdir(parents=True, exist_ok=True)
    pd.concat(tables, names=["blocked", "combination"]).to_csv(chosen.out / "combinations.csv", float_format="%.5g")
    for name, draw in (("pairs", draw_pairs), ("maps", draw_maps)):
        figure = draw(found)
        figure.savefig(chosen.out / f"{name}.png", dpi=160)
        plt.close(figure)
    print(f"{found.attrs['runs']} runs of combinations, {time.monotonic() - begin:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
