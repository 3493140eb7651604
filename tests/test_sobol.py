"""Sobol' indices against functions with known ones: estimates, limits, groups, extension, noise."""

from __future__ import annotations

import warnings

import known_functions as known
import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError
from cascade.sensitivity.design import DUMMY
from cascade.sensitivity.intervals import jackknife_limits, rank_intervals
from cascade.sensitivity.sobol import sobol_design, sobol_indices

ALL = {function.name: function for function in known.ALL}


@pytest.mark.parametrize(
    ("name", "first", "total"),
    [("Ishigami", 0.02, 0.02), ("Sobol G", 0.015, 0.015), ("linear", 0.005, 0.005), ("Oakley-O'Hagan", 0.03, 0.03),
     ("multiplicative", 0.08, 0.12)],
)  # fmt: skip
def test_estimates_are_near_the_truth(name: str, first: float, total: float) -> None:
    function = ALL[name]
    design = sobol_design(function.parameters, 16, rows=256, seed=1)
    found = sobol_indices(design, function.of(design))
    assert found["S1"].values == pytest.approx(function.first, abs=first)
    assert found["ST"].values == pytest.approx(function.total, abs=total)


def test_published_indices_of_the_known_functions() -> None:
    """The truth that the other tests use, against numbers printed in the literature and against integration."""
    assert known.ishigami().first == pytest.approx([0.3139, 0.4424, 0], abs=1e-4)
    assert known.ishigami().total == pytest.approx([0.5576, 0.4424, 0.2437], abs=1e-4)
    assert known.sobol_g().total[:4] == pytest.approx([0.787, 0.242, 0.0343, 0.0105], abs=6e-4)
    function = known.oakley_ohagan(6)
    quantiles = np.random.default_rng(0).random((400_000, 6))
    other = np.random.default_rng(1).random((400_000, 6))
    y = function.function(quantiles)
    for inputs in ([0], [5], [3, 4]):
        mixed = other.copy()
        mixed[:, inputs] = quantiles[:, inputs]
        closed = np.corrcoef(y, function.function(mixed))[0, 1]
        assert closed == pytest.approx(function.closed(inputs), abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ALL))
def test_nominal_95_percent_intervals_hold_the_truth(name: str) -> None:
    """Over 150 seeds and all inputs 90 to 98 % of the intervals of S1 and of ST hold the truth."""
    function = ALL[name]
    inside: dict[str, list[np.ndarray]] = {"S1": [], "ST": []}
    for seed in range(150):
        design = sobol_design(function.parameters, 16, rows=16, seed=seed)
        found = sobol_indices(design, function.of(design), draws=0)
        for index, truth in (("S1", function.first), ("ST", function.total)):
            lower, upper = found[f"{index}_lower"].values, found[f"{index}_upper"].values
            inside[index].append((lower <= truth) & (truth <= upper))
    for index, held in inside.items():
        assert 0.90 <= np.mean(held) <= 0.98, f"{index}: {np.mean(held):.3f}"


@pytest.mark.slow
def test_intervals_of_second_order_indices_hold_the_truth() -> None:
    function = known.ishigami()
    pairs = ((0, 1), (0, 2), (1, 2))
    truth = np.array([function.closed(pair) - function.first[list(pair)].sum() for pair in pairs])
    inside = []
    for seed in range(150):
        design = sobol_design(function.parameters, 16, rows=16, seed=seed, second_order=True)
        found = sobol_indices(design, function.of(design), draws=0)
        lower, upper = (found[f"S2_{end}"].values[tuple(zip(*pairs, strict=True))] for end in ("lower", "upper"))
        inside.append((lower <= truth) & (truth <= upper))
    assert 0.90 <= np.mean(inside) <= 0.98


def test_estimators_are_those_of_salib() -> None:
    from SALib.analyze import sobol

    function = known.ishigami()
    design = sobol_design(function.parameters, 4, rows=32, seed=3, second_order=True)
    y = function.of(design)
    found = sobol_indices(design, y)
    a, b, *others = (y.reshape(-1, 8).T - y.reshape(-1, 8)[:, :2].mean()) / 4
    ab, ba = others[:3], others[3:]
    assert found["S1"].values == pytest.approx([float(sobol.first_order(a, one, b)) for one in ab], abs=1e-12)
    assert found["ST"].values == pytest.approx([float(sobol.total_order(a, one, b)) for one in ab], abs=1e-12)
    both = [sobol.second_order(a, ab[i], ab[j], ba[i], b) for i, j in ((0, 2), (2, 0))]
    assert found["S2"].sel(name="x0", other="x2").item() == pytest.approx(np.mean(both), abs=1e-12)


def test_canary_salib_gives_zero_for_small_numbers() -> None:
    """If this fails SALib no longer calls a variance below 2e-16 none: the docstring of sobol.py may be changed."""
    from SALib.analyze import sobol

    function = known.linear()
    design = sobol_design(function.parameters, 4, seed=1)
    y = 1e-9 * function.of(design)
    a, b, ab = y.reshape(-1, 7).T[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert sobol.total_order(a, ab, b) == 0
    assert sobol_indices(design, y)["ST"].values == pytest.approx(sobol_indices(design, 1e9 * y)["ST"].values)


def test_second_order_of_ishigami() -> None:
    function = known.ishigami()
    design = sobol_design(function.parameters, 16, rows=512, seed=2, second_order=True)
    found = sobol_indices(design, function.of(design))
    assert design.runs == 16 * 512 * 8
    pair = found.sel(name="x0", other="x2")
    assert pair["S2"].item() == pytest.approx(0.2437, abs=0.03)
    assert pair["S2_lower"] > 0.1, "whether the limits hold the truth is measured over seeds below"
    assert found["S2"].sel(name="x0", other="x1").item() == pytest.approx(0, abs=0.03)
    assert found["S2"].values == pytest.approx(found["S2"].values.T, nan_ok=True)
    assert np.isnan(np.diag(found["S2"].values)).all()


def test_groups_may_overlap() -> None:
    function = known.sobol_g()
    groups = {"one": ["x0"], "both": ["x0", "x1"], "other": ["x1", "x2", "x3"], "tail": ["x4", "x5", "x6", "x7"]}
    design = sobol_design(function.parameters, 16, rows=128, seed=5, groups=groups, second_order=True)
    found = sobol_indices(design, function.of(design))
    assert design.runs == 16 * 128 * 10
    for name, members in groups.items():
        inputs = [int(member[1:]) for member in members]
        assert found["S1"].sel(name=name).item() == pytest.approx(function.closed(inputs), abs=0.02)
        assert found["ST"].sel(name=name).item() == pytest.approx(function.total_of(inputs), abs=0.02)
    together = function.closed([0, 1, 2, 3]) - function.closed([0]) - function.closed([1, 2, 3])
    assert found["S2"].sel(name="one", other="other").item() == pytest.approx(together, abs=0.03)
    assert np.isnan(found["S2"].sel(name="both", other="other"))
    assert "share a parameter have no second-order index" in found.attrs["verdict"]


@pytest.mark.parametrize("second_order", [False, True])
def test_a_larger_design_begins_with_the_smaller_one(second_order: bool) -> None:
    few, many = (
        sobol_design(known.unit_parameters(5), n, rows=8, seed=0, second_order=second_order) for n in (3, 7)
    )  # fmt: skip
    assert np.array_equal(many.quantiles[: few.runs], few.quantiles)
    assert many.runs == 7 * 8 * (12 if second_order else 7)
    assert not np.array_equal(few.quantiles, sobol_design(known.unit_parameters(5), 3, rows=8, seed=1).quantiles[:1])


def test_other_sets_share_the_rows_a_and_b() -> None:
    parameters = known.unit_parameters(4)
    single = sobol_design(parameters, 3, rows=4, seed=2).quantiles.reshape(12, 6, 4)
    groups = sobol_design(parameters, 3, rows=4, seed=2, groups={"g": ["x0", "x3"]}).quantiles.reshape(12, 3, 4)
    assert np.array_equal(single[:, :2], groups[:, :2])
    assert np.array_equal(groups[:, 2, [0, 3]], groups[:, 1, [0, 3]])
    assert np.array_equal(groups[:, 2, [1, 2]], groups[:, 0, [1, 2]])
    assert np.array_equal(single[:, 3, 1], single[:, 1, 1])


def test_times_and_readouts_in_one_pass_are_those_one_by_one() -> None:
    function = known.ishigami()
    design = sobol_design(function.parameters, 6, rows=16, seed=4, second_order=True)
    y = function.of(design)
    stack = np.stack([[y, y**2], [np.exp(y / 5), np.full_like(y, 2.0)]], axis=-1).transpose(1, 0, 2)
    output = xr.DataArray(stack, dims=("run", "readout", "time"), coords={"readout": ["p", "q"], "time": [0.0, 5.0]})
    found = sobol_indices(design, output.transpose("time", "run", "readout"))
    assert found["ST"].dims == ("name", "readout", "time") or set(found["ST"].dims) == {"name", "readout", "time"}
    assert found["readout"].values.tolist() == ["p", "q"]
    for readout, time in (("p", 0.0), ("p", 5.0), ("q", 0.0)):
        one = sobol_indices(design, output.sel(readout=readout, time=time).values)
        here = found.sel(readout=readout, time=time)
        for index in ("S1", "ST", "ST_lower", "ST_upper", "S2", "S2_upper", "rank", "p_top", "ST_bound_upper"):
            assert here[index].values == pytest.approx(one[index].values, nan_ok=True, abs=1e-12), index
    flat = found.sel(readout="q", time=5.0)
    assert flat["constant"].item() and (flat["ST"] == 0).all() and np.isnan(flat["rank"]).all()
    assert "1 of 4 outputs do not vary by more than the solver's noise" in found.attrs["verdict"]


def test_large_outputs_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    from cascade.sensitivity import sobol

    function = known.ishigami()
    design = sobol_design(function.parameters, 3, seed=4)
    output = function.of(design)[:, None] ** np.arange(1, 8)
    whole = sobol_indices(design, output)
    monkeypatch.setattr(sobol, "_CELLS", 2 * design.runs)
    xr.testing.assert_allclose(whole, sobol_indices(design, output), rtol=1e-12)


# ---- noise, constants, dummy


def test_what_does_not_vary_is_zero_with_a_reason() -> None:
    design = sobol_design(known.unit_parameters(3), 4, seed=1)
    noise = 1e-9 * np.random.default_rng(0).standard_normal(design.runs)
    for output, level in ((np.full(design.runs, 0.3), 0.0), (np.zeros(design.runs), 0.0), (0.3 + noise, 1e-7)):
        found = sobol_indices(design, output, noise=level)
        assert found["constant"].item()
        for index in ("S1", "ST", "S1_lower", "ST_upper"):
            assert (found[index].values == 0).all()
        assert np.isnan(found["p_top"]).all()
        assert "every index of it is given as 0" in found.attrs["verdict"]
    loud = sobol_indices(design, 0.3 + noise)
    assert not loud["constant"].item() and (loud["ST"] > 0.5).all(), "noise that nobody declares looks like an effect"


def test_the_dummy_is_the_noise_of_the_simulation() -> None:
    function = known.linear()
    design = sobol_design(function.parameters, 16, rows=64, seed=1, dummy=True)
    plain = sobol_design(function.parameters, 16, rows=64, seed=1)
    assert np.array_equal(design.quantiles.reshape(1024, 8, 6)[:, :7, :5], plain.quantiles.reshape(1024, 7, 5))
    exact = sobol_indices(design, function.of(design))
    assert exact["ST"].sel(name=DUMMY).item() == exact["S1"].sel(name=DUMMY).item() == 0
    assert np.isnan(exact["rank"].sel(name=DUMMY)) and exact["rank"].sel(name="x4").item() == 5
    noisy = function.of(design) + 0.3 * np.random.default_rng(1).standard_normal(design.runs)
    found = sobol_indices(design, noisy)
    share = 0.3**2 / found["variance"].item()
    assert found["ST"].sel(name=DUMMY).item() == pytest.approx(share, rel=0.1)
    assert found["ST_floor"].item() == found["ST"].sel(name=DUMMY).item()
    assert exact["S1_floor"].item() < 0.05
    declared = sobol_indices(plain, function.of(plain), noise=0.3)
    assert declared["ST_floor"].item() == pytest.approx(0.09 / declared["variance"].item())


# ---- ranks and limits


def test_ranks_of_total_indices() -> None:
    function = known.sobol_g()
    design = sobol_design(function.parameters, 16, rows=64, seed=1)
    found = sobol_indices(design, function.of(design), top=2)
    assert found["rank"].values[:4].tolist() == [1, 2, 3, 4]
    assert found["rank_lower"].values[:4].tolist() == found["rank_upper"].values[:4].tolist() == [1, 2, 3, 4]
    assert found["p_top"].values[:2].tolist() == [1, 1] and (found["p_top"].values[2:] == 0).all()
    assert (found["rank_lower"].values[4:] >= 5).all() and (found["rank_upper"].values[4:] <= 8).all()
    assert "rank" not in sobol_indices(design, function.of(design), draws=0)


def test_equal_parameters_share_their_ranks() -> None:
    inside = []
    for seed in range(40):
        design = sobol_design(known.unit_parameters(4), 8, seed=seed)
        q = design.quantiles
        found = sobol_indices(design, q[:, 0] + q[:, 1] + q[:, 2], top=2)
        assert found["rank_upper"].sel(name="x3").item() == 4
        inside.append((found["rank_lower"].values[:3] == 1) & (found["rank_upper"].values[:3] == 3))
    assert np.mean(inside) > 0.85, "rank intervals of ties hold all ranks that they share"


def test_jackknife_of_a_mean_is_the_t_interval() -> None:
    from scipy.stats import t

    x = np.random.default_rng(0).normal(size=(9, 3)) + 5
    left_out = (x.sum(axis=0) - x) / 8
    lower, upper = jackknife_limits(x.mean(axis=0), left_out)
    half = t.ppf(0.975, 8) * x.std(axis=0, ddof=1) / 3
    assert lower == pytest.approx(x.mean(axis=0) - half) and upper == pytest.approx(x.mean(axis=0) + half)
    left_out[:, 1] = np.nan
    left_out[0, 2] = np.nan
    lower, _ = jackknife_limits(x.mean(axis=0), left_out)
    assert np.isnan(lower[1]) and np.isfinite(lower[[0, 2]]).all()
    ranks = rank_intervals(np.array([[np.nan], [2.0], [1.0]]), np.full((3, 3, 1), np.nan), top=1, seed=0)
    assert np.isnan(ranks["rank"][0, 0]) and ranks["rank"][1:, 0].tolist() == [1, 2]
    assert ranks["rank_upper"][1:, 0].tolist() == [2, 2], "without replicates nothing is told apart"


def test_wrong_designs_are_refused_in_words() -> None:
    two = known.unit_parameters(2)
    with pytest.raises(AnalysisError, match="replicates is 1; intervals need at least 2"):
        sobol_design(two, 1, seed=1)
    with pytest.raises(AnalysisError, match="rows is 12; a Sobol' sample is balanced for powers of two"):
        sobol_design(two, rows=12, seed=1)
    with pytest.raises(AnalysisError, match="group 'g': x9 are not among the 2 uncertain"):
        sobol_design(two, seed=1, groups={"g": ["x9"]})
    with pytest.raises(AnalysisError, match="seed is -1"):
        sobol_design(two, seed=-1)
    design = sobol_design(two, 2, seed=1)
    with pytest.raises(AnalysisError, match=r"shape \(5,\), the sobol design has 128 runs"):
        sobol_indices(design, np.zeros(5))
    with pytest.raises(AnalysisError, match="none is `run`"):
        sobol_indices(design, xr.DataArray(np.zeros(128), dims="patient"))
    from cascade.sensitivity.morris import morris_design

    with pytest.raises(AnalysisError, match="method 'morris'; sobol_indices needs one of sobol_design"):
        sobol_indices(morris_design(two, 4, seed=1), np.zeros(12))
