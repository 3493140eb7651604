"""What becomes of every patient of a cohort: hazards by organ and month since surgery, and events drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._organs import organs_of
from cascade._patients import patients_of, uniform, values_of
from cascade._tables import is_number
from cascade.cohort._first_events import drawn_stages, first_site, first_time, staged
from cascade.cohort._marks import LABELS, SHARES, marks_of, nodes_of
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
        - expected biomarkers at surgery: `diameter_mm`, `ctc_per_tube`, `p_ctc`, `vaf_ctdna`, `p_dtc`, `p_node` (chance
          that a regional lymph node holds a lesion that a pathologist finds), and scores of the tissue (`a_emt`,
          `f_stem`, ...; those that the model has);
        - `p_stage` (patient, stage), the chance of each stage at diagnosis (`cascade.cohort.stage`), if the model has
          nodes;
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
    marks, nodes = marks_of(treated), nodes_of(treated, organs)
    length = years if years is not None else max(model.years or 0.0, USUAL_YEARS) + float(years_after)
    found = evaluate(
        treated,
        _over_patients(treated, cohort),
        ["t_surgery", *(f"at_operation:{flat}" for flat in (*marks.values(), *nodes))],
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
    result = _outcomes(found, organs, marks, nodes, float(years_after))
    result = staged(result, cohort)
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


def _outcomes(
    found: xr.Dataset,
    organs: dict[str, tuple[str, ...]],
    marks: dict[str, str],
    nodes: tuple[str, ...],
    years_after: float,
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
        if name in SHARES:
            one = one.clip(max=1.0, keep_attrs=True)
        data[name] = (
            at,
            one.values,
            {"units": one.attrs["units"], "long_name": LABELS[name], "role": "mark"},
        )
    if nodes:
        lesions = sum(found[f"at_operation:{flat}"].values for flat in nodes)
        about = {"units": "dimensionless", "long_name": "chance of involved regional lymph nodes", "role": "mark"}
        data["p_node"] = (at, -np.expm1(-np.maximum(lesions, 0.0)), about)
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
        `event`; `organ`, the first site, "" without an event; `metastatic_at_diagnosis`; `stage` at diagnosis, if the
        outcomes have `p_stage`; and weight and genotype of the outcomes. A patient who is metastatic at diagnosis has
        the event at month 0 and is at risk in no analysis of what comes later (`fit_risk`, `survival`). A patient
        without a hazard (not operated, a failed run) has time NaN and no event; `reason` says why.

    Notes
    -----
    One uniform number u belongs to a patient and a seed, whatever the cohort and the arm: the metastasis appears when
    the cumulative hazard, from the first tumor cell on, reaches -ln(u), linear within a month. So the same patient has
    the same luck in two arms, and an arm that lowers the hazard never brings the event forward. A second number chooses
    the organ, in proportion to what each adds to the hazard in that month. A third tells whether nodes are involved; it
    is the one by which `cascade.measure_biomarkers` reads `p_node` under this seed, so that both agree.
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
    time, event, rise = first_time(total, fate - before, ordered["month"].values.astype(float))
    early = fate <= before
    time, event = np.where(early, 0.0, time), event | early
    steps = np.diff(ordered["h_organ"].values, axis=2)
    share = np.take_along_axis(steps, np.clip(rise, 0, steps.shape[2] - 1)[:, None, None], axis=2)[:, :, 0]
    share = np.where(early[:, None], ordered["h_before_organ"].values, share)
    organ = first_site(share, uniform(chosen, "first organ", names), ordered["organ"].values, event)
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
    if "p_stage" in outcomes:
        found["stage"] = (at, drawn_stages(outcomes, early, chosen), {"long_name": "stage at diagnosis"})
    kept = [name for name, each in outcomes.data_vars.items() if each.attrs.get("role") in ("weight", "genotype")]
    kept += ["reason"] if "reason" in outcomes else []
    return found.merge(outcomes[kept], combine_attrs="override") if kept else found
