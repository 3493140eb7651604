"""One map of names: what each symbol of a model is called here, in hierarchical SBML, and in other tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import libsbml

from cascade import _sbml
from cascade._canonical import Symbol, symbol_table
from cascade._formulas import ids_of
from cascade._reserved import AMICI_RENAMED, antimony_ids
from cascade.errors import ValueSettingError
from cascade.specs import Model

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "name",
    "flat",
    "kind",
    "unit",
    "long_name",
    "hierarchical",
    "port",
    "antimony",
    "copasi",
    "amici",
    "petab",
    "also",
)
"""Columns of the map."""


def id_map(model: Model) -> pd.DataFrame:
    """Return the name of every symbol of a model in each tool.

    Parameters
    ----------
    model : Model

    Returns
    -------
    pandas.DataFrame
        One row a symbol of the flat model (species, parameter, compartment, reaction), with the columns

        - `name`: `instance.local`, or the flat id of what belongs to no instance;
        - `flat`: id in flat SBML, in libRoadRunner and tellurium (which call a concentration `[id]`);
        - `kind`, `unit`, `long_name`;
        - `hierarchical`: `submodel:id`, or an id of the top model; empty if there is no hierarchical document;
        - `port`: the port through which the symbol is joined to others;
        - `antimony`: id in the exported `.ant` file, where a keyword of Antimony gets a `_`;
        - `copasi`: display name, as the columns of a time course of basico have it;
        - `amici`: id, where a reserved one is `amici_<id>`;
        - `petab`: id in PEtab tables, as in the SBML;
        - `also`: every other name of the symbol here, such as the inputs that it drives.

        Within each column but `kind`, `unit`, `long_name`, `port` and `also` no name comes twice.
    """
    if not isinstance(model, Model):
        raise ValueSettingError(f"id_map() was given {model!r}; give a Model, made by compose()")
    import pandas as pd

    symbols = symbol_table(model.flat)
    document = _sbml.read_document(model.flat, model.name).getModel()
    antimony = antimony_names(document)
    copasi = copasi_names(document)
    names, also = _own_names(model, symbols)
    places = _places(model)
    rows = [
        {
            "name": names[flat],
            "flat": flat,
            "kind": symbol.kind,
            "unit": symbol.unit,
            "long_name": symbol.name,
            "hierarchical": places.get(flat, ("", ""))[0],
            "port": places.get(flat, ("", ""))[1],
            "antimony": antimony[flat],
            "copasi": copasi[flat],
            "amici": f"amici_{flat}" if flat in AMICI_RENAMED else flat,
            "petab": flat,
            "also": also[flat],
        }
        for flat, symbol in symbols.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _own_names(model: Model, symbols: Mapping[str, Symbol]) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the dotted name of each symbol, and its other names."""
    others: dict[str, list[str]] = {flat: [] for flat in symbols}
    for name, flat in model.ids.items():
        if flat in others and name != flat:
            others[flat].append(name)
    single = len(model.instances) == 1 and not model.groups and model.hierarchical is None
    names = {}
    for flat, known in others.items():
        own = [name for name in known if "." in name and (single or name.replace(".", "__") == flat)]
        names[flat] = own[0] if own else _dotted(model, flat)
    return names, {flat: tuple(sorted(set(known) - {names[flat]})) for flat, known in others.items()}


def _dotted(model: Model, flat: str) -> str:
    """Return the name of what is in no table of names: a reaction of an instance, or something of the whole."""
    head, mark, tail = flat.partition("__")
    return f"{head}.{tail}" if mark and head in {*model.instances, *model.groups} else flat


def antimony_names(model: libsbml.Model) -> dict[str, str]:
    """Return the ids that the exported Antimony text has, by the ids of the flat model and its own."""
    return antimony_ids((model.getId(), *ids_of(model)))


def copasi_names(model: libsbml.Model) -> dict[str, str]:
    """Return the display names that COPASI gives the symbols of a flat model, by id.

    COPASI calls things by their SBML name, or by their id if they have none. A name that is taken already gets `_2`,
    `_3`, ... (of a species, within its compartment), and species of one name in several compartments are told apart
    as `name{compartment}`. Measured with COPASI 4.48; `tests/test_names.py` compares with COPASI where it is installed.
    """
    compartments = _unique((each.getId(), each.getName()) for each in model.getListOfCompartments())
    species: dict[str, tuple[str, str]] = {}
    for place in compartments:
        inside = [each for each in model.getListOfSpecies() if each.getCompartment() == place]
        found = _unique((each.getId(), each.getName()) for each in inside)
        species |= {key: (name, place) for key, name in found.items()}
    places: dict[str, set[str]] = {}
    for name, place in species.values():
        places.setdefault(name, set()).add(place)
    names = {key: f"Compartments[{name}]" for key, name in compartments.items()}
    for key, (name, place) in species.items():
        names[key] = f"{name}{{{compartments[place]}}}" if len(places[name]) > 1 else name
    quantities = _unique((each.getId(), each.getName()) for each in model.getListOfParameters())
    names |= {key: f"Values[{name}]" for key, name in quantities.items()}
    reactions = _unique((each.getId(), each.getName()) for each in model.getListOfReactions())
    return names | {key: f"({name})" for key, name in reactions.items()}


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    taken: set[str] = set()
    found = {}
    for key, title in pairs:
        name = wanted = title.strip() or key
        number = 2
        while name in taken:
            name = f"{wanted}_{number}"
            number += 1
        taken.add(name)
        found[key] = name
    return found


def _places(model: Model) -> dict[str, tuple[str, str]]:
    """Return where each symbol lives in the hierarchical document, by flat id: its address and its port."""
    if model.hierarchical is None:
        return {}
    document = _sbml.read_document(model.hierarchical, model.name)
    top = document.getModel()
    definitions = {each.getId(): each for each in document.getPlugin("comp").getListOfModelDefinitions()}
    found: dict[str, tuple[str, str]] = {}
    for submodel in top.getPlugin("comp").getListOfSubmodels():
        instance, definition = submodel.getId(), definitions[submodel.getModelRef()]
        ports = {port.getIdRef(): port.getId() for port in definition.getPlugin("comp").getListOfPorts()}
        for local in _ids(definition):
            found[f"{instance}__{local}"] = (f"{instance}:{local}", ports.get(local, ""))
    # what lives at the top comes last: a replaced element of a submodel is gone
    found |= {local: (local, "") for local in _ids(top)}
    return found | dict(_replacing(top))


def _replacing(top: libsbml.Model) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the flat ids of elements that are replaced by a parameter of the top model, and its address."""
    for parameter in top.getListOfParameters():
        plugin = parameter.getPlugin("comp")
        # a joined output stays in its owner, which replaces the parameter of the top
        if plugin.isSetReplacedBy():
            continue
        for number in range(plugin.getNumReplacedElements()):
            replaced = plugin.getReplacedElement(number)
            port = replaced.getPortRef()
            yield f"{replaced.getSubmodelRef()}__{port or replaced.getIdRef()}", (parameter.getId(), port)
        if parameter.getId().startswith("value_"):
            yield parameter.getId().removeprefix("value_"), (parameter.getId(), "")


def _ids(model: libsbml.Model) -> Iterator[str]:
    for elements in (
        model.getListOfCompartments(),
        model.getListOfSpecies(),
        model.getListOfParameters(),
        model.getListOfReactions(),
    ):
        yield from (element.getId() for element in elements)
