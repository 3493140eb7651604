"""Groups of parameters: by module instance, or by the pathway or step of the cascade that a module describes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cascade.errors import unknown_name

if TYPE_CHECKING:
    from cascade.specs import Model, Parameter

OTHER = "composition"
"""Group of the constants that a composition has of its own."""

PATHWAYS: Mapping[str, str] = {
    "tgf_beta": "tgf_beta",
    "wnt": "wnt",
    "notch": "notch",
    "emt": "emt",
    "csc_epi": "stemness",
    "drivers": "genotype",
    "hypoxia_vegf": "hypoxia",
    "pdl1_immune": "immune",
    "microenvironment": "microenvironment",
    "primary_tumor": "primary_tumor",
    "clone": "primary_tumor",
    "invasion": "invasion",
    "circulation": "circulation",
    "disseminated_cells": "dormancy",
    "lesions": "outgrowth",
    "endpoints": "detection",
}
"""Pathway or step of each shipped module; an organ stays an organ, and a module of a user is a pathway of its own."""

KINDS = ("modules", "pathways")


def groups_of(model: Model, parameters: Iterable[Parameter], by: str = "pathways") -> dict[str, tuple[str, ...]]:
    """Sort parameters into groups.

    Parameters
    ----------
    model : Model
    parameters : iterable of Parameter
        Of that model.
    by : {"pathways", "modules"}
        Modules are instances and the groups of instances that share values; pathways join those of one kind, such as
        all lesions.

    Returns
    -------
    dict of str to tuple of str
        Ids by group, in the order of the parameters.
    """
    if by not in KINDS:
        raise unknown_name("grouping", by, KINDS, "the groupings")
    found: dict[str, list[str]] = {}
    for parameter in parameters:
        owner = owner_of(parameter.id)
        found.setdefault(_pathway(model, owner) if by == "pathways" else owner, []).append(parameter.id)
    return {name: tuple(ids) for name, ids in found.items()}


def owner_of(flat: str) -> str:
    """Return the instance or shared group that a constant belongs to; those of the composition are one group."""
    owner, found, _ = flat.partition("__")
    return owner if found else OTHER


def _pathway(model: Model, owner: str) -> str:
    """Return the pathway of an instance; of values that several instances share, that of their module."""
    module = model.instances.get(owner) or _module_of_group(model, owner)
    return PATHWAYS.get(module, owner)


def _module_of_group(model: Model, group: str) -> str:
    """Return the module whose instances share the values of a group, or an empty text."""
    prefix = f"{group}__"
    for name, flat in model.ids.items():
        instance, dot, _ = name.partition(".")
        if dot and flat.startswith(prefix) and instance in model.instances:
            return model.instances[instance]
    return ""
