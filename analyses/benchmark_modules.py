"""How long does a module take alone, and the composition beside it?

Runs every module for 60 days (relative tolerance 1e-6, 201 rows) on a compiled model that is kept, several times, and
prints medians: milliseconds, which depend on the machine, and the ratio to the module `emt`, which hardly does. The
budget of a signaling module is 50 ms on an ordinary core.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import cascade

DAYS, REFERENCE, BUDGET = 60.0, "emt", 50.0


def milliseconds(model: cascade.Model, repeats: int) -> float:
    """Return the median time of one run; the first run, which compiles, is not counted."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        run = cascade.simulate(model, days=DAYS, workers=1)
        times.append(1e3 * (time.perf_counter() - begin))
        if run["status"].item() != "ok":
            raise SystemExit(f"{model.name}: {run['status'].item()}")
    return statistics.median(times[1:])


def main(arguments: list[str] | None = None) -> int:
    """Print one line per module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each module twice")
    repeats = 2 if parser.parse_args(arguments).quick else 15
    names = cascade.module_names()
    models = {name: cascade.compose(cascade.load_module(name)) for name in names}
    found = {name: milliseconds(model, repeats) for name, model in models.items()}
    for name in sorted(found, key=found.__getitem__):
        over = "" if found[name] <= BUDGET else f"  above {BUDGET:g} ms"
        print(f"{name:<20} {found[name]:7.1f} ms   {found[name] / found[REFERENCE]:5.2f} x {REFERENCE}{over}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
