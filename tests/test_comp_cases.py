"""The published semantics of comp, case by case: small hierarchical models through `open_sbml` and the engine."""

from __future__ import annotations

import os
from pathlib import Path

import libsbml
import numpy as np
import pytest
from comp_cases.builder import (
    compartment,
    definition,
    document,
    external,
    model,
    parameter,
    replaces,
    species,
    submodel,
    unit,
)
from comp_cases.cases import CASES, Case, decaying
from comp_cases.refused import REFUSED, outside

from cascade._reading import read_bundle
from cascade.engine import Engine, Job
from cascade.errors import SBMLError
from cascade.opening import open_sbml
from cascade.specs import Solver

END, POINTS = 10.0, 21


def write(case: Case, folder: Path) -> Path:
    for name, text in {"top.xml": case.text, **case.files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder / "top.xml"


def ids(flat: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return flat ids; `name:x` is looked up by the name of the element."""
    model = libsbml.readSBMLFromString(flat).getModel()
    by_name = {each.getName(): each.getId() for each in (*model.getListOfSpecies(), *model.getListOfParameters())}
    return tuple(by_name[name[5:]] if name.startswith("name:") else name for name in names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_flat_model_gives_the_closed_form(case, tmp_path):
    opened = open_sbml(write(case, tmp_path))
    names = ids(opened.flat, tuple(case.expected))
    solver = Solver(relative_tolerance=1e-10, absolute_tolerance=1e-12)
    job = Job(sbml=opened.flat, record=names, days=END, points=POINTS, solver=solver)
    run = Engine(opened.flat).run(job, ())
    assert run.status == "ok"
    times = np.linspace(0, END, POINTS)
    for name, rows in zip(case.expected, run.rows.T, strict=True):
        np.testing.assert_allclose(rows, case.expected[name](times), rtol=1e-6, atol=1e-9, err_msg=name)
    model = libsbml.readSBMLFromString(opened.flat).getModel()
    assert [name for name in case.absent if model.getElementBySId(name) is not None] == []
    said = "\n".join(map(str, opened.issues))
    assert case.issue in said
    assert not [issue for issue in opened.issues if issue.severity == "error"]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_has_no_clear_meaning_or_leaves_its_folder_is_refused(case, tmp_path, monkeypatch):
    # in this process, which saves the start of as many others; tests/test_opening.py tests the child
    monkeypatch.setattr("cascade.opening.ask_child", lambda work, question, where, time_limit: read_bundle(question))
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret.xml").write_text(document(model("inside", parameter("secret", 1))))
    with pytest.raises(SBMLError, match=case.message):
        open_sbml(write(case, folder))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "secret.xml").write_text(document(model("inside", parameter("secret", 1))))
    (folder / "link.xml").symlink_to(tmp_path / "secret.xml")
    (folder / "up").symlink_to(tmp_path)
    for source in ("link.xml", "up/secret.xml"):
        (folder / "top.xml").write_text(outside(source))
        with pytest.raises(SBMLError, match="is a link that leaves the folder"):
            open_sbml(folder / "top.xml")
    # who says that the outer folder is all right may
    assert "A__secret" in open_sbml(folder / "top.xml", folder=tmp_path).flat


@pytest.mark.parametrize("kind", ["pipe", "folder", "device"])
def test_a_definition_in_what_is_no_file_is_refused_without_waiting(kind, tmp_path):
    place = tmp_path / "other.xml"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")
    (tmp_path / "top.xml").write_text(outside("other.xml"))
    with pytest.raises(SBMLError, match=r"is no regular file|leaves the folder"):
        open_sbml(tmp_path / "top.xml")


def test_the_number_of_files_is_bounded(tmp_path):
    for number in range(150):
        (tmp_path / f"f{number}.xml").write_text(
            document(model("m", submodel("A", "next")), external("next", f"f{number + 1}.xml"))
        )
    with pytest.raises(SBMLError, match="needs more than 100 files"):
        open_sbml(tmp_path / "f0.xml")


def test_the_hierarchical_text_needs_no_other_file(tmp_path):
    case = next(case for case in CASES if case.name.startswith("two levels of files"))
    opened = open_sbml(write(case, tmp_path))
    assert opened.hierarchical is not None and "externalModelDefinition " not in opened.hierarchical
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "model.xml").write_text(opened.hierarchical)
    assert open_sbml(alone / "model.xml").flat == opened.flat


def test_an_amount_may_stand_for_a_concentration_in_a_volume_of_one(tmp_path):
    text = document(
        model(
            "top",
            compartment("C", 1, replaces(("A", "id:C"))),
            species("S", 4, replaces(("A", "id:S")), amounts=True),
            submodel("A", "m"),
        ),
        decaying(),
    )
    (tmp_path / "top.xml").write_text(text)
    assert "one is an amount, the other a concentration" in "\n".join(map(str, open_sbml(tmp_path / "top.xml").issues))


def test_units_that_a_submodel_takes_from_its_model_stay_its_own(tmp_path):
    """libSBML gives what comes from a submodel the units of the top."""
    text = document(
        model("top", submodel("A", "m"), substanceUnits="mole", volumeUnits="litre"),
        definition(
            "m",
            unit("pl", ("litre", 1, -12, 1)),
            compartment("C", 1),
            species("S", 10),
            substanceUnits="item",
            volumeUnits="pl",
        ),
    )
    (tmp_path / "top.xml").write_text(text)
    flat = libsbml.readSBMLFromString(open_sbml(tmp_path / "top.xml").flat).getModel()
    assert flat.getSpecies("A__S").getSubstanceUnits() == "item"
    volume = flat.getUnitDefinition(flat.getCompartment("A__C").getUnits()).getUnit(0)
    assert (volume.getKind(), volume.getScale()) == (libsbml.UNIT_KIND_LITRE, -12)
