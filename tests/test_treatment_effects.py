"""Treated against untreated: closed forms, exactly 1 where nothing differs, honest at 0 and 1, combinations, order."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import libsbml
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from drug_folders import make_drug
from folders import make_module
from hypothesis import given
from hypothesis import strategies as st

import cascade
from cascade._canonical import symbol_table
from cascade.errors import AnalysisError, DrugError, TableError, UnknownNameError
from cascade.fold_change import BOTH_ZERO, CERTAIN, MISSING, NEGATIVE, NO_SHARE, OK, SAME, SIGNED, ZERO, fold_change
from cascade.library import library_folder
from cascade.quantities import GENE_COLUMNS, gene_names, genes_without_level, quantities_of, read_pathways
from cascade.readouts import known_readouts
from cascade.specs import Model
from cascade.treatment_effects import NOT_GIVEN, TOO_LATE, largest, treatment_effects
from cascade.treatment_runs import kinetics, run_treatments

mpl.use("Agg")

import matplotlib.pyplot as plt

from cascade.plot_treatment import (
    against_untreated,
    cluster_order,
    concentration,
    engagement,
    fold_courses,
    fold_text,
    heat_map,
)

MAKE, LOSE = 2.0, 0.5


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def tank(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """c_a' = MAKE*k_make - LOSE*c_a from 0, with k_make = 1."""
    path = make_module(tmp_path_factory.mktemp("tank"), "source")
    return cascade.compose(cascade.load_module(path))


def drug(folder: Path, name: str = "booster", **more: float) -> cascade.Regimen:
    """Return a drug that adds emax*c/(ec50 + c) to k_make, from day 10 on; half of emax at the stated level."""
    regimens = '[regimens.stated]\ntitle = "stated"\nroute = "stated"\n'
    path = make_drug(folder, name, port="source.k_make", regimens=regimens, **more)
    found = cascade.load_drug(path)
    return cascade.regimen(found, start=10, stop=1000)


def level(time: np.ndarray, added: float) -> np.ndarray:
    after = np.clip(time - 10, 0, None)
    return MAKE / LOSE * (1 - np.exp(-LOSE * time) + added * (1 - np.exp(-LOSE * after)))


def added_by(model: Model, plan: cascade.Regimen) -> float:
    """Return what the drug adds at rest, read from its own run."""
    run = cascade.simulate(cascade.treat(model, plan), days=30)
    return float(run[f"{plan.drug.name}__u_kdr"][-1])


def test_a_fold_change_is_the_closed_form(tank: Model, tmp_path: Path) -> None:
    plan = drug(tmp_path)
    found = treatment_effects(tank, {"it": plan}, days=(0, 2, 5, 20), years=0.1)
    row = found.sel(treatment="it", quantity="species:c_a")
    time, added = 10 + np.array([0.0, 2, 5, 20]), added_by(tank, plan)
    assert float(found["start"][0]) == 10 and added > 0.1
    np.testing.assert_allclose(row["untreated"], level(time, 0), rtol=2e-4)
    np.testing.assert_allclose(row["fold"], level(time, added) / level(time, 0), rtol=5e-4)
    np.testing.assert_allclose(row["difference"], level(time, added) - level(time, 0), atol=2e-3)
    assert float(row["fold"][0]) == 1
    held = found.sel(treatment="it", quantity="target:kdr@booster")
    assert float(held["treated"][0]) == 0 and float(held["treated"][3]) == pytest.approx(added, rel=1e-6)
    assert np.isnan(held["fold"]).all() and str(held["reason"][3].item()) == ZERO


def test_what_does_nothing_is_exactly_1(tank: Model, tmp_path: Path) -> None:
    plans = {"none": drug(tmp_path, "nothing", emax=0.0), "half": cascade.inhibit("v_make", 0.5, start=10)}
    found = treatment_effects(tank, plans, days=(1, 7, 20), years=0.1)
    none = found["fold"].sel(treatment="none", quantity="species:c_a")
    assert (none == 1).all() and largest(found.sel(treatment=["none"]), groups=("species",)) == []
    assert (found["fold"].sel(treatment="half", quantity="species:c_a") < 1).all()


def test_drugs_that_are_given_together_add_in_one_patient(tank: Model, tmp_path: Path) -> None:
    one, two = drug(tmp_path, "one"), drug(tmp_path, "two", emax=0.5)
    found = treatment_effects(tank, {"one": one, "two": two, "both": [one, two]}, days=(5, 20), years=0.1)
    change = found["difference"].sel(quantity="species:c_a")
    np.testing.assert_allclose(
        change.sel(treatment="both"), change.sel(treatment="one") + change.sel(treatment="two"), rtol=1e-5
    )
    assert {"target:kdr@one", "target:kdr@two"} <= set(found["quantity"].values)
    assert (found["treated"].sel(treatment="one", quantity="target:kdr@two") == 0).all()


def test_moments_that_do_not_come_have_a_reason(tank: Model, tmp_path: Path) -> None:
    plan = drug(tmp_path)
    found = treatment_effects(tank, {"it": plan}, days=(5, 400), years=0.2)
    assert [str(r) for r in found["reason"].sel(treatment="it", quantity="species:c_a").values] == [OK, TOO_LATE]
    never = treatment_effects(tank, {"late": cascade.regimen(plan.drug, start=900, stop=901)}, days=(5,), years=0.2)
    assert str(never["reason"].sel(treatment="late", quantity="species:c_a").item()) == NOT_GIVEN
    assert "year" not in never.dims


def test_wrong_treatments_are_refused(tank: Model, tmp_path: Path) -> None:
    plan = drug(tmp_path)
    for wrong in ({}, plan, {"untreated": plan}, {"x": []}, {"x": "bevacizumab"}, {" ": plan}, {"x": [plan, 3]}):
        with pytest.raises(AnalysisError):
            treatment_effects(tank, wrong)  # type: ignore[arg-type]
    for days in ((-1,), (math.nan,), (5, 5), ("a",)):
        with pytest.raises(AnalysisError, match="days is"):
            treatment_effects(tank, {"x": plan}, days=days)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="did you mean 'species'"):
        treatment_effects(tank, {"x": plan}, groups=("spezies",))
    with pytest.raises(DrugError, match="treatment 'x'"):
        treatment_effects(tank, {"x": cascade.regimen(plan.drug, start=0, origin="surgery", stop=3)})
    runs = run_treatments(tank, {"x": plan}, years=0.1)
    with pytest.raises(AnalysisError, match="other treatments"):
        treatment_effects(tank, {"y": plan}, runs=runs)
    assert treatment_effects(tank, {"x": plan}, runs=runs, days=(5,))["fold"].sizes["time"] == 1


def test_a_dataset_survives_a_file(tank: Model, tmp_path: Path) -> None:
    found = treatment_effects(tank, {"it": drug(tmp_path)}, days=(5, 20), years=0.1)
    found.to_netcdf(tmp_path / "effects.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "effects.nc") as kept:
        np.testing.assert_array_equal(kept["fold"], found["fold"])
        assert kept.attrs["fold"] == found.attrs["fold"] and "odds ratio" in kept.attrs["fold"]


SHARE = st.floats(1e-4, 1 - 1e-4)


@given(SHARE, SHARE)
def test_a_share_and_its_rest_change_alike(treated: float, untreated: float) -> None:
    one, why = fold_change(treated, untreated, "share")
    other, _ = fold_change(1 - treated, 1 - untreated, "share")
    assert why.item() == OK
    if 1 not in (float(one), float(other)):  # what is within the tolerance of the larger end is no change
        assert float(one) * float(other) == pytest.approx(1, rel=1e-6)
        assert float(one) == pytest.approx(treated / (1 - treated) / (untreated / (1 - untreated)), rel=1e-9)
    else:
        assert abs(treated - untreated) <= SAME * 1e-8


@given(st.floats(1e-6, 20), st.floats(1e-6, 20))
def test_a_risk_changes_as_its_hazard(treated: float, untreated: float) -> None:
    risks = -np.expm1(-np.array([treated, untreated]))
    fold, why = fold_change(*risks, "risk")
    if why.item() == CERTAIN:
        assert max(treated, untreated) > 9.8
    elif abs(risks[0] - risks[1]) <= SAME * 1e-8 * risks[1] + 1e-12:
        assert float(fold) == 1
    else:
        assert why.item() == OK and float(fold) == pytest.approx(treated / untreated, rel=1e-6)


@pytest.mark.parametrize(
    ("treated", "untreated", "scale", "fold", "reason"),
    [
        (3, 2, "level", 1.5, OK),
        (0, 2, "level", 0, OK),
        (1e-12, 2, "level", 0, OK),
        (2, 2 * (1 + 1e-7), "level", 1, OK),
        (2, 0, "level", math.nan, ZERO),
        (0, 0, "level", math.nan, BOTH_ZERO),
        (1e-13, -1e-13, "level", math.nan, BOTH_ZERO),
        (-1, 2, "level", math.nan, NEGATIVE),
        (math.inf, 2, "level", math.nan, MISSING),
        (math.nan, 2, "share", math.nan, MISSING),
        (0.999, 0.99, "share", 0.999 / 0.001 / 99, OK),
        (1, 0.5, "share", math.nan, CERTAIN),
        (0.5, 1 - 1e-9, "share", math.nan, CERTAIN),
        (1.2, 0.5, "share", math.nan, NO_SHARE),
        (0, 0.5, "share", 0, OK),
        (0.5, 0, "risk", math.nan, ZERO),
        (7.4, 7.1, "difference", math.nan, SIGNED),
    ],
)
def test_ends_are_honest(treated: float, untreated: float, scale: str, fold: float, reason: str) -> None:
    found, why = fold_change(treated, untreated, scale)  # type: ignore[arg-type]
    assert why.item() == reason
    np.testing.assert_allclose(float(found), fold, rtol=1e-12)


def test_the_table_of_pathways_fits_the_modules() -> None:
    """Every symbol exists, varies, and adds up with others in one unit; what is called a share cannot be a count."""
    for row in read_pathways():
        for name in row.symbols:
            module, _, local = name.partition(".")
            symbol = symbol_table(cascade.compose(cascade.load_module(module)).flat)[local]
            assert symbol.kind in ("species", "parameter") and symbol.role != "constant", name
            assert row.scale not in ("share", "risk") or symbol.unit == "dimensionless", name
    names = {name for row in read_pathways() if row.group == "pathway" for name in (row.id,)}
    assert {
        "tgf_beta",
        "wnt",
        "notch",
        "erk",
        "p53",
        "myc",
        "hif",
        "vegfr2",
        "pd1",
        "immune_killing",
        "matrix",
    } <= names


def test_a_wrong_table_names_every_line(tmp_path: Path) -> None:
    lines = (library_folder() / "pathways.tsv").read_text().splitlines()[:1]
    good = ["a", "pathway", "A", "emt.a_emt", "each", "share", "", "", ""]
    wrong = [{"over": "all"}, {"scale": "odds"}, {"symbols": "a_emt"}, {"name": ""}, {}, {}]
    header = lines[0].split("\t")
    for number_, changes in enumerate(wrong):
        cells = dict(zip(header, good, strict=True)) | {"id": "a" if not changes else f"a{number_}"} | changes
        lines.append("\t".join(cells.values()))
    path = tmp_path / "pathways.tsv"
    path.write_text("\n".join(lines))
    with pytest.raises(TableError) as caught:
        read_pathways(path)
    assert [f"line {n}" in str(caught.value) for n in range(2, 8)] == [True] * 4 + [False, True]


def test_every_annotated_protein_has_a_gene() -> None:
    with (library_folder() / "genes.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert tuple(rows[0]) == GENE_COLUMNS and len({row["uniprot"] for row in rows}) == len(rows)
    used = set()
    for name in cascade.module_names():
        text = cascade.load_module(name).sbml
        used |= {part.partition('"')[0] for part in text.split("https://identifiers.org/uniprot:")[1:]}
        libsbml.readSBMLFromString(text)
    assert used - set(gene_names()) == set() and set(gene_names()) - used == set()


def test_genes_are_found_by_their_annotation() -> None:
    emt = cascade.compose(cascade.load_module("emt"))
    found = {each.id: each for each in quantities_of(emt, ("gene",))}
    assert found["gene:SNAI1"].ids == ("c_snail",) and found["gene:SNAI1 mRNA"].ids == ("c_snai1_mrna",)
    assert found["gene:MIR200C"].ids == ("c_mir200",) and found["gene:VIM"].scale == "share"
    receptors = {each.id: each for each in quantities_of(cascade.compose(cascade.load_module("tgf_beta")), ("gene",))}
    assert set(receptors["gene:TGFBR1"].ids) == {"c_tgfbr1_surface", "c_tgfbr1_endosome"}
    constants = genes_without_level(emt, quantities_of(emt))
    assert not {"SNAI1", "ZEB1"} & set(constants)


def test_clustering_puts_alike_rows_together() -> None:
    rows = np.array([[3.0, 3, 0], [-2, 0, 0], [2.9, 3.1, 0], [-2.1, 0, np.nan], [0, 0, 4], [-np.inf, 0, 0]])
    order = list(cluster_order(rows))
    for one, other in ((0, 2), (1, 3)):
        assert abs(order.index(one) - order.index(other)) == 1
    assert sorted(order) == list(range(6)) and list(cluster_order(rows[:2])) == [0, 1]


def effects(folds: dict[str, list[float]], treatments: list[str]) -> xr.Dataset:
    values = np.array(list(folds.values()), dtype=float).T.reshape(len(treatments), -1, len(folds))
    groups = np.array([name.partition(":")[0] for name in folds])
    return xr.Dataset(
        {"fold": (("treatment", "time", "quantity"), values)},
        {
            "treatment": treatments,
            "time": [5.0 * k for k in range(values.shape[1])],
            "quantity": list(folds),
            "group": ("quantity", groups),
            "quantity_name": ("quantity", [name.partition(":")[2] for name in folds]),
        },
    )


def test_a_heat_map_shows_the_largest_changes_on_a_symmetric_scale() -> None:
    table = {"gene:A": [1, 4], "gene:B": [1, 0.25], "pathway:c": [1, np.nan], "gene:D": [1, 1], "gene:E": [1, 3.9]}
    axis = heat_map(effects(table, ["x"]))
    image = axis.images[0]
    assert image.norm.vmin == -image.norm.vmax == pytest.approx(-2)
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert set(names) == {"A", "B", "E"} and abs(names.index("A") - names.index("E")) == 1
    assert [label.get_text() for label in axis.get_xticklabels()] == ["day 0", "day 5"]
    several = effects({"gene:A": [4, 4.1, 0], "gene:B": [np.nan, 1, 0.5], "gene:C": [2, 2, 1]}, ["x", "y", "z"])
    axis = heat_map(several, time=0)
    shown = axis.images[0].get_array()
    assert np.ma.count_masked(shown) == 1 and shown.min() == -4
    with pytest.raises(UnknownNameError):
        heat_map(several, time=3)
    with pytest.raises(UnknownNameError):
        heat_map(several, groups=("genes",))
    with pytest.raises(AnalysisError, match="nothing"):
        heat_map(effects({"gene:A": [1, 1]}, ["x"]))
    assert [fold_text(x) for x in (1, 0, 0.0012, 123.4, math.nan)] == ["1.00", "0", "0.001", "1.2e+02", "–"]


def test_courses_draw_what_the_runs_hold(tank: Model, tmp_path: Path) -> None:
    plan = drug(tmp_path)
    runs = run_treatments(tank, {"it": plan}, years=0.1)
    lines = against_untreated(runs, "c_a", until=20).lines
    assert float(lines[0].get_ydata()[-1]) == pytest.approx(MAKE / LOSE, rel=1e-4)
    assert float(lines[1].get_ydata()[-1]) > 1.1 * float(lines[0].get_ydata()[-1])
    assert engagement(runs, "it").lines[0].get_xdata().min() >= 0
    with pytest.raises(UnknownNameError):
        engagement(runs, "its")
    with pytest.raises(UnknownNameError):
        against_untreated(runs, "c_b")
    found = treatment_effects(tank, {"it": plan}, days=range(21), runs=runs)
    curve = fold_courses(found, ["species:c_a"], "it").lines[0]
    np.testing.assert_array_equal(curve.get_ydata(), found["fold"].sel(treatment="it", quantity="species:c_a"))
    drawn = concentration(kinetics([plan]), "booster")
    assert drawn.get_yscale() == "log" and len(drawn.lines) >= 2


def test_kinetics_follow_each_dose(tmp_path: Path) -> None:
    text = '[regimens.daily]\ntitle = "daily"\ndose = 1\nunit = "mg"\nroute = "bolus"\nevery = 1\ndoses = 4\n'
    path = make_drug(tmp_path, "pulse", "one_compartment", regimens=text)
    run = kinetics([cascade.regimen(cascade.load_drug(path))], points=2801)
    plasma = run["pulse__c_plasma"].values
    assert (np.diff(plasma) > 0.2 * plasma.max()).sum() >= 3


@pytest.mark.slow
def test_a_whole_patient_is_compared_in_every_group() -> None:
    model = cascade.compose(cascade.load_composition("breast_lite"))
    plan = cascade.regimen("bevacizumab", origin="surgery", start=28, stop=365)
    plans = {"given": plan, "empty": cascade.regimen("bevacizumab", origin="surgery", start=28, stop=365, dose=0)}
    found = treatment_effects(model, plans, days=(28, 182))
    none = found.sel(treatment="empty")
    for name in ("fold", "fold_after_surgery", "readout_fold"):
        values = none[name].values
        assert (values[np.isfinite(values)] == 1).all(), name
    given_ = found.sel(treatment="given")
    fold = given_["fold"].sel(time=182)
    assert float(fold.sel(quantity="gene:VEGFA")) < 0.5 < 2 < float(fold.sel(quantity="pathway:vegf_total"))
    assert float(given_["treated"].sel(time=182, quantity="target:vegfa@bevacizumab")) > 0.8
    hazard = given_["readout_fold"]
    assert float(hazard.sel(readout="p_overt_5y")) == pytest.approx(float(hazard.sel(readout="h_since_surgery_5y")))
    at = given_["fold_after_surgery"].sel(year=5, quantity="endpoint:h_since_surgery")
    assert float(at) == pytest.approx(float(hazard.sel(readout="h_since_surgery_5y")), rel=1e-3)
    assert set(found["group"].values) == {"endpoint", "pathway", "gene", "target", "species"}
    scalar = {spec.name for spec in known_readouts() if not spec.dims}
    assert set(found["readout"].values) == scalar
