"""Therapies are changes of the model: closed forms, clean SBML, targets that can and cannot be treated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import libsbml
import numpy as np
import pytest
import xarray as xr

import cascade
from cascade._sbml import check_document
from cascade.errors import UnknownNameError, ValueSettingError
from cascade.simulate import simulate
from cascade.specs import Model
from cascade.therapy import activate, inhibit, treat

Make = Callable[..., Model]
GRIDS = [2, 51, 401]

DECAY = (
    "compartment c = 1; species S in c, P in c; S = 1; k = 0.3; v = 0.2; use: S -> ; k*S*c; make: => P; v*c; q := 2*k"
)


def decay(time: np.ndarray, k: float, factor: float, start: float, stop: float) -> np.ndarray:
    """exp(-k * (days outside the window + factor * days inside it))."""
    inside = np.clip(time, start, stop) - start
    return np.exp(-k * (time - inside + factor * inside))


@pytest.mark.parametrize("points", GRIDS)
@pytest.mark.parametrize(
    ("drug", "factor"),
    [(inhibit("k", 0.8, 2, 7.3), 0.2), (inhibit("k", 1, 2, 7.3), 0), (activate("k", 1, 2, 7.3), 2)],
)
def test_a_window_matches_the_closed_form(points: int, drug: Any, factor: float, make_model: Make) -> None:
    found = simulate(treat(make_model(DECAY), drug), days=10, points=points)
    exact = decay(found.time.values, 0.3, factor, 2, 7.3)
    np.testing.assert_allclose(found.S, exact, atol=1e-5)


@pytest.mark.parametrize("points", GRIDS)
def test_an_infusion_matches_the_closed_form(points: int, make_model: Make) -> None:
    # A production that exists only inside the window: made by a blocked process that is activated.
    model = make_model(
        "compartment c = 1; species S in c; S = 0; k = 0.7; v = 1; base = 0; make: => S; v*c; S -> ; k*S*c"
    )
    treated = treat(model, activate("make", 4, start=1, stop=3.5))
    found = simulate(treated, days=10, points=points)
    time = found.time.values
    extra = (np.exp(-0.7 * np.clip(time - 3.5, 0, None)) - np.exp(-0.7 * np.clip(time - 1, 0, None))) * 4 / 0.7
    np.testing.assert_allclose(found.S, (1 - np.exp(-0.7 * time)) / 0.7 + extra, atol=1e-5 * 5)


def test_windows_on_one_target_multiply(make_model: Make) -> None:
    treated = treat(make_model(DECAY), inhibit("k", 0.5, 2, 8), inhibit("k", 0.8, 4, 6))
    found = simulate(treated, days=10, record=["activity_of_k", "activity_of_k_2", "S", "q"], points=101)
    time = found.time.values
    exponent = np.interp(time, [0, 2, 4, 6, 8, 10], np.cumsum([0, 0.6, 0.3, 0.06, 0.3, 0.6]))
    np.testing.assert_allclose(found.S, np.exp(-exponent), atol=1e-5)
    np.testing.assert_allclose(found.q, 0.6 * found.activity_of_k * found.activity_of_k_2)
    again = treat(treat(make_model(DECAY), inhibit("k", 0.5, 2, 8)), inhibit("k", 0.8, 4, 6))
    assert again.flat == treated.flat
    assert again.interventions == treated.interventions


def test_from_the_first_day_there_is_no_event(make_model: Make) -> None:
    treated = treat(make_model(DECAY), inhibit("k", 0.8))
    assert libsbml.readSBMLFromString(treated.flat).getModel().getNumEvents() == 0
    found = simulate(treated, days=10)
    np.testing.assert_allclose(found.S, np.exp(-0.06 * found.time), atol=1e-5)
    stopped = simulate(treat(make_model(DECAY), inhibit("k", 0.8, stop=4)), days=10)
    np.testing.assert_allclose(stopped.S, decay(stopped.time.values, 0.3, 0.2, 0, 4), atol=1e-5)


def test_a_patients_own_value_survives(make_model: Make) -> None:
    treated = treat(make_model(DECAY), inhibit("k", 0.8, 2, 7.3))
    found = simulate(treated, days=10, values={"k": xr.DataArray([0.1, 0.6], dims="patient")})
    for patient, k in enumerate((0.1, 0.6)):
        np.testing.assert_allclose(found.S[patient], decay(found.time.values, k, 0.2, 2, 7.3), atol=2e-5)


def test_dose_and_window_can_be_swept(make_model: Make) -> None:
    treated = treat(make_model(DECAY), inhibit("k", 0.8, 2, 7.3))
    values = {
        "factor_on_k": xr.DataArray([0.0, 0.5], dims="dose"),
        "start_on_k": xr.DataArray([0.0, 1.5], dims="start"),
    }
    found = simulate(treated, days=10, values=values, record=["S"])
    for i, factor in enumerate((0.0, 0.5)):
        for j, start in enumerate((0.0, 1.5)):
            exact = decay(found.time.values, 0.3, factor, start, 7.3)
            np.testing.assert_allclose(found.S[i, j], exact, atol=1e-5)


def test_a_computed_target_is_multiplied_where_it_is_made(make_model: Make) -> None:
    model = make_model("x = 1; q := 2*k; k = 0.15; x' = -q*x; z := q + 1")
    found = simulate(treat(model, inhibit("q", 0.8, 2, 7.3)), days=10)
    np.testing.assert_allclose(found.x, decay(found.time.values, 0.3, 0.2, 2, 7.3), atol=1e-5)
    assert found.q.values[[0, -1]] == pytest.approx([0.3, 0.3])
    np.testing.assert_allclose(found.z, found.q + 1)


def test_a_state_is_multiplied_where_it_acts_and_not_in_its_own_rate(make_model: Make) -> None:
    model = make_model("a = 1; a' = -0.1*a; x = 0; x' = a")
    found = simulate(treat(model, inhibit("a", 1, 3)), days=10)
    np.testing.assert_allclose(found.a, np.exp(-0.1 * found.time), atol=1e-5)
    np.testing.assert_allclose(found.x, (1 - np.exp(-0.1 * np.minimum(found.time, 3))) / 0.1, atol=1e-5)


def test_start_values_are_untreated(make_model: Make) -> None:
    model = make_model("k = 0.5; v = 2; x = v/k; x' = v - k*x")
    found = simulate(treat(model, inhibit("k", 0.5)), days=100)
    assert found.x.values[0] == 4
    assert found.x.values[-1] == pytest.approx(8, rel=1e-5)


def test_a_window_can_count_from_an_event_of_the_model(make_model: Make) -> None:
    text = (
        "n = 1; n' = 0.5*n*(1 - f_resected); n_cut = 20; f_resected = 0; t_surgery = 1e9; S = 1; S' = -k*S; k = 0.3;"
        " surgery: at (n >= n_cut), t0=false: f_resected = 1, t_surgery = time; t_surgery has day; t_plan = 3;"
        " t_plan has day; n_cut has cell; n has cell; f_resected has dimensionless"
    )
    model = make_model(text)
    cut = np.log(20) / 0.5
    for start, stop in ((0.0, 1.0), (0.5, 2.0)):
        found = simulate(treat(model, inhibit("k", 0.8, start, stop, origin="t_surgery")), days=10)
        exact = decay(found.time.values, 0.3, 0.2, cut + start, cut + stop)
        np.testing.assert_allclose(found.S, exact, atol=2e-5)
    before = simulate(treat(model, inhibit("k", 0.8, -2, 0, origin="t_plan")), days=10)
    np.testing.assert_allclose(before.S, decay(before.time.values, 0.3, 0.2, 1, 3), atol=1e-5)
    never = simulate(
        treat(model, inhibit("k", 0.8, 0, 1, origin="t_surgery")), days=10, values={"n_cut": 1e9}, record=["S"]
    )
    np.testing.assert_allclose(never.S, np.exp(-0.3 * never.time), atol=1e-5)


def test_a_treated_model_is_a_plain_model(make_model: Make) -> None:
    model = make_model(DECAY)
    drug = inhibit("k", 0.8, 2, 7)
    treated = treat(model, drug)
    assert treated.interventions == (drug,)
    assert treated.hierarchical is None
    assert treated.hash != model.hash
    new = {row.id: row for row in treated.parameters if row.id not in model.table}
    assert {name: row.nominal for name, row in new.items()} == {
        "factor_on_k": pytest.approx(0.2),
        "start_on_k": 2.0,
        "stop_on_k": 7.0,
    }
    assert {(row.evidence, row.note) for row in new.values()} == {("assumed", "therapy: inhibit k by 0.8")}
    assert treated.id("activity_of_k") == "activity_of_k"
    assert treat(model) is model


def test_events_are_of_the_portable_form(make_model: Make) -> None:
    document = libsbml.readSBMLFromString(treat(make_model(DECAY), inhibit("k", 0.8, 2, 7)).flat)
    events = list(document.getModel().getListOfEvents())
    assert [libsbml.formulaToL3String(event.getTrigger().getMath()) for event in events] == [
        "time >= start_on_k",
        "time >= stop_on_k",
    ]
    for event in events:
        assert event.getTrigger().getInitialValue() is False
        assert event.getTrigger().getPersistent() is True
        assert not event.isSetDelay()
        assert event.getName()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "by zero": (lambda: inhibit("k", 0), "by is 0; give a share above 0 and at most 1"),
    "by more than all": (lambda: inhibit("k", 80), "by is 80; give a share above 0 and at most 1"),
    "by nan": (lambda: inhibit("k", float("nan")), "by is nan; give a finite number"),
    "by text": (lambda: inhibit("k", "0.8"), "by is '0.8'; give a number"),  # type: ignore[arg-type]
    "activate by zero": (lambda: activate("k", 0), "give a gain above 0"),
    "backwards": (lambda: inhibit("k", 0.5, 5, 5), r"stop \(day 5\) is not after start \(day 5\)"),
    "before the beginning": (lambda: inhibit("k", 0.5, -5), "start is day -5, before the simulation begins"),
    "infinite": (lambda: inhibit("k", 0.5, float("inf")), "start is inf"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_numbers_that_make_no_sense_are_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueSettingError, match=message):
        make()


def test_targets_that_cannot_be_treated_are_refused(make_model: Make) -> None:
    model = make_model(DECAY + "; unused = 3; w = 1; w' = -w; w has dimensionless; w0 = 2; z = w0; z' = -z")
    with pytest.raises(ValueSettingError, match=r"'P' is a species, .*target what makes it: make, v"):
        treat(model, inhibit("P", 0.5))
    with pytest.raises(ValueSettingError, match="'c' is a compartment"):
        treat(model, inhibit("c", 0.5))
    with pytest.raises(ValueSettingError, match="no rate or formula uses 'unused'"):
        treat(model, inhibit("unused", 0.5))
    with pytest.raises(ValueSettingError, match="no rate or formula uses 'w0'"):
        treat(model, inhibit("w0", 0.5))
    with pytest.raises(UnknownNameError, match="no target 'kk'"):
        treat(model, inhibit("kk", 0.5))
    with pytest.raises(UnknownNameError, match="no time variable 't_srgery'"):
        treat(model, inhibit("k", 0.5, origin="t_srgery"))
    with pytest.raises(ValueSettingError, match="origin 'w' is in dimensionless; it must be in day"):
        treat(model, inhibit("k", 0.5, origin="w"))


@pytest.mark.parametrize("name", ["tgf_beta", "primary_tumor", "circulation"])
def test_treated_modules_have_no_finding(name: str) -> None:
    try:
        model = cascade.compose(cascade.load_module(name))
    except cascade.CascadeError as error:
        pytest.skip(f"module {name} cannot be loaded: {error}")
    rates = [row.id for row in model.parameters if row.estimate][:6]
    drugs = []
    for number, target in enumerate(rates):
        try:
            treat(model, inhibit(target, 0.5))
        except ValueSettingError:
            continue
        drugs.append(inhibit(target, 0.5, start=10 * number, stop=10 * number + 100))
    treated = treat(model, *drugs, activate(drugs[0].target, 0.5, start=30))
    before = check_document(libsbml.readSBMLFromString(model.flat), name)
    after = check_document(libsbml.readSBMLFromString(treated.flat), name)
    assert [issue.what for issue in after] == [issue.what for issue in before]
    assert simulate(treated, days=200).status.item() == "ok"


def test_a_treated_model_survives_writing_and_reading(make_model: Make, tmp_path: Path) -> None:
    treated = treat(make_model(DECAY), inhibit("k", 0.8, 2, 7.3))
    path = tmp_path / "treated.xml"
    path.write_text(treated.flat)
    again = Model(name="again", flat=path.read_text(), parameters=treated.parameters, ids=treated.ids)
    assert simulate(again, days=10).equals(simulate(treated, days=10))
