"""Readouts: from the trajectories of a Dataset to the numbers that a clinic or an assay reports."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, cast

from cascade import endpoints, endpoints_organ, endpoints_time
from cascade.endpoints import SURGERY, Readout, Scale, at_operation, last
from cascade.errors import AnalysisError, UnknownNameError, unknown_name

if TYPE_CHECKING:
    import xarray as xr

    from cascade.specs import Model

NAMED: dict[str, Readout] = {**endpoints.NAMED, **endpoints_time.NAMED, **endpoints_organ.NAMED}
"""The named readouts."""

RESOLUTION = 1e-12
"""Smallest value that a ratio trusts: the absolute tolerance that `simulate` gives to hazards and expected lesions."""


def readout(dataset: xr.Dataset, name: str) -> xr.DataArray:
    """Compute a named readout of simulated runs.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of `cascade.simulate`: any sample dimensions, and `time` in days.
    name : str
        A name of `known_readouts()`, or `final:<id>`, `max:<id>` or `at_operation:<id>` for any recorded variable.
        Readouts by `organ`, by `year` after surgery or by `quantile` have that dimension; `p_first_site:bone` or
        `hazard_by_year:5` is one number of it.

    Returns
    -------
    xarray.DataArray
        Over the sample dimensions (and that of the readout), with `units` and `long_name`. The coordinate `reason` is
        "ok" or says why the value is NaN: the run failed, the patient was not operated within the horizon, or the
        horizon is too short.

    Raises
    ------
    UnknownNameError
        If the name is not a readout; the message lists what is known.
    AnalysisError
        If variables are missing; the message says what to record.

    Examples
    --------
    >>> runs = cascade.simulate(model, years=25)
    >>> float(cascade.readout(runs, "p_overt_5y"))
    >>> cascade.readout(runs, "p_first_site").to_series()
    """
    if not hasattr(dataset, "data_vars"):
        raise AnalysisError(f"readout() was given {str(dataset)[:80]!r}; give the Dataset that simulate() returned")
    spec = find_readout(name)
    missing = [need for need in spec.needs if not any(fnmatchcase(str(have), need) for have in dataset.data_vars)]
    if missing:
        raise AnalysisError(
            f"readout {name!r} needs {', '.join(missing)}, which the dataset does not hold; "
            f"add it to `record` of simulate (or leave `record` out)"
        )
    value = _with_status(dataset, spec.compute(dataset))
    value.name = name
    value.attrs = {"units": spec.unit or _unit_of(dataset, spec), "long_name": spec.meaning}
    return value


def find_readout(name: str) -> Readout:
    """Return the specification of a readout, or raise an error that lists the names."""
    if not isinstance(name, str):
        raise unknown_name("readout", name, NAMED, "the readouts")
    if name in NAMED:
        return NAMED[name]
    kind, _, variable = name.partition(":")
    if kind in ("final", "max") and variable:
        return _of_variable(kind, variable)
    if kind == "at_operation" and variable:
        return Readout(
            name=name,
            unit="",
            meaning=f"{variable}, at the moment of the operation",
            needs=(variable, *SURGERY),
            compute=at_operation(variable),
            scale="log_ratio",
        )
    if kind in NAMED and NAMED[kind].dims and variable:
        return _one_of(NAMED[kind], variable)
    some = [f"{spec.name}[:<{spec.dims[0]}>]" if spec.dims else spec.name for spec in known_readouts()]
    every = ", ".join([*some, "final:<id>", "max:<id>", "at_operation:<id>"])
    raise UnknownNameError(f"{unknown_name('readout', name, NAMED, 'the readouts')}; all readouts: {every}")


def known_readouts() -> tuple[Readout, ...]:
    """Return the named readouts; `final:<id>`, `max:<id>` and `at_operation:<id>` come in addition."""
    return tuple(NAMED.values())


def variables_for(name: str, model: Model) -> list[str]:
    """Return the flat ids that `simulate(record=...)` must keep for a readout and its hazard.

    Parameters
    ----------
    name : str
        Name of a readout; the id in `final:<id>` and the like may be any name that the model knows.
    model : Model
        The model that will be simulated.
    """
    spec = find_readout(name)
    needs = set(spec.needs) | (set(find_readout(spec.hazard).needs) if spec.hazard else set())
    flat = set(model.ids.values())
    found: list[str] = []
    for need in sorted(needs):
        matches = sorted(flat_id for flat_id in flat if fnmatchcase(flat_id, need))
        if not matches and need not in model.ids:
            raise AnalysisError(
                f"readout {name!r} needs {need!r}, which model {model.name!r} does not have;"
                " ask for final:<id> or max:<id> of one of its own variables"
            )
        found += matches or [model.id(need)]
    return found


def resolve_readout(name: str, model: Model) -> str:
    """Rewrite `final:<any name>` with the flat id of the model; other readouts come back unchanged.

    Raises
    ------
    AnalysisError
        If the readout is more than one number a run: nothing can be ranked by it.
    """
    spec = find_readout(name)
    if spec.dims:
        dim = spec.dims[0]
        raise AnalysisError(
            f"readout {name!r} is a value per {dim}, and an analysis of targets or parameters needs one number a run;"
            f" ask for one {dim}: '{name}:<{dim}>', such as '{name}:{_EXAMPLE[dim]}'"
        )
    kind, _, variable = name.partition(":")
    return f"{kind}:{model.id(variable)}" if variable and kind not in NAMED else name


def effect(untreated: xr.DataArray, treated: xr.DataArray, scale: Scale) -> xr.DataArray:
    """Paired effect of a treatment on a readout.

    Parameters
    ----------
    untreated, treated : xarray.DataArray
        The same readout of the same patients; they broadcast.
    scale : {"difference", "log_ratio"}
        `treated - untreated` in the unit of the readout, or the natural logarithm of `treated / untreated`. On a
        cumulative hazard the latter is the log hazard ratio averaged over the time of the hazard.

    Notes
    -----
    Below `RESOLUTION` the solver cannot tell a value from zero: both sides of a ratio are raised to it, so that a
    blocked hazard gives a large, finite log ratio.
    """
    import numpy as np

    if scale == "difference":
        return treated - untreated
    if scale == "log_ratio":
        floored = [side.clip(min=RESOLUTION) for side in (treated, untreated)]
        return cast("xr.DataArray", np.log(floored[0]) - np.log(floored[1]))
    raise AnalysisError(f"effect scale {scale!r} is not known; use 'difference' or 'log_ratio'")


def _with_status(dataset: xr.Dataset, value: xr.DataArray) -> xr.DataArray:
    """Blank the value of failed runs and merge their reason into the coordinate `reason`."""
    import numpy as np
    import xarray as xr

    if "reason" not in value.coords:
        text = np.where(np.isfinite(value.values), "ok", "the value is not a finite number")
        value = value.assign_coords(reason=(value.dims, text))
    if "status" not in dataset:
        return value
    status = dataset["status"].astype(str).broadcast_like(value).transpose(*value.dims)
    failed = status.values != "ok"
    reason = np.where(failed, np.char.add("run failed: ", status.values), value["reason"].values.astype(str))
    blank = value.where(xr.DataArray(~failed, dims=value.dims))
    return blank.assign_coords(reason=(value.dims, reason))


def _unit_of(dataset: xr.Dataset, spec: Readout) -> str:
    return str(dataset[spec.needs[0]].attrs.get("units", ""))


_EXAMPLE = {"organ": "bone", "year": "5", "quantile": "0.5"}


def _one_of(spec: Readout, label: str) -> Readout:
    """Return the readout of one organ, one year or one quantile."""
    dim = spec.dims[0]

    def compute(dataset: xr.Dataset) -> xr.DataArray:
        values = spec.compute(dataset)
        known = [str(value) for value in values[dim].values]
        if label not in known:
            raise unknown_name(dim, label, known, f"readout {spec.name!r}")
        return values.isel({dim: known.index(label)}).drop_vars(dim)

    return replace(
        spec,
        name=f"{spec.name}:{label}",
        meaning=f"{spec.meaning} ({dim} {label})",
        compute=compute,
        hazard=f"{spec.hazard}:{label}" if spec.hazard else "",
        dims=(),
    )


def _of_variable(kind: str, variable: str) -> Readout:
    def compute(dataset: xr.Dataset) -> xr.DataArray:
        values = dataset[variable]
        if values.dtype.kind not in "fiub":
            raise AnalysisError(f"readout '{kind}:{variable}': {variable!r} holds no numbers; name a variable")
        return last(values) if kind == "final" or "time" not in values.dims else values.max("time", skipna=False)

    words = "value at the end" if kind == "final" else "largest value"
    return Readout(
        name=f"{kind}:{variable}",
        unit="",
        meaning=f"{variable}, {words}",
        needs=(variable,),
        compute=compute,
        scale="log_ratio",
    )
