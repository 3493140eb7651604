"""How good tests are: sensitivity, specificity, lead time, ROC and decision curves of results in patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._shares import auc, weighted_share
from cascade._tables import is_number
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

WITHIN = 24.0
"""Months within which a metastasis that is not yet found counts as one that a test should tell."""

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, kw_only=True)
class Visits:
    """The visits of one test at which it is known who is a case: arrays of one length."""

    score: Numbers
    positive: NDArray[np.bool_]
    case: NDArray[np.bool_]
    weight: Numbers
    patient: NDArray[np.int64]


def performance(found: xr.Dataset, *, within: float = WITHIN) -> xr.Dataset:
    """Compute how well each test tells who has a metastasis that will be found soon.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.detect`.
    within : float
        A patient is a case at a visit if standard care will find the metastasis within so many months; a control if it
        is known not to. Visits after which the follow-up ends too soon to tell are left out.

    Returns
    -------
    xarray.Dataset
        Over `test`: `sensitivity`, `specificity`, `ppv`, `npv` by visit and `auc`, each with its 95 % interval
        (`*_lower`, `*_upper`; visits of a patient are one cluster); `n_cases`, `n_controls` (visits),
        `n_patients_cases`; `p_found`, the share of the patients with a metastasis in whom the test is positive before
        standard care finds it and after it began to grow (be it by luck), with interval; `lead_time` over `quantile`
        (months before standard care, of those); `p_false_alarm`, the share of patients without a metastasis who have
        any positive result. A metastasis that is found more than `within` months ahead counts against specificity.
    """
    import xarray as xr

    _check(found, within)
    tests = [str(name) for name in found["test"].values]
    rows = [_performance_of(found, name, within) for name in tests]
    data: dict[str, Any] = {key: ("test", np.array([row[key] for row in rows])) for key in rows[0] if key != "lead"}
    data["lead_time"] = (("test", "quantile"), np.array([row["lead"] for row in rows]), {"units": "month"})
    result = xr.Dataset(data, coords={"test": tests, "quantile": list(QUANTILES)}, attrs={"within": float(within)})
    for name in result.data_vars:
        result[name].attrs.setdefault("units", "dimensionless")
    return result


def _performance_of(found: xr.Dataset, test: str, within: float) -> dict[str, Any]:
    seen = visits_of(found, test, within)
    row: dict[str, Any] = {}
    of = {
        "sensitivity": (seen.case, seen.positive),
        "specificity": (~seen.case, ~seen.positive),
        "ppv": (seen.positive, seen.case),
        "npv": (~seen.positive, ~seen.case),
    }
    for name, (among, hits) in of.items():
        _add(row, name, weighted_share(hits[among], seen.weight[among], seen.patient[among]))
    _add(row, "auc", auc(seen.score, seen.case, seen.weight, seen.patient))
    row["n_cases"], row["n_controls"] = int(seen.case.sum()), int((~seen.case).sum())
    row["n_patients_cases"] = len(np.unique(seen.patient[seen.case]))
    lead, weight, who = lead_times(found, test)
    _add(row, "p_found", weighted_share(np.isfinite(lead), weight, who))
    row["lead"] = quantiles(lead[np.isfinite(lead)], weight[np.isfinite(lead)])
    _add(row, "p_false_alarm", _false_alarms(found, test))
    return row


def _add(row: dict[str, Any], name: str, value: tuple[float, float, float]) -> None:
    row[name], row[f"{name}_lower"], row[f"{name}_upper"] = value


def visits_of(found: xr.Dataset, test: str, within: float = WITHIN) -> Visits:
    """Return the visits of a test at which it is known whether the patient is a case."""
    _check(found, within)
    if test not in found["test"].values:
        raise unknown_name("test", test, found["test"].values, "these results")
    one = found.sel(test=test).transpose("patient", "visit", ...)
    month = found["month"].values.astype(float)[None, :]
    until = found["t_clinical"].values[:, None] - month
    ends = found["t_end"].values[:, None] - month
    event = found["event"].values.astype(bool)[:, None]
    case = event & (until <= within)
    known = case | np.where(event, until > within, ends >= within)
    made = np.isfinite(one["result"].values) & known
    rows = np.broadcast_to(_subjects(found)[:, None], made.shape)
    weight = np.broadcast_to(found["weight"].values[:, None], made.shape)
    return Visits(
        score=one["result"].values[made],
        positive=one["positive"].values[made] > 0,
        case=case[made],
        weight=weight[made],
        patient=rows[made],
    )


def lead_times(found: xr.Dataset, test: str) -> tuple[Numbers, Numbers, NDArray[np.int64]]:
    """Return months by which the first positive comes before standard care (NaN: never), weight and patient.

    Only patients whose metastasis standard care finds within the known time and who had a visit before count.
    """
    one = found.sel(test=test).transpose("patient", "visit", ...)
    month = found["month"].values.astype(float)[None, :]
    made = np.isfinite(one["result"].values)
    growing = month >= found["t_start"].values[:, None]
    hit = made & growing & (one["positive"].values > 0)
    first = np.where(hit.any(axis=1), np.where(hit, month, np.inf).min(axis=1), np.nan)
    who = np.flatnonzero(found["event"].values.astype(bool) & made.any(axis=1))
    return (found["t_clinical"].values - first)[who], found["weight"].values[who], _subjects(found)[who]


def _false_alarms(found: xr.Dataset, test: str) -> tuple[float, float, float]:
    one = found.sel(test=test).transpose("patient", "visit", ...)
    made = np.isfinite(one["result"].values)
    who = np.flatnonzero(~found["event"].values.astype(bool) & made.any(axis=1))
    hits = ((one["positive"].values > 0) & made).any(axis=1)[who]
    return weighted_share(hits, found["weight"].values[who], _subjects(found)[who])


def _subjects(found: xr.Dataset) -> NDArray[np.int64]:
    """Return the number of the patient of every row: fates of one patient are not independent."""
    return found["subject"].values if "subject" in found else np.arange(found.sizes["patient"])


def quantiles(value: Numbers, weight: Numbers) -> Numbers:
    """Return weighted quantiles; NaN of nothing."""
    if not len(value):
        return np.full(len(QUANTILES), np.nan)
    order = np.argsort(value, kind="stable")
    middle = np.cumsum(weight[order]) - weight[order] / 2
    return np.asarray(np.interp(np.array(QUANTILES) * weight.sum(), middle, value[order]))


def roc_curve(found: xr.Dataset, test: str, *, within: float = WITHIN) -> xr.Dataset:
    """Return the ROC curve of a test: sensitivity and false positive rate over the cutoff of its result.

    Returns
    -------
    xarray.Dataset
        Over `cutoff`, from infinity (nobody is positive) to the smallest result: `sensitivity`, `false_positive_rate`;
        attributes `auc`, `auc_lower`, `auc_upper`.
    """
    import xarray as xr

    seen = visits_of(found, test, within)
    cutoffs = np.concatenate([[np.inf], np.unique(seen.score)[::-1]])
    data = {}
    for name, among in (("sensitivity", seen.case), ("false_positive_rate", ~seen.case)):
        score, weight = seen.score[among], seen.weight[among]
        order = np.argsort(-score, kind="stable")
        sums = np.concatenate([[0.0], np.cumsum(weight[order])])
        taken = np.searchsorted(-score[order], -cutoffs, side="right")
        whole = weight.sum()
        values = sums[taken] / whole if whole > 0 else np.full(len(cutoffs), np.nan)
        data[name] = ("cutoff", values, {"units": "dimensionless"})
    area = auc(seen.score, seen.case, seen.weight, seen.patient)
    attrs = dict(zip(("auc", "auc_lower", "auc_upper"), area, strict=True))
    return xr.Dataset(data, coords={"cutoff": cutoffs}, attrs={"test": test, "within": float(within)} | attrs)


def decision_curve(
    found: xr.Dataset, thresholds: Sequence[float] | None = None, *, within: float = WITHIN
) -> xr.Dataset:
    """Return the net benefit of acting on each test, on everybody and on nobody.

    Parameters
    ----------
    found : xarray.Dataset
        Result of `cascade.detect`.
    thresholds : sequence of float, optional
        Probabilities of a metastasis from which on a patient would want a work-up; 1 to 50 % by default.
    within : float
        As in `performance`.

    Returns
    -------
    xarray.Dataset
        `net_benefit` over `strategy` (the tests, "all", "none") and `threshold`: true positives minus false positives
        weighed by threshold/(1 - threshold), per visit (Vickers and Elkin 2006).
    """
    import xarray as xr

    grid = np.linspace(0.01, 0.5, 50) if thresholds is None else np.asarray(thresholds, dtype=float)
    if grid.ndim != 1 or not len(grid) or not ((grid > 0) & (grid < 1)).all():
        raise AnalysisError(f"thresholds is {thresholds!r}; give probabilities between 0 and 1")
    tests = [str(name) for name in found["test"].values]
    odds = grid / (1 - grid)
    rows = []
    for test in tests:
        seen = visits_of(found, test, within)
        rows.append(_benefit(seen, seen.positive, odds))
    rows.append(_benefit(seen, np.ones_like(seen.positive), odds))
    rows.append(np.zeros(len(grid)))
    coords = {"strategy": [*tests, "all", "none"], "threshold": grid}
    data = {"net_benefit": (("strategy", "threshold"), np.array(rows), {"units": "dimensionless"})}
    return xr.Dataset(data, coords=coords, attrs={"within": float(within)})


def _benefit(seen: Visits, acted: NDArray[np.bool_], odds: Numbers) -> Numbers:
    whole = seen.weight.sum()
    if not whole > 0:
        return np.full(len(odds), np.nan)
    true, false = ((seen.weight * (acted & who)).sum() / whole for who in (seen.case, ~seen.case))
    return np.asarray(true - false * odds)


def _check(found: xr.Dataset, within: float) -> None:
    for name in ("result", "positive", "t_clinical", "t_start", "t_end", "event", "weight"):
        if name not in getattr(found, "data_vars", ()):
            raise AnalysisError(f"the results have no {name}; give the Dataset of detect()")
    if not (is_number(within) and within > 0):
        raise AnalysisError(f"within is {within!r}; give months above 0")
