"""Operations on a day of their own, radiation, and the moments of a patient from which treatment counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cascade
from cascade import Radiotherapy, Surgery, _sbml
from cascade.errors import CascadeError, DrugError, UnknownNameError, ValueSettingError


@pytest.fixture(scope="module")
def breast():
    return cascade.compose(cascade.load_composition("breast_lite", index={"systemic": ["bone"]}))


@pytest.fixture(scope="module")
def plain(breast):
    return cascade.simulate(breast, years=12)


def clean(model):
    document = _sbml.read_document(model.flat, model.name)
    return not _sbml.check_document(document, model.name) and not cascade.check_portable(model)


def symbols_of_triggers(model):
    document = _sbml.read_document(model.flat, model.name)
    return set().union(*(_sbml.symbols(e.getTrigger().getMath()) for e in document.getModel().getListOfEvents()))


class TestSurgery:
    @pytest.mark.slow
    def test_waits_after_diagnosis(self, breast, plain):
        treated = cascade.treat(breast, Surgery(day=60))
        run = cascade.simulate(treated, years=12, record=["t_diagnosis", "primary_tumor.t_surgery"])
        found, operated = float(run["t_diagnosis"][-1]), float(run["primary_tumor__t_surgery"][-1])
        # the tumor is found at the size at which it would have been operated at once
        assert found == pytest.approx(float(plain["primary_tumor__t_surgery"][-1]), rel=1e-6)
        assert operated == pytest.approx(found + 60, rel=1e-9)
        assert clean(treated)

    def test_waiting_costs(self, breast, plain):
        late = cascade.simulate(cascade.treat(breast, Surgery(day=120)), years=12)
        assert float(cascade.readout(late, "p_overt_5y")) > 1.1 * float(cascade.readout(plain, "p_overt_5y"))

    def test_a_patient_without_surgery_stays_so(self, breast):
        run = cascade.simulate(
            cascade.treat(breast, Surgery(day=60)), years=12, values={"primary_tumor.f_surgery": 0.0}
        )
        assert float(run["primary_tumor__f_resected"][-1]) == 0

    def test_on_a_day_from_the_begin(self, breast):
        run = cascade.simulate(cascade.treat(breast, Surgery(day=1000, origin=None)), years=5)
        assert float(run["primary_tumor__t_surgery"][-1]) == pytest.approx(1000, rel=1e-9)

    def test_what_cannot_be(self, breast):
        for day in (-1, 0, math.nan, math.inf, "soon", True):
            with pytest.raises(DrugError, match="give a finite number"):
                Surgery(day=day)
        with pytest.raises(DrugError, match="no primary_tumor"):
            cascade.treat(cascade.compose(cascade.load_module("emt")), Surgery(day=3))
        with pytest.raises(ValueSettingError, match="one by one"):
            cascade.treat(breast, [Surgery(day=3)])


class TestRadiotherapy:
    def test_each_fraction_leaves_the_linear_quadratic_share(self):
        clone = cascade.compose(cascade.load_module("clone"))
        course = Radiotherapy(dose=3, fractions=7, start=1, origin=None, alpha=0.2, beta=0.02)
        treated = cascade.treat(clone, course)
        still = {"k_gompertz": 0, "k_kill": 0, "v_returned": 0, "v_lost": 0, "v_births_parent": 0}
        run = cascade.simulate(treated, days=20, points=21, values=still)
        cells = run["n_grown"].values / float(run["n_grown"][0])
        left = math.exp(-0.2 * 3 - 0.02 * 9)
        # five fractions a week: days 1 to 5, then 8 and 9
        given = np.array([sum(1 + day <= t for day in course.days) for t in run["time"].values])
        assert course.days == (0, 1, 2, 3, 4, 7, 8)
        assert cells == pytest.approx(left**given, rel=1e-6)
        assert clean(treated)

    @pytest.mark.slow
    def test_lesions_lose_size_and_burden(self):
        lesions = cascade.compose(cascade.load_composition("breast_lite"))
        course = Radiotherapy(start=200, fractions=20, origin="surgery", sites=("bone",))
        record = ["bone_lesions.h_cumulative", "liver_lesions.h_cumulative", "bone_clone_1.n_dormant"]
        before = cascade.simulate(lesions, years=12, record=record)
        after = cascade.simulate(cascade.treat(lesions, course), years=12, record=record)
        ratio = {
            name: float(after[name][-1] / before[name][-1])
            for name in after.data_vars
            if name in before and "__" in name
        }
        assert ratio["bone_lesions__h_cumulative"] < 0.5
        assert ratio["liver_lesions__h_cumulative"] == pytest.approx(1, rel=1e-4)
        assert 0 <= ratio["bone_clone_1__n_dormant"] < 1e-3

    def test_no_dose_changes_nothing(self, breast, plain):
        course = Radiotherapy(dose=0, fractions=3, sites=("bone",), origin="surgery")
        run = cascade.simulate(cascade.treat(breast, course), years=12)
        assert float(cascade.readout(run, "p_overt_5y")) == pytest.approx(
            float(cascade.readout(plain, "p_overt_5y")), rel=1e-5
        )

    def test_what_cannot_be(self, breast):
        with pytest.raises(DrugError, match=r"dose is -2.*fractions is 0"):
            Radiotherapy(dose=-2, fractions=0)
        with pytest.raises(DrugError, match="from 1 to 200"):
            Radiotherapy(fractions=10_000)
        with pytest.raises(UnknownNameError, match="bone"):
            cascade.treat(breast, Radiotherapy(sites=("bones",)))


class TestMoments:
    @pytest.mark.slow
    def test_metastasis_is_where_half_have_one(self, breast):
        drug = cascade.regimen("letrozole", averaged=True, origin="metastasis", stop=400)
        treated = cascade.treat(breast, drug)
        values = {"f_metastatic_potential": 60.0}
        record = ["t_metastasis", "endpoints.h_since_surgery", "letrozole.u_proliferation"]
        run = cascade.simulate(treated, years=15, points=5479, values=values, record=record)
        day = float(run["t_metastasis"][-1])
        hazard = np.interp(day, run["time"].values, run["endpoints__h_since_surgery"].values)
        assert hazard == pytest.approx(math.log(2), rel=1e-3)
        held = run["letrozole__u_proliferation"].values
        assert not held[run["time"].values < day].any() and held.max() > 0.5
        assert clean(treated)

    def test_progression_ends_one_drug_and_begins_another(self):
        vessels = cascade.compose(cascade.load_module("hypoxia_vegf"))
        first = cascade.regimen("bevacizumab", start=10, stop=1000, until="progression")
        second = cascade.regimen("sunitinib", averaged=True, origin="progression", stop=300)
        treated = cascade.treat(vessels, first, second)
        run = cascade.simulate(treated, days=600, points=6001, values={"init_n_own": 2e9})
        time, cells = run["time"].values, run["n_tumor"].values
        day = float(run["t_progression"][-1])
        begun = time >= 10
        nadir = np.minimum.accumulate(np.where(begun, cells, np.inf))
        told = time[begun & (cells >= 1.2**3 * nadir)][0]
        # the smallest burden is noted within a day
        assert day == pytest.approx(told, abs=1.5)
        assert run["bevacizumab__v_infusion"].values[time > day + 0.2].max() == 0
        assert run["sunitinib__c_plasma"].values[time < day].max() == 0
        assert run["sunitinib__c_plasma"].values.max() > 0
        assert clean(treated)

    def test_a_variable_in_days_is_a_moment_too(self, breast):
        by_name = cascade.treat(breast, cascade.regimen("letrozole", averaged=True, origin="primary_tumor.t_surgery"))
        by_word = cascade.treat(breast, cascade.regimen("letrozole", averaged=True, origin="surgery"))
        runs = [cascade.simulate(model, years=8, record=["letrozole.c_plasma"]) for model in (by_name, by_word)]
        assert np.array_equal(runs[0]["letrozole__c_plasma"], runs[1]["letrozole__c_plasma"])

    def test_an_ideal_drug_counts_from_the_same_moments(self, breast):
        def treated(origin, start=10.0):
            return cascade.treat(breast, cascade.inhibit("hypoxia_vegf.f_vegfr2", by=0.5, start=start, origin=origin))

        assert treated("surgery").flat == treated("primary_tumor.t_surgery").flat
        assert {"t_diagnosis", "start_on_hypoxia_vegf__f_vegfr2"} <= symbols_of_triggers(treated("diagnosis"))
        for moment in ("surgery", "diagnosis"):
            with pytest.raises(ValueSettingError, match="not known before"):
                treated(moment, start=-1.0)

    @pytest.mark.parametrize(
        ("origin", "error"),
        [("surgeri", UnknownNameError), ("emt.a_emt", DrugError), ("primary_tumor.n_tumor", DrugError)],
    )
    def test_what_is_no_moment(self, breast, origin, error):
        with pytest.raises(error):
            cascade.treat(breast, cascade.regimen("letrozole", averaged=True, origin=origin))

    def test_a_model_without_such_a_day_says_so(self):
        vessels = cascade.compose(cascade.load_module("hypoxia_vegf"))
        for origin in ("surgery", "diagnosis", "metastasis"):
            with pytest.raises(CascadeError, match="origin=None"):
                cascade.treat(vessels, cascade.regimen("bevacizumab", origin=origin))
