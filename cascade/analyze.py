"""Which uncertain parameters a readout depends on: one verb for every method of `cascade.sensitivity`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._tables import require_whole
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import evaluate, time_grid
from cascade.readouts import resolve_readout
from cascade.sensitivity import groups_of, uncertain
from cascade.sensitivity.chaos import chaos_indices
from cascade.sensitivity.delta import delta_indices
from cascade.sensitivity.design import Design
from cascade.sensitivity.dgsm import dgsm_bounds, dgsm_design
from cascade.sensitivity.failures import failure_region, solver_noise
from cascade.sensitivity.given_data import sample_design
from cascade.sensitivity.local import local_coefficients, local_design
from cascade.sensitivity.morris import morris_design, morris_indices
from cascade.sensitivity.pawn import pawn_indices
from cascade.sensitivity.rbd_fast import rbd_fast_indices
from cascade.sensitivity.regional import regional
from cascade.sensitivity.settle import Settled, settle, settle_by_groups
from cascade.sensitivity.sobol import sobol_design, sobol_indices
from cascade.specs import Model, Parameter, Solver, require_model

if TYPE_CHECKING:
    import xarray as xr

    Groups = str | Mapping[str, Sequence[str]] | None


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method: its design and estimator, the index that ranks, the usual size, and whether it judges groups."""

    design: Callable[..., Design]
    estimate: Callable[..., Any]
    index: str
    samples: int | None
    groups: bool
    meaning: str


METHODS: Mapping[str, Method] = {
    "local": Method(
        design=lambda parameters, _, *, seed, **more: local_design(parameters, **more),
        estimate=local_coefficients,
        index="coefficient",
        samples=None,
        groups=False,
        meaning="scaled coefficients at the nominal values: 4 runs a parameter",
    ),
    "morris": Method(
        design=morris_design,
        estimate=morris_indices,
        index="mu_star",
        samples=10,
        groups=True,
        meaning="elementary effects over the priors: (names + 1) runs a trajectory",
    ),
    "sobol": Method(
        design=sobol_design,
        estimate=sobol_indices,
        index="ST",
        samples=16,
        groups=True,
        meaning="shares of the variance, first and total: 16 x (names + 2) runs a replicate",
    ),
    "dgsm": Method(
        design=dgsm_design,
        estimate=dgsm_bounds,
        index="ST_bound",
        samples=30,
        groups=True,
        meaning="upper bounds of total shares from derivatives: (parameters + 2) runs a block",
    ),
    "chaos": Method(
        design=sample_design,
        estimate=chaos_indices,
        index="ST",
        samples=500,
        groups=True,
        meaning="total shares from a sparse polynomial: some hundred runs whatever the number of parameters",
    ),
    "delta": Method(
        design=sample_design,
        estimate=delta_indices,
        index="delta",
        samples=1000,
        groups=False,
        meaning="shift of the whole distribution of the output, from one sample",
    ),
    "pawn": Method(
        design=sample_design,
        estimate=pawn_indices,
        index="pawn",
        samples=1000,
        groups=False,
        meaning="shift of the distribution function of the output, from one sample",
    ),
    "rbd_fast": Method(
        design=sample_design,
        estimate=rbd_fast_indices,
        index="S1",
        samples=1000,
        groups=False,
        meaning="first-order shares of the variance, from one sample",
    ),
    "regional": Method(
        design=sample_design,
        estimate=regional,
        index="separation",
        samples=1000,
        groups=False,
        meaning="what separates patients who have the event from those who have not, from one sample",
    ),
}
"""Every method by name."""


def analyze(
    model: Model,
    readouts: str | Sequence[str] = "p_overt_5y",
    method: str = "sobol",
    *,
    samples: int | None = None,
    groups: Groups = None,
    series: Sequence[str] = (),
    seed: int = 1,
    years: float | None = None,
    points: int | None = None,
    solver: Solver | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
    design_options: Mapping[str, Any] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Tell how far readouts depend on the uncertain parameters of a model, or on groups of them.

    Parameters
    ----------
    model : Model
    readouts : str or sequence of str
        Names of readouts; those that have a dimension of their own (organ, year) must all have the same.
    method : str
        One of `METHODS`: local, morris, sobol, dgsm, chaos, delta, pawn, rbd_fast, regional.
    samples : int, optional
        Size of the design in the unit of the method (rows of a sample, trajectories, replicates of 16 rows).
    groups : {"pathways", "modules"} or mapping of str to sequence of str, optional
        Judge groups of parameters; groups may share parameters. Methods that judge single parameters refuse it.
    series : sequence of str
        Variables instead of readouts: indices at every row of the output grid. Give `readouts=()` then.
    seed : int
    years, points : float, int
        Simulated time from the first tumor cell, by default that of the composition, else 25; and rows of the grid, by
        default 12 a year.
    solver, workers, executor, store, resume, progress
        As in `cascade.evaluate`. A design of more samples goes on with the runs of the smaller one in the same store.
    design_options : mapping, optional
        For the design of the method, such as `second_order=True` of sobol or `correlation=` of a sample.
    **options
        For the estimator of the method, such as `transform="logit"` of chaos or `threshold=` of regional.

    Returns
    -------
    xarray.Dataset
        Indices with 95 % limits over `name`, `readout`, and the dimensions of the readouts or `time`, as the estimator
        of the method has them. With the `output` of every run, its `reason`, and `failure_region`, a sentence on where
        runs fail, in the attributes; units and evidence of single parameters are coordinates of `name`.

    Raises
    ------
    UnknownNameError
        If a method, a readout or a group is not known.
    AnalysisError
        If there is nothing to analyze, or a method cannot do what is asked.

    Examples
    --------
    >>> found = cascade.analyze(model, ["p_overt_5y", "p_overt_10y"], "sobol", groups="pathways")
    >>> found["ST"].sel(readout="p_overt_5y").to_series().sort_values()
    """
    require_model(model, "analyze")
    how = _method(method)
    parameters = _parameters(model)
    chosen = _groups(model, parameters, groups)
    if chosen is not None and not how.groups:
        able = ", ".join(name for name, each in METHODS.items() if each.groups)
        raise AnalysisError(f"method {method!r} judges single parameters; for groups use one of {able}")
    names = [readouts] if isinstance(readouts, str) else readouts
    if not isinstance(names, Iterable):
        raise AnalysisError(f"readouts is {readouts!r}; give a name or a list of names")
    names = list(names)
    more: dict[str, Any] = dict(design_options or {}) | ({} if chosen is None else {"groups": chosen})
    design = _designed(how, method, parameters, samples or how.samples, seed, more)
    _refuse_unknown(how.estimate, options, f"estimator of method {method!r}")
    runs = evaluate(
        model, design, names, **time_grid(model, years, points), series=series,
        solver=solver, workers=workers, executor=executor, store=store, resume=resume, progress=progress,
    )  # fmt: skip
    output, reason = _stacked(runs, [*_own_names(runs, names), *_series(model, series)])
    found: xr.Dataset = how.estimate(
        design, output, noise=solver_noise(output.values, float(runs.attrs["relative_tolerance"])), **options
    )
    found["output"], found["reason"] = output, reason
    found.attrs |= {key: value for key, value in runs.attrs.items() if key not in found.attrs and key != "values"}
    found.attrs |= {"method": method, "ranking_index": how.index, "runs": design.runs}
    found.attrs |= {"failed_runs": int((runs["status"] != "ok").sum())}
    found.attrs |= {"failure_region": _failures(design, output)}
    return _with_rows(found, parameters)


def settle_top(
    model: Model,
    readout: str = "p_overt_5y",
    *,
    budget: int,
    top: int = 5,
    confidence: float = 0.95,
    method: str = "sobol",
    groups: Groups = "modules",
    inside: bool = True,
    transform: str | None = None,
    seed: int = 1,
    years: float | None = None,
    solver: Solver | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
) -> Settled:
    """Run until it is settled which parameters a readout depends on most, or until the budget of runs ends.

    Parameters
    ----------
    model : Model
    readout : str
        A readout of one number.
    budget : int
        Runs at most.
    top, confidence : int, float
        The list that is to be settled, and how sure.
    method : {"sobol", "morris", "chaos"}
        Chaos needs the fewest runs where a polynomial describes the readout, often only its logarithm or log odds.
    groups : {"pathways", "modules"} or mapping, optional
        Groups are judged first, and then (`inside`) the parameters of those that can hold one of the largest; None
        judges all parameters at once. Morris judges the groups only; chaos has the runs for all parameters anyway and
        judges groups only if `inside` is False.
    inside : bool
        False stops at the groups.
    transform : {"log", "logit"}, optional
        With chaos: judge the logarithm (of a readout above 0) or log odds (of a probability inside 0 to 1).
    seed, years, solver, workers, executor, progress
        As in `analyze`.

    Returns
    -------
    Settled
        `indices`, the `history` for `cascade.plot_ranking.convergence`, and the number of `runs`.
    """
    require_model(model, "settle_top")
    name = resolve_readout(readout, model)
    parameters = _parameters(model)
    chosen = _groups(model, parameters, groups)
    options: dict[str, Any] = time_grid(model, years)
    options |= {"solver": solver, "workers": workers, "executor": executor, "progress": progress}

    def run(design: Design, first: int) -> xr.DataArray:
        found: xr.DataArray = evaluate(model, design.values(first), [name], **options)[name]
        return found

    search: dict[str, Any] = {"budget": budget, "seed": seed, "top": top, "confidence": confidence}
    search["noise"] = lambda output: solver_noise(output.values, (solver or Solver()).relative_tolerance)
    if method == "chaos" and inside:
        chosen = None
    if chosen is None or not inside or method != "sobol" or transform is not None:
        return settle(run, parameters, method=method, groups=chosen, transform=transform, **search)
    return settle_by_groups(run, parameters, chosen, **search)


MOST_RUNS = 10_000_000
"""Runs that a design may have."""


def _designed(
    how: Method, name: str, parameters: tuple[Parameter, ...], samples: int | None, seed: int, more: dict[str, Any]
) -> Design:
    if samples is not None:
        require_whole("samples", samples, 1, MOST_RUNS // (len(parameters) + 2))
    _refuse_unknown(local_design if name == "local" else how.design, more, f"design of method {name!r}")
    return how.design(parameters, samples, seed=seed, **more)


def _refuse_unknown(function: Callable[..., Any], options: Mapping[str, Any], where: str) -> None:
    known = signature(function).parameters
    for option in options:
        if option not in known:
            raise unknown_name("option", option, known, f"the {where}")


def _method(name: str) -> Method:
    if not isinstance(name, str) or name not in METHODS:
        raise unknown_name("method", name, METHODS, "the methods of sensitivity analysis")
    return METHODS[name]


def _parameters(model: Model) -> tuple[Parameter, ...]:
    parameters = uncertain(model)
    if not parameters:
        raise AnalysisError(f"model {model.name!r} has no uncertain parameter; set `estimate` to true for some")
    return parameters


def _groups(model: Model, parameters: tuple[Parameter, ...], groups: Groups) -> Mapping[str, Sequence[str]] | None:
    return groups_of(model, parameters, groups) if isinstance(groups, str) else groups


def _own_names(runs: xr.Dataset, names: Sequence[str]) -> list[str]:
    """Return the names of the readouts as the result has them: flat ids in `final:<id>`."""
    return [str(name) for name in runs.data_vars if f"reason_{name}" in runs.data_vars] if names else []


def _series(model: Model, series: Sequence[str]) -> list[str]:
    return [model.id(name) for name in series]


def _stacked(runs: xr.Dataset, names: Sequence[str]) -> tuple[xr.DataArray, xr.DataArray]:
    """Put the outputs side by side along `readout`, with the reasons of what is missing."""
    import xarray as xr

    if not names:
        raise AnalysisError("readouts and series are empty; name at least one readout")
    dims = {tuple(str(dim) for dim in runs[name].dims) for name in names}
    if len(dims) > 1:
        shapes = ", ".join(f"{name} over {', '.join(map(str, runs[name].dims))}" for name in names)
        raise AnalysisError(f"the outputs do not have the same dimensions ({shapes}); analyze them one after the other")
    along = xr.DataArray(list(names), dims="readout", name="readout")
    output = xr.concat([runs[name].rename("output") for name in names], along, combine_attrs="drop_conflicts")
    texts = [
        runs[f"reason_{name}"] if f"reason_{name}" in runs else runs["status"].broadcast_like(runs[name])
        for name in names
    ]
    reason = xr.concat([text.rename("reason") for text in texts], along, combine_attrs="drop_conflicts")
    return output.transpose("run", "readout", ...), reason.transpose("run", "readout", ...)


def _failures(design: Design, output: xr.DataArray) -> str:
    return str(failure_region(design, output).attrs["verdict"])


def _with_rows(found: xr.Dataset, parameters: Sequence[Parameter]) -> xr.Dataset:
    """Add what the parameter table says of single parameters."""
    known = {p.id: p for p in parameters}
    names = [str(name) for name in found["name"].values]
    if not any(name in known for name in names):
        return found
    columns = {
        key: [getattr(known[name], key) if name in known else "" for name in names]
        for key in ("evidence", "unit", "gene")
    }
    titles = [known[name].name if name in known else name for name in names]
    return found.assign_coords({key: ("name", column) for key, column in columns.items()} | {"title": ("name", titles)})
