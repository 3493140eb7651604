"""How large a trial must be: power and number of patients, simulated from the hazards of a cohort."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import require_whole
from cascade.errors import AnalysisError
from cascade.survival._followed import MONTHS_PER_YEAR, provenance
from cascade.survival._hazards import Hazards, enrolled_pair
from cascade.trial._boundaries import bounds, drift_for, looks_of
from cascade.trial._enroll import Conduct
from cascade.trial._replicates import Replicates, event_share, expected_ratio, replicate
from cascade.trial._schoenfeld import check_share
from cascade.trial._schoenfeld import schoenfeld_events as schoenfeld_events
from cascade.trial._schoenfeld import schoenfeld_power as schoenfeld_power

if TYPE_CHECKING:
    import xarray as xr

MOST_PATIENTS = 200_000
"""No trial is larger: a difference that needs more is none."""

_MOST_DRAWN = 400_000_000

_TOO_MANY = f"more than {MOST_PATIENTS} patients would be needed"


@dataclass(frozen=True, kw_only=True)
class Design:
    """A trial of two arms before anybody is enrolled."""

    pair: tuple[Hazards, Hazards]
    conduct: Conduct
    allocation: float
    alpha: float
    looks: tuple[float, ...]
    limits: Any
    replicates: int
    seed: int

    def run(self, n: int, ratios: bool = True) -> Replicates:
        """Run trials of n patients, with or without their hazard ratios."""
        return replicate(
            self.pair, n, self.conduct, allocation=self.allocation, looks=self.looks, replicates=self.replicates,
            ratios=ratios, seed=self.seed,
        )  # fmt: skip

    @property
    def ratio(self) -> float:
        """Hazard ratio that the trial converges to."""
        return expected_ratio(self.pair, self.conduct, self.allocation)

    @property
    def share(self) -> float:
        """Expected share of patients with an event."""
        return event_share(self.pair, self.conduct, self.allocation)


def design_of(
    control: xr.Dataset,
    arm: xr.Dataset,
    *,
    years_after: float | None = None,
    allocation: float = 0.5,
    accrual_months: float = 0.0,
    dropout: float = 0.0,
    death: float = 0.0,
    weights: xr.DataArray | None = None,
    alpha: float = 0.05,
    looks: Iterable[float] = (1.0,),
    bounds_shape: str = "obrien_fleming",
    replicates: int = 2_000,
    seed: int = 1,
) -> Design:
    """Return the design of a trial: arguments as of `power_of_trial`."""
    check_share("allocation", allocation)
    require_whole("replicates", replicates, 100, 1_000_000)
    require_whole("seed", seed, 0, 2**63 - 1)
    shares = looks_of(tuple(looks))
    last = float(control["month"].values[-1]) if years_after is None and "month" in control.coords else None
    months = last if last is not None else float(years_after or 0) * MONTHS_PER_YEAR
    conduct = Conduct(months=months, accrual=accrual_months, dropout=dropout, death=death)
    return Design(
        pair=enrolled_pair(control, arm, weights, months=months), conduct=conduct, allocation=float(allocation),
        alpha=alpha, looks=shares, limits=bounds(shares, alpha, bounds_shape), replicates=replicates, seed=seed,
    )  # fmt: skip


def power_of_trial(control: xr.Dataset, arm: xr.Dataset, n: int | Iterable[int], **options: Any) -> xr.Dataset:
    """Compute the chance that a trial of n patients finds a difference, by simulation from known hazards.

    Parameters
    ----------
    control, arm : xarray.Dataset
        Results of `cascade.follow_cohort` of one cohort in both arms.
    n : int or sequence of int
        Patients in both arms together.
    **options
        years_after : years from the first patient to the analysis, by default all that was followed;
        allocation : share of patients in the arm, 0.5; accrual_months : in which patients enter evenly, 0;
        dropout, death : hazards per year of being lost and of other death, 0; weights : over patient;
        alpha : two-sided error, 0.05; looks : shares of the expected events at which the trial is tested, (1,);
        bounds_shape : "obrien_fleming" or "pocock"; replicates : simulated trials, 2,000; seed : 1.

    Returns
    -------
    xarray.Dataset
        Over `n`: `power` (either arm is found better) with its 95 % interval `power_lower`, `power_upper` (Wilson),
        `wins` (the arm is found better), `events` and `months` (means, where a trial stops), `stopped_early`,
        `hazard_ratio` (median of the trials) with the range of 95 % of trials `hazard_ratio_lower`, `_upper`, and
        `power_schoenfeld`. Scalars: `expected_hazard_ratio`, which the trials converge to, and `event_share`.

    Raises
    ------
    AnalysisError
        If the arms do not hold the same patients, or a number cannot be used.
    """
    import xarray as xr

    design = design_of(control, arm, **options)
    sizes = [n] if isinstance(n, int | np.integer) else list(n)
    rows = [power_row(design, size) for size in sizes]
    data: dict[str, Any] = {name: ("n", [row[name] for row in rows]) for name in rows[0]}
    found = xr.Dataset(data, coords={"n": sizes})
    found["expected_hazard_ratio"], found["event_share"] = design.ratio, design.share
    found.attrs = provenance(control, arm) | _words(design)
    return found


def _words(design: Design) -> dict[str, Any]:
    return {
        "alpha": design.alpha,
        "looks": list(design.looks),
        "bounds": [float(each) for each in design.limits],
        "replicates": design.replicates,
        "seed": design.seed,
        "allocation": design.allocation,
    }


def power_row(design: Design, n: int) -> dict[str, float]:
    """Return what trials of n patients find."""
    require_whole("n", n, 4, MOST_PATIENTS)
    if n * design.replicates > _MOST_DRAWN:
        raise AnalysisError(
            f"{design.replicates} trials of {n} patients are more than {_MOST_DRAWN} patients; ask for fewer replicates"
        )
    if not 2 <= round(n * design.allocation) <= n - 2:
        raise AnalysisError(f"of {n} patients {design.allocation:g} are in the arm; both arms need two at least")
    found = design.run(n)
    passed = np.abs(found.z) >= design.limits
    stop = np.where(passed.any(axis=1), passed.argmax(axis=1), len(design.looks) - 1)
    at = np.arange(len(stop)), stop
    win = passed.any(axis=1)
    low, high = _wilson(int(win.sum()), len(win))
    ratio = np.exp(found.log_ratio[np.isfinite(found.log_ratio)])
    middle = np.quantile(ratio, (0.5, 0.025, 0.975)) if ratio.size else np.full(3, math.nan)
    return {
        "power": float(win.mean()),
        "power_lower": low,
        "power_upper": high,
        "wins": float((win & (found.z[at] < 0)).mean()),
        "events": float(found.events[at].mean()),
        "months": float(found.month[at].mean()),
        "stopped_early": float((stop < len(design.looks) - 1).mean()),
        **dict(zip(("hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper"), map(float, middle), strict=True)),
        # without an event in one arm there is no ratio that the formula could take
        "power_schoenfeld": math.nan
        if math.isnan(design.ratio)
        else schoenfeld_power(design.ratio, n * design.share, alpha=design.alpha, allocation=design.allocation),
    }


def _wilson(hits: int, count: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    found = binomtest(hits, count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def sample_size(control: xr.Dataset, arm: xr.Dataset, *, power: float = 0.8, **options: Any) -> xr.Dataset:
    """Find how many patients a trial needs.

    Parameters
    ----------
    control, arm : xarray.Dataset
        Results of `cascade.follow_cohort` of one cohort in both arms.
    power : float
        Chance to find the difference.
    **options
        As of `power_of_trial`.

    Returns
    -------
    xarray.Dataset
        `n` patients in both arms together, and `n_schoenfeld` and `events_schoenfeld` by Schoenfeld's formula (NaN if
        an arm has no event at all). `n` is infinite if the arms do not differ or more than 200,000 would be needed;
        `reason` says so. Everything that `power_of_trial` tells of a trial of n patients.

    Raises
    ------
    AnalysisError
        As of `power_of_trial`.

    Notes
    -----
    The mean of z grows with the square root of n. Trials of the size by Schoenfeld say how fast; of the next guess they
    say whether the power is that asked for, within their own chance (more `replicates`, less of it).
    """
    import xarray as xr

    check_share("power", power)
    design = design_of(control, arm, **options)
    found = size_of(design, power)
    result = xr.Dataset(dict(found))
    result.attrs = provenance(control, arm) | _words(design) | {"power": power}
    return result


def size_of(design: Design, power: float) -> dict[str, Any]:
    """Return the size of a trial of a power, and what trials of this size find."""
    events = _formula(design, power)
    formula = float(math.ceil(events / design.share)) if math.isfinite(events) and design.share > 0 else events
    known = {"n_schoenfeld": formula, "events_schoenfeld": events}
    known |= {"expected_hazard_ratio": design.ratio, "event_share": design.share}
    none = _nothing_to_find(design)
    if none or formula > MOST_PATIENTS:
        return known | {"n": math.inf, "reason": none or _TOO_MANY}
    n = _searched(design, power, 20 if math.isnan(formula) else max(int(formula), 20))
    if n > MOST_PATIENTS:
        return known | {"n": math.inf, "reason": _TOO_MANY}
    return known | {"n": float(n), "reason": ""} | power_row(_afforded(design, n), n)


def _formula(design: Design, power: float) -> float:
    """Return the events by Schoenfeld's formula; NaN where an arm has no event, so that there is no ratio."""
    if math.isnan(design.ratio):
        return math.nan
    return schoenfeld_events(design.ratio, power=power, alpha=design.alpha, allocation=design.allocation)


def _nothing_to_find(design: Design) -> str:
    if not design.share > 0:
        return "no metastasis would be seen in either arm"
    same = np.allclose(design.pair[0].total, design.pair[1].total, rtol=1e-9, atol=1e-12)
    return "the hazards of the two arms are the same, so that there is nothing to find" if same else ""


def _afforded(design: Design, n: int) -> Design:
    return replace(design, replicates=max(100, min(design.replicates, _MOST_DRAWN // n)))


def _searched(design: Design, power: float, n: int) -> int:
    """Improve a guess: z grows with the square root of n; what trials at n reach tells by how much it must grow."""
    share = np.asarray(design.looks)
    want = drift_for(power, design.limits, share)
    found = _afforded(design, n).run(n, ratios=False).z
    shift = abs(float(found[:, -1].mean()))
    for _ in range(3):
        ahead = n * (want / max(shift, 1e-6)) ** 2
        n = math.ceil(min(max(ahead, n / 8, 8.0), 8.0 * n, MOST_PATIENTS + 1))
        if n > MOST_PATIENTS:
            return n
        z = _afforded(design, n).run(n, ratios=False).z
        hits = int((np.abs(z) >= design.limits).any(axis=1).sum())
        low, high = _wilson(hits, len(z))
        if low <= power <= high:
            return n
        # no straight line of hazards, or looks that come at other times than planned
        shift = drift_for(min(max(hits / len(z), 0.5 / len(z)), 1 - 0.5 / len(z)), design.limits, share)
    return n
