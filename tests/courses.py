"""Courses of patients for tests of detection, made from stated numbers; and the signals of one organ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from cascade.detection import follow_lesions

SIGNALS = {
    "k_growth": 1.1e-3,
    "cap_lesion": 3.1e12,
    "n_start": 6.6e5,
    "n_detectable": 5.2e8,
    "ctc_per_cell": 1e-9,
    "ctdna_per_cell": 2.3e-10,
    "d_cfdna": 953.0,
    "rho_cells": 1e9,
    "k_lose_dtc": 8e-4,
    "n_screened": 2e6,
}


def signals(organs: Sequence[str] = ("bone", "lung"), **changes: float) -> xr.Dataset:
    """Signals as of `lesion_signals`, alike in all organs."""
    values = SIGNALS | changes
    data = {name: ("organ", np.full(len(organs), value)) for name, value in values.items()}
    return xr.Dataset(data, coords={"organ": list(organs)})


def events(time: Sequence[float], *, event: object = True, organ: str = "bone", early: object = False) -> xr.Dataset:
    """Events as of `draw_events`."""
    number = len(time)
    happens = np.broadcast_to(np.asarray(event, dtype=bool), number)
    data = {
        "time": ("patient", np.asarray(time, dtype=float)),
        "event": ("patient", happens),
        "organ": ("patient", np.where(happens, organ, "")),
        "metastatic_at_diagnosis": ("patient", np.broadcast_to(np.asarray(early, dtype=bool), number)),
    }
    return xr.Dataset(data, coords={"patient": [f"p{k}" for k in range(number)]})


def cohort_courses(number: int = 300, *, hazard: float = 0.004, end: float = 120.0, seed: int = 0, **more: float):
    """Courses of a cohort of a constant hazard per month, followed to a month; constants may differ."""
    clinical = more.pop("clinical_mm", None)
    time = np.random.default_rng(seed).exponential(1 / hazard, number)
    drawn = events(np.minimum(time, end), event=time < end)
    return follow_lesions(drawn, signals(**more), clinical_mm=clinical)
