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
    from cascade.clones import with_clones as with_clones
    from cascade.clones.phylogeny import Phylogeny as Phylogeny
    from cascade.clones.phylogeny import read_phylogeny as read_phylogeny
    from cascade.clones.shares import mutation_probabilities as mutation_probabilities
    from cascade.cohort import sample_cohort as sample_cohort
    from cascade.cohort import values_of as values_of
    from cascade.cohort.outcomes import draw_events as draw_events
    from cascade.cohort.outcomes import follow_cohort as follow_cohort
    from cascade.cohort.presets import load_preset as load_preset
    from cascade.cohort.presets import preset_names as preset_names
    from cascade.cohort.weighting import weight_cohort as weight_cohort
    from cascade.cohort_report import write_cohort as write_cohort
    from cascade.combinations import combination_table as combination_table
    from cascade.combinations import combine_targets as combine_targets
    from cascade.compose import compose as compose
    from cascade.detection import detect as detect
    from cascade.detection.clinical_test_table import clinical_test_names as clinical_test_names
    from cascade.detection.clinical_test_table import load_clinical_test as load_clinical_test
    from cascade.detection.clinical_tests import CtcTest as CtcTest
    from cascade.detection.clinical_tests import CtdnaPanel as CtdnaPanel
    from cascade.detection.clinical_tests import Imaging as Imaging
    from cascade.detection.clinical_tests import MarrowAspirate as MarrowAspirate
    from cascade.detection.detectable import detectable_size as detectable_size
    from cascade.detection.detectable import screen_primary as screen_primary
    from cascade.detection.followup import Schedule as Schedule
    from cascade.detection.followup import named_schedule as named_schedule
    from cascade.detection.followup import optimize_followup as optimize_followup
    from cascade.detection.followup import simulate_followup as simulate_followup
    from cascade.detection.lesion_courses import follow_courses as follow_courses
    from cascade.detection.performance import decision_curve as decision_curve
    from cascade.detection.performance import performance as performance
    from cascade.detection.performance import roc_curve as roc_curve
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
    from cascade.outlook import patient_outlook as patient_outlook
    from cascade.own import compare_with_source as compare_with_source
    from cascade.own import propose_ports as propose_ports
    from cascade.own import propose_units as propose_units
    from cascade.own import read_module as read_module
    from cascade.own import replace_module as replace_module
    from cascade.own import write_module_folder as write_module_folder
    from cascade.patients import read_patients as read_patients
    from cascade.patients.expression import expression_values as expression_values
    from cascade.patients.genotype_table import read_genotypes as read_genotypes
    from cascade.patients.genotypes import genotype_values as genotype_values
    from cascade.patients.genotypes import with_genotype as with_genotype
    from cascade.patients.mutations import read_mutations as read_mutations
    from cascade.personal import patient_report as patient_report
    from cascade.personal_ranking import personal_ranking as personal_ranking
    from cascade.population import population_risk as population_risk
    from cascade.portable import check_portable as check_portable
    from cascade.portable import portable_profile as portable_profile
    from cascade.quasi_steady import quasi_steady as quasi_steady
    from cascade.ranking import ranking_table as ranking_table
    from cascade.readouts import readout as readout
    from cascade.report import write_report as write_report
    from cascade.results import read_results as read_results
    from cascade.risk import fit_risk as fit_risk
    from cascade.risk import predict_risk as predict_risk
    from cascade.risk.biomarkers import Noise as Noise
    from cascade.risk.biomarkers import measure_biomarkers as measure_biomarkers
    from cascade.risk.information import value_of_measurement as value_of_measurement
    from cascade.simulate import simulate as simulate
    from cascade.specs import Composition as Composition
    from cascade.specs import Model as Model
    from cascade.specs import Module as Module
    from cascade.specs import Parameter as Parameter
    from cascade.specs import Solver as Solver
    from cascade.subgroup_effects import subgroup_effects as subgroup_effects
    from cascade.subgroups import subgroups_of as subgroups_of
    from cascade.survival import compare_arms as compare_arms
    from cascade.survival import competing_risks as competing_risks
    from cascade.survival import kaplan_meier as kaplan_meier
    from cascade.survival.exact import exact_comparison as exact_comparison
    from cascade.survival.exact import exact_survival as exact_survival
    from cascade.targets import rank_targets as rank_targets
    from cascade.therapy import activate as activate
    from cascade.therapy import inhibit as inhibit
    from cascade.therapy import pharmacokinetics as pharmacokinetics
    from cascade.therapy import treat as treat
    from cascade.therapy.drugs import Drug as Drug
    from cascade.therapy.drugs import carry as carry
    from cascade.therapy.drugs import drug_names as drug_names
    from cascade.therapy.drugs import load_drug as load_drug
    from cascade.therapy.procedures import Radiotherapy as Radiotherapy
    from cascade.therapy.procedures import Surgery as Surgery
    from cascade.therapy.regimens import Regimen as Regimen
    from cascade.therapy.regimens import regimen as regimen
    from cascade.treatment_effects import treatment_effects as treatment_effects
    from cascade.treatment_report import write_treatment as write_treatment
    from cascade.treatment_runs import run_treatments as run_treatments
    from cascade.trial import run_trial as run_trial
    from cascade.trial import trial_of as trial_of
    from cascade.trial.size import power_of_trial as power_of_trial
    from cascade.trial.size import sample_size as sample_size
    from cascade.validation import Qualification as Qualification
    from cascade.validation import validate as validate
    from cascade.validation_page import write_validation as write_validation
    from cascade.waterfall import target_treatments as target_treatments
    from cascade.waterfall import waterfall as waterfall

__version__ = "0.1.0"

_HOME = {
    "CascadeError": "errors",
    "Composition": "specs",
    "CtcTest": "detection.clinical_tests",
    "CtdnaPanel": "detection.clinical_tests",
    "Drug": "therapy.drugs",
    "Imaging": "detection.clinical_tests",
    "MarrowAspirate": "detection.clinical_tests",
    "Model": "specs",
    "Module": "specs",
    "Noise": "risk.biomarkers",
    "Parameter": "specs",
    "Phylogeny": "clones.phylogeny",
    "Qualification": "validation",
    "Radiotherapy": "therapy.procedures",
    "Regimen": "therapy.regimens",
    "Schedule": "detection.followup",
    "Solver": "specs",
    "Surgery": "therapy.procedures",
    "activate": "therapy",
    "analyze": "analyze",
    "bifurcation": "bifurcation",
    "carry": "therapy.drugs",
    "certify": "certify",
    "check": "check",
    "check_portable": "portable",
    "clinical_test_names": "detection.clinical_test_table",
    "combination_table": "combinations",
    "combine_targets": "combinations",
    "compare_arms": "survival",
    "compare_with_source": "own",
    "competing_risks": "survival",
    "compose": "compose",
    "composition_names": "catalogue",
    "decision_curve": "detection.performance",
    "detect": "detection",
    "detectable_size": "detection.detectable",
    "draw_events": "cohort.outcomes",
    "drug_names": "therapy.drugs",
    "evaluate": "evaluate",
    "exact_comparison": "survival.exact",
    "exact_survival": "survival.exact",
    "export": "export",
    "expression_values": "patients.expression",
    "extinction": "extinction",
    "fit_risk": "risk",
    "follow_cohort": "cohort.outcomes",
    "follow_courses": "detection.lesion_courses",
    "gene_view": "genes",
    "genotype_values": "patients.genotypes",
    "id_map": "names",
    "inhibit": "therapy",
    "kaplan_meier": "survival",
    "load_clinical_test": "detection.clinical_test_table",
    "load_composition": "catalogue",
    "load_drug": "therapy.drugs",
    "load_module": "catalogue",
    "load_preset": "cohort.presets",
    "measure_biomarkers": "risk.biomarkers",
    "module_names": "catalogue",
    "mutation_probabilities": "clones.shares",
    "named_schedule": "detection.followup",
    "open_archive": "archive",
    "open_sbml": "opening",
    "optimize_followup": "detection.followup",
    "optimize_regimen": "optimize",
    "patient_outlook": "outlook",
    "patient_report": "personal",
    "performance": "detection.performance",
    "personal_ranking": "personal_ranking",
    "pharmacokinetics": "therapy",
    "population_risk": "population",
    "portable_profile": "portable",
    "power_of_trial": "trial.size",
    "predict_risk": "risk",
    "preset_names": "cohort.presets",
    "propose_ports": "own",
    "propose_units": "own",
    "quasi_steady": "quasi_steady",
    "rank_genes": "genes",
    "rank_targets": "targets",
    "ranking_table": "ranking",
    "read_genotypes": "patients.genotype_table",
    "read_module": "own",
    "read_mutations": "patients.mutations",
    "read_patients": "patients",
    "read_phylogeny": "clones.phylogeny",
    "read_results": "results",
    "readout": "readouts",
    "regimen": "therapy.regimens",
    "replace_module": "own",
    "roc_curve": "detection.performance",
    "run_treatments": "treatment_runs",
    "run_trial": "trial",
    "sample_cohort": "cohort",
    "sample_size": "trial.size",
    "screen_primary": "detection.detectable",
    "settle_top": "analyze",
    "simulate": "simulate",
    "simulate_followup": "detection.followup",
    "subgroup_effects": "subgroup_effects",
    "subgroups_of": "subgroups",
    "target_treatments": "waterfall",
    "to_tellurium": "export.tellurium",
    "treat": "therapy",
    "treatment_effects": "treatment_effects",
    "trial_of": "trial",
    "validate": "validation",
    "value_of_measurement": "risk.information",
    "values_of": "cohort",
    "waterfall": "waterfall",
    "weight_cohort": "cohort.weighting",
    "with_clones": "clones",
    "with_genotype": "patients.genotypes",
    "write_cohort": "cohort_report",
    "write_module_folder": "own",
    "write_report": "report",
    "write_treatment": "treatment_report",
    "write_validation": "validation_page",
}

__all__ = [
    "CascadeError",
    "Composition",
    "CtcTest",
    "CtdnaPanel",
    "Drug",
    "Imaging",
    "MarrowAspirate",
    "Model",
    "Module",
    "Noise",
    "Parameter",
    "Phylogeny",
    "Qualification",
    "Radiotherapy",
    "Regimen",
    "Schedule",
    "Solver",
    "Surgery",
    "activate",
    "analyze",
    "bifurcation",
    "carry",
    "certify",
    "check",
    "check_portable",
    "clinical_test_names",
    "combination_table",
    "combine_targets",
    "compare_arms",
    "compare_with_source",
    "competing_risks",
    "compose",
    "composition_names",
    "decision_curve",
    "detect",
    "detectable_size",
    "draw_events",
    "drug_names",
    "evaluate",
    "exact_comparison",
    "exact_survival",
    "export",
    "expression_values",
    "extinction",
    "fit_risk",
    "follow_cohort",
    "follow_courses",
    "gene_view",
    "genotype_values",
    "id_map",
    "inhibit",
    "kaplan_meier",
    "load_clinical_test",
    "load_composition",
    "load_drug",
    "load_module",
    "load_preset",
    "measure_biomarkers",
    "module_names",
    "mutation_probabilities",
    "named_schedule",
    "open_archive",
    "open_sbml",
    "optimize_followup",
    "optimize_regimen",
    "patient_outlook",
    "patient_report",
    "performance",
    "personal_ranking",
    "pharmacokinetics",
    "population_risk",
    "portable_profile",
    "power_of_trial",
    "predict_risk",
    "preset_names",
    "propose_ports",
    "propose_units",
    "quasi_steady",
    "rank_genes",
    "rank_targets",
    "ranking_table",
    "read_genotypes",
    "read_module",
    "read_mutations",
    "read_patients",
    "read_phylogeny",
    "read_results",
    "readout",
    "regimen",
    "replace_module",
    "roc_curve",
    "run_treatments",
    "run_trial",
    "sample_cohort",
    "sample_size",
    "screen_primary",
    "settle_top",
    "simulate",
    "simulate_followup",
    "subgroup_effects",
    "subgroups_of",
    "target_treatments",
    "to_tellurium",
    "treat",
    "treatment_effects",
    "trial_of",
    "validate",
    "value_of_measurement",
    "values_of",
    "waterfall",
    "weight_cohort",
    "with_clones",
    "with_genotype",
    "write_cohort",
    "write_module_folder",
    "write_report",
    "write_treatment",
    "write_validation",
]


_PARTS = (
    "cluster",
    "plot",
    "plot_cascade",
    "plot_clones",
    "plot_cohort",
    "plot_detection",
    "plot_personal",
    "plot_ranking",
    "plot_risk",
    "plot_sensitivity",
    "plot_survival",
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
