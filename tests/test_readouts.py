"""Readouts: exact on trajectories with a known answer, and every NaN says why."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from cascade.endpoints import DAYS_PER_YEAR
from cascade.errors import AnalysisError, UnknownNameError
from cascade.readouts import effect, find_readout, known_readouts, readout

HAZARD = 1e-4  # per day, after surgery


def runs(surgery: list[float], years: float = 20.0, status: list[str] | None = None) -> xr.Dataset:
    """Runs with a constant hazard after surgery and cells that double every 100 days until then."""
    time = np.linspace(0, years * DAYS_PER_YEAR, 241)
    day = np.array(surgery)[:, None]
    operated = time[None, :] >= day
    dims = ("sample", "time")
    data = {
        "endpoints__h_since_surgery": (dims, HAZARD * np.clip(time - day, 0, None)),
        "endpoints__h_cumulative": (dims, HAZARD * np.broadcast_to(time, operated.shape)),
        "endpoints__ctc_per_tube": (dims, np.where(operated, 0.0, 2 ** (time / 100))),
        "primary_tumor__t_surgery": (dims, np.where(operated, day, 1e6)),
        "bone__n_dtc": (dims, np.where(operated, 0.0, 3.0)),
        "lung__n_dtc": (dims, np.where(operated, 0.0, 4.0)),
        "c_x": (dims, np.broadcast_to(np.sin(np.pi * time / time[-1]), operated.shape), {"units": "nM"}),
        "status": ("sample", status or ["ok"] * len(surgery)),
    }
    return xr.Dataset(data, coords={"time": time})


def test_probability_after_surgery_is_exact_for_a_constant_hazard() -> None:
    found = readout(runs([1000.0, 2345.6]), "p_overt_5y")
    assert found.values == pytest.approx([1 - np.exp(-HAZARD * 5 * DAYS_PER_YEAR)] * 2, rel=1e-4)
    assert found.attrs["units"] == "dimensionless"
    assert list(found["reason"].values) == ["ok", "ok"]


def test_hazard_and_probability_agree() -> None:
    data = runs([1500.0])
    hazard = readout(data, "h_since_surgery_10y").item()
    assert readout(data, "p_overt_10y").item() == pytest.approx(1 - np.exp(-hazard), rel=1e-12)
    assert readout(data, "hazard_5y").item() == pytest.approx(HAZARD, rel=1e-9)


def test_every_nan_has_its_reason() -> None:
    data = runs([1000.0, 1e6, 19 * DAYS_PER_YEAR, 1000.0], status=["ok", "ok", "ok", "too many steps: raise"])
    found = readout(data, "p_overt_5y")
    assert list(np.isnan(found.values)) == [False, True, True, True]
    assert list(found["reason"].values) == [
        "ok",
        "not operated within the horizon",
        "the horizon ends less than 5 years after surgery",
        "run failed: too many steps: raise",
    ]


def test_values_at_surgery_come_from_the_row_before() -> None:
    data = runs([1000.0])
    row = float(data["time"].values[data["time"].values < 1000.0][-1])
    assert readout(data, "ctc_per_tube_at_surgery").item() == pytest.approx(2 ** (row / 100))
    assert readout(data, "n_dtc_at_surgery").item() == 7.0
    assert np.isnan(readout(runs([1e6]), "ctc_per_tube_at_surgery").item())


def test_any_variable_has_a_final_and_a_largest_value() -> None:
    data = runs([1000.0])
    assert readout(data, "max:c_x").item() == pytest.approx(1.0)
    assert readout(data, "final:c_x").item() == pytest.approx(0.0, abs=1e-12)
    assert readout(data, "final:c_x").attrs["units"] == "nM"


def test_one_run_without_sample_dimension() -> None:
    one = runs([1000.0]).isel(sample=0)
    found = readout(one, "p_overt_5y")
    assert found.dims == ()
    assert str(found["reason"].values) == "ok"


def test_several_sample_dimensions_pass_through() -> None:
    data = xr.concat([runs([1000.0, 2000.0]), runs([1200.0, 1e6])], dim="drug")
    found = readout(data, "p_overt_5y")
    assert dict(found.sizes) == {"drug": 2, "sample": 2}
    assert np.isnan(found.values).tolist() == [[False, False], [False, True]]


def test_wrong_names_and_missing_variables_say_what_to_do() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'p_overt_5y'.*all readouts: p_overt_5y, .*final:<id>"):
        readout(runs([1.0]), "p_overt5y")
    with pytest.raises(AnalysisError, match=r"needs endpoints__h_since_surgery.*record"):
        readout(runs([1.0]).drop_vars("endpoints__h_since_surgery"), "p_overt_5y")


def test_effects_on_both_scales() -> None:
    before, after = xr.DataArray([0.2, 0.0, np.nan]), xr.DataArray([0.1, 0.0, 0.1])
    assert effect(before, after, "difference").values == pytest.approx([-0.1, 0.0, np.nan], nan_ok=True)
    assert effect(before, after, "log_ratio").values == pytest.approx([-np.log(2), 0.0, np.nan], nan_ok=True)
    blocked = effect(xr.DataArray(0.5), xr.DataArray(-1e-14), "log_ratio").item()
    assert np.isfinite(blocked)
    assert blocked < -26


def test_named_readouts_are_complete() -> None:
    for spec in known_readouts():
        assert spec.unit and spec.meaning and spec.needs
        assert not spec.hazard or find_readout(spec.hazard).scale == "log_ratio"
