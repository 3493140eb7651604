"""Patients from tables: what a line means, what is refused and why, and that nothing is dropped."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import cascade
from cascade.errors import CascadeError, CascadeWarning, TableError
from cascade.patients import read_patients
from cascade.patients.genotype_table import read_genotypes
from cascade.patients.genotypes import genotype_values
from cascade.patients.mutations import Mutations, protein_change, read_mutations

GENOTYPES = {each.id: each for each in read_genotypes()}


@pytest.fixture(scope="module")
def model() -> cascade.Model:
    return cascade.compose(cascade.load_module("drivers"))


@pytest.fixture(scope="module")
def lite() -> cascade.Model:
    return cascade.compose(cascade.load_composition("breast_lite"))


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table(tmp_path: Path, *lines: str, name: str = "patients.tsv") -> Path:
    """Write a table; cells are separated by blanks here, `_` is an empty one."""
    rows = ["\t".join("" if cell == "_" else cell for cell in line.split(" ")) for line in lines]
    return written(tmp_path / name, "\n".join(rows) + "\n")


# --- what a line means ---


def test_a_line_becomes_the_values_of_a_patient(lite: cascade.Model, tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "patient genotypes diameter_mm age_years n_nodes er her2 primary_tumor.k_growth_rate expression_emt weight",
        "P1 kras_g12;tp53_loss 21 50 0 positive 0 _ 1 1",
        "P2 _ NA 61.5 3 - 3+ 0.001 _ 3",
        "P3 myc_amplification 12 _ _ _ _ _ -1 2",
    )
    cohort = read_patients(path, lite)
    assert cohort["patient"].values.tolist() == ["P1", "P2", "P3"]
    roles = {name: each.attrs["role"] for name, each in cohort.data_vars.items()}
    assert cohort["drivers__f_ras_mutant"].values.tolist() == [0.25, 0.0, 0.0]
    assert cohort["drivers__f_myc"].values.tolist() == [1.0, 1.0, 4.0]
    assert cohort["drivers__a_growth_factor"].values.tolist() == [0.2, 0.6, 0.2]  # HER2
    own = lite.parameter("primary_tumor.k_growth_rate").nominal
    assert cohort["primary_tumor__k_growth_rate"].values.tolist() == [own, 0.001, own]
    np.testing.assert_allclose(cohort["emt__a_drive_basal"], [0.1 * 2**0.79, 0.1, 0.1 * 2**-0.79])
    assert roles["drivers__f_myc"] == "value"
    assert roles["diameter_mm"] == roles["er"] == "measure"
    np.testing.assert_array_equal(cohort["diameter_mm"], [21, np.nan, 12])
    np.testing.assert_array_equal(cohort["er"], [1, 0, np.nan])
    np.testing.assert_array_equal(cohort["her2"], [0, 1, np.nan])
    np.testing.assert_allclose(cohort["weight"], [0.5, 1.5, 1.0])
    has = cohort["has_genotype"]
    assert has.attrs["role"] == "genotype"
    assert has.sel(genotype="tp53_loss").values.tolist() == [True, False, False]
    assert has.sel(genotype="er_negative").values.tolist() == [False, True, False]
    assert cohort.attrs["model_hash"] == lite.hash
    cells = [1e9 * np.pi / 6 * (mm / 10) ** 3 for mm in (21, 12)]  # as many in a milliliter, in a sphere
    usual = lite.parameter("primary_tumor.n_surgery").nominal
    np.testing.assert_allclose(cohort["primary_tumor__n_surgery"], [cells[0], usual, cells[1]], rtol=1e-6)


def test_patients_run_in_the_model_and_are_those_of_their_genotypes(model: cascade.Model, tmp_path: Path) -> None:
    path = table(tmp_path, "patient genotypes", "P1 kras_g12v|myc_amplification", "P2 tp53_loss", "P3 _")
    cohort = read_patients(path, model)
    values = {name: each for name, each in cohort.data_vars.items() if each.attrs["role"] == "value"}
    found = cascade.simulate(model, days=30, points=2, values=values, record=["c_myc", "c_p53"]).isel(time=-1)
    alone = genotype_values(model, ["kras_g12v", "myc_amplification"])
    single = cascade.simulate(model, days=30, points=2, values=alone, record=["c_myc", "c_p53"]).isel(time=-1)
    assert float(found["c_myc"].sel(patient="P1")) == pytest.approx(float(single["c_myc"]), rel=1e-9)
    assert float(found["c_p53"].sel(patient="P2")) < 0.02 * float(found["c_p53"].sel(patient="P3"))


def test_a_patient_does_not_depend_on_the_others(model: cascade.Model, tmp_path: Path) -> None:
    lines = ["A kras_g12 0.3", "B tp53_loss;myc_amplification _", "C _ 0.5", "D pten_loss _"]
    head = "patient genotypes a_growth_factor"
    whole = read_patients(table(tmp_path, head, *lines), model)
    for line in lines:
        alone = read_patients(table(tmp_path, head, line), model)
        name = str(alone["patient"].item())
        for key, each in whole.data_vars.items():
            if each.attrs["role"] == "value":
                own = float(alone[key].item()) if key in alone else model.table[key].nominal
                assert float(each.sel(patient=name)) == own
    turned = read_patients(table(tmp_path, head, *reversed(lines)), model)
    xr.testing.assert_identical(turned.sel(patient=list("ABCD")).drop_attrs(), whole.drop_attrs())


def test_factors_act_on_the_patients_own_value(model: cascade.Model, tmp_path: Path) -> None:
    path = table(tmp_path, "patient genotypes k_hydrolyze_gap", "P1 nf1_loss 800", "P2 nf1_loss _")
    assert read_patients(path, model)["k_hydrolyze_gap"].values.tolist() == [400.0, 540.0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "patient,genotypes,diameter_mm\nP1,kras_g12;tp53_loss,21.5\n"),
        ("a.csv", 'patient,genotypes,diameter_mm\r\nP1,"kras_g12; tp53_loss",21.5\r\n,,\r\n'),
        ("a.csv", "patient;genotypes;diameter_mm\nP1;kras_g12|tp53_loss;21.5\n"),
        ("a.tsv", "﻿patient\tgenotypes\tdiameter_mm\nP1\tKRAS_G12;TP53 loss\t21.5\t\n"),
        ("a.txt", "# from the clinic\nPatient\tGenotypes\tDiameter_mm\n  P1 \tkras_g12;tp53_loss\t 21.5\n\n"),
        ("a.csv", "patient,kras_g12,TP53 loss,myc_amplification,diameter_mm\nP1,yes,1,no,21.5\n"),
        ("a.tsv", "patient;genotypes;diameter_mm\nP1;KRAS p.G12|TP53-loss;21.5\n"),
        ("a.tsv", "patient\tgenotypes\tage_years\tdiameter_mm\nP1\tkras_g12;tp53_loss\t.\t21.5\n"),
    ],
)
def test_spellings_of_one_table(model: cascade.Model, tmp_path: Path, name: str, text: str) -> None:
    cohort = read_patients(written(tmp_path / name, text), model)
    assert cohort["patient"].values.tolist() == ["P1"]
    assert cohort["genotype"].values.tolist() == ["kras_g12", "tp53_loss"]
    assert cohort["diameter_mm"].values.tolist() == [21.5]


def test_more_measures_and_only_ids(model: cascade.Model, tmp_path: Path) -> None:
    path = table(tmp_path, "patient bmi", "P1 23.5", "P2 _")
    np.testing.assert_array_equal(read_patients(path, model, measures=["bmi"])["bmi"], [23.5, np.nan])
    assert not read_patients(table(tmp_path, "patient", "P1", "P2"), model).data_vars


def test_what_the_model_cannot_do_is_in_the_attributes(model: cascade.Model, tmp_path: Path) -> None:
    path = table(tmp_path, "patient genotypes expression_hypoxia expression_myc", "P1 apc_truncation;braf_v600e 1 3")
    cohort = read_patients(path, model)
    reasons = json.loads(cohort.attrs["unexpressed"])
    assert set(reasons) == {"apc_truncation", "braf_v600e", "expression_hypoxia"}
    assert json.loads(cohort.attrs["held"]) == {"v_synthesize_myc_basal": ["P1"]}
    assert cohort["has_genotype"].values.all()


def test_other_units_are_told(model: cascade.Model, tmp_path: Path) -> None:
    with pytest.warns(CascadeWarning, match="multiply by 10 if they are centimeters"):
        read_patients(table(tmp_path, "patient diameter_mm", "P1 2.1", "P2 1.5", "P3 4"), model)
    with pytest.warns(CascadeWarning, match="multiply by 100 if they are fractions"):
        read_patients(table(tmp_path, "patient ki67_percent", "P1 0.3", "P2 0.05", "P3 0.9"), model)


def test_weights_of_any_size_keep_their_ratio(model: cascade.Model, tmp_path: Path) -> None:
    cohort = read_patients(table(tmp_path, "patient weight", "P1 1e308", "P2 1e308", "P3 0"), model)
    np.testing.assert_allclose(cohort["weight"], [1.5, 1.5, 0])


# --- wrong tables ---


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["genotypes", "kras_g12"], "line 1: no column 'patient'"),
        (["patient"], "line 1: no patient"),
        (["patient", "P1", "P1"], "line 3: patient 'P1' stands twice, first in line 2"),
        (["patient", "P1", "p1"], "line 3: patient 'p1' differs from 'P1' only in case"),
        (["patient age_years", "_ 50"], "line 2: column 'patient': no id"),
        (["patient", "1.2E+11"], "a number that a spreadsheet has shortened"),
        (["patient", "P\x07"], "a character that cannot be seen"),
        (["patient", "Straße", "STRASSE"], "differs from 'Straße' only in case"),
        (["patient", "\u00e9", "e\u0301"], "patient '\u00e9' stands twice"),
        (["patient patient_id", "P1 P2"], "columns 'patient' and 'patient_id' are both 'patient'"),
        (["patient age_years", "P1 50 60"], "line 2: 3 cells under 2 names"),
        (["patient age_years age_years", "P1 50 60"], "column 'age_years' stands twice"),
        (["patient _ age_years", "P1 1 50"], "column 2 has no name"),
        (["patient f_myc drivers.f_myc", "P1 1 2"], "columns 'f_myc' and 'drivers.f_myc' are both 'f_myc'"),
        (["patient genotypes", "P1 kras_g21"], "no genotype 'kras_g21'; did you mean 'kras_g13' or 'kras_g12' or"),
        (["patient genotypes", "P1 kras"], "'kras_amplification'"),
        (["patient genotypes", "P1 HER2"], "did you mean 'her2_low' or 'erbb2_amplification'"),
        (["patient genotypes", "P1 tp53_loss,myc_amplification"], "separate genotypes by ;"),
        (["patient genotypes", "P1 -"], "write none for the wild type"),
        (["patient age_years", "P1 -"], "leave the cell empty if the value is missing"),
        (["patient genotypes", "P1 kras_g12c;kras_g13"], "line 2: patient 'P1': genotypes 'kras_g12c' and 'kras_g13'"),
        (["patient genotypes", "P1 #REF!"], "'#REF!' is an error of a spreadsheet"),
        (["patient genotypes er", "P1 er_negative positive"], "has and has not: er_negative"),
        (["patient genotypes her2", "P1 erbb2_amplification 0"], "has and has not: erbb2_amplification"),
        (["patient genotypes tp53_loss", "P1 tp53_loss no"], "has and has not: tp53_loss"),
        (["patient tp53_loss", "P1 maybe"], "'maybe' is neither yes nor no"),
        (["patient er", "P1 90"], "'90' is no status"),
        (["patient her2", "P1 2+"], "'2+' is equivocal"),
        (["patient her2", "P1 1"], "'1' may be a score or a yes"),
        (["patient f_myc", "P1 25"], "25 dimensionless is outside of 0 to 20"),
        (["patient c_ras_total", "P1 -1"], "which is negative"),
        (["patient f_myc", "P1 inf"], "is not finite"),
        (["patient f_myc", "P1 1_5"], "is not a number"),
        (["patient f_myc", "P1 ٣"], "is not a number"),
        (["patient f_myc", "P1 =A1+1"], "is a formula"),
        (["patient f_hydrolyze_mutant genotypes", "P1 0.5 kras_g12v"], "the patient's own value sets 0.5"),
        (["patient c_myc", "P1 5"], "'c_myc' is computed by a formula"),
        (["patient f_myk", "P1 1"], "no column 'f_myk' is known; did you mean 'f_myc'"),
        (["patient survival_months", "P1 1"], "measures=['survival_months']"),
        (["patient expression_hypoxa", "P1 1"], "did you mean 'hypoxia'"),
        (["patient expression_myc", "P1 250"], "give a z-score"),
        (["patient age_years", "P1 430"], "430 year cannot be; the age at diagnosis is 0 to 120"),
        (["patient n_nodes", "P1 2.5"], "2.5 is no whole number"),
        (["patient diameter_mm", "P1 0"], "0 mm cannot be"),
        (["patient diameter_mm", "P1 2,1"], "has a comma or marks of thousands"),
        (["patient diameter_mm", "P1 1.000,5"], "has a comma or marks of thousands"),
        (["patient diameter_mm", "P1 3-Apr"], "'3-Apr' is a date"),
        (["patient diameter_mm", "P1 2024-03-04"], "is a date"),
        (["patient diameter_mm", "P1 <5"], "is a limit, not a number"),
        (["patient ki67_percent", "P1 35%"], "is a percentage"),
        (["patient weight", "P1 -1"], "weight -1 is negative"),
        (["patient weight", "P1 1", "P2 _"], "line 3: patient 'P2' has no weight, others have"),
        (["patient weight", "P1 0", "P2 0"], "every weight is 0"),
    ],
    ids=lambda part: part if isinstance(part, str) else None,
)
def test_wrong_tables(model: cascade.Model, tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(TableError, match=re.escape(message)):
        read_patients(table(tmp_path, *lines), model)


@pytest.mark.parametrize("name", ["a/b", "", "genotype", "weight", "er", "f_myc", "tp53_loss", "expression_x"])
def test_names_that_no_measure_can_have(model: cascade.Model, tmp_path: Path, name: str) -> None:
    with pytest.raises(TableError, match="measures: "):
        read_patients(table(tmp_path, "patient", "P1"), model, measures=[name])


def test_a_table_that_is_wrong_in_every_line_is_told_at_once(model: cascade.Model, tmp_path: Path) -> None:
    """Findings end reading: looking up the closest names of 50,000 wrong lines took minutes."""
    lines = [f"P{number} kras_g{number}" for number in range(20_000)]
    with pytest.raises(TableError, match="reading ended at 100 findings") as caught:
        read_patients(table(tmp_path, "patient genotypes", *lines), model)
    assert str(caught.value).count("\n") == 100
    found = Mutations(genotypes={f"Q{n}": () for n in range(2000)}, unknown=maf(tmp_path, "A Silent P _ _").unknown)
    with pytest.raises(TableError, match="'Q0' who is not in this one"):
        read_patients(table(tmp_path, "patient", *[f"P{n}" for n in range(2000)]), model, mutations=found)


def test_every_finding_comes_at_once_in_the_order_of_lines(model: cascade.Model, tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "patient genotypes age_years foo",
        "P1 kras_g12;nothing 430 _",
        "P1 kras_g12c;kras_g12d x _",
        "P2 _ _",
    )
    with pytest.raises(TableError) as caught:
        read_patients(path, model)
    lines = [int(number) for number in re.findall(r"patients\.tsv, line (\d+)", str(caught.value))]
    assert lines == [1, 2, 2, 3, 3, 3, 4]


def test_files_that_are_no_tables(model: cascade.Model, tmp_path: Path) -> None:
    for content, message in (
        (b"", "is empty"),
        (b"PK\x03\x04\x00\x00", "null byte"),
        (b"\xff\xfep\x00a\x00", "not UTF-8"),
        (b'patient,age_years\n"P1,50\n', "close every quote"),
    ):
        path = tmp_path / "a.csv"
        path.write_bytes(content)
        with pytest.raises(TableError, match=message):
            read_patients(path, model)
    with pytest.raises(CascadeError, match="look at the path"):
        read_patients(tmp_path / "none.csv", model)
    with pytest.raises(TableError, match="neither a table nor mutations"):
        read_patients(None, model)


def test_a_value_of_one_instance_of_a_shared_constant_is_refused(lite: cascade.Model, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="use 'lesions__k_grow' for all of them"):
        read_patients(table(tmp_path, "patient bone_lesions.k_grow", "P1 0.001"), lite)
    cohort = read_patients(table(tmp_path, "patient lesions.k_grow", "P1 0.0012"), lite)
    assert cohort["lesions__k_grow"].values.tolist() == [0.0012]


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_table_or_a_finding(model: cascade.Model, text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.tsv"
        path.write_text("patient\tgenotypes\tage_years\n" + text, encoding="utf-8", errors="replace", newline="")
        try:
            cohort = read_patients(path, model)
        except TableError as error:
            assert "line" in str(error) or "null byte" in str(error)
        else:
            assert len(set(cohort["patient"].values.tolist())) == cohort.sizes["patient"] > 0


# --- mutations ---


def maf(tmp_path: Path, *lines: str, head: str = "") -> Mutations:
    head = head or "Hugo_Symbol Variant_Classification Tumor_Sample_Barcode HGVSp_Short Copy_Number"
    return read_mutations(table(tmp_path, head, *lines, name="a.maf"))


@pytest.mark.parametrize(
    ("line", "genotypes"),
    [
        ("KRAS Missense_Mutation P p.G12D _", ["kras_g12d"]),
        ("KRAS Missense_Mutation P p.G12A _", ["kras_g12"]),
        ("KRAS Missense_Mutation P p.Gly12Cys _", ["kras_g12c"]),
        ("KRAS missense_variant P ENSP00000256078.4:p.Gly13Asp _", ["kras_g13"]),
        ("KRAS Missense_Mutation P p.G12D 2", ["kras_g12d"]),
        ("KRAS Missense_Mutation P p.G12D 8", ["kras_g12d", "kras_amplification"]),
        ("kras _ P _ 8", ["kras_amplification"]),
        ("TP53 Missense_Mutation P p.R175H _", ["tp53_loss"]),
        ("TP53 stop_gained P p.R213* _", ["tp53_loss"]),
        ("APC Frame_Shift_Del P p.E1309Dfs*4 _", ["apc_truncation"]),
        ("CTNNB1 Missense_Mutation P p.S45F _", ["ctnnb1_mutation"]),
        ("HER2 AMP P _ _", ["erbb2_amplification"]),
        ("her-2 amp P _ _", ["erbb2_amplification"]),
        ("TP53 frameshift_variant&splice_region_variant P p.E1fs _", ["tp53_loss"]),
        ("TP53 splice_region_variant,missense_variant P p.R175H _", ["tp53_loss"]),
        ("kras Missense_Mutation P p.g12d _", ["kras_g12d"]),
        ("EGFR In_Frame_Del P p.K745_E749del _", ["egfr_mutation"]),
        ("PTEN HOMDEL P _ _", ["pten_loss"]),
        ("PTEN _ P _ 0", ["pten_loss"]),
        ("CDH1 Hypermethylation P _ _", ["cdh1_methylation"]),
        ("NOTCH1 Nonsense_Mutation P p.Q300* _", ["notch1_loss"]),
        ("NOTCH1 Nonsense_Mutation P p.Q2444* _", ["notch1_gain"]),
        ("PIK3CA Missense_Mutation P p.H1047R _", ["pik3ca_mutation"]),
        ("MLH1 Hypermethylation P _ _", ["msi_high"]),
        ("BRAF Missense_Mutation P p.V600E _", ["braf_v600e"]),
        ("EGFR In_Frame_Del P p.E746_A750del _", ["egfr_mutation"]),
    ],
)
def test_lines_of_mutations(tmp_path: Path, line: str, genotypes: list[str]) -> None:
    found = maf(tmp_path, line)
    assert sorted(found.genotypes["P"]) == sorted(genotypes)
    assert found.unknown.empty


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("TTN Missense_Mutation P p.A1B _", "no genotype of the library has TTN"),
        ("KRAS Missense_Mutation P p.A146T _", "not one of the places"),
        ("KRAS Missense_Mutation P p.G120D _", "not one of the places"),
        ("KRAS Missense_Mutation P _ _", "the change of the protein is not given"),
        ("APC Missense_Mutation P p.A1B _", "Missense_Mutation of APC has no genotype"),
        ("TP53 Silent P p.A1= _", "does not change the protein"),
        ("TP53 3'UTR P _ _", "does not change the protein"),
        ("TP53 intron_variant&non_coding_transcript_variant P _ _", "does not change the protein"),
        ("TP53 De_novo_Start_OutOfFrame P _ _", "De_novo_Start_OutOfFrame of TP53 has no genotype"),
        ("Unknown IGR P _ _", "does not change the protein"),
        ("KRAS Missense_Mutation P . _", "the change of the protein is not given"),
        ("MYC _ P _ 2", "neither amplified nor deleted"),
        ("MYC _ P _ 3", "one copy more or less"),
        ("PTEN HETLOSS P _ _", "one copy more or less"),
        ("TP53 _ P _ 7", "Amplification of TP53 has no genotype"),
    ],
)
def test_what_is_not_known_is_listed_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    found = maf(tmp_path, line)
    assert found.genotypes == {"P": ()}
    assert len(found.unknown) == 1
    assert reason in found.unknown["reason"][0]
    assert (found.unknown["patient"][0], found.unknown["line"][0]) == ("P", 2)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2-Mar Missense_Mutation P p.A1B _", "is a date: a spreadsheet made it of a symbol"),
        ("Sep-07 Missense_Mutation P p.A1B _", "is a date"),
        ("TP53 Missense P _ _", "did you mean 'Missense_Mutation'"),
        ("TP53 missense_variant&nonsense P _ _", "did you mean 'Nonsense_Mutation'"),
        ("TP53 Silent p _ _", "patient 'p' differs from 'P' only in case"),
        ("TP53 Silent 1.2E+11 _ _", "a number that a spreadsheet has shortened"),
        ("MYC _ P _ 0", "Deletion of a gene, but its Amplification stands in line 2"),
        ("TP53 _ P _ _", "neither a class of change nor a number of copies"),
        ("TP53 _ P _ -2", "write Deletion for -2"),
        ("TP53 _ P _ 2,5", "has a comma"),
        ("TP53 Silent _ _ _", "no patient"),
        ("_ Silent P _ _", "no gene"),
        ("#N/A Silent P _ _", "is an error of a spreadsheet"),
    ],
)
def test_wrong_lines_of_mutations(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(TableError, match=re.escape(message)) as caught:
        maf(tmp_path, "MYC AMP P _ _", line)
    assert "a.maf, line 3" in str(caught.value)


def test_columns_of_mutation_tables(tmp_path: Path) -> None:
    found = maf(tmp_path, "P1 TP53 DEEP_DELETION x", head="sample_id gene consequence other")
    assert found.genotypes == {"P1": ("tp53_loss",)}
    found = maf(tmp_path, "S1 P1 MYC 6", head="Tumor_Sample_Barcode patient Hugo_Symbol copies")
    assert found.genotypes == {"P1": ("myc_amplification",)}
    with pytest.raises(TableError, match="no column of the gene -> name it hugo_symbol"):
        maf(tmp_path, "P1 Silent", head="patient consequence")


CASES = [
    (gene, consequence.kind, place, each.id)
    for each in GENOTYPES.values()
    for consequence in each.consequences
    for gene in each.genes
    for place in consequence.places or ("",)
    if "-" not in place
]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["P1", "P2", "P 3"]), st.sampled_from(CASES), st.sampled_from("ACDEFGHIKLMNPQRSTVWY")
        ),
        min_size=1,
        max_size=12,
    ),
    noise=st.lists(st.sampled_from(["TTN", "MUC16", "OR4F5"]), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_mutation_tables_read_back_what_was_written(
    rows: list[tuple[str, tuple[str, str, str, str], str]], noise: list[str]
) -> None:
    """Every consequence of the table means its genotype or a more exact one; the rest is listed, line by line."""
    text = "#version 2.4\nHugo_Symbol\tVariant_Classification\tTumor_Sample_Barcode\tHGVSp_Short\n"
    for patient, (gene, kind, place, _), letter in rows:
        change = "" if not place else f"p.{place}" if place[-1].isalpha() else f"p.{place}{letter}"
        text += f"{gene}\t{kind}\t{patient}\t{change}\n"
    text += "".join(f"{gene}\tMissense_Mutation\tP1\tp.A1V\n" for gene in noise)
    with tempfile.TemporaryDirectory() as folder:
        found = read_mutations(written(Path(folder) / "a.maf", text))
    assert len(found.unknown) == len(noise)
    for patient, (gene, kind, _, genotype), _ in rows:
        mine = found.genotypes[patient]
        close = [name for name in mine if gene in GENOTYPES[name].genes]
        assert genotype in mine or any(kind in {c.kind for c in GENOTYPES[name].consequences} for name in close)


@given(st.text(max_size=120))
@settings(max_examples=100, deadline=None)
def test_any_text_of_mutations_is_read_or_refused(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.maf"
        path.write_text(f"patient\tgene\tconsequence\n{text}", encoding="utf-8", errors="replace", newline="")
        try:
            found = read_mutations(path)
        except TableError:
            return
    assert set(found.unknown["patient"]) <= set(found.genotypes)


def test_changes_of_proteins() -> None:
    for text in ("p.G12D", "G12D", "p.(Gly12Asp)", "p.Gly12Asp", "NP_004976.2:p.Gly12Asp"):
        assert protein_change(text) == "G12D"
    assert protein_change("p.Arg213Ter") == "R213*"
    assert protein_change("NA") == ""


# --- both ---


def test_mutations_join_the_patients(model: cascade.Model, tmp_path: Path) -> None:
    found = maf(tmp_path, "TP53 Nonsense_Mutation P2 p.R213* _", "TTN Missense_Mutation P1 p.A1V _", "MYC _ P2 _ 9")
    cohort = read_patients(table(tmp_path, "patient age_years", "P1 50", "P2 60", "P3 70"), model, mutations=found)
    assert cohort["f_tp53"].values.tolist() == [1.0, 0.02, 1.0]
    assert cohort["f_myc"].values.tolist() == [1.0, 4.0, 1.0]
    assert [row["gene"] for row in json.loads(cohort.attrs["unknown"])] == ["TTN"]
    assert json.loads(cohort.attrs["without_mutations"]) == ["P3"]


def test_patients_of_mutations_alone(model: cascade.Model, tmp_path: Path) -> None:
    path = table(tmp_path, "patient gene consequence", "B TP53 HOMDEL", "A MYC AMP", name="a.maf")
    cohort = read_patients(None, model, mutations=path)
    assert cohort["patient"].values.tolist() == ["B", "A"]
    assert cohort["f_tp53"].values.tolist() == [0.02, 1.0]
    both = maf(tmp_path, "KRAS Missense_Mutation P p.G12D _", "KRAS Missense_Mutation P p.G12C _")
    with pytest.raises(TableError, match="mutations: patient 'P': genotypes 'kras_g12c' and 'kras_g12d' cannot go"):
        read_patients(None, model, mutations=both)


def test_a_patient_of_mutations_who_is_not_in_the_table(model: cascade.Model, tmp_path: Path) -> None:
    found = maf(tmp_path, "TP53 Nonsense_Mutation PAT-02 p.R213* _")
    with pytest.raises(TableError, match="'PAT-02' who is not in this one -> is it 'PAT-2'"):
        read_patients(table(tmp_path, "patient", "PAT-1", "PAT-2"), model, mutations=found)


def test_a_cohort_survives_its_file(model: cascade.Model, tmp_path: Path) -> None:
    cohort = read_patients(table(tmp_path, "patient genotypes age_years", "P1 tp53_loss 50", "P2 _ _"), model)
    cohort.to_netcdf(tmp_path / "cohort.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "cohort.nc", engine="h5netcdf"), cohort)


# --- the command ---


def run(*arguments: str) -> Any:
    from cascade.cli import app

    return CliRunner().invoke(app, list(arguments))


def test_command_reads_patients_and_tells_what_it_cannot(tmp_path: Path) -> None:
    path = table(tmp_path, "patient genotypes age_years", "P1 tp53_loss;braf_v600e 50", "P2 _ _")
    mutations = table(tmp_path, "patient gene copies", "P2 MYC 9", "P2 TTN 9", name="a.maf")
    out = tmp_path / "cohort.nc"
    done = run("patients", str(path), "--model", "drivers", "--mutations", str(mutations), "--out", str(out), "--json")
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    assert data["genotypes"] == {"myc_amplification": 1, "tp53_loss": 1, "braf_v600e": 1}
    assert (data["patients"], data["measures"], set(data["unexpressed"])) == (2, {"age_years": 1}, {"braf_v600e"})
    assert [row["gene"] for row in data["unknown"]] == ["TTN"]
    assert xr.load_dataset(out, engine="h5netcdf")["f_tp53"].values.tolist() == [0.02, 1.0]
    done = run("patients", str(path), "--model", "drivers", "--mutations", str(mutations))
    assert "not known: TTN Amplification (1): no genotype of the library has TTN" in done.stdout


def test_command_lists_genotypes() -> None:
    done = run("genotypes", "drivers", "--json")
    assert done.exit_code == 0, done.output
    rows = {row["genotype"]: row for row in json.loads(done.stdout)}
    assert rows["kras_g12"]["unexpressed"] == []
    assert "no module 'wnt'" in rows["apc_truncation"]["unexpressed"][0]
    assert set(rows) == set(GENOTYPES)
    assert "tp53_loss: TP53 loss" in run("genotypes").stdout
