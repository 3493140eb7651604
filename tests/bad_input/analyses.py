"""Bad requests to the analyses and the exports."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import xarray as xr

import cascade
from bad_input.case import Case, Door
from bad_input.runs import asked, constant, patients, state, wnt
from cascade.evaluate import evaluate
from cascade.specs import Model


@cache
def cells() -> Model:
    return cascade.compose(cascade.load_module("disseminated_cells"))


def analyzed(method: Any = "morris", **settings: Any) -> Door:
    """Return a door: an analysis of a small model."""

    def door(folder: Path) -> Any:
        return cascade.analyze(wnt(), **{"readouts": f"final:{state()}", "method": method, "years": 0.01, **settings})

    return door


def evaluated(**settings: Any) -> Door:
    """Return a door: three runs; a setting that can be called makes its value from the folder."""

    def door(folder: Path) -> Any:
        given = {name: value(folder) if callable(value) else value for name, value in settings.items()}
        values = {"values": {constant(): patients(0.1, 0.2, 0.3)}, "readouts": [f"final:{state()}"]}
        return evaluate(wnt(), **{**values, "days": 1, "points": 3, **given})

    return door


def ranked(**settings: Any) -> Door:
    return lambda folder: cascade.rank_targets(wnt(), **{"readout": f"final:{state()}", **settings})


def combined(*targets: Any, **settings: Any) -> Door:
    return lambda folder: cascade.combine_targets(wnt(), list(targets), readout=f"final:{state()}", **settings)


def scanned(**settings: Any) -> Door:
    span = {"parameter": "a_wnt", "output": "c_bcat_membrane", "lower": 1.0, "upper": 2.0}
    return lambda folder: cascade.bifurcation(wnt(), **{**span, **settings})


def followed(cohort: Any, **settings: Any) -> Door:
    return lambda folder: cascade.extinction(cells(), cohort, **{"years": 1, **settings})


def population(source: Any, sigma: Any = 1.0, **settings: Any) -> Door:
    return lambda folder: cascade.population_risk(source, sigma, **settings)


def of_no_model(verb: str, *arguments: Any) -> Case:
    """Return a case: a verb is given a name instead of a model."""
    says = rf"{verb}\(\) was given 'breast'; give a Model, made by compose\(\)"
    return Case(f"{verb} of no model", lambda folder: getattr(cascade, verb)("breast", *arguments), "ValueSettingError", says)  # fmt: skip


def file_in(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file"


def link_in(folder: Path) -> Path:
    (folder / "link").symlink_to(folder / "link")
    return folder / "link"


def exported(place: Callable[[Path], Any]) -> Door:
    return lambda folder: cascade.export(wnt(), place(folder))


def full(folder: Path) -> Path:
    (folder / "a.xml").symlink_to("/dev/full")
    return folder / "a.xml"


def taken(folder: Path) -> Path:
    (folder / "a.xml").mkdir()
    return folder / "a.xml"


FEW = ("sensitivity", "wnt", "--readout", "final:c_bcat_membrane", "--years", "0.01")
SCAN = ("bifurcation", "wnt", "a_wnt", "c_bcat_membrane")
FATE = ("extinction", "disseminated_cells", "disseminated_cells")
OUT = ("export", "wnt", "--out")

MODELS = (
    of_no_model("analyze"),
    of_no_model("rank_targets"),
    of_no_model("combine_targets", ["kdr", "mek"]),
    of_no_model("waterfall", {}),
    of_no_model("target_treatments"),
    of_no_model("gene_view", "KDR"),
    of_no_model("extinction", {"n_dormant": 1}),
)

SENSITIVITY = (
    Case("unknown method", analyzed("sobel"), "UnknownNameError", "no method 'sobel'.*did you mean 'sobol'", (*FEW, "--method", "sobel")),
    Case("no method", analyzed(None), "UnknownNameError", "no method None"),
    Case("readout that the model lacks", analyzed(readouts="p_overt_5y"), "AnalysisError", "which model 'wnt' does not have; ask for final", ("sensitivity", "wnt")),
    Case("no readouts", analyzed(readouts=None), "AnalysisError", "readouts is None; give a name or a list"),
    Case("readouts of nothing", analyzed(readouts=[]), "AnalysisError", "readouts and series are empty"),
    Case("samples below 0", analyzed(samples=-1), "AnalysisError", "samples is -1; give 1 to", (*FEW, "--method", "morris", "--samples", "-1")),
    Case("half a sample", analyzed(samples=1.5), "AnalysisError", "samples is 1.5; give a whole number"),
    Case("10^12 samples", analyzed("sobol", samples=10**12), "AnalysisError", "samples is 1000000000000; give 1 to", (*FEW, "--samples", "1000000000000")),
    Case("one trajectory", analyzed(samples=1), "AnalysisError", "samples is 1|at least 2", (*FEW, "--method", "morris", "--samples", "1")),
    Case("3 samples for a polynomial", analyzed("chaos", samples=3), "AnalysisError", "3 .*runs"),
    Case("seed below 0", analyzed(seed=-1), "AnalysisError", "seed is -1; give a whole number, 0 or above", (*FEW, "--method", "morris", "--seed", "-1")),
    Case("seed of a text", analyzed(seed="1"), "AnalysisError", "seed is '1'; give a whole number"),
    Case("unknown groups", analyzed(groups="organs"), "UnknownNameError", "organs", (*FEW, "--method", "morris", "--by", "organs")),
    Case("group of nothing", analyzed(groups={"a": ["k_nought"]}), "AnalysisError", "k_nought are not among"),
    Case("groups where there are none", analyzed("delta", groups="modules"), "AnalysisError", "judges single parameters; for groups use", (*FEW, "--method", "delta", "--by", "modules")),
    Case("unknown option", analyzed(frobnicate=1), "UnknownNameError", "no option 'frobnicate' in the estimator of method 'morris'"),
    Case("unknown option of a design", analyzed(design_options={"frobnicate": 1}), "UnknownNameError", "no option 'frobnicate' in the design"),
    Case("unknown transformation", analyzed("chaos", samples=60, transform="cube"), "UnknownNameError", "no transformation 'cube'"),
    Case("years 0", analyzed(years=0), "ValueSettingError", "years is 0.*; give a finite number above 0", (*FEW[:-1], "0")),
    Case("years NaN", analyzed(years=float("nan")), "ValueSettingError", "years is nan; give a finite", (*FEW[:-1], "nan")),
    Case("years of a text", analyzed(years="1"), "ValueSettingError", "years is '1'; give a finite number"),
    Case("10^6 years", analyzed(years=1e6), "ValueSettingError", "above 0, up to 1000", (*FEW[:-1], "1000000")),
)  # fmt: skip

STORES = (
    Case("text for readouts", evaluated(readouts="p"), "AnalysisError", r"readouts is the text 'p'; give a list"),
    Case("readouts none", evaluated(readouts=None), "AnalysisError", "readouts is None; give a list of names"),
    Case("values none", evaluated(values=None), "ValueSettingError", "values is NoneType; give a mapping"),
    Case("unknown series", evaluated(series=["c_z"]), "UnknownNameError", "no symbol 'c_z'"),
    Case("chunks of nothing", evaluated(chunk=0), "ValueSettingError", "chunk is 0; give a whole number of runs"),
    Case("resume of nothing", evaluated(resume=True), "ValueSettingError", "resume needs the folder to go on with"),
    Case("store that is there", evaluated(store=lambda f: f), "AnalysisError", "exists; continue it with resume=True"),
    Case("resume of another folder", evaluated(store=lambda f: f, resume=True), "AnalysisError", "is no store of a study"),
    Case("store that is a file", evaluated(store=file_in), "AnalysisError", "exists; continue it"),
    Case("store below a file", evaluated(store=lambda f: file_in(f) / "a"), "FileError", "cannot use the store .*(File exists|Not a directory); "),
    Case("store with a null byte", evaluated(store="a\0b"), "AnalysisError", "give the path of a folder"),
    Case("store with a long name", evaluated(store=lambda f: f / ("x" * 300)), "AnalysisError", "give the path of a folder"),
    Case("store in a place of the system", evaluated(store="/proc/runs.zarr"), "FileError", "cannot use the store /proc"),
    Case("store that is a number", evaluated(store=3), "AnalysisError", "store is 3; give the path"),
    Case("store without a name", evaluated(store=""), "AnalysisError", "store is ''; give the path"),
    Case("store of links", evaluated(store=link_in), "FileError", "cannot use the store .*/link"),
)  # fmt: skip

RANKING = (
    Case("fraction of 2", ranked(fraction=2), "AnalysisError", "fraction is 2.*; give a share above 0", ("rank", "wnt", "--readout", "final:c_bcat_membrane", "--fraction", "2", "--out", "{}/rank")),
    Case("fraction of a text", ranked(fraction="a"), "AnalysisError", "fraction is 'a'; give a share"),
    Case("dose of 2", ranked(doses=[2]), "AnalysisError", "fraction is 2"),
    Case("no doses", ranked(doses=None), "AnalysisError", "doses is None; give a list"),
    Case("3 patients", ranked(samples=3), "AnalysisError", "samples is 3; a ranking needs at least 10"),
    Case("10^12 patients", ranked(samples=10**12), "AnalysisError", "samples is 1000000000000; give 0 to"),
    Case("half a patient", ranked(samples=10.5), "AnalysisError", "samples is 10.5; give a whole number"),
    Case("runs below 0", ranked(total_samples=-5), "AnalysisError", "total_samples is -5; give 0 to"),
    Case("one trajectory of Morris", ranked(morris_trajectories=1), "AnalysisError", "morris_trajectories is 1; give 0"),
    Case("unknown target of the table", ranked(targets=["porcupin"]), "UnknownNameError", "no target 'porcupin' in the table of targets"),
    Case("target that the model lacks", ranked(targets=["kdr"]), "AnalysisError", "targets kdr act on modules that model 'wnt' does not have", ("rank", "wnt", "--readout", "final:c_bcat_membrane", "--target", "kdr", "--out", "{}/rank")),
    Case("target twice", ranked(targets=["kdr", "kdr"]), "AnalysisError", "targets kdr are given twice"),
    Case("text for targets", ranked(targets="kdr"), "AnalysisError", "targets is the text 'kdr'; give a list"),
    Case("targets that are numbers", ranked(targets=[3]), "UnknownNameError", "no target 3"),
    Case("unknown window", ranked(window="someday"), "UnknownNameError", "no window 'someday'", ("rank", "wnt", "--readout", "final:c_bcat_membrane", "--window", "someday", "--out", "{}/rank")),
    Case("window of ranking reversed", ranked(window=(10, 5)), "AnalysisError", "it stops on day 5, not after its start on day 10"),
    Case("window NaN", ranked(window=(float("nan"), 5)), "AnalysisError", "give finite days"),
    Case("window of a number", ranked(window=10), "AnalysisError", "window is 10; give a name"),
    Case("readout of many numbers", ranked(readout="p_first_site"), "AnalysisError", "needs one number a run"),
    Case("one target alone", combined("kdr"), "AnalysisError", "kdr act on modules|make no combination of 2"),
    Case("dose below 0", combined(doses=[-1]), "AnalysisError", "doses are .*; give finite doses above 0"),
    Case("dose of a text", combined(doses=["a"]), "AnalysisError", "doses are .*; give a list of numbers"),
    Case("treatments at 200 %", asked(lambda: cascade.target_treatments(wnt(), fraction=2)), "AnalysisError", "fraction is 2.*; give a share", ("why", "wnt", "--target", "kdr", "--fraction", "2")),
    Case("window of treatments reversed", asked(lambda: cascade.target_treatments(wnt(), window=(5, 1))), "AnalysisError", "give finite days, the stop after the start"),
    Case("unknown order", asked(lambda: cascade.waterfall(wnt(), {}, order="up")), "AnalysisError", "order is 'up'; give one of"),
    Case("nothing to split", asked(lambda: cascade.waterfall(wnt(), {})), "AnalysisError", "there is nothing to split"),
    Case("no treatments", asked(lambda: cascade.waterfall(wnt(), None)), "AnalysisError", "treatments is None; give what inhibit"),
    Case("unknown gene", asked(lambda: cascade.gene_view(wnt(), "NOGENE")), "UnknownNameError", "no gene 'NOGENE'", ("gene", "wnt", "NOGENE", "--readout", "final:c_bcat_membrane")),
)  # fmt: skip

OTHERS = (
    Case("range reversed", scanned(lower=2, upper=1), "ValueSettingError", r"the range of the scan is \[2.*, 1.*\]; give", (*SCAN, "--from", "2", "--to", "1")),
    Case("range of texts", scanned(lower="a"), "ValueSettingError", "give finite numbers, lower below upper"),
    Case("scan of 2 points", scanned(points=2), "ValueSettingError", "points is 2; give a whole number from 3", (*SCAN, "--from", "1", "--to", "2", "--points", "2")),
    Case("scan of NaN points", scanned(points=float("nan")), "ValueSettingError", "points is nan"),
    Case("scan that holds 0 days", scanned(hold=0), "ValueSettingError", "hold is 0.*; give a finite", (*SCAN, "--from", "1", "--to", "2", "--hold", "0")),
    Case("scan of nothing", scanned(parameter="k_nought"), "UnknownNameError", "no .*'k_nought'"),
    Case("cohort of nothing", followed({}), "AnalysisError", "the cohort is empty; give cells"),
    Case("cohort in a list", followed([1]), "AnalysisError", r"the cohort is \[1\]; give cells"),
    Case("cohort below 0", followed({"n_dormant": -1}), "AnalysisError", "not negative", (*FATE, "n_dormant=-1")),
    Case("cohort NaN", followed({"n_dormant": float("nan")}), "AnalysisError", "has nan of 'n_dormant'", (*FATE, "n_dormant=nan")),
    Case("cohort of a text", followed({"n_dormant": "a"}), "AnalysisError", "has 'a' of 'n_dormant'|'n_dormant=a': write it as ID=NUMBER", (*FATE, "n_dormant=a")),
    Case("unknown cells", followed({"n_dormint": 1}), "UnknownNameError", "did you mean .*'n_dormant'", (*FATE, "n_dormint=1")),
    Case("cohort for ever", followed({"n_dormant": 1}, years=float("inf")), "AnalysisError", "length of time is inf; give", (*FATE, "n_dormant=1", "--years", "inf")),
    Case("cohort in 1 row", followed({"n_dormant": 1}, points=1), "AnalysisError", "points is 1; give 2 to 10000"),
    Case("5 cohorts", followed({"n_dormant": 1}, runs=5), "AnalysisError", "runs is 5; give at least 20", (*FATE, "n_dormant=1", "--runs", "5")),
    Case("cohort without lesions", followed({"n_dormant": 1}), "AnalysisError", "can become .*; take the lesions", (*FATE, "n_dormant=1")),
    Case("spread below 0", population(patients(1.0), -1), "AnalysisError", "sigma is -1; give a finite number"),
    Case("spread of a text", population(patients(1.0), "a"), "AnalysisError", "sigma is 'a'"),
    Case("spread of a model without", asked(lambda: cascade.population_risk(patients(1.0), wnt())), "UnknownNameError", "sigma_potential"),
    Case("hazard below 0", population(patients(-1.0)), "AnalysisError", "the hazard is negative somewhere"),
    Case("hazard of nothing", population(3), "AnalysisError", "the source is '3'; give a Dataset"),
    Case("hazard not recorded", population(xr.Dataset()), "AnalysisError", "needs endpoints__h_since_surgery.*record it"),
    Case("10^6 nodes", population(patients(1.0), nodes=10**6), "AnalysisError", "nodes is 1000000; give 2 to 1000"),
    Case("rest of a text", asked(lambda: cascade.quasi_steady(cascade.load_module("wnt"), "abc")), "CompositionError", "give a Module and a list"),
    Case("unknown model to validate", asked(lambda: cascade.validate("wnnt")), "UnknownNameError", "did you mean 'wnt'", ("validate", "wnnt")),
    Case("unknown fact", asked(lambda: cascade.validate("wnt", facts=["nought"])), "UnknownNameError", "no fact 'nought'", ("validate", "wnt", "--fact", "nought")),
)  # fmt: skip

EXPORTS = (
    Case("unknown suffix", exported(lambda f: f / "a.txt"), "CascadeError", "a.txt", (*OUT, "{}/a.txt")),
    Case("export into no folder", exported(lambda f: f / "none" / "a.xml"), "FileError", "none", (*OUT, "{}/none/a.xml")),
    Case("export over a folder", exported(taken), "FileError", "Is a directory; .* give the path of a file", (*OUT, "{}/a.xml")),
    Case("export with a long name", exported(lambda f: f / ("x" * 300 + ".xml")), "FileError", "File name too long; give a shorter", (*OUT, "{}/" + "x" * 300 + ".xml")),
    Case("export to a full disk", exported(full), "FileError", "No space left on device; free some space"),
    Case("export into the system", exported(lambda f: "/proc/a.xml"), "FileError", "cannot write /proc/a.xml", (*OUT, "/proc/a.xml")),
)  # fmt: skip

CASES = (*MODELS, *SENSITIVITY, *STORES, *RANKING, *OTHERS, *EXPORTS)
