"""The visits of a follow-up that gain most, under a number of visits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cascade._tables import is_number
from cascade.detection import body_of
from cascade.detection._visits import Gains, best_visits, exchange
from cascade.detection._visits import spread as spread_visits
from cascade.detection.clinical_test_table import chosen_tests
from cascade.detection.clinical_tests import ClinicalTest
from cascade.detection.lesion_courses import course_at
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

OBJECTIVES = ("lead_time", "detected_oligometastatic", "net_benefit")
OLIGO_MM = 20.0
"""Diameter in mm up to which a found metastasis counts as oligometastatic: small enough for local treatment."""


def optimize_followup(
    courses: xr.Dataset,
    tests: Sequence[ClinicalTest | str],
    n_visits: int,
    *,
    objective: str = "lead_time",
    months: Iterable[int] | None = None,
    threshold: float = 0.05,
    oligo_mm: float = OLIGO_MM,
) -> xr.Dataset:
    """Find the months of a number of visits at which tests gain most.

    Parameters
    ----------
    courses : xarray.Dataset
        Result of `follow_courses` or `follow_lesions`.
    tests : sequence of test or str
        All of them are made at every visit.
    n_visits : int
        Most visits. Fewer are returned only if more would harm (objective `net_benefit`).
    objective : str
        `lead_time` (months before standard care, mean over patients with a metastasis), `detected_oligometastatic`
        (share of them found by a test while small), or `net_benefit` (patients found early, minus false alarms weighed
        by threshold/(1 - threshold), per patient).
    months : iterable of int, optional
        Months that may be chosen; by default every month to the end of follow-up.
    threshold : float
        For `net_benefit`: the chance of a metastasis that is worth a work-up.
    oligo_mm : float
        As in `simulate_followup`.

    Returns
    -------
    xarray.Dataset
        `month` over `visit`; `value`, `value_even` (as many visits, evenly spaced), `upper_bound` (no choice is better)
        and `certain`: true if the choice is the best there is.

    Notes
    -----
    Dynamic programming over pairs of consecutive visits: what a visit adds is counted for patients whom the visit
    before it missed. That is the exact optimum for a test whose result the size decides, since a metastasis that a
    visit misses was missed by all earlier ones. Where chance decides, earlier visits that missed matter a little too:
    then the choice is improved by exchanging visits under the exact expectation. What the program believed is then a
    bound that no choice exceeds, since a patient whom all visits missed was missed by the last of them.
    """
    import xarray as xr

    grid = _grid(courses, months)
    if isinstance(n_visits, bool) or not isinstance(n_visits, int | np.integer) or not 1 <= n_visits <= len(grid):
        raise AnalysisError(
            f"n_visits is {n_visits!r}; give a whole number from 1 to the {len(grid)} months of the grid"
        )
    gains = _gains(courses, chosen_tests(tests), grid, objective, threshold, oligo_mm)
    chosen, bound = best_visits(gains, int(n_visits))
    certain = gains.is_decided()
    if not certain:
        chosen = exchange(gains, chosen, int(n_visits))
    value = gains.value(chosen)
    even = gains.value(spread_visits(len(grid), int(n_visits)))
    unit = "month" if objective == "lead_time" else "dimensionless"
    return xr.Dataset(
        {
            "month": ("visit", grid[list(chosen)], {"units": "month", "long_name": "months since surgery"}),
            "value": ((), value, {"units": unit}),
            "value_even": ((), even, {"units": unit}),
            "upper_bound": ((), bound, {"units": unit}),
            "certain": ((), certain or bool(bound <= value + 1e-12 * abs(value))),
        },
        attrs={"objective": objective, "tests": ", ".join(test.name for test in chosen_tests(tests))},
    )


def _grid(courses: xr.Dataset, months: Iterable[int] | None) -> Numbers:
    if months is None:
        ends = courses["t_end"].values[np.isfinite(courses["t_end"].values)]
        if not len(ends):
            raise AnalysisError("nobody of these patients has a follow-up; see `reason` of the outcomes")
        return np.arange(1, int(np.ceil(ends.max())) + 1, dtype=float)
    grid = np.array(sorted({float(month) for month in months}))
    if not len(grid) or not ((grid > 0) & np.isfinite(grid)).all():
        raise AnalysisError(f"months is {list(grid)[:5]}; give months above 0")
    return grid


def checked_oligo(oligo_mm: float) -> None:
    """Refuse what is no diameter."""
    if not (is_number(oligo_mm) and oligo_mm > 0):
        raise AnalysisError(f"oligo_mm is {oligo_mm!r}; give a diameter in mm above 0")


def _gains(
    courses: xr.Dataset,
    tests: Sequence[ClinicalTest],
    grid: Numbers,
    objective: str,
    threshold: float,
    oligo_mm: float,
) -> Gains:
    """Return the chance of a positive visit, and what it gains, by patient and month."""
    if objective not in OBJECTIVES:
        raise unknown_name("objective", objective, OBJECTIVES, "those of optimize_followup")
    checked_oligo(oligo_mm)
    if not (is_number(threshold) and 0 < threshold < 1):
        raise AnalysisError(f"threshold is {threshold!r}; give a probability between 0 and 1")
    weight = np.where(courses["followed"].values, courses["weight"].values, 0.0)
    body = body_of(courses, grid, tests)
    missed = np.ones((len(weight), len(grid)))
    for test in tests:
        missed = missed * (1 - test.chance(body))
    ill = courses["event"].values & (weight > 0)
    clinical = np.where(ill, courses["t_clinical"].values, 0.0)[:, None]
    able = ill[:, None] & (grid >= courses["t_start"].values[:, None]) & (grid < clinical)
    whole = weight[ill].sum() if objective != "net_benefit" else weight.sum()
    if not whole > 0:
        raise AnalysisError("nobody of these patients has a metastasis after surgery, so that no visit gains anything")
    worth = clinical - grid if objective == "lead_time" else np.ones_like(missed)
    if objective == "detected_oligometastatic":
        worth = (course_at(courses, grid)["diameter_mm"].values <= oligo_mm).astype(float)
    cost = np.zeros(len(grid))
    if objective == "net_benefit":
        free = (grid < courses["t_end"].values[:, None]) & ~able & (weight > 0)[:, None]
        cost = threshold / (1 - threshold) * (weight[:, None] * free * (1 - missed)).sum(axis=0) / whole
    keep = able.any(axis=1)
    return Gains(
        chance=np.where(able, 1 - missed, 0.0)[keep],
        worth=np.where(able, worth, 0.0)[keep],
        weight=weight[keep] / whole,
        cost=cost,
    )
