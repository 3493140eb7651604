"""Models that turn biomarkers into a probability; all that is learned from patients is learned in `fit_model`.

Nothing here knows of folds: whoever calls gives the rows to learn from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.risk._target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

Predict = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]

MODELS = ("logistic", "boosting", "cox")
SOLVER = "newton-cholesky"
EDGE = 1e-6
"""Probabilities are kept this far from 0 and 1, so that one surprise does not cost an infinite loss."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What inner cross-validation chooses: strength of shrinkage, and how many columns (boosting: leaves of a tree)."""

    strength: float
    keep: int

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers by name."""
        return asdict(self)


def choices(model: str, features: int) -> list[Choice]:
    """Return what is tried, simplest first."""
    if model == "boosting":
        return [Choice(strength=rounds, keep=leaves) for leaves in (2, 4) for rounds in (30, 80, 200)]
    # A Cox model is slow to fit, so that less is tried.
    keeps = [keep for keep in ((6,) if model == "cox" else (3, 8, 20)) if 2 * keep <= features] + [features]
    strengths = (0.3, 0.03, 0.003) if model == "cox" else (0.003, 0.03, 0.3, 3.0, 30.0)
    return [Choice(strength=strength, keep=keep) for keep in keeps for strength in strengths]


class Columns:
    """Biomarkers as columns of mean 0 and variance 1: logarithms where they are less skew, gaps filled and marked."""

    def __init__(self, x: NDArray[np.float64], weight: NDArray[np.float64]) -> None:
        self.fill = np.array([np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else 0.0 for c in x.T])
        self.offset = np.array([_offset(column[np.isfinite(column)]) for column in x.T])
        gaps = np.isnan(x).mean(axis=0)
        self.marked = np.flatnonzero((gaps > 0.02) & (gaps < 0.98))
        raw = self._raw(x)
        total = weight.sum()
        self.mean = weight @ raw / total
        self.deviation = np.sqrt(weight @ (raw - self.mean) ** 2 / total)
        self.usable = np.flatnonzero(self.deviation > 1e-9 * (1 + np.abs(self.mean)))
        # Which feature a column comes from.
        self.source = np.concatenate([np.arange(x.shape[1]), self.marked])[self.usable]

    def _raw(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        filled = np.where(np.isnan(x), self.fill, x)
        logged = np.isfinite(self.offset)
        filled[:, logged] = np.log(np.maximum(filled[:, logged] + self.offset[logged], 1e-300))
        return np.concatenate([filled, np.isnan(x[:, self.marked]).astype(float)], axis=1)

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the columns that vary."""
        scaled: NDArray[np.float64] = ((self._raw(x) - self.mean) / np.maximum(self.deviation, 1e-300))[:, self.usable]
        return scaled


def _offset(column: NDArray[np.float64]) -> float:
    """Return what is added before the logarithm, or NaN if the column stays as it is."""
    if len(column) < 3 or column.min() < 0 or column.max() == column.min() or len(np.unique(column)) < 3:
        return float("nan")
    offset = 0.0 if column.min() > 0 else float(column[column > 0].min()) / 2
    return offset if _skew(np.log(column + offset)) < _skew(column) else float("nan")


def _skew(column: NDArray[np.float64]) -> float:
    centered = column - column.mean()
    variance = float((centered**2).mean())
    return abs(float((centered**3).mean())) / variance**1.5 if variance > 0 else 0.0


@contextmanager
def one_thread() -> Iterator[None]:
    """Many small fits are faster in one thread, and do not take the machine from others."""
    # Only libraries that are loaded already are held back.
    import sklearn
    import sklearn.ensemble
    import sklearn.linear_model
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1), sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        yield


def fit_model(model: str, x: NDArray[np.float64], target: Target, choice: Choice, seed: int) -> Predict:
    """Learn from patients; the result predicts the probability of an event until the horizon.

    Parameters
    ----------
    model : {"logistic", "boosting", "cox"}
    x : array of patients x features
        NaN where nothing was measured.
    target : Target
        Of the same patients.
    choice : Choice
    seed : int
    """
    if model == "boosting":
        return _boosting(x, target, choice, seed)
    columns = Columns(x, target.weight)
    chosen = _selected(columns(x), target, choice.keep)
    if not len(chosen):
        return _constant(target.prevalence)
    fit = _logistic if model == "logistic" else _cox
    inner = fit(columns(x)[:, chosen], target, choice)
    return lambda new: np.clip(inner(columns(new)[:, chosen]), EDGE, 1 - EDGE)


def _selected(columns: NDArray[np.float64], target: Target, keep: int) -> NDArray[np.int64]:
    """Return the columns that go most with being a case."""
    if keep >= columns.shape[1]:
        return np.arange(columns.shape[1])
    total = target.case + target.control
    contrast = np.abs((target.case - total * target.prevalence) @ columns)
    return np.sort(np.argsort(-contrast, kind="stable")[:keep])


def _constant(risk: float) -> Predict:
    return lambda new: np.full(len(new), np.clip(risk, EDGE, 1 - EDGE))


def doubled(x: NDArray[np.float64], target: Target) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return rows, classes and weights in which a patient is a case and a control with their weights; mean weight 1."""
    case, control = target.case > 0, target.control > 0
    weight = np.concatenate([target.case[case], target.control[control]])
    classes = np.repeat([1, 0], [case.sum(), control.sum()])
    return np.concatenate([x[case], x[control]]), classes, weight * ((case | control).sum() / weight.sum())


def _logistic(columns: NDArray[np.float64], target: Target, choice: Choice) -> Predict:
    from sklearn.linear_model import LogisticRegression

    rows, classes, weight = doubled(columns, target)
    if classes.min() == classes.max():
        return _constant(target.prevalence)
    fit = LogisticRegression(C=choice.strength, solver=SOLVER, max_iter=500).fit(rows, classes, sample_weight=weight)
    slope, start = fit.coef_[0], float(fit.intercept_[0])
    # Many small predictions: the checks of the library take longer than the sum.
    return lambda new: 1 / (1 + np.exp(-np.clip(new @ slope + start, -30, 30)))


def _boosting(x: NDArray[np.float64], target: Target, choice: Choice, seed: int) -> Predict:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rows, classes, weight = doubled(x, target)
    if classes.min() == classes.max():
        return _constant(target.prevalence)
    # A leaf holds about 12 patients, however often a patient is a row.
    least = max(2, round(12 * len(rows) / len(x)))
    fit = HistGradientBoostingClassifier(
        max_iter=int(choice.strength),
        max_leaf_nodes=choice.keep,
        learning_rate=0.08,
        min_samples_leaf=least,
        max_bins=32,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    ).fit(rows, classes, sample_weight=weight)
    return lambda new: np.clip(fit.predict_proba(new)[:, 1], EDGE, 1 - EDGE)


def _cox(columns: NDArray[np.float64], target: Target, choice: Choice) -> Predict:
    """Proportional hazards until the horizon; what comes later is censored there."""
    import warnings

    import pandas as pd
    from lifelines import CoxPHFitter

    assert target.time is not None and target.event is not None
    table = pd.DataFrame(columns, columns=[f"x{number}" for number in range(columns.shape[1])])
    table["time"] = np.minimum(target.time, target.horizon)
    # A time of 0 is no time at risk; lifelines wants a little.
    table["time"] = np.maximum(table["time"], 1e-3)
    table["event"] = target.event & (target.time <= target.horizon)
    if not table["event"].any():
        return _constant(target.prevalence)
    table["weight"] = target.weight / target.weight.mean()
    with warnings.catch_warnings():
        # Weights that are no whole numbers spoil its standard errors, which nobody reads here.
        warnings.simplefilter("ignore")
        fit = CoxPHFitter(penalizer=choice.strength)
        fit.fit(table, duration_col="time", event_col="event", weights_col="weight")

    def predict(new: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = pd.DataFrame(new, columns=table.columns[: new.shape[1]])
        return np.asarray(1 - fit.predict_survival_function(rows, times=[target.horizon]).to_numpy()[0])

    return predict


def losses(risk: NDArray[np.float64], target: Target) -> NDArray[np.float64]:
    """Return weighted minus log likelihood and squared error of each patient: 2 x patients."""
    risk = np.clip(risk, EDGE, 1 - EDGE)
    log = -target.case * np.log(risk) - target.control * np.log1p(-risk)
    square = target.case * (1 - risk) ** 2 + target.control * risk**2
    return np.stack([log, square])


def folds_of(target: Target, folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each patient; every fold has its share of cases, or of every level of risk."""
    generator = np.random.default_rng([seed, folds, len(target.weight)])
    total = np.maximum(target.case + target.control, 1e-300)
    order = np.lexsort((generator.random(len(total)), target.case / total))
    found = np.empty(len(total), dtype=np.int64)
    for start in range(0, len(total), folds):
        block = order[start : start + folds]
        found[block] = generator.permutation(folds)[: len(block)]
    return found


def choose(model: str, x: NDArray[np.float64], target: Target, *, inner: int, seed: int) -> Choice:
    """Return the choice with the least log loss in cross-validation among these patients alone."""
    tried = choices(model, x.shape[1])
    if len(tried) == 1:
        return tried[0]
    fold = folds_of(target, inner, seed)
    loss = np.zeros(len(tried))
    for number in range(inner):
        learn, look = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part, rest = target.take(learn), target.take(look, learn=False)
        for place, choice in enumerate(tried):
            loss[place] += losses(fit_model(model, x[learn], part, choice, seed)(x[look]), rest)[0].sum()
    return tried[int(np.argmin(loss))]
