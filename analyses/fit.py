"""Fit the constants that a composition's table calls `fitted` to its facts that are called `calibrated`.

    python analyses/fit.py breast --quick              # how far are the shipped numbers from the facts?
    python analyses/fit.py prostate                    # fit anew and print both
    python analyses/fit.py breast --write              # and put the numbers into parameters.tsv

Least squares over the logarithms of the constants. The accepted interval of a fact is read as one of 95 %, so that the
distance from the published value to its edge is 1.96 standard deviations of that side. Each constant is held by its
bounds and by its prior, which stands where the constant does if the table has none; rows of one constant that hold one
number stay equal. Beside each number stands what the facts tell of it: the share of the spread of its prior that they
take away; below a tenth its prior decides. One Jacobian costs as many runs of the experiments as there are constants;
they use all processors.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

import cascade
from cascade.catalogue import composition_folder
from cascade.evidence import read_parameters, write_parameters
from cascade.facts import Fact, read_facts
from cascade.specs import Parameter
from cascade.validation import Finding

STEP = 0.02
"""Step of the Jacobian in the logarithm of a constant."""
EDGE = 1.96
"""Standard deviations from the published value of a fact to the edge of what is accepted."""
PRIOR = 0.5
"""Spread of the logarithm of a constant whose row has no prior: cohorts and spreads between patients."""


@dataclass(frozen=True)
class Free:
    """One number to fit: the rows that hold it, its value, center and spread of its prior in logarithms, its bounds."""

    ids: tuple[str, ...]
    value: float
    center: float
    spread: float
    lower: float
    upper: float

    @property
    def name(self) -> str:
        """Name of the number: its row, or the first of several and their count."""
        return self.ids[0] if len(self.ids) == 1 else f"{self.ids[0]} (and {len(self.ids) - 1} more)"


@dataclass
class Problem:
    """A composition, the facts to meet and the constants to fit."""

    name: str
    model: cascade.Model
    facts: tuple[Fact, ...]
    free: tuple[Free, ...]

    def findings(self, point: np.ndarray) -> tuple[Finding, ...]:
        """Compute every fact with the constants at exp(`point`)."""
        values = {
            name.replace(".", "__"): float(math.exp(at))
            for free, at in zip(self.free, point, strict=True)
            for name in free.ids
        }
        return cascade.validate(
            self.name, model=self.model, values=values, facts=[fact.id for fact in self.facts]
        ).findings

    def residuals(self, point: np.ndarray) -> np.ndarray:
        """Return the distances of the facts, then those of the constants from the center of their priors."""
        facts = [EDGE * distance(finding) for finding in self.findings(point)]
        held = [(at - free.center) / free.spread for free, at in zip(self.free, point, strict=True)]
        return np.array([*facts, *held])


def distance(finding: Finding) -> float:
    """Return how far a fact is from its published value: 1 at the edge of the accepted interval.

    Without a published value all that is accepted is at distance 0; what is not, by its distance from the edge.
    """
    fact, value = finding.fact, finding.value
    if not np.isfinite(value):
        return 10.0
    lower = -math.inf if fact.lower is None else fact.lower
    upper = math.inf if fact.upper is None else fact.upper
    if fact.value is not None and lower < fact.value < upper:
        edge = upper if value > fact.value else lower
        if math.isfinite(edge):
            return (value - fact.value) / abs(edge - fact.value)
    width = upper - lower if math.isfinite(upper - lower) else abs(lower if math.isfinite(lower) else upper) or 1.0
    return (min(0.0, value - lower) + max(0.0, value - upper)) / width


def free_constants(rows: tuple[Parameter, ...], model: cascade.Model, also: list[str]) -> tuple[Free, ...]:
    """Return the fitted rows of the composition, and those asked for beside them."""
    groups: dict[tuple[str, float], list[Parameter]] = {}
    for row in [row for row in rows if row.evidence == "fitted"]:
        groups.setdefault((row.id.split(".")[-1], row.nominal), []).append(row)
    for name in also:
        row = model.parameter(name)
        groups[name, row.nominal] = [replace(row, id=name)]
    return tuple(_free(group) for group in groups.values())


def _free(group: list[Parameter]) -> Free:
    row = group[0]
    lower, upper = row.lower or 1e-3 * row.nominal, row.upper or 1e3 * row.nominal
    center, spread = math.log(row.nominal), PRIOR
    if row.prior == "log-normal":
        center, spread = row.prior_parameters
    elif row.prior:
        spread = math.log(upper / lower) / math.sqrt(12)
    return Free(tuple(each.id for each in group), row.nominal, center, spread, lower, upper)


_PROBLEM: list[Problem] = []
"""What a worker process computes with, set once."""


def _take(name: str, facts: tuple[Fact, ...], free: tuple[Free, ...]) -> None:
    model = cascade.compose(cascade.load_composition(name))
    _PROBLEM[:] = [Problem(name, model, facts, free)]


def _residuals(point: np.ndarray) -> np.ndarray:
    return _PROBLEM[0].residuals(point)


def fit(problem: Problem, iterations: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the fitted constants and what the facts tell of each (0: nothing, 1: all)."""
    arguments = (problem.name, problem.facts, problem.free)
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_take, initargs=arguments) as pool:

        def jacobian(point: np.ndarray) -> np.ndarray:
            points = [point, *(point + STEP * unit for unit in np.eye(len(point)))]
            base, *moved = pool.map(_residuals, points)
            print(f"  sum of squares {float(np.sum(base**2)):.3f}", flush=True)
            return np.stack([(each - base) / STEP for each in moved], axis=1)

        start = np.log([free.value for free in problem.free])
        bounds = np.log([(free.lower, free.upper) for free in problem.free]).T
        solution = least_squares(
            lambda point: pool.submit(_residuals, point).result(),
            np.clip(start, bounds[0] + 1e-6, bounds[1] - 1e-6),
            jac=jacobian,
            bounds=bounds,
            max_nfev=iterations,
            x_scale=[free.spread for free in problem.free],
        )
    spread = np.array([free.spread for free in problem.free])
    posterior = np.sqrt(np.diag(np.linalg.inv(solution.jac.T @ solution.jac)))
    return solution.x, 1 - posterior / spread


def write(path: Path, free: tuple[Free, ...], point: np.ndarray) -> None:
    """Put the fitted numbers into a parameter table; a prior that was centered on a number follows it, bounds stay."""
    fitted = {name: float(f"{math.exp(at):.4g}") for f, at in zip(free, point, strict=True) for name in f.ids}
    rows = [_moved(row, fitted[row.id]) if row.id in fitted else row for row in read_parameters(path)]
    write_parameters(path, rows)
    known = {row.id for row in rows}
    for name in fitted.keys() - known:
        print(f"{name} is not in {path.name}: add a row with {fitted[name]:g}")


def _moved(row: Parameter, value: float) -> Parameter:
    prior = row.prior_parameters
    if row.prior == "log-normal" and abs(prior[0] - math.log(row.nominal)) < 0.02:
        prior = (float(f"{math.log(value):.6g}"), prior[1])
    return replace(row, nominal=value, prior_parameters=prior)


def report(problem: Problem, point: np.ndarray) -> float:
    """Print every fact beside the model; return the root mean square distance."""
    found = problem.findings(point)
    print(f"{'fact':<28}{'model':>11}{'published':>11}{'accepted':>22}{'distance':>10}")
    for each in found:
        fact = each.fact
        accepted = f"{fact.lower if fact.lower is not None else ''} to {fact.upper if fact.upper is not None else ''}"
        published = "" if fact.value is None else f"{fact.value:g}"
        print(f"{fact.id:<28}{each.value:>11.4g}{published:>11}{accepted:>22}{distance(each):>10.2f}")
    spread = math.sqrt(sum(distance(each) ** 2 for each in found) / len(found))
    print(f"root mean square distance: {spread:.2f} of the accepted half-intervals")
    return spread


def main(arguments: list[str] | None = None) -> int:
    """Print the facts beside the model, shipped and fitted; exit code 1 if they are off by more than 1 on average."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="breast", help="composition (default: breast)")
    parser.add_argument("--quick", action="store_true", help="compare the shipped numbers, do not fit")
    parser.add_argument("--also", nargs="*", default=[], metavar="ID", help="constants to fit beside the fitted rows")
    parser.add_argument("--facts", nargs="*", default=[], metavar="ID", help="facts to meet beside the calibrated ones")
    parser.add_argument("--iterations", type=int, default=6, help="steps of the fit (default: 6)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all processors)")
    parser.add_argument("--write", action="store_true", help="put the numbers into the composition's parameters.tsv")
    asked = parser.parse_args(arguments)
    folder = composition_folder(asked.name)
    model = cascade.compose(cascade.load_composition(asked.name))
    facts = tuple(
        fact for fact in read_facts(folder / "evidence.tsv") if fact.role == "calibrated" or fact.id in asked.facts
    )
    problem = Problem(
        asked.name, model, facts, free_constants(read_parameters(folder / "parameters.tsv"), model, asked.also)
    )
    start = np.log([free.value for free in problem.free])
    spread = report(problem, start)
    if not asked.quick:
        point, told = fit(problem, asked.iterations, asked.workers)
        print(f"{'constant':<44}{'was':>12}{'fitted':>12}{'told by the facts':>20}")
        for free, at, share in zip(problem.free, point, told, strict=True):
            print(f"{free.name:<44}{free.value:>12.4g}{math.exp(at):>12.4g}{share:>19.0%}")
        spread = report(problem, point)
        if asked.write:
            write(folder / "parameters.tsv", problem.free, point)
    return 0 if spread < 1 else 1


if __name__ == "__main__":
    sys.exit(main())
