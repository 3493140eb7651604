"""A primary tumor of one or more clones, with or without blood, as a composition of shipped modules for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from folders import make_shipped_composition

import cascade

RATE, CAPACITY = 8.6e-4, 3.1e12
TWO_CM = 4.19e9
SHED = ("v_shed_single", "v_shed_cluster", "v_shed_dead", "v_lymph")


def tumor_model(folder: Path, clones: int = 1, joins: dict[str, str] | None = None, **more: str) -> cascade.Model:
    """Compose `tumor` with `clone_1`, of which the others are subclones, and with the instances in `more`."""
    names = [f"clone_{number}" for number in range(1, clones + 1)]
    subclones = names[1:]
    wires = {"tumor.n_cells": "sum(clones.n_tumor)"}
    for name in names:
        wires |= {f"{name}.{port}": f"tumor.{port}" for port in ("k_gompertz", "f_surface", "f_resected")}
    for name in subclones:
        wires[f"{name}.v_births_parent"] = "clone_1.v_births"
    if subclones:
        wires["clone_1.v_lost"] = " + ".join(f"{name}.v_founded" for name in subclones)
    instances = {"tumor": "primary_tumor", **dict.fromkeys(names, "clone"), **more}
    groups = "[groups]\nclones = [" + ", ".join(f'"{name}"' for name in names) + "]\n"
    return cascade.compose(
        cascade.load_composition(make_shipped_composition(folder, instances, wires | (joins or {}), groups))
    )


def gompertz(time, rate=RATE, capacity=CAPACITY):
    """Closed form of dn/dt = rate n ln(capacity/n) from one cell."""
    return capacity * np.exp(-np.log(capacity) * np.exp(-rate * np.asarray(time)))


def at_size(run, name: str, cells: float, size: str = "tumor__n_tumor") -> float:
    """Value of a variable when the tumor has a given number of cells (log-linear in size)."""
    return float(np.interp(np.log(cells), np.log(run[size].values), run[name].values))


def total(run, name: str, clones: Sequence[str] = ("clone_1",)):
    """Sum of an output over clones."""
    return sum(run[f"{clone}__{name}"] for clone in clones)
