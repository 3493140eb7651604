"""Rules that see some measurements, and what they attain in patients from whom they did not learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import AnalysisError, CascadeWarning, unknown_name
from cascade.risk._expected_gain import expected_gain
from cascade.risk._scores import draw_patients, limits
from cascade.risk._study import aligned, constants, weights_of
from cascade.risk._target import make_target
from cascade.risk.biomarkers import Noise, measure_biomarkers

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_NOTHING = 0.02
"""Share of the perfect value below which a loss is not worth a word."""

LEAST = 40
"""Patients below which no rule is learned."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How rules are learned."""

    method: str
    folds: int
    resamples: int
    seed: int
    horizon: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What the arms bring to patients, and what can be measured.

    Parameters
    ----------
    gain : array of patients x arms
        Utility over the first arm, before harm.
    harm : array of arms
        Per threshold.
    """

    patients: list[str]
    arms: list[str]
    gain: NDArray[np.float64]
    harm: NDArray[np.float64]
    weight: NDArray[np.float64]
    thresholds: list[float]
    known: NDArray[np.float64]
    panels: dict[str, NDArray[np.float64]]
    left_out: int
    unit: str


def gather_decision(
    cohort: xr.Dataset,
    arms: Mapping[str, xr.Dataset],
    panels: Mapping[str, list[str]],
    known: tuple[str, ...],
    thresholds: list[float],
    utility: Any,
    harm: Mapping[str, float] | None,
    noise: Mapping[str, Noise | None] | None,
    settings: Settings,
) -> Decision:
    """Collect utilities and measurements of the patients of whom every arm is known."""
    names = [str(name) for name in arms]
    if len(names) < 2:
        raise AnalysisError(f"a decision is between two arms or more, got {len(names)}: {', '.join(names) or 'none'}")
    for name in harm or {}:
        if name not in names:
            raise unknown_name("arm", name, names, "outcomes_by_arm")
    if utility is not None and harm:
        raise AnalysisError("harm goes with a threshold; a utility holds the harm already")
    ordered = {name: aligned(cohort, one, f"outcomes of arm {name!r}") for name, one in arms.items()}
    weight = weights_of(cohort)
    columns = [_utility(name, one, weight, utility, settings.horizon) for name, one in ordered.items()]
    values = np.stack([value for value, _ in columns], axis=1)
    # Whether a patient is metastatic at diagnosis is decided before the arms: the first tells.
    weight = columns[0][1]
    usable = np.isfinite(values).all(axis=1) & (weight > 0)
    if usable.sum() < max(LEAST, 2 * settings.folds):
        raise AnalysisError(f"every arm is known of {usable.sum()} patients; at least {LEAST} are needed")
    first = ordered[names[0]]

    def measured(features: tuple[str, ...]) -> NDArray[np.float64]:
        chosen = tuple(dict.fromkeys(features))
        if not chosen:
            return np.zeros((len(usable), 0))[usable]
        table = measure_biomarkers(cohort, first, features=chosen, noise=noise, seed=settings.seed)
        # What no test can tell apart is no information, though digits differ.
        same = np.isin(table["feature"].values, list(constants(table[usable])))
        return np.where(same, 0.0, table.values[usable])

    usual = {name: 0.0 if place == 0 else 1.0 for place, name in enumerate(names)}
    given = (
        usual | {name: float(each) for name, each in (harm or {}).items()}
        if utility is None
        else dict.fromkeys(names, 0.0)
    )
    return Decision(
        patients=[str(name) for name in cohort["patient"].values[usable]],
        arms=names,
        gain=(values - values[:, :1])[usable],
        harm=np.array([given[name] - given[names[0]] for name in names]),
        weight=weight[usable] / weight[usable].mean(),
        thresholds=thresholds,
        known=measured(known),
        panels={name: measured((*known, *features)) for name, features in panels.items()},
        left_out=int((~usable).sum()),
        unit="avoided metastases per patient" if utility is None else "utility",
    )


def _utility(
    arm: str, outcomes: xr.Dataset | None, weight: NDArray[np.float64], utility: Any, horizon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the utility of an arm, NaN where it is not known, and the weights of those without metastasis yet."""
    assert outcomes is not None
    if utility is None:
        target, usable = make_target(outcomes, None, weight, horizon)
        assert target.survival is not None
        return np.where(usable, target.survival[:, -1] - 1, np.nan), target.weight
    if callable(utility):
        found = utility(arm, outcomes)
    elif arm in utility:
        found = utility[arm]
    else:
        raise unknown_name("arm", arm, utility, "the utilities")
    if "patient" in getattr(found, "coords", ()):
        lacking = np.setdiff1d(outcomes["patient"].values, found["patient"].values)
        if lacking.size:
            raise AnalysisError(f"the utility of arm {arm!r} lacks {lacking.size} patients, first {str(lacking[0])!r}")
        found = found.sel(patient=outcomes["patient"].values)
    values = np.asarray(found, dtype=float)
    if values.shape != weight.shape:
        raise AnalysisError(f"the utility of arm {arm!r} has the shape {values.shape}; give one number per patient")
    return values, weight


def evaluate_rules(decision: Decision, settings: Settings) -> xr.Dataset:
    """Learn the rules and count what they attain; see `cascade.value_of_measurement`."""
    drawn = draw_patients(len(decision.weight), settings.resamples, settings.seed) * decision.weight
    drawn /= drawn.sum(axis=1, keepdims=True)
    seen = {"known": decision.known, **decision.panels}
    expected = {name: expected_gain(x, decision.gain, decision.weight, settings) for name, x in seen.items()}
    per_threshold = [_at_threshold(decision, expected, drawn, threshold) for threshold in decision.thresholds]
    result = _dataset(decision, per_threshold)
    below = result["value_upper"].values < -_NOTHING * result["perfect_value"].values
    worse = result["measurement"].values[below.any(axis=1)]
    if worse.size:
        text = f"rules that see {', '.join(map(str, worse[:4]))} attain less than the rule without them"
        advice = f"{len(decision.patients)} patients are too few to learn such a rule; take a larger cohort"
        warnings.warn(f"{text}: {advice}", CascadeWarning, stacklevel=3)
    return result


def _at_threshold(
    decision: Decision,
    expected: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    drawn: NDArray[np.float64],
    threshold: float,
) -> dict[str, Any]:
    net = decision.gain - threshold * decision.harm
    rows = np.arange(len(net))
    choices = {f"all: {arm}": np.full(len(net), place) for place, arm in enumerate(decision.arms)}
    choices |= {name: (each[0] - threshold * decision.harm).argmax(axis=1) for name, each in expected.items()}
    choices["perfect"] = net.argmax(axis=1)
    attained = {name: drawn @ net[rows, choice] for name, choice in choices.items()}
    # A treatment is unnecessary if the first arm would have served this patient as well or better.
    needless = {name: drawn @ ((choice > 0) & (net[rows, choice] <= 0)) for name, choice in choices.items()}
    fitted = {
        name: float(drawn[0] @ (each[1] - threshold * decision.harm).max(axis=1)) for name, each in expected.items()
    }
    gains = np.stack([attained[name] - attained["known"] for name in decision.panels])
    best = (gains[:, 1:] == gains[:, 1:].max(axis=0)) / (gains[:, 1:] == gains[:, 1:].max(axis=0)).sum(axis=0)
    avoided = np.stack([100 * (needless["known"] - needless[name]) for name in decision.panels])
    shares = {
        "net_benefit": [each[0] for each in attained.values()],
        "treated": [drawn[0] @ (choice > 0) for choice in choices.values()],
        "unnecessary": [each[0] for each in needless.values()],
        "missed": [drawn[0] @ ((choice == 0) & (net.max(axis=1) > 0)) for choice in choices.values()],
    }
    return {
        "strategies": list(choices),
        "gains": gains,
        "avoided": avoided,
        "best": best.mean(axis=1),
        "fitted": [fitted[name] - fitted["known"] for name in decision.panels],
        "perfect": float(attained["perfect"][0] - attained["known"][0]),
        "choice": np.array(decision.arms)[np.stack([choices[name] for name in decision.panels])],
        **shares,
    }


def _dataset(decision: Decision, found: list[dict[str, Any]]) -> xr.Dataset:
    import xarray as xr

    at = ("measurement", "threshold")
    unit = {"units": "dimensionless", "long_name": decision.unit}
    data: dict[str, Any] = {}
    for name, source in (("value", "gains"), ("avoided_per_100", "avoided")):
        draws = np.stack([each[source] for each in found], axis=1)
        low, high = limits(draws)
        data |= {
            name: (at, draws[..., 0], unit if name == "value" else {}),
            f"{name}_lower": (at, low),
            f"{name}_upper": (at, high),
        }
    data["value_fitted"] = (at, np.array([each["fitted"] for each in found]).T, unit)
    data["p_best"] = (at, np.array([each["best"] for each in found]).T, {"long_name": "chance to be the best of these"})
    data["perfect_value"] = ("threshold", [each["perfect"] for each in found], unit)
    for name in ("net_benefit", "treated", "unnecessary", "missed"):
        data[name] = (("strategy", "threshold"), np.array([each[name] for each in found]).T)
    data["choice"] = ((*at, "patient"), np.stack([each["choice"] for each in found], axis=1))
    coords = {
        "measurement": list(decision.panels),
        "threshold": decision.thresholds,
        "strategy": found[0]["strategies"],
        "patient": decision.patients,
    }
    attrs = {"arms": ", ".join(decision.arms), "n_left_out": decision.left_out, "value_unit": decision.unit}
    return xr.Dataset(data, coords=coords, attrs=attrs)
