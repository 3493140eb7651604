"""Clones of a tumor by their phylogeny: `Composition` in, `Composition` out.

Every clone is an instance of the module `clone` with blood and cells in organs of its own; it arises by mutation
from the births of its parent. What a clone has of its own are the constants of that module. The signals of the
tissue are shared; what a genotype does to those of a cell reaches a clone through its constants
(`cascade.clones.genotypes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cascade.catalogue import load_composition
from cascade.clones.phylogeny import Phylogeny
from cascade.composition_file import read_composition
from cascade.errors import CompositionError
from cascade.expansion import placeholders
from cascade.specs import Composition, Join, Parameter

if TYPE_CHECKING:
    pass

FOUNDER = "clone_1"
"""The instance of the clone that founds the tumor, whatever the phylogeny calls it."""

MIXED = "polyclonal"
"""The lineage of cells that travel in clusters of several clones."""

_ALWAYS = ("f_potential", "f_plasticity", "f_fitness", "f_sensitive_kill", "f_sensitive_block")
_ANSWERS = ("f_sensitive_kill", "f_sensitive_block", "f_stem_founders", "f_kill_stem")
"""Constants by which lesions answer to drugs."""


def joined_clones(composition: Composition, tree: Phylogeny, polyclonal: float) -> Composition:
    """Join the clones of a phylogeny whose mutation probabilities are known; see `cascade.with_clones`."""
    require_as_loaded(composition)
    own = lesions_of_their_own(tree)
    mixed = (MIXED,) if polyclonal and len(tree.clones) > 1 else ()
    found = _with_index(composition, tree, own, mixed)
    values = _values(found, tree)
    joins = _joins(tree, bool(mixed))
    written = {join.reader for join in joins}
    group = (_polyclonal(found, polyclonal) if mixed else {}) | _blocks(found, tree)
    return replace(
        found,
        joins=tuple(join for join in found.joins if join.reader not in written) + joins,
        overrides={**found.overrides, **values},
        group_values={**found.group_values, **group},
    )


def instance_of(tree: Phylogeny, name: str) -> str:
    """Return the instance of a clone."""
    return FOUNDER if name == tree.founder.name else name


def lesions_of_their_own(tree: Phylogeny) -> tuple[str, ...]:
    """Return the clones whose metastases are counted apart.

    Raises
    ------
    CompositionError
        If one is to be pooled with a founder that answers to drugs otherwise.
    """
    founder, own = _answer(tree, tree.founder.name), []
    for clone in tree.clones[1:]:
        unlike = _answer(tree, clone.name) != founder
        if clone.lesions == "pooled" and unlike:
            raise CompositionError(
                f"{tree.where}: lesions of clone {clone.name!r} cannot be pooled with those of"
                f" {tree.founder.name!r}: it answers"
                " to drugs otherwise; write own"
            )
        if clone.lesions == "own" or unlike:
            own.append(clone.name)
    return tuple(own)


def _answer(tree: Phylogeny, name: str) -> tuple[float | None, ...]:
    values = tree.values_of(name)
    return tuple(
        values.get(key) if key in ("f_stem_founders", "f_kill_stem") else values.get(key, 1.0) for key in _ANSWERS
    )


def without_subclones(composition: Composition) -> Composition:
    """Return a composition with its founder alone."""
    return _load(composition, {"subclone": (), "resistant": ()})


def require_as_loaded(composition: object) -> None:
    if not isinstance(composition, Composition):
        raise CompositionError(
            f"with_clones() was given {str(composition)[:80]!r}; give what load_composition() returned"
        )
    missing = [name for name in ("subclone", "resistant") if name not in composition.index]
    if missing or FOUNDER not in composition.instances:
        raise CompositionError(
            f"composition {composition.name!r} has no clones to which others could be added: it needs an"
            f" instance {FOUNDER!r}"
            " and the index sets subclone and resistant, as `carcinoma` has, which the shipped primaries extend"
        )
    kept = {name: composition.index[name] for name in ("subclone", "resistant", "mixed") if name in composition.index}
    if _load(composition, kept) != composition:
        raise CompositionError(
            f"composition {composition.name!r} was changed after it was loaded, or has clones already; give"
            " with_clones() what"
            " load_composition() returned, and change the result"
        )


def _load(composition: Composition, sets: Mapping[str, tuple[str, ...]]) -> Composition:
    """Load a composition again with other clones, and the same organs and structure."""
    written = read_composition(composition.path)
    free = {
        name: composition.index[name]
        for name, members in written.index.items()
        if not any(placeholders(member) for member in members)
    }
    structure = {module.name: dict(module.options) for module in composition.instances.values() if module.options}
    return load_composition(composition.path, {**free, **sets}, structure)


def _with_index(composition: Composition, tree: Phylogeny, own: tuple[str, ...], mixed: tuple[str, ...]) -> Composition:
    taken = {name for name in without_subclones(composition).instances if name != FOUNDER}
    taken |= composition.index.keys() | composition.groups.keys()
    pooled = tuple(clone.name for clone in tree.clones[1:] if clone.name not in own)
    for name in (*pooled, *own):
        if name in taken or name in (FOUNDER, MIXED):
            raise CompositionError(
                f"{tree.where}: clone {name!r} cannot have the name of another part of {composition.name!r}; rename it"
            )
    sets = {"subclone": pooled, "resistant": own}
    if mixed and "mixed" not in composition.index:
        raise CompositionError(f"composition {composition.name!r} has no index set mixed, so no polyclonal clusters")
    return _load(composition, sets | ({"mixed": mixed} if "mixed" in composition.index else {}))


def _joins(tree: Phylogeny, mixed: bool) -> tuple[Join, ...]:
    """Return who arises from whom, and whose cells mix."""
    names = {clone.name: instance_of(tree, clone.name) for clone in tree.clones}
    joins = [
        Join(reader=f"{names[clone.name]}.v_births_parent", formula=f"{names[clone.parent]}.v_births")
        for clone in tree.clones[1:]
    ]
    for clone in tree.clones:
        lost = " + ".join(f"{names[child.name]}.v_founded" for child in tree.children(clone.name))
        if lost:
            joins.append(Join(reader=f"{names[clone.name]}.v_lost", formula=lost))
        if mixed:
            others = " + ".join(f"{name}.v_collective" for key, name in names.items() if key != clone.name)
            joins.append(Join(reader=f"{names[clone.name]}.v_collective_others", formula=others))
    return tuple(joins)


def _values(composition: Composition, tree: Phylogeny) -> dict[str, Parameter]:
    """Return the constants that clones have of their own."""
    table = {row.id: row for row in composition.instances[FOUNDER].parameters}
    said = {key for clone in tree.clones for key in clone.values if key not in ("f_mutation", "init_n_epithelial_stem")}
    found: dict[str, Parameter] = {}
    for clone in tree.clones:
        name, values = instance_of(tree, clone.name), tree.values_of(clone.name)
        own = {key: values[key] for key in ("f_mutation", "init_n_epithelial_stem") if key in clone.values}
        for key in sorted(said | set(_ALWAYS)):
            own[key] = values.get(key, usual(composition, key))
        for key, value in own.items():
            found[f"{name}.{key}"] = _row(table[key], f"{name}.{key}", value, clone.prevalence)
    return found


def usual(composition: Composition, key: str) -> float:
    """Return a constant of the founder as the composition has it."""
    for name, rows in ((f"{FOUNDER}.{key}", composition.overrides), (f"clones.{key}", composition.group_values)):
        if name in rows:
            return rows[name].nominal
    return next(row.nominal for row in composition.instances[FOUNDER].parameters if row.id == key)


def _row(row: Parameter, name: str, value: float, prevalence: float | None) -> Parameter:
    note = "from the phylogeny"
    if row.id == "f_mutation" and prevalence is not None:
        note += f", so that the clone is {prevalence:.4g} of the tumor at diagnosis; stands for one early event"
    return replace(
        row,
        id=name,
        nominal=float(value),
        lower=None if row.lower is None else min(row.lower, value),
        upper=None if row.upper is None else max(row.upper, value),
        estimate=False,
        evidence="assumed",
        note=note,
    )


def _polyclonal(composition: Composition, share: float) -> dict[str, Parameter]:
    row = next(row for row in composition.instances[FOUNDER].parameters if row.id == "f_polyclonal")
    return {
        "clones.f_polyclonal": replace(row, id="clones.f_polyclonal", nominal=float(share), note="said to with_clones")
    }


def _blocks(composition: Composition, tree: Phylogeny) -> dict[str, Parameter]:
    """Return how lesions not counted by clone answer to blocks of growth; to kills they answer as the founder."""
    value = tree.values_of(tree.founder.name).get("f_sensitive_block", 1.0)
    members = composition.groups.get("lesions", ())
    if value == 1 or not members:
        return {}
    row = next(row for row in composition.instances[members[0]].parameters if row.id == "f_sensitive_block")
    return {"lesions.f_sensitive_block": _row(row, "lesions.f_sensitive_block", value, None)}
