"""Searches of schedules find optima that are known: in closed form, or by trying a whole grid."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from drug_folders import make_drug
from typer.testing import CliRunner

import cascade
from cascade._candidates import space_of, total_of
from cascade.errors import AnalysisError, DrugError, UnknownNameError
from cascade.evaluate import evaluate
from cascade.optimize import Optimum, optimize_regimen
from cascade.specs import Model
from cascade.therapy.regimens import Regimen

Make = Callable[..., Model]

# Cells are sensitive around day 40: a pulse of 10 days kills most from day 35 to day 45, by symmetry.
SENSITIVE = "tumor__a_drug = 0; lnn = 0; lnn' = 0.1 - s*tumor__a_drug*exp(-((time - 40)/8)^2/2); s = 0.5"
# What opens vessels lets the other drug in, but prunes them too.
VESSELS = """
vessel__a_open = 0; tumor__a_kill = 0; norm = 0; norm' = 0.2*(vessel__a_open - norm);
pruned = 0; pruned' = 0.03*vessel__a_open; lnn = 0; lnn' = 0.1 - 0.5*tumor__a_kill*(0.3 + norm)*exp(-pruned)
"""
KILL = "tumor__a_drug = 0; lnn = 0; lnn' = 0.1 - 0.5*tumor__a_drug"
IV = '[regimens.iv]\ntitle = "iv"\ndose = 100\nunit = "mg"\nroute = "bolus"\nevery = 7\n'
RUN = {"years": 0.3, "points": 201, "workers": 1}


@pytest.fixture(scope="module")
def make(make_model: Make) -> Callable[[str], Model]:
    """Antimony -> model of instances `tumor` and `vessel`, whose ports drugs of tests act on."""

    def build(text: str) -> Model:
        model = make_model(text)
        names = {name.replace("__", ".", 1): name for name in model.ids if "__" in name}
        return replace(model, ids={**model.ids, **names}, instances={"tumor": "tumor", "vessel": "vessel"})

    return build


def pulse(folder: Path, name: str, port: str, length: float, start: float = 0.0) -> Regimen:
    """A drug at full effect for some days, once."""
    drug = make_drug(folder, name, port=port, ec50=1e-6)
    return replace(cascade.regimen(drug), start=start, days_on=length, days_off=1000.0)


@pytest.fixture(scope="module")
def timed(make: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Regimen]:
    return make(SENSITIVE), pulse(tmp_path_factory.mktemp("timed"), "pulse", "tumor.a_drug", 10.0)


@pytest.fixture(scope="module")
def best_start(timed: tuple[Model, Regimen]) -> Optimum:
    return optimize_regimen(*timed, "final:lnn", free={"start": (0, 80)}, budget=60, seed=3, **RUN)


def test_the_best_start_is_that_of_the_closed_form(best_start: Optimum) -> None:
    from scipy.special import erf

    assert best_start.regimen.start == pytest.approx(35, abs=0.2)
    killed = 0.5 * 8 * np.sqrt(2 * np.pi) * erf(5 / 8 / np.sqrt(2))
    assert best_start.value == pytest.approx(0.1 * 0.3 * 365.25 - killed, abs=1e-3)


def test_everything_that_was_evaluated_is_kept(best_start: Optimum, timed: tuple[Model, Regimen]) -> None:
    runs = best_start.evaluated
    assert runs.attrs["simulated"] == runs.sizes["candidate"] <= 60
    assert runs.attrs["failed"] == runs.attrs["refused"] == 0
    assert list(dict.fromkeys(runs["stage"].values.tolist())) == ["given", "search", "refine"]
    assert runs["start"].values[0] == 0  # the regimen as it was given comes first
    assert runs["objective"].values.min() == runs["objective"].values[runs.attrs["best"]] == best_start.value
    assert len(np.unique(runs["start"])) == runs.sizes["candidate"]  # nothing is simulated twice
    treated = cascade.treat(timed[0], best_start.regimen)
    again = evaluate(treated, {}, ["final:lnn"], **RUN)["final:lnn"].item()
    assert again == pytest.approx(best_start.value, rel=1e-5)


def test_the_same_seed_searches_the_same(timed: tuple[Model, Regimen]) -> None:
    one, other, third = (
        optimize_regimen(*timed, "final:lnn", free={"start": (0, 80)}, budget=20, seed=seed, **RUN)
        for seed in (0, 0, 1)
    )
    assert one.evaluated.identical(other.evaluated)
    assert not np.array_equal(one.evaluated["start"][:5], third.evaluated["start"][:5])


def test_the_worst_start_is_found_when_asked_for(timed: tuple[Model, Regimen]) -> None:
    worst = optimize_regimen(*timed, "final:lnn", free={"start": (20, 60)}, maximize=True, budget=30, **RUN)
    assert worst.value == worst.evaluated["objective"].max()
    assert min(abs(worst.regimen.start - 20), abs(worst.regimen.start - 60)) < 0.5


def test_two_drugs_find_the_window_between_them(make: Callable[[str], Model], tmp_path: Path) -> None:
    model = make(VESSELS)
    first = pulse(tmp_path, "opener", "vessel.a_open", 60.0)
    second = pulse(tmp_path, "killer", "tumor.a_kill", 10.0, start=50.0)
    found = optimize_regimen(model, [first, second], "final:lnn", free={"opener.start": (0, 80)}, budget=60, **RUN)
    days = np.linspace(0, 80, 161)
    treated = cascade.treat(model, replace(first, start=1.0), second)
    grid = {"opener.t_start_1": xr.DataArray(days, dims="day")}
    tried = evaluate(treated, grid, ["final:lnn"], **RUN)["final:lnn"].values
    assert found.regimens[0].start == pytest.approx(days[tried.argmin()], abs=0.5)
    assert found.value <= tried.min() + 1e-6
    assert tried.min() < tried[0] - 0.5 and tried.min() < tried[100] - 0.5  # neither at once nor at the same time
    assert found.regimens[1] == second


@pytest.fixture(scope="module")
def dosed(make: Callable[[str], Model], tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Regimen]:
    numbers = {"cl_linear": 2.0, "vol_central": 10.0, "k_tumor": 50.0, "ec50": 100.0, "hill": 3.0}
    drug = make_drug(
        tmp_path_factory.mktemp("dosed"), "toxin", "one_compartment", port="tumor.a_drug", regimens=IV, **numbers
    )
    return make(KILL), cascade.regimen(drug, stop=60.0)


def test_doses_are_fractionated_as_well_as_a_grid_says(dosed: tuple[Model, Regimen]) -> None:
    model, plan = dosed
    found = optimize_regimen(
        model, plan, "final:lnn", free={"every": (1, 30), "dose": (0, 1e4)}, total_dose=10.0, budget=30, **RUN
    )
    tried = []
    for every in np.arange(1.0, 30.1, 3.0):
        given = replace(plan, every=float(every))
        given = replace(given, dose=given.dose * 10.0 / total_of(given))
        tried.append(evaluate(cascade.treat(model, given), {}, ["final:lnn"], **RUN)["final:lnn"].item())
    assert found.value <= min(tried) + 0.01 * abs(min(tried))
    assert tried[0] > min(tried) + 0.1 and tried[-1] > min(tried) + 0.1  # the optimum lies between the bounds
    assert found.evaluated["total_dose"].max() <= 10.0 * (1 + 1e-9)
    assert total_of(found.regimen) == pytest.approx(10.0)  # more helps here, so that all is given


def test_a_limit_leaves_out_the_last_doses(dosed: tuple[Model, Regimen]) -> None:
    _, plan = dosed
    space = space_of((plan,), {"every": (1, 30)}, 450.0)
    (short,) = space.plans([2.0])
    assert short.doses == 4 and total_of(short) == 400.0
    (whole,) = space.plans([20.0])
    assert whole.doses is None and total_of(whole) == 300.0
    with pytest.raises(DrugError, match="above the limit of 50"):
        space_of((plan,), {"every": (1, 30)}, 50.0).plans([7.0])
    lowered = space_of((plan,), {"dose": (10, 200)}, 450.0)
    assert lowered.plans([100.0])[0].dose == pytest.approx(50.0)  # nine doses in 60 days
    with pytest.raises(DrugError, match="above the limit"):
        space_of((plan,), {"dose": (60, 200)}, 450.0).plans([100.0])


def test_patients_are_averaged_and_failures_counted(timed: tuple[Model, Regimen]) -> None:
    model, plan = timed
    strength = xr.DataArray([0.3, 0.7], dims="patient")
    found = optimize_regimen(
        model, plan, "final:lnn", free={"start": (0, 80)}, values={"s": strength}, budget=16, **RUN
    )
    outcome = found.evaluated["outcome"]
    assert outcome.dims == ("candidate", "patient")
    np.testing.assert_allclose(outcome.mean("patient"), found.evaluated["objective"])
    # A regimen that would end before it begins is refused, told and not simulated.
    ending = replace(plan, stop=30.0)
    found = optimize_regimen(model, ending, "final:lnn", free={"start": (0, 80)}, budget=16, **RUN)
    reasons = found.evaluated["reason"].values
    assert found.evaluated.attrs["refused"] == sum(reason != "ok" for reason in reasons) > 0
    assert any("is not after start" in reason for reason in reasons)
    assert found.regimen.start < 30


def test_failed_runs_are_no_result(make: Callable[[str], Model], tmp_path: Path) -> None:
    model = make("tumor__a_drug = 0; lnn = 0; x = 1; x' = 0.02*tumor__a_drug*x^2; lnn' = -1 + x")
    plan = pulse(tmp_path, "burst", "tumor.a_drug", 60.0)  # x grows without bound within 50 days of treatment
    found = optimize_regimen(model, plan, "final:lnn", free={"start": (0, 100)}, budget=16, **RUN)
    runs = found.evaluated
    failed = [reason.startswith("run failed") for reason in runs["reason"].values.tolist()]
    assert runs.attrs["failed"] == sum(failed) > 0
    assert np.isnan(runs["objective"].values[failed]).all()
    with pytest.raises(AnalysisError, match=r"none of .* candidates has a result"):
        optimize_regimen(model, plan, "final:lnn", free={"start": (0, 0.5)}, budget=10, **RUN)


def test_a_stopped_search_goes_on(timed: tuple[Model, Regimen], tmp_path: Path) -> None:
    ask = {"free": {"start": (0, 80)}, "budget": 16, "store": tmp_path / "runs", **RUN}
    first = optimize_regimen(*timed, "final:lnn", **ask)
    again = optimize_regimen(*timed, "final:lnn", resume=True, **ask)
    assert again.evaluated.identical(first.evaluated)
    with pytest.raises(AnalysisError):
        optimize_regimen(*timed, "final:lnn", **ask)  # the folder is there, and nobody said resume


def test_whole_numbers_stay_whole(dosed: tuple[Model, Regimen]) -> None:
    model, plan = dosed
    found = optimize_regimen(
        model, replace(plan, stop=None), "final:lnn", free={"doses": (1, 4)}, total_dose=350.0, budget=10, **RUN
    )
    assert found.regimen.doses == 3  # a fourth dose would be beyond the limit
    assert found.evaluated.attrs["simulated"] <= 4
    assert set(found.evaluated["doses"].values.tolist()) <= {1.0, 2.0, 3.0}


def test_wrong_questions_are_answered_in_words(timed: tuple[Model, Regimen], dosed: tuple[Model, Regimen]) -> None:
    model, plan = timed
    with pytest.raises(AnalysisError, match="give what is free with its bounds"):
        optimize_regimen(model, plan, "final:lnn", free={}, **RUN)
    with pytest.raises(UnknownNameError, match="no free field 'begin'"):
        optimize_regimen(model, plan, "final:lnn", free={"begin": (0, 1)}, **RUN)
    with pytest.raises(UnknownNameError, match="no regimen 'other'"):
        optimize_regimen(model, plan, "final:lnn", free={"other.start": (0, 1)}, **RUN)
    with pytest.raises(AnalysisError, match="the lower first"):
        optimize_regimen(model, plan, "final:lnn", free={"start": (5, 1)}, **RUN)
    with pytest.raises(AnalysisError, match=r"cannot be free: .*means nothing for a stated"):
        optimize_regimen(model, plan, "final:lnn", free={"every": (1, 5)}, **RUN)
    with pytest.raises(AnalysisError, match="total_dose of pulse is -1"):
        optimize_regimen(model, plan, "final:lnn", free={"start": (0, 1)}, total_dose=-1, **RUN)
    with pytest.raises(AnalysisError, match=r"2 regimens; write pulse\.start"):
        optimize_regimen(model, [plan, dosed[1]], "final:lnn", free={"start": (0, 1)}, **RUN)
    with pytest.raises(AnalysisError, match="give what regimen"):
        optimize_regimen(model, "pulse", "final:lnn", free={"start": (0, 1)}, **RUN)
    with pytest.raises(AnalysisError, match="before surgery, which is not known"):
        late = replace(plan, origin="surgery")
        optimize_regimen(model, late, "final:lnn", free={"start": (-30, 30)}, **RUN)
    with pytest.raises(AnalysisError, match="resume needs the folder"):
        optimize_regimen(model, plan, "final:lnn", free={"start": (0, 1)}, resume=True, **RUN)


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    import typer

    from cascade.cli._optimize import commands

    app = typer.Typer()
    app.registered_commands += commands.registered_commands
    drug = make_drug(tmp_path, "blocker", port="hypoxia_vegf.c_vegfr_inhibitor", ec50=1.0, emax=100.0)
    out = tmp_path / "search.nc"
    given = ["hypoxia_vegf", "--drug", str(drug), "--free", "dose=0:5", "--readout", "final:f_perfusion", "--maximize"]
    more = ["--budget", "12", "--years", "0.2", "--workers", "1", "--out", str(out), "--json"]
    done = CliRunner().invoke(app, [*given, *more])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["simulated"] <= 12 and said["value"] >= said["first_value"]
    with xr.open_dataset(out) as runs:
        assert runs["objective"].max() == said["value"]


@pytest.mark.slow
def test_the_start_after_surgery_is_searched_in_breast_cancer(tmp_path: Path) -> None:
    """As good as every start of a grid, within what the solver alone can make."""
    model = cascade.compose(cascade.load_composition("breast_lite"))
    drug = make_drug(tmp_path, "vessels", target="kdr", ec50=1.0, emax=0.8, c_stated=100.0)
    plan = cascade.regimen(drug, origin="surgery", start=1000.0)
    run = {"years": 25, "points": 301, "solver": cascade.Solver(relative_tolerance=1e-5), "workers": 2}
    found = optimize_regimen(model, plan, free={"start": (0, 1400)}, budget=16, **run)
    days = np.linspace(0, 1400, 6)
    treated = cascade.treat(model, plan)
    tried = evaluate(treated, {"vessels.t_start_1": xr.DataArray(days, dims="day")}, ["p_overt_5y"], **run)
    assert found.value <= float(tried["p_overt_5y"].min()) * (1 + 1e-3)
    assert found.evaluated["objective"].max() > 1.05 * found.value  # it matters when
    assert found.evaluated.attrs["failed"] == 0
