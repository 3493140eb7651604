"""What a design is: which runs an analysis makes and how they belong together, so that nobody repeats it later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.priors import from_quantile

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

    from cascade.specs import Parameter

DUMMY = "dummy"
"""Name of a column that no parameter has: what an estimator says of it is its noise."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Runs of a sensitivity analysis, with all that its estimator must know.

    A design of more samples begins with the runs of the smaller one, so that runs are never repeated.

    Attributes
    ----------
    method : str
        Name of the method, such as "sobol".
    parameters : tuple of Parameter
        The uncertain parameters.
    columns : tuple of str
        Ids of the columns of `quantiles`: those of the parameters, in their order, and `DUMMY` if there is one.
    sets : mapping of str to tuple of int
        What is judged: the columns that belong to each name; one parameter, or all of a group.
    quantiles : numpy.ndarray
        Quantiles of the priors, runs x columns.
    samples : int
        Size of the design in the unit of the method: rows of a sample, trajectories of Morris, replicates of Sobol.
    seed : int
    details : mapping
        What only this method needs.
    """

    method: str
    parameters: tuple[Parameter, ...]
    columns: tuple[str, ...]
    sets: Mapping[str, tuple[int, ...]]
    quantiles: np.ndarray = field(repr=False)
    samples: int
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> int:
        """How many runs the design has."""
        return int(self.quantiles.shape[0])

    @property
    def names(self) -> tuple[str, ...]:
        """What is judged, in the order of the result."""
        return tuple(self.sets)

    def values(self, first: int = 0) -> dict[str, xr.DataArray]:
        """Return the values of every parameter over `run`, from run `first` on; what `simulate` takes."""
        import numpy as np
        import xarray as xr

        number = {"run": np.arange(first, self.runs)}
        return {
            p.id: xr.DataArray(from_quantile(p, column), coords=number, dims="run")
            for p, column in zip(self.parameters, self.quantiles[first:].T, strict=False)
        }


def layout(
    parameters: Sequence[Parameter], groups: Mapping[str, Sequence[str]] | None, *, dummy: bool
) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]]]:
    """Return columns and sets of a design.

    Parameters
    ----------
    parameters : sequence of Parameter
    groups : mapping of str to sequence of str, optional
        Ids of the parameters of each group; None judges every parameter.
    dummy : bool
        Whether there is a column without a parameter.
    """
    ids = [p.id for p in parameters]
    if not ids:
        raise AnalysisError("there is no uncertain parameter; set `estimate` to true for some parameters")
    double = sorted({name for name in ids if ids.count(name) > 1})
    if double:
        raise AnalysisError(f"the parameters {', '.join(double)} occur twice in the design; make their ids unique")
    if DUMMY in ids:
        raise AnalysisError(f"a parameter is called {DUMMY!r}, which is the name of the column without one; rename it")
    place = {name: column for column, name in enumerate(ids)}
    sets: dict[str, tuple[int, ...]] = {name: (column,) for name, column in place.items()}
    if groups is not None:
        sets = {name: _members(name, members, place) for name, members in groups.items()}
    if dummy:
        return (*ids, DUMMY), sets | {DUMMY: (len(ids),)}
    return tuple(ids), sets


def _members(name: str, members: Sequence[str], place: Mapping[str, int]) -> tuple[int, ...]:
    if isinstance(members, str) or not members:
        raise AnalysisError(f"group {name!r} is {members!r}; give the ids of its parameters in a list")
    unknown = [member for member in members if member not in place]
    if unknown:
        raise AnalysisError(
            f"group {name!r}: {', '.join(unknown[:5])} are not among the {len(place)} uncertain parameters"
        )
    return tuple(sorted({place[member] for member in members}))
