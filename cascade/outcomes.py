"""What becomes of every patient of a cohort: hazards by organ and month since surgery, and events drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._organs import organs_of
from cascade._patients import patients_of, uniform, values_of
from cascade._tables import is_number
from cascade.endpoints import DAYS_PER_YEAR, NOT_OPERATED
from cascade.errors import AnalysisError, ValueSettingError
from cascade.evaluate import ROWS_PER_YEAR, USUAL_YEARS, evaluate
from cascade.specs import Model, Solver, require_model
from cascade.therapy import treat

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray as xr
    from numpy.typing import NDArray

    from cascade.therapy import Treatment

DAYS_PER_MONTH = DAYS_PER_YEAR / 12

SHORT = "the simulated time ends less than {} years after surgery"

_TOTAL = "endpoints.h_cumulative"

_SCORES: dict[str, tuple[str, ...]] = {
    "a_emt": ("emt__a_emt",),
    "f_adhesion": ("emt__f_adhesion",),
    "f_mesenchymal": ("invasion__f_mesenchymal", "clone_1__f_mesenchymal"),
    "f_stem": ("f_stem_bulk", "clone_1__f_stem"),
    "f_invasion": ("invasion__f_invasion",),
    "f_vessel": ("hypoxia_vegf__f_vessel",),
    "p_o2": ("hypoxia_vegf__p_o2",),
    "a_hif": ("hypoxia_vegf__a_hif",),
    "c_vegf": ("hypoxia_vegf__c_vegf",),
    "d_cd8": ("pdl1_immune__d_cd8",),
    "d_treg": ("pdl1_immune__d_treg",),
    "d_pdl1": ("pdl1_immune__d_pdl1",),
    "f_immune": ("pdl1_immune__f_immune",),
    "d_caf": ("microenvironment__d_caf",),
    "f_tam": ("microenvironment__f_tam",),
    "f_mdsc": ("microenvironment__f_mdsc",),
    "c_tgfb": ("microenvironment__c_tgfb",),
    "c_lactate": ("microenvironment__c_lactate",),
}
"""Scores of the tissue at surgery, and the symbols that may hold them: the first that the model has."""

_SAMPLES: dict[str, tuple[str, ...]] = {
    "diameter_mm": ("primary_tumor__diameter",),
    "ctc_per_tube": ("endpoints__ctc_per_tube",),
    "p_ctc": ("endpoints__p_ctc_positive",),
    "vaf_ctdna": ("endpoints__vaf_ctdna",),
    "p_dtc": ("endpoints__p_dtc_positive",),
}
"""Biomarkers at diagnosis, in the same way."""

_SHARES = ("p_ctc", "vaf_ctdna", "p_dtc", "f_mesenchymal", "f_stem")


def follow_cohort(
    model: Model,
    cohort: xr.Dataset,
    *,
    years_after: float = 15,
    seed: int = 1,
    arm: Treatment | Sequence[Treatment] | None = None,
    years: float | None = None,
    solver: Solver | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    chunk: int = 64,
    progress: bool = False,
) -> xr.Dataset:
    """Simulate every patient of a cohort from the first tumor cell to years after surgery.

    Parameters
    ----------
    model : Model
        The model whose constants the cohort sets; also a treated one.
    cohort : xarray.Dataset
        Patients: variables of role "value" over `patient` (see `cascade.sample_cohort`).
    years_after : float
        Years of follow-up after surgery.
    seed : int
        Kept with the outcomes: what `draw_events` takes unless told otherwise. Nothing here is drawn.
    arm : treatment or sequence of treatments, optional
        What all patients get: what `inhibit`, `activate` and `regimen` return, `Surgery`, `Radiotherapy`.
    years : float, optional
        Length of the simulation; by default long enough for a tumor that is operated as late as an analysis usually
        simulates (25 years, or the years of the composition).
    solver, workers, executor, store, resume, chunk, progress : optional
        As in `cascade.evaluate`.

    Returns
    -------
    xarray.Dataset
        Over `patient`:

        - `t_surgery` (day), `status` of the run, and `reason`: "ok", or why something is NaN;
        - `h_distant` (patient, month), cumulative hazard of overt distant metastasis since surgery, month 0 on;
          `h_organ` (patient, organ, month), the same by organ of the first site (it sums to `h_distant`);
        - `h_before` and `h_before_organ`, the hazard up to surgery: 1 - exp(-h_before) is the chance of metastasis at
          diagnosis;
        - expected biomarkers at surgery: `diameter_mm`, `ctc_per_tube`, `p_ctc`, `vaf_ctdna`, `p_dtc`, and scores of
          the tissue (`a_emt`, `f_stem`, ...; those that the model has);
        - the variables of the cohort of role "weight" and "genotype".

        A patient whose simulation ends before the follow-up has NaN in the months that are missing, and a reason.

    Raises
    ------
    AnalysisError
        If the cohort has no patients or ids that are not unique, or the model no distant metastases.
    UnknownNameError
        If the cohort sets what the model does not have.

    Notes
    -----
    Hazards are read off monthly rows, linear between them: right to about 1e-4 of the hazard of a year.
    """
    require_model(model, "follow_cohort")
    if not (is_number(years_after) and 0 < years_after <= 200):
        raise ValueSettingError(f"years_after is {years_after!r}; give a number above 0, up to 200")
    patients_of(cohort)
    given = () if arm is None else tuple(arm) if isinstance(arm, Sequence) else (arm,)
    treated = treat(model, *given) if given else model
    organs = _distant(treated)
    marks = _marks(treated)
    length = years if years is not None else max(model.years or 0.0, USUAL_YEARS) + float(years_after)
    found = evaluate(
        treated,
        _over_patients(treated, cohort),
        ["t_surgery", *(f"at_operation:{flat}" for flat in marks.values())],
        years=length,
        points=round(length * ROWS_PER_YEAR) + 1,
        series=[flat for names in organs.values() for flat in names],
        solver=solver,
        workers=workers,
        executor=executor,
        store=store,
        resume=resume,
        chunk=chunk,
        progress=progress,
    )
    result = _outcomes(found, organs, marks, float(years_after))
    kept = [name for name, each in cohort.data_vars.items() if each.attrs.get("role") in ("weight", "genotype")]
    result = result.merge(cohort[kept], combine_attrs="override") if kept else result
    label = "; ".join(getattr(each, "label", "") or str(each) for each in given)
    own = {key: value for key, value in cohort.attrs.items() if key not in found.attrs}
    result.attrs = own | found.attrs | {"seed": int(seed), "years_after": float(years_after), "arm": label}
    return result


def _over_patients(model: Model, cohort: xr.Dataset) -> dict[str, Any]:
    """Return the values of the cohort; patients who do not differ are still one run each."""
    import xarray as xr

    values = values_of(cohort)
    if values:
        return values
    first = next(each for each in model.parameters)
    same = np.full(cohort.sizes["patient"], first.nominal)
    return {first.id: xr.DataArray(same, dims="patient", coords={"patient": cohort["patient"]})}


def _distant(model: Model) -> dict[str, tuple[str, ...]]:
    """Return the distant organs and the hazards whose sum is that of overt distant metastasis."""
    wires = [wire for wire in model.wiring if wire.reader == _TOTAL]
    if not wires or "primary_tumor__t_surgery" not in model.ids.values():
        raise AnalysisError(
            f"model {model.name!r} has no surgery and no hazard of distant metastasis ({_TOTAL}, from the lesions of"
            " organs), so that a cohort cannot be followed; use a composition such as 'breast_lite'"
        )
    hazards = {writer.split(".")[0]: model.id(writer) for writer in wires[0].writers}
    return {organ: tuple(hazards[name] for name in names) for organ, names in organs_of(hazards).items()}


def _marks(model: Model) -> dict[str, str]:
    """Return the biomarkers that the model has: name to flat id."""
    have = set(model.ids.values())
    found: dict[str, str] = {}
    for name, symbols in (_SAMPLES | _SCORES).items():
        first = next((symbol for symbol in symbols if symbol in have), None)
        if first is not None:
            found[name] = first
    return found


def _outcomes(
    found: xr.Dataset, organs: dict[str, tuple[str, ...]], marks: dict[str, str], years_after: float
) -> xr.Dataset:
    import xarray as xr

    months = np.arange(round(12 * years_after) + 1)
    surgery = found["t_surgery"].values
    courses = np.stack([sum(found[flat].values for flat in names) for names in organs.values()], axis=1)
    h_organ, before = _since(found["time"].values, courses, surgery, months)
    status = found["status"].values.astype(str)
    short = np.isfinite(surgery) & ~np.isfinite(h_organ[:, 0, -1])
    reason = np.select(
        [status != "ok", np.isnan(surgery), short],
        [np.char.add("run failed: ", status), NOT_OPERATED, SHORT.format(f"{years_after:g}")],
        "ok",
    )
    at, month = ("patient",), {"units": "dimensionless"}
    data: dict[str, Any] = {
        "t_surgery": (at, surgery, {"units": "day", "long_name": "age of the primary tumor at surgery"}),
        "status": (at, status, {"long_name": "outcome of the run"}),
        "reason": (at, reason, {"long_name": "ok, or why something is missing"}),
        "h_distant": ((*at, "month"), h_organ.sum(axis=1), month | {"long_name": "hazard of metastasis since surgery"}),
        "h_organ": ((*at, "organ", "month"), h_organ, month | {"long_name": "the same by organ of the first site"}),
        "h_before": (at, before.sum(axis=1), month | {"long_name": "hazard of metastasis up to surgery"}),
        "h_before_organ": ((*at, "organ"), before, month | {"long_name": "hazard up to surgery by organ"}),
    }
    for name, flat in marks.items():
        one = found[f"at_operation:{flat}"]
        if name in _SHARES:  # what is carried on to the day of surgery may pass 1 by a little
            one = one.clip(max=1.0, keep_attrs=True)
        data[name] = (
            at,
            one.values,
            {"units": one.attrs["units"], "long_name": one.attrs["long_name"], "role": "mark"},
        )
    coords = {
        "patient": found["patient"].values,
        "organ": list(organs),
        "month": ("month", months, {"units": "month", "long_name": "months since surgery"}),
    }
    return xr.Dataset(data, coords=coords)


def _since(
    time: NDArray[np.float64], courses: NDArray[np.float64], surgery: NDArray[np.float64], months: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return hazards (patient, organ, month) since surgery and (patient, organ) before, of (patient, organ, time)."""
    step = time[1] - time[0]
    when = surgery[:, None] + months * DAYS_PER_MONTH
    place = when / step
    inside = np.isfinite(place) & (place <= len(time) - 1 + 1e-9)
    low = np.clip(np.where(inside, np.floor(place), 0).astype(int), 0, len(time) - 2)
    share = (np.where(inside, place, 0.0) - low)[:, None, :]
    pick = np.broadcast_to(low[:, None, :], (*courses.shape[:2], len(months)))
    left = np.take_along_axis(courses, pick, axis=2)
    value = left + share * (np.take_along_axis(courses, pick + 1, axis=2) - left)
    value = np.where(inside[:, None, :], value, np.nan)
    before = value[:, :, 0].copy()
    # the hazard never falls; what it falls by is the error of the solver
    return np.maximum.accumulate(np.maximum(value - before[:, :, None], 0.0), axis=2), np.maximum(before, 0.0)


def draw_events(outcomes: xr.Dataset, seed: int | None = None) -> xr.Dataset:
    """Draw for every patient when and where the first overt distant metastasis appears.

    Parameters
    ----------
    outcomes : xarray.Dataset
        Result of `follow_cohort`.
    seed : int, optional
        By default that of the outcomes (1). Another seed is another fate of the same patients.

    Returns
    -------
    xarray.Dataset
        Over `patient`: `time`, months from surgery to the first overt distant metastasis, or to the end of follow-up;
        `event`; `organ`, the first site, "" without an event; `metastatic_at_diagnosis`; and weight and genotype of the
        outcomes. A patient who is metastatic at diagnosis has the event at month 0. A patient without a hazard (not
        operated, a failed run) has time NaN and no event; `reason` says why.

    Notes
    -----
    One uniform number u belongs to a patient and a seed, whatever the cohort and the arm: the metastasis appears when
    the cumulative hazard, from the first tumor cell on, reaches -ln(u), linear within a month. So the same patient has
    the same luck in two arms, and an arm that lowers the hazard never brings the event forward. A second number chooses
    the organ, in proportion to what each adds to the hazard in that month.
    """
    import xarray as xr

    for name in ("h_distant", "h_organ", "h_before", "h_before_organ"):
        if name not in getattr(outcomes, "data_vars", ()):
            raise AnalysisError(f"draw_events needs {name}, which is not there; give the Dataset of follow_cohort()")
    chosen = int(outcomes.attrs.get("seed", 1)) if seed is None else seed
    names = patients_of(outcomes)
    fate = -np.log(uniform(chosen, "first metastasis", names))
    ordered = outcomes.transpose("patient", "organ", "month", ...)
    total, before = ordered["h_distant"].values, ordered["h_before"].values
    time, event, rise = _first_time(total, fate - before, ordered["month"].values.astype(float))
    early = fate <= before
    time, event = np.where(early, 0.0, time), event | early
    steps = np.diff(ordered["h_organ"].values, axis=2)
    share = np.take_along_axis(steps, np.clip(rise, 0, steps.shape[2] - 1)[:, None, None], axis=2)[:, :, 0]
    share = np.where(early[:, None], ordered["h_before_organ"].values, share)
    organ = _site(share, uniform(chosen, "first organ", names), ordered["organ"].values, event)
    at = ("patient",)
    found = xr.Dataset(
        {
            "time": (
                at,
                time,
                {"units": "month", "long_name": "months from surgery to metastasis or end of follow-up"},
            ),
            "event": (at, event, {"long_name": "overt distant metastasis has appeared"}),
            "organ": (at, organ, {"long_name": "organ of the first metastasis"}),
            "metastatic_at_diagnosis": (at, early, {"long_name": "overt distant metastasis at surgery"}),
        },
        coords={"patient": outcomes["patient"]},
        attrs=outcomes.attrs | {"seed_events": int(chosen)},
    )
    kept = [name for name, each in outcomes.data_vars.items() if each.attrs.get("role") in ("weight", "genotype")]
    kept += ["reason"] if "reason" in outcomes else []
    return found.merge(outcomes[kept], combine_attrs="override") if kept else found


def _first_time(
    total: NDArray[np.float64], level: NDArray[np.float64], months: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return the month in which the hazard reaches a level, or that of the last one known; whether it does; the row."""
    known = np.isfinite(total).sum(axis=1)
    reached = np.nan_to_num(total, nan=-np.inf) >= level[:, None]
    event = reached.any(axis=1) & (known > 0)
    after = np.clip(np.where(event, reached.argmax(axis=1), 1), 1, len(months) - 1)
    rows = np.arange(len(total))
    low, high = total[rows, after - 1], total[rows, after]
    with np.errstate(all="ignore"):
        share = np.where(high > low, (level - low) / (high - low), 1.0)
    when = months[after - 1] + np.clip(share, 0.0, 1.0) * (months[after] - months[after - 1])
    last = np.where(known > 0, months[np.maximum(known - 1, 0)], np.nan)
    return np.where(event, when, last), event, after - 1


def _site(
    share: NDArray[np.float64], luck: NDArray[np.float64], organs: NDArray[Any], event: NDArray[np.bool_]
) -> NDArray[Any]:
    """Choose an organ in proportion to its share, by a number between 0 and 1."""
    rising = np.cumsum(np.nan_to_num(share), axis=1)
    whole = rising[:, -1]
    chosen = (rising <= (luck * whole)[:, None]).sum(axis=1)
    chosen = np.minimum(chosen, len(organs) - 1)
    return np.where(event, organs.astype(str)[chosen], "")
