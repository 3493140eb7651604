"""What the child does with random input: it composes, reads and runs it, and says what came of it in plain data."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from folders import STRUCTURE, make_composition, number

import cascade
from bad_input.modules import built
from cascade._time_courses import TIMES
from cascade.engine import OK, REASONS
from cascade.errors import CascadeError
from cascade.sensitivity import uncertain
from cascade.sensitivity.priors import from_quantile
from cascade.specs import Model, Solver

CLASSES = (*(reason.partition(":")[0] for reason in REASONS.values()), "not finite:", "negative ", "time limit:")
"""How the reason of a failed run begins."""

QUICK = Solver(maximum_steps=2_000, time_limit=20.0)


def faults(model: Model, **settings: Any) -> list[str]:
    """Run a model for a short time; return what must never be said of a run."""
    run = cascade.simulate(model, **{"days": 1.0, "points": 3, "solver": QUICK, **settings})
    status = run["status"].values.ravel()
    found = [text for text in status if text != OK and not text.startswith(CLASSES)]
    good = run.where(run["status"] == OK)
    for name in run.data_vars:
        if "time" in run[name].dims:
            values = good[name].values[~np.isnan(np.broadcast_to(good["rung"].values[..., None], good[name].shape))]
            if not np.isfinite(values).all():
                found.append(f"{name} of a good run is not finite")
            unit = str(run[name].attrs["units"])
            if unit in ("cell", "cluster") and name.rpartition("__")[2].startswith("n_") and (values < -1e-3).any():
                found.append(f"{name} of a good run is {values.min():g}")
    return found


@contextmanager
def folder() -> Iterator[Path]:
    """Give a folder with the modules of the tests."""
    with tempfile.TemporaryDirectory() as place:
        for name in STRUCTURE:
            shutil.copytree(built() / name, Path(place) / name)
        yield Path(place)


def composition(question: tuple[dict[str, str], dict[str, str]]) -> list[str]:
    """Compose and run (instances, joins)."""
    instances, joins = question
    with folder() as place:
        modules = {name: module.removeprefix("../") for name, module in instances.items()}
        path = make_composition(place, joins, [number("w_join", 0.5, "dimensionless")], modules)
        text = (path / "composition.toml").read_text()
        for module in set(modules.values()) - set(STRUCTURE):
            text = text.replace(f'"../{module}"', f'"{module}"')
        (path / "composition.toml").write_text(text)
        return faults(cascade.compose(cascade.load_composition(path)))


def changed(question: tuple[str, str, bytes]) -> str:
    """Read a module, shipped or of the tests, of which one file holds other bytes; check it, compose it and run it."""
    name, file, data = question
    with folder() as place:
        path = place / name
        if not path.exists():
            shutil.copytree(cascade.catalogue.module_folder(name), path)
        sound = cascade.load_module(path)
        pair = cascade.load_composition(make_composition(place, {"down.c_in": "up.c_a"}))
        (path / file).write_bytes(data)
        said = []
        for verb in (lambda: cascade.check(path) and [], lambda: faults(cascade.compose(cascade.load_module(path)))):
            said.append(tried(verb))
        if file.endswith(".xml"):
            text = data.decode(errors="replace")
            hurt = replace(sound, sbml=text)
            said.append(tried(lambda: faults(cascade.compose(hurt))))
            parts = {key: hurt if each.name == name else each for key, each in pair.instances.items()}
            said.append(tried(lambda: faults(cascade.compose(replace(pair, instances=parts)))))
    return said[-1]


def composition_file(question: bytes) -> str:
    """Read, check, compose and run a composition whose file holds these bytes."""
    with folder() as place:
        path = make_composition(place, {"down.c_in": "up.c_a"})
        (path / "composition.toml").write_bytes(question)
        tried(lambda: cascade.check(path) and [])
        return tried(lambda: faults(cascade.compose(cascade.load_composition(path))))


def archive(question: tuple[bytes, bool]) -> str:
    """Read an archive of these bytes; if asked, open its model too."""
    from cascade.archive import open_archive, read_archive

    data, whole = question
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "made.omex"
        path.write_bytes(data)
        said = tried(lambda: [text for text in read_archive(path).values() if "<" not in text])
        assert list(Path(place).rglob("*")) == [path], "something was unpacked"
        return tried(lambda: open_archive(path).flat and []) if whole and said == "ran" else said


def results(question: tuple[str, bytes]) -> str:
    """Read results of another tool from a file with this suffix and these bytes; compare them with what it says."""
    suffix, data = question
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"run{suffix}"
        path.write_bytes(data)
        return tried(lambda: apart(cascade.read_results(path, shipped("wnt"), tool="cascade"), suffix, data))


def apart(found: Any, suffix: str, data: bytes) -> list[str]:
    """Return where results and their file, read cell by cell, differ: lost, strange or moved numbers."""
    if "condition" not in found.dims:
        found = found.expand_dims(condition=[""])
    said = {
        (name, str(condition), float(time)): float(value)
        for name in found.data_vars
        if name not in ("status", "rung")
        for condition in found["condition"].values
        for time, value in zip(found["time"].values, found[name].sel(condition=condition).values, strict=True)
    }
    there = cells(suffix, data)
    if found.sizes["condition"] == 1:
        there = {(name, str(found["condition"].values[0]), time): value for (name, _, time), value in there.items()}
    good = {str(each) for each in found["condition"].values[found["status"].broadcast_like(found["condition"]) == OK]}
    wrong = [f"{place} is lost or strange" for place in said.keys() ^ there.keys()]
    for place in said.keys() & there.keys():
        if place[1] in good and not np.isclose(said[place], there[place], rtol=1e-14, atol=0):
            wrong.append(f"{place}: {said[place]} instead of {there[place]}")
    return wrong


def cells(suffix: str, data: bytes) -> dict[tuple[str, str, float], float]:
    """Return every number of a table by name, condition and time."""
    lines = csv.reader(data.decode("utf-8-sig").splitlines(), delimiter="\t" if suffix == ".tsv" else ",")
    header, *rows = (line for line in lines if "".join(line).strip())
    found = {}
    for row in rows:
        of = {name.strip(): cell for name, cell in zip(header, row, strict=True)}
        if "observableId" in of:
            found[of["observableId"], of.get("simulationConditionId", ""), float(of["time"])] = real(of["simulation"])
        else:
            time = float(next(of[name] for name in TIMES if name in of))
            found |= {(name, "", time): real(cell) for name, cell in of.items() if name not in TIMES}
    return found


def real(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:  # NA and the like
        return float("nan")


def tried(verb: Any) -> str:
    """Return "ran" or "refused"; any other error goes on its way."""
    try:
        found = verb()
    except CascadeError as error:
        assert str(error).strip()
        return "refused"
    assert not found, found
    return "ran"


@cache
def shipped(name: str) -> Model:
    return cascade.compose(cascade.catalogue.load(name))


def drawn(question: tuple[str, Sequence[Mapping[str, float]] | int, float]) -> list[str]:
    """Run a shipped model at corners and draws of its priors: name, seed, days."""
    import xarray as xr

    name, seed, days = question
    model = shipped(name)
    parameters = uncertain(model)
    random = np.random.default_rng(seed)
    quantiles = random.random((6, len(parameters)))
    corners = random.integers(0, 2, (4, len(parameters))).astype(float)
    mixed = np.where(random.random((4, len(parameters))) < 0.1, random.integers(0, 2, (4, len(parameters))), 0.5)
    table = np.vstack([quantiles, corners, mixed])
    values = {p.id: xr.DataArray(from_quantile(p, q), dims="draw") for p, q in zip(parameters, table.T, strict=True)}
    return faults(model, values=values, days=days, points=11, solver=Solver(relative_tolerance=1e-4, time_limit=30.0))
