"""Functions whose Sobol' indices are known exactly; each takes quantiles, runs x inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cascade.sensitivity import Design
from cascade.specs import Parameter


@dataclass(frozen=True, kw_only=True)
class KnownFunction:
    """A function of independent inputs, uniform quantiles; `closed(u)` is the closed index of a set of inputs."""

    name: str
    inputs: int
    function: Callable[[np.ndarray], np.ndarray]
    closed: Callable[[Sequence[int]], float]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return unit_parameters(self.inputs)

    @property
    def first(self) -> np.ndarray:
        return np.array([self.closed([i]) for i in range(self.inputs)])

    @property
    def total(self) -> np.ndarray:
        return np.array([self.total_of([i]) for i in range(self.inputs)])

    def total_of(self, chosen: Sequence[int]) -> float:
        return 1.0 - self.closed([i for i in range(self.inputs) if i not in chosen])

    def of(self, design: Design, first: int = 0) -> np.ndarray:
        """Evaluate the runs of a design; a dummy column, if there is one, is not read."""
        return self.function(design.quantiles[first:, : self.inputs])


def unit_parameters(count: int) -> tuple[Parameter, ...]:
    fields = {"nominal": 0.5, "unit": "dimensionless", "lower": 0.0, "upper": 1.0, "estimate": True, "prior": "uniform"}
    return tuple(Parameter(id=f"x{i}", name=f"x{i}", **fields) for i in range(count))  # type: ignore[arg-type]


def ishigami(a: float = 7.0, b: float = 0.1) -> KnownFunction:
    """Ishigami and Homma (1990): x2 acts only through x0."""
    x0, x1 = 0.5 * (1 + b * math.pi**4 / 5) ** 2, a**2 / 8
    x02 = b**2 * math.pi**8 * (1 / 18 - 1 / 50)
    variance = x0 + x1 + x02

    def function(q: np.ndarray) -> np.ndarray:
        x = math.pi * (2 * q - 1)
        return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])

    def closed(u: Sequence[int]) -> float:
        return ((0 in u) * x0 + (1 in u) * x1 + (0 in u and 2 in u) * x02) / variance

    return KnownFunction(name="Ishigami", inputs=3, function=function, closed=closed)


def _product(name: str, function: Callable[[np.ndarray], np.ndarray], relative: np.ndarray) -> KnownFunction:
    """A product of independent factors with the given squared coefficients of variation."""
    variance = np.prod(1 + relative) - 1

    def closed(u: Sequence[int]) -> float:
        return float((np.prod(1 + relative[list(u)]) - 1) / variance)

    return KnownFunction(name=name, inputs=relative.size, function=function, closed=closed)


def sobol_g(a: Sequence[float] = (0, 1, 4.5, 9, 99, 99, 99, 99)) -> KnownFunction:
    """Sobol' (1993): strong interactions; any group has a closed form."""
    weight = np.asarray(a, dtype=float)

    def function(q: np.ndarray) -> np.ndarray:
        return np.asarray(np.prod((np.abs(4 * q - 2) + weight) / (1 + weight), axis=1))

    return _product("Sobol G", function, 1 / (3 * (1 + weight) ** 2))


def multiplicative(spread: Sequence[float] = (0.8, 0.5, 0.3, 0.1)) -> KnownFunction:
    """A product of log-normal factors: a skewed output, as risks and cell counts are."""
    from scipy.special import ndtri

    sigma = np.asarray(spread, dtype=float)

    def function(q: np.ndarray) -> np.ndarray:
        return np.asarray(np.exp(ndtri(np.clip(q, 1e-12, 1 - 1e-12)) @ sigma))

    return _product("multiplicative", function, np.exp(sigma**2) - 1)


def linear(slopes: Sequence[float] = (5, 3, 1, 0.5, 0.1)) -> KnownFunction:
    """A sum: first order and total are equal."""
    c = np.asarray(slopes, dtype=float)

    def closed(u: Sequence[int]) -> float:
        return float((c[list(u)] ** 2).sum() / (c**2).sum())

    return KnownFunction(name="linear", inputs=c.size, function=lambda q: q @ c, closed=closed)


def oakley_ohagan(inputs: int = 15, seed: int = 7) -> KnownFunction:
    """The function of Oakley and O'Hagan (2004), a1'x + a2'sin x + a3'cos x + x'Mx of normal inputs.

    The published coefficients are drawn anew here (from `seed`, a third of the inputs each with small, medium and
    large ones), since only the form matters: the indices below are exact for any coefficients.
    """
    from scipy.special import ndtri

    generator = np.random.default_rng(seed)
    size = np.repeat([0.1, 0.5, 1.2], math.ceil(inputs / 3))[:inputs]
    a1, a2, a3 = (size * generator.normal(size=inputs) for _ in range(3))
    matrix = 0.3 * np.outer(size, size) * generator.normal(size=(inputs, inputs))

    def function(q: np.ndarray) -> np.ndarray:
        x = ndtri(np.clip(q, 1e-12, 1 - 1e-12))
        return np.asarray(x @ a1 + np.sin(x) @ a2 + np.cos(x) @ a3 + ((x @ matrix) * x).sum(axis=1))

    # Var of a x + b sin x + c cos x + d x^2 for a standard normal x, with its covariances; pairs add M_ij + M_ji.
    d, e = np.diag(matrix), math.exp(-0.5)
    alone = a1**2 + a2**2 * (1 - e**4) / 2 + a3**2 * (1 + e**4 - 2 * e**2) / 2 + 2 * d**2 + 2 * a1 * a2 * e
    alone -= 2 * a3 * d * e
    pairs = (matrix + matrix.T) ** 2
    variance = alone.sum() + np.triu(pairs, 1).sum()

    def closed(u: Sequence[int]) -> float:
        inside = list(u)
        return float((alone[inside].sum() + np.triu(pairs[np.ix_(inside, inside)], 1).sum()) / variance)

    return KnownFunction(name="Oakley-O'Hagan", inputs=inputs, function=function, closed=closed)


ALL = (ishigami(), sobol_g(), linear(), multiplicative(), oakley_ohagan())
