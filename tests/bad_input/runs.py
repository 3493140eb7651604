"""Bad values, lengths, solvers, drugs and readouts of a sound model, and models that cannot be solved."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from folders import make_module, number

import cascade
from bad_input.case import STATUS, Case, Door
from cascade._canonical import symbol_table
from cascade.specs import Model, Parameter, Solver


@cache
def wnt() -> Model:
    return cascade.compose(cascade.load_module("wnt"))


def constant(place: int = 0) -> str:
    """Return the id of an uncertain constant."""
    return [row.id for row in wnt().parameters if row.estimate][place]


def state() -> str:
    """Return the id of a state."""
    return next(s.id for s in symbol_table(wnt().flat).values() if s.role == "integrated")


def run(**settings: Any) -> str:
    """Run the model; return the status."""
    return str(cascade.simulate(wnt(), **{"days": 1, "points": 3, **settings})["status"].item())


def simulated() -> xr.Dataset:
    return cascade.simulate(wnt(), days=1, points=3)


def told(**settings: Any) -> Door:
    """Return a door: a run with these settings."""
    return lambda folder: run(**settings)


def value(amount: Any) -> Door:
    """Return a door: a run with this value of a constant."""
    return lambda folder: run(values={constant(): amount})


def asked(make: Callable[[], Any]) -> Door:
    """Return a door: something that needs no folder."""
    return lambda folder: make()


def made(text: str, *rows: Parameter) -> Door:
    """Return a door: a module of this structure is built, composed and run; the status comes back."""

    def door(folder: Path) -> str:
        make_module(folder, "own", f"model own()\n  {text}\nend\n", list(rows))
        model = cascade.compose(cascade.load_module(folder / "own"))
        return str(cascade.simulate(model, days=1, points=3)["status"].item())

    return door


def patients(*values: float, **more: Any) -> xr.DataArray:
    return xr.DataArray(list(values), dims="patient", **more)


RUN = ("simulate", "wnt", "--days", "1")
SET = (*RUN, "--set")
OWN = ("simulate", "{}/own", "--days", "1", "--points", "3")
ONE, TWO = "dimensionless", "per_day"

VALUES = (
    Case("NaN", value(float("nan")), "ValueSettingError", "1 of 1 are nan; give finite numbers", (*SET, "a_wnt=nan")),
    Case("infinite", value(float("inf")), "ValueSettingError", "are inf; give finite", (*SET, "a_wnt=1e400")),
    Case("negative", asked(lambda: run(values={"a_wnt": -1})), "ValueSettingError", "which is negative.*give 0", (*SET, "a_wnt=-1")),
    Case("comma", value("1,5"), "ValueSettingError", "'1,5'; give real|'a_wnt=1,5': write it as ID=NUMBER", (*SET, "a_wnt=1,5")),
    Case("integer without end", value(10**400), "ValueSettingError", "give real numbers"),
    Case("nothing", value(None), "ValueSettingError", "give real numbers|write it as ID=NUMBER", (*SET, "a_wnt=")),
    Case("complex", value(1j), "ValueSettingError", "is 1j; give real numbers"),
    Case("list", value([1, 2]), "ValueSettingError", "1 unnamed dimension.*name them: xarray.DataArray"),
    Case("ragged list", value([1, [2, 3]]), "ValueSettingError", "is list: .*give a number"),
    Case("Dataset", value(xr.Dataset({"a": 1})), "ValueSettingError", "is Dataset: .*give a number"),
    Case("dates", value(xr.DataArray(np.array(["2020-01-01"], dtype="M8[ns]"), dims="x")), "ValueSettingError", "real numbers"),
    Case("empty array", value(patients()), "ValueSettingError", "is empty: dimensions"),
    Case("reserved dimension", value(xr.DataArray([1.0], dims="time")), "ValueSettingError", "'time', which a result uses itself; rename"),
    Case("dimension called as a symbol", asked(lambda: run(values={constant(): xr.DataArray([1.0], dims=state())})), "ValueSettingError", "rename the dimension"),
    Case("shapes that differ", asked(lambda: run(values={constant(): patients(1, 2), constant(1): patients(1, 2, 3)})), "ValueSettingError", "dimensions of the values do not match"),
    Case("coordinates of NaN", asked(lambda: run(values={constant(): patients(1, 2, coords={"patient": [np.nan, 1]}), constant(1): patients(1, 2, coords={"patient": [0, np.nan]})})), "ValueSettingError", "do not match"),
    Case("unknown name", told(values={"k_nought": 1}), "UnknownNameError", "no symbol 'k_nought' in model 'wnt'", (*SET, "k_nought=1")),
    Case("name in capitals", told(values={"A_WNT": 1}), "UnknownNameError", "did you mean 'a_wnt'", (*SET, "A_WNT=1")),
    Case("number for a name", told(values={3: 1}), "UnknownNameError", "no symbol 3"),
    Case("one quantity twice", asked(lambda: run(values={"a_wnt": 1.0, "wnt.a_wnt": 2.0})), "ValueSettingError", "are the same quantity", (*SET, "a_wnt=1", "--set", "wnt.a_wnt=2")),
    Case("values in a list", told(values=[1]), "ValueSettingError", "values is list; give a mapping"),
    Case("computed variable", asked(lambda: run(values={"c_bcat": 1})), "ValueSettingError", "computed by a formula and cannot be given", (*SET, "c_bcat=1")),
    Case("setting without a value", told(values={"a_wnt": ""}), "ValueSettingError", "give real numbers|write it as ID=NUMBER", (*SET, "a_wnt")),
)  # fmt: skip

LENGTHS = (
    Case("0 days", told(days=0), "ValueSettingError", "days is 0.*; give a finite number above 0", ("simulate", "wnt", "--days", "0")),
    Case("-1 days", told(days=-1), "ValueSettingError", "give a finite number above 0", ("simulate", "wnt", "--days", "-1")),
    Case("NaN days", told(days=float("nan")), "ValueSettingError", "days is nan; give a finite", ("simulate", "wnt", "--days", "nan")),
    Case("endless years", told(days=None, years=float("inf")), "ValueSettingError", "years is inf; give a finite", ("simulate", "wnt", "--years", "inf")),
    Case("years beyond all", told(days=None, years=1e308), "ValueSettingError", "give 1e-12 to 1e.12 days", ("simulate", "wnt", "--years", "1e308")),
    Case("text for days", told(days="1"), "ValueSettingError", "days is '1'; give a number"),
    Case("integer without end for days", told(days=10**400), "ValueSettingError", "give a finite number"),
    Case("days and years", told(days=1, years=1), "ValueSettingError", "once: days=... or years=...", (*RUN, "--years", "1")),
    Case("1 row", told(points=1), "ValueSettingError", "points is 1; give 2 to", (*RUN, "--points", "1")),
    Case("10^12 rows", told(points=10**12), "ValueSettingError", "points is 1000000000000; give 2 to", (*RUN, "--points", "1000000000000")),
    Case("half a row", told(points=3.5), "ValueSettingError", "points is 3.5; give a whole number"),
    Case("10^7 runs", value(xr.DataArray(np.broadcast_to(0.1, (10**4, 10**3)), dims=("a", "b"))), "ValueSettingError", "10000000 runs .* GB; the limit"),
    Case("unknown record", told(record=["c_nought"]), "UnknownNameError", "no symbol 'c_nought'", (*RUN, "--record", "c_nought")),
    Case("text for a record", told(record="c_bcat"), "ValueSettingError", "is the text 'c_bcat'; give a list"),
    Case("record of nothing", told(record=[]), "ValueSettingError", "record is empty; name at least one"),
    Case("record of numbers", told(record=[3]), "UnknownNameError", "no symbol 3"),
    Case("number for a record", told(record=3), "ValueSettingError", "record is 3; give a list of names"),
    Case("0 workers", told(workers=0), "ValueSettingError", "workers is 0; give a whole number from 1"),
    Case("1.5 workers", told(workers=1.5), "ValueSettingError", "workers is 1.5; give a whole number"),
    Case("no executor", told(executor=3), "ValueSettingError", "executor is 3; give a concurrent.futures.Executor"),
    Case("no solver", told(solver="cvode"), "ValueSettingError", "solver is 'cvode'; give a Solver"),
    Case("tolerance NaN", asked(lambda: Solver(relative_tolerance=float("nan"))), "ValueSettingError", "relative_tolerance is nan; give a finite"),
    Case("tolerance of a text", asked(lambda: Solver(absolute_tolerance="a")), "ValueSettingError", "absolute_tolerance is 'a'"),
    Case("tolerance of 10", asked(lambda: Solver(relative_tolerance=10)), "ValueSettingError", "nothing that comes out is a solution"),
    Case("half a step", asked(lambda: Solver(maximum_steps=1.5)), "ValueSettingError", "maximum_steps is 1.5; give a whole number"),
    Case("10^30 steps", asked(lambda: Solver(maximum_steps=10**30)), "ValueSettingError", "give a whole number up to"),
    Case("accuracy that nobody has", told(solver=Solver(relative_tolerance=1e-300, absolute_tolerance=1e-300)), STATUS, "too much accuracy asked"),
    Case("no model", asked(lambda: cascade.simulate("wnt", days=1)), "ValueSettingError", "simulate.. was given 'wnt'; give a Model"),
    Case("text for a module", asked(lambda: cascade.compose("wnt")), "CompositionError", "give what load_module"),
    Case("check of nothing", asked(lambda: cascade.check(None)), "CascadeError", "check.. was given None; give a shipped name"),
)  # fmt: skip

INHIBIT = (*RUN, "--inhibit")
DRUGS = (
    Case("block of 150 %", asked(lambda: cascade.inhibit("k", by=1.5)), "ValueSettingError", "by is 1.5; give a share above 0 and at most 1", (*INHIBIT, "a_wnt=1.5")),
    Case("block of nothing", asked(lambda: cascade.inhibit("k", by=0)), "ValueSettingError", "give a share above 0", (*INHIBIT, "a_wnt=0")),
    Case("block NaN", asked(lambda: cascade.inhibit("k", by=float("nan"))), "ValueSettingError", "by is nan; give a finite number", (*INHIBIT, "a_wnt=nan")),
    Case("boost of less than nothing", asked(lambda: cascade.activate("k", by=-1)), "ValueSettingError", "give a gain above 0"),
    Case("window reversed", asked(lambda: cascade.inhibit("k", by=0.5, start=5, stop=1)), "ValueSettingError", r"stop \(day 1\) is not after start \(day 5\)", (*INHIBIT, "a_wnt=0.5", "--start", "5", "--stop", "1")),
    Case("start without end", asked(lambda: cascade.inhibit("k", by=0.5, start=10**400)), "ValueSettingError", "give a finite number"),
    Case("unknown target", asked(lambda: cascade.treat(wnt(), cascade.inhibit("k_nought", by=0.5))), "UnknownNameError", "no target 'k_nought'", (*INHIBIT, "k_nought=0.5")),
    Case("number for a target", asked(lambda: cascade.treat(wnt(), cascade.inhibit(3, by=0.5))), "UnknownNameError", "no target 3"),
    Case("species for a target", asked(lambda: cascade.treat(wnt(), cascade.inhibit(state(), by=0.5))), "ValueSettingError", "is a species, and a drug acts on a process", (*INHIBIT, "c_bcat_membrane=0.5")),
    Case("origin that is no time", asked(lambda: cascade.treat(wnt(), cascade.inhibit(constant(), by=0.5, origin=constant()))), "ValueSettingError", "it must be in day"),
    Case("no treatment", asked(lambda: cascade.treat(wnt(), None)), "ValueSettingError", "treat.. was given None; give what inhibit"),
    Case("treatment of no model", asked(lambda: cascade.treat("wnt", cascade.inhibit("k", by=0.5))), "ValueSettingError", "treat.. was given 'wnt'; give a Model"),
)  # fmt: skip

READOUTS = (
    Case("unknown readout", asked(lambda: cascade.readout(simulated(), "p_overt_5yr")), "UnknownNameError", "did you mean 'p_overt_5y'", ("endpoints", "breast_lite", "--readout", "p_overt_5yr")),
    Case("readout of another model", asked(lambda: cascade.readout(simulated(), "p_overt_5y")), "AnalysisError", "which the dataset does not hold; add it to `record`", ("endpoints", "wnt", "--readout", "p_overt_5y")),
    Case("final of nothing", asked(lambda: cascade.readout(simulated(), "final:")), "UnknownNameError", "no readout 'final:'"),
    Case("largest status", asked(lambda: cascade.readout(simulated(), "max:status")), "AnalysisError", "'status' holds no numbers"),
    Case("no readout", asked(lambda: cascade.readout(simulated(), None)), "UnknownNameError", "no readout None"),
    Case("readout of nothing", asked(lambda: cascade.readout(None, "p_overt")), "AnalysisError", "give the Dataset that simulate"),
    Case("readout of an empty set", asked(lambda: cascade.readout(xr.Dataset(), "p_overt")), "AnalysisError", "needs endpoints"),
)  # fmt: skip

X, Y = "x has dimensionless;", "y has dimensionless;"
CELLS = "compartment tissue = 1; substanceOnly species n_x in tissue; n_x has cell;"
SOLVED = (
    Case("events without end", made(f"{X} {Y} x = 0; y = 0; at (time > t_on): x = x + 1; at (x > y): y = y + 2; at (y > x): x = x + 2;", number("t_on", 0.5, "day")), STATUS, "endless events", OWN),
    Case("growth without bound", made(f"{X} x = 1; x' = k_up*x^2;", number("k_up", 10, TWO)), STATUS, r"no convergence at day 0.1: .*growth without bound \[CV_CONV", OWN),
    Case("infinite rate", made(f"{X} x = 0; x' = k_up/x;", number("k_up", 10, TWO)), STATUS, "no convergence at day 0", OWN),
    Case("logarithm of less than nothing", made(f"{X} x = 0; x' = k_up*ln(x - 1);", number("k_up", 10, TWO)), STATUS, "no convergence at day 0", OWN),
    Case("division by zero in a variable", made(f"{X} {Y} x = 1; x' = -k_up*x; y := 1/(x - x);", number("k_up", 1, TWO)), STATUS, "not finite: y is inf at day 0", OWN),
    Case("rate beyond all", made(f"{X} x = 1; x' = k_up*(2 - x);", number("k_up", 1e300, TWO)), STATUS, "no convergence at day 0", OWN),
    Case("oscillator far too fast", made(f"{X} {Y} x = 1; y = 0; x' = k_up*y; y' = -k_up*x;", number("k_up", 1e9, TWO)), STATUS, "too many steps at day .* ran out of steps", OWN),
    Case("loss when nothing is left", made(f"{CELLS} n_x = init_x; lose: n_x => ; k_lose;", number("init_x", 5, "cell"), number("k_lose", 50, "cell_per_day")), STATUS, "negative n_x: -45 at day 1; look for a loss", OWN),
    Case("start below nothing", made(f"{CELLS} n_x = init_x - init_y; lose: n_x => ; k_lose*n_x;", number("init_x", 5, "cell"), number("init_y", 9, "cell"), number("k_lose", 1, TWO)), STATUS, "negative n_x: -4 at day 0", OWN),
    Case("starts in a circle", made(f"{X} {Y} x = y; y = x; x' = k_up*y; y' = k_up*x;", number("k_up", 1, TWO)), "ModuleError", "own.ant: .*Loop detected"),
    Case("rule and rate", made(f"{X} x := k_one; x' = k_up;", number("k_up", 1, TWO), number("k_one", 2, ONE)), "ModuleError", "assignment rule"),
    Case("rule and reaction", made(f"{CELLS} n_x := n_y; r: => n_x; k_up;", number("k_up", 1, "cell_per_day"), number("n_y", 2, "cell")), "ModuleError", "both reactions and rules"),
    Case("compartment of no size", made("compartment tissue = 0; species c_a in tissue; c_a has nM; c_a = init_a; r: c_a => ; tissue*k_up*c_a;", number("k_up", 1, TWO), number("init_a", 2, "nM")), STATUS, "no convergence at day 0", OWN),
)  # fmt: skip

CASES = (*VALUES, *LENGTHS, *DRUGS, *READOUTS, *SOLVED)
