"""Paired effects of the arms of a study over the same patients, with intervals: doses, reverse, organs, readouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.arms import Arm
from cascade.endpoints import Scale
from cascade.readouts import effect, find_readout
from cascade.sensitivity.ranks import bootstrap_means, weighted_mean

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


@dataclass(frozen=True, kw_only=True)
class Study:
    """Readouts of the same patients without treatment (over `patient`) and in every arm (over `patient`, `arm`).

    Attributes
    ----------
    untreated, treated : xarray.Dataset
        Results of `cascade.evaluate`; patient 0 has nominal values, the others are drawn.
    arms : tuple of Arm
    noise : float
        Relative change that the solver alone can make; a smaller effect counts as none.
    seed : int
        Seed of the bootstrap over patients.
    weights : numpy.ndarray, optional
        How many people each patient stands for, patient 0 included.
    """

    untreated: xr.Dataset
    treated: xr.Dataset
    arms: tuple[Arm, ...]
    noise: float
    seed: int
    weights: np.ndarray | None = None

    @property
    def drawn_weights(self) -> np.ndarray | None:
        """Weights without the nominal patient's."""
        return None if self.weights is None else self.weights[1:]

    def places(self, wanted: Callable[[Arm], bool]) -> list[int]:
        """Return the positions of the arms that are wanted."""
        return [place for place, arm in enumerate(self.arms) if wanted(arm)]

    def before(self, name: str) -> xr.DataArray:
        """Return an untreated readout over `patient`, with its reasons."""
        return _with_reason(self.untreated, name)

    def after(self, name: str, places: Sequence[int]) -> xr.DataArray:
        """Return a readout over `patient` and the arms at these places, with its reasons."""
        return _with_reason(self.treated, name).isel(arm=list(places)).transpose("patient", "arm", ...)

    def change(self, name: str, places: Sequence[int]) -> xr.DataArray:
        """Return the paired effect over `patient` and arms; what the solver alone can make is 0."""
        before, after = self.before(name), self.after(name, places)
        return change(before, after, find_readout(name).scale, self.noise).transpose("patient", "arm", ...)

    def means(self, name: str, places: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean effect over the drawn patients and its 95 % limits, over arms and what dimensions remain."""
        import numpy as np

        values = self.change(name, places).values[1:]
        columns = values.reshape(values.shape[0], -1)
        weights = self.drawn_weights
        resampled = bootstrap_means(columns, seed=self.seed, weights=weights)
        mean = weighted_mean(columns, np.ones(len(columns)) if weights is None else weights)
        low, high = _limits(resampled)
        shape = values.shape[1:]
        return mean.reshape(shape), low.reshape(shape), high.reshape(shape)


def _with_reason(dataset: xr.Dataset, name: str) -> xr.DataArray:
    value = dataset[name]
    return value.assign_coords(reason=(value.dims, dataset[f"reason_{name}"].transpose(*value.dims).values.astype(str)))


def change(before: xr.DataArray, after: xr.DataArray, scale: Scale, noise: float) -> xr.DataArray:
    """Return the paired effect on a readout; what is below the noise of the solver is 0."""
    before, after = (side.drop_vars("reason", errors="ignore") for side in (before, after))
    found = effect(before, after, scale)
    level = noise * (abs(before) if scale == "difference" else 1.0)
    return found.where((abs(found) > level) | found.isnull(), 0.0)


def _limits(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without any number stays NaN
        low, high = np.nanpercentile(resampled, [2.5, 97.5], axis=0)
    return low, high


def dose_effects(study: Study, readout: str, window: str, targets: Sequence[str]) -> dict[str, Any]:
    """Return effects by `fraction` of the activity that is lost or gained, in one window."""
    import numpy as np

    ideal = study.places(lambda arm: arm.window.name == window and not (arm.opposite or arm.drug))
    fractions = sorted({study.arms[place].fraction for place in ideal})
    found = np.full((3, len(targets), len(fractions)), np.nan)
    for column, fraction in enumerate(fractions):
        places = [place for place in ideal if study.arms[place].fraction == fraction]
        rows = [targets.index(study.arms[place].target) for place in places]
        found[:, rows, column] = study.means(readout, places)
    dims = ("target", "fraction")
    return {**_three("dose_effect", dims, found), "fraction": ("fraction", fractions)}


def opposite_effects(study: Study, readout: str, targets: Sequence[str], reasons: Sequence[str]) -> dict[str, Any]:
    """Return the effect of the reverse of each drug; NaN with a reason where that makes no sense."""
    import numpy as np

    found = np.full((3, len(targets)), np.nan)
    places = study.places(lambda arm: arm.opposite)
    if not places:
        return {}
    found[:, [targets.index(study.arms[place].target) for place in places]] = study.means(readout, places)
    return {**_three("opposite_effect", ("target",), found), "opposite_reason": ("target", list(reasons))}


def organ_effects(
    study: Study, readout: str, windows: Sequence[str], targets: Sequence[str], fraction: float
) -> dict[str, Any]:
    """Return effects by `organ`, in every window."""
    import numpy as np

    organs = [str(name) for name in study.untreated["organ"].values]
    found = np.full((3, len(targets), len(windows), len(organs)), np.nan)
    for column, window in enumerate(windows):
        places = main_places(study, window, fraction)
        rows = [targets.index(study.arms[place].target) for place in places]
        found[:, rows, column] = study.means(readout, places)
    dims = ("target", "window", "organ")
    return {**_three("organ_effect", dims, found), "organ": ("organ", organs)}


def also_effects(
    study: Study, readouts: Sequence[str], windows: Sequence[str], targets: Sequence[str], fraction: float
) -> dict[str, Any]:
    """Return effects on other readouts, in every window."""
    import numpy as np

    found = np.full((3, len(targets), len(windows), len(readouts)), np.nan)
    for column, window in enumerate(windows):
        places = main_places(study, window, fraction)
        rows = [targets.index(study.arms[place].target) for place in places]
        for layer, name in enumerate(readouts):
            found[:, rows, column, layer] = study.means(name, places)
    dims = ("target", "window", "also")
    return {**_three("also_effect", dims, found), "also": ("also", list(readouts))}


def main_places(study: Study, window: str, fraction: float) -> list[int]:
    """Return the positions of the arms that are ranked: targets at the main fraction, and drugs."""
    return study.places(
        lambda arm: arm.window.name == window and not arm.opposite and (arm.drug or arm.fraction == fraction)
    )


def _three(name: str, dims: tuple[str, ...], found: np.ndarray) -> dict[str, Any]:
    names = (name, f"{name}_lower", f"{name}_upper")
    return {label: (dims, values) for label, values in zip(names, found, strict=True)}
