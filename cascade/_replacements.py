"""What the flattening of libSBML does in silence: made right before it, announced, or refused in words of the model.

The specification of comp says what a replacement means: every mention of what is replaced becomes a mention of what
replaces it, formulas that set it included (an initial assignment in the submodel stays and wins over a value), and
conversion factors convert formulas, never what a reaction makes (its table 4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import libsbml

from cascade._instances import Instance, Joint, Key, Tree, said
from cascade._sbml import symbols
from cascade._scales import Scale, model_scale, scale_of
from cascade.errors import SBMLError
from cascade.specs import Issue

_QUANTITIES = (libsbml.Species, libsbml.Parameter, libsbml.Compartment)


@dataclass
class Setter:
    """What gives an element its values: `kind` is rule, initial assignment, event or reaction."""

    kind: str
    instance: Instance
    element: libsbml.SBase


@dataclass
class Symbol:
    """All elements that are one after flattening, and what sets them."""

    winner: tuple[Instance, libsbml.SBase]
    members: list[tuple[Instance, libsbml.SBase]] = field(default_factory=list)
    setters: list[Setter] = field(default_factory=list)


def check_joints(tree: Tree, where: str) -> list[Issue]:
    """Judge every replacement of a hierarchical document.

    Returns
    -------
    list of Issue
        What means something else than its author may have thought.

    Raises
    ------
    SBMLError
        For replacements that would change numbers in silence or give a model that is none.
    """
    found: list[Issue] = []
    for joint in tree.joints:
        if tree.is_cut(joint.winner.path) or tree.is_cut(joint.loser.path):
            continue
        if isinstance(joint.keeps, _QUANTITIES):
            _check_kind(joint, where)
            _check_units(joint, where)
        if isinstance(joint.keeps, libsbml.Species):
            found += _check_species(tree, joint, where)
    for symbol in _symbols(tree, where):
        found += _check_symbol(symbol, where)
    return found


def _check_kind(joint: Joint, where: str) -> None:
    if isinstance(joint.goes, type(joint.keeps)):
        return
    if isinstance(joint.keeps, libsbml.Parameter) and not isinstance(joint.goes, libsbml.Species):
        return  # comp lets a parameter stand for whatever has a value; libSBML says where it may not
    raise SBMLError(f"{where}: {joint}: one is a {_kind(joint.keeps)}, the other a {_kind(joint.goes)}; join likes")


def _kind(element: libsbml.SBase) -> str:
    return str(element.getElementName())


def _check_units(joint: Joint, where: str) -> None:
    kept, gone = scale_of(joint.keeps), scale_of(joint.goes)
    if joint.factor or kept is None or gone is None or kept == gone:
        return
    raise SBMLError(
        f"{where}: {joint}: the units are {kept}, and {gone}; write the same units, or give a conversionFactor"
    )


def _check_species(tree: Tree, joint: Joint, where: str) -> Iterator[Issue]:
    if not isinstance(joint.goes, libsbml.Species):
        return
    kept, gone = joint.keeps, joint.goes
    if kept.getHasOnlySubstanceUnits() != gone.getHasOnlySubstanceUnits():
        if not _is_one(joint.winner.model, kept.getCompartment()):
            forms = ["an amount" if each.getHasOnlySubstanceUnits() else "a concentration" for each in (kept, gone)]
            raise SBMLError(
                f"{where}: {joint}: formulas mean {forms[0]} by the first and {forms[1]} by the second"
                " (hasOnlySubstanceUnits), so that their numbers would change; let both mean the same"
            )
        yield _issue(where, joint, "one is an amount, the other a concentration", "the same in a volume of 1")
    if kept.getBoundaryCondition() != gone.getBoundaryCondition():
        yield _issue(where, joint, "their boundaryCondition differs", "that of the first holds")
    if not kept.getHasOnlySubstanceUnits() and not _share_compartment(tree, joint):
        yield _issue(
            where, joint, "their compartments are not joined", "concentrations refer to the volume of the first"
        )
    if joint.factor and any(gone.getId() in _touched(each) for each in joint.loser.model.getListOfReactions()):
        yield _issue(
            where,
            joint,
            f"conversionFactor {joint.factor!r} converts formulas that mention it, not what reactions make of it",
            "so says comp; convert reactions with extentConversionFactor or the conversionFactor of the species",
        )


def _is_one(model: libsbml.Model, compartment: str) -> bool:
    found = model.getCompartment(compartment)
    return bool(
        found is not None
        and found.getConstant()
        and found.isSetSize()
        and found.getSize() == 1
        and model.getInitialAssignmentBySymbol(compartment) is None
    )


def _share_compartment(tree: Tree, joint: Joint) -> bool:
    pair = [
        (each, each.model.getCompartment(species.getCompartment()))
        for each, species in ((joint.winner, joint.keeps), (joint.loser, joint.goes))
    ]
    if any(compartment is None for _, compartment in pair):
        return True  # libSBML says so
    ends = [_last(tree, instance.key(compartment)) for instance, compartment in pair]
    return ends[0] == ends[1] or all(_is_one(instance.model, found.getId()) for instance, found in pair)


def _last(tree: Tree, key: Key) -> Key:
    """Follow replacements to what is kept."""
    for _ in range(len(tree.kept)):  # a circle is refused elsewhere
        if key not in tree.kept:
            break
        key = tree.kept[key]
    return key


def _symbols(tree: Tree, where: str) -> list[Symbol]:
    """Put together what is one symbol after flattening; elements without a replacement are left out."""
    known: dict[Key, tuple[Instance, libsbml.SBase]] = {}
    for joint in tree.joints:
        loser, winner = joint.loser.key(joint.goes), joint.winner.key(joint.keeps)
        if tree.kept[loser] != winner:
            raise SBMLError(f"{where}: {said(joint.loser, joint.goes)} is replaced twice; it can be replaced once")
        known[loser], known[winner] = (joint.loser, joint.goes), (joint.winner, joint.keeps)
    found: dict[Key, Symbol] = {}
    for key, member in known.items():
        end = _last(tree, key)
        if end in tree.kept:
            raise SBMLError(f"{where}: {said(*member)} is replaced in a circle; let one of the elements stay")
        found.setdefault(end, Symbol(known[end])).members.append(member)
    setters = _Setters(tree)
    for symbol in found.values():
        symbol.setters = [each for member in symbol.members for each in setters.of(*member)]
    return [each for each in found.values() if isinstance(each.winner[1], _QUANTITIES)]


class _Setters:
    """Looks up what sets a symbol of a model; each model is gone through once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.by_model: dict[int, dict[str, list[tuple[str, libsbml.SBase]]]] = {}

    def of(self, instance: Instance, element: libsbml.SBase) -> Iterator[Setter]:
        """Yield what sets an element in its own model and is neither deleted nor replaced."""
        if self.tree.is_cut(instance.path):
            return
        key = int(instance.model.this)
        if key not in self.by_model:
            self.by_model[key] = _set_in(instance.model)
        for kind, each in self.by_model[key].get(element.getId(), ()):
            if instance.key(each) not in self.tree.removed:
                yield Setter(kind, instance, each)


def _set_in(model: libsbml.Model) -> dict[str, list[tuple[str, libsbml.SBase]]]:
    """Return by symbol what sets it in a model."""
    found: dict[str, list[tuple[str, libsbml.SBase]]] = {}
    for rule in model.getListOfRules():
        found.setdefault(rule.getVariable(), []).append(("rule", rule))
    for assignment in model.getListOfInitialAssignments():
        found.setdefault(assignment.getSymbol(), []).append(("initial assignment", assignment))
    for event in model.getListOfEvents():
        for name in {change.getVariable() for change in event.getListOfEventAssignments()}:
            found.setdefault(name, []).append(("event", event))
    for reaction in model.getListOfReactions():
        for name in _touched(reaction):
            found.setdefault(name, []).append(("reaction", reaction))
    return found


def _touched(reaction: libsbml.Reaction) -> set[str]:
    return {each.getSpecies() for each in (*reaction.getListOfReactants(), *reaction.getListOfProducts())}


def _check_symbol(symbol: Symbol, where: str) -> Iterator[Issue]:
    instance, element = symbol.winner
    by_kind: dict[str, list[Setter]] = {}
    for setter in symbol.setters:
        by_kind.setdefault(setter.kind, []).append(setter)
    for kind in ("rule", "initial assignment"):
        places = sorted((each.instance.path, each.instance.label) for each in by_kind.get(kind, []))
        if len(places) > 1:
            labels = " and one in ".join(label for _, label in places)
            raise SBMLError(
                f"{where}: {said(instance, element)} has one {kind} in {labels}; keep one and delete the"
                " others (comp deletion by metaid)"
            )
    changing = [each for each in symbol.setters if each.kind != "initial assignment" and _changes(each, element)]
    if changing and element.getConstant():
        raise SBMLError(
            f"{where}: {said(instance, element)} is constant, but a {changing[0].kind} in {changing[0].instance.label}"
            " changes it; set constant to false or delete what changes it"
        )
    for setter in by_kind.get("initial assignment", []):
        if setter.instance is not instance and _has_value(element):
            yield Issue(
                severity="warning",
                where=where,
                what=f"{said(instance, element)} has a value, but the initial assignment in {setter.instance.label}"
                " sets the element that it replaces, and wins",
                fix="delete the initial assignment (comp deletion by metaid) to use the value",
            )


def _changes(setter: Setter, element: libsbml.SBase) -> bool:
    return setter.kind != "reaction" or not (isinstance(element, libsbml.Species) and element.getBoundaryCondition())


def _has_value(element: libsbml.SBase) -> bool:
    if isinstance(element, libsbml.Species):
        return bool(element.isSetInitialAmount() or element.isSetInitialConcentration())
    return bool(element.isSetSize() if isinstance(element, libsbml.Compartment) else element.isSetValue())


def _issue(where: str, joint: Joint, what: str, fix: str) -> Issue:
    return Issue(severity="warning", where=where, what=f"{joint}: {what}", fix=fix)


def check_model_units(tree: Tree, where: str) -> None:
    """Refuse submodels that count time or extent in another unit than the top without a conversion factor.

    The flat model takes both from the top and the numbers as they are.

    Raises
    ------
    SBMLError
        If units differ and no factor on the way to the top converts them.
    """
    for kind in ("time", "extent"):
        first: tuple[Instance, Scale] | None = None
        for instance in tree.living():
            scale = model_scale(instance.model, kind)
            if scale is None or _is_converted(tree, instance, kind):
                continue
            first = first or (instance, scale)
            if scale != first[1]:
                raise SBMLError(
                    f"{where}: {first[0].label} counts {kind} in {first[1]}, and {instance.label} in {scale}; give the"
                    f" submodel a {kind}ConversionFactor or use one unit"
                )


def _is_converted(tree: Tree, instance: Instance, kind: str) -> bool:
    isset = f"isSet{kind.capitalize()}ConversionFactor"
    above = (tree.instances[instance.path[:length]] for length in range(1, len(instance.path) + 1))
    return any(getattr(each.submodel, isset)() for each in above)


def check_rate_of(tree: Tree, where: str) -> None:
    """Refuse `rateOf` where the flattening would leave it unconverted: under a factor of time or of a symbol."""
    for instance in tree.living():
        factors = {joint.goes.getId() for joint in tree.joints if joint.factor and joint.loser is instance}
        if not (_is_converted(tree, instance, "time") or factors):
            continue
        for element in instance.model.getListOfAllElements():
            math = element.getMath() if getattr(element, "isSetMath", bool)() else None
            for node in _rates(math) if math is not None else ():
                if factors & symbols(node) or _is_converted(tree, instance, "time"):
                    raise SBMLError(
                        f"{where}: {instance.label} uses rateOf, which its conversion factor should convert but"
                        " libSBML does not; write the rate as a formula"
                    )


def _rates(node: libsbml.ASTNode) -> Iterator[libsbml.ASTNode]:
    if node.getType() == libsbml.AST_FUNCTION_RATE_OF:
        yield node
    for index in range(node.getNumChildren()):
        yield from _rates(node.getChild(index))
