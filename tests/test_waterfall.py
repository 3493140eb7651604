"""The stage waterfall: exact on a chain solved by hand, and one stage for a drug that acts on one stage."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from scipy.linalg import expm

import cascade
from cascade._stages import STAGES
from cascade.errors import AnalysisError, UnknownNameError, ValueSettingError
from cascade.specs import Intervention, Model
from cascade.waterfall import target_treatments, waterfall

# ---- a chain of one cell type a stage, after a tumor that grows exponentially

RATES = {
    "primary_tumor__k_growth": 4e-3,
    "clone__k_invade": 1e-3,
    "clone__k_die": 0.5,
    "clone__k_enter": 0.3,
    "blood__k_die": 2.0,
    "blood__k_arrest": 1.0,
    "organ__k_die": 0.8,
    "organ__k_extravasate": 0.4,
    "organ__k_die_dormant": 2e-3,
    "organ__k_awaken": 1e-3,
    "organ__k_settle": 0.05,
    "organ__k_die_awake": 0.1,
    "organ__k_found": 1e-6,
    "tissue__k_grow": 4e-3,
    "tissue__k_eliminate": 1e-3,
    "tissue__k_enter": 2e-3,
    "tissue__k_switch": 5e-4,
}
CHAIN = """
  compartment body = 1;
  substanceOnly species clone__n_grown in body, clone__n_invading in body, blood__n_ctc in body;
  substanceOnly species organ__n_arrested in body, organ__n_dormant in body, organ__n_awakened in body;
  substanceOnly species tissue__n_lesion_1 in body, tissue__n_dormant in body, tissue__n_overt in body;
  clone__n_grown = 100; clone__n_invading = 0; blood__n_ctc = 0; organ__n_arrested = 0; organ__n_dormant = 0;
  organ__n_awakened = 0; tissue__n_lesion_1 = 0; tissue__n_dormant = 0; tissue__n_overt = 0;
  primary_tumor__f_resected := 0*clone__n_grown; primary_tumor__f_surface := 1 + 0*clone__n_grown;
  clone__n_tumor := (1 - primary_tumor__f_resected)*clone__n_grown;
  clone__grow: => clone__n_grown; primary_tumor__k_growth*clone__n_grown;
  clone__invade_single: => clone__n_invading; clone__k_invade*clone__n_tumor*primary_tumor__f_surface;
  clone__leave_single: clone__n_invading => ; (clone__k_die + clone__k_enter)*clone__n_invading;
  clone__v_shed_single := clone__k_enter*clone__n_invading;
  blood__enter_single: => blood__n_ctc; clone__v_shed_single;
  blood__leave_single: blood__n_ctc => ; (blood__k_die + blood__k_arrest)*blood__n_ctc;
  blood__v_arrest_single := blood__k_arrest*blood__n_ctc;
  organ__arrest_single: => organ__n_arrested; blood__v_arrest_single;
  organ__die_arrested: organ__n_arrested => ; organ__k_die*organ__n_arrested;
  organ__extravasate_single: organ__n_arrested => organ__n_dormant; organ__k_extravasate*organ__n_arrested;
  organ__die_dormant: organ__n_dormant => ; organ__k_die_dormant*organ__n_dormant;
  organ__awaken: organ__n_dormant => organ__n_awakened; organ__k_awaken*organ__n_dormant;
  organ__settle_awakened: organ__n_awakened => organ__n_dormant; organ__k_settle*organ__n_awakened;
  organ__die_awakened: organ__n_awakened => ; organ__k_die_awake*organ__n_awakened;
  organ__found_awakened: organ__n_awakened => ; organ__k_found*organ__n_awakened;
  organ__v_found := organ__k_found*organ__n_awakened;
  tissue__found: => tissue__n_lesion_1; organ__v_found;
  tissue__eliminate_1: tissue__n_lesion_1 => ; tissue__k_eliminate*tissue__n_lesion_1;
  tissue__enter_dormancy: tissue__n_lesion_1 => tissue__n_dormant; tissue__k_enter*tissue__n_lesion_1;
  tissue__switch_angiogenic: tissue__n_dormant => tissue__n_lesion_1; tissue__k_switch*tissue__n_dormant;
  tissue__detect: tissue__n_lesion_1 => tissue__n_overt; tissue__k_grow*tissue__n_lesion_1;
  tissue__k_hazard := tissue__k_grow*tissue__n_lesion_1;
  endpoints__k_hazard := tissue__k_hazard;
  endpoints__h_cumulative := tissue__n_overt;
"""
INSTANCES = {
    "primary_tumor": "primary_tumor",
    "clone": "clone",
    "blood": "circulation",
    "organ": "disseminated_cells",
    "tissue": "lesions",
    "endpoints": "endpoints",
}
OF_STAGE = {
    "tumor_growth": ("primary_tumor__k_growth",),
    "invasion": ("clone__k_invade",),
    "intravasation": ("clone__k_die", "clone__k_enter"),
    "circulation": ("blood__k_die", "blood__k_arrest"),
    "extravasation": ("organ__k_die", "organ__k_extravasate"),
    "dormancy": (
        "organ__k_die_dormant",
        "organ__k_awaken",
        "organ__k_settle",
        "organ__k_die_awake",
        "tissue__k_switch",
    ),
    "founding": ("organ__k_found",),
    "outgrowth": ("tissue__k_grow", "tissue__k_eliminate", "tissue__k_enter"),
}
YEARS = 2000 / 365.25


@pytest.fixture(scope="module")
def chain(make_model) -> Model:
    return double(make_model, CHAIN)


def double(make_model, text: str, **instances: str) -> Model:
    model = make_model(text + "\n".join(f"{name} = {value};" for name, value in RATES.items()))
    return replace(
        model,
        ids={**model.ids, **{name.replace("__", ".", 1): name for name in model.ids}},
        instances=INSTANCES | instances,
    )


def generator(rates: dict[str, float]) -> np.ndarray:
    """`d state/dt = matrix @ state`: tumor, invading, blood, arrested, dormant, awake, lesion, dormant lesion, all."""
    r = {name.replace("__", "_"): value for name, value in rates.items()}
    m = np.zeros((9, 9))
    m[0, 0] = r["primary_tumor_k_growth"]
    m[1, 0], m[1, 1] = r["clone_k_invade"], -r["clone_k_die"] - r["clone_k_enter"]
    m[2, 1], m[2, 2] = r["clone_k_enter"], -r["blood_k_die"] - r["blood_k_arrest"]
    m[3, 2], m[3, 3] = r["blood_k_arrest"], -r["organ_k_die"] - r["organ_k_extravasate"]
    m[4, 3], m[4, 4] = r["organ_k_extravasate"], -r["organ_k_die_dormant"] - r["organ_k_awaken"]
    m[4, 5], m[5, 4] = r["organ_k_settle"], r["organ_k_awaken"]
    m[5, 5] = -r["organ_k_settle"] - r["organ_k_die_awake"] - r["organ_k_found"]
    m[6, 5] = r["organ_k_found"]
    m[6, 6] = -r["tissue_k_grow"] - r["tissue_k_eliminate"] - r["tissue_k_enter"]
    m[6, 7], m[7, 6], m[7, 7] = r["tissue_k_switch"], r["tissue_k_enter"], -r["tissue_k_switch"]
    m[8, 6] = r["tissue_k_grow"]
    return m


def hazard(stages, factors: dict[str, float], start: float = 0.0) -> float:
    """The hazard at day 2000 if the drug acts on these stages only, from day `start`."""
    acting = {name for stage in stages for name in OF_STAGE[stage]}
    treated = {name: value * (factors.get(name, 1.0) if name in acting else 1.0) for name, value in RATES.items()}
    begin = np.zeros(9)
    begin[0] = 100.0
    return float((expm(generator(treated) * (2000 - start)) @ expm(generator(RATES) * start) @ begin)[8])


def by_hand(order: tuple[str, ...], factors: dict[str, float], start: float = 0.0) -> np.ndarray:
    """Parts of the log hazard ratio if stages are switched in this order."""
    found = dict.fromkeys(STAGES, 0.0)
    for place, stage in enumerate(order):
        found[stage] = math.log(hazard(order[: place + 1], factors, start) / hazard(order[:place], factors, start))
    return np.array(list(found.values()))


DRUG = {
    "primary_tumor__k_growth": 0.95,
    "clone__k_invade": 0.7,
    "clone__k_die": 1.5,
    "blood__k_arrest": 0.6,
    "blood__k_die": 1.3,
    "organ__k_extravasate": 0.5,
    "organ__k_awaken": 0.4,
    "tissue__k_switch": 3.0,
    "organ__k_found": 0.8,
    "tissue__k_grow": 0.6,
    "tissue__k_enter": 1.4,
}


def split(model: Model, treatments, readout: str = "h_cumulative", **options):
    """The waterfall of a chain over 2000 days, simulated closely enough to compare with the closed form."""
    solver = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)
    return waterfall(model, treatments, readout, years=YEARS, solver=solver, **options)


def dose(factors: dict[str, float], start: float = 0.0) -> tuple[Intervention, ...]:
    return tuple(Intervention(target=name, factor=factor, start=start) for name, factor in factors.items())


@pytest.mark.parametrize("start", [0.0, 700.3])
@pytest.mark.parametrize(("order", "queue"), [("from_tumor", tuple(STAGES)), ("from_lesion", tuple(STAGES)[::-1])])
def test_a_drug_on_every_stage_is_split_as_by_hand(chain, start, order, queue):
    why = split(chain, dose(DRUG, start), order=order)
    np.testing.assert_allclose(why["log_hazard_ratio"][0], by_hand(queue, DRUG, start), atol=2e-5)
    assert float(why["hazard_untreated"]) == pytest.approx(hazard((), DRUG), rel=1e-5)
    assert float(why["hazard_treated"][0]) == pytest.approx(hazard(STAGES, DRUG, start), rel=1e-5)
    assert abs(float(why["residual_untreated"][0])) < 2e-5
    assert abs(float(why["residual_treated"][0])) < 2e-5


def test_shapley_is_the_mean_over_all_orders(chain):
    few = ("extravasation", "dormancy", "outgrowth")
    drug = {name: factor for name, factor in DRUG.items() if any(name in OF_STAGE[stage] for stage in few)}
    rest = tuple(stage for stage in STAGES if stage not in few)
    expected = np.mean([by_hand((*rest, *order), drug) for order in permutations(few)], axis=0)
    why = split(chain, dose(drug), order="shapley")
    np.testing.assert_allclose(why["log_hazard_ratio"][0], expected, atol=2e-5)
    first = split(chain, dose(drug))
    assert np.abs(first["log_hazard_ratio"][0] - expected).max() > 1e-3, "these stages interact, so the order matters"


@pytest.mark.parametrize("stage", STAGES)
def test_a_drug_on_one_stage_is_that_stage_in_any_order(chain, stage):
    drug = dict.fromkeys(OF_STAGE[stage][:1], 0.5)
    for order in ("from_tumor", "from_lesion"):
        why = split(chain, dose(drug), order=order)
        parts = why["log_hazard_ratio"][0].to_series()
        assert parts[stage] == pytest.approx(float(why["log_hazard_ratio_total"][0]), abs=1e-6)
        assert parts.drop(stage).abs().max() < 1e-6


def test_parts_add_up_on_every_scale(chain):
    pair = {"a": dose(DRUG), "b": dose({"organ__k_awaken": 0.5}, 300.0)}
    why = split(chain, pair, "p_overt")
    before, after = float(why["hazard_untreated"]), why["hazard_treated"].values
    totals = {
        "log_hazard_ratio": np.log(after / before),
        "hazard_difference": after - before,
        "risk_difference": np.exp(-before) - np.exp(-after),
    }
    for name, total in totals.items():
        np.testing.assert_allclose(why[name].sum("stage"), total, atol=1e-12)
    np.testing.assert_allclose(why["hazard_difference_organ"].sum("organ"), why["hazard_difference"], atol=1e-14)
    assert list(why["treatment"].values) == ["a", "b"]


def test_a_complete_block_keeps_finite_parts(chain):
    why = split(chain, dose({"organ__k_found": 0.0}))
    parts = why["log_hazard_ratio"][0].to_series()
    assert parts["founding"] == pytest.approx(math.log(1e-12 / float(why["hazard_untreated"])), rel=1e-9)
    assert parts.drop("founding").abs().max() < 1e-7


# ---- what cannot be split


def test_cells_that_act_on_each_other_are_refused(make_model):
    crowded = CHAIN.replace("organ__k_die_dormant*organ__n_dormant;", "organ__k_die_dormant*organ__n_dormant^2;")
    with pytest.raises(AnalysisError, match=r"organ__die_dormant.*not of the first order"):
        split(double(make_model, crowded), dose(DRUG))


def test_cells_that_start_on_the_way_are_refused(make_model):
    with pytest.raises(AnalysisError, match=r"chain of cells without treatment.*the limit is 1 %.*cells start"):
        seeded = double(make_model, CHAIN.replace("organ__n_dormant = 0;", "organ__n_dormant = 1e6;"))
        split(seeded, dose(DRUG))


def test_a_tumor_that_is_not_read_by_its_size_is_refused(make_model):
    hidden = CHAIN.replace("clone__k_invade*clone__n_tumor*", "clone__k_invade*clone__n_grown*")
    with pytest.raises(AnalysisError, match=r"clone__invade_single.*goes on without clone__n_tumor"):
        split(double(make_model, hidden), dose(DRUG))


def test_a_reaction_of_no_stage_is_refused_and_can_be_given_one(make_model):
    odd = CHAIN.replace("organ__die_dormant:", "organ__vanish:")
    model = double(make_model, odd)
    with pytest.raises(AnalysisError, match=r"'vanish' of instance 'organ'.*belongs to no stage.*stages="):
        split(model, dose(DRUG))
    named = {"disseminated_cells.vanish": "dormancy"}
    why = split(model, dose(DRUG), stages=named)
    np.testing.assert_allclose(why["log_hazard_ratio"][0], by_hand(tuple(STAGES), DRUG), atol=2e-5)


def test_a_module_of_ones_own_needs_a_stage(make_model):
    model = double(make_model, CHAIN, blood="my_blood")
    with pytest.raises(AnalysisError, match=r"organ__arrest_single.*belongs to no stage"):
        split(model, dose(DRUG))
    for name in ("my_blood.*", "blood.*"):
        why = split(model, dose(DRUG), stages={name: "circulation"})
        np.testing.assert_allclose(why["log_hazard_ratio"][0], by_hand(tuple(STAGES), DRUG), atol=2e-5)


def test_time_in_a_rate_is_refused(make_model):
    timed = CHAIN.replace("organ__k_awaken*organ__n_dormant;", "organ__k_awaken*(1 + sin(time))*organ__n_dormant;")
    with pytest.raises(AnalysisError, match=r"organ__awaken.*cannot be followed"):
        split(double(make_model, timed), dose(DRUG))


def test_mistakes_are_named(chain, make_model):
    with pytest.raises(AnalysisError, match="nothing to split"):
        split(chain, {})
    with pytest.raises(AnalysisError, match="order is 'reverse'"):
        split(chain, dose(DRUG), order="reverse")
    with pytest.raises(AnalysisError, match="no cumulative hazard"):
        split(chain, dose(DRUG), "t_surgery")
    with pytest.raises(AnalysisError, match=r"stage of 'clone\.x' is 'growth'"):
        split(chain, dose(DRUG), stages={"clone.x": "growth"})
    with pytest.raises(ValueSettingError, match="is an array"):
        split(chain, dose(DRUG), values={"clone.k_die": [1, 2]})
    with pytest.raises(UnknownNameError, match="k_dye"):
        split(chain, dose(DRUG), values={"clone.k_dye": 1})
    bare = make_model("compartment body = 1; species x in body; x = 0; k = 1; make: => x; k;")
    with pytest.raises(AnalysisError, match="endpoints__k_hazard"):
        split(bare, Intervention(target="k", factor=0.5))


# ---- shipped compositions


@pytest.fixture(scope="module")
def lite() -> Model:
    return cascade.compose(cascade.load_composition("breast_lite"))


ONE_STAGE = {
    "invasion": ("clone.k_invade_mesenchymal", "clone.k_invade_hybrid"),
    "intravasation": ("clone.k_intravasate",),
    "circulation": ("circulation.k_shear", "circulation.k_nk"),
    "extravasation": ("disseminated_cells.k_extravasate",),
    "dormancy": ("lesions.k_switch_angiogenic",),
    "founding": ("disseminated_cells.k_found",),
    "outgrowth": ("lesions.k_grow",),
}


def halved(model: Model, names: tuple[str, ...], **window) -> tuple[Intervention, ...]:
    found = {}
    for name in names:
        module, _, local = name.partition(".")
        for instance, kind in model.instances.items():
            if kind == module:
                found[model.ids[f"{instance}.{local}"]] = None
    return tuple(Intervention(target=name, factor=0.5, **window) for name in found)


ADJUVANT = ("invasion", "dormancy", "outgrowth")


@pytest.fixture(scope="module")
def treatments(lite):
    after = {"origin": "primary_tumor.t_surgery"}
    return {
        **{stage: halved(lite, names) for stage, names in ONE_STAGE.items()},
        **{f"adjuvant {stage}": halved(lite, ONE_STAGE[stage], **after) for stage in ADJUVANT},
        **target_treatments(lite, ["tgfbr1"], window="lifelong"),
        "late surgery": Intervention(target="primary_tumor.n_surgery", factor=2.0),
        "slow growth": Intervention(target="primary_tumor.k_growth_rate", factor=0.1),
    }


@pytest.fixture(scope="module")
def whys(lite, treatments):
    """All treatments in both orders; the model is compiled once."""
    return {order: waterfall(lite, treatments, "p_overt_5y", order=order) for order in ("from_tumor", "from_lesion")}


@pytest.fixture(scope="module")
def why(whys):
    return whys["from_tumor"]


def parts_of(why, treatment):
    """The parts as a series, and their simulated total."""
    one = why.sel(treatment=treatment)
    return one["log_hazard_ratio"].to_series(), float(one["log_hazard_ratio_total"])


@pytest.mark.parametrize("stage", ONE_STAGE)
def test_a_drug_on_one_stage_of_breast_cancer_acts_there(whys, stage):
    for why in whys.values():
        parts, total = parts_of(why, stage)
        assert abs(total) > 0.02, "the drug must do something"
        assert parts[stage] / total > 0.99
        assert parts.drop(stage).abs().sum() < 0.01 * abs(total)


def test_parts_of_every_treatment_add_up(whys):
    for why in whys.values():
        done = why.sel(treatment=[name for name in why["treatment"].values if name != "slow growth"])
        assert (done["reason"] == "ok").all()
        np.testing.assert_allclose(done["log_hazard_ratio"].sum("stage"), done["log_hazard_ratio_total"], atol=1e-9)
        ratio = np.log(done["hazard_treated"] / done["hazard_untreated"])
        np.testing.assert_allclose(done["log_hazard_ratio_total"], ratio, atol=1e-12)


def test_the_hazard_of_the_chain_is_the_simulated_one(why, lite):
    assert np.abs(why["residual_untreated"]).max() < 5e-4
    assert np.abs(why["residual_treated"]).max() < 2e-3
    run = cascade.simulate(lite, years=25, points=2001)
    assert float(why["hazard_untreated"]) == pytest.approx(cascade.readout(run, "h_since_surgery_5y").item(), rel=1e-4)


def test_orders_agree_for_drugs_on_one_stage(whys):
    pair = [whys[order]["log_hazard_ratio"].sel(treatment=list(ONE_STAGE)) for order in whys]
    np.testing.assert_allclose(*pair, atol=1e-5)


def test_adjuvant_drugs_act_after_surgery_only(why):
    parts, _ = parts_of(why, "adjuvant invasion")
    assert parts.abs().max() < 1e-9, "nothing is left to invade"
    for stage in ADJUVANT[1:]:
        parts, total = parts_of(why, f"adjuvant {stage}")
        assert total < -0.2
        assert parts[stage] / total > 0.99


def test_a_drug_on_signaling_acts_on_several_stages(why):
    parts, total = parts_of(why, "tgfbr1")
    assert parts["invasion"] < -1, "less EMT"
    assert parts["outgrowth"] < 0, "better immunity"
    assert parts["invasion"] / total < 0.9


def test_a_delayed_operation_is_growth_of_the_tumor(why):
    """Surgery at twice the size: what differs is how long and how large the tumor was."""
    parts, total = parts_of(why, "late surgery")
    assert total > 0.5
    assert parts["tumor_growth"] / total > 0.7


def test_a_treatment_that_prevents_surgery_has_a_reason_instead_of_parts(why):
    none = why.sel(treatment="slow growth")
    assert str(none["reason"].values) == "not operated within the horizon"
    for name in ("log_hazard_ratio", "hazard_difference_organ", "residual", "hazard_treated"):
        assert np.isnan(none[name]).all()


def test_the_whole_hazard_can_be_compared_if_one_of_two_is_operated(lite, treatments):
    parts, total = parts_of(waterfall(lite, treatments, "h_cumulative"), "slow growth")
    assert parts.sum() == pytest.approx(total, abs=1e-9)
    assert parts.idxmin() == "tumor_growth"


def test_a_treatment_alone_gives_what_it_gives_among_others(why, lite, treatments):
    alone = waterfall(lite, {"outgrowth": treatments["outgrowth"]})
    np.testing.assert_allclose(alone["log_hazard_ratio"][0], parts_of(why, "outgrowth")[0], atol=2e-5)
    assert float(alone["hazard_untreated"]) == pytest.approx(float(why["hazard_untreated"]), rel=1e-5)


def test_a_replaced_module_is_not_guessed(lite):
    own = replace(lite, instances={**lite.instances, "blood_clone_1": "my_blood"})
    drug = halved(lite, ONE_STAGE["outgrowth"])
    with pytest.raises(AnalysisError, match=r"stage"):
        waterfall(own, drug)
    why = waterfall(own, drug, stages={"my_blood.*": "circulation"})
    total = float(why["log_hazard_ratio_total"][0])
    assert float(why["log_hazard_ratio"].sel(stage="outgrowth")[0]) / total > 0.99


def test_targets_and_windows_are_checked(lite):
    assert list(target_treatments(lite, ["tmem"])) == ["tmem"]
    assert target_treatments(lite, ["tmem"])["tmem"][0].origin == "primary_tumor__t_surgery"
    assert len(target_treatments(lite)) > 20
    with pytest.raises(UnknownNameError, match="tmemm"):
        target_treatments(lite, ["tmemm"])
    with pytest.raises(UnknownNameError, match="neoadjuvant"):
        target_treatments(lite, ["tmem"], window="neoadjuvant")
    timed = target_treatments(lite, ["tmem"], window=(10, 100, "primary_tumor.t_surgery"), fraction=0.4)["tmem"][0]
    assert (timed.start, timed.stop, timed.factor) == (10, 100, pytest.approx(0.6))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "years"), [("breast", 25), ("prostate", 45)])
def test_several_clones_and_secondary_seeding(name, years):
    model = cascade.compose(cascade.load_composition(name))
    stages = ("intravasation", "extravasation", "outgrowth")
    why = waterfall(model, {stage: halved(model, ONE_STAGE[stage]) for stage in stages}, years=years)
    for stage in stages:
        one = why.sel(treatment=stage)
        assert float(one["log_hazard_ratio"].sel(stage=stage) / one["log_hazard_ratio_total"]) > 0.99
    assert np.abs(why["residual_untreated"]).max() < 1e-3
    assert list(why["organ"].values) == ["bone", "liver", "brain", "lung"]
