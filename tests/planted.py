"""Cohorts with planted truths: a logistic risk, sites that one biomarker tells, benefits of a known distribution."""

from __future__ import annotations

import numpy as np
import xarray as xr

MONTHS = np.arange(0, 121, 6)
ORGANS = ("bone", "liver", "lung")
SLOPES = (1.2, 0.8, 0.0)


def planted(n, *, seed=0, useless=2, slopes=SLOPES, intercept=-0.6, censored=False, site=2.0):
    """Cohort, outcomes, events, risk: its logit is linear in size and `b`; `site` alone tells the organ."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 3 + useless))
    risk = 1 / (1 + np.exp(-(intercept + x[:, :3] @ np.array(slopes))))
    ids = [f"p{number}" for number in range(n)]
    names = ["diameter_mm", "b", "site", *(f"useless_{number}" for number in range(useless))]
    cohort = xr.Dataset(
        {name: ("patient", column, {"role": "measure"}) for name, column in zip(names, x.T, strict=True)},
        coords={"patient": ids},
    )
    hazard = -np.log1p(-risk)[:, None] * MONTHS / 60
    share = np.exp(np.stack([site * x[:, 2], np.zeros(n), np.full(n, 0.5)], axis=1))
    share /= share.sum(axis=1, keepdims=True)
    outcomes = xr.Dataset(
        {
            "h_distant": (("patient", "month"), hazard),
            "h_organ": (("patient", "organ", "month"), share[:, :, None] * hazard[:, None, :]),
            "h_before": ("patient", np.zeros(n)),
        },
        coords={"patient": ids, "month": MONTHS, "organ": list(ORGANS)},
    )
    when = 60 * random.exponential(size=n) / -np.log1p(-risk)
    end = random.uniform(20, 150, n) if censored else np.full(n, 120.0)
    event = when <= end
    organ = np.array(ORGANS)[(random.random(n)[:, None] > share.cumsum(axis=1)).sum(axis=1).clip(max=2)]
    events = xr.Dataset(
        {
            "time": ("patient", np.minimum(when, end)),
            "event": ("patient", event),
            "organ": ("patient", np.where(event, organ, "")),
            "metastatic_at_diagnosis": ("patient", np.zeros(n, dtype=bool)),
        },
        coords={"patient": ids},
    )
    return cohort, outcomes, events, risk


def benefit(n, *, mean, spread, noise, threshold, seed=0):
    """Cohort and two arms: the fall of the risk is normal, `x` measures it with noise, `useless` does not."""
    random = np.random.default_rng(seed)
    gain = random.normal(mean + threshold, spread, n)
    ids = [f"p{number}" for number in range(n)]

    def arm(risk):
        hazard = -np.log1p(-risk)[:, None] * MONTHS / 60
        return xr.Dataset({"h_distant": (("patient", "month"), hazard)}, coords={"patient": ids, "month": MONTHS})

    measures = {"x": gain + random.normal(0, noise, n), "useless": random.normal(size=n), "true": gain}
    cohort = xr.Dataset(
        {name: ("patient", column, {"role": "measure"}) for name, column in measures.items()}, coords={"patient": ids}
    )
    return cohort, {"none": arm(np.full(n, 0.5)), "drug": arm(0.5 - gain)}, gain
