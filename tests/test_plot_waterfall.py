"""The plot of a waterfall: bars begin where the last one ended, and say what they are."""

from __future__ import annotations

from itertools import pairwise

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from cascade._stages import STAGES
from cascade.errors import AnalysisError, UnknownNameError
from cascade.plot_waterfall import waterfall

PARTS = np.array([0.3, -1.2, -0.4, 0.0, -0.2, 0.5, -0.1, -0.3])


@pytest.fixture
def dataset() -> xr.Dataset:
    both = np.stack([PARTS, np.full(8, np.nan)])
    dims = ("treatment", "stage")
    return xr.Dataset(
        {
            "log_hazard_ratio": (dims, both),
            "hazard_difference": (dims, both / 10),
            "risk_difference": (dims, both / 20),
        },
        coords={
            "treatment": ["drug", "failed"],
            "stage": list(STAGES),
            "stage_name": ("stage", list(STAGES.values())),
            "reason": ("treatment", ["ok", "not operated within the horizon"]),
        },
    )


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def bars(axis, horizontal):
    return [
        (bar.get_x(), bar.get_x() + bar.get_width()) if horizontal else (bar.get_y(), bar.get_y() + bar.get_height())
        for bar in axis.patches
    ]


@pytest.mark.parametrize("horizontal", [True, False])
def test_bars_follow_each_other_and_end_at_the_sum(dataset, horizontal):
    axis = waterfall(dataset, treatment="drug", orientation="horizontal" if horizontal else "vertical")
    edges = np.concatenate([[0], np.cumsum(PARTS)])
    drawn = bars(axis, horizontal)
    assert len(drawn) == len(STAGES) + 1
    for (begin, end), low, high in zip(drawn, edges, edges[1:], strict=False):
        assert sorted((begin, end)) == pytest.approx(sorted((low, high)))
    assert sorted(drawn[-1]) == pytest.approx([PARTS.sum(), 0])
    ticks = axis.get_yticklabels() if horizontal else axis.get_xticklabels()
    assert [tick.get_text().replace("\n", " ") for tick in ticks] == [*STAGES.values(), "all stages"]
    texts = [text.get_text() for text in axis.texts]
    assert texts[1] == "-1.2"
    assert texts[3] == "0"
    assert texts[-1] == f"-1.4\nHR {np.exp(-1.4):.2g}"


def test_colors_tell_harm_from_help(dataset):
    colors = [bar.get_facecolor() for bar in waterfall(dataset, treatment="drug").patches]
    assert colors[0] == colors[5] != colors[1] == colors[2]
    assert colors[-1] not in colors[:-1]


def test_every_number_is_inside_the_axis(dataset):
    for orientation in ("horizontal", "vertical"):
        axis = waterfall(dataset, treatment="drug", orientation=orientation)
        figure = axis.figure
        figure.canvas.draw()
        whole = axis.get_window_extent()
        for text in axis.texts:
            box = text.get_window_extent()
            assert whole.x0 - 1 <= box.x0
            assert box.x1 <= whole.x1 + 1
        ticks = axis.get_xticklabels() if orientation == "vertical" else axis.get_yticklabels()
        boxes = [tick.get_window_extent() for tick in ticks]
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_the_axis_that_is_given_is_used_and_scales_differ(dataset):
    axis = plt.subplots()[1]
    assert waterfall(dataset, axis, treatment="drug", scale="risk_difference") is axis
    assert "percentage points" in axis.get_xlabel()
    assert sorted(bars(axis, True)[-1]) == pytest.approx([100 * PARTS.sum() / 20, 0])


def test_one_treatment_needs_no_name(dataset):
    assert waterfall(dataset.isel(treatment=[0])).get_title(loc="left") == "drug"


def test_what_cannot_be_drawn_is_said(dataset):
    with pytest.raises(AnalysisError, match="2 treatments; choose one: drug, failed"):
        waterfall(dataset)
    with pytest.raises(AnalysisError, match="no parts: not operated"):
        waterfall(dataset, treatment="failed")
    with pytest.raises(UnknownNameError, match="drugg"):
        waterfall(dataset, treatment="drugg")
    with pytest.raises(AnalysisError, match="scale is 'odds'"):
        waterfall(dataset, treatment="drug", scale="odds")
    with pytest.raises(AnalysisError, match="orientation is 'diagonal'"):
        waterfall(dataset, treatment="drug", orientation="diagonal")
