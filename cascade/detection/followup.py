"""Follow-up after surgery: schedules of visits, and what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.detection import KEPT, detect
from cascade.detection.clinical_test_table import chosen_tests
from cascade.detection.clinical_tests import ClinicalTest, Imaging
from cascade.detection.followup_plan import OLIGO_MM, checked_oligo
from cascade.detection.followup_plan import optimize_followup as optimize_followup
from cascade.detection.lesion_courses import size_in, sphere_mm
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

SCHEDULES = {
    "annual": ((12, 120),),
    "asco": ((6, 36), (12, 120)),
    "intensive": ((3, 24), (6, 60), (12, 120)),
}
"""Named schedules: (every so many months, until this month). `asco`: history and examination every 3 to 6 months for
three years, every 6 to 12 for two, then every year (Khatcheressian 2013); the guideline advises no tests at them."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Visits after surgery.

    Attributes
    ----------
    name : str
    months : tuple of float
        Months of the visits, rising.
    tests : tuple of tuple of str, optional
        Names of the tests at each visit; empty: every test at every visit.
    """

    name: str
    months: tuple[float, ...]
    tests: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        months = tuple(float(month) if is_number(month) else np.nan for month in self.months)
        if not months:
            raise AnalysisError(f"schedule {self.name!r} has no visit; symptoms alone find all, at a lead time of 0")
        if not all(month > 0 for month in months) or any(b <= a for a, b in pairwise(months)):
            raise AnalysisError(f"schedule {self.name!r}: months are {self.months!r}; give rising months above 0")
        if self.tests and len(self.tests) != len(months):
            raise AnalysisError(
                f"schedule {self.name!r} has {len(months)} visits and tests for {len(self.tests)}; give one for each"
            )
        object.__setattr__(self, "months", months)
        object.__setattr__(self, "tests", tuple(tuple(each) for each in self.tests))


def named_schedule(name: str, *, years: float = 10) -> Schedule:
    """Return the schedule `annual`, `asco` or `intensive`, up to a year; it goes on every year after the tenth."""
    if name not in SCHEDULES:
        raise unknown_name("schedule", name, SCHEDULES, "the named schedules")
    if not (is_number(years) and 0 < years <= 100):
        raise AnalysisError(f"years is {years!r}; give a number above 0, up to 100")
    months: list[float] = []
    for every, until in SCHEDULES[name]:
        while (month := (months[-1] if months else 0) + every) <= min(until, 12 * years):
            months.append(month)
    while months and months[-1] + 12 <= 12 * years:
        months.append(months[-1] + 12)
    return Schedule(name=name, months=tuple(months))


def simulate_followup(
    courses: xr.Dataset,
    schedule: Schedule,
    tests: Sequence[ClinicalTest | str],
    *,
    seed: int = 1,
    confirm: Imaging | str | None = None,
    oligo_mm: float = OLIGO_MM,
) -> xr.Dataset:
    """Follow every patient by a schedule until a metastasis is found.

    Parameters
    ----------
    courses : xarray.Dataset
        Result of `follow_courses` or `follow_lesions`.
    schedule : Schedule
    tests : sequence of test or str
        All that the schedule names; without names, every test at every visit.
    seed : int
        As in `detect`: the same test in the same month has the same result in every schedule.
    confirm : Imaging or str, optional
        A scan that follows a positive test; the metastasis is found only if it is positive too, and a positive test
        without it is a false alarm. By default a positive test finds a metastasis that is there.
    oligo_mm : float
        Diameter up to which a found metastasis counts as oligometastatic.

    Returns
    -------
    xarray.Dataset
        Over `patient`: `t_found` (month; infinite without), `found_by` (a test, "symptoms", or ""), `lead_time` (months
        before standard care; 0 if that found it, NaN without a metastasis), `diameter_found`, `oligometastatic` (found
        by a test and small), `n_visits`, `n_tests`, `n_positive` tests, `n_false` (positive ones that found nothing),
        and what is true of the patients. Attributes: weighted means, `mean_lead_time`, `share_found_early`,
        `share_oligometastatic` of those with a metastasis, `false_per_100_visits`; `not_followed` counts the rows left
        out: metastatic at diagnosis, or without a hazard.
    """
    chosen = chosen_tests(tests)
    checked_oligo(oligo_mm)
    results = detect(courses, chosen, schedule.months, seed=seed)
    positive = _planned(results, schedule)
    alarm = np.nan_to_num(positive) > 0
    if confirm is not None:
        scan = replace(chosen_tests([confirm])[0], name="confirmation")  # type: ignore[type-var]
        alarm &= detect(courses, [scan], schedule.months, seed=seed)["positive"].values > 0
    growing = results["month"].values >= results["t_start"].values[:, None]
    hits = alarm & growing[:, :, None]
    first = np.where(hits.any(axis=(1, 2)), hits.any(axis=2).argmax(axis=1), len(schedule.months))
    before = np.arange(len(schedule.months))[None, :] <= first[:, None]
    return _followed(courses, results, positive, hits, first, before, oligo_mm, schedule)


def _planned(results: xr.Dataset, schedule: Schedule) -> Numbers:
    """Return the results (patient, visit, test) of the tests that the schedule plans, NaN elsewhere."""
    names = [str(name) for name in results["test"].values]
    positive: Numbers = results["positive"].transpose("patient", "visit", "test").values.copy()
    for visit, planned in enumerate(schedule.tests):
        for name in planned:
            if name not in names:
                raise unknown_name("test", name, names, f"the tests given for schedule {schedule.name!r}")
        positive[:, visit, [name not in planned for name in names]] = np.nan
    return positive


def _followed(
    courses: xr.Dataset,
    results: xr.Dataset,
    positive: Numbers,
    hits: NDArray[np.bool_],
    first: NDArray[np.int64],
    before: NDArray[np.bool_],
    oligo_mm: float,
    schedule: Schedule,
) -> xr.Dataset:
    import xarray as xr

    names = [str(name) for name in results["test"].values]
    early = first < len(schedule.months)
    month = np.append(results["month"].values, np.inf)[first]
    followed = courses["followed"].values
    clinical = np.where(followed, courses["t_clinical"].values, np.inf)
    found = np.where(early, month, clinical)
    row = np.arange(len(first))
    test = hits[row, np.minimum(first, len(schedule.months) - 1)].argmax(axis=1)
    by = np.where(early, np.array(names)[test], np.where(np.isfinite(clinical), "symptoms", ""))
    ill = np.isfinite(clinical)
    lead = np.where(ill, np.where(ill, clinical, 0.0) - np.where(ill, found, 0.0), np.nan)
    diameter = _diameter(courses, found)
    made = np.isfinite(positive) & before[:, :, None]
    alarms = made & (np.nan_to_num(positive) > 0)
    at_find = hits & (np.arange(len(schedule.months))[None, :, None] == first[:, None, None])
    data: dict[str, Any] = {
        "t_found": (found, "month", "metastasis found"),
        "found_by": (by, "", "what found it"),
        "lead_time": (lead, "month", "months before standard care"),
        "diameter_found": (diameter, "mm", "diameter when found"),
        "oligometastatic": (early & (diameter <= oligo_mm), "", "found by a test and small"),
        "n_visits": (made.any(axis=2).sum(axis=1), "", "visits made"),
        "n_tests": (made.sum(axis=(1, 2)), "", "tests made"),
        "n_positive": (alarms.sum(axis=(1, 2)), "", "positive tests"),
        "n_false": ((alarms & ~at_find).sum(axis=(1, 2)), "", "positive tests that found no metastasis"),
    }
    result = xr.Dataset(
        {key: ("patient", each, {"units": unit, "long_name": words}) for key, (each, unit, words) in data.items()},
        coords={"patient": courses["patient"]},
        attrs=results.attrs | {"schedule": schedule.name},
    ).merge(courses[[name for name in KEPT if name in courses]], combine_attrs="override")
    result.attrs |= _means(result)
    return result


def _diameter(courses: xr.Dataset, month: Numbers) -> Numbers:
    """Return the diameter of every metastasis in a month of its own."""
    there = np.isfinite(month) & courses["event"].values
    size = size_in(courses, np.where(there, month, courses["time"].values)[:, None])[:, 0]
    return np.where(there, sphere_mm(size, courses["rho_cells"].values), np.nan)


def _means(result: xr.Dataset) -> dict[str, float | int]:
    weight = np.where(result["followed"].values, result["weight"].values, 0.0)
    ill = np.where(result["event"].values, weight, 0.0)
    share = ill / ill.sum() if ill.sum() > 0 else np.full(len(ill), np.nan)
    lead = np.nan_to_num(result["lead_time"].values)
    by_test = np.isin(result["found_by"].values.astype(str), ("", "symptoms"), invert=True)
    visits = float((weight * result["n_visits"].values).sum())
    return {
        "mean_lead_time": float((share * lead).sum()),
        "share_found_early": float((share * by_test).sum()),
        "share_oligometastatic": float((share * result["oligometastatic"].values).sum()),
        "not_followed": int((~result["followed"].values).sum()),
        "visits_per_patient": visits / float(weight.sum()) if weight.sum() > 0 else np.nan,
        "false_per_100_visits": 100 * float((weight * result["n_false"].values).sum()) / visits if visits else np.nan,
    }
