"""Clones by their phylogeny: what is refused, who arises from whom, prevalence, polyclonal clusters, pictures."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import cascade
from cascade.clones import genotypes as clone_genotypes
from cascade.clones import with_clones
from cascade.clones.phylogeny import MOST_CLONES, phylogeny_of, read_phylogeny
from cascade.clones.shares import mutation_probabilities
from cascade.errors import (
    AnalysisError,
    CascadeWarning,
    CompositionError,
    TableError,
    UnknownNameError,
    ValueSettingError,
)
from cascade.plot_clones import clone_sizes, plot_clones, polyclonal_share

SMALL = """
[index]
subclone = []
resistant = []
clone = ["clone_1", "{subclone}", "{resistant}"]
[instances]
primary_tumor = "primary_tumor"
"{clone}" = "clone"
[groups]
clones = ["{clone}"]
subclones = ["{subclone}", "{resistant}"]
[joins]
"primary_tumor.n_cells" = "sum(clones.n_tumor)"
"primary_tumor.v_drug" = "sum(clones.v_drug)"
"clones.k_gompertz" = "primary_tumor.k_gompertz"
"clones.f_surface" = "primary_tumor.f_surface"
"clones.f_resected" = "primary_tumor.f_resected"
"{subclone}.v_births_parent" = "clone_1.v_births"
"{resistant}.v_births_parent" = "clone_1.v_births"
"clone_1.v_lost" = "sum(subclones.v_founded)"
"""
VALUES = ("{subclone}", "{resistant}")
TREE = (
    "# a tree of four clones\n"
    "clone\tparent\tprevalence\tf_potential\tf_sensitive_kill\n"
    "trunk\t\t\t\t\n"
    "left\ttrunk\t0.2\t5\t\n"
    "left_deep\tleft\t0.05\t\t0\n"
    "right\ttrunk\t0.1\t\t\n"
)
OPERATED = {"primary_tumor.f_surgery": 1.0}
PRECISE = cascade.Solver(relative_tolerance=1e-9, absolute_tolerance=1e-12)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tumor alone, to which clones can be added."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "composition.toml").write_text(SMALL, encoding="utf-8")
    columns = (cascade.catalogue.library_folder() / "clone" / "parameters.tsv").read_text("utf-8").splitlines()[0]
    rows = [columns]
    for owner in VALUES:
        row = dict.fromkeys(columns.split("\t"), "") | {"parameterName": "cells that found", "nominalValue": "0"}
        row |= {"parameterId": f"{owner}.init_n_epithelial_stem", "unit": "cell", "evidence": "assumed", "note": "test"}
        rows.append("\t".join({**row, "estimate": "false"}.values()))
    (folder / "parameters.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return cascade.load_composition(folder)


@pytest.fixture
def tree_file(tmp_path):
    path = tmp_path / "tree.tsv"
    path.write_text(TREE, encoding="utf-8")
    return path


def run(model, days, values=None, points=401):
    data = cascade.simulate(model, days=days, points=points, values=values or {}, solver=PRECISE)
    assert (data["status"] == "ok").all()
    return data


# ---------------------------------------------------------------- reading, and what is refused


def test_a_table_is_read_with_parents_before_children_and_values_of_the_parent(tree_file):
    tree = read_phylogeny(tree_file)
    assert [clone.name for clone in tree.clones] == ["trunk", "left", "right", "left_deep"]
    assert tree.values_of("left_deep") == {"f_potential": 5.0, "f_sensitive_kill": 0.0}
    assert tree.clones[1].prevalence == 0.2 and tree.founder.name == "trunk"
    frame = pd.read_csv(tree_file, sep="\t", comment="#")
    assert phylogeny_of(frame).clones == tree.clones
    assert phylogeny_of(frame.set_index("clone")).clones == tree.clones


def test_sequencing_counts_a_clone_with_its_descendants():
    rows = {
        "a": None,
        "b": {"parent": "a", "cancer_cell_fraction": 0.6},
        "c": {"parent": "b", "cancer_cell_fraction": 0.25},
    }
    tree = phylogeny_of(rows)
    assert [clone.prevalence for clone in tree.clones] == pytest.approx([0.4, 0.35, 0.25])
    rows["d"] = {"parent": "b", "cancer_cell_fraction": 0.4}
    with pytest.raises(TableError, match=r"0\.65 of the tumor cells are of the children of clone 'b', but only 0\.6"):
        phylogeny_of(rows)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs the columns clone and parent"),
        ({"a": None, "b": "c"}, "'b' descends from 'c', which is no clone"),
        ({"a": None, "b": None}, "'a', 'b' have no parent; one clone founds"),
        ({"a": None, "b": "c", "c": "b"}, "'b', 'c' descend from each other in a circle"),
        ({"a": "a"}, "in a circle"),
        ({"A1": None}, "clone 'A1'; names are lower snake case"),
        ({"a": None} | {f"b{i}": "a" for i in range(MOST_CLONES)}, f"the limit is {MOST_CLONES}"),
        (
            {"a": None, "b": {"parent": "a", "f_mutation": 2}},
            "f_mutation of clone 'b' is '2'; give a number from 0 to 0.1",
        ),
        ({"a": None, "b": {"parent": "a", "f_sensitive_kill": "no"}}, "is 'no'; give a number from 0 to 1"),
        ({"a": None, "b": {"parent": "a", "f_fitness": 0}}, "f_fitness of clone 'b'"),
        ({"a": {"parent": None, "f_mutation": 1e-5}}, "founds the tumor, so it arises by no mutation"),
        ({"a": None, "b": {"parent": "a", "f_potental": 3}}, "did you mean 'f_potential'"),
        ({"a": None, "b": {"parent": "a", "c_ras": 3}}, "the state of a tissue that all clones share"),
        ({"a": None, "b": {"parent": "a", "f_polyclonal": 1}}, "the same for all clones: say polyclonal"),
        ({"a": None, "b": {"parent": "a", "lesions": "mine"}}, "write own, pooled or nothing"),
        (
            {"a": None, "b": {"parent": "a", "prevalence": 0.7}, "c": {"parent": "a", "prevalence": 0.6}},
            "more than all",
        ),
        ({"a": None, "b": {"parent": "a", "prevalence": 0.7, "f_mutation": 1e-4}}, "give one, the other follows"),
        ({"a": None, "b": {"parent": "a", "prevalence": -0.1}}, "prevalence of clone 'b' is '-0.1'"),
        ({"a": None, "b": {"parent": "a", "f_potential": "٣"}}, "f_potential of clone 'b' is '٣'"),
        ({"a": None, "../é x": "a"}, "such as clone_x"),
        (7, "given as '7'"),
    ],
)
def test_what_is_no_phylogeny_is_refused(given, message):
    with pytest.raises(TableError, match=message):
        phylogeny_of(given)


def test_what_is_no_table_is_refused(tmp_path):
    path = tmp_path / "tree.tsv"
    path.write_text("clone\tparent\tparent\na\t\t\n", encoding="utf-8")
    with pytest.raises(TableError, match="a column is there twice"):
        read_phylogeny(path)
    path.write_text("clone\tparent\na\t\t\t3\n", encoding="utf-8")
    with pytest.raises(TableError, match="4 cells for 2 columns"):
        read_phylogeny(path)
    path.write_text("clone\tparent\na\t\na\t\n", encoding="utf-8")
    with pytest.raises(TableError, match="'a' is there twice"):
        read_phylogeny(path)
    with pytest.raises(TableError, match="cannot read"):
        read_phylogeny(tmp_path / "none.tsv")


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffclone\tparent\tprevalence\r\na\t\t\r\nb\ta\t0.2\r\n",
        "Clone;Parent;Prevalence\na;;NA\nb;a;0.2\n",
        "clone,parent,prevalence,\na,,,\nb,a,0.2,\n",
    ],
)
def test_spellings_of_one_phylogeny(tmp_path, text):
    path = tmp_path / "tree.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    tree = read_phylogeny(path)
    assert [(clone.name, clone.parent, clone.prevalence) for clone in tree.clones] == [("a", "", None), ("b", "a", 0.2)]


@given(st.text(max_size=120))
@settings(max_examples=50, deadline=None)
def test_any_text_is_a_phylogeny_or_an_error(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree.tsv"
        path.write_text(f"clone\tparent\tf_potential\na\t\t\n{text}", "utf-8", errors="replace", newline="")
        try:
            tree = read_phylogeny(path)
        except TableError as error:
            assert str(path) in str(error)
        else:
            assert tree.founder.name and len({clone.name for clone in tree.clones}) == len(tree.clones)


def test_what_clones_cannot_be_added_to_is_refused(small):
    pair = {"a": None, "b": "a"}
    with pytest.raises(CompositionError, match="needs an instance 'clone_1'"):
        with_clones(cascade.load_composition("carcinoma_cell"), pair)
    with pytest.raises(CompositionError, match="give what load_composition"):
        with_clones(cascade.load_module("clone"), pair)
    with pytest.raises(CompositionError, match="was changed after it was loaded, or has clones already"):
        with_clones(with_clones(small, pair), pair)
    with pytest.raises(CompositionError, match="'primary_tumor' cannot have the name of another part"):
        with_clones(small, {"a": None, "primary_tumor": "a"})
    with pytest.raises(CompositionError, match="'clones' cannot have the name of another part"):
        with_clones(small, {"a": None, "clones": "a"})
    with pytest.raises(CompositionError, match="cannot be pooled with those of 'a'"):
        with_clones(small, {"a": None, "b": {"parent": "a", "lesions": "pooled", "f_sensitive_kill": 0.5}})
    with pytest.raises(CompositionError, match="no index set mixed"):
        with_clones(small, pair, polyclonal=0.5)
    with pytest.raises(ValueSettingError, match="polyclonal is 2"):
        with_clones(small, pair, polyclonal=2)


# ---------------------------------------------------------------- what comes out


def test_clones_arise_from_their_own_parents_and_the_whole_still_grows_as_one(small):
    """Shares of any tree of neutral clones: a matrix exponential in the births per cell; the sum follows Gompertz."""
    moves = {"left": 3e-4, "left_deep": 2e-3, "right": 1e-4}
    parents = {"trunk": None, "left": "trunk", "left_deep": "left", "right": "trunk"}
    rows = {name: {"parent": parent, "f_mutation": moves.get(name)} for name, parent in parents.items()}
    model = cascade.compose(with_clones(small, rows))
    data = run(model, 1800, {"primary_tumor.f_surgery": 0.0})
    names = ["clone_1", "left", "left_deep", "right"]
    total = data["primary_tumor__n_tumor"].values
    np.testing.assert_allclose(sum(data[f"{name}__n_tumor"] for name in names), total, rtol=1e-9)
    births = data["clone_1__v_births"] / data["clone_1__n_tumor"]
    matrix = np.zeros((4, 4))
    for child, parent in ((1, 0), (2, 1), (3, 0)):
        rate = moves[names[child]]
        matrix[child, parent] += rate
        matrix[parent, parent] -= rate
    expected = expm(matrix * float(births.integrate("time")))[:, 0]
    found = [float(data[f"{name}__n_tumor"][-1]) / total[-1] for name in names]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    alone = run(cascade.compose(small), 1800, {"primary_tumor.f_surgery": 0.0})
    np.testing.assert_allclose(total, alone["primary_tumor__n_tumor"], rtol=1e-6)


def test_clones_that_are_alike_are_one_tumor_and_keep_their_shares(small):
    """Five clones that start with a fifth of a cell each, without mutation: every flux is that of one clone."""
    rows = {f"c{n}": {"parent": "c0" if n else None, "init_n_epithelial_stem": 1 / 5} for n in range(5)}
    for name in list(rows)[1:]:
        rows[name]["f_mutation"] = 0
    names = ["clone_1", *list(rows)[1:]]
    data = run(cascade.compose(with_clones(small, rows)), 1800, {"primary_tumor.f_surgery": 0.0}, points=61)
    alone = run(cascade.compose(small), 1800, {"primary_tumor.f_surgery": 0.0}, points=61)
    for symbol in ("n_tumor", "v_births", "v_death", "v_invade_single", "v_shed_dead"):
        whole = sum(data[f"{name}__{symbol}"] for name in names)
        np.testing.assert_allclose(whole, alone[f"clone_1__{symbol}"], rtol=1e-6, atol=1e-12)
    for name in names:
        np.testing.assert_allclose(data[f"{name}__n_tumor"] / data["primary_tumor__n_tumor"], 1 / 5, rtol=1e-9)


def test_a_resistant_clone_grows_out_under_a_drug_as_the_closed_form_says(small):
    """d ln(resistant/sensitive)/dt is the killing of the sensitive ones; the order of rows changes nothing."""
    rows = {
        "sensitive": {"parent": None},
        "few": {
            "parent": "sensitive",
            "f_sensitive_kill": 0,
            "f_mutation": 0,
            "init_n_epithelial_stem": 1e-4,
        },
        "other": {"parent": "sensitive", "f_mutation": 0, "init_n_epithelial_stem": 0.3, "f_fitness": 1.05},
    }
    names = ("clone_1", "few", "other")
    drug = {"primary_tumor.f_surgery": 0.0} | {f"{name}.f_survive_division": 0.75 for name in names}
    data = run(cascade.compose(with_clones(small, rows)), 2500, drug, points=1001)
    odds = (data["few__n_tumor"] / data["clone_1__n_tumor"]).values
    killed = data["clone_1__k_kill_drug"]
    assert float(killed.max()) > 0
    expected = 1e-4 * np.exp(killed.cumulative_integrate("time").values)
    assert odds[-1] > 10 * odds[0]
    np.testing.assert_allclose(odds, expected, rtol=2e-3)
    turned = run(cascade.compose(with_clones(small, dict(reversed(rows.items())))), 2500, drug, points=1001)
    for name in names:
        np.testing.assert_allclose(turned[f"{name}__n_tumor"], data[f"{name}__n_tumor"], rtol=1e-7)


def test_clones_have_values_of_their_own_and_lesions_by_their_answer(small, tree_file):
    found = with_clones(small, replace(read_phylogeny(tree_file), clones=_without_prevalence(tree_file)))
    assert found.index["subclone"] == ("left", "right") and found.index["resistant"] == ("left_deep",)
    values = {name: row.nominal for name, row in found.overrides.items()}
    assert values["clone_1.f_potential"] == 1 and values["left.f_potential"] == values["left_deep.f_potential"] == 5
    assert values["left_deep.f_sensitive_kill"] == 0 and values["right.f_sensitive_kill"] == 1
    assert not any(row.estimate for row in found.overrides.values())
    own = with_clones(small, {"a": None, "b": {"parent": "a", "lesions": "own"}})
    assert own.index["resistant"] == ("b",)


def _without_prevalence(path):
    return tuple(replace(clone, prevalence=None) for clone in read_phylogeny(path).clones)


def test_prevalence_at_diagnosis_gives_the_mutation_probabilities(small, tree_file):
    """Closed form for one child; a tree and a fitter clone come out with the shares that were asked for."""
    one = mutation_probabilities(small, {"a": None, "b": {"parent": "a", "prevalence": 0.3}})
    model = cascade.compose(with_clones(small, {"a": None, "b": {"parent": "a", "prevalence": 0.3}}))
    data = run(model, 3000, OPERATED, points=3001)
    day = float(data["primary_tumor__t_surgery"][-1])
    before = data.sel(time=slice(0, day - 1))
    births = float((before["clone_1__v_births"] / before["clone_1__n_tumor"]).integrate("time"))
    assert one.clones[1].values["f_mutation"] == pytest.approx(-np.log(0.7) / births, rel=2e-3)
    assert float(before["b__n_tumor"][-1] / before["primary_tumor__n_tumor"][-1]) == pytest.approx(0.3, rel=2e-3)
    fitter = read_phylogeny(tree_file)
    clones = [replace(c, values={**c.values, "f_fitness": 1.1}) if c.name == "right" else c for c in fitter.clones]
    data = run(cascade.compose(with_clones(small, replace(fitter, clones=tuple(clones)))), 3000, OPERATED, points=3001)
    row = data.sel(time=slice(0, float(data["primary_tumor__t_surgery"][-1]) - 1)).isel(time=-1)
    for name, share in {"left": 0.2, "left_deep": 0.05, "right": 0.1}.items():
        assert float(row[f"{name}__n_tumor"] / row["primary_tumor__n_tumor"]) == pytest.approx(share, rel=0.01)


@pytest.mark.slow
def test_clones_that_grow_much_faster_have_their_prevalence_too(small):
    tree = {
        "trunk": None,
        "fast": {"parent": "trunk", "prevalence": 0.2, "f_fitness": 1.4},
        "faster": {"parent": "fast", "prevalence": 0.1, "f_fitness": 1.9},
    }
    found = mutation_probabilities(small, tree)
    sizes = run(cascade.compose(with_clones(small, found)), 4000, OPERATED, points=4001)
    row = int(np.flatnonzero(sizes["primary_tumor__n_tumor"].values > 0)[-1])
    for name, share in {"fast": 0.2, "faster": 0.1}.items():
        assert float(sizes[f"{name}__n_tumor"][row] / sizes["primary_tumor__n_tumor"][row]) == pytest.approx(
            share, rel=0.02
        )


def test_shares_that_cannot_be_are_refused(small):
    with pytest.raises(TableError, match="leave the founder 'a' no cells"):
        mutation_probabilities(small, {"a": None, "b": {"parent": "a", "prevalence": 1.0}})
    with pytest.raises(TableError, match="has no cells at diagnosis"):
        mutation_probabilities(small, {"a": None, "b": {"parent": "a", "prevalence": 0}})
    with pytest.raises(TableError, match=r"add up to 0\.9, not to 1"):
        mutation_probabilities(
            small, {"a": {"parent": None, "prevalence": 0.7}, "b": {"parent": "a", "prevalence": 0.2}}
        )
    with pytest.raises(TableError, match=r"add up to 0\.3, not to 1; .* or give those of the other clones too"):
        with_clones(small, {"a": {"parent": None, "prevalence": 0.3}, "b": "a"})
    with pytest.raises(AnalysisError, match="does not reach 1e"):
        mutation_probabilities(small, {"a": None, "b": {"parent": "a", "prevalence": 0.2}}, n_cells=1e15)


def test_a_tumor_that_cannot_be_simulated_is_told_from_one_that_stays_small(small, monkeypatch):
    failed = xr.Dataset({"status": "no convergence at day 0"})
    monkeypatch.setattr("cascade.clones.shares.simulate", lambda *_, **__: failed)
    with pytest.raises(AnalysisError, match="cannot be simulated: no convergence at day 0"):
        mutation_probabilities(small, {"a": None, "b": {"parent": "a", "prevalence": 0.2}})


# ---------------------------------------------------------------- pictures


def test_clones_are_drawn_inside_their_parents(small, tree_file):
    import matplotlib.pyplot as plt

    tree = replace(read_phylogeny(tree_file), clones=_without_prevalence(tree_file))
    data = run(cascade.compose(with_clones(small, tree)), 2500)
    sizes = clone_sizes(data, tree)
    assert list(sizes["clone"].values) == ["trunk", "left", "right", "left_deep"]
    assert list(sizes["parent"].values) == ["", "trunk", "trunk", "left"]
    np.testing.assert_allclose(sizes.sum("clone"), data["primary_tumor__n_tumor"], rtol=1e-9)
    assert set(clone_sizes(data)["clone"].values) == {"clone_1", "left", "right", "left_deep"}
    axis = plot_clones(data, tree)
    assert len(axis.collections) == 6, "two halves of trunk and left, one piece of the leaves"
    last = axis.collections[-1].get_paths()[0].vertices[:, 1].max()
    assert last == pytest.approx(1.0, abs=1e-9)
    plt.close("all")
    with pytest.raises(AnalysisError, match="holds no other__n_tumor"):
        clone_sizes(data, {"trunk": None, "other": "trunk"})
    with pytest.raises(AnalysisError, match="no polyclonal clusters"):
        polyclonal_share(data)


# ---------------------------------------------------------------- polyclonal clusters


def mixing(shares, cells, polyclonal):
    """Binomial: a cluster of cells drawn from clones by their shares holds one clone with the sum of their powers."""
    return polyclonal * (1 - np.sum(np.asarray(shares) ** cells))


@pytest.mark.slow
def test_polyclonal_clusters_keep_all_cells_and_found_lesions_that_answer_as_a_mixture():
    """The tumor, its clusters and, with equal potential, the hazard are those without mixing; who seeds is binomial."""
    rows = {
        "a": None,
        "b": {"parent": "a", "f_mutation": 2e-3, "f_sensitive_kill": 0.0},
        "c": {"parent": "a", "f_mutation": 5e-4},
    }
    lite = cascade.load_composition("breast_lite", index={"systemic": ["bone"]})
    plain = cascade.compose(with_clones(lite, rows))
    mixed = cascade.compose(with_clones(lite, rows, polyclonal=0.6))
    record = [
        "endpoints__h_cumulative",
        "endpoints__n_ctc_cluster",
        "primary_tumor__n_tumor",
        *(f"{name}__n_tumor" for name in ("clone_1", "b", "c")),
    ]
    organs = ("bone", "lung")
    more = [f"{organ}_polyclonal_lesions__h_cumulative" for organ in organs]
    clusters = [f"blood_{name}__n_ctc_cluster" for name in ("clone_1", "b", "c", "polyclonal")]
    answer = mixed.id("bone_polyclonal_lesions.f_sensitive_kill")
    solver = cascade.Solver(relative_tolerance=1e-8)  # the front switches within days, and moves with the error
    one = cascade.simulate(plain, days=3000, points=601, record=record, solver=solver)
    two = cascade.simulate(mixed, days=3000, points=601, record=[*record, *more, *clusters, answer], solver=solver)
    for name in record:
        np.testing.assert_allclose(two[name], one[name], rtol=2e-5, atol=1e-9 * float(one[name].max()), err_msg=name)
    row = int(np.flatnonzero(two["primary_tumor__n_tumor"].values > 1e9)[-1])
    shares = [
        float(two[f"{name}__n_tumor"][row] / two["primary_tumor__n_tumor"][row]) for name in ("clone_1", "b", "c")
    ]
    share = polyclonal_share(two)
    assert float(share["f_cluster"][row]) == pytest.approx(mixing(shares, 4, 0.6), rel=1e-4)
    assert 0.1 < float(share["f_metastasis"][-1]) < 0.6
    weight = np.array([p * (1 - p**3) for p in shares])
    assert float(two[answer][row]) == pytest.approx(1 - weight[1] / weight.sum(), rel=1e-4)


def test_a_clone_has_the_genotypes_of_its_ancestors_in_its_constants(monkeypatch):
    """Signals of made-up tumors: read as factors and as odds, they come back from what the clones are given."""
    signals = {
        (): (1.0, 0.2, 0.5, 1.0),
        ("drivers__f_ras_mutant",): (1.4, 0.5, 0.25, 1.1),
        ("drivers__f_myc", "drivers__f_ras_mutant"): (2.8, 0.5, 0.25, 3.3),
    }
    monkeypatch.setattr(clone_genotypes, "at_diagnosis", lambda model, record, values: signals[tuple(sorted(values))])
    breast = cascade.load_composition("breast_lite")
    tree = phylogeny_of(
        {
            "trunk": None,
            "ras": {"parent": "trunk", "genotypes": "KRAS G12 | vegfa_amplification", "f_potential": 2},
            "both": {"parent": "ras", "genotypes": ["myc_amplification"]},
            "late": {"parent": "both", "f_sensitive_kill": 0.0},
        }
    )
    with pytest.warns(CascadeWarning, match="vegfa_amplification: hypoxia_vegf belongs to the tissue"):
        found = clone_genotypes.with_genotyped_clones(breast, tree)
    assert tree.genotypes_of("late") == ("kras_g12", "vegfa_amplification", "myc_amplification")
    assert found.values_of("trunk") == {}
    ras, both, late = (found.values_of(name) for name in ("ras", "both", "late"))
    # odds of the EMT score 0.25 to 1; odds of a cluster 0.33/0.67, halved
    odds = 0.33 / 0.67 / 2
    assert ras == pytest.approx(
        {"f_fitness": 1.4, "f_plasticity": 4, "f_cluster": odds / (1 + odds), "f_potential": 2 * 1.1}
    )
    assert both == pytest.approx({**ras, "f_fitness": 2.8, "f_potential": 2 * 3.3})
    assert late == {**both, "f_sensitive_kill": 0.0}
    for cell in ("kras_g13x", 3):
        with pytest.raises(UnknownNameError, match="clone 'b'"):
            phylogeny_of({"trunk": None, "b": {"parent": "trunk", "genotypes": cell}})


@pytest.mark.slow
def test_a_founder_of_a_genotype_is_the_tumor_of_that_genotype():
    breast = cascade.load_composition("breast_lite", index={"systemic": ["bone"]})
    whole = cascade.with_genotype(cascade.compose(breast), "kras_g12")
    clone = cascade.compose(with_clones(breast, {"trunk": {"parent": None, "genotypes": "kras_g12"}}))
    names = ["primary_tumor.t_surgery", "clone_1.f_hybrid", "clone_1.f_mesenchymal", "clone_1.v_invade_single"]
    record = [*names, "primary_tumor.n_tumor"]
    runs = [cascade.simulate(model, years=10, points=3653, record=record) for model in (whole, clone)]
    at = [int(np.flatnonzero(each["primary_tumor__n_tumor"].values > 0)[-1]) for each in runs]
    for name in names[1:]:
        flat = whole.ids[name]
        values = [float(each[flat][row]) for each, row in zip(runs, at, strict=True)]
        assert values[1] == pytest.approx(values[0], rel=0.05), name
    days = [float(each["primary_tumor__t_surgery"][-1]) for each in runs]
    assert days[1] == pytest.approx(days[0], rel=0.05)
    values = {row.id: row.nominal for row in clone.parameters}
    assert values["clone_1__f_fitness"] > 1.1 and values["clone_1__f_plasticity"] > 1.1


@pytest.mark.slow
def test_clones_of_a_patient_meet_their_prevalence_and_fews_have_lesions_of_their_own(tree_file):
    tree = read_phylogeny(tree_file)
    model = cascade.compose(with_clones(cascade.load_composition("breast_lite", index={"systemic": ["bone"]}), tree))
    data = cascade.simulate(model, days=2500, points=2501)
    row = data.sel(time=slice(0, float(data["primary_tumor__t_surgery"][-1]) - 1)).isel(time=-1)
    for name, share in {"left": 0.2, "left_deep": 0.05, "right": 0.1}.items():
        assert float(row[f"{name}__n_tumor"] / row["primary_tumor__n_tumor"]) == pytest.approx(share, rel=0.01)
    assert "bone_left_deep_lesions" in model.instances and "bone_left_lesions" not in model.instances
    assert float(data["bone_left_deep_lesions__h_cumulative"][-1]) > 0


@pytest.mark.parametrize(
    ("key", "value", "before", "after"),
    [("f_plasticity", 1.0, 0.5, 1.0), ("f_cluster", 1.0, 0.2, 0.1), ("f_potential", 1.0, 0.0, 0.5)],
)
def test_what_no_constant_of_a_clone_can_express_is_refused(key, value, before, after):
    with pytest.raises(AnalysisError, match=f"which no {key} of a clone"):
        clone_genotypes._changed(key, value, before, after)
