"""Plots and the report: what is drawn is what the data say, and the page needs nothing but itself."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from cascade import plot, plot_ranking
from cascade._files import safe_cell
from cascade._style import unit_label
from cascade._words import effect_text, number, percent
from cascade.errors import AnalysisError, UnknownNameError
from cascade.report import write_report
from cascade.specs import Model, Parameter, Wire
from cascade.verdict import sentences
from cascade.wiring import draw_wiring

ORGANS = ("bone", "lung", "liver")


@pytest.fixture(autouse=True)
def close_figures() -> object:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model() -> Model:
    wires = [Wire(reader="tumor.a_emt", writers=("emt.a_emt",), formula="emt.a_emt", unit="dimensionless")]
    wires += [Wire(reader="emt.n", writers=("tumor.n_tumor",), formula="tumor.n_tumor", unit="cell")]
    for organ in ORGANS:
        wires.append(Wire(reader=f"{organ}.v", writers=("tumor.v_shed",), formula="x", unit="cell_per_day"))
    instances = {"emt": "emt", "tumor": "primary_tumor", **dict.fromkeys(ORGANS, "organ_niche")}
    rows = tuple(
        Parameter(id=f"k_{kind}", name=kind, nominal=1.0, unit="per_day", evidence=kind, estimate=True)
        for kind in ("measured", "fitted", "assumed")
    )
    return Model(name="small", flat="<sbml/>", parameters=rows, ids={}, wiring=tuple(wires), instances=instances)


def make_ranking(model: Model, mean: tuple[float, ...] = (-0.12, -0.11, -0.02, 0.03)) -> xr.Dataset:
    names = [f"t{i}" for i in range(len(mean))]
    effect = np.repeat(np.array(mean)[:, None], 2, axis=1)
    both = ("target", "window")
    order = np.arange(1.0, len(mean) + 1)
    ranks = np.repeat(order[:, None], 2, axis=1)
    data = {
        "effect_mean": effect, "effect_median": effect, "effect_lower": effect - 0.01, "effect_upper": effect + 0.01,
        "log_hazard_ratio_mean": effect * 9, "log_hazard_ratio_lower": effect * 9, "log_hazard_ratio_upper": effect * 9,
        "hazard_ratio_median": np.exp(effect * 9), "p_relevant": ranks / 10, "rank": ranks,
        "rank_lower": np.maximum(ranks - 1, 1), "rank_upper": ranks + 1, "p_top": ranks / 10, "p_first": ranks / 10,
        "patients_top": ranks / 10,
        "group": np.array([[1, 1], [1, 1], [2, 2], [3, 3]])[: len(mean)].astype(float), "missing_share": ranks * 0,
        "failed_share": ranks * 0, "nominal_effect": effect,
    }  # fmt: skip
    coords = {
        "target": names, "window": ["adjuvant", "lifelong"], "target_name": ("target", [f"Target {n}" for n in names]),
        "stage": ("target", ["vessels", "niche", "dormancy", "immunity"][: len(mean)]),
        "parameter": ["k_measured", "k_fitted", "k_assumed"],
        "evidence": ("parameter", ["measured", "fitted", "assumed"]),
        "parameter_name": ("parameter", ["a", "b", "c"]), "parameter_note": ("parameter", ["", "", "=because()"]),
    }  # fmt: skip
    text = ("drug_class", "genes", "example_drugs", "potency", "source", "target_note", "acts_on")
    coords |= {name: ("target", ["=cmd|' /C calc'!A0"] * len(names)) for name in text}
    dataset = xr.Dataset({name: (both, values) for name, values in data.items()}, coords=coords)
    for name, values in {"mu_star": [0.1, 0.2, 0.3], "mu": [0.1, -0.2, 0], "sigma": [0.0, 0.1, 0.5]}.items():
        dataset[name] = ("parameter", values)
    for name, values in {"dose_effect": mean, "opposite_effect": -np.array(mean), "organ_effect": mean}.items():
        dims = {"dose_effect": ("target", "fraction"), "organ_effect": ("target", "window", "organ")}.get(
            name, ("target",)
        )
        wide = np.multiply.outer(np.array(values), np.ones([2] * (len(dims) - 1)))
        for end, shift in (("", 0.0), ("_lower", -0.01), ("_upper", 0.01)):
            dataset[f"{name}{end}"] = (dims, wide + shift)
    dataset = dataset.assign_coords(
        fraction=[0.5, 0.9], organ=["bone", "lung"], window_meaning=("window", ["after", "always"])
    )
    dataset["mu_star_confidence"] = ("parameter", [0.01, 0.02, 0.03])
    dataset["untreated"] = ("patient", np.full(11, 0.3))
    spread = np.linspace(-0.01, 0.01, 11)
    dataset["treated"] = (("target", "window", "patient"), 0.3 + effect[:, :, None] + spread)
    dataset.attrs = {
        "window": "adjuvant", "readout": "p_overt_5y", "readout_meaning": "probability of overt metastasis",
        "readout_unit": "dimensionless", "effect_scale": "difference", "effect_label": "change of the probability",
        "better": "lower", "samples": 12, "patients": 10, "fraction": 0.9, "seed": 1, "top": 5, "relevant_share": 0.1,
        "runs": 99,
        "failed_runs": 2, "not_in_model": "", "model_sha256": model.hash, "morris_verdict": "8 of 8 trajectories used",
        "reasons": json.dumps({"run failed: <script>alert(1)</script>": 2}), "reasons_untreated": "{}",
    }  # fmt: skip
    return dataset


@pytest.fixture(scope="module")
def untreated() -> xr.Dataset:
    time = np.linspace(0, 3000, 50)
    return xr.Dataset(
        {
            "primary_tumor__n_tumor": ("time", np.exp(time / 300), {"units": "cell", "long_name": "tumor cells"}),
            "endpoints__p_overt": ("time", time / 9000, {"units": "dimensionless", "long_name": "probability"}),
            "primary_tumor__t_surgery": ("time", np.where(time > 1500, 1500.0, 1e6), {"units": "day"}),
        },
        coords={"time": time},
    )


# ---- plots


@pytest.mark.parametrize(
    ("unit", "label"),
    [
        ("nM_per_day", "nM/day"),
        ("per_day", "1/day"),
        ("per_nM2_per_day", "1/(nM² day)"),
        ("molecule_per_um2", "molecule/µm²"),
        ("dimensionless", ""),
        ("Mcell_per_ml", "Mcell/ml"),
    ],
)
def test_units_are_written_for_readers(unit: str, label: str) -> None:
    assert unit_label(unit) == label


def test_trajectories_draw_a_band_over_samples() -> None:
    values = np.arange(20.0)[:, None] * np.linspace(0, 1, 30)
    data = xr.Dataset({"x": (("sample", "time"), values, {"units": "nM", "long_name": "ligand"})})
    axis = plot.trajectories(data.assign_coords(time=np.linspace(0, 100, 30)), "x")
    assert axis.lines[0].get_ydata()[-1] == pytest.approx(9.5)
    assert len(axis.collections) == 1
    assert "ligand" in axis.get_ylabel() and "(nM)" in axis.get_ylabel()
    assert axis.get_xlabel() == "time (day)"


def test_trajectories_use_years_and_an_axis_that_is_given(untreated: xr.Dataset) -> None:
    axis = plt.subplots()[1]
    assert plot.trajectories(untreated, "primary_tumor__n_tumor", axis, log=True) is axis
    assert axis.get_yscale() == "log" and axis.get_xlabel() == "time (year)"
    with pytest.raises(AnalysisError, match="different units"):
        plot.trajectories(untreated, ["primary_tumor__n_tumor", "endpoints__p_overt"])
    with pytest.raises(UnknownNameError, match="did you mean 'endpoints__p_overt'"):
        plot.trajectories(untreated, "endpoints__p_over")


def test_trajectories_choose_for_themselves(untreated: xr.Dataset) -> None:
    burden = untreated["primary_tumor__n_tumor"] / 10
    axis = plot.trajectories(untreated.assign(endpoints__n_burden=burden))
    assert len(axis.lines) == 2 and axis.get_yscale() == "log"
    assert len(plot.trajectories(untreated[["endpoints__p_overt"]]).lines) == 1
    with pytest.raises(AnalysisError, match="no trajectory"):
        plot.trajectories(untreated[[]])


def test_forest_has_one_row_per_target_best_on_top(model: Model) -> None:
    axis = plot.forest(make_ranking(model))
    assert [label.get_text() for label in axis.get_yticklabels()] == [f"Target t{i}" for i in range(4)]
    assert axis.yaxis_inverted()
    texts = [text.get_text() for text in axis.texts]
    assert "1–2" in texts and "3–5" in texts
    ratio = plot.forest(make_ranking(model), measure="hazard_ratio")
    assert ratio.get_xscale() == "log"
    with pytest.raises(AnalysisError, match="use 'effect' or 'hazard_ratio'"):
        plot.forest(make_ranking(model), measure="odds")


def test_morris_orders_by_mu_star(model: Model) -> None:
    axis = plot.morris(make_ranking(model), top=2)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["k_assumed", "k_fitted"]
    assert len(plot.morris(make_ranking(model), kind="scatter").collections) == 1
    with pytest.raises(AnalysisError, match="no Morris screening"):
        plot.morris(make_ranking(model).drop_vars("mu_star"))
    with pytest.raises(AnalysisError, match="use 'bars' or 'scatter'"):
        plot.morris(make_ranking(model), kind="pie")


def test_wiring_draws_instances_of_a_module_once(model: Model) -> None:
    axis = draw_wiring(model)
    texts = [text.get_text() for text in axis.texts]
    assert "3 × organ_niche" in texts and "→ v_shed" in texts and "bone, lung" in texts
    arrows = [patch for patch in axis.patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(arrows) == 3  # emt <-> tumor, tumor -> organs


# ---- words and cells


def test_numbers_are_written_for_readers() -> None:
    assert number(-0.01234) == "−0.0123" and number(float("nan")) == "–"
    assert percent(0.5) == "50 %" and percent(0.004) == "0.4 %" and percent(1.0) == "100 %"
    assert effect_text(-0.123, "difference", "dimensionless") == "−12.3"
    assert effect_text(np.log(0.5), "log_ratio", "cell") == "×0.5"


def test_verdict_names_the_best_its_ties_and_the_harmful(model: Model) -> None:
    said = " ".join(sentences(make_ranking(model)))
    assert "Acting on Target t0 (by 90 %) (adjuvant) changes the probability" in said
    assert "by −12.0 percentage points on average" in said
    assert "tied with Target t1" in said
    assert "Next comes Target t2." in said
    assert "Under lifelong treatment Target t0 comes first (−12.0)." in said
    assert "makes it worse for Target t3" in said
    assert "No target improves" in sentences(make_ranking(model, (0.1, 0.2)))[0]


def test_formulas_in_cells_are_made_safe() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1"):
        assert safe_cell(text) == "'" + text
    assert safe_cell(-1.5) == -1.5 and safe_cell("TGF-beta") == "TGF-beta"


# ---- the page


@pytest.fixture(scope="module")
def folder(model: Model, untreated: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    page = write_report(folder, model, make_ranking(model), untreated, "cascade rank small --seed 1")
    assert page == folder / "report.html"
    return folder


def test_windows_and_organs_show_every_number(model: Model) -> None:
    ranking = make_ranking(model)
    axis = plot_ranking.windows(ranking)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["adjuvant", "lifelong"]
    assert [text.get_text() for text in axis.texts][:2] == ["−12.0", "−12.0"]
    where = plot_ranking.organs(ranking)
    assert where.texts[0].get_text() == "×0.887"  # exp(-0.12)
    with pytest.raises(AnalysisError, match="no organs"):
        plot_ranking.organs(ranking.drop_dims("organ"))


def test_effects_that_may_be_none_are_in_brackets(model: Model) -> None:
    ranking = make_ranking(model, (-0.12, -0.005, -0.02, 0.03))
    texts = [text.get_text() for text in plot_ranking.windows(ranking).texts]
    assert texts[2].startswith("(") and not texts[4].startswith("(")


def test_doses_are_drawn_with_the_reverse(model: Model) -> None:
    axis = plot_ranking.doses(make_ranking(model))
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["drug, 50 %", "drug, 90 %", "the reverse"]


def test_convergence_marks_where_it_settled() -> None:
    history = xr.Dataset(
        {name: (("runs", "name"), np.array([[0.5, 0.1], [0.4, 0.2]]) + shift)
         for name, shift in (("index", 0.0), ("index_lower", -0.1), ("index_upper", 0.1))},
        coords={"runs": [100, 200], "name": ["a", "b"]},
    )  # fmt: skip
    history["settled"] = ("runs", [False, True])
    axis = plot_ranking.convergence(history)
    assert "settled" in axis.texts[0].get_text() and axis.texts[0].get_position()[0] == 200


def test_report_is_one_self_contained_page(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert not re.findall(r"https?://|@import|url\(", page)
    assert page.count("data:image/png;base64,") == 8
    assert "This is a research model, not for treatment decisions." in page
    assert "cascade rank small --seed 1" in page and "2 of 99 runs" in page


def test_report_escapes_what_it_prints(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_report_writes_figures_and_tables(folder: Path, model: Model) -> None:
    assert {path.name for path in (folder / "figures").iterdir()} == {
        "doses.png", "forest.png", "morris.png", "organs.png", "settling.png", "untreated.png", "windows.png",
        "wiring.png",
    }  # fmt: skip
    with (folder / "ranking.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 8 and table[0]["window"] == "adjuvant"
    assert float(table[0]["effect_mean"]) == -0.12
    assert table[0]["drug_class"].startswith("'=")
    with xr.open_dataset(folder / "ranking.nc") as back:
        assert back.attrs["model_sha256"] == model.hash


def test_report_refuses_another_model(model: Model, untreated: xr.Dataset, tmp_path: Path) -> None:
    ranking = make_ranking(model)
    ranking.attrs["model_sha256"] = "0" * 64
    with pytest.raises(AnalysisError, match="made with another model"):
        write_report(tmp_path, model, ranking, untreated, "x")


def test_report_of_a_single_module_without_screening(untreated: xr.Dataset, tmp_path: Path) -> None:
    alone = Model(name="one", flat="<sbml/>", parameters=(), ids={}, instances={"one": "one"})
    ranking = make_ranking(alone).drop_dims(["parameter", "organ"])
    page = write_report(tmp_path, alone, ranking, untreated, "x").read_text()
    assert page.count("data:image/png;base64,") == 5 and "Morris" not in page and "Where" not in page


def test_report_of_a_ranking_without_any_result(model: Model, untreated: xr.Dataset, tmp_path: Path) -> None:
    ranking = make_ranking(model)
    for name in ("rank", "mu_star", "effect_mean", "rank_lower", "group"):
        ranking[name] = ranking[name] * np.nan
    page = write_report(tmp_path, model, ranking, untreated, "x").read_text()
    assert "No target could be ranked" in page and page.count("data:image/png;base64,") == 2
