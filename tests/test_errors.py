"""What fails below a public verb, in libSBML, libRoadRunner, Antimony, SALib, Zarr or the file system, comes out as an
error of cascade's tree. The catalog of bad input (`test_bad_input.py`) shows the same for what users give.
"""

from __future__ import annotations

import ast
import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bad_input.analyses import analyzed, evaluated, followed, scanned
from bad_input.compositions import pair
from bad_input.modules import built, module
from bad_input.runs import constant, run, state, wnt

import cascade
from cascade import _canonical, _sbml, ensemble
from cascade.build import build_module
from cascade.engine import REASONS, classify, load_roadrunner
from cascade.errors import AnalysisError, CascadeError, FileError, ModuleError, SBMLError, SimulationError
from cascade.specs import Solver

ROOT = Path(cascade.__file__).parent
Door = Callable[[Path], Any]


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*given: Any, **more: Any) -> Any:
        raise error

    return fail


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what is compiled and read, so that every door is used again."""
    monkeypatch.setattr(ensemble, "_local", type(ensemble._local)())
    for kept in (_canonical.symbol_table, _canonical._canonicalize, _sbml._checked):
        kept.cache_clear()


# ---- libRoadRunner

SIMULATING: dict[str, Door] = {
    "simulate": lambda folder: run(),
    "evaluate": evaluated(),
    "analyze": analyzed(samples=2),
    "bifurcation": scanned(),
    "settle_top": lambda folder: cascade.settle_top(wnt(), f"final:{state()}", budget=200, years=0.01),
    "gene_view": lambda folder: cascade.gene_view(wnt(), "AXIN1", readout=f"final:{state()}", years=0.01),
}


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("verb", SIMULATING)
def test_a_model_that_libroadrunner_does_not_load(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wnt(), constant()
    monkeypatch.setattr(load_roadrunner(), "RoadRunner", failing(RuntimeError("no compiler")))
    with pytest.raises(SimulationError, match="libRoadRunner cannot load the model: no compiler; check it with"):
        SIMULATING[verb](tmp_path)


def test_a_model_of_a_cohort_that_libroadrunner_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    followed({"n_nought": 1})  # so that the model is composed before
    monkeypatch.setattr(load_roadrunner(), "RoadRunner", failing(RuntimeError("no compiler")))
    with pytest.raises(SimulationError, match="libRoadRunner cannot load the model: no compiler"):
        followed({"n_dormant": 1})(tmp_path)


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("text", [*REASONS, "something new"])
def test_a_run_that_libroadrunner_gives_up(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_roadrunner().RoadRunner, "simulate", failing(RuntimeError(f"CVODE Error: {text}")))
    # so few steps are made in this process, whatever they take
    assert run(solver=Solver(maximum_steps=10)) == classify(f"CVODE Error: {text}")
    with pytest.raises(AnalysisError, match="the run at a_wnt = 1 failed: "):
        scanned()(Path())


# ---- libSBML and Antimony

READING: dict[str, Door] = {
    "compose a module": lambda folder: cascade.compose(cascade.load_module(built() / "source")),
    "compose": pair(),
    "treat": lambda folder: cascade.treat(wnt(), cascade.inhibit("a_wnt", by=0.5)),
    "simulate": lambda folder: run(),
    "quasi_steady": lambda folder: cascade.quasi_steady(cascade.load_module("wnt"), ["c_bcat_membrane"]),
    "load_module": lambda folder: cascade.load_module("wnt"),
}


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("verb", READING)
def test_a_document_that_libsbml_refuses(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wnt(), built()
    cascade.compose.__globals__["_local_symbols"].cache_clear()
    for file in ("_sound", "quasi_steady", "_starts"):
        for each in vars(sys.modules[f"cascade.{file}"]).values():
            getattr(each, "cache_clear", int)()
    _sbml.refuse_odd_math.cache_clear()
    read = _sbml.libsbml.readSBMLFromString
    monkeypatch.setattr(_sbml.libsbml, "readSBMLFromString", lambda text: read("<sbml/>"))
    with pytest.raises(SBMLError, match=r"\[libSBML \d+\]"):
        READING[verb](tmp_path)


def test_a_composition_that_libsbml_does_not_flatten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sbml.libsbml.SBMLDocument, "convert", lambda *given: -1)
    with pytest.raises(SBMLError, match="pair: libSBML cannot flatten the composition"):
        pair()(tmp_path)


@pytest.mark.parametrize("error", [UnicodeDecodeError("utf-8", b"\xd9", 0, 1, "invalid"), None])
def test_a_structure_that_antimony_refuses(error: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import antimony

    path = module(tmp_path)
    monkeypatch.setattr(antimony, "loadAntimonyString", lambda text: -1)
    monkeypatch.setattr(antimony, "getLastError", failing(error) if error else lambda: "line 3: no")
    with pytest.raises(ModuleError, match=r"source\.ant: (line 3: no|cannot be read near a letter)"):
        build_module(path)


# ---- SALib

SALIB = {
    "morris": ("SALib.sample.morris", "sample"),
    "delta": ("SALib.analyze.delta", "calc_delta"),
    "pawn": ("SALib.analyze.pawn", "analyze"),
    "rbd_fast": ("SALib.analyze.rbd_fast", "compute_first_order"),
}


@pytest.mark.parametrize("error", [ValueError("odd"), ZeroDivisionError("odd"), IndexError("odd"), TypeError("odd")])
@pytest.mark.parametrize("method", SALIB)
def test_an_analysis_that_salib_cannot_make(
    method: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    __import__(SALIB[method][0])
    monkeypatch.setattr(sys.modules[SALIB[method][0]], SALIB[method][1], failing(error))
    more: dict[str, Any] = {"samples": 120, "points": 3}
    if method == "morris":
        more = {"samples": 2, "points": 3, "design_options": {"kind": "trajectories"}}
    with pytest.raises(AnalysisError, match=f"SALib cannot compute .*: {type(error).__name__}: odd; look at"):
        analyzed(method, **more)(tmp_path)


# ---- the file system and Zarr

FAULTS = [OSError(number, "") for number in (errno.EACCES, errno.EIO, errno.ENOSPC, errno.EMFILE)]
READ: dict[str, tuple[Door, type[CascadeError]]] = {
    "load_module": (lambda folder: cascade.load_module("wnt"), ModuleError),
    "load_composition": (lambda folder: cascade.load_composition("breast_lite"), CascadeError),
    "check": (lambda folder: cascade.check("wnt") and None, type(None)),  # type: ignore[dict-item]
    "validate": (lambda folder: cascade.validate("wnt"), CascadeError),
    "target_treatments": (lambda folder: cascade.target_treatments(wnt()), CascadeError),
}


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: errno.errorcode[error.errno])
@pytest.mark.parametrize("verb", READ)
def test_a_file_that_cannot_be_read(verb: str, error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wnt()
    door, kind = READ[verb]
    monkeypatch.setattr(Path, "read_text", failing(error))
    if verb == "check":
        assert "cannot read" in str(cascade.check("wnt").issues[0])
        return
    with pytest.raises(kind, match=r"cannot read .*; \w+"):
        door(tmp_path)


WRITE: dict[str, Door] = {
    "export": lambda folder: cascade.export(wnt(), folder / "a.xml"),
    "write_module": lambda folder: sys.modules["cascade.build"].write_module(module(folder)),
}


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: errno.errorcode[error.errno])
@pytest.mark.parametrize("verb", WRITE)
def test_a_file_that_cannot_be_written(
    verb: str, error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wnt()
    monkeypatch.setattr(Path, "write_text", failing(error))
    monkeypatch.setattr(Path, "write_bytes", failing(error))
    with pytest.raises(FileError, match=r"cannot write .*; \w+"):
        WRITE[verb](tmp_path)


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: errno.errorcode[error.errno])
@pytest.mark.parametrize("door", ["open_group", "to_zarr"])
def test_a_store_that_cannot_be_used(
    door: str, error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xarray as xr
    import zarr

    monkeypatch.setattr(*((zarr, door) if door == "open_group" else (xr.Dataset, door)), failing(error))
    with pytest.raises(FileError, match=r"cannot use the store .*a\.zarr: .*; \w+"):
        evaluated(store=lambda folder: folder / "a.zarr")(tmp_path)


def test_a_result_that_memory_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    run()
    monkeypatch.setattr(np, "full", failing(MemoryError()))
    with pytest.raises(CascadeError, match="more than this machine can hold: name fewer symbols"):
        run()


# ---- no other way out

DOORS = {
    "RoadRunner": {"_fates.py", "engine.py", "certify/_roadrunner.py"},
    "loadAntimonyString": {"build.py", "own/foreign.py", "export/antimony.py"},
    "readSBMLFromFile": set(),
    "readSBML": set(),
    "writeSBMLToFile": set(),
    "open_group": {"_store.py"},
    "open_zarr": {"_store.py"},
    "to_zarr": {"_store.py"},
    "to_netcdf": {"_files.py"},
    "to_csv": {"_files.py"},
    "system": set(),
    "popen": set(),
    "extractall": set(),
    "exec": {"certify/_emit.py"},
    "eval": {"_starts.py"},
}
"""Calls of foreign doors and the files that may make them."""

MAY_UNPICKLE = {"_workers.py", "ensemble.py"}
IMPORTS = {
    "antimony": {"build.py", "own/foreign.py", "export/antimony.py"},
    "roadrunner": {"engine.py", "certify/_roadrunner.py"},
    "zarr": {"_store.py"},
    "pickle": {"_workers.py", "ensemble.py"},
    "urllib": set(),
    "requests": set(),
    "socket": set(),
    "http": set(),
}


def called() -> list[tuple[str, str, str]]:
    """Return every call in the package: file, what it is called on, name."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                on = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found.append((path.relative_to(ROOT).as_posix(), on, name))
    return found


def test_foreign_doors_are_used_in_their_files_only() -> None:
    for file, on, name in called():
        own = on.startswith(("self", "cascade")) or (name == "eval" and on)
        if name in DOORS and not own and not (name == "system" and on != "os"):
            assert file in DOORS[name], f"{file} calls {on}.{name}"
        if on == "pickle" and name in ("load", "loads"):
            assert file in MAY_UNPICKLE, f"{file} unpickles"


def test_foreign_libraries_are_imported_in_their_files_only() -> None:
    for path in sorted(ROOT.rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for name in names:
                top = name.partition(".")[0]
                if top == "SALib":
                    assert file.startswith("sensitivity/"), f"{file} imports {name}"
                assert file in IMPORTS.get(top, {file}), f"{file} imports {name}"


def test_salib_is_asked_behind_its_door() -> None:
    """Every function that imports SALib carries the decorator that turns its errors."""
    for path in sorted((ROOT / "sensitivity").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(
                isinstance(each, ast.ImportFrom) and (each.module or "").startswith("SALib") for each in ast.walk(node)
            ):
                assert any("asking_salib" in ast.unparse(each) for each in node.decorator_list), (
                    f"{path.name}: {node.name}"
                )
