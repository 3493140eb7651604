"""Puts external model definitions into the document that refers to them, so that nothing has to be read later."""

from __future__ import annotations

from collections.abc import Mapping

import libsbml

from cascade._limits import COMP
from cascade._metaids import follow, metaids, separate
from cascade.errors import SBMLError

Links = Mapping[str, Mapping[str, tuple[str, str]]]
"""For each document its external model definitions: id -> (key of the other document, id of its model or "")."""


def merge(documents: Mapping[str, libsbml.SBMLDocument], links: Links, main: str) -> libsbml.SBMLDocument:
    """Make model definitions of a document out of the external ones that it refers to.

    Parameters
    ----------
    documents : mapping of str to SBMLDocument
        Level 3 with comp, all of one version, by key.
    links : mapping
        External model definitions by document.
    main : str
        Key of the document that receives them; it is changed.

    Raises
    ------
    SBMLError
        If a document does not hold a model that is referred to.
    """
    _Merger(documents, links, main).merge()
    return documents[main]


class _Merger:
    def __init__(self, documents: Mapping[str, libsbml.SBMLDocument], links: Links, main: str) -> None:
        self.documents, self.links, self.main = documents, links, main
        self.plugin = documents[main].getPlugin("comp")
        self.names: dict[tuple[str, str], str] = {}
        self.taken = {each.getId() for each in self.plugin.getListOfModelDefinitions()}
        self.taken.add(documents[main].getModel().getId())
        own = (documents[main].getModel(), *self.plugin.getListOfModelDefinitions())
        self.metaids = {metaid for model in own for metaid in metaids(model)}
        self.renamed: dict[str, dict[str, str]] = {}

    def merge(self) -> None:
        wanted = self.links[self.main]
        for number in reversed(range(self.plugin.getNumExternalModelDefinitions())):
            self.plugin.removeExternalModelDefinition(number)
        models = [self.documents[self.main].getModel(), *self.plugin.getListOfModelDefinitions()]
        for model in models:
            for submodel in model.getPlugin("comp").getListOfSubmodels():
                if submodel.getModelRef() in wanted:
                    submodel.setModelRef(self.name(*wanted[submodel.getModelRef()], prefer=submodel.getModelRef()))
        follow(self.documents[self.main], self.renamed)

    def name(self, file: str, model: str, prefer: str = "") -> str:
        """Return the id that a model of another document has in the main one; copy it if it is not there yet."""
        while model in self.links[file]:
            file, model = self.links[file][model]
        source = _model(self.documents[file], model, file)
        key = (file, source.getId() if isinstance(source, libsbml.ModelDefinition) else "")
        if file == self.main:
            return self.own(key[1], file)
        if key not in self.names:
            self.names[key] = self.free(prefer or source.getId() or "external_model")
            self.copy(source, self.names[key], file)
        return self.names[key]

    def own(self, model: str, file: str) -> str:
        if not model:
            raise SBMLError(f"{file}: its top model is a submodel of a model that it uses: a circle; use another model")
        return model

    def free(self, wish: str) -> str:
        name, number = wish, 1
        while name in self.taken:
            number += 1
            name = f"{wish}_{number}"
        self.taken.add(name)
        return name

    def copy(self, source: libsbml.Model, name: str, file: str) -> None:
        definition = libsbml.ModelDefinition(source)
        definition.setId(name)
        self.renamed[name] = separate(definition, self.metaids)
        local = self.documents[file].getPlugin("comp")
        for submodel in definition.getPlugin("comp").getListOfSubmodels():
            reference = submodel.getModelRef()
            if reference in self.links[file] or local.getModelDefinition(reference) is not None:
                submodel.setModelRef(self.name(file, reference))
            else:
                raise SBMLError(no_model(file, submodel.getId(), reference, local))
        if self.plugin.addModelDefinition(definition) != libsbml.LIBSBML_OPERATION_SUCCESS:
            raise SBMLError(f"{file}: its model {source.getId()!r} does not fit into the document; is it complete?")


def _model(document: libsbml.SBMLDocument, name: str, file: str) -> libsbml.Model:
    """Return a model of a document by id, the top one without."""
    top = document.getModel()
    if not name or name == top.getId():
        return top
    found = document.getPlugin("comp").getModelDefinition(name)
    if found is None:
        known = [top.getId(), *(each.getId() for each in document.getPlugin("comp").getListOfModelDefinitions())]
        raise SBMLError(f"{file}: holds no model {name!r}; it holds {', '.join(known)}; correct `modelRef`")
    return found


def no_model(where: str, submodel: str, reference: str, plugin: libsbml.CompSBMLDocumentPlugin) -> str:
    """Say that a submodel refers to a model that is not there."""
    known = [each.getId() for each in plugin.getListOfModelDefinitions()]
    return (
        f"{where}: the submodel {submodel!r} refers to the model {reference!r}, which the document does not hold; it"
        f" holds {', '.join(known) or 'no model definition'}; correct `modelRef`"
    )


def as_comp(document: libsbml.SBMLDocument, version: int, where: str) -> None:
    """Bring a document of level 3 to a version and give it comp, if it has not."""
    if document.getLevel() != 3:
        raise SBMLError(
            f"{where}: is level {document.getLevel()}, but external model definitions are level 3; convert it first"
        )
    if document.getPlugin("comp") is None:
        document.enablePackage(COMP, "comp", True)
    if document.getVersion() != version and not document.setLevelAndVersion(3, version, False):
        raise SBMLError(f"{where}: cannot be brought to version {version} of level 3, which the other documents have")
