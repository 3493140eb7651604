"""What a treatment does to everything: fold changes of species, pathways, genes and endpoints against untreated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._plan import TOLERANCE_SCALE
from cascade._tables import is_number
from cascade.errors import AnalysisError, unknown_name
from cascade.fold_change import OK, SAME, fold_change
from cascade.quantities import GROUPS, SCALES, Quantity, Scale, genes_without_level, quantities_of
from cascade.readouts import find_readout, known_readouts, readout
from cascade.simulate import DAYS_PER_YEAR
from cascade.specs import Model, Solver, require_model
from cascade.treatment_runs import SOLVER, SURGERY, UNTREATED, Plans, at_days, plans_of, run_treatments

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

DAYS = (2.0, 7.0, 28.0, 84.0, 182.0, 365.0, 730.0, 1826.0)
"""Days since the start of treatment."""

YEARS = (1.0, 2.0, 5.0, 10.0)
"""Years after surgery."""

NOT_GIVEN = "the treatment never begins within the simulated time"
TOO_LATE = "beyond the simulated time"
NOT_OPERATED = "not operated within the simulated time"


def treatment_effects(
    model: Model,
    regimens: Plans,
    *,
    days: Sequence[float] = DAYS,
    years_after_surgery: Sequence[float] = YEARS,
    groups: Sequence[str] = GROUPS,
    readouts: Sequence[str] | None = None,
    years: float | None = None,
    values: Mapping[str, float] | None = None,
    runs: xr.Dataset | None = None,
    solver: Solver | None = None,
) -> xr.Dataset:
    """Tell what each treatment does to every species, pathway, gene, target and endpoint of a model, over time.

    Parameters
    ----------
    model : Model
        Untreated.
    regimens : mapping of str to treatment or list of treatments
        What `cascade.treat` takes: `{"label": regimen}`, or a list for what is given together.
    days : sequence of float
        Days since the start of each treatment (its first dose) on which it is compared; the untreated patient is read
        on the same day of his life.
    years_after_surgery : sequence of float
        Years after surgery on which it is compared; each patient is read that long after his own operation. Without
        surgery in the model there are none.
    groups : sequence of str
        Of `cascade.quantities.GROUPS`.
    readouts : sequence of str, optional
        Clinical endpoints with one number a run; by default all that the model has (`cascade.readouts`).
    years, values, solver : optional
        As in `cascade.treatment_runs.run_treatments`.
    runs : xarray.Dataset, optional
        What `run_treatments` returned for the same model and regimens, with all variables: saves the simulations. A
        moment sooner than two of its rows after the first dose is blurred.

    Returns
    -------
    xarray.Dataset
        Over `treatment`, `time` (days since its start) and `quantity` (such as `pathway:erk`, `gene:KDR`,
        `endpoint:tumor`, `target:vegfa`, `species:emt.c_snail`): `treated`, `untreated`, `difference`, `fold` and
        `reason`; the same with `_after_surgery` over `year`. The coordinate `scale` of a quantity says what `fold` is:
        of a level the ratio, of a share the odds ratio, of a risk the ratio of cumulative hazards; of what can be
        negative there is none. `fold` is exactly 1 where nothing differs beyond the tolerance of the solver, 0 where
        nothing is left, and NaN with `reason` where there is no ratio (0 without treatment, a share at its end); the
        difference is there then. A target is what a drug holds or blocks of it: 0 untreated. Over `treatment` and
        `readout`: `readout_treated`, `readout_untreated`, `readout_difference`, `readout_fold`, `readout_reason`.
        Attributes name the genes of which the model has only constants, and what made the runs.

    Raises
    ------
    UnknownNameError
        If a group or a readout is not known.
    AnalysisError
        If the regimens or days are wrong, or the untreated run fails.
    DrugError
        If a treatment cannot be given to this model.

    Examples
    --------
    >>> found = cascade.treatment_effects(model, {"bevacizumab": cascade.regimen("bevacizumab", origin="surgery")})
    >>> found["fold"].sel(treatment="bevacizumab", time=84, quantity="gene:KDR")
    """
    require_model(model, "treatment_effects")
    import xarray as xr

    plans = plans_of(regimens)
    days = _numbers("days", days)
    after = _numbers("years_after_surgery", years_after_surgery) if SURGERY in model.ids else []
    solver = solver or SOLVER
    followed = quantities_of(model, groups)
    names = _readouts(model, readouts)
    if runs is None:
        record = [flat for each in followed for flat in each.ids] + _needed(model, names)
        # a day is read between two rows, neither of which may lie before the first dose
        step = min([1.0, *(day / 2 for day in days if day > 0)])
        runs = run_treatments(
            model, plans, years=years, values=values, step=step, solver=solver, record=list(dict.fromkeys(record))
        )
    if [str(each) for each in runs["treatment"].values] != [UNTREATED, *plans]:
        raise AnalysisError("runs are of other treatments; give what run_treatments() returned for these regimens")
    if "target" in groups:
        followed = (*followed, *_targets(runs))
    compared = _Comparison(runs, followed, solver)
    parts = [compared.over("time", np.array(days), "")]
    if after:
        parts.append(compared.over("year", np.array(after), "_after_surgery"))
    found = xr.merge([*parts, _endpoints(runs, names, solver)], combine_attrs="drop_conflicts")
    found = found.assign_coords(
        _columns(followed) | {"start": ("treatment", runs["start"].values[1:], {"units": "day"})}
    )
    found.attrs = dict(runs.attrs) | {
        "fold": "; ".join(f"{scale}: {words}" for scale, words in SCALES.items()),
        "same": f"values that differ by less than {SAME * solver.relative_tolerance:g} of themselves are the same",
        "genes_without_level": ", ".join(genes_without_level(model, followed)),
        "treatments": "; ".join(f"{label}: {' + '.join(_label(e) for e in plan)}" for label, plan in plans.items()),
    }
    return found


def _label(each: Any) -> str:
    return str(each.label or each.target)


def _numbers(name: str, given: Sequence[float]) -> list[float]:
    numbers = [given] if is_number(given) else list(given)
    if not all(is_number(each) and each >= 0 for each in numbers) or len(set(numbers)) != len(numbers):
        raise AnalysisError(f"{name} is {given!r}; give numbers of 0 or more, none of them twice")
    return [float(each) for each in numbers]


def _readouts(model: Model, asked: Sequence[str] | None) -> list[str]:
    if asked is not None:
        return [find_readout(name).name for name in asked]
    flat = set(model.ids.values())
    return [
        spec.name
        for spec in known_readouts()
        if not spec.dims and all(any(fnmatchcase(each, need) for each in flat) for need in spec.needs)
    ]


def _needed(model: Model, names: Sequence[str]) -> list[str]:
    from cascade.readouts import variables_for

    return [each for name in names for each in variables_for(name, model)]


def _targets(runs: xr.Dataset) -> list[Quantity]:
    """Return what drugs hold of their targets; two drugs on one target are two quantities."""
    found = []
    for name in map(str, runs.data_vars):
        drug, _, local = name.partition("__")
        if local.startswith("u_") and "treatment" in runs[name].dims and runs[name].isnull().any():
            title = str(runs[name].attrs.get("long_name", name))
            target = local.removeprefix("u_")
            found.append(
                Quantity(
                    id=f"target:{target}@{drug}",
                    group="target",
                    name=title,
                    ids=(name,),
                    scale="share",
                    unit="dimensionless",
                )
            )
    return found


def _columns(followed: Sequence[Quantity]) -> dict[str, Any]:
    columns = {
        "group": [each.group for each in followed],
        "quantity_name": [each.name for each in followed],
        "scale": [each.scale for each in followed],
        "unit": [each.unit for each in followed],
        "genes": ["; ".join(each.genes) for each in followed],
        "stage": [each.stage for each in followed],
    }
    return {name: ("quantity", np.array(texts, dtype=str)) for name, texts in columns.items()}


class _Comparison:
    """Every treatment against untreated, quantity by quantity, on days that are counted in one way or another."""

    def __init__(self, runs: xr.Dataset, followed: Sequence[Quantity], solver: Solver) -> None:
        self.runs, self.followed, self.solver = runs, followed, solver
        self.labels = [str(each) for each in runs["treatment"].values[1:]]

    def over(self, dim: str, moments: NDArray[np.float64], suffix: str) -> xr.Dataset:
        """Return the comparison on `moments`: days since the start of treatment, or years after surgery."""
        import xarray as xr

        shape = (len(self.labels), len(moments), len(self.followed))
        table = {name: np.full(shape, np.nan) for name in ("treated", "untreated", "fold")}
        reason = np.full(shape, OK, dtype=object)
        for row, label in enumerate(self.labels):
            own, other, why = self._days(dim, label, moments)
            for column, each in enumerate(self.followed):
                at = row, slice(None), column
                cells = self._compared(each, label, own, other)
                table["treated"][at], table["untreated"][at], table["fold"][at], found = cells
                reason[at] = np.where(why == OK, found, why)
        dims = ("treatment", dim, "quantity")
        data: dict[str, Any] = {f"{name}{suffix}": (dims, numbers) for name, numbers in table.items()}
        data[f"difference{suffix}"] = (dims, table["treated"] - table["untreated"])
        data[f"reason{suffix}"] = (dims, reason.astype(str))
        units = {"time": ("day", "days since the first dose"), "year": ("year", "years after surgery")}[dim]
        axis = (dim, moments, dict(zip(("units", "long_name"), units, strict=True)))
        return xr.Dataset(data, {"treatment": self.labels, dim: axis, "quantity": [q.id for q in self.followed]})

    def _days(
        self, dim: str, label: str, moments: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.object_]]:
        """Return the day of every moment in the treated and in the untreated patient, and why there is none."""
        if dim == "time":
            begin = float(self.runs["start"].sel(treatment=label))
            own = other = begin + moments
            none = NOT_GIVEN
        else:
            surgery = [self._surgery(each) for each in (label, UNTREATED)]
            own, other = (day + DAYS_PER_YEAR * moments for day in surgery)
            none = NOT_OPERATED
        last = float(self.runs["time"][-1])
        why = np.full(len(moments), OK, dtype=object)
        why[(own > last) | (other > last)] = TOO_LATE
        why[np.isnan(own + other)] = none
        status = str(self.runs["status"].sel(treatment=label).item())
        if status != "ok":
            why[:] = f"run failed: {status}"
        return np.where(why == OK, own, np.nan), np.where(why == OK, other, np.nan), why

    def _surgery(self, label: str) -> float:
        name = SURGERY.replace(".", "__")
        days = self.runs[name].sel(treatment=label).values
        return float(days[-1]) if 0 <= days[-1] <= float(self.runs["time"][-1]) else np.nan

    def _compared(
        self, each: Quantity, label: str, own: NDArray[np.float64], other: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.object_]]:
        treated = at_days(self.runs, each.ids, label, own)
        untreated = at_days(self.runs, each.ids, UNTREATED, other)
        if each.group == "target":
            absent = bool(self.runs[each.ids[0]].sel(treatment=label).isnull().all())
            treated = np.where(np.isfinite(own) & absent, 0.0, treated)
            untreated = np.where(np.isfinite(other), 0.0, np.nan)
        # rows lie before and after the first dose: until then nobody is treated, and interpolation must not look ahead
        treated = np.where(own <= float(self.runs["start"].sel(treatment=label)), untreated, treated)
        fold, reason = fold_change(treated, untreated, each.scale, **_tolerances(each.unit, self.solver))
        return treated, untreated, fold, reason


def _tolerances(unit: str, solver: Solver) -> dict[str, float]:
    """Return what the solver resolves: cells to its absolute tolerance, all else to a thousandth."""
    absolute = solver.absolute_tolerance * TOLERANCE_SCALE.get(unit, 1e-3)
    return {"absolute": absolute, "relative": solver.relative_tolerance}


def _endpoints(runs: xr.Dataset, names: Sequence[str], solver: Solver) -> xr.Dataset:
    """Compare the readouts, one number a run; one with a hazard by the ratio of its hazards."""
    import xarray as xr

    labels = [str(each) for each in runs["treatment"].values[1:]]
    if not names:
        return xr.Dataset(coords={"treatment": labels})
    shape = (len(labels), len(names))
    table = {name: np.full(shape, np.nan) for name in ("treated", "untreated", "difference", "fold")}
    reason = np.full(shape, OK, dtype=object)
    columns: dict[str, list[str]] = {"readout_meaning": [], "readout_unit": [], "readout_scale": [], "better": []}
    for column, name in enumerate(names):
        spec = find_readout(name)
        value = readout(runs, name)
        scale = _scale(spec.unit, name, spec.hazard)
        treated, untreated = value.values[1:], value.values[0]
        basis = value if not spec.hazard or spec.hazard == name else readout(runs, spec.hazard)
        tolerances = _tolerances(spec.unit or str(value.attrs["units"]), solver)
        ratio_of: Scale = "level" if spec.hazard else scale
        fold, why = fold_change(basis.values[1:], np.broadcast_to(basis.values[0], len(labels)), ratio_of, **tolerances)
        own, other = value["reason"].values.astype(str)[1:], str(value["reason"].values[0])
        why = np.where(own != OK, own, np.where(other != OK, f"untreated: {other}", why))
        table["treated"][:, column], table["untreated"][:, column] = treated, untreated
        table["difference"][:, column], table["fold"][:, column] = treated - untreated, fold
        reason[:, column] = why
        for key, text in zip(columns, (spec.meaning, str(value.attrs["units"]), scale, spec.better), strict=True):
            columns[key].append(text)
    dims = ("treatment", "readout")
    data: dict[str, Any] = {f"readout_{name}": (dims, numbers) for name, numbers in table.items()}
    data["readout_reason"] = (dims, reason.astype(str))
    coords: dict[str, Any] = {"treatment": labels, "readout": list(names)}
    return xr.Dataset(data, coords | {key: ("readout", texts) for key, texts in columns.items()})


def _scale(unit: str, name: str, hazard: str) -> Scale:
    if hazard and hazard != name:
        return "risk"
    return "share" if unit == "dimensionless" and name.startswith(("p_", "f_", "vaf_", "final:p_")) else "level"


def largest(effects: xr.Dataset, *, top: int = 20, groups: Sequence[str] = ("pathway", "gene")) -> list[str]:
    """Return the quantities whose fold changes most, over all treatments and times, the largest first.

    Raises
    ------
    UnknownNameError
        If a group is not known.
    """
    for group in groups:
        if group not in GROUPS:
            raise unknown_name("group", group, GROUPS, "the quantities")
    table = effects.isel(quantity=np.isin(effects["group"].values, list(groups)))
    with np.errstate(divide="ignore"):
        size = np.abs(np.log2(table["fold"].transpose("quantity", ...).values))
    most = np.where(np.isnan(size), -1.0, size).max(axis=(1, 2), initial=-1.0)
    order = np.argsort(-most, kind="stable")
    return [str(table["quantity"].values[k]) for k in order if most[k] > 0][:top]
