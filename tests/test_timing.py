"""When shipped drugs are given, and with what: what the joined modules say, each with its knock-out.

Anti-VEGF around PD-1 blockade in a tissue of three modules; drugs that unlock the memory of EMT in a dish; PD-1
blockade before or after surgery in a patient (slow). The tests hold what emerges, also where it is against a trial.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from folders import make_shipped_composition

import cascade

START = 400.0  # day of the first dose of pembrolizumab, long after the tissue has settled
WEEKS_12 = slice(START, START + 84)
TUMOR = 4e9  # cells, held, so that only the milieu changes


def run(model, days, values, **more):
    data = cascade.simulate(model, days=days, points=int(days) + 1, values=values, **more)
    assert (data["status"] == "ok").all()
    return data


# ---------------------------------------------------------------- anti-VEGF and PD-1 blockade

WITHIN = {
    "microenvironment.c_ifng": "pdl1_immune.c_ifng",
    "microenvironment.v_tgfb_supply": "pdl1_immune.v_tgfb_treg",
    "pdl1_immune.c_tgfb": "microenvironment.c_tgfb",
    "pdl1_immune.c_lactate": "microenvironment.c_lactate",
    "pdl1_immune.f_mdsc": "microenvironment.f_mdsc",
    "pdl1_immune.f_excluded": "microenvironment.f_excluded",
}
FROM_VESSELS = {
    "microenvironment.c_hif": "hypoxia_vegf.c_hif",
    "microenvironment.f_perfusion": "hypoxia_vegf.f_perfusion",
    "pdl1_immune.c_hif": "hypoxia_vegf.c_hif",
}
PLANS = {  # pembrolizumab, day of bevacizumab after it, share of its dose
    "nothing": (0, 0, 0.0),
    "anti-VEGF": (0, 0, 1.0),
    "anti-PD-1": (1, 0, 0.0),
    "four weeks before": (1, -28, 1.0),
    "together": (1, 0, 1.0),
    "four weeks after": (1, 28, 1.0),
    "together, a hundredth": (1, 0, 0.01),
}


def tissue(folder, joins):
    """Run a tissue with the joins of `carcinoma` under every plan."""
    instances = {name: name for name in ("hypoxia_vegf", "microenvironment", "pdl1_immune")}
    model = cascade.compose(cascade.load_composition(make_shipped_composition(folder, instances, joins)))
    model = cascade.treat(
        model,
        cascade.regimen("pembrolizumab", "neoadjuvant", start=START),
        cascade.regimen("bevacizumab", start=START, doses=12),
    )
    blockade, day, share = (
        xr.DataArray(list(column), dims="plan", coords={"plan": list(PLANS)})
        for column in zip(*PLANS.values(), strict=True)
    )
    held = {"f_coupled": 1.0, "n_tumor_external": TUMOR, "k_growth_external": 0.0047}
    values = {f"hypoxia_vegf.{name}": value for name, value in held.items()}
    values |= {"pdl1_immune.f_coupled": 1.0, "pdl1_immune.n_tumor": TUMOR}
    values |= {
        "pembrolizumab__n_dose_1": blockade * model.parameter("pembrolizumab__n_dose_1").nominal,
        "bevacizumab__n_dose_1": share * model.parameter("bevacizumab__n_dose_1").nominal,
        "bevacizumab__t_start_1": START + day,
    }
    return run(model, START + 168, values)


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    return tissue(tmp_path_factory.mktemp("joined"), WITHIN | FROM_VESSELS)


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """Knock-out: immune cells and stroma do not feel the vessels."""
    return tissue(tmp_path_factory.mktemp("apart"), WITHIN)


def against(data, name, plan, other):
    return data[name].sel(plan=plan) / data[name].sel(plan=other)


def test_a_window_of_days_opens_and_closes(joined):
    """Winkler 2004, Dings 2007: oxygen up for days, then below; lactate and suppression of T cells follow it."""
    oxygen = against(joined, "hypoxia_vegf__p_o2", "anti-VEGF", "nothing").sel(time=slice(START, None))
    assert 1.1 < float(oxygen.max()) < 1.5 and float(oxygen.idxmax("time")) < START + 5
    closed = oxygen["time"].where((oxygen < 1) & (oxygen["time"] > START + 1)).min() - START
    assert 3 < float(closed) < 14
    kill = against(joined, "pdl1_immune__k_kill", "together", "anti-PD-1").sel(time=slice(START, None))
    assert 1.03 < float(kill.max()) < 1.15 and float(kill.idxmax("time")) < START + 7
    assert float(kill.sel(time=START + 84)) < 0.6, "then hypoxia, lactate and MDSC take more than the window gave"


def test_without_the_joins_from_the_vessels_there_is_no_window_and_no_harm(apart):
    for plan in ("four weeks before", "together", "four weeks after"):
        kill = against(apart, "pdl1_immune__k_kill", plan, "anti-PD-1")
        np.testing.assert_allclose(kill, 1.0, rtol=1e-4)
    np.testing.assert_allclose(against(apart, "pdl1_immune__k_kill", "anti-VEGF", "nothing"), 1.0, rtol=1e-4)
    assert float(against(apart, "hypoxia_vegf__p_o2", "anti-VEGF", "nothing").max()) > 1.1, "the vessels answer"


def test_full_dose_anti_vegf_lowers_killing_the_more_the_earlier_it_starts(joined):
    """Mean over twelve weeks. Nothing in the modules lets VEGF hold T cells back, nor blood flow bring them in."""
    kill = joined["pdl1_immune__k_kill"].sel(time=WEEKS_12).mean("time")
    order = kill.sel(plan=["four weeks before", "together", "four weeks after", "anti-PD-1"]).values
    assert (np.diff(order) > 0).all() and order[0] < 0.6 * order[3]
    lactate = joined["microenvironment__c_lactate"].sel(time=START + 84)
    assert float(lactate.sel(plan="together")) > 1.5 * float(lactate.sel(plan="anti-PD-1"))


def test_a_low_dose_keeps_the_window_open(joined):
    """Huang 2012: a low dose normalizes, a high one prunes. Here a hundredth: for the sign, not the size."""
    kill = joined["pdl1_immune__k_kill"].sel(time=WEEKS_12).mean("time")
    assert 1.0 < float(kill.sel(plan="together, a hundredth") / kill.sel(plan="anti-PD-1")) < 1.1
    late = against(joined, "hypoxia_vegf__p_o2", "together, a hundredth", "anti-PD-1").sel(time=slice(START, None))
    assert float(late.min()) > 0.99


# ---------------------------------------------------------------- unlocking the memory of EMT

LOCKED = 120.0  # day: 60 with much TGF-beta, 60 with what keeps the state
KEEPING = 8e-4  # nM of TGF-beta: holds cells mesenchymal, and can be blocked by the shipped dose
COURSE = {"start": LOCKED, "stop": LOCKED + 300}
CONTINUOUS = {"days_on": None, "days_off": 0.0}
UNLOCKING = {  # galunisertib, decitabine as approved, decitabine always, tazemetostat, memory
    "nothing": (0, 0, 0, 0, 1),
    "galunisertib": (1, 0, 0, 0, 1),
    "decitabine always": (0, 0, 1, 0, 1),
    "tazemetostat": (0, 0, 0, 1, 1),
    "galunisertib + decitabine as approved": (1, 1, 0, 0, 1),
    "galunisertib + decitabine always": (1, 0, 1, 0, 1),
    "galunisertib + tazemetostat": (1, 0, 0, 1, 1),
    "galunisertib + decitabine as approved + tazemetostat": (1, 1, 0, 1, 1),
    "nothing, no memory": (0, 0, 0, 0, 0),
    "galunisertib, no memory": (1, 0, 0, 0, 0),
}
HYBRID, MESENCHYMAL = 0.25, 0.85


@pytest.fixture(scope="module")
def dish():
    """Score of EMT in one cell under every arm, from the first dose on."""
    model = cascade.treat(
        cascade.compose(cascade.load_composition("carcinoma_cell")),
        cascade.activate("c_tgfb_dish", by=1.0, stop=60.0),
        cascade.regimen("galunisertib", averaged=True, **COURSE, **CONTINUOUS),
        cascade.regimen("decitabine", **COURSE),
        cascade.regimen("decitabine", **COURSE, **CONTINUOUS),
        cascade.regimen("tazemetostat", **COURSE),
    )
    blocked, approved, always, ezh2, memory = (
        xr.DataArray(list(map(float, column)), dims="arm", coords={"arm": list(UNLOCKING)})
        for column in zip(*UNLOCKING.values(), strict=True)
    )
    values = {"c_tgfb_dish": KEEPING, "factor_on_c_tgfb_dish": 0.05 / KEEPING}
    values["galunisertib__n_dose_1"] = blocked * model.parameter("galunisertib__n_dose_1").nominal
    values |= {"decitabine__a_level_1": approved, "decitabine__a_level_2": always, "tazemetostat__a_level_1": ezh2}
    for name in ("csc_epi__f_silencing_mark", "csc_epi__f_silencing_methylation"):
        values[name] = memory * model.parameter(name).nominal
    return run(model, LOCKED + 299, values).sel(time=slice(LOCKED, None))


def score(dish, arm, day=299):
    return float(dish["emt__a_emt"].sel(arm=arm, time=LOCKED + day))


def test_a_tgf_beta_inhibitor_alone_fails_in_the_locked_state(dish):
    """SMAD signaling falls to two fifths and cells stay mesenchymal; knock-out of memory: it suffices."""
    smad = dish["tgf_beta__c_psmad"].sel(time=LOCKED + 40)
    assert float(smad.sel(arm="galunisertib") / smad.sel(arm="nothing")) < 0.45
    assert score(dish, "galunisertib") > MESENCHYMAL
    assert score(dish, "galunisertib, no memory", 30) < HYBRID
    assert score(dish, "nothing, no memory") > MESENCHYMAL, "TGF-beta itself, not memory, holds that state"


@pytest.mark.parametrize("arm", ["decitabine always", "tazemetostat"])
def test_without_the_tgf_beta_inhibitor_the_unlocked_state_is_kept_up_by_tgf_beta(dish, arm):
    methylated = dish["csc_epi__f_methylated_mir200"].sel(time=LOCKED + 299)
    assert float(methylated.sel(arm=arm)) < 0.7 * float(methylated.sel(arm="nothing"))
    assert score(dish, arm) > MESENCHYMAL


def test_a_dnmt_inhibitor_unlocks_and_the_tgf_beta_inhibitor_then_works(dish):
    """Gregory 2011, in a month, if decitabine were held at its stated concentration."""
    assert score(dish, "galunisertib + decitabine always", 45) < HYBRID
    assert score(dish, "galunisertib + decitabine always") < HYBRID


def test_schedules_of_patients_unlock_only_together(dish):
    """Three days in six weeks of decitabine let methylation come back; an EZH2 inhibitor beside it closes that way."""
    for arm in ("galunisertib + decitabine as approved", "galunisertib + tazemetostat"):
        assert score(dish, arm) > MESENCHYMAL, arm
    assert score(dish, "galunisertib + decitabine as approved + tazemetostat") < HYBRID


# ---------------------------------------------------------------- before or after surgery


@pytest.mark.slow
def test_blockade_before_surgery_protects_more_than_after():
    """Patel 2023, Liu 2016: the tumor primes T cells that reach the lesions. Knock-out: as much antigen afterwards."""
    model = cascade.compose(
        cascade.load_composition("breast_tnbc", index={"subclone": [], "secondary": [], "regional": []})
    )
    doses = {"origin": "diagnosis", "doses": 8}
    model = cascade.treat(
        model,
        cascade.Surgery(day=168),
        cascade.activate("pdl1_immune.a_antigenicity", by=19.0, origin="primary_tumor__t_surgery"),
        cascade.regimen("pembrolizumab", "neoadjuvant", **doses),
        cascade.regimen("pembrolizumab", "neoadjuvant", **doses | {"origin": "surgery", "start": 21}),
    )
    plans = ["surgery only", "before", "after"]
    values = {
        f"pembrolizumab__n_dose_{number}": xr.DataArray(given, dims="plan", coords={"plan": plans})
        * model.parameter(f"pembrolizumab__n_dose_{number}").nominal
        for number, given in ((1, [0.0, 1.0, 0.0]), (2, [0.0, 0.0, 1.0]))
    }
    values["factor_on_pdl1_immune__a_antigenicity"] = xr.DataArray([1.0, 20.0], dims="antigen")
    record = ["t_diagnosis", "primary_tumor__t_surgery", "pdl1_immune__a_priming", "pdl1_immune__f_immune"]
    data = run(model, 10 * 365, values, record=[*record, "endpoints__h_since_surgery"])
    overt = cascade.readout(data, "p_overt_5y")
    gain = 1 - overt.sel(plan=["before", "after"]) / overt.sel(plan="surgery only")
    surgery = data["primary_tumor__t_surgery"].sel(plan="after").isel(time=-1)
    primed = data["pdl1_immune__a_priming"].sel(plan="after")
    early, late = (primed.sel(time=surgery + day, method="nearest").values for day in (-30, 40))
    before, after = (gain.sel(plan=plan).values for plan in ("before", "after"))
    assert before[0] > 0.3 and 0 <= after[0] < 0.1
    assert late[0] < 0.1 * early[0], "after surgery there is little to prime T cells"
    assert late[1] > 0.9 * early[1] and after[1] > 5 * after[0] and after[1] < before[1]
