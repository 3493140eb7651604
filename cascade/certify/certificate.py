"""The nouns of a certificate: what an engine did, how far two engines are apart, and the verdict on it all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from cascade.specs import Issue

if TYPE_CHECKING:
    import xarray as xr

Verdict = Literal["agrees", "disagrees", "incomplete", "findings"]

MEANINGS: Mapping[str, str] = {
    "agrees": "all engines ran and agree, and nothing in the file speaks against other tools",
    "disagrees": "engines give different numbers for this file",
    "incomplete": "an engine could not run this file, so nothing is proven",
    "findings": "the engines that ran agree, but the file holds what other tools read differently or not at all",
}
"""What the verdicts mean."""


@dataclass(frozen=True, kw_only=True)
class EngineRun:
    """What one engine did with the file.

    Attributes
    ----------
    works_on : str
        What it solved, in words, if that is not the file as it reads it itself.
    status : str
        `ok`, or why there is no result.
    options : mapping
        Tolerances and settings that the engine used.
    """

    engine: str
    name: str
    version: str = ""
    works_on: str = ""
    status: str = "ok"
    seconds: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if there is a result."""
        return self.status == "ok"

    @property
    def label(self) -> str:
        """Name, version and what it solved, for people: SciPy 1.17.1 on an own reading of the SBML."""
        return " ".join(part for part in (self.name, self.version, self.works_on) if part)


@dataclass(frozen=True, kw_only=True)
class Apart:
    """How far two engines are apart: the largest deviation, and where."""

    first: str
    second: str
    largest: float
    symbol: str
    time: float
    values: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The proof that a file means the same in several simulators, or what speaks against it.

    Attributes
    ----------
    verdict : str
        `agrees`, `disagrees`, `incomplete` or `findings`.
    sha256 : str
        Hash of the SBML text that was run.
    engines : tuple of EngineRun
    pairs : tuple of Apart
        Largest deviation of every two engines.
    deviations : xarray.Dataset
        `by_symbol` (pair, symbol) and `by_time` (pair, time): the largest over the other dimension.
    findings : tuple of Issue
        What speaks against the file without running it.
    outlier : str or None
        The engine without which all others agree, if engines disagree and there is exactly one such.
    """

    name: str
    verdict: Verdict
    sha256: str
    end: float
    points: int
    time_unit: str
    tolerance: float
    engines: tuple[EngineRun, ...]
    pairs: tuple[Apart, ...]
    deviations: xr.Dataset = field(repr=False, compare=False)
    findings: tuple[Issue, ...] = ()
    outlier: str | None = None

    @property
    def ok(self) -> bool:
        """True if all engines agree and nothing was found."""
        return self.verdict == "agrees"

    @property
    def largest(self) -> float:
        """Largest relative deviation of any two engines; NaN if fewer than two ran."""
        return max((pair.largest for pair in self.pairs), default=math.nan)

    @property
    def worst(self) -> Apart | None:
        """The two engines that are farthest apart, and where."""
        return max(self.pairs, key=lambda pair: pair.largest, default=None)

    def sentences(self) -> list[str]:
        """Say in words what was found."""
        found = [f"{self.name}: {self.verdict}. {MEANINGS[self.verdict].capitalize()}."]
        worst = self.worst
        if worst is not None:
            found.append(
                f"Largest relative deviation {worst.largest:.2g} (accepted {self.tolerance:g}): {worst.symbol} at"
                f" {worst.time:.6g} {self.time_unit}, {worst.first} {worst.values[0]:.6g}, {worst.second}"
                f" {worst.values[1]:.6g}."
            )
        if self.outlier == "cascade":
            found.append("The simulators agree on what the file says; the model says something else.")
        elif self.outlier:
            found.append(f"Without {self.outlier} all others agree.")
        found += [f"{run.label} gave no result: {run.status}." for run in self.engines if not run.ok]
        if self.findings:
            errors = sum(issue.severity == "error" for issue in self.findings)
            found.append(f"{len(self.findings)} findings in the file, {errors} of them errors.")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data, the deviation of every symbol included; no NaN, infinity as text."""
        by_symbol = self.deviations["by_symbol"]
        return {
            "name": self.name,
            "verdict": self.verdict,
            "ok": self.ok,
            "meaning": MEANINGS[self.verdict],
            "sha256": self.sha256,
            "end": self.end,
            "points": self.points,
            "time_unit": self.time_unit,
            "tolerance": self.tolerance,
            "measure": str(self.deviations.attrs.get("measure", "")),
            "largest": _plain(self.largest),
            "outlier": self.outlier,
            "engines": [{**asdict(run), "options": dict(run.options), "ok": run.ok} for run in self.engines],
            "pairs": [
                {
                    **asdict(pair),
                    "largest": _plain(pair.largest),
                    "values": [_plain(value) for value in pair.values],
                }
                for pair in self.pairs
            ],
            "findings": [asdict(issue) for issue in self.findings],
            "deviation_by_symbol": {
                str(symbol): _plain(float(by_symbol.sel(symbol=symbol).max()) if by_symbol.sizes["pair"] else math.nan)
                for symbol in by_symbol["symbol"].values
            },
            "environment": {str(key): value for key, value in self.deviations.attrs.items() if key != "measure"},
        }

    def _repr_html_(self) -> str:
        from cascade.certify.page import certificate_html

        return certificate_html(self)


def _plain(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("infinity" if value > 0 else "-infinity")
