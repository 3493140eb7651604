"""What the plots of sensitivity indices show: largest first, limits as given, the floor named."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError
from cascade.plot_sensitivity import indices, over_time

matplotlib.use("Agg")


def make_indices(**more: object) -> xr.Dataset:
    rows = {"ST": [0.2, 0.5, 0.1], "ST_lower": [0.1, 0.4, 0.0], "ST_upper": [0.3, 0.7, 0.2]}
    data = {name: ("name", values) for name, values in rows.items()}
    return xr.Dataset(data | more, coords={"name": ["a", "b", "c"]}, attrs={"ranking_index": "ST"})  # type: ignore[arg-type]


def test_bars_are_sorted_and_only_the_leading_are_drawn() -> None:
    axis = indices(make_indices(), top=2)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "a"]
    assert [bar.get_width() for bar in axis.patches[:2]] == [0.5, 0.2]


def test_the_floor_is_drawn_where_it_is_and_named() -> None:
    axis = indices(make_indices(ST_floor=0.15))
    assert any(np.allclose(line.get_xdata(), 0.15) for line in axis.lines)
    assert axis.texts[0].get_text().strip() == "floor of noise" and axis.texts[0].get_position()[0] == 0.15
    assert not indices(make_indices()).texts, "no floor is known, none is drawn"


def test_one_readout_is_chosen_of_several() -> None:
    both = xr.concat([make_indices(), make_indices() * 0 + 0.1], dim="readout").assign_coords(readout=["x", "y"])
    both.attrs = {"ranking_index": "ST"}
    assert indices(both, readout="x").patches[0].get_width() == 0.5
    assert indices(both, readout="y").patches[0].get_width() == pytest.approx(0.1)


def test_indices_over_time_are_lines_and_not_bars() -> None:
    series = xr.concat([make_indices(), make_indices() * 2], dim="time").assign_coords(time=[0.0, 365.25])
    series.attrs = {"ranking_index": "ST"}
    with pytest.raises(AnalysisError, match="over_time"):
        indices(series)
    lines = over_time(series, top=2).get_lines()
    assert len(lines) >= 2 and lines[0].get_ydata()[-1] == pytest.approx(1.0)
