"""Where the first distant metastasis will be, given that there is one: multinomial, out of fold, with a log score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cascade.risk._models import SOLVER, Columns, folds_of
from cascade.risk._scores import limits
from cascade.risk._target import LEAST, Target

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

OTHER = "other"
STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
_LEAST_SHARE = 1e-4


def make_sites(
    outcomes: xr.Dataset | None, events: xr.Dataset | None, target: Target, rows: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.float64]] | str:
    """Return organs and the weight of each patient as a case of each organ, or the reason why there are none.

    Weights of a patient sum to those of a case. Organs that too few patients have first are pooled.
    """
    if events is None:
        if outcomes is None or "h_organ" not in outcomes:
            return "the outcomes have no hazards by organ"
        organs, weight = _expected(outcomes, target, rows)
    else:
        if "organ" not in events:
            return "the events have no first organ"
        first = events["organ"].values.astype(str)[rows]
        organs = sorted({str(organ) for organ in first[target.case > 0] if organ})
        weight = np.stack([target.case * (first == organ) for organ in organs], axis=1) if organs else np.zeros((0, 0))
    return _pooled(organs, weight, target)


def _expected(outcomes: xr.Dataset, target: Target, rows: NDArray[np.int64]) -> tuple[list[str], NDArray[np.float64]]:
    """Return the exact chance of each organ to be the first: organs share each month's events by their hazards."""
    by_organ = outcomes["h_organ"].transpose("patient", "organ", "month")
    by_organ = by_organ.sel(month=by_organ["month"] <= target.horizon + 1e-9)
    assert target.survival is not None
    rise = np.diff(by_organ.values[rows].astype(float), axis=2).clip(min=0)
    whole = rise.sum(axis=1)
    falls = -np.diff(target.survival, axis=1)
    chance = (rise * (falls / np.where(whole > 0, whole, 1.0))[:, None, :]).sum(axis=2)
    return [str(organ) for organ in by_organ["organ"].values], chance * target.weight[:, None]


def _pooled(
    organs: list[str], weight: NDArray[np.float64], target: Target
) -> tuple[list[str], NDArray[np.float64]] | str:
    total = np.where(target.case + target.control > 0, target.case + target.control, 1.0)
    counts = (weight / total[:, None]).sum(axis=0) if target.exact else (weight > 0).sum(axis=0)
    enough = [place for place in range(len(organs)) if counts[place] >= LEAST]
    rare = [place for place in range(len(organs)) if place not in enough]
    names, columns = [organs[place] for place in enough], [weight[:, place] for place in enough]
    if rare and counts[rare].sum() >= LEAST:
        names.append(OTHER if len(rare) > 1 else organs[rare[0]])
        columns.append(weight[:, rare].sum(axis=1))
    if len(names) < 2:
        few = ", ".join(f"{organ} {count:.3g}" for organ, count in zip(organs, counts, strict=True)) or "none"
        return f"fewer than two organs are first in {LEAST} patients ({few})"
    return names, np.stack(columns, axis=1)


class SiteModel:
    """Multinomial regression on the columns of the biomarkers, shrunk."""

    def __init__(self, x: NDArray[np.float64], weight: NDArray[np.float64], strength: float) -> None:
        from sklearn.linear_model import LogisticRegression

        self.organs = weight.shape[1]
        self.columns = Columns(x, np.maximum(weight.sum(axis=1), 1e-12))
        patients, organs = np.nonzero(weight)
        scale = len(np.unique(patients)) / weight.sum()
        self.seen = np.unique(organs)
        self.marginal = weight.sum(axis=0) / weight.sum()
        self.fit = None
        if len(self.seen) > 1 and len(self.columns.usable):
            self.fit = LogisticRegression(C=strength, solver=SOLVER, max_iter=500).fit(
                self.columns(x)[patients], organs, sample_weight=weight[patients, organs] * scale
            )

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each organ, given a metastasis: patients x organs."""
        found = np.full((len(x), self.organs), _LEAST_SHARE)
        if self.fit is None:
            found += self.marginal
        else:
            level = self.columns(x) @ self.fit.coef_.T + self.fit.intercept_
            # Of two organs the library holds the second one's level only.
            level = np.concatenate([np.zeros_like(level), level], axis=1) if level.shape[1] == 1 else level
            chance = np.exp(level - level.max(axis=1, keepdims=True))
            found[:, self.seen] += chance / chance.sum(axis=1, keepdims=True)
        found /= found.sum(axis=1, keepdims=True)
        return found


def site_loss(chance: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return minus the log probability of where the metastasis was, weighted: patients x organs."""
    loss: NDArray[np.float64] = -weight * np.log(np.maximum(chance, _LEAST_SHARE))
    return loss


def choose_strength(x: NDArray[np.float64], weight: NDArray[np.float64], *, inner: int, seed: int) -> float:
    """Return the shrinkage with the best log score among these patients alone."""
    fold = _folds(weight, inner, seed)
    loss = np.zeros(len(STRENGTHS))
    for number in range(inner):
        learn, look = fold != number, fold == number
        if not weight[learn].sum():
            continue
        for place, strength in enumerate(STRENGTHS):
            loss[place] += site_loss(SiteModel(x[learn], weight[learn], strength)(x[look]), weight[look]).sum()
    return STRENGTHS[int(np.argmin(loss))]


def _folds(weight: NDArray[np.float64], folds: int, seed: int) -> NDArray[np.int64]:
    whole = np.maximum(weight.sum(axis=1), 1e-12)
    likely = weight.argmax(axis=1) + weight.max(axis=1) / whole / 2
    scale = likely / (weight.shape[1] + 1) * (weight.sum(axis=1) > 0)
    ones = np.ones(len(weight))
    # Sorted by organ, as a target whose share of cases is the place of the organ.
    return folds_of(Target(weight=ones, horizon=1, survival=np.stack([ones, 1 - scale], axis=1)), folds, seed)


def predict_sites(
    x: NDArray[np.float64], weight: NDArray[np.float64], *, folds: int, inner: int, permutations: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Predict the first organ out of fold.

    Returns
    -------
    dict of str to array
        `chance` (patients x organs), `reference` (the frequencies a fold learned from), `importance` (patients x
        organs x features): rise of the weighted loss when a biomarker is permuted among the patients of the fold.
    """
    fold = _folds(weight, folds, seed)
    chance, reference = np.zeros(weight.shape), np.zeros(weight.shape)
    importance = np.zeros((*weight.shape, x.shape[1]))
    for number in range(folds):
        learn, look = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        strength = choose_strength(x[learn], weight[learn], inner=inner, seed=seed)
        model = SiteModel(x[learn], weight[learn], strength)
        chance[look] = model(x[look])
        reference[look] = weight[learn].sum(axis=0) / weight[learn].sum()
        before = site_loss(chance[look], weight[look])
        generator = np.random.default_rng([seed, 5, number])
        for feature in range(x.shape[1]):
            for _ in range(permutations):
                mixed = x[look].copy()
                mixed[:, feature] = generator.permutation(mixed[:, feature])
                importance[look, :, feature] += (site_loss(model(mixed), weight[look]) - before) / permutations
    return {"chance": chance, "reference": reference, "importance": importance}


def site_dataset(
    found: dict[str, NDArray[np.float64]], organs: list[str], weight: NDArray[np.float64], drawn: NDArray[np.float64]
) -> xr.Dataset:
    """Return log score, its reference, their difference and the importance of biomarkers, with limits."""
    import xarray as xr

    total = drawn @ weight.sum(axis=1)
    plain = drawn @ site_loss(found["reference"], weight).sum(axis=1) / total
    full = drawn @ site_loss(found["chance"], weight).sum(axis=1) / total
    by_organ = np.einsum("bp,pof->ofb", drawn, found["importance"]) / total
    whole = by_organ.sum(axis=0)
    right = drawn @ (weight * (found["chance"].argmax(axis=1)[:, None] == np.arange(len(organs)))).sum(axis=1) / total
    data: dict[str, object] = {
        "site_probability": (("patient", "organ"), found["chance"], {"long_name": "first organ, given a metastasis"}),
        "site_frequency": ("organ", weight.sum(axis=0) / weight.sum()),
    }
    named = {
        "site_log_score": -full,
        "site_log_score_reference": -plain,
        "site_gain": plain - full,
        "site_accuracy": right,
    }
    for name, values in named.items():
        data |= _with_limits(name, (), values)
    data |= _with_limits("site_importance", ("feature",), whole)
    data |= _with_limits("site_importance_organ", ("organ", "feature"), by_organ)
    return xr.Dataset(data, coords={"organ": organs})  # type: ignore[arg-type]


def _with_limits(name: str, dims: tuple[str, ...], draws: NDArray[np.float64]) -> dict[str, object]:
    low, high = limits(draws)
    return {name: (dims, draws[..., 0]), f"{name}_lower": (dims, low), f"{name}_upper": (dims, high)}
