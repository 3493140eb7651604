"""Ontology terms of model elements: SBO by the form of an id, MIRIAM annotation of genes."""

from __future__ import annotations

import libsbml

from cascade.specs import Direction

# An id says what it is (design rule), so its prefix gives the term; the fallback is "quantitative parameter".
_SBO_OF_PREFIX = {
    "k": 9,  # kinetic constant
    "v": 612,  # rate of reaction
    "ec50": 363,  # activation constant
    "ic50": 261,  # inhibitory constant
    "hill": 190,  # Hill coefficient
    "t": 346,  # temporal measure
    "c": 196,  # concentration of an entity pool
    "d": 196,
    "n": 360,  # quantity of an entity pool
    "f": 540,  # fraction of an entity pool
}
_SBO_PARAMETER = 2
_SBO_PRODUCTION, _SBO_DEGRADATION, _SBO_CONVERSION = 393, 179, 182

COMPARTMENT = 290
MATERIAL_ENTITY = 240
PORT: dict[Direction, int] = {"in": 600, "out": 601}


def parameter_term(name: str) -> int:
    """Return the SBO number of a parameter id."""
    return _SBO_OF_PREFIX.get(name.split("_")[0], _SBO_PARAMETER)


def reaction_term(reaction: libsbml.Reaction) -> int:
    """Return the SBO number of a reaction: production, degradation or conversion."""
    if not reaction.getNumReactants():
        return _SBO_PRODUCTION
    return _SBO_CONVERSION if reaction.getNumProducts() else _SBO_DEGRADATION


def annotate_genes(parameter: libsbml.Parameter, genes: str) -> None:
    """State of which genes a parameter is a property; the parameter must have a metaid.

    Parameters
    ----------
    parameter : libsbml.Parameter
    genes : str
        HGNC symbols separated by `;`.
    """
    symbols = [gene.strip() for gene in genes.split(";") if gene.strip()]
    if not symbols:
        return
    term = libsbml.CVTerm(libsbml.BIOLOGICAL_QUALIFIER)
    term.setBiologicalQualifierType(libsbml.BQB_IS_PROPERTY_OF)
    for symbol in symbols:
        term.addResource(f"https://identifiers.org/hgnc.symbol:{symbol}")
    parameter.addCVTerm(term)
