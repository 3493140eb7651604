"""Arms of a trial, as they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cascade
from cascade._tables import to_number
from cascade.cli._options import plan_of
from cascade.errors import CascadeError, TableError
from cascade.therapy import Treatment
from cascade.therapy.regimens import Regimen
from cascade.treatment_runs import SURGERY

UNTREATED = ("control", "none", "untreated", "observation")

GRAMMAR = (
    "control, DRUG[:REGIMEN][*FACTOR][@MOMENT[+START][..STOP]], inhibit:TARGET=SHARE[@...] or"
    " activate:TARGET=GAIN[@...]; several with commas; LABEL= before it names it"
)
_PART = re.compile(r"(?P<what>[^*@]+?)(?:\*(?P<factor>[^@*]+))?(?:@(?P<when>[^@]*))?")
_NUMBER = r"\d+(?:\.\d+)?"
_WHEN = re.compile(
    rf"(?P<origin>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?(?P<start>[+-]?{_NUMBER})?(?:\.\.(?P<stop>{_NUMBER}))?"
)


def arms_from(texts: Sequence[str]) -> dict[str, tuple[Treatment, ...]]:
    """Read `--arm`: the first is the control."""
    if len(texts) < 2:
        raise CascadeError('a trial needs two arms or more: --arm control --arm "bevacizumab:q2w@surgery+28..365"')
    found: dict[str, tuple[Treatment, ...]] = {}
    for text in texts:
        label, plan = arm_from(text)
        if label in found:
            raise CascadeError(f"two arms are called {label!r}; write LABEL= before one: --arm short={text!r}")
        found[label] = plan
    return found


def arm_from(text: str) -> tuple[str, tuple[Treatment, ...]]:
    """Read one arm: its label and its treatments."""
    before, equal, after = (part.strip() for part in text.partition("="))
    named = bool(equal) and ":" not in before and "@" not in before
    written = after if named else text.strip()
    if not written or (named and not before):
        raise CascadeError(f"--arm {text!r} is empty; write {GRAMMAR}")
    if written in UNTREATED:
        return (before if named else written), ()
    plan = tuple(_treatment(text, part.strip()) for part in written.split(","))
    titles = [each.drug.title if isinstance(each, Regimen) else str(getattr(each, "label", each)) for each in plan]
    return (before if named else " + ".join(titles)), plan


def _treatment(arm: str, text: str) -> Treatment:
    whole = _PART.fullmatch(text)
    when = _WHEN.fullmatch((whole["when"] or "").strip()) if whole else None
    if whole is None or when is None or (whole["when"] is not None and not whole["when"].strip()):
        raise CascadeError(f"--arm {arm!r}: {text!r} is not understood; write {GRAMMAR}")
    changes: dict[str, Any] = {key: float(when[key]) for key in ("start", "stop") if when[key]}
    if when["origin"]:
        changes["origin"] = when["origin"]
    what = whole["what"].strip()
    kind, colon, ideal = what.partition(":")
    if colon and kind in ("inhibit", "activate"):
        if whole["factor"]:
            raise CascadeError(f"--arm {arm!r}: *{whole['factor']} is for doses; change the number of {kind} instead")
        return _ideal(arm, kind, ideal, changes)
    plan = plan_of(what)
    if whole["factor"]:
        factor = _number(arm, whole["factor"])
        changes |= {"dose": plan.dose * factor, "loading": tuple((day, dose * factor) for day, dose in plan.loading)}
    return replace(plan, **changes)


def _ideal(arm: str, kind: str, text: str, changes: dict[str, Any]) -> Treatment:
    target, equal, number = (part.strip() for part in text.partition("="))
    if not (target and equal):
        raise CascadeError(
            f"--arm {arm!r}: write {kind}:TARGET=NUMBER, for example inhibit:tgf_beta.k_phosphorylate=0.8"
        )
    if changes.get("origin") == "surgery":
        changes["origin"] = SURGERY
    verb = cascade.inhibit if kind == "inhibit" else cascade.activate
    made: Treatment = verb(target, by=_number(arm, number), **changes)
    return made


def _number(arm: str, text: str) -> float:
    try:
        return to_number(text.strip())
    except TableError as error:
        raise CascadeError(f"--arm {arm!r}: {error}") from None


def read_cohort(path: Path) -> Any:
    """Read a cohort: what `cascade cohort --out FILE.nc` wrote."""
    import xarray as xr

    if not path.is_file():
        raise CascadeError(f"cannot read the cohort {path}: there is no such file")
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError) as error:
        raise CascadeError(f"cannot read the cohort {path}: {str(error)[:120]}; give a netCDF file") from None
