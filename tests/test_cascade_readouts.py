"""Readouts over time, by organ and over a population: closed forms on trajectories with known hazards."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.integrate import quad

import cascade
from cascade import plot_cascade
from cascade._organs import by_organ, organs_of
from cascade.endpoints import DAYS_PER_YEAR
from cascade.endpoints_time import YEARS
from cascade.errors import AnalysisError, UnknownNameError
from cascade.readouts import known_readouts, readout, resolve_readout, variables_for
from cascade.specs import Model

HAZARD = 2e-4  # per day, both organs, from the first day on
SHARE = {"bone": 0.75, "lung": 0.25}
SURGERY = 1000.0


def patient(years: float = 30.0, hazard: float = HAZARD, surgery: float = SURGERY, points: int = 3001) -> xr.Dataset:
    """One run: constant hazards in two distant organs, a lymph node that does not count, exponential burden."""
    time = np.linspace(0, years * DAYS_PER_YEAR, points)
    since = np.clip(time - surgery, 0, None)
    burden = np.exp((time - 9000) / 100)
    data = {
        "endpoints__h_cumulative": hazard * time,
        "endpoints__h_since_surgery": hazard * since,
        "endpoints__h_at_surgery": hazard * (time - since),
        "endpoints__k_hazard": np.full_like(time, hazard),
        "endpoints__f_lethal": burden,
        "endpoints__n_burden": 1e12 * burden,
        "endpoints__ctc_per_tube": np.where(time < surgery, 0.25, 0.1 * np.exp(-since / 365.25)),
        "endpoints__p_ctc_positive": -np.expm1(-np.where(time < surgery, 0.25, 0.1 * np.exp(-since / 365.25))),
        "endpoints__vaf_ctdna": np.full_like(time, 1e-3),
        "endpoints__p_dtc_positive": np.full_like(time, 0.2),
        "primary_tumor__t_surgery": np.where(time >= surgery, surgery, 1e6),
        "lymph_node_lesions__h_cumulative": 5 * hazard * time,
    }
    for organ, share in SHARE.items():
        data[f"{organ}_lesions__h_cumulative"] = share * hazard * time
        data[f"{organ}_metastases_lesions__h_cumulative"] = 3 * hazard * time
    for organ, number in {"bone": 1.0, "lung": 2.0, "lymph_node": 0.5}.items():
        for origin, part in {"": 0.8, "_metastases": 0.2}.items():
            name = f"{organ}{origin}_lesions"
            data[f"{name}__n_lesions_involved"] = part * number * time / 9000
            data[f"{name}__n_burden"] = part * number * burden
            data[f"{name}__n_overt"] = part * number * time / 9000
            data[f"{name}__n_micrometastases"] = part * number * np.ones_like(time)
    variables = {name: ("time", values, {"units": "dimensionless"}) for name, values in data.items()}
    return xr.Dataset(variables | {"status": ((), "ok")}, coords={"time": time})


# ---- which organs there are


@pytest.mark.parametrize(
    ("names", "organs"),
    [
        (["bone_lesions", "lung_lesions"], {"bone": 1, "lung": 1}),
        (
            ["bone_metastases_lesions", "lung_lesions", "bone_lesions", "lung_metastases_lesions"],
            {"bone": 2, "lung": 2},
        ),
        (["bone", "lung", "lymph_node"], {"bone": 1, "lung": 1, "lymph_node": 1}),
        (["lymph_lesions", "lymph_node_lesions", "bone_lesions"], {"lymph": 1, "lymph_node": 1, "bone": 1}),
        (
            [f"{o}{s}_lesions" for o in ("lymph", "lymph_node", "bone") for s in ("", "_metastases")],
            {"lymph": 2, "lymph_node": 2, "bone": 2},
        ),
        (["bone_lesions", "bone_metastases_lesions"], {"bone": 2}),
        ([f"liver{s}_lesions" for s in ("", "_early", "_late")], {"liver": 3}),
    ],
)
def test_organs_are_found_whatever_they_are_called(names: list[str], organs: dict[str, int]) -> None:
    found = organs_of(names)
    assert {organ: len(instances) for organ, instances in found.items()} == organs
    assert all(instances[0].removesuffix("_lesions") == organ for organ, instances in found.items())


def test_lesions_of_all_origins_add_up() -> None:
    data = patient()
    assert list(by_organ(data, "h_cumulative", primary_only=True)["organ"].values) == ["lymph_node", "bone", "lung"]
    np.testing.assert_allclose(by_organ(data, "n_overt").sel(organ="lung"), 2 * data["time"] / 9000)


# ---- time


def test_quantiles_of_the_first_metastasis_are_exponential() -> None:
    found = readout(patient(years=60), "t_first_metastasis")
    assert found.dims == ("quantile",)
    expected = -np.log1p(-found["quantile"].values) / HAZARD
    np.testing.assert_allclose(found.values[expected < 60 * DAYS_PER_YEAR], expected[expected < 60 * DAYS_PER_YEAR])
    assert readout(patient(), "t_first_metastasis_median").item() == pytest.approx(np.log(2) / HAZARD)


def test_a_quantile_that_is_not_reached_says_so() -> None:
    found = readout(patient(years=5), "t_first_metastasis_median")
    assert np.isnan(found.item())
    assert "fewer than this share" in str(found["reason"].values)


def test_time_to_recurrence_is_conditional_on_recurrence() -> None:
    span = 30 * DAYS_PER_YEAR - SURGERY
    share = -np.expm1(-HAZARD * span)
    found = readout(patient(), "t_recurrence_median").item()
    assert found == pytest.approx(-np.log1p(-0.5 * share) / HAZARD, rel=1e-4)
    assert str(readout(patient(surgery=1e6), "t_recurrence_median")["reason"].values).startswith("not operated")


def test_survival_and_hazard_by_year() -> None:
    data = patient()
    year = np.array(YEARS)
    free = readout(data, "p_metastasis_free_by_year")
    np.testing.assert_allclose(free, np.exp(-HAZARD * DAYS_PER_YEAR * year), rtol=1e-4)
    assert list(free["year"].values) == list(YEARS)
    hazard = readout(data, "hazard_by_year")
    np.testing.assert_allclose(hazard, HAZARD * DAYS_PER_YEAR, rtol=2e-3)
    assert hazard.attrs["units"] == "per_year"
    np.testing.assert_allclose(readout(data, "p_recurrence_by_year").sum() + free[-1], 1.0, rtol=1e-12)
    assert readout(data, "hazard_by_year:7").item() == pytest.approx(float(hazard.sel(year=7)))
    late = readout(data, "p_late_20y").item()
    assert late == pytest.approx(1 - np.exp(-HAZARD * DAYS_PER_YEAR * 15), rel=1e-6)


def test_years_beyond_the_horizon_are_missing_with_the_reason() -> None:
    data = xr.concat([patient(years=12), patient(years=12, surgery=1e6)], dim="sample")
    free = readout(data, "p_metastasis_free_by_year")
    assert free.dims == ("sample", "year")
    assert int(free.notnull().sum()) == 9
    assert str(free["reason"].sel(year=10)[0].item()) == "the horizon ends less than 10 years after surgery"
    assert set(free["reason"].values[1]) == {"not operated within the horizon"}


def test_a_failed_run_blanks_every_year_and_organ() -> None:
    data = xr.concat([patient(), patient().assign(status=((), "no convergence"))], dim="sample")
    for name in ("hazard_by_year", "p_first_site", "p_involved"):
        found = readout(data, name)
        assert found[0].notnull().any()
        assert found[1].isnull().all()
        assert set(found["reason"].values[1]) == {"run failed: no convergence"}


def test_samples_of_blood_and_marrow() -> None:
    data = patient()
    assert readout(data, "p_ctc_positive_at_surgery").item() == pytest.approx(1 - np.exp(-0.25))
    found = readout(data, "p_ctc_positive_by_year").sel(year=1)
    assert found.item() == pytest.approx(1 - np.exp(-0.1 * np.exp(-1)), rel=1e-4)
    assert readout(data, "p_dtc_positive_at_surgery").item() == pytest.approx(0.2)
    assert readout(data, "vaf_ctdna_by_year:3").item() == pytest.approx(1e-3)


# ---- organs


def test_first_site_shares_the_probability_in_proportion_to_constant_hazards() -> None:
    data = patient()
    found = readout(data, "p_first_site")
    assert set(found["organ"].values) == set(SHARE), "lymph nodes are not distant"
    total = -np.expm1(-HAZARD * 30 * DAYS_PER_YEAR)
    for organ, share in SHARE.items():
        assert found.sel(organ=organ).item() == pytest.approx(share * total, rel=1e-9)
        assert readout(data, f"f_first_site:{organ}").item() == pytest.approx(share, rel=1e-9)


def test_first_site_of_hazards_that_follow_each_other() -> None:
    """Bone only in the first half, lung only in the second: P(lung) = S(half)*(1 - exp(-H))."""
    data = patient(points=201)
    half = data["time"].values[100]
    early = HAZARD * np.minimum(data["time"].values, half)
    data["bone_lesions__h_cumulative"] = ("time", early)
    data["lung_lesions__h_cumulative"] = ("time", HAZARD * data["time"].values - early)
    found = readout(data, "p_first_site")
    assert found.sel(organ="bone").item() == pytest.approx(-np.expm1(-HAZARD * half), rel=1e-12)
    late = np.exp(-HAZARD * half) * -np.expm1(-HAZARD * half)
    assert found.sel(organ="lung").item() == pytest.approx(late, rel=1e-12)


def test_hazards_that_do_not_add_up_are_refused() -> None:
    data = patient()
    with pytest.raises(AnalysisError, match="do not add up"):
        readout(data.drop_vars("bone_lesions__h_cumulative"), "p_first_site")


def test_organs_at_autopsy_on_the_day_of_lethal_burden() -> None:
    data = patient()
    assert readout(data, "t_lethal_burden").item() == pytest.approx(9000, abs=1)
    found = readout(data, "p_involved")
    expected = {"bone": 1.0, "lung": 2.0, "lymph_node": 0.5}
    for organ, number in expected.items():
        assert found.sel(organ=organ).item() == pytest.approx(-np.expm1(-number), rel=1e-3)
    number = sum(-np.expm1(-n) for n in expected.values())
    assert readout(data, "n_organs_involved").item() == pytest.approx(number, rel=1e-3)
    early = readout(patient(years=10), "p_involved:lung").item()
    assert early == pytest.approx(-np.expm1(-2 * 10 * DAYS_PER_YEAR / 9000)), "the end, if the burden stays below"
    assert np.isnan(readout(patient(years=10), "t_lethal_burden").item())


def test_lesions_and_burden_by_organ() -> None:
    found = readout(patient(), "n_micrometastases_by_organ")
    assert found.sel(organ="lung").item() == pytest.approx(2.0)
    assert found.attrs["units"] == "lesion"
    assert readout(patient(), "n_overt_by_organ:bone").item() == pytest.approx(30 * DAYS_PER_YEAR / 9000)


def test_sample_dimensions_come_before_the_dimension_of_the_readout() -> None:
    data = xr.concat([patient(), patient(hazard=1e-4)], dim="sample").expand_dims(drug=2)
    for spec in known_readouts():
        if spec.dims and all(need in data or "*" in need for need in spec.needs):
            assert readout(data, spec.name).dims == ("drug", "sample", *spec.dims), spec.name


def test_only_one_number_a_run_can_be_ranked() -> None:
    model = Model(name="m", flat="<sbml/>", parameters=(), ids={})
    with pytest.raises(AnalysisError, match=r"'p_first_site' is a value per organ.*p_first_site:bone"):
        resolve_readout("p_first_site", model)
    with pytest.raises(AnalysisError, match="one number a run"):
        cascade.rank_targets(model, readout="hazard_by_year")
    assert resolve_readout("p_first_site:bone", model) == "p_first_site:bone"


def test_what_must_be_recorded_is_known() -> None:
    names = [str(name) for name in patient().data_vars]
    model = Model(name="m", flat="<sbml/>", parameters=(), ids={name: name for name in names})
    found = variables_for("p_first_site:bone", model)
    assert set(found) == {name for name in names if name.endswith("h_cumulative")}
    assert readout(patient()[found], "p_first_site:bone").item() > 0


def test_an_unknown_organ_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r"no organ 'bones'.*did you mean 'bone'"):
        readout(patient(), "p_involved:bones")
    with pytest.raises(UnknownNameError, match=r"p_first_site\[:<organ>\]"):
        readout(patient(), "first_site")


# ---- population


@pytest.mark.parametrize("sigma", [0.0, 0.8, 2.14])
def test_a_population_is_the_mean_over_lognormal_potentials(sigma: float) -> None:
    hazard = xr.DataArray([1e-4, 0.05, 0.3, 2.0], dims="size", coords={"size": [1, 2, 3, 4]})
    found = cascade.population_risk(hazard, sigma)["p_overt"]

    def mean(total: float) -> float:
        def weighted(z: float) -> float:
            return float(-np.expm1(-total * np.exp(sigma * z)) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))

        return float(quad(weighted, -12, 12, limit=400, epsabs=1e-13)[0])

    np.testing.assert_allclose(found, [mean(total) for total in hazard.values], rtol=1e-6, atol=1e-7)
    assert list(found["size"].values) == [1, 2, 3, 4]


def test_the_hazard_of_a_population_falls_although_that_of_every_patient_is_constant() -> None:
    found = cascade.population_risk(patient(), 1.5)
    hazard = found["hazard"].values
    assert (np.diff(hazard) < 0).all()
    np.testing.assert_allclose(np.exp(-np.cumsum(hazard)), found["p_metastasis_free"].values, rtol=1e-10)
    same = cascade.population_risk(patient(), 0.0)
    np.testing.assert_allclose(same["hazard"], readout(patient(), "hazard_by_year").values, rtol=1e-12)


def test_who_had_no_metastasis_at_surgery_is_of_lower_potential() -> None:
    """E[exp(-Z*(H_s + H))]/E[exp(-Z*H_s)] is above E[exp(-Z*H)]."""
    data = patient()
    free = cascade.population_risk(data, 1.5)["p_metastasis_free"]
    since = readout(data, "h_since_surgery_by_year")
    naive = cascade.population_risk(since, 1.5)["p_metastasis_free"]
    assert (free > naive).all()
    both = [cascade.population_risk(since * k + HAZARD * SURGERY, 1.5)["p_metastasis_free"] for k in (0, 1)]
    np.testing.assert_allclose(free, both[1] / both[0], rtol=1e-10)


def test_missing_years_stay_missing_in_a_population() -> None:
    found = cascade.population_risk(patient(years=12), 1.0)
    assert int(found["p_overt"].notnull().sum()) == 9
    assert found["hazard"].isnull().sum() == len(YEARS) - 9


def test_sigma_comes_from_the_table_of_the_model(make_model) -> None:  # type: ignore[no-untyped-def]
    model = make_model("sigma_potential = 0.7; x = 1; x' = -x;")
    hazard = xr.DataArray([0.1, 0.2], dims="year", coords={"year": [1, 2]})
    found = cascade.population_risk(hazard, model)
    assert found.attrs["sigma"] == 0.7
    xr.testing.assert_equal(found, cascade.population_risk(hazard, 0.7))


def test_a_wrong_sigma_or_too_few_nodes_are_refused() -> None:
    hazard = xr.DataArray(0.1)
    with pytest.raises(AnalysisError, match="sigma is -1"):
        cascade.population_risk(hazard, -1)
    with pytest.raises(AnalysisError, match="nodes is 1"):
        cascade.population_risk(hazard, 1.0, nodes=1)


# ---- plots


@pytest.fixture
def agg() -> object:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def cohort() -> xr.Dataset:
    data = xr.concat([patient(), patient(hazard=1e-4), patient(hazard=5e-4)], dim="patient")
    return data.assign(
        endpoints__p_overt=-np.expm1(-data["endpoints__h_cumulative"]),
        endpoints__p_ctc_positive=-np.expm1(-data["endpoints__ctc_per_tube"]),
    )


def test_the_plot_of_hazards_shows_percent_per_year(agg) -> None:  # type: ignore[no-untyped-def]
    axis = plot_cascade.hazard_by_year(patient())
    assert axis.patches[4].get_height() == pytest.approx(100 * HAZARD * DAYS_PER_YEAR, rel=1e-2)
    assert len(axis.patches) == len(YEARS)
    assert len(plot_cascade.hazard_by_year(patient(years=12)).patches) == 9
    population = plot_cascade.hazard_by_year(cascade.population_risk(patient(), 1.0))
    assert population.patches[20].get_height() < population.patches[0].get_height()
    with pytest.raises(AnalysisError, match="no year after surgery"):
        plot_cascade.hazard_by_year(patient(surgery=1e6))


def test_the_plot_of_survival_stacks_first_sites_to_one(agg) -> None:  # type: ignore[no-untyped-def]
    axis = plot_cascade.survival(patient())
    years, free = axis.lines[0].get_data()
    np.testing.assert_allclose(free, np.exp(-HAZARD * DAYS_PER_YEAR * np.asarray(years)), atol=2e-3)
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert texts == ["no metastasis", "bone", "lung"]
    mean = plot_cascade.survival(cohort()).lines[0].get_ydata()[-1]
    span = 30 * DAYS_PER_YEAR - SURGERY
    assert mean == pytest.approx(np.mean([np.exp(-h * span) for h in (HAZARD, 1e-4, 5e-4)]), abs=2e-3)
    with pytest.raises(AnalysisError, match="no patient is operated"):
        plot_cascade.survival(patient(surgery=1e6))


def test_the_plot_of_organs_compares_first_site_with_autopsy(agg) -> None:  # type: ignore[no-untyped-def]
    axis = plot_cascade.organ_pattern(patient())
    names = [label.get_text() for label in axis.get_xticklabels()]
    assert names == ["lung", "bone", "lymph node"]
    heights = [bar.get_height() for bar in axis.patches]
    np.testing.assert_allclose(heights[:3], [25, 75, 0], rtol=1e-6)
    np.testing.assert_allclose(heights[3:], 100 * -np.expm1(-np.array([2, 1, 0.5])), rtol=1e-3)


def test_the_plot_of_cells_and_risk_shows_probabilities(agg) -> None:  # type: ignore[no-untyped-def]
    runs = cohort()
    axis = plot_cascade.ctc_and_risk(runs)
    cells, risk = (line.get_ydata() for line in axis.lines[:2])
    np.testing.assert_allclose(cells, 100 * runs["endpoints__p_ctc_positive"].median("patient"))
    assert risk[-1] == pytest.approx(-100 * np.expm1(-HAZARD * 30 * DAYS_PER_YEAR))
    with pytest.raises(AnalysisError, match="endpoints__p_"):
        plot_cascade.ctc_and_risk(patient())


def test_plots_draw_on_the_axis_that_is_given(agg) -> None:  # type: ignore[no-untyped-def]
    _, axes = agg.subplots(2, 2)
    data = cohort()
    draw = (
        plot_cascade.hazard_by_year,
        plot_cascade.survival,
        plot_cascade.organ_pattern,
        plot_cascade.ctc_and_risk,
    )
    for function, axis in zip(draw, axes.ravel(), strict=True):
        assert function(data, axis) is axis
