"""Doses of several drugs in one patient: which factor each constant gets, and the runs of all that is combined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.arms import Arm, Window
from cascade.errors import AnalysisError, unknown_name
from cascade.readouts import find_readout
from cascade.screening import Runs
from cascade.sensitivity import uncertain
from cascade.specs import Model
from cascade.study import Told, run_study
from cascade.synergy import OK, activity, fraction_affected
from cascade.target_table import Signs, Target, read_targets, resolve_acts

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

SMALLEST = 1e-12
"""An untreated value below this is zero to the solver; shares of it say nothing (`cascade.readouts.RESOLUTION`)."""


@dataclass(frozen=True, kw_only=True)
class Drugs:
    """Drugs that can be combined in a model, and what each does.

    Attributes
    ----------
    acts : mapping of Target to Signs
        The constants on which each acts.
    constants : tuple of str
        All of them.
    blocks, boosts : numpy.ndarray
        Drugs x constants: 1 where the drug blocks, and where it boosts.
    """

    acts: Mapping[Target, Signs]
    constants: tuple[str, ...]
    blocks: NDArray[np.float64]
    boosts: NDArray[np.float64]

    @property
    def names(self) -> list[str]:
        """Ids of the targets."""
        return [target.target for target in self.acts]

    def factors(self, doses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the factor on every constant, arms x constants, for doses over arms x drugs (see `activity`)."""
        return activity(doses @ self.blocks, doses @ self.boosts)


def drugs_of(model: Model, targets: Sequence[str | Target]) -> Drugs:
    """Resolve targets to the constants of a model on which their drugs act.

    Raises
    ------
    UnknownNameError
        If a target is not in the table.
    AnalysisError
        If one is given twice, or acts on nothing that the model has.
    """
    if isinstance(targets, str) or not isinstance(targets, Iterable):
        raise AnalysisError(f"targets is {targets!r}; give a list of their names")
    names = [entry.target if isinstance(entry, Target) else str(entry) for entry in targets]
    double = sorted(name for name, count in Counter(names).items() if count > 1)
    if double:
        raise AnalysisError(
            f"targets {', '.join(double)} are given twice; give each once (to combine a drug with itself, give a "
            "Target of another name that acts on the same)"
        )
    plain = all(isinstance(entry, Target) for entry in targets)
    table = {} if plain else {target.target: target for target in read_targets()}
    acts: dict[Target, Signs] = {}
    for entry in targets:
        if not isinstance(entry, Target) and entry not in table:
            raise unknown_name("target", entry, table, "the table of targets")
        target = table[entry] if isinstance(entry, str) else entry
        acts[target] = resolve_acts(target, model)
    missing = [target.target for target, found in acts.items() if not found]
    if missing:
        raise AnalysisError(f"targets {', '.join(missing)} act on modules that model {model.name!r} does not have")
    constants = tuple(dict.fromkeys(name for found in acts.values() for name, _ in found))
    blocks, boosts = np.zeros((2, len(acts), len(constants)))
    for row, found in enumerate(acts.values()):
        for name, sign in found:
            (blocks if sign == "-" else boosts)[row, constants.index(name)] = 1.0
    return Drugs(acts=acts, constants=constants, blocks=blocks, boosts=boosts)


def nominal_patient(model: Model) -> dict[str, xr.DataArray]:
    """Return the values of a study of the nominal patient alone, who is number 0."""
    import xarray as xr

    row = (uncertain(model) or model.parameters)[0]
    return {row.id: xr.DataArray([row.nominal], dims="patient", coords={"patient": [0]})}


@dataclass(frozen=True, kw_only=True)
class Doses:
    """Effects of arms in patients: both over patient x arm, `reason` says why an effect is NaN.

    Patient 0 is the nominal one; `patients` are the numbers of those who have the readout without treatment.
    """

    patients: NDArray[np.int64]
    effect: NDArray[np.float64]
    reason: NDArray[Any]
    attrs: Mapping[str, Any]


def run_doses(
    model: Model,
    drugs: Drugs,
    doses: NDArray[np.float64],
    patients: dict[str, xr.DataArray],
    when: tuple[str, Window],
    seed: int,
    run: Runs,
    *,
    part: str,
    fewest: int,
) -> Doses:
    """Give every patient every arm of doses (arms x drugs) and return the fractions affected of a readout.

    Parameters
    ----------
    when : tuple of str and Window
        The readout, and when the drugs act.
    part : str
        Name of this part in the store of the runs.
    fewest : int
        Fewest sampled patients who must have the readout.

    Notes
    -----
    Arms with the same factors on all constants are one run, such as a drug combined with itself.
    """
    name, window = when
    unique, place = np.unique(drugs.factors(doses).round(15), axis=0, return_inverse=True)
    arms = tuple(
        Arm(target=f"arm {number}", window=window, fraction=0.0, factors=dict(zip(drugs.constants, row, strict=True)))
        for number, row in enumerate(unique.tolist())
    )
    study, left_out = run_study(model, arms, patients, Told(name, name, (), False), seed, run, part=part, fewest=fewest)
    after = study.after(name, list(place.reshape(-1)))
    before = study.before(name).values[:, None]
    effect = fraction_affected(before, after.values, better=find_readout(name).better)
    reason = np.select(
        [after["reason"].values != OK, ~np.isfinite(before) | (before < SMALLEST), ~np.isfinite(effect)],
        [after["reason"].values.astype(object), "the untreated value is zero or missing", "the value is negative"],
        OK,
    ).astype(object)
    runs = (study.untreated, study.treated)
    attrs = {key: value for key, value in study.untreated.attrs.items() if not key.startswith("values")} | left_out
    attrs |= {"runs": sum(int(part["status"].size) for part in runs)}
    attrs |= {"failed_runs": sum(int((part["status"] != OK).sum()) for part in runs)}
    known = np.where(reason == OK, effect, np.nan)
    return Doses(patients=study.untreated["patient"].values, effect=known, reason=reason, attrs=attrs)
