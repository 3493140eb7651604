"""How good is a predicted probability? Every score takes how often a patient was drawn, so that all bootstrap alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade.risk._models import EDGE, losses
from cascade.risk._target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCORES = (
    "auc",
    "c_index",
    "brier",
    "brier_skill",
    "log_loss",
    "calibration_slope",
    "calibration_intercept",
)


def draw_patients(patients: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return how often each patient is drawn: resamples x patients, the first row each once."""
    generator = np.random.default_rng([seed, 77, patients])
    drawn = generator.multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(float)
    return np.concatenate([np.ones((1, patients)), drawn])


@dataclass(frozen=True, kw_only=True)
class Scorer:
    """Scores predictions for patients; pairs are compared inside folds only, where one model made both predictions.

    Pooled pairs would punish every model: a fold with more cases was predicted by a model that had seen fewer.
    """

    target: Target
    pairs: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]]
    drawn: NDArray[np.float64]
    reference: NDArray[np.float64]

    @classmethod
    def of(
        cls, target: Target, fold: NDArray[np.int64], drawn: NDArray[np.float64], reference: NDArray[np.float64]
    ) -> Scorer:
        """Prepare the pairs; `reference` is the prevalence of the patients a fold learned from."""
        pairs: dict[str, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = {"auc": [], "c_index": []}
        for number in np.unique(fold):
            rows = np.flatnonzero(fold == number)
            part = target.take(rows, learn=False)
            pairs["auc"].append((rows, part.ranked()))
            pairs["c_index"].append((rows, part.earlier()))
        return cls(target=target, pairs=pairs, drawn=drawn, reference=reference)

    def __call__(self, risk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return every score of every resample: scores x resamples, NaN where a score does not exist."""
        total = self.drawn @ (self.target.case + self.target.control)
        log, square = losses(risk, self.target)
        plain = losses(self.reference, self.target)[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            brier, before = self.drawn @ square / total, self.drawn @ plain / total
            rows = [
                self._concordance("auc", risk),
                self._concordance("c_index", risk),
                brier,
                1 - brier / before,
                self.drawn @ log / total,
                *self._calibration(risk),
            ]
        return np.stack(rows)

    def _concordance(self, name: str, risk: NDArray[np.float64]) -> NDArray[np.float64]:
        right, whole = np.zeros(len(self.drawn)), np.zeros(len(self.drawn))
        for rows, pairs in self.pairs[name]:
            first, drawn = risk[rows], self.drawn[:, rows]
            order = (first[:, None] > first) + 0.5 * (first[:, None] == first)
            right += ((drawn @ (pairs * order)) * drawn).sum(axis=1)
            whole += ((drawn @ pairs) * drawn).sum(axis=1)
        found: NDArray[np.float64] = np.where(whole > 0, right / np.where(whole > 0, whole, 1), np.nan)
        return found

    def _calibration(self, risk: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the slope of the logit of the truth on that predicted, and its intercept with the slope held at 1."""
        clipped = np.clip(risk, EDGE, 1 - EDGE)
        logit = np.log(clipped / (1 - clipped))
        case, total = self.drawn * self.target.case, self.drawn * (self.target.case + self.target.control)
        slope = np.full(len(self.drawn), np.nan)
        if logit.std() > 1e-6:
            slope = _newton(logit, case, total, free=True)[1]
        return slope, _newton(logit, case, total, free=False)[0]


def _newton(
    logit: NDArray[np.float64], case: NDArray[np.float64], total: NDArray[np.float64], *, free: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intercept and slope of logistic regressions of one column, one for each row of the weights."""
    center, spread = (float(logit.mean()), float(logit.std())) if free else (0.0, 1.0)
    z = (logit - center) / spread
    a, b = np.zeros(len(case)), np.full(len(case), spread)
    if free:
        a += center
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(a[:, None] + b[:, None] * z, -30, 30)))
        left, curve = case - total * p, total * p * (1 - p)
        g0, h00 = left.sum(axis=1), np.maximum(curve.sum(axis=1), 1e-300)
        if free:
            g1, h01, h11 = left @ z, curve @ z, curve @ z**2
            determinant = np.maximum(h00 * h11 - h01**2, 1e-300)
            da, db = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        else:
            da, db = g0 / h00, np.zeros(len(case))
        da, db = np.clip(da, -2, 2), np.clip(db, -2, 2)
        a, b = a + da, b + db
        if np.abs(da).max() < 1e-9 and np.abs(db).max() < 1e-9:
            break
    # Separated resamples run away: they have no slope.
    ok = (np.abs(a) < 50) & (np.abs(b) < 50)
    slope = np.where(ok, b / spread, np.nan)
    return np.where(ok, a - slope * center, np.nan), slope


def limits(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % limits over the last axis, the first entry of which is the estimate and no draw."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="All-NaN")
        low, high = np.nanquantile(draws[..., 1:], [0.025, 0.975], axis=-1)
    return low, high


def calibration_curve(risk: NDArray[np.float64], target: Target, bins: int) -> dict[str, NDArray[np.float64]]:
    """Return predicted and observed risk in bins of equal numbers of patients, with Wilson's 95 % interval.

    The interval is that of as many patients as give the observed variance of the mean, or of the weights in a bin
    where nobody, or everybody, is a case.
    """
    order = np.argsort(risk, kind="stable")
    parts = [part for part in np.array_split(order, bins) if (target.case + target.control)[part].sum() > 0]
    found: dict[str, list[float]] = {name: [] for name in ("predicted", "observed", "lower", "upper", "patients")}
    for part in parts:
        case, control = target.case[part], target.control[part]
        weight = case + control
        share = float(case.sum() / weight.sum())
        variance = float(((case * (1 - share) - control * share) ** 2).sum() / weight.sum() ** 2)
        size = share * (1 - share) / variance if variance > 1e-12 else float(weight.sum() ** 2 / (weight**2).sum())
        low, high = wilson(share, size)
        for name, value in zip(
            found, (float(weight @ risk[part] / weight.sum()), share, low, high, len(part)), strict=True
        ):
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


def wilson(share: float, size: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share observed in `size` patients."""
    z = 1.959963984540054
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))
