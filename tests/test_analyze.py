"""One verb for every method: indices of a model whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from test_targets import build

from cascade.analyze import METHODS, analyze, settle_top
from cascade.errors import AnalysisError, UnknownNameError
from cascade.specs import Model

# The hazard is a weighted sum of independent uniform-like numbers: shares of the variance are those of the weights.
SUM = "model risk()\n h' = 4*x_a + 2*x_b + x_c; h = 0; x_a = 1; x_b = 1; x_c = 1;\nend"
NAMES = ["x_a", "x_b", "x_c"]
SHARES = np.array([16, 4, 1]) / 21


@pytest.fixture(scope="module")
def model() -> Model:
    return build(SUM, dict.fromkeys(NAMES, 1.3))


def run(model: Model, method: str, **options: object) -> xr.Dataset:
    return analyze(model, "final:h", method, years=1, workers=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", list(METHODS))
def test_every_method_puts_the_weights_in_order(model: Model, method: str) -> None:
    samples = {"sobol": 8, "chaos": 200, "regional": 400, "delta": 400, "pawn": 4000, "rbd_fast": 400}.get(method)
    options = {"threshold": 365.25 * 7} if method == "regional" else {}
    found = run(model, method, samples=samples, **options)
    index = found[found.attrs["ranking_index"]].sel(readout="final:h", name=NAMES).values
    assert index[0] > index[1] > index[2] > 0
    assert np.isfinite(found["output"]).all() and (found["reason"] == "ok").all()
    assert found["evidence"].sel(name="x_a") == "assumed"
    assert "verdict" in found.attrs and found.attrs["failed_runs"] == 0


def test_a_model_is_simulated_as_long_as_its_composition_says(model: Model) -> None:
    for years, length in ((None, 25.0), (3.0, 3.0)):
        found = analyze(replace(model, years=years), "final:h", "local", workers=1)
        assert found.attrs["days"] == pytest.approx(length * 365.25)
        assert found.attrs["points"] == round(length * 12) + 1


def test_sobol_and_chaos_give_the_known_shares(model: Model) -> None:
    for method, samples in (("sobol", 16), ("chaos", 200)):
        found = run(model, method, samples=samples)["ST"].sel(readout="final:h", name=NAMES)
        assert found.values == pytest.approx(SHARES, abs=0.03)


def test_groups_may_be_named_and_overlap(model: Model) -> None:
    found = run(model, "sobol", groups={"ab": ["x_a", "x_b"], "bc": ["x_b", "x_c"]})
    assert found["ST"].sel(readout="final:h").values == pytest.approx([20 / 21, 5 / 21], abs=0.03)
    with pytest.raises(AnalysisError, match="judges single parameters; for groups use one of morris"):
        run(model, "pawn", groups="modules")


def test_indices_over_time_and_of_several_readouts(model: Model) -> None:
    over = analyze(model, (), "sobol", series=["h"], years=1, points=5, samples=4, workers=1)
    assert over["ST"].dims == ("name", "readout", "time")
    assert (over["ST"].isel(time=0) == 0).all()  # nothing has happened at day 0
    assert "1 of 5 outputs" in over.attrs["verdict"]
    assert over["ST"].isel(time=4).sel(name="x_a").item() == pytest.approx(SHARES[0], abs=0.05)
    two = analyze(model, ["final:h", "max:h"], "sobol", years=1, samples=4, workers=1)
    assert np.array_equal(two["ST"].sel(readout="final:h"), two["ST"].sel(readout="max:h"))
    with pytest.raises(AnalysisError, match="do not have the same dimensions"):
        analyze(model, ["final:h"], "sobol", series=["h"], years=1, samples=4, workers=1)


def test_second_order_and_correlation_reach_the_design(model: Model) -> None:
    pairs = run(model, "sobol", samples=4, design_options={"second_order": True})
    pair = pairs.sel(name="x_a", other="x_b", readout="final:h")
    assert pair["S2_lower"] < 0 < pair["S2_upper"]  # a sum has no interactions
    correlated = {"correlation": {("x_a", "x_c"): 0.9}}
    assert run(model, "delta", samples=200, design_options=correlated)["delta"].sel(name="x_c") > 0
    with pytest.raises(AnalysisError, match="correlat"):
        run(model, "rbd_fast", samples=200, design_options=correlated)


def test_failed_runs_are_told_and_where_they_are() -> None:
    model = build(SUM.replace("4*x_a", "4*x_a*sqrt(1.1 - x_a)/sqrt(1.1 - x_a)"), dict.fromkeys(NAMES, 1.3))
    found = run(model, "chaos", samples=300)
    assert found.attrs["failed_runs"] > 5 and "x_a" in found.attrs["failure_region"]
    assert np.isfinite(found["ST"].sel(name="x_b", readout="final:h"))


def test_the_top_is_settled_with_a_history(model: Model) -> None:
    found = settle_top(model, "final:h", budget=3000, top=1, groups=None, years=1, workers=1)
    assert found.indices.attrs["settled"] and found.runs <= 3000
    assert bool(found.history["settled"][-1]) and int(found.history["runs"][-1]) == found.runs


def test_unknown_names_are_told(model: Model) -> None:
    with pytest.raises(UnknownNameError, match="no method 'sobl'"):
        run(model, "sobl")
    with pytest.raises(UnknownNameError, match="no grouping 'organs'"):
        run(model, "sobol", groups="organs")
    with pytest.raises(AnalysisError, match="no uncertain parameter"):
        analyze(build(SUM, {}), "final:h", years=1)
