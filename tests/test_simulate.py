"""`simulate`: one call for a run, a sweep, a cohort and a design; units, provenance, mistakes refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade import simulate as public_simulate
from cascade.errors import UnknownNameError, ValueSettingError
from cascade.simulate import DAYS_PER_YEAR, simulate
from cascade.specs import Model, Solver

Make = Callable[..., Model]

TEXT = """
  compartment c = 2; species S in c; substanceOnly species N in c;
  S = 3; N = n_start; n_start = 100;
  degrade: S -> ; c*k_clear*S; k_clear = 0.5;
  grow: => N; g*N; g = 0.01;
  a_score' = -a_score; a_score = 1;
  f_resected = 0; surgery: at (time >= t_cut), t0=false: f_resected = 1, g = -0.1; t_cut = 5;
  total := N + c*S;  half = k_clear/2;
  S is "ligand"; k_clear is "clearance";
"""


@pytest.fixture(scope="module")
def model(make_model: Make) -> Model:
    return make_model(TEXT, lower={"k_clear": 0.01, "t_cut": 0.1}, aliases={"mod.S": "S", "mod.k_clear": "k_clear"})


def test_the_public_name_is_the_function() -> None:
    assert public_simulate is simulate


def test_one_run_holds_every_symbol_that_varies(model: Model) -> None:
    found = simulate(model, days=10, points=21)
    assert set(found.data_vars) == {"S", "N", "a_score", "f_resected", "g", "total", "status", "rung"}
    assert dict(found.sizes) == {"time": 21}
    assert found.status.item() == "ok"
    assert found.rung.item() == 0
    np.testing.assert_allclose(found.S, 3 * np.exp(-0.5 * found.time), rtol=1e-5)
    np.testing.assert_allclose(found.total, found.N + 2 * found.S)
    assert (found.f_resected.values == (found.time.values >= 5)).all()


def test_every_variable_has_units_and_a_name(model: Model) -> None:
    found = simulate(model, days=10)
    for name in found.variables:
        if name != "status":
            assert found[name].attrs["units"], name
        assert found[name].attrs["long_name"], name
    assert found.time.attrs["units"] == "day"
    assert found.S.attrs["long_name"] == "ligand"


def test_years_are_days(model: Model) -> None:
    assert simulate(model, years=2).time.values[-1] == 2 * DAYS_PER_YEAR


def test_dimensions_of_values_carry_through(model: Model) -> None:
    values = {
        "k_clear": xr.DataArray([0.1, 0.2, 0.3], dims="sample", coords={"sample": ["a", "b", "c"]}),
        "S": xr.DataArray([1.0, 2.0], dims="dose", coords={"dose": [10, 20], "label": ("dose", ["low", "high"])}),
        "n_start": 50,
    }
    found = simulate(model, days=10, values=values, points=6)
    assert found.S.dims == ("sample", "dose", "time")
    assert found.status.dims == ("sample", "dose")
    assert list(found.label.values) == ["low", "high"]
    one = found.S.sel(sample="b", dose=20)
    np.testing.assert_allclose(one, 2 * np.exp(-0.2 * found.time), rtol=1e-5)
    assert (found.N.isel(time=0) == 50).all()


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.fixed_dictionaries({"x": st.integers(1, 3), "y": st.integers(1, 3)}),
    dims=st.lists(st.sampled_from([(), ("x",), ("y",), ("x", "y"), ("y", "x")]), min_size=3, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_broadcasting_equals_single_runs(
    model: Model, sizes: dict[str, int], dims: list[tuple[str, ...]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = {
        name: xr.DataArray(rng.uniform(0.05, 2, [sizes[d] for d in over]), dims=over)
        for name, over in zip(("k_clear", "S", "half"), dims, strict=True)
    }
    found = simulate(model, days=3, points=4, values=values, workers=1)
    used = {dim for over in dims for dim in over}
    assert set(found.status.dims) == used
    corner = {dim: int(rng.integers(sizes[dim])) for dim in used}
    single = {name: v.isel({d: i for d, i in corner.items() if d in v.dims}).item() for name, v in values.items()}
    alone = simulate(model, days=3, points=4, values=single, workers=1)
    for name in ("S", "N", "total"):
        np.testing.assert_array_equal(found[name].isel(corner).values, alone[name].values)


def test_a_dataset_is_a_design(model: Model) -> None:
    design = xr.Dataset({"k_clear": ("sample", [0.1, 0.2]), "S": ("sample", [1.0, 2.0])}, attrs={"seed": 7})
    found = simulate(model, days=1, values=design)
    assert found.S.isel(time=0).values.tolist() == [1.0, 2.0]
    assert found.attrs["seed"] == 7


def test_computed_constants_follow_and_can_be_set(model: Model) -> None:
    followed = simulate(model, days=1, values={"k_clear": 0.3}, record=["half"])
    assert followed.half.values[0] == pytest.approx(0.15)
    fixed = simulate(model, days=1, values={"k_clear": 0.3, "half": 9}, record=["half"])
    assert fixed.half.values[0] == 9


def test_record_takes_names_constants_and_reactions(model: Model) -> None:
    found = simulate(model, days=10, record=["mod.S", "k_clear", "degrade", "S"], values={"mod.k_clear": 0.25})
    assert set(found.data_vars) == {"S", "k_clear", "degrade", "status", "rung"}
    np.testing.assert_allclose(found.degrade, 2 * 0.25 * found.S, rtol=1e-12)


def test_provenance_is_json_and_goes_to_netcdf(model: Model, tmp_path: Path) -> None:
    found = simulate(model, days=10, values={"k_clear": xr.DataArray([0.1, 0.2], dims="sample"), "S": 4})
    assert json.loads(json.dumps(found.attrs)) == found.attrs
    assert found.attrs["model_sha256"] == model.hash
    assert json.loads(found.attrs["values"]) == {"k_clear": "array over ['sample']", "S": 4.0}
    for key in ("cascade_version", "roadrunner_version", "libsbml_version", "relative_tolerance", "values_sha256"):
        assert found.attrs[key], key
    path = tmp_path / "runs.nc"
    found.to_netcdf(path)
    with xr.open_dataset(path, decode_timedelta=False) as again:
        assert again.attrs["model_sha256"] == model.hash
        np.testing.assert_array_equal(again.S.values, found.S.values)
        assert list(again.status.values) == ["ok", "ok"]


def test_a_failed_run_is_nan_with_a_reason_and_the_others_are_kept(make_model: Make) -> None:
    growing = make_model("x = 1; x' = k*x^2; k = 0; y := 2*x")
    values = {"k": xr.DataArray([0.0, 1.0, 0.05], dims="sample")}
    found = simulate(growing, days=10, values=values)
    assert [str(text)[:14] for text in found.status.values] == ["ok", "no convergence", "ok"]
    assert found.rung.values.tolist() == [0, -1, 0]
    assert np.isnan(found.x.values[1]).all()
    assert np.isnan(found.y.values[1]).all()
    np.testing.assert_allclose(found.x.values[2], 1 / (1 - 0.05 * found.time), rtol=1e-4)


def test_a_negative_population_is_not_a_result(make_model: Make) -> None:
    draining = make_model(
        "compartment c = 1; substanceOnly species n_x in c; n_x = 1; n_x -> ; v; v = 1; x = 0; x' = 1"
    )
    found = simulate(draining, days=3, record=["x"])
    assert str(found.status.item()).startswith("negative n_x: -2 at day 3")
    assert np.isnan(found.x).all()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no length": ({}, "give the length of the simulation once"),
    "two lengths": ({"days": 1, "years": 1}, "give the length of the simulation once"),
    "zero": ({"days": 0}, "days is 0; give a finite number above 0"),
    "negative": ({"years": -1}, "years is -1; give a finite number above 0"),
    "nan": ({"days": float("nan")}, "days is nan"),
    "infinite": ({"days": float("inf")}, "days is inf"),
    "text": ({"days": "10"}, "days is '10'; give a number"),
    "one point": ({"days": 1, "points": 1}, "points is 1; give 2 to"),
    "fractional points": ({"days": 1, "points": 2.5}, "points is 2.5; give a whole number"),
    "far too many points": ({"days": 1, "points": 10**9}, "points is 1000000000; give 2 to"),
    "nan value": ({"days": 1, "values": {"k_clear": float("nan")}}, "value of 'k_clear': 1 of 1 are nan"),
    "infinite value": (
        {"days": 1, "values": {"k_clear": xr.DataArray([1, np.inf], dims="s")}},
        "value of 'k_clear': 1 of 2 are inf; give finite numbers",
    ),
    "text value": ({"days": 1, "values": {"k_clear": "fast"}}, "value of 'k_clear' is 'fast'; give real numbers"),
    "none": ({"days": 1, "values": {"k_clear": None}}, "value of 'k_clear' is None; give real numbers"),
    "complex": ({"days": 1, "values": {"k_clear": 1j}}, "give real numbers"),
    "list": ({"days": 1, "values": {"k_clear": [1, 2]}}, "unnamed dimension"),
    "values no mapping": ({"days": 1, "values": [1]}, "values is list; give a mapping"),
    "negative value": ({"days": 1, "values": {"k_clear": -1}}, "value of 'k_clear' is -1, which is negative .*0.01"),
    "negative species": ({"days": 1, "values": {"S": -1}}, "value of 'S' is -1, which is negative"),
    "no volume": ({"days": 1, "values": {"c": 0}}, "size of compartment 'c' is 0"),
    "computed": ({"days": 1, "values": {"total": 1}}, "'total' is computed by a formula"),
    "reaction": ({"days": 1, "values": {"grow": 1}}, "'grow' is a reaction"),
    "twice": ({"days": 1, "values": {"k_clear": 1, "mod.k_clear": 2}}, "are the same quantity 'k_clear'; give one"),
    "time": ({"days": 1, "values": {"g": xr.DataArray([1.0], dims="time")}}, "has the dimension 'time'"),
    "empty": ({"days": 1, "values": {"g": xr.DataArray(np.empty(0), dims="s")}}, "is empty"),
    "lengths": (
        {"days": 1, "values": {"g": xr.DataArray([1.0], dims="s"), "half": xr.DataArray([1.0, 2], dims="s")}},
        r"dimensions of the values do not match \(g: \{'s': 1\}, half: \{'s': 2\}\)",
    ),
    "dimension is a symbol": ({"days": 1, "values": {"g": xr.DataArray([1.0], dims="S")}}, "S is both a dimension"),
    "record text": ({"days": 1, "record": "S"}, r"give a list of names, record=\['S'\]"),
    "record nothing": ({"days": 1, "record": []}, "record is empty"),
    "too large": (
        {"days": 1, "points": 10**6, "values": {"g": xr.DataArray(np.ones(10**4), dims="s")}},
        "name fewer symbols in record",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_refused_before_anything_runs(name: str, model: Model) -> None:
    arguments, message = REFUSED[name]
    with pytest.raises(ValueSettingError, match=message):
        simulate(model, **arguments)


def test_unknown_names_are_answered_with_close_ones(model: Model) -> None:
    with pytest.raises(UnknownNameError, match=r"no symbol 'k_claer' in model 'small'; did you mean .*'k_clear'"):
        simulate(model, days=1, values={"k_claer": 1})
    with pytest.raises(UnknownNameError, match=r"did you mean .*'total'"):
        simulate(model, days=1, record=["totl"])


def test_switches_may_be_booleans(model: Model) -> None:
    assert simulate(model, days=1, values={"f_resected": True}).f_resected.values[0] == 1.0


def test_tighter_tolerance_is_closer_to_the_truth(model: Model) -> None:
    errors = []
    for tolerance in (1e-4, 1e-6, 1e-9):
        found = simulate(model, days=10, solver=Solver(relative_tolerance=tolerance, absolute_tolerance=1e-12))
        errors.append(float(np.abs(found.S / (3 * np.exp(-0.5 * found.time)) - 1).max()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-7


def test_small_expected_numbers_are_resolved(make_model: Make) -> None:
    rare = make_model("compartment c = 1; substanceOnly species n_x in c; n_x = 1e-6; n_x -> ; k*n_x; k = 0.5")
    found = simulate(rare, days=10)
    np.testing.assert_allclose(found.n_x, 1e-6 * np.exp(-0.5 * found.time), rtol=1e-3)


def test_progress_is_drawn_on_request_only(model: Model, capfd: pytest.CaptureFixture[str]) -> None:
    values = {"k_clear": xr.DataArray([0.1, 0.2], dims="sample")}
    simulate(model, days=1, values=values)
    assert capfd.readouterr() == ("", "")
    simulate(model, days=1, values=values, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "2/2" in err
