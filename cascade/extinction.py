"""What an average cannot tell: the chance that a cohort of cells leaves no lesion, and when the first one shows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._fates import OVERT, Fates, read_fates
from cascade._lineages import generating, log_none, sample, solve
from cascade._tables import is_number, require_whole
from cascade.endpoints import DAYS_PER_YEAR
from cascade.endpoints_time import QUANTILES
from cascade.errors import AnalysisError
from cascade.specs import Model, require_model

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

MAX_INDIVIDUALS = 200_000_000
"""Individuals that a sampling may follow (some minutes)."""

_MOST_COUNTS = 512
_RESAMPLES = 400
_Z = 1.959964


def extinction(
    model: Model,
    cells: Mapping[str, float],
    *,
    organ: str = "",
    days: float | None = None,
    years: float | None = None,
    points: int = 101,
    run: xr.Dataset | None = None,
    start: float = 0.0,
    values: Mapping[str, float] | None = None,
    runs: int = 0,
    seed: int = 0,
) -> xr.Dataset:
    """Compute the fate of a cohort of disseminated cells or occult lesions of one organ.

    Parameters
    ----------
    model : Model
        Holds the chain from arrest to detection of the organ (modules `disseminated_cells` and `lesions`), alone or
        within a composition.
    cells : mapping of str to int
        The cohort: names of species and numbers, such as `{"n_dormant": 1000}` or `{"n_angiogenic_dormant": 2}`.
    organ : str
        The organ, if the names of `cells` are local and the model has several.
    days, years : float
        Length of time to follow the cohort; give one of them.
    points : int
        Rows, evenly spaced. Rates that change with time are taken linear between them.
    run : xarray.Dataset, optional
        One run of the model, with all variables. Wound, vessels, immunity and host are taken from it as they change;
        without it they stay as at the start of the model.
    start : float
        Day of the run on which the cohort starts, such as the day of surgery.
    values : mapping of str to number, optional
        Constants that differ from those of the model; by default those of `run`.
    runs : int
        Cohorts that are sampled as well, event by event; 0 for the exact law alone.
    seed : int
        Seed of the sampling.

    Returns
    -------
    xarray.Dataset
        Over `time` (days since the start): `p_no_lesion`, the probability that no lesion has been detected, and
        `n_lesions`, the expected number of detected ones. Over `quantile`: `t_first`, the day of the first detected
        lesion (NaN if fewer cohorts than this share ever have one). Over `lesions`: `p_count`, the law of their number
        at the end. With `runs`, each again as `*_sampled` with its 95 % interval `*_lower`, `*_upper` (Wilson for
        probabilities, bootstrap for times, normal for the mean number), and `fano_sampled`, their variance over mean.

    Raises
    ------
    UnknownNameError
        If a name is not in the model.
    AnalysisError
        If individuals interact, or a number cannot be used.

    Notes
    -----
    No step after arrest depends on how many others there are, so that every individual has an independent fate. The
    probabilities solve the backward (Kolmogorov) equations of a branching process with several types, whose rates are
    read out of the model. Where a composition splits one step into two reactions (a cell that founds a lesion is lost
    in one module and counted in another; a quasi-steady species is left and entered at once), the two are independent
    events here as they are in the model: expected numbers are exact, probabilities to a relative error of the order
    of the success of a single cell.

    Examples
    --------
    >>> law = cascade.extinction(model, {"n_dormant": 10_000}, organ="bone_clone_1", years=20)
    >>> float(law["p_no_lesion"][-1])
    """
    import xarray as xr

    require_model(model, "extinction")
    horizon = _horizon(days, years)
    _check_numbers(points, runs)
    names, numbers = _cohort(model, cells, organ, whole=runs > 0)
    time = np.linspace(0.0, horizon, points)
    constants = _constants(model, run, values)
    fates = read_fates(model, names, time, constants, run, float(start))
    if not any(event.products and -1 in event.products for event in fates.events):
        raise AnalysisError(
            f"none of {', '.join(names)} can become {OVERT!r}; take the lesions of the organ into the model"
        )
    whole = np.zeros(len(fates.types))
    whole[: len(numbers)] = numbers
    found = _exact(fates, whole)
    if runs:
        found |= _sampled(fates, whole, runs, seed, found["p_count"][1].size)
    coords = {"time": time, "quantile": list(QUANTILES), "lesions": np.arange(found["p_count"][1].size)}
    dataset = xr.Dataset(found, coords=coords)
    dataset["time"].attrs = {"units": "day", "long_name": "time since the start of the cohort"}
    for name in dataset.data_vars:
        dataset[name].attrs = _described(str(name))
    dataset.attrs = {
        "model": model.name,
        "model_sha256": model.hash,
        "cohort": json.dumps(dict(zip(names, map(float, numbers), strict=True))),
        "start": float(start),
        "rates": "constant" if fates.constant else "from the run",
        "runs": runs,
        "seed": seed,
    }
    return dataset


def _horizon(days: float | None, years: float | None) -> float:
    if (days is None) == (years is None):
        raise AnalysisError("give the length of time once: days=... or years=...")
    given = days if days is not None else years
    if not (is_number(given) and given > 0):
        raise AnalysisError(f"the length of time is {given!r}; give a finite number above 0")
    return float(given) * (1.0 if days is not None else DAYS_PER_YEAR)


def _check_numbers(points: int, runs: int) -> None:
    require_whole("points", points, 2, 10_000)
    require_whole("runs", runs, 0, MAX_INDIVIDUALS)
    if runs and runs < 20:
        raise AnalysisError(f"runs is {runs}; give at least 20, or 0 for the exact law alone")


def _cohort(
    model: Model, cells: Mapping[str, float], organ: str, whole: bool
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    if not cells:
        raise AnalysisError("the cohort is empty; give cells={name of a species: number}")
    if not isinstance(cells, Mapping):
        raise AnalysisError(f"the cohort is {cells!r}; give cells={{name of a species: number}}")
    for name, number in cells.items():
        if not (is_number(number) and number >= 0) or (whole and number != round(number)):
            raise AnalysisError(
                f"the cohort has {number!r} of {name!r}; give a {'whole ' if whole else ''}number, not negative"
            )
    names = tuple(_species(model, name, organ) for name in cells)
    if len(set(names)) < len(names):
        raise AnalysisError(f"the cohort names the same species twice: {', '.join(names)}")
    return names, np.array(list(cells.values()), dtype=float)


def _species(model: Model, name: str, organ: str) -> str:
    """Find a species by its local name within the instances of an organ, or by its full name."""
    ends = f"__{name}"
    owners = {flat.removesuffix(ends): flat for flat in set(model.ids.values()) if flat.endswith(ends)}
    if organ in owners:
        return owners[organ]
    fitting = sorted(owner for owner in owners if not organ or owner.startswith(f"{organ}_"))
    if len(fitting) == 1:
        return owners[fitting[0]]
    if not fitting:
        return model.id(f"{organ}.{name}" if organ and f"{organ}.{name}" in model.ids else name)
    raise AnalysisError(f"{name!r} is in {', '.join(fitting)}; name one, such as organ={fitting[0]!r}")


def _constants(model: Model, run: xr.Dataset | None, values: Mapping[str, float] | None) -> dict[str, float]:
    """Return the constants that differ from the model: those given, else those that the run was made with."""
    if values is not None:
        chosen = {model.id(name): value for name, value in values.items()}
    else:
        chosen = json.loads(run.attrs.get("values", "{}")) if run is not None else {}
    known = {name: value for name, value in chosen.items() if name in model.table}
    odd = [name for name, value in known.items() if not isinstance(value, int | float)]
    if odd:
        raise AnalysisError(f"{odd[0]!r} varies between the runs; give values={{...}} of the one run")
    return {name: float(value) for name, value in known.items()}


def _exact(fates: Fates, cells: NDArray[np.float64]) -> dict[str, Any]:
    risk, mean = solve(fates)
    none = np.exp(log_none(risk) @ cells)
    number = mean @ cells
    return {
        "p_no_lesion": ("time", none),
        "n_lesions": ("time", number),
        "t_first": ("quantile", _reached(fates.time, 1 - none)),
        "p_count": ("lesions", _counts(fates, cells, float(number[-1]))),
    }


def _reached(time: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when each quantile is reached; between rows the law is taken as smooth and rising."""
    from scipy.interpolate import PchipInterpolator

    fine = np.unique(np.concatenate([time, np.linspace(time[0], time[-1], 20 * len(time))]))
    rising = np.maximum.accumulate(PchipInterpolator(time, share)(fine))
    found: NDArray[np.float64] = np.interp(QUANTILES, rising, fine, right=np.nan)
    return found


def _counts(fates: Fates, cells: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Return the law of the number of lesions at the end, from its generating function on the unit circle."""
    most = 2 ** math.ceil(math.log2(16 + mean + 12 * math.sqrt(mean)))
    if most > _MOST_COUNTS:
        return np.full(1, np.nan)
    half = np.exp(2j * np.pi * np.arange(most // 2 + 1) / most)
    values = np.exp(log_none(generating(fates, half)) @ cells)
    return np.clip(np.fft.irfft(np.conj(values), most), 0.0, 1.0)


def _sampled(fates: Fates, cells: NDArray[np.float64], runs: int, seed: int, most: int) -> dict[str, Any]:
    if cells.sum() * runs > MAX_INDIVIDUALS:
        raise AnalysisError(
            f"{runs} cohorts of {cells.sum():.0f} are {cells.sum() * runs:.2g} individuals, the limit is"
            f" {MAX_INDIVIDUALS:.0e}; sample fewer, or leave `runs` out: the exact law needs no sampling"
        )
    generator = np.random.default_rng(seed)
    days, cohorts = sample(fates, cells.astype(np.int64), runs, generator)
    first = np.full(runs, np.inf)
    np.minimum.at(first, cohorts, days)
    none = (first[None, :] > fates.time[:, None]).sum(axis=1)
    total = np.array([np.bincount(cohorts[days <= t], minlength=runs) for t in fates.time])
    mean, variance = total.mean(axis=1), total.var(axis=1, ddof=1)
    half = _Z * np.sqrt(variance / runs)
    shares = np.bincount(np.minimum(total[-1], most - 1), minlength=most)
    draws = generator.integers(runs, size=(_RESAMPLES, runs)) if runs <= 100_000 else None
    found = _with_interval("p_no_lesion", "time", none / runs, *_wilson(none, runs))
    found |= _with_interval("n_lesions", "time", mean, mean - half, mean + half)
    found |= _with_interval("p_count", "lesions", shares / runs, *_wilson(shares, runs))
    found |= _with_interval("t_first", "quantile", *_quantiles(first, draws))
    with np.errstate(invalid="ignore", divide="ignore"):
        found["fano_sampled"] = ("time", np.where(mean > 0, variance / mean, np.nan))
    return found


def _with_interval(name: str, dim: str, value: Any, lower: Any, upper: Any) -> dict[str, Any]:
    parts = {"sampled": value, "lower": lower, "upper": upper}
    return {f"{name}_{part}": (dim, numbers) for part, numbers in parts.items()}


def _wilson(hits: NDArray[np.int64], runs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % interval of Wilson for a share."""
    share = hits / runs
    center = (share + _Z**2 / (2 * runs)) / (1 + _Z**2 / runs)
    half = _Z / (1 + _Z**2 / runs) * np.sqrt(share * (1 - share) / runs + (_Z / (2 * runs)) ** 2)
    return np.maximum(center - half, 0.0), np.minimum(center + half, 1.0)


def _quantiles(first: NDArray[np.float64], draws: NDArray[np.int64] | None) -> tuple[NDArray[np.float64], ...]:
    """Return quantiles of the first time with bootstrap intervals; a cohort without a lesion is later than all."""

    def of(times: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = np.sort(times)
        place = np.ceil(np.array(QUANTILES) * len(ordered)).astype(int) - 1
        found: NDArray[np.float64] = ordered[np.maximum(place, 0)]
        return found

    value = of(first)
    spread = np.array([of(first[row]) for row in draws]) if draws is not None else np.repeat(value[None], 2, axis=0)
    ends = [np.quantile(spread, q, axis=0, method="inverted_cdf") for q in (0.025, 0.975)]
    parts: list[NDArray[np.float64]] = [np.where(np.isfinite(part), part, np.nan) for part in (value, *ends)]
    return tuple(parts)


_WORDS = {
    "p_no_lesion": ("dimensionless", "probability that the cohort has no detected lesion"),
    "n_lesions": ("lesion", "expected detected lesions of the cohort"),
    "t_first": ("day", "time to the first detected lesion"),
    "p_count": ("dimensionless", "probability of this number of detected lesions at the end"),
    "fano": ("dimensionless", "variance over mean of the number of detected lesions"),
}
_PARTS = {"sampled": ", sampled", "lower": ", sampled: lower end of 95 %", "upper": ", sampled: upper end of 95 %"}


def _described(name: str) -> dict[str, str]:
    stem, _, part = name.rpartition("_")
    unit, words = _WORDS[stem if part in _PARTS else name]
    return {"units": unit, "long_name": words + _PARTS.get(part, "")}
