"""How the first metastasis of every patient grows, and what of it the blood holds, before and after it is overt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import patients_of
from cascade._tables import is_number, require_whole
from cascade.errors import AnalysisError, unknown_name
from cascade.lesion_signals import SIGNALS, lesion_signals
from cascade.outcomes import DAYS_PER_MONTH, draw_events

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from cascade.specs import Model

    Numbers = NDArray[np.float64]

_COURSE = {
    "n_lesion": ("cell", "cells of the first metastasis"),
    "diameter_mm": ("mm", "diameter of the first metastasis"),
    "d_ctc": ("cell_per_ml", "circulating tumor cells of the metastasis"),
    "d_ctdna": ("copy_per_ml", "circulating tumor DNA of the metastasis"),
    "d_cfdna": ("copy_per_ml", "normal cell-free DNA"),
    "vaf_ctdna": ("dimensionless", "variant allele fraction"),
    "f_dtc": ("dimensionless", "disseminated tumor cells per cell of the marrow"),
}


def gompertz_size(time: Any, size: Any, rate: Any, plateau: Any) -> Any:
    """Return the size a time after (or before) a lesion had `size`: ln(plateau/n) falls by exp(-rate*time)."""
    return plateau * np.exp(np.log(np.asarray(size) / plateau) * np.exp(-np.asarray(rate) * time))


def gompertz_time(first: Any, second: Any, rate: Any, plateau: Any) -> Any:
    """Return the time in which a lesion grows from the first to the second size, both below the plateau."""
    return np.log(np.log(plateau / np.asarray(first)) / np.log(plateau / np.asarray(second))) / rate


def sphere_mm(cells: Any, rho: Any) -> Any:
    """Return the diameter in mm of a ball of cells with `rho` cells per ml."""
    return 10 * np.cbrt(6 * np.asarray(cells) / (math.pi * np.asarray(rho)))


def sphere_cells(diameter_mm: Any, rho: Any) -> Any:
    """Return the cells in a ball of a diameter in mm with `rho` cells per ml."""
    return math.pi / 6 * (np.asarray(diameter_mm) / 10) ** 3 * np.asarray(rho)


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
        Result of `cascade.outcomes.draw_events`.
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
    find is a lower bound where several grow at once. Growth is that of the untreated lesion of the model.
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
    days = {
        "t_start": -gompertz_time(start, over, own["k_growth"], own["cap_lesion"]),
        "t_clinical": gompertz_time(over, clinical, own["k_growth"], own["cap_lesion"]),
    }
    after = {name: np.where(event, time + each / DAYS_PER_MONTH, np.inf) for name, each in days.items()}
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
        signals = signals.transpose("patient", "organ")
    else:
        signals, rows = signals.expand_dims("patient").transpose("patient", "organ"), np.zeros(len(names), dtype=int)
    known = [str(each) for each in signals["organ"].values]
    strange = sorted(set(organ[event]) - set(known))
    if strange:
        raise unknown_name("organ", strange[0], known, "the signals")
    column = np.array([known.index(each) if each in known else 0 for each in organ], dtype=int)
    return {name: signals[name].values[rows, column].astype(float) for name in SIGNALS}


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
        Result of `cascade.outcomes.follow_cohort` of both.
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
    """
    import xarray as xr

    require_whole("fates", fates, 1, 10_000)
    signals = lesion_signals(model, cohort, workers=workers)
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


def course_at(courses: xr.Dataset, months: Any) -> xr.Dataset:
    """Return what the bodies of the patients show in the months after surgery.

    Parameters
    ----------
    courses : xarray.Dataset
        Result of `follow_lesions`.
    months : sequence of float
        Months since surgery.

    Returns
    -------
    xarray.Dataset
        Over `patient` and `month`: `n_lesion`, `diameter_mm`, `d_ctc`, `d_ctdna`, `d_cfdna`, `vaf_ctdna`, `f_dtc`.
    """
    import xarray as xr

    when = np.atleast_1d(np.asarray(months, dtype=float))
    own = {str(name): each.values[:, None] for name, each in courses.data_vars.items() if each.dims == ("patient",)}
    growing = own["event"] & (when >= own["t_start"])
    days = np.where(growing, when - np.where(growing, own["time"], 0.0), 0.0) * DAYS_PER_MONTH
    grown = gompertz_size(days, own["n_detectable"], own["k_growth"], own["cap_lesion"])
    size = np.where(growing, grown, 0.0)
    dna = size * own["ctdna_per_cell"]
    normal = np.broadcast_to(own["d_cfdna"], size.shape)
    values = {
        "n_lesion": size,
        "diameter_mm": sphere_mm(size, own["rho_cells"]),
        "d_ctc": size * own["ctc_per_cell"],
        "d_ctdna": dna,
        "d_cfdna": normal,
        "vaf_ctdna": np.divide(dna, dna + normal, out=np.zeros(size.shape), where=dna > 0),
        "f_dtc": own["f_dtc"] * np.exp(-own["k_lose_dtc"] * when * DAYS_PER_MONTH),
    }
    return xr.Dataset(
        {
            name: (("patient", "month"), each, dict(zip(("units", "long_name"), _COURSE[name], strict=True)))
            for name, each in values.items()
        },
        coords={"patient": courses["patient"], "month": ("month", when, {"units": "month"}), "organ": courses["organ"]},
    )
