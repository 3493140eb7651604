"""Doses against closed forms, whatever the output grid, and what a schedule must keep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import cascade
from cascade.errors import DrugError, UnknownNameError
from cascade.specs import Model, Parameter, Solver
from cascade.therapy import pharmacokinetics, treat
from cascade.therapy._schedule import MOST_DOSES, schedule
from cascade.therapy.drugs import Drug, load_drug
from cascade.therapy.regimens import Regimen, regimen

GRIDS = (101, 457, 2001)
TIGHT = Solver(relative_tolerance=1e-8)
CL, V1, Q, V2, KA, F = 3.0, 5.0, 2.0, 8.0, 4.0, 0.6
DOSE = 100.0


def made(structure: str, *, name: str = "drug", **values: float) -> Drug:
    """Return a drug that acts on nothing; 1 mg of it are 1000 nmol."""
    source = load_drug({"one_compartment": "palbociclib", "two_compartment": "bevacizumab"}[structure])
    own = {"cl_linear": CL, "vol_central": V1, "cl_distribution": Q, "vol_peripheral": V2, "k_absorb": KA}
    own |= {"f_absorbed": F, "f_unbound": 1, "f_tumor": 1, "k_tumor": 1, **values}
    used = {*own, "v_saturable", "km_saturable", "log_change_clearance", "t_clearance", "hill_clearance"}
    rows = [
        replace(r, nominal=own.get(r.id, r.nominal), lower=None, upper=None) for r in source.parameters if r.id in used
    ]
    mass = Parameter(id="m_molar", name="molar mass", nominal=1000.0, unit="mg_per_mmole")
    return replace(source, name=name, title=name, parameters=(*rows, mass), actions=(), joins={}, regimens={})


ONE, TWO = made("one_compartment"), made("two_compartment")


def plan(drug: Drug = ONE, **fields: Any) -> Regimen:
    return Regimen(drug=drug, **({"dose": DOSE / 1e3, "unit": "mg", "route": "bolus", "doses": 1} | fields))


def run(*plans: Regimen, days: float = 10, points: int = 457) -> xr.Dataset:
    return cascade.simulate(pharmacokinetics(*plans), days=days, points=points, solver=TIGHT)


def modes(drug: Drug) -> list[tuple[float, float]]:
    """Return rate and share of each exponential after a dose into the vein."""
    if drug is ONE:
        return [(CL / V1, 1.0)]
    out, across, back = CL / V1, Q / V1, Q / V2
    root = math.sqrt((out + across + back) ** 2 - 4 * out * back)
    fast, slow = (out + across + back + root) / 2, (out + across + back - root) / 2
    return [(fast, (fast - back) / (fast - slow)), (slow, (back - slow) / (fast - slow))]


def exact(each: Regimen, time: np.ndarray, at: float = 0.0, dose: float = DOSE) -> np.ndarray:
    """Return the plasma concentration after one dose, as a sum over the modes."""
    since, length = time - at, each.infusion_hours / 24
    found = np.zeros_like(time)
    for rate, share in modes(each.drug):
        if each.route == "bolus":
            part = np.where(since >= 0, np.exp(-rate * np.clip(since, 0, None)), 0)
        elif each.route == "infusion":
            tail = np.exp(-rate * np.clip(since - length, 0, None))
            part = tail * -np.expm1(-rate * np.clip(since, 0, length)) / rate / length
        else:
            part = (
                F * KA * (np.exp(-rate * np.clip(since, 0, None)) - np.exp(-KA * np.clip(since, 0, None))) / (KA - rate)
            )
        found += share * part
    return found * dose / V1


WAYS = {
    "bolus": {"route": "bolus"},
    "infusion": {"route": "infusion", "infusion_hours": 7.3},
    "oral": {"route": "oral"},
    "subcutaneous": {"route": "subcutaneous"},
}


@pytest.mark.parametrize("points", GRIDS)
@pytest.mark.parametrize("drug", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("way", WAYS)
def test_repeated_doses_are_the_sum_of_closed_forms(way: str, drug: Drug, points: int) -> None:
    """Bolus, infusion, absorption (Bateman), in one compartment and in two; on rows that meet doses and that do not."""
    each = plan(drug, **WAYS[way], every=1.5, doses=5, start=0.5)
    found = run(each, points=points)
    want = sum(exact(each, found.time.values, 0.5 + 1.5 * k) for k in range(5))
    np.testing.assert_allclose(found.drug__c_plasma, want, rtol=0, atol=1e-5 * want.max())
    assert float(abs(found.drug__c_plasma[found.time < 0.5]).max()) == 0


@pytest.mark.parametrize("tolerance", [1e-6, 1e-8])
def test_a_row_just_after_a_dose_does_no_harm(tolerance: float) -> None:
    model = pharmacokinetics(plan(TWO, start=0.3))
    found = cascade.simulate(model, days=10, points=101, solver=Solver(relative_tolerance=tolerance))
    total = found.drug__n_central + found.drug__n_peripheral + found.drug__n_eliminated
    assert float(total[-1]) == pytest.approx(DOSE, rel=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_dose_on_the_first_day_is_a_start_value(way: str) -> None:
    each = plan(TWO, **WAYS[way])
    found = run(each)
    want = exact(each, found.time.values)
    np.testing.assert_allclose(found.drug__c_plasma, want, rtol=0, atol=1e-5 * want.max())


def test_accumulation_is_that_of_the_closed_form() -> None:
    every = 1.0
    found = run(plan(every=every, doses=40), days=40, points=4001).drug__c_plasma
    ratio = 1 / (1 - math.exp(-CL / V1 * every))
    for k, want in ((1, 1.0), (39.99, ratio * math.exp(-CL / V1 * 0.99)), (39.5, ratio * math.exp(-CL / V1 * 0.5))):
        at = found.sel(time=k, method="nearest") if k > 1 else found[0]
        assert float(at) == pytest.approx(want * DOSE / V1, rel=1e-5)


def test_averaged_doses_reach_dose_over_clearance() -> None:
    found = run(plan(every=0.5, doses=None, stop=math.inf, averaged=True), days=30)
    assert float(found.drug__c_plasma[-1]) == pytest.approx(DOSE / 0.5 / CL, rel=1e-6)
    eaten = run(plan(every=0.5, doses=60, averaged=True, route="oral"), days=30)
    assert float(eaten.drug__c_plasma[-1]) == pytest.approx(F * DOSE / 0.5 / CL, rel=1e-3)


@pytest.mark.parametrize("way", WAYS)
def test_two_regimens_at_the_same_time_add_up(way: str) -> None:
    once = plan(TWO, **WAYS[way], every=2.0, doses=3, start=1.0)
    both, double = run(once, once), run(replace(once, dose=2 * once.dose))
    np.testing.assert_allclose(both.drug__c_plasma, double.drug__c_plasma, rtol=1e-6, atol=1e-9 * DOSE)
    at_start = replace(once, start=0.0)
    both, double = run(at_start, at_start), run(replace(at_start, dose=2 * once.dose))
    np.testing.assert_allclose(both.drug__c_plasma, double.drug__c_plasma, rtol=1e-6, atol=1e-9 * DOSE)


def test_infusions_that_overlap_add_up() -> None:
    each = plan(route="infusion", infusion_hours=36, every=1.0, doses=4)
    found = run(each)
    want = sum(exact(each, found.time.values, float(k)) for k in range(4))
    np.testing.assert_allclose(found.drug__c_plasma, want, rtol=0, atol=1e-5 * want.max())


def test_nothing_is_given_at_a_dose_of_none() -> None:
    found = run(plan(dose=0, every=1.0, doses=5))
    assert float(abs(found.drug__n_central).max()) == 0 == float(abs(found.drug__n_eliminated).max())


def test_reductions_and_loading_change_the_dose() -> None:
    each = plan(every=2.0, doses=4, loading=[(0, 0.3)], reductions=[(4, 0.5)])
    found = run(each)
    time, shares = found.time.values, ((0, 3), (2, 1), (4, 0.5), (6, 0.5))
    want = sum(exact(each, time, day, share * DOSE) for day, share in shares)
    np.testing.assert_allclose(found.drug__c_plasma, want, rtol=0, atol=1e-5 * want.max())


def test_amounts_follow_weight_and_surface() -> None:
    antibody = regimen("bevacizumab", "q2w")
    assert antibody.amount(10) == pytest.approx(10 * 70 / 149e3 * 1e6, rel=1e-12)
    assert replace(antibody, weight=50.0).amount(10) == pytest.approx(10 * 50 / 149e3 * 1e6, rel=1e-12)
    taxane = regimen("paclitaxel", "q3w", surface=2.0)
    assert taxane.amount(175) == pytest.approx(175 * 2.0 / 853.9 * 1e6, rel=1e-12)


# -- moments of the patient -------------------------------------------------------------------------------------------

PATIENT = """
unit day = 86400 second; unit nM = 1e-9 mole/litre;
compartment body = 1; species S in body; S = 1; k = 0.25; S -> ; k*S*body;
t_fixed = 3; t_fixed has day; t_low = 1000000; t_low has day; t_low is "day on which S is low";
at S < 0.5: t_low = time;
"""


def patient(make_model: Callable[..., Model]) -> Model:
    return make_model(PATIENT)


@pytest.mark.parametrize(("origin", "day"), [("t_fixed", 3.0), ("t_low", math.log(2) / 0.25)])
def test_doses_count_from_a_day_of_the_patient(origin: str, day: float, make_model: Callable[..., Model]) -> None:
    each = plan(every=2.0, doses=2, origin=origin, start=0.5)
    found = cascade.simulate(treat(patient(make_model), each), days=10, points=1001, solver=TIGHT)
    time = found.time.values
    want = exact(each, time, day + 0.5) + exact(each, time, day + 2.5)
    far = np.min(np.abs(time[:, None] - np.array([day + 0.5, day + 2.5])), axis=1) > 1e-3
    np.testing.assert_allclose(found.drug__c_plasma[far], want[far], rtol=0, atol=1e-5 * want.max())


def test_treatment_ends_on_a_day_of_the_patient(make_model: Callable[..., Model]) -> None:
    """Doses after it are not given; an infusion that runs is stopped."""
    few = plan(every=1.0, doses=8, until="t_low")  # day 2.77: the doses of days 0, 1, 2
    found = cascade.simulate(treat(patient(make_model), few), days=10, points=1001, solver=TIGHT)
    want = sum(exact(few, found.time.values, float(k)) for k in range(3))
    np.testing.assert_allclose(found.drug__c_plasma, want, rtol=0, atol=1e-5 * want.max())
    long = plan(route="infusion", infusion_hours=240, until="t_fixed")
    found = cascade.simulate(treat(patient(make_model), long), days=10, points=1001, solver=TIGHT)
    total = found.drug__n_central + found.drug__n_eliminated
    assert float(total[-1]) == pytest.approx(0.3 * DOSE, rel=1e-6)


def test_a_day_that_is_none_is_refused(make_model: Callable[..., Model]) -> None:
    with pytest.raises(UnknownNameError, match="t_fixd"):
        treat(patient(make_model), plan(origin="t_fixd"))
    with pytest.raises(DrugError, match="must be in day"):
        treat(patient(make_model), plan(origin="S"))
    with pytest.raises(DrugError, match="surgery"):
        treat(patient(make_model), plan(origin="surgery"))
    with pytest.raises(DrugError, match="before the simulation begins"):
        plan(start=-1.0)


# -- schedules --------------------------------------------------------------------------------------------------------

intervals = st.sampled_from([0.25, 0.5, 1.0, 2.0, 7.0, 14.0, 21.0]) | st.floats(0.1, 30)
counts = st.integers(1, 60)


@given(every=intervals, doses=counts, hours=st.floats(0.1, 100))
def test_every_way_of_giving_gives_the_same_in_all(every: float, doses: int, hours: float) -> None:
    common = {"every": every, "doses": doses}
    for way in ({"route": "bolus"}, {"route": "infusion", "infusion_hours": hours}, {"averaged": True}):
        assert schedule(plan(**common, **way)).total == pytest.approx(doses, rel=1e-9)


@given(every=st.integers(1, 9), on=st.integers(1, 30), off=st.integers(0, 20), cycles=st.integers(1, 6))
def test_cycles_are_kept(every: int, on: int, off: int, cycles: int) -> None:
    every = min(every, on + off)
    whole = plan(every=every, doses=None, days_on=on, days_off=off, stop=cycles * (on + off))
    steps, often = schedule(whole).steps, math.ceil(on / every)
    assert len(steps) == cycles * often
    assert all(day % (on + off) < on for day, _ in steps)
    assert schedule(replace(whole, averaged=True)).total == pytest.approx(cycles * often, rel=1e-9)


@given(every=intervals, length=st.integers(1, 40))
def test_a_stop_is_before_the_dose_of_its_day(every: float, length: int) -> None:
    steps = schedule(plan(every=every, doses=None, stop=every * length)).steps
    assert len(steps) == length and steps[-1][0] < every * length
    assert schedule(plan(every=every, doses=None, stop=every * length, averaged=True)).total == pytest.approx(length)


@pytest.mark.parametrize(("every", "stop", "count"), [(0.7, 4.2, 6), (0.1, 0.3, 3), (1 / 3, 28, 84), (0.3, 0.9, 3)])
def test_rounding_gives_no_dose_more(every: float, stop: float, count: int) -> None:
    assert len(schedule(plan(every=every, doses=None, stop=stop)).steps) == count


@given(
    every=intervals, doses=st.integers(4, 30), first=st.floats(0, 5), share=st.floats(0, 3), loading=st.floats(0.1, 9)
)
def test_loading_and_reductions_are_counted(
    every: float, doses: int, first: float, share: float, loading: float
) -> None:
    each = plan(every=every, doses=doses, loading=[(first, loading * DOSE / 1e3)])
    days, shares = zip(*schedule(each).steps, strict=True)
    assert days[0] == first and shares[0] == pytest.approx(loading) and days[1] == pytest.approx(first + every)
    assert schedule(each).total == pytest.approx(loading + doses - 1)
    middle = days[doses // 2]
    less = schedule(replace(each, reductions=((middle, share),)))
    assert less.total == pytest.approx(sum(s * (share if d >= middle else 1) for d, s in schedule(each).steps))


@given(on=st.integers(1, 20), off=st.integers(1, 20), cycles=st.integers(1, 8))
def test_a_stated_concentration_is_there_on_its_days(on: int, off: int, cycles: int) -> None:
    stated = Regimen(drug=load_drug("lgk974"), dose=2.0, days_on=on, days_off=off, stop=cycles * (on + off))
    assert schedule(stated).total == pytest.approx(on * cycles)
    assert {level for _, level in schedule(stated).steps} == {0.0, 1.0}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"dose": -1}, "dose is -1"),
        ({"dose": math.nan}, "dose is nan"),
        ({"dose": math.inf}, "dose is inf"),
        ({"dose": "5"}, "dose is '5'"),
        ({"dose": True}, "dose is True"),
        ({"every": 0}, "every is 0"),
        ({"every": -3}, "every is -3"),
        ({"every": math.nan, "doses": 3}, "every is nan"),
        ({"doses": 0}, "doses is 0"),
        ({"doses": 2.5}, "whole number"),
        ({"doses": 3}, "every is missing"),
        ({"route": "infusion"}, "an infusion takes time"),
        ({"route": "infusion", "infusion_hours": math.nan}, "infusion_hours is nan"),
        ({"route": "infusion", "infusion_hours": "1"}, "infusion_hours is '1'"),
        ({"route": "bolus", "infusion_hours": 2}, "an infusion takes time"),
        ({"route": "nasal"}, "route is 'nasal'"),
        ({"route": "stated"}, "kinetics"),
        ({"unit": "g"}, "unit is 'g'"),
        ({"weight": 0.0}, "weight is 0"),
        ({"weight": -5.0}, "weight is -5"),
        ({"surface": "large"}, "surface is 'large'"),
        ({"start": 5.0, "stop": 5.0}, "not after start"),
        ({"stop": math.nan}, "stop is nan"),
        ({"loading": 5}, "no list"),
        ({"loading": [(3, 1), (1, 1)], "every": 1.0}, "do not rise"),
        ({"loading": [(0, math.nan)], "every": 1.0}, "nan"),
        ({"reductions": [(0, -1)]}, "give 0 or more"),
        ({"days_off": 3.0, "every": 1.0}, "days_on"),
        ({"days_on": 1.0, "days_off": 1.0, "every": 5.0, "doses": 3}, "rarer than the cycle"),
        ({"origin": 3}, "origin is 3"),
        ({"until": ""}, "until is ''"),
    ],
)
def test_absurd_regimens_are_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(DrugError, match=text):
        plan(**fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"every": 1.0, "doses": 10_000}, "more than 1,000 doses"),
        ({"every": 0.01, "doses": None, "stop": 100.0}, "more than 1,000 doses"),
        ({"every": 1.0, "doses": None, "stop": math.inf}, "never ends"),
        ({"every": 1e-4, "doses": None, "stop": 1000.0, "averaged": True}, "more than 100,000 doses"),
        ({"averaged": True}, "single dose"),
        ({"dose": 0, "every": 1.0, "loading": [(0, 1)]}, "loading doses beside a dose of 0"),
    ],
)
def test_what_cannot_be_given_is_refused(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(DrugError, match=text):
        pharmacokinetics(plan(**fields))


def test_as_many_doses_as_are_allowed_can_be_run() -> None:
    found = run(plan(every=0.01, doses=MOST_DOSES), days=12)
    total = found.drug__n_central + found.drug__n_eliminated
    assert float(total[-1]) == pytest.approx(MOST_DOSES * DOSE, rel=1e-6)


def test_only_regimens_are_given() -> None:
    with pytest.raises(DrugError, match="no regimen"):
        pharmacokinetics()
    with pytest.raises(DrugError, match="bevacizumab"):
        pharmacokinetics("bevacizumab")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'dose'"):
        regimen("bevacizumab", dos=3)
    with pytest.raises(UnknownNameError, match="q2w"):
        regimen("bevacizumab", "q2")


# -- elsewhere --------------------------------------------------------------------------------------------------------


def test_other_simulators_give_the_same_doses() -> None:
    """Four drugs: infusions, tablets in cycles, injections, saturation."""
    plans = [regimen("bevacizumab", doses=3), regimen("denosumab", "q4w_loading", doses=4)]
    plans += [regimen("sunitinib", doses=20), regimen("paclitaxel", "weekly", doses=4, start=3)]
    found = cascade.certify(pharmacokinetics(*plans), end=45, points=91)
    assert found.ok, found.sentences()
    assert found.largest < 1e-4 and {each.engine for each in found.engines if each.ok} >= {
        "roadrunner",
        "copasi",
        "scipy",
    }


@pytest.mark.slow
def test_other_simulators_treat_a_patient_alike() -> None:
    patient = cascade.compose(cascade.load_composition("breast_lite"))
    plans = [regimen("bevacizumab", origin="surgery", start=28, doses=6), regimen("nivolumab", start=1000, doses=6)]
    treated = treat(patient, *plans)
    levels = ["bevacizumab.c_plasma", "nivolumab.c_plasma"]
    seen = cascade.simulate(treated, days=4000, points=401, record=levels)
    assert all(float(seen[each.replace(".", "__")].max()) > 100 for each in levels), "both are given in this time"
    # libRoadRunner would take a minute to load the whole file; cascade, which is always compared, runs it shortened
    found = cascade.certify(treated, end=4000, points=81, engines=["copasi"])
    assert found.ok and found.largest < 1e-4, found.sentences()
