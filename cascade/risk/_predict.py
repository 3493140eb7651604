"""Risk of new patients, by the model that what is known of each allows."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError, CascadeWarning
from cascade.risk._models import EDGE, Choice, fit_model
from cascade.risk._site import SiteModel
from cascade.risk._target import Target
from cascade.risk.biomarkers import genotype_states

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


def predict_patients(fit: xr.Dataset, patients: Any, resamples: int, seed: int) -> xr.Dataset:
    """Predict; see `cascade.predict_risk`."""
    import xarray as xr

    if "biomarker" not in getattr(fit, "data_vars", ()) or "choice" not in fit.attrs:
        raise AnalysisError("fit is not a result of fit_risk; fit a model first")
    names = [str(name) for name in fit["feature"].values]
    constant = json.loads(fit.attrs["constant_features"])
    ids, table = _table([*names, *constant], patients)
    x = table[:, : len(names)]
    if np.isnan(x).all():
        raise AnalysisError(f"no patient has any biomarker of the model; it needs some of {', '.join(names[:8])}")
    risk, low, high = _by_pattern(fit, x, resamples, seed)
    missing = [", ".join(np.array(names)[np.isnan(row)]) for row in x]
    outside = _outside(fit, names, constant, table)
    _warn(ids, outside)
    years = f"distant metastasis within {fit.attrs['horizon']:g} years"
    data: dict[str, Any] = {
        "risk": ("patient", risk, {"units": "dimensionless", "long_name": years}),
        "risk_lower": ("patient", low, {"units": "dimensionless"}),
        "risk_upper": ("patient", high, {"units": "dimensionless"}),
        "missing": ("patient", missing, {"long_name": "biomarkers that are not known; the risk is that without them"}),
        "outside": ("patient", outside, {"long_name": "biomarkers outside the range of the patients learned from"}),
    }
    result = xr.Dataset(
        data, coords={"patient": ids}, attrs={"horizon": fit.attrs["horizon"], "model": fit.attrs["model"]}
    )
    if "site_weight" not in fit:
        return result.assign_attrs(site_reason=str(fit.attrs.get("site_reason", "")))
    return result.assign(site_probability=(("patient", "organ"), _sites(fit, x))).assign_coords(
        organ=fit["organ"].values
    )


def _table(names: list[str], patients: Any) -> tuple[list[str], NDArray[np.float64]]:
    """Return ids and patients x names, NaN for what is not there."""
    import xarray as xr

    if isinstance(patients, xr.DataArray):
        if {"patient", "feature"} != set(patients.dims):
            raise AnalysisError("an array of biomarkers has the dimensions 'patient' and 'feature'")
        columns = {str(name): patients.sel(feature=name).values for name in patients["feature"].values}
        ids = [str(name) for name in patients["patient"].values]
    elif isinstance(patients, xr.Dataset):
        if "patient" not in patients.dims or "patient" not in patients.coords:
            raise AnalysisError("patients are rows over the dimension 'patient' with ids as its coordinate")
        ids = [str(name) for name in patients["patient"].values]
        columns = {str(name): one.values for name, one in patients.data_vars.items() if one.dims == ("patient",)}
        for one in patients.data_vars.values():
            columns |= {state: array.values for state, array in genotype_states(one).items()}
    elif isinstance(patients, Mapping):
        columns = {str(name): np.atleast_1d(value) for name, value in patients.items()}
        lengths = {len(column) for column in columns.values()}
        if len(lengths) != 1:
            raise AnalysisError(
                f"biomarkers have {sorted(lengths)} numbers; give as many of each as there are patients"
            )
        ids = [str(number) for number in range(1, lengths.pop() + 1)]
    else:
        raise AnalysisError(
            f"patients are {type(patients).__name__}; give a dataset over 'patient', or numbers by name"
        )
    table = np.full((len(ids), len(names)), np.nan)
    for place, name in enumerate(names):
        if name in columns:
            table[:, place] = _numbers(name, columns[name])
    return ids, table


def _numbers(name: str, column: Any) -> NDArray[np.float64]:
    try:
        found = np.asarray(column).astype(float)
    except (TypeError, ValueError):
        raise AnalysisError(f"biomarker {name!r} of the patients is no number ({np.asarray(column)[:3]!r})") from None
    return np.where(np.isfinite(found), found, np.nan)


def _target(fit: xr.Dataset) -> Target:
    """Return what the model learned."""
    months = 12 * float(fit.attrs["horizon"])
    if "event" in fit:
        event = fit["event"].values.astype(bool)
        return Target(weight=fit["weight"].values, horizon=months, time=fit["time"].values, event=event)
    case, total = fit["case"].values, fit["case"].values + fit["control"].values
    survival = np.stack([np.ones(len(case)), 1 - case / np.where(total > 0, total, 1.0)], axis=1)
    return Target(weight=total, horizon=months, survival=survival)


def _by_pattern(
    fit: xr.Dataset, x: NDArray[np.float64], resamples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return risks and limits; patients of whom the same is known share a model."""
    target, learned = _target(fit), fit["biomarker"].transpose("patient", "feature").values
    chosen = Choice(**json.loads(fit.attrs["choice"]))
    model, fit_seed = str(fit.attrs["model"]), int(fit.attrs["seed"])
    risk, low, high = (np.full(len(x), np.nan) for _ in range(3))
    patterns, which = np.unique(np.isfinite(x), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows, features = np.flatnonzero(which.ravel() == number), np.flatnonzero(pattern)
        if not len(features):
            risk[rows] = target.prevalence
            continue
        risk[rows] = fit_model(model, learned[:, features], target, chosen, fit_seed)(x[np.ix_(rows, features)])
        generator = np.random.default_rng([seed, 11])
        logits = []
        for _ in range(resamples):
            again = generator.integers(len(learned), size=len(learned))
            part = target.take(again)
            if not (part.case > 0).any() or not (part.control > 0).any():
                continue
            other = fit_model(model, learned[np.ix_(again, features)], part, chosen, fit_seed)(
                x[np.ix_(rows, features)]
            )
            logits.append(_logit(other))
        if len(logits) > 1:
            half = 1.959963984540054 * np.std(logits, axis=0, ddof=1)
            low[rows], high[rows] = (1 / (1 + np.exp(-(_logit(risk[rows]) + sign * half))) for sign in (-1, 1))
    return risk, low, high


def _logit(risk: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(risk, EDGE, 1 - EDGE)
    found: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return found


def _sites(fit: xr.Dataset, x: NDArray[np.float64]) -> NDArray[np.float64]:
    weight = fit["site_weight"].transpose("patient", "organ").values
    seen = weight.sum(axis=1) > 0
    learned = fit["biomarker"].transpose("patient", "feature").values[seen]
    found = np.tile(weight.sum(axis=0) / weight.sum(), (len(x), 1))
    patterns, which = np.unique(np.isfinite(x), axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows, features = np.flatnonzero(which.ravel() == number), np.flatnonzero(pattern)
        if len(features):
            model = SiteModel(learned[:, features], weight[seen], float(fit.attrs["site_strength"]))
            found[rows] = model(x[np.ix_(rows, features)])
    return found


def _outside(
    fit: xr.Dataset, names: list[str], constant: dict[str, float | None], table: NDArray[np.float64]
) -> list[str]:
    """Return by patient the biomarkers beyond what was learned from; of constants, another value than the only one."""
    learned = fit["biomarker"].transpose("patient", "feature").values
    low = np.concatenate([np.nanmin(learned, axis=0), [np.nan if v is None else v for v in constant.values()]])
    high = np.concatenate([np.nanmax(learned, axis=0), [np.nan if v is None else v for v in constant.values()]])
    slack = 1e-9 * np.maximum(np.abs(low), np.abs(high))
    # What did not differ between patients may do so by a little.
    slack[len(names) :] += 5e-3 * np.abs(low[len(names) :])
    beyond = (table < low - slack) | (table > high + slack)
    return [", ".join(np.array([*names, *constant])[row]) for row in beyond]


def _warn(ids: list[str], outside: list[str]) -> None:
    found = [f"{name} ({what})" for name, what in zip(ids, outside, strict=True) if what]
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        text = f"outside the range of the patients that the model learned from: {'; '.join(found[:3])}{more}"
        warnings.warn(f"{text}; their risk is extrapolated", CascadeWarning, stacklevel=4)
