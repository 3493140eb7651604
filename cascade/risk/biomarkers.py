"""What is known of a patient at diagnosis: measures, genotype, and simulated biomarkers as a real test reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade._patients import patients_of, uniform
from cascade.errors import AnalysisError, unknown_name

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

READINGS = ("log-normal", "normal", "poisson", "binomial", "bernoulli", "test")

_SAME = {"p_ctc": "ctc_per_tube"}
"""A finding and a count of one tube: positive if and only if the count is above 0."""

_SLACK = 0.01

_NO_BIOMARKER = frozenset({"t_surgery", "status", "reason", "h_before", "h_distant", "weight", "seed"})


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How a test reads a true value.

    Parameters
    ----------
    kind : {"log-normal", "normal", "poisson", "binomial", "bernoulli", "test"}
        A factor; a difference; a count with the true value as its mean; a share counted in `size` trials; present or
        absent with the true value as its probability; a yes or no that is read wrongly at times.
    size : float
        Coefficient of variation (log-normal), standard deviation in the unit of the biomarker (normal), number of
        trials (binomial, for example genomes in a tube of plasma).
    sensitivity, specificity : float
        Of `test`: the chance to read a yes as yes, and a no as no.
    """

    kind: str
    size: float = 0.0
    sensitivity: float = 1.0
    specificity: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in READINGS:
            raise AnalysisError(f"noise is of kind {self.kind!r}; use one of {', '.join(READINGS)}")
        if not 0 <= self.size < float("inf"):
            raise AnalysisError(f"size of noise is {self.size!r}; give a finite number, 0 or above")
        if self.kind == "binomial" and (self.size < 1 or self.size != int(self.size)):
            raise AnalysisError(f"binomial noise in {self.size!r} trials; give a whole number of trials, 1 or above")
        if not (0 <= self.sensitivity <= 1 and 0 <= self.specificity <= 1):
            raise AnalysisError("sensitivity and specificity of a test lie between 0 and 1")

    def read(self, true: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the test reads, from one uniform number per patient; NaN stays NaN."""
        import numpy as np
        from scipy import special, stats

        if self.kind == "log-normal":
            found = true * np.exp(np.sqrt(np.log1p(self.size**2)) * special.ndtri(u))
        elif self.kind == "normal":
            found = true + self.size * special.ndtri(u)
        elif self.kind == "poisson":
            found = stats.poisson.ppf(u, true)
        elif self.kind == "binomial":
            found = stats.binom.ppf(u, int(self.size), true) / self.size
        elif self.kind == "bernoulli":
            found = (u > 1 - true).astype(float)
        else:
            found = (u < np.where(true > 0.5, self.sensitivity, 1 - self.specificity)).astype(float)
        return np.where(np.isnan(true), np.nan, found)


COUNTED = {
    name: Noise(kind="poisson" if name == "ctc_per_tube" else "bernoulli")
    for name in ("ctc_per_tube", "p_ctc", "p_dtc", "p_node")
}
"""Expected values that no test reads: what is read is a count, or a yes or no. Of these the noise has no number."""


ASSAY = Noise(kind="log-normal", size=0.2)
"""How scores of the tissue are read: within 20 %, assumed, as regulators accept it of ligand-binding assays (FDA,
Bioanalytical Method Validation, 2018). Read exactly, scores that differ by a few per cent between patients would tell
more than any assay can."""

_EXACT = ("diameter_mm", "vaf_ctdna")


def measure_biomarkers(
    cohort: xr.Dataset,
    outcomes: xr.Dataset | None = None,
    *,
    features: Sequence[str] | None = None,
    noise: Mapping[str, Noise | None] | None = None,
    seed: int = 1,
) -> xr.DataArray:
    """Collect what is known at diagnosis, each number as its test reads it.

    Parameters
    ----------
    cohort : xarray.Dataset
        Over `patient`; measures, genotypes and, if named in `features`, constants of the model.
    outcomes : xarray.Dataset, optional
        Result of `cascade.follow_cohort`: expected biomarkers and tissue scores at diagnosis. What the cohort
        has a measure for is taken from the cohort.
    features : sequence of str, optional
        By default all measures and genotypes of the cohort and all biomarkers and scores of the outcomes. Constants of
        the model are no biomarkers unless they are named.
    noise : mapping of str to Noise, optional
        How the test of a feature reads. By default the count of cells in a tube is Poisson, the findings in marrow and
        lymph nodes are a yes or no, and scores of the tissue are read within 20 % (`ASSAY`); diameter, share of tumor
        DNA and all that the cohort has are read exactly. `None` reads the expected value itself.
    seed : int
        The reading of a patient depends on the seed, the feature and the patient's id alone.

    Returns
    -------
    xarray.DataArray
        `biomarker` over `patient`, `feature`; NaN where nothing was measured. Coordinates `kind` (measure, genotype,
        biomarker, value), `units` and `noise` over `feature`.

    Raises
    ------
    UnknownNameError
        If a feature is in neither dataset, or noise is given for what is no feature.
    AnalysisError
        If a feature is no number of a patient, or a test cannot read it.
    """
    import xarray as xr

    patients_of(cohort)
    known = _known(cohort, outcomes)
    usual = [n for n, (kind, _) in known.items() if kind != "value" and not (n in _SAME and _SAME[n] in known)]
    names = usual if features is None else list(features)
    if isinstance(features, str) or not names:
        raise AnalysisError("there must be at least one biomarker: give a sequence of names as features")
    for name in names:
        if name not in known:
            raise unknown_name("biomarker", name, known, "the cohort and the outcomes")
    scores = [n for n, (_, each) in known.items() if each.attrs.get("role") == "mark" and n not in _EXACT]
    readings: dict[str, Noise | None] = {**dict.fromkeys(scores, ASSAY), **COUNTED, **(noise or {})}
    for name in noise or {}:
        if name not in known:
            raise unknown_name("biomarker", name, known, "the cohort and the outcomes")
    columns, kinds, units, texts = [], [], [], []
    for name in dict.fromkeys(names):
        kind, array = known[name]
        # A measure was read by its test already, unless the caller says how to read it.
        reading = readings.get(name) if kind == "biomarker" or name in (noise or {}) else None
        columns.append(_column(name, array, reading, cohort, seed))
        kinds.append(kind)
        units.append(str(array.attrs.get("units", "")))
        texts.append(reading.kind if reading else "")
    return (
        xr.concat(columns, "feature", coords="minimal", compat="override")
        .transpose("patient", "feature")
        .assign_coords(
            feature=list(dict.fromkeys(names)),
            kind=("feature", kinds),
            units=("feature", units),
            noise=("feature", texts),
        )
        .rename("biomarker")
    )


def _known(cohort: xr.Dataset, outcomes: xr.Dataset | None) -> dict[str, tuple[str, xr.DataArray]]:
    """Return kind and array of all that can be a feature, measures first."""
    found: dict[str, tuple[str, xr.DataArray]] = {}
    for name, array in cohort.data_vars.items():
        role = array.attrs.get("role", "")
        if array.dims == ("patient",) and role in ("measure", "value"):
            found[str(name)] = (str(role), array)
        found |= {state: ("genotype", one) for state, one in genotype_states(array).items()}
    for each, array in (outcomes.data_vars if outcomes is not None else {}).items():
        name = str(each)
        number = array.dims == ("patient",) and array.dtype.kind in "fiub" and name not in _NO_BIOMARKER
        if number and (name not in found or found[name][0] == "value"):
            found[name] = ("biomarker", array)
    return found


def genotype_states(array: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return by name the states of genes that an array of role "genotype" holds; of other arrays nothing."""
    if array.attrs.get("role") != "genotype" or "patient" not in array.dims:
        return {}
    if array.dims == ("patient",):
        return {str(array.name): array}
    dim = next(str(dim) for dim in array.dims if dim != "patient")
    return {str(state): array.sel({dim: state}, drop=True) for state in array[dim].values}


def _column(name: str, array: xr.DataArray, reading: Noise | None, cohort: xr.Dataset, seed: int) -> xr.DataArray:
    import numpy as np

    if array.dtype.kind not in "fiub":
        raise AnalysisError(
            f"biomarker {name!r} holds {array.dtype} and no numbers; leave it out, or code it as 0 and 1"
        )
    missing = np.setdiff1d(cohort["patient"].values.astype(str), array["patient"].values.astype(str))
    if missing.size:
        raise AnalysisError(
            f"biomarker {name!r} has no row for {missing.size} patients of the cohort, first {missing[0]!r}"
        )
    array = array.sel(patient=cohort["patient"].values)
    true = array.values.astype(float)
    true = np.where(np.isinf(true), np.nan, true)
    if reading is not None:
        _check_readable(name, true, reading)
        # Probabilities that are read off between the rows of a run are a little off at their ends.
        true = np.clip(true, 0.0, 1.0) if reading.kind in ("binomial", "bernoulli", "test") else true
        true = reading.read(true, uniform(seed, f"reading of {_SAME.get(name, name)}", patients_of(cohort)))
    return array.copy(data=true).reset_coords(drop=True).rename("biomarker")


def _check_readable(name: str, true: NDArray[np.float64], reading: Noise) -> None:
    import numpy as np

    low, high = np.nanmin(true, initial=np.inf), np.nanmax(true, initial=-np.inf)
    if reading.kind in ("log-normal", "poisson", "binomial", "bernoulli") and low < -_SLACK:
        raise AnalysisError(f"biomarker {name!r} is {low:g} in a patient; {reading.kind} noise needs 0 or above")
    if reading.kind in ("binomial", "bernoulli", "test") and high > 1 + _SLACK:
        raise AnalysisError(f"biomarker {name!r} is {high:g} in a patient; {reading.kind} noise needs 1 or below")
