"""The arms of a target study: when each target is treated, and one model that holds every treatment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import AnalysisError, unknown_name
from cascade.ranking import Outcomes
from cascade.readouts import find_readout, readout
from cascade.specs import Intervention, Model
from cascade.target_table import Signs, Target
from cascade.therapy import treat

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

SURGERY = "primary_tumor__t_surgery"
"""The day from which adjuvant treatment counts."""

MINIMUM_PATIENTS = 5
"""A ranking is not made from fewer patients."""

WindowSpec = str | tuple[float, float | None] | tuple[float, float | None, str]


@dataclass(frozen=True, kw_only=True)
class Window:
    """When the treatment acts: from `start` to `stop` days after `origin` (after day 0 if there is none)."""

    name: str
    start: float = 0.0
    stop: float | None = None
    origin: str | None = None


def windows_of(model: Model, window: WindowSpec | None) -> list[Window]:
    """Return the windows to compute, first the one by which targets are sorted."""
    known = {"lifelong": Window(name="lifelong")}
    if SURGERY in model.ids.values():
        known = {"adjuvant": Window(name="adjuvant", origin=SURGERY)} | known
    if window is None:
        return list(known.values())
    if isinstance(window, str):
        if window not in known:
            raise unknown_name("window", window, known, f"model {model.name!r} (or give start and stop in days)")
        return [known.pop(window), *known.values()]
    if len(window) not in (2, 3):
        raise AnalysisError(f"window is {window!r}; give a name, (start, stop) or (start, stop, origin)")
    start, stop = window[0], window[1]
    origin = model.id(window[2]) if len(window) == 3 else None
    label = f"day {start:g} to " + ("the end" if stop is None else f"{stop:g}") + (f" after {origin}" if origin else "")
    return [Window(name=label, start=start, stop=stop, origin=origin), *known.values()]


def screening_model(
    model: Model, chosen: dict[Target, Signs], windows: Iterable[Window], fraction: float
) -> tuple[Model, dict[str, xr.DataArray]]:
    """Write one activity per constant and window into the model, and say which is set in which arm of the study.

    Returns
    -------
    Model
        With all activities; every factor is 1 by default.
    dict of str to xarray.DataArray
        Value of every factor over `arm`, windows x targets; 1 for all is no treatment.
    """
    import xarray as xr

    constants = list(dict.fromkeys(name for acts in chosen.values() for name, _ in acts))
    pairs = [(window, name) for window in windows for name in constants]
    interventions = [
        Intervention(target=name, factor=1.0, start=w.start, stop=w.stop, origin=w.origin, label=f"{w.name}: {name}")
        for w, name in pairs
    ]
    screen = treat(model, *interventions)
    added = screen.parameters[len(model.parameters) :]
    factors = [parameter.id for parameter in added if parameter.id.startswith("factor_on_")]
    place = dict(zip(((w.name, name) for w, name in pairs), factors, strict=True))
    arms = [(window, acts) for window in windows for acts in chosen.values()]
    values = {factor: np.ones(len(arms)) for factor in factors}
    for number, (window, acts) in enumerate(arms):
        for name, sign in acts:
            values[place[window.name, name]][number] = 1 - fraction if sign == "-" else 1 + fraction
    return screen, {factor: xr.DataArray(numbers, dims="arm") for factor, numbers in values.items()}


def evaluable(untreated: xr.Dataset, name: str) -> NDArray[np.bool_]:
    """Tell which patients have the readout without treatment; the nominal patient always stays in the study.

    A sample whose tumor never grows to surgery is no patient: there is nothing to treat and nothing to compare.
    """
    keep: NDArray[np.bool_] = np.isfinite(readout(untreated, name).transpose("patient").values)
    keep[0] = True
    if keep.sum() < MINIMUM_PATIENTS + 1:
        reasons = Counter(str(reason) for reason in readout(untreated, name)["reason"].values)
        raise AnalysisError(
            f"only {int(keep.sum()) - 1} of {keep.size - 1} sampled patients have the readout {name!r} "
            f"without treatment ({dict(reasons)}); simulate more years, draw more samples, or choose another readout"
        )
    return keep


def outcomes(
    untreated: xr.Dataset, treated: xr.Dataset, name: str, targets: list[Target], windows: list[Window]
) -> Outcomes:
    """Pair the readouts of the same patients without (over `patient`) and with treatment (over `patient`, `arm`)."""
    import xarray as xr

    ids = [target.target for target in targets]
    dims = ("patient", "window", "target")

    def split(what: str) -> tuple[xr.DataArray, xr.DataArray]:
        before, after = readout(untreated, what), readout(treated, what).transpose("patient", "arm")
        shape = (after.sizes["patient"], len(windows), len(ids))
        coords = {
            "patient": after["patient"].values,
            "window": [w.name for w in windows],
            "target": ids,
            "reason": (dims, np.reshape(after["reason"].values, shape)),
        }
        arms = xr.DataArray(after.values.reshape(shape), dims=dims, coords=coords, attrs=after.attrs)
        return before.sel(patient=coords["patient"]), arms

    first = split(name)
    hazard = find_readout(name).hazard or name
    second = split(hazard) if hazard != name else first
    return Outcomes(
        readout=name, untreated=first[0], treated=first[1], hazard_untreated=second[0], hazard_treated=second[1]
    )
