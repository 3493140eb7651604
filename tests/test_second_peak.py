"""Two peaks of relapse after surgery: there with enough size classes, and gone without what surgery does."""

from __future__ import annotations

import numpy as np
import pytest

import cascade

MONTH = 365.25 / 12
UNTOUCHED = {"lesions__w_wound_angiogenic": 0.0, "lesions__f_inhibited": 0.0}
"""Surgery that neither wounds nor lifts an inhibition of distant lesions."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[16, 24])
def model(request):
    # Without the lineage of metastases, which does not change the hazard of the first one.
    structure = {"lesions": {"n_classes": request.param}}
    return cascade.compose(cascade.load_composition("breast_two_peaks", index={"secondary": []}, structure=structure))


def hazard_by_month(model, **values):
    """Return months after surgery and the hazard of a new overt metastasis."""
    record = ["endpoints__k_hazard", "primary_tumor__t_surgery"]
    run = cascade.simulate(model, years=20, points=20 * 48 + 1, values=values, record=record)
    months = (run["time"].values - float(run["primary_tumor__t_surgery"][-1])) / MONTH
    after = months > 0
    return months[after], run["endpoints__k_hazard"].values[after]


def peaks(months, hazard):
    """Return the months of the local maxima, and the hazard there and in the lowest month between the first two."""
    rises = np.diff(hazard) > 0
    tops = 1 + np.flatnonzero(rises[:-1] & ~rises[1:])
    dip = hazard[tops[0] : tops[1]].min() if len(tops) > 1 else None
    return months[tops], hazard[tops], dip


def test_two_peaks_in_the_stated_months(model):
    months, heights, dip = peaks(*hazard_by_month(model))
    assert len(months) == 2
    assert 15 < months[0] < 20 and 48 < months[1] < 58
    # Far above rounding and solver error: a tenth of the lower peak.
    assert dip < 0.9 * heights.min()


def test_one_peak_when_surgery_touches_no_lesion(model):
    """The late peak stays; the early one was made by surgery."""
    months, _, _ = peaks(*hazard_by_month(model, **UNTOUCHED))
    assert len(months) == 1 and months[0] > 40


def test_the_wound_makes_the_first_peak_and_the_loss_of_inhibition_does_not(model):
    months, whole = hazard_by_month(model)
    _, uninhibited = hazard_by_month(model, lesions__f_inhibited=0.0)
    np.testing.assert_allclose(uninhibited[months > 12], whole[months > 12], rtol=0.01)
    assert len(peaks(*hazard_by_month(model, lesions__w_wound_angiogenic=0.0))[0]) == 1


def test_lesions_that_need_not_wait_for_vessels_fill_the_dip(model):
    """They arrive between the peaks: at the share of `breast` most of the dip is gone, at four fifths all of it."""
    share = cascade.compose(cascade.load_composition("breast")).parameter("lesions__f_angiogenic_dormant").nominal
    assert share < model.parameter("lesions__f_angiogenic_dormant").nominal
    _, heights, dip = peaks(*hazard_by_month(model))
    _, filled_heights, filled_dip = peaks(*hazard_by_month(model, lesions__f_angiogenic_dormant=share))
    assert filled_dip is None or 1 - filled_dip / filled_heights.min() < 0.5 * (1 - dip / heights.min())
    assert len(peaks(*hazard_by_month(model, lesions__f_angiogenic_dormant=0.8))[0]) == 1


def test_values_lie_inside_the_ranges_of_breast(model):
    breast = cascade.compose(cascade.load_composition("breast", index={"secondary": []}))
    changed = [
        name
        for name in (
            "lesions__n_angiogenic_checkpoint",
            "lesions__f_angiogenic_dormant",
            "lesions__k_switch_angiogenic",
            "lesions__w_wound_angiogenic",
            "lesions__f_immune_dormant",
            "lesions__k_grow",
        )
        if model.parameter(name).nominal != breast.parameter(name).nominal
    ]
    assert len(changed) == 6
    for name in changed:
        row = breast.parameter(name)
        assert row.lower < model.parameter(name).nominal < row.upper, name
