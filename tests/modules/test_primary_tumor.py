"""Behavior of the whole tumor: size, growth rate, surface law, surgery, vesicles."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from tumors import at_size, gompertz, tumor_model

import cascade


@pytest.fixture(scope="module")
def alone():
    return cascade.compose(cascade.load_module("primary_tumor"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tumor_model(tmp_path_factory.mktemp("tumor"))


@pytest.fixture(scope="module")
def natural(model):
    """Natural history until about 3.5 cm, fine enough to interpolate in size."""
    return cascade.simulate(model, days=2500, points=2501)


@pytest.mark.parametrize(
    ("values", "rate", "capacity"),
    [
        ({}, 1.0, 1.0),
        ({"tumor.f_growth": 1.5}, 1.5, 1.0),
        ({"tumor.f_capacity": 0.01}, 1.0, 0.01),
        # A constant death rate k lowers the plateau of Gompertz growth by exp(-k/rate).
        ({"clone_1.k_kill": 2e-3}, 1.0, np.exp(-2e-3 / 8.6e-4)),
    ],
)
def test_growth_capacity_and_killing_factors(model, values, rate, capacity):
    run = cascade.simulate(model, days=2500, points=101, values=values, record=["tumor.n_tumor"])
    expected = gompertz(run["time"], rate * 8.6e-4, capacity * 3.1e12)
    np.testing.assert_allclose(run["tumor__n_tumor"], expected, rtol=1e-4)


def test_net_growth_rate_is_the_slope_of_ln_n(model):
    values = {"tumor.k_kill": 1e-3, "clone_1.k_kill": 1e-3, "tumor.f_growth": 1.2}
    run = cascade.simulate(model, days=1500, points=3001, values=values)
    slope = np.gradient(np.log(run["tumor__n_tumor"].values), run["time"].values)
    np.testing.assert_allclose(run["tumor__k_growth"].values[200:-1], slope[200:-1], rtol=1e-3)


def test_doubling_time_age_and_diameter(natural):
    assert np.log(2) / at_size(natural, "tumor__k_growth", 1e9) == pytest.approx(100, abs=5)
    assert at_size(natural, "time", 1e9) / 365.25 == pytest.approx(4.06, abs=0.02)
    assert at_size(natural, "time", 4.19e9) / 365.25 == pytest.approx(4.69, abs=0.02)
    assert at_size(natural, "tumor__diameter", 4.19e9) == pytest.approx(20.0, abs=0.1)


def test_only_the_surface_sheds(alone):
    cells = xr.DataArray([1e8, 1e9, 1e10], dims="size")
    run = cascade.simulate(alone, days=1, points=2, values={"n_cells": cells}).isel(time=-1)
    np.testing.assert_allclose(run["f_surface"], (cells / 1e9) ** (0.663 - 1), rtol=1e-6)
    np.testing.assert_allclose(run["a_systemic_inhibition"], cells / (cells + 1e9), rtol=1e-6)


def test_surgery_is_set_once_and_the_wound_heals(model):
    run = cascade.simulate(model, years=10, points=7306, values={"tumor.f_surgery": 1.0})
    day = float(run["tumor__t_surgery"].isel(time=-1))
    assert day / 365.25 == pytest.approx(4.69, abs=0.02)
    before, after = run.where(run["time"] < day, drop=True), run.where(run["time"] > day, drop=True)
    assert float(before["tumor__f_resected"].max()) == 0 and float(after["tumor__f_resected"].min()) == 1
    assert float(before["tumor__t_surgery"].min()) == 1e6
    for name in ("n_tumor", "k_growth", "k_gompertz", "diameter", "a_systemic_inhibition", "a_vesicle"):
        assert np.abs(after[f"tumor__{name}"]).max() == 0, name
    wound = np.exp(-(after["time"] - day) / 30)
    np.testing.assert_allclose(after["tumor__a_wound"], wound, rtol=1e-3, atol=1e-6)


def test_a_planned_day_of_surgery_is_kept_whatever_the_size(model):
    planned = xr.DataArray([1000.0, 3000.0, 1e6], dims="plan")
    values = {"tumor.f_surgery": 1.0, "tumor.t_planned": planned}
    run = cascade.simulate(model, years=10, points=3654, values=values)
    by_size = float(run["tumor__t_surgery"].isel(plan=2, time=-1))
    assert 1000 < by_size < 3000
    np.testing.assert_allclose(run["tumor__t_surgery"].isel(time=-1), [1000.0, by_size, by_size], rtol=1e-9)
    assert float(run["tumor__n_tumor"].isel(time=-1).max()) == 0
    wound = run["tumor__a_wound"].isel(plan=1)  # the planned day comes when the tumor is long gone: no second wound
    assert float(wound.sel(time=3001, method="nearest")) < 1e-6


def test_a_plan_operates_a_patient_who_would_not_be(model):
    run = cascade.simulate(model, years=10, points=3654, values={"tumor.t_planned": 2000.0})
    assert float(run["tumor__t_surgery"].isel(time=-1)) == pytest.approx(2000.0, rel=1e-9)
    assert float(run["tumor__a_wound"].sel(time=2030, method="nearest")) == pytest.approx(np.exp(-1), rel=0.02)


def test_without_surgery_the_tumor_is_never_operated(model):
    run = cascade.simulate(model, years=20, points=21)
    assert float(run["tumor__f_resected"].max()) == 0
    assert float(run["tumor__n_tumor"].isel(time=-1)) > 1e12
    assert float(run["tumor__a_wound"].max()) == 0


def test_vesicles_follow_size_and_release(alone):
    values = {
        "n_cells": xr.DataArray([0.0, 1e9, 4e9, 1e9], dims="case"),
        "f_vesicle": xr.DataArray([1.0, 1.0, 1.0, 0.3], dims="case"),
    }
    run = cascade.simulate(alone, days=1, points=2, values=values).isel(time=-1)
    np.testing.assert_allclose(run["a_vesicle"], [0, 1, 4, 0.3], atol=1e-12)
