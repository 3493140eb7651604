"""Behavior of `endpoints`: each clinical reading against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import cascade


@pytest.fixture(scope="module")
def model():
    return cascade.compose(cascade.load_module("endpoints"))


def run(model, days=10, values=None, points=11):
    """Simulate and require that every run succeeded."""
    dataset = cascade.simulate(model, days=days, values=values or {}, points=points)
    assert (dataset["status"] == "ok").all()
    return dataset


def end(model, **values):
    """Return the readings on day 10."""
    return run(model, values=values).isel(time=-1)


def test_tube_detection_is_poisson(model):
    """Cells counted in 7.5 mL of 5 L at the assay's capture; positive when at least one is caught."""
    counts = xr.DataArray([0.0, 1000.0, 1e4, 1e5], dims="blood")
    data = end(model, n_ctc_single=counts, n_ctc_cloaked=0.0, n_ctc_cluster=0.0)
    expected = 0.0435 * counts * 7.5 / 5000
    np.testing.assert_allclose(data["ctc_per_tube"], expected, rtol=1e-12)
    np.testing.assert_allclose(data["p_ctc_positive"], 1 - np.exp(-expected), rtol=1e-9)


def test_reference_patient_is_positive_in_a_fifth(model):
    """A 2 cm breast primary: about 20 % have a cell in the tube (Janni et al. 2016)."""
    data = end(model)
    assert float(data["ctc_per_tube"]) == pytest.approx(0.229, abs=0.01)
    assert float(data["p_ctc_positive"]) == pytest.approx(0.202, abs=0.01)


def test_a_cluster_counts_as_its_cells(model):
    """A hundred clusters of four are 400 cells for the tube."""
    data = end(model, n_ctc_single=0.0, n_ctc_cloaked=0.0, n_ctc_cluster=100.0)
    assert float(data["n_ctc"]) == pytest.approx(400.0)


@pytest.mark.parametrize(("volume", "fraction"), [(1.0, 2.4e-4), (10.0, 2.4e-3)])
def test_ctdna_fraction_of_a_tumor(model, volume, fraction):
    """Allele fraction 2.4e-4 at 1 cm3 and 2.4e-3 at 10 cm3: shedding at death against a half-life of 30 min."""
    tumor = volume * 1e9
    data = run(model, days=30, values={"n_tumor": tumor, "v_death": 0.15 * tumor, "n_burden": 0.0})["vaf_ctdna"]
    assert float(data[-1]) == pytest.approx(fraction, rel=0.02)
    copies = 1.4e-4 * 0.15 * tumor / 33.27 / 2750
    np.testing.assert_allclose(data, copies / (953 + copies), rtol=1e-6)


def test_metastases_shed_ctdna_after_surgery(model):
    """Without the primary, circulating tumor DNA comes from the overt burden alone."""
    burden = xr.DataArray([0.0, 1e9, 2e9], dims="burden")
    data = end(model, n_tumor=0.0, v_death=0.0, n_burden=burden)
    copies = data["d_ctdna"].values
    assert copies[0] == 0.0
    assert copies[2] == pytest.approx(2 * copies[1], rel=1e-9)


def test_ctdna_is_release_over_clearance(model):
    """The pool follows the deaths at once: its half-life is minutes, a tumor changes over weeks."""
    deaths = xr.DataArray([0.0, 1e8, 6e8], dims="deaths")
    data = run(model, values={"v_death": deaths, "n_burden": 1e9})
    expected = 1.4e-4 * (deaths + 0.15e9) / 33.27
    np.testing.assert_allclose(data["n_ctdna"], expected.expand_dims(time=data["time"]).T, rtol=1e-9)


def test_hazard_becomes_probability(model):
    """P(overt) = 1 - exp(-H): exact for Poisson lesions."""
    hazard = xr.DataArray([0.0, 0.1, 1.0, 5.0], dims="hazard")
    np.testing.assert_allclose(end(model, h_cumulative=hazard)["p_overt"], 1 - np.exp(-hazard), rtol=1e-12)


def test_metastasis_free_survival_starts_at_surgery(model):
    """Before surgery nothing is counted; after it the hazard accumulates from the day of the operation."""
    before = run(model, days=1000, values={"f_resected": 0.0}).isel(time=-1)
    assert float(before["p_metastasis_free"]) == 1.0
    assert float(before["h_at_surgery"]) == pytest.approx(0.1)
    assert float(before["t_since_surgery"]) == 0.0
    after = run(model, days=1000, values={"f_resected": 1.0, "k_hazard": 2e-5})
    np.testing.assert_allclose(after["p_metastasis_free"], np.exp(-2e-5 * after["time"].values), rtol=1e-6)
    np.testing.assert_allclose(after["h_at_surgery"], 0.1 - 2e-5 * after["time"].values, rtol=1e-6)
    np.testing.assert_allclose(after["t_since_surgery"], after["time"].values)


def test_survival_is_monotone(model):
    """Metastasis-free survival never rises."""
    data = run(model, days=7300, values={"f_resected": 1.0}, points=101)
    assert (np.diff(data["p_metastasis_free"]) < 0).all()


def test_host_reserve_falls_at_lethal_burden(model):
    """Undisturbed at a tenth of the lethal burden, one half at it, nearly none at three times, after some weeks."""
    burden = xr.DataArray([0.0, 1e11, 1e12, 3e12], dims="burden")
    data = run(model, days=200, values={"n_burden_distant": burden, "h_cumulative": 50.0}).isel(time=-1)
    np.testing.assert_allclose(data["f_lethal"], burden / 1e12, rtol=1e-8)
    reserve = data["f_host"].values
    assert reserve[0] == 1.0
    assert reserve[1] > 0.999
    assert reserve[2] == pytest.approx(0.5)
    assert reserve[3] < 0.02


def test_host_feels_the_burden_of_patients_with_metastases(model):
    """The same burden a carrier: the reserve is the same whether few or many patients carry it; nodes do not count."""
    hazard = xr.DataArray([1e-4, 0.1, 3.0], dims="hazard")
    burden = 5e11 * (1 - np.exp(-hazard))
    data = end(model, h_cumulative=hazard, n_burden_distant=burden, n_burden=5e13)
    np.testing.assert_allclose(data["f_lethal"], 0.5, rtol=1e-4)


def test_marrow_sample(model):
    """Two million of 1e12 marrow cells: a sample is positive with 1 - exp(-n x 2e-6)."""
    cells = xr.DataArray([0.0, 1e4, 1e6], dims="marrow")
    expected = 1 - np.exp(-cells * 2e-6)
    np.testing.assert_allclose(end(model, n_dtc_marrow=cells)["p_dtc_positive"], expected, rtol=1e-9)


def test_total_burden(model):
    """Primary and overt metastases add up."""
    assert float(end(model, n_tumor=1e9, n_burden=3e8)["n_total"]) == pytest.approx(1.3e9)
