"""Nested cross-validation: what a fold predicts was chosen, scaled and fitted without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade.risk._models import Choice, Predict, choose, fit_model, losses
from cascade.risk._target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Predictions out of fold.

    Parameters
    ----------
    risk : array of patients
    reference : array of patients
        Prevalence among the patients that the fold learned from.
    importance : array of 2 x patients x features
        Rise of log loss and of squared error, weighted, when a biomarker is permuted among the patients of the fold.
    choices : tuple of Choice
        By fold.
    """

    risk: NDArray[np.float64]
    reference: NDArray[np.float64]
    importance: NDArray[np.float64]
    choices: tuple[Choice, ...]


def cross_predict(
    model: str,
    x: NDArray[np.float64],
    target: Target,
    fold: NDArray[np.int64],
    *,
    inner: int,
    permutations: int,
    seed: int,
) -> Folded:
    """Predict each fold from the others; nothing of a fold is looked at before.

    Parameters
    ----------
    model : str
    x : array of patients x features
    target : Target
    fold : array of patients
    inner : int
        Folds among the patients to learn from, for the choice of the model.
    permutations : int
        0 leaves importance at 0.
    seed : int
    """
    risk, reference = np.zeros(len(x)), np.zeros(len(x))
    importance = np.zeros((2, *x.shape))
    chosen = []
    for number in np.unique(fold):
        learn, look = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part, rest = target.take(learn), target.take(look, learn=False)
        chosen.append(choose(model, x[learn], part, inner=inner, seed=seed))
        predict = fit_model(model, x[learn], part, chosen[-1], seed)
        risk[look], reference[look] = predict(x[look]), part.prevalence
        generator = np.random.default_rng([seed, 3, int(number)])
        importance[:, look] = _permuted(predict, x[look], rest, permutations, generator)
    return Folded(risk=risk, reference=reference, importance=importance, choices=tuple(chosen))


def _permuted(
    predict: Predict, x: NDArray[np.float64], target: Target, permutations: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    found = np.zeros((2, *x.shape))
    before = losses(predict(x), target)
    for feature in range(x.shape[1]):
        for _ in range(permutations):
            mixed = x.copy()
            mixed[:, feature] = generator.permutation(mixed[:, feature])
            found[:, :, feature] += (losses(predict(mixed), target) - before) / permutations
    return found


def odds_ratios(predict: Predict, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by feature the mean ratio of odds at its upper to its lower quartile, all else as it is in each patient.

    Of what has two values only, the higher to the lower.
    """
    found = np.ones(x.shape[1])
    for feature, column in enumerate(x.T):
        known = column[np.isfinite(column)]
        ends = np.quantile(known, [0.25, 0.75]) if len(np.unique(known)) > 2 else np.array([known.min(), known.max()])
        if ends[0] == ends[1]:
            ends = np.array([known.min(), known.max()])
        logits = []
        for end in ends:
            moved = x.copy()
            moved[:, feature] = end
            risk = predict(moved)
            logits.append(np.log(risk / (1 - risk)).mean())
        found[feature] = np.exp(logits[1] - logits[0])
    return found
