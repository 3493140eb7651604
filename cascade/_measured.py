"""What a test would read in a patient of the model: its chance, to learn from a result, and a draw, to plan one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DIAMETER_ERROR = 0.10
"""Relative error of a diameter on imaging: assumed."""

VAF_ERROR = 0.5
"""Spread of the logarithm of a measured allele fraction: assumed, about that of repeated samples of few molecules."""

SCORE_ERROR = 0.3
"""Spread of the logarithm of a tissue score: assumed."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """A test at diagnosis.

    Attributes
    ----------
    name : str
        Of the measure in a table of patients; empty for what no table holds.
    symbols : tuple of str
        Variables of the model that it reads, the first that the model has.
    words, error : str
        What it is, and what is taken as its error.
    log_chance : callable
        (result, expected) -> log-likelihood, up to a constant.
    draw : callable
        (expected, quantile) -> result.
    """

    name: str
    symbols: tuple[str, ...]
    words: str
    error: str
    log_chance: Callable[[float, Array], Array]
    draw: Callable[[Array, Array], Array]


def _poisson(result: float, expected: Array) -> Array:
    from scipy.special import gammaln

    mean = np.maximum(expected, 1e-12)
    return np.asarray(result * np.log(mean) - mean - gammaln(result + 1))


def _draw_poisson(expected: Array, quantile: Array) -> Array:
    from scipy.stats import poisson

    return np.asarray(poisson.ppf(quantile, np.clip(expected, 1e-12, 1e9)), dtype=float)


def _bernoulli(result: float, expected: Array) -> Array:
    chance = np.clip(expected, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(chance if result > 0.5 else 1 - chance))


def _relative(spread: float) -> Callable[[float, Array], Array]:
    def chance(result: float, expected: Array) -> Array:
        """Below a thousandth of a percent both are nothing."""
        distance = np.log(max(result, 1e-5)) - np.log(np.maximum(expected, 1e-5))
        return np.asarray(-(distance**2) / (2 * spread**2))

    return chance


def _draw_relative(spread: float) -> Callable[[Array, Array], Array]:
    def draw(expected: Array, quantile: Array) -> Array:
        from scipy.special import ndtri

        return np.asarray(expected * np.exp(spread * ndtri(quantile)))

    return draw


def _score(name: str, words: str, *symbols: str) -> Test:
    return Test(
        name="", symbols=symbols or (name,), words=words, error=f"a factor of e^{SCORE_ERROR:g} (assumed)",
        log_chance=_relative(SCORE_ERROR), draw=_draw_relative(SCORE_ERROR),
    )  # fmt: skip


TESTS: tuple[Test, ...] = (
    Test(
        name="ctc_per_tube", symbols=("endpoints__ctc_per_tube",), words="circulating tumor cells in a 7.5 mL tube",
        error="the chance of the sample (Poisson)", log_chance=_poisson, draw=_draw_poisson,
    ),
    Test(
        name="vaf_ctdna", symbols=("endpoints__vaf_ctdna",), words="allele fraction of circulating tumor DNA",
        error=f"a factor of e^{VAF_ERROR:g} (assumed)", log_chance=_relative(VAF_ERROR), draw=_draw_relative(VAF_ERROR),
    ),
    Test(
        name="dtc_positive", symbols=("endpoints__p_dtc_positive",), words="tumor cells in a marrow sample, yes or no",
        error="the chance of the sample", log_chance=_bernoulli, draw=lambda mean, q: (q > 1 - mean).astype(float),
    ),
    Test(
        name="diameter_mm", symbols=("primary_tumor__diameter",), words="diameter of the tumor",
        error=f"{DIAMETER_ERROR:.0%} (assumed)", log_chance=_relative(DIAMETER_ERROR),
        draw=_draw_relative(DIAMETER_ERROR),
    ),
    _score("emt__a_emt", "EMT score of the tumor"),
    _score("f_stem_bulk", "share of stem cells in the tumor", "f_stem_bulk", "clone_1__f_stem"),
    _score("hypoxia_vegf__f_vessel", "vessels of the tumor"),
    _score("hypoxia_vegf__p_o2", "oxygen pressure in the tumor"),
    _score("pdl1_immune__d_cd8", "CD8 T cells in the tumor"),
    _score("pdl1_immune__d_pdl1", "PD-L1 on tumor cells"),
    _score("microenvironment__d_caf", "activated fibroblasts in the tumor"),
)  # fmt: skip
"""Tests of which the model says what they would read."""


def tests_of(symbols: set[str]) -> dict[str, tuple[Test, str]]:
    """Return the tests that a model can say something of, by name of the measure or of what is read."""
    found = {}
    for test in TESTS:
        first = next((symbol for symbol in test.symbols if symbol in symbols), None)
        if first is not None:
            found[test.name or first] = (test, first)
    return found
