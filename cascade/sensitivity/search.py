"""A search for the top of a ranking that looks again after every extension of the design."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.errors import AnalysisError
from cascade.sensitivity.chaos import chaos_indices
from cascade.sensitivity.design import Design
from cascade.sensitivity.morris import morris_indices
from cascade.sensitivity.reuse import evaluate_new
from cascade.sensitivity.sobol import sobol_indices
from cascade.sensitivity.verdict import Verdict, check_question, verdict

if TYPE_CHECKING:
    import xarray as xr

Evaluate = Callable[[Design, int], Any]
"""Simulates the runs of a design from the given one on; returns one value per run, first dimension or `run`."""

Noise = float | Callable[[Any], float]
"""Spread of the output that the solver alone produces, or what tells it from the output."""

REPLICATES = 10
"""Blocks of runs of a sample that polynomial chaos leaves out one by one."""


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What a sequential analysis ends with.

    Attributes
    ----------
    indices : xarray.Dataset
        Of `sobol_indices`, `morris_indices` or `chaos_indices`, for all runs; `attrs["settled"]` and
        `attrs["settled_verdict"]` say how it ended.
    history : xarray.Dataset
        Over `look`: `runs` made until then, `probability` of the list, `settled`, `level` (1 for groups, 2 for the
        parameters inside them), and over `name` the index with limits and `p_top`; a curve of convergence.
    design : Design
        The last design; a larger one of the same seed begins with its runs.
    output : xarray.DataArray or numpy.ndarray
        Outputs of its runs.
    runs : int
        Runs that were made; fewer than the looks have together, since nothing is run twice.
    """

    indices: xr.Dataset
    history: xr.Dataset
    design: Design
    output: Any = field(repr=False)
    runs: int


class Search:
    """A sequential analysis under way: the design so far, its outputs, and what was seen at each look."""

    def __init__(
        self,
        evaluate: Evaluate,
        top: int,
        confidence: float,
        tolerance: float,
        noise: Noise,
        budget: int,
        growth: float,
        transform: str | None = None,
    ) -> None:
        check_question(top, confidence, tolerance)
        if growth <= 1:
            raise AnalysisError(f"growth is {growth}; a design grows by a factor above 1, such as 1.5")
        self.evaluate, self.top, self.confidence, self.tolerance = evaluate, top, confidence, tolerance
        self.noise, self.budget, self.growth = noise, budget, growth
        self.transform = transform
        self.made = 0
        self.design: Design | None = None
        self.output: Any = None
        self.indices: xr.Dataset | None = None
        self.verdicts: list[Verdict] = []
        self.looks: list[xr.Dataset] = []
        self.settled = False

    def look(self, design: Design, *, level: int) -> bool:
        """Run what is new in a design and judge all of it; False if the budget does not allow it."""
        new, output = evaluate_new(self.evaluate, self.design, self.output, design, self.budget - self.made)
        if output is None:
            if self.design is None:
                others = "or lower `start`" if design.method == "sample" else "judge groups, or lower `start` or `rows`"
                raise AnalysisError(
                    f"the budget of {self.budget} runs is too small for the first look, which needs {new} for "
                    f"{len(design.names)} names; raise it, {others}"
                )
            return False
        self.made += new
        same_names = self.design is not None and self.design.names == design.names
        before = self.verdicts if same_names else []
        self.design, self.output = design, output
        self.indices = self._estimate(design, output)
        self.verdicts = self._judge(self.indices)
        stable = bool(before) and all(
            a.top and set(a.top) == set(b.top) for a, b in zip(before, self.verdicts, strict=True)
        )
        few = len(design.names) <= self.top
        self.settled = all(v.settled for v in self.verdicts) and (stable or few)
        self.looks.append(self._record(level))
        return True

    def grow(self, make: Callable[[int], Design], *, level: int = 1) -> None:
        """Extend until settled or the budget ends; `make` returns the design of a number of samples."""
        while not self.settled and self.design is not None and not self._hopeless():
            samples = self.design.samples
            per_sample = self.design.runs // samples
            affordable = samples + (self.budget - self.made) // per_sample
            size = min(max(samples + 1, round(samples * self.growth)), affordable)
            if size <= samples or not self.look(make(size), level=level):
                return

    def known(self) -> xr.Dataset:
        """Return the indices of the last look."""
        assert self.indices is not None, "look first"
        return self.indices

    def known_design(self) -> Design:
        """Return the design of the last look."""
        assert self.design is not None, "look first"
        return self.design

    def _estimate(self, design: Design, output: Any) -> xr.Dataset:
        """Return the indices of the method of the design."""
        noise = self.noise(output) if callable(self.noise) else self.noise
        if design.method == "sample":
            return chaos_indices(
                design, output, transform=self.transform, noise=noise, replicates=REPLICATES, top=self.top
            )
        estimate = morris_indices if design.method == "morris" else sobol_indices
        return estimate(design, output, noise=noise, top=self.top)

    def _hopeless(self) -> bool:
        """Say whether no output varies: more runs of the same would be wasted."""
        return self.indices is not None and bool(self.indices["constant"].all())

    def _judge(self, indices: xr.Dataset) -> list[Verdict]:
        """Return the verdict on every output."""
        index = str(indices.attrs["index"])
        extra = [dim for dim in indices[index].dims if dim != "name"]
        if not extra:
            return [verdict(indices, self.top, self.confidence, tolerance=self.tolerance)]
        judged = [name for name in (index, f"{index}_jackknife", "constant", "Q2", "ST_missed") if name in indices]
        flat = indices[judged].stack(output_number=extra, create_index=False)
        flat.attrs = indices.attrs
        return [
            verdict(flat.isel(output_number=place), self.top, self.confidence, tolerance=self.tolerance)
            for place in range(flat.sizes["output_number"])
        ]

    def _record(self, level: int) -> xr.Dataset:
        import numpy as np

        indices = self.known()
        index = str(indices.attrs["index"])
        kept = indices[[index, f"{index}_lower", f"{index}_upper", "p_top"]]
        return kept.assign(
            runs=self.made,
            probability=float(np.min([v.probability for v in self.verdicts])),
            settled=self.settled,
            level=level,
        )

    def result(self, more: str = "") -> Settled:
        """Finish: the indices with the verdict in their attributes, and the history."""
        import xarray as xr

        worst = min(self.verdicts, key=lambda v: (v.settled, v.probability))
        text = worst.text
        if worst.settled and not self.settled:
            text = text.replace("settled: yes", "settled: no", 1) + "; but the list was another one at the look before"
        if not self.settled:
            ended = "more runs would not change that" if self._hopeless() else f"the budget of {self.budget} runs ends"
            text += f"; {ended}"
        elif len(self.verdicts) > 1:
            text += f"; the least sure of {len(self.verdicts)} outputs"
        text += f"; {self.made} runs were made{more}"
        history = xr.concat(self.looks, dim="look", join="outer", data_vars="all", coords="minimal", compat="override")
        history.attrs = {"index": self.known().attrs["index"], "top": self.top, "confidence": self.confidence}
        attrs = {
            "settled": int(self.settled),
            "settled_verdict": text,
            "runs_made": self.made,
            "looks": len(self.looks),
        }
        indices = self.known().assign_attrs(**attrs)
        return Settled(indices=indices, history=history, design=self.known_design(), output=self.output, runs=self.made)
