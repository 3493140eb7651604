"""Reads tables of numbers from outside: each column has a name of its own, each cell is a number as all tools read it.

pandas takes a first column too many for row labels, renames a column that stands twice, reads `True` as 1, and turns
`1_0` and digits of other scripts into numbers; here these are refused.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._files import read_text
from cascade._tables import real_number
from cascade.errors import AnalysisError, CascadeError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MAX_COLUMNS = 100_000
"""More columns than any model has symbols; pandas needs gigabytes for a line of commas."""

TIMES = ("time", "Time", "# Time", "t")

_SHOWN = 60
"""Characters of a cell or a name that a message repeats."""


def read_frame(source: Any) -> pd.DataFrame:
    """Return a table of a file, of pandas or of libRoadRunner; its cells are not looked at.

    Raises
    ------
    AnalysisError
        If it is no table, has rows of other lengths than its header, or a column without a name or of one that stands
        twice.
    FileError
        If a file cannot be read.
    """
    import pandas as pd

    if isinstance(source, str | Path):
        return _file(Path(source))
    if isinstance(source, pd.DataFrame):
        _check_names([str(name) for name in source.columns], "the table")
        return source.copy()
    names = getattr(source, "colnames", None)
    if isinstance(names, Sequence) and np.ndim(source) == 2 and np.shape(source)[1] == len(names):
        _check_names([str(name) for name in names], "the array")
        return pd.DataFrame(np.asarray(source), columns=list(names))
    raise AnalysisError(
        f"cannot read results from {type(source).__name__}; give a file, a DataFrame, or an array with column names"
        " (roadrunner.Config PYTHON_ENABLE_NAMED_MATRIX), one a column"
    )


def _file(path: Path) -> pd.DataFrame:
    import pandas as pd

    text = read_text(path)
    separator = "\t" if path.suffix in (".tsv", ".txt", ".tab") else ","
    _check_rows(text, separator, path)
    try:
        return pd.read_csv(io.StringIO(text), sep=separator, index_col=False, low_memory=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise AnalysisError(f"cannot read {path} as a table with a header: {error}") from None


def _check_rows(text: str, separator: str, path: Path) -> None:
    """Refuse rows that are longer or shorter than the header."""
    header: list[str] = []
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        for row in rows:
            if not header:
                header = [] if _blank(row) else row
                _check_names(header, str(path))
            elif len(row) != len(header) and not _blank(row):
                raise AnalysisError(
                    f"{path}, line {rows.line_num}: {len(row)} cells under {len(header)} names; separate cells by"
                    f" {'tabs' if separator == '	' else 'commas'}, write 0.5 with a point, and leave no cell out"
                )
    except csv.Error as error:
        raise AnalysisError(f"cannot read {path} as a table with a header: line {rows.line_num}: {error}") from None


def _blank(row: Sequence[str]) -> bool:
    """Tell whether a line holds nothing, so that pandas leaves it out."""
    return len(row) <= 1 and not "".join(row).strip()


def _check_names(names: Sequence[str], where: str) -> None:
    if len(names) > MAX_COLUMNS:
        raise AnalysisError(f"{where}: {len(names)} columns; the limit is {MAX_COLUMNS}")
    seen: set[str] = set()
    for place, name in enumerate(names, 1):
        if not name.strip():
            raise AnalysisError(f"{where}: column {place} has no name; name it, or drop it if it counts rows")
        if name.strip() in seen:
            raise AnalysisError(f"{where}: column {_shown(name)} stands twice; leave one")
        seen.add(name.strip())


def _shown(cell: object) -> str:
    try:
        text = repr(cell)
    except ValueError:  # an integer of thousands of digits
        text = f"a number too large to write ({type(cell).__name__})"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def numbers(column: pd.Series[Any], name: object) -> NDArray[np.float64]:
    """Return the numbers of a column; a cell that is missing is NaN.

    Raises
    ------
    AnalysisError
        If a cell is something else; a number as text is one.
    """
    if column.dtype.kind in "iuf":
        return np.asarray(column.to_numpy(dtype=float, na_value=np.nan))
    found = np.empty(len(column))
    missing = column.isna().to_numpy()
    for place, cell in enumerate(column):
        try:
            found[place] = np.nan if missing[place] else real_number(cell)
        except CascadeError:
            raise AnalysisError(
                f"the table holds something else than numbers: {_shown(cell)} in row {place + 1} of column"
                f" {_shown(name)}; leave out rows of units and texts, and write 0.5 or 5e-1"
            ) from None
    return found


def with_time(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the time as index and columns of numbers.

    Raises
    ------
    AnalysisError
        If there is no time, or not one, or it does not rise; if there is nothing else; if a cell is no number.
    """
    import pandas as pd

    named = [name for name in frame.columns if str(name).strip() in TIMES]
    if len(named) > 1:
        raise AnalysisError(f"several columns are a time: {', '.join(map(str, named))}; leave one")
    if named:
        frame = frame.set_index(named[0])
    elif frame.index.name not in TIMES:
        there = ", ".join(_shown(name) for name in frame.columns[:5])
        raise AnalysisError(f"no column or index is called time; name it so (the columns are {there})")
    if not len(frame) or not len(frame.columns):
        raise AnalysisError(f"the table has no {'rows' if not len(frame) else 'column beside the time'}")
    times = numbers(frame.index.to_series(), frame.index.name)
    columns = [numbers(frame.iloc[:, place], name) for place, name in enumerate(frame.columns)]
    wrong = ~np.isfinite(times)
    wrong[1:] |= ~(np.diff(times) > 0)
    if wrong.any():
        row = int(wrong.argmax())
        raise AnalysisError(
            f"time {times[row]:g} in row {row + 1}: the times must be finite and rise from row to row; drop rows that"
            " come twice"
        )
    return pd.DataFrame(np.column_stack(columns), index=pd.Index(times, name="time"), columns=frame.columns)
