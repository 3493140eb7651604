"""Why a treatment works: its effect on the hazard of metastasis, split by the stages of the cascade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._stages import STAGES
from cascade._tables import is_number
from cascade.endpoints import SURGERY
from cascade.errors import AnalysisError, unknown_name
from cascade.evaluate import time_grid
from cascade.readouts import find_readout
from cascade.specs import Intervention, Model, Solver, require_model
from cascade.target_table import Target, read_targets, resolve_acts
from cascade.waterfall._coalitions import ORDERS, Split
from cascade.waterfall._split import TOLERANCE, Study

if TYPE_CHECKING:
    import xarray as xr

Treatment = Intervention | Sequence[Intervention]
Window = str | tuple[float, float | None] | tuple[float, float | None, str]

_ADJUVANT, _LIFELONG = "adjuvant", "lifelong"


def waterfall(
    model: Model,
    treatments: Treatment | Mapping[str, Treatment],
    readout: str = "h_since_surgery_5y",
    *,
    order: str = "from_tumor",
    values: Mapping[str, float] | None = None,
    years: float | None = None,
    stages: Mapping[str, str] | None = None,
    solver: Solver | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Split the effect of treatments on the hazard of overt distant metastasis by the stages of the cascade.

    Parameters
    ----------
    model : Model
        A composition with a primary tumor and `endpoints`, not treated.
    treatments : Intervention, sequence of Intervention, or mapping of str to these
        One treatment, or several by name; all share the untreated run.
    readout : str
        `h_since_surgery_5y`, `_10y`, `_20y`, `h_cumulative`, or a probability that goes with one of them (`p_overt_5y`,
        `p_overt`).
    order : {"from_tumor", "from_lesion", "shapley"}
        In which order the stages are switched from untreated to treated. "shapley" is the mean over all orders
        (256 combinations a treatment).
    values : mapping of str to float, optional
        Constants of the patient; by default those of the model.
    years : float
        Simulated time from the first tumor cell; by default that of the composition, else 25.
    stages : mapping of str to str, optional
        Stage of the reactions and fluxes of modules of one's own: `{"my_module.*": "circulation"}`.
    solver : Solver, optional
    workers : int, optional
        Processes; by default chosen by `simulate`.
    progress : bool
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        Over `treatment` and `stage`: `log_hazard_ratio`, whose sum over the stages is ln(treated/untreated hazard);
        `hazard_difference` and `risk_difference`, parts of the same on the scales of the hazard and of the probability
        1 - exp(-hazard). Over `treatment`, `stage` and `organ` of the lesion: `hazard_difference_organ`. Over
        `treatment`: `hazard_untreated` and `hazard_treated` as simulated, `log_hazard_ratio_total`, `residual` (what
        the split lacked of the simulated log hazard ratio and was added to its parts in proportion to their size),
        `residual_untreated` and `residual_treated` (relative error of the hazard of the chain). The coordinate `reason`
        is "ok", or says why the parts are NaN.

    Raises
    ------
    AnalysisError
        If the stages cannot be identified in the model, the untreated patient has no such readout, or the hazard of the
        chain differs from the simulated one by more than `TOLERANCE`.
    UnknownNameError, ValueSettingError
        If a name or a number cannot be used.

    Notes
    -----
    After the primary the cascade is linear in the cells, so the hazard follows from the rates per cell alone. It is
    computed with the rates of some stages as in the treated run and those of the others as in the untreated run; a part
    is the logarithm of what switching its stage changes. The parts add up by construction. If stages only multiply, the
    order does not matter; where they interact (competing losses, lesions dormant or not, times that add up) it does,
    and `order` shows how much.

    A stage is where rates change, whatever made them change: a drug on TGF-beta acts on invasion by the phenotype of
    the cells, and on outgrowth by the immune system. Growth of the tumor is its size and its removal wherever the chain
    reads them; both runs are compared on a clock that counts from surgery. Lesions seeded by metastases are not in
    the hazard and not in the chain.

    Costs one run and a third of a second for each treatment, and once a run, compiling and reading the chain (some
    seconds). The chain repeats the simulated hazard to some 1e-4: what relaxes within hours of surgery is between rows.

    Examples
    --------
    >>> drug = cascade.inhibit("tgf_beta.k_phosphorylate", by=0.9, start=0, origin="primary_tumor.t_surgery")
    >>> why = waterfall(model, drug)
    >>> why["log_hazard_ratio"].to_series()
    """
    require_model(model, "waterfall")
    if order not in ORDERS:
        raise AnalysisError(f"order is {order!r}; give one of {', '.join(ORDERS)}")
    named, hazard = _named(treatments), _hazard_of(readout)
    length = time_grid(model, years)["years"]
    study = Study.of(model, named, hazard, values or {}, length, stages)
    solver = solver or Solver(relative_tolerance=1e-7)
    found = study.splits(order, {"solver": solver, "workers": workers, "progress": progress})
    attrs: dict[str, Any] = {"model": model.name, "model_sha256": model.hash, "readout": readout, "hazard": hazard}
    attrs |= {"order": order, "years": length, "relative_tolerance": solver.relative_tolerance}
    return _dataset(study, found, attrs)


def target_treatments(
    model: Model,
    targets: Sequence[str | Target] | None = None,
    *,
    fraction: float = 0.9,
    window: Window | None = None,
) -> dict[str, tuple[Intervention, ...]]:
    """Return the treatments of the table of targets, as `rank_targets` compares them.

    Parameters
    ----------
    model : Model
    targets : sequence of str or Target, optional
        By default all shipped targets that act on the model.
    fraction : float
        Share of the activity that a block removes or a boost adds.
    window : str or tuple, optional
        "adjuvant" (from surgery on), "lifelong" (from day 0), or (start, stop) or (start, stop, origin) in days. By
        default adjuvant, if the model has a surgery.

    Raises
    ------
    UnknownNameError
        If a target is not known.
    AnalysisError
        If a target that was asked for does not act on the model.
    """
    require_model(model, "target_treatments")
    if not (is_number(fraction) and 0 < fraction <= 1):
        raise AnalysisError(f"fraction is {fraction!r}; give a share above 0 and at most 1 (0.9 blocks 90 %)")
    start, stop, origin = _times(model, window)
    table = {target.target: target for target in read_targets()}
    found: dict[str, tuple[Intervention, ...]] = {}
    for entry in table.values() if targets is None else targets:
        if not isinstance(entry, Target) and entry not in table:
            raise unknown_name("target", entry, table, "the table of targets")
        target = table[entry] if isinstance(entry, str) else entry
        acts = resolve_acts(target, model)
        if acts:
            found[target.target] = tuple(
                Intervention(
                    target=name,
                    factor=1 - fraction if sign == "-" else 1 + fraction,
                    start=start,
                    stop=stop,
                    origin=origin,
                    label=f"{target.target}: {name}",
                )
                for name, sign in acts
            )
        elif targets is not None:
            raise AnalysisError(f"target {target.target!r} acts on no module of model {model.name!r}")
    return found


def _times(model: Model, window: Window | None) -> tuple[float, float | None, str | None]:
    """Return start, stop and origin of a window."""
    operated = SURGERY[0] in model.ids.values()
    known = {_LIFELONG: (0.0, None, None)} | ({_ADJUVANT: (0.0, None, SURGERY[0])} if operated else {})
    if window is None:
        window = _ADJUVANT if operated else _LIFELONG
    if isinstance(window, str):
        if window not in known:
            raise unknown_name("window", window, known, f"model {model.name!r} (or give start and stop in days)")
        return known[window]
    if not (isinstance(window, Sequence) and len(window) in (2, 3)):
        raise AnalysisError(f"window is {window!r}; give a name, (start, stop) or (start, stop, origin)")
    start, stop = window[0], window[1]
    if not (is_number(start) and (stop is None or (is_number(stop) and stop > start))):
        raise AnalysisError(f"window is {window!r}; give finite days, the stop after the start or None")
    return float(start), stop, model.id(window[2]) if len(window) == 3 else None


def _named(treatments: Treatment | Mapping[str, Treatment]) -> dict[str, tuple[Intervention, ...]]:
    if isinstance(treatments, Intervention):
        treatments = {treatments.label or treatments.target: treatments}
    if not isinstance(treatments, Mapping | Sequence) or isinstance(treatments, str):
        raise AnalysisError(f"treatments is {treatments!r}; give what inhibit() and activate() return")
    if not isinstance(treatments, Mapping):
        treatments = {" + ".join(each.label or each.target for each in treatments): tuple(treatments)}
    named = {name: (given,) if isinstance(given, Intervention) else tuple(given) for name, given in treatments.items()}
    if not named or not all(named.values()):
        raise AnalysisError("there is nothing to split: give at least one intervention for each treatment")
    return named


def _hazard_of(name: str) -> str:
    """Return the hazard whose parts are asked for."""
    hazard = find_readout(name).hazard
    if not (hazard == "h_cumulative" or hazard.startswith("h_since_surgery_")):
        raise AnalysisError(
            f"readout {name!r} is no cumulative hazard of overt metastasis; ask for h_since_surgery_5y,"
            " h_cumulative, or a probability of them such as p_overt_5y"
        )
    return hazard


def _dataset(study: Study, found: Mapping[str, Split], attrs: Mapping[str, Any]) -> xr.Dataset:
    import xarray as xr

    per_stage = ("treatment", "stage")
    dims: dict[str, tuple[str, ...]] = dict.fromkeys(_SCALES, per_stage)
    dims |= {"hazard_difference_organ": (*per_stage, "organ")} | dict.fromkeys(_NUMBERS, ("treatment",))
    data: dict[str, Any] = {
        name: (over, np.array([getattr(split, name) for split in found.values()])) for name, over in dims.items()
    }
    data["hazard_untreated"] = ((), np.array(study.untreated.hazard))
    coords: dict[str, Any] = {
        "treatment": list(found),
        "stage": list(STAGES),
        "organ": list(study.organs),
        "stage_name": ("stage", list(STAGES.values())),
        "reason": ("treatment", [split.reason for split in found.values()]),
    }
    dataset = xr.Dataset(data, coords=coords, attrs=dict(attrs))
    for name, words in _WORDS.items():
        dataset[name].attrs = {"units": "dimensionless", "long_name": words}
    dataset.attrs["tolerance"] = TOLERANCE
    return dataset


_SCALES = ("log_hazard_ratio", "hazard_difference", "risk_difference")
_NUMBERS = ("hazard_treated", "log_hazard_ratio_total", "residual", "residual_untreated", "residual_treated")
_WORDS = {
    "log_hazard_ratio": "part of the log hazard ratio, treated to untreated",
    "hazard_difference": "part of the difference of the cumulative hazard, treated minus untreated",
    "risk_difference": "part of the difference of the probability of overt metastasis",
    "hazard_difference_organ": "part of the difference of the cumulative hazard, by organ of the lesion",
    "hazard_untreated": "cumulative hazard without treatment",
    "hazard_treated": "cumulative hazard under treatment",
    "log_hazard_ratio_total": "log hazard ratio, treated to untreated",
    "residual": "share of the log hazard ratio that the stages did not explain, spread over them",
    "residual_untreated": "relative error of the hazard from the chain, untreated",
    "residual_treated": "relative error of the hazard from the chain, treated",
}
