"""Designs and estimators, one method a file; the only place that imports SALib."""

from cascade.sensitivity.design import from_quantile, sample, stream, uncertain
from cascade.sensitivity.morris import MorrisDesign, morris_design, morris_effects
from cascade.sensitivity.ranks import RankSummary, summarize_ranks

__all__ = [
    "MorrisDesign",
    "RankSummary",
    "from_quantile",
    "morris_design",
    "morris_effects",
    "sample",
    "stream",
    "summarize_ranks",
    "uncertain",
]
