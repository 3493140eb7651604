"""A user's SBML file as databases keep it, and ids that mean something to SBML: both become modules."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import libsbml
import numpy as np
import pytest
from conftest import sbml_of
from reference import tian2013

import cascade
from cascade import _sbml
from cascade.evidence import read_parameters, write_parameters
from cascade.own import (
    compare_with_source,
    propose_ports,
    propose_units,
    read_module,
    replace_module,
    write_module_folder,
)
from cascade.specs import Parameter, Solver
from cascade.target_table import Target, parse_acts

STATES = ("T", "s", "SNAIL", "miR34", "z", "ZEB", "miR200", "Ecad", "Ncad")
UNIPROT = {"SNAIL": "O95863", "ZEB": "P37275", "Ecad": "P12830", "Ncad": "P19022"}
CELL = 2e-12  # litres
ITEMS = 6.02214076e23 * 1e-6 * CELL
"""Items of 1 uM in the cell."""

BOTH = "basal + both(SNAIL, ZEB, top, half, other)"
MARKER = {"first": 1, "half": 0.2, "second": 0.6, "other": 0.5}
HILL = {  # state: (made by steps of this kind, lost with); numbers of Tian 2013, per hour and uM
    "T": ("basal + down(miR200, top, half)", {"basal": 0.06, "top": 1.2, "half": 0.06}, 0.6),
    "s": ("basal + up(T + TGF0, top, half)", {"basal": 0.0006, "top": 0.03, "half": 1.6}, 0.09),
    "SNAIL": ("down(miR34, 1, half)*k*s", {"k": 17, "half": 0.08}, 1.66),
    "miR34": (BOTH, {"basal": 0.0012, "top": 0.012, "half": 0.15, "other": 0.36}, 0.035),
    "z": ("basal + up(SNAIL, top, half)", {"basal": 0.003, "top": 0.06, "half": 3.5}, 0.09),
    "ZEB": ("down(miR200, 1, half)*k*z", {"k": 17, "half": 0.06}, 1.66),
    "miR200": (BOTH, {"basal": 0.0002, "top": 0.012, "half": 5, "other": 0.2}, 0.035),
    "Ecad": ("down(SNAIL, first, half) + down(ZEB, second, other)", MARKER, 0.5),
    "Ncad": ("up(SNAIL, first, half) + up(ZEB, second, other)", MARKER, 0.5),
}  # fmt: skip
START = dict(zip(STATES, (0.1, 0.01, 0.01, 0.38, 0.03, 0.01, 0.35, 3.2, 0.0), strict=True))
AS_ITEMS = ("s", "z")  # hasOnlySubstanceUnits
RATES = {"basal", "top", "first", "second"}
HALVES = {"half", "other"}


def tian_file(path: Path, *, dose: float = 3.0, at: float | None = None) -> Path:
    """Write Tian 2013 as databases keep it: Level 2, items in a cell of 2 pl, minutes, functions, local parameters."""
    document = libsbml.SBMLDocument(2, 4)
    model = document.createModel()
    model.setId("Tian2013_EMT")
    model.setMetaId("_000001")
    _units(model)
    for name, text in (("up", "lambda(x, top, half, top*(x/half)^2/(1 + (x/half)^2))"),
                       ("down", "lambda(x, top, half, top/(1 + (x/half)^2))"),
                       ("both", "lambda(x, y, top, half, other, top/(1 + (x/half)^2 + (y/other)^2))")):  # fmt: skip
        function = model.createFunctionDefinition()
        function.setId(name)
        function.setMath(libsbml.parseL3Formula(text))
    cell = model.createCompartment()
    cell.setId("cell")
    cell.setSize(CELL)
    for number, (name, start) in enumerate({**START, "TGF0": 0.0 if at is not None else dose}.items()):
        species = model.createSpecies()
        species.setId(name)
        species.setMetaId(f"_s{number}")
        species.setName({"ZEB": "ZEB1"}.get(name, name))
        species.setCompartment("cell")
        species.setInitialAmount(start * ITEMS)
        species.setHasOnlySubstanceUnits(name in AS_ITEMS)
        if name == "TGF0":
            species.setBoundaryCondition(True)
            species.setConstant(at is None)
        _annotate(species, name)
    for name, (rate, values, loss) in HILL.items():
        _reaction(model, f"make_{name}", "", name, rate, values)
        _reaction(model, f"lose_{name}", name, "", f"k*{name}", {"k": loss})
    if at is not None:
        event = model.createEvent()
        event.setId("give")
        event.createTrigger().setMath(libsbml.parseL3Formula(f"gt(time, {at})"))
        change = event.createEventAssignment()
        change.setVariable("TGF0")
        change.setMath(libsbml.parseL3Formula(f"{dose * ITEMS / CELL!r}"))
    path.write_text(_sbml.write_document(document))
    return path


def _units(model: libsbml.Model) -> None:
    for name, parts in {"substance": [("item", 1, 1)], "time": [("second", 1, 60)], "volume": [("litre", 1, 1)],
                        "per_litre": [("item", 1, 1), ("litre", -1, 1)], "per_minute": [("second", -1, 60)],
                        "made": [("item", 1, 1), ("litre", -1, 1), ("second", -1, 60)]}.items():  # fmt: skip
        definition = model.createUnitDefinition()
        definition.setId(name)
        for kind, exponent, multiplier in parts:
            unit = definition.createUnit()
            unit.setKind(libsbml.UnitKind_forName(kind))
            unit.setExponent(exponent)
            unit.setMultiplier(multiplier)


def _annotate(species: libsbml.Species, name: str) -> None:
    if name not in UNIPROT:
        return
    term = libsbml.CVTerm(libsbml.BIOLOGICAL_QUALIFIER)
    term.setBiologicalQualifierType(libsbml.BQB_IS_VERSION_OF)
    term.addResource(f"http://identifiers.org/uniprot/{UNIPROT[name]}")
    species.addCVTerm(term)
    term = libsbml.CVTerm(libsbml.BIOLOGICAL_QUALIFIER)
    term.setBiologicalQualifierType(libsbml.BQB_IS_PART_OF)
    term.addResource("urn:miriam:obo.go:GO%3A0001837")
    species.addCVTerm(term)


def _reaction(model: libsbml.Model, name: str, uses: str, makes: str, rate: str, values: dict[str, float]) -> None:
    reaction = model.createReaction()
    reaction.setId(name)
    reaction.setReversible(False)
    if uses:
        reaction.createReactant().setSpecies(uses)
    if makes:
        reaction.createProduct().setSpecies(makes)
    for other in START | {"TGF0": 0}:
        if other in rate.replace("(", " ").replace(")", " ").replace(",", " ").replace("*", " ").split() \
                and other not in (uses, makes):  # fmt: skip
            reaction.createModifier().setSpecies(other)
    law = reaction.createKineticLaw()
    for own in AS_ITEMS:  # an amount is a number of items; everything else is items per litre
        rate = rate.replace(f"*{own}", f"*{own}/cell") if rate.endswith(f"*{own}") else rate
    law.setMath(libsbml.parseL3Formula(f"cell*({rate})"))
    for local, value in values.items():
        parameter = law.createParameter()
        parameter.setId(local)
        per = ITEMS / CELL
        parameter.setValue(value / 60 * per if local in RATES else value * per if local in HALVES else value / 60)
        parameter.setUnits("made" if local in RATES else "per_litre" if local in HALVES else "per_minute")


def clean(module):
    return _sbml.check_document(_sbml.read_document(module.sbml, module.name), module.name) == []


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tian_file(tmp_path_factory.mktemp("own") / "Tian2013.xml")


class TestDatabaseFile:
    def test_runs_as_the_published_equations(self, path):
        module = read_module(path, like="emt", ports={"c_tgfb": "TGF0"})
        assert module.name == "tian2013"
        assert clean(module)
        hours = np.linspace(0, 400, 21)
        expected = tian2013.course(hours, 3.0, np.array([START[name] for name in STATES]))
        run = cascade.simulate(
            cascade.compose(module), days=400 / 24, points=21, solver=Solver(relative_tolerance=1e-9)
        )
        for row, symbol in zip(expected, STATES, strict=True):
            values = run[module.conversion.factors[symbol][0]].values
            assert values == pytest.approx(1000 * row, rel=2e-4, abs=2e-3), symbol
        assert compare_with_source(module, days=20)["deviation"].max() < 1e-6

    def test_ports_are_found_by_identifier(self, path):
        found = propose_ports(path, "emt").set_index("port")
        assert found.loc["c_zeb1", "why"] == "identifier uniprot:P37275 and name 'zeb1'"
        assert found.loc[["c_zeb1", "c_snail", "c_ecad", "c_mir34", "c_mir200"], "clear"].all()
        units = {c.symbol: c.from_unit for c in read_module(path, like="emt").conversion.changes}
        assert (units["ZEB"], units["z"], units["lose_T_k"]) == ("molecule_per_litre", "molecule", "per_minute")

    def test_a_dose_that_the_file_gives_is_given(self, tmp_path):
        module = read_module(tian_file(tmp_path / "dosed.xml", at=3001), like="emt")
        assert compare_with_source(module, days=10, points=41)["deviation"].max() < 1e-6
        run = cascade.simulate(cascade.compose(module), days=30, points=2)
        assert run["c_zeb1"].values[-1] > 100 * run["c_zeb1"].values[0]

    @pytest.mark.slow
    def test_joined_exported_and_certified(self, path, tmp_path):
        module = read_module(path, like="emt", ports={"c_tgfb": "TGF0"})
        rows = [
            Parameter(id="c_half", name="half-inducing TGF-beta", nominal=1600, unit="nM", note="Tian 2013"),
            Parameter(id="c_psmad_half", name="pSMAD2 of a drive of 1", nominal=6.4, unit="nM", note="emt"),
        ]
        without = "c_psmad c_nicd c_bcat_tcf f_gsk3 c_pperk f_p53 f_silenced_mir200 f_silenced_cdh1 v_tgfb_autocrine"
        cell = cascade.load_composition("carcinoma_cell")
        drive = {"c_tgfb": "c_half*tgf_beta.c_psmad/c_psmad_half"}
        ports = dict.fromkeys(without.split())
        swapped = replace_module(cell, "emt", module, ports=ports, joins=drive, parameters=rows)
        cascade.export(cascade.compose(swapped), tmp_path / "swapped.xml")
        certificate = cascade.certify(tmp_path / "swapped.xml", end=60)
        assert certificate.verdict == "agrees", certificate


TOY = """compartment AA = 1; species BB in AA, CC in AA; DD = 0.3; EE = 2; FF = 0.5; BB = 3; CC = 1;
J: BB -> CC; AA*DD*BB*EE/(FF + BB); K: CC -> ; AA*DD*CC; x := BB + CC; gg' = DD - DD*gg*(1 + 0*time); gg = 0.2"""


@pytest.mark.parametrize(
    "words",
    [
        {"DD": "time"},
        {"BB": "time", "EE": "e"},
        {"gg": "time", "EE": "Time", "FF": "exponentiale"},
        {"BB": "pi", "CC": "E", "DD": "avogadro", "EE": "inf", "FF": "nan", "gg": "true"},
        {"AA": "time", "J": "Pi", "BB": "sin", "CC": "exp", "DD": "sqrt", "gg": "delay"},
    ],
)
def test_words_of_formulas_get_another_name(words):
    """`<ci> time </ci>` is a symbol in MathML, and text formulas read the simulation time."""
    text = sbml_of(TOY)
    for old, new in words.items():
        text = text.replace(f'"{old}"', f'"{new}"').replace(f"> {old} <", f"> {new} <")
    name = {own: words.get(own, own) for own in ("BB", "CC", "DD", "EE", "FF", "gg")}
    units = {"DD": "per_hour", "EE": "dimensionless", "FF": "uM", "gg": "dimensionless"}
    module = read_module(text, time_unit="hour", concentration_unit="uM",
                         ports={"c_twice": f"2*{name['BB']}", "c_made": name["CC"]},
                         units={"c_twice": "uM", "x": "uM", **{name[o]: u for o, u in units.items()}})  # fmt: skip
    assert clean(module)
    ids = {change.symbol: change.id for change in module.conversion.changes}
    assert all(not _sbml.is_word(ids[new]) for old, new in words.items() if old not in ("J", "K"))
    assert compare_with_source(module, days=1)["deviation"].max() < 1e-6
    run = cascade.simulate(cascade.compose(module), days=1, points=3)
    assert run["c_twice"].values == pytest.approx(2 * run[ids[name["BB"]]].values, rel=1e-9)
    assert run["c_twice"].values[0] == pytest.approx(6000)


def test_a_unit_of_a_rate_beside_a_volume_is_proposed():
    """COPASI writes `cell*(k*X/cell)`, so that k carries the volume."""
    text = "compartment cell = 1; species X in cell; X = 2; k = 0.5; J: X -> ; cell*(k*X/cell)"
    proposed = propose_units(sbml_of(text), time_unit="minute", concentration_unit="nM")
    assert proposed == {"k": "litre_per_minute"}
    module = read_module(
        sbml_of(text), time_unit="minute", concentration_unit="nM", units=proposed, volumes={"cell": 1}
    )
    run = cascade.simulate(cascade.compose(module), days=2 / 1440, points=2)
    assert run["x"].values[-1] == pytest.approx(2 * math.exp(-1), rel=1e-5)


def test_priors_in_the_folder_make_an_own_module_part_of_analyses(tmp_path):
    """The way of a user: write the folder, give rows a prior, join it in a composition folder, analyze and rank."""
    text = """model own
      P' = k_make*dose/(half + dose) - k_lose*P; P = 0; dose = 1; half = 2; k_make = 3; k_lose = 0.5;
    end"""
    units = {"P": "nM", "dose": "nM", "half": "nM", "k_make": "nM_per_hour", "k_lose": "per_hour"}
    module = read_module(text, time_unit="hour", ports={"c_psmad": "dose", "c_p": "P"}, units=units)
    folder = write_module_folder(module, tmp_path / "own")
    rows = read_parameters(folder / "parameters.tsv")
    spread = [replace(row, lower=row.nominal / 3, upper=row.nominal * 3, estimate=True, prior="log-normal",
                      prior_parameters=(math.log(row.nominal), 0.3)) if row.id in ("k_make", "half") else row
              for row in rows]  # fmt: skip
    write_parameters(folder / "parameters.tsv", spread)
    assert cascade.check(folder).ok
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "composition.toml").write_text("""title = "An own module behind the TGF-beta pathway"
[instances]
tgf_beta = "tgf_beta"
own = "../own"
[joins]
"own.c_psmad" = "c_basal + tgf_beta.c_psmad"
""")
    basal = Parameter(id="c_basal", name="basal pSMAD2", nominal=1, unit="nM", evidence="assumed", note="test")
    write_parameters(mine / "parameters.tsv", [basal])
    model = cascade.compose(cascade.load_composition(mine))
    found = cascade.analyze(model, "final:own.c_p", method="morris", samples=4, years=0.05, workers=1)
    effects = found["mu_star"].isel(readout=0).to_series()
    assert effects["own__k_make"] > 0
    target = Target(target="maker", name="what makes P", acts_on=parse_acts("own.k_make:-"))
    quick = {"samples": 10, "morris_trajectories": 2, "doses": (), "opposite": None, "assumed_pairs": 0, "workers": 1}
    ranking = cascade.rank_targets(model, "final:own.c_p", targets=[target], years=0.05, window="lifelong", **quick)
    assert float(ranking["effect_median"].min()) < 0
