"""The instances of a hierarchical document: every submodel where it stands, and what replaces or deletes what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import libsbml

from cascade._merge import no_model
from cascade.errors import SBMLError

MAX_INSTANCES = 2_000
MAX_ELEMENTS = 1_000_000

Path = tuple[str, ...]
Key = tuple[Path, int]
"""An element of an instance: the submodels that lead to it, and the element of the definition."""


@dataclass(frozen=True, eq=False)
class Instance:
    """A model where it stands: `path` names the submodels that lead to it from the top."""

    path: Path
    model: libsbml.Model
    submodel: libsbml.Submodel | None = None

    @property
    def label(self) -> str:
        """How a message calls it."""
        if not self.path:
            return f"the top model {self.model.getId()!r}"
        return f"submodel {'.'.join(self.path)!r}"

    def key(self, element: libsbml.SBase) -> Key:
        """Return the key of an element."""
        return self.path, int(element.this)


@dataclass(frozen=True, eq=False)
class Joint:
    """An element that stands for another one: `winner` is kept, `loser` goes."""

    winner: Instance
    keeps: libsbml.SBase
    loser: Instance
    goes: libsbml.SBase
    factor: str = ""

    def __str__(self) -> str:
        return f"{said(self.winner, self.keeps)}, which replaces {said(self.loser, self.goes)}"


@dataclass(frozen=True, eq=False)
class Tree:
    """All instances of a document, top first, with its joints and what is deleted or replaced."""

    instances: dict[Path, Instance]
    joints: list[Joint] = field(default_factory=list)
    removed: set[Key] = field(default_factory=set)
    cut: set[Path] = field(default_factory=set)

    @cached_property
    def kept(self) -> dict[Key, Key]:
        """What each replaced element is replaced by."""
        return {joint.loser.key(joint.goes): joint.winner.key(joint.keeps) for joint in self.joints}

    def is_cut(self, path: Path) -> bool:
        """Tell whether an instance is deleted as a whole, or one that holds it."""
        return any(path[:length] in self.cut for length in range(1, len(path) + 1))

    def living(self) -> Iterator[Instance]:
        """Yield the instances that are not deleted."""
        return (each for each in self.instances.values() if not self.is_cut(each.path))


def said(instance: Instance, element: libsbml.SBase) -> str:
    """Say which element is meant, in words."""
    kind = element.getElementName()
    name = element.getId() or element.getMetaId()
    return f"{kind} {name!r} of {instance.label}"


def grow(document: libsbml.SBMLDocument, where: str) -> Tree:
    """Follow the submodels of a document.

    Raises
    ------
    SBMLError
        If a submodel refers to a model that is not there, models hold each other in a circle, there are more than
        2,000 instances or 1,000,000 elements, or a reference leads to nothing.
    """
    tree = Tree(_instances(document, where))
    for instance in tree.instances.values():
        _delete(tree, instance, where)
    for instance in tree.instances.values():
        _join(tree, instance, where)
    return tree


def _instances(document: libsbml.SBMLDocument, where: str) -> dict[Path, Instance]:
    plugin = document.getPlugin("comp")
    sizes: dict[str, int] = {}
    found: dict[Path, Instance] = {}
    total = 0
    todo: list[tuple[Instance, tuple[str, ...]]] = [(Instance((), document.getModel()), ())]
    while todo:
        instance, above = todo.pop()
        name = instance.model.getId() if instance.path else ""
        if name not in sizes:
            sizes[name] = len(instance.model.getListOfAllElements())
        total += sizes[name]
        found[instance.path] = instance
        if len(found) > MAX_INSTANCES or total > MAX_ELEMENTS:
            raise SBMLError(
                f"{where}: more than {MAX_INSTANCES:,} submodels or {MAX_ELEMENTS:,} elements when written out; let"
                " models hold each other less often"
            )
        for submodel in instance.model.getPlugin("comp").getListOfSubmodels():
            reference = submodel.getModelRef()
            model = plugin.getModelDefinition(reference)
            if model is None:
                raise SBMLError(no_model(f"{where}: {instance.label}", submodel.getId(), reference, plugin))
            if reference in above:
                steps = " -> ".join([*above[above.index(reference) :], reference])
                raise SBMLError(f"{where}: models hold each other in a circle: {steps}; remove one of the submodels")
            todo.append((Instance((*instance.path, submodel.getId()), model, submodel), (*above, reference)))
    return found


def _delete(tree: Tree, instance: Instance, where: str) -> None:
    if instance.submodel is None:
        return
    for deletion in instance.submodel.getListOfDeletions():
        holder, element = find(tree, instance, deletion, f"{where}: a deletion in {instance.label}")
        tree.removed.add(holder.key(element))
        if isinstance(element, libsbml.Submodel):
            tree.cut.add((*holder.path, element.getId()))


def _join(tree: Tree, instance: Instance, where: str) -> None:
    for element in instance.model.getListOfAllElements():
        plugin = element.getPlugin("comp")
        if not isinstance(plugin, libsbml.CompSBasePlugin):
            continue
        label = f"{where}: {said(instance, element)}"
        for replaced in plugin.getListOfReplacedElements() or ():
            if replaced.isSetDeletion():
                continue
            holder, other = _entered(tree, instance, replaced, label)
            _add(tree, Joint(instance, element, holder, other, replaced.getConversionFactor()))
        if plugin.isSetReplacedBy():
            holder, other = _entered(tree, instance, plugin.getReplacedBy(), label)
            _add(tree, Joint(holder, other, instance, element))


def _add(tree: Tree, joint: Joint) -> None:
    tree.joints.append(joint)
    tree.removed.add(joint.loser.key(joint.goes))
    if isinstance(joint.goes, libsbml.Submodel):
        tree.cut.add((*joint.loser.path, joint.goes.getId()))


def _entered(
    tree: Tree, instance: Instance, reference: libsbml.Replacing, label: str
) -> tuple[Instance, libsbml.SBase]:
    """Find what a replacement means: it begins with a submodel."""
    child = tree.instances.get((*instance.path, reference.getSubmodelRef()))
    if child is None:
        known = [each.getId() for each in instance.model.getPlugin("comp").getListOfSubmodels()]
        raise SBMLError(
            f"{label} refers to the submodel {reference.getSubmodelRef()!r}, which is not there; there are"
            f" {', '.join(known) or 'none'}"
        )
    return find(tree, child, reference, label)


def find(tree: Tree, instance: Instance, reference: libsbml.SBaseRef, label: str) -> tuple[Instance, libsbml.SBase]:
    """Return the instance and the element that a reference leads to.

    Raises
    ------
    SBMLError
        If it leads to nothing; the message says what is there.
    """
    element = _named(instance, reference, label)
    if isinstance(element, libsbml.Port):
        instance, element = find(tree, instance, element, f"{label} through the port {element.getId()!r}")
    if not reference.isSetSBaseRef():
        return instance, element
    if not isinstance(element, libsbml.Submodel):
        raise SBMLError(f"{label} looks into {said(instance, element)}, which is no submodel")
    child = tree.instances[(*instance.path, element.getId())]
    return find(tree, child, reference.getSBaseRef(), label)


def _named(instance: Instance, reference: libsbml.SBaseRef, label: str) -> libsbml.SBase:
    model = instance.model
    plugin = model.getPlugin("comp")
    if reference.isSetPortRef():
        kind, name, element = "port", reference.getPortRef(), plugin.getPort(reference.getPortRef())
        known = [each.getId() for each in plugin.getListOfPorts()]
    elif reference.isSetIdRef():
        kind, name = "id", reference.getIdRef()
        element = plugin.getSubmodel(name) or model.getElementBySId(name)
        known = [each.getId() for each in (*model.getListOfParameters(), *model.getListOfSpecies())]
    elif reference.isSetUnitRef():
        kind, name, element = "unit", reference.getUnitRef(), model.getUnitDefinition(reference.getUnitRef())
        known = [each.getId() for each in model.getListOfUnitDefinitions()]
    elif reference.isSetMetaIdRef():
        kind, name = "metaid", reference.getMetaIdRef()
        element, known = model.getElementByMetaId(name), []
    else:
        raise SBMLError(f"{label} refers to nothing in {instance.label}; give portRef, idRef, unitRef or metaIdRef")
    if element is None:
        there = f"; there are {', '.join(known[:20])}" if known else ""
        raise SBMLError(
            f"{label} refers to the {kind} {name!r} of {instance.label} (model {model.getId()!r}), which is not"
            f" there{there}"
        )
    return element
