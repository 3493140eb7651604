"""PEtab problems: valid in both versions, complete, and with the objective that they must have."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cascade
from cascade.errors import CascadeError, UnknownNameError, ValueSettingError
from cascade.export.conditions import conditions
from cascade.export.measurements import PRECISE
from cascade.export.observables import observables
from cascade.export.petab import spread_id, write_petab
from cascade.specs import Model

petab1 = pytest.importorskip("petab.v1")
petab2 = pytest.importorskip("petab.v2")

# petab 0.8 is older than pandas 3: it uses arguments that pandas 4 will drop
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")

OWN = ["unit", "evidence", "system", "source", "where", "conversion", "gene", "target", "note"]


def immune() -> Model:
    return cascade.compose(cascade.load_module("pdl1_immune"))


def arms() -> dict[str, object]:
    """Drugs from the beginning on, in a window that begins at once, and later: every form that `treat` writes."""
    early = cascade.inhibit("k_die_cd8", by=0.5, start=0.0)
    return {
        "early": early,
        "first": [cascade.inhibit("k_die_treg", by=0.3, start=0.0, stop=100.0), early],
        "later": (cascade.activate("k_die_nk", by=1.0, start=50.0, stop=300.0),),
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("petab")
    return {
        version: write_petab(immune(), folder / f"v{version}", version=version, treatments=arms(), years=2.0)
        for version in (1, 2)
    }


@pytest.fixture(scope="module")
def second(written) -> object:
    return petab2.Problem.from_yaml(written[2])


@pytest.fixture(scope="module")
def first(written) -> object:
    return petab1.Problem.from_yaml(str(written[1]))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def lint1(problem: object, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return every finding of petablint for version 1; that there is no figure table is the only one allowed."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="petab"):
        failed = petab1.lint_problem(problem)
    found = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert failed == any(record.levelno >= logging.ERROR for record in caplog.records)
    return [each for each in found if each != "Visualization table not available. Skipping."]


def test_version_2_lints_without_any_finding(second):
    assert list(second.validate()) == []
    assert second.n_estimated == sum(row.estimate for row in immune().parameters)
    assert second.n_measurements == 4 * 10 * len(second.observables)


def test_version_1_lints_without_any_finding(first, caplog):
    assert lint1(first, caplog) == []


def test_lint_sees_a_broken_problem(first, second, caplog, tmp_path):
    broken = first.parameter_df.drop(index=["sd_obs_c_ifng"])
    original, first.parameter_df = first.parameter_df, broken
    try:
        assert lint1(first, caplog)
    finally:
        first.parameter_df = original


@pytest.mark.parametrize("version", [1, 2])
def test_the_objective_at_the_nominal_values_is_that_of_data_without_noise(tmp_path, version):
    calculate = pytest.importorskip(f"petab.v{version}.calculate")
    path = write_petab(cascade.compose(cascade.load_module("circulation")), tmp_path, version=version, years=1.0)
    problem = petab2.Problem.from_yaml(path) if version == 2 else petab1.Problem.from_yaml(str(path))
    simulated = pd.read_csv(tmp_path / "simulations.tsv", sep="\t")
    spreads = {row["parameterId"]: float(row["nominalValue"]) for row in rows(tmp_path / "parameters.tsv")}
    noise = [spreads[f"sd_{row['observableId']}"] for row in rows(tmp_path / "measurements.tsv")]
    expected = sum(-0.5 * math.log(2 * math.pi * spread**2) for spread in noise)

    def tables(simulated: pd.DataFrame) -> tuple[pd.DataFrame, ...]:
        return problem.measurement_df, simulated, problem.observable_df, problem.parameter_df

    assert len(noise) == 40
    assert calculate.calculate_chi2(*tables(simulated)) == 0.0
    assert calculate.calculate_llh(*tables(simulated)) == pytest.approx(expected, rel=1e-12)
    one_off = simulated.copy()
    one_off.loc[0, "simulation"] += 2.0 * noise[0]
    assert calculate.calculate_llh(*tables(one_off)) == pytest.approx(expected - 2.0, rel=1e-9)


def test_the_measurements_are_what_a_model_treated_the_plain_way_shows(written):
    every = {"untreated": (), **arms()}
    table = pd.read_csv(written[2].parent / "measurements.tsv", sep="\t")
    seen = observables(immune())
    for name, drugs in every.items():
        drugs = drugs if isinstance(drugs, (list, tuple)) else (drugs,)
        model = cascade.treat(immune(), *drugs)
        runs = cascade.simulate(
            model, years=2.0, points=11, record=[s for o in seen for s in o.symbols], solver=PRECISE
        )
        for each in seen:
            found = table[(table["experimentId"] == name) & (table["observableId"] == each.id)]
            expected = runs[each.symbols[0]].values[1:]
            np.testing.assert_allclose(found["time"], runs["time"].values[1:], rtol=1e-12)
            np.testing.assert_allclose(found["measurement"], expected, rtol=1e-5, atol=1e-9)
    apart = table.pivot_table(index=["observableId", "time"], columns="experimentId", values="measurement")
    for name in arms():
        assert (abs(apart[name] / apart["untreated"] - 1) > 1e-3).any(), f"{name} does nothing, so it proves nothing"


def test_values_of_a_condition_may_be_set_after_start_values_are_computed(written, second):
    """An interpreter of the draft of version 2 computes start values first and does not come back to them."""
    from cascade.engine import load_roadrunner

    table = pd.read_csv(written[2].parent / "measurements.tsv", sep="\t")
    text = (written[2].parent / "pdl1_immune.xml").read_text()
    for condition in second.conditions:
        runner = load_roadrunner().RoadRunner(text)
        runner.integrator.relative_tolerance = 1e-8
        seen = [str(each.formula) for each in second.observables]
        amounts = set(runner.model.getFloatingSpeciesIds())
        runner.timeCourseSelections = [f"[{name}]" if name in amounts else name for name in ("time", *seen)]
        for change in condition.changes:
            runner.model[change.target_id] = float(change.target_value)
        found = np.array(runner.simulate(0.0, 730.5, 11))[1:, 1:]
        for column, each in enumerate(second.observables):
            expected = table[(table["experimentId"] == condition.id) & (table["observableId"] == each.id)][
                "measurement"
            ]
            np.testing.assert_allclose(found[:, column], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("version", [1, 2])
def test_the_columns_of_ours_survive_a_round_trip(written, first, second, version, tmp_path):
    if version == 2:
        second.to_files(tmp_path)
        again = petab2.Problem.from_yaml(tmp_path / "problem.yaml").parameter_df
        assert list(petab2.Problem.from_yaml(tmp_path / "problem.yaml").validate()) == []
    else:
        petab1.write_parameter_df(first.parameter_df, tmp_path / "parameters.tsv")
        again = petab1.get_parameter_df(str(tmp_path / "parameters.tsv"))
    table = immune().table
    assert {"unit", "evidence", "source", "where", "note"} <= set(again.columns)
    shared = [name for name in again.index if name in table]
    assert len(shared) > 60
    for name in shared:
        row, found = table[name], again.loc[name]
        assert found["unit"] == row.unit and found["evidence"] == row.evidence
        assert found["source"] == "; ".join(row.source) or (not row.source and not isinstance(found["source"], str))
        assert float(found["nominalValue"]) == row.nominal


def test_the_table_holds_every_constant_once_or_says_why_not(written):
    for path in written.values():
        table = {row["parameterId"]: row for row in rows(path.parent / "parameters.tsv")}
        left_out = {row["parameterId"]: row["reason"] for row in rows(path.parent / "excluded_parameters.tsv")}
        assert not set(table) & set(left_out)
        arm = conditions(immune(), arms())
        assert set(table) | set(left_out) == {row.id for row in arm.model.parameters} | {
            spread_id(each) for each in observables(immune())
        }
        assert set(left_out) == set(arm.targets)


def test_a_constant_that_the_model_computes_is_excluded_with_the_reason(make_model, tmp_path):
    from dataclasses import replace

    from cascade.specs import Parameter

    model = make_model("species s in c; compartment c = 1; s = 1; k = 1; a = 2; b := 2*k; J: s -> ; k*s; d = 3*k;")
    extra = tuple(Parameter(id=name, name=name, nominal=1.0, unit="per_day") for name in ("b", "d", "gone"))
    write_petab(replace(model, parameters=(*model.parameters, *extra)), tmp_path / "p", years=1.0)
    found = {row["parameterId"]: row["reason"] for row in rows(tmp_path / "p" / "excluded_parameters.tsv")}
    assert set(found) == {"b", "d", "gone"}
    assert "a rule" in found["b"] and "initial assignment" in found["d"] and "no parameter" in found["gone"]
    assert list(petab2.Problem.from_yaml(tmp_path / "p" / "problem.yaml").validate()) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_treated_model_is_a_condition_beside_untreated(tmp_path, version, caplog):
    treated = cascade.treat(immune(), cascade.inhibit("k_die_cd8", by=0.5, start=10.0))
    path = write_petab(treated, tmp_path, version=version, years=1.0)
    if version == 2:
        problem = petab2.Problem.from_yaml(path)
        assert {c.id: [float(e.target_value) for e in c.changes] for c in problem.conditions} == {
            "untreated": [1.0, 10.0],
            "treated": [0.5, 10.0],
        }
        assert list(problem.validate()) == []
    else:
        problem = petab1.Problem.from_yaml(str(path))
        assert problem.condition_df.loc["treated", "factor_on_k_die_cd8"] == 0.5
        assert lint1(problem, caplog) == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_model_without_drugs_needs_no_conditions(tmp_path, version, caplog):
    path = write_petab(cascade.compose(cascade.load_module("circulation")), tmp_path, version=version, years=1.0)
    assert (tmp_path / "conditions.tsv").exists() == (version == 1)
    problem = petab2.Problem.from_yaml(path) if version == 2 else petab1.Problem.from_yaml(str(path))
    assert (list(problem.validate()) if version == 2 else lint1(problem, caplog)) == []


def test_priors_are_the_same_distributions_in_both_versions(first, second):
    kinds = {row.id: row.prior for row in immune().parameters if row.estimate}
    for name in sorted(kinds, key=kinds.get)[::5]:
        row = immune().table[name]
        ours = first.parameter_df.loc[name]
        numbers = [float(each) for each in ours["objectivePriorParameters"].split(";")]
        dist = second.parameter_tables[0][name].prior_dist
        if row.prior == "log-normal":
            assert ours["objectivePriorType"] == "logNormal" and numbers == list(row.prior_parameters)
            median = math.exp(row.prior_parameters[0])
            inside = [x for x in (median, row.nominal) if row.lower < x < row.upper]
            low, high = (math.log(x) for x in (row.lower, row.upper))
            mu, sigma = row.prior_parameters
            from scipy.stats import norm

            mass = norm.cdf(high, mu, sigma) - norm.cdf(low, mu, sigma)
            for x in inside:
                expected = norm.pdf(math.log(x), mu, sigma) / x / mass
                assert float(dist.pdf(x)) == pytest.approx(expected, rel=1e-9)
        elif row.prior == "uniform":
            assert numbers == [row.lower, row.upper]
            assert float(dist.pdf(row.nominal)) == pytest.approx(1 / (row.upper - row.lower))


def test_a_log_uniform_prior_of_version_1_is_uniform_on_the_log10_scale():
    from cascade.export.parameter_rows import parameter_rows
    from cascade.specs import Parameter

    row = Parameter(
        id="k", name="=k", nominal=1.0, unit="per_day", lower=0.01, upper=100.0, estimate=True,
        prior="log-uniform", prior_parameters=(0.01, 100.0),
    )  # fmt: skip
    columns, cells = parameter_rows([row], 1)
    found = dict(zip(columns, cells[0], strict=True))
    assert (found["parameterScale"], found["objectivePriorType"]) == ("log10", "parameterScaleUniform")
    assert found["objectivePriorParameters"] == "-2.0;2.0"
    assert found["parameterName"] == "'=k"


def own_measurements(**changes: object) -> pd.DataFrame:
    row = {"observableId": "obs_d_cd8", "time": 30.0, "measurement": 5.0, "treatment": "later", "assay": "counted"}
    return pd.DataFrame([row | changes])


def test_measurements_of_the_user_are_written_and_lint(tmp_path):
    table = pd.concat([own_measurements(), own_measurements(treatment="untreated"), own_measurements(treatment="early"),
                       own_measurements(treatment="first")])  # fmt: skip
    path = write_petab(immune(), tmp_path, treatments=arms(), measurements=table)
    assert not (tmp_path / "simulations.tsv").exists()
    problem = petab2.Problem.from_yaml(path)
    assert list(problem.validate()) == []
    assert next((m.experiment_id, m.time, m.measurement) for m in problem.measurements) == ("later", 30.0, 5.0)
    assert list(problem.measurement_df["assay"]) == ["counted"] * 4
    assert "simulated" not in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"observableId": "obs_d_cd9"}, UnknownNameError, "did you mean 'obs_d_cd8'"),
        ({"treatment": "late"}, UnknownNameError, "did you mean 'later'"),
        ({"measurement": float("nan")}, ValueSettingError, "row 0 of the measurements"),
        ({"measurement": "many"}, ValueSettingError, "row 0 of the measurements"),
        ({"time": -1.0}, ValueSettingError, "a day from 0 on"),
    ],
)
def test_measurements_that_cannot_be_used_are_told(tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        write_petab(immune(), tmp_path, treatments=arms(), measurements=own_measurements(**changes))
    assert list(tmp_path.iterdir()) == []


def test_measurements_without_their_columns_are_told(tmp_path):
    with pytest.raises(ValueSettingError, match="measurements lack observableId"):
        write_petab(immune(), tmp_path, measurements=own_measurements().drop(columns="observableId"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"untreated": cascade.inhibit("k_prime", by=0.5)}, "stands for another condition"),
        ({"a b": cascade.inhibit("k_prime", by=0.5)}, "the name becomes an id"),
        ({"a": "k_prime"}, "give an intervention"),
        ({"a": []}, "give an intervention"),
    ],
)
def test_treatments_that_cannot_be_used_are_told(tmp_path, given, message):
    with pytest.raises(ValueSettingError, match=message):
        write_petab(immune(), tmp_path, treatments=given)


def test_another_version_is_refused(tmp_path):
    with pytest.raises(CascadeError, match="known are 1 and 2"):
        write_petab(immune(), tmp_path, version=3)


@pytest.fixture(scope="module")
def lite() -> Iterator[Model]:
    yield cascade.compose(cascade.load_composition("breast_lite"))


@pytest.mark.slow
def test_a_composition_has_its_endpoints_as_observables_and_lints(lite, tmp_path, caplog):
    drug = {"adjuvant": cascade.inhibit("emt.v_transcribe_zeb1", by=0.5, start=100.0)}
    paths = {v: write_petab(lite, tmp_path / f"v{v}", version=v, treatments=drug, years=5.0) for v in (1, 2)}
    problem = petab2.Problem.from_yaml(paths[2])
    assert list(problem.validate()) == []
    assert lint1(petab1.Problem.from_yaml(str(paths[1])), caplog) == []
    ids = {each.id for each in problem.observables}
    assert {
        "obs_n_burden_bone",
        "obs_n_overt_liver",
        "obs_p_involved_lung",
        "obs_n_ctc",
        "obs_diameter",
        "obs_p_overt",
    } <= ids


@pytest.mark.slow
def test_formulas_in_the_grammar_of_petab_give_the_numbers_of_the_observables(lite):
    from petab.v1.math import sympify_petab

    runs = cascade.simulate(lite, years=20.0, points=5)
    for each in observables(lite):
        formula = sympify_petab(each.formula)
        for row in range(5):
            values = {name: float(runs[str(name)].values[row]) for name in formula.free_symbols}
            expected = float(each.compute(runs).values[row])
            assert float(formula.subs(values)) == pytest.approx(expected, rel=1e-9, abs=1e-12)
