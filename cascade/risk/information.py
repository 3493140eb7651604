"""Which measurement would most improve the decision whom to treat, and with what? The value of information."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cascade._tables import is_number, require_whole
from cascade.errors import AnalysisError, unknown_name
from cascade.risk.biomarkers import Noise

if TYPE_CHECKING:
    import xarray as xr

    Utility = Callable[[str, xr.Dataset], xr.DataArray] | Mapping[str, xr.DataArray]

METHODS = ("spline", "boosting", "bins")


def value_of_measurement(
    cohort: xr.Dataset,
    outcomes_by_arm: Mapping[str, xr.Dataset],
    measurements: Sequence[str] | Mapping[str, Sequence[str] | str],
    *,
    threshold: float | Sequence[float] | None = None,
    utility: Utility | None = None,
    known: Sequence[str] = (),
    harm: Mapping[str, float] | None = None,
    horizon: float = 5.0,
    method: str = "spline",
    noise: Mapping[str, Noise | None] | None = None,
    folds: int = 10,
    resamples: int = 1000,
    seed: int = 1,
) -> xr.Dataset:
    """Tell how much better the decision becomes by each measurement: the expected value of sample information.

    Of every virtual patient the outcome of each arm is known. A rule sees only what was measured: it expects of each
    arm what patients who measure alike get of it (a regression of the utility on the measurements, Strong et al. 2015,
    doi:10.1177/0272989X15575286) and takes the best. Rules are learned and applied in different patients, so what is
    reported is what the rule attains; it approaches the value of information from below as the cohort grows.

    Parameters
    ----------
    cohort : xarray.Dataset
        Over `patient`.
    outcomes_by_arm : mapping of str to xarray.Dataset
        Results of `cascade.follow_cohort` by arm, at least two; the first is what is done by default (no
        treatment). Biomarkers at diagnosis are read from the first.
    measurements : sequence of str, or mapping of str to sequence of str
        Biomarkers, or panels of biomarkers by name.
    threshold : float or sequence of float
        Smallest fall of the probability of distant metastasis by the horizon that is worth a treatment, one or several.
        The utility of an arm is `-p - threshold * harm`.
    utility : mapping or function, instead of threshold
        Utility by arm over `patient`, or a function of the arm's name and outcomes that returns it.
    known : sequence of str
        Biomarkers that every rule has beforehand.
    harm : mapping of str to float, optional
        Harm of each arm in units of the threshold; by default 0 for the first arm and 1 for others.
    horizon : float
        Years.
    method : {"spline", "boosting", "bins"}
        Regression: an additive spline (with products of pairs of up to four biomarkers), boosted trees, or the exact
        means of groups of patients with equal values (for biomarkers of few values).
    noise : mapping of str to Noise, optional
        How tests read, as in `cascade.measure_biomarkers`.
    folds, resamples : int
        Folds of patients, and bootstrap samples of patients behind 95 % limits.
    seed : int

    Returns
    -------
    xarray.Dataset
        Over `measurement`, `threshold`: `value` (gain of mean utility per patient over the rule that sees only what is
        known; with a threshold in avoided metastases per patient) with `_lower` and `_upper`, `value_fitted` (the
        regression's own estimate, from above), `p_best` (bootstrap), `avoided_per_100` unnecessary treatments: fewer
        patients treated whose own benefit is below the threshold, of 100, with limits. Over `strategy` (first arm for
        all, each other arm for all, known, each measurement, everything known: `perfect`), `threshold`: `net_benefit`
        over the first arm, `treated`, `unnecessary`, `missed` shares of patients. `perfect_value`: what no measurement
        can exceed. `choice` (measurement, threshold, patient): the arm of the rule.

    Raises
    ------
    AnalysisError
        If arms, utilities or patients do not fit together.
    UnknownNameError
        If a biomarker or an arm is not known.

    Notes
    -----
    Information has no negative value; a rule that was learned from too few patients has (a warning says so). The truth
    lies between `value` and `value_fitted`, up to the limits.

    A rule may treat somebody who needs no treatment and be right on average: `unnecessary` counts by the probability
    of the patient's own model, which no clinic knows.
    """
    from cascade.risk._information import Settings, evaluate_rules, gather_decision
    from cascade.risk._models import one_thread

    if method not in METHODS:
        raise unknown_name("method", method, METHODS, "value_of_measurement")
    if (threshold is None) == (utility is None):
        raise AnalysisError("give a threshold (smallest benefit worth a treatment) or a utility, one of the two")
    require_whole("folds", folds, 2, 100)
    require_whole("resamples", resamples, 50, 10_000)
    if not is_number(horizon) or not 0 < horizon <= 100:
        raise AnalysisError(f"horizon is {horizon!r}; give a number of years above 0 and up to 100")
    thresholds = _thresholds(threshold)
    panels = _panels(measurements)
    settings = Settings(method=method, folds=folds, resamples=resamples, seed=seed, horizon=float(horizon))
    with one_thread():
        decision = gather_decision(
            cohort, outcomes_by_arm, panels, tuple(known), thresholds, utility, harm, noise, settings
        )
        result = evaluate_rules(decision, settings)
    result.attrs |= {"method": method, "known": ", ".join(known), "panels": json.dumps(panels), "seed": seed}
    return result


def _thresholds(threshold: float | Sequence[float] | None) -> list[float]:
    if threshold is None:
        return [0.0]
    found = [threshold] if is_number(threshold) else list(threshold)  # type: ignore[arg-type]
    if not found or not all(is_number(one) and 0 <= one < 1 for one in found) or len(set(found)) < len(found):
        raise AnalysisError(f"threshold is {threshold!r}; give different numbers, 0 or above and below 1")
    return [float(one) for one in found]


def _panels(measurements: Sequence[str] | Mapping[str, Sequence[str] | str]) -> dict[str, list[str]]:
    """Return biomarkers by measurement."""
    if isinstance(measurements, str):
        raise AnalysisError(f"measurements is the text {measurements!r}; give a sequence of names")
    given: dict[str, Any] = dict(measurements) if isinstance(measurements, Mapping) else {m: [m] for m in measurements}
    if not given:
        raise AnalysisError("there is no measurement; give the names of biomarkers")
    taken = {"known", "perfect"} & set(given)
    if taken:
        raise AnalysisError(f"a measurement is named {taken.pop()!r}, which is a strategy; choose another name")
    return {str(name): [each] if isinstance(each, str) else list(each) for name, each in given.items()}
