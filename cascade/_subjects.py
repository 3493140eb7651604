"""What is qualified: a module, a composition or a drug, with its own constants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cascade.catalogue import (
    composition_folder,
    composition_names,
    is_module,
    load_composition,
    load_module,
    module_folder,
    module_names,
    require_known,
)
from cascade.compose import compose
from cascade.errors import CascadeError, UnknownNameError, unknown_name
from cascade.evidence import count_evidence
from cascade.library import place
from cascade.specs import Model
from cascade.therapy.drugs import Drug, drug_folder, drug_names, load_drug


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model or a drug that is compared with published facts."""

    folder: Path
    model: Model | None = None
    drug: Drug | None = None

    def constants(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the own constants of a composition (such as the spread between patients) or of a drug."""
        if self.drug is not None:
            name = self.drug.name
            return {p.id: values.get(f"{name}.{p.id}", p.nominal) for p in self.drug.parameters}
        if self.model is None or is_module(self.folder):
            return {}
        return {p.id: values.get(p.id, p.nominal) for p in self.model.parameters if "__" not in p.id}

    def evidence(self) -> dict[str, int]:
        """Count the constants by evidence."""
        if self.drug is not None:
            return count_evidence(self.drug.parameters)
        assert self.model is not None
        ports = load_module(self.folder).ports if is_module(self.folder) else ()
        return count_evidence(self.model.parameters, {p.id for p in ports if p.direction == "in"})

    def hash(self, runs: Iterable[str]) -> str:
        """Return the hash of the model; for a drug one of the hashes of the models of its experiments."""
        if self.model is not None:
            return self.model.hash
        return sha256("".join(runs).encode()).hexdigest()


def subject_folder(name: str | Path) -> Path:
    """Return the folder of a module, a composition or a drug; of a drug, where a module has the same name.

    Raises
    ------
    UnknownNameError
    """
    if _is_drug(name):
        return drug_folder(name)
    try:
        require_known(name)
    except UnknownNameError:
        known = (*module_names(), *composition_names(), *drug_names())
        raise unknown_name(
            "module, composition or drug", str(name), known, "the catalog, and no folder has this path"
        ) from None
    return module_folder(name) if is_module(name) else composition_folder(name)


def subject_of(folder: Path, model: Model | None = None) -> Subject:
    """Return what a folder holds, as it is shipped or as the model at hand.

    Raises
    ------
    CascadeError
        If a model is given for a drug, or the folder cannot be read.
    """
    if _is_drug(folder):
        if model is not None:
            raise CascadeError(f"{folder.name} is a drug, whose experiments name their models; leave model out")
        return Subject(folder=folder, drug=load_drug(folder))
    return Subject(folder=folder, model=model or composed_model(folder))


def composed_model(name: str | Path) -> Model:
    """Return the model of a shipped name or a folder."""
    return compose(load_module(name) if is_module(name) else load_composition(name))


def _is_drug(name: str | Path) -> bool:
    path = place(name)
    return str(name) in drug_names() or (path is not None and (path / "drug.toml").is_file())
