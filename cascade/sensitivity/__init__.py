"""Designs and estimators, one method a file; the only place that imports SALib."""

from cascade.sensitivity.design import DUMMY, Design, layout
from cascade.sensitivity.given_data import sample_design
from cascade.sensitivity.groups import groups_of, owner_of
from cascade.sensitivity.morris import MorrisDesign, morris_design, morris_indices
from cascade.sensitivity.priors import from_quantile, sample, stream, uncertain
from cascade.sensitivity.ranks import RankSummary, summarize_ranks

__all__ = [
    "DUMMY",
    "Design",
    "MorrisDesign",
    "RankSummary",
    "from_quantile",
    "groups_of",
    "layout",
    "morris_design",
    "morris_indices",
    "owner_of",
    "sample",
    "sample_design",
    "stream",
    "summarize_ranks",
    "uncertain",
]
