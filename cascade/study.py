"""One study of targets: patients, arms, what is told of them, and the runs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade._switch import switched
from cascade.arms import (
    MINIMUM_PATIENTS,
    SURGERY,
    Arm,
    Window,
    arm_of,
    arm_values,
    beyond,
    evaluable,
    origin_days,
    origins_needed,
)
from cascade.drug_arms import drug_values
from cascade.effects import Study
from cascade.errors import AnalysisError, UnknownNameError
from cascade.readouts import find_readout, resolve_readout, variables_for
from cascade.screening import Runs
from cascade.sensitivity import sample
from cascade.specs import Model, Parameter
from cascade.target_table import Signs, Target

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

BY_ORGAN = "n_overt_by_organ"
"""The readout that tells where a target acts."""

ALSO = ("final:endpoints__n_burden_distant",)
"""What is told of every target beside the readout that ranks: for those who have metastases, their burden."""


HORIZONS = (5, 10)
"""Years after surgery for which a number needed to treat is told."""


@dataclass(frozen=True)
class Told:
    """Readouts of a study: the one that ranks, its hazard, others of one number, and whether organs are told."""

    main: str
    hazard: str
    also: tuple[str, ...]
    organs: bool

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys((self.main, self.hazard, *self.also, *((BY_ORGAN,) if self.organs else ()))))


def told_of(model: Model, name: str, also: Sequence[str] | None) -> Told:
    wanted = tuple(resolve_readout(other, model) for other in also) if also is not None else present(model, ALSO)
    others = tuple(other for other in dict.fromkeys(wanted) if other != name)
    return Told(name, find_readout(name).hazard or name, others, bool(present(model, (BY_ORGAN,))))


def present(model: Model, names: Iterable[str]) -> tuple[str, ...]:
    """Return the readouts of which the model has the variables."""
    found = []
    for name in names:
        try:
            variables_for(name, model)
        except (AnalysisError, UnknownNameError):
            continue
        found.append(name)
    return tuple(found)


def arms_of(
    model: Model,
    chosen: Mapping[Target, Signs],
    windows: Sequence[Window],
    fraction: float,
    doses: Sequence[float],
    opposite: float | None,
) -> tuple[Arm, ...]:
    """Return every arm: all windows, then other doses and the reverse in the window that sorts."""
    arms = [arm_of(target, acts, window, fraction) for window in windows for target, acts in chosen.items()]
    for dose in dict.fromkeys(doses):
        if dose != fraction:
            arms += [arm_of(target, acts, windows[0], dose) for target, acts in chosen.items()]
    if opposite is not None:
        arms += [
            arm_of(target, acts, windows[0], opposite, opposite=True)
            for target, acts in chosen.items()
            if not beyond(acts, model, opposite)
        ]
    return tuple(arms)


def sampled_patients(parameters: Iterable[Parameter], samples: int, seed: int) -> dict[str, xr.DataArray]:
    """Draw patients; patient 0 has the nominal value of every parameter."""
    import numpy as np
    import xarray as xr

    chosen = tuple(parameters)
    drawn = sample(chosen, samples, seed)
    number = {"patient": np.arange(samples + 1)}
    return {
        p.id: xr.DataArray(np.concatenate([[p.nominal], drawn[p.id]]), coords=number, dims="patient") for p in chosen
    }


def run_study(
    model: Model,
    arms: tuple[Arm, ...],
    patients: dict[str, xr.DataArray],
    told: Told,
    seed: int,
    run: Runs,
    *,
    drugs: Mapping[str, Model] | None = None,
    part: str = "",
    fewest: int = MINIMUM_PATIENTS,
    weights: NDArray[np.float64] | None = None,
) -> tuple[Study, dict[str, Any]]:
    """Run every patient untreated, and those who have the readout in every arm; count those who have not.

    `drugs` are the models in which arms of drugs are run (`cascade.drug_arms.drug_model`); values of patients that only
    some models have are set in these. `weights` say how many people each patient stands for, patient 0 included.
    """
    drugs = drugs or {}
    ideal = tuple(arm for arm in arms if not arm.drug)
    constants = list(dict.fromkeys(name for arm in ideal for name in arm.factors))
    surgery = SURGERY if SURGERY in model.ids.values() else None
    switch = switched(model, constants, surgery) if constants else model
    needed = origins_needed((arm.window for arm in arms), model)
    names = dict.fromkeys((*told.names, *(name for names in needed.values() for name in names)))
    untreated = run(switch, known_values(patients, switch), list(names), f"untreated{part}")
    keep = evaluable(untreated[told.main], untreated[f"reason_{told.main}"].values, told.main, fewest)
    kept = untreated.isel(patient=keep)
    mine = {key: value[keep] for key, value in patients.items()}
    origins = origin_days(needed, kept)
    groups = [(ideal, switch, arm_values(ideal, constants, origins, model), f"treated{part}")] if ideal else []
    for name, treated in drugs.items():
        given = tuple(arm for arm in arms if arm.drug and arm.target == name)
        if given:
            where = f"treated{part}_{name.replace(':', '_')}"
            groups.append((given, treated, drug_values(given, origins, model), where))
    found = [run(known, known_values(mine, known) | values, told.names, where) for _, known, values, where in groups]
    study = Study(
        untreated=kept,
        treated=_joined(found),
        arms=tuple(arm for given, *_ in groups for arm in given),
        noise=10 * float(untreated.attrs["relative_tolerance"]),
        seed=seed,
        weights=None if weights is None else weights[keep],
    )
    return study, _left_out(untreated[f"reason_{told.main}"], keep)


def known_values(values: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """Return the values of constants and the start values that a model has."""
    flat = set(model.ids.values())
    return {key: value for key, value in values.items() if key in model.table or key in flat}


def _joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Join the arms of several models, in order."""
    import xarray as xr

    if len(parts) == 1:
        return parts[0]
    arms = [part.drop_vars([name for name in part.coords if "arm" in part[name].dims]) for part in parts]
    return xr.concat(arms, dim="arm", join="exact", combine_attrs="override")


def _left_out(reasons: xr.DataArray, keep: NDArray[np.bool_]) -> dict[str, Any]:
    """Count the sampled patients that were treated, and say why the others were not."""
    counts = Counter(str(reason) for reason in reasons.values[1:] if reason != "ok")
    out = {str(number): str(reason) for number, reason in enumerate(reasons.values) if not keep[number]}
    return {
        "patients": int(keep.sum()) - 1,
        "reasons_untreated": json.dumps(dict(counts.most_common())),
        "left_out": json.dumps(out),
    }
