"""What is known of a number in a population: a distribution by quantile, and a published marginal with its error."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from cascade._tables import is_number
from cascade.cohort.stage import stages_of
from cascade.errors import TableError, unknown_name

if TYPE_CHECKING:
    import numpy as np

SHAPES = ("log-normal", "normal", "log-uniform", "uniform", "bins")


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How a number differs between patients.

    Attributes
    ----------
    shape : {"log-normal", "normal", "log-uniform", "uniform", "bins"}
    center, spread : float
        Median and standard deviation of the natural logarithm (log-normal), mean and standard deviation (normal).
    lower, upper : float, optional
        A normal one is truncated there; a uniform one fills them.
    edges, shares : tuple of float
        Of bins: one edge more than shares; log-uniform within a bin if all edges are above 0, else uniform. The shares
        are divided by their sum.
    unit, evidence, source, where, note : str
        As in a parameter table. A unit that is said must be that of the constant (mm for a diameter); without one, or
        with "dimensionless", the numbers are taken to be in it.

    Raises
    ------
    TableError
        If the numbers do not make a distribution.
    """

    shape: str
    center: float | None = None
    spread: float | None = None
    lower: float | None = None
    upper: float | None = None
    edges: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    unit: str = "dimensionless"
    evidence: str = "assumed"
    source: tuple[str, ...] = ()
    where: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise unknown_name("shape of a distribution", self.shape, SHAPES, "the shapes")
        if self.shape == "bins":
            self._check_bins()
            return
        if self.shape in ("uniform", "log-uniform"):
            if not (is_number(self.lower) and is_number(self.upper) and self.lower < self.upper):
                raise TableError(f"a {self.shape} distribution needs lower below upper, not {self.lower}, {self.upper}")
        elif not (is_number(self.center) and is_number(self.spread) and self.spread > 0):
            raise TableError(
                f"a {self.shape} distribution needs center and spread above 0, not {self.center}, {self.spread}"
            )
        if self.shape.startswith("log"):
            given = [x for x in (self.lower, self.upper) if x is not None]
            given += [self.center] if self.shape == "log-normal" and self.center is not None else []
            if min(given, default=1.0) <= 0:
                raise TableError(f"a {self.shape} distribution needs numbers above 0, not {given}")
        low, high = self.lower, self.upper
        if low is not None and high is not None and not low < high:
            raise TableError(f"a {self.shape} distribution needs lower below upper, not {low}, {high}")

    def _check_bins(self) -> None:
        edges, shares = self.edges, self.shares
        rising = all(a < b for a, b in pairwise(edges))
        fine = all(map(is_number, (*edges, *shares))) and rising and min(shares, default=0.0) >= 0 < sum(shares)
        if not fine or len(edges) != len(shares) + 1:
            raise TableError(
                f"bins need edges that rise and one share of 0 or more between each two; found edges {list(edges)}"
                f" and shares {list(shares)}"
            )

    def quantile(self, at: np.ndarray) -> np.ndarray:
        """Return the values at quantiles between 0 and 1."""
        import numpy as np

        if self.shape == "bins":
            logarithmic = self.edges[0] > 0
            grid = np.log(self.edges) if logarithmic else np.asarray(self.edges)
            rising = np.concatenate([[0.0], np.cumsum(self.shares) / sum(self.shares)])
            value = np.interp(at, rising, grid)
            return np.asarray(np.exp(value) if logarithmic else value)
        return self._of_curve(np.asarray(at, dtype=float))

    def _of_curve(self, at: np.ndarray) -> np.ndarray:
        import numpy as np
        from scipy.special import ndtr, ndtri

        logarithmic = self.shape.startswith("log")
        low, high = (
            end if each is None else math.log(each) if logarithmic else each
            for each, end in ((self.lower, -math.inf), (self.upper, math.inf))
        )
        if self.shape in ("uniform", "log-uniform"):
            value = low + at * (high - low)
        else:
            center, spread = float(self.center or 0.0), float(self.spread or 1.0)
            mean = math.log(center) if logarithmic else center
            first, last = ndtr((low - mean) / spread), ndtr((high - mean) / spread)
            value = np.clip(mean + spread * ndtri(first + at * (last - first)), low, high)
        return np.exp(value) if logarithmic else value


KINDS = ("mean", "share", "stage", "hazard", "free", "at_diagnosis", "first_site")


@dataclass(frozen=True, kw_only=True)
class Marginal:
    """One published number of a population.

    Attributes
    ----------
    name : str
    kind : {"mean", "share", "stage", "hazard", "free", "at_diagnosis", "first_site"}
        Mean of a variable; share of patients whose variable lies in [lower, upper) or, of a genotype, who have it;
        share of a stage at diagnosis (`of`, one of `cascade.cohort.stage.STAGE_NAMES`: "T2", "N+", "I", ...) among all
        or some stages (`among`); annual hazard of overt distant metastasis between two `years` after surgery; share
        free of it at the last of the `years`; share with it at diagnosis; share of an organ (`of`) among the first
        sites (of `among`, or all) until the last of the `years`. Hazards, free shares and sites are of those without
        metastasis at diagnosis.
    value, error : float
        What was published, and its standard error; 0 is taken as known exactly.
    of : str
        Variable of the outcomes or of the cohort, id of a genotype, stage, or organ.
    lower, upper : float
        Ends of the bin of a share.
    years : tuple of float
        Years after surgery.
    among : tuple of str
        Organs or stages that are compared; all by default.
    quantity, conditions, source, where, note : texts
        What a page says of it.
    """

    name: str
    kind: str
    value: float
    error: float = 0.0
    of: str = ""
    lower: float = -math.inf
    upper: float = math.inf
    years: tuple[float, ...] = ()
    among: tuple[str, ...] = ()
    quantity: str = ""
    conditions: str = ""
    source: tuple[str, ...] = field(default=())
    where: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("kind of marginal", self.kind, KINDS, "the kinds")
        if not (is_number(self.value) and is_number(self.error) and self.error >= 0):
            raise TableError(f"marginal {self.name!r}: value {self.value}, error {self.error}; give finite numbers")
        if self.kind not in ("mean", "hazard") and not 0 <= self.value <= 1:
            raise TableError(f"marginal {self.name!r} is a share of {self.value}; give a number between 0 and 1")
        if self.kind in ("mean", "share", "stage", "first_site") and not self.of:
            raise TableError(f"marginal {self.name!r} is a {self.kind} of nothing; say of what")
        for name in (self.of, *self.among) if self.kind == "stage" else ():
            stages_of(name, f"cascade.cohort.stage, for the marginal {self.name!r}")
        if not self.lower < self.upper:
            raise TableError(f"marginal {self.name!r}: the bin [{self.lower:g}, {self.upper:g}) is empty")
        self._check_years()

    def _check_years(self) -> None:
        needed = {"hazard": 2, "free": 1}.get(self.kind, 0)
        rising = all(a < b for a, b in pairwise(self.years))
        if len(self.years) < needed or not rising or min(self.years, default=0.0) < 0:
            raise TableError(
                f"marginal {self.name!r}: years {list(self.years)}; a {self.kind} needs {needed}, rising from 0 or lat"
            )
