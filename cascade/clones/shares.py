"""From the clones that sequencing finds at diagnosis to the mutation probabilities that give them, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._tables import is_number
from cascade.clones._joins import FOUNDER, instance_of, joined_clones, without_subclones
from cascade.clones.phylogeny import Phylogeny
from cascade.compose import compose
from cascade.errors import AnalysisError, TableError
from cascade.simulate import simulate
from cascade.specs import Composition

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

STEPS = 600
"""Steps from the first tumor cell to diagnosis in the linear equations of the clones."""

ROUNDS = 6
"""Simulations at most, where clones differ in growth and so change the growth of the whole."""

STEPS_OF_GUESS = 20
"""Corrections of the first guess of the mutation probabilities, each by the factor that a share is off."""

CLOSE = 2e-3
"""Relative error of the shares at which the simulations end."""

_DAYS = 25 * 365.25


@dataclass(frozen=True)
class Growth:
    """The growth that a tumor gives its clones until diagnosis: days, and its growth rate per cell."""

    time: NDArray[np.float64]
    rate: NDArray[np.float64]


def mutation_probabilities(
    composition: Composition, phylogeny: Any, *, n_cells: float | None = None, days: float = _DAYS
) -> Phylogeny:
    """Find the mutation probabilities that give the clones their prevalence at diagnosis.

    Parameters
    ----------
    composition : Composition
        As `load_composition` returned it.
    phylogeny : Phylogeny, mapping, pandas.DataFrame, or path
        With a prevalence (or cancer cell fraction) for all clones that are to be fitted.
    n_cells : float, optional
        Size of the tumor at diagnosis, in cells; by default that at which the composition operates it.
    days : float
        Time within which the tumor must reach that size.

    Returns
    -------
    Phylogeny
        With `f_mutation` for every clone that has a prevalence.

    Raises
    ------
    TableError
        If prevalences leave the founder, or a clone in between, no cells.
    AnalysisError
        If the tumor does not reach the size, or no mutation probability gives the shares.

    Notes
    -----
    Clones that grow alike: with `t` = births per cell until diagnosis the shares are the first column of the matrix
    exponential of `t Q`, where `Q` moves the share `f_mutation` of the births of a parent to the child. One child:
    `f_mutation =
    -ln(1 - share)/t`. Else the linear equations are solved along the simulated growth, again until the shares agree.
    A large share gives a large probability: it stands for a clone that arose once, when the tumor was small, not for
    a rate that one could measure.
    """
    from cascade.clones.phylogeny import phylogeny_of

    tree = phylogeny_of(phylogeny)
    wanted = _wanted(tree)
    growth = _growth(without_subclones(composition), n_cells, days)
    death = {clone.name: _constant(composition, tree, clone.name, "k_death") for clone in tree.clones}
    aim = dict(wanted)
    for _ in range(ROUNDS):
        tree = _with_mutations(tree, _solve(tree, growth, death, aim))
        if all(_grows_alike(tree, clone.name) for clone in tree.clones):
            return tree
        model = compose(joined_clones(composition, _without_prevalence(tree), 0.0))
        found = _at_diagnosis(model, tree, n_cells, days)
        if all(abs(found.shares[name] / share - 1) < CLOSE for name, share in wanted.items()):
            return tree
        # what the linear equations miss (self-seeding, killing that stem-like cells evade) moves the aim
        aim = {name: aim[name] * share / found.shares[name] for name, share in wanted.items()}
        growth = found.growth if _ == 0 else growth
    raise AnalysisError(
        f"{tree.where}: {ROUNDS} simulations did not find mutation probabilities for these prevalences; do"
        " clones differ so"
        " much in growth that one of them cannot have its share? Give f_mutation instead of a prevalence"
    )


def shares_of(tree: Phylogeny, growth: Growth, death: Mapping[str, float]) -> NDArray[np.float64]:
    """Solve the linear equations of clones in a tumor whose growth is known; shares of the cells, in the order of
    the tree."""
    names = [clone.name for clone in tree.clones]
    values = [tree.values_of(name) for name in names]
    fitness = np.array([value.get("f_fitness", 1.0) for value in values])
    deaths = np.array([death[name] for name in names])
    moves = np.zeros((len(names), len(names)))
    for row, clone in enumerate(tree.clones):
        if clone.parent:
            moves[row, names.index(clone.parent)] += values[row].get("f_mutation", 0.0)
            moves[names.index(clone.parent), names.index(clone.parent)] -= values[row].get("f_mutation", 0.0)

    def slope(rate: float, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = (fitness - 1) * rate * cells + moves @ ((deaths + fitness * rate) * cells)
        return moved

    cells = np.eye(len(names))[0]
    time = np.linspace(growth.time[0], growth.time[-1], 2 * STEPS + 1)
    rate, step = np.interp(time, growth.time, growth.rate), time[2] - time[0]
    for row in range(0, 2 * STEPS, 2):
        first = slope(rate[row], cells)
        second = slope(rate[row + 1], cells + step * first / 2)
        third = slope(rate[row + 1], cells + step * second / 2)
        last = slope(rate[row + 2], cells + step * third)
        cells = cells + step * (first + 2 * second + 2 * third + last) / 6
    shares: NDArray[np.float64] = cells / cells.sum()
    return shares


def _wanted(tree: Phylogeny) -> dict[str, float]:
    wanted = {clone.name: clone.prevalence for clone in tree.clones[1:] if clone.prevalence is not None}
    for name, share in wanted.items():
        if share <= 0:
            raise TableError(
                f"{tree.where}: clone {name!r} has no cells at diagnosis; a flow of mutants never empties a"
                " clone, so give it a"
                " small share such as 0.01, or leave it out of the tree"
            )
    rest = 1 - sum(wanted.values())
    given = tree.founder.prevalence
    if rest < 1e-6:
        raise TableError(
            f"{tree.where}: the prevalences leave the founder {tree.founder.name!r} no cells; leave it a small share"
        )
    if given is not None and abs(given - rest) > 1e-3:
        known = len(wanted) == len(tree.clones) - 1
        raise TableError(
            f"{tree.where}: the prevalences add up to {given + 1 - rest:.4g}, not to 1; leave that of the founder"
            f" {tree.founder.name!r} empty, and it has the rest"
            f"{'' if known else ', or give those of the other clones too'}"
        )
    return wanted


def _solve(
    tree: Phylogeny, growth: Growth, death: Mapping[str, float], wanted: Mapping[str, float]
) -> dict[str, float]:
    from scipy.optimize import root

    names = list(wanted)
    aim = np.array([wanted[name] for name in names])
    place = [[clone.name for clone in tree.clones].index(name) for name in names]

    def miss(log_mutation: NDArray[np.float64]) -> NDArray[np.float64]:
        tried = _with_mutations(tree, dict(zip(names, np.exp(np.clip(log_mutation, -60, 0)), strict=True)))
        off: NDArray[np.float64] = np.log(np.maximum(shares_of(tried, growth, death)[place], 1e-300)) - np.log(aim)
        return off

    births = float(np.trapezoid(growth.rate, growth.time)) + max(death.values()) * growth.time[-1]
    guess = np.log(aim / births)
    for _ in range(STEPS_OF_GUESS):  # a rare clone is proportional to its probability, however much faster it grows
        guess = guess - np.clip(miss(guess), -5.0, 5.0)
    found = root(miss, guess, method="hybr", options={"xtol": 1e-10})
    if not np.all(np.abs(miss(found.x)) < 1e-5):
        raise AnalysisError(
            f"{tree.where}: no mutation probabilities give the shares {dict(wanted)}; is the tree right?"
        )
    return dict(zip(names, np.exp(found.x).tolist(), strict=True))


def _with_mutations(tree: Phylogeny, mutations: Mapping[str, float]) -> Phylogeny:
    clones = tuple(
        replace(clone, values={**clone.values, "f_mutation": float(mutations[clone.name])})
        if clone.name in mutations
        else clone
        for clone in tree.clones
    )
    return replace(tree, clones=clones)


def _without_prevalence(tree: Phylogeny) -> Phylogeny:
    return replace(tree, clones=tuple(replace(clone, prevalence=None) for clone in tree.clones))


_GROWTH = ("f_fitness", "f_kill_immune_stem", "k_kill_stem_directed", "init_n_epithelial_stem")


def _grows_alike(tree: Phylogeny, name: str) -> bool:
    values = tree.values_of(name)
    return values.get("f_fitness", 1.0) == 1.0 and not any(key in values for key in _GROWTH[1:])


def _constant(composition: Composition, tree: Phylogeny, name: str, key: str) -> float:
    values = tree.values_of(name)
    if key in values:
        return values[key]
    if f"clones.{key}" in composition.group_values:
        return composition.group_values[f"clones.{key}"].nominal
    return next(row.nominal for row in composition.instances[FOUNDER].parameters if row.id == key)


@dataclass(frozen=True)
class _Diagnosis:
    growth: Growth
    shares: dict[str, float]


def _growth(composition: Composition, n_cells: float | None, days: float) -> Growth:
    run, row = _until(compose(composition), n_cells, days, [])
    return Growth(run["time"].values[: row + 1], run["primary_tumor__k_gompertz"].values[: row + 1])


def _at_diagnosis(model: Any, tree: Phylogeny, n_cells: float | None, days: float) -> _Diagnosis:
    names = {clone.name: instance_of(tree, clone.name) for clone in tree.clones}
    run, row = _until(model, n_cells, days, [f"{name}__n_tumor" for name in names.values()])
    cells = {name: float(run[f"{instance}__n_tumor"][row]) for name, instance in names.items()}
    growth = Growth(run["time"].values[: row + 1], run["primary_tumor__k_gompertz"].values[: row + 1])
    return _Diagnosis(growth, {name: value / sum(cells.values()) for name, value in cells.items()})


def at_diagnosis(model: Any, record: list[str], values: Mapping[str, float]) -> list[float]:
    """Return variables of a tumor at the size at which it is operated, with values of its own."""
    run, row = _until(model, None, _DAYS, record, values)
    return [float(run[flat][row]) for flat in record]


def _until(
    model: Any, n_cells: float | None, days: float, record: list[str], values: Mapping[str, float] | None = None
) -> tuple[xr.Dataset, int]:
    """Simulate, and return the last row before diagnosis."""
    aim = model.parameter("primary_tumor.n_surgery").nominal if n_cells is None else n_cells
    if not (is_number(aim) and aim > 1):
        raise AnalysisError(f"n_cells is {n_cells!r}; give the cells of the tumor at diagnosis, a number above 1")
    record = [*record, "primary_tumor__n_tumor", "primary_tumor__k_gompertz"]
    values = {"primary_tumor__f_surgery": 0.0, **(values or {})}
    run = simulate(model, days=days, points=int(days / 2) + 1, values=values, record=record)
    if str(run["status"].item()) != "ok":
        raise AnalysisError(f"the tumor of {model.name!r} cannot be simulated: {run['status'].item()}")
    reached = np.flatnonzero(run["primary_tumor__n_tumor"].values >= aim)
    if not reached.size:
        raise AnalysisError(
            f"the tumor of {model.name!r} does not reach {aim:.3g} cells in {days / 365.25:.3g} years; at which"
            " size were the"
            " clones counted? Give n_cells, or more days"
        )
    return run, int(reached[0])
