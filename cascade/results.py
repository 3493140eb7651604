"""Results computed elsewhere become the Dataset that `cascade.simulate` gives: same labels, units and quantities."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cascade._canonical import Symbol, symbol_table
from cascade._time_courses import numbers, read_frame, with_time
from cascade.engine import OK, not_finite
from cascade.errors import AnalysisError, ValueSettingError, unknown_name
from cascade.names import id_map
from cascade.simulate import OUTCOME
from cascade.specs import Model

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

Tool = Literal["cascade", "roadrunner", "tellurium", "copasi", "amici", "petab"]
Quantity = Literal["own", "amount", "concentration"]

TOOLS: dict[str, tuple[str, Quantity]] = {
    "cascade": ("flat", "own"),
    "roadrunner": ("flat", "amount"),
    "tellurium": ("flat", "amount"),
    "copasi": ("copasi", "concentration"),
    "amici": ("amici", "own"),
    "petab": ("petab", "own"),
}
"""By tool: the column of `id_map` with its names, and what the bare name of a species stands for there.

libRoadRunner and tellurium: `s` is an amount, `[s]` a concentration. COPASI through basico: a concentration, also of a
species that counts amounts. AMICI and PEtab: what the id means in formulas of the SBML."""

_PETAB = ("observableId", "time", "simulation")
_CONDITIONS = ("simulationConditionId", "experimentId")


def read_results(source: Any, model: Model, *, tool: Tool | None = None) -> xr.Dataset:
    """Read a time course that another tool computed from an export of a model.

    Parameters
    ----------
    source : str, Path, DataFrame or NamedArray
        A CSV or TSV file, a table of basico, AMICI, PEtab or pandas, or what `simulate` of libRoadRunner returns (with
        named columns). A column or the index is the time, in days.
    model : Model
        What was exported and simulated.
    tool : str, optional
        `cascade`, `roadrunner`, `tellurium`, `copasi`, `amici` or `petab`. Needed only where a column could mean two
        things: the amount or the concentration of a species whose compartment is not of size 1.

    Returns
    -------
    xarray.Dataset
        One variable per column over `time` (and `condition` of a PEtab table with several), under the flat id, with
        `units` and `long_name`, as concentration of a species unless it counts amounts: as `cascade.simulate` gives it.
        `status`, `rung` and attributes with the model and its hash.

    Raises
    ------
    UnknownNameError
        If a column is no name of a symbol of this model in that tool.
    AnalysisError
        If a column is ambiguous, comes twice, has no name or holds no numbers; if rows have other lengths than the
        header; if times are missing or do not rise, or differ between conditions.
    FileError
        If the file cannot be read.
    """
    if not isinstance(model, Model):
        raise ValueSettingError(f"read_results() was given the model {model!r}; give a Model, made by compose()")
    if tool is not None and (not isinstance(tool, str) or tool not in TOOLS):
        raise unknown_name("tool", str(tool), TOOLS, "read_results()")
    frame = read_frame(source)
    if set(_PETAB) <= set(frame.columns):
        return _petab(frame, model)
    frame = with_time(frame)
    return _dataset(frame, model, tool or _guess(frame, model))


def _guess(frame: pd.DataFrame, model: Model) -> Tool:
    """Tell the tool by its columns, where it matters."""
    columns = [str(name) for name in frame.columns]
    if any(name.startswith(("Values[", "Compartments[")) for name in columns):
        return "copasi"
    if any(name.startswith("[") and name.endswith("]") for name in columns):
        return "roadrunner"
    symbols, ids = symbol_table(model.flat), set(model.ids)
    species = [symbols[model.ids[name]] for name in columns if name in ids and model.ids[name] in symbols]
    sizes = _volumes(model, [each for each in species if each.kind == "species"])
    if any(size != 1.0 for size in sizes.values()):
        raise AnalysisError(
            "the columns can be amounts or concentrations, and a compartment is not of size 1: say which tool wrote"
            f" them, tool= one of {', '.join(TOOLS)}"
        )
    names = set(id_map(model)["copasi"]) - set(symbols)
    return "copasi" if any(name in names for name in columns) else "cascade"


def _dataset(frame: pd.DataFrame, model: Model, tool: Tool) -> xr.Dataset:
    import xarray as xr

    symbols = symbol_table(model.flat)
    found: dict[str, tuple[str, Quantity]] = {}
    known = _names(model, tool)
    for column in frame.columns:
        flat, quantity = _meaning(str(column), known, symbols, tool, model)
        if flat in found:
            raise AnalysisError(f"columns {found[flat][0]!r} and {column!r} are both {flat!r}; leave one of them")
        found[flat] = (column, quantity)
    data = {flat: frame[column].to_numpy(dtype=float) for flat, (column, _) in found.items()}
    sizes = _volumes(model, [symbols[flat] for flat in found if symbols[flat].kind == "species"], data)
    for flat, (_, quantity) in found.items():
        symbol = symbols[flat]
        if symbol.kind == "species" and quantity != "own":
            # simulate() gives amounts of species that count amounts, else concentrations
            with np.errstate(all="ignore"):  # a size of 0 gives what is not finite, and the status says so
                if symbol.amount and quantity == "concentration":
                    data[flat] = data[flat] * sizes[flat]
                elif not symbol.amount and quantity == "amount":
                    data[flat] = data[flat] / sizes[flat]
    status = _status(data, frame.index.to_numpy())
    variables: dict[str, Any] = {
        flat: ("time", values if status == OK else np.full_like(values, np.nan), _labels(symbols[flat]))
        for flat, values in data.items()
    }
    variables |= {"status": ((), status, OUTCOME["status"]), "rung": ((), 0 if status == OK else -1, OUTCOME["rung"])}
    times = ("time", frame.index.to_numpy(), {"units": "day", "long_name": "time"})
    attrs = {"model": model.name, "model_sha256": model.hash, "computed_by": tool}
    return xr.Dataset(variables, coords={"time": times}, attrs=attrs)


def _labels(symbol: Symbol) -> dict[str, str]:
    return {"units": symbol.unit, "long_name": symbol.name}


def _names(model: Model, tool: Tool) -> dict[str, str]:
    """Return the flat id of every name that a column may have."""
    table = id_map(model)
    names = dict(model.ids) | dict(zip(table["flat"], table["flat"], strict=True))
    names |= dict(zip(table["name"], table["flat"], strict=True))
    return names | dict(zip(table[TOOLS[tool][0]], table["flat"], strict=True))


def _meaning(
    column: str, known: Mapping[str, str], symbols: Mapping[str, Symbol], tool: Tool, model: Model
) -> tuple[str, Quantity]:
    bare: Quantity = TOOLS[tool][1]
    name = column.strip()
    if name in known:
        return known[name], bare
    if name.startswith("[") and name.endswith("]") and symbols.get(known.get(name[1:-1], ""), _NONE).kind == "species":
        return known[name[1:-1]], "concentration"
    if tool == "copasi":
        for ending in (".Flux", ".Volume"):
            if name.removesuffix(ending) in known:
                return known[name.removesuffix(ending)], bare
    raise unknown_name("symbol", column, known, f"model {model.name!r} as {tool} names it")


_NONE = Symbol(id="", name="", kind="parameter", role="constant", unit="")


def _volumes(
    model: Model, species: list[Symbol], data: Mapping[str, NDArray[np.float64]] | None = None
) -> dict[str, Any]:
    """Return the size of the compartment of each species: a number, or a column where it changes."""
    import libsbml

    document = libsbml.readSBMLFromString(model.flat).getModel()
    symbols = symbol_table(model.flat)
    sizes: dict[str, Any] = {}
    for each in species:
        place = document.getSpecies(each.id).getCompartment()
        compartment = symbols[place]
        if data is not None and place in data:
            sizes[each.id] = data[place]
        elif compartment.role == "constant" and compartment.initial is not None:
            sizes[each.id] = compartment.initial
        elif data is not None:
            raise AnalysisError(f"the size of {place!r} changes or is computed: give it as a column beside {each.id!r}")
        else:
            sizes[each.id] = np.nan
    return sizes


def _status(data: Mapping[str, NDArray[np.float64]], times: NDArray[np.float64]) -> str:
    for name, values in data.items():
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            return not_finite(name, float(values[bad[0]]), float(times[bad[0]]))
    return OK


def _petab(frame: pd.DataFrame, model: Model) -> xr.Dataset:
    """Read a PEtab simulation table: long, with one row per observable, condition and time."""
    import xarray as xr

    frame = _petab_cells(frame)
    keys: list[Hashable] = [name for name in _CONDITIONS if name in frame.columns and frame[name].nunique() > 1]
    if len(keys) > 1:
        raise AnalysisError(f"the PEtab table has several {' and several '.join(map(str, keys))}; leave one column")
    parts = {}
    for condition, rows in frame.groupby(keys[0]) if keys else [("", frame)]:
        if rows.duplicated(["observableId", "time"]).any():
            raise AnalysisError("the PEtab table has an observable twice at one time; leave one replicate")
        wide = rows.pivot(index="time", columns="observableId", values="simulation")
        if wide.size != len(rows):
            raise AnalysisError("the observables of the PEtab table have different times; read them one by one")
        parts[str(condition)] = _dataset(with_time(wide.rename_axis("time")), model, "petab")
    if not keys:
        return parts[""]
    first, *others = parts.values()
    if any(set(each) != set(first) or not each["time"].equals(first["time"]) for each in others):
        raise AnalysisError(
            f"the conditions {', '.join(map(repr, parts))[:200]} of the PEtab table have different times or"
            " observables; read them one by one"
        )
    joined = xr.concat(list(parts.values()), dim=xr.Variable("condition", list(parts)), combine_attrs="override")
    return joined.transpose("condition", "time")


def _petab_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a PEtab table with numbers and texts where they belong; a condition that is missing is ""."""
    frame = frame.reset_index(drop=True)
    if not len(frame):
        raise AnalysisError("the PEtab table has no rows")
    cells: dict[str, Any] = {name: numbers(frame[name], name) for name in ("time", "simulation")}
    lost = frame["observableId"].isna().to_numpy() | ~np.isfinite(cells["time"])
    if lost.any():
        raise AnalysisError(
            f"the PEtab table has no observableId or no time in row {int(lost.argmax()) + 1}: times must be finite;"
            " leave out steady states and empty rows"
        )
    texts = [name for name in ("observableId", *_CONDITIONS) if name in frame.columns]
    cells |= {name: ["" if lost else str(cell) for cell, lost in zip(frame[name], frame[name].isna(), strict=True)]
              for name in texts}  # fmt: skip
    return frame.assign(**cells)
