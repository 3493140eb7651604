"""Designs that grow until the top of the ranking is settled: over parameters, or over groups and then inside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError, unknown_name
from cascade.sensitivity.chaos import TRANSFORMS
from cascade.sensitivity.design import Design
from cascade.sensitivity.given_data import sample_design
from cascade.sensitivity.intervals import CONFIDENCE
from cascade.sensitivity.morris import morris_design
from cascade.sensitivity.pick_freeze import ROWS, sobol_design
from cascade.sensitivity.ranks import TOP
from cascade.sensitivity.search import Evaluate, Noise, Search, Settled
from cascade.sensitivity.verdict import TOLERANCE, Verdict, verdict

if TYPE_CHECKING:
    import xarray as xr

    from cascade.specs import Parameter

__all__ = ["Settled", "Verdict", "settle", "settle_by_groups", "verdict"]

START = {"sobol": 4, "morris": 6, "chaos": 200}
"""Replicates, trajectories or runs of the first look."""

METHODS = ("sobol", "morris", "chaos")


def settle(
    evaluate: Evaluate,
    parameters: Sequence[Parameter],
    *,
    budget: int,
    seed: int,
    method: str = "sobol",
    groups: Mapping[str, Sequence[str]] | None = None,
    top: int = TOP,
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
    noise: Noise = 0.0,
    start: int | None = None,
    growth: float = 1.5,
    rows: int = ROWS,
    transform: str | None = None,
) -> Settled:
    """Extend a design until the list of the largest indices is settled, or the budget ends.

    It is settled when the list has the asked probability and is the same as at the look before; looking again and
    again would else end at the first lucky one. An output of several readouts or times is settled when each is.

    Parameters
    ----------
    evaluate : callable
        `evaluate(design, first)` returns the outputs of the runs of the design from run `first` on, for example from
        `simulate(model, values=design.values(first))` and a readout. Earlier outputs are kept, never asked for again.
    parameters : sequence of Parameter
    budget : int
        Runs at most.
    seed : int
    method : {"sobol", "morris", "chaos"}
        Sobol' total indices; mu* of Morris; or total indices by polynomial chaos, from a tenth of the runs where a
        polynomial describes the output, and never settled where it does not (see `verdict`).
    groups : mapping of str to sequence of str, optional
        Judge groups instead of parameters; see `settle_by_groups` for both.
    top, confidence, tolerance
        See `verdict`.
    noise : float or callable
        See `sobol_indices`; a callable gets the outputs so far and returns it.
    start : int, optional
        Replicates, trajectories or runs of the first look; by default 4, 6 and 200.
    growth : float
        Factor from look to look.
    rows : int
        Rows of a replicate of Sobol.
    transform : {"log", "logit"}, optional
        Judge the logarithm or log odds of the output, by polynomial chaos; see `chaos_indices`.

    Returns
    -------
    Settled

    Raises
    ------
    AnalysisError
        If the budget is too small for the first look or a number cannot be used.
    """
    if method not in METHODS:
        raise unknown_name("method", method, METHODS, "the methods that can be extended")
    if transform is not None and method != "chaos":
        raise AnalysisError(f"transform={transform!r} belongs to polynomial chaos; ask for method='chaos'")
    if transform is not None and transform not in TRANSFORMS:
        raise unknown_name("transformation", transform, TRANSFORMS, "the transformations")
    search = Search(evaluate, top, confidence, tolerance, noise, budget, growth, transform)
    size = START[method] if start is None else start

    def make(samples: int) -> Design:
        if method == "morris":
            return morris_design(parameters, samples, seed=seed, groups=groups)
        if method == "chaos":
            return sample_design(parameters, samples, seed=seed, groups=groups)
        return sobol_design(parameters, samples, rows=rows, seed=seed, groups=groups)

    search.look(make(size), level=1)
    search.grow(make)
    return search.result()


def settle_by_groups(
    evaluate: Evaluate,
    parameters: Sequence[Parameter],
    groups: Mapping[str, Sequence[str]],
    *,
    budget: int,
    seed: int,
    top: int = TOP,
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
    noise: Noise = 0.0,
    winners: int = 3,
    start: int = START["sobol"],
    growth: float = 1.5,
    rows: int = ROWS,
) -> Settled:
    """Judge groups first, then the parameters inside those that can hold one of the largest, by Sobol' total indices.

    The `winners` best groups are opened. The total index of a parameter is never above that of a group that holds it,
    so a closed group whose upper limit is below the last index of the list cannot change it; every other one is opened
    too. The parameters of opened groups are judged while everything varies, on the same A and B rows: only the rows AB
    of the parameters are new. The design then grows until the list is settled.

    Parameters
    ----------
    evaluate, parameters, budget, seed, top, confidence, tolerance, noise, start, growth, rows
        See `settle`. The first evaluation of the parameters of newly opened groups is a design of the new runs only.
    groups : mapping of str to sequence of str
        Groups may share parameters; a parameter without a group is never judged.
    winners : int
        Groups to open at once.

    Returns
    -------
    Settled
        Of the opened parameters. `attrs["opened"]` and `attrs["closed"]` name the groups, `attrs["closed_upper"]` is
        the largest upper limit among closed ones: no parameter in them has a larger total index, at 97.5 %.
    """
    if winners < 1:
        raise AnalysisError(f"winners is {winners}; open at least 1 group")
    search = Search(evaluate, top, confidence, tolerance, noise, budget, growth)
    search.look(sobol_design(parameters, start, rows=rows, seed=seed, groups=groups), level=1)
    level_one = search.known()
    order = (-level_one["ST"].max(_extra(level_one["ST"])).values).argsort(kind="stable")
    opened = [str(name) for name in level_one["name"].values[order]][:winners]
    while opened:
        make = _inside(parameters, groups, opened, rows, seed)
        if not search.look(make(search.known_design().samples), level=2):
            break
        opened_before = list(opened)
        opened += _still_possible(search, level_one, opened)
        if opened == opened_before:
            search.grow(make, level=2)
            opened += _still_possible(search, level_one, opened) if search.settled else []
        if opened == opened_before:
            break
    return _grouped_result(search, level_one, opened)


def _extra(values: xr.DataArray) -> list[Any]:
    """Return the dimensions of the outputs."""
    return [dim for dim in values.dims if dim != "name"]


def _inside(
    parameters: Sequence[Parameter], groups: Mapping[str, Sequence[str]], opened: Sequence[str], rows: int, seed: int
) -> Callable[[int], Design]:
    """Return what makes the design of the parameters of opened groups."""
    members = {member for name in opened for member in groups[name]}
    sets = {p.id: [p.id] for p in parameters if p.id in members}
    return lambda samples: sobol_design(parameters, samples, rows=rows, seed=seed, groups=sets)


def _still_possible(search: Search, level_one: xr.Dataset, opened: Sequence[str]) -> list[str]:
    """Return the closed groups that may hold a parameter of the list, for any output."""
    import numpy as np

    found = search.known()["ST"]
    closed = [str(name) for name in level_one["name"].values if str(name) not in opened]
    if not closed:
        return []
    upper = level_one["ST_upper"].sel(name=closed).transpose("name", ...).values
    if found.sizes["name"] < search.top:
        return closed[:1] if (np.nan_to_num(upper, nan=1.0) > 0).any() else []
    ordered = np.sort(found.transpose("name", ...).values, axis=0)
    last, first = ordered[-search.top], ordered[-1]
    # A limit that is not known excludes nothing.
    possible = ~(upper <= last + search.tolerance * first)
    return [name for name, row in zip(closed, possible, strict=True) if row.any()]


def _grouped_result(search: Search, level_one: xr.Dataset, opened: list[str]) -> Settled:
    """Finish, and say which groups were never opened and why that is right or not."""
    judged_groups = search.known_design().names == tuple(level_one["name"].values)
    if judged_groups:
        opened = []
    closed = [str(name) for name in level_one["name"].values if str(name) not in opened]
    upper = float(level_one["ST_upper"].sel(name=closed).max()) if closed else 0.0
    left = [] if judged_groups else _still_possible(search, level_one, opened)
    if judged_groups or left:
        search.settled = False
    more = f"; groups opened: {', '.join(opened) or 'none, the budget was too small'}"
    if closed and not judged_groups:
        more += f"; no parameter of the others has a total index above {upper:.3g}, the upper limit of their groups"
    if left:
        more += f"; {', '.join(left)} may still hold one of the list"
    found = search.result(more)
    attrs = {"opened": ", ".join(opened), "closed": ", ".join(closed), "closed_upper": upper}
    return Settled(
        indices=found.indices.assign_attrs(attrs),
        history=found.history,
        design=found.design,
        output=found.output,
        runs=found.runs,
    )
