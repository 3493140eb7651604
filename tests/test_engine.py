"""Canaries of libRoadRunner: each trap that was measured has one guard in `cascade.engine` and one test here."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from pathlib import Path

import libsbml
import numpy as np
import pytest

from cascade._canonical import canonicalize, symbol_table
from cascade.engine import (
    AFTER_EVENT,
    LADDER,
    NEGATIVE,
    OK,
    REASONS,
    Engine,
    Job,
    Run,
    StepBudgetError,
    classify,
    load_roadrunner,
)
from cascade.errors import SimulationError
from cascade.simulate import single_job
from cascade.specs import Solver

Make = Callable[[str], str]
OPEN_FILES = Path("/proc/self/fd")


def job_of(flat: str, given: Mapping[str, float] | None = None, **changes: object) -> tuple[Job, list[float]]:
    """A job that records every symbol that varies, and the values of one run."""
    values = dict(given or {})
    canonical = canonicalize(flat, tuple(values))
    symbols = [s for s in symbol_table(flat).values() if s.role in ("integrated", "computed", "switched")]
    named = [f"[{s.id}]" if s.kind == "species" and not s.amount else s.id for s in symbols]
    settings: dict[str, object] = {
        "sbml": canonical.sbml,
        "keys": tuple(canonical.keys[key] for key in values),
        "record": tuple(named),
        "watch": tuple(name for name, s in zip(named, symbols, strict=True) if s.kind == "species"),
        "days": 10.0,
        "points": 21,
        "solver": Solver(),
        "reload": canonical.reload,
    }
    return Job(**{**settings, **changes}), list(values.values())  # type: ignore[arg-type]


def run(flat: str, given: Mapping[str, float] | None = None, **changes: object) -> Run:
    job, values = job_of(flat, given, **changes)
    return Engine(job.sbml).run(job, values)


def edited_and_loaded(flat: str, values: Mapping[str, float]) -> np.ndarray:
    """The reference: write the values into the untouched document and run a fresh instance of libRoadRunner once."""
    document = libsbml.readSBMLFromString(flat)
    model = document.getModel()
    for name, value in values.items():
        model.removeInitialAssignment(name)
        species, compartment = model.getSpecies(name), model.getCompartment(name)
        if compartment is not None:
            compartment.setSize(value)
        elif species is None:
            model.getParameter(name).setValue(value)
        elif species.getHasOnlySubstanceUnits():
            species.setInitialAmount(value)
        else:
            species.setInitialConcentration(value)
    runner = load_roadrunner().RoadRunner(libsbml.writeSBMLToString(document))
    job, _ = job_of(flat)
    states = len(runner.integrator.getAbsoluteToleranceVector())
    runner.integrator.setValue("absolute_tolerance", [job.solver.absolute_tolerance] * states)
    runner.integrator.setValue("relative_tolerance", job.solver.relative_tolerance)
    runner.integrator.setValue("maximum_bdf_order", 4)
    runner.integrator.setValue("initial_time_step", AFTER_EVENT if runner.model.getNumEvents() else 0.0)
    runner.timeCourseSelections = ["time", *job.record]
    return np.array(runner.simulate(0, job.days, job.points))[:, 1:]


TRICKY = {
    "parameter from an initial assignment": (
        "V = 0.6*BW; BW = 70; compartment c = 1; species S in c; S = 1; S -> ; c*S*k/V; k = 9",
        {"BW": 35.0},
    ),
    "chain of initial assignments": (
        "a = 2; b = 3*a; d = b^2; compartment c = 1; species S in c; S = d; S -> ; k*b*S*c; k = 0.01",
        {"a": 0.7},
    ),
    "initial assignment itself set": ("a = 2; b = 3*a; x = b; x' = -k*x; k = 0.3", {"b": 0.5}),
    "event changes a parameter": ("x = 0; x' = k; k = 1; E: at time >= 2, t0=false: k = 0.1", {"k": 3.0}),
    "event chain reads set parameters": (
        "x = 0; x' = k; k = 1; dose = 2; E: at time >= start, t0=false: k = k*dose, start = start + 3; start = 1",
        {"dose": 0.5, "start": 2.0},
    ),
    "dose at day 0": (
        "compartment c = 1; species S in c; S = 0; dose = 100; S -> ; k*S*c; k = 0.3;"
        " E: at time >= 0, t0=false: S = S + dose",
        {"dose": 7.0},
    ),
    "dose at day 0 into a set volume": (
        "compartment c = 2; species S in c; S = 0; dose = 100; S -> ; k*S*c; k = 0.3;"
        " E: at time >= 0, t0=false: S = S + dose/c",
        {"c": 5.0},
    ),
    "concentration in a set volume": (
        "compartment c = 1; species S in c, T in c; S = 3; T = 2*S; S -> T; v*c*S/(km + S); v = 1; km = 2",
        {"c": 0.25},
    ),
    "start concentration set": (
        "compartment c = 3; species S in c, T in c; S = 3; T = 2*S; S -> T; v*c*S/(km + S); v = 1; km = 2",
        {"S": 8.0, "c": 2.0},
    ),
    "start amount set": ("compartment c = 3; substanceOnly species S in c; S = 3; S -> ; k*S; k = 1", {"S": 8.0}),
    "start of a rate-rule variable set": ("x = 1; x' = -x; y := x^2", {"x": 5.0}),
    "piecewise rate": (
        "x = 0; x' = piecewise(v, time < stop, 0) - 0.1*x; v = 2; stop = 3",
        {"v": 4.0, "stop": 6.3},
    ),
    "state trigger": (
        "x = 1; x' = g*x; g = 0.5; f = 0; E: at (x >= limit), t0=false: f = 1, g = -0.2; limit = 5",
        {"limit": 20.0},
    ),
    "assignment rule of set parameters": ("q := 2*k; k = 1; x = 1; x' = -q*x", {"k": 0.2}),
    "stoichiometry from a parameter": (
        "compartment c = 1; species S in c, T in c; S = 4; m = 2; n = m^2; S -> n T; c*k*S; k = 0.4",
        {"m": 3.0},
    ),
    "event delay": ("x = 0; x' = k; k = 1; E: at wait after (time >= 2): k = 5; wait = 3", {"wait": 1.5}),
}


@pytest.mark.parametrize("name", TRICKY)
def test_setting_values_equals_editing_and_reloading(name: str, make_sbml: Make) -> None:
    text, values = TRICKY[name]
    flat = make_sbml(text)
    expected = edited_and_loaded(flat, values)
    assert not np.array_equal(expected, edited_and_loaded(flat, {}), equal_nan=True), "the values must matter"
    found = run(flat, values)
    assert (found.status, found.rung) == (OK, 0)
    np.testing.assert_array_equal(found.rows, expected)


@pytest.mark.parametrize("name", TRICKY)
def test_a_run_does_not_depend_on_the_runs_before(name: str, make_sbml: Make) -> None:
    text, values = TRICKY[name]
    job, set_values = job_of(make_sbml(text), values)
    engine = Engine(job.sbml)
    first = engine.run(job, set_values)
    engine.run(job, [1.7 * value for value in set_values])
    shorter = Job(**{**vars(job), "days": 2.5, "points": 4})
    engine.run(shorter, [0.3 * value for value in set_values])
    np.testing.assert_array_equal(engine.run(job, set_values).rows, first.rows)
    np.testing.assert_array_equal(Engine(job.sbml).run(job, set_values).rows, first.rows)


@pytest.mark.parametrize("name", TRICKY)
def test_a_value_does_not_stay_for_a_job_that_does_not_set_it(name: str, make_sbml: Make) -> None:
    text, values = TRICKY[name]
    flat = make_sbml(text)
    set_job, set_values = job_of(flat, values)
    plain_job = Job(**{**vars(set_job), "keys": ()})
    expected = Engine(set_job.sbml).run(plain_job, [])
    engine = Engine(set_job.sbml)
    engine.run(set_job, set_values)
    np.testing.assert_array_equal(engine.run(plain_job, []).rows, expected.rows)


def test_models_without_an_exact_reset_are_reloaded(make_sbml: Make) -> None:
    reloaded = {name for name, (text, _) in TRICKY.items() if canonicalize(make_sbml(text), ()).reload}
    assert reloaded == {"stoichiometry from a parameter", "event delay"}


def test_two_instances_of_a_piecewise_model_agree(make_sbml: Make) -> None:
    # Without LOADSBMLOPTIONS_RECOMPILE the second instance misses a short pulse.
    flat = make_sbml("x = 0; x' = piecewise(1000, time > 0.5 && time < 0.5004, 0) - 0.1*x")
    job, _ = job_of(flat)
    engines = [Engine(job.sbml) for _ in range(3)]
    rows = [engine.run(job, []).rows for engine in engines]
    np.testing.assert_array_equal(rows[1], rows[0])
    np.testing.assert_array_equal(rows[2], rows[0])


@pytest.mark.parametrize("name", ["reset", "simulate", "integrator", "resetToOrigin", "load", "timeCourseSelections"])
def test_a_parameter_may_be_called_like_a_method(name: str, make_sbml: Make) -> None:
    flat = make_sbml(f"{name} = 0.5; x = 1; x' = -{name}*x")
    found = run(flat, {name: 0.25})
    assert found.rows is not None
    assert found.rows[-1, 0] == pytest.approx(np.exp(-2.5), rel=1e-5)
    other = run(make_sbml("x = 1; x' = -x"))
    assert other.status == OK


def test_tolerance_vector_is_in_the_order_of_the_states(make_sbml: Make) -> None:
    # Rate-rule variables come first, then species; a fast forced variable shows whose tolerance is used.
    flat = make_sbml(
        "compartment c = 1; species S in c, T in c; S = 3; T = 1; S -> T; c*0.0001*S;"
        " w = 1; w' = -0.0001*w; y = 0; y' = -100*(y - sin(50*time))"
    )
    exact = run(flat, solver=Solver(relative_tolerance=1e-10, absolute_tolerance=1e-13)).rows
    errors = {}
    for tight in ("S", "T", "w", "y"):
        job, _ = job_of(flat, solver=Solver(relative_tolerance=1e-10, absolute_tolerance=1e-12))
        scales = {name: 1.0 if name == tight else 1e14 for name in ("S", "T", "w", "y")}
        found = Engine(job.sbml).run(Job(**{**vars(job), "scales": scales}), [])
        column = job.record.index("y")
        errors[tight] = np.abs(found.rows - exact)[:, column].max()
    assert errors["y"] < 1e-6
    assert min(errors[name] for name in ("S", "T", "w")) > 1e-3


def test_a_state_that_decays_to_nothing_does_not_stop_the_next_run(make_sbml: Make) -> None:
    job, _ = job_of(make_sbml("compartment c = 1; species S in c; S = 1; S -> ; 5*S*c"), days=200.0)
    engine = Engine(job.sbml)
    for _ in range(3):
        assert engine.run(job, []).status == OK


@pytest.mark.parametrize("points", [2, 11, 401])
def test_bolus_doses_match_the_closed_form(points: int, make_sbml: Make) -> None:
    events = "; ".join(f"D{i}: at time >= {day}, t0=false: S = S + dose" for i, day in enumerate((0, 1, 2.5, 7)))
    flat = make_sbml(f"compartment c = 1; species S in c; S = 0; dose = 3; k = 0.8; S -> ; k*S*c; {events}")
    found = run(flat, points=points)
    time = np.linspace(0, 10, points)
    exact = sum(3 * np.exp(-0.8 * (time - day)) * (time >= day) for day in (0, 1, 2.5, 7))
    assert found.rows is not None
    np.testing.assert_allclose(found.rows[:, 0], exact, atol=1e-5 * exact.max())


FAILURES = {
    "no convergence": "x = 1; x' = x^2",
    "too many steps": "x = 1; x' = -1e6*(x - sin(1e5*time))",
    "not finite": "x = 1; x' = -x; y := 1/(x - x)",
    "negative": "compartment c = 1; species S in c; S = 1; S -> ; c",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_failures_are_classified_and_silent(kind: str, make_sbml: Make, capfd: pytest.CaptureFixture[str]) -> None:
    changes = {"solver": Solver(maximum_steps=200)} if kind == "too many steps" else {}
    found = run(make_sbml(FAILURES[kind]), **changes)
    assert found.rows is None
    assert found.rung == -1
    assert found.status.startswith(kind)
    assert "day" in found.status
    assert ";" in found.status  # what to do follows
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failed_run_changes_nothing_for_the_next(kind: str, make_sbml: Make) -> None:
    flat = make_sbml(
        "x = 1; x' = f*x^2 - 1e6*s*(x - sin(1e5*time)) - 0.1*x; f = 0; s = 0;"
        " compartment c = 1; species S in c; S = 1; S -> ; c*(m + k*S); m = 0; k = 0.1; y := 1/(1 - h); h = 0"
    )
    solver = Solver(maximum_steps=200 if kind == "too many steps" else 20_000)
    job, healthy_values = job_of(flat, {"f": 0.0, "s": 0.0, "m": 0.0, "h": 0.0}, solver=solver)
    engine = Engine(job.sbml)
    healthy = engine.run(job, healthy_values)
    assert healthy.status == OK
    index = ("no convergence", "too many steps", "negative", "not finite").index(kind)
    broken = [float(index == i) for i in range(4)]
    assert engine.run(job, broken).status.startswith(kind)
    np.testing.assert_array_equal(engine.run(job, healthy_values).rows, healthy.rows)


def test_a_run_that_needs_more_steps_is_rescued_by_the_ladder(make_sbml: Make) -> None:
    flat = make_sbml("x = 1; x' = -1000*(x - sin(10*time))")
    needed = Solver(maximum_steps=60)
    found = run(flat, solver=needed)
    assert found.status == OK
    assert LADDER[found.rung].steps > 1
    assert run(flat).rung == 0


def test_step_budget_hands_a_run_over(make_sbml: Make) -> None:
    job, _ = job_of(make_sbml("x = 1; x' = -1000*(x - sin(10*time))"))
    engine = Engine(job.sbml)
    full = engine.run(job, [])
    with pytest.raises(StepBudgetError):
        engine.run(job, [], budget=20)
    np.testing.assert_array_equal(engine.run(job, [], budget=19_000).rows, full.rows)


def test_rounding_below_zero_is_not_a_negative_population(make_sbml: Make) -> None:
    solver = Solver()
    flat = make_sbml("compartment c = 1; substanceOnly species N in c; N = 1e12; N -> ; 3*N")
    found = run(flat, days=100.0, solver=solver)
    assert found.status == OK
    assert found.rows is not None
    assert found.rows.min() > -NEGATIVE * solver.absolute_tolerance


def test_every_failure_has_an_advice() -> None:
    for code, meaning in REASONS.items():
        text = classify(f"CVODE Error: {code}: something", "At t = 3.5 and h = 1")
        assert code in text
        assert "at day 3.5" in text
        assert ";" in meaning or ":" in meaning
    assert classify("surprise").startswith("failed: surprise")


def test_a_model_that_cannot_be_loaded_raises(make_sbml: Make, capfd: pytest.CaptureFixture[str]) -> None:
    flat = make_sbml("x = 1; x' = -k*x; k = 1").replace('<parameter id="k" value="1" constant="true"/>', "")
    with pytest.raises(SimulationError, match="libRoadRunner cannot load the model"):
        Engine(flat)
    assert capfd.readouterr() == ("", "")


def test_no_handle_outlives_its_engine(make_sbml: Make) -> None:
    job, _ = job_of(make_sbml("compartment c = 1; species S in c; S = 1; S -> ; S*c"))
    rows = []
    for _ in range(20):
        engine = Engine(job.sbml)
        rows.append(engine.run(job, []).rows)
        del engine
    gc.collect()
    for row in rows[1:]:
        np.testing.assert_array_equal(row, rows[0])


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="counts open files through /proc")
def test_capture_leaves_no_open_files(make_sbml: Make) -> None:
    job, _ = job_of(make_sbml("x = 1; x' = -x"))
    engine = Engine(job.sbml)
    engine.run(job, [])
    before = sum(1 for _ in OPEN_FILES.iterdir())
    for _ in range(50):
        engine.run(job, [])
    assert sum(1 for _ in OPEN_FILES.iterdir()) == before


@pytest.mark.parametrize(("tolerance", "order"), [(1e-4, 3), (1e-6, 4), (1e-8, 5)])
def test_loose_tolerances_use_formulas_that_damp_oscillations(make_model, tolerance, order):
    """At order 5 and 1e-4 one patient in forty, whose p53 pulses die slowly, took 200 times the time of the others."""
    model = make_model("x = 1; x' = -x;")
    job = single_job(model, (), ("x",), 1.0, 2, Solver(relative_tolerance=tolerance))
    engine = Engine(job.sbml)
    assert engine.run(job, ()).status == OK
    assert engine._runner.integrator.getValue("maximum_bdf_order") == order
