"""Genotypes of single clones: what a whole tumor of that genotype shows at diagnosis, as constants of the clone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from warnings import warn

from cascade.clones._joins import FOUNDER, usual, without_subclones
from cascade.clones.phylogeny import Phylogeny
from cascade.clones.shares import at_diagnosis
from cascade.compose import compose
from cascade.errors import AnalysisError, CascadeWarning
from cascade.patients.genotypes import Plan, combine, plan_genotypes
from cascade.specs import Composition

if TYPE_CHECKING:
    from cascade.specs import Model

OF_CELLS = frozenset({"drivers", "tgf_beta", "wnt", "notch", "emt", "csc_epi"})
"""Modules that stand for what happens inside a cell; what the others describe is shared by all clones."""

_READ = {
    "f_fitness": "drivers.f_proliferation",
    "f_plasticity": f"{FOUNDER}.a_emt",
    "f_cluster": f"{FOUNDER}.f_adhesion",
    "f_potential": f"{FOUNDER}.f_stemness",
}
"""The constant of a clone that carries each signal."""


def with_genotyped_clones(composition: Composition, tree: Phylogeny) -> Phylogeny:
    """Write what their genotypes do to clones into the constants of the clones.

    Parameters
    ----------
    composition : Composition
        As `load_composition` returned it.
    tree : Phylogeny
        A clone has the genotypes of its ancestors too.

    Returns
    -------
    Phylogeny
        Without genotypes. A `CascadeWarning` lists what clones cannot have of their own.

    Raises
    ------
    UnknownNameError, ValueSettingError
        If a genotype is unknown, or two of one clone exclude each other.
    AnalysisError
        If a tumor of such a genotype does not grow to the size at diagnosis, or the composition has no signals.

    Notes
    -----
    The tumor is simulated once without genotypes and once for each set of them. At the size at which it is operated
    the ratios are read: growth (`f_fitness`), the odds of the EMT score (`f_plasticity`), adhesion, which weighs the
    odds of a cluster (`f_cluster`), and founding by stemness (`f_potential`). The clone module takes them as exactly
    these factors, so what is approximate is that they are constant, and those of a tumor of that genotype alone:
    what clones do to each other through the tissue is left out.
    """
    sets = {clone.name: tree.genotypes_of(clone.name) for clone in tree.clones}
    if not any(sets.values()):
        return tree
    model = compose(without_subclones(composition))
    plan = plan_genotypes(model)
    _say_what_is_shared(plan, sets)
    seen = {genotypes: _seen(model, plan, genotypes) for genotypes in dict.fromkeys([(), *sets.values()])}
    clones = []
    for clone in tree.clones:
        own = dict(clone.values)
        parent = sets[clone.parent] if clone.parent else ()
        if sets[clone.name] != parent:
            now = tree.values_of(clone.name)
            for key, signal in seen[sets[clone.name]].items():
                if signal != seen[parent][key]:
                    own[key] = _changed(key, now.get(key, usual(composition, key)), seen[parent][key], signal)
        clones.append(replace(clone, values=own, genotypes=()))
        tree = replace(tree, clones=(*clones, *tree.clones[len(clones) :]))
    return tree


def _say_what_is_shared(plan: Plan, sets: Mapping[str, tuple[str, ...]]) -> None:
    """Warn of what a clone cannot have of its own, or the model does not express."""
    said = []
    for name in dict.fromkeys(name for genotypes in sets.values() for name in genotypes):
        reasons = list(combine(plan, [name], {})[1].get(name, ()))
        shared = sorted({setting.module for _, setting in plan.actions[name]} - OF_CELLS)
        if shared:
            reasons.append(f"{', '.join(shared)} belongs to the tissue, which all clones share")
        if reasons:
            said.append(f"{name}: {'; '.join(reasons)}")
    if said:
        warn(f"clones do not have all of their genotypes: {' | '.join(said)}", CascadeWarning, stacklevel=4)


def _seen(model: Model, plan: Plan, genotypes: tuple[str, ...]) -> dict[str, float]:
    """Return the signals of a tumor of a genotype at diagnosis."""
    missing = sorted(name for name in _READ.values() if name not in model.ids)
    if missing:
        raise AnalysisError(
            f"model {model.name!r} has no {', '.join(missing)}, by which a genotype reaches a clone; give the constants"
            " of the clone instead (f_fitness, f_plasticity, f_potential)"
        )
    own = {flat for name in genotypes for flat, setting in plan.actions[name] if setting.module in OF_CELLS}
    values = {flat: value for flat, value in combine(plan, genotypes, {})[0].items() if flat in own}
    return dict(zip(_READ, at_diagnosis(model, [model.ids[name] for name in _READ.values()], values), strict=True))


def _changed(key: str, value: float, before: float, after: float) -> float:
    """Return a constant of a clone after its signal changed."""
    if not before > 0 or (key == "f_plasticity" and max(before, after) >= 1) or (key == "f_cluster" and value >= 1):
        raise AnalysisError(
            f"a genotype takes {_READ[key]} from {before:.4g} to {after:.4g}, which no {key} of a clone (now"
            f" {value:.4g}) can express; give such a clone its constants instead of the genotype"
        )
    if key == "f_plasticity":
        return value * _odds(after) / _odds(before)
    if key == "f_cluster":
        odds = _odds(value) * after / before
        return odds / (1 + odds)
    return value * after / before


def _odds(share: float) -> float:
    return share / (1 - share)
