"""What does a composed model cost, and how does the cost grow with organs and clones?

Prints the size of a composition, the time to compose and to compile it, and the median time of a run of ten years at
three tolerances; then, for a composition with index sets, the same for fewer organs and for more clones. Times depend
on the machine, ratios hardly do. Right-hand sides are an estimate, since the integrator does not tell: 1.3 a step, and
one for each state whenever the Jacobian is renewed, about every 45 steps.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import libsbml

import cascade
from cascade.engine import OK, Engine
from cascade.simulate import DAYS_PER_YEAR, one_run

YEARS, POINTS, READOUT = 10.0, 201, "endpoints__h_cumulative"
TOLERANCES = (1e-4, 1e-6, 1e-8)
DEFAULT = 1e-6
STEPS_PER_JACOBIAN, NEWTON = 45, 1.3


@dataclass(frozen=True)
class Cost:
    """Sizes, seconds to compose and to compile, and per tolerance the steps and the milliseconds of a run."""

    states: int
    reactions: int
    compose: float
    load: float
    steps: Mapping[float, int]
    run: Mapping[float, float]

    @property
    def right_hand_sides(self) -> int:
        """An estimate at the default tolerance."""
        return round(self.steps[DEFAULT] * (NEWTON + self.states / STEPS_PER_JACOBIAN))


def measure(composition: cascade.Composition, repeats: int, tolerances: Sequence[float] = TOLERANCES) -> Cost:
    """Compose, compile and run; runs at different tolerances alternate, so that a busy moment meets all of them."""
    begin = time.perf_counter()
    model = cascade.compose(composition)
    seconds = time.perf_counter() - begin
    jobs = {
        tolerance: one_run(
            model, (READOUT,), YEARS * DAYS_PER_YEAR, POINTS, cascade.Solver(relative_tolerance=tolerance)
        )
        for tolerance in tolerances
    }
    engine = Engine(jobs[DEFAULT][0].sbml)
    times: dict[float, list[float]] = {tolerance: [] for tolerance in tolerances}
    for _ in range(repeats):
        for tolerance, (job, values) in jobs.items():
            begin = time.perf_counter()
            run = engine.run(job, values)
            times[tolerance].append(1e3 * (time.perf_counter() - begin))
            if run.status != OK:
                raise SystemExit(f"{composition.name}: {run.status}")
    document = libsbml.readSBMLFromString(model.flat)
    return Cost(
        states=engine.states,
        reactions=document.getModel().getNumReactions(),
        compose=seconds,
        load=engine.seconds_to_load,
        steps={tolerance: engine.steps(job, values) for tolerance, (job, values) in jobs.items()},
        run={tolerance: statistics.median(spent) for tolerance, spent in times.items()},
    )


def variants(composition: cascade.Composition, most: int) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
    """Yield index sets with fewer organs and with more clones; none for a composition without them."""
    sets = composition.index
    for count in range(len(sets.get("systemic", ()))):
        yield f"{count + len(sets['organ']) - len(sets['systemic'])} organs", {"systemic": sets["systemic"][:count]}
    if "subclone" in sets:
        for count in range(most):
            names = [f"clone_{number}" for number in range(2, count + 2)]
            if tuple(names) != tuple(sets["subclone"]):
                yield f"{count + 1} clones", {"subclone": names}


def show(name: str, cost: Cost, whole: Cost) -> None:
    """Print one line, with ratios to the whole composition."""
    ratio = cost.run[DEFAULT] / whole.run[DEFAULT]
    print(
        f"{name:<22} {cost.states:>4} states {cost.reactions:>5} reactions {cost.steps[DEFAULT]:>6} steps"
        f" {cost.right_hand_sides:>7} right-hand sides (estimate)   compose {cost.compose:5.2f} s"
        f"   compile {cost.load:5.2f} s   run {cost.run[DEFAULT]:6.1f} ms   {ratio:5.2f} x"
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the cost of a composition and of its variants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("composition", nargs="?", default="breast", help="name or folder of a composition")
    parser.add_argument("--quick", action="store_true", help="two runs each, one variant of each kind")
    options = parser.parse_args(arguments)
    repeats = 2 if options.quick else 9
    composition = cascade.load_composition(options.composition)
    whole = measure(composition, repeats)
    show(composition.name, whole, whole)
    for tolerance in TOLERANCES:
        print(
            f"  relative tolerance {tolerance:g}: {whole.run[tolerance]:6.1f} ms, {whole.steps[tolerance]} steps,"
            f" {whole.run[tolerance] / whole.run[DEFAULT]:.2f} x that at {DEFAULT:g}"
        )
    kinds: set[str] = set()
    for name, index in variants(composition, most=4):
        kind = name.split()[-1]
        if options.quick and kind in kinds:
            continue
        kinds.add(kind)
        show(name, measure(cascade.load_composition(options.composition, index=index), repeats, (DEFAULT,)), whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
