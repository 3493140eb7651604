"""Virtual cohorts: patients who differ in constants, genotype and measures, each reproducible for himself."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade._patients import checked_seed, patients_of, values_of
from cascade._tables import is_number, require_whole
from cascade.cohort._draws import Traits, draw, traits_of
from cascade.cohort.distributions import Distribution
from cascade.cohort.presets import CohortPreset, Frequency, Limit, load_preset
from cascade.errors import AnalysisError
from cascade.population import SIGMA
from cascade.specs import Model, require_model

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    Filter = Callable[[xr.Dataset], Any]

__all__ = ["patients_of", "sample_cohort", "values_of"]

MOST_PATIENTS = 1_000_000

LEAST_ACCEPTED = 0.01
"""Share of plausible patients below which a cohort is not made: the filter then says more than the priors."""

_BLOCK = 256


def sample_cohort(
    model: Model,
    n: int,
    *,
    seed: int = 1,
    preset: str | Path | CohortPreset | None = None,
    parameters: Iterable[str] | None = None,
    distributions: Mapping[str, Distribution] | None = None,
    diameter: Distribution | None = None,
    sigma: float | None = None,
    correlations: Mapping[tuple[str, str], float] | None = None,
    genotypes: Mapping[str, float | Frequency] | None = None,
    measures: Mapping[str, Distribution] | None = None,
    filter: Mapping[str, Filter] | None = None,
    first: int = 0,
) -> xr.Dataset:
    """Sample virtual patients.

    Parameters
    ----------
    model : Model
    n : int
        Patients wanted, after the filter.
    seed : int
    preset : str, path or CohortPreset, optional
        A published population (`cascade.preset_names()`): whatever is not given below is as it says.
    parameters : iterable of str, optional
        Uncertain constants (`estimate` in the parameter tables) that differ between patients as their priors say; `*`
        stands for any part of a name. Without it and without a preset, all of them.
    distributions : mapping of str to Distribution, optional
        Constants that differ as said here, whatever their priors.
    diameter : Distribution, optional
        Diameter of the primary at surgery (mm): sets `primary_tumor.n_surgery`, and is the measure `diameter_mm`.
    sigma : float, optional
        Spread of the logarithm of the metastatic potential (`f_metastatic_potential`); by default the constant of the
        preset, else `sigma_potential`. 0 for none.
    correlations : mapping of pair of str to float, optional
        Spearman rank correlations of any two of the constants, measures, `diameter_mm` and genotypes (Gaussian copula).
    genotypes : mapping of str to float, optional
        Frequency of ids of `genotypes.tsv`; `{}` for none. Those that exclude each other share one random number.
    measures : mapping of str to Distribution, optional
        What a clinic knows at diagnosis and the model does not use, such as `age_years`.
    filter : mapping of str to callable, optional
        Reason of a refusal to a function of the Dataset of some patients that is true for those who are plausible.
    first : int
        Number of the first patient: 1000 more patients of the same seed begin at 1000.

    Returns
    -------
    xarray.Dataset
        Over `patient` (ids `s<seed>n<number>`): a variable per constant by its flat id, of role "value" (`values_of`
        gives them to `evaluate`); role "measure"; role "derived" (`doubling_days`: of the primary at 1 ml as the
        Gompertz law has it); `has_genotype` over `patient` and `genotype`, of role "genotype". In the attributes:
        model, hash, seed, preset, `drawn`, `refused` (JSON: reason to number of patients) and `unexpressed` (JSON: what
        the model cannot express of the genotypes).

    Raises
    ------
    UnknownNameError
        If a name is not in the model, or a genotype or preset is unknown.
    AnalysisError
        If a number cannot be used, correlations cannot hold together, or hardly a patient is plausible.

    Notes
    -----
    Patient number k of a seed is the same whatever the size of the cohort, the filter and the other parameters: each
    parameter has a Philox stream of its own, under a key made of seed and id, and the counter jumps to k. Only what is
    correlated with it (given in `correlations`) or what it excludes (genotypes) can change a number.

    Examples
    --------
    >>> model = cascade.compose(cascade.load_composition("breast"))
    >>> cohort = sample_cohort(model, 1000, seed=1, preset="breast_er")
    """
    require_model(model, "sample_cohort")
    require_whole("n", n, 1, MOST_PATIENTS)
    require_whole("first", first, 0, 2**62)
    seed = checked_seed(seed)
    chosen = load_preset(preset) if isinstance(preset, str | Path) else preset
    if chosen is not None and not isinstance(chosen, CohortPreset):
        raise AnalysisError(
            f"preset is {chosen!r}; give the name of a shipped cohort, a file, or what load_preset returns"
        )
    traits = traits_of(
        model,
        parameters=_either(parameters, chosen and chosen.parameters, None),
        distributions=_either(distributions, chosen and chosen.distributions, {}),
        diameter=_either(diameter, chosen and chosen.diameter, None),
        potential=_potential(model, sigma, chosen),
        correlations=_either(correlations, chosen and chosen.correlations, {}),
        all_correlations=correlations is not None,
        scales=chosen.scales if chosen else {},
        genotypes=_shares(_either(genotypes, chosen and chosen.genotypes, {})),
        measures=_either(measures, chosen and chosen.measures, {}),
    )
    if filter is not None and not isinstance(filter, Mapping):
        raise AnalysisError("filter is a mapping of the reason of a refusal to a function; give {'too old': function}")
    tests = _tests(chosen.limits if chosen else ()) | dict(filter or {})
    found, drawn, refused = _accepted(traits, n, seed, first, tests)
    found.attrs = {
        "model": model.name,
        "model_hash": model.hash,
        "seed": seed,
        "preset": chosen.name if chosen else "",
        "drawn": drawn,
        "refused": json.dumps(refused),
        "unexpressed": json.dumps(traits.unexpressed),
        "sigma": traits.sigma,
    }
    return found


def _either(given: Any, preset: Any, otherwise: Any) -> Any:
    return given if given is not None else preset if preset is not None else otherwise


def _potential(model: Model, sigma: float | None, preset: CohortPreset | None) -> tuple[float, float]:
    """Return median and spread of the logarithm of the metastatic potential."""
    if sigma is not None and not (is_number(sigma) and sigma >= 0):
        raise AnalysisError(f"sigma is {sigma!r}; give a finite number of at least 0")
    median = model.parameter(preset.median).nominal if preset and preset.median else 1.0
    median *= preset.factor if preset else 1.0
    if sigma is not None:
        return median, float(sigma)
    name = (preset.sigma if preset else "") or SIGMA
    return median, model.table[name].nominal if name in model.table else 0.0


def _shares(genotypes: Mapping[str, float | Frequency]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, share in genotypes.items():
        value = share.share if isinstance(share, Frequency) else share
        if not (is_number(value) and 0 <= value <= 1):
            raise AnalysisError(f"the frequency of genotype {name!r} is {share!r}; give a number between 0 and 1")
        found[name] = float(value)
    return found


def _tests(limits: Iterable[Limit]) -> dict[str, Filter]:
    def within(limit: Limit) -> Filter:
        def test(block: xr.Dataset) -> Any:
            if limit.of not in block:
                raise AnalysisError(f"the filter {limit.name!r} is of {limit.of!r}, which the cohort does not have")
            return (block[limit.of] >= limit.lower) & (block[limit.of] <= limit.upper)

        return test

    return {limit.name: within(limit) for limit in limits}


def _accepted(
    traits: Traits, n: int, seed: int, first: int, tests: Mapping[str, Filter]
) -> tuple[xr.Dataset, int, dict[str, int]]:
    """Draw patients until enough are plausible; return them, how many were drawn, and why others were refused."""
    import xarray as xr

    blocks: list[xr.Dataset] = []
    refused: Counter[str] = Counter(dict.fromkeys(tests, 0))
    accepted, drawn = 0, 0
    while accepted < n:
        block = draw(traits, seed, first + drawn, n if not tests else max(n - accepted, _BLOCK))
        reasons = _reasons(block, tests)
        good = np.flatnonzero(reasons == "")
        if accepted + len(good) >= n:
            good = good[: n - accepted]
            reasons = reasons[: good[-1] + 1]
        blocks.append(block.isel(patient=good))
        accepted += len(good)
        drawn += len(reasons)
        refused.update(reason for reason in reasons.tolist() if reason)
        if drawn >= 1000 and accepted < LEAST_ACCEPTED * drawn:
            told = "; ".join(f"{reason}: {count}" for reason, count in refused.items())
            raise AnalysisError(
                f"only {accepted} of {drawn} patients are plausible ({told}); mend the filter or what differs"
            )
    found = blocks[0] if len(blocks) == 1 else xr.concat(blocks, dim="patient", data_vars="minimal", coords="minimal")
    return found, drawn, dict(refused)


def _tried(reason: str, test: Filter, block: xr.Dataset) -> NDArray[Any]:
    if not callable(test):
        raise AnalysisError(f"the filter {reason!r} is {test!r}; give a function of a Dataset of patients")
    try:
        return np.asarray(test(block))
    except (KeyError, AttributeError) as error:
        raise AnalysisError(f"the filter {reason!r} asks for what the patients do not have: {error}") from error


def _reasons(block: xr.Dataset, tests: Mapping[str, Filter]) -> NDArray[Any]:
    """Return why each patient is refused: the first reason, "" for none."""
    reasons = np.full(block.sizes["patient"], "", dtype=object)
    for reason, test in tests.items():
        fine = _tried(reason, test, block)
        if fine.shape != reasons.shape or fine.dtype != bool:
            raise AnalysisError(
                f"the filter {reason!r} returned {fine.dtype} of shape {fine.shape}; return true or false for each of"
                f" the {len(reasons)} patients"
            )
        reasons[~fine & (reasons == "")] = reason
    return reasons
