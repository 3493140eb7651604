"""The portable profile: what other tools refuse, ignore or compute wrongly, and where that is known from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MAX_ID = 63
"""Longest id that every tool takes: MATLAB's `namelengthmax`."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One feature of SBML that breaks the portable profile.

    Attributes
    ----------
    feature : str
        Short name of the feature.
    severity : str
        `error` if a tool refuses it or computes other numbers, `warning` if meaning other than numbers is lost.
    tools : str
        Which tools, and what they do.
    source : str
        Where that is known from: measured with a version, source code, vendor's documentation, or an issue.
    fix : str
        What to do instead.
    """

    feature: str
    severity: Literal["error", "warning"]
    tools: str
    source: str
    fix: str


_COPASI = "measured with COPASI 4.48 on the SBML Test Suite"
_AMICI = "source of AMICI 1.0.1, importers/sbml"
_IMPORTER = "documentation of SBMLImporter.jl, Supported SBML features"
_SIMBIOLOGY = "MathWorks documentation, SimBiology and SBML"
_ANTIMONY = "measured with Antimony 3.3.0"
_ROADRUNNER = "measured with libRoadRunner 2.10"

_LIMITS = (
    Limit(
        feature="submodels (comp)",
        severity="error",
        tools="SBMLImporter.jl has none, SimBiology ignores submodels, Antimony drops replacements, libRoadRunner drops"
        " submodels of a text",
        source=f"{_IMPORTER}; {_SIMBIOLOGY}; {_ANTIMONY}; {_ROADRUNNER}",
        fix="export flat SBML",
    ),
    Limit(
        feature="another required package",
        severity="error",
        tools="AMICI, COPASI and libRoadRunner refuse or ignore it",
        source=_AMICI,
        fix="write the model in SBML core",
    ),
    Limit(
        feature="event delay",
        severity="error",
        tools="AMICI and SBMLImporter.jl refuse it, SimBiology ignores it",
        source=f"{_AMICI}; {_IMPORTER}; {_SIMBIOLOGY}",
        fix="put the delay into the time of the trigger",
    ),
    Limit(
        feature="event priority",
        severity="error",
        tools="SBMLImporter.jl refuses it, AMICI refuses a computed one, SimBiology ignores it",
        source=f"{_IMPORTER}; {_AMICI}; {_SIMBIOLOGY}",
        fix="let the events happen at different times, or join them",
    ),
    Limit(
        feature="compound trigger",
        severity="error",
        tools="AMICI can miss or misplace it",
        source="AMICI issues 2908 and 2912; measured with AMICI 1.0.1",
        fix="write one event per comparison, or a variable that crosses one threshold",
    ),
    Limit(
        feature="trigger of equality",
        severity="error",
        tools="every solver steps over the moment",
        source=f"{_ROADRUNNER}; {_COPASI}",
        fix="write time >= t",
    ),
    Limit(
        feature="trigger that holds before time 0",
        severity="error",
        tools="an event without initialValue=false never fires at its first time in libRoadRunner and COPASI;"
        " SBML Level 2 and SimBiology know no initialValue",
        source=f"{_ROADRUNNER}; {_COPASI}; {_SIMBIOLOGY}",
        fix="say initialValue=false",
    ),
    Limit(
        feature="trigger that may hold at time 0",
        severity="error",
        tools="SimBiology and SBML Level 2 do not fire it there",
        source=f"{_SIMBIOLOGY}; specification of SBML L2V4",
        fix="give what it assigns as a start value",
    ),
    Limit(
        feature="trigger that is not persistent",
        severity="error",
        tools="AMICI refuses it, SimBiology and SBML Level 2 know none",
        source=f"{_AMICI}; {_SIMBIOLOGY}",
        fix="say persistent=true",
    ),
    Limit(
        feature="delay()",
        severity="error",
        tools="AMICI and SBMLImporter.jl refuse it, COPASI computes other numbers",
        source=f"{_AMICI}; {_IMPORTER}; {_COPASI}",
        fix="write a chain of states",
    ),
    Limit(
        feature="piecewise",
        severity="error",
        tools="COPASI steps over short pieces, SimBiology ignores it in rates, AMICI misplaces switches",
        source=f"{_COPASI}; {_SIMBIOLOGY}; AMICI issue 2724",
        fix="write an event, or a smooth formula",
    ),
    Limit(
        feature="comparison outside a trigger",
        severity="error",
        tools="a truth value used as a number is refused or jumps unnoticed",
        source=f"{_IMPORTER}; {_COPASI}",
        fix="write an event",
    ),
    Limit(
        feature="comparison of more than two",
        severity="error",
        tools="SBMLImporter.jl refuses it",
        source=_IMPORTER,
        fix="compare two things",
    ),
    Limit(
        feature="algebraic rule",
        severity="error",
        tools="libRoadRunner refuses it, COPASI computes other numbers",
        source=f"{_ROADRUNNER}; {_COPASI}",
        fix="solve it for a variable",
    ),
    Limit(
        feature="fast reaction",
        severity="error",
        tools="AMICI and SBMLImporter.jl refuse it, SimBiology and libRoadRunner ignore it, COPASI is wrong",
        source=f"{_AMICI}; {_IMPORTER}; {_SIMBIOLOGY}; {_COPASI}",
        fix="write the equilibrium as an assignment rule",
    ),
    Limit(
        feature="conversionFactor",
        severity="error",
        tools="COPASI computes other numbers",
        source=f"{_COPASI} (65 of 81 cases)",
        fix="multiply the rate",
    ),
    Limit(
        feature="computed stoichiometry",
        severity="error",
        tools="COPASI computes other numbers, AMICI refuses stoichiometryMath, libRoadRunner cannot reset it",
        source=f"{_COPASI}; {_AMICI}; {_ROADRUNNER}",
        fix="give a number, and put what varies into the rate",
    ),
    Limit(
        feature="mathematics of L3V2",
        severity="error",
        tools="SimBiology reads L3V1, SBMLImporter.jl refuses implies; older levels have no max, min, rateOf, quotient,"
        " rem, implies, and no missing formula",
        source=f"{_SIMBIOLOGY}; {_IMPORTER}; specification of SBML L3V2",
        fix="write it out",
    ),
    Limit(
        feature="function that calls functions",
        severity="error",
        tools="SBMLImporter.jl and AMICI fail on some; importers that write them out grow without bound",
        source=f"{_IMPORTER}; AMICI issues 1997 and 1314",
        fix="write the formula out",
    ),
    Limit(
        feature="reaction as a number in a rate",
        severity="error",
        tools="AMICI refuses it",
        source=_AMICI,
        fix="write its formula as an assignment rule that both use",
    ),
    Limit(
        feature="local parameter that hides another",
        severity="warning",
        tools="Antimony and SBMLImporter.jl rename one of them",
        source=_ANTIMONY,
        fix="give it a name of its own",
    ),
    Limit(
        feature="missing value",
        severity="error",
        tools="libRoadRunner refuses it; others take 0, 1 or NaN",
        source=_ROADRUNNER,
        fix="give a number or a formula",
    ),
    Limit(
        feature="missing unit",
        severity="warning",
        tools="AMICI, COPASI and SimBiology guess seconds, moles and litres",
        source=f"AMICI issue 1323; {_SIMBIOLOGY}",
        fix="say the unit",
    ),
    Limit(
        feature="start in another quantity",
        severity="error",
        tools="SBMLImporter.jl and SimBiology take the kind of the start value for the kind of the species",
        source=f"{_IMPORTER}; {_SIMBIOLOGY}",
        fix="start a concentration with initialConcentration, an amount with initialAmount",
    ),
    Limit(
        feature="amounts in a compartment not of size 1",
        severity="warning",
        tools="COPASI records concentrations, SimBiology has no hasOnlySubstanceUnits",
        source=f"measured with COPASI 4.48; {_SIMBIOLOGY}",
        fix="give the compartment size 1, or convert results with read_results(tool=...)",
    ),
    Limit(
        feature="id that is a word of a tool",
        severity="error",
        tools="renamed, refused or misread",
        source=f"{_ANTIMONY}; {_ROADRUNNER}; {_AMICI}; source of SBMLImporter.jl; lists of words of the languages",
        fix="choose another id",
    ),
    Limit(
        feature="long id",
        severity="error",
        tools="MATLAB cuts names after 63 characters",
        source="MATLAB documentation, namelengthmax",
        fix="choose a shorter id",
    ),
    Limit(
        feature="ids that differ in case only",
        severity="error",
        tools="XPPAUT, Berkeley Madonna and file systems take them for one",
        source="documentation of XPPAUT and Berkeley Madonna",
        fix="choose another id",
    ),
    Limit(
        feature="id that begins with _",
        severity="error",
        tools="MATLAB (SimBiology) and R allow none",
        source="MATLAB documentation, isvarname; R documentation, make.names",
        fix="begin with a letter",
    ),
)

LIMITS = {limit.feature: limit for limit in _LIMITS}
"""The profile by feature."""
