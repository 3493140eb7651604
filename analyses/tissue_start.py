"""Where does the tissue around the first tumor cell rest? Prints `[start]` of the composition `carcinoma`.

A module alone starts in an established tumor. Around a single cell there is next to no infiltrate, hypoxia or stroma,
and signals need weeks, stroma and vessels months to get there: a start that is not one of any patient, and a tenth of
the steps of a run. This script lets `breast` run for 400 days, to some thousand cells, and prints what the tissue came
to. Marks on chromatin are left out: they are a memory, and begin at 0. With `--quick` it tells whether the shipped
start is still that of the model.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

import cascade
from cascade._canonical import symbol_table

TISSUE = (
    "tgf_beta",
    "emt",
    "hypoxia_vegf",
    "pdl1_immune",
    "microenvironment",
    "wnt",
    "notch",
    "csc_epi",
    "drivers",
)
MEMORY = ("f_marked", "f_methylated", "_own")
"""Parts of names of states that do not follow their surroundings within weeks, or that a composition does not use."""
DAYS = 400
CHANGED = 0.01
"""Relative change from which on a start is written."""
HOLDS = 0.1
"""Relative difference up to which a shipped start still holds."""
NEGLIGIBLE = 0.03
"""Value of a state, in its unit, below which differences are taken relative to this."""


def starts(composition: cascade.Composition) -> dict[str, tuple[float, float]]:
    """Return the first and the last value of every state of the tissue, by flat id."""
    model = cascade.compose(composition)
    run = cascade.simulate(model, days=DAYS, points=3, solver=cascade.Solver(relative_tolerance=1e-8))
    states = [
        symbol.id
        for symbol in symbol_table(model.flat).values()
        if symbol.role == "integrated"
        and symbol.id.partition("__")[0] in TISSUE
        and not any(word in symbol.id for word in MEMORY)
    ]
    states.sort(key=lambda name: TISSUE.index(name.partition("__")[0]))
    return {name: (float(run[name][0]), float(run[name][-1])) for name in states}


def main(arguments: list[str] | None = None) -> int:
    """Print the start of the tissue; with --quick exit code 1 if the shipped one is off by more than a tenth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="compare the shipped start, print no new one")
    quick = parser.parse_args(arguments).quick
    shipped = cascade.load_composition("breast")
    moved = {
        name: (first, last)
        for name, (first, last) in starts(shipped if quick else replace(shipped, start={})).items()
        if abs(last - first) > (HOLDS if quick else CHANGED) * max(abs(last), NEGLIGIBLE)
    }
    if quick:
        for name, (first, last) in moved.items():
            print(f"{name}: starts at {first:.4g}, rests at {last:.4g}")
        print(f"{len(moved)} states of the tissue start more than {HOLDS:.0%} from where they rest")
        return 1 if moved else 0
    module = ""
    for name, (_, last) in moved.items():
        instance, _, state = name.partition("__")
        if instance != module:
            module = instance
            print(f"\n[start.{module}]")
        print(f"{state} = {last:.4g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
