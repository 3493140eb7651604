"""The arms of a study: which target is treated, when, how much and which way; every arm is a set of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._switch import FROM, UNTIL, UNTIL_SURGERY, factor_of
from cascade._tables import is_number
from cascade.errors import AnalysisError, unknown_name
from cascade.specs import Model, Parameter
from cascade.target_table import Signs, Target
from cascade.therapy._moments import NEVER

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

SURGERY = "primary_tumor__t_surgery"
"""The day from which adjuvant treatment counts."""

PLANNED = "primary_tumor__t_planned"
"""The day of an operation that is planned whatever the size of the tumor."""

RECURRENCE = "t_recurrence_median"
"""Readout of the time from surgery to the first overt metastasis."""

NEOADJUVANT = 180.0
"""Days of treatment before surgery: assumed, about the half year of common neoadjuvant courses."""

MINIMUM_PATIENTS = 5
"""A ranking is not made from fewer patients."""

WindowSpec = str | tuple[float, float | None] | tuple[float, float | None, str]

BIRTH = ""
"""Origin of windows that count from the first tumor cell."""

METASTASIS = "metastasis"
"""Origin of windows that count from the first overt metastasis."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """When the treatment acts: from `start` to `stop` days after `origin`, a day of the untreated patient.

    `until_surgery` ends it at the patient's own operation; `planned` has him operated on the day of the untreated.
    """

    name: str
    meaning: str = ""
    start: float = 0.0
    stop: float | None = None
    origin: str = BIRTH
    until_surgery: bool = False
    planned: bool = False


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One treatment of a study; `opposite` does the reverse of what the drug does.

    A `drug` is given by a regimen, without fraction and factors (`cascade.drug_arms`).
    """

    target: str
    window: Window
    fraction: float
    opposite: bool = False
    factors: Mapping[str, float] = field(default_factory=dict)
    drug: bool = False


LIFELONG = Window(name="lifelong", meaning="from the first tumor cell on, without end")

_CLINICAL = (
    Window(name="adjuvant", meaning="from surgery on", origin=SURGERY),
    Window(
        name="neoadjuvant",
        meaning=f"the {NEOADJUVANT:g} days before surgery, which takes place on the day of the untreated patient",
        start=-NEOADJUVANT,
        stop=0.0,
        origin=SURGERY,
        planned=True,
    ),
    Window(name="prevention", meaning="from the first tumor cell to surgery", until_surgery=True),
    Window(
        name="metastatic",
        meaning="from the median day of the first overt metastasis of the untreated patient on",
        origin=METASTASIS,
    ),
)


def known_windows(model: Model) -> dict[str, Window]:
    """Return the named windows of a model; those of the clinic need its surgery."""
    flat = set(model.ids.values())
    clinical = [w for w in _CLINICAL if SURGERY in flat and (PLANNED in flat or not w.planned)]
    if "endpoints__h_since_surgery" not in flat:
        clinical = [w for w in clinical if w.origin != METASTASIS]
    return {window.name: window for window in (*clinical, LIFELONG)}


def windows_of(model: Model, main: WindowSpec | None, others: Sequence[WindowSpec] | None) -> list[Window]:
    """Return the windows to compute, first the one by which targets are sorted.

    By default that is the first that the model knows; others are all that it knows but treatment for life.
    """
    known = known_windows(model)
    first = _window(model, next(iter(known)) if main is None else main, known)
    rest = [name for name in known if name != LIFELONG.name] if others is None else others
    windows = [first, *(_window(model, spec, known) for spec in rest)]
    return list({window.name: window for window in windows}.values())


def _window(model: Model, spec: WindowSpec, known: Mapping[str, Window]) -> Window:
    if isinstance(spec, str):
        if spec not in known:
            raise unknown_name("window", spec, known, f"model {model.name!r} (or give start and stop in days)")
        return known[spec]
    if not (isinstance(spec, Sequence) and len(spec) in (2, 3)):
        raise AnalysisError(f"window is {spec!r}; give a name, (start, stop) or (start, stop, origin)")
    start, stop = spec[0], spec[1]
    if not (is_number(start) and (stop is None or is_number(stop))):
        raise AnalysisError(f"window is {spec!r}; give finite days, or None as stop")
    if stop is not None and stop <= start:
        raise AnalysisError(f"window {spec!r}: it stops on day {stop:g}, not after its start on day {start:g}")
    origin = model.id(spec[2]) if len(spec) == 3 else BIRTH
    label = f"day {start:g} to " + ("the end" if stop is None else f"{stop:g}") + (f" after {origin}" if origin else "")
    return Window(name=label, meaning=label, start=float(start), stop=stop, origin=origin)


def arm_of(target: Target, acts: Signs, window: Window, fraction: float, *, opposite: bool = False) -> Arm:
    """Return the arm in which a target is treated: what the drug blocks keeps 1 - fraction, the rest gains it."""
    factors = {name: 1 - fraction if (sign == "-") != opposite else 1 + fraction for name, sign in acts}
    return Arm(target=target.target, window=window, fraction=fraction, opposite=opposite, factors=factors)


def beyond(acts: Signs, model: Model, fraction: float) -> str:
    """Say why the reverse of a drug makes no sense, or return an empty text."""
    for name, sign in acts:
        row = model.table.get(name)
        if sign == "-" and row is not None and _share(row) * (1 + fraction) > 1:
            return f"{name} is a share of {row.nominal:g}, which cannot rise by {fraction:.0%}"
    return ""


def _share(row: Parameter) -> float:
    """Return the largest value of a fraction of a whole (without unit, never above 1); 0 of other constants."""
    if row.unit != "dimensionless" or row.upper is None or row.upper > 1:
        return 0.0
    return row.upper


def arm_values(
    arms: Sequence[Arm], constants: Iterable[str], origins: Mapping[str, xr.DataArray], model: Model
) -> dict[str, Any]:
    """Return the values that make the arms, over `arm` and where they differ between patients over `patient`.

    Parameters
    ----------
    arms : sequence of Arm
    constants : iterable of str
        All constants that some arm changes.
    origins : mapping of str to DataArray
        Day of each origin in every untreated patient; NaN if it never comes, and then nothing is treated.
    model : Model
        The model without the switch.
    """
    import xarray as xr

    def over_arms(numbers: Iterable[float]) -> xr.DataArray:
        return xr.DataArray(np.array(list(numbers), dtype=float), dims="arm")

    values: dict[str, Any] = {
        factor_of(name): over_arms(arm.factors.get(name, 1.0) for arm in arms) for name in constants
    }
    begin = [_day(arm.window, arm.window.start, origins) for arm in arms]
    end = [_day(arm.window, arm.window.stop, origins) for arm in arms]
    values[FROM], values[UNTIL] = _stack(begin), _stack(end)
    if SURGERY in model.ids.values():
        values[UNTIL_SURGERY] = over_arms(float(arm.window.until_surgery) for arm in arms)
    if any(arm.window.planned for arm in arms):
        default = model.parameter(PLANNED).nominal
        values[PLANNED] = _stack([_planned(arm.window, origins, default) for arm in arms])
    return values


def _day(window: Window, offset: float | None, origins: Mapping[str, xr.DataArray]) -> xr.DataArray | float:
    if offset is None:
        return 0.0 if window.until_surgery else NEVER
    if not window.origin:
        return offset
    day: xr.DataArray = (origins[window.origin] + offset).clip(min=0.0).fillna(NEVER)
    return day


def _planned(window: Window, origins: Mapping[str, xr.DataArray], default: float) -> xr.DataArray | float:
    return origins[window.origin].fillna(default) if window.planned else default


def _stack(days: Sequence[xr.DataArray | float]) -> xr.DataArray:
    """Join one day per arm, the same or different between patients."""
    import xarray as xr

    if all(not isinstance(day, xr.DataArray) for day in days):
        return xr.DataArray(np.array(days, dtype=float), dims="arm")
    wide = xr.broadcast(*(day if isinstance(day, xr.DataArray) else xr.DataArray(day) for day in days))
    return xr.concat(wide, dim="arm").transpose("patient", "arm")


def origins_needed(windows: Iterable[Window], model: Model) -> dict[str, tuple[str, ...]]:
    """Return the readouts of the untreated patient that tell the day of every origin."""
    found: dict[str, tuple[str, ...]] = {}
    for window in windows:
        if window.origin == METASTASIS:
            found[METASTASIS] = ("t_surgery", RECURRENCE)
        elif window.origin == SURGERY:
            found[SURGERY] = ("t_surgery",)
        elif window.origin:
            found[window.origin] = (f"final:{window.origin}",)
    return found


def origin_days(needed: Mapping[str, tuple[str, ...]], untreated: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the day of every origin over `patient`."""
    return {
        origin: sum((untreated[name].drop_vars("reason", errors="ignore") for name in names[1:]), untreated[names[0]])
        for origin, names in needed.items()
    }


def evaluable(
    untreated: xr.DataArray, reasons: NDArray[Any], name: str, fewest: int = MINIMUM_PATIENTS
) -> NDArray[np.bool_]:
    """Tell which patients have the readout without treatment; the nominal patient always stays in the study.

    A sample whose tumor never grows to surgery is no patient: there is nothing to treat and nothing to compare.
    """
    keep: NDArray[np.bool_] = np.isfinite(untreated.values)
    keep[0] = True
    if keep.sum() < fewest + 1:
        counts = Counter(str(reason) for reason in reasons)
        raise AnalysisError(
            f"only {int(keep.sum()) - 1} of {keep.size - 1} sampled patients have the readout {name!r} "
            f"without treatment ({dict(counts)}); simulate more years, draw more samples, or choose another readout"
        )
    return keep
