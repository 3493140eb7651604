"""A small world with closed forms: surgery, two processes of hazard of which one runs in carriers only, and people."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from cascade.specs import Model
from cascade.target_table import Target, parse_acts

Make = Callable[..., Model]
FIVE, TEN = 5 * 365.25, 10 * 365.25

# Surgery at day 100. The hazard after it comes from two processes, of which the second runs only in carriers of a gene.
WORLD = """
primary_tumor__n' = k_grow; primary_tumor__n = 0; primary_tumor__t_surgery = 1e6; operated = 0;
E1: at (primary_tumor__n >= n_operable), t0=false: operated = 1, primary_tumor__t_surgery = time;
k_one = 4e-5; k_two = 4e-5; a_gene = 0; k_idle = 1; n_operable = 100; k_grow = 1;
endpoints__h_since_surgery = 0; endpoints__h_since_surgery' = operated*(k_one + a_gene*k_two); idle' = k_idle; idle = 0;
endpoints__ctc_per_tube := 1e5*k_one; emt__a_emt := 0.3*k_three; k_three = 1;
"""
RUN: dict[str, Any] = {"years": 11, "seed": 1, "workers": 1, "morris_trajectories": 0, "assumed_pairs": 0, "doses": (),
                       "opposite": None, "windows": ()}  # fmt: skip


def world_of(make_model: Make) -> Model:
    """Two processes of hazard after surgery, each with a prior; the second one's is assumed."""
    model = make_model(WORLD)
    names = {name.replace("__", ".", 1): name for name in model.ids if "__" in name}
    rows = tuple(
        replace(
            row, lower=row.nominal / 20, upper=row.nominal * 20, estimate=True, prior="log-normal",
            evidence="assumed" if row.id == "k_two" else "measured", prior_parameters=(math.log(row.nominal), 0.5),
        )
        if row.id in ("k_one", "k_two", "k_three", "k_grow")
        else row
        for row in model.parameters
    )  # fmt: skip
    model = replace(model, parameters=rows, ids={**model.ids, **names})
    return replace(model, instances={"primary_tumor": "primary_tumor", "endpoints": "endpoints"})


def ideal(*names: str) -> list[Target]:
    return [
        Target(target=f"t_{n}", name=f"block {n}", stage="colonization", acts_on=parse_acts(f"{n}:-")) for n in names
    ]


TARGETS = ideal("k_one", "k_two", "k_idle")


def people(count: int, seed: int = 0, **more: Any) -> xr.Dataset:
    """A cohort: carriers of a gene in whom the second process runs, a measure that means nothing, rates that differ."""
    random = np.random.default_rng(seed)
    gene = np.arange(count) % 3 == 0
    columns = {
        "a_gene": (gene.astype(float), "value"),
        "k_one": (4e-5 * np.exp(0.4 * random.standard_normal(count)), "value"),
        "diameter_mm": (random.uniform(5, 40, count), "measure"),
    }
    columns |= {name: (np.asarray(values), "measure") for name, values in more.items() if name != "weight"}
    data: dict[str, Any] = {name: ("patient", values, {"role": role}) for name, (values, role) in columns.items()}
    data["carries"] = (("patient", "genotype"), np.stack([gene, ~gene], axis=1), {"role": "genotype"})
    if "weight" in more:
        data["weight"] = ("patient", np.asarray(more["weight"], dtype=float), {"role": "weight"})
    ids = [f"P{number}" for number in range(count)]
    return xr.Dataset(data, coords={"patient": ids, "genotype": ["gene gain", "wild type"]})


def risk(k_one: Any, k_two: Any, days: float) -> Any:
    return -np.expm1(-(k_one + k_two) * days)
