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
    from cascade.bifurcation import bifurcation as bifurcation
    from cascade.catalogue import composition_names as composition_names
    from cascade.catalogue import load_composition as load_composition
    from cascade.catalogue import load_module as load_module
    from cascade.catalogue import module_names as module_names
    from cascade.check import check as check
    from cascade.combinations import combination_table as combination_table
    from cascade.combinations import combine_targets as combine_targets
    from cascade.compose import compose as compose
    from cascade.errors import CascadeError as CascadeError
    from cascade.evaluate import evaluate as evaluate
    from cascade.export import export as export
    from cascade.extinction import extinction as extinction
    from cascade.genes import gene_view as gene_view
    from cascade.genes import rank_genes as rank_genes
    from cascade.population import population_risk as population_risk
    from cascade.quasi_steady import quasi_steady as quasi_steady
    from cascade.ranking import ranking_table as ranking_table
    from cascade.readouts import readout as readout
    from cascade.report import write_report as write_report
    from cascade.simulate import simulate as simulate
    from cascade.specs import Composition as Composition
    from cascade.specs import Model as Model
    from cascade.specs import Module as Module
    from cascade.specs import Parameter as Parameter
    from cascade.specs import Solver as Solver
    from cascade.targets import rank_targets as rank_targets
    from cascade.therapy import activate as activate
    from cascade.therapy import inhibit as inhibit
    from cascade.therapy import treat as treat
    from cascade.validation import Qualification as Qualification
    from cascade.validation import validate as validate
    from cascade.validation_page import write_validation as write_validation
    from cascade.waterfall import target_treatments as target_treatments
    from cascade.waterfall import waterfall as waterfall

__version__ = "0.1.0"

_HOME = {
    "CascadeError": "errors",
    "Composition": "specs",
    "Model": "specs",
    "Module": "specs",
    "Parameter": "specs",
    "Qualification": "validation",
    "Solver": "specs",
    "activate": "therapy",
    "analyze": "analyze",
    "bifurcation": "bifurcation",
    "check": "check",
    "combination_table": "combinations",
    "combine_targets": "combinations",
    "compose": "compose",
    "composition_names": "catalogue",
    "evaluate": "evaluate",
    "export": "export",
    "extinction": "extinction",
    "gene_view": "genes",
    "inhibit": "therapy",
    "load_composition": "catalogue",
    "load_module": "catalogue",
    "module_names": "catalogue",
    "population_risk": "population",
    "quasi_steady": "quasi_steady",
    "rank_genes": "genes",
    "rank_targets": "targets",
    "ranking_table": "ranking",
    "readout": "readouts",
    "settle_top": "analyze",
    "simulate": "simulate",
    "target_treatments": "waterfall",
    "treat": "therapy",
    "validate": "validation",
    "waterfall": "waterfall",
    "write_report": "report",
    "write_validation": "validation_page",
}

__all__ = [
    "CascadeError",
    "Composition",
    "Model",
    "Module",
    "Parameter",
    "Qualification",
    "Solver",
    "activate",
    "analyze",
    "bifurcation",
    "check",
    "combination_table",
    "combine_targets",
    "compose",
    "composition_names",
    "evaluate",
    "export",
    "extinction",
    "gene_view",
    "inhibit",
    "load_composition",
    "load_module",
    "module_names",
    "population_risk",
    "quasi_steady",
    "rank_genes",
    "rank_targets",
    "ranking_table",
    "readout",
    "settle_top",
    "simulate",
    "target_treatments",
    "treat",
    "validate",
    "waterfall",
    "write_report",
    "write_validation",
]


_PARTS = (
    "cluster",
    "plot",
    "plot_cascade",
    "plot_ranking",
    "plot_sensitivity",
    "plot_synergy",
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
