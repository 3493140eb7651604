"""A ledger holds the integral of the flux that it is given, and gives nothing back."""

from __future__ import annotations

import numpy as np
import xarray as xr
from tumors import tumor_model

import cascade


def test_it_integrates_its_flux():
    model = cascade.compose(cascade.load_module("ledger"))
    flux = xr.DataArray([0.0, 2.5, 1e6], dims="flux")
    run = cascade.simulate(model, days=40, points=5, values={"v_in": flux})
    np.testing.assert_allclose(run["n_total"].transpose("time", "flux"), run["time"] * flux, rtol=1e-9, atol=1e-12)


def test_it_changes_nothing(tmp_path):
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    watched = tumor_model(tmp_path / "with", joins={"book.v_in": "clone_1.v_lymph"}, book="ledger")
    bare = tumor_model(tmp_path / "without")
    runs = [
        cascade.simulate(model, days=1700, points=18, solver=cascade.Solver(relative_tolerance=1e-9))
        for model in (watched, bare)
    ]
    np.testing.assert_allclose(runs[0]["tumor__n_tumor"], runs[1]["tumor__n_tumor"], rtol=1e-7)
    assert float(runs[0]["book__n_total"][-1]) > 1e6
