"""The independent right-hand side: closed forms, the semantics of SBML, and that no id of a file becomes code."""

from __future__ import annotations

import ast
import math

import antimony
import libsbml
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.certify import _formulas
from cascade.certify._affine import Lines, decided, next_change
from cascade.certify._emit import on_arrays, on_numbers, write_code
from cascade.certify._formulas import Reader, Switch
from cascade.certify._integrate import Integration, Precision
from cascade.certify._reading import read_system
from cascade.certify._system import System
from cascade.errors import SBMLError, SimulationError


def sbml(text: str) -> str:
    """Return the SBML of Antimony text."""
    antimony.clearPreviousLoads()
    if antimony.loadAntimonyString(text) < 0:
        raise AssertionError(antimony.getLastError())
    return str(antimony.getSBMLString(antimony.getMainModuleName()))


def solve(text: str, end: float = 10.0, points: int = 101, method: str = "LSODA") -> dict[str, np.ndarray]:
    """Solve Antimony or SBML text; return everything by id, and the times."""
    document = libsbml.readSBMLFromString(text if text.startswith("<") else sbml(text))
    system = read_system(document.getModel())
    # every symbol, constants too
    system.output = [*system.species, *(k for k in (*system.held, *system.defined, *system.states) if " " not in k)]
    system.output = list(dict.fromkeys(system.output))
    times = np.linspace(0.0, end, points)
    rows = Integration(system, times, Precision(relative=1e-10, absolute=1e-14, method=method)).run()
    return dict(zip(system.output, rows.T, strict=True)) | {"time": times}


def close(found: np.ndarray, expected: np.ndarray | float, tolerance: float = 1e-7) -> None:
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=tolerance, atol=tolerance)


# --- amounts and concentrations


@pytest.mark.parametrize("size", [1e-3, 1.0, 250.0])
@pytest.mark.parametrize("amounts", [False, True])
def test_a_decay_in_any_volume_and_meaning(size: float, amounts: bool) -> None:
    kind = "substanceOnly species" if amounts else "species"
    found = solve(f"compartment V = {size}; {kind} S in V; S = 3; k = 0.4; J: S -> ; k*S*{1 if amounts else 'V'}")
    close(found["S"], 3 * np.exp(-0.4 * found["time"]))


def test_amount_and_concentration_of_one_system_convert_by_the_volume() -> None:
    text = "compartment V = 4; species A in V; substanceOnly species B in V; A = 2; B = 0; k = 0.5; J: A -> B; k*A*V"
    found = solve(text)
    close(found["A"] * 4 + found["B"], 8.0)  # the amount is kept
    close(found["B"], 8 * (1 - np.exp(-0.5 * found["time"])))


def test_initial_amount_is_divided_by_the_volume() -> None:
    found = solve("compartment V = 4; species A in V; A = 8/V; k = 1; J: A -> ; k*A")
    close(found["A"], 2 * np.exp(-found["time"] / 4))


def test_a_growing_volume_dilutes() -> None:
    found = solve("var compartment V = 2; V' = 0.1*V; species A in V; A = 3; A in V; k = 0; J: A -> ; k*A")
    close(found["A"], 3 * np.exp(-0.1 * found["time"]))


def test_a_volume_changed_by_an_event_keeps_amounts() -> None:
    found = solve("var compartment V = 2; species A in V; A = 3; k=0; J: A -> ; k*A; E: at time >= 4: V = 6")
    close(found["A"], np.where(found["time"] >= 4 - 1e-9, 1.0, 3.0))


def test_an_event_sets_the_concentration_in_the_new_volume() -> None:
    found = solve("var compartment V = 2; species A in V; A = 3; k=0; J: A -> ; k*A; E: at time >= 4: V = 6, A = 5")
    close(found["A"], np.where(found["time"] >= 4 - 1e-9, 5.0, 3.0))


def test_boundary_species_drive_and_stay() -> None:
    found = solve("species $B, A; B = 2; A = 0; J: B -> A; 0.5*B")
    close(found["B"], 2.0)
    close(found["A"], found["time"])


def test_boundary_species_with_a_rate_rule() -> None:
    found = solve("species $B, A; B = 2; B' = 1; A = 0; J: B -> A; B")
    close(found["A"], 2 * found["time"] + found["time"] ** 2 / 2)


# --- stoichiometry, conversion, local parameters


def test_stoichiometries_count() -> None:
    found = solve("species A, B; A = 10; B = 0; J: 2 A -> 3 B; 0.1*A")
    close(found["A"], 10 * np.exp(-0.2 * found["time"]))
    close(found["B"], 1.5 * (10 - found["A"]))


def test_a_stoichiometry_may_be_a_variable() -> None:
    found = solve("species A; A = 0; n = 1; n' = 2; J: -> n A; 1")
    close(found["A"], found["time"] + found["time"] ** 2)


def _edit(text: str, change) -> str:  # type: ignore[no-untyped-def]
    document = libsbml.readSBMLFromString(sbml(text))
    change(document.getModel())
    return str(libsbml.writeSBMLToString(document))


def test_conversion_factors_of_species_go_before_that_of_the_model() -> None:
    def change(model: libsbml.Model) -> None:
        model.setConversionFactor("f")
        model.getSpecies("B").setConversionFactor("g")

    found = solve(_edit("species A, B; A = 0; B = 0; const f = 3, g = 5; J: -> A + B; 1", change))
    close(found["A"], 3 * found["time"])
    close(found["B"], 5 * found["time"])


def test_local_parameters_hide_global_ones() -> None:
    def change(model: libsbml.Model) -> None:
        local = model.getReaction("J").getKineticLaw().createLocalParameter()
        local.setId("k")
        local.setValue(2.0)

    found = solve(_edit("species A; A = 0; k = 7; J: -> A; k; L: -> A; k", change))
    close(found["A"], 9 * found["time"])


def test_the_id_of_a_reaction_is_its_rate() -> None:
    found = solve("species A, B; A = 1; B = 0; J: A -> ; 0.3*A; L: -> B; 2*J")
    close(found["B"], 2 * (1 - np.exp(-0.3 * found["time"])))


# --- order of values


def test_initial_assignments_follow_each_other_whatever_their_order() -> None:
    found = solve("c = 2*b; b = 3*a; a = 5; x = c; x' = 0; y := x + b")
    close(found["x"], 30.0)
    close(found["y"], 45.0)


def test_rules_follow_each_other_whatever_their_order() -> None:
    found = solve("z := y + 1; y := 2*x; x' = 1; x = 0")
    close(found["z"], 2 * found["time"] + 1)


def test_a_circle_of_rules_is_refused() -> None:
    def change(model: libsbml.Model) -> None:
        for rule in model.getListOfRules():
            rule.setMath(libsbml.parseL3Formula("y" if rule.getVariable() == "x" else "x"))

    with pytest.raises(SBMLError, match="in a circle"):
        solve(_edit("x := 1; y := 2", change))


# --- mathematics


MATHEMATICS = [
    ("max(1, 3, 2)", 3.0),
    ("min(1, 3, -2)", -2.0),
    ("quotient(17, 5)", 3.0),
    ("quotient(-17, 5)", -3.0),
    ("rem(17, 5)", 2.0),
    ("rem(-17, 5)", -2.0),
    ("floor(-1.5)", -2.0),
    ("ceil(-1.5)", -1.0),
    ("piecewise(1, implies(true, false), 2)", 2.0),
    ("piecewise(1, implies(false, false), 2)", 1.0),
    ("piecewise(1, xor(true, true), 2)", 2.0),
    ("piecewise(1, 1 < 2 && 2 < 3, 2)", 1.0),
    ("piecewise(1, not(1 < 2), 2, 1 > 2, 3)", 3.0),
    ("root(3, 27)", 3.0),
    ("log10(1000)", 3.0),
    ("log(2, 8)", 3.0),
    ("factorial(5)", 120.0),
    ("arcsec(2)", math.acos(0.5)),
    ("arccoth(2)", math.atanh(0.5)),
    ("csch(1)", 1 / math.sinh(1)),
    ("abs(-2)^3", 8.0),
    ("avogadro", 6.02214179e23),
    ("exponentiale", math.e),
    ("pi", math.pi),
    ("(-2)^3", -8.0),
    ("4^-0.5", 0.5),
]


@pytest.mark.parametrize(("formula", "value"), MATHEMATICS)
def test_functions_of_sbml(formula: str, value: float) -> None:
    tree = libsbml.parseL3Formula(formula)
    assert tree is not None, libsbml.getLastParseL3Error()
    reader = Reader({})
    system = System(switches=reader.switches)
    node = reader.read(tree, "test")
    code = write_code(system, {}, [node], live=True)
    asked = [None] * len(system.switches)
    for function in (on_numbers(code), on_arrays(code)):
        assert function(0.0, [], [], asked)[0] == pytest.approx(value, rel=1e-12)


def test_functions_of_the_model_are_written_out() -> None:
    found = solve(
        "function f(x, y); x^2 + y; end; function g(x); f(x, 1) + f(1, x); end; x = 3; y := g(x); z' = 1; z = 0"
    )
    close(found["y"], 14.0)


def test_functions_that_double_are_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_formulas, "MAX_NODES", 10_000)

    def change(model: libsbml.Model) -> None:
        for number in range(40):
            function = model.createFunctionDefinition()
            function.setId(f"f{number}")
            inner = f"f{number - 1}(x) + f{number - 1}(x)" if number else "x"
            function.setMath(libsbml.parseL3Formula(f"lambda(x, {inner})"))
        model.getRuleByVariable("x").setMath(libsbml.parseL3Formula("f39(1)"))

    with pytest.raises(SBMLError, match="terms once functions are written out"):
        solve(_edit("x = 1; x' = 1", change))


def test_rate_of_states_and_of_concentrations() -> None:
    found = solve(
        "compartment V = 2; species S in V; S = 3; J: S -> ; 0.5*S*V; r := rateOf(S); x = 1; x' = 2; q := rateOf(x)"
    )
    close(found["r"], -0.5 * found["S"])
    close(found["q"], 2.0)


def test_no_number_is_no_crash() -> None:
    found = solve("x = 0; x' = 1; y := 1/(x - x); z := piecewise(1, x >= 0, 1/0)")
    assert np.all(np.isinf(found["y"]))
    close(found["z"], 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1; x' = delay(x, 2)", "delay"),
        ("species A; A = 1; J: A -> ; ", "no rate law"),
        ("x' = 1", "no start value"),
    ],
)
def test_what_is_not_supported_is_said(text: str, message: str) -> None:
    with pytest.raises((SBMLError, SimulationError), match=message):
        solve(text)


def test_an_algebraic_rule_is_refused() -> None:
    def change(model: libsbml.Model) -> None:
        model.createAlgebraicRule().setMath(libsbml.parseL3Formula("x - 1"))

    with pytest.raises(SBMLError, match="algebraic rule"):
        solve(_edit("x = 1; x' = 1", change))


@pytest.mark.parametrize(
    "name", ["exec", "import_", "lambda", "__builtins__", "t", "y", "p", "f", "compute", "x0", "exp"]
)
def test_ids_are_never_code(name: str) -> None:
    text = sbml("victim = 2; victim' = -victim; w := 3*victim").replace("victim", name)
    found = solve(text)
    close(found["w"], 6 * np.exp(-found["time"]))


def test_generated_code_holds_only_numbered_names() -> None:
    model = libsbml.readSBMLFromString(sbml("evil = 2; evil' = -evil + sin(time); w := max(3*evil, 1)")).getModel()
    system = read_system(model)
    code = write_code(system, system.defined, list(system.states.values()))
    inner = next(each for each in code.co_consts if hasattr(each, "co_names"))
    assert all(name in "typf" or name[1:].isdigit() for name in inner.co_varnames)
    assert set(inner.co_names) <= {"sin", "max"}
    assert ast  # the code is made of syntax trees


# --- time and decisions


def test_a_short_pulse_is_never_missed() -> None:
    found = solve("x = 0; x' = piecewise(1000, time > 3.14 && time < 3.15, 0)", points=3)
    close(found["x"], np.array([0.0, 10.0, 10.0]))


def test_the_start_of_a_pulse_may_depend_on_constants_and_rules() -> None:
    text = "a = 2; b := 3*a; w = 1e-5; x = 0; x' = piecewise(1/w, time >= b && time < b + w, 0)"
    close(solve(text, points=2)["x"], np.array([0.0, 1.0]), 1e-6)


def test_a_thousand_periodic_pulses() -> None:
    found = solve("x = 0; x' = piecewise(100, rem(time, 1) < 0.01, 0)", end=1000.0, points=5)
    close(found["x"], found["time"] + np.where(found["time"] < 1000, 0.0, 0.0), 1e-6)


def test_a_state_crosses_a_threshold_in_a_rate() -> None:
    found = solve("x = 0; x' = piecewise(1, x < 5, 0.5)")
    time = found["time"]
    close(found["x"], np.where(time < 5, time, 5 + 0.5 * (time - 5)))


def test_a_state_that_grazes_a_threshold_between_two_steps_fires_an_event() -> None:
    # 1 - (t - 5)^2 * 1e4 is above 0.9 for six thousandths of a day
    text = "x := 1 - 1e4*(s - 5)^2; s = 0; s' = 1; n = 0; E: at x > 0.9, t0=false: n = n + 1"
    assert solve(text, points=3)["n"][-1] == 1


# --- events


def test_an_event_at_zero_fires_only_if_it_starts_false() -> None:
    assert solve("n = 0; E: at time >= 0, t0=false: n = n + 1")["n"][0] == 1
    assert solve("n = 0; E: at time >= 0, t0=true: n = n + 1")["n"][-1] == 0


def test_a_trigger_may_hold_at_one_moment_only() -> None:
    assert solve("n = 0; E: at time == 5, t0=false: n = n + 1")["n"][-1] == 1


def test_thresholds_in_time_are_exact_whatever_the_rows() -> None:
    for points in (2, 17, 101):
        found = solve("x = 1; x' = -x; E: at time >= 3, t0=false: x = x + 1", points=points)
        assert found["x"][-1] == pytest.approx(math.exp(-10) + math.exp(-7), rel=1e-6)


def test_a_delay_and_values_of_either_time() -> None:
    text = "x = 0; x' = 1; a = 0; b = 0; E: at 2 after time >= 3, fromTrigger={}: a = x, b = time"
    early, late = (solve(text.format(word)) for word in ("true", "false"))
    assert early["a"][-1] == pytest.approx(3.0)
    assert late["a"][-1] == pytest.approx(5.0)
    assert early["a"][49] == 0.0 and early["a"][51] == pytest.approx(3.0)


def test_an_event_that_does_not_persist_is_called_off() -> None:
    text = "x := piecewise(1, time >= 3 && time < 4, 0); n = 0; E: at 2 after x > 0.5, persistent={}: n = n + 1"
    assert solve(text.format("true"))["n"][-1] == 1
    assert solve(text.format("false"))["n"][-1] == 0


def test_priorities_order_what_happens_at_once() -> None:
    text = "a = 0; E: at time >= 3, priority={}: a = 2*a + 1; F: at time >= 3, priority={}: a = 10*a + 5"
    # values are those of the moment of triggering, unless the event says otherwise
    late = text.replace("time >= 3,", "time >= 3, fromTrigger=false,")
    assert solve(late.format(2, 1))["a"][-1] == 15
    assert solve(late.format(1, 2))["a"][-1] == 11
    assert solve(text.format(2, 1))["a"][-1] == 5


def test_one_event_triggers_the_next_at_the_same_time() -> None:
    found = solve("a = 0; b = 0; E: at time >= 3: a = 1; F: at a > 0.5: b = time")
    assert found["b"][-1] == pytest.approx(3.0)


def test_an_event_called_off_by_another_at_the_same_time() -> None:
    text = (
        "a = 1; n = 0; E: at time >= 3, priority=2: a = 0; F: at time >= 3 && a > 0.5, priority=1, persistent={}: n = 1"
    )
    assert solve(text.format("false"))["n"][-1] == 0
    assert solve(text.format("true"))["n"][-1] == 1


BALL = "h = 5; h' = v; v = 0; v' = -10; n = 0; E: at h < 0: v = -0.5*v, h = 0, n = n + 1"


def test_a_ball_bounces_again_and_again() -> None:
    # it falls for 1 s, and flies for 1, 1/2, 1/4, 1/8 ... s: bounces at 1, 2, 2.5, 2.75 and 2.875 s
    found = solve(BALL, end=2.9, points=291)
    rows = [int(np.searchsorted(found["time"], t, side="right")) - 1 for t in (0.95, 1.05, 2.05, 2.55, 2.85, 2.95)]
    assert found["n"][rows].tolist() == [0, 1, 2, 3, 4, 5]
    close(found["h"][150:151], 5 * 0.5 - 10 * 0.5**2 / 2, 1e-6)


def test_a_ball_that_bounces_without_end_is_stopped() -> None:
    with pytest.raises(SimulationError, match="follow each other without end at time 3"):
        solve(BALL, end=3.9)


def test_events_that_trigger_each_other_without_end_are_stopped() -> None:
    with pytest.raises(SimulationError, match="endless events"):
        solve("a = 0; E: at a < 0.5, t0=false: a = 1; F: at a > 0.5, t0=false: a = 0")


def test_repeated_doses_by_a_counter() -> None:
    text = (
        "x = 0; x' = -x; next = 1; n = 0; E: at time >= next && n < 4, t0=false: x = x + 1, next = next + 2, n = n + 1"
    )
    found = solve(text)
    expected = sum(math.exp(-(10 - t)) for t in (1, 3, 5, 7))
    assert found["x"][-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", ["LSODA", "BDF", "Radau"])
def test_methods_agree_on_a_stiff_system(method: str) -> None:
    text = "a = 1; a' = -0.04*a + 1e4*b*c; b = 0; b' = 0.04*a - 1e4*b*c - 3e7*b^2; c = 0; c' = 3e7*b^2"
    found = solve(text, end=40.0, points=3, method=method)
    # Hairer and Wanner, Solving ODE II: Robertson's problem
    assert found["a"][-1] == pytest.approx(0.7158270687, rel=1e-5)


# --- lines in time


@given(
    slope=st.floats(-1e3, 1e3).filter(lambda s: abs(s) > 1e-3),
    root=st.floats(0.0, 1e4),
    now=st.floats(0.0, 1e4),
)
@settings(max_examples=200, deadline=None)
def test_a_sign_changes_where_its_line_crosses_zero(slope: float, root: float, now: float) -> None:
    switch, line, tiny = Switch("sign", None), (-slope * root, slope), 1e-8  # type: ignore[arg-type]
    change = next_change(switch, line, now, tiny)
    if root > now + 2 * tiny:
        assert change == pytest.approx(root, abs=1e-7)
        before, after = (decided(switch, line, t, tiny, True) for t in (0.5 * (now + root), root))
        assert (before, after) == (-math.copysign(1, slope), math.copysign(1, slope)) or root - now < 1e-6
    elif root < now - 2 * tiny:
        assert change == math.inf


@given(slope=st.floats(-50, 50).filter(lambda s: abs(s) > 1e-2), start=st.floats(-20, 20))
@settings(max_examples=200, deadline=None)
def test_rounding_changes_by_one_at_each_change(slope: float, start: float) -> None:
    switch, line, tiny = Switch("floor", None), (start, slope), 1e-10  # type: ignore[arg-type]
    time = 0.0
    held = decided(switch, line, time, tiny, True)
    for _ in range(5):
        time = next_change(switch, line, time, tiny)
        now = decided(switch, line, time, tiny, True)
        assert now - held == math.copysign(1, slope)
        held = now


def test_lines_follow_rules_and_switches() -> None:
    model = libsbml.readSBMLFromString(
        sbml("a = 2; b := a*time + 1; c := piecewise(b, time < 3, 2*b); x' = 1; x = 0")
    ).getModel()
    system = read_system(model)
    lines = Lines(system, dict.fromkeys(system.held, 2.0), [-1.0])
    assert lines.line(system.defined["b"]) == (1.0, 2.0)
    assert lines.line(system.defined["c"]) == (1.0, 2.0)
    assert Lines(system, dict.fromkeys(system.held, 2.0), [1.0]).line(system.defined["c"]) == (2.0, 4.0)
    assert lines.line(system.states["x"]) == (1.0, 0.0)
