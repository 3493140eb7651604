"""Edits of model definitions before they are flattened, where libSBML would lose or catch something in silence."""

from __future__ import annotations

from collections.abc import Iterator

import libsbml

_SIZES = {3: "Volume", 2: "Area", 1: "Length"}


def spell_out_units(model: libsbml.Model) -> None:
    """Write the units that species and compartments take from their model on themselves.

    A flat model has the units of the top only, and would give them to what comes from a submodel.
    """
    for species in model.getListOfSpecies():
        if not species.isSetSubstanceUnits() and model.isSetSubstanceUnits():
            species.setSubstanceUnits(model.getSubstanceUnits())
    for compartment in model.getListOfCompartments():
        kind = _SIZES.get(compartment.getSpatialDimensions())
        if not compartment.isSetUnits() and kind and getattr(model, f"isSet{kind}Units")():
            compartment.setUnits(getattr(model, f"get{kind}Units")())


def free_local_parameters(models: list[libsbml.Model], joined: set[str]) -> None:
    """Rename local parameters whose id a joined symbol has, too.

    libSBML writes the id of what replaces a symbol into rate laws; a local parameter of that id would catch it.
    """
    for model in models:
        for reaction in model.getListOfReactions():
            law = reaction.getKineticLaw()
            if law is not None:
                _free(law, model, joined)


def _free(law: libsbml.KineticLaw, model: libsbml.Model, joined: set[str]) -> None:
    for local in law.getListOfLocalParameters():
        name = local.getId()
        if name not in joined and "__" not in name and "_times_" not in name:
            continue
        taken = joined | {each.getId() for each in (*model.getListOfAllElements(), *law.getListOfLocalParameters())}
        new = next(wish for wish in _wishes(name) if wish not in taken)
        if law.isSetMath():
            math = law.getMath().deepCopy()
            math.renameSIdRefs(name, new)
            law.setMath(math)
        local.setId(new)


def _wishes(name: str) -> Iterator[str]:
    plain = name.replace("__", "_").replace("_times_", "_by_")
    yield f"{plain}_local"
    number = 1
    while True:
        number += 1
        yield f"{plain}_local_{number}"
