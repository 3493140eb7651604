"""From patients and what became of them to the result: scores, calibration, importance, sites."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.risk._folds import Folded, cross_predict, odds_ratios
from cascade.risk._models import EDGE, Columns, choose, fit_model, folds_of
from cascade.risk._scores import SCORES, Scorer, calibration_curve, draw_patients, limits
from cascade.risk._site import choose_strength, predict_sites, site_dataset
from cascade.risk._study import Study

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

BINS = 10


def fit_study(
    study: Study, model: str, *, folds: int, inner: int, permutations: int, resamples: int, seed: int
) -> xr.Dataset:
    """Cross-validate, score and describe; see `cascade.fit_risk`."""
    target, x = study.target, study.table.values
    fold = folds_of(target, folds, seed)
    drawn = draw_patients(len(fold), resamples, seed)
    full = cross_predict(model, x, target, fold, inner=inner, permutations=permutations, seed=seed)
    rival: Folded | None = None
    if study.against is not None:
        rival = cross_predict(model, study.against.values, target, fold, inner=inner, permutations=0, seed=seed)
    result = _patients(study, fold, full, rival)
    result = result.merge(_scores(study, fold, full, rival, drawn)).merge(_calibration(full.risk, study))
    choice = choose(model, x, target, inner=inner, seed=seed)
    ratios = odds_ratios(fit_model(model, x, target, choice, seed), x)
    result = result.merge(
        _features(study, full, drawn).assign(odds_ratio=("feature", ratios)), combine_attrs="override"
    )
    sites, attrs = _sites(study, drawn, folds=folds, inner=inner, permutations=permutations, seed=seed)
    settings = {"folds": folds, "inner": inner, "permutations": permutations, "resamples": resamples, "seed": seed}
    result = result if sites is None else result.merge(sites)
    result.attrs = {
        "model": model,
        "horizon": target.horizon / 12,
        "against": ", ".join(map(str, study.against["feature"].values)) if study.against is not None else "",
        "choice": json.dumps(choice.to_dict()),
        "choices_of_folds": json.dumps([each.to_dict() for each in full.choices]),
        **study.attrs,
        **attrs,
        **settings,
    }
    return result


def _patients(study: Study, fold: NDArray[np.int64], full: Folded, rival: Folded | None) -> xr.Dataset:
    import xarray as xr

    target = study.target
    years = f"distant metastasis within {target.horizon / 12:g} years"
    data: dict[str, Any] = {
        "risk": ("patient", full.risk, {"units": "dimensionless", "long_name": f"{years}, predicted out of fold"}),
        "fold": ("patient", fold),
        "weight": ("patient", target.weight, {"role": "weight", "units": "dimensionless"}),
        "case": ("patient", target.case, {"long_name": "weight as a case"}),
        "control": ("patient", target.control, {"long_name": "weight as a control"}),
    }
    if rival is not None:
        data["risk_against"] = ("patient", rival.risk, {"units": "dimensionless"})
    if study.exact is not None:
        data["risk_exact"] = ("patient", study.exact, {"units": "dimensionless", "long_name": f"{years}, by the model"})
    if target.time is not None and target.event is not None:
        data["time"] = ("patient", target.time, {"units": "month"})
        data["event"] = ("patient", target.event)
    return xr.Dataset(data, coords={"patient": study.table["patient"].values}).assign(biomarker=study.table)


def _scores(
    study: Study, fold: NDArray[np.int64], full: Folded, rival: Folded | None, drawn: NDArray[np.float64]
) -> xr.Dataset:
    import xarray as xr

    scorer = Scorer.of(study.target, fold, drawn, full.reference)
    risks = {"biomarkers": full.risk, "prevalence": full.reference}
    if rival is not None:
        risks["against"] = rival.risk
    if study.exact is not None:
        risks["exact"] = study.exact
    found = {name: scorer(risk) for name, risk in risks.items()}
    if study.exact is not None and not np.isfinite(study.exact).all():
        # Somebody's run ends before the horizon: no comparison of all patients.
        found["exact"][:] = np.nan
    # The prevalence knows no order, however it differs from fold to fold.
    found["prevalence"][SCORES.index("calibration_slope")] = np.nan
    draws = np.stack(list(found.values()), axis=1)
    low, high = limits(draws)
    data: dict[str, Any] = {
        "score_value": (("score", "predictor"), draws[..., 0]),
        "score_lower": (("score", "predictor"), low),
        "score_upper": (("score", "predictor"), high),
    }
    if rival is not None:
        gain = found["biomarkers"] - found["against"]
        low, high = limits(gain)
        data |= {"gain": ("score", gain[:, 0]), "gain_lower": ("score", low), "gain_upper": ("score", high)}
    return xr.Dataset(data, coords={"score": list(SCORES), "predictor": list(found)})


def _calibration(risk: NDArray[np.float64], study: Study) -> xr.Dataset:
    import xarray as xr

    bins = int(np.clip(len(risk) // 20, 3, BINS))
    curve = calibration_curve(risk, study.target, bins)
    data = {f"calibration_{name}": ("bin", values) for name, values in curve.items()}
    return xr.Dataset(data, coords={"bin": np.arange(len(curve["predicted"]))})


def _features(study: Study, full: Folded, drawn: NDArray[np.float64]) -> xr.Dataset:
    """Return what the biomarkers carry, and what they share."""
    import xarray as xr

    target, x = study.target, study.table.values
    total = drawn @ (target.case + target.control)
    data: dict[str, Any] = {}
    for name, rise, unit in zip(
        ("importance", "importance_brier"), full.importance, ("nat", "dimensionless"), strict=True
    ):
        draws = ((drawn @ rise) / total[:, None]).T
        low, high = limits(draws)
        for suffix, values in (("", draws[:, 0]), ("_lower", low), ("_upper", high)):
            data[name + suffix] = ("feature", values, {"units": unit})
    names = study.table["feature"].values.astype(str)
    strongest, partner = _partners(x, target.weight, names)
    data |= {"correlation": ("feature", strongest), "correlated_with": ("feature", partner)}
    return xr.Dataset(data, coords={"feature": names})


def _partners(
    x: NDArray[np.float64], weight: NDArray[np.float64], names: NDArray[np.str_]
) -> tuple[NDArray[np.float64], list[str]]:
    """Return for each biomarker the strongest correlation with another one, and which that is."""
    columns = Columns(x, weight)
    first = columns.source.searchsorted(np.arange(len(names)))
    scaled = columns(x)[:, first[: len(names)]]
    together = scaled.T @ (scaled * weight[:, None]) / weight.sum()
    np.fill_diagonal(together, 0.0)
    if len(names) < 2:
        return np.zeros(len(names)), [""] * len(names)
    best = np.abs(together).argmax(axis=1)
    return together[np.arange(len(names)), best], [str(names[place]) for place in best]


def _sites(
    study: Study, drawn: NDArray[np.float64], *, folds: int, inner: int, permutations: int, seed: int
) -> tuple[xr.Dataset | None, dict[str, Any]]:
    """Return where the metastases are predicted to be, or the reason why that cannot be told."""
    if isinstance(study.sites, str):
        return None, {"site_reason": study.sites}
    organs, weight = study.sites
    seen = np.flatnonzero(weight.sum(axis=1) > EDGE * EDGE)
    x, patients = study.table.values[seen], study.table["patient"].values
    found = predict_sites(x, weight[seen], folds=folds, inner=inner, permutations=permutations, seed=seed)
    sites = site_dataset(found, organs, weight[seen], drawn[:, seen])
    sites = sites.assign_coords(patient=patients[seen], feature=study.table["feature"].values.astype(str))
    sites = sites.reindex(patient=patients).assign(site_weight=(("patient", "organ"), weight))
    return sites, {"site_strength": choose_strength(x, weight[seen], inner=inner, seed=seed)}
