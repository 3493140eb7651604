"""Every shipped drug: its folder, its regimens as models, its balance of mass, its half-life in closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import cascade
from cascade._sbml import check_document, read_document
from cascade.evidence import check_parameters
from cascade.facts import check_facts, read_facts
from cascade.library import bibliography_keys, library_folder
from cascade.portable import check_portable
from cascade.specs import Solver
from cascade.target_table import read_targets
from cascade.therapy import pharmacokinetics
from cascade.therapy.drugs import TIERS, Drug, drug_folder, drug_names, load_drug
from cascade.therapy.regimens import Regimen, regimen

DRUGS = drug_names()
FULL = [name for name in DRUGS if load_drug(name).tier == "pharmacokinetics" and not load_drug(name).carrier]
SMALL = [name for name in FULL if not name.endswith("mab")]
KEYS = bibliography_keys()
TIGHT = Solver(relative_tolerance=1e-10)


def species(run: xr.Dataset, name: str) -> xr.DataArray:
    """Add up the amounts of a drug, wherever it is, and what was eliminated."""
    whole = [run[each] for each in run.data_vars if str(each).startswith(f"{name}__n_") and run[each].ndim]
    return sum(whole[1:], start=whole[0])


def given(plan: Regimen, time: np.ndarray, count: int) -> np.ndarray:
    """Return what has been given in nmol, from the entries of the folder alone."""
    drug = plan.drug
    share = {"mg": 1.0, "mg/kg": drug.weight, "mg/m2": drug.surface}[plan.unit]
    kilodalton = drug.value("m_molar") / (1e3 if drug.table["m_molar"].unit == "mg_per_mmole" else 1)
    total = np.zeros_like(time)
    days = [day for day, _ in plan.loading]
    first = days[-1] + plan.every if days else 0
    doses = [*plan.loading, *((first + number * plan.every, plan.dose) for number in range(count - len(days)))]
    length = plan.infusion_hours / 24
    for day, milligrams in doses:
        so_far = np.clip((time - day) / length, 0, 1) if length else (time >= day) * 1.0
        total += milligrams * share / kilodalton * 1e3 * so_far
    return total


def test_the_drugs_that_were_promised_are_there() -> None:
    full = {"bevacizumab", "pembrolizumab", "nivolumab", "atezolizumab", "ipilimumab", "denosumab", "sunitinib"}
    full |= {"cediranib", "galunisertib", "trametinib", "plerixafor", "paclitaxel", "letrozole"}
    assert full <= set(FULL)
    stated = {"belzutifan", "fresolimumab", "lgk974", "g007_lk", "nirogacestat", "enoticumab", "decitabine"}
    stated |= {"tazemetostat", "pexidartinib", "pf_04136309", "ticagrelor", "sotorasib", "idasanutlin", "tretinoin"}
    assert {name for name in DRUGS if load_drug(name).tier == "exposure"} >= stated
    assert [name for name in DRUGS if load_drug(name).carrier] == ["nanoparticle"]


@pytest.mark.parametrize("name", DRUGS)
def test_a_folder_is_complete(name: str) -> None:
    drug, folder = load_drug(name), drug_folder(name)
    assert not check_parameters(folder / "parameters.tsv", KEYS)
    assert drug.tier in TIERS and drug.title
    readme = (folder / "README.md").read_text()
    words = {"pharmacokinetics": ("pharmacokinetics", "full kinetics"), "exposure": ("exposure", "stated")}[drug.tier]
    assert "tier" in readme.lower() and any(word in readme.lower() for word in words)
    assert {action.target for action in drug.actions} <= {row.target for row in read_targets()}
    assert drug.regimens or drug.carrier
    for written in drug.regimens.values():
        assert set(written.entries["source"]) <= KEYS and written.entries["where"] and written.entries["status"]


@pytest.mark.parametrize("name", FULL)
def test_facts_of_a_drug_are_well_formed(name: str) -> None:
    path = drug_folder(name) / "evidence.tsv"
    assert path.is_file() and not check_facts(path, KEYS)
    assert any("half_life" in fact.id or fact.unit == "hour" for fact in read_facts(path))


@pytest.mark.parametrize("name", FULL)
def test_molar_mass_is_that_of_a_molecule_of_its_kind(name: str) -> None:
    """Grams for kilograms would pass every fact in mass units, and miss every potency a thousandfold."""
    drug = load_drug(name)
    one = Regimen(drug=drug, dose=1, unit="mg", route="bolus", doses=1)
    low, high = (100, 1500) if name in SMALL else (140_000, 152_000)
    assert low < 1e6 / one.amount(1) < high


@pytest.mark.parametrize("name", [name for name in DRUGS if load_drug(name).regimens])
def test_every_regimen_is_a_clean_model(name: str) -> None:
    """The whole course compiles; the begin of one by route is judged, since all later doses are of the same form."""
    drug = load_drug(name)
    routes = {}
    for key in drug.regimens:
        whole = regimen(drug, key)
        assert pharmacokinetics(whole).instances == {name: drug.structure.name}
        routes.setdefault(whole.route, key)
    for key in routes.values():
        plan = regimen(drug, key, doses=3) if drug.tier == "pharmacokinetics" else regimen(drug, key, stop=30)
        model = pharmacokinetics(plan)
        assert check_portable(model) == ()
        assert check_document(read_document(model.flat, name), name) == []


@pytest.mark.parametrize("name", FULL)
def test_mass_is_kept_and_doses_are_those_of_the_folder(name: str) -> None:
    drug = load_drug(name)
    key = next(iter(drug.regimens))
    count = 6 if drug.regimens[key].entries.get("every", 1) > 1 else 14
    plan = regimen(drug, key, doses=count)
    days = plan.every * count + plan.infusion_hours / 24
    run = cascade.simulate(pharmacokinetics(plan), days=days, points=203, solver=TIGHT)
    exact = given(plan, run.time.values, count)
    np.testing.assert_allclose(species(run, name), exact, atol=1e-6 * exact[-1], rtol=0)
    assert exact[-1] == pytest.approx(count * plan.amount(plan.dose), rel=1e-12)
    assert all(float(run[each].min()) >= -1e-6 * exact[-1] for each in run.data_vars if f"{name}__n_" in str(each))


@pytest.mark.parametrize("name", FULL)
def test_half_life_is_that_of_the_closed_form(name: str) -> None:
    """The slowest eigenvalue of the linear part; saturation and the change of clearance are switched off."""
    drug = load_drug(name)
    plan = regimen(drug, doses=1)
    exact = math.log(2) / slowest(drug, plan.route)
    off = {f"{name}.{each}": 0 for each in ("v_saturable", "log_change_clearance") if each in drug.table}
    run = cascade.simulate(
        pharmacokinetics(plan), days=9 * exact, points=181, values=off, solver=Solver(relative_tolerance=1e-11)
    )
    first, last = (float(run[f"{name}__c_plasma"].sel(time=k * exact, method="nearest")) for k in (7, 9))
    assert 2 * exact / math.log2(first / last) == pytest.approx(exact, rel=1e-4)


def slowest(drug: Drug, route: str) -> float:
    """Return the slowest rate of two compartments, or of one, or of absorption."""
    value = {row.id: row.nominal for row in drug.parameters}
    leave = value["cl_linear"] / value["vol_central"]
    rates = [leave]
    if value.get("cl_distribution"):
        out, back = (value["cl_distribution"] / value[each] for each in ("vol_central", "vol_peripheral"))
        half, root = (leave + out + back) / 2, math.sqrt(((leave + out + back) / 2) ** 2 - leave * back)
        rates = [leave * back / (half + root), half + root]
    return min([*rates, *([value["k_absorb"]] if route in ("oral", "subcutaneous") else [])])


@pytest.mark.parametrize("name", SMALL)
def test_a_small_molecule_can_be_carried(name: str) -> None:
    carried = cascade.carry(name)
    plan = Regimen(drug=carried, dose=50, unit="mg/m2", route="infusion", infusion_hours=1, every=28, doses=2)
    run = cascade.simulate(pharmacokinetics(plan), days=60, points=121, solver=TIGHT)
    exact = 2 * plan.amount(50)
    assert float(species(run, carried.name)[-1]) == pytest.approx(exact, rel=1e-6)
    assert float(run[f"{carried.name}__n_retained"].max()) > 0


def test_an_antibody_cannot_be_put_where_it_has_no_place() -> None:
    with pytest.raises(cascade.CascadeError, match="no carrier"):
        cascade.carry("sunitinib", "bevacizumab")
    with pytest.raises(cascade.CascadeError, match="kinetics are not modeled"):
        cascade.carry("lgk974")


def test_several_drugs_have_kinetics_side_by_side() -> None:
    """Each is as it is alone."""
    plans = [regimen("bevacizumab", doses=2), regimen("sunitinib", doses=5), regimen("paclitaxel", doses=1)]
    together = cascade.simulate(pharmacokinetics(*plans), days=20, points=81, solver=TIGHT)
    for plan in plans:
        name = f"{plan.drug.name}__c_plasma"
        alone = cascade.simulate(pharmacokinetics(plan), days=20, points=81, solver=TIGHT)[name]
        np.testing.assert_allclose(together[name], alone, atol=1e-6 * float(alone.max()))


def test_the_name_of_a_drug_may_not_hide_other_numbers() -> None:
    one = regimen("bevacizumab")
    rows = tuple(replace(row, nominal=0.3) if row.id == "cl_linear" else row for row in one.drug.parameters)
    with pytest.raises(cascade.CascadeError, match="other numbers"):
        pharmacokinetics(one, replace(one, drug=replace(one.drug, parameters=rows)))


def test_no_folder_is_left_over() -> None:
    folders = {path.name for path in (library_folder() / "drugs").iterdir() if path.is_dir()}
    assert folders == set(DRUGS)
