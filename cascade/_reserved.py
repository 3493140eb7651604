"""Words that a tool keeps for itself: an id of this kind is renamed, refused, or misread there.

Measured with Antimony 3.3.0 (read each word as an id, write it, read it again), libRoadRunner 2.10 and the sources of
AMICI 1.0.1 (`importers/utils.py`, `importers/sbml`) and SBMLImporter.jl (`FORBIDDEN_IDS`); MATLAB: `iskeyword`;
Julia, Python and R: their lists of reserved words.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ANTIMONY = _words("""
    FALSE False TRUE True
    abs acos acosh acot acoth acsc acsch after and arccos arccosh arccot arccoth arccsc arccsch arcsec arcsech
    arcsin arcsinh arctan arctanh area asec asech asin at atan atanh avogadro bernoulli binomial cauchy
    ceil ceiling chisquare compartment const constraint cos cosh cot coth csc csch delay delete DNA end eq
    event exp exponential exponentiale ext extent factorial false floor formula function gamma gene geq gt has
    implies import in INF inf infinity is laplace length leq ln log log10 lognormal lt max min model module
    NaN nan neq normal not notanumber operator or pi piecewise poisson pow power quotient rateOf rayleigh
    reaction rem root sec sech sin sinh species sqr sqrt substance substanceOnly tan tanh time time_unit true
    truncatedNormal uniform unit var volume xor
""")
"""Antimony appends `_` to most of them, and cannot read again what it writes of some."""

AMICI_RENAMED = _words("""
    AMICI_EMPTY_BOLUS h k NULL p t w x y
""")
"""AMICI calls these `amici_<id>`."""

AMICI = _words("""
    False false pi True true
""")
ROADRUNNER = _words("""
    Time time
""")
SBMLIMPORTER = _words("""
    false Inf NaN pi time true
""")
JULIA = _words("""
    baremodule begin break catch const continue do else elseif end export false finally for function global if
    import let local macro module quote return struct true try using while
""")
MATLAB = _words("""
    break case catch classdef continue else elseif end for function global if otherwise parfor persistent
    return spmd switch try while
""")
SIMBIOLOGY = _words("""
    null time
""")
R = _words("""
    break else F FALSE for function if in Inf NA NaN next NULL repeat T TRUE while
""")
PYTHON = _words("""
    and as assert async await break class continue def del elif else except False finally for from global if
    import in is lambda None nonlocal not or pass raise return True try while with yield
""")
FORMULAS = _words("""
    abs acos asin atan avogadro beta ceil ceiling cos cosh delay E e exp factorial false floor gamma INF inf
    infinity ln log log10 max min NaN nan PI pi piecewise pow power psi rateOf root sin sinh sqrt tan tanh
    time true zeta
""")
"""Functions and constants in the infix formulas of libSBML, COPASI and SymPy, on which PEtab and AMICI stand."""


RESERVED: dict[str, frozenset[str]] = {
    "Antimony": ANTIMONY,
    "AMICI": AMICI | AMICI_RENAMED,
    "libRoadRunner": ROADRUNNER,
    "SBMLImporter.jl": SBMLIMPORTER | JULIA,
    "MATLAB": MATLAB,
    "SimBiology": SIMBIOLOGY,
    "Python": PYTHON,
    "R": R,
    "infix formulas": FORMULAS,
}
"""By tool, the words that an id must not be."""


def keepers(name: str) -> tuple[str, ...]:
    """Return the tools that keep a word for themselves."""
    return tuple(tool for tool, words in RESERVED.items() if name in words)


def antimony_ids(names: tuple[str, ...]) -> dict[str, str]:
    """Return the ids that Antimony can hold, by id: a reserved word gets as many `_` as make it free."""
    taken = set(names)
    found = {}
    for name in names:
        new = name
        while new in ANTIMONY or (new != name and new in taken):
            new += "_"
        taken.add(new)
        found[name] = new
    return found
