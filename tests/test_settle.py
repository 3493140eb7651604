"""When is the top of a ranking settled: verdicts, growing designs, groups before parameters."""

from __future__ import annotations

from collections.abc import Callable

import known_functions as known
import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError, UnknownNameError
from cascade.sensitivity.design import Design
from cascade.sensitivity.morris import morris_design, morris_indices
from cascade.sensitivity.reuse import known_runs
from cascade.sensitivity.settle import settle, settle_by_groups, verdict
from cascade.sensitivity.sobol import sobol_design, sobol_indices


class Counted:
    """Evaluate a known function and remember every run that was asked for."""

    def __init__(self, function: known.KnownFunction, wrap: Callable[[np.ndarray], object] = lambda y: y) -> None:
        self.function, self.wrap = function, wrap
        self.asked: list[bytes] = []

    def __call__(self, design: Design, first: int) -> object:
        self.asked += [row.tobytes() for row in design.quantiles[first:]]
        return self.wrap(self.function.of(design, first))


def best(indices: xr.Dataset, top: int, index: str = "ST") -> set[str]:
    order = np.argsort(-indices[index].values)[:top]
    return {str(name) for name in indices["name"].values[order]}


def truly_best(function: known.KnownFunction, top: int) -> set[str]:
    return {f"x{i}" for i in np.argsort(-function.total)[:top]}


# ---- verdict


def test_verdict_says_yes_and_no_in_words() -> None:
    function = known.sobol_g()
    design = sobol_design(function.parameters, 16, rows=64, seed=1)
    indices = sobol_indices(design, function.of(design))
    clear = verdict(indices, top=2)
    assert clear.settled and clear.top == ("x0", "x1") and clear.probability > 0.99
    assert str(clear).startswith("top 2 settled: yes; x0, x1 are the largest with a probability of 100.0%")
    tied = verdict(indices, top=5, tolerance=0.0)  # x4 to x7 are equal
    assert not tied.settled and tied.probability < 0.7 and "top 5 settled: no" in tied.text
    assert verdict(indices, top=5, tolerance=0.01).settled, "ties within the tolerance are nobody's concern"
    assert verdict(indices, top=8).settled
    morris = morris_design(function.parameters, 10, seed=1)
    assert verdict(morris_indices(morris, function.of(morris)), top=2).top == ("x0", "x1")


def test_verdict_of_nothing_is_no() -> None:
    design = sobol_design(known.unit_parameters(7), 4, seed=1)
    flat = verdict(sobol_indices(design, np.ones(design.runs)))
    assert not flat.settled and np.isnan(flat.probability) and "the output does not vary" in flat.text
    missing = verdict(sobol_indices(design, np.full(design.runs, np.nan)))
    assert not missing.settled and "x0, x1, x2, x3, x4 have no index" in missing.text
    several = sobol_indices(design, design.quantiles[:, :2])
    with pytest.raises(AnalysisError, match="select one output"):
        verdict(several)
    assert verdict(several.isel(output_1=0), top=1).top == ("x0",)
    with pytest.raises(AnalysisError, match="confidence is 95"):
        verdict(several.isel(output_1=0), confidence=95)


def test_the_probability_is_honest() -> None:
    """Of the lists that a verdict calls settled at 90 %, at least 85 % are right, and it does call some."""
    function = known.linear((1, 0.8, 0.65, 0.5, 0.4))
    right, called = 0, 0
    for seed in range(150):
        design = sobol_design(function.parameters, 6, rows=4, seed=seed)
        found = verdict(sobol_indices(design, function.of(design), draws=0), top=2, confidence=0.9, tolerance=0)
        called += found.settled
        right += found.settled and set(found.top) == truly_best(function, 2)
    assert called >= 20 and right >= 0.85 * called


# ---- growing designs


@pytest.mark.parametrize("method", ["sobol", "morris"])
def test_nothing_is_run_twice_and_the_end_is_that_of_one_design(method: str) -> None:
    function = known.oakley_ohagan()
    evaluate = Counted(function)
    found = settle(evaluate, function.parameters, method=method, budget=3000, seed=3, top=5)
    assert len(evaluate.asked) == found.runs == found.design.runs <= 3000
    again = {"sobol": sobol_design, "morris": morris_design}[method](function.parameters, found.design.samples, seed=3)
    assert np.array_equal(again.quantiles, found.design.quantiles)
    assert np.array_equal(found.output, function.of(again))
    looks = found.history
    assert looks.sizes["look"] >= 2 and (np.diff(looks["runs"]) > 0).all() and looks["runs"][-1] == found.runs
    assert not looks["settled"].values[:-1].any()
    assert set(looks.data_vars) >= {"probability", "p_top", found.indices.attrs["index"]}
    assert f"{found.runs} runs were made" in found.indices.attrs["settled_verdict"]


def test_settled_lists_are_right_and_need_fewer_runs_than_a_fixed_design() -> None:
    """A fixed design must be large enough for every seed; one that looks stops early where it can."""
    function = known.oakley_ohagan()
    truth = truly_best(function, 5)
    found = [settle(Counted(function), function.parameters, budget=40_000, seed=seed) for seed in range(12)]
    assert all(one.indices.attrs["settled"] for one in found)
    assert sum(best(one.indices, 5) == truth for one in found) >= 11
    runs = np.mean([one.runs for one in found])
    fixed = _smallest_fixed_design(function)
    assert runs < 0.75 * fixed, f"{runs:.0f} runs against {fixed}"
    assert runs < 17_408 / 4, "SALib's customary 1024 (k + 2) runs"


def _smallest_fixed_design(function: known.KnownFunction) -> int:
    """Return the runs of the smallest of fixed designs, each twice the last, that is settled in all of 12 seeds."""
    for samples in (4, 8, 16, 32, 64, 128):
        designs = [sobol_design(function.parameters, samples, seed=seed) for seed in range(12)]
        if all(verdict(sobol_indices(design, function.of(design), draws=0)).settled for design in designs):
            return designs[0].runs
    raise AssertionError("no fixed design is settled")


def test_the_budget_ends_the_search() -> None:
    function = known.linear((1, 1, 1, 1, 1, 1, 1))
    found = settle(Counted(function), function.parameters, budget=1500, seed=1, top=3, tolerance=0)
    assert not found.indices.attrs["settled"] and found.runs <= 1500 and found.runs > 1500 - 16 * 9
    text = found.indices.attrs["settled_verdict"]
    assert text.startswith("top 3 settled: no") and "the budget of 1500 runs ends" in text
    with pytest.raises(AnalysisError, match="the budget of 100 runs is too small for the first look, which needs 576"):
        settle(Counted(function), function.parameters, budget=100, seed=1)
    with pytest.raises(UnknownNameError, match="no method 'fast'"):
        settle(Counted(function), function.parameters, budget=100, seed=1, method="fast")
    with pytest.raises(AnalysisError, match="returned an output of shape"):
        settle(lambda design, first: np.zeros(3), function.parameters, budget=9999, seed=1)


def test_an_output_that_does_not_vary_stops_at_once() -> None:
    found = settle(lambda d, first: np.ones(d.runs - first), known.unit_parameters(7), budget=10**6, seed=1)
    assert found.runs == 4 * 16 * 9 and not found.indices.attrs["settled"]
    assert "the output does not vary; more runs would not change that" in found.indices.attrs["settled_verdict"]


def test_several_outputs_are_settled_together() -> None:
    function = known.sobol_g()

    def both(y: np.ndarray) -> xr.DataArray:
        coords = {"run": np.arange(y.size), "reason": ("run", ["ok"] * y.size), "time": [0, 1]}
        return xr.DataArray(np.stack([y, np.sqrt(y)], axis=1), dims=("run", "time"), coords=coords)

    found = settle(Counted(function, both), function.parameters, budget=20_000, seed=2, top=2)
    assert found.indices.attrs["settled"] and found.indices["ST"].dims == ("name", "time")
    assert found.output.sizes == {"run": found.runs, "time": 2}
    assert "the least sure of 2 outputs" in found.indices.attrs["settled_verdict"]


def test_failed_runs_do_not_stop_it() -> None:
    function = known.oakley_ohagan()

    def holed(y: np.ndarray) -> np.ndarray:
        return np.where(np.abs(y) > np.quantile(np.abs(y), 0.97), np.nan, y)

    found = settle(Counted(function, holed), function.parameters, budget=20_000, seed=2)
    assert found.indices.attrs["failed_runs"] > 0 and len(best(found.indices, 5) & truly_best(function, 5)) >= 4


# ---- groups first


def grouped(size: int = 40) -> tuple[known.KnownFunction, dict[str, list[str]]]:
    """A function of eight groups of inputs, of which two hold all that matters, and one constant that two share."""
    slopes = np.full(size, 0.02)
    slopes[[0, 1, 2, 11, 12]] = [3, 2.5, 2, 1.8, 1.4]
    groups = {f"g{number}": [f"x{i}" for i in range(number, size, 8)] for number in range(8)}
    groups = {f"g{n}": [f"x{i}" for i in range(5 * n, 5 * n + 5)] for n in range(8)}
    groups["g5"].append("x0")
    return known.linear(slopes), groups


def test_groups_first_finds_the_same_list_with_fewer_runs() -> None:
    function, groups = grouped()
    evaluate = Counted(function)
    found = settle_by_groups(evaluate, function.parameters, groups, budget=50_000, seed=1, winners=2)
    assert found.indices.attrs["settled"] and best(found.indices, 5) == truly_best(function, 5)
    assert len(evaluate.asked) == len(set(evaluate.asked)) == found.runs, "nothing is run twice"
    plain = settle(Counted(function), function.parameters, budget=50_000, seed=1)
    assert found.runs < 0.6 * plain.runs
    opened = set(found.indices.attrs["opened"].split(", "))
    assert {"g0", "g2"} <= opened and found.indices.attrs["closed_upper"] < 0.05
    assert set(found.history["level"].values) == {1, 2}
    inside = {member for name in opened for member in groups[name]}
    assert set(found.indices["name"].values) == inside


def test_the_second_level_costs_only_the_new_rows() -> None:
    function, groups = grouped()
    first = sobol_design(function.parameters, 4, seed=1, groups=groups)
    second = sobol_design(function.parameters, 4, seed=1, groups={f"x{i}": [f"x{i}"] for i in range(5)})
    known_ones = known_runs(first, second).reshape(64, 7)
    assert (known_ones[:, :2] >= 0).all() and (known_ones[:, 2:] < 0).all()
    assert np.array_equal(first.quantiles[known_ones[:, :2]], second.quantiles.reshape(64, 7, 40)[:, :2])
    evaluate = Counted(function)
    settle_by_groups(evaluate, function.parameters, groups, budget=64 * 10 + 64 * 15 - 1, seed=1, winners=2)
    assert len(evaluate.asked) <= 64 * 10 + 64 * 15 - 1


def test_a_group_that_was_passed_over_is_opened_if_it_may_matter() -> None:
    function, groups = grouped()
    found = settle_by_groups(Counted(function), function.parameters, groups, budget=50_000, seed=2, winners=1)
    assert {"g0", "g2"} <= set(found.indices.attrs["opened"].split(", "))
    assert best(found.indices, 5) == truly_best(function, 5)


def test_a_budget_for_the_groups_alone_says_so() -> None:
    function, groups = grouped()
    found = settle_by_groups(Counted(function), function.parameters, groups, budget=700, seed=2)
    assert not found.indices.attrs["settled"] and found.indices.attrs["opened"] == ""
    assert "groups opened: none, the budget was too small" in found.indices.attrs["settled_verdict"]
