"""Drugs in experiments, written as data: which drug, by which regimen, in which carrier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cascade.errors import AnalysisError, TableError
from cascade.specs import Model
from cascade.therapy import pharmacokinetics, treat
from cascade.therapy.drugs import Drug, carry, load_drug
from cascade.therapy.regimens import Regimen, regimen

_WORDS = ("drug", "carrier", "regimen")
_CHANGES = tuple(name for name in Regimen.__dataclass_fields__ if name not in ("drug", "name"))


@dataclass(frozen=True, kw_only=True)
class Prescription:
    """A drug that an experiment gives; without `drug` that of the folder in which the experiment stands.

    `regimen` is one of the drug's own, by default the first; `changes` are fields of `cascade.Regimen`; `carrier` is
    what the drug is put into.
    """

    drug: str = ""
    carrier: str = ""
    regimen: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)


def read_prescriptions(where: str, entries: Sequence[Any]) -> tuple[Prescription, ...]:
    """Read the entry `given` of an experiment: a list of tables.

    Raises
    ------
    TableError
        If one is no table, or has an unknown entry.
    """
    return tuple(_prescription(where, entry) for entry in entries)


def _prescription(where: str, entry: Any) -> Prescription:
    if not isinstance(entry, dict):
        raise TableError(f"{where}: given holds {entry!r}; write tables such as {{ regimen = 'q2w', stop = 84 }}")
    for name, value in entry.items():
        if name not in (*_WORDS, *_CHANGES):
            raise TableError(f"{where}: given has {name!r}; known: {', '.join((*_WORDS, *_CHANGES))}")
        if name in _WORDS and not isinstance(value, str):
            raise TableError(f"{where}: {name} is {value!r}; write a name")
    words = {name: entry[name] for name in _WORDS if name in entry}
    return Prescription(**words, changes={name: value for name, value in entry.items() if name not in _WORDS})


def prescribed(prescription: Prescription, own: Drug | None = None) -> Regimen:
    """Return the regimen that a prescription means.

    Parameters
    ----------
    prescription : Prescription
    own : Drug, optional
        The drug that is meant where none is named.

    Raises
    ------
    CascadeError
        If there is no such drug or regimen, or it cannot be given.
    """
    if not prescription.drug and own is None:
        raise AnalysisError("an experiment gives a drug without a name; write drug = ...")
    drug = load_drug(prescription.drug) if prescription.drug else own
    assert drug is not None
    if prescription.carrier:
        carrier = own if own is not None and own.name == prescription.carrier else prescription.carrier
        drug = carry(drug, carrier)
    if prescription.regimen or drug.regimens:
        return regimen(drug, prescription.regimen or None, **prescription.changes)
    return Regimen(drug=drug, **prescription.changes)


def give(model: Model | None, prescriptions: Sequence[Prescription], own: Drug | None = None) -> Model:
    """Return a model as it is treated, or without one the kinetics of the drugs alone."""
    regimens = [prescribed(each, own) for each in prescriptions]
    return pharmacokinetics(*regimens) if model is None else treat(model, *regimens)
