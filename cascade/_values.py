"""Values for a simulation: names resolved, numbers checked, arrays broadcast into one row per run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._canonical import Symbol
from cascade.errors import ValueSettingError, unknown_name
from cascade.specs import Model

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

_RESERVED = ("time", "status", "rung")


def flat_id(model: Model, symbols: Mapping[str, Symbol], name: str) -> str:
    """Return the flat id of a name; reactions and compartments count too."""
    if not isinstance(name, str):
        raise unknown_name("symbol", name, (), f"model {model.name!r}")
    if name in model.ids:
        return model.ids[name]
    if name in symbols:
        return name
    raise unknown_name("symbol", str(name), [*model.ids, *symbols], f"model {model.name!r}")


def check_own(model: Model, name: str, symbol: Symbol) -> None:
    """Refuse to set or treat a constant by the name of one of several instances that share it.

    Raises
    ------
    ValueSettingError
        Since it would change in the others too.
    """
    if symbol.role != "constant" or _own(name, symbol):
        return
    sharers = [o for o, flat in model.ids.items() if flat == symbol.id and "." in o and not _own(o, symbol)]
    if len(sharers) < 2:
        return
    raise ValueSettingError(
        f"{name!r} is not a value of its own: {len(sharers)} instances share {symbol.id!r}"
        f" ({', '.join(sharers[:3])}{', ...' if len(sharers) > 3 else ''}); use {symbol.id!r} for all of them, or give"
        f" {name!r} a row in the parameters.tsv of a composition of your own (`extends`)"
    )


def _own(name: str, symbol: Symbol) -> bool:
    return name.replace(".", "__") == symbol.id


def checked_values(
    model: Model, symbols: Mapping[str, Symbol], values: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[xr.DataArray]]:
    """Resolve the names of the values and check every number."""
    if not isinstance(values, Mapping):
        raise ValueSettingError(f"values is {type(values).__name__}; give a mapping of names to numbers or DataArrays")
    names: dict[str, str] = {}
    arrays = []
    for name in values:
        flat = flat_id(model, symbols, name)
        if flat in names:
            raise ValueSettingError(f"values {names[flat]!r} and {name!r} are the same quantity {flat!r}; give one")
        names[flat] = name
        _check_settable(name, symbols[flat])
        check_own(model, name, symbols[flat])
        array = _array(name, values[name])
        _check_numbers(model, name, symbols[flat], array)
        arrays.append(array)
    return tuple(names), arrays


def own_values(model: Model, symbols: Mapping[str, Symbol], values: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the values of one patient by flat id.

    Raises
    ------
    ValueSettingError
        If they are no mapping of names to single numbers that the model can take.
    """
    names, arrays = checked_values(model, symbols, {} if values is None else values)
    several = next((name for name, array in zip(names, arrays, strict=True) if array.ndim), "")
    if several:
        raise ValueSettingError(f"value of {several!r} is an array; give one number, that of one patient")
    return {name: float(array) for name, array in zip(names, arrays, strict=True)}


def _check_settable(name: str, symbol: Symbol) -> None:
    where = f"{name!r}" if name == symbol.id else f"{name!r} ({symbol.id!r})"
    if symbol.role == "computed":
        raise ValueSettingError(
            f"{where} is computed by a formula and cannot be given a value; set the parameters of its formula, or of"
            " the module that drives it"
        )
    if symbol.role == "rate":
        raise ValueSettingError(f"{where} is a reaction; set the parameters of its rate law")


def _array(name: str, value: Any) -> xr.DataArray:
    import xarray as xr

    if not isinstance(value, xr.DataArray):
        try:
            if hasattr(value, "to_xarray"):
                value = value.to_xarray()
            unnamed = 0 if isinstance(value, xr.DataArray) else np.ndim(value)
            value = value if unnamed else xr.DataArray(value)
        except (TypeError, ValueError) as error:
            raise ValueSettingError(f"value of {name!r} is {type(value).__name__}: {error}; give a number") from None
        if unnamed:
            raise ValueSettingError(
                f"value of {name!r} is {type(value).__name__} with {unnamed} unnamed dimension(s); name them:"
                f' xarray.DataArray(..., dims="sample")'
            )
    if value.dtype.kind not in "biuf":
        shown = repr(value.item())[:80] if not value.ndim else f"an array of {value.dtype}"
        raise ValueSettingError(f"value of {name!r} is {shown}; give real numbers")
    for dim in value.dims:
        if dim in _RESERVED:
            raise ValueSettingError(
                f"value of {name!r} has the dimension {dim!r}, which a result uses itself; rename it"
            )
    if not value.size:
        raise ValueSettingError(f"value of {name!r} is empty: dimensions {dict(value.sizes)}")
    array: xr.DataArray = value.astype(float)
    return array


def _check_numbers(model: Model, name: str, symbol: Symbol, array: xr.DataArray) -> None:
    numbers = array.values
    if not np.isfinite(numbers).all():
        bad = numbers[~np.isfinite(numbers)]
        raise ValueSettingError(
            f"value of {name!r}: {bad.size} of {numbers.size} are {bad.flat[0]}; give finite numbers"
        )
    row = model.table.get(symbol.id)
    positive = (row is not None and row.lower is not None and row.lower >= 0) or symbol.kind == "species"
    if positive and (numbers < 0).any():
        bound = "" if row is None or row.lower is None else f" (its table says at least {row.lower:g} {row.unit})"
        raise ValueSettingError(f"value of {name!r} is {numbers.min():g}, which is negative{bound}; give 0 or more")
    if symbol.kind == "compartment" and (numbers <= 0).any():
        raise ValueSettingError(f"size of compartment {name!r} is {numbers.min():g} {symbol.unit}; give more than 0")


def broadcast(keys: tuple[str, ...], arrays: list[xr.DataArray]) -> tuple[xr.DataArray, list[NDArray[np.float64]]]:
    """Return an array with the dimensions and coordinates of all runs, and for each key its values over them.

    The values are views: patients x arms take the memory of patients + arms.
    """
    import xarray as xr

    if not arrays:
        return xr.DataArray(0.0), []
    try:
        dimensions = {dim for array in arrays for dim in array.dims}
        labels = [[key for key in array.coords if key in dimensions and not array[key].ndim] for array in arrays]
        same = xr.align(*(array.drop_vars(old) for array, old in zip(arrays, labels, strict=True)), join="exact")
        full = xr.broadcast(*same)
    except (ValueError, xr.AlignmentError) as error:
        shapes = ", ".join(f"{key}: {dict(array.sizes)}" for key, array in zip(keys, arrays, strict=True) if array.ndim)
        raise ValueSettingError(
            f"the dimensions of the values do not match ({shapes}): {error}; arrays with the same dimension need the"
            " same length and coordinates"
        ) from None
    dims = full[0].dims
    coords = xr.merge([array.coords.to_dataset() for array in full], compat="minimal", join="exact").coords
    sample = xr.DataArray(np.zeros(full[0].shape), dims=dims, coords=coords)
    return sample, [array.transpose(*dims).values for array in full]
