"""Behavior of the matrix between tumor and vessels: reference, breach, proteases, stiffness, inhibitors."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from tumors import tumor_model

import cascade

IN_SITU = {"d_caf": 0.0, "f_tam": 0.0, "f_mesenchymal": 0.0, "a_matrix": 1.0, "init_mmp": 0.0, "init_breached": 0.0}


@pytest.fixture(scope="module")
def model():
    return cascade.compose(cascade.load_module("invasion"))


def late(model, name="f_invasion", **values):
    """Value after ten years, when every step is at rest."""
    return cascade.simulate(model, years=10, points=3, values=values).isel(time=-1)[name].values


def test_the_reference_tumor_has_an_invasiveness_of_one(model):
    run = cascade.simulate(model, years=2, points=25)
    for name in ("f_invasion", "a_mmp", "f_passage", "f_track"):
        np.testing.assert_allclose(run[name], 1, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("source", ["d_caf", "f_tam", "f_mesenchymal"])
def test_each_cell_that_brings_proteases_raises_invasion(model, source):
    level = np.array([0.25, 0.5, 1.0, 2.0]) * model.parameter(f"{source}_reference").nominal
    values = late(model, **{source: xr.DataArray(level, dims="level")})
    assert np.all(np.diff(values) > 0)
    assert values[2] == pytest.approx(1, abs=1e-5)


def test_fibroblasts_lead(model):
    """Gaggioli 2007: the leading cell is a fibroblast; without any, least is left."""
    left = {source: float(late(model, **{source: 0.0})) for source in ("d_caf", "f_tam", "f_mesenchymal")}
    assert left["d_caf"] == min(left.values())


def test_a_tumor_in_situ_stays_closed_but_is_not_silent(model):
    """Sanger 2011: tumor cells in the marrow of 21 % of women with pure carcinoma in situ."""
    run = cascade.simulate(model, years=5, points=6, values=IN_SITU).isel(time=-1)
    assert float(run["f_breached"]) == pytest.approx(0, abs=1e-9)
    assert 0 < float(run["f_invasion"]) < 0.1


def test_stroma_opens_the_basement_membrane_within_months(model):
    run = cascade.simulate(model, days=365, points=366, values={"init_breached": 0.0, "init_mmp": 0.0})
    half = float(np.interp(0.5, run["f_breached"], run["time"]))
    assert 14 < half < 90
    assert np.all(np.diff(run["f_breached"]) > 0)
    assert float(run["f_invasion"][-1]) == pytest.approx(1, rel=0.01)


def test_an_inhibitor_of_proteases_helps_before_the_breach_more_than_after(model):
    """Lodillinsky 2016: MMP14 is required to cross the membrane; Glentis 2017: fibroblasts also pull it open."""
    blocked = xr.DataArray([1.0, 0.0], dims="inhibitor")
    before = cascade.simulate(
        model, days=90, points=3, values={"f_mmp_active": blocked, "init_breached": 0.0, "init_mmp": 0.0}
    ).isel(time=-1)
    after = cascade.simulate(model, days=90, points=3, values={"f_mmp_active": blocked}).isel(time=-1)
    ratio_before = (before["f_invasion"][1] / before["f_invasion"][0]).item()
    ratio_after = (after["f_invasion"][1] / after["f_invasion"][0]).item()
    assert ratio_before < ratio_after < 0.6
    # Neither an inhibitor of proteases nor the loss of fibroblasts stops all invasion.
    assert ratio_before > 0.05
    assert float(before["f_breached"][1]) > 0.1


def test_stiff_matrix_guides_and_dense_matrix_hinders(model):
    level = xr.DataArray(np.array([0.43, 1.0, 2.0, 4.0]) * 2.33, dims="matrix")
    assert np.all(np.diff(late(model, "f_track", a_matrix=level)) > 0)
    assert np.all(np.diff(late(model, "f_passage", a_matrix=level)) < 0)
    # Softening by a LOX inhibitor lowers invasion (Levental 2009), and so does dense matrix without proteases.
    assert late(model, a_matrix=level)[0] < 1
    starved = late(model, "f_passage", a_matrix=level, f_mmp_active=0.0)
    assert starved[3] / starved[1] < late(model, "f_passage", a_matrix=level)[3]


def test_single_and_collective_invasion_both_need_it(tmp_path):
    joins = {"clone_1.f_invasion": "matrix.f_invasion"}
    model = tumor_model(tmp_path, joins=joins, matrix="invasion")
    values = {f"matrix.{name}": xr.DataArray([float("nan"), value], dims="case") for name, value in IN_SITU.items()}
    for name, pair in values.items():
        pair[0] = model.parameter(name).nominal
    run = cascade.simulate(model, days=1700, points=2, values=values).isel(time=-1)
    ratio = run["matrix__f_invasion"][1] / run["matrix__f_invasion"][0]
    for name in ("n_invading_single", "n_invading_cluster", "v_shed_cluster", "v_lymph"):
        np.testing.assert_allclose(run[f"clone_1__{name}"][1] / run[f"clone_1__{name}"][0], ratio, rtol=1e-4)
    np.testing.assert_allclose(run["tumor__n_tumor"][1], run["tumor__n_tumor"][0], rtol=1e-4)
