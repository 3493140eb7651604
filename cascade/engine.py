"""The libRoadRunner door: configure, load, set values, run one, retry, classify failures.

Every setting below was measured to matter; each has a canary test in `tests/test_engine.py`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._capture import captured
from cascade.errors import SimulationError
from cascade.specs import Solver

if TYPE_CHECKING:
    from numpy.typing import NDArray

OK = "ok"

REASONS: dict[str, str] = {
    "CV_TOO_MUCH_WORK": "too many steps: the solver ran out of steps between two rows; raise Solver(maximum_steps=...),"
    " ask for more points, or look for a rate that is far too fast",
    "CV_CONV_FAILURE": "no convergence: a value became infinite or not a number, or a rate jumps; look for a division"
    " by zero, a root of a negative number or growth without bound",
    "CV_ERR_FAILURE": "error test failed: the solution changes too abruptly for the tolerance; loosen"
    " Solver(relative_tolerance=...) or smooth the rate",
    "CV_TOO_MUCH_ACC": "too much accuracy asked: raise Solver(relative_tolerance=...) or"
    " Solver(absolute_tolerance=...)",
    "CV_TOO_CLOSE": "rows too close together: simulate longer or ask for fewer points",
    "CV_ILL_INPUT": "illegal input: a start value or a tolerance is not usable; look at the values of this run",
    "MAX_EVENT_CASCADE": "endless events: events at one time trigger each other; look at the events of the model",
}
"""What the text of a solver failure means and what to do."""


@dataclass(frozen=True)
class Rung:
    """One attempt: the first step in days (0 lets the solver choose), factors on tolerances and on steps."""

    name: str
    first_step: float = 0.0
    tolerance: float = 1.0
    steps: int = 1


LADDER = (
    Rung("as asked"),
    Rung("small first step", first_step=1e-6),
    Rung("tighter tolerance", first_step=1e-9, tolerance=1e-2, steps=5),
    Rung("looser tolerance", tolerance=10.0, steps=10),
)
"""A run that fails is tried again in this order; the index of the rung that worked is its `rung`."""

AFTER_EVENT = 1e-8
"""First step in days of models with events, with which the solver restarts after each.

The step that CVODE guesses goes wrong where a row lies one rounding after an event (a dose on day 3*0.1, a row on 0.3):
then amounts of a drug were off by up to 17 % without a word, in 3 of 275 runs with one dose; with this step in none."""

ORDERS = ((1e-5, 3), (1e-7, 4))
HIGHEST_ORDER = 5
"""Highest order of the formulas by relative tolerance: the first that is not looser, else the highest of all.

Formulas of order 4 and 5 are unstable for lightly damped oscillations (stable within 73 and 52 degrees of the negative
axis, order 3 within 86: Hairer and Wanner, Solving ODE II, V.2). A pulse of p53 that has long died away then comes back
as noise: at 1e-4 and order 5 a run takes up to 200 times the steps for the rest of a patient's life, at 1e-6 some runs
take twice the time, and order 4 none. Tight tolerances need high order."""

NEGATIVE = 1e3
"""A species is negative if it falls below minus this many times its absolute tolerance, scaled with its peak."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all runs of a study share; plain data, so that it can be sent to a worker process.

    Attributes
    ----------
    sbml : str
        Canonical SBML (`cascade._canonical.canonicalize`).
    keys : tuple of str
        Elements that take the values of a run, in the order of the values.
    record : tuple of str
        libRoadRunner selections of the recorded symbols.
    watch : tuple of str
        Selections of all species; they must stay finite and not negative.
    scales : mapping
        Factor on the absolute tolerance per state; 1 where missing.
    reload : bool
        Load a fresh instance for every run.
    """

    sbml: str = field(repr=False)
    keys: tuple[str, ...] = ()
    record: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict, repr=False)
    days: float
    points: int
    solver: Solver
    reload: bool = False


@dataclass(frozen=True)
class Run:
    """Outcome of one run: rows by recorded symbol or None, the rung that worked or -1, "ok" or the reason."""

    rows: NDArray[np.float64] | None
    rung: int
    status: str


class StepBudgetError(Exception):
    """A run needs more steps than the caller is willing to spend without a clock."""


def load_roadrunner() -> Any:
    """Import libRoadRunner with the settings that make it fast, faithful and safe for any id.

    At the level LESS a lean model runs a tenth quicker and compiles in twice the time, but others compile for minutes;
    levels round differently, so that all processes must use one.
    """
    import roadrunner

    config = roadrunner.Config
    for key, value in (
        (config.LLVM_BACKEND, config.LLJIT),
        (config.LLJIT_OPTIMIZATION_LEVEL, config.NONE),
        (config.LOADSBMLOPTIONS_RECOMPILE, True),
        (config.ROADRUNNER_DISABLE_PYTHON_DYNAMIC_PROPERTIES, True),
        (config.PYTHON_ENABLE_NAMED_MATRIX, False),
        (config.LOADSBMLOPTIONS_CONSERVED_MOIETIES, False),
    ):
        config.setValue(key, value)
    return roadrunner


class Engine:
    """One compiled model. Owns its libRoadRunner instance and hands out no handle of it. Not for threads."""

    def __init__(self, sbml: str) -> None:
        self._columns: tuple[str, ...] = ()
        begin = time.monotonic()
        self._load(sbml)
        self.seconds_to_load = time.monotonic() - begin

    def _load(self, sbml: str) -> None:
        roadrunner = load_roadrunner()
        with captured():
            try:
                self._runner = roadrunner.RoadRunner(sbml)
            except RuntimeError as error:
                raise SimulationError(
                    f"libRoadRunner cannot load the model: {error}; check it with cascade.check"
                ) from None
        self._columns = ()
        self._states = tuple(self._state_ids())

    def _state_ids(self) -> Iterator[str]:
        """Yield the states in the order of the tolerance vector: rate-rule variables, then floating species."""
        number = len(self._runner.integrator.getAbsoluteToleranceVector())
        for index in range(number):
            yield self._runner.model.getStateVectorId(index)

    def run(self, job: Job, values: Sequence[float], budget: int | None = None) -> Run:
        """Run once, climbing the ladder if it fails.

        Parameters
        ----------
        job : Job
            What all runs share; its SBML must be that of this engine.
        values : sequence of float
            One value per `job.keys`.
        budget : int, optional
            Steps per row to spend at most.

        Raises
        ------
        StepBudgetError
            If the run needs more than `budget` steps between two rows and the solver settings allow them.
        """
        text = _edited(job, values) if job.reload else ""
        first = ""
        for number, rung in enumerate(LADDER):
            if job.reload:
                self._load(text)
            self._select(job)
            rows, reason = self._attempt(job, values, rung, budget)
            if rows is not None:
                return Run(rows, number, OK)
            first = first or reason
        return Run(None, -1, first)

    def steps(self, job: Job, values: Sequence[float]) -> int:
        """Return how many steps the integrator takes for a run, to measure it."""
        self._configure(job, LADDER[0], job.solver.maximum_steps)
        self._start(job, values)
        self._runner.integrator.setValue("variable_step_size", True)
        with captured():
            return len(self._runner.simulate(0.0, job.days)) - 1

    @property
    def states(self) -> int:
        """How many states the model has."""
        return len(self._states)

    def _select(self, job: Job) -> None:
        columns = ("time", *job.record, *(name for name in job.watch if name not in set(job.record)))
        if columns != self._columns:
            self._runner.timeCourseSelections = list(columns)
            self._columns = columns

    def _attempt(
        self, job: Job, values: Sequence[float], rung: Rung, budget: int | None
    ) -> tuple[NDArray[np.float64] | None, str]:
        steps = job.solver.maximum_steps * rung.steps
        allowed = steps if budget is None else min(steps, budget)
        with captured() as text:
            try:
                self._configure(job, rung, allowed)
                self._start(job, values)
                table = np.array(self._runner.simulate(0.0, job.days, job.points), dtype=float)
            except RuntimeError as error:
                table, failure = None, str(error)
        if table is None:
            if "CV_TOO_MUCH_WORK" in failure and allowed < steps:
                raise StepBudgetError
            return None, classify(failure, "".join(text))
        reason = self._judge(job, table, rung)
        return (None, reason) if reason else (table[:, 1 : 1 + len(job.record)], "")

    def _configure(self, job: Job, rung: Rung, steps: int) -> None:
        """Set everything that matters every time: a failed run leaves settings changed."""
        integrator = self._runner.integrator
        integrator.setValue("variable_step_size", False)
        integrator.setValue("stiff", True)
        integrator.setValue("relative_tolerance", job.solver.relative_tolerance * rung.tolerance)
        integrator.setValue("maximum_bdf_order", _order(job.solver.relative_tolerance))
        absolute = job.solver.absolute_tolerance * rung.tolerance
        integrator.setValue("absolute_tolerance", [absolute * job.scales.get(name, 1.0) for name in self._states])
        first = rung.first_step or (AFTER_EVENT if self._runner.model.getNumEvents() else 0.0)
        integrator.setValue("initial_time_step", min(first, job.days * 1e-3))
        integrator.setValue("maximum_num_steps", steps)

    def _start(self, job: Job, values: Sequence[float]) -> None:
        """Put the model at time 0 with these values; the only recipe that holds for events and assigned values."""
        if job.reload:
            return
        self._runner.resetToOrigin()
        model = self._runner.model
        for key, value in zip(job.keys, values, strict=True):
            model[f"init({key})"] = float(value)
        self._runner.resetAll()

    def _judge(self, job: Job, table: NDArray[np.float64], rung: Rung) -> str:
        """Return what is wrong with the numbers, or an empty text."""
        if table.shape[0] != job.points:
            return f"incomplete: {table.shape[0]} of {job.points} rows"
        bad = ~np.isfinite(table)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            return not_finite(_plain(self._columns[column]), float(table[row, column]), float(table[row, 0]))
        absolute = job.solver.absolute_tolerance * rung.tolerance
        watched = set(job.watch)
        for column, name in enumerate(self._columns):
            if name in watched:
                values = table[:, column]
                floor = absolute * (job.scales.get(_plain(name), 1.0) + 1e-6 * values.max()) * NEGATIVE
                if values.min() < -floor:
                    row = int(values.argmin())
                    return (
                        f"negative {_plain(name)}: {values[row]:.3g} at day {table[row, 0]:g}; look for a loss that"
                        " goes on when nothing is left, or tighten Solver(absolute_tolerance=...)"
                    )
        return ""


def _order(tolerance: float) -> int:
    return next((order for loose, order in ORDERS if tolerance >= loose), HIGHEST_ORDER)


def not_finite(name: str, value: float, day: float) -> str:
    """Say that a symbol is infinite or not a number."""
    return f"not finite: {name} is {value} at day {day:g}; look for a division by zero in its formula"


def _edited(job: Job, values: Sequence[float]) -> str:
    from cascade._canonical import with_values

    return with_values(job.sbml, dict(zip(job.keys, values, strict=True)))


def _plain(selection: str) -> str:
    return selection.strip("[]")


def classify(failure: str, text: str = "") -> str:
    """Turn the text of a solver failure into one sentence: what happened, when, what to do.

    Parameters
    ----------
    failure : str
        Text of libRoadRunner's exception.
    text : str
        What was captured meanwhile; may say at which time it stopped.
    """
    for code, meaning in REASONS.items():
        if code in failure:
            when = re.search(r"At t = ([-+0-9.eE]+)", text)
            what, _, advice = meaning.partition(":")
            return f"{what}{f' at day {float(when.group(1)):.4g}' if when else ''}:{advice} [{code}]"
    if "vent" in failure and "ascade" in failure:
        return REASONS["MAX_EVENT_CASCADE"]
    return "failed: " + " ".join(failure.split())[:300]
