"""What patients who measure alike gain by each arm: regressions of the gain on measurements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cascade.errors import AnalysisError
from cascade.risk._models import Columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOTS = 6
_MOST_PAIRED = 4
_FEWEST_IN_GROUP = 5


class _Settings(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def folds(self) -> int: ...
    @property
    def seed(self) -> int: ...


def expected_gain(
    x: NDArray[np.float64], gain: NDArray[np.float64], weight: NDArray[np.float64], settings: _Settings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the gain that is expected of each arm: learned from other patients, and from all.

    Parameters
    ----------
    x : array of patients x measurements
        Without measurements everybody is alike.
    gain : array of patients x arms
        0 for the first arm.
    weight : array of patients
    settings : Settings

    Returns
    -------
    tuple of arrays of patients x arms
    """
    generator = np.random.default_rng([settings.seed, 9, len(x)])
    fold = generator.permutation(np.arange(len(x)) % settings.folds)
    apart = np.zeros_like(gain)
    for number in range(settings.folds):
        learn, look = fold != number, fold == number
        apart[look] = _learn(x[learn], gain[learn], weight[learn], settings)(x[look])
    return apart, _learn(x, gain, weight, settings)(x)


def _learn(x: NDArray[np.float64], gain: NDArray[np.float64], weight: NDArray[np.float64], settings: _Settings) -> Any:
    mean = weight @ gain / weight.sum()
    if not x.shape[1] or not len(Columns(x, weight).usable):
        return lambda new: np.broadcast_to(mean, (len(new), len(mean)))
    if settings.method == "bins":
        return _bins(x, gain, weight)
    return _spline(x, gain, weight) if settings.method == "spline" else _boosting(x, gain, weight, settings.seed)


def _bins(x: NDArray[np.float64], gain: NDArray[np.float64], weight: NDArray[np.float64]) -> Any:
    """Return the means of patients with equal values; of values that were not seen the mean of all."""
    groups: dict[bytes, int] = {}
    keys = [row.tobytes() for row in np.where(np.isnan(x), np.inf, x) + 0.0]
    which = np.array([groups.setdefault(key, len(groups)) for key in keys])
    if len(groups) * _FEWEST_IN_GROUP > len(x):
        raise AnalysisError(
            f"{len(x)} patients have {len(groups)} different values of the measurements, too many for method 'bins';"
            " use 'spline', or measurements of few values"
        )
    total = np.bincount(which, weight)
    means = np.stack([np.bincount(which, weight * column) / total for column in gain.T], axis=1)
    mean = weight @ gain / weight.sum()

    def predict(new: NDArray[np.float64]) -> NDArray[np.float64]:
        places = [groups.get(row.tobytes(), -1) for row in np.where(np.isnan(new), np.inf, new) + 0.0]
        return np.stack([means[place] if place >= 0 else mean for place in places])

    return predict


def _spline(x: NDArray[np.float64], gain: NDArray[np.float64], weight: NDArray[np.float64]) -> Any:
    """Return an additive cubic spline, linear beyond its ends; up to four measurements multiply each other too."""
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import SplineTransformer

    columns = Columns(x, weight)
    scaled = columns(x)
    smooth = [place for place in range(scaled.shape[1]) if len(np.unique(scaled[:, place])) > KNOTS]
    plain = [place for place in range(scaled.shape[1]) if place not in smooth]
    basis: list[tuple[int, Any]] = []
    for place in smooth:
        # Quantiles of counts coincide; knots must differ.
        knots = np.unique(np.quantile(scaled[:, place], np.linspace(0, 1, KNOTS)))
        if len(knots) < 3:
            plain.append(place)
            continue
        made = SplineTransformer(knots=knots[:, None], degree=3, extrapolation="linear", include_bias=False)
        basis.append((place, made.fit(scaled[:, [place]])))

    def design(new: NDArray[np.float64]) -> NDArray[np.float64]:
        ready = columns(new)
        parts = [made.transform(ready[:, [place]]) for place, made in basis] + [ready[:, plain]]
        if ready.shape[1] <= _MOST_PAIRED:
            rows, others = np.triu_indices(ready.shape[1], 1)
            parts.append(np.clip(ready, -3, 3)[:, rows] * np.clip(ready, -3, 3)[:, others])
        return np.concatenate(parts, axis=1)

    fits = [RidgeCV(alphas=np.logspace(-3, 3, 13)).fit(design(x), each, sample_weight=weight) for each in gain.T[1:]]
    return lambda new: np.stack([np.zeros(len(new)), *[fit.predict(design(new)) for fit in fits]], axis=1)


def _boosting(x: NDArray[np.float64], gain: NDArray[np.float64], weight: NDArray[np.float64], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    def one(each: NDArray[np.float64]) -> Any:
        made = HistGradientBoostingRegressor(
            max_iter=120,
            max_leaf_nodes=6,
            learning_rate=0.06,
            max_bins=32,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=seed,
        )
        return made.fit(x, each, sample_weight=weight)

    fits = [one(each) for each in gain.T[1:]]
    return lambda new: np.stack([np.zeros(len(new)), *[fit.predict(new) for fit in fits]], axis=1)
