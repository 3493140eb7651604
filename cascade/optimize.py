"""Searches the schedule of drugs that does most for a readout, under a limit of the total dose."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._candidates import Space, space_of, total_of
from cascade._progress import progress_bar
from cascade._search import Search
from cascade._tables import require_whole
from cascade.errors import AnalysisError
from cascade.evaluate import time_grid
from cascade.readouts import find_readout, resolve_readout
from cascade.specs import Model, Solver, require_model
from cascade.therapy import treat
from cascade.therapy.regimens import Regimen

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

FEWEST = 10
"""Candidates below which no search is made."""

MOST = 1_000_000
"""Candidates of one search."""

SEARCHED = 0.7
"""Share of the budget that is searched everywhere; the rest refines the best."""

IDLE = 20
"""Generations without a new candidate after which the search everywhere ends."""


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """The best schedule that a search found, and all that it looked at.

    Attributes
    ----------
    regimens : tuple of Regimen
        For `cascade.treat`, in the order in which they were given.
    value : float
        The readout with them.
    evaluated : xarray.Dataset
        Over `candidate`, in the order of the search: what was free, as it was given after the limit of the total dose;
        `total_dose` over `regimen`; `objective`; `outcome`, the readout of every patient, if there are several;
        `reason`, "ok" or why there is no result; `stage`, "given", "search" or "refine". Counts and provenance in the
        attributes.
    """

    regimens: tuple[Regimen, ...]
    value: float
    evaluated: xr.Dataset = field(repr=False)

    @property
    def regimen(self) -> Regimen:
        """The regimen, where one was searched."""
        return self.regimens[0]


def optimize_regimen(
    model: Model,
    regimens: Regimen | Sequence[Regimen],
    objective: str = "p_overt_5y",
    *,
    free: Mapping[str, tuple[float, float]],
    total_dose: float | Mapping[str, float] | None = None,
    maximize: bool | None = None,
    values: Mapping[str, Any] | None = None,
    budget: int = 200,
    seed: int = 1,
    years: float | None = None,
    points: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    resume: bool = False,
    solver: Solver | None = None,
    progress: bool = False,
) -> Optimum:
    """Search the schedule of one or more drugs that does most for a readout.

    Differential evolution over everything (`scipy.optimize.differential_evolution`), beginning with the regimens as
    given and a Latin hypercube; then a simplex from the best. The same seed gives the same search.

    Parameters
    ----------
    model : Model
        Untreated, or treated with what is not searched.
    regimens : Regimen or sequence of Regimen
        What is given, and the fields that stay as they are. Several drugs are given together.
    objective : str
        Readout of one number.
    free : mapping of str to (float, float)
        Fields with their lowest and highest value: `start`, `dose`, `every`, `doses`, `days_on`, `days_off`, `stop`,
        `infusion_hours`, in the units of `Regimen`; with several regimens `<drug>.start` (`<drug>_2.start` for the
        second of one drug).
    total_dose : float or mapping of str to float, optional
        The most that may be given in all, in the unit of the dose (a stated concentration: days at it), by drug if
        there are several. A candidate beyond it gets a lower dose if the dose is free, else its last doses are left
        out; nothing beyond it is simulated.
    maximize : bool, optional
        By default as the readout is better; of `final:<id>` and `max:<id>` the smallest is searched.
    values : mapping, optional
        Values of the model as in `cascade.evaluate`; if they have a dimension, such as `patient`, the objective is the
        mean over it, and a candidate of which a run fails has none.
    budget : int
        Candidates that are simulated, at most; at least 10.
    seed : int
        0 or above.
    years, points : optional
        As in `cascade.evaluate`; by default those of the analyses of this model.
    workers, executor, solver : optional
        As in `cascade.evaluate`. Candidates that differ in start and dose alone run together; each other schedule is a
        model of its own, which costs its compilation.
    store : path, optional
        Folder that keeps the runs; with `resume`, a search that was stopped goes on.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Optimum

    Raises
    ------
    UnknownNameError
        If a readout, a field or a drug is not known.
    AnalysisError
        If bounds, limits or numbers cannot be used, or no candidate has a result.
    DrugError
        If a drug acts on nothing that the model has.

    Examples
    --------
    >>> import cascade
    >>> plan = cascade.regimen("bevacizumab", origin="surgery", doses=12)  # doctest: +SKIP
    >>> found = cascade.optimize_regimen(model, plan, free={"start": (0, 180), "every": (7, 28)})  # doctest: +SKIP
    >>> cascade.treat(model, found.regimen)  # doctest: +SKIP
    """
    require_model(model, "optimize_regimen")
    given = _given(regimens)
    require_whole("budget", budget, FEWEST, MOST)
    require_whole("seed", seed, 0, 2**32 - 1)
    if resume and store is None:
        raise AnalysisError("resume needs the folder to go on with; give store=...")
    name = resolve_readout(objective, model)
    larger = find_readout(name).better == "higher" if maximize is None else bool(maximize)
    space = space_of(given, free, total_dose)
    _check_starts(space, model)
    treat(model, *given)  # tells of drugs that do not fit, before the search takes every failure for a bad candidate
    options: dict[str, Any] = time_grid(model, years, points) | {"solver": solver or Solver(), "workers": workers}
    options |= {"executor": executor, "resume": resume}
    with progress_bar("optimizing", budget, progress) as advance:
        search = Search(
            model=model, space=space, readout=name, sign=-1.0 if larger else 1.0, values=dict(values or {}),
            options=options, store=None if store is None else Path(store), budget=budget, advance=advance,
        )  # fmt: skip
        message = _minimize(search, seed)
    return _optimum(search, message, seed)


def _given(regimens: Any) -> tuple[Regimen, ...]:
    given = (regimens,) if isinstance(regimens, Regimen) else tuple(regimens) if isinstance(regimens, Sequence) else ()
    if not given or not all(isinstance(each, Regimen) for each in given):
        raise AnalysisError(f"optimize_regimen() was given {regimens!r}; give what regimen() returns, one or a list")
    return given


def _check_starts(space: Space, model: Model) -> None:
    """Refuse a start before a day that the model tells only when it comes: the drug would be given too late."""
    for each in space.variables:
        origin = space.given[each.place].origin
        known = origin is None or model.ids.get(origin, origin) in model.table
        if each.field == "start" and each.low < 0 and not known:
            raise AnalysisError(
                f"free[{each.name!r}] begins at {each.low:g}, before {origin}, which is not known before it comes; give"
                " 0 or later, or count from an earlier moment or from a constant in days"
            )


def _minimize(search: Search, seed: int) -> str:
    """Search everywhere, then refine the best; return what the optimizers say of how they ended."""
    import numpy as np
    from scipy.optimize import differential_evolution

    variables = search.space.variables
    search([search.space.start])
    search.stage = "search"
    generator = np.random.default_rng(seed)
    size = max(6, min(5 + 5 * len(variables), search.budget // 8))
    bounds = [(each.low, each.high) for each in variables]

    def many(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array(search(points.T.tolist()))

    # `seed` has another name in newer versions; by position it works in all.
    found = differential_evolution(
        many, bounds, (), "best1bin", MOST, 15, 1e-4, (0.5, 1.0), 0.8, generator,
        callback=_Ended(search), init=_first(search, size, generator), polish=False,
        vectorized=True, updating="deferred", integrality=[each.whole for each in variables],
    )  # fmt: skip
    return f"differential evolution: {found.message} {_refine(search, found.x)}"


class _Ended:
    """Ends the search everywhere once its share of the budget is used, or nothing new comes."""

    def __init__(self, search: Search) -> None:
        self.search, self.idle, self.ran = search, 0, 0

    def __call__(self, *_: Any, **__: Any) -> bool:
        self.idle = self.idle + 1 if self.search.ran == self.ran else 0
        self.ran = self.search.ran
        return self.idle >= IDLE or self.ran >= round(SEARCHED * self.search.budget)


def _first(search: Search, size: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return the first candidates: the regimens as given and a Latin hypercube."""
    import numpy as np
    from scipy.stats import qmc

    variables = search.space.variables
    low, high = ([getattr(each, end) for each in variables] for end in ("low", "high"))
    drawn = qmc.scale(qmc.LatinHypercube(len(variables), rng=generator).random(size), low, high)
    drawn[0] = search.space.start
    whole: NDArray[np.float64] = np.where([each.whole for each in variables], np.rint(drawn), drawn)
    return whole


def _refine(search: Search, best: NDArray[np.float64]) -> str:
    """Go down from the best candidate in what is continuous, on the scale of the bounds."""
    import numpy as np
    from scipy.optimize import minimize

    search.stage = "refine"
    moving = [i for i, each in enumerate(search.space.variables) if not each.whole]
    if not moving or search.left < 1:
        return ""
    low = np.array([search.space.variables[i].low for i in moving])
    width = np.array([search.space.variables[i].high for i in moving]) - low
    start = (best[moving] - low) / width

    def one(shares: NDArray[np.float64]) -> float:
        point = best.copy()
        point[moving] = low + np.clip(shares, 0.0, 1.0) * width
        return search([point.tolist()])[0]

    corners = np.vstack([start, *(_moved(start, i) for i in range(len(moving)))])
    found = minimize(
        one, start, method="Nelder-Mead", bounds=[(0.0, 1.0)] * len(moving),
        options={"initial_simplex": corners, "maxfev": search.left, "xatol": 1e-4, "fatol": 0.0},
    )  # fmt: skip
    return f"simplex: {found.message}"


def _moved(start: NDArray[np.float64], place: int, step: float = 0.05) -> NDArray[np.float64]:
    moved = start.copy()
    moved[place] += step if moved[place] + step <= 1 else -step
    return moved


def _optimum(search: Search, message: str, seed: int) -> Optimum:
    """Gather what was evaluated."""
    import numpy as np
    import xarray as xr

    looked, space = search.looked, search.space
    costs = np.array([search.cost(each) for each in looked])
    if not np.isfinite(costs).any():
        counts = Counter(each.reason for each in looked)
        raise AnalysisError(f"none of {len(looked)} candidates has a result: {dict(counts.most_common(3))}")
    best = int(costs.argmin())
    data: dict[str, Any] = {
        each.name: ("candidate", [one.point[i] for one in looked], {"units": _unit(space, i)})
        for i, each in enumerate(space.variables)
    }
    totals = [[math.nan] * len(space.given) if p.plans is None else [total_of(r) for r in p.plans] for p in looked]
    data["total_dose"] = (("candidate", "regimen"), totals)
    data["objective"] = ("candidate", np.where(np.isfinite(costs), search.sign * costs, np.nan))
    data["reason"] = ("candidate", [each.reason for each in looked])
    data["stage"] = ("candidate", [each.stage for each in looked])
    outcome = next(each.outcome for each in looked if each.outcome is not None)
    if outcome.ndim:
        none = outcome.drop_vars("reason", errors="ignore") * math.nan
        parts = [none if p.outcome is None else p.outcome.drop_vars("reason", errors="ignore") for p in looked]
        data["outcome"] = xr.concat(parts, dim="candidate")
    coords = {"candidate": range(len(looked)), "regimen": list(space.labels)}
    attrs = {key: value for key, value in search.attrs.items() if not key.startswith(("values", "model_sha"))}
    attrs |= {"model": search.model.name, "model_sha256": search.model.hash, "readout": search.readout, "seed": seed}
    attrs |= {"maximized": int(search.sign < 0), "best": best, "budget": search.budget, "simulated": search.ran}
    attrs |= {"refused": sum(p.plans is None for p in looked), "optimizer": message}
    attrs["failed"] = sum(p.plans is not None and p.reason != "ok" for p in looked)
    attrs["regimens"] = json.dumps([plan.label for plan in looked[best].plans or ()])
    data["objective"] += ({"long_name": find_readout(search.readout).meaning},)
    evaluated = xr.Dataset(data, coords=coords, attrs=attrs)
    return Optimum(regimens=looked[best].plans or (), value=float(evaluated["objective"][best]), evaluated=evaluated)


def _unit(space: Space, place: int) -> str:
    variable = space.variables[place]
    return variable.unit or space.given[variable.place].unit or "dimensionless"
