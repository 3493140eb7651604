"""Patients by number and by name: every random number of a patient is found without those of the others."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from cascade.errors import AnalysisError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


def checked_seed(seed: object) -> int:
    """Return a seed, or raise AnalysisError unless it is a whole number of 0 or more."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise AnalysisError(f"seed is {seed!r}; give a whole number, 0 or above")
    return int(seed)


def uniform(seed: int, purpose: str, patients: Iterable[str]) -> NDArray[np.float64]:
    """Return a number inside (0, 1) by patient id: a hash of seed, purpose and id, so no other patient matters."""
    start = f"{checked_seed(seed)}\n{purpose}\n"
    heads = [int.from_bytes(sha256((start + str(name)).encode()).digest()[:8], "little") >> 11 for name in patients]
    return (np.array(heads, dtype=float) + 0.5) * 2.0**-53


def numbered(seed: int, name: str, first: int, count: int) -> NDArray[np.float64]:
    """Return numbers inside (0, 1) of the patients `first` to `first + count - 1`, from the stream of (seed, name).

    Parameters
    ----------
    seed : int
    name : str
        What is drawn, such as the id of a parameter.
    first, count : int

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    The stream is the Philox generator of NumPy under the key SHA-256(seed, name). Its counter counts blocks of four
    numbers, so that `advance(first // 4)` jumps to the block of a patient: number n of the stream belongs to patient n,
    whatever is asked for before, after or beside it.
    """
    digest = sha256(f"{checked_seed(seed)}\n{name}".encode()).digest()
    bits = np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64))
    bits.advance(first // 4)
    skip = first % 4
    raw = bits.random_raw(skip + count)[skip:]
    return ((raw >> np.uint64(11)).astype(float) + 0.5) * 2.0**-53


def patients_of(cohort: xr.Dataset) -> list[str]:
    """Return the ids of the patients of a cohort or of outcomes.

    Raises
    ------
    AnalysisError
        If there is no dimension `patient`, no patient, or an id twice.
    """
    if "patient" not in getattr(cohort, "dims", ()) or not hasattr(cohort, "data_vars"):
        raise AnalysisError("a cohort is a Dataset over the dimension `patient`; see cascade.sample_cohort")
    if not cohort.sizes["patient"]:
        raise AnalysisError("the cohort has no patient")
    if "patient" not in cohort.coords:
        raise AnalysisError("the cohort has no coordinate `patient`; give every patient an id")
    names = [str(name) for name in cohort["patient"].values]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise AnalysisError(f"the patient {double!r} is in the cohort twice; give every patient an id of its own")
    return names


def values_of(cohort: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the constants that differ between the patients: what `cascade.evaluate` and `simulate` take.

    Parameters
    ----------
    cohort : xarray.Dataset
        Variables of role "value" over `patient`.

    Raises
    ------
    AnalysisError
        If a value is missing for a patient.
    """
    patients_of(cohort)
    found = {str(name): each for name, each in cohort.data_vars.items() if each.attrs.get("role") == "value"}
    for name, each in found.items():
        missing = ~np.isfinite(each.values.astype(float))
        if missing.any():
            who = str(cohort["patient"].values[int(np.argmax(missing))])
            raise AnalysisError(f"{name} of patient {who!r} is missing; give it a number, or leave the variable out")
    extra = [name for name in cohort["patient"].coords if name != "patient"]
    return {name: each.drop_vars([*extra], errors="ignore") for name, each in found.items()}
