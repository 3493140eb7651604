"""Genotypes as values: the direction of each, what they do together, and what a model cannot express."""

from __future__ import annotations

import itertools
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import cascade
from cascade.errors import CascadeWarning, TableError, UnknownNameError, ValueSettingError
from cascade.library import library_folder
from cascade.patients.expression import expression_values, read_scores
from cascade.patients.genotype_table import CLASSES, COLUMNS, Expectation, parse_setting, read_genotypes
from cascade.patients.genotypes import Plan, combine, genotype_values, plan_genotypes, unexpressed, with_genotype

GENOTYPES = {each.id: each for each in read_genotypes()}
EXPRESSED = [each for each in GENOTYPES.values() if each.sets]
SCORES = read_scores()
DAYS = 60.0
CLEAR = 1e-3  # relative change that counts as one

Load = Callable[[str], cascade.Model]


@pytest.fixture(scope="module")
def load() -> Load:
    """Return a module as a model, composed once."""
    known: dict[str, cascade.Model] = {}

    def get(name: str) -> cascade.Model:
        if name not in known:
            known[name] = cascade.compose(cascade.load_module(name))
        return known[name]

    return get


@pytest.fixture(scope="module")
def lite() -> cascade.Model:
    return cascade.compose(cascade.load_composition("breast_lite"))


@pytest.fixture(scope="module")
def plan(lite: cascade.Model) -> Plan:
    return plan_genotypes(lite)


def quiet(model: cascade.Model, genotypes: list[str], values: dict[str, float] | None = None) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        return genotype_values(model, genotypes, values)


def table_of(tmp_path: Path, **changes: str) -> Path:
    """Write a table of one genotype."""
    row = dict.fromkeys(COLUMNS, "") | {
        "genotype": "abc_loss",
        "name": "ABC loss",
        "kind": "mutation",
        "gene": "ABC",
        "consequences": "Nonsense_Mutation",
        "sets": "drivers.f_myc<=0.5",
        "direction": "drivers.c_myc:-",
        "source": "dang2012",
        "evidence": "assumed",
        "note": "why",
    }
    path = tmp_path / "genotypes.tsv"
    path.write_text("\t".join(COLUMNS) + "\n" + "\t".join((row | changes).values()) + "\n", encoding="utf-8")
    return path


# --- the tables ---


def test_every_source_is_in_the_bibliography() -> None:
    text = (library_folder() / "references.bib").read_text(encoding="utf-8")
    known = set(re.findall(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", text, re.MULTILINE))
    assert {key for each in (*GENOTYPES.values(), *SCORES) for key in each.source} <= known


def test_the_table_has_the_genotypes_of_the_issue_and_says_why_others_have_no_parameter() -> None:
    asked = {
        "kras_g12", "tp53_loss", "myc_amplification", "apc_truncation", "ctnnb1_mutation", "notch1_gain", "smad4_loss",
        "tgfbr2_loss", "cdh1_loss", "pten_loss", "pik3ca_mutation", "brca1_loss", "brca2_loss", "mdm2_amplification",
        "cdkn1a_loss", "jak1_loss", "b2m_loss", "vhl_loss", "erbb2_amplification", "er_positive", "er_negative",
        "cdh1_methylation", "mir200_methylation", "h3k27_mir200",
    }  # fmt: skip
    assert asked <= set(GENOTYPES)
    for each in GENOTYPES.values():
        assert each.sets or each.note.startswith("no parameter: "), each.id


def test_every_setting_names_a_parameter_of_its_module_within_what_can_be(load: Load) -> None:
    for each in EXPRESSED:
        for setting in each.sets:
            model = load(setting.module)
            assert f"{setting.module}.{setting.parameter}" in model.ids, str(setting)
            row = model.table.get(model.id(setting.parameter))
            if row is not None and not row.estimate and setting.operator != "*":
                assert row.lower is None or setting.number >= row.lower, str(setting)
                assert row.upper is None or setting.number <= row.upper, str(setting)


def test_bounds_of_scores_hold_the_value_and_lie_in_those_of_the_parameter(load: Load) -> None:
    for score in SCORES:
        row = load(score.module).parameter(score.parameter)
        assert row.lower is not None and row.upper is not None
        assert row.lower * (1 - 1e-6) <= score.lower < row.nominal < score.upper <= row.upper * (1 + 1e-6), score.id


# --- directions ---


def direction_cases() -> list[tuple[str, tuple[tuple[str, float], ...]]]:
    """Return the conditions of all directions: a module and what is given; all genotypes share their runs."""
    rows = [*EXPRESSED, *SCORES]
    return sorted({(e.module, tuple(sorted(e.given.items()))) for row in rows for e in row.direction})


@pytest.mark.parametrize(("module", "conditions"), direction_cases(), ids=lambda part: str(part)[:40])
def test_directions(load: Load, module: str, conditions: tuple[tuple[str, float], ...]) -> None:
    """Each genotype and each score (at two standard deviations) moves what its row says, the way that it says."""
    model, given_values = load(module), dict(conditions)
    asked: list[tuple[str, Expectation, dict[str, float]]] = []
    for row in (*EXPRESSED, *SCORES):
        for each in row.direction:
            if (each.module, dict(each.given)) == (module, given_values):
                values = quiet(model, [row.id], given_values) if row.id in GENOTYPES else scored(model, row.id)
                asked.append((row.id, each, {model.id(n): v for n, v in given_values.items()} | values))
    plain = {model.id(name): value for name, value in given_values.items()}
    runs = [plain, *(values for _, _, values in asked)]
    symbols = {each.symbol for _, each, _ in asked}
    found = run_all(model, runs, sorted(symbols))
    for place, (name, each, _) in enumerate(asked, 1):
        before, after = (float(found[each.symbol][k]) for k in (0, place))
        change = after - before if each.sign == "+" else before - after
        assert change > CLEAR * abs(before), f"{name}: {each} went from {before:g} to {after:g}"


def scored(model: cascade.Model, name: str) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CascadeWarning)
        return expression_values(model, {name: 2.0})


def run_all(model: cascade.Model, runs: list[dict[str, float]], record: list[str], days: float = DAYS) -> xr.Dataset:
    """Simulate runs of different values, each with the model's own where it gives none, and return their ends."""
    names = sorted({name for run in runs for name in run})
    own = {name: model.table[name].nominal if name in model.table else 0.0 for name in names}
    values = {name: xr.DataArray([run.get(name, own[name]) for run in runs], dims="run") for name in names}
    ends = cascade.simulate(model, days=days, points=2, values=values, record=record).isel(time=-1)
    assert (ends["status"] == "ok").all()
    return ends.rename({model.id(name): name for name in record if model.id(name) != name})


def test_methylation_silences_for_good_and_a_dnmt_inhibitor_wakes_the_promoter(load: Load) -> None:
    model = load("csc_epi")
    values = quiet(model, ["cdh1_methylation"])
    treated = values | {model.id("c_dnmt_inhibitor"): 1e4}
    found = run_all(model, [values, treated], ["f_silenced_cdh1"], days=365)["f_silenced_cdh1"].values
    assert found[0] == pytest.approx(0.95 * 0.9, rel=0.01)
    assert found[1] < 0.05


def test_p53_of_mdm2_amplified_cells_answers_to_nutlin_and_not_without_tp53(load: Load) -> None:
    model = load("drivers")
    nutlin = {model.id("c_mdm2_inhibitor"): 1e4}
    runs = [quiet(model, ["mdm2_amplification"]), quiet(model, ["mdm2_amplification", "tp53_loss"])]
    p53 = run_all(model, [*runs, *(run | nutlin for run in runs)], ["c_p53"])["c_p53"].values
    assert p53[2] > 5 * p53[0]
    assert p53[3] < 0.1 * p53[2]


TGF_BETA = ["smad4_loss", "smad2_loss", "tgfbr1_loss", "tgfbr2_loss"]
GROWTH = ["kras_g12", "myc_amplification", "pten_loss", "erbb2_amplification", "b2m_loss", "msi_high"]
UNUSUAL = {
    "ras": ["kras_g12c", "nras_mutation", "egfr_mutation", "nf1_loss", "pten_loss", "pik3ca_mutation"],
    "wnt": ["apc_truncation", "ctnnb1_mutation", "axin1_loss", "rnf43_loss", "fbxw7_loss"],
    "emt": ["smad4_loss", "tgfbr2_loss", "cdh1_loss", "cdh1_methylation", "mir200_methylation", "mir34a_methylation"],
    "immune": ["b2m_loss", "hla_loss", "jak1_loss", "msi_high", "pole_mutation", "cd274_amplification"],
    "vessels": ["vhl_loss", "vegfa_amplification", "notch1_gain", "lin28b_amplification", "ezh2_gain", "h3k27_mir200"],
    "all": [each.id for each in EXPRESSED if each.id != "notch1_loss" and not each.id.startswith("kras_g1")],
}
SURGERY, HAZARD = "final:primary_tumor.t_surgery", "h_since_surgery_5y"


@pytest.fixture(scope="module")
def tumors(lite: cascade.Model) -> xr.Dataset:
    """Tumors of the wild type, of single genotypes and of unusual combinations, in one study."""
    asked = {"wild type": [], **{name: [name] for name in [*GROWTH, *TGF_BETA]}, **UNUSUAL}
    runs = [quiet(lite, names) for names in asked.values()]
    columns = sorted({name for run in runs for name in run})
    own = {name: lite.table[name].nominal if name in lite.table else 0.0 for name in columns}
    values = {
        name: xr.DataArray([run.get(name, own[name]) for run in runs], dims="tumor", coords={"tumor": list(asked)})
        for name in columns
    }
    return cascade.evaluate(lite, values, [SURGERY, HAZARD], years=15, points=61, workers=1)


def test_genotypes_in_the_whole_model_go_the_way_of_the_clinic(tumors: xr.Dataset) -> None:
    """Drivers and the loss of antigen presentation bring the operation forward; more antigen does not."""
    day = tumors[SURGERY]
    for name in GROWTH[:-1]:
        assert float(day.sel(tumor=name)) < float(day.sel(tumor="wild type")), name
    assert not float(day.sel(tumor="msi_high")) <= float(day.sel(tumor="wild type"))  # later, or never


def test_losses_of_tgf_beta_signaling_act_in_the_whole_model_and_tell_what_they_lack(
    tumors: xr.Dataset, load: Load, lite: cascade.Model
) -> None:
    """A loss of SMAD2 through the total of SMAD2 would set a start that compositions have of their own."""
    hazard = tumors[HAZARD]
    for name in TGF_BETA:
        assert float(hazard.sel(tumor=name)) < 0.5 * float(hazard.sel(tumor="wild type")), name
        assert "the arrest of growth" in unexpressed(lite, [name])[name][0]
    model = load("tgf_beta")
    dish = {"init_tgfb": 0.04, "v_supply": 0.5, "k_clear": 14.0}
    ends = run_all(model, [dish, *(quiet(model, [name], dish) for name in TGF_BETA)], ["c_psmad"])["c_psmad"].values
    np.testing.assert_array_less(ends[3:], 0.02 * ends[0])  # no receptor
    assert ends[1] == pytest.approx(0.5 * ends[0], rel=1e-3)


def test_without_smad4_emt_is_kept_under_much_tgf_beta_and_lost_under_little() -> None:
    """Levy 2005: silencing does not abolish EMT; Valcourt 2005, Bardeesy 2006: blocked, epithelial."""
    cell = cascade.compose(cascade.load_composition("carcinoma_cell"))
    dose = xr.DataArray([0.002, 0.2], dims="dose")
    values = quiet(cell, ["smad4_loss"]) | {"c_tgfb_dish": dose}
    found = [
        cascade.simulate(cell, days=15, points=2, values=v, record=["emt.a_emt"])["emt__a_emt"].isel(time=-1).values
        for v in ({"c_tgfb_dish": dose}, values)
    ]
    assert 0.25 < found[1][1] < found[0][1]
    assert found[1][0] < 0.1


@pytest.mark.slow
def test_random_combinations_run_or_say_why_not(plan: Plan, lite: cascade.Model) -> None:
    """Hazards are finite and at least 0, and no value leaves what can be, whatever comes together."""
    random, runs = Random(5), []
    known = [each.id for each in EXPRESSED if plan.actions[each.id]]
    while len(runs) < 40:
        try:
            runs.append(combine(plan, random.sample(known, random.choice([2, 3, 4, 6, 8, 12, 20])))[0])
        except ValueSettingError as error:
            assert "cannot go together" in str(error)
    columns = sorted({name for run in runs for name in run})
    values = {name: xr.DataArray([run.get(name, plan.nominal(name)) for run in runs], dims="tumor") for name in columns}
    found = cascade.evaluate(lite, values, [SURGERY, HAZARD], years=15, points=61, workers=1)
    assert (found["status"] == "ok").all()
    hazard = found[HAZARD].values
    assert ((hazard >= 0) | (found[f"reason_{HAZARD}"].values != "ok")).all()


# --- combinations ---


@given(names=st.lists(st.sampled_from(sorted(GENOTYPES)), max_size=6, unique=True), random=st.randoms())
@settings(max_examples=100, deadline=None)
def test_order_does_not_matter(plan: Plan, names: list[str], random: Random) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)
    assert outcome(plan, names) == outcome(plan, shuffled)


def outcome(plan: Plan, names: list[str]) -> object:
    """Return the values and what is missing, or the kind of the error."""
    try:
        return combine(plan, names)
    except ValueSettingError as error:
        assert "cannot go together" in str(error)
        return "refused"


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_combinations_run(tumors: xr.Dataset, name: str) -> None:
    tumor = tumors.sel(tumor=name)
    assert str(tumor["status"].item()) == "ok"
    assert np.isfinite(float(tumor[SURGERY]))
    reason = str(tumor[f"reason_{HAZARD}"].item())
    assert (reason == "ok") == bool(np.isfinite(float(tumor[HAZARD])))


def test_every_pair_has_values_or_says_why_not(plan: Plan) -> None:
    refused = set()
    for first, second in itertools.combinations(GENOTYPES, 2):
        try:
            values, _ = combine(plan, [first, second])
        except ValueSettingError as error:
            assert repr(first) in str(error) or first in str(error)
            refused.add(frozenset((first, second)))
        else:
            for flat, value in values.items():
                row = plan.rows.get(flat)
                assert 0 <= value < np.inf, flat
                assert row is None or row.unit != "dimensionless" or row.upper != 1 or value <= 1, flat
    excluded = {frozenset((each.id, other)) for each in GENOTYPES.values() for other in each.excludes}
    assert refused == excluded  # whatever is not said to exclude each other goes together


def test_strongest_counts_and_factors_multiply(load: Load) -> None:
    model = load("drivers")
    assert quiet(model, ["pik3ca_mutation", "pten_loss"]) == {"a_akt": 0.8}
    both = quiet(model, ["kras_amplification", "nf1_loss"], {"c_ras_total": 300.0})
    assert both == {"c_ras_total": 450.0, "k_hydrolyze_gap": 540.0}
    assert quiet(model, ["myc_amplification"], {"drivers.f_myc": 6.0}) == {"f_myc": 6.0}
    assert quiet(model, ["tp53_loss", "tp53_loss"]) == quiet(model, ["tp53_loss"])


def test_conflicts_say_what_to_do(load: Load, tmp_path: Path) -> None:
    model = load("drivers")
    with pytest.raises(ValueSettingError, match="'kras_g12c' and 'kras_g12d' cannot go together"):
        genotype_values(model, ["kras_g12c", "kras_g12d"])
    with pytest.raises(
        ValueSettingError, match=r"kras_g12v sets 0\.06 and the patient's own value sets 0\.5; leave one"
    ):
        genotype_values(model, ["kras_g12v"], {"f_hydrolyze_mutant": 0.5})
    first = read_genotypes(table_of(tmp_path, sets="drivers.f_myc=2"))[0]
    second = read_genotypes(table_of(tmp_path, genotype="other", sets="drivers.f_myc=3"))[0]
    with pytest.raises(ValueSettingError, match="abc_loss sets 2 and other sets 3; leave one of them out"):
        genotype_values(model, ["other", "abc_loss"], table=[first, second])
    floor = read_genotypes(table_of(tmp_path, genotype="other", sets="drivers.f_myc>=3"))[0]
    ceiling = read_genotypes(table_of(tmp_path))[0]
    with pytest.raises(ValueSettingError, match="contradict each other"):
        genotype_values(model, ["other", "abc_loss"], table=[floor, ceiling])
    large = read_genotypes(table_of(tmp_path, sets="drivers.f_myc*30"))[0]
    with pytest.raises(ValueSettingError, match=r"'f_myc' would be 30 with abc_loss; its table allows 0 to 20"):
        genotype_values(model, ["abc_loss"], table=[large])


def test_unknown_names_tell_the_closest(load: Load) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tp53_loss'"):
        genotype_values(load("drivers"), ["tp53_los"])
    with pytest.raises(UnknownNameError, match="did you mean"):
        genotype_values(load("drivers"), ["tp53_loss"], {"f_mycc": 1.0})


@pytest.mark.parametrize(
    ("genotypes", "values", "message"),
    [
        (7, {}, "genotypes is 7; give ids"),
        ([["tp53_loss"]], {}, "no genotype"),
        (["tp53_loss"], {"f_myc": float("nan")}, "give finite numbers"),
        (["tp53_loss"], {"f_myc": -1.0}, "which is negative"),
        (["tp53_loss"], {"f_myc": "2"}, "give real numbers"),
        (["tp53_loss"], {"c_myc": 2.0}, "is computed by a formula"),
        (["tp53_loss"], {"f_myc": xr.DataArray([1.0, 2.0], dims="patient")}, "give one number, that of one patient"),
        (["tp53_loss"], {"drivers.f_myc": 1.0, "f_myc": 2.0}, "are the same quantity"),
        (["tp53_loss"], 7, "give a mapping of names"),
    ],
)
def test_what_is_no_genotype_and_no_value(load: Load, genotypes: object, values: object, message: str) -> None:
    with pytest.raises((UnknownNameError, ValueSettingError), match=message):
        genotype_values(load("drivers"), genotypes, values)  # type: ignore[arg-type]
    if genotypes == ["tp53_loss"]:
        with pytest.raises(ValueSettingError, match=message):
            expression_values(load("drivers"), {"myc": 1.0}, values)  # type: ignore[arg-type]


def test_what_a_model_cannot_express_is_listed(load: Load, lite: cascade.Model) -> None:
    assert "no module 'wnt'" in unexpressed(load("drivers"), ["apc_truncation", "tp53_loss"])["apc_truncation"][0]
    assert "tp53_loss" not in unexpressed(load("drivers"), ["apc_truncation", "tp53_loss"])
    assert "the value is 0 here" in unexpressed(lite, ["brca1_loss"])["brca1_loss"][0]  # no subclones
    assert "RAS-GTP only" in unexpressed(lite, ["braf_v600e"])["braf_v600e"][0]
    with pytest.warns(CascadeWarning, match=r"braf_v600e: no parameter"):
        assert genotype_values(lite, ["braf_v600e"]) == {}
    driven = unexpressed(lite, ["fbxw7_loss"])
    assert driven == {}


def test_what_nothing_reads_and_what_has_no_number_is_not_set(load: Load, lite: cascade.Model, tmp_path: Path) -> None:
    total = read_genotypes(table_of(tmp_path, sets="tgf_beta.c_smad2_total*0.1", direction="tgf_beta.c_psmad:-"))
    assert (
        "no formula of this model reads 'tgf_beta__c_smad2_total'"
        in unexpressed(lite, ["abc_loss"], table=total)["abc_loss"][0]
    )
    start = read_genotypes(table_of(tmp_path, sets="tgf_beta.c_smad2*0.1", direction="tgf_beta.c_psmad:-"))
    model = load("tgf_beta")
    assert unexpressed(model, ["abc_loss"], table=start)["abc_loss"] == (
        "tgf_beta.c_smad2*0.1: a formula gives the start of 'c_smad2'",
    )
    with pytest.warns(CascadeWarning, match="a formula gives the start"):
        assert genotype_values(model, ["abc_loss"], table=start) == {}


def test_a_port_that_another_module_drives_is_not_set(tmp_path: Path) -> None:
    cell = cascade.compose(cascade.load_composition("carcinoma_cell"))
    table = read_genotypes(table_of(tmp_path, sets="emt.f_silenced_cdh1=0.9", direction="emt.f_adhesion:-"))
    reasons = unexpressed(cell, ["abc_loss"], table=table)["abc_loss"]
    assert reasons == ("emt.f_silenced_cdh1=0.9: it is computed here, by 'csc_epi__f_silenced_cdh1'",)


# --- a model with a genotype ---


def test_a_model_with_a_genotype_runs_as_with_its_values(load: Load) -> None:
    model = load("csc_epi")
    mutant = with_genotype(model, "cdh1_methylation", "lin28b_amplification")
    values = genotype_values(model, ["cdh1_methylation", "lin28b_amplification"])
    ends = [cascade.simulate(m, days=30, points=2, values=v).isel(time=-1) for m, v in ((mutant, {}), (model, values))]
    for name in ("f_silenced_cdh1", "c_lin28", "f_stem"):
        assert float(ends[0][name]) == pytest.approx(float(ends[1][name]), rel=1e-9)
    row = mutant.parameter("v_synthesize_lin28")
    assert row.nominal == pytest.approx(3 * 26.4)
    assert not row.estimate
    assert row.note == "CDH1 promoter methylation, LIN28A or LIN28B amplification or reactivation; 26.4 without"
    assert row.source == ("graff1995", "dong2012", "viswanathan2009")
    assert mutant.hash != model.hash
    assert model.parameter("v_synthesize_lin28").nominal == 26.4


@pytest.mark.slow
def test_a_composition_with_a_genotype_keeps_its_start_values(lite: cascade.Model) -> None:
    names = ["drivers.c_pperk", "wnt.c_bcat_tcf"]
    mutant = with_genotype(lite, "kras_g12", "apc_truncation")
    ends = [
        cascade.simulate(m, days=400, points=3, values=v, record=names)
        for m, v in ((mutant, {}), (lite, genotype_values(lite, ["kras_g12", "apc_truncation"])))
    ]
    for name in ("drivers__c_pperk", "wnt__c_bcat_tcf"):
        np.testing.assert_allclose(ends[0][name], ends[1][name], rtol=1e-6)


# --- expression ---


def test_scores_multiply_by_their_slope_and_stop_at_bounds(load: Load) -> None:
    model = load("drivers")
    assert expression_values(model, {"myc": 1.0}) == pytest.approx({"v_synthesize_myc_basal": 120 * 2**0.5})
    assert expression_values(model, {"myc": 0.0}) == {"v_synthesize_myc_basal": 120.0}
    own = expression_values(model, {"myc": -1.0}, {"drivers.v_synthesize_myc_basal": 200.0})
    assert own == pytest.approx({"v_synthesize_myc_basal": 200 * 2**-0.5})
    with pytest.warns(CascadeWarning, match="stops at 240"):
        assert expression_values(model, {"myc": 4.0}) == {"v_synthesize_myc_basal": 240.0}


def test_wrong_scores(load: Load) -> None:
    model = load("drivers")
    with pytest.raises(UnknownNameError, match="did you mean 'hypoxia'"):
        expression_values(model, {"hypoxa": 1.0})
    for wrong in (float("nan"), 11.0, True, "1"):
        with pytest.raises(ValueSettingError, match="give a z-score"):
            expression_values(model, {"myc": wrong})  # type: ignore[dict-item]
    with pytest.warns(CascadeWarning, match="no module 'wnt'"):
        assert expression_values(model, {"wnt": 1.0}) == {}


# --- wrong tables ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"genotype": "KRAS G12"}, "not lower snake case"),
        ({"kind": "variant"}, "kind is 'variant'; write one of mutation"),
        ({"name": ""}, "no name"),
        ({"evidence": "guessed"}, "evidence is 'guessed'"),
        ({"source": ""}, "no source"),
        ({"note": ""}, "no note"),
        ({"sets": "drivers.f_myc"}, "sets nothing; write module.parameter=value"),
        ({"sets": "drivers.f_myc=1,5"}, "is not a number"),
        ({"sets": "drivers.f_myc*0"}, "a factor must be above 0"),
        ({"sets": "drivers.f_myc*2;drivers.f_myc>=3"}, "one parameter twice"),
        ({"direction": "drivers.c_myc"}, "is not module.symbol"),
        ({"direction": "drivers.c_myc:-@wnt.f_apc=1"}, "sets no parameter of 'drivers'"),
        ({"direction": ""}, "needs a direction"),
        ({"consequences": "Missense"}, "is no class of change"),
        ({"excludes": "nothing"}, "excludes 'nothing'; name another genotype"),
    ],
)
def test_wrong_tables_of_genotypes(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(TableError, match=re.escape(message)):
        read_genotypes(table_of(tmp_path, **change))


def test_settings_read_back_as_written() -> None:
    for each in EXPRESSED:
        for setting in each.sets:
            assert parse_setting(str(setting)) == setting
        assert {consequence.kind for consequence in each.consequences} <= set(CLASSES)


def test_reasons_are_plain_data(lite: cascade.Model) -> None:
    names = [each.id for each in GENOTYPES.values() if not each.sets and not each.id.startswith("er_")]
    assert set(json.loads(json.dumps(unexpressed(lite, names)))) == set(names)
