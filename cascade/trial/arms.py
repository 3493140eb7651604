"""The arms of a virtual trial: one cohort followed once in each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.cohort.outcomes import follow_cohort
from cascade.errors import AnalysisError, CascadeError
from cascade.specs import Model, require_model
from cascade.therapy import Treatment, treat

if TYPE_CHECKING:
    import xarray as xr

Arms = Mapping[str, "Treatment | Sequence[Treatment] | None"]


def arms_of(arms: Arms) -> dict[str, tuple[Treatment, ...]]:
    """Return the treatments of every arm; the first is the control.

    Raises
    ------
    AnalysisError
        If there are fewer than two arms, or one is no treatment.
    """
    if not isinstance(arms, Mapping) or len(arms) < 2:
        raise AnalysisError(
            f"arms are {str(arms)[:80]!r}; give at least two, the control first:"
            ' {"control": (), "drug": cascade.regimen(...)}'
        )
    found: dict[str, tuple[Treatment, ...]] = {}
    for label, given in arms.items():
        if not isinstance(label, str) or not label.strip():
            raise AnalysisError(f"{label!r} cannot name an arm; give a text")
        if given is None or isinstance(given, Treatment):
            found[label] = () if given is None else (given,)
            continue
        listed = isinstance(given, Iterable) and not isinstance(given, str)
        if not listed or not all(isinstance(part, Treatment) for part in given):
            raise AnalysisError(
                f"arm {label!r} is {str(given)[:80]!r}; give (), what regimen(), inhibit() or activate() return, or a"
                " list of them"
            )
        found[label] = tuple(given)
    return found


def follow_arms(
    model: Model,
    cohort: xr.Dataset,
    arms: Arms,
    *,
    years_after: float = 10,
    store: str | Path | None = None,
    **options: Any,
) -> xr.Dataset:
    """Follow one cohort once in every arm: all runs of the model that a trial needs.

    Parameters
    ----------
    model : Model
    cohort : xarray.Dataset
    arms : mapping of str to treatment or list of treatments
        The control first; () or None for no treatment.
    years_after : float
        Years of follow-up after surgery.
    store : path, optional
        Folder in which every arm keeps its finished runs.
    **options
        Of `cascade.follow_cohort`: workers, executor, resume, chunk, progress, solver, years, seed.

    Returns
    -------
    xarray.Dataset
        What `follow_cohort` returns, over `arm` as well; weights and genotypes are the same in all.

    Raises
    ------
    AnalysisError
        If arms or cohort cannot be used.
    """
    import xarray as xr

    require_model(model, "follow_arms")
    plans = arms_of(arms)
    # all arms are treated before any is run: what cannot be given is told at once
    models = [_treated(model, label, plan) for label, plan in plans.items()]
    found = []
    for number, treated in enumerate(models):
        place = None if store is None else Path(store) / f"arm_{number + 1}"
        found.append(follow_cohort(treated, cohort, years_after=years_after, store=place, **options))
    shared = [n for n, v in found[0].data_vars.items() if v.attrs.get("role") in ("weight", "genotype")]
    joined = xr.concat(
        [each.drop_vars(shared) for each in found], dim="arm", join="exact", combine_attrs="drop_conflicts"
    )
    joined = joined.assign_coords(arm=list(plans)).merge(found[0][shared], combine_attrs="override")
    # attributes are those of the control; the models of the arms differ by their treatments
    joined.attrs = found[0].attrs | {
        "arm_models": json.dumps({label: each.hash for label, each in zip(plans, models, strict=True)}),
        "arm": json.dumps({label: [_words(p) for p in plan] for label, plan in plans.items()}),
    }
    return joined


def _treated(model: Model, label: str, plan: tuple[Treatment, ...]) -> Model:
    try:
        return treat(model, *plan) if plan else model
    except CascadeError as error:
        error.args = (f"arm {label!r}: {error}",)
        raise


def _words(treatment: Treatment) -> str:
    return str(getattr(treatment, "label", "") or treatment)
