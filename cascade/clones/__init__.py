"""Gives the tumor of a composition the clones of a phylogeny."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade._tables import is_number
from cascade.clones._joins import joined_clones, require_as_loaded
from cascade.clones.genotypes import with_genotyped_clones
from cascade.clones.phylogeny import Phylogeny, phylogeny_of
from cascade.clones.shares import mutation_probabilities
from cascade.errors import ValueSettingError
from cascade.specs import Composition

if TYPE_CHECKING:
    import pandas as pd


def with_clones(
    composition: Composition,
    phylogeny: Phylogeny | Mapping[str, Any] | pd.DataFrame | str | Path,
    *,
    polyclonal: float = 0.0,
) -> Composition:
    """Give the tumor of a composition the clones of a phylogeny.

    Parameters
    ----------
    composition : Composition
        As `load_composition` returned it, of a composition with the index sets `subclone` and `resistant` (all shipped
        primaries).
    phylogeny : Phylogeny, mapping, pandas.DataFrame, or path
        See `cascade.read_phylogeny`. The founder becomes the instance `clone_1`, the others keep their names. What a
        row does not say is as in the parent; the mutation probability is the composition's (1e-5 per division; 5e-8
        for a clone with lesions of its own). Where it gives the prevalence at diagnosis, the mutation probability
        follows from it (`cascade.mutation_probabilities`, which simulates the tumor once or a few times). Genotypes
        act on growth, EMT, clusters and stemness of a clone as in a tumor of that genotype at diagnosis (simulated
        once for each); its metastases grow as those of the founder, and a warning says what the clones share.
    polyclonal : float
        Share of the clusters that take their cells from all clones, in proportion to the cells that walk in
        clusters; 0 by default. Such clusters are a lineage of their own, whose cells found with the mean potential
        of the mixture, and whose lesions (index set `mixed`) answer to drugs as its mean.

    Returns
    -------
    Composition
        To be composed. Metastases of a clone are counted apart (`bone_<clone>_lesions`) if its row says `own`, or by
        default if it answers to drugs unlike the founder; the others are pooled with those of the founder.

    Raises
    ------
    TableError
        If the phylogeny is none.
    CompositionError
        If the composition has no such index sets, was changed after it was loaded, or has an instance of that name;
        or if a clone is pooled although it answers to drugs unlike the founder.

    Notes
    -----
    The number of metastases stays Poisson, and `exp(-cumulative hazard)` exact: mixing sorts the clusters of a
    deterministic tumor into kinds. Selection inside a lesion is not followed: one of mixed origin answers as its
    mean all the time.
    """
    require_as_loaded(composition)
    tree = phylogeny_of(phylogeny)
    if not (is_number(polyclonal) and 0 <= polyclonal <= 1):
        raise ValueSettingError(f"polyclonal is {polyclonal!r}; give a share of the clusters from 0 to 1")
    tree = with_genotyped_clones(composition, tree)
    if any(clone.prevalence is not None for clone in tree.clones):
        tree = mutation_probabilities(composition, tree)
    return joined_clones(composition, tree, polyclonal)
