"""Who will have a distant metastasis, and where first? Risk from biomarkers at diagnosis, honestly cross-validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cascade._tables import is_number, require_whole
from cascade.errors import AnalysisError, unknown_name
from cascade.risk.biomarkers import Noise

if TYPE_CHECKING:
    import xarray as xr


def fit_risk(
    cohort: xr.Dataset,
    outcomes: xr.Dataset | None = None,
    events: xr.Dataset | None = None,
    *,
    horizon: float = 5.0,
    features: Sequence[str] | None = None,
    model: str = "logistic",
    against: Sequence[str] | None = None,
    noise: Mapping[str, Noise | None] | None = None,
    folds: int = 5,
    inner: int = 4,
    permutations: int = 5,
    resamples: int = 500,
    seed: int = 1,
) -> xr.Dataset:
    """Predict the first distant metastasis within some years of surgery from what is known at diagnosis.

    Every number is predicted by a model that has not seen the patient: scaling, filling of gaps, selection and
    shrinkage are learned inside the folds, the latter two by an inner cross-validation. With `events` a patient is a
    case or a control, and those lost before the horizon are made up for by inverse-probability weights (censoring is
    taken to be independent of the biomarkers). Without, each patient is a case with the exact probability
    `1 - exp(-h)` of the model and a control with the rest: no noise of drawing, many more patients' worth.

    Parameters
    ----------
    cohort : xarray.Dataset
        Over `patient`.
    outcomes : xarray.Dataset, optional
        Result of `cascade.follow_cohort`: expected biomarkers at diagnosis, and hazards.
    events : xarray.Dataset, optional
        Result of `cascade.draw_events` or a real follow-up: `time` in months, `event`, `organ`.
    horizon : float
        Years.
    features : sequence of str, optional
        As in `cascade.measure_biomarkers`; by default all that is known at diagnosis.
    model : {"logistic", "boosting", "cox"}
        Shrunk logistic regression, boosted trees, or shrunk proportional hazards (needs events).
    against : sequence of str, optional
        What the biomarkers must beat; by default the size of the tumor alone, if it is known. `()` for nothing.
    noise : mapping of str to Noise, optional
        How tests read.
    folds, inner : int
        Folds of patients, and inside each the folds that choose the model.
    permutations : int
        Of each biomarker in each fold, for its importance.
    resamples : int
        Bootstrap samples of patients behind 95 % limits. The models are not fitted again, so limits hold for these
        models and not for another cohort of training.
    seed : int

    Returns
    -------
    xarray.Dataset
        Over `patient` (those at risk and followed): `risk` out of fold, `risk_against`, `risk_exact` (of the
        mechanistic model, if known), `fold`, `biomarker` (patient, feature). Over `score`, `predictor`: `score_value`
        with `_lower` and `_upper`: AUC and c-index (pairs inside a fold), Brier score, its skill (1 - Brier / that of
        the prevalence), log loss (nat), calibration slope and intercept (slope held at 1). The predictor `prevalence`
        is the reference, `exact` what no biomarker can beat. `gain` (score) is biomarkers less what they are held
        against (or the attribute `against_reason`).
        Over `bin`: the calibration curve. Over `feature`: `importance` (rise of log loss when permuted out of fold),
        `importance_brier`, `odds_ratio` (upper to lower quartile), `correlation` and `correlated_with` (biomarkers that
        go together share their importance). Over `organ`: `site_...`, the first organ given a metastasis, or the
        attribute `site_reason`.

    Raises
    ------
    AnalysisError
        If the cohort is too small, has one class only, is not followed until the horizon, or an argument is wrong.
    UnknownNameError
        If a feature is not known.

    Notes
    -----
    What to expect of the model: of 394 patients of the cohort `breast_er` (composition `breast`, seed 1, exact
    probabilities, tests as they read by default) size alone ranks metastasis within ten years with a c-index of 0.63
    (95 % 0.60 to 0.67), all biomarkers with 0.73 (0.70 to 0.75), and the constants of each patient with 0.84; Brier
    scores are 0.228, 0.192 and 0.122 where the prevalence has 0.250, the calibration slope 0.99 (0.85 to 1.15). Lymph
    nodes, VEGF, tumor DNA and size carry it. They tell nothing of the first organ (-0.0006 nat, -0.002 to 0.001), while
    the constants `w_soil` of bone, lung and liver tell 0.05 nat: in this model the site is written in the soil and not
    in the tumor.
    """
    from cascade.risk._models import MODELS, one_thread
    from cascade.risk._page import fit_study
    from cascade.risk._study import gather

    if model not in MODELS:
        raise unknown_name("model of risk", model, MODELS, "cascade.risk")
    if model == "cox" and events is None:
        raise AnalysisError("a Cox model needs times of events; draw them with cascade.draw_events")
    if not is_number(horizon) or not 0 < horizon <= 100:
        raise AnalysisError(f"horizon is {horizon!r}; give a number of years above 0 and up to 100")
    for name, value, least in (("folds", folds, 2), ("inner", inner, 2)):
        require_whole(name, value, least, 20)
    require_whole("permutations", permutations, 1, 1000)
    require_whole("resamples", resamples, 50, 10_000)
    settings = {"folds": folds, "inner": inner, "permutations": permutations, "resamples": resamples, "seed": seed}
    with one_thread():
        study = gather(cohort, outcomes, events, float(horizon), features, against, noise, seed)
        return fit_study(study, model, **settings)


def predict_risk(
    fit: xr.Dataset,
    patients: xr.Dataset | xr.DataArray | Mapping[str, Any],
    *,
    resamples: int = 50,
    seed: int = 1,
) -> xr.Dataset:
    """Predict the risk of new patients.

    The model is fitted again to the patients that the result of `fit_risk` holds, with what cross-validation chose, so
    that a result that was written to a file can predict. A patient of whom a biomarker is missing is predicted by the
    model of the biomarkers that are known of this patient: nothing is made up.

    Parameters
    ----------
    fit : xarray.Dataset
        Result of `fit_risk`.
    patients : xarray.Dataset, xarray.DataArray or mapping
        Biomarkers as variables over `patient` (a cohort, rows of `read_patients`), the result of
        `cascade.measure_biomarkers`, or numbers by name for one patient or several.
    resamples : int
        Bootstrap samples of the patients to learn from behind the 95 % limits of each risk; 0 for none. The limits tell
        how sure the model is of the mean risk of such patients.
    seed : int

    Returns
    -------
    xarray.Dataset
        Over `patient`: `risk` with `risk_lower` and `risk_upper`, `site_probability` (patient, organ) if the fit has
        sites, `missing` and `outside`: the biomarkers that are not known, and those beyond the range of the patients
        that the model learned from (a warning too).

    Raises
    ------
    AnalysisError
        If no patient has any biomarker of the model, or `fit` is something else.
    """
    from cascade.risk._models import one_thread
    from cascade.risk._predict import predict_patients

    require_whole("resamples", resamples, 0, 10_000)
    with one_thread():
        return predict_patients(fit, patients, resamples, seed)
