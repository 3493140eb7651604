"""Outcomes: conservation of probability, hazards beside the readouts, events beside closed forms, common luck."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from cohorts import ORGANS, cohort_model

from cascade import Model, inhibit, readout, simulate
from cascade.cohort.outcomes import DAYS_PER_MONTH, draw_events, follow_cohort
from cascade.cohort.summary import population_course
from cascade.errors import AnalysisError, UnknownNameError, ValueSettingError
from cascade.risk.biomarkers import measure_biomarkers
from cascade.specs import Wire


@pytest.fixture(scope="module")
def model(make_model) -> Model:
    """A small model of nine distant organs and a regional one, which does not count."""
    from dataclasses import replace

    plain = cohort_model(make_model)
    ids = dict(plain.ids) | {f"{organ}_lesions.h_cumulative": f"{organ}_lesions__h_cumulative" for organ in ORGANS}
    wire = Wire(
        reader="endpoints.h_cumulative",
        writers=tuple(f"{organ}_lesions.h_cumulative" for organ in ORGANS),
        formula="",
        unit="dimensionless",
    )
    return replace(plain, ids=ids, wiring=(wire,))


def people(**values: list[float]) -> xr.Dataset:
    count = len(next(iter(values.values())))
    data = {name: ("patient", np.asarray(each, dtype=float), {"role": "value"}) for name, each in values.items()}
    return xr.Dataset(data, coords={"patient": [f"p{number}" for number in range(count)]})


def hazards(h: list[float] | float, months: int = 24, before: float = 0.0, patients: int = 1) -> xr.Dataset:
    """Outcomes of patients with a constant hazard a month in two organs."""
    names = [f"p{number}" for number in range(patients)]
    rate = np.broadcast_to(np.atleast_2d(h), (patients, 2))
    course = rate[:, :, None] * np.arange(months + 1)
    early = np.broadcast_to(before * rate / rate.sum(axis=1, keepdims=True), (patients, 2))
    data = {
        "h_organ": (("patient", "organ", "month"), course),
        "h_distant": (("patient", "month"), course.sum(axis=1)),
        "h_before_organ": (("patient", "organ"), early),
        "h_before": ("patient", early.sum(axis=1)),
    }
    return xr.Dataset(data, coords={"patient": names, "organ": ["bone", "lung"], "month": np.arange(months + 1)})


@pytest.fixture(scope="module")
def outcomes(model: Model) -> xr.Dataset:
    cohort = people(k=[1e-4, 1e-3, 3e-4, 1e-3, 1e-3], day=[100, 777.7, 1e5, 3000, 800], b=[0, 0, 0, 0, 1])
    return follow_cohort(model, cohort, years_after=10, years=14)


def test_the_organs_add_up_and_the_hazard_never_falls(outcomes: xr.Dataset) -> None:
    known = outcomes.isel(patient=[0, 1])
    assert list(known["organ"].values) == list(ORGANS)
    np.testing.assert_allclose(known["h_organ"].sum("organ"), known["h_distant"], rtol=1e-12)
    np.testing.assert_allclose(known["h_before_organ"].sum("organ"), known["h_before"], rtol=1e-12)
    assert (known["h_organ"].diff("month") >= 0).all()
    assert (known["h_distant"].isel(month=0) == 0).all()
    assert (known["h_distant"].isel(month=-1) > 0).all()


def test_the_hazard_is_that_of_the_closed_form(outcomes: xr.Dataset) -> None:
    whole = sum(1 / number for number in range(1, 10)) / 2

    def total(k: float, day: xr.DataArray) -> xr.DataArray:
        return k * whole * 3000 * (1 - np.exp(-day / 3000))

    for patient, (k, day) in {"p0": (1e-4, 100.0), "p1": (1e-3, 777.7)}.items():
        one = outcomes.sel(patient=patient)
        later = day + one["month"] * DAYS_PER_MONTH
        np.testing.assert_allclose(one["h_distant"], total(k, later) - total(k, day), atol=5e-5 * k * whole * 3000)
        assert float(one["h_before"]) == pytest.approx(total(k, day), rel=1e-3)


def test_who_cannot_be_followed_has_a_reason(outcomes: xr.Dataset) -> None:
    assert outcomes["reason"].values.tolist() == [
        "ok",
        "ok",
        "not operated within the horizon",
        "the simulated time ends less than 10 years after surgery",
        str(outcomes["reason"].values[4]),
    ]
    assert str(outcomes["reason"].values[4]).startswith("run failed")
    assert str(outcomes["status"].values[4]) != "ok"
    assert outcomes["h_distant"].isel(patient=[2, 4]).isnull().all()
    short = outcomes["h_distant"].isel(patient=3)
    assert short.isel(month=slice(0, 50)).notnull().all()
    assert short.isel(month=-1).isnull()
    events = draw_events(outcomes)
    assert events["time"].isel(patient=[2, 4]).isnull().all()
    assert not events["event"].isel(patient=[2, 4]).any()
    assert list(events["reason"].values) == list(outcomes["reason"].values)
    censored = events.isel(patient=3)
    assert float(censored["time"]) <= float(short["month"].where(short.notnull()).max())


def test_a_patient_has_the_same_outcome_in_any_cohort_and_from_a_store(
    model: Model, outcomes: xr.Dataset, tmp_path: Path
) -> None:
    alone = people(k=[1e-3], day=[777.7], b=[0]).assign_coords(patient=["p1"])
    found = follow_cohort(model, alone, years_after=10, years=14)
    np.testing.assert_array_equal(found["h_organ"], outcomes["h_organ"].sel(patient=["p1"]))
    first = follow_cohort(model, alone, years_after=10, years=14, store=tmp_path / "runs.zarr")
    again = follow_cohort(model, alone, years_after=10, years=14, store=tmp_path / "runs.zarr", resume=True)
    xr.testing.assert_equal(first, again)
    np.testing.assert_array_equal(first["h_distant"], found["h_distant"])


def test_an_arm_treats_all_patients(model: Model) -> None:
    cohort = people(k=[1e-3, 1e-4], day=[400, 400])
    treated = follow_cohort(model, cohort, years_after=5, years=8, arm=inhibit("k", by=0.5))
    plain = follow_cohort(model, cohort, years_after=5, years=8)
    np.testing.assert_allclose(treated["h_distant"], plain["h_distant"] / 2, rtol=1e-6)
    assert treated.attrs["arm"] == "inhibit k by 0.5"
    before, after = draw_events(plain, seed=3), draw_events(treated, seed=3)
    assert (after["time"] >= before["time"]).all()


def test_wrong_questions_are_refused(model: Model, make_model) -> None:
    with pytest.raises(AnalysisError, match="no surgery and no hazard"):
        follow_cohort(make_model("k = 1; x = 1; x' = -k*x"), people(k=[1.0]))
    with pytest.raises(AnalysisError, match="over the dimension `patient`"):
        follow_cohort(model, xr.Dataset({"k": 1.0}))
    with pytest.raises(AnalysisError, match="'p0' is in the cohort twice"):
        follow_cohort(model, people(k=[1.0, 2.0]).assign_coords(patient=["p0", "p0"]))
    with pytest.raises(AnalysisError, match="k of patient 'p1' is missing"):
        follow_cohort(model, people(k=[1.0, np.nan]))
    with pytest.raises(UnknownNameError, match="kk"):
        follow_cohort(model, people(kk=[1.0]))
    with pytest.raises(ValueSettingError, match="years_after"):
        follow_cohort(model, people(k=[1.0]), years_after=-1)
    with pytest.raises(AnalysisError, match="draw_events needs h_distant"):
        draw_events(people(k=[1.0]))
    with pytest.raises(AnalysisError, match="seed is -1"):
        draw_events(hazards([0.1, 0.1]), seed=-1)


def test_the_share_without_event_is_that_of_the_hazard() -> None:
    patients = 20_000
    events = draw_events(hazards([0.02, 0.01], before=0.1, patients=patients), seed=5)
    early = events["metastatic_at_diagnosis"]
    p = 1 - np.exp(-0.1)
    assert float(early.mean()) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / patients))
    assert (events["time"].where(early, drop=True) == 0).all()
    rest = events.where(~early, drop=True)
    for month in (1, 6.5, 12, 23.9):
        free = np.exp(-0.03 * month)
        found = float((rest["time"] > month).mean())
        assert found == pytest.approx(free, abs=4 * np.sqrt(free * (1 - free) / rest.sizes["patient"])), month
    late = rest.where(~rest["event"].astype(bool), drop=True)
    assert (late["time"] == 24).all()
    assert (late["organ"] == "").all()


def test_the_organ_of_an_event_is_drawn_in_proportion_to_the_hazards() -> None:
    events = draw_events(hazards([0.06, 0.02], before=0.3, patients=20_000), seed=2)
    for some in (events["metastatic_at_diagnosis"], events["event"] & ~events["metastatic_at_diagnosis"]):
        organ = events["organ"].where(some, drop=True)
        assert float((organ == "bone").mean()) == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / organ.size))
        assert set(np.unique(organ.values)) == {"bone", "lung"}


def test_events_of_a_patient_depend_on_nobody_else_and_on_the_seed() -> None:
    many, few = hazards([0.05, 0.02], patients=50), hazards([0.05, 0.02], patients=50).isel(patient=[7, 3])
    xr.testing.assert_equal(draw_events(few, seed=4), draw_events(many, seed=4).isel(patient=[7, 3]))
    assert not draw_events(many, seed=4)["time"].equals(draw_events(many, seed=5)["time"])
    one = many.copy()
    one.attrs["seed"] = 4
    xr.testing.assert_equal(draw_events(one), draw_events(many, seed=4))


@pytest.mark.parametrize("factor", [0.0, 0.3, 0.999])
def test_a_lower_hazard_never_brings_the_event_forward(factor: float) -> None:
    control = hazards([0.05, 0.02], before=0.1, patients=500)
    arm = control.copy()
    for name in ("h_organ", "h_distant", "h_before", "h_before_organ"):
        arm[name] = control[name] * factor
    before, after = draw_events(control), draw_events(arm)
    assert (after["time"] >= before["time"]).all()
    assert not (after["event"] & ~before["event"]).any()


def test_the_stage_is_that_of_size_nodes_and_metastasis(model: Model) -> None:
    count = 40
    cohort = people(k=[1e-4] * count, z=[2e-3] * count, day=[600.0] * count)
    sizes = np.tile([15.0, 30.0, 70.0, np.nan], count // 4)
    cohort["diameter_mm"] = ("patient", sizes, {"role": "measure"})
    outcomes = follow_cohort(model, cohort, years_after=2, years=5)
    # the regional organ has 1.7 lesions for each overt one
    nodes = 1 - np.exp(-1.7 * 2e-3 * 3000 * (1 - np.exp(-600 / 3000)))
    np.testing.assert_allclose(outcomes["p_node"], nodes, rtol=1e-3)
    known = outcomes.isel(patient=np.isfinite(sizes))
    np.testing.assert_allclose(known["p_stage"].sum("stage"), 1)
    np.testing.assert_allclose(known["p_stage"].sel(stage="M1"), -np.expm1(-known["h_before"]))
    assert outcomes["p_stage"].isel(patient=3).isnull().all()
    events = draw_events(outcomes, seed=7)
    stage = events["stage"].values
    assert ((stage == "M1") == events["metastatic_at_diagnosis"].values).all()
    assert set(stage[3::4]) <= {"", "M1"}
    assert {text[:2] for text in stage[::4]} <= {"T1", "M1"}
    read = measure_biomarkers(cohort, outcomes, features=["p_node"], seed=7).values[:, 0]
    local = (stage != "M1") & (stage != "")
    assert (np.char.endswith(stage[local].astype(str), "N+") == (read[local] == 1)).all()
    assert 0 < read.mean() < 1
    for name, share in population_course(outcomes.isel(patient=slice(0, 1)))["p_stage"].to_series().items():
        assert share == pytest.approx(float(outcomes["p_stage"].sel(stage=name)[0]))


def test_weight_and_genotype_go_along(model: Model) -> None:
    cohort = people(k=[1e-3, 1e-4], day=[400, 400])
    cohort["weight"] = ("patient", [0.5, 1.5], {"role": "weight"})
    cohort["has_genotype"] = (("patient", "genotype"), [[True], [False]], {"role": "genotype"})
    cohort = cohort.assign_coords(genotype=["tp53_loss"])
    events = draw_events(follow_cohort(model, cohort, years_after=2, years=5))
    assert events["weight"].values.tolist() == [0.5, 1.5]
    assert events["has_genotype"].sel(genotype="tp53_loss").values.tolist() == [True, False]


def test_the_value_at_the_operation_is_carried_on_to_it(make_model) -> None:
    model = make_model(
        "day = 100; primary_tumor__t_surgery := day; n = 1; n' = 0.01*n; E: at time >= day, t0=false: n = 0;"
        "s := 2 + time; c = 3"
    )
    runs = simulate(model, days=300, points=11, values={"day": xr.DataArray([95.0, 1000.0, 70.0], dims="run")})
    found = readout(runs, "at_operation:n")
    assert found.values[[0, 2]] == pytest.approx(np.exp([0.95, 0.7]), rel=1e-4)
    assert np.isnan(found.values[1])
    assert found["reason"].values.tolist()[1] == "not operated within the horizon"
    assert readout(runs, "at_operation:s").values[0] == pytest.approx(97, rel=0.02)


@pytest.mark.slow
def test_outcomes_agree_with_the_readouts_of_the_patient_model() -> None:
    import cascade

    model = cascade.compose(cascade.load_composition("breast_lite"))
    cohort = people(f_metastatic_potential=[1.0, 5.0])
    outcomes = follow_cohort(model, cohort)
    runs = simulate(
        model, years=25, points=2001, values={"f_metastatic_potential": xr.DataArray([1.0, 5.0], dims="patient")}
    )
    for years in (5, 10):
        exact = readout(runs, f"h_since_surgery_{years}y")
        np.testing.assert_allclose(outcomes["h_distant"].sel(month=12 * years), exact, rtol=2e-3)
    np.testing.assert_allclose(outcomes["diameter_mm"], 20, rtol=2e-3)
    assert (outcomes["p_ctc"] > 0.1).all()
    assert {"a_emt", "f_stem", "f_vessel", "p_o2", "d_cd8", "f_mesenchymal"} <= set(outcomes.data_vars)
