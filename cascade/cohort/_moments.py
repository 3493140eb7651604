"""Marginals as moments that are linear in the weights of patients: a part over a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cascade.cohort.distributions import Marginal
from cascade.cohort.stage import STAGES, needs_nodes, stage_chances, stages_of
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The ratio sum(w part) / sum(w whole), which weights should bring to `target`, with its standard error.

    `length` is the time of a hazard: what was published is then -log(ratio) / length.
    """

    name: str
    part: Numbers
    whole: Numbers
    target: float
    error: float
    published: float
    published_error: float
    length: float = 0.0

    @property
    def gap(self) -> Numbers:
        """What the weighted mean should be 0 of, by patient."""
        return self.part - self.target * self.whole

    def take(self, chosen: NDArray[np.bool_]) -> Moment:
        """Return the moment of some patients."""
        return replace(self, part=self.part[chosen], whole=self.whole[chosen])

    def read(self, share: Numbers) -> float:
        """Return the number, in the unit in which it was published, under weights."""
        whole = float(share @ self.whole)
        return self._published(float(share @ self.part) / whole) if whole > 0 else float("nan")

    def reach(self) -> tuple[float, float]:
        """Return the lowest and the highest value that single patients have; no weights lead outside."""
        some = self.whole > 0
        if not some.any():
            return float("nan"), float("nan")
        ratio = self.part[some] / self.whole[some]
        ends = sorted((self._published(float(ratio.min())), self._published(float(ratio.max()))))
        return ends[0], ends[1]

    def _published(self, ratio: float) -> float:
        return float(-np.log(max(ratio, 1e-300)) / self.length) if self.length else ratio


def reasons_told(outcomes: xr.Dataset) -> str:
    """Return in words why patients have no answer, with their numbers; "" if the outcomes do not say."""
    if "reason" not in outcomes:
        return ""
    found = Counter(str(each) for each in outcomes["reason"].values if each != "ok")
    return "; ".join(f"{count} patients: {reason}" for reason, count in found.most_common(3))


def moments(outcomes: xr.Dataset, marginals: Sequence[Marginal], cohort: xr.Dataset | None) -> list[Moment]:
    """Return the moments of marginals.

    Raises
    ------
    AnalysisError
        If what they need is not there.
    """
    return [_MADE[each.kind](outcomes, each, cohort) for each in marginals]


def _plain(marginal: Marginal, part: Numbers, whole: Numbers) -> Moment:
    return Moment(
        name=marginal.name, part=part, whole=whole, target=marginal.value, error=marginal.error,
        published=marginal.value, published_error=marginal.error,
    )  # fmt: skip


def _variable(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Numbers:
    """Return a variable over patients, of the cohort first: what a clinic knows goes before what a model expects."""
    for source in (cohort, outcomes):
        if source is None:
            continue
        if source is cohort and list(source["patient"].values) != list(outcomes["patient"].values):
            raise AnalysisError("the cohort and the outcomes are not of the same patients in the same order")
        if marginal.of in source.data_vars and source[marginal.of].dims == ("patient",):
            return np.asarray(source[marginal.of].values, dtype=float)
        for name, each in source.data_vars.items():
            if each.attrs.get("role") == "genotype":
                other = next((dim for dim in each.dims if dim != "patient"), None)
                labels = [] if other is None else [str(label) for label in source[other].values]
                if marginal.of in labels:
                    return np.asarray(source[name].isel({other: labels.index(marginal.of)}).values, dtype=float)
    known = {str(name) for source in (cohort, outcomes) if source is not None for name in source.data_vars}
    raise unknown_name("variable", marginal.of, known, f"the cohort, for the marginal {marginal.name!r}")


def _mean(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    found = _variable(outcomes, marginal, cohort)
    return _plain(marginal, found, np.ones(len(found)))


def _share(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    found = _variable(outcomes, marginal, cohort)
    bounded = np.isfinite(marginal.lower) or np.isfinite(marginal.upper)
    held = (found >= marginal.lower) & (found < marginal.upper) if bounded else found > 0
    return _plain(marginal, np.where(np.isfinite(found), held, np.nan), np.ones(len(found)))


def _stage(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    where = f"cascade.cohort.stage, for the marginal {marginal.name!r}"
    whole = sorted({place for name in marginal.among or STAGES for place in stages_of(name, where)})
    part = [place for place in stages_of(marginal.of, where) if place in whole]
    nodes = needs_nodes(part) or needs_nodes(whole)
    if nodes and "p_node" not in outcomes:
        raise AnalysisError(
            f"marginal {marginal.name!r} needs the lymph nodes of the patients (p_node), which the outcomes do not"
            " have; follow them in a composition with regional nodes, such as 'breast'"
        )
    if "h_before" not in outcomes:
        raise AnalysisError(f"marginal {marginal.name!r} needs hazards; give the outcomes of follow_cohort()")
    size = _variable(outcomes, replace(marginal, of="diameter_mm", kind="mean"), cohort)
    node = outcomes["p_node"].values if nodes else np.zeros(len(size))
    chances = stage_chances(size, node, -np.expm1(-outcomes["h_before"].values))
    return _plain(marginal, chances[:, part].sum(axis=1), chances[:, whole].sum(axis=1))


def _after(outcomes: xr.Dataset, marginal: Marginal, year: float) -> Numbers:
    """Return the chance of a patient to be free of overt distant metastasis both at diagnosis and at a year."""
    if "h_distant" not in outcomes or "h_before" not in outcomes:
        raise AnalysisError(f"marginal {marginal.name!r} needs hazards; give the outcomes of follow_cohort()")
    months = outcomes["month"].values
    if 12 * year > months[-1] + 1e-9:
        raise AnalysisError(
            f"marginal {marginal.name!r} reaches {year:g} years after surgery, and the outcomes {months[-1] / 12:g};"
            " follow the cohort for longer (years_after)"
        )
    hazard = outcomes["h_distant"].transpose("patient", "month").values
    place = 12 * year
    low = min(int(place), len(months) - 1)
    high = min(low + 1, len(months) - 1)
    at = hazard[:, low] + (place - low) * (hazard[:, high] - hazard[:, low])
    return np.asarray(np.exp(-at - outcomes["h_before"].values))


def _hazard(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    first, last = marginal.years[0], marginal.years[-1]
    length = last - first
    target = float(np.exp(-marginal.value * length))
    return Moment(
        name=marginal.name,
        part=_after(outcomes, marginal, last),
        whole=_after(outcomes, marginal, first),
        target=target,
        error=marginal.error * length * target,
        published=marginal.value,
        published_error=marginal.error,
        length=length,
    )


def _free(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    return _plain(marginal, _after(outcomes, marginal, marginal.years[-1]), _after(outcomes, marginal, 0.0))


def _at_diagnosis(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    if "h_before" not in outcomes:
        raise AnalysisError(f"marginal {marginal.name!r} needs hazards; give the outcomes of follow_cohort()")
    part = -np.expm1(-outcomes["h_before"].values)
    return _plain(marginal, part, np.ones(len(part)))


def first_site(outcomes: xr.Dataset, years: float) -> Numbers:
    """Return the chance (patient, organ) that the first overt metastasis shows in an organ within years of surgery.

    Of those who have none at diagnosis. Within a month the drop of the free share is divided as the hazards rise.
    """
    hazards = outcomes["h_organ"].transpose("patient", "organ", "month").values
    until = min(round(12 * years), hazards.shape[2] - 1)
    steps = np.diff(hazards[:, :, : until + 1], axis=2)
    free = np.exp(-hazards[:, :, : until + 1].sum(axis=1))
    step = steps.sum(axis=1)
    drop = np.where(step > 0, (free[:, :-1] - free[:, 1:]) / np.where(step > 0, step, 1.0), 0.0)
    drop = np.where(np.isfinite(step), drop, np.nan)
    return np.asarray((steps * drop[:, None, :]).sum(axis=2))


def _first_site(outcomes: xr.Dataset, marginal: Marginal, cohort: xr.Dataset | None) -> Moment:
    if "h_organ" not in outcomes:
        raise AnalysisError(f"marginal {marginal.name!r} needs hazards; give the outcomes of follow_cohort()")
    organs = [str(name) for name in outcomes["organ"].values]
    among = marginal.among or tuple(organs)
    for name in (marginal.of, *among):
        if name not in organs:
            raise unknown_name("organ", name, organs, f"the outcomes, for the marginal {marginal.name!r}")
    years = marginal.years[-1] if marginal.years else float(outcomes["month"].values[-1]) / 12
    chance = first_site(outcomes, years) * np.exp(-outcomes["h_before"].values)[:, None]
    return _plain(
        marginal, chance[:, organs.index(marginal.of)], chance[:, [organs.index(n) for n in among]].sum(axis=1)
    )


_MADE = {
    "mean": _mean,
    "share": _share,
    "stage": _stage,
    "hazard": _hazard,
    "free": _free,
    "at_diagnosis": _at_diagnosis,
    "first_site": _first_site,
}
