"""The metastatic cascade of cancer as one executable SBML model, and the targets that most lower its risk.

Public names are loaded when first used, so that `import cascade` stays fast.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cascade.analyze import analyze as analyze
    from cascade.analyze import settle_top as settle_top
    from cascade.archive import open_archive as open_archive
    from cascade.bifurcation import bifurcation as bifurcation
    from cascade.catalogue import composition_names as composition_names
    from cascade.catalogue import load_composition as load_composition
    from cascade.catalogue import load_module as load_module
    from cascade.catalogue import module_names as module_names
    from cascade.certify import certify as certify
    from cascade.check import check as check
    from cascade.combinations import combination_table as combination_table
    from cascade.combinations import combine_targets as combine_targets
    from cascade.compose import compose as compose
    from cascade.drugs import Drug as Drug
    from cascade.drugs import carry as carry
    from cascade.drugs import drug_names as drug_names
    from cascade.drugs import load_drug as load_drug
    from cascade.errors import CascadeError as CascadeError
    from cascade.evaluate import evaluate as evaluate
    from cascade.export import export as export
    from cascade.export.tellurium import to_tellurium as to_tellurium
    from cascade.extinction import extinction as extinction
    from cascade.genes import gene_view as gene_view
    from cascade.genes import rank_genes as rank_genes
    from cascade.names import id_map as id_map
    from cascade.opening import open_sbml as open_sbml
    from cascade.optimize import optimize_regimen as optimize_regimen
    from cascade.own import compare_with_source as compare_with_source
    from cascade.own import propose_ports as propose_ports
    from cascade.own import propose_units as propose_units
    from cascade.own import read_module as read_module
    from cascade.own import replace_module as replace_module
    from cascade.own import write_module_folder as write_module_folder
    from cascade.population import population_risk as population_risk
    from cascade.portable import check_portable as check_portable
    from cascade.portable import portable_profile as portable_profile
    from cascade.procedures import Radiotherapy as Radiotherapy
    from cascade.procedures import Surgery as Surgery
    from cascade.quasi_steady import quasi_steady as quasi_steady
    from cascade.ranking import ranking_table as ranking_table
    from cascade.readouts import readout as readout
    from cascade.regimens import Regimen as Regimen
    from cascade.regimens import regimen as regimen
    from cascade.report import write_report as write_report
    from cascade.results import read_results as read_results
    from cascade.simulate import simulate as simulate
    from cascade.specs import Composition as Composition
    from cascade.specs import Model as Model
    from cascade.specs import Module as Module
    from cascade.specs import Parameter as Parameter
    from cascade.specs import Solver as Solver
    from cascade.targets import rank_targets as rank_targets
    from cascade.therapy import activate as activate
    from cascade.therapy import inhibit as inhibit
    from cascade.therapy import pharmacokinetics as pharmacokinetics
    from cascade.therapy import treat as treat
    from cascade.treatment_effects import treatment_effects as treatment_effects
    from cascade.treatment_report import write_treatment as write_treatment
    from cascade.treatment_runs import run_treatments as run_treatments
    from cascade.validation import Qualification as Qualification
    from cascade.validation import validate as validate
    from cascade.validation_page import write_validation as write_validation
    from cascade.waterfall import target_treatments as target_treatments
    from cascade.waterfall import waterfall as waterfall

__version__ = "0.1.0"

_HOME = {
    "CascadeError": "errors",
    "Composition": "specs",
    "Drug": "drugs",
    "Model": "specs",
    "Module": "specs",
    "Parameter": "specs",
    "Qualification": "validation",
    "Radiotherapy": "procedures",
    "Regimen": "regimens",
    "Solver": "specs",
    "Surgery": "procedures",
    "activate": "therapy",
    "analyze": "analyze",
    "bifurcation": "bifurcation",
    "carry": "drugs",
    "certify": "certify",
    "check": "check",
    "check_portable": "portable",
    "combination_table": "combinations",
    "combine_targets": "combinations",
    "compare_with_source": "own",
    "compose": "compose",
    "composition_names": "catalogue",
    "drug_names": "drugs",
    "evaluate": "evaluate",
    "export": "export",
    "extinction": "extinction",
    "gene_view": "genes",
    "id_map": "names",
    "inhibit": "therapy",
    "load_composition": "catalogue",
    "load_drug": "drugs",
    "load_module": "catalogue",
    "module_names": "catalogue",
    "open_archive": "archive",
    "open_sbml": "opening",
    "optimize_regimen": "optimize",
    "pharmacokinetics": "therapy",
    "population_risk": "population",
    "portable_profile": "portable",
    "propose_ports": "own",
    "propose_units": "own",
    "quasi_steady": "quasi_steady",
    "rank_genes": "genes",
    "rank_targets": "targets",
    "ranking_table": "ranking",
    "read_module": "own",
    "read_results": "results",
    "readout": "readouts",
    "regimen": "regimens",
    "replace_module": "own",
    "run_treatments": "treatment_runs",
    "settle_top": "analyze",
    "simulate": "simulate",
    "target_treatments": "waterfall",
    "to_tellurium": "export.tellurium",
    "treat": "therapy",
    "treatment_effects": "treatment_effects",
    "validate": "validation",
    "waterfall": "waterfall",
    "write_module_folder": "own",
    "write_report": "report",
    "write_treatment": "treatment_report",
    "write_validation": "validation_page",
}

__all__ = [
    "CascadeError",
    "Composition",
    "Drug",
    "Model",
    "Module",
    "Parameter",
    "Qualification",
    "Radiotherapy",
    "Regimen",
    "Solver",
    "Surgery",
    "activate",
    "analyze",
    "bifurcation",
    "carry",
    "certify",
    "check",
    "check_portable",
    "combination_table",
    "combine_targets",
    "compare_with_source",
    "compose",
    "composition_names",
    "drug_names",
    "evaluate",
    "export",
    "extinction",
    "gene_view",
    "id_map",
    "inhibit",
    "load_composition",
    "load_drug",
    "load_module",
    "module_names",
    "open_archive",
    "open_sbml",
    "optimize_regimen",
    "pharmacokinetics",
    "population_risk",
    "portable_profile",
    "propose_ports",
    "propose_units",
    "quasi_steady",
    "rank_genes",
    "rank_targets",
    "ranking_table",
    "read_module",
    "read_results",
    "readout",
    "regimen",
    "replace_module",
    "run_treatments",
    "settle_top",
    "simulate",
    "target_treatments",
    "to_tellurium",
    "treat",
    "treatment_effects",
    "validate",
    "waterfall",
    "write_module_folder",
    "write_report",
    "write_treatment",
    "write_validation",
]


_PARTS = (
    "cluster",
    "plot",
    "plot_cascade",
    "plot_ranking",
    "plot_sensitivity",
    "plot_synergy",
    "plot_treatment",
    "plot_waterfall",
    "sensitivity",
)
"""Modules that are read as attributes without being imported by the user."""


class _Package(ModuleType):
    """The package: importing the file `cascade/simulate.py` must not hide the verb `cascade.simulate`."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return import_module(f"cascade.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'cascade' has no attribute {name!r}")
    value = getattr(import_module(f"cascade.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_PARTS, "__version__"])
