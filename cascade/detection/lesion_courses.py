"""How the first metastasis of every patient grows, and what of it the blood holds, before and after it is overt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of
from cascade._tables import is_number, require_whole
from cascade.cohort.outcomes import draw_events
from cascade.detection._lesion_growth import growth_of
from cascade.detection._lesion_sizes import course_at as course_at
from cascade.detection._lesion_sizes import gompertz_size as gompertz_size
from cascade.detection._lesion_sizes import gompertz_time as gompertz_time
from cascade.detection._lesion_sizes import size_in as size_in
from cascade.detection._lesion_sizes import sphere_cells as sphere_cells
from cascade.detection._lesion_sizes import sphere_mm as sphere_mm
from cascade.detection.lesion_signals import SIGNALS, lesion_signals
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import USUAL_YEARS

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from cascade.specs import Model

    Numbers = NDArray[np.float64]


def follow_lesions(
    events: xr.Dataset,
    signals: xr.Dataset,
    *,
    outcomes: xr.Dataset | None = None,
    clinical_mm: float | Mapping[str, float] | None = None,
) -> xr.Dataset:
    """Give every patient the course of the first metastasis: numbers from which its size at any time follows.

    Parameters
    ----------
    events : xarray.Dataset
        Result of `cascade.draw_events`.
    signals : xarray.Dataset
        Result of `lesion_signals`, of the same patients or of one for all.
    outcomes : xarray.Dataset, optional
        Result of `follow_cohort`; its `p_dtc` at surgery is what a marrow aspirate starts from.
    clinical_mm : float or mapping of str to float, optional
        Diameter at which symptoms or standard care find the metastasis, by organ; by default the size at which the
        model counts a lesion as overt, so that it is found in the month of the event.

    Returns
    -------
    xarray.Dataset
        Over `patient`: `time`, `event`, `organ` of the events; `t_clinical`, the month in which standard care finds the
        metastasis (infinite without one); `t_start`, the month in which its last, growing stretch began (above the size
        at which lesions wait for vessels); `t_end`, the last month that is known; `followed`, false for those who are
        metastatic at diagnosis or have no hazard; the constants of growth and shedding in the organ; `weight`.

    Notes
    -----
    A lesion may have waited for years, so only the stretch above `n_start` is known, and before it nothing is counted:
    at that size a lesion sheds a thousandth of what it sheds when overt. Further metastases add nothing: what tests
    find is a lower bound where several grow at once. Signals of a treated model hold the growth under treatment: a
    lesion is never larger than overt before the event, and counts from the last time on that it passed `n_start`.
    """
    import xarray as xr

    names = patients_of(events)
    for name in ("time", "event", "organ", "metastatic_at_diagnosis"):
        if name not in events:
            raise AnalysisError(f"the events have no {name}; give the Dataset of draw_events()")
    event = events["event"].values.astype(bool)
    organ = events["organ"].values.astype(str)
    own = _by_patient(signals, names, organ, event)
    start, over = (own[name] for name in ("n_start", "n_detectable"))
    clinical = _clinical(clinical_mm, organ, event, own)
    time = events["time"].values.astype(float)
    growth = growth_of(own, signals.coords.get("growth_month"))
    grown = [gompertz_time(*sizes, 1.0, own["cap_lesion"]) for sizes in ((start, over), (over, clinical))]
    months = {"t_start": growth.before(time, grown[0]), "t_clinical": growth.after(time, grown[1])}
    after = {name: np.where(event, each, np.inf) for name, each in months.items()}
    _check_found(after["t_clinical"], event)
    early = events["metastatic_at_diagnosis"].values.astype(bool)
    data: dict[str, Any] = {
        "time": ("patient", time, {"units": "month", "long_name": "metastasis overt, or end of follow-up"}),
        "event": ("patient", event, {"long_name": "overt distant metastasis appears"}),
        "organ": ("patient", organ, {"long_name": "organ of the first metastasis"}),
        "t_clinical": ("patient", after["t_clinical"], {"units": "month", "long_name": "found by standard care"}),
        "t_start": ("patient", after["t_start"], {"units": "month", "long_name": "start of the growing stretch"}),
        "t_end": ("patient", np.where(event, after["t_clinical"], time), {"units": "month", "long_name": "last month"}),
        "followed": ("patient", ~early & np.isfinite(time), {"long_name": "free of metastasis at surgery"}),
        "f_dtc": ("patient", _marrow(outcomes, names, own), {"units": "dimensionless", "long_name": "at surgery"}),
    }
    for name, (unit, words) in SIGNALS.items():
        data[name] = ("patient", own[name], {"units": unit, "long_name": words})
    found = xr.Dataset(data, coords={"patient": events["patient"]}, attrs=dict(events.attrs))
    if "growth" in own:
        found["growth"] = (("patient", "growth_month"), own["growth"], signals["growth"].attrs)
        found = found.assign_coords(growth_month=signals["growth_month"])
    weight = events["weight"] if "weight" in events else xr.ones_like(found["time"])
    found["weight"] = ("patient", weight.values.astype(float), {"role": "weight", "units": "dimensionless"})
    return found


def _by_patient(
    signals: xr.Dataset, names: Sequence[str], organ: NDArray[Any], event: NDArray[np.bool_]
) -> dict[str, Numbers]:
    """Return the signals of the organ of the first metastasis; without one, those of the first organ."""
    if "patient" in signals.dims:
        have = {str(name): row for row, name in enumerate(signals["patient"].values)}
        missing = [name for name in names if name not in have]
        if missing:
            raise AnalysisError(f"the signals hold no patient {missing[0]!r} of the events; give those of the cohort")
        rows = np.array([have[name] for name in names], dtype=int)
        signals = signals.transpose("patient", "organ", ...)
    else:
        signals, rows = (
            signals.expand_dims("patient").transpose("patient", "organ", ...),
            np.zeros(len(names), dtype=int),
        )
    known = [str(each) for each in signals["organ"].values]
    strange = sorted(set(organ[event]) - set(known))
    if strange:
        raise unknown_name("organ", strange[0], known, "the signals")
    column = np.array([known.index(each) if each in known else 0 for each in organ], dtype=int)
    there = [*SIGNALS, *(["growth"] if "growth" in signals else [])]
    return {name: signals[name].values[rows, column].astype(float) for name in there}


def _check_found(clinical: Numbers, event: NDArray[np.bool_]) -> None:
    never = int((event & np.isinf(clinical)).sum())
    if never:
        raise AnalysisError(
            f"{never} metastases stop growing under the treatment before they reach the size at which standard care"
            " finds them; give clinical_mm=None, so that they are found when overt, or a treatment that ends"
        )


def _clinical(
    given: float | Mapping[str, float] | None, organ: NDArray[Any], event: NDArray[np.bool_], own: Mapping[str, Numbers]
) -> Numbers:
    """Return the size, in cells, at which standard care finds the metastasis."""
    if given is None:
        return own["n_detectable"]
    if isinstance(given, Mapping):
        missing = sorted(set(organ[event]) - set(given))
        if missing:
            raise unknown_name("organ", missing[0], given, "clinical_mm")
        sizes = np.array([given.get(each, np.nan) for each in organ], dtype=float)
        sizes = np.where(event, sizes, 10.0)
    else:
        sizes = np.full(len(organ), float(given) if is_number(given) else np.nan)
    cells = sphere_cells(sizes, own["rho_cells"])
    wrong = ~((cells > own["n_start"]) & (cells < own["cap_lesion"]))
    if wrong.any():
        raise AnalysisError(
            f"clinical_mm is {given!r}; give diameters in mm above the size at which lesions wait for vessels (about"
            " 1 mm) and below their plateau"
        )
    return np.asarray(cells)


def _marrow(outcomes: xr.Dataset | None, names: Sequence[str], own: Mapping[str, Numbers]) -> Numbers:
    """Return the tumor cells per marrow cell at surgery; NaN where nothing tells."""
    if outcomes is None or "p_dtc" not in outcomes:
        return np.full(len(names), np.nan)
    import pandas as pd

    chance = pd.Series(outcomes["p_dtc"].values, index=[str(name) for name in outcomes["patient"].values])
    with np.errstate(divide="ignore"):
        mean = -np.log1p(-chance.reindex(list(names)).to_numpy(dtype=float))
    return np.asarray(mean / own["n_screened"])


def follow_courses(
    model: Model,
    cohort: xr.Dataset,
    outcomes: xr.Dataset,
    *,
    seed: int | None = None,
    fates: int = 1,
    clinical_mm: float | Mapping[str, float] | None = None,
    workers: int | None = None,
) -> xr.Dataset:
    """Draw the events of a followed cohort and the courses of its metastases.

    Parameters
    ----------
    model, cohort : Model, xarray.Dataset
    outcomes : xarray.Dataset
        Result of `cascade.follow_cohort` of both. Of a treated arm, give the treated model
        (`cascade.treat(model, drug)`): lesions then grow as they do under treatment.
    seed : int, optional
        That of the outcomes by default; further fates take the seeds that follow.
    fates : int
        How often the fate of every patient is drawn: more metastases from as many runs of the model.
    clinical_mm, workers : optional
        As in `follow_lesions` and `lesion_signals`.

    Returns
    -------
    xarray.Dataset
        As of `follow_lesions`. With several fates the ids are `<patient> fate <number>`, and `subject` numbers the
        patients, so that intervals know which fates belong together.

    Raises
    ------
    AnalysisError
        If the outcomes are of another model, such as an arm with another treatment, or of several arms.
    """
    import xarray as xr

    require_whole("fates", fates, 1, 10_000)
    _check_same(model, outcomes)
    # a treatment changes growth while it lasts, so that the runs must reach the end of the follow-up
    usual = max(model.years or 0.0, USUAL_YEARS)
    years = usual + float(outcomes.attrs.get("years_after", 0.0)) if model.interventions else None
    signals = lesion_signals(model, cohort, years=years, workers=workers)
    first = int(outcomes.attrs.get("seed", 1)) if seed is None else seed
    parts = []
    for number in range(fates):
        events = draw_events(outcomes, seed=first + number)
        one = follow_lesions(events, signals, outcomes=outcomes, clinical_mm=clinical_mm)
        one["subject"] = ("patient", np.arange(one.sizes["patient"]), {"long_name": "number of the patient"})
        if fates > 1:
            one = one.assign_coords(patient=[f"{name} fate {number}" for name in one["patient"].values])
        parts.append(one)
    return xr.concat(parts, dim="patient", combine_attrs="override") if fates > 1 else parts[0]


def _check_same(model: Model, outcomes: xr.Dataset) -> None:
    """Refuse outcomes of another model: their lesions grow otherwise."""
    if "arm" in outcomes.dims:
        raise AnalysisError("the outcomes are of several arms; choose one with .sel(arm=...), and give its model")
    arm = str(outcomes.coords["arm"].item()) if "arm" in outcomes.coords else ""
    of_arms = json.loads(outcomes.attrs.get("arm_models", "{}"))
    sha = of_arms.get(arm, outcomes.attrs.get("model_sha256", model.hash))
    if sha != model.hash:
        given = arm or outcomes.attrs.get("arm", "")
        what = f"outcomes of arm {given!r}" if given else "outcomes"
        raise AnalysisError(
            f"{what}: another model than {model.name!r} was followed; give that one, so that lesions grow as they did:"
            " for a treated arm cascade.treat(model, ...)"
        )
