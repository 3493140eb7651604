"""Measures of synergy on drugs whose interaction is known in closed form, and the pictures of a result."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from cascade.errors import AnalysisError, UnknownNameError
from cascade.loewe import equivalent_dose, loewe_index
from cascade.plot_synergy import synergy_map, synergy_matrix
from cascade.synergy import activity, bliss_excess, fraction_affected, fraction_blocked, hsa_excess, verdict

GRID = 3.0 ** np.arange(-2, 3)
FINE = 3.0 ** (np.arange(-12, 29) / 4)
CURVES = {
    "saturates at 1": lambda d: d / (1 + d),
    "saturates at a half": lambda d: 0.5 * d / (1 + d),
    "cooperative": lambda d: 0.8 * d**2 / (1 + d**2),
    "shallow": lambda d: 0.8 * d**0.7 / (1 + d**0.7),
    "potent": lambda d: 0.6 * d / (0.1 + d),
    "weak": lambda d: 0.6 * d / (20 + d),
    "hazard of two parts": lambda d: 1 - (0.7 / (1 + d) ** 3 + 0.3 * np.exp(-0.5 * d / (1 + d))),
}


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
def test_a_drug_with_itself_has_loewe_index_one_everywhere(curve) -> None:
    first, second = np.meshgrid(GRID, GRID)
    index, reason = loewe_index(curve(first + second), (first, second), [(FINE, curve(FINE))] * 2)
    assert set(reason.ravel()) == {"ok"}
    assert np.abs(index - 1).max() < 1e-3


def test_three_times_the_same_drug_has_loewe_index_one() -> None:
    curve = CURVES["saturates at a half"]
    index, _ = loewe_index(curve(3 * GRID), [GRID] * 3, [(FINE, curve(FINE))] * 3)
    assert index == pytest.approx(1, abs=1e-9)


def test_loewe_index_counts_doses_in_their_own_potency() -> None:
    """A drug and its ten times weaker form, one mechanism: additive, whatever the mixture."""
    strong, weak = CURVES["saturates at a half"], lambda d: CURVES["saturates at a half"](d / 10)
    first, second = np.meshgrid(GRID, 10 * GRID)
    index, _ = loewe_index(
        strong(first + second / 10), (first, second), [(FINE, strong(FINE)), (10 * FINE, weak(10 * FINE))]
    )
    assert index == pytest.approx(np.ones((5, 5)), abs=1e-4)
    better, _ = loewe_index(strong(2 * first), (first, first), [(FINE, strong(FINE))] * 2)
    assert better == pytest.approx(np.ones((5, 5)))
    boosted, _ = loewe_index(strong(4 * first), (first, first), [(FINE, strong(FINE))] * 2)
    assert boosted == pytest.approx(0.5 * np.ones((5, 5)), abs=1e-9)  # as good as twice the dose


def test_loewe_of_equal_drugs_on_two_factors_is_known() -> None:
    """Two factors, each 1/(1+d): E = 1 - 1/(1+d)² needs d² + 2d of one alone, so the index is 2/(2 + d): synergy."""
    index, _ = loewe_index(1 - 1 / (1 + GRID) ** 2, (GRID, GRID), [(FINE, FINE / (1 + FINE))] * 2)
    assert index == pytest.approx(2 / (2 + GRID), rel=1e-6)


def test_doses_alone_are_read_off_the_curve_or_refused_in_words() -> None:
    curve = 0.5 * FINE / (1 + FINE)
    dose, reason = equivalent_dose([0.25, 0.45, 0.6, -0.1, np.nan, 0.0], FINE, curve, name="drug a")
    assert dose[:2] == pytest.approx([1, 9]) and np.isnan(dose[2:]).all()
    assert list(reason) == [
        "ok",
        "ok",
        "drug a alone does not reach the effect at any dose",
        "the combination has no effect",
        "the combination has no result",
        "the combination has no effect",
    ]


def test_a_curve_that_is_not_monotone_is_used_only_where_it_is() -> None:

    def rise_and_fall(d):
        return 0.5 * d / (1 + d) - 0.3 * d**2 / (100 + d**2)

    dose, reason = equivalent_dose([0.1, 0.3], FINE, rise_and_fall(FINE), name="a")
    assert rise_and_fall(dose[0]) == pytest.approx(0.1, rel=1e-4)
    assert reason[1] == "several doses of a alone have this effect" and np.isnan(dose[1])
    harm_first = 0.5 * FINE / (1 + FINE) - 0.2 * np.exp(-FINE) * FINE
    dose, reason = equivalent_dose([0.4], FINE, harm_first)
    assert reason[0] == "ok" and 0.5 * dose / (1 + dose) - 0.2 * np.exp(-dose) * dose == pytest.approx(0.4, rel=1e-3)


def test_a_missing_run_is_a_gap_and_a_plateau_has_no_dose() -> None:
    curve = 0.5 * FINE / (1 + FINE)
    gap = np.where(np.isclose(FINE, 1), np.nan, curve)
    dose, reason = equivalent_dose([0.25, 0.4], FINE, gap, name="a")
    assert reason[0] == "a run of a alone near this effect is missing" and np.isnan(dose[0])
    assert dose[1] == pytest.approx(4)
    plateau = np.minimum(curve, 0.3) + 1e-7 * np.arange(FINE.size)
    _, reason = equivalent_dose([0.300002], FINE, plateau, name="a")
    assert reason[0] == "the effect of a alone hardly changes with its dose here"
    _, reason = equivalent_dose([0.2], FINE, np.zeros(FINE.size), name="a")
    assert reason[0] == "a alone has no effect"
    _, reason = equivalent_dose([0.2], FINE, np.full(FINE.size, np.nan), name="a")
    assert reason[0] == "a alone has too few results"


def test_no_drug_has_no_index() -> None:
    curve = (FINE, FINE / (1 + FINE))
    index, reason = loewe_index([0.0, 0.5], ([0.0, 1.0], 0.0), [curve, curve])
    assert list(reason) == ["no drug is given", "ok"] and index[1] == pytest.approx(1)  # one drug alone is additive


def test_independent_drugs_have_no_bliss_excess() -> None:
    a, b, c = 0.3, -0.2, 0.9  # harm counts too
    assert bliss_excess(1 - (1 - a) * (1 - b), [a, b]) == pytest.approx(0, abs=1e-15)
    assert bliss_excess(1 - (1 - a) * (1 - b) * (1 - c), [a, b, c]) == pytest.approx(0, abs=1e-15)
    assert bliss_excess(0.9, [0.5, 0.5]) == pytest.approx(0.15)
    assert np.isnan(bliss_excess(0.9, [0.5, np.nan]))


def test_hsa_excess_is_over_the_best_part() -> None:
    assert hsa_excess([0.5, 0.5], [[0.3, 0.6], [0.4, 0.1]]) == pytest.approx([0.1, -0.1])
    assert np.isnan(hsa_excess(0.5, [0.4, np.nan]))  # the part that is missing may be the best
    with pytest.raises(AnalysisError, match="two parts or more"):
        hsa_excess(0.5, [0.4])


def test_doses_on_one_constant_add_and_others_multiply() -> None:
    assert activity(1.0) == 0.5 and activity(9.0) == pytest.approx(0.1) and activity(0.0, 1.0) == 1.5
    assert activity(1.0 + 2.0) == 0.25
    assert activity(1.0, 1.0) == pytest.approx(0.75)  # a blocker and a booster are not one site
    assert fraction_blocked([1.0, 9.0]) == pytest.approx([0.5, 0.9])


def test_fraction_affected_in_both_directions() -> None:
    assert fraction_affected(0.2, [0.05, 0.2, 0.4, 0.0]) == pytest.approx([0.75, 0, -1, 1])
    assert fraction_affected(10.0, [40.0, 5.0], better="higher") == pytest.approx([0.75, -1])
    assert np.isnan(fraction_affected([0.0, np.nan, 1.0], [0.1, 0.1, -0.5])).all()


def test_verdict_needs_an_interval_and_a_size() -> None:
    mean = [0.2, -0.2, 0.001, 0.2, 0.005, np.nan]
    lower, upper = [0.1, -0.3, -0.002, -0.1, 0.001, 0], [0.3, -0.1, 0.004, 0.5, 0.02, 0]
    said = verdict(mean, lower, upper, margin=0.01)
    assert list(said) == ["synergy", "antagonism", "additive", "not settled", "not settled", "no result"]


# ---- pictures


@pytest.fixture
def found() -> xr.Dataset:
    shape = (1, 3, 3)
    doses = np.array([1 / 3, 1, 3])
    bliss = np.arange(9).reshape(shape) / 100 - 0.04
    loewe = np.where(bliss > 0.035, np.nan, 2.0 ** (-20 * bliss))
    data = {"grid_bliss": bliss, "grid_loewe": loewe, "grid_effect": bliss + 0.5}
    coords = {
        "pair": ["a + b"], "first": ("pair", ["a"]), "second": ("pair", ["b"]), "dose_first": doses,
        "dose_second": doses, "target": ["a", "b"], "curve_dose": doses,
        "target_name": ("target", ["drug A", "drug B"]), "action": ("target", ["blocked", "boosted"]),
    }  # fmt: skip
    dims = ("pair", "dose_first", "dose_second")
    dataset = xr.Dataset({name: (dims, values) for name, values in data.items()}, coords, {"window": "adjuvant"})
    dataset["curve"] = (("target", "curve_dose"), np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]))
    yield dataset
    plt.close("all")


def test_map_shows_the_numbers_at_their_doses_and_white_is_none(found: xr.Dataset) -> None:
    axis = synergy_map(found, "a + b")
    assert axis.get_xlabel() == "drug A, blocked (%)" and axis.get_ylabel() == "drug B, boosted (%)"
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["25", "50", "75"]
    picture = axis.get_images()[0]
    low, high = picture.get_clim()
    assert low == -high
    assert picture.get_array()[2, 0] == pytest.approx(100 * found["grid_bliss"].values[0, 0, 2])  # row is the second
    written = {(t.get_position()): t.get_text() for t in axis.texts}
    assert written[(2, 2)] == "4.0" and written[(0, 0)] == "−4.0"


def test_map_of_loewe_is_centered_on_one_and_hatches_what_is_missing(found: xr.Dataset) -> None:
    axis = synergy_map(found, "b + a", measure="loewe")
    assert axis.get_xlabel().startswith("drug B")
    low, high = axis.get_images()[0].get_clim()
    assert low == -high == pytest.approx(-1)  # an index of 1 is white, a half as strong as a double
    assert len(axis.patches) == int(np.isnan(found["grid_loewe"].values).sum()) == 1
    assert {(0, 0): "1.74"}.items() <= {t.get_position(): t.get_text() for t in axis.texts}.items()


def test_map_without_any_value_says_why(found: xr.Dataset) -> None:
    empty = found.assign(grid_loewe=found["grid_loewe"] * np.nan)
    empty["grid_reason_loewe"] = empty["grid_loewe"].astype(str).where(False, "a alone has no effect")
    axis = synergy_map(empty, "a + b", measure="loewe")
    assert [text.get_text() for text in axis.texts] == ["a alone has no effect"] and len(axis.patches) == 9


def test_matrix_shows_pairs_below_and_single_drugs_on_the_diagonal(found: xr.Dataset) -> None:
    axis = synergy_matrix(found)
    written = {t.get_position(): t.get_text() for t in axis.texts}
    assert written == {(0, 0): "30", (1, 1): "60", (0, 1): "4.0"}
    assert axis.get_title() == "both by 75 %, adjuvant"


def test_wrong_names_are_answered(found: xr.Dataset) -> None:
    with pytest.raises(UnknownNameError, match=r"no pair 'a \+ c'"):
        synergy_map(found, "a + c")
    with pytest.raises(UnknownNameError, match="no measure 'zip'"):
        synergy_map(found, "a + b", measure="zip")
    with pytest.raises(UnknownNameError, match="no dose '7'"):
        synergy_matrix(found, dose=7)
