"""Local coefficients against derivatives by hand, with failed runs, bounds, values of zero and noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError
from cascade.sensitivity.given_data import sample_design
from cascade.sensitivity.local import local_coefficients, local_design
from cascade.specs import Parameter


def row(name: str, nominal: float, low: float, high: float, prior: str = "log-uniform") -> Parameter:
    numbers = (math.log(nominal), 0.5) if prior == "log-normal" else (nominal, high - low) if prior == "normal" else ()
    fields = {"nominal": nominal, "lower": low, "upper": high, "prior": prior, "prior_parameters": numbers}
    return Parameter(id=name, name=name, unit="dimensionless", estimate=True, **fields)  # type: ignore[arg-type]


ROWS = (
    row("a", 2.0, 0.1, 10.0),
    row("b", 3.0, 0.5, 9.0, "log-normal"),
    row("c", 0.7, 0.0, 1.0, "uniform"),
    row("d", -1.0, -3.0, 2.0, "normal"),
)


def test_a_power_law_is_exact_and_the_nominal_run_is_nominal() -> None:
    design = local_design(ROWS)
    v = {name: values.values for name, values in design.values().items()}
    assert design.runs == 17
    assert [v[p.id][0] for p in ROWS] == pytest.approx([p.nominal for p in ROWS], rel=1e-12)
    moved = np.array([np.abs(v[p.id] / p.nominal - 1) > 1e-9 for p in ROWS])
    assert (moved.sum(axis=0) == [0] + [1] * 16).all()  # one at a time
    found = local_coefficients(design, 5 * v["a"] ** 1.5 * v["b"] ** -2)
    np.testing.assert_allclose(found["coefficient"], [1.5, -2, 0, 0], atol=1e-9)
    assert list(found["scaling"].values) == ["log", "log", "linear", "linear"]
    assert (found["status"] == "").all()


def test_coefficients_over_time_hold_the_derivative_within_their_error() -> None:
    design = local_design(ROWS, step=0.1)
    v = {name: values.values[:, None] for name, values in design.values().items()}
    days = np.array([0.5, 1.0, 4.0])
    y = np.exp(v["a"] * days / 4) + v["c"] ** 3 * v["b"] - np.sin(v["d"])
    a, b, c, d = 2.0, 3.0, 0.7, -1.0
    y0 = np.exp(a * days / 4) + c**3 * b - np.sin(d)
    one = np.ones(3)
    slopes = np.stack([a * days / 4 * np.exp(a * days / 4), b * c**3 * one, 3 * c**3 * b * one, -d * np.cos(d) * one])
    exact = slopes / y0
    found = local_coefficients(design, xr.DataArray(y, dims=("run", "days"), coords={"days": days}))
    assert found["coefficient"].dims == ("name", "days")
    assert (found["coefficient_lower"] <= exact + 1e-12).all() and (exact - 1e-12 <= found["coefficient_upper"]).all()
    width = found["coefficient_upper"] - found["coefficient_lower"]
    assert 1e-6 < float(width.max()) < 0.02
    assert np.abs(found["coefficient"] - exact).max() < 1e-4


def test_zero_and_bounds_are_told() -> None:
    rows = (row("zero", 0.0, 0.0, 4.0, "uniform"), row("top", 1.0, 0.2, 1.0), row("near", 1.0, 0.999, 5.0, "uniform"))
    design = local_design(rows)
    v = {name: values.values for name, values in design.values().items()}
    assert all((v[p.id] >= p.lower).all() and (v[p.id] <= p.upper).all() for p in rows)
    found = local_coefficients(design, np.exp(0.3 * v["zero"]) * v["top"] ** 2 * v["near"])
    assert list(found["scaling"].values) == ["range", "log", "linear"]
    assert list(found["sides"].values) == ["one", "one", "one"]
    np.testing.assert_allclose(found["coefficient"], [1.2, 2.0, 1.0], rtol=2e-4)
    assert "3 parameters lie at a bound" in found.attrs["verdict"]
    assert local_design((row("close", 1.0, 0.99, 5.0),)).details["sides"] == ("both",)


def test_failed_runs_cost_what_rests_on_them() -> None:
    design = local_design(ROWS)
    v = {name: values.values for name, values in design.values().items()}
    y = v["a"] ** 1.5 * v["b"]
    y[4] = np.nan  # the wide step of a
    y[[6, 7]] = np.inf, np.nan  # the wide and narrow step of b
    found = local_coefficients(design, y)
    assert found["coefficient"].sel(name="a") == pytest.approx(1.5, abs=1e-3)
    assert np.isnan(found["coefficient_lower"].sel(name="a"))
    assert found["status"].sel(name="a") == "1 of 4 runs failed; no numerical error"
    assert found["coefficient"].sel(name="c") == pytest.approx(0, abs=1e-9)
    y[5] = np.nan
    lost = local_coefficients(design, y)
    assert np.isnan(lost["coefficient"].sel(name="b")) and lost["status"].sel(name="b") == "3 of 4 runs failed"
    assert "1 of 4 coefficients are NaN" in lost.attrs["verdict"]
    y[0] = np.nan
    nothing = local_coefficients(design, y)
    assert (nothing["status"] == "the nominal run failed").all() and np.isnan(nothing["coefficient"]).all()


def test_an_output_of_zero_has_no_scaled_coefficient_and_a_negative_one_has() -> None:
    design = local_design(ROWS)
    v = {name: values.values for name, values in design.values().items()}
    output = xr.DataArray(np.stack([v["a"] - v["a"][0], -(v["a"] ** 2)], axis=1), dims=("run", "organ"))
    found = local_coefficients(design, output)
    assert (found["status"].isel(organ=0) == "the nominal output is 0").all()
    assert np.isnan(found["coefficient"].isel(organ=0)).all()
    np.testing.assert_allclose(found["coefficient"].isel(organ=1), [2, 0, 0, 0], atol=1e-6)


def test_noise_of_the_solver_is_in_the_interval() -> None:
    design = local_design(ROWS)
    v = {name: values.values for name, values in design.values().items()}
    held = []
    for seed in range(60):
        noise = 1e-6 * np.random.default_rng(seed).uniform(-1, 1, design.runs)
        found = local_coefficients(design, v["a"] ** 1.5 + noise, noise=1e-6)
        held.append((found["coefficient_lower"] <= [1.5, 0, 0, 0]) & (found["coefficient_upper"] >= [1.5, 0, 0, 0]))
    assert np.mean(held) >= 0.95
    assert found.attrs["noise_floor"] > 0 and "may be the solver's noise" in found.attrs["verdict"]
    assert float(np.abs(found["coefficient"].sel(name="b"))) < found.attrs["noise_floor"]


def test_wrong_steps_and_designs_are_refused() -> None:
    with pytest.raises(AnalysisError, match="step is 2"):
        local_design(ROWS, step=2)
    sample = sample_design(ROWS, 17, seed=1)
    with pytest.raises(AnalysisError, match="not one of sample"):
        local_coefficients(sample, np.ones(17))
    with pytest.raises(AnalysisError, match="17 runs"):
        local_coefficients(local_design(ROWS), np.ones(16))
