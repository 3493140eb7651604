"""What holds for every shipped module: it runs alone, stays positive, is annotated, sourced and has drug targets."""

from __future__ import annotations

import libsbml
import numpy as np
import pytest
import xarray as xr

import cascade
from cascade.catalogue import load_module, module_folder, module_names
from cascade.evidence import count_evidence
from cascade.facts import read_facts

SIGNALING = (
    "csc_epi",
    "drivers",
    "emt",
    "hypoxia_vegf",
    "microenvironment",
    "notch",
    "pdl1_immune",
    "tgf_beta",
    "wnt",
)
DAYS = 60.0


def draws(module: cascade.Module, number: int) -> dict[str, xr.DataArray]:
    """Draw the uncertain constants within their bounds, log-uniformly where possible."""
    rng = np.random.default_rng(7)
    drawn = {}
    for row in module.parameters:
        if row.estimate and row.lower is not None and row.upper is not None:
            share = rng.random(number)
            ratio = row.upper / row.lower if row.lower > 0 else 0
            values = row.lower * ratio**share if ratio else row.lower + share * (row.upper - row.lower)
            drawn[row.id] = xr.DataArray(values, dims="draw")
    return drawn


@pytest.mark.parametrize("name", module_names())
def test_it_runs_alone_and_no_state_is_negative(name):
    module = load_module(name)
    model = cascade.compose(module)
    for values in ({}, draws(module, 6)):
        run = cascade.simulate(model, days=DAYS, values=values, solver=cascade.Solver(relative_tolerance=1e-8))
        assert set(np.atleast_1d(run["status"].values)) == {"ok"}
        for variable in states(model.flat):
            scale = float(abs(run[variable]).max())
            assert float(run[variable].min()) >= -1e-9 * max(scale, 1e-6), variable


def states(flat: str) -> list[str]:
    """Return what the solver integrates: species, and rate-rule variables."""
    model = libsbml.readSBMLFromString(flat).getModel()
    rules = [rule.getVariable() for rule in model.getListOfRules() if rule.isRate()]
    return [species.getId() for species in model.getListOfSpecies()] + rules


@pytest.mark.parametrize("name", module_names())
def test_concentrations_have_an_identity(name):
    assert cascade.check(name).grades["species with an identifier"] == 1


@pytest.mark.parametrize("name", SIGNALING)
def test_a_signaling_module_can_be_judged_alone(name):
    module = load_module(name)
    rows = module.parameters
    assert any(row.gene for row in rows) and any(row.target for row in rows)
    assert any(row.estimate for row in rows)
    assert len(read_facts(module_folder(name) / "evidence.tsv")) >= 6
    assert (module_folder(name) / "README.md").read_text().startswith(f"# {name}: ")


def test_sixty_percent_of_the_constants_of_signaling_have_a_source():
    total: dict[str, int] = {}
    for name in SIGNALING:
        module = load_module(name)
        inputs = {port.id for port in module.ports if port.direction == "in"}
        for kind, number in count_evidence(module.parameters, inputs).items():
            total[kind] = total.get(kind, 0) + number
    assert 1 - total["assumed"] / sum(total.values()) >= 0.6


def test_sixty_facts_qualify_the_signaling_modules():
    facts = [fact for name in SIGNALING for fact in read_facts(module_folder(name) / "evidence.tsv")]
    assert len(facts) >= 60
    assert sum(fact.role == "predicted" for fact in facts) >= 30
