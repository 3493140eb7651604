"""Cohorts: patients reproducible one by one, marginals of priors, correlations, genotypes, filters, presets, page."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, spearmanr

import cascade
from cascade._patients import numbered, uniform
from cascade.cohort import sample_cohort, values_of
from cascade.cohort.distributions import Distribution
from cascade.cohort.presets import CohortPreset, load_preset, preset_names
from cascade.errors import AnalysisError, CascadeWarning, TableError, UnknownNameError
from cascade.patients.genotypes import genotype_values
from cascade.sensitivity.priors import from_quantile, uncertain
from cascade.specs import Model, Parameter


def row(name: str, **more) -> Parameter:
    given = {"prior": "log-normal", "prior_parameters": (0.0, 0.5), "lower": 0.1, "upper": 10.0, "estimate": True}
    return Parameter(id=name, name=name, nominal=1.0, unit="per_day", **given | more)


@pytest.fixture(scope="module")
def model(make_model) -> Model:
    plain = make_model(
        "k = 1; m = 1; u = 1; fixed = 1; f_metastatic_potential = 1; sigma_potential = 1.5; x = 1; x' = -k*x"
    )
    rows = (
        row("k"),
        row("m", prior_parameters=(0.2, 1.0)),
        row("u", prior="uniform", prior_parameters=()),
        row("fixed", estimate=False),
        row("f_metastatic_potential", prior_parameters=(0.0, 0.8)),
        replace(row("sigma_potential", estimate=False), nominal=1.5),
    )
    return replace(plain, parameters=rows)


@pytest.fixture(scope="module")
def lite() -> Model:
    """The drivers alone with the pathways of stroma: quick to compose, with genotypes."""
    return cascade.compose(cascade.load_composition("carcinoma_cell"))


@given(first=st.integers(0, 10_000), count=st.integers(1, 40), seed=st.integers(0, 2**70), name=st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_number_k_of_a_stream_is_found_alone(first: int, count: int, seed: int, name: str) -> None:
    block = numbered(seed, name, first, count)
    assert (block > 0).all() and (block < 1).all()
    for k in (0, count // 2, count - 1):
        assert numbered(seed, name, first + k, 1)[0] == block[k]


def test_streams_are_uniform_and_independent() -> None:
    one, other = numbered(1, "a", 0, 20_000), numbered(1, "b", 0, 20_000)
    assert kstest(one, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03
    assert abs(np.corrcoef(one, numbered(2, "a", 0, 20_000))[0, 1]) < 0.03
    assert kstest(uniform(1, "events", map(str, range(20_000))), "uniform").pvalue > 1e-4


@given(n=st.integers(1, 12), start=st.integers(0, 500), seed=st.integers(0, 5), few=st.booleans())
@settings(max_examples=25, deadline=None)
def test_a_patient_is_the_same_whatever_is_around_him(model: Model, n: int, start: int, seed: int, few: bool) -> None:
    pairs = {("k", "m"): 0.6}
    whole = sample_cohort(model, 520, seed=seed, correlations=pairs)
    some = sample_cohort(
        model, n, seed=seed, first=start, parameters=["k", "m"] if few else None, correlations=pairs,
        measures={"age_years": Distribution(shape="normal", center=60, spread=10)},
        filter={"slow": lambda block: block["k"] > 0.7},
    )  # fmt: skip
    assert set(some["patient"].values) <= set(whole["patient"].values) | {f"s{seed}n{k:05d}" for k in range(520, 900)}
    both = [name for name in some["patient"].values if name in whole["patient"].values]
    for name in ("k", "m", "f_metastatic_potential"):
        np.testing.assert_array_equal(some[name].sel(patient=both), whole[name].sel(patient=both))


def test_constants_follow_their_priors(model: Model) -> None:
    cohort = sample_cohort(model, 4000, seed=3)
    assert set(values_of(cohort)) == {"k", "m", "u", "f_metastatic_potential"}
    for parameter in uncertain(model, exclude=["f_metastatic_potential"]):
        reference = from_quantile(parameter, (np.arange(20_000) + 0.5) / 20_000)
        assert kstest(cohort[parameter.id].values, reference).pvalue > 1e-3, parameter.id
    logs = np.log(cohort["f_metastatic_potential"].values)
    assert kstest(logs / 1.5, "norm").pvalue > 1e-3  # sigma_potential goes before the prior, whose spread is 0.8
    assert cohort.attrs["sigma"] == 1.5
    assert "f_metastatic_potential" not in sample_cohort(model, 3, sigma=0)


def test_distributions_go_before_priors(model: Model) -> None:
    given = {
        "fixed": Distribution(shape="bins", edges=(1, 2, 4), shares=(1, 3)),
        "k": Distribution(shape="uniform", lower=0, upper=1),
    }
    cohort = sample_cohort(model, 3000, distributions=given, parameters=[])
    assert float((cohort["fixed"] < 2).mean()) == pytest.approx(0.25, abs=0.03)
    assert kstest(cohort["k"].values, "uniform").pvalue > 1e-3
    assert set(values_of(cohort)) == {"fixed", "k", "f_metastatic_potential"}


def test_correlations_are_recovered_and_leave_marginals_alone(model: Model) -> None:
    age = Distribution(shape="normal", center=60, spread=10, lower=20, upper=100)
    pairs = {("k", "m"): 0.7, ("age_years", "k"): -0.4}
    cohort = sample_cohort(model, 6000, correlations=pairs, measures={"age_years": age})
    for (one, other), rank in pairs.items():
        assert spearmanr(cohort[one], cohort[other]).statistic == pytest.approx(rank, abs=0.03)
    assert abs(spearmanr(cohort["k"], cohort["u"]).statistic) < 0.04
    alone = sample_cohort(model, 6000)
    assert kstest(cohort["m"].values, alone["m"].values).pvalue > 1e-3
    assert cohort["age_years"].attrs["role"] == "measure"
    with pytest.raises(AnalysisError, match="not positive definite"):
        sample_cohort(model, 3, correlations={("k", "m"): 0.9, ("m", "u"): 0.9, ("k", "u"): -0.9})
    with pytest.raises(UnknownNameError, match="'kk'"):
        sample_cohort(model, 3, correlations={("kk", "m"): 0.9})


def test_the_refused_are_counted_by_reason(model: Model) -> None:
    tests = {"slow": lambda block: block["k"] > 0.8, "high": lambda block: (block["m"] < 2).values}
    cohort = sample_cohort(model, 400, filter=tests)
    refused = json.loads(cohort.attrs["refused"])
    assert cohort.sizes["patient"] == 400
    assert cohort.attrs["drawn"] == 400 + sum(refused.values())
    whole = sample_cohort(model, cohort.attrs["drawn"])
    assert refused["slow"] == int((whole["k"] <= 0.8).sum())
    assert refused["high"] == int(((whole["k"] > 0.8) & (whole["m"] >= 2)).sum())
    assert (cohort["k"] > 0.8).all()
    assert (cohort["m"] < 2).all()
    with pytest.raises(AnalysisError, match="are plausible \\(never"):
        sample_cohort(model, 5, filter={"never": lambda block: block["k"] < 0})
    with pytest.raises(AnalysisError, match="return true or false for each"):
        sample_cohort(model, 5, filter={"odd": lambda block: block["k"]})


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"n": 0}, AnalysisError, "n is 0"),
        ({"seed": -1}, AnalysisError, "seed is -1"),
        ({"parameters": "k"}, AnalysisError, "give a list"),
        ({"parameters": ["fixed"]}, AnalysisError, "no uncertain constant"),
        ({"parameters": ["q*"]}, AnalysisError, "fits no constant"),
        ({"parameters": ["kk"]}, UnknownNameError, "kk"),
        ({"sigma": -1.0}, AnalysisError, "sigma is -1"),
        ({"genotypes": {"nothing": 0.1}}, UnknownNameError, "nothing"),
        ({"genotypes": {"tp53_loss": 1.1}}, AnalysisError, "between 0 and 1"),
        ({"preset": "brest_er"}, UnknownNameError, "breast_er"),
        ({"measures": {"k": Distribution(shape="uniform", lower=0, upper=1)}}, AnalysisError, "at once"),
        ({"distributions": {"k": 3}}, AnalysisError, "give a cascade.cohort.distributions.Distribution"),
        (
            {"distributions": {"k": Distribution(shape="uniform", lower=0, upper=1, unit="per_year")}},
            AnalysisError,
            "'k' is in per_year, and the number in per_day",
        ),
        ({"n": -3}, AnalysisError, "n is -3"),
        ({"correlations": {("k", "m"): 1}}, AnalysisError, "between -1 and 1"),
        ({"correlations": {("k", "m"): "a"}}, AnalysisError, "'a'; give a number between -1 and 1"),
        ({"filter": {"old": "age > 3"}}, AnalysisError, "'old' is 'age > 3'; give a function"),
        ({"filter": {"old": lambda block: block["age"] > 3}}, AnalysisError, "'old' asks for what the patients do not"),
        ({"filter": [max]}, AnalysisError, "filter is a mapping"),
    ],
)
def test_wrong_questions_are_refused(model: Model, given: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sample_cohort(model, **{"n": 3} | given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shape": "log-normal", "center": -1, "spread": 1}, "above 0"),
        ({"shape": "normal", "center": 1}, "needs center and spread"),
        ({"shape": "uniform", "lower": 2, "upper": 1}, "lower below upper"),
        ({"shape": "bins", "edges": (1, 2), "shares": (0.5, 0.5)}, "one share"),
        ({"shape": "bins", "edges": (2, 1, 3), "shares": (0.5, 0.5)}, "rise"),
    ],
)
def test_a_distribution_checks_itself(given: dict, words: str) -> None:
    with pytest.raises(TableError, match=words):
        Distribution(**given)


def test_genotypes_have_their_frequencies_and_set_the_constants(lite: Model) -> None:
    shares = {"tp53_loss": 0.3, "kras_g12d": 0.4, "kras_g12v": 0.35, "kras_g13": 0.25, "braf_v600e": 0.1}
    cohort = sample_cohort(
        lite, 600, genotypes=shares, parameters=["drivers.f_hydrolyze_mutant", "drivers.k_degrade_p53"]
    )
    states = cohort["has_genotype"].astype(bool)
    for name, share in shares.items():
        found = float(states.sel(genotype=name).mean())
        assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 600)), name
    kras = states.sel(genotype=["kras_g12d", "kras_g12v", "kras_g13"]).sum("genotype")
    assert (kras == 1).all()  # they exclude each other, and their frequencies add up to 1
    assert json.loads(cohort.attrs["unexpressed"]).keys() == {"braf_v600e"}
    for patient in range(20):
        one = cohort.isel(patient=patient)
        held = [str(name) for name in cohort["genotype"].values if bool(one["has_genotype"].sel(genotype=name))]
        held = [name for name in held if name != "braf_v600e"]
        for flat, value in genotype_values(lite, held).items():
            assert float(one[flat]) == value, (held, flat)
    wild = cohort.isel(patient=np.flatnonzero(~states.sel(genotype="tp53_loss").values))
    assert (wild["drivers__f_tp53"] == lite.table["drivers__f_tp53"].nominal).all()
    with pytest.raises(AnalysisError, match="exclude each other"):
        sample_cohort(lite, 3, genotypes={"kras_g12d": 0.6, "kras_g12v": 0.6})


def test_a_genotype_can_go_with_a_constant(lite: Model) -> None:
    pairs = {("tp53_loss", "drivers.k_degrade_p53"): 0.6}
    cohort = sample_cohort(
        lite, 1500, genotypes={"tp53_loss": 0.5}, parameters=["drivers.k_degrade_p53"], correlations=pairs
    )
    held = cohort["has_genotype"].sel(genotype="tp53_loss").values.astype(bool)
    value = cohort["drivers__k_degrade_p53"].values
    assert np.median(value[held]) > 1.1 * np.median(value[~held])
    assert held.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_whole(name: str) -> None:
    preset = load_preset(name)
    assert preset.marginals
    assert preset.diameter is not None
    assert all(each.source for each in preset.marginals)
    assert all(each.source for each in preset.genotypes.values())
    assert all(each.error > 0 for each in preset.marginals)
    assert preset.composition in cascade.catalogue.composition_names()


def test_a_preset_of_my_own_is_read_and_its_mistakes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    good = 'title = "Mine"\ncomposition = "breast"\n'
    good += '[[marginal]]\nfact = "hazard_er_0_5"\nkind = "hazard"\nyears = [0, 5]\n'
    path.write_text(good, encoding="utf-8")
    marginal = load_preset(path).marginals[0]
    assert (marginal.value, marginal.source) == (0.099, ("colleoni2016",))
    staged = (
        '[[marginal]]\nname = "n"\nkind = "stage"\nof = "N+"\namong = ["M0"]\nvalue = 0.6\nsource = ["colleoni2016"]\n'
    )
    path.write_text(good + staged, encoding="utf-8")
    assert (load_preset(path).marginals[1].of, load_preset(path).marginals[1].among) == ("N+", ("M0",))
    for text, words in (
        (good + staged.replace("N+", "N9"), "'N9' in cascade.cohort.stage, for the marginal 'n'"),
        (good.replace("hazard_er_0_5", "hazard_er_0"), "hazard_er_0"),
        (good.replace("[0, 5]", "[5, 0]"), "years"),
        (good.replace('title = "Mine"', 'titel = "Mine"'), "titel"),
        (good + "value = 0.1\n", "leave them out"),
        (good + '[genotypes.tp53_loss]\nshare = 1.5\nsource = ["tcga2012breast"]\n', "between 0 and 1"),
        (good + '[genotypes.tp53_loss]\nshare = 0.5\nsource = ["nobody1900"]\n', "nobody1900"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(TableError, match=words):
            load_preset(path)
    with pytest.raises(UnknownNameError, match=r"no \.toml file has this path"):
        load_preset(tmp_path / "none.toml")


def test_a_preset_of_my_own_moves_potential_and_growth(lite: Model, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    name = "drivers.k_degrade_p53"
    text = 'title = "Mine"\ncomposition = "carcinoma_cell"\n[potential]\nfactor = 3\n'
    text += f'[vary]\nparameters = ["{name}"]\n[vary.scales]\n"{name}" = 0.5\n'
    text += '[genotypes.er_positive]\nshare = 1\nsource = ["tcga2012breast"]\n'
    path.write_text(text, encoding="utf-8")
    preset = load_preset(path)
    assert preset.factor == 3
    plain = sample_cohort(lite, 50, preset=preset, genotypes={})
    scaled = sample_cohort(lite, 50, preset=preset)
    flat = lite.id(name)
    np.testing.assert_allclose(scaled[flat], 0.5 * plain[flat])  # only where the patients have genotypes


def test_the_factor_of_a_preset_moves_the_median_of_the_potential(model: Model) -> None:
    preset = CohortPreset(name="mine", title="", description="", composition="", parameters=("k",), factor=3.0)
    plain = sample_cohort(model, 20, parameters=["k"])
    moved = sample_cohort(model, 20, preset=preset)
    np.testing.assert_allclose(moved["f_metastatic_potential"], 3 * plain["f_metastatic_potential"])


@pytest.mark.slow
def test_a_preset_gives_patients_and_a_page(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from cascade.cli._cohort import commands

    out = tmp_path / "page"
    asked = [
        "breast_er",
        "--model",
        "breast_lite",
        "--n",
        "40",
        "--out",
        str(out),
        "--weight",
        "--json",
        "--workers",
        "1",
    ]
    with warnings.catch_warnings(action="always", category=CascadeWarning):  # 40 patients may miss a number
        found = CliRunner().invoke(commands, asked)
    assert found.exit_code == 0, found.output
    text = (out / "report.html").read_text(encoding="utf-8")
    for words in ("What was published", "annual hazard of recurrence, years 0-5", "tcga2012breast", "Who was refused"):
        assert words in text
    cohort = xr.load_dataset(out / "cohort.nc")
    assert cohort.sizes["patient"] == 40
    assert float(cohort["weight"].mean()) == pytest.approx(1)
    model = cascade.compose(cascade.load_composition("breast_lite"))
    again = sample_cohort(model, 5, preset="breast_er", first=3)
    for name in values_of(again):
        np.testing.assert_array_equal(again[name], cohort[name].isel(patient=slice(3, 8)))
    # the diameter at surgery that was drawn is the one that the model reaches
    outcomes = xr.load_dataset(out / "outcomes.nc")
    operated = np.isfinite(outcomes["t_surgery"].values)
    np.testing.assert_allclose(outcomes["diameter_mm"][operated], cohort["diameter_mm"][operated], rtol=0.01)
