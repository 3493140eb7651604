"""Bad results of other tools, and bad requests to the export as PEtab."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import cascade
from bad_input.case import STATUS, Case, Door
from bad_input.opened import as_nobody
from bad_input.runs import wnt
from cascade.export.petab import write_petab

HEAD = "time,c_bcat\n"
TIME = {"time": [0.0, 1.0]}
RESULTS = ("results", "{}/run.csv", "wnt", "--tool", "cascade")
PETAB = ("results", "{}/run.tsv", "wnt")
LONG = ("observableId", "simulationConditionId", "time", "simulation")


def read(source: Any, tool: Any = "cascade") -> str:
    """Read results; return the status."""
    found = cascade.read_results(source, wnt(), tool=tool)
    return f"{found['status'].values.ravel().tolist()} {found.sizes}"


def csv(text: bytes | str | Callable[[Path], object], name: str = "run.csv", tool: Any = "cascade") -> Door:
    """Return a door: a file, of this text or made by a function, is read."""

    def door(folder: Path) -> str:
        path = folder / name
        if callable(text):
            text(path)
        else:
            path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read(path, tool)

    return door


def rows(*lines: str) -> Door:
    """Return a door: a file with the usual header and these lines."""
    return csv(HEAD + "".join(f"{line}\n" for line in lines))


def long(*lines: Sequence[str], head: Sequence[str] = LONG) -> Door:
    """Return a door: a PEtab simulation table with these cells."""
    return csv("".join("\t".join(line) + "\n" for line in (head, *lines)), "run.tsv", None)


def table(columns: dict[str, Any], **settings: Any) -> Door:
    return lambda folder: read(pd.DataFrame(columns, **settings))


def named(values: Any, names: Any) -> Door:
    """Return a door: an array with column names, as libRoadRunner gives it."""

    class Named(np.ndarray):
        colnames: Any

    def door(folder: Path) -> str:
        array = np.array(values).view(Named)
        array.colnames = names
        return read(array)

    return door


def unreadable(folder: Path) -> str:
    path = folder / "run.csv"
    path.write_text(HEAD + "0,1\n")
    assert "ok" in read(path), "what is imported must be so before the rights are given up"
    path.chmod(0)
    with as_nobody():
        return read(path)


def saved() -> bytes:
    sink = io.BytesIO()
    np.savez(sink, time=[0.0, 1.0])
    return sink.getvalue()


def measured(**changes: Any) -> Door:
    """Return a door: a PEtab problem of one measurement."""
    cells_ = {"observableId": "obs_c_axin", "time": 1.0, "measurement": 1.0, **changes}
    return problem(measurements=pd.DataFrame([cells_]))


def problem(**settings: Any) -> Door:
    return lambda folder: write_petab(settings.pop("model", None) or wnt(), folder / "petab", **settings)


def twice(folder: Path) -> Any:
    frame = pd.DataFrame([["obs_c_axin", 1.0, 1.0, 2.0]], columns=["observableId", "time", "measurement", "time"])
    return write_petab(wnt(), folder, measurements=frame)


def taken(folder: Path) -> Any:
    (folder / "petab").write_text("mine")
    return write_petab(wnt(), folder / "petab")


A, B, LATE = ("c_bcat", "a", "0", "1"), ("c_bcat", "b", "0", "1"), ("c_bcat", "b", "5", "1")
ISH = "the table holds something else than numbers: {} in row {}.*write 0.5 or 5e-1"

FILES = (
    Case("nothing", csv(b""), "AnalysisError", "as a table with a header", RESULTS),
    Case("blank lines", csv("\n\n \n"), "AnalysisError", "as a table with a header|no column or index is called time", RESULTS),
    Case("header alone", csv(HEAD), "AnalysisError", "the table has no rows", RESULTS),
    Case("time alone", csv("time\n0\n1\n"), "AnalysisError", "no column beside the time", RESULTS),
    Case("no time", csv("c_bcat\n1\n2\n"), "AnalysisError", "no column or index is called time; name it so.*'c_bcat'", RESULTS),
    Case("time in hours", csv("time [h],c_bcat\n0,1\n"), "AnalysisError", "no column or index is called time", RESULTS),
    Case("two times", csv("time,Time,c_bcat\n0,0,1\n"), "AnalysisError", "several columns are a time: time, Time; leave one", RESULTS),
    Case("time twice", csv("time,time,c_bcat\n0,0,1\n"), "AnalysisError", "column 'time' stands twice; leave one", RESULTS),
    Case("column twice", csv("time,c_bcat,c_bcat\n0,1,2\n"), "AnalysisError", "run.csv: column 'c_bcat' stands twice", RESULTS),
    Case("column twice by other names", csv("time,c_bcat,wnt.c_bcat\n0,1,2\n"), "AnalysisError", "are both 'c_bcat'; leave one", RESULTS),
    Case("column without a name", csv(",time,c_bcat\n0,0,1\n"), "AnalysisError", "column 1 has no name; name it, or drop it", RESULTS),
    Case("unknown column", csv("time,c_bcatt\n0,1\n"), "UnknownNameError", "no symbol 'c_bcatt' in model 'wnt'.*did you mean 'c_bcat'", RESULTS),
    Case("formula for a name", csv("time,=1+1\n0,1\n"), "UnknownNameError", "no symbol '=1.1'", RESULTS),
    Case("3 million columns", csv("time" + "," * 3_000_000 + "\n"), "AnalysisError", "3000001 columns; the limit is", RESULTS),
    Case("name of a million letters", csv(f"time,{'x' * 1_000_000}\n0,1\n"), "AnalysisError", "line 1: field larger than field limit", RESULTS),
    Case("comma for a point", rows("0,1,5", "1,2,5"), "AnalysisError", "line 2: 3 cells under 2 names; .* with a point", RESULTS),
    Case("comma at the end", rows("0,1,", "1,2,"), "AnalysisError", "line 2: 3 cells under 2 names", RESULTS),
    Case("long row", rows("0,1", "1,2,3"), "AnalysisError", "line 3: 3 cells under 2 names", RESULTS),
    Case("short row", rows("0,1", "1"), "AnalysisError", "line 3: 1 cells under 2 names; .* leave no cell out", RESULTS),
    Case("semicolons", csv("time;c_bcat\n0;1\n"), "AnalysisError", "called time; .*the columns are 'time;c_bcat'", RESULTS),
    Case("row of units", rows("day,nM", "0,1"), "AnalysisError", ISH.format("'day'", 1), RESULTS),
    Case("row of units without time", rows("0,nM", "1,1"), "AnalysisError", ISH.format("'nM'", 1), RESULTS),
    Case("formula", rows("0,1", "1,=1+1"), "AnalysisError", ISH.format("'=1.1'", 2), RESULTS),
    Case("truth", rows("0,True", "1,False"), "AnalysisError", ISH.format("True", 1), RESULTS),
    Case("underscores", rows("0,1_0", "1,2_0"), "AnalysisError", ISH.format("'1_0'", 1), RESULTS),
    Case("digits of another script", rows("0,٣"), "AnalysisError", ISH.format("'٣'", 1), RESULTS),
    Case("hexadecimal", rows("0,0x10"), "AnalysisError", ISH.format("'0x10'", 1), RESULTS),
    Case("exponent of Fortran", rows("0,1.5D+00"), "AnalysisError", ISH.format("'1.5D.00'", 1), RESULTS),
    Case("complex", rows("0,1+2j"), "AnalysisError", ISH.format("'1.2j'", 1), RESULTS),
    Case("dates", rows("2024-01-01,1"), "AnalysisError", ISH.format("'2024-01-01'", 1), RESULTS),
    Case("cell of 100,000 letters", rows("0," + "x" * 100_000), "AnalysisError", r"numbers: 'x{59}\.\.\. in row 1", RESULTS),
    Case("quote without end", rows('0,"1', "1,2"), "AnalysisError", "line . ?|EOF inside string|cells under", RESULTS),
    Case("times that fall", rows("1,1", "0,2"), "AnalysisError", "time 0 in row 2: .*rise from row to row", RESULTS),
    Case("times that repeat", rows("0,1", "0,2"), "AnalysisError", "time 0 in row 2: .*drop rows that come twice", RESULTS),
    Case("time NaN", rows("0,1", "nan,2"), "AnalysisError", "time nan in row 2: the times must be finite", RESULTS),
    Case("time infinite", rows("0,1", "inf,2"), "AnalysisError", "time inf in row 2: the times must be finite", RESULTS),
    Case("NaN", rows("0,1", "1,nan"), STATUS, "not finite: c_bcat is nan at day 1", RESULTS),
    Case("cell left out", rows("0,1", "1,"), STATUS, "not finite: c_bcat is nan at day 1", RESULTS),
    Case("number too large", rows("0,1", "1,1e400"), STATUS, "not finite: c_bcat is inf at day 1", RESULTS),
    Case("null byte", rows("0,1\0"), "FileError", "holds a null byte, so it is binary or UTF-16; save it", RESULTS),
    Case("UTF-16", csv((HEAD + "0,1\n").encode("utf-16")), "FileError", "not UTF-8 text .*save it as UTF-8", RESULTS),
    Case("latin-1", csv("time,größe\n0,1\n".encode("latin-1")), "FileError", "not UTF-8 text .*save it as UTF-8", RESULTS),
    Case("pickle", csv(pickle.dumps(list(range(9)))), "FileError", "not UTF-8 text", RESULTS),
    Case("pickle of letters", csv(pickle.dumps({"time": 1}, 0)), "AnalysisError", "called time|cells under", RESULTS),
    Case("pickle called npz", csv(pickle.dumps([1]), "run.npz"), "FileError", "not UTF-8 text", ("results", "{}/run.npz", "wnt")),
    Case("arrays of numpy", csv(saved(), "run.npz"), "FileError", "not UTF-8 text|null byte", ("results", "{}/run.npz", "wnt")),
    Case("100 MB", csv(lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 10**8)), "FileError", "100000000 bytes; the limit is", RESULTS),
    Case("folder", csv(Path.mkdir), "FileError", "it is no regular file; give the path", RESULTS),
    Case("pipe", csv(os.mkfifo), "FileError", "it is no regular file", RESULTS),
    Case("endless device", csv(lambda path: path.symlink_to("/dev/zero")), "FileError", "it is no regular file", RESULTS),
    Case("link to itself", csv(lambda path: path.symlink_to(path)), "FileError", "symbolic links|cannot read", RESULTS),
    Case("lost", csv(lambda path: None), "FileError", "No such file or directory; look at the path", RESULTS),
    Case("unreadable", unreadable, "FileError", "Permission denied; choose a place that you may use"),
    Case("null byte in the path", lambda folder: read("a\0b"), "FileError", "embedded null byte"),
    Case("integer of 5,000 digits", table({**TIME, "c_bcat": [10**5000, 1]}), "AnalysisError", ISH.format("a number too large to write .int.", 1)),
)  # fmt: skip

OTHERS = (
    Case("no source", lambda folder: read(None), "AnalysisError", "cannot read results from NoneType; give a file"),
    Case("table of complex numbers", table({**TIME, "c_bcat": [1j, 2]}), "AnalysisError", ISH.format("1j", 1)),
    Case("table of truths", table({**TIME, "c_bcat": [True, False]}), "AnalysisError", ISH.format("True", 1)),
    Case("table of dates", table({**TIME, "c_bcat": pd.to_datetime(["2020", "2021"])}), "AnalysisError", ISH.format("Timestamp.*", 1)),
    Case("table of lists", table({**TIME, "c_bcat": [[1], [2]]}), "AnalysisError", ISH.format(r"\[1\]", 1)),
    Case("integer without end", table({**TIME, "c_bcat": [10**400, 1]}), "AnalysisError", ISH.format(r"10{59}\.\.\.", 1)),
    Case("table of durations", table({"c_bcat": [1, 2]}, index=pd.Index(pd.to_timedelta([0, 1], unit="D"), name="time")), "AnalysisError", ISH.format("Timedelta.*", 1)),
    Case("names fewer than columns", named([[0.0, 1.0]], ["time"]), "AnalysisError", "with column names .*one a column"),
    Case("names that are a number", named([[0.0, 1.0]], 3), "AnalysisError", "with column names"),
    Case("array of texts", named([["0", "many"]], ["time", "c_bcat"]), "AnalysisError", ISH.format(".*many.*", 1)),
    Case("unknown tool", lambda folder: read(pd.DataFrame(TIME), "vcell"), "UnknownNameError", "no tool 'vcell'", (*RESULTS[:3], "--tool", "vcell")),
    Case("tools in a list", lambda folder: read(pd.DataFrame(TIME), ["cascade"]), "UnknownNameError", "no tool .*did you mean 'cascade'"),
)  # fmt: skip

SIMULATIONS = (
    Case("PEtab: no rows", long(), "AnalysisError", "the PEtab table has no rows", PETAB),
    Case("PEtab: times that differ", long(A, B, LATE), "AnalysisError", "conditions 'a', 'b' of the PEtab table have different times", PETAB),
    Case("PEtab: observables that differ", long(A, ("c_bcat_membrane", "b", "0", "1")), "AnalysisError", "different times or observables; read them one by one", PETAB),
    Case("PEtab: times of observables that differ", long(A, ("c_bcat_membrane", "a", "1", "1")), "AnalysisError", "observables of the PEtab table have different times", PETAB),
    Case("PEtab: replicates", long(A, A), "AnalysisError", "an observable twice at one time; leave one replicate", PETAB),
    Case("PEtab: no observable", long(A, ("", "a", "1", "2")), "AnalysisError", "no observableId or no time in row 2", PETAB),
    Case("PEtab: no time", long(A, ("c_bcat", "a", "", "2")), "AnalysisError", "no observableId or no time in row 2", PETAB),
    Case("PEtab: steady state", long(A, ("c_bcat", "a", "inf", "2")), "AnalysisError", "times must be finite; leave out steady states", PETAB),
    Case("PEtab: condition left out", long(A, LATE, ("c_bcat", "", "7", "2")), "AnalysisError", "conditions '', 'a', 'b' of the PEtab", PETAB),
    Case("PEtab: text", long(A, ("c_bcat", "a", "1", "many")), "AnalysisError", ISH.format("'many'", 2), PETAB),
    Case("PEtab: two kinds of condition", long((*A, "x"), (*B, "y"), head=(*LONG, "experimentId")), "AnalysisError", "several simulationConditionId and several experimentId", PETAB),
    Case("PEtab: column twice", long((*A, "2"), head=(*LONG, "simulation")), "AnalysisError", "column 'simulation' stands twice", PETAB),
    Case("PEtab: unknown observable", long(("c_nought", "a", "0", "1")), "UnknownNameError", "no symbol 'c_nought'", PETAB),
    Case("PEtab: one condition of NaN", long(A, ("c_bcat", "b", "0", "nan")), STATUS, "'ok', 'not finite: c_bcat is nan at day 0|run.tsv: not finite: c_bcat is nan", PETAB),
)  # fmt: skip

EXPORT = ("export", "wnt", "--format", "petab", "--out")
EXPORTS = (
    Case("PEtab of no model", problem(model="wnt"), "ValueSettingError", "give a Model, made by compose"),
    Case("PEtab of version 3", problem(version=3), "CascadeError", "PEtab version .*3.*1 (and|or) 2", (*EXPORT, "{}/p", "--version", "3")),
    Case("treatments in a list", problem(treatments=[cascade.inhibit("a_wnt", 0.5)]), "ValueSettingError", "give a mapping of names to interventions"),
    Case("treatment with a blank", problem(treatments={"a b": cascade.inhibit("a_wnt", 0.5)}), "ValueSettingError", "'a b': the name becomes an id"),
    Case("treatment called untreated", problem(treatments={"untreated": cascade.inhibit("a_wnt", 0.5)}), "ValueSettingError", "stands for another condition"),
    Case("treatment of a number", problem(treatments={"a": 3}), "ValueSettingError", "give an intervention or a list of them"),
    Case("years of a problem 0", problem(years=0), "ValueSettingError", "years is 0"),
    Case("measurements in a list", problem(measurements=[1]), "ValueSettingError", "measurements lack observableId, time, measurement; give a table"),
    Case("measurements of nothing", problem(measurements=pd.DataFrame(columns=["observableId", "time", "measurement"])), "ValueSettingError", "measurements lack rows"),
    Case("measurement of nothing known", measured(observableId="obs_nought"), "UnknownNameError", "no observable 'obs_nought' in the problem .row 0"),
    Case("measurement NaN", measured(measurement=float("nan")), "ValueSettingError", "row 0 of the measurements: .*give finite"),
    Case("measurement without end", measured(measurement=10**400), "ValueSettingError", "row 0 of the measurements: .*give finite"),
    Case("measurement that is true", measured(measurement=True), "ValueSettingError", "row 0 of the measurements: .*give finite"),
    Case("measurement with an underscore", measured(measurement="1_0"), "ValueSettingError", "row 0 of the measurements: .*'1_0'; give finite"),
    Case("measurement before the start", measured(time=-1), "ValueSettingError", "row 0 of the measurements: time -1.*a day from 0 on"),
    Case("measurement of an unknown treatment", measured(treatment="drug"), "UnknownNameError", "no treatment 'drug' in the problem"),
    Case("measurement with an experiment", measured(experimentId="drug"), "ValueSettingError", "experimentId, which PEtab fills from the column treatment"),
    Case("column of measurements twice", twice, "ValueSettingError", "measurements have the columns time, which stand twice"),
    Case("PEtab over a file", taken, "FileError", "cannot make the folder .*File exists", ("export", "wnt", "--format", "petab", "--out", "{}/petab")),
)  # fmt: skip

CASES = (*FILES, *OTHERS, *SIMULATIONS, *EXPORTS)
