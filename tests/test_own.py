"""A user's own model becomes a module: units, names, ports, and its place in a composition."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import libsbml
import numpy as np
import pytest
from conftest import sbml_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import lu2013, tian2013
from typer.testing import CliRunner

import cascade
from cascade import _sbml
from cascade.cli import _own
from cascade.errors import CascadeError, CompositionError, ModuleError, SBMLError, UnknownNameError
from cascade.opening import Opened
from cascade.own import (
    compare_with_source,
    propose_ports,
    propose_units,
    read_module,
    replace_module,
    write_module_folder,
)
from cascade.own.measure import from_word, spelled, target
from cascade.specs import Parameter, Solver
from cascade.target_table import read_targets, resolve_acts

TIAN = """
model tian2013
  T' = k0T + kT/(1 + (miR200/JT)^2) - kdT*T;
  s' = k0s + ks*((T + TGF0)/Js)^2/(1 + ((T + TGF0)/Js)^2) - kds*s;
  SNAIL' = kS*s/(1 + (miR34/JS)^2) - kdS*SNAIL;
  miR34' = k03 + k3/(1 + (SNAIL/J13)^2 + (ZEB/J23)^2) - kd3*miR34;
  z' = k0z + kz*(SNAIL/Jz)^2/(1 + (SNAIL/Jz)^2) - kdz*z;
  ZEB' = kZ*z/(1 + (miR200/JZ)^2) - kdZ*ZEB;
  miR200' = k02 + k2/(1 + (SNAIL/J12)^2 + (ZEB/J22)^2) - kd2*miR200;
  Ecad' = ke1/(1 + (SNAIL/J1e)^2) + ke2/(1 + (ZEB/J2e)^2) - kde*Ecad;
  Ncad' = kn1*(SNAIL/J1n)^2/(1 + (SNAIL/J1n)^2) + kn2*(ZEB/J2n)^2/(1 + (ZEB/J2n)^2) - kdn*Ncad;
  TGF0 = 3;
  k0T = 0.06; kT = 1.2; JT = 0.06; kdT = 0.6; k0s = 0.0006; ks = 0.03; Js = 1.6; kds = 0.09;
  kS = 17; JS = 0.08; kdS = 1.66; k03 = 0.0012; k3 = 0.012; J13 = 0.15; J23 = 0.36; kd3 = 0.035;
  k0z = 0.003; kz = 0.06; Jz = 3.5; kdz = 0.09; kZ = 17; JZ = 0.06; kdZ = 1.66;
  k02 = 0.0002; k2 = 0.012; J12 = 5; J22 = 0.2; kd2 = 0.035;
  ke1 = 1; J1e = 0.2; ke2 = 0.6; J2e = 0.5; kde = 0.5; kn1 = 1; J1n = 0.2; kn2 = 0.6; J2n = 0.5; kdn = 0.5;
  T = 0.1; s = 0.01; SNAIL = 0.01; miR34 = 0.38; z = 0.03; ZEB = 0.01; miR200 = 0.35; Ecad = 3.2; Ncad = 0;
end
"""
STATES = ("T", "s", "SNAIL", "miR34", "z", "ZEB", "miR200", "Ecad", "Ncad")
TIAN_UNITS = dict.fromkeys((*STATES, "TGF0"), "uM")
TIAN_PORTS = {
    "c_tgfb": "TGF0",
    "c_snail": "0.04*SNAIL",
    "c_zeb1": "0.04*ZEB",
    "c_mir34": "0.04*miR34",
    "c_mir200": "0.04*miR200",
    "c_ecad": "0.1*Ecad",
    "a_emt": "(1 - Ecad/3.2 + Ncad/3.2)/2",
}
LEFT_OUT = dict.fromkeys(
    ("c_psmad", "c_nicd", "c_bcat_tcf", "f_gsk3", "c_pperk", "f_p53", "f_silenced_mir200", "f_silenced_cdh1",
     "v_tgfb_autocrine")
)  # fmt: skip


def read_units():
    return TIAN_UNITS | propose_units(TIAN, time_unit="hour", units=TIAN_UNITS)


def read_tian(**more):
    return read_module(TIAN, time_unit="hour", units=read_units(), **more)


@pytest.fixture(scope="module")
def tian():
    return read_tian(ports=TIAN_PORTS, like="emt")


def clean(module):
    return _sbml.check_document(_sbml.read_document(module.sbml, module.name), module.name) == []


def largest(module, **how):
    found = compare_with_source(module, **how)
    assert len(found)
    return found["deviation"].max()


class TestUnits:
    @pytest.mark.parametrize(
        ("unit", "becomes", "factor"),
        [
            ("uM_per_hour", "nM_per_day", 24_000),
            ("per_uM_per_minute", "per_nM_per_day", 1.44),
            ("mM", "nM", 1e6),
            ("minute", "day", 1 / 1440),
            ("litre_per_umole_per_hour", "per_nM_per_day", 0.024),
            ("ml_per_minute", "litre_per_day", 1.44),
            ("cell_per_ml", "Mcell_per_ml", 1e-6),
            ("per_cell_per_hour", "per_cell_per_day", 24),
            ("cell", "cell", 1),
            ("mmHg", "mmHg", 1),
            ("molecule_per_hour", "nmole_per_day", 24e9 / 6.02214076e23),
        ],
    )
    def test_target(self, unit, becomes, factor):
        source = from_word(unit)
        goal = target(source, "x")
        assert goal.word == becomes
        assert source.size / goal.size == pytest.approx(factor, rel=1e-9)

    @given(
        st.sampled_from(["pM", "nM", "uM", "mM", "molecule", "umole", "cell"]),
        st.integers(-2, 2),
        st.sampled_from(["second", "minute", "hour", "day"]),
        st.integers(-1, 1),
    )
    def test_a_unit_is_spelled_as_it_is_read(self, amount, power, clock, turns):
        words = [f"per_{amount}" * (power < 0) + amount * (power > 0) + str(abs(power)) * (abs(power) > 1)]
        words += [f"per_{clock}" if turns < 0 else clock if turns > 0 else ""]
        word = "_".join(filter(None, words)) or "dimensionless"
        unit = from_word(word)
        again = from_word(spelled(unit) or "dimensionless")
        assert again.dimensions == unit.dimensions
        assert again.size == pytest.approx(unit.size, rel=1e-9)


# -- random models: the source and the module give the same trajectories ----------------------------------------------

CLOCKS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
MOLES = {"nM": 1e-9, "uM": 1e-6, "mM": 1e-3}
RATES = (  # continuous, over a compartment c and species a, b: consistent, with bare numbers, and inconsistent ones
    "{c}*{k}*{a}",
    "{c}*{k2}*{a}*{b}",
    "{c}*{v}*{a}/({m} + {a})",
    "{c}*{v}*{a}^{n}/({m}^{n} + {a}^{n})",
    "{c}*{v}*{a}^2/(0.49 + {a}^2)",
    "{c}*{k}*{a}/(1 + ({b}/0.7)^2)",
    "{c}*{k}*{a}*exp(-time/4)",
    "{c}*{k}*{a}*(1 + sin(time))",
    "{k}*{a}",
    "0.05*{a}*{b}",
    "{c}*{k}*{a} + 0.01*{a}",
    "{c}*{k}*piecewise({a}, {a} > 0.5, 2*{a} - 0.5)",
    "{c}*{k}*max({a} - 0.2, 0)",
)


@st.composite
def models(draw):
    """Antimony text of a small model with complete units."""
    clock, unit = draw(st.sampled_from(list(CLOCKS))), draw(st.sampled_from(list(MOLES)))
    volume = draw(st.sampled_from(["litre", "ml"]))
    number = st.floats(0.05, 0.6).map(lambda x: f"{x:.3g}")
    lines = [f"unit time_unit = {CLOCKS[clock]} second",
             f"unit volume = {1 if volume == 'litre' else 1e-3} litre",
             f"unit substance = {MOLES[unit]} mole",
             f"unit {unit} = {MOLES[unit]} mole / litre"]  # fmt: skip
    amount = {"nM": "nmole", "uM": "umole", "mM": "mmole"}[unit]
    places = draw(st.integers(1, 2))
    for i in range(places):
        lines += [f"compartment c{i} = {draw(st.sampled_from(['1', '0.5', '2']))}; c{i} has {volume}"]
    count = draw(st.integers(2, 4))
    home = [draw(st.integers(0, places - 1)) for _ in range(count)]
    counted = [draw(st.integers(0, 4)) == 0 for _ in range(count)]
    for i in range(count):
        only = "substanceOnly " if counted[i] else ""
        start = draw(st.floats(0.1, 2).map(lambda x: f"{x:.3g}"))
        lines += [f"{only}species S{i} in c{home[i]}; S{i} has {amount if counted[i] else unit}; S{i} = {start}"]
    for j in range(draw(st.integers(1, 4))):
        a, b = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        names = {"c": f"c{home[a]}", "a": f"S{a}", "b": f"S{b}", "k": f"k{j}", "k2": f"q{j}", "v": f"V{j}",
                 "m": f"K{j}", "n": f"n{j}"}  # fmt: skip
        rate = draw(st.sampled_from(RATES)).format(**names)
        for name, word in (("k", f"per_{clock}"), ("k2", f"per_{unit}_per_{clock}"), ("v", f"{unit}_per_{clock}"),
                           ("m", unit), ("n", "dimensionless")):  # fmt: skip
            if names[name] in rate.replace("(", " ").replace(")", " ").replace("^", " ").replace("*", " ").split():
                value = "2.5" if name == "n" else draw(number)
                lines += [f"{names[name]} = {value}; {names[name]} has {word}"]
        other = draw(st.integers(0, count - 1))
        makes = f"S{other}" if other != a and draw(st.booleans()) else ""
        lines += [f"J{j}: S{a} => {makes}; {rate}"]
    if draw(st.booleans()):
        lines += [f"x := S0 + S1; x has {unit}", f"y' = {draw(number)}*(x - y); y = 0.3; y has {unit}"]
    if draw(st.booleans()):
        # between two rows of the comparison: at a row, before and after are both right
        delay = draw(st.sampled_from(["", "0.4 after "]))
        lines += [f"pulse: at {delay}time > 1.3, t0=false, persistent=true: S1 = S1 + 0.5"]
    return ";\n".join(lines) + ";"


@pytest.fixture
def in_process(monkeypatch):
    """Open generated SBML without a child process: a second less for each example."""

    def opened(path):
        document = _sbml.read_document(Path(path).read_text(), "generated")
        return Opened(flat=_sbml.write_document(document), name="generated", level=3, version=2)

    monkeypatch.setattr("cascade.own.source.open_sbml", opened)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=models())
def test_a_converted_model_runs_as_its_source(in_process, text):
    module = read_module(sbml_of(text))
    assert clean(module)
    assert largest(module, days=6 * module.conversion.time_factor, points=13) < 1e-6


def test_tian2013_as_published(tian):
    assert clean(tian)
    assert largest(tian, days=20) < 1e-6
    hours = np.linspace(0, 400, 21)
    start = np.array([0.1, 0.01, 0.01, 0.38, 0.03, 0.01, 0.35, 3.2, 0.0])
    expected = tian2013.course(hours, 3.0, start)
    run = cascade.simulate(cascade.compose(tian), days=400 / 24, points=21, solver=Solver(relative_tolerance=1e-9))
    ids = {symbol: found for symbol, (found, _) in tian.conversion.factors.items()}
    for row, symbol in zip(expected, STATES, strict=True):
        assert run[ids[symbol]].values == pytest.approx(1000 * row, rel=2e-4, abs=2e-3), symbol
    assert run["a_emt"].values[-1] > 0.9


def weighted(weights):
    """The mean of weights over the sites that miR-200 occupies, as text."""
    terms = [f"{math.comb(lu2013.SITES, i) * weight}*a^{i}" for i, weight in enumerate(weights) if weight]
    return f"({' + '.join(terms)})/(1 + a)^{lu2013.SITES}"


LU = f"""
model lu
  species u, m, Z; u = 20000; m = 60; Z = 4000; S = 215000;
  a := u/u0; L := {weighted(lu2013.TRANSLATION)};
  Ym := per_h*{weighted(lu2013.MRNA_LOSS)}; Yu := per_h*{weighted([i * w for i, w in enumerate(lu2013.MIR_LOSS)])};
  Ju: => u; gu*(0.1 + 0.9/(1 + (Z/220000)^3))*(0.1 + 0.9/(1 + (S/180000)^2)) - m*Yu - ku*u;
  Jm: => m; gm*(7.5 - 6.5/(1 + (Z/25000)^2))*(10 - 9/(1 + (S/180000)^2)) - m*Ym - km*m;
  Jz: => Z; gz*m*L - kz*Z;
  gu = 2100; gm = 11; gz = 100; ku = 0.05; km = 0.5; kz = 0.1; u0 = 10000; per_h = 1;
end"""


def test_molecules_become_nanomolar_in_the_volume_of_a_cell():
    """Lu 2013 counts molecules per cell; 1,990 of them per nM is a cell of 3.3 pl."""
    units = dict.fromkeys(("u", "m", "Z", "S"), "molecule") | {"per_h": "per_hour"}
    proposed = propose_units(LU, time_unit="hour", units=units)
    assert proposed["gu"] == proposed["gm"] == "molecule_per_hour"
    assert proposed["u0"] == "molecule"
    assert proposed["gz"] == "per_hour"
    litres = 1990 / 6.02214076e14
    module = read_module(LU, time_unit="hour", units=proposed | units, volumes={"default_compartment": litres})
    table = {row.id: row for row in module.parameters}
    assert clean(module)
    assert (table["u0"].unit, table["gu"].unit) == ("nM", "nM_per_day")
    assert table["u0"].nominal == pytest.approx(10000 / 1990, rel=1e-10)
    assert table["gu"].nominal == pytest.approx(2100 / 1990 * 24, rel=1e-10)
    assert not [c for c in module.conversion.changes if c.kind == "formula"], "every formula is homogeneous"
    assert largest(module) < 1e-6
    # between the two folds of the published scan: the hybrid state
    expected = lu2013.hold(lu2013.EPITHELIAL, 215_000)
    run = cascade.simulate(cascade.compose(module), days=125, points=2).isel(time=-1)
    for symbol, molecules in zip("umz", expected, strict=True):
        assert float(run[symbol]) == pytest.approx(molecules / 1990, rel=1e-3)


def test_a_count_of_cells_stays_a_count_and_keeps_its_volumes():
    text = """
    unit time_unit = 3600 second; unit litre = 1 litre; unit volume = 1 litre;
    compartment blood = 5; blood has litre;
    substanceOnly species T in blood; T has cell; T = 100;
    species D in blood; D has nM; D = 3; unit nM = 1e-9 mole / litre;
    k has per_hour; k = 0.02; K has nM; K = 2; ke has per_hour; ke = 0.1;
    grow: => T; k*T/(1 + D/K); clear: D => ; blood*ke*D"""
    module = read_module(sbml_of(text))
    assert clean(module)
    assert {p.id: p.unit for p in module.ports} == {"t": "cell", "d": "nM"}
    assert next(c.factor for c in module.conversion.changes if c.symbol == "blood") == 1
    run = cascade.simulate(cascade.compose(module), days=1, points=2, solver=Solver(relative_tolerance=1e-9))
    assert run["d"].values[-1] == pytest.approx(3 * math.exp(-2.4), rel=1e-6)
    assert largest(module, days=3) < 1e-6


def test_volumes_of_a_file_are_scaled_to_a_litre_and_concentrations_stay():
    text = """
    unit time_unit = 60 second; unit substance = 1e-6 mole; unit volume = 1 litre;
    compartment cyto = 2e-12, nuc = 5e-13; cyto has volume; nuc has volume;
    species A in cyto, B in nuc; A = 1; B = 0; A has uM; B has uM; unit uM = 1e-6 mole / litre;
    perm has litre_per_minute; perm = 1e-13; back has litre_per_minute; back = 2e-13;
    move: A -> B; perm*A - back*B"""
    module = read_module(sbml_of(text))
    assert clean(module)
    run = cascade.simulate(cascade.compose(module), days=1, points=2, solver=Solver(relative_tolerance=1e-9))
    # at rest perm*A = back*B, and 2e-12*A + 5e-13*B is kept
    amount = 2e-12 * 1000
    expected = amount / (2e-12 + 5e-13 / 2)
    assert run["a"].values[-1] == pytest.approx(expected, rel=1e-6)
    assert run["b"].values[-1] == pytest.approx(expected / 2, rel=1e-6)
    document = _sbml.read_document(module.sbml, "m")
    sizes = {c.getId(): c.getSize() for c in document.getModel().getListOfCompartments()}
    assert sizes == {"cyto": 1.0, "nuc": 0.25}


class TestMissingUnits:
    def test_all_are_listed_with_proposals(self):
        text = "model m; species A; A = 1; k = 0.1; J: A -> ; k*A;\nend"
        with pytest.raises(ModuleError, match=r"time: say time_unit=.*\n.*A: say units=\{'A': ...\}.*\n.*k: say"):
            read_module(text)
        with pytest.raises(ModuleError, match=r"k: say units=\{'k': ...\} \(proposed from the formulas: per_minute\)"):
            read_module(text, time_unit="minute", concentration_unit="uM")
        proposed = propose_units(text, time_unit="minute", concentration_unit="uM")
        assert proposed == {"k": "per_minute"}
        module = read_module(text, time_unit="minute", concentration_unit="uM", units=proposed)
        assert {row.id: row.nominal for row in module.parameters} == {"init_a": 1000, "k": pytest.approx(144)}

    def test_what_level_2_means_without_saying_is_not_taken(self, tmp_path):
        document = libsbml.SBMLDocument(2, 4)
        model = document.createModel()
        model.setId("old")
        place = model.createCompartment()
        place.setId("cell")
        place.setSize(1)
        species = model.createSpecies()
        species.setId("A")
        species.setCompartment("cell")
        species.setInitialConcentration(2)
        rate = model.createReaction()
        rate.setId("J")
        rate.createReactant().setSpecies("A")
        law = rate.createKineticLaw()
        law.setFormula("k*A")
        local = law.createParameter()
        local.setId("k")
        local.setValue(0.5)
        path = tmp_path / "old.xml"
        path.write_text(_sbml.write_document(document))
        with pytest.raises(ModuleError, match="time: say time_unit="):
            read_module(path)
        module = read_module(path, time_unit="hour", concentration_unit="uM", units={"J_k": "per_hour"})
        run = cascade.simulate(cascade.compose(module), days=0.2, points=2)
        assert run["a"].values[-1] == pytest.approx(2000 * math.exp(-2.4), rel=1e-5)

    def test_unknown_words_and_symbols(self):
        text = "species A; A = 1; k = 0.1; A' = -k*A"
        with pytest.raises(ModuleError, match="unknown word 'furlong'"):
            read_module(f"model m; {text};\nend", time_unit="hour", units={"A": "furlong"})
        with pytest.raises(UnknownNameError, match="no symbol 'kk'"):
            read_module(f"model m; {text};\nend", time_unit="hour", units={"kk": "per_hour"})
        with pytest.raises(ModuleError, match="give second, minute, hour or day"):
            read_module(f"model m; {text};\nend", time_unit="uM")


class TestSources:
    def test_antimony_may_not_read_other_files(self, tmp_path):
        (tmp_path / "other.ant").write_text("model other; x = 1;\nend")
        path = tmp_path / "own.ant"
        path.write_text('import "other.ant"\nmodel own; y = 1; y has dimensionless;\nend')
        with pytest.raises(ModuleError, match="imports another file"):
            read_module(path, time_unit="day")

    def test_the_word_import_in_a_comment_is_harmless(self):
        text = 'model own; // import nothing\n y\' = 0*y; y = 1; y is "import"; y has dimensionless; k=1;\nend'
        assert [p.id for p in read_module(text, time_unit="day", units={"y": "dimensionless"}).ports] == ["y"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("model m; A -> ; k*A\nB", "syntax error"),
            ("model m;\nend\x00", "no Antimony text"),
            ("x" * 2_000_001 + ";", "the limit is"),
            ("model m; species A; A=1; J: A->; delay(A, 3);\nend", "a delayed value"),
            ("model m; species A; A=1; A->B; \nend", "has no rate"),
        ],
    )
    def test_what_cannot_become_a_module(self, text, message):
        with pytest.raises(CascadeError, match=message):
            read_module(text, time_unit="day", concentration_unit="nM")

    def test_hostile_sbml(self):
        with pytest.raises(SBMLError):
            read_module('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>\n<sbml/>')

    def test_no_such_file(self):
        with pytest.raises(ModuleError, match="there is no file"):
            read_module("nowhere.xml")

    def test_every_problem_of_a_model_at_once(self):
        document = _sbml.read_document(sbml_of("species A; A = 1; k = 1; J: A -> ; k*A"), "x")
        rule = document.getModel().createAlgebraicRule()
        rule.setMath(libsbml.parseL3Formula("A - k"))
        document.getModel().getReaction(0).unsetKineticLaw()
        with pytest.raises(CascadeError, match="algebraic"):
            read_module(_sbml.write_document(document))


class TestNames:
    def test_names_become_snake_case_each_once(self):
        text = "model m; S = 1; s = 2; kCat = 3; at_time = 4; S' = -kCat*S; s' = -at_time*s; Model__x := S + s;\nend"
        module = read_module(text, time_unit="day", units=dict.fromkeys(("S", "s"), "nM")
                             | dict.fromkeys(("kCat", "at_time"), "per_day"))  # fmt: skip
        assert [p.id for p in module.ports] == ["s", "s_2", "model_x"]
        assert {c.symbol: c.id for c in module.conversion.changes}["kCat"] == "kcat"
        assert largest(module, days=1) < 1e-6

    def test_words_of_antimony_get_another_name(self):
        text = sbml_of("x = 1; k = 2; x' = -k*x")
        text = text.replace('"x"', '"Event"').replace("> x <", "> Event <").replace('"k"', '"Model"')
        module = read_module(text.replace("> k <", "> Model <"), time_unit="day",
                             units={"Event": "dimensionless", "Model": "per_day"})  # fmt: skip
        assert [p.id for p in module.ports] == ["own_event"]

    @pytest.mark.parametrize("port", ["c TGF", "C_tgf", "c__tgf", "event", "joined_x"])
    def test_a_port_needs_a_usable_name(self, port):
        with pytest.raises(ModuleError, match="snake case"):
            read_module("model m; x = 1; x' = 0*x;\nend", ports={port: "x"}, time_unit="day")


class TestPorts:
    def test_proposed_by_name(self):
        found = propose_ports(TIAN, "emt").set_index("port")
        assert found.loc["c_snail", "symbol"] == "SNAIL"
        assert found.loc["c_mir34", "symbol"] == "miR34"
        assert found.loc["c_ecad", "symbol"] == "Ecad"
        assert bool(found.loc["c_snail", "clear"])
        assert found.loc["c_zeb1", "symbol"] == "ZEB"
        assert not found.loc["c_zeb1", "clear"], "ZEB may be ZEB1 or ZEB2"
        assert set(found.index) == {port.id for port in cascade.load_module("emt").ports}

    def test_proposed_by_identifier_and_role(self):
        text = sbml_of('X1 = 1; k = 1; X1\' = -k*X1; X1 identity "urn:miriam:uniprot:P37275"; '
                       'C := 2*X1; C identity "http://identifiers.org/uniprot/P37275"; '
                       'q = 1; q identity "https://identifiers.org/hgnc.symbol/HIF1A"')  # fmt: skip
        found = propose_ports(text, "emt")
        zeb = found[found["port"] == "c_zeb1"]
        assert set(zeb["symbol"]) == {"X1", "C"}
        assert not zeb["clear"].any(), "two symbols carry the identifier"
        hif = found[found["port"] == "c_hif"].iloc[0]
        assert (hif["symbol"], bool(hif["clear"])) == ("q", True)
        assert "hgnc.symbol:HIF1A" in hif["why"]

    def test_like_takes_the_clear_ones_and_reports_the_rest(self):
        module = read_tian(like="emt")
        assert {p.id for p in module.ports} == {"c_snail", "c_mir34", "c_mir200", "c_ecad"}
        reported = "\n".join(module.conversion.unmatched)
        assert "c_zeb1 (out, nM): ZEB (part of the name 'zeb')" in reported
        assert "a_emt (out, dimensionless): no candidate" in reported

    def test_a_boundary_species_becomes_an_input(self):
        text = """model m; compartment cell = 1; species $TGF_beta in cell, P in cell; TGF_beta = 2; P = 0;
        J: TGF_beta => P; cell*k*TGF_beta; k = 0.5; D: P => ; cell*k*P;
        end"""
        module = read_module(text, time_unit="hour", concentration_unit="uM", units={"k": "per_hour"},
                             ports={"c_tgfb": "TGF_beta", "c_p": "P"})  # fmt: skip
        assert clean(module)
        assert (module.port("c_tgfb").direction, module.port("c_tgfb").unit) == ("in", "nM")
        assert module.port("c_p").is_species
        run = cascade.simulate(cascade.compose(module), days=5, points=2, values={"c_tgfb": 600})
        assert run["c_p"].values[-1] == pytest.approx(600, rel=1e-5)

    def test_a_formula_is_in_the_units_of_the_source(self, tian):
        """0.1 of an E-cadherin of 3.2 uM is 320 nM, and not 0.32 nM because the port is in nM."""
        run = cascade.simulate(cascade.compose(tian), days=0.1, points=2)
        assert run["c_ecad"].values[0] == pytest.approx(320, rel=1e-9)
        assert run["c_zeb1"].values[0] == pytest.approx(0.4, rel=1e-9)
        assert run["a_emt"].values[0] == pytest.approx(0, abs=1e-9)
        changes = {c.symbol: c for c in tian.conversion.changes}
        assert (changes["c_ecad"].from_unit, changes["c_ecad"].factor) == ("uM", 1000)
        assert changes["c_ecad"].how == "unit derived from its formula"
        # what the user says counts: a formula may convert by itself
        said = read_module(TIAN, time_unit="hour", like="emt", ports={"c_ecad": "100*Ecad"},
                           units=read_units() | {"c_ecad": "nM"})  # fmt: skip
        run = cascade.simulate(cascade.compose(said), days=0.1, points=2)
        assert run["c_ecad"].values[0] == pytest.approx(320, rel=1e-9)

    def test_a_formula_of_molecules_becomes_a_concentration(self):
        units = dict.fromkeys(("u", "m", "Z", "S"), "molecule") | {"per_h": "per_hour"}
        proposed = propose_units(LU, time_unit="hour", units=units)
        module = read_module(LU, time_unit="hour", units=proposed | units, like="emt", ports={"c_zeb1": "0.5*Z"},
                             volumes={"default_compartment": 1990 / 6.02214076e14})  # fmt: skip
        run = cascade.simulate(cascade.compose(module), days=0.1, points=2)
        assert run["c_zeb1"].values[0] == pytest.approx(0.5 * 4000 / 1990, rel=1e-6)

    @pytest.mark.parametrize(
        ("formula", "message"),
        [
            ("hill(S)", "a function that the file does not define"),
            ("delay(S, 2)", "a delayed value"),
            ("rateOf(S)", "the rate of a symbol"),
            ("S + nan", "give a finite number"),
            ("S + 1e400", "'1 e400', whose unit is unknown"),
            ("S^", "neither a symbol nor a formula"),
        ],
    )
    def test_a_formula_that_no_module_may_have(self, formula, message):
        text = "model m; S = 1; S' = -k*S; k = 0.2;\nend"
        with pytest.raises(ModuleError, match=message):
            read_module(text, time_unit="hour", units={"S": "uM", "k": "per_hour", "c_x": "uM"}, ports={"c_x": formula})

    def test_wrong_ports_are_refused(self):
        with pytest.raises(ModuleError, match="T varies; port 'c_psmad' is an input"):
            read_tian(ports={"c_psmad": "T"}, like="emt")
        with pytest.raises(ModuleError, match="kdT is in per_day, but port 'c_psmad' is in nM"):
            read_tian(ports={"c_psmad": "kdT"}, like="emt")
        with pytest.raises(UnknownNameError, match="no symbol 'ZEBB'"):
            read_tian(ports={"a_emt": "ZEBB/2"}, like="emt")
        with pytest.raises(ModuleError, match="formula of a_own needs a unit"):
            read_tian(ports={"a_own": "ZEB/2"})


class TestReplacing:
    def test_in_place_of_the_shipped_switch(self, tian):
        cell = cascade.load_composition("carcinoma_cell")
        rows = [
            Parameter(id="c_half", name="TGF-beta that half-induces SNAI1", nominal=1600, unit="nM", note="Tian 2013"),
            Parameter(id="c_psmad_half", name="pSMAD2 of a drive of 1", nominal=6.4, unit="nM", note="emt"),
        ]
        swapped = replace_module(cell, "emt", tian, ports=LEFT_OUT, parameters=rows,
                                 joins={"c_tgfb": "c_half*tgf_beta.c_psmad/c_psmad_half"})  # fmt: skip
        assert swapped.instances["emt"].name == "tian2013"
        readers = {join.reader: join.formula for join in swapped.joins}
        assert readers["tgf_beta.v_supply"] == "k_perfuse * c_tgfb_dish"
        assert readers["csc_epi.c_zeb1"] == "emt.c_zeb1"
        model = cascade.compose(swapped)
        doses = [0.0, 0.1]
        last = [float(cascade.simulate(model, days=60, points=2, values={"c_tgfb_dish": dose})["emt__a_emt"][-1])
                for dose in doses]  # fmt: skip
        assert last[0] < 0.1 < 0.9 < last[1]
        acts = {target.target: resolve_acts(target, model) for target in read_targets()}
        assert acts["snai1"] == ()  # a process that the own module has not
        assert acts["mek"] == (("drivers__k_phosphorylate_erk", "-"),)

    def test_everything_that_does_not_fit_is_said(self, tian):
        cell = cascade.load_composition("carcinoma_cell")
        with pytest.raises(CompositionError) as caught:
            replace_module(cell, "emt", tian)
        text = str(caught.value)
        assert "reads output 'v_tgfb_autocrine' of 'emt', which module 'tian2013' does not write" in text
        assert "ports={'c_nicd': None}" in text
        with pytest.raises(UnknownNameError, match="no instance 'emtt'"):
            replace_module(cell, "emtt", tian)
        with pytest.raises(CompositionError, match="'k_lost' is neither an output"):
            replace_module(cell, "emt", tian, ports=LEFT_OUT | {"c_ecad": "k_lost*c_ecad"})
        assert "ports={'v_tgfb_autocrine': None} to let the reader keep its own value" in text
        with pytest.raises(CompositionError, match="ports names 'c_nothing'"):
            replace_module(cell, "emt", tian, ports=LEFT_OUT | {"c_nothing": None})

    def test_a_clash_of_units_is_refused(self, tian):
        cell = cascade.load_composition("carcinoma_cell")
        with pytest.raises(CompositionError, match="expects nM"):
            replace_module(cell, "emt", tian, ports=LEFT_OUT | {"c_ecad": "a_emt"})

    def test_the_same_module_changes_nothing(self):
        for name in ("carcinoma_cell", "breast_lite"):  # the second one with states at rest and start values
            whole = cascade.load_composition(name)
            assert replace_module(whole, "wnt", cascade.load_module("wnt")) == whole

    def test_an_edited_copy_keeps_the_values_of_its_place(self):
        lite = cascade.load_composition("breast_lite")
        niche = replace(cascade.load_module("organ_niche"), name="my_niche")
        with pytest.raises(
            CompositionError, match=r"replace all of them: replace_module\(composition, 'organs', ...\)"
        ):
            replace_module(lite, "bone", niche)
        swapped = replace_module(lite, "organs", niche)
        assert {swapped.instances[organ].name for organ in swapped.groups["organs"]} == {"my_niche"}
        assert (swapped.overrides, swapped.group_values) == (lite.overrides, lite.group_values)
        vessels = replace(cascade.load_module("hypoxia_vegf"), name="my_vessels")
        swapped = replace_module(lite, "hypoxia_vegf", vessels)
        assert swapped.overrides == lite.overrides
        assert swapped.start["my_vessels"] == lite.start["hypoxia_vegf"]
        assert "my_vessels" not in swapped.quasi_steady

    def test_a_strangers_module_gets_no_value_of_the_old_one(self):
        lite = cascade.load_composition("breast_lite")
        text = "model mine; f_portal = 2; w_soil = 3; f_found := f_portal*w_soil;\nend"
        units = dict.fromkeys(("f_portal", "w_soil", "f_found"), "dimensionless")
        mine = read_module(text, time_unit="day", units=units, ports={"f_found": "f_found"})
        old = cascade.load_module("organ_niche")
        others = {port.id: None for port in old.ports if port.id != "f_found"}
        with pytest.raises(CompositionError) as caught:
            replace_module(lite, "organs", mine, ports=others)
        # a product with what another instance writes is not left out in silence; three organs are one line
        text = str(caught.value)
        assert "without 'f_growth_here' it would lose drivers.f_proliferation as well (and 2 more)" in text
        unread = re.findall(r"ports names '(\w+)'", text)
        factors = re.findall(r"without '(\w+)' it would lose", text)
        assert len(factors) == len(set(factors))
        ports = {name: None for name in others if name not in unread} | dict.fromkeys(factors, "f_one")
        rows = [
            Parameter(id="f_one", name="no effect", nominal=1, unit="dimensionless", note="own module"),
            Parameter(id="organs.w_soil", name="w_soil", nominal=5, unit="dimensionless", note="own module"),
        ]
        swapped = replace_module(lite, "organs", mine, ports=ports, parameters=rows)  # fmt: skip
        assert not [key for key in swapped.overrides if key.partition(".")[0] in lite.groups["organs"]]
        assert swapped.group_values["organs.w_soil"].nominal == 5


class TestFolder:
    def test_passes_the_check_and_loads_the_same(self, tian, tmp_path):
        folder = write_module_folder(tian, tmp_path / "tian2013")
        report = cascade.check(folder)
        assert report.issues == ()
        loaded = cascade.load_module(folder)
        assert (loaded.sbml, loaded.ports, loaded.parameters) == (tian.sbml, tian.ports, tian.parameters)
        assert "`c_tgfb` | in | nM | `TGF0`" in (folder / "README.md").read_text()
        with pytest.raises(ModuleError, match="is there already"):
            write_module_folder(tian, folder)
        with pytest.raises(ModuleError, match="must have its name"):
            write_module_folder(tian, tmp_path / "other")

    def test_by_the_command(self, tmp_path):
        (tmp_path / "toy.ant").write_text("model toy; species A; A = 1; k = 0.1; J: A -> ; k*A;\nend")
        args = [str(tmp_path / "toy.ant"), "--time-unit", "hour", "--concentration", "uM", "--propose"]
        runner = CliRunner()
        done = runner.invoke(_own.commands, [*args, "--port", "c_a=A", "--out", str(tmp_path / "toy")])
        assert done.exit_code == 0, done.output
        assert "concentration A -> c_a: uM -> nM, x 1000" in done.output
        assert cascade.check(tmp_path / "toy").ok
        done = runner.invoke(_own.commands, [*args, "--json"])
        assert json.loads(done.output)["parameters"][1]["unit"] == "per_day"
        refused = runner.invoke(_own.commands, [args[0]])
        assert isinstance(refused.exception, ModuleError)
        assert "time: say --time-unit UNIT\n  A: say --unit A=UNIT" in str(refused.exception)

    def test_shown_in_jupyter(self, tian):
        page = tian._repr_html_()
        assert "Conversion of text" in page
        assert "nM_per_day" in page
        assert len(tian.conversion.table()) == len(tian.conversion.changes)
