"""Tests that a clinic has: what a tube of blood, an aspirate or a scan shows, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from cascade._tables import is_number
from cascade.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Body = Mapping[str, NDArray[Any]]
    """What the body of a patient shows: arrays of one shape, by name."""

PRIMARY = "primary"
"""Name of the place of the primary tumor, beside the organs."""


class ClinicalTest(Protocol):
    """What every test can do.

    Attributes
    ----------
    name : str
        How results name it.
    needs : tuple of str
        What it reads of the body: `d_ctc` (circulating tumor cells per ml of blood), `d_ctdna` and `d_cfdna` (genome
        copies per ml of plasma), `f_dtc` (tumor cells per cell of the marrow), `diameter_mm` and `organ` of the lesion.
    """

    needs: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str:
        """How results name it."""
        ...

    def chance(self, body: Body) -> Numbers:
        """Return the probability of a positive result."""
        ...

    def needed(self, p: float, body: Body) -> tuple[str, Numbers]:
        """Return the name and the least value of what the body must show for a positive result with probability p."""
        ...

    def result(self, body: Body, luck: Numbers) -> Numbers:
        """Return the result that a number inside (0, 1) means; more of the tumor never means less."""
        ...

    def is_positive(self, result: Numbers) -> NDArray[np.bool_]:
        """Tell which results are positive."""
        ...


def _refuse(test: object, name: str, least: float, most: float, *, whole: bool = False, above: bool = False) -> None:
    value = getattr(test, name)
    good = is_number(value) and (least < value if above else least <= value) and value <= most
    if not good or (whole and value != int(value)):
        what = "a whole number" if whole else "a number"
        raise AnalysisError(
            f"{type(test).__name__}: {name} is {value!r}; give {what} {'above' if above else 'from'} {least:g}, up to"
            f" {most:g}"
        )


@dataclass(frozen=True, kw_only=True)
class _Count:
    """A test that counts cells: Poisson around an expected number, positive from a cutoff on."""

    name: str
    background: float
    cutoff: int = 1

    def __post_init__(self) -> None:
        _refuse(self, "background", 0, 1e6)
        _refuse(self, "cutoff", 1, 1e6, whole=True)

    def expected(self, body: Body) -> Numbers:
        """Return the expected count, the background included."""
        raise NotImplementedError

    def chance(self, body: Body) -> Numbers:
        """Return the probability of at least `cutoff` cells."""
        from scipy.special import pdtrc

        found: Numbers = pdtrc(self.cutoff - 1, self.expected(body))
        return found

    def result(self, body: Body, luck: Numbers) -> Numbers:
        """Return the count."""
        from scipy.stats import poisson

        return np.asarray(poisson.ppf(luck, self.expected(body)), dtype=float)

    def is_positive(self, result: Numbers) -> NDArray[np.bool_]:
        """Tell which counts reach the cutoff."""
        return np.asarray(result >= self.cutoff)

    def signal_for(self, p: float) -> float:
        """Return the expected count from the tumor alone that is found with probability p; 0 if errors alone are."""
        from scipy.special import gammaincinv

        return max(0.0, float(gammaincinv(self.cutoff, p)) - self.background)


@dataclass(frozen=True, kw_only=True)
class CtcTest(_Count):
    """Circulating tumor cells counted in a tube of blood.

    Attributes
    ----------
    name : str
    volume_ml : float
        Blood in the tube.
    capture : float
        Share of the circulating tumor cells of the tube that is counted.
    background : float
        Cells expected in a tube of somebody without cancer: false positives.
    cutoff : int
        Cells from which on the test is positive.
    """

    name: str = "ctc"
    volume_ml: float
    capture: float
    needs: ClassVar[tuple[str, ...]] = ("d_ctc",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse(self, "volume_ml", 0, 1000, above=True)
        _refuse(self, "capture", 0, 1, above=True)

    def expected(self, body: Body) -> Numbers:
        """Return the expected cells in a tube."""
        return np.asarray(body["d_ctc"] * self.volume_ml * self.capture + self.background)

    def needed(self, p: float, body: Body) -> tuple[str, Numbers]:
        """Return what the test needs of the body to be positive with probability p."""
        return "d_ctc", np.asarray(self.signal_for(p) / (self.volume_ml * self.capture))


@dataclass(frozen=True, kw_only=True)
class MarrowAspirate(_Count):
    """Tumor cells counted among the cells of a bone marrow aspirate.

    Attributes
    ----------
    name : str
    n_screened : float
        Marrow cells that are looked at.
    recovery : float
        Share of the tumor cells among them that is recognized.
    background : float
        Blood cells expected to be taken for tumor cells: false positives.
    cutoff : int
        Cells from which on the test is positive.
    """

    name: str = "marrow"
    n_screened: float
    recovery: float = 1.0
    needs: ClassVar[tuple[str, ...]] = ("f_dtc",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse(self, "n_screened", 0, 1e12, above=True)
        _refuse(self, "recovery", 0, 1, above=True)

    def expected(self, body: Body) -> Numbers:
        """Return the expected cells in an aspirate."""
        return np.asarray(body["f_dtc"] * self.n_screened * self.recovery + self.background)

    def needed(self, p: float, body: Body) -> tuple[str, Numbers]:
        """Return what the test needs of the body to be positive with probability p."""
        return "f_dtc", np.asarray(self.signal_for(p) / (self.n_screened * self.recovery))


@dataclass(frozen=True, kw_only=True)
class CtdnaPanel:
    """Mutated molecules counted among the cell-free DNA of a tube, over the mutations of a panel.

    Attributes
    ----------
    name : str
    plasma_ml : float
        Plasma of the tube.
    recovery : float
        Share of its genome copies that is read.
    genomes : float
        Genome copies that are read at most.
    mutations : int
        Mutations that are tracked; every genome copy of the tumor carries all of them.
    error : float
        Chance that a molecule without a mutation is read as mutated: false positives.
    hematopoiesis : float
        Share of people whose blood cells carry a variant that is taken for one of the tumor, at every visit.
    cutoff : int
        Mutated molecules, over all mutations, from which on the test is positive.
    """

    name: str = "ctdna"
    plasma_ml: float
    recovery: float
    genomes: float
    mutations: int
    error: float
    hematopoiesis: float = 0.0
    cutoff: int = 2
    needs: ClassVar[tuple[str, ...]] = ("d_ctdna", "d_cfdna")

    def __post_init__(self) -> None:
        _refuse(self, "plasma_ml", 0, 1000, above=True)
        _refuse(self, "genomes", 1, 1e9)
        _refuse(self, "mutations", 1, 1e7, whole=True)
        _refuse(self, "cutoff", 1, 1e6, whole=True)
        _refuse(self, "recovery", 0, 1, above=True)
        for name in ("error", "hematopoiesis"):
            _refuse(self, name, 0, 1)
        if self.error == 1:
            raise AnalysisError(
                "CtdnaPanel: error is 1, so that every molecule is read as mutated; give a number below 1"
            )

    def molecules(self, body: Body) -> Numbers:
        """Return the molecules read over all mutations, a whole number."""
        copies = self.plasma_ml * self.recovery * (body["d_cfdna"] + body["d_ctdna"])
        return np.asarray(np.round(np.minimum(self.genomes, copies)) * self.mutations)

    def fraction(self, body: Body) -> Numbers:
        """Return the chance that a molecule is read as mutated: the allele fraction and the errors."""
        whole = body["d_cfdna"] + body["d_ctdna"]
        vaf = np.divide(body["d_ctdna"], whole, out=np.zeros_like(whole, dtype=float), where=whole > 0)
        return np.asarray(vaf + (1 - vaf) * self.error)

    def chance(self, body: Body) -> Numbers:
        """Return the probability of at least `cutoff` mutated molecules, or of a variant of the blood."""
        from scipy.stats import binom

        counted = np.asarray(binom.sf(self.cutoff - 1, self.molecules(body), self.fraction(body)))
        return np.asarray(self.hematopoiesis + (1 - self.hematopoiesis) * counted)

    def result(self, body: Body, luck: Numbers) -> Numbers:
        """Return the count of mutated molecules."""
        from scipy.stats import binom

        return np.asarray(binom.ppf(luck, self.molecules(body), self.fraction(body)), dtype=float)

    def is_positive(self, result: Numbers) -> NDArray[np.bool_]:
        """Tell which counts reach the cutoff."""
        return np.asarray(result >= self.cutoff)

    def needed(self, p: float, body: Body) -> tuple[str, Numbers]:
        """Return what the test needs of the body, given its normal DNA, to be positive with probability p."""
        from scipy.special import betaincinv

        share = max(0.0, (p - self.hematopoiesis) / (1 - self.hematopoiesis)) if self.hematopoiesis < 1 else 0.0
        normal = np.asarray(body["d_cfdna"], dtype=float)
        tumor = np.zeros_like(normal)
        for _ in range(100):  # the molecules that are read depend, weakly, on what the tumor adds
            count = self.molecules({"d_cfdna": normal, "d_ctdna": tumor})
            enough = count >= self.cutoff
            mutated = betaincinv(self.cutoff, np.where(enough, count - self.cutoff + 1, 1.0), share)
            vaf = np.clip((mutated - self.error) / (1 - self.error), 0.0, 1.0 - 1e-12)
            before, tumor = tumor, np.where(enough, normal * vaf / (1 - vaf), np.maximum(2 * tumor, normal + 1e-3))
            if np.allclose(before, tumor, rtol=1e-12, atol=0):
                break
        return "d_ctdna", tumor


@dataclass(frozen=True, kw_only=True)
class Imaging:
    """A scan: what it finds depends on the organ and on the size of the lesion.

    Attributes
    ----------
    name : str
    limits_mm : mapping of str to float
        By organ that the scan shows, the diameter that is found with half of the largest sensitivity. `primary` is the
        place of the primary tumor.
    steepness : float
        Of the sensitivity in the logarithm of the diameter: sensitivity/(1 + (limit/diameter)^steepness).
    sensitivity : float
        For large lesions.
    false_positive : float
        Chance that a scan of somebody without a lesion is called positive.
    """

    name: str = "imaging"
    limits_mm: Mapping[str, float] = field(default_factory=dict)
    steepness: float = 6.0
    sensitivity: float = 1.0
    false_positive: float = 0.0
    needs: ClassVar[tuple[str, ...]] = ("diameter_mm", "organ")

    def __post_init__(self) -> None:
        for name in ("sensitivity", "false_positive"):
            _refuse(self, name, 0, 1)
        _refuse(self, "steepness", 0, 1000, above=True)
        if not isinstance(self.limits_mm, Mapping) or not self.limits_mm:
            raise AnalysisError("Imaging: limits_mm is empty; give the diameter that is found by organ: {'bone': 12}")
        for organ, limit in self.limits_mm.items():
            if not (is_number(limit) and limit > 0):
                raise AnalysisError(f"Imaging: the limit of {organ!r} is {limit!r}; give a diameter in mm above 0")
        object.__setattr__(self, "limits_mm", MappingProxyType(dict(self.limits_mm)))

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: getattr(self, name) for name in _names(self)}
        return _restore_imaging, (state | {"limits_mm": dict(self.limits_mm)},)

    def seen(self, body: Body) -> Numbers:
        """Return the probability that the lesion itself is seen."""
        diameter, organ = np.broadcast_arrays(np.asarray(body["diameter_mm"], dtype=float), body["organ"])
        found = np.zeros(diameter.shape)
        for name, limit in self.limits_mm.items():
            here = (organ == name) & (diameter > 0)
            ratio = np.divide(limit, diameter, out=np.full(diameter.shape, np.inf), where=here)
            with np.errstate(over="ignore"):
                found = np.where(here, self.sensitivity / (1 + ratio**self.steepness), found)
        return found

    def chance(self, body: Body) -> Numbers:
        """Return the probability that the lesion is seen or the scan called positive without one."""
        return np.asarray(1 - (1 - self.seen(body)) * (1 - self.false_positive))

    def result(self, body: Body, luck: Numbers) -> Numbers:
        """Return 1 for a positive scan, 0 for a negative one."""
        return (luck > 1 - self.chance(body)).astype(float)

    def is_positive(self, result: Numbers) -> NDArray[np.bool_]:
        """Tell which scans are positive."""
        return np.asarray(result >= 1)

    def needed(self, p: float, body: Body) -> tuple[str, Numbers]:
        """Return the diameter that is found with probability p; infinite where the scan never does."""
        organ = np.asarray(body["organ"])
        share = 1 - (1 - p) / (1 - self.false_positive) if self.false_positive < 1 else 0.0
        limit = np.full(organ.shape, np.inf)
        for name, size in self.limits_mm.items():
            limit = np.where(organ == name, size, limit)
        if share <= 0:
            return "diameter_mm", np.zeros(organ.shape)
        if share >= self.sensitivity:
            return "diameter_mm", np.full(organ.shape, np.inf)
        return "diameter_mm", np.asarray(limit * (share / (self.sensitivity - share)) ** (1 / self.steepness))


def _names(test: Imaging) -> list[str]:
    return [each.name for each in fields(test)]


def _restore_imaging(state: dict[str, Any]) -> Imaging:
    return Imaging(**state)
