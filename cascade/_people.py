"""People of a cohort as patients of a study: their values and weights, and what is drawn anew, as nobody knows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cascade._canonical import symbol_table
from cascade._patients import patients_of, uniform
from cascade.errors import AnalysisError, unknown_name
from cascade.population import SIGMA
from cascade.sensitivity.priors import from_quantile
from cascade.specs import Model, Parameter

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

POTENTIAL = "f_metastatic_potential"
"""What differs between patients by `sigma_potential` where a composition has it, as in `cascade.sample_cohort`."""

KINDS = ("missing", "assumed", "all")
"""Words for what is drawn anew of every patient."""


@dataclass(frozen=True, kw_only=True)
class People:
    """A cohort as a study takes it.

    Attributes
    ----------
    ids : tuple of str
    weights : array
        How many people each stands for, mean 1.
    values : dict of str to DataArray
        Over `patient` by number; patient 0 has nominal values, the others are the people in their order.
    given : dict of str to array of bool
        For every value of the cohort: of whom it is told. The model's own value tells nothing: a table with a column
        for the carriers of a gene has it for all others.
    """

    ids: tuple[str, ...]
    weights: NDArray[np.float64]
    values: dict[str, xr.DataArray]
    given: dict[str, NDArray[np.bool_]]

    @property
    def all_weights(self) -> NDArray[np.float64]:
        """Weights with one for the nominal patient, who is part of no statistic."""
        return np.concatenate([[1.0], self.weights])


def people_of(model: Model, cohort: xr.Dataset, drawn: Sequence[Parameter], seed: int) -> People:
    """Read a cohort for a study.

    Parameters
    ----------
    model : Model
    cohort : xarray.Dataset
        Values of the model's constants and start values (role "value") over `patient`; a value that is NaN is not known
        of this patient, who gets the nominal one. Of what the cohort does not tell, numbers of the model are nominal,
        and those of drugs are drawn by the name of the patient.
    drawn : sequence of Parameter
        Uncertain numbers of the model and of the drugs.
    seed : int
    """
    import xarray as xr

    ids = patients_of(cohort)
    told = {str(name): each for name, each in cohort.data_vars.items() if each.attrs.get("role") == "value"}
    number = {"patient": np.arange(len(ids) + 1)}
    columns: dict[str, NDArray[np.float64]] = {}
    given: dict[str, NDArray[np.bool_]] = {}
    for name, each in told.items():
        nominal = own_value(model, name)
        column = _column(name, each, ids)
        given[name] = np.isfinite(column) & (column != nominal)
        columns[name] = np.concatenate([[nominal], np.where(given[name], column, nominal)])
    for row in drawn:
        if row.id not in columns:
            own = row.id not in model.table
            mine = personal_values(model, row, ids, seed, 0) if own else np.full(len(ids), row.nominal)
            columns[row.id] = np.concatenate([[row.nominal], mine])
    values = {key: xr.DataArray(column, coords=number, dims="patient") for key, column in columns.items()}
    return People(ids=tuple(ids), weights=weights_of(cohort), values=values, given=given)


def own_value(model: Model, name: str) -> float:
    """Return the model's own value of a constant, or the start value of a variable."""
    if name in model.table:
        return model.table[name].nominal
    symbol = symbol_table(model.flat).get(name)
    if symbol is None:
        raise unknown_name("constant", name, model.table, f"model {model.name!r}, for which the cohort has a value")
    return 0.0 if symbol.initial is None else float(symbol.initial)


def _column(name: str, values: xr.DataArray, ids: Sequence[str]) -> NDArray[np.float64]:
    if values.dims != ("patient",):
        raise AnalysisError(f"value {name!r} of the cohort is over {values.dims}; give it over `patient` only")
    if values.dtype.kind not in "fiub":
        raise AnalysisError(f"value {name!r} of the cohort holds {values.dtype}, no numbers")
    column = values.values.astype(float)
    if np.isinf(column).any():
        raise AnalysisError(f"value {name!r} of patient {ids[int(np.isinf(column).argmax())]!r} is infinite")
    return column


def weights_of(cohort: xr.Dataset) -> NDArray[np.float64]:
    """Return how many people each patient of a cohort stands for, mean 1.

    Raises
    ------
    AnalysisError
        If a weight is no number of 0 or more, or all are 0.
    """
    count = cohort.sizes["patient"]
    if "weight" not in cohort:
        return np.ones(count)
    weights = np.asarray(cohort["weight"].values, dtype=float)
    if weights.shape != (count,):
        raise AnalysisError(f"the weights of the cohort have the shape {weights.shape}; give one for each patient")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise AnalysisError("a weight of the cohort is missing or negative, or all are 0; give numbers of 0 or more")
    return np.asarray(weights / weights.mean())


def personal_values(model: Model, row: Parameter, ids: Iterable[str], seed: int, draw: int) -> NDArray[np.float64]:
    """Draw a number for every patient: a function of seed, draw, number and id, so that no other patient matters."""
    quantile = uniform(seed, f"draw {draw} of {row.id}", ids)
    if row.id == POTENTIAL and SIGMA in model.table:
        from scipy.special import ndtri

        return np.asarray(np.exp(model.table[SIGMA].nominal * ndtri(quantile)))
    return from_quantile(row, quantile)


def redrawn(people: People, drawn: Sequence[Parameter], wanted: str | Sequence[str]) -> dict[str, NDArray[np.bool_]]:
    """Return what is drawn anew, by number and person: what is missing, also what is assumed, all, or what is named.

    Raises
    ------
    AnalysisError
        If that is nothing for anybody.
    """
    rows = {row.id: row for row in drawn}
    count = len(people.ids)
    found: dict[str, NDArray[np.bool_]] = {}
    if isinstance(wanted, str):
        if wanted not in KINDS:
            raise unknown_name("word for what is drawn anew", wanted, KINDS, "those (or give a list of ids)")
        for name, row in rows.items():
            missing = ~people.given.get(name, np.zeros(count, dtype=bool))
            every = wanted == "all" or (wanted == "assumed" and row.evidence == "assumed")
            found[name] = np.ones(count, dtype=bool) if every else missing
    else:
        for name in wanted:
            if name not in rows:
                raise unknown_name("uncertain number", name, rows, "the model and the drugs")
            found[name] = np.ones(count, dtype=bool)
    found = {name: who for name, who in found.items() if who.any()}
    if not found:
        raise AnalysisError(
            "the cohort tells every uncertain number of every patient, so that nothing is left to draw; say what is"
            ' not known of a patient: redraw="all", "assumed", or a list of ids'
        )
    return found


def drawn_people(
    model: Model,
    people: People,
    drawn: Sequence[Parameter],
    unknown: Mapping[str, NDArray[np.bool_]],
    draws: int,
    seed: int,
) -> dict[str, xr.DataArray]:
    """Return every person `draws` times with what is unknown drawn anew, over `patient`: 0, then person by person."""
    import xarray as xr

    rows = {row.id: row for row in drawn}
    number = {"patient": np.arange(len(people.ids) * draws + 1)}
    found = {}
    for name, values in people.values.items():
        table = np.repeat(values.values[1:, None], draws, axis=1)
        if name in unknown:
            fresh = [personal_values(model, rows[name], people.ids, seed, draw) for draw in range(1, draws + 1)]
            table = np.where(unknown[name][:, None], np.stack(fresh, axis=1), table)
        column = np.concatenate([values.values[:1], table.reshape(-1)])
        found[name] = xr.DataArray(column, coords=number, dims="patient")
    return found
