"""What tests find in patients: results at visits after surgery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import checked_seed, patients_of, uniform
from cascade.detection.clinical_test_table import chosen_tests
from cascade.detection.clinical_test_table import clinical_test_names as clinical_test_names
from cascade.detection.clinical_test_table import load_clinical_test as load_clinical_test
from cascade.detection.clinical_test_table import symptom_sizes as symptom_sizes
from cascade.detection.clinical_tests import ClinicalTest
from cascade.detection.clinical_tests import CtcTest as CtcTest
from cascade.detection.clinical_tests import CtdnaPanel as CtdnaPanel
from cascade.detection.clinical_tests import Imaging as Imaging
from cascade.detection.clinical_tests import MarrowAspirate as MarrowAspirate
from cascade.detection.detectable import detectable_size as detectable_size
from cascade.detection.detectable import screen_primary as screen_primary
from cascade.detection.lesion_courses import course_at
from cascade.detection.lesion_courses import follow_courses as follow_courses
from cascade.detection.lesion_courses import follow_lesions as follow_lesions
from cascade.detection.lesion_signals import lesion_signals as lesion_signals
from cascade.detection.performance import decision_curve as decision_curve
from cascade.detection.performance import performance as performance
from cascade.detection.performance import roc_curve as roc_curve
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

KEPT = ("event", "organ", "time", "t_clinical", "t_start", "t_end", "followed", "weight", "subject")
"""What results keep of the courses."""


def detect(
    courses: xr.Dataset, tests: Sequence[ClinicalTest | str], visits: Sequence[float], *, seed: int = 1
) -> xr.Dataset:
    """Draw the results of tests at visits.

    Parameters
    ----------
    courses : xarray.Dataset
        Result of `follow_courses` or `follow_lesions`.
    tests : sequence of test or str
        `CtcTest`, `CtdnaPanel`, `MarrowAspirate`, `Imaging`, or names of shipped tests.
    visits : sequence of float
        Months after surgery, the same for all patients.
    seed : int
        Another seed is another luck at the same visits.

    Returns
    -------
    xarray.Dataset
        Over `patient`, `visit` and `test`: `result` (a count, or 1 and 0 of a scan), `positive` (1 or 0) and
        `p_positive`, the probability of that; NaN at visits that are not made, since standard care has found the
        metastasis before, the patient was metastatic at diagnosis, or the follow-up is over. Coordinate `month` of the
        visits; and what is true of the patients: `event`, `organ`, `t_clinical`, `t_start`, `t_end`, `weight`.

    Notes
    -----
    A result depends on seed, test, month and patient only: other patients, visits and tests change nothing. A larger
    tumor never gives a smaller result under the same luck. Given the tumor, results of two months are independent
    (variants of blood cells apart): a lesion that a scan misses for its site or kind would be missed again, so that
    many scans of low sensitivity find more here than they would.
    """
    import xarray as xr

    checked_seed(seed)
    chosen, months = chosen_tests(tests), checked_months(visits)
    body = body_of(courses, months, chosen)
    names = patients_of(courses)
    made = courses["followed"].values[:, None] & (months < courses["t_end"].values[:, None])
    shape = (*made.shape, len(chosen))
    result, chance = np.full(shape, np.nan), np.full(shape, np.nan)
    for number, test in enumerate(chosen):
        luck = np.stack([uniform(seed, f"{test.name} in month {month!r}", names) for month in months.tolist()], axis=1)
        result[..., number] = _with_blood(test, test.result(body, luck), seed, names)
        chance[..., number] = test.chance(body)
    positive = np.stack([test.is_positive(result[..., k]) for k, test in enumerate(chosen)], axis=2)
    blank = ~made[..., None] | ~np.isfinite(chance)
    dims = ("patient", "visit", "test")
    found = xr.Dataset(
        {
            "result": (dims, np.where(blank, np.nan, result), {"units": "dimensionless"}),
            "positive": (dims, np.where(blank, np.nan, positive.astype(float)), {"units": "dimensionless"}),
            "p_positive": (dims, np.where(blank, np.nan, chance), {"units": "dimensionless"}),
        },
        coords={
            "patient": courses["patient"],
            "month": ("visit", months, {"units": "month", "long_name": "months since surgery"}),
            "test": [test.name for test in chosen],
        },
        attrs=courses.attrs | {"seed_tests": int(seed)},
    )
    return found.merge(courses[[name for name in KEPT if name in courses]], combine_attrs="override")


def _with_blood(test: ClinicalTest, result: Numbers, seed: int, names: Sequence[str]) -> Numbers:
    """Make those positive at every visit whose blood cells carry a variant that the test takes for the tumor's."""
    share = getattr(test, "hematopoiesis", 0.0)
    if not share:
        return result
    carrier = uniform(seed, f"{test.name}, variants of blood cells", names) < share
    return np.where(carrier[:, None], np.maximum(result, getattr(test, "cutoff", 1)), result)


def body_of(courses: xr.Dataset, months: Numbers, tests: Sequence[ClinicalTest]) -> dict[str, NDArray[Any]]:
    """Return what bodies show (patient, month); refuse a test that needs what the courses do not know."""
    if "n_detectable" not in getattr(courses, "data_vars", ()) or "t_start" not in courses:
        raise AnalysisError("these are no courses; give the Dataset of follow_courses() or follow_lesions()")
    at = course_at(courses, months)
    body: dict[str, NDArray[Any]] = {str(name): each.values for name, each in at.data_vars.items()}
    body["organ"] = np.broadcast_to(courses["organ"].values.astype(str)[:, None], body["n_lesion"].shape)
    for test in tests:
        for name in test.needs:
            if name != "organ" and not np.isfinite(body[name]).any():
                raise AnalysisError(
                    f"test {test.name!r} needs {name} of the patients, which the courses do not know; give `outcomes`"
                    " to follow_lesions (f_dtc comes from p_dtc), or leave the test out"
                )
    return body


def checked_months(visits: Sequence[float]) -> Numbers:
    """Return rising months of visits; refuse others."""
    try:
        months = np.atleast_1d(np.asarray(visits, dtype=float))
    except (TypeError, ValueError):
        months = np.full(1, np.nan)
    if months.ndim != 1 or not len(months) or not np.isfinite(months).all() or (months < 0).any():
        raise AnalysisError(f"visits is {visits!r}; give months after surgery, 0 or more")
    if (np.diff(months) <= 0).any():
        raise AnalysisError(f"visits {list(months)[:8]} do not rise; sort them and give each once")
    return months
