"""Designs of elementary effects: steps of one parameter or group, from a base point or along a trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError, unknown_name
from cascade.sensitivity.design import Design, layout
from cascade.sensitivity.priors import check_prior, stream
from cascade.sensitivity.salib import asking_salib

if TYPE_CHECKING:
    import numpy as np

    from cascade.specs import Parameter

KINDS = ("radial", "trajectories")

LEVELS = 4
"""Levels of the grid of trajectories; SALib's and the literature's usual choice."""

STEPS = (0.25, 0.5)
"""Shortest and longest radial step, as a share of the quantile range. Not shorter, since the noise of the solver is
divided by it; not one length, since a function of that period would seem constant."""


def morris_design(
    parameters: Sequence[Parameter],
    trajectories: int = 10,
    *,
    seed: int,
    quantile_range: tuple[float, float] = (0.05, 0.95),
    groups: Mapping[str, Sequence[str]] | Sequence[str] | None = None,
    kind: str = "radial",
    dummy: bool = False,
) -> Design:
    """Make the steps of a Morris screening in the space of prior quantiles.

    Parameters
    ----------
    parameters : sequence of Parameter
    trajectories : int
        At least 2; 10 to 30 are usual. Cost: `trajectories * (names + 1)` runs. Each has a random stream of its own,
        so that a larger design begins with the runs of the smaller one.
    seed : int
        0 or above; 0 is as reproducible as any other.
    quantile_range : tuple of float
        The steps stay between these quantiles, so that no run has its parameters at their very bounds.
    groups : mapping of str to sequence of str, or sequence of str, optional
        Ids of the parameters of each group, or the group of every parameter: its parameters move in one step, and mu*
        is that of the group. Far fewer runs when there are hundreds of parameters. Groups may share parameters, and
        parameters without a group vary from trajectory to trajectory, if the kind is radial.
    kind : {"radial", "trajectories"}
        Radial steps all start from the first run of their trajectory. A failed step costs one effect and a failed base
        all of its trajectory; on a trajectory a failed run costs two. On average both lose the same number.
    dummy : bool
        Whether a column without a parameter is judged: its effects are the noise of the simulation, exactly 0 if that
        is deterministic.

    Returns
    -------
    Design
        Method "morris".
    """
    import numpy as np

    _check(trajectories, quantile_range, kind)
    columns, sets = layout(parameters, _by_name(parameters, groups), dummy=dummy)
    for parameter in parameters:
        check_prior(parameter)
    if kind == "trajectories":
        _check_partition(columns, sets)
    streams = [stream(f"morris trajectory {number}", seed) for number in range(trajectories)]
    draw = _radial if kind == "radial" else _trajectory
    drawn = [draw(generator, len(columns), sets) for generator in streams]
    low, high = quantile_range
    return Design(
        method="morris",
        parameters=tuple(parameters),
        columns=columns,
        sets=sets,
        quantiles=low + (high - low) * np.concatenate([runs for runs, *_ in drawn]),
        samples=trajectories,
        seed=seed,
        details={
            "kind": kind,
            "quantile_range": (low, high),
            "start": np.array([start for _, start, _, _ in drawn]),
            "end": np.array([end for _, _, end, _ in drawn]),
            "step": np.array([step for *_, step in drawn]),
        },
    )


def _check(trajectories: int, quantile_range: tuple[float, float], kind: str) -> None:
    if trajectories < 2:
        raise AnalysisError(f"Morris design: {trajectories} trajectories; take at least 2, better 10 or more")
    low, high = quantile_range
    if not 0 <= low < high <= 1:
        raise AnalysisError(f"Morris design: quantile range {quantile_range} must lie inside 0 to 1, lower one first")
    if kind not in KINDS:
        raise unknown_name("kind of Morris design", kind, KINDS, "the kinds")


def _by_name(
    parameters: Sequence[Parameter], groups: Mapping[str, Sequence[str]] | Sequence[str] | None
) -> Mapping[str, Sequence[str]] | None:
    """Return the ids of each group, also if the groups of the parameters were given."""
    if not groups:
        return None
    if isinstance(groups, Mapping):
        return groups
    if len(groups) != len(parameters):
        raise AnalysisError(f"Morris design: {len(groups)} groups for {len(parameters)} parameters; give one for each")
    found: dict[str, list[str]] = {}
    for parameter, group in zip(parameters, groups, strict=True):
        found.setdefault(group, []).append(parameter.id)
    return found


def _check_partition(columns: Sequence[str], sets: Mapping[str, tuple[int, ...]]) -> None:
    members = [column for chosen in sets.values() for column in chosen]
    if sorted(members) != list(range(len(columns))):
        raise AnalysisError(
            "Morris design: on trajectories every parameter moves once, so each must be in exactly one group; "
            'use kind="radial" for groups that share parameters or leave some out'
        )


def _radial(generator: np.random.Generator, size: int, sets: Mapping[str, tuple[int, ...]]) -> tuple[Any, ...]:
    """Return runs, first and last run of each effect, and its step with sign."""
    import numpy as np

    base = generator.random(size)
    length = generator.uniform(*STEPS)
    sign = np.where(generator.random(size) < 0.5, 1.0, -1.0)
    sign = np.where(base < length, 1.0, np.where(base > 1 - length, -1.0, sign))
    runs = np.tile(base, (len(sets) + 1, 1))
    for row, chosen in enumerate(sets.values(), 1):
        runs[row, list(chosen)] += (sign * length)[list(chosen)]
    step = [length * sign[chosen[0]] for chosen in sets.values()]
    return runs, [0] * len(sets), list(range(1, len(sets) + 1)), step


@asking_salib("a trajectory of Morris")
def _trajectory(generator: np.random.Generator, size: int, sets: Mapping[str, tuple[int, ...]]) -> tuple[Any, ...]:
    """The same on a trajectory of SALib."""
    import numpy as np
    from SALib.sample import morris

    owner = {column: name for name, chosen in sets.items() for column in chosen}
    names = [f"c{column}" for column in range(size)]
    problem = {"num_vars": size, "names": names, "bounds": [[0.0, 1.0]] * size}
    if len(sets) < size:
        problem["groups"] = [owner[column] for column in range(size)]
    runs = morris.sample(problem, 1, num_levels=LEVELS, seed=generator)
    change = np.diff(runs, axis=0)[:, [chosen[0] for chosen in sets.values()]]
    start = np.abs(change).argmax(axis=0)
    return runs, list(start), list(start + 1), list(change[start, np.arange(len(sets))])
