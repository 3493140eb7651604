"""Keeps metaids apart when models of several files come into one document, and the references to them right."""

from __future__ import annotations

from collections.abc import Mapping

import libsbml

Renamed = Mapping[str, Mapping[str, str]]
"""By model definition: old metaid -> new one."""


def metaids(model: libsbml.Model) -> set[str]:
    """Return every metaid of a model, its own included."""
    return {each.getMetaId() for each in (model, *model.getListOfAllElements()) if each.isSetMetaId()}


def separate(model: libsbml.Model, taken: set[str]) -> dict[str, str]:
    """Rename the metaids of a model that are taken, and take all of them.

    Returns
    -------
    dict
        Old metaid to new one.
    """
    own = metaids(model)
    renamed: dict[str, str] = {}
    for element in (model, *model.getListOfAllElements()):
        old = element.getMetaId()
        if not old or old not in taken:
            continue
        number = 2
        while f"{old}_{number}" in taken or f"{old}_{number}" in own:
            number += 1
        renamed[old] = f"{old}_{number}"
        element.setMetaId(renamed[old])
        taken.add(renamed[old])
    taken |= own
    return renamed


def follow(document: libsbml.SBMLDocument, renamed: Renamed) -> None:
    """Let ports, deletions and replacements refer to the new metaids."""
    if any(renamed.values()):
        _Follower(document, renamed).follow()


class _Follower:
    def __init__(self, document: libsbml.SBMLDocument, renamed: Renamed) -> None:
        self.top = document.getModel()
        self.definitions = {each.getId(): each for each in document.getPlugin("comp").getListOfModelDefinitions()}
        self.renamed = renamed

    def follow(self) -> None:
        for name, model in (("", self.top), *self.definitions.items()):
            plugin = model.getPlugin("comp")
            for port in plugin.getListOfPorts():
                self.mend(port, name)
            for submodel in plugin.getListOfSubmodels():
                for deletion in submodel.getListOfDeletions() or ():
                    self.mend(deletion, submodel.getModelRef())
            for element in model.getListOfAllElements():
                self.mend_replacements(element, plugin)

    def mend_replacements(self, element: libsbml.SBase, plugin: libsbml.CompModelPlugin) -> None:
        own = element.getPlugin("comp")
        if not isinstance(own, libsbml.CompSBasePlugin):
            return
        references = list(own.getListOfReplacedElements() or ())
        if own.isSetReplacedBy():
            references.append(own.getReplacedBy())
        for reference in references:
            submodel = plugin.getSubmodel(reference.getSubmodelRef())
            if submodel is not None:
                self.mend(reference, submodel.getModelRef())

    def mend(self, reference: libsbml.SBaseRef, model: str) -> None:
        """Correct one reference into a model, and those inside it."""
        new = self.renamed.get(model, {}).get(reference.getMetaIdRef())
        inside = self.entered(reference, model)
        if new is not None:
            reference.setMetaIdRef(new)
        if reference.isSetSBaseRef() and inside:
            self.mend(reference.getSBaseRef(), inside)

    def entered(self, reference: libsbml.SBaseRef, model: str) -> str:
        """Return the model definition of the submodel that a reference names, or nothing."""
        found = self.definitions.get(model) if model else self.top
        if found is None:
            return ""
        plugin = found.getPlugin("comp")
        if reference.isSetPortRef():
            port = plugin.getPort(reference.getPortRef())
            return "" if port is None else self.last(port, model)
        named = plugin.getSubmodel(reference.getIdRef()) if reference.isSetIdRef() else None
        if reference.isSetMetaIdRef():
            metaid = self.renamed.get(model, {}).get(reference.getMetaIdRef(), reference.getMetaIdRef())
            named = found.getElementByMetaId(metaid)
        return str(named.getModelRef()) if isinstance(named, libsbml.Submodel) else ""

    def last(self, reference: libsbml.SBaseRef, model: str) -> str:
        inside = self.entered(reference, model)
        return self.last(reference.getSBaseRef(), inside) if reference.isSetSBaseRef() and inside else inside
