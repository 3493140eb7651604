"""How far are two engines apart? Relative where a value is large enough to be known, else by what can be known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cascade.certify.certificate import Apart

if TYPE_CHECKING:
    import xarray as xr

SMALL = 1e-6
"""Share of the peak of a symbol below which its deviation is measured against that share, and not against itself."""

MEASURE = (
    "|a - b| / max(min(|a|, |b|), floor); the floor of a symbol is the largest of 1e-6 of its peak, and of what a"
    " solver can know of it, divided by the accepted deviation: its absolute tolerance, and ten times the relative"
    " tolerance of every state carried through its formula"
)
"""The measure in words.

A millionth of the peak: with the same relative tolerance everywhere, a symbol that has fallen further no longer moves
anything of its kind, and a relative deviation there would be one of absolute tolerances. The last part is for
variables that are small differences of large terms, such as 1 - a/b with a near b: a deviation of the states within the
tolerance is all of the variable, in every engine.
"""

Values = Mapping[str, NDArray[np.float64]]


def floors(
    values: Values, resolution: NDArray[np.float64] | None, tolerance: float, absolute: float
) -> NDArray[np.float64]:
    """Return the floor of every number, rows x symbols.

    Parameters
    ----------
    values : mapping of str to array
        Rows x symbols by engine.
    resolution : array or None
        What each number can be known to, rows x symbols.
    tolerance, absolute : float
        Accepted deviation; absolute tolerance of the engines.
    """
    shape = next(iter(values.values())).shape
    peak = np.zeros(shape[1])
    for table in values.values():
        finite = np.where(np.isfinite(table), np.abs(table), 0.0)
        peak = np.maximum(peak, finite.max(axis=0))
    floor = np.broadcast_to(np.maximum(SMALL * peak, absolute / tolerance), shape)
    return floor if resolution is None else np.maximum(floor, resolution / tolerance)


def deviation(a: NDArray[np.float64], b: NDArray[np.float64], floor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the relative deviation of every number; infinite where one engine has no number and the other has."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.minimum(np.abs(a), np.abs(b)), floor)
        found = np.abs(a - b) / size
    found = np.where(np.isnan(found), np.inf, found)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    return np.where(same, 0.0, found)


def compare(
    values: Values,
    skipped: Mapping[str, Sequence[str]],
    names: Sequence[str],
    times: NDArray[np.float64],
    floor: NDArray[np.float64],
) -> tuple[tuple[Apart, ...], xr.Dataset]:
    """Compare every two engines.

    Parameters
    ----------
    skipped : mapping of str to sequence of str
        By engine, symbols that it does not have.

    Returns
    -------
    tuple of Apart, xarray.Dataset
    """
    import xarray as xr

    apart, labels = [], []
    by_symbol, by_time = [], []
    for first, second in combinations(values, 2):
        a, b = values[first], values[second]
        found = deviation(a, b, floor)
        lacking = {*skipped.get(first, ()), *skipped.get(second, ())}
        found[:, [name in lacking for name in names]] = 0.0
        row, column = (int(place) for place in np.unravel_index(int(np.argmax(found)), found.shape))
        apart.append(
            Apart(
                first=first,
                second=second,
                largest=float(found[row, column]),
                symbol=names[column],
                time=float(times[row]),
                values=(float(a[row, column]), float(b[row, column])),
            )
        )
        labels.append(f"{first} and {second}")
        by_symbol.append(found.max(axis=0))
        by_time.append(found.max(axis=1))
    data = {
        "by_symbol": (("pair", "symbol"), np.array(by_symbol).reshape(len(labels), len(names))),
        "by_time": (("pair", "time"), np.array(by_time).reshape(len(labels), len(times))),
    }
    coords = {"pair": np.array(labels, dtype=str), "symbol": np.array(names, dtype=str), "time": times}
    return tuple(apart), xr.Dataset(data, coords=coords, attrs={"measure": MEASURE})


def outlier(pairs: Sequence[Apart], tolerance: float) -> str | None:
    """Return the engine without which all others agree, if engines disagree and only one is such."""
    engines = list(dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second)))
    if len(engines) < 3 or all(pair.largest <= tolerance for pair in pairs):
        return None
    alone = [
        engine
        for engine in engines
        if all(pair.largest <= tolerance for pair in pairs if engine not in (pair.first, pair.second))
    ]
    return alone[0] if len(alone) == 1 else None
